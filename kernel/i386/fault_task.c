/* SPDX-License-Identifier: MIT */
/* The i386's part of exception reports: registers, and the fault task. */

#include "../console.h"
#include "../cpus.h"
#include "../machine.h"
#include "../stop.h"
#include "../symbols.h"
#include "../task.h"
#include "../trap.h"
#include "cpu.h"
#include "gdt.h"

static void print_general(const struct trap_frame *f, uintptr_t sp)
{
	kprintf("  eax %08x  ebx %08x  ecx %08x  edx %08x\n", f->eax, f->ebx,
		f->ecx, f->edx);
	kprintf("  esi %08x  edi %08x  ebp %08x  esp %08x\n", f->esi, f->edi,
		f->ebp, (unsigned)sp);
}

void trap_print_user(const struct trap_frame *frame)
{
	print_general(frame, frame->user_esp);
	kprintf("  eip %08x  efl %08x\n", frame->eip, frame->eflags);
}

void exception_print_registers(const struct trap_frame *f, uintptr_t sp)
{
	print_general(f, sp);
	kprintf("  eip %08x  efl %08x  cr0 %08x  cr2 %08x\n", f->eip, f->eflags,
		(unsigned)cpu_read_cr0(), (unsigned)cpu_read_cr2());
	kprintf("  cr3 %08x  cr4 %08x  cs  %04x\n", (unsigned)cpu_read_cr3(),
		(unsigned)(cpu_features.cpuid ? cpu_read_cr4() : 0),
		f->cs & 0xFFFFu);
}

/* No change of ring: the stack goes on where the CPU's part ends. */
uintptr_t exception_stack_of(const struct trap_frame *frame)
{
	return (uintptr_t)&frame->user_esp;
}

/* Runs as the fault task: on its own stack, the kernel's state in its TSS. */
void trap_double_fault(void)
{
	struct gdt_tss *tss = &cpu_this()->gdt.kernel;
	struct trap_context *context =
		exception_expected(TRAP_DOUBLE_FAULT, 0, tss->eip);
	char name[64];

	if (context != NULL) {
		/* The kernel task resumes in trap_save(), returning 1. */
		tss->ebx = context->ebx;
		tss->esi = context->esi;
		tss->edi = context->edi;
		tss->ebp = context->ebp;
		tss->esp = context->esp;
		tss->eip = context->eip;
		tss->eflags = context->eflags;
		tss->eax = 1;
		return;
	}
	stop_begin();
	kprintf("\ndouble fault at 0x%08x %s\n", tss->eip,
		symbol_format(name, tss->eip));
	exception_print_overflow(tss->esp);
	struct trap_frame frame = {
		.edi = tss->edi,
		.esi = tss->esi,
		.ebp = tss->ebp,
		.ebx = tss->ebx,
		.edx = tss->edx,
		.ecx = tss->ecx,
		.eax = tss->eax,
		.vector = TRAP_DOUBLE_FAULT,
		.eip = tss->eip,
		.cs = tss->cs,
		.eflags = tss->eflags,
	};
	exception_print_page_fault(TRAP_PF_WRITE);
	exception_print_registers(&frame, tss->esp);
	exception_trace(tss->eip, tss->esp, tss->ebp);
	stop_report();
	machine_exit(false);
}

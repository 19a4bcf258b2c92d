/* SPDX-License-Identifier: MIT */
/* Reports an exception: what, where, registers, the walk, how it came there. */

#include "../console.h"
#include "../kernel.h"
#include "../machine.h"
#include "../report.h"
#include "../symbols.h"
#include "cpu.h"
#include "gdt.h"
#include "layout.h"
#include "trap.h"

#define TRACE_MOST 24u /* lines */

static struct trap_context *exception_context; /* of trap_expect() */
static struct trap_report exception_report;
static bool exception_reporting; /* a second one while reporting: give up */

static const char *const exception_names[TRAP_COUNT] = {
	"divide error",
	"debug",
	"non-maskable interrupt",
	"breakpoint",
	"overflow",
	"bound range exceeded",
	"invalid opcode",
	"no coprocessor",
	"double fault",
	"coprocessor segment overrun",
	"invalid task state",
	"segment not present",
	"stack fault",
	"general protection",
	"page fault",
	"reserved",
	"floating-point error",
	"alignment check",
	"machine check",
	"floating-point exception",
};

/* True if a call instruction ends just before this address. */
static bool trace_is_return(uint32_t address)
{
	const uint8_t *code = (const uint8_t *)(uintptr_t)address;

	if (address < (uintptr_t)image_start + 8 ||
	    address >= (uintptr_t)text_end) {
		return false;
	}
	/* E8 offset; FF /2 with a register, or with 8 or 32 bits of offset. */
	return code[-5] == 0xE8 ||
	       (code[-2] == 0xFF && (code[-1] & 0x38u) == 0x10) ||
	       (code[-3] == 0xFF && (code[-2] & 0x38u) == 0x10) ||
	       (code[-6] == 0xFF && (code[-5] & 0x38u) == 0x10) ||
	       (code[-7] == 0xFF && (code[-6] & 0x38u) == 0x10);
}

/*
 * The kernel keeps frame pointers, the library does not. So every word of the
 * stack that can be a return address is shown, and those that the chain of
 * frame pointers does not confirm are marked: they may be left from before.
 */
void exception_trace(uint32_t eip, uint32_t esp, uint32_t ebp)
{
	uint32_t top = (uintptr_t)boot_stack_top;
	unsigned lines = 0;
	char name[64];

	kprintf("stack trace (? : perhaps):\n");
	kprintf("    %08x  %s\n", eip, symbol_format(name, eip));
	if (esp < (uintptr_t)boot_stack_bottom || esp >= top) {
		kprintf("    esp %08x is not in the boot stack\n", esp);
		return;
	}
	esp &= ~3u;
	for (; esp < top; esp += 4) {
		uint32_t word = *(const uint32_t *)(uintptr_t)esp;
		bool sure = esp == ebp + 4;
		if (sure) {
			ebp = *(const uint32_t *)(uintptr_t)(esp - 4);
		}
		if (!trace_is_return(word)) {
			continue;
		}
		if (lines++ == TRACE_MOST) {
			kprintf("    ...\n");
			return;
		}
		kprintf("  %c %08x  %s\n", sure ? ' ' : '?', word,
			symbol_format(name, word));
	}
}

static void exception_print_registers(const struct trap_frame *f, uint32_t esp)
{
	kprintf("  eax %08x  ebx %08x  ecx %08x  edx %08x\n", f->eax, f->ebx,
		f->ecx, f->edx);
	kprintf("  esi %08x  edi %08x  ebp %08x  esp %08x\n", f->esi, f->edi,
		f->ebp, esp);
	kprintf("  eip %08x  efl %08x  cr0 %08x  cr2 %08x\n", f->eip, f->eflags,
		cpu_read_cr0(), cpu_read_cr2());
	kprintf("  cr3 %08x  cr4 %08x  cs  %04x\n", cpu_read_cr3(),
		cpu_features.cpuid ? cpu_read_cr4() : 0, f->cs & 0xFFFFu);
}

static void exception_print_page_fault(uint32_t error)
{
	uint32_t address = cpu_read_cr2();
	const char *action = "reading";

	if ((error & TRAP_PF_FETCH) != 0) {
		action = "executing";
	} else if ((error & TRAP_PF_WRITE) != 0) {
		action = "writing";
	}
	kprintf("%s 0x%08x: %s, from %s mode%s\n", action, address,
		(error & TRAP_PF_PRESENT) != 0 ? "the page forbids it"
					       : "no page there",
		(error & TRAP_PF_USER) != 0 ? "user" : "kernel",
		(error & TRAP_PF_RESERVED) != 0 ? ", a reserved bit is set"
						: "");
	report_walk(address);
}

static void exception_begin(void)
{
	cpu_cli();
	if (exception_reporting) {
		kprintf("\nanother exception while reporting one: stopping\n");
		machine_exit(false);
	}
	exception_reporting = true;
}

_Noreturn static void exception_panic(const struct trap_frame *frame)
{
	/* No change of ring: the stack goes on where our frame ends. */
	uint32_t esp = (uintptr_t)(frame + 1);
	char name[64];

	exception_begin();
	kprintf("\nexception %u, %s, error code 0x%x\n", frame->vector,
		exception_names[frame->vector] != NULL
			? exception_names[frame->vector]
			: "reserved",
		frame->error);
	kprintf("at 0x%08x %s\n", frame->eip, symbol_format(name, frame->eip));
	if (frame->vector == TRAP_PAGE_FAULT) {
		exception_print_page_fault(frame->error);
	}
	exception_print_registers(frame, esp);
	exception_trace(frame->eip, esp, frame->ebp);
	machine_exit(false);
}

static void exception_fill_report(uint32_t vector, uint32_t error, uint32_t eip)
{
	exception_report.vector = vector;
	exception_report.error = error;
	exception_report.address = cpu_read_cr2();
	exception_report.eip = eip;
}

_Noreturn void exception_handle(struct trap_frame *frame)
{
	struct trap_context *context = exception_context;

	if (context == NULL) {
		exception_panic(frame);
	}
	exception_fill_report(frame->vector, frame->error, frame->eip);
	exception_context = NULL;
	trap_jump(context, 1);
}

/* Runs as the fault task: on its own stack, the kernel's state in its TSS. */
void trap_double_fault(void)
{
	struct gdt_tss *tss = &gdt_tss_kernel;
	struct trap_context *context = exception_context;
	char name[64];

	if (context != NULL) {
		/* The kernel task resumes in trap_save(), returning 1. */
		exception_fill_report(TRAP_DOUBLE_FAULT, 0, tss->eip);
		exception_context = NULL;
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
	exception_begin();
	kprintf("\ndouble fault at 0x%08x %s\n", tss->eip,
		symbol_format(name, tss->eip));
	if (tss->esp - (uintptr_t)boot_stack_guard <= LOAM_PAGE_SIZE) {
		kprintf("the boot stack (%u bytes) overflowed into its guard "
			"page\n",
			KERNEL_STACK_BYTES);
	}
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
	exception_trace(tss->eip,
			tss->esp < (uintptr_t)boot_stack_bottom
				? (uintptr_t)boot_stack_bottom
				: tss->esp,
			tss->ebp);
	machine_exit(false);
}

bool trap_expect(void (*fn)(void *arg), void *arg, struct trap_report *out)
{
	struct trap_context context;

	if (trap_save(&context) != 0) {
		*out = exception_report;
		return true;
	}
	exception_context = &context;
	fn(arg);
	exception_context = NULL;
	return false;
}

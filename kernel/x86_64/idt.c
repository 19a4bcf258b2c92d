/* SPDX-License-Identifier: MIT */
/* The interrupt table, and who handles which of its vectors. */

#include "../console.h"
#include "../cpus.h"
#include "../process.h"
#include "../task.h"
#include "../usercopy.h"
#include "cpu.h"
#include "fpu.h"
#include "gdt.h"
#include "trap.h"

#define IDT_INTERRUPT_GATE 0x8Eu /* present, ring 0, interrupts go off */

struct idt_gate {
	uint16_t entry_low;
	uint16_t selector;
	uint8_t stack; /* enum gdt_stack */
	uint8_t type;
	uint16_t entry_middle;
	uint32_t entry_high;
	uint32_t reserved;
};
LOAM_STATIC_ASSERT(sizeof(struct idt_gate) == 16, "as the manual says");

static struct idt_gate idt_gates[TRAP_VECTORS];

static void idt_set(unsigned vector, enum gdt_stack stack)
{
	uint64_t entry = trap_vectors[vector];

	idt_gates[vector] = (struct idt_gate){
		.entry_low = (uint16_t)entry,
		.selector = GDT_CODE,
		.stack = (uint8_t)stack,
		.type = IDT_INTERRUPT_GATE,
		.entry_middle = (uint16_t)(entry >> 16),
		.entry_high = (uint32_t)(entry >> 32),
	};
}

void trap_init_cpu(struct cpu *cpu)
{
	struct {
		uint16_t padding[3];
		uint16_t limit;
		uint64_t base;
	} pointer = { { 0 }, sizeof(idt_gates) - 1, (uintptr_t)idt_gates };

	gdt_init(cpu);
	__asm__ volatile("lidt %0" : : "m"(pointer.limit) : "memory");
	trap_init_syscall();
}

void trap_init(void)
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(idt_gates); i++) {
		idt_set(i, GDT_STACK_SAME);
	}
	idt_set(TRAP_DOUBLE_FAULT, GDT_STACK_FAULT);
	idt_set(TRAP_MACHINE_CHECK, GDT_STACK_FAULT);
	idt_set(TRAP_NMI, GDT_STACK_NMI);
	idt_set(TRAP_DEBUG, GDT_STACK_DEBUG);
	trap_init_cpu(&cpus[0]);
}

/*
 * A program that touches memory with the rights of the kernel: the CPU does
 * so for it, as in loading a segment. What is forbidden then, no page brings.
 */
static bool trap_is_implicit(const struct trap_frame *frame)
{
	return (frame->error & TRAP_PF_PRESENT) != 0 &&
	       (frame->error & TRAP_PF_USER) == 0;
}

/* From ring 3 with interrupts on, from the kernel as it was. */
static void trap_page_fault(struct trap_frame *frame)
{
	uintptr_t address = cpu_read_cr2();
	uintptr_t place = frame->rip;

	if (trap_from_user(frame)) {
		cpu_sti();
		if (trap_is_implicit(frame) ||
		    !process_fault(address, (uint32_t)frame->error)) {
			process_exception(frame, address);
		}
		cpu_cli();
	} else if (place - (uintptr_t)usercopy_begin <
		   (uintptr_t)(usercopy_end - usercopy_begin)) {
		if (!process_fault(address, (uint32_t)frame->error)) {
			frame->rip = (uintptr_t)usercopy_failed;
		}
	} else {
		exception_handle(frame);
	}
}

/* Whoever runs: it is the machine that has failed, or the kernel's stack. */
static bool trap_is_fatal(uint64_t vector)
{
	return vector == TRAP_DOUBLE_FAULT || vector == TRAP_MACHINE_CHECK;
}

static void trap_exception(struct trap_frame *frame)
{
	if (frame->vector == TRAP_DEBUG && !trap_from_user(frame) &&
	    trap_stepper != NULL) {
		trap_stepper(frame);
		return;
	}
	if (!trap_from_user(frame) || trap_is_fatal(frame->vector)) {
		exception_handle(frame);
	}
	if (frame->vector == TRAP_NO_COPROCESSOR && fpu_trap()) {
		return;
	}
	cpu_sti();
	process_exception(frame, 0);
}

void trap_dispatch(struct trap_frame *frame)
{
	if (frame->vector == TRAP_NMI) {
		trap_nmi(frame);
		return;
	}
	if (frame->vector >= TRAP_COUNT && !trap_from_user(frame)) {
		restart_interrupted(&frame->rip);
	}
	if (frame->vector == TRAP_PAGE_FAULT) {
		trap_page_fault(frame);
	} else if (frame->vector >= TRAP_COUNT + TRAP_LINES) {
		local_dispatch((unsigned)frame->vector - TRAP_COUNT -
			       TRAP_LINES);
	} else if (frame->vector >= TRAP_COUNT) {
		irq_dispatch((unsigned)frame->vector - TRAP_COUNT);
	} else {
		trap_exception(frame);
	}
	if (trap_from_user(frame)) {
		process_to_user();
	} else if (frame->vector >= TRAP_COUNT) {
		task_interrupted();
	}
}

static void print_general(const struct trap_frame *f, uintptr_t sp)
{
	kprintf("  rax %016lx  rbx %016lx  rcx %016lx\n", f->rax, f->rbx,
		f->rcx);
	kprintf("  rdx %016lx  rsi %016lx  rdi %016lx\n", f->rdx, f->rsi,
		f->rdi);
	kprintf("  r8  %016lx  r9  %016lx  r10 %016lx\n", f->r8, f->r9, f->r10);
	kprintf("  r11 %016lx  r12 %016lx  r13 %016lx\n", f->r11, f->r12,
		f->r13);
	kprintf("  r14 %016lx  r15 %016lx  rbp %016lx\n", f->r14, f->r15,
		f->rbp);
	kprintf("  rip %016lx  rsp %016lx  rfl %016lx\n", f->rip, sp,
		f->rflags);
}

void trap_print_user(const struct trap_frame *frame)
{
	print_general(frame, frame->rsp);
}

void exception_print_registers(const struct trap_frame *f, uintptr_t sp)
{
	print_general(f, sp);
	kprintf("  cr0 %016lx  cr2 %016lx  cr3 %016lx\n", cpu_read_cr0(),
		cpu_read_cr2(), cpu_read_cr3());
	kprintf("  cr4 %016lx  cs  %04lx  ss  %04lx\n", cpu_read_cr4(),
		f->cs & 0xFFFFu, f->ss & 0xFFFFu);
}

/* The CPU always saves it. */
uintptr_t exception_stack_of(const struct trap_frame *frame)
{
	return frame->rsp;
}

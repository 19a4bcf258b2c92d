/* SPDX-License-Identifier: MIT */
/* The interrupt table, and who handles which of its vectors. */

#include "../cpus.h"
#include "../process.h"
#include "../task.h"
#include "../usercopy.h"
#include "cpu.h"
#include "fpu.h"
#include "gdt.h"
#include "layout.h"
#include "trap.h"

#define IDT_INTERRUPT_GATE 0x8E00u /* present, ring 0, interrupts go off */
#define IDT_RING_3 0x6000u         /* may be called from there */
#define IDT_TASK_GATE 0x8500u

static uint64_t idt_entries[ABI_VECTOR + 1];

static uint64_t idt_gate(uint32_t entry, uint32_t selector, uint32_t type)
{
	return (uint64_t)((entry & 0xFFFF0000u) | type) << 32 | selector << 16 |
	       (entry & 0xFFFFu);
}

void trap_init_cpu(struct cpu *cpu)
{
	struct {
		uint16_t padding;
		uint16_t limit;
		uint32_t base;
	} pointer = { 0, sizeof(idt_entries) - 1, (uintptr_t)idt_entries };

	gdt_init(cpu, trap_fault_task);
	__asm__ volatile("lidt %0" : : "m"(pointer.limit) : "memory");
}

void trap_init(void)
{
	for (unsigned i = 0; i < TRAP_VECTORS; i++) {
		idt_entries[i] =
			idt_gate(trap_vectors[i], GDT_CODE, IDT_INTERRUPT_GATE);
	}
	idt_entries[ABI_VECTOR] =
		idt_gate((uint32_t)(uintptr_t)trap_entry_syscall, GDT_CODE,
			 IDT_INTERRUPT_GATE | IDT_RING_3);
	idt_entries[TRAP_DOUBLE_FAULT] =
		idt_gate(0, GDT_TSS_FAULT, IDT_TASK_GATE);
	trap_init_cpu(&cpus[0]);
}

/* From ring 3 with interrupts on, from the kernel as it was. */
static void trap_page_fault(struct trap_frame *frame)
{
	uintptr_t address = cpu_read_cr2();
	uintptr_t place = frame->eip;

	if (trap_from_user(frame)) {
		cpu_sti();
		if (!process_fault(address, frame->error)) {
			process_exception(frame, address);
		}
		cpu_cli();
	} else if (place - (uintptr_t)usercopy_begin <
		   (uintptr_t)(usercopy_end - usercopy_begin)) {
		if (!process_fault(address, frame->error)) {
			frame->eip = (uint32_t)(uintptr_t)usercopy_failed;
		}
	} else {
		exception_handle(frame);
	}
}

static void trap_exception(struct trap_frame *frame)
{
	if (frame->vector == TRAP_DEBUG && !trap_from_user(frame) &&
	    trap_stepper != NULL) {
		trap_stepper(frame);
		return;
	}
	if (!trap_from_user(frame)) {
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
		/* On a stack that nobody may be switched from. */
		trap_nmi(frame);
		return;
	}
	if (frame->vector >= TRAP_COUNT && !trap_from_user(frame)) {
		restart_interrupted(&frame->eip);
	}
	if (frame->vector == TRAP_PAGE_FAULT) {
		trap_page_fault(frame);
	} else if (frame->vector >= TRAP_COUNT + TRAP_LINES) {
		local_dispatch((unsigned)frame->vector - TRAP_COUNT -
			       TRAP_LINES);
	} else if (frame->vector >= TRAP_COUNT) {
		irq_dispatch(frame->vector - TRAP_COUNT);
	} else {
		trap_exception(frame);
	}
	if (trap_from_user(frame)) {
		process_to_user();
	} else if (frame->vector >= TRAP_COUNT) {
		task_interrupted();
	}
}

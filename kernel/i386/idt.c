/* SPDX-License-Identifier: MIT */
/* The interrupt table, and who handles which of its vectors. */

#include "cpu.h"
#include "gdt.h"
#include "trap.h"

#define IDT_INTERRUPT_GATE 0x8E00u /* present, ring 0, interrupts go off */
#define IDT_TASK_GATE 0x8500u

static uint64_t idt_entries[TRAP_COUNT + TRAP_LINES];

static uint64_t idt_gate(uint32_t entry, uint32_t selector, uint32_t type)
{
	return (uint64_t)((entry & 0xFFFF0000u) | type) << 32 | selector << 16 |
	       (entry & 0xFFFFu);
}

void trap_init(void)
{
	struct {
		uint16_t padding;
		uint16_t limit;
		uint32_t base;
	} pointer = { 0, sizeof(idt_entries) - 1, (uintptr_t)idt_entries };

	gdt_init(trap_fault_task);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(idt_entries); i++) {
		idt_entries[i] =
			idt_gate(trap_vectors[i], GDT_CODE, IDT_INTERRUPT_GATE);
	}
	idt_entries[TRAP_DOUBLE_FAULT] =
		idt_gate(0, GDT_TSS_FAULT, IDT_TASK_GATE);
	__asm__ volatile("lidt %0" : : "m"(pointer.limit) : "memory");
}

void trap_dispatch(struct trap_frame *frame)
{
	if (frame->vector >= TRAP_COUNT) {
		irq_dispatch(frame->vector - TRAP_COUNT);
		return;
	}
	exception_handle(frame);
}

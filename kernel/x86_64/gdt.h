/* SPDX-License-Identifier: MIT */
/* Segments, and the task state that holds the stacks of exceptions. */
#ifndef KERNEL_X86_64_GDT_H
#define KERNEL_X86_64_GDT_H

#include <loam/assert.h>
#include <loam/types.h>

#define GDT_CODE 0x08u
#define GDT_DATA 0x10u
/* sysret takes its selectors from one base: 32-bit code, data, code. */
#define GDT_USER_CODE_32 0x18u /* no descriptor: there is no such code */
#define GDT_USER_DATA 0x20u
#define GDT_USER_CODE 0x28u
#define GDT_TSS 0x30u /* 16 bytes */
#define GDT_ENTRIES 8u

/* Numbers of the stacks that an interrupt gate can ask for; 0: none. */
enum gdt_stack {
	GDT_STACK_SAME,
	GDT_STACK_FAULT, /* double faults, machine checks */
	GDT_STACK_NMI,
	GDT_STACK_DEBUG,
};

/* The task state as the manual has it; its words of 64 bits are not aligned. */
struct gdt_tss {
	uint32_t reserved_0;
	uint32_t stacks[3][2]; /* of rings 0 to 2, low half first */
	uint32_t reserved_1[2];
	uint32_t ist[7][2]; /* of enum gdt_stack, from 1 on */
	uint32_t reserved_2[2];
	uint16_t reserved_3;
	uint16_t io_map;
};
LOAM_STATIC_ASSERT(sizeof(struct gdt_tss) == 104, "as the manual says");

/* One CPU's table. */
struct gdt_cpu {
	uint64_t entries[GDT_ENTRIES];
	struct gdt_tss tss;
	/* Where these stacks end; NULL: the boot CPU's. */
	char *fault_stack;
	char *nmi_stack;
	char *debug_stack;
};

#define GDT_FAULT_STACK_BYTES 12288u /* of all three */

/* Before gdt_init(), for another CPU than the first. */
static inline void gdt_set_fault_stack(struct gdt_cpu *gdt, char *stack)
{
	gdt->debug_stack = stack + GDT_FAULT_STACK_BYTES / 3;
	gdt->nmi_stack = stack + GDT_FAULT_STACK_BYTES / 3 * 2;
	gdt->fault_stack = stack + GDT_FAULT_STACK_BYTES;
}

struct cpu;

/*
 * Makes the CPU's table, and loads segments, the task register and the base of
 * GS, by which the CPU finds its struct cpu from here on.
 */
void gdt_init(struct cpu *cpu);

/* The stack of ring 0 when an interrupt comes from ring 3 to this CPU. */
void gdt_set_kernel_stack(uintptr_t top);

#endif

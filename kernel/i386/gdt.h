/* SPDX-License-Identifier: MIT */
/* Segments and the two tasks: the kernel's, and the one of double faults. */
#ifndef KERNEL_I386_GDT_H
#define KERNEL_I386_GDT_H

#include <loam/assert.h>
#include <loam/types.h>

#define GDT_CODE 0x08u
#define GDT_DATA 0x10u
#define GDT_TSS 0x18u
#define GDT_TSS_FAULT 0x20u
#define GDT_USER_CODE 0x2Bu /* ring 3 is in the lowest two bits */
#define GDT_USER_DATA 0x33u
#define GDT_LOCAL 0x38u /* the CPU's own struct cpu */
#define GDT_ENTRIES 8u

/* The task state as the i386 saves and loads it. */
struct gdt_tss {
	uint32_t link;
	uint32_t esp0, ss0, esp1, ss1, esp2, ss2;
	uint32_t cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs;
	uint32_t ldt;
	uint16_t trap;
	uint16_t io_map;
};
LOAM_STATIC_ASSERT(sizeof(struct gdt_tss) == 104, "as the manual says");

/* One CPU's table. */
struct gdt_cpu {
	/*
	 * What the CPU saved of the kernel when it switched to the fault task.
	 * Its esp0 is where the kernel's stack begins when it is entered from
	 * ring 3.
	 */
	struct gdt_tss kernel;
	struct gdt_tss fault;
	uint64_t entries[GDT_ENTRIES];
	/* Where the stack of the fault task ends; NULL: the boot CPU's. */
	char *fault_stack;
};

#define GDT_FAULT_STACK_BYTES 4096u

/* Before gdt_init(), for another CPU than the first. */
static inline void gdt_set_fault_stack(struct gdt_cpu *gdt, char *stack)
{
	gdt->fault_stack = stack + GDT_FAULT_STACK_BYTES;
}

struct cpu;

/*
 * Makes the CPU's table, and loads segments, the task register and FS, by which
 * the CPU finds its struct cpu from here on. fault_entry runs as a task of its
 * own, on its own stack, whenever an exception cannot be delivered.
 */
void gdt_init(struct cpu *cpu, void (*fault_entry)(void));

/* Tells both tasks of this CPU the page directory they run on. */
void gdt_set_directory(uint32_t cr3);

/*
 * Tells the kernel's task alone: the one it comes back to from the fault task,
 * which itself keeps to the directory that is always there.
 */
void gdt_set_kernel_directory(uint32_t cr3);

#endif

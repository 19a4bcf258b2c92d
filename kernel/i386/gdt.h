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

/* What the CPU saved of the kernel when it switched to the fault task. */
extern struct gdt_tss gdt_tss_kernel;

/*
 * Loads segments and the task register. fault_entry runs as a task of its
 * own, on its own stack, whenever an exception cannot be delivered.
 */
void gdt_init(void (*fault_entry)(void));

/* Tells both tasks the page directory they run on. */
void gdt_set_directory(uint32_t cr3);

#endif

/* SPDX-License-Identifier: MIT */
/* The descriptor table: flat segments, and stacks for the worst exceptions. */

/*
 * A stack overflow runs into the guard page below the stack. The page fault it
 * causes cannot be delivered, because delivering means pushing onto that same
 * stack, so it becomes a double fault. That one, and what can come at any
 * instruction, have stacks of their own, which the CPU switches to by the
 * number in their gates. Every CPU has a table and stacks of its own.
 */

#include "../cpus.h"
#include "cpu.h"
#include "gdt.h"
#include "layout.h"

#define GDT_ENTRIES 8u
#define GDT_KERNEL_CODE 0x00AF9A000000FFFFu
#define GDT_KERNEL_DATA 0x00CF92000000FFFFu
#define GDT_RING_3 0x0000600000000000u
#define GDT_TSS_AVAILABLE 0x0000890000000000u

#define MSR_GS_BASE 0xC0000101u
#define MSR_KERNEL_GS_BASE 0xC0000102u /* swapgs exchanges the two */

static void gdt_set_stack(struct gdt_cpu *gdt, enum gdt_stack number,
			  const char *own, const char *first)
{
	uint64_t address = (uintptr_t)(own != NULL ? own : first);

	gdt->tss.ist[number - 1][0] = (uint32_t)address;
	gdt->tss.ist[number - 1][1] = (uint32_t)(address >> 32);
}

static void gdt_set_stacks(struct gdt_cpu *gdt)
{
	gdt_set_stack(gdt, GDT_STACK_FAULT, gdt->fault_stack, fault_stack_top);
	gdt_set_stack(gdt, GDT_STACK_NMI, gdt->nmi_stack, nmi_stack_top);
	gdt_set_stack(gdt, GDT_STACK_DEBUG, gdt->debug_stack, debug_stack_top);
}

static void gdt_fill(struct gdt_cpu *gdt)
{
	uint64_t base = (uintptr_t)&gdt->tss;
	uint64_t *tss = &gdt->entries[GDT_TSS / 8];

	gdt->entries[GDT_CODE / 8] = GDT_KERNEL_CODE;
	gdt->entries[GDT_DATA / 8] = GDT_KERNEL_DATA;
	gdt->entries[GDT_USER_DATA / 8] = GDT_KERNEL_DATA | GDT_RING_3;
	gdt->entries[GDT_USER_CODE / 8] = GDT_KERNEL_CODE | GDT_RING_3;
	tss[0] = GDT_TSS_AVAILABLE | (sizeof(gdt->tss) - 1) |
		 (base & 0x00FFFFFFu) << 16 | (base >> 24 & 0xFFu) << 56;
	tss[1] = base >> 32;
}

void gdt_set_kernel_stack(uintptr_t top)
{
	struct gdt_tss *tss = &cpu_this()->gdt.tss;

	tss->stacks[0][0] = (uint32_t)top;
	tss->stacks[0][1] = (uint32_t)(top >> 32);
}

void gdt_init(struct cpu *cpu)
{
	struct gdt_cpu *gdt = &cpu->gdt;
	struct {
		uint16_t padding[3];
		uint16_t limit;
		uint64_t base;
	} pointer = { { 0 },
		      sizeof(gdt->entries) - 1,
		      (uintptr_t)gdt->entries };

	gdt->tss.io_map = sizeof(gdt->tss);
	gdt_set_stacks(gdt);
	gdt_fill(gdt);
	/* A far return is how code of 64 bits changes its segment. */
	__asm__ volatile("lgdt %0\n\t"
			 "push %1\n\t"
			 "lea 1f(%%rip), %%rax\n\t"
			 "push %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "mov %k2, %%ds\n\t"
			 "mov %k2, %%es\n\t"
			 "mov %k2, %%ss\n\t"
			 "mov %k4, %%fs\n\t"
			 "mov %k4, %%gs\n\t"
			 "ltr %w3"
			 :
			 : "m"(pointer.limit), "i"(GDT_CODE), "r"(GDT_DATA),
			   "r"(GDT_TSS), "r"(0)
			 : "rax", "memory");
	cpu_write_msr(MSR_GS_BASE, (uintptr_t)&cpu->local);
	cpu_write_msr(MSR_KERNEL_GS_BASE, 0);
}

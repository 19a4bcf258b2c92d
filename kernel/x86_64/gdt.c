/* SPDX-License-Identifier: MIT */
/* The descriptor table: flat segments, and stacks for the worst exceptions. */

/*
 * A stack overflow runs into the guard page below the stack. The page fault it
 * causes cannot be delivered, because delivering means pushing onto that same
 * stack, so it becomes a double fault. That one, and what can come at any
 * instruction, have stacks of their own, which the CPU switches to by the
 * number in their gates.
 */

#include "gdt.h"
#include "layout.h"

#define GDT_ENTRIES 8u
#define GDT_KERNEL_CODE 0x00AF9A000000FFFFu
#define GDT_KERNEL_DATA 0x00CF92000000FFFFu
#define GDT_RING_3 0x0000600000000000u
#define GDT_TSS_AVAILABLE 0x0000890000000000u

static struct gdt_tss gdt_tss;
static uint64_t gdt_entries[GDT_ENTRIES];

static void gdt_set_stack(enum gdt_stack number, const char *top)
{
	uint64_t address = (uintptr_t)top;

	gdt_tss.ist[number - 1][0] = (uint32_t)address;
	gdt_tss.ist[number - 1][1] = (uint32_t)(address >> 32);
}

static void gdt_fill(void)
{
	uint64_t base = (uintptr_t)&gdt_tss;
	uint64_t *tss = &gdt_entries[GDT_TSS / 8];

	gdt_entries[GDT_CODE / 8] = GDT_KERNEL_CODE;
	gdt_entries[GDT_DATA / 8] = GDT_KERNEL_DATA;
	gdt_entries[GDT_USER_DATA / 8] = GDT_KERNEL_DATA | GDT_RING_3;
	gdt_entries[GDT_USER_CODE / 8] = GDT_KERNEL_CODE | GDT_RING_3;
	tss[0] = GDT_TSS_AVAILABLE | (sizeof(gdt_tss) - 1) |
		 (base & 0x00FFFFFFu) << 16 | (base >> 24 & 0xFFu) << 56;
	tss[1] = base >> 32;
}

void gdt_set_kernel_stack(uintptr_t top)
{
	gdt_tss.stacks[0][0] = (uint32_t)top;
	gdt_tss.stacks[0][1] = (uint32_t)(top >> 32);
}

void gdt_init(void)
{
	struct {
		uint16_t padding[3];
		uint16_t limit;
		uint64_t base;
	} pointer = { { 0 }, sizeof(gdt_entries) - 1, (uintptr_t)gdt_entries };

	gdt_tss.io_map = sizeof(gdt_tss);
	gdt_set_stack(GDT_STACK_FAULT, fault_stack_top);
	gdt_set_stack(GDT_STACK_NMI, nmi_stack_top);
	gdt_set_stack(GDT_STACK_DEBUG, debug_stack_top);
	gdt_fill();
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
			 "ltr %w3"
			 :
			 : "m"(pointer.limit), "i"(GDT_CODE), "r"(GDT_DATA),
			   "r"(GDT_TSS)
			 : "rax", "memory");
}

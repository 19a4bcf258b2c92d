/* SPDX-License-Identifier: MIT */
/* The descriptor table: flat segments, and a task for double faults. */

/*
 * A stack overflow runs into the guard page below the boot stack. The page
 * fault it causes cannot be delivered, because delivering means pushing onto
 * that same stack, so it becomes a double fault. Only a task gate gives the
 * CPU another stack while it is in ring 0: vector 8 switches to the task whose
 * state is gdt_tss_fault, and leaves the registers of the overflow in
 * gdt_tss_kernel, to be reported, or put right and returned to.
 */

#include "cpu.h"
#include "gdt.h"

#define GDT_ENTRIES 7u
#define GDT_FLAT_CODE 0x00CF9A000000FFFFull
#define GDT_FLAT_DATA 0x00CF92000000FFFFull
#define GDT_RING_3 0x0000600000000000ull
#define GDT_TSS_AVAILABLE 0x0000890000000000ull

struct gdt_tss gdt_tss_kernel;
static struct gdt_tss gdt_tss_fault;
static uint64_t gdt_entries[GDT_ENTRIES];
static uint32_t gdt_fault_stack[1024];

static uint64_t gdt_tss_entry(const struct gdt_tss *tss)
{
	uint64_t base = (uintptr_t)tss;
	return GDT_TSS_AVAILABLE | (sizeof(*tss) - 1) |
	       ((base & 0x00FFFFFFu) << 16) | ((base >> 24) << 56);
}

/* The fault task sees the same segments, and starts at entry. */
static void gdt_fill_tasks(void (*entry)(void))
{
	struct gdt_tss *fault = &gdt_tss_fault;

	fault->eip = (uintptr_t)entry;
	fault->esp =
		(uintptr_t)(gdt_fault_stack + LOAM_ARRAY_SIZE(gdt_fault_stack));
	fault->eflags = 2; /* bit 1 always reads as 1; interrupts are off */
	fault->cs = GDT_CODE;
	fault->ss = GDT_DATA;
	fault->ds = GDT_DATA;
	fault->es = GDT_DATA;
	fault->fs = GDT_DATA;
	fault->gs = GDT_DATA;
	fault->io_map = sizeof(*fault);
	gdt_tss_kernel.ss0 = GDT_DATA;
	gdt_tss_kernel.io_map = sizeof(gdt_tss_kernel);
	gdt_set_directory(cpu_read_cr3());
}

void gdt_set_directory(uint32_t cr3)
{
	gdt_tss_fault.cr3 = cr3;
	gdt_tss_kernel.cr3 = cr3;
}

void gdt_set_kernel_directory(uint32_t cr3)
{
	gdt_tss_kernel.cr3 = cr3;
}

void gdt_init(void (*fault_entry)(void))
{
	struct {
		uint16_t padding;
		uint16_t limit;
		uint32_t base;
	} pointer = { 0, sizeof(gdt_entries) - 1, (uintptr_t)gdt_entries };

	gdt_fill_tasks(fault_entry);
	gdt_entries[GDT_CODE / 8] = GDT_FLAT_CODE;
	gdt_entries[GDT_DATA / 8] = GDT_FLAT_DATA;
	gdt_entries[GDT_TSS / 8] = gdt_tss_entry(&gdt_tss_kernel);
	gdt_entries[GDT_TSS_FAULT / 8] = gdt_tss_entry(&gdt_tss_fault);
	gdt_entries[GDT_USER_CODE / 8] = GDT_FLAT_CODE | GDT_RING_3;
	gdt_entries[GDT_USER_DATA / 8] = GDT_FLAT_DATA | GDT_RING_3;
	__asm__ volatile("lgdt %0\n\t"
			 "ljmp %1, $1f\n"
			 "1:\n\t"
			 "mov %2, %%ds\n\t"
			 "mov %2, %%es\n\t"
			 "mov %2, %%fs\n\t"
			 "mov %2, %%gs\n\t"
			 "mov %2, %%ss\n\t"
			 "ltr %w3"
			 :
			 : "m"(pointer.limit), "i"(GDT_CODE), "r"(GDT_DATA),
			   "r"(GDT_TSS)
			 : "memory");
}

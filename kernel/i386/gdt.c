/* SPDX-License-Identifier: MIT */
/* The descriptor table: flat segments, and a task for double faults. */

/*
 * A stack overflow runs into the guard page below the stack. The page fault it
 * causes cannot be delivered, because delivering means pushing onto that same
 * stack, so it becomes a double fault. Only a task gate gives the CPU another
 * stack while it is in ring 0: vector 8 switches to the task whose state is
 * `fault`, and leaves the registers of the overflow in `kernel`, to be
 * reported, or put right and returned to.
 *
 * Every CPU has a table of its own, alike but for the two tasks and for the
 * segment behind FS, at whose base the CPU's struct cpu lies.
 */

#include "../cpus.h"
#include "cpu.h"
#include "gdt.h"

#define GDT_FLAT_CODE 0x00CF9A000000FFFFull
#define GDT_FLAT_DATA 0x00CF92000000FFFFull
#define GDT_BYTES 0x0040920000000000ull /* data, limit in bytes */
#define GDT_RING_3 0x0000600000000000ull
#define GDT_TSS_AVAILABLE 0x0000890000000000ull

static uint32_t gdt_fault_stack[1024];

static uint64_t gdt_entry(uint64_t type, const void *start, size_t size)
{
	uint64_t base = (uintptr_t)start;
	return type | (size - 1) | (base & 0x00FFFFFFu) << 16 |
	       (base >> 24) << 56;
}

/* The fault task sees the same segments, and starts at entry. */
static void gdt_fill_tasks(struct gdt_cpu *gdt, void (*entry)(void))
{
	struct gdt_tss *fault = &gdt->fault;
	char *stack = gdt->fault_stack;

	if (stack == NULL) {
		stack = (char *)(gdt_fault_stack +
				 LOAM_ARRAY_SIZE(gdt_fault_stack));
	}
	fault->eip = (uintptr_t)entry;
	fault->esp = (uintptr_t)stack;
	fault->eflags = 2; /* bit 1 always reads as 1; interrupts are off */
	fault->cs = GDT_CODE;
	fault->ss = GDT_DATA;
	fault->ds = GDT_DATA;
	fault->es = GDT_DATA;
	fault->fs = GDT_LOCAL;
	fault->gs = GDT_DATA;
	fault->cr3 = (uint32_t)cpu_read_cr3();
	fault->io_map = sizeof(*fault);
	gdt->kernel.cr3 = fault->cr3;
	gdt->kernel.ss0 = GDT_DATA;
	gdt->kernel.io_map = sizeof(gdt->kernel);
}

void gdt_set_directory(uint32_t cr3)
{
	struct gdt_cpu *gdt = &cpu_this()->gdt;

	gdt->fault.cr3 = cr3;
	gdt->kernel.cr3 = cr3;
}

void gdt_set_kernel_directory(uint32_t cr3)
{
	cpu_this()->gdt.kernel.cr3 = cr3;
}

static void gdt_fill(struct cpu *cpu)
{
	struct gdt_cpu *gdt = &cpu->gdt;
	uint64_t *entries = gdt->entries;

	entries[GDT_CODE / 8] = GDT_FLAT_CODE;
	entries[GDT_DATA / 8] = GDT_FLAT_DATA;
	entries[GDT_TSS / 8] =
		gdt_entry(GDT_TSS_AVAILABLE, &gdt->kernel, sizeof(gdt->kernel));
	entries[GDT_TSS_FAULT / 8] =
		gdt_entry(GDT_TSS_AVAILABLE, &gdt->fault, sizeof(gdt->fault));
	entries[GDT_USER_CODE / 8] = GDT_FLAT_CODE | GDT_RING_3;
	entries[GDT_USER_DATA / 8] = GDT_FLAT_DATA | GDT_RING_3;
	entries[GDT_LOCAL / 8] =
		gdt_entry(GDT_BYTES, &cpu->local, sizeof(cpu->local));
}

void gdt_init(struct cpu *cpu, void (*fault_entry)(void))
{
	struct {
		uint16_t padding;
		uint16_t limit;
		uint32_t base;
	} pointer = { 0, sizeof(cpu->gdt.entries) - 1,
		      (uintptr_t)cpu->gdt.entries };

	gdt_fill_tasks(&cpu->gdt, fault_entry);
	gdt_fill(cpu);
	__asm__ volatile("lgdt %0\n\t"
			 "ljmp %1, $1f\n"
			 "1:\n\t"
			 "mov %2, %%ds\n\t"
			 "mov %2, %%es\n\t"
			 "mov %2, %%gs\n\t"
			 "mov %2, %%ss\n\t"
			 "mov %3, %%fs\n\t"
			 "ltr %w4"
			 :
			 : "m"(pointer.limit), "i"(GDT_CODE), "r"(GDT_DATA),
			   "r"(GDT_LOCAL), "r"(GDT_TSS)
			 : "memory");
}

/* SPDX-License-Identifier: MIT */
/* Ring 3 of the x86-64: its ways into the kernel, and the one out of order. */

#include "../run.h"

#include "arch.h"
#include "gdt.h"
#include "ktest.h"
#include "mmu.h"
#include "process.h"

#define MSR_GS_BASE 0xC0000101u
#define MSR_KERNEL_GS_BASE 0xC0000102u

LOAM_STATIC_ASSERT(ABI_SPACE_END ==
			   KERNEL_USER_SPACE_BASE + KERNEL_USER_SPACE_SIZE,
		   "what programs are told is what there is");
LOAM_STATIC_ASSERT(ABI_SPACE_BASE == KERNEL_USER_SPACE_BASE &&
			   ABI_PROGRAM_BASE == KERNEL_USER_PROGRAM_BASE &&
			   ABI_STACK_BASE == KERNEL_USER_STACK_BASE,
		   "and where it begins");

KTEST(ring3_edges,
      "S3.28 syscall from wherever a program likes, with any flags")
{
	run_expect("edges", 0);
}

KTEST(ring3_canonical, "S3.34 an address that is none ends the program")
{
	/* With five levels these are addresses, and nobody's. */
	uint32_t next =
		mmu_geometry()->levels == 5 ? ABI_END_FAULT : ABI_END_TRAP;

	run_expect_peek(KERNEL_USER_END, "", next);
	run_expect_peek(KERNEL_SPACE_BASE - 1, "", next);
	run_expect_peek(KERNEL_USER_END, " run", next);
	run_expect_peek(0x8000000000000000u, " write", ABI_END_TRAP);
	run_expect_peek((uintptr_t)image_start, "", ABI_END_FAULT);
	run_expect_peek(PHYS_TO_VIRT((uintptr_t)KERNEL_LOAD), " run",
			ABI_END_FAULT);
}

/* -------- exceptions that come between two instructions -------- */

static void raise_nmi(void *arg)
{
	(void)arg;
	__asm__ volatile("int $2");
}

static void raise_debug(void *arg)
{
	(void)arg;
	__asm__ volatile("int $1");
}

/* As right behind syscall, or right before sysret: GS is the program's. */
static void raise_in_window(void *arg)
{
	__asm__ volatile("swapgs");
	if (arg != NULL) {
		__asm__ volatile("int $1");
	} else {
		__asm__ volatile("int $2");
	}
}

static void expect_raised(void (*raise)(void *arg), void *arg, uint32_t vector)
{
	uint64_t own = cpu_read_msr(MSR_GS_BASE);
	uint64_t user = cpu_read_msr(MSR_KERNEL_GS_BASE);
	struct trap_report report = { .vector = 99 };
	uintptr_t flags = cpu_read_eflags();

	cpu_cli();
	bool raised = trap_expect(raise, arg, &report);
	/* Whichever it was before, what handles exceptions has the kernel's. */
	bool kept = cpu_read_msr(MSR_GS_BASE) == own &&
		    cpu_read_msr(MSR_KERNEL_GS_BASE) == user;
	cpu_write_eflags(flags);
	EXPECT(raised && kept);
	EXPECT_EQ(report.vector, vector);
}

KTEST(ring3_windows,
      "NMI and debug exceptions find their stack, and GS, always")
{
	static char debug;

	EXPECT((intptr_t)cpu_read_msr(MSR_GS_BASE) < 0);
	EXPECT((intptr_t)cpu_read_msr(MSR_KERNEL_GS_BASE) >= 0);
	expect_raised(raise_nmi, NULL, TRAP_NMI);
	expect_raised(raise_debug, NULL, TRAP_DEBUG);
	expect_raised(raise_in_window, NULL, TRAP_NMI);
	expect_raised(raise_in_window, &debug, TRAP_DEBUG);
	expect_raised(raise_nmi, NULL, TRAP_NMI);
}

/* SPDX-License-Identifier: MIT */
/* Address spaces of processes, in either layout: what is whose in them. */

#include <loam/bits.h>

#include "arch.h"
#include "ktest.h"
#include "mmu.h"
#include "process.h"
#include "run.h"

static bool is_users(uintptr_t address)
{
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user =
			&kernel.layout.user[i];
		if (address - user->base < user->size) {
			return true;
		}
	}
	return false;
}

/* -------- the kernel's part -------- */

/* The tables that every process begins with. */
static void begin_space(struct loam_pt *pt)
{
	EXPECT_EQ(loam_pt_init(pt, mmu_geometry(), &loam_kspace_pt_ops, NULL,
			       &kernel.kspace),
		  0);
	EXPECT_EQ(loam_boot_share_kernel(&kernel, pt), 0);
}

/* A sum over what the kernel has in several places. */
static uint32_t sum_of_kernel(const uint32_t *const places[4])
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < 4; i++) {
		for (unsigned word = 0; word < 1024; word++) {
			sum = (sum << 1 | sum >> 31) ^ places[i][word];
		}
	}
	return sum;
}

KTEST(space_kernel, "S3.5 S3.7 the kernel reads the same in every directory")
{
	static struct loam_pt roots_of[2];
	uint32_t *block = kmalloc(LOAM_PAGE_SIZE);
	uint32_t *range = vmalloc(LOAM_PAGE_SIZE);
	const uint32_t *const places[4] = {
		(const uint32_t *)(uintptr_t)text_start,
		(const uint32_t *)(uintptr_t)rodata_start, block, range
	};
	uintptr_t roots[2];
	uint32_t sums[2];

	EXPECT(block != NULL && range != NULL);
	for (unsigned i = 0; i < 1024; i++) {
		block[i] = i * 0x9E3779B9u;
		range[i] = ~block[i];
	}
	uintptr_t root = cpu_read_cr3();
	uint32_t sum = sum_of_kernel(places);
	for (unsigned i = 0; i < 2; i++) {
		begin_space(&roots_of[i]);
	}
	uintptr_t eflags = cpu_read_eflags();
	cpu_cli();
	for (unsigned i = 0; i < 2; i++) {
		mmu_load_root(roots_of[i].root);
		roots[i] = cpu_read_cr3();
		sums[i] = sum_of_kernel(places);
		block[0] += 1; /* seen by all, and undone below */
		sums[i] ^= block[0] ^ i;
		block[0] -= 1;
	}
	mmu_load_root(root);
	cpu_write_eflags(eflags);
	EXPECT(roots[0] != roots[1] && roots[0] != root && roots[1] != root);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT_EQ(sums[i], sum ^ 1u ^ i);
		loam_pt_fini(&roots_of[i]);
	}
	kfree(block);
	vfree(range);
}

static int visit_space(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		       loam_prot_t prot, size_t page_size)
{
	unsigned *runs = arg;
	struct loam_pt_mapping mapping;

	(void)page_size;
	(*runs)++;
	if ((prot & LOAM_PROT_USER) != 0) {
		return 1;
	}
	/* A run of one protection may go on where the user's begins. */
	if (is_users(virt) || is_users(virt + size - 1)) {
		return 2;
	}
	if (loam_pt_query(&kernel.pt, virt, &mapping) != 0 ||
	    mapping.phys != phys) {
		return 3;
	}
	return 0;
}

KTEST(space_supervisor, "S3.34 a process has nothing of the kernel's to read")
{
	static struct loam_pt pt;
	uint64_t before = ktest_free_frames();
	unsigned runs = 0;

	begin_space(&pt);
	EXPECT_EQ(
		loam_pt_visit(&pt, 0, KERNEL_USER_END - 1, visit_space, &runs),
		0);
	EXPECT_EQ(loam_pt_visit(&pt, KERNEL_SPACE_BASE, UINTPTR_MAX,
				visit_space, &runs),
		  0);
	EXPECT(runs > 2);
	EXPECT_EQ(loam_pt_check(&pt), 0);
	/* A copy of what the user's ranges interrupt, and nothing more. */
	EXPECT(loam_pt_count_tables(&pt) <= 8);
	loam_pt_fini(&pt);
	loam_kspace_vfree(&kernel.kspace, vmalloc(LOAM_PAGE_SIZE));
	EXPECT_EQ(ktest_free_frames(), before);
}

/* -------- programs -------- */

KTEST(space_reach, "S3.34 S3.9 S4.30 ring 3 reads what is its own, and no more")
{
	static const uintptr_t forbidden[] = {
		0,
		0x1000,
		0xB8000,
		0x00100000,
		0x003FAFFC,
		0x003FF000,
		0x01000000,
		0x0FFFF000,
		0x10000000,
		ABI_SPACE_END - LOAM_PAGE_SIZE,
		KERNEL_SPACE_BASE,
		KERNEL_SPACE_BASE + KERNEL_LOAD,
		KERNEL_SPACE_BASE + 0x0F000000u,
		KERNEL_HEAP_BASE,
		KERNEL_WINDOW_BASE,
		KERNEL_SHADOW_BASE,
		KERNEL_TEMP_BASE,
		KERNEL_IMAGE_BASE + KERNEL_LOAD,
		UINTPTR_MAX,
	};
	static const uintptr_t allowed[] = { 0x003FB000, 0x003FCFFF, 0x003FD000,
					     0x003FEFFF, 0x00400000 };

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(forbidden); i++) {
		run_expect_peek(forbidden[i], "", ABI_END_FAULT);
	}
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(allowed); i++) {
		run_expect_peek(allowed[i], "", 0);
	}
}

KTEST(space_large,
      "S3.37 S3.8 a program of 3 MiB hides nothing of the kernel's")
{
	if (kernel.layout.user[1].size < LOAM_MIB(3) + LOAM_KIB(64)) {
		ktest_skip("on this machine programs have less room");
	}
	/* No stack of the kernel's is where a program could be. */
	EXPECT(!is_users((uintptr_t)__builtin_frame_address(0)));
	EXPECT_EQ(run_program("large"), 0);
}

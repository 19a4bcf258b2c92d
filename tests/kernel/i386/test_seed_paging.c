/* SPDX-License-Identifier: MIT */
/* Seed 003's paging on the CPU: its directories, loaded and changed. */

#include <loam/bits.h>

#include "arch.h"
#include "ktest.h"
#include "seed_paging.h"

#define RW (PAGING_IS_PRESENT | PAGING_IS_WRITEABLE)

static bool in_windows(uintptr_t address)
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;

	return address - kspace->window_base < kspace->window_size ||
	       address - kspace->temp_base < kspace->temp_size ||
	       address - layout->shadow_base < layout->shadow_size ||
	       address - layout->heap_base < layout->heap_size ||
	       address - (uintptr_t)boot_stack_guard < LOAM_PAGE_SIZE;
}

KTEST(seed_identity, "S3.1 S3.32 paging_get_physical_address answers itself")
{
	static const uint32_t named[] = { 0, 0xB8000u, 0xFFFFF000u,
					  0xFFFFFFFFu };
	uint32_t state = 0x31;
	unsigned looked_at = 0;

	seed_paging_init();
	uint32_t *directory = seed_kernel_chunk.directory_entry;
	if (!machine_is_identity()) {
		ktest_skip("this layout is not identity-mapped");
	}
	for (unsigned i = 0; i < 4; i++) {
		void *address = (void *)(uintptr_t)named[i];
		EXPECT(paging_get_physical_address(directory, address) ==
		       address);
	}
	while (looked_at < 1000) {
		void *address = (void *)(uintptr_t)ktest_random(&state);
		if (!in_windows((uintptr_t)address)) {
			EXPECT(paging_get_physical_address(directory,
							   address) == address);
			looked_at++;
		}
	}
}

KTEST(seed_translate, "S3.32 it finds what the page-table floor has mapped")
{
	unsigned char *block = vmalloc(LOAM_KIB(20));
	struct loam_pt_mapping mapping;
	loam_phys_t phys;

	seed_paging_init();
	EXPECT(block != NULL);
	for (size_t at = 0; at < LOAM_KIB(20); at += 1000) {
		EXPECT_EQ(loam_pt_query(&kernel.pt, (uintptr_t)block + at,
					&mapping),
			  0);
		EXPECT_EQ(
			(uintptr_t)paging_get_physical_address(
				seed_kernel_chunk.directory_entry, block + at),
			mapping.phys);
	}
	vfree(block);
	EXPECT_EQ(loam_paging_translate(&loam_compat_paging,
					seed_kernel_chunk.directory_entry,
					(uintptr_t)block, &phys),
		  -LOAM_ENOENT);
}

KTEST(seed_registers, "S3.6 the routines change CR3 and bit 31 of CR0 alone")
{
	uint32_t cr0 = cpu_read_cr0();
	uint32_t cr3 = cpu_read_cr3();

	paging_load_directory((uint32_t *)(uintptr_t)cr3);
	EXPECT_EQ(cpu_read_cr3(), cr3);
	enable_paging();
	EXPECT_EQ(cpu_read_cr0(), cr0);
	EXPECT((cr0 & CPU_CR0_PG) != 0);
	/* Their code, as the seed lists it: mov cr3, eax; mov cr0, eax. */
	const unsigned char *load =
		(const unsigned char *)(uintptr_t)paging_load_directory;
	const unsigned char *enable =
		(const unsigned char *)(uintptr_t)enable_paging;
	EXPECT_EQ(memcmp(load, "\x55\x89\xe5\x8b\x45\x08\x0f\x22\xd8\x5d\xc3",
			 11),
		  0);
	EXPECT_EQ(memcmp(enable,
			 "\x55\x89\xe5\x0f\x20\xc0\x0d\0\0\0\x80"
			 "\x0f\x22\xc0\x5d\xc3",
			 16),
		  0);
}

/* -------- on a directory of the seed's -------- */

static struct {
	struct paging_4gb_chunk *chunk;
	volatile uint32_t *pages[2];
	uint32_t seen[4];
	uint32_t cr3;
	unsigned long not_needed;
	unsigned long flushes;
} seed;

static unsigned long seed_flushes(void)
{
	const struct loam_tlb_stats *stats = &loam_compat_paging.stats;
	return (unsigned long)(stats->pages + stats->full);
}

/*
 * What runs while the kernel's windows are not there: no allocation and no
 * interrupt. Only looks; what it saw is judged afterwards.
 */
static void seed_visit(void)
{
	void *first = (void *)(uintptr_t)seed.pages[0];
	void *second = (void *)(uintptr_t)seed.pages[1];
	const struct loam_tlb_stats *stats = &loam_compat_paging.stats;
	uint32_t eflags = cpu_read_eflags();

	cpu_cli();
	paging_switch(seed.chunk);
	seed.cr3 = cpu_read_cr3();
	seed.seen[0] = *seed.pages[0];
	unsigned long before = seed_flushes();
	paging_map(NULL, first, second, RW);
	seed.seen[1] = *seed.pages[0];
	*seed.pages[0] = 0x5EED;
	paging_map(NULL, first, first, 0);
	seed.seen[2] =
		(uint32_t)(uintptr_t)paging_get_physical_address(NULL, first);
	unsigned long unneeded = (unsigned long)stats->not_needed;
	paging_map(NULL, first, first, RW);
	seed.not_needed = (unsigned long)stats->not_needed - unneeded;
	seed.seen[3] = *seed.pages[0];
	seed.flushes = seed_flushes() - before;
	paging_switch(&seed_kernel_chunk);
	cpu_write_eflags(eflags);
}

KTEST(seed_directory, "S3.2 S3.5 S3.33 a directory is loaded, changed, flushed")
{
	uint64_t before = ktest_free_frames();

	seed_paging_init();
	if (!machine_is_identity()) {
		ktest_skip("the kernel is not at its physical address");
	}
	seed.chunk = paging_new_4gb(RW);
	if (seed.chunk == NULL) {
		EXPECT_EQ(ktest_free_frames(), before);
		ktest_skip("a directory takes 4 MiB, which are not there");
	}
	EXPECT(before - ktest_free_frames() >= 1025);
	EXPECT_EQ(loam_paging_check(&loam_compat_paging, seed.chunk), 0);
	for (unsigned i = 0; i < 2; i++) {
		seed.pages[i] = kmalloc(LOAM_PAGE_SIZE);
		EXPECT(seed.pages[i] != NULL);
		*seed.pages[i] = 0xA0 + i;
	}
	uint32_t cr3 = cpu_read_cr3();
	seed_visit();
	EXPECT_EQ(cpu_read_cr3(), cr3);
	EXPECT_EQ(seed.cr3, (uintptr_t)seed.chunk->directory_entry);
	EXPECT(seed.cr3 != cr3);
	EXPECT_EQ(seed.seen[0], 0xA0);
	EXPECT_EQ(seed.seen[1], 0xA1);
	EXPECT_EQ(seed.seen[2], 0);
	EXPECT_EQ(seed.seen[3], 0xA0);
	EXPECT_EQ(*seed.pages[0], 0xA0);
	EXPECT_EQ(*seed.pages[1], 0x5EED);
	EXPECT_EQ(seed.flushes, 2);
	EXPECT_EQ(seed.not_needed, 1);
	kfree((void *)(uintptr_t)seed.pages[0]);
	kfree((void *)(uintptr_t)seed.pages[1]);
	paging_free_4gb(seed.chunk);
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(seed_no_memory, "S3.4 memory ends inside paging_new_4gb: nothing is left")
{
	struct paging_4gb_chunk *chunks[4];
	uint64_t before = ktest_free_frames();
	unsigned count = 0;

	for (unsigned nth = 1; nth <= 1025; nth += 128) {
		loam_frame_fail_nth(&kernel.frames, nth);
		chunks[0] = paging_new_4gb(RW);
		loam_frame_fail_nth(&kernel.frames, 0);
		paging_free_4gb(chunks[0]);
		EXPECT_EQ(ktest_free_frames(), before);
	}
	while (count < LOAM_ARRAY_SIZE(chunks) &&
	       (chunks[count] = paging_new_4gb(RW)) != NULL) {
		count++;
	}
	while (count > 0) {
		paging_free_4gb(chunks[--count]);
	}
	EXPECT_EQ(ktest_free_frames(), before);
}

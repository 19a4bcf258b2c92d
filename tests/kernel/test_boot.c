/* SPDX-License-Identifier: MIT */
/* What bring-up has done to this machine, seen from inside of it. */

#include <loam/bits.h>

#include "arch.h"
#include "ktest.h"

/* The frame's bytes as the raw entries have it: all usable, none forbidden. */
static bool frame_is_usable(uint64_t pfn)
{
	uint64_t start = pfn << LOAM_PAGE_SHIFT;
	uint64_t end = start + LOAM_PAGE_SIZE;
	uint64_t covered = 0;

	for (uint32_t i = 0; i < kernel.info.entry_count; i++) {
		const struct loam_memmap_entry *e = &kernel.info.entries[i];
		uint64_t first = e->base > start ? e->base : start;
		uint64_t last = e->base + e->length;
		last = last < end ? last : end;
		if (first >= last || (e->attributes & 1u) == 0) {
			continue;
		}
		if (e->type != LOAM_MEM_USABLE) {
			return false;
		}
		covered += last - first;
	}
	return covered >= LOAM_PAGE_SIZE;
}

/* The next frame that may differ: one with a border in it, or after such. */
static uint64_t next_border(uint64_t pfn)
{
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < kernel.info.entry_count; i++) {
		const struct loam_memmap_entry *e = &kernel.info.entries[i];
		const uint64_t borders[] = { e->base, e->base + e->length };
		for (unsigned j = 0; j < 2; j++) {
			uint64_t at = borders[j] >> LOAM_PAGE_SHIFT;
			at += at <= pfn;
			next = at > pfn && at < next ? at : next;
		}
	}
	return next;
}

KTEST(boot_usable_total, "S1.3 usable total is that of the firmware's entries")
{
	uint64_t frames = 0;
	uint64_t next;

	for (uint64_t pfn = 0; pfn != UINT64_MAX; pfn = next) {
		next = next_border(pfn);
		frames += frame_is_usable(pfn) ? next - pfn : 0;
	}
	EXPECT(frames > 0);
	EXPECT_EQ(loam_memmap_usable_frames(&kernel.memmap), frames);
}

KTEST(boot_steps, "S4.1 the eight steps happen in their order")
{
	EXPECT(kernel.up);
	if (!cpu_features.tsc) {
		ktest_skip("this CPU has no time-stamp counter");
	}
	for (unsigned i = 3; i <= LOAM_BOOT_STEPS; i++) {
		EXPECT(kernel.step_clock[i] > kernel.step_clock[i - 1]);
	}
}

KTEST(boot_higher_half, "S4.2 the kernel runs where it was linked")
{
	/* In the higher half, or at its physical address. */
	const uintptr_t base = KERNEL_IMAGE_BASE + KERNEL_LOAD;

	EXPECT(machine_is_identity() || base > UINTPTR_MAX / 2);
	EXPECT((uintptr_t)kmain - base < 0x1000000u);
	EXPECT((uintptr_t)text_start - base < 0x1000000u);
	EXPECT((uintptr_t)&kernel - base < 0x1000000u);
	EXPECT((uintptr_t)__builtin_frame_address(0) - base < 0x1000000u);
	EXPECT((cpu_read_cr0() & CPU_CR0_PG) != 0);
}

KTEST(boot_macros, "S4.3 VIRT_TO_PHYS and PHYS_TO_VIRT are the offset")
{
	LOAM_STATIC_ASSERT(VIRT_TO_PHYS(KERNEL_BASE + 0x100000u) == 0x100000u,
			   "the offset, and nothing else");
	LOAM_STATIC_ASSERT(PHYS_TO_VIRT(0x100000u) == KERNEL_BASE + 0x100000u,
			   "the offset, and nothing else");
	/* The Multiboot header is where both say that it is. */
	const uint32_t *start = loam_host_phys_to_virt(KERNEL_LOAD);
	EXPECT_EQ((uintptr_t)start, PHYS_TO_VIRT(KERNEL_LOAD));
	EXPECT_EQ((uintptr_t)image_start, KERNEL_IMAGE_BASE + KERNEL_LOAD);
	EXPECT_EQ(VIRT_TO_PHYS((uintptr_t)image_start), KERNEL_LOAD);
}

KTEST(boot_map, "S4.4 S1.30 the boot path delivered a map and a path name")
{
	EXPECT(kernel.info.entry_count > 0);
	EXPECT(kernel.info.path != NULL);
	EXPECT(kernel.info.source != NULL);
	EXPECT(loam_memmap_is_usable(&kernel.memmap, KERNEL_LOAD,
				     (uintptr_t)image_end -
					     (uintptr_t)image_start));
}

KTEST(boot_sealed, "S2.2 S4.7 the boot allocator refuses once frames are live")
{
	uint64_t free = loam_memblock_free_bytes(&kernel.memblock);

	ktest_expect_misuse(2);
	EXPECT(kernel.memblock.sealed);
	EXPECT_EQ(loam_memblock_alloc(&kernel.memblock, 64, 8, 0, LOAM_MIB(256),
				      LOAM_BOTTOM_UP, LOAM_RESERVED_MEMBLOCK),
		  LOAM_PHYS_NONE);
	EXPECT_EQ(loam_memblock_reserve(&kernel.memblock, LOAM_MIB(2), 4096,
					LOAM_RESERVED_MEMBLOCK),
		  -LOAM_EPERM);
	EXPECT_EQ(loam_memblock_free_bytes(&kernel.memblock), free);
}

KTEST(boot_copied, "X.2 boot information lies in the kernel's own memory")
{
	uintptr_t info = (uintptr_t)&kernel.info;
	uintptr_t entries = (uintptr_t)kernel.info.entries;

	EXPECT(info >= (uintptr_t)data_start);
	EXPECT(info + sizeof(kernel.info) <= (uintptr_t)data_end);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, VIRT_TO_PHYS(entries)),
		  LOAM_RESERVED_MEMBLOCK);
	EXPECT_EQ(loam_memblock_owner(
			  &kernel.memblock,
			  VIRT_TO_PHYS((uintptr_t)kernel.memmap.ranges)),
		  LOAM_RESERVED_MEMBLOCK);
}

KTEST(boot_reclaimed, "what only bring-up needed is page frames now")
{
	const uintptr_t pages[] = { (uintptr_t)image_start,
				    (uintptr_t)init_end - 1,
				    (uintptr_t)init_bss_start,
				    (uintptr_t)init_bss_end - 1 };
	struct loam_frame_info info;

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(pages); i++) {
		loam_phys_t phys = VIRT_TO_PHYS(pages[i]);
		EXPECT_EQ(loam_memblock_owner(&kernel.memblock, phys),
			  LOAM_RESERVED_NONE);
		EXPECT_EQ(loam_frame_info(&kernel.frames,
					  loam_phys_to_pfn(phys), &info),
			  0);
	}
}

KTEST(boot_metadata, "metadata stays below 0.6 % of memory")
{
	uint64_t frames = loam_memmap_usable_frames(&kernel.memmap);

	/* A chunk of descriptors is the least there can be. */
	EXPECT(kernel.metadata_bytes * 1000 <=
	       frames * LOAM_PAGE_SIZE * 6 + LOAM_KIB(32) * 1000);
}

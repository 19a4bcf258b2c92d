/* SPDX-License-Identifier: MIT */
/* Page frames on this machine's own memory. */

#include <loam/bits.h>

#include "layout.h"
#include "ktest.h"

KTEST(frames_one_owner, "X.4 S2.18 every usable frame has exactly one owner")
{
	uint64_t reach = kernel.layout.reach_end >> LOAM_PAGE_SHIFT;
	uint64_t pfn = 0;
	uint64_t count = 0;

	while (loam_memmap_next_usable(&kernel.memmap, &pfn, &count)) {
		uint64_t end = pfn + count < reach ? pfn + count : reach;
		for (; pfn < end; pfn++) {
			struct loam_frame_info info;
			bool reserved =
				loam_memblock_owner(&kernel.memblock,
						    pfn << LOAM_PAGE_SHIFT) !=
				LOAM_RESERVED_NONE;
			bool managed =
				loam_frame_info(&kernel.frames, (loam_pfn_t)pfn,
						&info) == 0;
			if (reserved == managed) {
				kprintf("# frame 0x%x: %s\n", (unsigned)pfn,
					managed ? "two owners" : "no owner");
			}
			EXPECT(reserved != managed);
		}
		if (pfn >= reach) {
			break;
		}
		count = 0;
	}
}

KTEST(frames_nobody_elses,
      "X.4 S2.18 no frame outside usable memory is managed")
{
	uint64_t end = loam_memmap_max_usable_pfn(&kernel.memmap);
	uint64_t reach = kernel.layout.reach_end >> LOAM_PAGE_SHIFT;
	struct loam_frame_info info;

	end = end < reach ? end : reach;
	for (uint64_t pfn = 0; pfn < end; pfn++) {
		if (!loam_memmap_is_usable(&kernel.memmap,
					   pfn << LOAM_PAGE_SHIFT,
					   LOAM_PAGE_SIZE)) {
			EXPECT_EQ(loam_frame_info(&kernel.frames,
						  (loam_pfn_t)pfn, &info),
				  -LOAM_ENOENT);
		}
	}
	for (uint64_t pfn = end; pfn < end + 4096 && pfn < reach; pfn++) {
		EXPECT_EQ(
			loam_frame_info(&kernel.frames, (loam_pfn_t)pfn, &info),
			-LOAM_ENOENT);
	}
}

KTEST(frames_reservations, "X.4 reservations are sorted and do not overlap")
{
	const struct loam_memblock *memblock = &kernel.memblock;

	for (uint32_t i = 1; i < memblock->count; i++) {
		const struct loam_memblock_region *before =
			&memblock->regions[i - 1];
		EXPECT(before->base + before->size <=
		       memblock->regions[i].base);
	}
}

static uint64_t zone_sum(bool free_only)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOAM_ZONE_COUNT; i++) {
		struct loam_zone_stats stats;
		loam_frame_zone_stats(&kernel.frames, (enum loam_zone_id)i,
				      &stats);
		sum += free_only ? stats.free : stats.managed;
	}
	return sum;
}

KTEST(frames_formula, "S2.10 S2.18 managed frames are usable minus reserved")
{
	uint64_t reach = kernel.layout.reach_end >> LOAM_PAGE_SHIFT;
	uint64_t expected = 0;
	uint64_t pfn = 0;
	uint64_t count;

	while (loam_memmap_next_usable(&kernel.memmap, &pfn, &count)) {
		uint64_t end = pfn + count < reach ? pfn + count : reach;
		expected += end > pfn ? end - pfn : 0;
		for (uint64_t at = pfn; at < end; at++) {
			expected -=
				loam_memblock_owner(&kernel.memblock,
						    at << LOAM_PAGE_SHIFT) !=
				LOAM_RESERVED_NONE;
		}
		pfn += count;
	}
	EXPECT_EQ(zone_sum(false), expected);
	EXPECT_EQ(zone_sum(true), loam_frame_free_count(&kernel.frames));
}

KTEST(frames_zones, "DMA, normal and high requests get what they ask for")
{
	loam_pfn_t dma = loam_frame_alloc(&kernel.frames, 0, LOAM_DMA);
	loam_pfn_t normal = loam_frame_alloc(&kernel.frames, 0, 0);

	EXPECT(dma != LOAM_PFN_NONE && normal != LOAM_PFN_NONE);
	EXPECT(loam_pfn_to_phys(dma) < LOAM_MIB(16));
	EXPECT(loam_pfn_to_phys(normal) < KERNEL_DIRECT_SIZE);
	loam_frame_free(&kernel.frames, dma, 0);
	loam_frame_free(&kernel.frames, normal, 0);
}

/* The area whose normal memory a CPU of the node gets: the nearest with any. */
static unsigned near_area(unsigned node)
{
	const struct loam_frames *frames = &kernel.frames;

	for (unsigned i = 0; i < frames->area_count; i++) {
		struct loam_zone_stats stats;
		unsigned area = frames->near[node][i];
		loam_frame_area_stats(&kernel.frames, area, LOAM_ZONE_NORMAL,
				      &stats);
		if (stats.free > 64) {
			return area;
		}
	}
	return frames->area_count;
}

KTEST(frames_node, "X.4 each node's CPUs have the nearest memory")
{
	const struct loam_frames *frames = &kernel.frames;
	loam_pfn_t pfns[16];

	if (frames->node_count == 1 ||
	    loam_frame_order_max(&kernel.frames) == 0) {
		ktest_skip("there is one node");
	}
	unsigned cpu = loam_cpu_enter();
	unsigned kept = frames->cpus[cpu].node;
	for (unsigned node = 0; node < frames->node_count; node++) {
		unsigned area = near_area(node);
		EXPECT_EQ(loam_frame_set_cpu_node(&kernel.frames, cpu, node),
			  0);
		EXPECT_EQ(loam_frame_alloc_bulk(&kernel.frames, 16, pfns, 0),
			  0);
		for (unsigned i = 0; i < 16 && area < frames->area_count; i++) {
			EXPECT(pfns[i] >= frames->areas[area].first);
			EXPECT(pfns[i] < frames->areas[area].end);
		}
		loam_frame_free_bulk(&kernel.frames, 16, pfns);
	}
	EXPECT_EQ(loam_frame_set_cpu_node(&kernel.frames, cpu, kept), 0);
	loam_cpu_leave(cpu);
}

KTEST(frames_range, "a range of frames lies where it was asked for")
{
	if (loam_frame_order_max(&kernel.frames) == 0) {
		ktest_skip("frames come one by one");
	}
	loam_pfn_t range = loam_frame_alloc_range(
		&kernel.frames, 9, 4, LOAM_MIB(16), LOAM_KIB(64), 0);
	EXPECT(range != LOAM_PFN_NONE);
	EXPECT(loam_pfn_to_phys(range + 9) <= LOAM_MIB(16));
	EXPECT_EQ(range % 4, 0);
	EXPECT_EQ(range >> 4, (range + 8) >> 4);
	loam_frame_free_range(&kernel.frames, range, 9);
}

KTEST(frames_zeroed, "LOAM_ZERO clears a block that was dirty")
{
	unsigned most = loam_frame_order_max(&kernel.frames);
	for (unsigned order = 0; order < 4 && order <= most; order++) {
		size_t bytes = (size_t)LOAM_PAGE_SIZE << order;
		loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, order, 0);
		EXPECT(pfn != LOAM_PFN_NONE);
		memset(loam_host_phys_to_virt(loam_pfn_to_phys(pfn)), 0xA5,
		       bytes);
		loam_frame_free(&kernel.frames, pfn, order);
		pfn = loam_frame_alloc(&kernel.frames, order, LOAM_ZERO);
		EXPECT(pfn != LOAM_PFN_NONE);
		const uint32_t *words =
			loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
		uint32_t any = 0;
		for (size_t i = 0; i < bytes / 4; i++) {
			any |= words[i];
		}
		loam_frame_free(&kernel.frames, pfn, order);
		EXPECT_EQ(any, 0);
	}
}

static bool machine_has_high(void)
{
	struct loam_zone_stats stats;

	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_HIGH, &stats);
	return stats.free > 0;
}

/* Fills a frame with a pattern of its own, or counts what differs from it. */
static unsigned pattern(loam_pfn_t pfn, bool write)
{
	uint32_t *words = loam_kspace_temp_map(&kernel.kspace, pfn);
	uint32_t state = pfn;
	unsigned different = 0;

	EXPECT(words != NULL);
	for (unsigned i = 0; i < LOAM_PAGE_SIZE / 4; i++) {
		uint32_t value = ktest_random(&state);
		if (write) {
			words[i] = value;
		}
		different += words[i] != value;
	}
	loam_kspace_temp_unmap(&kernel.kspace, words);
	return different;
}

KTEST(frames_high, "high memory is real memory, reached by temporary maps")
{
	loam_pfn_t pfns[64];

	if (!machine_has_high()) {
		ktest_skip("no memory beyond the direct map");
	}
	EXPECT_EQ(loam_frame_alloc_bulk(&kernel.frames, 64, pfns, LOAM_HIGH),
		  0);
	for (unsigned i = 0; i < 64; i++) {
		EXPECT(loam_pfn_to_phys(pfns[i]) >= KERNEL_DIRECT_SIZE);
		EXPECT(loam_host_phys_to_virt(loam_pfn_to_phys(pfns[i])) ==
		       NULL);
		pattern(pfns[i], true);
	}
	for (unsigned i = 0; i < 64; i++) {
		EXPECT_EQ(pattern(pfns[i], false), 0);
	}
	/* The same frames through a mapping of their own. */
	uint32_t *words =
		loam_kspace_vmap(&kernel.kspace, pfns, 64, LOAM_PROT_READ);
	EXPECT(words != NULL);
	for (unsigned i = 0; i < 64; i++) {
		uint32_t state = pfns[i];
		EXPECT_EQ(words[i * 1024], ktest_random(&state));
	}
	loam_kspace_vunmap(&kernel.kspace, words);
	loam_frame_free_bulk(&kernel.frames, 64, pfns);
}

/*
 * Of the thousand and more blocks that large machines have, the first 32 and
 * every 8th are written to, and all where tests may be long: the host must find
 * memory for each.
 */
static bool block_is_marked(unsigned number)
{
	return number < 32 || number % 8 == 0 || ktest_long();
}

/* A word in the first and in the last frame of a block, written or read. */
static bool mark_block(loam_pfn_t pfn, bool write)
{
	bool right = true;

	for (unsigned i = 0; i < 2; i++) {
		loam_pfn_t frame = pfn + i * (LOAM_CHUNK_FRAMES - 1);
		volatile uint32_t *word =
			loam_kspace_temp_map(&kernel.kspace, frame);
		EXPECT(word != NULL);
		if (write) {
			*word = ~frame;
		}
		right &= *word == ~frame;
		loam_kspace_temp_unmap(&kernel.kspace, (void *)(uintptr_t)word);
	}
	return right;
}

KTEST(frames_distinct, "S4.31 no two blocks of high memory are the same memory")
{
	const unsigned most = 2048;
	const loam_pfn_t gib4 = (loam_pfn_t)(LOAM_GIB(4) >> LOAM_PAGE_SHIFT);
	unsigned count = 0;
	unsigned beyond = 0;
	unsigned wrong = 0;

	if (!machine_has_high()) {
		ktest_skip("no memory beyond the direct map");
	}
	loam_pfn_t *blocks = vmalloc(most * sizeof(*blocks));
	EXPECT(blocks != NULL);
	loam_frame_drain(&kernel.frames);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	while (count < most) {
		loam_pfn_t pfn = loam_frame_alloc(&kernel.frames,
						  LOAM_ORDER_MAX, LOAM_HIGH);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		if (loam_pfn_to_phys(pfn) < KERNEL_DIRECT_SIZE) {
			loam_frame_free(&kernel.frames, pfn, LOAM_ORDER_MAX);
			break;
		}
		if (block_is_marked(count)) {
			mark_block(pfn, true);
		}
		beyond += pfn >= gib4;
		blocks[count++] = pfn;
	}
	for (unsigned i = 0; i < count; i++) {
		wrong += block_is_marked(i) && !mark_block(blocks[i], false);
		loam_frame_free(&kernel.frames, blocks[i], LOAM_ORDER_MAX);
	}
	vfree(blocks);
	EXPECT_EQ(wrong, 0);
	EXPECT(loam_frame_free_count(&kernel.frames) >= before);
	/* All 4 MiB of what the map has there and the MMU reaches. */
	uint64_t pfn = gib4;
	uint64_t length = 0;
	uint64_t reach = kernel.layout.reach_end >> LOAM_PAGE_SHIFT;
	if (count < most && reach > gib4 &&
	    loam_memmap_next_usable(&kernel.memmap, &pfn, &length)) {
		uint64_t reached = reach - gib4;
		length = length < reached ? length : reached;
		/* Each CPU may keep a frame of one of them. */
		EXPECT(beyond + LOAM_MAX_CPUS >= length / LOAM_CHUNK_FRAMES);
	}
}

KTEST(frames_high_zeroed, "LOAM_ZERO clears high frames too")
{
	if (!machine_has_high()) {
		ktest_skip("no memory beyond the direct map");
	}
	loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, LOAM_HIGH);
	EXPECT(pfn != LOAM_PFN_NONE);
	pattern(pfn, true);
	loam_frame_free(&kernel.frames, pfn, 0);
	pfn = loam_frame_alloc(&kernel.frames, 0, LOAM_HIGH | LOAM_ZERO);
	EXPECT(pfn != LOAM_PFN_NONE);
	const uint32_t *words = loam_kspace_temp_map(&kernel.kspace, pfn);
	uint32_t any = 0;
	for (unsigned i = 0; i < LOAM_PAGE_SIZE / 4; i++) {
		any |= words[i];
	}
	loam_kspace_temp_unmap(&kernel.kspace, (void *)(uintptr_t)words);
	loam_frame_free(&kernel.frames, pfn, 0);
	EXPECT_EQ(any, 0);
}

KTEST(frames_exhausted, "S2.14 S4.17 all frames out, then all of them back")
{
	uint64_t most = ktest_free_frames();
	loam_pfn_t *pfns = vmalloc((size_t)most * sizeof(*pfns));
	EXPECT(pfns != NULL);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	size_t count = 0;

	while (count < most) {
		loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, LOAM_HIGH);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		pfns[count++] = pfn;
	}
	uint64_t left = loam_frame_free_count(&kernel.frames);
	loam_pfn_t more = loam_frame_alloc(&kernel.frames, 0, LOAM_HIGH);
	loam_pfn_t dma = loam_frame_alloc(&kernel.frames, 0, LOAM_DMA);
	void *pages = vmalloc(LOAM_MIB(1));
	void *block = kmalloc(LOAM_MIB(1));
	int error = loam_boot_check(&kernel);
	kfree(block);
	for (size_t i = 0; i < count; i++) {
		loam_frame_free(&kernel.frames, pfns[i], 0);
	}
	EXPECT_EQ(count, before);
	EXPECT_EQ(left, 0);
	EXPECT_EQ(more, LOAM_PFN_NONE);
	EXPECT_EQ(dma, LOAM_PFN_NONE);
	/* The block heap has memory of its own. */
	EXPECT(pages == NULL);
	EXPECT(block == NULL || kernel.choice.heap == LOAM_BOOT_BLOCK);
	EXPECT_EQ(error, 0);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	vfree(pfns);
	EXPECT_EQ(ktest_free_frames(), most);
}

KTEST(frames_misuse, "S4.18 bad frees of frames are reported, nothing changes")
{
	if (loam_frame_order_max(&kernel.frames) == 0) {
		ktest_skip("frames come one by one: test_heaps.c has its own");
	}
	loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 2, 0);
	EXPECT(pfn != LOAM_PFN_NONE);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	loam_pfn_t text = loam_phys_to_pfn(VIRT_TO_PHYS((uintptr_t)text_start));

	ktest_expect_misuse(5);
	loam_frame_free(&kernel.frames, pfn, 1);     /* another order */
	loam_frame_free(&kernel.frames, pfn + 1, 0); /* inside the block */
	loam_frame_free(&kernel.frames, text, 0);    /* the kernel's text */
	loam_frame_free(&kernel.frames, 0xB8, 0);    /* the screen */
	EXPECT_LOG("called from");
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	loam_frame_free(&kernel.frames, pfn, 2);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before + 4);
	loam_frame_free(&kernel.frames, pfn, 2); /* a second time */
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before + 4);
}

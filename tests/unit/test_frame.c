/* SPDX-License-Identifier: MIT */
/* The frame floor: zones, adoption, every operation, every misuse. */
#include <loam/frame_fast.h>

#include "frame_machine.h"

#define MIB(n) ((loam_phys_t)(n) << 20)
#define FRAMES_OF(mib) ((uint64_t)(mib) << 8)

static loam_pfn_t held[1u << 18];

/* Allocates blocks of `order` into held[] until there are no more. */
static size_t take_all(unsigned order, loam_flags_t flags)
{
	size_t count = 0;
	for (;;) {
		loam_pfn_t pfn =
			loam_frame_alloc(&machine.frames, order, flags);
		if (pfn == LOAM_PFN_NONE) {
			return count;
		}
		EXPECT(count < LOAM_ARRAY_SIZE(held));
		EXPECT(loam_is_aligned(pfn, (uint64_t)1 << order));
		held[count++] = pfn;
	}
}

static void give_all(size_t count, unsigned order)
{
	for (size_t i = 0; i < count; i++) {
		loam_frame_free(&machine.frames, held[i], order);
	}
}

/* True if two of held[0 .. count) are the same. Marks by pfn. */
static bool any_twice(size_t count)
{
	static unsigned char seen[1u << 20];
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < count; i++) {
		EXPECT(held[i] < sizeof(seen));
		if (seen[held[i]]++ != 0) {
			return true;
		}
	}
	return false;
}

/* 1 MiB to 12 MiB is DMA, to 64 MiB normal, to 128 MiB high, with holes. */
static const struct machine_range three_zones[] = {
	{ MIB(1), MIB(11) },
	{ MIB(16), MIB(30) + 0x3000 },
	{ MIB(50), MIB(78) },
};

static void start_three(void)
{
	machine_start(three_zones, LOAM_ARRAY_SIZE(three_zones), MIB(16),
		      MIB(64));
}

TEST(split_and_merge, "S4.9 one frame splits 4 MiB, freeing it merges all")
{
	struct machine_range ranges[] = { { MIB(4), MIB(4) },
					  { MIB(16), MIB(4) } };
	machine_start(ranges, 2, MIB(16), MIB(20));
	/* DMA memory is not kept by CPUs here, so the lists show at once. */
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, LOAM_DMA);
	EXPECT_EQ(pfn, 1024);
	struct loam_zone_stats stats = machine_zone(LOAM_ZONE_DMA);
	for (unsigned order = 0; order < 10; order++) {
		EXPECT_EQ(stats.free_blocks[order], 1);
	}
	EXPECT_EQ(stats.free_blocks[10], 0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	loam_frame_free(&machine.frames, pfn, 0);
	stats = machine_zone(LOAM_ZONE_DMA);
	for (unsigned order = 0; order < 10; order++) {
		EXPECT_EQ(stats.free_blocks[order], 0);
	}
	EXPECT_EQ(stats.free_blocks[10], 1);
}

TEST(whole_blocks, "S4.10 a request for 5 KiB takes two frames, not one")
{
	machine_start_mib(32);
	uint64_t before = loam_frame_free_count(&machine.frames);
	unsigned order = loam_log2_ceil(loam_pages_of(5 * 1024));
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, order, 0);
	EXPECT_EQ(before - loam_frame_free_count(&machine.frames), 2);
	loam_frame_free(&machine.frames, pfn, order);
	machine_expect_free(before);
}

TEST(physical, "S4.11 S2.13 frames lie in usable memory, one page each")
{
	start_three();
	size_t count = take_all(0, LOAM_HIGH);
	EXPECT(!any_twice(count));
	for (size_t i = 0; i < count; i++) {
		EXPECT(loam_memmap_is_usable(&machine.map,
					     loam_pfn_to_phys(held[i]),
					     LOAM_PAGE_SIZE));
		EXPECT_EQ(loam_memblock_owner(&machine.memblock,
					      loam_pfn_to_phys(held[i])),
			  LOAM_RESERVED_NONE);
	}
	give_all(count, 0);
	machine_expect_free(count);
}

TEST(all_frames, "S4.16 S2.18 all usable frames are managed, holes are not")
{
	machine_memory(three_zones, LOAM_ARRAY_SIZE(three_zones), MIB(64));
	uint64_t usable =
		loam_memblock_free_bytes(&machine.memblock) >> LOAM_PAGE_SHIFT;
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, MIB(16),
				   MIB(64), LOAM_PHYS_NONE),
		  0);
	uint64_t left =
		loam_memblock_free_bytes(&machine.memblock) >> LOAM_PAGE_SHIFT;
	EXPECT_EQ(loam_frame_free_count(&machine.frames), left);
	uint64_t metadata = machine.frames.metadata_bytes;
	EXPECT_EQ(usable - left, loam_pages_of((size_t)metadata));
	EXPECT(metadata * 1000 < (usable << LOAM_PAGE_SHIFT) * 6);
	size_t count = take_all(0, LOAM_HIGH);
	EXPECT_EQ(count, left);
	EXPECT(!any_twice(count));
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	give_all(count, 0);
	machine_expect_free(left);
}

TEST(region_sizes, "S4.16 regions of 1 to 4097 frames are managed to the last")
{
	static const unsigned sizes[] = { 1,    2,    3,    7,    8,    9,
					  63,   64,   65,   511,  512,  513,
					  700,  1023, 1024, 1025, 2047, 2049,
					  3000, 4095, 4096, 4097 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		/* The metadata has a range of its own; base is 0x10E000. */
		struct machine_range ranges[] = {
			{ 0x10e000, (loam_phys_t)sizes[i] << LOAM_PAGE_SHIFT },
			{ MIB(32), MIB(1) },
		};
		machine_start(ranges, 2, MIB(32), MIB(36));
		EXPECT_EQ(machine_zone(LOAM_ZONE_DMA).managed, sizes[i]);
		size_t count = take_all(0, LOAM_DMA);
		EXPECT_EQ(count, sizes[i]);
		for (size_t k = 0; k < count; k++) {
			EXPECT(held[k] >= 0x10e && held[k] < 0x10e + sizes[i]);
		}
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		give_all(count, 0);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	}
}

TEST(aligned_base, "S4.15 blocks are aligned physically, base 0x10E000 or not")
{
	struct machine_range range = { 0x10e000, MIB(40) };
	machine_start(&range, 1, MIB(16), MIB(44));
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, order, 0);
		EXPECT(pfn != LOAM_PFN_NONE);
		EXPECT(loam_is_aligned(pfn, (uint64_t)1 << order));
		loam_frame_free(&machine.frames, pfn, order);
	}
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(exhaustion, "S4.17 S2.14 an order too large, and exhaustion, give none")
{
	machine_start_mib(24);
	uint64_t total = loam_frame_free_count(&machine.frames);
	EXPECT_EQ(loam_frame_alloc(&machine.frames, LOAM_ORDER_MAX + 1, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 32, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0xffffffffu, LOAM_ZERO),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), total);
	size_t count = take_all(0, 0);
	EXPECT_EQ(count, total);
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		EXPECT_EQ(loam_frame_alloc(&machine.frames, order, LOAM_HIGH),
			  LOAM_PFN_NONE);
	}
	EXPECT_EQ(loam_frame_free_count(&machine.frames), 0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	/* In random order, and still everything merges again. */
	uint64_t seed = 11;
	for (size_t i = count; i > 1; i--) {
		size_t k = (size_t)(hosted_random(&seed) % i);
		loam_pfn_t swap = held[k];
		held[k] = held[i - 1];
		held[i - 1] = swap;
	}
	give_all(count, 0);
	machine_expect_free(total);
	struct loam_zone_stats stats = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT(stats.free_blocks[10] >= 1);
}

TEST(each_order, "S4.17 every order drains fully and comes back")
{
	machine_start_mib(64);
	uint64_t total = loam_frame_free_count(&machine.frames);
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		size_t count = take_all(order, 0);
		EXPECT(count > 0);
		EXPECT((uint64_t)count << order <= total);
		EXPECT(((uint64_t)count << order) + 2048 >= total);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		give_all(count, order);
		machine_expect_free(total);
	}
}

/* Sets up a used block of order 3 and says what must be reported of it. */
static loam_pfn_t misuse_block(void)
{
	start_three();
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 3,
					  LOAM_OWNED_BY(LOAM_OWNER_STACK));
	EXPECT(pfn != LOAM_PFN_NONE);
	hosted_log_clear();
	return pfn;
}

/* The free is reported with this text, and changes nothing. */
static void expect_refused(loam_pfn_t pfn, unsigned order, const char *text)
{
	uint64_t before = loam_frame_free_count(&machine.frames);
	unsigned long reports = loam_misuse_count();
	char where[64];
	snprintf(where, sizeof(where), "free of frame 0x%llx, order %u",
		 (unsigned long long)loam_pfn_to_phys(pfn), order);
	loam_frame_free(&machine.frames, pfn, order);
	EXPECT_LOG(text);
	EXPECT_LOG(where);
	EXPECT_LOG(", called from ");
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(free_misaligned, "S4.18 S2.15 a misaligned free is reported")
{
	loam_pfn_t pfn = misuse_block();
	expect_refused(pfn + 1, 3, "misaligned");
}

TEST(free_beyond, "S4.18 S2.15 a free beyond memory is reported")
{
	misuse_block();
	expect_refused(machine.frames.end, 0, "it is beyond memory");
	expect_refused(LOAM_PFN_NONE, 0, "it is beyond memory");
}

TEST(free_hole, "S4.18 S2.15 a free of a frame no zone has is reported")
{
	misuse_block();
	/* A hole, frame 0, and the metadata. */
	EXPECT(loam_frame_alloc_range(&machine.frames, 1, 1, 0, 0, LOAM_DMA) !=
	       LOAM_PFN_NONE);
	expect_refused(0, 0, "a hole or reserved, no zone has it");
	expect_refused((loam_pfn_t)FRAMES_OF(13), 0, "no zone has it");
	hosted_log_clear();
	expect_refused((loam_pfn_t)FRAMES_OF(16), 0, "no zone has it");
}

TEST(free_untouched, "S4.18 a free of what was never handed out is reported")
{
	misuse_block();
	expect_refused((loam_pfn_t)FRAMES_OF(70), 0, "free, never handed out");
}

TEST(free_wrong_order, "S4.18 a free with the wrong order is reported")
{
	loam_pfn_t pfn = misuse_block();
	expect_refused(pfn, 2, "it is a block of order 3 (stack)");
	hosted_log_clear();
	expect_refused(pfn, 0, "it is a block of order 3 (stack)");
	hosted_log_clear();
	expect_refused(pfn, 11, "no such order");
	hosted_log_clear();
	expect_refused(pfn, 0xffffffffu, "no such order");
}

TEST(free_tail, "S4.18 a free of the inside of a block is reported")
{
	loam_pfn_t pfn = misuse_block();
	expect_refused(pfn + 5, 0, "inside the block of order 3 at 0x");
}

TEST(free_twice, "S4.18 S2.20 a second free is reported, cached or not")
{
	static const unsigned orders[] = { 0, 1, 3, 5, 9, 10 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(orders); i++) {
		start_three();
		loam_pfn_t pfn =
			loam_frame_alloc(&machine.frames, orders[i], 0);
		loam_frame_free(&machine.frames, pfn, orders[i]);
		expect_refused(pfn, orders[i], "it is free already");
		loam_frame_drain(&machine.frames);
		expect_refused(pfn, orders[i], "it is free already");
		hosted_log_clear();
	}
}

TEST(free_shared, "S4.18 a free of a shared block is reported")
{
	loam_pfn_t pfn = misuse_block();
	loam_frame_get(&machine.frames, pfn);
	expect_refused(pfn, 3, "in use with 2 references (stack)");
	loam_frame_put(&machine.frames, pfn);
	loam_frame_free(&machine.frames, pfn, 3);
	EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), 0);
}

TEST(free_slab, "S4.18 a free of a slab's frame is reported")
{
	loam_pfn_t pfn = misuse_block();
	loam_frame_set_tags(&machine.frames, pfn, 3, LOAM_TAG_SLAB | 42);
	expect_refused(pfn, 3, "it is a slab's");
	expect_refused(pfn + 2, 0, "it is a slab's");
	loam_frame_set_tags(&machine.frames, pfn, 3, 0);
	loam_frame_free(&machine.frames, pfn, 3);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(bulk_misuse, "S4.18 a bulk free reports the bad one and frees the others")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 8, held, 0), 0);
	held[8] = held[3];
	loam_frame_free_bulk(&machine.frames, 9, held);
	EXPECT_LOG("free already");
	machine_expect_free(total);
}

TEST(zones, "S4.16 each flag gets its zone and falls back downwards")
{
	start_three();
	loam_pfn_t dma = loam_frame_alloc(&machine.frames, 0, LOAM_DMA);
	loam_pfn_t normal = loam_frame_alloc(&machine.frames, 0, 0);
	loam_pfn_t high = loam_frame_alloc(&machine.frames, 0, LOAM_HIGH);
	EXPECT(dma < FRAMES_OF(16));
	EXPECT(normal >= FRAMES_OF(16) && normal < FRAMES_OF(64));
	EXPECT(high >= FRAMES_OF(64));
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0, LOAM_DMA | LOAM_HIGH) <
			  FRAMES_OF(16),
		  1);
	size_t count = take_all(0, LOAM_HIGH);
	EXPECT(held[0] >= FRAMES_OF(64));
	EXPECT(held[count - 1] < FRAMES_OF(16));
	EXPECT_EQ(loam_frame_free_count(&machine.frames), 0);
	give_all(count, 0);
	count = take_all(0, 0);
	EXPECT(held[0] >= FRAMES_OF(16) && held[0] < FRAMES_OF(64));
	for (size_t i = 0; i < count; i++) {
		EXPECT(held[i] < FRAMES_OF(64));
	}
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0, LOAM_DMA),
		  LOAM_PFN_NONE);
	EXPECT(loam_frame_alloc(&machine.frames, 0, LOAM_HIGH) !=
	       LOAM_PFN_NONE);
}

TEST(dma_apart, "X.4 freed DMA frames do not become general memory")
{
	start_three();
	loam_pfn_t dma = loam_frame_alloc(&machine.frames, 0, LOAM_DMA);
	loam_frame_free(&machine.frames, dma, 0);
	EXPECT_EQ(machine_zone(LOAM_ZONE_DMA).cached, 0);
	EXPECT(loam_frame_alloc(&machine.frames, 0, 0) >= FRAMES_OF(16));
}

TEST(address_order, "S4.9 fresh memory is handed out upwards")
{
	struct machine_range range = { MIB(16), MIB(64) };
	machine_start(&range, 1, MIB(16), MIB(80));
	/* The first chunk has the metadata and comes in pieces. */
	loam_pfn_t last = 0;
	while (last < FRAMES_OF(20)) {
		last = loam_frame_alloc(&machine.frames, 0, 0);
	}
	EXPECT_EQ(last, FRAMES_OF(20));
	for (unsigned i = 1; i < 5000; i++) {
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
		EXPECT_EQ(pfn, last + 1);
		last = pfn;
	}
	EXPECT_EQ(machine_zone(LOAM_ZONE_NORMAL).untouched,
		  (FRAMES_OF(80) - last - 1) & ~1023u);
}

TEST(lifo, "S2.9 the frame freed last is handed out first")
{
	machine_start_mib(32);
	loam_pfn_t a = loam_frame_alloc(&machine.frames, 0, 0);
	loam_pfn_t b = loam_frame_alloc(&machine.frames, 0, 0);
	loam_frame_free(&machine.frames, a, 0);
	loam_frame_free(&machine.frames, b, 0);
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0, 0), b);
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0, 0), a);
}

/* Fills a frame of a directly mapped block. */
static void dirty(loam_pfn_t pfn, unsigned order)
{
	memset(loam_host_phys_to_virt(loam_pfn_to_phys(pfn)), 0xcc,
	       (size_t)LOAM_PAGE_SIZE << order);
}

static bool is_clear(loam_pfn_t pfn, size_t count)
{
	const unsigned char *at = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	for (size_t i = 0; i < count * LOAM_PAGE_SIZE; i++) {
		if (at[i] != 0) {
			return false;
		}
	}
	return true;
}

TEST(zero, "X.7 LOAM_ZERO clears blocks of every order, ranges and bulks")
{
	machine_start_mib(32);
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, order, 0);
		dirty(pfn, order);
		loam_frame_free(&machine.frames, pfn, order);
		loam_pfn_t again =
			loam_frame_alloc(&machine.frames, order, LOAM_ZERO);
		EXPECT_EQ(again, pfn);
		EXPECT(is_clear(again, (size_t)1 << order));
		dirty(again, order);
		loam_frame_free(&machine.frames, again, order);
	}
	loam_pfn_t range =
		loam_frame_alloc_range(&machine.frames, 77, 1, 0, 0, LOAM_ZERO);
	EXPECT(is_clear(range, 77));
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 200, held, LOAM_ZERO),
		  0);
	for (unsigned i = 0; i < 200; i++) {
		EXPECT(is_clear(held[i], 1));
	}
}

static loam_pfn_t cleared[64];
static size_t cleared_count;

static void clear_hook(void *arg, loam_pfn_t pfn)
{
	EXPECT(arg == &cleared);
	cleared[cleared_count++] = pfn;
}

TEST(zero_high, "X.7 high frames are cleared by the hook, or left out")
{
	start_three();
	loam_pfn_t pfn =
		loam_frame_alloc(&machine.frames, 0, LOAM_HIGH | LOAM_ZERO);
	EXPECT(pfn < FRAMES_OF(64));
	cleared_count = 0;
	loam_frame_set_clear(&machine.frames, clear_hook, &cleared);
	pfn = loam_frame_alloc(&machine.frames, 2, LOAM_HIGH | LOAM_ZERO);
	EXPECT(pfn >= FRAMES_OF(64));
	EXPECT_EQ(cleared_count, 4);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(cleared[i], pfn + i);
	}
}

TEST(references, "S2.26 X.4 the last put frees the block, no earlier one")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order += 5) {
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, order, 0);
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), 1);
		loam_frame_get(&machine.frames, pfn);
		loam_frame_get(&machine.frames, pfn);
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), 3);
		loam_frame_put(&machine.frames, pfn);
		loam_frame_put(&machine.frames, pfn);
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), 1);
		EXPECT_EQ(total - loam_frame_free_count(&machine.frames),
			  (uint64_t)1 << order);
		loam_frame_put(&machine.frames, pfn);
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), 0);
		machine_expect_free(total);
	}
}

TEST(short_references,
     "S2.26 whose reference it is knows whether it is the last")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order += 5) {
		loam_pfn_t pfn = loam_frame_alloc(
			&machine.frames, order, LOAM_OWNED_BY(LOAM_OWNER_USER));
		EXPECT(loam_frame_is_sole(&machine.frames, pfn));
		EXPECT(!loam_frame_put_shared(&machine.frames, pfn));
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), 1);
		loam_frame_get(&machine.frames, pfn);
		EXPECT(!loam_frame_is_sole(&machine.frames, pfn));
		EXPECT(loam_frame_put_shared(&machine.frames, pfn));
		EXPECT(loam_frame_is_sole(&machine.frames, pfn));
		EXPECT(!loam_frame_put_shared(&machine.frames, pfn));
		loam_frame_free(&machine.frames, pfn, order);
		/* What is free is nobody's, and is left to be reported. */
		EXPECT(!loam_frame_is_sole(&machine.frames, pfn));
		EXPECT(!loam_frame_put_shared(&machine.frames, pfn));
		machine_expect_free(total);
	}
	/* A slab's label is no count. */
	loam_pfn_t slab = loam_frame_alloc(&machine.frames, 0, 0);
	loam_frame_set_tags(&machine.frames, slab, 0,
			    LOAM_TAG_SLAB | LOAM_TAG_USED | LOAM_TAG_REF_ONE);
	EXPECT(!loam_frame_is_sole(&machine.frames, slab));
	EXPECT(!loam_frame_put_shared(&machine.frames, slab));
	loam_frame_set_tags(&machine.frames, slab, 0, 0);
	loam_frame_free(&machine.frames, slab, 0);
	machine_expect_free(total);
}

TEST(many_references, "S2.26 references past the tag's field are counted")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	uint32_t *word = loam_frame_word(&machine.frames, pfn);
	*word = 0x12345678;
	const uint32_t most = 200000;
	for (uint32_t refs = 1; refs < most; refs++) {
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), refs);
		loam_frame_get(&machine.frames, pfn);
	}
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT_LOG("in use with 200000 references");
	for (uint32_t refs = most; refs > 1; refs--) {
		EXPECT_EQ(loam_frame_refs(&machine.frames, pfn), refs);
		EXPECT(!loam_frame_is_sole(&machine.frames, pfn));
		/* Where the tag's field is empty there are more elsewhere. */
		if (!loam_frame_put_shared(&machine.frames, pfn)) {
			loam_frame_put(&machine.frames, pfn);
		}
	}
	EXPECT(loam_frame_is_sole(&machine.frames, pfn));
	EXPECT_EQ(*word, 0x12345678);
	loam_frame_put(&machine.frames, pfn);
	machine_expect_free(total);
}

TEST(reference_misuse, "S4.18 get and put of what is no head are reported")
{
	loam_pfn_t pfn = misuse_block();
	loam_frame_get(&machine.frames, pfn + 1);
	EXPECT_LOG("get of frame 0x");
	EXPECT_LOG("inside the block of order 3");
	loam_frame_put(&machine.frames, machine.frames.end);
	EXPECT_LOG("put of frame 0x");
	EXPECT_LOG("beyond memory");
	loam_frame_free(&machine.frames, pfn, 3);
	hosted_log_clear();
	loam_frame_put(&machine.frames, pfn);
	EXPECT_LOG("it is free already");
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(split, "S4.18 a split block is freed frame by frame")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 4,
					  LOAM_OWNED_BY(LOAM_OWNER_USER));
	loam_frame_split(&machine.frames, pfn, 3);
	EXPECT_LOG("split of frame 0x");
	EXPECT_LOG("a block of order 4 (user)");
	loam_frame_split(&machine.frames, pfn, 4);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	for (unsigned i = 0; i < 16; i++) {
		struct loam_frame_info info;
		EXPECT_EQ(loam_frame_info(&machine.frames, pfn + i, &info), 0);
		EXPECT_EQ(info.order, 0);
		EXPECT_EQ(info.owner, LOAM_OWNER_USER);
	}
	for (unsigned i = 0; i < 16; i++) {
		loam_frame_free(&machine.frames, pfn + (i * 5) % 16, 0);
	}
	machine_expect_free(total);
}

TEST(extend, "S4.9 S4.18 a block grows in place, and what is none is reported")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	struct loam_frame_info info;
	loam_pfn_t odd[64];
	unsigned odd_count = 0;
	/* The first one that is cut off a block of 4 MiB. */
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 5,
					  LOAM_OWNED_BY(LOAM_OWNER_USER));
	while (pfn % LOAM_CHUNK_FRAMES != 0) {
		odd[odd_count++] = pfn;
		EXPECT(odd_count < LOAM_ARRAY_SIZE(odd));
		pfn = loam_frame_alloc(&machine.frames, 5,
				       LOAM_OWNED_BY(LOAM_OWNER_USER));
	}
	while (odd_count > 0) {
		loam_frame_free(&machine.frames, odd[--odd_count], 5);
	}
	EXPECT(loam_frame_extend(&machine.frames, pfn, 5, 8));
	EXPECT_EQ(loam_frame_info(&machine.frames, pfn, &info), 0);
	EXPECT_EQ(info.order, 8);
	EXPECT_EQ(info.owner, LOAM_OWNER_USER);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), total - 256);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	EXPECT(!loam_frame_extend(&machine.frames, pfn, 8, 8));
	EXPECT(!loam_frame_extend(&machine.frames, pfn, 8, LOAM_ORDER_MAX + 1));
	unsigned long reports = loam_misuse_count();
	EXPECT(!loam_frame_extend(&machine.frames, pfn, 5, 9));
	EXPECT_LOG("extension of ");
	EXPECT(!loam_frame_extend(&machine.frames, pfn + 1, 8, 9));
	loam_frame_get(&machine.frames, pfn);
	EXPECT(!loam_frame_extend(&machine.frames, pfn, 8, 9));
	EXPECT_EQ(loam_misuse_count(), reports + 3);
	loam_frame_put(&machine.frames, pfn);
	loam_frame_fail_nth(&machine.frames, 1);
	EXPECT(!loam_frame_extend(&machine.frames, pfn, 8, 9));
	EXPECT(loam_frame_extend(&machine.frames, pfn, 8, 9));
	loam_frame_free(&machine.frames, pfn, 9);
	machine_expect_free(total);
}

TEST(range, "S4.16 ranges of any number of frames, the rest goes back")
{
	machine_start_mib(64);
	uint64_t total = loam_frame_free_count(&machine.frames);
	static const size_t counts[] = { 1,    2,    3,    5,    17,   100,
					 1000, 1023, 1024, 1025, 3000, 7000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(counts); i++) {
		size_t count = counts[i];
		loam_pfn_t pfn = loam_frame_alloc_range(&machine.frames, count,
							1, 0, 0, 0);
		EXPECT(pfn != LOAM_PFN_NONE);
		EXPECT_EQ(total - loam_frame_free_count(&machine.frames),
			  count);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		loam_frame_free(&machine.frames, pfn, 0);
		loam_frame_free_range(&machine.frames, pfn + 1, count - 1);
		machine_expect_free(total);
	}
}

TEST(range_align, "S4.16 a range is aligned, also beyond the largest block")
{
	machine_start_mib(64);
	for (size_t align = 1; align <= 8192; align *= 2) {
		loam_pfn_t pfn = loam_frame_alloc_range(&machine.frames, 3,
							align, 0, 0, 0);
		EXPECT(pfn != LOAM_PFN_NONE);
		EXPECT_EQ(pfn % align, 0);
		loam_frame_free_range(&machine.frames, pfn, 3);
	}
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(range_limit, "S4.16 a range ends below its limit")
{
	start_three();
	loam_phys_t limit = MIB(20);
	uint64_t before = loam_frame_free_count(&machine.frames);
	size_t n = 0;
	for (;;) {
		loam_pfn_t pfn = loam_frame_alloc_range(&machine.frames, 40, 1,
							limit, 0, LOAM_HIGH);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		EXPECT(loam_pfn_to_phys(pfn + 40) <= limit);
		held[n++] = pfn;
	}
	/* No run of 40 is left below the limit. */
	loam_frame_drain(&machine.frames);
	unsigned run = 0;
	for (loam_pfn_t pfn = 0; pfn < limit >> LOAM_PAGE_SHIFT; pfn++) {
		struct loam_frame_info info;
		bool is_free =
			loam_frame_info(&machine.frames, pfn, &info) == 0 &&
			info.state != LOAM_TAG_USED;
		run = is_free ? run + 1 : 0;
		EXPECT(run < 40);
	}
	EXPECT(n * 40 > FRAMES_OF(8));
	for (size_t i = 0; i < n; i++) {
		loam_frame_free_range(&machine.frames, held[i], 40);
	}
	machine_expect_free(before);
}

TEST(range_boundary, "S4.16 64 KiB boundaries are not crossed (ISA DMA)")
{
	start_three();
	for (unsigned i = 0; i < 150; i++) {
		size_t count = i % 16 + 1;
		loam_pfn_t pfn = loam_frame_alloc_range(
			&machine.frames, count, 1, 0, LOAM_KIB(64), LOAM_DMA);
		EXPECT(pfn != LOAM_PFN_NONE);
		EXPECT_EQ(pfn / 16, (pfn + count - 1) / 16);
		EXPECT(pfn + count <= FRAMES_OF(16));
	}
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 17, 1, 0,
					 LOAM_KIB(64), LOAM_DMA),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(range_fragmented, "S4.16 a run that no block holds is found all the same")
{
	struct machine_range ranges[] = { { MIB(16), MIB(1) },
					  { MIB(20) + 0x3000, 0x7000 },
					  { MIB(24), MIB(4) } };
	machine_start(ranges, 3, MIB(16), MIB(28));
	size_t count = take_all(0, 0);
	/* Free 3 frames around the middle of a block of 8: 7, 8, 9. */
	loam_pfn_t at = (loam_pfn_t)FRAMES_OF(25) + 7;
	for (loam_pfn_t pfn = at; pfn < at + 3; pfn++) {
		loam_frame_free(&machine.frames, pfn, 0);
	}
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 2, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 4, 1, 0, 0, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 3, 1, 0, 0, 0), at);
	give_all(count, 0);
	machine_expect_free(count);
	/* All of the last region, in one piece; the first is not as long. */
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 7, 1, MIB(23), 0, 0),
		  FRAMES_OF(16) +
			  loam_pages_of((size_t)machine.frames.metadata_bytes));
	loam_pfn_t pfn =
		loam_frame_alloc_range(&machine.frames, 1024, 1, 0, 0, 0);
	EXPECT_EQ(pfn, FRAMES_OF(24));
}

TEST(range_bad, "S2.17 bad range arguments give none, and change nothing")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	struct loam_frames *f = &machine.frames;
	EXPECT_EQ(loam_frame_alloc_range(f, 0, 1, 0, 0, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, 1, 0, 0, 0, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, 1, 3, 0, 0, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, 1, 1, 0, 3, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, 1, 1, 0, 1024, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, SIZE_MAX, 1, 0, 0, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, 1, (size_t)1 << 31, 0, 0, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, 1, 1, 1, 0, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(f, (size_t)total + 1, 1, 0, 0, 0),
		  LOAM_PFN_NONE);
	machine_expect_free(total);
}

TEST(range_free_misuse, "S4.18 a bad range free is reported and frees nothing")
{
	machine_start_mib(32);
	loam_pfn_t pfn =
		loam_frame_alloc_range(&machine.frames, 10, 1, 0, 0, 0);
	uint64_t before = loam_frame_free_count(&machine.frames);
	loam_frame_free_range(&machine.frames, pfn, 11);
	EXPECT_LOG("free of frame 0x");
	loam_frame_free_range(&machine.frames, pfn, SIZE_MAX);
	EXPECT_LOG("beyond memory");
	loam_frame_free_range(&machine.frames, machine.frames.end, 1);
	loam_frame_free_range(&machine.frames, pfn, 0);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
	loam_frame_free_range(&machine.frames, pfn, 10);
	machine_expect_free(before + 10);
}

TEST(bulk, "S2.14 bulks are all or nothing, and span zones")
{
	start_three();
	uint64_t total = loam_frame_free_count(&machine.frames);
	static const size_t counts[] = { 0, 1, 16, 127, 128, 129, 5000, 25000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(counts); i++) {
		EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, counts[i],
						held, LOAM_HIGH),
			  0);
		EXPECT(!any_twice(counts[i]));
		EXPECT_EQ(total - loam_frame_free_count(&machine.frames),
			  counts[i]);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		loam_frame_free_bulk(&machine.frames, counts[i], held);
		machine_expect_free(total);
	}
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, (size_t)total, held,
					LOAM_HIGH),
		  0);
	loam_frame_free_bulk(&machine.frames, (size_t)total, held);
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, (size_t)total + 1,
					held, LOAM_HIGH),
		  -LOAM_ENOMEM);
	machine_expect_free(total);
}

TEST(tags, "S4.18 a slab's label and back, and the promise below tags.end")
{
	machine_start_mib(40);
	struct loam_frame_tags *tags = loam_frame_tags(&machine.frames);
	EXPECT_EQ(tags->end, FRAMES_OF(16));
	for (loam_pfn_t pfn = 0; pfn < tags->end; pfn++) {
		EXPECT_EQ(tags->tags[pfn], 0);
	}
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 2,
					  LOAM_OWNED_BY(LOAM_OWNER_SLAB));
	EXPECT_EQ(tags->end, FRAMES_OF(20));
	EXPECT(pfn < tags->end);
	loam_frame_set_tags(&machine.frames, pfn, 2, LOAM_TAG_SLAB | 7);
	for (unsigned i = 0; i < 4; i++) {
		struct loam_frame_info info;
		EXPECT_EQ(tags->tags[pfn + i], LOAM_TAG_SLAB | 7);
		EXPECT_EQ(loam_frame_info(&machine.frames, pfn + i, &info), 0);
		EXPECT_EQ(info.state, LOAM_TAG_SLAB);
		EXPECT_EQ(info.head, pfn);
		EXPECT_EQ(info.order, 2);
		EXPECT_EQ(info.owner, LOAM_OWNER_SLAB);
	}
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	loam_frame_set_tags(&machine.frames, pfn, 1, 0);
	EXPECT_LOG("end of slab of frame 0x");
	loam_frame_set_tags(&machine.frames, pfn + 1, 0, 0);
	loam_frame_set_tags(&machine.frames, pfn, 2, 5);
	EXPECT_LOG("with tag 0x5");
	loam_frame_set_tags(&machine.frames, pfn, 2, LOAM_TAG_SLAB | 8);
	EXPECT_LOG("slab of frame 0x");
	EXPECT_EQ(tags->tags[pfn], LOAM_TAG_SLAB | 7);
	loam_frame_set_tags(&machine.frames, pfn, 2, 0);
	loam_frame_free(&machine.frames, pfn, 2);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(dirty_metadata, "S4.16 what metadata held before does not matter")
{
	struct machine_range range = { 0, MIB(64) };
	machine_memory(&range, 1, MIB(64));
	memset(hosted_memory.direct, 0xbd, (size_t)MIB(64));
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, MIB(16),
				   MIB(48), LOAM_PHYS_NONE),
		  0);
	uint64_t total = loam_frame_free_count(&machine.frames);
	size_t count = take_all(0, LOAM_HIGH);
	EXPECT_EQ(count, total);
	EXPECT(!any_twice(count));
	give_all(count, 0);
	machine_expect_free(total);
}

TEST(add, "X.4 reclaimed frames join, touched or not, once only")
{
	struct machine_range range = { 0, MIB(64) };
	machine_memory(&range, 1, MIB(64));
	struct loam_memblock *m = &machine.memblock;
	EXPECT_EQ(loam_memblock_reserve(m, MIB(1), MIB(1), 3), 0);
	EXPECT_EQ(loam_memblock_reserve(m, MIB(20), MIB(9), 3), 0);
	EXPECT_EQ(loam_memblock_reserve(m, MIB(47), MIB(2), 3), 0);
	EXPECT_EQ(loam_frame_adopt(&machine.frames, m, MIB(16), MIB(48),
				   LOAM_PHYS_NONE),
		  0);
	struct loam_frames *f = &machine.frames;
	uint64_t total = loam_frame_free_count(f);
	EXPECT(loam_frame_alloc(f, 0, LOAM_DMA) != LOAM_PFN_NONE);
	/* Touched DMA memory; untouched; across two zones. */
	EXPECT_EQ(loam_frame_add(f, 256, 256), 0);
	EXPECT_EQ(loam_frame_check(f), 0);
	EXPECT_EQ(loam_frame_add(f, (loam_pfn_t)FRAMES_OF(22), 1000), 0);
	EXPECT_EQ(loam_frame_check(f), 0);
	EXPECT_EQ(loam_frame_add(f, (loam_pfn_t)FRAMES_OF(47), FRAMES_OF(2)),
		  0);
	EXPECT_EQ(loam_frame_check(f), 0);
	EXPECT_EQ(loam_frame_free_count(f),
		  total - 1 + 256 + 1000 + FRAMES_OF(2));
	EXPECT_EQ(loam_frame_add(f, 0, 0), 0);
	hosted_log_clear();
	EXPECT_EQ(loam_frame_add(f, 511, 1), -LOAM_EINVAL);
	EXPECT_LOG("some are managed");
	EXPECT_EQ(loam_frame_add(f, (loam_pfn_t)FRAMES_OF(22) + 999, 2),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_frame_add(f, f->usable_end, 1), -LOAM_EINVAL);
	EXPECT_LOG("beyond memory");
	EXPECT_EQ(loam_frame_add(f, 0, UINT64_MAX), -LOAM_EINVAL);
	uint64_t now = loam_frame_free_count(f);
	size_t count = take_all(0, LOAM_HIGH);
	EXPECT_EQ(count, now);
	EXPECT(!any_twice(count));
	EXPECT_EQ(loam_frame_check(f), 0);
}

TEST(add_many, "X.4 more reclaimed ranges than the table has places")
{
	struct machine_range range = { 0, MIB(64) };
	machine_memory(&range, 1, MIB(64));
	EXPECT_EQ(loam_memblock_reserve(&machine.memblock, MIB(32), MIB(16), 3),
		  0);
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, MIB(16),
				   MIB(64), LOAM_PHYS_NONE),
		  0);
	uint64_t total = loam_frame_free_count(&machine.frames);
	loam_pfn_t first = (loam_pfn_t)FRAMES_OF(32);
	for (loam_pfn_t i = 0; i < 200; i++) {
		EXPECT_EQ(loam_frame_add(&machine.frames,
					 first + (i * 77 % 200) * 3, 2),
			  0);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	}
	EXPECT_EQ(loam_frame_free_count(&machine.frames), total + 400);
	size_t count = take_all(0, 0);
	EXPECT_EQ(count, total + 400);
	give_all(count, 0);
	machine_expect_free(total + 400);
}

TEST(adopt_bad, "S2.17 adoption refuses bad zones, a sealed memblock, no room")
{
	struct machine_range range = { MIB(1), LOAM_KIB(8) };
	struct loam_frames *f = &machine.frames;
	struct loam_memblock *m = &machine.memblock;
	machine_memory(&range, 1, MIB(4));
	EXPECT_EQ(loam_frame_adopt(f, m, MIB(16) + 4096, MIB(32), MIB(64)),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_frame_adopt(f, m, MIB(16), MIB(30) + 1, MIB(64)),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_frame_adopt(f, m, MIB(16), MIB(12), MIB(64)),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_frame_adopt(f, m, MIB(16), MIB(16), MIB(64)),
		  -LOAM_ENOMEM);
	EXPECT(!m->sealed);
	EXPECT_EQ(loam_memblock_free_bytes(m), LOAM_KIB(8));
	range.size = MIB(3);
	machine_memory(&range, 1, MIB(4));
	EXPECT_EQ(loam_frame_adopt(f, m, MIB(16), MIB(16), MIB(64)), 0);
	EXPECT(m->sealed);
	EXPECT_EQ(loam_frame_adopt(f, m, MIB(16), MIB(16), MIB(64)),
		  -LOAM_EPERM);
}

TEST(reach, "S2.18 frames at or above reach_end are left out and counted")
{
	struct machine_range ranges[] = { { MIB(1), MIB(40) },
					  { MIB(60), MIB(10) } };
	machine_memory(ranges, 2, MIB(64));
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, MIB(16),
				   MIB(32), MIB(40)),
		  0);
	EXPECT_EQ(machine.frames.unreachable, FRAMES_OF(11));
	EXPECT_EQ(machine.frames.usable_end, FRAMES_OF(40));
	size_t count = take_all(0, LOAM_HIGH);
	for (size_t i = 0; i < count; i++) {
		EXPECT(held[i] < FRAMES_OF(40));
	}
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(tiny, "S2.10 S2.18 a machine of 5 MiB, all of it DMA memory, is as fast")
{
	struct machine_range ranges[] = { { 0, LOAM_KIB(640) },
					  { MIB(1), MIB(4) } };
	machine_start(ranges, 2, MIB(16), MIB(16));
	uint64_t total = loam_frame_free_count(&machine.frames);
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT(machine_zone(LOAM_ZONE_DMA).cached > 0);
	unsigned long locks = hosted_locks_taken;
	for (unsigned i = 0; i < 100; i++) {
		loam_frame_free(&machine.frames,
				loam_frame_alloc(&machine.frames, 0, 0), 0);
		loam_frame_free(&machine.frames,
				loam_frame_alloc(&machine.frames, 0, LOAM_DMA),
				0);
	}
	EXPECT_EQ(hosted_locks_taken, locks);
	size_t count = take_all(0, LOAM_DMA);
	EXPECT_EQ(count, total);
	give_all(count, 0);
	machine_expect_free(total);
}

TEST(locking, "S2.11 pairs from the CPU's stacks take no lock")
{
	machine_start_mib(256);
	static const unsigned orders[] = { 0, 1, 2, 3, 9 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(orders); i++) {
		unsigned order = orders[i];
		loam_frame_free(&machine.frames,
				loam_frame_alloc(&machine.frames, order, 0),
				order);
		unsigned long locks = hosted_locks_taken;
		for (unsigned k = 0; k < 50; k++) {
			loam_frame_free(
				&machine.frames,
				loam_frame_alloc(&machine.frames, order, 0),
				order);
		}
		EXPECT_EQ(hosted_locks_taken, locks);
	}
	unsigned long locks = hosted_locks_taken;
	loam_frame_free(&machine.frames,
			loam_frame_alloc(&machine.frames, 5, 0), 5);
	EXPECT_EQ(hosted_locks_taken, locks + 2);
}

TEST(interrupt, "X.8 an interrupt in the middle goes to the zone, and is right")
{
	machine_start_mib(256);
	uint64_t total = loam_frame_free_count(&machine.frames);
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	/* As if this CPU had been interrupted within its stack. */
	machine.frames.cpus[0].busy = 1;
	uint32_t count = machine.frames.cpus[0].locals[0].stack.count;
	for (unsigned order = 0; order <= 9; order++) {
		loam_pfn_t other = loam_frame_alloc(&machine.frames, order, 0);
		EXPECT(other != LOAM_PFN_NONE);
		loam_frame_free(&machine.frames, other, order);
	}
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 20, held, 0), 0);
	loam_frame_free_bulk(&machine.frames, 20, held);
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(machine.frames.cpus[0].locals[0].stack.count, count);
	machine.frames.cpus[0].busy = 0;
	loam_frame_free(&machine.frames, pfn, 0);
	machine_expect_free(total);
}

TEST(push_run, "S4.17 a run of frames goes back up to the first that may not")
{
	machine_start_mib(64);
	uint64_t total = loam_frame_free_count(&machine.frames);
	struct loam_frame_stack *stack =
		&machine.frames.cpus[0].locals[0].stack;
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 40, held, 0), 0);
	uint32_t count = stack->count;
	/* One that has two references, one that is free already. */
	loam_frame_get(&machine.frames, held[5]);
	EXPECT_EQ(loam_frame_push_run(&machine.frames, held, 40), 5);
	EXPECT_EQ(stack->count, count + 5);
	EXPECT_EQ(loam_frame_push_run(&machine.frames, held, 40), 0);
	loam_frame_put(&machine.frames, held[5]);
	EXPECT_EQ(loam_frame_refs(&machine.frames, held[5]), 1);
	/* A block of another order; no frame at all; one of another zone. */
	loam_pfn_t odd[4] = { held[5], loam_frame_alloc(&machine.frames, 1, 0),
			      machine.frames.end, 1 };
	for (unsigned i = 1; i < 4; i++) {
		EXPECT_EQ(loam_frame_push_run(&machine.frames, &odd[i], 1), 0);
	}
	EXPECT_EQ(loam_frame_push_run(&machine.frames, odd, 4), 1);
	loam_frame_free(&machine.frames, odd[1], 1);
	/* Not while the CPU is in its stack, and never beyond what it holds. */
	machine.frames.cpus[0].busy = 1;
	EXPECT_EQ(loam_frame_push_run(&machine.frames, &held[6], 34), 0);
	machine.frames.cpus[0].busy = 0;
	EXPECT_EQ(loam_frame_push_run(&machine.frames, &held[6], 34), 34);
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 200, held, 0), 0);
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(loam_frame_push_run(&machine.frames, held, 200),
		  LOAM_STACK_FRAMES);
	loam_frame_free_bulk(&machine.frames, 200 - LOAM_STACK_FRAMES,
			     &held[LOAM_STACK_FRAMES]);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	machine_expect_free(total);
}

TEST(drain_cpu, "X.8 what an offline CPU kept comes back")
{
	machine_start_mib(64);
	uint64_t total = loam_frame_free_count(&machine.frames);
	hosted_cpu = 3;
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	loam_frame_free(&machine.frames, pfn, 0);
	hosted_cpu = 0;
	uint64_t cached = machine_zone(LOAM_ZONE_NORMAL).cached;
	EXPECT(cached >= LOAM_STACK_BATCH);
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(machine_zone(LOAM_ZONE_NORMAL).cached, cached);
	loam_frame_drain_cpu(&machine.frames, 3);
	EXPECT_EQ(machine.frames.cpus[3].locals[0].stack.count, 0);
	EXPECT_EQ(machine.frames.zones[LOAM_ZONE_NORMAL].loose, cached);
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(machine_zone(LOAM_ZONE_NORMAL).cached, 0);
	loam_frame_drain_cpu(&machine.frames, LOAM_MAX_CPUS);
	EXPECT_LOG("drain of frames of CPU 16 of 16");
	machine_expect_free(total);
}

/* Tracts of normal memory that have a frame of held[0..count) in them. */
static size_t count_tracts(size_t count)
{
	static bool seen[1024];
	size_t tracts = 0;
	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < count; i++) {
		loam_pfn_t tract = held[i] / LOAM_TRACT_FRAMES;
		tracts += !seen[tract];
		seen[tract] = true;
	}
	return tracts;
}

TEST(gather, "S4.9 single frames gather in few blocks of 2 MiB, in any churn")
{
	machine_start_mib(64);
	struct loam_frames *f = &machine.frames;
	uint64_t total = loam_frame_free_count(f);
	uint64_t seed = 7;
	size_t count = FRAMES_OF(40);
	size_t keep = 2000; /* four blocks, where they are to be had */
	for (size_t i = 0; i < count; i++) {
		held[i] = loam_frame_alloc(f, 0, 0);
	}
	while (count > keep) {
		size_t n = (size_t)(hosted_random(&seed) % count);
		loam_frame_free(f, held[n], 0);
		held[n] = held[--count];
	}
	EXPECT(count_tracts(keep) >= 18);
	for (size_t i = 0; i < keep * 20; i++) {
		size_t n = (size_t)(hosted_random(&seed) % keep);
		loam_frame_free(f, held[n], 0);
		held[n] = loam_frame_alloc(f, 0, 0);
		if (i % 4096 == 0) {
			EXPECT_EQ(loam_frame_check(f), 0);
		}
	}
	EXPECT(count_tracts(keep) <= 5);
	/* The others are to be had as large pages. */
	loam_frame_drain(f);
	struct loam_zone_stats stats = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT(stats.free_blocks[9] + 2 * stats.free_blocks[10] +
		       stats.untouched / LOAM_TRACT_FRAMES >=
	       24 - 1 - 5);
	give_all(keep, 0);
	machine_expect_free(total);
	stats = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT(stats.free_blocks[10] + stats.untouched / 1024 >= 11);
}

TEST(loose, "S4.9 loose frames serve larger requests when there is no other")
{
	machine_start_mib(64);
	struct loam_frames *f = &machine.frames;
	uint64_t total = loam_frame_free_count(f);
	size_t count = take_all(0, 0);
	/* Every pair but the first of each 64 frames comes back, singly. */
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (held[i] % 64 < 2) {
			held[kept++] = held[i];
		} else {
			loam_frame_free(f, held[i], 0);
		}
	}
	EXPECT_EQ(loam_frame_check(f), 0);
	loam_pfn_t block = loam_frame_alloc(f, 5, 0);
	EXPECT(block != LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc(f, 6, 0), LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_check(f), 0);
	loam_frame_free(f, block, 5);
	EXPECT(loam_frame_alloc_range(f, 62, 1, 0, 0, 0) != LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_check(f), 0);
	give_all(kept, 0);
	loam_frame_drain(f);
	EXPECT_EQ(loam_frame_free_count(f), total - 62);
	EXPECT_EQ(loam_frame_check(f), 0);
}

TEST(loose_misuse, "S4.18 a loose frame is free already")
{
	machine_start_mib(64);
	size_t count = LOAM_STACK_FRAMES + LOAM_STACK_BATCH;
	struct loam_frame_info info;
	for (size_t i = 0; i < count; i++) {
		held[i] = loam_frame_alloc(&machine.frames, 0, 0);
	}
	give_all(count, 0);
	loam_pfn_t pfn = held[0];
	EXPECT(loam_bitmap_test(machine.frames.loose_map, pfn));
	EXPECT_EQ(loam_frame_info(&machine.frames, pfn, &info), 0);
	EXPECT_EQ(info.state, LOAM_TAG_CACHED);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT_LOG("order 0: it is free already");
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

static unsigned reclaim_calls;
static loam_pfn_t reclaim_pfn;

/* Frees one frame the first time, nothing after. */
static bool reclaim_one(void *arg)
{
	EXPECT(arg == &reclaim_calls);
	for (unsigned z = 0; z < LOAM_ZONE_COUNT; z++) {
		EXPECT_EQ(machine.frames.zones[z].lock.host.word[0], 0);
	}
	reclaim_calls++;
	if (reclaim_pfn == LOAM_PFN_NONE) {
		return false;
	}
	loam_frame_free(&machine.frames, reclaim_pfn, 0);
	reclaim_pfn = LOAM_PFN_NONE;
	return true;
}

TEST(reclaim, "X.7 reclaim is asked once, and not when it may not sleep")
{
	machine_start_mib(20);
	size_t count = take_all(0, 0);
	loam_frame_set_reclaim(&machine.frames, reclaim_one, &reclaim_calls);
	reclaim_calls = 0;
	reclaim_pfn = held[--count];
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0, LOAM_NOSLEEP),
		  LOAM_PFN_NONE);
	EXPECT_EQ(reclaim_calls, 0);
	held[count] = loam_frame_alloc(&machine.frames, 0, 0);
	EXPECT(held[count] != LOAM_PFN_NONE);
	EXPECT_EQ(reclaim_calls, 1);
	count++;
	EXPECT_EQ(loam_frame_alloc(&machine.frames, 0, 0), LOAM_PFN_NONE);
	EXPECT_EQ(reclaim_calls, 2);
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 4, 1, 0, 0, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(reclaim_calls, 3);
	reclaim_pfn = held[--count];
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 1, held + count, 0),
		  0);
	EXPECT_EQ(reclaim_calls, 4);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(fail_nth, "S4.27 the nth allocation fails once, everything as before")
{
	machine_start_mib(40);
	uint64_t total = loam_frame_free_count(&machine.frames);
	struct loam_frames *f = &machine.frames;
	EXPECT_EQ(loam_frame_fail_nth(f, 3), 0);
	held[0] = loam_frame_alloc(f, 0, 0);
	held[1] = loam_frame_alloc(f, 5, 0);
	EXPECT(held[0] != LOAM_PFN_NONE && held[1] != LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc(f, 0, 0), LOAM_PFN_NONE);
	held[2] = loam_frame_alloc(f, 0, 0);
	EXPECT(held[2] != LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_fail_nth(f, 0), 4);
	EXPECT_EQ(loam_frame_fail_nth(f, 0), 0);
	loam_frame_free(f, held[0], 0);
	loam_frame_free(f, held[1], 5);
	loam_frame_free(f, held[2], 0);
	/* Every operation that allocates, at each of its allocations. */
	unsigned failures = 0;
	for (uint64_t n = 1;; n++) {
		loam_frame_fail_nth(f, n);
		int error = loam_frame_alloc_bulk(f, 20, held, 0);
		loam_frame_fail_nth(f, 0);
		if (error == 0) {
			EXPECT_EQ(n, 21);
			break;
		}
		failures++;
		EXPECT_EQ(error, -LOAM_ENOMEM);
		machine_expect_free(total);
	}
	EXPECT_EQ(failures, 20);
	loam_frame_free_bulk(f, 20, held);
	loam_frame_fail_nth(f, 1);
	EXPECT_EQ(loam_frame_alloc_range(f, 9, 1, 0, 0, 0), LOAM_PFN_NONE);
	loam_pfn_t pfn = loam_frame_alloc_range(f, 9, 1, 0, 0, 0);
	EXPECT(pfn != LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_fail_nth(f, 0), 2);
	loam_frame_free_range(f, pfn, 9);
	machine_expect_free(total);
}

TEST(info, "X.4 every frame has one owner, and says which")
{
	start_three();
	struct loam_frames *f = &machine.frames;
	struct loam_frame_info info;
	loam_pfn_t pfn =
		loam_frame_alloc(f, 4, LOAM_OWNED_BY(LOAM_OWNER_TABLE));
	for (unsigned i = 0; i < 16; i++) {
		EXPECT_EQ(loam_frame_info(f, pfn + i, &info), 0);
		EXPECT_EQ(info.head, pfn);
		EXPECT_EQ(info.order, 4);
		EXPECT_EQ(info.state, LOAM_TAG_USED);
		EXPECT_EQ(info.owner, LOAM_OWNER_TABLE);
		EXPECT_EQ(info.zone, LOAM_ZONE_NORMAL);
		EXPECT_EQ(info.refs, 1);
		EXPECT(!info.untouched);
	}
	EXPECT_EQ(loam_frame_info(f, (loam_pfn_t)FRAMES_OF(100), &info), 0);
	EXPECT(info.untouched);
	EXPECT_EQ(info.zone, LOAM_ZONE_HIGH);
	EXPECT_EQ(info.state, 0);
	EXPECT_EQ(loam_frame_info(f, (loam_pfn_t)FRAMES_OF(48), &info),
		  -LOAM_ENOENT);
	EXPECT_EQ(loam_frame_info(f, f->end, &info), -LOAM_ENOENT);
	EXPECT_EQ(loam_frame_info(f, (loam_pfn_t)FRAMES_OF(16), &info),
		  -LOAM_ENOENT);
	uint64_t counts[LOAM_OWNER_COUNT];
	loam_pfn_t slab = loam_frame_alloc(f, 3, LOAM_HIGH);
	loam_frame_set_tags(f, slab, 3, LOAM_TAG_SLAB | 1);
	loam_frame_count_owners(f, counts);
	for (unsigned owner = 0; owner < LOAM_OWNER_COUNT; owner++) {
		EXPECT_EQ(counts[owner], owner == LOAM_OWNER_TABLE  ? 16
					 : owner == LOAM_OWNER_SLAB ? 8
								    : 0);
	}
	EXPECT(strcmp(loam_owner_name(LOAM_OWNER_STACK), "stack") == 0);
	EXPECT(strcmp(loam_owner_name((enum loam_owner)77), "unknown") == 0);
	/* Each frame of the map is memblock's or exactly one zone's. */
	for (loam_pfn_t i = 0; i < f->usable_end; i++) {
		bool managed = loam_frame_info(f, i, &info) == 0;
		bool usable = loam_memmap_is_usable(
			&machine.map, loam_pfn_to_phys(i), LOAM_PAGE_SIZE);
		bool reserved = loam_memblock_owner(&machine.memblock,
						    loam_pfn_to_phys(i)) !=
				LOAM_RESERVED_NONE;
		EXPECT_EQ(managed, usable && !reserved);
	}
}

TEST(statistics, "X.9 used, free, peak, largest free and failed are counted")
{
	struct machine_range range = { MIB(16), MIB(40) };
	machine_start(&range, 1, MIB(16), MIB(56));
	struct loam_frames *f = &machine.frames;
	struct loam_zone_stats stats = machine_zone(LOAM_ZONE_NORMAL);
	uint64_t managed = stats.managed;
	EXPECT(strcmp(stats.name, "Normal") == 0);
	EXPECT_EQ(stats.first, FRAMES_OF(16));
	EXPECT_EQ(stats.end, FRAMES_OF(56));
	EXPECT_EQ(stats.free, managed);
	EXPECT_EQ(stats.untouched, managed);
	EXPECT_EQ(stats.largest_free, managed);
	EXPECT_EQ(stats.peak_used, 0);
	EXPECT_EQ(stats.failed, 0);
	for (unsigned i = 0; i < 5; i++) {
		held[i] = loam_frame_alloc(f, 10, 0);
	}
	stats = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT_EQ(stats.free, managed - 5 * 1024);
	EXPECT_EQ(stats.peak_used, 5 * 1024);
	give_all(5, 10);
	held[0] = loam_frame_alloc(f, 0, 0);
	stats = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT_EQ(stats.peak_used, 5 * 1024);
	EXPECT_EQ(stats.free, managed - 1);
	EXPECT_EQ(stats.cached, LOAM_STACK_BATCH - 1);
	loam_frame_free(f, held[0], 0);
	size_t count = take_all(10, 0);
	EXPECT(count >= 9);
	stats = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT_EQ(stats.failed, 1);
	EXPECT_EQ(stats.largest_free < 1024, 1);
	/* The CPU kept a batch until the last request drained it. */
	EXPECT_EQ(stats.peak_used, count * 1024 + LOAM_STACK_BATCH);
	EXPECT_EQ(loam_frame_alloc(f, 0, LOAM_DMA), LOAM_PFN_NONE);
	EXPECT_EQ(machine_zone(LOAM_ZONE_DMA).failed, 1);
}

TEST(at_hand, "X.9 a wish drains nothing, and is not counted where it fails")
{
	machine_start_mib(40);
	struct loam_frames *f = &machine.frames;
	EXPECT(take_all(0, 0) > 2);
	loam_pfn_t pair = held[0] & ~1u;
	/* Two neighbours on the CPU's stack: a block once they are drained. */
	loam_frame_free(f, pair, 0);
	loam_frame_free(f, pair + 1, 0);
	struct loam_zone_stats before = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT_EQ(before.cached, 2);
	EXPECT_EQ(loam_frame_alloc(f, 1, LOAM_AT_HAND), LOAM_PFN_NONE);
	struct loam_zone_stats after = machine_zone(LOAM_ZONE_NORMAL);
	EXPECT_EQ(after.cached, 2);
	EXPECT_EQ(after.failed, before.failed);
	EXPECT_EQ(loam_frame_alloc(f, 1, 0), pair);
	loam_frame_free(f, pair, 1);
	EXPECT_EQ(loam_frame_alloc(f, 1, LOAM_AT_HAND), pair);
	EXPECT_EQ(loam_frame_check(f), 0);
}

TEST(sparse, "S4.31 16 TiB with holes are adopted at once, and used")
{
	/* All that a frame number reaches, and more; holes between. */
	const loam_phys_t tib = LOAM_GIB(1024);
	struct machine_range ranges[] = {
		{ 0, LOAM_KIB(640) },
		{ MIB(1), LOAM_GIB(3) - MIB(1) },
		{ LOAM_GIB(4), LOAM_GIB(200) },
		{ LOAM_GIB(206), tib - LOAM_GIB(206) },
		{ tib + MIB(64), 9 * tib },
		{ 11 * tib, 7 * tib },
	};
	loam_phys_t direct_end =
		sizeof(void *) == 8 ? LOAM_GIB(512) : LOAM_MIB(512);
	machine_memory(ranges, LOAM_ARRAY_SIZE(ranges), direct_end);
	loam_phys_t reach = sizeof(void *) == 8 ? LOAM_PHYS_NONE : LOAM_GIB(64);
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, MIB(16),
				   direct_end, reach),
		  0);
	struct loam_frames *f = &machine.frames;
	EXPECT_EQ(loam_frame_check(f), 0);
	EXPECT_EQ(loam_frame_free_count(f) + f->unreachable,
		  loam_memblock_free_bytes(&machine.memblock) >>
			  LOAM_PAGE_SHIFT);
	EXPECT(f->unreachable > LOAM_GIB(1024) / LOAM_PAGE_SIZE);
	uint64_t total = loam_frame_free_count(f);
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		loam_pfn_t pfn = loam_frame_alloc(f, order, LOAM_HIGH);
		EXPECT(pfn >= direct_end >> LOAM_PAGE_SHIFT);
		loam_frame_free(f, pfn, order);
		pfn = loam_frame_alloc(f, order, LOAM_ZERO);
		EXPECT(pfn < direct_end >> LOAM_PAGE_SHIFT);
		loam_frame_free(f, pfn, order);
	}
	machine_expect_free(total);
	hosted_memory_destroy();
}

TEST(sparse_hole, "S4.16 chunks of a hole are passed over, not handed out")
{
	struct machine_range ranges[] = { { MIB(16), MIB(8) },
					  { MIB(61), MIB(1) },
					  { MIB(102), MIB(10) } };
	machine_start(ranges, 3, MIB(16), MIB(112));
	uint64_t total = loam_frame_free_count(&machine.frames);
	size_t count = take_all(0, 0);
	EXPECT_EQ(count, total);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	struct loam_frame_tags *tags = loam_frame_tags(&machine.frames);
	EXPECT_EQ(tags->end, FRAMES_OF(112));
	for (loam_pfn_t pfn = (loam_pfn_t)FRAMES_OF(24); pfn < FRAMES_OF(61);
	     pfn++) {
		EXPECT_EQ(tags->tags[pfn], 0);
	}
	/* A run across the hole is no run. */
	give_all(count, 0);
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 2561, 1, 0, 0, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 2560, 1, 0, 0, 0),
		  FRAMES_OF(102));
}

/* Each piece of damage is one that check() must find. */
static int count_free(void *arg, loam_pfn_t pfn, unsigned order)
{
	uint64_t *frames = arg;
	EXPECT(loam_is_aligned(pfn, (uint64_t)1 << order) && order >= 4);
	*frames += (uint64_t)1 << order;
	return *frames > 1000000 ? 7 : 0;
}

TEST(walk_free,
     "X.8 the free blocks the buddies hold are walked, and only they")
{
	uint64_t frames = 0;
	machine_start_mib(64);
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 5, 0);
	loam_pfn_t other = loam_frame_alloc(&machine.frames, 5, 0);
	EXPECT_EQ(loam_frame_walk_free(&machine.frames, 4, count_free, &frames),
		  0);
	uint64_t before = frames;
	loam_frame_free(&machine.frames, pfn, 5);
	frames = 0;
	EXPECT_EQ(loam_frame_walk_free(&machine.frames, 4, count_free, &frames),
		  0);
	EXPECT_EQ(frames, before + 32);
	frames = 1000000;
	EXPECT_EQ(loam_frame_walk_free(&machine.frames, 4, count_free, &frames),
		  7);
	loam_frame_free(&machine.frames, other, 5);
}

TEST(check_finds_damage, "X.5 the check finds each kind of damage")
{
	for (unsigned kind = 0; kind < 14; kind++) {
		machine_start_mib(64);
		struct loam_frames *f = &machine.frames;
		struct loam_zone *zone = &f->zones[LOAM_ZONE_NORMAL];
		loam_pfn_t pfn = loam_frame_alloc(f, 0, 0);
		loam_pfn_t block = loam_frame_alloc(f, 4, 0);
		EXPECT_EQ(loam_frame_check(f), 0);
		switch (kind) {
		case 0:
			f->tags.tags[pfn] = 0;
			break;
		case 1:
			f->tags.tags[block + 3] = LOAM_TAG_USED;
			break;
		case 2:
			f->tags.tags[block] = LOAM_TAG_USED | 5;
			break;
		case 3:
			f->cpus[0].locals[0].stack.frames[0] = pfn;
			break;
		case 4:
			f->cpus[0].locals[0].stack.count--;
			break;
		case 5:
			zone->untouched++;
			break;
		case 6:
			zone->managed--;
			break;
		case 7:
			zone->runs[zone->run_next].first = pfn;
			break;
		case 8:
			f->tags.end++;
			break;
		case 9:
			f->loose_map[pfn / 32] |= 1u << pfn % 32;
			break;
		case 10:
			f->tract_free[block >> LOAM_TRACT_ORDER]++;
			break;
		case 11:
			zone->loose--;
			break;
		case 12:
			zone->loose_buckets ^= 2;
			break;
		default:
			f->tags.tags[block] = 0x70000004;
			break;
		}
		EXPECT_EQ(loam_frame_check(f), -LOAM_EFAULT);
		EXPECT_LOG("check: ");
	}
}

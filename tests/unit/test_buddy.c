/* SPDX-License-Identifier: MIT */
/* The buddy mechanism: splitting, merging, its map, any base and size. */
#include <loam/bits.h>
#include <loam/buddy.h>

#include "test.h"

#define FRAMES 8192u /* room for every test */
#define USED (LOAM_TAG_USED)

static struct loam_frame frames[FRAMES];
static uint32_t tags[FRAMES];
static uint32_t map[FRAMES / 16];
static struct loam_buddy buddy;

/* A buddy over [base, base + size), all of it free. */
static void start(loam_pfn_t base, loam_pfn_t size)
{
	memset(frames, 0xa5, sizeof(frames));
	memset(tags, 0, sizeof(tags));
	memset(map, 0, sizeof(map));
	loam_buddy_init(&buddy, base, size, LOAM_ORDER_MAX, map, frames, tags);
	loam_buddy_add(&buddy, base, size);
}

static void expect_sound(void)
{
	EXPECT_EQ(loam_buddy_check(&buddy, buddy.size), 0);
}

/* The bit of seed 004's map, from the address alone, by division. */
static bool oracle_bit(loam_pfn_t pfn, unsigned order)
{
	loam_pfn_t at = pfn - buddy.base;
	loam_pfn_t chunk = at / 1024;
	loam_pfn_t node = 1u << (LOAM_ORDER_MAX - order);
	node += (at % 1024) / (1u << order);
	return (map[chunk * 64 + node / 32] >> (node % 32)) & 1;
}

/* True if the lists hold this block, by walking. */
static bool oracle_listed(loam_pfn_t pfn, unsigned order)
{
	for (loam_pfn_t at = buddy.free_lists[order]; at != LOAM_PFN_NONE;
	     at = frames[at - buddy.base].free.next) {
		if (at == pfn) {
			return true;
		}
	}
	return false;
}

TEST(fields, "S4.12 the structure has the seed's fields")
{
	struct loam_buddy b;
	EXPECT_EQ(LOAM_ARRAY_SIZE(b.free_lists), LOAM_ORDER_MAX + 1);
	EXPECT(offsetof(struct loam_buddy, base) <
	       offsetof(struct loam_buddy, size));
	EXPECT(offsetof(struct loam_buddy, size) <
	       offsetof(struct loam_buddy, free_lists));
	EXPECT(offsetof(struct loam_buddy, free_lists) <
	       offsetof(struct loam_buddy, map));
	EXPECT(offsetof(struct loam_buddy, map) <
	       offsetof(struct loam_buddy, map_size));
	EXPECT(offsetof(struct loam_buddy, map_size) <
	       offsetof(struct loam_buddy, max_order));
	start(0, 2048);
	EXPECT_EQ(buddy.map_size, 512);
	EXPECT_EQ(buddy.max_order, LOAM_ORDER_MAX);
}

TEST(split_and_merge, "S4.9 one frame of 1024 leaves one block of each order")
{
	start(0, 1024);
	EXPECT_EQ(buddy.free_blocks[10], 1);
	loam_pfn_t pfn = loam_buddy_alloc(&buddy, 0, USED);
	EXPECT_EQ(pfn, 0);
	for (unsigned order = 0; order < 10; order++) {
		EXPECT_EQ(buddy.free_blocks[order], 1);
		EXPECT_EQ(buddy.free_lists[order], 1u << order);
		EXPECT_EQ(frames[1u << order].free.next, LOAM_PFN_NONE);
	}
	EXPECT_EQ(buddy.free_blocks[10], 0);
	EXPECT_EQ(buddy.free_frames, 1023);
	expect_sound();
	loam_buddy_free(&buddy, pfn, 0);
	for (unsigned order = 0; order < 10; order++) {
		EXPECT_EQ(buddy.free_blocks[order], 0);
	}
	EXPECT_EQ(buddy.free_blocks[10], 1);
	expect_sound();
}

TEST(five_kib, "S4.10 5 KiB take a block of 8 KiB and waste 3")
{
	start(0, 1024);
	size_t bytes = 5 * 1024;
	unsigned order = loam_log2_ceil(loam_pages_of(bytes));
	EXPECT_EQ(order, 1);
	loam_pfn_t pfn = loam_buddy_alloc(&buddy, order, USED | order);
	EXPECT_EQ(1024 - buddy.free_frames, 2);
	EXPECT_EQ((1024 - buddy.free_frames) * LOAM_PAGE_SIZE - bytes, 3072);
	loam_buddy_free(&buddy, pfn, order);
	expect_sound();
}

TEST(lists_by_order, "S4.13 list k holds blocks of 4 KiB << k, at its multiple")
{
	start(0, 4096);
	uint64_t seed = 3;
	for (unsigned i = 0; i < 200; i++) {
		unsigned order = (unsigned)(hosted_random(&seed) % 6);
		EXPECT(loam_buddy_alloc(&buddy, order, USED | order) !=
		       LOAM_PFN_NONE);
	}
	loam_pfn_t total = 0;
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		for (loam_pfn_t pfn = buddy.free_lists[order];
		     pfn != LOAM_PFN_NONE; pfn = frames[pfn].free.next) {
			EXPECT_EQ(pfn % (1u << order), 0);
			EXPECT_EQ(tags[pfn], LOAM_TAG_FREE | order);
			total += 1u << order;
		}
	}
	EXPECT_EQ(total, buddy.free_frames);
	expect_sound();
}

TEST(map_bits, "S4.14 a bit of the map is set exactly for each listed block")
{
	loam_pfn_t held[128];
	uint64_t seed = 77;
	start(0, 2048);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(held); i++) {
		held[i] = loam_buddy_alloc(&buddy, i % 4, USED | (i % 4));
		EXPECT(held[i] != LOAM_PFN_NONE);
	}
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(held); i++) {
		if (hosted_random(&seed) % 2 != 0) {
			loam_buddy_free(&buddy, held[i], i % 4);
		}
	}
	unsigned set = 0;
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		for (loam_pfn_t pfn = 0; pfn < 2048; pfn += 1u << order) {
			bool listed = oracle_listed(pfn, order);
			EXPECT_EQ(oracle_bit(pfn, order), listed);
			EXPECT_EQ(loam_buddy_is_free(&buddy, pfn, order),
				  listed);
			set += listed;
		}
	}
	EXPECT(set > 10);
	expect_sound();
}

TEST(unaligned_base, "S4.15 the buddy is found relative to a base of 0x10E000")
{
	const loam_pfn_t base = 0x10e000 >> LOAM_PAGE_SHIFT;
	start(base, 1024);
	EXPECT_EQ(buddy.free_lists[10], base);
	loam_pfn_t held[1024];
	for (unsigned i = 0; i < 1024; i++) {
		held[i] = loam_buddy_alloc(&buddy, 0, USED);
		EXPECT(held[i] >= base && held[i] < base + 1024);
	}
	EXPECT_EQ(loam_buddy_alloc(&buddy, 0, USED), LOAM_PFN_NONE);
	for (unsigned i = 0; i < 1024; i++) {
		loam_buddy_free(&buddy, held[(i * 7) % 1024], 0);
	}
	EXPECT_EQ(buddy.free_lists[10], base);
	EXPECT_EQ(buddy.free_blocks[10], 1);
	expect_sound();
}

TEST(any_size, "S4.16 every size from 1 to 4097 frames is all managed")
{
	for (loam_pfn_t size = 1; size <= 4097;
	     size += size < 70 || size > 4090 ? 1 : 61) {
		start(0x10e, size);
		EXPECT_EQ(buddy.free_frames, size);
		expect_sound();
		loam_pfn_t count = 0;
		for (;;) {
			loam_pfn_t pfn = loam_buddy_alloc(&buddy, 0, USED);
			if (pfn == LOAM_PFN_NONE) {
				break;
			}
			EXPECT(pfn >= 0x10e && pfn < 0x10e + size);
			EXPECT_EQ(tags[pfn - 0x10e], USED);
			count++;
		}
		EXPECT_EQ(count, size);
		EXPECT_EQ(buddy.free_frames, 0);
	}
}

TEST(several_regions, "S4.16 several regions in one buddy never merge across")
{
	memset(tags, 0, sizeof(tags));
	memset(map, 0, sizeof(map));
	loam_buddy_init(&buddy, 0, 4096, LOAM_ORDER_MAX, map, frames, tags);
	loam_buddy_add(&buddy, 3, 5);
	loam_buddy_add(&buddy, 9, 1000);
	loam_buddy_add(&buddy, 1500, 1100);
	loam_buddy_add(&buddy, 4095, 1);
	EXPECT_EQ(buddy.free_frames, 5 + 1000 + 1100 + 1);
	expect_sound();
	EXPECT(!loam_buddy_is_free(&buddy, 8, 0));
	/* The frame between them joins what it can. */
	loam_buddy_add(&buddy, 8, 1);
	loam_pfn_t head = 0;
	unsigned order = 0;
	EXPECT(loam_buddy_find(&buddy, 8, &head, &order));
	EXPECT_EQ(head, 8);
	EXPECT_EQ(order, 3);
	expect_sound();
	EXPECT(loam_buddy_has_chunk(&buddy, 2000));
	EXPECT(loam_buddy_has_chunk(&buddy, 2600));
	EXPECT(loam_buddy_has_chunk(&buddy, 3500));
}

TEST(drain_and_restore, "S4.17 freeing in random order restores the lists")
{
	static loam_pfn_t held[4097];
	static unsigned orders[4097];
	uint64_t seed = 99;
	start(0, 4097);
	loam_pfn_t before[LOAM_ORDER_COUNT];
	memcpy(before, buddy.free_blocks, sizeof(before));
	unsigned count = 0;
	loam_pfn_t sum = 0;
	while (buddy.free_frames != 0) {
		unsigned order = (unsigned)(hosted_random(&seed) % 5);
		loam_pfn_t pfn = loam_buddy_alloc(&buddy, order, USED | order);
		if (pfn == LOAM_PFN_NONE) {
			order = 0;
			pfn = loam_buddy_alloc(&buddy, 0, USED);
		}
		EXPECT(pfn != LOAM_PFN_NONE);
		held[count] = pfn;
		orders[count++] = order;
		sum += 1u << order;
	}
	EXPECT_EQ(sum, 4097);
	while (count > 0) {
		unsigned i = (unsigned)(hosted_random(&seed) % count);
		loam_buddy_free(&buddy, held[i], orders[i]);
		count--;
		held[i] = held[count];
		orders[i] = orders[count];
	}
	for (unsigned order = 0; order <= LOAM_ORDER_MAX; order++) {
		EXPECT_EQ(buddy.free_blocks[order], before[order]);
	}
	expect_sound();
}

TEST(small_max_order, "S4.9 a smaller largest order is respected")
{
	memset(tags, 0, sizeof(tags));
	memset(map, 0, sizeof(map));
	loam_buddy_init(&buddy, 0, 1024, 3, map, frames, tags);
	loam_buddy_add(&buddy, 0, 1024);
	EXPECT_EQ(buddy.free_blocks[3], 128);
	EXPECT_EQ(loam_buddy_alloc(&buddy, 4, USED | 4), LOAM_PFN_NONE);
	loam_pfn_t pfn = loam_buddy_alloc(&buddy, 0, USED);
	loam_buddy_free(&buddy, pfn, 0);
	EXPECT_EQ(buddy.free_blocks[3], 128);
	expect_sound();
}

TEST(carve, "S4.16 a run is carved out of the blocks it lies in")
{
	uint64_t seed = 5;
	for (unsigned i = 0; i < 300; i++) {
		start(0, 3072);
		loam_pfn_t first = (loam_pfn_t)(hosted_random(&seed) % 3072);
		loam_pfn_t count =
			(loam_pfn_t)(hosted_random(&seed) % (3072 - first)) + 1;
		loam_buddy_carve(&buddy, first, count, USED);
		EXPECT_EQ(buddy.free_frames, 3072 - count);
		expect_sound();
		for (loam_pfn_t pfn = 0; pfn < 3072; pfn++) {
			loam_pfn_t head;
			unsigned order;
			bool used = pfn >= first && pfn - first < count;
			EXPECT(loam_buddy_find(&buddy, pfn, &head, &order));
			EXPECT_EQ(tags[head] == USED, used);
		}
		loam_buddy_add(&buddy, first, count);
		EXPECT_EQ(buddy.free_blocks[10], 3);
	}
}

TEST(extend, "S4.9 a used block grows by exactly the free buddies behind it")
{
	for (unsigned order = 0; order <= 10; order++) {
		for (unsigned larger = order + 1; larger <= 11; larger++) {
			start(0, 2048);
			loam_pfn_t pfn = loam_buddy_alloc(&buddy, order, USED);
			bool can = larger <= 10;
			EXPECT_EQ(loam_buddy_extend(&buddy, pfn, order, larger,
						    USED | 1),
				  can);
			unsigned now = can ? larger : order;
			EXPECT_EQ(tags[pfn], can ? USED | 1 : USED);
			EXPECT_EQ(buddy.free_frames, 2048 - (1u << now));
			expect_sound();
			loam_buddy_free(&buddy, pfn, now);
			EXPECT_EQ(buddy.free_blocks[10], 2);
		}
	}
}

TEST(extend_not, "S4.9 a block grows over nothing used, and not downwards")
{
	start(0, 1024);
	loam_pfn_t low = loam_buddy_alloc(&buddy, 4, USED);
	loam_pfn_t high = loam_buddy_alloc(&buddy, 4, USED);
	loam_pfn_t far = loam_buddy_alloc(&buddy, 0, USED);
	EXPECT_EQ(high, low + 16);
	EXPECT_EQ(far, low + 32);
	EXPECT(!loam_buddy_extend(&buddy, low, 4, 5, USED));
	EXPECT(!loam_buddy_extend(&buddy, high, 4, 5, USED));
	expect_sound();
	/* One order is free, and the next is not. */
	loam_buddy_free(&buddy, high, 4);
	EXPECT(!loam_buddy_extend(&buddy, low, 4, 6, USED));
	EXPECT(loam_buddy_is_free(&buddy, high, 4));
	expect_sound();
	EXPECT(loam_buddy_extend(&buddy, low, 4, 5, USED));
	loam_buddy_free(&buddy, far, 0);
	EXPECT(loam_buddy_extend(&buddy, low, 5, 10, USED));
	EXPECT_EQ(buddy.free_frames, 0);
	expect_sound();
}

TEST(carve_used, "S4.18 carving what is not free panics")
{
	start(0, 1024);
	loam_pfn_t pfn = loam_buddy_alloc(&buddy, 0, USED);
	EXPECT_PANIC(loam_buddy_carve(&buddy, pfn, 2, USED), "is_free");
}

/* Each piece of damage is one that check() must find. */
TEST(check_finds_damage, "X.5 the check finds each kind of damage")
{
	for (unsigned kind = 0; kind < 8; kind++) {
		start(0, 2048);
		loam_pfn_t pfn = loam_buddy_alloc(&buddy, 0, USED);
		EXPECT(pfn != LOAM_PFN_NONE);
		expect_sound();
		loam_pfn_t head = buddy.free_lists[4];
		switch (kind) {
		case 0:
			tags[head] = USED | 4;
			break;
		case 1:
			map[0] ^= 1u << 1;
			break;
		case 2:
			frames[head].free.prev = 5;
			break;
		case 3:
			buddy.free_frames++;
			break;
		case 4:
			buddy.nonempty ^= 1u << 4;
			break;
		case 5:
			buddy.free_blocks[4]++;
			break;
		case 6:
			frames[head].free.next = head;
			break;
		default:
			buddy.free_lists[4] = head + 1;
			break;
		}
		EXPECT_EQ(loam_buddy_check(&buddy, 2048), -LOAM_EFAULT);
		EXPECT_LOG("check: ");
	}
}

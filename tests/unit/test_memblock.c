/* SPDX-License-Identifier: MIT */
/* memblock: reservations, the boot allocator, the seal, and a model. */
#include "test.h"

#include <loam/assert.h>
#include <loam/bits.h>
#include <loam/memblock.h>

#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define ANYWHERE 0, LOAM_PHYS_NONE

#define REGIONS 64
static struct loam_mem_range ranges[64];
static struct loam_memmap map;
static struct loam_memblock_region regions[REGIONS];
static struct loam_memblock memblock;

/* A machine of 16 MiB with a hole from 640 KiB to 1 MiB, all mapped. */
static void begin(uint32_t capacity)
{
	hosted_memory_create(MIB(16), MIB(16));
	loam_memmap_init(&map, ranges, LOAM_ARRAY_SIZE(ranges));
	EXPECT_EQ(loam_memmap_add(&map, 0, 0x9fc00, LOAM_MEM_USABLE), 0);
	EXPECT_EQ(loam_memmap_add(&map, 0xf0000, 0x10000, LOAM_MEM_RESERVED),
		  0);
	EXPECT_EQ(loam_memmap_add(&map, MIB(1), MIB(15), LOAM_MEM_USABLE), 0);
	EXPECT_EQ(loam_memmap_normalise(&map), 0);
	loam_memblock_init(&memblock, regions, capacity);
	EXPECT_EQ(loam_memblock_adopt(&memblock, &map), 0);
}

static void check(void)
{
	EXPECT_EQ(loam_memblock_check(&memblock), 0);
}

static loam_phys_t alloc_up(loam_phys_t size, loam_phys_t align)
{
	loam_phys_t at =
		loam_memblock_alloc(&memblock, size, align, ANYWHERE,
				    LOAM_BOTTOM_UP, LOAM_RESERVED_MEMBLOCK);
	check();
	return at;
}

static loam_phys_t alloc_down(loam_phys_t size, loam_phys_t align)
{
	loam_phys_t at =
		loam_memblock_alloc(&memblock, size, align, ANYWHERE,
				    LOAM_TOP_DOWN, LOAM_RESERVED_MEMBLOCK);
	check();
	return at;
}

/* The table as it is now, to show later that nothing was changed. */
struct snapshot {
	struct loam_memblock memblock;
	struct loam_memblock_region regions[512];
};

static void take(struct snapshot *snapshot)
{
	EXPECT(memblock.count <= LOAM_ARRAY_SIZE(snapshot->regions));
	snapshot->memblock = memblock;
	memcpy(snapshot->regions, memblock.regions,
	       memblock.count * sizeof(regions[0]));
}

static void expect_unchanged(const struct snapshot *snapshot)
{
	EXPECT_EQ(memblock.count, snapshot->memblock.count);
	EXPECT_EQ(memblock.capacity, snapshot->memblock.capacity);
	EXPECT(memblock.regions == snapshot->memblock.regions);
	EXPECT_EQ(memblock.allocated_bytes, snapshot->memblock.allocated_bytes);
	for (uint32_t i = 0; i < memblock.count; i++) {
		EXPECT_EQ(memblock.regions[i].base, snapshot->regions[i].base);
		EXPECT_EQ(memblock.regions[i].size, snapshot->regions[i].size);
		EXPECT_EQ(memblock.regions[i].owner,
			  snapshot->regions[i].owner);
	}
	check();
}

TEST(bump, "S4.6 the next allocation begins where the last one ended")
{
	begin(REGIONS);
	loam_phys_t p1 = alloc_up(100, 1);
	loam_phys_t p2 = alloc_up(5000, 1);
	EXPECT_EQ(p1, 0);
	EXPECT_EQ(p2, p1 + 100);
	EXPECT_EQ(alloc_up(1, 1), p2 + 5000);
	EXPECT_EQ(memblock.count, 1);
	EXPECT_EQ(memblock.allocated_bytes, 5101);
	loam_phys_t q1 = alloc_down(100, 1);
	loam_phys_t q2 = alloc_down(5000, 1);
	EXPECT_EQ(q1, MIB(16) - 100);
	EXPECT_EQ(q2, q1 - 5000);
}

TEST(zero, "S4.8 nothing is had for no bytes, and nothing is changed")
{
	struct snapshot before;
	begin(REGIONS);
	(void)alloc_up(100, 1);
	take(&before);
	EXPECT_EQ(alloc_up(0, 1), LOAM_PHYS_NONE);
	EXPECT_EQ(alloc_down(0, 4096), LOAM_PHYS_NONE);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), 0,
					LOAM_RESERVED_MODULE),
		  -LOAM_EINVAL);
	expect_unchanged(&before);
}

TEST(exhausted, "S4.8 exhaustion changes nothing, smaller requests still work")
{
	struct snapshot before;
	begin(REGIONS);
	EXPECT_EQ(alloc_up(MIB(15), 1), MIB(1));
	take(&before);
	EXPECT_EQ(alloc_up(MIB(1), 1), LOAM_PHYS_NONE);
	EXPECT_EQ(alloc_up(0x9f001, 1), LOAM_PHYS_NONE);
	EXPECT_EQ(alloc_down(0x9f001, 1), LOAM_PHYS_NONE);
	expect_unchanged(&before);
	/* The 3 KiB at the end of low memory are no whole frame. */
	EXPECT_EQ(alloc_up(0x9f000, 1), 0);
	EXPECT_EQ(alloc_up(1, 1), LOAM_PHYS_NONE);
	EXPECT_EQ(loam_memblock_free_bytes(&memblock), 0);
}

TEST(huge, "S4.8 sizes, alignments and windows near 2^64 do not wrap")
{
	static const loam_phys_t huge[] = {
		LOAM_PHYS_NONE,
		LOAM_PHYS_NONE - 1,
		LOAM_PHYS_NONE - 4095,
		(loam_phys_t)1 << 63,
		GIB(4),
		GIB(4) + 1,
	};
	struct snapshot before;
	begin(REGIONS);
	(void)alloc_up(4096, 1);
	take(&before);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(huge); i++) {
		EXPECT_EQ(alloc_up(huge[i], 1), LOAM_PHYS_NONE);
		EXPECT_EQ(alloc_down(huge[i], 1), LOAM_PHYS_NONE);
		EXPECT_EQ(loam_memblock_alloc(&memblock, 1, 1, huge[i],
					      LOAM_PHYS_NONE, LOAM_BOTTOM_UP,
					      LOAM_RESERVED_METADATA),
			  LOAM_PHYS_NONE);
	}
	EXPECT_EQ(loam_memblock_alloc(&memblock, 1, (loam_phys_t)1 << 63, 4096,
				      LOAM_PHYS_NONE, LOAM_BOTTOM_UP,
				      LOAM_RESERVED_METADATA),
		  LOAM_PHYS_NONE);
	expect_unchanged(&before);
}

TEST(bad_arguments, "S4.8 bad alignment, window or owner: nothing")
{
	struct snapshot before;
	begin(REGIONS);
	take(&before);
	EXPECT_EQ(alloc_up(16, 0), LOAM_PHYS_NONE);
	EXPECT_EQ(alloc_up(16, 3), LOAM_PHYS_NONE);
	EXPECT_EQ(alloc_up(16, 4097), LOAM_PHYS_NONE);
	static const loam_phys_t windows[][2] = {
		{ MIB(2), MIB(2) },      { MIB(2), MIB(1) },
		{ MIB(2), MIB(2) + 15 }, { 0xa0000, 0x100000 },
		{ MIB(16), GIB(4) },     { 0, 15 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(windows); i++) {
		for (unsigned way = 0; way < 2; way++) {
			EXPECT_EQ(loam_memblock_alloc(&memblock, 16, 1,
						      windows[i][0],
						      windows[i][1],
						      way == 0 ? LOAM_BOTTOM_UP
							       : LOAM_TOP_DOWN,
						      LOAM_RESERVED_METADATA),
				  LOAM_PHYS_NONE);
		}
	}
	static const unsigned owners[] = { LOAM_RESERVED_NONE,
					   LOAM_RESERVED_LAST + 1, 1000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(owners); i++) {
		enum loam_reservation owner = (enum loam_reservation)owners[i];
		EXPECT_EQ(loam_memblock_alloc(&memblock, 16, 1, ANYWHERE,
					      LOAM_BOTTOM_UP, owner),
			  LOAM_PHYS_NONE);
		EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), 1, owner),
			  -LOAM_EINVAL);
	}
	expect_unchanged(&before);
}

TEST(aligned, "S4.8 alignment and windows are kept in both directions")
{
	begin(REGIONS);
	EXPECT_EQ(alloc_up(1, 1), 0);
	EXPECT_EQ(alloc_up(16, 16), 16);
	/* What alignment left free is still there for who fits in it. */
	EXPECT_EQ(alloc_up(15, 1), 1);
	EXPECT_EQ(alloc_up(4096, 4096), 4096);
	EXPECT_EQ(alloc_up(MIB(1), MIB(4)), MIB(4));
	EXPECT_EQ(alloc_down(10, MIB(4)), MIB(12));
	EXPECT_EQ(alloc_down(10, 4096), MIB(16) - 4096);
	EXPECT_EQ(loam_memblock_alloc(&memblock, 100, 4, MIB(2) + 1,
				      MIB(2) + 104, LOAM_BOTTOM_UP,
				      LOAM_RESERVED_METADATA),
		  MIB(2) + 4);
	EXPECT_EQ(loam_memblock_alloc(&memblock, 100, 1, MIB(3), MIB(3) + 4095,
				      LOAM_TOP_DOWN, LOAM_RESERVED_METADATA),
		  MIB(3) + 3995);
	check();
}

TEST(several, "S4.8 a request that does not fit one run is placed in the next")
{
	begin(REGIONS);
	EXPECT_EQ(alloc_up(0x80000, 1), 0);
	EXPECT_EQ(alloc_up(0x80000, 1), MIB(1));
	EXPECT_EQ(alloc_up(0x1000, 1), 0x80000);
	EXPECT_EQ(alloc_down(MIB(14), 1), MIB(2));
	EXPECT_EQ(alloc_down(0x80000, 1), MIB(1) + 0x80000);
	EXPECT_EQ(alloc_down(0x1000, 1), 0x9e000);
}

TEST(avoids, "S4.8 allocations never touch kernel, modules or boot info")
{
	static const struct loam_memblock_region kept[] = {
		{ 0, 4096, LOAM_RESERVED_FRAME_ZERO },
		{ 0x9f000, 0x61000, LOAM_RESERVED_FIRMWARE },
		{ MIB(1), 0x34567, LOAM_RESERVED_KERNEL_TEXT },
		{ MIB(1) + 0x35000, 0x2345, LOAM_RESERVED_KERNEL_DATA },
		{ MIB(3) + 77, 999999, LOAM_RESERVED_MODULE },
		{ 0x9000, 88, LOAM_RESERVED_BOOT_INFO },
	};
	uint64_t seed = 9;
	begin(REGIONS);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kept); i++) {
		EXPECT_EQ(loam_memblock_reserve(
				  &memblock, kept[i].base, kept[i].size,
				  (enum loam_reservation)kept[i].owner),
			  0);
	}
	for (;;) {
		loam_phys_t size = 1 + hosted_random(&seed) % 60000;
		loam_phys_t at = hosted_random(&seed) % 2 == 0
					 ? alloc_up(size, 1)
					 : alloc_down(size, 8);
		if (at == LOAM_PHYS_NONE) {
			break;
		}
		EXPECT(loam_memmap_is_usable(&map, at, size));
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kept); i++) {
			EXPECT(at + size <= kept[i].base ||
			       at >= kept[i].base + kept[i].size);
		}
	}
	EXPECT(loam_memblock_free_bytes(&memblock) < 120000);
}

TEST(whole_frames, "X.4 two owners never share a frame, one owner does")
{
	begin(REGIONS);
	loam_phys_t table =
		loam_memblock_alloc(&memblock, 100, 1, ANYWHERE, LOAM_BOTTOM_UP,
				    LOAM_RESERVED_PAGE_TABLE);
	loam_phys_t data = alloc_up(100, 1);
	EXPECT_EQ(table, 0);
	EXPECT_EQ(data, 4096);
	EXPECT_EQ(loam_memblock_alloc(&memblock, 100, 1, ANYWHERE,
				      LOAM_BOTTOM_UP, LOAM_RESERVED_PAGE_TABLE),
		  100);
	EXPECT_EQ(alloc_up(100, 1), 4196);
	/* From above too: another owner's frame ends the gap. */
	EXPECT_EQ(alloc_down(100, 1), MIB(16) - 100);
	EXPECT_EQ(loam_memblock_alloc(&memblock, 100, 1, ANYWHERE,
				      LOAM_TOP_DOWN, LOAM_RESERVED_PAGE_TABLE),
		  MIB(16) - 4196);
	EXPECT_EQ(loam_memblock_owner(&memblock, 0), LOAM_RESERVED_PAGE_TABLE);
	EXPECT_EQ(loam_memblock_owner(&memblock, 199),
		  LOAM_RESERVED_PAGE_TABLE);
	EXPECT_EQ(loam_memblock_owner(&memblock, 200), LOAM_RESERVED_NONE);
	EXPECT_EQ(loam_memblock_owner(&memblock, 4096), LOAM_RESERVED_MEMBLOCK);
	uint64_t pfn = 0;
	uint64_t count;
	EXPECT(loam_memblock_next_free(&memblock, &pfn, &count));
	EXPECT_EQ(pfn, 2);
	EXPECT_EQ(count, 0x9f - 2);
	check();
}

TEST(collision, "X.4 a reservation that collides is refused, with both owners")
{
	struct snapshot before;
	begin(REGIONS);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), MIB(1),
					LOAM_RESERVED_KERNEL_TEXT),
		  0);
	take(&before);
	static const loam_phys_t rows[][2] = {
		{ MIB(2) - 1, 1 },       { MIB(1), 1 },  { MIB(1) - 1, 2 },
		{ MIB(1) + 8192, 4096 }, { 0, MIB(16) }, { MIB(1), MIB(1) },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(loam_memblock_reserve(&memblock, rows[i][0],
						rows[i][1],
						LOAM_RESERVED_MODULE),
			  -LOAM_EEXIST);
	}
	EXPECT_LOG("module 0x1ff000-0x1fffff collides with kernel text"
		   " 0x100000-0x1fffff: not reserved");
	expect_unchanged(&before);
	/* Touching is allowed on either side. */
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2), 1,
					LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1) - 1, 1,
					LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(memblock.count, 3);
	check();
}

TEST(rounding, "S2.17 reservations are rounded out, and wrapping ones refused")
{
	begin(REGIONS);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1) + 4095, 2,
					LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(memblock.regions[0].base, MIB(1));
	EXPECT_EQ(memblock.regions[0].size, 8192);
	static const loam_phys_t rows[][2] = {
		{ LOAM_PHYS_NONE, 1 },
		{ LOAM_PHYS_NONE - 8191, 4096 },
		{ LOAM_PHYS_NONE - 4094, 1 },
		{ 4096, LOAM_PHYS_NONE },
		{ 4096, LOAM_PHYS_NONE - 4095 },
		{ 0, LOAM_PHYS_NONE },
		{ (loam_phys_t)1 << 63, (loam_phys_t)1 << 63 },
	};
	unsigned refused = 0;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		int error =
			loam_memblock_reserve(&memblock, rows[i][0], rows[i][1],
					      LOAM_RESERVED_MODULE);
		EXPECT(error == -LOAM_EINVAL || error == 0);
		refused += error != 0;
		check();
	}
	/* Only the second, which ends below 2^64 - 4096, can be kept. */
	EXPECT_EQ(refused, LOAM_ARRAY_SIZE(rows) - 1);
}

TEST(merging, "X.4 what one owner reserves becomes one region")
{
	begin(REGIONS);
	static const loam_phys_t rows[][2] = {
		{ MIB(4), 4096 },        { MIB(4) + 8192, 4096 },
		{ MIB(4) + 4096, 4096 }, { MIB(4) + 4096, 16384 },
		{ MIB(4) - 4096, 4096 }, { MIB(3), MIB(2) },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(loam_memblock_reserve(&memblock, rows[i][0],
						rows[i][1],
						LOAM_RESERVED_MODULE),
			  0);
		check();
	}
	EXPECT_EQ(memblock.count, 1);
	EXPECT_EQ(memblock.regions[0].base, MIB(3));
	EXPECT_EQ(memblock.regions[0].size, MIB(2));
	/* Neighbours of other owners stay what they are. */
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(5), 4096,
					LOAM_RESERVED_BOOT_INFO),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2), MIB(3),
					LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(memblock.count, 2);
	check();
}

TEST(sealed, "S2.2 S4.7 after the seal reserve and alloc are refused")
{
	struct snapshot before;
	begin(REGIONS);
	EXPECT_EQ(alloc_up(4096, 1), 0);
	uint64_t pfn = 0;
	uint64_t count;
	loam_memblock_seal(&memblock);
	take(&before);
	unsigned long misuses = loam_misuse_count();
	EXPECT_EQ(alloc_up(4096, 1), LOAM_PHYS_NONE);
	EXPECT_LOG("alloc of 4096 bytes for memblock after the frames took"
		   " over, called from");
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(4), 4096,
					LOAM_RESERVED_MODULE),
		  -LOAM_EPERM);
	EXPECT_LOG("reserve of 0x400000-0x400fff for module after the frames"
		   " took over, called from");
	EXPECT_EQ(loam_misuse_count(), misuses + 2);
	expect_unchanged(&before);
	/* Looking is still allowed. */
	EXPECT(loam_memblock_next_free(&memblock, &pfn, &count));
	EXPECT_EQ(pfn, 1);
	EXPECT_EQ(loam_memblock_owner(&memblock, 0), LOAM_RESERVED_MEMBLOCK);
}

TEST(release_early, "S4.7 before the seal nothing can be given back")
{
	struct snapshot before;
	begin(REGIONS);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), 8192,
					LOAM_RESERVED_MODULE),
		  0);
	take(&before);
	unsigned long misuses = loam_misuse_count();
	EXPECT_EQ(loam_memblock_release(&memblock, MIB(1), 4096,
					LOAM_RESERVED_MODULE),
		  -LOAM_EPERM);
	EXPECT_LOG("release of 0x100000-0x100fff before the frames took over");
	EXPECT_EQ(loam_misuse_count(), misuses + 1);
	expect_unchanged(&before);
}

TEST(release, "X.4 release takes whole frames of one owner, and no others")
{
	struct snapshot before;
	begin(REGIONS);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), MIB(1),
					LOAM_RESERVED_KERNEL_INIT),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2), MIB(1),
					LOAM_RESERVED_MODULE),
		  0);
	loam_memblock_seal(&memblock);
	take(&before);
	static const struct loam_memblock_region bad[] = {
		{ MIB(1), 0, LOAM_RESERVED_KERNEL_INIT },
		{ MIB(1) + 1, 4096, LOAM_RESERVED_KERNEL_INIT },
		{ MIB(1), 4095, LOAM_RESERVED_KERNEL_INIT },
		{ MIB(1), 4096, LOAM_RESERVED_MODULE },
		{ MIB(1), MIB(1) + 4096, LOAM_RESERVED_KERNEL_INIT },
		{ MIB(1) - 4096, 8192, LOAM_RESERVED_KERNEL_INIT },
		{ MIB(3) - 4096, 8192, LOAM_RESERVED_MODULE },
		{ MIB(8), 4096, LOAM_RESERVED_MODULE },
		{ MIB(8), 4096, LOAM_RESERVED_NONE },
		{ MIB(1), ~(loam_phys_t)4095, LOAM_RESERVED_KERNEL_INIT },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_memblock_release(
				  &memblock, bad[i].base, bad[i].size,
				  (enum loam_reservation)bad[i].owner),
			  -LOAM_EINVAL);
	}
	expect_unchanged(&before);
	/* The middle, both ends, and then all that is left. */
	static const loam_phys_t good[][2] = {
		{ MIB(1) + 0x40000, 0x1000 },  { MIB(1), 0x1000 },
		{ MIB(2) - 0x1000, 0x1000 },   { MIB(1) + 0x1000, 0x3f000 },
		{ MIB(1) + 0x41000, 0xbe000 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(good); i++) {
		EXPECT_EQ(loam_memblock_release(&memblock, good[i][0],
						good[i][1],
						LOAM_RESERVED_KERNEL_INIT),
			  0);
		EXPECT_EQ(loam_memblock_owner(&memblock, good[i][0]),
			  LOAM_RESERVED_NONE);
		check();
		/* Twice is once too often. */
		EXPECT_EQ(loam_memblock_release(&memblock, good[i][0],
						good[i][1],
						LOAM_RESERVED_KERNEL_INIT),
			  -LOAM_EINVAL);
	}
	EXPECT_EQ(memblock.count, 1);
	EXPECT_EQ(loam_memblock_owner(&memblock, MIB(2)), LOAM_RESERVED_MODULE);
}

TEST(release_bytes, "X.4 a frame that its owner has in part is released whole")
{
	begin(REGIONS);
	EXPECT_EQ(alloc_up(100, 1), 0);
	EXPECT_EQ(alloc_up(100, 2048), 2048);
	EXPECT_EQ(alloc_up(5000, 4096), 4096);
	EXPECT_EQ(memblock.count, 3);
	loam_memblock_seal(&memblock);
	EXPECT_EQ(loam_memblock_release(&memblock, 0, 3 * 4096,
					LOAM_RESERVED_MEMBLOCK),
		  0);
	EXPECT_EQ(memblock.count, 0);
	check();
}

TEST(release_full, "release that must split fails cleanly in a full table")
{
	struct snapshot before;
	begin(4);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2 * i), 0x3000,
						LOAM_RESERVED_MODULE),
			  0);
	}
	loam_memblock_seal(&memblock);
	take(&before);
	EXPECT_EQ(loam_memblock_release(&memblock, MIB(2) + 0x1000, 0x1000,
					LOAM_RESERVED_MODULE),
		  -LOAM_ENOMEM);
	expect_unchanged(&before);
	EXPECT_EQ(loam_memblock_release(&memblock, MIB(2), 0x3000,
					LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(loam_memblock_release(&memblock, MIB(4) + 0x1000, 0x1000,
					LOAM_RESERVED_MODULE),
		  0);
	check();
}

TEST(growth, "a full table moves to memory of its own, and leaves it again")
{
	begin(4);
	uint32_t capacity = 4;
	unsigned moves = 0;
	loam_phys_t free_bytes = loam_memblock_free_bytes(&memblock);
	for (unsigned i = 0; i < 700; i++) {
		/* Apart, so that no two become one. */
		EXPECT_EQ(loam_memblock_reserve(&memblock,
						MIB(2) + 8192 * (uint64_t)i, 1,
						LOAM_RESERVED_MODULE),
			  0);
		check();
		if (memblock.capacity != capacity) {
			EXPECT(memblock.capacity >= 2 * capacity);
			EXPECT(memblock.table >= MIB(1));
			EXPECT_EQ(
				loam_memblock_owner(&memblock, memblock.table),
				LOAM_RESERVED_MEMBLOCK);
			capacity = memblock.capacity;
			moves++;
		}
	}
	EXPECT(moves >= 3);
	EXPECT_EQ(memblock.count, 701);
	EXPECT_EQ(memblock.allocated_bytes, memblock.table_size);
	EXPECT_EQ(loam_memblock_free_bytes(&memblock),
		  free_bytes - 700 * 4096 - memblock.table_size);
	/* The table's own place cannot be released under it. */
	loam_memblock_seal(&memblock);
	EXPECT_EQ(loam_memblock_release(&memblock, memblock.table,
					memblock.table_size,
					LOAM_RESERVED_MEMBLOCK),
		  -LOAM_EINVAL);
}

TEST(growth_fails, "no mapped memory for the table: every operation unchanged")
{
	struct snapshot before;
	for (unsigned way = 0; way < 3; way++) {
		begin(4);
		for (unsigned i = 0; i < 4; i++) {
			EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2 * i),
							4096,
							LOAM_RESERVED_MODULE),
				  0);
		}
		if (way == 0) {
			/* The place above 1 MiB is not mapped. */
			hosted_memory_create(MIB(16), MIB(1));
		} else if (way == 1) {
			/* Everything is taken. */
			memblock.capacity = REGIONS;
			EXPECT_EQ(loam_memblock_alloc(&memblock, 0x9e000, 1,
						      ANYWHERE, LOAM_BOTTOM_UP,
						      LOAM_RESERVED_METADATA),
				  0x1000);
			EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1),
							MIB(15),
							LOAM_RESERVED_MODULE),
				  0);
			memblock.capacity = memblock.count;
		} else {
			/* There is no map yet. */
			memblock.map = NULL;
		}
		take(&before);
		EXPECT_EQ(loam_memblock_reserve(&memblock, GIB(1), 4096,
						LOAM_RESERVED_FIRMWARE),
			  -LOAM_ENOMEM);
		EXPECT_LOG("no mapped memory for a table of more than");
		expect_unchanged(&before);
		EXPECT_EQ(alloc_up(16, 1), LOAM_PHYS_NONE);
		expect_unchanged(&before);
	}
}

TEST(growth_half, "a table that would be mapped only in part does not move")
{
	static struct loam_memblock_region many[256];
	begin(4);
	hosted_memory_create(MIB(16), MIB(1) + 4096);
	loam_memblock_init(&memblock, many, LOAM_ARRAY_SIZE(many));
	EXPECT_EQ(loam_memblock_adopt(&memblock, &map), 0);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(many); i++) {
		EXPECT_EQ(loam_memblock_reserve(&memblock,
						MIB(4) + 8192 * (uint64_t)i, 1,
						LOAM_RESERVED_MODULE),
			  0);
	}
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2), 1,
					LOAM_RESERVED_MODULE),
		  -LOAM_ENOMEM);
	EXPECT_EQ(memblock.count, LOAM_ARRAY_SIZE(many));
	EXPECT(memblock.regions == many);
	check();
}

TEST(growth_low, "the table grows below 1 MiB when there is nothing above")
{
	begin(4);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), MIB(15),
					LOAM_RESERVED_MODULE),
		  0);
	for (unsigned i = 0; i < 6; i++) {
		EXPECT_EQ(loam_memblock_reserve(&memblock, 0x20000 + i * 0x2000,
						1, LOAM_RESERVED_BOOT_INFO),
			  0);
		check();
	}
	EXPECT_EQ(memblock.table, 0);
}

TEST(growth_taken, "growing may take the very place that was asked for")
{
	begin(4);
	/* All but two frames are taken; the table needs one of them. */
	EXPECT_EQ(loam_memblock_reserve(&memblock, 0, 0xa0000,
					LOAM_RESERVED_FIRMWARE),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), MIB(7),
					LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(8) + 0x2000,
					MIB(8) - 0x2000, LOAM_RESERVED_MODULE),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, GIB(1), 1,
					LOAM_RESERVED_FIRMWARE),
		  0);
	EXPECT_EQ(memblock.count, memblock.capacity);
	EXPECT_EQ(loam_memblock_alloc(&memblock, 4096, 4096, ANYWHERE,
				      LOAM_BOTTOM_UP, LOAM_RESERVED_METADATA),
		  MIB(8) + 0x1000);
	EXPECT_EQ(memblock.table, MIB(8));
	check();
}

TEST(adopt, "only a normalised map with a usable frame is adopted")
{
	begin(REGIONS);
	struct loam_mem_range storage[8];
	struct loam_memmap other;
	loam_memmap_init(&other, storage, 8);
	EXPECT_EQ(loam_memblock_adopt(&memblock, &other), -LOAM_EINVAL);
	loam_memmap_add(&other, 0, MIB(1), LOAM_MEM_RESERVED);
	loam_memmap_add(&other, MIB(2) + 1, 8190, LOAM_MEM_USABLE);
	EXPECT_EQ(loam_memblock_adopt(&memblock, &other), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_normalise(&other), 0);
	EXPECT_EQ(loam_memblock_adopt(&memblock, &other), -LOAM_EINVAL);
	EXPECT(memblock.map == &map);
	loam_memmap_add(&other, MIB(4), 4096, LOAM_MEM_USABLE);
	EXPECT_EQ(loam_memmap_normalise(&other), 0);
	EXPECT_EQ(loam_memblock_adopt(&memblock, &other), 0);
	EXPECT_EQ(loam_memblock_free_bytes(&memblock), 4096);
}

TEST(before_map, "S2.18 without a map there is no memory, but reservations")
{
	loam_memblock_init(&memblock, regions, REGIONS);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), MIB(1),
					LOAM_RESERVED_KERNEL_TEXT),
		  0);
	EXPECT_EQ(alloc_up(1, 1), LOAM_PHYS_NONE);
	uint64_t pfn = 0;
	uint64_t count;
	EXPECT(!loam_memblock_next_free(&memblock, &pfn, &count));
	EXPECT_EQ(loam_memblock_free_bytes(&memblock), 0);
	check();
}

TEST(free_runs, "S2.10 S2.18 the free frames are the usable ones not reserved")
{
	begin(REGIONS);
	EXPECT_EQ(loam_memblock_reserve(&memblock, 0, 1,
					LOAM_RESERVED_FRAME_ZERO),
		  0);
	EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2), MIB(1),
					LOAM_RESERVED_KERNEL_TEXT),
		  0);
	static const uint64_t expected[][2] = { { 1, 0x9e },
						{ 0x100, 0x100 },
						{ 0x300, 0xd00 } };
	uint64_t pfn = 0;
	uint64_t count;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(expected); i++) {
		EXPECT(loam_memblock_next_free(&memblock, &pfn, &count));
		EXPECT_EQ(pfn, expected[i][0]);
		EXPECT_EQ(count, expected[i][1]);
		pfn += count;
	}
	EXPECT(!loam_memblock_next_free(&memblock, &pfn, &count));
	/* From the middle of a run, and of a reservation. */
	pfn = 0x150;
	EXPECT(loam_memblock_next_free(&memblock, &pfn, &count));
	EXPECT_EQ(pfn, 0x150);
	EXPECT_EQ(count, 0xb0);
	pfn = 0x250;
	EXPECT(loam_memblock_next_free(&memblock, &pfn, &count));
	EXPECT_EQ(pfn, 0x300);
	pfn = ~(uint64_t)0;
	EXPECT(!loam_memblock_next_free(&memblock, &pfn, &count));
	EXPECT_EQ(loam_memblock_free_bytes(&memblock),
		  (uint64_t)(0x9e + 0x100 + 0xd00) * 4096);
}

TEST(above_4g, "S4.8 memory above 4 GiB can be had, at its full address")
{
	begin(REGIONS);
	loam_memmap_add(&map, GIB(5), GIB(1), LOAM_MEM_USABLE);
	EXPECT_EQ(loam_memmap_normalise(&map), 0);
	EXPECT_EQ(alloc_down(MIB(100), MIB(2)), GIB(6) - MIB(100));
	EXPECT_EQ(alloc_up(MIB(100), MIB(2)), GIB(5));
	/* A limit keeps it where the kernel can reach it. */
	EXPECT_EQ(loam_memblock_alloc(&memblock, MIB(1), 4096, 0, GIB(4),
				      LOAM_TOP_DOWN, LOAM_RESERVED_METADATA),
		  MIB(15));
	check();
}

TEST(names, "X.4 every owner has a name of its own")
{
	for (unsigned i = 0; i <= LOAM_RESERVED_LAST; i++) {
		const char *name =
			loam_reservation_name((enum loam_reservation)i);
		EXPECT(strcmp(name, "nobody known") != 0);
		for (unsigned k = 0; k < i; k++) {
			EXPECT(strcmp(name,
				      loam_reservation_name(
					      (enum loam_reservation)k)) != 0);
		}
	}
	EXPECT(strcmp(loam_reservation_name(
			      (enum loam_reservation)(LOAM_RESERVED_LAST + 1)),
		      "nobody known") == 0);
}

TEST(init_bad, "a table of fewer than 4 regions is refused")
{
	EXPECT_PANIC(loam_memblock_init(&memblock, regions, 3),
		     "capacity >= 4");
	EXPECT_PANIC(loam_memblock_init(&memblock, NULL, 8), "storage");
}

TEST(check_finds, "X.4 check() finds each invariant broken")
{
	for (unsigned i = 0; i < 9; i++) {
		begin(REGIONS);
		EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(1), 4096,
						LOAM_RESERVED_MODULE),
			  0);
		EXPECT_EQ(loam_memblock_reserve(&memblock, MIB(2), 8192,
						LOAM_RESERVED_BOOT_INFO),
			  0);
		check();
		switch (i) {
		case 0:
			regions[1].size = 0;
			break;
		case 1:
			regions[1].size = LOAM_PHYS_NONE;
			break;
		case 2:
			regions[1].owner = LOAM_RESERVED_LAST + 1;
			break;
		case 3:
			regions[1].base = MIB(1);
			break;
		case 4:
			regions[1].base = MIB(1) + 4096;
			regions[1].owner = LOAM_RESERVED_MODULE;
			break;
		case 5:
			regions[0].size = 100;
			regions[1].base = MIB(1) + 200;
			break;
		case 6:
			memblock.count = memblock.capacity + 1;
			break;
		case 7:
			memblock.table = MIB(2);
			memblock.table_size = 4096;
			break;
		case 8:
			map.normalised = false;
			break;
		}
		EXPECT_EQ(loam_memblock_check(&memblock), -LOAM_EFAULT);
		EXPECT_LOG("check: ");
	}
}

/*
 * The model: memory below 256 KiB in cells of 64 bytes, each with its owner.
 * What lies above 1 MiB is only there for the table to grow into.
 */
#define CELL 64u
#define CELLS 4096u
#define FRAME_CELLS (LOAM_PAGE_SIZE / CELL)

struct model {
	bool usable[CELLS];
	uint8_t owner[CELLS];
};

static void model_begin(struct model *model, uint64_t *seed)
{
	memset(model, 0, sizeof(*model));
	loam_memmap_init(&map, ranges, LOAM_ARRAY_SIZE(ranges));
	loam_memmap_add(&map, MIB(1), MIB(3), LOAM_MEM_USABLE);
	for (unsigned i = 0; i < 8; i++) {
		uint32_t first = (uint32_t)(hosted_random(seed) % CELLS);
		uint32_t count = (uint32_t)(hosted_random(seed) % 1000);
		count = first + count > CELLS ? CELLS - first : count;
		loam_memmap_add(&map, (uint64_t)first * CELL,
				(uint64_t)count * CELL, LOAM_MEM_USABLE);
		memset(&model->usable[first], 1, count);
	}
	EXPECT_EQ(loam_memmap_normalise(&map), 0);
	loam_memblock_init(&memblock, regions, 4);
	EXPECT_EQ(loam_memblock_adopt(&memblock, &map), 0);
}

/* May the owner have this cell? NONE: may anybody? */
static bool model_free(const struct model *model, uint32_t cell, uint8_t owner)
{
	uint32_t frame = cell / FRAME_CELLS * FRAME_CELLS;
	for (uint32_t i = frame; i < frame + FRAME_CELLS; i++) {
		if (!model->usable[i] ||
		    (model->owner[i] != 0 && model->owner[i] != owner)) {
			return false;
		}
	}
	return model->owner[cell] == 0;
}

static loam_phys_t model_alloc(struct model *model, uint32_t cells,
			       uint32_t align, uint32_t min, uint32_t max,
			       enum loam_direction direction, uint8_t owner)
{
	uint32_t found = CELLS;
	uint32_t run = 0;
	for (uint32_t i = min; i < max; i++) {
		run = model_free(model, i, owner) ? run + 1 : 0;
		uint32_t first = i + 1 - cells;
		if (run >= cells && first % align == 0) {
			found = first;
			if (direction == LOAM_BOTTOM_UP) {
				break;
			}
		}
	}
	if (found == CELLS) {
		return LOAM_PHYS_NONE;
	}
	memset(&model->owner[found], owner, cells);
	return (loam_phys_t)found * CELL;
}

static int model_reserve(struct model *model, uint32_t first, uint32_t end,
			 uint8_t owner)
{
	first = first / FRAME_CELLS * FRAME_CELLS;
	end = (end + FRAME_CELLS - 1) / FRAME_CELLS * FRAME_CELLS;
	for (uint32_t i = first; i < end; i++) {
		if (model->owner[i] != 0 && model->owner[i] != owner) {
			return -LOAM_EEXIST;
		}
	}
	memset(&model->owner[first], owner, end - first);
	return 0;
}

static void model_step(struct model *model, uint64_t *seed)
{
	uint32_t first = (uint32_t)(hosted_random(seed) % CELLS);
	uint32_t end = first + 1 + (uint32_t)(hosted_random(seed) % 100);
	end = end > CELLS ? CELLS : end;
	uint8_t owner =
		(uint8_t)(LOAM_RESERVED_MODULE + hosted_random(seed) % 3);
	if (hosted_random(seed) % 4 == 0) {
		EXPECT_EQ(loam_memblock_reserve(
				  &memblock, (uint64_t)first * CELL + 5,
				  (uint64_t)(end - first) * CELL - 5,
				  (enum loam_reservation)owner),
			  model_reserve(model, first, end, owner));
		return;
	}
	uint32_t cells = end - first;
	uint32_t align = 1u << (hosted_random(seed) % 9);
	uint32_t min = (uint32_t)(hosted_random(seed) % (CELLS / 2));
	uint32_t max = min + (uint32_t)(hosted_random(seed) % CELLS);
	max = max > CELLS ? CELLS : max;
	enum loam_direction direction =
		hosted_random(seed) % 2 == 0 ? LOAM_TOP_DOWN : LOAM_BOTTOM_UP;
	EXPECT_EQ(loam_memblock_alloc(&memblock, (uint64_t)cells * CELL,
				      align * CELL, (uint64_t)min * CELL,
				      (uint64_t)max * CELL, direction,
				      (enum loam_reservation)owner),
		  model_alloc(model, cells, align, min, max, direction, owner));
}

static void model_compare(const struct model *model)
{
	uint64_t at = 0;
	uint64_t pfn = 0;
	uint64_t count;
	while (loam_memblock_next_free(&memblock, &pfn, &count) &&
	       pfn < CELLS / FRAME_CELLS) {
		for (; at < pfn; at++) {
			EXPECT(!model_free(model, (uint32_t)at * FRAME_CELLS,
					   LOAM_RESERVED_NONE));
		}
		for (; at < pfn + count; at++) {
			EXPECT(model_free(model, (uint32_t)at * FRAME_CELLS,
					  LOAM_RESERVED_NONE));
		}
		pfn += count;
	}
	for (uint32_t i = 0; i < CELLS; i++) {
		EXPECT_EQ(loam_memblock_owner(&memblock, (uint64_t)i * CELL),
			  model->owner[i]);
		EXPECT_EQ(loam_memblock_owner(&memblock,
					      (uint64_t)i * CELL + CELL - 1),
			  model->owner[i]);
	}
}

static void model_release(struct model *model, uint64_t *seed)
{
	uint32_t first = (uint32_t)(hosted_random(seed) % CELLS) / FRAME_CELLS *
			 FRAME_CELLS;
	uint32_t end =
		first + FRAME_CELLS * (1 + (uint32_t)(hosted_random(seed) % 3));
	end = end > CELLS ? CELLS : end;
	uint8_t owner =
		(uint8_t)(LOAM_RESERVED_MODULE + hosted_random(seed) % 3);
	bool owns = true;
	for (uint32_t frame = first; frame < end; frame += FRAME_CELLS) {
		bool some = false;
		for (uint32_t i = 0; i < FRAME_CELLS; i++) {
			some = some || model->owner[frame + i] == owner;
		}
		owns = owns && some;
	}
	int error = loam_memblock_release(&memblock, (uint64_t)first * CELL,
					  (uint64_t)(end - first) * CELL,
					  (enum loam_reservation)owner);
	if (!owns) {
		EXPECT_EQ(error, -LOAM_EINVAL);
	} else if (error == 0) {
		memset(&model->owner[first], 0, end - first);
	} else {
		EXPECT_EQ(error, -LOAM_ENOMEM);
		EXPECT_EQ(memblock.count, memblock.capacity);
	}
}

TEST(model, "S4.6 S4.8 S2.17 X.4 random steps agree with a table of every cell")
{
	uint64_t seed = 31;
	struct model model;
	hosted_memory_create(MIB(4), MIB(4));
	for (unsigned round = 0; round < 30; round++) {
		model_begin(&model, &seed);
		for (unsigned step = 0; step < 60; step++) {
			model_step(&model, &seed);
			check();
			if (step % 8 == 0) {
				model_compare(&model);
			}
		}
		model_compare(&model);
		loam_memblock_seal(&memblock);
		for (unsigned step = 0; step < 60; step++) {
			model_release(&model, &seed);
			check();
		}
		model_compare(&model);
	}
}

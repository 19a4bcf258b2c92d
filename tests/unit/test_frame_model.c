/* SPDX-License-Identifier: MIT */
/* Random operations on frames against an array that says who has each. */
#include "frame_machine.h"

#define MIB(n) ((loam_phys_t)(n) << 20)
#define MODEL_FRAMES (48u << 8)
#define MODEL_BLOCKS 8000u
#define MODEL_CPUS 3u

/* Whose each frame is: 0 free, -1 nobody's, else the number of its block. */
static int32_t owner[MODEL_FRAMES];
static uint64_t model_free;

/* A live block; single frames of a range have order 0 and count frames. */
struct model_block {
	loam_pfn_t pfn;
	loam_pfn_t count;
	unsigned order;
	uint32_t refs;
	bool is_range;
	bool is_slab;
	loam_flags_t flags;
};
static struct model_block blocks[MODEL_BLOCKS + 1];
static unsigned live; /* blocks[1 .. live] */

static uint64_t seed;

static unsigned pick(unsigned below)
{
	return (unsigned)(hosted_random(&seed) % below);
}

/* Frame by frame, from the map and memblock alone. */
static void model_start(void)
{
	static const struct machine_range ranges[] = {
		{ 0x10e000, MIB(4) + 0x5000 },
		{ MIB(7), MIB(6) },
		{ MIB(14) + 0x1000, MIB(20) },
		{ MIB(36), MIB(12) },
	};
	machine_start(ranges, LOAM_ARRAY_SIZE(ranges), MIB(12), MIB(32));
	model_free = 0;
	live = 0;
	for (loam_pfn_t pfn = 0; pfn < MODEL_FRAMES; pfn++) {
		loam_phys_t phys = loam_pfn_to_phys(pfn);
		bool mine = loam_memmap_is_usable(&machine.map, phys,
						  LOAM_PAGE_SIZE) &&
			    loam_memblock_owner(&machine.memblock, phys) ==
				    LOAM_RESERVED_NONE;
		owner[pfn] = mine ? 0 : -1;
		model_free += mine;
	}
	EXPECT_EQ(loam_frame_free_count(&machine.frames), model_free);
}

/* What came back must have been free, all of it. */
static void model_take(loam_pfn_t pfn, loam_pfn_t count, unsigned order,
		       bool is_range, loam_flags_t flags)
{
	live++;
	EXPECT(count <= MODEL_FRAMES && pfn <= MODEL_FRAMES - count);
	for (loam_pfn_t i = pfn; i < pfn + count; i++) {
		EXPECT_EQ(owner[i], 0);
		owner[i] = (int32_t)live;
	}
	blocks[live] = (struct model_block){ .pfn = pfn,
					     .count = count,
					     .order = order,
					     .refs = 1,
					     .is_range = is_range,
					     .flags = flags };
	model_free -= count;
}

static void model_give(unsigned number)
{
	struct model_block *block = &blocks[number];
	for (loam_pfn_t i = block->pfn; i < block->pfn + block->count; i++) {
		owner[i] = 0;
	}
	model_free += block->count;
	*block = blocks[live];
	for (loam_pfn_t i = block->pfn;
	     number != live && i < block->pfn + block->count; i++) {
		owner[i] = (int32_t)number;
	}
	live--;
}

/* True if the model has `count` free frames in a row that would do. */
static bool model_has_run(loam_pfn_t count, loam_pfn_t align, loam_pfn_t from,
			  loam_pfn_t limit, loam_pfn_t boundary)
{
	for (loam_pfn_t at = (loam_pfn_t)loam_round_up(from, align);
	     at + count <= limit; at += align) {
		loam_pfn_t i = 0;
		while (i < count && owner[at + i] == 0) {
			i++;
		}
		if (i == count &&
		    (boundary == 0 ||
		     at / boundary == (at + count - 1) / boundary)) {
			return true;
		}
	}
	return false;
}

/* Where zones lie: DMA to 12 MiB, normal to 32, high to 48. */
static loam_pfn_t zone_limit(loam_flags_t flags)
{
	if ((flags & LOAM_DMA) != 0) {
		return 12u << 8;
	}
	return (flags & LOAM_HIGH) != 0 ? MODEL_FRAMES : 32u << 8;
}

static loam_flags_t pick_flags(void)
{
	static const loam_flags_t zones[] = { 0, 0, LOAM_DMA, LOAM_HIGH,
					      LOAM_HIGH };
	return zones[pick(5)] | LOAM_OWNED_BY(pick(LOAM_OWNER_COUNT));
}

static void drain_all(void)
{
	for (unsigned cpu = 0; cpu < MODEL_CPUS; cpu++) {
		loam_frame_drain_cpu(&machine.frames, cpu);
	}
}

static void step_alloc(void)
{
	unsigned order = pick(4) == 0 ? pick(LOAM_ORDER_COUNT) : pick(3);
	loam_flags_t flags = pick_flags();
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, order, flags);
	if (pfn == LOAM_PFN_NONE) {
		/* What other CPUs keep was out of reach: not any more. */
		drain_all();
		pfn = loam_frame_alloc(&machine.frames, order, flags);
	}
	if (pfn == LOAM_PFN_NONE) {
		loam_pfn_t size = (loam_pfn_t)1 << order;
		EXPECT(!model_has_run(size, size, 0, zone_limit(flags), 0));
		return;
	}
	EXPECT(loam_is_aligned(pfn, (uint64_t)1 << order));
	EXPECT(pfn < zone_limit(flags));
	model_take(pfn, (loam_pfn_t)1 << order, order, false, flags);
}

static void step_alloc_range(void)
{
	size_t count = pick(3) == 0 ? pick(2000) + 1 : pick(40) + 1;
	size_t align = (size_t)1 << pick(8);
	loam_flags_t flags = pick_flags();
	loam_pfn_t limit = pick(2) == 0 ? 0 : pick(MODEL_FRAMES) + 1;
	loam_pfn_t boundary = pick(2) == 0 ? 0 : 16u << pick(8);
	loam_pfn_t pfn = loam_frame_alloc_range(
		&machine.frames, count, align, loam_pfn_to_phys(limit),
		loam_pfn_to_phys(boundary), flags);
	loam_pfn_t end = zone_limit(flags);
	if (limit != 0 && limit < end) {
		end = limit;
	}
	if (pfn == LOAM_PFN_NONE) {
		/* Not across zones: look into each. */
		static const loam_pfn_t border[] = { 0, 12u << 8, 32u << 8,
						     MODEL_FRAMES };
		for (unsigned z = 0; z < 3; z++) {
			loam_pfn_t stop =
				border[z + 1] < end ? border[z + 1] : end;
			EXPECT(!model_has_run((loam_pfn_t)count,
					      (loam_pfn_t)align, border[z],
					      stop, boundary));
		}
		return;
	}
	EXPECT(pfn % align == 0 && pfn + count <= end);
	EXPECT(boundary == 0 || pfn / boundary == (pfn + count - 1) / boundary);
	model_take(pfn, (loam_pfn_t)count, 0, true, flags);
}

static void step_bulk(void)
{
	static loam_pfn_t pfns[256];
	size_t count = pick(256);
	loam_flags_t flags = pick_flags();
	if (live + count > MODEL_BLOCKS ||
	    loam_frame_alloc_bulk(&machine.frames, count, pfns, flags) != 0) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		EXPECT(pfns[i] < zone_limit(flags));
		model_take(pfns[i], 1, 0, false, flags);
	}
}

static void step_free(void)
{
	unsigned number = pick(live) + 1;
	struct model_block *block = &blocks[number];
	struct loam_frames *f = &machine.frames;
	if (block->is_slab) {
		loam_frame_set_tags(f, block->pfn, block->order, 0);
	}
	if (block->is_range) {
		loam_frame_free_range(f, block->pfn, block->count);
	} else if (block->refs > 1) {
		loam_frame_put(f, block->pfn);
		block->is_slab = false;
		block->refs--;
		return;
	} else if (pick(2) == 0) {
		loam_frame_put(f, block->pfn);
	} else {
		loam_frame_free(f, block->pfn, block->order);
	}
	model_give(number);
}

/* Things done to a live block. */
static void step_change(void)
{
	unsigned number = pick(live) + 1;
	struct model_block *block = &blocks[number];
	struct loam_frames *f = &machine.frames;
	if (block->is_range || block->is_slab) {
		return;
	}
	switch (pick(3)) {
	case 0:
		loam_frame_get(f, block->pfn);
		block->refs++;
		break;
	case 1:
		if (block->refs == 1) {
			loam_frame_set_tags(f, block->pfn, block->order,
					    LOAM_TAG_SLAB | number);
			block->is_slab = true;
		}
		break;
	default:
		if (block->refs == 1) {
			loam_frame_split(f, block->pfn, block->order);
			block->is_range = true;
			block->order = 0;
		}
		break;
	}
}

/* A free of anything but what may be freed: nothing changes. */
static void step_misuse(void)
{
	loam_pfn_t pfn = pick(MODEL_FRAMES + 100);
	unsigned order = pick(LOAM_ORDER_COUNT + 1);
	if (pfn < MODEL_FRAMES && owner[pfn] > 0) {
		const struct model_block *block = &blocks[owner[pfn]];
		if (block->is_range
			    ? order == 0
			    : block->pfn == pfn && block->order == order &&
				      block->refs == 1 && !block->is_slab) {
			return;
		}
	}
	unsigned long reports = loam_misuse_count();
	loam_frame_free(&machine.frames, pfn, order);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
}

/* What the floor says of a frame is what the model says. */
static void step_info(void)
{
	loam_pfn_t pfn = pick(MODEL_FRAMES);
	struct loam_frame_info info;
	int error = loam_frame_info(&machine.frames, pfn, &info);
	EXPECT_EQ(error != 0, owner[pfn] < 0);
	if (owner[pfn] == 0) {
		EXPECT(info.untouched || info.state == LOAM_TAG_FREE ||
		       info.state == LOAM_TAG_CACHED);
	} else if (owner[pfn] > 0) {
		const struct model_block *block = &blocks[owner[pfn]];
		EXPECT_EQ(info.state,
			  block->is_slab ? LOAM_TAG_SLAB : LOAM_TAG_USED);
		EXPECT_EQ(info.head, block->is_range ? pfn : block->pfn);
		EXPECT_EQ(info.order, block->order);
		EXPECT_EQ(info.refs, block->refs);
		EXPECT_EQ(info.owner, LOAM_OWNER_OF(block->flags));
	}
}

/* One operation on a random CPU; mostly allocations, or mostly frees. */
static void step(bool filling)
{
	unsigned kind = pick(100);
	hosted_cpu = pick(MODEL_CPUS);
	if (kind < 3) {
		step_misuse();
	} else if (kind < 6) {
		step_info();
	} else if (kind < 7) {
		loam_frame_drain(&machine.frames);
	} else if (kind < 12 && live > 0) {
		step_change();
	} else if (kind < (filling ? 30u : 75u) && live > 0) {
		step_free();
	} else if (kind < 93 && live < MODEL_BLOCKS) {
		step_alloc();
	} else if (kind < 97 && live < MODEL_BLOCKS) {
		drain_all();
		step_alloc_range();
	} else {
		step_bulk();
	}
	hosted_cpu = 0;
}

static void model_run(uint64_t start, unsigned steps)
{
	uint64_t least = MODEL_FRAMES;
	seed = start;
	model_start();
	for (unsigned i = 0; i < steps; i++) {
		step(i / 500 % 2 == 0);
		EXPECT_EQ(loam_frame_free_count(&machine.frames), model_free);
		if (i % 4 == 0) {
			EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		}
		least = model_free < least ? model_free : least;
	}
	/* It got tight: requests failed, and were judged. */
	EXPECT(least < MODEL_FRAMES / 16);
	while (live > 0) {
		step_free();
	}
	drain_all();
	machine_expect_free(model_free);
}

TEST(model_1, "S4.17 X.5 random operations agree with a model, seed 1")
{
	model_run(1, 3000);
}

TEST(model_2, "S4.17 X.5 random operations agree with a model, seed 2")
{
	model_run(0x9e3779b97f4a7c15u, 3000);
}

TEST(model_3, "S4.17 X.5 random operations agree with a model, seed 3")
{
	model_run(0x1234567, 3000);
}

/* SPDX-License-Identifier: MIT */
/* Frames of several nodes and areas: whose comes first, and what goes home. */
#include "frame_machine.h"

#define MIB(n) LOAM_MIB(n)

static struct loam_topology topology;

/* So many nodes, all equally far from each other. */
static void nodes(unsigned count)
{
	memset(&topology, 0, sizeof(topology));
	topology.node_count = count;
	for (unsigned from = 0; from < LOAM_TOPOLOGY_NODES; from++) {
		topology.domain[from] = from;
		for (unsigned to = 0; to < LOAM_TOPOLOGY_NODES; to++) {
			topology.distance[from][to] =
				from == to ? LOAM_DISTANCE_LOCAL
					   : LOAM_DISTANCE_REMOTE;
		}
	}
}

static void node_range(loam_phys_t base, loam_phys_t size, unsigned node)
{
	topology.ranges[topology.range_count++] = (struct loam_topology_range){
		.base = base, .size = size, .node = (uint8_t)node
	};
}

/* Memory [0, mib), 16 MiB of it DMA, directly mapped up to direct_mib. */
static void start(unsigned mib, unsigned direct_mib)
{
	struct machine_range range = { 0, (loam_phys_t)mib << 20 };
	machine_memory(&range, 1, (loam_phys_t)direct_mib << 20);
	/* Garbage where metadata is going to be. */
	memset(hosted_memory.direct, 0xa5, (size_t)direct_mib << 20);
	EXPECT_EQ(loam_frame_adopt_nodes(&machine.frames, &machine.memblock,
					 MIB(16), (loam_phys_t)direct_mib << 20,
					 LOAM_PHYS_NONE, &topology),
		  0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

static void cpu_of_node(unsigned cpu, unsigned node)
{
	EXPECT_EQ(loam_frame_set_cpu_node(&machine.frames, cpu, node), 0);
}

/* The area that has the frame; nobody has those of none. */
static unsigned area_of(loam_pfn_t pfn)
{
	const struct loam_frames *frames = &machine.frames;
	unsigned area = 0;
	while (area < loam_frame_area_count(frames) &&
	       (pfn < frames->areas[area].first ||
		pfn >= frames->areas[area].end)) {
		area++;
	}
	EXPECT(area < loam_frame_area_count(frames));
	return area;
}

static unsigned node_of(loam_pfn_t pfn)
{
	return loam_frame_area_node(&machine.frames, area_of(pfn));
}

static loam_pfn_t taken[1u << 17];
static size_t taken_count;

/* All that requests with these flags can get, in order. */
static void take_all(unsigned order, loam_flags_t flags)
{
	taken_count = 0;
	for (;;) {
		loam_pfn_t pfn =
			loam_frame_alloc(&machine.frames, order, flags);
		if (pfn == LOAM_PFN_NONE) {
			return;
		}
		EXPECT(taken_count < LOAM_ARRAY_SIZE(taken));
		taken[taken_count++] = pfn;
	}
}

static void free_all(unsigned order)
{
	for (size_t i = 0; i < taken_count; i++) {
		loam_frame_free(&machine.frames, taken[i], order);
	}
	taken_count = 0;
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

/* Where a frame is: its node and what kind of memory, as two digits. */
static unsigned place_of(loam_pfn_t pfn)
{
	struct loam_frame_info info;
	EXPECT_EQ(loam_frame_info(&machine.frames, pfn, &info), 0);
	return node_of(pfn) * 10 + (unsigned)info.zone;
}

/* The places in the order in which requests came to them. */
static void expect_places(const unsigned *places, size_t count)
{
	size_t at = 0;
	for (size_t i = 0; i < taken_count; i++) {
		unsigned place = place_of(taken[i]);
		if (at < count && place == places[at]) {
			continue;
		}
		at++;
		EXPECT(at < count);
		EXPECT_EQ(place, places[at]);
	}
	EXPECT_EQ(at + 1, count);
}

#define EXPECT_PLACES(...)                                                     \
	do {                                                                   \
		static const unsigned places[] = { __VA_ARGS__ };              \
		expect_places(places, LOAM_ARRAY_SIZE(places));                \
	} while (0)

#define DMA(node) ((node)*10u + LOAM_ZONE_DMA)
#define NORMAL(node) ((node)*10u + LOAM_ZONE_NORMAL)
#define HIGH(node) ((node)*10u + LOAM_ZONE_HIGH)

/* Three nodes of 64 MiB: of the last, half is high memory. */
static void start_three(void)
{
	nodes(3);
	node_range(0, MIB(64), 0);
	node_range(MIB(64), MIB(64), 1);
	node_range(MIB(128), MIB(64), 2);
	topology.distance[1][0] = 30;
	topology.distance[0][2] = 15;
	start(192, 160);
	for (unsigned node = 0; node < 3; node++) {
		cpu_of_node(node, node);
	}
}

TEST(local,
     "X.4 each CPU has memory of its node, then of the others by distance")
{
	start_three();
	uint64_t total = loam_frame_free_count(&machine.frames);
	EXPECT_EQ(loam_frame_area_count(&machine.frames), 3);
	for (unsigned order = 0; order < 2; order++) {
		hosted_cpu = 0;
		take_all(order, 0);
		EXPECT_PLACES(NORMAL(0), NORMAL(2), NORMAL(1), DMA(0));
		free_all(order);
		loam_frame_drain(&machine.frames);
		hosted_cpu = 1;
		take_all(order, 0);
		EXPECT_PLACES(NORMAL(1), NORMAL(2), NORMAL(0), DMA(0));
		free_all(order);
		loam_frame_drain(&machine.frames);
		hosted_cpu = 2;
		take_all(order, LOAM_HIGH);
		EXPECT_PLACES(HIGH(2), NORMAL(2), NORMAL(0), NORMAL(1), DMA(0));
		free_all(order);
		loam_frame_drain(&machine.frames);
		hosted_cpu = 1;
		take_all(order, LOAM_HIGH);
		EXPECT_PLACES(HIGH(2), NORMAL(1), NORMAL(2), NORMAL(0), DMA(0));
		free_all(order);
		loam_frame_drain(&machine.frames);
		take_all(order, LOAM_DMA);
		EXPECT_PLACES(DMA(0));
		free_all(order);
		loam_frame_drain(&machine.frames);
	}
	hosted_cpu = 0;
	machine_expect_free(total);
}

TEST(range, "ranges and bulks prefer the node too")
{
	start_three();
	loam_pfn_t pfns[100];
	for (unsigned cpu = 0; cpu < 3; cpu++) {
		hosted_cpu = cpu;
		loam_pfn_t pfn =
			loam_frame_alloc_range(&machine.frames, 9, 4, 0, 0, 0);
		EXPECT_EQ(node_of(pfn), cpu);
		EXPECT_EQ(node_of(pfn + 8), cpu);
		loam_frame_free_range(&machine.frames, pfn, 9);
		EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 100, pfns, 0),
			  0);
		for (unsigned i = 0; i < 100; i++) {
			EXPECT_EQ(node_of(pfns[i]), cpu);
		}
		loam_frame_free_bulk(&machine.frames, 100, pfns);
		/* Below a limit, whoever has it. */
		pfn = loam_frame_alloc_range(&machine.frames, 1, 1, MIB(20), 0,
					     0);
		EXPECT_EQ(place_of(pfn), NORMAL(0));
		loam_frame_free(&machine.frames, pfn, 0);
	}
	hosted_cpu = 0;
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(remote, "X.8 a frame that another node's CPU frees goes back to its node")
{
	start_three();
	static const unsigned orders[] = { 0, 1, 4, 9 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(orders); i++) {
		hosted_cpu = 1;
		loam_pfn_t pfn =
			loam_frame_alloc(&machine.frames, orders[i], 0);
		EXPECT_EQ(node_of(pfn), 1);
		hosted_cpu = 0;
		loam_frame_free(&machine.frames, pfn, orders[i]);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		/* It is not what this CPU gets next. */
		for (unsigned k = 0; k < 70; k++) {
			taken[k] = loam_frame_alloc(&machine.frames, 0, 0);
			EXPECT_EQ(node_of(taken[k]), 0);
		}
		taken_count = 70;
		free_all(0);
		hosted_cpu = 1;
		loam_frame_free(&machine.frames, pfn, orders[i]);
		EXPECT_LOG("free already");
		hosted_log_clear();
	}
	hosted_cpu = 0;
}

TEST(no_memory, "X.4 a CPU of a node without memory, or of none, is served")
{
	nodes(4);
	node_range(0, MIB(64), 0);
	node_range(MIB(64), MIB(64), 2);
	topology.distance[1][0] = 40;
	start(128, 128);
	cpu_of_node(1, 1);
	cpu_of_node(3, 3);
	hosted_cpu = 1;
	take_all(0, 0);
	EXPECT_PLACES(NORMAL(2), NORMAL(0), DMA(0));
	free_all(0);
	loam_frame_drain(&machine.frames);
	hosted_cpu = 3;
	take_all(0, 0);
	EXPECT_PLACES(NORMAL(0), NORMAL(2), DMA(0));
	free_all(0);
	/* CPU 5 was never told of: node 0's. */
	loam_frame_drain(&machine.frames);
	hosted_cpu = 5;
	EXPECT_EQ(place_of(loam_frame_alloc(&machine.frames, 0, 0)), NORMAL(0));
	hosted_cpu = 0;
	EXPECT_EQ(loam_frame_set_cpu_node(&machine.frames, 0, 4), -LOAM_EINVAL);
	EXPECT_EQ(loam_frame_set_cpu_node(&machine.frames, LOAM_MAX_CPUS, 0),
		  -LOAM_EINVAL);
}

TEST(unsaid,
     "X.4 memory that no range names is node 0's, borders are whole chunks")
{
	nodes(2);
	/* Inside a chunk, and inside a frame. */
	node_range(MIB(41) + 300, MIB(40), 1);
	start(128, 128);
	EXPECT_EQ(loam_frame_area_count(&machine.frames), 3);
	EXPECT_EQ(node_of(0), 0);
	EXPECT_EQ(node_of((44u << 8) - 1), 0);
	EXPECT_EQ(node_of(44u << 8), 1);
	EXPECT_EQ(node_of((84u << 8) - 1), 1);
	EXPECT_EQ(node_of(84u << 8), 0);
	EXPECT_EQ(node_of((128u << 8) - 1), 0);
	cpu_of_node(1, 1);
	hosted_cpu = 1;
	take_all(0, 0);
	EXPECT_PLACES(NORMAL(1), NORMAL(0), DMA(0));
	free_all(0);
	hosted_cpu = 0;
}

TEST(many, "X.4 memory that alternates more than can be told is still all used")
{
	nodes(2);
	for (unsigned i = 0; i < 32; i++) {
		node_range(MIB(8) * i, MIB(8), i & 1);
	}
	hosted_log_clear();
	start(256, 256);
	EXPECT_LOG("take more than");
	EXPECT_EQ(loam_frame_area_count(&machine.frames), LOAM_FRAME_AREAS);
	uint64_t total = loam_frame_free_count(&machine.frames);
	cpu_of_node(1, 1);
	hosted_cpu = 1;
	take_all(0, 0);
	EXPECT_EQ(taken_count, total);
	free_all(0);
	loam_frame_drain(&machine.frames);
	hosted_cpu = 0;
	machine_expect_free(total);
}

TEST(small_node, "X.4 a node that has DMA memory alone")
{
	nodes(2);
	node_range(0, MIB(8), 0);
	node_range(MIB(8), MIB(56), 1);
	start(64, 64);
	take_all(0, 0);
	EXPECT_PLACES(NORMAL(1), DMA(0), DMA(1));
	free_all(0);
	take_all(3, LOAM_DMA);
	EXPECT_PLACES(DMA(0), DMA(1));
	free_all(3);
}

TEST(stats, "X.9 zones' figures: each area's, and their sum")
{
	start_three();
	struct loam_zone_stats sum;
	struct loam_zone_stats part;
	uint64_t managed = 0;
	hosted_cpu = 1;
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	for (unsigned id = 0; id < LOAM_ZONE_COUNT; id++) {
		uint64_t free = 0;
		loam_frame_zone_stats(&machine.frames, (enum loam_zone_id)id,
				      &sum);
		for (unsigned area = 0; area < 3; area++) {
			loam_frame_area_stats(&machine.frames, area,
					      (enum loam_zone_id)id, &part);
			managed += part.managed;
			free += part.free;
		}
		EXPECT_EQ(sum.free, free);
	}
	loam_frame_area_stats(&machine.frames, 1, LOAM_ZONE_NORMAL, &part);
	EXPECT_EQ(part.managed - part.free, 1);
	EXPECT_EQ(part.first, MIB(64) >> LOAM_PAGE_SHIFT);
	EXPECT_EQ(part.end, MIB(128) >> LOAM_PAGE_SHIFT);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), managed);
	hosted_cpu = 0;
}

TEST(moved, "a CPU that becomes another node's leaves nothing behind")
{
	start_three();
	uint64_t total = loam_frame_free_count(&machine.frames);
	hosted_cpu = 4;
	for (unsigned i = 0; i < 9; i++) {
		cpu_of_node(4, i % 3);
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
		EXPECT_EQ(node_of(pfn), i % 3);
		loam_frame_free(&machine.frames, pfn, 0);
		EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	}
	loam_frame_drain(&machine.frames);
	hosted_cpu = 0;
	machine_expect_free(total);
}

TEST(tags, "S4.18 tags beyond the first area: what was touched, else 0")
{
	start_three();
	const struct loam_frames *frames = &machine.frames;
	for (size_t pfn = frames->tags.end; pfn < frames->end; pfn++) {
		EXPECT_EQ(loam_frame_tag_beyond(frames, pfn), 0);
	}
	hosted_cpu = 1;
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	EXPECT(pfn >= frames->tags.end);
	EXPECT_EQ(loam_frame_tag_beyond(frames, pfn) & LOAM_TAG_STATE_MASK,
		  LOAM_TAG_USED);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT_EQ(loam_frame_tag_beyond(frames, SIZE_MAX), 0);
	hosted_cpu = 0;
}

/* -------- holes -------- */

#define TIB ((loam_phys_t)1 << 40)

/* 16 TiB in four pieces with terabytes between them. */
static const struct machine_range giant[] = {
	{ 0, 0xa0000 },
	{ MIB(1), LOAM_GIB(80) },
	{ 2 * TIB, 3 * TIB },
	{ 9 * TIB, LOAM_GIB(1) },
	{ 16 * TIB - LOAM_GIB(64), LOAM_GIB(64) - MIB(8) },
};

static void giant_start(void)
{
	if (sizeof(uintptr_t) == 4) {
		test_skip("16 TiB need addresses of 64 bits");
	}
	machine_start(giant, LOAM_ARRAY_SIZE(giant), MIB(16), 16 * TIB);
}

static uint64_t giant_frames(void)
{
	uint64_t bytes = 0;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(giant); i++) {
		bytes += giant[i].size;
	}
	return bytes >> LOAM_PAGE_SHIFT;
}

/* The last frame of all, and those at the ends of each piece. */
TEST(giant_ends, "X.3 S4.31 16 TiB with holes: every end can be had, no hole")
{
	giant_start();
	struct loam_frames *frames = &machine.frames;
	uint64_t total = loam_frame_free_count(frames);
	EXPECT(total + (frames->metadata_bytes >> LOAM_PAGE_SHIFT) + 8 >
	       giant_frames());
	EXPECT_EQ(loam_frame_area_count(frames), 4);
	for (unsigned i = 1; i < LOAM_ARRAY_SIZE(giant); i++) {
		struct loam_frame_info info;
		loam_pfn_t first = loam_phys_to_pfn(giant[i].base);
		loam_pfn_t last = first - 1 + loam_phys_to_pfn(giant[i].size);
		EXPECT_EQ(loam_frame_info(frames, last, &info), 0);
		EXPECT_EQ(loam_frame_info(frames, last + 1, &info),
			  -LOAM_ENOENT);
		if (i > 1) {
			EXPECT_EQ(loam_frame_info(frames, first, &info), 0);
			EXPECT_EQ(loam_frame_info(frames, first - 1, &info),
				  -LOAM_ENOENT);
			EXPECT_EQ(loam_frame_add(frames, first - 9, 4),
				  -LOAM_EINVAL);
		}
	}
	EXPECT_EQ(loam_frame_free_count(frames), total);
}

TEST(giant_use, "X.3 S4.31 16 TiB with holes: all of a far piece, and back")
{
	giant_start();
	struct loam_frames *frames = &machine.frames;
	uint64_t total = loam_frame_free_count(frames);
	struct loam_zone_stats stats;
	/* 80 GiB are near, then there are 3 TiB: blocks of 4 MiB of both. */
	size_t near = (size_t)(LOAM_GIB(81) >> 22);
	EXPECT(near < LOAM_ARRAY_SIZE(taken));
	for (taken_count = 0; taken_count < near; taken_count++) {
		taken[taken_count] =
			loam_frame_alloc(frames, LOAM_ORDER_MAX, 0);
		EXPECT(taken[taken_count] != LOAM_PFN_NONE);
	}
	EXPECT_EQ(area_of(taken[0]), 0);
	EXPECT_EQ(area_of(taken[near - 1]), 1);
	loam_frame_area_stats(frames, 1, LOAM_ZONE_NORMAL, &stats);
	EXPECT(stats.untouched > stats.managed / 2);
	/* Single frames, small blocks and a free of a wrong one, far out. */
	loam_pfn_t far = taken[near - 1];
	loam_frame_split(frames, far, LOAM_ORDER_MAX);
	hosted_log_clear();
	loam_frame_free(frames, far, 1);
	EXPECT_LOG("order");
	for (unsigned i = 0; i < LOAM_CHUNK_FRAMES; i++) {
		loam_frame_free(frames, far + i, 0);
	}
	taken_count--;
	hosted_log_clear();
	loam_frame_free(frames, far, 0);
	EXPECT_LOG("free already");
	loam_frame_free(frames, loam_phys_to_pfn(TIB), 0);
	EXPECT_LOG("a hole");
	for (size_t i = 0; i < taken_count; i++) {
		loam_frame_free(frames, taken[i], LOAM_ORDER_MAX);
	}
	loam_frame_drain(frames);
	EXPECT_EQ(loam_frame_free_count(frames), total);
	EXPECT_EQ(loam_frame_check(frames), 0);
}

/* -------- at random -------- */

TEST(random, "X.5 CPUs of three nodes at random; nobody has a frame twice")
{
	static uint8_t owned[MIB(192) >> LOAM_PAGE_SHIFT];
	static struct {
		loam_pfn_t pfn;
		unsigned order;
	} held[512];
	uint64_t random = 12345;
	start_three();
	uint64_t total = loam_frame_free_count(&machine.frames);
	memset(owned, 0, sizeof(owned));
	memset(held, 0xff, sizeof(held));
	for (unsigned round = 0; round < 20000; round++) {
		unsigned slot = (unsigned)hosted_random(&random) % 512;
		hosted_cpu = (unsigned)(hosted_random(&random) >> 32) % 3;
		if (held[slot].pfn == LOAM_PFN_NONE) {
			unsigned order = (unsigned)hosted_random(&random) % 14;
			order = order > LOAM_ORDER_MAX ? 0 : order;
			loam_flags_t flags =
				round & 1 ? LOAM_HIGH : (loam_flags_t)0;
			loam_pfn_t pfn =
				loam_frame_alloc(&machine.frames, order, flags);
			held[slot].pfn = pfn;
			held[slot].order = order;
			for (unsigned i = 0;
			     pfn != LOAM_PFN_NONE && i < 1u << order; i++) {
				EXPECT_EQ(owned[pfn + i], 0);
				owned[pfn + i] = 1;
			}
		} else {
			memset(&owned[held[slot].pfn], 0,
			       (size_t)1 << held[slot].order);
			loam_frame_free(&machine.frames, held[slot].pfn,
					held[slot].order);
			held[slot].pfn = LOAM_PFN_NONE;
		}
		if (round % 500 == 0) {
			EXPECT_EQ(loam_frame_check(&machine.frames), 0);
		}
	}
	for (unsigned slot = 0; slot < 512; slot++) {
		if (held[slot].pfn != LOAM_PFN_NONE) {
			loam_frame_free(&machine.frames, held[slot].pfn,
					held[slot].order);
		}
	}
	for (hosted_cpu = 2; hosted_cpu > 0; hosted_cpu--) {
		loam_frame_drain(&machine.frames);
	}
	machine_expect_free(total);
}

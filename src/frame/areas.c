/* SPDX-License-Identifier: MIT */
/* Areas: memory by nodes, and which of it a CPU's requests look at first. */

/*
 * An area is a span of frames with a set of zones of its own. There is one for
 * all memory, unless
 *
 *   - it belongs to several nodes: where the node changes, an area ends. Nodes
 *     whose ranges alternate have several areas each;
 *   - there is a hole of more than AREA_HOLE: metadata of a hole within a zone
 *     is initialised when memory behind it is touched, and that of terabytes
 *     would cost what it describes. Between areas nothing is initialised.
 *
 *	 0        3      4            16        GiB, memory
 *	 |#node 0#|      |###node 0###|###node 1###|     |##node 0##|
 *	 |<------- area 0 ----------->|<- area 1 ->|     |<-area 2->|
 *
 * Areas are whole chunks; where a node's memory ends within one, all of the
 * chunk is the lower node's.
 *
 * For each node the areas are in order: its own, then the others by distance
 * from it (SLIT), of several equally far the lowest. A request goes through
 * them in this order for the memory it prefers, then for the next kind: a page
 * of a program is in high memory, however far, before it is in normal memory,
 * of which a 32-bit kernel has little; and DMA memory is for those who have no
 * choice.
 *
 * A CPU's stacks serve one zone of normal and one of high memory, the nearest
 * that have any: its home. What it frees of other zones goes back to them, and
 * is not handed out by it as if it were near. So the fast path of a free, which
 * has always asked whether the frame is normal memory, asks whether it is
 * within the CPU's window, which is the same for all where there is one area.
 */
#include "frame_int.h"

#define AREA_HOLE ((uint64_t)1 << (34 - LOAM_PAGE_SHIFT)) /* 16 GiB */

static uint64_t area_chunk_up(uint64_t pfn)
{
	return loam_round_up(pfn, LOAM_CHUNK_FRAMES);
}

/* -------- cutting memory into areas -------- */

/*
 * The node of the frame `at`, by its first byte, and in *end, which is beyond
 * `at`, how far that holds at most.
 */
static unsigned area_node(const struct loam_topology *topology, uint64_t at,
			  uint64_t *end)
{
	loam_phys_t phys = at << LOAM_PAGE_SHIFT;
	for (uint32_t i = 0; topology != NULL && i < topology->range_count;
	     i++) {
		const struct loam_topology_range *range = &topology->ranges[i];
		uint64_t first = loam_round_up(range->base, LOAM_PAGE_SIZE) >>
				 LOAM_PAGE_SHIFT;
		if (phys < range->base) {
			*end = first < *end ? first : *end;
			return 0;
		}
		if (phys - range->base < range->size) {
			uint64_t last = range->base + (range->size - 1);
			uint64_t stop = (last >> LOAM_PAGE_SHIFT) + 1;
			*end = stop < *end ? stop : *end;
			return range->node < LOAM_FRAME_NODES ? range->node : 0;
		}
	}
	return 0;
}

/* Memory [first, end) of the node joins the last area, or begins another. */
static void area_add(struct loam_frames *frames, uint64_t first, uint64_t end,
		     unsigned node, bool *mixed)
{
	struct loam_frame_area *last = &frames->areas[frames->area_count - 1];
	uint64_t stop = area_chunk_up(end);
	uint64_t start = loam_round_down(first, LOAM_CHUNK_FRAMES);
	start = start > last->end ? start : last->end;
	if (last->end == 0) {
		/* Of the first area all is counted from 0. */
		last->node = (uint8_t)node;
	} else if (stop <= last->end) {
		return;
	} else if (last->node != node || first > last->end + AREA_HOLE) {
		if (frames->area_count < LOAM_FRAME_AREAS) {
			last++;
			frames->area_count++;
			*last = (struct loam_frame_area){
				.first = (loam_pfn_t)start,
				.node = (uint8_t)node,
			};
		} else {
			*mixed |= last->node != node;
		}
	}
	last->end = (loam_pfn_t)stop;
}

static void areas_cut(struct loam_frames *frames, const struct loam_memmap *map,
		      uint64_t limit, const struct loam_topology *topology)
{
	uint64_t pfn = 0;
	uint64_t count = 0;
	bool mixed = false;
	while (loam_memmap_next_usable(map, &pfn, &count) && pfn < limit) {
		uint64_t end = pfn + count < limit ? pfn + count : limit;
		uint64_t at = pfn;
		while (at < end) {
			uint64_t stop = end;
			unsigned node = area_node(topology, at, &stop);
			area_add(frames, at, stop, node, &mixed);
			at = stop;
		}
		pfn += count;
	}
	if (mixed) {
		const struct loam_frame_area *last =
			&frames->areas[frames->area_count - 1];
		loam_log(LOAM_LOG_WARNING,
			 "memory from 0x%llx on counts as node %u's: its nodes "
			 "take more than %u areas",
			 (unsigned long long)loam_pfn_to_phys(last->first),
			 last->node, (unsigned)LOAM_FRAME_AREAS);
	}
}

/* -------- the order of areas -------- */

/* Sorts all areas by distance from a node; equals stay as they are. */
static void areas_order(struct loam_frames *frames, unsigned node,
			const struct loam_topology *topology)
{
	uint8_t *near = frames->near[node];
	unsigned distances[LOAM_FRAME_AREAS];
	for (unsigned area = 0; area < frames->area_count; area++) {
		unsigned owner = frames->areas[area].node;
		unsigned distance = topology != NULL
					    ? topology->distance[node][owner]
					    : LOAM_DISTANCE_LOCAL;
		unsigned at = area;
		for (; at > 0 && distances[at - 1] > distance; at--) {
			distances[at] = distances[at - 1];
			near[at] = near[at - 1];
		}
		distances[at] = distance;
		near[at] = (uint8_t)area;
	}
}

void loam_frame_areas_start(struct loam_frames *frames,
			    const struct loam_memmap *map, uint64_t limit,
			    const struct loam_topology *topology)
{
	if (LOAM_FRAME_AREAS == 1) {
		topology = NULL;
	}
	frames->area_count = 1;
	areas_cut(frames, map, limit, topology);
	frames->node_count = topology != NULL ? topology->node_count : 1;
	if (frames->node_count > LOAM_FRAME_NODES) {
		frames->node_count = LOAM_FRAME_NODES;
	}
	for (unsigned node = 0; node < frames->node_count; node++) {
		areas_order(frames, node, topology);
	}
}

struct loam_zone *loam_frame_next_zone_of(struct loam_frames *frames,
					  unsigned node, unsigned first,
					  unsigned *step)
{
	unsigned count = frames->area_count;
	while (*step < count * (first + 1)) {
		unsigned id = first - *step / count;
		unsigned area = frames->near[node][*step % count];
		struct loam_zone *zone =
			&frames->zones[area * LOAM_ZONE_COUNT + id];
		++*step;
		if (zone->first != zone->end) {
			return zone;
		}
	}
	return NULL;
}

/* -------- CPUs -------- */

/* The nearest zone of that kind that has anything; the nearest if none has. */
static struct loam_zone *areas_home(struct loam_frames *frames, unsigned node,
				    unsigned id)
{
	const uint8_t *near = frames->near[node];
	for (unsigned i = 0; i < frames->area_count; i++) {
		struct loam_zone *zone =
			&frames->zones[near[i] * LOAM_ZONE_COUNT + id];
		if (zone->managed != 0) {
			return zone;
		}
	}
	return &frames->zones[near[0] * LOAM_ZONE_COUNT + id];
}

/*
 * Which zones a CPU of the node has as its own: normal memory, or DMA memory on
 * a machine that has no other, and high memory.
 */
static void areas_find_homes(struct loam_frames *frames, unsigned node,
			     struct loam_zone *homes[LOAM_FRAME_LOCALS])
{
	homes[0] = areas_home(frames, node, LOAM_ZONE_NORMAL);
	if (homes[0]->managed == 0) {
		homes[0] = areas_home(frames, node, LOAM_ZONE_DMA);
	}
	homes[1] = areas_home(frames, node, LOAM_ZONE_HIGH);
}

/* What its CPUs' stacks take without asking: nothing while it gathers. */
static loam_pfn_t zone_stack_end(const struct loam_frames *frames,
				 const struct loam_zone *zone)
{
	return frame_zone_gathers(frames, zone->number)
		       ? 0
		       : frame_touched_end(zone);
}

static struct loam_frame_window zone_window(const struct loam_frames *frames,
					    const struct loam_zone *zone)
{
	return (struct loam_frame_window){
		.first = zone->first,
		.end = frame_touched_end(zone),
		.stack_end = zone_stack_end(frames, zone),
	};
}

static void cpu_settle(struct loam_frames *frames, unsigned cpu, unsigned node,
		       struct loam_zone *const homes[LOAM_FRAME_LOCALS])
{
	struct loam_frame_cpu *at = &frames->cpus[cpu];
	at->node = (uint8_t)node;
	for (unsigned local = 0; local < LOAM_FRAME_LOCALS; local++) {
		at->home[local] = homes[local]->number;
	}
	at->window = zone_window(frames, homes[0]);
}

void loam_frame_areas_homes(struct loam_frames *frames)
{
	struct loam_zone *homes[LOAM_FRAME_LOCALS];
	areas_find_homes(frames, 0, homes);
	for (unsigned node = 0; node < frames->node_count; node++) {
		struct loam_zone *others[LOAM_FRAME_LOCALS];
		areas_find_homes(frames, node, others);
		others[0]->local = 0;
		others[1]->local = 1;
	}
	frames->home[0] = homes[0]->number;
	frames->home[1] = homes[1]->number;
	frames->window = zone_window(frames, homes[0]);
	for (unsigned cpu = 0; LOAM_FRAME_AREAS > 1 && cpu < LOAM_MAX_CPUS;
	     cpu++) {
		cpu_settle(frames, cpu, 0, homes);
	}
}

/* `first` stays: it is the zone's, or keeps every frame out (list.c). */
static void window_follow(struct loam_frame_window *window, loam_pfn_t end,
			  loam_pfn_t stack_end)
{
	__atomic_store_n(&window->end, end, __ATOMIC_RELEASE);
	__atomic_store_n(&window->stack_end, stack_end, __ATOMIC_RELEASE);
}

void loam_frame_areas_follow(struct loam_frames *frames,
			     const struct loam_zone *zone)
{
	loam_pfn_t end = frame_touched_end(zone);
	loam_pfn_t stack_end = zone_stack_end(frames, zone);
	if (zone->local != 0) {
		return;
	}
	if (frames->home[0] == zone->number) {
		window_follow(&frames->window, end, stack_end);
	}
	for (unsigned cpu = 0; LOAM_FRAME_AREAS > 1 && cpu < LOAM_MAX_CPUS;
	     cpu++) {
		struct loam_frame_cpu *at = &frames->cpus[cpu];
		if (at->home[0] == zone->number) {
			window_follow(&at->window, end, stack_end);
		}
	}
}

int loam_frame_set_cpu_node(struct loam_frames *frames, unsigned cpu,
			    unsigned node)
{
	struct loam_zone *homes[LOAM_FRAME_LOCALS];
	if (cpu >= LOAM_MAX_CPUS || node >= frames->node_count) {
		return -LOAM_EINVAL;
	}
	if (LOAM_FRAME_AREAS == 1 || frames->order_max == 0) {
		return 0;
	}
	loam_frame_drain_cpu(frames, cpu);
	areas_find_homes(frames, node, homes);
	/* A zone that is touched just now finds the CPU at home, or is done. */
	loam_lock(&homes[0]->lock);
	cpu_settle(frames, cpu, node, homes);
	loam_unlock(&homes[0]->lock);
	return 0;
}

uint32_t loam_frame_tag_beyond(const struct loam_frames *frames, size_t pfn)
{
	for (unsigned area = 1;
	     LOAM_FRAME_AREAS > 1 && area < frames->area_count; area++) {
		const struct loam_zone *zones =
			&frames->zones[area * LOAM_ZONE_COUNT];
		const struct loam_zone *dma = &zones[LOAM_ZONE_DMA];
		const struct loam_zone *normal = &zones[LOAM_ZONE_NORMAL];
		if ((pfn >= dma->first && pfn < dma->end) ||
		    (pfn >= normal->first && pfn < frame_touched_end(normal))) {
			return loam_tag_load(&frames->tags.tags[pfn]);
		}
	}
	return 0;
}

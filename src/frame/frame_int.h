/* SPDX-License-Identifier: MIT */
/* What the files of the frame floor share. */
#ifndef LOAM_FRAME_INT_H
#define LOAM_FRAME_INT_H

#include <loam/bits.h>
#include <loam/frame.h>
#include <loam/frame_fast.h>
#include <loam/mem.h>

/* -------- zones (zone.c) -------- */

/* Zones in use: those of all areas. */
static inline unsigned frame_zone_count(const struct loam_frames *frames)
{
	return LOAM_FRAME_AREAS > 1 ? frames->area_count * LOAM_ZONE_COUNT
				    : LOAM_ZONE_COUNT;
}

/* The zone whose span holds pfn: none in a hole and beyond the end. */
static inline const struct loam_zone *frame_zone_find(
	const struct loam_frames *frames, loam_pfn_t pfn)
{
	const struct loam_zone *zone = frames->zones;
	for (unsigned left = frame_zone_count(frames); left > 0; left--) {
		if (pfn < zone->end && pfn >= zone->first) {
			return zone;
		}
		zone++;
	}
	return NULL;
}

static inline struct loam_zone *frame_zone_of(struct loam_frames *frames,
					      loam_pfn_t pfn)
{
	const struct loam_zone *zone = frame_zone_find(frames, pfn);
	return (struct loam_zone *)(uintptr_t)zone;
}

/* Metadata below this frame of the zone is initialised. Any context. */
static inline loam_pfn_t frame_touched_end(const struct loam_zone *zone)
{
	return __atomic_load_n(&zone->touched_end, __ATOMIC_ACQUIRE);
}

/* Initialises metadata up to the chunk that `end` ends in. */
void loam_frame_zone_touch_to_locked(struct loam_frames *frames,
				     struct loam_zone *zone, loam_pfn_t end);

/*
 * Initialises the metadata of the next chunk that has free frames and gives
 * them to the buddy. False: no untouched frames are left.
 */
bool loam_frame_zone_touch_locked(struct loam_frames *frames,
				  struct loam_zone *zone);

/* A block, from untouched memory if the buddy has none; or LOAM_PFN_NONE. */
loam_pfn_t loam_frame_zone_alloc_locked(struct loam_frames *frames,
					struct loam_zone *zone, unsigned order,
					uint32_t tag);

/* Gives a block back, whatever its tag says. */
void loam_frame_zone_free_locked(struct loam_zone *zone, loam_pfn_t pfn,
				 unsigned order);

/* Remembers the peak. After anything left the buddy. */
static inline void frame_zone_note_peak_locked(struct loam_zone *zone)
{
	loam_pfn_t used = zone->managed - zone->untouched -
			  zone->buddy.free_frames - zone->loose -
			  (loam_pfn_t)zone->list.free_pages;
	if (used > zone->peak_used) {
		zone->peak_used = used;
	}
}

/* -------- areas (areas.c) -------- */

/*
 * Cuts the map's usable memory below the frame `limit` into areas, and puts
 * these into order for each node.
 */
void loam_frame_areas_start(struct loam_frames *frames,
			    const struct loam_memmap *map, uint64_t limit,
			    const struct loam_topology *topology);

/* Gives every CPU its home, once zones know what they manage. */
void loam_frame_areas_homes(struct loam_frames *frames);

/*
 * The zone was touched further, or has begun or ceased to gather: the windows
 * of its CPUs follow. Under its lock.
 */
void loam_frame_areas_follow(struct loam_frames *frames,
			     const struct loam_zone *zone);

/* True if freed frames of the zone may have to go home. A hint without lock. */
static inline bool frame_zone_gathers(const struct loam_frames *frames,
				      unsigned zone)
{
	return __atomic_load_n(&frames->home_above[zone], __ATOMIC_RELAXED) <
	       LOAM_TRACT_FRAMES;
}

/* The node of the calling CPU. */
static inline unsigned frame_node(const struct loam_frames *frames)
{
	if (LOAM_FRAME_AREAS == 1 || LOAM_LIKELY(frames->area_count == 1)) {
		return 0;
	}
	unsigned number = loam_cpu_enter();
	unsigned node = frames->cpus[number].node;
	loam_cpu_leave(number);
	return node;
}

/*
 * The zones that may serve a request of a CPU of the node, one after the other:
 * from the preferred kind of memory down, those of one kind by nearness. Empty
 * ones are left out. *step begins as 0.
 */
struct loam_zone *loam_frame_next_zone_of(struct loam_frames *frames,
					  unsigned node, unsigned first,
					  unsigned *step);

static inline struct loam_zone *frame_next_zone(struct loam_frames *frames,
						unsigned node, unsigned first,
						unsigned *step)
{
	if (LOAM_FRAME_AREAS > 1 && LOAM_UNLIKELY(frames->area_count > 1)) {
		return loam_frame_next_zone_of(frames, node, first, step);
	}
	while (*step <= first) {
		struct loam_zone *zone = &frames->zones[first - *step];
		++*step;
		if (zone->first != zone->end) {
			return zone;
		}
	}
	return NULL;
}

/* The zone of that kind of the area nearest to the calling CPU. */
static inline struct loam_zone *frame_near_zone(struct loam_frames *frames,
						unsigned id)
{
	unsigned area = frames->near[frame_node(frames)][0];
	return &frames->zones[area * LOAM_ZONE_COUNT + id];
}

/* -------- loose frames (tract.c) -------- */

/* Says of a zone that CPUs' stacks serve how its frames become loose. */
void loam_frame_tracts_start(struct loam_zone *zone);

/* No frame of [from, end), whole chunks, is free or loose. */
void loam_frame_tracts_clear(struct loam_frames *frames, loam_pfn_t from,
			     loam_pfn_t end);

/*
 * Takes up to `wanted` single frames, of the fullest tracts that have any, and
 * puts them below `top`, the first taken lowest. Touches memory only for a
 * whole batch. Returns how many.
 */
uint32_t loam_frame_loose_take_locked(struct loam_frames *frames,
				      struct loam_zone *zone, loam_pfn_t *top,
				      uint32_t wanted);

/* Makes cached single frames loose. Whole tracts go back to the buddy. */
void loam_frame_loose_put_locked(struct loam_frames *frames,
				 struct loam_zone *zone, const loam_pfn_t *pfns,
				 uint32_t count);

/*
 * Gives loose frames back to the buddy: those of whole tracts, or all. True if
 * there were any.
 */
bool loam_frame_loose_flush(struct loam_frames *frames, struct loam_zone *zone,
			    bool all);

static inline bool frame_is_loose(const struct loam_frames *frames,
				  loam_pfn_t pfn)
{
	return loam_bitmap_test(frames->loose_map, pfn);
}

/* True if any frame of the CPU's home zones may have to go home now. */
static inline bool frame_gathers(const struct loam_frames *frames,
				 const struct loam_frame_cpu *cpu)
{
	bool gathers = false;
	for (unsigned local = 0; local < LOAM_FRAME_LOCALS; local++) {
		gathers |= frame_zone_gathers(
			frames, loam_frame_home_of(frames, cpu, local));
	}
	return gathers;
}

int loam_frame_tracts_check(const struct loam_frames *frames,
			    const struct loam_zone *zone);

/* -------- what CPUs keep (percpu.c) -------- */

/* The stash of blocks of this order: LOAM_STASH_COUNT if there is none. */
static inline unsigned frame_stash_index(unsigned order)
{
	if (order == LOAM_STASH_ORDER) {
		return LOAM_STASH_COUNT - 1;
	}
	return order - 1 < LOAM_STASH_COUNT - 1 ? order - 1 : LOAM_STASH_COUNT;
}

static inline unsigned frame_stash_order(unsigned index)
{
	return index == LOAM_STASH_COUNT - 1 ? LOAM_STASH_ORDER : index + 1;
}

/*
 * Plain frames within [first, first + size) onto a stack, as long as there is
 * room: how many. busy is set.
 */
size_t loam_frame_stack_give_run(struct loam_frames *frames,
				 struct loam_frame_stack *stack,
				 loam_pfn_t first, loam_pfn_t size,
				 size_t count, const loam_pfn_t *pfns);

/* So many frames of loam_frame_pop()'s kind, if the CPU's stack has them. */
bool loam_frame_pop_run(struct loam_frames *frames, size_t count,
			loam_pfn_t *pfns, uint32_t tag);

/*
 * A block of the zone from the calling CPU's stacks, refilled if need be.
 * LOAM_PFN_NONE: this order is not cached, the CPU is busy, or the zone has
 * nothing.
 */
loam_pfn_t loam_frame_local_alloc(struct loam_frames *frames,
				  struct loam_zone *zone, unsigned order,
				  uint32_t tag);

/* Up to count single frames at once; returns how many. */
size_t loam_frame_local_alloc_bulk(struct loam_frames *frames,
				   struct loam_zone *zone, size_t count,
				   loam_pfn_t *pfns, uint32_t tag);

/*
 * Puts a block of the zone, whose tag is known to be right, into the calling
 * CPU's stacks. False: nothing done, it goes back to the zone.
 */
bool loam_frame_local_free(struct loam_frames *frames, struct loam_zone *zone,
			   loam_pfn_t pfn, unsigned order);

/*
 * Drains the calling CPU, and loose frames: of whole tracts, or all. True if
 * there was anything.
 */
bool loam_frame_local_drain(struct loam_frames *frames, bool all);

/* Frames of the zone that CPUs keep, that are loose, or on its list. */
loam_pfn_t loam_frame_local_count(const struct loam_frames *frames,
				  const struct loam_zone *zone);

/* -------- the list in place of buddy and stacks (list.c) -------- */

/* A frame of a listed zone with this tag; LOAM_PFN_NONE for other orders. */
loam_pfn_t loam_frame_list_alloc_locked(struct loam_zone *zone, unsigned order,
					uint32_t tag);
void loam_frame_list_free_locked(struct loam_zone *zone, loam_pfn_t pfn);

/* Moves what the buddy has of [from, end) onto the list, lowest first. */
void loam_frame_list_sweep_locked(struct loam_zone *zone, loam_pfn_t from,
				  loam_pfn_t end);

int loam_frame_list_check(const struct loam_frames *frames,
			  const struct loam_zone *zone);

/* -------- misuse (report.c) -------- */

/*
 * True if pfn is the head of a used block of `order` with one reference; else
 * reports what it is: "loam: " verb " of " block ": " reason.
 */
bool loam_frame_verify_used(struct loam_frames *frames, const char *verb,
			    loam_pfn_t pfn, unsigned order, const void *caller);

/* The same for the head of a used block of any order and references. */
bool loam_frame_verify_head(struct loam_frames *frames, const char *verb,
			    loam_pfn_t pfn, const void *caller);

/* -------- allocation and freeing (frame.c) -------- */

/* The zone that a request prefers; it goes on to those before it. */
unsigned loam_frame_first_zone(const struct loam_frames *frames,
			       loam_flags_t flags);

static inline uint32_t frame_used_tag(unsigned order, loam_flags_t flags)
{
	return LOAM_TAG_USED | (flags & LOAM_TAG_OWNER_MASK) | order;
}
LOAM_STATIC_ASSERT(LOAM_OWNER_SHIFT == LOAM_TAG_OWNER_SHIFT,
		   "the owner has one place in flags and tags");
LOAM_STATIC_ASSERT(LOAM_OWNER_COUNT <= 16, "owners fit the tag");

/* True if this allocation is the one that is to fail. */
bool loam_frame_fault(struct loam_frames *frames);

/* Clears a block, for LOAM_ZERO. No lock may be held. */
void loam_frame_clear(struct loam_frames *frames, loam_pfn_t pfn,
		      loam_pfn_t count);

/*
 * What is done when a request found nothing, one step after the other: step 0
 * drains this CPU, step 1 asks for reclaim. True: another try is worth it.
 */
#define FRAME_ROOM_STEPS 2u
bool loam_frame_make_room(struct loam_frames *frames, loam_flags_t flags,
			  unsigned step);

/* Counts a request that found nothing. */
void loam_frame_count_failure(struct loam_frames *frames, unsigned zone);

/* Frees a block whose tag was verified. */
void loam_frame_free_verified(struct loam_frames *frames, loam_pfn_t pfn,
			      unsigned order);

#endif

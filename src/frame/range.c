/* SPDX-License-Identifier: MIT */
/* Runs of consecutive frames: any number, under a limit, within a boundary. */

/*
 * A request that a naturally aligned block satisfies by its nature takes one
 * from the buddy and gives the rest back. All others look at the zone in
 * address order, block by block, for a run of free blocks that contains the
 * frames wanted, touching memory as the walk gets to its end; the run is then
 * carved out of the blocks it lies in. That finds a run if there is one,
 * whatever its place and size, also beyond the largest order.
 *
 * A list in place of the buddy knows nothing about neighbours: of a zone that
 * has one, single frames can be had, where any of them will do.
 */
#include "frame_int.h"

/* What is asked for, in frames. boundary 0: none. */
struct range_request {
	loam_pfn_t count;
	loam_pfn_t align;
	loam_pfn_t limit;
	loam_pfn_t boundary;
	uint32_t tag;
};

/* The lowest place at or above `from` that meets alignment and boundary. */
static uint64_t range_place(const struct range_request *request, uint64_t from)
{
	uint64_t at = loam_round_up(from, request->align);
	if (request->boundary == 0) {
		return at;
	}
	uint64_t last = at + request->count - 1;
	if (((at ^ last) & ~((uint64_t)request->boundary - 1)) == 0) {
		return at;
	}
	/* count <= boundary, so from a multiple of both it cannot cross. */
	uint64_t next = loam_round_up(at + 1, request->boundary);
	return loam_round_up(next, request->align);
}

/*
 * How far the block at pfn reaches, and whether it is free. A chunk that was
 * never given a frame is passed over in one step.
 */
static loam_pfn_t range_step(const struct loam_zone *zone, loam_pfn_t pfn,
			     bool *is_free)
{
	uint32_t tag = loam_tag_load(&zone->buddy.tags[pfn - zone->first]);
	*is_free =
		(tag & (LOAM_TAG_SLAB | LOAM_TAG_STATE_MASK)) == LOAM_TAG_FREE;
	if ((tag & LOAM_TAG_SLAB) != 0) {
		return 1;
	}
	if (tag == 0) {
		return loam_is_aligned(pfn, LOAM_CHUNK_FRAMES) &&
				       !loam_buddy_has_chunk(&zone->buddy, pfn)
			       ? LOAM_CHUNK_FRAMES
			       : 1;
	}
	return (loam_pfn_t)1 << (tag & LOAM_TAG_ORDER_MASK);
}

/* The walk. The frame found, or LOAM_PFN_NONE. */
static loam_pfn_t range_find_locked(struct loam_frames *frames,
				    struct loam_zone *zone,
				    const struct range_request *request)
{
	uint64_t run = zone->first;
	loam_pfn_t pfn = zone->first;
	for (;;) {
		if (range_place(request, run) + request->count >
		    request->limit) {
			return LOAM_PFN_NONE;
		}
		if (pfn == zone->touched_end &&
		    !loam_frame_zone_touch_locked(frames, zone)) {
			return LOAM_PFN_NONE;
		}
		bool is_free = false;
		pfn += range_step(zone, pfn, &is_free);
		if (!is_free) {
			run = pfn;
			continue;
		}
		uint64_t at = range_place(request, run);
		if (at + request->count <= pfn) {
			return (loam_pfn_t)at;
		}
	}
}

/* The order whose every block meets the request, or LOAM_ORDER_COUNT. */
static unsigned range_order(const struct loam_zone *zone,
			    const struct range_request *request)
{
	loam_pfn_t size = request->count > request->align ? request->count
							  : request->align;
	if (size > LOAM_CHUNK_FRAMES || request->limit < zone->end) {
		return LOAM_ORDER_COUNT;
	}
	unsigned order = loam_log2_ceil(size);
	if (request->boundary != 0 && request->boundary < 1u << order) {
		return LOAM_ORDER_COUNT;
	}
	return order;
}

/* The same of a zone whose frames are on a list. */
static loam_pfn_t range_from_list(struct loam_frames *frames,
				  struct loam_zone *zone,
				  const struct range_request *request)
{
	if (request->count != 1 || request->align != 1 ||
	    request->limit < zone->end) {
		return LOAM_PFN_NONE;
	}
	loam_lock(&zone->lock);
	loam_pfn_t pfn =
		loam_frame_zone_alloc_locked(frames, zone, 0, request->tag);
	loam_unlock(&zone->lock);
	return pfn;
}

static loam_pfn_t range_from_zone(struct loam_frames *frames,
				  struct loam_zone *zone,
				  const struct range_request *request)
{
	loam_pfn_t pfn = LOAM_PFN_NONE;
	unsigned order = range_order(zone, request);
	loam_lock(&zone->lock);
	if (order < LOAM_ORDER_COUNT) {
		pfn = loam_frame_zone_alloc_locked(frames, zone, order, 0);
	}
	if (pfn != LOAM_PFN_NONE) {
		loam_buddy_free(&zone->buddy, pfn, order);
	} else {
		pfn = range_find_locked(frames, zone, request);
	}
	if (pfn != LOAM_PFN_NONE) {
		loam_buddy_carve(&zone->buddy, pfn, request->count,
				 request->tag);
		frame_zone_note_peak_locked(zone);
	}
	loam_unlock(&zone->lock);
	return pfn;
}

static loam_pfn_t range_attempt(struct loam_frames *frames, unsigned first,
				const struct range_request *request)
{
	unsigned node = frame_node(frames);
	unsigned step = 0;
	for (;;) {
		struct loam_zone *zone =
			frame_next_zone(frames, node, first, &step);
		if (zone == NULL) {
			return LOAM_PFN_NONE;
		}
		if (zone->first >= request->limit) {
			continue;
		}
		loam_pfn_t pfn =
			zone->listed ? range_from_list(frames, zone, request)
				     : range_from_zone(frames, zone, request);
		if (pfn != LOAM_PFN_NONE) {
			return pfn;
		}
	}
}

/* Turns the arguments into frames. False: they are bad, or never met. */
static bool range_request(const struct loam_frames *frames, size_t count,
			  size_t align_frames, loam_phys_t limit,
			  loam_phys_t boundary, loam_flags_t flags,
			  struct range_request *out)
{
	uint64_t boundary_frames = boundary >> LOAM_PAGE_SHIFT;
	uint64_t limit_frames = limit >> LOAM_PAGE_SHIFT;
	if (count == 0 || count > frames->end || !loam_is_pow2(align_frames) ||
	    align_frames > LOAM_PFN_NONE / 2) {
		return false;
	}
	if (boundary != 0 &&
	    (!loam_is_pow2(boundary) || count > boundary_frames)) {
		return false;
	}
	if (limit == 0 || limit_frames > frames->end) {
		limit_frames = frames->end;
	}
	/* No boundary within what can be addressed: none at all. */
	if (boundary_frames > frames->end) {
		boundary_frames = 0;
	}
	*out = (struct range_request){
		.count = (loam_pfn_t)count,
		.align = (loam_pfn_t)align_frames,
		.limit = (loam_pfn_t)limit_frames,
		.boundary = (loam_pfn_t)boundary_frames,
		.tag = frame_used_tag(0, flags),
	};
	return true;
}

loam_pfn_t loam_frame_alloc_range(struct loam_frames *frames, size_t count,
				  size_t align_frames, loam_phys_t limit,
				  loam_phys_t boundary, loam_flags_t flags)
{
	struct range_request request;
	if (!range_request(frames, count, align_frames, limit, boundary, flags,
			   &request)) {
		return LOAM_PFN_NONE;
	}
	unsigned first = loam_frame_first_zone(frames, flags);
	loam_pfn_t pfn = LOAM_PFN_NONE;
	if (!loam_frame_fault(frames)) {
		pfn = range_attempt(frames, first, &request);
		for (unsigned step = 0;
		     pfn == LOAM_PFN_NONE && step < FRAME_ROOM_STEPS; step++) {
			if (loam_frame_make_room(frames, flags, step)) {
				pfn = range_attempt(frames, first, &request);
			}
		}
	}
	if (pfn == LOAM_PFN_NONE) {
		loam_frame_count_failure(frames, first);
	} else if ((flags & LOAM_ZERO) != 0) {
		loam_frame_clear(frames, pfn, request.count);
	}
	return pfn;
}

/* Frees verified single frames of one zone, in blocks as large as fit. */
static void range_free_part(struct loam_zone *zone, loam_pfn_t first,
			    loam_pfn_t end)
{
	loam_lock(&zone->lock);
	for (loam_pfn_t pfn = first; pfn < end; pfn++) {
		if (zone->listed) {
			loam_frame_list_free_locked(zone, pfn);
		} else {
			loam_tag_store(&zone->buddy.tags[pfn - zone->first], 0);
		}
	}
	if (!zone->listed) {
		loam_buddy_add(&zone->buddy, first, end - first);
	}
	loam_unlock(&zone->lock);
}

void loam_frame_free_range(struct loam_frames *frames, loam_pfn_t pfn,
			   size_t count)
{
	const void *caller = LOAM_CALLER();
	if (count == 0) {
		return;
	}
	if (count > frames->end || pfn > frames->end - count) {
		loam_misuse(caller,
			    "free of %zu frames at 0x%llx: beyond memory",
			    count, (unsigned long long)loam_pfn_to_phys(pfn));
		return;
	}
	loam_pfn_t end = pfn + (loam_pfn_t)count;
	for (loam_pfn_t i = pfn; i < end; i++) {
		if (!loam_frame_verify_used(frames, "free", i, 0, caller)) {
			return;
		}
	}
	while (pfn < end) {
		struct loam_zone *zone = frame_zone_of(frames, pfn);
		loam_pfn_t stop = end < zone->end ? end : zone->end;
		range_free_part(zone, pfn, stop);
		pfn = stop;
	}
}

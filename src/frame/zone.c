/* SPDX-License-Identifier: MIT */
/* Zones: untouched memory enters the buddy a chunk at a time. */
#include "frame_int.h"

/* Moves what runs[] has below `end` into the buddy. */
static void zone_take_runs(struct loam_zone *zone, loam_pfn_t end)
{
	while (zone->run_next < zone->run_count &&
	       zone->runs[zone->run_next].first < end) {
		struct loam_frame_run *run = &zone->runs[zone->run_next];
		loam_pfn_t stop = run->end < end ? run->end : end;
		loam_buddy_add(&zone->buddy, run->first, stop - run->first);
		zone->untouched -= stop - run->first;
		run->first = stop;
		if (run->first == run->end) {
			zone->run_next++;
		}
	}
}

/*
 * The tags of DMA memory are clear since adoption, and are being read; all
 * others are cleared now. Holes that are passed over get their tags cleared
 * too, so that below touched_end a frame that is nobody's has tag 0, whoever
 * asks, and their map, so that frames added to a hole later find it in order.
 */
static void zone_clear(struct loam_frames *frames, struct loam_zone *zone,
		       loam_pfn_t from, loam_pfn_t end)
{
	size_t at = from - zone->first;
	if (zone->id != LOAM_ZONE_DMA) {
		memset(&zone->buddy.tags[at], 0,
		       (size_t)(end - from) * sizeof(uint32_t));
	}
	memset(&zone->buddy.map[(at >> LOAM_ORDER_MAX) * LOAM_CHUNK_MAP_WORDS],
	       0, loam_buddy_map_bytes(end - from));
	loam_frame_tracts_clear(frames, from, end);
}

void loam_frame_zone_touch_to_locked(struct loam_frames *frames,
				     struct loam_zone *zone, loam_pfn_t end)
{
	loam_pfn_t from = zone->touched_end;
	end = (end + LOAM_CHUNK_FRAMES - 1) & ~(LOAM_CHUNK_FRAMES - 1u);
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	LOAM_ASSERT(from < end && end <= zone->end);
	if (!LOAM_INSTANCES_ZEROED) {
		zone_clear(frames, zone, from, end);
	}
	zone_take_runs(zone, end);
	__atomic_store_n(&zone->touched_end, end, __ATOMIC_RELEASE);
	loam_frame_areas_follow(frames, zone);
	if (zone == &frames->zones[LOAM_ZONE_NORMAL]) {
		__atomic_store_n(&frames->tags.end, end, __ATOMIC_RELEASE);
	}
}

bool loam_frame_zone_touch_locked(struct loam_frames *frames,
				  struct loam_zone *zone)
{
	if (zone->untouched == 0) {
		return false;
	}
	loam_frame_zone_touch_to_locked(frames, zone,
					zone->runs[zone->run_next].first + 1);
	return true;
}

loam_pfn_t loam_frame_zone_alloc_locked(struct loam_frames *frames,
					struct loam_zone *zone, unsigned order,
					uint32_t tag)
{
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	if (zone->listed) {
		return loam_frame_list_alloc_locked(zone, order, tag);
	}
	loam_pfn_t pfn = loam_buddy_alloc(&zone->buddy, order, tag);
	while (pfn == LOAM_PFN_NONE &&
	       loam_frame_zone_touch_locked(frames, zone)) {
		pfn = loam_buddy_alloc(&zone->buddy, order, tag);
	}
	if (pfn != LOAM_PFN_NONE) {
		frame_zone_note_peak_locked(zone);
	}
	return pfn;
}

void loam_frame_zone_free_locked(struct loam_zone *zone, loam_pfn_t pfn,
				 unsigned order)
{
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	if (zone->listed) {
		LOAM_ASSERT(order == 0);
		loam_frame_list_free_locked(zone, pfn);
	} else {
		loam_buddy_free(&zone->buddy, pfn, order);
	}
}

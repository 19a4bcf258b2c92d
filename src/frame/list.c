/* SPDX-License-Identifier: MIT */
/* Directly mapped frames by a list through the free ones: pages=xv6. */

/*
 * Seed 002 hands frames out as xv6 does: each free frame's first word leads to
 * the next free one, the frame freed last is handed out first, and a range is
 * made available by freeing it, from its lowest frame up. The list itself is
 * loam_runs of the heap floor; there is one for the DMA zone and one for the
 * normal zone, so that requests for either find what they ask for. The zone's
 * lock is the list's, which therefore has none of its own.
 *
 * What stays is everything that knows frames by number: zones, tags with state
 * and owner, references, checks. A frame on the list is CACHED, like one in a
 * CPU's stack, and the list counts as what CPUs keep; the buddy of such a zone
 * is empty, and its zone serves no CPU's stack. So the fast paths find nothing
 * to pop, and no frame that they would push, without a test of their own; and a
 * second free is found by its tag, which the list alone could not do.
 *
 * The start has the seed's two steps. While bring-up can reach little memory,
 * only frames below first_end are on the list (kinit1); the permanent page
 * tables are made of them; then comes the rest (kinit2). Frames that are added
 * later go onto the list by way of the buddy, which knows holes.
 *
 * Blocks of more than one frame cannot be had: the list knows no neighbours.
 * Slabs are then of one frame, and large kmalloc blocks in the vmalloc window.
 *
 * Cost: alloc and free O(1) under the zone's lock, and 64 bytes of junk a free.
 * The start writes to every frame, where the buddy leaves memory untouched.
 */
#include "frame_int.h"

static unsigned char *list_base(const struct loam_zone *zone)
{
	return zone->list.config.base;
}

/* The frame at the list's base: the zone's first but where that is at NULL. */
static loam_pfn_t list_first(const struct loam_zone *zone)
{
	return zone->end -
	       (loam_pfn_t)(zone->list.config.size_bytes >> LOAM_PAGE_SHIFT);
}

static loam_pfn_t list_pfn(const struct loam_zone *zone, const void *page)
{
	size_t offset = (size_t)((const unsigned char *)page - list_base(zone));
	return list_first(zone) + (loam_pfn_t)(offset >> LOAM_PAGE_SHIFT);
}

static unsigned char *list_page(const struct loam_zone *zone, loam_pfn_t pfn)
{
	return list_base(zone) +
	       ((size_t)(pfn - list_first(zone)) << LOAM_PAGE_SHIFT);
}

loam_pfn_t loam_frame_list_alloc_locked(struct loam_zone *zone, unsigned order,
					uint32_t tag)
{
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	void *page = order == 0 ? loam_runs_alloc(&zone->list) : NULL;
	if (page == NULL) {
		return LOAM_PFN_NONE;
	}
	loam_pfn_t pfn = list_pfn(zone, page);
	uint32_t *at = &zone->buddy.tags[pfn - zone->first];
	/* A link that was overwritten may lead to a frame in use. */
	LOAM_VERIFY(loam_tag_load(at) == LOAM_TAG_CACHED);
	loam_tag_store(at, tag);
	frame_zone_note_peak_locked(zone);
	return pfn;
}

void loam_frame_list_free_locked(struct loam_zone *zone, loam_pfn_t pfn)
{
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	loam_tag_store(&zone->buddy.tags[pfn - zone->first], LOAM_TAG_CACHED);
	loam_runs_free(&zone->list, list_page(zone, pfn));
}

/* Takes one free block out of the buddy and puts its frames onto the list. */
static void list_take_block(struct loam_zone *zone, loam_pfn_t pfn,
			    loam_pfn_t size)
{
	loam_buddy_carve(&zone->buddy, pfn, size, LOAM_TAG_CACHED);
	size_t added = loam_runs_add(&zone->list, list_page(zone, pfn),
				     list_page(zone, pfn + size));
	LOAM_VERIFY(added == size);
}

void loam_frame_list_sweep_locked(struct loam_zone *zone, loam_pfn_t from,
				  loam_pfn_t end)
{
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	while (from < end && zone->buddy.free_frames != 0) {
		uint32_t tag =
			loam_tag_load(&zone->buddy.tags[from - zone->first]);
		loam_pfn_t size = 1;
		if ((tag & LOAM_TAG_SLAB) == 0 &&
		    (tag & LOAM_TAG_STATE_MASK) == LOAM_TAG_FREE) {
			size <<= tag & LOAM_TAG_ORDER_MASK;
			list_take_block(zone, from, size);
		}
		from += size;
	}
}

/* Touches the zone's memory below `end` and lists what is free of it. */
static loam_pfn_t list_take_below(struct loam_frames *frames,
				  struct loam_zone *zone, loam_pfn_t end)
{
	size_t before = zone->list.free_pages;
	end = end < zone->end ? end : zone->end;
	loam_lock(&zone->lock);
	loam_pfn_t from = zone->touched_end;
	if (from < end) {
		loam_frame_zone_touch_to_locked(frames, zone, end);
		loam_frame_list_sweep_locked(zone, from, end);
	}
	loam_unlock(&zone->lock);
	return (loam_pfn_t)(zone->list.free_pages - before);
}

static bool zone_is_fresh(const struct loam_zone *zone)
{
	return zone->touched_end == zone->first && !zone->listed;
}

/* Makes the zone one with an empty list; nothing of it can be had. */
static void list_start_zone(struct loam_zone *zone)
{
	if (zone->first == zone->end) {
		return;
	}
	/* Linear, and so known before the far end of it is mapped. */
	uintptr_t direct = (uintptr_t)loam_host_phys_to_virt(0);
	loam_pfn_t first = zone->first;
	/* A direct map that begins at NULL: frame 0 is never handed out. */
	first += direct == 0 && first == 0;
	const struct loam_runs_config config = {
		.base = (void *)(direct + ((size_t)first << LOAM_PAGE_SHIFT)),
		.size_bytes = (size_t)(zone->end - first) << LOAM_PAGE_SHIFT,
		.junk_bytes = LOAM_RUNS_JUNK_MIN,
	};
	int error = loam_runs_init(&zone->list, &config);
	LOAM_VERIFY(error == 0);
	zone->listed = true;
	zone->local = LOAM_FRAME_LOCALS;
}

/* Takes what directly mapped zones have below `end`. */
static long list_take_all(struct loam_frames *frames, loam_pfn_t end)
{
	long taken = 0;
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		if (zone->listed) {
			taken += (long)list_take_below(frames, zone, end);
		}
	}
	return taken;
}

long loam_frame_list_begin(struct loam_frames *frames, loam_phys_t first_end)
{
	const loam_phys_t chunk = (loam_phys_t)LOAM_CHUNK_FRAMES
				  << LOAM_PAGE_SHIFT;
	if (first_end == 0 || !loam_is_aligned(first_end, chunk) ||
	    first_end >> LOAM_PAGE_SHIFT >= LOAM_PFN_NONE) {
		return -LOAM_EINVAL;
	}
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		const struct loam_zone *zone = &frames->zones[z];
		if (zone->id != LOAM_ZONE_HIGH && !zone_is_fresh(zone)) {
			return -LOAM_EPERM;
		}
	}
	/* No frame is one that a CPU's stack takes. */
	frames->window.first = LOAM_PFN_NONE;
	for (unsigned cpu = 0; LOAM_FRAME_AREAS > 1 && cpu < LOAM_MAX_CPUS;
	     cpu++) {
		frames->cpus[cpu].window.first = LOAM_PFN_NONE;
	}
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		if (frames->zones[z].id != LOAM_ZONE_HIGH) {
			list_start_zone(&frames->zones[z]);
		}
	}
	frames->order_max = 0;
	return list_take_all(frames, loam_phys_to_pfn(first_end));
}

long loam_frame_list_rest(struct loam_frames *frames)
{
	frames->list_whole = true;
	return list_take_all(frames, frames->end);
}

int loam_frame_list_check(const struct loam_frames *frames,
			  const struct loam_zone *zone)
{
	LOAM_CHECK(zone->local == LOAM_FRAME_LOCALS);
	LOAM_CHECK(zone->buddy.free_frames == 0);
	LOAM_CHECK(!frames->list_whole || zone->untouched == 0);
	LOAM_CHECK(zone->list.total_pages <= zone->managed);
	/*
	 * One walk for what loam_runs_check() looks at and for the tags: each
	 * step of it is a miss of the cache.
	 */
	size_t count = 0;
	const struct loam_run *run = zone->list.free_list;
	for (; run != NULL; run = run->next) {
		uintptr_t offset = (uintptr_t)run - (uintptr_t)list_base(zone);
		LOAM_CHECK(offset < zone->list.config.size_bytes &&
			   (offset & LOAM_PAGE_MASK) == 0);
		LOAM_CHECK(count < zone->list.free_pages);
		loam_pfn_t pfn = list_pfn(zone, run);
		LOAM_CHECK(loam_tag_load(&frames->tags.tags[pfn]) ==
			   LOAM_TAG_CACHED);
		count++;
	}
	LOAM_CHECK(count == zone->list.free_pages);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Takes memory over from memblock, and more of it later. */
#include "frame_int.h"

/*
 * The highest frame that can be had, plus one, as a whole number of chunks:
 * frame numbers are 32 bits wide and the last chunk would hold LOAM_PFN_NONE.
 */
#define FRAME_END_MAX ((loam_pfn_t)0 - LOAM_CHUNK_FRAMES)

/* Ranges that loam_frame_add() can still bring to untouched memory. */
#define FRAME_SPARE_RUNS 32u

static inline uint64_t chunk_round_up(uint64_t pfn)
{
	return loam_round_up(pfn, LOAM_CHUNK_FRAMES);
}

/* One past the highest usable frame below limit; 0 if there is none. */
static uint64_t adopt_end(const struct loam_memmap *map, uint64_t limit)
{
	uint64_t end = 0;
	uint64_t pfn = 0;
	uint64_t count = 0;
	while (loam_memmap_next_usable(map, &pfn, &count)) {
		if (pfn >= limit) {
			break;
		}
		end = pfn + count < limit ? pfn + count : limit;
		pfn += count;
	}
	return end;
}

/*
 * Walks memblock's free ranges, cut at the zones' borders. With room in the
 * zones' runs[] they are stored; without, they are only counted.
 */
static void adopt_runs(struct loam_frames *frames,
		       const struct loam_memblock *memblock, bool store)
{
	uint64_t pfn = 0;
	uint64_t count = 0;
	while (loam_memblock_next_free(memblock, &pfn, &count)) {
		uint64_t end = pfn + count;
		for (unsigned z = 0; z < frame_zone_count(frames); z++) {
			struct loam_zone *zone = &frames->zones[z];
			uint64_t from = pfn > zone->first ? pfn : zone->first;
			uint64_t to = end < zone->end ? end : zone->end;
			if (from >= to) {
				continue;
			}
			if (store) {
				zone->runs[zone->run_count] =
					(struct loam_frame_run){
						(loam_pfn_t)from, (loam_pfn_t)to
					};
				zone->untouched += (loam_pfn_t)(to - from);
				zone->managed += (loam_pfn_t)(to - from);
			}
			zone->run_count++;
		}
		if (store && end > frames->end) {
			frames->unreachable +=
				end - (pfn > frames->end ? pfn : frames->end);
		}
		pfn = end;
	}
}

/* Sets the zones' spans: an area's, each to where the next kind begins. */
static void adopt_spans(struct loam_frames *frames, loam_pfn_t dma_end,
			loam_pfn_t direct_end)
{
	static const char *const names[] = { "DMA", "Normal", "High" };
	const loam_pfn_t ends[] = { dma_end, direct_end, FRAME_END_MAX };
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		const struct loam_frame_area *area =
			&frames->areas[z / LOAM_ZONE_COUNT];
		unsigned id = z % LOAM_ZONE_COUNT;
		loam_pfn_t first = id > 0 ? zone[-1].end : area->first;
		loam_lock_init(&zone->lock, names[id], LOAM_RANK_ZONE);
		zone->name = names[id];
		zone->number = (uint8_t)z;
		zone->id = (uint8_t)id;
		zone->first = first;
		zone->end = ends[id] < area->end ? ends[id] : area->end;
		if (zone->end < first) {
			zone->end = first;
		}
		zone->touched_end = first;
		zone->local = LOAM_FRAME_LOCALS;
	}
}

/* Lays the metadata out in one piece: descriptors, tags, maps, runs. */
static void adopt_layout(struct loam_frames *frames, unsigned char *at)
{
	size_t count = frames->end;
	frames->descriptors = (struct loam_frame *)(void *)at;
	at += count * sizeof(struct loam_frame);
	frames->tags.tags = (uint32_t *)(void *)at;
	at += count * sizeof(uint32_t);
	uint32_t *map = (uint32_t *)(void *)at;
	at += loam_buddy_map_bytes(frames->end);
	frames->loose_map = (uint32_t *)(void *)at;
	at += count / 8;
	frames->tracts = (struct loam_tract *)(void *)at;
	at += count / LOAM_TRACT_FRAMES * sizeof(struct loam_tract);
	frames->tract_free = (uint16_t *)(void *)at;
	at += count / LOAM_TRACT_FRAMES * sizeof(uint16_t);
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		size_t chunk = zone->first >> LOAM_ORDER_MAX;
		zone->runs = (struct loam_frame_run *)(void *)at;
		at += zone->run_capacity * sizeof(struct loam_frame_run);
		loam_buddy_init(&zone->buddy, zone->first,
				zone->end - zone->first, LOAM_ORDER_MAX,
				map + chunk * LOAM_CHUNK_MAP_WORDS,
				frames->descriptors + zone->first,
				frames->tags.tags + zone->first);
		zone->buddy.tract_free =
			&frames->tract_free[zone->first >> LOAM_TRACT_ORDER];
	}
}

/*
 * Where the memory that can be touched by now ends: bring-up may have mapped
 * less than the direct map will have in the end. By halving, to a frame.
 */
static loam_phys_t adopt_mapped_end(loam_phys_t direct_end)
{
	loam_phys_t mapped = 0;
	loam_phys_t beyond = direct_end;
	if (loam_host_phys_to_virt(direct_end - 1) != NULL) {
		return direct_end;
	}
	while (beyond - mapped > LOAM_PAGE_SIZE) {
		loam_phys_t middle = loam_round_down(
			mapped + (beyond - mapped) / 2, LOAM_PAGE_SIZE);
		if (loam_host_phys_to_virt(middle - 1) != NULL) {
			mapped = middle;
		} else {
			beyond = middle;
		}
	}
	return mapped;
}

/*
 * Gets the metadata from memblock: above the DMA zone if it fits there, as low
 * as possible, where bring-up has memory mapped. NULL: there is no room.
 */
static unsigned char *adopt_metadata(struct loam_frames *frames,
				     struct loam_memblock *memblock,
				     loam_phys_t dma_end,
				     loam_phys_t direct_end)
{
	uint64_t bytes = loam_frame_metadata_bytes(frames->end);
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		/* Placing the metadata may split one range of the zone. */
		zone->run_capacity = zone->run_count + 1 + FRAME_SPARE_RUNS;
		zone->run_count = 0;
		bytes += (uint64_t)zone->run_capacity *
			 sizeof(struct loam_frame_run);
	}
	if (bytes > SIZE_MAX / 2) {
		return NULL;
	}
	loam_phys_t mapped_end = adopt_mapped_end(direct_end);
	loam_phys_t phys = loam_memblock_alloc(
		memblock, bytes, LOAM_PAGE_SIZE, dma_end, mapped_end,
		LOAM_BOTTOM_UP, LOAM_RESERVED_METADATA);
	if (phys == LOAM_PHYS_NONE) {
		phys = loam_memblock_alloc(memblock, bytes, LOAM_PAGE_SIZE, 0,
					   mapped_end, LOAM_BOTTOM_UP,
					   LOAM_RESERVED_METADATA);
	}
	if (phys == LOAM_PHYS_NONE) {
		return NULL;
	}
	frames->metadata_bytes = bytes;
	unsigned char *at = loam_host_phys_to_virt(phys);
	unsigned char *last = loam_host_phys_to_virt(phys + bytes - 1);
	if (at == NULL || last != at + (size_t)bytes - 1) {
		loam_log(LOAM_LOG_ERROR,
			 "frame metadata at 0x%llx is not mapped",
			 (unsigned long long)phys);
		return NULL;
	}
	return at;
}

/*
 * A CPU keeps at most 1/32 of a zone in one stash, so that small machines are
 * not emptied into stashes; the smallest zone that serves CPUs decides.
 */
static void adopt_stashes(struct loam_frames *frames,
			  const struct loam_zone *zone)
{
	uint32_t *limits = frames->stash_limit[zone->local];
	for (unsigned i = 0; i < LOAM_STASH_COUNT; i++) {
		uint32_t fit = (zone->managed >> 5) >> frame_stash_order(i);
		limits[i] = fit < limits[i] ? fit : limits[i];
	}
}

/* Which zones CPUs' stacks serve, and all that depends on that. */
static void adopt_locals(struct loam_frames *frames)
{
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		frames->home_above[z] = LOAM_TRACT_FRAMES;
		frames->has_high |= frames->zones[z].id == LOAM_ZONE_HIGH &&
				    frames->zones[z].managed != 0;
	}
	loam_frame_areas_homes(frames);
	for (unsigned local = 0; local < LOAM_FRAME_LOCALS; local++) {
		for (unsigned i = 0; i < LOAM_STASH_COUNT; i++) {
			frames->stash_limit[local][i] = LOAM_STASH_BLOCKS;
		}
	}
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		if (zone->local != LOAM_FRAME_LOCALS) {
			loam_frame_tracts_start(zone);
			adopt_stashes(frames, zone);
		}
	}
}

/*
 * True if every frame of [first, first + count), within zone, is in nobody's
 * hands.
 */
static bool zone_lacks_locked(struct loam_zone *zone, loam_pfn_t first,
			      loam_pfn_t count)
{
	loam_pfn_t end = first + count;
	for (uint32_t i = zone->run_next; i < zone->run_count; i++) {
		if (zone->runs[i].first < end && zone->runs[i].end > first) {
			return false;
		}
	}
	for (loam_pfn_t pfn = first; pfn < end && pfn < zone->touched_end;
	     pfn++) {
		loam_pfn_t head = 0;
		unsigned order = 0;
		if (loam_tag_load(&zone->buddy.tags[pfn - zone->first]) != 0 ||
		    loam_buddy_find(&zone->buddy, pfn, &head, &order)) {
			return false;
		}
	}
	return true;
}

/* Makes a place in runs[]. False: there is none left. */
static bool zone_insert_run_locked(struct loam_zone *zone, loam_pfn_t first,
				   loam_pfn_t end)
{
	if (zone->run_next > 0) {
		zone->run_count -= zone->run_next;
		memmove(zone->runs, &zone->runs[zone->run_next],
			zone->run_count * sizeof(zone->runs[0]));
		zone->run_next = 0;
	}
	uint32_t at = 0;
	while (at < zone->run_count && zone->runs[at].first < first) {
		at++;
	}
	if (at > 0 && zone->runs[at - 1].end == first) {
		zone->runs[at - 1].end = end;
		return true;
	}
	if (zone->run_count == zone->run_capacity) {
		return false;
	}
	memmove(&zone->runs[at + 1], &zone->runs[at],
		(zone->run_count - at) * sizeof(zone->runs[0]));
	zone->runs[at] = (struct loam_frame_run){ first, end };
	zone->run_count++;
	return true;
}

/*
 * Untouched frames join runs[]. When that is full, memory is touched up to
 * where they are, which always works and costs time only.
 */
static void zone_add_locked(struct loam_frames *frames, struct loam_zone *zone,
			    loam_pfn_t first, loam_pfn_t end)
{
	zone->managed += end - first;
	if (zone->id == LOAM_ZONE_HIGH) {
		__atomic_store_n(&frames->has_high, true, __ATOMIC_RELAXED);
	}
	if (end > zone->touched_end) {
		loam_pfn_t from =
			first > zone->touched_end ? first : zone->touched_end;
		if (zone_insert_run_locked(zone, from, end)) {
			zone->untouched += end - from;
			end = from;
		} else {
			loam_frame_zone_touch_to_locked(frames, zone, end);
		}
	}
	if (first < end) {
		loam_buddy_add(&zone->buddy, first, end - first);
	}
	if (zone->listed) {
		loam_frame_list_sweep_locked(zone, zone->first,
					     zone->touched_end);
	}
}

/* True, and the part of [first, end) that lies in the zone. */
static bool zone_part(const struct loam_zone *zone, loam_pfn_t first,
		      loam_pfn_t end, loam_pfn_t *from, loam_pfn_t *to)
{
	*from = first > zone->first ? first : zone->first;
	*to = end < zone->end ? end : zone->end;
	return *from < *to;
}

/*
 * True if no zone has any of [first, end), and each frame is in the span of
 * one: where no memory was, between areas, none can be added.
 */
static bool frames_lack_locked(struct loam_frames *frames, loam_pfn_t first,
			       loam_pfn_t end)
{
	bool lack = true;
	loam_pfn_t spanned = 0;
	for (unsigned z = 0; z < frame_zone_count(frames) && lack; z++) {
		struct loam_zone *zone = &frames->zones[z];
		loam_pfn_t from = 0;
		loam_pfn_t to = 0;
		if (!zone_part(zone, first, end, &from, &to)) {
			continue;
		}
		loam_lock(&zone->lock);
		lack = zone_lacks_locked(zone, from, to - from);
		loam_unlock(&zone->lock);
		spanned += to - from;
	}
	return lack && spanned == end - first;
}

loam_phys_t loam_frame_metadata_bytes(uint64_t end_pfn)
{
	uint64_t end = chunk_round_up(end_pfn);
	return end * (sizeof(struct loam_frame) + sizeof(uint32_t)) +
	       (end >> LOAM_ORDER_MAX) * LOAM_CHUNK_MAP_WORDS *
		       sizeof(uint32_t) +
	       end / 8 +
	       (end >> LOAM_TRACT_ORDER) *
		       (sizeof(struct loam_tract) + sizeof(uint16_t));
}

int loam_frame_adopt_nodes(struct loam_frames *frames,
			   struct loam_memblock *memblock, loam_phys_t dma_end,
			   loam_phys_t direct_end, loam_phys_t reach_end,
			   const struct loam_topology *topology)
{
	const uint64_t chunk_bytes = (uint64_t)LOAM_CHUNK_FRAMES
				     << LOAM_PAGE_SHIFT;
	const loam_phys_t end_max = loam_pfn_to_phys(FRAME_END_MAX);
	if (!loam_is_aligned(dma_end | direct_end, chunk_bytes) ||
	    dma_end > direct_end) {
		return -LOAM_EINVAL;
	}
	if (memblock->sealed) {
		return -LOAM_EPERM;
	}
	loam_phys_t reach = reach_end < end_max ? reach_end : end_max;
	loam_phys_t direct = direct_end < end_max ? direct_end : end_max;
	loam_phys_t dma = dma_end < direct ? dma_end : direct;
	memset(frames, 0,
	       LOAM_INSTANCES_ZEROED ? offsetof(struct loam_frames, cpus)
				     : sizeof(*frames));
	frames->usable_end =
		(loam_pfn_t)adopt_end(memblock->map, reach >> LOAM_PAGE_SHIFT);
	frames->end = (loam_pfn_t)chunk_round_up(frames->usable_end);
	loam_frame_areas_start(frames, memblock->map, frames->usable_end,
			       topology);
	frames->order_max = LOAM_ORDER_MAX;
	loam_lock_init(&frames->lock, "frames", LOAM_RANK_FRAME);
	adopt_spans(frames, loam_phys_to_pfn(dma), loam_phys_to_pfn(direct));
	adopt_runs(frames, memblock, false);
	unsigned char *metadata = adopt_metadata(frames, memblock, dma, direct);
	if (metadata == NULL) {
		return -LOAM_ENOMEM;
	}
	adopt_layout(frames, metadata);
	adopt_runs(frames, memblock, true);
	adopt_locals(frames);
	frames->tags.end = frames->zones[LOAM_ZONE_DMA].end;
	frames->dma_end = loam_phys_to_pfn(dma) < frames->end
				  ? loam_phys_to_pfn(dma)
				  : frames->end;
	memset(frames->tags.tags, 0,
	       (size_t)frames->dma_end * sizeof(uint32_t));
	loam_memblock_seal(memblock);
	return 0;
}

int loam_frame_adopt(struct loam_frames *frames, struct loam_memblock *memblock,
		     loam_phys_t dma_end, loam_phys_t direct_end,
		     loam_phys_t reach_end)
{
	return loam_frame_adopt_nodes(frames, memblock, dma_end, direct_end,
				      reach_end, NULL);
}

int loam_frame_add(struct loam_frames *frames, loam_pfn_t first, uint64_t count)
{
	if (count == 0) {
		return 0;
	}
	if (first >= frames->usable_end || count > frames->usable_end - first) {
		loam_log(LOAM_LOG_ERROR,
			 "frames 0x%x to 0x%llx not added: beyond memory",
			 first, (unsigned long long)(first + count - 1));
		return -LOAM_EINVAL;
	}
	loam_pfn_t end = first + (loam_pfn_t)count;
	loam_lock(&frames->lock);
	bool lack = frames_lack_locked(frames, first, end);
	for (unsigned z = 0; z < frame_zone_count(frames) && lack; z++) {
		struct loam_zone *zone = &frames->zones[z];
		loam_pfn_t from = 0;
		loam_pfn_t to = 0;
		if (zone_part(zone, first, end, &from, &to)) {
			loam_lock(&zone->lock);
			zone_add_locked(frames, zone, from, to);
			loam_unlock(&zone->lock);
		}
	}
	loam_unlock(&frames->lock);
	if (!lack) {
		loam_log(LOAM_LOG_ERROR,
			 "frames 0x%x to 0x%x not added: some are managed, or "
			 "no memory",
			 first, end - 1);
		return -LOAM_EINVAL;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Loose frames: free single frames between the CPUs' stacks and the buddy. */

/*
 * A tract is 2 MiB of memory, aligned: 512 frames. Single frames that CPUs give
 * back do not go into the buddy, which would merge and split them one by one,
 * but become loose: their bit in the map of their tract is set, their tag stays
 * CACHED. A refill takes them from there, many at a time, with a look at one
 * cache line. When all of a tract is free its loose frames go to the buddy at
 * once, as one block of order 9. Loose frames run out: then a block of the
 * buddy becomes loose as a whole.
 *
 * KEEPING MEMORY WHOLE
 *
 * Tracts with loose frames are on lists by how many of their frames are free, a
 * bucket for each 32, and a refill takes from the fullest: so what is in use
 * gathers in few tracts, and others empty themselves as their frames are freed.
 * For that a freed frame must go home to its tract rather than to the next who
 * asks. Where there are loose frames for E whole tracts, the E emptiest are
 * those that are to become whole, and a free sees by one comparison (free
 * frames of the tract, home_above) whether its frame belongs to one. All other
 * frames are handed out again as ever, by the CPU that freed them. Once memory
 * is gathered nothing goes home any more, and nothing of this costs anything.
 *
 * The idea of filling the fullest of such units first is that of LLFree's trees
 * (Wrenger et al., USENIX ATC 2023).
 *
 * All of it works under the zone's lock. Finding, taking and putting are O(1) a
 * frame, giving a tract back is O(its frames).
 */
#include "frame_int.h"

#define TRACT_WORDS (LOAM_TRACT_FRAMES / 32u)
#define BUCKET_FRAMES 32u
#define BUCKET_WHOLE (LOAM_TRACT_BUCKETS - 1u) /* every frame is free */
LOAM_STATIC_ASSERT(LOAM_TRACT_FRAMES / BUCKET_FRAMES == BUCKET_WHOLE,
		   "the last bucket has whole tracts alone");

/* -------- the lists -------- */

static void tract_link(struct loam_frames *frames, struct loam_zone *zone,
		       uint32_t number)
{
	struct loam_tract *tract = &frames->tracts[number];
	unsigned bucket = frames->tract_free[number] / BUCKET_FRAMES;
	tract->bucket = (uint16_t)bucket;
	tract->prev = LOAM_PFN_NONE;
	tract->next = zone->tract_lists[bucket];
	if (tract->next != LOAM_PFN_NONE) {
		frames->tracts[tract->next].prev = number;
	}
	zone->tract_lists[bucket] = number;
	zone->tract_counts[bucket]++;
	zone->tract_count++;
	zone->loose_buckets |= 1u << bucket;
}

static void tract_unlink(struct loam_frames *frames, struct loam_zone *zone,
			 uint32_t number)
{
	const struct loam_tract *tract = &frames->tracts[number];
	unsigned bucket = tract->bucket;
	if (tract->next != LOAM_PFN_NONE) {
		frames->tracts[tract->next].prev = tract->prev;
	}
	if (tract->prev != LOAM_PFN_NONE) {
		frames->tracts[tract->prev].next = tract->next;
	} else {
		zone->tract_lists[bucket] = tract->next;
	}
	zone->tract_counts[bucket]--;
	zone->tract_count--;
	if (zone->tract_lists[bucket] == LOAM_PFN_NONE) {
		zone->loose_buckets &= ~(1u << bucket);
	}
}

/* Puts the tract where it belongs after its counts changed. */
static void tract_relink(struct loam_frames *frames, struct loam_zone *zone,
			 uint32_t number, bool was_linked)
{
	const struct loam_tract *tract = &frames->tracts[number];
	bool stays = tract->loose != 0;
	if (was_linked && stays &&
	    tract->bucket == frames->tract_free[number] / BUCKET_FRAMES) {
		return;
	}
	if (was_linked) {
		tract_unlink(frames, zone, number);
	}
	if (stays) {
		tract_link(frames, zone, number);
	}
}

/*
 * Decides which tracts are to become whole: of those that are not, as many of
 * the emptiest as the others have room for, CPUs' stacks included.
 */
static void tracts_choose(struct loam_frames *frames,
			  const struct loam_zone *zone)
{
	uint32_t whole = zone->tract_counts[BUCKET_WHOLE];
	uint32_t room = zone->loose - whole * LOAM_TRACT_FRAMES;
	uint32_t wanted = (room + LOAM_STACK_FRAMES) / LOAM_TRACT_FRAMES;
	uint32_t above = LOAM_TRACT_FRAMES;
	uint32_t partial = zone->tract_count - whole;
	if (wanted >= partial) {
		/* One stays to be filled. */
		wanted = partial > 0 ? partial - 1 : 0;
	}
	for (unsigned bucket = BUCKET_WHOLE; wanted > 0 && bucket-- > 1;) {
		uint32_t count = zone->tract_counts[bucket];
		wanted -= count < wanted ? count : wanted;
		above = bucket * BUCKET_FRAMES - 1;
	}
	uint32_t *home_above = &frames->home_above[zone->number];
	if (*home_above == above) {
		return;
	}
	bool did = *home_above < LOAM_TRACT_FRAMES;
	bool does = above < LOAM_TRACT_FRAMES;
	__atomic_store_n(home_above, above, __ATOMIC_RELAXED);
	if (zone->local == 0 && did != does) {
		loam_frame_areas_follow(frames, zone);
	}
}

/* -------- from and to the buddy -------- */

/* Makes the free block at pfn loose; its tag is written by its caller. */
static void tract_add_block(struct loam_frames *frames, struct loam_zone *zone,
			    loam_pfn_t pfn, unsigned order)
{
	uint32_t number = pfn >> LOAM_TRACT_ORDER;
	struct loam_tract *tract = &frames->tracts[number];
	uint32_t size = 1u << order;
	bool was_linked = tract->loose != 0;
	loam_bitmap_set_range(frames->loose_map, pfn, size);
	for (uint32_t i = 0; i < size; i++) {
		loam_tag_store(&frames->tags.tags[pfn + i], LOAM_TAG_CACHED);
	}
	tract->loose = (uint16_t)(tract->loose + size);
	zone->loose += size;
	loam_tract_free_add(&frames->tract_free[number], (int)size);
	tract_relink(frames, zone, number, was_linked);
}

/*
 * Makes a block of the buddy loose: one of loose_order or as near above as
 * there is, else the largest. Untouched memory is an alternative to small
 * blocks only if `touch`. False: there is nothing.
 */
static bool tract_grow(struct loam_frames *frames, struct loam_zone *zone,
		       bool touch)
{
	struct loam_buddy *buddy = &zone->buddy;
	unsigned least = loam_log2_floor(LOAM_STACK_BATCH);
	if (buddy->nonempty == 0 &&
	    !(touch && loam_frame_zone_touch_locked(frames, zone))) {
		return false;
	}
	unsigned order = loam_log2_floor(buddy->nonempty);
	uint32_t fitting = buddy->nonempty & ~((1u << least) - 1u);
	if (fitting != 0) {
		order = loam_lowest_bit(fitting);
	}
	if (order > zone->loose_order) {
		order = zone->loose_order;
	}
	loam_pfn_t pfn = loam_buddy_alloc(buddy, order, LOAM_TAG_CACHED);
	tract_add_block(frames, zone, pfn, order);
	return true;
}

/* The first frame at or above `from` whose bit is `set`, up to `end`. */
static loam_pfn_t map_seek(const uint32_t *map, loam_pfn_t from, loam_pfn_t end,
			   bool set)
{
	while (from < end) {
		uint32_t word = map[from / 32u] ^ (set ? 0u : ~0u);
		word >>= from % 32u;
		if (word != 0) {
			from += loam_lowest_bit(word);
			break;
		}
		from = (from / 32u + 1u) * 32u;
	}
	return from < end ? from : end;
}

/* Gives all loose frames of a tract to the buddy. */
static void tract_give_back(struct loam_frames *frames, struct loam_zone *zone,
			    uint32_t number)
{
	struct loam_tract *tract = &frames->tracts[number];
	loam_pfn_t at = number << LOAM_TRACT_ORDER;
	loam_pfn_t end = at + LOAM_TRACT_FRAMES;
	tract_unlink(frames, zone, number);
	zone->loose -= tract->loose;
	loam_tract_free_add(&frames->tract_free[number], -(int)tract->loose);
	tract->loose = 0;
	for (;;) {
		at = map_seek(frames->loose_map, at, end, true);
		if (at == end) {
			break;
		}
		loam_pfn_t stop = map_seek(frames->loose_map, at, end, false);
		loam_bitmap_clear_range(frames->loose_map, at, stop - at);
		for (loam_pfn_t pfn = at; pfn < stop; pfn++) {
			loam_tag_store(&frames->tags.tags[pfn], 0);
		}
		loam_buddy_add(&zone->buddy, at, stop - at);
		at = stop;
	}
}

/* -------- taking and putting -------- */

/* Takes `wanted` frames of a tract that has as many: see the header. */
static void tract_take(struct loam_frames *frames, struct loam_zone *zone,
		       uint32_t number, loam_pfn_t *top, uint32_t wanted)
{
	struct loam_tract *tract = &frames->tracts[number];
	uint32_t left = wanted;
	for (unsigned i = 0; left > 0; i++) {
		LOAM_VERIFY(i < TRACT_WORDS);
		uint32_t *at = &frames->loose_map[number * TRACT_WORDS + i];
		uint32_t word = *at;
		loam_pfn_t first = (number << LOAM_TRACT_ORDER) + i * 32u;
		while (word != 0 && left > 0) {
			*--top = first + loam_lowest_bit(word);
			word &= word - 1;
			left--;
		}
		*at = word;
	}
	tract->loose = (uint16_t)(tract->loose - wanted);
	zone->loose -= wanted;
	loam_tract_free_add(&frames->tract_free[number], -(int)wanted);
	tract_relink(frames, zone, number, true);
}

uint32_t loam_frame_loose_take_locked(struct loam_frames *frames,
				      struct loam_zone *zone, loam_pfn_t *top,
				      uint32_t wanted)
{
	uint32_t taken = 0;
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	while (taken < wanted) {
		if (zone->loose == 0 && !tract_grow(frames, zone, taken == 0)) {
			break;
		}
		unsigned bucket = loam_lowest_bit(zone->loose_buckets);
		uint32_t number = zone->tract_lists[bucket];
		uint32_t count = frames->tracts[number].loose;
		if (count > wanted - taken) {
			count = wanted - taken;
		}
		tract_take(frames, zone, number, top - taken, count);
		taken += count;
	}
	tracts_choose(frames, zone);
	return taken;
}

/* Puts frames of one tract: the first of pfns[], and what follows in it. */
static uint32_t tract_put(struct loam_frames *frames, struct loam_zone *zone,
			  const loam_pfn_t *pfns, uint32_t count)
{
	uint32_t number = pfns[0] >> LOAM_TRACT_ORDER;
	struct loam_tract *tract = &frames->tracts[number];
	bool was_linked = tract->loose != 0;
	uint32_t done = 0;
	while (done < count && pfns[done] >> LOAM_TRACT_ORDER == number) {
		LOAM_ASSERT(!frame_is_loose(frames, pfns[done]));
		loam_bitmap_set(frames->loose_map, pfns[done]);
		done++;
	}
	tract->loose = (uint16_t)(tract->loose + done);
	loam_tract_free_add(&frames->tract_free[number], (int)done);
	tract_relink(frames, zone, number, was_linked);
	return done;
}

void loam_frame_loose_put_locked(struct loam_frames *frames,
				 struct loam_zone *zone, const loam_pfn_t *pfns,
				 uint32_t count)
{
	LOAM_ASSERT(loam_lock_held(&zone->lock));
	for (uint32_t done = 0; done < count;) {
		done += tract_put(frames, zone, &pfns[done], count - done);
	}
	zone->loose += count;
	/* One stays while it is all there is: a CPU may want it again soon. */
	while (zone->tract_counts[BUCKET_WHOLE] != 0 &&
	       zone->loose >= LOAM_TRACT_FRAMES + LOAM_STACK_BATCH) {
		tract_give_back(frames, zone, zone->tract_lists[BUCKET_WHOLE]);
	}
	tracts_choose(frames, zone);
}

bool loam_frame_loose_flush(struct loam_frames *frames, struct loam_zone *zone,
			    bool all)
{
	bool any = false;
	loam_lock(&zone->lock);
	for (;;) {
		uint32_t buckets = zone->loose_buckets;
		if (!all) {
			buckets &= 1u << BUCKET_WHOLE;
		}
		if (buckets == 0) {
			break;
		}
		tract_give_back(frames, zone,
				zone->tract_lists[loam_lowest_bit(buckets)]);
		any = true;
	}
	if (any) {
		tracts_choose(frames, zone);
	}
	loam_unlock(&zone->lock);
	return any;
}

/* -------- bring-up and the check -------- */

void loam_frame_tracts_start(struct loam_zone *zone)
{
	for (unsigned bucket = 0; bucket < LOAM_TRACT_BUCKETS; bucket++) {
		zone->tract_lists[bucket] = LOAM_PFN_NONE;
	}
	/* Small machines are not to break their last large blocks. */
	unsigned order = loam_log2_floor((zone->managed >> 5) | 1u);
	unsigned least = loam_log2_floor(LOAM_STACK_BATCH);
	zone->loose_order = order < least              ? least
			    : order < LOAM_TRACT_ORDER ? order
						       : LOAM_TRACT_ORDER;
}

void loam_frame_tracts_clear(struct loam_frames *frames, loam_pfn_t from,
			     loam_pfn_t end)
{
	size_t number = from >> LOAM_TRACT_ORDER;
	size_t count = (end - from) >> LOAM_TRACT_ORDER;
	memset(&frames->loose_map[number * TRACT_WORDS], 0,
	       count * TRACT_WORDS * sizeof(uint32_t));
	memset(&frames->tracts[number], 0, count * sizeof(struct loam_tract));
	memset(&frames->tract_free[number], 0, count * sizeof(uint16_t));
}

/* Frames of the tract that the buddy has free, by their blocks' heads. */
static uint32_t tract_count_buddy(const struct loam_zone *zone, loam_pfn_t at)
{
	uint32_t total = 0;
	loam_pfn_t head = 0;
	unsigned order = 0;
	if (loam_buddy_find(&zone->buddy, at, &head, &order) &&
	    order > LOAM_TRACT_ORDER) {
		return loam_buddy_is_free(&zone->buddy, head, order)
			       ? LOAM_TRACT_FRAMES
			       : 0;
	}
	for (loam_pfn_t pfn = at; pfn < at + LOAM_TRACT_FRAMES; pfn++) {
		uint32_t tag =
			loam_tag_load(&zone->buddy.tags[pfn - zone->first]);
		if ((tag & (LOAM_TAG_SLAB | LOAM_TAG_STATE_MASK)) ==
		    LOAM_TAG_FREE) {
			total += 1u << (tag & LOAM_TAG_ORDER_MASK);
		}
	}
	return total;
}

/* One tract: its bits, its counts, and whether it is on the right list. */
static int tract_check(const struct loam_frames *frames,
		       const struct loam_zone *zone, uint32_t number,
		       uint32_t *loose)
{
	const struct loam_tract *tract = &frames->tracts[number];
	loam_pfn_t first = number << LOAM_TRACT_ORDER;
	uint32_t count = 0;
	for (loam_pfn_t pfn = first; pfn < first + LOAM_TRACT_FRAMES; pfn++) {
		if (frame_is_loose(frames, pfn)) {
			LOAM_CHECK(loam_tag_load(&frames->tags.tags[pfn]) ==
				   LOAM_TAG_CACHED);
			count++;
		}
	}
	LOAM_CHECK(count == tract->loose);
	LOAM_CHECK(frames->tract_free[number] ==
		   count + tract_count_buddy(zone, first));
	LOAM_CHECK(count == 0 || tract->prev != LOAM_PFN_NONE ||
		   zone->tract_lists[tract->bucket] == number);
	*loose += count;
	return 0;
}

/* Walks one list: links, and that each tract has loose frames. */
static int tract_check_list(const struct loam_frames *frames,
			    const struct loam_zone *zone, unsigned bucket)
{
	uint32_t prev = LOAM_PFN_NONE;
	uint32_t count = 0;
	for (uint32_t number = zone->tract_lists[bucket];
	     number != LOAM_PFN_NONE; number = frames->tracts[number].next) {
		const struct loam_tract *tract = &frames->tracts[number];
		LOAM_CHECK(count < zone->tract_counts[bucket]);
		LOAM_CHECK(number >= zone->first >> LOAM_TRACT_ORDER &&
			   number < zone->touched_end >> LOAM_TRACT_ORDER);
		LOAM_CHECK(tract->prev == prev && tract->bucket == bucket);
		LOAM_CHECK(tract->loose != 0);
		prev = number;
		count++;
	}
	LOAM_CHECK(count == zone->tract_counts[bucket]);
	LOAM_CHECK(((zone->loose_buckets >> bucket) & 1u) == (count != 0));
	return 0;
}

int loam_frame_tracts_check(const struct loam_frames *frames,
			    const struct loam_zone *zone)
{
	uint32_t loose = 0;
	uint32_t listed = 0;
	int error = 0;
	for (uint32_t number = zone->first >> LOAM_TRACT_ORDER;
	     number < zone->touched_end >> LOAM_TRACT_ORDER && error == 0;
	     number++) {
		error = tract_check(frames, zone, number, &loose);
	}
	for (unsigned bucket = 0; bucket < LOAM_TRACT_BUCKETS && error == 0;
	     bucket++) {
		error = tract_check_list(frames, zone, bucket);
		listed += zone->tract_counts[bucket];
	}
	LOAM_CHECK(error != 0 || listed == zone->tract_count);
	LOAM_CHECK(error != 0 || loose == zone->loose);
	return error;
}

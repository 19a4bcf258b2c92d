/* SPDX-License-Identifier: MIT */
/* Statistics, the count of owners, and the check of every invariant. */
#include "frame_int.h"

/* One block, or one frame outside any, of a walk over touched memory. */
struct walk_step {
	uint32_t tag;    /* of its head; a slab's frames come one by one */
	loam_pfn_t size; /* a chunk nobody ever gave anything to is one step */
};

static struct walk_step walk_at(const struct loam_zone *zone, loam_pfn_t pfn)
{
	struct walk_step step = {
		.tag = loam_tag_load(&zone->buddy.tags[pfn - zone->first]),
		.size = 1,
	};
	if (step.tag == 0) {
		if (loam_is_aligned(pfn, LOAM_CHUNK_FRAMES) &&
		    !loam_buddy_has_chunk(&zone->buddy, pfn)) {
			step.size = LOAM_CHUNK_FRAMES;
		}
	} else if ((step.tag & LOAM_TAG_SLAB) == 0) {
		step.size = (loam_pfn_t)1 << (step.tag & LOAM_TAG_ORDER_MASK);
	}
	return step;
}

static loam_pfn_t zone_free_locked(const struct loam_frames *frames,
				   const struct loam_zone *zone)
{
	return zone->buddy.free_frames + zone->untouched +
	       loam_frame_local_count(frames, zone);
}

/* The longest untouched run, or the largest block of the buddy. */
static loam_pfn_t zone_largest_locked(const struct loam_zone *zone)
{
	loam_pfn_t largest = 0;
	if (zone->buddy.nonempty != 0) {
		largest = (loam_pfn_t)1
			  << loam_log2_floor(zone->buddy.nonempty);
	}
	for (uint32_t i = zone->run_next; i < zone->run_count; i++) {
		loam_pfn_t size = zone->runs[i].end - zone->runs[i].first;
		if (size > largest) {
			largest = size;
		}
	}
	return largest;
}

void loam_frame_area_stats(struct loam_frames *frames, unsigned area,
			   enum loam_zone_id id, struct loam_zone_stats *out)
{
	LOAM_VERIFY(area < frames->area_count && id < LOAM_ZONE_COUNT);
	struct loam_zone *zone =
		&frames->zones[area * LOAM_ZONE_COUNT + (unsigned)id];
	loam_lock(&zone->lock);
	*out = (struct loam_zone_stats){
		.name = zone->name,
		.first = zone->first,
		.end = zone->end,
		.managed = zone->managed,
		.free = zone_free_locked(frames, zone),
		.untouched = zone->untouched,
		.cached = loam_frame_local_count(frames, zone),
		.largest_free = zone_largest_locked(zone),
		.peak_used = zone->peak_used,
		.failed = zone->failed,
	};
	for (unsigned order = 0; order < LOAM_ORDER_COUNT; order++) {
		out->free_blocks[order] = zone->buddy.free_blocks[order];
	}
	loam_unlock(&zone->lock);
}

/* Adds what one area has to what the ones before it have. */
static void stats_add(struct loam_zone_stats *sum,
		      const struct loam_zone_stats *part)
{
	if (part->first == part->end) {
		return;
	}
	if (sum->first == sum->end) {
		sum->first = part->first;
	}
	sum->end = part->end;
	sum->managed += part->managed;
	sum->free += part->free;
	sum->untouched += part->untouched;
	sum->cached += part->cached;
	if (part->largest_free > sum->largest_free) {
		sum->largest_free = part->largest_free;
	}
	sum->peak_used += part->peak_used;
	sum->failed += part->failed;
	for (unsigned order = 0; order < LOAM_ORDER_COUNT; order++) {
		sum->free_blocks[order] += part->free_blocks[order];
	}
}

void loam_frame_zone_stats(struct loam_frames *frames, enum loam_zone_id id,
			   struct loam_zone_stats *out)
{
	loam_frame_area_stats(frames, 0, id, out);
	for (unsigned area = 1; area < frames->area_count; area++) {
		struct loam_zone_stats part;
		loam_frame_area_stats(frames, area, id, &part);
		stats_add(out, &part);
	}
}

uint64_t loam_frame_free_count(struct loam_frames *frames)
{
	uint64_t total = 0;
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		loam_lock(&zone->lock);
		total += zone_free_locked(frames, zone);
		loam_unlock(&zone->lock);
	}
	return total;
}

static void zone_count_owners_locked(const struct loam_zone *zone,
				     uint64_t counts[LOAM_OWNER_COUNT])
{
	loam_pfn_t pfn = zone->first;
	while (pfn < zone->touched_end) {
		struct walk_step step = walk_at(zone, pfn);
		uint32_t owner = (step.tag & LOAM_TAG_OWNER_MASK) >>
				 LOAM_TAG_OWNER_SHIFT;
		if ((step.tag & LOAM_TAG_SLAB) != 0) {
			counts[LOAM_OWNER_SLAB]++;
		} else if ((step.tag & LOAM_TAG_STATE_MASK) == LOAM_TAG_USED) {
			counts[owner < LOAM_OWNER_COUNT ? owner : 0] +=
				step.size;
		}
		pfn += step.size;
	}
}

void loam_frame_count_owners(struct loam_frames *frames,
			     uint64_t counts[LOAM_OWNER_COUNT])
{
	memset(counts, 0, LOAM_OWNER_COUNT * sizeof(counts[0]));
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		loam_lock(&zone->lock);
		zone_count_owners_locked(zone, counts);
		loam_unlock(&zone->lock);
	}
}

/* A head: a state that exists, in its place, and nothing inside it. */
static int check_block(const struct loam_zone *zone, loam_pfn_t pfn,
		       struct walk_step step)
{
	uint32_t order = step.tag & LOAM_TAG_ORDER_MASK;
	uint32_t state = step.tag & LOAM_TAG_STATE_MASK;
	LOAM_CHECK(order <= LOAM_ORDER_MAX);
	LOAM_CHECK(loam_is_aligned(pfn, step.size));
	LOAM_CHECK(zone->touched_end - pfn >= step.size);
	LOAM_CHECK(state == LOAM_TAG_FREE || state == LOAM_TAG_USED ||
		   state == LOAM_TAG_CACHED);
	LOAM_CHECK(state == LOAM_TAG_USED || step.tag == (state | order));
	LOAM_CHECK((state == LOAM_TAG_FREE) ==
		   loam_buddy_is_free(&zone->buddy, pfn, order));
	for (loam_pfn_t i = 1; i < step.size; i++) {
		LOAM_CHECK(loam_tag_load(
				   &zone->buddy.tags[pfn + i - zone->first]) ==
			   0);
	}
	return 0;
}

/* Touched memory in address order: every block, and the sums of states. */
static int check_touched(const struct loam_frames *frames,
			 const struct loam_zone *zone)
{
	uint64_t owned = 0;
	uint64_t cached = 0;
	uint64_t is_free = 0;
	loam_pfn_t pfn = zone->first;
	while (pfn < zone->touched_end) {
		struct walk_step step = walk_at(zone, pfn);
		uint32_t state = step.tag & LOAM_TAG_STATE_MASK;
		if ((step.tag & LOAM_TAG_SLAB) != 0) {
			owned++;
		} else if (step.tag != 0) {
			int error = check_block(zone, pfn, step);
			if (error != 0) {
				return error;
			}
			owned += step.size;
			is_free += state == LOAM_TAG_FREE ? step.size : 0;
			cached += state == LOAM_TAG_CACHED ? step.size : 0;
		}
		pfn += step.size;
	}
	LOAM_CHECK(owned == zone->managed - zone->untouched);
	LOAM_CHECK(is_free == zone->buddy.free_frames);
	LOAM_CHECK(cached == loam_frame_local_count(frames, zone));
	return 0;
}

static int check_runs(const struct loam_zone *zone)
{
	uint64_t untouched = 0;
	loam_pfn_t above = zone->touched_end;
	LOAM_CHECK(zone->run_next <= zone->run_count);
	LOAM_CHECK(zone->run_count <= zone->run_capacity);
	for (uint32_t i = zone->run_next; i < zone->run_count; i++) {
		LOAM_CHECK(zone->runs[i].first >= above);
		LOAM_CHECK(zone->runs[i].first < zone->runs[i].end);
		above = zone->runs[i].end;
		untouched += zone->runs[i].end - zone->runs[i].first;
	}
	LOAM_CHECK(above <= zone->end);
	LOAM_CHECK(untouched == zone->untouched);
	LOAM_CHECK(zone->untouched <= zone->managed);
	return 0;
}

/* A cached block is of the zone and its tag says so. */
static int check_cached(const struct loam_frames *frames,
			const struct loam_zone *zone, loam_pfn_t pfn,
			unsigned order)
{
	LOAM_CHECK(pfn >= zone->first && pfn < zone->touched_end);
	LOAM_CHECK(loam_tag_load(&frames->tags.tags[pfn]) ==
		   (LOAM_TAG_CACHED | order));
	return 0;
}

static int check_stack(const struct loam_frames *frames,
		       const struct loam_zone *zone,
		       const struct loam_frame_stack *stack)
{
	int error = 0;
	LOAM_CHECK(stack->count <= LOAM_STACK_FRAMES);
	for (uint32_t i = 0; i < stack->count && error == 0; i++) {
		LOAM_CHECK(!frame_is_loose(frames, stack->frames[i]));
		error = check_cached(frames, zone, stack->frames[i], 0);
	}
	return error;
}

/* What one CPU keeps of the zone. */
static int check_local(const struct loam_frames *frames,
		       const struct loam_zone *zone,
		       const struct loam_frame_local *local)
{
	int error = check_stack(frames, zone, &local->stack);
	if (error == 0) {
		error = check_stack(frames, zone, &local->home);
	}
	for (unsigned s = 0; s < LOAM_STASH_COUNT && error == 0; s++) {
		const struct loam_frame_stash *stash = &local->stashes[s];
		LOAM_CHECK(stash->count <= frames->stash_limit[zone->local][s]);
		LOAM_CHECK(stash->count <= LOAM_STASH_BLOCKS);
		for (uint32_t i = 0; i < stash->count && error == 0; i++) {
			error = check_cached(frames, zone, stash->blocks[i],
					     frame_stash_order(s));
		}
	}
	return error;
}

/*
 * That no frame is in two stacks follows: every cached block has a head's tag
 * of its own, and the walk counted as many frames as the stacks have.
 */
static int check_locals(const struct loam_frames *frames,
			const struct loam_zone *zone)
{
	if (zone->local == LOAM_FRAME_LOCALS) {
		return 0;
	}
	for (unsigned i = 0; i < LOAM_MAX_CPUS; i++) {
		const struct loam_frame_cpu *cpu = &frames->cpus[i];
		if (loam_frame_home_of(frames, cpu, zone->local) !=
		    zone->number) {
			continue;
		}
		int error =
			check_local(frames, zone, &cpu->locals[zone->local]);
		if (error != 0) {
			return error;
		}
	}
	return 0;
}

static int check_zone_locked(const struct loam_frames *frames,
			     const struct loam_zone *zone)
{
	LOAM_CHECK(zone->first <= zone->end && zone->end <= frames->end);
	LOAM_CHECK(zone->touched_end >= zone->first &&
		   zone->touched_end <= zone->end);
	LOAM_CHECK(zone->peak_used <= zone->managed);
	int error = check_runs(zone);
	if (error == 0) {
		error = loam_buddy_check(&zone->buddy,
					 zone->touched_end - zone->first);
	}
	if (error == 0) {
		error = check_touched(frames, zone);
	}
	if (error == 0) {
		error = check_locals(frames, zone);
	}
	if (error == 0 && zone->local != LOAM_FRAME_LOCALS) {
		error = loam_frame_tracts_check(frames, zone);
	}
	if (error == 0 && zone->listed) {
		error = loam_frame_list_check(frames, zone);
	}
	return error;
}

/* What the lock-free readers rely on. */
static int check_tags_end(const struct loam_frames *frames)
{
	const struct loam_zone *dma = &frames->zones[LOAM_ZONE_DMA];
	const struct loam_zone *normal = &frames->zones[LOAM_ZONE_NORMAL];
	loam_pfn_t expected =
		normal->touched_end > dma->end ? normal->touched_end : dma->end;
	LOAM_CHECK(frames->tags.end == expected);
	for (loam_pfn_t pfn = dma->touched_end; pfn < dma->end; pfn++) {
		LOAM_CHECK(loam_tag_load(&frames->tags.tags[pfn]) == 0);
	}
	return 0;
}

int loam_frame_check(struct loam_frames *frames)
{
	int error = check_tags_end(frames);
	for (unsigned z = 0; z < frame_zone_count(frames) && error == 0; z++) {
		struct loam_zone *zone = &frames->zones[z];
		loam_lock(&zone->lock);
		error = check_zone_locked(frames, zone);
		loam_unlock(&zone->lock);
	}
	return error;
}

/* SPDX-License-Identifier: MIT */
/* Normalising a memory map in place: heap sort, join, hide, sweep. */
#include "memmap_int.h"

#define SWEEP_NONE UINT32_MAX

/* Set in a range's type while it is known to be seen: see sweep_hide(). */
#define SWEEP_SEEN 0x80000000u

/* The range of each rank that reaches furthest among those begun so far. */
struct sweep_active {
	loam_phys_t end; /* not after sweep.at: none */
	uint32_t ordinal;
	uint32_t type;
	uint32_t index; /* where it stands; only while looking for the hidden */
};

struct sweep {
	struct loam_memmap *map;
	loam_phys_t at;   /* everything below is decided */
	bool writing;     /* false: only mark what is seen */
	uint32_t written; /* ranges of the result so far */
	struct sweep_active active[MEMMAP_RANK_COUNT];
};

static bool sweep_before(const struct loam_mem_range *a,
			 const struct loam_mem_range *b)
{
	if (a->base != b->base) {
		return a->base < b->base;
	}
	return a->ordinal < b->ordinal;
}

static void sweep_swap(struct loam_mem_range *a, struct loam_mem_range *b)
{
	struct loam_mem_range kept = *a;
	*a = *b;
	*b = kept;
}

/* Lets ranges[root] sink to its place in the max-heap of `count` ranges. */
static void sweep_sift(struct loam_mem_range *ranges, uint32_t root,
		       uint32_t count)
{
	while (root < count / 2) {
		uint32_t child = 2 * root + 1;
		if (child + 1 < count &&
		    sweep_before(&ranges[child], &ranges[child + 1])) {
			child++;
		}
		if (!sweep_before(&ranges[root], &ranges[child])) {
			return;
		}
		sweep_swap(&ranges[root], &ranges[child]);
		root = child;
	}
}

/* Heap sort (Williams 1964): in place, no recursion, no bad case. */
static void sweep_sort(struct loam_mem_range *ranges, uint32_t count)
{
	for (uint32_t root = count / 2; root > 0; root--) {
		sweep_sift(ranges, root - 1, count);
	}
	for (uint32_t left = count; left > 1; left--) {
		sweep_swap(&ranges[0], &ranges[left - 1]);
		sweep_sift(ranges, 0, left - 1);
	}
}

void loam_memmap_report_overlap(struct loam_memmap *map,
				const struct loam_mem_range *range,
				const struct loam_mem_range *other)
{
	if (memmap_end(other) <= range->base ||
	    memmap_end(range) <= other->base ||
	    !memmap_report(&map->stats.overlapping)) {
		return;
	}
	loam_log(LOAM_LOG_WARNING,
		 "memmap: entry %u (%s, 0x%llx-0x%llx) overlaps entry %u (%s,"
		 " 0x%llx-0x%llx): %s",
		 range->ordinal, loam_memmap_type_name(range->type),
		 memmap_hex(range->base), memmap_hex(memmap_end(range) - 1),
		 other->ordinal, loam_memmap_type_name(other->type),
		 memmap_hex(other->base), memmap_hex(memmap_end(other) - 1),
		 range->type == other->type ? "they become one"
					    : "the stricter type holds");
}

/* Reports the strictest earlier range that `range` overlaps, if any. */
static void sweep_note_overlap(struct loam_memmap *map, const uint32_t *latest,
			       const struct loam_mem_range *range)
{
	for (unsigned rank = MEMMAP_RANK_COUNT - 1; rank > 0; rank--) {
		if (latest[rank] != SWEEP_NONE &&
		    memmap_end(&map->ranges[latest[rank]]) > range->base) {
			loam_memmap_report_overlap(map, range,
						   &map->ranges[latest[rank]]);
			return;
		}
	}
}

/*
 * Joins sorted ranges of one type that overlap or touch. The latest range of
 * each type reaches furthest of its type, so one look back is enough.
 */
static void sweep_join(struct loam_memmap *map)
{
	uint32_t latest[MEMMAP_RANK_COUNT];
	for (unsigned rank = 0; rank < MEMMAP_RANK_COUNT; rank++) {
		latest[rank] = SWEEP_NONE;
	}
	uint32_t kept = 0;
	for (uint32_t i = 0; i < map->count; i++) {
		struct loam_mem_range range = map->ranges[i];
		sweep_note_overlap(map, latest, &range);
		uint32_t *mine = &latest[memmap_rank(range.type)];
		if (*mine != SWEEP_NONE &&
		    range.base <= memmap_end(&map->ranges[*mine])) {
			struct loam_mem_range *into = &map->ranges[*mine];
			if (memmap_end(&range) > memmap_end(into)) {
				into->size = memmap_end(&range) - into->base;
			}
			continue;
		}
		*mine = kept;
		map->ranges[kept++] = range;
	}
	map->count = kept;
}

/*
 * The cheapest to give up of ranges that are sorted and do not overlap: a
 * usable range, or the hole between a range and its successor when neither is
 * usable. Sets *cost to the bytes lost.
 */
static uint32_t sweep_cheapest(const struct loam_mem_range *ranges,
			       uint32_t count, loam_phys_t *cost)
{
	uint32_t cheapest = SWEEP_NONE;
	*cost = LOAM_PHYS_NONE;
	for (uint32_t i = 0; i < count; i++) {
		loam_phys_t loss;
		if (ranges[i].type == LOAM_MEM_USABLE) {
			loss = ranges[i].size;
		} else if (i + 1 < count &&
			   ranges[i + 1].type != LOAM_MEM_USABLE) {
			loss = ranges[i + 1].base - memmap_end(&ranges[i]);
		} else {
			continue;
		}
		if (loss < *cost) {
			cheapest = i;
			*cost = loss;
		}
	}
	return cheapest;
}

static void sweep_report_lost(const struct loam_memmap *map,
			      const struct loam_mem_range *lost)
{
	loam_log(LOAM_LOG_WARNING,
		 "memmap: no room for more than %u ranges: usable memory"
		 " 0x%llx-0x%llx of entry %u is not used",
		 map->capacity, memmap_hex(lost->base),
		 memmap_hex(memmap_end(lost) - 1), lost->ordinal);
}

/*
 * Makes `into` cover its successor, which becomes empty, and the hole between,
 * all of the stricter type.
 */
static void sweep_bridge(const struct loam_memmap *map,
			 struct loam_mem_range *into, bool tell)
{
	struct loam_mem_range *next = into + 1;
	if (memmap_rank(next->type) > memmap_rank(into->type)) {
		into->type = next->type;
	}
	into->size = memmap_end(next) - into->base;
	if (tell) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: no room for more than %u ranges: entries %u"
			 " and %u become one, %s, 0x%llx-0x%llx",
			 map->capacity, into->ordinal, next->ordinal,
			 loam_memmap_type_name(into->type),
			 memmap_hex(into->base),
			 memmap_hex(memmap_end(into) - 1));
	}
	next->size = 0;
}

/* Drops empty ranges, and joins those of one type that touch by now. */
static uint32_t sweep_close(struct loam_mem_range *ranges, uint32_t count)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (ranges[i].size == 0) {
			continue;
		}
		if (kept > 0 && ranges[kept - 1].type == ranges[i].type &&
		    memmap_end(&ranges[kept - 1]) == ranges[i].base) {
			ranges[kept - 1].size += ranges[i].size;
			continue;
		}
		ranges[kept++] = ranges[i];
	}
	return kept;
}

bool loam_memmap_make_room(struct loam_memmap *map, uint32_t *count,
			   const struct loam_mem_range *candidate)
{
	struct loam_mem_range *ranges = map->ranges;
	loam_phys_t cost;
	uint32_t out = sweep_cheapest(ranges, *count, &cost);
	bool tell = memmap_report(&map->stats.dropped);
	if (candidate->type == LOAM_MEM_USABLE && candidate->size <= cost) {
		if (tell) {
			sweep_report_lost(map, candidate);
		}
		return false;
	}
	LOAM_ASSERT(out != SWEEP_NONE);
	if (ranges[out].type != LOAM_MEM_USABLE) {
		sweep_bridge(map, &ranges[out], tell);
	} else {
		if (tell) {
			sweep_report_lost(map, &ranges[out]);
		}
		ranges[out].size = 0;
	}
	*count = sweep_close(ranges, *count);
	return true;
}

/* Appends piece to the range it continues, if that is the last one so far. */
static bool sweep_continue(struct sweep *s, const struct loam_mem_range *piece)
{
	if (s->written == 0) {
		return false;
	}
	struct loam_mem_range *last = &s->map->ranges[s->written - 1];
	if (last->type != piece->type || memmap_end(last) != piece->base) {
		return false;
	}
	last->size += piece->size;
	return true;
}

/*
 * Writes the piece [s->at, end) of the strictest active range behind the
 * result. `limit` is the index of the first range not yet read.
 */
static void sweep_write(struct sweep *s, const struct sweep_active *from,
			loam_phys_t end, uint32_t limit)
{
	struct loam_mem_range piece = {
		.base = s->at,
		.size = end - s->at,
		.type = from->type,
		.ordinal = from->ordinal,
	};
	if (sweep_continue(s, &piece)) {
		return;
	}
	if (s->written == limit) {
		if (!loam_memmap_make_room(s->map, &s->written, &piece)) {
			return;
		}
		/* Making room may have given the last range this type. */
		if (sweep_continue(s, &piece)) {
			return;
		}
	}
	s->map->ranges[s->written++] = piece;
}

/* Decides the addresses from s->at up to `until`. */
static void sweep_advance(struct sweep *s, loam_phys_t until, uint32_t limit)
{
	while (s->at < until) {
		unsigned rank = MEMMAP_RANK_COUNT - 1;
		while (rank > 0 && s->active[rank].end <= s->at) {
			rank--;
		}
		if (rank == 0) {
			s->at = until;
			return;
		}
		const struct sweep_active *top = &s->active[rank];
		loam_phys_t end = top->end < until ? top->end : until;
		if (s->writing) {
			sweep_write(s, top, end, limit);
		} else {
			s->map->ranges[top->index].type |= SWEEP_SEEN;
		}
		s->at = end;
	}
}

/* One pass over the sorted ranges at ranges[first] to ranges[end - 1]. */
static void sweep_pass(struct sweep *s, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		struct loam_mem_range range = s->map->ranges[i];
		sweep_advance(s, range.base, i + 1);
		s->active[memmap_rank(range.type)] = (struct sweep_active){
			.end = memmap_end(&range),
			.ordinal = range.ordinal,
			.type = range.type,
			.index = i,
		};
	}
	sweep_advance(s, LOAM_PHYS_NONE, end);
}

/* Drops the ranges of which nothing is seen beneath stricter ones. */
static void sweep_hide(struct loam_memmap *map)
{
	struct sweep marking = { .map = map };
	sweep_pass(&marking, 0, map->count);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < map->count; i++) {
		if ((map->ranges[i].type & SWEEP_SEEN) != 0) {
			map->ranges[kept] = map->ranges[i];
			map->ranges[kept++].type &= ~SWEEP_SEEN;
		}
	}
	map->count = kept;
}

void loam_memmap_sweep(struct loam_memmap *map)
{
	sweep_sort(map->ranges, map->count);
	sweep_join(map);
	sweep_hide(map);
	/* The input moves to the end of the array, the result to its start. */
	uint32_t first = map->capacity - map->count;
	for (uint32_t i = map->count; i > 0; i--) {
		map->ranges[first + i - 1] = map->ranges[i - 1];
	}
	struct sweep sweep = { .map = map, .writing = true };
	sweep_pass(&sweep, first, map->capacity);
	map->count = sweep.written;
	map->normalised = true;
}

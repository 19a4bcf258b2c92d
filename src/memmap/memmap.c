/* SPDX-License-Identifier: MIT */
/* The memory map: collecting entries, and answering from the result. */
#include "memmap_int.h"

#include <loam/bits.h>

/*
 * The memory map
 * ==============
 *
 * A PC tells its kernel what physical memory there is as a list of entries,
 * each a base, a length and a type.  No rule of that interface is kept by all
 * firmware: real lists are unsorted, name a range twice, overlap, contain
 * empty entries, and begin and end at odd bytes.  A list may also have been
 * made to do harm.  This floor turns any list into one that the floors above
 * can believe.
 *
 * Invariants of a normalised map
 * ------------------------------
 *
 *   - ranges are sorted by base, none is empty, none overlaps another;
 *   - every type is one of enum loam_mem_type, LOAM_MEM_NONE excluded: an
 *     unknown number is reserved from the moment it is added;
 *   - ranges of one type do not touch: they would be one;
 *   - every end is a number: LOAM_PHYS_NONE, the last byte of the 64-bit
 *     space, is no address and in no range;
 *   - no address is usable that any entry ever gave another type.
 *
 * loam_memmap_check() verifies all but the last, which only the entries could
 * tell; tests and the fuzzer compare against those.
 *
 * Normalising
 * -----------
 *
 * Everything happens in the caller's array, since there is no other memory yet
 * (sweep.c).  Ranges are sorted by base with a heap sort; then three passes,
 * each of linear cost, follow:
 *
 *   join    ranges of one type that overlap or touch become one;
 *   hide    ranges of which nothing is seen under stricter ones go away;
 *   sweep   walks up through the addresses.  Because of the join, at most one
 *           range of each type is open at a time, so the state is an end for
 *           each of six types, and the strictest open one is what is written.
 *
 *      persistent      |-----------------|
 *      reserved             |----|
 *      usable      |---------------------------|
 *      result      uuuuppppprrrrrrpppppppuuuuuu
 *
 * The result may have more ranges than the input: a range that lies inside
 * another splits it in two.  The sweep therefore reads from the end of the
 * array and writes from its start:
 *
 *      | result -> |      free      | input not yet read |
 *      0           written          limit                capacity
 *
 * After join and hide, each range not yet read adds at least one range to the
 * result that nothing else adds: part of it is seen, and nothing of its type
 * touches it.  So when the result runs into the input, it would not have fitted
 * in the end either, and the passes lose nothing that could have been kept.
 *
 * Out of room
 * -----------
 *
 * The number of entries has no limit, the storage has.  When it is full of
 * ranges that cannot be joined, something is given up, whatever costs the
 * fewest bytes of (possible) memory:
 *
 *   - a usable range is forgotten, or
 *   - two neighbours that are both not usable become one, of the stricter
 *     type, with the hole between them.
 *
 * Either leaves less usable memory and never more, and a restriction is never
 * forgotten, so a usable entry that arrives later cannot contradict it.  One of
 * the two is always possible, so that a map of four ranges survives any input.
 *
 * Reports
 * -------
 *
 * Each anomaly is counted in stats, and logged with the number of its entry in
 * the order of arrival, from 0, and with its addresses, the last one included.
 * After MEMMAP_REPORTS lines of a kind there are no more of it, but a total
 * when the map is next normalised.
 *
 * Locking: none.  One CPU builds the map before there are others; from then on
 * it is constant.  Cost: adding is O(1) while there is room; normalising is
 * O(n log n) and nothing is worse; lookups are O(log n).
 */

LOAM_STATIC_ASSERT(sizeof(struct loam_memmap_entry) == 24,
		   "an entry is what INT 15h, EAX=E820h writes");

void loam_memmap_init(struct loam_memmap *map, struct loam_mem_range *storage,
		      uint32_t capacity)
{
	LOAM_VERIFY(storage != NULL && capacity >= 4);
	*map = (struct loam_memmap){
		.ranges = storage,
		.capacity = capacity,
		.normalised = true,
	};
}

/* Makes `into` reach as far as `range`, which overlaps or touches it. */
static void memmap_extend(struct loam_mem_range *into,
			  const struct loam_mem_range *range)
{
	loam_phys_t end = memmap_end(into);
	if (memmap_end(range) > end) {
		end = memmap_end(range);
	}
	if (range->base < into->base) {
		into->base = range->base;
	}
	into->size = end - into->base;
}

/*
 * Takes the range in without a place of its own, if a range of the full and
 * normalised map says as much already, is hidden by it, or is continued by it.
 */
static bool memmap_absorb(struct loam_memmap *map,
			  const struct loam_mem_range *range)
{
	loam_phys_t end = memmap_end(range);
	enum memmap_rank rank = memmap_rank(range->type);
	for (uint32_t i = 0; i < map->count; i++) {
		struct loam_mem_range *into = &map->ranges[i];
		loam_phys_t into_end = memmap_end(into);
		enum memmap_rank into_rank = memmap_rank(into->type);
		bool apart = range->base > into_end || end < into->base;
		bool said = into->base <= range->base && end <= into_end &&
			    into_rank >= rank;
		bool hides = range->base <= into->base && into_end <= end &&
			     rank >= into_rank;
		if (apart || (!said && !hides && rank != into_rank)) {
			continue;
		}
		loam_memmap_report_overlap(map, range, into);
		if (said) {
			return true;
		}
		if (hides) {
			*into = *range;
		} else {
			memmap_extend(into, range);
		}
		map->normalised = false;
		return true;
	}
	return false;
}

/* Puts a range of a known type into the map, whatever that takes. */
static int memmap_insert(struct loam_memmap *map,
			 const struct loam_mem_range *range)
{
	uint32_t dropped = map->stats.dropped;
	if (map->count == map->capacity && !map->normalised) {
		loam_memmap_sweep(map);
	}
	if (map->count < map->capacity ||
	    (!memmap_absorb(map, range) &&
	     loam_memmap_make_room(map, &map->count, range))) {
		map->ranges[map->count++] = *range;
		map->normalised = false;
	}
	return map->stats.dropped == dropped ? 0 : -LOAM_ENOSPC;
}

int loam_memmap_add(struct loam_memmap *map, uint64_t base, uint64_t length,
		    uint32_t type)
{
	struct loam_mem_range range = {
		.base = base,
		.size = length,
		.type = type,
		.ordinal = map->stats.entries++,
	};
	if (length == 0) {
		if (memmap_report(&map->stats.zero_length)) {
			loam_log(LOAM_LOG_INFO,
				 "memmap: entry %u (type %u, at 0x%llx) has no"
				 " length: ignored",
				 range.ordinal, type, memmap_hex(base));
		}
		return 0;
	}
	/* base + length may be 2^64, which is no number but no mistake. */
	if (length - 1 > LOAM_PHYS_NONE - base &&
	    memmap_report(&map->stats.wrapping)) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: entry %u (type %u, 0x%llx, length 0x%llx)"
			 " goes beyond 2^64: clipped",
			 range.ordinal, type, memmap_hex(base),
			 memmap_hex(length));
	}
	if (length > LOAM_PHYS_NONE - base) {
		range.size = LOAM_PHYS_NONE - base;
	}
	if (range.size == 0) {
		return 0; /* it was LOAM_PHYS_NONE alone */
	}
	if (memmap_rank(type) == MEMMAP_RANK_NONE) {
		if (memmap_report(&map->stats.unknown_type)) {
			loam_log(LOAM_LOG_INFO,
				 "memmap: entry %u (0x%llx-0x%llx) has unknown"
				 " type %u: reserved",
				 range.ordinal, memmap_hex(base),
				 memmap_hex(memmap_end(&range) - 1), type);
		}
		range.type = LOAM_MEM_RESERVED;
	}
	return memmap_insert(map, &range);
}

static void memmap_summary(uint32_t count, const char *kind)
{
	if (count > MEMMAP_REPORTS) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: %u entries %s, of which the first %u are"
			 " reported one by one",
			 count, kind, MEMMAP_REPORTS);
	}
}

int loam_memmap_normalise(struct loam_memmap *map)
{
	if (map->normalised) {
		return 0;
	}
	uint32_t dropped = map->stats.dropped;
	loam_memmap_sweep(map);
	memmap_summary(map->stats.zero_length, "have no length");
	memmap_summary(map->stats.ignored, "say that they are to be ignored");
	memmap_summary(map->stats.wrapping, "go beyond 2^64");
	memmap_summary(map->stats.unknown_type, "have an unknown type");
	memmap_summary(map->stats.overlapping, "overlap others");
	memmap_summary(map->stats.malformed, "are malformed");
	memmap_summary(map->stats.dropped, "or parts of them had no room");
	return map->stats.dropped == dropped ? 0 : -LOAM_ENOSPC;
}

/* The index of the first range that ends behind phys; count if none does. */
static uint32_t memmap_find(const struct loam_memmap *map, loam_phys_t phys)
{
	LOAM_VERIFY(map->normalised);
	uint32_t low = 0;
	uint32_t high = map->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (memmap_end(&map->ranges[middle]) > phys) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

uint32_t loam_memmap_type_at(const struct loam_memmap *map, loam_phys_t phys)
{
	uint32_t i = memmap_find(map, phys);
	if (i == map->count || map->ranges[i].base > phys) {
		return LOAM_MEM_NONE;
	}
	return map->ranges[i].type;
}

bool loam_memmap_is_usable(const struct loam_memmap *map, loam_phys_t base,
			   loam_phys_t size)
{
	if (size == 0 || size > LOAM_PHYS_NONE - base) {
		return false;
	}
	uint32_t i = memmap_find(map, base);
	if (i == map->count || map->ranges[i].type != LOAM_MEM_USABLE) {
		return false;
	}
	return map->ranges[i].base <= base &&
	       base + size <= memmap_end(&map->ranges[i]);
}

/* The frames wholly inside a range: [*first, *end), if *first < *end. */
static void memmap_frames(const struct loam_mem_range *range, uint64_t *first,
			  uint64_t *end)
{
	*first = (range->base >> LOAM_PAGE_SHIFT) +
		 ((range->base & LOAM_PAGE_MASK) != 0);
	*end = memmap_end(range) >> LOAM_PAGE_SHIFT;
}

bool loam_memmap_next_usable(const struct loam_memmap *map, uint64_t *pfn,
			     uint64_t *count)
{
	if (*pfn > LOAM_PHYS_NONE >> LOAM_PAGE_SHIFT) {
		return false;
	}
	uint32_t i = memmap_find(map, *pfn << LOAM_PAGE_SHIFT);
	for (; i < map->count; i++) {
		uint64_t first;
		uint64_t end;
		memmap_frames(&map->ranges[i], &first, &end);
		if (first < *pfn) {
			first = *pfn;
		}
		if (map->ranges[i].type == LOAM_MEM_USABLE && first < end) {
			*pfn = first;
			*count = end - first;
			return true;
		}
	}
	return false;
}

uint64_t loam_memmap_usable_frames(const struct loam_memmap *map)
{
	uint64_t total = 0;
	uint64_t pfn = 0;
	uint64_t count;
	while (loam_memmap_next_usable(map, &pfn, &count)) {
		total += count;
		pfn += count;
	}
	return total;
}

uint64_t loam_memmap_max_usable_pfn(const struct loam_memmap *map)
{
	LOAM_VERIFY(map->normalised);
	for (uint32_t i = map->count; i > 0; i--) {
		uint64_t first;
		uint64_t end;
		memmap_frames(&map->ranges[i - 1], &first, &end);
		if (map->ranges[i - 1].type == LOAM_MEM_USABLE && first < end) {
			return end;
		}
	}
	return 0;
}

const char *loam_memmap_type_name(uint32_t type)
{
	switch (type) {
	case LOAM_MEM_NONE:
		return "nothing";
	case LOAM_MEM_USABLE:
		return "usable";
	case LOAM_MEM_RESERVED:
		return "reserved";
	case LOAM_MEM_ACPI_DATA:
		return "ACPI data";
	case LOAM_MEM_ACPI_NVS:
		return "ACPI NVS";
	case LOAM_MEM_UNUSABLE:
		return "unusable";
	case LOAM_MEM_PERSISTENT:
		return "persistent";
	default:
		return "unknown";
	}
}

int loam_memmap_check(const struct loam_memmap *map)
{
	LOAM_CHECK(map->normalised);
	LOAM_CHECK(map->ranges != NULL && map->capacity >= 4);
	LOAM_CHECK(map->count <= map->capacity);
	for (uint32_t i = 0; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		LOAM_CHECK(range->size != 0);
		LOAM_CHECK(range->size <= LOAM_PHYS_NONE - range->base);
		LOAM_CHECK(memmap_rank(range->type) != MEMMAP_RANK_NONE);
		LOAM_CHECK(range->ordinal < map->stats.entries);
		if (i == 0) {
			continue;
		}
		const struct loam_mem_range *before = range - 1;
		LOAM_CHECK(memmap_end(before) <= range->base);
		LOAM_CHECK(memmap_end(before) < range->base ||
			   before->type != range->type);
	}
	return 0;
}

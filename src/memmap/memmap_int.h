/* SPDX-License-Identifier: MIT */
/* What the files of the memmap floor share. */
#ifndef LOAM_MEMMAP_INT_H
#define LOAM_MEMMAP_INT_H

#include <loam/assert.h>
#include <loam/memmap.h>

/*
 * How many lines of one kind are logged before they are only counted. A
 * broken firmware repeats one mistake a few times; a hostile one repeats it
 * until the console is useless.
 */
#define MEMMAP_REPORTS 16u

/* How strict a type is; the larger wins where two types overlap. */
enum memmap_rank {
	MEMMAP_RANK_NONE, /* not one of the types below */
	MEMMAP_RANK_USABLE,
	MEMMAP_RANK_PERSISTENT,
	MEMMAP_RANK_ACPI_DATA,
	MEMMAP_RANK_RESERVED,
	MEMMAP_RANK_ACPI_NVS,
	MEMMAP_RANK_UNUSABLE,
	MEMMAP_RANK_COUNT
};

static inline enum memmap_rank memmap_rank(uint32_t type)
{
	switch (type) {
	case LOAM_MEM_USABLE:
		return MEMMAP_RANK_USABLE;
	case LOAM_MEM_RESERVED:
		return MEMMAP_RANK_RESERVED;
	case LOAM_MEM_ACPI_DATA:
		return MEMMAP_RANK_ACPI_DATA;
	case LOAM_MEM_ACPI_NVS:
		return MEMMAP_RANK_ACPI_NVS;
	case LOAM_MEM_UNUSABLE:
		return MEMMAP_RANK_UNUSABLE;
	case LOAM_MEM_PERSISTENT:
		return MEMMAP_RANK_PERSISTENT;
	default:
		return MEMMAP_RANK_NONE;
	}
}

/* The first address behind a range. At most LOAM_PHYS_NONE: see add. */
static inline loam_phys_t memmap_end(const struct loam_mem_range *range)
{
	return range->base + range->size;
}

/* Counts one anomaly, and tells whether it is still to be logged. */
static inline bool memmap_report(uint32_t *counter)
{
	*counter += 1;
	return *counter <= MEMMAP_REPORTS;
}

/* An address or a size as an argument of %llx on 32 and 64 bits. */
static inline unsigned long long memmap_hex(uint64_t n)
{
	return n;
}

/*
 * sweep.c: sorts, resolves overlaps and merges, within the map's storage.
 * What is lost for want of room is counted in stats.dropped. Sets normalised.
 */
void loam_memmap_sweep(struct loam_memmap *map);

/*
 * sweep.c: counts, and logs while that is due, that the two ranges overlap;
 * does nothing if they do not.
 */
void loam_memmap_report_overlap(struct loam_memmap *map,
				const struct loam_mem_range *range,
				const struct loam_mem_range *other);

/*
 * sweep.c: frees one of the first *count ranges, which are sorted and do not
 * overlap; there are at least two. Gives up as few bytes as possible, and only
 * ever usable ones; `candidate` is the range that is waiting for the room.
 * Returns false, with nothing changed, if losing the candidate is cheapest.
 */
bool loam_memmap_make_room(struct loam_memmap *map, uint32_t *count,
			   const struct loam_mem_range *candidate);

#endif

/* SPDX-License-Identifier: MIT */
/* The free gaps between memblock's regions, and placing a request in one. */
#include "memblock_int.h"

/*
 * What a region takes away from the walk's owner: its bytes if it is that
 * owner's, otherwise every frame that it touches, for a frame has one owner.
 */
static loam_phys_t walk_blocked_base(const struct loam_memblock_walk *walk,
				     const struct loam_memblock_region *region)
{
	return region->owner == walk->owner
		       ? region->base
		       : loam_round_down(region->base, LOAM_PAGE_SIZE);
}

static loam_phys_t walk_blocked_end(const struct loam_memblock_walk *walk,
				    const struct loam_memblock_region *region)
{
	loam_phys_t end = memblock_end(region);
	return region->owner == walk->owner
		       ? end
		       : loam_round_up(end, LOAM_PAGE_SIZE);
}

void loam_memblock_walk_start(struct loam_memblock_walk *walk,
			      const struct loam_memblock *memblock,
			      loam_phys_t from, uint32_t owner)
{
	*walk = (struct loam_memblock_walk){
		.memblock = memblock,
		.owner = owner,
		.region = loam_memblock_find(
			memblock, loam_round_down(from, LOAM_PAGE_SIZE)),
		.at = from,
		.run_end = from,
	};
}

/* Goes on to the next run of usable frames. False: there is none. */
static bool walk_next_run(struct loam_memblock_walk *walk)
{
	uint64_t pfn = walk->at >> LOAM_PAGE_SHIFT;
	pfn += (walk->at & LOAM_PAGE_MASK) != 0;
	uint64_t count;
	if (walk->memblock->map == NULL ||
	    !loam_memmap_next_usable(walk->memblock->map, &pfn, &count)) {
		return false;
	}
	walk->at = pfn << LOAM_PAGE_SHIFT;
	walk->run_end = (pfn + count) << LOAM_PAGE_SHIFT;
	return true;
}

bool loam_memblock_walk_next(struct loam_memblock_walk *walk, loam_phys_t *base,
			     loam_phys_t *end)
{
	const struct loam_memblock *memblock = walk->memblock;
	for (;;) {
		if (walk->at >= walk->run_end && !walk_next_run(walk)) {
			return false;
		}
		loam_phys_t stop = walk->run_end;
		loam_phys_t next = walk->run_end;
		if (walk->region < memblock->count) {
			const struct loam_memblock_region *region =
				&memblock->regions[walk->region];
			loam_phys_t blocked_end =
				walk_blocked_end(walk, region);
			if (blocked_end <= walk->at) {
				walk->region++;
				continue;
			}
			if (walk_blocked_base(walk, region) < stop) {
				stop = walk_blocked_base(walk, region);
				next = blocked_end;
			}
		}
		*base = walk->at;
		*end = stop;
		walk->at = next;
		if (*base < *end) {
			return true;
		}
	}
}

/* SPDX-License-Identifier: MIT */
/* What the files of the memblock floor share: the table, and the free gaps. */
#ifndef LOAM_MEMBLOCK_INT_H
#define LOAM_MEMBLOCK_INT_H

#include <loam/assert.h>
#include <loam/bits.h>
#include <loam/memblock.h>

/* The first address behind a region. */
static inline loam_phys_t memblock_end(
	const struct loam_memblock_region *region)
{
	return region->base + region->size;
}

/* An address or a size as an argument of %llx on 32 and 64 bits. */
static inline unsigned long long memblock_hex(uint64_t n)
{
	return n;
}

/* table.c: the index of the first region that ends behind phys, or count. */
uint32_t loam_memblock_find(const struct loam_memblock *memblock,
			    loam_phys_t phys);

/*
 * table.c: makes [base, end) a region of owner, joined with those of the same
 * owner that it overlaps or touches; it overlaps no others. The table has room
 * for one region more.
 */
void loam_memblock_insert(struct loam_memblock *memblock, loam_phys_t base,
			  loam_phys_t end, uint32_t owner);

/*
 * table.c: forgets [base, end), of which some must be in a region. Returns
 * -LOAM_ENOMEM, with nothing changed, if that splits a region and there is no
 * room.
 */
int loam_memblock_cut(struct loam_memblock *memblock, loam_phys_t base,
		      loam_phys_t end);

/*
 * The gaps between the regions, upwards, as one owner may use them: in whole
 * usable frames, in none of which another owner has anything.
 */
struct loam_memblock_walk {
	const struct loam_memblock *memblock;
	uint32_t owner;      /* LOAM_RESERVED_NONE: whole free frames only */
	uint32_t region;     /* the next one that may be in the way */
	loam_phys_t at;      /* everything below is done with */
	loam_phys_t run_end; /* of the usable run that `at` lies in */
};

/* gaps.c: starts at the first frame that begins at or after `from`. */
void loam_memblock_walk_start(struct loam_memblock_walk *walk,
			      const struct loam_memblock *memblock,
			      loam_phys_t from, uint32_t owner);

/* gaps.c: the next gap [*base, *end), or false when there are no more. */
bool loam_memblock_walk_next(struct loam_memblock_walk *walk, loam_phys_t *base,
			     loam_phys_t *end);

#endif

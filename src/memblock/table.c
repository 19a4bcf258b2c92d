/* SPDX-License-Identifier: MIT */
/* memblock's table of regions: search, insertion and removal. */
#include "memblock_int.h"

#include <loam/mem.h>

uint32_t loam_memblock_find(const struct loam_memblock *memblock,
			    loam_phys_t phys)
{
	uint32_t low = 0;
	uint32_t high = memblock->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (memblock_end(&memblock->regions[middle]) > phys) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

/* Replaces the regions [first, end) by `count` others, to be filled in. */
static void table_resize(struct loam_memblock *memblock, uint32_t first,
			 uint32_t end, uint32_t count)
{
	LOAM_ASSERT(memblock->count - (end - first) + count <=
		    memblock->capacity);
	memmove(&memblock->regions[first + count], &memblock->regions[end],
		(memblock->count - end) * sizeof(memblock->regions[0]));
	memblock->count = memblock->count - (end - first) + count;
}

void loam_memblock_insert(struct loam_memblock *memblock, loam_phys_t base,
			  loam_phys_t end, uint32_t owner)
{
	struct loam_memblock_region *regions = memblock->regions;
	uint32_t first = loam_memblock_find(memblock, base);
	if (first > 0 && memblock_end(&regions[first - 1]) == base &&
	    regions[first - 1].owner == owner) {
		first--;
	}
	uint32_t behind = first;
	while (behind < memblock->count && regions[behind].base <= end &&
	       regions[behind].owner == owner) {
		behind++;
	}
	if (behind > first) {
		if (regions[first].base < base) {
			base = regions[first].base;
		}
		if (memblock_end(&regions[behind - 1]) > end) {
			end = memblock_end(&regions[behind - 1]);
		}
	}
	table_resize(memblock, first, behind, 1);
	regions[first] = (struct loam_memblock_region){
		.base = base,
		.size = end - base,
		.owner = owner,
	};
}

int loam_memblock_cut(struct loam_memblock *memblock, loam_phys_t base,
		      loam_phys_t end)
{
	struct loam_memblock_region *regions = memblock->regions;
	uint32_t first = loam_memblock_find(memblock, base);
	uint32_t behind = first;
	while (behind < memblock->count && regions[behind].base < end) {
		behind++;
	}
	LOAM_ASSERT(behind > first);
	struct loam_memblock_region left = regions[first];
	struct loam_memblock_region right = regions[behind - 1];
	uint32_t keep_left = left.base < base;
	uint32_t keep_right = memblock_end(&right) > end;
	if (memblock->count - (behind - first) + keep_left + keep_right >
	    memblock->capacity) {
		return -LOAM_ENOMEM;
	}
	table_resize(memblock, first, behind, keep_left + keep_right);
	if (keep_left != 0) {
		left.size = base - left.base;
		regions[first] = left;
	}
	if (keep_right != 0) {
		right.size = memblock_end(&right) - end;
		right.base = end;
		regions[first + keep_left] = right;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* memblock: who owns physical memory until the frames take over. */
#include "memblock_int.h"

#include <loam/mem.h>

/*
 * The boot allocator
 * ==================
 *
 * Between the first look at the memory map and the first page frame, a kernel
 * must do two things: keep its own image, the boot loader's data and the
 * firmware's areas from being handed out, and find memory for the structures
 * that the real allocators are made of.  Both are one table: regions of
 * physical memory, each with an owner.  To allocate is to find a gap in the
 * table and to become the owner of it.  This is the bump allocator of the
 * classic boot sequence in a form that knows about holes.
 *
 *      map        | usable        | reserved |  usable                  |
 *      regions    K K K   M  m m                m          K K
 *      walk            |-| |-|                 | |--------|   |--------|
 *
 * Structures
 * ----------
 *
 *   table.c     the regions, sorted by base, in an array.  Regions of one owner
 *               that touch are one, so that a thousand allocations in a row are
 *               one region and the table stays small.
 *   gaps.c      walks the usable runs of the map and the regions side by side
 *               and yields what is free.
 *   memblock.c  the contracts.
 *
 * Reservations are rounded out to frames, since what they protect was placed by
 * somebody else.  Allocations have byte precision: requests of one owner share
 * frames.  Requests of two owners never do, because a frame has one owner from
 * the start; the walk hides the rest of a frame from everybody but its owner.
 *
 * The array is the caller's at first.  When it is full, it moves to twice the
 * room in memory that memblock allocates from itself; a later move gives the
 * former place back.  The map may offer memory that cannot be reached yet: the
 * array only moves to a place that the host has directly mapped, and when there
 * is none the request fails.
 *
 * Life
 * ----
 *
 *      init -> reserve ... -> adopt the map -> alloc, reserve ... -> seal
 *           -> the frame floor owns the rest -> release, owner, check
 *
 * After the seal nothing can be reserved or allocated any more: the frames that
 * look free here belong to the frame floor.  What remains is the table of who
 * owned what, and release, by which boot-time memory becomes frames too.
 *
 * Invariants, all verified by loam_memblock_check():
 *
 *   - regions are sorted by base, none is empty or wraps, none overlaps;
 *   - regions of one owner do not touch;
 *   - regions of two owners have no frame in common;
 *   - an array of memblock's own is a region of LOAM_RESERVED_MEMBLOCK.
 *
 * Locking: none; one CPU runs before the seal, and later calls are the frame
 * floor's to serialise.  Cost: alloc is O(ranges + regions), reserve and
 * release O(regions), owner O(log regions).  Every failure leaves the table as
 * it was.
 */

/* Growing looks here first: below are the areas that old devices need. */
#define MEMBLOCK_GROW_MIN LOAM_MIB(1)

void loam_memblock_init(struct loam_memblock *memblock,
			struct loam_memblock_region *storage, uint32_t capacity)
{
	LOAM_VERIFY(storage != NULL && capacity >= 4);
	*memblock = (struct loam_memblock){
		.regions = storage,
		.capacity = capacity,
		.table = LOAM_PHYS_NONE,
	};
}

int loam_memblock_adopt(struct loam_memblock *memblock,
			const struct loam_memmap *map)
{
	uint64_t pfn = 0;
	uint64_t count;
	if (!map->normalised || !loam_memmap_next_usable(map, &pfn, &count)) {
		return -LOAM_EINVAL;
	}
	memblock->map = map;
	return 0;
}

/* Where `size` bytes fit in [base, end), or LOAM_PHYS_NONE. */
static loam_phys_t memblock_fit(loam_phys_t base, loam_phys_t end,
				loam_phys_t size, loam_phys_t align,
				enum loam_direction direction)
{
	if (base >= end || end - base < size) {
		return LOAM_PHYS_NONE;
	}
	loam_phys_t place = direction == LOAM_TOP_DOWN
				    ? loam_round_down(end - size, align)
				    : loam_round_up(base, align);
	/* Rounding up may have wrapped. */
	if (place < base || place > end - size) {
		return LOAM_PHYS_NONE;
	}
	return place;
}

/* Finds the place that loam_memblock_alloc() is to take. Changes nothing. */
static loam_phys_t memblock_place(const struct loam_memblock *memblock,
				  loam_phys_t size, loam_phys_t align,
				  loam_phys_t min, loam_phys_t max,
				  enum loam_direction direction,
				  enum loam_reservation owner)
{
	struct loam_memblock_walk walk;
	loam_memblock_walk_start(&walk, memblock,
				 loam_round_down(min, LOAM_PAGE_SIZE), owner);
	loam_phys_t found = LOAM_PHYS_NONE;
	loam_phys_t base;
	loam_phys_t end;
	while (loam_memblock_walk_next(&walk, &base, &end) && base < max) {
		loam_phys_t place = memblock_fit(base > min ? base : min,
						 end < max ? end : max, size,
						 align, direction);
		if (place == LOAM_PHYS_NONE) {
			continue;
		}
		found = place;
		if (direction == LOAM_BOTTOM_UP) {
			break;
		}
	}
	return found;
}

/*
 * The address at which [phys, phys + size) is directly mapped as a whole, or
 * NULL. The direct map begins at an address and ends at one, and is linear.
 */
static void *memblock_mapped(loam_phys_t phys, size_t size)
{
	char *first = loam_host_phys_to_virt(phys);
	char *last = loam_host_phys_to_virt(phys + size - 1);
	if (first == NULL || last != first + (size - 1)) {
		return NULL;
	}
	return first;
}

/* Moves the table to twice the room. Returns 0, or -LOAM_ENOMEM. */
static int memblock_grow(struct loam_memblock *memblock)
{
	size_t size = loam_size_round_up((size_t)memblock->capacity * 2 *
						 sizeof(memblock->regions[0]),
					 LOAM_PAGE_SIZE);
	loam_phys_t place = memblock_place(
		memblock, size, LOAM_PAGE_SIZE, MEMBLOCK_GROW_MIN,
		LOAM_PHYS_NONE, LOAM_BOTTOM_UP, LOAM_RESERVED_MEMBLOCK);
	if (place == LOAM_PHYS_NONE) {
		place = memblock_place(memblock, size, LOAM_PAGE_SIZE, 0,
				       MEMBLOCK_GROW_MIN, LOAM_BOTTOM_UP,
				       LOAM_RESERVED_MEMBLOCK);
	}
	struct loam_memblock_region *to = NULL;
	if (place != LOAM_PHYS_NONE) {
		to = memblock_mapped(place, size);
	}
	if (to == NULL) {
		loam_log(LOAM_LOG_ERROR,
			 "memblock: no mapped memory for a table of more than"
			 " %u regions",
			 memblock->capacity);
		return -LOAM_ENOMEM;
	}
	loam_phys_t former = memblock->table;
	loam_phys_t former_size = memblock->table_size;
	memcpy(to, memblock->regions, memblock->count * sizeof(to[0]));
	memblock->regions = to;
	memblock->capacity = (uint32_t)(size / sizeof(to[0]));
	memblock->table = place;
	memblock->table_size = size;
	loam_memblock_insert(memblock, place, place + size,
			     LOAM_RESERVED_MEMBLOCK);
	memblock->allocated_bytes += size - former_size;
	if (former != LOAM_PHYS_NONE) {
		int error = loam_memblock_cut(memblock, former,
					      former + former_size);
		LOAM_VERIFY(error == 0);
	}
	return 0;
}

/* Makes sure that a region can be inserted. Returns 0 or -LOAM_ENOMEM. */
static int memblock_prepare(struct loam_memblock *memblock)
{
	return memblock->count < memblock->capacity ? 0
						    : memblock_grow(memblock);
}

static bool memblock_owner_valid(enum loam_reservation owner)
{
	return owner > LOAM_RESERVED_NONE && owner <= LOAM_RESERVED_LAST;
}

/* The first region of another owner that overlaps [base, end), or NULL. */
static const struct loam_memblock_region *memblock_collision(
	const struct loam_memblock *memblock, loam_phys_t base, loam_phys_t end,
	enum loam_reservation owner)
{
	uint32_t i = loam_memblock_find(memblock, base);
	for (; i < memblock->count; i++) {
		const struct loam_memblock_region *region =
			&memblock->regions[i];
		if (region->base >= end) {
			break;
		}
		if (region->owner != owner) {
			return region;
		}
	}
	return NULL;
}

int loam_memblock_reserve(struct loam_memblock *memblock, loam_phys_t base,
			  loam_phys_t size, enum loam_reservation owner)
{
	if (memblock->sealed) {
		loam_misuse(LOAM_CALLER(),
			    "memblock: reserve of 0x%llx-0x%llx for %s after"
			    " the frames took over",
			    memblock_hex(base), memblock_hex(base + size - 1),
			    loam_reservation_name(owner));
		return -LOAM_EPERM;
	}
	if (size == 0 || base > LOAM_PHYS_NONE - LOAM_PAGE_MASK ||
	    size > LOAM_PHYS_NONE - LOAM_PAGE_MASK - base ||
	    !memblock_owner_valid(owner)) {
		return -LOAM_EINVAL;
	}
	loam_phys_t end = loam_round_up(base + size, LOAM_PAGE_SIZE);
	base = loam_round_down(base, LOAM_PAGE_SIZE);
	const struct loam_memblock_region *other =
		memblock_collision(memblock, base, end, owner);
	if (other != NULL) {
		loam_log(LOAM_LOG_ERROR,
			 "memblock: %s 0x%llx-0x%llx collides with %s"
			 " 0x%llx-0x%llx: not reserved",
			 loam_reservation_name(owner), memblock_hex(base),
			 memblock_hex(end - 1),
			 loam_reservation_name(
				 (enum loam_reservation)other->owner),
			 memblock_hex(other->base),
			 memblock_hex(memblock_end(other) - 1));
		return -LOAM_EEXIST;
	}
	int error = memblock_prepare(memblock);
	if (error == 0) {
		loam_memblock_insert(memblock, base, end, owner);
	}
	return error;
}

loam_phys_t loam_memblock_alloc(struct loam_memblock *memblock,
				loam_phys_t size, loam_phys_t align,
				loam_phys_t min, loam_phys_t max,
				enum loam_direction direction,
				enum loam_reservation owner)
{
	if (memblock->sealed) {
		loam_misuse(LOAM_CALLER(),
			    "memblock: alloc of %llu bytes for %s after the"
			    " frames took over",
			    memblock_hex(size), loam_reservation_name(owner));
		return LOAM_PHYS_NONE;
	}
	if (size == 0 || !loam_is_pow2(align) || !memblock_owner_valid(owner)) {
		return LOAM_PHYS_NONE;
	}
	loam_phys_t place = memblock_place(memblock, size, align, min, max,
					   direction, owner);
	if (place != LOAM_PHYS_NONE && memblock->count == memblock->capacity) {
		if (memblock_grow(memblock) != 0) {
			return LOAM_PHYS_NONE;
		}
		/* The table may have moved to that very place. */
		place = memblock_place(memblock, size, align, min, max,
				       direction, owner);
	}
	if (place != LOAM_PHYS_NONE) {
		loam_memblock_insert(memblock, place, place + size, owner);
		memblock->allocated_bytes += size;
	}
	return place;
}

bool loam_memblock_next_free(const struct loam_memblock *memblock,
			     uint64_t *pfn, uint64_t *count)
{
	struct loam_memblock_walk walk;
	loam_phys_t base;
	loam_phys_t end;
	if (*pfn > LOAM_PHYS_NONE >> LOAM_PAGE_SHIFT) {
		return false;
	}
	loam_memblock_walk_start(&walk, memblock, *pfn << LOAM_PAGE_SHIFT,
				 LOAM_RESERVED_NONE);
	if (!loam_memblock_walk_next(&walk, &base, &end)) {
		return false;
	}
	*pfn = base >> LOAM_PAGE_SHIFT;
	*count = (end - base) >> LOAM_PAGE_SHIFT;
	return true;
}

loam_phys_t loam_memblock_free_bytes(const struct loam_memblock *memblock)
{
	struct loam_memblock_walk walk;
	loam_phys_t total = 0;
	loam_phys_t base;
	loam_phys_t end;
	loam_memblock_walk_start(&walk, memblock, 0, LOAM_RESERVED_NONE);
	while (loam_memblock_walk_next(&walk, &base, &end)) {
		total += end - base;
	}
	return total;
}

void loam_memblock_seal(struct loam_memblock *memblock)
{
	memblock->sealed = true;
}

/* True if the owner has something in every frame of [base, end). */
static bool memblock_owns(const struct loam_memblock *memblock,
			  loam_phys_t base, loam_phys_t end,
			  enum loam_reservation owner)
{
	uint32_t i = loam_memblock_find(memblock, base);
	for (loam_phys_t at = base; at < end; i++) {
		if (i == memblock->count) {
			return false;
		}
		const struct loam_memblock_region *region =
			&memblock->regions[i];
		if (region->owner != owner ||
		    loam_round_down(region->base, LOAM_PAGE_SIZE) > at) {
			return false;
		}
		at = loam_round_up(memblock_end(region), LOAM_PAGE_SIZE);
	}
	return true;
}

int loam_memblock_release(struct loam_memblock *memblock, loam_phys_t base,
			  loam_phys_t size, enum loam_reservation owner)
{
	if (!memblock->sealed) {
		loam_misuse(LOAM_CALLER(),
			    "memblock: release of 0x%llx-0x%llx before the"
			    " frames took over",
			    memblock_hex(base), memblock_hex(base + size - 1));
		return -LOAM_EPERM;
	}
	if (size == 0 || size > LOAM_PHYS_NONE - base ||
	    !loam_is_aligned(base | size, LOAM_PAGE_SIZE) ||
	    !memblock_owner_valid(owner) ||
	    !memblock_owns(memblock, base, base + size, owner)) {
		return -LOAM_EINVAL;
	}
	if (memblock->table != LOAM_PHYS_NONE &&
	    base < memblock->table + memblock->table_size &&
	    memblock->table < base + size) {
		return -LOAM_EINVAL;
	}
	return loam_memblock_cut(memblock, base, base + size);
}

enum loam_reservation loam_memblock_owner(const struct loam_memblock *memblock,
					  loam_phys_t phys)
{
	uint32_t i = loam_memblock_find(memblock, phys);
	if (i == memblock->count || memblock->regions[i].base > phys) {
		return LOAM_RESERVED_NONE;
	}
	return (enum loam_reservation)memblock->regions[i].owner;
}

const char *loam_reservation_name(enum loam_reservation owner)
{
	switch (owner) {
	case LOAM_RESERVED_NONE:
		return "free";
	case LOAM_RESERVED_FRAME_ZERO:
		return "frame zero";
	case LOAM_RESERVED_FIRMWARE:
		return "firmware";
	case LOAM_RESERVED_KERNEL_TEXT:
		return "kernel text";
	case LOAM_RESERVED_KERNEL_DATA:
		return "kernel data";
	case LOAM_RESERVED_KERNEL_INIT:
		return "kernel init";
	case LOAM_RESERVED_BOOT_INFO:
		return "boot info";
	case LOAM_RESERVED_MODULE:
		return "module";
	case LOAM_RESERVED_PAGE_TABLE:
		return "page table";
	case LOAM_RESERVED_METADATA:
		return "metadata";
	case LOAM_RESERVED_MEMBLOCK:
		return "memblock";
	case LOAM_RESERVED_HEAP:
		return "heap";
	case LOAM_RESERVED_USER:
		return "user window";
	default:
		return "nobody known";
	}
}

int loam_memblock_check(const struct loam_memblock *memblock)
{
	LOAM_CHECK(memblock->regions != NULL);
	LOAM_CHECK(memblock->count <= memblock->capacity);
	bool table_found = memblock->table == LOAM_PHYS_NONE;
	for (uint32_t i = 0; i < memblock->count; i++) {
		const struct loam_memblock_region *region =
			&memblock->regions[i];
		loam_phys_t end = memblock_end(region);
		LOAM_CHECK(region->size != 0);
		LOAM_CHECK(region->size <= LOAM_PHYS_NONE - region->base);
		LOAM_CHECK(memblock_owner_valid(
			(enum loam_reservation)region->owner));
		if (region->owner == LOAM_RESERVED_MEMBLOCK &&
		    region->base <= memblock->table && memblock->table < end &&
		    memblock->table_size <= end - memblock->table) {
			table_found = true;
		}
		if (i == 0) {
			continue;
		}
		const struct loam_memblock_region *before = region - 1;
		LOAM_CHECK(memblock_end(before) <= region->base);
		LOAM_CHECK(memblock_end(before) < region->base ||
			   before->owner != region->owner);
		LOAM_CHECK(
			before->owner == region->owner ||
			loam_round_up(memblock_end(before), LOAM_PAGE_SIZE) <=
				loam_round_down(region->base, LOAM_PAGE_SIZE));
	}
	LOAM_CHECK(table_found);
	if (memblock->map != NULL) {
		return loam_memmap_check(memblock->map);
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* memblock: reservations and the boot allocator, until the frames take over. */
#ifndef LOAM_MEMBLOCK_H
#define LOAM_MEMBLOCK_H

#include <loam/memmap.h>

/* Who owns a reserved range. Printed as the table of owners. */
enum loam_reservation {
	LOAM_RESERVED_NONE,       /* free */
	LOAM_RESERVED_FRAME_ZERO, /* frame 0: NULL stays invalid */
	LOAM_RESERVED_FIRMWARE,   /* BIOS data, EBDA, video and option ROMs */
	LOAM_RESERVED_KERNEL_TEXT,
	LOAM_RESERVED_KERNEL_DATA, /* read-only data, data, bss, boot stack */
	LOAM_RESERVED_KERNEL_INIT, /* reclaimable when bring-up is over */
	LOAM_RESERVED_BOOT_INFO,   /* reclaimable */
	LOAM_RESERVED_MODULE,      /* reclaimable when its user is done */
	LOAM_RESERVED_PAGE_TABLE,
	LOAM_RESERVED_METADATA, /* frame descriptors, tags, bitmaps */
	LOAM_RESERVED_MEMBLOCK, /* permanent boot allocations */
	LOAM_RESERVED_HEAP,     /* a classic heap's fixed physical range */
	LOAM_RESERVED_USER,     /* hidden by processes' pages: used by nobody */
	LOAM_RESERVED_LAST = LOAM_RESERVED_USER,
};

struct loam_memblock_region {
	loam_phys_t base;
	loam_phys_t size;
	uint32_t owner; /* enum loam_reservation */
};

/*
 * One instance. Reservations are sorted by base and do not overlap; adjacent
 * ones of the same owner are merged; two owners never share a frame. Not
 * locked: one CPU runs before the seal.
 */
struct loam_memblock {
	const struct loam_memmap *map;
	struct loam_memblock_region *regions; /* reservations */
	uint32_t count;
	uint32_t capacity;
	bool sealed;
	loam_phys_t allocated_bytes; /* by alloc, and for the table itself */
	loam_phys_t table;           /* of regions; LOAM_PHYS_NONE: storage */
	loam_phys_t table_size;
};

/*
 * Starts without memory. storage holds the reservations, at least 4 of them
 * (panics for less); when it is full the allocator moves them to memory of its
 * own, which must be directly mapped by then. reserve works before adopt, but
 * only as far as the storage goes.
 */
void loam_memblock_init(struct loam_memblock *memblock,
			struct loam_memblock_region *storage,
			uint32_t capacity);

/*
 * Takes the normalised map as the memory there is. The map is const from here
 * on and must stay where it is. -LOAM_EINVAL, with nothing changed, if it is
 * not normalised or has no usable frame.
 */
int loam_memblock_adopt(struct loam_memblock *memblock,
			const struct loam_memmap *map);

/*
 * Reserves [base, base + size), rounded out to frames, whether or not it is
 * usable memory. Overlap with the same owner is fine. Returns -LOAM_EINVAL
 * (size 0, wrap, owner out of range), -LOAM_EEXIST if part of it is reserved by
 * another owner: nothing is changed and the collision is logged with both
 * owners; -LOAM_ENOMEM if the table is full and cannot move; -LOAM_EPERM,
 * reported as a misuse, once sealed. Cost: O(regions).
 */
int loam_memblock_reserve(struct loam_memblock *memblock, loam_phys_t base,
			  loam_phys_t size, enum loam_reservation owner);

enum loam_direction { LOAM_BOTTOM_UP, LOAM_TOP_DOWN };

/*
 * Allocates size bytes, never to be freed one by one: within [min, max), at a
 * multiple of align (a power of two), from free usable memory, the lowest or
 * highest place that fits. Reserved for owner with byte precision: two
 * requests of the same owner share a frame (a bump allocator, seed 004).
 * Only whole usable frames are used, and none in which another owner has bytes.
 * Returns the address, or LOAM_PHYS_NONE with nothing changed for size 0, bad
 * alignment, bad owner, no room, or (reported as a misuse) after the seal. The
 * memory is not cleared, and need not be directly mapped: max sees to that.
 * Cost: O(ranges + regions).
 */
loam_phys_t loam_memblock_alloc(struct loam_memblock *memblock,
				loam_phys_t size, loam_phys_t align,
				loam_phys_t min, loam_phys_t max,
				enum loam_direction direction,
				enum loam_reservation owner);

/*
 * The next run of whole frames at or after *pfn that are usable and not
 * reserved, as loam_memmap_next_usable(). Cost: O(log n) and the regions
 * passed.
 */
bool loam_memblock_next_free(const struct loam_memblock *memblock,
			     uint64_t *pfn, uint64_t *count);

/* Free bytes left, in whole frames. */
loam_phys_t loam_memblock_free_bytes(const struct loam_memblock *memblock);

/* From here on reserve and alloc are refused. Called by the frame floor. */
void loam_memblock_seal(struct loam_memblock *memblock);

/*
 * Forgets the reservation of whole frames [base, base + size), all of one
 * owner, after the seal, because the frame floor takes them over. A frame that
 * the owner has only in part counts as the owner's.
 * -LOAM_EINVAL if the range is not all reserved by that owner or not of whole
 * frames; -LOAM_ENOMEM if a region would have to be split and the table is full
 * (it cannot move any more): nothing is changed; -LOAM_EPERM, reported as a
 * misuse, before the seal.
 */
int loam_memblock_release(struct loam_memblock *memblock, loam_phys_t base,
			  loam_phys_t size, enum loam_reservation owner);

/* Who reserved this address: LOAM_RESERVED_NONE if nobody. O(log n). */
enum loam_reservation loam_memblock_owner(const struct loam_memblock *memblock,
					  loam_phys_t phys);

/* "free", "kernel text", "module", ... */
const char *loam_reservation_name(enum loam_reservation owner);

/* 0, or -LOAM_EFAULT (logged). O(n). */
int loam_memblock_check(const struct loam_memblock *memblock);

#endif

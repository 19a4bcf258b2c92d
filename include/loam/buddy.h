/* SPDX-License-Identifier: MIT */
/* Frame descriptors and tags, and the buddy system as a bare mechanism. */
#ifndef LOAM_BUDDY_H
#define LOAM_BUDDY_H

#include <loam/bitmap.h>
#include <loam/lock.h>

#define LOAM_ORDER_MAX 10u /* largest block: 1024 frames, 4 MiB */
#define LOAM_ORDER_COUNT (LOAM_ORDER_MAX + 1u)
#define LOAM_CHUNK_FRAMES (1u << LOAM_ORDER_MAX)
#define LOAM_CHUNK_MAP_WORDS (2u * LOAM_CHUNK_FRAMES / 32u)
#define LOAM_TRACT_ORDER 9u /* 2 MiB: what a large page maps */
#define LOAM_TRACT_FRAMES (1u << LOAM_TRACT_ORDER)

/*
 * What a frame's descriptor holds depends on its state:
 * free block head: links; allocated block head: references that do not fit
 * its tag, and a word of its owner's, undefined until the owner writes it;
 * head of a slab: the tag it had before; otherwise nothing that is read.
 * Descriptors need no initialisation, so that untouched memory costs nothing.
 */
struct loam_frame {
	union {
		struct {
			loam_pfn_t next;
			loam_pfn_t prev;
		} free;
		struct {
			uint32_t refs;
			uint32_t owner_word;
		} used;
	};
};
LOAM_STATIC_ASSERT(sizeof(struct loam_frame) == 8, "descriptor is 8 bytes");

/*
 * A frame's tag: 32 bits in a dense array beside the descriptors.
 *   0                              inside a block, or no frame of ours
 *   0x80000000 | ref               a frame of a slab; ref leads to its
 *                                  descriptor
 *   state | refs - 1 | owner | order   the first frame of a block
 *
 *    31 30   28  27   26          12 11   8 7   5 4     0
 *   +--+-------+----+---------------+------+-----+-------+
 *   |S | state |more|   refs - 1    | owner|  0  | order |
 *   +--+-------+----+---------------+------+-----+-------+
 *
 * A block with one reference and nothing special about it is therefore known
 * by one comparison of its tag, which is what the fast path of free does.
 * Transitions: FREE -> USED (alloc), USED -> FREE, FREE -> CACHED (refill of
 * a CPU's stack), CACHED -> FREE (drain), CACHED <-> USED (per-CPU alloc and
 * free), USED -> slab -> USED (loam_frame_set_tags()). No others.
 */
#define LOAM_TAG_SLAB 0x80000000u
#define LOAM_TAG_STATE_MASK 0x70000000u
#define LOAM_TAG_FREE 0x10000000u
#define LOAM_TAG_USED 0x20000000u
#define LOAM_TAG_CACHED 0x30000000u /* in a CPU's stack */
#define LOAM_TAG_ORDER_MASK 0x0000001fu
#define LOAM_TAG_OWNER_SHIFT 8u
#define LOAM_TAG_OWNER_MASK 0x00000f00u
#define LOAM_TAG_REF_ONE 0x00001000u
#define LOAM_TAG_REFS_MASK 0x07fff000u
#define LOAM_TAG_REFS_MORE 0x08000000u /* the descriptor holds the rest */

/*
 * Tags are read without a lock by those who only need to know whether a frame
 * is theirs, so each access is one whole load or store.
 */
static inline uint32_t loam_tag_load(const uint32_t *tag)
{
	return __atomic_load_n(tag, __ATOMIC_RELAXED);
}

static inline void loam_tag_store(uint32_t *tag, uint32_t value)
{
	__atomic_store_n(tag, value, __ATOMIC_RELAXED);
}

/*
 * A binary buddy over the frames [base, base + size), which need not all be
 * its own: it manages those it was given. Blocks are aligned relative to base,
 * so their physical alignment is their size only if base is a multiple of a
 * chunk. Frames are never written: links live in the descriptors, and whether
 * a block is free at an order is a bit of `map`.
 *
 * The map has 2048 bits for each chunk of 1024 frames, a complete binary tree:
 *
 *	bit 1                             the block of order 10
 *	bits 2, 3                         its halves, order 9
 *	...
 *	bits 1024 .. 2047                 its frames, order 0
 *
 * The buddy of node n is n ^ 1, their parent n >> 1. Exactly the nodes on a
 * free list are set; bit 0, which no node has, says the chunk was given any
 * frame. The tag of a free block's head says the same as its bit; the bit is
 * what merging asks, since 256 bytes describe 4 MiB.
 *
 * No locking: the owner's lock protects it.
 */
struct loam_buddy {
	loam_pfn_t base;
	loam_pfn_t size;
	loam_pfn_t free_lists[LOAM_ORDER_MAX + 1]; /* or LOAM_PFN_NONE */
	uint32_t *map;
	size_t map_size; /* bytes */
	unsigned max_order;
	uint32_t nonempty; /* bit k: free_lists[k] has a block */
	loam_pfn_t free_frames;
	loam_pfn_t free_blocks[LOAM_ORDER_COUNT];
	struct loam_frame *frames; /* of base, base + 1, ... */
	uint32_t *tags;            /* of base, base + 1, ... */
	/* The owner's, or NULL: frames of each tract that are free. */
	uint16_t *tract_free;
};

/*
 * The count of a tract is read without the lock by those who only want to know
 * how full it is.
 */
static inline unsigned loam_tract_free_load(const uint16_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static inline void loam_tract_free_add(uint16_t *count, int frames)
{
	__atomic_store_n(count, (uint16_t)(*count + frames), __ATOMIC_RELAXED);
}

/* Bytes of map for `size` frames: whole chunks. */
static inline size_t loam_buddy_map_bytes(loam_pfn_t size)
{
	return (((size_t)size + LOAM_CHUNK_FRAMES - 1) >> LOAM_ORDER_MAX) *
	       LOAM_CHUNK_MAP_WORDS * sizeof(uint32_t);
}

/*
 * Starts a buddy that manages nothing. map, frames and tags are the caller's,
 * for `size` frames from base on; map and tags of a chunk must be zero before
 * anything of it is added. max_order is at most LOAM_ORDER_MAX.
 */
void loam_buddy_init(struct loam_buddy *buddy, loam_pfn_t base, loam_pfn_t size,
		     unsigned max_order, uint32_t *map,
		     struct loam_frame *frames, uint32_t *tags);

/*
 * Gives it count more frames from first on, as the largest blocks that fit,
 * merged with what is there. O(count / 1024 + log count).
 */
void loam_buddy_add(struct loam_buddy *buddy, loam_pfn_t first,
		    loam_pfn_t count);

/*
 * Takes a block of 2^order frames and sets its head's tag to `tag`; or
 * LOAM_PFN_NONE. The smallest free block that is large enough is split, the
 * low half first. O(max_order).
 */
loam_pfn_t loam_buddy_alloc(struct loam_buddy *buddy, unsigned order,
			    uint32_t tag);

/*
 * Takes back a block, whatever its tag says, and merges it with its buddy as
 * long as that is free. O(1) for each merge.
 */
void loam_buddy_free(struct loam_buddy *buddy, loam_pfn_t pfn, unsigned order);

/*
 * Makes a used block of `order` one of `larger` where it lies, with this tag,
 * by the free buddies behind it. False, and nothing has changed: one of them is
 * not free as a whole, or lies before it. O(larger - order).
 */
bool loam_buddy_extend(struct loam_buddy *buddy, loam_pfn_t pfn, unsigned order,
		       unsigned larger, uint32_t tag);

/*
 * Takes exactly [first, first + count), all of it free, out of the blocks it
 * lies in; each frame's tag becomes `tag`.
 */
void loam_buddy_carve(struct loam_buddy *buddy, loam_pfn_t first,
		      loam_pfn_t count, uint32_t tag);

/* True if the block is on the free list of exactly this order. O(1). */
bool loam_buddy_is_free(const struct loam_buddy *buddy, loam_pfn_t pfn,
			unsigned order);

/*
 * The head and order of the block that pfn lies in, free or not: false if it
 * lies in none. Slabs have no head to be found this way. O(max_order).
 */
bool loam_buddy_find(const struct loam_buddy *buddy, loam_pfn_t pfn,
		     loam_pfn_t *head, unsigned *order);

/* True if the chunk that pfn lies in was ever given a frame. O(1). */
bool loam_buddy_has_chunk(const struct loam_buddy *buddy, loam_pfn_t pfn);

/*
 * 0, or -LOAM_EFAULT (logged) unless lists, map, tags and counts agree within
 * the first `size` frames and no two free buddies are left unmerged. O(size).
 */
int loam_buddy_check(const struct loam_buddy *buddy, loam_pfn_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* The best-fit heap: a break, linked blocks, free ones in an ordered array. */
#include "heap_int.h"

/*
 * Best fit over a moving break
 * ============================
 *
 *   start      start + 4 KiB                      brk      last page    limit
 *   |  array   | H block | H block | H block |      |          |          |
 *   |<- 4 KiB->|                                    |  mapped->|          |
 *
 * The heap is a region whose end, the break, moves as it does under sbrk():
 * what no free block can serve is taken from the break on, and pages are mapped
 * as the break crosses into them. Every block, live or free, has a header of 16
 * bytes (H), by which all blocks form one doubly linked list in the order of
 * their addresses, without gaps. The free ones are also in an array, ordered by
 * size and then by address, which is the first page of the range: 4096 /
 * sizeof(pointer) entries. An entry is a word that has the block's size and
 * place, so that a search reads the array and nothing else; on 32-bit machines
 * there is room for the place alone, and the block itself is asked.
 *
 * Alloc finds by binary search the first entry that is large enough: best fit,
 * of equal ones the lowest address. A rest that can hold a header and 16 bytes
 * is split off and stays free; a smaller one is handed out with the block.
 * Free merges the block with both neighbours. If the result is the last block,
 * it is given up instead: the break falls back to its start, and every page
 * that lies wholly behind the break is returned, except the first one. The last
 * block is therefore never free.
 *
 * The array has a fixed size, and free blocks may be more than it can hold.
 * Those it has no room for are spilled: they are linked, through their unused
 * payload, into 64 lists, by exact size up to 1008 bytes and all larger ones
 * together. The array prefers the larger blocks, which are worth a search;
 * when there is room again, a block of the largest spilled size is entered. A
 * request looks in both places, and the break is not moved while any free block
 * would do. So as long as no more are free than the array holds, this is best
 * fit exactly. Beyond that it still is where the best block has 1008 bytes or
 * less, but equal ones are taken in no certain order; of larger spilled blocks
 * at most 32 are looked at when the array has one that will do.
 *
 * Cost, with n blocks in the array (at most 512 or 1024): alloc and free take
 * O(log n) comparisons, and move the entries on one side of the place, of the
 * shorter side where the array leaves room for that: it may begin and end
 * anywhere in its page. A request that would move the break while blocks above
 * 1008 bytes are spilled looks at all of these. With M bytes live in blocks of
 * up to m units, the heap can reach about m * M bytes under the worst sequence
 * (Robson 1977); under ordinary ones it is a few per cent above M.
 *
 * Sources: the break and sbrk() of Unix; best fit and boundaries between
 * blocks, Knuth, TAOCP 1, 2.5; the array, from the classic kernel heap
 * tutorials; Robson, The Computer Journal 20(3), 1977.
 *
 * Invariants, all verified by check:
 *
 *   - links forward and back agree, blocks tile [start + 4 KiB, brk), every
 *     header's magic number is that of its place and state;
 *   - no two free blocks are neighbours, and the last block is live;
 *   - the array is sorted and holds each free block whose magic says so, the
 *     spill lists the others, of which there are none unless the array is full;
 *   - start + 4 KiB <= brk <= last page + 4 KiB, brk lies beyond the start of
 *     the last page or nothing is live, and the pages up to it are the mapped
 *     ones.
 */

#define BESTFIT_UNIT 16u
#define BESTFIT_FIRST (LOAM_PAGE_SIZE / BESTFIT_UNIT) /* the first header */
#define BESTFIT_LOOKS 32u /* at large spilled blocks, when one is at hand */

/*
 * The header. Places and sizes count units of 16 bytes, places from the start
 * of the range, so that 0 is nowhere and 32 bits reach 64 GiB. The size can be
 * told from the links: it says the same again, and so finds their corruption.
 */
struct loam_heap_bestfit_block {
	uint32_t next; /* 0: this is the last */
	uint32_t prev; /* 0: this is the first */
	uint32_t size; /* of the payload */
	uint32_t magic;
};
LOAM_STATIC_ASSERT(sizeof(struct loam_heap_bestfit_block) == BESTFIT_UNIT,
		   "a header is one unit");
LOAM_STATIC_ASSERT(LOAM_HEAP_ALIGN == BESTFIT_UNIT, "so is the alignment");

/* What a spilled block's payload holds. */
struct bestfit_links {
	uint32_t next;
	uint32_t prev;
};

typedef struct loam_heap_bestfit_block block_t;

static inline block_t *bestfit_at(const struct loam_heap *heap, uint32_t unit)
{
	return (void *)(heap->start + (size_t)unit * BESTFIT_UNIT);
}

static inline uint32_t bestfit_unit(const struct loam_heap *heap,
				    const void *at)
{
	size_t offset = (uintptr_t)at - (uintptr_t)heap->start;
	return (uint32_t)(offset / BESTFIT_UNIT);
}

static inline uint32_t bestfit_end(const struct loam_heap *heap)
{
	return bestfit_unit(heap, heap->bestfit.brk);
}

static inline struct bestfit_links *bestfit_links(block_t *block)
{
	return (void *)(block + 1);
}

static inline void bestfit_mark(const struct loam_heap *heap, block_t *block,
				uint32_t magic)
{
	block->magic = magic ^ bestfit_unit(heap, block);
}

static inline bool bestfit_is(const struct loam_heap *heap,
			      const block_t *block, uint32_t magic)
{
	return (block->magic ^ bestfit_unit(heap, block)) == magic;
}

static inline bool bestfit_is_free(const struct loam_heap *heap,
				   const block_t *block)
{
	return bestfit_is(heap, block, HEAP_MAGIC_FREE) ||
	       bestfit_is(heap, block, HEAP_MAGIC_SPILLED);
}

/* ------------------------------------------------------------- soundness */

/*
 * A header that cannot be believed: every field is compared with another one.
 * Reads no other header, so that a sound block's links may be followed.
 */
static bool bestfit_is_whole(const struct loam_heap *heap, const block_t *block)
{
	uint32_t unit = bestfit_unit(heap, block);
	uint32_t end = bestfit_end(heap);
	uint32_t next = block->next == 0 ? end : block->next;
	return (bestfit_is(heap, block, HEAP_MAGIC_LIVE) ||
		bestfit_is_free(heap, block)) &&
	       block->size != 0 && next <= end && next > unit &&
	       next - unit - 1 == block->size &&
	       (block->prev == 0
			? unit == BESTFIT_FIRST
			: block->prev >= BESTFIT_FIRST && block->prev < unit);
}

/* Block and both neighbours are whole and know each other. */
static bool bestfit_is_sound(const struct loam_heap *heap, const block_t *block)
{
	if (!bestfit_is_whole(heap, block)) {
		return false;
	}
	uint32_t unit = bestfit_unit(heap, block);
	if (block->next != 0) {
		const block_t *next = bestfit_at(heap, block->next);
		if (next->prev != unit || !bestfit_is_whole(heap, next)) {
			return false;
		}
	} else if (unit != heap->bestfit.last_block) {
		return false;
	}
	if (block->prev != 0) {
		const block_t *prev = bestfit_at(heap, block->prev);
		if (prev->next != unit || !bestfit_is_whole(heap, prev)) {
			return false;
		}
	}
	return true;
}

/* The live block that address is the payload of, or NULL, reported. */
static block_t *bestfit_find(const struct loam_heap *heap, const void *address,
			     const char *verb, const void *caller)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	const unsigned char *from = heap->start + LOAM_PAGE_SIZE + BESTFIT_UNIT;
	if (heap_is_candidate(address, from, best->brk)) {
		block_t *block =
			bestfit_at(heap, bestfit_unit(heap, address) - 1);
		if (bestfit_is(heap, block, HEAP_MAGIC_LIVE) &&
		    bestfit_is_sound(heap, block)) {
			return block;
		}
	}
	loam_heap_misuse(heap, caller, verb, address);
	return NULL;
}

/* ------------------------------------------------------- the ordered array */

/*
 * What the array is ordered by, and an entry: on 64-bit machines all of it, on
 * 32-bit machines the place, which leads to the size.
 */
static inline uint64_t bestfit_key(uint32_t size, uint32_t unit)
{
	return (uint64_t)size << 32 | unit;
}

static inline uint64_t bestfit_entry_key(const struct loam_heap *heap,
					 uintptr_t entry)
{
	uint32_t unit = (uint32_t)entry;
	return sizeof(entry) == sizeof(uint64_t)
		       ? entry
		       : bestfit_key(bestfit_at(heap, unit)->size, unit);
}

static inline block_t *bestfit_entry_block(const struct loam_heap *heap,
					   uint32_t at)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	return bestfit_at(heap, (uint32_t)best->array[best->begin + at]);
}

/* How many entries come before (size, unit): the index of the first other. */
static uint32_t bestfit_search(const struct loam_heap *heap, uint32_t size,
			       uint32_t unit)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	const uintptr_t *from = best->array + best->begin;
	uint64_t key = bestfit_key(size, unit);
	uint32_t low = 0;
	/* Without a branch on what is read, which would be a guess. */
	for (uint32_t left = best->count; left > 0;) {
		uint32_t half = (left + 1) / 2;
		bool before =
			bestfit_entry_key(heap, from[low + half - 1]) < key;
		low += before ? half : 0;
		left = before ? left - half : half - 1;
	}
	return low;
}

/* Inserts by moving the entries of the shorter side that has room. */
static void bestfit_array_insert(struct loam_heap *heap, block_t *block)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t unit = bestfit_unit(heap, block);
	uint32_t at = bestfit_search(heap, block->size, unit);
	uint32_t behind = best->count - at;
	uintptr_t *from = best->array + best->begin;
	LOAM_ASSERT(best->count < LOAM_HEAP_ARRAY_ENTRIES);
	if (best->begin > 0 &&
	    (at <= behind ||
	     best->begin + best->count == LOAM_HEAP_ARRAY_ENTRIES)) {
		memmove(from - 1, from, at * sizeof(*from));
		best->begin--;
	} else {
		memmove(&from[at + 1], &from[at], behind * sizeof(*from));
	}
	best->array[best->begin + at] =
		(uintptr_t)bestfit_key(block->size, unit);
	best->count++;
	bestfit_mark(heap, block, HEAP_MAGIC_FREE);
}

static void bestfit_array_remove(struct loam_heap *heap, uint32_t at)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	uintptr_t *from = best->array + best->begin;
	uint32_t behind = best->count - at - 1;
	if (at < behind) {
		memmove(from + 1, from, at * sizeof(*from));
		best->begin++;
	} else {
		memmove(&from[at], &from[at + 1], behind * sizeof(*from));
	}
	best->count--;
}

/* The index of a block that the array has. */
static uint32_t bestfit_array_find(const struct loam_heap *heap,
				   const block_t *block)
{
	uint32_t at =
		bestfit_search(heap, block->size, bestfit_unit(heap, block));
	/* A write to freed memory may have changed what we sort by. */
	LOAM_VERIFY(at < heap->bestfit.count &&
		    bestfit_entry_block(heap, at) == block);
	return at;
}

/* ------------------------------------------------------------- spill lists */

/* Sizes 1 to 63 have a list each; the last list has all others. */
static inline uint32_t bestfit_list(uint32_t size)
{
	return (size < LOAM_HEAP_SPILL_LISTS ? size : LOAM_HEAP_SPILL_LISTS) -
	       1;
}

static void bestfit_spill(struct loam_heap *heap, block_t *block)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t list = bestfit_list(block->size);
	uint32_t unit = bestfit_unit(heap, block);
	uint32_t head = best->spill[list];
	*bestfit_links(block) = (struct bestfit_links){ .next = head };
	if (head != 0) {
		bestfit_links(bestfit_at(heap, head))->prev = unit;
	}
	best->spill[list] = unit;
	best->spilled++;
	loam_bitmap_set(best->spill_map, list);
	bestfit_mark(heap, block, HEAP_MAGIC_SPILLED);
}

/* The spilled block at unit, which a link of freed memory may have led to. */
static block_t *bestfit_spilled(const struct loam_heap *heap, uint32_t unit)
{
	LOAM_VERIFY(unit >= BESTFIT_FIRST && unit < bestfit_end(heap));
	block_t *block = bestfit_at(heap, unit);
	LOAM_VERIFY(bestfit_is(heap, block, HEAP_MAGIC_SPILLED));
	return block;
}

static void bestfit_unspill(struct loam_heap *heap, block_t *block)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t list = bestfit_list(block->size);
	uint32_t unit = bestfit_unit(heap, block);
	struct bestfit_links links = *bestfit_links(block);
	if (links.next != 0) {
		block_t *next = bestfit_spilled(heap, links.next);
		LOAM_VERIFY(bestfit_links(next)->prev == unit);
		bestfit_links(next)->prev = links.prev;
	}
	if (links.prev != 0) {
		block_t *prev = bestfit_spilled(heap, links.prev);
		LOAM_VERIFY(bestfit_links(prev)->next == unit);
		bestfit_links(prev)->next = links.next;
	} else {
		LOAM_VERIFY(best->spill[list] == unit);
		best->spill[list] = links.next;
		if (links.next == 0) {
			loam_bitmap_clear(best->spill_map, list);
		}
	}
	best->spilled--;
}

/*
 * The best spilled block of at least `size` units or NULL; of the large ones,
 * only the best among the first `looks`.
 */
static block_t *bestfit_find_spilled(const struct loam_heap *heap,
				     uint32_t size, uint32_t looks)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t list = (uint32_t)loam_bitmap_find(
		best->spill_map, LOAM_HEAP_SPILL_LISTS, bestfit_list(size));
	if (list == LOAM_HEAP_SPILL_LISTS) {
		return NULL;
	}
	if (list < LOAM_HEAP_SPILL_LISTS - 1) {
		return bestfit_spilled(heap, best->spill[list]);
	}
	block_t *found = NULL;
	for (uint32_t unit = best->spill[list]; unit != 0 && looks > 0;
	     looks--) {
		block_t *block = bestfit_spilled(heap, unit);
		if (block->size >= size &&
		    (found == NULL || block->size < found->size)) {
			found = block;
		}
		unit = bestfit_links(block)->next;
	}
	return found;
}

/* ------------------------------------------------------------- free blocks */

/* Enters a block that is in nobody's hands; the larger ones have precedence. */
static void bestfit_enter(struct loam_heap *heap, block_t *block)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	if (best->count == LOAM_HEAP_ARRAY_ENTRIES) {
		block_t *smallest = bestfit_entry_block(heap, 0);
		if (block->size <= smallest->size) {
			bestfit_spill(heap, block);
			return;
		}
		bestfit_array_remove(heap, 0);
		bestfit_spill(heap, smallest);
	}
	bestfit_array_insert(heap, block);
}

/* Takes a free block, which is known to be whole, out of where it is. */
static void bestfit_leave(struct loam_heap *heap, block_t *block)
{
	LOAM_ASSERT(bestfit_is_whole(heap, block));
	if (bestfit_is(heap, block, HEAP_MAGIC_SPILLED)) {
		bestfit_unspill(heap, block);
	} else {
		bestfit_array_remove(heap, bestfit_array_find(heap, block));
	}
}

/* Enters spilled blocks again for as long as there are some and room. */
static void bestfit_refill(struct loam_heap *heap)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	while (best->spilled > 0 && best->count < LOAM_HEAP_ARRAY_ENTRIES) {
		uint32_t list = LOAM_HEAP_SPILL_LISTS - 1;
		while (best->spill[list] == 0) {
			LOAM_VERIFY(list > 0);
			list--;
		}
		block_t *block = bestfit_spilled(heap, best->spill[list]);
		bestfit_unspill(heap, block);
		bestfit_array_insert(heap, block);
	}
}

/*
 * The smallest free block of at least size units, taken out of where it was; or
 * NULL.
 */
static block_t *bestfit_choose(struct loam_heap *heap, uint32_t size)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t at = bestfit_search(heap, size, 0);
	block_t *block =
		at < best->count ? bestfit_entry_block(heap, at) : NULL;
	if (best->spilled > 0) {
		block_t *spilled = bestfit_find_spilled(
			heap, size,
			block == NULL ? (uint32_t)-1 : BESTFIT_LOOKS);
		if (spilled != NULL &&
		    (block == NULL || spilled->size < block->size)) {
			LOAM_VERIFY(bestfit_is_whole(heap, spilled));
			bestfit_unspill(heap, spilled);
			return spilled;
		}
	}
	if (block != NULL) {
		LOAM_VERIFY(bestfit_is_whole(heap, block) &&
			    block->size >= size);
		bestfit_array_remove(heap, at);
	}
	return block;
}

/* ------------------------------------------------------------- the break */

/* Moves the break up by `units`, mapping what it crosses into. */
static bool bestfit_grow(struct loam_heap *heap, size_t units)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	unsigned char *limit = heap->start + heap->size_bytes;
	if (units > (size_t)(limit - best->brk) / BESTFIT_UNIT) {
		return false;
	}
	unsigned char *brk = best->brk + units * BESTFIT_UNIT;
	unsigned char *mapped_end = best->last_page + LOAM_PAGE_SIZE;
	if (brk > mapped_end) {
		size_t pages = loam_pages_of((size_t)(brk - mapped_end));
		if (!loam_heap_map(heap, mapped_end, pages)) {
			return false;
		}
		best->last_page += pages * LOAM_PAGE_SIZE;
	}
	best->brk = brk;
	return true;
}

/* Moves the break down to `brk` and returns the pages behind it. */
static void bestfit_contract(struct loam_heap *heap, unsigned char *brk)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	size_t offset = (size_t)(brk - heap->start);
	size_t first_page = LOAM_PAGE_SIZE;
	size_t last = loam_size_round_up(offset, LOAM_PAGE_SIZE);
	last -= last > first_page ? LOAM_PAGE_SIZE : 0;
	unsigned char *last_page = heap->start + last;
	best->brk = brk;
	loam_heap_unmap(heap, last_page + LOAM_PAGE_SIZE,
			(size_t)(best->last_page - last_page) >>
				LOAM_PAGE_SHIFT);
	best->last_page = last_page;
}

/* ------------------------------------------------------------- blocks */

/* Makes `block` end where `next` (0: the break) begins. */
static void bestfit_join(struct loam_heap *heap, block_t *block, uint32_t next)
{
	uint32_t unit = bestfit_unit(heap, block);
	block->next = next;
	if (next != 0) {
		bestfit_at(heap, next)->prev = unit;
	} else {
		heap->bestfit.last_block = unit;
	}
	block->size = (next != 0 ? next : bestfit_end(heap)) - unit - 1;
}

/* Frees a block that is neither live nor entered, after all was verified. */
static void bestfit_release(struct loam_heap *heap, block_t *block)
{
	if (block->next != 0) {
		block_t *next = bestfit_at(heap, block->next);
		if (bestfit_is_free(heap, next)) {
			uint32_t behind = next->next;
			bestfit_leave(heap, next);
			next->magic = 0;
			bestfit_join(heap, block, behind);
		}
	}
	if (block->prev != 0) {
		block_t *prev = bestfit_at(heap, block->prev);
		if (bestfit_is_free(heap, prev)) {
			bestfit_leave(heap, prev);
			block->magic = 0;
			bestfit_join(heap, prev, block->next);
			block = prev;
		}
	}
	if (block->next != 0) {
		bestfit_enter(heap, block);
	} else {
		uint32_t prev = block->prev;
		block->magic = 0;
		heap->bestfit.last_block = prev;
		if (prev != 0) {
			bestfit_at(heap, prev)->next = 0;
		}
		bestfit_contract(heap, (unsigned char *)block);
	}
	bestfit_refill(heap);
}

/* Cuts a live block to `size` units and frees the rest, if it can be one. */
static void bestfit_trim(struct loam_heap *heap, block_t *block, uint32_t size)
{
	if (block->size - size < 2) {
		return;
	}
	uint32_t unit = bestfit_unit(heap, block);
	uint32_t rest = unit + 1 + size;
	block_t *tail = bestfit_at(heap, rest);
	tail->prev = unit;
	bestfit_join(heap, tail, block->next);
	bestfit_join(heap, block, rest);
	bestfit_release(heap, tail);
}

/* A new last block of `size` units, or NULL. */
static block_t *bestfit_append(struct loam_heap *heap, uint32_t size)
{
	uint32_t unit = bestfit_end(heap);
	uint32_t prev = heap->bestfit.last_block;
	if (!bestfit_grow(heap, (size_t)size + 1)) {
		return NULL;
	}
	block_t *block = bestfit_at(heap, unit);
	block->prev = prev;
	bestfit_join(heap, block, 0);
	if (prev != 0) {
		bestfit_at(heap, prev)->next = unit;
	}
	return block;
}

/*
 * Makes a live block at least `size` units large where it is: into a free
 * neighbour behind it, or by the break.
 */
static bool bestfit_extend(struct loam_heap *heap, block_t *block,
			   uint32_t size)
{
	if (block->next == 0) {
		if (!bestfit_grow(heap, size - block->size)) {
			return false;
		}
		bestfit_join(heap, block, 0);
		return true;
	}
	block_t *next = bestfit_at(heap, block->next);
	if (!bestfit_is_free(heap, next) ||
	    size - block->size > next->size + 1) {
		return false;
	}
	uint32_t behind = next->next;
	bestfit_leave(heap, next);
	next->magic = 0;
	bestfit_join(heap, block, behind);
	bestfit_trim(heap, block, size);
	bestfit_refill(heap);
	return true;
}

/* ------------------------------------------------------------- operations */

static int bestfit_create(struct loam_heap *heap,
			  const struct loam_heap_config *config)
{
	struct loam_heap_bestfit *best = &heap->bestfit;
	if (config->owner == NULL || heap->size_bytes < 2 * LOAM_PAGE_SIZE) {
		return -LOAM_EINVAL;
	}
	/* The array's page is there and filled before the heap's first page. */
	if (!loam_heap_map(heap, heap->start, 1)) {
		return -LOAM_ENOMEM;
	}
	best->array = (void *)heap->start;
	memset(heap->start, 0, LOAM_PAGE_SIZE);
	if (!loam_heap_map(heap, heap->start + LOAM_PAGE_SIZE, 1)) {
		loam_heap_unmap(heap, heap->start, 1);
		return -LOAM_ENOMEM;
	}
	best->brk = heap->start + LOAM_PAGE_SIZE;
	best->last_page = heap->start + LOAM_PAGE_SIZE;
	return 0;
}

static void bestfit_destroy(struct loam_heap *heap)
{
	loam_heap_unmap(heap, heap->start, heap->mapped_pages);
}

static void *bestfit_alloc(struct loam_heap *heap, size_t size_bytes)
{
	if (size_bytes == 0) {
		return NULL;
	}
	block_t *block = NULL;
	if (heap_can_hold(heap, size_bytes)) {
		uint32_t size = (uint32_t)((size_bytes + BESTFIT_UNIT - 1) /
					   BESTFIT_UNIT);
		block = bestfit_choose(heap, size);
		if (block != NULL) {
			bestfit_mark(heap, block, HEAP_MAGIC_LIVE);
			bestfit_trim(heap, block, size);
			bestfit_refill(heap);
		} else {
			block = bestfit_append(heap, size);
		}
	}
	if (block == NULL) {
		heap->failed++;
		return NULL;
	}
	bestfit_mark(heap, block, HEAP_MAGIC_LIVE);
	heap_count_alloc(heap, (size_t)block->size * BESTFIT_UNIT);
	return block + 1;
}

static void bestfit_free(struct loam_heap *heap, void *address,
			 const void *caller)
{
	if (address == NULL) {
		return;
	}
	block_t *block = bestfit_find(heap, address, "free", caller);
	if (block != NULL) {
		heap_count_free(heap, (size_t)block->size * BESTFIT_UNIT);
		bestfit_release(heap, block);
	}
}

static void *bestfit_resize(struct loam_heap *heap, void *address,
			    size_t size_bytes, const void *caller)
{
	if (address == NULL) {
		return bestfit_alloc(heap, size_bytes);
	}
	if (size_bytes == 0) {
		bestfit_free(heap, address, caller);
		return NULL;
	}
	block_t *block = bestfit_find(heap, address, "resize", caller);
	if (block == NULL) {
		return NULL;
	}
	if (!heap_can_hold(heap, size_bytes)) {
		heap->failed++;
		return NULL;
	}
	uint32_t size =
		(uint32_t)((size_bytes + BESTFIT_UNIT - 1) / BESTFIT_UNIT);
	size_t old_bytes = (size_t)block->size * BESTFIT_UNIT;
	if (size <= block->size) {
		bestfit_trim(heap, block, size);
	} else if (!bestfit_extend(heap, block, size)) {
		void *moved = bestfit_alloc(heap, size_bytes);
		if (moved != NULL) {
			memcpy(moved, address, old_bytes);
			bestfit_free(heap, address, caller);
		}
		return moved;
	}
	heap->live_bytes -= old_bytes;
	heap_grew(heap, (size_t)block->size * BESTFIT_UNIT);
	return address;
}

static size_t bestfit_usable(const struct loam_heap *heap, const void *address,
			     const void *caller)
{
	const block_t *block = bestfit_find(heap, address, "usable", caller);
	return block == NULL ? 0 : (size_t)block->size * BESTFIT_UNIT;
}

static bool bestfit_walk(const struct loam_heap *heap,
			 struct loam_heap_block *out)
{
	uint32_t unit = BESTFIT_FIRST;
	if (out->address != NULL) {
		uint32_t from = bestfit_unit(heap, out->address) - 1;
		unit = bestfit_at(heap, from)->next;
		if (out->state == LOAM_HEAP_BROKEN || unit == 0) {
			return false;
		}
	} else if (heap->bestfit.last_block == 0) {
		return false;
	}
	block_t *block = bestfit_at(heap, unit);
	bool sound = bestfit_is_whole(heap, block) &&
		     (out->address == NULL ||
		      block->prev == bestfit_unit(heap, out->address) - 1);
	*out = (struct loam_heap_block){
		.address = (unsigned char *)(block + 1),
		.size_bytes = sound ? (size_t)block->size * BESTFIT_UNIT : 0,
		.header_bytes = BESTFIT_UNIT,
		.state = !sound                         ? LOAM_HEAP_BROKEN
			 : bestfit_is_free(heap, block) ? LOAM_HEAP_FREE
							: LOAM_HEAP_LIVE,
	};
	return true;
}

/* ------------------------------------------------------------- check */

/* The list in both directions, tiling, merging; counts free blocks. */
static int bestfit_check_blocks(const struct loam_heap *heap,
				uint32_t *in_array, uint32_t *spilled)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t unit = best->last_block == 0 ? 0 : BESTFIT_FIRST;
	uint32_t prev = 0;
	bool after_free = false;
	LOAM_CHECK(unit != 0 || bestfit_end(heap) == BESTFIT_FIRST);
	while (unit != 0) {
		const block_t *block = bestfit_at(heap, unit);
		bool is_free = bestfit_is_free(heap, block);
		if (!bestfit_is_whole(heap, block) || block->prev != prev) {
			loam_log(LOAM_LOG_ERROR,
				 "check: heap bestfit: broken header at %p",
				 (const void *)block);
			return -LOAM_EFAULT;
		}
		LOAM_CHECK(!is_free || !after_free);
		LOAM_CHECK(!is_free || block->next != 0);
		*in_array += bestfit_is(heap, block, HEAP_MAGIC_FREE);
		*spilled += bestfit_is(heap, block, HEAP_MAGIC_SPILLED);
		after_free = is_free;
		prev = unit;
		unit = block->next;
	}
	LOAM_CHECK(prev == best->last_block);
	return 0;
}

static int bestfit_check_array(const struct loam_heap *heap)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	uint64_t before = 0;
	LOAM_CHECK(best->count <= LOAM_HEAP_ARRAY_ENTRIES);
	LOAM_CHECK(best->begin <= LOAM_HEAP_ARRAY_ENTRIES - best->count);
	for (uint32_t i = 0; i < best->count; i++) {
		uintptr_t entry = best->array[best->begin + i];
		LOAM_CHECK((uint32_t)entry >= BESTFIT_FIRST);
		LOAM_CHECK((uint32_t)entry < bestfit_end(heap));
		const block_t *block = bestfit_entry_block(heap, i);
		uint64_t key = bestfit_key(block->size, (uint32_t)entry);
		LOAM_CHECK(bestfit_is(heap, block, HEAP_MAGIC_FREE));
		LOAM_CHECK(bestfit_entry_key(heap, entry) == key);
		LOAM_CHECK(before < key);
		before = key;
	}
	return 0;
}

static int bestfit_check_spill(const struct loam_heap *heap)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t count = 0;
	for (uint32_t list = 0; list < LOAM_HEAP_SPILL_LISTS; list++) {
		uint32_t prev = 0;
		LOAM_CHECK(loam_bitmap_test(best->spill_map, list) ==
			   (best->spill[list] != 0));
		for (uint32_t unit = best->spill[list]; unit != 0;) {
			LOAM_CHECK(unit >= BESTFIT_FIRST &&
				   unit < bestfit_end(heap));
			block_t *block = bestfit_at(heap, unit);
			LOAM_CHECK(bestfit_is(heap, block, HEAP_MAGIC_SPILLED));
			LOAM_CHECK(bestfit_list(block->size) == list);
			LOAM_CHECK(bestfit_links(block)->prev == prev);
			LOAM_CHECK(count < best->spilled);
			count++;
			prev = unit;
			unit = bestfit_links(block)->next;
		}
	}
	LOAM_CHECK(count == best->spilled);
	LOAM_CHECK(count == 0 || best->count == LOAM_HEAP_ARRAY_ENTRIES);
	return 0;
}

static int bestfit_check_break(const struct loam_heap *heap)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	const unsigned char *base = heap->start + LOAM_PAGE_SIZE;
	LOAM_CHECK((const void *)best->array == heap->start);
	LOAM_CHECK((uintptr_t)best->last_page % LOAM_PAGE_SIZE == 0);
	LOAM_CHECK(best->brk >= base);
	LOAM_CHECK(best->brk <= best->last_page + LOAM_PAGE_SIZE);
	LOAM_CHECK(best->brk > best->last_page || best->last_page == base);
	LOAM_CHECK(best->last_page < heap->start + heap->size_bytes);
	LOAM_CHECK(
		((size_t)(best->last_page - heap->start) >> LOAM_PAGE_SHIFT) +
			1 ==
		heap->mapped_pages);
	return 0;
}

static int bestfit_check(const struct loam_heap *heap)
{
	const struct loam_heap_bestfit *best = &heap->bestfit;
	uint32_t in_array = 0;
	uint32_t spilled = 0;
	int error = bestfit_check_break(heap);
	if (error == 0) {
		error = bestfit_check_blocks(heap, &in_array, &spilled);
	}
	if (error == 0) {
		error = bestfit_check_array(heap);
	}
	if (error == 0) {
		error = bestfit_check_spill(heap);
	}
	if (error != 0) {
		return error;
	}
	LOAM_CHECK(best->count == in_array);
	LOAM_CHECK(best->spilled == spilled);
	return loam_heap_check_counters(heap);
}

const struct loam_heap_ops loam_heap_bestfit = {
	.name = "bestfit",
	.max_bytes = (size_t)-1,
	.align_bytes = LOAM_HEAP_ALIGN,
	.create = bestfit_create,
	.alloc = bestfit_alloc,
	.free = bestfit_free,
	.resize = bestfit_resize,
	.usable = bestfit_usable,
	.walk = bestfit_walk,
	.check = bestfit_check,
	.destroy = bestfit_destroy,
};

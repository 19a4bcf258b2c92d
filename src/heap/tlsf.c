/* SPDX-License-Identifier: MIT */
/* The TLSF heap: two-level segregated fit, every operation in constant time. */
#include "heap_int.h"

/*
 * Two-level segregated fit
 * ========================
 *
 *   start    first                                             end
 *   | lists  h payload     h payload     h payload         h   h  not mapped
 *            |<- t units ->|             |<-- free ------->|   sentinel
 *
 * Free blocks are kept in lists by size, and the lists are found by arithmetic.
 * The first level is the power of two below the size, the second cuts each
 * power into 32 equal steps; sizes below 32 units of 16 bytes have a list each.
 * One word has a bit for each power with free blocks, and a word for each power
 * has one for each step. A request is rounded up to the next step, so that any
 * block of the list it leads to, or of a higher one, is large enough; two bit
 * scans find the lowest list that has a block, and its first one is taken. When
 * there is none, the first block of the list that the size itself belongs to is
 * looked at. Then pages are mapped behind the end, 16 or as many as it takes;
 * when the last block is free and 32 pages of it or more are not needed, all
 * but 16 are returned.
 *
 * A block has a header h of 8 bytes: its size with two flags (free; the block
 * before is free) and a check word, made of place, size and flags. Headers lie
 * 8 bytes before a multiple of 16, so that payloads are aligned and of t units
 * 8 bytes are lost. The payload of a free block holds its list's links, and its
 * last 8 bytes a footer, its size, by which the block behind finds its start
 * (boundary tags). The pages end with the header of a live block of size 0.
 *
 *   free block    h | next | prev |  ...  | footer | h ...
 *
 * Cost: alloc, free, usable and resize in place are O(1), whatever the state,
 * but for the owner's work when pages are mapped or returned, and the copy when
 * resize moves. Fragmentation: rounding up to a step passes over at most 1/32
 * of a block; the worst case is that of good-fit policies, about M log2 n for M
 * bytes of live memory in blocks of up to n units.
 *
 * Sources: Masmano, Ripoll, Crespo and Real, TLSF: a New Dynamic Memory
 * Allocator for Real-Time Systems, ECRTS 2004; boundary tags, Knuth, TAOCP 1,
 * 2.5.
 *
 * Invariants, all verified by check:
 *
 *   - blocks tile the range from the first to the sentinel, check words hold;
 *   - each free block is in the list of its size, has its footer, and is known
 *     as free to the block behind it; no two of them are neighbours;
 *   - a bit is set exactly where a list has blocks, links agree both ways;
 *   - the pages up to end are the mapped ones.
 */

#define TLSF_UNIT 16u
#define TLSF_PAGE_UNITS (LOAM_PAGE_SIZE / TLSF_UNIT)
#define TLSF_STEP_SHIFT 5u
#define TLSF_STEPS (1u << TLSF_STEP_SHIFT) /* of the second level */
#define TLSF_POWERS 26u /* of the first: sizes up to 2^30 - 1 units */
#define TLSF_MIN 2u     /* units: header, links and footer */
#define TLSF_MIX 0x9e3779b1u

#define TLSF_FREE 1u
#define TLSF_PREV_FREE 2u
#define TLSF_SIZE_SHIFT 2u

/* Blocks are named by the units of their payloads; 0 is none. */
struct loam_heap_tlsf_lists {
	uint32_t powers;
	uint32_t steps[TLSF_POWERS];
	uint32_t heads[TLSF_POWERS * TLSF_STEPS];
};
LOAM_STATIC_ASSERT(sizeof(struct loam_heap_tlsf_lists) + 64 <= LOAM_PAGE_SIZE,
		   "the lists leave room for a block in the first page");

struct tlsf_header {
	uint32_t word; /* size in units, and the flags */
	uint32_t check;
};

struct tlsf_links {
	uint32_t next;
	uint32_t prev;
};

static inline void *tlsf_at(const struct loam_heap *heap, uint32_t block)
{
	return heap->start + (size_t)block * TLSF_UNIT;
}

static inline uint32_t tlsf_block(const struct loam_heap *heap,
				  const void *payload)
{
	size_t offset = (uintptr_t)payload - (uintptr_t)heap->start;
	return (uint32_t)(offset / TLSF_UNIT);
}

static inline struct tlsf_header *tlsf_header(const struct loam_heap *heap,
					      uint32_t block)
{
	return (struct tlsf_header *)tlsf_at(heap, block) - 1;
}

static inline struct tlsf_links *tlsf_links(const struct loam_heap *heap,
					    uint32_t block)
{
	return tlsf_at(heap, block);
}

/* The footer of the free block that ends where `block`'s header begins. */
static inline uint32_t *tlsf_footer(const struct loam_heap *heap,
				    uint32_t block)
{
	return (uint32_t *)tlsf_at(heap, block) - 4;
}

static inline uint32_t tlsf_check_word(uint32_t block, uint32_t word)
{
	return (HEAP_MAGIC_LIVE ^ block) + word * TLSF_MIX;
}

static inline void tlsf_set(const struct loam_heap *heap, uint32_t block,
			    uint32_t word)
{
	*tlsf_header(heap, block) = (struct tlsf_header){
		.word = word,
		.check = tlsf_check_word(block, word),
	};
}

static inline uint32_t tlsf_size(const struct loam_heap *heap, uint32_t block)
{
	return tlsf_header(heap, block)->word >> TLSF_SIZE_SHIFT;
}

static inline size_t tlsf_usable_bytes(uint32_t size)
{
	return (size_t)size * TLSF_UNIT - sizeof(struct tlsf_header);
}

/* ------------------------------------------------------------- soundness */

/* A header that can be believed; the sentinel's is one. Reads no other. */
static inline bool tlsf_is_whole(const struct loam_heap *heap, uint32_t block)
{
	const struct tlsf_header *header = tlsf_header(heap, block);
	uint32_t size = header->word >> TLSF_SIZE_SHIFT;
	return header->check == tlsf_check_word(block, header->word) &&
	       (block == heap->tlsf.end ? size == 0 : size >= TLSF_MIN) &&
	       size <= heap->tlsf.end - block;
}

static inline bool tlsf_is_free(const struct loam_heap *heap, uint32_t block)
{
	return (tlsf_header(heap, block)->word & TLSF_FREE) != 0;
}

/* The free block before `block`, whose header says there is one; 0: it lies. */
static uint32_t tlsf_before(const struct loam_heap *heap, uint32_t block)
{
	uint32_t size = *tlsf_footer(heap, block);
	if (size < TLSF_MIN || size > block - heap->tlsf.first) {
		return 0;
	}
	uint32_t before = block - size;
	return tlsf_is_whole(heap, before) && tlsf_is_free(heap, before) &&
			       tlsf_size(heap, before) == size
		       ? before
		       : 0;
}

/*
 * The check word is right. Since it changes with every bit of place, size and
 * flags, so are these, but for one corruption in 2^32 that hits both words.
 */
static inline bool tlsf_is_intact(const struct loam_heap *heap, uint32_t block)
{
	const struct tlsf_header *header = tlsf_header(heap, block);
	return header->check == tlsf_check_word(block, header->word);
}

/*
 * A live block whose header and neighbours can be believed. *before is the free
 * block before it, or 0.
 */
static inline bool tlsf_is_sound(const struct loam_heap *heap, uint32_t block,
				 uint32_t *before)
{
	uint32_t word = tlsf_header(heap, block)->word;
	*before = 0;
	if (!tlsf_is_intact(heap, block) || (word & TLSF_FREE) != 0 ||
	    !tlsf_is_intact(heap, block + (word >> TLSF_SIZE_SHIFT))) {
		return false;
	}
	if ((word & TLSF_PREV_FREE) == 0) {
		return true;
	}
	*before = tlsf_before(heap, block);
	return *before != 0;
}

/*
 * The live block that address is the payload of, or 0, reported; and the free
 * one before it, or 0.
 */
static inline uint32_t tlsf_find(const struct loam_heap *heap,
				 const void *address, const char *verb,
				 const void *caller, uint32_t *before)
{
	const struct loam_heap_tlsf *tlsf = &heap->tlsf;
	if (heap_is_candidate(address, tlsf_at(heap, tlsf->first),
			      tlsf_at(heap, tlsf->end))) {
		uint32_t block = tlsf_block(heap, address);
		if (LOAM_LIKELY(tlsf_is_sound(heap, block, before))) {
			return block;
		}
	}
	loam_heap_misuse(heap, caller, verb, address);
	return 0;
}

/* ------------------------------------------------------------- the lists */

/*
 * The list of a size: its power times 32, and its step. How many bits of the
 * size the steps do not tell apart, none below 64, is its shift.
 */
static inline unsigned tlsf_shift(uint32_t size)
{
	return loam_log2_floor(size | TLSF_STEPS) - TLSF_STEP_SHIFT;
}

static inline uint32_t tlsf_list(uint32_t size)
{
	unsigned shift = tlsf_shift(size);
	return shift * TLSF_STEPS + (size >> shift);
}

static inline void tlsf_insert(struct loam_heap *heap, uint32_t block,
			       uint32_t size)
{
	struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	uint32_t list = tlsf_list(size);
	uint32_t next = lists->heads[list];
	*tlsf_links(heap, block) = (struct tlsf_links){ .next = next };
	lists->heads[list] = block;
	if (next != 0) {
		tlsf_links(heap, next)->prev = block;
	}
	lists->powers |= 1u << (list / TLSF_STEPS);
	lists->steps[list / TLSF_STEPS] |= 1u << (list % TLSF_STEPS);
}

/* Takes the first block of a list off it. */
static inline void tlsf_remove_head(struct loam_heap *heap, uint32_t block,
				    uint32_t list)
{
	struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	struct tlsf_links links = *tlsf_links(heap, block);
	/* Links lie where a block's former user may still write. */
	LOAM_VERIFY(links.next < heap->tlsf.end && links.prev == 0);
	lists->heads[list] = links.next;
	if (links.next != 0) {
		LOAM_VERIFY(tlsf_links(heap, links.next)->prev == block);
		tlsf_links(heap, links.next)->prev = 0;
		return;
	}
	uint32_t power = list / TLSF_STEPS;
	lists->steps[power] &= ~(1u << (list % TLSF_STEPS));
	if (lists->steps[power] == 0) {
		lists->powers &= ~(1u << power);
	}
}

static void tlsf_remove(struct loam_heap *heap, uint32_t block, uint32_t size)
{
	struct tlsf_links links = *tlsf_links(heap, block);
	if (links.prev == 0) {
		uint32_t list = tlsf_list(size);
		LOAM_VERIFY(heap->tlsf.lists->heads[list] == block);
		tlsf_remove_head(heap, block, list);
		return;
	}
	LOAM_VERIFY(links.next < heap->tlsf.end);
	LOAM_VERIFY(links.prev < heap->tlsf.end);
	LOAM_VERIFY(tlsf_links(heap, links.prev)->next == block);
	tlsf_links(heap, links.prev)->next = links.next;
	if (links.next != 0) {
		LOAM_VERIFY(tlsf_links(heap, links.next)->prev == block);
		tlsf_links(heap, links.next)->prev = links.prev;
	}
}

/* A free block of at least `size` units, the first of *list; or 0. */
static inline uint32_t tlsf_search(const struct loam_heap *heap, uint32_t size,
				   uint32_t *list)
{
	const struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	unsigned shift = tlsf_shift(size);
	/* The list of a size that is a power, told with the shift below it. */
	uint32_t from =
		shift * TLSF_STEPS + ((size + (1u << shift) - 1) >> shift);
	uint32_t power = from / TLSF_STEPS;
	uint32_t steps = lists->steps[power] & (~0u << (from % TLSF_STEPS));
	if (steps == 0) {
		uint32_t powers = lists->powers & ((~0u << power) << 1);
		if (LOAM_UNLIKELY(powers == 0)) {
			*list = tlsf_list(size);
			uint32_t last = lists->heads[*list];
			return last != 0 && tlsf_size(heap, last) >= size ? last
									  : 0;
		}
		power = loam_lowest_bit(powers);
		steps = lists->steps[power];
	}
	*list = power * TLSF_STEPS + loam_lowest_bit(steps);
	return lists->heads[*list];
}

/* ------------------------------------------------------------- blocks */

/*
 * Makes [block, block + size) one free block, whose neighbours are live. The
 * one behind it knows already, or is told by the caller.
 */
static inline void tlsf_make_free(struct loam_heap *heap, uint32_t block,
				  uint32_t size)
{
	tlsf_set(heap, block, size << TLSF_SIZE_SHIFT | TLSF_FREE);
	*tlsf_footer(heap, block + size) = size;
	tlsf_insert(heap, block, size);
}

/* Takes a free neighbour, which is known to be intact, off its list. */
static inline uint32_t tlsf_absorb(struct loam_heap *heap, uint32_t block)
{
	uint32_t size = tlsf_size(heap, block);
	LOAM_ASSERT(tlsf_is_whole(heap, block));
	tlsf_remove(heap, block, size);
	return size;
}

/*
 * Frees [block, block + size), and merges it with what is free behind it and
 * with the free block before it, unless that is 0.
 */
static LOAM_ALWAYS_INLINE uint32_t tlsf_release(struct loam_heap *heap,
						uint32_t block, uint32_t size,
						uint32_t before)
{
	uint32_t next = block + size;
	uint32_t word = tlsf_header(heap, next)->word;
	if ((word & TLSF_FREE) != 0) {
		/* The one behind that knows of a free block before it. */
		size += tlsf_absorb(heap, next);
		/* Nothing begins there any more. */
		tlsf_header(heap, next)->check = 0;
	} else {
		tlsf_set(heap, next, word | TLSF_PREV_FREE);
	}
	if (before != 0) {
		size += tlsf_absorb(heap, before);
		tlsf_header(heap, block)->check = 0;
		block = before;
	}
	tlsf_make_free(heap, block, size);
	return block;
}

/* Returns pages of a free last block, when many are not needed. */
static void tlsf_shrink_last(struct loam_heap *heap, uint32_t block)
{
	struct loam_heap_tlsf *tlsf = &heap->tlsf;
	uint32_t size = tlsf_size(heap, block);
	uint32_t keep = (block / TLSF_PAGE_UNITS + 1 + HEAP_SLACK_PAGES) *
			TLSF_PAGE_UNITS;
	if (tlsf->end < keep ||
	    tlsf->end - keep < HEAP_SLACK_PAGES * TLSF_PAGE_UNITS) {
		return;
	}
	tlsf_remove(heap, block, size);
	loam_heap_unmap(heap, tlsf_at(heap, keep),
			(tlsf->end - keep) / TLSF_PAGE_UNITS);
	tlsf->end = keep;
	tlsf_set(heap, keep, TLSF_PREV_FREE);
	tlsf_make_free(heap, block, keep - block);
}

/* As above, whichever free block it is. */
static inline void tlsf_shrink(struct loam_heap *heap, uint32_t block)
{
	if (LOAM_UNLIKELY(block + tlsf_size(heap, block) == heap->tlsf.end)) {
		tlsf_shrink_last(heap, block);
	}
}

/* Maps at least `units` more behind the end, merged with what is free. */
static bool tlsf_grow(struct loam_heap *heap, size_t units)
{
	struct loam_heap_tlsf *tlsf = &heap->tlsf;
	size_t left = (heap->size_bytes >> LOAM_PAGE_SHIFT) -
		      tlsf->end / TLSF_PAGE_UNITS;
	size_t need = (units + TLSF_PAGE_UNITS - 1) / TLSF_PAGE_UNITS;
	size_t ask = need > HEAP_SLACK_PAGES ? need : HEAP_SLACK_PAGES;
	ask = ask < left ? ask : left;
	if (need > left) {
		return false;
	}
	if (!loam_heap_map(heap, tlsf_at(heap, tlsf->end), ask)) {
		ask = need;
		if (!loam_heap_map(heap, tlsf_at(heap, tlsf->end), ask)) {
			return false;
		}
	}
	uint32_t block = tlsf->end;
	uint32_t size = (uint32_t)ask * TLSF_PAGE_UNITS;
	uint32_t before = 0;
	if ((tlsf_header(heap, block)->word & TLSF_PREV_FREE) != 0) {
		before = tlsf_before(heap, block);
		LOAM_VERIFY(before != 0);
	}
	tlsf->end += size;
	tlsf_set(heap, tlsf->end, 0);
	(void)tlsf_release(heap, block, size, before);
	return true;
}

/*
 * Makes a free block, which is in no list any more, live with `size` units; a
 * rest stays free. How many units it got.
 */
static inline uint32_t tlsf_take(struct loam_heap *heap, uint32_t block,
				 uint32_t size)
{
	uint32_t has = tlsf_size(heap, block);
	if (has - size >= TLSF_MIN) {
		tlsf_make_free(heap, block + size, has - size);
	} else {
		uint32_t next = block + has;
		tlsf_set(heap, next,
			 tlsf_header(heap, next)->word & ~TLSF_PREV_FREE);
		size = has;
	}
	tlsf_set(heap, block, size << TLSF_SIZE_SHIFT);
	return size;
}

/* Cuts a live block to `size` units, if the rest can be a block. */
static void tlsf_trim(struct loam_heap *heap, uint32_t block, uint32_t size)
{
	uint32_t word = tlsf_header(heap, block)->word;
	uint32_t has = word >> TLSF_SIZE_SHIFT;
	if (has - size >= TLSF_MIN) {
		uint32_t flags = word & TLSF_PREV_FREE;
		tlsf_set(heap, block, size << TLSF_SIZE_SHIFT | flags);
		tlsf_shrink(heap,
			    tlsf_release(heap, block + size, has - size, 0));
	}
}

/* Makes a live block at least `size` units large where it is, if it can be. */
static bool tlsf_extend(struct loam_heap *heap, uint32_t block, uint32_t size)
{
	uint32_t word = tlsf_header(heap, block)->word;
	uint32_t has = word >> TLSF_SIZE_SHIFT;
	uint32_t next = block + has;
	uint32_t room = tlsf_is_free(heap, next) ? tlsf_size(heap, next) : 0;
	if (room < size - has) {
		if (next + room != heap->tlsf.end ||
		    !tlsf_grow(heap, size - has - room)) {
			return false;
		}
	}
	has += tlsf_absorb(heap, next);
	tlsf_header(heap, next)->check = 0;
	tlsf_set(heap, block + has,
		 tlsf_header(heap, block + has)->word & ~TLSF_PREV_FREE);
	tlsf_set(heap, block, has << TLSF_SIZE_SHIFT | (word & TLSF_PREV_FREE));
	tlsf_trim(heap, block, size);
	return true;
}

/* ------------------------------------------------------------- operations */

/* Units of a block for a request, which is not larger than the range. */
static inline uint32_t tlsf_units(size_t size_bytes)
{
	size_t bytes = size_bytes + sizeof(struct tlsf_header) + TLSF_UNIT - 1;
	uint32_t size = (uint32_t)(bytes / TLSF_UNIT);
	return size < TLSF_MIN ? TLSF_MIN : size;
}

static int tlsf_create(struct loam_heap *heap,
		       const struct loam_heap_config *config)
{
	struct loam_heap_tlsf *tlsf = &heap->tlsf;
	(void)config;
	if (!loam_heap_map(heap, heap->start, 1)) {
		return -LOAM_ENOMEM;
	}
	size_t used = sizeof(*tlsf->lists) + sizeof(struct tlsf_header);
	tlsf->lists = (void *)heap->start;
	memset(tlsf->lists, 0, sizeof(*tlsf->lists));
	tlsf->first = (uint32_t)((used + TLSF_UNIT - 1) / TLSF_UNIT);
	tlsf->end = TLSF_PAGE_UNITS;
	tlsf_set(heap, tlsf->end, TLSF_PREV_FREE);
	tlsf_make_free(heap, tlsf->first, tlsf->end - tlsf->first);
	return 0;
}

static void tlsf_destroy(struct loam_heap *heap)
{
	loam_heap_unmap(heap, heap->start, heap->mapped_pages);
}

/*
 * When no list has a block for `size` units: the free block at the end, which
 * may be just large enough but not the first of its list, or more pages. It is
 * taken out of its list; 0: there are none.
 */
static LOAM_NOINLINE uint32_t tlsf_obtain(struct loam_heap *heap, uint32_t size)
{
	uint32_t end = heap->tlsf.end;
	uint32_t need = size;
	if ((tlsf_header(heap, end)->word & TLSF_PREV_FREE) != 0) {
		uint32_t has = *tlsf_footer(heap, end);
		LOAM_VERIFY(tlsf_before(heap, end) != 0);
		end -= has;
		need -= has < size ? has : size;
	}
	if (need > 0 && !tlsf_grow(heap, need)) {
		return 0;
	}
	tlsf_remove(heap, end, tlsf_size(heap, end));
	return end;
}

static void *tlsf_alloc(struct loam_heap *heap, size_t size_bytes)
{
	if (LOAM_UNLIKELY(!heap_can_hold(heap, size_bytes))) {
		heap->failed += size_bytes != 0;
		return NULL;
	}
	uint32_t size = tlsf_units(size_bytes);
	uint32_t list;
	uint32_t block = tlsf_search(heap, size, &list);
	if (LOAM_LIKELY(block != 0)) {
		LOAM_VERIFY(tlsf_is_intact(heap, block) &&
			    tlsf_is_free(heap, block));
		tlsf_remove_head(heap, block, list);
	} else {
		block = tlsf_obtain(heap, size);
		if (block == 0) {
			heap->failed++;
			return NULL;
		}
	}
	size = tlsf_take(heap, block, size);
	heap_count_alloc(heap, tlsf_usable_bytes(size));
	return tlsf_at(heap, block);
}

static void tlsf_free(struct loam_heap *heap, void *address, const void *caller)
{
	uint32_t before;
	if (address == NULL) {
		return;
	}
	uint32_t block = tlsf_find(heap, address, "free", caller, &before);
	if (block != 0) {
		uint32_t size = tlsf_size(heap, block);
		heap_count_free(heap, tlsf_usable_bytes(size));
		tlsf_shrink(heap, tlsf_release(heap, block, size, before));
	}
}

static void *tlsf_resize(struct loam_heap *heap, void *address,
			 size_t size_bytes, const void *caller)
{
	if (address == NULL) {
		return tlsf_alloc(heap, size_bytes);
	}
	if (size_bytes == 0) {
		tlsf_free(heap, address, caller);
		return NULL;
	}
	uint32_t before;
	uint32_t block = tlsf_find(heap, address, "resize", caller, &before);
	if (block == 0) {
		return NULL;
	}
	if (!heap_can_hold(heap, size_bytes)) {
		heap->failed++;
		return NULL;
	}
	uint32_t size = tlsf_units(size_bytes);
	uint32_t has = tlsf_size(heap, block);
	if (size <= has) {
		tlsf_trim(heap, block, size);
	} else if (!tlsf_extend(heap, block, size)) {
		void *moved = tlsf_alloc(heap, size_bytes);
		if (moved != NULL) {
			memcpy(moved, address, tlsf_usable_bytes(has));
			tlsf_free(heap, address, caller);
		}
		return moved;
	}
	heap->live_bytes -= tlsf_usable_bytes(has);
	heap_grew(heap, tlsf_usable_bytes(tlsf_size(heap, block)));
	return address;
}

static size_t tlsf_usable(const struct loam_heap *heap, const void *address,
			  const void *caller)
{
	uint32_t before;
	uint32_t block = tlsf_find(heap, address, "usable", caller, &before);
	return block == 0 ? 0 : tlsf_usable_bytes(tlsf_size(heap, block));
}

static bool tlsf_walk(const struct loam_heap *heap, struct loam_heap_block *out)
{
	uint32_t block = heap->tlsf.first;
	if (out->address != NULL) {
		if (out->state == LOAM_HEAP_BROKEN) {
			return false;
		}
		block = tlsf_block(heap, out->address);
		block += tlsf_size(heap, block);
	}
	bool whole = tlsf_is_whole(heap, block);
	if (block == heap->tlsf.end && whole) {
		return false;
	}
	*out = (struct loam_heap_block){
		.address = tlsf_at(heap, block),
		.size_bytes =
			whole ? tlsf_usable_bytes(tlsf_size(heap, block)) : 0,
		.header_bytes = sizeof(struct tlsf_header),
		.state = !whole                      ? LOAM_HEAP_BROKEN
			 : tlsf_is_free(heap, block) ? LOAM_HEAP_FREE
						     : LOAM_HEAP_LIVE,
	};
	return true;
}

/* ------------------------------------------------------------- check */

/* Blocks from the first to the sentinel; counts the free ones. */
static int tlsf_check_blocks(const struct loam_heap *heap, size_t *count)
{
	bool before_free = false;
	uint32_t block = heap->tlsf.first;
	for (;;) {
		if (!tlsf_is_whole(heap, block)) {
			loam_log(LOAM_LOG_ERROR,
				 "check: heap tlsf: broken header at %p",
				 (void *)tlsf_header(heap, block));
			return -LOAM_EFAULT;
		}
		uint32_t word = tlsf_header(heap, block)->word;
		LOAM_CHECK(((word & TLSF_PREV_FREE) != 0) == before_free);
		LOAM_CHECK(!before_free || tlsf_before(heap, block) != 0);
		LOAM_CHECK(!before_free || (word & TLSF_FREE) == 0);
		if (block == heap->tlsf.end) {
			return 0;
		}
		before_free = (word & TLSF_FREE) != 0;
		*count += before_free;
		block += word >> TLSF_SIZE_SHIFT;
	}
}

/* One list: its blocks are free, of its sizes and linked; takes them off. */
static int tlsf_check_list(const struct loam_heap *heap, uint32_t list,
			   size_t *count)
{
	const struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	uint32_t prev = 0;
	uint32_t block = lists->heads[list];
	LOAM_CHECK(((lists->steps[list / TLSF_STEPS] >> (list % TLSF_STEPS)) &
		    1u) == (block != 0));
	while (block != 0) {
		LOAM_CHECK(block >= heap->tlsf.first);
		LOAM_CHECK(block < heap->tlsf.end);
		LOAM_CHECK(tlsf_is_whole(heap, block));
		LOAM_CHECK(tlsf_is_free(heap, block));
		LOAM_CHECK(tlsf_list(tlsf_size(heap, block)) == list);
		LOAM_CHECK(tlsf_links(heap, block)->prev == prev);
		LOAM_CHECK(*count > 0);
		(*count)--;
		prev = block;
		block = tlsf_links(heap, block)->next;
	}
	return 0;
}

static int tlsf_check(const struct loam_heap *heap)
{
	const struct loam_heap_tlsf *tlsf = &heap->tlsf;
	size_t count = 0;
	LOAM_CHECK(tlsf->end % TLSF_PAGE_UNITS == 0);
	LOAM_CHECK(tlsf->end / TLSF_PAGE_UNITS == heap->mapped_pages);
	int error = tlsf_check_blocks(heap, &count);
	for (unsigned power = 0; power < TLSF_POWERS; power++) {
		LOAM_CHECK(((tlsf->lists->powers >> power) & 1u) ==
			   (tlsf->lists->steps[power] != 0));
	}
	for (uint32_t list = 0; list < TLSF_POWERS * TLSF_STEPS && error == 0;
	     list++) {
		error = tlsf_check_list(heap, list, &count);
	}
	if (error != 0) {
		return error;
	}
	LOAM_CHECK(count == 0);
	return loam_heap_check_counters(heap);
}

const struct loam_heap_ops loam_heap_tlsf = {
	.name = "tlsf",
	.max_bytes = (size_t)-1,
	.align_bytes = LOAM_HEAP_ALIGN,
	.create = tlsf_create,
	.alloc = tlsf_alloc,
	.free = tlsf_free,
	.resize = tlsf_resize,
	.usable = tlsf_usable,
	.walk = tlsf_walk,
	.check = tlsf_check,
	.destroy = tlsf_destroy,
};

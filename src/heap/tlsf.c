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
 * last 8 bytes a footer, a copy of size and flags, by which the block behind
 * finds its start (boundary tags). The pages end with the header of a live
 * block of size 0.
 *
 *   free block    h | next | prev |  ...  | footer | h ...
 *
 * What is cut off a block, or merged with one, and is of the size of the same
 * list keeps the block's place in it: large blocks that are used up piece by
 * piece move from list to list only now and then.
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
#define TLSF_PLACE 8u /* links count in it: an addressing mode on its own */
#define TLSF_STEP_SHIFT 5u
#define TLSF_STEPS (1u << TLSF_STEP_SHIFT) /* of the second level */
#define TLSF_POWERS 26u /* of the first: sizes up to 2^30 - 1 units */
#define TLSF_MIN 2u     /* units: header, links and footer */
#define TLSF_MIX 0x9e3779b1u

#define TLSF_FREE 1u
#define TLSF_PREV_FREE 2u
#define TLSF_SIZE_SHIFT 2u
#define TLSF_FLAGS 3u

/* Blocks are named by the places of their payloads; 0 is none. */
struct loam_heap_tlsf_lists {
	uint32_t nobody[2]; /* written where block 0's links would be */
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

/* In the code a block is the address of its payload. */
typedef unsigned char tlsf_t;

static inline tlsf_t *tlsf_at(const struct loam_heap *heap, uint32_t place)
{
	return heap->start + (size_t)place * TLSF_PLACE;
}

static inline uint32_t tlsf_place(const struct loam_heap *heap,
				  const tlsf_t *block)
{
	size_t offset = (uintptr_t)block - (uintptr_t)heap->start;
	return (uint32_t)(offset / TLSF_PLACE);
}

static inline struct tlsf_header *tlsf_header(const tlsf_t *block)
{
	return (struct tlsf_header *)(uintptr_t)block - 1;
}

static inline struct tlsf_links *tlsf_links(const tlsf_t *block)
{
	return (struct tlsf_links *)(uintptr_t)block;
}

/* The footer of the free block that ends where the block's header begins. */
static inline uint32_t *tlsf_footer(const tlsf_t *block)
{
	return (uint32_t *)(uintptr_t)block - 4;
}

static inline uint32_t tlsf_size(uint32_t word)
{
	return word >> TLSF_SIZE_SHIFT;
}

/* The bytes of a block, header and all, by its word. */
static inline size_t tlsf_span(uint32_t word)
{
	return (size_t)(word & ~TLSF_FLAGS) * (TLSF_UNIT >> TLSF_SIZE_SHIFT);
}

/* And the other way round. */
static inline uint32_t tlsf_word(size_t span)
{
	return (uint32_t)(span / TLSF_UNIT) << TLSF_SIZE_SHIFT;
}

static inline size_t tlsf_usable_bytes(uint32_t word)
{
	return tlsf_span(word) - sizeof(struct tlsf_header);
}

static inline uint32_t tlsf_check_word(const tlsf_t *block, uint32_t word)
{
	return (uint32_t)(uintptr_t)block + HEAP_MAGIC_LIVE + word * TLSF_MIX;
}

static inline void tlsf_set(tlsf_t *block, uint32_t word)
{
	*tlsf_header(block) = (struct tlsf_header){
		.word = word,
		.check = tlsf_check_word(block, word),
	};
}

/*
 * Changes flags by a sum, which the check word follows: it is as right as it
 * was, and stays wrong if it was wrong.
 */
static inline void tlsf_add(tlsf_t *block, uint32_t flags)
{
	struct tlsf_header *header = tlsf_header(block);
	header->word += flags;
	header->check += flags * TLSF_MIX;
}

/* ------------------------------------------------------------- soundness */

/*
 * The check word is right. Since it changes with every bit of place, size and
 * flags, so are these, but for one corruption in 2^32 that hits both words.
 */
static inline bool tlsf_is_intact(const tlsf_t *block)
{
	const struct tlsf_header *header = tlsf_header(block);
	return header->check == tlsf_check_word(block, header->word);
}

/* A header that can be believed; the sentinel's is one. Reads no other. */
static inline bool tlsf_is_whole(const struct loam_heap *heap,
				 const tlsf_t *block)
{
	uint32_t size = tlsf_size(tlsf_header(block)->word);
	return tlsf_is_intact(block) &&
	       (block == heap->tlsf.end ? size == 0 : size >= TLSF_MIN) &&
	       size <= (size_t)(heap->tlsf.end - block) / TLSF_UNIT;
}

static inline bool tlsf_is_free(const tlsf_t *block)
{
	return (tlsf_header(block)->word & TLSF_FREE) != 0;
}

/*
 * The free block before `block`, whose header says there is one; NULL: it lies.
 * A footer is the word of the block that it ends.
 */
static inline tlsf_t *tlsf_before(const struct loam_heap *heap, tlsf_t *block)
{
	uint32_t word = *tlsf_footer(block);
	size_t span = tlsf_span(word);
	if ((word & TLSF_FLAGS) != TLSF_FREE ||
	    span > (size_t)(block - heap->tlsf.first)) {
		return NULL;
	}
	tlsf_t *before = block - span;
	return tlsf_header(before)->word == word && tlsf_is_intact(before)
		       ? before
		       : NULL;
}

/*
 * True if address is the payload of a live block whose header can be believed,
 * and that of the block behind it. (What is before it has yet to be looked at.)
 */
static inline bool tlsf_is_live(const struct loam_heap *heap,
				const tlsf_t *block)
{
	if (!heap_is_candidate(block, heap->tlsf.first, heap->tlsf.end)) {
		return false;
	}
	uint32_t word = tlsf_header(block)->word;
	return tlsf_is_intact(block) && (word & TLSF_FREE) == 0 &&
	       tlsf_is_intact(block + tlsf_span(word));
}

/* The free block before a live one can be believed, or there is none. */
static inline bool tlsf_is_sound(const struct loam_heap *heap, tlsf_t *block)
{
	return (tlsf_header(block)->word & TLSF_PREV_FREE) == 0 ||
	       tlsf_before(heap, block) != NULL;
}

/* The live block that address is the payload of, or NULL, reported. */
static inline tlsf_t *tlsf_find(const struct loam_heap *heap, void *address,
				const char *verb, const void *caller)
{
	if (LOAM_LIKELY(tlsf_is_live(heap, address) &&
			tlsf_is_sound(heap, address))) {
		return address;
	}
	loam_heap_misuse(heap, caller, verb, address);
	return NULL;
}

/* ------------------------------------------------------------- the lists */

/*
 * The list of a size: its power times 32, and its step. How many bits of the
 * size the steps do not tell apart, none below 64, is its shift. Small sizes
 * are told apart first, since most are and to scan for a bit takes time.
 */
static inline unsigned tlsf_shift(uint32_t size)
{
	return loam_log2_floor(size) - TLSF_STEP_SHIFT;
}

static inline uint32_t tlsf_list(uint32_t size)
{
	if (LOAM_LIKELY(size < TLSF_STEPS)) {
		return size;
	}
	unsigned shift = tlsf_shift(size);
	return shift * TLSF_STEPS + (size >> shift);
}

static inline void tlsf_insert(struct loam_heap *heap, tlsf_t *block,
			       uint32_t list)
{
	struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	uint32_t next = lists->heads[list];
	uint32_t place = tlsf_place(heap, block);
	tlsf_links(block)->next = next;
	tlsf_links(block)->prev = 0;
	lists->heads[list] = place;
	tlsf_links(tlsf_at(heap, next))->prev = place;
	lists->powers |= 1u << (list / TLSF_STEPS);
	lists->steps[list / TLSF_STEPS] |= 1u << (list % TLSF_STEPS);
}

/*
 * A block's links, verified: they lie where its former user may still write.
 * The list's head is `place`, or what is before it.
 */
static inline struct tlsf_links tlsf_read(const struct loam_heap *heap,
					  uint32_t place, uint32_t list)
{
	struct tlsf_links links = *tlsf_links(tlsf_at(heap, place));
	uint32_t end = tlsf_place(heap, heap->tlsf.end);
	LOAM_VERIFY(links.next < end && links.prev < end);
	LOAM_VERIFY((links.prev == 0
			     ? heap->tlsf.lists->heads[list]
			     : tlsf_links(tlsf_at(heap, links.prev))->next) ==
		    place);
	LOAM_VERIFY(links.next == 0 ||
		    tlsf_links(tlsf_at(heap, links.next))->prev == place);
	return links;
}

/* Nothing is in the list any more. */
static inline void tlsf_clear_bit(struct loam_heap_tlsf_lists *lists,
				  uint32_t list)
{
	uint32_t power = list / TLSF_STEPS;
	uint32_t steps = lists->steps[power] & ~(1u << (list % TLSF_STEPS));
	lists->steps[power] = steps;
	if (steps == 0) {
		lists->powers &= ~(1u << power);
	}
}

static LOAM_ALWAYS_INLINE void tlsf_remove(struct loam_heap *heap,
					   const tlsf_t *block, uint32_t list)
{
	struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	struct tlsf_links links =
		tlsf_read(heap, tlsf_place(heap, block), list);
	if (links.next != 0) {
		tlsf_links(tlsf_at(heap, links.next))->prev = links.prev;
	}
	if (links.prev != 0) {
		tlsf_links(tlsf_at(heap, links.prev))->next = links.next;
		return;
	}
	lists->heads[list] = links.next;
	if (links.next == 0) {
		tlsf_clear_bit(lists, list);
	}
}

/* Takes the first block of a list off it. */
static inline void tlsf_remove_head(struct loam_heap *heap, const tlsf_t *block,
				    uint32_t list)
{
	struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	struct tlsf_links links = *tlsf_links(block);
	LOAM_VERIFY(links.prev == 0);
	lists->heads[list] = links.next;
	if (links.next == 0) {
		tlsf_clear_bit(lists, list);
		return;
	}
	tlsf_t *next = tlsf_at(heap, links.next);
	LOAM_VERIFY(next < heap->tlsf.end);
	LOAM_VERIFY(tlsf_at(heap, tlsf_links(next)->prev) == block);
	tlsf_links(next)->prev = 0;
}

/* A block takes another one's place in a list. */
static inline void tlsf_replace(struct loam_heap *heap, const tlsf_t *old,
				const tlsf_t *block, uint32_t list)
{
	uint32_t place = tlsf_place(heap, block);
	struct tlsf_links links = tlsf_read(heap, tlsf_place(heap, old), list);
	*tlsf_links(block) = links;
	if (links.next != 0) {
		tlsf_links(tlsf_at(heap, links.next))->prev = place;
	}
	if (links.prev != 0) {
		tlsf_links(tlsf_at(heap, links.prev))->next = place;
	} else {
		heap->tlsf.lists->heads[list] = place;
	}
}

/*
 * A list whose blocks all have `size` units, or more; 0: there is none. (No
 * block is so small as to be in that list.)
 */
static inline uint32_t tlsf_search(const struct loam_heap_tlsf_lists *lists,
				   uint32_t size)
{
	uint32_t from = size;
	if (LOAM_UNLIKELY(size >= TLSF_STEPS)) {
		/* A size that is a power is told with the shift below it. */
		unsigned shift = tlsf_shift(size);
		from = shift * TLSF_STEPS +
		       ((size + (1u << shift) - 1) >> shift);
	}
	uint32_t power = from / TLSF_STEPS;
	uint32_t steps = lists->steps[power] >> (from % TLSF_STEPS);
	if (steps != 0) {
		return from + loam_lowest_bit(steps);
	}
	uint32_t powers = lists->powers & ((~0u << power) << 1);
	if (LOAM_UNLIKELY(powers == 0)) {
		return 0;
	}
	power = loam_lowest_bit(powers);
	return power * TLSF_STEPS + loam_lowest_bit(lists->steps[power]);
}

/* ------------------------------------------------------------- blocks */

/*
 * Makes `span` bytes one free block, whose neighbours are live, for the caller
 * to put into a list. The block behind it knows already, or is told by him.
 */
static inline void tlsf_mark_free(tlsf_t *block, uint32_t word)
{
	tlsf_set(block, word);
	*tlsf_footer(block + tlsf_span(word)) = word;
}

/* As above, and into its list. `word` has the flag of free blocks. */
static inline void tlsf_make_free(struct loam_heap *heap, tlsf_t *block,
				  uint32_t word)
{
	tlsf_mark_free(block, word);
	tlsf_insert(heap, block, tlsf_list(tlsf_size(word)));
}

/*
 * Frees a piece of `word`'s size, and merges it with what is free behind it and
 * with the free block before it, unless that is NULL. Both are known to be
 * intact. A block whose size remains in the same list keeps its place there.
 */
static LOAM_ALWAYS_INLINE tlsf_t *tlsf_release(struct loam_heap *heap,
					       tlsf_t *block, uint32_t word,
					       tlsf_t *before)
{
	tlsf_t *next = block + tlsf_span(word);
	tlsf_t *old = NULL;
	uint32_t old_list = 0;
	word = (word & ~TLSF_FLAGS) | TLSF_FREE;
	if (tlsf_is_free(next)) {
		/* The one behind that knows of a free block before it. */
		uint32_t more = tlsf_header(next)->word;
		old = next;
		old_list = tlsf_list(tlsf_size(more));
		word += more & ~TLSF_FLAGS;
		/* Nothing begins there any more. */
		tlsf_header(next)->check = 0;
	} else {
		tlsf_add(next, TLSF_PREV_FREE);
	}
	if (before != NULL) {
		if (old != NULL) {
			tlsf_remove(heap, old, old_list);
		}
		uint32_t more = tlsf_header(before)->word;
		old = before;
		old_list = tlsf_list(tlsf_size(more));
		word += more & ~TLSF_FLAGS;
		tlsf_header(block)->check = 0;
		block = before;
	}
	uint32_t list = tlsf_list(tlsf_size(word));
	if (old == NULL) {
		tlsf_insert(heap, block, list);
	} else if (list != old_list) {
		tlsf_remove(heap, old, old_list);
		tlsf_insert(heap, block, list);
	} else if (old != block) {
		tlsf_replace(heap, old, block, list);
	}
	tlsf_mark_free(block, word);
	return block;
}

/* Pages up to and with the one that the block's header ends in. */
static inline size_t tlsf_pages(const struct loam_heap *heap,
				const tlsf_t *block)
{
	return (size_t)(block - heap->start) / LOAM_PAGE_SIZE;
}

/* Returns pages of a free last block, when many are not needed. */
static LOAM_NOINLINE void tlsf_shrink_last(struct loam_heap *heap,
					   tlsf_t *block)
{
	struct loam_heap_tlsf *tlsf = &heap->tlsf;
	size_t pages = tlsf_pages(heap, tlsf->end);
	size_t keep = tlsf_pages(heap, block) + 1 + HEAP_SLACK_PAGES;
	if (pages < keep + HEAP_SLACK_PAGES) {
		return;
	}
	tlsf_remove(heap, block,
		    tlsf_list(tlsf_size(tlsf_header(block)->word)));
	tlsf->end = heap->start + keep * LOAM_PAGE_SIZE;
	loam_heap_unmap(heap, tlsf->end, pages - keep);
	tlsf_set(tlsf->end, TLSF_PREV_FREE);
	tlsf_make_free(heap, block,
		       tlsf_word((size_t)(tlsf->end - block)) | TLSF_FREE);
}

/* As above, whichever free block it is. */
static inline void tlsf_shrink(struct loam_heap *heap, tlsf_t *block)
{
	if (block + tlsf_span(tlsf_header(block)->word) == heap->tlsf.end) {
		tlsf_shrink_last(heap, block);
	}
}

/* Maps at least `bytes` more behind the end, merged with what is free. */
static bool tlsf_grow(struct loam_heap *heap, size_t bytes)
{
	struct loam_heap_tlsf *tlsf = &heap->tlsf;
	size_t left = (heap->size_bytes >> LOAM_PAGE_SHIFT) -
		      tlsf_pages(heap, tlsf->end);
	size_t need = loam_pages_of(bytes);
	size_t ask = need > HEAP_SLACK_PAGES ? need : HEAP_SLACK_PAGES;
	ask = ask < left ? ask : left;
	if (need > left) {
		return false;
	}
	if (!loam_heap_map(heap, tlsf->end, ask)) {
		ask = need;
		if (!loam_heap_map(heap, tlsf->end, ask)) {
			return false;
		}
	}
	tlsf_t *block = tlsf->end;
	tlsf_t *before = NULL;
	if ((tlsf_header(block)->word & TLSF_PREV_FREE) != 0) {
		before = tlsf_before(heap, block);
		LOAM_VERIFY(before != NULL);
	}
	tlsf->end += ask << LOAM_PAGE_SHIFT;
	tlsf_set(tlsf->end, 0);
	(void)tlsf_release(heap, block, tlsf_word(ask << LOAM_PAGE_SHIFT),
			   before);
	return true;
}

/*
 * Makes the first block of a list live with all it has. What its word is then.
 */
static inline uint32_t tlsf_take(struct loam_heap *heap, tlsf_t *block,
				 uint32_t list)
{
	uint32_t word = tlsf_header(block)->word - TLSF_FREE;
	tlsf_remove_head(heap, block, list);
	tlsf_add(block + tlsf_span(word), 0u - TLSF_PREV_FREE);
	tlsf_add(block, 0u - TLSF_FREE);
	return word;
}

/* What is behind the first block of a list becomes the first instead. */
static inline void tlsf_replace_head(struct loam_heap *heap,
				     const tlsf_t *block, const tlsf_t *behind,
				     uint32_t list)
{
	uint32_t place = tlsf_place(heap, behind);
	struct tlsf_links links = *tlsf_links(block);
	tlsf_t *next = tlsf_at(heap, links.next);
	LOAM_VERIFY(links.prev == 0 && next < heap->tlsf.end);
	tlsf_links(behind)->next = links.next;
	tlsf_links(behind)->prev = 0;
	heap->tlsf.lists->heads[list] = place;
	if (links.next != 0) {
		LOAM_VERIFY(tlsf_at(heap, tlsf_links(next)->prev) == block);
		tlsf_links(next)->prev = place;
	}
}

/* Cuts a live block to the size of `word`, if the rest can be a block. */
static void tlsf_trim(struct loam_heap *heap, tlsf_t *block, uint32_t word)
{
	uint32_t had = tlsf_header(block)->word;
	uint32_t rest = (had & ~TLSF_FLAGS) - word;
	if (rest >= TLSF_MIN << TLSF_SIZE_SHIFT) {
		tlsf_set(block, word | (had & TLSF_PREV_FREE));
		tlsf_shrink(heap, tlsf_release(heap, block + tlsf_span(word),
					       rest, NULL));
	}
}

/* Makes a live block at least as large as `word` says, where it is. */
static bool tlsf_extend(struct loam_heap *heap, tlsf_t *block, uint32_t word)
{
	uint32_t had = tlsf_header(block)->word;
	tlsf_t *next = block + tlsf_span(had);
	size_t more = tlsf_span(word) - tlsf_span(had);
	uint32_t next_word = tlsf_header(next)->word;
	size_t room = (next_word & TLSF_FREE) != 0 ? tlsf_span(next_word) : 0;
	if (room < more) {
		if (next + room != heap->tlsf.end ||
		    !tlsf_grow(heap, more - room)) {
			return false;
		}
		next_word = tlsf_header(next)->word;
	}
	LOAM_ASSERT(tlsf_is_whole(heap, next));
	tlsf_remove(heap, next, tlsf_list(tlsf_size(next_word)));
	tlsf_header(next)->check = 0;
	had += next_word & ~TLSF_FLAGS;
	tlsf_add(block + tlsf_span(had), 0u - TLSF_PREV_FREE);
	tlsf_set(block, had);
	tlsf_trim(heap, block, word);
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
	used = (used + TLSF_UNIT - 1) / TLSF_UNIT * TLSF_UNIT;
	tlsf->first = heap->start + used;
	tlsf->end = heap->start + LOAM_PAGE_SIZE;
	tlsf_set(tlsf->end, TLSF_PREV_FREE);
	tlsf_make_free(heap, tlsf->first,
		       tlsf_word(LOAM_PAGE_SIZE - used) | TLSF_FREE);
	return 0;
}

static void tlsf_destroy(struct loam_heap *heap)
{
	loam_heap_unmap(heap, heap->start, heap->mapped_pages);
}

/*
 * When no list is known to have a block of `size` units: the size's own list,
 * if its first block is large enough; or that of the free block at the end,
 * which then is the first and large enough, thanks to more pages if need be.
 * 0: there are none.
 */
static uint32_t tlsf_obtain(struct loam_heap *heap, uint32_t size)
{
	uint32_t list = tlsf_list(size);
	uint32_t place = heap->tlsf.lists->heads[list];
	if (place != 0 &&
	    tlsf_size(tlsf_header(tlsf_at(heap, place))->word) >= size) {
		return list;
	}
	tlsf_t *block = heap->tlsf.end;
	size_t need = (size_t)size * TLSF_UNIT;
	if ((tlsf_header(block)->word & TLSF_PREV_FREE) != 0) {
		block = tlsf_before(heap, block);
		LOAM_VERIFY(block != NULL);
		size_t has = tlsf_span(tlsf_header(block)->word);
		need -= has < need ? has : need;
	}
	if (need > 0 && !tlsf_grow(heap, need)) {
		return 0;
	}
	list = tlsf_list(tlsf_size(tlsf_header(block)->word));
	tlsf_remove(heap, block, list);
	tlsf_insert(heap, block, list);
	return list;
}

/* The first block of a list, verified. */
static inline tlsf_t *tlsf_first(const struct loam_heap *heap, uint32_t list)
{
	uint32_t place = heap->tlsf.lists->heads[list];
	tlsf_t *block = tlsf_at(heap, place);
	LOAM_VERIFY(place != 0 && tlsf_is_intact(block) && tlsf_is_free(block));
	return block;
}

/*
 * A block with this word out of the first one of a list, which has no more than
 * that, or whose rest belongs into another list.
 */
static LOAM_NOINLINE void *tlsf_cut_apart(struct loam_heap *heap, tlsf_t *block,
					  uint32_t list, uint32_t word)
{
	uint32_t rest = tlsf_header(block)->word - word;
	if (tlsf_size(rest) < TLSF_MIN) {
		word = tlsf_take(heap, block, list);
	} else {
		tlsf_t *behind = block + tlsf_span(word);
		tlsf_remove_head(heap, block, list);
		tlsf_make_free(heap, behind, rest);
		tlsf_set(block, word);
	}
	heap_count_alloc(heap, tlsf_usable_bytes(word));
	return block;
}

/* `size` units out of the first block of a list, whose rest stays free. */
static LOAM_NOINLINE void *tlsf_cut(struct loam_heap *heap, uint32_t list,
				    uint32_t size)
{
	tlsf_t *block = tlsf_first(heap, list);
	uint32_t word = size << TLSF_SIZE_SHIFT;
	uint32_t rest = tlsf_header(block)->word - word;
	if (tlsf_list(tlsf_size(rest)) != list) {
		return tlsf_cut_apart(heap, block, list, word);
	}
	tlsf_t *behind = block + tlsf_span(word);
	tlsf_replace_head(heap, block, behind, list);
	tlsf_mark_free(behind, rest);
	tlsf_set(block, word);
	heap_count_alloc(heap, tlsf_usable_bytes(word));
	return block;
}

/* Likewise out of new pages. */
static LOAM_NOINLINE void *tlsf_cut_more(struct loam_heap *heap, uint32_t size)
{
	uint32_t list = tlsf_obtain(heap, size);
	if (list == 0) {
		heap->failed++;
		return NULL;
	}
	return tlsf_cut(heap, list, size);
}

/*
 * Here and in free, the fast path makes no calls but as its last act, so that
 * it has no registers to save.
 */
static void *tlsf_alloc(struct loam_heap *heap, size_t size_bytes)
{
	if (LOAM_UNLIKELY(!heap_can_hold(heap, size_bytes))) {
		heap->failed += size_bytes != 0;
		return NULL;
	}
	uint32_t size = tlsf_units(size_bytes);
	uint32_t list = tlsf_search(heap->tlsf.lists, size);
	if (LOAM_UNLIKELY(list == 0)) {
		return tlsf_cut_more(heap, size);
	}
	if (list >= size + TLSF_MIN || size >= TLSF_STEPS) {
		return tlsf_cut(heap, list, size);
	}
	/* A small list, and too little would be left of its blocks. */
	tlsf_t *block = tlsf_first(heap, list);
	uint32_t word = tlsf_take(heap, block, list);
	heap_count_alloc(heap, tlsf_usable_bytes(word));
	return block;
}

/* Frees a live block, of whose neighbours one is free, or the end. */
static LOAM_NOINLINE void tlsf_merge(struct loam_heap *heap, tlsf_t *block,
				     const void *caller)
{
	uint32_t word = tlsf_header(block)->word;
	tlsf_t *before = NULL;
	if ((word & TLSF_PREV_FREE) != 0) {
		before = tlsf_before(heap, block);
		if (LOAM_UNLIKELY(before == NULL)) {
			loam_heap_misuse(heap, caller, "free", block);
			return;
		}
	}
	heap_count_free(heap, tlsf_usable_bytes(word));
	tlsf_shrink(heap, tlsf_release(heap, block, word, before));
}

static void tlsf_free(struct loam_heap *heap, void *address, const void *caller)
{
	if (LOAM_UNLIKELY(address == NULL)) {
		return;
	}
	if (LOAM_UNLIKELY(!tlsf_is_live(heap, address))) {
		loam_heap_misuse(heap, caller, "free", address);
		return;
	}
	tlsf_t *block = address;
	uint32_t word = tlsf_header(block)->word;
	tlsf_t *next = block + tlsf_span(word);
	/* Is one of them free? Which one is asked only then. */
	uint32_t near =
		(word & TLSF_PREV_FREE) | (tlsf_header(next)->word & TLSF_FREE);
	if (near != 0 || next == heap->tlsf.end) {
		tlsf_merge(heap, block, caller);
		return;
	}
	heap_count_free(heap, tlsf_usable_bytes(word));
	/* Nothing to merge with, as it is mostly: tlsf_release(), in short. */
	tlsf_add(block, TLSF_FREE);
	tlsf_add(next, TLSF_PREV_FREE);
	*tlsf_footer(next) = word + TLSF_FREE;
	tlsf_insert(heap, block, tlsf_list(tlsf_size(word)));
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
	tlsf_t *block = tlsf_find(heap, address, "resize", caller);
	if (block == NULL) {
		return NULL;
	}
	if (!heap_can_hold(heap, size_bytes)) {
		heap->failed++;
		return NULL;
	}
	uint32_t word = tlsf_units(size_bytes) << TLSF_SIZE_SHIFT;
	uint32_t had = tlsf_header(block)->word;
	if (word <= had) {
		tlsf_trim(heap, block, word);
	} else if (!tlsf_extend(heap, block, word)) {
		void *moved = tlsf_alloc(heap, size_bytes);
		if (moved != NULL) {
			memcpy(moved, address, tlsf_usable_bytes(had));
			tlsf_free(heap, address, caller);
		}
		return moved;
	}
	heap->live_bytes -= tlsf_usable_bytes(had);
	heap_grew(heap, tlsf_usable_bytes(tlsf_header(block)->word));
	return address;
}

static size_t tlsf_usable(const struct loam_heap *heap, const void *address,
			  const void *caller)
{
	const tlsf_t *block =
		tlsf_find(heap, (void *)(uintptr_t)address, "usable", caller);
	return block == NULL ? 0 : tlsf_usable_bytes(tlsf_header(block)->word);
}

static bool tlsf_walk(const struct loam_heap *heap, struct loam_heap_block *out)
{
	tlsf_t *block = heap->tlsf.first;
	if (out->address != NULL) {
		if (out->state == LOAM_HEAP_BROKEN) {
			return false;
		}
		block = out->address;
		block += tlsf_span(tlsf_header(block)->word);
	}
	bool whole = tlsf_is_whole(heap, block);
	if (block == heap->tlsf.end && whole) {
		return false;
	}
	uint32_t word = tlsf_header(block)->word;
	*out = (struct loam_heap_block){
		.address = block,
		.size_bytes = whole ? tlsf_usable_bytes(word) : 0,
		.header_bytes = sizeof(struct tlsf_header),
		.state = !whole                ? LOAM_HEAP_BROKEN
			 : tlsf_is_free(block) ? LOAM_HEAP_FREE
					       : LOAM_HEAP_LIVE,
	};
	return true;
}

/* ------------------------------------------------------------- check */

/* Blocks from the first to the sentinel; counts the free ones. */
static int tlsf_check_blocks(const struct loam_heap *heap, size_t *count)
{
	bool before_free = false;
	tlsf_t *block = heap->tlsf.first;
	for (;;) {
		if (!tlsf_is_whole(heap, block)) {
			loam_log(LOAM_LOG_ERROR,
				 "check: heap tlsf: broken header at %p",
				 (void *)tlsf_header(block));
			return -LOAM_EFAULT;
		}
		uint32_t word = tlsf_header(block)->word;
		LOAM_CHECK(((word & TLSF_PREV_FREE) != 0) == before_free);
		LOAM_CHECK(!before_free || tlsf_before(heap, block) != NULL);
		LOAM_CHECK(!before_free || (word & TLSF_FREE) == 0);
		if (block == heap->tlsf.end) {
			return 0;
		}
		before_free = (word & TLSF_FREE) != 0;
		*count += before_free;
		block += tlsf_span(word);
	}
}

/* One list: its blocks are free, of its sizes and linked; takes them off. */
static int tlsf_check_list(const struct loam_heap *heap, uint32_t list,
			   size_t *count)
{
	const struct loam_heap_tlsf_lists *lists = heap->tlsf.lists;
	uint32_t prev = 0;
	uint32_t place = lists->heads[list];
	LOAM_CHECK(((lists->steps[list / TLSF_STEPS] >> (list % TLSF_STEPS)) &
		    1u) == (place != 0));
	while (place != 0) {
		const tlsf_t *block = tlsf_at(heap, place);
		LOAM_CHECK(block >= heap->tlsf.first && block < heap->tlsf.end);
		LOAM_CHECK(place % (TLSF_UNIT / TLSF_PLACE) == 0);
		LOAM_CHECK(tlsf_is_whole(heap, block));
		LOAM_CHECK(tlsf_is_free(block));
		LOAM_CHECK(tlsf_list(tlsf_size(tlsf_header(block)->word)) ==
			   list);
		LOAM_CHECK(tlsf_links(block)->prev == prev);
		LOAM_CHECK(*count > 0);
		(*count)--;
		prev = place;
		place = tlsf_links(block)->next;
	}
	return 0;
}

static int tlsf_check(const struct loam_heap *heap)
{
	const struct loam_heap_tlsf *tlsf = &heap->tlsf;
	size_t count = 0;
	LOAM_CHECK((size_t)(tlsf->end - heap->start) ==
		   heap->mapped_pages << LOAM_PAGE_SHIFT);
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

/* SPDX-License-Identifier: MIT */
/* The buddy heap: whole pages of physical blocks at fresh virtual addresses. */
#include "heap_int.h"

/*
 * Pages behind addresses
 * ======================
 *
 *   start       page 1                                   top           limit
 *   |  table    | H block    | H block | no memory | H b |  never used  |
 *               |<- 2 pages->|<-  1  ->|
 *
 * A request becomes memory in the steps of the classic kmalloc over a buddy
 * system: bytes plus header to pages; pages to blocks of 2^k frames, which the
 * owner's buddy hands out by physical address; a free range of virtual
 * addresses for all of them; a mapping; a header; and the address behind it.
 * Free goes the same way back: the header's magic number is changed, the
 * mapping goes, the blocks return to the buddy, and the addresses merge with
 * what is free on both sides.
 *
 * A block takes exactly as many pages as it needs: five pages are a block of
 * four frames and one of a single frame, not one of eight. Where the buddy has
 * no block of some size left, smaller ones do, since what is behind adjacent
 * pages need not be adjacent. An owner without a physical side is asked for
 * pages instead, and where there is no owner the range is memory already.
 *
 *   the header ends where the block begins:   | guard | size | magic | block
 *                                      page  _|
 *
 * The header is the classic one, size and magic number, eight bytes on 32-bit
 * machines and sixteen on 64-bit ones. A block lies 16 bytes into its first
 * page; the eight bytes that are before the header on 32-bit machines hold the
 * magic number too. There, when these eight bytes are what would take one more
 * page (sizes of 4081 to 4088 bytes above a multiple of 4096), the header is
 * at the page's start and the block is aligned to 8 bytes only: a request of n
 * bytes never takes more than (n + 8) / 4096 pages, rounded up. No other place
 * would do both, since the block has to end with the page.
 *
 * The table at the start of the range has 12 bytes for each page of it. A span
 * is a run of pages that are one block, or free addresses between two blocks;
 * its first and last entry say its size and what it is, all others say nothing.
 * Free spans are in lists by the power of two below their size. Addresses from
 * top on were never used, or have been given back: a free span that would end
 * there is no span. Frames behind a block are in the entries too: where a block
 * of the buddy begins, its frame number and order. The table is mapped as far
 * as it is needed. All that is told of an address is told by the table, so that
 * a wrong pointer is found without a look at memory that may not be there.
 *
 * Cost: alloc and free of n pages O(n) in the owner's hands, and in ours O(log
 * n) but for sizes that are no power of two, for which at most 16 spans of
 * their own power are looked at before a larger one is cut, at its end. A
 * request of s bytes wastes up to a page. Frames do not fragment beyond what
 * the buddy does; addresses do, in units of pages, as under good fit (about M
 * log2 n for M bytes of live memory in blocks of up to n pages).
 *
 * Sources: the kmalloc of the classic teaching kernels; Knuth, TAOCP 1, 2.5
 * (buddy system, boundary tags); lists by powers of two, Standish, Data
 * Structure Techniques, 1980.
 *
 * Invariants, all verified by check:
 *
 *   - spans tile [1, top), first and last entries agree, others are 0;
 *   - no two free spans are neighbours, and the last span is live;
 *   - each free span is in the list of its size, links agree both ways, and a
 *     bit is set exactly where a list has spans;
 *   - each live span has a sound header, and, where the owner has a physical
 *     side, blocks of frames that tile it;
 *   - the pages of live spans and of the table are the mapped ones.
 */

#define BUDDY_PAGE ((size_t)LOAM_PAGE_SIZE)
#define BUDDY_ORDER_MAX 10u /* of blocks that are asked for first: 4 MiB */
#define BUDDY_LOOKS 16u
#define BUDDY_MIX 0x9e3779b1u
/* Bytes of the largest block that leaves room for a whole unit before it. */
#define BUDDY_PAGE_MAX (BUDDY_PAGE - LOAM_HEAP_ALIGN)

#define BUDDY_LIVE 1u
#define BUDDY_FIRST 2u  /* set in a span's first entry */
#define BUDDY_NARROW 4u /* the header is at the page's start: see above */
#define BUDDY_SHIFT 3u

/* A page's entry. Pages count from 1: entry 0 is that of a live span. */
struct loam_heap_buddy_page {
	uint32_t span; /* size in pages and flags; 0 inside */
	union {
		uint32_t next; /* first entry of a free span: page, or 0 */
		uint32_t pfn;  /* of a live one: of frames that begin here */
	};
	union {
		uint32_t prev;
		uint32_t order;
	};
};
LOAM_STATIC_ASSERT(sizeof(struct loam_heap_buddy_page) == 12, "12 bytes");

typedef struct loam_heap_buddy_page page_t;
typedef struct loam_heap_header header_t;

LOAM_STATIC_ASSERT(sizeof(header_t) == 2 * sizeof(size_t), "as in the essay");
LOAM_STATIC_ASSERT(sizeof(header_t) <= LOAM_HEAP_ALIGN, "so is its place");

static inline unsigned char *buddy_at(const struct loam_heap *heap,
				      uint32_t page)
{
	return heap->buddy.first + (size_t)(page - 1) * BUDDY_PAGE;
}

static inline uint32_t buddy_page(const struct loam_heap *heap, const void *at)
{
	size_t offset = (uintptr_t)at - (uintptr_t)heap->buddy.first;
	return (uint32_t)(offset >> LOAM_PAGE_SHIFT) + 1;
}

static inline uint32_t buddy_span_pages(uint32_t span)
{
	return span >> BUDDY_SHIFT;
}

/* How far into its first page a span's block begins. */
static inline size_t buddy_offset(uint32_t span)
{
	return (span & BUDDY_NARROW) != 0 ? sizeof(header_t) : LOAM_HEAP_ALIGN;
}

static inline size_t buddy_usable_bytes(uint32_t span)
{
	return buddy_span_pages(span) * BUDDY_PAGE - buddy_offset(span);
}

/* Writes the entries of a span; flags but FIRST. */
static inline void buddy_set_span(struct loam_heap *heap, uint32_t page,
				  uint32_t count, uint32_t flags)
{
	page_t *table = heap->buddy.table;
	uint32_t span = count << BUDDY_SHIFT | flags;
	table[page + count - 1].span = span;
	table[page].span = span | BUDDY_FIRST;
}

/* ------------------------------------------------------------- headers */

static inline uint32_t buddy_magic(uint32_t page, size_t size_bytes,
				   uint32_t state)
{
	return (state ^ page) + (uint32_t)size_bytes * BUDDY_MIX;
}

static inline header_t *buddy_header(const struct loam_heap *heap,
				     uint32_t page)
{
	uint32_t span = heap->buddy.table[page].span;
	return (void *)(buddy_at(heap, page) + buddy_offset(span) -
			sizeof(header_t));
}

/* Writes a header that is at the page's start, or the guard before it too. */
static inline void buddy_fill_header(header_t *header, uint32_t magic,
				     size_t size_bytes)
{
	uintptr_t at = (uintptr_t)header & ~(uintptr_t)(LOAM_HEAP_ALIGN - 1);
	uint32_t *words = (void *)at;
	while ((void *)words < (void *)header) {
		*words++ = magic;
	}
	header->size = size_bytes;
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(header->magic); i++) {
		header->magic[i] = magic;
	}
}

/* Writes the header of a live span, and the guard before it. */
static inline void buddy_set_header(struct loam_heap *heap, uint32_t page,
				    size_t size_bytes, uint32_t state)
{
	buddy_fill_header(buddy_header(heap, page),
			  buddy_magic(page, size_bytes, state), size_bytes);
}

/* The header of a live span can be believed, and so can its guard. */
static inline bool buddy_is_sound(const struct loam_heap *heap, uint32_t page)
{
	uint32_t span = heap->buddy.table[page].span;
	const header_t *header = buddy_header(heap, page);
	uint32_t magic = buddy_magic(page, header->size, HEAP_MAGIC_LIVE);
	uint32_t differ = 0;
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(header->magic); i++) {
		differ |= header->magic[i] ^ magic;
	}
	const uint32_t *words = (const void *)buddy_at(heap, page);
	while ((const void *)words < (const void *)header) {
		differ |= *words++ ^ magic;
	}
	return differ == 0 && header->size <= buddy_usable_bytes(span);
}

/* The first page of the live block at address, or 0, reported. */
static inline uint32_t buddy_find(const struct loam_heap *heap,
				  const void *address, const char *verb,
				  const void *caller)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	/* Far away in most cases: it is on its way while the table is read. */
	__builtin_prefetch((void *)((uintptr_t)address - sizeof(header_t)), 1);
	uintptr_t offset = (uintptr_t)address - (uintptr_t)buddy->first;
	if (offset < (buddy->top - 1) * BUDDY_PAGE) {
		uint32_t page = buddy_page(heap, address);
		uint32_t span = buddy->table[page].span;
		uint32_t wanted = BUDDY_LIVE | BUDDY_FIRST;
		if ((span & wanted) == wanted &&
		    (uintptr_t)address % BUDDY_PAGE == buddy_offset(span) &&
		    buddy_is_sound(heap, page)) {
			return page;
		}
	}
	loam_heap_misuse(heap, caller, verb, address);
	return 0;
}

/* ------------------------------------------------------------- free spans */

static inline void buddy_insert(struct loam_heap *heap, uint32_t page,
				uint32_t count)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	unsigned list = loam_log2_floor(count);
	uint32_t head = buddy->heads[list];
	buddy->table[page].next = head;
	buddy->table[page].prev = 0;
	if (head != 0) {
		buddy->table[head].prev = page;
	}
	buddy->heads[list] = page;
	buddy->nonempty |= 1u << list;
}

/* Takes a free span out of its list, and its entries out of the table. */
static inline uint32_t buddy_remove(struct loam_heap *heap, uint32_t page)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	page_t *table = buddy->table;
	uint32_t count = buddy_span_pages(table[page].span);
	uint32_t next = table[page].next;
	uint32_t prev = table[page].prev;
	unsigned list = loam_log2_floor(count);
	if (next != 0) {
		table[next].prev = prev;
	}
	if (prev != 0) {
		table[prev].next = next;
	} else {
		buddy->heads[list] = next;
		buddy->nonempty &= ~((next == 0 ? 1u : 0u) << list);
	}
	table[page].span = 0;
	table[page + count - 1].span = 0;
	return count;
}

/*
 * A free span ends elsewhere, and is no shorter than a page: it keeps its place
 * in its list unless that is another one's now.
 */
static inline void buddy_move_end(struct loam_heap *heap, uint32_t page,
				  uint32_t count)
{
	page_t *table = heap->buddy.table;
	uint32_t span = table[page].span;
	uint32_t had = buddy_span_pages(span);
	if (loam_log2_floor(count) == loam_log2_floor(had)) {
		table[page + had - 1].span = 0;
		buddy_set_span(heap, page, count, span & BUDDY_NARROW);
		return;
	}
	(void)buddy_remove(heap, page);
	buddy_set_span(heap, page, count, span & BUDDY_NARROW);
	buddy_insert(heap, page, count);
}

/* Gives addresses back, which are no span: merged, or behind top. */
static void buddy_release(struct loam_heap *heap, uint32_t page, uint32_t count,
			  uint32_t flags)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	page_t *table = buddy->table;
	uint32_t before = table[page - 1].span;
	uint32_t behind = page + count;
	bool merges = (before & BUDDY_LIVE) == 0;
	if (behind < buddy->top && (table[behind].span & BUDDY_LIVE) == 0) {
		count += buddy_remove(heap, behind);
	}
	if (page + count == buddy->top) {
		buddy->top = page;
		if (merges) {
			page -= buddy_span_pages(before);
			(void)buddy_remove(heap, page);
			buddy->top = page;
		}
	} else if (merges) {
		page -= buddy_span_pages(before);
		buddy_move_end(heap, page, buddy_span_pages(before) + count);
	} else {
		buddy_set_span(heap, page, count, flags);
		buddy_insert(heap, page, count);
	}
}

/* A span of at least count pages among the first `looks` of a list, or 0. */
static uint32_t buddy_scan(const struct loam_heap *heap, unsigned list,
			   uint32_t count, uint32_t looks)
{
	const page_t *table = heap->buddy.table;
	uint32_t page = heap->buddy.heads[list];
	while (page != 0 && looks > 0) {
		if (buddy_span_pages(table[page].span) >= count) {
			return page;
		}
		page = table[page].next;
		looks--;
	}
	return 0;
}

/* Addresses for count pages: a free span, or top; 0 if there are none. */
static inline uint32_t buddy_choose(const struct loam_heap *heap,
				    uint32_t count)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	unsigned list = count == 1 ? 0 : loam_log2_floor(count);
	/* Spans of one page have a list of their own. */
	uint32_t page = count == 1 ? buddy->heads[0]
				   : buddy_scan(heap, list, count, BUDDY_LOOKS);
	if (page != 0) {
		return page;
	}
	uint32_t larger = buddy->nonempty & ((~0u << list) << 1);
	if (larger != 0) {
		return buddy->heads[loam_lowest_bit(larger)];
	}
	if (count <= buddy->total + 1 - buddy->top) {
		return buddy->top;
	}
	return buddy_scan(heap, list, count, (uint32_t)-1);
}

/* ------------------------------------------------------------- the table */

static inline size_t buddy_table_pages(size_t entries)
{
	return loam_pages_of(entries * sizeof(page_t));
}

/* Maps the table for pages below `end`; what is new of it is all 0. */
static inline bool buddy_reach(struct loam_heap *heap, uint32_t end)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	size_t pages = buddy_table_pages(end);
	if (pages > buddy->table_pages) {
		size_t more = pages - buddy->table_pages;
		unsigned char *at =
			heap->start + buddy->table_pages * BUDDY_PAGE;
		if (!loam_heap_map(heap, at, more)) {
			return false;
		}
		memset(at, 0, more * BUDDY_PAGE);
		buddy->table_pages = pages;
	}
	return true;
}

/* Gives back what the table has beyond `pages` pages. */
static void buddy_cut_table(struct loam_heap *heap, size_t pages)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	loam_heap_unmap(heap, heap->start + pages * BUDDY_PAGE,
			buddy->table_pages - pages);
	buddy->table_pages = pages;
}

/* ------------------------------------------------------------- memory */

static inline bool buddy_has_frames(const struct loam_heap *heap)
{
	return heap->owner != NULL && heap->owner->take_block != NULL;
}

/* Takes the memory of pages [page, page + count) away, header and all. */
static void buddy_unback(struct loam_heap *heap, uint32_t page, uint32_t count)
{
	const struct loam_heap_owner *owner = heap->owner;
	const page_t *table = heap->buddy.table;
	if (!buddy_has_frames(heap)) {
		loam_heap_unmap(heap, buddy_at(heap, page), count);
		return;
	}
	if (count == 0) {
		return;
	}
	owner->unmap_block(owner->context, buddy_at(heap, page), count);
	heap->mapped_pages -= count;
	for (uint32_t at = page; at < page + count;) {
		uint32_t order = table[at].order;
		LOAM_VERIFY(order <= BUDDY_ORDER_MAX);
		owner->give_block(owner->context,
				  loam_pfn_to_phys(table[at].pfn), order);
		at += 1u << order;
	}
}

/*
 * One block of the buddy for the pages from `page` on, as large as it has and
 * at most `count` pages; mapped. How many pages that are; 0: no memory.
 */
static uint32_t buddy_back_some(struct loam_heap *heap, uint32_t page,
				uint32_t count)
{
	const struct loam_heap_owner *owner = heap->owner;
	unsigned order = loam_log2_floor(count);
	order = order < BUDDY_ORDER_MAX ? order : BUDDY_ORDER_MAX;
	loam_phys_t block = owner->take_block(owner->context, order);
	while (block == LOAM_PHYS_NONE && order > 0) {
		order--;
		block = owner->take_block(owner->context, order);
	}
	if (block == LOAM_PHYS_NONE) {
		return 0;
	}
	if (!owner->map_block(owner->context, buddy_at(heap, page), block,
			      (size_t)1 << order)) {
		owner->give_block(owner->context, block, order);
		return 0;
	}
	heap->buddy.table[page].pfn = loam_phys_to_pfn(block);
	heap->buddy.table[page].order = order;
	heap_mapped(heap, (size_t)1 << order);
	return 1u << order;
}

/* Puts frames behind pages [page, page + count): all of them or none. */
static bool buddy_back(struct loam_heap *heap, uint32_t page, uint32_t count)
{
	for (uint32_t done = 0; done < count;) {
		uint32_t more =
			buddy_back_some(heap, page + done, count - done);
		if (more == 0) {
			buddy_unback(heap, page, done);
			return false;
		}
		done += more;
	}
	return true;
}

/*
 * Makes pages [at, at + count) live: those from top on, or one end of the free
 * span at `page`, whose rest stays free.
 */
static inline void buddy_claim(struct loam_heap *heap, uint32_t page,
			       uint32_t at, uint32_t count, uint32_t flags)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	if (page == buddy->top) {
		buddy->top += count;
	} else if (at != page) {
		buddy_move_end(heap, page, at - page);
	} else {
		uint32_t has = buddy_remove(heap, page);
		if (has > count) {
			buddy_set_span(heap, page + count, has - count, 0);
			buddy_insert(heap, page + count, has - count);
		}
	}
	buddy_set_span(heap, at, count, flags | BUDDY_LIVE);
}

/*
 * As above with memory that blocks of frames are; false: there is none, and
 * nothing has changed. The links of a free span lie where its first frame will
 * be noted.
 */
static LOAM_NOINLINE bool buddy_claim_frames(struct loam_heap *heap,
					     uint32_t page, uint32_t at,
					     uint32_t count, uint32_t flags)
{
	page_t *table = heap->buddy.table;
	uint32_t next = table[page].next;
	uint32_t prev = table[page].prev;
	bool backed = buddy_back(heap, at, count);
	uint32_t pfn = table[at].pfn;
	uint32_t order = table[at].order;
	table[page].next = next;
	table[page].prev = prev;
	if (backed) {
		buddy_claim(heap, page, at, count, flags);
		table[at].pfn = pfn;
		table[at].order = order;
	}
	return backed;
}

/* As above, with memory of whatever kind the owner has. */
static inline bool buddy_take(struct loam_heap *heap, uint32_t page,
			      uint32_t at, uint32_t count, uint32_t flags)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	size_t table_pages = buddy->table_pages;
	if (page == buddy->top && !buddy_reach(heap, page + count)) {
		return false;
	}
	if (buddy_has_frames(heap)) {
		if (buddy_claim_frames(heap, page, at, count, flags)) {
			return true;
		}
	} else if (loam_heap_map(heap, buddy_at(heap, at), count)) {
		buddy_claim(heap, page, at, count, flags);
		return true;
	}
	buddy_cut_table(heap, table_pages);
	return false;
}

/* ------------------------------------------------------------- operations */

static int buddy_create(struct loam_heap *heap,
			const struct loam_heap_config *config)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	const struct loam_heap_owner *owner = config->owner;
	size_t all = heap->size_bytes >> LOAM_PAGE_SHIFT;
	size_t own = buddy_table_pages(all);
	if (own >= all) {
		return -LOAM_EINVAL;
	}
	if (owner != NULL && owner->take_block != NULL &&
	    (owner->give_block == NULL || owner->map_block == NULL ||
	     owner->unmap_block == NULL)) {
		return -LOAM_EINVAL;
	}
	buddy->table = (void *)heap->start;
	buddy->first = heap->start + own * BUDDY_PAGE;
	buddy->total = (uint32_t)(all - own);
	buddy->top = 1;
	if (!buddy_reach(heap, 1)) {
		return -LOAM_ENOMEM;
	}
	/* What is before page 1 is not free. */
	buddy->table[0].span = 1u << BUDDY_SHIFT | BUDDY_LIVE | BUDDY_FIRST;
	return 0;
}

static void buddy_destroy(struct loam_heap *heap)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	for (uint32_t page = 1; page < buddy->top;) {
		uint32_t span = buddy->table[page].span;
		uint32_t count = buddy_span_pages(span);
		if ((span & BUDDY_LIVE) != 0) {
			buddy_unback(heap, page, count);
		}
		page += count;
	}
	buddy_cut_table(heap, 0);
}

/* Pages of a block whose first byte lies `offset` into the first of them. */
static inline uint32_t buddy_pages(size_t size_bytes, size_t offset)
{
	return (uint32_t)loam_pages_of(size_bytes + offset);
}

/*
 * A live span of `count` pages with memory, or 0: of a larger free span the
 * end, so that the rest of it stays where it is.
 */
static uint32_t buddy_obtain(struct loam_heap *heap, uint32_t count,
			     uint32_t flags)
{
	uint32_t page = buddy_choose(heap, count);
	uint32_t at = page;
	if (page == 0) {
		return 0;
	}
	if (page != heap->buddy.top) {
		at += buddy_span_pages(heap->buddy.table[page].span) - count;
	}
	return buddy_take(heap, page, at, count, flags) ? at : 0;
}

/*
 * The short way, for a block of one page: of the free spans of that size the
 * first, or where none is free at all, the page at top if the table has its
 * entry; with an owner that has no physical side. 0: the long way.
 */
static inline uint32_t buddy_short_way(const struct loam_heap *heap,
				       size_t size_bytes)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	if (size_bytes > BUDDY_PAGE_MAX || buddy_has_frames(heap)) {
		return 0;
	}
	size_t top = buddy->top;
	bool grows =
		buddy->nonempty == 0 && top <= buddy->total &&
		(top + 1) * sizeof(page_t) <= buddy->table_pages * BUDDY_PAGE;
	return grows ? buddy->top : buddy->heads[0];
}

/* Memory behind a page, from an owner without a physical side. */
static inline bool buddy_map_page(struct loam_heap *heap, uint32_t page)
{
	const struct loam_heap_owner *owner = heap->owner;
	if (owner != NULL &&
	    owner->map_pages(owner->context, buddy_at(heap, page), 1) != 1) {
		return false;
	}
	heap_mapped(heap, 1);
	return true;
}

/* Makes the page that is the short way's live. */
static inline void buddy_claim_page(struct loam_heap *heap, uint32_t page)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	page_t *table = buddy->table;
	if (page == buddy->top) {
		buddy->top++;
	} else {
		uint32_t next = table[page].next;
		buddy->heads[0] = next;
		buddy->nonempty &= ~(next == 0 ? 1u : 0u);
		table[next].prev = 0; /* entry 0 is in no list: no harm */
	}
	table[page].span = 1u << BUDDY_SHIFT | BUDDY_LIVE | BUDDY_FIRST;
}

static LOAM_NOINLINE void *buddy_alloc_span(struct loam_heap *heap,
					    size_t size_bytes)
{
	uint32_t page = 0;
	uint32_t flags = 0;
	if (heap_can_hold(heap, size_bytes)) {
		uint32_t count = buddy_pages(size_bytes, LOAM_HEAP_ALIGN);
		uint32_t least = buddy_pages(size_bytes, sizeof(header_t));
		flags = least < count ? BUDDY_NARROW : 0;
		page = buddy_obtain(heap, least, flags);
	}
	if (page == 0) {
		heap->failed++;
		return NULL;
	}
	buddy_set_header(heap, page, size_bytes, HEAP_MAGIC_LIVE);
	uint32_t span = heap->buddy.table[page].span;
	heap_count_alloc(heap, buddy_usable_bytes(span));
	return buddy_at(heap, page) + buddy_offset(flags);
}

static void *buddy_alloc(struct loam_heap *heap, size_t size_bytes)
{
	if (size_bytes == 0) {
		return NULL;
	}
	uint32_t page = buddy_short_way(heap, size_bytes);
	if (page == 0) {
		return buddy_alloc_span(heap, size_bytes);
	}
	if (LOAM_UNLIKELY(!buddy_map_page(heap, page))) {
		heap->failed++;
		return NULL;
	}
	buddy_claim_page(heap, page);
	unsigned char *block = buddy_at(heap, page) + LOAM_HEAP_ALIGN;
	buddy_fill_header((header_t *)(void *)block - 1,
			  buddy_magic(page, size_bytes, HEAP_MAGIC_LIVE),
			  size_bytes);
	heap_count_alloc(heap, BUDDY_PAGE_MAX);
	return block;
}

/* Frees a sound live span. */
static LOAM_NOINLINE void buddy_free_span(struct loam_heap *heap, uint32_t page)
{
	page_t *table = heap->buddy.table;
	uint32_t span = table[page].span;
	uint32_t count = buddy_span_pages(span);
	heap_count_free(heap, buddy_usable_bytes(span));
	buddy_set_header(heap, page, buddy_header(heap, page)->size,
			 HEAP_MAGIC_FREE);
	buddy_unback(heap, page, count);
	table[page].span = 0;
	table[page + count - 1].span = 0;
	buddy_release(heap, page, count, span & BUDDY_NARROW);
}

/* Takes a page's memory away and frees it: the short way of the above. */
static inline void buddy_free_page(struct loam_heap *heap, uint32_t page,
				   header_t *header)
{
	const struct loam_heap_owner *owner = heap->owner;
	page_t *table = heap->buddy.table;
	size_t size_bytes = header->size;
	buddy_fill_header(header,
			  buddy_magic(page, size_bytes, HEAP_MAGIC_FREE),
			  size_bytes);
	heap_count_free(heap, BUDDY_PAGE_MAX);
	heap->mapped_pages--;
	if (owner != NULL) {
		owner->unmap_pages(owner->context, buddy_at(heap, page), 1);
	}
	if (page + 1 < heap->buddy.top &&
	    (table[page - 1].span & table[page + 1].span & BUDDY_LIVE) != 0) {
		table[page].span = 1u << BUDDY_SHIFT | BUDDY_FIRST;
		buddy_insert(heap, page, 1);
		return;
	}
	table[page].span = 0;
	buddy_release(heap, page, 1, 0);
}

static void buddy_free(struct loam_heap *heap, void *address,
		       const void *caller)
{
	if (address == NULL) {
		return;
	}
	uint32_t page = buddy_find(heap, address, "free", caller);
	if (page == 0) {
		return;
	}
	uint32_t one = 1u << BUDDY_SHIFT | BUDDY_LIVE | BUDDY_FIRST;
	if (heap->buddy.table[page].span == one && !buddy_has_frames(heap)) {
		buddy_free_page(heap, page, (header_t *)address - 1);
	} else {
		buddy_free_span(heap, page);
	}
}

/*
 * Cuts a live span to `count` pages, or, since a block of the buddy goes back
 * whole or not at all, to the first end of one behind them.
 */
static void buddy_trim(struct loam_heap *heap, uint32_t page, uint32_t count)
{
	page_t *table = heap->buddy.table;
	uint32_t span = table[page].span;
	uint32_t has = buddy_span_pages(span);
	uint32_t keep = count;
	if (buddy_has_frames(heap)) {
		keep = 0;
		while (keep < count) {
			keep += 1u << table[page + keep].order;
		}
	}
	if (keep < has) {
		buddy_unback(heap, page + keep, has - keep);
		table[page + has - 1].span = 0;
		buddy_set_span(heap, page, keep,
			       span & (BUDDY_LIVE | BUDDY_NARROW));
		buddy_release(heap, page + keep, has - keep, 0);
	}
}

/* Makes a live span `count` pages long where it is, if addresses are free. */
static bool buddy_extend(struct loam_heap *heap, uint32_t page, uint32_t count)
{
	struct loam_heap_buddy *buddy = &heap->buddy;
	page_t *table = buddy->table;
	uint32_t span = table[page].span;
	uint32_t has = buddy_span_pages(span);
	uint32_t behind = page + has;
	uint32_t room = buddy->total + 1 - buddy->top;
	if (behind != buddy->top) {
		uint32_t next = table[behind].span;
		room = (next & BUDDY_LIVE) != 0 ? 0 : buddy_span_pages(next);
	}
	if (room < count - has ||
	    !buddy_take(heap, behind, behind, count - has, 0)) {
		return false;
	}
	table[behind].span = 0;
	table[behind - 1].span = 0;
	buddy_set_span(heap, page, count, span & (BUDDY_LIVE | BUDDY_NARROW));
	return true;
}

static void *buddy_move(struct loam_heap *heap, uint32_t page,
			size_t size_bytes)
{
	uint32_t span = heap->buddy.table[page].span;
	void *moved = buddy_alloc(heap, size_bytes);
	if (moved != NULL) {
		memcpy(moved, buddy_at(heap, page) + buddy_offset(span),
		       buddy_header(heap, page)->size);
		buddy_free_span(heap, page);
	}
	return moved;
}

static void *buddy_resize(struct loam_heap *heap, void *address,
			  size_t size_bytes, const void *caller)
{
	if (address == NULL) {
		return buddy_alloc(heap, size_bytes);
	}
	if (size_bytes == 0) {
		buddy_free(heap, address, caller);
		return NULL;
	}
	uint32_t page = buddy_find(heap, address, "resize", caller);
	if (page == 0) {
		return NULL;
	}
	if (!heap_can_hold(heap, size_bytes)) {
		heap->failed++;
		return NULL;
	}
	uint32_t span = heap->buddy.table[page].span;
	uint32_t count = buddy_pages(size_bytes, buddy_offset(span));
	if (count < buddy_span_pages(span)) {
		buddy_trim(heap, page, count);
	} else if (count > buddy_span_pages(span) &&
		   !buddy_extend(heap, page, count)) {
		return buddy_move(heap, page, size_bytes);
	}
	buddy_set_header(heap, page, size_bytes, HEAP_MAGIC_LIVE);
	heap->live_bytes -= buddy_usable_bytes(span);
	heap_grew(heap, buddy_usable_bytes(heap->buddy.table[page].span));
	return address;
}

static size_t buddy_usable(const struct loam_heap *heap, const void *address,
			   const void *caller)
{
	uint32_t page = buddy_find(heap, address, "usable", caller);
	return page == 0 ? 0 : buddy_usable_bytes(heap->buddy.table[page].span);
}

static bool buddy_walk(const struct loam_heap *heap,
		       struct loam_heap_block *out)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	uint32_t page = 1;
	if (out->address != NULL) {
		if (out->state == LOAM_HEAP_BROKEN) {
			return false;
		}
		page = buddy_page(heap, out->address);
		page += buddy_span_pages(buddy->table[page].span);
	}
	if (page >= buddy->top) {
		return false;
	}
	uint32_t span = buddy->table[page].span;
	size_t offset = buddy_offset(span);
	enum loam_heap_state state = LOAM_HEAP_FREE;
	if ((span & BUDDY_LIVE) != 0) {
		state = buddy_is_sound(heap, page) ? LOAM_HEAP_LIVE
						   : LOAM_HEAP_BROKEN;
	}
	*out = (struct loam_heap_block){
		.address = buddy_at(heap, page) + offset,
		.size_bytes = buddy_usable_bytes(span),
		.header_bytes = offset,
		.state = state,
	};
	return true;
}

/* ------------------------------------------------------------- check */

/* The blocks of frames behind a live span tile it. */
static int buddy_check_frames(const struct loam_heap *heap, uint32_t page,
			      uint32_t count)
{
	const page_t *table = heap->buddy.table;
	uint32_t at = 0;
	while (at < count && buddy_has_frames(heap)) {
		LOAM_CHECK(table[page + at].order <= BUDDY_ORDER_MAX);
		at += 1u << table[page + at].order;
	}
	LOAM_CHECK(!buddy_has_frames(heap) || at == count);
	return 0;
}

/* One span; counts mapped pages and free spans. */
static int buddy_check_span(const struct loam_heap *heap, uint32_t page,
			    size_t *mapped, size_t *free_spans)
{
	const page_t *table = heap->buddy.table;
	uint32_t span = table[page].span;
	uint32_t count = buddy_span_pages(span);
	LOAM_CHECK((span & BUDDY_FIRST) != 0);
	LOAM_CHECK(count > 0 && count <= heap->buddy.top - page);
	LOAM_CHECK((table[page + count - 1].span | BUDDY_FIRST) == span);
	for (uint32_t at = 1; at + 1 < count; at++) {
		LOAM_CHECK(table[page + at].span == 0);
	}
	if ((span & BUDDY_LIVE) == 0) {
		LOAM_CHECK((table[page - 1].span & BUDDY_LIVE) != 0);
		LOAM_CHECK(page + count < heap->buddy.top);
		(*free_spans)++;
		return 0;
	}
	if (!buddy_is_sound(heap, page)) {
		loam_log(LOAM_LOG_ERROR,
			 "check: heap buddy: broken header at %p",
			 (void *)buddy_header(heap, page));
		return -LOAM_EFAULT;
	}
	*mapped += count;
	return buddy_check_frames(heap, page, count);
}

static int buddy_check_lists(const struct loam_heap *heap, size_t free_spans)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	for (unsigned list = 0; list < LOAM_HEAP_BUDDY_LISTS; list++) {
		uint32_t prev = 0;
		uint32_t page = buddy->heads[list];
		LOAM_CHECK(((buddy->nonempty >> list) & 1u) == (page != 0));
		while (page != 0) {
			LOAM_CHECK(page < buddy->top && free_spans > 0);
			uint32_t span = buddy->table[page].span;
			LOAM_CHECK((span & BUDDY_LIVE) == 0);
			LOAM_CHECK((span & BUDDY_FIRST) != 0);
			LOAM_CHECK(loam_log2_floor(buddy_span_pages(span)) ==
				   list);
			LOAM_CHECK(buddy->table[page].prev == prev);
			free_spans--;
			prev = page;
			page = buddy->table[page].next;
		}
	}
	LOAM_CHECK(free_spans == 0);
	return 0;
}

static int buddy_check(const struct loam_heap *heap)
{
	const struct loam_heap_buddy *buddy = &heap->buddy;
	size_t mapped = buddy->table_pages;
	size_t free_spans = 0;
	LOAM_CHECK(buddy->top >= 1 && buddy->top <= buddy->total + 1);
	LOAM_CHECK(buddy_table_pages(buddy->top) <= buddy->table_pages);
	for (uint32_t page = 1; page < buddy->top;) {
		int error = buddy_check_span(heap, page, &mapped, &free_spans);
		if (error != 0) {
			return error;
		}
		page += buddy_span_pages(buddy->table[page].span);
	}
	LOAM_CHECK(mapped == heap->mapped_pages);
	int error = buddy_check_lists(heap, free_spans);
	return error != 0 ? error : loam_heap_check_counters(heap);
}

const struct loam_heap_ops loam_heap_buddy = {
	.name = "buddy",
	.max_bytes = (size_t)-1,
	.align_bytes = sizeof(header_t),
	.create = buddy_create,
	.alloc = buddy_alloc,
	.free = buddy_free,
	.resize = buddy_resize,
	.usable = buddy_usable,
	.walk = buddy_walk,
	.check = buddy_check,
	.destroy = buddy_destroy,
};

/* SPDX-License-Identifier: MIT */
/* The list heap: one free list by address; first, next or best fit. */
#include "heap_int.h"

/*
 * One free list
 * =============
 *
 *   start        first                                            end
 *   | index      | H live | H free      | H live | H live | H free | unmapped
 *                             |___________________________^  next
 *
 * Every block, live or free, begins with a header H of 16 bytes: its size and a
 * magic number, and for a free one its links in the list of free blocks, which
 * is in the order of addresses. Blocks tile the mapped part of the range, so
 * that the size leads to the next header. A request is served from the block
 * that the heap's policy picks; what is left of it, if that can be a block,
 * stays in the list in its place. A freed block goes to its place in the list,
 * where its neighbours in memory are its neighbours in the list: it merges with
 * those that touch it.
 *
 *   first fit  the lowest block that is large enough
 *   next fit   the first such block behind the last one handed out
 *   best fit   the smallest such block, the lowest of equal ones
 *
 * When none is large enough, pages are mapped behind the end, 16 at a time or
 * as many as it takes; when the last block is free and its last 32 pages or
 * more are not needed, all but 16 are returned.
 *
 * The list alone would make every operation walk half of it. An index at the
 * start of the range shortens the walks and changes nothing that is found. The
 * range is cut into regions of 8 KiB, larger ones above 512 MiB, and for each
 * the index knows the first free block that begins there (a hint), so that a
 * walk to an address starts in its region; and an upper bound of the sizes of
 * its free blocks. The bounds are the leaves of a complete binary tree in which
 * each node is the larger of its children: the next region that may have a
 * block large enough is found by going up and down in it. A bound is raised
 * when a block is freed; it is only lowered by a search that found the region
 * to have less than it promised. So each free causes at most one search in
 * vain.
 *
 * Best fit has to know the smallest block of all, of which the bounds say
 * little. Its index has a bin for each size below 4 KiB besides: the blocks of
 * just that size, as a heap ordered by address (a pairing heap, whose three
 * links are in the payload of a free block), and a bit that says whether there
 * are any. The first bin at or above a size that has blocks has the answer at
 * its root. Larger blocks, of which there are few, are found by their bounds,
 * and for them alone are there bounds then.
 *
 * Cost, with f free blocks of which k lie in the region: free O(k + log
 * regions); first and next fit the same for each region searched in vain, and
 * these are paid by earlier frees; best fit O(log f) amortised, and for 4 KiB
 * and more O(regions) at worst. The index has twelve bytes a region, and a KiB
 * more for best fit. Fragmentation: first fit needs at most about
 * M log2 n for M bytes of live memory with blocks of up to n units (Robson
 * 1977), best fit n * M, next fit is no better in theory and often worse in
 * practice.
 *
 * Sources: Arpaci-Dusseau, Operating Systems: Three Easy Pieces, chapter 17
 * (header with size and magic, splitting, coalescing, the policies); Knuth,
 * TAOCP 1, 2.5 (address order; the roving pointer of next fit); Fredman,
 * Sedgewick, Sleator and Tarjan, The Pairing Heap, Algorithmica 1, 1986.
 *
 * Invariants, all verified by check:
 *
 *   - blocks tile [first, end); each magic number is that of place, size and
 *     state;
 *   - the list holds exactly the free blocks, by rising address, its links
 *     agree in both directions, and no two of its blocks touch;
 *   - a hint is the region's first free block or 0, and its bit says which;
 *   - bounds are bounds, and each inner one is the larger of its two children;
 *   - under best fit, each free block below 4 KiB is in the bin of its size, no
 *     block there is above its children, and links agree both ways;
 *   - the pages up to end are the mapped ones.
 */

#define LIST_UNIT 16u
#define LIST_PAGE_UNITS (LOAM_PAGE_SIZE / LIST_UNIT)
#define LIST_REGION_SHIFT 13u   /* 8 KiB, or more where */
#define LIST_REGIONS_MAX 65536u /* that would be more than these */
#define LIST_MIX 0x9e3779b1u    /* odd: sizes that differ give other magics */
#define LIST_BINS 256u          /* sizes below 4 KiB have one, for best fit */

/* Sizes are units of payload. A live block's links are 0. */
struct list_node {
	uint32_t size;
	uint32_t magic;
	uint32_t next;
	uint32_t prev;
};
LOAM_STATIC_ASSERT(sizeof(struct list_node) == LIST_UNIT, "one unit");

typedef struct list_node node_t;

/* What the payload of a free block holds that is in a bin. */
struct list_bin {
	uint32_t child;   /* the first of them, or 0 */
	uint32_t sibling; /* the next one, or 0 */
	uint32_t prev;    /* the sibling before, or the parent; 0: root */
};
LOAM_STATIC_ASSERT(sizeof(struct list_bin) <= LIST_UNIT,
		   "the smallest payload holds it");

static inline node_t *list_at(const struct loam_heap *heap, uint32_t unit)
{
	return (void *)(heap->start + (size_t)unit * LIST_UNIT);
}

static inline uint32_t list_unit(const struct loam_heap *heap, const void *at)
{
	size_t offset = (uintptr_t)at - (uintptr_t)heap->start;
	return (uint32_t)(offset / LIST_UNIT);
}

/* Where the block at unit ends: the next header's place, or the end. */
static inline uint32_t list_behind(const node_t *node, uint32_t unit)
{
	return unit + 1 + node->size;
}

static inline uint32_t list_magic(uint32_t unit, uint32_t size, uint32_t state)
{
	return (state ^ unit) + size * LIST_MIX;
}

static inline bool list_is(const node_t *node, uint32_t unit, uint32_t state)
{
	return node->magic == list_magic(unit, node->size, state);
}

static inline void list_set(struct loam_heap *heap, uint32_t unit,
			    uint32_t size, uint32_t state)
{
	node_t *node = list_at(heap, unit);
	node->size = size;
	node->magic = list_magic(unit, size, state);
}

/* ------------------------------------------------------------- soundness */

/* A header that can be believed; reads no other. */
static inline bool list_is_whole(const struct loam_heap *heap, uint32_t unit)
{
	const node_t *node = list_at(heap, unit);
	return (list_is(node, unit, HEAP_MAGIC_LIVE)
			? (node->next | node->prev) == 0
			: list_is(node, unit, HEAP_MAGIC_FREE)) &&
	       node->size != 0 && node->size < heap->list.end - unit;
}

/* A live block whose header and the one behind it can be believed. */
static inline bool list_is_sound(const struct loam_heap *heap, uint32_t unit)
{
	const node_t *node = list_at(heap, unit);
	if (!list_is(node, unit, HEAP_MAGIC_LIVE) ||
	    !list_is_whole(heap, unit)) {
		return false;
	}
	uint32_t behind = list_behind(node, unit);
	return behind == heap->list.end || list_is_whole(heap, behind);
}

/* The free block at unit, to which a link or hint led. */
static inline node_t *list_free_at(const struct loam_heap *heap, uint32_t unit)
{
	LOAM_VERIFY(unit >= heap->list.first && unit < heap->list.end);
	node_t *node = list_at(heap, unit);
	LOAM_VERIFY(list_is(node, unit, HEAP_MAGIC_FREE));
	return node;
}

/* The live block that address is the payload of, or 0, reported. */
static uint32_t list_find(const struct loam_heap *heap, const void *address,
			  const char *verb, const void *caller)
{
	const struct loam_heap_list *list = &heap->list;
	if (heap_is_candidate(address, (void *)list_at(heap, list->first + 1),
			      (void *)list_at(heap, list->end))) {
		uint32_t unit = list_unit(heap, address) - 1;
		if (list_is_sound(heap, unit)) {
			return unit;
		}
	}
	loam_heap_misuse(heap, caller, verb, address);
	return 0;
}

/* ------------------------------------------------------------- the bins */

static inline struct list_bin *list_bin(const struct loam_heap *heap,
					uint32_t unit)
{
	return (void *)(list_at(heap, unit) + 1);
}

/* The links of a free block, to which another one's led. */
static inline struct list_bin *list_bin_at(const struct loam_heap *heap,
					   uint32_t unit)
{
	return (void *)(list_free_at(heap, unit) + 1);
}

/* True for free blocks that best fit finds by their size. */
static inline bool list_has_bin(const struct loam_heap *heap, uint32_t size)
{
	return heap->list.bins != NULL && size < LIST_BINS;
}

/* The links of a block that the one at `left` says is next to it, or below. */
static inline struct list_bin *list_bin_behind(const struct loam_heap *heap,
					       uint32_t unit, uint32_t left)
{
	struct list_bin *bin = list_bin_at(heap, unit);
	/* They lie where the block's former user may still write. */
	LOAM_VERIFY(bin->prev == left);
	return bin;
}

/* Makes one root the first child of the other, which is lower and returned. */
static inline uint32_t list_bin_meld(const struct loam_heap *heap, uint32_t a,
				     uint32_t b)
{
	uint32_t root = a < b ? a : b;
	uint32_t below = a < b ? b : a;
	struct list_bin *top = list_bin_at(heap, root);
	struct list_bin *child = list_bin_at(heap, below);
	child->sibling = top->child;
	child->prev = root;
	if (top->child != 0) {
		list_bin_behind(heap, top->child, root)->prev = below;
	}
	top->child = below;
	return root;
}

/*
 * Makes one root of a block's children, or 0 of none: in pairs, then the pairs
 * from the last to the first, which is what keeps later removals cheap.
 */
static uint32_t list_bin_merge(const struct loam_heap *heap, uint32_t parent)
{
	uint32_t pairs = 0;
	uint32_t left = parent;
	uint32_t first = list_bin(heap, parent)->child;
	while (first != 0) {
		uint32_t one = first;
		struct list_bin *bin = list_bin_behind(heap, one, left);
		uint32_t two = bin->sibling;
		first = 0;
		bin->sibling = 0;
		if (two != 0) {
			bin = list_bin_behind(heap, two, one);
			left = two;
			first = bin->sibling;
			bin->sibling = 0;
			one = list_bin_meld(heap, one, two);
		}
		list_bin(heap, one)->prev = pairs;
		pairs = one;
	}
	uint32_t root = pairs;
	if (root != 0) {
		pairs = list_bin(heap, root)->prev;
	}
	while (pairs != 0) {
		uint32_t before = list_bin(heap, pairs)->prev;
		root = list_bin_meld(heap, root, pairs);
		pairs = before;
	}
	if (root != 0) {
		list_bin(heap, root)->prev = 0;
	}
	return root;
}

static void list_bin_insert(struct loam_heap *heap, uint32_t unit,
			    uint32_t size)
{
	struct loam_heap_list *list = &heap->list;
	if (!list_has_bin(heap, size)) {
		return;
	}
	uint32_t root = list->bins[size];
	*list_bin(heap, unit) = (struct list_bin){ .child = 0 };
	list->bins[size] = root == 0 ? unit : list_bin_meld(heap, root, unit);
	loam_bitmap_set(list->bin_map, size);
}

static void list_bin_remove(struct loam_heap *heap, uint32_t unit,
			    uint32_t size)
{
	struct loam_heap_list *list = &heap->list;
	if (!list_has_bin(heap, size)) {
		return;
	}
	struct list_bin bin = *list_bin(heap, unit);
	uint32_t merged = list_bin_merge(heap, unit);
	if (bin.prev == 0) {
		LOAM_VERIFY(list->bins[size] == unit && bin.sibling == 0);
		list->bins[size] = merged;
		if (merged == 0) {
			loam_bitmap_clear(list->bin_map, size);
		}
		return;
	}
	struct list_bin *prev = list_bin_at(heap, bin.prev);
	LOAM_VERIFY(prev->child == unit || prev->sibling == unit);
	*(prev->child == unit ? &prev->child : &prev->sibling) = bin.sibling;
	if (bin.sibling != 0) {
		list_bin_behind(heap, bin.sibling, unit)->prev = bin.prev;
	}
	if (merged != 0) {
		list->bins[size] =
			list_bin_meld(heap, list->bins[size], merged);
	}
}

/* ------------------------------------------------------------- the index */

static inline uint32_t list_region(const struct loam_heap *heap, uint32_t unit)
{
	return unit >> heap->list.region_shift;
}

/* Makes `size` the bound of a region, and the nodes above what they must be. */
static void list_set_bound(struct loam_heap *heap, uint32_t region,
			   uint32_t size)
{
	uint32_t *bounds = heap->list.bounds;
	uint32_t node = heap->list.regions + region;
	bounds[node] = size;
	while (node > 1) {
		uint32_t sibling = bounds[node ^ 1u];
		uint32_t larger = size > sibling ? size : sibling;
		node >>= 1;
		if (bounds[node] == larger) {
			return;
		}
		bounds[node] = larger;
		size = larger;
	}
}

static inline void list_raise_bound(struct loam_heap *heap, uint32_t unit,
				    uint32_t size)
{
	uint32_t region = list_region(heap, unit);
	if (list_has_bin(heap, size)) {
		return;
	}
	if (heap->list.bounds[heap->list.regions + region] < size) {
		list_set_bound(heap, region, size);
	}
}

/* The first region at or after `from` with a bound of at least size. */
static bool list_next_region(const struct loam_heap *heap, uint32_t from,
			     uint32_t size, uint32_t *region)
{
	const uint32_t *bounds = heap->list.bounds;
	uint32_t regions = heap->list.regions;
	if (from >= regions) {
		return false;
	}
	uint32_t node = regions + from;
	while (bounds[node] < size) {
		while ((node & 1u) != 0) {
			node >>= 1;
		}
		if (node == 0) {
			return false;
		}
		node++;
	}
	while (node < regions) {
		node *= 2;
		node += bounds[node] < size;
	}
	*region = node - regions;
	return true;
}

/* ------------------------------------------------------------- the list */

/* The free blocks around unit, at which none begins; 0 for none. */
static void list_locate(const struct loam_heap *heap, uint32_t unit,
			uint32_t *prev, uint32_t *next)
{
	const struct loam_heap_list *list = &heap->list;
	uint32_t region = list_region(heap, unit);
	uint32_t hint = list->hints[region];
	if (hint != 0 && hint < unit) {
		uint32_t at = hint;
		uint32_t after = list_free_at(heap, at)->next;
		while (after != 0 && after < unit) {
			at = after;
			after = list_free_at(heap, at)->next;
		}
		*prev = at;
		*next = after;
		return;
	}
	if (hint == 0) {
		size_t limit = (size_t)list_region(heap, list->end - 1) + 1;
		size_t found =
			loam_bitmap_find(list->nonzero, limit, region + 1);
		hint = found < limit ? list->hints[found] : 0;
	}
	*next = hint;
	*prev = hint == 0 ? list->tail : list_free_at(heap, hint)->prev;
}

/* Puts the block at unit, which list_set() made free, between two others. */
static void list_link(struct loam_heap *heap, uint32_t unit, uint32_t prev,
		      uint32_t next)
{
	struct loam_heap_list *list = &heap->list;
	node_t *node = list_at(heap, unit);
	uint32_t region = list_region(heap, unit);
	node->next = next;
	node->prev = prev;
	*(prev != 0 ? &list_free_at(heap, prev)->next : &list->head) = unit;
	*(next != 0 ? &list_free_at(heap, next)->prev : &list->tail) = unit;
	if (list->hints[region] == 0 || list->hints[region] > unit) {
		list->hints[region] = unit;
		loam_bitmap_set(list->nonzero, region);
	}
	list_bin_insert(heap, unit, node->size);
	list_raise_bound(heap, unit, node->size);
}

/* A free block, which stays where it is, becomes larger. */
static void list_enlarge(struct loam_heap *heap, uint32_t unit, uint32_t size)
{
	list_bin_remove(heap, unit, list_at(heap, unit)->size);
	list_set(heap, unit, size, HEAP_MAGIC_FREE);
	list_bin_insert(heap, unit, size);
	list_raise_bound(heap, unit, size);
}

static void list_unlink(struct loam_heap *heap, uint32_t unit)
{
	struct loam_heap_list *list = &heap->list;
	const node_t *node = list_free_at(heap, unit);
	uint32_t prev = node->prev;
	uint32_t next = node->next;
	uint32_t region = list_region(heap, unit);
	list_bin_remove(heap, unit, node->size);
	*(prev != 0 ? &list_free_at(heap, prev)->next : &list->head) = next;
	*(next != 0 ? &list_free_at(heap, next)->prev : &list->tail) = prev;
	if (list->hints[region] == unit) {
		bool same = next != 0 && list_region(heap, next) == region;
		list->hints[region] = same ? next : 0;
		if (!same) {
			loam_bitmap_clear(list->nonzero, region);
		}
	}
}

/* ------------------------------------------------------------- the policies */

/*
 * The first free block of a region at or behind `from` of at least `size`
 * units, or 0. All of the region having been looked at in vain, its bound is
 * made what it should be.
 */
static uint32_t list_search_region(struct loam_heap *heap, uint32_t region,
				   uint32_t from, uint32_t size)
{
	uint32_t largest = 0;
	uint32_t unit = heap->list.hints[region];
	while (unit != 0 && list_region(heap, unit) == region) {
		const node_t *node = list_free_at(heap, unit);
		if (unit >= from && node->size >= size) {
			return unit;
		}
		largest = node->size > largest ? node->size : largest;
		unit = node->next;
	}
	list_set_bound(heap, region, largest);
	return 0;
}

/* The lowest block of at least `size` units in or behind a region, or 0. */
static uint32_t list_first_fit(struct loam_heap *heap, uint32_t region,
			       uint32_t size)
{
	while (list_next_region(heap, region, size, &region)) {
		uint32_t unit = list_search_region(heap, region, 0, size);
		if (unit != 0) {
			return unit;
		}
		region++;
	}
	return 0;
}

static uint32_t list_next_fit(struct loam_heap *heap, uint32_t size)
{
	uint32_t region = list_region(heap, heap->list.rover);
	uint32_t unit = 0;
	if (region < heap->list.regions) {
		unit = list_search_region(heap, region, heap->list.rover, size);
	}
	if (unit == 0) {
		unit = list_first_fit(heap, region + 1, size);
	}
	return unit != 0 ? unit : list_first_fit(heap, 0, size);
}

/* Best fit among the blocks that are in no bin. */
static uint32_t list_best_fit_large(struct loam_heap *heap, uint32_t size)
{
	uint32_t best = 0;
	uint32_t best_size = (uint32_t)-1;
	uint32_t region = 0;
	while (best_size > size &&
	       list_next_region(heap, region, size, &region)) {
		uint32_t unit = list_search_region(heap, region, 0, size);
		while (unit != 0 && list_region(heap, unit) == region) {
			const node_t *node = list_free_at(heap, unit);
			if (node->size >= size && node->size < best_size) {
				best = unit;
				best_size = node->size;
			}
			unit = node->next;
		}
		region++;
	}
	return best;
}

static uint32_t list_best_fit(struct loam_heap *heap, uint32_t size)
{
	const struct loam_heap_list *list = &heap->list;
	if (size >= LIST_BINS) {
		return list_best_fit_large(heap, size);
	}
	size_t bin = loam_bitmap_find(list->bin_map, LIST_BINS, size);
	return bin < LIST_BINS ? list->bins[bin]
			       : list_best_fit_large(heap, LIST_BINS);
}

static uint32_t list_choose(struct loam_heap *heap, uint32_t size)
{
	switch (heap->list.fit) {
	case LOAM_HEAP_NEXT_FIT:
		return list_next_fit(heap, size);
	case LOAM_HEAP_BEST_FIT:
		return list_best_fit(heap, size);
	default:
		return list_first_fit(heap, 0, size);
	}
}

/* ------------------------------------------------------------- blocks */

/* Returns pages of a free last block, when many are not needed. */
static void list_shrink(struct loam_heap *heap)
{
	struct loam_heap_list *list = &heap->list;
	uint32_t unit = list->tail;
	const node_t *node = list_free_at(heap, unit);
	if (list_behind(node, unit) != list->end) {
		return;
	}
	uint32_t keep = (unit / LIST_PAGE_UNITS + 1 + HEAP_SLACK_PAGES) *
			LIST_PAGE_UNITS;
	if (list->end < keep ||
	    list->end - keep < HEAP_SLACK_PAGES * LIST_PAGE_UNITS) {
		return;
	}
	loam_heap_unmap(heap, (void *)list_at(heap, keep),
			(list->end - keep) / LIST_PAGE_UNITS);
	list->end = keep;
	/* It had no bin, and has none: at least 16 pages of it are left. */
	list_set(heap, unit, keep - unit - 1, HEAP_MAGIC_FREE);
}

/* Frees the block at unit of `size` units, which no list has. */
static void list_release(struct loam_heap *heap, uint32_t unit, uint32_t size)
{
	uint32_t prev;
	uint32_t next;
	list_locate(heap, unit, &prev, &next);
	if (next != 0 && unit + 1 + size == next) {
		node_t *node = list_free_at(heap, next);
		uint32_t after = node->next;
		size += 1 + node->size;
		list_unlink(heap, next);
		node->magic = 0;
		next = after;
	}
	if (prev != 0 && list_behind(list_free_at(heap, prev), prev) == unit) {
		size += 1 + list_at(heap, prev)->size;
		list_at(heap, unit)->magic = 0;
		list_enlarge(heap, prev, size);
	} else {
		list_set(heap, unit, size, HEAP_MAGIC_FREE);
		list_link(heap, unit, prev, next);
	}
	if (next == 0) {
		list_shrink(heap);
	}
}

/* Maps pages behind the end: at least `units`, free afterwards. */
static bool list_grow(struct loam_heap *heap, size_t units)
{
	struct loam_heap_list *list = &heap->list;
	unsigned char *end = (void *)list_at(heap, list->end);
	size_t left = (heap->size_bytes >> LOAM_PAGE_SHIFT) -
		      list->end / LIST_PAGE_UNITS;
	size_t need = (units + LIST_PAGE_UNITS - 1) / LIST_PAGE_UNITS;
	size_t ask = need > HEAP_SLACK_PAGES ? need : HEAP_SLACK_PAGES;
	ask = ask < left ? ask : left;
	if (need > left) {
		return false;
	}
	if (!loam_heap_map(heap, end, ask)) {
		ask = need;
		if (!loam_heap_map(heap, end, ask)) {
			return false;
		}
	}
	uint32_t unit = list->end;
	list->end += (uint32_t)ask * LIST_PAGE_UNITS;
	list_at(heap, unit)->magic = 0;
	/* Freed whole, it would be given back at once: it is merged by hand. */
	uint32_t prev = list->tail;
	uint32_t size = list->end - unit - 1;
	if (prev != 0 && list_behind(list_free_at(heap, prev), prev) == unit) {
		size += 1 + list_at(heap, prev)->size;
		list_enlarge(heap, prev, size);
	} else {
		list_set(heap, unit, size, HEAP_MAGIC_FREE);
		list_link(heap, unit, prev, 0);
	}
	return true;
}

/* Takes the free block at unit for a request of `size` units. */
static void list_take(struct loam_heap *heap, uint32_t unit, uint32_t size)
{
	node_t *node = list_free_at(heap, unit);
	LOAM_VERIFY(list_is_whole(heap, unit));
	uint32_t prev = node->prev;
	uint32_t next = node->next;
	uint32_t spare = node->size - size;
	list_unlink(heap, unit);
	if (spare >= 2) {
		uint32_t rest = unit + 1 + size;
		list_set(heap, rest, spare - 1, HEAP_MAGIC_FREE);
		list_link(heap, rest, prev, next);
	} else {
		size += spare;
	}
	list_set(heap, unit, size, HEAP_MAGIC_LIVE);
	node->next = 0;
	node->prev = 0;
	heap->list.rover = unit + 1 + size;
}

/* Cuts a live block to `size` units, if the rest can be a block. */
static void list_trim(struct loam_heap *heap, uint32_t unit, uint32_t size)
{
	uint32_t old = list_at(heap, unit)->size;
	if (old - size >= 2) {
		list_set(heap, unit, size, HEAP_MAGIC_LIVE);
		list_release(heap, unit + 1 + size, old - size - 1);
	}
}

/* Makes a live block at least `size` units large where it is, if it can be. */
static bool list_extend(struct loam_heap *heap, uint32_t unit, uint32_t size)
{
	struct loam_heap_list *list = &heap->list;
	node_t *node = list_at(heap, unit);
	uint32_t behind = list_behind(node, unit);
	uint32_t room = 0;
	if (behind != list->end) {
		if (!list_is(list_at(heap, behind), behind, HEAP_MAGIC_FREE)) {
			return false;
		}
		room = 1 + list_at(heap, behind)->size;
	}
	uint32_t more = size - node->size;
	if (room < more) {
		if (behind + room != list->end ||
		    !list_grow(heap, more - room)) {
			return false;
		}
		room = 1 + list_at(heap, behind)->size;
	}
	list_unlink(heap, behind);
	list_at(heap, behind)->magic = 0;
	list_set(heap, unit, node->size + room, HEAP_MAGIC_LIVE);
	list_trim(heap, unit, size);
	return true;
}

/* ------------------------------------------------------------- operations */

/* Sizes the index; false if nothing of the range would be left. */
static bool list_lay_out(struct loam_heap *heap, enum loam_heap_fit fit,
			 size_t *index_bytes, size_t *pages)
{
	struct loam_heap_list *list = &heap->list;
	unsigned shift = LIST_REGION_SHIFT;
	while ((heap->size_bytes - 1) >> shift >= LIST_REGIONS_MAX) {
		shift++;
	}
	size_t last = (heap->size_bytes - 1) >> shift;
	list->regions = 1u << loam_log2_ceil(last + 1);
	list->region_shift = shift - 4; /* in units */
	size_t words =
		3 * (size_t)list->regions + LOAM_BITMAP_WORDS(list->regions);
	if (fit == LOAM_HEAP_BEST_FIT) {
		list->bins = (uint32_t *)(void *)heap->start + words;
		list->bin_map = list->bins + LIST_BINS;
		words += LIST_BINS + LOAM_BITMAP_WORDS(LIST_BINS);
	}
	*index_bytes = loam_size_round_up(words * 4, LIST_UNIT);
	*pages = loam_pages_of(*index_bytes + 2 * LIST_UNIT);
	list->hints = (void *)heap->start;
	list->bounds = list->hints + list->regions;
	list->nonzero = list->bounds + 2 * (size_t)list->regions;
	return *pages <= heap->size_bytes >> LOAM_PAGE_SHIFT;
}

static int list_create(struct loam_heap *heap,
		       const struct loam_heap_config *config)
{
	struct loam_heap_list *list = &heap->list;
	size_t index_bytes;
	size_t pages;
	if ((unsigned)config->fit >= LOAM_HEAP_FIT_COUNT ||
	    !list_lay_out(heap, config->fit, &index_bytes, &pages)) {
		return -LOAM_EINVAL;
	}
	if (!loam_heap_map(heap, heap->start, pages)) {
		return -LOAM_ENOMEM;
	}
	memset(heap->start, 0, index_bytes);
	list->fit = config->fit;
	list->first = (uint32_t)(index_bytes / LIST_UNIT);
	list->end = (uint32_t)pages * LIST_PAGE_UNITS;
	list->rover = list->first;
	list_set(heap, list->first, list->end - list->first - 1,
		 HEAP_MAGIC_FREE);
	list_link(heap, list->first, 0, 0);
	return 0;
}

static void list_destroy(struct loam_heap *heap)
{
	loam_heap_unmap(heap, heap->start, heap->mapped_pages);
}

static void *list_alloc(struct loam_heap *heap, size_t size_bytes)
{
	struct loam_heap_list *list = &heap->list;
	if (size_bytes == 0) {
		return NULL;
	}
	uint32_t unit = 0;
	uint32_t size = 0;
	if (heap_can_hold(heap, size_bytes)) {
		size = (uint32_t)((size_bytes + LIST_UNIT - 1) / LIST_UNIT);
		unit = list_choose(heap, size);
	}
	if (unit == 0 && size != 0) {
		/* What a free last block has need not be mapped. */
		uint32_t tail = list->tail;
		size_t need = (size_t)size + 1;
		if (tail != 0 &&
		    list_behind(list_at(heap, tail), tail) == list->end) {
			need -= 1 + list_at(heap, tail)->size;
		}
		unit = list_grow(heap, need) ? list->tail : 0;
	}
	if (unit == 0) {
		heap->failed++;
		return NULL;
	}
	list_take(heap, unit, size);
	node_t *node = list_at(heap, unit);
	heap_count_alloc(heap, (size_t)node->size * LIST_UNIT);
	return node + 1;
}

static void list_free(struct loam_heap *heap, void *address, const void *caller)
{
	if (address == NULL) {
		return;
	}
	uint32_t unit = list_find(heap, address, "free", caller);
	if (unit != 0) {
		uint32_t size = list_at(heap, unit)->size;
		heap_count_free(heap, (size_t)size * LIST_UNIT);
		list_release(heap, unit, size);
	}
}

static void *list_resize(struct loam_heap *heap, void *address,
			 size_t size_bytes, const void *caller)
{
	if (address == NULL) {
		return list_alloc(heap, size_bytes);
	}
	if (size_bytes == 0) {
		list_free(heap, address, caller);
		return NULL;
	}
	uint32_t unit = list_find(heap, address, "resize", caller);
	if (unit == 0) {
		return NULL;
	}
	if (!heap_can_hold(heap, size_bytes)) {
		heap->failed++;
		return NULL;
	}
	const node_t *node = list_at(heap, unit);
	uint32_t size = (uint32_t)((size_bytes + LIST_UNIT - 1) / LIST_UNIT);
	size_t old_bytes = (size_t)node->size * LIST_UNIT;
	if (size <= node->size) {
		list_trim(heap, unit, size);
	} else if (!list_extend(heap, unit, size)) {
		void *moved = list_alloc(heap, size_bytes);
		if (moved != NULL) {
			memcpy(moved, address, old_bytes);
			list_free(heap, address, caller);
		}
		return moved;
	}
	heap->live_bytes -= old_bytes;
	heap_grew(heap, (size_t)node->size * LIST_UNIT);
	return address;
}

static size_t list_usable(const struct loam_heap *heap, const void *address,
			  const void *caller)
{
	uint32_t unit = list_find(heap, address, "usable", caller);
	return unit == 0 ? 0 : (size_t)list_at(heap, unit)->size * LIST_UNIT;
}

static bool list_walk(const struct loam_heap *heap, struct loam_heap_block *out)
{
	uint32_t unit = heap->list.first;
	if (out->address != NULL) {
		uint32_t from = list_unit(heap, out->address) - 1;
		if (out->state == LOAM_HEAP_BROKEN) {
			return false;
		}
		unit = list_behind(list_at(heap, from), from);
	}
	if (unit == heap->list.end) {
		return false;
	}
	node_t *node = list_at(heap, unit);
	bool whole = list_is_whole(heap, unit);
	*out = (struct loam_heap_block){
		.address = (unsigned char *)(node + 1),
		.size_bytes = whole ? (size_t)node->size * LIST_UNIT : 0,
		.header_bytes = LIST_UNIT,
		.state = !whole ? LOAM_HEAP_BROKEN
			 : list_is(node, unit, HEAP_MAGIC_LIVE)
				 ? LOAM_HEAP_LIVE
				 : LOAM_HEAP_FREE,
	};
	return true;
}

/* ------------------------------------------------------------- check */

/*
 * Blocks and list, side by side: the next free block is the list's next. Counts
 * those that have a bin.
 */
static int list_check_blocks(const struct loam_heap *heap, size_t *binned)
{
	const struct loam_heap_list *list = &heap->list;
	uint32_t expected = list->head;
	uint32_t prev = 0;
	uint32_t behind_free = 0;
	for (uint32_t unit = list->first; unit != list->end;) {
		const node_t *node = list_at(heap, unit);
		if (!list_is_whole(heap, unit)) {
			loam_log(LOAM_LOG_ERROR,
				 "check: heap list: broken header at %p",
				 (const void *)node);
			return -LOAM_EFAULT;
		}
		if (list_is(node, unit, HEAP_MAGIC_FREE)) {
			LOAM_CHECK(unit == expected);
			LOAM_CHECK(node->prev == prev);
			LOAM_CHECK(unit != behind_free);
			LOAM_CHECK(list_has_bin(heap, node->size) ||
				   list->bounds[list->regions +
						list_region(heap, unit)] >=
					   node->size);
			*binned += list_has_bin(heap, node->size);
			prev = unit;
			expected = node->next;
			behind_free = list_behind(node, unit);
		}
		unit = list_behind(node, unit);
	}
	LOAM_CHECK(expected == 0);
	LOAM_CHECK(list->tail == prev);
	return 0;
}

/* Hints, after the list itself was found to be sound; and the tree. */
static int list_check_index(const struct loam_heap *heap)
{
	const struct loam_heap_list *list = &heap->list;
	uint32_t unit = list->head;
	for (uint32_t region = 0; region < list->regions; region++) {
		bool has = unit != 0 && list_region(heap, unit) == region;
		LOAM_CHECK(list->hints[region] == (has ? unit : 0));
		LOAM_CHECK(loam_bitmap_test(list->nonzero, region) == has);
		while (unit != 0 && list_region(heap, unit) == region) {
			unit = list_at(heap, unit)->next;
		}
	}
	LOAM_CHECK(unit == 0);
	for (uint32_t node = 1; node < list->regions; node++) {
		uint32_t left = list->bounds[2 * (size_t)node];
		uint32_t right = list->bounds[2 * (size_t)node + 1];
		LOAM_CHECK(list->bounds[node] == (left > right ? left : right));
	}
	return 0;
}

/* The block after `unit` in its bin, parents before their children; or 0. */
static uint32_t list_bin_next(const struct loam_heap *heap, uint32_t unit)
{
	const struct list_bin *bin = list_bin(heap, unit);
	if (bin->child != 0) {
		return bin->child;
	}
	while (bin->sibling == 0 && bin->prev != 0) {
		/* To the parent, past the siblings that were before it. */
		uint32_t from;
		do {
			from = unit;
			unit = bin->prev;
			bin = list_bin(heap, unit);
		} while (bin->child != from && bin->prev != 0);
	}
	return bin->sibling;
}

/* One bin: free blocks of its size, no child below its parent; counts down. */
static int list_check_bin(const struct loam_heap *heap, uint32_t size,
			  size_t *left)
{
	uint32_t unit = heap->list.bins[size];
	LOAM_CHECK(loam_bitmap_test(heap->list.bin_map, size) == (unit != 0));
	LOAM_CHECK(unit == 0 || list_bin(heap, unit)->prev == 0);
	LOAM_CHECK(unit == 0 || list_bin(heap, unit)->sibling == 0);
	while (unit != 0) {
		LOAM_CHECK(*left > 0);
		(*left)--;
		LOAM_CHECK(unit >= heap->list.first && unit < heap->list.end);
		const node_t *node = list_at(heap, unit);
		const struct list_bin *bin = list_bin(heap, unit);
		LOAM_CHECK(list_is(node, unit, HEAP_MAGIC_FREE));
		LOAM_CHECK(node->size == size);
		LOAM_CHECK(bin->child == 0 || bin->child > unit);
		LOAM_CHECK(bin->child < heap->list.end);
		LOAM_CHECK(bin->child == 0 ||
			   list_bin(heap, bin->child)->prev == unit);
		LOAM_CHECK(bin->sibling == 0 ||
			   bin->sibling >= heap->list.first);
		LOAM_CHECK(bin->sibling < heap->list.end);
		LOAM_CHECK(bin->sibling == 0 ||
			   list_bin(heap, bin->sibling)->prev == unit);
		unit = list_bin_next(heap, unit);
	}
	return 0;
}

static int list_check(const struct loam_heap *heap)
{
	size_t binned = 0;
	const struct loam_heap_list *list = &heap->list;
	LOAM_CHECK(list->end % LIST_PAGE_UNITS == 0);
	LOAM_CHECK(list->end / LIST_PAGE_UNITS == heap->mapped_pages);
	int error = list_check_blocks(heap, &binned);
	if (error == 0) {
		error = list_check_index(heap);
	}
	if (list->bins != NULL) {
		for (uint32_t bin = 0; bin < LIST_BINS && error == 0; bin++) {
			error = list_check_bin(heap, bin, &binned);
		}
		LOAM_CHECK(error != 0 || binned == 0);
	}
	return error != 0 ? error : loam_heap_check_counters(heap);
}

const struct loam_heap_ops loam_heap_list = {
	.name = "list",
	.max_bytes = (size_t)-1,
	.align_bytes = LOAM_HEAP_ALIGN,
	.create = list_create,
	.alloc = list_alloc,
	.free = list_free,
	.resize = list_resize,
	.usable = list_usable,
	.walk = list_walk,
	.check = list_check,
	.destroy = list_destroy,
};

/* SPDX-License-Identifier: MIT */
/* Arenas: sets of integers from which ranges are taken and given back. */

/*
 * Concepts
 *
 * An arena manages the integers [base, base + size) in multiples of its
 * quantum. It never looks at what they name: for kspace they are addresses of
 * pages, but port numbers or identifiers would do as well. The idea, and the
 * boundary tags below, are those of vmem (Bonwick and Adams, "Magazines and
 * Vmem", USENIX 2001).
 *
 * Structures
 *
 *	base                                              base + size
 *	| used A | free B   | used C | used D | free E            |
 *	   |  ^     |  ^       |  ^     |  ^     |  ^
 *	   v  |     v  |       v  |     v  |     v  |
 *	  [A]<--->[B]<------>[C]<--->[D]<--->[E]        order, a list
 *	           |                          |
 *	           +-----<-- free_ranges -->--+         a tree by size
 *	   |                   |       |
 *	   +---------->-- buckets --<--+                a hash by start
 *
 * Each range has a descriptor. The descriptors tile the arena: in the list
 * `order` each one starts where the one before it ends, so that the
 * neighbours of a range, free or used, are one link away. Two free ranges are
 * never neighbours. A free range is in a balanced tree ordered by (size,
 * start); a used one in a hash table by its start.
 *
 * Algorithm
 *
 * alloc descends the tree to the smallest (size, start) that is large enough:
 * the best fit, the lowest address among equals. With an alignment it goes on
 * in tree order until one fits; a range of size + align - quantum always
 * does. It cuts what it needs from the low end: what lies before and behind
 * remains free. free looks the start up in the hash, and merges with the
 * neighbours on both sides. Where cutting or merging leaves a free range
 * between the same neighbours in the tree, as when ranges come and go at the
 * edge of a large hole, its key is changed in place and nothing is moved.
 *
 * Descriptors
 *
 * They are cut from pages, which come from ops or, the first, from the
 * caller. Cutting the middle out of a free range makes three of one and takes
 * two descriptors: no operation takes more, and free takes none. An operation
 * that may need some looks at the number of spare ones with the lock held; if
 * there are less than two it drops the lock, gets a page, and takes the lock
 * again. So nothing is allocated under the lock, and ops may use every floor
 * below. If no page is to be had it goes on with what there is and fails only
 * if that is not enough, before anything has changed.
 *
 * The hash table starts inside the arena with 32 buckets. When a page of
 * descriptors is needed and there are that many used ranges, a page of
 * buckets comes with it: 1024 on i386. If there is none the small table is
 * kept, and the chains are longer.
 *
 * Pages stay until fini: the memory they take is that of the most ranges
 * there have ever been (40 bytes each on i386, 80 on 64 bits).
 *
 * Locking
 *
 * One lock an arena, LOAM_RANK_ARENA, held for each whole operation. No
 * callback but the one of walk is called with it.
 *
 * Cost
 *
 * alloc and free: a descent of a tree of the free ranges, O(log n), and a
 * hash chain, O(1) expected; two list links. At the edge of one large hole,
 * the common case of a kernel, the tree is a single node.
 *
 * What fails
 *
 * alloc: no room, no descriptor, bad arguments. free and retag: no such
 * range, which the caller reports, since he knows what the number means.
 */

#include "kspace_int.h"

/* A page of buckets, and how many bits choose one. */
#define ARENA_TABLE_BITS (LOAM_PAGE_SHIFT - (sizeof(void *) == 8 ? 3u : 2u))
LOAM_STATIC_ASSERT(sizeof(void *) << ARENA_TABLE_BITS == LOAM_PAGE_SIZE,
		   "a table is a page");

/* -------- used ranges: the hash -------- */

static void used_insert(struct loam_arena *arena,
			struct loam_arena_range *range)
{
	struct loam_arena_range **bucket = arena_bucket(arena, range->start);
	range->state = LOAM_ARENA_USED;
	range->next = *bucket;
	*bucket = range;
	arena->ranges_used++;
	arena->used += range->size;
	if (arena->used > arena->peak) {
		arena->peak = arena->used;
	}
}

/* Takes the used range that starts at `start` out of the hash, or NULL. */
static struct loam_arena_range *used_remove(struct loam_arena *arena,
					    uintptr_t start)
{
	struct loam_arena_range **link = arena_bucket(arena, start);
	while (*link != NULL && (*link)->start != start) {
		link = &(*link)->next;
	}
	struct loam_arena_range *range = *link;
	if (range != NULL) {
		LOAM_VERIFY(range->state == LOAM_ARENA_USED);
		*link = range->next;
		arena->ranges_used--;
		arena->used -= range->size;
	}
	return range;
}

/* Moves every used range from the first buckets to `table`, a page of NULL. */
static void table_grow(struct loam_arena *arena, void *table)
{
	arena->buckets = table;
	arena->bucket_bits = ARENA_TABLE_BITS;
	arena->page_count++;
	for (size_t i = 0; i < LOAM_ARENA_BUCKETS; i++) {
		struct loam_arena_range *range = arena->first_buckets[i];
		arena->first_buckets[i] = NULL;
		while (range != NULL) {
			struct loam_arena_range *next = range->next;
			struct loam_arena_range **bucket =
				arena_bucket(arena, range->start);
			range->next = *bucket;
			*bucket = range;
			range = next;
		}
	}
}

/* -------- free ranges: the tree -------- */

static void free_remove(struct loam_arena *arena,
			struct loam_arena_range *range)
{
	LOAM_VERIFY(range->state == LOAM_ARENA_FREE);
	loam_tree_remove(&arena->free_ranges, &range->by_size);
}

/*
 * Puts a free range whose key became smaller where it belongs. It mostly
 * is there already: its key only has to stay above its predecessor's.
 */
static void free_shrunk(struct loam_arena *arena,
			struct loam_arena_range *range)
{
	struct loam_tree_node *prev = loam_tree_prev(&range->by_size);
	if (prev != NULL &&
	    arena_range_compare(arena_range_of_node(prev), range) > 0) {
		free_remove(arena, range);
		arena_free_insert(arena, range);
	}
}

/* The same for a key that became larger. */
static void free_grown(struct loam_arena *arena, struct loam_arena_range *range)
{
	struct loam_tree_node *next = loam_tree_next(&range->by_size);
	if (next != NULL &&
	    arena_range_compare(range, arena_range_of_node(next)) > 0) {
		free_remove(arena, range);
		arena_free_insert(arena, range);
	}
}

/* The first multiple of align in range at which size fits. */
static bool free_fits(const struct loam_arena_range *range, size_t size,
		      size_t align, uintptr_t *at)
{
	uintptr_t start = (range->start + align - 1) & ~(uintptr_t)(align - 1);
	uintptr_t skipped = start - range->start;
	/* A start that wrapped round has skipped more than any range has. */
	if (skipped > range->size - size) {
		return false;
	}
	*at = start;
	return true;
}

/* The best fit for size at a multiple of align, and where; or NULL. */
static struct loam_arena_range *free_find(const struct loam_arena *arena,
					  size_t size, size_t align,
					  uintptr_t *at)
{
	struct loam_tree_node *node = arena->free_ranges.root;
	struct loam_tree_node *best = NULL;
	while (node != NULL) {
		if (arena_range_of_node(node)->size >= size) {
			best = node;
			node = node->child[0];
		} else {
			node = node->child[1];
		}
	}
	while (best != NULL &&
	       !free_fits(arena_range_of_node(best), size, align, at)) {
		best = loam_tree_next(best);
	}
	return best == NULL ? NULL : arena_range_of_node(best);
}

/* -------- cutting and merging -------- */

/*
 * Takes the lock with two spare descriptors at hand, if they can be had.
 * Another CPU may use up a page that was just added: then it is tried again.
 */
static void arena_lock_ready(struct loam_arena *arena)
{
	loam_lock(&arena->lock);
	while (LOAM_UNLIKELY(arena->spare_count < LOAM_ARENA_RESERVE) &&
	       arena->ops != NULL) {
		bool crowded = arena->buckets == arena->first_buckets &&
			       arena->ranges_used >= LOAM_ARENA_BUCKETS;
		loam_unlock(&arena->lock);
		void *page = arena->ops->alloc_page(arena->ctx);
		void *table = NULL;
		if (page != NULL && crowded) {
			table = arena->ops->alloc_page(arena->ctx);
		}
		if (table != NULL) {
			memset(table, 0, LOAM_PAGE_SIZE);
		}
		loam_lock(&arena->lock);
		if (page == NULL) {
			return;
		}
		loam_arena_page_add(arena, page);
		if (table != NULL && arena->buckets == arena->first_buckets) {
			table_grow(arena, table);
		} else if (table != NULL) {
			loam_arena_page_add(arena, table);
		}
	}
}

/*
 * Makes [at, at + size), which lies in the free range, a used one: 0, or
 * -LOAM_ENOMEM with nothing changed.
 *
 *	range->start      at           at + size
 *	|  before         |  used      |  behind         |
 */
static int arena_cut(struct loam_arena *arena, struct loam_arena_range *range,
		     uintptr_t at, size_t size, uintptr_t tag)
{
	size_t before = at - range->start;
	size_t behind = range->size - before - size;
	size_t needed = (before != 0 ? 1u : 0u) + (behind != 0 ? 1u : 0u);
	if (needed > arena->spare_count) {
		return -LOAM_ENOMEM;
	}

	struct loam_arena_range *used = range;
	if (needed == 0) {
		free_remove(arena, range);
	} else {
		used = arena_spare_pop(arena);
	}
	if (before != 0) {
		loam_list_insert(&range->order, &used->order);
		range->size = before;
		free_shrunk(arena, range);
	} else if (behind != 0) {
		loam_list_insert_tail(&range->order, &used->order);
		range->start = at + size;
		range->size = behind;
		free_shrunk(arena, range);
	}
	if (needed == 2) {
		struct loam_arena_range *rest = arena_spare_pop(arena);
		rest->start = at + size;
		rest->size = behind;
		loam_list_insert(&used->order, &rest->order);
		arena_free_insert(arena, rest);
	}
	used->start = at;
	used->size = size;
	used->tag = tag;
	used_insert(arena, used);
	return 0;
}

/* The neighbour over `link` if it is a free range, else NULL. */
static struct loam_arena_range *free_neighbour(const struct loam_arena *arena,
					       const struct loam_list *link)
{
	if (link == &arena->order) {
		return NULL;
	}
	struct loam_arena_range *range = arena_range_of_link(link);
	return range->state == LOAM_ARENA_FREE ? range : NULL;
}

/* Makes a range that has left the hash free, merged with its neighbours. */
static void arena_merge(struct loam_arena *arena,
			struct loam_arena_range *range)
{
	struct loam_arena_range *below =
		free_neighbour(arena, range->order.prev);
	struct loam_arena_range *above =
		free_neighbour(arena, range->order.next);
	if (below == NULL && above == NULL) {
		arena_free_insert(arena, range);
		return;
	}
	size_t size = range->size;
	if (below != NULL && above != NULL) {
		size += above->size;
		free_remove(arena, above);
		loam_list_remove(&above->order);
		arena_spare_push(arena, above);
	}
	struct loam_arena_range *into = below != NULL ? below : above;
	if (below == NULL) {
		into->start = range->start;
	}
	into->size += size;
	loam_list_remove(&range->order);
	arena_spare_push(arena, range);
	free_grown(arena, into);
}

/* Fault injection: true if this request is the one that has to fail. */
static bool arena_fails(struct loam_arena *arena)
{
	if (LOAM_LIKELY(arena->fail_at == 0)) {
		return false;
	}
	arena->fail_seen++;
	return arena->fail_seen == arena->fail_at;
}

/* Rounds a size up to the quantum; false for 0 and for what wraps. */
static bool arena_round(const struct loam_arena *arena, size_t size,
			size_t *rounded)
{
	*rounded = loam_size_round_up(size, arena->quantum);
	return *rounded != 0;
}

/* -------- public -------- */

int loam_arena_alloc(struct loam_arena *arena, size_t size, size_t align,
		     uintptr_t tag, uintptr_t *out)
{
	size_t rounded;
	if ((align & (align - 1)) != 0 || !arena_round(arena, size, &rounded)) {
		return -LOAM_EINVAL;
	}
	if (align < arena->quantum) {
		align = arena->quantum;
	}
	uintptr_t at = 0;
	int error = -LOAM_ENOSPC;
	arena_lock_ready(arena);
	if (!arena_fails(arena)) {
		struct loam_arena_range *range =
			free_find(arena, rounded, align, &at);
		if (range != NULL) {
			error = arena_cut(arena, range, at, rounded, tag);
		}
	}
	if (LOAM_UNLIKELY(error != 0)) {
		arena->failed++;
	}
	loam_unlock(&arena->lock);
	if (error == 0) {
		*out = at;
	}
	return error;
}

int loam_arena_alloc_at(struct loam_arena *arena, uintptr_t at, size_t size,
			uintptr_t tag)
{
	size_t rounded;
	uintptr_t offset = at - arena->base;
	if (!loam_is_aligned(at, arena->quantum) ||
	    !arena_round(arena, size, &rounded) || offset >= arena->size ||
	    rounded > arena->size - offset) {
		return -LOAM_EINVAL;
	}
	int error = -LOAM_EBUSY;
	arena_lock_ready(arena);
	struct loam_list *link;
	LOAM_LIST_EACH(link, &arena->order)
	{
		struct loam_arena_range *range = arena_range_of_link(link);
		if (at - range->start < range->size) {
			size_t room = range->size - (at - range->start);
			if (range->state == LOAM_ARENA_FREE &&
			    rounded <= room) {
				error = arena_cut(arena, range, at, rounded,
						  tag);
			}
			break;
		}
	}
	if (error != 0) {
		arena->failed++;
	}
	loam_unlock(&arena->lock);
	return error;
}

int loam_arena_free(struct loam_arena *arena, uintptr_t start, size_t *size)
{
	loam_lock(&arena->lock);
	struct loam_arena_range *range = used_remove(arena, start);
	if (range == NULL) {
		loam_unlock(&arena->lock);
		return -LOAM_ENOENT;
	}
	if (size != NULL) {
		*size = range->size;
	}
	arena_merge(arena, range);
	loam_unlock(&arena->lock);
	return 0;
}

/* Gives the end of a used range, `surplus` bytes, back. */
static int arena_cut_end(struct loam_arena *arena,
			 struct loam_arena_range *range, size_t surplus)
{
	struct loam_arena_range *above =
		free_neighbour(arena, range->order.next);
	if (above != NULL) {
		above->start -= surplus;
		above->size += surplus;
		free_grown(arena, above);
	} else if (arena->spare_count == 0) {
		return -LOAM_ENOMEM;
	} else {
		struct loam_arena_range *rest = arena_spare_pop(arena);
		rest->start = range->start + range->size - surplus;
		rest->size = surplus;
		loam_list_insert(&range->order, &rest->order);
		arena_free_insert(arena, rest);
	}
	range->size -= surplus;
	arena->used -= surplus;
	return 0;
}

/* Lets a used range grow by `more` bytes into the free range behind it. */
static int arena_grow_end(struct loam_arena *arena,
			  struct loam_arena_range *range, size_t more)
{
	struct loam_arena_range *above =
		free_neighbour(arena, range->order.next);
	if (above == NULL || above->size < more) {
		return -LOAM_ENOSPC;
	}
	if (above->size == more) {
		free_remove(arena, above);
		loam_list_remove(&above->order);
		arena_spare_push(arena, above);
	} else {
		above->start += more;
		above->size -= more;
		free_shrunk(arena, above);
	}
	range->size += more;
	arena->used += more;
	if (arena->used > arena->peak) {
		arena->peak = arena->used;
	}
	return 0;
}

int loam_arena_resize(struct loam_arena *arena, uintptr_t start, size_t size)
{
	size_t rounded;
	if (!arena_round(arena, size, &rounded)) {
		return -LOAM_EINVAL;
	}
	int error = -LOAM_ENOENT;
	arena_lock_ready(arena);
	struct loam_arena_range *range = arena_lookup_locked(arena, start);
	if (range != NULL && rounded > range->size) {
		error = arena_grow_end(arena, range, rounded - range->size);
	} else if (range != NULL && rounded < range->size) {
		error = arena_cut_end(arena, range, range->size - rounded);
	} else if (range != NULL) {
		error = 0;
	}
	loam_unlock(&arena->lock);
	return error;
}

int loam_arena_retag(struct loam_arena *arena, uintptr_t start, uintptr_t mask,
		     uintptr_t from, uintptr_t to, size_t *size, uintptr_t *old)
{
	int error = -LOAM_ENOENT;
	loam_lock(&arena->lock);
	struct loam_arena_range *range = arena_lookup_locked(arena, start);
	if (range != NULL) {
		error = -LOAM_EBUSY;
		if ((range->tag & mask) == from) {
			*size = range->size;
			*old = range->tag;
			range->tag = to;
			error = 0;
		}
	}
	loam_unlock(&arena->lock);
	return error;
}

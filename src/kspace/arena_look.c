/* SPDX-License-Identifier: MIT */
/* Arenas: finding, walking, counting and checking ranges. */

#include "kspace_int.h"

/* The used range that contains addr, or NULL. Under the lock. */
static struct loam_arena_range *arena_containing(const struct loam_arena *arena,
						 uintptr_t addr)
{
	struct loam_arena_range *range = arena_lookup_locked(arena, addr);
	if (range != NULL) {
		return range;
	}
	const struct loam_list *link;
	LOAM_LIST_EACH(link, &arena->order)
	{
		range = arena_range_of_link(link);
		if (addr - range->start < range->size) {
			return range->state == LOAM_ARENA_USED ? range : NULL;
		}
	}
	return NULL;
}

int loam_arena_find_exact(struct loam_arena *arena, uintptr_t start,
			  size_t *size, uintptr_t *tag)
{
	int error = -LOAM_ENOENT;
	loam_lock(&arena->lock);
	struct loam_arena_range *range = arena_lookup_locked(arena, start);
	if (range != NULL) {
		*size = range->size;
		*tag = range->tag;
		error = 0;
	}
	loam_unlock(&arena->lock);
	return error;
}

int loam_arena_find(struct loam_arena *arena, uintptr_t addr, uintptr_t *start,
		    size_t *size, uintptr_t *tag)
{
	int error = -LOAM_ENOENT;
	loam_lock(&arena->lock);
	struct loam_arena_range *range = arena_containing(arena, addr);
	if (range != NULL) {
		*start = range->start;
		*size = range->size;
		*tag = range->tag;
		error = 0;
	}
	loam_unlock(&arena->lock);
	return error;
}

int loam_arena_walk(struct loam_arena *arena,
		    int (*visit)(void *arg, uintptr_t start, size_t size,
				 bool free, uintptr_t tag),
		    void *arg)
{
	int result = 0;
	loam_lock(&arena->lock);
	struct loam_list *link;
	LOAM_LIST_EACH(link, &arena->order)
	{
		struct loam_arena_range *range = arena_range_of_link(link);
		bool free = range->state == LOAM_ARENA_FREE;
		result = visit(arg, range->start, range->size, free,
			       free ? 0 : range->tag);
		if (result != 0) {
			break;
		}
	}
	loam_unlock(&arena->lock);
	return result;
}

void loam_arena_stats(struct loam_arena *arena, struct loam_arena_stats *out)
{
	loam_lock(&arena->lock);
	struct loam_tree_node *last = loam_tree_last(&arena->free_ranges);
	*out = (struct loam_arena_stats){
		.size = arena->size,
		.used = arena->used,
		.peak = arena->peak,
		.largest_free =
			last == NULL ? 0 : arena_range_of_node(last)->size,
		.ranges_used = arena->ranges_used,
		.ranges_free = arena->free_ranges.count,
		.pages = arena->page_count,
		.failed = arena->failed,
	};
	loam_unlock(&arena->lock);
}

/* -------- check -------- */

/* What a walk over the descriptors adds up to. */
struct arena_sums {
	size_t used_bytes;
	size_t used_ranges;
	size_t free_ranges;
};

/* One range: its place in the tree or the hash. */
static int check_range(const struct loam_arena *arena,
		       const struct loam_arena_range *range,
		       struct arena_sums *sums)
{
	LOAM_CHECK(range->size != 0);
	LOAM_CHECK(loam_is_aligned(range->start, arena->quantum));
	LOAM_CHECK(loam_is_aligned(range->size, arena->quantum));
	if (range->state == LOAM_ARENA_FREE) {
		sums->free_ranges++;
		LOAM_CHECK(loam_tree_find(&arena->free_ranges,
					  &range->by_size) == &range->by_size);
		return 0;
	}
	LOAM_CHECK(range->state == LOAM_ARENA_USED);
	sums->used_ranges++;
	sums->used_bytes += range->size;
	LOAM_CHECK(arena_lookup_locked(arena, range->start) == range);
	return 0;
}

/* The ranges tile the arena, and no two free ones are neighbours. */
static int check_order(const struct loam_arena *arena, struct arena_sums *sums)
{
	uintptr_t expected = arena->base;
	size_t left = arena->size;
	bool after_free = false;
	const struct loam_list *link;
	LOAM_LIST_EACH(link, &arena->order)
	{
		const struct loam_arena_range *range =
			arena_range_of_link(link);
		LOAM_CHECK(link->next->prev == link);
		LOAM_CHECK(range->start == expected && range->size <= left);
		int error = check_range(arena, range, sums);
		if (error != 0) {
			return error;
		}
		bool free = range->state == LOAM_ARENA_FREE;
		LOAM_CHECK(!(free && after_free));
		after_free = free;
		expected += range->size;
		left -= range->size;
	}
	LOAM_CHECK(left == 0);
	return 0;
}

/* The hash holds used ranges only, each in its bucket, and all of them. */
static int check_buckets(const struct loam_arena *arena)
{
	size_t count = 0;
	for (size_t i = 0; i < (size_t)1 << arena->bucket_bits; i++) {
		const struct loam_arena_range *range = arena->buckets[i];
		for (; range != NULL; range = range->next) {
			LOAM_CHECK(range->state == LOAM_ARENA_USED);
			LOAM_CHECK(arena_bucket(arena, range->start) ==
				   &arena->buckets[i]);
			LOAM_CHECK(++count <= arena->ranges_used);
		}
	}
	LOAM_CHECK(count == arena->ranges_used);
	return 0;
}

static int check_spare(const struct loam_arena *arena)
{
	size_t count = 0;
	const struct loam_arena_range *range = arena->spare;
	for (; range != NULL; range = range->next) {
		LOAM_CHECK(range->state == LOAM_ARENA_SPARE);
		LOAM_CHECK(++count <= arena->spare_count);
	}
	LOAM_CHECK(count == arena->spare_count);
	return 0;
}

/* No descriptor is lost: each of those cut is in exactly one place. */
static int check_pages(const struct loam_arena *arena)
{
	size_t pages = 0;
	const struct loam_arena_page *page = arena->pages;
	for (; page != NULL; page = page->next) {
		LOAM_CHECK(++pages <= arena->page_count);
	}
	size_t held = arena->spare_count + arena->ranges_used +
		      arena->free_ranges.count;
	size_t cut = pages * LOAM_ARENA_PER_PAGE;
	size_t first = LOAM_PAGE_SIZE / sizeof(struct loam_arena_range);
	LOAM_CHECK(held == cut || held == cut + first);
	if (arena->buckets != arena->first_buckets) {
		pages++;
	}
	LOAM_CHECK(pages == arena->page_count);
	return 0;
}

static int arena_check_locked(const struct loam_arena *arena)
{
	LOAM_ASSERT(loam_lock_held(&arena->lock));
	struct arena_sums sums = { 0 };
	int error = check_spare(arena);
	if (error == 0) {
		error = loam_tree_check(&arena->free_ranges);
	}
	if (error == 0) {
		error = check_buckets(arena);
	}
	if (error == 0) {
		error = check_order(arena, &sums);
	}
	if (error == 0) {
		error = check_pages(arena);
	}
	if (error != 0) {
		return error;
	}
	LOAM_CHECK(sums.used_bytes == arena->used);
	LOAM_CHECK(sums.used_ranges == arena->ranges_used);
	LOAM_CHECK(sums.free_ranges == arena->free_ranges.count);
	LOAM_CHECK(arena->used <= arena->peak && arena->peak <= arena->size);
	return 0;
}

int loam_arena_check(struct loam_arena *arena)
{
	loam_lock(&arena->lock);
	int error = arena_check_locked(arena);
	loam_unlock(&arena->lock);
	return error;
}

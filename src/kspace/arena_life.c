/* SPDX-License-Identifier: MIT */
/* Arenas: their start and end, and where descriptors come from. */

#include "kspace_int.h"

LOAM_STATIC_ASSERT(LOAM_ARENA_PER_PAGE >= 2u * LOAM_ARENA_RESERVE,
		   "a page satisfies any operation");

static int range_compare_nodes(const struct loam_tree_node *a,
			       const struct loam_tree_node *b)
{
	return arena_range_compare(arena_range_of_node(a),
				   arena_range_of_node(b));
}

/* Cuts [bytes, end of page) of a page into spare descriptors. */
static void page_carve(struct loam_arena *arena, void *page, size_t bytes)
{
	struct loam_arena_range *range =
		(struct loam_arena_range *)(void *)((char *)page + bytes);
	size_t count = (LOAM_PAGE_SIZE - bytes) / sizeof(*range);
	/* The last first, so that they are used in address order. */
	while (count-- > 0) {
		arena_spare_push(arena, &range[count]);
	}
}

void loam_arena_page_add(struct loam_arena *arena, void *page)
{
	struct loam_arena_page *head = page;
	head->next = arena->pages;
	arena->pages = head;
	arena->page_count++;
	page_carve(arena, page, sizeof(*head));
}

int loam_arena_init(struct loam_arena *arena, const char *name, uintptr_t base,
		    size_t size, size_t quantum,
		    const struct loam_arena_ops *ops, void *ctx,
		    void *first_page)
{
	uintptr_t last;
	if (!loam_is_pow2(quantum) || size == 0 ||
	    !loam_is_aligned(base, quantum) ||
	    !loam_is_aligned(size, quantum) ||
	    __builtin_add_overflow(base, size - 1, &last) ||
	    (ops == NULL && first_page == NULL) ||
	    !loam_is_aligned((uintptr_t)first_page,
			     _Alignof(struct loam_arena_range))) {
		return -LOAM_EINVAL;
	}
	void *page = first_page;
	if (page == NULL) {
		page = ops->alloc_page(ctx);
		if (page == NULL) {
			return -LOAM_ENOMEM;
		}
	}

	*arena = (struct loam_arena){
		.name = name,
		.base = base,
		.size = size,
		.quantum = quantum,
		.quantum_shift = loam_log2_floor(quantum),
		.bucket_bits = LOAM_ARENA_BUCKET_BITS,
		.ops = ops,
		.ctx = ctx,
		.buckets = arena->first_buckets,
	};
	loam_lock_init(&arena->lock, name, LOAM_RANK_ARENA);
	loam_list_init(&arena->order);
	loam_tree_init(&arena->free_ranges, range_compare_nodes, NULL);
	if (first_page != NULL) {
		page_carve(arena, page, 0);
	} else {
		loam_arena_page_add(arena, page);
	}

	struct loam_arena_range *all = arena_spare_pop(arena);
	all->start = base;
	all->size = size;
	loam_list_insert(&arena->order, &all->order);
	arena_free_insert(arena, all);
	return 0;
}

void loam_arena_fini(struct loam_arena *arena)
{
	if (arena->ranges_used != 0) {
		loam_misuse(LOAM_CALLER(),
			    "arena %s: given up with %zu ranges in use",
			    arena->name, arena->ranges_used);
	}
	struct loam_arena_page *page = arena->pages;
	while (page != NULL) {
		struct loam_arena_page *next = page->next;
		arena->ops->free_page(arena->ctx, page);
		page = next;
	}
	if (arena->buckets != arena->first_buckets) {
		arena->ops->free_page(arena->ctx, (void *)arena->buckets);
	}
	memset(arena, 0, sizeof(*arena));
}

void loam_arena_donate(struct loam_arena *arena, void *page)
{
	LOAM_ASSERT(arena->ops != NULL);
	loam_lock(&arena->lock);
	loam_arena_page_add(arena, page);
	loam_unlock(&arena->lock);
}

uint64_t loam_arena_fail_nth(struct loam_arena *arena, uint64_t nth)
{
	loam_lock(&arena->lock);
	uint64_t seen = arena->fail_seen;
	arena->fail_seen = 0;
	arena->fail_at = nth;
	loam_unlock(&arena->lock);
	return seen;
}

/* SPDX-License-Identifier: MIT */
/* Looking at slab caches: statistics, walks, and the check of invariants. */
#include "slab_int.h"

/* The lists, so that walks go over all slabs in one loop; the last is empty. */
#define SLAB_LISTS (LOAM_SLAB_GROUPS + 2u)
#define SLAB_LIST_FULL LOAM_SLAB_GROUPS
#define SLAB_LIST_EMPTY (LOAM_SLAB_GROUPS + 1u)

static struct loam_list *cache_list(struct loam_cache *cache, unsigned n)
{
	if (n < LOAM_SLAB_GROUPS) {
		return &cache->partial_slabs[n];
	}
	return n == SLAB_LIST_FULL ? &cache->full_slabs : &cache->empty_slabs;
}

unsigned loam_cache_index(const struct loam_cache *cache)
{
	return cache->head.index;
}

size_t loam_cache_object_bytes(const struct loam_cache *cache)
{
	return cache->object_bytes;
}

static unsigned slab_count_live(const struct loam_cache *cache,
				const struct loam_slab *slab)
{
	unsigned count = 0;
	for (unsigned i = 0; i < slab->objects; i++) {
		count += slab_is_live(cache, slab_object(cache, slab, i));
	}
	return count;
}

void loam_cache_stats(struct loam_slabs *slabs, struct loam_cache *cache,
		      struct loam_cache_stats *out)
{
	(void)slabs;
	*out = (struct loam_cache_stats){
		.name = cache->name,
		.object_bytes = cache->object_bytes,
		.stride_bytes = cache->stride,
		.slab_order = cache->order,
		.objects_per_slab = cache->objects,
		.flags = cache->flags,
	};
	loam_lock(&cache->lock);
	out->slabs = cache->slab_count;
	out->failed = cache->failed;
	for (unsigned n = 0; n < SLAB_LISTS; n++) {
		struct loam_list *link;
		LOAM_LIST_EACH(link, cache_list(cache, n))
		{
			const struct loam_slab *slab =
				LOAM_CONTAINER(link, struct loam_slab, link);
			unsigned live = slab_count_live(cache, slab);
			out->live += live;
			out->free += slab->free;
			out->cached +=
				(uint64_t)slab->objects - slab->free - live;
		}
	}
	loam_unlock(&cache->lock);
}

/*
 * The nth live object of the cache in the order of lists, or NULL. Found again
 * each time, so that visit runs without the lock and may free it.
 */
static void *walk_next(struct loam_cache *cache, uintptr_t after)
{
	void *best = NULL;
	loam_lock(&cache->lock);
	for (unsigned n = 0; n < SLAB_LISTS; n++) {
		struct loam_list *link;
		LOAM_LIST_EACH(link, cache_list(cache, n))
		{
			const struct loam_slab *slab =
				LOAM_CONTAINER(link, struct loam_slab, link);
			uintptr_t end =
				slab->base + (LOAM_PAGE_SIZE << slab->order);
			if (end <= after ||
			    (best != NULL && slab->base > (uintptr_t)best)) {
				continue;
			}
			for (unsigned i = 0; i < slab->objects; i++) {
				void *object = slab_object(cache, slab, i);
				if ((uintptr_t)object > after &&
				    slab_is_live(cache, object)) {
					best = object;
					break;
				}
			}
		}
	}
	loam_unlock(&cache->lock);
	return best;
}

int loam_cache_walk(struct loam_slabs *slabs, struct loam_cache *cache,
		    int (*visit)(void *arg, void *object, const void *caller),
		    void *arg)
{
	(void)slabs;
	int result = 0;
	void *object = walk_next(cache, 0);
	while (object != NULL && result == 0) {
		result = visit(arg, object,
			       loam_slab_debug_caller(cache, object, false));
		object = walk_next(cache, (uintptr_t)object);
	}
	return result;
}

/* -------- the check -------- */

/* The shadow of a slab is zero but at the starts of live objects. */
static int slab_check_shadow(struct loam_cache *cache, struct loam_slab *slab,
			     unsigned live)
{
	const uint8_t *shadow = slab_shadow(cache->slabs, (void *)slab->base);
	size_t granules =
		(size_t)LOAM_PAGE_SIZE << slab->order >> LOAM_SHADOW_SHIFT;
	unsigned set = 0;
	for (size_t i = 0; i < granules; i++) {
		set += shadow[i] != 0;
	}
	LOAM_CHECK(set == live);
	return 0;
}

static int slab_check_objects(struct loam_cache *cache, struct loam_slab *slab)
{
	for (unsigned i = 0; i < slab->objects; i++) {
		const void *object = slab_object(cache, slab, i);
		bool live = slab_is_live(cache, object);
		bool free = loam_bitmap_test(slab->free_map, i);
		LOAM_CHECK(!(free && live));
		LOAM_CHECK(free || live || cache->capacity != 0);
		if ((cache->flags & LOAM_CACHE_DEBUG) != 0) {
			int error = loam_slab_debug_check(cache, object, live);
			if (error != 0) {
				return error;
			}
		}
	}
	LOAM_CHECK(loam_bitmap_count(slab->free_map, slab->objects) ==
		   slab->free);
	return slab_check_shadow(cache, slab, slab_count_live(cache, slab));
}

static int slab_check_one(struct loam_cache *cache, struct loam_slab *slab,
			  unsigned list)
{
	LOAM_CHECK(slab->magic == LOAM_SLAB_MAGIC);
	LOAM_CHECK(slab->cache_index == cache->head.index);
	LOAM_CHECK(slab->stride == cache->stride);
	LOAM_CHECK(slab->order >= cache->order_min &&
		   slab->order <= cache->order_most);
	LOAM_CHECK(slab->objects ==
		   (LOAM_PAGE_SIZE << slab->order) / cache->stride);
	LOAM_CHECK(slab->link.next->prev == &slab->link);
	unsigned expected = slab->free == 0               ? SLAB_LIST_FULL
			    : slab->free == slab->objects ? SLAB_LIST_EMPTY
							  : slab->group;
	LOAM_CHECK(expected == list);
	for (unsigned i = 0; i < 1u << slab->order; i++) {
		const char *page =
			(const char *)slab->base + (size_t)i * LOAM_PAGE_SIZE;
		LOAM_CHECK(loam_slab_of(cache->slabs, page) == slab);
	}
	if (slab->active != 0) {
		struct loam_slab_cpu *cpu =
			cache->slabs->cpus[slab->active - 1u];
		LOAM_CHECK(cpu != NULL);
		LOAM_CHECK(cpu->cold[cpu->base + cache->head.index].active ==
			   slab);
	}
	return slab_check_objects(cache, slab);
}

static int cache_check_locked(struct loam_cache *cache, uint64_t *cached)
{
	uint32_t total = 0;
	uint32_t empty = 0;
	uint32_t frames = 0;
	uint32_t empty_frames = 0;
	for (unsigned n = 0; n < SLAB_LISTS; n++) {
		struct loam_list *link;
		LOAM_LIST_EACH(link, cache_list(cache, n))
		{
			struct loam_slab *slab =
				LOAM_CONTAINER(link, struct loam_slab, link);
			LOAM_CHECK(++total <= cache->slab_count);
			frames += 1u << slab->order;
			if (n == SLAB_LIST_EMPTY) {
				empty++;
				empty_frames += 1u << slab->order;
			}
			int error = slab_check_one(cache, slab, n);
			if (error != 0) {
				return error;
			}
			*cached += (uint64_t)slab->objects - slab->free -
				   slab_count_live(cache, slab);
		}
	}
	LOAM_CHECK(empty == cache->empty_slab_count);
	LOAM_CHECK(total == cache->slab_count);
	LOAM_CHECK(frames == cache->frames);
	LOAM_CHECK(empty_frames == cache->empty_frames);
	return 0;
}

static int cache_check(struct loam_cache *cache)
{
	uint64_t cached = 0;
	loam_lock(&cache->lock);
	int error = cache_check_locked(cache, &cached);
	loam_unlock(&cache->lock);
	if (error == 0) {
		error = loam_slab_magazine_check(cache);
	}
	if (error != 0) {
		loam_log(LOAM_LOG_ERROR, "check: cache %s is not sound",
			 cache->name);
		return error;
	}
	LOAM_CHECK(loam_slab_magazine_count(cache) == cached);
	return 0;
}

int loam_slab_check(struct loam_slabs *slabs)
{
	for (unsigned i = 0; i < LOAM_CACHE_MAX; i++) {
		struct loam_cache *cache = slabs->cache[i];
		if (cache == NULL) {
			continue;
		}
		LOAM_CHECK(cache->head.index == i && cache->slabs == slabs);
		int error = cache_check(cache);
		if (error != 0) {
			return error;
		}
	}
	return loam_slab_meta_check(slabs);
}

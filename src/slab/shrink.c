/* SPDX-License-Identifier: MIT */
/* Giving memory back: when asked, when slabs have grown, when a CPU stops. */
#include "slab_int.h"

size_t loam_cache_shrink(struct loam_slabs *slabs, struct loam_cache *cache)
{
	struct loam_list surplus;
	loam_list_init(&surplus);
	unsigned id = loam_cpu_enter();
	loam_slab_magazine_drain_own(cache, id, &surplus);
	loam_cpu_leave(id);
	loam_slab_magazine_drain_depot(cache, &surplus);
	loam_lock(&cache->lock);
	loam_slab_collect_empty_locked(cache, &surplus);
	loam_unlock(&cache->lock);
	(void)slabs;
	return loam_slab_release(cache, &surplus);
}

/*
 * True if shrinking the cache may give anything. Looked at without a lock, for
 * most caches have nothing and slabs settle often.
 */
static bool cache_keeps(struct loam_slabs *slabs, struct loam_cache *cache)
{
	unsigned id = loam_cpu_enter();
	bool holds = loam_slab_magazine_holds(slabs, id, cache->head.index);
	loam_cpu_leave(id);
	return holds ||
	       __atomic_load_n(&cache->full_count, __ATOMIC_RELAXED) != 0 ||
	       __atomic_load_n(&cache->empty_count, __ATOMIC_RELAXED) != 0 ||
	       __atomic_load_n(&cache->empty_slab_count, __ATOMIC_RELAXED) != 0;
}

/* The cache at this index, kept from being destroyed; or NULL. */
static struct loam_cache *cache_pin(struct loam_slabs *slabs, unsigned index)
{
	loam_lock(&slabs->list_lock);
	struct loam_cache *cache = slabs->cache[index];
	if (cache != NULL && cache->users == 0) {
		cache = NULL;
	}
	if (cache != NULL) {
		cache->pins++;
	}
	loam_unlock(&slabs->list_lock);
	return cache;
}

static void cache_unpin(struct loam_slabs *slabs, struct loam_cache *cache)
{
	loam_lock(&slabs->list_lock);
	cache->pins--;
	loam_unlock(&slabs->list_lock);
}

/* From here on growth counts until slabs settle again. */
static void note_settled(struct loam_slabs *slabs)
{
	size_t bytes = __atomic_load_n(&slabs->bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&slabs->settle_at,
			 bytes + bytes / 8 + LOAM_SLAB_SETTLE_BYTES,
			 __ATOMIC_RELAXED);
}

void loam_slab_settle(struct loam_slabs *slabs)
{
	size_t at = __atomic_load_n(&slabs->settle_at, __ATOMIC_RELAXED);
	if (__atomic_load_n(&slabs->bytes, __ATOMIC_RELAXED) < at ||
	    !__atomic_compare_exchange_n(&slabs->settle_at, &at, SIZE_MAX,
					 false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED)) {
		return;
	}
	for (unsigned i = 1; i < LOAM_CACHE_MAX; i++) {
		struct loam_cache *cache = cache_pin(slabs, i);
		if (cache == NULL) {
			continue;
		}
		if (__atomic_load_n(&cache->asked, __ATOMIC_RELAXED) != 0) {
			__atomic_store_n(&cache->asked, 0, __ATOMIC_RELAXED);
		} else if (cache_keeps(slabs, cache)) {
			(void)loam_cache_shrink(slabs, cache);
		}
		cache_unpin(slabs, cache);
	}
	note_settled(slabs);
}

size_t loam_slab_shrink_all(struct loam_slabs *slabs)
{
	size_t frames = 0;
	for (unsigned i = 1; i < LOAM_CACHE_MAX; i++) {
		struct loam_cache *cache = cache_pin(slabs, i);
		if (cache != NULL) {
			frames += loam_cache_shrink(slabs, cache);
			cache_unpin(slabs, cache);
		}
	}
	note_settled(slabs);
	return frames;
}

/* The same if the CPU has something of it. */
static struct loam_cache *cache_pin_held(struct loam_slabs *slabs, unsigned cpu,
					 unsigned index)
{
	return loam_slab_magazine_holds(slabs, cpu, index)
		       ? cache_pin(slabs, index)
		       : NULL;
}

void loam_slab_drain_cpu(struct loam_slabs *slabs, unsigned cpu)
{
	if (cpu >= LOAM_MAX_CPUS) {
		loam_misuse(LOAM_CALLER(), "slabs: there is no CPU %u", cpu);
		return;
	}
	for (unsigned i = 1; i < LOAM_CACHE_MAX; i++) {
		struct loam_cache *cache = cache_pin_held(slabs, cpu, i);
		if (cache != NULL) {
			struct loam_list surplus;
			loam_list_init(&surplus);
			loam_slab_magazine_drain_cpu(cache, cpu, &surplus);
			loam_slab_release(cache, &surplus);
			cache_unpin(slabs, cache);
		}
	}
}

void loam_slab_cpu_stop(struct loam_slabs *slabs, unsigned id)
{
	for (unsigned i = 1; i < LOAM_CACHE_MAX; i++) {
		struct loam_cache *cache = cache_pin_held(slabs, id, i);
		if (cache != NULL) {
			loam_slab_magazine_hand_over(cache, id);
			cache_unpin(slabs, cache);
		}
	}
	slabs->cpus[id] = NULL;
}

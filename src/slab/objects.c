/* SPDX-License-Identifier: MIT */
/* The slabs of one cache: growing, taking and putting objects, giving back. */
#include "slab_int.h"

/* -------- which list a slab is on follows from its free count -------- */

static struct loam_list *slab_list_for(struct loam_cache *cache,
				       const struct loam_slab *slab)
{
	if (slab->free == 0) {
		return &cache->full_slabs;
	}
	return slab->free == slab->objects ? &cache->empty_slabs
					   : &cache->partial_slabs[slab->group];
}

/*
 * Counts a slab as empty, or with `change` -1, modulo the word, no longer so.
 * The count is looked at without the lock too, so it is stored whole.
 */
static void empty_slabs_add(struct loam_cache *cache,
			    const struct loam_slab *slab, uint32_t change)
{
	cache->empty_frames += change << slab->order;
	__atomic_store_n(&cache->empty_slab_count,
			 cache->empty_slab_count + change, __ATOMIC_RELAXED);
}

/* The same of all slabs; of these it is the frames that others look at. */
static void slabs_add(struct loam_cache *cache, const struct loam_slab *slab,
		      uint32_t change)
{
	cache->slab_count += change;
	__atomic_store_n(&cache->frames,
			 cache->frames + (change << slab->order),
			 __ATOMIC_RELAXED);
}

/* Moves the slab after its free count changed from `before`. */
static void slab_relist(struct loam_cache *cache, struct loam_slab *slab,
			unsigned before)
{
	bool was_empty = before == slab->objects;
	bool is_empty = slab->free == slab->objects;
	bool was_full = before == 0;
	bool is_full = slab->free == 0;
	if (was_empty == is_empty && was_full == is_full) {
		return;
	}
	empty_slabs_add(cache, slab, (uint32_t)is_empty - (uint32_t)was_empty);
	loam_list_remove(&slab->link);
	loam_list_insert(slab_list_for(cache, slab), &slab->link);
}

/* -------- growing and giving back -------- */

static void slab_init_objects(struct loam_cache *cache, struct loam_slab *slab)
{
	loam_bitmap_set_range(slab->free_map, 0, slab->objects);
	if (cache->construct == NULL &&
	    (cache->flags & LOAM_CACHE_DEBUG) == 0) {
		return;
	}
	for (unsigned i = 0; i < slab->objects; i++) {
		void *object = slab_object(cache, slab, i);
		if (cache->construct != NULL) {
			cache->construct(object);
		}
		if ((cache->flags & LOAM_CACHE_DEBUG) != 0) {
			loam_slab_debug_new(cache, object);
		}
	}
}

/* The order of the next slab: the larger, the more the cache has. */
static unsigned slab_order_next(const struct loam_cache *cache)
{
	uint32_t frames = __atomic_load_n(&cache->frames, __ATOMIC_RELAXED);
	unsigned order = cache->order_most;
	while (order > cache->order && SLAB_GROWN_SHARE << order > frames) {
		order--;
	}
	return order;
}

/* Frames for a slab: of the order that is next, else as few as will do. */
static loam_pfn_t slab_alloc_frames(struct loam_cache *cache,
				    loam_flags_t flags, unsigned *order)
{
	loam_flags_t want =
		(flags & LOAM_NOSLEEP) | LOAM_OWNED_BY(LOAM_OWNER_SLAB);
	if ((cache->flags & LOAM_CACHE_DMA) != 0) {
		want |= LOAM_DMA;
	}
	struct loam_frames *frames = cache->slabs->frames;
	*order = slab_order_next(cache);
	while (*order > cache->order_min) {
		/*
		 * The larger order is a wish: not worth a reclaim, nor, if it
		 * is larger than what the cache began with, anything else.
		 */
		loam_flags_t wish = *order > cache->order
					    ? LOAM_NOSLEEP | LOAM_AT_HAND
					    : LOAM_NOSLEEP;
		loam_pfn_t pfn = loam_frame_alloc(frames, *order, want | wish);
		if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
			return pfn;
		}
		*order =
			*order > cache->order ? cache->order : cache->order_min;
	}
	return loam_frame_alloc(frames, *order, want);
}

/* Makes the shadow of the slab's memory real. */
static int slab_back_shadow(struct loam_slabs *slabs, loam_pfn_t pfn,
			    unsigned order, loam_flags_t flags)
{
	struct loam_slab_shadow *backing = &slabs->backing;
	loam_phys_t first = loam_pfn_to_phys(pfn);
	loam_phys_t last = first + ((loam_phys_t)LOAM_PAGE_SIZE << order) - 1;
	if (last >= backing->covered) {
		return -LOAM_ENOMEM;
	}
	uintptr_t page = (uintptr_t)&backing->bytes[first >> LOAM_SHADOW_SHIFT];
	uintptr_t end = (uintptr_t)&backing->bytes[last >> LOAM_SHADOW_SHIFT];
	int error = 0;
	page &= ~(uintptr_t)LOAM_PAGE_MASK;
	for (; backing->back != NULL && page <= end && error == 0;
	     page += LOAM_PAGE_SIZE) {
		error = backing->back(backing->ctx, (void *)page,
				      flags & LOAM_NOSLEEP);
	}
	return error;
}

int loam_slab_grow(struct loam_cache *cache, loam_flags_t flags)
{
	struct loam_slabs *slabs = cache->slabs;
	unsigned order;
	loam_pfn_t pfn = slab_alloc_frames(cache, flags, &order);
	if (pfn == LOAM_PFN_NONE) {
		return -LOAM_ENOMEM;
	}
	unsigned objects = cache->objects;
	if (order != cache->order) {
		objects = (unsigned)((LOAM_PAGE_SIZE << order) / cache->stride);
	}
	struct loam_slab *slab = NULL;
	if (slab_back_shadow(slabs, pfn, order, flags) == 0) {
		slab = loam_slab_meta_alloc(
			slabs, slab_descriptor_bytes(objects), flags);
	}
	if (slab == NULL) {
		loam_frame_free(slabs->frames, pfn, order);
		return -LOAM_ENOMEM;
	}
	slab->base = (uintptr_t)loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	slab->stride = cache->stride;
	slab->inverse = (uint32_t)(UINT32_MAX / cache->stride + 1u);
	slab->cache_index = (uint16_t)cache->head.index;
	slab->objects = (uint16_t)objects;
	slab->free = (uint16_t)objects;
	slab->order = (uint8_t)order;
	slab->magic = LOAM_SLAB_MAGIC;
	slab->pfn = pfn;
	slab_init_objects(cache, slab);
	uint32_t ref =
		(uint32_t)(((uintptr_t)slab - slabs->direct) / LOAM_SLAB_UNIT);
	loam_frame_set_tags(slabs->frames, pfn, order, LOAM_TAG_SLAB | ref);

	__atomic_fetch_add(&slabs->bytes, LOAM_PAGE_SIZE << order,
			   __ATOMIC_RELAXED);
	loam_lock(&cache->lock);
	loam_list_insert(&cache->empty_slabs, &slab->link);
	slabs_add(cache, slab, 1);
	empty_slabs_add(cache, slab, 1);
	loam_unlock(&cache->lock);
	return 0;
}

size_t loam_slab_release(struct loam_cache *cache, struct loam_list *surplus)
{
	struct loam_slabs *slabs = cache->slabs;
	size_t frames = 0;
	while (!loam_list_empty(surplus)) {
		struct loam_slab *slab =
			LOAM_CONTAINER(surplus->next, struct loam_slab, link);
		loam_list_remove(&slab->link);
		__atomic_fetch_sub(&slabs->bytes, LOAM_PAGE_SIZE << slab->order,
				   __ATOMIC_RELAXED);
		loam_frame_set_tags(slabs->frames, slab->pfn, slab->order, 0);
		loam_frame_free(slabs->frames, slab->pfn, slab->order);
		frames += (size_t)1 << slab->order;
		slab->magic = 0;
		loam_slab_meta_free(slabs, slab,
				    slab_descriptor_bytes(slab->objects));
	}
	return frames;
}

/* Takes an empty slab away from the cache. */
static void slab_detach_locked(struct loam_cache *cache, struct loam_slab *slab,
			       struct loam_list *surplus)
{
	if (slab->active != 0) {
		struct loam_slab_cpu *cpu =
			cache->slabs->cpus[slab->active - 1u];
		cpu->cold[cpu->base + cache->head.index].active = NULL;
		slab->active = 0;
	}
	loam_list_remove(&slab->link);
	loam_list_insert(surplus, &slab->link);
	slabs_add(cache, slab, (uint32_t)-1);
	empty_slabs_add(cache, slab, (uint32_t)-1);
}

void loam_slab_collect_empty_locked(struct loam_cache *cache,
				    struct loam_list *surplus)
{
	LOAM_ASSERT(loam_lock_held(&cache->lock));
	while (!loam_list_empty(&cache->empty_slabs)) {
		slab_detach_locked(cache,
				   LOAM_CONTAINER(cache->empty_slabs.next,
						  struct loam_slab, link),
				   surplus);
	}
}

/* -------- taking and putting -------- */

/* So many partial slabs are looked at for the fullest of them. */
#define PICK_FROM 8u

/*
 * A slab no other CPU refills from: CPUs then do not share cache lines. Of the
 * first few the fullest, so that others get a chance to become empty.
 */
static struct loam_slab *slab_pick_unowned(struct loam_list *list)
{
	struct loam_slab *best = NULL;
	unsigned seen = 0;
	struct loam_list *link;
	LOAM_LIST_EACH(link, list)
	{
		struct loam_slab *slab =
			LOAM_CONTAINER(link, struct loam_slab, link);
		if (slab->active != 0) {
			continue;
		}
		if (best == NULL || slab->free < best->free) {
			best = slab;
		}
		if (++seen == PICK_FROM) {
			break;
		}
	}
	return best;
}

static struct loam_slab *slab_pick_any(struct loam_cache *cache)
{
	struct loam_list *list = &cache->partial_slabs[0];
	for (unsigned g = 1; g < LOAM_SLAB_GROUPS && loam_list_empty(list);
	     g++) {
		list = &cache->partial_slabs[g];
	}
	if (loam_list_empty(list)) {
		list = &cache->empty_slabs;
	}
	return loam_list_empty(list)
		       ? NULL
		       : LOAM_CONTAINER(list->next, struct loam_slab, link);
}

/* Gives a slab that has free objects to another group. */
static void slab_adopt(struct loam_cache *cache, struct loam_slab *slab,
		       unsigned group)
{
	if (slab->group != group) {
		slab->group = (uint8_t)group;
		loam_list_remove(&slab->link);
		loam_list_insert(slab_list_for(cache, slab), &slab->link);
	}
}

/* The slab to refill `cpu` from; it becomes that CPU's active slab. */
static struct loam_slab *slab_pick_for(struct loam_cache *cache, unsigned cpu)
{
	struct loam_slab_cpu *own = cache->slabs->cpus[cpu];
	struct loam_cache_cpu *cold = &own->cold[own->base + cache->head.index];
	struct loam_slab *slab = cold->active;
	unsigned group = own->base / LOAM_CACHE_MAX;
	if (slab != NULL && slab->free != 0) {
		return slab;
	}
	if (slab != NULL) {
		slab->active = 0;
	}
	slab = slab_pick_unowned(&cache->partial_slabs[group]);
	if (slab == NULL) {
		slab = slab_pick_unowned(&cache->empty_slabs);
	}
	/* What another group left is better used than left. */
	for (unsigned g = 0; g < LOAM_SLAB_GROUPS && slab == NULL; g++) {
		slab = slab_pick_unowned(&cache->partial_slabs[g]);
	}
	cold->active = slab;
	if (slab != NULL) {
		slab->active = (uint16_t)(cpu + 1);
		slab_adopt(cache, slab, group);
	}
	return slab;
}

/*
 * Moves up to `most` objects of one word of a map to slots[-1] and downwards,
 * and returns how many; start is where the first of its 32 lies.
 */
static inline unsigned slab_take_word(uint32_t *map, unsigned most,
				      uintptr_t start, uintptr_t stride,
				      void **slots)
{
	uint32_t word = *map;
	unsigned taken = 0;
	if (word == UINT32_MAX && most >= 32) {
		/* A new slab has nothing else, and it needs no search. */
		for (; taken < 32; taken++) {
			*--slots = (void *)start;
			start += stride;
		}
		word = 0;
	}
	for (; word != 0 && taken < most; taken++) {
		unsigned bit = loam_lowest_bit(word);
		*--slots = (void *)(start + bit * stride);
		word &= word - 1;
	}
	*map = word;
	return taken;
}

/*
 * Moves `wanted` objects of one slab that has as many free, in address order,
 * to slots[-1] and downwards: a magazine is a stack, and the lowest address
 * goes on top. One word of the map after the other.
 */
static void slab_take_from(struct loam_cache *cache, struct loam_slab *slab,
			   void **slots, unsigned wanted)
{
	unsigned before = slab->free;
	unsigned words = (unsigned)LOAM_BITMAP_WORDS(slab->objects);
	unsigned left = wanted;
	/* Copies: as far as the compiler knows, slots might be the slab. */
	uintptr_t start = slab->base + cache->pad;
	uintptr_t stride = slab->stride;
	for (unsigned i = 0; left > 0; i++) {
		LOAM_VERIFY(i < words);
		unsigned taken = slab_take_word(&slab->free_map[i], left, start,
						stride, slots);
		slots -= taken;
		left -= taken;
		start += 32 * stride;
	}
	slab->free = (uint16_t)(before - wanted);
	slab_relist(cache, slab, before);
}

unsigned loam_slab_take_locked(struct loam_cache *cache, unsigned cpu,
			       void **slots, unsigned wanted)
{
	LOAM_ASSERT(loam_lock_held(&cache->lock));
	unsigned taken = 0;
	while (taken < wanted) {
		struct loam_slab *slab = cpu < LOAM_MAX_CPUS
						 ? slab_pick_for(cache, cpu)
						 : slab_pick_any(cache);
		if (slab == NULL) {
			break;
		}
		unsigned count = wanted - taken < slab->free ? wanted - taken
							     : slab->free;
		slab_take_from(cache, slab, slots + wanted - taken, count);
		taken += count;
	}
	if (taken < wanted) {
		memmove(slots, slots + (wanted - taken),
			taken * sizeof(*slots));
	}
	return taken;
}

/*
 * Sets the bits of those of the objects, from the first on, that it has; at
 * least one. Neighbours share a word of the map, which is stored when the next
 * is in another.
 */
static uint32_t slab_put_run(struct loam_slab *slab, void *const *objects,
			     uint32_t count)
{
	uint32_t i = 0;
	size_t span = (size_t)slab->objects * slab->stride;
	uintptr_t base = slab->base;
	uint64_t inverse = slab->inverse;
	unsigned at = slab_index(slab, objects[0]) / 32;
	LOAM_VERIFY((uintptr_t)objects[0] - base < span);
	uint32_t word = slab->free_map[at];
	for (; i < count; i++) {
		size_t offset = (uintptr_t)objects[i] - base;
		if (offset >= span) {
			break;
		}
		unsigned index = (unsigned)((offset * inverse) >> 32);
		if (index / 32 != at) {
			slab->free_map[at] = word;
			at = index / 32;
			word = slab->free_map[at];
		}
		LOAM_VERIFY((word >> index % 32 & 1) == 0);
		word |= (uint32_t)1 << index % 32;
	}
	slab->free_map[at] = word;
	slab->free = (uint16_t)(slab->free + i);
	return i;
}

void loam_slab_put_locked(struct loam_cache *cache, void *const *objects,
			  uint32_t count, struct loam_list *surplus)
{
	LOAM_ASSERT(loam_lock_held(&cache->lock));
	while (count > 0) {
		struct loam_slab *slab = loam_slab_of(cache->slabs, objects[0]);
		LOAM_VERIFY(slab != NULL && slab->magic == LOAM_SLAB_MAGIC);
		unsigned before = slab->free;
		uint32_t done = slab_put_run(slab, objects, count);
		objects += done;
		count -= done;
		slab_relist(cache, slab, before);
		size_t empty_bytes = (size_t)cache->empty_frames
				     << LOAM_PAGE_SHIFT;
		if (slab->free == slab->objects &&
		    cache->empty_slab_count > 1 &&
		    empty_bytes > LOAM_SLAB_KEEP_BYTES) {
			slab_detach_locked(cache, slab, surplus);
		}
	}
}

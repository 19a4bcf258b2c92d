/* SPDX-License-Identifier: MIT */
/* Slab caches: creating them, the slow paths, and every public function. */

/*
 * A slab cache hands out objects of one size.  It exists because the floor
 * below deals in whole frames, and most of what a kernel allocates is a few
 * dozen bytes: a buddy system alone would waste 4000 of them each time.
 *
 * Layers, from the outside in
 *
 *   magazine   an array of objects that belongs to one CPU, used as a stack.
 *              Allocating is a pop, freeing a push; no lock, no atomic
 *              operation, no shared cache line.  Each CPU has two for each
 *              cache, a loaded and a previous one, so that a caller who
 *              alternates around a boundary does not go further.
 *   depot      per cache: whole magazines, full and empty, that CPUs swap
 *              theirs for under a short lock.  A CPU that only allocates and
 *              one that only frees exchange a magazine at a time.
 *   slabs      blocks of 2^k frames, cut into objects.  A CPU refills from a
 *              slab of its own (`active`) while it lasts, in address order,
 *              so that CPUs do not share cache lines by chance.  Each slab is
 *              as large as a quarter of the cache's others, within bounds.
 *   frames     the floor below.
 *
 * The scheme is Bonwick's: "The Slab Allocator" (USENIX Summer 1994) for
 * slabs and object caching, and Bonwick and Adams, "Magazines and Vmem"
 * (USENIX 2001), for the upper layers.
 *
 * Where the state is kept
 *
 * Nothing of ours is inside an object.  A slab's descriptor lies elsewhere,
 * with a bitmap of the objects that the slab itself holds; and the shadow
 * (slab_struct.h) has one byte for each 16 bytes of memory, which is the
 * cache's index exactly where a live object starts.  A free is obeyed only if
 * that byte is set, so every bad free is found on the fast path itself, by
 * state that no overrun of an object reaches: a second free, an interior or
 * misaligned pointer, the memory of somebody else, an address that is none.
 * The byte is written only by whoever holds the object, so it needs no atomic
 * operation; and since it names the cache, a free needs no other look-up.
 *
 * The slow path then finds out what the address is, by the tag of its frame,
 * and reports it with the caller; nothing is changed. Two CPUs that free the
 * same object in the same instant can both pass the fast path: closing that
 * gap would put an atomic exchange on every free. Caches with debug flags,
 * whose frees take a lock, have no such gap.
 *
 * Interrupts and CPUs
 *
 * A CPU marks its layer busy while it works on it.  An interrupt that finds it
 * busy takes an object directly from a slab, or puts it there, under the
 * cache's lock, which keeps interrupts out.  Where the host has a fast path
 * start again that was interrupted (LOAM_CPU_RESTARTS), fast paths neither set
 * the mark nor look at it, and the slow ones keep interrupts out.  No memory is
 * ever allocated with a lock held: growing happens without one and adds the
 * finished slab.
 *
 * What is kept and not used (shrink.c)
 *
 * A kernel is told when memory is short, and shrinks. A host whose memory
 * grows with need is not: there, slabs that have grown by an eighth settle,
 * which empties magazines and depots of caches that nobody asked meanwhile.
 * And what a CPU holds that stops goes to the depots, for the next.
 *
 * Debug flags of a cache (poison, red zones, callers) turn its magazines off:
 * every operation passes the slow path, where debug.c does its checks.
 *
 * Lock order: list, cache, depot, descriptors, then the frame floor's.
 *
 * What is invariant, for every slab:
 *   - it is on the list its free count says (full, partial, empty);
 *   - the free map has as many bits as the free count says;
 *   - the shadow is set at starts of live objects and nowhere else;
 *   - objects that are neither free nor live are exactly those in magazines;
 *   - the tags of its frames lead to its descriptor and back.
 *
 * Costs: alloc and free O(1) from the magazine, else O(magazine) each
 * magazine; shrink and check O(objects).
 */
#include "slab_int.h"

/* -------- geometry -------- */

/*
 * Smallest order that wastes at most 1/16 and holds enough objects, of those
 * that the frame floor can give at all.
 */
static unsigned preferred_order(uint32_t stride, unsigned order_min,
				unsigned order_max)
{
	unsigned enough = stride <= LOAM_KIB(1) ? 8 : 4;
	if (order_max < SLAB_ORDER_MAX) {
		return order_min;
	}
	unsigned low = LOAM_SLAB_ORDER_LOW;
	for (unsigned order = order_min < low ? low : order_min;
	     order <= SLAB_ORDER_MAX; order++) {
		uint32_t bytes = LOAM_PAGE_SIZE << order;
		uint32_t waste = bytes % stride;
		if (bytes / stride >= enough && waste * 16 <= bytes) {
			return order;
		}
	}
	return order_min > 3 ? order_min : 3;
}

/* Objects a magazine holds: more of the small ones. */
static unsigned magazine_capacity(uint32_t stride)
{
	unsigned capacity = 4;
	if (stride <= 128) {
		capacity = 60;
	} else if (stride <= 512) {
		capacity = 28;
	} else if (stride <= 2048) {
		capacity = 12;
	} else if (stride <= 8192) {
		capacity = 8;
	}
	return capacity * (stride <= 2048 ? LOAM_MAGAZINE_SCALE
					  : LOAM_MAGAZINE_SCALE_LARGE);
}

/* Full magazines that the depot may keep. */
static unsigned depot_keep(const struct loam_cache *cache)
{
	size_t each = (size_t)cache->capacity * cache->stride;
	unsigned count =
		each == 0 ? 0 : (unsigned)(LOAM_DEPOT_KEEP_BYTES / each);
	return count < 2 ? 2 : count;
}

static bool cache_set_geometry(struct loam_cache *cache, size_t object_bytes,
			       size_t align)
{
	size_t front = loam_slab_debug_front(cache->flags, align);
	size_t stride = loam_size_round_up(
		front + object_bytes + loam_slab_debug_back(cache->flags),
		align);
	if (stride > (LOAM_PAGE_SIZE << SLAB_ORDER_MAX)) {
		return false;
	}
	unsigned order_min = loam_log2_ceil(loam_pages_of(stride));
	unsigned order_max = loam_frame_order_max(cache->slabs->frames);
	if (order_min > order_max) {
		return false;
	}
	cache->stride = (uint32_t)stride;
	cache->pad = (uint32_t)front;
	cache->object_bytes = (uint32_t)object_bytes;
	cache->align = (uint32_t)align;
	cache->order_min = (uint8_t)order_min;
	cache->order =
		(uint8_t)preferred_order(cache->stride, order_min, order_max);
	/* What is wasted of a slab is no larger a share of a larger one. */
	cache->order_most = cache->order;
	if (order_max >= SLAB_ORDER_MAX && cache->order < SLAB_ORDER_GROWN) {
		cache->order_most = SLAB_ORDER_GROWN;
	}
	cache->objects =
		(uint16_t)((LOAM_PAGE_SIZE << cache->order) / cache->stride);
	bool slow = (cache->flags &
		     (LOAM_CACHE_DEBUG | LOAM_CACHE_NO_MAGAZINE)) != 0;
	cache->capacity = slow ? 0 : (uint16_t)magazine_capacity(cache->stride);
	cache->depot_keep = depot_keep(cache);
	return true;
}

/* -------- the instance -------- */

/* A shadow of ordinary frames, for who has no better. */
static int shadow_from_frames(struct loam_frames *frames,
			      struct loam_slab_shadow *shadow)
{
	struct loam_zone_stats stats;
	loam_frame_zone_stats(frames, LOAM_ZONE_NORMAL, &stats);
	loam_pfn_t end = stats.end;
	size_t count = loam_pages_of(
		(size_t)(loam_pfn_to_phys(end) >> LOAM_SHADOW_SHIFT));
	loam_pfn_t pfn = loam_frame_alloc_range(
		frames, count, 1, 0, 0,
		LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_META));
	if (pfn == LOAM_PFN_NONE) {
		return -LOAM_ENOMEM;
	}
	*shadow = (struct loam_slab_shadow){
		.bytes = loam_host_phys_to_virt(loam_pfn_to_phys(pfn)),
		.covered = loam_pfn_to_phys(end),
	};
	return 0;
}

int loam_slab_init(struct loam_slabs *slabs, struct loam_frames *frames,
		   const struct loam_slab_shadow *shadow)
{
	if (!LOAM_INSTANCES_ZEROED) {
		memset(slabs, 0, sizeof(*slabs));
	}
	if (shadow != NULL) {
		slabs->backing = *shadow;
	} else {
		int error = shadow_from_frames(frames, &slabs->backing);
		if (error != 0) {
			return error;
		}
	}
	slabs->direct = (uintptr_t)loam_host_phys_to_virt(0);
	slabs->shadow = slabs->backing.bytes;
	slabs->granules = (size_t)(slabs->backing.covered >> LOAM_SHADOW_SHIFT);
	LOAM_VERIFY(LOAM_SLAB_DIRECT(slabs) == slabs->direct);
	LOAM_VERIFY(LOAM_SLAB_SHADOW(slabs) == slabs->shadow);
	/* tag * 64 carries bit 31 of the tag along: take it off beforehand. */
	slabs->refs = slabs->direct - (uintptr_t)LOAM_TAG_SLAB * LOAM_SLAB_UNIT;
	slabs->tags = loam_frame_tags(frames);
	slabs->frames = frames;
	slabs->cache_end = 1; /* index 0 means no object */
	loam_lock_init(&slabs->list_lock, "slab caches", LOAM_RANK_SLAB_LIST);
	loam_slab_meta_init(slabs);
	for (unsigned id = 0; id < LOAM_SLAB_CPUS && id < LOAM_MAX_CPUS; id++) {
		loam_slab_cpu_start(slabs, id, LOAM_SLAB_CPU_PLACE(slabs, id),
				    id % LOAM_SLAB_GROUPS);
	}
	return 0;
}

void loam_slab_set_default_flags(struct loam_slabs *slabs, uint32_t flags)
{
	loam_lock(&slabs->list_lock);
	slabs->default_flags = flags;
	loam_unlock(&slabs->list_lock);
}

struct loam_cache *loam_slab_cache(struct loam_slabs *slabs, unsigned n)
{
	struct loam_cache *found = NULL;
	loam_lock(&slabs->list_lock);
	for (unsigned i = 0; i < slabs->cache_end && found == NULL; i++) {
		if (slabs->cache[i] != NULL && n-- == 0) {
			found = slabs->cache[i];
		}
	}
	loam_unlock(&slabs->list_lock);
	return found;
}

/* -------- creating and destroying caches -------- */

static bool cache_can_share(const struct loam_cache *cache,
			    const struct loam_cache *wanted)
{
	uint32_t never = LOAM_CACHE_NO_MERGE | LOAM_CACHE_DEBUG;
	return cache->users != 0 &&
	       cache->object_bytes == wanted->object_bytes &&
	       cache->align == wanted->align && cache->flags == wanted->flags &&
	       (cache->flags & never) == 0 && cache->construct == NULL &&
	       wanted->construct == NULL;
}

/* A cache that serves for `wanted`, or a place for it in *index. */
static struct loam_cache *cache_find_locked(struct loam_slabs *slabs,
					    const struct loam_cache *wanted,
					    unsigned *index)
{
	*index = LOAM_CACHE_MAX;
	for (unsigned i = LOAM_CACHE_MAX; i-- > 1;) {
		struct loam_cache *cache = slabs->cache[i];
		if (cache == NULL) {
			*index = i;
		} else if (cache_can_share(cache, wanted)) {
			return cache;
		}
	}
	return NULL;
}

bool loam_slab_can_hold(const struct loam_slabs *slabs, size_t object_bytes,
			size_t align)
{
	uint32_t flags = slabs->default_flags;
	size_t stride = loam_size_round_up(loam_slab_debug_front(flags, align) +
						   object_bytes +
						   loam_slab_debug_back(flags),
					   align);
	return object_bytes <= LOAM_SLAB_MAX_OBJECT &&
	       loam_log2_ceil(loam_pages_of(stride)) <=
		       loam_frame_order_max(slabs->frames);
}

static void cache_init(struct loam_cache *cache)
{
	loam_lock_init(&cache->lock, cache->name, LOAM_RANK_SLAB_CACHE);
	loam_lock_init(&cache->depot_lock, cache->name, LOAM_RANK_SLAB_DEPOT);
	for (unsigned group = 0; group < LOAM_SLAB_GROUPS; group++) {
		loam_list_init(&cache->partial_slabs[group]);
	}
	loam_list_init(&cache->full_slabs);
	loam_list_init(&cache->empty_slabs);
	cache->users = 1;
}

struct loam_cache *loam_cache_create(struct loam_slabs *slabs, const char *name,
				     size_t object_bytes, size_t align,
				     uint32_t flags,
				     void (*construct)(void *object))
{
	if (align < 16 && (align == 0 || loam_is_pow2(align))) {
		align = 16; /* of the shadow */
	}
	uint32_t known = LOAM_CACHE_DEBUG | LOAM_CACHE_NO_MERGE |
			 LOAM_CACHE_NO_MAGAZINE | LOAM_CACHE_DMA;
	if (name == NULL || object_bytes == 0 ||
	    object_bytes > LOAM_SLAB_MAX_OBJECT || !loam_is_pow2(align) ||
	    align > LOAM_PAGE_SIZE || (flags & ~known) != 0) {
		return NULL;
	}
	struct loam_cache *cache =
		loam_slab_meta_alloc(slabs, sizeof(*cache), 0);
	if (cache == NULL) {
		return NULL;
	}
	cache->slabs = slabs;
	cache->name = name;
	cache->construct = construct;
	cache->flags = flags | slabs->default_flags;
	if (!cache_set_geometry(cache, object_bytes, align)) {
		loam_slab_meta_free(slabs, cache, sizeof(*cache));
		return NULL;
	}
	cache_init(cache);

	unsigned index;
	loam_lock(&slabs->list_lock);
	struct loam_cache *shared = cache_find_locked(slabs, cache, &index);
	if (shared != NULL) {
		shared->users++;
	} else if (index < LOAM_CACHE_MAX) {
		cache->head.index = index;
		slabs->cache[index] = cache;
		if (index >= slabs->cache_end) {
			slabs->cache_end = index + 1;
		}
	}
	loam_unlock(&slabs->list_lock);
	if (shared != NULL || index == LOAM_CACHE_MAX) {
		loam_slab_meta_free(slabs, cache, sizeof(*cache));
		return shared;
	}
	return cache;
}

/* Everything that is not in a caller's hands goes back into the slabs. */
static void cache_drain_all(struct loam_cache *cache, struct loam_list *surplus)
{
	for (unsigned id = 0; id < LOAM_MAX_CPUS; id++) {
		loam_slab_magazine_drain_cpu(cache, id, surplus);
	}
	loam_slab_magazine_drain_depot(cache, surplus);
	loam_lock(&cache->lock);
	loam_slab_collect_empty_locked(cache, surplus);
	loam_unlock(&cache->lock);
}

/*
 * Takes the cache out of use: from here on nobody shares or shrinks it. 1 if
 * others go on using it, 0, or -LOAM_EAGAIN.
 */
static int cache_retire(struct loam_slabs *slabs, struct loam_cache *cache)
{
	int result = 0;
	loam_lock(&slabs->list_lock);
	if (cache->users > 1) {
		cache->users--;
		result = 1;
	} else if (cache->pins != 0) {
		result = -LOAM_EAGAIN;
	} else {
		cache->users = 0;
	}
	loam_unlock(&slabs->list_lock);
	return result;
}

/* The opposite, when there are objects left; or the end of its place. */
static void cache_settle(struct loam_slabs *slabs, struct loam_cache *cache,
			 bool keep)
{
	loam_lock(&slabs->list_lock);
	if (keep) {
		cache->users = 1;
	} else {
		slabs->cache[cache->head.index] = NULL;
		while (slabs->cache_end > 1 &&
		       slabs->cache[slabs->cache_end - 1] == NULL) {
			slabs->cache_end--;
		}
	}
	loam_unlock(&slabs->list_lock);
}

int loam_cache_destroy(struct loam_slabs *slabs, struct loam_cache *cache)
{
	int result = cache_retire(slabs, cache);
	if (result != 0) {
		return result < 0 ? result : 0;
	}
	struct loam_list surplus;
	loam_list_init(&surplus);
	cache_drain_all(cache, &surplus);
	loam_slab_release(cache, &surplus);
	if (cache->slab_count != 0) {
		struct loam_cache_stats stats;
		loam_cache_stats(slabs, cache, &stats);
		cache_settle(slabs, cache, true);
		loam_misuse(LOAM_CALLER(),
			    "cache %s is destroyed with %llu objects still "
			    "allocated; it is kept",
			    cache->name, (unsigned long long)stats.live);
		return -LOAM_EBUSY;
	}
	cache_settle(slabs, cache, false);
	loam_slab_meta_free(slabs, cache, sizeof(*cache));
	return 0;
}

/* -------- reports -------- */

/* The cache of a slab. Its slot is not empty while it has slabs. */
static struct loam_cache *cache_of(const struct loam_slabs *slabs,
				   const struct loam_slab *slab)
{
	return slabs->cache[slab->cache_index];
}

static const char *state_text(const struct loam_cache *cache,
			      const struct loam_slab *slab, unsigned index)
{
	if (slab_is_live(cache, slab_object(cache, slab, index))) {
		return "allocated";
	}
	return loam_bitmap_test(slab->free_map, index)
		       ? "free"
		       : "free (in a CPU's magazine)";
}

bool loam_slab_describe(struct loam_slabs *slabs, const void *address, char *to,
			size_t size_bytes)
{
	struct loam_slab *slab = loam_slab_of(slabs, address);
	if (slab == NULL) {
		return false;
	}
	const struct loam_cache *cache = cache_of(slabs, slab);
	unsigned index = slab_index(slab, address);
	if (index == slab->objects) {
		loam_snprintf(to, size_bytes,
			      "past the last object of a slab of cache %s",
			      cache->name);
		return true;
	}
	const char *start = slab_object(cache, slab, index);
	long offset = (long)((const char *)address - start);
	const char *state = state_text(cache, slab, index);
	if (offset == 0) {
		loam_snprintf(to, size_bytes, "object %u of cache %s, %s",
			      index, cache->name, state);
	} else {
		loam_snprintf(to, size_bytes,
			      "byte %ld of object %u of cache %s, %s", offset,
			      index, cache->name, state);
	}
	return true;
}

/* Says what is wrong with a free that was not obeyed. */
static void report_bad_free(struct loam_slabs *slabs, struct loam_slab *slab,
			    const struct loam_cache *wanted, void *object,
			    const void *caller)
{
	const struct loam_cache *cache = cache_of(slabs, slab);
	unsigned index = slab_index(slab, object);
	bool start = index < slab->objects &&
		     object == slab_object(cache, slab, index);
	char what[96];
	loam_slab_describe(slabs, object, what, sizeof(what));
	bool wrong_cache = wanted != NULL && wanted != cache;
	if (!start) {
		loam_misuse(caller, "interior free of %p: %s", object, what);
	} else if (!wrong_cache || !slab_is_live(cache, object)) {
		const void *freed = loam_slab_debug_caller(cache, object, true);
		if (freed != NULL) {
			loam_misuse(caller,
				    "double free of %p: %s, freed from %p",
				    object, what, freed);
		} else {
			loam_misuse(caller, "double free of %p: %s", object,
				    what);
		}
	} else {
		loam_misuse(caller, "free of %p to the wrong cache %s: %s",
			    object, wanted->name, what);
	}
}

static void report_wild_free(struct loam_slabs *slabs,
			     const struct loam_cache *wanted, void *object,
			     const void *caller)
{
	size_t pfn = ((uintptr_t)object - slabs->direct) >> LOAM_PAGE_SHIFT;
	struct loam_frame_info info;
	if (pfn < LOAM_PFN_NONE &&
	    loam_frame_info(slabs->frames, (loam_pfn_t)pfn, &info) == 0) {
		loam_misuse(caller,
			    "foreign free of %p to cache %s: frame 0x%zx is %s",
			    object, wanted->name, pfn,
			    info.state == LOAM_TAG_USED
				    ? loam_owner_name(info.owner)
				    : "free");
		return;
	}
	loam_misuse(caller, "wild free of %p to cache %s: no memory of ours",
		    object, wanted->name);
}

/* -------- slow paths -------- */

/* One object straight from a slab, for interrupts and caches in debugging. */
static void *take_direct(struct loam_cache *cache)
{
	void *object = NULL;
	loam_lock(&cache->lock);
	if (loam_slab_take_locked(cache, LOAM_MAX_CPUS, &object, 1) != 0) {
		*slab_shadow(cache->slabs, object) = (uint8_t)cache->head.index;
	}
	loam_unlock(&cache->lock);
	return object;
}

static LOAM_NOINLINE void *alloc_slow(struct loam_cache *cache,
				      loam_flags_t flags, const void *caller)
{
	bool direct;
	void *object = loam_slab_magazine_alloc(cache, &direct);
	while (object == NULL) {
		if (direct) {
			object = take_direct(cache);
		}
		if (object == NULL && LOAM_SLAB_SETTLE_BYTES != 0) {
			loam_slab_settle(cache->slabs);
		}
		if (object == NULL && loam_slab_grow(cache, flags) != 0) {
			/* What other CPUs refill from is the last resort. */
			object = take_direct(cache);
			break;
		}
		if (object == NULL) {
			object = loam_slab_magazine_alloc(cache, &direct);
		}
	}
	if (object == NULL) {
		loam_lock(&cache->lock);
		cache->failed++;
		loam_unlock(&cache->lock);
		return NULL;
	}
	if ((cache->flags & LOAM_CACHE_DEBUG) != 0) {
		loam_slab_debug_alloc(cache, object, caller);
	}
	return object;
}

/*
 * Puts an object straight back into its slab. False, and nothing changed: it
 * is not live any more, another CPU has freed it meanwhile.
 */
static bool put_direct(struct loam_cache *cache, void *object)
{
	struct loam_list surplus;
	loam_list_init(&surplus);
	loam_lock(&cache->lock);
	bool live = slab_is_live(cache, object);
	if (live) {
		*slab_shadow(cache->slabs, object) = 0;
		loam_slab_put_locked(cache, &object, 1, &surplus);
	}
	loam_unlock(&cache->lock);
	loam_slab_release(cache, &surplus);
	return live;
}

/*
 * Frees what the fast path did not: wanted is the cache the caller names, or
 * NULL for any.
 */
static LOAM_NOINLINE void free_slow(struct loam_slabs *slabs,
				    struct loam_slab *slab,
				    const struct loam_cache *wanted,
				    void *object, const void *caller)
{
	struct loam_cache *cache = cache_of(slabs, slab);
	if (!slab_is_live(cache, object) ||
	    (wanted != NULL && wanted != cache)) {
		report_bad_free(slabs, slab, wanted, object, caller);
		return;
	}
	if ((cache->flags & LOAM_CACHE_DEBUG) != 0 &&
	    !loam_slab_debug_free(cache, object, caller)) {
		return;
	}
	if (!loam_slab_magazine_free(cache, object) &&
	    !put_direct(cache, object)) {
		report_bad_free(slabs, slab, wanted, object, caller);
	}
}

/* -------- allocating and freeing -------- */

void *loam_slab_alloc_index(struct loam_slabs *slabs, unsigned index,
			    loam_flags_t flags, const void *caller)
{
	return alloc_slow(slabs->cache[index], flags, caller);
}

/*
 * What the two below do when it is not at hand. They are called last with the
 * same arguments, so that the fast paths save no registers and the return
 * address here is that of their caller.
 */
static LOAM_NOINLINE void *cache_alloc_tail(struct loam_slabs *slabs,
					    struct loam_cache *cache,
					    loam_flags_t flags)
{
	bool refuse =
		(flags & LOAM_DMA) != 0 && (cache->flags & LOAM_CACHE_DMA) == 0;
	if (refuse || ((flags & LOAM_ZERO) != 0 && cache->construct != NULL)) {
		loam_misuse(LOAM_CALLER(), "cache %s cannot give %s objects",
			    cache->name, refuse ? "DMA" : "zeroed");
		return NULL;
	}
	void *object = loam_slab_pop(slabs, cache->head.index);
	if (object == NULL) {
		object = alloc_slow(cache, flags, LOAM_CALLER());
	}
	if (object != NULL && (flags & LOAM_ZERO) != 0) {
		memset(object, 0, cache->object_bytes);
	}
	return object;
}

void *loam_cache_alloc(struct loam_slabs *slabs, struct loam_cache *cache,
		       loam_flags_t flags)
{
	if (LOAM_LIKELY((flags & (LOAM_ZERO | LOAM_DMA)) == 0)) {
		void *object = loam_slab_pop(slabs, cache->head.index);
		if (LOAM_LIKELY(object != NULL)) {
			return object;
		}
	}
	return cache_alloc_tail(slabs, cache, flags);
}

static LOAM_NOINLINE void cache_free_tail(struct loam_slabs *slabs,
					  struct loam_cache *cache,
					  void *object)
{
	if (object == NULL) {
		return;
	}
	struct loam_slab *slab = loam_slab_of(slabs, object);
	if (slab == NULL) {
		report_wild_free(slabs, cache, object, LOAM_CALLER());
		return;
	}
	free_slow(slabs, slab, cache, object, LOAM_CALLER());
}

void loam_cache_free(struct loam_slabs *slabs, struct loam_cache *cache,
		     void *object)
{
	if (LOAM_LIKELY(loam_slab_push_of(slabs, object, cache->head.index))) {
		return;
	}
	cache_free_tail(slabs, cache, object);
}

bool loam_slab_free_from(struct loam_slabs *slabs, void *object,
			 const void *caller)
{
	struct loam_slab *slab = loam_slab_of(slabs, object);
	if (slab != NULL) {
		free_slow(slabs, slab, NULL, object, caller);
	}
	return slab != NULL;
}

bool loam_slab_free(struct loam_slabs *slabs, void *object)
{
	return loam_slab_push(slabs, object) ||
	       loam_slab_free_from(slabs, object, LOAM_CALLER());
}

size_t loam_slab_size(struct loam_slabs *slabs, const void *object)
{
	size_t granule = loam_slab_granule(slabs, object);
	unsigned code = granule < slabs->granules ? slabs->shadow[granule] : 0;
	return code == 0 ? 0
			 : slabs->cache[code % LOAM_CACHE_MAX]->object_bytes;
}

/* -------- all locks -------- */

void loam_slab_lock_all(struct loam_slabs *slabs)
{
	loam_lock(&slabs->list_lock);
	for (unsigned i = 1; i < LOAM_CACHE_MAX; i++) {
		if (slabs->cache[i] != NULL) {
			loam_host_lock(&slabs->cache[i]->lock.host);
			loam_host_lock(&slabs->cache[i]->depot_lock.host);
		}
	}
	loam_lock(&slabs->meta.lock);
}

void loam_slab_unlock_all(struct loam_slabs *slabs)
{
	loam_unlock(&slabs->meta.lock);
	for (unsigned i = LOAM_CACHE_MAX; i-- > 1;) {
		if (slabs->cache[i] != NULL) {
			loam_host_unlock(&slabs->cache[i]->depot_lock.host);
			loam_host_unlock(&slabs->cache[i]->lock.host);
		}
	}
	loam_unlock(&slabs->list_lock);
}

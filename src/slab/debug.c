/* SPDX-License-Identifier: MIT */
/* Debugging marks of a cache: poison, red zones, callers. */
#include "slab_int.h"

/*
 * A stride of a cache with debug flags:
 *
 *   | front: red zone, 16 bytes or the alignment | object | back |
 *
 * back: red zone of 16 bytes, rounded up so that what follows is aligned; then
 * two words: who allocated the object, who freed it. A red zone has one
 * pattern while the object is live and another while it is free, so that a
 * stale write of one kind over the other shows too.
 */
#define RED_LIVE 0xccu
#define RED_FREE 0xbbu
#define RED_BYTES 16u
#define POISON_FREE 0x6bu
#define POISON_END 0xa5u
#define POISON_FRESH 0x5au /* what a caller finds that forgot to initialise */

struct debug_callers {
	const void *allocated;
	const void *freed;
};

size_t loam_slab_debug_front(uint32_t flags, size_t align)
{
	if ((flags & LOAM_CACHE_RED_ZONE) == 0) {
		return 0;
	}
	return align > RED_BYTES ? align : RED_BYTES;
}

size_t loam_slab_debug_back(uint32_t flags)
{
	size_t back = 0;
	if ((flags & LOAM_CACHE_RED_ZONE) != 0) {
		/* Up to 7 bytes more bring the callers to their alignment. */
		back += RED_BYTES + sizeof(void *) - 1;
	}
	if ((flags & LOAM_CACHE_CALLER) != 0) {
		back += sizeof(struct debug_callers) + sizeof(void *) - 1;
	}
	return back;
}

static unsigned char *debug_back_zone(const struct loam_cache *cache,
				      const void *object)
{
	return (unsigned char *)(uintptr_t)object + cache->object_bytes;
}

static struct debug_callers *debug_callers(const struct loam_cache *cache,
					   const void *object)
{
	uintptr_t at = (uintptr_t)object + cache->object_bytes;
	if ((cache->flags & LOAM_CACHE_RED_ZONE) != 0) {
		at += RED_BYTES;
	}
	return (struct debug_callers *)loam_size_round_up(at, sizeof(void *));
}

/* Offset of the first byte that is not the pattern, or size. */
static size_t debug_mismatch(const unsigned char *bytes, size_t size,
			     unsigned char pattern)
{
	size_t i = 0;
	while (i < size && bytes[i] == pattern) {
		i++;
	}
	return i;
}

static void debug_mark(const struct loam_cache *cache, void *object,
		       unsigned char red)
{
	if ((cache->flags & LOAM_CACHE_RED_ZONE) != 0) {
		memset((unsigned char *)object - cache->pad, red, cache->pad);
		memset(debug_back_zone(cache, object), red, RED_BYTES);
	}
}

static bool debug_poisons(const struct loam_cache *cache)
{
	/* A constructed object keeps its state while it is free. */
	return (cache->flags & LOAM_CACHE_POISON) != 0 &&
	       cache->construct == NULL;
}

static void debug_poison(const struct loam_cache *cache, void *object)
{
	if (debug_poisons(cache)) {
		memset(object, POISON_FREE, cache->object_bytes - 1);
		((unsigned char *)object)[cache->object_bytes - 1] = POISON_END;
	}
}

void loam_slab_debug_new(const struct loam_cache *cache, void *object)
{
	debug_mark(cache, object, RED_FREE);
	debug_poison(cache, object);
	if ((cache->flags & LOAM_CACHE_CALLER) != 0) {
		*debug_callers(cache, object) =
			(struct debug_callers){ NULL, NULL };
	}
}

const void *loam_slab_debug_caller(const struct loam_cache *cache,
				   const void *object, bool of_free)
{
	if ((cache->flags & LOAM_CACHE_CALLER) == 0) {
		return NULL;
	}
	const struct debug_callers *callers = debug_callers(cache, object);
	return of_free ? callers->freed : callers->allocated;
}

/*
 * Where the free object was written to, relative to its start; object_bytes
 * if nowhere.
 */
static size_t debug_poison_broken(const struct loam_cache *cache,
				  const void *object)
{
	const unsigned char *bytes = object;
	size_t last = cache->object_bytes - 1;
	size_t at = debug_mismatch(bytes, last, POISON_FREE);
	if (at == last && bytes[last] == POISON_END) {
		return cache->object_bytes;
	}
	return at;
}

/* The first broken byte around the object: its offset in *at, or false. */
static bool debug_red_broken(const struct loam_cache *cache, const void *object,
			     unsigned char red, long *at)
{
	if ((cache->flags & LOAM_CACHE_RED_ZONE) == 0) {
		return false;
	}
	const unsigned char *front = (const unsigned char *)object - cache->pad;
	size_t i = debug_mismatch(front, cache->pad, red);
	if (i < cache->pad) {
		*at = (long)i - (long)cache->pad;
		return true;
	}
	i = debug_mismatch(debug_back_zone(cache, object), RED_BYTES, red);
	if (i < RED_BYTES) {
		*at = (long)(cache->object_bytes + i);
		return true;
	}
	return false;
}

void loam_slab_debug_alloc(const struct loam_cache *cache, void *object,
			   const void *caller)
{
	long at;
	if (debug_poisons(cache)) {
		size_t broken = debug_poison_broken(cache, object);
		if (broken != cache->object_bytes) {
			loam_misuse(loam_slab_debug_caller(cache, object, true),
				    "use after free: byte %zu of the free "
				    "object at %p of cache %s was written to",
				    broken, object, cache->name);
		}
		memset(object, POISON_FRESH, cache->object_bytes);
	}
	if (debug_red_broken(cache, object, RED_FREE, &at)) {
		loam_misuse(loam_slab_debug_caller(cache, object, true),
			    "overrun: byte %ld around the free object at %p "
			    "of cache %s was written to",
			    at, object, cache->name);
	}
	debug_mark(cache, object, RED_LIVE);
	if ((cache->flags & LOAM_CACHE_CALLER) != 0) {
		debug_callers(cache, object)->allocated = caller;
	}
}

bool loam_slab_debug_free(const struct loam_cache *cache, void *object,
			  const void *caller)
{
	long at;
	if (debug_red_broken(cache, object, RED_LIVE, &at)) {
		loam_misuse(caller,
			    "overrun: byte %ld of the object at %p of cache "
			    "%s (%u bytes, allocated from %p) was written to; "
			    "the object is not freed",
			    at, object, cache->name, cache->object_bytes,
			    loam_slab_debug_caller(cache, object, false));
		return false;
	}
	debug_mark(cache, object, RED_FREE);
	debug_poison(cache, object);
	if ((cache->flags & LOAM_CACHE_CALLER) != 0) {
		debug_callers(cache, object)->freed = caller;
	}
	return true;
}

int loam_slab_debug_check(const struct loam_cache *cache, const void *object,
			  bool live)
{
	long at = 0;
	if (debug_red_broken(cache, object, live ? RED_LIVE : RED_FREE, &at)) {
		loam_log(LOAM_LOG_ERROR,
			 "check: byte %ld around the object at %p of cache %s "
			 "was written to",
			 at, object, cache->name);
		return -LOAM_EFAULT;
	}
	if (!live && debug_poisons(cache) &&
	    debug_poison_broken(cache, object) != cache->object_bytes) {
		loam_log(LOAM_LOG_ERROR,
			 "check: byte %zu of the free object at %p of cache "
			 "%s was written to",
			 debug_poison_broken(cache, object), object,
			 cache->name);
		return -LOAM_EFAULT;
	}
	return 0;
}

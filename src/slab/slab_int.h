/* SPDX-License-Identifier: MIT */
/* What the files of the slab floor share. */
#ifndef LOAM_SLAB_INT_H
#define LOAM_SLAB_INT_H

#include <loam/bitmap.h>
#include <loam/bits.h>
#include <loam/mem.h>
#include <loam/slab.h>

/*
 * Slabs do not grow beyond 2^4 frames, 64 KiB, so that offsets in them times
 * 2^32 / stride are exact where it matters: slab_index().
 */
#define SLAB_ORDER_MAX 4u

/*
 * A cache that has much gets larger slabs than it begins with, since a slab of
 * any size costs the same to make: up to order 3, of which CPUs keep blocks,
 * and up to a quarter of what the cache has already.
 */
#define SLAB_ORDER_GROWN 3u
#define SLAB_GROWN_SHARE 4u

/* Lock keys as in slab_struct.h. */
struct loam_cache {
	struct loam_cache_head head;     /* [c] */
	struct loam_slabs *slabs;        /* [c] */
	const char *name;                /* [c] */
	void (*construct)(void *object); /* [c] */
	uint32_t flags;                  /* [c] LOAM_CACHE_* */
	uint32_t object_bytes;           /* [c] usable */
	uint32_t align;                  /* [c] */
	uint32_t stride;                 /* [c] from object to object */
	uint32_t pad;                    /* [c] from stride to object */
	uint16_t objects;                /* [c] in a slab of `order` */
	uint16_t capacity;               /* [c] slots of a magazine; 0: none */
	uint32_t depot_keep;             /* [c] full magazines, at least two */
	uint8_t order;                   /* [c] preferred to begin with */
	uint8_t order_min;               /* [c] holds one object */
	uint8_t order_most;              /* [c] preferred when it has much */
	uint32_t pins;                   /* [L] walks that are at it */
	uint32_t users;                  /* [L] creations that share it */
	uint32_t asked;                  /* [A] since slabs settled last */

	struct loam_lock depot_lock;
	struct loam_magazine *full[LOAM_SLAB_GROUPS]; /* [D] */
	struct loam_magazine *empty;                  /* [D] */
	uint32_t full_count;                          /* [D] of all groups */
	uint32_t empty_count;                         /* [D] */

	struct loam_lock lock;
	/* [S] some objects free; by the group that refilled last */
	struct loam_list partial_slabs[LOAM_SLAB_GROUPS];
	struct loam_list full_slabs;  /* [S] none */
	struct loam_list empty_slabs; /* [S] all */
	uint32_t slab_count;          /* [S] on the three lists */
	uint32_t frames;              /* [S] of these */
	uint32_t empty_slab_count;    /* [S] */
	uint32_t empty_frames;        /* [S] of these */
	uint64_t failed;              /* [S] */
};

/* A stack of objects. slots[0] is NULL and ends it. */
struct loam_magazine {
	struct loam_magazine *next; /* in the depot */
	uint32_t count;             /* while no CPU has it loaded */
	uint32_t capacity;
	void *slots[];
};

/* -------- meta.c: memory for descriptors and magazines -------- */

void loam_slab_meta_init(struct loam_slabs *slabs);
/* Zeroed, at a multiple of LOAM_SLAB_UNIT, at most 4032 bytes; or NULL. */
void *loam_slab_meta_alloc(struct loam_slabs *slabs, size_t size_bytes,
			   loam_flags_t flags);
void loam_slab_meta_free(struct loam_slabs *slabs, void *memory,
			 size_t size_bytes);
int loam_slab_meta_check(struct loam_slabs *slabs);

/* -------- objects.c: slabs of one cache -------- */

/* Bytes of the descriptor of a slab with so many objects. */
static inline size_t slab_descriptor_bytes(unsigned objects)
{
	return sizeof(struct loam_slab) + LOAM_BITMAP_WORDS(objects) * 4;
}

/* The object, as its user knows it. */
static inline void *slab_object(const struct loam_cache *cache,
				const struct loam_slab *slab, unsigned index)
{
	return (void *)(slab->base + (uintptr_t)index * slab->stride +
			cache->pad);
}

/* Index of the stride that holds the address; objects if past the last. */
static inline unsigned slab_index(const struct loam_slab *slab,
				  const void *address)
{
	uint32_t offset = (uint32_t)((uintptr_t)address - slab->base);
	unsigned index = (unsigned)(((uint64_t)offset * slab->inverse) >> 32);
	return index < slab->objects ? index : slab->objects;
}

/* Where the shadow says whether the object at this address is live. */
static inline uint8_t *slab_shadow(const struct loam_slabs *slabs,
				   const void *object)
{
	return &slabs->shadow[((uintptr_t)object - slabs->direct) >>
			      LOAM_SHADOW_SHIFT];
}

/* True if a live object of this cache starts at the address. */
static inline bool slab_is_live(const struct loam_cache *cache,
				const void *address)
{
	const struct loam_slabs *slabs = cache->slabs;
	size_t granule = loam_slab_granule(slabs, address);
	return granule < slabs->granules &&
	       slabs->shadow[granule] % LOAM_CACHE_MAX == cache->head.index;
}

/* Adds a slab to the cache. Takes no lock during allocation. */
int loam_slab_grow(struct loam_cache *cache, loam_flags_t flags);
/*
 * Takes up to `wanted` free objects in address order for `cpu` into slots
 * (slots[0] is the one to hand out last). cpu LOAM_MAX_CPUS: for none.
 */
unsigned loam_slab_take_locked(struct loam_cache *cache, unsigned cpu,
			       void **slots, unsigned wanted);
/*
 * Puts objects back; empty slabs over the limit go to *surplus. Those that
 * follow each other in one slab cost little each.
 */
void loam_slab_put_locked(struct loam_cache *cache, void *const *objects,
			  uint32_t count, struct loam_list *surplus);
/* Moves every empty slab to *surplus. */
void loam_slab_collect_empty_locked(struct loam_cache *cache,
				    struct loam_list *surplus);
/* Gives slabs that are on no list of the cache back to the frames. */
size_t loam_slab_release(struct loam_cache *cache, struct loam_list *surplus);

/* -------- magazine.c: the per-CPU layer and the depot -------- */

/*
 * An object for the CPU after a refill; NULL: nothing without growing, or, if
 * *direct, the layer cannot be used now and the slabs must be asked.
 */
void *loam_slab_magazine_alloc(struct loam_cache *cache, bool *direct);
/* Makes room in the CPU's magazine and puts a live object there. */
bool loam_slab_magazine_free(struct loam_cache *cache, void *object);
/*
 * Returns what a CPU holds: the calling one (its own interrupts may be in the
 * layer; then nothing happens), or one that does not use the cache meanwhile.
 */
void loam_slab_magazine_drain_own(struct loam_cache *cache, unsigned cpu,
				  struct loam_list *surplus);
void loam_slab_magazine_drain_cpu(struct loam_cache *cache, unsigned cpu,
				  struct loam_list *surplus);
/* The same of a CPU that stops, whose magazines others may want. */
void loam_slab_magazine_hand_over(struct loam_cache *cache, unsigned cpu);
void loam_slab_magazine_drain_depot(struct loam_cache *cache,
				    struct loam_list *surplus);
/* True if the CPU has magazines of this cache, or a slab it refills from. */
bool loam_slab_magazine_holds(const struct loam_slabs *slabs, unsigned cpu,
			      unsigned cache_index);
/* Objects in the magazines of one CPU and in the depot. Not synchronised. */
uint64_t loam_slab_magazine_count(struct loam_cache *cache);
int loam_slab_magazine_check(struct loam_cache *cache);

/* -------- shrink.c: giving memory back -------- */

/*
 * If slabs grew by much since they last settled: caches that nobody asked in
 * the meantime give back what they keep, before others get more. No locks.
 */
void loam_slab_settle(struct loam_slabs *slabs);

/* -------- debug.c: poison, red zones, callers -------- */

/* Bytes before and after the object that the cache's flags need. */
size_t loam_slab_debug_front(uint32_t flags, size_t align);
size_t loam_slab_debug_back(uint32_t flags);
/* A new object of a slab that was just made. */
void loam_slab_debug_new(const struct loam_cache *cache, void *object);
/* Checks poison, then marks the object as allocated by caller. */
void loam_slab_debug_alloc(const struct loam_cache *cache, void *object,
			   const void *caller);
/* False, reported: a red zone was written to. Else marks it free. */
bool loam_slab_debug_free(const struct loam_cache *cache, void *object,
			  const void *caller);
/* 0, or -LOAM_EFAULT: the marks of an object in this state are not intact. */
int loam_slab_debug_check(const struct loam_cache *cache, const void *object,
			  bool live);
const void *loam_slab_debug_caller(const struct loam_cache *cache,
				   const void *object, bool of_free);

#endif

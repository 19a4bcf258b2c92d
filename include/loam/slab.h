/* SPDX-License-Identifier: MIT */
/* Slab caches: objects of one size, with a per-CPU layer. */
#ifndef LOAM_SLAB_H
#define LOAM_SLAB_H

#include <loam/frame.h>
#include <loam/list.h>

/* Flags of a cache. The debug ones make every operation take the slow path. */
#define LOAM_CACHE_POISON 0x01u      /* free objects filled, checked on alloc */
#define LOAM_CACHE_RED_ZONE 0x02u    /* words around the object, checked */
#define LOAM_CACHE_CALLER 0x04u      /* who allocated and freed each object */
#define LOAM_CACHE_NO_MERGE 0x08u    /* never shared with a like cache */
#define LOAM_CACHE_NO_MAGAZINE 0x10u /* no per-CPU layer */
#define LOAM_CACHE_DMA 0x20u         /* slabs lie below 16 MiB */
#define LOAM_CACHE_DEBUG                                                       \
	(LOAM_CACHE_POISON | LOAM_CACHE_RED_ZONE | LOAM_CACHE_CALLER)

#define LOAM_SLAB_MAX_OBJECT 32768u

struct loam_slabs;       /* one instance; open, in slab_struct.h */
struct loam_slab_shadow; /* likewise */
struct loam_slab_cpu;    /* likewise */
struct loam_cache;       /* opaque */

/*
 * Starts an instance over frames, of which it uses directly mapped ones; the
 * direct map must be linear. shadow says where the shadow bytes are (a kernel
 * gives a window of addresses, loam_kspace_back()); NULL: the instance takes
 * frames for all of it at once, a sixteenth of the directly mapped memory.
 * Returns 0 or -LOAM_ENOMEM.
 */
int loam_slab_init(struct loam_slabs *slabs, struct loam_frames *frames,
		   const struct loam_slab_shadow *shadow);

/*
 * Flags that every cache created from now on gets besides its own: a kernel
 * hunting a bug turns LOAM_CACHE_DEBUG on at boot.
 */
void loam_slab_set_default_flags(struct loam_slabs *slabs, uint32_t flags);

/*
 * A cache of objects of object_bytes (1 to LOAM_SLAB_MAX_OBJECT) at multiples
 * of align (a power of two up to 4096; below 16 it counts as 16).
 * construct, or NULL, is called once for each object when its memory is taken
 * from the frames, not at each alloc: objects come back as they were freed.
 * Caches without constructor and debug flags, of the same object size and
 * alignment, share one unless LOAM_CACHE_NO_MERGE. name must outlive
 * the cache, and all that share it.
 * NULL: bad arguments, too many caches, no memory.
 */
struct loam_cache *loam_cache_create(struct loam_slabs *slabs, const char *name,
				     size_t object_bytes, size_t align,
				     uint32_t flags,
				     void (*construct)(void *object));

/*
 * True if the frames' blocks are large enough for one such object, with what
 * the default flags put around it. Where frames come one by one, creating a
 * cache of larger ones fails.
 */
bool loam_slab_can_hold(const struct loam_slabs *slabs, size_t object_bytes,
			size_t align);

/*
 * Gives everything back. Nobody may use the cache any more, but for reclaim
 * on other CPUs. With objects still allocated: reported with their number,
 * -LOAM_EBUSY, nothing changed. -LOAM_EAGAIN: another CPU is shrinking it just
 * now. A cache that several creations share goes with the last of them.
 */
int loam_cache_destroy(struct loam_slabs *slabs, struct loam_cache *cache);

/*
 * One object, or NULL: out of memory. LOAM_ZERO clears it (not with a
 * constructor: then it is misuse). LOAM_DMA is refused (NULL) unless the cache
 * has LOAM_CACHE_DMA. Context: any. Cost: a few instructions from the CPU's
 * magazine, else a slab's refill of half a magazine.
 */
void *loam_cache_alloc(struct loam_slabs *slabs, struct loam_cache *cache,
		       loam_flags_t flags);

/*
 * Gives an object back to its cache. A pointer that is not a live object of
 * this cache (wild, interior, foreign, misaligned, already free, of another
 * cache) is reported with its owner and the caller, and ignored.
 */
void loam_cache_free(struct loam_slabs *slabs, struct loam_cache *cache,
		     void *object);

/* The same for an object of any cache: what kfree does. False: no slab's. */
bool loam_slab_free(struct loam_slabs *slabs, void *object);

/*
 * The same on behalf of a caller, whom reports then name, for who tried
 * loam_slab_push() already.
 */
bool loam_slab_free_from(struct loam_slabs *slabs, void *object,
			 const void *caller);

/*
 * The slow path of kmalloc: an object of the cache with this index, when
 * loam_slab_pop() had none. flags: LOAM_NOSLEEP matters, LOAM_ZERO does not.
 */
void *loam_slab_alloc_index(struct loam_slabs *slabs, unsigned index,
			    loam_flags_t flags, const void *caller);

/* Index of a cache, as in the shadow, and the usable bytes of its objects. */
unsigned loam_cache_index(const struct loam_cache *cache);
size_t loam_cache_object_bytes(const struct loam_cache *cache);

/* Usable bytes of the live object, or 0 if it is none. */
size_t loam_slab_size(struct loam_slabs *slabs, const void *object);

/*
 * Empties this CPU's magazines and the depot into the slabs and gives every
 * slab without live objects back to the frames. Returns frames given back.
 */
size_t loam_cache_shrink(struct loam_slabs *slabs, struct loam_cache *cache);
size_t loam_slab_shrink_all(struct loam_slabs *slabs);

/* Takes back what a CPU holds that is offline: it must not run meanwhile. */
void loam_slab_drain_cpu(struct loam_slabs *slabs, unsigned cpu);

/*
 * Says where the structure of a CPU is that the instance has no room for
 * (LOAM_SLAB_CPUS), and makes it an empty one; group is below
 * LOAM_SLAB_GROUPS. What `cpu` is at has zeros, or was started and stopped
 * before. It is used until loam_slab_cpu_stop(), after which others have what
 * it held: whole magazines go to the depots. A CPU never started has no layer:
 * it works on slabs directly. Context: the CPU itself, or it does not run.
 */
void loam_slab_cpu_start(struct loam_slabs *slabs, unsigned id,
			 struct loam_slab_cpu *cpu, unsigned group);
void loam_slab_cpu_stop(struct loam_slabs *slabs, unsigned id);

/*
 * Takes every lock of the instance in order, and gives them back: nothing
 * changes in between but what CPUs hold. For a host that copies all of it,
 * instances included, as fork does.
 */
void loam_slab_lock_all(struct loam_slabs *slabs);
void loam_slab_unlock_all(struct loam_slabs *slabs);

struct loam_cache_stats {
	const char *name;
	size_t object_bytes; /* usable */
	size_t stride_bytes; /* from object to object */
	unsigned slab_order;
	unsigned objects_per_slab;
	uint32_t flags;
	uint64_t slabs;
	uint64_t live;   /* objects in callers' hands */
	uint64_t cached; /* in magazines */
	uint64_t free;   /* in slabs */
	uint64_t failed;
};

/* Exact when no other CPU is in the cache. O(slabs). */
void loam_cache_stats(struct loam_slabs *slabs, struct loam_cache *cache,
		      struct loam_cache_stats *out);

/* The nth cache (0, 1, ...) or NULL past the last; for printing. */
struct loam_cache *loam_slab_cache(struct loam_slabs *slabs, unsigned n);

/* Describes an address: "object 5 of kmalloc-64, live" for reports. */
bool loam_slab_describe(struct loam_slabs *slabs, const void *address, char *to,
			size_t size_bytes);

/* Calls visit for every live object. Not for hot use. Stops at non-zero. */
int loam_cache_walk(struct loam_slabs *slabs, struct loam_cache *cache,
		    int (*visit)(void *arg, void *object, const void *caller),
		    void *arg);

/*
 * 0, or -LOAM_EFAULT (logged): every invariant of the essay. No other CPU may
 * be in a cache meanwhile. O(objects).
 */
int loam_slab_check(struct loam_slabs *slabs);

/* The instance and the fast paths. */
#include <loam/slab_struct.h>

#endif

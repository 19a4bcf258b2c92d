/* SPDX-License-Identifier: MIT */
/* The slab floor's instance and its two fast paths, for inlining. */
#ifndef LOAM_SLAB_STRUCT_H
#define LOAM_SLAB_STRUCT_H

#include <loam/frame.h>
#include <loam/list.h>

/*
 * Reached only through slab.h and kmalloc.h.  Lock keys:
 *   [c] constant while the structure is in use
 *   [P] the CPU it belongs to, while it has set busy
 *   [S] the cache's lock   [D] the cache's depot lock   [L] the list lock
 *   [O] whoever holds the object: a caller, a magazine, its slab
 *   [A] atomic
 */

/*
 * The shadow: one byte for each 16 bytes of directly mapped memory, at
 * bytes[(address - direct) / 16].  Where a live object starts it is the
 * object's code: the index of its cache and, times LOAM_CACHE_MAX, the group
 * of CPUs it belongs to.  It is 0 everywhere else: in free objects, inside of
 * objects, in memory that is no slab's.  So one look tells a free whether the
 * pointer is the start of a live object, and of which cache; alloc writes it
 * and free clears it, and since only the holder of an object does, no atomic
 * operation is needed.
 *
 * A sixteenth of all memory would be too much, so only what covers slabs has
 * to be real: back() is called for each page of the shadow before a slab that
 * it covers is used, and makes it private, writable and zero if it is not yet.
 * Until then the page must read as zeros; one shared zero frame does.
 */
#define LOAM_SHADOW_SHIFT 4u

struct loam_slab_shadow {
	uint8_t *bytes;
	loam_phys_t covered; /* memory from physical 0 on, in bytes */
	/* 0 or a negative errno; flags: LOAM_NOSLEEP. May be NULL. */
	int (*back)(void *ctx, void *page, loam_flags_t flags);
	void *ctx;
};

/*
 * A slab's descriptor lies outside the slab, so that objects fill whole
 * frames and keep the alignment of their size. A bitmap of the objects that
 * the slab itself holds follows it.
 */
struct loam_slab {
	uintptr_t base;        /* [c] of the first stride */
	uint32_t stride;       /* [c] */
	uint32_t inverse;      /* [c] 2^32 / stride, rounded up */
	uint16_t cache_index;  /* [c] */
	uint16_t objects;      /* [c] */
	uint16_t free;         /* [S] bits set in the free map */
	uint8_t order;         /* [c] of its frames */
	uint8_t group;         /* [S] whose CPU refilled from it last */
	uint16_t active;       /* [S] CPU + 1 that refills from it, or 0 */
	uint32_t magic;        /* [c] LOAM_SLAB_MAGIC */
	loam_pfn_t pfn;        /* [c] its first frame */
	struct loam_list link; /* [S] partial, full or empty list */
	uint32_t free_map[];   /* [S] */
};

#define LOAM_SLAB_MAGIC 0x51ab51abu

/* Descriptors are multiples of this, so that a tag can hold one's number. */
#define LOAM_SLAB_UNIT 64u

struct loam_magazine;

LOAM_STATIC_ASSERT(LOAM_MAX_CPUS < 65535,
		   "struct loam_slab.active holds a CPU");

/* Codes: every cache in every group of CPUs. */
#define LOAM_SLAB_CODES (LOAM_CACHE_MAX * LOAM_SLAB_GROUPS)
LOAM_STATIC_ASSERT(LOAM_SLAB_CODES <= 256, "a code is a byte of the shadow");
LOAM_STATIC_ASSERT(!LOAM_CPU_RESTARTS || LOAM_SLAB_GROUPS == 1,
		   "LOAM_SLAB_TAKE() gets the index of a cache");

/* What the fast paths do not use of a CPU's layer, for each code. */
struct loam_cache_cpu {
	struct loam_magazine *loaded;   /* [P] what the stack points into */
	struct loam_magazine *previous; /* [P] full or empty, or NULL */
	struct loam_slab *active;       /* [S] refills come from it */
};

/*
 * A CPU's layer: a stack of objects for each code. top is the first empty
 * slot, top[-1] the next object, or NULL at the end; limit is where the
 * magazine ends. The CPU allocates at codes of its own group, which begin at
 * `base`, and frees at any.
 */
struct loam_slab_cpu {
	void **top[LOAM_SLAB_CODES];   /* [P] */
	void **limit[LOAM_SLAB_CODES]; /* [P] */
	uint32_t busy;                 /* [P] against this CPU's interrupts */
	uintptr_t quiet;               /* [P] of loam_cpu_quiet(), while busy */
	uint32_t base;                 /* [c] */
	struct loam_cache_cpu *cold;   /* [c] one for each code */
	unsigned char padding[64];     /* neighbours share no cache line */
};

/* Pages of descriptors and magazines, in units of LOAM_SLAB_UNIT. */
struct loam_slab_meta {
	struct loam_lock lock;
	struct loam_list pages; /* with at least one free unit */
	size_t page_count;
	size_t used_units;
};

struct loam_slabs {
	uintptr_t direct; /* [c] virtual address of physical 0 */
	size_t granules;  /* [c] bytes of the shadow */
	uint8_t *shadow;  /* [c] the bytes themselves are [O] */
	uintptr_t refs;   /* [c] + 64 * tag is the slab's descriptor */
	struct loam_frame_tags *tags;             /* [c] */
	struct loam_slab_shadow backing;          /* [c] */
	struct loam_frames *frames;               /* [c] */
	struct loam_cache *cache[LOAM_CACHE_MAX]; /* [L] */
	unsigned cache_end;                       /* [L] */
	uint32_t default_flags;                   /* [L] */
	struct loam_lock list_lock;
	struct loam_slab_meta meta;
	size_t bytes;     /* [A] of frames that slabs have */
	size_t settle_at; /* [A] slabs settle when they have more bytes */
	void *nothing[2]; /* an empty magazine of size 0 */
	struct loam_slab_cpu *cpus[LOAM_MAX_CPUS]; /* [c] NULL: none */
	struct loam_slab_cpu cpu[LOAM_SLAB_CPUS];  /* their usual place */
	/* All NULL for a CPU that has no layer. */
	struct loam_cache_cpu cold[LOAM_MAX_CPUS][LOAM_SLAB_CODES];
};

/*
 * The granule of an address, at least slabs->granules if it is no multiple of
 * 16 or not covered: a rotation brings low bits to the top.
 */
static LOAM_ALWAYS_INLINE size_t
loam_slab_granule(const struct loam_slabs *slabs, const void *address)
{
	size_t offset = (uintptr_t)address - LOAM_SLAB_DIRECT(slabs);
	return offset >> LOAM_SHADOW_SHIFT |
	       offset << (sizeof(offset) * 8 - LOAM_SHADOW_SHIFT);
}

/*
 * Makes the layer the caller's until loam_slab_cpu_done(). False: it is in use
 * by what this call interrupted.
 */
static LOAM_ALWAYS_INLINE bool loam_slab_cpu_try(struct loam_slab_cpu *cpu)
{
	LOAM_COMPILER_BARRIER();
	if (LOAM_CPU_INTERRUPTS) {
		if (LOAM_UNLIKELY(cpu->busy != 0)) {
			return false;
		}
		cpu->busy = 1;
		LOAM_COMPILER_BARRIER();
	}
	return true;
}

static LOAM_ALWAYS_INLINE void loam_slab_cpu_done(struct loam_slab_cpu *cpu)
{
	LOAM_COMPILER_BARRIER();
	if (LOAM_CPU_INTERRUPTS) {
		cpu->busy = 0;
	}
}

/*
 * Takes an object with this code from the CPU's magazine; NULL: the slow path
 * must. The code is one of the CPU's group.
 */
static LOAM_ALWAYS_INLINE void *loam_slab_pop_code(struct loam_slabs *slabs,
						   struct loam_slab_cpu *cpu,
						   size_t code)
{
	if (!LOAM_SLAB_TOP_STORED) {
		LOAM_COMPILER_HIDE(code);
	}
	void **top = cpu->top[code] - 1;
	void *object = *top;
	if (LOAM_SLAB_TOP_STORED) {
		LOAM_COMPILER_RESULT(object);
	}
	if (LOAM_LIKELY(object != NULL)) {
		if (LOAM_SLAB_TOP_STORED) {
			cpu->top[code] = top;
		}
		*LOAM_SLAB_SHADOW_AT(slabs, object) = (uint8_t)code;
		if (!LOAM_SLAB_TOP_STORED) {
			LOAM_COMPILER_HIDE(code);
			cpu->top[code]--;
		}
	}
	return object;
}

/* The same in one step for whatever else the CPU runs: LOAM_CPU_RESTARTS. */
static LOAM_ALWAYS_INLINE void *loam_slab_take(struct loam_slabs *slabs,
					       size_t code)
{
	void *object = LOAM_SLAB_TAKE(code);
	if (LOAM_LIKELY(object != NULL)) {
		/* It is the caller's already; and no byte is kept of code. */
		LOAM_COMPILER_HIDE(code);
		*LOAM_SLAB_SHADOW_AT(slabs, object) = (uint8_t)code;
	}
	return object;
}

/* The same for the cache with this index, and the CPU that runs this. */
static LOAM_ALWAYS_INLINE void *loam_slab_pop(struct loam_slabs *slabs,
					      unsigned cache_index)
{
	if (LOAM_CPU_RESTARTS) {
		return loam_slab_take(slabs, cache_index);
	}
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = LOAM_SLAB_CPU(slabs, id);
	void *object = NULL;
	if (LOAM_LIKELY(loam_slab_cpu_try(cpu))) {
		unsigned base = LOAM_SLAB_GROUPS == 1 ? 0 : cpu->base;
		object = loam_slab_pop_code(slabs, cpu, base + cache_index);
		loam_slab_cpu_done(cpu);
	}
	loam_cpu_leave(id);
	return object;
}

/*
 * Puts the object, whose byte of the shadow is *shadow and was code, into the
 * magazine of the CPU that runs this. False, and nothing changed: no room.
 */
static LOAM_ALWAYS_INLINE bool loam_slab_give(struct loam_slabs *slabs,
					      size_t code, void *object,
					      uint8_t *shadow)
{
	if (LOAM_CPU_RESTARTS) {
		return LOAM_SLAB_GIVE(code, object, shadow);
	}
	bool given = false;
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = LOAM_SLAB_CPU(slabs, id);
	if (LOAM_LIKELY(loam_slab_cpu_try(cpu))) {
		void **top = cpu->top[code];
		if (LOAM_LIKELY(top != cpu->limit[code])) {
			*shadow = 0;
			*top = object;
			if (LOAM_SLAB_TOP_STORED) {
				cpu->top[code] = top + 1;
			} else {
				LOAM_COMPILER_HIDE(code);
				cpu->top[code]++;
			}
			given = true;
		}
		loam_slab_cpu_done(cpu);
	}
	loam_cpu_leave(id);
	return given;
}

/* The two below in one: any is a constant. */
static LOAM_ALWAYS_INLINE bool loam_slab_push_if(struct loam_slabs *slabs,
						 void *object, bool any,
						 unsigned cache_index)
{
	size_t granule = loam_slab_granule(slabs, object);
	if (LOAM_UNLIKELY(granule >= LOAM_SLAB_GRANULES(slabs))) {
		return false;
	}
	size_t code = LOAM_SLAB_SHADOW(slabs)[granule];
	size_t index = LOAM_SLAB_GROUPS == 1 ? code : code % LOAM_CACHE_MAX;
	if (!any && LOAM_UNLIKELY(index != cache_index)) {
		return false;
	}
	if (LOAM_CPU_RESTARTS) {
		/* An operand made of two registers, twice, and no sum. */
		LOAM_COMPILER_HIDE(granule);
	}
	return loam_slab_give(slabs, code, object,
			      &LOAM_SLAB_SHADOW(slabs)[granule]);
}

/*
 * Puts a live object into the magazine of the CPU that runs this. False, and
 * nothing changed: it is not one, or the slow path must. No magazine has code
 * 0, and its limit is where its top is: so what is not live needs no test of
 * its own.
 */
static LOAM_ALWAYS_INLINE bool loam_slab_push(struct loam_slabs *slabs,
					      void *object)
{
	return loam_slab_push_if(slabs, object, true, 0);
}

/* The same if it is of the cache with this index. */
static LOAM_ALWAYS_INLINE bool loam_slab_push_of(struct loam_slabs *slabs,
						 void *object,
						 unsigned cache_index)
{
	return loam_slab_push_if(slabs, object, false, cache_index);
}

/* What every cache begins with; the rest is the slab floor's own. */
struct loam_cache_head {
	uint32_t index; /* [c] in the instance, not 0 */
};

/*
 * loam_cache_alloc() with no flags, and loam_cache_free(), for inlining where
 * caches are used most: the fast path at the place of the call.
 */
static LOAM_ALWAYS_INLINE void *loam_cache_alloc_fast(struct loam_slabs *slabs,
						      struct loam_cache *cache)
{
	const struct loam_cache_head *head = (const void *)cache;
	void *object = loam_slab_pop(slabs, head->index);
	return LOAM_LIKELY(object != NULL) ? object
					   : loam_cache_alloc(slabs, cache, 0);
}

static LOAM_ALWAYS_INLINE void loam_cache_free_fast(struct loam_slabs *slabs,
						    struct loam_cache *cache,
						    void *object)
{
	const struct loam_cache_head *head = (const void *)cache;
	if (LOAM_UNLIKELY(!loam_slab_push_of(slabs, object, head->index))) {
		loam_cache_free(slabs, cache, object);
	}
}

/* The slab whose frames hold the address, or NULL. Not for the fast paths. */
static inline struct loam_slab *loam_slab_of(const struct loam_slabs *slabs,
					     const void *address)
{
	size_t pfn = ((uintptr_t)address - slabs->direct) >> LOAM_PAGE_SHIFT;
	uint32_t tag = LOAM_LIKELY(pfn < LOAM_LOAD_HINT(&slabs->tags->end))
			       ? loam_tag_load(&slabs->tags->tags[pfn])
			       : loam_frame_tag_beyond(slabs->frames, pfn);
	if ((tag & LOAM_TAG_SLAB) == 0) {
		return NULL;
	}
	return (struct loam_slab *)(slabs->refs +
				    (uintptr_t)tag * LOAM_SLAB_UNIT);
}

#endif

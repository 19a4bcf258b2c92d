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
 */

/*
 * The shadow: one byte for each 16 bytes of directly mapped memory, at
 * bytes[(address - direct) / 16].  It is the index of the cache where a live
 * object starts, and 0 everywhere else: in free objects, inside of objects, in
 * memory that is no slab's.  So one look tells a free whether the pointer is
 * the start of a live object, and of which cache; alloc writes it and free
 * clears it, and since only the holder of an object does, no atomic operation
 * is needed.
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
	uint32_t cache_index;  /* [c] */
	uint16_t objects;      /* [c] */
	uint16_t free;         /* [S] bits set in the free map */
	uint8_t order;         /* [c] of its frames */
	uint8_t active;        /* [S] CPU + 1 that refills from it, or 0 */
	uint32_t magic;        /* [c] LOAM_SLAB_MAGIC */
	loam_pfn_t pfn;        /* [c] its first frame */
	struct loam_list link; /* [S] partial, full or empty list */
	uint32_t free_map[];   /* [S] */
};

#define LOAM_SLAB_MAGIC 0x51ab51abu

/* Descriptors are multiples of this, so that a tag can hold one's number. */
#define LOAM_SLAB_UNIT 64u

/* The part of a CPU's layer that the fast paths use: one for each cache. */
struct loam_slot_stack {
	void **top; /* [P] first empty slot; top[-1] is next, NULL at the end */
	void **limit; /* [P] end of the magazine */
};

struct loam_magazine;

LOAM_STATIC_ASSERT(LOAM_MAX_CPUS <= 255, "struct loam_slab.active holds a CPU");

/* The rest of it. */
struct loam_cache_cpu {
	struct loam_magazine *loaded; /* [P] what the slot stack points into */
	struct loam_magazine *previous; /* [P] full or empty, or NULL */
	struct loam_slab *active;       /* [S] refills come from it */
};

struct loam_slab_cpu {
	uint32_t busy; /* [P] guards against this CPU's interrupts */
	struct loam_slot_stack stack[LOAM_CACHE_MAX];
	struct loam_cache_cpu cold[LOAM_CACHE_MAX];
	unsigned char padding[64]; /* neighbours share no cache line */
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
	void *nothing[2]; /* an empty magazine of size 0 */
	struct loam_slab_cpu cpu[LOAM_MAX_CPUS];
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
 * Takes an object from the CPU's magazine; NULL: the slow path must.
 */
static LOAM_ALWAYS_INLINE void *loam_slab_pop(struct loam_slabs *slabs,
					      unsigned cache_index)
{
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = &slabs->cpu[id];
	void *object = NULL;
	LOAM_COMPILER_BARRIER();
	if (LOAM_LIKELY(cpu->busy == 0)) {
		cpu->busy = 1;
		LOAM_COMPILER_BARRIER();
		struct loam_slot_stack *stack = &cpu->stack[cache_index];
		void **slot = stack->top - 1;
		object = *slot;
		if (LOAM_LIKELY(object != NULL)) {
			size_t offset =
				(uintptr_t)object - LOAM_SLAB_DIRECT(slabs);
			LOAM_SLAB_SHADOW(slabs)
			[offset >> LOAM_SHADOW_SHIFT] = (uint8_t)cache_index;
			stack->top = slot;
		}
		LOAM_COMPILER_BARRIER();
		cpu->busy = 0;
	}
	loam_cpu_leave(id);
	return object;
}

/*
 * Puts a live object of the cache with this index (0: of any) into the CPU's
 * magazine. False, and nothing changed: it is not one, or the slow path must.
 */
static LOAM_ALWAYS_INLINE bool loam_slab_push(struct loam_slabs *slabs,
					      void *object,
					      unsigned cache_index)
{
	size_t granule = loam_slab_granule(slabs, object);
	if (LOAM_UNLIKELY(granule >= slabs->granules)) {
		return false;
	}
	unsigned index = LOAM_SLAB_SHADOW(slabs)[granule];
	if (LOAM_UNLIKELY(cache_index == 0 ? index == 0
					   : index != cache_index)) {
		return false;
	}
	bool pushed = false;
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = &slabs->cpu[id];
	LOAM_COMPILER_BARRIER();
	if (LOAM_LIKELY(cpu->busy == 0)) {
		cpu->busy = 1;
		LOAM_COMPILER_BARRIER();
		struct loam_slot_stack *stack = &cpu->stack[index];
		void **slot = stack->top;
		if (LOAM_LIKELY(slot != stack->limit)) {
			LOAM_SLAB_SHADOW(slabs)[granule] = 0;
			*slot = object;
			stack->top = slot + 1;
			pushed = true;
		}
		LOAM_COMPILER_BARRIER();
		cpu->busy = 0;
	}
	loam_cpu_leave(id);
	return pushed;
}

/* The slab whose frames hold the address, or NULL. Not for the fast paths. */
static inline struct loam_slab *loam_slab_of(const struct loam_slabs *slabs,
					     const void *address)
{
	size_t pfn = ((uintptr_t)address - slabs->direct) >> LOAM_PAGE_SHIFT;
	if (pfn >= slabs->tags->end) {
		return NULL;
	}
	uint32_t tag = slabs->tags->tags[pfn];
	if ((tag & LOAM_TAG_SLAB) == 0) {
		return NULL;
	}
	return (struct loam_slab *)(slabs->refs +
				    (uintptr_t)tag * LOAM_SLAB_UNIT);
}

#endif

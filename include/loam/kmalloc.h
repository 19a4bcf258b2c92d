/* SPDX-License-Identifier: MIT */
/* kmalloc: the front door of kernel memory. */
#ifndef LOAM_KMALLOC_H
#define LOAM_KMALLOC_H

#include <loam/heap.h>
#include <loam/page_window.h>
#include <loam/slab.h>

/*
 * Sizes up to LOAM_KMALLOC_SLAB_MAX come from slab caches, four classes per
 * doubling: at most 25 % of a block is waste. Larger ones are whole frames,
 * physically contiguous, where one block of the buddy fits well; else pages
 * of the vmalloc window. Every block is aligned to 16 bytes; one whose size is
 * a power of two to that size, up to a page; and one above
 * LOAM_KMALLOC_SLAB_MAX to a page. (With a classic heap behind the door, below,
 * its design decides, and who needs more asks loam_kmalloc_aligned().)
 */
#define LOAM_KMALLOC_MAX ((size_t)1 << 30)
#define LOAM_KMALLOC_DOUBLINGS(from, to)                                       \
	((unsigned)(__builtin_ctz(to) - __builtin_ctz(from)))
#define LOAM_KMALLOC_EIGHTHS                                                   \
	(8u * LOAM_KMALLOC_DOUBLINGS(LOAM_KMALLOC_FINE_MAX,                    \
				     LOAM_KMALLOC_EIGHTHS_MAX))
#define LOAM_KMALLOC_CLASSES                                                   \
	(LOAM_KMALLOC_FINE_MAX / 16u + LOAM_KMALLOC_EIGHTHS +                  \
	 4u * LOAM_KMALLOC_DOUBLINGS(LOAM_KMALLOC_EIGHTHS_MAX,                 \
				     LOAM_KMALLOC_SLAB_MAX))
LOAM_STATIC_ASSERT(LOAM_KMALLOC_EIGHTHS == 0 || LOAM_KMALLOC_FINE_MAX >= 128,
		   "every class is a multiple of 16");
LOAM_STATIC_ASSERT(LOAM_KMALLOC_CLASSES < LOAM_CACHE_MAX,
		   "there is an index for each class");

struct loam_kmalloc; /* open, at the end */

/* kspace may be NULL: then what no buddy block satisfies fails. */
int loam_kmalloc_init(struct loam_kmalloc *kmalloc, struct loam_slabs *slabs,
		      struct loam_kspace *kspace);

/*
 * size_bytes of kernel memory, not cleared, or NULL: size 0, size over
 * LOAM_KMALLOC_MAX, out of memory; nothing changed then. LOAM_ZERO clears.
 * LOAM_DMA: below 16 MiB and physically contiguous. LOAM_HIGH is allowed to
 * matter only above LOAM_KMALLOC_SLAB_MAX. LOAM_NOSLEEP: interrupt context.
 */
void *loam_kmalloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
		   loam_flags_t flags);

/* Cleared. */
void *loam_kzalloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
		   loam_flags_t flags);

/* count * size_bytes, cleared; NULL when the product overflows. */
void *loam_kcalloc(struct loam_kmalloc *kmalloc, size_t count,
		   size_t size_bytes, loam_flags_t flags);

/*
 * Grows or shrinks a block, moving it if it must; the first min(old, new)
 * bytes are kept. block NULL: kmalloc. size 0: NULL, and the block is freed.
 * NULL otherwise: no memory, the old block is untouched. LOAM_ZERO clears
 * what is beyond the old usable size. A bad pointer is reported: NULL.
 */
void *loam_krealloc(struct loam_kmalloc *kmalloc, void *block,
		    size_t size_bytes, loam_flags_t flags);

/* align: a power of two, any size up to 4 MiB; NULL if it is not. */
void *loam_kmalloc_aligned(struct loam_kmalloc *kmalloc, size_t size_bytes,
			   size_t align, loam_flags_t flags);

/* Usable bytes of a block: at least what was asked. 0, reported: no block. */
size_t loam_ksize(struct loam_kmalloc *kmalloc, const void *block);

/*
 * Frees a block of any of the above, or an object of any slab cache. NULL does
 * nothing. Anything else is reported with its owner and the caller, and
 * ignored.
 */
void loam_kfree(struct loam_kmalloc *kmalloc, void *block);

struct loam_kmalloc_stats {
	uint64_t slab_bytes;  /* live, by class size */
	uint64_t heap_bytes;  /* live, of the classic heap */
	uint64_t large_bytes; /* frames and vmalloc */
	uint64_t large_blocks;
	uint64_t peak_large_bytes;
	uint64_t failed;
};
/* A snapshot. Exact when no other CPU allocates. O(objects). */
void loam_kmalloc_stats(struct loam_kmalloc *kmalloc,
			struct loam_kmalloc_stats *out);

/* Gives back all that caches hold in reserve. Returns frames freed. */
size_t loam_kmalloc_shrink(struct loam_kmalloc *kmalloc);

/* Describes an address for reports: "object 5 of cache kmalloc-64, free". */
void loam_kmalloc_describe(struct loam_kmalloc *kmalloc, const void *address,
			   char *to, size_t size_bytes);

/* Fault injection: the nth kmalloc of any kind from now on fails, once. */
uint64_t loam_kmalloc_fail_nth(struct loam_kmalloc *kmalloc, uint64_t nth);

/*
 * 0, or -LOAM_EFAULT (logged): every size leads to a class that fits it; the
 * heap's own check, and its window's.
 */
int loam_kmalloc_check(struct loam_kmalloc *kmalloc);

/* -------- a classic heap behind the same door -------- */

struct loam_kmalloc_heap_config {
	struct loam_heap *heap; /* made, empty; kmalloc's from here on */
	/*
	 * The window its pages come from, its owner's context; NULL: all of
	 * the heap's range can be read at any time.
	 */
	struct loam_page_window *window;
};

/*
 * From here on all requests go to the heap, under a lock of LOAM_RANK_HEAP, but
 * for LOAM_DMA ones and those of more than its design can do, which go where
 * they go without it. The contracts above stay but for natural alignment: that
 * is the design's align_bytes. Blocks handed out before, objects of slab caches
 * and what does not come from the heap are freed as ever. Once. -LOAM_EINVAL:
 * there is one already, or none is given.
 */
int loam_kmalloc_use_heap(struct loam_kmalloc *kmalloc,
			  const struct loam_kmalloc_heap_config *config);

/* False, *out untouched: there is no heap. O(blocks) under its lock. */
bool loam_kmalloc_heap_stats(struct loam_kmalloc *kmalloc,
			     struct loam_heap_stats *out);

/*
 * Visits every block of the heap by address, under its lock: visit must not
 * call kmalloc. Stops at non-zero and returns it. 0 if there is no heap.
 */
int loam_kmalloc_heap_walk(struct loam_kmalloc *kmalloc,
			   int (*visit)(void *arg,
					const struct loam_heap_block *block),
			   void *arg);

/*
 * The instance. Lock keys: [c] constant after init, [K] lock, [H] heap_lock.
 * fast_limit is slab_max, or 0 to send every request through the slow path,
 * which fault injection and a classic heap want: the one word that the fast
 * path looks at besides the class. slab_max is LOAM_KMALLOC_SLAB_MAX but where
 * the frames come one by one: then it is the largest class that fits one.
 */
struct loam_kmalloc {
	struct loam_slabs *slabs;   /* [c] */
	size_t fast_limit;          /* [K] */
	struct loam_kspace *kspace; /* [c] or NULL */
	struct loam_frames *frames; /* [c] */
	/* [c] index of the cache for (size + 15) / 16 */
	uint8_t class_of[LOAM_KMALLOC_SLAB_MAX / 16 + 1];
	struct loam_cache *cache[LOAM_KMALLOC_CLASSES]; /* [c] */
	char names[LOAM_KMALLOC_CLASSES][16];           /* [c] of the caches */
	struct loam_lock lock;
	struct loam_kmalloc_stats stats;      /* [K] of large blocks */
	uint64_t fail_countdown;              /* [K] 0: off */
	uint64_t fail_counted;                /* [K] */
	volatile bool fail_armed;             /* [K]; a hint without it */
	size_t slab_max;                      /* [c] */
	struct loam_kmalloc_heap_config heap; /* [c]; [H] what it points at */
	size_t heap_align;                    /* [c] of each of its blocks */
	size_t heap_most;                     /* [c] bytes it can do */
	struct loam_lock heap_lock;
	size_t heap_shifted; /* [H] live blocks that begin behind a record */
};

/*
 * A small block from this CPU's magazine, or NULL: loam_kmalloc() must. For
 * kernels that compile their own kmalloc(size) around it: with the addresses
 * of their one instance known, the fast path has no pointers to load.
 */
static LOAM_ALWAYS_INLINE void *loam_kmalloc_fast(struct loam_kmalloc *kmalloc,
						  struct loam_slabs *slabs,
						  size_t size_bytes)
{
	/* Size 0 has class 0, the code of no cache, whose stack is empty. */
	if (LOAM_UNLIKELY(size_bytes > kmalloc->fast_limit)) {
		return NULL;
	}
	return loam_slab_pop(slabs, kmalloc->class_of[(size_bytes + 15) / 16]);
}

#endif

/* SPDX-License-Identifier: MIT */
/* What the files of libloam-malloc share. */
#ifndef LOAM_MALLOC_HEAP_H
#define LOAM_MALLOC_HEAP_H

#include <loam/kmalloc.h>
#include <loam/mem.h>

#define MALLOC_EXPORT __attribute__((visibility("default")))

/* Windows for large blocks, at most: threads that wait for each other part. */
#define MALLOC_WINDOWS 4u

/* The one instance: the floors as a kernel has them, and where they are. */
struct malloc_heap {
	unsigned char *base; /* physical 0; slabs are in [0, frames_size) */
	size_t frames_size;
	size_t size; /* with the windows for large blocks behind it */
	size_t window_size;
	unsigned windows;
	size_t most; /* bytes of one block at most: what the machine has */
	bool ready;
	bool refuse_bad; /* a bad free ends the program */
	struct loam_frames frames;
	struct loam_slabs slabs;
	struct loam_kmalloc kmalloc;
};
extern struct malloc_heap malloc_heap;

/* -------- memory.c: one range of addresses, and its pages -------- */

/* Brings the floors up; false: the system gives no addresses. Once. */
bool malloc_memory_init(void);

/*
 * Notes that [at, at + size) may have pages from now on. True if none of it
 * had any: it then reads as zeros.
 */
bool malloc_memory_use(const void *at, size_t size);

/*
 * Gives pages that no block uses back to the system: all of them, or, with
 * `part`, half. Returns bytes. For malloc_trim() and when time has passed.
 */
size_t malloc_memory_purge(bool part);

/* Gives back what was idle for long. Leaves errno as it is. */
void malloc_memory_look(void);

/* Bytes of pages that may be there, for mallinfo. */
size_t malloc_memory_resident(void);

/* -------- thread.c: threads as CPUs -------- */

/* Sizes up to this have a byte of their own in each thread's table. */
#define MALLOC_CODES_MAX 1024u

/*
 * What each thread has: its layer, and the code that a size has there. Until
 * the thread has a number it is code 0, whose stack is empty.
 */
struct malloc_thread {
	struct loam_slab_cpu layer;
	uint8_t codes[MALLOC_CODES_MAX + 1];
	uint32_t look_after;   /* so many slow calls */
	uint32_t waits;        /* for a lock that another thread held */
	uint32_t window_waits; /* how much it waits there, lately */
	unsigned window;       /* that its large blocks come from */
};

/* Out of line: what malloc_slow_begin() does the first time. */
void malloc_thread_begin(void);

/* Slow paths look for idle memory one time in this many. */
#define MALLOC_LOOK_CALLS 64u

/*
 * What every slow path begins with: gives the calling thread a layer of its
 * own if it has none and may, and looks for idle memory now and then. errno
 * stays as it is.
 */
static LOAM_ALWAYS_INLINE void malloc_slow_begin(void)
{
	if (LOAM_UNLIKELY(loam_malloc_cpu == LOAM_MALLOC_NOBODY)) {
		malloc_thread_begin();
	}
	if (LOAM_UNLIKELY(--loam_malloc_thread.look_after == 0)) {
		loam_malloc_thread.look_after = MALLOC_LOOK_CALLS;
		malloc_memory_look();
	}
}

/* -------- large.c: ranges of pages -------- */

bool malloc_large_init(void);
void *malloc_large_alloc(size_t size, size_t align, bool zero);
bool malloc_large_free(void *block);
/* Usable bytes, 0: no large block. */
size_t malloc_large_size(const void *block);
/* The block with another size, moved if need be; NULL: no memory. */
void *malloc_large_resize(void *block, size_t old_size, size_t size);
/* True if the address is in a window of large blocks. */
bool malloc_large_owns(const void *address);
/* Calls visit for every range of every window, as loam_arena_walk() does. */
void malloc_large_walk(int (*visit)(void *ctx, uintptr_t start, size_t size,
				    bool free, uintptr_t tag),
		       void *ctx);
/* For fork. */
void malloc_large_lock_all(void);
void malloc_large_unlock_all(void);
void malloc_large_describe(const void *address, char *to, size_t size);
/* Bytes in large blocks. */
size_t malloc_large_used(void);

/* -------- malloc.c, and what the entry points of C++ share with it -------- */

/* A block of a slab from the thread's magazine, or NULL. */
static LOAM_ALWAYS_INLINE void *malloc_fast(size_t size)
{
	struct malloc_thread *thread = &loam_malloc_thread;
	size_t code;
	if (LOAM_LIKELY(size <= MALLOC_CODES_MAX)) {
		code = thread->codes[size];
	} else if (LOAM_LIKELY(size <= LOAM_KMALLOC_SLAB_MAX)) {
		code = malloc_heap.kmalloc.class_of[(size + 15) / 16] +
		       (size_t)thread->layer.base;
	} else {
		return NULL;
	}
	return loam_slab_pop_code(&malloc_heap.slabs, &thread->layer, code);
}

void *malloc_aligned(size_t size, size_t align, const void *caller);

#endif

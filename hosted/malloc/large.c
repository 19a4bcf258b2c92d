/* SPDX-License-Identifier: MIT */
/* Large blocks: ranges of pages in windows of addresses. */

/*
 * A block above LOAM_KMALLOC_SLAB_MAX is a range of the arena, whole pages,
 * best fit, merged with free neighbours when it is freed. Its pages stay: the
 * next block that comes to lie there has them without a fault. Memory that
 * never had pages reads as zeros, which calloc makes use of.
 *
 * A block that grows moves by its pages, not by its bytes: the system hangs
 * them elsewhere (mremap), which costs a page table entry for each, or one for
 * 512. It gets an eighth more addresses than asked, so that the next growth of
 * a buffer that grows by little needs no call at all; pages that are not
 * touched cost nothing.
 *
 * All threads share a window, so that what one has freed another can use; but
 * threads that keep waiting for each other there part: one that waits in more
 * than a call of eight goes on to another window. A block is freed where it
 * lies, by whomever. Where addresses are short there is but one window.
 */
#include "heap.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>

#include <loam/bits.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Fewer bytes are copied. */
#define MOVE_LEAST ((size_t)128 * 1024)

/*
 * What a call that waits counts, one that does not taking off 1; and what of
 * that is enough to leave.
 */
#define WINDOW_WAIT 8u
#define WINDOW_WAITS 64u

static struct loam_arena windows[MALLOC_WINDOWS];
static unsigned windows_begun; /* bits */
static struct loam_host_lock windows_lock;

static size_t large_used;

/* Adds to large_used; modulo the word, to take off too. */
static void large_count(size_t bytes)
{
	if (__libc_single_threaded) {
		large_used += bytes;
	} else {
		__atomic_fetch_add(&large_used, bytes, __ATOMIC_RELAXED);
	}
}

static void *descriptor_page(void *ctx)
{
	(void)ctx;
	loam_pfn_t pfn = loam_frame_alloc(&malloc_heap.frames, 0,
					  LOAM_OWNED_BY(LOAM_OWNER_META));
	return pfn == LOAM_PFN_NONE
		       ? NULL
		       : loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
}

/* -------- windows -------- */

static bool window_is_begun(unsigned n)
{
	return (__atomic_load_n(&windows_begun, __ATOMIC_ACQUIRE) >> n & 1) !=
	       0;
}

/* Makes the window usable, if it is not; false: no memory for that. */
static bool window_begin(unsigned n)
{
	static const struct loam_arena_ops ops = { .alloc_page =
							   descriptor_page };
	uintptr_t base = (uintptr_t)malloc_heap.base + malloc_heap.frames_size;
	if (window_is_begun(n)) {
		return true;
	}
	loam_host_lock(&windows_lock);
	bool begun = window_is_begun(n);
	void *first = begun ? NULL : descriptor_page(NULL);
	if (first != NULL) {
		begun = loam_arena_init(&windows[n], "large blocks",
					base + n * malloc_heap.window_size,
					malloc_heap.window_size, LOAM_PAGE_SIZE,
					&ops, NULL, first) == 0;
		__atomic_fetch_or(&windows_begun, (unsigned)begun << n,
				  __ATOMIC_RELEASE);
	}
	loam_host_unlock(&windows_lock);
	return begun;
}

bool malloc_large_init(void)
{
	return window_begin(0);
}

void malloc_large_walk(int (*visit)(void *ctx, uintptr_t start, size_t size,
				    bool free, uintptr_t tag),
		       void *ctx)
{
	for (unsigned n = 0; n < malloc_heap.windows; n++) {
		if (window_is_begun(n) &&
		    loam_arena_walk(&windows[n], visit, ctx) != 0) {
			return;
		}
	}
}

void malloc_large_lock_all(void)
{
	loam_host_lock(&windows_lock);
	for (unsigned n = 0; n < malloc_heap.windows; n++) {
		if (window_is_begun(n)) {
			loam_host_lock(&windows[n].lock.host);
		}
	}
}

void malloc_large_unlock_all(void)
{
	for (unsigned n = 0; n < malloc_heap.windows; n++) {
		if (window_is_begun(n)) {
			loam_host_unlock(&windows[n].lock.host);
		}
	}
	loam_host_unlock(&windows_lock);
}

/* The window the address lies in, if anything ever was there; or NULL. */
static struct loam_arena *window_of(const void *address)
{
	if (!malloc_large_owns(address)) {
		return NULL;
	}
	size_t offset =
		(size_t)((const unsigned char *)address - malloc_heap.base) -
		malloc_heap.frames_size;
	unsigned n = (unsigned)(offset / malloc_heap.window_size);
	return window_is_begun(n) ? &windows[n] : NULL;
}

/* From now on the thread takes what it needs from the next window. */
static void window_leave(struct malloc_thread *thread)
{
	unsigned n = (thread->window + 1) % malloc_heap.windows;
	thread->window_waits = 0;
	if (window_begin(n)) {
		thread->window = n;
	}
}

/*
 * Waiting is much if more than one call in eight waits, for a while. Of threads
 * that wait for each other one leaves before the rest, which then need not and
 * have the pages that are left.
 */
static void window_count(struct malloc_thread *thread, bool waited)
{
	uint32_t enough = WINDOW_WAITS * (1 + loam_malloc_cpu % MALLOC_WINDOWS);
	if (waited) {
		thread->window_waits += WINDOW_WAIT;
	} else if (thread->window_waits > 0) {
		thread->window_waits--;
	}
	if (LOAM_UNLIKELY(thread->window_waits >= enough)) {
		window_leave(thread);
	}
}

/* A range of the thread's window; of another if it has none. */
static bool window_take(size_t size, size_t align, uintptr_t *start)
{
	struct malloc_thread *thread = &loam_malloc_thread;
	uint32_t waits = thread->waits;
	unsigned n = thread->window;
	int error = loam_arena_alloc(&windows[n], size, align,
				     LOAM_RANGE_KMALLOC, start);
	window_count(thread, thread->waits != waits);
	for (unsigned i = 1; error != 0 && i < malloc_heap.windows; i++) {
		n = n + 1 == malloc_heap.windows ? 0 : n + 1;
		if (window_begin(n)) {
			error = loam_arena_alloc(&windows[n], size, align,
						 LOAM_RANGE_KMALLOC, start);
		}
	}
	return error == 0;
}

/* -------- blocks -------- */

bool malloc_large_owns(const void *address)
{
	return (size_t)((const unsigned char *)address - malloc_heap.base) -
		       malloc_heap.frames_size <
	       malloc_heap.size - malloc_heap.frames_size;
}

size_t malloc_large_used(void)
{
	return __atomic_load_n(&large_used, __ATOMIC_RELAXED);
}

/* A range, and whether it reads as zeros. */
static void *range_take(size_t size, size_t align, bool *zeros)
{
	uintptr_t start;
	if (size > malloc_heap.most ||
	    !window_take(size, align > LOAM_PAGE_SIZE ? align : 0, &start)) {
		return NULL;
	}
	size = loam_size_round_up(size, LOAM_PAGE_SIZE);
	large_count(size);
	unsigned char *block =
		malloc_heap.base + (start - (uintptr_t)malloc_heap.base);
	*zeros = malloc_memory_use(block, size);
	return block;
}

void *malloc_large_alloc(size_t size, size_t align, bool zero)
{
	bool zeros;
	void *block = range_take(size, align, &zeros);
	if (block != NULL && zero && !zeros) {
		memset(block, 0, size);
	}
	return block;
}

bool malloc_large_free(void *block)
{
	size_t size;
	struct loam_arena *window = window_of(block);
	if (window == NULL ||
	    loam_arena_free(window, (uintptr_t)block, &size) != 0) {
		return false;
	}
	large_count((size_t)0 - size);
	return true;
}

size_t malloc_large_size(const void *block)
{
	size_t size;
	uintptr_t tag;
	struct loam_arena *window = window_of(block);
	return window != NULL && loam_arena_find_exact(window, (uintptr_t)block,
						       &size, &tag) == 0
		       ? size
		       : 0;
}

/* Moves contents by pages if that works, else by bytes. */
static void move_pages(void *to, void *from, size_t size)
{
	if (size >= MOVE_LEAST &&
	    mremap(from, size, size,
		   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   to) == to) {
		return;
	}
	memcpy(to, from, size);
}

/* Another size in place, if what lies behind is free. */
static bool resize_here(void *block, size_t old_size, size_t size)
{
	size = loam_size_round_up(size, LOAM_PAGE_SIZE);
	if (size > malloc_heap.most ||
	    loam_arena_resize(window_of(block), (uintptr_t)block, size) != 0) {
		return false;
	}
	large_count(size - old_size);
	if (size > old_size) {
		(void)malloc_memory_use((unsigned char *)block + old_size,
					size - old_size);
	}
	return true;
}

void *malloc_large_resize(void *block, size_t old_size, size_t size)
{
	bool zeros;
	if (size > PTRDIFF_MAX) {
		return NULL;
	}
	if (resize_here(block, old_size, size)) {
		return block;
	}
	if (size <= old_size) {
		return block;
	}
	void *moved = range_take(size + size / 8, 1, &zeros);
	if (moved == NULL) {
		moved = range_take(size, 1, &zeros);
	}
	if (moved == NULL) {
		return NULL;
	}
	move_pages(moved, block, old_size);
	malloc_large_free(block);
	return moved;
}

void malloc_large_describe(const void *address, char *to, size_t size)
{
	uintptr_t start;
	uintptr_t tag;
	size_t whole;
	struct loam_arena *window = window_of(address);
	if (!malloc_heap.ready) {
		loam_snprintf(to, size, "nothing was allocated yet");
	} else if (!malloc_large_owns(address)) {
		loam_kmalloc_describe(&malloc_heap.kmalloc, address, to, size);
	} else if (window != NULL &&
		   loam_arena_find(window, (uintptr_t)address, &start, &whole,
				   &tag) == 0) {
		loam_snprintf(to, size, "byte %zu of a large block at 0x%zx",
			      (size_t)((uintptr_t)address - start),
			      (size_t)start);
	} else {
		loam_snprintf(to, size, "no large block is there, any more");
	}
}

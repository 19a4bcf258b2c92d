/* SPDX-License-Identifier: MIT */
/* Threads in the place of CPUs: their layers, their end, locks and fork. */

/*
 * A thread's layer is thread-local memory, so the fast paths find it in one
 * step. It begins as nobody's: every stack is empty and full at once, so the
 * thread's first call takes the slow path, and gets a number there, which is
 * what the floors know as a CPU. Numbers are given out lowest first and come
 * back when a thread ends; with the number goes the group (number % 3).
 *
 * More threads than there are numbers, and a thread after its end has begun
 * (destructors of thread-local data that free), stay nobody: then each call
 * works on the slabs under their lock.
 *
 * fork copies one thread, and the locks as they are. So all of them are taken
 * before, in order, and given back after, on both sides. In the child the
 * layers of the threads that are no more are emptied into the slabs; what one
 * of them held in a register at that moment is lost.
 */
#include "heap.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <loam/bits.h>

/* The stack of a thread that is nobody yet: NULL, and where it ends. */
#define NOTHING (&malloc_heap.slabs.nothing[1])

LOAM_MALLOC_THREAD struct malloc_thread loam_malloc_thread = {
	.layer.top = { [0 ... LOAM_SLAB_CODES - 1] = NOTHING },
	.layer.limit = { [0 ... LOAM_SLAB_CODES - 1] = NOTHING },
	.look_after = MALLOC_LOOK_CALLS,
};
LOAM_STATIC_ASSERT(offsetof(struct malloc_thread, layer) == 0,
		   "LOAM_SLAB_CPU() takes one for the other");
LOAM_MALLOC_THREAD unsigned loam_malloc_cpu = LOAM_MALLOC_NOBODY;
static _Thread_local bool thread_ends;

static struct loam_host_lock thread_lock;
static uint32_t number_map[LOAM_BITMAP_WORDS(LOAM_MAX_CPUS)]; /* free */
static pthread_key_t thread_key;
static bool thread_key_made;

/* -------- locks -------- */

#define LOCK_FREE 0u
#define LOCK_HELD 1u
#define LOCK_WAITED 2u
#define LOCK_SPINS 100u

static void lock_futex(uint32_t *word, int operation, uint32_t value)
{
	int saved = errno;
	syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
	errno = saved;
}

static LOAM_NOINLINE void lock_wait(uint32_t *word)
{
	loam_malloc_thread.waits++;
	for (unsigned i = 0; i < LOCK_SPINS; i++) {
		uint32_t expected = LOCK_FREE;
		__builtin_ia32_pause();
		if (__atomic_load_n(word, __ATOMIC_RELAXED) == LOCK_FREE &&
		    __atomic_compare_exchange_n(word, &expected, LOCK_HELD,
						false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED)) {
			return;
		}
	}
	while (__atomic_exchange_n(word, LOCK_WAITED, __ATOMIC_ACQUIRE) !=
	       LOCK_FREE) {
		lock_futex(word, FUTEX_WAIT_PRIVATE, LOCK_WAITED);
	}
}

void loam_host_lock(struct loam_host_lock *lock)
{
	uint32_t *word = (uint32_t *)&lock->word[0];
	uint32_t expected = LOCK_FREE;
	if (__libc_single_threaded) {
		*word = LOCK_HELD;
		return;
	}
	if (!__atomic_compare_exchange_n(word, &expected, LOCK_HELD, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		lock_wait(word);
	}
}

void loam_host_unlock(struct loam_host_lock *lock)
{
	uint32_t *word = (uint32_t *)&lock->word[0];
	if (__libc_single_threaded) {
		*word = LOCK_FREE;
		return;
	}
	if (__atomic_exchange_n(word, LOCK_FREE, __ATOMIC_RELEASE) ==
	    LOCK_WAITED) {
		lock_futex(word, FUTEX_WAKE_PRIVATE, 1);
	}
}

/* -------- beginning and end -------- */

static void thread_end(void *arg)
{
	(void)arg;
	unsigned number = loam_malloc_cpu;
	if (number == LOAM_MALLOC_NOBODY) {
		return;
	}
	thread_ends = true;
	loam_slab_cpu_stop(&malloc_heap.slabs, number);
	loam_frame_drain_cpu(&malloc_heap.frames, number);
	loam_malloc_cpu = LOAM_MALLOC_NOBODY;
	loam_malloc_thread.layer.base = 0;
	loam_host_lock(&thread_lock);
	loam_bitmap_set(number_map, number);
	loam_host_unlock(&thread_lock);
}

static unsigned number_take(void)
{
	loam_host_lock(&thread_lock);
	size_t number = loam_bitmap_find(number_map, LOAM_MALLOC_NOBODY, 0);
	if (number < LOAM_MALLOC_NOBODY) {
		loam_bitmap_clear(number_map, number);
	}
	loam_host_unlock(&thread_lock);
	return (unsigned)number;
}

/* The first call of all, before there is a second thread. */
static void heap_start(void)
{
	loam_host_lock(&thread_lock);
	if (!malloc_heap.ready) {
		loam_bitmap_set_range(number_map, 0, LOAM_MALLOC_NOBODY);
		malloc_heap.frames.cpus[LOAM_MALLOC_NOBODY].busy = 1;
		malloc_heap.ready = malloc_memory_init();
		if (!malloc_heap.ready) {
			loam_host_panic("loam: no address space for malloc");
		}
	}
	loam_host_unlock(&thread_lock);
}

static void codes_fill(struct malloc_thread *thread)
{
	const uint8_t *class_of = malloc_heap.kmalloc.class_of;
	unsigned base = thread->layer.base;
	thread->codes[0] = (uint8_t)(base + class_of[1]);
	for (unsigned i = 1; i <= MALLOC_CODES_MAX / 16; i++) {
		memset(&thread->codes[i * 16 - 15], (int)(base + class_of[i]),
		       16);
	}
}

static void thread_begin(void)
{
	if (!__atomic_load_n(&malloc_heap.ready, __ATOMIC_ACQUIRE)) {
		heap_start();
	}
	if (thread_ends) {
		return;
	}
	unsigned number = number_take();
	if (number == LOAM_MALLOC_NOBODY) {
		return;
	}
	struct malloc_thread *thread = &loam_malloc_thread;
	loam_slab_cpu_start(&malloc_heap.slabs, number, &thread->layer,
			    number % LOAM_SLAB_GROUPS);
	codes_fill(thread);
	loam_malloc_cpu = number;
	if (thread_key_made) {
		pthread_setspecific(thread_key, thread);
	}
}

void malloc_thread_begin(void)
{
	int saved = errno;
	thread_begin();
	errno = saved;
}

/* -------- fork -------- */

static void fork_prepare(void)
{
	loam_host_lock(&thread_lock);
	loam_host_lock(&malloc_heap.kmalloc.lock.host);
	loam_slab_lock_all(&malloc_heap.slabs);
	malloc_large_lock_all();
	loam_host_lock(&malloc_heap.frames.lock.host);
	for (unsigned z = LOAM_ZONE_COUNT; z-- > 0;) {
		loam_host_lock(&malloc_heap.frames.zones[z].lock.host);
	}
}

static void fork_parent(void)
{
	for (unsigned z = 0; z < LOAM_ZONE_COUNT; z++) {
		loam_host_unlock(&malloc_heap.frames.zones[z].lock.host);
	}
	loam_host_unlock(&malloc_heap.frames.lock.host);
	malloc_large_unlock_all();
	loam_slab_unlock_all(&malloc_heap.slabs);
	loam_host_unlock(&malloc_heap.kmalloc.lock.host);
	loam_host_unlock(&thread_lock);
}

static void fork_child(void)
{
	fork_parent();
	for (unsigned number = 0; number < LOAM_MALLOC_NOBODY; number++) {
		struct loam_frame_cpu *cpu = &malloc_heap.frames.cpus[number];
		if (number == loam_malloc_cpu ||
		    loam_bitmap_test(number_map, number)) {
			continue;
		}
		if (malloc_heap.slabs.cpus[number] != NULL) {
			loam_slab_cpu_stop(&malloc_heap.slabs, number);
		}
		if (cpu->busy == 0) {
			loam_frame_drain_cpu(&malloc_heap.frames, number);
		}
		loam_bitmap_set(number_map, number);
	}
}

__attribute__((constructor)) static void thread_init(void)
{
	malloc_thread_begin();
	thread_key_made = pthread_key_create(&thread_key, thread_end) == 0;
	if (thread_key_made) {
		pthread_setspecific(thread_key, &loam_malloc_thread);
	}
	pthread_atfork(fork_prepare, fork_parent, fork_child);
}

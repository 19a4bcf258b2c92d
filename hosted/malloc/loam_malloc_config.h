/* SPDX-License-Identifier: MIT */
/* The library's configuration as malloc: threads take the place of CPUs. */
#ifndef LOAM_MALLOC_CONFIG_H
#define LOAM_MALLOC_CONFIG_H

#include <stddef.h>

/* The program has a C library. */
#define LOAM_HAVE_LIBC 1

/* Threads that have a layer of their own. The last number is nobody's. */
#define LOAM_MAX_CPUS 2048
#define LOAM_MALLOC_NOBODY (LOAM_MAX_CPUS - 1u)

#define LOAM_INSTANCES_ZEROED 1

/* One piece of address space. */
#define LOAM_FRAME_AREAS 1u

/* A signal handler may not call malloc, so nothing interrupts the layer. */
#define LOAM_CPU_INTERRUPTS 0

#define LOAM_SLAB_TOP_STORED 1

/* A thread's layer is in its own memory, beside the C library's. */
#define LOAM_SLAB_CPUS 1u
#define LOAM_SLAB_CPU(slabs, id)                                               \
	((void)(slabs), (void)(id),                                            \
	 (struct loam_slab_cpu *)(void *)&loam_malloc_thread)

/*
 * Where memory and shadow are, in variables of their own: each is an operand
 * of one instruction. An address's byte of the shadow is at address / 16
 * itself, so that malloc need not even look where.
 */
#define LOAM_MALLOC_HIDDEN __attribute__((visibility("hidden")))
extern LOAM_MALLOC_HIDDEN size_t loam_malloc_direct;
extern LOAM_MALLOC_HIDDEN size_t loam_malloc_granules;
extern LOAM_MALLOC_HIDDEN unsigned char *loam_malloc_shadow;
#define LOAM_SLAB_DIRECT(slabs) ((void)(slabs), loam_malloc_direct)
#define LOAM_SLAB_SHADOW(slabs) ((void)(slabs), loam_malloc_shadow)
#define LOAM_SLAB_GRANULES(slabs) ((void)(slabs), loam_malloc_granules)
#define LOAM_SLAB_SHADOW_AT(slabs, object)                                     \
	((void)(slabs), (uint8_t *)((size_t)(object) >> 4))

/* Three groups: up to so many threads never share a line by chance. */
#define LOAM_CACHE_MAX 85u
#define LOAM_SLAB_GROUPS 3u

/* More memory than a small kernel has. */
#define LOAM_MAGAZINE_SCALE 2u
#define LOAM_MAGAZINE_SCALE_LARGE 6u
#define LOAM_DEPOT_KEEP_BYTES (256u * 1024u)
#define LOAM_SLAB_KEEP_BYTES (64u * 1024u)
#define LOAM_SLAB_ORDER_LOW 3u
#define LOAM_SLAB_SETTLE_BYTES (128u * 1024u)
#define LOAM_KMALLOC_FINE_MAX 256u
#define LOAM_KMALLOC_SLAB_MAX 32768u
#define LOAM_KMALLOC_EIGHTHS_MAX 8192u

#define LOAM_MALLOC_THREAD                                                     \
	_Thread_local __attribute__((tls_model("initial-exec"),                \
				     visibility("hidden")))

/* heap.h has it; the layer comes first. */
struct malloc_thread;
extern LOAM_MALLOC_THREAD struct malloc_thread loam_malloc_thread;
extern LOAM_MALLOC_THREAD unsigned loam_malloc_cpu;

#define LOAM_CPU_ENTER_DEFINED 1
static inline unsigned loam_cpu_enter(void)
{
	return loam_malloc_cpu;
}

static inline void loam_cpu_leave(unsigned cpu)
{
	(void)cpu;
}

#endif

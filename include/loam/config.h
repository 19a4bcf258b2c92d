/* SPDX-License-Identifier: MIT */
/* Build-time configuration: the few constants and inlines a host may set. */
#ifndef LOAM_CONFIG_H
#define LOAM_CONFIG_H

/*
 * A host kernel replaces any of this by defining LOAM_CONFIG_FILE to the
 * name of its own header, which is read first.  Everything below is a default.
 */
#ifdef LOAM_CONFIG_FILE
#include LOAM_CONFIG_FILE
#endif

/* Most CPUs that may call into Loam at once. Per-CPU arrays have this size. */
#ifndef LOAM_MAX_CPUS
#define LOAM_MAX_CPUS 16
#endif

/* 1: LOAM_ASSERT is compiled in (proofs, lock ranks). */
#ifndef LOAM_DEBUG
#define LOAM_DEBUG 0
#endif

/* 1: LOAM_ASSERT_SLOW is compiled in (whole-structure walks). */
#ifndef LOAM_DEBUG_SLOW
#define LOAM_DEBUG_SLOW 0
#endif

/*
 * 1: the program has a C library, whose memset, memcpy, memmove and memcmp
 * stay in force (and with them the sanitizers that watch them). Loam's own are
 * then defined as loam_memset and so on, where only their tests call them.
 */
#ifndef LOAM_HAVE_LIBC
#define LOAM_HAVE_LIBC 0
#endif

/* The name under which src/base/memory.c defines memset and its kin. */
#if LOAM_HAVE_LIBC
#define LOAM_MEMORY_NAME(name) loam_##name
#else
#define LOAM_MEMORY_NAME(name) name
#endif

/*
 * The way to the current CPU on the hot path.
 *
 * loam_cpu_enter() returns the index of the CPU that runs the caller, below
 * LOAM_MAX_CPUS, and keeps the caller on that CPU until loam_cpu_leave().
 * Interrupts may still arrive: the per-CPU layers guard themselves against
 * them with a busy flag.  A kernel that never moves a thread between CPUs
 * while it is in kernel mode needs nothing but the index; a preemptible one
 * raises its preemption count.  The default is one CPU.
 */
#ifndef LOAM_CPU_ENTER_DEFINED
static inline unsigned loam_cpu_enter(void)
{
	return 0;
}

static inline void loam_cpu_leave(unsigned cpu)
{
	(void)cpu;
}
#endif

/*
 * Where the direct map and the slab floor's shadow are. A kernel that fixes
 * these two addresses at build time says so, and its fast paths then have them
 * as constants; loam_slab_init() verifies them.
 */
#ifndef LOAM_SLAB_DIRECT
#define LOAM_SLAB_DIRECT(slabs) ((slabs)->direct)
#endif
#ifndef LOAM_SLAB_SHADOW
#define LOAM_SLAB_SHADOW(slabs) ((slabs)->shadow)
#endif

#endif

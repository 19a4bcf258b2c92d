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

/*
 * Most areas of memory that the frame floor keeps apart: nodes, and parts of
 * one with a hole of more than 16 GiB in between. At most 80. With 1 all memory
 * is one, and nothing of what areas need is there.
 */
#ifndef LOAM_FRAME_AREAS
#define LOAM_FRAME_AREAS 8u
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
 * 1: instances, and all memory that is handed to them, read as zeros when they
 * are started: what CPUs have of them, and metadata of frames, need not be
 * cleared, nor touched, before it is used.
 */
#ifndef LOAM_INSTANCES_ZEROED
#define LOAM_INSTANCES_ZEROED 0
#endif

/*
 * 1: what runs on a CPU may be interrupted by something that allocates, so the
 * fast paths of the slab floor look at a busy flag. 0: never.
 */
#ifndef LOAM_CPU_INTERRUPTS
#define LOAM_CPU_INTERRUPTS 1
#endif

/*
 * 1: what interrupts the fast paths of the slab and frame floors has them start
 * again, so that they need no flag, and their slow paths keep interrupts out.
 * The host then defines, as functions or macros:
 *
 *	void *LOAM_SLAB_TAKE(size_t code)
 *	bool LOAM_SLAB_GIVE(size_t code, void *object, uint8_t *shadow)
 *	loam_pfn_t LOAM_FRAME_TAKE(struct loam_frame_cpu *cpu)
 *	bool LOAM_FRAME_GIVE(struct loam_frame_cpu *cpu, loam_pfn_t pfn,
 *			     uint32_t *tag)
 *
 * which do on the running CPU's stacks what loam_slab_take() and the others of
 * these names do (slab_struct.h, frame_fast.h), in one step for whatever runs
 * on this CPU; a CPU's stacks are never used by two at once. And
 *
 *	uintptr_t loam_cpu_quiet(void)
 *	void loam_cpu_unquiet(uintptr_t state)
 *
 * which keep this CPU's interrupts out, and let them in again if they were.
 */
#ifndef LOAM_CPU_RESTARTS
#define LOAM_CPU_RESTARTS 0
#endif
#if !LOAM_CPU_RESTARTS
static inline uintptr_t loam_cpu_quiet(void)
{
	return 0;
}

static inline void loam_cpu_unquiet(uintptr_t state)
{
	(void)state;
}
#define LOAM_SLAB_TAKE(code) ((void)(code), NULL)
#define LOAM_SLAB_GIVE(code, object, shadow)                                   \
	((void)(code), (void)(object), (void)(shadow), false)
#define LOAM_FRAME_TAKE(cpu) ((void)(cpu), LOAM_PFN_NONE)
#define LOAM_FRAME_GIVE(cpu, pfn, tag)                                         \
	((void)(cpu), (void)(pfn), (void)(tag), false)
#endif

/*
 * How the fast paths of the slab floor move a stack's top: 1, by a store of
 * what they have in a register, which the next call sees soonest; 0, by an
 * addition in memory, which needs a register and an instruction less.
 */
#ifndef LOAM_SLAB_TOP_STORED
#define LOAM_SLAB_TOP_STORED 0
#endif

/*
 * The slab floor's structure of a CPU, for the fast paths: `id` is what
 * loam_cpu_enter() said. The instance has room for the first LOAM_SLAB_CPUS;
 * a host whose own per-CPU memory serves better says 1 here, and gives it to
 * loam_slab_cpu_start().
 */
#ifndef LOAM_SLAB_CPU
#define LOAM_SLAB_CPU(slabs, id) (&(slabs)->cpu[id])
#endif
#ifndef LOAM_SLAB_CPUS
#define LOAM_SLAB_CPUS LOAM_MAX_CPUS
#endif
/* Where loam_slab_init() starts those of the first LOAM_SLAB_CPUS. */
#ifndef LOAM_SLAB_CPU_PLACE
#define LOAM_SLAB_CPU_PLACE(slabs, id) (&(slabs)->cpu[id])
#endif

/* The same of the frame floor: where the fast paths find a CPU's frames. */
#ifndef LOAM_FRAME_CPU
#define LOAM_FRAME_CPU(frames, id) (&(frames)->cpus[id])
#endif

/*
 * Most caches of one instance, and one; and into how many groups CPUs are
 * divided, whose objects the slab floor keeps apart. The product is at most
 * 256: a byte holds both.
 */
#ifndef LOAM_CACHE_MAX
#define LOAM_CACHE_MAX 128u
#endif
#ifndef LOAM_SLAB_GROUPS
#define LOAM_SLAB_GROUPS 1u
#endif

/*
 * The size classes of kmalloc: every multiple of 16 up to the first of these
 * sizes, then eight for each doubling up to the last, and four up to the
 * second. Powers of two, the first from 64 (from 128 if there are eights), the
 * second up to 32768.
 */
#ifndef LOAM_KMALLOC_FINE_MAX
#define LOAM_KMALLOC_FINE_MAX 64u
#endif
#ifndef LOAM_KMALLOC_SLAB_MAX
#define LOAM_KMALLOC_SLAB_MAX 8192u
#endif
#ifndef LOAM_KMALLOC_EIGHTHS_MAX
#define LOAM_KMALLOC_EIGHTHS_MAX LOAM_KMALLOC_FINE_MAX
#endif

/*
 * Magazines hold so many times the objects that suit a small machine: of up to
 * 2 KiB, and of more.
 */
#ifndef LOAM_MAGAZINE_SCALE
#define LOAM_MAGAZINE_SCALE 1u
#endif
#ifndef LOAM_MAGAZINE_SCALE_LARGE
#define LOAM_MAGAZINE_SCALE_LARGE LOAM_MAGAZINE_SCALE
#endif

/*
 * Bytes, for each cache, that its depot keeps in full magazines and its slabs
 * in empty slabs, however much is allocated; and the order slabs have if
 * nothing else speaks for another.
 */
#ifndef LOAM_DEPOT_KEEP_BYTES
#define LOAM_DEPOT_KEEP_BYTES 65536u
#endif
#ifndef LOAM_SLAB_KEEP_BYTES
#define LOAM_SLAB_KEEP_BYTES 32768u
#endif
#ifndef LOAM_SLAB_ORDER_LOW
#define LOAM_SLAB_ORDER_LOW 0u
#endif

/*
 * For hosts whose memory grows with need: slabs that grew by an eighth and so
 * many bytes settle. Magazines, depots and empty slabs of caches that were not
 * asked meanwhile are given back before there is a new slab. 0: never.
 */
#ifndef LOAM_SLAB_SETTLE_BYTES
#define LOAM_SLAB_SETTLE_BYTES 0u
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
#ifndef LOAM_SLAB_SHADOW_AT
#define LOAM_SLAB_SHADOW_AT(slabs, object)                                     \
	(&LOAM_SLAB_SHADOW(                                                    \
		slabs)[((uintptr_t)(object)-LOAM_SLAB_DIRECT(slabs)) >> 4])
#endif
#ifndef LOAM_SLAB_GRANULES
#define LOAM_SLAB_GRANULES(slabs) ((slabs)->granules)
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* What the running CPU finds through its segment register, by one load. */
#ifndef KERNEL_X86_CPU_LOCAL_H
#define KERNEL_X86_CPU_LOCAL_H

#include <stddef.h>
#include <stdint.h>

#include "restart.h"

struct cpu;
struct loam_frame_cpu;
struct loam_slab_cpu;
struct task;

/*
 * The first bytes of each CPU's struct cpu (../cpus.h), at whose address the
 * base of FS lies on i386, and that of GS on x86-64. The library's fast paths
 * find the CPU's layers here, so that they write no line that another CPU
 * touches. traps.asm knows the places of the two stacks.
 */
struct cpu_local {
	struct cpu *self;
	uintptr_t number; /* what loam_cpu_enter() returns */
	struct loam_slab_cpu *slabs;
	struct loam_frame_cpu *frames;
	struct task *running;
	uintptr_t kernel_stack; /* of the next call of ring 3 (x86-64) */
	uintptr_t user_stack;   /* for the moment between two stacks */
	uintptr_t locks;        /* that it took so far; wraps */
};

#ifdef __x86_64__
#define CPU_LOCAL_SEGMENT "gs"
#define CPU_INC_HALF_WORD "incl" /* of a uintptr_t, the lower half */
#define CPU_INC_WORD "incq"
#else
#define CPU_LOCAL_SEGMENT "fs"
#define CPU_INC_HALF_WORD "incw"
#define CPU_INC_WORD "incl"
#endif

#define CPU_LOCAL_INTERRUPTS 0x200u /* of the flags: interrupts are let in */

/*
 * Stands for what a change of CPU changes. A task goes to another CPU only in
 * a call, while it gives its own up, never where it is preempted in the kernel
 * (../task.c). So a load may be done once for several uses, and not at all if
 * none is left, but never moves across a call or a compiler barrier: that is
 * what a load of plain memory is allowed, and this is the memory.
 */
extern char cpu_local_changes;

#define CPU_LOCAL_LOAD(type, name, field)                                      \
	static inline type name(void)                                          \
	{                                                                      \
		type value;                                                    \
		__asm__("mov %%" CPU_LOCAL_SEGMENT ":%c1, %0"                  \
			: "=r"(value)                                          \
			: "i"(offsetof(struct cpu_local, field)),              \
			  "m"(cpu_local_changes));                             \
		return value;                                                  \
	}

CPU_LOCAL_LOAD(struct cpu *, cpu_this, self)
CPU_LOCAL_LOAD(uintptr_t, cpu_number, number)
CPU_LOCAL_LOAD(struct loam_slab_cpu *, cpu_slabs, slabs)
CPU_LOCAL_LOAD(struct loam_frame_cpu *, cpu_frames, frames)
CPU_LOCAL_LOAD(struct task *, cpu_running, running)

/* One more lock. */
static inline void cpu_count_lock(void)
{
	__asm__ volatile(CPU_INC_WORD " %%" CPU_LOCAL_SEGMENT ":%c0"
			 :
			 : "i"(offsetof(struct cpu_local, locks))
			 : "memory", "cc");
}

/* ---- what of it the library's configuration is, in both architectures ---- */

#define LOAM_MAX_CPUS 16

#define LOAM_CPU_ENTER_DEFINED 1
static inline unsigned loam_cpu_enter(void)
{
	return (unsigned)cpu_number();
}

static inline void loam_cpu_leave(unsigned cpu)
{
	(void)cpu;
}

/*
 * A CPU's layer of the slab floor lies in its struct cpu, so many bytes behind
 * the segment's base. The instance starts CPU 0's, the kernel the others'.
 */
#define CPU_SLABS_OFFSET 64u
#define LOAM_SLAB_CPUS 1
#define LOAM_SLAB_CPU(slabs, id) ((void)(slabs), (void)(id), cpu_slabs())
#define LOAM_SLAB_CPU_PLACE(slabs, id) LOAM_SLAB_CPU(slabs, id)
#define LOAM_FRAME_CPU(frames, id) ((void)(frames), (void)(id), cpu_frames())

/* The fast paths are sequences of restart.h's. */
#define LOAM_CPU_RESTARTS 1
#define LOAM_SLAB_TAKE(code)                                                   \
	restart_take_object(                                                   \
		CPU_SLABS_OFFSET + offsetof(struct loam_slab_cpu, top), code)
#define LOAM_SLAB_GIVE(code, object, shadow)                                   \
	restart_give_object(                                                   \
		CPU_SLABS_OFFSET + offsetof(struct loam_slab_cpu, top),        \
		CPU_SLABS_OFFSET + offsetof(struct loam_slab_cpu, limit),      \
		code, object, shadow)
#define CPU_FRAME_STACK(field)                                                 \
	offsetof(struct loam_frame_cpu, locals[0].stack.field)
#define LOAM_FRAME_TAKE(cpu)                                                   \
	restart_take_frame(cpu, CPU_FRAME_STACK(count),                        \
			   CPU_FRAME_STACK(frames), LOAM_PFN_NONE)
#define LOAM_FRAME_GIVE(cpu, pfn, tag)                                         \
	restart_give_frame(cpu, CPU_FRAME_STACK(count),                        \
			   CPU_FRAME_STACK(frames), LOAM_STACK_FRAMES, pfn,    \
			   tag, LOAM_TAG_USED, LOAM_TAG_CACHED)

/* Slow paths keep interrupts out: returns whether they were let in. */
static inline uintptr_t loam_cpu_quiet(void)
{
	uintptr_t flags;

	__asm__ volatile("pushf\n\tpop %0\n\tcli" : "=r"(flags) : : "memory");
	return flags & CPU_LOCAL_INTERRUPTS;
}

static inline void loam_cpu_unquiet(uintptr_t state)
{
	if (state != 0) {
		__asm__ volatile("sti" : : : "memory");
	}
}

#endif

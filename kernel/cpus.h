/* SPDX-License-Identifier: MIT */
/* The machine's CPUs: what each has of its own, and which are at work. */
#ifndef KERNEL_CPUS_H
#define KERNEL_CPUS_H

#include <loam/list.h>
#include <loam/slab.h>

#include "gdt.h"
#include "task.h"
#include "trap.h"

#define CPUS_MOST LOAM_MAX_CPUS

enum cpu_state {
	CPU_ABSENT,  /* no such CPU, or not started yet */
	CPU_ONLINE,  /* runs tasks; the only ones in cpus_online() */
	CPU_LEAVING, /* goes offline when what it must finish is finished */
	CPU_OFFLINE, /* asleep, holds nothing, can be had back */
	CPU_DEAD,    /* was asked to start and did not */
};

/* What a CPU asks the others to forget, and who has not yet (shootdown.c). */
struct cpu_shootdown {
	uint32_t waiting;   /* bit n: CPU n has still to do it */
	uint32_t signalled; /* an interrupt is under way to this CPU */
	loam_phys_t root;
	uintptr_t virt;
	size_t size;
};

struct cpu_counters {
	uint64_t ticks;       /* of its timer */
	uint64_t switches;    /* to another task */
	uint64_t reschedules; /* interrupts that told it of work */
	uint64_t requests;    /* shootdowns it asked others for */
	uint64_t interrupts;  /* of these: interrupts it sent */
	uint64_t joined;      /* ... and CPUs that had one under way already */
	uint64_t spared;      /* ... and CPUs that slept: they do it later */
	uint64_t served;      /* requests of others it did */
	uint64_t pages;       /* ... by single pages */
	uint64_t full;        /* ... by forgetting everything, many at once */
	uint64_t left;        /* spaces it left, being lazy, instead */
	uint64_t waited;      /* for locks that another CPU had */
};

/*
 * Fields: t under task_lock(); o the CPU's own, interrupts off; a atomic; c
 * constant since it was started.
 */
struct cpu {
	struct cpu_local local; /* first: the segment's base points here */
	struct loam_slab_cpu slabs __attribute__((aligned(64)));
	unsigned number;               /* c */
	uint32_t apic_id;              /* c */
	unsigned node;                 /* c: of memory */
	volatile enum cpu_state state; /* t */

	/* task.c */
	struct loam_list ready; /* t: tasks that must go on here */
	unsigned bound;         /* t: tasks that task_bind() gave to it */
	bool turn;              /* t: whose queue comes next */
	struct task *idle;      /* c */
	struct task *previous;  /* t: during a switch: who was left */
	unsigned lock_depth;    /* o: of task_lock() */
	uint32_t kicks; /* o: CPUs to be told, once it has given it back */
	struct loam_proc *space;      /* o: loaded; NULL: the kernel's tables */
	volatile loam_phys_t root;    /* a: the same, for others to look at */
	volatile loam_phys_t loading; /* a: about to be */
	volatile bool wanted;         /* somebody else should run */
	volatile unsigned kept;       /* the running task's own */
	bool timer;                   /* o: its own timer is on */
	unsigned put_off; /* o: in a row, what ticks wanted the lock for */

	/* fpu.c */
	struct task *fpu_owner; /* o: whose registers these are, or NULL */
	bool fpu_trapping;      /* o: CR0.TS is set */

	struct cpu_shootdown shootdown; /* a */
	uint32_t asleep;                /* a: until an interrupt, idle */
	uint32_t stale; /* a: before anything else it forgets everything */
	void (*volatile call)(void *argument); /* a: cpus_call() */
	void *call_argument;

	/* stop.c: where an interrupt that stops everything found it */
	const struct trap_frame *volatile stopped; /* a */

	struct cpu_counters counters; /* o */
	struct gdt_cpu gdt;           /* o */
};

LOAM_STATIC_ASSERT(offsetof(struct cpu, local) == 0,
		   "the base of the segment is a struct cpu's");
LOAM_STATIC_ASSERT(offsetof(struct cpu, slabs) == CPU_SLABS_OFFSET,
		   "where the fast paths look for it");

extern struct cpu cpus[CPUS_MOST];

/* How many may ever be online: constant once the others were started. */
extern unsigned cpus_count;

/* Bit n: CPU n is online. Changes under task_lock(). */
extern volatile uint32_t cpus_online_mask;

static inline uint32_t cpus_online(void)
{
	return __atomic_load_n(&cpus_online_mask, __ATOMIC_ACQUIRE);
}

/* All that are online, but for the one that runs this. */
static inline uint32_t cpus_others(void)
{
	return cpus_online() & ~(1u << cpu_number());
}

/* For each CPU in a mask that is used up: while (cpus_next(&mask, &cpu)). */
static inline bool cpus_next(uint32_t *mask, struct cpu **cpu)
{
	if (*mask == 0) {
		return false;
	}
	*cpu = &cpus[__builtin_ctz(*mask)];
	*mask &= *mask - 1;
	return true;
}

/* Before anything else: makes the caller CPU 0. */
void cpus_begin(void);

/*
 * Finds the others by the firmware's tables and starts them, which says so on
 * the console. Those that do not come within a second are left out. Once,
 * when tasks can run and before boot memory is given back.
 */
void cpus_start(void);

/*
 * Takes a CPU offline, with all that it holds of slabs and frames given back;
 * or has it back. -LOAM_ENOENT: there is no such CPU; -LOAM_EBUSY: CPU 0, or
 * tasks are bound to it; -LOAM_EINVAL: it is so already. Context: a task.
 */
int cpus_offline(unsigned number);
int cpus_bring_online(unsigned number);

/*
 * Has every CPU that is online run fn(argument) in an interrupt, this one last,
 * and returns when all have. Interrupts are on.
 */
void cpus_call(void (*fn)(void *argument), void *argument);

/* Gives all that CPUs hold of slabs and frames back to everybody. */
void cpus_drain(void);

/* The list: number, APIC id, state, ticks, what it runs, counters. */
void cpus_report(void);

/* -------- between the parts -------- */

/* Does what cpus_call() asks of this CPU: from its interrupt. */
void cpus_answer(void);

/* The calling CPU, which is leaving and idle, sleeps until it is had back. */
void cpus_park(void);

/* Tells a CPU to look at its queue, from any context. */
void cpus_kick(struct cpu *cpu);

/*
 * Does what other CPUs wait for this one to do: to be called in every loop that
 * waits for another CPU with interrupts off. Cost when nothing is wanted: one
 * load.
 */
void cpus_serve(void);

/* Forgets everything translated, whoever asked meanwhile (shootdown.c). */
void cpus_flush_all(void);

/*
 * Waits for an interrupt, idle. Interrupts are off before and after. The CPU is
 * not asked to forget anything meanwhile, and does so when it wakes:
 * cpus_awake() is the first thing in every interrupt that may wake it.
 */
void cpus_sleep(void);
void cpus_awake(void);

/*
 * Returns when no CPU has the tables loaded that this one has left: those that
 * had them for want of something better have left them too.
 */
void cpus_forget_root(loam_phys_t root);

/* Where a CPU that was started arrives, on its stack; stays (cpus.c). */
_Noreturn void cpus_arrive(struct cpu *cpu);

#endif

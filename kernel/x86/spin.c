/* SPDX-License-Identifier: MIT */
/* Fair spin locks, and in debug builds who holds them, since where. */

#include <loam/assert.h>
#include <loam/lock.h>

#include "../console.h"
#include "../cpus.h"
#include "../kernel.h"
#include "../spin.h"
#include "../symbols.h"
#include "cpu.h"

#define SPIN_HALF (sizeof(uintptr_t) * 4) /* bits */
#define SPIN_ONE ((uintptr_t)1 << SPIN_HALF)
#define SPIN_MASK (SPIN_ONE - 1)

static uintptr_t spin_draw(struct loam_host_lock *lock)
{
	uintptr_t ticket = SPIN_ONE;

	__asm__ volatile("lock xadd %0, %1"
			 : "+r"(ticket), "+m"(lock->word[0])
			 :
			 : "memory", "cc");
	return ticket;
}

static void spin_serve_next(struct loam_host_lock *lock)
{
	__asm__ volatile(CPU_INC_HALF_WORD " %0"
			 : "+m"(lock->word[0])
			 :
			 : "memory", "cc");
}

/* With its halves exchanged: the same if nobody is before the new ticket. */
static uintptr_t spin_turned(uintptr_t word)
{
	return word << SPIN_HALF | word >> SPIN_HALF;
}

static uintptr_t spin_word(const struct loam_host_lock *lock)
{
	return __atomic_load_n(&lock->word[0], __ATOMIC_ACQUIRE);
}

bool spin_is_held(const struct loam_host_lock *lock)
{
	uintptr_t word = spin_word(lock);

	return spin_turned(word) != word;
}

/* -------- what debug builds know -------- */

/*
 * Each CPU records the locks it holds with the return addresses at the time,
 * and the one it waits for. Only the CPU writes its record; another one reads
 * it when it has waited for long, or when all are stopped.
 *
 * A circle of CPUs, each waiting for a lock that the next one holds, never
 * opens again, for none of them can give anything back. What looks like one may
 * be a record read while it changed; so it counts when it is found many times
 * in a row.
 */

#define SPIN_MOST 12u     /* locks that a CPU holds at once */
#define SPIN_DEPTH 8u     /* return addresses */
#define SPIN_LOOK 100000u /* turns between two looks for a circle */
#define SPIN_CIRCLE 50u   /* looks that must find it */
#define SPIN_DIGITS (2 * (int)sizeof(uintptr_t))

struct spin_held {
	const struct loam_host_lock *lock; /* NULL: a free place */
	uintptr_t trace[SPIN_DEPTH];
};

struct spin_record {
	struct spin_held held[SPIN_MOST];
	const struct loam_host_lock *volatile wanted;
};

/* Other builds keep none. */
#define SPIN_FRAME() (LOAM_DEBUG ? __builtin_frame_address(0) : NULL)

static struct spin_record spin_records[LOAM_DEBUG ? CPUS_MOST : 1];

/* Debug builds keep frame pointers everywhere. */
static void spin_trace(uintptr_t trace[SPIN_DEPTH], const uintptr_t *frame)
{
	uintptr_t bottom;
	uintptr_t top;

	task_stack(&bottom, &top);
	for (unsigned i = 0; i < SPIN_DEPTH; i++) {
		trace[i] = 0;
		if ((uintptr_t)frame < bottom ||
		    (uintptr_t)frame > top - 2 * sizeof(*frame)) {
			continue;
		}
		trace[i] = frame[1];
		frame = (const uintptr_t *)frame[0];
	}
}

static void spin_record_taken(const struct loam_host_lock *lock,
			      const uintptr_t *frame)
{
	struct spin_record *record = &spin_records[cpu_number()];

	record->wanted = NULL;
	for (unsigned i = 0; i < SPIN_MOST; i++) {
		if (record->held[i].lock == NULL) {
			spin_trace(record->held[i].trace, frame);
			record->held[i].lock = lock;
			return;
		}
	}
}

static void spin_record_given(const struct loam_host_lock *lock)
{
	struct spin_record *record = &spin_records[cpu_number()];

	for (unsigned i = 0; i < SPIN_MOST; i++) {
		if (record->held[i].lock == lock) {
			record->held[i].lock = NULL;
			return;
		}
	}
}

/* The CPU that holds it by its record, or CPUS_MOST. */
static unsigned spin_holder(const struct loam_host_lock *lock)
{
	for (unsigned cpu = 0; cpu < cpus_count; cpu++) {
		for (unsigned i = 0; i < SPIN_MOST; i++) {
			if (spin_records[cpu].held[i].lock == lock) {
				return cpu;
			}
		}
	}
	return CPUS_MOST;
}

/* True if waiting for this lock is waiting for oneself. */
static bool spin_in_circle(const struct loam_host_lock *lock)
{
	unsigned self = (unsigned)cpu_number();

	for (unsigned steps = 0; steps <= CPUS_MOST && lock != NULL; steps++) {
		unsigned holder = spin_holder(lock);
		if (holder == self) {
			return true;
		}
		if (holder == CPUS_MOST) {
			return false;
		}
		lock = spin_records[holder].wanted;
	}
	return false;
}

/* Every lock of the library is the first part of a struct loam_lock. */
static const char *spin_name(const struct loam_host_lock *lock)
{
	const char *name = ((const struct loam_lock *)(const void *)lock)->name;

	return name != NULL ? name : "?";
}

void spin_report(const struct cpu *cpu)
{
	const struct spin_record *record = &spin_records[cpu->number];
	char name[64];

	if (!LOAM_DEBUG) {
		return;
	}
	for (unsigned i = 0; i < SPIN_MOST; i++) {
		const struct spin_held *held = &record->held[i];
		if (held->lock == NULL) {
			continue;
		}
		kprintf("CPU %u holds lock %s, taken at\n", cpu->number,
			spin_name(held->lock));
		for (unsigned j = 0; j < SPIN_DEPTH && held->trace[j] != 0;
		     j++) {
			kprintf("    %0*zx  %s\n", SPIN_DIGITS, held->trace[j],
				symbol_format_return(name, held->trace[j]));
		}
	}
	if (record->wanted != NULL) {
		kprintf("CPU %u waits for lock %s\n", cpu->number,
			spin_name(record->wanted));
	}
}

/* -------- taking and giving back -------- */

/*
 * Locks are held for some hundred instructions. An emulator takes a pause for
 * an occasion to do something else, which costs more than that.
 */
#define SPIN_EAGER 32u

LOAM_NOINLINE static void spin_wait(struct loam_host_lock *lock,
				    uintptr_t ticket)
{
	unsigned turns = 0;
	unsigned circles = 0;

	cpu_this()->counters.waited++;
	if (LOAM_DEBUG) {
		spin_records[cpu_number()].wanted = lock;
	}
	while ((spin_word(lock) & SPIN_MASK) != ticket) {
		cpus_serve();
		if (++turns % SPIN_EAGER == 0) {
			cpu_pause();
		}
		if (!LOAM_DEBUG || turns % SPIN_LOOK != 0) {
			continue;
		}
		circles = spin_in_circle(lock) ? circles + 1 : 0;
		if (circles == SPIN_CIRCLE) {
			loam_panic("deadlock: CPU %u waits for lock %s, "
				   "which CPU %u holds",
				   (unsigned)cpu_number(), spin_name(lock),
				   spin_holder(lock));
		}
	}
}

static LOAM_ALWAYS_INLINE bool spin_take(struct loam_host_lock *lock,
					 uintptr_t *word)
{
	cpu_count_lock();
	*word = spin_draw(lock);
	return LOAM_LIKELY(spin_turned(*word) == *word);
}

void spin_lock(struct loam_host_lock *lock)
{
	uintptr_t word;

	if (!spin_take(lock, &word)) {
		spin_wait(lock, word >> SPIN_HALF);
	}
	if (LOAM_DEBUG) {
		spin_record_taken(lock, SPIN_FRAME());
	}
}

void spin_unlock(struct loam_host_lock *lock)
{
	if (LOAM_DEBUG) {
		spin_record_given(lock);
	}
	spin_serve_next(lock);
}

/* What is left of the call where the lock was not free: it ends there. */
LOAM_NOINLINE static void spin_wait_flags(struct loam_host_lock *lock,
					  uintptr_t word, uintptr_t flags)
{
	spin_wait(lock, word >> SPIN_HALF);
	lock->word[1] = flags;
}

void loam_host_lock(struct loam_host_lock *lock)
{
	uintptr_t flags = cpu_read_eflags();
	uintptr_t word;

	cpu_cli();
	if (spin_take(lock, &word)) {
		lock->word[1] = flags;
	} else {
		spin_wait_flags(lock, word, flags);
	}
	if (LOAM_DEBUG) {
		spin_record_taken(lock, SPIN_FRAME());
	}
}

void loam_host_unlock(struct loam_host_lock *lock)
{
	uintptr_t flags = lock->word[1];

	spin_unlock(lock);
	if ((flags & CPU_EFLAGS_IF) != 0) {
		cpu_sti();
	}
}

/* SPDX-License-Identifier: MIT */
/* Ranked locks: the host's lock, and in debug builds a proof of its order. */
#include <loam/bits.h>
#include <loam/lock.h>

/*
 * A deadlock between two locks needs two CPUs that take them in different
 * orders. Loam gives every lock a rank and lets a CPU take only locks of a
 * lower rank than all it holds; then no cycle of waiting CPUs can close. That
 * is checked where it is cheap to find: at the first call in the wrong order,
 * on one CPU, long before two of them meet by chance.
 *
 * Structures. Ranks on one CPU are strictly falling, so a CPU holds at most
 * one lock of each rank, and its record is an array indexed by rank beside a
 * mask of the entries in use. A request for rank r is in order when no bit at
 * or below r is set; the lowest set bit names the lock that is in the way. The
 * lock itself remembers its holder, which serves loam_lock_held() and tells a
 * second taking of the same lock from a breach of the order.
 *
 * Locking. A CPU touches its own record only. The check before the lock is
 * taken runs with interrupts on, pinned by loam_cpu_enter(): an interrupt may
 * take locks meanwhile, but has given them back when it returns. The entry is
 * written and struck while the lock is held, with interrupts out. `holder` is
 * read by CPUs that do not hold the lock, hence atomically; it can equal the
 * reader's own number only if the reader wrote it.
 *
 * Cost. Without LOAM_DEBUG both calls are a jump to the host's function, and
 * the record, which is the only variable here, is not there at all.
 */

struct lock_record {
	uint32_t ranks; /* bit r: held[r] is a lock this CPU holds */
	const struct loam_lock *held[LOAM_RANK_COUNT];
};

LOAM_STATIC_ASSERT(LOAM_RANK_COUNT <= 32, "a rank is a bit of ranks");
LOAM_STATIC_ASSERT(LOAM_MAX_CPUS < UINT16_MAX, "CPU + 1 fits a holder");
LOAM_STATIC_ASSERT(offsetof(struct loam_lock, host) == 0,
		   "taking a lock is a jump to the host's function");

static struct lock_record lock_records[LOAM_MAX_CPUS];

static struct lock_record *lock_record_of(unsigned cpu)
{
	LOAM_VERIFY(cpu < LOAM_MAX_CPUS);
	return &lock_records[cpu];
}

/* The ranks that may not be held when a lock of this rank is taken. */
static uint32_t lock_ranks_up_to(unsigned rank)
{
	return UINT32_MAX >> (31u - rank);
}

static unsigned lock_holder(const struct loam_lock *lock)
{
	return __atomic_load_n(&lock->holder, __ATOMIC_RELAXED);
}

static void lock_set_holder(struct loam_lock *lock, unsigned holder)
{
	__atomic_store_n(&lock->holder, (uint16_t)holder, __ATOMIC_RELAXED);
}

static void lock_check_take(const struct loam_lock *lock, unsigned cpu)
{
	const struct lock_record *record = lock_record_of(cpu);
	if (lock->name == NULL || lock->rank == 0 ||
	    lock->rank >= LOAM_RANK_COUNT) {
		loam_panic("lock at %p was never initialised",
			   (const void *)lock);
	}
	if (lock_holder(lock) == cpu + 1) {
		loam_panic("lock %s taken again by its holder, CPU %u",
			   lock->name, cpu);
	}
	uint32_t in_the_way = record->ranks & lock_ranks_up_to(lock->rank);
	if (in_the_way != 0) {
		const struct loam_lock *held =
			record->held[loam_lowest_bit(in_the_way)];
		loam_panic("lock %s (rank %u) taken after %s (rank %u)",
			   lock->name, lock->rank, held->name, held->rank);
	}
}

static void lock_record_taken(struct loam_lock *lock, unsigned cpu)
{
	struct lock_record *record = lock_record_of(cpu);
	record->ranks |= 1u << lock->rank;
	record->held[lock->rank] = lock;
	lock_set_holder(lock, cpu + 1);
}

static void lock_record_given_back(struct loam_lock *lock, unsigned cpu)
{
	struct lock_record *record = lock_record_of(cpu);
	unsigned holder = lock_holder(lock);
	if (holder == 0) {
		loam_panic("lock %s given back by CPU %u, but nobody holds it",
			   lock->name, cpu);
	}
	if (holder != cpu + 1) {
		loam_panic("lock %s given back by CPU %u, but CPU %u holds it",
			   lock->name, cpu, holder - 1);
	}
	LOAM_VERIFY(record->held[lock->rank] == lock);
	record->ranks &= ~(1u << lock->rank);
	record->held[lock->rank] = NULL;
	lock_set_holder(lock, 0);
}

void loam_lock_init(struct loam_lock *lock, const char *name,
		    enum loam_rank rank)
{
	LOAM_ASSERT(name != NULL && rank > 0 && rank < LOAM_RANK_COUNT);
	*lock = (struct loam_lock)LOAM_LOCK_INIT(name, (uint16_t)rank);
}

void loam_lock(struct loam_lock *lock)
{
	if (!LOAM_DEBUG) {
		loam_host_lock(&lock->host);
		return;
	}
	unsigned cpu = loam_cpu_enter();
	lock_check_take(lock, cpu);
	loam_host_lock(&lock->host);
	lock_record_taken(lock, cpu);
	loam_cpu_leave(cpu);
}

void loam_unlock(struct loam_lock *lock)
{
	if (LOAM_DEBUG) {
		lock_record_given_back(lock, loam_host_cpu());
	}
	loam_host_unlock(&lock->host);
}

bool loam_lock_held(const struct loam_lock *lock)
{
	if (!LOAM_DEBUG) {
		return true;
	}
	unsigned cpu = loam_cpu_enter();
	bool held = lock_holder(lock) == cpu + 1;
	loam_cpu_leave(cpu);
	return held;
}

uint32_t loam_lock_ranks(void)
{
	if (!LOAM_DEBUG) {
		return 0;
	}
	unsigned cpu = loam_cpu_enter();
	uint32_t ranks = lock_record_of(cpu)->ranks;
	loam_cpu_leave(cpu);
	return ranks;
}

void loam_lock_forget_except(uint32_t ranks)
{
	if (!LOAM_DEBUG) {
		return;
	}
	unsigned cpu = loam_cpu_enter();
	lock_record_of(cpu)->ranks &= ranks;
	loam_cpu_leave(cpu);
}

/* SPDX-License-Identifier: MIT */
/* Ranked locks: the host's lock with an order that debug builds check. */
#ifndef LOAM_LOCK_H
#define LOAM_LOCK_H

#include <loam/assert.h>

/*
 * A CPU that holds a lock may take only locks of a lower rank. Floors are in
 * order from the front door down, so the order of calls is the order of locks.
 */
enum loam_rank {
	LOAM_RANK_MEMBLOCK = 1,
	LOAM_RANK_ZONE,       /* one zone's buddy */
	LOAM_RANK_FRAME,      /* the frame floor's shared state */
	LOAM_RANK_ARENA,      /* one arena of address ranges */
	LOAM_RANK_KSPACE,     /* kernel page tables and their reserve */
	LOAM_RANK_SLAB_META,  /* slab descriptors */
	LOAM_RANK_SLAB_DEPOT, /* one cache's full and empty magazines */
	LOAM_RANK_SLAB_CACHE, /* one cache's slabs */
	LOAM_RANK_SLAB_LIST,  /* the list of caches */
	LOAM_RANK_HEAP,       /* a classic heap behind kmalloc */
	LOAM_RANK_KMALLOC,
	LOAM_RANK_HOST,        /* the host's, for what the floors above ask */
	LOAM_RANK_PROC_OBJECT, /* pages that several address spaces show */
	LOAM_RANK_PROC,        /* one address space */
	LOAM_RANK_PROCS,       /* the list of address spaces */
	LOAM_RANK_COUNT
};

struct loam_lock {
	struct loam_host_lock host;
	const char *name;
	uint16_t rank;
	uint16_t holder; /* CPU + 1 while held */
};

/* A lock for static storage. */
#define LOAM_LOCK_INIT(lock_name, lock_rank)                                   \
	{                                                                      \
		.name = (lock_name), .rank = (lock_rank)                       \
	}

/*
 * Makes it a lock that nobody holds. name, which reports show, must live as
 * long as the lock does. O(1).
 */
void loam_lock_init(struct loam_lock *lock, const char *name,
		    enum loam_rank rank);

/*
 * Takes or gives back the lock; interrupts of this CPU stay out in between.
 * Debug builds panic, with the names of the locks, when the order is broken,
 * when this CPU holds the lock already, or gives back one it does not hold.
 * Locks may be given back in any order. Context: any, interrupts too.
 * Cost: the host's lock and one jump; debug builds about 40 instructions more.
 */
void loam_lock(struct loam_lock *lock);
void loam_unlock(struct loam_lock *lock);

/*
 * True while the calling CPU holds it. For assertions only: other builds than
 * debug builds do not know, and say true.
 */
bool loam_lock_held(const struct loam_lock *lock);

/*
 * Which ranks the calling CPU holds locks of, as bits 1 << rank. 0 in other
 * than debug builds, where nothing is recorded.
 */
uint32_t loam_lock_ranks(void);

/*
 * Strikes from the calling CPU's record every lock whose rank is not in
 * `ranks`, without touching the locks. For a host that goes on after a panic,
 * as a test does, and throws away the instances whose locks were held.
 */
void loam_lock_forget_except(uint32_t ranks);

#endif

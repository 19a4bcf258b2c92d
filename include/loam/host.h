/* SPDX-License-Identifier: MIT */
/* The seam: everything Loam asks of the kernel it is linked into. */
#ifndef LOAM_HOST_H
#define LOAM_HOST_H

#include <loam/types.h>

/*
 * Two functions must be supplied.  The others have weak defaults in
 * src/host/defaults.c that are right for one CPU without interrupts that
 * allocate, and a host overrides them by defining them.
 */

/*
 * Reports an inconsistency that makes going on unsafe, and does not return.
 * message: one line without a newline. Context: any, locks may be held.
 *
 *	_Noreturn void loam_host_panic(const char *message)
 *	{
 *		console_print(message);
 *		for (;;)
 *			halt();
 *	}
 */
_Noreturn void loam_host_panic(const char *message);

/*
 * The kernel virtual address at which physical memory is directly mapped, or
 * NULL where it is not. Pure: the answer for an address never changes once
 * bring-up is over, and is linear within each frame. Context: any.
 *
 *	void *loam_host_phys_to_virt(loam_phys_t phys)
 *	{
 *		return phys < 256 MiB ? (void *)(0xC0000000 + phys) : NULL;
 *	}
 */
void *loam_host_phys_to_virt(loam_phys_t phys);

/* Storage of one host lock. All zero is unlocked. The words are the host's. */
struct loam_host_lock {
	uintptr_t word[2];
};

/*
 * Takes and gives back a lock that also keeps out interrupts of this CPU for
 * as long as it is held. Not recursive; held for short, bounded times.
 * The default does nothing. A spin lock keeps the interrupt state it found in
 * word[1], which belongs to the holder.
 */
void loam_host_lock(struct loam_host_lock *lock);
void loam_host_unlock(struct loam_host_lock *lock);

/* The index of the current CPU, below LOAM_MAX_CPUS. Default: 0. */
unsigned loam_host_cpu(void);

/*
 * Makes every other CPU that may have cached a translation of [virt, virt +
 * size) in the address space whose root table is at `root` forget it, and
 * returns when all have. size 0 means all of that address space. The calling
 * CPU has flushed its own already. Of Loam's locks at most that of a
 * process's address space is held, but interrupts may be off: two CPUs can wait
 * for each other here, or one for the other's lock, so this wait, and that of
 * loam_host_lock(), must serve requests that come in meanwhile. Default:
 * nothing, there is no other CPU.
 */
void loam_host_tlb_shootdown(loam_phys_t root, uintptr_t virt, size_t size);

enum loam_log_level {
	LOAM_LOG_ERROR, /* a caller's bug or corruption; always worth seeing */
	LOAM_LOG_WARNING, /* input that is not as it should be; handled */
	LOAM_LOG_INFO,
};

/*
 * Prints one line (text has no newline). Must not allocate from Loam and must
 * not take a lock that is held while calling Loam. Default: discards.
 */
void loam_host_log(enum loam_log_level level, const char *text);

#endif

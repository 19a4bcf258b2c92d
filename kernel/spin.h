/* SPDX-License-Identifier: MIT */
/* Fair spin locks: who came first gets in first. */
#ifndef KERNEL_SPIN_H
#define KERNEL_SPIN_H

#include <loam/host.h>

/*
 * A ticket lock over the library's struct loam_host_lock, all zero when free.
 * word[0] holds two numbers, the ticket that is served in its lower half and
 * the next to be drawn in its upper one; drawing is one atomic addition, giving
 * back an increment of the lower half, which nobody but the holder writes. So
 * CPUs are served in the order in which they came, and each waits at most for
 * those before it. word[1] belongs to the holder.
 *
 * spin_lock() is for who has interrupts off already; loam_host_lock() and
 * loam_host_unlock() are the same with interrupts kept out. While a CPU waits
 * it does what others wait for it to do (cpus_serve()). Debug builds remember
 * where each lock was taken, and find who waits in a circle (x86/spin.c).
 *
 * Source: Reed and Kanodia, Synchronization with eventcounts and sequencers,
 * CACM 1979.
 */
void spin_lock(struct loam_host_lock *lock);
void spin_unlock(struct loam_host_lock *lock);

/* True if some CPU holds it just now. */
bool spin_is_held(const struct loam_host_lock *lock);

/* Debug builds: prints which locks a CPU holds, and where it took them. */
struct cpu;
void spin_report(const struct cpu *cpu);

#endif

/* SPDX-License-Identifier: MIT */
/* The weak defaults of the seam: one CPU, quiet interrupts, no console. */
#include <loam/compiler.h>
#include <loam/host.h>

/*
 * Each of these gives way to a definition of the host's. They are right for a
 * kernel with one CPU whose interrupt handlers do not call into Loam: nobody
 * can come between the two ends of a critical section, and no other CPU can
 * have cached a translation. loam_host_panic and loam_host_phys_to_virt have
 * no default: nothing would be right for every kernel, and a missing symbol at
 * link time is the clearest way to say so.
 */

LOAM_WEAK void loam_host_lock(struct loam_host_lock *lock)
{
	(void)lock;
}

LOAM_WEAK void loam_host_unlock(struct loam_host_lock *lock)
{
	(void)lock;
}

LOAM_WEAK unsigned loam_host_cpu(void)
{
	return 0;
}

LOAM_WEAK void loam_host_tlb_shootdown(loam_phys_t root, uintptr_t virt,
				       size_t size)
{
	(void)root;
	(void)virt;
	(void)size;
}

LOAM_WEAK void loam_host_log(enum loam_log_level level, const char *text)
{
	(void)level;
	(void)text;
}

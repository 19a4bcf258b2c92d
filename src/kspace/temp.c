/* SPDX-License-Identifier: MIT */
/* Temporary maps: a few pages a CPU, used as a stack. */

/*
 * A CPU's slots belong to it alone, so a map needs no allocation and no other
 * CPU's opinion: not even a flush, since nobody else ever uses the address. It
 * is flushed on this CPU when it is unmapped.
 *
 * depth counts the slots in use. It is raised before a slot is mapped and
 * lowered after it is unmapped; an interrupt in between takes the next slot
 * and has given it back when it returns. So the newest slot is always that of
 * the innermost code that runs on the CPU, which is what makes it possible to
 * borrow it: clearing a frame for LOAM_ZERO must not fail when the stack is
 * full, and then shows the frame in the last slot for the time of the clearing.
 * The code it belongs to is not running meanwhile.
 *
 * The page tables of the slots are there from the start. Entries are written
 * with the floor's lock held, as all page tables are; the slots themselves
 * need none.
 */

#include "kspace_int.h"

/*
 * Makes a slot show the frame, or, with LOAM_PFN_NONE, nothing. pfns[] and
 * the page table change together, under the lock and without interrupts.
 * -LOAM_EINVAL: the MMU does not reach the frame; the slot is empty.
 */
static int slot_set(struct loam_kspace *kspace, unsigned cpu, unsigned slot,
		    loam_pfn_t pfn)
{
	loam_pfn_t *shown = &kspace->temps[cpu].pfns[slot];
	uintptr_t virt = kspace_slot(kspace, cpu, slot);
	int error = 0;
	loam_lock(&kspace->lock);
	if (*shown != LOAM_PFN_NONE) {
		long pages =
			loam_pt_unmap_noflush(kspace->pt, virt, LOAM_PAGE_SIZE);
		LOAM_VERIFY(pages == 1);
		/* No other CPU uses this slot: nobody else is asked. */
		loam_pt_flush_local(kspace->pt, virt, LOAM_PAGE_SIZE);
		*shown = LOAM_PFN_NONE;
	}
	if (pfn != LOAM_PFN_NONE) {
		error = loam_pt_map(kspace->pt, virt, loam_pfn_to_phys(pfn),
				    LOAM_PAGE_SIZE,
				    LOAM_PROT_READ | LOAM_PROT_WRITE, false);
		*shown = error == 0 ? pfn : LOAM_PFN_NONE;
	}
	loam_unlock(&kspace->lock);
	return error;
}

void *loam_kspace_temp_map(struct loam_kspace *kspace, loam_pfn_t pfn)
{
	if (pfn == LOAM_PFN_NONE) {
		return NULL;
	}
	void *direct = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	if (direct != NULL) {
		return direct;
	}
	unsigned cpu = loam_cpu_enter();
	struct loam_kspace_temp *temp = &kspace->temps[cpu];
	uint32_t slot = kspace_temp_load(&temp->depth);
	if (slot == LOAM_TEMP_SLOTS) {
		loam_cpu_leave(cpu);
		return NULL;
	}
	kspace_temp_store(&temp->depth, slot + 1);
	if (slot_set(kspace, cpu, slot, pfn) != 0) {
		kspace_temp_store(&temp->depth, slot);
		loam_cpu_leave(cpu);
		return NULL;
	}
	if (slot >= temp->peak) {
		kspace_temp_store(&temp->peak, slot + 1);
	}
	return (void *)kspace_slot(kspace, cpu, slot);
}

void loam_kspace_temp_unmap(struct loam_kspace *kspace, void *page)
{
	uintptr_t virt = (uintptr_t)page;
	if (virt - kspace->config.temp_base >= kspace->config.temp_size) {
		return;
	}
	unsigned cpu = loam_cpu_enter();
	struct loam_kspace_temp *temp = &kspace->temps[cpu];
	uint32_t depth = kspace_temp_load(&temp->depth);
	if (depth == 0 || virt != kspace_slot(kspace, cpu, depth - 1)) {
		char what[160];
		loam_kspace_describe(kspace, virt, what, sizeof(what));
		loam_misuse(LOAM_CALLER(),
			    "temp_unmap of %p: %s, not the newest of CPU %u "
			    "(%u in use)",
			    page, what, cpu, (unsigned)depth);
		loam_cpu_leave(cpu);
		return;
	}
	slot_set(kspace, cpu, depth - 1, LOAM_PFN_NONE);
	kspace_temp_store(&temp->depth, depth - 1);
	loam_cpu_leave(cpu);
	/* The one that the map has kept. */
	loam_cpu_leave(cpu);
}

/*
 * Clears a frame through the newest slot, then puts back what that showed:
 * a frame, or nothing, if this is an interrupt and the slot was just being
 * set.
 */
static void clear_borrowing(struct loam_kspace *kspace, loam_pfn_t pfn)
{
	unsigned cpu = loam_cpu_enter();
	unsigned slot = LOAM_TEMP_SLOTS - 1;
	LOAM_VERIFY(kspace_temp_load(&kspace->temps[cpu].depth) ==
		    LOAM_TEMP_SLOTS);
	loam_pfn_t shown = kspace->temps[cpu].pfns[slot];
	int error = slot_set(kspace, cpu, slot, pfn);
	LOAM_VERIFY(error == 0);
	memset((void *)kspace_slot(kspace, cpu, slot), 0, LOAM_PAGE_SIZE);
	error = slot_set(kspace, cpu, slot, shown);
	LOAM_VERIFY(error == 0);
	loam_cpu_leave(cpu);
}

void loam_kspace_clear_frame(void *arg, loam_pfn_t pfn)
{
	struct loam_kspace *kspace = arg;
	void *page = loam_kspace_temp_map(kspace, pfn);
	if (page == NULL) {
		clear_borrowing(kspace, pfn);
		return;
	}
	memset(page, 0, LOAM_PAGE_SIZE);
	loam_kspace_temp_unmap(kspace, page);
}

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
 * The page tables of the slots are there from the start, and stay; so where the
 * entry of a slot is, is looked up once, and a map is one store. That takes no
 * lock: nobody else ever changes these entries.
 */

#include <loam/pt_leaf.h>

#include "kspace_int.h"

void loam_kspace_temp_init(struct loam_kspace *kspace)
{
	kspace->temp_bits = loam_pt_leaf_encode(
		kspace->pt, 0, LOAM_PROT_READ | LOAM_PROT_WRITE);
	for (unsigned cpu = 0; cpu < LOAM_MAX_CPUS; cpu++) {
		struct loam_kspace_temp *temp = &kspace->temps[cpu];
		for (unsigned slot = 0; slot < LOAM_TEMP_SLOTS; slot++) {
			struct loam_pt_leaf leaf;
			bool found = loam_pt_leaf_find(
				kspace->pt, kspace_slot(kspace, cpu, slot),
				&leaf);
			LOAM_VERIFY(found);
			temp->pfns[slot] = LOAM_PFN_NONE;
			temp->tables[slot] = leaf.entries;
			temp->indices[slot] = (uint16_t)leaf.index;
		}
	}
}

/*
 * Makes an empty slot show the frame. pfns[] is first: an interrupt that
 * borrows the slot puts back what pfns[] says; the entry is stored after that.
 * -LOAM_EINVAL: the MMU does not reach the frame.
 */
static int slot_fill(struct loam_kspace *kspace, struct loam_kspace_temp *temp,
		     unsigned slot, loam_pfn_t pfn)
{
	struct loam_pt *pt = kspace->pt;
	loam_phys_t phys = loam_pfn_to_phys(pfn);
	if (LOAM_UNLIKELY((phys & ~pt->geometry->phys_mask) != 0)) {
		return -LOAM_EINVAL;
	}
	temp->pfns[slot] = pfn;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	loam_pt_leaf_store(pt, temp->tables[slot], temp->indices[slot],
			   phys | kspace->temp_bits);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return 0;
}

/* Makes a slot show nothing; pfns[] is first, as above. */
static void slot_clear(struct loam_kspace *kspace,
		       struct loam_kspace_temp *temp, unsigned slot,
		       uintptr_t virt)
{
	struct loam_pt *pt = kspace->pt;
	temp->pfns[slot] = LOAM_PFN_NONE;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	loam_pt_leaf_store(pt, temp->tables[slot], temp->indices[slot], 0);
	/* No other CPU uses this slot: nobody else is asked. */
	loam_pt_flush_private(pt, virt);
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
	if (slot_fill(kspace, temp, slot, pfn) != 0) {
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
	slot_clear(kspace, temp, depth - 1, virt);
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
	struct loam_kspace_temp *temp = &kspace->temps[cpu];
	uintptr_t virt = kspace_slot(kspace, cpu, slot);
	LOAM_VERIFY(kspace_temp_load(&temp->depth) == LOAM_TEMP_SLOTS);
	loam_pfn_t shown = temp->pfns[slot];
	slot_clear(kspace, temp, slot, virt);
	int error = slot_fill(kspace, temp, slot, pfn);
	LOAM_VERIFY(error == 0);
	memset((void *)virt, 0, LOAM_PAGE_SIZE);
	slot_clear(kspace, temp, slot, virt);
	if (shown != LOAM_PFN_NONE) {
		error = slot_fill(kspace, temp, slot, shown);
		LOAM_VERIFY(error == 0);
	}
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

/* SPDX-License-Identifier: MIT */
/* Page faults: what an access needs, and how it is brought. */
#include <loam/frame_fast.h>

#include "proc_int.h"

/*
 * A fault is tried under the space's lock, which is enough for most. Where it
 * needs what must not be waited for under a lock, a frame when there is none,
 * or a pager's page, it is given up, that is brought, and the fault is tried
 * anew from the start, whatever has become of the space meanwhile.
 */

/* The most tries before a fault says that there is no memory. */
#define FAULT_TRIES 64u

/* -------- the region -------- */

/* True if the region is a stack that may grow down to the page. */
static bool fault_can_grow(const struct loam_proc *proc,
			   const struct loam_region *region, uintptr_t page)
{
	if (region == NULL || (region->flags & LOAM_REGION_STACK) == 0 ||
	    page < region->limit) {
		return false;
	}
	const struct loam_region *before = loam_region_prev(region);
	size_t more = region->start - page;
	return (before == NULL ||
		region_end(before) <= page - LOAM_PAGE_SIZE) &&
	       loam_proc_has_room(proc, more, 0);
}

/* The region that the fault is in, grown if it is a stack; or NULL. */
static struct loam_region *fault_region(struct loam_proc *proc, uintptr_t page)
{
	struct loam_region *region = loam_region_holding(proc, page);
	if (LOAM_LIKELY(region != NULL)) {
		return region;
	}
	region = loam_region_above(proc, page);
	if (!fault_can_grow(proc, region, page)) {
		return NULL;
	}
	loam_region_resize(proc, region, page, region_end(region) - page);
	proc->faults[LOAM_FAULT_STACK]++;
	return region;
}

static bool fault_is_permitted(const struct loam_region *region,
			       unsigned access)
{
	if ((access & LOAM_ACCESS_WRITE) != 0) {
		return (region->prot & LOAM_PROT_WRITE) != 0;
	}
	if ((access & LOAM_ACCESS_EXEC) != 0) {
		return (region->prot & LOAM_PROT_EXEC) != 0;
	}
	return region->prot != 0;
}

/* -------- pages that are there -------- */

/* A write to a present page that the entry forbids and the region permits. */
static enum proc_step fault_write(struct proc_fault *fault, uint64_t entry)
{
	struct loam_proc *proc = fault->proc;
	struct loam_procs *procs = proc->procs;
	struct loam_pt *pt = &proc->pt;
	loam_pfn_t old = proc_entry_pfn(proc, entry);
	bool zero = old == procs->zero_pfn;
	if (!fault->region->ops->copies ||
	    (!zero && loam_frame_is_sole(procs->config.frames, old))) {
		fault->kind = LOAM_FAULT_REUSE;
		loam_pt_leaf_store(pt, fault->leaf.entries, fault->leaf.index,
				   entry | pt->geometry->writable);
		return PROC_DONE;
	}
	if (zero && proc_is_full(proc)) {
		return PROC_NO_MEMORY;
	}
	loam_pfn_t pfn = zero ? loam_proc_page_alloc(procs)
			      : loam_proc_page_copy(procs, old);
	if (pfn == LOAM_PFN_NONE) {
		return PROC_NO_MEMORY;
	}
	fault->kind = zero ? LOAM_FAULT_ZERO_FILL : LOAM_FAULT_COPY;
	proc->resident_frames -= !zero;
	proc_fault_install(fault, pfn, true);
	loam_pt_flush(pt, fault->page, LOAM_PAGE_SIZE);
	if (!zero && !loam_frame_put_shared(procs->config.frames, old)) {
		/* It has become the last reference meanwhile. */
		loam_proc_page_put(procs, old);
	}
	return PROC_DONE;
}

/* -------- one try -------- */

static enum proc_step fault_page(struct proc_fault *fault)
{
	struct loam_proc *proc = fault->proc;
	if (loam_pt_leaf_make(&proc->pt, fault->page, &fault->leaf) != 0) {
		return PROC_NO_MEMORY;
	}
	uint64_t entry = loam_pt_leaf_load(&proc->pt, fault->leaf.entries,
					   fault->leaf.index);
	bool present = proc_is_present(proc, entry);
	if (present && !fault->write) {
		fault->kind = LOAM_FAULT_SPURIOUS;
		return PROC_DONE;
	}
	/* Anything else changes the table. */
	if (LOAM_UNLIKELY(!loam_pt_leaf_writable(&proc->pt, &fault->leaf))) {
		if (loam_proc_table_own(proc, fault->page, &fault->leaf) != 0) {
			return PROC_NO_MEMORY;
		}
		entry = loam_pt_leaf_load(&proc->pt, fault->leaf.entries,
					  fault->leaf.index);
		present = proc_is_present(proc, entry);
	}
	if (!present) {
		return proc_is_full(proc) ? PROC_NO_MEMORY
					  : fault->region->ops->fault(fault);
	}
	if (!proc_is_writable(proc, entry)) {
		return fault_write(fault, entry);
	}
	fault->kind = LOAM_FAULT_SPURIOUS;
	return PROC_DONE;
}

/* Under the lock. A pager's page that is not used up is the caller's still. */
static enum proc_step fault_try(struct proc_fault *fault, unsigned access)
{
	struct loam_proc *proc = fault->proc;
	fault->region = fault_region(proc, fault->page);
	if (fault->region == NULL ||
	    !fault_is_permitted(fault->region, access)) {
		proc->faults[LOAM_FAULT_BAD]++;
		return PROC_BAD;
	}
	enum proc_step step = fault_page(fault);
	if (step == PROC_DONE) {
		proc->faults[fault->kind]++;
		/* A pager's page came, and it is a write: now it is copied. */
		if (fault->kind == LOAM_FAULT_PAGER && fault->write) {
			step = fault_page(fault);
			proc->faults[fault->kind] += step == PROC_DONE;
		}
	}
	return step;
}

/* -------- what is brought without the lock -------- */

/* What a pager was asked for, and is still wanted when it answers. */
struct fault_order {
	struct loam_pager *pager;
	uint64_t offset;
	uint32_t generation;
};

/* Under the lock: the region stays, as far as the pager is concerned. */
static void fault_order(const struct proc_fault *fault,
			struct fault_order *order)
{
	struct loam_region *region = fault->region;
	order->pager = region->pager;
	order->offset = region->offset + (fault->page - region->start);
	order->generation = fault->proc->generation;
	region->ops->get(region);
}

static enum loam_faulted fault_fetch(struct proc_fault *fault,
				     const struct fault_order *order)
{
	const struct loam_pager_ops *ops = order->pager->ops;
	int error = 0;
	fault->given = ops->get_page(order->pager, order->offset, &error);
	if (ops->put != NULL) {
		ops->put(order->pager);
	}
	if (fault->given != LOAM_PFN_NONE) {
		return LOAM_FAULTED_OK;
	}
	if (error == -LOAM_ENOMEM) {
		return loam_procs_pressure(fault->proc->procs);
	}
	return LOAM_FAULTED_BAD;
}

static enum loam_faulted fault_memory(struct loam_proc *proc)
{
	if (proc_is_full(proc)) {
		return LOAM_FAULTED_MEMORY;
	}
	return loam_procs_pressure(proc->procs);
}

/* One try, and what it takes for another. OK with *again: that is there now. */
static enum loam_faulted fault_round(struct proc_fault *fault, unsigned access,
				     uint32_t *generation, bool *again)
{
	struct loam_proc *proc = fault->proc;
	struct fault_order order;
	loam_lock(&proc->lock);
	if (fault->given != LOAM_PFN_NONE && *generation != proc->generation) {
		/* Regions have changed: it may be another page by now. */
		loam_proc_page_put(proc->procs, fault->given);
		fault->given = LOAM_PFN_NONE;
	}
	enum proc_step step = fault_try(fault, access);
	if (step == PROC_PAGE) {
		fault_order(fault, &order);
		*generation = order.generation;
	}
	loam_unlock(&proc->lock);
	*again = step == PROC_PAGE || step == PROC_NO_MEMORY;
	switch (step) {
	case PROC_DONE:
		return LOAM_FAULTED_OK;
	case PROC_PAGE:
		return fault_fetch(fault, &order);
	case PROC_NO_MEMORY:
		return fault_memory(proc);
	case PROC_BAD:
	default:
		return LOAM_FAULTED_BAD;
	}
}

enum loam_faulted loam_proc_fault(struct loam_proc *proc, uintptr_t address,
				  unsigned access)
{
	const struct loam_procs_config *config = &proc->procs->config;
	struct proc_fault fault; /* its leaf is found later */
	enum loam_faulted result = LOAM_FAULTED_MEMORY;
	uint32_t generation = 0;
	bool again = true;
	if (address < config->user_base || address >= config->user_end) {
		loam_lock(&proc->lock);
		proc->faults[LOAM_FAULT_BAD]++;
		loam_unlock(&proc->lock);
		return LOAM_FAULTED_BAD;
	}
	fault.proc = proc;
	fault.region = NULL;
	fault.page = address & ~(uintptr_t)LOAM_PAGE_MASK;
	fault.write = (access & LOAM_ACCESS_WRITE) != 0;
	fault.kind = LOAM_FAULT_BAD;
	fault.given = LOAM_PFN_NONE;
	for (unsigned tries = 0; again && tries < FAULT_TRIES; tries++) {
		result = fault_round(&fault, access, &generation, &again);
		again = again && result == LOAM_FAULTED_OK;
	}
	if (again) {
		result = LOAM_FAULTED_MEMORY;
	}
	if (fault.given != LOAM_PFN_NONE) {
		loam_proc_page_put(proc->procs, fault.given);
	}
	if (result == LOAM_FAULTED_MEMORY || result == LOAM_FAULTED_RETRY) {
		loam_lock(&proc->lock);
		proc->faults[LOAM_FAULT_NO_MEMORY]++;
		loam_unlock(&proc->lock);
	}
	return result;
}

/* The access that makes a page of the region present for good. */
static bool populate_access(struct loam_proc *proc, uintptr_t page,
			    unsigned *access)
{
	loam_lock(&proc->lock);
	const struct loam_region *region = loam_region_holding(proc, page);
	bool any = region != NULL && region->prot != 0;
	if (any) {
		*access = (region->prot & LOAM_PROT_WRITE) != 0
				  ? LOAM_ACCESS_WRITE
			  : (region->prot & LOAM_PROT_READ) != 0
				  ? 0
				  : LOAM_ACCESS_EXEC;
	}
	loam_unlock(&proc->lock);
	return any;
}

int loam_proc_populate(struct loam_proc *proc, uintptr_t start, size_t size)
{
	unsigned access = 0;
	for (size_t done = 0; done < size; done += LOAM_PAGE_SIZE) {
		if (populate_access(proc, start + done, &access) &&
		    loam_proc_fault(proc, start + done, access) !=
			    LOAM_FAULTED_OK) {
			return -LOAM_ENOMEM;
		}
	}
	return 0;
}

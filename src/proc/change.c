/* SPDX-License-Identifier: MIT */
/* Changing regions that are there: protect, remap, advise, the break. */
#include "proc_int.h"

/* -------- protect -------- */

/* What is wrong with giving the range this protection; all of it is mapped. */
static int protect_is_allowed(struct loam_proc *proc, uintptr_t start,
			      size_t size, loam_prot_t prot)
{
	if (loam_region_covered(proc, start, size) != size) {
		return -LOAM_ENOMEM;
	}
	struct loam_region *region = loam_region_above(proc, start);
	for (; region != NULL && region->start < start + size;
	     region = loam_region_next(region)) {
		if (region->ops->kind == LOAM_REGION_PHYSICAL &&
		    (prot & LOAM_PROT_WRITE & ~region->allowed) != 0) {
			return -LOAM_EPERM;
		}
	}
	return 0;
}

/*
 * The entries of one region: rights that go are taken now; the right to write
 * comes with the next write, which knows whether it needs a copy.
 */
static bool protect_entries(struct loam_proc *proc,
			    const struct loam_region *region)
{
	struct loam_pt *pt = &proc->pt;
	uintptr_t end = region_end(region);
	bool stale = false;
	for (uintptr_t at = region->start; at < end; at += LOAM_PAGE_SIZE) {
		struct loam_pt_leaf leaf;
		if (!loam_pt_leaf_find(pt, at, &leaf)) {
			at = loam_pt_leaf_end(pt, at) - LOAM_PAGE_SIZE;
			if (at >= end - LOAM_PAGE_SIZE) {
				break;
			}
			continue;
		}
		uint64_t entry =
			loam_pt_leaf_load(pt, leaf.entries, leaf.index);
		if (!proc_is_present(proc, entry)) {
			continue;
		}
		bool writable = (entry & pt->geometry->writable) != 0;
		uint64_t noted =
			entry & (pt->geometry->accessed | pt->geometry->dirty);
		uint64_t wanted = loam_pt_leaf_encode(
			pt, loam_pfn_to_phys(proc_entry_pfn(proc, entry)),
			proc_leaf_prot(region, writable));
		if ((wanted | noted) != entry) {
			loam_pt_leaf_store(pt, leaf.entries, leaf.index,
					   wanted | noted);
			stale = true;
		}
	}
	return stale;
}

static void protect_locked(struct loam_proc *proc, uintptr_t start, size_t size,
			   loam_prot_t prot, struct proc_spares *spares)
{
	uintptr_t end = start + size;
	bool stale = false;
	loam_region_split(proc, start, spares);
	loam_region_split(proc, end, spares);
	struct loam_region *region = loam_region_above(proc, start);
	for (; region != NULL && region->start < end;
	     region = loam_region_next(region)) {
		if (region->prot != prot) {
			region->prot = prot;
			stale |= protect_entries(proc, region);
		}
	}
	proc->generation++;
	if (stale) {
		loam_pt_flush(&proc->pt, start, size);
	}
	loam_region_merge(proc, start, end, spares);
}

int loam_proc_protect(struct loam_proc *proc, uintptr_t start, size_t size,
		      loam_prot_t prot)
{
	struct proc_spares spares;
	if (!proc_range_fits(proc, start, size) ||
	    (prot & ~(LOAM_PROT_READ | LOAM_PROT_WRITE | LOAM_PROT_EXEC)) !=
		    0) {
		return -LOAM_EINVAL;
	}
	int error = loam_proc_spares_fill(proc->procs, &spares, 2);
	if (error != 0) {
		return error;
	}
	loam_lock(&proc->lock);
	error = protect_is_allowed(proc, start, size, prot);
	if (error == 0 &&
	    !proc_has_regions(proc,
			      loam_region_splits(proc, start, start + size))) {
		error = -LOAM_ENOMEM;
	}
	if (error == 0) {
		error = loam_proc_tables_own(proc, start, start + size);
	}
	if (error == 0) {
		protect_locked(proc, start, size, prot, &spares);
	}
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&spares);
	return error;
}

/* -------- remap -------- */

struct remap {
	uintptr_t start;
	size_t old_size;
	size_t new_size;
	uint32_t flags;
};

/* Tables of the space's own over all of the range: nothing can fail then. */
static int remap_tables(struct loam_proc *proc, uintptr_t start, size_t size)
{
	uintptr_t end = start + size;
	uintptr_t at = start;
	while (at < end) {
		struct loam_pt_leaf leaf;
		if (loam_pt_leaf_make(&proc->pt, at, &leaf) != 0 ||
		    loam_proc_table_own(proc, at, &leaf) != 0) {
			return -LOAM_ENOMEM;
		}
		uintptr_t last = loam_pt_leaf_end(&proc->pt, at) - 1;
		at = last < end - 1 ? last + 1 : end;
	}
	return 0;
}

/* Moves the entries of size bytes from one range to another. */
static void remap_entries(struct loam_proc *proc, uintptr_t from, uintptr_t to,
			  size_t size)
{
	struct loam_pt *pt = &proc->pt;
	bool stale = false;
	for (size_t done = 0; done < size; done += LOAM_PAGE_SIZE) {
		struct loam_pt_leaf source;
		struct loam_pt_leaf target;
		if (!loam_pt_leaf_find(pt, from + done, &source)) {
			continue;
		}
		uint64_t entry =
			loam_pt_leaf_load(pt, source.entries, source.index);
		if (entry == 0) {
			continue;
		}
		bool found = loam_pt_leaf_find(pt, to + done, &target);
		LOAM_VERIFY(found);
		loam_pt_leaf_store(pt, source.entries, source.index, 0);
		loam_pt_leaf_store(pt, target.entries, target.index, entry);
		stale = true;
	}
	if (stale) {
		loam_pt_flush(pt, from, size);
	}
}

static int remap_move(struct loam_proc *proc, struct loam_region *region,
		      const struct remap *job, struct proc_spares *spares,
		      uintptr_t *out)
{
	const struct loam_procs_config *config = &proc->procs->config;
	bool guard = (region->flags & LOAM_REGION_GUARD) != 0;
	uintptr_t to = loam_region_find_room(proc, config->map_base,
					     config->map_end, job->new_size,
					     guard ? LOAM_PAGE_SIZE : 0);
	if (to == 0 ||
	    !proc_has_regions(proc,
			      loam_region_splits(proc, job->start,
						 job->start + job->old_size))) {
		return -LOAM_ENOMEM;
	}
	int error = loam_proc_tables_own(proc, job->start,
					 job->start + job->old_size);
	if (error == 0) {
		error = remap_tables(proc, to, job->new_size);
	}
	if (error != 0) {
		return error;
	}
	loam_region_split(proc, job->start, spares);
	loam_region_split(proc, job->start + job->old_size, spares);
	region = loam_region_holding(proc, job->start);
	remap_entries(proc, job->start, to, job->old_size);
	loam_region_unlink(proc, region);
	region->start = to;
	region->size = job->new_size;
	loam_region_link_joined(proc, region, spares);
	*out = to;
	return 0;
}

/* Whether the object behind a region has so much more to show. */
static bool remap_object_fits(const struct loam_region *region, size_t size)
{
	uint64_t end = region->offset + size;
	if (region->ops->kind == LOAM_REGION_SHARED) {
		return end >> LOAM_PAGE_SHIFT <=
		       loam_shared_pages(region->shared);
	}
	return region->ops->kind != LOAM_REGION_PHYSICAL && end >= size;
}

/* True if the region can become `more` longer where it is. */
static bool remap_can_extend(struct loam_proc *proc,
			     const struct loam_region *region, size_t more)
{
	uintptr_t end = region_end(region);
	if (more > proc->procs->config.user_end - end) {
		return false;
	}
	size_t room = more;
	if ((region->flags & LOAM_REGION_GUARD) != 0) {
		room += LOAM_PAGE_SIZE;
	}
	const struct loam_region *next = loam_region_next(region);
	return next == NULL ||
	       (next->gap >= room && loam_region_covered(proc, end, more) == 0);
}

static int remap_grow(struct loam_proc *proc, struct loam_region *region,
		      const struct remap *job, struct proc_spares *spares,
		      uintptr_t *out)
{
	size_t more = job->new_size - job->old_size;
	bool at_end = job->start + job->old_size == region_end(region);
	if (!loam_proc_has_room(proc, more, 0)) {
		return -LOAM_ENOMEM;
	}
	if (!remap_object_fits(region,
			       (job->start - region->start) + job->new_size)) {
		return -LOAM_EINVAL;
	}
	if (at_end && remap_can_extend(proc, region, more)) {
		loam_region_resize(proc, region, region->start,
				   region->size + more);
		loam_region_merge(proc, region->start, region_end(region),
				  spares);
		*out = job->start;
		return 0;
	}
	if ((job->flags & LOAM_REMAP_MAY_MOVE) == 0 ||
	    (region->flags & LOAM_REGION_STACK) != 0) {
		return -LOAM_ENOMEM;
	}
	return remap_move(proc, region, job, spares, out);
}

static int remap_locked(struct loam_proc *proc, const struct remap *job,
			struct proc_spares *spares, uintptr_t *out)
{
	struct loam_region *region = loam_region_holding(proc, job->start);
	if (region == NULL || job->old_size > region_end(region) - job->start) {
		return -LOAM_EFAULT;
	}
	if (job->new_size > job->old_size) {
		return remap_grow(proc, region, job, spares, out);
	}
	if (job->new_size < job->old_size) {
		uintptr_t from = job->start + job->new_size;
		uintptr_t end = job->start + job->old_size;
		int error = loam_proc_unmap_prepare(proc, from, end);
		if (error != 0) {
			return error;
		}
		loam_proc_unmap_locked(proc, from, end, spares);
	}
	*out = job->start;
	return 0;
}

int loam_proc_remap(struct loam_proc *proc, uintptr_t start, size_t old_size,
		    size_t new_size, uint32_t flags, uintptr_t *out)
{
	const struct remap job = { start, old_size, new_size, flags };
	struct proc_spares spares;
	if (!proc_range_fits(proc, start, old_size) || new_size == 0 ||
	    (new_size & LOAM_PAGE_MASK) != 0 ||
	    (flags & ~LOAM_REMAP_MAY_MOVE) != 0) {
		return -LOAM_EINVAL;
	}
	int error = loam_proc_spares_fill(proc->procs, &spares, 2);
	if (error != 0) {
		return error;
	}
	loam_lock(&proc->lock);
	error = remap_locked(proc, &job, &spares, out);
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&spares);
	return error;
}

/* -------- advise -------- */

static void advise_drop(struct loam_proc *proc, uintptr_t start, uintptr_t end)
{
	struct proc_batch batch;
	proc_batch_begin(&batch, proc);
	struct loam_region *region = loam_region_above(proc, start);
	for (; region != NULL && region->start < end;
	     region = loam_region_next(region)) {
		uintptr_t from = region->start > start ? region->start : start;
		uintptr_t to =
			region_end(region) < end ? region_end(region) : end;
		loam_proc_zap(&batch, region, from, to, false);
	}
	loam_proc_batch_end(&batch);
}

int loam_proc_advise(struct loam_proc *proc, uintptr_t start, size_t size,
		     enum loam_advice advice)
{
	if (!proc_range_fits(proc, start, size)) {
		return -LOAM_EINVAL;
	}
	loam_lock(&proc->lock);
	bool whole = loam_region_covered(proc, start, size) == size;
	int error = whole ? 0 : -LOAM_ENOMEM;
	if (error == 0 && advice == LOAM_ADVISE_DONT_NEED) {
		error = loam_proc_tables_prepare(proc, start, start + size);
		if (error == 0) {
			advise_drop(proc, start, start + size);
		}
	}
	loam_unlock(&proc->lock);
	if (error != 0 || advice == LOAM_ADVISE_DONT_NEED) {
		return error;
	}
	return advice == LOAM_ADVISE_WILL_NEED
		       ? loam_proc_populate(proc, start, size)
		       : -LOAM_EINVAL;
}

/* -------- the break -------- */

void loam_proc_set_heap(struct loam_proc *proc, uintptr_t base, uintptr_t limit)
{
	LOAM_VERIFY((base & LOAM_PAGE_MASK) == 0);
	loam_lock(&proc->lock);
	proc->heap_base = base;
	proc->heap_end = base;
	proc->heap_limit = limit;
	loam_unlock(&proc->lock);
}

/* The heap's region, or NULL while the break is at its base. */
static struct loam_region *brk_region(struct loam_proc *proc)
{
	struct loam_region *region = loam_region_holding(proc, proc->heap_base);
	return region != NULL && (region->flags & LOAM_REGION_HEAP) != 0
		       ? region
		       : NULL;
}

static int brk_grow(struct loam_proc *proc, uintptr_t old_end, uintptr_t end,
		    struct proc_spares *spares)
{
	size_t more = end - old_end;
	struct loam_region *region = brk_region(proc);
	if (!loam_proc_has_room(proc, more, 0)) {
		return -LOAM_ENOMEM;
	}
	if (region != NULL && region_end(region) == old_end) {
		if (!remap_can_extend(proc, region, more)) {
			return -LOAM_ENOMEM;
		}
		loam_region_resize(proc, region, region->start,
				   region->size + more);
		return 0;
	}
	if (loam_region_covered(proc, old_end, more) != 0 ||
	    !proc_has_regions(proc, 1) || spares->head == NULL) {
		return -LOAM_ENOMEM;
	}
	region = loam_proc_spares_take(spares);
	*region = (struct loam_region){
		.start = old_end,
		.size = more,
		.ops = &loam_region_anonymous,
		.prot = LOAM_PROT_READ | LOAM_PROT_WRITE,
		.flags = LOAM_REGION_HEAP,
		.name = "[heap]",
	};
	loam_region_link(proc, region);
	return 0;
}

static int brk_move(struct loam_proc *proc, uintptr_t wanted,
		    struct proc_spares *spares)
{
	uintptr_t old_end = proc->heap_end;
	uintptr_t end = wanted;
	if (wanted < proc->heap_base || wanted > proc->heap_limit ||
	    !loam_pt_align_up(wanted, &end) ||
	    !loam_pt_align_up(proc->heap_end, &old_end)) {
		return -LOAM_ENOMEM;
	}
	int error = 0;
	if (end > old_end) {
		error = brk_grow(proc, old_end, end, spares);
	} else if (end < old_end) {
		error = loam_proc_unmap_prepare(proc, end, old_end);
		if (error == 0) {
			loam_proc_unmap_locked(proc, end, old_end, spares);
		}
	}
	if (error == 0) {
		proc->heap_end = wanted;
	}
	return error;
}

/*
 * True if moving the break may make or split a region. Mostly the region is
 * there and becomes longer, which takes nothing.
 */
static bool brk_needs_spares(struct loam_proc *proc, uintptr_t wanted)
{
	uintptr_t end = proc->heap_end;
	const struct loam_region *region = brk_region(proc);
	return wanted != 0 && (wanted < proc->heap_end || region == NULL ||
			       !loam_pt_align_up(proc->heap_end, &end) ||
			       region_end(region) != end);
}

int loam_proc_brk(struct loam_proc *proc, uintptr_t wanted, uintptr_t *out)
{
	struct proc_spares spares = { .procs = proc->procs, .head = NULL };
	int error = 0;
	loam_lock(&proc->lock);
	if (brk_needs_spares(proc, wanted)) {
		/* They are there from now on, whatever the break has become. */
		loam_unlock(&proc->lock);
		error = loam_proc_spares_fill(proc->procs, &spares, 2);
		loam_lock(&proc->lock);
	}
	if (error == 0 && wanted != 0) {
		error = brk_move(proc, wanted, &spares);
	}
	*out = proc->heap_end;
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&spares);
	return error;
}

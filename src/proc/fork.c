/* SPDX-License-Identifier: MIT */
/* Fork: a copy of a space; page tables are copied when they are written to. */
#include "proc_int.h"

/* Descriptors for all of the parent's regions; it is locked then. */
static int fork_begin(struct loam_proc *parent, struct proc_spares *spares)
{
	for (;;) {
		loam_lock(&parent->lock);
		unsigned count = (unsigned)parent->regions.count;
		loam_unlock(&parent->lock);
		int error = loam_proc_spares_fill(parent->procs, spares, count);
		if (error != 0) {
			return error;
		}
		loam_lock(&parent->lock);
		if (parent->regions.count <= count) {
			return 0;
		}
		loam_unlock(&parent->lock);
		loam_proc_spares_release(spares);
	}
}

/* Everything of the parent's but its tables' contents. */
static int fork_copy_locked(struct loam_proc *parent, struct loam_proc *child,
			    struct proc_spares *spares)
{
	bool stale = false;
	int error = 0;
	struct loam_region *region = loam_region_above(parent, 0);
	for (; region != NULL && error == 0;
	     region = loam_region_next(region)) {
		struct loam_region *copy = loam_proc_spares_take(spares);
		*copy = *region;
		copy->ops->get(copy);
		loam_region_link(child, copy);
		error = loam_proc_tables_lend(parent, child, region, &stale);
	}
	child->resident_frames = parent->resident_frames;
	child->allocations = parent->allocations;
	child->heap_base = parent->heap_base;
	child->heap_end = parent->heap_end;
	child->heap_limit = parent->heap_limit;
	child->limits = parent->limits;
	if (stale) {
		loam_pt_flush(&parent->pt, 0, 0);
	}
	return error;
}

int loam_proc_fork(struct loam_proc *parent, struct loam_proc *child,
		   const char *name)
{
	struct proc_spares spares;
	int error = loam_proc_start(parent->procs, child, name);
	if (error != 0) {
		return error;
	}
	error = fork_begin(parent, &spares);
	if (error != 0) {
		loam_proc_stop(child);
		return error;
	}
	error = fork_copy_locked(parent, child, &spares);
	loam_unlock(&parent->lock);
	loam_proc_spares_release(&spares);
	if (error != 0) {
		loam_proc_stop(child);
		return error;
	}
	loam_proc_enlist(child);
	return 0;
}

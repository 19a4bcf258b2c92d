/* SPDX-License-Identifier: MIT */
/* Adding and removing regions. */
#include "proc_int.h"

/* What may be in a region's flags once it is mapped. */
#define MAP_KEPT                                                               \
	(LOAM_REGION_STACK | LOAM_REGION_HEAP | LOAM_REGION_MALLOC |           \
	 LOAM_REGION_GUARD)
#define MAP_FLAGS                                                              \
	(MAP_KEPT | LOAM_REGION_FIXED | LOAM_REGION_NO_REPLACE |               \
	 LOAM_REGION_POPULATE)
#define MAP_PROT (LOAM_PROT_READ | LOAM_PROT_WRITE | LOAM_PROT_EXEC)

bool loam_proc_has_room(const struct loam_proc *proc, size_t size, size_t gone)
{
	size_t used = proc->address_bytes - gone;
	size_t limit = proc->limits.address_bytes;
	return used <= limit && size <= limit - used;
}

/* -------- requests -------- */

static const struct loam_region_ops *map_ops(enum loam_region_kind kind)
{
	switch (kind) {
	case LOAM_REGION_ANONYMOUS:
		return &loam_region_anonymous;
	case LOAM_REGION_PHYSICAL:
		return &loam_region_physical;
	case LOAM_REGION_SHARED:
		return &loam_region_shared;
	case LOAM_REGION_PAGER:
		return &loam_region_pager;
	case LOAM_REGION_KINDS:
	default:
		return NULL;
	}
}

/* True if the object has all that the region is to show of it. */
static bool map_object_fits(const struct loam_proc *proc,
			    const struct loam_map_request *request)
{
	uint64_t offset = request->offset;
	uint64_t size = request->size;
	if ((offset & LOAM_PAGE_MASK) != 0 || size - 1 > UINT64_MAX - offset) {
		return false;
	}
	switch (request->kind) {
	case LOAM_REGION_PHYSICAL:
		return ((offset + size - 1) &
			~(proc->pt.geometry->phys_mask | LOAM_PAGE_MASK)) == 0;
	case LOAM_REGION_SHARED:
		return request->shared != NULL &&
		       (offset + size) >> LOAM_PAGE_SHIFT <=
			       loam_shared_pages(request->shared);
	case LOAM_REGION_PAGER:
		return request->pager != NULL;
	case LOAM_REGION_ANONYMOUS:
	case LOAM_REGION_KINDS:
	default:
		return true;
	}
}

static bool map_stack_fits(const struct loam_proc *proc,
			   const struct loam_map_request *request)
{
	const struct loam_procs_config *config = &proc->procs->config;
	uintptr_t limit = request->limit;
	return (request->flags & LOAM_REGION_FIXED) != 0 &&
	       request->kind == LOAM_REGION_ANONYMOUS &&
	       (limit & LOAM_PAGE_MASK) == 0 && limit <= request->start &&
	       limit >= LOAM_PAGE_SIZE && limit >= config->user_base;
}

static bool map_request_fits(const struct loam_proc *proc,
			     const struct loam_map_request *request)
{
	bool fixed = (request->flags & LOAM_REGION_FIXED) != 0;
	if (request->size == 0 || (request->size & LOAM_PAGE_MASK) != 0 ||
	    (request->flags & ~MAP_FLAGS) != 0 ||
	    (request->prot & ~MAP_PROT) != 0 ||
	    map_ops(request->kind) == NULL || !map_object_fits(proc, request)) {
		return false;
	}
	if (fixed && !proc_range_fits(proc, request->start, request->size)) {
		return false;
	}
	return (request->flags & LOAM_REGION_STACK) == 0 ||
	       map_stack_fits(proc, request);
}

/* -------- removing -------- */

/* A region goes whose pages have gone. */
static void unmap_region(struct loam_proc *proc, struct loam_region *region,
			 struct proc_spares *spares)
{
	loam_region_unlink(proc, region);
	if ((region->flags & LOAM_REGION_MALLOC) != 0) {
		proc->allocations--;
	}
	region->ops->put(region);
	loam_proc_spares_add(spares, region);
}

void loam_proc_unmap_locked(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end, struct proc_spares *spares)
{
	struct proc_batch batch;
	proc_batch_begin(&batch, proc);
	loam_region_split(proc, start, spares);
	loam_region_split(proc, end, spares);
	struct loam_region *region = loam_region_above(proc, start);
	while (region != NULL && region->start < end) {
		struct loam_region *next = loam_region_next(region);
		loam_proc_zap(&batch, region, region->start, region_end(region),
			      false);
		unmap_region(proc, region, spares);
		region = next;
	}
	loam_proc_batch_end(&batch);
}

int loam_proc_unmap_prepare(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end)
{
	unsigned more = loam_region_splits_around(proc, start, end);
	return proc_has_regions(proc, more)
		       ? loam_proc_tables_prepare(proc, start, end)
		       : -LOAM_ENOMEM;
}

/* Unmaps a region and nothing else, as most calls do. */
static int unmap_whole(struct loam_proc *proc, struct loam_region *region,
		       struct proc_spares *spares)
{
	uintptr_t start = region->start;
	uintptr_t end = region_end(region);
	struct proc_batch batch;
	proc_batch_begin(&batch, proc);
	if (!loam_proc_zap_own(&batch, region)) {
		int error = loam_proc_tables_prepare(proc, start, end);
		if (error != 0) {
			return error;
		}
		loam_proc_zap(&batch, region, start, end, false);
	}
	unmap_region(proc, region, spares);
	loam_proc_batch_end(&batch);
	return 0;
}

/* What ends no region in its middle needs no memory to go. */
static int unmap_any(struct loam_proc *proc, uintptr_t start, uintptr_t end,
		     struct proc_spares *spares)
{
	if (loam_region_is_cut(proc, start) || loam_region_is_cut(proc, end)) {
		loam_unlock(&proc->lock);
		int error = loam_proc_spares_fill(proc->procs, spares, 2);
		loam_lock(&proc->lock);
		if (error != 0) {
			return error;
		}
	}
	int error = loam_proc_unmap_prepare(proc, start, end);
	if (error == 0) {
		loam_proc_unmap_locked(proc, start, end, spares);
	}
	return error;
}

int loam_proc_unmap(struct loam_proc *proc, uintptr_t start, size_t size)
{
	struct proc_spares spares = { .procs = proc->procs, .head = NULL };
	if (!proc_range_fits(proc, start, size)) {
		return -LOAM_EINVAL;
	}
	loam_lock(&proc->lock);
	struct loam_region *region = loam_region_holding(proc, start);
	bool whole = region != NULL && region->start == start &&
		     region->size == size;
	int error = whole ? unmap_whole(proc, region, &spares)
			  : unmap_any(proc, start, start + size, &spares);
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&spares);
	return error;
}

/* -------- adding -------- */

/* Where the region goes; 0 and the error in *error. */
static uintptr_t map_place(struct loam_proc *proc,
			   const struct loam_map_request *request, int *error)
{
	const struct loam_procs_config *config = &proc->procs->config;
	uintptr_t wish = request->start & ~(uintptr_t)LOAM_PAGE_MASK;
	bool fixed = (request->flags & LOAM_REGION_FIXED) != 0;
	bool guard = (request->flags & LOAM_REGION_GUARD) != 0;
	*error = 0;
	if (fixed) {
		if ((request->flags & LOAM_REGION_NO_REPLACE) != 0 &&
		    loam_region_covered(proc, request->start, request->size) !=
			    0) {
			*error = -LOAM_EEXIST;
			return 0;
		}
		return request->start;
	}
	if (wish != 0 && proc_range_fits(proc, wish, request->size) &&
	    loam_region_is_room(proc, wish, request->size,
				guard ? LOAM_PAGE_SIZE : 0)) {
		return wish;
	}
	uintptr_t start = loam_region_find_room(proc, config->map_base,
						config->map_end, request->size,
						guard ? LOAM_PAGE_SIZE : 0);
	*error = start == 0 ? -LOAM_ENOMEM : 0;
	return start;
}

/* Links a region that request describes at `start`, in room that is free. */
static void map_link(struct loam_proc *proc,
		     const struct loam_map_request *request, uintptr_t start,
		     struct proc_spares *spares)
{
	struct loam_region *region = loam_proc_spares_take(spares);
	*region = (struct loam_region){
		.start = start,
		.size = request->size,
		.ops = map_ops(request->kind),
		.prot = request->prot,
		.flags = request->flags & MAP_KEPT,
		.offset = request->offset,
		.limit = request->limit,
		.name = request->name,
	};
	switch (request->kind) {
	case LOAM_REGION_SHARED:
		region->shared = request->shared;
		break;
	case LOAM_REGION_PAGER:
		region->pager = request->pager;
		break;
	case LOAM_REGION_PHYSICAL:
		region->allowed = request->prot;
		break;
	case LOAM_REGION_ANONYMOUS:
	case LOAM_REGION_KINDS:
	default:
		break;
	}
	region->ops->get(region);
	proc->allocations += (region->flags & LOAM_REGION_MALLOC) != 0;
	loam_region_link_joined(proc, region, spares);
}

/* How many regions more there may be with a new one at [start, end). */
static unsigned map_regions(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end)
{
	/* One that lies within makes room for it. */
	const struct loam_region *region = loam_region_above(proc, start);
	if (region != NULL && region->start < start) {
		region = loam_region_next(region);
	}
	bool replaces = region != NULL && region->start < end &&
			region_end(region) <= end;
	return (replaces ? 0 : 1) + loam_region_splits_around(proc, start, end);
}

static int map_locked(struct loam_proc *proc,
		      const struct loam_map_request *request,
		      struct proc_spares *spares, uintptr_t *start)
{
	int error;
	uintptr_t at = map_place(proc, request, &error);
	if (error != 0) {
		return error;
	}
	uintptr_t end = at + request->size;
	size_t gone = 0;
	unsigned more = 1;
	if ((request->flags & LOAM_REGION_FIXED) != 0) {
		gone = loam_region_covered(proc, at, request->size);
		more = map_regions(proc, at, end);
	}
	if (!loam_proc_has_room(proc, request->size, gone) ||
	    !proc_has_regions(proc, more) ||
	    ((request->flags & LOAM_REGION_MALLOC) != 0 &&
	     proc->allocations >= proc->limits.allocations)) {
		return -LOAM_ENOMEM;
	}
	if (gone != 0) {
		error = loam_proc_tables_prepare(proc, at, end);
		if (error != 0) {
			return error;
		}
		loam_proc_unmap_locked(proc, at, end, spares);
	}
	map_link(proc, request, at, spares);
	*start = at;
	return 0;
}

int loam_proc_map(struct loam_proc *proc,
		  const struct loam_map_request *request, uintptr_t *start)
{
	struct proc_spares spares;
	uintptr_t at = 0;
	if (!map_request_fits(proc, request)) {
		return -LOAM_EINVAL;
	}
	/* One for the region, two for the ends of what it replaces. */
	unsigned needed = (request->flags & LOAM_REGION_FIXED) != 0 ? 3 : 1;
	int error = loam_proc_spares_fill(proc->procs, &spares, needed);
	if (error != 0) {
		return error;
	}
	loam_lock(&proc->lock);
	error = map_locked(proc, request, &spares, &at);
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&spares);
	if (error != 0) {
		return error;
	}
	if ((request->flags & LOAM_REGION_POPULATE) != 0) {
		error = loam_proc_populate(proc, at, request->size);
		if (error != 0) {
			/* What it replaced is gone; it itself does not stay. */
			(void)loam_proc_unmap(proc, at, request->size);
			return error;
		}
	}
	*start = at;
	return 0;
}

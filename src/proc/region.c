/* SPDX-License-Identifier: MIT */
/* Regions as a tree by address that knows where there is room. */
#include "proc_int.h"

/*
 * Each region knows the free bytes between its predecessor and itself, and the
 * tree keeps the largest such gap of each subtree, so that the lowest room of a
 * size is found in one descent. Guards count as taken: a region reaches from
 * region_low() to region_high(), which for most is what it maps.
 *
 *	   gap                 gap = 0
 *	|<----->|###########|G|######|
 *	        ^ start        ^ start of the next
 */

static struct loam_region *region_of(const struct loam_tree_node *node)
{
	return node == NULL ? NULL
			    : LOAM_CONTAINER(
				      (struct loam_tree_node *)(uintptr_t)node,
				      struct loam_region, node);
}

static uintptr_t region_low(const struct loam_region *region)
{
	if ((region->flags & LOAM_REGION_STACK) != 0) {
		return region->limit - LOAM_PAGE_SIZE;
	}
	bool guard = (region->flags & LOAM_REGION_GUARD) != 0;
	return region->start - (guard ? LOAM_PAGE_SIZE : 0);
}

static uintptr_t region_high(const struct loam_region *region)
{
	bool guard = (region->flags & LOAM_REGION_GUARD) != 0;
	return region_end(region) + (guard ? LOAM_PAGE_SIZE : 0);
}

/* -------- descriptors -------- */

static void region_free(struct loam_procs *procs, struct loam_region *region)
{
	loam_kfree(procs->config.kmalloc, region);
}

int loam_proc_spares_fill(struct loam_procs *procs, struct proc_spares *spares,
			  unsigned count)
{
	spares->procs = procs;
	spares->head = NULL;
	for (; count != 0; count--) {
		struct loam_region *region = loam_kmalloc(
			procs->config.kmalloc, sizeof(struct loam_region), 0);
		if (region == NULL) {
			loam_proc_spares_release(spares);
			return -LOAM_ENOMEM;
		}
		loam_proc_spares_add(spares, region);
	}
	return 0;
}

struct loam_region *loam_proc_spares_take(struct proc_spares *spares)
{
	struct loam_region *region = region_of(spares->head);
	LOAM_VERIFY(region != NULL);
	spares->head = region->node.parent;
	return region;
}

void loam_proc_spares_add(struct proc_spares *spares,
			  struct loam_region *region)
{
	region->node.parent = spares->head;
	spares->head = &region->node;
}

void loam_proc_spares_release(struct proc_spares *spares)
{
	while (spares->head != NULL) {
		region_free(spares->procs, loam_proc_spares_take(spares));
	}
}

/* -------- the tree -------- */

static int region_compare(const struct loam_tree_node *a,
			  const struct loam_tree_node *b)
{
	uintptr_t first = region_of(a)->start;
	uintptr_t second = region_of(b)->start;
	return first < second ? -1 : first > second;
}

static void region_update(struct loam_tree_node *node)
{
	struct loam_region *region = region_of(node);
	size_t most = region->gap;
	for (unsigned side = 0; side < 2; side++) {
		const struct loam_region *child = region_of(node->child[side]);
		if (child != NULL && child->max_gap > most) {
			most = child->max_gap;
		}
	}
	region->max_gap = most;
}

void loam_region_tree_init(struct loam_tree *tree)
{
	loam_tree_init(tree, region_compare, region_update);
}

struct loam_region *loam_region_next(const struct loam_region *region)
{
	return region_of(loam_tree_next(&region->node));
}

struct loam_region *loam_region_prev(const struct loam_region *region)
{
	return region_of(loam_tree_prev(&region->node));
}

/* The last region that starts at or below the address, or NULL. */
static struct loam_region *region_below(const struct loam_proc *proc,
					uintptr_t address)
{
	struct loam_region *region = region_of(proc->regions.root);
	struct loam_region *best = NULL;
	while (region != NULL) {
		bool right = region->start <= address;
		if (right) {
			best = region;
		}
		region = region_of(region->node.child[right]);
	}
	return best;
}

struct loam_region *loam_region_holding(struct loam_proc *proc,
					uintptr_t address)
{
	struct loam_region *region = proc->last;
	if (region != NULL && address - region->start < region->size) {
		return region;
	}
	region = region_below(proc, address);
	if (region == NULL || address - region->start >= region->size) {
		return NULL;
	}
	proc->last = region;
	return region;
}

struct loam_region *loam_region_above(struct loam_proc *proc, uintptr_t address)
{
	struct loam_region *region = region_below(proc, address);
	if (region == NULL) {
		return region_of(loam_tree_first(&proc->regions));
	}
	return address < region_end(region) ? region : loam_region_next(region);
}

/* Sets the gap before a region; true if it has changed. */
static bool region_measure(struct loam_region *region,
			   const struct loam_region *before)
{
	uintptr_t from = before == NULL ? 0 : region_high(before);
	uintptr_t to = region_low(region);
	size_t gap = to > from ? to - from : 0;
	bool changed = region->gap != gap;
	region->gap = gap;
	return changed;
}

/* After a region came, went or changed: the gap of the one behind. */
static void region_measure_next(struct loam_proc *proc,
				struct loam_region *next,
				const struct loam_region *before)
{
	if (next != NULL && region_measure(next, before)) {
		loam_tree_updated(&proc->regions, &next->node);
	}
}

/* Links a region behind `before`, or as the first; the one behind it. */
static struct loam_region *region_link_behind(struct loam_proc *proc,
					      struct loam_region *region,
					      struct loam_region *before)
{
	LOAM_VERIFY(before == NULL || before->start < region->start);
	(void)region_measure(region, before);
	region->max_gap = region->gap;
	loam_tree_insert_after(&proc->regions, &region->node,
			       before == NULL ? NULL : &before->node);
	struct loam_region *next = loam_region_next(region);
	region_measure_next(proc, next, region);
	proc->address_bytes += region->size;
	proc->last = region;
	proc->generation++;
	return next;
}

void loam_region_link(struct loam_proc *proc, struct loam_region *region)
{
	(void)region_link_behind(proc, region,
				 region_below(proc, region->start));
}

void loam_region_unlink(struct loam_proc *proc, struct loam_region *region)
{
	struct loam_region *before = loam_region_prev(region);
	struct loam_region *next = loam_region_next(region);
	loam_tree_remove(&proc->regions, &region->node);
	region_measure_next(proc, next, before);
	proc->address_bytes -= region->size;
	proc->last = NULL;
	proc->generation++;
}

void loam_region_resize(struct loam_proc *proc, struct loam_region *region,
			uintptr_t start, size_t size)
{
	proc->address_bytes += size - region->size;
	region->start = start;
	region->size = size;
	if (region_measure(region, loam_region_prev(region))) {
		loam_tree_updated(&proc->regions, &region->node);
	}
	region_measure_next(proc, loam_region_next(region), region);
	proc->generation++;
}

/* -------- splitting and joining -------- */

void loam_region_split(struct loam_proc *proc, uintptr_t at,
		       struct proc_spares *spares)
{
	struct loam_region *low = loam_region_holding(proc, at);
	if (low == NULL || low->start == at) {
		return;
	}
	struct loam_region *high = loam_proc_spares_take(spares);
	*high = *low;
	high->start = at;
	high->size = region_end(low) - at;
	high->offset += at - low->start;
	/* What is told by the region's start stays with the lower part. */
	high->flags &= ~(LOAM_REGION_MALLOC | LOAM_REGION_HEAP);
	high->ops->get(high);
	loam_region_resize(proc, low, low->start, at - low->start);
	loam_region_link(proc, high);
}

unsigned loam_region_splits(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end)
{
	const struct loam_region *low = loam_region_holding(proc, start);
	const struct loam_region *high = loam_region_holding(proc, end);
	unsigned splits = low != NULL && low->start != start;
	splits += high != NULL && high->start != end;
	return splits;
}

bool loam_region_is_cut(struct loam_proc *proc, uintptr_t at)
{
	const struct loam_region *region = loam_region_holding(proc, at);
	return region != NULL && region->start != at;
}

unsigned loam_region_splits_around(struct loam_proc *proc, uintptr_t start,
				   uintptr_t end)
{
	const struct loam_region *region = loam_region_holding(proc, start);
	return region != NULL && region->start != start &&
	       end - region->start < region->size;
}

static bool region_is_alike(const struct loam_region *low,
			    const struct loam_region *high)
{
	uint32_t single = LOAM_REGION_STACK | LOAM_REGION_MALLOC |
			  LOAM_REGION_GUARD | LOAM_REGION_HEAP;
	if (region_end(low) != high->start || low->ops != high->ops ||
	    low->prot != high->prot || low->flags != high->flags ||
	    (low->flags & single) != 0 || low->name != high->name) {
		return false;
	}
	switch (low->ops->kind) {
	case LOAM_REGION_ANONYMOUS:
		return true;
	case LOAM_REGION_PHYSICAL:
		return low->offset + low->size == high->offset &&
		       low->allowed == high->allowed;
	case LOAM_REGION_SHARED:
		return low->offset + low->size == high->offset &&
		       low->shared == high->shared;
	case LOAM_REGION_PAGER:
		return low->offset + low->size == high->offset &&
		       low->pager == high->pager;
	case LOAM_REGION_KINDS:
	default:
		return false;
	}
}

/* Joins high to low. */
static void region_join(struct loam_proc *proc, struct loam_region *low,
			struct loam_region *high, struct proc_spares *spares)
{
	size_t size = low->size + high->size;
	loam_region_unlink(proc, high);
	loam_region_resize(proc, low, low->start, size);
	high->ops->put(high);
	loam_proc_spares_add(spares, high);
}

void loam_region_link_joined(struct loam_proc *proc, struct loam_region *region,
			     struct proc_spares *spares)
{
	struct loam_region *before = region_below(proc, region->start);
	struct loam_region *next = region_link_behind(proc, region, before);
	if (next != NULL && region_is_alike(region, next)) {
		region_join(proc, region, next, spares);
	}
	if (before != NULL && region_is_alike(before, region)) {
		region_join(proc, before, region, spares);
	}
}

void loam_region_merge(struct loam_proc *proc, uintptr_t start, uintptr_t end,
		       struct proc_spares *spares)
{
	struct loam_region *region = region_below(proc, start);
	if (region != NULL && region->start == start) {
		struct loam_region *before = loam_region_prev(region);
		region = before != NULL ? before : region;
	}
	while (region != NULL && region->start <= end) {
		struct loam_region *next = loam_region_next(region);
		if (next != NULL && region_end(region) == next->start &&
		    region_is_alike(region, next)) {
			region_join(proc, region, next, spares);
		} else {
			region = next;
		}
	}
}

size_t loam_region_covered(struct loam_proc *proc, uintptr_t start, size_t size)
{
	uintptr_t end = start + size;
	size_t covered = 0;
	struct loam_region *region = loam_region_above(proc, start);
	while (region != NULL && region->start < end) {
		uintptr_t from = region->start > start ? region->start : start;
		uintptr_t to =
			region_end(region) < end ? region_end(region) : end;
		covered += to - from;
		region = loam_region_next(region);
	}
	return covered;
}

/* -------- room -------- */

bool loam_region_is_room(struct loam_proc *proc, uintptr_t start, size_t size,
			 size_t guard)
{
	const struct loam_region *above = loam_region_above(proc, start);
	const struct loam_region *below = region_below(proc, start);
	if (below != NULL && (region_high(below) > start ||
			      start - region_high(below) < guard)) {
		return false;
	}
	return above == NULL || (region_low(above) >= start &&
				 region_low(above) - start >= size + guard);
}

/* The lowest region of the subtree with such a gap, which there is. */
static struct loam_region *region_lowest_gap(struct loam_region *region,
					     size_t size)
{
	for (;;) {
		struct loam_region *left = region_of(region->node.child[0]);
		if (left != NULL && left->max_gap >= size) {
			region = left;
		} else if (region->gap >= size) {
			return region;
		} else {
			region = region_of(region->node.child[1]);
		}
	}
}

/* The next region behind this one with such a gap before it, or NULL. */
static struct loam_region *region_next_gap(struct loam_region *region,
					   size_t size)
{
	struct loam_region *right = region_of(region->node.child[1]);
	if (right != NULL && right->max_gap >= size) {
		return region_lowest_gap(right, size);
	}
	for (;;) {
		struct loam_region *parent = region_of(region->node.parent);
		if (parent == NULL) {
			return NULL;
		}
		bool from_left = region_of(parent->node.child[0]) == region;
		region = parent;
		if (!from_left) {
			continue;
		}
		if (region->gap >= size) {
			return region;
		}
		right = region_of(region->node.child[1]);
		if (right != NULL && right->max_gap >= size) {
			return region_lowest_gap(right, size);
		}
	}
}

uintptr_t loam_region_find_room(struct loam_proc *proc, uintptr_t low,
				uintptr_t high, size_t size, size_t guard)
{
	size_t need;
	if (!loam_size_add(size, 2 * guard, &need) || high <= low ||
	    need > high - low) {
		return 0;
	}
	/* The first region that reaches above low: a guard may lie lower. */
	struct loam_region *before = region_below(proc, low);
	struct loam_region *region =
		before == NULL ? region_of(loam_tree_first(&proc->regions))
			       : loam_region_next(before);
	if (before != NULL && low < region_end(before)) {
		region = before;
		before = loam_region_prev(region);
	}
	for (;;) {
		uintptr_t from = before == NULL ? 0 : region_high(before);
		from = from > low ? from : low;
		uintptr_t to = region == NULL ? high : region_low(region);
		to = to < high ? to : high;
		if (to > from && to - from >= need) {
			return from + guard;
		}
		if (region == NULL || to == high) {
			return 0;
		}
		struct loam_region *next = region_next_gap(region, need);
		before = next == NULL
				 ? region_of(loam_tree_last(&proc->regions))
				 : loam_region_prev(next);
		region = next;
	}
}

int loam_region_check(struct loam_proc *proc)
{
	const struct loam_procs_config *config = &proc->procs->config;
	size_t bytes = 0;
	uint32_t allocations = 0;
	struct loam_region *before = NULL;
	if (loam_tree_check(&proc->regions) != 0) {
		return -LOAM_EFAULT;
	}
	struct loam_region *region = region_of(loam_tree_first(&proc->regions));
	for (; region != NULL; region = loam_region_next(region)) {
		struct loam_region copy = *region;
		LOAM_CHECK(proc_range_fits(proc, region->start, region->size));
		LOAM_CHECK(before == NULL ||
			   region_end(before) <= region->start);
		LOAM_CHECK(!region_measure(&copy, before));
		region_update(&copy.node);
		LOAM_CHECK(copy.max_gap == region->max_gap);
		LOAM_CHECK((region->prot & ~(LOAM_PROT_READ | LOAM_PROT_WRITE |
					     LOAM_PROT_EXEC)) == 0);
		LOAM_CHECK((region->flags & LOAM_REGION_STACK) == 0 ||
			   region->limit <= region->start);
		bytes += region->size;
		allocations += (region->flags & LOAM_REGION_MALLOC) != 0;
		before = region;
	}
	LOAM_CHECK(bytes == proc->address_bytes);
	LOAM_CHECK(allocations == proc->allocations);
	LOAM_CHECK(proc->last == NULL ||
		   loam_tree_find(&proc->regions, &proc->last->node) ==
			   &proc->last->node);
	LOAM_CHECK(config->user_base < config->user_end);
	return 0;
}

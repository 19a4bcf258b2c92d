/* SPDX-License-Identifier: MIT */
/* Address spaces: their life, and what all of them share. */
#include "proc_int.h"

/*
 * Address spaces of processes
 * ===========================
 *
 * An address space is a tree of regions, which say what an address means, and
 * a page table, which says where its memory is, as far as it has been touched.
 * The tree is the truth; the table is a cache of it that a fault fills.
 *
 *	              region tree                      page tables
 *	program   [400000-41f000) r-x pager    ----->  frames of the pager
 *	heap      [41f000-430000) rw- anonymous ---->  own, or the zero page
 *	stack     [3fb000-3ff000) rw- grows down
 *
 * Files, from the ground up:
 *
 *	page.c       frames: had, cleared, copied, dropped after a flush
 *	region.c     the tree, and where there is room in it
 *	table.c      page tables that forks share
 *	anonymous.c, physical.c, shared.c, pager.c   the kinds
 *	fault.c      what an access needs
 *	map.c, change.c   map and unmap; protect, remap, advise, the break
 *	fork.c, copy.c, malloc.c   each what its name says
 *	pressure.c   when memory has run out
 *	proc.c       life, looking, checking
 *
 * Whose a frame is. Every entry of a table holds one reference to the frame it
 * maps, except to the zero page and to memory of physical regions. A frame
 * with one reference is therefore this space's alone, and a write may have it;
 * any other is copied first. That is all there is to copy-on-write: fork,
 * pagers and shared tables bring about nothing but counts. A table is shared by
 * a count of its own; see table.c.
 *
 * The kernel's part of the tables is the same in every space: root entries that
 * loam_pt_share() copied once and that never change (S0.12). In an identity map
 * the user's part may begin or end within what one root entry covers; that
 * table is then the space's own, with the kernel's entries copied.
 *
 * Validate, reserve, commit. Descriptors of regions are taken before the lock;
 * tables that a change needs are made or copied before its first step. What
 * can fail after that is only bringing pages, which leaves the region as it
 * would be before any touch.
 *
 * Locking. A space's lock protects its tree, its tables and its counters, and
 * is held over a whole operation, a flush of other CPUs' TLBs included, so that
 * no frame is used anew while one may still reach it. The lock of the list
 * comes before it, that of a shared object after it. Tables that are shared
 * need none (table.c). No pager is waited for under a lock.
 *
 * Running out. A fault that finds no frame gives its lock back and has
 * pressure.c get memory: what the frame floor reclaims, then what pagers keep;
 * then the process of the largest footprint is told to end, and the fault is
 * left to be tried again.
 *
 * Invariants, verified by loam_proc_check():
 *   1. Regions are whole pages of the user's part and do not overlap; gaps and
 *      their maxima are right; address_bytes and allocations are their sums.
 *   2. Every present entry is in a region, permits no more than it, and is
 *      writable only if this space alone, or all that show the region, may
 *      write to the frame; the zero page never is.
 *   3. resident_frames counts the present entries that hold references.
 *   4. A table that others have is forbidden writing by the entry above it.
 *   5. The page tables are well formed (loam_pt_check()).
 *
 * Cost. A fault: one descent of the tree unless the region is the last one
 * again, one of the tables. Fork: O(regions + tables). Unmap: O(pages that are
 * present) and one flush for every 64 of them. Memory: a descriptor for each
 * region; nothing for a page but its entry.
 *
 * Sources: Vahalia, UNIX Internals, chapter 14, for objects behind regions;
 * Zhao, Gong and Fonseca, On-demand-fork, EuroSys 2021, for shared tables.
 */

const char *loam_fault_kind_name(enum loam_fault_kind kind)
{
	static const char *const names[] = {
		[LOAM_FAULT_ZERO_PAGE] = "zero page",
		[LOAM_FAULT_ZERO_FILL] = "zero fill",
		[LOAM_FAULT_COPY] = "copy",
		[LOAM_FAULT_REUSE] = "reuse",
		[LOAM_FAULT_TABLE] = "table copy",
		[LOAM_FAULT_SHARED] = "shared",
		[LOAM_FAULT_PAGER] = "pager",
		[LOAM_FAULT_AROUND] = "around",
		[LOAM_FAULT_STACK] = "stack growth",
		[LOAM_FAULT_SPURIOUS] = "spurious",
		[LOAM_FAULT_BAD] = "bad",
		[LOAM_FAULT_NO_MEMORY] = "no memory",
	};
	LOAM_STATIC_ASSERT(LOAM_ARRAY_SIZE(names) == LOAM_FAULT_KINDS,
			   "each kind has a name");
	return kind < LOAM_FAULT_KINDS ? names[kind] : "unknown";
}

const char *loam_region_kind_name(enum loam_region_kind kind)
{
	static const char *const names[] = { "anonymous", "physical", "shared",
					     "pager" };
	LOAM_STATIC_ASSERT(LOAM_ARRAY_SIZE(names) == LOAM_REGION_KINDS,
			   "each kind has a name");
	return kind < LOAM_REGION_KINDS ? names[kind] : "unknown";
}

/* -------- what all share -------- */

static void proc_clear_page(void *page)
{
	memset(page, 0, LOAM_PAGE_SIZE);
}

static void proc_copy_page(void *to, const void *from)
{
	memcpy(to, from, LOAM_PAGE_SIZE);
}

static bool procs_config_fits(const struct loam_procs_config *config)
{
	uintptr_t bounds = config->user_base | config->user_end |
			   config->map_base | config->map_end;
	return config->kmalloc != NULL && config->frames != NULL &&
	       config->kernel_pt != NULL && (bounds & LOAM_PAGE_MASK) == 0 &&
	       config->user_base != 0 &&
	       config->user_base <= config->map_base &&
	       config->map_base < config->map_end &&
	       config->map_end <= config->user_end &&
	       (config->kernel_base == 0) == (config->kernel_size == 0);
}

int loam_procs_init(struct loam_procs *procs,
		    const struct loam_procs_config *config)
{
	if (!procs_config_fits(config)) {
		return -LOAM_EINVAL;
	}
	loam_pfn_t zero = loam_frame_alloc(
		config->frames, 0, LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_USER));
	if (zero == LOAM_PFN_NONE) {
		return -LOAM_ENOMEM;
	}
	*procs = (struct loam_procs){ .config = *config, .zero_pfn = zero };
	if (config->clear_page == NULL) {
		procs->config.clear_page = proc_clear_page;
	}
	if (config->copy_page == NULL) {
		procs->config.copy_page = proc_copy_page;
	}
	for (unsigned prot = 0; prot < LOAM_ARRAY_SIZE(procs->leaf_bits);
	     prot++) {
		procs->leaf_bits[prot] = loam_pt_leaf_encode(
			config->kernel_pt, 0,
			prot == 0 ? 0 : prot | LOAM_PROT_USER);
	}
	loam_lock_init(&procs->lock, "address spaces", LOAM_RANK_PROCS);
	loam_list_init(&procs->list);
	loam_list_init(&procs->pagers);
	return 0;
}

void loam_procs_fini(struct loam_procs *procs)
{
	LOAM_VERIFY(procs->count == 0);
	loam_frame_free(procs->config.frames, procs->zero_pfn, 0);
}

void loam_procs_stats(struct loam_procs *procs, struct loam_procs_stats *out)
{
	struct loam_procs_stats stats = { .count = 0 };
	struct loam_list *link;
	loam_lock(&procs->lock);
	stats.count = procs->count;
	stats.reclaimed = procs->reclaimed;
	stats.out_of_memory = procs->out_of_memory;
	memcpy(stats.faults, procs->faults, sizeof(stats.faults));
	LOAM_LIST_EACH(link, &procs->list)
	{
		const struct loam_proc *proc =
			LOAM_CONTAINER(link, struct loam_proc, link);
		for (unsigned i = 0; i < LOAM_FAULT_KINDS; i++) {
			stats.faults[i] += proc->faults[i];
		}
	}
	loam_unlock(&procs->lock);
	*out = stats;
}

int loam_procs_walk(struct loam_procs *procs,
		    int (*visit)(void *arg, struct loam_proc *proc), void *arg)
{
	int result = 0;
	loam_lock(&procs->lock);
	struct loam_list *link = procs->list.next;
	while (link != &procs->list && result == 0) {
		struct loam_proc *proc =
			LOAM_CONTAINER(link, struct loam_proc, link);
		link = link->next;
		result = visit(arg, proc);
	}
	loam_unlock(&procs->lock);
	return result;
}

/* -------- the kernel's part -------- */

static int share_run(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		     loam_prot_t prot, size_t page_size)
{
	struct loam_proc *proc = arg;
	(void)page_size;
	return loam_pt_map(&proc->pt, virt, phys, size, prot, false);
}

/* Copies what the kernel maps in [from, last], within one root entry. */
static int share_copy(struct loam_proc *proc, uintptr_t from, uintptr_t last)
{
	return loam_pt_visit(proc->procs->config.kernel_pt, from, last,
			     share_run, proc);
}

/* One root entry of an identity map, which covers [first, last]. */
static int share_entry(struct loam_proc *proc, uintptr_t first, uintptr_t last)
{
	const struct loam_procs_config *config = &proc->procs->config;
	uintptr_t user_last = config->user_end - 1;
	if (last < config->user_base || first > user_last) {
		int error = loam_pt_share(&proc->pt, config->kernel_pt, first,
					  last - first + 1);
		return error == -LOAM_ENOENT ? 0 : error;
	}
	int error = 0;
	if (first < config->user_base) {
		error = share_copy(proc, first, config->user_base - 1);
	}
	if (error == 0 && last > user_last) {
		error = share_copy(proc, user_last + 1, last);
	}
	return error;
}

static int share_identity(struct loam_proc *proc)
{
	const struct loam_pt_geometry *geometry = proc->pt.geometry;
	unsigned root = geometry->levels - 1u;
	unsigned shift = geometry->span_shift[root] + LOAM_PAGE_SHIFT;
	int error = geometry->virt_bits > 32 ? -LOAM_EINVAL : 0;
	for (unsigned i = 0; i < 1u << geometry->index_bits[root] && error == 0;
	     i++) {
		uintptr_t first = ((uintptr_t)i << shift) + proc->pt.bias;
		error = share_entry(proc, first,
				    first + (((uintptr_t)1 << shift) - 1));
	}
	return error;
}

static int proc_share_kernel(struct loam_proc *proc)
{
	const struct loam_procs_config *config = &proc->procs->config;
	if (config->share_kernel != NULL) {
		return config->share_kernel(config->ctx, &proc->pt);
	}
	if (config->kernel_base == 0) {
		return share_identity(proc);
	}
	return loam_pt_share(&proc->pt, config->kernel_pt, config->kernel_base,
			     config->kernel_size);
}

/* -------- life -------- */

static const struct loam_proc_limits proc_default_limits = {
	.address_bytes = (size_t)1 << 30,
	.resident_frames = SIZE_MAX,
	.regions = 1024,
	.allocations = 1024,
};

int loam_proc_start(struct loam_procs *procs, struct loam_proc *proc,
		    const char *name)
{
	const struct loam_pt *kernel = procs->config.kernel_pt;
	memset(proc, 0, sizeof(*proc));
	proc->procs = procs;
	proc->limits = proc_default_limits;
	loam_snprintf(proc->name, sizeof(proc->name), "%s", name);
	loam_lock_init(&proc->lock, "address space", LOAM_RANK_PROC);
	loam_list_init(&proc->link);
	loam_region_tree_init(&proc->regions);
	int error = loam_pt_init(&proc->pt, kernel->geometry, &loam_proc_pt_ops,
				 kernel->tlb, proc);
	if (error != 0) {
		return error;
	}
	proc->pt.bias = kernel->bias;
	proc->pt.policy = kernel->policy;
	proc->pt.lends = true;
	error = proc_share_kernel(proc);
	if (error != 0) {
		loam_pt_fini(&proc->pt);
	}
	return error;
}

void loam_proc_enlist(struct loam_proc *proc)
{
	struct loam_procs *procs = proc->procs;
	loam_lock(&procs->lock);
	loam_list_insert_tail(&procs->list, &proc->link);
	procs->count++;
	loam_unlock(&procs->lock);
}

int loam_proc_create(struct loam_procs *procs, struct loam_proc *proc,
		     const char *name)
{
	int error = loam_proc_start(procs, proc, name);
	if (error == 0) {
		loam_proc_enlist(proc);
	}
	return error;
}

void loam_proc_stop(struct loam_proc *proc)
{
	struct proc_spares gone = { .procs = proc->procs, .head = NULL };
	struct proc_batch batch;
	proc_batch_begin(&batch, proc);
	loam_lock(&proc->lock);
	LOAM_VERIFY(proc->pt.live == 0);
	struct loam_region *region = loam_region_above(proc, 0);
	for (; region != NULL; region = loam_region_next(region)) {
		loam_proc_zap(&batch, region, region->start,
			      region->start + region->size, true);
	}
	loam_proc_batch_end(&batch);
	for (region = loam_region_above(proc, 0); region != NULL;
	     region = loam_region_above(proc, 0)) {
		loam_region_unlink(proc, region);
		region->ops->put(region);
		loam_proc_spares_add(&gone, region);
	}
	loam_pt_fini(&proc->pt);
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&gone);
}

void loam_proc_destroy(struct loam_proc *proc)
{
	struct loam_procs *procs = proc->procs;
	loam_lock(&procs->lock);
	loam_list_remove(&proc->link);
	procs->count--;
	for (unsigned i = 0; i < LOAM_FAULT_KINDS; i++) {
		procs->faults[i] += proc->faults[i];
	}
	loam_unlock(&procs->lock);
	loam_proc_stop(proc);
}

/*
 * Without the lock, so that a scheduler can call them under its own. A change
 * of the tables is written before flush.c reads `live`, with a barrier in
 * between; the count is raised, with a barrier, before the CPU loads the root:
 * so either the change is seen by the CPU's first walk, or the CPU is asked.
 */
void loam_proc_enter(struct loam_proc *proc)
{
	(void)__atomic_fetch_add(&proc->pt.live, 1, __ATOMIC_SEQ_CST);
}

void loam_proc_leave(struct loam_proc *proc)
{
	uint32_t before =
		__atomic_fetch_sub(&proc->pt.live, 1, __ATOMIC_SEQ_CST);
	LOAM_VERIFY(before != 0);
}

/* -------- looking -------- */

static void region_describe(const struct loam_region *region,
			    struct loam_region_info *out)
{
	*out = (struct loam_region_info){
		.start = region->start,
		.size = region->size,
		.prot = region->prot,
		.flags = region->flags,
		.kind = region->ops->kind,
		.offset = region->offset,
		.name = region->name,
	};
}

int loam_proc_walk(struct loam_proc *proc,
		   int (*visit)(void *arg, const struct loam_region_info *info),
		   void *arg)
{
	int result = 0;
	loam_lock(&proc->lock);
	struct loam_region *region = loam_region_above(proc, 0);
	for (; region != NULL && result == 0;
	     region = loam_region_next(region)) {
		struct loam_region_info info;
		region_describe(region, &info);
		result = visit(arg, &info);
	}
	loam_unlock(&proc->lock);
	return result;
}

int loam_proc_find(struct loam_proc *proc, uintptr_t address,
		   struct loam_region_info *out)
{
	loam_lock(&proc->lock);
	const struct loam_region *region = loam_region_above(proc, address);
	if (region != NULL) {
		region_describe(region, out);
	}
	loam_unlock(&proc->lock);
	return region != NULL ? 0 : -LOAM_ENOENT;
}

void loam_proc_stats(struct loam_proc *proc, struct loam_proc_stats *out)
{
	loam_lock(&proc->lock);
	*out = (struct loam_proc_stats){
		.address_bytes = proc->address_bytes,
		.resident_frames = proc->resident_frames,
		.tables = loam_pt_count_tables(&proc->pt),
		.regions = (uint32_t)proc->regions.count,
		.allocations = proc->allocations,
	};
	memcpy(out->faults, proc->faults, sizeof(out->faults));
	loam_unlock(&proc->lock);
}

int loam_proc_check(struct loam_proc *proc)
{
	loam_lock(&proc->lock);
	int error = loam_region_check(proc);
	if (error == 0) {
		error = loam_proc_tables_check(proc);
	}
	loam_unlock(&proc->lock);
	return error;
}

static int procs_check_one(void *arg, struct loam_proc *proc)
{
	uint32_t *seen = arg;
	++*seen;
	return loam_proc_check(proc);
}

int loam_procs_check(struct loam_procs *procs)
{
	uint32_t seen = 0;
	int error = loam_procs_walk(procs, procs_check_one, &seen);
	LOAM_CHECK(error != 0 || seen == procs->count);
	return error;
}

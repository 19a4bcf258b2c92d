/* SPDX-License-Identifier: MIT */
/* What the files of the proc floor share. */
#ifndef LOAM_PROC_INT_H
#define LOAM_PROC_INT_H

#include <loam/assert.h>
#include <loam/bits.h>
#include <loam/mem.h>
#include <loam/proc.h>
#include <loam/pt_leaf.h>

/* -------- kinds of regions -------- */

struct proc_fault;

/* What a step of an operation came to. */
enum proc_step {
	PROC_DONE,
	PROC_BAD,       /* the access is not permitted */
	PROC_NO_MEMORY, /* frames are to be had first, without the lock */
	PROC_PAGE,      /* the pager is to be asked, without the lock */
};

struct loam_region_ops {
	enum loam_region_kind kind;
	bool counted; /* an entry holds a reference to its frame */
	bool copies;  /* a write to a frame that others have makes a copy */
	/* The page is not present, and the access is permitted: map it. */
	enum proc_step (*fault)(struct proc_fault *fault);
	/* One region more, or one less, refers to the object. */
	void (*get)(struct loam_region *region);
	void (*put)(struct loam_region *region);
};

extern const struct loam_region_ops loam_region_anonymous;
extern const struct loam_region_ops loam_region_physical;
extern const struct loam_region_ops loam_region_shared;
extern const struct loam_region_ops loam_region_pager;

/* -------- regions: region.c -------- */

/*
 * Descriptors taken before the lock, so that nothing can fail under it; what
 * is left over is given back after it. Linked through node.parent.
 */
struct proc_spares {
	struct loam_procs *procs;
	struct loam_tree_node *head;
};

/* count descriptors, or -LOAM_ENOMEM and none. */
int loam_proc_spares_fill(struct loam_procs *procs, struct proc_spares *spares,
			  unsigned count);
struct loam_region *loam_proc_spares_take(struct proc_spares *spares);
/* A descriptor that is no longer used joins them; all go back at the end. */
void loam_proc_spares_add(struct proc_spares *spares,
			  struct loam_region *region);
void loam_proc_spares_release(struct proc_spares *spares);

void loam_region_tree_init(struct loam_tree *tree);

static inline uintptr_t region_end(const struct loam_region *region)
{
	return region->start + region->size;
}

struct loam_region *loam_region_next(const struct loam_region *region);
struct loam_region *loam_region_prev(const struct loam_region *region);

/* The region that holds the address, or NULL. Remembers it. */
struct loam_region *loam_region_holding(struct loam_proc *proc,
					uintptr_t address);

/* The first region that ends above the address, or NULL. */
struct loam_region *loam_region_above(struct loam_proc *proc,
				      uintptr_t address);

void loam_region_link(struct loam_proc *proc, struct loam_region *region);
void loam_region_unlink(struct loam_proc *proc, struct loam_region *region);

/* Links a region and joins it with its neighbours, where they are alike. */
void loam_region_link_joined(struct loam_proc *proc, struct loam_region *region,
			     struct proc_spares *spares);

/* Changes start or size of a linked region, in the room that it has. */
void loam_region_resize(struct loam_proc *proc, struct loam_region *region,
			uintptr_t start, size_t size);

/* Makes `at` a boundary between regions, if one spans it. */
void loam_region_split(struct loam_proc *proc, uintptr_t at,
		       struct proc_spares *spares);

/* Joins the regions in and beside the range, where they are alike. */
void loam_region_merge(struct loam_proc *proc, uintptr_t start, uintptr_t end,
		       struct proc_spares *spares);

/* True if the address is in the middle of a region. */
bool loam_region_is_cut(struct loam_proc *proc, uintptr_t at);

/*
 * How many regions more there are once the ends of the range are boundaries;
 * and once what is in between has gone.
 */
unsigned loam_region_splits(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end);
unsigned loam_region_splits_around(struct loam_proc *proc, uintptr_t start,
				   uintptr_t end);

/* True if so many more regions are within the limit. */
static inline bool proc_has_regions(const struct loam_proc *proc, size_t more)
{
	size_t limit = proc->limits.regions;
	return more == 0 || (proc->regions.count < limit &&
			     more <= limit - proc->regions.count);
}

/*
 * True if the range is free, and so are its guards, and it lies in nobody's
 * guard and where no stack grows.
 */
bool loam_region_is_room(struct loam_proc *proc, uintptr_t start, size_t size,
			 size_t guard);

/* Bytes of the range that are in regions. */
size_t loam_region_covered(struct loam_proc *proc, uintptr_t start,
			   size_t size);

/*
 * The lowest address in [low, high) with room for size bytes, keeping away from
 * guards, its own (guard bytes on each side) and others'; 0: none.
 */
uintptr_t loam_region_find_room(struct loam_proc *proc, uintptr_t low,
				uintptr_t high, size_t size, size_t guard);

int loam_region_check(struct loam_proc *proc);

/* -------- pages and tables: page.c, table.c -------- */

/* Frames that leave a space: freed after the TLB has forgotten them. */
#define PROC_BATCH 64u

struct proc_batch {
	struct loam_proc *proc;
	unsigned count;
	bool stale; /* something of [start, end) was present */
	uintptr_t start;
	uintptr_t end;
	loam_pfn_t pfns[PROC_BATCH];
};

static inline void proc_batch_begin(struct proc_batch *batch,
				    struct loam_proc *proc)
{
	batch->proc = proc;
	batch->count = 0;
	batch->stale = false;
}

/* Flushes, then drops the references gathered so far. */
void loam_proc_batch_end(struct proc_batch *batch);

/* True if the region's entries hold references, pfn not being the zero page. */
static inline bool proc_is_counted(const struct loam_proc *proc,
				   const struct loam_region *region,
				   loam_pfn_t pfn)
{
	return region->ops->counted && pfn != proc->procs->zero_pfn;
}

/* True if the space must not have more frames than it has. */
static inline bool proc_is_full(const struct loam_proc *proc)
{
	return proc->resident_frames >= proc->limits.resident_frames;
}

static inline loam_pfn_t proc_entry_pfn(const struct loam_proc *proc,
					uint64_t entry)
{
	uint64_t mask = proc->pt.geometry->phys_mask;
	return (loam_pfn_t)(entry >> LOAM_PAGE_SHIFT) &
	       (loam_pfn_t)(mask >> LOAM_PAGE_SHIFT);
}

/*
 * The bits that permit are in the lower half of an entry (pt_leaf.h), which is
 * all that is looked at: an i386 has it in a register.
 */
static inline bool proc_is_present(const struct loam_proc *proc, uint64_t entry)
{
	return ((uint32_t)entry & (uint32_t)proc->pt.geometry->present) != 0;
}

static inline bool proc_is_writable(const struct loam_proc *proc,
				    uint64_t entry)
{
	return ((uint32_t)entry & (uint32_t)proc->pt.geometry->writable) != 0;
}

/* What a leaf of the region is to permit, writing included or not. */
static inline loam_prot_t proc_leaf_prot(const struct loam_region *region,
					 bool writable)
{
	loam_prot_t prot = region->prot;
	if (!writable) {
		prot &= ~LOAM_PROT_WRITE;
	}
	return prot == 0 ? 0 : prot | LOAM_PROT_USER;
}

/* That of an entry, but for the frame. */
static inline uint64_t proc_leaf_bits(const struct loam_proc *proc,
				      const struct loam_region *region,
				      bool writable)
{
	loam_prot_t prot = region->prot;
	if (!writable) {
		prot &= ~LOAM_PROT_WRITE;
	}
	if (LOAM_LIKELY(prot < LOAM_ARRAY_SIZE(proc->procs->leaf_bits))) {
		return proc->procs->leaf_bits[prot];
	}
	return loam_pt_leaf_encode(&proc->pt, 0, prot | LOAM_PROT_USER);
}

/* A frame's memory for a moment: strictly nested. NULL: no slot. */
void *loam_proc_page_open(struct loam_procs *procs, loam_pfn_t pfn);
void loam_proc_page_close(struct loam_procs *procs, void *page);

/* A cleared frame of user memory, or LOAM_PFN_NONE. Takes no reclaim. */
loam_pfn_t loam_proc_page_alloc(struct loam_procs *procs);

/* A frame that is a copy of another, or LOAM_PFN_NONE. */
loam_pfn_t loam_proc_page_copy(struct loam_procs *procs, loam_pfn_t from);

/* Drops one reference. */
void loam_proc_page_put(struct loam_procs *procs, loam_pfn_t pfn);

extern const struct loam_pt_ops loam_proc_pt_ops;

/*
 * Makes the table at leaf, which covers address, this space's alone and
 * writable, by copying it if others have it. -LOAM_ENOMEM.
 */
int loam_proc_table_own(struct loam_proc *proc, uintptr_t address,
			struct loam_pt_leaf *leaf);

/* The same for every table there is that covers part of the range. */
int loam_proc_tables_own(struct loam_proc *proc, uintptr_t start,
			 uintptr_t end);

/*
 * Before a range is unmapped: owns the tables that parts of a region in it
 * share with what stays. -LOAM_ENOMEM.
 */
int loam_proc_tables_prepare(struct loam_proc *proc, uintptr_t start,
			     uintptr_t end);

/*
 * Takes away the pages of [start, end), all of the one region. Tables that are
 * shared are given up as a whole, so prepare comes first; with `all`, when the
 * space ends, whatever else is in them.
 */
void loam_proc_zap(struct proc_batch *batch, const struct loam_region *region,
		   uintptr_t start, uintptr_t end, bool all);

/*
 * The same for a region that is in one table which no other space has, or none:
 * that needs no preparation. False, and nothing done: it is not.
 */
bool loam_proc_zap_own(struct proc_batch *batch,
		       const struct loam_region *region);

/* Lends the parent's tables to the child, region by region. -LOAM_ENOMEM. */
int loam_proc_tables_lend(struct loam_proc *parent, struct loam_proc *child,
			  const struct loam_region *region, bool *stale);

int loam_proc_tables_check(struct loam_proc *proc);

/* -------- life: proc.c -------- */

/* Creation in two steps: a space that nobody sees yet, and one on the list. */
int loam_proc_start(struct loam_procs *procs, struct loam_proc *proc,
		    const char *name);
void loam_proc_enlist(struct loam_proc *proc);

/* Takes everything out of a space that is on no list. */
void loam_proc_stop(struct loam_proc *proc);

/* -------- faults: fault.c -------- */

struct proc_fault {
	struct loam_proc *proc;
	struct loam_region *region;
	struct loam_pt_leaf leaf;
	uintptr_t page; /* the address, rounded down */
	bool write;
	enum loam_fault_kind kind; /* what it turned out to be */
	/* A page the pager gave, with a reference, or LOAM_PFN_NONE. */
	loam_pfn_t given;
};

/* Maps a frame at the fault's page and counts it as resident. */
static inline void proc_fault_install(struct proc_fault *fault, loam_pfn_t pfn,
				      bool writable)
{
	struct loam_proc *proc = fault->proc;
	const struct loam_region *region = fault->region;
	loam_pt_leaf_store(&proc->pt, fault->leaf.entries, fault->leaf.index,
			   loam_pfn_to_phys(pfn) |
				   proc_leaf_bits(proc, region, writable));
	proc->resident_frames += proc_is_counted(proc, region, pfn);
}

/* Makes every page of the range present, for writing where that is allowed. */
int loam_proc_populate(struct loam_proc *proc, uintptr_t start, size_t size);

/*
 * pressure.c: gets some memory back, without locks. OK: there is some; RETRY: a
 * process is about to end; MEMORY: nothing is to be had.
 */
enum loam_faulted loam_procs_pressure(struct loam_procs *procs);

/* -------- map.c -------- */

/* True if [start, start + size) is whole pages of the user's part. */
static inline bool proc_range_fits(const struct loam_proc *proc,
				   uintptr_t start, size_t size)
{
	const struct loam_procs_config *config = &proc->procs->config;
	return size != 0 && ((start | size) & LOAM_PAGE_MASK) == 0 &&
	       start >= config->user_base && start < config->user_end &&
	       size <= config->user_end - start;
}

/*
 * Under the lock, before a range is unmapped: all that can fail. -LOAM_ENOMEM:
 * a table, or the limit of regions where a hole makes two of one.
 */
int loam_proc_unmap_prepare(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end);

/* Unmaps under the lock; it is prepared, two spares are at hand. */
void loam_proc_unmap_locked(struct loam_proc *proc, uintptr_t start,
			    uintptr_t end, struct proc_spares *spares);

/* True if size more bytes are within the limits, `gone` bytes less. */
bool loam_proc_has_room(const struct loam_proc *proc, size_t size, size_t gone);

#endif

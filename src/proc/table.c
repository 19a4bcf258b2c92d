/* SPDX-License-Identifier: MIT */
/* Page tables that forks share until one of them writes. */
#include "proc_int.h"

/*
 * A table of level 0 that several spaces have is one of which the word beside
 * its frame counts the others. Every space that has it forbids writing in the
 * entry above, and changes nothing in it but to take the writable bit out of
 * entries; so nobody needs another's lock to read it.
 *
 *   parent                   child           after a write by the child
 *   above: read-only         above: same     above: own table, writable;
 *          \                /                its entries read-only,
 *        table, word = 1                     its frames referenced twice
 *        its frames referenced once
 *
 * A table's entries hold one reference to each frame, however many spaces have
 * the table. So a fork costs a count for each table, and only a copy of a table
 * costs one for each page.
 *
 * Leaving. Whoever stops using a table takes one off the word; who finds it 0
 * was the last, and owns the table and the references in it. The last one left
 * needs no copy: it finds the word 0 and permits itself to write again, page by
 * page, for in a private region a copier has taken the writable bit out of the
 * entries, and a frame with one reference is then simply reused.
 */

static uint32_t *table_word(const struct loam_proc *proc, loam_phys_t table)
{
	return loam_frame_word(proc->procs->config.frames,
			       loam_phys_to_pfn(table));
}

static bool table_is_shared(const struct loam_proc *proc, loam_phys_t table)
{
	return __atomic_load_n(table_word(proc, table), __ATOMIC_ACQUIRE) != 0;
}

/* One space less has it; false: this was the last, and the table is its own. */
static bool table_leave(const struct loam_proc *proc, loam_phys_t table)
{
	uint32_t *word = table_word(proc, table);
	if (__atomic_fetch_sub(word, 1, __ATOMIC_ACQ_REL) != 0) {
		return true;
	}
	__atomic_store_n(word, 0, __ATOMIC_RELAXED);
	return false;
}

/* -------- pieces: what a region has of a table -------- */

struct table_piece {
	const struct loam_region *region;
	unsigned first; /* entries [first, end) of the table */
	unsigned end;
};

/*
 * The next region that has part of the table which covers address; start with
 * region NULL. False: none is left.
 */
static bool table_next_piece(struct loam_proc *proc, uintptr_t address,
			     struct table_piece *piece)
{
	size_t bytes = (size_t)loam_pt_leaf_count(&proc->pt) << LOAM_PAGE_SHIFT;
	uintptr_t last = loam_pt_leaf_end(&proc->pt, address) - 1;
	uintptr_t first = last - (bytes - 1);
	const struct loam_region *region =
		piece->region == NULL ? loam_region_above(proc, first)
				      : loam_region_next(piece->region);
	if (region == NULL || region->start > last) {
		return false;
	}
	uintptr_t from = region->start > first ? region->start : first;
	uintptr_t to =
		region_end(region) - 1 < last ? region_end(region) - 1 : last;
	piece->region = region;
	piece->first = (unsigned)((from - first) >> LOAM_PAGE_SHIFT);
	piece->end = (unsigned)((to - first) >> LOAM_PAGE_SHIFT) + 1;
	return true;
}

/* -------- copying -------- */

/*
 * One entry of a table that is being copied: both copies may have it from here
 * on. What nobody may write without a copy loses the writable bit in both.
 */
static void table_copy_entry(struct loam_proc *proc,
			     const struct loam_region *region, void *from,
			     void *to, unsigned index)
{
	const struct loam_pt *pt = &proc->pt;
	uint64_t entry = loam_pt_leaf_load(pt, from, index);
	if (!proc_is_present(proc, entry)) {
		return;
	}
	loam_pfn_t pfn = proc_entry_pfn(proc, entry);
	if (proc_is_counted(proc, region, pfn)) {
		loam_frame_get(proc->procs->config.frames, pfn);
	}
	if (region->ops->copies && proc_is_writable(proc, entry)) {
		/* Others read `from` without a lock: it stays present. */
		entry &= ~pt->geometry->writable;
		loam_pt_leaf_forbid_write(pt, from, index);
	}
	loam_pt_leaf_store(pt, to, index, entry);
}

static void table_copy(struct loam_proc *proc, uintptr_t address, void *from,
		       void *to)
{
	/* What no region has is nobody's: the kernel's tables are not lent. */
	struct table_piece piece = { .region = NULL };
	while (table_next_piece(proc, address, &piece)) {
		for (unsigned i = piece.first; i < piece.end; i++) {
			table_copy_entry(proc, piece.region, from, to, i);
		}
	}
}

/* Drops the references of a table that turned out to be nobody's any more. */
static void table_discard(struct loam_proc *proc, uintptr_t address,
			  loam_phys_t table)
{
	const void *entries = loam_host_phys_to_virt(table);
	struct table_piece piece = { .region = NULL };
	while (table_next_piece(proc, address, &piece)) {
		for (unsigned i = piece.first; i < piece.end; i++) {
			uint64_t entry =
				loam_pt_leaf_load(&proc->pt, entries, i);
			loam_pfn_t pfn = proc_entry_pfn(proc, entry);
			if (proc_is_present(proc, entry) &&
			    proc_is_counted(proc, piece.region, pfn)) {
				loam_proc_page_put(proc->procs, pfn);
			}
		}
	}
	loam_proc_pt_ops.free_table(proc, table);
}

int loam_proc_table_own(struct loam_proc *proc, uintptr_t address,
			struct loam_pt_leaf *leaf)
{
	struct loam_pt *pt = &proc->pt;
	if (LOAM_LIKELY(loam_pt_leaf_writable(pt, leaf))) {
		return 0;
	}
	if (!table_is_shared(proc, leaf->table)) {
		loam_pt_leaf_set_writable(pt, leaf, true);
		return 0;
	}
	loam_phys_t old = leaf->table;
	loam_phys_t made = loam_proc_pt_ops.alloc_table(proc);
	if (made == LOAM_PHYS_NONE) {
		return -LOAM_ENOMEM;
	}
	table_copy(proc, address, leaf->entries, loam_host_phys_to_virt(made));
	loam_pt_leaf_replace(pt, leaf, made);
	/*
	 * The CPU may remember the way to the old table. Forgetting any one
	 * page makes it forget all ways (Intel SDM 3A, 4.10.4.1).
	 */
	loam_pt_flush(pt, address & ~(uintptr_t)LOAM_PAGE_MASK, LOAM_PAGE_SIZE);
	if (!table_leave(proc, old)) {
		table_discard(proc, address, old);
	}
	proc->faults[LOAM_FAULT_TABLE]++;
	return 0;
}

/* The end of the part of [address, end) that the table of address covers. */
static uintptr_t table_end(const struct loam_proc *proc, uintptr_t address,
			   uintptr_t end)
{
	uintptr_t last = loam_pt_leaf_end(&proc->pt, address) - 1;
	return last < end - 1 ? last + 1 : end;
}

int loam_proc_tables_own(struct loam_proc *proc, uintptr_t start, uintptr_t end)
{
	for (uintptr_t at = start; at < end; at = table_end(proc, at, end)) {
		struct loam_pt_leaf leaf;
		if (!loam_pt_leaf_find(&proc->pt, at, &leaf)) {
			continue;
		}
		int error = loam_proc_table_own(proc, at, &leaf);
		if (error != 0) {
			return error;
		}
	}
	return 0;
}

/* True if [from, to) is all that the table of `from` covers. */
static bool table_is_whole(const struct loam_proc *proc, uintptr_t from,
			   uintptr_t to)
{
	return (to - from) >> LOAM_PAGE_SHIFT == loam_pt_leaf_count(&proc->pt);
}

int loam_proc_tables_prepare(struct loam_proc *proc, uintptr_t start,
			     uintptr_t end)
{
	if (!proc->lent) {
		return 0;
	}
	struct loam_region *region = loam_region_above(proc, start);
	while (region != NULL && region->start < end) {
		uintptr_t at = region->start > start ? region->start : start;
		uintptr_t to =
			region_end(region) < end ? region_end(region) : end;
		while (at < to) {
			uintptr_t next = table_end(proc, at, to);
			if (!table_is_whole(proc, at, next)) {
				int error =
					loam_proc_tables_own(proc, at, next);
				if (error != 0) {
					return error;
				}
			}
			at = next;
		}
		region = loam_region_next(region);
	}
	return 0;
}

/* -------- taking pages away -------- */

/* A frame joins the batch. */
static inline void batch_frame(struct proc_batch *batch, loam_pfn_t pfn)
{
	batch->pfns[batch->count++] = pfn;
	if (batch->count == PROC_BATCH) {
		loam_proc_batch_end(batch);
	}
}

/* Pages from `page` on go from the batch's space: it is to be flushed. */
static inline void batch_range(struct proc_batch *batch, uintptr_t page,
			       uintptr_t end)
{
	if (!batch->stale) {
		batch->stale = true;
		batch->start = page;
	}
	batch->end = end;
}

/*
 * Empties the entries of a table from the leaf's on, for pages [page, end), and
 * returns how many frames that were. For entries of 4 bytes, in words.
 */
static size_t zap_narrow(struct proc_batch *batch,
			 const struct loam_region *region,
			 const struct loam_pt_leaf *leaf, uintptr_t page,
			 uintptr_t end)
{
	const struct loam_pt_geometry *geometry = batch->proc->pt.geometry;
	const uint32_t present = (uint32_t)geometry->present;
	const uint32_t mask = (uint32_t)geometry->phys_mask;
	const bool counted = region->ops->counted;
	const loam_pfn_t zero = batch->proc->procs->zero_pfn;
	uint32_t *at = (uint32_t *)leaf->entries + leaf->index;
	size_t dropped = 0;
	for (; page != end; page += LOAM_PAGE_SIZE, at++) {
		uint32_t entry = __atomic_load_n(at, __ATOMIC_RELAXED);
		if ((entry & present) == 0) {
			continue;
		}
		__atomic_store_n(at, 0, __ATOMIC_RELAXED);
		batch_range(batch, page, page + LOAM_PAGE_SIZE);
		loam_pfn_t pfn = (entry & mask) >> LOAM_PAGE_SHIFT;
		if (counted && pfn != zero) {
			dropped++;
			batch_frame(batch, pfn);
		}
	}
	return dropped;
}

/*
 * The same for entries of 8 bytes. On a 32-bit CPU a frame's number, too, is
 * one word and half of an entry tells whether it is present.
 */
static size_t zap_wide(struct proc_batch *batch,
		       const struct loam_region *region,
		       const struct loam_pt_leaf *leaf, uintptr_t page,
		       uintptr_t end)
{
	const struct loam_pt_geometry *geometry = batch->proc->pt.geometry;
	const uint32_t present = (uint32_t)geometry->present;
	const loam_pfn_t mask =
		(loam_pfn_t)(geometry->phys_mask >> LOAM_PAGE_SHIFT);
	const bool counted = region->ops->counted;
	const loam_pfn_t zero = batch->proc->procs->zero_pfn;
	uint64_t *at = (uint64_t *)leaf->entries + leaf->index;
	size_t dropped = 0;
	for (; page != end; page += LOAM_PAGE_SIZE, at++) {
		uint64_t entry = loam_pt_leaf_load_wide(at, 0);
		if (((uint32_t)entry & present) == 0) {
			continue;
		}
		loam_pt_leaf_clear_wide(at, 0);
		batch_range(batch, page, page + LOAM_PAGE_SIZE);
		loam_pfn_t pfn = (loam_pfn_t)(entry >> LOAM_PAGE_SHIFT) & mask;
		if (counted && pfn != zero) {
			dropped++;
			batch_frame(batch, pfn);
		}
	}
	return dropped;
}

static void zap_entries(struct proc_batch *batch,
			const struct loam_region *region,
			const struct loam_pt_leaf *leaf, uintptr_t page,
			uintptr_t end)
{
	struct loam_proc *proc = batch->proc;
	bool narrow = proc->pt.geometry->entry_bytes == 4;
	proc->resident_frames -=
		narrow ? zap_narrow(batch, region, leaf, page, end)
		       : zap_wide(batch, region, leaf, page, end);
}

/* How many resident pages the region has in entries [first, end) of a table. */
static size_t table_count(const struct loam_proc *proc,
			  const struct loam_region *region,
			  const struct loam_pt_leaf *leaf, unsigned first,
			  unsigned end)
{
	size_t count = 0;
	for (unsigned i = first; i < end; i++) {
		uint64_t entry = loam_pt_leaf_load(&proc->pt, leaf->entries, i);
		count += proc_is_present(proc, entry) &&
			 proc_is_counted(proc, region,
					 proc_entry_pfn(proc, entry));
	}
	return count;
}

/*
 * Gives a shared table up; false: nobody else had it any more, so it is ours,
 * entries and all.
 */
static bool zap_shared(struct proc_batch *batch,
		       const struct loam_region *region,
		       struct loam_pt_leaf *leaf, uintptr_t at, uintptr_t end,
		       bool all)
{
	struct loam_proc *proc = batch->proc;
	struct loam_pt *pt = &proc->pt;
	if (!table_is_shared(proc, leaf->table)) {
		loam_pt_leaf_set_writable(pt, leaf, true);
		return false;
	}
	size_t count = all ? 0
			   : table_count(proc, region, leaf, leaf->index,
					 loam_pt_leaf_count(pt));
	loam_pt_leaf_detach(pt, leaf);
	loam_pt_flush(pt, 0, 0);
	if (!table_leave(proc, leaf->table)) {
		loam_pt_leaf_replace(pt, leaf, leaf->table);
		return false;
	}
	LOAM_ASSERT(all || table_is_whole(proc, at, end));
	proc->resident_frames -= count;
	return true;
}

void loam_proc_zap(struct proc_batch *batch, const struct loam_region *region,
		   uintptr_t start, uintptr_t end, bool all)
{
	struct loam_proc *proc = batch->proc;
	uintptr_t at = start;
	while (at < end) {
		uintptr_t next = table_end(proc, at, end);
		struct loam_pt_leaf leaf;
		if (loam_pt_leaf_find(&proc->pt, at, &leaf) &&
		    (LOAM_LIKELY(loam_pt_leaf_writable(&proc->pt, &leaf)) ||
		     !zap_shared(batch, region, &leaf, at, next, all))) {
			zap_entries(batch, region, &leaf, at, next);
		}
		at = next;
	}
}

bool loam_proc_zap_own(struct proc_batch *batch,
		       const struct loam_region *region)
{
	struct loam_proc *proc = batch->proc;
	uintptr_t end = region_end(region);
	struct loam_pt_leaf leaf;
	if (table_end(proc, region->start, end) != end) {
		return false;
	}
	if (!loam_pt_leaf_find(&proc->pt, region->start, &leaf)) {
		return true;
	}
	if (!loam_pt_leaf_writable(&proc->pt, &leaf)) {
		return false;
	}
	zap_entries(batch, region, &leaf, region->start, end);
	return true;
}

/* -------- lending -------- */

/* Lends the one table, which covers address. */
static int lend_table(struct loam_proc *parent, struct loam_proc *child,
		      uintptr_t address, const struct loam_pt_leaf *leaf,
		      bool *stale)
{
	int error = loam_pt_leaf_attach(&child->pt, address, leaf->table);
	if (error != 0) {
		return error;
	}
	__atomic_fetch_add(table_word(parent, leaf->table), 1,
			   __ATOMIC_RELAXED);
	if (loam_pt_leaf_writable(&parent->pt, leaf)) {
		loam_pt_leaf_set_writable(&parent->pt, leaf, false);
		*stale = true;
	}
	return 0;
}

/*
 * In an identity map a table that has pages of the kernel's too is never
 * shared: of such a one the region's entries are copied at once.
 */
static void lend_entries(struct loam_proc *parent,
			 const struct loam_region *region,
			 const struct loam_pt_leaf *from,
			 const struct loam_pt_leaf *to, size_t count,
			 bool *stale)
{
	for (unsigned i = 0; i < count; i++) {
		table_copy_entry(parent, region, from->entries, to->entries,
				 from->index + i);
	}
	*stale = true;
}

int loam_proc_tables_lend(struct loam_proc *parent, struct loam_proc *child,
			  const struct loam_region *region, bool *stale)
{
	parent->lent = true;
	child->lent = true;
	uintptr_t end = region_end(region);
	uintptr_t next;
	for (uintptr_t at = region->start; at < end; at = next) {
		struct loam_pt_leaf leaf;
		struct loam_pt_leaf there;
		next = table_end(parent, at, end);
		if (!loam_pt_leaf_find(&parent->pt, at, &leaf)) {
			continue;
		}
		if (!loam_pt_leaf_find(&child->pt, at, &there)) {
			int error = lend_table(parent, child, at, &leaf, stale);
			if (error != 0) {
				return error;
			}
		} else if (there.table != leaf.table) {
			lend_entries(parent, region, &leaf, &there,
				     (next - at) >> LOAM_PAGE_SHIFT, stale);
		}
	}
	return 0;
}

/* -------- checking -------- */

/* What is wrong with a present entry of the region, or NULL. */
static const char *check_leaf(const struct loam_proc *proc,
			      const struct loam_region *region, uint64_t entry)
{
	const struct loam_pt_geometry *geometry = proc->pt.geometry;
	loam_pfn_t pfn = proc_entry_pfn(proc, entry);
	bool writable = (entry & geometry->writable) != 0;
	if (writable && (region->prot & LOAM_PROT_WRITE) == 0) {
		return "is writable against the region";
	}
	if (((entry & geometry->user) != 0) != (region->prot != 0)) {
		return "is not for the user as the region is";
	}
	if (geometry->no_execute != 0 && region->prot != 0 &&
	    ((entry & geometry->no_execute) == 0) !=
		    ((region->prot & LOAM_PROT_EXEC) != 0)) {
		return "is executable otherwise than the region";
	}
	if (pfn == proc->procs->zero_pfn) {
		return writable ? "lets the zero page be written" : NULL;
	}
	if (region->ops->counted &&
	    loam_frame_refs(proc->procs->config.frames, pfn) == 0) {
		return "maps a frame that nobody holds";
	}
	return NULL;
}

/* Pages of the region that are present; resident ones join *resident. */
static int check_region(struct loam_proc *proc,
			const struct loam_region *region, size_t *present,
			size_t *resident)
{
	uintptr_t end = region_end(region);
	uintptr_t next;
	for (uintptr_t at = region->start; at < end; at = next) {
		struct loam_pt_leaf leaf;
		next = table_end(proc, at, end);
		if (!loam_pt_leaf_find(&proc->pt, at, &leaf)) {
			continue;
		}
		LOAM_CHECK(!loam_pt_leaf_writable(&proc->pt, &leaf) ||
			   !table_is_shared(proc, leaf.table));
		unsigned to =
			leaf.index + (unsigned)((next - at) >> LOAM_PAGE_SHIFT);
		for (unsigned i = leaf.index; i < to; i++) {
			uint64_t entry =
				loam_pt_leaf_load(&proc->pt, leaf.entries, i);
			if (!proc_is_present(proc, entry)) {
				continue;
			}
			const char *wrong = check_leaf(proc, region, entry);
			if (wrong != NULL) {
				loam_log(LOAM_LOG_ERROR,
					 "check: proc %s: entry %u of the table"
					 " of 0x%zx %s",
					 proc->name, i, (size_t)at, wrong);
				return -LOAM_EFAULT;
			}
			++*present;
		}
		*resident += table_count(proc, region, &leaf, leaf.index, to);
	}
	return 0;
}

static int count_user_pages(void *arg, uintptr_t virt, size_t size,
			    loam_phys_t phys, loam_prot_t prot,
			    size_t page_size)
{
	size_t *pages = arg;
	(void)virt;
	(void)phys;
	(void)prot;
	(void)page_size;
	*pages += size >> LOAM_PAGE_SHIFT;
	return 0;
}

int loam_proc_tables_check(struct loam_proc *proc)
{
	const struct loam_procs_config *config = &proc->procs->config;
	size_t present = 0;
	size_t resident = 0;
	size_t pages = 0;
	struct loam_region *region = loam_region_above(proc, config->user_base);
	for (; region != NULL; region = loam_region_next(region)) {
		int error = check_region(proc, region, &present, &resident);
		if (error != 0) {
			return error;
		}
	}
	LOAM_CHECK(resident == proc->resident_frames);
	int error =
		loam_pt_visit(&proc->pt, config->user_base,
			      config->user_end - 1, count_user_pages, &pages);
	LOAM_CHECK(error == 0);
	/* No page is mapped where there is no region. */
	LOAM_CHECK(pages == present);
	return loam_pt_check(&proc->pt);
}

/* SPDX-License-Identifier: MIT */
/* The walker: ranges, entries, the descent, and tables held in reserve. */

#include "pt_int.h"

/* True for addresses, bias taken off, that the geometry can translate. */
static bool table_in_reach(const struct loam_pt_geometry *geometry,
			   uintptr_t first, uintptr_t last)
{
	unsigned bits = geometry->virt_bits;
	if (bits >= sizeof(uintptr_t) * 8) {
		return true;
	}
	if (bits <= 32) {
		return last >> bits == 0;
	}
	/* Both in the lower half, all zeros above, or both in the upper. */
	uintptr_t low = first >> (bits - 1);
	uintptr_t high = last >> (bits - 1);
	return low == high && (low == 0 || low == UINTPTR_MAX >> (bits - 1));
}

static LOAM_ALWAYS_INLINE int table_range(const struct loam_pt *pt,
					  uintptr_t virt, size_t size,
					  struct pt_range *range)
{
	uintptr_t first = virt - pt->bias;
	uintptr_t last = first + (size - 1);
	if (size == 0 || ((first | size) & LOAM_PAGE_MASK) != 0 ||
	    last < first || !table_in_reach(pt->geometry, first, last)) {
		return -LOAM_EINVAL;
	}
	range->page = first >> LOAM_PAGE_SHIFT;
	range->count = size >> LOAM_PAGE_SHIFT;
	return 0;
}

int loam_pt_range(const struct loam_pt *pt, uintptr_t virt, size_t size,
		  struct pt_range *range)
{
	return table_range(pt, virt, size, range);
}

int loam_pt_range_own(const struct loam_pt *pt, uintptr_t virt, size_t size,
		      struct pt_range *range)
{
	int error = table_range(pt, virt, size, range);
	if (error != 0 || LOAM_LIKELY(!pt->shares)) {
		return error;
	}
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned root = geometry->levels - 1u;
	unsigned first = pt_index(geometry, root, range->page);
	unsigned last =
		pt_index(geometry, root, range->page + (range->count - 1));
	for (unsigned index = first; index <= last; index++) {
		if (loam_bitmap_test(pt->shared, index)) {
			return -LOAM_EPERM;
		}
	}
	return 0;
}

/* The bits of a leaf, the large bit not among them. */
uint64_t loam_pt_encode(const struct loam_pt_geometry *geometry,
			loam_prot_t prot)
{
	uint64_t entry = geometry->present;
	entry |= (prot & LOAM_PROT_WRITE) != 0 ? geometry->writable : 0;
	entry |= (prot & LOAM_PROT_USER) != 0 ? geometry->user : 0;
	entry |= (prot & LOAM_PROT_EXEC) != 0 ? 0 : geometry->no_execute;
	entry |= (prot & LOAM_PROT_GLOBAL) != 0 ? geometry->global : 0;
	entry |= (prot & LOAM_PROT_UNCACHED) != 0 ? geometry->uncached : 0;
	entry |= (prot & LOAM_PROT_WRITE_THROUGH) != 0 ? geometry->write_through
						       : 0;
	return entry;
}

/* What the machine grants, which may be more than was asked for. */
loam_prot_t loam_pt_decode(const struct loam_pt_geometry *geometry,
			   uint64_t entry)
{
	loam_prot_t prot = LOAM_PROT_READ;
	prot |= (entry & geometry->writable) != 0 ? LOAM_PROT_WRITE : 0;
	prot |= (entry & geometry->user) != 0 ? LOAM_PROT_USER : 0;
	prot |= (entry & geometry->no_execute) != 0 ? 0 : LOAM_PROT_EXEC;
	prot |= (entry & geometry->global) != 0 ? LOAM_PROT_GLOBAL : 0;
	prot |= (entry & geometry->uncached) != 0 ? LOAM_PROT_UNCACHED : 0;
	prot |= (entry & geometry->write_through) != 0 ? LOAM_PROT_WRITE_THROUGH
						       : 0;
	return prot;
}

/*
 * Entries of 32 bits go with addresses of 32 bits. In arithmetic of 64 bits,
 * as below, an i386 would spend most of a descent on the upper halves.
 */
static LOAM_NOINLINE void descend_narrow(const struct loam_pt *pt,
					 uintptr_t page, struct pt_spot *spot)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	uint32_t present = (uint32_t)geometry->present;
	uint32_t both = present | (uint32_t)geometry->large;
	uint32_t table = (uint32_t)pt->root;
	unsigned level = geometry->levels - 1u;
	for (;;) {
		volatile uint32_t *entries = pt_table_virt(pt, table);
		unsigned index =
			(unsigned)(page >> geometry->span_shift[level]) &
			(pt_entries(geometry, level) - 1);
		uint32_t entry = entries[index];
		if (level == 0 || (entry & both) != present) {
			spot->table = table;
			spot->entries = (void *)(uintptr_t)entries;
			spot->entry = entry;
			spot->level = level;
			spot->index = index;
			return;
		}
		table = entry & (uint32_t)geometry->phys_mask;
		level--;
	}
}

static LOAM_NOINLINE void descend_wide(const struct loam_pt *pt, uintptr_t page,
				       struct pt_spot *spot)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned level = geometry->levels - 1u;
	loam_phys_t table = pt->root;
	for (;;) {
		void *entries = pt_table_virt(pt, table);
		unsigned index = pt_index(geometry, level, page);
		uint64_t entry = pt_load(8, entries, index);
		if (!pt_is_table(geometry, level, entry)) {
			spot->table = table;
			spot->entries = entries;
			spot->entry = entry;
			spot->level = level;
			spot->index = index;
			return;
		}
		table = entry & geometry->phys_mask;
		level--;
	}
}

void loam_pt_descend(const struct loam_pt *pt, uintptr_t page,
		     struct pt_spot *spot)
{
	if (pt->geometry->entry_bytes == 4) {
		descend_narrow(pt, page, spot);
	} else {
		descend_wide(pt, page, spot);
	}
}

loam_phys_t loam_pt_reserve_take(struct loam_pt *pt, struct pt_reserve *reserve)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	LOAM_ASSERT(reserve->head != 0);
	loam_phys_t table = reserve->head & geometry->phys_mask;
	void *entries = pt_table_virt(pt, table);
	reserve->head = pt_load(geometry->entry_bytes, entries, 0);
	pt_store(geometry->entry_bytes, entries, 0, 0);
	return table;
}

int loam_pt_reserve(struct loam_pt *pt, size_t count,
		    struct pt_reserve *reserve)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	reserve->head = 0;
	for (; count != 0; count--) {
		loam_phys_t table = pt->ops->alloc_table(pt->ctx);
		if (table == LOAM_PHYS_NONE) {
			while (reserve->head != 0) {
				pt->ops->free_table(
					pt->ctx,
					loam_pt_reserve_take(pt, reserve));
			}
			return -LOAM_ENOMEM;
		}
		LOAM_VERIFY((table & ~geometry->phys_mask) == 0);
		pt_store(geometry->entry_bytes, pt_table_virt(pt, table), 0,
			 reserve->head);
		reserve->head = table | geometry->present;
	}
	return 0;
}

uint64_t loam_pt_table_entry(const struct loam_pt_geometry *geometry,
			     unsigned level, loam_phys_t table, uint64_t bits)
{
	uint64_t entry = table | geometry->present;
	if (!pt_is_bare(geometry, level)) {
		entry |= geometry->writable | (bits & geometry->user);
	}
	return entry;
}

bool loam_pt_reach(struct loam_pt *pt, uintptr_t page, unsigned target,
		   uint64_t bits, struct pt_reserve *reserve,
		   struct pt_spot *spot)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned bytes = geometry->entry_bytes;
	unsigned level = geometry->levels - 1u;
	loam_phys_t table = pt->root;
	bool stale = false;
	for (; level > target; level--) {
		void *entries = pt_table_virt(pt, table);
		unsigned index = pt_index(geometry, level, page);
		uint64_t entry = pt_load(bytes, entries, index);
		uint64_t wanted;
		if (!pt_is_set(geometry, entry)) {
			wanted = loam_pt_table_entry(
				geometry, level,
				loam_pt_reserve_take(pt, reserve), bits);
			entries = pt_table_virt(pt, table);
			stale |= pt_is_bare(geometry, level);
		} else {
			wanted = entry | (pt_is_bare(geometry, level)
						  ? 0
						  : bits & geometry->user);
			stale |= wanted != entry;
		}
		if (wanted != entry) {
			pt_store(bytes, entries, index, wanted);
		}
		table = wanted & geometry->phys_mask;
	}
	spot->table = table;
	spot->entries = pt_table_virt(pt, table);
	spot->level = level;
	spot->index = pt_index(geometry, level, page);
	spot->entry = pt_load(bytes, spot->entries, spot->index);
	return stale;
}

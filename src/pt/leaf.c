/* SPDX-License-Identifier: MIT */
/* Tables of level 0 for owners that share them and change their entries. */
#include <loam/pt_leaf.h>

#include "pt_int.h"

/*
 * The entry of level 1 for page; false: a table above is missing. *open tells
 * whether the entries on the way let the user in.
 */
static bool leaf_above_any(const struct loam_pt *pt, uintptr_t page,
			   struct loam_pt_leaf *leaf, bool *open)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	loam_phys_t table = pt->root;
	unsigned level = geometry->levels - 1u;
	*open = true;
	for (;;) {
		void *entries = pt_table_virt(pt, table);
		unsigned index = pt_index(geometry, level, page);
		if (level == 1) {
			leaf->above = entries;
			leaf->above_index = index;
			return true;
		}
		uint64_t entry = pt_load(geometry->entry_bytes, entries, index);
		if (!pt_is_table(geometry, level, entry)) {
			return false;
		}
		*open &= pt_is_bare(geometry, level) ||
			 (entry & geometry->user) != 0;
		table = entry & geometry->phys_mask;
		level--;
	}
}

/*
 * The same for tables of 512 entries at every level, as what is general costs
 * twice as much there, and each fault goes this way: for those of 64-bit CPUs,
 * and for PAE's three levels, whose uppermost entries cannot keep the user out.
 */
static LOAM_ALWAYS_INLINE bool leaf_is_wide(const struct loam_pt *pt)
{
	unsigned levels = pt->geometry->levels;
	return pt->geometry->entry_bytes == 8 &&
	       (sizeof(uintptr_t) == 8 ? levels > 3 : levels == 3);
}

static LOAM_ALWAYS_INLINE bool leaf_above_wide(const struct loam_pt *pt,
					       uintptr_t page,
					       struct loam_pt_leaf *leaf,
					       bool *open)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	const uint64_t both = geometry->present | geometry->large;
	const uint64_t present = geometry->present;
	const unsigned top = geometry->levels - 1u;
	uint64_t all = geometry->user;
	const void *entries = pt_table_virt(pt, pt->root);
	for (unsigned level = top; level > 1; level--) {
		unsigned shift = 9 * level % (8 * (unsigned)sizeof(page));
		uint64_t entry = loam_pt_leaf_load_wide(
			entries, (unsigned)(page >> shift) & 511u);
		if ((entry & both) != present) {
			return false;
		}
		if (sizeof(uintptr_t) == 8 || !pt_is_bare(geometry, level)) {
			all &= entry;
		}
		entries = pt_table_virt(pt, entry & geometry->phys_mask);
	}
	leaf->above = (void *)(uintptr_t)entries;
	leaf->above_index = (unsigned)(page >> 9) & 511u;
	*open = all != 0;
	return true;
}

static LOAM_ALWAYS_INLINE bool leaf_above(const struct loam_pt *pt,
					  uintptr_t page,
					  struct loam_pt_leaf *leaf, bool *open)
{
	return leaf_is_wide(pt) ? leaf_above_wide(pt, page, leaf, open)
				: leaf_above_any(pt, page, leaf, open);
}

static uint64_t leaf_above_entry(const struct loam_pt *pt,
				 const struct loam_pt_leaf *leaf)
{
	return pt_load(pt->geometry->entry_bytes, leaf->above,
		       leaf->above_index);
}

/*
 * Fills in what the entry above leads to, and returns the half of that entry
 * that has its permission bits. 0: it leads to no table.
 */
static uint32_t leaf_below(const struct loam_pt *pt, uintptr_t page,
			   struct loam_pt_leaf *leaf)
{
	uint64_t entry = leaf_above_entry(pt, leaf);
	if (!pt_is_table(pt->geometry, 1, entry)) {
		return 0;
	}
	leaf->table = entry & pt->geometry->phys_mask;
	leaf->entries = pt_table_virt(pt, leaf->table);
	leaf->index = pt_index(pt->geometry, 0, page);
	return (uint32_t)entry;
}

/* The same for tables of 512 entries. */
static LOAM_ALWAYS_INLINE uint32_t leaf_below_wide(const struct loam_pt *pt,
						   uintptr_t page,
						   struct loam_pt_leaf *leaf)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	/* All but the address is in the first half: one register is enough. */
	const uintptr_t present = (uintptr_t)geometry->present;
	const uintptr_t both = present | (uintptr_t)geometry->large;
	uint64_t entry = loam_pt_leaf_load_wide(leaf->above, leaf->above_index);
	if (((uintptr_t)entry & both) != present) {
		return 0;
	}
	leaf->table = entry & geometry->phys_mask;
	leaf->entries = pt_table_virt(pt, leaf->table);
	leaf->index = (unsigned)page & 511u;
	return (uint32_t)entry;
}

/*
 * Both of the above for the two levels of 4-byte entries, which every fault
 * of an i386 goes through; what is general there costs four times as much.
 */
static inline uint32_t leaf_walk_narrow(const struct loam_pt *pt,
					uintptr_t page,
					struct loam_pt_leaf *leaf)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	const uint32_t *above = pt_table_virt(pt, pt->root);
	unsigned index = (unsigned)(page >> 10) & 1023u;
	uint32_t entry = __atomic_load_n(&above[index], __ATOMIC_RELAXED);
	leaf->above = (void *)(uintptr_t)above;
	leaf->above_index = index;
	uint32_t both = (uint32_t)(geometry->present | geometry->large);
	if ((entry & both) != (uint32_t)geometry->present) {
		return 0;
	}
	leaf->table = entry & (uint32_t)geometry->phys_mask;
	leaf->entries = pt_table_virt(pt, leaf->table);
	leaf->index = (unsigned)page & 1023u;
	return entry;
}

/*
 * And for the three levels of PAE, where 64 bits are two registers: of an entry
 * all but the address is in the first half.
 */
static LOAM_NOINLINE uint32_t leaf_walk_three(const struct loam_pt *pt,
					      uintptr_t page,
					      struct loam_pt_leaf *leaf)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	const uint32_t present = (uint32_t)geometry->present;
	const uint32_t both = present | (uint32_t)geometry->large;
	const uint64_t *at = pt_table_virt(pt, pt->root);
	uint64_t entry = loam_pt_leaf_load_wide(at, (unsigned)(page >> 18));
	if (((uint32_t)entry & both) != present) {
		return 0;
	}
	leaf->above = pt_table_virt(pt, entry & geometry->phys_mask);
	leaf->above_index = (unsigned)(page >> 9) & 511u;
	return leaf_below_wide(pt, page, leaf);
}

/* And for all others, out of line: an i386 has few registers to keep for it. */
static LOAM_NOINLINE uint32_t leaf_walk_any(const struct loam_pt *pt,
					    uintptr_t page,
					    struct loam_pt_leaf *leaf)
{
	bool open;
	return leaf_above_any(pt, page, leaf, &open)
		       ? leaf_below(pt, page, leaf)
		       : 0;
}

static LOAM_ALWAYS_INLINE uint32_t leaf_walk(const struct loam_pt *pt,
					     uintptr_t page,
					     struct loam_pt_leaf *leaf)
{
	bool open;
	if (sizeof(uintptr_t) == 8 && leaf_is_wide(pt)) {
		return leaf_above_wide(pt, page, leaf, &open)
			       ? leaf_below_wide(pt, page, leaf)
			       : 0;
	}
	if (pt->geometry->entry_bytes == 4) {
		return leaf_walk_narrow(pt, page, leaf);
	}
	return leaf_is_wide(pt) ? leaf_walk_three(pt, page, leaf)
				: leaf_walk_any(pt, page, leaf);
}

static uintptr_t leaf_page(const struct loam_pt *pt, uintptr_t virt)
{
	return (virt - pt->bias) >> LOAM_PAGE_SHIFT;
}

bool loam_pt_leaf_find(const struct loam_pt *pt, uintptr_t virt,
		       struct loam_pt_leaf *leaf)
{
	return leaf_walk(pt, leaf_page(pt, virt), leaf) != 0;
}

/* Tables that are missing from the root's down to the one of level `target`. */
static size_t leaf_missing(const struct loam_pt *pt, uintptr_t page,
			   unsigned target)
{
	struct pt_spot spot;
	loam_pt_descend(pt, page, &spot);
	return spot.level > target && spot.entry == 0 ? spot.level - target : 0;
}

/* Makes every table down to the one of level `target`. */
static int leaf_reach(struct loam_pt *pt, uintptr_t page, unsigned target)
{
	struct pt_reserve reserve;
	struct pt_spot spot;
	int error =
		loam_pt_reserve(pt, leaf_missing(pt, page, target), &reserve);
	if (error != 0) {
		return error;
	}
	if (loam_pt_reach(pt, page, target, pt->geometry->user, &reserve,
			  &spot)) {
		loam_pt_flush(pt, 0, 0);
	}
	return 0;
}

int loam_pt_leaf_make(struct loam_pt *pt, uintptr_t virt,
		      struct loam_pt_leaf *leaf)
{
	uintptr_t page = leaf_page(pt, virt);
	/* What is open to the user here is so all the way down to it. */
	if ((leaf_walk(pt, page, leaf) & (uint32_t)pt->geometry->user) != 0) {
		return 0;
	}
	int error = leaf_reach(pt, page, 0);
	if (error == 0) {
		bool found = loam_pt_leaf_find(pt, virt, leaf);
		LOAM_VERIFY(found);
	}
	return error;
}

int loam_pt_leaf_attach(struct loam_pt *pt, uintptr_t virt, loam_phys_t table)
{
	uintptr_t page = leaf_page(pt, virt);
	struct loam_pt_leaf leaf;
	bool open;
	if (!leaf_above(pt, page, &leaf, &open) || !open) {
		int error = leaf_reach(pt, page, 1);
		if (error != 0) {
			return error;
		}
		bool found = leaf_above(pt, page, &leaf, &open);
		LOAM_VERIFY(found && open);
	}
	if (leaf_above_entry(pt, &leaf) != 0) {
		return -LOAM_EEXIST;
	}
	const struct loam_pt_geometry *geometry = pt->geometry;
	pt_store(geometry->entry_bytes, leaf.above, leaf.above_index,
		 table | geometry->present | geometry->user);
	return 0;
}

void loam_pt_leaf_detach(struct loam_pt *pt, const struct loam_pt_leaf *leaf)
{
	pt_store(pt->geometry->entry_bytes, leaf->above, leaf->above_index, 0);
}

void loam_pt_leaf_replace(struct loam_pt *pt, struct loam_pt_leaf *leaf,
			  loam_phys_t table)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	pt_store(geometry->entry_bytes, leaf->above, leaf->above_index,
		 loam_pt_table_entry(geometry, 1, table, geometry->user));
	leaf->table = table;
	leaf->entries = pt_table_virt(pt, table);
}

void loam_pt_leaf_set_writable(struct loam_pt *pt,
			       const struct loam_pt_leaf *leaf, bool writable)
{
	uint64_t bit = pt->geometry->writable;
	uint64_t entry = leaf_above_entry(pt, leaf);
	pt_store(pt->geometry->entry_bytes, leaf->above, leaf->above_index,
		 writable ? entry | bit : entry & ~bit);
}

unsigned loam_pt_leaf_count(const struct loam_pt *pt)
{
	return pt_entries(pt->geometry, 0);
}

uint64_t loam_pt_leaf_encode(const struct loam_pt *pt, loam_phys_t phys,
			     loam_prot_t prot)
{
	return phys | loam_pt_encode(pt->geometry, prot);
}

/*
 * Two stores do where one of them alone changes nothing for who reads the
 * entry: one half stays as it is, or the half with the present bit is 0 before
 * or after. For the rest, a present entry that becomes another one altogether,
 * there must be no moment in between: an interrupt, or another CPU, may be
 * using the page, and finding it absent would be a fault that nobody expects.
 */
void loam_pt_leaf_store_halves(void *entries, unsigned index, uint64_t entry)
{
	uint64_t *whole = (uint64_t *)entries + index;
	uint32_t *half = (uint32_t *)entries + 2 * (size_t)index;
	uint32_t low = (uint32_t)entry;
	uint32_t high = (uint32_t)(entry >> 32);
	if (__atomic_load_n(&half[1], __ATOMIC_RELAXED) == high || low == 0) {
		__atomic_store_n(&half[0], low, __ATOMIC_RELAXED);
		__atomic_store_n(&half[1], high, __ATOMIC_RELEASE);
	} else if (__atomic_load_n(&half[0], __ATOMIC_RELAXED) == 0) {
		__atomic_store_n(&half[1], high, __ATOMIC_RELAXED);
		__atomic_store_n(&half[0], low, __ATOMIC_RELEASE);
	} else {
		loam_store_wide(whole, entry);
	}
}

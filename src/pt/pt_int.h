/* SPDX-License-Identifier: MIT */
/* What the sources of the pt floor share: entries, indices, the descent. */
#ifndef LOAM_PT_INT_H
#define LOAM_PT_INT_H

#include <loam/assert.h>
#include <loam/bits.h>
#include <loam/pt_leaf.h>

/* -------- entries -------- */

/*
 * The CPU reads tables at any time, so every access is volatile: one load or
 * store each. `bytes` is a constant wherever it matters; the loops over runs
 * of entries are compiled once for each size.
 */
static LOAM_ALWAYS_INLINE uint64_t pt_load(unsigned bytes, const void *table,
					   size_t index)
{
	if (bytes == 4) {
		return ((const volatile uint32_t *)table)[index];
	}
	if (sizeof(uintptr_t) == 8) {
		return ((const volatile uint64_t *)table)[index];
	}
	const volatile uint32_t *half =
		(const volatile uint32_t *)table + 2 * index;
	return half[0] | (uint64_t)half[1] << 32;
}

/*
 * Any entry in the place of any other. A 32-bit CPU has more than one way to
 * store 8 bytes, and all of them are in leaf.c: whoever reads the entry, MMUs
 * included, sees what it was or what it becomes.
 */
static LOAM_ALWAYS_INLINE void pt_store(unsigned bytes, void *table,
					unsigned index, uint64_t entry)
{
	if (bytes == 4) {
		((volatile uint32_t *)table)[index] = (uint32_t)entry;
		return;
	}
	if (sizeof(uintptr_t) == 8) {
		((volatile uint64_t *)table)[index] = entry;
		return;
	}
	loam_pt_leaf_store_wide(table, index, entry);
}

/* The entries of a table from `index` on: what loops count from. */
static LOAM_ALWAYS_INLINE void *pt_entries_at(unsigned bytes, const void *table,
					      size_t index)
{
	return (char *)(uintptr_t)table + index * bytes;
}

/*
 * For loops over entries of 8 bytes: one in the place of none, and none in the
 * place of one. Of two halves the one with the present bit comes last, or
 * first, so that no CPU ever follows half an entry.
 */
static LOAM_ALWAYS_INLINE void pt_store_absent(void *table, size_t index,
					       uint64_t entry)
{
	if (sizeof(uintptr_t) == 8) {
		((volatile uint64_t *)table)[index] = entry;
		return;
	}
	volatile uint32_t *half = (volatile uint32_t *)table + 2 * index;
	half[1] = (uint32_t)(entry >> 32);
	half[0] = (uint32_t)entry;
}

static LOAM_ALWAYS_INLINE void pt_clear(void *table, size_t index)
{
	if (sizeof(uintptr_t) == 8) {
		((volatile uint64_t *)table)[index] = 0;
		return;
	}
	volatile uint32_t *half = (volatile uint32_t *)table + 2 * index;
	half[0] = 0;
	half[1] = 0;
}

static inline bool pt_is_set(const struct loam_pt_geometry *geometry,
			     uint64_t entry)
{
	return (entry & geometry->present) != 0;
}

static inline bool pt_is_bare(const struct loam_pt_geometry *geometry,
			      unsigned level)
{
	return (geometry->bare_levels >> level & 1u) != 0;
}

/*
 * True if the entry of this level leads to a table of the next one down. The
 * large bit says no on any level above 0: where a level has no large pages
 * the bit is reserved, or there is none, and check() looks for it.
 */
static inline bool pt_is_table(const struct loam_pt_geometry *geometry,
			       unsigned level, uint64_t entry)
{
	uint64_t both = geometry->present | geometry->large;
	return level > 0 && (entry & both) == geometry->present;
}

/* -------- page numbers -------- */

/*
 * Within the floor an address is a page number: (virt - bias) / 4096. A shift
 * wider than the word would be undefined, and is only met where a 64-bit
 * geometry is used by a 32-bit build; page numbers are small there.
 */
static inline unsigned pt_shift(const struct loam_pt_geometry *geometry,
				unsigned level)
{
	unsigned shift = geometry->span_shift[level];
	unsigned most = (unsigned)sizeof(uintptr_t) * 8 - 1;
	return shift < most ? shift : most;
}

/* How many pages an entry of the level covers. */
static inline uintptr_t pt_span(const struct loam_pt_geometry *geometry,
				unsigned level)
{
	return (uintptr_t)1 << pt_shift(geometry, level);
}

static inline unsigned pt_entries(const struct loam_pt_geometry *geometry,
				  unsigned level)
{
	return 1u << geometry->index_bits[level];
}

static inline unsigned pt_index(const struct loam_pt_geometry *geometry,
				unsigned level, uintptr_t page)
{
	return (unsigned)(page >> pt_shift(geometry, level)) &
	       (pt_entries(geometry, level) - 1);
}

/* Pages from `page` to the end of the entry that covers it, at most count. */
static inline size_t pt_rest(const struct loam_pt_geometry *geometry,
			     unsigned level, uintptr_t page, size_t count)
{
	uintptr_t span = pt_span(geometry, level);
	uintptr_t rest = span - (page & (span - 1));
	return rest < count ? rest : count;
}

/* Pages from `page` to the end of its table of level 0, at most count. */
static inline size_t pt_run(const struct loam_pt_geometry *geometry,
			    uintptr_t page, size_t count)
{
	size_t entries = pt_entries(geometry, 0);
	size_t rest = entries - (page & (entries - 1));
	return rest < count ? rest : count;
}

/* A range of pages: what (virt, size) becomes once it is found valid. */
struct pt_range {
	uintptr_t page;
	size_t count;
};

/* True if the range lies in one table of level 0. */
static inline bool pt_in_one_table(const struct loam_pt_geometry *geometry,
				   uintptr_t page, size_t count)
{
	size_t entries = pt_entries(geometry, 0);
	return (page & (entries - 1)) + count <= entries;
}

static inline void *pt_table_virt(const struct loam_pt *pt, loam_phys_t table)
{
	return pt->ops->table_virt(pt->ctx, table);
}

/* -------- table.c: ranges, entries, the descent, reserved tables -------- */

/* 0 and *range, or -LOAM_EINVAL. */
int loam_pt_range(const struct loam_pt *pt, uintptr_t virt, size_t size,
		  struct pt_range *range);

/* As above, for a change: -LOAM_EPERM if part of it is another space's. */
int loam_pt_range_own(const struct loam_pt *pt, uintptr_t virt, size_t size,
		      struct pt_range *range);

/* The address a page number stands for, bias included. */
static inline uintptr_t pt_virt(const struct loam_pt *pt, uintptr_t page)
{
	return (page << LOAM_PAGE_SHIFT) + pt->bias;
}

uint64_t loam_pt_encode(const struct loam_pt_geometry *geometry,
			loam_prot_t prot);
loam_prot_t loam_pt_decode(const struct loam_pt_geometry *geometry,
			   uint64_t entry);

/* Where a descent ended: an entry of a table, and what it held. */
struct pt_spot {
	loam_phys_t table;
	void *entries; /* valid until the next table_virt() */
	uint64_t entry;
	unsigned level;
	unsigned index;
};

/* Ends at the entry that decides about page: a leaf, or one not present. */
void loam_pt_descend(const struct loam_pt *pt, uintptr_t page,
		     struct pt_spot *spot);

/*
 * Zeroed tables taken from the owner ahead of a change, each linked by its
 * first entry: address and present bit of the next, or 0.
 */
struct pt_reserve {
	uint64_t head;
};

/* count tables, or -LOAM_ENOMEM and none. */
int loam_pt_reserve(struct loam_pt *pt, size_t count,
		    struct pt_reserve *reserve);

/* Takes a table out of the reserve, all zeros again. */
loam_phys_t loam_pt_reserve_take(struct loam_pt *pt,
				 struct pt_reserve *reserve);

/*
 * An entry that leads to a table allows all that the leaves below may ask
 * for, except access by the user, which it has only if bits has it.
 */
uint64_t loam_pt_table_entry(const struct loam_pt_geometry *geometry,
			     unsigned level, loam_phys_t table, uint64_t bits);

/*
 * Goes down to the table of level `target` that covers page and is not below
 * a large page. Missing tables on the way come from the reserve, and tables
 * are opened to the user where bits has the user bit. Returns true if the CPU
 * may have cached an entry above that has changed.
 */
bool loam_pt_reach(struct loam_pt *pt, uintptr_t page, unsigned target,
		   uint64_t bits, struct pt_reserve *reserve,
		   struct pt_spot *spot);

/* -------- split.c -------- */

/*
 * Makes the two ends of the range boundaries between pages by splitting large
 * pages that extend beyond them. -LOAM_ENOMEM: nothing split. No translation
 * changes, so there is nothing to flush until one does.
 */
int loam_pt_split(struct loam_pt *pt, const struct pt_range *range);

#endif

/* SPDX-License-Identifier: MIT */
/* All tables of an address space in turn: check, count and fini. */

#include "pt_int.h"

/*
 * A walk over all tables that the space owns, depth first, without recursion:
 * the path from the root to the current table is kept by level. Each table is
 * met twice, before and after the tables below it.
 */
struct tour {
	unsigned level;                          /* of the current table */
	loam_phys_t table[LOAM_PT_MAX_LEVELS];   /* the path */
	unsigned next_index[LOAM_PT_MAX_LEVELS]; /* to look at in each */
	bool open[LOAM_PT_MAX_LEVELS];           /* to the user, by the path */
	bool entering; /* before the tables below it */
	bool begun;
};

/* The first entry that is not 0 from `index` on, or the number of entries. */
static unsigned tour_skip(unsigned bytes, const void *entries, unsigned index,
			  unsigned count)
{
	/* Most of most tables is empty: each width has a loop of its own. */
	if (bytes == 4) {
		while (index < count && pt_load(4, entries, index) == 0) {
			index++;
		}
		return index;
	}
	while (index < count && pt_load(8, entries, index) == 0) {
		index++;
	}
	return index;
}

/* Finds the next entry of the current table that leads further down. */
static bool tour_find(const struct loam_pt *pt, struct tour *tour,
		      uint64_t *entry)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned level = tour->level;
	if (level == 0) {
		return false;
	}
	const void *entries = pt_table_virt(pt, tour->table[level]);
	const unsigned count = pt_entries(geometry, level);
	for (;;) {
		unsigned index = tour_skip(geometry->entry_bytes, entries,
					   tour->next_index[level], count);
		tour->next_index[level] = index + 1;
		if (index >= count) {
			return false;
		}
		uint64_t found = pt_load(geometry->entry_bytes, entries, index);
		bool shared = level == geometry->levels - 1u &&
			      loam_bitmap_test(pt->shared, index);
		if (pt_is_table(geometry, level, found) && !shared) {
			*entry = found;
			return true;
		}
	}
}

/*
 * Goes on to the next stop of a tour that began as all zeros: false at the
 * end. A table is read on the way down from it, so what is seen on entering
 * may still end the tour before a bad entry is followed.
 */
static bool tour_next(const struct loam_pt *pt, struct tour *tour)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned root = geometry->levels - 1u;
	if (!tour->begun) {
		tour->begun = true;
		tour->entering = true;
		tour->level = root;
		tour->table[root] = pt->root;
		tour->open[root] = true;
		return true;
	}
	if (!tour->entering) {
		if (tour->level == root) {
			return false;
		}
		tour->level++;
	}
	uint64_t entry;
	if (!tour_find(pt, tour, &entry)) {
		tour->entering = false;
		return true;
	}
	unsigned level = tour->level;
	bool open =
		pt_is_bare(geometry, level) || (entry & geometry->user) != 0;
	tour->level = level - 1;
	tour->table[level - 1] = entry & geometry->phys_mask;
	tour->next_index[level - 1] = 0;
	tour->open[level - 1] = tour->open[level] && open;
	tour->entering = true;
	return true;
}

void loam_pt_fini(struct loam_pt *pt)
{
	LOAM_VERIFY(!pt->live);
	struct tour tour = { .begun = false };
	while (tour_next(pt, &tour)) {
		if (!tour.entering) {
			pt->ops->free_table(pt->ctx, tour.table[tour.level]);
		}
	}
	pt->root = LOAM_PHYS_NONE;
}

size_t loam_pt_count_tables(const struct loam_pt *pt)
{
	struct tour tour = { .begun = false };
	size_t count = 0;
	while (tour_next(pt, &tour)) {
		count += tour.entering;
	}
	return count;
}

/* What is wrong with an entry by itself, or NULL. */
static const char *check_entry(const struct loam_pt *pt, unsigned level,
			       uint64_t entry, bool open)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	if (!pt_is_set(geometry, entry)) {
		return entry != 0 ? "is not present, but not 0" : NULL;
	}
	uint64_t flags = entry & ~geometry->phys_mask;
	uint64_t allowed = geometry->present | geometry->write_through |
			   geometry->uncached;
	if (pt_is_bare(geometry, level)) {
		/* CPUs leave the accessed bit alone there, QEMU does not. */
		allowed |= geometry->accessed;
		return (flags & ~allowed) != 0 ? "has bits it must not have"
					       : NULL;
	}
	allowed |= geometry->writable | geometry->user | geometry->accessed;
	if (pt_is_table(geometry, level, entry)) {
		/* On a table entry the CPU ignores the dirty bit. */
		if ((flags & ~(allowed | geometry->dirty)) != 0) {
			return "leads to a table and has bits of a leaf";
		}
		if ((flags & geometry->writable) == 0 &&
		    !(pt->lends && level == 1)) {
			return "write-protects a whole table";
		}
	} else {
		uint64_t low = ((loam_phys_t)LOAM_PAGE_SIZE
				<< geometry->span_shift[level]) -
			       1;
		allowed |= geometry->dirty | geometry->global |
			   geometry->no_execute;
		if (level > 0) {
			allowed |= geometry->large;
		}
		if (level > 0 && (geometry->large_levels >> level & 1u) == 0) {
			return "is a large page where there are none";
		}
		if ((flags & ~allowed) != 0) {
			return "has bits it must not have";
		}
		if ((entry & geometry->phys_mask & low) != 0) {
			return "maps a large page at no multiple of its size";
		}
	}
	if ((flags & geometry->user) != 0 && !open) {
		return "is for the user below a table that is not";
	}
	return NULL;
}

/* The entries of the table the tour has just entered. */
static int check_table(const struct loam_pt *pt, const struct tour *tour,
		       const void *entries)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned level = tour->level;
	bool root = level == geometry->levels - 1u;
	for (unsigned i = 0; i < pt_entries(geometry, level); i++) {
		uint64_t entry = pt_load(geometry->entry_bytes, entries, i);
		const char *wrong =
			check_entry(pt, level, entry, tour->open[level]);
		if (root && loam_bitmap_test(pt->shared, i) && entry == 0) {
			wrong = "is shared, but absent";
		}
		if (wrong != NULL) {
			loam_log(LOAM_LOG_ERROR,
				 "check: pt: entry %u of table 0x%llx, "
				 "level %u, 0x%llx, %s",
				 i, (unsigned long long)tour->table[level],
				 level, (unsigned long long)entry, wrong);
			return -LOAM_EFAULT;
		}
	}
	return 0;
}

/*
 * The byte of a table's first entry that has the mark. It is written alone:
 * the CPU may set accessed and dirty bits at any moment, but in another byte.
 */
static uint8_t *check_mark(const struct loam_pt_geometry *geometry,
			   void *entries, uint8_t *mask)
{
	unsigned byte = 0;
	uint64_t mark = geometry->mark;
	for (; mark > 0xff; mark >>= 8) {
		byte++;
	}
	*mask = (uint8_t)mark;
	return (uint8_t *)entries + byte;
}

/* One tour that checks and marks; *marked tells how many tables it met. */
static int check_tour(const struct loam_pt *pt, size_t *marked)
{
	struct tour tour = { .begun = false };
	while (tour_next(pt, &tour)) {
		if (!tour.entering) {
			continue;
		}
		loam_phys_t table = tour.table[tour.level];
		void *entries = pt_table_virt(pt, table);
		if (entries == NULL) {
			loam_log(LOAM_LOG_ERROR,
				 "check: pt: no table at 0x%llx, level %u",
				 (unsigned long long)table, tour.level);
			return -LOAM_EFAULT;
		}
		uint8_t mask;
		uint8_t *mark = check_mark(pt->geometry, entries, &mask);
		if ((*mark & mask) != 0) {
			loam_log(LOAM_LOG_ERROR,
				 "check: pt: table 0x%llx, level %u, "
				 "is in two places",
				 (unsigned long long)table, tour.level);
			return -LOAM_EFAULT;
		}
		if (check_table(pt, &tour, entries) != 0) {
			return -LOAM_EFAULT;
		}
		*mark |= mask;
		++*marked;
	}
	return 0;
}

int loam_pt_check(const struct loam_pt *pt)
{
	size_t marked = 0;
	int error = check_tour(pt, &marked);
	/* A second tour, over the same tables, takes the marks away. */
	struct tour tour = { .begun = false };
	while (marked != 0 && tour_next(pt, &tour)) {
		if (tour.entering) {
			uint8_t mask;
			uint8_t *mark = check_mark(
				pt->geometry,
				pt_table_virt(pt, tour.table[tour.level]),
				&mask);
			*mark &= (uint8_t)~mask;
			marked--;
		}
	}
	return error;
}

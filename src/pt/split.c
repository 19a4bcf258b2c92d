/* SPDX-License-Identifier: MIT */
/* Breaking large pages up where only a part of one is to change. */

#include "pt_int.h"

/* True if page is the first of an entry of the level. */
static bool split_is_boundary(const struct loam_pt_geometry *geometry,
			      unsigned level, uintptr_t page)
{
	return (page & (pt_span(geometry, level) - 1)) == 0;
}

/*
 * How many tables it takes to make `page` a boundary. A large page that
 * `other` splits already, the end that was counted before, is not counted.
 */
static size_t split_count(const struct loam_pt *pt, uintptr_t page,
			  const uintptr_t *other)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned largest = loam_log2_floor(geometry->large_levels);
	if (split_is_boundary(geometry, largest, page)) {
		return 0;
	}
	struct pt_spot spot;
	loam_pt_descend(pt, page, &spot);
	if (!pt_is_set(geometry, spot.entry)) {
		return 0;
	}
	size_t count = 0;
	for (unsigned level = spot.level; level > 0; level--) {
		if (split_is_boundary(geometry, level, page)) {
			break;
		}
		unsigned shift = pt_shift(geometry, level);
		bool both = other != NULL && page >> shift == *other >> shift &&
			    !split_is_boundary(geometry, level, *other);
		count += !both;
	}
	return count;
}

/* Replaces a large page by a table that maps the same. */
static void split_one(struct loam_pt *pt, const struct pt_spot *spot,
		      struct pt_reserve *reserve)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned below = spot->level - 1;
	loam_phys_t table = loam_pt_reserve_take(pt, reserve);
	void *entries = pt_table_virt(pt, table);
	uint64_t entry = spot->entry;
	if (below == 0) {
		entry &= ~geometry->large;
	}
	loam_phys_t step = (loam_phys_t)LOAM_PAGE_SIZE
			   << geometry->span_shift[below];
	for (unsigned i = 0; i < pt_entries(geometry, below); i++) {
		pt_store(geometry->entry_bytes, entries, i, entry);
		entry += step;
	}
	pt_store(
		geometry->entry_bytes, pt_table_virt(pt, spot->table),
		spot->index,
		loam_pt_table_entry(geometry, spot->level, table, spot->entry));
}

static void split_at(struct loam_pt *pt, uintptr_t page,
		     struct pt_reserve *reserve)
{
	for (;;) {
		struct pt_spot spot;
		loam_pt_descend(pt, page, &spot);
		if (!pt_is_set(pt->geometry, spot.entry) ||
		    split_is_boundary(pt->geometry, spot.level, page)) {
			return;
		}
		split_one(pt, &spot, reserve);
	}
}

int loam_pt_split(struct loam_pt *pt, const struct pt_range *range)
{
	if (pt->geometry->large_levels == 0) {
		return 0;
	}
	uintptr_t end = range->page + range->count;
	size_t tables = split_count(pt, range->page, NULL) +
			split_count(pt, end, &range->page);
	if (LOAM_LIKELY(tables == 0)) {
		return 0;
	}
	struct pt_reserve reserve;
	int error = loam_pt_reserve(pt, tables, &reserve);
	if (error != 0) {
		return error;
	}
	split_at(pt, range->page, &reserve);
	split_at(pt, end, &reserve);
	LOAM_ASSERT(reserve.head == 0);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Changes to what is mapped: unmap and protect, with their loops. */

#include "pt_int.h"

/* As in map.c, a loop for each width of entries. */
static size_t clear_narrow(volatile uint32_t *entries, size_t n)
{
	size_t present = 0;
	for (size_t i = 0; i != n; i++) {
		if (entries[i] != 0) {
			entries[i] = 0;
			present++;
		}
	}
	return present;
}

static size_t clear_wide(void *table, size_t index, size_t n)
{
	void *entries = pt_entries_at(8, table, index);
	size_t present = n;
	for (size_t i = 0; i != n; i++) {
		if (LOAM_UNLIKELY(pt_load(8, entries, i) == 0)) {
			present--;
			continue;
		}
		pt_clear(entries, i);
	}
	return present;
}

size_t loam_pt_leaf_clear(struct loam_pt *pt, void *entries, unsigned index,
			  size_t count)
{
	if (pt->geometry->entry_bytes == 4) {
		return clear_narrow((uint32_t *)entries + index, count);
	}
	return clear_wide(entries, index, count);
}

/* Clears n entries from the spot on and returns how many were present. */
static size_t clear_entries(struct loam_pt *pt, const struct pt_spot *spot,
			    size_t n)
{
	return loam_pt_leaf_clear(pt, spot->entries, spot->index, n);
}

/* Clears the whole range, large pages being wholly inside. */
static size_t clear_range(struct loam_pt *pt, struct pt_range left)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	size_t present = 0;
	while (left.count != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, left.page, &spot);
		size_t n;
		if (spot.level > 0) {
			n = pt_rest(geometry, spot.level, left.page,
				    left.count);
			if (spot.entry != 0) {
				pt_store(geometry->entry_bytes, spot.entries,
					 spot.index, 0);
				present += n;
			}
		} else {
			n = pt_run(geometry, left.page, left.count);
			present += clear_entries(pt, &spot, n);
		}
		left.page += n;
		left.count -= n;
	}
	return present;
}

long loam_pt_unmap_noflush(struct loam_pt *pt, uintptr_t virt, size_t size)
{
	struct pt_range range;
	int error = loam_pt_range_own(pt, virt, size, &range);
	if (error != 0) {
		return error;
	}
	struct pt_spot spot;
	loam_pt_descend(pt, range.page, &spot);
	/* Most ranges lie in one table: there is nothing to split. */
	if (spot.level == 0 &&
	    pt_in_one_table(pt->geometry, range.page, range.count)) {
		return (long)clear_entries(pt, &spot, range.count);
	}
	error = loam_pt_split(pt, &range);
	if (error != 0) {
		return error;
	}
	return (long)clear_range(pt, range);
}

long loam_pt_unmap(struct loam_pt *pt, uintptr_t virt, size_t size)
{
	long pages = loam_pt_unmap_noflush(pt, virt, size);
	if (pages > 0) {
		loam_pt_flush(pt, virt, size);
	}
	return pages;
}

/*
 * Gives n entries new permission bits; the address, what the CPU has noted,
 * and `keep` stay. Returns how many were present.
 */
static size_t protect_run(const struct loam_pt_geometry *geometry,
			  const struct pt_spot *spot, size_t n, uint64_t bits,
			  uint64_t keep)
{
	unsigned bytes = geometry->entry_bytes;
	unsigned end = spot->index + (unsigned)n;
	size_t present = 0;
	keep |= geometry->phys_mask | geometry->accessed | geometry->dirty;
	for (unsigned index = spot->index; index < end; index++) {
		uint64_t entry = pt_load(bytes, spot->entries, index);
		if (entry != 0) {
			pt_store(bytes, spot->entries, index,
				 (entry & keep) | bits);
			present++;
		}
	}
	return present;
}

int loam_pt_protect(struct loam_pt *pt, uintptr_t virt, size_t size,
		    loam_prot_t prot)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	struct pt_range left;
	int error = loam_pt_range_own(pt, virt, size, &left);
	if (error != 0) {
		return error;
	}
	if ((prot & ~LOAM_PROT_ALL) != 0) {
		return -LOAM_EINVAL;
	}
	error = loam_pt_split(pt, &left);
	if (error != 0) {
		return error;
	}
	uint64_t bits = loam_pt_encode(geometry, prot);
	struct pt_reserve none = { .head = 0 };
	size_t present = 0;
	bool stale = false;
	while (left.count != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, left.page, &spot);
		size_t n = spot.level > 0
				   ? pt_rest(geometry, spot.level, left.page,
					     left.count)
				   : pt_run(geometry, left.page, left.count);
		size_t changed =
			protect_run(geometry, &spot, spot.level > 0 ? 1 : n,
				    bits, spot.level > 0 ? geometry->large : 0);
		if (changed != 0 && (bits & geometry->user) != 0) {
			stale |= loam_pt_reach(pt, left.page, spot.level, bits,
					       &none, &spot);
		}
		present += changed;
		left.page += n;
		left.count -= n;
	}
	if (stale) {
		loam_pt_flush(pt, 0, 0);
	} else if (present != 0) {
		loam_pt_flush(pt, virt, size);
	}
	return 0;
}

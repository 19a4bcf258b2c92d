/* SPDX-License-Identifier: MIT */
/* Making mappings: map, remap, populate. Plan, reserve, commit. */

#include "pt_int.h"

/* What is to be mapped; a cursor over it as well. */
struct map_job {
	uintptr_t page;
	size_t count;
	loam_phys_t phys;       /* of the next page, without pfns */
	const loam_pfn_t *pfns; /* of the next pages, or NULL */
	uint64_t bits;          /* of a leaf */
	uint8_t large_levels;   /* that may be used */
	bool same;              /* every entry has the first one's address */
};

static void map_advance(struct map_job *job, size_t count)
{
	job->page += count;
	job->count -= count;
	if (!job->same) {
		job->phys += (loam_phys_t)count << LOAM_PAGE_SHIFT;
	}
	if (job->pfns != NULL) {
		job->pfns += count;
	}
}

/*
 * The level whose entries are to map the job's next page, if `level` is where
 * the descent ended: the highest where a large page fits, or 0.
 */
static unsigned map_level(const struct loam_pt *pt, const struct map_job *job,
			  unsigned level)
{
	if (job->large_levels == 0) {
		return 0;
	}
	uintptr_t both = job->page | (uintptr_t)(job->phys >> LOAM_PAGE_SHIFT);
	for (; level > 0; level--) {
		uintptr_t span = pt_span(pt->geometry, level);
		if ((job->large_levels >> level & 1u) != 0 &&
		    (both & (span - 1)) == 0 && job->count >= span) {
			break;
		}
	}
	return level;
}

/*
 * How many tables from `level` - 1 down to `target` come into being at page.
 * Each is counted by the first of the range's pages in it: that is the first
 * page of the range, or the first of the table.
 */
static size_t map_missing(const struct loam_pt *pt, unsigned level,
			  unsigned target, uintptr_t page, uintptr_t first)
{
	size_t missing = 0;
	for (; level > target; level--) {
		uintptr_t span = pt_span(pt->geometry, level);
		missing += page == first || (page & (span - 1)) == 0;
	}
	return missing;
}

/*
 * The loops over the entries of a table come in two widths: what is one
 * instruction of a 32-bit CPU in the one is four in the other.
 */
static bool absent_narrow(const volatile uint32_t *entries, size_t n)
{
	uint32_t any = 0;
	for (size_t i = 0; i != n; i++) {
		any |= entries[i];
	}
	return any == 0;
}

/* Four at a time: what the loop itself takes is half of it otherwise. */
static LOAM_ALWAYS_INLINE bool absent_wide(const void *table, size_t index,
					   size_t n)
{
	const uint64_t *entries = pt_entries_at(8, table, index);
	uint64_t any = 0;
	for (; n >= 4; n -= 4) {
		any |= pt_load(8, entries, 0);
		any |= pt_load(8, entries, 1);
		any |= pt_load(8, entries, 2);
		any |= pt_load(8, entries, 3);
		entries += 4;
	}
	for (; n != 0; n--) {
		any |= pt_load(8, entries++, 0);
	}
	return any == 0;
}

static LOAM_ALWAYS_INLINE bool entries_absent(const struct loam_pt *pt,
					      const void *entries,
					      unsigned index, size_t n)
{
	if (pt->geometry->entry_bytes == 4) {
		return absent_narrow((const uint32_t *)entries + index, n);
	}
	return absent_wide(entries, index, n);
}

/* True if none of the n entries from the spot on is present. */
static bool map_absent(const struct loam_pt *pt, const struct pt_spot *spot,
		       size_t n)
{
	return entries_absent(pt, spot->entries, spot->index, n);
}

/*
 * How many of the job's next pages entries of `target` map in one go, from the
 * spot where the descent ended: up to the end of their table, and of large ones
 * up to the next that leads to a table, which stays. Only the first of them can
 * be one where a higher level fits.
 */
static size_t map_pages(const struct loam_pt *pt, const struct map_job *job,
			const struct pt_spot *spot, unsigned target)
{
	unsigned shift = pt_shift(pt->geometry, target);
	unsigned index = pt_index(pt->geometry, target, job->page);
	size_t n = pt_entries(pt->geometry, target) - index;
	if (job->count >> shift < n) {
		n = job->count >> shift;
	}
	if (target > 0 && spot->level == target) {
		size_t absent = 1;
		while (absent < n &&
		       pt_load(pt->geometry->entry_bytes, spot->entries,
			       index + (unsigned)absent) == 0) {
			absent++;
		}
		n = absent;
	}
	return n << shift;
}

/*
 * First walk: is every page absent, and how many tables are missing?
 * The tables that the walk finds absent are as the second one finds them,
 * since where a table is missing at one page, map_missing() knows that the
 * page before has brought it.
 */
static int map_plan(const struct loam_pt *pt, struct map_job job,
		    size_t *tables)
{
	uintptr_t first = job.page;
	size_t missing = 0;
	while (job.count != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, job.page, &spot);
		if (spot.level > 0 && spot.entry != 0) {
			return -LOAM_EEXIST;
		}
		unsigned target = map_level(pt, &job, spot.level);
		size_t n = map_pages(pt, &job, &spot, target);
		if (spot.level == 0 && !map_absent(pt, &spot, n)) {
			return -LOAM_EEXIST;
		}
		missing += map_missing(pt, spot.level, target, job.page, first);
		map_advance(&job, n);
	}
	*tables = missing;
	return 0;
}

static void fill_narrow(volatile uint32_t *entries, size_t n, uint32_t entry,
			uint32_t step)
{
	for (size_t i = 0; i != n; i++) {
		entries[i] = entry;
		entry += step;
	}
}

static void fill_narrow_frames(volatile uint32_t *entries, size_t n,
			       const loam_pfn_t *pfns, uint32_t bits)
{
	for (size_t i = 0; i != n; i++) {
		entries[i] = pfns[i] << LOAM_PAGE_SHIFT | bits;
	}
}

static void fill_wide(void *table, size_t index, size_t n, loam_phys_t entry,
		      loam_phys_t step)
{
	void *entries = pt_entries_at(8, table, index);
	for (size_t i = 0; i != n; i++) {
		pt_store_absent(entries, i, entry);
		entry += step;
	}
}

static void fill_wide_frames(void *table, size_t index, size_t n,
			     const loam_pfn_t *pfns, uint64_t bits)
{
	void *entries = pt_entries_at(8, table, index);
	for (size_t i = 0; i != n; i++) {
		pt_store_absent(entries, i, loam_pfn_to_phys(pfns[i]) | bits);
	}
}

/* Maps n frames by entries of level 0 from `index` on. */
static LOAM_ALWAYS_INLINE void fill_frames(const struct loam_pt *pt,
					   void *entries, unsigned index,
					   size_t n, const loam_pfn_t *pfns,
					   uint64_t bits)
{
	if (pt->geometry->entry_bytes == 4) {
		fill_narrow_frames((uint32_t *)entries + index, n, pfns,
				   (uint32_t)bits);
	} else {
		fill_wide_frames(entries, index, n, pfns, bits);
	}
}

/* Maps the job's next n pages by entries of `level`, from the spot on. */
static LOAM_ALWAYS_INLINE void map_fill(const struct loam_pt *pt,
					const struct pt_spot *spot, size_t n,
					const struct map_job *job,
					unsigned level)
{
	unsigned shift = level == 0 ? 0 : pt_shift(pt->geometry, level);
	loam_phys_t step = job->same ? 0 : (loam_phys_t)LOAM_PAGE_SIZE << shift;
	loam_phys_t entry = job->phys | job->bits;
	if (job->pfns != NULL) {
		fill_frames(pt, spot->entries, spot->index, n, job->pfns,
			    job->bits);
	} else if (pt->geometry->entry_bytes == 4) {
		fill_narrow((uint32_t *)spot->entries + spot->index, n >> shift,
			    (uint32_t)entry, (uint32_t)step);
	} else {
		fill_wide(spot->entries, spot->index, n >> shift, entry, step);
	}
}

/* Second walk: changes entries, with all tables at hand. */
static void map_commit(struct loam_pt *pt, struct map_job job,
		       struct pt_reserve *reserve)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	bool stale = false;
	pt->stats.not_needed += job.count;
	while (job.count != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, job.page, &spot);
		unsigned target = map_level(pt, &job, spot.level);
		if (spot.level > target || (job.bits & geometry->user) != 0) {
			stale |= loam_pt_reach(pt, job.page, target, job.bits,
					       reserve, &spot);
		}
		size_t n = map_pages(pt, &job, &spot, target);
		uint64_t bits = job.bits;
		job.bits |= target > 0 ? geometry->large : 0;
		map_fill(pt, &spot, n, &job, target);
		job.bits = bits;
		map_advance(&job, n);
	}
	LOAM_ASSERT(reserve->head == 0);
	if (stale) {
		loam_pt_flush(pt, 0, 0);
	}
}

static int map_run(struct loam_pt *pt, const struct map_job *job)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	struct pt_spot spot;
	loam_pt_descend(pt, job->page, &spot);
	/* Most maps lie in one table that is there: one descent does. */
	if (spot.level == 0 && (job->bits & geometry->user) == 0 &&
	    pt_in_one_table(geometry, job->page, job->count)) {
		if (!map_absent(pt, &spot, job->count)) {
			return -LOAM_EEXIST;
		}
		map_fill(pt, &spot, job->count, job, 0);
		pt->stats.not_needed += job->count;
		return 0;
	}
	size_t tables;
	int error = map_plan(pt, *job, &tables);
	if (error != 0) {
		return error;
	}
	struct pt_reserve reserve;
	error = loam_pt_reserve(pt, tables, &reserve);
	if (error != 0) {
		return error;
	}
	map_commit(pt, *job, &reserve);
	return 0;
}

/* True if entries can hold all addresses of [phys, phys + size). */
static bool map_phys_in_reach(const struct loam_pt *pt, loam_phys_t phys,
			      size_t size)
{
	loam_phys_t last = phys + (size - 1);
	loam_phys_t mask = pt->geometry->phys_mask;
	return (phys & LOAM_PAGE_MASK) == 0 && last >= phys &&
	       ((phys | last) & ~(mask | LOAM_PAGE_MASK)) == 0;
}

int loam_pt_map(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		size_t size, loam_prot_t prot, bool large)
{
	struct pt_range range;
	int error = loam_pt_range_own(pt, virt, size, &range);
	if (error != 0) {
		return error;
	}
	if ((prot & ~LOAM_PROT_ALL) != 0 ||
	    !map_phys_in_reach(pt, phys, size)) {
		return -LOAM_EINVAL;
	}
	struct map_job job = {
		.page = range.page,
		.count = range.count,
		.phys = phys,
		.pfns = NULL,
		.bits = loam_pt_encode(pt->geometry, prot),
		.large_levels = large ? pt->geometry->large_levels : 0,
	};
	return map_run(pt, &job);
}

int loam_pt_map_same(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		     unsigned order, size_t size, loam_prot_t prot)
{
	struct pt_range range;
	int error = loam_pt_range_own(pt, virt, size, &range);
	if (error != 0) {
		return error;
	}
	const struct loam_pt_geometry *geometry = pt->geometry;
	if ((prot & ~LOAM_PROT_ALL) != 0 || order > LOAM_PT_BLOCK_ORDER_MAX ||
	    !map_phys_in_reach(pt, phys, (size_t)LOAM_PAGE_SIZE << order)) {
		return -LOAM_EINVAL;
	}
	struct map_job job = {
		.page = range.page,
		.count = range.count,
		.phys = phys,
		.bits = loam_pt_encode(geometry, prot),
		.same = true,
	};
	for (unsigned level = 1; level < geometry->levels; level++) {
		if (geometry->span_shift[level] <= order) {
			job.large_levels |=
				(uint8_t)(geometry->large_levels & 1u << level);
		}
	}
	return map_run(pt, &job);
}

int loam_pt_map_frames(struct loam_pt *pt, uintptr_t virt,
		       const loam_pfn_t *pfns, size_t count, loam_prot_t prot)
{
	struct pt_range range;
	if (count > SIZE_MAX >> LOAM_PAGE_SHIFT) {
		return -LOAM_EINVAL;
	}
	int error =
		loam_pt_range_own(pt, virt, count << LOAM_PAGE_SHIFT, &range);
	if (error != 0) {
		return error;
	}
	/* An address mask has no gaps, so all can be judged at once. */
	loam_pfn_t all = 0;
	for (size_t i = 0; i < count; i++) {
		all |= pfns[i];
	}
	if ((prot & ~LOAM_PROT_ALL) != 0 ||
	    (loam_pfn_to_phys(all) & ~pt->geometry->phys_mask) != 0) {
		return -LOAM_EINVAL;
	}
	struct map_job job = {
		.page = range.page,
		.count = range.count,
		.phys = 0,
		.pfns = pfns,
		.bits = loam_pt_encode(pt->geometry, prot),
		.large_levels = 0,
	};
	return map_run(pt, &job);
}

bool loam_pt_leaf_map(struct loam_pt *pt, void *entries, unsigned index,
		      const loam_pfn_t *pfns, size_t count, uint64_t bits)
{
	LOAM_ASSERT(index + count <= pt_entries(pt->geometry, 0));
	if (!entries_absent(pt, entries, index, count)) {
		return false;
	}
	fill_frames(pt, entries, index, count, pfns, bits);
	pt->stats.not_needed += count;
	return true;
}

/* What has to be flushed after an entry was replaced. */
enum map_flush { MAP_FLUSH_NOTHING, MAP_FLUSH_PAGE, MAP_FLUSH_ALL };

static int map_replace(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		       loam_prot_t prot, enum map_flush *flush)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	struct pt_range range;
	int error = loam_pt_range_own(pt, virt, LOAM_PAGE_SIZE, &range);
	if (error != 0) {
		return error;
	}
	if ((prot & ~LOAM_PROT_ALL) != 0 ||
	    !map_phys_in_reach(pt, phys, LOAM_PAGE_SIZE)) {
		return -LOAM_EINVAL;
	}
	struct pt_spot spot;
	struct pt_reserve reserve = { .head = 0 };
	loam_pt_descend(pt, range.page, &spot);
	bool present = pt_is_set(geometry, spot.entry);
	if (spot.level > 0) {
		/* A large page is split, or tables are made to lead here. */
		error = present ? loam_pt_split(pt, &range)
				: loam_pt_reserve(pt, spot.level, &reserve);
		if (error != 0) {
			return error;
		}
	}
	uint64_t bits = loam_pt_encode(geometry, prot);
	bool stale = false;
	if (spot.level > 0 || (bits & geometry->user) != 0) {
		stale = loam_pt_reach(pt, range.page, 0, bits, &reserve, &spot);
	}
	pt_store(geometry->entry_bytes, spot.entries, spot.index, phys | bits);
	*flush = stale     ? MAP_FLUSH_ALL
		 : present ? MAP_FLUSH_PAGE
			   : MAP_FLUSH_NOTHING;
	pt->stats.not_needed += !present;
	return 0;
}

int loam_pt_remap(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		  loam_prot_t prot)
{
	enum map_flush flush;
	int error = map_replace(pt, virt, phys, prot, &flush);
	if (error == 0 && flush == MAP_FLUSH_ALL) {
		loam_pt_flush(pt, 0, 0);
	} else if (error == 0 && flush == MAP_FLUSH_PAGE) {
		loam_pt_flush(pt, virt, LOAM_PAGE_SIZE);
	}
	return error;
}

int loam_pt_remap_noflush(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
			  loam_prot_t prot)
{
	enum map_flush flush;
	if ((prot & LOAM_PROT_USER) != 0) {
		return -LOAM_EINVAL;
	}
	return map_replace(pt, virt, phys, prot, &flush);
}

/* Pages from `page` on that have their tables down to `level` in common. */
static size_t populate_step(const struct loam_pt *pt,
			    const struct pt_spot *spot, unsigned level,
			    const struct pt_range *left)
{
	/* Behind a large page, or behind the table that is there. */
	unsigned over =
		spot->level > level && pt_is_set(pt->geometry, spot->entry)
			? spot->level
			: level + 1;
	return over < pt->geometry->levels
		       ? pt_rest(pt->geometry, over, left->page, left->count)
		       : left->count;
}

/* How many tables of `level` and above the range lacks. */
static size_t populate_plan(const struct loam_pt *pt, struct pt_range left,
			    unsigned level)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	uintptr_t first = left.page;
	size_t missing = 0;
	while (left.count != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, left.page, &spot);
		if (!pt_is_set(geometry, spot.entry)) {
			missing += map_missing(pt, spot.level, level, left.page,
					       first);
		}
		size_t n = populate_step(pt, &spot, level, &left);
		left.page += n;
		left.count -= n;
	}
	return missing;
}

int loam_pt_populate_level(struct loam_pt *pt, uintptr_t virt, size_t size,
			   unsigned level)
{
	struct pt_range left;
	int error = level < pt->geometry->levels
			    ? loam_pt_range_own(pt, virt, size, &left)
			    : -LOAM_EINVAL;
	if (error != 0) {
		return error;
	}
	struct pt_reserve reserve;
	error = loam_pt_reserve(pt, populate_plan(pt, left, level), &reserve);
	if (error != 0) {
		return error;
	}
	bool stale = false;
	while (reserve.head != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, left.page, &spot);
		if (!pt_is_set(pt->geometry, spot.entry) &&
		    spot.level > level) {
			stale |= loam_pt_reach(pt, left.page, level, 0,
					       &reserve, &spot);
		}
		size_t n = populate_step(pt, &spot, level, &left);
		left.page += n;
		left.count -= n;
	}
	if (stale) {
		loam_pt_flush(pt, 0, 0);
	}
	return 0;
}

int loam_pt_populate(struct loam_pt *pt, uintptr_t virt, size_t size)
{
	return loam_pt_populate_level(pt, virt, size, 0);
}

size_t loam_pt_tables_needed_level(const struct loam_pt *pt, uintptr_t virt,
				   size_t size, unsigned level)
{
	struct pt_range range;
	if (level >= pt->geometry->levels ||
	    loam_pt_range(pt, virt, size, &range) != 0) {
		return 0;
	}
	return populate_plan(pt, range, level);
}

size_t loam_pt_tables_needed(const struct loam_pt *pt, uintptr_t virt,
			     size_t size)
{
	return loam_pt_tables_needed_level(pt, virt, size, 0);
}

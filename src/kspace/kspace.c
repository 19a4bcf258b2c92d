/* SPDX-License-Identifier: MIT */
/* The kernel's address space: its windows, page tables and table reserve. */

/*
 * Concepts
 *
 * Page frames are handed out one floor below. This floor gives them addresses
 * where the direct map does not, or not in the way that is wanted:
 *
 *	vmalloc   fresh frames, in any order, at consecutive addresses
 *	vmap      the caller's frames at consecutive addresses
 *	map_phys  any physical range: device registers, firmware's tables
 *	temp_map  one frame, for a moment, on this CPU
 *
 * Structures
 *
 *	window_base                                     + window_size
 *	| guard | range | guard | range    | guard | free ...       |
 *	        ^ its start = its address          ^
 *
 *	temp_base
 *	| CPU 0: slot 0 .. 7 | CPU 1: slot 0 .. 7 | ...
 *
 * The main window is an arena of pages (arena.c). The window's first page is
 * kept out of it, and each range is one page longer than what is mapped. So
 * every mapped range has an unmapped page before it, the guard of the one
 * below, and one behind it, at the price of one page of addresses a range,
 * and the pointer that the user has is the start that the arena knows.
 *
 * The tag of a range says what it is. A range is RESERVED while it is being
 * set up and again while it is taken down; it has its own kind exactly while
 * all its pages are mapped. Its kind changes in one step under the arena's
 * lock, so that of two CPUs that free one range, one is told that it is wrong.
 *
 * The frames behind a vmalloc range are a chain: the tag holds the first
 * page's frame, and the owner's word in each frame's descriptor the number of
 * the next page's. So vfree neither reads the page tables nor needs memory
 * for a list, however large the range, and check() compares two independent
 * records of the same thing.
 *
 * Page tables
 *
 * Every table of both windows is made at the start (S0.10). Nothing in them
 * can then fail for want of a table, and an address space that copies the root
 * entries sees every later map (S0.12). A window of terabytes has only its
 * upper tables made (config.table_level), which is as good for who copies the
 * root entries; the others come as ranges do, and stay. Tables that are needed
 * later, there, for the heaps' windows, or to split a large page, come from a
 * small reserve: an array of cleared frames, filled up before locks are taken,
 * so that growing never re-enters an allocator.
 *
 * Algorithm
 *
 * Validate, reserve, commit: vmalloc checks its arguments, takes the range,
 * then takes frames and maps them, 16 at a time. If a batch fails, what is
 * mapped is unmapped and flushed, frames and range go back, and nothing has
 * changed. Publishing the range cannot fail. vfree unmaps all, flushes once,
 * and only then gives the frames away: no stale translation leads to a frame
 * of somebody else. The range goes back last.
 *
 * Locking
 *
 * `lock` (LOAM_RANK_KSPACE) protects the page tables of the kernel, the
 * reserve and the counters. It is held for at most 64 pages at a time. The
 * arena has its own lock below it; frames are taken and given back without
 * either. Flushes of ranges are also without it: they wait for other CPUs,
 * which may be waiting for this lock with interrupts off. The counters of
 * flushes in pt may therefore miss some when CPUs flush at the same time.
 * Temporary maps belong to their CPU: see temp.c.
 *
 * Cost
 *
 * O(pages) for each range, some ten instructions a page beside those of the
 * frame and page-table floors, and O(log ranges) for the addresses. The tables
 * of a window take 4 bytes a page of it on i386: 1/1024.
 *
 * What fails
 *
 * No addresses, no descriptor, no frames: NULL, everything as before. A wrong
 * pointer to any of the functions that free: reported with what it is.
 */

#include <loam/pt_leaf.h>

#include "kspace_int.h"

/* -------- tables and descriptors -------- */

static bool reserve_push(struct loam_kspace *kspace, loam_phys_t table)
{
	bool wanted = kspace->reserve_count < kspace->config.table_reserve;
	if (wanted) {
		kspace->reserve[kspace->reserve_count] = table;
		kspace->reserve_count++;
	}
	return wanted;
}

/* A cleared frame for a table, always directly mapped, or none. */
static loam_pfn_t table_frame(struct loam_kspace *kspace, loam_flags_t flags)
{
	return loam_frame_alloc(kspace->frames, 0,
				LOAM_ZERO | (flags & LOAM_NOSLEEP) |
					LOAM_OWNED_BY(LOAM_OWNER_TABLE));
}

LOAM_NOINLINE void loam_kspace_fill_reserve(struct loam_kspace *kspace,
					    loam_flags_t flags)
{
	while (kspace->reserve_count < kspace->config.table_reserve) {
		loam_pfn_t pfn = table_frame(kspace, flags);
		if (pfn == LOAM_PFN_NONE) {
			return;
		}
		loam_lock(&kspace->lock);
		bool kept = reserve_push(kspace, loam_pfn_to_phys(pfn));
		loam_unlock(&kspace->lock);
		if (!kept) {
			loam_frame_free(kspace->frames, pfn, 0);
		}
	}
}

/* loam_pt_ops: the caller holds what protects pt. */
static loam_phys_t kspace_alloc_table(void *ctx)
{
	struct loam_kspace *kspace = ctx;
	if (kspace->reserve_count != 0) {
		kspace->reserve_count--;
		return kspace->reserve[kspace->reserve_count];
	}
	loam_pfn_t pfn = table_frame(kspace, LOAM_NOSLEEP);
	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

static void *kspace_table_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static void kspace_free_table(void *ctx, loam_phys_t table)
{
	struct loam_kspace *kspace = ctx;
	memset(loam_host_phys_to_virt(table), 0, LOAM_PAGE_SIZE);
	if (!reserve_push(kspace, table)) {
		loam_frame_free(kspace->frames, loam_phys_to_pfn(table), 0);
	}
}

const struct loam_pt_ops loam_kspace_pt_ops = {
	.alloc_table = kspace_alloc_table,
	.free_table = kspace_free_table,
	.table_virt = kspace_table_virt,
};

void *loam_kspace_alloc_page(struct loam_kspace *kspace, loam_flags_t flags)
{
	loam_pfn_t pfn = loam_frame_alloc(
		kspace->frames, 0,
		(flags & LOAM_NOSLEEP) | LOAM_OWNED_BY(LOAM_OWNER_META));
	return pfn == LOAM_PFN_NONE
		       ? NULL
		       : loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
}

/*
 * loam_arena_ops: the arena does not know whether its caller may sleep, so
 * this does not; who may tries once more (range_take() in vmalloc.c).
 */
static void *kspace_arena_page(void *ctx)
{
	return loam_kspace_alloc_page(ctx, LOAM_NOSLEEP);
}

/*
 * Never called: only loam_arena_fini() gives pages back, and the kernel's
 * address space has no end.
 */
static void kspace_arena_page_free(void *ctx, void *page)
{
	(void)ctx;
	(void)page;
}

static const struct loam_arena_ops kspace_arena_ops = {
	.alloc_page = kspace_arena_page,
	.free_page = kspace_arena_page_free,
};

/* -------- init -------- */

/* Bytes that one table of level 0 covers. */
static size_t table_span(const struct loam_pt *pt)
{
	return (size_t)LOAM_PAGE_SIZE << pt->geometry->index_bits[0];
}

/* [base, base + size) is not empty and does not wrap; it may end at the top. */
static bool window_valid(uintptr_t base, size_t size, size_t align)
{
	uintptr_t last;
	return size != 0 && loam_is_aligned(base, align) &&
	       loam_is_aligned(size, align) &&
	       !__builtin_add_overflow(base, size - 1, &last);
}

static bool config_valid(const struct loam_pt *pt,
			 const struct loam_kspace_config *config)
{
	size_t temp_least =
		(size_t)LOAM_MAX_CPUS * LOAM_TEMP_SLOTS * LOAM_PAGE_SIZE;
	uintptr_t temp_distance = config->temp_base - config->window_base;
	uintptr_t window_distance = config->window_base - config->temp_base;
	return window_valid(config->window_base - pt->bias, config->window_size,
			    table_span(pt)) &&
	       config->window_size >= 4 * (size_t)LOAM_PAGE_SIZE &&
	       window_valid(config->temp_base - pt->bias, config->temp_size,
			    LOAM_PAGE_SIZE) &&
	       config->temp_size >= temp_least &&
	       temp_distance >= config->window_size &&
	       window_distance >= config->temp_size &&
	       config->table_reserve <= LOAM_TABLE_RESERVE &&
	       config->table_level < pt->geometry->levels;
}

/*
 * What can fail, in order. The reserve is filled after the windows, whose
 * tables come straight from the frames.
 */
static int kspace_start(struct loam_kspace *kspace)
{
	const struct loam_kspace_config *config = &kspace->config;
	int error = loam_pt_populate_level(kspace->pt, config->window_base,
					   config->window_size,
					   config->table_level);
	if (error == 0) {
		error = loam_pt_populate(kspace->pt, config->temp_base,
					 config->temp_size);
	}
	if (error != 0) {
		return error;
	}
	loam_kspace_temp_init(kspace);
	kspace->leaf_bits = loam_pt_leaf_encode(kspace->pt, 0, KSPACE_PROT);
	loam_kspace_top_up(kspace, LOAM_NOSLEEP);
	if (kspace->reserve_count < config->table_reserve) {
		return -LOAM_ENOMEM;
	}
	return loam_arena_init(&kspace->window, "kspace",
			       config->window_base + LOAM_PAGE_SIZE,
			       config->window_size - LOAM_PAGE_SIZE,
			       LOAM_PAGE_SIZE, &kspace_arena_ops, kspace, NULL);
}

int loam_kspace_init(struct loam_kspace *kspace, struct loam_pt *pt,
		     struct loam_frames *frames,
		     const struct loam_kspace_config *config)
{
	if (!config_valid(pt, config)) {
		return -LOAM_EINVAL;
	}
	memset(kspace, 0, sizeof(*kspace));
	loam_lock_init(&kspace->lock, "kspace", LOAM_RANK_KSPACE);
	kspace->pt = pt;
	kspace->frames = frames;
	kspace->config = *config;

	const struct loam_pt_ops *old_ops = pt->ops;
	void *old_ctx = pt->ctx;
	pt->ops = &loam_kspace_pt_ops;
	pt->ctx = kspace;
	int error = kspace_start(kspace);
	if (error != 0) {
		pt->ops = old_ops;
		pt->ctx = old_ctx;
		while (kspace->reserve_count != 0) {
			kspace->reserve_count--;
			loam_phys_t table =
				kspace->reserve[kspace->reserve_count];
			loam_frame_free(frames, loam_phys_to_pfn(table), 0);
		}
		return error;
	}
	loam_frame_set_clear(frames, loam_kspace_clear_frame, kspace);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Page tables: the essay on the whole floor; spaces, and what they share. */

/*
 * PAGE TABLES
 *
 * The MMU finds the frame behind a page in a tree of tables. Each table is
 * one frame, full of entries; an entry is absent, leads to a table one level
 * down, or is a leaf that maps a page. Leaves are in level 0, and, as large
 * pages, in those higher levels that the CPU allows. The top is the root.
 *
 *	i386: a page number is	| root index, 10 bits | level 0 index, 10 |
 *
 *	root (level 1)           level 0
 *	+-------------+          +-------------+
 *	| absent      |     .--->| absent      |
 *	| table    ---+----'     | frame, prot |  maps 4 KiB
 *	| frame, prot |          | frame, prot |
 *	+-------------+          +-------------+
 *	  (a large page: maps 4 MiB)
 *
 * All that differs between machines is numbers: how many levels, how many
 * index bits in each, how wide an entry is, which bit means what. They are
 * the geometry (geometry.c), and there is one walker for every geometry, in
 * this floor, without a line that is special to one of them. It is iterative;
 * a tree of at most five levels needs no recursion.
 *
 * Pages, not addresses. A range comes in as (virt, size), is checked once
 * (loam_pt_range() in table.c), and is then a first page and a count, which
 * cannot overflow. `bias` is taken off each address on the way in: 0 on
 * hardware, and in the hosted build what lies between the emulated machine's
 * addresses and the host addresses that stand for them.
 *
 * Runs. Every operation loops over its range in the same way: descend from
 * the root to the entry that decides about the next page; deal with as many
 * pages as that entry, or the rest of that table of level 0, covers; go on
 * behind them. So there is one descent for each table or large page, and
 * along the entries of a table runs a loop of a few instructions.
 *
 * Plan, reserve, commit. Mapping first walks the range without changing
 * anything: is every page absent, and how many tables are missing? These are
 * then taken from the owner, all of them (struct pt_reserve, chained through
 * their own first entries), and only then does the second walk change
 * entries. It cannot fail. If the owner runs out, the reserve goes back and
 * the tree is as it was, to the bit. A large page of which only a part is to
 * change is split in the same manner: a table full of small pages that map
 * the same memory takes its place.
 *
 * Tables are never freed before loam_pt_fini(). An empty table is kept for
 * the next mapping, and since tables above the kernel's windows are shared by
 * all address spaces (loam_pt_share()), removing one would have to be told to
 * all. A root entry that is shared is marked in the borrower's `shared`
 * bitmap, not in the entry, which stays equal bit by bit in every space. The
 * borrower neither changes nor frees what is below.
 *
 * Protection is in the leaves. Entries that lead to tables allow writing and
 * execution, so that leaves decide; but they allow the user in only once
 * something below is mapped for the user. A kernel window, where nothing ever
 * is, is thus closed at two levels.
 *
 * Flushing. The CPU keeps translations in the TLB and does not notice when an
 * entry changes. It keeps none for an absent entry, hence absent to present
 * needs no flush, which is counted, and any other change does: flush.c says
 * how. Two changes of a table entry are rarer cases of the latter: opening it
 * to the user, which the CPU may have cached as closed; and adding a table to
 * PAE's root, of which the CPU reads its own copy when the root is loaded.
 *
 * Entries are read by the MMU at any moment, all bytes at once, and by
 * whatever interrupts the code that changes one. So a change is one store. With
 * PAE an entry is twice as wide as what a 32-bit CPU stores: where the page is
 * absent before or after, the half with the present bit is stored last, or
 * first; where it is present before and after and both halves differ, an
 * instruction that stores 8 bytes is used (leaf.c).
 *
 * Accessed and dirty bits are set by the CPU. A change of protection keeps
 * them, a split hands them to each part. Another CPU that sets one at the
 * very moment in which the protection changes may find it lost; who depends
 * on them unmaps, flushes, looks and maps again.
 *
 * Locking: none. The owner's lock protects an address space, its statistics,
 * and all tables below it. The floor calls the owner's ops and the TLB's with
 * that lock held, whatever it is.
 *
 * Cost: O(levels) per table touched, plus O(1) per page with a small
 * constant. Memory: one frame per table; for a densely mapped range on i386
 * that is 1/1024 of it.
 *
 * What can fail: arguments that are not valid, pages that are mapped already,
 * tables that cannot be had, ranges that belong to another space. All are
 * found before the first change.
 *
 * Invariants, verified by loam_pt_check():
 *   1. An entry that is not present is 0.
 *   2. A present entry has only bits of the geometry. An address in it is one
 *      that entries can hold; a large page's is a multiple of its size.
 *   3. A large page is at a level that has them.
 *   4. Table entries of levels that have permissions allow writing and are
 *      neither global nor no-execute; others have none. Where the owner lends
 *      tables to other spaces (pt_leaf.h), those of level 1 may forbid it.
 *   5. Above a leaf for the user every table is open to the user.
 *   6. Every table has one parent; the root has none.
 *   7. A shared root entry is present.
 *
 * Files: table.c has the descent, map.c makes mappings, change.c unmaps and
 * protects, split.c breaks large pages up, flush.c is the TLB, look.c answers
 * questions, tour.c visits all tables: fini, count, check; leaf.c is for owners
 * that share tables of level 0.
 *
 * Sources: Intel SDM volume 3A, chapter 4, in particular 4.10.4 on which
 * changes need an invalidation; AMD64 APM volume 2, chapter 5.
 */

#include <loam/mem.h>

#include "pt_int.h"

int loam_pt_share(struct loam_pt *to, const struct loam_pt *from,
		  uintptr_t virt, size_t size)
{
	const struct loam_pt_geometry *geometry = to->geometry;
	unsigned bytes = geometry->entry_bytes;
	struct pt_range range;
	int error = loam_pt_range(to, virt, size, &range);
	if (error != 0 || geometry != from->geometry ||
	    to->bias != from->bias) {
		return -LOAM_EINVAL;
	}
	unsigned root = geometry->levels - 1u;
	unsigned first = pt_index(geometry, root, range.page);
	unsigned last =
		pt_index(geometry, root, range.page + (range.count - 1));
	for (unsigned i = first; i <= last; i++) {
		if (pt_load(bytes, pt_table_virt(from, from->root), i) == 0) {
			return -LOAM_ENOENT;
		}
		if (pt_load(bytes, pt_table_virt(to, to->root), i) != 0) {
			return -LOAM_EEXIST;
		}
	}
	for (unsigned i = first; i <= last; i++) {
		uint64_t entry =
			pt_load(bytes, pt_table_virt(from, from->root), i);
		pt_store(bytes, pt_table_virt(to, to->root), i, entry);
	}
	loam_bitmap_set_range(to->shared, first, last - first + 1);
	to->shares = true;
	if (pt_is_bare(geometry, root)) {
		loam_pt_flush(to, 0, 0);
	}
	return 0;
}

/*
 * Up to 32 entries of the root, a word of the bitmap: those whose bit is set, 0
 * for the others. Nobody reads this root yet.
 */
static void share_word(struct loam_pt *to, const struct loam_pt *like,
		       unsigned word, unsigned count)
{
	unsigned bytes = to->geometry->entry_bytes;
	size_t offset = (size_t)word * 32 * bytes;
	uint32_t bits = like->shared[word];
	unsigned char piece[32 * 8];

	memcpy(piece,
	       (const unsigned char *)pt_table_virt(like, like->root) + offset,
	       (size_t)count * bytes);
	for (unsigned i = 0; bits != UINT32_MAX && i < count; i++) {
		if ((bits >> i & 1u) == 0) {
			memset(piece + (size_t)i * bytes, 0, bytes);
		}
	}
	memcpy((unsigned char *)pt_table_virt(to, to->root) + offset, piece,
	       (size_t)count * bytes);
	to->shared[word] = bits;
}

int loam_pt_share_like(struct loam_pt *to, const struct loam_pt *like)
{
	const struct loam_pt_geometry *geometry = to->geometry;

	if (geometry != like->geometry || to->bias != like->bias) {
		return -LOAM_EINVAL;
	}
	LOAM_ASSERT(!to->shares && !to->live);
	unsigned entries = pt_entries(geometry, geometry->levels - 1u);
	for (unsigned word = 0; word < LOAM_BITMAP_WORDS(entries); word++) {
		if (like->shared[word] != 0) {
			share_word(to, like, word, entries < 32 ? entries : 32);
		}
	}
	to->shares = like->shares;
	return 0;
}

int loam_pt_init(struct loam_pt *pt, const struct loam_pt_geometry *geometry,
		 const struct loam_pt_ops *ops, const struct loam_tlb_ops *tlb,
		 void *ctx)
{
	LOAM_ASSERT(geometry->levels >= 2 &&
		    geometry->levels <= LOAM_PT_MAX_LEVELS);
	loam_phys_t root = ops->alloc_table(ctx);
	if (root == LOAM_PHYS_NONE) {
		return -LOAM_ENOMEM;
	}
	memset(pt, 0, sizeof(*pt));
	pt->geometry = geometry;
	pt->ops = ops;
	pt->tlb = tlb;
	pt->ctx = ctx;
	pt->root = root;
	pt->policy = LOAM_TLB_AUTO;
	return 0;
}

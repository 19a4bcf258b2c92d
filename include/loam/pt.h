/* SPDX-License-Identifier: MIT */
/* Page tables: one walker for every geometry, and the flushing it implies. */
#ifndef LOAM_PT_H
#define LOAM_PT_H

#include <loam/bitmap.h>

#define LOAM_PT_MAX_LEVELS 5
#define LOAM_PT_MAX_INDEX_BITS 10 /* 1024 entries: i386 */

/* Protection and kind of a mapping, independent of the machine. */
typedef uint32_t loam_prot_t;

#define LOAM_PROT_READ 0x01u /* implied by the others where the CPU says so */
#define LOAM_PROT_WRITE 0x02u
#define LOAM_PROT_EXEC 0x04u /* without it: no-execute, where the CPU has it */
#define LOAM_PROT_USER 0x08u
#define LOAM_PROT_GLOBAL 0x10u   /* survives a change of address space */
#define LOAM_PROT_UNCACHED 0x20u /* device memory */
#define LOAM_PROT_WRITE_THROUGH 0x40u

#define LOAM_PROT_ALL 0x7fu

/*
 * The geometry of an MMU: all that the walker knows of a machine.
 * Level 0 is the table of 4 KiB pages, level levels - 1 the root. A table is
 * one frame. Where a level may map a large page, so may all between it and
 * level 0. A host whose CPU lacks something (no-execute, global pages) copies
 * the table of its machine and sets that bit to 0.
 */
struct loam_pt_geometry {
	const char *name;
	uint8_t levels;
	uint8_t entry_bytes;                    /* 4 or 8 */
	uint8_t index_bits[LOAM_PT_MAX_LEVELS]; /* of each level */
	/* log2 of the pages one entry of the level covers */
	uint8_t span_shift[LOAM_PT_MAX_LEVELS];
	uint8_t large_levels; /* bit l set: level l may map a large page */
	/*
	 * Bit l set: an entry of level l that leads to a table has no
	 * permission bits, and the CPU reads it only when the root is loaded
	 * (PAE's page-directory-pointer table).
	 */
	uint8_t bare_levels;
	/* Of a virtual address. More than 32: the bits above repeat the top. */
	uint8_t virt_bits;
	uint64_t phys_mask; /* address bits of an entry */
	/*
	 * Bits of an entry, 0 where there is none; all but no_execute among the
	 * lower 32, where a 32-bit CPU has them in one register.
	 */
	uint64_t present, writable, user, write_through, uncached, accessed,
		dirty, large, global, no_execute;
	uint64_t mark; /* a bit the CPU ignores, lent to loam_pt_check() */
};

/* i386 without and with 4 MiB pages (and global pages). */
extern const struct loam_pt_geometry loam_pt_i386;
extern const struct loam_pt_geometry loam_pt_i386_pse;
/* PAE, and x86-64 with four and with five levels. No-execute included. */
extern const struct loam_pt_geometry loam_pt_i386_pae;
extern const struct loam_pt_geometry loam_pt_x86_64;
extern const struct loam_pt_geometry loam_pt_x86_64_la57;

/* What the owner of the tables provides. ctx is the owner's. */
struct loam_pt_ops {
	/*
	 * A zeroed table frame, or LOAM_PHYS_NONE. Must not map anything
	 * through this address space: page tables come from a reserve.
	 */
	loam_phys_t (*alloc_table)(void *ctx);
	void (*free_table)(void *ctx, loam_phys_t table);
	/* Where a table can be read and written; valid until the next call. */
	void *(*table_virt)(void *ctx, loam_phys_t table);
};

/* How a stale translation is flushed (seed 004: tlb=auto|invlpg|cr3). */
enum loam_tlb_policy { LOAM_TLB_AUTO, LOAM_TLB_INVLPG, LOAM_TLB_CR3 };

/* The CPU's flush instructions; the emulated MMU has its own. */
struct loam_tlb_ops {
	void (*flush_page)(void *ctx, uintptr_t virt); /* NULL: has none */
	/* The same for each of them; NULL: one by one. */
	void (*flush_pages)(void *ctx, uintptr_t virt, size_t count);
	void (*flush_all)(void *ctx); /* global pages too */
};

/* Owners flush without their lock: those three are atomic, and may wrap. */
struct loam_tlb_stats {
	uint64_t not_needed; /* pages that went from not present to present */
	size_t pages;        /* single pages flushed */
	size_t full;         /* whole TLB flushed */
	size_t shootdowns;   /* other CPUs asked */
};

/*
 * One address space. No lock of its own: the owner's protects all of it. Open,
 * because the owner embeds it. The owner sets bias, policy, live and lends
 * after loam_pt_init(); the rest is the floor's.
 */
struct loam_pt {
	const struct loam_pt_geometry *geometry;
	const struct loam_pt_ops *ops;
	const struct loam_tlb_ops *tlb;
	void *ctx; /* for ops and tlb */
	loam_phys_t root;
	uintptr_t bias; /* subtracted from every address: 0 on hardware */
	enum loam_tlb_policy policy;
	/* CPUs that may use it, or 1: while not 0, changes are flushed */
	uint32_t live;
	bool shares; /* some bit of shared is set */
	bool lends;  /* tables of level 0 may be shared: see pt_leaf.h */
	struct loam_tlb_stats stats;
	/* Root entries that lead to another space's tables. */
	uint32_t shared[LOAM_BITMAP_WORDS(1u << LOAM_PT_MAX_INDEX_BITS)];
};

/* Above this many pages one full flush is cheaper than single ones. */
#define LOAM_TLB_FULL_THRESHOLD 33u

/* The page boundary at or below an address (S3.31). */
static inline uintptr_t loam_pt_align_down(uintptr_t virt)
{
	return virt & ~(uintptr_t)LOAM_PAGE_MASK;
}

/* The page boundary at or above it: false, *out untouched, if there is none. */
static inline bool loam_pt_align_up(uintptr_t virt, uintptr_t *out)
{
	if (virt > (uintptr_t)0 - LOAM_PAGE_SIZE) {
		return false;
	}
	*out = loam_pt_align_down(virt + LOAM_PAGE_MASK);
	return true;
}

/*
 * In all that follows [virt, virt + size) is whole pages, may end at the very
 * top of the address space, and must not wrap or leave what the geometry can
 * address: -LOAM_EINVAL otherwise, as for size 0, unknown protection bits, and
 * physical addresses that an entry cannot hold. What another space shares with
 * this one is changed through the other: -LOAM_EPERM. -LOAM_ENOMEM: a table
 * could not be had. On any error nothing has changed and nothing is kept.
 */

/*
 * Starts an address space with an empty root from ops->alloc_table. tlb may
 * be NULL for one that is never live. -LOAM_ENOMEM.
 */
int loam_pt_init(struct loam_pt *pt, const struct loam_pt_geometry *geometry,
		 const struct loam_pt_ops *ops, const struct loam_tlb_ops *tlb,
		 void *ctx);

/*
 * Frees every table but those of other spaces; mapped frames are not touched.
 * Must not be live. O(tables).
 */
void loam_pt_fini(struct loam_pt *pt);

/*
 * Maps [virt, virt + size) to [phys, phys + size). Large pages are used where
 * `large` asks, alignment and geometry allow, and no table is in the way.
 * Every page must be unmapped before: -LOAM_EEXIST otherwise.
 * Does not flush (not-present to present), except when a table that was there
 * is opened to the user. Cost: O(pages), one descent for each table.
 */
int loam_pt_map(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		size_t size, loam_prot_t prot, bool large);

/* The largest block that loam_pt_map_same() takes: 1 GiB. */
#define LOAM_PT_BLOCK_ORDER_MAX 18u

/*
 * Maps the same block of 2^order frames at phys all over [virt, virt + size):
 * by large pages where the block is as large, aligned like them, and the range
 * allows it; every other page is the block's first. Errors as loam_pt_map();
 * -LOAM_EINVAL also for a larger order. Cost: O(entries) that are written.
 */
int loam_pt_map_same(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		     unsigned order, size_t size, loam_prot_t prot);

/*
 * Maps count frames, in any order in memory, at consecutive pages.
 * Errors as loam_pt_map().
 */
int loam_pt_map_frames(struct loam_pt *pt, uintptr_t virt,
		       const loam_pfn_t *pfns, size_t count, loam_prot_t prot);

/*
 * Replaces whatever is mapped at virt (or nothing) by phys, one page, and
 * flushes it if it was present. Splits a large page if it must.
 */
int loam_pt_remap(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
		  loam_prot_t prot);

/*
 * The same without a flush, for the owner that flushes after giving back its
 * lock: loam_pt_flush() of the page, unless it was not mapped. -LOAM_EINVAL
 * also for LOAM_PROT_USER, where more than the page may be stale.
 */
int loam_pt_remap_noflush(struct loam_pt *pt, uintptr_t virt, loam_phys_t phys,
			  loam_prot_t prot);

/*
 * Unmaps every page of the range that is mapped and flushes. Tables stay,
 * empty, for the next use. Large pages must be wholly inside, or are split
 * (which may need tables). Returns the number of pages that were mapped.
 * Cost: O(pages), one descent for each table.
 */
long loam_pt_unmap(struct loam_pt *pt, uintptr_t virt, size_t size);

/* The same without a flush, for the owner that gathers: loam_pt_flush(). */
long loam_pt_unmap_noflush(struct loam_pt *pt, uintptr_t virt, size_t size);

/* Changes the protection of all mapped pages of the range, and flushes. */
int loam_pt_protect(struct loam_pt *pt, uintptr_t virt, size_t size,
		    loam_prot_t prot);

/*
 * Forgets stale translations of the range by the policy:
 *   AUTO    page by page where the CPU can and the range is at most
 *           LOAM_TLB_FULL_THRESHOLD pages, else all
 *   INVLPG  page by page where the CPU can, else all
 *   CR3     all
 * size 0 means all addresses, by any policy. Then asks the other CPUs, once,
 * through loam_host_tlb_shootdown(). Does nothing when the space is not live.
 */
void loam_pt_flush(struct loam_pt *pt, uintptr_t virt, size_t size);

/*
 * The calling CPU's part of it, for who asks the others later, or never: may
 * be called under a lock.
 */
void loam_pt_flush_local(struct loam_pt *pt, uintptr_t virt, size_t size);

/*
 * The same for a page that this CPU alone ever uses, and whose entry it alone
 * changes: needs no lock, and is not counted.
 */
void loam_pt_flush_private(const struct loam_pt *pt, uintptr_t virt);

/*
 * Makes every table above the pages of the range present (S0.10), so that
 * later maps in it allocate nothing and the range is the same in every space
 * that shares the root entries. Large pages that are there stay.
 */
int loam_pt_populate(struct loam_pt *pt, uintptr_t virt, size_t size);

/*
 * The same for the tables of `level` and above alone: with the level below the
 * root's, the root entries are there and can be shared, and the tables below
 * come with what is mapped. Level 0 is loam_pt_populate(). -LOAM_EINVAL also
 * for a level that the geometry has not.
 */
int loam_pt_populate_level(struct loam_pt *pt, uintptr_t virt, size_t size,
			   unsigned level);

/*
 * Copies the root entries that cover the range into another space's root, bit
 * by bit; they stay the tables of `from`, which must outlive `to`. Same
 * geometry and bias. -LOAM_ENOENT: `from` has none there, populate first.
 * -LOAM_EEXIST: `to` has tables of its own there.
 */
int loam_pt_share(struct loam_pt *to, const struct loam_pt *from,
		  uintptr_t virt, size_t size);

/*
 * Shares with `to`, which is as loam_pt_init() left it, all root entries that
 * `like` shares with others, whose tables must outlive `to` as well. Same
 * geometry and bias: else -LOAM_EINVAL. For a kernel that makes many spaces
 * with one kernel's part: about 3 instructions for each entry.
 */
int loam_pt_share_like(struct loam_pt *to, const struct loam_pt *like);

/*
 * How many table frames populating the range, or mapping it with 4 KiB pages,
 * would take; 0 for a range that is not valid.
 */
size_t loam_pt_tables_needed(const struct loam_pt *pt, uintptr_t virt,
			     size_t size);

/* How many loam_pt_populate_level() would make; 0 also for no such level. */
size_t loam_pt_tables_needed_level(const struct loam_pt *pt, uintptr_t virt,
				   size_t size, unsigned level);

/* What virt maps to. */
struct loam_pt_mapping {
	loam_phys_t phys; /* of virt itself, offset included */
	loam_prot_t prot;
	size_t page_size; /* 4 KiB or large */
	bool accessed;
	bool dirty;
};

/*
 * virt may be any address. 0, or -LOAM_ENOENT if it is not mapped.
 * O(levels), as the walk.
 */
int loam_pt_query(const struct loam_pt *pt, uintptr_t virt,
		  struct loam_pt_mapping *out);

/* One step of a walk: entry `index` of the table at `table`. */
struct loam_pt_step {
	uint8_t level;
	uint32_t index;
	loam_phys_t table;
	uint64_t entry;
};

/*
 * The walk for virt from the root down to the entry that decides, for people:
 * fills steps[0..n) and returns n: 1 to levels, 0 for an address that the
 * geometry cannot translate.
 */
unsigned loam_pt_walk(const struct loam_pt *pt, uintptr_t virt,
		      struct loam_pt_step steps[LOAM_PT_MAX_LEVELS]);

/*
 * Calls visit for each maximal run of mapped pages in [virt, last] with equal
 * protection and page size and consecutive frames, cut to the range. virt is
 * the first byte of a page, last the last byte of one. Stops at the first
 * non-zero result and returns it; -LOAM_EINVAL. visit may look at the space
 * but not change it. O(tables + mapped).
 */
int loam_pt_visit(const struct loam_pt *pt, uintptr_t virt, uintptr_t last,
		  int (*visit)(void *arg, uintptr_t virt, size_t size,
			       loam_phys_t phys, loam_prot_t prot,
			       size_t page_size),
		  void *arg);

/* Number of table frames in use, the root included, shared ones not. */
size_t loam_pt_count_tables(const struct loam_pt *pt);

/*
 * 0, or -LOAM_EFAULT (logged): bits that are not ours in an entry, a table in
 * two places, protection that a table above takes away, large pages where
 * there are none. Leaves shared tables to their owner. O(tables).
 */
int loam_pt_check(const struct loam_pt *pt);

#endif

/* SPDX-License-Identifier: MIT */
/* Kernel virtual address space: arenas, vmap, vmalloc, device maps. */
#ifndef LOAM_KSPACE_H
#define LOAM_KSPACE_H

#include <loam/frame.h>
#include <loam/list.h>
#include <loam/pt.h>
#include <loam/tree.h>

/*
 * An arena is a set of integers from which ranges are taken and given back;
 * what they mean is the user's business (after Bonwick and Adams, "Magazines
 * and Vmem", USENIX 2001). Ranges are multiples of the quantum. Free ranges
 * always merge with free neighbours; a used range is found by its start.
 */
struct loam_arena; /* open, at the end of this header */

/* A named part of the kernel's address space, for `ranges`. */
enum loam_range_kind {
	LOAM_RANGE_FREE,
	LOAM_RANGE_VMALLOC,
	LOAM_RANGE_KMALLOC, /* made by vmalloc for LOAM_OWNER_KMALLOC */
	LOAM_RANGE_VMAP,
	LOAM_RANGE_DEVICE,
	LOAM_RANGE_RESERVED, /* taken by loam_arena_alloc_at() and the like */
};

/*
 * Supplies and takes back memory for range descriptors, a page at a time,
 * directly mapped, aligned to a page and with any contents. Called without
 * the arena's lock; must not call the same arena. NULL: none to be had.
 */
struct loam_arena_ops {
	void *(*alloc_page)(void *ctx);
	void (*free_page)(void *ctx, void *page);
};

/*
 * Starts an arena of [base, base + size), quantum a power of two of which
 * base and size are multiples. ops may be NULL when `first_page` (4 KiB, the
 * caller's, may be NULL with ops) is to be all the descriptors there are.
 * name is not copied. The arena must not be moved. -LOAM_EINVAL, -LOAM_ENOMEM.
 */
int loam_arena_init(struct loam_arena *arena, const char *name, uintptr_t base,
		    size_t size, size_t quantum,
		    const struct loam_arena_ops *ops, void *ctx,
		    void *first_page);

/* Gives the descriptor pages back. Ranges still in use are reported. */
void loam_arena_fini(struct loam_arena *arena);

/*
 * Takes size (rounded up to the quantum) at a multiple of align (power of two
 * or 0) and returns 0 with *out, or -LOAM_ENOMEM (no descriptor), -LOAM_ENOSPC
 * (no room), -LOAM_EINVAL (size 0, overflow, bad align). Best fit by size,
 * lowest address among equals. tag is kept for the user (kind, owner).
 * Context: any that may call ops. Cost: O(log free ranges); with an alignment
 * above the quantum also the free ranges too small for the worst case of it.
 */
int loam_arena_alloc(struct loam_arena *arena, size_t size, size_t align,
		     uintptr_t tag, uintptr_t *out);

/*
 * Takes exactly [at, at + size), size rounded up to the quantum.
 * -LOAM_EBUSY if any of it is taken, -LOAM_EINVAL (misaligned, size 0, not
 * within the arena), -LOAM_ENOMEM as above. Cost: O(ranges).
 */
int loam_arena_alloc_at(struct loam_arena *arena, uintptr_t at, size_t size,
			uintptr_t tag);

/*
 * Gives back the used range that starts at `start`, and tells its size (size
 * may be NULL). -LOAM_ENOENT, nothing changed, if there is none. Cannot fail
 * otherwise, never allocates. Cost: as loam_arena_alloc().
 */
int loam_arena_free(struct loam_arena *arena, uintptr_t start, size_t *size);

/*
 * Gives the used range that starts at `start` another size, rounded up to the
 * quantum, where it is: grown into the free range behind it, or with its end
 * given back. -LOAM_ENOENT: there is no such range; -LOAM_ENOSPC: what is
 * behind it is taken, or too little; -LOAM_ENOMEM: no descriptor for the end;
 * -LOAM_EINVAL: size 0 or one that wraps. Nothing has changed then.
 * Cost: O(log free ranges).
 */
int loam_arena_resize(struct loam_arena *arena, uintptr_t start, size_t size);

/*
 * Gives the used range that starts at `start` the tag `to`, if its tag so far,
 * masked, is `from`, in one step: of two who would take a range down, only
 * one goes on. Tells its size and its old tag. -LOAM_ENOENT: no range starts
 * there; -LOAM_EBUSY: it has another tag. O(1) expected.
 */
int loam_arena_retag(struct loam_arena *arena, uintptr_t start, uintptr_t mask,
		     uintptr_t from, uintptr_t to, size_t *size,
		     uintptr_t *old);

/* The used range that starts at `start`, or -LOAM_ENOENT. O(1) expected. */
int loam_arena_find_exact(struct loam_arena *arena, uintptr_t start,
			  size_t *size, uintptr_t *tag);

/*
 * The range that contains addr: -LOAM_ENOENT if addr is free or outside.
 * For reports: O(ranges) unless addr is its start.
 */
int loam_arena_find(struct loam_arena *arena, uintptr_t addr, uintptr_t *start,
		    size_t *size, uintptr_t *tag);

/*
 * Hands over a page for descriptors, of the kind ops->alloc_page gives, that
 * the caller got in a way ops could not. It goes back through ops->free_page.
 */
void loam_arena_donate(struct loam_arena *arena, void *page);

/*
 * Fault injection, as loam_frame_fail_nth(): the nth alloc from now on has no
 * room, once; 0 turns it off. Requests are counted while it is on.
 */
uint64_t loam_arena_fail_nth(struct loam_arena *arena, uint64_t nth);

/*
 * Calls visit for every range in address order, the free ones too, under the
 * arena's lock: visit must not call the arena. Stops at non-zero and returns
 * it. A used range's tag; 0 for a free one.
 */
int loam_arena_walk(struct loam_arena *arena,
		    int (*visit)(void *arg, uintptr_t start, size_t size,
				 bool free, uintptr_t tag),
		    void *arg);

struct loam_arena_stats {
	size_t size;
	size_t used;
	size_t peak; /* of used */
	size_t largest_free;
	size_t ranges_used;
	size_t ranges_free;
	size_t pages;    /* of descriptors, gathered so far */
	uint64_t failed; /* requests without room or descriptor */
};
void loam_arena_stats(struct loam_arena *arena, struct loam_arena_stats *out);

/* 0, or -LOAM_EFAULT (logged): every invariant of the essay. O(ranges). */
int loam_arena_check(struct loam_arena *arena);

/* -------- the kernel's address space -------- */

struct loam_kspace; /* open, at the end */

struct loam_kspace_config {
	/*
	 * The main window: vmalloc, vmap, device maps. Multiples of what a
	 * page table covers. Its first page stays unmapped: the guard before
	 * the first range.
	 */
	uintptr_t window_base;
	size_t window_size;
	/* Temporary maps: at least LOAM_TEMP_SLOTS pages for each CPU. */
	uintptr_t temp_base;
	size_t temp_size;
	/* Table frames kept in reserve for growing, <= LOAM_TABLE_RESERVE. */
	unsigned table_reserve;
	/*
	 * Tables of this level and above are made at the start for the main
	 * window, those below when they are needed, and then stay. 0: all of
	 * them; for a large window the level below the root's.
	 */
	unsigned table_level;
};

#define LOAM_TEMP_SLOTS 8u     /* per CPU, used as a stack */
#define LOAM_TABLE_RESERVE 32u /* the most that config may ask for */

/*
 * Takes over the kernel's permanent page tables (pt is live or about to be):
 * from here on pt's tables come through loam_kspace_pt_ops, and pt->ctx, which
 * its TLB operations get too, is the kspace. Populates the tables of its
 * windows, starts the arena, and clears high frames for the frame floor
 * (loam_frame_set_clear). frames must be adopted, nothing mapped in the
 * windows. kspace must not be moved; pt and frames must outlive it.
 * -LOAM_ENOMEM, -LOAM_EINVAL: pt and frames are as before, but for tables that
 * were populated.
 */
int loam_kspace_init(struct loam_kspace *kspace, struct loam_pt *pt,
		     struct loam_frames *frames,
		     const struct loam_kspace_config *config);

/*
 * size bytes of fresh kernel memory, page aligned or at a multiple of align (a
 * power of two, or 0), contiguous in addresses only, with an unmapped guard
 * page before and after. Frames may be high.
 * NULL: size 0, bad align, too large, out of memory or of addresses; all
 * undone. LOAM_ZERO is honoured; LOAM_NOSLEEP too; LOAM_DMA forces DMA frames;
 * LOAM_OWNED_BY() labels the frames (default: LOAM_OWNER_VMALLOC).
 * Context: any that may take locks. Cost: O(pages).
 */
void *loam_kspace_vmalloc(struct loam_kspace *kspace, size_t size_bytes,
			  size_t align, loam_flags_t flags);

/*
 * Frees it; NULL does nothing. A pointer that is not the start of a vmalloc
 * block is reported with what it is, and ignored. One flush. Cost: O(pages).
 */
void loam_kspace_vfree(struct loam_kspace *kspace, void *start);

/*
 * Usable bytes of a vmalloc block, whole pages; 0 if start is not one. O(1).
 */
size_t loam_kspace_vsize(struct loam_kspace *kspace, const void *start);

/*
 * For kmalloc, whose large blocks vmalloc makes, labelled LOAM_OWNER_KMALLOC:
 * vfree does not take them, nor do these take vmalloc's own. Free returns
 * whether there was such a block at `start`; if not, nothing is reported.
 */
bool loam_kspace_free_kmalloc(struct loam_kspace *kspace, void *start);
size_t loam_kspace_size_kmalloc(struct loam_kspace *kspace, const void *start);

/* True if the address lies in a block of kmalloc's: interior, or its start. */
bool loam_kspace_in_kmalloc(struct loam_kspace *kspace, const void *address);

/*
 * Maps count frames of the caller's at consecutive pages, guard pages on both
 * sides. The frames stay the caller's. NULL as above, and for LOAM_PROT_USER.
 */
void *loam_kspace_vmap(struct loam_kspace *kspace, const loam_pfn_t *pfns,
		       size_t count, loam_prot_t prot);
void loam_kspace_vunmap(struct loam_kspace *kspace, void *start);

/*
 * Maps a physical range at any alignment and of any size (ACPI tables, device
 * registers) and returns the address of its first byte: the offset within the
 * page is kept. Memory of ours or not; prot says whether it is cached, and is
 * never LOAM_PROT_USER. NULL as above, or where the MMU does not reach.
 */
void *loam_kspace_map_phys(struct loam_kspace *kspace, loam_phys_t phys,
			   size_t size_bytes, loam_prot_t prot);
/* Takes the address that map_phys returned. */
void loam_kspace_unmap_phys(struct loam_kspace *kspace, void *start);

/*
 * A short look at any frame: directly mapped frames as they are, others in
 * one of the CPU's slots. Strictly nested, interrupts included; the caller is
 * kept on its CPU (loam_cpu_enter) until the unmap of a slot. Never
 * allocates. NULL when the CPU's slots are used up, or the MMU does not reach.
 * Writable. Cost: O(levels); other CPUs are not asked to flush.
 */
void *loam_kspace_temp_map(struct loam_kspace *kspace, loam_pfn_t pfn);

/*
 * Undoes the newest temp_map. Another slot of the window than the newest of
 * this CPU is reported and ignored; NULL and addresses outside do nothing.
 */
void loam_kspace_temp_unmap(struct loam_kspace *kspace, void *page);

/*
 * Table frames for this address space: loam_pt_ops of the kernel's pt, whose
 * ctx is the kspace. A table comes from the reserve, or, once that is empty,
 * straight from the frames; it never maps anything. The reserve is topped up
 * by every function that takes a range, before its locks.
 */
extern const struct loam_pt_ops loam_kspace_pt_ops;

/* Fault injection, as loam_frame_fail_nth(), for address ranges. */
uint64_t loam_kspace_fail_nth(struct loam_kspace *kspace, uint64_t nth);

/*
 * Visits every range of the main window, free ones too, in address order,
 * under locks: visit must not call this floor. A used range includes its
 * guard page, the last one; LOAM_RANGE_RESERVED is one that is being set up
 * or taken down. Stops at non-zero and returns it.
 */
int loam_kspace_walk(struct loam_kspace *kspace,
		     int (*visit)(void *arg, uintptr_t start, size_t size,
				  enum loam_range_kind kind),
		     void *arg);

/* "free", "vmalloc", ...: for printing. */
const char *loam_range_kind_name(enum loam_range_kind kind);

/*
 * Says in words what an address is: "inside a vmalloc range of 5 pages that
 * starts at 0xe0001000". For reports. O(ranges).
 */
void loam_kspace_describe(struct loam_kspace *kspace, uintptr_t address,
			  char *to, size_t size_bytes);

struct loam_kspace_stats {
	struct loam_arena_stats window; /* address space, in bytes */
	size_t own_pages;               /* mapped, frames ours: vmalloc */
	size_t foreign_pages;           /* mapped, frames not ours */
	unsigned table_reserve;         /* table frames at hand */
	unsigned temp_peak;             /* most slots one CPU has used */
};
void loam_kspace_stats(struct loam_kspace *kspace,
		       struct loam_kspace_stats *out);

/*
 * 0, or -LOAM_EFAULT (logged): every invariant of the essay, the arena's and
 * the page tables' too. Right at any time, but slow and under locks.
 */
int loam_kspace_check(struct loam_kspace *kspace);

/* -------- the instances -------- */

/* Buckets an arena starts with; a page of them replaces these as it grows. */
#define LOAM_ARENA_BUCKET_BITS 5u
#define LOAM_ARENA_BUCKETS (1u << LOAM_ARENA_BUCKET_BITS)

struct loam_arena_range; /* one descriptor */
struct loam_arena_page;  /* the head of a page of them */

/*
 * Fields: c set at the start and constant, l under the lock.
 */
struct loam_arena {
	struct loam_lock lock;
	const char *name;                  /* c */
	uintptr_t base;                    /* c */
	size_t size;                       /* c */
	size_t quantum;                    /* c */
	unsigned quantum_shift;            /* c */
	unsigned bucket_bits;              /* l */
	const struct loam_arena_ops *ops;  /* c */
	void *ctx;                         /* c */
	struct loam_list order;            /* l: every range, by address */
	struct loam_tree free_ranges;      /* l: by size, then address */
	struct loam_arena_range **buckets; /* l: used ranges, by start */
	struct loam_arena_range *spare;    /* l: unused descriptors */
	size_t spare_count;                /* l */
	struct loam_arena_page *pages;     /* l: from ops */
	size_t page_count;  /* l: those, and the page of buckets */
	size_t used;        /* l: quantities of the statistics */
	size_t peak;        /* l */
	size_t ranges_used; /* l */
	uint64_t failed;    /* l */
	uint64_t fail_at;   /* l: fault injection */
	uint64_t fail_seen; /* l */
	struct loam_arena_range *first_buckets[LOAM_ARENA_BUCKETS]; /* l */
};

/*
 * One CPU's temporary maps: a stack that only this CPU, and interrupts that
 * nest in it, change. The padding keeps CPUs off each other's cache lines.
 */
struct loam_kspace_temp {
	uint32_t depth;
	uint32_t peak;
	loam_pfn_t pfns[LOAM_TEMP_SLOTS];
	void *tables[LOAM_TEMP_SLOTS];     /* c: where a slot's entry is, */
	uint16_t indices[LOAM_TEMP_SLOTS]; /* c: and which it is */
	unsigned char padding[40];
};

/*
 * Fields: c set at the start and constant, k under the lock.
 */
struct loam_kspace {
	struct loam_lock lock;            /* the page tables, and all k */
	struct loam_pt *pt;               /* c; what it points at: k */
	struct loam_frames *frames;       /* c */
	struct loam_kspace_config config; /* c */
	struct loam_arena window;
	volatile unsigned reserve_count; /* k; a hint without the lock */
	loam_phys_t reserve[LOAM_TABLE_RESERVE]; /* k */
	uint64_t temp_bits;                      /* c: a slot's entry, at 0 */
	/*
	 * k: the table of level 0 of the window that was used last, which stays
	 * where it is; the first address it covers, and how many bytes it does.
	 * Nothing: 0.
	 */
	void *leaf;
	uintptr_t leaf_start;
	size_t leaf_size;
	uint64_t leaf_bits;   /* c: of an entry that maps a frame for vmalloc */
	size_t own_pages;     /* k */
	size_t foreign_pages; /* k */
	struct loam_kspace_temp temps[LOAM_MAX_CPUS];
};

#endif

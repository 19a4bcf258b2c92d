/* SPDX-License-Identifier: MIT */
/* Address spaces of processes: regions, demand paging, copy-on-write. */
#ifndef LOAM_PROC_H
#define LOAM_PROC_H

#include <loam/kmalloc.h>
#include <loam/tree.h>

/*
 * A process's part of the address space is a set of regions, each a range of
 * pages with one protection and one kind. Memory arrives page by page, when it
 * is touched: the kernel's page-fault handler calls loam_proc_fault().
 *
 * Addresses and sizes of user memory are integers (uintptr_t, size_t), never
 * pointers: nothing here follows one. All of them are whole pages unless
 * stated otherwise.
 *
 * Errors, besides those named: -LOAM_EINVAL for an address or size that is not
 * whole pages, is 0, wraps, or leaves the user's part; -LOAM_ENOMEM when memory
 * or a limit is exhausted. On an error nothing has changed.
 *
 * Locks: each address space has one (LOAM_RANK_PROC), which the functions take
 * themselves; different spaces do not wait for each other. Context: a thread of
 * the kernel, without locks, except where stated. Nothing here sleeps but a
 * pager.
 */

/* -------- what all address spaces of a kernel share -------- */

struct loam_proc;   /* one address space; open, below */
struct loam_region; /* one region; open, for walks */
struct loam_pager;
struct loam_shared;

/* What a fault turned out to be: one counter each. */
enum loam_fault_kind {
	LOAM_FAULT_ZERO_PAGE, /* read of untouched memory: the zero page */
	LOAM_FAULT_ZERO_FILL, /* write to untouched memory: a cleared frame */
	LOAM_FAULT_COPY,      /* write to a frame that others have too */
	LOAM_FAULT_REUSE,     /* ... that nobody else has any more */
	LOAM_FAULT_TABLE,     /* page table unshared from a fork */
	LOAM_FAULT_SHARED,    /* page of a shared object */
	LOAM_FAULT_PAGER,     /* page that a pager had to bring */
	LOAM_FAULT_AROUND,    /* pages mapped beside the one that was touched */
	LOAM_FAULT_STACK,     /* a stack grew */
	LOAM_FAULT_SPURIOUS,  /* the page was right by the time we looked */
	LOAM_FAULT_BAD,       /* no region, or it does not permit the access */
	LOAM_FAULT_NO_MEMORY,
	LOAM_FAULT_KINDS
};
const char *loam_fault_kind_name(enum loam_fault_kind kind);

struct loam_procs_config {
	struct loam_kmalloc *kmalloc; /* of regions and of objects */
	struct loam_frames *frames;
	struct loam_kspace *kspace; /* temporary maps of high frames, or NULL */
	/*
	 * The kernel's own tables: what lies from kernel_base to the end of
	 * the address space is the same in every space (S0.12) and must be
	 * populated. With kernel_base 0 it is all that the kernel maps outside
	 * of the user's part: an identity map. Nothing of the user's part may
	 * then be mapped with LOAM_PROT_GLOBAL.
	 */
	const struct loam_pt *kernel_pt;
	uintptr_t kernel_base;
	size_t kernel_size; /* 0 with kernel_base 0 */
	/*
	 * Instead, or NULL: puts the kernel's part into an empty space. For a
	 * kernel whose own memory lies between several ranges of the user's,
	 * which then are what it lets programs map.
	 */
	int (*share_kernel)(void *ctx, struct loam_pt *pt);
	/* Where user memory may be: [user_base, user_end). */
	uintptr_t user_base;
	uintptr_t user_end;
	/* Where map() without a wish puts regions, within the above. */
	uintptr_t map_base;
	uintptr_t map_end;
	/* Fills one page with zeros, or with another; NULL: memset, memcpy. */
	void (*clear_page)(void *page);
	void (*copy_page)(void *to, const void *from);
	/*
	 * Memory has run out and nothing could be reclaimed. `victim` is the
	 * space with the most resident frames among those that are not already
	 * ending. The host marks its process to end and has it run as soon as
	 * may be; true: it will give memory back, so the caller's fault is to
	 * be tried again (LOAM_FAULTED_RETRY). May be NULL. Called under the
	 * lock of the list of spaces: it must not create or destroy one.
	 */
	bool (*out_of_memory)(void *ctx, struct loam_proc *victim);
	void *ctx;
};

struct loam_procs_stats {
	uint32_t count; /* spaces */
	uint64_t faults[LOAM_FAULT_KINDS];
	uint64_t reclaimed;     /* frames that pressure got back */
	uint64_t out_of_memory; /* spaces chosen to end */
};

struct loam_procs; /* open, at the end */

/*
 * Takes one frame for the zero page. config is copied, what it points at must
 * outlive procs. -LOAM_EINVAL, -LOAM_ENOMEM.
 */
int loam_procs_init(struct loam_procs *procs,
		    const struct loam_procs_config *config);

/* Gives the zero page back. Every space must have been destroyed. */
void loam_procs_fini(struct loam_procs *procs);

/* A snapshot, spaces that have ended included. O(spaces). */
void loam_procs_stats(struct loam_procs *procs, struct loam_procs_stats *out);

/* Calls visit for each space, in order of creation, under the list's lock. */
int loam_procs_walk(struct loam_procs *procs,
		    int (*visit)(void *arg, struct loam_proc *proc), void *arg);

/* -------- one address space -------- */

/* Limits of one space; loam_proc_create() sets the defaults. */
struct loam_proc_limits {
	size_t address_bytes;   /* of all regions together: 1 GiB */
	size_t resident_frames; /* no limit */
	uint32_t regions;       /* 1024 */
	uint32_t allocations;   /* of loam_proc_malloc(): 1024 (S3.27) */
};

/*
 * Makes an empty space: a root table that shares the kernel's part. The caller
 * has zeroed nothing; proc must not be moved. name (cut to 15 characters) is
 * for reports. O(root entries).
 */
int loam_proc_create(struct loam_procs *procs, struct loam_proc *proc,
		     const char *name);

/*
 * Unmaps everything, gives back every frame, table and region. No CPU may have
 * the space loaded. O(regions + tables + frames that nobody shares).
 */
void loam_proc_destroy(struct loam_proc *proc);

/* What the CPU's root register is loaded with. */
static inline loam_phys_t loam_proc_root(const struct loam_proc *proc);

/*
 * Tells that some CPU has the space loaded, or that none has: changes are
 * flushed only while one has. The caller loads the root itself, after the first
 * and before the second. Context: any, and under any lock: they take none.
 */
void loam_proc_enter(struct loam_proc *proc);
void loam_proc_leave(struct loam_proc *proc);

/* -------- regions -------- */

enum loam_region_kind {
	LOAM_REGION_ANONYMOUS, /* zeros until written; private */
	LOAM_REGION_PHYSICAL,  /* given physical addresses; not counted */
	LOAM_REGION_SHARED,    /* an object's pages, the same in every space */
	LOAM_REGION_PAGER,     /* a pager's pages; writes are private copies */
	LOAM_REGION_KINDS
};
const char *loam_region_kind_name(enum loam_region_kind kind);

/* Flags of a region, and of a request for one. */
#define LOAM_REGION_FIXED 0x01u /* at `start` exactly; what is there goes */
#define LOAM_REGION_NO_REPLACE 0x02u /* ... or -LOAM_EEXIST if something is */
#define LOAM_REGION_STACK 0x04u      /* grows down to `limit`, page by page */
#define LOAM_REGION_POPULATE 0x08u   /* all pages at once, not on touch */
#define LOAM_REGION_HEAP 0x10u       /* of loam_proc_brk() */
#define LOAM_REGION_MALLOC 0x20u     /* of loam_proc_malloc() */
#define LOAM_REGION_GUARD 0x40u      /* one page on both sides stays free */

struct loam_map_request {
	uintptr_t start; /* a wish; an order with LOAM_REGION_FIXED; 0: none */
	size_t size;
	loam_prot_t prot; /* LOAM_PROT_READ, _WRITE, _EXEC; 0: no access */
	uint32_t flags;
	enum loam_region_kind kind;
	uint64_t offset; /* of kinds with an object; the address for physical */
	struct loam_shared *shared;
	struct loam_pager *pager;
	/*
	 * A stack's: lowest address it may grow to, above one guard page. The
	 * region is [start, start + size) to begin with.
	 */
	uintptr_t limit;
	const char *name; /* for walks; must outlive the region. Or NULL */
};

/*
 * Adds a region. Without a wish that can be met it lies as low as there is room
 * in [map_base, map_end). Regions that touch and are alike become one.
 * *start is where it is. -LOAM_EEXIST; -LOAM_EINVAL also for a request that
 * contradicts itself. O(log regions), with LOAM_REGION_POPULATE also O(pages).
 */
int loam_proc_map(struct loam_proc *proc,
		  const struct loam_map_request *request, uintptr_t *start);

/*
 * Removes what is mapped in the range, splitting regions at its ends; nothing
 * there is no error. -LOAM_ENOMEM, and nothing has changed: a region was to be
 * split, or a table copied that a fork shares. What is whole regions in tables
 * of the space's own always goes. O(log regions + pages that were present).
 */
int loam_proc_unmap(struct loam_proc *proc, uintptr_t start, size_t size);

/*
 * Changes the protection of the whole range, which must be mapped without holes
 * (-LOAM_ENOMEM, as mprotect). -LOAM_EPERM: writable, for physical memory that
 * was mapped without.
 */
int loam_proc_protect(struct loam_proc *proc, uintptr_t start, size_t size,
		      loam_prot_t prot);

#define LOAM_REMAP_MAY_MOVE 0x01u

/*
 * Makes the part [start, start + old_size) of one region new_size long, where
 * it is if possible, else, with LOAM_REMAP_MAY_MOVE, elsewhere: page-table
 * entries move, no data is copied. -LOAM_EFAULT: it is not all in one region.
 */
int loam_proc_remap(struct loam_proc *proc, uintptr_t start, size_t old_size,
		    size_t new_size, uint32_t flags, uintptr_t *out);

enum loam_advice {
	LOAM_ADVISE_DONT_NEED, /* contents may go: zeros, or the pager's */
	LOAM_ADVISE_WILL_NEED, /* bring all pages now, as far as memory goes */
};
int loam_proc_advise(struct loam_proc *proc, uintptr_t start, size_t size,
		     enum loam_advice advice);

/*
 * The break: [heap_base, break) is one anonymous region, page rounded. Sets it
 * to `wanted`, any byte, and returns 0, or an error and leaves it; *out is the
 * break that holds then. wanted 0 asks. heap_base is set once, with
 * loam_proc_set_heap(), below which it cannot go.
 */
int loam_proc_brk(struct loam_proc *proc, uintptr_t wanted, uintptr_t *out);
void loam_proc_set_heap(struct loam_proc *proc, uintptr_t base,
			uintptr_t limit);

/*
 * Makes child (zeroed or not; it is created here) a copy of parent, which sees
 * no difference but in time: both may write, and each sees its own. Page
 * tables are shared until one of them writes through one, so the cost is
 * O(regions + tables of the parent) and not O(its memory).
 * Source: Zhao, Gong and Fonseca, On-demand-fork, EuroSys 2021.
 */
int loam_proc_fork(struct loam_proc *parent, struct loam_proc *child,
		   const char *name);

/* -------- faults -------- */

#define LOAM_ACCESS_WRITE 0x01u
#define LOAM_ACCESS_EXEC 0x02u
#define LOAM_ACCESS_USER 0x04u /* for reports; rights are the user's always */
#define LOAM_ACCESS_PRESENT 0x08u /* the CPU found an entry: a wrong right */

enum loam_faulted {
	LOAM_FAULTED_OK,     /* go on: the access works now */
	LOAM_FAULTED_BAD,    /* the access is not permitted: end the process */
	LOAM_FAULTED_RETRY,  /* no memory; a process is ending: come back */
	LOAM_FAULTED_MEMORY, /* no memory, and nobody will give any */
};

/*
 * Makes the access to the address, any byte, possible. Context: the handler of
 * a page fault that came from user mode, or from a kernel that holds no lock of
 * this floor or above. One descent of the region tree at most (the last region
 * is remembered), one of the page tables.
 */
enum loam_faulted loam_proc_fault(struct loam_proc *proc, uintptr_t address,
				  unsigned access);

/* -------- the kernel's access to user memory -------- */

/*
 * Copies between kernel memory and user memory of any space, loaded or not,
 * through the frames, so that no fault can happen: the user's rights are
 * checked page by page, and pages are brought as by a fault. Any alignment.
 * -LOAM_EFAULT: some of it is not accessible; bytes before that may have been
 * copied. -LOAM_ENOMEM. Nothing is read or written outside user memory.
 */
int loam_proc_copy_in(struct loam_proc *proc, void *to, uintptr_t from,
		      size_t size_bytes);
int loam_proc_copy_out(struct loam_proc *proc, uintptr_t to, const void *from,
		       size_t size_bytes);

/*
 * Copies a string with its end mark into to[0, size_bytes). Returns its length
 * without it, -LOAM_EFAULT, or -LOAM_ERANGE: it is longer; to[] is terminated
 * in every case if size_bytes > 0.
 */
long loam_proc_copy_string(struct loam_proc *proc, char *to, uintptr_t from,
			   size_t size_bytes);

/* -------- process_malloc and process_free of seed 003 -------- */

/*
 * size_bytes of zeroed memory of the process's own, in whole pages, readable
 * and writable by it: its address, or 0: size 0, no memory, a limit. With lazy
 * false all frames are taken at once (S3.21); the two differ in nothing that
 * the process can see.
 */
uintptr_t loam_proc_malloc(struct loam_proc *proc, size_t size_bytes,
			   bool lazy);

/*
 * Takes it back. An address that loam_proc_malloc() has not returned to this
 * process, or that was freed, does nothing (S3.26): false.
 */
bool loam_proc_free(struct loam_proc *proc, uintptr_t address);

/* -------- shared memory -------- */

/*
 * An object of `pages` pages, zeros at first, that any number of regions show.
 * Holds one reference; each region holds one more; the last put frees it.
 * NULL: no memory, or 0 pages.
 */
struct loam_shared *loam_shared_create(struct loam_procs *procs, size_t pages);
void loam_shared_get(struct loam_shared *shared);
void loam_shared_put(struct loam_shared *shared);
size_t loam_shared_pages(const struct loam_shared *shared);

/* -------- pagers -------- */

/*
 * Whoever has the contents of a region elsewhere: a file, an image in memory.
 * The host embeds it. References: a region holds one each.
 */
struct loam_pager_ops {
	/*
	 * The frame with the page at offset (whole pages), with one reference
	 * for the caller; it stays the pager's, nobody writes to it. May take
	 * long. LOAM_PFN_NONE: no such page (the process gets a bad fault) or,
	 * with *error = -LOAM_ENOMEM, no memory. No lock of this floor is held.
	 */
	loam_pfn_t (*get_page)(struct loam_pager *pager, uint64_t offset,
			       int *error);
	/*
	 * The same if it is at hand, at once and without taking memory, else
	 * LOAM_PFN_NONE: for pages around. May be NULL. Called under the
	 * space's lock.
	 */
	loam_pfn_t (*peek_page)(struct loam_pager *pager, uint64_t offset);
	/* A region more, or one less, refers to it. */
	void (*get)(struct loam_pager *pager);
	void (*put)(struct loam_pager *pager);
	/* Under pressure: gives frames back that only it holds; how many. */
	size_t (*reclaim)(struct loam_pager *pager);
};

struct loam_pager {
	const struct loam_pager_ops *ops;
	struct loam_list link; /* of those that reclaim: the floor's */
};

/* Enters and leaves the list of those whose reclaim() is called. */
void loam_procs_add_pager(struct loam_procs *procs, struct loam_pager *pager);
void loam_procs_remove_pager(struct loam_procs *procs,
			     struct loam_pager *pager);

/* -------- looking -------- */

struct loam_region_info {
	uintptr_t start;
	size_t size;
	loam_prot_t prot;
	uint32_t flags;
	enum loam_region_kind kind;
	uint64_t offset;
	const char *name; /* or NULL */
};

/* Regions by ascending address, under the space's lock. */
int loam_proc_walk(struct loam_proc *proc,
		   int (*visit)(void *arg, const struct loam_region_info *info),
		   void *arg);

/* The region at or above the address; -LOAM_ENOENT. O(log regions). */
int loam_proc_find(struct loam_proc *proc, uintptr_t address,
		   struct loam_region_info *out);

struct loam_proc_stats {
	size_t address_bytes;   /* of all regions */
	size_t resident_frames; /* pages present, the zero page not counted */
	size_t tables;          /* page tables, the root included */
	uint32_t regions;
	uint32_t allocations;
	uint64_t faults[LOAM_FAULT_KINDS];
};
void loam_proc_stats(struct loam_proc *proc, struct loam_proc_stats *out);

/*
 * 0, or -LOAM_EFAULT (logged): every invariant of the essay in src/proc/proc.c.
 * O(regions + tables + pages).
 */
int loam_proc_check(struct loam_proc *proc);

/* Every space, and what they share. Nobody may be changing any. */
int loam_procs_check(struct loam_procs *procs);

/* -------- the instances -------- */

/*
 * Keys: c constant after creation; L under the space's lock; P under procs'.
 */
struct loam_region_ops;

struct loam_region {
	struct loam_tree_node node;        /* L: by start */
	uintptr_t start;                   /* L */
	size_t size;                       /* L */
	size_t gap;                        /* L: free bytes before it */
	size_t max_gap;                    /* L: the largest of its subtree */
	const struct loam_region_ops *ops; /* c */
	loam_prot_t prot;                  /* L */
	uint32_t flags;                    /* c */
	uint64_t offset;                   /* L: that start stands for */
	union {
		struct loam_shared *shared;
		struct loam_pager *pager;
		loam_prot_t allowed; /* physical: protection can be this */
	};
	uintptr_t limit;  /* c: of a stack */
	const char *name; /* c */
};

struct loam_proc {
	struct loam_procs *procs; /* c */
	struct loam_list link;    /* P */
	char name[16];            /* c */
	struct loam_lock lock;
	struct loam_pt pt;        /* L */
	bool lent;                /* L: a fork has made tables shared, once */
	struct loam_tree regions; /* L */
	struct loam_region *last; /* L: found last, or NULL */
	uint32_t generation;      /* L: counts changes of regions */
	bool ending;              /* set by the host's out_of_memory, P */
	size_t address_bytes;     /* L */
	size_t resident_frames;   /* L */
	uint32_t allocations;     /* L */
	uintptr_t heap_base;      /* L */
	uintptr_t heap_end;       /* L: the break, any byte */
	uintptr_t heap_limit;     /* L */
	struct loam_proc_limits limits;    /* the owner's, any time */
	uint64_t faults[LOAM_FAULT_KINDS]; /* L */
	void *owner;                       /* the host's own */
};

struct loam_procs {
	struct loam_procs_config config; /* c */
	struct loam_cache *regions;      /* c */
	loam_pfn_t zero_pfn;             /* c */
	/* c: of an entry at 0 for the user, by LOAM_PROT_READ to _EXEC */
	uint64_t leaf_bits[8];
	struct loam_lock lock;
	struct loam_list list;             /* P: of struct loam_proc */
	struct loam_list pagers;           /* P */
	uint32_t count;                    /* P */
	uint64_t faults[LOAM_FAULT_KINDS]; /* P: of spaces that have ended */
	uint64_t reclaimed;                /* P */
	uint64_t out_of_memory;            /* P */
};

static inline loam_phys_t loam_proc_root(const struct loam_proc *proc)
{
	return proc->pt.root;
}

#endif

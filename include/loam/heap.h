/* SPDX-License-Identifier: MIT */
/* The classic heaps: one interface, several designs, each over a byte range. */
#ifndef LOAM_HEAP_H
#define LOAM_HEAP_H

#include <loam/assert.h>
#include <loam/bitmap.h>
#include <loam/heap_runs.h>

/*
 * A heap hands out pieces of one contiguous range of virtual addresses. The
 * range is reserved when the heap is created; its pages come from an owner, who
 * is asked for them one run at a time as the heap grows and gets them back as
 * it shrinks. Any number of heaps exist side by side, of one design or several:
 * an instance has all of its state in struct loam_heap and in its own range.
 *
 * Locks: a heap has none. Every function below that takes the heap without
 * const needs it exclusively, the others need that nobody changes it; the owner
 * of the heap sees to that. Nothing here sleeps, or allocates elsewhere than
 * through the owner.
 */

#define LOAM_HEAP_ALIGN 16u /* of addresses handed out; see align_bytes */

/* Largest range: sizes and places are kept as 32-bit counts of 16 bytes. */
#define LOAM_HEAP_SIZE_MAX LOAM_GIB(8)

/*
 * Who owns the range. The functions are called with the heap's lock (whatever
 * its owner uses) held and must not call back into the heap.
 */
struct loam_heap_owner {
	/*
	 * Or NULL. Once, before anything else: everything that mapping pages
	 * in [start, start + size_bytes) will need, page tables above all, is
	 * made ready. Returns 0 or a negative errno, which refuses the heap.
	 */
	int (*prepare)(void *context, void *start, size_t size_bytes);
	/*
	 * Puts readable and writable memory behind count_pages pages from
	 * start on, none of which has any. Contents are undefined. Returns how
	 * many it did, from the first one on; fewer than count_pages says that
	 * memory has run out, and the heap returns those at once.
	 */
	size_t (*map_pages)(void *context, void *start, size_t count_pages);
	/* Takes it away again. Cannot fail. */
	void (*unmap_pages)(void *context, void *start, size_t count_pages);
	void *context;
	/*
	 * The physical side, for the buddy heap alone. All four or none: then
	 * it asks for pages, as above.
	 *
	 * take_block: a block of 2^order frames, LOAM_PHYS_NONE if there is
	 * none (the heap then asks for smaller ones); orders are at most 10.
	 * give_block: takes back exactly such a block.
	 * map_block: makes count_pages pages from start on, which have no
	 * memory, show the frames from `block` on; false, and nothing is
	 * mapped, if that cannot be had.
	 * unmap_block: undoes it for pages that several calls may have mapped.
	 */
	loam_phys_t (*take_block)(void *context, unsigned order);
	void (*give_block)(void *context, loam_phys_t block, unsigned order);
	bool (*map_block)(void *context, void *start, loam_phys_t block,
			  size_t count_pages);
	void (*unmap_block)(void *context, void *start, size_t count_pages);
};

/* Which free block a list heap takes. */
enum loam_heap_fit {
	LOAM_HEAP_FIRST_FIT, /* the one with the lowest address */
	LOAM_HEAP_NEXT_FIT,  /* the next one after the last one taken */
	LOAM_HEAP_BEST_FIT,  /* the smallest, of these the lowest */
	LOAM_HEAP_FIT_COUNT
};

struct loam_heap_config {
	void *start;       /* aligned to a page, not NULL */
	size_t size_bytes; /* whole pages; does not wrap */
	/*
	 * NULL: all of the range is memory already (block, list and tlsf; the
	 * best-fit heap has a break to move, and is refused without owner).
	 */
	const struct loam_heap_owner *owner;
	/*
	 * The block heap's table: one byte for each 4 KiB of the range, no more
	 * and no less. NULL: it takes the first pages of the range, and its
	 * blocks begin behind it.
	 */
	uint8_t *table;
	size_t table_entries;
	enum loam_heap_fit fit; /* the list heap's */
	/* The page heap's junk in a freed page, in bytes; 0: its least, 64. */
	size_t junk_bytes;
};

/* What walk yields: the heap's blocks by rising address. */
enum loam_heap_state {
	LOAM_HEAP_LIVE,
	LOAM_HEAP_FREE,
	LOAM_HEAP_BROKEN, /* a header that cannot be; nothing is behind it */
};

struct loam_heap_block {
	unsigned char *address; /* what alloc returned; NULL starts a walk */
	size_t size_bytes;      /* usable, from address on */
	size_t header_bytes;    /* before address */
	enum loam_heap_state state;
};

struct loam_heap_stats {
	size_t live_blocks;
	size_t live_bytes; /* usable bytes of live blocks */
	size_t peak_live_bytes;
	size_t free_blocks;
	/* Usable bytes of free blocks: mapped, or the buddy's addresses. */
	size_t free_bytes;
	size_t largest_free_bytes;
	size_t mapped_bytes; /* pages in use, with headers and tables */
	size_t peak_mapped_bytes;
	uint64_t allocs; /* that succeeded; a resize that moves is one */
	uint64_t frees;  /* that were obeyed; likewise */
	uint64_t failed; /* requests that got NULL for want of memory */
};

struct loam_heap;

/*
 * A design. `caller` is the address reports name. Each function keeps the
 * contract of the loam_heap_ function of its name below.
 */
struct loam_heap_ops {
	const char *name;
	size_t max_bytes; /* of a request; (size_t)-1: the range's limit */
	/*
	 * Of every address: LOAM_HEAP_ALIGN or more, but 8 for the buddy heap
	 * on 32-bit machines (see src/heap/buddy.c for which sizes).
	 */
	size_t align_bytes;
	int (*create)(struct loam_heap *heap,
		      const struct loam_heap_config *config);
	void *(*alloc)(struct loam_heap *heap, size_t size_bytes);
	void (*free)(struct loam_heap *heap, void *address, const void *caller);
	void *(*resize)(struct loam_heap *heap, void *address,
			size_t size_bytes, const void *caller);
	size_t (*usable)(const struct loam_heap *heap, const void *address,
			 const void *caller);
	bool (*walk)(const struct loam_heap *heap,
		     struct loam_heap_block *block);
	int (*check)(const struct loam_heap *heap);
	void (*destroy)(struct loam_heap *heap);
};

extern const struct loam_heap_ops loam_heap_bestfit;
extern const struct loam_heap_ops loam_heap_block;
extern const struct loam_heap_ops loam_heap_buddy;
extern const struct loam_heap_ops loam_heap_list;
extern const struct loam_heap_ops loam_heap_pages;
extern const struct loam_heap_ops loam_heap_tlsf;

/* The best-fit heap: see src/heap/bestfit.c. Addresses as units of 16 bytes. */
#define LOAM_HEAP_ARRAY_ENTRIES ((uint32_t)(LOAM_PAGE_SIZE / sizeof(void *)))
#define LOAM_HEAP_SPILL_LISTS 64u

struct loam_heap_bestfit {
	unsigned char *brk;       /* end of the last block */
	unsigned char *last_page; /* the last page that is mapped */
	/*
	 * Free blocks by size, then address: entries [begin, begin + count) of
	 * the first 4 KiB of the range.
	 */
	uintptr_t *array;
	uint32_t begin;
	uint32_t count;      /* of entries of the array in use */
	uint32_t spilled;    /* free blocks the array had no room for */
	uint32_t last_block; /* unit of the last block, 0: there is none */
	uint32_t spill[LOAM_HEAP_SPILL_LISTS]; /* heads: units, or 0 */
	uint32_t spill_map[LOAM_BITMAP_WORDS(LOAM_HEAP_SPILL_LISTS)];
};

/* The block heap: see src/heap/block.c. An entry's flags are the seeds'. */
#define LOAM_HEAP_BLOCK_SIZE 4096u
#define LOAM_HEAP_BLOCK_TAKEN 0x01u
#define LOAM_HEAP_BLOCK_IS_FIRST 0x40u
#define LOAM_HEAP_BLOCK_HAS_NEXT 0x80u
#define LOAM_HEAP_GROUPS 1024u

struct loam_heap_blocks {
	unsigned char *first; /* address of block 0 */
	uint8_t *table;       /* total entries */
	size_t total;
	size_t mapped; /* blocks [0, mapped) are memory */
	size_t top;    /* blocks [top, total) are free */
	size_t low;    /* blocks [0, low) are not */
	unsigned group_shift;
	/* A clear bit: no block of this group of 2^group_shift is free. */
	uint32_t maybe_free[LOAM_BITMAP_WORDS(LOAM_HEAP_GROUPS)];
};

/* The buddy heap: see src/heap/buddy.c. What stands before each block. */
struct loam_heap_header {
	size_t size;                        /* that was asked for */
	uint32_t magic[sizeof(size_t) / 4]; /* of its place, size and state */
};

#define LOAM_HEAP_BUDDY_LISTS 32u

struct loam_heap_buddy_page;

struct loam_heap_buddy {
	struct loam_heap_buddy_page *table;    /* the start of the range */
	size_t table_pages;                    /* of it that are mapped */
	unsigned char *first;                  /* address of page 1 */
	uint32_t total;                        /* pages 1 to total */
	uint32_t top;                          /* spans tile [1, top) */
	uint32_t nonempty;                     /* a bit for each list */
	uint32_t heads[LOAM_HEAP_BUDDY_LISTS]; /* free spans by size */
};

/* The list heap: see src/heap/list.c. Its places are units of 16 bytes. */
struct loam_heap_list {
	uint32_t first;    /* the first header */
	uint32_t end;      /* of the last block, and of what is mapped */
	uint32_t head;     /* the free blocks by address, or 0 */
	uint32_t tail;     /* the last of them, or 0 */
	uint32_t rover;    /* next fit starts here */
	uint32_t regions;  /* a power of two */
	uint32_t *hints;   /* first free block of each region, or 0 */
	uint32_t *bounds;  /* a tree; the root is [1] */
	uint32_t *nonzero; /* a bit for each region: it has a hint */
	uint32_t *bins;    /* best fit's: a heap for each size; or NULL */
	uint32_t *bin_map; /* a bit for each: it is not empty */
	unsigned region_shift;
	enum loam_heap_fit fit;
};

/* The page heap: see src/heap/pages.c. */
struct loam_heap_pages {
	struct loam_runs runs;
	unsigned char *first; /* address of page 0 */
	size_t total;
	size_t mapped; /* pages [0, mapped) are memory */
};

/* The TLSF heap: see src/heap/tlsf.c. Its lists lie at the range's start. */
struct loam_heap_tlsf_lists;

struct loam_heap_tlsf {
	struct loam_heap_tlsf_lists *lists;
	unsigned char *first; /* payload of the first block */
	unsigned char *end;   /* of what is mapped */
};

/* An instance. Open, so that its owner can embed it; its fields are private. */
struct loam_heap {
	const struct loam_heap_ops *ops;
	unsigned char *start;
	size_t size_bytes;
	const struct loam_heap_owner *owner; /* or NULL */
	size_t mapped_pages;
	size_t peak_mapped_pages;
	size_t live_blocks;
	size_t live_bytes;
	size_t peak_live_bytes;
	uint64_t allocs;
	uint64_t frees;
	uint64_t failed;
	union {
		struct loam_heap_bestfit bestfit;
		struct loam_heap_blocks block;
		struct loam_heap_buddy buddy;
		struct loam_heap_list list;
		struct loam_heap_pages pages;
		struct loam_heap_tlsf tlsf;
	};
};

/*
 * Makes a heap of the design `ops` over the range in config, which is copied
 * (the owner is not: it must outlive the heap). Returns 0; -LOAM_EINVAL for a
 * range or table that cannot be used; -LOAM_ENOMEM when the owner has not the
 * first pages; or what the owner's prepare returned. Nothing is mapped then
 * and *heap is unchanged. O(size of the design's tables).
 */
int loam_heap_create(struct loam_heap *heap, const struct loam_heap_ops *ops,
		     const struct loam_heap_config *config);

/* Returns all pages to the owner, live blocks or not. The heap is no more. */
void loam_heap_destroy(struct loam_heap *heap);

/*
 * At least size_bytes bytes, aligned to 16 or as the design's align_bytes says;
 * contents undefined; NULL if
 * size_bytes is 0, or no memory is to be had: nothing has changed then.
 */
void *loam_heap_alloc(struct loam_heap *heap, size_t size_bytes);

/* As loam_heap_alloc(), and the size_bytes bytes are zero. */
void *loam_heap_zalloc(struct loam_heap *heap, size_t size_bytes);

/*
 * Takes a block back. NULL does nothing. Anything else that is not the address
 * of a live block, or one with a broken header beside it, is reported through
 * loam_misuse() and ignored.
 */
void loam_heap_free(struct loam_heap *heap, void *address);

/*
 * Makes a block larger or smaller, in place where that is possible; the first
 * bytes, as many as both sizes have, are kept. address NULL: alloc.
 * size_bytes 0: free, and NULL. NULL otherwise: no memory, or a wrong address,
 * which is reported; the block is as before.
 */
void *loam_heap_resize(struct loam_heap *heap, void *address,
		       size_t size_bytes);

/* Usable bytes of a live block: at least what was asked. 0, reported: none. */
size_t loam_heap_usable(const struct loam_heap *heap, const void *address);

/*
 * Steps to the next block by address, live or free, and describes it; false
 * behind the last one. A walk begins with block->address NULL, and the heap
 * must not change during it. O(1), but for runs of the block heap.
 */
bool loam_heap_walk(const struct loam_heap *heap,
		    struct loam_heap_block *block);

/*
 * 0, or -LOAM_EFAULT (logged) unless every invariant that the design's essay
 * states holds. O(blocks), or where it says so O(blocks log blocks).
 */
int loam_heap_check(const struct loam_heap *heap);

/* A snapshot. O(blocks). */
void loam_heap_stats(const struct loam_heap *heap, struct loam_heap_stats *out);

/*
 * The two steps of a block heap's alloc, for those who take them one by one.
 * The first finds the lowest count_blocks free blocks in a row, and returns
 * the number of the first of them, (size_t)-1 if there are none. The second
 * makes count_blocks blocks from `first` on one live block; false, and nothing
 * has changed, if they are not all free, or their pages cannot be had.
 */
size_t loam_heap_block_find(struct loam_heap *heap, size_t count_blocks);
bool loam_heap_block_take(struct loam_heap *heap, size_t first,
			  size_t count_blocks);

#endif

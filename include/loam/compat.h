/* SPDX-License-Identifier: MIT */
/* The seeds' bare names and signatures, for programs that use them. */
#ifndef LOAM_COMPAT_H
#define LOAM_COMPAT_H

#include <loam/compat_core.h>
#include <loam/compat_paging.h>

/*
 * Five kernels' documents (docs/requirements.md) use names such as create_heap,
 * kmalloc, kalloc and kfree without a prefix, and not all in one sense. This
 * header has them all. Nothing else in Loam uses it, and the library defines
 * none of these names: they are inline functions here, over one `struct
 * loam_compat`, which every file that includes this header defines weakly, so
 * that a program has exactly one.
 *
 * Where two documents use a name in two senses, this is what it means:
 *
 *   heap_t, heap_table_t and struct heap, struct heap_table are the same types:
 *   a start and a table; a table's entries and their count. create_heap() takes
 *   a size where heap_create() takes an end. Both make one block heap.
 *
 *   kmalloc() and kzalloc() serve from one heap, whichever it is: kheap_init()
 *   puts the block heap of the configured range behind them, and
 *   loam_compat_use_heap() any other heap of <loam/heap.h>, so that the other
 *   documents' best-fit heap and buddy heap have their kmalloc. Without a heap
 *   they return NULL.
 *
 *   kalloc() is one page of xv6's list, which kinit1() and kinit2() fill. A
 *   wrong free of such a page panics, as in xv6; of a block it is reported.
 *
 *   kfree() takes the pointers of both. Which of them it is, is told by the
 *   address alone: what lies in the heap's range is the heap's, what lies in
 *   the range that the page list was given is the list's, all else is
 *   reported. kfree(NULL) does nothing, though xv6's panics.
 *
 *   kalloc_temp() is the boot allocator: memory for good, from what
 *   loam_compat_memory() was told, until kinit2().
 *
 *   paging_new_4gb() and its kin are in <loam/compat_paging.h>, over an
 *   instance of their own, which a program that calls them defines.
 *
 *   PHYS_TO_VIRT() and VIRT_TO_PHYS() are the arithmetic of a kernel at
 *   KERNEL_BASE. The addresses in the configuration (VANA_HEAP_ADDRESS and the
 *   like) are physical; loam_host_phys_to_virt() says where they are mapped.
 *
 * Context of all functions: one CPU, or under a lock of the caller's; only
 * kalloc() and kfree() of its pages lock by themselves after kinit2().
 */

/* ------------------------------------------------------- more constants */

/* A kernel in the higher half. */
#define KERNEL_BASE 0xC0000000
#define VIRT_TO_PHYS(addr) ((addr)-KERNEL_BASE)
#define PHYS_TO_VIRT(addr) ((addr) + KERNEL_BASE)

/*
 * The buddy allocator: base and size in frames, free_lists of frame numbers,
 * map, map_size, max_order. See <loam/buddy.h> for what it does.
 */
#define MAX_ORDER LOAM_ORDER_MAX
#define buddy_node loam_frame
typedef struct loam_buddy buddy_t;

/* ------------------------------------------------------- the one instance */

LOAM_WEAK struct loam_compat loam_compat_state;

/* ------------------------------------------------------- seeds 001 and 003 */

/*
 * Makes a heap of the blocks of [start, start + size). The table has, and says
 * by its count that it has, a byte for each. 0, or -EINVARG with heap and table
 * as they were: NULL for anything, size 0, start or size not in whole blocks, a
 * count that is another, a range that wraps, that is not wholly in usable
 * memory, or that overlaps the kernel (see loam_compat_memory()). O(blocks).
 */
static inline int create_heap(heap_t *heap, heap_table_t *table, void *start,
			      size_t size)
{
	return loam_compat_create_heap(&loam_compat_state, heap, table, start,
				       size);
}

/* The same by its end. An end below ptr: -EINVARG. */
static inline int heap_create(struct heap *heap, void *ptr, void *end,
			      struct heap_table *table)
{
	return loam_compat_heap_create(&loam_compat_state, heap, ptr, end,
				       table);
}

/* Whole blocks for size bytes, the lowest that are free; or NULL. */
static inline void *heap_malloc(struct heap *heap, size_t size)
{
	return loam_heap_alloc(&heap->blocks, size);
}

/* Frees all blocks of an allocation; any other pointer is reported. */
static inline void heap_free(struct heap *heap, void *ptr)
{
	loam_compat_heap_free(heap, ptr);
}

/* The first of the lowest free blocks in a row, so many; or -LOAM_ENOMEM. */
static inline int heap_get_start_block(struct heap *heap, uint32_t total_blocks)
{
	return loam_compat_start_block(heap, total_blocks);
}

/* Makes them one allocation. Blocks that are not all free are reported. */
static inline void heap_mark_blocks_taken(struct heap *heap, int start_block,
					  int total_blocks)
{
	loam_compat_mark_taken(heap, start_block, total_blocks);
}

/*
 * Makes the kernel's heap of the configuration's range, with the table at
 * VANA_HEAP_TABLE_ADDRESS, and puts it behind kmalloc(). Where that range is
 * not usable memory it logs "Failed to create heap", and kmalloc() is as it
 * was.
 */
static inline void kheap_init(void)
{
	loam_compat_kheap_init(&loam_compat_state);
}

/* size bytes, contents undefined; NULL for size 0, no memory, no heap. */
static inline void *kmalloc(size_t size)
{
	struct loam_heap *heap = loam_compat_state.heap;
	return heap == NULL ? NULL : loam_heap_alloc(heap, size);
}

/* The same, and all size bytes are zero. */
static inline void *kzalloc(size_t size)
{
	struct loam_heap *heap = loam_compat_state.heap;
	return heap == NULL ? NULL : loam_heap_zalloc(heap, size);
}

/* Usable bytes of a block of kmalloc()'s. */
static inline size_t ksize(const void *ptr)
{
	struct loam_heap *heap = loam_compat_state.heap;
	return heap == NULL ? 0 : loam_heap_usable(heap, ptr);
}

/* Frees what kmalloc(), kzalloc() or kalloc() returned. See above. */
static inline void kfree(void *ptr)
{
	loam_compat_kfree(&loam_compat_state, ptr);
}

/* ------------------------------------------------------- seed 002 */

/*
 * Gives the page list the whole pages of [vstart, vend): first those that
 * paging needs, then, when it is on and other CPUs may come, all others, which
 * lie above the start of the first. From kinit2() on, kalloc() and kfree()
 * lock, and kalloc_temp() is refused. A second kinit1(), or a kinit2() without
 * one, is reported and ignored.
 */
static inline void kinit1(void *vstart, void *vend)
{
	loam_compat_kinit1(&loam_compat_state, vstart, vend);
}

static inline void kinit2(void *vstart, void *vend)
{
	loam_compat_kinit2(&loam_compat_state, vstart, vend);
}

/* One page, or NULL. */
static inline char *kalloc(void)
{
	struct loam_compat *compat = &loam_compat_state;
	return compat->has_runs ? loam_runs_alloc(&compat->runs) : NULL;
}

/* Memory for good, aligned to 16 bytes; NULL if there is none, or no more. */
static inline void *kalloc_temp(size_t size)
{
	return loam_compat_kalloc_temp(&loam_compat_state, size);
}

#endif

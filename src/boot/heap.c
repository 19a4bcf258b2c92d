/* SPDX-License-Identifier: MIT */
/* The heap behind kmalloc that the command line picks: room, memory, start. */

/*
 * What a heap needs of bring-up, step by step:
 *
 *   3  addresses: the window that its design has in the layout, so that step 6
 *      makes the page tables for all of it before the first page (S0.10)
 *   4  physical memory, for the block heap alone: its blocks have fixed places,
 *      and so has its table; they are reserved before anything is allocated
 *   7  pages from the frames, one run at a time as it grows, through a page
 *      window; then it goes behind the front door
 *
 *   heap_base         + heap_limit            + heap_buddy         + heap_size
 *   | best fit, list, | other heaps, when     | buddy heap         |
 *   | tlsf, pages     | somebody tests them   |                    |
 *
 * Where a machine has less memory than the block heap is to have, the heap is
 * cut to what there is, with a word; where it has none there, or anything else
 * is in the way, the word is that the heap could not be made, and the slabs
 * serve. Nothing of this panics.
 */
#include "boot_int.h"

/* The least that a window for heaps has: a few more beside the one in use. */
#define HEAP_WINDOW_LEAST LOAM_MIB(16)

/* Of less than this the block heap makes no sense. */
#define BLOCK_LEAST LOAM_MIB(1)

static const struct loam_heap_ops *const heap_designs[LOAM_BOOT_HEAPS] = {
	[LOAM_BOOT_BESTFIT] = &loam_heap_bestfit,
	[LOAM_BOOT_BLOCK] = &loam_heap_block,
	[LOAM_BOOT_LIST] = &loam_heap_list,
	[LOAM_BOOT_TLSF] = &loam_heap_tlsf,
	[LOAM_BOOT_BUDDY_HEAP] = &loam_heap_buddy,
	[LOAM_BOOT_PAGES] = &loam_heap_pages,
};

const char *loam_boot_heap_name(enum loam_boot_heap heap)
{
	return heap_designs[heap] == NULL ? "slab" : heap_designs[heap]->name;
}

/* The picked heap cannot be: says so, and the slabs stay. */
static void heap_give_up(struct loam_kernel *kernel, const char *why)
{
	loam_log(LOAM_LOG_WARNING,
		 "Failed to create heap: heap=%s: %s; using slab",
		 loam_boot_heap_name(kernel->choice.heap), why);
	kernel->choice.heap = LOAM_BOOT_SLAB;
}

/* -------- step 3: addresses -------- */

void loam_boot_heap_scale(struct loam_kernel *kernel, uint64_t ram_bytes)
{
	struct loam_boot_layout *layout = &kernel->layout;
	const struct loam_boot_choice *choice = &kernel->choice;
	uint64_t wanted = ram_bytes / 2;
	if (choice->heap_limit != 0) {
		layout->heap_limit = choice->heap_limit;
	} else if (choice->heap == LOAM_BOOT_PAGES &&
		   layout->heap_limit > ram_bytes / 4) {
		/* What it once had it keeps: the others need memory too. */
		layout->heap_limit =
			(size_t)loam_round_down(ram_bytes / 4, LOAM_PAGE_SIZE);
	}
	if (wanted < HEAP_WINDOW_LEAST) {
		wanted = HEAP_WINDOW_LEAST;
	}
	if (wanted < layout->heap_limit) {
		wanted = layout->heap_limit;
	}
	if (choice->heap == LOAM_BOOT_BUDDY_HEAP) {
		/* Fresh addresses for whatever the memory could fill. */
		wanted = layout->heap_buddy + ram_bytes;
	}
	wanted = loam_round_up(wanted, LOAM_MIB(4));
	if (wanted < layout->heap_size) {
		layout->heap_size = (size_t)wanted;
	}
	if (layout->heap_limit > layout->heap_size) {
		layout->heap_limit = layout->heap_size;
	}
}

/* -------- step 4: physical memory of the block heap -------- */

/* Usable memory of nobody's from base on, at most so much. */
static loam_phys_t block_room(const struct loam_kernel *kernel,
			      loam_phys_t base, loam_phys_t most)
{
	loam_phys_t size = 0;
	while (size < most &&
	       loam_memmap_is_usable(&kernel->memmap, base + size,
				     LOAM_PAGE_SIZE) &&
	       loam_memblock_owner(&kernel->memblock, base + size) ==
		       LOAM_RESERVED_NONE) {
		size += LOAM_PAGE_SIZE;
	}
	return size;
}

static void block_tell_size(const struct loam_kernel *kernel)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	char had[16];
	char wanted[16];
	loam_log(LOAM_LOG_WARNING,
		 "heap=block: there are %s of memory at 0x%08llx, not %s: the "
		 "heap is smaller",
		 loam_format_size(had, layout->block_size),
		 (unsigned long long)layout->block_base,
		 loam_format_size(wanted, kernel->block_wanted));
}

/* The table's place if nobody else is there; else the heap finds one. */
static int block_reserve_table(struct loam_kernel *kernel)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	loam_phys_t start =
		loam_round_down(layout->block_table, (uint64_t)LOAM_PAGE_SIZE);
	loam_phys_t end = loam_round_up(
		layout->block_table + (layout->block_size >> LOAM_PAGE_SHIFT),
		(uint64_t)LOAM_PAGE_SIZE);
	kernel->block_table = LOAM_PHYS_NONE;
	if (layout->block_table == 0 ||
	    block_room(kernel, start, end - start) < end - start) {
		loam_log(LOAM_LOG_WARNING,
			 "heap=block: no memory for the table at 0x%llx: it "
			 "lies within the heap",
			 (unsigned long long)layout->block_table);
		return 0;
	}
	kernel->block_table = layout->block_table;
	return loam_memblock_reserve(&kernel->memblock, start, end - start,
				     LOAM_RESERVED_HEAP);
}

int loam_boot_heap_reserve(struct loam_kernel *kernel)
{
	struct loam_boot_layout *layout = &kernel->layout;
	if (kernel->choice.heap != LOAM_BOOT_BLOCK) {
		return 0;
	}
	kernel->block_wanted = layout->block_size;
	loam_phys_t most = layout->block_size;
	if (layout->block_base + most > layout->direct_size) {
		most = layout->direct_size > layout->block_base
			       ? layout->direct_size - layout->block_base
			       : 0;
	}
	layout->block_size = block_room(kernel, layout->block_base, most);
	if (layout->block_size < BLOCK_LEAST) {
		layout->block_size = 0;
		heap_give_up(kernel, "no memory where it is to be");
		return 0;
	}
	if (layout->block_size < kernel->block_wanted) {
		block_tell_size(kernel);
	}
	int error =
		loam_memblock_reserve(&kernel->memblock, layout->block_base,
				      layout->block_size, LOAM_RESERVED_HEAP);
	return error == 0 ? block_reserve_table(kernel) : error;
}

/* -------- step 7: the heap -------- */

static void block_config(const struct loam_kernel *kernel,
			 struct loam_heap_config *config)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	uintptr_t direct = layout->direct_base;
	config->start = (void *)(direct + (uintptr_t)layout->block_base);
	config->size_bytes = (size_t)layout->block_size;
	if (kernel->block_table != LOAM_PHYS_NONE) {
		config->table =
			(uint8_t *)(direct + (uintptr_t)kernel->block_table);
		config->table_entries = config->size_bytes >> LOAM_PAGE_SHIFT;
	}
}

/* The window of a heap that grows, and what it is to the heap. */
static int window_config(struct loam_kernel *kernel,
			 struct loam_heap_config *config)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	uintptr_t base = layout->heap_base;
	size_t size = layout->heap_limit;
	if (kernel->choice.heap == LOAM_BOOT_BUDDY_HEAP) {
		base += layout->heap_buddy;
		size = layout->heap_size > layout->heap_buddy
			       ? layout->heap_size - layout->heap_buddy
			       : 0;
	}
	int error = loam_page_window_init(&kernel->heap_window, &kernel->kspace,
					  base, size);
	if (error == 0) {
		loam_page_window_owner(&kernel->heap_window,
				       &kernel->heap_owner);
		config->start = (void *)base;
		config->size_bytes = size;
		config->owner = &kernel->heap_owner;
		config->fit = kernel->choice.fit;
	}
	return error;
}

void loam_boot_heap_create(struct loam_kernel *kernel)
{
	const struct loam_heap_ops *ops = heap_designs[kernel->choice.heap];
	struct loam_heap_config config = { .start = NULL };
	if (ops == NULL) {
		return;
	}
	bool block = kernel->choice.heap == LOAM_BOOT_BLOCK;
	int error = 0;
	if (block) {
		block_config(kernel, &config);
	} else {
		error = window_config(kernel, &config);
	}
	if (error == 0) {
		error = loam_heap_create(&kernel->heap, ops, &config);
	}
	if (error != 0) {
		heap_give_up(kernel, error == -LOAM_ENOMEM
					     ? "too little memory"
					     : "its window cannot be");
		return;
	}
	const struct loam_kmalloc_heap_config use = {
		.heap = &kernel->heap,
		.window = block ? NULL : &kernel->heap_window,
	};
	error = loam_kmalloc_use_heap(&kernel->kmalloc, &use);
	LOAM_VERIFY(error == 0);
}

uintptr_t loam_boot_spare_window(const struct loam_kernel *kernel, size_t *size)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	size_t end = layout->heap_size;
	if (kernel->choice.heap == LOAM_BOOT_BUDDY_HEAP &&
	    layout->heap_buddy < end) {
		end = layout->heap_buddy;
	}
	*size = end - layout->heap_limit;
	return layout->heap_base + layout->heap_limit;
}

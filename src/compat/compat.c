/* SPDX-License-Identifier: MIT */
/* The seeds' functions over Loam's, as far as they are more than a name. */
#include <loam/compat_core.h>

#include <loam/bits.h>
#include <loam/mem.h>

/*
 * There is little here: validation that the documents ask for and that Loam's
 * block heap, which knows nothing of physical memory, leaves to its caller; and
 * the choice between the two senses of kfree(). See <loam/compat.h>.
 */

/* The physical address behind a direct map's. Identity is an offset of 0. */
static loam_phys_t compat_phys(const void *at)
{
	uintptr_t direct = (uintptr_t)loam_host_phys_to_virt(0);
	return (uintptr_t)at - direct;
}

/* True if a heap may lie there, as far as the layout is known. */
static bool compat_range_fits(const struct loam_compat *compat,
			      const void *start, size_t size_bytes)
{
	if (!compat->has_memory) {
		return true;
	}
	loam_phys_t from = compat_phys(start);
	loam_phys_t end = from + size_bytes;
	bool apart = compat->kernel_start == compat->kernel_end ||
		     end <= compat->kernel_start || from >= compat->kernel_end;
	return apart && loam_memmap_is_usable(&compat->map, from, size_bytes);
}

int loam_compat_memory(struct loam_compat *compat,
		       const MemoryMapEntry *entries, size_t count,
		       loam_phys_t kernel_start, loam_phys_t kernel_end)
{
	if (compat->has_memory || kernel_end < kernel_start ||
	    (entries == NULL && count > 0)) {
		return -LOAM_EINVAL;
	}
	loam_memmap_init(&compat->map, compat->ranges, LOAM_COMPAT_RANGES);
	(void)loam_memmap_add_e820(&compat->map, entries, count,
				   sizeof(*entries), NULL);
	(void)loam_memmap_normalise(&compat->map);
	loam_memblock_init(&compat->memblock, compat->regions,
			   LOAM_COMPAT_REGIONS);
	int error = loam_memblock_adopt(&compat->memblock, &compat->map);
	/* An address that is 0 would be none. */
	if (error == 0) {
		error = loam_memblock_reserve(&compat->memblock, 0,
					      LOAM_PAGE_SIZE,
					      LOAM_RESERVED_FRAME_ZERO);
	}
	if (error == 0 && kernel_end > LOAM_PAGE_SIZE) {
		loam_phys_t from = kernel_start > LOAM_PAGE_SIZE
					   ? kernel_start
					   : LOAM_PAGE_SIZE;
		error = from == kernel_end ? 0
					   : loam_memblock_reserve(
						     &compat->memblock, from,
						     kernel_end - from,
						     LOAM_RESERVED_KERNEL_DATA);
	}
	if (error != 0) {
		return -LOAM_EINVAL;
	}
	compat->kernel_start = kernel_start;
	compat->kernel_end = kernel_end;
	compat->has_memory = true;
	return 0;
}

/* ------------------------------------------------------- block heaps */

int loam_compat_create_heap(const struct loam_compat *compat, heap_t *heap,
			    heap_table_t *table, void *start, size_t size_bytes)
{
	if (heap == NULL || table == NULL || table->entries == NULL ||
	    start == NULL || size_bytes == 0 ||
	    size_bytes - 1 > (uintptr_t)-1 - (uintptr_t)start ||
	    !compat_range_fits(compat, start, size_bytes)) {
		return -EINVARG;
	}
	const struct loam_heap_config config = {
		.start = start,
		.size_bytes = size_bytes,
		.table = table->entries,
		.table_entries = table->total,
	};
	if (loam_heap_create(&heap->blocks, &loam_heap_block, &config) != 0) {
		return -EINVARG;
	}
	heap->saddr = start;
	heap->table = table;
	return 0;
}

int loam_compat_heap_create(const struct loam_compat *compat, heap_t *heap,
			    void *start, void *end, heap_table_t *table)
{
	if ((uintptr_t)end < (uintptr_t)start) {
		return -EINVARG;
	}
	return loam_compat_create_heap(compat, heap, table, start,
				       (uintptr_t)end - (uintptr_t)start);
}

int loam_compat_start_block(heap_t *heap, uint32_t count_blocks)
{
	size_t first = loam_heap_block_find(&heap->blocks, count_blocks);
	return first == (size_t)-1 ? -LOAM_ENOMEM : (int)first;
}

void loam_compat_mark_taken(heap_t *heap, int first, int count_blocks)
{
	if (first < 0 || count_blocks <= 0 ||
	    !loam_heap_block_take(&heap->blocks, (size_t)first,
				  (size_t)count_blocks)) {
		loam_misuse(LOAM_CALLER(),
			    "heap_mark_blocks_taken: %d blocks from %d are not "
			    "all free",
			    count_blocks, first);
	}
}

void loam_compat_heap_free(heap_t *heap, void *block)
{
	heap->blocks.ops->free(&heap->blocks, block, LOAM_CALLER());
}

void loam_compat_kheap_init(struct loam_compat *compat)
{
	struct heap_table *table = &compat->kernel_heap_table;
	unsigned char *start = loam_host_phys_to_virt(VANA_HEAP_ADDRESS);
	int error = -EINVARG;
	table->entries = loam_host_phys_to_virt(VANA_HEAP_TABLE_ADDRESS);
	table->total = VANA_HEAP_SIZE_BYTES / VANA_HEAP_BLOCK_SIZE;
	/* Its memory, and its table's, must be there before it is written. */
	if (start != NULL && table->entries != NULL &&
	    loam_host_phys_to_virt(VANA_HEAP_ADDRESS + VANA_HEAP_SIZE_BYTES -
				   1) != NULL &&
	    compat_range_fits(compat, table->entries, table->total)) {
		error = loam_compat_heap_create(
			compat, &compat->kernel_heap, start,
			start + VANA_HEAP_SIZE_BYTES, table);
	}
	if (error < 0) {
		loam_log(LOAM_LOG_ERROR, "Failed to create heap");
		return;
	}
	compat->heap = &compat->kernel_heap.blocks;
}

/* ------------------------------------------------------- the page list */

/* True for an address that the page list may have handed out. */
static bool compat_is_run(const struct loam_compat *compat, const void *at)
{
	const struct loam_runs_config *config = &compat->runs.config;
	return compat->has_runs &&
	       (uintptr_t)at - (uintptr_t)config->base < config->size_bytes;
}

void loam_compat_kinit1(struct loam_compat *compat, void *start, void *end)
{
	uintptr_t base = loam_size_round_up((uintptr_t)start, LOAM_PAGE_SIZE);
	uintptr_t limit = (uintptr_t)end - (uintptr_t)end % LOAM_PAGE_SIZE;
	const struct loam_runs_config config = {
		.base = (void *)base,
		.size_bytes = limit - base,
		.free_map = compat->free_map,
		.fatal = true,
	};
	bool fits = base >= (uintptr_t)start && limit > base &&
		    (limit - base) >> LOAM_PAGE_SHIFT <= LOAM_COMPAT_PAGES;
	if (compat->has_runs || !fits ||
	    loam_runs_init(&compat->runs, &config) != 0) {
		loam_misuse(LOAM_CALLER(), "kinit1 of %p to %p: %s", start, end,
			    compat->has_runs ? "a second one"
					     : "not such a range");
		return;
	}
	compat->has_runs = true;
	(void)loam_runs_add(&compat->runs, start, end);
}

void loam_compat_kinit2(struct loam_compat *compat, void *start, void *end)
{
	struct loam_runs *runs = &compat->runs;
	if (!compat->has_runs || runs->locking) {
		loam_misuse(LOAM_CALLER(), "kinit2 of %p to %p: %s", start, end,
			    compat->has_runs ? "a second one"
					     : "there was no kinit1");
		return;
	}
	uintptr_t base = (uintptr_t)runs->config.base;
	uintptr_t limit = (uintptr_t)end - (uintptr_t)end % LOAM_PAGE_SIZE;
	if (limit > base && limit - base > runs->config.size_bytes) {
		if ((limit - base) >> LOAM_PAGE_SHIFT > LOAM_COMPAT_PAGES) {
			loam_log(LOAM_LOG_WARNING,
				 "kinit2: too many pages to find double frees");
			runs->config.free_map = NULL;
		}
		loam_runs_widen(runs, limit - base);
	}
	(void)loam_runs_add(runs, start, end);
	loam_runs_start_locking(runs, "kalloc", LOAM_RANK_ZONE);
	if (compat->has_memory) {
		loam_memblock_seal(&compat->memblock);
	}
}

void *loam_compat_kalloc_temp(struct loam_compat *compat, size_t size_bytes)
{
	if (compat->runs.locking) {
		loam_misuse(LOAM_CALLER(), "kalloc_temp after kinit2");
		return NULL;
	}
	if (!compat->has_memory) {
		return NULL;
	}
	loam_phys_t at = loam_memblock_alloc(
		&compat->memblock, size_bytes, LOAM_HEAP_ALIGN,
		compat->kernel_end, LOAM_PHYS_NONE, LOAM_BOTTOM_UP,
		LOAM_RESERVED_MEMBLOCK);
	return at == LOAM_PHYS_NONE ? NULL : loam_host_phys_to_virt(at);
}

void loam_compat_kfree(struct loam_compat *compat, void *block)
{
	struct loam_heap *heap = compat->heap;
	const void *caller = LOAM_CALLER();
	bool in_heap =
		heap != NULL &&
		(uintptr_t)block - (uintptr_t)heap->start < heap->size_bytes;
	if (block == NULL) {
		return;
	}
	if (!in_heap && compat_is_run(compat, block)) {
		loam_runs_free_by(&compat->runs, block, caller);
	} else if (heap != NULL) {
		heap->ops->free(heap, block, caller);
	} else {
		loam_misuse(caller, "kfree of %p: there is no heap", block);
	}
}

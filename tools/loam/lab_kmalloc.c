/* SPDX-License-Identifier: MIT */
/* Loam's own kmalloc in the laboratory, over a machine of simulated frames. */
#include <stdlib.h>
#include <string.h>

#include <loam/kmalloc.h>
#include <loam/mem.h>

#include "lab_heaps.h"
#include "platform.h"

#define RANGES 16u
#define DMA_BYTES LOAM_MIB(16)

/*
 * All memory is directly mapped and there are no page tables, so what no block
 * of the buddy fits well fails: a kernel would give it a vmalloc range.
 *
 * The footprint counts frames that are not free (cached ones are), what the
 * slabs took for themselves among them, and the pages of the shadow that had
 * to be real; not the frames' descriptors, which are there for all of memory
 * whoever uses it.
 */
struct simulated {
	struct loam_mem_range ranges[RANGES];
	struct loam_memblock_region regions[RANGES];
	struct loam_memmap map;
	struct loam_memblock memblock;
	struct loam_frames frames;
	struct loam_slabs slabs;
	struct loam_kmalloc kmalloc;
	uint8_t *shadow;
	size_t shadow_bytes;
	uint8_t *backed; /* one for each page of the shadow */
	size_t backed_pages;
	uint64_t free_at_start; /* frames */
};

/* A page of the shadow becomes real; here it only needs to be counted. */
static int simulated_back(void *context, void *page, loam_flags_t flags)
{
	struct simulated *machine = context;
	size_t number =
		(size_t)((uint8_t *)page - machine->shadow) / LOAM_PAGE_SIZE;
	(void)flags;
	machine->backed_pages += machine->backed[number] == 0;
	machine->backed[number] = 1;
	return 0;
}

static bool simulated_setup(struct lab_heap *heap, size_t window_bytes,
			    const char **why)
{
	struct simulated *machine = calloc(1, sizeof(*machine));
	*why = "there is no memory for its machine";
	if (machine == NULL) {
		return false;
	}
	/* Room for the frames' metadata, so that the window is the heap's. */
	size_t memory = window_bytes + window_bytes / 16 + DMA_BYTES;
	memory &= ~(size_t)(LOAM_MIB(4) - 1);
	machine->shadow_bytes = memory >> LOAM_SHADOW_SHIFT;
	machine->shadow = lab_window(machine->shadow_bytes);
	machine->backed = calloc(machine->shadow_bytes / LOAM_PAGE_SIZE + 1, 1);
	heap->window = lab_window(memory);
	if (heap->window == NULL || machine->shadow == NULL ||
	    machine->backed == NULL) {
		free(machine->backed);
		free(machine);
		return false;
	}
	/* No file, as for the tests: memory like the other heaps'. */
	hosted_memory = (struct hosted_memory){
		.fd = -1,
		.size = memory,
		.direct_size = memory,
		.direct = heap->window,
	};
	/* One thread, for which the C library takes no locks either. */
	hosted_alone = true;
	heap->window_bytes = memory;
	heap->state = machine;
	return true;
}

static bool simulated_open(struct lab_heap *heap)
{
	struct simulated *machine = heap->state;
	loam_memmap_init(&machine->map, machine->ranges, RANGES);
	int failed = loam_memmap_add(&machine->map, 0, heap->window_bytes,
				     LOAM_MEM_USABLE);
	failed = failed != 0 ? failed : loam_memmap_normalise(&machine->map);
	if (failed != 0) {
		return false;
	}
	loam_memblock_init(&machine->memblock, machine->regions, RANGES);
	memset(&machine->frames, 0, sizeof(machine->frames));
	memset(&machine->slabs, 0, sizeof(machine->slabs));
	memset(&machine->kmalloc, 0, sizeof(machine->kmalloc));
	if (loam_memblock_adopt(&machine->memblock, &machine->map) != 0 ||
	    loam_memblock_reserve(&machine->memblock, 0, LOAM_PAGE_SIZE,
				  LOAM_RESERVED_FRAME_ZERO) != 0 ||
	    loam_frame_adopt(&machine->frames, &machine->memblock, DMA_BYTES,
			     heap->window_bytes, heap->window_bytes) != 0) {
		return false;
	}
	machine->free_at_start = loam_frame_free_count(&machine->frames);
	const struct loam_slab_shadow shadow = {
		.bytes = machine->shadow,
		.covered = heap->window_bytes,
		.back = simulated_back,
		.ctx = machine,
	};
	return loam_slab_init(&machine->slabs, &machine->frames, &shadow) ==
		       0 &&
	       loam_kmalloc_init(&machine->kmalloc, &machine->slabs, NULL) == 0;
}

static void *simulated_alloc(void *state, size_t size_bytes)
{
	struct simulated *machine = state;
	return loam_kmalloc(&machine->kmalloc, size_bytes, 0);
}

static void simulated_free(void *state, void *block)
{
	struct simulated *machine = state;
	loam_kfree(&machine->kmalloc, block);
}

static void *simulated_resize(void *state, void *block, size_t size_bytes)
{
	struct simulated *machine = state;
	return loam_krealloc(&machine->kmalloc, block, size_bytes, 0);
}

static size_t simulated_usable(const struct lab_heap *heap, void *block)
{
	struct simulated *machine = heap->state;
	return loam_ksize(&machine->kmalloc, block);
}

static size_t simulated_header(const struct lab_heap *heap, void *block)
{
	(void)heap;
	(void)block;
	return 0;
}

static size_t simulated_mapped(const struct lab_heap *heap)
{
	struct simulated *machine = heap->state;
	uint64_t used = machine->free_at_start -
			loam_frame_free_count(&machine->frames);
	return ((size_t)used + machine->backed_pages) * LOAM_PAGE_SIZE;
}

static size_t simulated_largest(const struct lab_heap *heap)
{
	struct simulated *machine = heap->state;
	struct loam_zone_stats stats;
	size_t largest = 0;
	for (unsigned id = 0; id < LOAM_ZONE_COUNT; id++) {
		loam_frame_zone_stats(&machine->frames, (enum loam_zone_id)id,
				      &stats);
		if (stats.largest_free * LOAM_PAGE_SIZE > largest) {
			largest = (size_t)stats.largest_free * LOAM_PAGE_SIZE;
		}
	}
	return largest;
}

static void simulated_runs(const struct lab_heap *heap, lab_run_fn run,
			   void *context)
{
	struct simulated *machine = heap->state;
	loam_pfn_t frames = (loam_pfn_t)(heap->window_bytes / LOAM_PAGE_SIZE);
	loam_pfn_t start = 0;
	for (loam_pfn_t pfn = 0; pfn <= frames; pfn++) {
		struct loam_frame_info info;
		bool used =
			pfn < frames &&
			loam_frame_info(&machine->frames, pfn, &info) == 0 &&
			!info.untouched && info.state != LOAM_TAG_FREE &&
			info.state != LOAM_TAG_CACHED && info.state != 0;
		if (used) {
			continue;
		}
		if (pfn > start) {
			run(context, (size_t)start * LOAM_PAGE_SIZE,
			    (size_t)(pfn - start) * LOAM_PAGE_SIZE);
		}
		start = pfn + 1;
	}
}

static bool simulated_check(const struct lab_heap *heap)
{
	struct simulated *machine = heap->state;
	return loam_kmalloc_check(&machine->kmalloc) == 0 &&
	       loam_slab_check(&machine->slabs) == 0 &&
	       loam_frame_check(&machine->frames) == 0;
}

static void simulated_close(struct lab_heap *heap)
{
	struct simulated *machine = heap->state;
	for (size_t i = 0; i * LOAM_PAGE_SIZE < machine->shadow_bytes; i++) {
		if (machine->backed[i] != 0) {
			memset(machine->shadow + i * LOAM_PAGE_SIZE, 0,
			       LOAM_PAGE_SIZE);
			machine->backed[i] = 0;
		}
	}
	machine->backed_pages = 0;
}

const struct lab_kind_ops lab_kind_kmalloc = {
	.setup = simulated_setup,
	.open = simulated_open,
	.alloc = simulated_alloc,
	.free = simulated_free,
	.resize = simulated_resize,
	.usable = simulated_usable,
	.header = simulated_header,
	.mapped = simulated_mapped,
	.largest_free = simulated_largest,
	.runs = simulated_runs,
	.check = simulated_check,
	.close = simulated_close,
};

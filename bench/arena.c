/* SPDX-License-Identifier: MIT */
/* 20,000 live objects in 64 MiB: kmalloc over slabs against TLSF. */

/*
 * Objects of 16 to 4096 bytes, their logarithm evenly spread; pairs of a free
 * and an allocation at random. Ours is called as a kernel calls it. Footprint
 * is what the objects' frames, their shadow and all metadata are beyond what
 * the empty instance had, over the live bytes asked for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <loam/heap.h>
#include <loam/kmalloc.h>

#include "platform.h"

#define LIVE 20000u
#define PAIRS 3000000u

static struct machine {
	struct loam_mem_range ranges[4];
	struct loam_memblock_region regions[8];
	struct loam_memmap map;
	struct loam_memblock memblock;
	struct loam_frames frames;
	struct loam_slabs slabs;
	struct loam_kmalloc kmalloc;
} machine;

static void *blocks[LIVE];
static size_t sizes[LIVE];
static uint64_t seed;

static size_t pick(size_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)((seed >> 32) * below >> 32);
}

static size_t pick_size(void)
{
	size_t base = (size_t)16 << pick(8);
	return base + pick(base) + 1;
}

static LOAM_NOINLINE void *slab_get(size_t size)
{
	void *block = loam_kmalloc_fast(&machine.kmalloc, &machine.slabs, size);
	return block != NULL ? block : loam_kmalloc(&machine.kmalloc, size, 0);
}

static LOAM_NOINLINE void slab_put(void *block)
{
	if (!loam_slab_push(&machine.slabs, block)) {
		loam_kfree(&machine.kmalloc, block);
	}
}

static double run(void *(*get)(size_t), void (*put)(void *), size_t *live)
{
	struct timespec began;
	struct timespec ended;
	seed = 88172645463325252u;
	*live = 0;
	for (unsigned i = 0; i < LIVE; i++) {
		sizes[i] = pick_size();
		blocks[i] = get(sizes[i]);
		*live += sizes[i];
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
	for (unsigned i = 0; i < PAIRS; i++) {
		size_t n = pick(LIVE);
		put(blocks[n]);
		*live -= sizes[n];
		sizes[n] = pick_size();
		*live += sizes[n];
		blocks[n] = get(sizes[n]);
		if (blocks[n] == NULL) {
			exit(1);
		}
		*(char *)blocks[n] = 1;
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	return ((double)(ended.tv_sec - began.tv_sec) * 1e9 +
		(double)(ended.tv_nsec - began.tv_nsec)) /
	       PAIRS;
}

static void start(void)
{
	loam_phys_t size = LOAM_MIB(64);
	hosted_memory_create(size, size);
	loam_memmap_init(&machine.map, machine.ranges, 4);
	loam_memblock_init(&machine.memblock, machine.regions, 8);
	if (loam_memmap_add(&machine.map, 0, size, LOAM_MEM_USABLE) != 0 ||
	    loam_memmap_normalise(&machine.map) != 0 ||
	    loam_memblock_adopt(&machine.memblock, &machine.map) != 0 ||
	    loam_frame_adopt(&machine.frames, &machine.memblock, LOAM_MIB(16),
			     size, size) != 0 ||
	    loam_slab_init(&machine.slabs, &machine.frames, NULL) != 0 ||
	    loam_kmalloc_init(&machine.kmalloc, &machine.slabs, NULL) != 0) {
		exit(1);
	}
}

static struct loam_heap tlsf;

static void *tlsf_get(size_t size)
{
	return loam_heap_alloc(&tlsf, size);
}

static void tlsf_put(void *block)
{
	loam_heap_free(&tlsf, block);
}

/* Nanoseconds a pair of TLSF's, in 64 MiB of its own. */
static double run_tlsf(void)
{
	size_t live;
	struct loam_heap_config config = { .size_bytes = LOAM_MIB(64) };
	config.start = aligned_alloc(LOAM_PAGE_SIZE, config.size_bytes);
	if (config.start == NULL ||
	    loam_heap_create(&tlsf, &loam_heap_tlsf, &config) != 0) {
		exit(1);
	}
	double ns = run(tlsf_get, tlsf_put, &live);
	free(config.start);
	return ns;
}

/* The loop alone: what the other two have in their figures. */
static void *loop_get(size_t size)
{
	static char block[4096];
	return size == 0 ? NULL : block;
}

static void loop_put(void *block)
{
	(void)block;
}

int main(void)
{
	size_t live;
	printf("loop|%.2f|0\n", run(loop_get, loop_put, &live));
	printf("tlsf|%.2f|0\n", run_tlsf());
	start();
	uint64_t before = loam_frame_free_count(&machine.frames);
	double ns = run(slab_get, slab_put, &live);
	uint64_t used = (before - loam_frame_free_count(&machine.frames)) *
			LOAM_PAGE_SIZE;
	used += used / 16; /* the shadow of what slabs have */
	printf("loam|%.2f|%.3f\n", ns, (double)used / (double)live);
	return 0;
}

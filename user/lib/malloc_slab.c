/* SPDX-License-Identifier: MIT */
/* malloc by the kernel's own frames, slabs and kmalloc, in a program. */

/*
 * One map of MALLOC_SLAB_BYTES plays the physical memory: address 0 of it is
 * the map's start, and the direct map is the map. The kernel below fills it
 * page by page as it is touched, so memory that no slab has used costs nothing.
 * The slabs' shadow is a second map, of a sixteenth of that.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <loam/kmalloc.h>

#define ARENA_ZONES (4u << 20) /* zones end at multiples of that */
#define ARENA_RANGES 8u
#define ARENA_RESERVED 16u

LOAM_STATIC_ASSERT(MALLOC_SLAB_BYTES % ARENA_ZONES == 0,
		   "the arena ends where a zone may");

static struct {
	unsigned char *memory;
	struct loam_memmap map;
	struct loam_mem_range ranges[ARENA_RANGES];
	struct loam_memblock memblock;
	struct loam_memblock_region reserved[ARENA_RESERVED];
	struct loam_frames frames;
	struct loam_slabs slabs;
	struct loam_kmalloc kmalloc;
} arena;

void *loam_host_phys_to_virt(loam_phys_t phys)
{
	return phys < MALLOC_SLAB_BYTES ? arena.memory + phys : NULL;
}

static int arena_frames(void)
{
	loam_memmap_init(&arena.map, arena.ranges, ARENA_RANGES);
	int error = loam_memmap_add(&arena.map, 0, MALLOC_SLAB_BYTES,
				    LOAM_MEM_USABLE);
	if (error == 0) {
		error = loam_memmap_normalise(&arena.map);
	}
	if (error == 0) {
		loam_memblock_init(&arena.memblock, arena.reserved,
				   ARENA_RESERVED);
		error = loam_memblock_adopt(&arena.memblock, &arena.map);
	}
	if (error == 0) {
		error = loam_frame_adopt(&arena.frames, &arena.memblock, 0,
					 MALLOC_SLAB_BYTES, MALLOC_SLAB_BYTES);
	}
	return error;
}

static int slab_init(void)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;
	const size_t shadow_bytes = MALLOC_SLAB_BYTES >> LOAM_SHADOW_SHIFT;
	void *memory = mmap(NULL, MALLOC_SLAB_BYTES, rw, 0);
	void *shadow = mmap(NULL, shadow_bytes, rw, 0);

	if (memory == MAP_FAILED || shadow == MAP_FAILED) {
		return -LOAM_ENOMEM;
	}
	arena.memory = memory;
	const struct loam_slab_shadow where = {
		.bytes = shadow,
		.covered = MALLOC_SLAB_BYTES,
	};
	int error = arena_frames();
	if (error == 0) {
		error = loam_slab_init(&arena.slabs, &arena.frames, &where);
	}
	if (error == 0) {
		error = loam_kmalloc_init(&arena.kmalloc, &arena.slabs, NULL);
	}
	return error;
}

static void *slab_alloc(size_t size)
{
	return loam_kmalloc(&arena.kmalloc, size, 0);
}

static void slab_free(void *block)
{
	loam_kfree(&arena.kmalloc, block);
}

static void *slab_resize(void *block, size_t size)
{
	return loam_krealloc(&arena.kmalloc, block, size, 0);
}

static size_t slab_usable(const void *block)
{
	return loam_ksize(&arena.kmalloc, block);
}

static int slab_check(void)
{
	int error = loam_frame_check(&arena.frames);

	if (error == 0) {
		error = loam_slab_check(&arena.slabs);
	}
	return error != 0 ? error : loam_kmalloc_check(&arena.kmalloc);
}

const struct malloc_ops malloc_slab = {
	.name = "slab",
	.init = slab_init,
	.alloc = slab_alloc,
	.free = slab_free,
	.resize = slab_resize,
	.usable = slab_usable,
	.check = slab_check,
};

/* SPDX-License-Identifier: MIT */
/* The C library's malloc in the laboratory, as the yardstick that all know. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab_heaps.h"

/* From this size on blocks are the system's own, and counted as such. */
#define OWN_PAGES_BYTES ((size_t)32 << 20)
/* What it is given above what it needs, so that large pages cover all that. */
#define SPARE_BYTES ((size_t)8 << 20)
/* How far below the break it is looked for, when time is measured. */
#define BELOW_BYTES ((size_t)64 << 20)

/*
 * There is one malloc, which the tool itself uses too, hence nothing to make
 * and take away: reset() gives free memory back to the system and remembers
 * where the break is. Otherwise it is told to keep what it has, so that it has
 * no page faults either when time is measured. Blocks so large that they are
 * the system's own do not count.
 */
struct library {
	unsigned char *brk;
	bool is_large;
};

static bool library_setup(struct lab_heap *heap, size_t window_bytes,
			  const char **why)
{
	struct library *library = calloc(1, sizeof(*library));
	*why = "there is no memory";
	mallopt(M_MMAP_THRESHOLD, (int)OWN_PAGES_BYTES);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	heap->window_bytes = window_bytes;
	heap->state = library;
	return library != NULL;
}

static void library_reset(struct lab_heap *heap)
{
	struct library *library = heap->state;
	malloc_trim(0);
	library->brk = sbrk(0);
	heap->window = library->brk;
}

static bool library_open(struct lab_heap *heap)
{
	(void)heap;
	return true;
}

static void *library_alloc(void *state, size_t size_bytes)
{
	(void)state;
	return malloc(size_bytes);
}

static void library_free(void *state, void *block)
{
	(void)state;
	free(block);
}

static void *library_resize(void *state, void *block, size_t size_bytes)
{
	(void)state;
	return realloc(block, size_bytes);
}

static size_t library_usable(const struct lab_heap *heap, void *block)
{
	(void)heap;
	return malloc_usable_size(block);
}

static size_t library_header(const struct lab_heap *heap, void *block)
{
	(void)heap;
	(void)block;
	return sizeof(size_t);
}

static size_t library_mapped(const struct lab_heap *heap)
{
	const struct library *library = heap->state;
	const unsigned char *brk = sbrk(0);
	return (size_t)(brk - library->brk);
}

static void library_runs(const struct lab_heap *heap, lab_run_fn run,
			 void *context)
{
	run(context, 0, library_mapped(heap));
}

/* Memory has been measured, once for all; from here on it is time. */
static void library_close(struct lab_heap *heap)
{
	struct library *library = heap->state;
	if (!library->is_large) {
		void *spare = malloc(SPARE_BYTES);
		if (spare != NULL) {
			memset(spare, 0, SPARE_BYTES);
			free(spare);
		}
		lab_make_large(library->brk - BELOW_BYTES, sbrk(0));
		library->is_large = true;
	}
}

const struct lab_kind_ops lab_kind_malloc = {
	.setup = library_setup,
	.reset = library_reset,
	.open = library_open,
	.alloc = library_alloc,
	.free = library_free,
	.resize = library_resize,
	.usable = library_usable,
	.header = library_header,
	.mapped = library_mapped,
	.runs = library_runs,
	.close = library_close,
};

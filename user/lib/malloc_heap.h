/* SPDX-License-Identifier: MIT */
/* A classic heap over sbrk, for the files that each name one design. */
#ifndef USER_MALLOC_HEAP_H
#define USER_MALLOC_HEAP_H

#include <stdlib.h>

#include <loam/heap.h>

/* The functions of struct malloc_ops, once the heap has been made. */
int malloc_heap_init(const struct loam_heap_ops *design);
void *malloc_heap_alloc(size_t size);
void malloc_heap_free(void *block);
void *malloc_heap_resize(void *block, size_t size);
size_t malloc_heap_usable(const void *block);
int malloc_heap_check(void);

/* A whole struct malloc_ops, with its init before it. */
#define MALLOC_HEAP(design)                                                    \
	static int init_##design(void)                                         \
	{                                                                      \
		return malloc_heap_init(&loam_heap_##design);                  \
	}                                                                      \
	const struct malloc_ops malloc_##design = {                            \
		.name = #design,                                               \
		.init = init_##design,                                         \
		.alloc = malloc_heap_alloc,                                    \
		.free = malloc_heap_free,                                      \
		.resize = malloc_heap_resize,                                  \
		.usable = malloc_heap_usable,                                  \
		.check = malloc_heap_check,                                    \
	}

#endif

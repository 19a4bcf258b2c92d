/* SPDX-License-Identifier: MIT */
/* Allocation over Loam's own heaps, and how a program ends. */
#ifndef USER_STDLIB_H
#define USER_STDLIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What can be behind malloc. NULL or -1 is what a failure gives. */
struct malloc_ops {
	const char *name;
	int (*init)(void); /* at the first allocation */
	void *(*alloc)(size_t size);
	void (*free)(void *block);
	void *(*resize)(void *block, size_t size);
	size_t (*usable)(const void *block);
	int (*check)(void); /* 0, or a negative errno: an invariant fails */
};

/*
 * Loam's classic heaps over sbrk, and its frames and slabs over one map of
 * MALLOC_SLAB_BYTES that is filled as it is touched. What a program does not
 * name is not linked into it.
 */
extern const struct malloc_ops malloc_tlsf;
extern const struct malloc_ops malloc_list;
extern const struct malloc_ops malloc_bestfit;
extern const struct malloc_ops malloc_block;
extern const struct malloc_ops malloc_slab;

#define MALLOC_SLAB_BYTES (32u << 20)
#define MALLOC_HEAP_BYTES (256u << 20) /* the most that the others grow to */

/*
 * The one in use: malloc_tlsf, unless the program defines another or assigns it
 * before its first allocation.
 */
extern const struct malloc_ops *malloc_design;

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);
size_t malloc_usable_size(const void *block);
int malloc_check(void);

_Noreturn void exit(int code);
_Noreturn void abort(void);
long strtol(const char *text, char **end, int base);
unsigned long strtoul(const char *text, char **end, int base);
int atoi(const char *text);

/* xorshift32 over *state, which is not 0. */
uint32_t random_next(uint32_t *state);

#endif

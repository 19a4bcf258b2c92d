/* SPDX-License-Identifier: MIT */
/* malloc and its kin, over whichever design the program has. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((weak)) const struct malloc_ops *malloc_design = &malloc_tlsf;

static bool malloc_ready(void)
{
	static bool ready;

	if (!ready) {
		ready = malloc_design->init() == 0;
		errno = ready ? errno : ENOMEM;
	}
	return ready;
}

void *malloc(size_t size)
{
	if (!malloc_ready()) {
		return NULL;
	}
	/* A pointer of its own for size 0, as programs expect. */
	void *block = malloc_design->alloc(size == 0 ? 1 : size);
	if (block == NULL) {
		errno = ENOMEM;
	}
	return block;
}

void *calloc(size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	void *block = malloc(total);
	if (block != NULL) {
		memset(block, 0, total);
	}
	return block;
}

void *realloc(void *block, size_t size)
{
	if (block == NULL) {
		return malloc(size);
	}
	void *moved = malloc_design->resize(block, size);
	if (moved == NULL && size != 0) {
		errno = ENOMEM;
	}
	return moved;
}

void free(void *block)
{
	if (block != NULL && malloc_ready()) {
		malloc_design->free(block);
	}
}

size_t malloc_usable_size(const void *block)
{
	return block != NULL && malloc_ready() ? malloc_design->usable(block)
					       : 0;
}

int malloc_check(void)
{
	return malloc_ready() ? malloc_design->check() : 0;
}

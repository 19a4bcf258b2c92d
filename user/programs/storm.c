/* SPDX-License-Identifier: MIT */
/* malloc and free at random, checked byte by byte: storm [DESIGN [STEPS]]. */

/*
 * Each block is filled with a pattern of its own, which must be whole when it
 * goes or changes size. At the end every block goes and the heap is checked.
 */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define BLOCKS 256u

static struct {
	unsigned char *at;
	size_t size;
	unsigned char fill;
} blocks[BLOCKS];

static const struct malloc_ops *const designs[] = {
	&malloc_tlsf,  &malloc_list, &malloc_bestfit,
	&malloc_block, &malloc_slab,
};

static size_t random_size(uint32_t *state)
{
	/* As many small ones as large ones, up to 16 KiB. */
	unsigned bits = random_next(state) % 15;

	return (random_next(state) & ((1u << bits) - 1)) + 1;
}

static void check_whole(unsigned i, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		CHECK(blocks[i].at[at] == blocks[i].fill);
	}
}

static void step(uint32_t *state)
{
	unsigned i = random_next(state) % BLOCKS;

	if (blocks[i].at == NULL) {
		blocks[i].size = random_size(state);
		blocks[i].at = malloc(blocks[i].size);
		CHECK(blocks[i].at != NULL);
		CHECK((uintptr_t)blocks[i].at % 16 == 0);
	} else if (random_next(state) % 4 == 0) {
		size_t size = random_size(state);
		size_t kept = size < blocks[i].size ? size : blocks[i].size;
		blocks[i].at = realloc(blocks[i].at, size);
		CHECK(blocks[i].at != NULL);
		check_whole(i, kept);
		blocks[i].size = size;
	} else {
		check_whole(i, blocks[i].size);
		free(blocks[i].at);
		blocks[i].at = NULL;
		return;
	}
	CHECK(malloc_usable_size(blocks[i].at) >= blocks[i].size);
	blocks[i].fill = (unsigned char)random_next(state);
	memset(blocks[i].at, blocks[i].fill, blocks[i].size);
}

int main(int argc, char **argv)
{
	unsigned steps = argc > 2 ? (unsigned)atoi(argv[2]) : 20000;
	uint32_t state = 0x10A3u + (uint32_t)getpid();

	for (unsigned i = 0; argc > 1 && i < LOAM_ARRAY_SIZE(designs); i++) {
		if (strcmp(designs[i]->name, argv[1]) == 0) {
			malloc_design = designs[i];
		}
	}
	if (argc > 1 && strcmp(malloc_design->name, argv[1]) != 0) {
		printf("storm: no design %s\n", argv[1]);
		return 2;
	}
	for (unsigned i = 0; i < steps; i++) {
		step(&state);
		if (i % 1024 == 0) {
			CHECK(malloc_check() == 0);
		}
	}
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (blocks[i].at != NULL) {
			check_whole(i, blocks[i].size);
			free(blocks[i].at);
		}
	}
	CHECK(malloc_check() == 0);
	printf("storm: %u steps with %s, every byte in its place\n", steps,
	       malloc_design->name);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Running programs in tests, which end with what programs leave or do not. */
#ifndef TESTS_KERNEL_RUN_H
#define TESTS_KERNEL_RUN_H

#include <loam/proc.h>

/*
 * Starts a program with the words of a line; its pid, or an error. Skips the
 * test without programs, and where there is too little memory for them.
 */
int run_start(const char *line, bool joined);

/* Runs it to its end and returns its status. */
uint32_t run_program(const char *line);

/* Everything that can leak. */
struct run_counters {
	uint64_t frames;
	uint64_t slab_bytes;
	uint64_t heap_bytes;
	uint64_t large_bytes;
	uint64_t vmalloc_pages;
	uint64_t ranges;
	uint64_t owners[LOAM_OWNER_COUNT];
	uint32_t tasks;
	uint32_t processes;
	uint32_t spaces;
};

void run_count(struct run_counters *out);
void run_expect_same(const struct run_counters *before);

/*
 * Runs a program that must end with this status, twice: the first time for
 * what is taken once and kept, the second to see that nothing else is.
 */
void run_expect(const char *line, uint32_t status);

/* The same for peek at an address; how: "", " write" or " run". */
void run_expect_peek(uintptr_t address, const char *how, uint32_t status);

#endif

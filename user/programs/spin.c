/* SPDX-License-Identifier: MIT */
/* Computes without a call, so that only the timer takes the CPU from it. */

#include <check.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0;
	volatile uint32_t state = 0x5EED;

	/* 0: for ever. */
	for (uint32_t i = 0; rounds == 0 || i < rounds; i++) {
		state = state * 1664525u + 1013904223u;
	}
	return 0;
}

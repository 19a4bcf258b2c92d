/* SPDX-License-Identifier: MIT */
/* Three MiB of its own from 0x400000 on, all of it written, read, kept. */

#include <stdio.h>
#include <unistd.h>

#define PAGES 768u
#define WORDS 1024u

static unsigned memory[PAGES][WORDS];

static unsigned wrong(void)
{
	unsigned count = 0;

	for (unsigned page = 0; page < PAGES; page++) {
		for (unsigned i = 0; i < WORDS; i += 31) {
			count += memory[page][i] != page * 65537 + i;
		}
	}
	return count;
}

int main(void)
{
	for (unsigned page = 0; page < PAGES; page++) {
		for (unsigned i = 0; i < WORDS; i++) {
			if (memory[page][i] != 0) {
				printf("large: page %u is not zero\n", page);
				return 1;
			}
			memory[page][i] = page * 65537 + i;
		}
		/* Into the kernel and back, on a stack that must be there. */
		getpid();
	}
	unsigned count = wrong();
	printf("large: %p to %p, %u words wrong\n", (void *)memory,
	       (void *)(memory + PAGES), count);
	return count != 0;
}

/* SPDX-License-Identifier: MIT */
/* Takes memory until there is none: hog [MIB [hold]]. */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define MIB (1u << 20)

int main(int argc, char **argv)
{
	unsigned most = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
	unsigned have = 0;

	while (have < most) {
		char *at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, 0);
		if (at == MAP_FAILED) {
			printf("hog: no more address space after %u MiB\n",
			       have);
			return 3;
		}
		for (unsigned i = 0; i < MIB; i += 4096) {
			at[i] = (char)(i >> 12);
		}
		have++;
	}
	printf("hog: has %u MiB\n", have);
	while (argc > 2 && strcmp(argv[2], "hold") == 0) {
		sleep_ms(100);
	}
	return 0;
}

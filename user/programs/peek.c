/* SPDX-License-Identifier: MIT */
/* Touches an address that may not be its own: peek ADDRESS [write | run]. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc < 2) {
		puts("peek ADDRESS [write | run]");
		return 2;
	}
	uintptr_t address = strtoul(argv[1], NULL, 0);
	volatile unsigned char *byte = (volatile unsigned char *)address;

	if (argc > 2 && strcmp(argv[2], "write") == 0) {
		*byte = 0x5A;
		printf("peek: wrote to %p\n", (void *)address);
	} else if (argc > 2 && strcmp(argv[2], "run") == 0) {
		((void (*)(void))address)();
		printf("peek: ran %p\n", (void *)address);
	} else {
		printf("peek: %p holds 0x%02x\n", (void *)address, *byte);
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Writes through a null pointer, and is killed. */

#include <stdio.h>

int main(void)
{
	volatile int *nowhere = NULL;

	*nowhere = 1;
	puts("null: a null pointer was written through");
	return 1;
}

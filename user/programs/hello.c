/* SPDX-License-Identifier: MIT */
/* Says hello, and where it is: its code, its stack, its arguments. */

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int local;

	printf("hello from process %d, started by %d\n", getpid(), getppid());
	printf("code at %p, stack at %p, break at %p\n",
	       (void *)(uintptr_t)main, (void *)&local, sbrk(0));
	for (int i = 0; i < argc; i++) {
		printf("argument %d: %s\n", i, argv[i]);
	}
	return 0;
}

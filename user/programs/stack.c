/* SPDX-License-Identifier: MIT */
/* The stack grows to its limit and no further: stack [over]. */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u

/* The status of a child that touches an address. */
static int status_of(uintptr_t address)
{
	int status = 0;
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		*(volatile char *)address = 1;
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid);
	return status;
}

/* Uses up the stack, a little with each call. */
static unsigned deeper(volatile unsigned *depth)
{
	volatile char room[64];

	room[0] = (char)*depth;
	++*depth;
	/* Used after the call, so that the call does not become a jump. */
	unsigned result = *depth == 0 ? 0 : deeper(depth);
	return result + (unsigned)room[0];
}

int main(int argc, char **argv)
{
	static volatile unsigned depth;

	if (argc > 1 && strcmp(argv[1], "over") == 0) {
		return (int)deeper(&depth);
	}
	for (uintptr_t at = ABI_STACK_END - 1; at >= ABI_STACK_BASE;
	     at -= PAGE) {
		volatile char *byte = (volatile char *)at;
		if ((uintptr_t)&byte - at > PAGE || (uintptr_t)&byte < at) {
			*byte = *byte;
		}
	}
	*(volatile char *)ABI_STACK_BASE = 1;
	CHECK(status_of(ABI_STACK_BASE) == 0);
	CHECK(status_of(ABI_STACK_BASE - 4) == ABI_END_FAULT);
	CHECK(status_of(ABI_STACK_BASE - PAGE) == ABI_END_FAULT);
	CHECK(status_of(ABI_STACK_END) == ABI_END_FAULT);
	puts("stack: all four pages, and no more");
	return 0;
}

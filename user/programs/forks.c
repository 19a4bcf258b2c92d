/* SPDX-License-Identifier: MIT */
/* A tree of forks, each of which sees its own memory. */

/*
 * forks [DEPTH [WIDTH [quiet]]]: the tree's, and no word if all is well.
 */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define PAGES 64u

static unsigned char *memory;
static unsigned char data = 0x11; /* in a page of the program's file */
static unsigned char bss;

/* What page i holds for whoever wrote to it last on the way from the root. */
static void write_all(unsigned char mark)
{
	for (unsigned i = 0; i < PAGES; i++) {
		memory[i * PAGE + i] = (unsigned char)(mark + i);
	}
	data = mark;
	bss = mark;
}

static void check_all(unsigned char mark)
{
	for (unsigned i = 0; i < PAGES; i++) {
		CHECK(memory[i * PAGE + i] == (unsigned char)(mark + i));
		CHECK(memory[i * PAGE + PAGE - 1] == 0);
	}
	CHECK(data == mark && bss == mark);
}

/* In each node: children, who write all of it, and then see that it is ours. */
static void node(unsigned depth, unsigned width, unsigned char mark)
{
	volatile unsigned char stack = mark;

	write_all(mark);
	for (unsigned child = 0; depth > 0 && child < width; child++) {
		int pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			check_all(mark);
			CHECK(stack == mark);
			depth--;
			width = child + 1;
			mark = (unsigned char)(mark * 3 + child + 1);
			stack = mark;
			write_all(mark);
			child = (unsigned)-1;
		}
	}
	int status;
	while (wait(&status) > 0) {
		CHECK(status == 0);
	}
	CHECK(errno == ECHILD);
	check_all(mark);
	CHECK(stack == mark);
}

int main(int argc, char **argv)
{
	unsigned depth = argc > 1 ? (unsigned)atoi(argv[1]) : 3;
	unsigned width = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
	int self = getpid();

	CHECK(data == 0x11 && bss == 0);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, 0);
	CHECK(memory != MAP_FAILED);
	node(depth, width, 7);
	if (getpid() == self && argc < 4) {
		puts("forks: all well");
	}
	return 0;
}

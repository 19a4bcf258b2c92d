/* SPDX-License-Identifier: MIT */
/* The break in all its edges: up, down, too far, unaligned, in the way. */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u

static char *start;

/* The status of a child that writes to the address. */
static int status_of_write(volatile char *at)
{
	int status = 0;
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		*at = 1;
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid);
	return status;
}

static void check_growth(void)
{
	start = sbrk(0);
	CHECK(start == (char *)ABI_SPACE_BASE);
	CHECK(sbrk(1) == start);
	start[0] = 1;
	CHECK(sbrk(0) == start + 1);
	/* To the end of the page, and one beyond. */
	CHECK(sbrk(PAGE - 1) == start + 1);
	start[PAGE - 1] = 2;
	CHECK(sbrk(1) == start + PAGE);
	start[PAGE] = 3;
	CHECK(start[0] == 1 && start[PAGE - 1] == 2);
	CHECK(sbrk(-(intptr_t)(PAGE + 1)) == start + PAGE + 1);
	CHECK(sbrk(0) == start);
}

/* Memory that came back is zero, and where none is nobody writes. */
static void check_shrink(void)
{
	CHECK(sbrk(8 * PAGE) == start);
	memset(start, 0x5A, 8 * PAGE);
	CHECK(sbrk(-(intptr_t)(5 * PAGE)) == start + 8 * PAGE);
	CHECK(start[3 * PAGE - 1] == 0x5A);
	CHECK(status_of_write(start + 3 * PAGE) == ABI_END_FAULT);
	CHECK(sbrk(5 * PAGE) == start + 3 * PAGE);
	for (unsigned i = 3 * PAGE; i < 8 * PAGE; i++) {
		CHECK(start[i] == 0);
	}
	CHECK(status_of_write(start + 8 * PAGE) == ABI_END_FAULT);
	CHECK(brk(start) == 0);
}

static void check_refused(void)
{
	static const uintptr_t ends[] = {
		1,          0x1000,     0x3FF000,   0x400000,   0x0FFFFFFF,
		0xBFFFFFFF, 0xC0000000, 0xC0100000, 0xFFFFF000, 0xFFFFFFFF,
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(ends); i++) {
		CHECK_ERRNO(brk((void *)ends[i]), errno);
		CHECK(sbrk(0) == start);
	}
	CHECK_ERRNO(sbrk(INTPTR_MAX), ENOMEM);
	CHECK_ERRNO(sbrk(INTPTR_MIN), ENOMEM);
	CHECK_ERRNO(sbrk(-1), errno);
	CHECK(sbrk(0) == start);
}

/* A map in its way stops the break, and it is what it was. */
static void check_obstacle(void)
{
	char *map =
		mmap(start + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED);

	CHECK(map == start + 4 * PAGE);
	map[0] = 9;
	CHECK(brk(start + 4 * PAGE) == 0);
	CHECK_ERRNO(brk(start + 4 * PAGE + 1), ENOMEM);
	CHECK(sbrk(0) == start + 4 * PAGE && map[0] == 9);
	CHECK(munmap(map, PAGE) == 0);
	CHECK(brk(start + 5 * PAGE) == 0);
	CHECK(start[4 * PAGE] == 0);
	CHECK(brk(start) == 0);
}

static void check_random(void)
{
	uint32_t state = 0xB4EA;
	size_t size = 0;

	for (unsigned i = 0; i < 3000; i++) {
		size_t wanted = random_next(&state) % (64 * PAGE);
		CHECK(brk(start + wanted) == 0);
		if (wanted > size) {
			/* What is new in whole pages is zero. */
			size_t from = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
			for (size_t at = from; at < wanted; at += PAGE) {
				CHECK(start[at] == 0);
			}
			start[wanted - 1] = 1;
			for (size_t at = from; at < wanted; at += PAGE) {
				start[at] = 1;
			}
		}
		size = wanted;
	}
	CHECK(brk(start) == 0);
}

int main(void)
{
	check_growth();
	check_shrink();
	check_refused();
	check_obstacle();
	check_random();
	puts("sbrk: all well");
	return 0;
}

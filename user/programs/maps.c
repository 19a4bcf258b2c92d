/* SPDX-License-Identifier: MIT */
/* mmap, munmap, mprotect, mremap and madvise at their edges. */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define RW (PROT_READ | PROT_WRITE)

enum touch { READ, WRITE, RUN };

static int status_of(enum touch touch, volatile char *at)
{
	int status = 0;
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		if (touch == READ) {
			(void)*at;
		} else if (touch == WRITE) {
			*at = 1;
		} else {
			((void (*)(void))(uintptr_t)at)();
		}
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid);
	return status;
}

static char *map(size_t pages)
{
	char *at = mmap(NULL, pages * PAGE, RW, 0);

	CHECK(at != MAP_FAILED && (uintptr_t)at % PAGE == 0);
	return at;
}

static void check_arguments(void)
{
	char *at = map(4);

	CHECK_ERRNO(mmap(NULL, 0, RW, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, (size_t)-1, RW, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, ABI_SPACE_END, RW, 0), ENOMEM);
	CHECK_ERRNO(mmap(NULL, PAGE, 8, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, RW, 0x80), EINVAL);
	CHECK_ERRNO(mmap(at + 1, PAGE, RW, MAP_FIXED), EINVAL);
	CHECK_ERRNO(mmap(NULL, PAGE, RW, MAP_FIXED), EINVAL);
	CHECK_ERRNO(mmap((void *)ABI_SPACE_END, PAGE, RW, MAP_FIXED), EINVAL);
	CHECK_ERRNO(
		mmap((void *)(ABI_SPACE_END - PAGE), 2 * PAGE, RW, MAP_FIXED),
		EINVAL);
	CHECK_ERRNO(mmap((void *)-(uintptr_t)PAGE, PAGE, RW, MAP_FIXED),
		    EINVAL);
	CHECK_ERRNO(munmap(at + 1, PAGE), EINVAL);
	CHECK_ERRNO(munmap(at, 0), EINVAL);
	CHECK_ERRNO(munmap(at, (size_t)-1), EINVAL);
	CHECK_ERRNO(munmap((void *)ABI_SPACE_END, PAGE), EINVAL);
	CHECK_ERRNO(mprotect(at, PAGE, 8), EINVAL);
	CHECK_ERRNO(mprotect(at + 1, PAGE, RW), EINVAL);
	CHECK_ERRNO(mprotect((void *)(ABI_SPACE_END - 16 * PAGE), PAGE, RW),
		    ENOMEM);
	CHECK_ERRNO(mremap(at, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO(mremap(at + 8, PAGE, PAGE, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO(mremap(at, PAGE, PAGE, 2), EINVAL);
	CHECK_ERRNO(mremap(at, ABI_SPACE_END - ABI_SPACE_BASE, PAGE, 0),
		    EINVAL);
	CHECK_ERRNO(madvise(at, PAGE, 77), EINVAL);
	CHECK(munmap(at, 4 * PAGE) == 0);
}

/* A hole in the middle: both ends stay, the hole is gone, and comes zeroed. */
static void check_split(void)
{
	char *at = map(5);

	memset(at, 0x33, 5 * PAGE);
	CHECK(munmap(at + 2 * PAGE, PAGE) == 0);
	CHECK(at[2 * PAGE - 1] == 0x33 && at[3 * PAGE] == 0x33);
	CHECK(status_of(READ, at + 2 * PAGE) == ABI_END_FAULT);
	CHECK_ERRNO(mprotect(at, 5 * PAGE, PROT_READ), ENOMEM);
	CHECK(mmap(at + 2 * PAGE, PAGE, RW, MAP_FIXED) == at + 2 * PAGE);
	CHECK(at[2 * PAGE] == 0);
	/* Nothing there is no error, and a map over others replaces them. */
	CHECK(mmap(at, 5 * PAGE, RW, MAP_FIXED) == at);
	CHECK(at[0] == 0 && at[5 * PAGE - 1] == 0);
	CHECK(munmap(at, 5 * PAGE) == 0);
	CHECK(munmap(at, 5 * PAGE) == 0);
}

static void check_protection(void)
{
	char *at = map(3);

	memset(at, 1, 3 * PAGE);
	CHECK(mprotect(at + PAGE, PAGE, PROT_READ) == 0);
	CHECK(at[PAGE] == 1);
	CHECK(status_of(WRITE, at + PAGE) == ABI_END_FAULT);
	CHECK(status_of(WRITE, at + 2 * PAGE) == 0);
	CHECK(mprotect(at + PAGE, PAGE, PROT_NONE) == 0);
	CHECK(status_of(READ, at + PAGE) == ABI_END_FAULT);
	/* A call is no way around it. */
	CHECK_ERRNO(write(at + PAGE, 1), EFAULT);
	CHECK_ERRNO(meminfo((struct abi_meminfo *)(void *)(at + PAGE)), EFAULT);
	CHECK(mprotect(at + PAGE, PAGE, RW) == 0);
	CHECK(at[PAGE] == 1);
	at[PAGE] = 2;
	CHECK(munmap(at, 3 * PAGE) == 0);
	/* Text is for reading and running. */
	CHECK(status_of(WRITE, (char *)(uintptr_t)0x400000) == ABI_END_FAULT);
}

static void check_remap(void)
{
	char *at = map(2);
	char *wall = mmap(at + 2 * PAGE, PAGE, RW, MAP_FIXED);

	CHECK(wall == at + 2 * PAGE);
	/* The wall is alike and may be one region with it: make it unlike. */
	CHECK(mprotect(wall, PAGE, PROT_READ) == 0);
	memset(at, 0x44, 2 * PAGE);
	CHECK(mremap(at, 2 * PAGE, PAGE, 0) == at);
	CHECK(status_of(READ, at + PAGE) == ABI_END_FAULT);
	CHECK(mremap(at, PAGE, 2 * PAGE, 0) == at);
	CHECK(at[PAGE - 1] == 0x44 && at[PAGE] == 0);
	CHECK_ERRNO(mremap(at, 2 * PAGE, 3 * PAGE, 0), ENOMEM);
	char *moved = mremap(at, 2 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && moved != at);
	CHECK(moved[0] == 0x44 && moved[PAGE - 1] == 0x44);
	CHECK(moved[PAGE] == 0 && moved[8 * PAGE - 1] == 0);
	CHECK(status_of(READ, at) == ABI_END_FAULT);
	CHECK(munmap(moved, 8 * PAGE) == 0);
	CHECK(munmap(wall, PAGE) == 0);
}

static void check_lazy(void)
{
	const size_t size = 64u << 20;
	struct abi_meminfo before;
	struct abi_meminfo after;
	CHECK(meminfo(&before) == 0);
	char *at = mmap(NULL, size, RW, 0);

	CHECK(at != MAP_FAILED);
	/* Reads cost nothing but a look at the zero page. */
	for (unsigned i = 0; i < 10; i++) {
		CHECK(at[i * (6u << 20) + i] == 0);
	}
	CHECK(meminfo(&after) == 0);
	CHECK(after.resident_pages == before.resident_pages);
	for (unsigned i = 0; i < 10; i++) {
		at[i * (6u << 20) + i] = (char)(i + 1);
	}
	CHECK(meminfo(&after) == 0);
	CHECK(after.resident_pages == before.resident_pages + 10);
	CHECK(after.mapped_pages == before.mapped_pages + size / PAGE);
	for (unsigned i = 0; i < 10; i++) {
		CHECK(at[i * (6u << 20) + i] == (char)(i + 1));
	}
	CHECK(madvise(at, size, MADV_DONTNEED) == 0);
	CHECK(at[0] == 0);
	CHECK(munmap(at, size) == 0);
	CHECK(meminfo(&after) == 0);
	CHECK(after.resident_pages == before.resident_pages);
	CHECK(after.mapped_pages == before.mapped_pages);
}

/* Shared memory is the same for a child; private memory is a copy. */
static void check_shared(void)
{
	volatile int *shared = mmap(NULL, PAGE, RW, MAP_SHARED);
	volatile int *own = mmap(NULL, PAGE, RW, MAP_POPULATE);
	int status;

	CHECK((void *)(uintptr_t)shared != MAP_FAILED);
	CHECK((void *)(uintptr_t)own != MAP_FAILED);
	int pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		shared[3] = 42;
		own[3] = 42;
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid && status == 0);
	CHECK(shared[3] == 42 && own[3] == 0);
	CHECK(munmap((void *)(uintptr_t)shared, PAGE) == 0);
	CHECK(munmap((void *)(uintptr_t)own, PAGE) == 0);
}

/* As many regions as there may be, and no more. */
static void check_regions(void)
{
	const size_t most = 2100;
	char *at = mmap(NULL, most * PAGE, RW, 0);
	size_t i;

	CHECK(at != MAP_FAILED);
	for (i = 0; i < most / 2; i++) {
		if (mprotect(at + 2 * i * PAGE, PAGE, PROT_READ) != 0) {
			CHECK(errno == ENOMEM);
			break;
		}
	}
	CHECK(i > 400 && i < most / 2);
	CHECK(munmap(at, most * PAGE) == 0);
}

int main(void)
{
	check_arguments();
	check_split();
	check_protection();
	check_remap();
	check_lazy();
	check_shared();
	check_regions();
	puts("maps: all well");
	return 0;
}

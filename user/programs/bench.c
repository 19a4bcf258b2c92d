/* SPDX-License-Identifier: MIT */
/* Measures what a program waits for in the kernel: calls, faults, forks. */

/*
 * As the kernel's own bench: each row is the median of windows between two
 * readings of the time-stamp counter, instructions under QEMU's -icount, after
 * one window that is thrown away. The price of the window itself is a row of
 * the kernel's, and is not subtracted.
 */

#include <check.h>
#include <machine.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define SAMPLES 51u
#define RW (PROT_READ | PROT_WRITE)

static uint32_t samples[SAMPLES];

static inline uint32_t now(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return low;
}

static void row(const char *name, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		uint32_t value = samples[i];
		unsigned at = i;
		for (; at > 0 && samples[at - 1] > value; at--) {
			samples[at] = samples[at - 1];
		}
		samples[at] = value;
	}
	printf("bench: %-47s | %8u\n", name, samples[count / 2]);
}

/* The number is a constant where it is called, so that the call is all. */
#define NULL_CALL(name, number)                                                \
	do {                                                                   \
		for (unsigned i = 0; i <= SAMPLES; i++) {                      \
			uint32_t start = now();                                \
			machine_call_none(number);                             \
			samples[i % SAMPLES] = now() - start;                  \
		}                                                              \
		row(name, SAMPLES);                                            \
	} while (0)

/* The next page of a fresh map, for each sample. */
static char *fresh(unsigned pages)
{
	char *at = mmap(NULL, pages * PAGE, RW, 0);

	CHECK(at != MAP_FAILED);
	/* The page tables are there, what is measured is the page. */
	at[0] = 1;
	at[(pages - 1) * PAGE] = 1;
	return at;
}

static void faults(void)
{
	const unsigned pages = SAMPLES + 2;
	volatile char *at = fresh(pages);

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint32_t start = now();
		at[(i + 1) * PAGE] = 1;
		samples[i] = now() - start;
	}
	row("demand-zero write fault, clearing included", SAMPLES);
	CHECK(munmap((void *)(uintptr_t)at, pages * PAGE) == 0);
	at = fresh(16 * pages);
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint32_t start = now();
		(void)at[(i + 1) * 16 * PAGE];
		samples[i] = now() - start;
	}
	row("read fault on the zero page", SAMPLES);
	CHECK(munmap((void *)(uintptr_t)at, 16 * pages * PAGE) == 0);
}

/* A child that stays until it is killed, so that every page has two owners. */
static int copy_of_us(void)
{
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		for (;;) {
			sleep_ms(100000);
		}
	}
	return pid;
}

static void copies(void)
{
	const unsigned pages = SAMPLES + 2;
	volatile char *at = fresh(pages);
	int status;

	for (unsigned i = 0; i < pages; i++) {
		at[i * PAGE] = 1;
	}
	int pid = copy_of_us();
	/* The first write also takes the page table out of the fork. */
	at[0] = 2;
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint32_t start = now();
		at[(i + 1) * PAGE] = 2;
		samples[i] = now() - start;
	}
	row("copy-on-write fault, copy", SAMPLES);
	CHECK(kill(pid) == 0 && waitpid(pid, &status) == pid);
	pid = copy_of_us();
	at[0] = 2;
	CHECK(kill(pid) == 0 && waitpid(pid, &status) == pid);
	for (unsigned i = 0; i < SAMPLES; i++) {
		uint32_t start = now();
		at[(i + 1) * PAGE] = 3;
		samples[i] = now() - start;
	}
	row("copy-on-write fault, reuse", SAMPLES);
	CHECK(munmap((void *)(uintptr_t)at, pages * PAGE) == 0);
}

static void maps(void)
{
	const unsigned pages = 1024;

	for (unsigned i = 0; i <= SAMPLES; i++) {
		uint32_t start = now();
		char *at = mmap(NULL, PAGE, RW, 0);
		at[0] = 1;
		munmap(at, PAGE);
		samples[i % SAMPLES] = now() - start;
	}
	row("mmap + touch one page + munmap", SAMPLES);
	for (unsigned i = 0; i < 5; i++) {
		char *at = mmap(NULL, pages * PAGE, RW, MAP_POPULATE);
		CHECK(at != MAP_FAILED);
		uint32_t start = now();
		munmap(at, pages * PAGE);
		samples[i] = (now() - start) / pages;
	}
	row("munmap of touched memory, per page", 5);
	sbrk(PAGE);
	for (unsigned i = 0; i < SAMPLES; i++) {
		char *end = sbrk(0);
		uint32_t start = now();
		brk(end + PAGE);
		samples[i] = now() - start;
	}
	row("brk growth by 4 KiB", SAMPLES);
}

/* One fork, and the wait for the child that ends at once. */
static void fork_once(uint32_t *parent, uint32_t *all)
{
	int status;
	uint32_t start = now();
	int pid = fork();

	if (pid == 0) {
		_exit(0);
	}
	*parent = now() - start;
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status) == pid);
	*all = now() - start;
}

static void forks(const char *parent_row, const char *all_row)
{
	uint32_t all[SAMPLES];

	fork_once(&samples[0], &all[0]);
	for (unsigned i = 0; i < SAMPLES; i++) {
		fork_once(&samples[i], &all[i]);
	}
	row(parent_row, SAMPLES);
	memcpy(samples, all, sizeof(all));
	row(all_row, SAMPLES);
}

int main(void)
{
	const size_t size = 64u << 20;

	NULL_CALL("null call (getpid)", ABI_GETPID);
	NULL_CALL("null call (getppid)", ABI_GETPPID);
	faults();
	copies();
	maps();
	forks("fork of a small process, until the parent returns",
	      "fork of a small process, with exit and wait");
	char *at = mmap(NULL, size, RW, MAP_POPULATE);
	if (at == MAP_FAILED) {
		puts("bench: not enough memory for a process of 64 MiB");
		return 0;
	}
	forks("fork, 64 MiB touched, until the parent returns",
	      "fork, 64 MiB touched, with exit and wait");
	return 0;
}

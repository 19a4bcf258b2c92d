/* SPDX-License-Identifier: MIT */
/* Calls 4 and 5 of seed 003: whole pages, zeroed, at most 1024 at a time. */

#include <check.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define MOST 1024u

static unsigned char *blocks[MOST];

static void check_zero(const unsigned char *block, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		CHECK(block[i] == 0);
	}
}

/* Every byte can be written, and what comes again is zero again. */
static void check_contents(void)
{
	for (size_t size = 1; size <= 9 * PAGE; size = size * 2 + 1) {
		for (unsigned round = 0; round < 2; round++) {
			size_t whole = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
			unsigned char *block = process_malloc(size);
			CHECK(block != NULL);
			CHECK((uintptr_t)block % PAGE == 0);
			check_zero(block, whole);
			memset(block, 0xA5, whole);
			CHECK(block[0] == 0xA5 && block[whole - 1] == 0xA5);
			process_free(block);
		}
	}
}

static void check_sizes(void)
{
	static const size_t bad[] = {
		0,           (size_t)-1,  (size_t)-PAGE,
		0x80000000u, 0xFFFFF001u, 0xC0000000u,
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		CHECK(process_malloc(bad[i]) == NULL);
	}
}

/* None of these is a block, and none does any harm. */
static void check_bad_frees(void)
{
	unsigned char *block = process_malloc(3 * PAGE);
	unsigned char local = 7;

	CHECK(block != NULL);
	block[PAGE] = 0x77;
	process_free(NULL);
	process_free(block + 1);
	process_free(block + PAGE);
	process_free(&local);
	process_free((void *)(uintptr_t)0x400000);
	process_free((void *)(uintptr_t)0xC0100000);
	process_free((void *)(uintptr_t)-1);
	CHECK(block[PAGE] == 0x77 && local == 7);
	process_free(block);
	process_free(block);
}

/* The limit is 1024 at a time; one more is refused, and one less is not. */
static void check_limit(void)
{
	unsigned count = 0;

	while (count < MOST && (blocks[count] = process_malloc(1)) != NULL) {
		blocks[count][0] = (unsigned char)count;
		count++;
	}
	CHECK(count == MOST);
	CHECK(process_malloc(1) == NULL);
	process_free(blocks[500]);
	blocks[500] = process_malloc(1);
	CHECK(blocks[500] != NULL && blocks[500][0] == 0);
	blocks[500][0] = (unsigned char)500;
	for (unsigned i = 0; i < MOST; i++) {
		CHECK(blocks[i][0] == (unsigned char)i);
		process_free(blocks[i]);
	}
}

/* A block that was freed is not there any more. */
static void check_gone(void)
{
	int status;
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		volatile unsigned char *block = process_malloc(PAGE);
		process_free((void *)(uintptr_t)block);
		block[0] = 1;
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid);
	CHECK(status == ABI_END_FAULT);
}

/* A child neither sees what its parent does, nor takes it away. */
static void check_apart(void)
{
	unsigned char *block = process_malloc(PAGE);
	int status;

	CHECK(block != NULL);
	block[0] = 1;
	int pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(block[0] == 1);
		block[0] = 2;
		process_free(block);
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid && status == 0);
	CHECK(block[0] == 1);
	process_free(block);
}

static void storm(unsigned steps)
{
	uint32_t state = 0x4C0A + (uint32_t)getpid();

	memset(blocks, 0, sizeof(blocks));
	for (unsigned i = 0; i < steps; i++) {
		unsigned at = random_next(&state) % 64;
		if (blocks[at] == NULL) {
			size_t size = random_next(&state) % (8 * PAGE) + 1;
			blocks[at] = process_malloc(size);
			CHECK(blocks[at] != NULL);
			CHECK(blocks[at][size - 1] == 0);
			blocks[at][size - 1] = 1;
			blocks[at][0] = (unsigned char)at;
		} else {
			CHECK(blocks[at][0] == (unsigned char)at ||
			      blocks[at][0] == 1);
			process_free(blocks[at]);
			blocks[at] = NULL;
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		storm((unsigned)atoi(argv[1]));
		return 0;
	}
	check_contents();
	check_sizes();
	check_bad_frees();
	check_limit();
	check_gone();
	check_apart();
	storm(2000);
	puts("blocks: all well");
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Calls the kernel with anything at all: fuzz [ROUNDS [SEED]]. */

/*
 * Every call with every combination of the arguments that hurt, then calls at
 * random, each batch of them in a child: what a call does to the child, killing
 * it included, is no failure. That the kernel is there afterwards, and that it
 * has lost nothing, is what is tested, here and by who runs this.
 */

#include <check.h>
#include <machine.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define BATCH 200u

/* Filled in: addresses of our own that are special. */
enum special { MAPPED, READ_ONLY, NO_ACCESS, UNMAPPED, LAST_BYTE, SPECIALS };

static uintptr_t values[] = { 0,          0,          0,
			      0,          0, /* the special ones */
			      0,          1,          2,
			      3,          7,          8,
			      0xFFF,      0x1000,     0x1001,
			      0x003FAFFC, 0x003FB000, 0x003FEFFC,
			      0x003FF000, 0x00400000, 0x00400001,
			      0x00100000, 0x01000000, 0x10000000,
			      0x3FFFF000, 0x40000000, MACHINE_EDGES };

#define VALUES LOAM_ARRAY_SIZE(values)

/* Those that would end the batch, or others, or take for ever. */
static int is_harmless(uint32_t number, uintptr_t first)
{
	switch (number) {
	case ABI_EXIT:
	case ABI_FORK:
		return 0;
	case ABI_SLEEP:
		return first <= 8;
	case ABI_KILL:
		/* Our parent and whoever else there is should live. */
		return first == 0 || first > 0x7FFF;
	default:
		return 1;
	}
}

static void make_specials(void)
{
	char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, 0);

	CHECK(at != MAP_FAILED);
	memset(at, 0, 8 * PAGE);
	CHECK(mprotect(at + 2 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(mprotect(at + 4 * PAGE, PAGE, PROT_NONE) == 0);
	CHECK(munmap(at + 6 * PAGE, PAGE) == 0);
	values[MAPPED] = (uintptr_t)at;
	values[READ_ONLY] = values[MAPPED] + 2 * PAGE;
	values[NO_ACCESS] = values[MAPPED] + 4 * PAGE;
	values[UNMAPPED] = values[MAPPED] + 6 * PAGE;
	values[LAST_BYTE] = values[MAPPED] + 6 * PAGE - 1;
}

static void call(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c,
		 uintptr_t d)
{
	/* What could be written would only fill the console, but for a byte. */
	if (number == ABI_WRITE && a >= ABI_STACK_BASE && a < ABI_SPACE_END &&
	    a != values[LAST_BYTE]) {
		b = 0;
	}
	if (is_harmless(number, a)) {
		sys_call(number, a, b, c, d);
	}
}

/* Every call, with two of the arguments over all values. */
static void batch_systematic(uint32_t number)
{
	for (uint32_t a = 0; a < VALUES; a++) {
		for (uint32_t b = 0; b < VALUES; b++) {
			call(number, values[a], values[b], 3, 0);
		}
		call(number, values[MAPPED], PAGE, values[a], values[a]);
		call(number, values[MAPPED], values[a], PAGE, 1);
	}
}

static void batch_stack(uint32_t number)
{
	if (!is_harmless(number, 0)) {
		return;
	}
	for (uint32_t a = 0; a < VALUES; a++) {
		/* What these find for arguments might harm others. */
		if (number != ABI_KILL && number != ABI_SLEEP &&
		    number != ABI_WRITE) {
			machine_call_on(number, values[a]);
		}
	}
}

static uintptr_t random_value(uint32_t *state)
{
	uintptr_t value = values[random_next(state) % VALUES];

	switch (random_next(state) % 4) {
	case 0:
		return value + random_next(state) % 64 - 32;
	case 1:
		return random_next(state);
	default:
		return value;
	}
}

static void batch_random(uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t number = random_next(&state) % (ABI_CALL_COUNT + 4);
		if (random_next(&state) % 64 == 0) {
			number = random_next(&state);
		}
		uintptr_t a = random_value(&state);
		uintptr_t b = random_value(&state);
		uintptr_t c = random_value(&state);
		call(number, a, b, c, random_value(&state));
	}
}

static unsigned killed;

static void in_child(void (*batch)(uint32_t argument), uint32_t argument)
{
	int status;
	int pid = fork();

	if (pid == 0) {
		batch(argument);
		_exit(0);
	}
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status) == pid);
	CHECK(status == 0 || (unsigned)status >= ABI_STATUS_KILLED);
	killed += status != 0;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 50;
	uint32_t seed = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;

	make_specials();
	for (uint32_t number = 0; number < ABI_CALL_COUNT + 2; number++) {
		in_child(batch_systematic, number);
		in_child(batch_stack, number);
	}
	for (unsigned i = 0; i < rounds; i++) {
		in_child(batch_random, seed + i);
	}
	printf("fuzz: the kernel lives; %u children did not\n", killed);
	return 0;
}

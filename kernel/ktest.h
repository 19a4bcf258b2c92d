/* SPDX-License-Identifier: MIT */
/* Tests that run in the kernel: a registry, and TAP on the serial port. */
#ifndef KERNEL_KTEST_H
#define KERNEL_KTEST_H

#include <loam/mem.h>

#include "console.h"
#include "trap.h"
#include "kernel.h"

struct ktest {
	const char *title; /* begins with the requirements it shows */
	void (*run)(void);
};

/* The tests of a file run in their order. */
#define KTEST_ENTRY __attribute__((section(".ktests"), used, no_reorder))

/* KTEST(name, "S4.2 the kernel lies high") { ... } */
#define KTEST(name, test_title)                                                \
	static void ktest_##name(void);                                        \
	KTEST_ENTRY static const struct ktest ktest_entry_##name = {           \
		test_title, ktest_##name                                       \
	};                                                                     \
	static void ktest_##name(void)

/*
 * Tests that are not written one by one. They are run, after all others that
 * the word picks, when it is the family's word: they take a while.
 */
struct ktest_family {
	const char *word;
	unsigned (*count)(void);
	/* Writes the nth title, and returns to. */
	const char *(*title)(unsigned n, char *to, size_t size_bytes);
	void (*run)(unsigned n);
};
extern const struct ktest_family ktest_heaps; /* in tests/kernel/ */

/*
 * Runs all tests, or those with `word` in their title, and prints a plan and a
 * line for each. After each test every floor's check() must pass (after every
 * eighth where there are a thousand page tables to check), and unless the test
 * said otherwise no misuse may have been reported. 0, or -LOAM_EFAULT if any
 * failed.
 */
int ktest_run(const char *word);

/* Ends the running test. */
_Noreturn void ktest_fail(const char *file, int line, const char *text);
_Noreturn void ktest_skip(const char *why);

/* The running test expects this many reports of misuse more. */
void ktest_expect_misuse(unsigned long count);

/*
 * Free frames once the slabs have given back what they can. What is kept once
 * it was taken counts as free: pages of the slabs' shadow, page tables, and a
 * heap's behind kmalloc but for what is live.
 */
uint64_t ktest_free_frames(void);

/* True if kmalloc is the slabs'; otherwise a classic heap's. */
bool ktest_on_slabs(void);

/* True if the command line has `long`: tests may take seconds. */
bool ktest_long(void);

/* What the library logged since the test began, or the last clear. */
bool ktest_log_contains(const char *text);
void ktest_log_clear(void);

/* Calls itself until the stack ends. */
void ktest_overflow_stack(void *arg);

/* A small repeatable generator (xorshift32). */
uint32_t ktest_random(uint32_t *state);

#define EXPECT(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			ktest_fail(__FILE__, __LINE__, #condition);            \
		}                                                              \
	} while (0)

#define EXPECT_EQ(a, b)                                                        \
	do {                                                                   \
		unsigned long long ktest_a = (unsigned long long)(a);          \
		unsigned long long ktest_b = (unsigned long long)(b);          \
		if (ktest_a != ktest_b) {                                      \
			char ktest_text[192];                                  \
			loam_snprintf(ktest_text, sizeof(ktest_text),          \
				      "%s == %s (0x%llx, 0x%llx)", #a, #b,     \
				      ktest_a, ktest_b);                       \
			ktest_fail(__FILE__, __LINE__, ktest_text);            \
		}                                                              \
	} while (0)

#define EXPECT_LOG(text) EXPECT(ktest_log_contains(text))

#endif

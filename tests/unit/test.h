/* SPDX-License-Identifier: MIT */
/* The hosted tests' harness: one program per source, TAP on standard output. */
#ifndef LOAM_TEST_H
#define LOAM_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform.h"

/*
 * TEST(name, "S4.9 splits and merges") { ... } registers a test. The title
 * begins with the requirements it shows, if any. Within it, EXPECT and its
 * kin print what failed and go on to the next test.
 */
struct test {
	const char *title;
	void (*run)(void);
	struct test *next;
};
void test_register(struct test *test);
const struct test *test_running(void);
_Noreturn void test_fail(const char *file, int line, const char *text);
_Noreturn void test_skip(const char *why);

#define TEST(name, test_title)                                                 \
	static void test_##name(void);                                         \
	__attribute__((constructor)) static void register_##name(void)         \
	{                                                                      \
		static struct test test = { test_title, test_##name, 0 };      \
		test_register(&test);                                          \
	}                                                                      \
	static void test_##name(void)

#define EXPECT(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			test_fail(__FILE__, __LINE__, #condition);             \
		}                                                              \
	} while (0)

#define EXPECT_EQ(a, b)                                                        \
	do {                                                                   \
		unsigned long long test_a = (unsigned long long)(a);           \
		unsigned long long test_b = (unsigned long long)(b);           \
		if (test_a != test_b) {                                        \
			char test_text[256];                                   \
			snprintf(test_text, sizeof(test_text),                 \
				 "%s == %s (0x%llx, 0x%llx)", #a, #b, test_a,  \
				 test_b);                                      \
			test_fail(__FILE__, __LINE__, test_text);              \
		}                                                              \
	} while (0)

/* The log since the last hosted_log_clear() contains text. */
#define EXPECT_LOG(text)                                                       \
	do {                                                                   \
		if (!hosted_log_contains(text)) {                              \
			fprintf(stderr, "# log was:\n%s", hosted_log_text());  \
			test_fail(__FILE__, __LINE__, "log contains " #text);  \
		}                                                              \
	} while (0)

/* The statement panics with a message that contains text. */
#define EXPECT_PANIC(statement, text)                                          \
	do {                                                                   \
		EXPECT(HOSTED_PANICS(statement));                              \
		EXPECT(strstr(hosted_panic_message, text) != NULL);            \
	} while (0)

/*
 * First in a test of what only debug builds check; other builds skip it.
 * A skipped test is reported as such, and counts as neither passed nor failed.
 */
#define NEEDS_DEBUG()                                                          \
	do {                                                                   \
		if (!LOAM_DEBUG) {                                             \
			test_skip("needs a debug build");                      \
		}                                                              \
	} while (0)

#endif

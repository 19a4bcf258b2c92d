/* SPDX-License-Identifier: MIT */
/* Panics, log lines, reports of misuse, and the assertion macros. */
#include <loam/assert.h>

#include "test.h"

/* A text of n characters, all c; valid until the next call. */
static const char *repeat(char c, size_t n)
{
	static char text[1024];
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

TEST(panic, "panic: formats one line for the host")
{
	EXPECT_PANIC(loam_panic("frame %u of %s", 17u, "zone"),
		     "frame 17 of zone");
	EXPECT(strcmp(hosted_panic_message, "frame 17 of zone") == 0);
}

TEST(panic_long, "panic: a line is cut at 255 characters")
{
	EXPECT_PANIC(loam_panic("%s", repeat('p', 400)), "ppp");
	EXPECT_EQ(strlen(hosted_panic_message), 255);
}

TEST(log, "log: one line at a time reaches the host, in order")
{
	loam_log(LOAM_LOG_INFO, "%d MiB", 128);
	loam_log(LOAM_LOG_WARNING, "entry %u wraps", 3u);
	EXPECT(strcmp(hosted_log_text(), "128 MiB\nentry 3 wraps\n") == 0);
}

TEST(log_long, "log: a line is cut at 255 characters")
{
	loam_log(LOAM_LOG_INFO, "%s!", repeat('l', 254));
	EXPECT_EQ(strlen(hosted_log_text()), 255 + 1);
	EXPECT_LOG("lll!\n");
	hosted_log_clear();
	loam_log(LOAM_LOG_INFO, "%s!", repeat('l', 255));
	EXPECT_EQ(strlen(hosted_log_text()), 255 + 1);
	EXPECT(!hosted_log_contains("!"));
}

TEST(misuse, "misuse: says what, by whom, and counts")
{
	char expected[128];
	void *caller = (void *)(uintptr_t)0xc0101234u;
	unsigned long before = loam_misuse_count();
	loam_misuse(caller, "free of %p: %s", (void *)0, "not ours");
	EXPECT_EQ(loam_misuse_count(), before + 1);
	snprintf(expected, sizeof(expected),
		 "loam: free of 0x%0*x: not ours, called from 0x%0*x\n",
		 (int)(2 * sizeof(void *)), 0u, (int)(2 * sizeof(void *)),
		 0xc0101234u);
	EXPECT(strcmp(hosted_log_text(), expected) == 0);
	loam_log(LOAM_LOG_ERROR, "not a misuse");
	EXPECT_EQ(loam_misuse_count(), before + 1);
}

TEST(misuse_long, "misuse: a long text is cut, its caller is not")
{
	void *caller = (void *)(uintptr_t)0xc0101234u;
	char end[64];
	snprintf(end, sizeof(end), "mmm, called from 0x%0*x\n",
		 (int)(2 * sizeof(void *)), 0xc0101234u);
	for (size_t length = 180; length < 300; length++) {
		hosted_log_clear();
		loam_misuse(caller, "%s", repeat('m', length));
		EXPECT(strlen(hosted_log_text()) <= 255 + 1);
		EXPECT_LOG(end);
	}
	EXPECT_EQ(strlen(hosted_log_text()), 255 + 1);
}

static void verify_equal(int a, int b)
{
	LOAM_VERIFY(a == b);
}

TEST(verify, "verify: panics with file, line and condition, in any build")
{
	verify_equal(1, 1);
	EXPECT_PANIC(verify_equal(1, 2), "test_report.c:");
	EXPECT(strstr(hosted_panic_message, ": a == b") != NULL);
}

static int evaluations;

static bool evaluate(bool value)
{
	evaluations++;
	return value;
}

static void assert_that(bool condition)
{
	LOAM_ASSERT(evaluate(condition));
}

static void assert_slow(bool condition)
{
	LOAM_ASSERT_SLOW(evaluate(condition));
}

TEST(assert, "assert: panics in debug builds, is not evaluated in others")
{
	evaluations = 0;
	assert_that(true);
	EXPECT_EQ(evaluations, LOAM_DEBUG);
	EXPECT_EQ(HOSTED_PANICS(assert_that(false)), LOAM_DEBUG);
	EXPECT_EQ(evaluations, 2 * LOAM_DEBUG);
}

TEST(assert_slow, "assert: the slow kind needs LOAM_DEBUG_SLOW")
{
	evaluations = 0;
	assert_slow(true);
	EXPECT_EQ(evaluations, LOAM_DEBUG_SLOW);
	EXPECT_EQ(HOSTED_PANICS(assert_slow(false)), LOAM_DEBUG_SLOW);
}

static int check_that(bool condition)
{
	LOAM_CHECK(condition);
	return 0;
}

TEST(check, "check: a step that fails is logged and ends the function")
{
	EXPECT_EQ(check_that(true), 0);
	EXPECT(strcmp(hosted_log_text(), "") == 0);
	EXPECT_EQ(check_that(false), -LOAM_EFAULT);
	EXPECT_LOG("check: ");
	EXPECT_LOG("test_report.c:");
	EXPECT_LOG(": condition\n");
}

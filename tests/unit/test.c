/* SPDX-License-Identifier: MIT */
/* Runs the registered tests in the order of the file, and counts. */
#include "test.h"

#include <setjmp.h>

#include <loam/lock.h>

static struct test *first;
static struct test **last = &first;
static const struct test *running;
static jmp_buf next_test;
static const char *skipped;           /* why the test was, or NULL */
static _Thread_local bool runs_tests; /* the thread that next_test is of */

void test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

const struct test *test_running(void)
{
	return running;
}

_Noreturn void test_fail(const char *file, int line, const char *text)
{
	fprintf(stderr, "# %s:%d: expected %s\n", file, line, text);
	if (!runs_tests) {
		fprintf(stderr, "# in another thread: cannot go on\n");
		_Exit(1);
	}
	longjmp(next_test, 1);
}

_Noreturn void test_skip(const char *why)
{
	skipped = why;
	longjmp(next_test, 1);
}

/* A test starts as CPU 0 that holds no locks, whatever the last one left. */
static void start_afresh(void)
{
	hosted_cpu = 0;
	loam_lock_forget_except(0);
	(void)hosted_panic_seen(false);
	skipped = NULL;
	hosted_log_clear();
}

/* False if the test ended in test_fail(). */
static bool passes(const struct test *test)
{
	if (setjmp(next_test) != 0) {
		return skipped != NULL;
	}
	running = test;
	test->run();
	return true;
}

/* With an argument, runs only the tests whose title contains it. */
int main(int argc, char **argv)
{
	unsigned number = 0;
	unsigned failed = 0;
	runs_tests = true;
	for (struct test *test = first; test != NULL; test = test->next) {
		if (argc > 1 && strstr(test->title, argv[1]) == NULL) {
			continue;
		}
		number++;
		start_afresh();
		bool passed = passes(test);
		failed += !passed;
		printf("%sok %u - %s%s%s\n", passed ? "" : "not ", number,
		       test->title, skipped != NULL ? " # SKIP " : "",
		       skipped != NULL ? skipped : "");
		fflush(stdout);
	}
	printf("1..%u\n", number);
	return failed != 0 || number == 0;
}

/* SPDX-License-Identifier: MIT */
/* Runs the heaps' suite, tests/common/, on every design. */
#include <sys/mman.h>

#include "heap_suite.h"
#include "test.h"

#define PAGES 1024u /* the window: 4 MiB */

static unsigned char *window;

static size_t map_pages(void *context, void *start, size_t count)
{
	(void)context;
	EXPECT_EQ(
		mprotect(start, count * LOAM_PAGE_SIZE, PROT_READ | PROT_WRITE),
		0);
	return count;
}

static void unmap_pages(void *context, void *start, size_t count)
{
	(void)context;
	EXPECT_EQ(mprotect(start, count * LOAM_PAGE_SIZE, PROT_NONE), 0);
}

static const struct loam_heap_owner pages_of_window = {
	.map_pages = map_pages,
	.unmap_pages = unmap_pages,
};

static struct heap_suite_host host = {
	.window_pages = PAGES,
	.owner = &pages_of_window,
	.fail = test_fail,
	.skip = test_skip,
	.log_clear = hosted_log_clear,
	.log_contains = hosted_log_contains,
	.steps = 1000000,
};

/* A test of the harness knows no argument, so it is told by its place. */
struct suite_case {
	struct test test;
	const struct heap_suite_design *design;
	const struct heap_suite_test *of;
	char title[128];
};

static struct suite_case *cases;

static void run_case(void)
{
	const struct suite_case *running = (const void *)test_running();
	if (window == NULL) {
		void *at = mmap(NULL, (PAGES + 2) * LOAM_PAGE_SIZE, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
				0);
		EXPECT(at != MAP_FAILED);
		window = (unsigned char *)at + LOAM_PAGE_SIZE;
		host.window = window;
	}
	heap_suite_run(&host, running->design, running->of);
}

__attribute__((constructor)) static void register_cases(void)
{
	size_t count = heap_suite_test_count * heap_suite_design_count;
	cases = calloc(count, sizeof(*cases));
	for (size_t i = 0; cases != NULL && i < count; i++) {
		struct suite_case *one = &cases[i];
		one->of = heap_suite_tests[i / heap_suite_design_count];
		one->design = &heap_suite_designs[i % heap_suite_design_count];
		one->test.title = heap_suite_title(
			one->design, one->of, one->title, sizeof(one->title));
		one->test.run = run_case;
		test_register(&one->test);
	}
}

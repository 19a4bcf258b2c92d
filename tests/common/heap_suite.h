/* SPDX-License-Identifier: MIT */
/* One suite for every design of heap, for the hosted build and for a kernel. */
#ifndef LOAM_HEAP_SUITE_H
#define LOAM_HEAP_SUITE_H

#include <loam/heap.h>

/*
 * The suite is freestanding: it needs the library, a window of addresses for
 * which pages can be had, and a way to say what failed. To run all of it:
 *
 *	for (size_t d = 0; d < heap_suite_design_count; d++)
 *		for (size_t t = 0; t < heap_suite_test_count; t++)
 *			run as one test, with heap_suite_title() for its title:
 *				heap_suite_run(&host, &heap_suite_designs[d],
 *					       heap_suite_tests[t]);
 *
 * Each run makes its heaps in host->window and leaves nothing there. One that
 * fails or skips leaves through host->fail or host->skip, which do not return;
 * what it had mapped goes back to the owner at the next heap_suite_run(), or
 * with heap_suite_clean(). One run at a time. It takes about a KiB of stack,
 * and has 20 KiB of static data.
 */

/* A design with the settings it is tested with, and what it is like. */
struct heap_suite_design {
	const char *name;
	const struct loam_heap_ops *ops;
	enum loam_heap_fit fit;
	size_t junk_bytes;
	size_t grain;  /* largest waste of the smallest request */
	size_t header; /* before each block; 0: state lies elsewhere */
	bool merges;   /* free neighbours become one block */
	bool adjoins;  /* a free looks at the header behind the block */
	bool needs_owner;
};
extern const struct heap_suite_design heap_suite_designs[];
extern const size_t heap_suite_design_count;

struct heap_suite_test {
	const char *title; /* begins with the requirements it shows */
	void (*run)(void);
};
extern const struct heap_suite_test *const heap_suite_tests[];
extern const size_t heap_suite_test_count;

#define HEAP_SUITE_PAGES_MIN 160u  /* the least that a window may have */
#define HEAP_SUITE_PAGES_MAX 1024u /* the most that is used of it */

/* What the place where it runs supplies. */
struct heap_suite_host {
	/* Page aligned; nothing is mapped in it. */
	void *window;
	size_t window_pages;
	/* Maps and unmaps pages of the window. Nothing else is called. */
	const struct loam_heap_owner *owner;
	/* A test failed, here and for this reason. Must not return. */
	void (*fail)(const char *file, int line, const char *text);
	/* It does not apply. Must not return. */
	void (*skip)(const char *why);
	/*
	 * Or NULL, both. What loam_host_log() got since the last clear, at
	 * least 500 characters of it. Without, messages are not looked at.
	 */
	void (*log_clear)(void);
	bool (*log_contains)(const char *text);
	/* Or NULL. This many reports of misuse are about to be provoked. */
	void (*expect_misuse)(unsigned long count);
	/* Steps of the long random run of each design: a million, or fewer. */
	uint32_t steps;
};

/*
 * Runs one test on one design. It also fails if there were other reports of
 * misuse than those that the test provoked.
 */
void heap_suite_run(const struct heap_suite_host *host,
		    const struct heap_suite_design *design,
		    const struct heap_suite_test *test);

/* Gives back to the owner what a test that failed has left mapped. */
void heap_suite_clean(void);

/* "S0.22 every size is aligned: bestfit", cut to size_bytes. Returns to. */
const char *heap_suite_title(const struct heap_suite_design *design,
			     const struct heap_suite_test *test, char *to,
			     size_t size_bytes);

#endif

/* SPDX-License-Identifier: MIT */
/* `test heaps`: the suite of all heaps in this kernel, side by side. */

/*
 * Each design has a window of its own among the kernel's addresses, and all of
 * them exist at once, beside the heap that kmalloc runs on. Pages come from the
 * machine's frames. The suite is that of the hosted tests.
 */
#include <loam/bits.h>

#include "heap_suite.h"
#include "ktest.h"

#define SUITE_DESIGNS_MOST 16u
#define SUITE_STEPS 20000u /* of each design's long random run */

static struct suite_place {
	struct loam_page_window window;
	struct loam_heap_owner owner; /* the window's */
} places[SUITE_DESIGNS_MOST];

/*
 * The suite's owner. What is unmapped is settled at once: the suite holds no
 * lock, and would otherwise pile frames up.
 */
static size_t suite_map(void *context, void *start, size_t count_pages)
{
	struct suite_place *place = context;
	return place->owner.map_pages(&place->window, start, count_pages);
}

static void suite_unmap(void *context, void *start, size_t count_pages)
{
	struct suite_place *place = context;
	place->owner.unmap_pages(&place->window, start, count_pages);
	loam_page_window_settle(&place->window);
}

static struct suite_place *suite_place_of(size_t design)
{
	struct suite_place *place = &places[design];
	size_t spare = 0;
	uintptr_t base = loam_boot_spare_window(&kernel, &spare);

	EXPECT(heap_suite_design_count <= SUITE_DESIGNS_MOST);
	if (place->window.size != 0) {
		return place;
	}
	size_t pages = (spare >> LOAM_PAGE_SHIFT) / heap_suite_design_count;
	pages = pages < HEAP_SUITE_PAGES_MAX ? pages : HEAP_SUITE_PAGES_MAX;
	EXPECT(pages >= HEAP_SUITE_PAGES_MIN);
	size_t size = pages << LOAM_PAGE_SHIFT;
	EXPECT_EQ(loam_page_window_init(&place->window, &kernel.kspace,
					base + design * size, size),
		  0);
	loam_page_window_owner(&place->window, &place->owner);
	return place;
}

static unsigned suite_count(void)
{
	return (unsigned)(heap_suite_design_count * heap_suite_test_count);
}

static const char *suite_title(unsigned n, char *to, size_t size_bytes)
{
	return heap_suite_title(&heap_suite_designs[n / heap_suite_test_count],
				heap_suite_tests[n % heap_suite_test_count], to,
				size_bytes);
}

/* Static, since a test that fails leaves by a jump, and is cleaned up later. */
static struct loam_heap_owner suite_owner;
static struct heap_suite_host suite_host = {
	.owner = &suite_owner,
	.fail = ktest_fail,
	.skip = ktest_skip,
	.log_clear = ktest_log_clear,
	.log_contains = ktest_log_contains,
	.expect_misuse = ktest_expect_misuse,
	.steps = SUITE_STEPS,
};

static void suite_run(unsigned n)
{
	size_t design = n / heap_suite_test_count;
	struct suite_place *place = suite_place_of(design);

	heap_suite_clean();
	suite_owner = (struct loam_heap_owner){
		.map_pages = suite_map,
		.unmap_pages = suite_unmap,
		.context = place,
	};
	suite_host.window = (void *)place->window.base;
	suite_host.window_pages = place->window.size >> LOAM_PAGE_SHIFT;
	heap_suite_run(&suite_host, &heap_suite_designs[design],
		       heap_suite_tests[n % heap_suite_test_count]);
	EXPECT_EQ(place->window.mapped_pages, 0);
	EXPECT_EQ(loam_page_window_check(&place->window), 0);
}

const struct ktest_family ktest_heaps = {
	.word = "heaps",
	.count = suite_count,
	.title = suite_title,
	.run = suite_run,
};

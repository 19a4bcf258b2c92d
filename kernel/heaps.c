/* SPDX-License-Identifier: MIT */
/* Picks what is behind kmalloc, and who hands out frames. */

#include <loam/mem.h>

#include "cmdline.h"
#include "console.h"
#include "heaps.h"

static const struct {
	const char *name;
	enum loam_boot_heap heap;
	enum loam_heap_fit fit;
} heaps[] = {
	{ "slab", LOAM_BOOT_SLAB, LOAM_HEAP_FIRST_FIT },
	{ "bestfit", LOAM_BOOT_BESTFIT, LOAM_HEAP_FIRST_FIT },
	{ "block", LOAM_BOOT_BLOCK, LOAM_HEAP_FIRST_FIT },
	{ "list", LOAM_BOOT_LIST, LOAM_HEAP_FIRST_FIT },
	{ "list:first", LOAM_BOOT_LIST, LOAM_HEAP_FIRST_FIT },
	{ "list:next", LOAM_BOOT_LIST, LOAM_HEAP_NEXT_FIT },
	{ "list:best", LOAM_BOOT_LIST, LOAM_HEAP_BEST_FIT },
	{ "tlsf", LOAM_BOOT_TLSF, LOAM_HEAP_FIRST_FIT },
	{ "buddy", LOAM_BOOT_BUDDY_HEAP, LOAM_HEAP_FIRST_FIT },
	{ "pages", LOAM_BOOT_PAGES, LOAM_HEAP_FIRST_FIT },
};

#define HEAPS_LIMIT_LEAST LOAM_MIB(1)
#define HEAPS_LIMIT_MOST LOAM_MIB(128)

static void choose_heap(struct loam_boot_choice *choice, const char *value)
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(heaps); i++) {
		if (loam_streq(value, heaps[i].name)) {
			choice->heap = heaps[i].heap;
			choice->fit = heaps[i].fit;
			return;
		}
	}
	kprintf("warning: heap=%s: not slab, bestfit, block, list, list:next, "
		"list:best, tlsf, buddy or pages; using slab\n",
		value);
}

static void choose_limit(struct loam_boot_choice *choice, const char *value)
{
	uint64_t limit = 0;
	if (!cmdline_number(value, &limit) || limit < HEAPS_LIMIT_LEAST ||
	    limit > HEAPS_LIMIT_MOST) {
		kprintf("warning: heap_limit=%s: no size from 1M to 128M; "
			"using the default\n",
			value);
		return;
	}
	choice->heap_limit = (size_t)(limit & ~(uint64_t)LOAM_PAGE_MASK);
}

void heaps_choose(struct loam_boot_choice *choice, const char *cmdline)
{
	char value[32];

	*choice = (struct loam_boot_choice){ .heap = LOAM_BOOT_SLAB };
	if (cmdline_option(cmdline, "heap", value, sizeof(value))) {
		choose_heap(choice, value);
	}
	if (cmdline_option(cmdline, "heap_limit", value, sizeof(value))) {
		choose_limit(choice, value);
	}
	if (!cmdline_option(cmdline, "pages", value, sizeof(value)) ||
	    loam_streq(value, "buddy")) {
		return;
	}
	choice->list_frames = loam_streq(value, "xv6");
	if (!choice->list_frames) {
		kprintf("warning: pages=%s: not buddy or xv6, using buddy\n",
			value);
	}
}

const char *heaps_name(const struct loam_boot_choice *choice)
{
	static const char *const fits[LOAM_HEAP_FIT_COUNT] = { "list:first",
							       "list:next",
							       "list:best" };
	return choice->heap == LOAM_BOOT_LIST
		       ? fits[choice->fit]
		       : loam_boot_heap_name(choice->heap);
}

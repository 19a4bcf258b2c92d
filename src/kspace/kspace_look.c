/* SPDX-License-Identifier: MIT */
/* Looking at the kernel's address space: walk, describe, count, check. */

#include "kspace_int.h"

const char *loam_range_kind_name(enum loam_range_kind kind)
{
	switch (kind) {
	case LOAM_RANGE_FREE:
		return "free";
	case LOAM_RANGE_KMALLOC:
		return "kmalloc";
	case LOAM_RANGE_VMALLOC:
		return "vmalloc";
	case LOAM_RANGE_VMAP:
		return "vmap";
	case LOAM_RANGE_DEVICE:
		return "device";
	case LOAM_RANGE_RESERVED:
		return "reserved";
	default:
		return "unknown";
	}
}

uint64_t loam_kspace_fail_nth(struct loam_kspace *kspace, uint64_t nth)
{
	return loam_arena_fail_nth(&kspace->window, nth);
}

/* -------- walk -------- */

struct walk_state {
	int (*visit)(void *arg, uintptr_t start, size_t size,
		     enum loam_range_kind kind);
	void *arg;
};

static int walk_range(void *arg, uintptr_t start, size_t size, bool free,
		      uintptr_t tag)
{
	struct walk_state *state = arg;
	return state->visit(state->arg, start, size,
			    free ? LOAM_RANGE_FREE : kspace_tag_kind(tag));
}

int loam_kspace_walk(struct loam_kspace *kspace,
		     int (*visit)(void *arg, uintptr_t start, size_t size,
				  enum loam_range_kind kind),
		     void *arg)
{
	struct walk_state state = { .visit = visit, .arg = arg };
	return loam_arena_walk(&kspace->window, walk_range, &state);
}

/* -------- describe -------- */

static void describe_slot(const struct loam_kspace *kspace, uintptr_t address,
			  char *to, size_t size_bytes)
{
	size_t page = (address - kspace->config.temp_base) >> LOAM_PAGE_SHIFT;
	if (page >= LOAM_MAX_CPUS * LOAM_TEMP_SLOTS) {
		loam_snprintf(to, size_bytes,
			      "behind the last temporary map slot");
		return;
	}
	loam_snprintf(to, size_bytes, "temporary map slot %u of CPU %u",
		      (unsigned)(page % LOAM_TEMP_SLOTS),
		      (unsigned)(page / LOAM_TEMP_SLOTS));
}

static void describe_range(struct loam_kspace *kspace, uintptr_t address,
			   char *to, size_t size_bytes)
{
	uintptr_t start;
	size_t size;
	uintptr_t tag;
	if (loam_arena_find(&kspace->window, address, &start, &size, &tag) !=
	    0) {
		loam_snprintf(to, size_bytes, "free kernel address space");
		return;
	}
	enum loam_range_kind kind = kspace_tag_kind(tag);
	if (kind == LOAM_RANGE_RESERVED) {
		loam_snprintf(to, size_bytes,
			      "a range that is being set up or taken down");
		return;
	}
	uintptr_t first = start;
	if (kind == LOAM_RANGE_DEVICE) {
		first += kspace_tag_word(tag);
	}
	size_t pages = (size >> LOAM_PAGE_SHIFT) - 1;
	const char *where = "inside";
	if (address == first) {
		where = "the start of";
	} else if (address - start >= size - LOAM_PAGE_SIZE) {
		where = "the guard page behind";
	}
	loam_snprintf(to, size_bytes,
		      "%s a %s range of %zu page%s that starts at %p", where,
		      loam_range_kind_name(kind), pages, pages == 1 ? "" : "s",
		      (void *)first);
}

/* An address in none of the windows: what the page tables know of it. */
static void describe_mapping(struct loam_kspace *kspace, uintptr_t address,
			     char *to, size_t size_bytes)
{
	struct loam_pt_mapping mapping;
	loam_lock(&kspace->lock);
	int error = loam_pt_query(kspace->pt, address, &mapping);
	loam_unlock(&kspace->lock);
	if (error != 0) {
		loam_snprintf(to, size_bytes,
			      "outside the kernel's windows, not mapped");
		return;
	}
	const void *direct = loam_host_phys_to_virt(mapping.phys);
	loam_snprintf(to, size_bytes, "%s, physical 0x%llx",
		      (uintptr_t)direct == address
			      ? "directly mapped memory"
			      : "mapped outside the kernel's windows",
		      (unsigned long long)mapping.phys);
}

void loam_kspace_describe(struct loam_kspace *kspace, uintptr_t address,
			  char *to, size_t size_bytes)
{
	const struct loam_kspace_config *config = &kspace->config;
	if (address - config->temp_base < config->temp_size) {
		describe_slot(kspace, address, to, size_bytes);
	} else if (address - config->window_base >= config->window_size) {
		describe_mapping(kspace, address, to, size_bytes);
	} else if (address - config->window_base < LOAM_PAGE_SIZE) {
		loam_snprintf(to, size_bytes,
			      "the guard page before the first range");
	} else {
		describe_range(kspace, address, to, size_bytes);
	}
}

/* -------- statistics -------- */

void loam_kspace_stats(struct loam_kspace *kspace,
		       struct loam_kspace_stats *out)
{
	loam_arena_stats(&kspace->window, &out->window);
	loam_lock(&kspace->lock);
	out->own_pages = kspace->own_pages;
	out->foreign_pages = kspace->foreign_pages;
	out->table_reserve = kspace->reserve_count;
	out->temp_peak = 0;
	for (unsigned cpu = 0; cpu < LOAM_MAX_CPUS; cpu++) {
		unsigned peak = kspace_temp_load(&kspace->temps[cpu].peak);
		if (peak > out->temp_peak) {
			out->temp_peak = peak;
		}
	}
	loam_unlock(&kspace->lock);
}

/* -------- check -------- */

/*
 * Counts mapped pages of a range; for a vmalloc range also follows the chain
 * of its frames, page by page.
 */
struct check_pages {
	struct loam_kspace *kspace;
	size_t count;
	bool chained;
	loam_pfn_t next; /* the frame that the chain says comes next */
};

/* The chain's frame is that of the page tables, and ours. */
static int check_frame(struct check_pages *pages, loam_pfn_t pfn)
{
	struct loam_frames *frames = pages->kspace->frames;
	struct loam_frame_info info;
	LOAM_CHECK(pages->next == pfn);
	LOAM_CHECK(loam_frame_info(frames, pfn, &info) == 0);
	LOAM_CHECK(info.state == LOAM_TAG_USED);
	LOAM_CHECK(info.head == pfn && info.order == 0);
	pages->next = *loam_frame_word(frames, pfn);
	return 0;
}

static int check_run(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		     loam_prot_t prot, size_t page_size)
{
	struct check_pages *pages = arg;
	size_t count = size >> LOAM_PAGE_SHIFT;
	(void)virt;
	pages->count += count;
	LOAM_CHECK(page_size == LOAM_PAGE_SIZE);
	LOAM_CHECK((prot & LOAM_PROT_USER) == 0);
	for (size_t i = 0; pages->chained && i < count; i++) {
		int error = check_frame(pages,
					loam_phys_to_pfn(phys) + (loam_pfn_t)i);
		if (error != 0) {
			return error;
		}
	}
	return 0;
}

/* One range of the window: its pages are mapped as its kind promises. */
static int check_range(void *arg, uintptr_t start, size_t size, bool free,
		       uintptr_t tag)
{
	struct loam_kspace *kspace = arg;
	enum loam_range_kind kind =
		free ? LOAM_RANGE_FREE : kspace_tag_kind(tag);
	if (kind == LOAM_RANGE_RESERVED) {
		return 0;
	}
	LOAM_CHECK(kind <= LOAM_RANGE_DEVICE);
	struct check_pages pages = {
		.kspace = kspace,
		.chained = kind == LOAM_RANGE_VMALLOC ||
			   kind == LOAM_RANGE_KMALLOC,
		.next = (loam_pfn_t)kspace_tag_word(tag),
	};
	int error = loam_pt_visit(kspace->pt, start, start + (size - 1),
				  check_run, &pages);
	if (error != 0) {
		return error;
	}
	if (free) {
		LOAM_CHECK(pages.count == 0);
		return 0;
	}
	struct loam_pt_mapping guard;
	LOAM_CHECK(pages.count == (size >> LOAM_PAGE_SHIFT) - 1);
	LOAM_CHECK(loam_pt_query(kspace->pt, start + (size - LOAM_PAGE_SIZE),
				 &guard) == -LOAM_ENOENT);
	LOAM_CHECK(!pages.chained || pages.next == LOAM_PFN_NONE);
	return 0;
}

/* All that is mapped in the window, those being set up included. */
static int check_window(struct loam_kspace *kspace)
{
	const struct loam_kspace_config *config = &kspace->config;
	struct check_pages pages = { .kspace = kspace };
	int error =
		loam_pt_visit(kspace->pt, config->window_base,
			      config->window_base + (config->window_size - 1),
			      check_run, &pages);
	if (error != 0) {
		return error;
	}
	LOAM_CHECK(pages.count == kspace->own_pages + kspace->foreign_pages);
	LOAM_CHECK(loam_pt_tables_needed_level(kspace->pt, config->window_base,
					       config->window_size,
					       config->table_level) == 0);
	LOAM_CHECK(loam_pt_tables_needed(kspace->pt, config->temp_base,
					 config->temp_size) == 0);
	return 0;
}

/* Each slot shows what pfns[] says. A slot that shows a frame is in use. */
static int check_temps(struct loam_kspace *kspace)
{
	for (unsigned cpu = 0; cpu < LOAM_MAX_CPUS; cpu++) {
		const struct loam_kspace_temp *temp = &kspace->temps[cpu];
		uint32_t depth = kspace_temp_load(&temp->depth);
		LOAM_CHECK(depth <= LOAM_TEMP_SLOTS);
		for (unsigned slot = 0; slot < LOAM_TEMP_SLOTS; slot++) {
			struct loam_pt_mapping mapping;
			loam_pfn_t pfn = temp->pfns[slot];
			int error = loam_pt_query(
				kspace->pt, kspace_slot(kspace, cpu, slot),
				&mapping);
			if (pfn == LOAM_PFN_NONE) {
				LOAM_CHECK(error == -LOAM_ENOENT);
			} else {
				LOAM_CHECK(error == 0 && slot < depth);
				LOAM_CHECK(loam_phys_to_pfn(mapping.phys) ==
					   pfn);
			}
		}
	}
	return 0;
}

static int check_reserve(struct loam_kspace *kspace)
{
	LOAM_CHECK(kspace->reserve_count <= kspace->config.table_reserve);
	for (unsigned i = 0; i < kspace->reserve_count; i++) {
		loam_phys_t table = kspace->reserve[i];
		struct loam_frame_info info;
		LOAM_CHECK(loam_frame_info(kspace->frames,
					   loam_phys_to_pfn(table),
					   &info) == 0);
		LOAM_CHECK(info.state == LOAM_TAG_USED &&
			   info.owner == LOAM_OWNER_TABLE);
		const uint32_t *words = loam_host_phys_to_virt(table);
		LOAM_CHECK(words != NULL);
		for (size_t j = 0; j < LOAM_PAGE_SIZE / sizeof(*words); j++) {
			LOAM_CHECK(words[j] == 0);
		}
	}
	return 0;
}

static int kspace_check_locked(struct loam_kspace *kspace)
{
	LOAM_ASSERT(loam_lock_held(&kspace->lock));
	int error = loam_pt_check(kspace->pt);
	if (error == 0) {
		error = check_reserve(kspace);
	}
	if (error == 0) {
		error = check_temps(kspace);
	}
	if (error == 0) {
		error = check_window(kspace);
	}
	if (error == 0) {
		error = loam_arena_walk(&kspace->window, check_range, kspace);
	}
	return error;
}

int loam_kspace_check(struct loam_kspace *kspace)
{
	int error = loam_arena_check(&kspace->window);
	if (error != 0) {
		return error;
	}
	loam_lock(&kspace->lock);
	error = kspace_check_locked(kspace);
	loam_unlock(&kspace->lock);
	return error;
}

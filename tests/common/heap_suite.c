/* SPDX-License-Identifier: MIT */
/* The heaps' suite: designs, the owner of the window, and how a test is run. */
#include "heap_suite_int.h"

const struct heap_suite_design heap_suite_designs[] = {
	{ .name = "bestfit",
	  .ops = &loam_heap_bestfit,
	  .grain = 16,
	  .header = 16,
	  .merges = true,
	  .adjoins = true,
	  .needs_owner = true },
	{ .name = "block",
	  .ops = &loam_heap_block,
	  .grain = 4096,
	  .merges = true },
	{ .name = "buddy",
	  .ops = &loam_heap_buddy,
	  .grain = 4096,
	  .header = sizeof(struct loam_heap_header),
	  .merges = true },
	{ .name = "list first fit",
	  .ops = &loam_heap_list,
	  .fit = LOAM_HEAP_FIRST_FIT,
	  .grain = 16,
	  .header = 16,
	  .merges = true,
	  .adjoins = true },
	{ .name = "list next fit",
	  .ops = &loam_heap_list,
	  .fit = LOAM_HEAP_NEXT_FIT,
	  .grain = 16,
	  .header = 16,
	  .merges = true,
	  .adjoins = true },
	{ .name = "list best fit",
	  .ops = &loam_heap_list,
	  .fit = LOAM_HEAP_BEST_FIT,
	  .grain = 16,
	  .header = 16,
	  .merges = true,
	  .adjoins = true },
	{ .name = "pages", .ops = &loam_heap_pages, .grain = 4096 },
	{ .name = "pages, all junk",
	  .ops = &loam_heap_pages,
	  .junk_bytes = 4096,
	  .grain = 4096 },
	{ .name = "tlsf",
	  .ops = &loam_heap_tlsf,
	  .grain = 32,
	  .header = 8,
	  .merges = true,
	  .adjoins = true },
};
const size_t heap_suite_design_count = LOAM_ARRAY_SIZE(heap_suite_designs);

#define SUITE_POINTER(name) &suite_##name,
const struct heap_suite_test *const heap_suite_tests[] = { SUITE_TESTS(
	SUITE_POINTER) };
const size_t heap_suite_test_count = LOAM_ARRAY_SIZE(heap_suite_tests);

struct suite suite;

/* ------------------------------------------------------------- reports */

void suite_expect_eq(const char *file, int line, const char *a, const char *b,
		     uint64_t value_a, uint64_t value_b)
{
	char text[192];
	if (value_a != value_b) {
		loam_snprintf(text, sizeof(text), "%s == %s (0x%llx, 0x%llx)",
			      a, b, (unsigned long long)value_a,
			      (unsigned long long)value_b);
		suite.host.fail(file, line, text);
	}
}

bool suite_logged(const char *text)
{
	return suite.host.log_contains == NULL || suite.host.log_contains(text);
}

void suite_log_clear(void)
{
	if (suite.host.log_clear != NULL) {
		suite.host.log_clear();
	}
}

void suite_expect_misuse(unsigned long count)
{
	suite.expected += count;
	if (suite.host.expect_misuse != NULL) {
		suite.host.expect_misuse(count);
	}
}

/* ------------------------------------------------------------- the owner */

static int owner_prepare(void *context, void *start, size_t size)
{
	struct suite_owner *owner = context;
	EXPECT(start == owner->window);
	EXPECT_EQ(size, owner->pages * LOAM_PAGE_SIZE);
	EXPECT_EQ(owner->map_calls, 0);
	return owner->prepare_error;
}

/* The index of the first page, once the range has been found to be right. */
static size_t owner_first(const struct suite_owner *owner, const void *start,
			  size_t count)
{
	size_t offset = (size_t)((const unsigned char *)start - owner->window);
	EXPECT_EQ(offset % LOAM_PAGE_SIZE, 0);
	EXPECT(count > 0);
	EXPECT(offset / LOAM_PAGE_SIZE < owner->pages);
	EXPECT(count <= owner->pages - offset / LOAM_PAGE_SIZE);
	return offset / LOAM_PAGE_SIZE;
}

static void owner_unmap(void *context, void *start, size_t count)
{
	struct suite_owner *owner = context;
	size_t first = owner_first(owner, start, count);
	for (size_t i = first; i < first + count; i++) {
		EXPECT(loam_bitmap_test(owner->mapped, i));
		loam_bitmap_clear(owner->mapped, i);
	}
	owner->mapped_now -= count;
	owner->pages_left += count;
	if (!owner->books_only) {
		const struct loam_heap_owner *real = suite.host.owner;
		real->unmap_pages(real->context, start, count);
	}
}

static size_t owner_map(void *context, void *start, size_t count)
{
	struct suite_owner *owner = context;
	size_t first = owner_first(owner, start, count);
	owner->map_calls++;
	count = count < owner->pages_left ? count : owner->pages_left;
	if (count == 0) {
		return 0;
	}
	if (!owner->books_only) {
		const struct loam_heap_owner *real = suite.host.owner;
		EXPECT_EQ(real->map_pages(real->context, start, count), count);
	}
	for (size_t i = 0; i < count; i++) {
		EXPECT(!loam_bitmap_test(owner->mapped, first + i));
		loam_bitmap_set(owner->mapped, first + i);
		memset((char *)start + i * LOAM_PAGE_SIZE, 0xa5, 64);
	}
	owner->pages_left -= count;
	owner->mapped_now += count;
	return count;
}

void suite_own(struct suite_owner *owner, size_t first, size_t count)
{
	EXPECT(first <= suite.host.window_pages);
	EXPECT(count <= suite.host.window_pages - first);
	EXPECT(count <= HEAP_SUITE_PAGES_MAX);
	*owner = (struct suite_owner){
		.window = (unsigned char *)suite.host.window +
			  first * LOAM_PAGE_SIZE,
		.pages = count,
		.pages_left = count,
		.calls = {
			.prepare = owner_prepare,
			.map_pages = owner_map,
			.unmap_pages = owner_unmap,
			.context = owner,
		},
	};
}

/* Unmaps page by page whatever is still there. */
static void owner_clean(struct suite_owner *owner)
{
	const struct loam_heap_owner *real = suite.host.owner;
	for (size_t i = 0; i < owner->pages; i++) {
		if (owner->books_only || loam_bitmap_test(owner->mapped, i)) {
			real->unmap_pages(real->context,
					  owner->window + i * LOAM_PAGE_SIZE,
					  1);
		}
	}
	owner->pages = 0;
}

/* ------------------------------------------------------------- the heap */

struct loam_heap_config suite_config(const struct suite_owner *owner)
{
	return (struct loam_heap_config){
		.start = owner->window,
		.size_bytes = owner->pages * LOAM_PAGE_SIZE,
		.owner = &owner->calls,
		.fit = suite.design->fit,
		.junk_bytes = suite.design->junk_bytes,
	};
}

static void suite_create(void)
{
	struct loam_heap_config config = suite_config(&suite.owner);
	EXPECT_EQ(loam_heap_create(&suite.heap, suite.design->ops, &config), 0);
	suite_expect_sound();
}

void suite_start_pages(size_t pages)
{
	suite_own(&suite.owner, 0, pages);
	suite_create();
}

void suite_start(void)
{
	suite_start_pages(suite.host.window_pages);
}

void suite_start_mapped(size_t pages)
{
	const struct loam_heap_owner *real = suite.host.owner;
	suite_own(&suite.owner, 0, pages);
	EXPECT_EQ(real->map_pages(real->context, suite.owner.window, pages),
		  pages);
	suite.owner.books_only = true;
	suite_create();
}

void suite_finish(void)
{
	struct loam_heap_stats stats;
	suite_expect_sound();
	EXPECT_EQ(suite.heap.live_blocks, 0);
	loam_heap_stats(&suite.heap, &stats);
	EXPECT(stats.free_blocks <= 1 || !suite.design->merges);
	EXPECT_EQ(stats.mapped_bytes, suite.owner.mapped_now * LOAM_PAGE_SIZE);
	loam_heap_destroy(&suite.heap);
	EXPECT_EQ(suite.owner.mapped_now, 0);
	owner_clean(&suite.owner);
}

void suite_expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&suite.heap), 0);
}

size_t suite_size(size_t size_bytes)
{
	size_t max = suite.design->ops->max_bytes;
	return size_bytes < max ? size_bytes : max;
}

/*
 * Every block is aligned to 16 bytes, but where a design says less: the buddy
 * heap, for sizes that fill a page but for 8 to 15 bytes.
 */
bool suite_is_aligned(const void *address, size_t size_bytes)
{
	size_t rest = (0 - size_bytes) % LOAM_PAGE_SIZE;
	size_t least = suite.design->ops->align_bytes;
	size_t align = rest >= 8 && rest < 16 && least < LOAM_HEAP_ALIGN
			       ? least
			       : LOAM_HEAP_ALIGN;
	return (uintptr_t)address % align == 0;
}

void *suite_alloc(size_t size_bytes)
{
	void *address = loam_heap_alloc(&suite.heap, size_bytes);
	EXPECT(address != NULL);
	EXPECT(suite_is_aligned(address, size_bytes));
	EXPECT(loam_heap_usable(&suite.heap, address) >= size_bytes);
	return address;
}

void suite_fill(void *address, size_t size, unsigned seed)
{
	unsigned char *at = address;
	for (size_t i = 0; i < size; i++) {
		at[i] = (unsigned char)(seed * 37 + i);
	}
}

bool suite_holds(const void *address, size_t size, unsigned seed)
{
	const unsigned char *at = address;
	for (size_t i = 0; i < size; i++) {
		if (at[i] != (unsigned char)(seed * 37 + i)) {
			return false;
		}
	}
	return true;
}

/* xorshift64*, of which the upper half is good. */
uint32_t suite_random(void)
{
	uint64_t x = suite.random;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	suite.random = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 32);
}

static uint64_t heap_sum(const struct loam_heap *heap)
{
	uint64_t sum = 0;
	struct loam_heap_block block = { .address = NULL };
	while (loam_heap_walk(heap, &block)) {
		sum = (sum + (uintptr_t)block.address) * 0x9e3779b97f4a7c15ull;
		sum = (sum ^ block.size_bytes) * 31 + block.state;
	}
	return sum;
}

void suite_take_picture(struct suite_picture *picture)
{
	memcpy(&picture->heap, &suite.heap, sizeof(suite.heap));
	picture->mapped_now = suite.owner.mapped_now;
	picture->sum = heap_sum(&suite.heap);
}

void suite_expect_unchanged(const struct suite_picture *before)
{
	static struct loam_heap now;
	memcpy(&now, &suite.heap, sizeof(now));
	now.failed = before->heap.failed;
	now.peak_mapped_pages = before->heap.peak_mapped_pages;
	EXPECT_EQ(memcmp(&now, &before->heap, sizeof(now)), 0);
	EXPECT_EQ(suite.owner.mapped_now, before->mapped_now);
	EXPECT_EQ(heap_sum(&suite.heap), before->sum);
}

/* ------------------------------------------------------------- running */

void heap_suite_clean(void)
{
	if (suite.host.owner != NULL) {
		owner_clean(&suite.owner);
		owner_clean(&suite.other);
	}
}

void heap_suite_run(const struct heap_suite_host *host,
		    const struct heap_suite_design *design,
		    const struct heap_suite_test *test)
{
	heap_suite_clean();
	suite.host = *host;
	if (suite.host.window_pages > HEAP_SUITE_PAGES_MAX) {
		suite.host.window_pages = HEAP_SUITE_PAGES_MAX;
	}
	suite.design = design;
	suite.expected = 0;
	suite.random = 0x5eed + (uint64_t)(design - heap_suite_designs);
	unsigned long before = loam_misuse_count();
	EXPECT(suite.host.window_pages >= HEAP_SUITE_PAGES_MIN);
	suite_log_clear();
	test->run();
	EXPECT_EQ(loam_misuse_count() - before, suite.expected);
}

const char *heap_suite_title(const struct heap_suite_design *design,
			     const struct heap_suite_test *test, char *to,
			     size_t size_bytes)
{
	loam_snprintf(to, size_bytes, "%s: %s", test->title, design->name);
	return to;
}

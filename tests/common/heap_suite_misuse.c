/* SPDX-License-Identifier: MIT */
/* The heaps' suite: wrong addresses and broken headers, with reports. */
#include "heap_suite_int.h"

/* ------------------------------------------------------------- misuse */

/* One report came, of this verb and with this text. */
static void expect_report(unsigned long before, const char *verb,
			  const void *address, const char *text)
{
	char line[80];
	EXPECT_EQ(loam_misuse_count(), before + 1);
	loam_snprintf(line, sizeof(line),
		      "loam: heap %s: %s of %p: ", suite.design->ops->name,
		      verb, address);
	EXPECT_LOG(line);
	EXPECT_LOG(text);
	EXPECT_LOG(", called from 0x");
	suite_log_clear();
}

/* Each of the three functions that take an address reports it, and no more. */
static void expect_refused(void *address, const char *text)
{
	static struct suite_picture before;
	suite_take_picture(&before);
	suite_expect_misuse(3);
	suite_log_clear();
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&suite.heap, address);
	expect_report(reports, "free", address, text);
	EXPECT(loam_heap_resize(&suite.heap, address, 10) == NULL);
	expect_report(reports + 1, "resize", address, text);
	EXPECT_EQ(loam_heap_usable(&suite.heap, address), 0);
	expect_report(reports + 2, "usable", address, text);
	suite_expect_unchanged(&before);
}

SUITE_TEST(double_free,
	   "S0.32 S1.25 S2.20 S3.19 S4.28 a double free is reported")
{
	suite_start();
	void *before = suite_alloc(100);
	void *block = suite_alloc(100);
	void *behind = suite_alloc(100);
	loam_heap_free(&suite.heap, block);
	expect_refused(block, "already free");
	suite_expect_sound();
	/* Merged into the one before, its address is inside a free block. */
	loam_heap_free(&suite.heap, before);
	expect_refused(block, suite.design->merges ? "inside the free block"
						   : "already free");
	expect_refused(before, "already free");
	suite_expect_sound();
	loam_heap_free(&suite.heap, behind);
	suite_expect_sound();
	suite_finish();
}

SUITE_TEST(last_freed, "S0.32 a double free of the last block is reported")
{
	suite_start();
	void *block = suite_alloc(suite_size(200000));
	loam_heap_free(&suite.heap, block);
	suite_expect_misuse(1);
	suite_log_clear();
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&suite.heap, block);
	expect_report(reports, "free", block, "");
	suite_finish();
}

SUITE_TEST(interior, "S0.32 S1.25 S3.19 an interior address is reported")
{
	suite_start();
	size_t size = suite_size(9000);
	size_t header = suite.design->header;
	unsigned char *block = suite_alloc(size);
	/* Contents that look like headers do not deceive it. */
	memset(block, 0x41, size);
	if (header != 0) {
		memcpy(block + 64 - header, block - header, header);
		memcpy(block + 4096 - header, block - header, header);
	}
	for (size_t at = 16; at < size; at += 16) {
		if (at < 100 || at > size - 100 || at % 4096 == 0) {
			expect_refused(block + at, "inside the live block at ");
		}
	}
	suite_expect_sound();
	loam_heap_free(&suite.heap, block);
	suite_finish();
}

SUITE_TEST(misaligned, "S0.32 S1.25 S3.19 a misaligned address is reported")
{
	suite_start();
	unsigned char *block = suite_alloc(100);
	for (size_t at = 1; at < 16; at++) {
		expect_refused(block + at, "misaligned");
	}
	loam_heap_free(&suite.heap, block);
	suite_finish();
}

SUITE_TEST(foreign, "S0.32 S1.25 S3.19 an address outside is reported")
{
	suite_start();
	unsigned char *from = suite.owner.window;
	unsigned char *end = from + suite.owner.pages * LOAM_PAGE_SIZE;
	int on_stack;
	void *block = suite_alloc(100);
	expect_refused(from - 16, "outside the heap");
	expect_refused(from - LOAM_PAGE_SIZE, "outside the heap");
	expect_refused(end, "outside the heap");
	expect_refused(end + 16, "outside the heap");
	expect_refused(&on_stack, "outside the heap");
	expect_refused((void *)(uintptr_t)16, "outside the heap");
	expect_refused((void *)(uintptr_t)-16, "outside the heap");
	loam_heap_free(&suite.heap, block);
	suite_finish();
}

SUITE_TEST(wild, "S0.32 an address in the range but in no block is reported")
{
	suite_start();
	void *block = suite_alloc(100);
	unsigned long reports = loam_misuse_count();
	/* Its tables, the end of what is mapped, and what is not mapped. */
	for (size_t at = 0; at < suite.owner.pages; at++) {
		unsigned char *page = suite.owner.window + at * LOAM_PAGE_SIZE;
		if (page != block) {
			suite_expect_misuse(1);
			loam_heap_free(&suite.heap, page);
			reports++;
		}
		EXPECT_EQ(loam_misuse_count(), reports);
	}
	expect_refused(suite.owner.window +
			       (suite.owner.pages - 1) * LOAM_PAGE_SIZE,
		       "heap ");
	suite_expect_sound();
	loam_heap_free(&suite.heap, block);
	suite_finish();
}

/* ------------------------------------------------------------- corruption */

SUITE_TEST(corrupt_own, "S0.33 S2.22 S4.23 each byte of a header is watched")
{
	size_t header = suite.design->header;
	if (header == 0) {
		suite.host.skip("has no headers");
	}
	suite_start();
	void *before = suite_alloc(64);
	unsigned char *block = suite_alloc(64);
	void *behind = suite_alloc(64);
	for (size_t i = 1; i <= header; i++) {
		unsigned char was = block[-(ptrdiff_t)i];
		block[-(ptrdiff_t)i] = (unsigned char)(was ^ 0x50);
		suite_expect_misuse(2);
		suite_log_clear();
		unsigned long reports = loam_misuse_count();
		loam_heap_free(&suite.heap, block);
		expect_report(reports, "free", block, "corrupt");
		EXPECT_EQ(loam_heap_usable(&suite.heap, block), 0);
		EXPECT(loam_heap_check(&suite.heap) == -LOAM_EFAULT);
		EXPECT_EQ(suite.heap.live_blocks, 3);
		block[-(ptrdiff_t)i] = was;
		suite_expect_sound();
	}
	loam_heap_free(&suite.heap, before);
	loam_heap_free(&suite.heap, block);
	loam_heap_free(&suite.heap, behind);
	suite_finish();
}

SUITE_TEST(overrun, "S2.22 writing behind a block is found when it is freed")
{
	size_t header = suite.design->header;
	if (header == 0 || !suite.design->adjoins) {
		suite.host.skip("has no header behind the block");
	}
	suite_start();
	unsigned char *block = suite_alloc(64);
	size_t usable = loam_heap_usable(&suite.heap, block);
	void *behind = suite_alloc(64);
	unsigned char kept[16];
	memcpy(kept, block + usable, header);
	memset(block + usable, 0xcc, header);
	suite_expect_misuse(2);
	suite_log_clear();
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&suite.heap, block);
	expect_report(reports, "free", block, "the header behind it, at 0x");
	loam_heap_free(&suite.heap, behind);
	expect_report(reports + 1, "free", behind, "its header is corrupt");
	EXPECT(loam_heap_check(&suite.heap) == -LOAM_EFAULT);
	EXPECT_EQ(suite.heap.live_blocks, 2);
	memcpy(block + usable, kept, header);
	suite_expect_sound();
	loam_heap_free(&suite.heap, block);
	loam_heap_free(&suite.heap, behind);
	suite_finish();
}

/* SPDX-License-Identifier: MIT */
/* kmalloc, slabs and vmalloc in the running kernel. */

#include <loam/bits.h>

#include "cpu.h"
#include "layout.h"
#include "ktest.h"

static void touch_write(void *at)
{
	*(volatile unsigned char *)at = 1;
}

static void expect_no_page(uintptr_t at)
{
	struct trap_report report;

	EXPECT(trap_expect(touch_write, (void *)at, &report));
	EXPECT_EQ(report.vector, TRAP_PAGE_FAULT);
	EXPECT_EQ(report.address, at);
	EXPECT_EQ(report.error & TRAP_PF_PRESENT, 0);
}

/* What the contract says of the alignment of a block of this size. */
static size_t alignment_of(size_t size_bytes)
{
	if (!ktest_on_slabs()) {
		size_t align = kernel.heap.ops->align_bytes;
		return align < 16 ? align : 16;
	}
	if (size_bytes > LOAM_KMALLOC_SLAB_MAX) {
		return LOAM_PAGE_SIZE;
	}
	if (loam_is_pow2(size_bytes) && size_bytes >= 8) {
		return size_bytes < LOAM_PAGE_SIZE ? size_bytes
						   : LOAM_PAGE_SIZE;
	}
	return size_bytes <= 8 ? 8 : 16;
}

KTEST(kmalloc_classes,
      "S4.32 every size up to 9 KiB: aligned, big enough, apart")
{
	enum { LIVE = 7 };
	unsigned char *live[LIVE] = { 0 };
	size_t sizes[LIVE] = { 0 };

	for (size_t size = 1; size <= 9216; size += size < 256 ? 1 : 37) {
		unsigned slot = (unsigned)(size % LIVE);
		for (size_t i = 0; i < sizes[slot]; i++) {
			EXPECT_EQ(live[slot][i], slot + 1);
		}
		kfree(live[slot]);
		live[slot] = kmalloc(size);
		EXPECT(live[slot] != NULL);
		EXPECT(ksize(live[slot]) >= size);
		EXPECT(loam_is_aligned((uintptr_t)live[slot],
				       alignment_of(size)));
		sizes[slot] = size;
		memset(live[slot], (int)slot + 1, size);
	}
	for (unsigned i = 0; i < LIVE; i++) {
		kfree(live[i]);
	}
}

/* Below 64 bytes the alignment of 16 is the larger waste. */
KTEST(kmalloc_waste, "S4.32 classes waste at most a quarter of a block")
{
	if (!ktest_on_slabs()) {
		ktest_skip("a heap wastes what its design does");
	}
	if (kernel.choice.list_frames) {
		ktest_skip("above a page, whole pages are used");
	}
	for (size_t size = 64; size <= LOAM_KMALLOC_SLAB_MAX; size += 13) {
		void *block = kmalloc(size);
		EXPECT(block != NULL);
		size_t usable = ksize(block);
		kfree(block);
		EXPECT((usable - size) * 4 <= usable);
	}
}

KTEST(kmalloc_large, "large blocks are whole pages and read back")
{
	static const size_t sizes[] = { 8193, 20000, 65536, 100000, 500000 };
	uint64_t before = ktest_free_frames();

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		uint32_t *words = kmalloc(sizes[i]);
		EXPECT(words != NULL);
		EXPECT(loam_is_aligned((uintptr_t)words,
				       alignment_of(sizes[i])));
		EXPECT(ksize(words) >= sizes[i]);
		for (size_t n = 0; n < ksize(words) / 4; n += 1024) {
			words[n] = (uint32_t)n;
		}
		for (size_t n = 0; n < ksize(words) / 4; n += 1024) {
			EXPECT_EQ(words[n], n);
		}
		kfree(words);
	}
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(kmalloc_refused, "S4.27 sizes that cannot be are NULL, nothing changes")
{
	uint64_t before = loam_frame_free_count(&kernel.frames);

	EXPECT(kmalloc(0) == NULL);
	EXPECT(kmalloc(SIZE_MAX) == NULL);
	EXPECT(kmalloc(SIZE_MAX - 7) == NULL);
	EXPECT(kmalloc(SIZE_MAX - 4095) == NULL);
	EXPECT(kmalloc(LOAM_KMALLOC_MAX + 1) == NULL);
	EXPECT(loam_kcalloc(&kernel.kmalloc, 0x10001, 0x10000, 0) == NULL);
	EXPECT(loam_kmalloc_aligned(&kernel.kmalloc, 64, 48, 0) == NULL);
	EXPECT(vmalloc(0) == NULL);
	EXPECT(vmalloc(SIZE_MAX) == NULL);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
}

KTEST(kmalloc_zeroed, "kzalloc and kcalloc clear dirty memory")
{
	static const size_t sizes[] = { 8, 100, 1024, 8192, 70000 };

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		unsigned char *block = kmalloc(sizes[i]);
		EXPECT(block != NULL);
		memset(block, 0xFF, sizes[i]);
		kfree(block);
		block = i % 2 == 0
				? kzalloc(sizes[i])
				: loam_kcalloc(&kernel.kmalloc, sizes[i], 1, 0);
		EXPECT(block != NULL);
		unsigned any = 0;
		for (size_t n = 0; n < sizes[i]; n++) {
			any |= block[n];
		}
		kfree(block);
		EXPECT_EQ(any, 0);
	}
}

KTEST(krealloc_keeps, "krealloc keeps the contents, up and down")
{
	static const size_t sizes[] = { 10,    200,  5000, 9000,
					90000, 6000, 16,   400000 };
	unsigned char *block = NULL;
	size_t old = 0;

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		block = krealloc(block, sizes[i]);
		EXPECT(block != NULL);
		size_t kept = old < sizes[i] ? old : sizes[i];
		for (size_t n = 0; n < kept; n++) {
			EXPECT_EQ(block[n], (unsigned char)(n * 7));
		}
		for (size_t n = 0; n < sizes[i]; n++) {
			block[n] = (unsigned char)(n * 7);
		}
		old = sizes[i];
	}
	EXPECT(krealloc(block, 0) == NULL);
}

KTEST(kmalloc_dma, "LOAM_DMA blocks lie below 16 MiB")
{
	static const size_t sizes[] = { 64, 4096, 40000 };

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		if (kernel.choice.list_frames && sizes[i] > LOAM_PAGE_SIZE) {
			continue;
		}
		void *block = loam_kmalloc(&kernel.kmalloc, sizes[i], LOAM_DMA);
		EXPECT(block != NULL);
		uintptr_t end = (uintptr_t)block + sizes[i];
		kfree(block);
		EXPECT(VIRT_TO_PHYS(end) <= LOAM_MIB(16));
	}
}

KTEST(kmalloc_again, "S4.26 allocate, free, allocate the same size works")
{
	for (size_t size = 8; size <= LOAM_KIB(256); size *= 2) {
		void *first = kmalloc(size);
		EXPECT(first != NULL);
		memset(first, 1, size);
		kfree(first);
		void *second = kmalloc(size);
		EXPECT(second != NULL);
		memset(second, 2, size);
		kfree(second);
	}
}

KTEST(vmalloc_guards, "vmalloc: a guard page on both sides, gone after vfree")
{
	unsigned char *block = vmalloc(3 * LOAM_PAGE_SIZE);
	uintptr_t start = (uintptr_t)block;

	EXPECT(block != NULL);
	memset(block, 0x42, 3 * LOAM_PAGE_SIZE);
	expect_no_page(start - 1);
	expect_no_page(start + 3 * LOAM_PAGE_SIZE);
	vfree(block);
	expect_no_page(start);
	expect_no_page(start + 2 * LOAM_PAGE_SIZE);
}

/* -------- misuse -------- */

/* The library reported exactly one misuse, of this address. */
static void expect_report(const void *at)
{
	char text[16];

	loam_snprintf(text, sizeof(text), "%zx", (size_t)(uintptr_t)at);
	EXPECT_LOG(text);
	EXPECT_LOG("called from");
	ktest_log_clear();
}

KTEST(kfree_misuse, "S4.28 X.7 bad frees are reported, nothing changes")
{
	char *block = kmalloc(64);
	char *large = kmalloc(65536);
	char *pages = vmalloc(8192);
	EXPECT(block != NULL && large != NULL && pages != NULL);
	memset(block, 0x11, 64);
	uint64_t before = loam_frame_free_count(&kernel.frames);

	ktest_expect_misuse(9);
	kfree(block + 8); /* interior */
	expect_report(block + 8);
	kfree(block + 1); /* misaligned */
	expect_report(block + 1);
	kfree(large + LOAM_PAGE_SIZE); /* interior of a large block */
	expect_report(large + LOAM_PAGE_SIZE);
	kfree(pages + LOAM_PAGE_SIZE); /* interior of a vmalloc block */
	expect_report(pages + LOAM_PAGE_SIZE);
	kfree(text_start); /* the kernel's text */
	expect_report(text_start);
	kfree((void *)(uintptr_t)0x1234560); /* user space */
	expect_report((void *)(uintptr_t)0x1234560);
	kfree((void *)(uintptr_t)0xFFFFFFF0u); /* the very end */
	expect_report((void *)(uintptr_t)0xFFFFFFF0u);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	for (unsigned i = 0; i < 64; i++) {
		EXPECT_EQ(block[i], 0x11);
	}
	kfree(block);
	kfree(block); /* a second time */
	expect_report(block);
	kfree(large);
	kfree(large);
	expect_report(large);
	vfree(pages);
	kfree(NULL);
}

KTEST(vfree_misuse, "X.7 bad vfrees are reported, nothing changes")
{
	char *pages = vmalloc(8192);
	char *block = kmalloc(64);
	EXPECT(pages != NULL && block != NULL);

	ktest_expect_misuse(3);
	vfree(pages + 1);
	expect_report(pages + 1);
	vfree(block);
	expect_report(block);
	pages[8191] = 1;
	vfree(pages);
	vfree(pages);
	expect_report(pages);
	kfree(block);
}

/* -------- the end of memory -------- */

struct chain {
	struct chain *next;
};

KTEST(kmalloc_exhausted, "memory runs out cleanly and comes back whole")
{
	static const size_t sizes[] = { 4096, 1000, 64, 16 };
	struct chain *head = NULL;
	unsigned long count = 0;

	uint64_t before = ktest_free_frames();
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		struct chain *link;
		while ((link = kmalloc(sizes[i])) != NULL) {
			link->next = head;
			head = link;
			count++;
		}
	}
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&kernel.kmalloc, &stats);
	void *more = kmalloc(16);
	int error = loam_boot_check(&kernel);
	while (head != NULL) {
		struct chain *next = head->next;
		kfree(head);
		head = next;
	}
	EXPECT(count > 100);
	EXPECT(stats.failed >= LOAM_ARRAY_SIZE(sizes));
	EXPECT(more == NULL);
	EXPECT_EQ(error, 0);
	EXPECT_EQ(ktest_free_frames(), before);
}

/* Takes all of memory, or of the window, and gives it back. */
static int vmalloc_flood(void)
{
	struct chain *head = NULL;
	struct chain *block;

	while ((block = vmalloc(LOAM_MIB(8))) != NULL) {
		block->next = head;
		head = block;
	}
	while ((block = vmalloc(LOAM_KIB(64))) != NULL) {
		block->next = head;
		head = block;
	}
	int error = loam_boot_check(&kernel);
	while (head != NULL) {
		struct chain *next = head->next;
		vfree(head);
		head = next;
	}
	return error;
}

/* Descriptors of ranges are kept, so the first flood may leave a few frames. */
KTEST(vmalloc_exhausted, "vmalloc takes high memory too, and fails cleanly")
{
	EXPECT_EQ(vmalloc_flood(), 0);
	uint64_t before = ktest_free_frames();
	EXPECT_EQ(vmalloc_flood(), 0);
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(vmalloc_nth, "vmalloc undoes all when any frame it needs is refused")
{
	uint64_t before = loam_frame_free_count(&kernel.frames);
	uint64_t nth = 1;
	void *block;

	for (;; nth++) {
		loam_frame_fail_nth(&kernel.frames, nth);
		block = vmalloc(LOAM_KIB(64));
		if (block != NULL) {
			break;
		}
		EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
		EXPECT(nth < 100);
	}
	loam_frame_fail_nth(&kernel.frames, 0);
	vfree(block);
	EXPECT(nth > 1);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
}

KTEST(krealloc_refused, "krealloc keeps the old block when there is no memory")
{
	unsigned char *block = kmalloc(100);

	EXPECT(block != NULL);
	memset(block, 0x3C, 100);
	loam_kmalloc_fail_nth(&kernel.kmalloc, 1);
	EXPECT(krealloc(block, 20000) == NULL);
	loam_kmalloc_fail_nth(&kernel.kmalloc, 0);
	for (unsigned i = 0; i < 100; i++) {
		EXPECT_EQ(block[i], 0x3C);
	}
	kfree(block);
}

/* -------- everything at once -------- */

#define CHURN_SLOTS 128u

static unsigned char *churn_blocks[CHURN_SLOTS];
static uint32_t churn_sizes[CHURN_SLOTS];

/* Replaces one block, after a look at its first and last byte. */
static bool churn_step(uint32_t *state)
{
	uint32_t slot = ktest_random(state) % CHURN_SLOTS;
	uint32_t size = 1 + (ktest_random(state) &
			     ((16u << (ktest_random(state) & 7u)) - 1));
	unsigned char *block = churn_blocks[slot];
	bool intact = true;

	if (block != NULL) {
		uint32_t last = churn_sizes[slot] - 1;
		intact = block[last] == (unsigned char)~slot &&
			 (last == 0 || block[0] == (unsigned char)slot);
	}
	kfree(block);
	block = kmalloc(size);
	churn_blocks[slot] = block;
	churn_sizes[slot] = size;
	if (block != NULL) {
		block[0] = (unsigned char)slot;
		block[size - 1] = (unsigned char)~slot;
	}
	return intact;
}

static void churn_end(void)
{
	for (unsigned i = 0; i < CHURN_SLOTS; i++) {
		kfree(churn_blocks[i]);
		churn_blocks[i] = NULL;
	}
}

KTEST(kmalloc_churn, "X.5 random sizes for a while; every check holds")
{
	uint32_t state = 0x10A4;

	uint64_t before = ktest_free_frames();
	for (unsigned i = 0; i < 20000; i++) {
		EXPECT(churn_step(&state));
		if (i % 5000 == 0) {
			EXPECT_EQ(loam_boot_check(&kernel), 0);
		}
	}
	churn_end();
	EXPECT_EQ(ktest_free_frames(), before);
}

/* Live bytes, wherever they come from. */
static uint64_t stats_live(const struct loam_kmalloc_stats *stats)
{
	return stats->slab_bytes + stats->heap_bytes + stats->large_bytes;
}

KTEST(stats_add_up, "X.9 statistics: used, free, peak and failed add up")
{
	struct loam_kmalloc_stats before;
	struct loam_kmalloc_stats after;
	struct loam_zone_stats zone;

	loam_kmalloc_stats(&kernel.kmalloc, &before);
	void *small = kmalloc(100);
	void *large = kmalloc(65536);
	EXPECT(small != NULL && large != NULL);
	loam_kmalloc_stats(&kernel.kmalloc, &after);
	EXPECT_EQ(stats_live(&after) - stats_live(&before),
		  ksize(small) + ksize(large));
	if (ktest_on_slabs()) {
		EXPECT_EQ(after.slab_bytes - before.slab_bytes, ksize(small));
		EXPECT_EQ(after.large_blocks - before.large_blocks, 1);
	} else {
		EXPECT(after.heap_bytes - before.heap_bytes >= ksize(small));
	}
	EXPECT(after.peak_large_bytes >= after.large_bytes);
	kfree(small);
	kfree(large);
	loam_kmalloc_stats(&kernel.kmalloc, &after);
	EXPECT_EQ(stats_live(&after), stats_live(&before));
	loam_kmalloc_fail_nth(&kernel.kmalloc, 1);
	EXPECT(kmalloc(LOAM_KMALLOC_MAX) == NULL);
	loam_kmalloc_fail_nth(&kernel.kmalloc, 0);
	loam_kmalloc_stats(&kernel.kmalloc, &after);
	EXPECT(after.failed > before.failed);
	for (unsigned i = 0; i < LOAM_ZONE_COUNT; i++) {
		loam_frame_zone_stats(&kernel.frames, (enum loam_zone_id)i,
				      &zone);
		EXPECT(zone.free <= zone.managed);
		EXPECT(zone.peak_used <= zone.managed);
		EXPECT(zone.untouched + zone.cached <= zone.free);
	}
}

/* -------- interrupts -------- */

#define TIMER_LINE 0u
#define TIMER_HZ 2000u
#define TIMER_TICKS 200u

static volatile unsigned timer_ticks;
static volatile unsigned timer_failed;

/* What a driver might do: a frame, a few blocks, and back. */
static void timer_interrupt(void)
{
	void *blocks[3];
	loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, LOAM_NOSLEEP);

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(blocks); i++) {
		blocks[i] = loam_kmalloc(&kernel.kmalloc, 32u << (2 * i),
					 LOAM_NOSLEEP);
		timer_failed += blocks[i] == NULL;
	}
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(blocks); i++) {
		kfree(blocks[i]);
	}
	if (pfn == LOAM_PFN_NONE) {
		timer_failed++;
	} else {
		loam_frame_free(&kernel.frames, pfn, 0);
	}
	timer_ticks++;
}

KTEST(interrupts_allocate, "X.8 interrupts allocate while the kernel does")
{
	uint32_t state = 0x5EED;
	bool intact = true;
	unsigned long steps = 0;

	uint64_t before = ktest_free_frames();
	timer_ticks = 0;
	timer_failed = 0;
	irq_set_timer(TIMER_HZ);
	irq_set(TIMER_LINE, timer_interrupt);
	cpu_sti();
	while (timer_ticks < TIMER_TICKS && steps < 20000000) {
		loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, 0);
		intact = churn_step(&state) && intact;
		loam_frame_free(&kernel.frames, pfn, 0);
		if (steps % 64 == 0) {
			vfree(vmalloc(8192));
		}
		steps++;
	}
	cpu_cli();
	irq_set(TIMER_LINE, NULL);
	churn_end();
	EXPECT(intact);
	EXPECT_EQ(timer_failed, 0);
	EXPECT(timer_ticks >= TIMER_TICKS);
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(lock_interrupts, "X.8 a lock keeps interrupts out and lets them in again")
{
	struct loam_lock lock;

	loam_lock_init(&lock, "test", LOAM_RANK_KMALLOC);
	cpu_sti();
	loam_lock(&lock);
	uintptr_t held = cpu_read_eflags();
	loam_unlock(&lock);
	uintptr_t after = cpu_read_eflags();
	cpu_cli();
	loam_lock(&lock);
	loam_unlock(&lock);
	uintptr_t off = cpu_read_eflags();
	EXPECT_EQ(held & CPU_EFLAGS_IF, 0);
	EXPECT_EQ(after & CPU_EFLAGS_IF, CPU_EFLAGS_IF);
	EXPECT_EQ(off & CPU_EFLAGS_IF, 0);
}

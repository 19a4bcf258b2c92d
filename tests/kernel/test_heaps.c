/* SPDX-License-Identifier: MIT */
/* The classic heaps in the running kernel: their windows, memory and frames. */

#include <loam/bits.h>

#include "arch.h"
#include "heaps.h"
#include "ktest.h"
#include "spaces.h"
#include "task.h"

/* -------- a heap of our own, in the window beside kmalloc's -------- */

#define OWN_PAGES 256u /* 1 MiB */

static struct {
	struct loam_page_window window;
	struct loam_heap_owner owner;
	struct loam_heap heap;
} own;

static void own_start(const struct loam_heap_ops *ops)
{
	size_t spare = 0;
	uintptr_t base = loam_boot_spare_window(&kernel, &spare);

	EXPECT(spare >= OWN_PAGES * LOAM_PAGE_SIZE);
	if (own.window.size != 0) {
		loam_page_window_fini(&own.window); /* after a failure */
	}
	/* From the end of it: the suite's windows begin at its start. */
	base += spare - OWN_PAGES * LOAM_PAGE_SIZE;
	EXPECT_EQ(loam_page_window_init(&own.window, &kernel.kspace, base,
					OWN_PAGES * LOAM_PAGE_SIZE),
		  0);
	loam_page_window_owner(&own.window, &own.owner);
	const struct loam_heap_config config = {
		.start = (void *)base,
		.size_bytes = own.window.size,
		.owner = &own.owner,
	};
	EXPECT_EQ(loam_heap_create(&own.heap, ops, &config), 0);
}

static void own_end(void)
{
	loam_heap_destroy(&own.heap);
	loam_page_window_settle(&own.window);
	EXPECT_EQ(own.window.mapped_pages, 0);
	own.window.size = 0;
}

static void own_check(void)
{
	EXPECT_EQ(loam_heap_check(&own.heap), 0);
	EXPECT_EQ(loam_page_window_check(&own.window), 0);
}

static void touch_read(void *at)
{
	(void)*(volatile unsigned char *)at;
}

static bool faults(const void *at)
{
	struct trap_report report;

	return trap_expect(touch_read, (void *)(uintptr_t)at, &report) &&
	       report.address == (uintptr_t)at;
}

KTEST(heap_tables, "S0.10 S0.11 the window's tables are there before its pages")
{
	const struct loam_boot_layout *layout = &kernel.layout;
	size_t tables = loam_pt_count_tables(&kernel.pt);

	EXPECT_EQ(loam_pt_tables_needed(&kernel.pt, layout->heap_base,
					layout->heap_size),
		  0);
	own_start(&loam_heap_bestfit);
	EXPECT_EQ(own.window.mapped_pages, 2);
	void *block = loam_heap_alloc(&own.heap, 500000);
	EXPECT(block != NULL);
	EXPECT_EQ(loam_pt_count_tables(&kernel.pt), tables);
	own_check();
	own_end();
	EXPECT_EQ(loam_pt_count_tables(&kernel.pt), tables);
}

KTEST(heap_grows, "S0.17 S0.28 a growth maps all pages, a free unmaps them")
{
	uint64_t before = ktest_free_frames();

	own_start(&loam_heap_bestfit);
	const struct loam_heap_bestfit *heap = &own.heap.bestfit;
	unsigned char *last = heap->last_page;
	unsigned char *block = loam_heap_alloc(&own.heap, 20000);
	EXPECT(block != NULL);
	for (unsigned i = 0; i < 20000; i++) {
		block[i] = (unsigned char)i;
	}
	/* Header and rest of a page included, it takes five more. */
	EXPECT_EQ(heap->last_page - last, 4 * LOAM_PAGE_SIZE);
	own_check();
	loam_heap_free(&own.heap, block);
	loam_page_window_settle(&own.window);
	EXPECT(heap->last_page == last);
	EXPECT(!faults(last));
	for (unsigned page = 1; page <= 4; page++) {
		EXPECT(faults(last + page * LOAM_PAGE_SIZE));
	}
	own_end();
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(heap_stale, "S0.35 X.6 no translation outlives the page it was for")
{
	own_start(&loam_heap_bestfit);
	for (unsigned round = 0; round < 50; round++) {
		uint32_t *block = loam_heap_alloc(&own.heap, 30000);
		EXPECT(block != NULL);
		for (unsigned i = 0; i < 7000; i += 100) {
			block[i] = round * 0x10001u + i;
		}
		/* Frames in between, so that the next ones are others. */
		loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, 0);
		for (unsigned i = 0; i < 7000; i += 100) {
			EXPECT_EQ(block[i], round * 0x10001u + i);
		}
		loam_heap_free(&own.heap, block);
		loam_page_window_settle(&own.window);
		EXPECT(faults(block + 5000));
		loam_frame_free(&kernel.frames, pfn, 0);
	}
	own_check();
	own_end();
}

/* The root's entry for an address, without the CPU's notes. */
static uint64_t root_entry(const struct loam_pt *pt, const void *at)
{
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];

	EXPECT(loam_pt_walk(pt, (uintptr_t)at, steps) > 0);
	return steps[0].entry & ~pt->geometry->accessed;
}

KTEST(heap_shared, "S0.12 a heap grows in every address space at once")
{
	static struct loam_proc two[2];
	struct loam_pt_mapping here;
	struct loam_pt_mapping there;

	own_start(&loam_heap_bestfit);
	EXPECT_EQ(loam_proc_create(&spaces, &two[0], "test"), 0);
	EXPECT_EQ(loam_proc_create(&spaces, &two[1], "test"), 0);
	char *block = loam_heap_alloc(&own.heap, 3 * LOAM_PAGE_SIZE);
	EXPECT(block != NULL);
	for (unsigned i = 0; i < 2; i++) {
		const struct loam_pt *pt = &two[i].pt;
		EXPECT_EQ(root_entry(pt, block), root_entry(&kernel.pt, block));
		for (unsigned page = 0; page < 3; page++) {
			uintptr_t at = (uintptr_t)block + page * LOAM_PAGE_SIZE;
			EXPECT_EQ(loam_pt_query(&kernel.pt, at, &here), 0);
			EXPECT_EQ(loam_pt_query(pt, at, &there), 0);
			EXPECT_EQ(here.phys, there.phys);
			EXPECT_EQ(there.prot & LOAM_PROT_USER, 0);
		}
	}
	loam_heap_free(&own.heap, block);
	loam_page_window_settle(&own.window);
	EXPECT(loam_pt_query(&two[0].pt, (uintptr_t)block + 2 * LOAM_PAGE_SIZE,
			     &there) != 0);
	loam_proc_destroy(&two[0]);
	loam_proc_destroy(&two[1]);
	own_end();
}

KTEST(heap_no_frames, "S0.24 S0.25 a heap that gets no frame is as it was")
{
	own_start(&loam_heap_bestfit);
	for (uint64_t nth = 1; nth < 200; nth++) {
		size_t mapped = own.window.mapped_pages;
		loam_frame_fail_nth(&kernel.frames, nth);
		void *block = loam_heap_alloc(&own.heap, 150000);
		loam_frame_fail_nth(&kernel.frames, 0);
		loam_page_window_settle(&own.window);
		own_check();
		if (block != NULL) {
			EXPECT(nth > 30);
			break;
		}
		EXPECT_EQ(own.window.mapped_pages, mapped);
	}
	own_end();
}

/* -------- the heap behind kmalloc -------- */

KTEST(heap_place, "S0.3 S0.19 S1.28 kmalloc's blocks lie in the heap's window")
{
	const struct loam_heap *heap = &kernel.heap;
	struct loam_heap_stats before;
	struct loam_heap_stats after;

	if (ktest_on_slabs()) {
		ktest_skip("kmalloc is the slabs'");
	}
	EXPECT(loam_kmalloc_heap_stats(&kernel.kmalloc, &before));
	char *block = kmalloc(100);
	EXPECT(block != NULL);
	EXPECT((size_t)(block - (char *)heap->start) < heap->size_bytes);
	EXPECT(loam_kmalloc_heap_stats(&kernel.kmalloc, &after));
	EXPECT_EQ(after.live_blocks, before.live_blocks + 1);
	EXPECT(after.live_bytes >= before.live_bytes + 100);
	kfree(block);
	EXPECT(loam_kmalloc_heap_stats(&kernel.kmalloc, &after));
	EXPECT_EQ(after.live_blocks, before.live_blocks);
	EXPECT_EQ(after.frees, before.frees + 1);
}

KTEST(heap_aligned, "S0.22 kmalloc_aligned keeps its word on every heap")
{
	uint64_t before = ktest_free_frames();

	for (size_t align = 16; align <= LOAM_KIB(64); align *= 2) {
		if (kernel.choice.list_frames && align > LOAM_PAGE_SIZE) {
			break;
		}
		unsigned char *block = loam_kmalloc_aligned(
			&kernel.kmalloc, 300, align, LOAM_ZERO);
		EXPECT(block != NULL);
		EXPECT(loam_is_aligned((uintptr_t)block, align));
		EXPECT(ksize(block) >= 300);
		memset(block, 0x42, 300);
		block = krealloc(block, 2000);
		EXPECT(block != NULL && block[299] == 0x42);
		kfree(block);
	}
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(heap_of_slabs, "kfree takes an object of a cache, whatever is behind it")
{
	struct loam_cache *cache = loam_cache_create(
		&kernel.slabs, "heap test", 40, 0, LOAM_CACHE_NO_MERGE, NULL);

	EXPECT(cache != NULL);
	void *object = loam_cache_alloc(&kernel.slabs, cache, 0);
	EXPECT(object != NULL);
	EXPECT(ksize(object) >= 40);
	kfree(object);
	EXPECT_EQ(loam_cache_destroy(&kernel.slabs, cache), 0);
}

/* Two tasks that the timer switches between, each with blocks of its own. */
#define HAMMER_TASKS 2u
#define HAMMER_SLOTS 24u
#define HAMMER_STEPS 4000u

static struct hammer {
	unsigned char *blocks[HAMMER_SLOTS];
	uint32_t sizes[HAMMER_SLOTS];
	uint32_t random;
	unsigned char mark;
	volatile unsigned wrong;
	volatile bool done;
} hammers[HAMMER_TASKS];

static void hammer_step(struct hammer *hammer)
{
	unsigned slot = ktest_random(&hammer->random) % HAMMER_SLOTS;
	uint32_t size = 1 + ktest_random(&hammer->random) % 6000;
	unsigned char *block = hammer->blocks[slot];

	if (block != NULL) {
		uint32_t last = hammer->sizes[slot] - 1;
		hammer->wrong +=
			block[0] != hammer->mark || block[last] != hammer->mark;
		kfree(block);
	}
	block = kmalloc(size);
	hammer->blocks[slot] = block;
	hammer->sizes[slot] = size;
	if (block != NULL) {
		memset(block, hammer->mark, size);
	}
}

static void hammer_run(void *argument)
{
	struct hammer *hammer = argument;

	for (unsigned step = 0; step < HAMMER_STEPS; step++) {
		hammer_step(hammer);
	}
	for (unsigned slot = 0; slot < HAMMER_SLOTS; slot++) {
		kfree(hammer->blocks[slot]);
		hammer->blocks[slot] = NULL;
	}
	hammer->done = true;
}

KTEST(heap_tasks, "S0.20 X.8 two preempted tasks hammer kmalloc")
{
	struct task_stats before;
	struct task_stats after;

	memset(hammers, 0, sizeof(hammers));
	task_stats(&before);
	for (unsigned i = 0; i < HAMMER_TASKS; i++) {
		hammers[i].random = 0x5EED + i;
		hammers[i].mark = (unsigned char)(0x11 * (i + 1));
		EXPECT(task_create("hammer", hammer_run, &hammers[i]) != NULL);
	}
	uint64_t start = task_now();
	while (!hammers[0].done || !hammers[1].done) {
		task_yield();
		EXPECT(task_now() - start < 60 * TASK_HZ);
	}
	task_stats(&after);
	for (unsigned i = 0; i < HAMMER_TASKS; i++) {
		EXPECT_EQ(hammers[i].wrong, 0);
	}
	EXPECT(after.switches > before.switches);
	EXPECT_EQ(loam_kmalloc_check(&kernel.kmalloc), 0);
}

/* -------- the block heap -------- */

static void skip_but_block(void)
{
	if (kernel.choice.heap != LOAM_BOOT_BLOCK) {
		ktest_skip("heap=block was not picked");
	}
}

KTEST(block_constants, "S3.10 S1.26 the block heap's places and sizes")
{
	LOAM_STATIC_ASSERT(HEAPS_BLOCK_BYTES == 104857600u, "100 MiB");
	LOAM_STATIC_ASSERT(HEAPS_BLOCK_ADDRESS == 0x01000000u, "16 MiB");
	LOAM_STATIC_ASSERT(HEAPS_BLOCK_TABLE == 0x00007E00u, "");
	LOAM_STATIC_ASSERT(LOAM_HEAP_BLOCK_SIZE == 4096u, "");
	LOAM_STATIC_ASSERT(HEAPS_LIMIT == 0x00400000u, "as S0.3 says");
	skip_but_block();
	EXPECT((uintptr_t)kernel.heap.start ==
	       kernel.layout.direct_base + HEAPS_BLOCK_ADDRESS);
	EXPECT(kernel.heap.size_bytes <= HEAPS_BLOCK_BYTES);
	EXPECT(kernel.heap.size_bytes == HEAPS_BLOCK_BYTES ||
	       !loam_memmap_is_usable(&kernel.memmap,
				      HEAPS_BLOCK_ADDRESS +
					      kernel.heap.size_bytes,
				      LOAM_PAGE_SIZE) ||
	       loam_memblock_owner(&kernel.memblock,
				   HEAPS_BLOCK_ADDRESS +
					   kernel.heap.size_bytes) !=
		       LOAM_RESERVED_NONE);
}

/* A sum over all that bring-up has copied of the loader's. */
static uint32_t sum_of_info(void)
{
	const unsigned char *bytes = (const unsigned char *)&kernel.info;
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(kernel.info); i++) {
		sum = (sum << 1 | sum >> 31) ^ bytes[i];
	}
	for (uint32_t i = 0; i < kernel.info.entry_count; i++) {
		sum += (uint32_t)kernel.info.entries[i].base * (i + 1);
	}
	return sum;
}

struct chain {
	struct chain *next;
};

KTEST(block_table, "S3.12 X.2 the table at 0x7E00 is in nobody's way")
{
	struct chain *head = NULL;
	struct chain *block;
	uint32_t sum = sum_of_info();

	skip_but_block();
	EXPECT_EQ(kernel.block_table, HEAPS_BLOCK_TABLE);
	const uint8_t *table = loam_host_phys_to_virt(HEAPS_BLOCK_TABLE);
	size_t entries = kernel.heap.size_bytes / LOAM_HEAP_BLOCK_SIZE;
	EXPECT(table == kernel.heap.block.table);
	EXPECT_EQ(entries, kernel.heap.block.total);
	for (size_t at = 0; at < entries; at += 16) {
		EXPECT_EQ(loam_memblock_owner(&kernel.memblock,
					      HEAPS_BLOCK_TABLE + at),
			  LOAM_RESERVED_HEAP);
	}
	/* All of it is written, and everything else goes on as before. */
	while ((block = kmalloc(LOAM_HEAP_BLOCK_SIZE)) != NULL) {
		block->next = head;
		head = block;
	}
	bool full = true;
	for (size_t i = 0; i < entries; i++) {
		full = full && (table[i] & LOAM_HEAP_BLOCK_TAKEN) != 0;
	}
	int error = loam_boot_check(&kernel);
	while (head != NULL) {
		block = head->next;
		kfree(head);
		head = block;
	}
	EXPECT(full);
	EXPECT_EQ(error, 0);
	EXPECT_EQ(sum_of_info(), sum);
}

KTEST(block_flags, "S3.15 S3.17 runs in the table: C1 81 01, and zero again")
{
	skip_but_block();
	const uint8_t *table = kernel.heap.block.table;
	char *block = kmalloc(3 * LOAM_HEAP_BLOCK_SIZE);
	EXPECT(block != NULL);
	size_t at = (size_t)(block - (char *)kernel.heap.start) /
		    LOAM_HEAP_BLOCK_SIZE;
	EXPECT_EQ(table[at], 0xC1);
	EXPECT_EQ(table[at + 1], 0x81);
	EXPECT_EQ(table[at + 2], 0x01);
	kfree(block);
	EXPECT_EQ(table[at] | table[at + 1] | table[at + 2], 0);
}

KTEST(block_misuse, "S3.19 bad frees of the block heap change nothing")
{
	skip_but_block();
	char *start = (char *)kernel.heap.start;
	char *block = kmalloc(2 * LOAM_HEAP_BLOCK_SIZE);
	EXPECT(block != NULL);
	ktest_expect_misuse(6);
	kfree(start - LOAM_HEAP_BLOCK_SIZE); /* below: a negative index */
	kfree(start + kernel.heap.size_bytes);
	kfree(block + 1);
	kfree(block + LOAM_HEAP_BLOCK_SIZE); /* inside */
	EXPECT_EQ(ksize(block), 2 * LOAM_HEAP_BLOCK_SIZE);
	kfree(block);
	kfree(block); /* a second time */
	kfree(start + kernel.heap.size_bytes - LOAM_HEAP_BLOCK_SIZE);
	kfree(NULL);
}

/* -------- the buddy heap -------- */

static size_t buddy_pages_of(size_t size_bytes)
{
	size_t before = own.window.mapped_pages;
	void *block = loam_heap_alloc(&own.heap, size_bytes);

	EXPECT(block != NULL);
	size_t pages = own.window.mapped_pages - before;
	loam_heap_free(&own.heap, block);
	loam_page_window_settle(&own.window);
	return pages;
}

KTEST(buddy_pages, "S4.21 S4.24 pages of a request: header and all, rounded up")
{
	const size_t header = sizeof(struct loam_heap_header);
	uint64_t before = ktest_free_frames();

	own_start(&loam_heap_buddy);
	EXPECT_EQ(buddy_pages_of(1), 1);
	EXPECT_EQ(buddy_pages_of(4096 - header), 1);
	EXPECT_EQ(buddy_pages_of(4096 - header + 1), 2);
	EXPECT_EQ(buddy_pages_of(5 * 4096 - header), 5);
	own_check();
	own_end();
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(buddy_again,
      "S4.22 S4.25 S4.26 the buddy heap: header, and again and again")
{
	own_start(&loam_heap_buddy);
	loam_heap_free(&own.heap, loam_heap_alloc(&own.heap, 1));
	loam_page_window_settle(&own.window);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	for (unsigned round = 0; round < 2000; round++) {
		size_t size = 1 + round * 37u % 30000;
		char *block = loam_heap_alloc(&own.heap, size);
		EXPECT(block != NULL);
		struct loam_heap_header header;
		memcpy(&header, block - sizeof(header), sizeof(header));
		EXPECT_EQ(header.size, size);
		block[size - 1] = 1;
		loam_heap_free(&own.heap, block);
		loam_page_window_settle(&own.window);
	}
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	own_check();
	own_end();
}

KTEST(buddy_smashed, "S4.23 S4.28 a smashed header and a second free are found")
{
	own_start(&loam_heap_buddy);
	char *block = loam_heap_alloc(&own.heap, 100);
	EXPECT(block != NULL);
	ktest_expect_misuse(3);
	block[-1] ^= 0x20;
	loam_heap_free(&own.heap, block);
	EXPECT_LOG("heap buddy: free of");
	EXPECT_EQ(loam_heap_usable(&own.heap, block), 0);
	EXPECT_EQ(own.heap.live_blocks, 1);
	block[-1] ^= 0x20;
	loam_heap_free(&own.heap, block);
	EXPECT_EQ(own.heap.live_blocks, 0);
	loam_heap_free(&own.heap, block);
	own_check();
	own_end();
}

/* -------- frames from the list through the free ones -------- */

static void skip_but_list(void)
{
	if (!kernel.choice.list_frames) {
		ktest_skip("pages=xv6 was not picked");
	}
}

static loam_pfn_t list_take(enum loam_owner owner)
{
	return loam_frame_alloc(&kernel.frames, 0, LOAM_OWNED_BY(owner));
}

/* Tables come from a reserve; this makes good what was taken out of it. */
static void refill_reserve(void)
{
	vfree(vmalloc(1));
}

KTEST(list_consumers, "S2.1 tables, processes and stacks draw from the list")
{
	static struct loam_proc space;
	uint64_t before[LOAM_OWNER_COUNT];
	uint64_t now[LOAM_OWNER_COUNT];

	skip_but_list();
	refill_reserve();
	loam_frame_count_owners(&kernel.frames, before);
	EXPECT_EQ(loam_proc_create(&spaces, &space, "test"), 0);
	refill_reserve();
	loam_pfn_t user = list_take(LOAM_OWNER_USER);
	loam_pfn_t stack = list_take(LOAM_OWNER_STACK);
	loam_frame_count_owners(&kernel.frames, now);
	EXPECT(now[LOAM_OWNER_TABLE] > before[LOAM_OWNER_TABLE]);
	EXPECT_EQ(now[LOAM_OWNER_USER], before[LOAM_OWNER_USER] + 1);
	EXPECT_EQ(now[LOAM_OWNER_STACK], before[LOAM_OWNER_STACK] + 1);
	loam_frame_free(&kernel.frames, user, 0);
	loam_frame_free(&kernel.frames, stack, 0);
	loam_proc_destroy(&space);
}

KTEST(list_steps, "S2.10 S2.18 the list's two steps have all of the zones")
{
	struct loam_zone_stats dma;
	struct loam_zone_stats normal;

	skip_but_list();
	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_DMA, &dma);
	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_NORMAL, &normal);
	EXPECT(kernel.list_first > 0);
	/* What bring-up gave back came later. */
	EXPECT(kernel.list_first + kernel.list_rest <=
	       dma.managed + normal.managed);
	EXPECT_EQ(dma.untouched + normal.untouched, 0);
	EXPECT_EQ(dma.cached, dma.free);
	EXPECT_EQ(normal.cached, normal.free);
}

KTEST(list_lifo, "S2.9 S2.13 the list: last in, first out, and one by one")
{
	skip_but_list();
	loam_pfn_t a = list_take(LOAM_OWNER_NONE);
	loam_pfn_t b = list_take(LOAM_OWNER_NONE);
	EXPECT(a != LOAM_PFN_NONE && b != LOAM_PFN_NONE);
	loam_frame_free(&kernel.frames, a, 0);
	loam_frame_free(&kernel.frames, b, 0);
	EXPECT_EQ(list_take(LOAM_OWNER_NONE), b);
	EXPECT_EQ(list_take(LOAM_OWNER_NONE), a);
	const unsigned char *page = loam_host_phys_to_virt(loam_pfn_to_phys(a));
	EXPECT_EQ(page[8], LOAM_RUNS_JUNK); /* S2.16 */
	loam_frame_free(&kernel.frames, a, 0);
	loam_frame_free(&kernel.frames, b, 0);
	EXPECT_EQ(loam_frame_alloc(&kernel.frames, 1, 0), LOAM_PFN_NONE);
	ktest_expect_misuse(2);
	loam_frame_free(&kernel.frames, b, 0);
	EXPECT_LOG("it is free already");
	loam_frame_free(&kernel.frames, 0xB8, 0);
	EXPECT_LOG("a hole or reserved");
}

KTEST(list_tables, "S2.12 maps consume frames: one for 4 MiB, and a directory")
{
	static struct loam_pt pt;
	loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, 0);
	size_t span = (size_t)LOAM_PAGE_SIZE
		      << kernel.pt.geometry->index_bits[0];
	uintptr_t at = kernel.layout.user[2].base;

	EXPECT(pfn != LOAM_PFN_NONE);
	refill_reserve();
	uint64_t before = ktest_free_frames();
	EXPECT_EQ(loam_pt_init(&pt, kernel.pt.geometry, &loam_kspace_pt_ops,
			       NULL, &kernel.kspace),
		  0);
	for (unsigned table = 0; table < 5; table++) {
		EXPECT_EQ(loam_pt_map(&pt, at + table * span,
				      loam_pfn_to_phys(pfn), LOAM_PAGE_SIZE,
				      LOAM_PROT_WRITE, false),
			  0);
	}
	size_t tables = loam_pt_count_tables(&pt);
	EXPECT(tables >= 5 + 1);
	refill_reserve();
	EXPECT_EQ(ktest_free_frames(), before - tables);
	loam_pt_fini(&pt);
	EXPECT_EQ(ktest_free_frames(), before);
	loam_frame_free(&kernel.frames, pfn, 0);
}

KTEST(kalloc_temp_refused,
      "S2.2 kalloc_temp is refused once frames are handed out")
{
	ktest_expect_misuse(1);
	EXPECT(kalloc_temp(64) == NULL);
	EXPECT_LOG("after the frames took over");
}

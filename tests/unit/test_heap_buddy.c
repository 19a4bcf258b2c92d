/* SPDX-License-Identifier: MIT */
/* The buddy heap over a real buddy and simulated frames: what seed 004 asks. */
#include <sys/mman.h>

#include <loam/bits.h>
#include <loam/buddy.h>
#include <loam/heap.h>
#include <loam/mem.h>

#include "test.h"

#define FRAMES 1024u /* of physical memory */
#define PAGES 4096u  /* of the window */
#define PAGE ((size_t)LOAM_PAGE_SIZE)
#define HEADER sizeof(struct loam_heap_header)

/*
 * The kernel around the heap. Frames are a memory file, shown in the window by
 * mmap; `real` false leaves the window mapped and keeps the books only.
 */
static struct {
	unsigned char *window;
	bool real;
	struct loam_buddy buddy;
	uint32_t map[FRAMES / LOAM_CHUNK_FRAMES * LOAM_CHUNK_MAP_WORDS];
	struct loam_frame frames[FRAMES];
	uint32_t tags[FRAMES];
	size_t taken;       /* frames behind blocks */
	size_t table_pages; /* of the heap's own */
	size_t mapped;      /* pages that show frames */
	unsigned takes_left;
	unsigned maps_left;
	char trace[64];
} kernel;

static struct loam_heap heap;

static void trace(char what, unsigned number)
{
	size_t length = strlen(kernel.trace);
	snprintf(kernel.trace + length, sizeof(kernel.trace) - length, "%c%u ",
		 what, number);
}

static void show(void *start, size_t count, int prot, int flags, int fd,
		 loam_phys_t at)
{
	EXPECT(mmap(start, count * PAGE, prot, flags | MAP_FIXED, fd,
		    (off_t)at) == start);
}

static size_t own_map(void *context, void *start, size_t count)
{
	(void)context;
	kernel.table_pages += count;
	show(start, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	     -1, 0);
	return count;
}

static void own_unmap(void *context, void *start, size_t count)
{
	(void)context;
	kernel.table_pages -= count;
	show(start, count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static loam_phys_t take_block(void *context, unsigned order)
{
	EXPECT(context == &kernel);
	trace('t', order);
	if (kernel.takes_left == 0) {
		return LOAM_PHYS_NONE;
	}
	loam_pfn_t pfn =
		loam_buddy_alloc(&kernel.buddy, order, LOAM_TAG_USED | order);
	if (pfn == LOAM_PFN_NONE) {
		return LOAM_PHYS_NONE;
	}
	kernel.takes_left--;
	kernel.taken += (size_t)1 << order;
	return loam_pfn_to_phys(pfn);
}

static void give_block(void *context, loam_phys_t block, unsigned order)
{
	loam_pfn_t pfn = loam_phys_to_pfn(block);
	EXPECT(context == &kernel);
	trace('g', order);
	EXPECT(pfn < FRAMES);
	EXPECT_EQ(kernel.tags[pfn], LOAM_TAG_USED | order);
	loam_buddy_free(&kernel.buddy, pfn, order);
	kernel.taken -= (size_t)1 << order;
}

static bool map_block(void *context, void *start, loam_phys_t block,
		      size_t count)
{
	EXPECT(context == &kernel);
	trace('m', (unsigned)count);
	if (kernel.maps_left == 0) {
		return false;
	}
	kernel.maps_left--;
	kernel.mapped += count;
	if (kernel.real) {
		show(start, count, PROT_READ | PROT_WRITE, MAP_SHARED,
		     hosted_memory.fd, block);
	}
	return true;
}

static void unmap_block(void *context, void *start, size_t count)
{
	EXPECT(context == &kernel);
	trace('u', (unsigned)count);
	kernel.mapped -= count;
	if (kernel.real) {
		show(start, count, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	}
}

static const struct loam_heap_owner owner = {
	.map_pages = own_map,
	.unmap_pages = own_unmap,
	.context = &kernel,
	.take_block = take_block,
	.give_block = give_block,
	.map_block = map_block,
	.unmap_block = unmap_block,
};

static void start(bool real)
{
	memset(&kernel, 0, sizeof(kernel));
	hosted_memory_create(FRAMES * PAGE, FRAMES * PAGE);
	kernel.real = real;
	kernel.window = mmap(
		NULL, PAGES * PAGE, real ? PROT_NONE : PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EXPECT(kernel.window != MAP_FAILED);
	kernel.takes_left = (unsigned)-1;
	kernel.maps_left = (unsigned)-1;
	loam_buddy_init(&kernel.buddy, 0, FRAMES, LOAM_ORDER_MAX, kernel.map,
			kernel.frames, kernel.tags);
	loam_buddy_add(&kernel.buddy, 0, FRAMES);
	struct loam_heap_config config = {
		.start = kernel.window,
		.size_bytes = PAGES * PAGE,
		.owner = &owner,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_buddy, &config), 0);
	EXPECT_EQ(loam_heap_check(&heap), 0);
}

static void expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&heap), 0);
	EXPECT_EQ(kernel.taken, kernel.mapped);
	EXPECT_EQ(kernel.taken + kernel.table_pages, heap.mapped_pages);
	EXPECT_EQ(kernel.buddy.free_frames, FRAMES - kernel.taken);
}

/* Nothing is live: no frame, no range and no address is missing. */
static void finish(void)
{
	struct loam_heap_block block = { .address = NULL };
	expect_sound();
	EXPECT_EQ(kernel.taken, 0);
	EXPECT_EQ(kernel.buddy.free_frames, FRAMES);
	EXPECT_EQ(kernel.buddy.free_blocks[LOAM_ORDER_MAX],
		  FRAMES / LOAM_CHUNK_FRAMES);
	EXPECT_EQ(loam_buddy_check(&kernel.buddy, FRAMES), 0);
	/* One range of free addresses: all of them. */
	EXPECT(!loam_heap_walk(&heap, &block));
	EXPECT_EQ(heap.buddy.top, 1);
	loam_heap_destroy(&heap);
	EXPECT_EQ(kernel.table_pages, 0);
	munmap(kernel.window, PAGES * PAGE);
	hosted_memory_destroy();
}

static void *must_alloc(size_t size)
{
	void *at = loam_heap_alloc(&heap, size);
	EXPECT(at != NULL);
	EXPECT(loam_heap_usable(&heap, at) >= size);
	return at;
}

/* ------------------------------------------------------------- the way down */

TEST(trace_small, "S4.21 bytes, pages, buddy, physical, address, map, header")
{
	start(true);
	kernel.trace[0] = '\0';
	unsigned char *at = must_alloc(100);
	EXPECT(strcmp(kernel.trace, "t0 m1 ") == 0);
	/* What is written there is in the frame, header and all. */
	at[0] = 0x5a;
	loam_phys_t frame = 0;
	while (hosted_memory.direct[frame + 16] != 0x5a) {
		frame += PAGE;
		EXPECT(frame < FRAMES * PAGE);
	}
	EXPECT_EQ(kernel.tags[frame / PAGE], LOAM_TAG_USED);
	const struct loam_heap_header *header =
		(void *)(hosted_memory.direct + frame + 16 - HEADER);
	EXPECT_EQ(header->size, 100);
	kernel.trace[0] = '\0';
	loam_heap_free(&heap, at);
	EXPECT(strcmp(kernel.trace, "u1 g0 ") == 0);
	finish();
}

TEST(trace_large, "S4.21 many pages are blocks of the buddy, the largest first")
{
	start(true);
	kernel.trace[0] = '\0';
	unsigned char *at = must_alloc(7 * PAGE - 16);
	EXPECT(strcmp(kernel.trace, "t2 m4 t1 m2 t0 m1 ") == 0);
	memset(at, 0x77, 7 * PAGE - 16);
	kernel.trace[0] = '\0';
	loam_heap_free(&heap, at);
	EXPECT(strcmp(kernel.trace, "u7 g2 g1 g0 ") == 0);
	finish();
}

TEST(smaller_blocks, "S4.21 smaller blocks do where the buddy has no large one")
{
	void *held[FRAMES];
	start(true);
	for (unsigned i = 0; i < FRAMES; i++) {
		held[i] = must_alloc(PAGE - 16);
	}
	/* Every second frame comes free: no block of two is to be had. */
	for (unsigned i = 0; i < FRAMES; i += 2) {
		loam_heap_free(&heap, held[i]);
	}
	expect_sound();
	unsigned char *at = must_alloc(200 * PAGE);
	memset(at, 0x33, 200 * PAGE);
	expect_sound();
	EXPECT(loam_heap_alloc(&heap, 400 * PAGE) == NULL);
	expect_sound();
	loam_heap_free(&heap, at);
	for (unsigned i = 1; i < FRAMES; i += 2) {
		loam_heap_free(&heap, held[i]);
	}
	finish();
}

/* ------------------------------------------------------------- the header */

TEST(header, "S4.22 size and magic number stand directly before the pointer")
{
	struct block_header {
		size_t size;
		uint32_t magic;
	};
	start(true);
	for (size_t size = 1; size < 30000; size = size * 3 + 1) {
		unsigned char *at = must_alloc(size);
		const struct block_header *seen =
			(const void *)(at - sizeof(*seen));
		EXPECT_EQ(seen->size, size);
		EXPECT(seen->magic != 0);
		loam_heap_free(&heap, at);
	}
	EXPECT_EQ(sizeof(struct block_header), HEADER);
	EXPECT(sizeof(void *) != 4 || HEADER == 8);
	finish();
}

TEST(pages_of_size, "S4.24 S4.10 a block takes the pages of size and header")
{
	start(false);
	for (size_t size = 1; size < 5 * PAGE;
	     size += size % PAGE < 4000 ? 37 : 1) {
		unsigned char *at = must_alloc(size);
		EXPECT_EQ(kernel.taken, (size + HEADER + PAGE - 1) / PAGE);
		bool narrow = HEADER == 8 && (size - 1) % PAGE >= 4080 &&
			      (size - 1) % PAGE < 4088;
		EXPECT_EQ((uintptr_t)at % PAGE, narrow ? 8 : 16);
		at[0] = 1;
		at[size - 1] = 1;
		loam_heap_free(&heap, at);
		EXPECT_EQ(kernel.taken, 0);
	}
	/* The numbers of 32-bit machines. */
	if (HEADER == 8) {
		void *at = must_alloc(4088);
		EXPECT_EQ(kernel.taken, 1);
		loam_heap_free(&heap, at);
		at = must_alloc(4089);
		EXPECT_EQ(kernel.taken, 2);
		loam_heap_free(&heap, at);
	}
	finish();
}

TEST(smashed, "S4.23 one byte below the pointer: reported, and nothing freed")
{
	start(true);
	unsigned char *at = must_alloc(5000);
	for (size_t i = 1; i <= 16; i++) {
		at[-(ptrdiff_t)i] ^= 0x01;
		unsigned long reports = loam_misuse_count();
		hosted_log_clear();
		loam_heap_free(&heap, at);
		EXPECT_LOG("its header is corrupt");
		EXPECT_EQ(loam_heap_usable(&heap, at), 0);
		EXPECT_EQ(loam_misuse_count(), reports + 2);
		EXPECT_EQ(kernel.taken, 2);
		EXPECT(loam_heap_check(&heap) == -LOAM_EFAULT);
		at[-(ptrdiff_t)i] ^= 0x01;
		expect_sound();
	}
	loam_heap_free(&heap, at);
	finish();
}

TEST(magic_changes, "S4.28 the magic number changes on free; twice is reported")
{
	start(true);
	unsigned char *at = must_alloc(100);
	loam_phys_t frame = 0;
	memset(at, 0x5a, 100);
	while (hosted_memory.direct[frame + 16] != 0x5a) {
		frame += PAGE;
	}
	uint32_t live;
	uint32_t freed;
	const unsigned char *magic =
		hosted_memory.direct + frame + 16 - HEADER + sizeof(size_t);
	memcpy(&live, magic, sizeof(live));
	loam_heap_free(&heap, at);
	memcpy(&freed, magic, sizeof(freed));
	EXPECT(live != freed);
	/* The page is gone; that is told without it. */
	hosted_log_clear();
	unsigned long reports = loam_misuse_count();
	void *wall = must_alloc(100);
	void *other = must_alloc(100);
	loam_heap_free(&heap, wall);
	loam_heap_free(&heap, wall);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("already free");
	EXPECT_EQ(kernel.taken, 1);
	loam_heap_free(&heap, other);
	finish();
}

TEST(narrow_twice, "S4.28 a double free is one at every alignment")
{
	start(true);
	unsigned char *at = must_alloc(PAGE - HEADER);
	void *wall = must_alloc(1);
	loam_heap_free(&heap, at);
	hosted_log_clear();
	loam_heap_free(&heap, at);
	EXPECT_LOG("already free");
	loam_heap_free(&heap, wall);
	finish();
}

/* ------------------------------------------------------------- addresses */

TEST(same_address, "S4.26 alloc, free and alloc at the same address works")
{
	start(true);
	unsigned char *first = must_alloc(3000);
	for (unsigned i = 0; i < 100; i++) {
		memset(first, (int)i, 3000);
		loam_heap_free(&heap, first);
		EXPECT(must_alloc(3000) == first);
		expect_sound();
	}
	loam_heap_free(&heap, first);
	finish();
}

TEST(coalesce, "S4.29 ranges of addresses merge in every order of frees")
{
	start(true);
	for (unsigned order = 0; order < 24; order++) {
		void *blocks[4];
		unsigned left[4] = { 0, 1, 2, 3 };
		unsigned code = order;
		void *wall = must_alloc(1);
		for (unsigned i = 0; i < 4; i++) {
			blocks[i] = must_alloc((i + 1) * PAGE);
		}
		void *behind = must_alloc(1);
		for (unsigned n = 4; n > 0; n--) {
			unsigned pick = code % n;
			code /= n;
			loam_heap_free(&heap, blocks[left[pick]]);
			left[pick] = left[n - 1];
			expect_sound();
		}
		struct loam_heap_stats stats;
		loam_heap_stats(&heap, &stats);
		EXPECT_EQ(stats.free_blocks, 1);
		EXPECT_EQ(stats.free_bytes, 14 * PAGE - 16);
		loam_heap_free(&heap, wall);
		loam_heap_free(&heap, behind);
		EXPECT_EQ(heap.buddy.top, 1);
	}
	finish();
}

TEST(addresses_run_out, "S4.27 a full window gives NULL, and takes no frame")
{
	start(false);
	/* The table leaves less than all; no frames are short. */
	size_t room = heap.buddy.total;
	void *half = must_alloc(room / 8 * PAGE);
	size_t taken = kernel.taken;
	EXPECT(loam_heap_alloc(&heap, room * PAGE) == NULL);
	EXPECT(loam_heap_alloc(&heap, (room - room / 8) * PAGE) == NULL);
	EXPECT_EQ(kernel.taken, taken);
	expect_sound();
	loam_heap_free(&heap, half);
	finish();
}

/* ------------------------------------------------------------- failures */

/* A request of 13 pages meets a failure at every step it takes. */
static void fail_each(unsigned *left)
{
	start(true);
	void *wall = must_alloc(5000);
	/* A free range in the middle, and the fresh end. */
	void *hole = must_alloc(20 * PAGE);
	void *last = must_alloc(5000);
	loam_heap_free(&heap, hole);
	for (unsigned round = 0; round < 2; round++) {
		void *got = NULL;
		unsigned n = 0;
		while (got == NULL) {
			struct loam_heap before;
			size_t taken = kernel.taken;
			memcpy(&before, &heap, sizeof(heap));
			*left = n;
			got = loam_heap_alloc(&heap, 13 * PAGE - 100);
			*left = (unsigned)-1;
			expect_sound();
			if (got == NULL) {
				before.failed++;
				before.peak_mapped_pages =
					heap.peak_mapped_pages;
				EXPECT_EQ(kernel.taken, taken);
				EXPECT_EQ(memcmp(&before, &heap, sizeof(heap)),
					  0);
			}
			EXPECT(n++ < 20);
		}
		/* Blocks of 8, 4 and 1: it works with three of each. */
		EXPECT_EQ(n, 4);
		if (round == 0) {
			hole = got;
		} else {
			loam_heap_free(&heap, got);
		}
	}
	loam_heap_free(&heap, hole);
	loam_heap_free(&heap, wall);
	loam_heap_free(&heap, last);
	finish();
}

TEST(nth_take, "S4.27 the nth block of frames fails: all is rolled back")
{
	fail_each(&kernel.takes_left);
}

TEST(nth_map, "S4.27 the nth mapping fails: all is rolled back")
{
	fail_each(&kernel.maps_left);
}

TEST(too_much, "S4.27 more than there is, or can be, gives NULL")
{
	start(true);
	static const size_t sizes[] = {
		FRAMES * PAGE, 2 * FRAMES * PAGE, PAGES * PAGE,
		(size_t)-1,    (size_t)-8,        (size_t)-17,
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		EXPECT(loam_heap_alloc(&heap, sizes[i]) == NULL);
		expect_sound();
		EXPECT_EQ(kernel.taken, 0);
	}
	EXPECT(loam_heap_alloc(&heap, 0) == NULL);
	/* All of memory but the header is a block. */
	void *all = must_alloc(FRAMES * PAGE - 16);
	EXPECT_EQ(kernel.taken, FRAMES);
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	loam_heap_free(&heap, all);
	finish();
}

TEST(half_an_owner, "S4.21 an owner with half a physical side is refused")
{
	start(true);
	struct loam_heap_owner half = owner;
	struct loam_heap other;
	struct loam_heap_config config = {
		.start = kernel.window,
		.size_bytes = 64 * PAGE,
		.owner = &half,
	};
	half.give_block = NULL;
	EXPECT_EQ(loam_heap_create(&other, &loam_heap_buddy, &config),
		  -LOAM_EINVAL);
	finish();
}

/* ------------------------------------------------------------- resize */

TEST(resize, "S4.21 resize gives whole blocks back, and adds blocks in place")
{
	start(true);
	unsigned char *at = must_alloc(7 * PAGE - 16);
	memset(at, 0x42, 7 * PAGE - 16);
	/* Blocks of 4, 2 and 1: three pages keep the block of four. */
	EXPECT(loam_heap_resize(&heap, at, 2 * PAGE) == at);
	EXPECT_EQ(kernel.taken, 4);
	expect_sound();
	EXPECT(loam_heap_resize(&heap, at, 6 * PAGE - 16) == at);
	EXPECT_EQ(kernel.taken, 6);
	expect_sound();
	for (size_t i = 0; i < 2 * PAGE; i++) {
		EXPECT_EQ(at[i], 0x42);
	}
	void *wall = must_alloc(1);
	unsigned char *moved = loam_heap_resize(&heap, at, 9 * PAGE);
	EXPECT(moved != NULL && moved != at);
	for (size_t i = 0; i < 2 * PAGE; i++) {
		EXPECT_EQ(moved[i], 0x42);
	}
	EXPECT_EQ(kernel.taken, 11);
	expect_sound();
	loam_heap_free(&heap, moved);
	loam_heap_free(&heap, wall);
	finish();
}

/* ------------------------------------------------------------- long runs */

#define SLOTS 200u

/* Random sizes up to 16 pages; a check every `period` operations. */
static void run(bool real, unsigned steps, unsigned period)
{
	static unsigned char *slots[SLOTS];
	uint64_t random = 0xb0dd1;
	memset(slots, 0, sizeof(slots));
	start(real);
	for (unsigned step = 0; step < steps; step++) {
		uint64_t dice = hosted_random(&random);
		unsigned char **slot = &slots[dice % SLOTS];
		unsigned bits = 4 + (unsigned)(dice >> 16) % 13;
		size_t size = 1 + ((uint32_t)(dice >> 32) & ((1u << bits) - 1));
		if (step % 512 == 0) {
			kernel.takes_left =
				(dice >> 20) % 8 == 0 ? 5 : (unsigned)-1;
		}
		kernel.trace[0] = '\0';
		if (*slot != NULL && dice >> 60 < 8) {
			loam_heap_free(&heap, *slot);
			*slot = NULL;
		} else {
			unsigned char *at =
				loam_heap_resize(&heap, *slot, size);
			if (at != NULL) {
				at[size - 1] = (unsigned char)step;
				*slot = at;
			}
		}
		if (step % period == 0) {
			expect_sound();
		}
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		loam_heap_free(&heap, slots[i]);
	}
	finish();
}

TEST(long_run, "S4.25 S4.29 a million operations lose no frame and no address")
{
	run(false, 1000000, 1024);
}

TEST(mapped_run, "S4.25 S4.29 the same with real mappings, checked each time")
{
	run(true, 5000, 1);
}

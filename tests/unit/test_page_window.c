/* SPDX-License-Identifier: MIT */
/* Page windows: what a heap's owner maps and unmaps, and when frames go. */
#include <loam/heap.h>
#include <loam/page_window.h>

#include "kspace_fixture.h"

#define HEAP_AT 0xD0000000u
#define HEAP_BYTES ((size_t)LOAM_MIB(4))

static struct loam_page_window window;
static struct loam_heap heap;
static struct loam_heap_owner owner;

static uintptr_t heap_base(void)
{
	return (uintptr_t)emu_host(HEAP_AT);
}

static void start(void)
{
	machine_start();
	EXPECT_EQ(loam_page_window_init(&window, &machine.kspace, heap_base(),
					HEAP_BYTES),
		  0);
	loam_page_window_owner(&window, &owner);
}

static void start_design(const struct loam_heap_ops *ops)
{
	start();
	const struct loam_heap_config config = {
		.start = (void *)heap_base(),
		.size_bytes = HEAP_BYTES,
		.owner = &owner,
	};
	EXPECT_EQ(loam_heap_create(&heap, ops, &config), 0);
}

static void start_heap(void)
{
	start_design(&loam_heap_bestfit);
}

static void check(void)
{
	EXPECT_EQ(loam_page_window_check(&window), 0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	machine_check();
}

static void *page(unsigned n)
{
	return (char *)heap_base() + n * PAGE;
}

TEST(tables, "S0.10 S0.11 all tables before the first page, one for 4 MiB")
{
	machine_start();
	size_t tables = loam_pt_count_tables(&machine.pt);
	uint64_t before = free_frames();
	EXPECT_EQ(loam_page_window_init(&window, &machine.kspace, heap_base(),
					4 * HEAP_BYTES),
		  0);
	EXPECT_EQ(loam_pt_count_tables(&machine.pt), tables + 4);
	EXPECT(free_frames() <= before);
	EXPECT_EQ(
		loam_pt_tables_needed(&machine.pt, heap_base(), 4 * HEAP_BYTES),
		0);
	EXPECT_EQ(loam_page_window_map(&window, page(3), 1024), 1024);
	EXPECT_EQ(loam_pt_count_tables(&machine.pt), tables + 4);
	loam_page_window_fini(&window);
	machine_end();
}

TEST(heap_start, "S0.11 S0.15 a heap has two pages when it starts")
{
	start_heap();
	EXPECT_EQ(window.mapped_pages, 2);
	EXPECT(!read_faults(page(0)));
	EXPECT(!read_faults(page(1)));
	EXPECT(read_faults(page(2)));
	check();
	loam_heap_destroy(&heap);
	loam_page_window_settle(&window);
	EXPECT_EQ(window.mapped_pages, 0);
	EXPECT(read_faults(page(0)));
	check();
	machine_end();
}

TEST(grow, "S0.17 S0.28 S0.35 growth maps all pages, contraction unmaps them")
{
	start_heap();
	uint64_t before = free_frames();
	for (unsigned round = 0; round < 3; round++) {
		unsigned char *block = loam_heap_alloc(&heap, 40000);
		EXPECT(block != NULL);
		memset(block, (int)round + 1, 40000);
		EXPECT_EQ(window.mapped_pages, 11);
		loam_heap_free(&heap, block);
		EXPECT_EQ(window.mapped_pages, 2);
		loam_page_window_settle(&window);
		/* Nothing of it is reachable, by no old translation either. */
		for (unsigned n = 2; n < 11; n++) {
			EXPECT(read_faults(page(n)));
		}
		EXPECT_EQ(free_frames(), before);
		check();
	}
	loam_heap_destroy(&heap);
	loam_page_window_settle(&window);
	machine_end();
}

TEST(stale, "S0.35 frames are set aside until every CPU has flushed")
{
	start();
	uint64_t before = free_frames();
	EXPECT_EQ(loam_page_window_map(&window, page(0), 40), 40);
	EXPECT_EQ(free_frames(), before - 40);
	unsigned long asked = hosted_shootdowns;
	loam_page_window_unmap(&window, page(10), 20);
	loam_page_window_unmap(&window, page(0), 5);
	EXPECT_EQ(hosted_shootdowns, asked); /* not under the owner's lock */
	EXPECT_EQ(free_frames(), before - 40);
	EXPECT_EQ(window.unsettled, 1);
	loam_page_window_settle(&window);
	EXPECT_EQ(hosted_shootdowns, asked + 1);
	EXPECT_EQ(free_frames(), before - 15);
	EXPECT_EQ(window.unsettled, 0);
	loam_page_window_settle(&window);
	EXPECT_EQ(hosted_shootdowns, asked + 1);
	check();
	loam_page_window_fini(&window);
	EXPECT_EQ(free_frames(), before);
	machine_end();
}

TEST(remap, "S0.35 a page that comes back at once has its new frame")
{
	start();
	EXPECT_EQ(loam_page_window_map(&window, page(0), 1), 1);
	*(volatile unsigned char *)page(0) = 1; /* its translation is cached */
	loam_phys_t old = phys_of(page(0));
	loam_page_window_unmap(&window, page(0), 1);
	EXPECT_EQ(loam_page_window_map(&window, page(0), 1), 1);
	EXPECT(phys_of(page(0)) != old);
	*(volatile unsigned char *)page(0) = 2;
	unsigned char byte = 0;
	memory_read(phys_of(page(0)), &byte, 1);
	EXPECT_EQ(byte, 2);
	memory_read(old, &byte, 1);
	EXPECT_EQ(byte, 1);
	loam_page_window_settle(&window);
	check();
	loam_page_window_fini(&window);
	machine_end();
}

TEST(enter, "S0.20 another CPU forgets what was taken away before it looks")
{
	start();
	EXPECT_EQ(loam_page_window_map(&window, page(0), 2), 2);
	EXPECT(!read_faults(page(1)));
	loam_page_window_unmap(&window, page(1), 1);
	/* Not settled yet: who enters must not see the old page. */
	loam_page_window_enter(&window);
	EXPECT(read_faults(page(1)));
	EXPECT(!read_faults(page(0)));
	loam_page_window_settle(&window);
	check();
	loam_page_window_fini(&window);
	machine_end();
}

TEST(nth, "S0.25 failing the nth frame of a growth leaves all as it was")
{
	start_heap();
	for (unsigned nth = 1;; nth++) {
		uint64_t before = free_frames();
		loam_frame_fail_nth(&machine.frames, nth);
		void *block = loam_heap_alloc(&heap, 100000);
		loam_frame_fail_nth(&machine.frames, 0);
		loam_page_window_settle(&window);
		if (block != NULL) {
			EXPECT(nth > 20);
			break;
		}
		EXPECT_EQ(free_frames(), before);
		EXPECT_EQ(window.mapped_pages, 2);
		check();
	}
	loam_heap_destroy(&heap);
	loam_page_window_settle(&window);
	machine_end();
}

TEST(exhausted, "S0.24 S0.25 memory runs out before the window does")
{
	machine_start();
	EXPECT_EQ(loam_page_window_init(&window, &machine.kspace, heap_base(),
					LOAM_MIB(64)),
		  0);
	uint64_t before = free_frames();
	size_t got = loam_page_window_map(&window, page(0), 16384);
	EXPECT(got > 8192 && got < 16384);
	EXPECT(free_frames() < 16);
	check();
	loam_page_window_unmap(&window, page(0), got);
	loam_page_window_settle(&window);
	EXPECT_EQ(free_frames(), before);
	machine_end();
}

TEST(refused, "S0.23 windows that cannot be are refused, nothing changes")
{
	machine_start();
	uint64_t before = free_frames();
	const struct {
		uintptr_t base;
		size_t size;
	} bad[] = {
		{ heap_base(), 0 },
		{ heap_base() + 1, PAGE },
		{ heap_base(), PAGE + 1 },
		{ machine.config.window_base, PAGE },
		{ machine.config.window_base - PAGE, 2 * PAGE },
		{ machine.config.temp_base + PAGE, PAGE },
		{ (uintptr_t)0 - PAGE, 2 * PAGE },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_page_window_init(&window, &machine.kspace,
						bad[i].base, bad[i].size),
			  -LOAM_EINVAL);
	}
	EXPECT_EQ(free_frames(), before);
	machine_end();
}

TEST(outside, "misuse: pages outside of the window stop the machine")
{
	start();
	EXPECT_EQ(owner.prepare(&window, page(0), HEAP_BYTES), 0);
	EXPECT_EQ(owner.prepare(&window, page(1), HEAP_BYTES), -LOAM_EINVAL);
	EXPECT_PANIC(loam_page_window_map(&window, page(1020), 5),
		     "window_holds");
	EXPECT_PANIC(loam_page_window_map(&window, page(0), SIZE_MAX),
		     "count_pages");
	EXPECT_PANIC(loam_page_window_unmap(&window, (char *)page(0) - PAGE, 1),
		     "window_holds");
	EXPECT(!loam_page_window_has(&window, page(1024)));
	machine_end();
}

TEST(check_sees, "check() sees a page that the window does not know of")
{
	start();
	EXPECT_EQ(loam_page_window_map(&window, page(0), 3), 3);
	check();
	window.mapped_pages++;
	EXPECT_EQ(loam_page_window_check(&window), -LOAM_EFAULT);
	window.mapped_pages--;
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	loam_lock(&machine.kspace.lock);
	EXPECT_EQ(loam_pt_map(&machine.pt, (uintptr_t)page(9),
			      loam_pfn_to_phys(pfn), PAGE, LOAM_PROT_WRITE,
			      false),
		  0);
	loam_unlock(&machine.kspace.lock);
	EXPECT_EQ(loam_page_window_check(&window), -LOAM_EFAULT);
	loam_lock(&machine.kspace.lock);
	EXPECT_EQ(loam_pt_unmap(&machine.pt, (uintptr_t)page(9), PAGE), 1);
	loam_unlock(&machine.kspace.lock);
	loam_frame_free(&machine.frames, pfn, 0);
	loam_page_window_fini(&window);
	machine_end();
}

TEST(write_protected, "S0.34 the window's pages are writable, not the user's")
{
	struct loam_pt_mapping mapping;
	start();
	EXPECT_EQ(loam_page_window_map(&window, page(0), 1), 1);
	EXPECT(!write_faults(page(0)));
	EXPECT_EQ(loam_pt_query(&machine.pt, (uintptr_t)page(0), &mapping), 0);
	EXPECT_EQ(mapping.prot & LOAM_PROT_USER, 0);
	EXPECT((mapping.prot & LOAM_PROT_WRITE) != 0);
	loam_page_window_fini(&window);
	machine_end();
}

TEST(blocks,
     "S4.21 S4.25 the buddy heap has blocks of frames, and gives them back")
{
	start_design(&loam_heap_buddy);
	uint64_t before = free_frames();
	unsigned char *block = loam_heap_alloc(&heap, 8 * PAGE - 100);
	EXPECT(block != NULL);
	memset(block, 0x42, 8 * PAGE - 100);
	loam_phys_t first = phys_of(loam_heap_alloc(&heap, 1) /* its page */);
	EXPECT(first != LOAM_PHYS_NONE);
	/* Eight pages are one block: their frames follow each other. */
	for (unsigned n = 1; n < 8; n++) {
		EXPECT_EQ(phys_of(block + n * PAGE), phys_of(block) + n * PAGE);
	}
	check();
	loam_heap_free(&heap, block);
	EXPECT(free_frames() < before - 8); /* not before a flush */
	loam_page_window_settle(&window);
	EXPECT(read_faults(block));
	EXPECT(free_frames() >= before - 2);
	check();
	EXPECT_EQ(loam_heap_check(&heap), 0);
	loam_heap_destroy(&heap);
	loam_page_window_settle(&window);
	EXPECT_EQ(window.mapped_pages, 0);
	machine_end();
}

TEST(blocks_nth, "S4.27 failing the nth block of frames leaves all as it was")
{
	start_design(&loam_heap_buddy);
	loam_heap_free(&heap, loam_heap_alloc(&heap, 100000));
	loam_page_window_settle(&window);
	for (unsigned nth = 1;; nth++) {
		uint64_t before = free_frames();
		size_t mapped = window.mapped_pages;
		loam_frame_fail_nth(&machine.frames, nth);
		void *block = loam_heap_alloc(&heap, 23 * PAGE);
		uint64_t counted = loam_frame_fail_nth(&machine.frames, 0);
		loam_page_window_settle(&window);
		EXPECT_EQ(loam_heap_check(&heap), 0);
		check();
		if (block != NULL) {
			loam_heap_free(&heap, block);
			loam_page_window_settle(&window);
		}
		EXPECT(window.mapped_pages <= mapped + 1);
		EXPECT(free_frames() + 1 >= before);
		if (counted < nth) {
			break;
		}
	}
	loam_heap_destroy(&heap);
	loam_page_window_settle(&window);
	machine_end();
}

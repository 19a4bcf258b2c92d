/* SPDX-License-Identifier: MIT */
/* pages=xv6: directly mapped frames by the list through the free ones. */
#include <loam/frame_fast.h>

#include "fixture.h"

#define PAGE ((size_t)LOAM_PAGE_SIZE)

/* 48 MiB: 8 for DMA, 16 directly mapped in all, 32 high. */
#define MEMORY_BYTES LOAM_MIB(48)
#define DIRECT_BYTES LOAM_MIB(16)
#define DMA_BYTES LOAM_MIB(8)

static struct fixture machine;

/* Frames, of which none was handed out; a kernel of 300 KiB at 1 MiB. */
static void prepare(void)
{
	hosted_memory_create(MEMORY_BYTES, DIRECT_BYTES);
	memset(&machine, 0, sizeof(machine));
	loam_memmap_init(&machine.map, machine.ranges, 16);
	EXPECT_EQ(loam_memmap_add(&machine.map, PAGE, MEMORY_BYTES - PAGE,
				  LOAM_MEM_USABLE),
		  0);
	EXPECT_EQ(loam_memmap_normalise(&machine.map), 0);
	loam_memblock_init(&machine.memblock, machine.regions, 32);
	EXPECT_EQ(loam_memblock_adopt(&machine.memblock, &machine.map), 0);
	EXPECT_EQ(loam_memblock_reserve(&machine.memblock, LOAM_MIB(1),
					LOAM_KIB(300),
					LOAM_RESERVED_KERNEL_DATA),
		  0);
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock,
				   DMA_BYTES, DIRECT_BYTES, LOAM_GIB(4)),
		  0);
}

static long begin(loam_phys_t first_end)
{
	prepare();
	return loam_frame_list_begin(&machine.frames, first_end);
}

static void start(void)
{
	EXPECT(begin(LOAM_MIB(4)) > 0);
	EXPECT(loam_frame_list_rest(&machine.frames) > 0);
}

/* Usable frames that nobody reserved in [from, end). */
static long unreserved(loam_phys_t from, loam_phys_t end)
{
	long count = 0;
	for (loam_phys_t at = from; at < end; at += PAGE) {
		count += loam_memmap_is_usable(&machine.map, at, PAGE) &&
			 loam_memblock_owner(&machine.memblock, at) ==
				 LOAM_RESERVED_NONE;
	}
	return count;
}

static loam_pfn_t take(loam_flags_t flags)
{
	return loam_frame_alloc(&machine.frames, 0, flags);
}

static void check(void)
{
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(steps, "S2.10 S2.18 the free count after each step equals the formula")
{
	EXPECT_EQ(begin(LOAM_MIB(4)), unreserved(0, LOAM_MIB(4)));
	check();
	EXPECT_EQ(loam_frame_list_rest(&machine.frames),
		  unreserved(LOAM_MIB(4), DIRECT_BYTES));
	check();
	EXPECT_EQ(loam_frame_free_count(&machine.frames),
		  unreserved(0, MEMORY_BYTES));
}

TEST(first_step, "S2.10 between the steps only the first frames can be had")
{
	long count = begin(LOAM_MIB(4));
	for (long i = 0; i < count; i++) {
		loam_pfn_t pfn = take(0);
		EXPECT(pfn != LOAM_PFN_NONE);
		EXPECT(loam_pfn_to_phys(pfn) < LOAM_MIB(4));
	}
	EXPECT_EQ(take(0), LOAM_PFN_NONE);
	EXPECT_EQ(take(LOAM_DMA), LOAM_PFN_NONE);
	check();
	EXPECT(loam_frame_list_rest(&machine.frames) > 0);
	EXPECT(take(0) != LOAM_PFN_NONE);
	check();
}

TEST(order,
     "S2.7 S2.8 the highest frame first, in falling order, over both steps")
{
	start();
	loam_pfn_t last = take(0);
	EXPECT_EQ(last, loam_phys_to_pfn(DIRECT_BYTES) - 1);
	for (;;) {
		loam_pfn_t pfn = take(0);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		EXPECT(pfn < last);
		last = pfn;
	}
	EXPECT_EQ(last, 1);
	check();
}

TEST(lifo, "S2.9 S2.5 S2.16 last in, first out; a free frame is link and junk")
{
	start();
	loam_pfn_t a = take(0);
	loam_pfn_t b = take(0);
	const struct loam_zone *normal =
		&machine.frames.zones[LOAM_ZONE_NORMAL];
	loam_frame_free(&machine.frames, b, 0);
	loam_frame_free(&machine.frames, a, 0);
	unsigned char *page = loam_host_phys_to_virt(loam_pfn_to_phys(a));
	EXPECT((void *)normal->list.free_list == page);
	EXPECT_EQ(page[sizeof(void *)], LOAM_RUNS_JUNK);
	EXPECT((void *)normal->list.free_list->next ==
	       loam_host_phys_to_virt(loam_pfn_to_phys(b)));
	EXPECT_EQ(take(0), a);
	EXPECT_EQ(take(0), b);
	check();
}

TEST(run, "S2.9 no frame of the list goes onto a CPU's stack in a run")
{
	start();
	loam_pfn_t held[3] = { take(0), take(0), take(0) };
	EXPECT_EQ(loam_frame_push_run(&machine.frames, held, 3), 0);
	loam_frame_free_bulk(&machine.frames, 3, held);
	EXPECT_EQ(take(0), held[2]);
	EXPECT_EQ(machine.frames.cpus[0].locals[0].stack.count, 0);
	loam_frame_free(&machine.frames, held[2], 0);
	check();
}

TEST(single, "S2.13 more than one frame cannot be had, and nothing changes")
{
	loam_pfn_t pfns[4];
	start();
	uint64_t before = loam_frame_free_count(&machine.frames);
	EXPECT_EQ(loam_frame_order_max(&machine.frames), 0);
	for (unsigned order = 1; order <= LOAM_ORDER_MAX; order++) {
		EXPECT_EQ(loam_frame_alloc(&machine.frames, order, 0),
			  LOAM_PFN_NONE);
		EXPECT_EQ(loam_frame_alloc(&machine.frames, order, LOAM_DMA),
			  LOAM_PFN_NONE);
	}
	EXPECT_EQ(loam_frame_alloc_range(&machine.frames, 2, 1, 0, 0, 0),
		  LOAM_PFN_NONE);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
	loam_pfn_t one = loam_frame_alloc_range(&machine.frames, 1, 1, 0, 0, 0);
	EXPECT(one != LOAM_PFN_NONE);
	loam_frame_free_range(&machine.frames, one, 1);
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, 4, pfns, 0), 0);
	loam_frame_free_bulk(&machine.frames, 4, pfns);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
	check();
}

TEST(high, "high memory stays with the buddy")
{
	start();
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 3, LOAM_HIGH);
	EXPECT(pfn >= loam_phys_to_pfn(DIRECT_BYTES));
	EXPECT(pfn != LOAM_PFN_NONE);
	loam_frame_free(&machine.frames, pfn, 3);
	check();
}

TEST(labels, "S2.1 X.4 frames of the list have owners, zones and references")
{
	struct loam_frame_info info;
	uint64_t counts[LOAM_OWNER_COUNT];
	start();
	loam_pfn_t table = take(LOAM_OWNED_BY(LOAM_OWNER_TABLE));
	loam_pfn_t user = take(LOAM_OWNED_BY(LOAM_OWNER_USER));
	loam_pfn_t stack = take(LOAM_DMA | LOAM_OWNED_BY(LOAM_OWNER_STACK));
	EXPECT(loam_pfn_to_phys(stack) < DMA_BYTES);
	loam_frame_count_owners(&machine.frames, counts);
	EXPECT_EQ(counts[LOAM_OWNER_TABLE], 1);
	EXPECT_EQ(counts[LOAM_OWNER_USER], 1);
	EXPECT_EQ(counts[LOAM_OWNER_STACK], 1);
	EXPECT_EQ(loam_frame_info(&machine.frames, user, &info), 0);
	EXPECT_EQ(info.owner, LOAM_OWNER_USER);
	EXPECT_EQ(info.state, LOAM_TAG_USED);
	loam_frame_get(&machine.frames, user);
	loam_frame_put(&machine.frames, user);
	EXPECT_EQ(loam_frame_refs(&machine.frames, user), 1);
	loam_frame_put(&machine.frames, user);
	EXPECT_EQ(loam_frame_info(&machine.frames, user, &info), 0);
	EXPECT_EQ(info.state, LOAM_TAG_CACHED);
	loam_frame_free(&machine.frames, table, 0);
	loam_frame_free(&machine.frames, stack, 0);
	check();
}

TEST(zeroed, "LOAM_ZERO clears a frame that is junk")
{
	start();
	loam_pfn_t pfn = take(0);
	memset(loam_host_phys_to_virt(loam_pfn_to_phys(pfn)), 0xA5, PAGE);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT_EQ(take(LOAM_ZERO), pfn);
	const unsigned char *page =
		loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	for (size_t i = 0; i < PAGE; i++) {
		EXPECT_EQ(page[i], 0);
	}
	check();
}

TEST(misuse, "S2.15 S2.20 misuse: bad frees are reported and not obeyed")
{
	start();
	loam_pfn_t pfn = take(0);
	loam_frame_free(&machine.frames, pfn, 0);
	uint64_t before = loam_frame_free_count(&machine.frames);
	loam_frame_free(&machine.frames, pfn, 0);
	EXPECT_LOG("it is free already");
	hosted_log_clear();
	loam_frame_free(&machine.frames, loam_phys_to_pfn(LOAM_MIB(1)), 0);
	EXPECT_LOG("a hole or reserved");
	hosted_log_clear();
	loam_frame_free(&machine.frames, loam_phys_to_pfn(MEMORY_BYTES), 0);
	EXPECT_LOG("beyond memory");
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
	check();
}

TEST(overwritten, "S2.20 a link written over by a former user is not followed")
{
	start();
	loam_pfn_t pfn = take(0);
	loam_pfn_t used = take(0);
	loam_frame_free(&machine.frames, pfn, 0);
	struct loam_run *run = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	run->next = loam_host_phys_to_virt(loam_pfn_to_phys(used));
	EXPECT_EQ(loam_frame_check(&machine.frames), -LOAM_EFAULT);
	EXPECT_EQ(take(0), pfn);
	EXPECT_PANIC((void)take(0), "LOAM_TAG_CACHED");
}

TEST(added, "S2.18 frames that bring-up gives back go onto the list")
{
	start();
	uint64_t before = loam_frame_free_count(&machine.frames);
	EXPECT_EQ(loam_frame_add(&machine.frames, loam_phys_to_pfn(LOAM_MIB(1)),
				 75),
		  0);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before + 75);
	EXPECT_EQ(take(LOAM_DMA), loam_phys_to_pfn(LOAM_MIB(1)) + 74);
	check();
}

TEST(refused, "the list is started once, first, and at a chunk's border")
{
	EXPECT_EQ(begin(0), -LOAM_EINVAL);
	EXPECT_EQ(begin(LOAM_MIB(4) + PAGE), -LOAM_EINVAL);
	EXPECT(begin(LOAM_MIB(4)) > 0);
	EXPECT_EQ(loam_frame_list_begin(&machine.frames, LOAM_MIB(4)),
		  -LOAM_EPERM);
	prepare();
	loam_frame_free(&machine.frames, take(0), 0);
	EXPECT_EQ(loam_frame_list_begin(&machine.frames, LOAM_MIB(4)),
		  -LOAM_EPERM);
	check();
}

TEST(nth, "fault injection fails exactly the nth frame of the list")
{
	start();
	loam_frame_fail_nth(&machine.frames, 2);
	EXPECT(take(0) != LOAM_PFN_NONE);
	EXPECT_EQ(take(0), LOAM_PFN_NONE);
	EXPECT(take(0) != LOAM_PFN_NONE);
	loam_frame_fail_nth(&machine.frames, 0);
	check();
}

#define MODEL_FRAMES 4096u

TEST(model, "S2.9 random frames against a model that is a stack")
{
	static loam_pfn_t used[MODEL_FRAMES];
	uint64_t random = 99;
	unsigned count = 0;
	start();
	uint64_t before = loam_frame_free_count(&machine.frames);
	loam_pfn_t last = LOAM_PFN_NONE; /* freed, and on top of the list */
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t r = hosted_random(&random);
		if (count == 0 || (count < 1500 && r % 2 == 0)) {
			loam_pfn_t pfn = take(0);
			EXPECT(pfn != LOAM_PFN_NONE);
			EXPECT(last == LOAM_PFN_NONE || pfn == last);
			used[count++] = pfn;
			last = LOAM_PFN_NONE;
		} else {
			unsigned n = (unsigned)(r >> 8) % count;
			loam_frame_free(&machine.frames, used[n], 0);
			last = used[n];
			used[n] = used[--count];
		}
		if (step % 1024 == 0) {
			check();
			EXPECT_EQ(loam_frame_free_count(&machine.frames),
				  before - count);
		}
	}
	loam_frame_free_bulk(&machine.frames, count, used);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
	check();
}

/* SPDX-License-Identifier: MIT */
/* Address spaces where limits, wishes and guards meet their edges. */
#include "proc_fixture.h"

#define AT ((uintptr_t)0x400000)

static struct loam_proc one;

static void begin(void)
{
	proc_start(&loam_pt_i386, MEMORY);
	EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
}

static void end(void)
{
	proc_check_all();
	destroy(&one);
	proc_end();
}

TEST(resident, "S4.34 a write to the zero page counts against the limit")
{
	begin();
	map_anon(&one, AT, 8, RW, 0);
	for (unsigned i = 0; i < 8; i++) {
		EXPECT_EQ(peek(&one, AT + i * PAGE), 0);
	}
	one.limits.resident_frames = 3;
	for (unsigned i = 0; i < 3; i++) {
		poke(&one, AT + i * PAGE, i + 1);
	}
	EXPECT_EQ(try_access(&one, AT + 3 * PAGE, true), LOAM_FAULTED_MEMORY);
	EXPECT_EQ(stats_of(&one).resident_frames, 3);
	EXPECT_EQ(peek(&one, AT + 3 * PAGE), 0);
	EXPECT_EQ(peek(&one, AT + 2 * PAGE), 3);
	EXPECT(machine.victim == NULL);
	end();
}

TEST(resident_copy, "S4.34 at the limit a copy still takes its page's place")
{
	static struct loam_proc two;
	begin();
	map_anon(&one, AT, 2, RW, 0);
	poke(&one, AT, 1);
	poke(&one, AT + PAGE, 2);
	one.limits.resident_frames = 2;
	load(NULL);
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	poke(&two, AT, 3);
	EXPECT_EQ(stats_of(&two).resident_frames, 2);
	EXPECT_EQ(peek(&one, AT), 1);
	destroy(&two);
	end();
}

TEST(resident_around, "S4.34 pages around the one touched stop at the limit")
{
	begin();
	pager_start();
	EXPECT_EQ(map_pager(&one, AT, 16, 0, LOAM_PROT_READ), 0);
	for (unsigned i = 0; i < 16; i++) {
		int error = 0;
		loam_frame_put(
			&machine.base.frames,
			test_pager_get_page(&pager.pager, i * PAGE, &error));
	}
	one.limits.resident_frames = 4;
	EXPECT_EQ(peek(&one, AT + 8 * PAGE), 0xf11e0008u);
	EXPECT_EQ(stats_of(&one).resident_frames, 4);
	proc_check_all();
	destroy(&one);
	pager_end();
	proc_end();
}

TEST(regions_split, "S4.33 splits count against the limit of regions")
{
	uintptr_t at = 9;
	begin();
	map_anon(&one, AT, 64, RW, 0);
	one.limits.regions = 3;
	EXPECT_EQ(loam_proc_unmap(&one, AT + 2 * PAGE, PAGE), 0);
	EXPECT_EQ(loam_proc_unmap(&one, AT + 8 * PAGE, PAGE), 0);
	EXPECT_EQ(stats_of(&one).regions, 3);
	/* One more hole, whichever way it is made. */
	poke(&one, AT + 20 * PAGE, 7);
	EXPECT_EQ(loam_proc_unmap(&one, AT + 20 * PAGE, PAGE), -LOAM_ENOMEM);
	EXPECT_EQ(loam_proc_remap(&one, AT + 20 * PAGE, 4 * PAGE, PAGE, 0, &at),
		  -LOAM_ENOMEM);
	EXPECT_EQ(loam_proc_protect(&one, AT + 20 * PAGE, PAGE, LOAM_PROT_READ),
		  -LOAM_ENOMEM);
	EXPECT_EQ(at, 9);
	EXPECT_EQ(peek(&one, AT + 20 * PAGE), 7);
	EXPECT_EQ(stats_of(&one).regions, 3);
	proc_check_all();
	/* What splits nothing needs no room. */
	EXPECT_EQ(loam_proc_protect(&one, AT, 2 * PAGE, LOAM_PROT_READ), 0);
	EXPECT_EQ(loam_proc_unmap(&one, AT + 60 * PAGE, 4 * PAGE), 0);
	EXPECT_EQ(loam_proc_remap(&one, AT + 50 * PAGE, 10 * PAGE, 5 * PAGE, 0,
				  &at),
		  0);
	EXPECT_EQ(at, AT + 50 * PAGE);
	EXPECT_EQ(stats_of(&one).regions, 3);
	/* The limit itself can be reached, and no more. */
	one.limits.regions = 4;
	map_anon(&one, AT + 100 * PAGE, 1, RW, 0);
	EXPECT_EQ(stats_of(&one).regions, 4);
	/* Replacing a whole region needs no further one. */
	map_anon(&one, AT + 100 * PAGE, 1, LOAM_PROT_READ, 0);
	EXPECT_EQ(stats_of(&one).regions, 4);
	end();
}

/* Asks for pages at a wish and tells where they came to lie. */
static uintptr_t map_wish(uintptr_t wish, size_t pages, uint32_t flags)
{
	struct loam_map_request request = {
		.start = wish,
		.size = pages * PAGE,
		.prot = LOAM_PROT_READ,
		.flags = flags,
	};
	uintptr_t at = 0;
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	return at;
}

TEST(wishes, "S3.9 S4.33 a wish keeps off guards, and off where stacks grow")
{
	begin();
	struct loam_map_request stack = {
		.start = AT + 32 * PAGE,
		.size = PAGE,
		.prot = RW,
		.flags = FIXED | LOAM_REGION_STACK,
		.limit = AT + 16 * PAGE,
	};
	uintptr_t at;
	EXPECT_EQ(loam_proc_map(&one, &stack, &at), 0);
	EXPECT(map_wish(AT + 20 * PAGE, 1, 0) >= MAP_BASE);
	EXPECT(map_wish(AT + 15 * PAGE, 1, 0) >= MAP_BASE);
	EXPECT_EQ(map_wish(AT + 14 * PAGE, 1, 0), AT + 14 * PAGE);
	poke(&one, AT + 16 * PAGE, 1);
	EXPECT_EQ(map_wish(AT + 33 * PAGE, 1, 0), AT + 33 * PAGE);
	map_anon(&one, AT + 40 * PAGE, 2, RW, LOAM_REGION_GUARD);
	EXPECT(map_wish(AT + 39 * PAGE, 1, 0) >= MAP_BASE);
	EXPECT(map_wish(AT + 42 * PAGE, 1, 0) >= MAP_BASE);
	EXPECT_EQ(map_wish(AT + 43 * PAGE, 1, 0), AT + 43 * PAGE);
	/* Its own guards are kept too. */
	EXPECT(map_wish(AT + 44 * PAGE, 1, LOAM_REGION_GUARD) >= MAP_BASE);
	EXPECT_EQ(map_wish(AT + 45 * PAGE, 1, LOAM_REGION_GUARD),
		  AT + 45 * PAGE);
	/* At both ends of the user's part there is nobody to keep off from. */
	EXPECT_EQ(map_wish(USER_BASE, 1, LOAM_REGION_GUARD), USER_BASE);
	EXPECT_EQ(map_wish(USER_END - PAGE, 1, LOAM_REGION_GUARD),
		  USER_END - PAGE);
	end();
}

TEST(forbid, "S4.33 forbidding a write leaves the rest of an entry in place")
{
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
		const struct loam_pt *pt = &one.pt;
		uint64_t entries[2] = { 0, 0 };
		uint64_t full = ~(uint64_t)0;
		if (pt->geometry->entry_bytes == 4) {
			full = UINT32_MAX;
		}
		loam_pt_leaf_store(pt, entries, 1, full);
		loam_pt_leaf_forbid_write(pt, entries, 1);
		EXPECT_EQ(loam_pt_leaf_load(pt, entries, 1),
			  full & ~pt->geometry->writable);
		EXPECT_EQ(loam_pt_leaf_load(pt, entries, 0), 0);
		end();
	}
}

/* SPDX-License-Identifier: MIT */
/* Address spaces: regions, demand paging, copy-on-write, each kind, misuse. */
#include "proc_fixture.h"

#define AT ((uintptr_t)0x400000)

static struct loam_proc one;
static struct loam_proc two;
static struct loam_proc three;

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

static unsigned region_count(struct loam_proc *proc)
{
	return stats_of(proc).regions;
}

/* The region at an address has these bounds and this protection. */
static void expect_region(struct loam_proc *proc, uintptr_t address,
			  uintptr_t start, size_t pages, loam_prot_t prot)
{
	struct loam_region_info info;
	EXPECT_EQ(loam_proc_find(proc, address, &info), 0);
	EXPECT_EQ(info.start, start);
	EXPECT_EQ(info.size, pages * PAGE);
	EXPECT_EQ(info.prot, prot);
}

/* -------- demand paging -------- */

TEST(zero, "S4.34 memory is zero on first touch, and taken on first write")
{
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
		map_anon(&one, AT, 0x4000, RW, 0);
		uint64_t before = loam_frame_free_count(&machine.base.frames);
		for (unsigned i = 0; i < 10; i++) {
			EXPECT_EQ(peek(&one, AT + i * PAGE), 0);
		}
		EXPECT_EQ(stats_of(&one).resident_frames, 0);
		for (unsigned i = 0; i < 10; i++) {
			poke(&one, AT + i * PAGE + 8, i + 1);
			EXPECT_EQ(peek(&one, AT + i * PAGE), 0);
			EXPECT_EQ(peek(&one, AT + i * PAGE + 8), i + 1);
		}
		poke(&one, AT + 10 * PAGE, 1);
		struct loam_proc_stats stats = stats_of(&one);
		EXPECT_EQ(stats.resident_frames, 11);
		EXPECT_EQ(stats.faults[LOAM_FAULT_ZERO_PAGE], 10);
		EXPECT_EQ(stats.faults[LOAM_FAULT_ZERO_FILL], 11);
		/* 11 frames, and the tables above them. */
		unsigned tables = proc_geometries[g]->levels - 1u;
		EXPECT_EQ(loam_frame_free_count(&machine.base.frames),
			  before - 11 - tables);
		end();
	}
}

TEST(rights, "S4.34 X.7 an access that the region does not permit is bad")
{
	begin();
	map_anon(&one, AT, 2, LOAM_PROT_READ, 0);
	map_anon(&one, AT + 2 * PAGE, 2, 0, 0);
	EXPECT_EQ(peek(&one, AT), 0);
	expect_bad(&one, AT, true);
	expect_bad(&one, AT + PAGE, true);
	expect_bad(&one, AT + 2 * PAGE, false);
	expect_bad(&one, AT + 2 * PAGE, true);
	expect_bad(&one, AT - PAGE, false);
	expect_bad(&one, AT + 4 * PAGE, false);
	EXPECT_EQ(loam_proc_fault(&one, 0, 0), LOAM_FAULTED_BAD);
	EXPECT_EQ(loam_proc_fault(&one, 0xc0000000u, LOAM_ACCESS_WRITE),
		  LOAM_FAULTED_BAD);
	EXPECT_EQ(loam_proc_fault(&one, UINTPTR_MAX, 0), LOAM_FAULTED_BAD);
	EXPECT_EQ(loam_proc_fault(&one, AT, LOAM_ACCESS_EXEC),
		  LOAM_FAULTED_BAD);
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_BAD], 10);
	EXPECT_EQ(stats_of(&one).resident_frames, 0);
	end();
}

TEST(kernel_part, "S0.12 S3.7 S4.30 the kernel's part is one for all, closed")
{
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
		EXPECT_EQ(loam_proc_create(&machine.procs, &two, "two"), 0);
		uintptr_t base = machine.config.kernel_base;
		loam_phys_t phys;
		/* A mapping made now is seen in both. */
		EXPECT_EQ(loam_pt_map(&machine.kernel_pt, base + LOAM_MIB(1),
				      0x7000, PAGE, LOAM_PROT_WRITE, false),
			  0);
		struct loam_proc *both[] = { &one, &two };
		for (unsigned i = 0; i < 2; i++) {
			load(both[i]);
			EXPECT_EQ(emu_translate(base + LOAM_MIB(1) + 4,
						EMU_WRITE, &phys),
				  EMU_NO_FAULT);
			EXPECT_EQ(phys, 0x7004);
			EXPECT_EQ(emu_translate(base + LOAM_MIB(1) + 4,
						EMU_USER, &phys),
				  EMU_PROTECTION);
			EXPECT_EQ(loam_proc_fault(both[i], base,
						  LOAM_ACCESS_USER),
				  LOAM_FAULTED_BAD);
		}
		destroy(&two);
		end();
	}
}

/* -------- regions -------- */

TEST(merge, "S4.33 regions that touch and are alike are one")
{
	begin();
	map_anon(&one, AT, 2, RW, 0);
	map_anon(&one, AT + 4 * PAGE, 2, RW, 0);
	EXPECT_EQ(region_count(&one), 2);
	map_anon(&one, AT + 2 * PAGE, 2, RW, 0);
	EXPECT_EQ(region_count(&one), 1);
	expect_region(&one, AT, AT, 6, RW);
	map_anon(&one, AT + 6 * PAGE, 2, LOAM_PROT_READ, 0);
	EXPECT_EQ(region_count(&one), 2);
	EXPECT_EQ(loam_proc_protect(&one, AT + 6 * PAGE, 2 * PAGE, RW), 0);
	EXPECT_EQ(region_count(&one), 1);
	expect_region(&one, AT, AT, 8, RW);
	proc_check_all();
	end();
}

TEST(unmap, "S3.23 S4.33 unmap splits, frees at once, and leaves the rest")
{
	begin();
	map_anon(&one, AT, 10, RW, 0);
	for (unsigned i = 0; i < 10; i++) {
		poke(&one, AT + i * PAGE, i);
	}
	uint64_t before = loam_frame_free_count(&machine.base.frames);
	EXPECT_EQ(loam_proc_unmap(&one, AT + 3 * PAGE, 4 * PAGE), 0);
	EXPECT_EQ(loam_frame_free_count(&machine.base.frames), before + 4);
	EXPECT_EQ(region_count(&one), 2);
	for (unsigned i = 0; i < 10; i++) {
		if (i >= 3 && i < 7) {
			expect_bad(&one, AT + i * PAGE, false);
		} else {
			EXPECT_EQ(peek(&one, AT + i * PAGE), i);
		}
	}
	/* Where nothing is, nothing happens. */
	EXPECT_EQ(loam_proc_unmap(&one, AT + 3 * PAGE, 4 * PAGE), 0);
	EXPECT_EQ(loam_proc_unmap(&one, AT - 4 * PAGE, 20 * PAGE), 0);
	EXPECT_EQ(region_count(&one), 0);
	EXPECT_EQ(stats_of(&one).resident_frames, 0);
	end();
}

TEST(fixed, "S4.33 a fixed map replaces, or refuses to")
{
	struct loam_map_request request = {
		.start = AT + PAGE,
		.size = 2 * PAGE,
		.prot = RW,
		.flags = FIXED | LOAM_REGION_NO_REPLACE,
	};
	uintptr_t at = 7;
	begin();
	map_anon(&one, AT, 4, RW, 0);
	poke(&one, AT + PAGE, 5);
	poke(&one, AT + 3 * PAGE, 6);
	EXPECT_EQ(loam_proc_map(&one, &request, &at), -LOAM_EEXIST);
	EXPECT_EQ(at, 7);
	EXPECT_EQ(peek(&one, AT + PAGE), 5);
	request.flags = FIXED;
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	EXPECT_EQ(peek(&one, AT + PAGE), 0);
	EXPECT_EQ(peek(&one, AT + 3 * PAGE), 6);
	EXPECT_EQ(region_count(&one), 1);
	end();
}

TEST(places, "S4.33 without a wish the lowest room is taken, guards kept")
{
	struct loam_map_request request = { .size = PAGE, .prot = RW };
	uintptr_t at;
	begin();
	uintptr_t a = map_anon(&one, 0, 4, RW, LOAM_REGION_GUARD);
	uintptr_t b = map_anon(&one, 0, 4, RW, LOAM_REGION_GUARD);
	EXPECT_EQ(a, MAP_BASE + PAGE);
	EXPECT_EQ(b, a + 4 * PAGE + 2 * PAGE);
	uintptr_t c = map_anon(&one, 0, 1, RW, 0);
	EXPECT_EQ(c, b + 4 * PAGE + PAGE);
	EXPECT_EQ(loam_proc_unmap(&one, a, 4 * PAGE), 0);
	/* The room that came free is used again, from below. */
	EXPECT_EQ(map_anon(&one, 0, 2, RW, 0), MAP_BASE);
	EXPECT_EQ(map_anon(&one, 0, 5, LOAM_PROT_READ, 0), c + PAGE);
	/* A wish that can be met is. */
	request.start = AT + 123;
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	EXPECT_EQ(at, AT);
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	EXPECT(at >= MAP_BASE);
	proc_check_all();
	end();
}

TEST(arguments, "X.7 each wrong argument is refused, and changes nothing")
{
	static const struct loam_map_request wrong[] = {
		{ .size = 0, .prot = RW },
		{ .size = 100, .prot = RW },
		{ .size = PAGE, .prot = LOAM_PROT_USER },
		{ .size = PAGE, .prot = RW, .flags = 0x8000 },
		{ .size = PAGE, .kind = LOAM_REGION_KINDS },
		{ .size = PAGE, .start = AT + 1, .flags = FIXED },
		{ .size = PAGE, .start = 0, .flags = FIXED },
		{ .size = PAGE, .start = USER_END, .flags = FIXED },
		{ .size = 2 * PAGE, .start = USER_END - PAGE, .flags = FIXED },
		{ .size = 0xfffff000u, .start = AT, .flags = FIXED },
		{ .size = PAGE, .kind = LOAM_REGION_SHARED },
		{ .size = PAGE, .kind = LOAM_REGION_PAGER },
		{ .size = PAGE, .kind = LOAM_REGION_PHYSICAL, .offset = 1 },
		{ .size = 2 * PAGE,
		  .kind = LOAM_REGION_PHYSICAL,
		  .offset = 0xfffff000u },
		{ .size = PAGE, .flags = LOAM_REGION_STACK, .limit = AT },
		{ .size = PAGE,
		  .start = AT,
		  .flags = LOAM_REGION_STACK | FIXED,
		  .limit = AT + PAGE },
		{ .size = PAGE,
		  .start = AT,
		  .flags = LOAM_REGION_STACK | FIXED,
		  .limit = AT - 1 },
	};
	uintptr_t at = 9;
	begin();
	map_anon(&one, AT, 4, RW, 0);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(loam_proc_map(&one, &wrong[i], &at), -LOAM_EINVAL);
		EXPECT_EQ(at, 9);
	}
	static const uintptr_t ranges[][2] = {
		{ AT + 1, PAGE },   { AT, 0 },
		{ AT, 100 },        { 0, PAGE },
		{ USER_END, PAGE }, { AT, 0xfffff000u },
		{ AT, USER_END },   { 0xc0000000u, PAGE },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(ranges); i++) {
		uintptr_t start = ranges[i][0];
		size_t size = ranges[i][1];
		EXPECT_EQ(loam_proc_unmap(&one, start, size), -LOAM_EINVAL);
		EXPECT_EQ(loam_proc_protect(&one, start, size, 0),
			  -LOAM_EINVAL);
		EXPECT_EQ(loam_proc_advise(&one, start, size,
					   LOAM_ADVISE_DONT_NEED),
			  -LOAM_EINVAL);
		EXPECT_EQ(loam_proc_remap(&one, start, size, PAGE, 0, &at),
			  -LOAM_EINVAL);
	}
	EXPECT_EQ(loam_proc_protect(&one, AT, PAGE, LOAM_PROT_USER),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_proc_protect(&one, AT, 5 * PAGE, 0), -LOAM_ENOMEM);
	EXPECT_EQ(loam_proc_remap(&one, AT, PAGE, 0, 0, &at), -LOAM_EINVAL);
	EXPECT_EQ(loam_proc_remap(&one, AT, PAGE, 7, 0, &at), -LOAM_EINVAL);
	EXPECT_EQ(loam_proc_remap(&one, AT, PAGE, PAGE, 8, &at), -LOAM_EINVAL);
	EXPECT_EQ(loam_proc_remap(&one, AT, 5 * PAGE, PAGE, 0, &at),
		  -LOAM_EFAULT);
	EXPECT_EQ(loam_proc_advise(&one, AT, PAGE, (enum loam_advice)9),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_proc_advise(&one, AT, 5 * PAGE, LOAM_ADVISE_DONT_NEED),
		  -LOAM_ENOMEM);
	EXPECT_EQ(at, 9);
	expect_region(&one, AT, AT, 4, RW);
	end();
}

TEST(limits, "S3.27 S4.33 each limit of a space holds")
{
	struct loam_map_request request = { .size = PAGE, .prot = RW };
	uintptr_t at;
	begin();
	one.limits.address_bytes = 4 * PAGE;
	map_anon(&one, AT, 4, RW, 0);
	EXPECT_EQ(loam_proc_map(&one, &request, &at), -LOAM_ENOMEM);
	/* What is replaced does not count twice. */
	map_anon(&one, AT + PAGE, 3, LOAM_PROT_READ, 0);
	EXPECT_EQ(loam_proc_remap(&one, AT, PAGE, 2 * PAGE, LOAM_REMAP_MAY_MOVE,
				  &at),
		  -LOAM_ENOMEM);
	one.limits.address_bytes = LOAM_MIB(64);
	one.limits.resident_frames = 2;
	map_anon(&one, AT, 4, RW, 0);
	poke(&one, AT, 1);
	poke(&one, AT + PAGE, 1);
	EXPECT_EQ(try_access(&one, AT + 2 * PAGE, true), LOAM_FAULTED_MEMORY);
	EXPECT(machine.victim == NULL);
	one.limits.resident_frames = 100;
	one.limits.regions = 4;
	map_anon(&one, AT + 8 * PAGE, 1, RW, 0);
	map_anon(&one, AT + 10 * PAGE, 1, RW, 0);
	map_anon(&one, AT + 14 * PAGE, 1, RW, 0);
	request.start = AT + 12 * PAGE;
	request.flags = FIXED;
	EXPECT_EQ(loam_proc_map(&one, &request, &at), -LOAM_ENOMEM);
	end();
}

TEST(protect, "S4.33 rights that go are gone at once, and come back")
{
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
		map_anon(&one, AT, 6, RW, 0);
		for (unsigned i = 0; i < 6; i++) {
			poke(&one, AT + i * PAGE, i + 1);
		}
		EXPECT_EQ(loam_proc_protect(&one, AT + PAGE, 2 * PAGE,
					    LOAM_PROT_READ),
			  0);
		EXPECT_EQ(loam_proc_protect(&one, AT + 3 * PAGE, PAGE, 0), 0);
		expect_bad(&one, AT + PAGE, true);
		expect_bad(&one, AT + 3 * PAGE, false);
		EXPECT_EQ(peek(&one, AT + PAGE), 2);
		poke(&one, AT + 4 * PAGE, 50);
		proc_check_all();
		EXPECT_EQ(loam_proc_protect(&one, AT, 6 * PAGE, RW), 0);
		EXPECT_EQ(stats_of(&one).regions, 1);
		EXPECT_EQ(peek(&one, AT + 3 * PAGE), 4);
		poke(&one, AT + PAGE, 20);
		EXPECT_EQ(peek(&one, AT + PAGE), 20);
		EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_COPY], 0);
		end();
	}
}

TEST(remap, "S4.33 remap grows in place, moves entries, and shrinks")
{
	uintptr_t at;
	begin();
	uintptr_t a = map_anon(&one, 0, 4, RW, 0);
	for (unsigned i = 0; i < 4; i++) {
		poke(&one, a + i * PAGE, 10 + i);
	}
	EXPECT_EQ(loam_proc_remap(&one, a, 4 * PAGE, 8 * PAGE, 0, &at), 0);
	EXPECT_EQ(at, a);
	EXPECT_EQ(peek(&one, a + 7 * PAGE), 0);
	map_anon(&one, a + 8 * PAGE, 1, LOAM_PROT_READ, 0);
	EXPECT_EQ(loam_proc_remap(&one, a, 8 * PAGE, 2048 * PAGE, 0, &at),
		  -LOAM_ENOMEM);
	uint64_t copies = stats_of(&one).faults[LOAM_FAULT_COPY];
	size_t resident = stats_of(&one).resident_frames;
	EXPECT_EQ(loam_proc_remap(&one, a, 8 * PAGE, 2048 * PAGE,
				  LOAM_REMAP_MAY_MOVE, &at),
		  0);
	EXPECT(at != a);
	expect_bad(&one, a, false);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(peek(&one, at + i * PAGE), 10 + i);
	}
	EXPECT_EQ(stats_of(&one).resident_frames, resident);
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_COPY], copies);
	/* Part of a region moves away from its middle. */
	uintptr_t part;
	EXPECT_EQ(loam_proc_remap(&one, at + PAGE, 2 * PAGE, 3 * PAGE,
				  LOAM_REMAP_MAY_MOVE, &part),
		  0);
	EXPECT_EQ(peek(&one, part), 11);
	EXPECT_EQ(peek(&one, part + PAGE), 12);
	EXPECT_EQ(peek(&one, at), 10);
	EXPECT_EQ(peek(&one, at + 3 * PAGE), 13);
	expect_bad(&one, at + PAGE, false);
	EXPECT_EQ(loam_proc_remap(&one, part, 3 * PAGE, PAGE, 0, &at), 0);
	EXPECT_EQ(at, part);
	expect_bad(&one, part + PAGE, false);
	end();
}

TEST(advise, "S4.33 dont-need gives zeros again, will-need brings all")
{
	begin();
	map_anon(&one, AT, 100, RW, 0);
	EXPECT_EQ(loam_proc_advise(&one, AT, 100 * PAGE, LOAM_ADVISE_WILL_NEED),
		  0);
	EXPECT_EQ(stats_of(&one).resident_frames, 100);
	poke(&one, AT + 50 * PAGE, 3);
	EXPECT_EQ(loam_proc_advise(&one, AT + 40 * PAGE, 50 * PAGE,
				   LOAM_ADVISE_DONT_NEED),
		  0);
	EXPECT_EQ(stats_of(&one).resident_frames, 50);
	EXPECT_EQ(peek(&one, AT + 50 * PAGE), 0);
	expect_region(&one, AT, AT, 100, RW);
	end();
}

TEST(brk, "S4.33 the break moves by bytes, and pages come and go with it")
{
	uintptr_t out;
	begin();
	loam_proc_set_heap(&one, AT, AT + 16 * PAGE);
	EXPECT_EQ(loam_proc_brk(&one, 0, &out), 0);
	EXPECT_EQ(out, AT);
	EXPECT_EQ(loam_proc_brk(&one, AT + 1, &out), 0);
	EXPECT_EQ(out, AT + 1);
	poke(&one, AT + 4092, 7);
	expect_bad(&one, AT + PAGE, true);
	EXPECT_EQ(loam_proc_brk(&one, AT + PAGE, &out), 0);
	EXPECT_EQ(stats_of(&one).address_bytes, PAGE);
	EXPECT_EQ(loam_proc_brk(&one, AT + PAGE + 1, &out), 0);
	EXPECT_EQ(stats_of(&one).address_bytes, 2 * PAGE);
	EXPECT_EQ(peek(&one, AT + 4092), 7);
	EXPECT_EQ(loam_proc_brk(&one, AT + 16 * PAGE, &out), 0);
	EXPECT_EQ(loam_proc_brk(&one, AT + 16 * PAGE + 1, &out), -LOAM_ENOMEM);
	EXPECT_EQ(out, AT + 16 * PAGE);
	EXPECT_EQ(loam_proc_brk(&one, AT - 1, &out), -LOAM_ENOMEM);
	EXPECT_EQ(loam_proc_brk(&one, UINTPTR_MAX, &out), -LOAM_ENOMEM);
	for (unsigned i = 0; i < 16; i++) {
		poke(&one, AT + i * PAGE, 1);
	}
	EXPECT_EQ(loam_proc_brk(&one, AT + 3, &out), 0);
	EXPECT_EQ(stats_of(&one).resident_frames, 1);
	EXPECT_EQ(loam_proc_brk(&one, AT, &out), 0);
	EXPECT_EQ(stats_of(&one).resident_frames, 0);
	EXPECT_EQ(region_count(&one), 0);
	EXPECT_EQ(loam_proc_brk(&one, AT + 2 * PAGE, &out), 0);
	/* Something in the way stops it. */
	map_anon(&one, AT + 4 * PAGE, 1, RW, 0);
	EXPECT_EQ(loam_proc_brk(&one, AT + 5 * PAGE, &out), -LOAM_ENOMEM);
	EXPECT_EQ(loam_proc_brk(&one, AT + 4 * PAGE, &out), 0);
	/* The program unmaps part of its heap, and goes on. */
	EXPECT_EQ(loam_proc_unmap(&one, AT + PAGE, PAGE), 0);
	EXPECT_EQ(loam_proc_brk(&one, AT + 2 * PAGE, &out), 0);
	EXPECT_EQ(loam_proc_brk(&one, AT + 3 * PAGE, &out), 0);
	end();
}

TEST(stack, "S3.9 S4.34 a stack grows to its limit, and not beyond")
{
	struct loam_map_request request = {
		.start = 0x3fe000,
		.size = PAGE,
		.prot = RW,
		.flags = FIXED | LOAM_REGION_STACK,
		.limit = 0x3fb000,
	};
	uintptr_t at;
	begin();
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	poke(&one, 0x3feffc, 1);
	poke(&one, 0x3fc000, 2); /* skips a page */
	expect_region(&one, 0x3fc000, 0x3fc000, 3, RW);
	EXPECT_EQ(peek(&one, 0x3fd000), 0);
	poke(&one, 0x3fb000, 3);
	expect_bad(&one, 0x3faffc, true);
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_STACK], 2);
	/* A region just below keeps one page away from a growing stack. */
	EXPECT_EQ(loam_proc_unmap(&one, 0x3fb000, 3 * PAGE), 0);
	map_anon(&one, 0x3fb000, 1, RW, 0);
	expect_bad(&one, 0x3fc000, true);
	poke(&one, 0x3fd000, 4);
	end();
}

/* -------- copy-on-write -------- */

TEST(fork, "S4.33 after a fork each has its own, and nobody sees the other's")
{
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
		map_anon(&one, AT, 8, RW, 0);
		for (unsigned i = 0; i < 6; i++) {
			poke(&one, AT + i * PAGE, 100 + i);
		}
		EXPECT_EQ(peek(&one, AT + 6 * PAGE), 0);
		uint64_t before = loam_frame_free_count(&machine.base.frames);
		EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
		/* The child's root and the tables above the shared one. */
		EXPECT_EQ(loam_frame_free_count(&machine.base.frames) +
				  proc_geometries[g]->levels - 1u,
			  before);
		proc_check_all();
		EXPECT_EQ(peek(&two, AT), 100);
		poke(&two, AT, 200);
		EXPECT_EQ(peek(&one, AT), 100);
		poke(&one, AT + PAGE, 300);
		EXPECT_EQ(peek(&two, AT + PAGE), 101);
		poke(&one, AT, 301);
		EXPECT_EQ(peek(&two, AT), 200);
		poke(&one, AT + 6 * PAGE, 5);
		EXPECT_EQ(peek(&two, AT + 6 * PAGE), 0);
		poke(&two, AT + 7 * PAGE, 6);
		EXPECT_EQ(peek(&one, AT + 7 * PAGE), 0);
		proc_check_all();
		/* The parent goes first: the child's memory stays. */
		destroy(&one);
		EXPECT_EQ(peek(&two, AT + 2 * PAGE), 102);
		poke(&two, AT + 2 * PAGE, 7);
		proc_check_all();
		destroy(&two);
		proc_end();
	}
}

TEST(fork_reuse, "S4.33 who is left alone with a frame writes to it as it is")
{
	begin();
	map_anon(&one, AT, 4, RW, 0);
	poke(&one, AT, 1);
	poke(&one, AT + PAGE, 2);
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	poke(&two, AT, 9); /* copies the table, and one frame */
	EXPECT_EQ(stats_of(&two).faults[LOAM_FAULT_TABLE], 1);
	EXPECT_EQ(stats_of(&two).faults[LOAM_FAULT_COPY], 1);
	poke(&one, AT, 8); /* alone with both */
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_TABLE], 0);
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_COPY], 0);
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_REUSE], 1);
	poke(&one, AT + PAGE, 7); /* both have this one still */
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_COPY], 1);
	EXPECT_EQ(peek(&two, AT + PAGE), 2);
	destroy(&two);
	end();
}

TEST(fork_generations, "S4.33 a chain of forks shares tables until they write")
{
	begin();
	map_anon(&one, AT, 2048, RW, 0);
	for (unsigned i = 0; i < 2048; i += 64) {
		poke(&one, AT + i * PAGE, i);
	}
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	EXPECT_EQ(loam_proc_fork(&two, &three, "three"), 0);
	proc_check_all();
	poke(&two, AT, 5000);
	proc_check_all();
	EXPECT_EQ(peek(&one, AT), 0);
	EXPECT_EQ(peek(&three, AT), 0);
	destroy(&two);
	proc_check_all();
	for (unsigned i = 0; i < 2048; i += 64) {
		EXPECT_EQ(peek(&three, AT + i * PAGE), i);
	}
	/* Part of a shared table goes; a whole one goes. */
	EXPECT_EQ(loam_proc_unmap(&three, AT + 64 * PAGE, 64 * PAGE), 0);
	EXPECT_EQ(loam_proc_unmap(&three, AT + 1024 * PAGE, 1024 * PAGE), 0);
	proc_check_all();
	for (unsigned i = 0; i < 2048; i += 64) {
		EXPECT_EQ(peek(&one, AT + i * PAGE), i);
		poke(&one, AT + i * PAGE, i + 1);
	}
	EXPECT_EQ(peek(&three, AT + 128 * PAGE), 128);
	destroy(&three);
	end();
}

TEST(fork_stale, "S4.33 X.6 the parent's writable translations are forgotten")
{
	begin();
	map_anon(&one, AT, 1, RW, 0);
	poke(&one, AT, 1); /* in the TLB, writable */
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	poke(&one, AT, 2);
	EXPECT_EQ(peek(&two, AT), 1);
	destroy(&two);
	end();
}

/* -------- the other kinds -------- */

TEST(shared, "S4.33 shared memory is the same in every space, forks included")
{
	struct loam_map_request request = {
		.start = AT,
		.size = 4 * PAGE,
		.prot = RW,
		.flags = FIXED,
		.kind = LOAM_REGION_SHARED,
	};
	uintptr_t at;
	begin();
	EXPECT(loam_shared_create(&machine.procs, 0) == NULL);
	EXPECT(loam_shared_create(&machine.procs, SIZE_MAX) == NULL);
	request.shared = loam_shared_create(&machine.procs, 6);
	EXPECT(request.shared != NULL);
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	poke(&one, AT + PAGE, 11);
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	poke(&two, AT + PAGE, 12);
	EXPECT_EQ(peek(&one, AT + PAGE), 12);
	poke(&one, AT + 2 * PAGE, 13);
	EXPECT_EQ(peek(&two, AT + 2 * PAGE), 13);
	/* The same object at another place and offset. */
	request.start = AT + 100 * PAGE;
	request.offset = PAGE;
	request.prot = LOAM_PROT_READ;
	EXPECT_EQ(loam_proc_map(&two, &request, &at), 0);
	EXPECT_EQ(peek(&two, AT + 100 * PAGE), 12);
	expect_bad(&two, AT + 100 * PAGE, true);
	request.offset = 3 * PAGE;
	EXPECT_EQ(loam_proc_map(&two, &request, &at), -LOAM_EINVAL);
	loam_shared_put(request.shared);
	EXPECT_EQ(loam_proc_advise(&one, AT, 4 * PAGE, LOAM_ADVISE_DONT_NEED),
		  0);
	EXPECT_EQ(peek(&one, AT + PAGE), 12);
	proc_check_all();
	destroy(&two);
	end();
}

TEST(physical, "S4.33 physical memory is shown as it is, and not counted")
{
	struct loam_map_request request = {
		.start = AT,
		.size = 2 * PAGE,
		.prot = LOAM_PROT_READ,
		.flags = FIXED,
		.kind = LOAM_REGION_PHYSICAL,
		.offset = 0x5000,
	};
	uintptr_t at;
	begin();
	uint32_t value = 0xabcd;
	memcpy(hosted_memory.direct + 0x6004, &value, sizeof(value));
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	EXPECT_EQ(peek(&one, AT + PAGE + 4), 0xabcd);
	expect_bad(&one, AT, true);
	EXPECT_EQ(loam_proc_protect(&one, AT, PAGE, RW), -LOAM_EPERM);
	EXPECT_EQ(stats_of(&one).resident_frames, 0);
	request.prot = RW;
	EXPECT_EQ(loam_proc_map(&one, &request, &at), 0);
	poke(&one, AT + PAGE + 4, 77);
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	poke(&two, AT + PAGE + 4, 78);
	EXPECT_EQ(peek(&one, AT + PAGE + 4), 78);
	memcpy(&value, hosted_memory.direct + 0x6004, sizeof(value));
	EXPECT_EQ(value, 78);
	destroy(&two);
	end();
}

TEST(paged, "S4.34 a pager brings pages; writes are the process's own")
{
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
		pager_start();
		EXPECT_EQ(map_pager(&one, AT, 40, 2 * PAGE, RW), 0);
		EXPECT_EQ(peek(&one, AT + 3 * PAGE), 0xf11e0005u);
		EXPECT_EQ(pager.asked, 1);
		poke(&one, AT + 3 * PAGE, 1);
		EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_COPY], 1);
		/* A first access that is a write brings, and copies. */
		poke(&one, AT + 20 * PAGE, 2);
		EXPECT_EQ(peek(&one, AT + 20 * PAGE + 4), 0xf11e0016u);
		EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_COPY], 2);
		EXPECT_EQ(loam_proc_advise(&one, AT, 40 * PAGE,
					   LOAM_ADVISE_DONT_NEED),
			  0);
		EXPECT_EQ(peek(&one, AT + 3 * PAGE), 0xf11e0005u);
		/* Beyond what there is. */
		EXPECT_EQ(map_pager(&one, AT + 100 * PAGE, 4, 62 * PAGE, RW),
			  0);
		EXPECT_EQ(peek(&one, AT + 101 * PAGE), 0xf11e003fu);
		expect_bad(&one, AT + 102 * PAGE, false);
		EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
		EXPECT_EQ(peek(&two, AT + 3 * PAGE), 0xf11e0005u);
		destroy(&two);
		proc_check_all();
		destroy(&one);
		pager_end();
		proc_end();
	}
}

TEST(around, "S4.34 pages at hand around the one that is touched come along")
{
	begin();
	pager_start();
	EXPECT_EQ(map_pager(&one, AT, 40, 0, LOAM_PROT_READ), 0);
	for (unsigned i = 0; i < 20; i++) {
		int error = 0;
		loam_pfn_t pfn =
			test_pager_get_page(&pager.pager, i * PAGE, &error);
		loam_frame_put(&machine.base.frames, pfn);
	}
	unsigned asked = pager.asked;
	EXPECT_EQ(peek(&one, AT + 18 * PAGE), 0xf11e0012u);
	EXPECT_EQ(stats_of(&one).faults[LOAM_FAULT_AROUND], 3);
	EXPECT_EQ(peek(&one, AT + 16 * PAGE), 0xf11e0010u);
	EXPECT_EQ(peek(&one, AT + 19 * PAGE), 0xf11e0013u);
	EXPECT_EQ(pager.asked, asked + 1);
	EXPECT_EQ(stats_of(&one).resident_frames, 4);
	destroy(&one);
	pager_end();
	proc_end();
}

static void unmap_meanwhile(void)
{
	pager.while_asked = NULL;
	EXPECT_EQ(loam_proc_unmap(&one, AT, 40 * PAGE), 0);
}

static void replace_meanwhile(void)
{
	pager.while_asked = NULL;
	EXPECT_EQ(map_pager(&one, AT, 40, 8 * PAGE, RW), 0);
}

TEST(paged_race, "S4.34 a region that changes while the pager works is seen")
{
	begin();
	pager_start();
	EXPECT_EQ(map_pager(&one, AT, 40, 0, RW), 0);
	pager.while_asked = unmap_meanwhile;
	expect_bad(&one, AT, false);
	EXPECT_EQ(map_pager(&one, AT, 40, 0, RW), 0);
	pager.while_asked = replace_meanwhile;
	EXPECT_EQ(peek(&one, AT), 0xf11e0008u);
	pager.fail_with = LOAM_EFAULT;
	expect_bad(&one, AT + 39 * PAGE, false);
	destroy(&one);
	pager_end();
	proc_end();
}

/* -------- user copies -------- */

TEST(copies, "S3.28 S4.33 copies cross pages, bring them, and stop at bad ones")
{
	unsigned char out[3 * LOAM_PAGE_SIZE];
	unsigned char in[3 * LOAM_PAGE_SIZE];
	begin();
	map_anon(&one, AT, 4, RW, 0);
	map_anon(&one, AT + 4 * PAGE, 1, LOAM_PROT_READ, 0);
	for (unsigned i = 0; i < sizeof(out); i++) {
		out[i] = (unsigned char)(i * 7 + i / 251);
	}
	EXPECT_EQ(loam_proc_copy_out(&one, AT + 100, out, sizeof(out)), 0);
	EXPECT_EQ(loam_proc_copy_in(&one, in, AT + 100, sizeof(in)), 0);
	EXPECT_EQ(memcmp(in, out, sizeof(in)), 0);
	/* After a fork the kernel copies on write as the process does. */
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	EXPECT_EQ(loam_proc_copy_out(&two, AT + 100, in + 5, 1000), 0);
	EXPECT_EQ(loam_proc_copy_in(&one, in, AT + 100, 1000), 0);
	EXPECT_EQ(memcmp(in, out, 1000), 0);
	destroy(&two);
	static const uintptr_t bad[][2] = {
		{ 0, 1 },
		{ 0xfffffff0u, 16 },
		{ 0xc0000000u, 4 },
		{ USER_END - 1, 2 },
		{ AT - 1, 2 },
		{ AT, 0xffffffffu },
		{ AT + 5 * PAGE - 2, 4 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		uintptr_t at = bad[i][0];
		size_t n = bad[i][1] > 16 ? 16 : bad[i][1];
		n = bad[i][1] == 0xffffffffu ? bad[i][1] : n;
		if (n > 16) {
			EXPECT_EQ(loam_proc_copy_in(&one, in, at, SIZE_MAX),
				  -LOAM_EFAULT);
			continue;
		}
		EXPECT_EQ(loam_proc_copy_in(&one, in, at, n), -LOAM_EFAULT);
		EXPECT_EQ(loam_proc_copy_out(&one, at, out, n), -LOAM_EFAULT);
	}
	EXPECT_EQ(loam_proc_copy_out(&one, AT + 4 * PAGE, out, 4),
		  -LOAM_EFAULT);
	EXPECT_EQ(loam_proc_copy_in(&one, in, AT + 4 * PAGE, 4), 0);
	EXPECT_EQ(loam_proc_copy_in(&one, in, 0, 0), 0);
	end();
}

TEST(strings, "S3.28 a string is copied up to its end, a limit, or a hole")
{
	char text[64];
	begin();
	map_anon(&one, AT, 2, RW, 0);
	EXPECT_EQ(loam_proc_copy_out(&one, AT + PAGE - 3, "hello", 6), 0);
	EXPECT_EQ(loam_proc_copy_string(&one, text, AT + PAGE - 3, 64), 5);
	EXPECT_EQ(strcmp(text, "hello"), 0);
	EXPECT_EQ(loam_proc_copy_string(&one, text, AT + PAGE - 3, 4),
		  -LOAM_ERANGE);
	EXPECT_EQ(strcmp(text, "hel"), 0);
	EXPECT_EQ(loam_proc_copy_string(&one, text, AT + PAGE - 3, 0),
		  -LOAM_ERANGE);
	EXPECT_EQ(loam_proc_copy_out(&one, AT + 2 * PAGE - 3, "abc", 3), 0);
	EXPECT_EQ(loam_proc_copy_string(&one, text, AT + 2 * PAGE - 3, 64),
		  -LOAM_EFAULT);
	EXPECT_EQ(strcmp(text, "abc"), 0);
	EXPECT_EQ(loam_proc_copy_string(&one, text, 0xc0000000u, 64),
		  -LOAM_EFAULT);
	EXPECT_EQ(text[0], 0);
	end();
}

/* -------- process_malloc -------- */

TEST(malloc, "S3.21 S3.22 S3.23 process_malloc is zeroed, whole, and goes back")
{
	static const size_t sizes[] = { 1, 4096, 4097, 100000 };
	begin();
	uint64_t before = loam_frame_free_count(&machine.base.frames);
	for (unsigned lazy = 0; lazy < 2; lazy++) {
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
			size_t pages = (sizes[i] + PAGE - 1) / PAGE;
			uintptr_t at =
				loam_proc_malloc(&one, sizes[i], lazy != 0);
			EXPECT(at != 0);
			EXPECT_EQ(stats_of(&one).resident_frames,
				  lazy != 0 ? 0 : pages);
			for (size_t p = 0; p < pages; p++) {
				EXPECT_EQ(peek(&one, at + p * PAGE), 0);
				EXPECT_EQ(peek(&one, at + p * PAGE + 4092), 0);
				poke(&one, at + p * PAGE, 0xdeadu);
			}
			expect_bad(&one, at + pages * PAGE, false);
			EXPECT(loam_proc_free(&one, at));
			expect_bad(&one, at, false);
			EXPECT_EQ(stats_of(&one).resident_frames, 0);
			EXPECT_EQ(stats_of(&one).allocations, 0);
		}
	}
	loam_slab_shrink_all(&machine.slabs);
	/* The page tables stay for the next time. */
	EXPECT(before - loam_frame_free_count(&machine.base.frames) <= 3);
	end();
}

TEST(malloc_misuse, "S3.26 a free of what is none does nothing")
{
	begin();
	EXPECT_EQ(loam_proc_create(&machine.procs, &two, "two"), 0);
	uintptr_t a = loam_proc_malloc(&one, 3 * PAGE, false);
	uintptr_t b = loam_proc_malloc(&one, PAGE, false);
	uintptr_t anon = map_anon(&one, 0, 1, RW, 0);
	EXPECT_EQ(b, a + 3 * PAGE);
	EXPECT(!loam_proc_free(&one, 0));
	EXPECT(!loam_proc_free(&one, a + 1));
	EXPECT(!loam_proc_free(&one, a + PAGE));
	EXPECT(!loam_proc_free(&one, anon));
	EXPECT(!loam_proc_free(&one, 0xc0000000u));
	EXPECT(!loam_proc_free(&two, a)); /* S3.25 */
	EXPECT_EQ(stats_of(&one).allocations, 2);
	EXPECT(loam_proc_free(&one, a));
	EXPECT(!loam_proc_free(&one, a));
	/* What the process unmapped itself is none any more. */
	uintptr_t c = loam_proc_malloc(&one, 3 * PAGE, true);
	EXPECT_EQ(loam_proc_unmap(&one, c, PAGE), 0);
	EXPECT(!loam_proc_free(&one, c));
	EXPECT(!loam_proc_free(&one, c + PAGE));
	EXPECT_EQ(stats_of(&one).allocations, 1);
	EXPECT_EQ(loam_proc_malloc(&one, 0, false), 0);
	EXPECT_EQ(loam_proc_malloc(&one, SIZE_MAX, false), 0);
	EXPECT_EQ(loam_proc_malloc(&one, SIZE_MAX - 4095, true), 0);
	EXPECT_EQ(loam_proc_malloc(&one, LOAM_MIB(25), false), 0);
	EXPECT_EQ(stats_of(&one).resident_frames, 1);
	destroy(&two);
	end();
}

TEST(malloc_limit, "S3.27 the 1025th allocation fails, and leaks nothing")
{
	static uintptr_t at[1024];
	begin();
	one.limits.regions = 4096;
	for (unsigned i = 0; i < 1024; i++) {
		at[i] = loam_proc_malloc(&one, 1, false);
		EXPECT(at[i] != 0);
	}
	loam_slab_shrink_all(&machine.slabs);
	uint64_t before = loam_frame_free_count(&machine.base.frames);
	EXPECT_EQ(loam_proc_malloc(&one, 1, false), 0);
	loam_slab_shrink_all(&machine.slabs);
	EXPECT_EQ(loam_frame_free_count(&machine.base.frames), before);
	for (unsigned i = 0; i < 1024; i++) {
		EXPECT(loam_proc_free(&one, at[i]));
	}
	EXPECT(loam_proc_malloc(&one, 1, false) != 0);
	end();
}

/* -------- out of memory -------- */

TEST(pressure, "S4.34 pagers give back, then the largest process is chosen")
{
	loam_phys_t phys;
	begin();
	pager_start();
	EXPECT_EQ(loam_proc_create(&machine.procs, &two, "two"), 0);
	EXPECT_EQ(map_pager(&two, AT, 60, 0, LOAM_PROT_READ), 0);
	for (unsigned i = 0; i < 60; i++) {
		(void)peek(&two, AT + i * PAGE);
	}
	EXPECT_EQ(loam_proc_unmap(&two, AT, 60 * PAGE), 0);
	map_anon(&one, AT, 0x4000, RW, 0);
	map_anon(&two, AT, 0x4000, RW, 0);
	poke(&two, AT, 1);
	enum loam_faulted result = LOAM_FAULTED_OK;
	unsigned pages = 0;
	while (result == LOAM_FAULTED_OK) {
		result = touch(&one, AT + pages++ * PAGE, true, &phys);
	}
	EXPECT_EQ(result, LOAM_FAULTED_MEMORY);
	EXPECT(machine.victim == &one);
	struct loam_procs_stats stats;
	loam_procs_stats(&machine.procs, &stats);
	EXPECT(stats.reclaimed >= 60);
	EXPECT_EQ(stats.out_of_memory, 0);
	proc_check_all();
	/* A host that says yes: the fault is to be tried again. */
	machine.victim_gives = true;
	EXPECT_EQ(try_access(&two, AT + PAGE, true), LOAM_FAULTED_RETRY);
	EXPECT_LOG("out of memory: ending one, which has");
	machine.victim = NULL;
	EXPECT_EQ(try_access(&two, AT + PAGE, true), LOAM_FAULTED_RETRY);
	EXPECT(machine.victim == NULL); /* one at a time */
	destroy(&one);
	poke(&two, AT + PAGE, 5);
	loam_procs_stats(&machine.procs, &stats);
	EXPECT_EQ(stats.out_of_memory, 1);
	EXPECT_EQ(peek(&two, AT), 1);
	destroy(&two);
	pager_end();
	proc_end();
}

/* Makes whole operations of every kind; the result is that of the last one. */
static int everything(void)
{
	uintptr_t at;
	struct loam_map_request request = {
		.start = AT, .size = 6 * PAGE, .prot = RW, .flags = FIXED
	};
	int error = loam_proc_map(&one, &request, &at);
	if (error == 0 && loam_proc_fault(&one, AT + PAGE, LOAM_ACCESS_WRITE) !=
				  LOAM_FAULTED_OK) {
		error = -LOAM_ENOMEM;
	}
	if (error == 0) {
		error = loam_proc_protect(&one, AT + 2 * PAGE, PAGE,
					  LOAM_PROT_READ);
	}
	if (error == 0) {
		error = loam_proc_fork(&one, &two, "two");
		if (error == 0) {
			if (loam_proc_fault(&two, AT + PAGE,
					    LOAM_ACCESS_WRITE) !=
			    LOAM_FAULTED_OK) {
				error = -LOAM_ENOMEM;
			}
			loam_proc_destroy(&two);
		}
	}
	if (error == 0) {
		error = loam_proc_remap(&one, AT, 2 * PAGE, 1500 * PAGE,
					LOAM_REMAP_MAY_MOVE, &at);
	}
	if (error == 0 && loam_proc_malloc(&one, 9000, false) == 0) {
		error = -LOAM_ENOMEM;
	}
	if (error == 0) {
		error = loam_proc_brk(&one, 0x9000000 + 5, &at);
	}
	if (error == 0) {
		error = loam_proc_unmap(&one, AT + 3 * PAGE, PAGE);
	}
	return error;
}

/* The nth allocation of frames, or of kmalloc, fails, for every n. */
static void fail_each(bool frames)
{
	for (uint64_t n = 1;; n++) {
		begin();
		loam_proc_set_heap(&one, 0x9000000, 0x9100000);
		loam_slab_shrink_all(&machine.slabs);
		/* Without reclaim and victims, nothing is tried again. */
		loam_frame_set_reclaim(&machine.base.frames, NULL, NULL);
		if (frames) {
			(void)loam_frame_fail_nth(&machine.base.frames, n);
		} else {
			(void)loam_kmalloc_fail_nth(&machine.kmalloc, n);
		}
		int error = everything();
		uint64_t counted =
			frames ? loam_frame_fail_nth(&machine.base.frames, 0)
			       : loam_kmalloc_fail_nth(&machine.kmalloc, 0);
		EXPECT(error == 0 || error == -LOAM_ENOMEM);
		EXPECT(frames || (error != 0) == (n <= counted));
		end();
		if (counted < n) {
			EXPECT_EQ(error, 0);
			break;
		}
		EXPECT(n < 1000);
	}
}

TEST(fail_nth, "S3.4 S4.27 each allocation fails in turn, and nothing leaks")
{
	fail_each(true);
	fail_each(false);
}

/* -------- life -------- */

TEST(config, "X.7 a configuration that contradicts itself is refused")
{
	begin();
	struct loam_procs other;
	struct loam_procs_config config = machine.config;
	config.user_base = 0;
	EXPECT_EQ(loam_procs_init(&other, &config), -LOAM_EINVAL);
	config = machine.config;
	config.map_end = config.user_end + PAGE;
	EXPECT_EQ(loam_procs_init(&other, &config), -LOAM_EINVAL);
	config = machine.config;
	config.map_base = config.map_end;
	EXPECT_EQ(loam_procs_init(&other, &config), -LOAM_EINVAL);
	config = machine.config;
	config.kernel_base = 0;
	EXPECT_EQ(loam_procs_init(&other, &config), -LOAM_EINVAL);
	config = machine.config;
	config.user_end += 1;
	EXPECT_EQ(loam_procs_init(&other, &config), -LOAM_EINVAL);
	EXPECT_PANIC(loam_procs_fini(&machine.procs), "count == 0");
	end();
}

static int count_regions(void *arg, const struct loam_region_info *info)
{
	unsigned *count = arg;
	EXPECT(strcmp(loam_region_kind_name(info->kind), "anonymous") == 0);
	++*count;
	return *count == 3 ? 33 : 0;
}

TEST(walks, "S4.33 walks name regions in order and stop when told")
{
	unsigned count = 0;
	begin();
	for (unsigned i = 0; i < 5; i++) {
		map_anon(&one, AT + 2 * i * PAGE, 1, RW, 0);
	}
	EXPECT_EQ(loam_proc_walk(&one, count_regions, &count), 33);
	EXPECT_EQ(count, 3);
	struct loam_region_info info;
	EXPECT_EQ(loam_proc_find(&one, AT + PAGE, &info), 0);
	EXPECT_EQ(info.start, AT + 2 * PAGE);
	EXPECT_EQ(loam_proc_find(&one, AT + 100 * PAGE, &info), -LOAM_ENOENT);
	for (unsigned i = 0; i <= LOAM_FAULT_KINDS; i++) {
		EXPECT(loam_fault_kind_name((enum loam_fault_kind)i)[0] != 0);
	}
	EXPECT_EQ(strcmp(loam_region_kind_name(LOAM_REGION_KINDS), "unknown"),
		  0);
	end();
}

TEST(identity, "S3.7 S3.34 in an identity map the user's part shadows frames")
{
	proc_start(&loam_pt_i386, MEMORY);
	loam_procs_fini(&machine.procs);
	/* The kernel's map of all memory, the user's part too. */
	EXPECT_EQ(loam_pt_map(&machine.kernel_pt, 0, 0, MEMORY, LOAM_PROT_WRITE,
			      false),
		  0);
	machine.config.kernel_base = 0;
	machine.config.kernel_size = 0;
	machine.config.user_base = 0x3fb000;
	machine.config.user_end = 0xa00000;
	machine.config.map_base = 0x800000;
	machine.config.map_end = 0xa00000;
	machine.free_at_start = loam_frame_free_count(&machine.base.frames);
	EXPECT_EQ(loam_procs_init(&machine.procs, &machine.config), 0);
	EXPECT_EQ(loam_proc_create(&machine.procs, &one, "one"), 0);
	map_anon(&one, 0x3fb000, 4, RW, 0);
	map_anon(&one, AT, 8, RW, 0);
	poke(&one, 0x3fe000, 4);
	poke(&one, AT, 5);
	loam_phys_t phys;
	static const uintptr_t places[] = { 0,        0x100000, 0x3fa000,
					    0xa00000, 0xbff000, 0xc00000,
					    0x17ff000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(places); i++) {
		EXPECT_EQ(emu_translate(places[i], 0, &phys), EMU_NO_FAULT);
		EXPECT_EQ(phys, places[i]);
		EXPECT_EQ(emu_translate(places[i], EMU_USER, &phys),
			  EMU_PROTECTION);
	}
	EXPECT_EQ(emu_translate(AT + 8 * PAGE, 0, &phys), EMU_NOT_PRESENT);
	EXPECT_EQ(loam_proc_fork(&one, &two, "two"), 0);
	poke(&two, 0x3fe000, 6);
	EXPECT_EQ(peek(&one, 0x3fe000), 4);
	EXPECT_EQ(emu_translate(0x100000, 0, &phys), EMU_NO_FAULT);
	proc_check_all();
	destroy(&two);
	end();
}

/* What each check must find. */
TEST(check, "X.5 the check finds each kind of damage")
{
	struct loam_pt_leaf leaf;
	begin();
	map_anon(&one, AT, 4, LOAM_PROT_READ, 0);
	(void)peek(&one, AT);
	EXPECT(loam_pt_leaf_find(&one.pt, AT, &leaf));
	uint64_t entry = loam_pt_leaf_load(&one.pt, leaf.entries, leaf.index);
	loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index,
			   entry | one.pt.geometry->writable);
	EXPECT_EQ(loam_proc_check(&one), -LOAM_EFAULT);
	EXPECT_LOG("is writable against the region");
	loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index, entry);
	loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index + 4, entry);
	EXPECT_EQ(loam_proc_check(&one), -LOAM_EFAULT);
	EXPECT_LOG("pages == present");
	loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index + 4, 0);
	one.resident_frames++;
	EXPECT_EQ(loam_proc_check(&one), -LOAM_EFAULT);
	one.resident_frames--;
	one.address_bytes++;
	EXPECT_EQ(loam_proc_check(&one), -LOAM_EFAULT);
	one.address_bytes--;
	one.allocations++;
	EXPECT_EQ(loam_proc_check(&one), -LOAM_EFAULT);
	one.allocations--;
	EXPECT_EQ(loam_proc_check(&one), 0);
	end();
}

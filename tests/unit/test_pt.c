/* SPDX-License-Identifier: MIT */
/* Page tables: arguments, mapping, large pages, tables made and given back. */
#include "pt_fixture.h"

#define MIB4 LOAM_MIB(4)
#define BASE ((uintptr_t)0xE0000000u)
#define TOP_PAGE ((uintptr_t)0xFFFFF000u)
#define RW (LOAM_PROT_READ | LOAM_PROT_WRITE)

static struct pt_fixture fixture;
static struct loam_pt *const pt = &fixture.pt;

static loam_phys_t phys_of(uintptr_t virt)
{
	struct loam_pt_mapping mapping;
	return loam_pt_query(pt, virt, &mapping) == 0 ? mapping.phys
						      : LOAM_PHYS_NONE;
}

TEST(geometry, "the geometry tables agree with themselves")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		const struct loam_pt_geometry *g = all_geometries[i];
		unsigned shift = 0;
		for (unsigned level = 0; level < g->levels; level++) {
			EXPECT_EQ(g->span_shift[level], shift);
			EXPECT(g->index_bits[level] <= LOAM_PT_MAX_INDEX_BITS);
			EXPECT((size_t)g->entry_bytes << g->index_bits[level] <=
			       LOAM_PAGE_SIZE);
			shift += g->index_bits[level];
		}
		EXPECT_EQ(g->virt_bits, shift + LOAM_PAGE_SHIFT);
		EXPECT_EQ(g->large_levels & 1u, 0);
		EXPECT_EQ(g->large != 0, g->large_levels != 0);
		EXPECT(!(g->phys_mask & (g->present | g->writable | g->user |
					 g->accessed | g->dirty | g->large |
					 g->global | g->no_execute | g->mark)));
		/* From the lowest bit up the mask has no gap. */
		uint64_t above = g->phys_mask + LOAM_PAGE_SIZE;
		EXPECT_EQ(above & (above - 1), 0);
	}
}

TEST(align, "S3.31 align helpers: up, down, and up past the top")
{
	static const struct {
		uintptr_t virt, down, up;
	} rows[] = {
		{ 0, 0, 0 },
		{ 1, 0, 4096 },
		{ 4095, 0, 4096 },
		{ 4096, 4096, 4096 },
		{ 4097, 4096, 8192 },
		{ UINTPTR_MAX - 4095, UINTPTR_MAX - 4095, UINTPTR_MAX - 4095 },
		{ 0xFFFFE001u, 0xFFFFE000u, 0xFFFFF000u },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		uintptr_t up = 77;
		EXPECT_EQ(loam_pt_align_down(rows[i].virt), rows[i].down);
		EXPECT(loam_pt_align_up(rows[i].virt, &up));
		EXPECT_EQ(up, rows[i].up);
	}
	/* 0xFFFFF001 in 32 bits, and its like in 64. */
	for (uintptr_t virt = UINTPTR_MAX - 4094; virt != 0; virt++) {
		uintptr_t up = 77;
		EXPECT(!loam_pt_align_up(virt, &up));
		EXPECT_EQ(up, 77);
	}
}

/* Every operation that takes a range refuses it, and takes no table. */
static void expect_refused(uintptr_t virt, size_t size)
{
	static const loam_pfn_t pfns[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	size_t tables = fixture.in_use;
	EXPECT_EQ(loam_pt_map(pt, virt, 0, size, RW, false), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_unmap(pt, virt, size), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_unmap_noflush(pt, virt, size), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_protect(pt, virt, size, RW), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_populate(pt, virt, size), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_tables_needed(pt, virt, size), 0);
	if (size % LOAM_PAGE_SIZE == 0) {
		EXPECT_EQ(loam_pt_map_frames(pt, virt, pfns,
					     size / LOAM_PAGE_SIZE, RW),
			  -LOAM_EINVAL);
	}
	EXPECT_EQ(fixture.in_use, tables);
}

TEST(arguments, "S3.30 misaligned, empty and wrapping ranges are refused")
{
	fixture_start(&fixture, &loam_pt_i386);
	expect_refused(BASE + 1, 4096);
	expect_refused(BASE + 2048, 4096);
	expect_refused(BASE, 4095);
	expect_refused(BASE, 4097);
	expect_refused(BASE, 0);
	expect_refused(TOP_PAGE, 8192);
	expect_refused(TOP_PAGE + 4095, 4096);
	expect_refused(BASE, (size_t)0 - 4096);
	expect_refused(UINTPTR_MAX - 4095, 8192);
	EXPECT_EQ(loam_pt_map(pt, BASE, 1, 4096, RW, false), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map(pt, BASE, 4095, 4096, RW, true), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map(pt, BASE + 1, 1, 4096, RW, false), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_remap(pt, BASE + 1, 0, RW), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_remap(pt, BASE, 1, RW), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0, 4096, 0x80, false), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0, 0x80), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_protect(pt, BASE, 4096, 0x80), -LOAM_EINVAL);
	loam_pfn_t pfn = 1;
	EXPECT_EQ(loam_pt_map_frames(pt, BASE, &pfn, 1, 0x80), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map_frames(pt, BASE, &pfn, SIZE_MAX / 2, RW),
		  -LOAM_EINVAL);
	EXPECT_EQ(fixture.in_use, 1);
	fixture_end(&fixture);
}

TEST(top, "S3.30 the last page below 4 GiB is a page like any other")
{
	fixture_start(&fixture, &loam_pt_i386);
	EXPECT_EQ(loam_pt_map(pt, TOP_PAGE, 0x5000, 4096, RW, false), 0);
	EXPECT_EQ(phys_of(TOP_PAGE + 4095), 0x5fff);
	EXPECT_EQ(loam_pt_map(pt, TOP_PAGE - 8192, 0, 12288, RW, false),
		  -LOAM_EEXIST);
	EXPECT_EQ(phys_of(TOP_PAGE - 8192), LOAM_PHYS_NONE);
	EXPECT_EQ(loam_pt_protect(pt, TOP_PAGE, 4096, LOAM_PROT_READ), 0);
	EXPECT_EQ(loam_pt_unmap(pt, TOP_PAGE, 4096), 1);
	EXPECT_EQ(phys_of(TOP_PAGE), LOAM_PHYS_NONE);
	fixture_end(&fixture);
}

TEST(phys_reach, "S3.30 an entry must be able to hold the address")
{
	fixture_start(&fixture, &loam_pt_i386);
	const loam_phys_t end = LOAM_GIB(4);
	EXPECT_EQ(loam_pt_map(pt, BASE, end, 4096, RW, false), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map(pt, BASE, end - 4096, 8192, RW, false),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map(pt, BASE, (loam_phys_t)-4096, 8192, RW, false),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_remap(pt, BASE, end, RW), -LOAM_EINVAL);
	loam_pfn_t pfns[3] = { 1, 0x100000, 2 };
	EXPECT_EQ(loam_pt_map_frames(pt, BASE, pfns, 3, RW), -LOAM_EINVAL);
	EXPECT_EQ(fixture.in_use, 1);
	pfns[1] = 0xfffff;
	EXPECT_EQ(loam_pt_map_frames(pt, BASE, pfns, 3, RW), 0);
	EXPECT_EQ(phys_of(BASE + 4096), end - 4096);
	fixture_end(&fixture);
	fixture_start(&fixture, &loam_pt_i386_pae);
	EXPECT_EQ(loam_pt_map(pt, BASE, LOAM_GIB(5), 4096, RW, false), 0);
	EXPECT_EQ(phys_of(BASE + 5), LOAM_GIB(5) + 5);
	EXPECT_EQ(loam_pt_remap(pt, BASE, (loam_phys_t)1 << 52, RW),
		  -LOAM_EINVAL);
	fixture_end(&fixture);
}

TEST(canonical, "S3.30 64-bit addresses must repeat the top bit")
{
	if (sizeof(uintptr_t) == 4) {
		return; /* no such addresses */
	}
	fixture_start(&fixture, &loam_pt_x86_64);
	uintptr_t half = (uintptr_t)(UINT64_C(1) << 47);
	expect_refused(half, 4096);
	expect_refused(half - 4096, 8192);
	expect_refused(0 - half - 4096, 4096);
	expect_refused(0 - half - 4096, 8192);
	EXPECT_EQ(phys_of(half), LOAM_PHYS_NONE);
	EXPECT_EQ(loam_pt_map(pt, half - 4096, 0x1000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_map(pt, 0 - half, 0x2000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_map(pt, 0 - (uintptr_t)4096, 0x3000, 4096, RW, false),
		  0);
	EXPECT_EQ(phys_of(half - 1), 0x1fff);
	EXPECT_EQ(phys_of(0 - half), 0x2000);
	EXPECT_EQ(phys_of(UINTPTR_MAX), 0x3fff);
	EXPECT_EQ(fixture.in_use, 1 + 3 * 3);
	fixture_end(&fixture);
}

TEST(populate_level, "S0.10 populate makes the tables down to a level, once")
{
	const uintptr_t base = (uintptr_t)0x100000000000u;
	static const struct {
		size_t pages;
		size_t tables[4]; /* by level: at least that and above */
	} rows[] = {
		{ 1, { 3, 2, 1, 0 } },
		{ 512, { 3, 2, 1, 0 } },
		{ 513, { 4, 2, 1, 0 } },
		{ 512 * 512 * 3, { 3 * 512 + 3 + 1, 4, 1, 0 } },
	};
	for (unsigned i = 0; sizeof(uintptr_t) == 8 && i < 4 * 4; i++) {
		size_t size = rows[i / 4].pages << LOAM_PAGE_SHIFT;
		unsigned level = i % 4;
		size_t tables = rows[i / 4].tables[level];
		fixture_start(&fixture, &loam_pt_x86_64);
		EXPECT_EQ(loam_pt_tables_needed_level(pt, base, size, level),
			  tables);
		EXPECT_EQ(loam_pt_populate_level(pt, base, size, level), 0);
		EXPECT_EQ(fixture.in_use, 1 + tables);
		EXPECT_EQ(loam_pt_tables_needed_level(pt, base, size, level),
			  0);
		/* What is above is there as well, what is below comes later. */
		EXPECT_EQ(loam_pt_populate_level(pt, base, size, 3), 0);
		EXPECT_EQ(loam_pt_populate_level(pt, base, size, level), 0);
		EXPECT_EQ(fixture.in_use, 1 + tables);
		EXPECT_EQ(loam_pt_populate(pt, base, size), 0);
		EXPECT_EQ(fixture.in_use, 1 + rows[i / 4].tables[0]);
		EXPECT_EQ(loam_pt_check(pt), 0);
		EXPECT_EQ(loam_pt_populate_level(pt, base, size, 4),
			  -LOAM_EINVAL);
		EXPECT_EQ(loam_pt_tables_needed_level(pt, base, size, 4), 0);
		fixture_end(&fixture);
	}
}

TEST(populate_level_fails, "X.8 populate to a level leaves nothing behind")
{
	fixture_start(&fixture, &loam_pt_i386_pae);
	for (unsigned fail = 1; fail <= 3; fail++) {
		fixture.fail_nth = fail;
		EXPECT_EQ(loam_pt_populate_level(pt, 0x40000000u,
						 LOAM_MIB(3072), 1),
			  -LOAM_ENOMEM);
		EXPECT_EQ(fixture.in_use, 1);
	}
	fixture.fail_nth = 0;
	EXPECT_EQ(loam_pt_populate_level(pt, 0x40000000u, LOAM_MIB(3072), 1),
		  0);
	EXPECT_EQ(fixture.in_use, 4);
	fixture_end(&fixture);
}

TEST(populate, "S0.10 S0.11 populate makes one table per 4 MiB, once")
{
	static const struct {
		uintptr_t virt;
		size_t size;
		size_t tables;
	} rows[] = {
		{ 0xD0000000u, MIB4, 1 },
		{ 0xD0000000u, LOAM_MIB(64), 16 },
		{ 0xD0000000u, 4096, 1 },
		{ 0xD03FF000u, 8192, 2 },
		{ 0xD03FF000u, MIB4 + 8192, 3 },
		{ 0xFF800000u, LOAM_MIB(8), 2 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		fixture_start(&fixture, &loam_pt_i386);
		uintptr_t virt = rows[i].virt;
		size_t size = rows[i].size;
		EXPECT_EQ(loam_pt_tables_needed(pt, virt, size),
			  rows[i].tables);
		EXPECT_EQ(loam_pt_populate(pt, virt, size), 0);
		EXPECT_EQ(fixture.in_use, 1 + rows[i].tables);
		EXPECT_EQ(loam_pt_tables_needed(pt, virt, size), 0);
		for (size_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
			struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
			EXPECT_EQ(loam_pt_walk(pt, virt + at, steps), 2);
			EXPECT_EQ(steps[1].entry, 0);
		}
		/* Again it makes none, and mapping takes none. */
		EXPECT_EQ(loam_pt_populate(pt, virt, size), 0);
		EXPECT_EQ(loam_pt_map(pt, virt, 0, size, RW, true), 0);
		EXPECT_EQ(fixture.allocations, 1 + rows[i].tables);
		fixture_end(&fixture);
	}
}

TEST(consume, "S2.12 mapping n MiB takes ceil(n/4) tables and the directory")
{
	static const unsigned mibs[] = { 1, 3, 4, 5, 8, 9, 16, 255 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(mibs); i++) {
		fixture_start(&fixture, &loam_pt_i386);
		size_t size = LOAM_MIB(mibs[i]);
		EXPECT_EQ(loam_pt_tables_needed(pt, 0xC0000000u, size),
			  (mibs[i] + 3) / 4);
		EXPECT_EQ(loam_pt_map(pt, 0xC0000000u, 0, size, RW, true), 0);
		EXPECT_EQ(fixture.in_use, 1 + (mibs[i] + 3) / 4);
		fixture_end(&fixture);
	}
}

TEST(consume_large, "S2.12 large pages take no tables where they fit")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	/* 4 KiB on both sides of two large pages. */
	EXPECT_EQ(loam_pt_map(pt, BASE + MIB4 - 4096, MIB4 - 4096,
			      2 * MIB4 + 8192, RW, true),
		  0);
	EXPECT_EQ(fixture.in_use, 3);
	struct loam_pt_mapping mapping;
	EXPECT_EQ(loam_pt_query(pt, BASE + MIB4 + 5, &mapping), 0);
	EXPECT_EQ(mapping.page_size, MIB4);
	EXPECT_EQ(mapping.phys, MIB4 + 5);
	EXPECT_EQ(loam_pt_query(pt, BASE + 3 * MIB4 + 5, &mapping), 0);
	EXPECT_EQ(mapping.page_size, 4096);
	/* Not aligned alike: small pages only. */
	EXPECT_EQ(loam_pt_map(pt, BASE + 8 * MIB4, 4096, MIB4, RW, true), 0);
	EXPECT_EQ(fixture.in_use, 4);
	/* Not asked for: small pages only. */
	EXPECT_EQ(loam_pt_map(pt, BASE + 9 * MIB4, 0, MIB4, RW, false), 0);
	EXPECT_EQ(fixture.in_use, 5);
	/* A table is in the way, and used. */
	EXPECT_EQ(loam_pt_populate(pt, BASE + 10 * MIB4, 4096), 0);
	EXPECT_EQ(loam_pt_map(pt, BASE + 10 * MIB4, 0, MIB4, RW, true), 0);
	EXPECT_EQ(fixture.in_use, 6);
	fixture_end(&fixture);
}

TEST(giant, "one map uses every size of page that fits")
{
	fixture_start(&fixture, &loam_pt_x86_64);
	/* 4 KiB + 511 * 2 MiB + 1 GiB, from just below a 2 MiB boundary. */
	uintptr_t virt = LOAM_MIB(2) - 4096;
	size_t size = LOAM_MIB(1022) + 4096 + LOAM_MIB(1024);
	EXPECT_EQ(loam_pt_map(pt, virt, virt, size, RW, true), 0);
	/* The root, and one table of each lower level. */
	EXPECT_EQ(fixture.in_use, 4);
	static const struct {
		uintptr_t virt;
		size_t page_size;
	} rows[] = {
		{ 0x1ff000, LOAM_PAGE_SIZE },   { 0x200000, LOAM_MIB(2) },
		{ 0x3fffffff, LOAM_MIB(2) },    { 0x40000000, LOAM_MIB(1024) },
		{ 0x7fffffff, LOAM_MIB(1024) },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		struct loam_pt_mapping mapping;
		EXPECT_EQ(loam_pt_query(pt, rows[i].virt, &mapping), 0);
		EXPECT_EQ(mapping.page_size, rows[i].page_size);
		EXPECT_EQ(mapping.phys, rows[i].virt);
	}
	EXPECT_EQ(phys_of(0x80000000u), LOAM_PHYS_NONE);
	/* One page out of the middle of 1 GiB: two splits. */
	EXPECT_EQ(loam_pt_unmap(pt, 0x50000000, 4096), 1);
	EXPECT_EQ(fixture.in_use, 6);
	EXPECT_EQ(phys_of(0x50000000), LOAM_PHYS_NONE);
	EXPECT_EQ(phys_of(0x4fffffff), 0x4fffffff);
	EXPECT_EQ(phys_of(0x50001000), 0x50001000);
	EXPECT_EQ(phys_of(0x60000000), 0x60000000);
	EXPECT_EQ(loam_pt_unmap(pt, virt, size), size / 4096 - 1);
	EXPECT_EQ(fixture.in_use, 6);
	fixture_end(&fixture);
}

TEST(same, "X.3 map_same shows one block everywhere, by the largest pages")
{
	const loam_phys_t block = LOAM_MIB(8);
	for (unsigned g = 0; g < LOAM_ARRAY_SIZE(all_geometries); g++) {
		const struct loam_pt_geometry *geometry = all_geometries[g];
		unsigned order = geometry->span_shift[1];
		size_t bytes = (size_t)LOAM_PAGE_SIZE << order;
		size_t size = 2 * bytes + 3 * LOAM_PAGE_SIZE;
		bool large = (geometry->large_levels & 2u) != 0;
		fixture_start(&fixture, geometry);
		EXPECT_EQ(loam_pt_map_same(pt, BASE, block, order, size,
					   LOAM_PROT_READ),
			  0);
		for (size_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
			struct loam_pt_mapping mapping;
			EXPECT_EQ(loam_pt_query(pt, BASE + at, &mapping), 0);
			bool whole = large && at < 2 * bytes;
			EXPECT_EQ(mapping.page_size,
				  whole ? bytes : LOAM_PAGE_SIZE);
			EXPECT_EQ(mapping.phys,
				  block + (whole ? at % bytes : 0));
			EXPECT_EQ(mapping.prot & LOAM_PROT_WRITE, 0);
		}
		EXPECT_EQ(loam_pt_check(pt), 0);
		/* Not over anything, not even its last page; then all goes. */
		EXPECT_EQ(loam_pt_map_same(pt, BASE - bytes, block, order,
					   bytes + LOAM_PAGE_SIZE, RW),
			  -LOAM_EEXIST);
		EXPECT_EQ(phys_of(BASE - bytes), LOAM_PHYS_NONE);
		EXPECT_EQ(loam_pt_unmap(pt, BASE, size),
			  (long)(size / LOAM_PAGE_SIZE));
		/* A block of one page is never a large one. */
		EXPECT_EQ(loam_pt_map_same(pt, BASE, block, 0, bytes, RW), 0);
		EXPECT_EQ(phys_of(BASE + bytes - 1), block + LOAM_PAGE_MASK);
		EXPECT_EQ(loam_pt_map_same(pt, BASE + bytes, block,
					   LOAM_PT_BLOCK_ORDER_MAX + 1, bytes,
					   RW),
			  -LOAM_EINVAL);
		EXPECT_EQ(loam_pt_map_same(pt, BASE + bytes, block + 1, 0,
					   bytes, RW),
			  -LOAM_EINVAL);
		fixture_end(&fixture);
	}
}

TEST(large_run, "S2.12 a run of large pages stops at the one that is taken")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	EXPECT_EQ(loam_pt_map(pt, BASE + 3 * MIB4, 0, MIB4, RW, true), 0);
	size_t tables = loam_pt_count_tables(pt);
	EXPECT_EQ(loam_pt_map(pt, BASE, 8 * MIB4, 4 * MIB4, RW, true),
		  -LOAM_EEXIST);
	EXPECT_EQ(phys_of(BASE), LOAM_PHYS_NONE);
	EXPECT_EQ(loam_pt_map(pt, BASE, 8 * MIB4, 3 * MIB4, RW, true), 0);
	EXPECT_EQ(loam_pt_count_tables(pt), tables);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(phys_of(BASE + i * MIB4 + 5), (8 + i) * MIB4 + 5);
	}
	EXPECT_EQ(phys_of(BASE + 3 * MIB4), 0);
	EXPECT_EQ(loam_pt_check(pt), 0);
	fixture_end(&fixture);
}

TEST(frames, "map_frames maps frames in any order, over several tables")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		enum { COUNT = 1500 };
		static loam_pfn_t pfns[COUNT];
		fixture_start(&fixture, all_geometries[i]);
		for (unsigned n = 0; n < COUNT; n++) {
			pfns[n] = (n * 7919u) % 65536u;
		}
		uintptr_t virt = BASE + MIB4 - 13 * 4096;
		EXPECT_EQ(loam_pt_map_frames(pt, virt, pfns, COUNT, RW), 0);
		for (unsigned n = 0; n < COUNT; n++) {
			EXPECT_EQ(phys_of(virt + n * 4096),
				  (loam_phys_t)pfns[n] << 12);
		}
		EXPECT_EQ(phys_of(virt - 4096), LOAM_PHYS_NONE);
		EXPECT_EQ(phys_of(virt + COUNT * 4096), LOAM_PHYS_NONE);
		EXPECT_EQ(loam_pt_unmap(pt, virt - 4096, (COUNT + 2) * 4096),
			  COUNT);
		EXPECT_EQ(loam_pt_unmap(pt, virt - 4096, (COUNT + 2) * 4096),
			  0);
		fixture_end(&fixture);
	}
}

TEST(all_or_nothing, "a map that meets a mapped page leaves nothing behind")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	uintptr_t last = BASE + 3 * MIB4;
	EXPECT_EQ(loam_pt_map(pt, last, 0x7000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_map(pt, BASE + 4096, 0, 3 * MIB4, RW, false),
		  -LOAM_EEXIST);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0, 4 * MIB4, RW, true), -LOAM_EEXIST);
	loam_pfn_t pfns[2] = { 1, 2 };
	EXPECT_EQ(loam_pt_map_frames(pt, last - 4096, pfns, 2, RW),
		  -LOAM_EEXIST);
	EXPECT_EQ(fixture.allocations, 2);
	EXPECT_EQ(loam_pt_unmap(pt, BASE, 4 * MIB4), 1);
	/* Over a large page, at its start and inside. */
	EXPECT_EQ(loam_pt_map(pt, BASE, 0, MIB4, RW, true), 0);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0, MIB4, RW, true), -LOAM_EEXIST);
	EXPECT_EQ(loam_pt_map(pt, BASE + 8192, 0, 4096, RW, false),
		  -LOAM_EEXIST);
	EXPECT_EQ(loam_pt_populate(pt, BASE, 2 * MIB4), 0);
	EXPECT_EQ(phys_of(BASE + 77), 77);
	EXPECT_EQ(fixture.in_use, 3);
	fixture_end(&fixture);
}

TEST(split, "a part of a large page changes, the rest and its bits stay")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	EXPECT_EQ(loam_pt_map(pt, BASE, MIB4, 3 * MIB4, RW, true), 0);
	loam_phys_t phys;
	EXPECT_EQ(emu_translate(BASE, EMU_WRITE, &phys), EMU_NO_FAULT);
	EXPECT_EQ(fixture.in_use, 1);
	/* From within the first to within the last: two splits. */
	uintptr_t virt = BASE + 12 * 4096;
	size_t size = 2 * MIB4;
	EXPECT_EQ(loam_pt_protect(pt, virt, size, LOAM_PROT_READ), 0);
	EXPECT_EQ(fixture.in_use, 3);
	for (uintptr_t at = BASE; at < BASE + 3 * MIB4; at += 4096) {
		struct loam_pt_mapping mapping;
		EXPECT_EQ(loam_pt_query(pt, at, &mapping), 0);
		EXPECT_EQ(mapping.phys, MIB4 + (at - BASE));
		bool changed = at - virt < size;
		EXPECT_EQ((mapping.prot & LOAM_PROT_WRITE) == 0, changed);
		bool middle = at - BASE >= MIB4 && at - BASE < 2 * MIB4;
		EXPECT_EQ(mapping.page_size, middle ? MIB4 : 4096);
		EXPECT_EQ(mapping.dirty, at < BASE + MIB4);
		EXPECT_EQ(mapping.accessed, at < BASE + MIB4);
	}
	/* Both ends in one large page: one split. */
	EXPECT_EQ(loam_pt_unmap(pt, BASE + MIB4 + 4096, 8192), 2);
	EXPECT_EQ(fixture.in_use, 4);
	/* A large page that is wholly inside is not split. */
	EXPECT_EQ(loam_pt_map(pt, BASE + 8 * MIB4, 0, MIB4, RW, true), 0);
	EXPECT_EQ(loam_pt_unmap(pt, BASE + 8 * MIB4, MIB4), 1024);
	EXPECT_EQ(fixture.in_use, 4);
	fixture_end(&fixture);
}

TEST(split_counts, "splits take exactly the tables they need")
{
	static const struct {
		uintptr_t first, end; /* of the unmap, in a 1 GiB page at 0 */
		unsigned tables;
	} rows[] = {
		{ 0, 0x40000000, 0 },      { 0, 0x200000, 1 },
		{ 0x200000, 0x400000, 1 }, { 0, 0x1000, 2 },
		{ 0x1000, 0x2000, 2 },     { 0x1000, 0x200000, 2 },
		{ 0x1000, 0x201000, 3 },   { 0x1ff000, 0x400000, 2 },
		{ 0x1000, 0x3ffff000, 3 }, { 0x3ffff000, 0x40000000, 2 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		fixture_start(&fixture, &loam_pt_x86_64);
		EXPECT_EQ(loam_pt_map(pt, 0, 0, 0x40000000, RW, true), 0);
		size_t before = fixture.in_use;
		size_t size = rows[i].end - rows[i].first;
		EXPECT_EQ(loam_pt_unmap(pt, rows[i].first, size), size / 4096);
		EXPECT_EQ(fixture.in_use, before + rows[i].tables);
		EXPECT_EQ(phys_of(rows[i].first), LOAM_PHYS_NONE);
		EXPECT_EQ(phys_of(rows[i].end - 1), LOAM_PHYS_NONE);
		if (rows[i].first > 0) {
			EXPECT_EQ(phys_of(rows[i].first - 1),
				  rows[i].first - 1);
		}
		if (rows[i].end < 0x40000000) {
			EXPECT_EQ(phys_of(rows[i].end), rows[i].end);
		}
		fixture_end(&fixture);
	}
}

TEST(remap, "S3.32 remap of nothing, of a page, of a part of a large page")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		const struct loam_pt_geometry *g = all_geometries[i];
		fixture_start(&fixture, g);
		EXPECT_EQ(loam_pt_remap(pt, BASE, 0x3000, RW), 0);
		EXPECT_EQ(phys_of(BASE), 0x3000);
		EXPECT_EQ(fixture.in_use, g->levels);
		EXPECT_EQ(loam_pt_remap(pt, BASE, 0x9000, LOAM_PROT_READ), 0);
		EXPECT_EQ(phys_of(BASE), 0x9000);
		EXPECT_EQ(phys_of(BASE + 4096), LOAM_PHYS_NONE);
		uintptr_t large = 0x40000000;
		EXPECT_EQ(loam_pt_map(pt, large, 0, 0x40000000, RW, true), 0);
		EXPECT_EQ(loam_pt_remap(pt, large, 0x5000, RW), 0);
		EXPECT_EQ(loam_pt_remap(pt, large + 0x801000, 0x5000, RW), 0);
		EXPECT_EQ(phys_of(large), 0x5000);
		EXPECT_EQ(phys_of(large + 0x1000), 0x1000);
		EXPECT_EQ(phys_of(large + 0x800000), 0x800000);
		EXPECT_EQ(phys_of(large + 0x801004), 0x5004);
		EXPECT_EQ(phys_of(large + 0x802000), 0x802000);
		fixture_end(&fixture);
	}
}

/* -------- the nth table cannot be had -------- */

enum operation { MAP, MAP_FRAMES, POPULATE, REMAP, REMAP_PART, UNMAP, PROTECT };

#define LARGE_AT ((uintptr_t)0x40000000u)

static long run_operation(enum operation operation)
{
	static loam_pfn_t pfns[2000];
	switch (operation) {
	case MAP:
		return loam_pt_map(pt, BASE - 4096, 0, 3 * MIB4, RW, false);
	case MAP_FRAMES:
		return loam_pt_map_frames(pt, BASE - 4096, pfns, 2000, RW);
	case POPULATE:
		return loam_pt_populate(pt, BASE - 4096, 3 * MIB4);
	case REMAP:
		return loam_pt_remap(pt, BASE, 0x1000, RW);
	case REMAP_PART:
		return loam_pt_remap(pt, LARGE_AT + 4096, 0x1000, RW);
	case UNMAP:
		return loam_pt_unmap(pt, LARGE_AT + 4096, LOAM_MIB(20));
	case PROTECT:
	default:
		return loam_pt_protect(pt, LARGE_AT + 4096, LOAM_MIB(20),
				       LOAM_PROT_READ);
	}
}

static void set_up(const struct loam_pt_geometry *geometry)
{
	fixture_start(&fixture, geometry);
	EXPECT_EQ(loam_pt_map(pt, LARGE_AT, 0, 0x40000000, RW, true), 0);
}

static int sum_run(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		   loam_prot_t prot, size_t page_size)
{
	uint64_t *sum = arg;
	*sum = (*sum * 31 + virt) * 31 + size;
	*sum = (*sum * 31 + phys) * 31 + prot + page_size;
	return 0;
}

/* A number that differs between spaces that map differently. */
static uint64_t fingerprint(void)
{
	uint64_t sum = 0;
	EXPECT_EQ(loam_pt_visit(pt, 0, 0xFFFFFFFFu, sum_run, &sum), 0);
	return sum;
}

TEST(nth_table, "the nth table cannot be had: clean error, nothing changed")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		for (int o = MAP; o <= PROTECT; o++) {
			set_up(all_geometries[i]);
			uint64_t before = fingerprint();
			unsigned long nth = 0;
			long result;
			do {
				size_t tables = fixture.in_use;
				fixture.fail_nth = ++nth;
				result = run_operation((enum operation)o);
				if (result == -LOAM_ENOMEM) {
					EXPECT_EQ(fixture.in_use, tables);
					EXPECT_EQ(fingerprint(), before);
					fixture_check(&fixture);
				}
			} while (result == -LOAM_ENOMEM);
			EXPECT(result >= 0);
			/* It took nth - 1 tables, and asked for no more. */
			EXPECT_EQ(fixture.fail_nth, 1);
			bool large = all_geometries[i]->large_levels != 0;
			EXPECT_EQ(nth > 1, large || o <= REMAP);
			fixture.fail_nth = 0;
			fixture_end(&fixture);
		}
	}
}

TEST(no_root, "init without a table for the root")
{
	fixture_start(&fixture, &loam_pt_i386);
	struct loam_pt other;
	fixture.fail_nth = 1;
	EXPECT_EQ(loam_pt_init(&other, &loam_pt_i386, &fixture_pt_ops, NULL,
			       &fixture),
		  -LOAM_ENOMEM);
	fixture_end(&fixture);
}

TEST(fini_live, "fini of a space that a CPU may use")
{
	fixture_start(&fixture, &loam_pt_i386);
	EXPECT_PANIC(loam_pt_fini(pt), "live");
	fixture_end(&fixture);
}

TEST(bad_table, "an owner whose table no entry can lead to")
{
	fixture_start(&fixture, &loam_pt_i386);
	struct loam_pt_geometry narrow = loam_pt_i386;
	narrow.phys_mask = 0x000ff000;
	fixture.pt.geometry = &narrow;
	EXPECT_PANIC(loam_pt_populate(pt, BASE, 4096), "phys_mask");
	emu_fini();
}

/* -------- sharing -------- */

/* An address that BASE shares no root entry with; 0: no pointer reaches it. */
static uintptr_t below_another_root_entry(const struct loam_pt_geometry *g)
{
	uint64_t at =
		g->levels <= 3 ? 0x400000 : UINT64_C(1) << (g->virt_bits - 3);
	return at <= UINTPTR_MAX ? (uintptr_t)at : 0;
}

TEST(share, "S0.12 shared root entries: equal bits, one set of tables")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		const struct loam_pt_geometry *g = all_geometries[i];
		fixture_start(&fixture, g);
		struct loam_pt other;
		EXPECT_EQ(loam_pt_init(&other, g, &fixture_pt_ops, NULL,
				       &fixture),
			  0);
		size_t window = LOAM_MIB(64);
		EXPECT_EQ(loam_pt_share(&other, pt, BASE, window),
			  -LOAM_ENOENT);
		EXPECT_EQ(loam_pt_populate(pt, BASE, window), 0);
		EXPECT_EQ(loam_pt_share(&other, pt, BASE, 0), -LOAM_EINVAL);
		EXPECT_EQ(loam_pt_share(&other, pt, BASE, window), 0);
		EXPECT_EQ(loam_pt_share(&other, pt, BASE, window),
			  -LOAM_EEXIST);
		/* The heap grows in one, and is there in the other. */
		EXPECT_EQ(
			loam_pt_map(pt, BASE + 4096, 0x7000, 12288, RW, false),
			0);
		struct loam_pt_mapping mapping;
		EXPECT_EQ(loam_pt_query(&other, BASE + 8192, &mapping), 0);
		EXPECT_EQ(mapping.phys, 0x8000);
		for (uintptr_t at = BASE; at < BASE + window; at += MIB4) {
			struct loam_pt_step a[LOAM_PT_MAX_LEVELS];
			struct loam_pt_step b[LOAM_PT_MAX_LEVELS];
			loam_pt_walk(pt, at, a);
			loam_pt_walk(&other, at, b);
			EXPECT(a[0].table != b[0].table);
			EXPECT(a[0].entry == b[0].entry && a[0].entry != 0);
		}
		/* The borrower changes nothing there. */
		loam_pfn_t pfn = 1;
		EXPECT_EQ(loam_pt_map(&other, BASE, 0, 4096, RW, false),
			  -LOAM_EPERM);
		EXPECT_EQ(loam_pt_map_frames(&other, BASE, &pfn, 1, RW),
			  -LOAM_EPERM);
		EXPECT_EQ(loam_pt_remap(&other, BASE, 0, RW), -LOAM_EPERM);
		EXPECT_EQ(loam_pt_unmap(&other, BASE - 4096, 8192),
			  -LOAM_EPERM);
		EXPECT_EQ(loam_pt_protect(&other, BASE, 4096, RW), -LOAM_EPERM);
		EXPECT_EQ(loam_pt_populate(&other, BASE, 4096), -LOAM_EPERM);
		/* What it maps elsewhere is its own, and all that it frees. */
		size_t before = fixture.in_use;
		uintptr_t own = below_another_root_entry(g);
		if (own != 0) {
			EXPECT_EQ(loam_pt_map(&other, own, 0, 4096,
					      RW | LOAM_PROT_USER, false),
				  0);
			EXPECT_EQ(loam_pt_query(pt, own, &mapping),
				  -LOAM_ENOENT);
			EXPECT_EQ(loam_pt_count_tables(&other), g->levels);
		}
		EXPECT_EQ(loam_pt_check(&other), 0);
		loam_pt_fini(&other);
		EXPECT_EQ(fixture.in_use, before - 1);
		EXPECT_EQ(phys_of(BASE + 8192), 0x8000);
		fixture_end(&fixture);
	}
}

TEST(share_like, "S0.12 a space made like another shares what that one does")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		const struct loam_pt_geometry *g = all_geometries[i];
		fixture_start(&fixture, g);
		struct loam_pt first;
		struct loam_pt second;
		struct loam_pt none;
		EXPECT_EQ(loam_pt_init(&first, g, &fixture_pt_ops, NULL,
				       &fixture),
			  0);
		EXPECT_EQ(loam_pt_init(&second, g, &fixture_pt_ops, NULL,
				       &fixture),
			  0);
		EXPECT_EQ(
			loam_pt_init(&none, g, &fixture_pt_ops, NULL, &fixture),
			0);
		/* Nothing to share is nothing shared. */
		EXPECT_EQ(loam_pt_share_like(&none, &first), 0);
		EXPECT_EQ(loam_pt_count_tables(&none), 1);
		size_t window = LOAM_MIB(64);
		EXPECT_EQ(loam_pt_populate(pt, BASE, window), 0);
		EXPECT_EQ(loam_pt_share(&first, pt, BASE, window), 0);
		/* What the first has of its own is not the second's. */
		uintptr_t own = below_another_root_entry(g);
		if (own != 0) {
			EXPECT_EQ(loam_pt_map(&first, own, 0x5000, 4096, RW,
					      false),
				  0);
		}
		size_t before = fixture.in_use;
		EXPECT_EQ(loam_pt_share_like(&second, &first), 0);
		EXPECT_EQ(fixture.in_use, before);
		struct loam_pt_mapping mapping;
		EXPECT_EQ(loam_pt_query(&second, own, &mapping), -LOAM_ENOENT);
		EXPECT_EQ(loam_pt_map(pt, BASE + 4096, 0x7000, 4096, RW, false),
			  0);
		EXPECT_EQ(loam_pt_query(&second, BASE + 4096, &mapping), 0);
		EXPECT_EQ(mapping.phys, 0x7000);
		EXPECT_EQ(loam_pt_map(&second, BASE, 0, 4096, RW, false),
			  -LOAM_EPERM);
		EXPECT_EQ(loam_pt_check(&second), 0);
		second.bias = 4096;
		EXPECT_EQ(loam_pt_share_like(&second, &first), -LOAM_EINVAL);
		second.bias = first.bias;
		loam_pt_fini(&second);
		loam_pt_fini(&first);
		loam_pt_fini(&none);
		fixture_end(&fixture);
	}
}

TEST(share_alike, "only spaces of one geometry and bias share")
{
	fixture_start(&fixture, &loam_pt_i386);
	struct loam_pt other;
	EXPECT_EQ(loam_pt_populate(pt, BASE, 4096), 0);
	EXPECT_EQ(loam_pt_init(&other, &loam_pt_i386_pse, &fixture_pt_ops, NULL,
			       &fixture),
		  0);
	EXPECT_EQ(loam_pt_share(&other, pt, BASE, 4096), -LOAM_EINVAL);
	loam_pt_fini(&other);
	EXPECT_EQ(loam_pt_init(&other, &loam_pt_i386, &fixture_pt_ops, NULL,
			       &fixture),
		  0);
	other.bias = 4096;
	EXPECT_EQ(loam_pt_share(&other, pt, BASE, 4096), -LOAM_EINVAL);
	loam_pt_fini(&other);
	fixture_end(&fixture);
}

TEST(bias, "with a bias, addresses are those of another space")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	uintptr_t bias = (uintptr_t)0x12340000u << (sizeof(bias) * 4 - 16);
	pt->bias = bias;
	EXPECT_EQ(loam_pt_map(pt, BASE + bias, 0x6000, 4096, RW, false), 0);
	EXPECT_EQ(phys_of(BASE + bias + 1), 0x6001);
	loam_phys_t phys;
	EXPECT_EQ(emu_translate(BASE, 0, &phys), EMU_NO_FAULT);
	EXPECT_EQ(phys, 0x6000);
	/* It still ends at 4 GiB. */
	EXPECT_EQ(loam_pt_map(pt, TOP_PAGE + bias, 0, 8192, RW, false),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_map(pt, TOP_PAGE + bias, 0, 4096, RW, false), 0);
	fixture_end(&fixture);
}

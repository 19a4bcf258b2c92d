/* SPDX-License-Identifier: MIT */
/* Looking at page tables: query, walk, visit, and what check() finds. */
#include <inttypes.h>

#include "pt_fixture.h"

#define MIB4 LOAM_MIB(4)
#define BASE ((uintptr_t)0xE0000000u)
#define RW (LOAM_PROT_READ | LOAM_PROT_WRITE)

static struct pt_fixture fixture;
static struct loam_pt *const pt = &fixture.pt;

/* -------- query and walk -------- */

TEST(query, "S3.32 query resolves with the offset, or says it cannot")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	struct loam_pt_mapping mapping = { .phys = 77 };
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), -LOAM_ENOENT);
	EXPECT_EQ(loam_pt_populate(pt, BASE, 4096), 0);
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), -LOAM_ENOENT);
	EXPECT_EQ(mapping.phys, 77);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x12345000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_query(pt, BASE + 0xabc, &mapping), 0);
	EXPECT_EQ(mapping.phys, 0x12345abc);
	EXPECT_EQ(mapping.page_size, 4096);
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0x54321000, LOAM_PROT_READ), 0);
	EXPECT_EQ(loam_pt_query(pt, BASE + 0xfff, &mapping), 0);
	EXPECT_EQ(mapping.phys, 0x54321fff);
	EXPECT_EQ(mapping.prot & LOAM_PROT_WRITE, 0);
	EXPECT_EQ(loam_pt_query(pt, BASE + 4096, &mapping), -LOAM_ENOENT);
	EXPECT_EQ(loam_pt_unmap(pt, BASE, 4096), 1);
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), -LOAM_ENOENT);
	EXPECT_EQ(loam_pt_map(pt, BASE + MIB4, MIB4, MIB4, RW, true), 0);
	EXPECT_EQ(loam_pt_query(pt, BASE + MIB4 + 0x123456, &mapping), 0);
	EXPECT_EQ(mapping.phys, MIB4 + 0x123456);
	EXPECT_EQ(mapping.page_size, MIB4);
	fixture_end(&fixture);
}

TEST(prot, "protection comes back as what the machine grants")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		const struct loam_pt_geometry *g = all_geometries[i];
		fixture_start(&fixture, g);
		for (loam_prot_t prot = 0; prot <= LOAM_PROT_ALL; prot++) {
			loam_prot_t granted = prot | LOAM_PROT_READ;
			if (g->no_execute == 0) {
				granted |= LOAM_PROT_EXEC;
			}
			if (g->global == 0) {
				granted &= ~LOAM_PROT_GLOBAL;
			}
			struct loam_pt_mapping mapping;
			EXPECT_EQ(loam_pt_remap(pt, BASE, 0x5000, prot), 0);
			EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), 0);
			EXPECT_EQ(mapping.prot, granted);
			uintptr_t large = 0x40000000u;
			EXPECT_EQ(loam_pt_map(pt, large, 0, MIB4, prot, true),
				  0);
			EXPECT_EQ(loam_pt_query(pt, large, &mapping), 0);
			EXPECT_EQ(mapping.prot, granted);
			EXPECT_EQ(loam_pt_unmap(pt, large, MIB4), 1024);
		}
		fixture_end(&fixture);
	}
}

TEST(walk, "S3.32 the walk shows every entry down to the one that decides")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	EXPECT_EQ(loam_pt_walk(pt, BASE, steps), 1);
	EXPECT_EQ(steps[0].level, 1);
	EXPECT_EQ(steps[0].index, 0x380);
	EXPECT_EQ(steps[0].table, pt->root);
	EXPECT_EQ(steps[0].entry, 0);
	EXPECT_EQ(loam_pt_map(pt, BASE + 0x5000, 0x9000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_walk(pt, BASE + 0x5123, steps), 2);
	EXPECT_EQ(steps[1].level, 0);
	EXPECT_EQ(steps[1].index, 5);
	EXPECT_EQ(steps[1].table, steps[0].entry & 0xfffff000u);
	EXPECT_EQ(steps[1].entry, 0x9003);
	EXPECT_EQ(loam_pt_map(pt, BASE + MIB4, MIB4, MIB4, RW, true), 0);
	EXPECT_EQ(loam_pt_walk(pt, BASE + MIB4 + 1, steps), 1);
	EXPECT_EQ(steps[0].entry, 0x400083);
	pt->bias = 0x1000;
	EXPECT_EQ(loam_pt_walk(pt, BASE + 0x6123, steps), 2);
	EXPECT_EQ(steps[1].entry, 0x9003);
	pt->bias = 0;
	fixture_end(&fixture);
	if (sizeof(uintptr_t) == 8) {
		fixture_start(&fixture, &loam_pt_x86_64);
		uintptr_t hole = (uintptr_t)(UINT64_C(1) << 47);
		EXPECT_EQ(loam_pt_walk(pt, hole, steps), 0);
		EXPECT_EQ(loam_pt_walk(pt, hole - 1, steps), 1);
		fixture_end(&fixture);
	}
}

/* -------- visit -------- */

struct run {
	uintptr_t virt;
	size_t size;
	loam_phys_t phys;
	loam_prot_t prot;
	size_t page_size;
};

struct runs {
	unsigned count;
	unsigned stop_after;
	struct run run[16];
};

static int note_run(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		    loam_prot_t prot, size_t page_size)
{
	struct runs *runs = arg;
	EXPECT(runs->count < LOAM_ARRAY_SIZE(runs->run));
	runs->run[runs->count++] =
		(struct run){ virt, size, phys, prot, page_size };
	/* A look from within, which moves the temporary map of tables. */
	struct loam_pt_mapping mapping;
	EXPECT_EQ(loam_pt_query(pt, virt, &mapping), 0);
	EXPECT_EQ(mapping.phys, phys);
	return runs->count == runs->stop_after ? 99 : 0;
}

static void map_some(void)
{
	loam_prot_t x = RW | LOAM_PROT_EXEC;
	/* Across tables; then other frames; then other protection. */
	EXPECT_EQ(loam_pt_map(pt, BASE - 8192, 0x1000, 16384, x, false), 0);
	EXPECT_EQ(loam_pt_map(pt, BASE + 8192, 0x9000, 4096, x, false), 0);
	EXPECT_EQ(loam_pt_map(pt, BASE + 12288, 0xa000, 4096, LOAM_PROT_EXEC,
			      false),
		  0);
	/* A small page before large ones, frames consecutive. */
	EXPECT_EQ(loam_pt_map(pt, BASE + MIB4 - 4096, MIB4 - 4096,
			      2 * MIB4 + 4096, x, true),
		  0);
	EXPECT_EQ(loam_pt_map(pt, 0, 0, 4096, x, false), 0);
	EXPECT_EQ(loam_pt_map(pt, (uintptr_t)0xfffff000u, 0, 4096, x, false),
		  0);
}

TEST(visit, "visit tells of maximal runs, in order, over the whole space")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	fixture_be_strict(&fixture);
	map_some();
	struct runs runs = { .count = 0 };
	EXPECT_EQ(loam_pt_visit(pt, 0, 0xffffffffu, note_run, &runs), 0);
	loam_prot_t x = RW | LOAM_PROT_EXEC;
	const struct run expected[] = {
		{ 0, 4096, 0, x, 4096 },
		{ BASE - 8192, 16384, 0x1000, x, 4096 },
		{ BASE + 8192, 4096, 0x9000, x, 4096 },
		{ BASE + 12288, 4096, 0xa000, LOAM_PROT_READ | LOAM_PROT_EXEC,
		  4096 },
		{ BASE + MIB4 - 4096, 4096, MIB4 - 4096, x, 4096 },
		{ BASE + MIB4, 2 * MIB4, MIB4, x, MIB4 },
		{ 0xfffff000u, 4096, 0, x, 4096 },
	};
	EXPECT_EQ(runs.count, LOAM_ARRAY_SIZE(expected));
	for (unsigned i = 0; i < runs.count; i++) {
		EXPECT_EQ(runs.run[i].virt, expected[i].virt);
		EXPECT_EQ(runs.run[i].size, expected[i].size);
		EXPECT_EQ(runs.run[i].phys, expected[i].phys);
		EXPECT_EQ(runs.run[i].prot, expected[i].prot);
		EXPECT_EQ(runs.run[i].page_size, expected[i].page_size);
	}
	fixture_end(&fixture);
}

TEST(visit_part, "visit cuts runs to its range, and stops when told")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	map_some();
	struct runs runs = { .count = 0 };
	EXPECT_EQ(loam_pt_visit(pt, BASE - 4096, BASE + 4095, note_run, &runs),
		  0);
	EXPECT_EQ(runs.count, 1);
	EXPECT_EQ(runs.run[0].virt, BASE - 4096);
	EXPECT_EQ(runs.run[0].size, 8192);
	EXPECT_EQ(runs.run[0].phys, 0x2000);
	/* From within a large page to within the next. */
	runs.count = 0;
	EXPECT_EQ(loam_pt_visit(pt, BASE + MIB4 + 8192, BASE + 2 * MIB4 + 4095,
				note_run, &runs),
		  0);
	EXPECT_EQ(runs.count, 1);
	EXPECT_EQ(runs.run[0].size, MIB4 - 8192 + 4096);
	EXPECT_EQ(runs.run[0].phys, MIB4 + 8192);
	runs = (struct runs){ .stop_after = 2 };
	EXPECT_EQ(loam_pt_visit(pt, 0, 0xffffffffu, note_run, &runs), 99);
	EXPECT_EQ(runs.count, 2);
	runs = (struct runs){ .count = 0 };
	EXPECT_EQ(loam_pt_visit(pt, 4096, BASE - 8193, note_run, &runs), 0);
	EXPECT_EQ(runs.count, 0);
	EXPECT_EQ(loam_pt_visit(pt, 1, 4095, note_run, &runs), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_visit(pt, 0, 4096, note_run, &runs), -LOAM_EINVAL);
	EXPECT_EQ(loam_pt_visit(pt, 8192, 4095, note_run, &runs), -LOAM_EINVAL);
	fixture_end(&fixture);
}

/* -------- what check() finds -------- */

/* The two entries of the walk for BASE, to be spoilt by hand. */
static uint32_t *entry_of(unsigned level)
{
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	unsigned count = loam_pt_walk(pt, BASE, steps);
	struct loam_pt_step *step = &steps[count - 1 - level];
	return (uint32_t *)(void *)(hosted_memory.direct + step->table) +
	       step->index;
}

/* check() finds `wrong` while an entry has other contents, and only then. */
static void expect_found(uint32_t *entry, uint32_t contents, const char *wrong)
{
	uint32_t saved = *entry;
	EXPECT_EQ(loam_pt_check(pt), 0);
	hosted_log_clear();
	*entry = contents;
	EXPECT_EQ(loam_pt_check(pt), -LOAM_EFAULT);
	EXPECT_LOG(wrong);
	/* The marks that the check uses are gone. */
	EXPECT_EQ(*entry, contents);
	*entry = saved;
	EXPECT_EQ(loam_pt_check(pt), 0);
}

TEST(check, "check() finds each broken invariant, and says where")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_map(pt, BASE + MIB4, 0, MIB4, RW, true), 0);
	uint32_t *leaf = entry_of(0);
	uint32_t *table = entry_of(1);
	uint32_t *large = table + 1;
	expect_found(leaf, 0x5002, "is not present, but not 0");
	expect_found(leaf + 9, 0x5002, "is not present, but not 0");
	expect_found(leaf, 0x5403, "has bits it must not have");
	expect_found(leaf, 0x5083, "has bits it must not have");
	expect_found(leaf, 0x5007, "below a table that is not");
	expect_found(table, *table | 0x100, "bits of a leaf");
	expect_found(table, *table & ~2u, "write-protects a whole table");
	expect_found(large, 0x1083, "no multiple of its size");
	expect_found(large, 0x1003, "no table at 0x1000");
	expect_found(large, *table, "is in two places");
	expect_found(large, (uint32_t)pt->root | 3, "is in two places");
	expect_found(table, *table | 0x200, "bits of a leaf");
	/* The message names the entry. */
	hosted_log_clear();
	leaf[9] = 0x2;
	EXPECT_EQ(loam_pt_check(pt), -LOAM_EFAULT);
	char text[64];
	snprintf(text, sizeof(text), "entry 9 of table 0x%" PRIx64 ", level 0",
		 (uint64_t)(*table & 0xfffff000u));
	EXPECT_LOG(text);
	leaf[9] = 0;
	loam_bitmap_set(pt->shared, 7);
	EXPECT_EQ(loam_pt_check(pt), -LOAM_EFAULT);
	EXPECT_LOG("is shared, but absent");
	loam_bitmap_clear(pt->shared, 7);
	fixture_end(&fixture);
}

TEST(check_small, "check() knows where a machine has no large pages")
{
	fixture_start(&fixture, &loam_pt_i386);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	uint32_t *table = entry_of(1);
	expect_found(table, *table | 0x80, "bits of a leaf");
	expect_found(table + 1, 0x83, "bits of a leaf");
	fixture_end(&fixture);
	fixture_start(&fixture, &loam_pt_i386_pae);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	EXPECT_EQ(loam_pt_walk(pt, BASE, steps), 3);
	uint32_t *root = (uint32_t *)(void *)(hosted_memory.direct + pt->root);
	uint32_t *low = root + 2 * steps[0].index;
	expect_found(low, *low | 2, "has bits it must not have");
	expect_found(low + 1, 0x80000000u, "has bits it must not have");
	fixture_end(&fixture);
	fixture_start(&fixture, &loam_pt_x86_64);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	EXPECT_EQ(loam_pt_walk(pt, BASE, steps), 4);
	root = (uint32_t *)(void *)(hosted_memory.direct + pt->root);
	expect_found(root + 2, 0x83, "is a large page where there are none");
	fixture_end(&fixture);
}

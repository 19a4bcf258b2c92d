/* SPDX-License-Identifier: MIT */
/* An address space with its tables in simulated memory, and a strict owner. */
#ifndef LOAM_TEST_PT_FIXTURE_H
#define LOAM_TEST_PT_FIXTURE_H

#include <sys/mman.h>

#include <loam/pt.h>

#include "emu.h"
#include "test.h"

#define PT_MEMORY (LOAM_GIB(8))
#define PT_DIRECT LOAM_MIB(16)
#define PT_FIRST_TABLE LOAM_MIB(1)
#define PT_TABLES ((PT_DIRECT - PT_FIRST_TABLE) / LOAM_PAGE_SIZE)

/*
 * Tables come from [1 MiB, 16 MiB). Freed ones are filled with rubbish, and
 * come back last. Every free is checked.
 */
struct pt_fixture {
	struct loam_pt pt;
	size_t in_use;
	unsigned long allocations;
	unsigned long fail_nth; /* 1: the next one; 0: none */
	unsigned next;          /* table to look at first */
	bool used[PT_TABLES];
	/*
	 * Strict: a table can be reached only until the next call, as through
	 * a temporary map. Two host pages take turns, one of them closed.
	 */
	bool strict;
	unsigned turn;
	unsigned char *temp[2];
};

static inline loam_phys_t fixture_alloc_table(void *ctx)
{
	struct pt_fixture *fixture = ctx;
	if (fixture->fail_nth != 0 && --fixture->fail_nth == 0) {
		return LOAM_PHYS_NONE;
	}
	for (unsigned i = 0; i < PT_TABLES; i++) {
		unsigned at = (fixture->next + i) % PT_TABLES;
		if (!fixture->used[at]) {
			loam_phys_t table = PT_FIRST_TABLE +
					    (loam_phys_t)at * LOAM_PAGE_SIZE;
			fixture->used[at] = true;
			fixture->next = at + 1;
			fixture->in_use++;
			fixture->allocations++;
			memset(hosted_memory.direct + table, 0, LOAM_PAGE_SIZE);
			return table;
		}
	}
	return LOAM_PHYS_NONE;
}

static inline void fixture_free_table(void *ctx, loam_phys_t table)
{
	struct pt_fixture *fixture = ctx;
	size_t at = (size_t)((table - PT_FIRST_TABLE) / LOAM_PAGE_SIZE);
	EXPECT_EQ(table & LOAM_PAGE_MASK, 0);
	EXPECT(table >= PT_FIRST_TABLE && at < PT_TABLES);
	EXPECT(fixture->used[at]);
	fixture->used[at] = false;
	fixture->in_use--;
	memset(hosted_memory.direct + table, 0xa5, LOAM_PAGE_SIZE);
}

static inline void *fixture_table_virt(void *ctx, loam_phys_t table)
{
	struct pt_fixture *fixture = ctx;
	if (table < PT_FIRST_TABLE || table >= PT_DIRECT) {
		return NULL;
	}
	if (!fixture->strict) {
		return hosted_memory.direct + table;
	}
	unsigned char *old = fixture->temp[fixture->turn];
	fixture->turn = !fixture->turn;
	unsigned char *now = fixture->temp[fixture->turn];
	EXPECT_EQ(mprotect(old, LOAM_PAGE_SIZE, PROT_NONE), 0);
	EXPECT(mmap(now, LOAM_PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, hosted_memory.fd,
		    (off_t)table) == now);
	return now;
}

static const struct loam_pt_ops fixture_pt_ops = {
	.alloc_table = fixture_alloc_table,
	.free_table = fixture_free_table,
	.table_virt = fixture_table_virt,
};

/* An empty live space of a machine of this geometry, its root loaded. */
static inline void fixture_start(struct pt_fixture *fixture,
				 const struct loam_pt_geometry *geometry)
{
	memset(fixture, 0, sizeof(*fixture));
	emu_init_model(PT_MEMORY, PT_DIRECT, geometry);
	EXPECT_EQ(loam_pt_init(&fixture->pt, geometry, &fixture_pt_ops,
			       &emu_tlb_ops, fixture),
		  0);
	fixture->pt.live = true;
	emu_switch_root(NULL, fixture->pt.root);
}

/* From now on each table_virt() closes the table before. */
static inline void fixture_be_strict(struct pt_fixture *fixture)
{
	for (unsigned i = 0; i < 2; i++) {
		fixture->temp[i] = mmap(NULL, LOAM_PAGE_SIZE, PROT_NONE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		EXPECT(fixture->temp[i] != MAP_FAILED);
	}
	fixture->strict = true;
}

/* The space is sound, and has every table that it took. */
static inline void fixture_check(struct pt_fixture *fixture)
{
	EXPECT_EQ(loam_pt_check(&fixture->pt), 0);
	EXPECT_EQ(loam_pt_count_tables(&fixture->pt), fixture->in_use);
}

static inline void fixture_end(struct pt_fixture *fixture)
{
	fixture_check(fixture);
	fixture->pt.live = false;
	loam_pt_fini(&fixture->pt);
	EXPECT_EQ(fixture->in_use, 0);
	for (unsigned i = 0; i < 2 && fixture->strict; i++) {
		munmap(fixture->temp[i], LOAM_PAGE_SIZE);
	}
	emu_fini();
}

static const struct loam_pt_geometry *const all_geometries[] = {
	&loam_pt_i386,   &loam_pt_i386_pse,    &loam_pt_i386_pae,
	&loam_pt_x86_64, &loam_pt_x86_64_la57,
};

#endif

/* SPDX-License-Identifier: MIT */
/* Page tables and the TLB: policies, stale translations, the user bit. */
#include "pt_fixture.h"

#define BASE ((uintptr_t)0xE0000000u)
#define RW (LOAM_PROT_READ | LOAM_PROT_WRITE)

static struct pt_fixture fixture;
static struct loam_pt *const pt = &fixture.pt;

static enum emu_fault access_page(uintptr_t virt, unsigned access)
{
	loam_phys_t phys;
	return emu_translate(virt, access, &phys);
}

/* The frame that a read of virt reaches, whatever the tables say by now. */
static loam_phys_t read_at(uintptr_t virt)
{
	loam_phys_t phys;
	EXPECT_EQ(emu_translate(virt, 0, &phys), EMU_NO_FAULT);
	return phys;
}

/* -------- the model does notice -------- */

TEST(model_is_stale, "X.6 the model keeps what is not flushed")
{
	fixture_start(&fixture, &loam_pt_i386);
	EXPECT_EQ(access_page(BASE, 0), EMU_NOT_PRESENT);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	EXPECT_EQ(read_at(BASE + 7), 0x5007);
	EXPECT_EQ(loam_pt_unmap_noflush(pt, BASE, 4096), 1);
	EXPECT_EQ(read_at(BASE + 7), 0x5007);
	loam_pt_flush(pt, BASE, 4096);
	EXPECT_EQ(access_page(BASE, 0), EMU_NOT_PRESENT);
	/* Not live: nobody is told. */
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	EXPECT_EQ(read_at(BASE), 0x5000);
	pt->live = false;
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0x6000, RW), 0);
	EXPECT_EQ(read_at(BASE), 0x5000);
	pt->live = true;
	loam_pt_flush(pt, 0, 0);
	EXPECT_EQ(read_at(BASE), 0x6000);
	fixture_end(&fixture);
}

TEST(model_dirty, "X.6 the model sets accessed and dirty like a CPU")
{
	fixture_start(&fixture, &loam_pt_x86_64);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x5000, 4096, RW, false), 0);
	struct loam_pt_mapping mapping;
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), 0);
	EXPECT(!mapping.accessed && !mapping.dirty);
	EXPECT_EQ(access_page(BASE, 0), EMU_NO_FAULT);
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), 0);
	EXPECT(mapping.accessed && !mapping.dirty);
	EXPECT_EQ(access_page(BASE, EMU_WRITE), EMU_NO_FAULT);
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), 0);
	EXPECT(mapping.accessed && mapping.dirty);
	/* A change of protection keeps them, a new frame does not. */
	EXPECT_EQ(loam_pt_protect(pt, BASE, 4096, LOAM_PROT_READ), 0);
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), 0);
	EXPECT(mapping.accessed && mapping.dirty);
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0x6000, RW), 0);
	EXPECT_EQ(loam_pt_query(pt, BASE, &mapping), 0);
	EXPECT(!mapping.accessed && !mapping.dirty);
	fixture_end(&fixture);
}

/* -------- several pages in one call -------- */

static size_t run_calls;
static size_t run_pages;

static void flush_run(void *ctx, uintptr_t virt, size_t count)
{
	run_calls++;
	run_pages += count;
	for (; count != 0; count--) {
		emu_tlb_ops.flush_page(ctx, virt);
		virt += LOAM_PAGE_SIZE;
	}
}

TEST(run, "X.6 a CPU that flushes several pages in one call is asked once")
{
	struct loam_tlb_ops ops = emu_tlb_ops;
	ops.flush_pages = flush_run;
	fixture_start(&fixture, &loam_pt_i386);
	pt->tlb = &ops;
	run_calls = 0;
	run_pages = 0;
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x800000, 0x5000, RW, false), 0);
	for (uintptr_t at = BASE; at < BASE + 0x5000; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(access_page(at, EMU_WRITE), EMU_NO_FAULT);
	}
	EXPECT_EQ(loam_pt_unmap(pt, BASE, 0x5000), 5);
	EXPECT_EQ(run_calls, 1);
	EXPECT_EQ(run_pages, 5);
	EXPECT_EQ(pt->stats.pages, 5);
	for (uintptr_t at = BASE; at < BASE + 0x5000; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(access_page(at, 0), EMU_NOT_PRESENT);
	}
	fixture_end(&fixture);
}

/* -------- no stale translation is left -------- */

/* Every change of a live space is seen at once, on every page. */
static void expect_fresh(const struct loam_pt_geometry *g, size_t pages)
{
	size_t size = pages * LOAM_PAGE_SIZE;
	uintptr_t end = BASE + size;
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x800000, size, RW, true), 0);
	for (uintptr_t at = BASE; at < end; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(access_page(at, EMU_WRITE), EMU_NO_FAULT);
	}
	EXPECT_EQ(loam_pt_protect(pt, BASE, size, LOAM_PROT_READ), 0);
	for (uintptr_t at = BASE; at < end; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(access_page(at, 0), EMU_NO_FAULT);
		EXPECT_EQ(access_page(at, EMU_WRITE), EMU_PROTECTION);
		EXPECT_EQ(access_page(at, EMU_FETCH),
			  g->no_execute != 0 ? EMU_PROTECTION : EMU_NO_FAULT);
		EXPECT_EQ(access_page(at, 0), EMU_NO_FAULT);
	}
	EXPECT_EQ(loam_pt_protect(pt, BASE, size, RW | LOAM_PROT_EXEC), 0);
	for (uintptr_t at = BASE; at < end; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(access_page(at, EMU_WRITE), EMU_NO_FAULT);
		EXPECT_EQ(access_page(at, EMU_FETCH), EMU_NO_FAULT);
	}
	uintptr_t last = end - LOAM_PAGE_SIZE;
	EXPECT_EQ(loam_pt_remap(pt, last, 0x7000, RW), 0);
	EXPECT_EQ(read_at(last), 0x7000);
	EXPECT_EQ(loam_pt_unmap(pt, BASE, size), (long)pages);
	for (uintptr_t at = BASE; at < end; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(access_page(at, 0), EMU_NOT_PRESENT);
	}
	/* Absent to present: seen at once, without a flush. */
	uint64_t full = pt->stats.full;
	uint64_t single = pt->stats.pages;
	EXPECT_EQ(loam_pt_map(pt, BASE, 0, size, RW, false), 0);
	for (uintptr_t at = BASE; at < end; at += LOAM_PAGE_SIZE) {
		EXPECT_EQ(read_at(at), at - BASE);
	}
	EXPECT_EQ(pt->stats.full, full);
	EXPECT_EQ(pt->stats.pages, single);
	EXPECT_EQ(loam_pt_unmap(pt, BASE, size), (long)pages);
}

TEST(fresh, "S3.33 S0.35 remap, protect and unmap leave nothing stale")
{
	static const size_t pages[] = { 1, 2, 33, 34, 1024, 1030 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		for (unsigned policy = LOAM_TLB_AUTO; policy <= LOAM_TLB_CR3;
		     policy++) {
			fixture_start(&fixture, all_geometries[i]);
			pt->policy = (enum loam_tlb_policy)policy;
			for (unsigned n = 0; n < LOAM_ARRAY_SIZE(pages); n++) {
				expect_fresh(all_geometries[i], pages[n]);
			}
			fixture_end(&fixture);
		}
		/* A CPU without a flush of one page. */
		fixture_start(&fixture, all_geometries[i]);
		pt->tlb = &emu_tlb_ops_386;
		expect_fresh(all_geometries[i], 3);
		EXPECT_EQ(emu.flushed_pages, 0);
		fixture_end(&fixture);
	}
}

/* -------- policies and counters -------- */

struct policy_row {
	enum loam_tlb_policy policy;
	bool single; /* the CPU can flush a page */
	size_t pages;
	uint64_t flushed;
	uint64_t full;
};

TEST(policies, "S4.20 X.6 each policy flushes its way, and is counted")
{
	static const struct policy_row rows[] = {
		{ LOAM_TLB_AUTO, true, 1, 1, 0 },
		{ LOAM_TLB_AUTO, true, LOAM_TLB_FULL_THRESHOLD,
		  LOAM_TLB_FULL_THRESHOLD, 0 },
		{ LOAM_TLB_AUTO, true, LOAM_TLB_FULL_THRESHOLD + 1, 0, 1 },
		{ LOAM_TLB_AUTO, false, 1, 0, 1 },
		{ LOAM_TLB_INVLPG, true, 1, 1, 0 },
		{ LOAM_TLB_INVLPG, true, 100, 100, 0 },
		{ LOAM_TLB_INVLPG, false, 100, 0, 1 },
		{ LOAM_TLB_CR3, true, 1, 0, 1 },
		{ LOAM_TLB_CR3, true, 100, 0, 1 },
		{ LOAM_TLB_CR3, false, 1, 0, 1 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		const struct policy_row *row = &rows[i];
		size_t size = row->pages * LOAM_PAGE_SIZE;
		fixture_start(&fixture, &loam_pt_i386);
		pt->policy = row->policy;
		pt->tlb = row->single ? &emu_tlb_ops : &emu_tlb_ops_386;
		unsigned long asked = hosted_shootdowns;
		EXPECT_EQ(loam_pt_map(pt, BASE, 0, size, RW, false), 0);
		EXPECT_EQ(pt->stats.not_needed, row->pages);
		EXPECT_EQ(pt->stats.pages + pt->stats.full, 0);
		EXPECT_EQ(hosted_shootdowns, asked);
		EXPECT_EQ(loam_pt_unmap(pt, BASE, size), (long)row->pages);
		EXPECT_EQ(pt->stats.pages, row->flushed);
		EXPECT_EQ(pt->stats.full, row->full);
		EXPECT_EQ(pt->stats.shootdowns, 1);
		EXPECT_EQ(hosted_shootdowns, asked + 1);
		/* The CPU was told what the counters say. */
		EXPECT_EQ(emu.flushed_pages, row->flushed);
		EXPECT_EQ(emu.flushed_all, row->full);
		fixture_end(&fixture);
	}
}

TEST(no_flush, "X.6 what changes no translation flushes nothing")
{
	fixture_start(&fixture, &loam_pt_i386);
	/* Nothing mapped. */
	EXPECT_EQ(loam_pt_unmap(pt, BASE, LOAM_MIB(64)), 0);
	EXPECT_EQ(loam_pt_protect(pt, BASE, LOAM_MIB(64), RW), 0);
	EXPECT_EQ(loam_pt_populate(pt, BASE, LOAM_MIB(64)), 0);
	EXPECT_EQ(loam_pt_unmap(pt, BASE, LOAM_MIB(64)), 0);
	/* From nothing to something. */
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0x1000, RW), 0);
	loam_pfn_t pfns[2] = { 5, 9 };
	EXPECT_EQ(loam_pt_map_frames(pt, BASE + 4096, pfns, 2, RW), 0);
	EXPECT_EQ(pt->stats.not_needed, 3);
	EXPECT_EQ(pt->stats.shootdowns, 0);
	/* Something to something else. */
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0x2000, RW), 0);
	EXPECT_EQ(pt->stats.pages, 1);
	EXPECT_EQ(pt->stats.not_needed, 3);
	/* Not live. */
	pt->live = false;
	EXPECT_EQ(loam_pt_remap(pt, BASE, 0x1000, RW), 0);
	EXPECT_EQ(loam_pt_protect(pt, BASE, 8192, LOAM_PROT_READ), 0);
	EXPECT_EQ(loam_pt_unmap(pt, BASE, 8192), 2);
	loam_pt_flush(pt, 0, 0);
	EXPECT_EQ(pt->stats.pages, 1);
	EXPECT_EQ(pt->stats.full, 0);
	EXPECT_EQ(pt->stats.shootdowns, 1);
	fixture_end(&fixture);
}

TEST(flush_everything, "X.6 size 0 flushes all, by any policy")
{
	for (unsigned policy = LOAM_TLB_AUTO; policy <= LOAM_TLB_CR3;
	     policy++) {
		fixture_start(&fixture, &loam_pt_i386_pse);
		pt->policy = (enum loam_tlb_policy)policy;
		EXPECT_EQ(loam_pt_map(pt, BASE, 0x1000, 4096,
				      RW | LOAM_PROT_GLOBAL, false),
			  0);
		EXPECT_EQ(read_at(BASE), 0x1000);
		EXPECT_EQ(loam_pt_unmap_noflush(pt, BASE, 4096), 1);
		/* A global translation survives another root. */
		emu_switch_root(NULL, pt->root);
		EXPECT_EQ(read_at(BASE), 0x1000);
		loam_pt_flush(pt, 0, 0);
		EXPECT_EQ(access_page(BASE, 0), EMU_NOT_PRESENT);
		EXPECT_EQ(pt->stats.full, 1);
		fixture_end(&fixture);
	}
}

/* -------- who may use a page -------- */

/* True if some entry on the walk for virt has the user bit. */
static bool any_user_bit(uintptr_t virt)
{
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	unsigned count = loam_pt_walk(pt, virt, steps);
	bool any = false;
	for (unsigned i = 0; i < count; i++) {
		any |= (steps[i].entry & pt->geometry->user) != 0;
	}
	return any;
}

TEST(user, "S4.30 no entry at any level has the user bit unless asked")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		fixture_start(&fixture, all_geometries[i]);
		size_t size = LOAM_MIB(8) + 4096;
		loam_prot_t all = LOAM_PROT_ALL & ~LOAM_PROT_USER;
		EXPECT_EQ(loam_pt_populate(pt, BASE, LOAM_MIB(64)), 0);
		EXPECT_EQ(loam_pt_map(pt, BASE, 0, size, all, true), 0);
		EXPECT_EQ(loam_pt_map(pt, 0, 0, size, all, true), 0);
		EXPECT_EQ(loam_pt_protect(pt, BASE, 8192, RW), 0);
		EXPECT_EQ(loam_pt_remap(pt, BASE, 0x1000, RW), 0);
		EXPECT_EQ(loam_pt_remap(pt, 0x1000, 0x1000, RW), 0);
		for (uintptr_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
			EXPECT(!any_user_bit(at));
			EXPECT(!any_user_bit(BASE + at));
			EXPECT_EQ(access_page(BASE + at, EMU_USER),
				  EMU_PROTECTION);
			EXPECT_EQ(access_page(BASE + at, EMU_WRITE),
				  EMU_NO_FAULT);
		}
		fixture_end(&fixture);
	}
}

TEST(user_opens, "S4.30 a user page opens the tables above it, and flushes")
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(all_geometries); i++) {
		fixture_start(&fixture, all_geometries[i]);
		uintptr_t virt = 0x400000;
		loam_prot_t user = RW | LOAM_PROT_USER;
		EXPECT_EQ(loam_pt_map(pt, virt, 0x1000, 8192, RW, false), 0);
		EXPECT_EQ(access_page(virt, EMU_USER), EMU_PROTECTION);
		uint64_t full = pt->stats.full;
		EXPECT_EQ(
			loam_pt_map(pt, virt + 8192, 0x9000, 4096, user, false),
			0);
		EXPECT_EQ(pt->stats.full, full + 1);
		EXPECT_EQ(access_page(virt + 8192, EMU_USER | EMU_WRITE),
			  EMU_NO_FAULT);
		/* Its neighbours in the table stay closed. */
		EXPECT_EQ(access_page(virt, EMU_USER), EMU_PROTECTION);
		/* The table is open by now: no second flush. */
		EXPECT_EQ(loam_pt_map(pt, virt + 12288, 0, 4096, user, false),
			  0);
		EXPECT_EQ(pt->stats.full, full + 1);
		/* By protect and by remap too, in other tables. */
		uintptr_t other = virt + LOAM_MIB(8);
		EXPECT_EQ(loam_pt_map(pt, other, 0, 8192, RW, false), 0);
		EXPECT_EQ(loam_pt_protect(pt, other, 4096, user), 0);
		EXPECT_EQ(access_page(other, EMU_USER), EMU_NO_FAULT);
		EXPECT_EQ(pt->stats.full, full + 2);
		other += LOAM_MIB(8);
		EXPECT_EQ(loam_pt_map(pt, other, 0, 8192, RW, false), 0);
		EXPECT_EQ(loam_pt_remap(pt, other, 0x3000, user), 0);
		EXPECT_EQ(access_page(other, EMU_USER), EMU_NO_FAULT);
		EXPECT_EQ(access_page(other + 4096, EMU_USER), EMU_PROTECTION);
		EXPECT_EQ(pt->stats.full, full + 3);
		/* And is closed again. */
		EXPECT_EQ(loam_pt_protect(pt, other, 4096, RW), 0);
		EXPECT_EQ(access_page(other, EMU_USER), EMU_PROTECTION);
		fixture_end(&fixture);
	}
}

TEST(user_large, "S4.30 a split page keeps its user bit")
{
	fixture_start(&fixture, &loam_pt_i386_pse);
	loam_prot_t user = RW | LOAM_PROT_USER;
	EXPECT_EQ(loam_pt_map(pt, 0x400000, 0, LOAM_MIB(4), user, true), 0);
	EXPECT_EQ(access_page(0x400000, EMU_USER), EMU_NO_FAULT);
	EXPECT_EQ(loam_pt_unmap(pt, 0x400000, 4096), 1);
	EXPECT_EQ(access_page(0x400000, EMU_USER), EMU_NOT_PRESENT);
	EXPECT_EQ(access_page(0x401000, EMU_USER), EMU_NO_FAULT);
	EXPECT_EQ(access_page(0x7ff000, EMU_USER | EMU_WRITE), EMU_NO_FAULT);
	fixture_end(&fixture);
}

TEST(pae_root, "X.6 PAE reads its root once: a new table there flushes")
{
	fixture_start(&fixture, &loam_pt_i386_pae);
	EXPECT_EQ(loam_pt_map(pt, BASE, 0x1000, 4096, RW, false), 0);
	EXPECT_EQ(pt->stats.full, 1);
	EXPECT_EQ(read_at(BASE), 0x1000);
	EXPECT_EQ(loam_pt_remap(pt, 0x80000000u, 0x2000, RW), 0);
	EXPECT_EQ(read_at(0x80000000u), 0x2000);
	EXPECT_EQ(pt->stats.full, 2);
	EXPECT_EQ(loam_pt_populate(pt, 0x40000000u, 4096), 0);
	EXPECT_EQ(pt->stats.full, 3);
	EXPECT_EQ(loam_pt_map(pt, 0x40000000u, 0x3000, 4096, RW, false), 0);
	EXPECT_EQ(pt->stats.full, 3);
	EXPECT_EQ(read_at(0x40000000u), 0x3000);
	fixture_end(&fixture);
}

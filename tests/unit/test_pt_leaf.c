/* SPDX-License-Identifier: MIT */
/* Tables of level 0 as things: made, lent to another space, replaced. */
#include <loam/pt_leaf.h>

#include "test.h"

#include "pt_fixture.h"

#define AT ((uintptr_t)0x400000)

static struct pt_fixture one;
static struct loam_pt other;

static unsigned geometry_count(void)
{
	return sizeof(uintptr_t) == 8 ? LOAM_ARRAY_SIZE(all_geometries) : 3;
}

TEST(make, "S4.33 a table is made with all above it, open to the user")
{
	for (unsigned g = 0; g < geometry_count(); g++) {
		struct loam_pt_leaf leaf;
		loam_phys_t phys;
		fixture_start(&one, all_geometries[g]);
		EXPECT(!loam_pt_leaf_find(&one.pt, AT, &leaf));
		EXPECT_EQ(loam_pt_leaf_make(&one.pt, AT, &leaf), 0);
		EXPECT_EQ(loam_pt_count_tables(&one.pt),
			  all_geometries[g]->levels);
		EXPECT(loam_pt_leaf_writable(&one.pt, &leaf));
		loam_prot_t prot = LOAM_PROT_WRITE | LOAM_PROT_USER;
		loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index,
				   loam_pt_leaf_encode(&one.pt, 0x5000, prot));
		EXPECT_EQ(emu_translate(AT + 8, EMU_USER | EMU_WRITE, &phys),
			  EMU_NO_FAULT);
		EXPECT_EQ(phys, 0x5008);
		/* The last page of the same table; the next table's first. */
		uintptr_t end = loam_pt_leaf_end(&one.pt, AT);
		struct loam_pt_leaf again;
		EXPECT(loam_pt_leaf_find(&one.pt, end - 1, &again));
		EXPECT_EQ(again.table, leaf.table);
		EXPECT_EQ(again.index, loam_pt_leaf_count(&one.pt) - 1);
		EXPECT(!loam_pt_leaf_find(&one.pt, end, &again));
		fixture_end(&one);
	}
}

TEST(open, "S4.33 a table that was the kernel's alone is opened on the way")
{
	struct loam_pt_leaf leaf;
	loam_phys_t phys;
	fixture_start(&one, &loam_pt_i386);
	EXPECT_EQ(loam_pt_map(&one.pt, AT, 0x3000, LOAM_PAGE_SIZE,
			      LOAM_PROT_WRITE, false),
		  0);
	EXPECT_EQ(loam_pt_leaf_make(&one.pt, AT + LOAM_PAGE_SIZE, &leaf), 0);
	loam_pt_leaf_store(
		&one.pt, leaf.entries, leaf.index,
		loam_pt_leaf_encode(&one.pt, 0x5000, LOAM_PROT_USER));
	EXPECT_EQ(emu_translate(AT + LOAM_PAGE_SIZE, EMU_USER, &phys),
		  EMU_NO_FAULT);
	EXPECT_EQ(emu_translate(AT, EMU_USER, &phys), EMU_PROTECTION);
	fixture_end(&one);
}

TEST(lend, "S4.33 a lent table is one for two spaces, and closed to writing")
{
	for (unsigned g = 0; g < geometry_count(); g++) {
		struct loam_pt_leaf leaf;
		struct loam_pt_leaf lent;
		loam_phys_t phys;
		fixture_start(&one, all_geometries[g]);
		one.pt.lends = true;
		EXPECT_EQ(loam_pt_init(&other, all_geometries[g],
				       &fixture_pt_ops, &emu_tlb_ops, &one),
			  0);
		other.lends = true;
		EXPECT_EQ(loam_pt_leaf_make(&one.pt, AT, &leaf), 0);
		loam_prot_t prot = LOAM_PROT_WRITE | LOAM_PROT_USER;
		loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index,
				   loam_pt_leaf_encode(&one.pt, 0x5000, prot));
		EXPECT_EQ(loam_pt_leaf_attach(&other, AT, leaf.table), 0);
		EXPECT_EQ(loam_pt_leaf_attach(&other, AT, leaf.table),
			  -LOAM_EEXIST);
		loam_pt_leaf_set_writable(&one.pt, &leaf, false);
		EXPECT(!loam_pt_leaf_writable(&one.pt, &leaf));
		EXPECT_EQ(loam_pt_check(&one.pt), 0);
		EXPECT_EQ(loam_pt_check(&other), 0);
		emu_switch_root(NULL, other.root);
		EXPECT_EQ(emu_translate(AT, EMU_USER, &phys), EMU_NO_FAULT);
		EXPECT_EQ(phys, 0x5000);
		EXPECT_EQ(emu_translate(AT, EMU_USER | EMU_WRITE, &phys),
			  EMU_PROTECTION);
		/* The other gets one of its own. */
		EXPECT(loam_pt_leaf_find(&other, AT, &lent));
		EXPECT_EQ(lent.table, leaf.table);
		loam_phys_t own = fixture_pt_ops.alloc_table(&one);
		loam_pt_leaf_replace(&other, &lent, own);
		EXPECT(loam_pt_leaf_writable(&other, &lent));
		EXPECT_EQ(lent.table, own);
		EXPECT_EQ(emu_translate(AT + LOAM_PAGE_SIZE, EMU_USER, &phys),
			  EMU_NOT_PRESENT);
		loam_pt_leaf_set_writable(&one.pt, &leaf, true);
		loam_pt_fini(&other);
		fixture_end(&one);
	}
}

TEST(detach, "S4.33 a table that is taken out is the owner's")
{
	struct loam_pt_leaf leaf;
	fixture_start(&one, &loam_pt_i386);
	EXPECT_EQ(loam_pt_leaf_make(&one.pt, AT, &leaf), 0);
	loam_pt_leaf_detach(&one.pt, &leaf);
	EXPECT(!loam_pt_leaf_find(&one.pt, AT, &leaf));
	EXPECT_EQ(loam_pt_count_tables(&one.pt), 1);
	fixture_pt_ops.free_table(&one, leaf.table);
	fixture_end(&one);
}

TEST(lent_check, "X.5 closed tables are an error where nothing is lent")
{
	struct loam_pt_leaf leaf;
	fixture_start(&one, &loam_pt_i386);
	EXPECT_EQ(loam_pt_leaf_make(&one.pt, AT, &leaf), 0);
	loam_pt_leaf_set_writable(&one.pt, &leaf, false);
	hosted_log_clear();
	EXPECT_EQ(loam_pt_check(&one.pt), -LOAM_EFAULT);
	EXPECT_LOG("write-protects a whole table");
	loam_pt_leaf_set_writable(&one.pt, &leaf, true);
	fixture_end(&one);
}

TEST(run, "S4.33 frames by a run of a table's entries, all of them or none")
{
	const loam_prot_t prot = LOAM_PROT_WRITE | LOAM_PROT_USER;
	for (unsigned g = 0; g < geometry_count(); g++) {
		/* As many as are looked at in one go, and ends of all kinds. */
		for (size_t n = 1; n <= 11; n++) {
			loam_pfn_t pfns[11];
			struct loam_pt_leaf leaf;
			loam_phys_t phys;
			fixture_start(&one, all_geometries[g]);
			struct loam_pt *pt = &one.pt;
			EXPECT_EQ(loam_pt_leaf_make(pt, AT, &leaf), 0);
			uint64_t bits = loam_pt_leaf_encode(pt, 0, prot);
			unsigned last = loam_pt_leaf_count(pt);
			unsigned first = last - (unsigned)n;
			uintptr_t at =
				loam_pt_leaf_end(pt, AT) - n * LOAM_PAGE_SIZE;
			for (size_t i = 0; i < n; i++) {
				pfns[i] = (loam_pfn_t)(7 + 3 * i);
			}
			/* Any one that is there is in the way. */
			for (unsigned i = first; i < last; i++) {
				loam_pt_leaf_store(pt, leaf.entries, i,
						   bits | 0x3000);
				EXPECT(!loam_pt_leaf_map(pt, leaf.entries,
							 first, pfns, n, bits));
				EXPECT_EQ(loam_pt_leaf_clear(pt, leaf.entries,
							     first, n),
					  1);
			}
			uint64_t before = pt->stats.not_needed;
			EXPECT(loam_pt_leaf_map(pt, leaf.entries, first, pfns,
						n, bits));
			EXPECT_EQ(pt->stats.not_needed, before + n);
			for (size_t i = 0; i < n; i++) {
				EXPECT_EQ(emu_translate(at + i * LOAM_PAGE_SIZE,
							EMU_USER | EMU_WRITE,
							&phys),
					  EMU_NO_FAULT);
				EXPECT_EQ(phys, (loam_phys_t)pfns[i]
							<< LOAM_PAGE_SHIFT);
			}
			EXPECT_EQ(emu_translate(at - LOAM_PAGE_SIZE, 0, &phys),
				  EMU_NOT_PRESENT);
			EXPECT_EQ(
				loam_pt_leaf_clear(pt, leaf.entries, first, n),
				n);
			loam_pt_flush(pt, at, n * LOAM_PAGE_SIZE);
			EXPECT_EQ(emu_translate(at, 0, &phys), EMU_NOT_PRESENT);
			fixture_end(&one);
		}
	}
}

TEST(no_table, "S4.27 when no table is to be had nothing has changed")
{
	for (unsigned g = 0; g < geometry_count(); g++) {
		for (unsigned n = 1; n < all_geometries[g]->levels; n++) {
			struct loam_pt_leaf leaf;
			fixture_start(&one, all_geometries[g]);
			one.fail_nth = n;
			EXPECT_EQ(loam_pt_leaf_make(&one.pt, AT, &leaf),
				  -LOAM_ENOMEM);
			one.fail_nth = 0;
			EXPECT_EQ(loam_pt_count_tables(&one.pt), 1);
			fixture_end(&one);
		}
	}
}

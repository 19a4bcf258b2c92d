/* SPDX-License-Identifier: MIT */
/* vmalloc, vmap and device maps on an emulated MMU whose TLB remembers. */
#include <pthread.h>
#include <unistd.h>

#include <loam/zero_window.h>

#include "kspace_fixture.h"

static void *vmalloc(size_t size_bytes, loam_flags_t flags)
{
	return loam_kspace_vmalloc(&machine.kspace, size_bytes, 0, flags);
}

static void vfree(void *start)
{
	loam_kspace_vfree(&machine.kspace, start);
}

/* -------- vmalloc -------- */

TEST(basic, "vmalloc: contents survive, pages at both ends fault")
{
	machine_start();
	const size_t sizes[] = { 1,         4095,       4096,
				 4097,      16 * 4096,  16 * 4096 + 1,
				 17 * 4096, 100 * 4096, 1000000 };
	unsigned char *blocks[LOAM_ARRAY_SIZE(sizes)];
	struct machine_state before = machine_state();
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		size_t whole = loam_size_round_up(sizes[i], PAGE);
		blocks[i] = vmalloc(sizes[i], 0);
		EXPECT(blocks[i] != NULL);
		EXPECT(loam_is_aligned((uintptr_t)blocks[i], PAGE));
		EXPECT_EQ(loam_kspace_vsize(&machine.kspace, blocks[i]), whole);
		fill(blocks[i], whole, (uint32_t)i);
		machine_check();
	}
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		size_t whole = loam_size_round_up(sizes[i], PAGE);
		expect_filled(blocks[i], whole, (uint32_t)i);
		EXPECT(read_faults(blocks[i] - 1));
		EXPECT_EQ(emu.fault_kind, EMU_NOT_PRESENT);
		EXPECT(read_faults(blocks[i] + whole));
		EXPECT(write_faults(blocks[i] + whole + PAGE - 1));
	}
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		vfree(blocks[i]);
		EXPECT(read_faults(blocks[i]));
		machine_check();
	}
	expect_state(&before);
	machine_end();
}

TEST(alignment, "vmalloc: at a multiple of what is asked, guards included")
{
	machine_start();
	struct machine_state before = machine_state();
	for (size_t align = 1; align <= LOAM_MIB(4); align *= 2) {
		unsigned char *block = loam_kspace_vmalloc(&machine.kspace,
							   3 * PAGE, align, 0);
		EXPECT(block != NULL);
		EXPECT(loam_is_aligned((uintptr_t)block - emu.bias, align));
		fill(block, 3 * PAGE, 1);
		EXPECT(read_faults(block - 1));
		EXPECT(read_faults(block + 3 * PAGE));
		vfree(block);
	}
	EXPECT(loam_kspace_vmalloc(&machine.kspace, PAGE, 3 * PAGE, 0) == NULL);
	expect_state(&before);
	machine_end();
}

TEST(bad_sizes, "vmalloc: 0, near SIZE_MAX, more than there is: NULL")
{
	machine_start();
	struct machine_state before = machine_state();
	const size_t sizes[] = { 0,
				 SIZE_MAX,
				 SIZE_MAX - PAGE,
				 SIZE_MAX - 2 * PAGE + 1,
				 SIZE_MAX / 2 + 1,
				 WINDOW_BYTES,
				 WINDOW_BYTES - PAGE,
				 WINDOW_BYTES - 2 * PAGE + 1 };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		EXPECT(vmalloc(sizes[i], 0) == NULL);
		expect_state(&before);
	}
	/* All of the window, with its two guard pages. */
	unsigned char *all = vmalloc(WINDOW_BYTES - 2 * PAGE, 0);
	EXPECT_EQ((uintptr_t)all, machine.config.window_base + PAGE);
	all[0] = all[WINDOW_BYTES - 2 * PAGE - 1] = 1;
	EXPECT(read_faults(all - 1));
	EXPECT(read_faults(all + WINDOW_BYTES - 2 * PAGE));
	EXPECT(vmalloc(1, 0) == NULL);
	machine_check();
	vfree(all);
	expect_state(&before);
	vfree(NULL);
	EXPECT_EQ(loam_misuse_count(), 0);
	machine_end();
}

TEST(no_frames, "vmalloc: more frames than there are: all given back")
{
	machine_start();
	size_t first_bytes = LOAM_MIB(28);
	void *first = vmalloc(first_bytes, 0);
	EXPECT(first != NULL);
	/* The window is full but for 4 MiB: take frames by hand. */
	static loam_pfn_t taken[16384];
	size_t count = 0;
	while (free_frames() > 500) {
		taken[count] = loam_frame_alloc(&machine.frames, 0, LOAM_HIGH);
		EXPECT(taken[count] != LOAM_PFN_NONE);
		count++;
	}
	struct machine_state before = machine_state();
	EXPECT(vmalloc(600 * PAGE, 0) == NULL);
	expect_state(&before);
	EXPECT(vmalloc(600 * PAGE, LOAM_ZERO) == NULL);
	expect_state(&before);
	void *small = vmalloc(400 * PAGE, 0);
	EXPECT(small != NULL);
	vfree(small);
	expect_state(&before);
	loam_frame_free_bulk(&machine.frames, count, taken);
	vfree(first);
	machine_end();
}

static bool frame_zone_is(loam_phys_t phys, enum loam_zone_id zone,
			  enum loam_owner owner)
{
	struct loam_frame_info info;
	return loam_frame_info(&machine.frames, loam_phys_to_pfn(phys),
			       &info) == 0 &&
	       info.zone == zone && info.owner == owner;
}

TEST(high, "vmalloc: frames are high; LOAM_DMA's are below the DMA end")
{
	machine_start();
	unsigned char *high = vmalloc(32 * PAGE, 0);
	unsigned char *dma = vmalloc(32 * PAGE, LOAM_DMA);
	unsigned char *stack =
		vmalloc(4 * PAGE, LOAM_OWNED_BY(LOAM_OWNER_STACK));
	fill(high, 32 * PAGE, 5);
	fill(dma, 32 * PAGE, 6);
	for (size_t i = 0; i < 32; i++) {
		loam_phys_t phys = phys_of(high + i * PAGE);
		EXPECT(frame_zone_is(phys, LOAM_ZONE_HIGH, LOAM_OWNER_VMALLOC));
		EXPECT(loam_host_phys_to_virt(phys) == NULL);
		EXPECT(frame_zone_is(phys_of(dma + i * PAGE), LOAM_ZONE_DMA,
				     LOAM_OWNER_VMALLOC));
		/* Each page shows its own frame. */
		uint32_t word;
		memory_read(phys, &word, sizeof(word));
		EXPECT_EQ(word, *(uint32_t *)(void *)(high + i * PAGE));
	}
	EXPECT(frame_zone_is(phys_of(stack), LOAM_ZONE_HIGH, LOAM_OWNER_STACK));
	expect_filled(high, 32 * PAGE, 5);
	expect_filled(dma, 32 * PAGE, 6);
	vfree(stack);
	vfree(high);
	vfree(dma);
	machine_end();
}

TEST(zero, "vmalloc: LOAM_ZERO clears what was used before, high or not")
{
	machine_start();
	const loam_flags_t flags[] = { 0, LOAM_DMA };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(flags); i++) {
		unsigned char *block = vmalloc(50 * PAGE, flags[i]);
		memset(block, 0xff, 50 * PAGE);
		loam_phys_t phys = phys_of(block);
		vfree(block);
		unsigned char *dirty = vmalloc(50 * PAGE, flags[i]);
		EXPECT_EQ(dirty[0], 0xff);
		vfree(dirty);
		block = vmalloc(50 * PAGE, flags[i] | LOAM_ZERO);
		expect_zero(block, 50 * PAGE);
		/* The same frames: they were cleared, not merely new. */
		bool same = false;
		for (size_t page = 0; page < 50; page++) {
			same |= phys_of(block + page * PAGE) == phys;
		}
		EXPECT(same);
		EXPECT_EQ(phys >= DIRECT_BYTES, flags[i] == 0);
		vfree(block);
	}
	machine_end();
}

TEST(protection, "S0.34 S4.30 kernel ranges: supervisor, writable, no user")
{
	machine_start();
	unsigned char *block = vmalloc(PAGE, 0);
	loam_phys_t phys;
	uint64_t at = emu_address(block);
	EXPECT_EQ(emu_translate(at, EMU_WRITE, &phys), EMU_NO_FAULT);
	EXPECT_EQ(emu_translate(at, EMU_USER, &phys), EMU_PROTECTION);
	loam_pfn_t pfn = loam_phys_to_pfn(phys);
	struct machine_state before = machine_state();
	loam_prot_t user = LOAM_PROT_WRITE | LOAM_PROT_USER;
	EXPECT(loam_kspace_vmap(&machine.kspace, &pfn, 1, user) == NULL);
	EXPECT(loam_kspace_map_phys(&machine.kspace, phys, 1, user) == NULL);
	expect_state(&before);
	/* A range mapped to be read cannot be written. */
	unsigned char *shown =
		loam_kspace_vmap(&machine.kspace, &pfn, 1, LOAM_PROT_READ);
	block[5] = 77;
	EXPECT_EQ(shown[5], 77);
	EXPECT(write_faults(shown + 5));
	EXPECT_EQ(emu.fault_kind, EMU_PROTECTION);
	loam_kspace_vunmap(&machine.kspace, shown);
	vfree(block);
	machine_end();
}

/* -------- page tables -------- */

TEST(tables, "S0.10 S0.11 every table of the windows is there from the start")
{
	machine_prepare(&loam_pt_i386_pse, &emu_tlb_ops);
	size_t before = loam_pt_count_tables(&machine.pt);
	EXPECT_EQ(loam_pt_tables_needed(&machine.pt, machine.config.window_base,
					WINDOW_BYTES),
		  WINDOW_BYTES / LOAM_MIB(4));
	uint64_t frames = free_frames();
	EXPECT_EQ(loam_kspace_init(&machine.kspace, &machine.pt,
				   &machine.frames, &machine.config),
		  0);
	size_t tables = loam_pt_count_tables(&machine.pt);
	EXPECT_EQ(tables - before,
		  WINDOW_BYTES / LOAM_MIB(4) + TEMP_BYTES / LOAM_MIB(4));
	/* Those, the reserve, and a page of descriptors. */
	EXPECT_EQ(frames - free_frames(), tables - before + TABLE_RESERVE + 1);
	EXPECT_EQ(loam_pt_tables_needed(&machine.pt, machine.config.window_base,
					WINDOW_BYTES),
		  0);
	EXPECT_EQ(machine_stats().table_reserve, TABLE_RESERVE);
	void *all = vmalloc(WINDOW_BYTES - 2 * PAGE, 0);
	EXPECT(all != NULL);
	EXPECT_EQ(loam_pt_count_tables(&machine.pt), tables);
	EXPECT_EQ(machine_stats().table_reserve, TABLE_RESERVE);
	vfree(all);
	EXPECT_EQ(loam_pt_count_tables(&machine.pt), tables);
	machine_end();
}

static uint32_t root_entry(const struct loam_pt *pt, uint32_t address)
{
	uint32_t entry;
	memory_read(pt->root + (address >> 22) * sizeof(entry), &entry,
		    sizeof(entry));
	return entry & ~0x20u; /* but for the accessed bit */
}

TEST(shared, "S0.12 a range that grows under one root is seen under another")
{
	machine_start();
	struct loam_pt other;
	EXPECT_EQ(loam_pt_init(&other, machine.pt.geometry, &early_ops,
			       &emu_tlb_ops, &machine.frames),
		  0);
	other.bias = emu.bias;
	other.live = true;
	loam_pt_share(&other, &machine.pt, (uintptr_t)emu.window, DIRECT_BYTES);
	EXPECT_EQ(loam_pt_share(&other, &machine.pt, machine.config.window_base,
				WINDOW_BYTES),
		  0);
	EXPECT_EQ(loam_pt_share(&other, &machine.pt, machine.config.temp_base,
				TEMP_BYTES),
		  0);
	/* Grows while the kernel's root is loaded; the other one sees it. */
	unsigned char *first = vmalloc(3 * PAGE, 0);
	fill(first, 3 * PAGE, 1);
	emu_switch_root(NULL, other.root);
	expect_filled(first, 3 * PAGE, 1);
	/* And the other way round, over a table of its own. */
	unsigned char *second = vmalloc(LOAM_MIB(5), LOAM_ZERO);
	fill(second, LOAM_MIB(5), 2);
	emu_switch_root(NULL, machine.pt.root);
	expect_filled(second, LOAM_MIB(5), 2);
	fill(first, 3 * PAGE, 3);
	emu_switch_root(NULL, other.root);
	expect_filled(first, 3 * PAGE, 3);
	for (uint32_t at = WINDOW_AT; at < WINDOW_AT + WINDOW_BYTES;
	     at += LOAM_MIB(4)) {
		EXPECT_EQ(root_entry(&other, at), root_entry(&machine.pt, at));
		EXPECT(root_entry(&other, at) != 0);
	}
	vfree(first);
	vfree(second);
	EXPECT(read_faults(second));
	emu_switch_root(NULL, machine.pt.root);
	other.live = false;
	loam_pt_fini(&other);
	machine_end();
}

TEST(geometries, "kspace: the same on PAE, without large pages, without invlpg")
{
	const struct loam_pt_geometry *const geometries[] = {
		&loam_pt_i386, &loam_pt_i386_pse, &loam_pt_i386_pae
	};
	for (size_t i = 0; i < 2 * LOAM_ARRAY_SIZE(geometries); i++) {
		machine_start_as(geometries[i / 2],
				 i % 2 != 0 ? &emu_tlb_ops : &emu_tlb_ops_386);
		unsigned char *block = vmalloc(20 * PAGE, LOAM_ZERO);
		EXPECT(block != NULL);
		expect_zero(block, 20 * PAGE);
		fill(block, 20 * PAGE, 9);
		machine_check();
		expect_filled(block, 20 * PAGE, 9);
		vfree(block);
		EXPECT(read_faults(block));
		machine_end();
	}
}

TEST(table_reserve, "kspace: tables come from the reserve, which fills again")
{
	machine_start();
	const struct loam_pt_ops *ops = machine.pt.ops;
	EXPECT(ops == &loam_kspace_pt_ops);
	EXPECT(machine.pt.ctx == &machine.kspace);
	loam_phys_t tables[TABLE_RESERVE + 2];
	uint64_t frames = free_frames();
	for (unsigned i = 0; i < TABLE_RESERVE + 2; i++) {
		EXPECT_EQ(machine_stats().table_reserve,
			  i < TABLE_RESERVE ? TABLE_RESERVE - i : 0);
		tables[i] = ops->alloc_table(&machine.kspace);
		EXPECT(tables[i] != LOAM_PHYS_NONE);
		expect_zero(ops->table_virt(&machine.kspace, tables[i]), PAGE);
		memset(ops->table_virt(&machine.kspace, tables[i]), 0xee, PAGE);
	}
	EXPECT_EQ(frames - free_frames(), 2);
	/* Any function that takes a range fills it, before its locks. */
	void *block = vmalloc(1, 0);
	EXPECT_EQ(machine_stats().table_reserve, TABLE_RESERVE);
	vfree(block);
	/* What is freed beyond the reserve goes back. */
	for (unsigned i = 0; i < TABLE_RESERVE + 2; i++) {
		ops->free_table(&machine.kspace, tables[i]);
	}
	EXPECT_EQ(free_frames(), frames);
	machine_check();
	/* Frees fill it too, with cleared tables. */
	tables[0] = ops->alloc_table(&machine.kspace);
	memset(ops->table_virt(&machine.kspace, tables[0]), 0xee, PAGE);
	ops->free_table(&machine.kspace, tables[0]);
	EXPECT_EQ(machine_stats().table_reserve, TABLE_RESERVE);
	machine_end();
}

TEST(bad_config, "kspace: what init refuses, with everything as before")
{
	machine_prepare(&loam_pt_i386_pse, &emu_tlb_ops);
	const struct loam_kspace_config good = machine.config;
	struct loam_kspace_config bad[10];
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		bad[i] = good;
	}
	bad[0].window_base += PAGE;
	bad[1].window_size -= PAGE;
	bad[2].window_size = 0;
	bad[3].temp_base += 1;
	bad[4].temp_size = LOAM_TEMP_SLOTS * LOAM_MAX_CPUS * PAGE - PAGE;
	bad[5].temp_base = good.window_base + LOAM_MIB(8);
	bad[6].temp_base = good.window_base - PAGE;
	bad[7].table_reserve = LOAM_TABLE_RESERVE + 1;
	bad[8].window_base = (uintptr_t)emu_host(0xFFC00000u);
	bad[8].temp_base = good.window_base;
	bad[8].window_size = (size_t)0 - LOAM_MIB(4);
	bad[9].temp_size = SIZE_MAX & ~(PAGE - 1);
	uint64_t frames = free_frames();
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_kspace_init(&machine.kspace, &machine.pt,
					   &machine.frames, &bad[i]),
			  -LOAM_EINVAL);
		EXPECT(machine.pt.ops == &early_ops);
		EXPECT_EQ(free_frames(), frames);
	}
	EXPECT_EQ(loam_kspace_init(&machine.kspace, &machine.pt,
				   &machine.frames, &good),
		  0);
	machine_end();
}

TEST(init_fails, "kspace: init fails at the nth frame, then succeeds")
{
	unsigned n = 0;
	int error;
	do {
		n++;
		machine_prepare(&loam_pt_i386_pse, &emu_tlb_ops);
		size_t tables = loam_pt_count_tables(&machine.pt);
		uint64_t frames = free_frames();
		loam_frame_fail_nth(&machine.frames, n);
		error = loam_kspace_init(&machine.kspace, &machine.pt,
					 &machine.frames, &machine.config);
		loam_frame_fail_nth(&machine.frames, 0);
		if (error != 0) {
			EXPECT_EQ(error, -LOAM_ENOMEM);
			EXPECT(machine.pt.ops == &early_ops);
			EXPECT(machine.pt.ctx == &machine.frames);
			/* Only tables that were populated are gone. */
			size_t made =
				loam_pt_count_tables(&machine.pt) - tables;
			EXPECT_EQ(frames - free_frames(), made);
			EXPECT_EQ(loam_pt_check(&machine.pt), 0);
			EXPECT_EQ(loam_kspace_init(&machine.kspace, &machine.pt,
						   &machine.frames,
						   &machine.config),
				  0);
		}
		machine_end();
	} while (error != 0);
	EXPECT_EQ(n, TABLE_RESERVE + WINDOW_BYTES / LOAM_MIB(4) +
			     TEMP_BYTES / LOAM_MIB(4) + 2);
}

/* -------- flushing -------- */

TEST(stale, "S0.35 S3.33 the same address over other frames: nothing stale")
{
	const enum loam_tlb_policy policies[] = { LOAM_TLB_AUTO,
						  LOAM_TLB_INVLPG,
						  LOAM_TLB_CR3 };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(policies); i++) {
		machine_start();
		machine.pt.policy = policies[i];
		const size_t pages[] = { 1, 16, 33, 34, 200 };
		for (size_t j = 0; j < LOAM_ARRAY_SIZE(pages); j++) {
			size_t size = pages[j] * PAGE;
			unsigned char *old = vmalloc(size, 0);
			fill(old, size, 1);
			loam_phys_t phys = phys_of(old);
			vfree(old);
			/* A CPU that still knew would read the old frame. */
			EXPECT(read_faults(old));
			EXPECT(read_faults(old + size - 1));
			loam_pfn_t held =
				loam_frame_alloc(&machine.frames, 0, LOAM_HIGH);
			unsigned char *fresh = vmalloc(size, 0);
			EXPECT(fresh == old);
			EXPECT(phys_of(fresh) != phys ||
			       held != loam_phys_to_pfn(phys));
			fill(fresh, size, 2);
			for (size_t at = 0; at < size; at += PAGE) {
				uint32_t seen;
				memory_read(phys_of(fresh + at), &seen, 4);
				EXPECT_EQ(seen,
					  *(uint32_t *)(void *)(fresh + at));
			}
			vfree(fresh);
			loam_frame_free(&machine.frames, held, 0);
		}
		machine_end();
	}
}

TEST(one_flush, "X.6 vmalloc flushes nothing, vfree of any size once")
{
	machine_start();
	const struct {
		size_t pages;
		uint64_t single, full;
	} cases[] = { { 1, 1, 0 },
		      { 16, 16, 0 },
		      { 33, 33, 0 },
		      { 34, 0, 1 },
		      { 1000, 0, 1 } };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		struct loam_tlb_stats before = machine.pt.stats;
		void *block = vmalloc(cases[i].pages * PAGE, 0);
		EXPECT_EQ(machine.pt.stats.pages, before.pages);
		EXPECT_EQ(machine.pt.stats.full, before.full);
		EXPECT_EQ(machine.pt.stats.not_needed - before.not_needed,
			  cases[i].pages);
		vfree(block);
		EXPECT_EQ(machine.pt.stats.pages - before.pages,
			  cases[i].single);
		EXPECT_EQ(machine.pt.stats.full - before.full, cases[i].full);
		EXPECT_EQ(machine.pt.stats.shootdowns - before.shootdowns, 1);
	}
	machine_end();
}

/* Looks, whenever the TLB is flushed, at what is being flushed. */
static loam_pfn_t watched_pfn;
static const void *watched_page;
static unsigned watched_flushes;

static void watch_flush(void *ctx)
{
	struct loam_frame_info info;
	EXPECT(ctx == &machine.kspace);
	EXPECT_EQ(loam_frame_info(&machine.frames, watched_pfn, &info), 0);
	EXPECT_EQ(info.state, LOAM_TAG_USED);
	EXPECT_EQ(phys_of(watched_page), LOAM_PHYS_NONE);
	EXPECT(LOAM_DEBUG == 0 || !loam_lock_held(&machine.kspace.lock));
	watched_flushes++;
	emu_tlb_ops.flush_all(ctx);
}

TEST(flush_order, "X.6 vfree: unmapped, then flushed without locks, then freed")
{
	static const struct loam_tlb_ops watched = { .flush_all = watch_flush };
	machine_start_as(&loam_pt_i386_pse, &watched);
	const size_t pages[] = { 1, 100 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(pages); i++) {
		unsigned char *block = vmalloc(pages[i] * PAGE, 0);
		watched_page = block + (pages[i] - 1) * PAGE;
		watched_pfn = loam_phys_to_pfn(phys_of(watched_page));
		watched_flushes = 0;
		vfree(block);
		EXPECT_EQ(watched_flushes, 1);
		struct loam_frame_info info;
		EXPECT_EQ(loam_frame_info(&machine.frames, watched_pfn, &info),
			  0);
		EXPECT(info.state != LOAM_TAG_USED);
	}
	machine_end();
}

/* -------- vmap -------- */

TEST(vmap, "vmap: the caller's frames in the caller's order, and his after")
{
	machine_start();
	enum { COUNT = 150 };
	static loam_pfn_t pfns[COUNT];
	EXPECT_EQ(
		loam_frame_alloc_bulk(&machine.frames, COUNT, pfns, LOAM_HIGH),
		0);
	pfns[7] = pfns[3]; /* one of them twice */
	struct machine_state before = machine_state();
	unsigned char *map =
		loam_kspace_vmap(&machine.kspace, pfns, COUNT, LOAM_PROT_WRITE);
	EXPECT(map != NULL);
	machine_check();
	EXPECT_EQ(machine_stats().foreign_pages, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		EXPECT_EQ(phys_of(map + i * PAGE), loam_pfn_to_phys(pfns[i]));
	}
	/* One frame at two addresses, which the compiler does not expect. */
	volatile unsigned char *seen = map;
	seen[3 * PAGE + 9] = 0x5a;
	EXPECT_EQ(seen[7 * PAGE + 9], 0x5a);
	EXPECT(read_faults(map - 1));
	EXPECT(read_faults(map + COUNT * PAGE));
	loam_kspace_vunmap(&machine.kspace, map);
	EXPECT(read_faults(map));
	expect_state(&before);
	struct loam_frame_info info;
	EXPECT_EQ(loam_frame_info(&machine.frames, pfns[3], &info), 0);
	EXPECT_EQ(info.state, LOAM_TAG_USED);

	EXPECT(loam_kspace_vmap(&machine.kspace, pfns, 0, 0) == NULL);
	EXPECT(loam_kspace_vmap(&machine.kspace, NULL, 1, 0) == NULL);
	loam_pfn_t saved = pfns[100];
	pfns[100] = LOAM_PFN_NONE;
	EXPECT(loam_kspace_vmap(&machine.kspace, pfns, COUNT,
				LOAM_PROT_WRITE) == NULL);
	/* Found only by the page tables, after 64 pages are mapped. */
	pfns[100] = 0x100000;
	EXPECT(loam_kspace_vmap(&machine.kspace, pfns, COUNT,
				LOAM_PROT_WRITE) == NULL);
	pfns[100] = saved;
	expect_state(&before);
	loam_kspace_vunmap(&machine.kspace, NULL);
	machine_end();
}

/* -------- physical ranges -------- */

TEST(map_phys, "map_phys: any alignment and size; the offset is kept")
{
	machine_start();
	struct machine_state before = machine_state();
	const struct {
		loam_phys_t phys;
		size_t size, pages;
	} cases[] = {
		{ 0x2000000, 1, 1 },        { 0x2000fff, 1, 1 },
		{ 0x2000fff, 2, 2 },        { 0x2000123, 4096, 2 },
		{ 0x2000001, 4095, 1 },     { 0x2000ffe, 8193, 3 },
		{ 0x100, 0x20, 1 },         { 0x2000080, 300 * 4096, 301 },
		{ MEMORY_BYTES - 5, 5, 1 },
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		loam_phys_t last = cases[i].phys + cases[i].size - 1;
		unsigned char marks[2] = { 0x11, 0x22 };
		memory_write(last, &marks[1], 1);
		memory_write(cases[i].phys, &marks[0], 1);
		unsigned char *at =
			loam_kspace_map_phys(&machine.kspace, cases[i].phys,
					     cases[i].size, LOAM_PROT_WRITE);
		EXPECT(at != NULL);
		EXPECT_EQ((uintptr_t)at & LOAM_PAGE_MASK,
			  cases[i].phys & LOAM_PAGE_MASK);
		EXPECT_EQ(machine_stats().foreign_pages, cases[i].pages);
		EXPECT_EQ(at[0], 0x11);
		if (cases[i].size > 1) {
			EXPECT_EQ(at[cases[i].size - 1], 0x22);
		}
		at[cases[i].size - 1] = 0x33;
		memory_read(last, marks, 1);
		EXPECT_EQ(marks[0], 0x33);
		unsigned char *page = at - ((uintptr_t)at & LOAM_PAGE_MASK);
		EXPECT(read_faults(page - 1));
		EXPECT(read_faults(page + cases[i].pages * PAGE));
		machine_check();
		loam_kspace_unmap_phys(&machine.kspace, at);
		EXPECT(read_faults(at));
		expect_state(&before);
	}
	loam_kspace_unmap_phys(&machine.kspace, NULL);
	machine_end();
}

TEST(map_phys_device, "map_phys: uncached; beyond the MMU, empty, wrapping")
{
	machine_start();
	struct machine_state before = machine_state();
	struct loam_kspace *kspace = &machine.kspace;
	loam_prot_t prot = LOAM_PROT_WRITE | LOAM_PROT_UNCACHED;
	/* A device where there is no memory at all. */
	void *device = loam_kspace_map_phys(kspace, 0xFEC00010u, 0x40, prot);
	struct loam_pt_mapping mapping;
	EXPECT_EQ(loam_pt_query(&machine.pt, (uintptr_t)device, &mapping), 0);
	EXPECT_EQ(mapping.phys, 0xFEC00010u);
	EXPECT((mapping.prot & LOAM_PROT_UNCACHED) != 0);
	loam_kspace_unmap_phys(kspace, device);
	/* The last page below 4 GiB, and its neighbour above. */
	device = loam_kspace_map_phys(kspace, 0xFFFFFFF0u, 16, prot);
	EXPECT(device != NULL);
	loam_kspace_unmap_phys(kspace, device);
	EXPECT(loam_kspace_map_phys(kspace, 0xFFFFFFF0u, 17, prot) == NULL);
	EXPECT(loam_kspace_map_phys(kspace, LOAM_GIB(4) - 100 * PAGE,
				    101 * PAGE, prot) == NULL);
	EXPECT(loam_kspace_map_phys(kspace, LOAM_GIB(4), 1, prot) == NULL);
	EXPECT(loam_kspace_map_phys(kspace, 0x1000, 0, prot) == NULL);
	EXPECT(loam_kspace_map_phys(kspace, LOAM_PHYS_NONE, 2, prot) == NULL);
	EXPECT(loam_kspace_map_phys(kspace, 0x1000, SIZE_MAX, prot) == NULL);
	EXPECT(loam_kspace_map_phys(kspace, 0, WINDOW_BYTES, prot) == NULL);
	expect_state(&before);
	machine_end();
}

/* -------- failures -------- */

/* What can fail, and what undoes it. */
static void *try_vmalloc(void)
{
	return vmalloc(40 * PAGE, 0);
}

static void *try_vmalloc_zero(void)
{
	return vmalloc(40 * PAGE, LOAM_ZERO | LOAM_NOSLEEP);
}

static void *try_vmap(void)
{
	static loam_pfn_t pfns[70];
	return loam_kspace_vmap(&machine.kspace, pfns, 70, LOAM_PROT_WRITE);
}

static void *try_map_phys(void)
{
	return loam_kspace_map_phys(&machine.kspace, 0x1234, 70 * PAGE,
				    LOAM_PROT_WRITE);
}

static void undo_vunmap(void *start)
{
	loam_kspace_vunmap(&machine.kspace, start);
}

static void undo_unmap_phys(void *start)
{
	loam_kspace_unmap_phys(&machine.kspace, start);
}

static const struct {
	void *(*attempt)(void);
	void (*undo)(void *start);
	unsigned frames; /* it takes, beside descriptors */
} operations[] = {
	{ try_vmalloc, vfree, 40 },
	{ try_vmalloc_zero, vfree, 40 },
	{ try_vmap, undo_vunmap, 0 },
	{ try_map_phys, undo_unmap_phys, 0 },
};

TEST(nth_frame, "kspace: the nth frame fails: as before, until it passes")
{
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(operations); i++) {
		machine_start();
		void *start = operations[i].attempt();
		EXPECT(start != NULL);
		operations[i].undo(start);
		struct machine_state before = machine_state();
		unsigned n = 0;
		do {
			n++;
			loam_frame_fail_nth(&machine.frames, n);
			start = operations[i].attempt();
			loam_frame_fail_nth(&machine.frames, 0);
			if (start == NULL) {
				expect_state(&before);
			}
		} while (start == NULL);
		EXPECT_EQ(n, operations[i].frames + 1);
		machine_check();
		operations[i].undo(start);
		expect_state(&before);
		machine_end();
	}
}

TEST(nth_range, "kspace: the nth range fails: as before, until it passes")
{
	machine_start();
	struct machine_state before = machine_state();
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(operations); i++) {
		loam_kspace_fail_nth(&machine.kspace, 1);
		EXPECT(operations[i].attempt() == NULL);
		expect_state(&before);
		void *start = operations[i].attempt();
		EXPECT(start != NULL);
		operations[i].undo(start);
		expect_state(&before);
		EXPECT_EQ(loam_kspace_fail_nth(&machine.kspace, 0), 2);
	}
	machine_end();
}

/* Ranges until the next one needs a page of descriptors. */
static size_t use_up_descriptors(void **blocks)
{
	size_t count = 0;
	while (machine.kspace.window.spare_count >= 2) {
		blocks[count] = vmalloc(1, 0);
		EXPECT(blocks[count] != NULL);
		count++;
	}
	return count;
}

/*
 * One descriptor is left, and an aligned range needs two. The first page that
 * fails is the arena's, which may not sleep; the second one kspace's own.
 */
static void *descriptors_vmalloc(loam_flags_t flags)
{
	uintptr_t next =
		machine.config.window_base + PAGE + machine_stats().window.used;
	size_t align = loam_is_aligned(next, 16 * PAGE) ? 32 * PAGE : 16 * PAGE;
	return loam_kspace_vmalloc(&machine.kspace, PAGE, align, flags);
}

TEST(descriptors, "kspace: no descriptor: NULL, or one more try if allowed")
{
	static void *blocks[200];
	machine_start();
	size_t count = use_up_descriptors(blocks);
	struct machine_state before = machine_state();
	loam_frame_fail_nth(&machine.frames, 1);
	EXPECT(descriptors_vmalloc(LOAM_NOSLEEP) == NULL);
	expect_state(&before);
	loam_frame_fail_nth(&machine.frames, 1);
	void *start = descriptors_vmalloc(0);
	EXPECT(start != NULL);
	EXPECT_EQ(loam_frame_fail_nth(&machine.frames, 0), 3);
	EXPECT_EQ(machine_stats().window.pages, 2);
	vfree(start);
	before.free_frames--; /* the page stays */
	expect_state(&before);
	while (count > 0) {
		vfree(blocks[--count]);
	}
	EXPECT_EQ(machine_stats().window.ranges_free, 1);
	machine_end();
}

static unsigned reclaims;

static bool count_reclaim(void *arg)
{
	(void)arg;
	reclaims++;
	return false;
}

TEST(nosleep, "vmalloc: LOAM_NOSLEEP keeps reclaim away, otherwise it is asked")
{
	machine_start();
	machine.config.table_reserve = 0;
	loam_frame_set_reclaim(&machine.frames, count_reclaim, NULL);
	static loam_pfn_t taken[16384];
	size_t count = 0;
	reclaims = 0;
	for (;;) {
		taken[count] = loam_frame_alloc(&machine.frames, 0,
						LOAM_HIGH | LOAM_NOSLEEP);
		if (taken[count] == LOAM_PFN_NONE) {
			break;
		}
		count++;
	}
	struct machine_state before = machine_state();
	EXPECT(vmalloc(PAGE, LOAM_NOSLEEP) == NULL);
	EXPECT_EQ(reclaims, 0);
	EXPECT(vmalloc(PAGE, 0) == NULL);
	EXPECT_EQ(reclaims, 1);
	expect_state(&before);
	loam_frame_free_bulk(&machine.frames, count, taken);
	machine_end();
}

TEST(map_collides, "vmalloc: a page that is mapped already: all undone")
{
	machine_start();
	uintptr_t at = machine.config.window_base + PAGE;
	/* The 21st page: the second batch finds it. */
	EXPECT_EQ(loam_pt_map(&machine.pt, at + 20 * PAGE, 0x1000, PAGE,
			      LOAM_PROT_WRITE, false),
		  0);
	uint64_t frames = free_frames();
	EXPECT(vmalloc(40 * PAGE, 0) == NULL);
	EXPECT_EQ(free_frames(), frames);
	EXPECT_EQ(machine_stats().own_pages, 0);
	EXPECT_EQ(machine_stats().window.used, 0);
	/* And check() says what is wrong. */
	EXPECT_EQ(loam_kspace_check(&machine.kspace), -LOAM_EFAULT);
	EXPECT_EQ(loam_pt_unmap(&machine.pt, at + 20 * PAGE, PAGE), 1);
	machine_end();
}

/* -------- misuse -------- */

#define EXPECT_MISUSE(statement, text)                                         \
	do {                                                                   \
		struct machine_state misuse_before = machine_state();          \
		unsigned long misuse_count = loam_misuse_count();              \
		hosted_log_clear();                                            \
		statement;                                                     \
		EXPECT_LOG(text);                                              \
		EXPECT_LOG("called from");                                     \
		EXPECT_EQ(loam_misuse_count(), misuse_count + 1);              \
		expect_state(&misuse_before);                                  \
	} while (0)

TEST(misuse_vfree, "vfree: wild, interior, guard, double, foreign: reported")
{
	machine_start();
	unsigned char *block = vmalloc(5 * PAGE, 0);
	loam_pfn_t pfn = 0x123;
	unsigned char *map =
		loam_kspace_vmap(&machine.kspace, &pfn, 1, LOAM_PROT_WRITE);
	unsigned char *device =
		loam_kspace_map_phys(&machine.kspace, 0x5010, 2 * PAGE, 0);
	unsigned char *base = (unsigned char *)machine.config.window_base;
	unsigned char *direct = loam_host_phys_to_virt(0x3000);
	EXPECT_MISUSE(vfree(block + 8),
		      "inside a vmalloc range of 5 pages that starts at");
	EXPECT_MISUSE(vfree(block + PAGE),
		      "inside a vmalloc range of 5 pages that starts at");
	EXPECT_MISUSE(vfree(block + 5 * PAGE),
		      "the guard page behind a vmalloc range of 5 pages");
	EXPECT_MISUSE(vfree(base), "the guard page before the first range");
	EXPECT_MISUSE(vfree(base + LOAM_MIB(20)), "free kernel address space");
	EXPECT_MISUSE(vfree(map), "the start of a vmap range of 1 page ");
	EXPECT_MISUSE(vfree(device), "the start of a device range of 3 pages");
	EXPECT_MISUSE(vfree(device - 0x10), "inside a device range");
	EXPECT_MISUSE(vfree(direct), "directly mapped memory, physical 0x3000");
	EXPECT_MISUSE(vfree(base - LOAM_MIB(4)),
		      "outside the kernel's windows, not mapped");
	EXPECT_MISUSE(vfree((void *)8),
		      "outside the kernel's windows, not mapped");
	EXPECT_MISUSE(vfree((void *)machine.config.temp_base),
		      "temporary map slot 0 of CPU 0");
	EXPECT_MISUSE(vfree((void *)(machine.config.temp_base + LOAM_MIB(2))),
		      "behind the last temporary map slot");
	vfree(block);
	EXPECT_MISUSE(vfree(block), "vfree of 0x");
	EXPECT_MISUSE(vfree(block), "free kernel address space");
	loam_kspace_vunmap(&machine.kspace, map);
	loam_kspace_unmap_phys(&machine.kspace, device);
	machine_end();
}

TEST(misuse_vunmap, "vunmap, unmap_phys: each other's, wrong offset: reported")
{
	machine_start();
	struct loam_kspace *kspace = &machine.kspace;
	unsigned char *block = vmalloc(5 * PAGE, 0);
	loam_pfn_t pfn = 0x123;
	unsigned char *map = loam_kspace_vmap(kspace, &pfn, 1, LOAM_PROT_WRITE);
	unsigned char *device = loam_kspace_map_phys(kspace, 0x5010, 64, 0);
	EXPECT_MISUSE(loam_kspace_vunmap(kspace, block), "vunmap of 0x");
	EXPECT_MISUSE(loam_kspace_vunmap(kspace, block),
		      "the start of a vmalloc range of 5 pages");
	EXPECT_MISUSE(loam_kspace_vunmap(kspace, map + PAGE),
		      "the guard page behind a vmap range");
	EXPECT_MISUSE(loam_kspace_unmap_phys(kspace, block),
		      "unmap_phys of 0x");
	EXPECT_MISUSE(loam_kspace_unmap_phys(kspace, map),
		      "the start of a vmap range of 1 page ");
	EXPECT_MISUSE(loam_kspace_unmap_phys(kspace, device - 0x10),
		      "inside a device range of 1 page that starts at");
	EXPECT_MISUSE(loam_kspace_unmap_phys(kspace, device + 1),
		      "inside a device range");
	EXPECT_MISUSE(loam_kspace_unmap_phys(kspace, device + PAGE),
		      "the guard page behind a device range");
	EXPECT_EQ(loam_kspace_vsize(kspace, map), 0);
	EXPECT_EQ(loam_kspace_vsize(kspace, block + 1), 0);
	EXPECT_EQ(loam_kspace_vsize(kspace, NULL), 0);
	loam_kspace_unmap_phys(kspace, device);
	EXPECT_MISUSE(loam_kspace_unmap_phys(kspace, device), "free kernel");
	loam_kspace_vunmap(kspace, map);
	EXPECT_MISUSE(loam_kspace_vunmap(kspace, map), "free kernel");
	vfree(block);
	machine_end();
}

/* -------- walk, statistics, check -------- */

struct seen_range {
	uintptr_t start;
	size_t size;
	enum loam_range_kind kind;
};

struct seen {
	size_t count;
	struct seen_range ranges[8];
};

static int see(void *arg, uintptr_t start, size_t size,
	       enum loam_range_kind kind)
{
	struct seen *seen = arg;
	seen->ranges[seen->count++] = (struct seen_range){ start, size, kind };
	return seen->count == 8 ? 3 : 0;
}

TEST(walk, "X.9 kspace: walk and statistics tell what is there")
{
	machine_start();
	uintptr_t first = machine.config.window_base + PAGE;
	void *block = vmalloc(5 * PAGE, 0);
	void *hole = vmalloc(2 * PAGE, 0);
	loam_pfn_t pfn = 5;
	loam_kspace_vmap(&machine.kspace, &pfn, 1, LOAM_PROT_READ);
	loam_kspace_map_phys(&machine.kspace, 0x1fff, 2, LOAM_PROT_READ);
	vfree(hole);
	struct seen seen = { .count = 0 };
	EXPECT_EQ(loam_kspace_walk(&machine.kspace, see, &seen), 0);
	const struct seen_range expected[] = {
		{ first, 6 * PAGE, LOAM_RANGE_VMALLOC },
		{ first + 6 * PAGE, 3 * PAGE, LOAM_RANGE_FREE },
		{ first + 9 * PAGE, 2 * PAGE, LOAM_RANGE_VMAP },
		{ first + 11 * PAGE, 3 * PAGE, LOAM_RANGE_DEVICE },
		{ first + 14 * PAGE, WINDOW_BYTES - 15 * PAGE,
		  LOAM_RANGE_FREE },
	};
	EXPECT_EQ(seen.count, LOAM_ARRAY_SIZE(expected));
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(expected); i++) {
		EXPECT_EQ(seen.ranges[i].start, expected[i].start);
		EXPECT_EQ(seen.ranges[i].size, expected[i].size);
		EXPECT_EQ(seen.ranges[i].kind, expected[i].kind);
	}
	seen.count = 7;
	EXPECT_EQ(loam_kspace_walk(&machine.kspace, see, &seen), 3);
	struct loam_kspace_stats stats = machine_stats();
	EXPECT_EQ(stats.own_pages, 5);
	EXPECT_EQ(stats.foreign_pages, 3);
	EXPECT_EQ(stats.window.used, 11 * PAGE);
	EXPECT_EQ(stats.window.peak, 14 * PAGE);
	EXPECT_EQ(stats.window.largest_free, WINDOW_BYTES - 15 * PAGE);
	EXPECT(strcmp(loam_range_kind_name(LOAM_RANGE_DEVICE), "device") == 0);
	char text[100];
	loam_kspace_describe(&machine.kspace, (uintptr_t)block, text,
			     sizeof(text));
	EXPECT(strstr(text, "the start of a vmalloc range of 5 pages") == text);
	machine_end();
}

TEST(check_finds, "kspace: check() finds pages, frames and slots that are off")
{
	machine_start();
	unsigned char *block = vmalloc(4 * PAGE, 0);
	uintptr_t at = (uintptr_t)block;
	loam_pfn_t pfn = loam_phys_to_pfn(phys_of(block + PAGE));
	uint32_t *word = loam_frame_word(&machine.frames, pfn);
	struct loam_kspace *kspace = &machine.kspace;

	uint32_t saved = *word;
	*word = saved + 1;
	EXPECT_EQ(loam_kspace_check(kspace), -LOAM_EFAULT);
	EXPECT_LOG("pages->next == pfn");
	*word = saved;
	machine_check();

	EXPECT_EQ(loam_pt_unmap(&machine.pt, at + PAGE, PAGE), 1);
	EXPECT_EQ(loam_kspace_check(kspace), -LOAM_EFAULT);
	EXPECT_EQ(loam_pt_map_frames(&machine.pt, at + PAGE, &pfn, 1,
				     LOAM_PROT_WRITE),
		  0);
	machine_check();

	EXPECT_EQ(loam_pt_map(&machine.pt, at + 4 * PAGE, 0, PAGE,
			      LOAM_PROT_WRITE, false),
		  0);
	EXPECT_EQ(loam_kspace_check(kspace), -LOAM_EFAULT);
	EXPECT_EQ(loam_pt_unmap(&machine.pt, at + 4 * PAGE, PAGE), 1);

	kspace->own_pages++;
	EXPECT_EQ(loam_kspace_check(kspace), -LOAM_EFAULT);
	kspace->own_pages--;

	kspace->temps[3].pfns[2] = 77;
	EXPECT_EQ(loam_kspace_check(kspace), -LOAM_EFAULT);
	kspace->temps[3].pfns[2] = LOAM_PFN_NONE;

	unsigned char *table = loam_host_phys_to_virt(kspace->reserve[1]);
	table[100] = 1;
	EXPECT_EQ(loam_kspace_check(kspace), -LOAM_EFAULT);
	table[100] = 0;

	/* A page that vanished behind our back is no small thing. */
	EXPECT_EQ(loam_pt_unmap(&machine.pt, at, PAGE), 1);
	EXPECT_PANIC(vfree(block), "found == (long)n");
	emu_fini();
}

/* -------- temporary maps -------- */

static loam_pfn_t high_frame(void)
{
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, LOAM_HIGH);
	EXPECT(loam_pfn_to_phys(pfn) >= DIRECT_BYTES);
	return pfn;
}

TEST(temp, "temp_map: direct frames as they are, high ones in slots, nested")
{
	machine_start();
	struct loam_kspace *kspace = &machine.kspace;
	struct machine_state before = machine_state();
	unsigned char *direct = loam_kspace_temp_map(kspace, 0x77);
	EXPECT(direct == loam_host_phys_to_virt(0x77000));
	loam_kspace_temp_unmap(kspace, direct);
	loam_kspace_temp_unmap(kspace, NULL);
	EXPECT_EQ(machine_stats().temp_peak, 0);

	loam_pfn_t pfns[LOAM_TEMP_SLOTS + 1];
	unsigned char *pages[LOAM_TEMP_SLOTS];
	for (unsigned i = 0; i <= LOAM_TEMP_SLOTS; i++) {
		pfns[i] = high_frame();
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < LOAM_TEMP_SLOTS; i++) {
			pages[i] = loam_kspace_temp_map(
				kspace, pfns[(i + round) % LOAM_TEMP_SLOTS]);
			EXPECT(pages[i] != NULL);
			fill(pages[i], PAGE, i + 10 * round);
			machine_check();
		}
		EXPECT(loam_kspace_temp_map(kspace, pfns[LOAM_TEMP_SLOTS]) ==
		       NULL);
		/* A direct frame needs no slot. */
		EXPECT(loam_kspace_temp_map(kspace, 0x77) == direct);
		for (unsigned i = LOAM_TEMP_SLOTS; i-- > 0;) {
			expect_filled(pages[i], PAGE, i + 10 * round);
			uint32_t word;
			loam_pfn_t pfn = pfns[(i + round) % LOAM_TEMP_SLOTS];
			memory_read(loam_pfn_to_phys(pfn), &word, 4);
			EXPECT_EQ(word, *(uint32_t *)(void *)pages[i]);
			loam_kspace_temp_unmap(kspace, pages[i]);
			EXPECT(read_faults(pages[i]));
			machine_check();
		}
	}
	EXPECT_EQ(machine_stats().temp_peak, LOAM_TEMP_SLOTS);
	EXPECT(loam_kspace_temp_map(kspace, LOAM_PFN_NONE) == NULL);
	/* Out of the MMU's reach. */
	EXPECT(loam_kspace_temp_map(kspace, 0x100000) == NULL);
	machine_check();
	loam_frame_free_bulk(&machine.frames, LOAM_TEMP_SLOTS + 1, pfns);
	expect_state(&before);
	machine_end();
}

static struct {
	unsigned pages;
	unsigned full;
} flushed;

static void count_flush_page(void *ctx, uintptr_t virt)
{
	flushed.pages++;
	emu_tlb_ops.flush_page(ctx, virt);
}

static void count_flush_all(void *ctx)
{
	flushed.full++;
	emu_tlb_ops.flush_all(ctx);
}

TEST(temp_flush, "X.6 temp_map: one page flushed here, no other CPU asked")
{
	const struct loam_tlb_ops tlbs[] = {
		{ .flush_page = count_flush_page,
		  .flush_all = count_flush_all },
		{ .flush_all = count_flush_all },
	};
	for (size_t i = 0; i < 2; i++) {
		machine_start_as(&loam_pt_i386_pse, &tlbs[i]);
		loam_pfn_t a = high_frame();
		loam_pfn_t b = high_frame();
		uint64_t shootdowns = machine.pt.stats.shootdowns;
		memset(&flushed, 0, sizeof(flushed));
		unsigned char *page = loam_kspace_temp_map(&machine.kspace, a);
		fill(page, PAGE, 1);
		EXPECT_EQ(flushed.pages + flushed.full, 0);
		loam_kspace_temp_unmap(&machine.kspace, page);
		/* The same slot, another frame: the old one is not touched. */
		unsigned char *again = loam_kspace_temp_map(&machine.kspace, b);
		EXPECT(again == page);
		fill(again, PAGE, 2);
		loam_kspace_temp_unmap(&machine.kspace, again);
		EXPECT_EQ(flushed.pages, i == 0 ? 2 : 0);
		EXPECT_EQ(flushed.full, i == 0 ? 0 : 2);
		EXPECT_EQ(machine.pt.stats.shootdowns, shootdowns);
		page = loam_kspace_temp_map(&machine.kspace, a);
		expect_filled(page, PAGE, 1);
		loam_kspace_temp_unmap(&machine.kspace, page);
		machine_end();
	}
}

TEST(temp_misuse, "temp_unmap: not the newest, twice, another CPU's: reported")
{
	machine_start();
	struct loam_kspace *kspace = &machine.kspace;
	loam_pfn_t pfn = high_frame();
	unsigned char *outer = loam_kspace_temp_map(kspace, pfn);
	unsigned char *inner = loam_kspace_temp_map(kspace, pfn);
	EXPECT_MISUSE(loam_kspace_temp_unmap(kspace, outer),
		      "temporary map slot 0 of CPU 0, not the newest of CPU 0 "
		      "(2 in use)");
	EXPECT_MISUSE(loam_kspace_temp_unmap(kspace, inner + 1),
		      "temporary map slot 1 of CPU 0");
	hosted_cpu = 1;
	EXPECT_MISUSE(loam_kspace_temp_unmap(kspace, inner),
		      "slot 1 of CPU 0, not the newest of CPU 1 (0 in use)");
	hosted_cpu = 0;
	fill(inner, PAGE, 4);
	expect_filled(outer, PAGE, 4);
	loam_kspace_temp_unmap(kspace, inner);
	EXPECT_MISUSE(loam_kspace_temp_unmap(kspace, inner),
		      "slot 1 of CPU 0, not the newest of CPU 0 (1 in use)");
	loam_kspace_temp_unmap(kspace, outer);
	loam_frame_free(&machine.frames, pfn, 0);
	machine_end();
}

TEST(temp_cpus, "temp_map: each CPU has slots of its own")
{
	machine_start();
	static unsigned char *pages[LOAM_MAX_CPUS];
	loam_pfn_t pfn = high_frame();
	for (unsigned cpu = 0; cpu < LOAM_MAX_CPUS; cpu++) {
		hosted_cpu = cpu;
		pages[cpu] = loam_kspace_temp_map(&machine.kspace, pfn);
		EXPECT(pages[cpu] != NULL);
		for (unsigned other = 0; other < cpu; other++) {
			EXPECT(pages[cpu] != pages[other]);
		}
		pages[cpu][cpu] = (unsigned char)cpu;
	}
	for (unsigned cpu = 0; cpu < LOAM_MAX_CPUS; cpu++) {
		hosted_cpu = cpu;
		EXPECT_EQ(pages[cpu][LOAM_MAX_CPUS - 1 - cpu],
			  LOAM_MAX_CPUS - 1 - cpu);
		loam_kspace_temp_unmap(&machine.kspace, pages[cpu]);
	}
	hosted_cpu = 0;
	loam_frame_free(&machine.frames, pfn, 0);
	machine_end();
}

TEST(temp_borrow, "LOAM_ZERO of high frames with every slot in use")
{
	machine_start();
	struct loam_kspace *kspace = &machine.kspace;
	unsigned char *dirty = vmalloc(10 * PAGE, 0);
	memset(dirty, 0xff, 10 * PAGE);
	vfree(dirty);
	loam_pfn_t pfns[LOAM_TEMP_SLOTS];
	unsigned char *pages[LOAM_TEMP_SLOTS];
	for (unsigned i = 0; i < LOAM_TEMP_SLOTS; i++) {
		pfns[i] = high_frame();
		pages[i] = loam_kspace_temp_map(kspace, pfns[i]);
		fill(pages[i], PAGE, i);
	}
	unsigned char *block = vmalloc(10 * PAGE, LOAM_ZERO);
	expect_zero(block, 10 * PAGE);
	for (unsigned i = LOAM_TEMP_SLOTS; i-- > 0;) {
		expect_filled(pages[i], PAGE, i);
		loam_kspace_temp_unmap(kspace, pages[i]);
	}
	vfree(block);
	loam_frame_free_bulk(&machine.frames, LOAM_TEMP_SLOTS, pfns);
	machine_end();
}

/* -------- many operations -------- */

enum live_kind { LIVE_VMALLOC, LIVE_VMAP, LIVE_DEVICE };

struct live {
	enum live_kind kind;
	unsigned char *at;
	size_t size;
	uint32_t seed;
};

#define MODEL_FRAMES 24u
static loam_pfn_t model_pfns[MODEL_FRAMES];

/* A random range of a random kind; false if there was no room. */
static bool live_make(struct live *live, uint64_t r)
{
	struct loam_kspace *kspace = &machine.kspace;
	size_t pages = 1 + (size_t)(r >> 8) % ((r & 0xf0) == 0 ? 700 : 30);
	*live = (struct live){ .kind = (enum live_kind)(r % 3),
			       .seed = (uint32_t)(r >> 32) };
	switch (live->kind) {
	case LIVE_VMALLOC:
		live->size = pages * PAGE - (size_t)(r >> 20) % PAGE;
		live->at = loam_kspace_vmalloc(
			kspace, live->size,
			(r >> 40) % 4 == 0 ? PAGE << (r >> 44) % 6 : 0,
			(r >> 50) % 2 != 0 ? LOAM_ZERO : 0);
		if (live->at != NULL) {
			if ((r >> 50) % 2 != 0) {
				expect_zero(live->at, live->size);
			}
			fill(live->at, live->size, live->seed);
		}
		break;
	case LIVE_VMAP:
		live->size = (1 + (size_t)(r >> 8) % MODEL_FRAMES) * PAGE;
		live->at = loam_kspace_vmap(kspace, model_pfns,
					    live->size / PAGE, LOAM_PROT_WRITE);
		break;
	case LIVE_DEVICE:
		live->size = pages * PAGE;
		live->at =
			loam_kspace_map_phys(kspace, live->seed % MEMORY_BYTES,
					     live->size, LOAM_PROT_READ);
		break;
	}
	return live->at != NULL;
}

static void live_end(const struct live *live)
{
	switch (live->kind) {
	case LIVE_VMALLOC:
		expect_filled(live->at, live->size, live->seed);
		vfree(live->at);
		break;
	case LIVE_VMAP:
		for (size_t i = 0; i < live->size / PAGE; i++) {
			EXPECT_EQ(phys_of(live->at + i * PAGE),
				  loam_pfn_to_phys(model_pfns[i]));
		}
		loam_kspace_vunmap(&machine.kspace, live->at);
		break;
	case LIVE_DEVICE:
		EXPECT_EQ(phys_of(live->at + live->size - 1),
			  live->seed % MEMORY_BYTES + live->size - 1);
		loam_kspace_unmap_phys(&machine.kspace, live->at);
		break;
	}
	EXPECT(read_faults(live->at));
}

/* No two live ranges share a page, nor touch: there is a guard between. */
static void live_compare(const struct live *lives, size_t count)
{
	const struct live *last = &lives[count - 1];
	uintptr_t start = (uintptr_t)last->at & ~(PAGE - 1);
	uintptr_t end =
		((uintptr_t)last->at + last->size + PAGE - 1) & ~(PAGE - 1);
	for (size_t i = 0; i + 1 < count; i++) {
		uintptr_t other = (uintptr_t)lives[i].at & ~(PAGE - 1);
		uintptr_t other_end =
			((uintptr_t)lives[i].at + lives[i].size + PAGE - 1) &
			~(PAGE - 1);
		EXPECT(end < other || other_end < start);
	}
}

TEST(model, "S4.29 kspace: random ranges of all kinds, check() after each step")
{
	enum { MOST = 40, STEPS = 700 };
	static struct live lives[MOST];
	machine_start();
	EXPECT_EQ(loam_frame_alloc_bulk(&machine.frames, MODEL_FRAMES,
					model_pfns, LOAM_HIGH),
		  0);
	struct machine_state before = machine_state();
	uint64_t random = 7;
	size_t count = 0;
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t r = hosted_random(&random);
		bool grow = (step / 100) % 2 == 0 ? r % 4 != 0 : r % 4 == 0;
		if (count == 0 || (grow && count < MOST)) {
			if (live_make(&lives[count], r >> 2)) {
				count++;
				live_compare(lives, count);
			}
		} else {
			size_t victim = (size_t)(r >> 8) % count;
			live_end(&lives[victim]);
			lives[victim] = lives[--count];
		}
		machine_check();
	}
	while (count > 0) {
		live_end(&lives[--count]);
	}
	EXPECT_EQ(machine_stats().window.ranges_free, 1);
	before.free_frames -= machine_stats().window.pages - 1;
	expect_state(&before);
	machine_end();
}

TEST(no_leak, "S4.25 S4.29 20,000 vmallocs: one free range, no frame missing")
{
	enum { MOST = 100 };
	static void *blocks[MOST];
	machine_start();
	uint64_t before = free_frames();
	uint64_t random = 3;
	size_t count = 0;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = hosted_random(&random);
		if (count < MOST && (count == 0 || (r & 1) != 0)) {
			blocks[count] =
				vmalloc(1 + (size_t)(r >> 8) % 30000, 0);
			EXPECT(blocks[count] != NULL);
			count++;
		} else {
			size_t victim = (size_t)(r >> 8) % count;
			vfree(blocks[victim]);
			blocks[victim] = blocks[--count];
		}
	}
	while (count > 0) {
		vfree(blocks[--count]);
	}
	struct loam_kspace_stats stats = machine_stats();
	EXPECT_EQ(stats.window.ranges_free, 1);
	EXPECT_EQ(stats.window.used, 0);
	EXPECT_EQ(stats.own_pages, 0);
	EXPECT_EQ(free_frames(), before - (stats.window.pages - 1));
	machine_end();
}

/* -------- threads as CPUs -------- */

#define STORM_THREADS 4u
#define STORM_STEPS 600u
static unsigned storm_errors;

static void storm_expect(bool ok)
{
	if (!ok) {
		__atomic_fetch_add(&storm_errors, 1, __ATOMIC_RELAXED);
	}
}

/* A look at a high frame through the CPU's slot. */
static void storm_temp(loam_pfn_t pfn, uint32_t value)
{
	volatile uint32_t *page = loam_kspace_temp_map(&machine.kspace, pfn);
	storm_expect(page != NULL);
	if (page != NULL) {
		page[5] = value;
		storm_expect(page[5] == value);
		loam_kspace_temp_unmap(&machine.kspace,
				       (void *)(uintptr_t)page);
	}
}

static void *storm(void *arg)
{
	hosted_cpu = (unsigned)(uintptr_t)arg;
	uint64_t random = hosted_cpu + 1;
	volatile uint32_t *live[8] = { NULL };
	loam_pfn_t own = loam_frame_alloc(&machine.frames, 0, LOAM_HIGH);
	for (uint32_t i = 0; i < STORM_STEPS; i++) {
		uint64_t r = hosted_random(&random);
		volatile uint32_t **block = &live[r % 8];
		uint32_t mark = hosted_cpu << 8 | (uint32_t)(r % 8);
		if (*block == NULL) {
			size_t words = PAGE / 4 * (1 + (size_t)(r >> 8) % 5);
			*block = vmalloc(words * 4, r & 0x1000 ? LOAM_ZERO : 0);
			storm_expect(*block != NULL);
			if (*block != NULL) {
				(*block)[0] = (uint32_t)words;
				(*block)[words - 1] = mark;
			}
		} else {
			storm_expect((*block)[(*block)[0] - 1] == mark);
			vfree((void *)(uintptr_t)*block);
			*block = NULL;
		}
		storm_temp(own, (uint32_t)r);
		if (i % 200 == 0) {
			storm_expect(loam_kspace_check(&machine.kspace) == 0);
		}
	}
	for (size_t i = 0; i < 8; i++) {
		vfree((void *)(uintptr_t)live[i]);
	}
	loam_frame_free(&machine.frames, own, 0);
	return NULL;
}

TEST(storm, "X.8 kspace: four CPUs at once, check() among them")
{
	machine_start();
	pthread_t threads[STORM_THREADS];
	storm_errors = 0;
	for (uintptr_t i = 0; i < STORM_THREADS; i++) {
		EXPECT_EQ(pthread_create(&threads[i], NULL, storm, (void *)i),
			  0);
	}
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	EXPECT_EQ(storm_errors, 0);
	struct loam_kspace_stats stats = machine_stats();
	EXPECT_EQ(stats.window.used, 0);
	EXPECT_EQ(stats.window.ranges_free, 1);
	EXPECT_EQ(stats.own_pages, 0);
	machine_end();
}

/* Two CPUs free the same block: one succeeds, one is told. */
static pthread_barrier_t race_barrier;
static void *race_block;

static void *race_free(void *arg)
{
	hosted_cpu = (unsigned)(uintptr_t)arg;
	pthread_barrier_wait(&race_barrier);
	vfree(race_block);
	return NULL;
}

TEST(race, "X.8 vfree: two CPUs free one block: one of them is reported")
{
	machine_start();
	struct machine_state before = machine_state();
	for (unsigned i = 0; i < 100; i++) {
		unsigned long reports = loam_misuse_count();
		race_block = vmalloc(20 * PAGE, 0);
		pthread_barrier_init(&race_barrier, NULL, 2);
		pthread_t threads[2];
		for (uintptr_t j = 0; j < 2; j++) {
			pthread_create(&threads[j], NULL, race_free, (void *)j);
		}
		pthread_join(threads[0], NULL);
		pthread_join(threads[1], NULL);
		pthread_barrier_destroy(&race_barrier);
		EXPECT_EQ(loam_misuse_count(), reports + 1);
	}
	expect_state(&before);
	machine_end();
}

/* -------- zero windows -------- */

#define ZEROS_AT 0xF0000000u
#define ZEROS_PAGES (2u * LOAM_ZERO_KNOWN + 1)

static struct loam_zero_window zeros;

static unsigned char *zeros_page(unsigned n)
{
	return (unsigned char *)emu_host(ZEROS_AT) + n * PAGE;
}

static void zeros_start(void)
{
	machine_start();
	EXPECT_EQ(loam_zero_window_init(&zeros, &machine.kspace,
					(uintptr_t)zeros_page(0),
					ZEROS_PAGES * PAGE),
		  0);
	/* Tables that this took come back with the next page that is made. */
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(ZEROS_PAGES - 1), 0),
		  0);
	EXPECT_EQ(loam_zero_window_check(&zeros), 0);
}

TEST(zeros, "zero window: zeros to read everywhere, pages where one writes")
{
	zeros_start();
	uint64_t before = free_frames() + 1;
	for (unsigned n = 0; n < ZEROS_PAGES; n++) {
		EXPECT_EQ(*zeros_page(n), 0);
		EXPECT(n == ZEROS_PAGES - 1 || write_faults(zeros_page(n)));
	}
	/* Backwards, and each twice: those of one place in turn, too. */
	for (unsigned n = ZEROS_PAGES; n-- > 0;) {
		for (unsigned twice = 0; twice < 2; twice++) {
			EXPECT_EQ(loam_zero_window_back(&zeros,
							zeros_page(n) + n, 0),
				  0);
		}
		EXPECT_EQ(zeros_page(n)[PAGE - 1], 0);
		zeros_page(n)[n] = (unsigned char)(n | 1);
		EXPECT_EQ(zeros.real_pages, ZEROS_PAGES - n);
		EXPECT_EQ(before - free_frames(), ZEROS_PAGES - n);
		EXPECT(n == 0 || write_faults(zeros_page(n - 1)));
		EXPECT_EQ(loam_zero_window_check(&zeros), 0);
	}
	for (unsigned n = 0; n < ZEROS_PAGES; n++) {
		EXPECT_EQ(zeros_page(n)[n], (unsigned char)(n | 1));
	}
	machine_end();
}

TEST(zeros_known, "zero window: a page that is known to be real takes no lock")
{
	zeros_start();
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(3), 0), 0);
	/* Taking it a second time is a panic. */
	loam_lock(&machine.kspace.lock);
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(3) + 9, 0), 0);
	loam_unlock(&machine.kspace.lock);
	/* What is behind the window's end is refused, known places or not. */
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(ZEROS_PAGES), 0),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(0) - 1, 0),
		  -LOAM_EINVAL);
	machine_end();
}

TEST(zeros_fail, "zero window: no frame: the page stays shared, and unknown")
{
	zeros_start();
	loam_frame_fail_nth(&machine.frames, 1);
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(5), LOAM_NOSLEEP),
		  -LOAM_ENOMEM);
	loam_frame_fail_nth(&machine.frames, 0);
	EXPECT(write_faults(zeros_page(5)));
	EXPECT_EQ(loam_zero_window_check(&zeros), 0);
	EXPECT_EQ(loam_zero_window_back(&zeros, zeros_page(5), 0), 0);
	*zeros_page(5) = 1;
	EXPECT_EQ(zeros.real_pages, 2);
	machine_end();
}

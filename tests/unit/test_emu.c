/* SPDX-License-Identifier: MIT */
/* The emulated machine's window: fills, faults, stale pages, flushes. */
#include "emu.h"

#include <loam/bits.h>

#include "test.h"

/*
 * A space with its tables at the start of the directly mapped memory, where
 * the window shows them too.
 */

#define RW (LOAM_PROT_READ | LOAM_PROT_WRITE)
#define MEMORY LOAM_MIB(64)
#define DIRECT LOAM_MIB(16)
#define VMALLOC 0xE0000000u /* emulated */
#define FRAME LOAM_MIB(8)   /* physical, directly mapped */
#define HIGH LOAM_MIB(32)   /* physical, not directly mapped */

static struct loam_pt space;
static loam_phys_t next_table;

static loam_phys_t bump_table(void *ctx)
{
	(void)ctx;
	loam_phys_t table = next_table;
	next_table += LOAM_PAGE_SIZE;
	memset(hosted_memory.direct + table, 0, LOAM_PAGE_SIZE);
	return table;
}

static void forget_table(void *ctx, loam_phys_t table)
{
	(void)ctx;
	(void)table;
}

static void *direct_table(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static const struct loam_pt_ops ops = {
	.alloc_table = bump_table,
	.free_table = forget_table,
	.table_virt = direct_table,
};

static void start(const struct loam_pt_geometry *geometry)
{
	next_table = LOAM_MIB(1);
	emu_init(MEMORY, DIRECT, geometry);
	EXPECT_EQ(loam_pt_init(&space, geometry, &ops, &emu_tlb_ops, NULL), 0);
	space.bias = emu.bias;
	space.live = true;
	emu_switch_root(NULL, space.root);
}

/* The host address of an address relative to VMALLOC, in any geometry. */
static uintptr_t at(size_t offset)
{
	return (uintptr_t)emu.window + (VMALLOC - 0xC0000000u) + offset;
}

static volatile unsigned char *bytes(uintptr_t virt)
{
	return (volatile unsigned char *)virt;
}

static void map(uintptr_t virt, loam_phys_t phys, size_t size)
{
	EXPECT_EQ(loam_pt_map(&space, virt, phys, size, RW, true), 0);
}

/* Geometries that a pointer of this host can address. */
static const struct loam_pt_geometry *geometry_number(unsigned i)
{
	static const struct loam_pt_geometry *const all[] = {
		&loam_pt_i386,   &loam_pt_i386_pse,    &loam_pt_i386_pae,
		&loam_pt_x86_64, &loam_pt_x86_64_la57,
	};
	unsigned count = sizeof(uintptr_t) == 8 ? 5 : 3;
	return i < count ? all[i] : NULL;
}

TEST(window, "what is written through the window is in the frame")
{
	const struct loam_pt_geometry *g;
	for (unsigned i = 0; (g = geometry_number(i)) != NULL; i++) {
		start(g);
		EXPECT_EQ((uintptr_t)emu.window & (LOAM_MIB(4) - 1), 0);
		map(at(0), FRAME, 8192);
		map(at(8192), HIGH, 4096);
		bytes(at(0))[5] = 0x55;
		bytes(at(4096))[6] = 0x66;
		bytes(at(8192))[7] = 0x77;
		EXPECT_EQ(hosted_memory.direct[FRAME + 5], 0x55);
		EXPECT_EQ(hosted_memory.direct[FRAME + 4096 + 6], 0x66);
		EXPECT_EQ(emu_cached_pages(), 3);
		/* Another page, same frame: the same bytes. */
		map(at(16384), HIGH, 4096);
		EXPECT_EQ(bytes(at(16384))[7], 0x77);
		EXPECT_EQ(emu.faults, 0);
		uint64_t address = emu_address((const void *)at(8193));
		EXPECT_EQ((uintptr_t)emu_host(address), at(8193));
		loam_phys_t phys;
		EXPECT_EQ(emu_translate(address, 0, &phys), EMU_NO_FAULT);
		EXPECT_EQ(phys, HIGH + 1);
		emu_fini();
	}
}

TEST(memory_functions, "memset and memcpy across pages fill them one by one")
{
	start(&loam_pt_i386_pse);
	map(at(0), FRAME, LOAM_MIB(1));
	map(at(LOAM_MIB(4)), HIGH, LOAM_MIB(4));
	memset((void *)at(0), 0x5a, LOAM_MIB(1));
	memcpy((void *)at(LOAM_MIB(4) + 100), (void *)at(0), LOAM_MIB(1));
	EXPECT_EQ(memcmp((void *)at(LOAM_MIB(4) + 100),
			 hosted_memory.direct + FRAME, LOAM_MIB(1)),
		  0);
	EXPECT_EQ(emu_cached_pages(), 256 + 257);
	emu_fini();
}

TEST(faults, "an access that the tables do not permit is a fault")
{
	start(&loam_pt_i386);
	EXPECT(EMU_FAULTS(bytes(at(0))[0]));
	EXPECT_EQ(emu.fault_kind, EMU_NOT_PRESENT);
	EXPECT_EQ(emu.fault_address, VMALLOC);
	EXPECT_EQ(emu.fault_access, 0);
	EXPECT(EMU_FAULTS(bytes(at(0))[4097] = 1));
	EXPECT_EQ(emu.fault_address, VMALLOC + 4097);
	EXPECT_EQ(emu.fault_access, EMU_WRITE);
	EXPECT_EQ(
		loam_pt_map(&space, at(0), FRAME, 4096, LOAM_PROT_READ, false),
		0);
	hosted_memory.direct[FRAME + 9] = 0x99;
	EXPECT(!EMU_FAULTS(bytes(at(0))[9]));
	EXPECT(EMU_FAULTS(bytes(at(0))[9] = 1));
	EXPECT_EQ(emu.fault_kind, EMU_PROTECTION);
	EXPECT_EQ(bytes(at(0))[9], 0x99);
	/* A mapping of what is no memory. */
	map(at(8192), MEMORY, 4096);
	EXPECT(EMU_FAULTS(bytes(at(8192))[0]));
	EXPECT_EQ(emu.fault_kind, EMU_BUS);
	EXPECT_EQ(emu.faults, 4);
	emu_fini();
}

TEST(unexpected, "a fault that nobody expects is a panic with the walk")
{
	start(&loam_pt_i386);
	EXPECT_PANIC(bytes(at(0))[3] = 1,
		     "emulated page fault: write to 0xe0000003: not present");
	EXPECT_PANIC((void)bytes(at(0))[3], "[896] 0x0 not present");
	/* Through a pointer whose mapping has gone. */
	map(at(0), FRAME, 4096);
	bytes(at(0))[3] = 1;
	EXPECT_EQ(loam_pt_unmap(&space, at(0), 4096), 1);
	EXPECT_PANIC((void)bytes(at(0))[3], "read of 0xe0000003");
	emu_fini();
}

TEST(no_root, "before a root is loaded only the direct map is there")
{
	emu_init(MEMORY, DIRECT, &loam_pt_i386_pse);
	EXPECT(EMU_FAULTS(bytes(at(0))[0]));
	memset(loam_host_phys_to_virt(0), 1, DIRECT);
	EXPECT(loam_host_phys_to_virt(DIRECT) == NULL);
	EXPECT(EMU_FAULTS(emu.window[DIRECT] = 1));
	EXPECT(!EMU_FAULTS(emu.window[DIRECT - 1] = 1));
	emu_fini();
}

TEST(stale, "S3.33 S0.35 a page that is not flushed stays; flushed, it goes")
{
	const struct loam_pt_geometry *g;
	for (unsigned i = 0; (g = geometry_number(i)) != NULL; i++) {
		start(g);
		map(at(0), FRAME, 4096);
		bytes(at(0))[0] = 1;
		EXPECT_EQ(loam_pt_unmap_noflush(&space, at(0), 4096), 1);
		EXPECT_EQ(bytes(at(0))[0], 1);
		map(at(0), HIGH, 4096);
		EXPECT_EQ(bytes(at(0))[0], 1);
		loam_pt_flush(&space, at(0), 4096);
		EXPECT_EQ(bytes(at(0))[0], 0);
		/* As the operations flush it themselves. */
		EXPECT_EQ(loam_pt_remap(&space, at(0), FRAME, RW), 0);
		EXPECT_EQ(bytes(at(0))[0], 1);
		EXPECT_EQ(loam_pt_protect(&space, at(0), 4096, LOAM_PROT_READ),
			  0);
		EXPECT(EMU_FAULTS(bytes(at(0))[0] = 2));
		EXPECT_EQ(loam_pt_protect(&space, at(0), 4096, RW), 0);
		EXPECT(!EMU_FAULTS(bytes(at(0))[0] = 2));
		EXPECT_EQ(loam_pt_unmap(&space, at(0), 4096), 1);
		EXPECT(EMU_FAULTS(bytes(at(0))[0]));
		emu_fini();
	}
}

TEST(stale_rights, "rights are cached too, until a flush or a fault")
{
	start(&loam_pt_i386_pse);
	EXPECT_EQ(
		loam_pt_map(&space, at(0), FRAME, 4096, LOAM_PROT_READ, false),
		0);
	EXPECT_EQ(bytes(at(0))[0], 0);
	/* The entry allows it by now, the translation does not. */
	space.live = false;
	EXPECT_EQ(loam_pt_protect(&space, at(0), 4096, RW), 0);
	space.live = true;
	EXPECT(EMU_FAULTS(bytes(at(0))[0] = 1));
	EXPECT(!EMU_FAULTS(bytes(at(0))[0] = 1));
	/* And the other way round. */
	space.live = false;
	EXPECT_EQ(loam_pt_protect(&space, at(0), 4096, LOAM_PROT_READ), 0);
	space.live = true;
	EXPECT(!EMU_FAULTS(bytes(at(0))[0] = 2));
	loam_pt_flush(&space, at(0), 4096);
	EXPECT(EMU_FAULTS(bytes(at(0))[0] = 3));
	EXPECT_EQ(bytes(at(0))[0], 2);
	emu_fini();
}

TEST(bits, "reads set the accessed bit, the first write the dirty bit")
{
	start(&loam_pt_i386);
	map(at(0), FRAME, 4096);
	struct loam_pt_mapping mapping;
	EXPECT_EQ(bytes(at(0))[0], 0);
	EXPECT_EQ(loam_pt_query(&space, at(0), &mapping), 0);
	EXPECT(mapping.accessed && !mapping.dirty);
	bytes(at(0))[0] = 1;
	EXPECT_EQ(loam_pt_query(&space, at(0), &mapping), 0);
	EXPECT(mapping.accessed && mapping.dirty);
	EXPECT_EQ(emu.fills, 2);
	bytes(at(0))[1] = 1;
	EXPECT_EQ(emu.fills, 2);
	emu_fini();
}

TEST(flush_all,
     "X.6 a full flush forgets every page, a new root all but global")
{
	start(&loam_pt_i386_pse);
	size_t size = LOAM_MIB(1);
	EXPECT_EQ(loam_pt_map(&space, at(0), FRAME, 4096, RW | LOAM_PROT_GLOBAL,
			      false),
		  0);
	map(at(4096), FRAME, size);
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i <= size; i += LOAM_PAGE_SIZE) {
			bytes(at(i))[0] = 1;
		}
		EXPECT_EQ(emu_cached_pages(), 257);
		emu_switch_root(NULL, space.root);
		EXPECT_EQ(emu_cached_pages(), 1);
		bytes(at(4096))[0] = 1;
		loam_pt_flush(&space, 0, 0);
		EXPECT_EQ(emu_cached_pages(), 0);
	}
	/* Few pages take the other way. */
	bytes(at(0))[0] = 1;
	bytes(at(8192))[0] = 1;
	loam_pt_flush(&space, 0, 0);
	EXPECT_EQ(emu_cached_pages(), 0);
	/* The direct map is not a translation. */
	hosted_memory.direct[FRAME] = 7;
	space.tlb->flush_page(NULL, (uintptr_t)emu.window);
	EXPECT_EQ(emu.window[FRAME], 7);
	emu_fini();
}

TEST(other_root, "two roots show two frames at one address")
{
	start(&loam_pt_i386);
	struct loam_pt other;
	EXPECT_EQ(loam_pt_init(&other, &loam_pt_i386, &ops, NULL, NULL), 0);
	other.bias = emu.bias;
	map(at(0), FRAME, 4096);
	EXPECT_EQ(loam_pt_map(&other, at(0), HIGH, 4096, RW, false), 0);
	bytes(at(0))[0] = 1;
	emu_switch_root(NULL, other.root);
	EXPECT_EQ(bytes(at(0))[0], 0);
	bytes(at(0))[0] = 2;
	emu_switch_root(NULL, space.root);
	EXPECT_EQ(bytes(at(0))[0], 1);
	emu_fini();
}

TEST(capacity, "the oldest cached page makes room, and comes back")
{
	start(&loam_pt_i386_pse);
	size_t pages = EMU_TLB_PAGES + 100;
	for (size_t i = 0; i < pages; i++) {
		/* No two neighbours have neighbouring frames. */
		loam_phys_t phys = FRAME + (i & 511) * 8192;
		EXPECT_EQ(loam_pt_remap(&space, at(i * 4096), phys, RW), 0);
		bytes(at(i * 4096))[i >> 9] = (unsigned char)i;
	}
	EXPECT_EQ(emu_cached_pages(), EMU_TLB_PAGES);
	for (size_t i = 0; i < pages; i++) {
		EXPECT_EQ(bytes(at(i * 4096))[i >> 9], (unsigned char)i);
	}
	EXPECT_EQ(emu_cached_pages(), EMU_TLB_PAGES);
	loam_pt_flush(&space, 0, 0);
	EXPECT_EQ(emu_cached_pages(), 0);
	emu_fini();
}

TEST(high_tables, "tables outside the direct map are walked too")
{
	start(&loam_pt_i386);
	map(at(0), FRAME, 4096);
	/* Moves the table of level 0 to high memory by hand. */
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	EXPECT_EQ(loam_pt_walk(&space, at(0), steps), 2);
	map(at(4096), HIGH, 4096);
	memcpy((void *)at(4096), hosted_memory.direct + steps[1].table,
	       LOAM_PAGE_SIZE);
	memset(hosted_memory.direct + steps[1].table, 0, LOAM_PAGE_SIZE);
	uint32_t moved = (uint32_t)HIGH | 3;
	memcpy(hosted_memory.direct + steps[0].table + steps[0].index * 4,
	       &moved, 4);
	loam_pt_flush(&space, 0, 0);
	hosted_memory.direct[FRAME] = 0x42;
	EXPECT_EQ(bytes(at(0))[0], 0x42);
	emu_fini();
}

TEST(reserved, "a reserved bit in an entry is a fault of its own")
{
	start(&loam_pt_i386_pse);
	map(at(0), 0, LOAM_MIB(4));
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	EXPECT_EQ(loam_pt_walk(&space, at(0), steps), 1);
	uint32_t spoilt = (uint32_t)steps[0].entry | 0x00200000;
	memcpy(hosted_memory.direct + steps[0].table + steps[0].index * 4,
	       &spoilt, 4);
	EXPECT(EMU_FAULTS(bytes(at(0))[0]));
	EXPECT_EQ(emu.fault_kind, EMU_RESERVED);
	emu_fini();
}

TEST(again, "machines come and go")
{
	for (unsigned i = 0; i < 20; i++) {
		emu_init(LOAM_GIB(5), LOAM_MIB(256), &loam_pt_i386_pse);
		emu.window[LOAM_MIB(256) - 1] = 1;
	}
	emu_fini();
	emu_fini();
	EXPECT(emu.window == NULL && hosted_memory.fd < 0);
	EXPECT_PANIC(emu_init(LOAM_GIB(5), LOAM_GIB(2), &loam_pt_i386),
		     "does not fit");
}

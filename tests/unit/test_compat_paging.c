/* SPDX-License-Identifier: MIT */
/* Seed 003's paging: directories of 4 GB, on an emulated i386. */

#include <loam/assert.h>
#include <loam/compat_paging.h>

#include "emu.h"
#include "test.h"

#define BLOCKS 8192u /* 32 MiB of memory for tables */
#define RW (PAGING_IS_PRESENT | PAGING_IS_WRITEABLE)

struct loam_paging loam_compat_paging;

/* An allocator of frames, of which the first is never given out. */
static struct {
	unsigned char used[BLOCKS];
	unsigned live;
	unsigned calls;
	unsigned fail_call; /* 0: none */
	unsigned offset;    /* added to each block: not page aligned */
} blocks;

static uint32_t loaded;
static unsigned loads;
static unsigned enabled;

static void *blocks_zalloc(void *ctx, size_t size_bytes)
{
	EXPECT(ctx == &blocks);
	EXPECT(size_bytes > 0 && size_bytes <= 4096);
	if (++blocks.calls == blocks.fail_call) {
		return NULL;
	}
	for (unsigned i = 1; i < BLOCKS; i++) {
		if (blocks.used[i] == 0) {
			unsigned char *at =
				loam_host_phys_to_virt((loam_phys_t)i << 12);
			blocks.used[i] = 1;
			blocks.live++;
			memset(at, 0, 4096);
			return at + blocks.offset;
		}
	}
	return NULL;
}

static loam_phys_t blocks_phys(void *ctx, const void *block)
{
	(void)ctx;
	return (loam_phys_t)((const unsigned char *)block -
			     hosted_memory.direct);
}

static void blocks_free(void *ctx, void *block)
{
	size_t i = (size_t)(blocks_phys(ctx, block) >> 12);
	EXPECT(i > 0 && i < BLOCKS);
	EXPECT_EQ(blocks.used[i], 1);
	blocks.used[i] = 0;
	blocks.live--;
}

/* The recorder in place of the assembly. */
LOAM_CDECL void paging_load_directory(uint32_t *directory_phys)
{
	loaded = (uint32_t)(uintptr_t)directory_phys;
	loads++;
	emu_switch_root(NULL, loaded);
}

LOAM_CDECL void enable_paging(void)
{
	enabled++;
}

static void load_directory(void *ctx, uint32_t directory_phys)
{
	EXPECT(ctx == &blocks);
	paging_load_directory((uint32_t *)(uintptr_t)directory_phys);
}

static struct loam_paging_ops ops = {
	.zalloc = blocks_zalloc,
	.free = blocks_free,
	.phys = blocks_phys,
	.load_directory = load_directory,
	.tlb = &emu_tlb_ops,
};

static void begin(void)
{
	emu_init_model(LOAM_GIB(4), (loam_phys_t)BLOCKS << 12, &loam_pt_i386);
	memset(&blocks, 0, sizeof(blocks));
	loam_compat_paging =
		(struct loam_paging){ .ops = &ops, .ctx = &blocks };
	ops.tlb = &emu_tlb_ops;
	loaded = 0;
	loads = 0;
	enabled = 0;
	hosted_log_clear();
}

static void *at(uint32_t address)
{
	return (void *)(uintptr_t)address;
}

/* The entry of a page, read as the CPU would, without the floor's help. */
static uint32_t raw_entry(const struct paging_4gb_chunk *chunk, uint32_t page)
{
	uint32_t table = chunk->directory_entry[page >> 10] & 0xfffff000u;
	return ((uint32_t *)loam_host_phys_to_virt(table))[page & 1023];
}

/* -------- new, free -------- */

TEST(constants, "S3.2 the seed's constants")
{
	EXPECT_EQ(PAGING_TOTAL_ENTRIES_PER_TABLE, 1024);
	EXPECT_EQ(PAGING_PAGE_SIZE, 4096);
	EXPECT_EQ(PAGING_IS_PRESENT, 1);
	EXPECT_EQ(PAGING_IS_WRITEABLE, 2);
	EXPECT_EQ(PAGING_ACCESS_FROM_ALL, 4);
	EXPECT_EQ(PAGING_WRITE_THROUGH, 8);
	EXPECT_EQ(PAGING_CACHE_DISABLED, 16);
	EXPECT_EQ(sizeof(struct paging_4gb_chunk), sizeof(uint32_t *));
}

TEST(entries, "S3.2 S3.3 every entry of both levels is what the seed writes")
{
	begin();
	for (unsigned flags = 0; flags <= PAGING_FLAGS_ALL; flags++) {
		struct paging_4gb_chunk *chunk = paging_new_4gb((uint8_t)flags);
		EXPECT(chunk != NULL);
		EXPECT_EQ(blocks.live, 1026);
		uint32_t *directory = chunk->directory_entry;
		for (unsigned i = 0; i < 1024; i++) {
			EXPECT_EQ(directory[i] & 0xfff,
				  flags | PAGING_IS_WRITEABLE);
			const uint32_t *table = loam_host_phys_to_virt(
				directory[i] & 0xfffff000u);
			for (unsigned j = 0; j < 1024; j++) {
				EXPECT_EQ(table[j],
					  (i << 22 | j << 12 | flags));
			}
		}
		EXPECT_EQ(loam_paging_check(&loam_compat_paging, chunk), 0);
		paging_free_4gb(chunk);
		EXPECT_EQ(blocks.live, 0);
	}
}

TEST(flags, "S3.2 misuse: flags that would be other bits of an entry")
{
	begin();
	for (unsigned flags = PAGING_FLAGS_ALL + 1; flags < 256; flags++) {
		EXPECT(paging_new_4gb((uint8_t)flags) == NULL);
	}
	EXPECT_LOG("no such flags: 0x80");
	EXPECT_EQ(blocks.calls, 0);
}

TEST(nth, "S3.4 the n-th kzalloc of 1026 fails: NULL, and all is given back")
{
	begin();
	for (unsigned nth = 1; nth <= 1026; nth++) {
		blocks.calls = 0;
		blocks.fail_call = nth;
		EXPECT(paging_new_4gb(RW) == NULL);
		EXPECT_EQ(blocks.calls, nth);
		EXPECT_EQ(blocks.live, 0);
	}
	blocks.calls = 0;
	blocks.fail_call = 1027;
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	EXPECT(chunk != NULL);
	EXPECT_EQ(blocks.calls, 1026);
	paging_free_4gb(chunk);
	EXPECT_EQ(blocks.live, 0);
}

TEST(out_of_frames, "S3.4 the same where memory really ends")
{
	begin();
	struct paging_4gb_chunk *chunks[8];
	unsigned count = 0;
	while ((chunks[count] = paging_new_4gb(RW)) != NULL) {
		count++;
	}
	EXPECT_EQ(count, (BLOCKS - 1) / 1026);
	EXPECT_EQ(blocks.live, count * 1026);
	while (count > 0) {
		paging_free_4gb(chunks[--count]);
	}
	EXPECT_EQ(blocks.live, 0);
}

TEST(unaligned, "S3.4 misuse: an allocator whose blocks cannot be tables")
{
	begin();
	blocks.offset = 16;
	EXPECT(paging_new_4gb(RW) == NULL);
	EXPECT_LOG("cannot be a page table");
	EXPECT_EQ(blocks.live, 0);
}

TEST(bad_free, "misuse: NULL, twice, and the directory in use")
{
	begin();
	unsigned long before = loam_misuse_count();
	paging_free_4gb(NULL);
	EXPECT_EQ(loam_misuse_count(), before);
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	struct paging_4gb_chunk *other = paging_new_4gb(RW);
	paging_switch(chunk);
	paging_free_4gb(chunk);
	EXPECT_LOG("its directory is in use");
	EXPECT_EQ(blocks.live, 2 * 1026);
	paging_switch(other);
	paging_free_4gb(chunk);
	EXPECT_EQ(blocks.live, 1026);
	hosted_log_clear();
	paging_free_4gb(chunk);
	EXPECT_LOG("it has no directory");
	EXPECT_EQ(loam_misuse_count(), before + 2);
	EXPECT_EQ(blocks.live, 1026);
}

/* -------- switch -------- */

TEST(switching, "S3.5 S3.6 a switch loads the directory, and remembers it")
{
	begin();
	struct paging_4gb_chunk *a = paging_new_4gb(RW);
	struct paging_4gb_chunk *b = paging_new_4gb(RW);
	EXPECT(loam_compat_paging.current == NULL);
	EXPECT_EQ(loads, 0);
	paging_switch(a);
	EXPECT_EQ(loads, 1);
	EXPECT_EQ(loaded, blocks_phys(NULL, a->directory_entry));
	EXPECT(loam_compat_paging.current == a->directory_entry);
	enable_paging();
	EXPECT_EQ(enabled, 1);
	paging_switch(b);
	EXPECT_EQ(loads, 2);
	EXPECT(loaded != blocks_phys(NULL, a->directory_entry));
	EXPECT(loam_compat_paging.current == b->directory_entry);
	paging_switch(NULL);
	EXPECT_LOG("without a directory");
	paging_switch(&(struct paging_4gb_chunk){ NULL });
	EXPECT_EQ(loads, 2);
	EXPECT(loam_compat_paging.current == b->directory_entry);
}

TEST(identity, "S3.1 S3.2 the CPU finds every address at itself, by the flags")
{
	begin();
	uint64_t state = 3;
	struct paging_4gb_chunk *chunk =
		paging_new_4gb(RW | PAGING_ACCESS_FROM_ALL);
	struct paging_4gb_chunk *closed = paging_new_4gb(PAGING_IS_PRESENT);
	loam_phys_t phys;
	for (unsigned i = 0; i < 1000; i++) {
		uint32_t address = (uint32_t)hosted_random(&state);
		paging_switch(chunk);
		EXPECT_EQ(emu_translate(address, EMU_USER | EMU_WRITE, &phys),
			  EMU_NO_FAULT);
		EXPECT_EQ(phys, address);
		EXPECT(paging_get_physical_address(NULL, at(address)) ==
		       at(address));
		paging_switch(closed);
		EXPECT_EQ(emu_translate(address, 0, &phys), EMU_NO_FAULT);
		EXPECT_EQ(phys, address);
		EXPECT_EQ(emu_translate(address, EMU_USER, &phys),
			  EMU_PROTECTION);
	}
}

/* -------- map -------- */

TEST(map_bad, "S3.30 addresses that are not aligned, and ranges past 4 GiB")
{
	begin();
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	static const struct {
		uint32_t virt;
		uint32_t phys;
		size_t count;
		uint32_t flags;
		int expected;
	} cases[] = {
		{ 0x400001, 0x800000, 1, RW, -LOAM_EINVAL },
		{ 0x400000, 0x800800, 1, RW, -LOAM_EINVAL },
		{ 0x400fff, 0x800001, 1, RW, -LOAM_EINVAL },
		{ 0x400001, 0x800000, 0, RW, -LOAM_EINVAL },
		{ 0x400000, 0x800000, 0, RW, 0 },
		{ 0xfffff000, 0x800000, 1, RW, 0 },
		{ 0xfffff000, 0x800000, 2, RW, -LOAM_EINVAL },
		{ 0x400000, 0xfffff000, 2, RW, -LOAM_EINVAL },
		{ 0x400000, 0x800000, 0x100000, RW, -LOAM_EINVAL },
		{ 0x400000, 0x800000, SIZE_MAX, RW, -LOAM_EINVAL },
		{ 0x400000, 0x800000, 1, 0x20, -LOAM_EINVAL },
		{ 0x400000, 0x800000, 1, 0x80, -LOAM_EINVAL },
		{ 0x400000, 0x800000, 1, 0xfffff007, -LOAM_EINVAL },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(paging_map_range(chunk, at(cases[i].virt),
					   at(cases[i].phys), cases[i].count,
					   cases[i].flags),
			  cases[i].expected);
		EXPECT_EQ(raw_entry(chunk, 0x400), 0x400000 | RW);
		EXPECT_EQ(raw_entry(chunk, 0x401), 0x401000 | RW);
	}
	EXPECT_EQ(raw_entry(chunk, 0xfffff), 0x800000 | RW);
	/* All of it at once is not too much. */
	EXPECT_EQ(paging_map_range(chunk, at(0), at(0), 0x100000, RW), 0);
	EXPECT_EQ(raw_entry(chunk, 0xfffff), 0xfffff000 | RW);
	EXPECT_EQ(paging_map(NULL, at(0), at(0), RW), -LOAM_EINVAL);
	if (sizeof(void *) > 4) {
		uintptr_t far = (uintptr_t)LOAM_GIB(2) * 2;
		EXPECT_EQ(paging_map(chunk, (void *)far, at(0), RW),
			  -LOAM_EINVAL);
		EXPECT_EQ(paging_map(chunk, at(0), (void *)far, RW),
			  -LOAM_EINVAL);
		EXPECT(paging_get_physical_address(chunk->directory_entry,
						   (void *)far) == NULL);
	}
}

TEST(map_raw, "S3.30 a mapping is address and flags, across tables too")
{
	begin();
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	EXPECT_EQ(paging_map_range(chunk, at(0x7fe000), at(0x12345000), 5,
				   RW | PAGING_ACCESS_FROM_ALL |
					   PAGING_CACHE_DISABLED),
		  0);
	for (unsigned i = 0; i < 5; i++) {
		EXPECT_EQ(raw_entry(chunk, 0x7fe + i),
			  (0x12345000 + i * 0x1000) | 0x17);
	}
	EXPECT_EQ(raw_entry(chunk, 0x7fd), 0x7fd000 | RW);
	EXPECT_EQ(raw_entry(chunk, 0x803), 0x803000 | RW);
	/* Unmapping by flags leaves the address, as the seed does. */
	EXPECT_EQ(paging_map(chunk, at(0x7ff000), at(0x5000), 0), 0);
	EXPECT_EQ(raw_entry(chunk, 0x7ff), 0x5000);
	EXPECT_EQ(loam_paging_check(&loam_compat_paging, chunk), 0);
}

TEST(translate, "S3.32 an address is resolved with its offset, or not at all")
{
	begin();
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	uint32_t *directory = chunk->directory_entry;
	loam_phys_t phys = 7;
	EXPECT(paging_get_physical_address(directory, at(0x400abc)) ==
	       at(0x400abc));
	paging_map(chunk, at(0x400000), at(0x900000), RW);
	EXPECT(paging_get_physical_address(directory, at(0x400abc)) ==
	       at(0x900abc));
	EXPECT(paging_get_physical_address(directory, at(0x401abc)) ==
	       at(0x401abc));
	paging_map(chunk, at(0x400000), at(0x900000), PAGING_IS_WRITEABLE);
	EXPECT(paging_get_physical_address(directory, at(0x400abc)) == NULL);
	EXPECT_EQ(loam_paging_translate(&loam_compat_paging, directory,
					0x400abc, &phys),
		  -LOAM_ENOENT);
	EXPECT_EQ(phys, 7);
	/* Address 0 is where it is, though the seed's name cannot tell. */
	EXPECT_EQ(
		loam_paging_translate(&loam_compat_paging, directory, 0, &phys),
		0);
	EXPECT_EQ(phys, 0);
	EXPECT_EQ(loam_paging_translate(&loam_compat_paging, NULL, 0, &phys),
		  -LOAM_EINVAL);
	paging_switch(chunk);
	EXPECT(paging_get_physical_address(NULL, at(0xffffffff)) ==
	       at(0xffffffff));
	struct paging_4gb_chunk *none = paging_new_4gb(PAGING_IS_WRITEABLE);
	EXPECT(paging_get_physical_address(none->directory_entry, at(0x1000)) ==
	       NULL);
}

TEST(large, "S3.32 a large page of the kernel's is read, and not written")
{
	begin();
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	uint32_t *directory = chunk->directory_entry;
	uint32_t kept = directory[2];
	directory[2] = 0x00c00000u | 0x80u | RW;
	loam_phys_t phys;
	EXPECT_EQ(loam_paging_translate(&loam_compat_paging, directory,
					0x00923456, &phys),
		  0);
	EXPECT_EQ(phys, 0x00d23456);
	EXPECT_EQ(paging_map(chunk, at(0x900000), at(0x1000), RW), -LOAM_EPERM);
	/* Nor a range that only ends in it. */
	EXPECT_EQ(paging_map_range(chunk, at(0x7ff000), at(0x1000), 2, RW),
		  -LOAM_EPERM);
	EXPECT_EQ(raw_entry(chunk, 0x7ff), 0x7ff000 | RW);
	EXPECT(loam_paging_check(&loam_compat_paging, chunk) != 0);
	directory[2] = 0;
	EXPECT_EQ(paging_map(chunk, at(0x900000), at(0x1000), RW),
		  -LOAM_ENOENT);
	EXPECT_EQ(loam_paging_translate(&loam_compat_paging, directory,
					0x00923456, &phys),
		  -LOAM_ENOENT);
	directory[2] = directory[3];
	EXPECT(loam_paging_check(&loam_compat_paging, chunk) != 0);
	directory[2] = kept;
	EXPECT_EQ(loam_paging_check(&loam_compat_paging, chunk), 0);
}

/* -------- flushing -------- */

static loam_phys_t cpu_sees(uint32_t address)
{
	loam_phys_t phys = LOAM_PHYS_NONE;
	EXPECT_EQ(emu_translate(address, 0, &phys), EMU_NO_FAULT);
	return phys;
}

TEST(flush, "S3.33 X.6 a change of the directory in use is not seen stale")
{
	begin();
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	struct paging_4gb_chunk *other = paging_new_4gb(RW);
	struct loam_tlb_stats *stats = &loam_compat_paging.stats;
	loam_phys_t phys;
	paging_switch(chunk);
	for (unsigned round = 0; round < 2; round++) {
		/* Then the same with a CPU that can only flush all. */
		EXPECT_EQ(cpu_sees(0x400123), 0x400123);
		paging_map(NULL, at(0x400000), at(0x900000), RW);
		EXPECT_EQ(cpu_sees(0x400123), 0x900123);
		paging_map(chunk, at(0x400000), at(0x900000), 0);
		EXPECT_EQ(emu_translate(0x400123, 0, &phys), EMU_NOT_PRESENT);
		EXPECT_EQ(stats->not_needed, round);
		paging_map(chunk, at(0x400000), at(0x400000), RW);
		EXPECT_EQ(stats->not_needed, round + 1);
		EXPECT_EQ(cpu_sees(0x400123), 0x400123);
		EXPECT_EQ(stats->pages, 2);
		EXPECT_EQ(stats->full, round * 2);
		ops.tlb = &emu_tlb_ops_386;
	}
	/* A directory that is not in use has nothing to be flushed. */
	paging_map(other, at(0x400000), at(0x900000), RW);
	EXPECT_EQ(stats->pages + stats->full, 4);
	paging_switch(other);
	EXPECT_EQ(cpu_sees(0x400123), 0x900123);
}

TEST(flush_many, "S3.33 X.6 many pages at once are flushed at once")
{
	begin();
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	struct loam_tlb_stats *stats = &loam_compat_paging.stats;
	paging_switch(chunk);
	for (uint32_t page = 0; page < 64; page++) {
		EXPECT_EQ(cpu_sees(0x400000 + page * 4096),
			  0x400000 + page * 4096);
	}
	paging_map_range(NULL, at(0x400000), at(0x900000), 64, RW);
	EXPECT_EQ(stats->full, 1);
	EXPECT_EQ(stats->pages, 0);
	for (uint32_t page = 0; page < 64; page++) {
		EXPECT_EQ(cpu_sees(0x400000 + page * 4096),
			  0x900000 + page * 4096);
	}
	paging_map_range(NULL, at(0x400000), at(0xa00000), 33, RW);
	EXPECT_EQ(stats->pages, 33);
}

/* -------- against a model -------- */

TEST(model, "S3.30 S3.32 random maps against an array of what is where")
{
	static uint32_t model[0x1000]; /* of the pages from 3 GiB on */
	begin();
	uint64_t state = 30;
	struct paging_4gb_chunk *chunk = paging_new_4gb(RW);
	paging_switch(chunk);
	for (uint32_t i = 0; i < LOAM_ARRAY_SIZE(model); i++) {
		model[i] = (0xc0000000 + i * 4096) | RW;
	}
	for (unsigned step = 0; step < 3000; step++) {
		uint32_t page = (uint32_t)hosted_random(&state) & 0xfff;
		uint32_t count = (uint32_t)hosted_random(&state) % 70;
		uint32_t phys = (uint32_t)hosted_random(&state) & 0xffff000;
		uint32_t flags = (uint32_t)hosted_random(&state) & 0x1f;
		count = count < 0x1000 - page ? count : 0x1000 - page;
		EXPECT_EQ(paging_map_range(NULL, at(0xc0000000 + page * 4096),
					   at(phys), count, flags),
			  0);
		for (uint32_t i = 0; i < count; i++) {
			model[page + i] = (phys + i * 4096) | flags;
		}
		for (unsigned look = 0; look < 8; look++) {
			page = (uint32_t)hosted_random(&state) & 0xfff;
			uint32_t virt = 0xc0000abc + page * 4096;
			loam_phys_t seen = 0;
			bool present = (model[page] & 1) != 0;
			EXPECT_EQ(raw_entry(chunk, virt >> 12) & ~0x60u,
				  model[page]);
			EXPECT_EQ(emu_translate(virt, 0, &seen) == EMU_NO_FAULT,
				  present);
			EXPECT(paging_get_physical_address(NULL, at(virt)) ==
			       at((uint32_t)seen));
			if (present) {
				EXPECT_EQ(seen,
					  (model[page] & 0xfffff000) | 0xabc);
			}
		}
	}
	EXPECT_EQ(loam_paging_check(&loam_compat_paging, chunk), 0);
}

/* -------- alignment -------- */

TEST(align, "S3.31 up and down to pages, at the ends of the address space")
{
	static const struct {
		uint32_t address;
		uint32_t up;
		uint32_t down;
	} cases[] = {
		{ 0, 0, 0 },          { 1, 4096, 0 },
		{ 4095, 4096, 0 },    { 4096, 4096, 4096 },
		{ 4097, 8192, 4096 }, { 0xfffff000, 0xfffff000, 0xfffff000 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		EXPECT(paging_align_address(at(cases[i].address)) ==
		       at(cases[i].up));
		EXPECT(paging_align_to_lower_page(at(cases[i].address)) ==
		       at(cases[i].down));
	}
	/* Above the last page there is none: NULL, in either width. */
	for (uintptr_t back = 0; back < 4095; back += 7) {
		void *last = (void *)(UINTPTR_MAX - back);
		EXPECT(paging_align_address(last) == NULL);
		EXPECT(paging_align_to_lower_page(last) ==
		       (void *)(UINTPTR_MAX - 4095));
	}
}

/* SPDX-License-Identifier: MIT */
/* Bring-up with each heap behind kmalloc, and with the list of frames. */
#include "boot_machine.h"

/* A PC of so many MiB comes up with this choice. */
static void start(unsigned mib, struct loam_boot_choice choice)
{
	boot_prepare((loam_phys_t)mib << 20, &loam_pt_i386_pse);
	boot_pc_map((uint64_t)mib << 20);
	boot_machine.choice = choice;
	hosted_log_clear();
	if (boot_now() != 0) {
		fprintf(stderr, "# %u MiB: %s\n", mib, boot_why);
		test_fail(__FILE__, __LINE__, "the machine comes up");
	}
	EXPECT_EQ(boot_steps, LOAM_BOOT_ALLOCATE);
	EXPECT_EQ(loam_boot_check(&kernel), 0);
}

static uint64_t free_and_mapped(void)
{
	loam_slab_shrink_all(&kernel.slabs);
	return loam_frame_free_count(&kernel.frames) +
	       kernel.heap_window.mapped_pages + kernel.shadow.real_pages;
}

/* Blocks of many sizes, all at once, and back. */
static void use_kmalloc(void)
{
	void *blocks[64];
	uint64_t before = free_and_mapped();
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(blocks); i++) {
		size_t size = 1u + i * 97;
		blocks[i] = loam_kzalloc(&kernel.kmalloc, size, 0);
		EXPECT(blocks[i] != NULL);
		EXPECT(loam_ksize(&kernel.kmalloc, blocks[i]) >= size);
		memset(blocks[i], (int)i, size);
	}
	EXPECT_EQ(loam_boot_check(&kernel), 0);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(blocks); i++) {
		EXPECT_EQ(*(unsigned char *)blocks[i], i);
		loam_kfree(&kernel.kmalloc, blocks[i]);
	}
	EXPECT_EQ(free_and_mapped(), before);
	EXPECT_EQ(loam_boot_check(&kernel), 0);
}

TEST(each, "X.1 S4.31 every heap, from 8 MiB to 3 GiB, with either frames")
{
	static const unsigned sizes[] = { 8, 32, 64, 300, 3000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		for (unsigned heap = 0; heap < LOAM_BOOT_HEAPS; heap++) {
			const struct loam_boot_choice choice = {
				.heap = (enum loam_boot_heap)heap,
				.fit = LOAM_HEAP_NEXT_FIT,
				.list_frames = (i + heap) % 2 != 0,
			};
			start(sizes[i], choice);
			bool block_without =
				heap == LOAM_BOOT_BLOCK && sizes[i] < 17;
			EXPECT_EQ(kernel.choice.heap,
				  block_without ? LOAM_BOOT_SLAB : heap);
			use_kmalloc();
			emu_fini();
		}
	}
}

TEST(window, "S0.3 S0.10 S0.11 the heap's window: its place, limit and tables")
{
	start(64, (struct loam_boot_choice){ .heap = LOAM_BOOT_BESTFIT });
	EXPECT((uintptr_t)kernel.heap.start == boot_virt(0xD0000000u));
	EXPECT_EQ(kernel.heap.size_bytes, LOAM_MIB(4));
	EXPECT_EQ(kernel.heap_window.mapped_pages, 2);
	EXPECT_EQ(loam_pt_tables_needed(&kernel.pt, kernel.layout.heap_base,
					kernel.layout.heap_size),
		  0);
	char *block = loam_kmalloc(&kernel.kmalloc, 100, 0);
	EXPECT((uintptr_t)block >= boot_virt(0xD0001000u));
	EXPECT(loam_kmalloc(&kernel.kmalloc, LOAM_MIB(4), 0) == NULL);
	loam_kfree(&kernel.kmalloc, block);
	emu_fini();
	start(64, (struct loam_boot_choice){ .heap = LOAM_BOOT_TLSF,
					     .heap_limit = LOAM_MIB(40) });
	EXPECT_EQ(kernel.heap.size_bytes, LOAM_MIB(40));
	block = loam_kmalloc(&kernel.kmalloc, LOAM_MIB(16), 0);
	EXPECT(block != NULL);
	block[LOAM_MIB(16) - 1] = 1;
	loam_kfree(&kernel.kmalloc, block);
	emu_fini();
}

TEST(buddy_window, "S4.21 the buddy heap's window is its own")
{
	start(64, (struct loam_boot_choice){ .heap = LOAM_BOOT_BUDDY_HEAP });
	EXPECT((uintptr_t)kernel.heap.start == boot_virt(0xD8000000u));
	size_t spare = 0;
	uintptr_t base = loam_boot_spare_window(&kernel, &spare);
	EXPECT_EQ(base, boot_virt(0xD0400000u));
	EXPECT_EQ(base + spare, boot_virt(0xD8000000u));
	emu_fini();
}

TEST(block,
     "S1.26 S3.11 the block heap: 100 MiB at 16 MiB, its table at 0x7E00")
{
	start(256, (struct loam_boot_choice){ .heap = LOAM_BOOT_BLOCK });
	EXPECT((uintptr_t)kernel.heap.start == boot_virt(0xC1000000u));
	EXPECT_EQ(kernel.heap.size_bytes, 104857600);
	EXPECT_EQ(kernel.block_table, 0x7E00);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, LOAM_MIB(16)),
		  LOAM_RESERVED_HEAP);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, 0x7E00),
		  LOAM_RESERVED_HEAP);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, 0xE1FF),
		  LOAM_RESERVED_HEAP);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, LOAM_MIB(116)),
		  LOAM_RESERVED_METADATA);
	const uint8_t *table = (const uint8_t *)boot_virt(0xC0007E00u);
	char *block = loam_kmalloc(&kernel.kmalloc, 3 * 4096, 0);
	EXPECT((uintptr_t)block == boot_virt(0xC1000000u));
	EXPECT_EQ(table[0], 0xC1);
	EXPECT_EQ(table[1], 0x81);
	EXPECT_EQ(table[2], 0x01);
	loam_kfree(&kernel.kmalloc, block);
	EXPECT_EQ(table[0] | table[1] | table[2], 0);
	EXPECT(!hosted_log_contains("smaller"));
	emu_fini();
}

TEST(block_small,
     "S3.36 S1.27 less memory: a smaller block heap, or slabs, said")
{
	start(64, (struct loam_boot_choice){ .heap = LOAM_BOOT_BLOCK });
	EXPECT_LOG("not 100 MiB: the heap is smaller");
	EXPECT_EQ(kernel.heap.size_bytes, LOAM_MIB(48) - 0x20000);
	emu_fini();
	start(16, (struct loam_boot_choice){ .heap = LOAM_BOOT_BLOCK });
	EXPECT_LOG("Failed to create heap");
	EXPECT_EQ(kernel.choice.heap, LOAM_BOOT_SLAB);
	use_kmalloc();
	emu_fini();
}

TEST(block_module, "S1.14 the block heap keeps off what a loader left")
{
	boot_prepare(LOAM_MIB(128), &loam_pt_i386_pse);
	boot_pc_map(LOAM_MIB(128));
	boot_machine.choice.heap = LOAM_BOOT_BLOCK;
	kernel.info.reserved[0] = (struct loam_boot_range){
		.base = LOAM_MIB(40),
		.size = 5000,
		.owner = LOAM_RESERVED_MODULE,
	};
	kernel.info.reserved[1] = (struct loam_boot_range){
		.base = 0x9000,
		.size = 100,
		.owner = LOAM_RESERVED_MODULE,
	};
	kernel.info.reserved_count = 2;
	EXPECT_EQ(boot_now(), 0);
	EXPECT_EQ(kernel.heap.size_bytes, LOAM_MIB(24));
	EXPECT_LOG("no memory for the table at 0x7e00");
	EXPECT_EQ(kernel.block_table, LOAM_PHYS_NONE);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, LOAM_MIB(40)),
		  LOAM_RESERVED_MODULE);
	use_kmalloc();
	emu_fini();
}

TEST(list, "S2.10 S2.12 S2.19 frames in two steps, tables out of the first")
{
	start(64, (struct loam_boot_choice){ .list_frames = true });
	EXPECT(kernel.list_first > 256);
	EXPECT(kernel.list_first < 1024);
	uint64_t counts[LOAM_OWNER_COUNT];
	loam_frame_count_owners(&kernel.frames, counts);
	EXPECT(counts[LOAM_OWNER_TABLE] >= loam_pt_count_tables(&kernel.pt));
	EXPECT(loam_pt_count_tables(&kernel.pt) <= kernel.list_first);
	EXPECT(kernel.pt.root < LOAM_MIB(4));
	struct loam_zone_stats dma;
	struct loam_zone_stats normal;
	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_DMA, &dma);
	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_NORMAL, &normal);
	/* The second step came when the tables were made, and no frame lost. */
	EXPECT_EQ(kernel.list_first + kernel.list_rest,
		  dma.managed + normal.managed);
	uint64_t managed = dma.managed + normal.managed;
	size_t freed = loam_boot_reclaim(&kernel);
	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_DMA, &dma);
	EXPECT_EQ(dma.managed + normal.managed, managed + freed);
	EXPECT_EQ(loam_boot_check(&kernel), 0);
	use_kmalloc();
	void *large = loam_kmalloc(&kernel.kmalloc, 50000, 0);
	EXPECT((uintptr_t)large >= kernel.layout.kspace.window_base);
	loam_kfree(&kernel.kmalloc, large);
	EXPECT_LOG("single frames only");
	emu_fini();
}

TEST(list_486, "S2.19 the first step has the tables of 4 KiB pages too")
{
	boot_prepare(LOAM_GIB(4), &loam_pt_i386);
	boot_pc_map(LOAM_GIB(4));
	boot_machine.choice.list_frames = true;
	EXPECT_EQ(boot_now(), 0);
	EXPECT(loam_pt_count_tables(&kernel.pt) > 200);
	EXPECT(kernel.list_first > loam_pt_count_tables(&kernel.pt));
	EXPECT_EQ(loam_boot_check(&kernel), 0);
	emu_fini();
}

TEST(list_crowded, "S2.19 loader data in the first 4 MiB: the first step grows")
{
	boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
	boot_pc_map(LOAM_MIB(64));
	boot_machine.choice.list_frames = true;
	kernel.info.reserved[0] = (struct loam_boot_range){
		.base = LOAM_MIB(2),
		.size = LOAM_MIB(5),
		.owner = LOAM_RESERVED_MODULE,
	};
	kernel.info.reserved[1] = (struct loam_boot_range){
		.base = 0x10000,
		.size = 0x80000,
		.owner = LOAM_RESERVED_MODULE,
	};
	kernel.info.reserved[2] = (struct loam_boot_range){
		.base = 0x134000,
		.size = 0xB0000,
		.owner = LOAM_RESERVED_MODULE,
	};
	kernel.info.reserved_count = 3;
	EXPECT_EQ(boot_now(), 0);
	EXPECT(kernel.list_first >= 256);
	EXPECT_EQ(loam_boot_check(&kernel), 0);
	emu_fini();
}

TEST(nth,
     "S1.27 S0.25 a frame that cannot be had: slabs, said, or no boot at all")
{
	static const enum loam_boot_heap heaps[] = { LOAM_BOOT_BESTFIT,
						     LOAM_BOOT_BUDDY_HEAP };
	unsigned without = 0;
	unsigned refused = 0;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(heaps); i++) {
		for (uint64_t nth = 40; nth < 160; nth++) {
			boot_prepare(LOAM_MIB(32), &loam_pt_i386_pse);
			boot_pc_map(LOAM_MIB(32));
			boot_machine.choice.heap = heaps[i];
			boot_fail_frame = nth;
			hosted_log_clear();
			int error = boot_now();
			loam_frame_fail_nth(&kernel.frames, 0);
			refused += error != 0;
			if (error == 0 &&
			    kernel.choice.heap == LOAM_BOOT_SLAB) {
				EXPECT_LOG("too little memory; using slab");
				without++;
			}
			EXPECT(error != 0 || loam_boot_check(&kernel) == 0);
			emu_fini();
		}
	}
	EXPECT(without > 0);
	EXPECT(refused > 0);
}

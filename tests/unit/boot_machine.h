/* SPDX-License-Identifier: MIT */
/* An emulated i386 machine for loam_boot(): layout, segments, a map. */
#ifndef LOAM_TEST_BOOT_MACHINE_H
#define LOAM_TEST_BOOT_MACHINE_H

#include <loam/boot.h>

#include "emu.h"
#include "test.h"

#define BOOT_ENTRIES 512u
#define BOOT_RANGES 1024u

static struct loam_kernel kernel;
static struct loam_boot_machine boot_machine;
static struct loam_boot_layout boot_layout;
static struct loam_memmap_entry boot_entries[BOOT_ENTRIES];
static struct loam_mem_range boot_ranges[BOOT_RANGES];
static struct loam_boot_segment boot_segments[6];
static unsigned boot_steps;
static uint64_t boot_fail_frame; /* which allocation fails after step 5 */
static const char *boot_why;

static inline uintptr_t boot_virt(uint64_t address)
{
	return (uintptr_t)emu_host(address);
}

static void boot_step(void *ctx, unsigned number, const char *text)
{
	(void)ctx;
	(void)text;
	EXPECT_EQ(number, boot_steps + 1);
	boot_steps = number;
	if (number == LOAM_BOOT_BUDDY && boot_fail_frame != 0) {
		loam_frame_fail_nth(&kernel.frames, boot_fail_frame);
	}
}

/* A kernel image of 1 MiB at 1 MiB, in the pieces a real one has. */
static inline void boot_set_segments(void)
{
	static const struct {
		const char *name;
		uint32_t offset;
		uint32_t size;
		loam_prot_t prot;
		enum loam_reservation owner;
	} piece[] = {
		{ "text", 0, 0x8000, LOAM_PROT_READ | LOAM_PROT_EXEC,
		  LOAM_RESERVED_KERNEL_TEXT },
		{ "rodata", 0x8000, 0x2000, LOAM_PROT_READ,
		  LOAM_RESERVED_KERNEL_DATA },
		{ "data", 0xa000, 0x5000, LOAM_PROT_READ | LOAM_PROT_WRITE,
		  LOAM_RESERVED_KERNEL_DATA },
		{ "guard", 0xf000, 0, 0, LOAM_RESERVED_KERNEL_DATA },
		{ "stack", 0x10000, 0x4000, LOAM_PROT_READ | LOAM_PROT_WRITE,
		  LOAM_RESERVED_KERNEL_DATA },
		{ "init", 0x14000, 0x20000,
		  LOAM_PROT_READ | LOAM_PROT_WRITE | LOAM_PROT_EXEC,
		  LOAM_RESERVED_KERNEL_INIT },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(piece); i++) {
		boot_segments[i] = (struct loam_boot_segment){
			.name = piece[i].name,
			.virt = boot_virt(0xC0100000u + piece[i].offset),
			.size = piece[i].size,
			.prot = piece[i].prot,
			.owner = piece[i].owner,
		};
	}
}

/* Empty firmware map; memory_size is that of the memory file. */
static inline void boot_prepare(loam_phys_t memory_size,
				const struct loam_pt_geometry *geometry)
{
	emu_init(memory_size, LOAM_MIB(256), geometry);
	memset(&kernel, 0, sizeof(kernel));
	boot_steps = LOAM_BOOT_HIGHER_HALF;
	boot_fail_frame = 0;
	boot_why = NULL;
	kernel.info.path = "emulated";
	kernel.info.entries = boot_entries;
	kernel.info.entry_capacity = BOOT_ENTRIES;
	boot_layout = (struct loam_boot_layout){
		.direct_base = boot_virt(0xC0000000u),
		.direct_size = LOAM_MIB(256),
		.dma_end = LOAM_MIB(16),
		.reach_end = LOAM_GIB(4),
		.kspace = {
			.window_base = boot_virt(0xE0000000u),
			.window_size = 0x1E800000u,
			.temp_base = boot_virt(0xFF800000u),
			.temp_size = 0x400000u,
			.table_reserve = 8,
		},
		.shadow_base = boot_virt(0xFE800000u),
		.shadow_size = LOAM_MIB(16),
		.heap_base = boot_virt(0xD0000000u),
		.heap_size = LOAM_MIB(256),
		.heap_limit = LOAM_MIB(4),
		.heap_buddy = LOAM_MIB(128),
		.block_base = LOAM_MIB(16),
		.block_size = LOAM_MIB(100),
		.block_table = 0x7E00,
	};
	boot_set_segments();
	boot_machine = (struct loam_boot_machine){
		.layout = &boot_layout,
		.geometry = geometry,
		.tlb = &emu_tlb_ops,
		.bias = emu.bias,
		.segments = boot_segments,
		.segment_count = LOAM_ARRAY_SIZE(boot_segments),
		.early_end = LOAM_MIB(64),
		.switch_root = emu_switch_root,
		.step = boot_step,
	};
}

static inline void boot_entry(uint64_t base, uint64_t length, uint32_t type)
{
	EXPECT(kernel.info.entry_count < BOOT_ENTRIES);
	boot_entries[kernel.info.entry_count++] = (struct loam_memmap_entry){
		.base = base, .length = length, .type = type, .attributes = 1
	};
}

/* The map of a PC with so much memory, the PCI hole below 4 GiB. */
static inline void boot_pc_map(uint64_t bytes)
{
	uint64_t below = bytes < 0xC0000000u ? bytes : 0xC0000000u;
	boot_entry(0, 0x9fc00, LOAM_MEM_USABLE);
	boot_entry(0x9fc00, 0x400, LOAM_MEM_RESERVED);
	boot_entry(0xf0000, 0x10000, LOAM_MEM_RESERVED);
	if (below > 0x120000) {
		boot_entry(0x100000, below - 0x120000, LOAM_MEM_USABLE);
		boot_entry(below - 0x20000, 0x20000, LOAM_MEM_RESERVED);
	}
	boot_entry(0xfffc0000u, 0x40000, LOAM_MEM_RESERVED);
	if (bytes > below) {
		boot_entry(LOAM_GIB(4), bytes - below, LOAM_MEM_USABLE);
	}
}

static inline int boot_now(void)
{
	return loam_boot(&kernel, &boot_machine, boot_ranges, BOOT_RANGES,
			 &boot_why);
}

/* A PC with so many MiB, up. */
static inline void boot_pc(unsigned mib)
{
	boot_prepare((loam_phys_t)mib << 20, &loam_pt_i386_pse);
	boot_pc_map((uint64_t)mib << 20);
	if (boot_now() != 0) {
		fprintf(stderr, "# %u MiB: %s\n", mib, boot_why);
		test_fail(__FILE__, __LINE__, "the machine comes up");
	}
	EXPECT_EQ(boot_steps, LOAM_BOOT_ALLOCATE);
}

#endif

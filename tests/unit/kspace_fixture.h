/* SPDX-License-Identifier: MIT */
/* A machine with an emulated MMU, brought up to the kspace floor. */
#ifndef LOAM_TEST_KSPACE_FIXTURE_H
#define LOAM_TEST_KSPACE_FIXTURE_H

#include <unistd.h>

#include <loam/bits.h>
#include <loam/kspace.h>

#include "emu.h"
#include "test.h"

#define PAGE ((size_t)LOAM_PAGE_SIZE)

/* 48 MiB: 8 for DMA, 16 directly mapped in all, 32 high. */
#define MEMORY_BYTES LOAM_MIB(48)
#define DIRECT_BYTES LOAM_MIB(16)
#define DMA_BYTES LOAM_MIB(8)

#define WINDOW_AT 0xE0000000u
#define WINDOW_BYTES ((size_t)LOAM_MIB(32))
#define TEMP_AT 0xFF800000u
#define TEMP_BYTES ((size_t)LOAM_MIB(4))
#define TABLE_RESERVE 4u

struct kspace_machine {
	struct loam_mem_range ranges[16];
	struct loam_memmap map;
	struct loam_memblock_region regions[32];
	struct loam_memblock memblock;
	struct loam_frames frames;
	struct loam_pt pt;
	struct loam_kspace kspace;
	struct loam_kspace_config config;
};

/* Static, since the frames have the stacks of all CPUs in them. */
static struct kspace_machine machine;

/* -------- tables before the kspace is there -------- */

static loam_phys_t early_alloc_table(void *ctx)
{
	struct loam_frames *frames = ctx;
	loam_pfn_t pfn = loam_frame_alloc(
		frames, 0, LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_TABLE));
	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

static void early_free_table(void *ctx, loam_phys_t table)
{
	loam_frame_free(ctx, loam_phys_to_pfn(table), 0);
}

static void *early_table_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static const struct loam_pt_ops early_ops = {
	.alloc_table = early_alloc_table,
	.free_table = early_free_table,
	.table_virt = early_table_virt,
};

/* Frames, and live page tables with the direct map in them. */
static inline void machine_prepare(const struct loam_pt_geometry *geometry,
				   const struct loam_tlb_ops *tlb)
{
	memset(&machine, 0, sizeof(machine));
	emu_init(MEMORY_BYTES, DIRECT_BYTES, geometry);
	loam_memmap_init(&machine.map, machine.ranges, 16);
	EXPECT_EQ(loam_memmap_add(&machine.map, PAGE, MEMORY_BYTES - PAGE,
				  LOAM_MEM_USABLE),
		  0);
	EXPECT_EQ(loam_memmap_normalise(&machine.map), 0);
	loam_memblock_init(&machine.memblock, machine.regions, 32);
	EXPECT_EQ(loam_memblock_adopt(&machine.memblock, &machine.map), 0);
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock,
				   DMA_BYTES, DIRECT_BYTES, LOAM_GIB(4)),
		  0);
	EXPECT_EQ(loam_pt_init(&machine.pt, geometry, &early_ops, tlb,
			       &machine.frames),
		  0);
	machine.pt.bias = emu.bias;
	machine.pt.live = true;
	EXPECT_EQ(loam_pt_map(&machine.pt, (uintptr_t)emu.window, 0,
			      DIRECT_BYTES, LOAM_PROT_WRITE, true),
		  0);
	emu_switch_root(NULL, machine.pt.root);
	machine.config = (struct loam_kspace_config){
		.window_base = (uintptr_t)emu_host(WINDOW_AT),
		.window_size = WINDOW_BYTES,
		.temp_base = (uintptr_t)emu_host(TEMP_AT),
		.temp_size = TEMP_BYTES,
		.table_reserve = TABLE_RESERVE,
	};
	hosted_cpu = 0;
	hosted_log_clear();
}

static inline void machine_start_as(const struct loam_pt_geometry *geometry,
				    const struct loam_tlb_ops *tlb)
{
	machine_prepare(geometry, tlb);
	EXPECT_EQ(loam_kspace_init(&machine.kspace, &machine.pt,
				   &machine.frames, &machine.config),
		  0);
	EXPECT_EQ(loam_kspace_check(&machine.kspace), 0);
}

static inline void machine_start(void)
{
	machine_start_as(&loam_pt_i386_pse, &emu_tlb_ops);
}

static inline void machine_check(void)
{
	EXPECT_EQ(loam_kspace_check(&machine.kspace), 0);
}

static inline void machine_end(void)
{
	machine_check();
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	emu_fini();
}

static inline struct loam_kspace_stats machine_stats(void)
{
	struct loam_kspace_stats stats;
	loam_kspace_stats(&machine.kspace, &stats);
	return stats;
}

static inline uint64_t free_frames(void)
{
	return loam_frame_free_count(&machine.frames);
}

/* What an operation that fails, or one and its reverse, must not change. */
struct machine_state {
	uint64_t free_frames;
	size_t used;
	size_t ranges_used;
	size_t ranges_free;
	size_t own_pages;
	size_t foreign_pages;
	size_t tables;
};

static inline struct machine_state machine_state(void)
{
	struct loam_kspace_stats stats = machine_stats();
	return (struct machine_state){
		.free_frames = free_frames(),
		.used = stats.window.used,
		.ranges_used = stats.window.ranges_used,
		.ranges_free = stats.window.ranges_free,
		.own_pages = stats.own_pages,
		.foreign_pages = stats.foreign_pages,
		.tables = loam_pt_count_tables(&machine.pt),
	};
}

static inline void expect_state(const struct machine_state *before)
{
	struct machine_state now = machine_state();
	EXPECT_EQ(now.free_frames, before->free_frames);
	EXPECT_EQ(now.used, before->used);
	EXPECT_EQ(now.ranges_used, before->ranges_used);
	EXPECT_EQ(now.ranges_free, before->ranges_free);
	EXPECT_EQ(now.own_pages, before->own_pages);
	EXPECT_EQ(now.foreign_pages, before->foreign_pages);
	EXPECT_EQ(now.tables, before->tables);
	machine_check();
}

/* The physical address behind a kernel address, LOAM_PHYS_NONE for none. */
static inline loam_phys_t phys_of(const void *address)
{
	struct loam_pt_mapping mapping;
	if (loam_pt_query(&machine.pt, (uintptr_t)address, &mapping) != 0) {
		return LOAM_PHYS_NONE;
	}
	return mapping.phys;
}

/* A pattern that differs from word to word and from seed to seed. */
static inline void fill(void *at, size_t size_bytes, uint32_t seed)
{
	uint32_t *words = at;
	for (size_t i = 0; i < size_bytes / sizeof(*words); i++) {
		words[i] = seed * 2654435761u + (uint32_t)i;
	}
}

static inline void expect_filled(const void *at, size_t size_bytes,
				 uint32_t seed)
{
	const uint32_t *words = at;
	for (size_t i = 0; i < size_bytes / sizeof(*words); i++) {
		EXPECT_EQ(words[i], (uint32_t)(seed * 2654435761u + i));
	}
}

static inline void expect_zero(const void *at, size_t size_bytes)
{
	const uint32_t *words = at;
	for (size_t i = 0; i < size_bytes / sizeof(*words); i++) {
		EXPECT_EQ(words[i], 0);
	}
}

/* Not inline: they return twice. */
__attribute__((noinline)) static bool read_faults(const volatile void *at)
{
	return EMU_FAULTS(*(const volatile unsigned char *)at);
}

__attribute__((noinline)) static bool write_faults(volatile void *at)
{
	return EMU_FAULTS(*(volatile unsigned char *)at = 1);
}

/* Memory of the simulated machine, as the hardware sees it. */
static inline void memory_write(loam_phys_t phys, const void *from, size_t n)
{
	EXPECT(pwrite(hosted_memory.fd, from, n, (off_t)phys) == (ssize_t)n);
}

static inline void memory_read(loam_phys_t phys, void *to, size_t n)
{
	EXPECT(pread(hosted_memory.fd, to, n, (off_t)phys) == (ssize_t)n);
}

#endif

/* SPDX-License-Identifier: MIT */
/* A machine for tests of frames: memory, map, memblock, frames. */
#ifndef LOAM_FRAME_MACHINE_H
#define LOAM_FRAME_MACHINE_H

#include <loam/bits.h>
#include <loam/frame.h>

#include "test.h"

#define MACHINE_RANGES 64u

/* A usable range of bytes. */
struct machine_range {
	loam_phys_t base;
	loam_phys_t size;
};

struct machine {
	struct loam_mem_range ranges[MACHINE_RANGES];
	struct loam_memmap map;
	struct loam_memblock_region regions[MACHINE_RANGES];
	struct loam_memblock memblock;
	struct loam_frames frames;
};

/* Static, since an instance has the stacks of all CPUs in it. */
static struct machine machine;

/* Memory, map and memblock; nothing reserved. */
static inline void machine_memory(const struct machine_range *ranges,
				  size_t count, loam_phys_t direct_end)
{
	loam_phys_t top = 0;
	memset(&machine, 0, sizeof(machine));
	loam_memmap_init(&machine.map, machine.ranges, MACHINE_RANGES);
	for (size_t i = 0; i < count; i++) {
		EXPECT_EQ(loam_memmap_add(&machine.map, ranges[i].base,
					  ranges[i].size, LOAM_MEM_USABLE),
			  0);
		if (ranges[i].base + ranges[i].size > top) {
			top = ranges[i].base + ranges[i].size;
		}
	}
	EXPECT_EQ(loam_memmap_normalise(&machine.map), 0);
	hosted_memory_create(loam_round_up(top, LOAM_PAGE_SIZE), direct_end);
	loam_memblock_init(&machine.memblock, machine.regions, MACHINE_RANGES);
	EXPECT_EQ(loam_memblock_adopt(&machine.memblock, &machine.map), 0);
}

static inline void machine_start(const struct machine_range *ranges,
				 size_t count, loam_phys_t dma_end,
				 loam_phys_t direct_end)
{
	machine_memory(ranges, count, direct_end);
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, dma_end,
				   direct_end, LOAM_PHYS_NONE),
		  0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

/* One range from 0 of so many MiB, 16 MiB of DMA, all directly mapped. */
static inline void machine_start_mib(unsigned mib)
{
	struct machine_range range = { 0, (loam_phys_t)mib << 20 };
	machine_start(&range, 1, LOAM_MIB(16),
		      loam_round_up(range.size, LOAM_MIB(4)) < LOAM_MIB(16)
			      ? LOAM_MIB(16)
			      : loam_round_up(range.size, LOAM_MIB(4)));
}

static inline struct loam_zone_stats machine_zone(enum loam_zone_id id)
{
	struct loam_zone_stats stats;
	loam_frame_zone_stats(&machine.frames, id, &stats);
	return stats;
}

/* Everything that was allocated is free again, on no CPU, and all adds up. */
static inline void machine_expect_free(uint64_t frames)
{
	loam_frame_drain(&machine.frames);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), frames);
}

#endif

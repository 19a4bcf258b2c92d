/* SPDX-License-Identifier: MIT */
/* A machine with one run of memory, brought up to the floor a test needs. */
#ifndef LOAM_TEST_FIXTURE_H
#define LOAM_TEST_FIXTURE_H

#include <loam/bits.h>
#include <loam/frame.h>

#include "test.h"

struct fixture {
	struct loam_mem_range ranges[16];
	struct loam_memblock_region regions[32];
	struct loam_memmap map;
	struct loam_memblock memblock;
	struct loam_frames frames;
};

/* Memory [0, size), all of it directly mapped, up to the frame floor. */
static inline void fixture_frames(struct fixture *fixture, loam_phys_t size)
{
	loam_phys_t direct_end = loam_round_up(size, LOAM_MIB(4));
	direct_end = direct_end < LOAM_MIB(16) ? LOAM_MIB(16) : direct_end;
	hosted_memory_create(size, size);
	memset(fixture, 0, sizeof(*fixture));
	loam_memmap_init(&fixture->map, fixture->ranges, 16);
	EXPECT_EQ(loam_memmap_add(&fixture->map, 0, size, LOAM_MEM_USABLE), 0);
	EXPECT_EQ(loam_memmap_normalise(&fixture->map), 0);
	loam_memblock_init(&fixture->memblock, fixture->regions, 32);
	EXPECT_EQ(loam_memblock_adopt(&fixture->memblock, &fixture->map), 0);
	EXPECT_EQ(loam_memblock_reserve(&fixture->memblock, 0, LOAM_PAGE_SIZE,
					LOAM_RESERVED_FRAME_ZERO),
		  0);
	EXPECT_EQ(loam_frame_adopt(&fixture->frames, &fixture->memblock,
				   LOAM_MIB(16), direct_end, LOAM_GIB(4)),
		  0);
}

#endif

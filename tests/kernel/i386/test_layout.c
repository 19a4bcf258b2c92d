/* SPDX-License-Identifier: MIT */
/* The addresses that seed 004 gives, in numbers. */

#include "layout.h"
#include "ktest.h"

KTEST(layout_i386, "S4.2 S4.3 the addresses are those of the seeds")
{
	LOAM_STATIC_ASSERT(KERNEL_BASE == (KERNEL_IDENTITY ? 0 : 0xC0000000u),
			   "as seeds 003 and 004 say");
	EXPECT_EQ((uintptr_t)image_start,
		  KERNEL_IDENTITY ? 0x100000u : 0xC0100000u);
}

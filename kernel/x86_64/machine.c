/* SPDX-License-Identifier: MIT */
/* Where the x86-64 kernel has what in its address space, for bring-up. */

#include "../heaps.h"
#include "../machine.h"
#include "layout.h"
#include "machine_stack.h"

/* Tables of level 2 and above, so all root entries, are made at the start. */
struct loam_boot_layout machine_layout = {
	.direct_base = KERNEL_BASE,
	.image_base = KERNEL_IMAGE_BASE,
	.direct_size = KERNEL_DIRECT_SIZE,
	.dma_end = LOAM_MIB(16),
	.kspace = {
		.window_base = KERNEL_WINDOW_BASE,
		.window_size = KERNEL_WINDOW_SIZE,
		.temp_base = KERNEL_TEMP_BASE,
		.temp_size = KERNEL_TEMP_SIZE,
		.table_reserve = 8,
		.table_level = 2,
	},
	.shadow_base = KERNEL_SHADOW_BASE,
	.shadow_size = KERNEL_SHADOW_SIZE,
	.heap_base = KERNEL_HEAP_BASE,
	.heap_size = KERNEL_HEAP_SIZE,
	.heap_limit = HEAPS_LIMIT,
	.heap_buddy = KERNEL_HEAP_BUDDY,
	.block_base = HEAPS_BLOCK_ADDRESS,
	.block_size = HEAPS_BLOCK_BYTES,
	.block_table = HEAPS_BLOCK_TABLE,
	.user = {
		{ KERNEL_USER_STACK_BASE, KERNEL_USER_STACK_SIZE },
		{ KERNEL_USER_PROGRAM_BASE, KERNEL_USER_PROGRAM_SIZE },
		{ KERNEL_USER_SPACE_BASE, KERNEL_USER_SPACE_SIZE },
	},
};

LOAM_STATIC_ASSERT(KERNEL_SHADOW_SIZE ==
			   KERNEL_DIRECT_SIZE >> LOAM_SHADOW_SHIFT,
		   "the shadow covers the direct map");
LOAM_STATIC_ASSERT((intptr_t)KERNEL_BASE >> LOAM_SHADOW_SHIFT ==
			   (intptr_t)KERNEL_SHADOW_BASE,
		   "LOAM_SLAB_SHADOW_AT() is a shift");

const struct machine_stack machine_stacks[] = {
	{ "boot stack", boot_stack_guard, boot_stack_bottom, boot_stack_top },
	{ "stack of double faults", fault_stack_guard, fault_stack_bottom,
	  fault_stack_top },
	{ "stack of NMIs", nmi_stack_guard, nmi_stack_bottom, nmi_stack_top },
	{ "stack of debug exceptions", debug_stack_guard, debug_stack_bottom,
	  debug_stack_top },
};
const unsigned machine_stack_count = LOAM_ARRAY_SIZE(machine_stacks);

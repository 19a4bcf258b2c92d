/* SPDX-License-Identifier: MIT */
/* LAYOUT=higher: the kernel in the top quarter, everything below the user's. */
#ifndef KERNEL_I386_LAYOUT_HIGHER_H
#define KERNEL_I386_LAYOUT_HIGHER_H

/*
 *	0x00000000  user space                                       3 GiB
 *	0xC0000000  direct map: physical 0 and up, the kernel in it  256 MiB
 *	0xD0000000  windows of the classic heaps                     256 MiB
 *	0xE0000000  vmalloc, vmap, device maps                       488 MiB
 *	0xFE800000  the slabs' shadow of the direct map              16 MiB
 *	0xFF800000  temporary maps                                   8 MiB
 */
#define KERNEL_IDENTITY 0
#define KERNEL_BASE 0xC0000000u
#define KERNEL_DIRECT_SIZE 0x10000000u
#define KERNEL_MAP_END 0ull /* of the direct map, only memory is mapped */
#define KERNEL_HEAP_BASE 0xD0000000u
#define KERNEL_HEAP_SIZE 0x10000000u
#define KERNEL_HEAP_BUDDY 0x08000000u /* the buddy heap's window within it */
#define KERNEL_WINDOW_BASE 0xE0000000u
#define KERNEL_WINDOW_SIZE 0x1E800000u
#define KERNEL_SHADOW_BASE 0xFE800000u
#define KERNEL_SHADOW_SIZE 0x01000000u
#define KERNEL_TEMP_BASE 0xFF800000u
/* The last page stays out, so that no range ends at 2^32. */
#define KERNEL_TEMP_SIZE 0x007FF000u

/* No memory of the kernel's is in the way of a program. */
#define KERNEL_USER_PROGRAM_SIZE 0x0FC00000u

#endif

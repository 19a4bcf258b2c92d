/* SPDX-License-Identifier: MIT */
/* Where everything lies in the i386 kernel's address space. */
#ifndef KERNEL_I386_LAYOUT_H
#define KERNEL_I386_LAYOUT_H

#include <stdint.h>

/*
 *	0x00000000  user space                                       3 GiB
 *	0xC0000000  direct map: physical 0 and up, the kernel in it  256 MiB
 *	0xD0000000  windows of the classic heaps                     256 MiB
 *	0xE0000000  vmalloc, vmap, device maps                       488 MiB
 *	0xFE800000  the slabs' shadow of the direct map              16 MiB
 *	0xFF800000  temporary maps                                   8 MiB
 */
#define KERNEL_BASE 0xC0000000u
#define KERNEL_LOAD 0x00100000u
#define KERNEL_DIRECT_SIZE 0x10000000u
#define KERNEL_HEAP_BASE 0xD0000000u
#define KERNEL_HEAP_SIZE 0x10000000u
#define KERNEL_WINDOW_BASE 0xE0000000u
#define KERNEL_WINDOW_SIZE 0x1E800000u
#define KERNEL_SHADOW_BASE 0xFE800000u
#define KERNEL_SHADOW_SIZE 0x01000000u
#define KERNEL_TEMP_BASE 0xFF800000u
/* The last page stays out, so that no range ends at 2^32. */
#define KERNEL_TEMP_SIZE 0x007FF000u

/* Seed 004's macros: the kernel image and the direct map, nothing else. */
#define VIRT_TO_PHYS(addr) ((addr)-KERNEL_BASE)
#define PHYS_TO_VIRT(addr) ((addr) + KERNEL_BASE)

#define KERNEL_STACK_BYTES 16384u

/* From kernel.ld: starts and ends of the sections, page aligned. */
extern char image_start[]; /* also the start of what only boot needs */
extern char init_end[];
extern char text_start[];
extern char text_end[];
extern char rodata_start[];
extern char rodata_end[];
extern char data_start[];
extern char data_end[]; /* bss included, the boot stack not */
extern char init_bss_start[];
extern char init_bss_end[];
extern char image_end[];

/* From entry.asm. */
extern char boot_stack_guard[]; /* a page that will be unmapped */
extern char boot_stack_bottom[];
extern char boot_stack_top[];
extern uint32_t boot_early_end; /* physical memory mapped by the first map */

#define KERNEL_INIT_TEXT __attribute__((section(".init.text"), noinline))
#define KERNEL_INIT_BSS __attribute__((section(".init.bss")))

#endif

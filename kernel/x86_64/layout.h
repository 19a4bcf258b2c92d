/* SPDX-License-Identifier: MIT */
/* Where everything lies in the x86-64 kernel's address space. */
#ifndef KERNEL_X86_64_LAYOUT_H
#define KERNEL_X86_64_LAYOUT_H

#include <stdint.h>

/*
 *	0x0000000000000000  user space                              128 TiB
 *	0xffff800000000000  direct map: physical 0 and up           16 TiB
 *	0xffffa00000000000  windows of the classic heaps            256 MiB
 *	0xffffb00000000000  vmalloc, vmap, device maps              16 TiB
 *	0xffffd00000000000  temporary maps                          2 MiB
 *	0xfffff80000000000  the slabs' shadow of the direct map     1 TiB
 *	0xffffffff80000000  the image: physical 0 and up, once more 2 GiB
 *
 * The same with five levels: then it is the top of a larger space. What lies in
 * the direct map has its shadow at its address / 16, as a negative number.
 */
#define KERNEL_BASE 0xffff800000000000u
#define KERNEL_LOAD 0x00100000u
#define KERNEL_DIRECT_SIZE 0x0000100000000000u
#define KERNEL_HEAP_BASE 0xffffa00000000000u
#define KERNEL_HEAP_SIZE 0x10000000u
#define KERNEL_HEAP_BUDDY 0x08000000u /* the buddy heap's window within it */
#define KERNEL_WINDOW_BASE 0xffffb00000000000u
#define KERNEL_WINDOW_SIZE 0x0000100000000000u
#define KERNEL_SHADOW_BASE 0xfffff80000000000u
#define KERNEL_SHADOW_SIZE 0x0000010000000000u
#define KERNEL_TEMP_BASE 0xffffd00000000000u
#define KERNEL_TEMP_SIZE 0x00200000u

/* The image is linked here, where 32 bits, sign-extended, reach it. */
#define KERNEL_IMAGE_BASE 0xffffffff80000000u
/* Addresses below the one and from the other on can be translated. */
#define KERNEL_USER_END 0x0000800000000000u
#define KERNEL_SPACE_BASE KERNEL_BASE

/* The user's ranges, where the i386 has them, and far more for maps. */
#define KERNEL_USER_STACK_BASE 0x003FB000u
#define KERNEL_USER_STACK_SIZE 0x00004000u
#define KERNEL_USER_PROGRAM_BASE 0x00400000u
#define KERNEL_USER_PROGRAM_SIZE 0x0FC00000u
#define KERNEL_USER_SPACE_BASE 0x10000000u
/* Not the last page: behind an instruction in it there is no address. */
#define KERNEL_USER_SPACE_SIZE                                                 \
	(KERNEL_USER_END - 0x1000u - KERNEL_USER_SPACE_BASE)

/* Seed 004's macros. Memory has one address, the image a second one. */
#define VIRT_TO_PHYS(addr)                                                     \
	((uintptr_t)(addr) - ((uintptr_t)(addr) >= KERNEL_IMAGE_BASE           \
				      ? KERNEL_IMAGE_BASE                      \
				      : KERNEL_BASE))
#define PHYS_TO_VIRT(addr) ((addr) + KERNEL_BASE)

#define KERNEL_ARCH_NAME "x86-64"
#define KERNEL_ELF_MACHINE ELF_X86_64 /* of its programs */
#define KERNEL_STACK_BYTES 16384u

/* From kernel.ld: starts and ends of the sections, page aligned. */
extern char image_start[]; /* also the start of what only boot needs */
extern char init_end[];
extern char text_start[];
extern char text_end[];
extern char rodata_start[];
extern char rodata_end[];
extern char data_start[];
extern char data_end[]; /* bss included, the stacks not */
extern char init_bss_start[];
extern char init_bss_end[];
extern char image_end[];

/* From entry.asm: stacks, each above a page that will be unmapped. */
extern char boot_stack_guard[];
extern char boot_stack_bottom[];
extern char boot_stack_top[];
extern char fault_stack_guard[]; /* of double faults */
extern char fault_stack_bottom[];
extern char fault_stack_top[];
extern char nmi_stack_guard[]; /* of non-maskable interrupts */
extern char nmi_stack_bottom[];
extern char nmi_stack_top[];
extern char debug_stack_guard[]; /* of debug exceptions */
extern char debug_stack_bottom[];
extern char debug_stack_top[];
extern uint64_t boot_early_end; /* physical memory mapped by the first map */

#define KERNEL_INIT_TEXT __attribute__((section(".init.text"), noinline))
#define KERNEL_INIT_BSS __attribute__((section(".init.bss")))

#endif

/* SPDX-License-Identifier: MIT */
/* Where everything lies in the i386 kernel's address space. */
#ifndef KERNEL_I386_LAYOUT_H
#define KERNEL_I386_LAYOUT_H

#include <stdint.h>

/* layout_higher.h or layout_identity.h: LAYOUT of the Makefile. */
#include KERNEL_LAYOUT_FILE

#define KERNEL_LOAD 0x00100000u
/* The image lies in the direct map. */
#define KERNEL_IMAGE_BASE KERNEL_BASE
/* Addresses below the one and from the other on can be translated. */
#define KERNEL_USER_END 0xC0000000u
#define KERNEL_SPACE_BASE 0xC0000000u

/* Seed 003's places of a process, and where its brk and maps go. */
#define KERNEL_USER_STACK_BASE 0x003FB000u
#define KERNEL_USER_STACK_SIZE 0x00004000u
#define KERNEL_USER_PROGRAM_BASE 0x00400000u
#define KERNEL_USER_SPACE_BASE 0x10000000u
#define KERNEL_USER_SPACE_SIZE 0xB0000000u

/* Seed 004's macros: the kernel image and the direct map, nothing else. */
#define VIRT_TO_PHYS(addr) ((addr)-KERNEL_BASE)
#define PHYS_TO_VIRT(addr) ((addr) + KERNEL_BASE)

#define KERNEL_ARCH_NAME "i386"
#define KERNEL_ELF_MACHINE ELF_386 /* of its programs */
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
extern char boot_directory[];   /* its root */
extern char boot_tables[]; /* with PAE, the first of them is its directory */

#define KERNEL_INIT_TEXT __attribute__((section(".init.text"), noinline))
#define KERNEL_INIT_BSS __attribute__((section(".init.bss")))

#endif

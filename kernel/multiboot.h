/* SPDX-License-Identifier: MIT */
/* What a Multiboot 1 loader leaves for the kernel (specification 0.6.96). */
#ifndef KERNEL_MULTIBOOT_H
#define KERNEL_MULTIBOOT_H

#include <loam/assert.h>

/* In EAX when the kernel is entered; EBX: the address of the structure. */
#define MULTIBOOT_MAGIC 0x2BADB002u

#define MULTIBOOT_HAS_MEMORY 0x001u
#define MULTIBOOT_HAS_CMDLINE 0x004u
#define MULTIBOOT_HAS_MODULES 0x008u
#define MULTIBOOT_HAS_MAP 0x040u
#define MULTIBOOT_HAS_LOADER 0x200u

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower; /* KiB from 0 */
	uint32_t mem_upper; /* KiB from 1 MiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count;
	uint32_t mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length;
	uint32_t mmap_addr;
	uint32_t drives_length;
	uint32_t drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
};
LOAM_STATIC_ASSERT(offsetof(struct multiboot_info, mmap_length) == 44,
		   "as the specification says");

struct multiboot_module {
	uint32_t start;
	uint32_t end; /* exclusive */
	uint32_t string;
	uint32_t reserved;
};

/* An entry of the map: its own size, which does not count, then 20 bytes. */
#define MULTIBOOT_MAP_HEADER 4u
#define MULTIBOOT_MAP_LEAST 20u

#endif

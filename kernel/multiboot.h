/* SPDX-License-Identifier: MIT */
/* What Multiboot loaders leave: of version 1 (0.6.96), and of version 2. */
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

/* -------- Multiboot 2 (specification 2.0) -------- */

#define MULTIBOOT2_MAGIC 0x36D76289u

/* Sizes: of all before the first tag, and of a tag's type and size. */
#define MULTIBOOT2_HEADER 8u
#define MULTIBOOT2_TAG 8u

enum multiboot2_tag {
	MULTIBOOT2_END = 0,
	MULTIBOOT2_CMDLINE = 1, /* a string */
	MULTIBOOT2_LOADER = 2,  /* a string */
	MULTIBOOT2_MODULE = 3,  /* start, end, a string */
	MULTIBOOT2_SIZES = 4,   /* KiB from 0, KiB from 1 MiB */
	MULTIBOOT2_MAP = 6,     /* size of an entry, version, entries */
	MULTIBOOT2_ACPI_OLD = 14,
	MULTIBOOT2_ACPI_NEW = 15,
	MULTIBOOT2_EFI_MAP = 17 /* size of a descriptor, version, descriptors */
};

#define MULTIBOOT2_MODULE_STRING 16u
#define MULTIBOOT2_MAP_ENTRIES 16u
#define MULTIBOOT2_EFI_LEAST 40u

#endif

/* SPDX-License-Identifier: MIT */
/* Reads what a Multiboot 1 loader left: map, command line, modules. */

/*
 * The map is walked by each entry's own size, as the specification wants, and
 * an entry that does not fit into what is left ends the walk: the ones before
 * it are used. Without a map the two sizes of old (below 640 KiB, and from
 * 1 MiB up) serve; without these either there is nothing to go on.
 */

#include <loam/mem.h>

#include "bootinfo.h"
#include "multiboot.h"

static void multiboot_read_map(struct loam_boot_info *info,
			       const unsigned char *map, uint32_t bytes)
{
	uint32_t offset = 0;
	uint32_t lost = 0;

	for (unsigned n = 0; offset < bytes; n++) {
		struct loam_memmap_entry entry = { .attributes = 1 };
		uint32_t left = bytes - offset;
		uint32_t size = 0;
		if (left >= MULTIBOOT_MAP_HEADER) {
			memcpy(&size, map + offset, sizeof(size));
		}
		if (size < MULTIBOOT_MAP_LEAST || left < MULTIBOOT_MAP_HEADER ||
		    size > left - MULTIBOOT_MAP_HEADER) {
			loam_log(LOAM_LOG_WARNING,
				 "Multiboot map: entry %u at offset %u claims "
				 "%u bytes of %u left; the %u before it are "
				 "used",
				 n, (unsigned)offset, (unsigned)size,
				 (unsigned)left, n);
			break;
		}
		memcpy(&entry, map + offset + MULTIBOOT_MAP_HEADER,
		       MULTIBOOT_MAP_LEAST);
		bootinfo_add_entry(info, &entry, &lost);
		offset += MULTIBOOT_MAP_HEADER + size;
	}
	bootinfo_report_lost(info, lost);
}

static void multiboot_read_sizes(struct loam_boot_info *info,
				 const struct multiboot_info *from)
{
	const struct loam_memmap_entry entries[2] = {
		{ 0, (uint64_t)from->mem_lower << 10, LOAM_MEM_USABLE, 1 },
		{ LOAM_MIB(1), (uint64_t)from->mem_upper << 10, LOAM_MEM_USABLE,
		  1 },
	};
	uint32_t lost = 0;

	bootinfo_add_entry(info, &entries[0], &lost);
	bootinfo_add_entry(info, &entries[1], &lost);
	bootinfo_report_lost(info, lost);
}

static void multiboot_read_modules(struct loam_boot_info *info,
				   const struct multiboot_info *from)
{
	for (uint32_t i = 0; i < from->mods_count; i++) {
		uint32_t offset;
		uint32_t phys;
		struct multiboot_module module;
		const void *at = NULL;
		if (!__builtin_mul_overflow(i, (uint32_t)sizeof(module),
					    &offset) &&
		    !__builtin_add_overflow(from->mods_addr, offset, &phys)) {
			at = bootinfo_at(phys, sizeof(module));
		}
		if (at == NULL) {
			loam_log(LOAM_LOG_WARNING,
				 "module %u of %u: its entry is out of reach; "
				 "the ones before it are used",
				 (unsigned)i, (unsigned)from->mods_count);
			return;
		}
		/* A loader need not align its table. */
		memcpy(&module, at, sizeof(module));
		bootinfo_add_module(info, (unsigned)i, module.start, module.end,
				    module.string);
	}
}

int bootinfo_read_multiboot(struct loam_boot_info *info, uint32_t phys,
			    const char **why)
{
	struct multiboot_info from;
	const void *at = bootinfo_at(phys, sizeof(from));

	if (at == NULL) {
		*why = "the Multiboot information is out of the kernel's reach";
		return -LOAM_EFAULT;
	}
	memcpy(&from, at, sizeof(from));
	info->path = "multiboot";
	if ((from.flags & MULTIBOOT_HAS_CMDLINE) != 0) {
		bootinfo_copy_string(info->cmdline, sizeof(info->cmdline),
				     from.cmdline);
	}
	if ((from.flags & MULTIBOOT_HAS_LOADER) != 0) {
		bootinfo_copy_string(info->loader, sizeof(info->loader),
				     from.boot_loader_name);
	}
	if ((from.flags & MULTIBOOT_HAS_MODULES) != 0) {
		multiboot_read_modules(info, &from);
	}
	if ((from.flags & MULTIBOOT_HAS_MAP) != 0) {
		const void *map = bootinfo_at(from.mmap_addr, from.mmap_length);
		if (map != NULL) {
			multiboot_read_map(info, map, from.mmap_length);
			info->source = "Multiboot map";
		} else {
			loam_log(LOAM_LOG_WARNING,
				 "the Multiboot map of %u bytes at 0x%x is "
				 "empty or out of reach",
				 (unsigned)from.mmap_length,
				 (unsigned)from.mmap_addr);
		}
	}
	if (info->entry_count == 0 &&
	    (from.flags & MULTIBOOT_HAS_MEMORY) != 0) {
		multiboot_read_sizes(info, &from);
		info->source = "Multiboot mem_upper";
	}
	if (info->entry_count == 0) {
		*why = "the Multiboot loader gave no memory map";
		return -LOAM_ENOENT;
	}
	return 0;
}

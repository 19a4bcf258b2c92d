/* SPDX-License-Identifier: MIT */
/* Reads what a Multiboot 2 loader left: tags, one after the other. */

/*
 * The information is a list of tags, each with its type and size, at multiples
 * of 8. A tag that does not fit into what is left ends the walk: the ones
 * before it are used. The memory map is UEFI's own where the loader passes it
 * on, else the one that looks like E820, else the two sizes of old.
 */

#include <loam/mem.h>

#include "bootinfo.h"
#include "multiboot.h"

/* Where the tags are that tell of memory; 0: there is none. */
struct multiboot2_maps {
	uint32_t efi;
	uint32_t map;
	uint32_t sizes;
};

static uint32_t multiboot2_word(uint32_t phys)
{
	uint32_t word = 0;
	const void *at = bootinfo_at(phys, sizeof(word));

	if (at != NULL) {
		memcpy(&word, at, sizeof(word));
	}
	return word;
}

/* The string at the end of a tag, cut to the tag. */
static void multiboot2_string(char *to, size_t size_bytes, uint32_t phys,
			      uint32_t end)
{
	size_t room = end > phys ? end - phys : 0;

	if (room == 0) {
		to[0] = '\0';
		return;
	}
	bootinfo_copy_string(to, room < size_bytes ? room : size_bytes, phys);
}

/* One tag of `size` bytes, all within reach. */
static void multiboot2_read_tag(struct loam_boot_info *info,
				struct multiboot2_maps *maps, uint32_t tag,
				uint32_t type, uint32_t size, unsigned *modules)
{
	switch (type) {
	case MULTIBOOT2_CMDLINE:
		multiboot2_string(info->cmdline, sizeof(info->cmdline), tag + 8,
				  tag + size);
		break;
	case MULTIBOOT2_LOADER:
		multiboot2_string(info->loader, sizeof(info->loader), tag + 8,
				  tag + size);
		break;
	case MULTIBOOT2_MODULE:
		if (size >= MULTIBOOT2_MODULE_STRING) {
			bootinfo_add_module(info, (*modules)++,
					    multiboot2_word(tag + 8),
					    multiboot2_word(tag + 12),
					    tag + MULTIBOOT2_MODULE_STRING);
		}
		break;
	case MULTIBOOT2_SIZES:
		maps->sizes = size >= 16 ? tag : maps->sizes;
		break;
	case MULTIBOOT2_MAP:
		maps->map = size >= MULTIBOOT2_MAP_ENTRIES ? tag : maps->map;
		break;
	case MULTIBOOT2_ACPI_OLD:
	case MULTIBOOT2_ACPI_NEW:
		/* A copy of the pointer itself; the newer one comes last. */
		info->acpi_root = tag + 8;
		break;
	case MULTIBOOT2_EFI_MAP:
		maps->efi = size >= MULTIBOOT2_MAP_ENTRIES ? tag : maps->efi;
		break;
	default:
		break;
	}
}

static void multiboot2_walk(struct loam_boot_info *info,
			    struct multiboot2_maps *maps, uint32_t phys,
			    uint32_t total)
{
	uint32_t offset = MULTIBOOT2_HEADER;
	unsigned modules = 0;

	while (total - offset >= MULTIBOOT2_TAG) {
		uint32_t tag = phys + offset;
		uint32_t type = multiboot2_word(tag);
		uint32_t size = multiboot2_word(tag + 4);
		if (type == MULTIBOOT2_END) {
			return;
		}
		if (size < MULTIBOOT2_TAG || size > total - offset) {
			loam_log(LOAM_LOG_WARNING,
				 "Multiboot 2: the tag of type %u at offset %u "
				 "claims %u bytes of %u left; the ones before "
				 "it are used",
				 (unsigned)type, (unsigned)offset,
				 (unsigned)size, (unsigned)(total - offset));
			return;
		}
		multiboot2_read_tag(info, maps, tag, type, size, &modules);
		uint32_t step = size > UINT32_MAX - 7 ? size : (size + 7) & ~7u;
		if (step > total - offset) {
			return;
		}
		offset += step;
	}
}

/* The entries of a map's tag, of either kind; false: they have no size. */
static bool multiboot2_read_map(struct loam_boot_info *info, uint32_t tag,
				bool efi)
{
	uint32_t size = multiboot2_word(tag + 4);
	uint32_t step = multiboot2_word(tag + 8);
	uint32_t least = efi ? MULTIBOOT2_EFI_LEAST : MULTIBOOT_MAP_LEAST;
	uint32_t lost = 0;

	if (step < least) {
		loam_log(LOAM_LOG_WARNING,
			 "Multiboot 2: a memory map with entries of %u bytes, "
			 "%u are the least: left out",
			 (unsigned)step, (unsigned)least);
		return false;
	}
	for (uint32_t at = MULTIBOOT2_MAP_ENTRIES;
	     size >= at && size - at >= step; at += step) {
		struct loam_memmap_entry entry = { .attributes = 1 };
		const void *from = bootinfo_at(tag + at, step);
		if (from == NULL) {
			break;
		}
		if (efi) {
			(void)loam_memmap_efi_entry(from, step, &entry);
		} else {
			memcpy(&entry, from, MULTIBOOT_MAP_LEAST);
		}
		bootinfo_add_entry(info, &entry, &lost);
	}
	bootinfo_report_lost(info, lost);
	return info->entry_count > 0;
}

static void multiboot2_read_sizes(struct loam_boot_info *info, uint32_t tag)
{
	uint64_t lower = multiboot2_word(tag + 8);
	uint64_t upper = multiboot2_word(tag + 12);
	const struct loam_memmap_entry entries[2] = {
		{ 0, lower << 10, LOAM_MEM_USABLE, 1 },
		{ LOAM_MIB(1), upper << 10, LOAM_MEM_USABLE, 1 },
	};
	uint32_t lost = 0;

	bootinfo_add_entry(info, &entries[0], &lost);
	bootinfo_add_entry(info, &entries[1], &lost);
	bootinfo_report_lost(info, lost);
}

int bootinfo_read_multiboot2(struct loam_boot_info *info, uint32_t phys,
			     const char **why)
{
	struct multiboot2_maps maps = { 0 };
	uint32_t total = multiboot2_word(phys);

	if (total < MULTIBOOT2_HEADER || bootinfo_at(phys, total) == NULL) {
		*why = "the Multiboot 2 information is out of the kernel's "
		       "reach";
		return -LOAM_EFAULT;
	}
	info->path = "multiboot2";
	multiboot2_walk(info, &maps, phys, total);
	if (maps.efi != 0 && multiboot2_read_map(info, maps.efi, true)) {
		info->source = "UEFI map";
	} else if (maps.map != 0 &&
		   multiboot2_read_map(info, maps.map, false)) {
		info->source = "Multiboot 2 map";
	} else if (maps.sizes != 0) {
		multiboot2_read_sizes(info, maps.sizes);
		info->source = "Multiboot 2 mem_upper";
	} else {
		*why = "the Multiboot 2 loader gave no memory map";
		return -LOAM_ENOENT;
	}
	return 0;
}

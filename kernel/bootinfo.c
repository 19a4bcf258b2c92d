/* SPDX-License-Identifier: MIT */
/* What all boot paths need to copy their information. */

#include <loam/mem.h>

#include "bootinfo.h"
#include "x86/bios_info.h"
#include "multiboot.h"

const void *bootinfo_at(uint32_t phys, uint32_t size_bytes)
{
	uint32_t last;

	if (phys == 0 || size_bytes == 0 ||
	    __builtin_add_overflow(phys, size_bytes - 1, &last) ||
	    loam_host_phys_to_virt(last) == NULL) {
		return NULL;
	}
	return loam_host_phys_to_virt(phys);
}

void bootinfo_copy_string(char *to, size_t size_bytes, uint32_t phys)
{
	size_t length = 0;

	while (length + 1 < size_bytes) {
		const char *c = bootinfo_at(phys, 1);
		if (c == NULL || *c == '\0') {
			break;
		}
		to[length++] = *c;
		phys++;
	}
	to[length] = '\0';
}

void bootinfo_add_entry(struct loam_boot_info *info,
			const struct loam_memmap_entry *entry, uint32_t *lost)
{
	if (info->entry_count < info->entry_capacity) {
		info->entries[info->entry_count++] = *entry;
		return;
	}
	(*lost)++;
	if (entry->type == LOAM_MEM_USABLE) {
		return;
	}
	for (uint32_t i = info->entry_count; i > 0; i--) {
		if (info->entries[i - 1].type == LOAM_MEM_USABLE) {
			info->entries[i - 1] = *entry;
			return;
		}
	}
	/* Nothing usable is left, so there is nothing more to forbid. */
}

void bootinfo_report_lost(const struct loam_boot_info *info, uint32_t lost)
{
	if (lost > 0) {
		loam_log(LOAM_LOG_WARNING,
			 "the firmware's map has more than %u entries: %u "
			 "were dropped, and their memory is not used",
			 (unsigned)info->entry_capacity, (unsigned)lost);
	}
}

void bootinfo_add_module(struct loam_boot_info *info, unsigned number,
			 uint32_t start, uint32_t end, uint32_t string)
{
	struct loam_boot_range *range;

	if (end <= start) {
		loam_log(LOAM_LOG_WARNING,
			 "module %u is empty (0x%x to 0x%x): left out", number,
			 (unsigned)start, (unsigned)end);
		return;
	}
	if (info->reserved_count == LOAM_BOOT_MAX_RESERVED) {
		loam_log(LOAM_LOG_WARNING,
			 "module %u is one too many (%u fit): left out", number,
			 LOAM_BOOT_MAX_RESERVED);
		return;
	}
	range = &info->reserved[info->reserved_count++];
	range->base = start;
	range->size = end - start;
	range->owner = LOAM_RESERVED_MODULE;
	bootinfo_copy_string(range->name, sizeof(range->name), string);
}

int bootinfo_read(struct loam_boot_info *info, uint32_t magic, uint32_t phys,
		  const char **why)
{
	info->entry_count = 0;
	info->reserved_count = 0;
	info->loader[0] = '\0';
	info->cmdline[0] = '\0';
	if (magic == MULTIBOOT_MAGIC) {
		return bootinfo_read_multiboot(info, phys, why);
	}
	if (magic == MULTIBOOT2_MAGIC) {
		return bootinfo_read_multiboot2(info, phys, why);
	}
	if (magic == BIOS_INFO_MAGIC) {
		return bootinfo_read_bios(info, phys, why);
	}
	loam_log(LOAM_LOG_ERROR,
		 "entered with 0x%08x in EAX; Multiboot has 0x%08x or 0x%08x, "
		 "the boot disk 0x%08x",
		 (unsigned)magic, MULTIBOOT_MAGIC, MULTIBOOT2_MAGIC,
		 BIOS_INFO_MAGIC);
	*why = "the boot loader speaks neither Multiboot nor our own protocol";
	return -LOAM_EINVAL;
}

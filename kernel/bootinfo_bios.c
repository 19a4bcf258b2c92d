/* SPDX-License-Identifier: MIT */
/* Reads what the second stage of our own boot disk left. */

#include <loam/mem.h>

#include "bootinfo.h"
#include "x86/bios_info.h"

#define E820_REPLY_BYTES 24u
#define E820_REPLY_LEAST 20u /* without the attributes of ACPI 3.0 */
#define E801_HOLE_END LOAM_MIB(16)

static void bios_read_e820(struct loam_boot_info *info,
			   const struct bios_info *from)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < from->entry_count; i++) {
		struct loam_memmap_entry entry;
		const void *reply = bootinfo_at(
			from->entries + i * E820_REPLY_BYTES, E820_REPLY_BYTES);
		const uint8_t *bytes = bootinfo_at(from->reply_bytes + i, 1);
		if (reply == NULL || bytes == NULL) {
			loam_log(LOAM_LOG_WARNING,
				 "E820 reply %u is out of reach; the ones "
				 "before it are used",
				 (unsigned)i);
			break;
		}
		if (*bytes < E820_REPLY_LEAST) {
			loam_log(LOAM_LOG_WARNING,
				 "E820 reply %u has %u bytes, 20 are the "
				 "least: left out",
				 (unsigned)i, (unsigned)*bytes);
			continue;
		}
		memcpy(&entry, reply, sizeof(entry));
		if (*bytes < E820_REPLY_BYTES) {
			entry.attributes = 1;
		}
		bootinfo_add_entry(info, &entry, &lost);
	}
	bootinfo_report_lost(info, lost);
	if (from->truncated != 0) {
		loam_log(LOAM_LOG_WARNING,
			 "the BIOS had more than %u map entries; the rest is "
			 "not used",
			 (unsigned)from->entry_count);
	}
}

/* One run of usable memory, if it has any length. */
static void bios_add_usable(struct loam_boot_info *info, uint64_t base,
			    uint64_t length)
{
	const struct loam_memmap_entry entry = { base, length, LOAM_MEM_USABLE,
						 1 };
	uint32_t lost = 0;

	if (length > 0) {
		bootinfo_add_entry(info, &entry, &lost);
	}
}

static void bios_read_map(struct loam_boot_info *info,
			  const struct bios_info *from)
{
	switch (from->method) {
	case BIOS_MAP_E820:
		bios_read_e820(info, from);
		info->source = "E820";
		break;
	case BIOS_MAP_E801:
		bios_add_usable(info, 0, (uint64_t)from->low_kib << 10);
		bios_add_usable(info, LOAM_MIB(1),
				(uint64_t)from->e801_kib << 10);
		bios_add_usable(info, E801_HOLE_END,
				(uint64_t)from->e801_units << 16);
		info->source = "E801";
		break;
	case BIOS_MAP_88:
		bios_add_usable(info, 0, (uint64_t)from->low_kib << 10);
		bios_add_usable(info, LOAM_MIB(1),
				(uint64_t)from->kib_88 << 10);
		info->source = "88h";
		break;
	default:
		break;
	}
}

int bootinfo_read_bios(struct loam_boot_info *info, uint32_t phys,
		       const char **why)
{
	struct bios_info from;
	const void *at = bootinfo_at(phys, sizeof(from));

	if (at == NULL) {
		*why = "the boot disk's information is out of reach";
		return -LOAM_EFAULT;
	}
	memcpy(&from, at, sizeof(from));
	if (from.magic != BIOS_INFO_MAGIC || from.size_bytes < sizeof(from)) {
		*why = "the boot disk's information is damaged or of another "
		       "version";
		return -LOAM_EINVAL;
	}
	info->path = "bios";
	loam_snprintf(info->loader, sizeof(info->loader),
		      "Loam boot disk, drive 0x%02x",
		      (unsigned)from.boot_drive);
	bootinfo_copy_string(info->cmdline, sizeof(info->cmdline),
			     from.cmdline);
	for (uint32_t i = 0; i < from.module_count; i++) {
		struct bios_module module;
		const void *entry =
			bootinfo_at(from.modules + i * (uint32_t)sizeof(module),
				    sizeof(module));
		if (entry == NULL) {
			loam_log(LOAM_LOG_WARNING,
				 "module %u of %u: its entry is out of reach",
				 (unsigned)i, (unsigned)from.module_count);
			break;
		}
		memcpy(&module, entry, sizeof(module));
		bootinfo_add_module(info, (unsigned)i, module.start, module.end,
				    module.string);
	}
	bios_read_map(info, &from);
	if (info->entry_count == 0) {
		*why = "the BIOS gave no memory map";
		return -LOAM_ENOENT;
	}
	return 0;
}

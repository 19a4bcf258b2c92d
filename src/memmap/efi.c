/* SPDX-License-Identifier: MIT */
/* Reading the memory map of UEFI. */

/*
 * Source: UEFI specification 2.10, section 7.2.3 (GetMemoryMap), tables 7.10
 * and 7.12. A descriptor is type, padding, physical address, virtual address,
 * number of pages of 4 KiB, and attributes; later versions may make it longer,
 * so the distance from one to the next is the firmware's to say. Fields are
 * read byte by byte: a boot loader aligns the list as it likes.
 */
#include "memmap_int.h"

#define EFI_BYTES 40u
#define EFI_PHYS 8u
#define EFI_PAGES 24u
#define EFI_ATTRIBUTES 32u
#define EFI_PAGE_SHIFT 12u

#define EFI_WRITE_BACK ((uint64_t)1 << 3)
#define EFI_RUNTIME ((uint64_t)1 << 63)

enum efi_type {
	EFI_RESERVED,
	EFI_LOADER_CODE,
	EFI_LOADER_DATA,
	EFI_BOOT_CODE,
	EFI_BOOT_DATA,
	EFI_RUNTIME_CODE,
	EFI_RUNTIME_DATA,
	EFI_CONVENTIONAL,
	EFI_UNUSABLE,
	EFI_ACPI_RECLAIM,
	EFI_ACPI_NVS,
	EFI_DEVICE,
	EFI_DEVICE_PORT,
	EFI_PAL_CODE,
	EFI_PERSISTENT,
};

static uint32_t efi_32(const unsigned char *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static uint64_t efi_64(const unsigned char *at)
{
	return efi_32(at) | (uint64_t)efi_32(at + 4) << 32;
}

static uint32_t efi_type(uint32_t type, uint64_t attributes)
{
	switch (type) {
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
	case EFI_BOOT_CODE:
	case EFI_BOOT_DATA:
	case EFI_CONVENTIONAL:
		return (attributes & EFI_WRITE_BACK) != 0 &&
				       (attributes & EFI_RUNTIME) == 0
			       ? LOAM_MEM_USABLE
			       : LOAM_MEM_RESERVED;
	case EFI_UNUSABLE:
		return LOAM_MEM_UNUSABLE;
	case EFI_ACPI_RECLAIM:
		return LOAM_MEM_ACPI_DATA;
	case EFI_ACPI_NVS:
		return LOAM_MEM_ACPI_NVS;
	case EFI_PERSISTENT:
		return LOAM_MEM_PERSISTENT;
	default:
		return LOAM_MEM_RESERVED;
	}
}

int loam_memmap_efi_entry(const void *descriptor, size_t bytes,
			  struct loam_memmap_entry *out)
{
	const unsigned char *at = descriptor;
	if (at == NULL || bytes < EFI_BYTES) {
		return -LOAM_EINVAL;
	}
	uint64_t pages = efi_64(at + EFI_PAGES);
	/* More than there are addresses: all of them, which add() clips. */
	out->length = pages > UINT64_MAX >> EFI_PAGE_SHIFT
			      ? UINT64_MAX
			      : pages << EFI_PAGE_SHIFT;
	out->base = efi_64(at + EFI_PHYS);
	out->type = efi_type(efi_32(at), efi_64(at + EFI_ATTRIBUTES));
	out->attributes = 1;
	return 0;
}

int loam_memmap_add_efi(struct loam_memmap *map, const void *descriptors,
			size_t bytes, size_t descriptor_bytes)
{
	const unsigned char *start = descriptors;
	if (start == NULL || bytes == 0 || descriptor_bytes < EFI_BYTES) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: a UEFI map of %zu bytes with descriptors of"
			 " %zu bytes: nothing is read from it",
			 bytes, descriptor_bytes);
		return -LOAM_EINVAL;
	}
	int result = 0;
	size_t offset = 0;
	for (; bytes - offset >= descriptor_bytes; offset += descriptor_bytes) {
		struct loam_memmap_entry entry;
		(void)loam_memmap_efi_entry(start + offset, descriptor_bytes,
					    &entry);
		int error = loam_memmap_add(map, entry.base, entry.length,
					    entry.type);
		result = result == 0 ? error : result;
	}
	if (offset < bytes) {
		uint32_t ordinal = map->stats.entries++;
		if (memmap_report(&map->stats.malformed)) {
			loam_log(LOAM_LOG_WARNING,
				 "memmap: UEFI descriptor %u at offset %zu has"
				 " %zu bytes where %zu are due: ignored",
				 ordinal, offset, bytes - offset,
				 descriptor_bytes);
		}
		result = result == 0 ? -LOAM_EINVAL : result;
	}
	return result;
}

/* SPDX-License-Identifier: MIT */
/* Copies what a boot path left into the kernel's own memory. */
#ifndef KERNEL_BOOTINFO_H
#define KERNEL_BOOTINFO_H

#include <loam/boot.h>

/*
 * All of these copy (X.2): nothing of the loader's is read afterwards but the
 * contents of modules, whose ranges are in info->reserved. Physical memory
 * is read through loam_host_phys_to_virt(). info->entries and
 * info->entry_capacity are the caller's storage for the firmware's map.
 */

/*
 * By the magic number the kernel was entered with. On failure returns a
 * negative errno and a sentence in *why: unknown magic (-LOAM_EINVAL), a
 * structure out of reach (-LOAM_EFAULT), no map at all (-LOAM_ENOENT). What is
 * wrong with single entries and modules is logged, and the rest is used.
 */
int bootinfo_read(struct loam_boot_info *info, uint32_t magic, uint32_t phys,
		  const char **why);

int bootinfo_read_multiboot(struct loam_boot_info *info, uint32_t phys,
			    const char **why);
int bootinfo_read_multiboot2(struct loam_boot_info *info, uint32_t phys,
			     const char **why);
int bootinfo_read_bios(struct loam_boot_info *info, uint32_t phys,
		       const char **why);

/* -------- for the readers -------- */

/* [phys, phys + size) to be read, or NULL: 0, wraps, not mapped. */
const void *bootinfo_at(uint32_t phys, uint32_t size_bytes);

/* Copies a zero-terminated string, cut to fit; "" where it is not mapped. */
void bootinfo_copy_string(char *to, size_t size_bytes, uint32_t phys);

/*
 * Keeps one entry. When there is no more room, an entry that forbids memory
 * takes the place of a usable one, so that only memory is lost, never a
 * prohibition. Counted in *lost.
 */
void bootinfo_add_entry(struct loam_boot_info *info,
			const struct loam_memmap_entry *entry, uint32_t *lost);

/* Keeps a module's range and name. Bad ones are logged and left out. */
void bootinfo_add_module(struct loam_boot_info *info, unsigned number,
			 uint32_t start, uint32_t end, uint32_t string);

/* Logs what bootinfo_add_entry() lost. */
void bootinfo_report_lost(const struct loam_boot_info *info, uint32_t lost);

#endif

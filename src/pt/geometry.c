/* SPDX-License-Identifier: MIT */
/* The geometries of the x86 MMUs: tables of numbers, no code. */

#include <loam/pt.h>

/*
 * Source: Intel, "Software Developer's Manual", volume 3A, chapter 4: tables
 * 4-4 to 4-6 for 32-bit paging, 4-8 to 4-11 for PAE, 4-14 to 4-20 for four and
 * five levels. Bits 9 to 11 of an entry are ignored by every one of them; bit
 * 9 is the mark.
 *
 * Bit 7 says "large" above level 0 and selects from the page attribute table
 * in level 0, where it stays 0. Bit 12 does that in large entries; it lies
 * below their address and stays 0 as well. Likewise bits 13 to 20 of a 4 MiB
 * entry, which PSE-36 gave to address bits 32 to 39: physical memory above
 * 4 GiB takes PAE.
 */
#define X86_BITS                                                               \
	.present = 0x001, .writable = 0x002, .user = 0x004,                    \
	.write_through = 0x008, .uncached = 0x010, .accessed = 0x020,          \
	.dirty = 0x040, .mark = 0x200

#define X86_LARGE 0x080
#define X86_GLOBAL 0x100
#define X86_NO_EXECUTE ((uint64_t)1 << 63)

#define PHYS_MASK_32 0x00000000fffff000u
#define PHYS_MASK_52 0x000ffffffffff000u

const struct loam_pt_geometry loam_pt_i386 = {
	.name = "i386",
	.levels = 2,
	.entry_bytes = 4,
	.index_bits = { 10, 10 },
	.span_shift = { 0, 10 },
	.virt_bits = 32,
	.phys_mask = PHYS_MASK_32,
	X86_BITS,
};

const struct loam_pt_geometry loam_pt_i386_pse = {
	.name = "i386 with 4 MiB pages",
	.levels = 2,
	.entry_bytes = 4,
	.index_bits = { 10, 10 },
	.span_shift = { 0, 10 },
	.large_levels = 0x02,
	.virt_bits = 32,
	.phys_mask = PHYS_MASK_32,
	X86_BITS,
	.large = X86_LARGE,
	.global = X86_GLOBAL,
};

/* The root has four entries; the rest of its frame is not used. */
const struct loam_pt_geometry loam_pt_i386_pae = {
	.name = "i386 with PAE",
	.levels = 3,
	.entry_bytes = 8,
	.index_bits = { 9, 9, 2 },
	.span_shift = { 0, 9, 18 },
	.large_levels = 0x02,
	.bare_levels = 0x04,
	.virt_bits = 32,
	.phys_mask = PHYS_MASK_52,
	X86_BITS,
	.large = X86_LARGE,
	.global = X86_GLOBAL,
	.no_execute = X86_NO_EXECUTE,
};

const struct loam_pt_geometry loam_pt_x86_64 = {
	.name = "x86-64 with 4 levels",
	.levels = 4,
	.entry_bytes = 8,
	.index_bits = { 9, 9, 9, 9 },
	.span_shift = { 0, 9, 18, 27 },
	.large_levels = 0x06,
	.virt_bits = 48,
	.phys_mask = PHYS_MASK_52,
	X86_BITS,
	.large = X86_LARGE,
	.global = X86_GLOBAL,
	.no_execute = X86_NO_EXECUTE,
};

const struct loam_pt_geometry loam_pt_x86_64_la57 = {
	.name = "x86-64 with 5 levels",
	.levels = 5,
	.entry_bytes = 8,
	.index_bits = { 9, 9, 9, 9, 9 },
	.span_shift = { 0, 9, 18, 27, 36 },
	.large_levels = 0x06,
	.virt_bits = 57,
	.phys_mask = PHYS_MASK_52,
	X86_BITS,
	.large = X86_LARGE,
	.global = X86_GLOBAL,
	.no_execute = X86_NO_EXECUTE,
};

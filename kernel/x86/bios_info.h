/* SPDX-License-Identifier: MIT */
/* What the second stage of our boot disk leaves for the kernel. */
#ifndef KERNEL_BIOS_INFO_H
#define KERNEL_BIOS_INFO_H

#include <stdint.h>

/*
 * The kernel is entered at the entry of its ELF header, a physical address,
 * with EAX = BIOS_INFO_MAGIC and EBX = the address of struct bios_info; in flat
 * protected mode without paging, interrupts off, A20 on, and with a stack and a
 * descriptor table that lie in [info_start, info_end) like all the rest.
 * kernel/bios/layout.inc has the picture.
 */
#define BIOS_INFO_MAGIC 0x4D414F4Cu /* "LOAM" */

enum bios_map_method {
	BIOS_MAP_NONE,
	BIOS_MAP_E820,
	BIOS_MAP_E801,
	BIOS_MAP_88,
};

/* All addresses are physical and below 1 MiB, but for a module's contents. */
struct bios_module {
	uint32_t start;  /* a page bound above the kernel */
	uint32_t end;    /* exclusive */
	uint32_t string; /* zero-terminated: its name and arguments */
};

struct bios_info {
	uint32_t magic;       /* BIOS_INFO_MAGIC again */
	uint32_t size_bytes;  /* of this structure */
	uint32_t method;      /* enum bios_map_method */
	uint32_t entry_count; /* E820 replies kept; 0 with other methods */
	uint32_t entries;     /* 24 bytes each, as the BIOS wrote them */
	uint32_t reply_bytes; /* one byte an entry: what CL came back as */
	uint32_t truncated;   /* 1: the BIOS had more than there was room for */
	uint32_t low_kib;     /* INT 12h */
	uint32_t e801_kib;    /* between 1 and 16 MiB, valid for E801 */
	uint32_t e801_units;  /* of 64 KiB above 16 MiB */
	uint32_t kib_88;      /* above 1 MiB, valid for 88h */
	uint32_t cmdline;     /* zero-terminated, 511 characters at most */
	uint32_t boot_drive;  /* the BIOS's number: 0x80 for the first disk */
	uint32_t info_start;  /* all of the above and stage two's memory */
	uint32_t info_end;    /* lie in [info_start, info_end) */
	uint32_t module_count;
	uint32_t modules; /* struct bios_module each */
};

#endif

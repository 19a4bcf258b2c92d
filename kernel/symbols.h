/* SPDX-License-Identifier: MIT */
/* Names of the kernel's functions, for stack traces. */
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include <loam/types.h>

struct kernel_symbol {
	uintptr_t address;
	const char *name;
};

/*
 * Sorted by address. kernel.ld sets the bounds; scripts/mksyms.awk makes the
 * table from the first link, which has none, for the second.
 */
extern const struct kernel_symbol kernel_symbols_start[];
extern const struct kernel_symbol kernel_symbols_end[];

/*
 * The function that holds address and the offset into it, or NULL: outside
 * of the kernel's text, or linked without a table. O(log symbols).
 */
const char *symbol_find(uintptr_t address, uintptr_t *offset);

/* "name + 0x12", or "?" without a name. to has at least 64 bytes. */
const char *symbol_format(char to[64], uintptr_t address);

/*
 * The same for where a call returns to: behind one that never does, another
 * function begins.
 */
const char *symbol_format_return(char to[64], uintptr_t address);

#endif

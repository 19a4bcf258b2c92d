/* SPDX-License-Identifier: MIT */
/* Finds the function an address lies in. */

#include <loam/mem.h>

#include "layout.h"
#include "symbols.h"

const char *symbol_find(uintptr_t address, uintptr_t *offset)
{
	const struct kernel_symbol *symbols = kernel_symbols_start;
	uint32_t low = 0;
	uint32_t high = (uint32_t)(kernel_symbols_end - kernel_symbols_start);

	if (address < (uintptr_t)image_start ||
	    address >= (uintptr_t)text_end) {
		return NULL;
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (symbols[middle].address <= address) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low == 0) {
		return NULL;
	}
	*offset = address - symbols[low - 1].address;
	return symbols[low - 1].name;
}

static const char *symbol_print(char to[64], const char *name, uintptr_t offset)
{
	if (name == NULL) {
		return "?";
	}
	loam_snprintf(to, 64, "%s + 0x%x", name, (unsigned)offset);
	return to;
}

const char *symbol_format(char to[64], uintptr_t address)
{
	uintptr_t offset = 0;
	const char *name = symbol_find(address, &offset);

	return symbol_print(to, name, offset);
}

const char *symbol_format_return(char to[64], uintptr_t address)
{
	uintptr_t offset = 0;
	const char *name = symbol_find(address - 1, &offset);

	return symbol_print(to, name, offset + 1);
}

/* SPDX-License-Identifier: MIT */
/* Options of the kernel's command line. */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <loam/types.h>

/*
 * Words are separated by spaces; a pair of double quotes anywhere in a word
 * keeps the spaces between them and does not belong to it, so cmd="a; b" and
 * "cmd=a; b" are the same. Finds the last word `name` or `name=value` and
 * copies the value, empty without one, cut to fit. False: no such word.
 */
bool cmdline_option(const char *cmdline, const char *name, char *value,
		    size_t size_bytes);

/*
 * A number in decimal, or hexadecimal after 0x, with a K, M or G (powers of
 * 1024) if wanted. False, and *out untouched: none, or more than 64 bits.
 */
bool cmdline_number(const char *text, uint64_t *out);

#endif

/* SPDX-License-Identifier: MIT */
/* Reads a file as a whole, packed or not, for the subcommands. */
#ifndef LOAM_TOOL_INPUT_H
#define LOAM_TOOL_INPUT_H

#include <stddef.h>

/*
 * All of the file called name, "-" being standard input: *size bytes, to be
 * given to free(). NULL: errno says why.
 */
char *input_read(const char *name, size_t *size);

/*
 * As above; a file that begins as xz, zstd or gzip files do is unpacked by the
 * program of that name. NULL: *why says what went wrong.
 */
char *input_read_packed(const char *name, size_t *size, const char **why);

#endif

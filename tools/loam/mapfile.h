/* SPDX-License-Identifier: MIT */
/* Reads a firmware memory map from text: rows of numbers, or a boot log. */
#ifndef LOAM_TOOL_MAPFILE_H
#define LOAM_TOOL_MAPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mapfile_format {
	MAPFILE_ROWS, /* "base length type" */
	MAPFILE_LOG,  /* lines of a Linux boot log */
};

struct mapfile_entry {
	uint64_t base;
	uint64_t length;
	uint32_t type;
	unsigned line; /* where it stands in the text, from 1 */
};

struct mapfile {
	enum mapfile_format format;
	struct mapfile_entry *entries; /* in the order of the text */
	size_t count;
	size_t capacity;
};

struct mapfile_error {
	unsigned line;  /* 0: the text as a whole */
	char text[160]; /* what is wrong, without a newline */
};

/*
 * Reads `size` bytes of text, which may contain anything and need not end in a
 * newline. Returns true and fills *file, to be given to mapfile_free(), or
 * false with *error set and nothing to free.
 *
 * If a line, comments aside, has the mark that Linux puts before each entry
 * ("BIOS-e820:", "BIOS-e801:" or "BIOS-88:"), the text is a log, and lines
 * without a mark are of no interest. Otherwise each line is a row, or empty, or
 * a comment ("#" to the end of the line). A text without entries is an error.
 */
bool mapfile_parse(struct mapfile *file, const char *text, size_t size,
		   struct mapfile_error *error);

void mapfile_free(struct mapfile *file);

/* "rows" or "log". */
const char *mapfile_format_name(enum mapfile_format format);

#endif

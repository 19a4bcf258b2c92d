/* SPDX-License-Identifier: MIT */
/* Reads headers of a ustar archive, and believes none of them. */

/*
 * An archive is a row of headers of 512 bytes, each followed by a file's bytes
 * filled up to a multiple of 512; a header of zeros ends it (POSIX, pax).
 * Numbers are octal digits. A header whose sum is wrong, or whose file would
 * not lie in the archive, ends the walk.
 */

#include <loam/mem.h>

#include "archive.h"

#define ARCHIVE_BLOCK 512u
#define ARCHIVE_MODE 100u
#define ARCHIVE_SIZE 124u
#define ARCHIVE_SUM 148u
#define ARCHIVE_SUM_BYTES 8u
#define ARCHIVE_TYPE 156u
#define ARCHIVE_MAGIC 257u

/* Octal digits up to a blank or the end of the field; false if none, or bad. */
static bool archive_octal(const unsigned char *field, size_t length,
			  uint32_t *out)
{
	uint32_t value = 0;
	size_t digits = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = field[i];
		if (c == ' ' || c == '\0') {
			if (digits == 0) {
				continue;
			}
			break;
		}
		if (c < '0' || c > '7' || value > UINT32_MAX >> 3) {
			return false;
		}
		value = value << 3 | (uint32_t)(c - '0');
		digits++;
	}
	*out = value;
	return digits > 0;
}

/* The sum of all bytes of the header, its own field taken as blanks. */
static bool archive_sum_is_right(const unsigned char *header)
{
	uint32_t sum = 0;
	uint32_t said;

	for (size_t i = 0; i < ARCHIVE_BLOCK; i++) {
		sum += i - ARCHIVE_SUM < ARCHIVE_SUM_BYTES ? ' ' : header[i];
	}
	return archive_octal(header + ARCHIVE_SUM, ARCHIVE_SUM_BYTES, &said) &&
	       said == sum;
}

bool archive_is(const void *archive, size_t size_bytes)
{
	const unsigned char *header = archive;

	return size_bytes >= ARCHIVE_BLOCK &&
	       memcmp(header + ARCHIVE_MAGIC, "ustar", 5) == 0 &&
	       archive_sum_is_right(header);
}

/* The name without the "./" that some archivers put before it. */
static void archive_copy_name(const unsigned char *header, char *to)
{
	const char *name = (const char *)header;
	size_t length = 0;

	if (name[0] == '.' && name[1] == '/') {
		name += 2;
	}
	while (name + length < (const char *)header + ARCHIVE_MODE &&
	       name[length] != '\0') {
		to[length] = name[length];
		length++;
	}
	to[length] = '\0';
}

bool archive_next(const void *archive, size_t size_bytes, size_t *at,
		  struct archive_file *out)
{
	const unsigned char *bytes = archive;
	uint32_t size;

	while (*at <= size_bytes && archive_is(bytes + *at, size_bytes - *at)) {
		const unsigned char *header = bytes + *at;
		size_t left = size_bytes - *at - ARCHIVE_BLOCK;
		if (!archive_octal(header + ARCHIVE_SIZE, 12, &size) ||
		    size > left) {
			return false;
		}
		size_t blocks = size / ARCHIVE_BLOCK +
				(size % ARCHIVE_BLOCK != 0 ? 1 : 0);
		*at = blocks > left / ARCHIVE_BLOCK
			      ? size_bytes
			      : *at + (blocks + 1) * ARCHIVE_BLOCK;
		char type = (char)header[ARCHIVE_TYPE];
		if (type == '0' || type == '\0') {
			archive_copy_name(header, out->name);
			out->bytes = header + ARCHIVE_BLOCK;
			out->size = size;
			return true;
		}
	}
	return false;
}

bool archive_find(const void *archive, size_t size_bytes, const char *name,
		  struct archive_file *out)
{
	size_t at = 0;

	while (archive_next(archive, size_bytes, &at, out)) {
		if (loam_streq(out->name, name)) {
			return true;
		}
	}
	return false;
}

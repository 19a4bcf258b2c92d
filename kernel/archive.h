/* SPDX-License-Identifier: MIT */
/* Finds files in a tar archive that lies in memory. */
#ifndef KERNEL_ARCHIVE_H
#define KERNEL_ARCHIVE_H

#include <loam/types.h>

#define ARCHIVE_NAME 101u /* of a file, with its end */

struct archive_file {
	char name[ARCHIVE_NAME];
	const unsigned char *bytes; /* in the archive */
	size_t size;
};

/*
 * Steps through the regular files of a ustar archive of size_bytes bytes: *at
 * is where to look, 0 at first, and is moved. False: there are no more, or what
 * follows is no sound header.
 */
bool archive_next(const void *archive, size_t size_bytes, size_t *at,
		  struct archive_file *out);

/* The first file of that name; false if there is none. */
bool archive_find(const void *archive, size_t size_bytes, const char *name,
		  struct archive_file *out);

/* True if it begins like a ustar archive. */
bool archive_is(const void *archive, size_t size_bytes);

#endif

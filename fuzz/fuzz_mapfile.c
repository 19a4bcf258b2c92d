/* SPDX-License-Identifier: MIT */
/* Fuzzes the text form of memory maps, and what the library makes of it. */
#include <stdlib.h>
#include <string.h>

#include <loam/memmap.h>

#include "../tools/loam/mapfile.h"

#define MOST_RANGES 64u

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

/* The line of an error or an entry is a line of the text. */
static void require_line(const uint8_t *data, size_t size, unsigned line)
{
	unsigned lines = 1;
	for (size_t i = 0; i < size; i++) {
		lines += data[i] == '\n';
	}
	require(line <= lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loam_mem_range ranges[MOST_RANGES];
	struct mapfile file;
	struct mapfile_error error;
	if (!mapfile_parse(&file, (const char *)data, size, &error)) {
		require_line(data, size, error.line);
		require(memchr(error.text, '\0', sizeof(error.text)) != NULL);
		require(error.text[0] != '\0');
		require(strchr(error.text, '\n') == NULL);
		return 0;
	}
	require(file.count != 0 && file.count <= file.capacity);
	struct loam_memmap map;
	loam_memmap_init(&map, ranges, MOST_RANGES);
	unsigned line = 0;
	for (size_t i = 0; i < file.count; i++) {
		const struct mapfile_entry *entry = &file.entries[i];
		require(entry->line > line);
		line = entry->line;
		(void)loam_memmap_add(&map, entry->base, entry->length,
				      entry->type);
	}
	require_line(data, size, line);
	(void)loam_memmap_normalise(&map);
	require(loam_memmap_check(&map) == 0);
	require(map.stats.entries == file.count);
	mapfile_free(&file);
	return 0;
}

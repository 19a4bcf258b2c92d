/* SPDX-License-Identifier: MIT */
/* loam map: shows what the library makes of a firmware's memory map. */
#include "input.h"
#include "json.h"
#include "loam.h"
#include "mapfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <loam/mem.h>
#include <loam/memmap.h>

#include "platform.h"

/* Where the zones of the 32-bit kernel end. */
static const struct zone {
	const char *name;
	const char *where;
	uint64_t first; /* frame */
	uint64_t end;
} zones[] = {
	{ "DMA", "below 16 MiB", 0, UINT64_C(1) << 12 },
	{ "normal", "16 MiB to 256 MiB, directly mapped", UINT64_C(1) << 12,
	  UINT64_C(1) << 16 },
	{ "high", "256 MiB to 4 GiB", UINT64_C(1) << 16, UINT64_C(1) << 20 },
	{ "beyond", "above 4 GiB, not reachable without PAE", UINT64_C(1) << 20,
	  UINT64_MAX },
};

#define ZONE_COUNT (sizeof(zones) / sizeof(zones[0]))

/* A counter of the map's, with its name in JSON and what it says to people. */
struct counter {
	const char *name;
	const char *text;
	uint32_t value;
};

#define COUNTER_COUNT 8

static void list_counters(const struct loam_memmap_stats *stats,
			  struct counter *counters)
{
	const struct counter list[COUNTER_COUNT] = {
		{ "entries", "in all", stats->entries },
		{ "zero_length", "without length, ignored",
		  stats->zero_length },
		{ "ignored", "that say they are to be ignored",
		  stats->ignored },
		{ "wrapping", "beyond 2^64, clipped", stats->wrapping },
		{ "unknown_type", "of unknown type, taken as reserved",
		  stats->unknown_type },
		{ "overlapping", "that overlap others, resolved",
		  stats->overlapping },
		{ "malformed", "malformed", stats->malformed },
		{ "dropped", "that had no room", stats->dropped },
	};
	memcpy(counters, list, sizeof(list));
}

/* Usable frames of the map in [first, end). */
static uint64_t frames_between(const struct loam_memmap *map, uint64_t first,
			       uint64_t end)
{
	uint64_t total = 0;
	uint64_t pfn = first;
	uint64_t count;
	while (loam_memmap_next_usable(map, &pfn, &count) && pfn < end) {
		total += count < end - pfn ? count : end - pfn;
		pfn += count;
	}
	return total;
}

static void print_table(const char *name, enum mapfile_format format,
			const struct loam_memmap *map)
{
	char size[16];
	printf("%s (%s): %" PRIu32 " entries make %" PRIu32 " ranges\n\n", name,
	       mapfile_format_name(format), map->stats.entries, map->count);
	printf("%-18s  %-18s  %12s  %s\n", "first", "last", "size", "type");
	for (uint32_t i = 0; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		printf("0x%016" PRIx64 "  0x%016" PRIx64 "  %12s  %s\n",
		       range->base, range->base + range->size - 1,
		       loam_format_size(size, range->size),
		       loam_memmap_type_name(range->type));
	}
	printf("\n%-8s  %12s  %12s  %s\n", "zone", "frames", "size",
	       "addresses");
	for (size_t i = 0; i < ZONE_COUNT; i++) {
		uint64_t frames =
			frames_between(map, zones[i].first, zones[i].end);
		printf("%-8s  %12" PRIu64 "  %12s  %s\n", zones[i].name, frames,
		       loam_format_size(size, frames << 12), zones[i].where);
	}
	printf("\n");
	struct counter counters[COUNTER_COUNT];
	list_counters(&map->stats, counters);
	for (size_t i = 0; i < COUNTER_COUNT; i++) {
		if (counters[i].value != 0) {
			printf("entries %s: %" PRIu32 "\n", counters[i].text,
			       counters[i].value);
		}
	}
	printf("\n");
	printf("usable_frames: %" PRIu64 "\n", loam_memmap_usable_frames(map));
	printf("max_usable_pfn: %" PRIu64 "\n",
	       loam_memmap_max_usable_pfn(map));
}

static void print_json(const char *name, enum mapfile_format format,
		       const struct loam_memmap *map)
{
	printf("{\n  \"file\": ");
	json_string(stdout, name);
	printf(",\n  \"format\": \"%s\",\n  \"ranges\": [",
	       mapfile_format_name(format));
	for (uint32_t i = 0; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		printf("%s\n    {\"base\": %" PRIu64 ", \"size\": %" PRIu64
		       ", \"type\": \"%s\", \"number\": %" PRIu32
		       ", \"entry\": %" PRIu32 "}",
		       i == 0 ? "" : ",", range->base, range->size,
		       loam_memmap_type_name(range->type), range->type,
		       range->ordinal);
	}
	printf("\n  ],\n  \"zones\": [");
	for (size_t i = 0; i < ZONE_COUNT; i++) {
		uint64_t frames =
			frames_between(map, zones[i].first, zones[i].end);
		printf("%s\n    {\"name\": \"%s\", \"frames\": %" PRIu64
		       ", \"size\": %" PRIu64 "}",
		       i == 0 ? "" : ",", zones[i].name, frames, frames << 12);
	}
	printf("\n  ],\n  \"stats\": {");
	struct counter counters[COUNTER_COUNT];
	list_counters(&map->stats, counters);
	for (size_t i = 0; i < COUNTER_COUNT; i++) {
		printf("%s\"%s\": %" PRIu32, i == 0 ? "" : ", ",
		       counters[i].name, counters[i].value);
	}
	printf("},\n  \"usable_frames\": %" PRIu64
	       ",\n  \"max_usable_pfn\": %" PRIu64 "\n}\n",
	       loam_memmap_usable_frames(map), loam_memmap_max_usable_pfn(map));
}

/* Normalises what was read, and prints it. */
static int show(const char *name, const struct mapfile *file, bool json)
{
	/* The result has at most two ranges per entry: nothing is dropped. */
	if (file->count > UINT32_MAX / 4) {
		fprintf(stderr, "%s: too many entries\n", name);
		return TOOL_FAILED;
	}
	uint32_t capacity = (uint32_t)file->count * 2 + 4;
	struct loam_mem_range *storage = calloc(capacity, sizeof(storage[0]));
	if (storage == NULL) {
		fprintf(stderr, "%s: out of memory\n", name);
		return TOOL_FAILED;
	}
	struct loam_memmap map;
	loam_memmap_init(&map, storage, capacity);
	for (size_t i = 0; i < file->count; i++) {
		const struct mapfile_entry *entry = &file->entries[i];
		(void)loam_memmap_add(&map, entry->base, entry->length,
				      entry->type);
	}
	(void)loam_memmap_normalise(&map);
	int status = TOOL_OK;
	if (loam_memmap_check(&map) != 0) {
		status = TOOL_FAILED;
	} else if (json) {
		print_json(name, file->format, &map);
	} else {
		print_table(name, file->format, &map);
	}
	free(storage);
	return status;
}

int tool_map(int argc, char **argv)
{
	const char *name = NULL;
	bool json = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (name == NULL &&
			   (argv[i][0] != '-' || argv[i][1] == '\0')) {
			name = argv[i];
		} else {
			fprintf(stderr, "loam map: unexpected \"%s\"\n",
				argv[i]);
			return TOOL_USAGE;
		}
	}
	if (name == NULL) {
		fprintf(stderr, "usage: loam map FILE [--json]\n");
		return TOOL_USAGE;
	}
	size_t size = 0;
	char *text = input_read(name, &size);
	if (text == NULL) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return TOOL_FAILED;
	}
	struct mapfile file;
	struct mapfile_error error;
	bool good = mapfile_parse(&file, text, size, &error);
	free(text);
	if (!good && error.line != 0) {
		fprintf(stderr, "%s:%u: %s\n", name, error.line, error.text);
	} else if (!good) {
		fprintf(stderr, "%s: %s\n", name, error.text);
	}
	if (!good) {
		return TOOL_FAILED;
	}
	/* What the library says about odd entries goes to standard error. */
	hosted_log_echo = true;
	int status = show(name, &file, json);
	mapfile_free(&file);
	return status;
}

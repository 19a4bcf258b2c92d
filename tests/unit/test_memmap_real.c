/* SPDX-License-Identifier: MIT */
/* Maps of real machines give the figures that were computed elsewhere. */
#include "test.h"

#include <dirent.h>
#include <inttypes.h>

#include <loam/bits.h>
#include <loam/memblock.h>
#include <loam/memmap.h>

/*
 * Each file has in its head the figures usable_frames and max_usable_pfn, which
 * no code of this project computed. A few maps are part of the project; more
 * lie in the directory that LOAM_MEMMAPS names, or beside the source tree.
 */
#define MOST_ENTRIES 128u
#define MOST_FILES 256u

struct real_map {
	struct loam_memmap_entry entries[MOST_ENTRIES];
	unsigned count;
	uint64_t usable_frames;
	uint64_t max_usable_pfn;
	bool has_figures;
};

static struct loam_mem_range storage[2 * MOST_ENTRIES];
static struct loam_mem_range first_result[2 * MOST_ENTRIES];

/* The directory of the sources, as the compiler was told it. */
static void source_path(char *to, size_t size, const char *path)
{
	const char *here = __FILE__;
	const char *end = strstr(here, "tests/unit/");
	int length = end != NULL ? (int)(end - here) : 0;
	snprintf(to, size, "%.*s%s", length, here, path);
}

static bool read_map(const char *path, struct real_map *map)
{
	FILE *from = fopen(path, "r");
	if (from == NULL) {
		return false;
	}
	*map = (struct real_map){ 0 };
	char line[512];
	unsigned figures = 0;
	bool good = true;
	while (good && fgets(line, sizeof(line), from) != NULL) {
		struct loam_memmap_entry *entry = &map->entries[map->count];
		if (sscanf(line, "# usable_frames: %" SCNu64,
			   &map->usable_frames) == 1 ||
		    sscanf(line, "# max_usable_pfn: %" SCNu64,
			   &map->max_usable_pfn) == 1) {
			figures++;
		} else if (line[0] != '#') {
			good = map->count < MOST_ENTRIES - 1 &&
			       sscanf(line, "%" SCNx64 " %" SCNx64 " %" SCNu32,
				      &entry->base, &entry->length,
				      &entry->type) == 3;
			entry->attributes = 1;
			map->count++;
		}
	}
	fclose(from);
	map->has_figures = figures == 2;
	return good;
}

static void put32(unsigned char *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++) {
		to[i] = (unsigned char)(value >> (8 * i));
	}
}

static void put_entry(unsigned char *to, const struct loam_memmap_entry *entry)
{
	put32(to, (uint32_t)entry->base);
	put32(to + 4, (uint32_t)(entry->base >> 32));
	put32(to + 8, (uint32_t)entry->length);
	put32(to + 12, (uint32_t)(entry->length >> 32));
	put32(to + 16, entry->type);
}

enum source { SOURCE_E820, SOURCE_MULTIBOOT1, SOURCE_MULTIBOOT2, SOURCES };

/* Adds the entries as one of the layouts in which they may arrive. */
static void add_from(struct loam_memmap *map, const struct real_map *real,
		     enum source source)
{
	static unsigned char bytes[16 + 24 * MOST_ENTRIES];
	memset(bytes, 0, sizeof(bytes));
	if (source == SOURCE_E820) {
		EXPECT_EQ(loam_memmap_add_e820(map, real->entries, real->count,
					       sizeof(real->entries[0]), NULL),
			  0);
	} else if (source == SOURCE_MULTIBOOT1) {
		for (unsigned i = 0; i < real->count; i++) {
			put32(bytes + 24 * i, 20);
			put_entry(bytes + 24 * i + 4, &real->entries[i]);
		}
		EXPECT_EQ(loam_memmap_add_multiboot1(map, bytes,
						     24 * real->count),
			  0);
	} else {
		put32(bytes, 6);
		put32(bytes + 4, 16 + 24 * real->count);
		put32(bytes + 8, 24);
		for (unsigned i = 0; i < real->count; i++) {
			put_entry(bytes + 16 + 24 * i, &real->entries[i]);
		}
		EXPECT_EQ(loam_memmap_add_multiboot2(map, bytes, sizeof(bytes)),
			  0);
	}
}

static void expect_figures(const struct real_map *real)
{
	struct loam_memmap map;
	uint32_t count = 0;
	for (unsigned source = 0; source < SOURCES; source++) {
		loam_memmap_init(&map, storage, LOAM_ARRAY_SIZE(storage));
		add_from(&map, real, (enum source)source);
		EXPECT_EQ(loam_memmap_normalise(&map), 0);
		EXPECT_EQ(loam_memmap_check(&map), 0);
		EXPECT_EQ(loam_memmap_usable_frames(&map), real->usable_frames);
		EXPECT_EQ(loam_memmap_max_usable_pfn(&map),
			  real->max_usable_pfn);
		if (source == 0) {
			count = map.count;
			memcpy(first_result, storage, sizeof(storage));
		}
		EXPECT_EQ(map.count, count);
		EXPECT(memcmp(first_result, storage,
			      count * sizeof(storage[0])) == 0);
	}
	/* And all of it is what memblock has to give. */
	struct loam_memblock_region regions[4];
	struct loam_memblock memblock;
	loam_memblock_init(&memblock, regions, LOAM_ARRAY_SIZE(regions));
	EXPECT_EQ(loam_memblock_adopt(&memblock, &map), 0);
	EXPECT_EQ(loam_memblock_free_bytes(&memblock),
		  real->usable_frames << LOAM_PAGE_SHIFT);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((const char *)a, (const char *)b);
}

/* Tests every map of a directory. Returns how many there were. */
static unsigned expect_directory(const char *directory)
{
	static char names[MOST_FILES][256];
	unsigned count = 0;
	DIR *dir = opendir(directory);
	if (dir == NULL) {
		return 0;
	}
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL && count < MOST_FILES) {
		size_t length = strlen(entry->d_name);
		if (length > 4 &&
		    strcmp(entry->d_name + length - 4, ".map") == 0) {
			snprintf(names[count++], sizeof(names[0]), "%s",
				 entry->d_name);
		}
	}
	closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	for (unsigned i = 0; i < count; i++) {
		char path[4096];
		struct real_map real;
		int length = snprintf(path, sizeof(path), "%s/%s", directory,
				      names[i]);
		EXPECT(length > 0 && (size_t)length < sizeof(path));
		bool good = read_map(path, &real) && real.has_figures;
		if (!good) {
			fprintf(stderr, "# %s cannot be read\n", path);
		}
		EXPECT(good);
		/* Shown only if the figures are wrong. */
		hosted_log_clear();
		printf("# %s: %u entries\n", names[i], real.count);
		expect_figures(&real);
	}
	return count;
}

TEST(own, "S1.30 S2.18 S4.4 the project's real maps give their figures")
{
	char path[4096];
	source_path(path, sizeof(path), "tests/data/memmaps");
	unsigned count = expect_directory(path);
	if (count < 6) {
		fprintf(stderr, "# %u maps in %s\n", count, path);
	}
	EXPECT(count >= 6);
}

TEST(shared, "S1.30 S2.18 S4.4 all real maps at hand give their figures")
{
	char path[4096];
	const char *directory = getenv("LOAM_MEMMAPS");
	if (directory == NULL) {
		source_path(path, sizeof(path), "../shared/memmaps");
		directory = path;
	}
	unsigned count = expect_directory(directory);
	if (count == 0) {
		printf("# SKIP: there are no maps in %s\n", directory);
	}
	/* A directory that was asked for by name must be there. */
	EXPECT(count != 0 || getenv("LOAM_MEMMAPS") == NULL);
}

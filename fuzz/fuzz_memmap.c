/* SPDX-License-Identifier: MIT */
/* Fuzzes the binary layouts of memory maps against a reading of their own. */
#include <stdlib.h>
#include <string.h>

#include <loam/memmap.h>

/*
 * Byte 0 picks the layout, byte 1 the room for ranges, byte 2 the distance of
 * E820 replies; the rest is the map.  A second reader, below, collects the
 * entries that the layout holds.  Then:
 *
 *   - the map passes loam_memmap_check();
 *   - no address is usable that an entry of another type covers;
 *   - if nothing was dropped, each entry's first and last byte have the type
 *     of the strictest entry that covers them.
 */
#define MOST_ENTRIES 512u
#define MOST_RANGES 260u

struct entries {
	struct loam_memmap_entry list[MOST_ENTRIES];
	size_t count;
};

/* Always on, whatever NDEBUG says. */
static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

static uint32_t get32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static void collect(struct entries *entries, const uint8_t *at)
{
	struct loam_memmap_entry entry = {
		.base = get32(at) | (uint64_t)get32(at + 4) << 32,
		.length = get32(at + 8) | (uint64_t)get32(at + 12) << 32,
		.type = get32(at + 16),
	};
	/* The last byte of the space is no address. */
	if (entry.length > UINT64_MAX - entry.base) {
		entry.length = UINT64_MAX - entry.base;
	}
	if (entry.length != 0 && entries->count < MOST_ENTRIES) {
		entries->list[entries->count++] = entry;
	}
}

static void read_e820(struct loam_memmap *map, struct entries *entries,
		      const uint8_t *data, size_t size, size_t stride)
{
	size_t count = size / (stride + 1);
	/* The sizes of the replies lie behind the replies. */
	const uint8_t *bytes = data + count * stride;
	(void)loam_memmap_add_e820(map, data, count, stride, bytes);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *at = data + i * stride;
		bool attributes = bytes[i] >= 24 && stride >= 24;
		if (bytes[i] >= 20 &&
		    (!attributes || (get32(at + 20) & 1) != 0)) {
			collect(entries, at);
		}
	}
}

static void read_multiboot1(struct loam_memmap *map, struct entries *entries,
			    const uint8_t *data, size_t size)
{
	(void)loam_memmap_add_multiboot1(map, data, size);
	while (size >= 24) {
		uint64_t step = (uint64_t)get32(data) + 4;
		if (step < 24 || step > size) {
			return;
		}
		collect(entries, data + 4);
		data += step;
		size -= (size_t)step;
	}
}

static void read_multiboot2(struct loam_memmap *map, struct entries *entries,
			    const uint8_t *data, size_t size)
{
	(void)loam_memmap_add_multiboot2(map, data, size);
	if (size < 16 || get32(data) != 6 || get32(data + 4) < 16) {
		return;
	}
	uint64_t step = get32(data + 8);
	uint64_t end = get32(data + 4) < size ? get32(data + 4) : size;
	for (uint64_t at = 16; step >= 20 && at + step <= end; at += step) {
		collect(entries, data + at);
	}
}

static void read_sizes(struct loam_memmap *map, const uint8_t *data,
		       size_t size)
{
	for (; size >= 12; data += 12, size -= 12) {
		(void)loam_memmap_add_e801(map, get32(data), get32(data + 4),
					   get32(data + 8));
		(void)loam_memmap_add_88(map, get32(data), get32(data + 4));
	}
}

/* UEFI's types are not E820's: what it converts is what must hold. */
static void read_efi(struct loam_memmap *map, struct entries *entries,
		     const uint8_t *data, size_t size, size_t step)
{
	(void)loam_memmap_add_efi(map, data, size, step);
	for (; size >= step; data += step, size -= step) {
		struct loam_memmap_entry entry;
		uint8_t plain[20];
		require(loam_memmap_efi_entry(data, step, &entry) == 0);
		require(entry.type != LOAM_MEM_USABLE || (data[32] & 8u) != 0);
		memcpy(plain, &entry.base, 8);
		memcpy(plain + 8, &entry.length, 8);
		memcpy(plain + 16, &entry.type, 4);
		collect(entries, plain);
	}
}

static unsigned strictness(uint32_t type)
{
	switch (type) {
	case LOAM_MEM_NONE:
		return 0;
	case LOAM_MEM_USABLE:
		return 1;
	case LOAM_MEM_PERSISTENT:
		return 2;
	case LOAM_MEM_ACPI_DATA:
		return 3;
	case LOAM_MEM_ACPI_NVS:
		return 5;
	case LOAM_MEM_UNUSABLE:
		return 6;
	default:
		return 4;
	}
}

/* What is known about an address from the entries alone. */
static unsigned entries_strictness(const struct entries *entries,
				   uint64_t address)
{
	unsigned most = 0;
	for (size_t i = 0; i < entries->count; i++) {
		const struct loam_memmap_entry *entry = &entries->list[i];
		/* Type 0 in an entry is an unknown type, not nothing. */
		unsigned rank = entry->type == 0 ? strictness(2)
						 : strictness(entry->type);
		if (address - entry->base < entry->length && rank > most) {
			most = rank;
		}
	}
	return most;
}

static void require_safe(const struct loam_memmap *map,
			 const struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct loam_memmap_entry *entry = &entries->list[i];
		uint64_t last = entry->base + (entry->length - 1);
		for (uint32_t k = 0; k < map->count; k++) {
			const struct loam_mem_range *range = &map->ranges[k];
			bool apart = range->base > last ||
				     range->base + range->size <= entry->base;
			require(apart || entry->type == LOAM_MEM_USABLE ||
				range->type != LOAM_MEM_USABLE);
		}
		if (map->stats.dropped == 0) {
			require(strictness(loam_memmap_type_at(map,
							       entry->base)) ==
				entries_strictness(entries, entry->base));
			require(strictness(loam_memmap_type_at(map, last)) ==
				entries_strictness(entries, last));
		}
	}
}

/* The frames by the iterator, by the ranges, and by the top agree. */
static void require_frames(const struct loam_memmap *map)
{
	uint64_t pfn = 0;
	uint64_t count;
	uint64_t total = 0;
	uint64_t end = 0;
	while (loam_memmap_next_usable(map, &pfn, &count)) {
		require(pfn >= end && count != 0);
		require(loam_memmap_is_usable(map, pfn << 12, count << 12));
		total += count;
		end = pfn + count;
		pfn = end;
	}
	require(total == loam_memmap_usable_frames(map));
	require(end == loam_memmap_max_usable_pfn(map));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct entries entries;
	static struct loam_mem_range ranges[MOST_RANGES];
	struct loam_memmap map;
	if (size < 3) {
		return 0;
	}
	entries.count = 0;
	loam_memmap_init(&map, ranges, 4u + data[1]);
	const uint8_t *rest = data + 3;
	size_t rest_size = size - 3;
	switch (data[0] % 5) {
	case 0:
		read_e820(&map, &entries, rest, rest_size, 20u + data[2] % 16u);
		break;
	case 1:
		read_multiboot1(&map, &entries, rest, rest_size);
		break;
	case 2:
		read_multiboot2(&map, &entries, rest, rest_size);
		break;
	case 3:
		read_sizes(&map, rest, rest_size);
		break;
	default:
		read_efi(&map, &entries, rest, rest_size, 40u + data[2] % 25u);
		break;
	}
	(void)loam_memmap_normalise(&map);
	require(loam_memmap_check(&map) == 0);
	require(loam_memmap_normalise(&map) == 0);
	if (entries.count < MOST_ENTRIES) {
		require_safe(&map, &entries);
	}
	require_frames(&map);
	return 0;
}

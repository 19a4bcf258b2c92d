/* SPDX-License-Identifier: MIT */
/* Reading memory maps as firmware and boot loaders lay them out. */
#include "memmap_int.h"

#include <loam/bits.h>

/*
 * None of these layouts can be described by a structure that is safe to point
 * into them: entries are not aligned, and the offsets between them are data.
 * Fields are therefore read byte by byte, least significant first, only after
 * the bytes are known to be there. Every offset is checked by subtraction from
 * what is left, which cannot wrap.
 */
#define E820_BYTES 20u      /* base, length, type */
#define E820_BYTES_ACPI 24u /* and the extended attributes of ACPI 3.0 */
#define E820_ENABLED 1u     /* attribute bit 0 */

#define MULTIBOOT2_TYPE_MMAP 6u
#define MULTIBOOT2_HEADER 16u /* type, size, entry size, entry version */

#define LOW_END_KIB 640u
#define HIGH_BASE ((uint64_t)1 << 20)
#define ABOVE_16M_BASE ((uint64_t)1 << 24)
#define E801_MOST_KIB 15360u /* what fits between 1 and 16 MiB */

static uint32_t parse_32(const unsigned char *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static uint64_t parse_64(const unsigned char *at)
{
	return parse_32(at) | (uint64_t)parse_32(at + 4) << 32;
}

/* Adds the base, length and type at `at`. All layouts have these three. */
static int parse_entry(struct loam_memmap *map, const unsigned char *at)
{
	return loam_memmap_add(map, parse_64(at), parse_64(at + 8),
			       parse_32(at + 16));
}

/* What is returned in the end: the first error that there was. */
static void parse_keep_first(int *result, int error)
{
	if (*result == 0) {
		*result = error;
	}
}

/*
 * An entry that cannot be read still has its number, so that the numbers in
 * the log are places in the firmware's list. True if it is to be logged.
 */
static bool parse_malformed(struct loam_memmap *map, uint32_t *ordinal)
{
	*ordinal = map->stats.entries++;
	return memmap_report(&map->stats.malformed);
}

/* One E820 reply, of which `bytes` were written. */
static int parse_reply(struct loam_memmap *map, const unsigned char *at,
		       size_t bytes)
{
	uint32_t ordinal;
	if (bytes < E820_BYTES) {
		if (parse_malformed(map, &ordinal)) {
			loam_log(LOAM_LOG_WARNING,
				 "memmap: E820 entry %u has %u bytes where at"
				 " least %u are due: ignored",
				 ordinal, (unsigned)bytes, E820_BYTES);
		}
		return -LOAM_EINVAL;
	}
	if (bytes < E820_BYTES_ACPI ||
	    (parse_32(at + E820_BYTES) & E820_ENABLED) != 0) {
		return parse_entry(map, at);
	}
	ordinal = map->stats.entries++;
	if (memmap_report(&map->stats.ignored)) {
		loam_log(LOAM_LOG_INFO,
			 "memmap: E820 entry %u (type %u, 0x%llx, length"
			 " 0x%llx) says that it is to be ignored (attributes"
			 " 0x%x)",
			 ordinal, parse_32(at + 16), memmap_hex(parse_64(at)),
			 memmap_hex(parse_64(at + 8)),
			 parse_32(at + E820_BYTES));
	}
	return 0;
}

int loam_memmap_add_e820(struct loam_memmap *map, const void *replies,
			 size_t count, size_t stride,
			 const uint8_t *reply_bytes)
{
	const unsigned char *start = replies;
	int result = 0;
	if (stride < E820_BYTES || (replies == NULL && count != 0)) {
		return -LOAM_EINVAL;
	}
	for (size_t i = 0; i < count; i++) {
		size_t bytes = stride;
		if (reply_bytes != NULL && reply_bytes[i] < stride) {
			bytes = reply_bytes[i];
		}
		parse_keep_first(&result,
				 parse_reply(map, start + i * stride, bytes));
	}
	return result;
}

int loam_memmap_add_multiboot1(struct loam_memmap *map, const void *mmap,
			       size_t bytes)
{
	const unsigned char *start = mmap;
	size_t offset = 0;
	uint32_t ordinal;
	if (mmap == NULL || bytes == 0) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: the Multiboot memory map is empty");
		return -LOAM_EINVAL;
	}
	int result = 0;
	while (offset < bytes) {
		size_t left = bytes - offset;
		uint32_t size = left < 4 ? 0 : parse_32(start + offset);
		if (size < E820_BYTES || left - 4 < size) {
			if (parse_malformed(map, &ordinal)) {
				loam_log(
					LOAM_LOG_WARNING,
					"memmap: Multiboot entry %u at offset"
					" %zu has size %u, with %zu bytes left:"
					" it and what follows is ignored",
					ordinal, offset, size, left);
			}
			return -LOAM_EINVAL;
		}
		parse_keep_first(&result, parse_entry(map, start + offset + 4));
		offset += 4 + (size_t)size;
	}
	return result;
}

int loam_memmap_add_multiboot2(struct loam_memmap *map, const void *tag,
			       size_t bytes)
{
	const unsigned char *start = tag;
	uint32_t ordinal;
	if (tag == NULL || bytes < MULTIBOOT2_HEADER ||
	    parse_32(start) != MULTIBOOT2_TYPE_MMAP) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: no Multiboot 2 memory map tag of at least %u"
			 " bytes: nothing is read from it",
			 MULTIBOOT2_HEADER);
		return -LOAM_EINVAL;
	}
	uint32_t tag_size = parse_32(start + 4);
	uint32_t entry_size = parse_32(start + 8);
	if (tag_size < MULTIBOOT2_HEADER || entry_size < E820_BYTES) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: Multiboot 2 memory map tag of size %u with"
			 " entries of size %u: nothing is read from it",
			 tag_size, entry_size);
		return -LOAM_EINVAL;
	}
	int result = 0;
	if (tag_size > bytes) {
		loam_log(LOAM_LOG_WARNING,
			 "memmap: Multiboot 2 memory map tag of size %u ends"
			 " after %zu bytes",
			 tag_size, bytes);
		result = -LOAM_EINVAL;
	} else {
		bytes = tag_size;
	}
	size_t offset = MULTIBOOT2_HEADER;
	for (; bytes - offset >= entry_size; offset += entry_size) {
		parse_keep_first(&result, parse_entry(map, start + offset));
	}
	if (offset < bytes) {
		if (parse_malformed(map, &ordinal)) {
			loam_log(LOAM_LOG_WARNING,
				 "memmap: Multiboot 2 entry %u at offset %zu"
				 " has %zu bytes where %u are due: ignored",
				 ordinal, offset, bytes - offset, entry_size);
		}
		parse_keep_first(&result, -LOAM_EINVAL);
	}
	return result;
}

/* Conventional memory, which INT 12h reports; 640 KiB is all there can be. */
static int parse_low(struct loam_memmap *map, uint32_t low_kib)
{
	if (low_kib > LOW_END_KIB) {
		if (memmap_report(&map->stats.malformed)) {
			loam_log(LOAM_LOG_WARNING,
				 "memmap: entry %u has %u KiB of low memory:"
				 " clipped to %u KiB",
				 map->stats.entries, low_kib, LOW_END_KIB);
		}
		low_kib = LOW_END_KIB;
	}
	return loam_memmap_add(map, 0, (uint64_t)low_kib << 10,
			       LOAM_MEM_USABLE);
}

int loam_memmap_add_e801(struct loam_memmap *map, uint32_t low_kib,
			 uint32_t kib_above_1m, uint32_t units_above_16m)
{
	int result = parse_low(map, low_kib);
	if (kib_above_1m > E801_MOST_KIB) {
		if (memmap_report(&map->stats.malformed)) {
			loam_log(LOAM_LOG_WARNING,
				 "memmap: entry %u has %u KiB between 1 and 16"
				 " MiB: clipped to %u KiB",
				 map->stats.entries, kib_above_1m,
				 E801_MOST_KIB);
		}
		kib_above_1m = E801_MOST_KIB;
	}
	parse_keep_first(&result, loam_memmap_add(map, HIGH_BASE,
						  (uint64_t)kib_above_1m << 10,
						  LOAM_MEM_USABLE));
	if (units_above_16m != 0) {
		parse_keep_first(
			&result,
			loam_memmap_add(map, ABOVE_16M_BASE,
					(uint64_t)units_above_16m << 16,
					LOAM_MEM_USABLE));
	}
	return result;
}

int loam_memmap_add_88(struct loam_memmap *map, uint32_t low_kib,
		       uint32_t kib_above_1m)
{
	int result = parse_low(map, low_kib);
	parse_keep_first(&result, loam_memmap_add(map, HIGH_BASE,
						  (uint64_t)kib_above_1m << 10,
						  LOAM_MEM_USABLE));
	return result;
}

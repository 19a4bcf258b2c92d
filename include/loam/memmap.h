/* SPDX-License-Identifier: MIT */
/* The memory map: what the firmware says, normalised. */
#ifndef LOAM_MEMMAP_H
#define LOAM_MEMMAP_H

#include <loam/types.h>

/* E820 types; any other number is treated as reserved. */
enum loam_mem_type {
	LOAM_MEM_NONE = 0, /* nothing was said about this address */
	LOAM_MEM_USABLE = 1,
	LOAM_MEM_RESERVED = 2,
	LOAM_MEM_ACPI_DATA = 3, /* reclaimable once the tables were read */
	LOAM_MEM_ACPI_NVS = 4,
	LOAM_MEM_UNUSABLE = 5,
	LOAM_MEM_PERSISTENT = 7,
};

/* One entry as INT 15h, EAX=E820h writes it (seed 001's MemoryMapEntry). */
struct loam_memmap_entry {
	uint64_t base;
	uint64_t length;
	uint32_t type;
	uint32_t attributes; /* bit 0 clear: ignore the entry (ACPI 3.0) */
};

/* One normalised range. */
struct loam_mem_range {
	loam_phys_t base;
	loam_phys_t size;
	uint32_t type;    /* enum loam_mem_type */
	uint32_t ordinal; /* of the first entry it came from, counted from 0 */
};

/*
 * What was wrong with the input. The first 16 of each kind are also logged,
 * with the entry's ordinal and numbers; normalising logs the totals of the
 * rest.
 */
struct loam_memmap_stats {
	uint32_t entries;      /* offered, the bad ones too */
	uint32_t zero_length;  /* dropped */
	uint32_t ignored;      /* dropped: attribute bit 0 was clear */
	uint32_t wrapping;     /* clipped at 2^64 */
	uint32_t unknown_type; /* taken as reserved */
	uint32_t overlapping;  /* resolved: the most restrictive type holds */
	uint32_t malformed;    /* truncated (unused) or impossible (clipped) */
	uint32_t dropped;      /* times that room had to be made: see add */
};

/*
 * Ranges sorted by base, not overlapping, touching ones of one type merged,
 * once normalised. Addresses are exact bytes; loam_memmap_next_usable() rounds
 * to frames. The last byte of the 64-bit space, LOAM_PHYS_NONE, is in no range,
 * so that base + size never wraps.
 */
struct loam_memmap {
	struct loam_mem_range *ranges; /* caller's storage */
	uint32_t capacity;
	uint32_t count;
	bool normalised;
	struct loam_memmap_stats stats;
};

/*
 * Starts an empty map, which is normalised, over the caller's storage of at
 * least 4 ranges. Panics for less.
 */
void loam_memmap_init(struct loam_memmap *map, struct loam_mem_range *storage,
		      uint32_t capacity);

/*
 * Adds one entry of any kind. Zero length vanishes, an end past 2^64 is
 * clipped, unknown types become reserved: all counted and logged with the
 * entry's ordinal. When the storage is full it is normalised in place, which
 * makes room wherever entries touch, overlap or hide another. If that does not
 * help, whatever costs the fewest bytes is given up: a usable range is dropped
 * (memory is lost, nothing else), or two neighbours that are both not usable
 * become one of the stricter type, with the hole between them. No address is
 * ever usable against an entry's word, be it an earlier or a later one.
 * Returns 0, or -LOAM_ENOSPC if something was given up, which is logged.
 * Cost: O(1), or one normalisation when full.
 */
int loam_memmap_add(struct loam_memmap *map, uint64_t base, uint64_t length,
		    uint32_t type);

/*
 * Adds `count` E820 replies laid out every `stride` bytes (at least 20), the
 * reply of entry i having reply_bytes[i] bytes: below 24 the attributes are
 * taken as 1; below 20 the entry is malformed. reply_bytes NULL: as many as the
 * stride. Entries whose attribute bit 0 is clear are ignored.
 * Returns 0, or the first error: of loam_memmap_add(), or -LOAM_EINVAL for a
 * malformed entry (the rest is still read), or for a stride below 20.
 */
int loam_memmap_add_e820(struct loam_memmap *map, const void *replies,
			 size_t count, size_t stride,
			 const uint8_t *reply_bytes);

/*
 * Adds a Multiboot 1 mmap: entries that begin with their own size (of what
 * follows the size field, at least 20), `bytes` in all. Malformed entries are
 * reported by number and offset; what precedes them is used.
 * Returns 0, -LOAM_EINVAL if something was malformed or there is nothing at all
 * (mmap NULL or bytes 0), or -LOAM_ENOSPC of loam_memmap_add().
 */
int loam_memmap_add_multiboot1(struct loam_memmap *map, const void *mmap,
			       size_t bytes);

/*
 * Adds the entries of a Multiboot 2 memory map tag (type 6). `tag` points at
 * the tag's header, `bytes` is what may be read. Entries have the size that the
 * tag states. Errors as above.
 */
int loam_memmap_add_multiboot2(struct loam_memmap *map, const void *tag,
			       size_t bytes);

/*
 * What one memory descriptor of UEFI says, as an entry of the kind above: at
 * least 40 bytes, of which `bytes` can be read. What the firmware needs no more
 * once it has handed over (loader, boot services, conventional memory) is
 * usable if it can be cached for writing; ACPI tables, NVS, persistent and bad
 * memory are what they are; runtime services, devices and every other type are
 * reserved. -LOAM_EINVAL, *out untouched: too short.
 */
int loam_memmap_efi_entry(const void *descriptor, size_t bytes,
			  struct loam_memmap_entry *out);

/*
 * Adds the map that GetMemoryMap() of UEFI gives, `bytes` in all: descriptors
 * laid out every `descriptor_bytes`, which the firmware says, and which is more
 * than 40 where it has more to tell than is known here.
 * Returns 0, the first error of loam_memmap_add(), or -LOAM_EINVAL: there is
 * nothing, descriptors are shorter than 40 bytes, or the last one is cut off
 * (the others are used).
 */
int loam_memmap_add_efi(struct loam_memmap *map, const void *descriptors,
			size_t bytes, size_t descriptor_bytes);

/*
 * Adds what INT 15h, AX=E801h said: KiB between 1 and 16 MiB, and 64 KiB units
 * above 16 MiB; and low memory of INT 12h in KiB. More than fits below 640 KiB
 * or 16 MiB is clipped, counted as malformed and logged.
 * Returns 0, or the first error of loam_memmap_add().
 */
int loam_memmap_add_e801(struct loam_memmap *map, uint32_t low_kib,
			 uint32_t kib_above_1m, uint32_t units_above_16m);

/* Adds what INT 15h, AH=88h said: KiB above 1 MiB. As above. */
int loam_memmap_add_88(struct loam_memmap *map, uint32_t low_kib,
		       uint32_t kib_above_1m);

/*
 * Sorts and sweeps: where entries overlap the most restrictive type wins
 * (unusable > NVS > reserved and unknown > ACPI data > persistent > usable),
 * equal neighbours merge. Idempotent. In place: no storage beyond the map's;
 * when the result has more ranges than there is room, the same rule as for a
 * full map holds. Returns 0 or -LOAM_ENOSPC.
 * Cost: O(n log n), no recursion (heap sort of Williams 1964), no worst case.
 */
int loam_memmap_normalise(struct loam_memmap *map);

/*
 * The functions below need a normalised map, and panic without.
 */

/* The type at an address: LOAM_MEM_NONE where nothing was said. O(log n). */
uint32_t loam_memmap_type_at(const struct loam_memmap *map, loam_phys_t phys);

/* True if all of [base, base + size) is usable; size 0 and wraps: false. */
bool loam_memmap_is_usable(const struct loam_memmap *map, loam_phys_t base,
			   loam_phys_t size);

/*
 * The next run of whole usable frames whose first frame is >= *pfn: sets *pfn
 * to its first frame and *count to its length and returns true, or returns
 * false when there is none. Start with *pfn = 0, go on with *pfn += *count.
 * Frame numbers are 64 bits wide here: maps may reach beyond 16 TiB.
 */
bool loam_memmap_next_usable(const struct loam_memmap *map, uint64_t *pfn,
			     uint64_t *count);

/*
 * Frames wholly inside usable memory, and the exclusive end of the highest (0
 * if there is none).
 */
uint64_t loam_memmap_usable_frames(const struct loam_memmap *map);
uint64_t loam_memmap_max_usable_pfn(const struct loam_memmap *map);

/* "usable", "reserved", "ACPI data", ... */
const char *loam_memmap_type_name(uint32_t type);

/*
 * 0, or -LOAM_EFAULT (logged) when the map is not normalised or an invariant of
 * a normalised map fails. O(n).
 */
int loam_memmap_check(const struct loam_memmap *map);

#endif

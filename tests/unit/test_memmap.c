/* SPDX-License-Identifier: MIT */
/* The memory map: entries of every kind, hostile ones, and a model. */
#include "test.h"

#include <stddef.h>

#include <loam/bits.h>
#include <loam/memmap.h>

#define RANGES 256
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static struct loam_mem_range storage[RANGES];
static struct loam_memmap map;

static void begin(uint32_t capacity)
{
	loam_memmap_init(&map, storage, capacity);
}

static void finish(void)
{
	EXPECT_EQ(loam_memmap_normalise(&map), 0);
	EXPECT_EQ(loam_memmap_check(&map), 0);
}

static void expect_range(uint32_t i, uint64_t base, uint64_t end, uint32_t type)
{
	EXPECT(i < map.count);
	EXPECT_EQ(map.ranges[i].base, base);
	EXPECT_EQ(map.ranges[i].base + map.ranges[i].size, end);
	EXPECT_EQ(map.ranges[i].type, type);
}

/* How often text occurs in the log. */
static unsigned log_count(const char *text)
{
	unsigned count = 0;
	const char *at = hosted_log_text();
	while ((at = strstr(at, text)) != NULL) {
		count++;
		at += strlen(text);
	}
	return count;
}

static void put32(unsigned char *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++) {
		to[i] = (unsigned char)(value >> (8 * i));
	}
}

static void put64(unsigned char *to, uint64_t value)
{
	put32(to, (uint32_t)value);
	put32(to + 4, (uint32_t)(value >> 32));
}

/* Writes base, length and type, as all the binary layouts have them. */
static void put_entry(unsigned char *to, uint64_t base, uint64_t length,
		      uint32_t type)
{
	put64(to, base);
	put64(to + 8, length);
	put32(to + 16, type);
}

TEST(entry_layout, "S1.2 an entry has 24 bytes, its fields at 0, 8, 16, 20")
{
	EXPECT_EQ(sizeof(struct loam_memmap_entry), 24);
	EXPECT_EQ(offsetof(struct loam_memmap_entry, base), 0);
	EXPECT_EQ(offsetof(struct loam_memmap_entry, length), 8);
	EXPECT_EQ(offsetof(struct loam_memmap_entry, type), 16);
	EXPECT_EQ(offsetof(struct loam_memmap_entry, attributes), 20);
}

/* The map that SeaBIOS gives a machine of the emulator's default type. */
static void add_pc(uint64_t memory)
{
	uint64_t low = memory < GIB(3) + MIB(512) ? memory : GIB(3);
	struct loam_memmap_entry entries[] = {
		{ 0, 0x9fc00, 1, 1 },
		{ 0x9fc00, 0x400, 2, 1 },
		{ 0xf0000, 0x10000, 2, 1 },
		{ MIB(1), low - MIB(1) - 0x20000, 1, 1 },
		{ low - 0x20000, 0x20000, 2, 1 },
		{ 0xfffc0000, 0x40000, 2, 1 },
		{ GIB(4), memory - low, 1, 1 },
		{ 0xfd00000000, 0x300000000, 2, 1 },
	};
	EXPECT_EQ(loam_memmap_add_e820(&map, entries, LOAM_ARRAY_SIZE(entries),
				       sizeof(entries[0]), NULL),
		  0);
}

TEST(totals, "S1.3 S2.18 usable memory is what the machine has minus the holes")
{
	static const unsigned sizes[] = { 5,   8,    12,   16,   64,  128,
					  512, 3000, 3584, 4096, 5000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		begin(RANGES);
		add_pc(MIB(sizes[i]));
		finish();
		/* 0x9fc00 rounds down to 159 frames; 128 KiB are reserved. */
		uint64_t frames = (MIB(sizes[i]) - MIB(1) - 0x20000) / 4096;
		EXPECT_EQ(loam_memmap_usable_frames(&map), frames + 159);
	}
}

TEST(restrictive, "S1.16 X.3 a reserved entry that overlaps a usable one wins")
{
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add(&map, 0, MIB(16), LOAM_MEM_USABLE), 0);
	EXPECT_EQ(loam_memmap_add(&map, MIB(4), MIB(1), LOAM_MEM_RESERVED), 0);
	finish();
	EXPECT_EQ(map.count, 3);
	expect_range(0, 0, MIB(4), LOAM_MEM_USABLE);
	expect_range(1, MIB(4), MIB(5), LOAM_MEM_RESERVED);
	expect_range(2, MIB(5), MIB(16), LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.overlapping, 1);
	EXPECT_LOG("entry 1 (reserved, 0x400000-0x4fffff) overlaps entry 0"
		   " (usable, 0x0-0xffffff)");
	EXPECT(!loam_memmap_is_usable(&map, MIB(3), MIB(1) + 1));
	EXPECT(loam_memmap_is_usable(&map, MIB(3), MIB(1)));
}

TEST(adjacent, "S1.16 adjacent usable entries count as one")
{
	begin(RANGES);
	loam_memmap_add(&map, MIB(2), MIB(1), LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(1), MIB(1), LOAM_MEM_USABLE);
	/* Two halves of a frame make a frame. */
	loam_memmap_add(&map, MIB(3), 2048, LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(3) + 2048, 2048, LOAM_MEM_USABLE);
	finish();
	EXPECT_EQ(map.count, 1);
	expect_range(0, MIB(1), MIB(3) + 4096, LOAM_MEM_USABLE);
	EXPECT(loam_memmap_is_usable(&map, MIB(1), MIB(2) + 4096));
	EXPECT_EQ(loam_memmap_usable_frames(&map), 513);
	EXPECT_EQ(map.stats.overlapping, 0);
}

TEST(ranks, "X.3 each type beats the less restrictive ones, in any order")
{
	static const uint32_t strict[] = {
		LOAM_MEM_USABLE,   LOAM_MEM_PERSISTENT, LOAM_MEM_ACPI_DATA,
		LOAM_MEM_RESERVED, LOAM_MEM_ACPI_NVS,   LOAM_MEM_UNUSABLE,
	};
	for (unsigned a = 0; a < LOAM_ARRAY_SIZE(strict); a++) {
		for (unsigned b = 0; b < LOAM_ARRAY_SIZE(strict); b++) {
			begin(RANGES);
			loam_memmap_add(&map, 0, 8192, strict[a]);
			loam_memmap_add(&map, 4096, 8192, strict[b]);
			finish();
			EXPECT_EQ(loam_memmap_type_at(&map, 0), strict[a]);
			EXPECT_EQ(loam_memmap_type_at(&map, 5000),
				  strict[a > b ? a : b]);
			EXPECT_EQ(loam_memmap_type_at(&map, 12287), strict[b]);
			EXPECT_EQ(loam_memmap_type_at(&map, 12288),
				  LOAM_MEM_NONE);
		}
	}
}

TEST(e820_replies, "S1.31 replies of 20 and 24 bytes, ignored and empty ones")
{
	unsigned char replies[7 * 24] = { 0 };
	static const uint8_t bytes[7] = { 20, 24, 24, 20, 19, 24, 22 };
	put_entry(replies + 0 * 24, 0, 0x9fc00, 1);
	put_entry(replies + 1 * 24, 0x9fc00, 0x400, 2);
	put32(replies + 1 * 24 + 20, 1);
	/* Attribute bit 0 is clear: the entry is to be ignored. */
	put_entry(replies + 2 * 24, MIB(1), MIB(1), 1);
	put32(replies + 2 * 24 + 20, 2);
	/* The fourth has no length, the fifth is short of a byte. */
	put_entry(replies + 3 * 24, MIB(2), 0, 1);
	put_entry(replies + 4 * 24, MIB(3), MIB(1), 1);
	put_entry(replies + 5 * 24, MIB(4), MIB(1), 1);
	put32(replies + 5 * 24 + 20, 3);
	/* Less than 24 bytes have no attributes: what lies there is old. */
	put_entry(replies + 6 * 24, MIB(5), MIB(1), 1);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e820(&map, replies, 7, 24, bytes),
		  -LOAM_EINVAL);
	finish();
	EXPECT_EQ(map.count, 3);
	expect_range(0, 0, 0x9fc00, LOAM_MEM_USABLE);
	expect_range(1, 0x9fc00, KIB(640), LOAM_MEM_RESERVED);
	expect_range(2, MIB(4), MIB(6), LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.entries, 7);
	EXPECT_EQ(map.stats.ignored, 1);
	EXPECT_EQ(map.stats.zero_length, 1);
	EXPECT_EQ(map.stats.malformed, 1);
	EXPECT_LOG("entry 2 (type 1, 0x100000, length 0x100000) says that it"
		   " is to be ignored (attributes 0x2)");
	EXPECT_LOG("entry 3 (type 1, at 0x200000) has no length");
	EXPECT_LOG("entry 4 has 19 bytes where at least 20 are due");
}

TEST(e820_strides,
     "S1.31 a list of one entry; strides that carry no attributes")
{
	unsigned char reply[28] = { 0 };
	put_entry(reply, MIB(1), MIB(1), 1);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e820(&map, reply, 1, 20, NULL), 0);
	finish();
	EXPECT_EQ(loam_memmap_usable_frames(&map), 256);
	/* 24 bytes are claimed, but the stride has no room for them. */
	static const uint8_t claimed = 24;
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e820(&map, reply, 1, 20, &claimed), 0);
	finish();
	EXPECT_EQ(loam_memmap_usable_frames(&map), 256);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e820(&map, reply, 1, 28, NULL), 0);
	EXPECT_EQ(map.stats.ignored, 1);
	EXPECT_EQ(loam_memmap_add_e820(&map, reply, 1, 19, NULL), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_add_e820(&map, NULL, 1, 24, NULL), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_add_e820(&map, NULL, 0, 24, NULL), 0);
	EXPECT_EQ(map.stats.entries, 1);
}

TEST(e820_many, "S1.31 128 entries and more; no silent limit")
{
	static struct loam_memmap_entry entries[200];
	for (unsigned i = 0; i < 200; i++) {
		entries[i] = (struct loam_memmap_entry){
			.base = MIB(2 * (199 - i)),
			.length = MIB(1),
			.type = LOAM_MEM_USABLE,
			.attributes = 1,
		};
	}
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e820(&map, entries, 200, 24, NULL), 0);
	finish();
	EXPECT_EQ(map.count, 200);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 200 * 256);
}

/* Appends a Multiboot 1 entry whose size field is `size`. */
static size_t put_multiboot1(unsigned char *to, uint32_t size, uint64_t base,
			     uint64_t length, uint32_t type)
{
	put32(to, size);
	put_entry(to + 4, base, length, type);
	return 4 + (size_t)size;
}

TEST(multiboot1, "S4.4 S4.5 a Multiboot map is walked by each entry's own size")
{
	unsigned char mmap[256] = { 0 };
	size_t at = 1; /* not aligned */
	at += put_multiboot1(mmap + at, 20, 0, 0x9fc00, 1);
	at += put_multiboot1(mmap + at, 24, 0x9fc00, 0x400, 2);
	at += put_multiboot1(mmap + at, 33, MIB(1), MIB(127), 1);
	at += put_multiboot1(mmap + at, 20, GIB(4), GIB(1), 1);
	/* The type has 32 bits: read as one byte, this would be usable. */
	at += put_multiboot1(mmap + at, 20, GIB(8), GIB(1), 0x101);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_multiboot1(&map, mmap + 1, at - 1), 0);
	finish();
	EXPECT_EQ(map.count, 5);
	expect_range(0, 0, 0x9fc00, LOAM_MEM_USABLE);
	expect_range(1, 0x9fc00, KIB(640), LOAM_MEM_RESERVED);
	expect_range(2, MIB(1), MIB(128), LOAM_MEM_USABLE);
	expect_range(3, GIB(4), GIB(5), LOAM_MEM_USABLE);
	expect_range(4, GIB(8), GIB(9), LOAM_MEM_RESERVED);
	EXPECT_EQ(map.stats.unknown_type, 1);
}

TEST(multiboot1_wide, "S4.5 64-bit entries are not cut to 32 bits but clipped")
{
	unsigned char mmap[64] = { 0 };
	size_t at = put_multiboot1(mmap, 20, GIB(4), ~(uint64_t)0, 1);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_multiboot1(&map, mmap, at), 0);
	finish();
	EXPECT_EQ(map.count, 1);
	expect_range(0, GIB(4), LOAM_PHYS_NONE, LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.wrapping, 1);
	EXPECT_LOG("entry 0 (type 1, 0x100000000, length 0xffffffffffffffff)"
		   " goes beyond 2^64: clipped");
	EXPECT(!loam_memmap_is_usable(&map, 0, 4096));
}

TEST(multiboot1_bad,
     "S4.5 a malformed entry is named, what precedes it is used")
{
	static const uint32_t sizes[] = { 0,          19,         21,
					  0x7fffffff, 0xfffffffc, 0xffffffff };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		unsigned char mmap[48] = { 0 };
		put_multiboot1(mmap, 20, 0, MIB(1), 1);
		put_multiboot1(mmap + 24, sizes[i], MIB(1), MIB(1), 1);
		char text[80];
		snprintf(text, sizeof(text),
			 "entry 1 at offset 24 has size %u, with 24 bytes left",
			 sizes[i]);
		begin(RANGES);
		EXPECT_EQ(loam_memmap_add_multiboot1(&map, mmap, 48),
			  -LOAM_EINVAL);
		finish();
		EXPECT_EQ(map.count, 1);
		expect_range(0, 0, MIB(1), LOAM_MEM_USABLE);
		EXPECT_EQ(map.stats.malformed, 1);
		EXPECT_EQ(map.stats.entries, 2);
		EXPECT_LOG(text);
	}
}

TEST(multiboot1_cut, "S4.5 a Multiboot map cut at any byte is never overrun")
{
	unsigned char whole[72] = { 0 };
	for (unsigned i = 0; i < 3; i++) {
		put_multiboot1(whole + 24 * i, 20, MIB(i), MIB(1), 1);
	}
	for (size_t bytes = 0; bytes <= sizeof(whole); bytes++) {
		/* An allocation of exactly that size lets ASan watch. */
		unsigned char *cut = malloc(bytes + 1);
		EXPECT(cut != NULL);
		memcpy(cut, whole, bytes);
		unsigned char *exact = realloc(cut, bytes != 0 ? bytes : 1);
		EXPECT(exact != NULL);
		begin(RANGES);
		int error = loam_memmap_add_multiboot1(&map, exact, bytes);
		free(exact);
		bool complete = bytes != 0 && bytes % 24 == 0;
		EXPECT_EQ(error, complete ? 0 : -LOAM_EINVAL);
		finish();
		EXPECT_EQ(loam_memmap_usable_frames(&map), bytes / 24 * 256);
	}
	EXPECT_LOG("the Multiboot memory map is empty");
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_multiboot1(&map, NULL, 24), -LOAM_EINVAL);
}

/* A Multiboot 2 tag with `count` entries of 1 MiB, usable. */
static size_t put_multiboot2(unsigned char *to, uint32_t entry_size,
			     unsigned count)
{
	size_t bytes = 16 + (size_t)entry_size * count;
	put32(to, 6);
	put32(to + 4, (uint32_t)bytes);
	put32(to + 8, entry_size);
	put32(to + 12, 0);
	for (unsigned i = 0; i < count; i++) {
		put_entry(to + 16 + (size_t)entry_size * i, MIB(2 * i), MIB(1),
			  1);
	}
	return bytes;
}

TEST(multiboot2,
     "S4.4 a Multiboot 2 map is walked by the entry size of its tag")
{
	unsigned char tag[512] = { 0 };
	static const uint32_t sizes[] = { 20, 24, 32, 40 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		size_t bytes = put_multiboot2(tag, sizes[i], 8);
		begin(RANGES);
		EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, bytes), 0);
		finish();
		EXPECT_EQ(map.count, 8);
		EXPECT_EQ(loam_memmap_usable_frames(&map), 8 * 256);
		/* Bytes behind the tag are not its entries. */
		begin(RANGES);
		EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, sizeof(tag)),
			  0);
		EXPECT_EQ(map.stats.entries, 8);
	}
}

TEST(multiboot2_bad, "S4.5 a Multiboot 2 tag that cannot be is refused")
{
	unsigned char tag[64] = { 0 };
	size_t bytes = put_multiboot2(tag, 24, 2);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, NULL, bytes), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, 15), -LOAM_EINVAL);
	EXPECT_LOG("no Multiboot 2 memory map tag of at least 16 bytes");
	put32(tag, 5);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, bytes), -LOAM_EINVAL);
	put32(tag, 6);
	put32(tag + 8, 19);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, bytes), -LOAM_EINVAL);
	EXPECT_LOG("with entries of size 19: nothing is read");
	put32(tag + 8, 24);
	put32(tag + 4, 15);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, bytes), -LOAM_EINVAL);
	EXPECT_EQ(map.stats.entries, 0);
	/* The tag claims more than there is: the whole entries are used. */
	put32(tag + 4, 0xffffffff);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, bytes - 1),
		  -LOAM_EINVAL);
	EXPECT_LOG("of size 4294967295 ends after 63 bytes");
	EXPECT_LOG("entry 1 at offset 40 has 23 bytes where 24 are due");
	finish();
	EXPECT_EQ(loam_memmap_usable_frames(&map), 256);
	/* An entry size beyond everything leaves no entry. */
	put32(tag + 8, 0xffffffff);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_multiboot2(&map, tag, bytes), -LOAM_EINVAL);
	EXPECT_EQ(map.stats.malformed, 1);
	finish();
	EXPECT_EQ(map.count, 0);
}

TEST(e801, "E801h gives two blocks that are one where they touch")
{
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e801(&map, 636, 15360, 128 * 16), 0);
	finish();
	EXPECT_EQ(map.count, 2);
	expect_range(0, 0, KIB(636), LOAM_MEM_USABLE);
	expect_range(1, MIB(1), MIB(144), LOAM_MEM_USABLE);
	/* A hole below 16 MiB; then a machine that has no more than that. */
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e801(&map, 640, 14336, 16), 0);
	finish();
	EXPECT_EQ(map.count, 3);
	expect_range(1, MIB(1), MIB(15), LOAM_MEM_USABLE);
	expect_range(2, MIB(16), MIB(17), LOAM_MEM_USABLE);
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e801(&map, 640, 7168, 0), 0);
	finish();
	expect_range(1, MIB(1), MIB(8), LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.zero_length, 0);
}

TEST(e801_bad,
     "E801h and INT 12h that claim too much are clipped, and it is said")
{
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_e801(&map, 641, 65535, 0xffffffff), 0);
	finish();
	EXPECT_EQ(map.count, 2);
	expect_range(0, 0, KIB(640), LOAM_MEM_USABLE);
	expect_range(1, MIB(1), MIB(16) + ((uint64_t)0xffffffff << 16),
		     LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.malformed, 2);
	EXPECT_LOG("entry 0 has 641 KiB of low memory: clipped to 640 KiB");
	EXPECT_LOG("entry 1 has 65535 KiB between 1 and 16 MiB");
}

TEST(int88, "88h gives one block above 1 MiB")
{
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_88(&map, 636, 7488), 0);
	finish();
	EXPECT_EQ(map.count, 2);
	expect_range(1, MIB(1), 0x850000, LOAM_MEM_USABLE);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 2031);
	/* Nothing at all was found: no memory, not a wrong one. */
	begin(RANGES);
	EXPECT_EQ(loam_memmap_add_88(&map, 0, 0), 0);
	finish();
	EXPECT_EQ(map.count, 0);
	EXPECT_EQ(map.stats.zero_length, 2);
}

TEST(odd_bytes, "S2.17 X.3 usable ranges round inwards to frames")
{
	static const struct {
		uint64_t base;
		uint64_t size;
		uint64_t first;
		uint64_t count;
	} rows[] = {
		{ 0, 4096, 0, 1 },    { 0, 4095, 0, 0 },
		{ 1, 4096, 0, 0 },    { 1, 8191, 1, 1 },
		{ 4095, 4098, 1, 1 }, { 4097, 8191, 2, 1 },
		{ 0x1234, 1, 0, 0 },  { 100, 3000, 0, 0 },
		{ 4000, 200, 0, 0 },  { 0x7de2000, 0x2ec0, 0x7de2, 2 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		begin(RANGES);
		loam_memmap_add(&map, rows[i].base, rows[i].size, 1);
		finish();
		EXPECT_EQ(loam_memmap_usable_frames(&map), rows[i].count);
		uint64_t pfn = 0;
		uint64_t count = 0;
		EXPECT_EQ(loam_memmap_next_usable(&map, &pfn, &count),
			  rows[i].count != 0);
		EXPECT_EQ(pfn, rows[i].first);
		EXPECT_EQ(count, rows[i].count);
		EXPECT_EQ(loam_memmap_max_usable_pfn(&map),
			  rows[i].count != 0 ? pfn + count : 0);
	}
}

TEST(top, "S2.17 ranges at and around 2^64 do not wrap")
{
	uint64_t top = ~(uint64_t)0;
	begin(RANGES);
	/* Ends exactly at 2^64: no mistake; its last frame is not whole. */
	loam_memmap_add(&map, top - 8191, 8192, LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.wrapping, 0);
	finish();
	EXPECT_EQ(loam_memmap_usable_frames(&map), 1);
	EXPECT_EQ(loam_memmap_max_usable_pfn(&map), top >> 12);
	uint64_t pfn = top >> 12;
	uint64_t count;
	EXPECT(!loam_memmap_next_usable(&map, &pfn, &count));
	pfn = top;
	EXPECT(!loam_memmap_next_usable(&map, &pfn, &count));
	EXPECT_EQ(pfn, top);
	/* The whole space, twice, and its last byte, which is no address. */
	begin(RANGES);
	loam_memmap_add(&map, 0, top, LOAM_MEM_USABLE);
	loam_memmap_add(&map, top, 1, LOAM_MEM_USABLE);
	loam_memmap_add(&map, 1, top, LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.wrapping, 0);
	loam_memmap_add(&map, 2, top, LOAM_MEM_USABLE);
	EXPECT_EQ(map.stats.wrapping, 1);
	finish();
	EXPECT_EQ(map.count, 1);
	expect_range(0, 0, top, LOAM_MEM_USABLE);
	EXPECT_EQ(loam_memmap_usable_frames(&map), top >> 12);
	EXPECT_EQ(loam_memmap_type_at(&map, top), LOAM_MEM_NONE);
	EXPECT(loam_memmap_is_usable(&map, 0, top));
	EXPECT(!loam_memmap_is_usable(&map, 1, top));
	EXPECT(!loam_memmap_is_usable(&map, top, 1));
	/* A restrictive entry that would wrap reserves what it can. */
	begin(RANGES);
	loam_memmap_add(&map, 0, top, LOAM_MEM_USABLE);
	loam_memmap_add(&map, GIB(4), top, LOAM_MEM_RESERVED);
	finish();
	EXPECT_EQ(loam_memmap_max_usable_pfn(&map), 1 << 20);
}

TEST(no_entries, "no entries at all: an empty map, and no memory")
{
	begin(4);
	finish();
	EXPECT_EQ(map.count, 0);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 0);
	EXPECT_EQ(loam_memmap_max_usable_pfn(&map), 0);
	EXPECT_EQ(loam_memmap_type_at(&map, 0), LOAM_MEM_NONE);
	EXPECT(!loam_memmap_is_usable(&map, 0, 1));
	loam_memmap_add(&map, MIB(1), 0, LOAM_MEM_USABLE);
	finish();
	EXPECT_EQ(map.count, 0);
}

TEST(is_usable, "a range is usable only as a whole; empty ranges never are")
{
	begin(RANGES);
	loam_memmap_add(&map, MIB(1), MIB(1), LOAM_MEM_USABLE);
	finish();
	EXPECT(loam_memmap_is_usable(&map, MIB(1), MIB(1)));
	EXPECT(loam_memmap_is_usable(&map, MIB(2) - 1, 1));
	EXPECT(!loam_memmap_is_usable(&map, MIB(1), 0));
	EXPECT(!loam_memmap_is_usable(&map, MIB(1) - 1, 2));
	EXPECT(!loam_memmap_is_usable(&map, MIB(2) - 1, 2));
	EXPECT(!loam_memmap_is_usable(&map, MIB(2), 1));
	EXPECT(!loam_memmap_is_usable(&map, MIB(1), ~(uint64_t)0));
}

TEST(ordinals, "a range names the first entry that it came from")
{
	begin(RANGES);
	for (unsigned i = 0; i < 40; i++) {
		loam_memmap_add(&map, MIB(8), MIB(1 + i % 7), i < 3 ? 2 : 1);
		loam_memmap_add(&map, MIB(64 + i % 5), MIB(1), 1);
	}
	finish();
	EXPECT_EQ(map.count, 3);
	EXPECT_EQ(map.ranges[0].ordinal, 0);
	EXPECT_EQ(map.ranges[1].ordinal, 6);
	EXPECT_EQ(map.ranges[2].ordinal, 1);
}

TEST(unknown_types, "unknown types are reserved, each number of them")
{
	static const uint32_t types[] = { 0,  6,   8,          12,
					  20, 128, 0x80000001, 0xffffffff };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(types); i++) {
		begin(RANGES);
		loam_memmap_add(&map, 0, MIB(2), LOAM_MEM_USABLE);
		loam_memmap_add(&map, MIB(1), 4096, types[i]);
		finish();
		EXPECT_EQ(loam_memmap_type_at(&map, MIB(1)), LOAM_MEM_RESERVED);
		EXPECT_EQ(map.stats.unknown_type, 1);
		char text[80];
		snprintf(text, sizeof(text),
			 "entry 1 (0x100000-0x100fff) has unknown type %u",
			 types[i]);
		EXPECT_LOG(text);
	}
}

TEST(type_names, "every type has a name")
{
	EXPECT(strcmp(loam_memmap_type_name(LOAM_MEM_NONE), "nothing") == 0);
	EXPECT(strcmp(loam_memmap_type_name(LOAM_MEM_USABLE), "usable") == 0);
	EXPECT(strcmp(loam_memmap_type_name(2), "reserved") == 0);
	EXPECT(strcmp(loam_memmap_type_name(3), "ACPI data") == 0);
	EXPECT(strcmp(loam_memmap_type_name(4), "ACPI NVS") == 0);
	EXPECT(strcmp(loam_memmap_type_name(5), "unusable") == 0);
	EXPECT(strcmp(loam_memmap_type_name(7), "persistent") == 0);
	EXPECT(strcmp(loam_memmap_type_name(6), "unknown") == 0);
}

TEST(idempotent, "normalising twice changes nothing, adding later works")
{
	begin(RANGES);
	add_pc(MIB(128));
	finish();
	struct loam_mem_range before[RANGES];
	uint32_t count = map.count;
	memcpy(before, map.ranges, sizeof(before));
	EXPECT_EQ(loam_memmap_normalise(&map), 0);
	EXPECT_EQ(map.count, count);
	EXPECT(memcmp(before, map.ranges, sizeof(before)) == 0);
	loam_memmap_add(&map, MIB(64), MIB(1), LOAM_MEM_UNUSABLE);
	EXPECT_EQ(loam_memmap_check(&map), -LOAM_EFAULT);
	finish();
	EXPECT_EQ(map.count, count + 2);
	EXPECT_EQ(loam_memmap_type_at(&map, MIB(64)), LOAM_MEM_UNUSABLE);
}

TEST(flood, "thousands of hostile entries are counted, not all logged")
{
	begin(64);
	for (unsigned i = 0; i < 5000; i++) {
		loam_memmap_add(&map, MIB(i), 0, LOAM_MEM_USABLE);
		loam_memmap_add(&map, MIB(1), MIB(1), LOAM_MEM_USABLE);
		loam_memmap_add(&map, MIB(1), 4096, 99);
	}
	finish();
	EXPECT_EQ(map.stats.entries, 15000);
	EXPECT_EQ(map.stats.zero_length, 5000);
	EXPECT_EQ(map.stats.unknown_type, 5000);
	EXPECT(map.stats.overlapping >= 9999);
	EXPECT_EQ(map.stats.dropped, 0);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 255);
	EXPECT_EQ(log_count("has no length"), 16);
	EXPECT_EQ(log_count("overlaps entry"), 16);
	EXPECT_EQ(log_count("has unknown type"), 16);
	EXPECT_LOG("5000 entries have no length, of which the first 16");
	EXPECT_LOG("entries overlap others, of which the first 16");
	EXPECT_LOG("5000 entries have an unknown type");
}

TEST(joining_makes_room, "a full map makes room wherever entries touch")
{
	begin(4);
	/* Downwards: no entry touches one that sorts before it. */
	for (unsigned i = 1000; i > 0; i--) {
		EXPECT_EQ(loam_memmap_add(&map, MIB(i), MIB(1), 1), 0);
		EXPECT_EQ(loam_memmap_add(&map, GIB(2) + MIB(i), MIB(1), 2), 0);
	}
	finish();
	EXPECT_EQ(map.count, 2);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 256000);
	EXPECT_EQ(map.stats.dropped, 0);
}

TEST(absorbed, "an entry that needs no place of its own fits into a full map")
{
	for (unsigned i = 0; i < 5; i++) {
		begin(4);
		for (unsigned k = 0; k < 4; k++) {
			loam_memmap_add(&map, MIB(10 * k), MIB(4),
					k == 1 ? LOAM_MEM_ACPI_NVS : 1);
		}
		int error = 0;
		switch (i) {
		case 0: /* known already */
			error = loam_memmap_add(&map, MIB(21), MIB(1), 1);
			break;
		case 1: /* hidden by something stricter */
			error = loam_memmap_add(&map, MIB(11), MIB(1), 2);
			break;
		case 2: /* continues a range upwards */
			error = loam_memmap_add(&map, MIB(24), MIB(1), 1);
			EXPECT_EQ(loam_memmap_normalise(&map), 0);
			EXPECT(loam_memmap_is_usable(&map, MIB(20), MIB(5)));
			break;
		case 3: /* and downwards, into a hole */
			error = loam_memmap_add(&map, MIB(19), MIB(2), 1);
			EXPECT_EQ(loam_memmap_normalise(&map), 0);
			EXPECT(loam_memmap_is_usable(&map, MIB(19), MIB(5)));
			break;
		case 4: /* hides a range */
			error = loam_memmap_add(&map, MIB(18), MIB(10), 5);
			EXPECT_EQ(loam_memmap_normalise(&map), 0);
			EXPECT_EQ(loam_memmap_type_at(&map, MIB(18)), 5);
			break;
		}
		EXPECT_EQ(error, 0);
		finish();
		EXPECT_EQ(map.count, 4);
		EXPECT_EQ(map.stats.dropped, 0);
	}
}

TEST(overflow_usable, "a full map loses the smallest usable range, and says so")
{
	begin(4);
	loam_memmap_add(&map, MIB(1), MIB(8), LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(16), 8192, LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(32), MIB(4), LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(64), MIB(4), LOAM_MEM_USABLE);
	/* Smaller than all: it is the one to go. */
	EXPECT_EQ(loam_memmap_add(&map, MIB(48), 4096, LOAM_MEM_USABLE),
		  -LOAM_ENOSPC);
	EXPECT_LOG("no room for more than 4 ranges: usable memory"
		   " 0x3000000-0x3000fff of entry 4 is not used");
	EXPECT_EQ(loam_memmap_add(&map, MIB(96), MIB(1), LOAM_MEM_USABLE),
		  -LOAM_ENOSPC);
	EXPECT_LOG("usable memory 0x1000000-0x1001fff of entry 1 is not used");
	finish();
	EXPECT_EQ(map.count, 4);
	EXPECT_EQ(map.stats.dropped, 2);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 17 * 256);
}

TEST(overflow_strict,
     "a full map never forgets a restriction, even of later RAM")
{
	begin(4);
	for (unsigned i = 0; i < 4; i++) {
		loam_memmap_add(&map, GIB(i), MIB(1), LOAM_MEM_RESERVED);
	}
	EXPECT_EQ(loam_memmap_add(&map, GIB(3) + MIB(2), 4096, 4),
		  -LOAM_ENOSPC);
	EXPECT_LOG("entries 0 and 1 become one, reserved,"
		   " 0x0-0x400fffff");
	/* The lot becomes one, which makes room for all that comes. */
	EXPECT_EQ(loam_memmap_add(&map, 0, GIB(3), LOAM_MEM_RESERVED), 0);
	EXPECT_EQ(loam_memmap_add(&map, 0, GIB(8), LOAM_MEM_USABLE), 0);
	finish();
	EXPECT_EQ(map.count, 4);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(loam_memmap_type_at(&map, GIB(i)), LOAM_MEM_RESERVED);
	}
	EXPECT(!loam_memmap_is_usable(&map, GIB(3) + MIB(2), 4096));
	EXPECT(loam_memmap_is_usable(&map, GIB(4), GIB(4)));
}

TEST(overflow_not_yet,
     "nothing is lost if the result fits, however it comes about")
{
	begin(6);
	/* The first three make five ranges while six entries are there. */
	loam_memmap_add(&map, MIB(0), MIB(100), LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(10), MIB(1), LOAM_MEM_RESERVED);
	loam_memmap_add(&map, MIB(20), MIB(1), LOAM_MEM_RESERVED);
	/* Two of the other three are not seen. */
	loam_memmap_add(&map, MIB(200), MIB(100), LOAM_MEM_UNUSABLE);
	loam_memmap_add(&map, MIB(210), MIB(1), LOAM_MEM_RESERVED);
	loam_memmap_add(&map, MIB(220), MIB(1), LOAM_MEM_RESERVED);
	finish();
	EXPECT_EQ(map.count, 6);
	EXPECT_EQ(map.stats.dropped, 0);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 98 * 256);
}

TEST(overflow_continued,
     "a range that becomes stricter takes in what continues it")
{
	begin(5);
	loam_memmap_add(&map, 0, MIB(8), LOAM_MEM_USABLE);
	loam_memmap_add(&map, MIB(2), MIB(1), LOAM_MEM_RESERVED);
	loam_memmap_add(&map, MIB(10), MIB(90), LOAM_MEM_RESERVED);
	loam_memmap_add(&map, MIB(10), MIB(1), LOAM_MEM_ACPI_NVS);
	loam_memmap_add(&map, MIB(20), MIB(1), LOAM_MEM_ACPI_NVS);
	EXPECT_EQ(loam_memmap_normalise(&map), -LOAM_ENOSPC);
	EXPECT_EQ(loam_memmap_check(&map), 0);
	EXPECT_EQ(map.count, 5);
	expect_range(3, MIB(10), MIB(21), LOAM_MEM_ACPI_NVS);
	expect_range(4, MIB(21), MIB(100), LOAM_MEM_RESERVED);
	EXPECT_EQ(map.stats.dropped, 1);
	EXPECT_EQ(loam_memmap_usable_frames(&map), 7 * 256);
}

TEST(overflow_stricter,
     "ranges that become one get the stricter of their types")
{
	static const uint32_t rows[][3] = {
		{ LOAM_MEM_ACPI_DATA, LOAM_MEM_RESERVED, LOAM_MEM_RESERVED },
		{ LOAM_MEM_RESERVED, LOAM_MEM_ACPI_DATA, LOAM_MEM_RESERVED },
		{ LOAM_MEM_PERSISTENT, LOAM_MEM_ACPI_NVS, LOAM_MEM_ACPI_NVS },
		{ LOAM_MEM_ACPI_NVS, LOAM_MEM_PERSISTENT, LOAM_MEM_ACPI_NVS },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		begin(4);
		loam_memmap_add(&map, MIB(1), MIB(1), rows[i][0]);
		loam_memmap_add(&map, MIB(3), MIB(1), rows[i][1]);
		loam_memmap_add(&map, GIB(1), MIB(64), LOAM_MEM_USABLE);
		loam_memmap_add(&map, GIB(2), MIB(64), LOAM_MEM_USABLE);
		EXPECT_EQ(loam_memmap_add(&map, GIB(3), MIB(64), 1),
			  -LOAM_ENOSPC);
		finish();
		EXPECT_EQ(map.count, 4);
		expect_range(0, MIB(1), MIB(4), rows[i][2]);
		EXPECT_EQ(loam_memmap_usable_frames(&map), 3 * 64 * 256);
	}
}

TEST(overflow_split, "holes in RAM that do not fit cost the least RAM")
{
	begin(8);
	loam_memmap_add(&map, 0, MIB(256), LOAM_MEM_USABLE);
	for (unsigned i = 1; i < 8; i++) {
		EXPECT_EQ(loam_memmap_add(&map, MIB(32 * i) - MIB(i), 4096, 5),
			  0);
	}
	/* 15 ranges would be needed. */
	EXPECT_EQ(loam_memmap_normalise(&map), -LOAM_ENOSPC);
	EXPECT_EQ(loam_memmap_check(&map), 0);
	EXPECT(map.count <= 8);
	for (unsigned i = 1; i < 8; i++) {
		EXPECT(!loam_memmap_is_usable(&map, MIB(32 * i) - MIB(i), 1));
	}
	EXPECT(loam_memmap_usable_frames(&map) >= 64 * 256);
	EXPECT(map.stats.dropped > 0);
}

TEST(init_bad, "a storage of fewer than 4 ranges is refused")
{
	EXPECT_PANIC(loam_memmap_init(&map, storage, 3), "capacity >= 4");
	EXPECT_PANIC(loam_memmap_init(&map, NULL, 8), "storage != NULL");
}

TEST(not_normalised, "asking a map that is not normalised panics")
{
	begin(8);
	loam_memmap_add(&map, 0, MIB(1), LOAM_MEM_USABLE);
	uint64_t pfn = 0;
	uint64_t count;
	EXPECT_PANIC(loam_memmap_type_at(&map, 0), "normalised");
	EXPECT_PANIC(loam_memmap_is_usable(&map, 0, 1), "normalised");
	EXPECT_PANIC(loam_memmap_next_usable(&map, &pfn, &count), "normalised");
	EXPECT_PANIC(loam_memmap_max_usable_pfn(&map), "normalised");
}

TEST(check_finds, "check() finds each invariant broken")
{
	static const struct loam_mem_range good[3] = {
		{ 0, MIB(1), LOAM_MEM_USABLE, 0 },
		{ MIB(1), MIB(1), LOAM_MEM_RESERVED, 1 },
		{ MIB(4), MIB(1), LOAM_MEM_RESERVED, 2 },
	};
	for (unsigned i = 0; i < 8; i++) {
		begin(8);
		memcpy(storage, good, sizeof(good));
		map.count = 3;
		map.stats.entries = 3;
		EXPECT_EQ(loam_memmap_check(&map), 0);
		switch (i) {
		case 0:
			storage[1].size = 0;
			break;
		case 1:
			storage[2].size = ~(uint64_t)0;
			break;
		case 2:
			storage[1].type = 6;
			break;
		case 3:
			storage[1].base = MIB(1) - 1;
			break;
		case 4:
			storage[1].type = LOAM_MEM_USABLE;
			break;
		case 5:
			storage[2].ordinal = 3;
			break;
		case 6:
			map.count = 9;
			break;
		case 7:
			map.normalised = false;
			break;
		}
		EXPECT_EQ(loam_memmap_check(&map), -LOAM_EFAULT);
		EXPECT_LOG("check: ");
	}
}

/*
 * The model: a space of SPACE cells, each with the strictest type that any
 * entry gave it. The map must say the same of each cell's first and last byte.
 */
#define SPACE 96
#define CELL 0x800 /* half a frame: rounding matters */

static unsigned strictness(uint32_t type)
{
	static const unsigned char order[] = { 0, 1, 4, 3, 5, 6, 4, 2 };
	return type < 8 ? order[type] : 4;
}

static uint32_t model_random_entry(uint64_t *seed, uint32_t *cells)
{
	uint32_t first = (uint32_t)(hosted_random(seed) % SPACE);
	uint32_t most = hosted_random(seed) % 4 == 0 ? SPACE : 8;
	uint32_t count = (uint32_t)(hosted_random(seed) % most);
	uint32_t type = (uint32_t)(hosted_random(seed) % 10);
	if (hosted_random(seed) % 3 == 0) {
		type = LOAM_MEM_USABLE;
	}
	int error = loam_memmap_add(&map, (uint64_t)first * CELL,
				    (uint64_t)count * CELL, type);
	EXPECT(error == 0 || error == -LOAM_ENOSPC);
	uint32_t kept = type < 8 && type != 6 && type != 0 ? type : 2;
	for (uint32_t i = first; i < first + count && i < 2 * SPACE; i++) {
		if (strictness(kept) > strictness(cells[i])) {
			cells[i] = kept;
		}
	}
	return count != 0;
}

/* How many ranges the model has: what an exact map needs. */
static uint32_t model_ranges(const uint32_t *cells)
{
	uint32_t count = 0;
	uint32_t before = LOAM_MEM_NONE;
	for (uint32_t i = 0; i < 2 * SPACE; i++) {
		if (cells[i] != LOAM_MEM_NONE && cells[i] != before) {
			count++;
		}
		before = cells[i];
	}
	return count;
}

static void model_compare(const uint32_t *cells)
{
	uint64_t frames = 0;
	uint64_t top = 0;
	for (uint32_t i = 0; i < 2 * SPACE; i++) {
		uint64_t base = (uint64_t)i * CELL;
		uint32_t first = loam_memmap_type_at(&map, base);
		uint32_t last = loam_memmap_type_at(&map, base + CELL - 1);
		bool usable = cells[i] == LOAM_MEM_USABLE;
		EXPECT_EQ(first, last);
		EXPECT_EQ(loam_memmap_is_usable(&map, base, CELL),
			  first == LOAM_MEM_USABLE);
		if (map.stats.dropped == 0) {
			EXPECT_EQ(first, cells[i]);
		} else if (!usable) {
			EXPECT(first != LOAM_MEM_USABLE);
		}
		if (i % 2 == 0 && usable && cells[i + 1] == LOAM_MEM_USABLE) {
			frames++;
			top = i / 2 + 1;
		}
	}
	if (map.stats.dropped == 0) {
		EXPECT_EQ(loam_memmap_usable_frames(&map), frames);
		EXPECT_EQ(loam_memmap_max_usable_pfn(&map), top);
	}
}

TEST(model, "S2.17 S2.18 X.3 random entries agree with a table of every cell")
{
	uint64_t seed = 20240711;
	unsigned long exact = 0;
	unsigned long lossy = 0;
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t cells[2 * SPACE] = { 0 };
		uint32_t capacity = 4 + (uint32_t)(hosted_random(&seed) % 40);
		uint32_t entries = (uint32_t)(hosted_random(&seed) % 48);
		uint32_t held = 0;
		/* The ranges lie at the very end of their storage. */
		loam_memmap_init(&map, storage + RANGES - capacity, capacity);
		for (uint32_t i = 0; i < entries; i++) {
			held += model_random_entry(&seed, cells);
			if (hosted_random(&seed) % 16 == 0) {
				(void)loam_memmap_normalise(&map);
				EXPECT_EQ(loam_memmap_check(&map), 0);
				held = map.count;
			}
		}
		/* A map that was never full loses nothing if it fits. */
		bool fits = held <= capacity && map.stats.dropped == 0 &&
			    model_ranges(cells) <= capacity;
		(void)loam_memmap_normalise(&map);
		EXPECT_EQ(loam_memmap_check(&map), 0);
		EXPECT(!fits || map.stats.dropped == 0);
		model_compare(cells);
		*(map.stats.dropped == 0 ? &exact : &lossy) += 1;
	}
	/* Both kinds of round must have been seen. */
	EXPECT(exact > 500);
	EXPECT(lossy > 300);
}

TEST(model_order, "X.3 the order of the entries does not matter")
{
	uint64_t seed = 77;
	for (unsigned round = 0; round < 300; round++) {
		struct loam_memmap_entry entries[24];
		for (unsigned i = 0; i < 24; i++) {
			entries[i] = (struct loam_memmap_entry){
				.base = hosted_random(&seed) % 4096,
				.length = hosted_random(&seed) % 512,
				.type = (uint32_t)(hosted_random(&seed) % 9),
				.attributes = 1,
			};
		}
		struct loam_mem_range first[RANGES];
		uint32_t count = 0;
		for (unsigned turn = 0; turn < 4; turn++) {
			begin(RANGES);
			EXPECT_EQ(loam_memmap_add_e820(&map, entries, 24, 24,
						       NULL),
				  0);
			finish();
			if (turn == 0) {
				count = map.count;
				memcpy(first, map.ranges, sizeof(first));
			}
			EXPECT_EQ(map.count, count);
			for (unsigned i = 0; i < count; i++) {
				expect_range(i, first[i].base,
					     first[i].base + first[i].size,
					     first[i].type);
			}
			for (unsigned i = 23; i > 0; i--) {
				unsigned k = (unsigned)(hosted_random(&seed) %
							(i + 1));
				struct loam_memmap_entry kept = entries[i];
				entries[i] = entries[k];
				entries[k] = kept;
			}
		}
	}
}

TEST(sizes, "sorting is right for every number of ranges")
{
	uint64_t seed = 5;
	for (uint32_t n = 0; n <= RANGES; n++) {
		begin(RANGES);
		uint32_t order[RANGES];
		for (uint32_t i = 0; i < n; i++) {
			order[i] = i;
		}
		for (uint32_t i = n; i > 1; i--) {
			uint32_t k = (uint32_t)(hosted_random(&seed) % i);
			uint32_t kept = order[i - 1];
			order[i - 1] = order[k];
			order[k] = kept;
		}
		for (uint32_t i = 0; i < n; i++) {
			EXPECT_EQ(loam_memmap_add(&map, MIB(2 * order[i]),
						  MIB(1), LOAM_MEM_USABLE),
				  0);
		}
		finish();
		EXPECT_EQ(map.count, n);
		for (uint32_t i = 0; i < n; i++) {
			expect_range(i, MIB(2 * i), MIB(2 * i + 1), 1);
			EXPECT_EQ(order[map.ranges[i].ordinal], i);
		}
	}
}

/* SPDX-License-Identifier: MIT */
/* Tests of UEFI memory maps: types, distances, and 300 odd descriptors. */
#include "test.h"

#include <loam/bits.h>
#include <loam/memmap.h>

#define RANGES 700u
#define DESCRIPTORS 300u
#define STRIDE 48u
#define WRITE_BACK 8u
#define RUNTIME ((uint64_t)1 << 63)

static struct loam_mem_range storage[RANGES];
static struct loam_memmap map;
static unsigned char bytes[DESCRIPTORS * 64u + 1];

static void put(unsigned char *to, uint32_t type, uint64_t base, uint64_t pages,
		uint64_t attributes)
{
	const uint64_t words[5] = { type, base, 0x1234567812345678u, pages,
				    attributes };
	memcpy(to, words, sizeof(words));
}

static void begin(void)
{
	memset(bytes, 0xEE, sizeof(bytes));
	loam_memmap_init(&map, storage, RANGES);
}

TEST(types, "UEFI types: what is usable after the firmware is gone")
{
	static const struct {
		uint32_t type;
		uint64_t attributes;
		uint32_t expected;
	} rows[] = {
		{ 0, WRITE_BACK, LOAM_MEM_RESERVED },
		{ 1, WRITE_BACK, LOAM_MEM_USABLE },
		{ 2, WRITE_BACK, LOAM_MEM_USABLE },
		{ 3, WRITE_BACK, LOAM_MEM_USABLE },
		{ 4, WRITE_BACK | 7, LOAM_MEM_USABLE },
		{ 5, WRITE_BACK | RUNTIME, LOAM_MEM_RESERVED },
		{ 6, WRITE_BACK | RUNTIME, LOAM_MEM_RESERVED },
		{ 7, WRITE_BACK, LOAM_MEM_USABLE },
		{ 7, 1, LOAM_MEM_RESERVED }, /* not cached */
		{ 7, WRITE_BACK | RUNTIME, LOAM_MEM_RESERVED },
		{ 8, WRITE_BACK, LOAM_MEM_UNUSABLE },
		{ 9, WRITE_BACK, LOAM_MEM_ACPI_DATA },
		{ 10, WRITE_BACK, LOAM_MEM_ACPI_NVS },
		{ 11, RUNTIME, LOAM_MEM_RESERVED },
		{ 12, 1, LOAM_MEM_RESERVED },
		{ 13, WRITE_BACK, LOAM_MEM_RESERVED },
		{ 14, WRITE_BACK, LOAM_MEM_PERSISTENT },
		{ 15, WRITE_BACK, LOAM_MEM_RESERVED }, /* not accepted yet */
		{ 0x70000001u, WRITE_BACK, LOAM_MEM_RESERVED },
		{ 0xFFFFFFFFu, WRITE_BACK, LOAM_MEM_RESERVED },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(rows); i++) {
		struct loam_memmap_entry entry = { 0 };
		begin();
		/* The upper half of the first word is padding. */
		put(bytes + 1, rows[i].type, 0x5000, 3, rows[i].attributes);
		memset(bytes + 5, 0xEE, 4);
		EXPECT_EQ(loam_memmap_efi_entry(bytes + 1, 40, &entry), 0);
		EXPECT_EQ(entry.type, rows[i].expected);
		EXPECT_EQ(entry.base, 0x5000);
		EXPECT_EQ(entry.length, 0x3000);
		EXPECT_EQ(entry.attributes, 1);
	}
}

TEST(short_descriptor, "a UEFI descriptor of less than 40 bytes is refused")
{
	struct loam_memmap_entry entry = { .base = 7 };
	begin();
	EXPECT_EQ(loam_memmap_efi_entry(bytes, 39, &entry), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_efi_entry(NULL, 40, &entry), -LOAM_EINVAL);
	EXPECT_EQ(entry.base, 7);
	EXPECT_EQ(loam_memmap_add_efi(&map, bytes, 400, 39), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_add_efi(&map, bytes, 0, 48), -LOAM_EINVAL);
	EXPECT_EQ(loam_memmap_add_efi(&map, NULL, 48, 48), -LOAM_EINVAL);
	EXPECT_EQ(map.stats.entries, 0);
	EXPECT(hosted_log_contains("nothing is read from it"));
}

TEST(distances, "UEFI descriptors are as far apart as the firmware says")
{
	static const size_t strides[] = { 40, 41, 48, 64 };
	for (unsigned s = 0; s < LOAM_ARRAY_SIZE(strides); s++) {
		size_t stride = strides[s];
		begin();
		for (unsigned i = 0; i < 3; i++) {
			put(bytes + 1 + i * stride, 7, 0x100000u * (i + 1),
			    0x10, WRITE_BACK);
		}
		EXPECT_EQ(loam_memmap_add_efi(&map, bytes + 1, 3 * stride,
					      stride),
			  0);
		EXPECT_EQ(loam_memmap_normalise(&map), 0);
		EXPECT_EQ(map.count, 3);
		EXPECT_EQ(loam_memmap_usable_frames(&map), 0x30);
	}
}

TEST(cut, "a UEFI map cut at any byte is never overrun")
{
	for (size_t size = 1; size <= 3 * STRIDE; size++) {
		begin();
		/* At the end of the array: one byte more is a fault. */
		unsigned char *at = bytes + sizeof(bytes) - size;
		unsigned char whole[3 * STRIDE] = { 0 };
		for (unsigned i = 0; i < 3; i++) {
			put(whole + i * STRIDE, 7, 0x100000u * (i + 1), 1,
			    WRITE_BACK);
		}
		memcpy(at, whole, size);
		EXPECT_EQ(loam_memmap_add_efi(&map, at, size, STRIDE),
			  size % STRIDE == 0 ? 0 : -LOAM_EINVAL);
		EXPECT_EQ(map.count, size / STRIDE);
		EXPECT_EQ(map.stats.malformed, size % STRIDE != 0);
	}
}

TEST(huge,
     "UEFI descriptors of more pages than there are addresses are clipped")
{
	static const uint64_t pages[] = { UINT64_MAX, (uint64_t)1 << 52,
					  ((uint64_t)1 << 52) - 1 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(pages); i++) {
		begin();
		put(bytes, 7, 0x200000, pages[i], WRITE_BACK);
		EXPECT_EQ(loam_memmap_add_efi(&map, bytes, STRIDE, STRIDE), 0);
		EXPECT_EQ(loam_memmap_normalise(&map), 0);
		EXPECT_EQ(loam_memmap_check(&map), 0);
		EXPECT_EQ(map.count, 1);
		EXPECT_EQ(map.ranges[0].base, 0x200000);
		EXPECT_EQ(map.ranges[0].base + map.ranges[0].size,
			  LOAM_PHYS_NONE);
	}
}

/* How strict a type is, in words of this test's own. */
static unsigned rank(uint32_t efi, uint64_t attributes)
{
	bool plain =
		(attributes & WRITE_BACK) != 0 && (attributes & RUNTIME) == 0;
	switch (efi) {
	case 1:
	case 2:
	case 3:
	case 4:
	case 7:
		return plain ? 1 : 4;
	case 14:
		return 2;
	case 9:
		return 3;
	case 10:
		return 5;
	case 8:
		return 6;
	default:
		return 4;
	}
}

static unsigned rank_of_type(uint32_t type)
{
	static const unsigned ranks[] = { 0, 1, 4, 3, 5, 6, 0, 2 };
	return type < LOAM_ARRAY_SIZE(ranks) ? ranks[type] : 0;
}

TEST(odd, "X.3 300 UEFI descriptors of odd types, against each page's own tale")
{
	static unsigned expected[1024];
	for (uint64_t seed = 1; seed <= 20; seed++) {
		uint64_t random = seed;
		begin();
		memset(expected, 0, sizeof(expected));
		for (unsigned i = 0; i < DESCRIPTORS; i++) {
			uint32_t type = (uint32_t)(hosted_random(&random) % 20);
			uint64_t first = hosted_random(&random) % 1000;
			uint64_t count = hosted_random(&random) % 12;
			uint64_t attributes = hosted_random(&random) % 8 == 0
						      ? 1
					      : hosted_random(&random) % 8 == 0
						      ? WRITE_BACK | RUNTIME
						      : WRITE_BACK;
			type = type > 17 ? 0x80000000u + type : type;
			put(bytes + i * STRIDE, type, first << 12, count,
			    attributes);
			for (uint64_t page = first; page < first + count;
			     page++) {
				unsigned r = rank(type, attributes);
				expected[page] =
					r > expected[page] ? r : expected[page];
			}
		}
		EXPECT_EQ(loam_memmap_add_efi(&map, bytes, DESCRIPTORS * STRIDE,
					      STRIDE),
			  0);
		EXPECT_EQ(map.stats.entries, DESCRIPTORS);
		EXPECT_EQ(loam_memmap_normalise(&map), 0);
		EXPECT_EQ(loam_memmap_check(&map), 0);
		for (unsigned page = 0; page < 1024; page++) {
			uint32_t type = loam_memmap_type_at(
				&map, (loam_phys_t)page << 12);
			EXPECT_EQ(rank_of_type(type), expected[page]);
		}
	}
}

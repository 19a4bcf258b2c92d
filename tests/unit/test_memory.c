/* SPDX-License-Identifier: MIT */
/* The library's own memset and its kin against the C library's. */
#include <loam/mem.h>

#include "test.h"

/*
 * The hosted build calls the C library's functions by their own names; what the
 * library defines is loam_memset and so on (LOAM_HAVE_LIBC). Buffers have
 * guards on both sides, and blocks from malloc() let the sanitizer see reads.
 */
LOAM_STATIC_ASSERT(LOAM_HAVE_LIBC, "the names below are Loam's own");

#define LARGEST 4097u
#define OFFSETS 16u
#define GUARD 32u
#define BUFFER (GUARD + OFFSETS + LARGEST + OFFSETS + GUARD)

static unsigned char ours[BUFFER];
static unsigned char oracle[BUFFER];
static unsigned char source[BUFFER];

static void fill_random(unsigned char *to, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++) {
		to[i] = (unsigned char)(hosted_random(&seed) >> 40);
	}
}

/* All sizes where anything can change, and then some on the way to 4097. */
static size_t next_size(size_t size)
{
	if (size < 160 || size >= LARGEST - 40) {
		return size + 1;
	}
	return size + 37 < LARGEST - 40 ? size + 37 : LARGEST - 40;
}

TEST(set, "S3.35 memset agrees with libc: sizes 0 to 4097, offsets 0 to 15")
{
	fill_random(ours, BUFFER, 1);
	memcpy(oracle, ours, BUFFER);
	for (size_t size = 0; size <= LARGEST; size++) {
		for (size_t offset = 0; offset < OFFSETS; offset++) {
			/* Only the low byte of the value counts. */
			int value = (int)(size * 16 + offset) - 300;
			unsigned char *at = ours + GUARD + offset;
			EXPECT(loam_memset(at, value, size) == at);
			memset(oracle + GUARD + offset, value, size);
		}
		EXPECT_EQ(memcmp(ours, oracle, BUFFER), 0);
	}
}

TEST(set_each, "S3.35 memset leaves what is beside it, after each call")
{
	for (size_t size = 0; size <= LARGEST; size = next_size(size)) {
		for (size_t offset = 0; offset < OFFSETS; offset++) {
			memset(ours, 0x11, BUFFER);
			loam_memset(ours + GUARD + offset, 0xee, size);
			memset(oracle, 0x11, BUFFER);
			memset(oracle + GUARD + offset, 0xee, size);
			EXPECT_EQ(memcmp(ours, oracle, BUFFER), 0);
		}
	}
}

TEST(copy_sizes, "S3.35 memcpy agrees with libc: every size 0 to 4097")
{
	fill_random(source, BUFFER, 2);
	for (size_t size = 0; size <= LARGEST; size++) {
		size_t to = GUARD + size % OFFSETS;
		size_t from = size / OFFSETS % OFFSETS;
		memset(ours, 0x11, BUFFER);
		memset(oracle, 0x11, BUFFER);
		EXPECT(loam_memcpy(ours + to, source + from, size) ==
		       ours + to);
		memcpy(oracle + to, source + from, size);
		EXPECT_EQ(memcmp(ours, oracle, BUFFER), 0);
	}
}

TEST(copy_offsets, "S3.35 memcpy agrees with libc: offsets 0 to 15 both sides")
{
	static const size_t sizes[] = { 0,  1,  2,  3,  4,  5,  7,   8,
					9,  15, 16, 17, 31, 32, 33,  63,
					64, 65, 66, 71, 72, 79, 127, 4097 };
	fill_random(source, BUFFER, 3);
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		for (size_t pair = 0; pair < OFFSETS * OFFSETS; pair++) {
			size_t to = GUARD + pair / OFFSETS;
			size_t from = pair % OFFSETS;
			memset(ours, 0x22, BUFFER);
			memset(oracle, 0x22, BUFFER);
			loam_memcpy(ours + to, source + from, sizes[i]);
			memcpy(oracle + to, source + from, sizes[i]);
			EXPECT_EQ(memcmp(ours, oracle, BUFFER), 0);
		}
	}
}

static void expect_move(size_t to, size_t from, size_t size)
{
	memcpy(ours, source, BUFFER);
	memcpy(oracle, source, BUFFER);
	EXPECT(loam_memmove(ours + to, ours + from, size) == ours + to);
	memmove(oracle + to, oracle + from, size);
	EXPECT_EQ(memcmp(ours, oracle, BUFFER), 0);
}

TEST(move_small, "S3.35 memmove agrees with libc: every overlap, small sizes")
{
	fill_random(source, BUFFER, 4);
	for (size_t size = 0; size <= 80; size++) {
		for (size_t to = 0; to <= 90; to++) {
			expect_move(GUARD + to, GUARD + 45, size);
		}
	}
}

TEST(move_large, "S3.35 memmove agrees with libc: sizes to 4097, up and down")
{
	fill_random(source, BUFFER, 5);
	for (size_t size = 0; size <= LARGEST; size = next_size(size)) {
		size_t offset = size % OFFSETS;
		for (size_t distance = 0; distance < OFFSETS; distance++) {
			expect_move(GUARD + offset, GUARD + distance, size);
			expect_move(GUARD + distance, GUARD + offset, size);
		}
	}
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

TEST(compare, "S3.35 memcmp agrees with libc: sizes 0 to 4097, offsets 0 to 15")
{
	fill_random(source, BUFFER, 6);
	uint64_t seed = 7;
	for (size_t size = 0; size <= LARGEST; size++) {
		uint64_t random = hosted_random(&seed);
		size_t offset_a = random % OFFSETS;
		size_t offset_b = (random >> 8) % OFFSETS;
		unsigned char *a = ours + offset_a;
		unsigned char *b = oracle + offset_b;
		memcpy(a, source, size);
		memcpy(b, source, size);
		/* What lies behind differs and must not matter. */
		a[size] = 1;
		b[size] = 2;
		EXPECT_EQ(loam_memcmp(a, b, size), 0);
		if (size == 0) {
			continue;
		}
		size_t at = (size_t)((random >> 16) % size);
		b[at] ^= (unsigned char)(1u << ((random >> 56) % 8));
		EXPECT_EQ(sign(loam_memcmp(a, b, size)),
			  sign(memcmp(a, b, size)));
		EXPECT_EQ(sign(loam_memcmp(b, a, size)),
			  sign(memcmp(b, a, size)));
	}
}

TEST(compare_unsigned, "S3.35 memcmp takes bytes >= 0x80 as unsigned")
{
	/* At each place of two words, with the opposite difference behind. */
	for (size_t at = 0; at < 16; at++) {
		unsigned char a[20] = { 0 };
		unsigned char b[20] = { 0 };
		a[at] = 0x80;
		b[at] = 0x7f;
		b[at + 1] = 0xff;
		for (size_t size = at + 1; size <= sizeof(a); size++) {
			EXPECT(loam_memcmp(a, b, size) > 0);
			EXPECT(loam_memcmp(b, a, size) < 0);
		}
		EXPECT_EQ(loam_memcmp(a, b, at), 0);
	}
	EXPECT(loam_memcmp("\xff", "\x01", 1) > 0);
	EXPECT(loam_memcmp("\x80", "\x7f", 1) > 0);
}

TEST(zero, "S3.35 size 0 does nothing and looks at no pointer")
{
	EXPECT(loam_memset(NULL, 1, 0) == NULL);
	EXPECT(loam_memcpy(NULL, NULL, 0) == NULL);
	EXPECT(loam_memmove(NULL, NULL, 0) == NULL);
	EXPECT_EQ(loam_memcmp(NULL, NULL, 0), 0);
}

TEST(bounds, "S3.35 nothing outside the blocks is read or written")
{
	for (size_t size = 1; size <= 200; size++) {
		unsigned char *a = malloc(size);
		unsigned char *b = malloc(size);
		EXPECT(a != NULL && b != NULL);
		loam_memset(a, 0x77, size);
		loam_memcpy(b, a, size);
		EXPECT_EQ(loam_memcmp(a, b, size), 0);
		loam_memmove(b, a, size);
		loam_memmove(b, b + 1, size - 1);
		loam_memmove(b + size / 2, b, size - size / 2);
		EXPECT_EQ(memcmp(a, b, size), 0);
		free(a);
		free(b);
	}
}

TEST(strings, "loam_strlen and loam_streq agree with libc")
{
	static const char *const strings[] = { "",   "a",   "b",   "aa",
					       "ab", "abc", "\xff" };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(strings); i++) {
		EXPECT_EQ(loam_strlen(strings[i]), strlen(strings[i]));
		for (size_t j = 0; j < LOAM_ARRAY_SIZE(strings); j++) {
			EXPECT_EQ(loam_streq(strings[i], strings[j]), i == j);
		}
	}
}

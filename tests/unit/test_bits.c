/* SPDX-License-Identifier: MIT */
/* Powers of two, rounding and checked arithmetic against plain loops. */
#include <loam/bits.h>

#include "test.h"

/* 0, all powers of two, and their neighbours. */
static size_t interesting(unsigned i)
{
	size_t power = (size_t)1 << (i / 3 % (sizeof(size_t) * 8));
	return power + i % 3 - 1;
}

#define INTERESTING (3 * sizeof(size_t) * 8)

TEST(logs, "bits: powers and logarithms agree with counting")
{
	for (unsigned i = 0; i < INTERESTING; i++) {
		size_t n = interesting(i);
		unsigned bits = 0;
		unsigned highest = 0;
		unsigned lowest = 0;
		for (unsigned bit = sizeof(n) * 8; bit-- > 0;) {
			if (n >> bit & 1) {
				highest = bits == 0 ? bit : highest;
				lowest = bit;
				bits++;
			}
		}
		EXPECT_EQ(loam_is_pow2(n), bits == 1);
		if (n != 0) {
			EXPECT_EQ(loam_log2_floor(n), highest);
			EXPECT_EQ(loam_log2_ceil(n), highest + (bits > 1));
			EXPECT_EQ(loam_lowest_bit(n), lowest);
		}
	}
	EXPECT(loam_is_pow2((uint64_t)1 << 63));
	EXPECT(!loam_is_pow2((uint64_t)1 << 63 | 1));
}

TEST(rounding, "bits: rounding agrees with counting, 64 bits everywhere")
{
	for (uint64_t align = 1; align <= 64; align *= 2) {
		for (uint64_t n = 0; n < 200; n++) {
			uint64_t down = n;
			uint64_t up = n;
			while (down % align != 0) {
				down--;
			}
			while (up % align != 0) {
				up++;
			}
			EXPECT_EQ(loam_round_down(n, align), down);
			EXPECT_EQ(loam_round_up(n, align), up);
			EXPECT_EQ(loam_size_round_up((size_t)n, (size_t)align),
				  up);
			EXPECT_EQ(loam_is_aligned(n, align), n % align == 0);
		}
	}
	EXPECT_EQ(loam_round_down(UINT64_MAX, 4096), UINT64_MAX - 4095);
	EXPECT_EQ(loam_round_up(0x100000001u, 4096), 0x100001000u);
	EXPECT_EQ(loam_round_up(UINT64_MAX, 4096), 0);
	EXPECT_EQ(loam_size_round_up(SIZE_MAX, 4096), 0);
}

TEST(checked, "bits: checked sums and products, untouched on overflow")
{
	for (unsigned i = 0; i < INTERESTING; i++) {
		for (unsigned j = 0; j < INTERESTING; j++) {
			size_t a = interesting(i);
			size_t b = interesting(j);
			size_t out = 0x5a5a;
			bool fits = b <= SIZE_MAX - a;
			EXPECT_EQ(loam_size_add(a, b, &out), fits);
			EXPECT_EQ(out, fits ? a + b : 0x5a5a);
			out = 0x5a5a;
			fits = a == 0 || b <= SIZE_MAX / a;
			EXPECT_EQ(loam_size_mul(a, b, &out), fits);
			EXPECT_EQ(out, fits ? a * b : 0x5a5a);
		}
	}
}

TEST(frames, "bits: frame numbers and addresses, above 4 GiB too")
{
	EXPECT_EQ(loam_phys_to_pfn(0xfff), 0);
	EXPECT_EQ(loam_phys_to_pfn(0x1000), 1);
	EXPECT_EQ(loam_phys_to_pfn(LOAM_GIB(768)), 768u << 18);
	EXPECT_EQ(loam_pfn_to_phys(768u << 18), LOAM_GIB(768));
	EXPECT_EQ(loam_pfn_to_phys(UINT32_MAX), 0xffffffff000u);
	EXPECT_EQ(loam_pages_of(0), 0);
	EXPECT_EQ(loam_pages_of(1), 1);
	EXPECT_EQ(loam_pages_of(4096), 1);
	EXPECT_EQ(loam_pages_of(4097), 2);
}

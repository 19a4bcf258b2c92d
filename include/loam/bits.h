/* SPDX-License-Identifier: MIT */
/* Powers of two, rounding and checked arithmetic. */
#ifndef LOAM_BITS_H
#define LOAM_BITS_H

#include <loam/types.h>

/* True for 1, 2, 4, ...; false for 0. */
static inline bool loam_is_pow2(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/* Number of the highest set bit; n must not be 0. */
static inline unsigned loam_log2_floor(size_t n)
{
	return (unsigned)(sizeof(unsigned long) * 8 - 1) -
	       (unsigned)__builtin_clzl(n);
}

/* Smallest k with 2^k >= n; n must not be 0. */
static inline unsigned loam_log2_ceil(size_t n)
{
	return n == 1 ? 0 : loam_log2_floor(n - 1) + 1;
}

/* Number of the lowest set bit; n must not be 0. */
static inline unsigned loam_lowest_bit(unsigned long n)
{
	return (unsigned)__builtin_ctzl(n);
}

/* Rounds down or up to a power of two. Rounding up may wrap to 0: check. */
static inline uint64_t loam_round_down(uint64_t n, uint64_t align)
{
	return n & ~(align - 1);
}

static inline uint64_t loam_round_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static inline size_t loam_size_round_up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

static inline bool loam_is_aligned(uint64_t n, uint64_t align)
{
	return (n & (align - 1)) == 0;
}

/* Checked sums and products: false, and *out untouched, on overflow. */
static inline bool loam_size_add(size_t a, size_t b, size_t *out)
{
	size_t sum;
	if (__builtin_add_overflow(a, b, &sum)) {
		return false;
	}
	*out = sum;
	return true;
}

static inline bool loam_size_mul(size_t a, size_t b, size_t *out)
{
	size_t product;
	if (__builtin_mul_overflow(a, b, &product)) {
		return false;
	}
	*out = product;
	return true;
}

static inline loam_pfn_t loam_phys_to_pfn(loam_phys_t phys)
{
	return (loam_pfn_t)(phys >> LOAM_PAGE_SHIFT);
}

static inline loam_phys_t loam_pfn_to_phys(loam_pfn_t pfn)
{
	return (loam_phys_t)pfn << LOAM_PAGE_SHIFT;
}

/* Pages that cover size bytes; size + 4095 must not wrap. */
static inline size_t loam_pages_of(size_t size_bytes)
{
	return (size_bytes + LOAM_PAGE_MASK) >> LOAM_PAGE_SHIFT;
}

#endif

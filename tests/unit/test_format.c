/* SPDX-License-Identifier: MIT */
/* Formatted text against the C library's snprintf. */
#include <inttypes.h>
#include <limits.h>

#include <loam/mem.h>

#include "test.h"

/*
 * Formats as loam_snprintf() and as libc. Neither has its arguments checked by
 * the compiler, which would object to most of what is tried here.
 */
static int with_ours(char *to, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = loam_vsnprintf(to, size, format, args);
	va_end(args);
	return length;
}

static int with_libc(char *to, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = vsnprintf(to, size, format, args);
	va_end(args);
	return length;
}

/* Formats with both and compares length, text and what lies behind it. */
static void expect_same(const char *format, ...)
{
	char ours[256];
	char libc[256];
	va_list args;
	memset(ours, 0x55, sizeof(ours));
	memset(libc, 0x55, sizeof(libc));
	va_start(args, format);
	int length = loam_vsnprintf(ours, sizeof(ours), format, args);
	va_end(args);
	va_start(args, format);
	int expected = vsnprintf(libc, sizeof(libc), format, args);
	va_end(args);
	if (length != expected || memcmp(ours, libc, sizeof(ours)) != 0) {
		fprintf(stderr, "# %s: [%s] (%d), libc [%s] (%d)\n", format,
			ours, length, libc, expected);
		test_fail(__FILE__, __LINE__, "the same text as libc's");
	}
}

static void expect_text(const char *text, const char *expected)
{
	if (strcmp(text, expected) != 0) {
		fprintf(stderr, "# [%s] instead of [%s]\n", text, expected);
		test_fail(__FILE__, __LINE__, "the expected text");
	}
}

static const uint64_t values[] = {
	0,
	1,
	7,
	9,
	10,
	99,
	100,
	127,
	128,
	255,
	256,
	9999,
	10000,
	10001,
	32767,
	32768,
	65535,
	65536,
	99999999,
	100000000,
	2147483647,
	2147483648u,
	4294967295u,
	4294967296u,
	9999999999999999u,
	10000000000000000u,
	0x0123456789abcdefu,
	9223372036854775807u,
	9223372036854775808u,
	9999999999999999999u,
	10000000000000000000u,
	18446744073709551615u,
};

static void expect_integer(const char *length, const char *format,
			   uint64_t value)
{
	if (strcmp(length, "ll") == 0) {
		expect_same(format, (unsigned long long)value);
	} else if (strcmp(length, "j") == 0) {
		expect_same(format, (uintmax_t)value);
	} else if (strcmp(length, "l") == 0) {
		expect_same(format, (unsigned long)value);
	} else if (strcmp(length, "z") == 0) {
		expect_same(format, (size_t)value);
	} else if (strcmp(length, "t") == 0) {
		expect_same(format, (ptrdiff_t)value);
	} else {
		expect_same(format, (unsigned)value);
	}
}

static void expect_values(const char *length, const char *format)
{
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(values); i++) {
		expect_integer(length, format, values[i]);
		expect_integer(length, format, 0 - values[i]);
	}
}

TEST(integers, "format: every flag, width, precision and length of integers")
{
	static const char *const flags[] = { "",   "0",  "-",   " ",  "+",
					     "-0", "0 ", "+0-", " +", "--" };
	static const char *const widths[] = { "", "1", "5", "12", "21", "40" };
	static const char *const precisions[] = { "", ".", ".0", ".3", ".25" };
	static const char *const lengths[] = { "hh", "h", "",  "l",
					       "ll", "j", "z", "t" };
	static const char conversions[] = "diuxX";
	for (unsigned code = 0; code < 10 * 6 * 5 * 8 * 5; code++) {
		const char *length = lengths[code / 300 % 8];
		char conversion = conversions[code / 2400];
		const char *flag = flags[code % 10];
		char format[32];
		snprintf(format, sizeof(format), "<%%%s%s%s%s%c>", flag,
			 widths[code / 10 % 6], precisions[code / 60 % 5],
			 length, conversion);
		expect_values(length, format);
	}
}

TEST(strings, "format: strings and characters, width, precision, NULL")
{
	static const char *const formats[] = {
		"%s",     "<%s>",  "<%10s>",   "<%-10s>",   "<%3s>",  "<%.3s>",
		"<%.0s>", "<%.s>", "<%10.4s>", "<%-10.4s>", "<%.40s>"
	};
	static const char *const texts[] = { "", "a", "abc", "abcd",
					     "abcdefghijklmnop" };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(formats); i++) {
		for (size_t j = 0; j < LOAM_ARRAY_SIZE(texts); j++) {
			expect_same(formats[i], texts[j]);
		}
	}
	for (int c = 1; c < 256; c++) {
		expect_same("<%c>", c);
		expect_same("<%5c%-5c>", c, c);
	}
	expect_same("a%cb", 0);
	const char *none = NULL;
	char text[32];
	EXPECT_EQ(with_ours(text, sizeof(text), "%s|%9s", none, none), 16);
	expect_text(text, "(null)|   (null)");
}

TEST(unknown, "format: what is no directive is copied as it stands")
{
	char text[64];
	EXPECT_EQ(with_ours(text, sizeof(text), "100%"), 4);
	expect_text(text, "100%");
	EXPECT_EQ(with_ours(text, sizeof(text), "%-08"), 4);
	expect_text(text, "%-08");
	/* It takes no argument: the next one is the number's. */
	EXPECT_EQ(with_ours(text, sizeof(text), "%5y %n%d", 42), 8);
	expect_text(text, "%5y %n42");
	EXPECT_EQ(with_ours(text, sizeof(text), "%%%%d"), 3);
	expect_text(text, "%%d");
}

TEST(stars, "format: * as width and precision, negative ones too")
{
	for (int width = -12; width <= 12; width++) {
		for (int precision = -2; precision <= 8; precision++) {
			expect_same("<%*.*d>", width, precision, 1234);
			expect_same("<%*.*s>", width, precision, "abcdef");
			expect_same("<%0*d>", width, -77);
			expect_same("<%.*s>", precision, "abcdef");
		}
	}
}

TEST(several, "format: several directives, text between, <inttypes.h>")
{
	uint64_t big = 0xfedcba9876543210u;
	expect_same("plain");
	expect_same("%d%%, %s: %u of %lu at %llx%c", -5, "x", 7u, 8ul, 9ull,
		    '!');
	expect_same("%" PRIu64 " %" PRIx64 " %016" PRIx64, big, big, big);
	expect_same("%" PRId64 " %" PRIu32 " %" PRIxPTR, (int64_t)big,
		    (uint32_t)big, (uintptr_t)big);
	expect_same("%" PRIu8 " %" PRId16 " %zu %zd %td", (uint8_t)200,
		    (int16_t)-3, (size_t)5, (ssize_t)-5, (ptrdiff_t)-6);
}

TEST(random, "format: 200000 random numbers agree with libc")
{
	uint64_t seed = 0xf0;
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t value = hosted_random(&seed);
		char text[64];
		char libc[64];
		value >>= hosted_random(&seed) % 64;
		loam_snprintf(text, sizeof(text), "%" PRIu64 " %" PRId64, value,
			      (int64_t)(0 - value));
		snprintf(libc, sizeof(libc), "%" PRIu64 " %" PRId64, value,
			 (int64_t)(0 - value));
		expect_text(text, libc);
	}
}

TEST(pointers, "format: %p prints 0x and all digits")
{
	char text[64];
	char expected[64];
	uintptr_t pointers[] = { 0, 1, 0xc0100000u, UINTPTR_MAX };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(pointers); i++) {
		with_libc(expected, sizeof(expected), "<0x%0*llx>",
			  (int)(2 * sizeof(void *)),
			  (unsigned long long)pointers[i]);
		EXPECT_EQ(with_ours(text, sizeof(text), "<%p>",
				    (void *)pointers[i]),
			  strlen(expected));
		expect_text(text, expected);
		with_ours(text, sizeof(text), "%20p|%-20p|",
			  (void *)pointers[i], (void *)pointers[i]);
		expected[strlen(expected) - 1] = '\0';
		char padded[64];
		with_libc(padded, sizeof(padded), "%20s|%-20s|", expected + 1,
			  expected + 1);
		expect_text(text, padded);
	}
}

TEST(sizes, "format: a buffer of any size is filled, ended and not exceeded")
{
	char expected[64];
	int full = with_libc(expected, sizeof(expected), "%5d|%-8s|%04x|%s", 42,
			     "abc", 0x1fu, "the end");
	for (size_t size = 0; size < sizeof(expected); size++) {
		char *text = size == 0 ? NULL : malloc(size);
		char libc[64];
		EXPECT_EQ(with_ours(text, size, "%5d|%-8s|%04x|%s", 42, "abc",
				    0x1fu, "the end"),
			  full);
		if (size > 0) {
			with_libc(libc, size, "%s", expected);
			expect_text(text, libc);
		}
		free(text);
	}
}

TEST(huge_width, "format: a wild width is counted, not printed")
{
	char text[8];
	EXPECT_EQ(with_ours(text, sizeof(text), "%*d", INT_MAX, 1), INT_MAX);
	expect_text(text, "       ");
	EXPECT_EQ(with_ours(text, sizeof(text), "%-*d", INT_MIN, 1), INT_MAX);
	expect_text(text, "1      ");
	EXPECT_EQ(with_ours(text, sizeof(text), "%.*d", INT_MAX, 1), INT_MAX);
	expect_text(text, "0000000");
	/* Longer than any int: the length stays at the largest one. */
	EXPECT_EQ(with_ours(text, sizeof(text), "%*d%s", INT_MAX, 1, "x"),
		  INT_MAX);
	EXPECT_EQ(with_ours(NULL, 0, "%99999999d", 1), 99999999);
	/* Numbers beyond int in the format itself. */
	EXPECT_EQ(with_ours(NULL, 0, "%2147483648d", 1), INT_MAX);
	EXPECT_EQ(with_ours(NULL, 0, "%.99999999999999999999d", 1), INT_MAX);
}

TEST(unterminated, "format: a precision keeps %s within an unended array")
{
	char *raw = malloc(4);
	EXPECT(raw != NULL);
	memcpy(raw, "wxyz", 4);
	expect_same("<%.4s>", raw);
	expect_same("<%6.2s>", raw);
	free(raw);
}

static void expect_size(uint64_t size, const char *expected)
{
	char text[16];
	EXPECT(loam_format_size(text, size) == text);
	if (strcmp(text, expected) != 0) {
		fprintf(stderr, "# %s, expected %s\n", text, expected);
	}
	expect_text(text, expected);
}

TEST(size, "loam_format_size: units, one decimal, cut rather than rounded")
{
	expect_size(0, "0 B");
	expect_size(127, "127 B");
	expect_size(1023, "1023 B");
	expect_size(1024, "1 KiB");
	expect_size(1024 + 102, "1 KiB");
	expect_size(1024 + 103, "1.1 KiB");
	expect_size(4096, "4 KiB");
	expect_size(1024 * 1024 - 1, "1023.9 KiB");
	expect_size(1024 * 1024, "1 MiB");
	expect_size(3 * 512 * 1024, "1.5 MiB");
	expect_size(LOAM_GIB(3), "3 GiB");
	expect_size(LOAM_GIB(768), "768 GiB");
	expect_size((uint64_t)1 << 40, "1 TiB");
	expect_size((uint64_t)5 << 49, "2.5 PiB");
	expect_size((uint64_t)1 << 60, "1 EiB");
	expect_size(UINT64_MAX, "15.9 EiB");
}

/* Against exact arithmetic in the widest floating point there is. */
TEST(size_random, "loam_format_size: agrees with exact arithmetic")
{
	uint64_t seed = 0x51;
	for (unsigned i = 0; i < 20000; i++) {
		static const char *const units[] = { "B",   "KiB", "MiB", "GiB",
						     "TiB", "PiB", "EiB" };
		uint64_t size = hosted_random(&seed);
		size >>= hosted_random(&seed) % 64;
		unsigned unit = 0;
		long double scaled = (long double)size;
		while (scaled >= 1024) {
			scaled /= 1024;
			unit++;
		}
		unsigned whole = (unsigned)scaled;
		unsigned tenths = (unsigned)((scaled - whole) * 10);
		char expected[64];
		if (tenths == 0) {
			snprintf(expected, sizeof(expected), "%u %s", whole,
				 units[unit]);
		} else {
			snprintf(expected, sizeof(expected), "%u.%u %s", whole,
				 tenths, units[unit]);
		}
		expect_size(size, expected);
	}
}

/* SPDX-License-Identifier: MIT */
/* Formatted text without a C library and without 64-bit division. */
#include <loam/mem.h>

/* Of <limits.h>, whose gcc version goes on to the C library's. */
#define INT_MAX __INT_MAX__
#define INT_MIN (-INT_MAX - 1)

/*
 * loam_vsnprintf() goes over the format once. A directive is parsed into a
 * struct format_spec, its argument is fetched by the length it names, and the
 * text goes out in five parts, most of them empty: blanks, prefix (a sign or
 * 0x), zeros, the characters themselves, blanks.
 *
 * Output past the end of the buffer is counted and dropped, so a call with a
 * buffer of size 0 measures. Padding is counted, not looped over, once the
 * buffer is full: a wild width costs no more than the buffer.
 *
 * Division of 64-bit numbers is a call into the compiler's library on 32-bit
 * machines. Decimal digits are therefore won from four limbs of 16 bits by long
 * division by 10000 (Knuth, TAOCP 2, 4.3.1, exercise 16), where each step
 * divides a number of 32 bits: a rest below 10000 beside a limb.
 */

#define FORMAT_DIGITS 20u /* of UINT64_MAX, in decimal */

struct format_out {
	char *to;
	size_t size;
	size_t length; /* of the whole text so far, whether it fits or not */
};

enum format_length {
	FORMAT_CHAR,
	FORMAT_SHORT,
	FORMAT_INT,
	FORMAT_LONG,
	FORMAT_LONG_LONG,
	FORMAT_SIZE,
	FORMAT_DIFFERENCE,
};

struct format_spec {
	bool left;
	bool zeros;
	char plus;     /* what stands for a sign before numbers >= 0, or 0 */
	int width;     /* at least 0 */
	int precision; /* negative: not given */
	enum format_length length;
};

/* A va_list that functions can take arguments from in turn. */
struct format_args {
	va_list list;
};

static void format_put(struct format_out *out, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (out->length < out->size) {
			out->to[out->length] = text[i];
		}
		out->length++;
	}
}

static void format_fill(struct format_out *out, char c, size_t count)
{
	for (size_t i = 0; i < count && out->length + i < out->size; i++) {
		out->to[out->length + i] = c;
	}
	out->length += count;
}

/* The parts of one directive's text, at the width that is asked for. */
static void format_field(struct format_out *out, const struct format_spec *spec,
			 const char *prefix, size_t zeros, const char *text,
			 size_t length)
{
	size_t prefix_length = loam_strlen(prefix);
	size_t total = prefix_length + zeros + length;
	size_t width = (size_t)spec->width;
	size_t blanks = total < width ? width - total : 0;
	if (!spec->left) {
		format_fill(out, ' ', blanks);
	}
	format_put(out, prefix, prefix_length);
	format_fill(out, '0', zeros);
	format_put(out, text, length);
	if (spec->left) {
		format_fill(out, ' ', blanks);
	}
}

/* Writes the digits of value so that they end at end; returns their start. */
static char *format_decimal(char *end, uint64_t value)
{
	uint32_t limb[4] = {
		(uint32_t)(value >> 48) & 0xffff,
		(uint32_t)(value >> 32) & 0xffff,
		(uint32_t)(value >> 16) & 0xffff,
		(uint32_t)value & 0xffff,
	};
	char *at = end;
	uint32_t left;
	do {
		uint32_t rest = 0;
		left = 0;
		for (unsigned i = 0; i < 4; i++) {
			rest = rest << 16 | limb[i];
			limb[i] = rest / 10000;
			rest %= 10000;
			left |= limb[i];
		}
		for (unsigned i = 0; i < 4; i++) {
			*--at = (char)('0' + rest % 10);
			rest /= 10;
		}
	} while (left != 0);
	while (at < end - 1 && *at == '0') {
		at++;
	}
	return at;
}

static char *format_hex(char *end, uint64_t value, const char *digits)
{
	char *at = end;
	do {
		*--at = digits[value & 15];
		value >>= 4;
	} while (value != 0);
	return at;
}

/* Digits with their prefix: a precision or the flag 0 asks for zeros. */
static void format_number(struct format_out *out,
			  const struct format_spec *spec, const char *prefix,
			  const char *digits, size_t length)
{
	size_t zeros = 0;
	size_t used = loam_strlen(prefix) + length;
	size_t width = (size_t)spec->width;
	if (spec->precision == 0 && length == 1 && digits[0] == '0') {
		length = 0;
	} else if (spec->precision >= 0) {
		size_t least = (size_t)spec->precision;
		zeros = least > length ? least - length : 0;
	} else if (spec->zeros && !spec->left && used < width) {
		zeros = width - used;
	}
	format_field(out, spec, prefix, zeros, digits, length);
}

static int64_t format_fetch_signed(const struct format_spec *spec,
				   struct format_args *args)
{
	switch (spec->length) {
	case FORMAT_CHAR:
		return (signed char)va_arg(args->list, int);
	case FORMAT_SHORT:
		return (short)va_arg(args->list, int);
	case FORMAT_LONG:
		return va_arg(args->list, long);
	case FORMAT_LONG_LONG:
		return va_arg(args->list, long long);
	case FORMAT_SIZE:
	case FORMAT_DIFFERENCE:
		return va_arg(args->list, ptrdiff_t);
	case FORMAT_INT:
	default:
		return va_arg(args->list, int);
	}
}

static uint64_t format_fetch_unsigned(const struct format_spec *spec,
				      struct format_args *args)
{
	switch (spec->length) {
	case FORMAT_CHAR:
		return (unsigned char)va_arg(args->list, unsigned);
	case FORMAT_SHORT:
		return (unsigned short)va_arg(args->list, unsigned);
	case FORMAT_LONG:
		return va_arg(args->list, unsigned long);
	case FORMAT_LONG_LONG:
		return va_arg(args->list, unsigned long long);
	case FORMAT_SIZE:
	case FORMAT_DIFFERENCE:
		return va_arg(args->list, size_t);
	case FORMAT_INT:
	default:
		return va_arg(args->list, unsigned);
	}
}

static void format_signed(struct format_out *out,
			  const struct format_spec *spec,
			  struct format_args *args)
{
	char digits[FORMAT_DIGITS];
	char *end = digits + sizeof(digits);
	int64_t value = format_fetch_signed(spec, args);
	uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char prefix[2] = { value < 0 ? '-' : spec->plus, '\0' };
	char *start = format_decimal(end, size);
	format_number(out, spec, prefix, start, (size_t)(end - start));
}

static void format_unsigned(struct format_out *out,
			    const struct format_spec *spec,
			    struct format_args *args, char conversion)
{
	char digits[FORMAT_DIGITS];
	char *end = digits + sizeof(digits);
	uint64_t value = format_fetch_unsigned(spec, args);
	char *start;
	if (conversion == 'u') {
		start = format_decimal(end, value);
	} else if (conversion == 'x') {
		start = format_hex(end, value, "0123456789abcdef");
	} else {
		start = format_hex(end, value, "0123456789ABCDEF");
	}
	format_number(out, spec, "", start, (size_t)(end - start));
}

static void format_pointer(struct format_out *out,
			   const struct format_spec *spec,
			   struct format_args *args)
{
	char digits[FORMAT_DIGITS];
	char *end = digits + sizeof(digits);
	uintptr_t value = (uintptr_t)va_arg(args->list, void *);
	char *start = format_hex(end, value, "0123456789abcdef");
	size_t length = (size_t)(end - start);
	size_t zeros = 2 * sizeof(void *) - length;
	format_field(out, spec, "0x", zeros, start, length);
}

static void format_string(struct format_out *out,
			  const struct format_spec *spec,
			  struct format_args *args)
{
	const char *text = va_arg(args->list, const char *);
	if (text == NULL) {
		text = "(null)";
	}
	size_t most = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision;
	size_t length = 0;
	while (length < most && text[length] != '\0') {
		length++;
		LOAM_COMPILER_BARRIER();
	}
	format_field(out, spec, "", 0, text, length);
}

static void format_char(struct format_out *out, const struct format_spec *spec,
			struct format_args *args)
{
	char c = (char)va_arg(args->list, int);
	format_field(out, spec, "", 0, &c, 1);
}

static const char *format_parse_flags(const char *at, struct format_spec *spec)
{
	for (;; at++) {
		if (*at == '-') {
			spec->left = true;
		} else if (*at == '0') {
			spec->zeros = true;
		} else if (*at == '+') {
			spec->plus = '+';
		} else if (*at == ' ' && spec->plus == '\0') {
			spec->plus = ' ';
		} else if (*at != ' ') {
			return at;
		}
	}
}

/* A number or *, into *value; too large a number becomes INT_MAX. */
static const char *format_parse_number(const char *at, int *value,
				       struct format_args *args)
{
	if (*at == '*') {
		*value = va_arg(args->list, int);
		return at + 1;
	}
	int number = 0;
	while (*at >= '0' && *at <= '9') {
		int digit = *at - '0';
		number = number <= (INT_MAX - digit) / 10 ? number * 10 + digit
							  : INT_MAX;
		at++;
	}
	*value = number;
	return at;
}

static const char *format_parse_length(const char *at, struct format_spec *spec)
{
	switch (*at) {
	case 'h':
		spec->length = at[1] == 'h' ? FORMAT_CHAR : FORMAT_SHORT;
		return at[1] == 'h' ? at + 2 : at + 1;
	case 'l':
		spec->length = at[1] == 'l' ? FORMAT_LONG_LONG : FORMAT_LONG;
		return at[1] == 'l' ? at + 2 : at + 1;
	case 'j':
		spec->length = FORMAT_LONG_LONG;
		return at + 1;
	case 'z':
		spec->length = FORMAT_SIZE;
		return at + 1;
	case 't':
		spec->length = FORMAT_DIFFERENCE;
		return at + 1;
	default:
		return at;
	}
}

/* Everything between % and the conversion's letter; returns that letter. */
static const char *format_parse(const char *at, struct format_spec *spec,
				struct format_args *args)
{
	*spec = (struct format_spec){ .precision = -1, .length = FORMAT_INT };
	at = format_parse_flags(at, spec);
	at = format_parse_number(at, &spec->width, args);
	if (spec->width < 0) {
		spec->left = true;
		spec->width = spec->width == INT_MIN ? INT_MAX : -spec->width;
	}
	if (*at == '.') {
		at = format_parse_number(at + 1, &spec->precision, args);
	}
	return format_parse_length(at, spec);
}

/* False, with nothing done, for a conversion that does not exist. */
static bool format_convert(struct format_out *out,
			   const struct format_spec *spec,
			   struct format_args *args, char conversion)
{
	switch (conversion) {
	case 'd':
	case 'i':
		format_signed(out, spec, args);
		return true;
	case 'u':
	case 'x':
	case 'X':
		format_unsigned(out, spec, args, conversion);
		return true;
	case 'p':
		format_pointer(out, spec, args);
		return true;
	case 's':
		format_string(out, spec, args);
		return true;
	case 'c':
		format_char(out, spec, args);
		return true;
	case '%':
		format_put(out, "%", 1);
		return true;
	default:
		return false;
	}
}

/* The directive at % and what follows it; returns where the text goes on. */
static const char *format_directive(struct format_out *out, const char *start,
				    struct format_args *args)
{
	struct format_spec spec;
	const char *at = format_parse(start + 1, &spec, args);
	if (*at != '\0' && format_convert(out, &spec, args, *at)) {
		return at + 1;
	}
	format_put(out, start, (size_t)(at - start));
	return at;
}

size_t loam_strlen(const char *s)
{
	size_t length = 0;
	while (s[length] != '\0') {
		length++;
		LOAM_COMPILER_BARRIER();
	}
	return length;
}

bool loam_streq(const char *a, const char *b)
{
	size_t at = 0;
	while (a[at] == b[at] && a[at] != '\0') {
		at++;
	}
	return a[at] == b[at];
}

int loam_vsnprintf(char *to, size_t size_bytes, const char *format,
		   va_list args)
{
	struct format_out out = { .to = to, .size = size_bytes };
	struct format_args copy;
	va_copy(copy.list, args);
	while (*format != '\0') {
		if (*format == '%') {
			format = format_directive(&out, format, &copy);
		} else {
			format_put(&out, format, 1);
			format++;
		}
	}
	va_end(copy.list);
	if (size_bytes > 0) {
		size_t end = size_bytes - 1;
		to[out.length < end ? out.length : end] = '\0';
	}
	return out.length > INT_MAX ? INT_MAX : (int)out.length;
}

int loam_snprintf(char *to, size_t size_bytes, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = loam_vsnprintf(to, size_bytes, format, args);
	va_end(args);
	return length;
}

const char *loam_format_size(char to[16], uint64_t size_bytes)
{
	static const char units[][4] = { "B",   "KiB", "MiB", "GiB",
					 "TiB", "PiB", "EiB" };
	unsigned unit = 0;
	while (unit < LOAM_ARRAY_SIZE(units) - 1 &&
	       size_bytes >> (10 * unit) >= 1024) {
		unit++;
	}
	uint64_t below = ((uint64_t)1 << (10 * unit)) - 1;
	unsigned whole = (unsigned)(size_bytes >> (10 * unit));
	unsigned tenths = (unsigned)((size_bytes & below) * 10 >> (10 * unit));
	if (tenths == 0) {
		(void)loam_snprintf(to, 16, "%u %s", whole, units[unit]);
	} else {
		(void)loam_snprintf(to, 16, "%u.%u %s", whole, tenths,
				    units[unit]);
	}
	return to;
}

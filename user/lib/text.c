/* SPDX-License-Identifier: MIT */
/* printf and the few functions of strings that programs want. */

#include <loam/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int printf(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	int length = loam_vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length >= (int)sizeof(text)) {
		length = (int)sizeof(text) - 1;
	}
	return length > 0 ? (int)write(text, (size_t)length) : length;
}

int puts(const char *text)
{
	return printf("%s\n", text);
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

unsigned long strtoul(const char *text, char **end, int base)
{
	unsigned long value = 0;

	if ((base == 0 || base == 16) && text[0] == '0' &&
	    (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		base = 16;
	}
	base = base == 0 ? 10 : base;
	while (digit_of(*text) < base) {
		value = value * (unsigned long)base +
			(unsigned long)digit_of(*text++);
	}
	if (end != NULL) {
		*end = (char *)(uintptr_t)text;
	}
	return value;
}

long strtol(const char *text, char **end, int base)
{
	bool negative = *text == '-';
	unsigned long value =
		strtoul(negative || *text == '+' ? text + 1 : text, end, base);

	return (long)(negative ? -value : value);
}

int atoi(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

uint32_t random_next(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return x;
}

_Noreturn void exit(int code)
{
	_exit(code);
}

_Noreturn void abort(void)
{
	__builtin_trap();
}

/* -------- the seam of the library below malloc -------- */

_Noreturn void loam_host_panic(const char *message)
{
	printf("panic: %s\n", message);
	abort();
}

void loam_host_log(enum loam_log_level level, const char *text)
{
	(void)level;
	printf("%s\n", text);
}

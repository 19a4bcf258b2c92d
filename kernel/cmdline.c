/* SPDX-License-Identifier: MIT */
/* Takes the kernel's command line apart. */

#include <loam/mem.h>

#include "cmdline.h"

/*
 * Copies the word at *text without its quotes, moves *text behind it, and
 * returns its length; 0 when none is left. Never more than size_bytes - 1.
 */
static size_t cmdline_word(const char **text, char *word, size_t size_bytes)
{
	const char *c = *text;
	size_t length = 0;
	bool quoted = false;

	while (*c == ' ') {
		c++;
	}
	for (; *c != '\0' && (quoted || *c != ' '); c++) {
		if (*c == '"') {
			quoted = !quoted;
		} else if (length + 1 < size_bytes) {
			word[length++] = *c;
		}
	}
	word[length] = '\0';
	*text = c;
	return length;
}

bool cmdline_option(const char *cmdline, const char *name, char *value,
		    size_t size_bytes)
{
	char word[512];
	size_t name_length = loam_strlen(name);
	bool found = false;

	while (*cmdline != '\0') {
		size_t length = cmdline_word(&cmdline, word, sizeof(word));
		const char *from = word + name_length;
		if (length < name_length ||
		    memcmp(word, name, name_length) != 0 ||
		    (*from != '=' && *from != '\0')) {
			continue;
		}
		found = true;
		from += *from == '=' ? 1 : 0;
		loam_snprintf(value, size_bytes, "%s", from);
	}
	return found;
}

static unsigned cmdline_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return (unsigned)(c - '0');
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

static unsigned cmdline_suffix(char c)
{
	switch (c | 0x20) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return 0;
	}
}

bool cmdline_number(const char *text, uint64_t *out)
{
	unsigned base = 10;
	uint64_t value = 0;

	if (text[0] == '0' && (text[1] | 0x20) == 'x') {
		base = 16;
		text += 2;
	}
	const char *first = text;
	for (; cmdline_digit(*text) < base; text++) {
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, cmdline_digit(*text),
					   &value)) {
			return false;
		}
	}
	if (text == first) {
		return false;
	}
	unsigned shift = cmdline_suffix(*text);
	text += shift > 0 ? 1 : 0;
	if (*text != '\0' || (value << shift) >> shift != value) {
		return false;
	}
	*out = value << shift;
	return true;
}

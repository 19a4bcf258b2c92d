/* SPDX-License-Identifier: MIT */
/* The parser of memory maps in text form. */
#include "mapfile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Rows
 * ----
 *
 *	0x9fc00 0x400 2		# base, length, type
 *
 * Base and length are hexadecimal, with or without 0x.  The type is decimal, as
 * everybody writes it, or hexadecimal with 0x.
 *
 * Logs
 * ----
 *
 * Linux has printed the map in four notations, behind whatever time stamp and
 * host name the log has:
 *
 *	 BIOS-e820: 000000000009fc00 @ 0000000000000000 (usable)
 *	 BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)
 *	BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
 *	BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff]  System RAM
 *
 * The first, of 2.4.0 to 2.4.2, has the size before the base; the second, up to
 * 3.4, an exclusive end; the third an inclusive end; the fourth, of 2025, other
 * names, and lines "[gap ...]" that are no entries.  A kernel that got its map
 * from an older BIOS call has BIOS-e801 or BIOS-88 for a mark.  Other marks
 * ("user:", "modified:") are maps that the kernel made up: not the firmware's.
 */

/* A piece of the text; not terminated. */
struct slice {
	const char *at;
	size_t size;
};

static const char *const marks[] = { "BIOS-e820:", "BIOS-e801:", "BIOS-88:" };

static const struct {
	const char *name;
	uint32_t type;
} type_names[] = {
	{ "usable", 1 },
	{ "System RAM", 1 },
	{ "kernel usable RAM", 1 },
	{ "reserved", 2 },
	{ "device reserved", 2 },
	{ "soft reserved", 2 },
	{ "ACPI data", 3 },
	{ "ACPI NVS", 4 },
	{ "unusable", 5 },
	{ "persistent", 7 },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(struct slice *s)
{
	while (s->size > 0 && is_blank(*s->at)) {
		s->at++;
		s->size--;
	}
}

static void trim(struct slice *s)
{
	skip_blanks(s);
	while (s->size > 0 && is_blank(s->at[s->size - 1])) {
		s->size--;
	}
}

/* Skips the text if s begins with it. */
static bool skip_text(struct slice *s, const char *text)
{
	size_t length = strlen(text);
	if (s->size < length || memcmp(s->at, text, length) != 0) {
		return false;
	}
	s->at += length;
	s->size -= length;
	return true;
}

/* Cuts the next line off the text. False at its end. */
static bool next_line(struct slice *text, struct slice *line)
{
	if (text->size == 0) {
		return false;
	}
	const char *end = memchr(text->at, '\n', text->size);
	line->at = text->at;
	line->size = end != NULL ? (size_t)(end - text->at) : text->size;
	size_t used = line->size + (end != NULL);
	text->at += used;
	text->size -= used;
	return true;
}

/* Cuts the next word, up to a blank, off the line. False at its end. */
static bool next_word(struct slice *line, struct slice *word)
{
	skip_blanks(line);
	word->at = line->at;
	word->size = 0;
	while (word->size < line->size && !is_blank(line->at[word->size])) {
		word->size++;
	}
	line->at += word->size;
	line->size -= word->size;
	return word->size > 0;
}

static bool fail(struct mapfile_error *error, unsigned line, const char *what)
{
	error->line = line;
	snprintf(error->text, sizeof(error->text), "%s", what);
	return false;
}

/* As fail(), and quotes the culprit: what of it fits and can be printed. */
static bool fail_at(struct mapfile_error *error, unsigned line,
		    const char *what, struct slice culprit)
{
	char quoted[41];
	size_t size = culprit.size;
	if (size >= sizeof(quoted)) {
		size = sizeof(quoted) - 1;
	}
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)culprit.at[i];
		quoted[i] = '?';
		if (c >= ' ' && c <= '~') {
			quoted[i] = (char)c;
		}
	}
	quoted[size] = '\0';
	error->line = line;
	snprintf(error->text, sizeof(error->text), "%s: \"%s\"%s", what, quoted,
		 size < culprit.size ? "..." : "");
	return false;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return 16;
}

/*
 * Reads a number off the front of s, as far as its digits go. NULL, or what is
 * wrong; *out is then untouched.
 */
static const char *take_number(struct slice *s, unsigned base, uint64_t *out)
{
	if (skip_text(s, "0x") || skip_text(s, "0X")) {
		base = 16;
	}
	uint64_t value = 0;
	size_t digits = 0;
	for (; s->size > 0; s->at++, s->size--, digits++) {
		unsigned digit = (unsigned)digit_value(*s->at);
		if (digit >= base) {
			break;
		}
		if (value > (UINT64_MAX - digit) / base) {
			return "needs more than 64 bits";
		}
		value = value * base + digit;
	}
	if (digits == 0) {
		return "is not a number";
	}
	*out = value;
	return NULL;
}

static bool append(struct mapfile *file, struct mapfile_entry entry)
{
	if (file->count == file->capacity) {
		size_t capacity = file->capacity * 2 + 64;
		struct mapfile_entry *entries =
			realloc(file->entries, capacity * sizeof(entry));
		if (entries == NULL) {
			return false;
		}
		file->entries = entries;
		file->capacity = capacity;
	}
	file->entries[file->count++] = entry;
	return true;
}

/* Reads a word that is a number and nothing else. */
static bool row_number(struct slice word, unsigned base, const char *column,
		       uint64_t *out, unsigned line,
		       struct mapfile_error *error)
{
	struct slice rest = word;
	const char *wrong = take_number(&rest, base, out);
	if (wrong == NULL && rest.size != 0) {
		wrong = base == 16 ? "is not a hexadecimal number"
				   : "is not a number";
	}
	if (wrong == NULL) {
		return true;
	}
	char what[64];
	snprintf(what, sizeof(what), "the %s %s", column, wrong);
	return fail_at(error, line, what, word);
}

static bool parse_row(struct mapfile *file, struct slice row, unsigned line,
		      struct mapfile_error *error)
{
	struct mapfile_entry entry = { .line = line };
	struct slice words[3];
	struct slice rest = row;
	size_t count = 0;
	while (count < 3 && next_word(&rest, &words[count])) {
		count++;
	}
	trim(&rest);
	if (count == 0) {
		return true;
	}
	if (count < 3) {
		trim(&row);
		return fail_at(error, line,
			       "a row has a base, a length and a type, not",
			       row);
	}
	if (rest.size != 0) {
		return fail_at(error, line, "there is more behind the type",
			       rest);
	}
	uint64_t type;
	if (!row_number(words[0], 16, "base", &entry.base, line, error) ||
	    !row_number(words[1], 16, "length", &entry.length, line, error) ||
	    !row_number(words[2], 10, "type", &type, line, error)) {
		return false;
	}
	if (type > UINT32_MAX) {
		return fail_at(error, line, "the type needs more than 32 bits",
			       words[2]);
	}
	entry.type = (uint32_t)type;
	return append(file, entry) || fail(error, line, "out of memory");
}

/* Finds a mark in the line, and leaves what follows it. False: no mark. */
static bool skip_mark(struct slice *line)
{
	struct slice rest = *line;
	for (; rest.size > 0; rest.at++, rest.size--) {
		if (*rest.at != 'B') {
			continue;
		}
		for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
			if (skip_text(&rest, marks[i])) {
				*line = rest;
				return true;
			}
		}
	}
	return false;
}

static bool is_comment(struct slice line)
{
	skip_blanks(&line);
	return line.size > 0 && *line.at == '#';
}

/* "639   KB ", which one version of the kernel prints before the type. */
static void skip_size(struct slice *s)
{
	struct slice rest = *s;
	while (rest.size > 0 &&
	       (isdigit((unsigned char)*rest.at) || *rest.at == '.')) {
		rest.at++;
		rest.size--;
	}
	if (rest.at == s->at) {
		return;
	}
	skip_blanks(&rest);
	if (skip_text(&rest, "KB ") || skip_text(&rest, "MB ") ||
	    skip_text(&rest, "GB ") || skip_text(&rest, "TB ")) {
		*s = rest;
	}
}

/* The type behind an entry's addresses, in any notation. */
static bool log_type(struct slice s, uint32_t *type)
{
	uint64_t number;
	trim(&s);
	skip_size(&s);
	trim(&s);
	if (s.size >= 2 && s.at[0] == '(' && s.at[s.size - 1] == ')') {
		s.at++;
		s.size -= 2;
	}
	for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]);
	     i++) {
		const char *name = type_names[i].name;
		if (s.size == strlen(name) &&
		    strncasecmp(s.at, name, s.size) == 0) {
			*type = type_names[i].type;
			return true;
		}
	}
	bool bracket = skip_text(&s, "persistent (");
	if (!skip_text(&s, "type ") || take_number(&s, 10, &number) != NULL ||
	    number > UINT32_MAX || (bracket && !skip_text(&s, ")")) ||
	    s.size != 0) {
		return false;
	}
	*type = (uint32_t)number;
	return true;
}

/* "[mem 0x..-0x..]": both ends included. Moves s behind it. */
static const char *log_bracket(struct slice *s, struct mapfile_entry *entry)
{
	uint64_t last;
	const char *wrong = take_number(s, 16, &entry->base);
	if (wrong != NULL) {
		return "the first address of the entry cannot be read";
	}
	if (!skip_text(s, "-") || take_number(s, 16, &last) != NULL ||
	    !skip_text(s, "]")) {
		return "the last address of the entry cannot be read";
	}
	/* An empty entry ends one byte before it begins, at 0 too. */
	entry->length = last + 1 - entry->base;
	if (entry->length != 0 && last < entry->base) {
		return "the entry ends before it begins";
	}
	return NULL;
}

/* "base - end" or "size @ base". Moves s behind it. */
static const char *log_pair(struct slice *s, struct mapfile_entry *entry)
{
	uint64_t first;
	uint64_t second;
	if (take_number(s, 16, &first) != NULL) {
		return "the first number of the entry cannot be read";
	}
	skip_blanks(s);
	bool sized = skip_text(s, "@");
	if (!sized && !skip_text(s, "-")) {
		return "there is no \"-\" or \"@\" between the numbers";
	}
	skip_blanks(s);
	if (take_number(s, 16, &second) != NULL) {
		return "the second number of the entry cannot be read";
	}
	if (sized) {
		entry->base = second;
		entry->length = first;
		return NULL;
	}
	if (second < first) {
		return "the entry ends before it begins";
	}
	entry->base = first;
	entry->length = second - first;
	return NULL;
}

static bool parse_log_line(struct mapfile *file, struct slice s, unsigned line,
			   struct mapfile_error *error)
{
	struct mapfile_entry entry = { .line = line };
	if (is_comment(s) || !skip_mark(&s)) {
		return true;
	}
	trim(&s);
	struct slice whole = s;
	if (skip_text(&s, "[gap ")) {
		return true;
	}
	const char *wrong = skip_text(&s, "[mem ") ? log_bracket(&s, &entry)
						   : log_pair(&s, &entry);
	if (wrong == NULL && !log_type(s, &entry.type)) {
		wrong = "the type of the entry is not known";
	}
	if (wrong != NULL) {
		return fail_at(error, line, wrong, whole);
	}
	return append(file, entry) || fail(error, line, "out of memory");
}

static enum mapfile_format find_format(struct slice text)
{
	struct slice line;
	while (next_line(&text, &line)) {
		if (!is_comment(line) && skip_mark(&line)) {
			return MAPFILE_LOG;
		}
	}
	return MAPFILE_ROWS;
}

bool mapfile_parse(struct mapfile *file, const char *text, size_t size,
		   struct mapfile_error *error)
{
	struct slice rest = { text, size };
	struct mapfile found = { .format = find_format(rest) };
	struct slice line;
	bool good = true;
	for (unsigned number = 1; good && next_line(&rest, &line); number++) {
		if (found.format == MAPFILE_LOG) {
			good = parse_log_line(&found, line, number, error);
			continue;
		}
		const char *comment = memchr(line.at, '#', line.size);
		if (comment != NULL) {
			line.size = (size_t)(comment - line.at);
		}
		good = parse_row(&found, line, number, error);
	}
	if (good && found.count == 0) {
		good = fail(error, 0, "there is no entry of a memory map");
	}
	if (!good) {
		mapfile_free(&found);
		return false;
	}
	*file = found;
	return true;
}

void mapfile_free(struct mapfile *file)
{
	free(file->entries);
	*file = (struct mapfile){ 0 };
}

const char *mapfile_format_name(enum mapfile_format format)
{
	return format == MAPFILE_LOG ? "log" : "rows";
}

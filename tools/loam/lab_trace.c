/* SPDX-License-Identifier: MIT */
/* The parser of traces, which loses nothing but the lines that are wrong. */
#include "lab_trace.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/*
 * IDs of live blocks are in a table with open addressing: an ID stands in its
 * home place or, where others stand there, in one of those behind it without a
 * gap. Taking one out closes the gap again.
 */
struct entry {
	uint64_t id;
	size_t line; /* where it was allocated; 0: the entry is empty */
	uint32_t slot;
};

struct parser {
	struct lab_work *work;
	struct entry *entries;
	size_t room; /* a power of two, or 0 */
	size_t used;
	size_t line;
	size_t bad;
	lab_trace_report report;
	void *context;
};

struct word {
	const char *at;
	size_t size;
};

static size_t home(const struct parser *parser, uint64_t id)
{
	uint64_t mixed = (id ^ (id >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(mixed >> 32) & (parser->room - 1);
}

/* The ID's entry, or the empty one where it would be. */
static struct entry *find(const struct parser *parser, uint64_t id)
{
	size_t at = home(parser, id);
	while (parser->entries[at].line != 0 && parser->entries[at].id != id) {
		at = (at + 1) & (parser->room - 1);
	}
	return &parser->entries[at];
}

/* Sees to it that at most half of the entries are used after one more. */
static void make_room(struct parser *parser)
{
	if ((parser->used + 1) * 2 <= parser->room) {
		return;
	}
	struct entry *old = parser->entries;
	size_t old_room = parser->room;
	parser->room = old_room != 0 ? old_room * 2 : 1024;
	parser->entries =
		lab_grow(NULL, parser->room, sizeof(parser->entries[0]));
	memset(parser->entries, 0, parser->room * sizeof(parser->entries[0]));
	for (size_t i = 0; i < old_room; i++) {
		if (old[i].line != 0) {
			*find(parser, old[i].id) = old[i];
		}
	}
	free(old);
}

/* Takes an entry out, and moves those behind it that would be lost. */
static void take_out(struct parser *parser, struct entry *entry)
{
	size_t mask = parser->room - 1;
	size_t gap = (size_t)(entry - parser->entries);
	for (size_t at = (gap + 1) & mask; parser->entries[at].line != 0;
	     at = (at + 1) & mask) {
		size_t from = home(parser, parser->entries[at].id);
		if (((at - from) & mask) >= ((at - gap) & mask)) {
			parser->entries[gap] = parser->entries[at];
			gap = at;
		}
	}
	parser->entries[gap].line = 0;
	parser->used--;
}

__attribute__((format(printf, 2, 3))) static bool wrong(struct parser *parser,
							const char *format, ...)
{
	char text[160];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	parser->bad++;
	parser->report(parser->context, parser->line, text);
	return false;
}

/* As wrong(), and quotes the culprit: what of it fits and can be printed. */
static bool wrong_word(struct parser *parser, const char *what,
		       struct word word)
{
	char quoted[41];
	size_t size = word.size < 40 ? word.size : 40;
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)word.at[i];
		quoted[i] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	quoted[size] = '\0';
	return wrong(parser, "%s: \"%s\"%s", what, quoted,
		     size < word.size ? "..." : "");
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the next word off the line. False at its end. */
static bool next_word(struct word *line, struct word *word)
{
	while (line->size > 0 && is_blank(*line->at)) {
		line->at++;
		line->size--;
	}
	word->at = line->at;
	word->size = 0;
	while (word->size < line->size && !is_blank(line->at[word->size])) {
		word->size++;
	}
	line->at += word->size;
	line->size -= word->size;
	return word->size > 0;
}

/* A decimal number and nothing else. NULL, or what is wrong. */
static const char *read_number(struct word word, uint64_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < word.size; i++) {
		unsigned digit = (unsigned)(word.at[i] - '0');
		if (digit > 9) {
			return "is not a number";
		}
		if (value > (UINT64_MAX - digit) / 10) {
			return "needs more than 64 bits";
		}
		value = value * 10 + digit;
	}
	*out = value;
	return NULL;
}

static bool take_number(struct parser *parser, struct word *line,
			const char *name, uint64_t *out)
{
	struct word word;
	char what[64];
	if (!next_word(line, &word)) {
		return wrong(parser, "there is no %s", name);
	}
	const char *bad = read_number(word, out);
	if (bad == NULL) {
		return true;
	}
	snprintf(what, sizeof(what), "the %s %s", name, bad);
	return wrong_word(parser, what, word);
}

static bool take_size(struct parser *parser, struct word *line, uint32_t *out)
{
	uint64_t size;
	if (!take_number(parser, line, "size", &size)) {
		return false;
	}
	if (size == 0) {
		return wrong(parser, "the size is 0");
	}
	if (size > UINT32_MAX) {
		return wrong(parser,
			     "the size needs more than 32 bits: \"%llu\"",
			     (unsigned long long)size);
	}
	*out = (uint32_t)size;
	return true;
}

static bool at_end(struct parser *parser, struct word *line, const char *name)
{
	struct word word;
	char what[64];
	if (!next_word(line, &word)) {
		return true;
	}
	snprintf(what, sizeof(what), "there is more behind the %s", name);
	return wrong_word(parser, what, word);
}

static bool parse_alloc(struct parser *parser, struct word *line, uint64_t id)
{
	uint32_t size;
	if (!take_size(parser, line, &size) || !at_end(parser, line, "size")) {
		return false;
	}
	make_room(parser);
	struct entry *entry = find(parser, id);
	if (entry->line != 0) {
		return wrong(parser, "block %llu is live, from line %zu on",
			     (unsigned long long)id, entry->line);
	}
	uint32_t slot = lab_work_alloc(parser->work, size);
	if (slot == LAB_NO_SLOT) {
		return wrong(parser, "too many blocks are live");
	}
	*entry = (struct entry){ .id = id, .line = parser->line, .slot = slot };
	parser->used++;
	return true;
}

/* The ID's entry, or NULL, which is then said. */
static struct entry *find_live(struct parser *parser, uint64_t id)
{
	make_room(parser);
	struct entry *entry = find(parser, id);
	if (entry->line == 0) {
		wrong(parser, "block %llu is not live", (unsigned long long)id);
		return NULL;
	}
	return entry;
}

static bool parse_free(struct parser *parser, struct word *line, uint64_t id)
{
	if (!at_end(parser, line, "ID")) {
		return false;
	}
	struct entry *entry = find_live(parser, id);
	if (entry == NULL) {
		return false;
	}
	lab_work_free(parser->work, entry->slot);
	take_out(parser, entry);
	return true;
}

static bool parse_resize(struct parser *parser, struct word *line, uint64_t id)
{
	uint32_t size;
	if (!take_size(parser, line, &size) || !at_end(parser, line, "size")) {
		return false;
	}
	const struct entry *entry = find_live(parser, id);
	if (entry == NULL) {
		return false;
	}
	lab_work_resize(parser->work, entry->slot, size);
	return true;
}

static bool parse_line(struct parser *parser, struct word line)
{
	struct word word;
	uint64_t id;
	const char *comment = memchr(line.at, '#', line.size);
	if (comment != NULL) {
		line.size = (size_t)(comment - line.at);
	}
	if (!next_word(&line, &word)) {
		return true;
	}
	if (word.size != 1 || strchr("afr", *word.at) == NULL ||
	    *word.at == '\0') {
		return wrong_word(parser, "an operation is a, f or r, not",
				  word);
	}
	if (!take_number(parser, &line, "ID", &id)) {
		return false;
	}
	switch (*word.at) {
	case 'a':
		return parse_alloc(parser, &line, id);
	case 'f':
		return parse_free(parser, &line, id);
	default:
		return parse_resize(parser, &line, id);
	}
}

size_t lab_trace_parse(struct lab_work *work, const char *text, size_t size,
		       lab_trace_report report, void *context)
{
	struct parser parser = {
		.work = work,
		.report = report,
		.context = context,
	};
	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t length = end != NULL ? (size_t)(end - text) : size;
		parser.line++;
		parse_line(&parser, (struct word){ text, length });
		length += end != NULL;
		text += length;
		size -= length;
	}
	free(parser.entries);
	return parser.bad;
}

void lab_trace_write(FILE *to, const struct lab_work *work)
{
	static const char letters[] = "afr";
	for (size_t i = 0; i < work->count; i++) {
		struct lab_op op = work->ops[i];
		fprintf(to, "%c %lu", letters[lab_kind(op)],
			(unsigned long)lab_slot(op));
		if (lab_kind(op) != LAB_FREE) {
			fprintf(to, " %lu", (unsigned long)op.size);
		}
		putc('\n', to);
	}
}

/* SPDX-License-Identifier: MIT */
/* The parser of programs: what is sound is understood, all else is refused. */

#include "../../kernel/elf.h"
#include "test.h"

#define LOW 0x00400000u
#define HIGH 0xC0000000u
#define FILE_BYTES 0x3000u

/* Two segments as our linker script makes them: text, then data and bss. */
static unsigned char sound[FILE_BYTES];

/* The two kinds of file, by where they have what. */
static const struct kind {
	enum elf_machine machine;
	unsigned char class_id;
	unsigned phoff, phentsize, phnum;
	unsigned headers; /* behind the file's header */
	unsigned p_bytes; /* of each */
	const char *other;
} kinds[] = {
	{ ELF_386, 1, 28, 42, 44, 52, 32, "it is not for a 386" },
	{ ELF_X86_64, 2, 32, 54, 56, 64, 56, "it is not for an x86-64" },
};
static const struct kind *kind;

#define EACH_KIND for (kind = kinds; kind < kinds + 2; kind++)

static uint32_t next_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return x;
}

static void put16(unsigned char *at, unsigned value)
{
	at[0] = (unsigned char)value;
	at[1] = (unsigned char)(value >> 8);
}

static void put32(unsigned char *at, uint32_t value)
{
	put16(at, value & 0xFFFFu);
	put16(at + 2, value >> 16);
}

/* An address, an offset or a size. */
static void put_word(unsigned char *at, uint64_t value)
{
	put32(at, (uint32_t)value);
	if (kind->class_id == 2) {
		put32(at + 4, (uint32_t)(value >> 32));
	}
}

/* The program header of that number. */
static unsigned char *header(unsigned number)
{
	return sound + kind->headers + number * kind->p_bytes;
}

static void put_segment(unsigned number, uint32_t type, uint64_t offset,
			uint64_t virt, uint64_t file_bytes, uint64_t bytes,
			uint32_t flags)
{
	const unsigned word = kind->class_id * 4;
	unsigned char *h = header(number);
	unsigned char *words = h + word;

	put32(h, type);
	put32(h + (word == 8 ? 4 : 24), flags);
	put_word(words, offset);
	put_word(words + word, virt);
	put_word(words + 2 * word, virt);
	put_word(words + 3 * word, file_bytes);
	put_word(words + 4 * word, bytes);
	put_word(h + (word == 8 ? 48 : 28), 4096);
}

static void make_sound(void)
{
	unsigned char *h = sound;

	memset(sound, 0, sizeof(sound));
	memcpy(h, "\177ELF\1\1\1", 7);
	h[4] = kind->class_id;
	put16(h + 16, 2);
	put16(h + 18, kind->machine);
	put32(h + 20, 1);
	put_word(h + 24, LOW + 0x10);
	put_word(h + kind->phoff, kind->headers);
	put16(h + kind->phentsize - 2, kind->headers);
	put16(h + kind->phentsize, kind->p_bytes);
	put16(h + kind->phnum, 3);
	put_segment(0, 1, 0x1000, LOW, 0x800, 0x800, 5);
	put_segment(1, 1, 0x2010, LOW + 0x1010, 0x100, 0x5000, 6);
	put_segment(2, 0x6474E551, 0, 0, 0, 0, 6);
}

/* Parses a copy of exactly size bytes, so that a read beyond it is found. */
static int parse(size_t size, struct elf_program *out, const char **why)
{
	unsigned char *copy = malloc(size == 0 ? 1 : size);

	EXPECT(copy != NULL);
	memcpy(copy, sound, size);
	int error = elf_parse(copy, size, kind->machine, LOW, HIGH, out, why);
	free(copy);
	return error;
}

static void expect_refused(const char *sentence)
{
	struct elf_program program;
	const char *why = NULL;

	EXPECT_EQ(parse(FILE_BYTES, &program, &why), -LOAM_EINVAL);
	EXPECT(why != NULL);
	if (strcmp(why, sentence) != 0) {
		printf("# \"%s\" instead of \"%s\"\n", why, sentence);
	}
	EXPECT(strcmp(why, sentence) == 0);
}

static void check_sound(void)
{
	struct elf_program program;
	const char *why = "unset";

	make_sound();
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.entry, LOW + 0x10);
	EXPECT_EQ(program.count, 2);
	EXPECT_EQ(program.segments[0].virt, LOW);
	EXPECT_EQ(program.segments[0].size, 0x1000);
	EXPECT_EQ(program.segments[0].skip, 0);
	EXPECT_EQ(program.segments[0].offset, 0x1000);
	EXPECT(program.segments[0].exec && !program.segments[0].write);
	EXPECT_EQ(program.segments[1].virt, LOW + 0x1000);
	EXPECT_EQ(program.segments[1].skip, 0x10);
	EXPECT_EQ(program.segments[1].size, 0x6000);
	EXPECT_EQ(program.segments[1].file_bytes, 0x100);
	EXPECT(program.segments[1].write && !program.segments[1].exec);
	EXPECT_EQ(program.end, LOW + 0x7000);
}

TEST(elf_sound, "S3.8 a sound program: its segments in whole pages")
{
	EACH_KIND
	{
		check_sound();
	}
}

TEST(elf_order, "segments are sorted by address whatever their order")
{
	struct elf_program program;
	unsigned char first[64];
	const char *why;

	EACH_KIND
	{
		make_sound();
		memcpy(first, header(0), kind->p_bytes);
		memcpy(header(0), header(1), kind->p_bytes);
		memcpy(header(1), first, kind->p_bytes);
		EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
		EXPECT_EQ(program.segments[0].virt, LOW);
		EXPECT_EQ(program.segments[1].virt, LOW + 0x1000);
	}
}

TEST(elf_header, "S3.28 wrong headers are refused, each with its sentence")
{
	static const struct {
		unsigned at[2]; /* in each kind */
		unsigned char value;
		const char *why; /* NULL: it is for another machine */
	} cases[] = {
		{ { 0, 0 }, 0, "it is not an ELF file" },
		{ { 3, 3 }, 'f', "it is not an ELF file" },
		{ { 4, 4 }, 0, NULL },
		{ { 5, 5 }, 2, NULL },
		{ { 18, 18 }, 8, NULL },
		{ { 19, 19 }, 1, NULL },
		{ { 6, 6 }, 0, "its version of ELF is unknown" },
		{ { 20, 20 }, 2, "its version of ELF is unknown" },
		{ { 16, 16 }, 1, "it is not an executable" },
		{ { 16, 16 }, 3, "it is not an executable" },
		{ { 42, 54 },
		  31,
		  "its program headers are of an unknown kind or number" },
		{ { 44, 56 },
		  0,
		  "its program headers are of an unknown kind or number" },
		{ { 45, 57 },
		  1,
		  "its program headers are of an unknown kind or number" },
		{ { 29, 33 }, 0x30, "its program headers are not in the file" },
		{ { 31, 39 }, 0xFF, "its program headers are not in the file" },
		{ { 52, 64 }, 2, "it wants libraries that are loaded with it" },
		{ { 52, 64 }, 3, "it wants libraries that are loaded with it" },
	};

	EACH_KIND
	{
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
			make_sound();
			sound[cases[i].at[kind - kinds]] = cases[i].value;
			expect_refused(cases[i].why != NULL ? cases[i].why
							    : kind->other);
		}
	}
}

TEST(elf_other, "a program of the other width is said to be another's")
{
	struct elf_program program;
	const char *why = NULL;

	EACH_KIND
	{
		const struct kind *other = kind == kinds ? kinds + 1 : kinds;
		make_sound();
		EXPECT_EQ(elf_parse(sound, FILE_BYTES, other->machine, LOW,
				    HIGH, &program, &why),
			  -LOAM_EINVAL);
		EXPECT(strcmp(why, other->other) == 0);
	}
}

TEST(elf_segments, "S3.28 segments that lie, wrap, overlap or leave the range")
{
	static const struct {
		uint64_t offset, virt, file_bytes, bytes;
		const char *why;
	} cases[] = {
		{ 0x2000, LOW + 0x1000, 0x200, 0x100,
		  "a segment has more bytes in the file than in memory" },
		{ 0x2000, LOW + 0x1000, 0x1001, 0x2000,
		  "a segment is not in the file" },
		{ 0x3001, LOW + 0x1000, 0, 0x2000,
		  "a segment is not in the file" },
		{ UINT32_MAX, LOW + 0x1000, 2, 2,
		  "a segment is not in the file" },
		{ 0x2000, LOW + 0x1000, UINT32_MAX, UINT32_MAX,
		  "a segment is not in the file" },
		{ 0x2000, LOW - 1, 0x100, 0x100,
		  "a segment is not where programs may be" },
		{ 0x2000, 0, 0x100, 0x100,
		  "a segment is not where programs may be" },
		{ 0x2000, HIGH - 0x1000, 0x100, 0x1001,
		  "a segment is not where programs may be" },
		{ 0x2000, HIGH, 0x100, 0x100,
		  "a segment is not where programs may be" },
		{ 0x2000, 0xFFFFF000, 0x100, 0x1000,
		  "a segment is not where programs may be" },
		{ 0x2000, LOW + 0x1000, 0x100, UINT32_MAX,
		  "a segment is not where programs may be" },
		{ 0x2000, LOW + 0x7FF, 0x100, 0x100,
		  "two segments share a page" },
		{ 0x2000, LOW, 0x100, 0x100000, "two segments share a page" },
		{ 0x2000, LOW + 0xFFF, 1, 1, "two segments share a page" },
	};

	EACH_KIND
	{
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
			make_sound();
			put_segment(1, 1, cases[i].offset, cases[i].virt,
				    cases[i].file_bytes, cases[i].bytes, 6);
			expect_refused(cases[i].why);
		}
	}
}

TEST(elf_wide, "S3.28 what is sound but for its upper 32 bits is refused")
{
	static const struct {
		uint64_t offset, virt, file_bytes, bytes;
		const char *why;
	} cases[] = {
		{ 0x100002000, LOW + 0x1000, 0x100, 0x100,
		  "a segment is not in the file" },
		{ UINT64_MAX, LOW + 0x1000, 2, 2,
		  "a segment is not in the file" },
		{ 0x2000, LOW + 0x1000, 0x100000100, 0x100000100,
		  "a segment is not in the file" },
		{ 0x2000, LOW + 0x1000, UINT64_MAX, UINT64_MAX,
		  "a segment is not in the file" },
		{ 0x2000, LOW + 0x100001000, 0x100, 0x100,
		  "a segment is not where programs may be" },
		{ 0x2000, LOW + 0x1000, 0x100, 0x100000100,
		  "a segment is not where programs may be" },
		{ 0x2000, LOW + 0x1000, 0x100, UINT64_MAX,
		  "a segment is not where programs may be" },
		{ 0x2000, UINT64_MAX - 0xFFF, 0x100, 0x1000,
		  "a segment is not where programs may be" },
	};

	kind = &kinds[1];
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		make_sound();
		put_segment(1, 1, cases[i].offset, cases[i].virt,
			    cases[i].file_bytes, cases[i].bytes, 6);
		expect_refused(cases[i].why);
	}
	make_sound();
	put_word(sound + 24, 0x100000000 + LOW + 0x10);
	expect_refused("its entry is in no executable segment");
	make_sound();
	put_word(sound + kind->phoff, 0x100000000 + kind->headers);
	expect_refused("its program headers are not in the file");
}

static void check_edges(void)
{
	struct elf_program program;
	const char *why;

	make_sound();
	put_segment(1, 1, 0x2000, HIGH - 0x1000, 0x1000, 0x1000, 6);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.end, HIGH);
	put_segment(1, 1, 0x3000, LOW + 0x1000, 0, 1, 6);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.segments[1].file_bytes, 0);
	/* Nothing to load is no segment. */
	put_segment(1, 1, 0x3000, 0, 0, 0, 6);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.count, 1);
}

TEST(elf_edges, "a segment may end where the range does")
{
	EACH_KIND
	{
		check_edges();
	}
}

TEST(elf_entry, "an entry outside of executable bytes is refused")
{
	static const uint32_t entries[] = {
		0,    LOW - 1,    LOW + 0x800, LOW + 0x1010, LOW + 0x5000,
		HIGH, UINT32_MAX,
	};

	EACH_KIND
	{
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(entries); i++) {
			make_sound();
			put_word(sound + 24, entries[i]);
			expect_refused("its entry is in no executable segment");
		}
	}
}

TEST(elf_many, "more segments than are kept are refused")
{
	EACH_KIND
	{
		make_sound();
		put16(sound + kind->phnum, 17);
		for (unsigned i = 0; i < 17; i++) {
			put_segment(i, 1, 0x2000, LOW + 0x1000 * i, 0x100,
				    0x100, 5);
		}
		expect_refused("it has too many segments");
	}
}

TEST(elf_cut, "S3.28 a file cut at any length is refused or needs no more")
{
	struct elf_program program;
	const char *why;

	EACH_KIND
	{
		make_sound();
		for (size_t size = 0; size < FILE_BYTES; size++) {
			int error = parse(size, &program, &why);
			EXPECT_EQ(error, size < 0x2110 ? -LOAM_EINVAL : 0);
		}
	}
}

/* What elf_parse() promises of a program that it accepts. */
static void expect_promises(const struct elf_program *p, size_t size)
{
	uintptr_t end = LOW;
	bool entry = false;

	EXPECT(p->count >= 1 && p->count <= ELF_SEGMENTS_MOST);
	for (unsigned i = 0; i < p->count; i++) {
		const struct elf_segment *s = &p->segments[i];
		EXPECT(s->virt >= end && s->virt % 4096 == 0);
		EXPECT(s->size > 0 && s->size % 4096 == 0);
		EXPECT(s->size <= HIGH - s->virt);
		EXPECT(s->skip + s->file_bytes <= s->size);
		EXPECT(s->offset <= size && s->file_bytes <= size - s->offset);
		entry = entry || (s->exec && p->entry - s->virt < s->size);
		end = s->virt + s->size;
	}
	EXPECT(entry);
	EXPECT_EQ(p->end, end);
}

static void check_random(void)
{
	struct elf_program program;
	uint32_t state = 0xE1F;
	unsigned accepted = 0;
	const char *why;
	/* Mostly where it hurts: the headers. */
	const unsigned most = kind->headers + 3 * kind->p_bytes;

	for (unsigned round = 0; round < 10000; round++) {
		make_sound();
		for (unsigned n = 1 + next_random(&state) % 4; n > 0; n--) {
			unsigned at = next_random(&state) % most;
			sound[at] = (unsigned char)(next_random(&state) >> 8);
		}
		if (parse(0x2200, &program, &why) == 0) {
			expect_promises(&program, 0x2200);
			accepted++;
		}
	}
	EXPECT(accepted > 100 && accepted < 9900);
}

TEST(elf_random, "S3.28 20,000 damaged files: refused, or sound all the same")
{
	EACH_KIND
	{
		check_random();
	}
}

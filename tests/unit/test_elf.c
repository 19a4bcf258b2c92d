/* SPDX-License-Identifier: MIT */
/* The parser of programs: what is sound is understood, all else is refused. */

#include "../../kernel/elf.h"
#include "test.h"

#define LOW 0x00400000u
#define HIGH 0xC0000000u
#define FILE_BYTES 0x3000u

/* Two segments as our linker script makes them: text, then data and bss. */
static unsigned char sound[FILE_BYTES];

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

static void put_segment(unsigned char *h, uint32_t type, uint32_t offset,
			uint32_t virt, uint32_t file_bytes, uint32_t bytes,
			uint32_t flags)
{
	put32(h, type);
	put32(h + 4, offset);
	put32(h + 8, virt);
	put32(h + 12, virt);
	put32(h + 16, file_bytes);
	put32(h + 20, bytes);
	put32(h + 24, flags);
	put32(h + 28, 4096);
}

static void make_sound(void)
{
	unsigned char *h = sound;

	memset(sound, 0, sizeof(sound));
	memcpy(h, "\177ELF\1\1\1", 7);
	put16(h + 16, 2);
	put16(h + 18, 3);
	put32(h + 20, 1);
	put32(h + 24, LOW + 0x10);
	put32(h + 28, 52);
	put16(h + 40, 52);
	put16(h + 42, 32);
	put16(h + 44, 3);
	put_segment(h + 52, 1, 0x1000, LOW, 0x800, 0x800, 5);
	put_segment(h + 84, 1, 0x2010, LOW + 0x1010, 0x100, 0x5000, 6);
	put_segment(h + 116, 0x6474E551, 0, 0, 0, 0, 6);
}

/* Parses a copy of exactly size bytes, so that a read beyond it is found. */
static int parse(size_t size, struct elf_program *out, const char **why)
{
	unsigned char *copy = malloc(size == 0 ? 1 : size);

	EXPECT(copy != NULL);
	memcpy(copy, sound, size);
	int error = elf_parse(copy, size, LOW, HIGH, out, why);
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

TEST(elf_sound, "S3.8 a sound program: its segments in whole pages")
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

TEST(elf_order, "segments are sorted by address whatever their order")
{
	struct elf_program program;
	unsigned char first[32];
	const char *why;

	make_sound();
	memcpy(first, sound + 52, 32);
	memcpy(sound + 52, sound + 84, 32);
	memcpy(sound + 84, first, 32);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.segments[0].virt, LOW);
	EXPECT_EQ(program.segments[1].virt, LOW + 0x1000);
}

TEST(elf_header, "S3.28 wrong headers are refused, each with its sentence")
{
	static const struct {
		unsigned at;
		unsigned char value;
		const char *why;
	} cases[] = {
		{ 0, 0, "it is not an ELF file" },
		{ 3, 'f', "it is not an ELF file" },
		{ 4, 2, "it is not for a 386" },
		{ 5, 2, "it is not for a 386" },
		{ 18, 62, "it is not for a 386" },
		{ 6, 0, "its version of ELF is unknown" },
		{ 20, 2, "its version of ELF is unknown" },
		{ 16, 1, "it is not an executable" },
		{ 16, 3, "it is not an executable" },
		{ 42, 31,
		  "its program headers are of an unknown kind or number" },
		{ 44, 0,
		  "its program headers are of an unknown kind or number" },
		{ 45, 1,
		  "its program headers are of an unknown kind or number" },
		{ 29, 0x30, "its program headers are not in the file" },
		{ 31, 0xFF, "its program headers are not in the file" },
		{ 52, 2, "it wants libraries that are loaded with it" },
		{ 52, 3, "it wants libraries that are loaded with it" },
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		make_sound();
		sound[cases[i].at] = cases[i].value;
		expect_refused(cases[i].why);
	}
}

TEST(elf_segments, "S3.28 segments that lie, wrap, overlap or leave the range")
{
	static const struct {
		uint32_t offset, virt, file_bytes, bytes;
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

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		make_sound();
		put_segment(sound + 84, 1, cases[i].offset, cases[i].virt,
			    cases[i].file_bytes, cases[i].bytes, 6);
		expect_refused(cases[i].why);
	}
}

TEST(elf_edges, "a segment may end where the range does")
{
	struct elf_program program;
	const char *why;

	make_sound();
	put_segment(sound + 84, 1, 0x2000, HIGH - 0x1000, 0x1000, 0x1000, 6);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.end, HIGH);
	put_segment(sound + 84, 1, 0x3000, LOW + 0x1000, 0, 1, 6);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.segments[1].file_bytes, 0);
	/* Nothing to load is no segment. */
	put_segment(sound + 84, 1, 0x3000, 0, 0, 0, 6);
	EXPECT_EQ(parse(FILE_BYTES, &program, &why), 0);
	EXPECT_EQ(program.count, 1);
}

TEST(elf_entry, "an entry outside of executable bytes is refused")
{
	static const uint32_t entries[] = {
		0,    LOW - 1,    LOW + 0x800, LOW + 0x1010, LOW + 0x5000,
		HIGH, UINT32_MAX,
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(entries); i++) {
		make_sound();
		put32(sound + 24, entries[i]);
		expect_refused("its entry is in no executable segment");
	}
}

TEST(elf_many, "more segments than are kept are refused")
{
	make_sound();
	put16(sound + 44, 17);
	for (unsigned i = 0; i < 17; i++) {
		put_segment(sound + 52 + 32 * i, 1, 0x2000, LOW + 0x1000 * i,
			    0x100, 0x100, 5);
	}
	expect_refused("it has too many segments");
}

TEST(elf_cut, "S3.28 a file cut at any length is refused or needs no more")
{
	struct elf_program program;
	const char *why;

	make_sound();
	for (size_t size = 0; size < FILE_BYTES; size++) {
		int error = parse(size, &program, &why);
		EXPECT_EQ(error, size < 0x2110 ? -LOAM_EINVAL : 0);
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

TEST(elf_random, "S3.28 20,000 damaged files: refused, or sound all the same")
{
	struct elf_program program;
	uint32_t state = 0xE1F;
	unsigned accepted = 0;
	const char *why;

	for (unsigned round = 0; round < 20000; round++) {
		make_sound();
		for (unsigned n = 1 + next_random(&state) % 4; n > 0; n--) {
			/* Mostly where it hurts: the headers. */
			unsigned at = next_random(&state) % 148;
			sound[at] = (unsigned char)(next_random(&state) >> 8);
		}
		if (parse(0x2200, &program, &why) == 0) {
			expect_promises(&program, 0x2200);
			accepted++;
		}
	}
	EXPECT(accepted > 100 && accepted < 19000);
}

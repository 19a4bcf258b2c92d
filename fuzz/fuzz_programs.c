/* SPDX-License-Identifier: MIT */
/* Fuzzes what programs come as: a tar archive, and ELF files in it or alone. */
#include <stdlib.h>
#include <string.h>

#include "../kernel/archive.h"
#include "../kernel/elf.h"

#define LOW 0x00400000u
#define HIGH 0xC0000000u
#define PAGE 4096u

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

/* All that elf_parse() promises of a program that it lets through. */
static void try_kind(const uint8_t *data, size_t size, enum elf_machine machine)
{
	struct elf_program program;
	const char *why = "unset";
	bool entry = false;
	uintptr_t end = LOW;

	if (elf_parse(data, size, machine, LOW, HIGH, &program, &why) != 0) {
		require(why != NULL && why[0] != '\0');
		return;
	}
	require(why == NULL);
	require(program.count >= 1 && program.count <= ELF_SEGMENTS_MOST);
	for (unsigned i = 0; i < program.count; i++) {
		const struct elf_segment *s = &program.segments[i];
		require(s->virt >= end && s->virt % PAGE == 0);
		require(s->size > 0 && s->size % PAGE == 0);
		require(s->size <= HIGH - s->virt);
		require(s->skip < PAGE && s->skip + s->file_bytes <= s->size);
		require(s->offset <= size && s->file_bytes <= size - s->offset);
		size_t at = program.entry - s->virt;
		entry = entry || (s->exec && at >= s->skip &&
				  at - s->skip < s->file_bytes);
		end = s->virt + s->size;
	}
	require(entry && program.end == end);
}

static void try_program(const uint8_t *data, size_t size)
{
	try_kind(data, size, ELF_386);
	try_kind(data, size, ELF_X86_64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct archive_file file;
	struct archive_file again;
	size_t at = 0;

	try_program(data, size);
	while (archive_next(data, size, &at, &file)) {
		require(at <= size);
		require(memchr(file.name, '\0', sizeof(file.name)) != NULL);
		require(file.bytes >= data &&
			(size_t)(file.bytes - data) <= size &&
			file.size <= size - (size_t)(file.bytes - data));
		require(archive_find(data, size, file.name, &again));
		try_program(file.bytes, file.size);
	}
	return 0;
}

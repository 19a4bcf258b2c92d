/* SPDX-License-Identifier: MIT */
/* Checks the headers of an ELF executable and says what to map. */

/*
 * The file may be anything: nothing is believed before it has been compared
 * with the file's size and with what is possible. Fields are read byte by byte,
 * little end first, so that neither the alignment of the file nor the byte
 * order of the machine that reads it (fuzzers run elsewhere) matters. What is
 * known of the format is from the System V ABI, chapters 4 and 5.
 */

#include <loam/mem.h>

#include "elf.h"

/* Offsets in the file's header, and its size. */
enum elf_header {
	ELF_CLASS = 4,
	ELF_DATA = 5,
	ELF_IDENT_VERSION = 6,
	ELF_TYPE = 16,
	ELF_MACHINE = 18,
	ELF_VERSION = 20,
	ELF_ENTRY = 24,
	ELF_PHOFF = 28,
	ELF_PHENTSIZE = 42,
	ELF_PHNUM = 44,
	ELF_HEADER_BYTES = 52,
};

/* Offsets in a program header, and its size. */
enum elf_program_header {
	ELF_P_TYPE = 0,
	ELF_P_OFFSET = 4,
	ELF_P_VADDR = 8,
	ELF_P_FILESZ = 16,
	ELF_P_MEMSZ = 20,
	ELF_P_FLAGS = 24,
	ELF_P_BYTES = 32,
};

#define ELF_CLASS_32 1u
#define ELF_DATA_LITTLE 1u
#define ELF_VERSION_1 1u
#define ELF_TYPE_EXECUTABLE 2u
#define ELF_MACHINE_386 3u
#define ELF_PT_LOAD 1u
#define ELF_PT_DYNAMIC 2u
#define ELF_PT_INTERP 3u
#define ELF_PF_EXEC 1u
#define ELF_PF_WRITE 2u
#define ELF_HEADERS_MOST 64u

struct elf_file {
	const unsigned char *bytes;
	size_t size;
	uintptr_t low;
	uintptr_t high;
};

static uint32_t elf_u16(const unsigned char *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t elf_u32(const unsigned char *at)
{
	return elf_u16(at) | elf_u16(at + 2) << 16;
}

/* NULL, or what is wrong with the file's header. */
static const char *elf_check_header(const struct elf_file *file)
{
	const unsigned char *h = file->bytes;

	if (file->size < ELF_HEADER_BYTES || memcmp(h, "\177ELF", 4) != 0) {
		return "it is not an ELF file";
	}
	if (h[ELF_CLASS] != ELF_CLASS_32 || h[ELF_DATA] != ELF_DATA_LITTLE ||
	    elf_u16(h + ELF_MACHINE) != ELF_MACHINE_386) {
		return "it is not for a 386";
	}
	if (h[ELF_IDENT_VERSION] != ELF_VERSION_1 ||
	    elf_u32(h + ELF_VERSION) != ELF_VERSION_1) {
		return "its version of ELF is unknown";
	}
	if (elf_u16(h + ELF_TYPE) != ELF_TYPE_EXECUTABLE) {
		return "it is not an executable";
	}
	uint32_t offset = elf_u32(h + ELF_PHOFF);
	uint32_t count = elf_u16(h + ELF_PHNUM);
	if (elf_u16(h + ELF_PHENTSIZE) != ELF_P_BYTES || count == 0 ||
	    count > ELF_HEADERS_MOST) {
		return "its program headers are of an unknown kind or number";
	}
	if (offset > file->size || count * ELF_P_BYTES > file->size - offset) {
		return "its program headers are not in the file";
	}
	return NULL;
}

/* NULL and *out, or what is wrong with a segment to be loaded. */
static const char *elf_read_segment(const struct elf_file *file,
				    const unsigned char *h,
				    struct elf_segment *out)
{
	uint32_t offset = elf_u32(h + ELF_P_OFFSET);
	uint32_t virt = elf_u32(h + ELF_P_VADDR);
	uint32_t file_bytes = elf_u32(h + ELF_P_FILESZ);
	uint32_t bytes = elf_u32(h + ELF_P_MEMSZ);
	uint32_t flags = elf_u32(h + ELF_P_FLAGS);

	if (file_bytes > bytes) {
		return "a segment has more bytes in the file than in memory";
	}
	if (offset > file->size || file_bytes > file->size - offset) {
		return "a segment is not in the file";
	}
	if (virt < file->low || virt >= file->high ||
	    bytes > file->high - virt) {
		return "a segment is not where programs may be";
	}
	out->skip = virt & LOAM_PAGE_MASK;
	out->virt = virt - out->skip;
	/* Does not wrap: high is a page bound. */
	out->size =
		(out->skip + bytes + LOAM_PAGE_MASK) & ~(size_t)LOAM_PAGE_MASK;
	out->offset = offset;
	out->file_bytes = file_bytes;
	out->write = (flags & ELF_PF_WRITE) != 0;
	out->exec = (flags & ELF_PF_EXEC) != 0;
	return NULL;
}

/* Puts a segment in its place by address. False: it is in another's way. */
static bool elf_insert(struct elf_program *program,
		       const struct elf_segment *segment)
{
	unsigned at = program->count;

	while (at > 0 && program->segments[at - 1].virt > segment->virt) {
		at--;
	}
	if (at > 0 && segment->virt - program->segments[at - 1].virt <
			      program->segments[at - 1].size) {
		return false;
	}
	if (at < program->count &&
	    program->segments[at].virt - segment->virt < segment->size) {
		return false;
	}
	for (unsigned i = program->count; i > at; i--) {
		program->segments[i] = program->segments[i - 1];
	}
	program->segments[at] = *segment;
	program->count++;
	return true;
}

/* NULL, or what is wrong with one program header. */
static const char *elf_take_header(const struct elf_file *file,
				   const unsigned char *h,
				   struct elf_program *program)
{
	uint32_t type = elf_u32(h + ELF_P_TYPE);
	struct elf_segment segment;

	if (type == ELF_PT_INTERP || type == ELF_PT_DYNAMIC) {
		return "it wants libraries that are loaded with it";
	}
	if (type != ELF_PT_LOAD || elf_u32(h + ELF_P_MEMSZ) == 0) {
		return NULL;
	}
	const char *why = elf_read_segment(file, h, &segment);
	if (why != NULL) {
		return why;
	}
	if (program->count == ELF_SEGMENTS_MOST) {
		return "it has too many segments";
	}
	if (!elf_insert(program, &segment)) {
		return "two segments share a page";
	}
	return NULL;
}

static bool elf_is_entry(const struct elf_program *program)
{
	for (unsigned i = 0; i < program->count; i++) {
		const struct elf_segment *s = &program->segments[i];
		size_t at = program->entry - s->virt;
		if (s->exec && at >= s->skip && at - s->skip < s->file_bytes) {
			return true;
		}
	}
	return false;
}

int elf_parse(const void *bytes, size_t size_bytes, uintptr_t low,
	      uintptr_t high, struct elf_program *out, const char **why)
{
	const struct elf_file file = { bytes, size_bytes, low, high };

	*why = elf_check_header(&file);
	if (*why != NULL) {
		return -LOAM_EINVAL;
	}
	const unsigned char *h = file.bytes;
	const unsigned char *header = h + elf_u32(h + ELF_PHOFF);
	uint32_t count = elf_u16(h + ELF_PHNUM);

	out->count = 0;
	out->entry = elf_u32(h + ELF_ENTRY);
	for (uint32_t i = 0; i < count; i++) {
		*why = elf_take_header(&file, header + i * ELF_P_BYTES, out);
		if (*why != NULL) {
			return -LOAM_EINVAL;
		}
	}
	if (!elf_is_entry(out)) {
		*why = "its entry is in no executable segment";
		return -LOAM_EINVAL;
	}
	const struct elf_segment *last = &out->segments[out->count - 1];
	out->end = last->virt + last->size;
	return 0;
}

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

/* What both kinds have at the same offset in the file's header. */
enum elf_header {
	ELF_CLASS = 4,
	ELF_DATA = 5,
	ELF_IDENT_VERSION = 6,
	ELF_TYPE = 16,
	ELF_MACHINE = 18,
	ELF_VERSION = 20,
	ELF_ENTRY = 24,
};

#define ELF_CLASS_32 1u
#define ELF_CLASS_64 2u
#define ELF_DATA_LITTLE 1u
#define ELF_VERSION_1 1u
#define ELF_TYPE_EXECUTABLE 2u
#define ELF_PT_LOAD 1u
#define ELF_PT_DYNAMIC 2u
#define ELF_PT_INTERP 3u
#define ELF_PF_EXEC 1u
#define ELF_PF_WRITE 2u
#define ELF_HEADERS_MOST 64u

/* Where a kind has what: offsets in the file's header and in a segment's. */
struct elf_layout {
	uint8_t class_id;
	uint8_t word; /* bytes of an address, an offset, a size */
	uint8_t phoff, phentsize, phnum, header_bytes;
	uint8_t p_flags, p_offset, p_vaddr, p_filesz, p_memsz, p_bytes;
	const char *other; /* what is wrong with a file of another kind */
};

static const struct elf_layout elf_layout_32 = {
	.class_id = ELF_CLASS_32,
	.word = 4,
	.phoff = 28,
	.phentsize = 42,
	.phnum = 44,
	.header_bytes = 52,
	.p_offset = 4,
	.p_vaddr = 8,
	.p_filesz = 16,
	.p_memsz = 20,
	.p_flags = 24,
	.p_bytes = 32,
	.other = "it is not for a 386",
};

static const struct elf_layout elf_layout_64 = {
	.class_id = ELF_CLASS_64,
	.word = 8,
	.phoff = 32,
	.phentsize = 54,
	.phnum = 56,
	.header_bytes = 64,
	.p_flags = 4,
	.p_offset = 8,
	.p_vaddr = 16,
	.p_filesz = 32,
	.p_memsz = 40,
	.p_bytes = 56,
	.other = "it is not for an x86-64",
};

struct elf_file {
	const unsigned char *bytes;
	size_t size;
	enum elf_machine machine;
	const struct elf_layout *layout;
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

/* An address, an offset or a size. */
static uint64_t elf_word(const struct elf_file *file, const unsigned char *at)
{
	uint64_t low = elf_u32(at);

	return file->layout->word == 4 ? low
				       : low | (uint64_t)elf_u32(at + 4) << 32;
}

/* NULL, or what is wrong with the file's header. */
static const char *elf_check_header(const struct elf_file *file)
{
	const struct elf_layout *layout = file->layout;
	const unsigned char *h = file->bytes;

	if (file->size < ELF_ENTRY || memcmp(h, "\177ELF", 4) != 0) {
		return "it is not an ELF file";
	}
	if (h[ELF_CLASS] != layout->class_id ||
	    h[ELF_DATA] != ELF_DATA_LITTLE ||
	    elf_u16(h + ELF_MACHINE) != file->machine) {
		return layout->other;
	}
	if (file->size < layout->header_bytes) {
		return "it is not an ELF file";
	}
	if (h[ELF_IDENT_VERSION] != ELF_VERSION_1 ||
	    elf_u32(h + ELF_VERSION) != ELF_VERSION_1) {
		return "its version of ELF is unknown";
	}
	if (elf_u16(h + ELF_TYPE) != ELF_TYPE_EXECUTABLE) {
		return "it is not an executable";
	}
	uint64_t offset = elf_word(file, h + layout->phoff);
	uint32_t count = elf_u16(h + layout->phnum);
	if (elf_u16(h + layout->phentsize) != layout->p_bytes || count == 0 ||
	    count > ELF_HEADERS_MOST) {
		return "its program headers are of an unknown kind or number";
	}
	if (offset > file->size ||
	    count * layout->p_bytes > file->size - offset) {
		return "its program headers are not in the file";
	}
	return NULL;
}

/* NULL and *out, or what is wrong with a segment to be loaded. */
static const char *elf_read_segment(const struct elf_file *file,
				    const unsigned char *h,
				    struct elf_segment *out)
{
	const struct elf_layout *layout = file->layout;
	uint64_t offset = elf_word(file, h + layout->p_offset);
	uint64_t virt = elf_word(file, h + layout->p_vaddr);
	uint64_t file_bytes = elf_word(file, h + layout->p_filesz);
	uint64_t bytes = elf_word(file, h + layout->p_memsz);
	uint32_t flags = elf_u32(h + layout->p_flags);

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
	/* What has been compared fits, in 32 bits too. */
	out->skip = (size_t)virt & LOAM_PAGE_MASK;
	out->virt = (uintptr_t)virt - out->skip;
	/* Does not wrap: high is a page bound. */
	out->size = (out->skip + (size_t)bytes + LOAM_PAGE_MASK) &
		    ~(size_t)LOAM_PAGE_MASK;
	out->offset = (size_t)offset;
	out->file_bytes = (size_t)file_bytes;
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
	uint32_t type = elf_u32(h);
	struct elf_segment segment;

	if (type == ELF_PT_INTERP || type == ELF_PT_DYNAMIC) {
		return "it wants libraries that are loaded with it";
	}
	if (type != ELF_PT_LOAD ||
	    elf_word(file, h + file->layout->p_memsz) == 0) {
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

int elf_parse(const void *bytes, size_t size_bytes, enum elf_machine machine,
	      uintptr_t low, uintptr_t high, struct elf_program *out,
	      const char **why)
{
	const struct elf_file file = {
		.bytes = bytes,
		.size = size_bytes,
		.machine = machine,
		.layout =
			machine == ELF_X86_64 ? &elf_layout_64 : &elf_layout_32,
		.low = low,
		.high = high,
	};

	*why = elf_check_header(&file);
	if (*why != NULL) {
		return -LOAM_EINVAL;
	}
	const unsigned char *h = file.bytes;
	/* Within the file, so within what a pointer reaches. */
	const unsigned char *header =
		h + (size_t)elf_word(&file, h + file.layout->phoff);
	uint32_t count = elf_u16(h + file.layout->phnum);
	uint64_t entry = elf_word(&file, h + ELF_ENTRY);

	out->count = 0;
	out->entry = (uintptr_t)entry;
	for (uint32_t i = 0; i < count; i++) {
		*why = elf_take_header(&file, header + i * file.layout->p_bytes,
				       out);
		if (*why != NULL) {
			return -LOAM_EINVAL;
		}
	}
	if (out->entry != entry || !elf_is_entry(out)) {
		*why = "its entry is in no executable segment";
		return -LOAM_EINVAL;
	}
	const struct elf_segment *last = &out->segments[out->count - 1];
	out->end = last->virt + last->size;
	return 0;
}

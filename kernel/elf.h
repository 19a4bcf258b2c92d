/* SPDX-License-Identifier: MIT */
/* Reads a static ELF executable; touches nothing but the file. */
#ifndef KERNEL_ELF_H
#define KERNEL_ELF_H

#include <loam/types.h>

#define ELF_SEGMENTS_MOST 16u

/* Whose code it is: the numbers of the System V ABI. */
enum elf_machine { ELF_386 = 3, ELF_X86_64 = 62 };

/* What to map: whole pages [virt, virt + size), no two segments share one. */
struct elf_segment {
	uintptr_t virt;    /* of the first page */
	size_t size;       /* in bytes, whole pages */
	size_t skip;       /* bytes of the first page before the file's */
	size_t offset;     /* where the file's bytes are in the file */
	size_t file_bytes; /* that come from the file; the rest is zero */
	bool write;
	bool exec;
};

struct elf_program {
	uintptr_t entry;
	uintptr_t end; /* of the highest segment */
	unsigned count;
	struct elf_segment segments[ELF_SEGMENTS_MOST]; /* by address */
};

/*
 * Understands `size_bytes` bytes at `file`, aligned in any way, as a program
 * for this machine, of 32 or 64 bits as it has them, and for addresses [low,
 * high), both whole pages. 0, or -LOAM_EINVAL with a sentence in *why and *out
 * undefined: no ELF file, another machine, headers or bytes that are not in the
 * file, segments that leave the range, wrap, overlap or share a page, an entry
 * that is in no executable segment. O(segments^2).
 */
int elf_parse(const void *file, size_t size_bytes, enum elf_machine machine,
	      uintptr_t low, uintptr_t high, struct elf_program *out,
	      const char **why);

#endif

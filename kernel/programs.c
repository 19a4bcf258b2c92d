/* SPDX-License-Identifier: MIT */
/* Finds programs in the archives that were loaded with the kernel. */

#include <loam/mem.h>

#include "abi.h"
#include "arch.h"
#include "console.h"
#include "elf.h"
#include "images.h"
#include "kernel.h"
#include "programs.h"

#define PROGRAM_ARCHIVES 4u

static struct {
	const unsigned char *bytes;
	size_t size;
} archives[PROGRAM_ARCHIVES];
static unsigned archive_count;

void programs_init(void)
{
	for (uint32_t i = 0; i < kernel.info.reserved_count; i++) {
		const struct loam_boot_range *range = &kernel.info.reserved[i];
		if (range->owner != LOAM_RESERVED_MODULE ||
		    range->size > SIZE_MAX ||
		    archive_count == PROGRAM_ARCHIVES) {
			continue;
		}
		void *bytes = loam_kspace_map_phys(&kernel.kspace, range->base,
						   (size_t)range->size,
						   LOAM_PROT_READ);
		if (bytes == NULL) {
			kprintf("warning: no room to map module %s\n",
				range->name);
		} else if (archive_is(bytes, (size_t)range->size)) {
			archives[archive_count].bytes = bytes;
			archives[archive_count].size = (size_t)range->size;
			archive_count++;
		} else {
			loam_kspace_unmap_phys(&kernel.kspace, bytes);
		}
	}
}

bool programs_exist(void)
{
	return archive_count > 0;
}

void programs_list(void)
{
	struct archive_file file;

	for (unsigned i = 0; i < archive_count; i++) {
		size_t at = 0;
		while (archive_next(archives[i].bytes, archives[i].size, &at,
				    &file)) {
			kprintf("  %-12s %7zu bytes\n", file.name, file.size);
		}
	}
}

static bool program_find(const char *name, struct archive_file *out)
{
	for (unsigned i = 0; i < archive_count; i++) {
		if (archive_find(archives[i].bytes, archives[i].size, name,
				 out)) {
			return true;
		}
	}
	return false;
}

/* It grows down to its limit when it is touched there. */
static int program_map_stack(struct loam_proc *space)
{
	const struct loam_map_request request = {
		.start = ABI_STACK_END - LOAM_PAGE_SIZE,
		.size = LOAM_PAGE_SIZE,
		.prot = LOAM_PROT_READ | LOAM_PROT_WRITE,
		.flags = LOAM_REGION_FIXED | LOAM_REGION_STACK,
		.kind = LOAM_REGION_ANONYMOUS,
		.limit = ABI_STACK_BASE,
		.name = "[stack]",
	};
	uintptr_t start;

	return loam_proc_map(space, &request, &start);
}

int program_map_bytes(const char *name, const void *bytes, size_t size_bytes,
		      struct loam_proc *space, uintptr_t *entry)
{
	struct elf_program program;
	const char *why;
	int error = elf_parse(bytes, size_bytes, KERNEL_ELF_MACHINE,
			      KERNEL_USER_PROGRAM_BASE, spaces_program_end(),
			      &program, &why);

	if (error != 0) {
		kprintf("%s cannot be run: %s\n", name, why);
		return error;
	}
	error = image_map(space, &program, bytes, name);
	if (error == 0) {
		error = program_map_stack(space);
	}
	if (error == 0) {
		loam_proc_set_heap(space, SPACES_HEAP_BASE, SPACES_HEAP_END);
	}
	*entry = program.entry;
	return error;
}

int program_map(const char *name, struct loam_proc *space, uintptr_t *entry)
{
	struct archive_file file;

	if (!program_find(name, &file)) {
		return -LOAM_ENOENT;
	}
	return program_map_bytes(name, file.bytes, file.size, space, entry);
}

/* SPDX-License-Identifier: MIT */
/* The programs that came with the kernel. */
#ifndef KERNEL_PROGRAMS_H
#define KERNEL_PROGRAMS_H

#include "archive.h"
#include "spaces.h"

/*
 * Looks for archives among the modules that the boot loader left, and maps them
 * for good. Once, when memory is up.
 */
void programs_init(void);

/* True if there are any. */
bool programs_exist(void);

/* Prints names and sizes. */
void programs_list(void);

/*
 * Maps a program's segments and its stack into a fresh address space and tells
 * its entry. -LOAM_ENOENT: no such program; -LOAM_EINVAL: not a sound one,
 * logged; -LOAM_ENOMEM: the space is to be destroyed.
 */
int program_map(const char *name, struct loam_proc *space, uintptr_t *entry);

/* The same for any bytes, which must stay as long as processes run them. */
int program_map_bytes(const char *name, const void *bytes, size_t size_bytes,
		      struct loam_proc *space, uintptr_t *entry);

#endif

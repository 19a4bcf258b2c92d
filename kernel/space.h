/* SPDX-License-Identifier: MIT */
/* Address spaces of processes, as the kernel uses the library's. */
#ifndef KERNEL_SPACE_H
#define KERNEL_SPACE_H

#include <loam/boot.h>

#include "elf.h"

struct space {
	struct loam_pt pt;
};

int space_create(struct space *space);
void space_destroy(struct space *space);
int space_fork(struct space *child, struct space *parent);
loam_phys_t space_root(const struct space *space);

/* Where programs end. */
uintptr_t space_program_end(void);

/* Maps a segment, whose bytes are in the file at `bytes`. */
int space_map_segment(struct space *space, const struct elf_segment *segment,
		      const unsigned char *bytes);
int space_map_stack(struct space *space, uintptr_t base, size_t size);

/* 0, -LOAM_EFAULT or -LOAM_ENOMEM. */
int space_fault(struct space *space, uintptr_t address, uint32_t error);

#endif

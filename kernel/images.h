/* SPDX-License-Identifier: MIT */
/* Programs as pagers: pages of their files, shared by all who run them. */
#ifndef KERNEL_IMAGES_H
#define KERNEL_IMAGES_H

#include "elf.h"
#include "spaces.h"

/*
 * Maps a program's segments into a fresh space. Its pages come from `bytes`,
 * which must stay, as they are touched; another process of the same bytes gets
 * the same frames until it writes. 0, -LOAM_ENOMEM: the space is to be
 * destroyed.
 */
int image_map(struct loam_proc *space, const struct elf_program *program,
	      const unsigned char *bytes, const char *name);

/*
 * Gives back every frame that no process has, and what is known of programs
 * that none runs. Returns the frames.
 */
size_t images_shrink(void);

/* Frames that are kept. */
size_t images_frames(void);

#endif

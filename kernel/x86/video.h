/* SPDX-License-Identifier: MIT */
/* The PC's text screen of 80 by 25 characters. */
#ifndef KERNEL_X86_VIDEO_H
#define KERNEL_X86_VIDEO_H

#include <stddef.h>
#include <stdint.h>

/* Clears the screen, whose 32 KiB of text are at `cells`; NULL: none. */
void video_init(volatile uint16_t *cells);

/* Shows one character, scrolling as needed; without a screen, nothing. */
void video_put(char c);

#endif

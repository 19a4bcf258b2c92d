/* SPDX-License-Identifier: MIT */
/* Which of the systems the kernel runs on: options of its command line. */
#ifndef KERNEL_HEAPS_H
#define KERNEL_HEAPS_H

#include <loam/boot.h>

/*
 * heap=slab|bestfit|block|list[:first|:next|:best]|tlsf|buddy|pages, with
 * heap_limit=SIZE for those that grow, and pages=buddy|xv6. What is unknown
 * gets a word and the default.
 */
void heaps_choose(struct loam_boot_choice *choice, const char *cmdline);

/* As the command line has it: "list:next". */
const char *heaps_name(const struct loam_boot_choice *choice);

#endif

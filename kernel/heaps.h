/* SPDX-License-Identifier: MIT */
/* Which of the systems the kernel runs on: options of its command line. */
#ifndef KERNEL_HEAPS_H
#define KERNEL_HEAPS_H

#include <loam/boot.h>

/* Seed 000's heap may grow to this, unless heap_limit= says otherwise. */
#define HEAPS_LIMIT 0x00400000u

/* Seeds 001 and 003: the block heap's physical range, and its table. */
#define HEAPS_BLOCK_ADDRESS 0x01000000u
#define HEAPS_BLOCK_BYTES 104857600u
#define HEAPS_BLOCK_TABLE 0x00007E00u

/*
 * heap=slab|bestfit|block|list[:first|:next|:best]|tlsf|buddy|pages, with
 * heap_limit=SIZE for those that grow, and pages=buddy|xv6. What is unknown
 * gets a word and the default.
 */
void heaps_choose(struct loam_boot_choice *choice, const char *cmdline);

/* As the command line has it: "list:next". */
const char *heaps_name(const struct loam_boot_choice *choice);

#endif

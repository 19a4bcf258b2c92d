/* SPDX-License-Identifier: MIT */
/* The address spaces' floor as this kernel sets it up. */
#ifndef KERNEL_SPACES_H
#define KERNEL_SPACES_H

#include <loam/proc.h>

/* The one instance. */
extern struct loam_procs spaces;

/* Starts it. Once, when memory is up. 0 or a negative errno. */
int spaces_init(void);

/*
 * True if [start, start + size_bytes) belongs to programs in this layout: all
 * of it within one of the user's ranges. Elsewhere the kernel may have what it
 * needs, mapped where a program could not see it.
 */
bool spaces_is_user(uintptr_t start, size_t size_bytes);

/* Where programs may end. */
uintptr_t spaces_program_end(void);

/* Where the break starts and how far it goes; maps lie above. */
#define SPACES_HEAP_BASE ABI_SPACE_BASE
#define SPACES_HEAP_END 0x40000000u

/* process_malloc takes its frames when they are touched: malloc=lazy. */
extern bool spaces_malloc_lazy;

#endif

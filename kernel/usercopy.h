/* SPDX-License-Identifier: MIT */
/* Copies between the kernel and the current program, whatever its pointers. */
#ifndef KERNEL_USERCOPY_H
#define KERNEL_USERCOPY_H

#include <loam/types.h>

/*
 * Copies size_bytes bytes. 0; -LOAM_EFAULT: not all of [from, from +
 * size_bytes) can be read by the program, or not all of [to, ...) written; what
 * lies before the first such byte may have been copied; -LOAM_ENOMEM. Pages
 * that are not there yet are brought in. Only in a process. Context: no lock.
 */
int usercopy_in(void *to, uintptr_t from, size_t size_bytes);
int usercopy_out(uintptr_t to, const void *from, size_t size_bytes);

/*
 * Copies a zero-terminated string, of size_bytes bytes at most with its end.
 * Its length, or an error as above, or -LOAM_ERANGE: it has no end within them.
 */
long usercopy_string(char *to, uintptr_t from, size_t size_bytes);

/* Words from the program's stack, quickly. 0 or -LOAM_EFAULT. */
int usercopy_arguments(uintptr_t *to, uintptr_t from, size_t count);

/* -------- for the machine's page faults -------- */

/* Code within these bounds may fault, and then goes on at usercopy_failed. */
extern const char usercopy_begin[];
extern const char usercopy_end[];
extern const char usercopy_failed[];

#endif

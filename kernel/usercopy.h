/* SPDX-License-Identifier: MIT */
/* Copies between the kernel and the current program, whatever its pointers. */
#ifndef KERNEL_USERCOPY_H
#define KERNEL_USERCOPY_H

#include <loam/types.h>

/*
 * Copies size_bytes bytes. 0, or -LOAM_EFAULT: not all of [from, from +
 * size_bytes) can be read by the program, or not all of [to, ...) written; what
 * lies before the first such byte may have been copied. Pages that are not
 * there yet are brought in. Only in a process. Context: no lock is held.
 */
int usercopy_in(void *to, uintptr_t from, size_t size_bytes);
int usercopy_out(uintptr_t to, const void *from, size_t size_bytes);

/*
 * Copies a zero-terminated string, of size_bytes bytes at most with its end.
 * Its length; -LOAM_EFAULT as above, -LOAM_EINVAL: it has no end within them.
 */
long usercopy_string(char *to, uintptr_t from, size_t size_bytes);

/* -------- for the machine's page faults -------- */

/* Code within these bounds may fault, and then goes on at usercopy_failed. */
extern const char usercopy_begin[];
extern const char usercopy_end[];
extern const char usercopy_failed[];

#endif

/* SPDX-License-Identifier: MIT */
/* Copies between the kernel and the current program. */

/*
 * The floor of address spaces copies through the frames, with the program's own
 * rights to each page, in about 400 instructions. The arguments of a call, a
 * few words from its stack, are read by their addresses instead: a fault then
 * brings the page, or ends the copy. What that does not see is a stack that the
 * program has made inaccessible to itself, which is read all the same.
 */

#include "process.h"
#include "usercopy.h"

/* By the machine, between usercopy_begin and usercopy_end. */
int usercopy_bytes(void *to, const void *from, size_t size_bytes);

int usercopy_arguments(uintptr_t *to, uintptr_t from, size_t count)
{
	size_t bytes = count * sizeof(*to);

	if (!spaces_is_user(from, bytes)) {
		return -LOAM_EFAULT;
	}
	return usercopy_bytes(to, (const void *)from, bytes);
}

int usercopy_in(void *to, uintptr_t from, size_t size_bytes)
{
	return loam_proc_copy_in(&process_current()->space, to, from,
				 size_bytes);
}

int usercopy_out(uintptr_t to, const void *from, size_t size_bytes)
{
	return loam_proc_copy_out(&process_current()->space, to, from,
				  size_bytes);
}

long usercopy_string(char *to, uintptr_t from, size_t size_bytes)
{
	return loam_proc_copy_string(&process_current()->space, to, from,
				     size_bytes);
}

/* SPDX-License-Identifier: MIT */
/* Checks what a program's pointers stand for, and copies there. */

#include "kernel.h"
#include "usercopy.h"

/* By the machine: copies within usercopy_begin to usercopy_end. */
int usercopy_bytes(void *to, const void *from, size_t size_bytes);

/*
 * Only what belongs to programs in every layout: elsewhere the kernel may have
 * mapped its own, and a copy would not fault.
 */
static bool usercopy_is_user(uintptr_t address, size_t size_bytes)
{
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user =
			&kernel.layout.user[i];
		size_t offset = address - user->base;
		if (offset < user->size && size_bytes <= user->size - offset) {
			return true;
		}
	}
	return false;
}

int usercopy_in(void *to, uintptr_t from, size_t size_bytes)
{
	if (!usercopy_is_user(from, size_bytes)) {
		return -LOAM_EFAULT;
	}
	return usercopy_bytes(to, (const void *)from, size_bytes);
}

int usercopy_out(uintptr_t to, const void *from, size_t size_bytes)
{
	if (!usercopy_is_user(to, size_bytes)) {
		return -LOAM_EFAULT;
	}
	return usercopy_bytes((void *)to, from, size_bytes);
}

/* By pieces that do not cross a page: what is behind the end is not read. */
long usercopy_string(char *to, uintptr_t from, size_t size_bytes)
{
	size_t length = 0;

	while (length < size_bytes) {
		uintptr_t at = from + length;
		size_t piece = LOAM_PAGE_SIZE - (at & LOAM_PAGE_MASK);
		if (piece > size_bytes - length) {
			piece = size_bytes - length;
		}
		if (usercopy_in(to + length, at, piece) != 0) {
			return -LOAM_EFAULT;
		}
		for (size_t end = length + piece; length < end; length++) {
			if (to[length] == '\0') {
				return (long)length;
			}
		}
	}
	return -LOAM_EINVAL;
}

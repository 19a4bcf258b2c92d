/* SPDX-License-Identifier: MIT */
/* Bugs of the kernel's own, made to order, to see what they look like. */
#ifndef KERNEL_CRASH_H
#define KERNEL_CRASH_H

/*
 * Fails in the way of that name, and so does not come back, but for one that
 * there is not, or one that this CPU does not notice: -LOAM_EINVAL, with a
 * word. -LOAM_ENOMEM.
 */
int crash(const char *kind);

#endif

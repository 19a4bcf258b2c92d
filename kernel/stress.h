/* SPDX-License-Identifier: MIT */
/* Everything at once on every CPU, for as long as is asked. */
#ifndef KERNEL_STRESS_H
#define KERNEL_STRESS_H

/*
 * Storms of blocks, of frames, of changes of an address space with readers on
 * other CPUs, and of forks where there are programs. Prints what was done and
 * what was wrong. 0, or -LOAM_EFAULT: something was; -LOAM_ENOMEM.
 */
int stress_run(unsigned seconds);

#endif

/* SPDX-License-Identifier: MIT */
/* How many instructions an allocation costs. */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

/*
 * Prints a table, and for programs one line `bench: OPERATION | NUMBER` for
 * each row. The numbers are ticks of the time-stamp counter: instructions
 * under QEMU's -icount shift=0. Returns 0, -LOAM_ENOENT without a counter, or
 * -LOAM_ENOMEM when a row did not get its memory.
 */
int bench_run(void);

#endif

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

/*
 * The same for all CPUs at once: what a pair costs each of them, compared with
 * one alone, and how many locks they took; and what it costs when one CPU makes
 * and another one frees (bench_cpus.c). -LOAM_ENOENT: there is but one CPU, or
 * an odd number.
 */
int bench_run_cpus(void);

#endif

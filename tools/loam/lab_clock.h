/* SPDX-License-Identifier: MIT */
/* What the laboratory measures with: processor time, ticks, instructions. */
#ifndef LOAM_LAB_CLOCK_H
#define LOAM_LAB_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Nanoseconds of processor time that this thread has had. */
uint64_t lab_cpu_ns(void);

/* Nanoseconds by the wall clock, from some moment on. */
uint64_t lab_wall_ns(void);

/* A fast counter of constant rate, whatever its unit. */
static inline uint64_t lab_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#else
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/*
 * Instructions of this thread in user mode, where the machine counts them and
 * lets us read it: open says so. While open, start and stop may alternate, and
 * read tells the sum of what passed between them since the last read.
 */
bool lab_instructions_open(void);
void lab_instructions_start(void);
void lab_instructions_stop(void);
uint64_t lab_instructions_read(void);
void lab_instructions_close(void);

#endif

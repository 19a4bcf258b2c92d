/* SPDX-License-Identifier: MIT */
/* The hosted build's configuration: threads take the place of CPUs. */
#ifndef LOAM_HOSTED_CONFIG_H
#define LOAM_HOSTED_CONFIG_H

/* libc and the sanitizers keep their memset; ours are loam_memset here. */
#define LOAM_HAVE_LIBC 1

extern _Thread_local unsigned hosted_cpu;

#define LOAM_CPU_ENTER_DEFINED 1
static inline unsigned loam_cpu_enter(void)
{
#if defined(LOAM_MAX_CPUS) && LOAM_MAX_CPUS == 1
	return 0;
#else
	return hosted_cpu;
#endif
}

static inline void loam_cpu_leave(unsigned cpu)
{
	(void)cpu;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Clocks, and the processor's counter of instructions through the system. */
#include "lab_clock.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int counter = -1;

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t lab_cpu_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t lab_wall_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

bool lab_instructions_open(void)
{
	struct perf_event_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.size = sizeof(attributes);
	attributes.type = PERF_TYPE_HARDWARE;
	attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
	attributes.disabled = 1;
	attributes.exclude_kernel = 1;
	attributes.exclude_hv = 1;
	counter = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1,
			       PERF_FLAG_FD_CLOEXEC);
	return counter >= 0;
}

void lab_instructions_start(void)
{
	if (counter >= 0) {
		ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
	}
}

void lab_instructions_stop(void)
{
	if (counter >= 0) {
		ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
	}
}

uint64_t lab_instructions_read(void)
{
	uint64_t value = 0;
	if (counter < 0 ||
	    read(counter, &value, sizeof(value)) != (ssize_t)sizeof(value)) {
		return 0;
	}
	ioctl(counter, PERF_EVENT_IOC_RESET, 0);
	return value;
}

void lab_instructions_close(void)
{
	if (counter >= 0) {
		close(counter);
		counter = -1;
	}
}

/* SPDX-License-Identifier: MIT */
/* What bench needs of user/include/unistd.h, over the calls of Linux. */

#include <machine.h>
#include <unistd.h>

#define LINUX_ERRNO_MOST 4095ul
#define LINUX_SIGKILL 9u
#define LINUX_MAP_PRIVATE 0x02u
#define LINUX_MAP_FIXED 0x10u
#define LINUX_MAP_ANONYMOUS 0x20u
#define LINUX_MAP_POPULATE 0x8000u

int errno;

/* -1 and errno for what the kernel says is a failure. */
static long call_result(long result)
{
	if ((unsigned long)result >= -LINUX_ERRNO_MOST) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

_Noreturn void _exit(int code)
{
	for (;;) {
		linux_call(LINUX_EXIT, (uintptr_t)code, 0, 0, 0);
	}
}

/* To the console, as every program of Loam's. */
long write(const void *text, size_t length)
{
	return call_result(
		linux_call(LINUX_WRITE, 1, (uintptr_t)text, length, 0));
}

int fork(void)
{
	return (int)call_result(linux_call(LINUX_FORK, 0, 0, 0, 0));
}

int waitpid(int pid, int *status)
{
	return (int)call_result(linux_call(LINUX_WAIT4, (uintptr_t)pid,
					   (uintptr_t)status, 0, 0));
}

int kill(int pid)
{
	return (int)call_result(
		linux_call(LINUX_KILL, (uintptr_t)pid, LINUX_SIGKILL, 0, 0));
}

/* Who sleeps here sleeps until it is killed. */
void sleep_ms(uint32_t milliseconds)
{
	(void)milliseconds;
	linux_call(LINUX_PAUSE, 0, 0, 0, 0);
}

/* The kernel answers with the break there is, whether it was moved or not. */
int brk(void *end)
{
	if (linux_call(LINUX_BRK, (uintptr_t)end, 0, 0, 0) != (long)end) {
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

void *sbrk(intptr_t delta)
{
	long end = linux_call(LINUX_BRK, 0, 0, 0, 0);

	if (delta != 0 && brk((void *)(end + delta)) != 0) {
		return (void *)-1;
	}
	return (void *)end;
}

void *mmap(void *at, size_t size, uint32_t prot, uint32_t flags)
{
	uint32_t own = LINUX_MAP_PRIVATE | LINUX_MAP_ANONYMOUS;

	own |= (flags & MAP_FIXED) != 0 ? LINUX_MAP_FIXED : 0;
	own |= (flags & MAP_POPULATE) != 0 ? LINUX_MAP_POPULATE : 0;
	return (void *)call_result(linux_mmap((uintptr_t)at, size, prot, own));
}

int munmap(void *at, size_t size)
{
	return (int)call_result(
		linux_call(LINUX_MUNMAP, (uintptr_t)at, size, 0, 0));
}

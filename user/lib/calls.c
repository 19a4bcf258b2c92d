/* SPDX-License-Identifier: MIT */
/* The kernel's calls, one function each. */

#include <machine.h>
#include <unistd.h>

int errno;

long sys_call(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c,
	      uintptr_t d)
{
	return machine_call(number, a, b, c, d);
}

/* -1 and errno for what the kernel says is a failure. */
static long call_result(long result)
{
	if ((unsigned long)result >= (unsigned long)-(long)ABI_ERRNO_MOST) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

_Noreturn void _exit(int code)
{
	for (;;) {
		sys_call(ABI_EXIT, (uintptr_t)code, 0, 0, 0);
	}
}

long write(const void *text, size_t length)
{
	return call_result(sys_call(ABI_WRITE, (uintptr_t)text, length, 0, 0));
}

int getpid(void)
{
	return (int)sys_call(ABI_GETPID, 0, 0, 0, 0);
}

int getppid(void)
{
	return (int)sys_call(ABI_GETPPID, 0, 0, 0, 0);
}

int spawn(const char *name, char *const argv[])
{
	return (int)call_result(
		sys_call(ABI_SPAWN, (uintptr_t)name, (uintptr_t)argv, 0, 0));
}

int fork(void)
{
	return (int)call_result(sys_call(ABI_FORK, 0, 0, 0, 0));
}

int waitpid(int pid, int *status)
{
	return (int)call_result(
		sys_call(ABI_WAIT, (uintptr_t)pid, (uintptr_t)status, 0, 0));
}

int wait(int *status)
{
	return waitpid(-1, status);
}

int kill(int pid)
{
	return (int)call_result(sys_call(ABI_KILL, (uintptr_t)pid, 0, 0, 0));
}

void yield(void)
{
	sys_call(ABI_YIELD, 0, 0, 0, 0);
}

void sleep_ms(uint32_t milliseconds)
{
	sys_call(ABI_SLEEP, milliseconds, 0, 0, 0);
}

uint32_t ticks(void)
{
	return (uint32_t)sys_call(ABI_TICKS, 0, 0, 0, 0);
}

int meminfo(struct abi_meminfo *out)
{
	return (int)call_result(sys_call(ABI_MEMINFO, (uintptr_t)out, 0, 0, 0));
}

int brk(void *end)
{
	long result = call_result(sys_call(ABI_BRK, (uintptr_t)end, 0, 0, 0));

	return result == -1 ? -1 : 0;
}

void *sbrk(intptr_t delta)
{
	uintptr_t end = (uintptr_t)sys_call(ABI_BRK, 0, 0, 0, 0);

	if (delta > 0 ? (uintptr_t)delta > UINTPTR_MAX - end
		      : (uintptr_t)-delta > end) {
		errno = ENOMEM;
		return (void *)-1;
	}
	if (delta != 0 && brk((void *)(end + (uintptr_t)delta)) != 0) {
		return (void *)-1;
	}
	return (void *)end;
}

void *mmap(void *at, size_t size, uint32_t prot, uint32_t flags)
{
	return (void *)call_result(
		sys_call(ABI_MMAP, (uintptr_t)at, size, prot, flags));
}

int munmap(void *at, size_t size)
{
	return (int)call_result(
		sys_call(ABI_MUNMAP, (uintptr_t)at, size, 0, 0));
}

int mprotect(void *at, size_t size, uint32_t prot)
{
	return (int)call_result(
		sys_call(ABI_MPROTECT, (uintptr_t)at, size, prot, 0));
}

void *mremap(void *at, size_t size, size_t new_size, uint32_t flags)
{
	return (void *)call_result(
		sys_call(ABI_MREMAP, (uintptr_t)at, size, new_size, flags));
}

int madvise(void *at, size_t size, uint32_t advice)
{
	return (int)call_result(
		sys_call(ABI_MADVISE, (uintptr_t)at, size, advice, 0));
}

void *process_malloc(size_t size)
{
	return (void *)sys_call(ABI_MALLOC, size, 0, 0, 0);
}

void process_free(void *block)
{
	sys_call(ABI_FREE, (uintptr_t)block, 0, 0, 0);
}

/* SPDX-License-Identifier: MIT */
/* The kernel's calls, as a program makes them. */
#ifndef USER_UNISTD_H
#define USER_UNISTD_H

#include <stddef.h>
#include <stdint.h>

#include "../../kernel/abi.h"

/* Of the last call that failed: a positive number of Linux's. */
extern int errno;

#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EFAULT 14
#define EINVAL 22
#define ENOSYS 38

/*
 * A call as it is: number and up to four arguments. The result is the kernel's,
 * a negated errno included.
 */
long sys_call(uint32_t number, uintptr_t a, uintptr_t b, uintptr_t c,
	      uintptr_t d);

/* From here on a failure is -1, (void *)-1 or NULL, and says why in errno. */
_Noreturn void _exit(int code);
long write(const void *text, size_t length);
int getpid(void);
int getppid(void);
int spawn(const char *name, char *const argv[]);
int fork(void);
int wait(int *status);
int waitpid(int pid, int *status);
int kill(int pid);
void yield(void);
void sleep_ms(uint32_t milliseconds);
uint32_t ticks(void);
int meminfo(struct abi_meminfo *out);

/* Moves the end of the heap by delta bytes; where it was before. */
void *sbrk(intptr_t delta);
int brk(void *end);

#define PROT_NONE 0u
#define PROT_READ ABI_PROT_READ
#define PROT_WRITE ABI_PROT_WRITE
#define PROT_EXEC ABI_PROT_EXEC
#define MAP_SHARED ABI_MAP_SHARED
#define MAP_FIXED ABI_MAP_FIXED
#define MAP_POPULATE ABI_MAP_POPULATE
#define MAP_FAILED ((void *)-1)
#define MREMAP_MAYMOVE ABI_REMAP_MAYMOVE
#define MADV_WILLNEED ABI_ADVISE_WILLNEED
#define MADV_DONTNEED ABI_ADVISE_DONTNEED

void *mmap(void *at, size_t size, uint32_t prot, uint32_t flags);
int munmap(void *at, size_t size);
int mprotect(void *at, size_t size, uint32_t prot);
void *mremap(void *at, size_t size, size_t new_size, uint32_t flags);
int madvise(void *at, size_t size, uint32_t advice);

/* Seed 003's calls 4 and 5: whole pages, zeroed, at most 1024 at a time. */
void *process_malloc(size_t size);
void process_free(void *block);

#endif

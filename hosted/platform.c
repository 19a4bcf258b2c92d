/* SPDX-License-Identifier: MIT */
/* The hosted platform: memory file, locks with threads as CPUs, log capture. */
#include "platform.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <loam/assert.h>
#include <loam/lock.h>

struct hosted_memory hosted_memory = { .fd = -1 };
_Thread_local unsigned hosted_cpu;
bool hosted_log_echo;
bool hosted_alone;
_Thread_local jmp_buf hosted_panic_jump;
_Thread_local char hosted_panic_message[256];
unsigned long hosted_locks_taken;
unsigned long hosted_shootdowns;

#define LOG_BYTES (1u << 20)
static char log_buffer[LOG_BYTES];
static size_t log_used;
static struct loam_host_lock log_lock;

static _Thread_local bool panic_expected;
/* What was so when it was expected, and is again once it is caught. */
static _Thread_local unsigned panic_cpu;
static _Thread_local uint32_t panic_ranks;

static void die(const char *what)
{
	perror(what);
	abort();
}

void hosted_memory_create_at(loam_phys_t size, loam_phys_t direct_size,
			     void *direct)
{
	hosted_memory_destroy();
	if (direct_size > size) {
		direct_size = size;
	}
	int fd = memfd_create("physical", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
		die("physical memory");
	}
	void *at = mmap(direct, (size_t)direct_size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_NORESERVE | (direct ? MAP_FIXED : 0),
			fd, 0);
	if (at == MAP_FAILED) {
		die("direct map");
	}
	hosted_memory = (struct hosted_memory){
		.fd = fd,
		.size = size,
		.direct_size = direct_size,
		.direct = at,
	};
}

void hosted_memory_create(loam_phys_t size, loam_phys_t direct_size)
{
	/* Virtual and physical addresses are alike up to the largest block. */
	size_t align = (size_t)4 << 20;
	size_t bytes = (size_t)(direct_size < size ? direct_size : size);
	unsigned char *at =
		mmap(NULL, bytes + align, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED) {
		die("direct map");
	}
	size_t skip = (align - (uintptr_t)at % align) % align;
	munmap(at, skip);
	munmap(at + skip + bytes, align - skip);
	hosted_memory_create_at(size, direct_size, at + skip);
}

void hosted_memory_destroy(void)
{
	if (hosted_memory.fd < 0) {
		return;
	}
	munmap(hosted_memory.direct, (size_t)hosted_memory.direct_size);
	close(hosted_memory.fd);
	hosted_memory = (struct hosted_memory){ .fd = -1 };
}

void *loam_host_phys_to_virt(loam_phys_t phys)
{
	if (phys >= hosted_memory.direct_size) {
		return NULL;
	}
	return hosted_memory.direct + phys;
}

/* word[0]: 0 free, 1 held. Yields, since threads outnumber the cores. */
static void spin(struct loam_host_lock *lock)
{
	while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0) {
		sched_yield();
	}
}

void loam_host_lock(struct loam_host_lock *lock)
{
	if (hosted_alone) {
		LOAM_VERIFY(lock->word[0] == 0);
		lock->word[0] = 1;
		return;
	}
	spin(lock);
	__atomic_fetch_add(&hosted_locks_taken, 1, __ATOMIC_RELAXED);
}

void loam_host_unlock(struct loam_host_lock *lock)
{
	__atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

unsigned loam_host_cpu(void)
{
	return hosted_cpu;
}

void loam_host_tlb_shootdown(loam_phys_t root, uintptr_t virt, size_t size)
{
	(void)root;
	(void)virt;
	(void)size;
	__atomic_fetch_add(&hosted_shootdowns, 1, __ATOMIC_RELAXED);
}

void loam_host_log(enum loam_log_level level, const char *text)
{
	static const char *const names[] = { "error", "warning", "info" };
	spin(&log_lock);
	size_t length = strlen(text) + 1;
	if (log_used + length + 1 > LOG_BYTES) {
		log_used = 0;
	}
	memcpy(log_buffer + log_used, text, length);
	log_used += length;
	log_buffer[log_used - 1] = '\n';
	log_buffer[log_used] = '\0';
	if (hosted_log_echo) {
		fprintf(stderr, "# %s: %s\n", names[level], text);
	}
	loam_host_unlock(&log_lock);
}

void hosted_log_clear(void)
{
	log_used = 0;
	log_buffer[0] = '\0';
}

const char *hosted_log_text(void)
{
	return log_buffer;
}

bool hosted_log_contains(const char *text)
{
	return strstr(log_buffer, text) != NULL;
}

void hosted_panic_expect(void)
{
	panic_cpu = hosted_cpu;
	panic_ranks = loam_lock_ranks();
	panic_expected = true;
}

bool hosted_panic_seen(bool panicked)
{
	panic_expected = false;
	if (panicked) {
		hosted_cpu = panic_cpu;
		loam_lock_forget_except(panic_ranks);
	}
	return panicked;
}

_Noreturn void loam_host_panic(const char *message)
{
	if (panic_expected) {
		snprintf(hosted_panic_message, sizeof(hosted_panic_message),
			 "%s", message);
		longjmp(hosted_panic_jump, 1);
	}
	fprintf(stderr, "panic: %s\n", message);
	abort();
}

uint64_t hosted_random(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545F4914F6CDD1DULL;
}

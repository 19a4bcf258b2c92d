/* SPDX-License-Identifier: MIT */
/* The recorder that LD_PRELOAD puts into a program: it notes every block. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events.h"

/*
 * The recorder
 * ============
 *
 * The functions below stand before those of the C library, or of whatever
 * allocator the program brings along, and hand everything through to them. What
 * happened is written into memory that `loam record` made and reads when the
 * program has ended; so nothing is lost when it is killed.
 *
 * Early calls. The real functions are looked up at the first call, whoever
 * makes it. Looking up may itself allocate; that comes out of a small array,
 * is never given back and not recorded.
 *
 * Processes. Only the process that was started is recorded. A child that it
 * forks is not: the flag that says "armed" lies in a page that the system
 * clears in every child. What a child executes is not either: the environment
 * has the number of the one process. When the process itself executes another
 * program, that one is recorded from its beginning, and what was before is
 * forgotten along with its memory.
 *
 * No function here allocates, locks, or prints.
 */

#define EARLY_BYTES 65536u
#define ALIGN 16u

static struct {
	void *(*malloc)(size_t);
	void (*free)(void *);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*memalign)(size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
} real;

static struct record_memory *memory;
static volatile uint32_t *armed; /* or NULL; 0 in a child */

enum { UNREADY, LOOKING_UP, READY };
static uint32_t readiness;
static _Thread_local bool looking_up __attribute__((tls_model("initial-exec")));

static _Alignas(ALIGN) unsigned char early[EARLY_BYTES];
static size_t early_used;

static bool is_early(const void *block)
{
	uintptr_t at = (uintptr_t)block;
	return at >= (uintptr_t)early && at < (uintptr_t)early + EARLY_BYTES;
}

/* A word before each block has its size. All of it is zero. */
static void *early_alloc(size_t size)
{
	size_t bytes = (size + 2 * ALIGN - 1) / ALIGN * ALIGN;
	if (size > EARLY_BYTES || bytes > EARLY_BYTES - early_used) {
		errno = ENOMEM;
		return NULL;
	}
	unsigned char *block = early + early_used + ALIGN;
	memcpy(block - ALIGN, &size, sizeof(size));
	early_used += bytes;
	return block;
}

static void *look_up(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* A decimal number, without the library, which may not be ready. */
static long read_number(const char *text)
{
	long value = 0;
	for (; *text >= '0' && *text <= '9' && value < INT32_MAX; text++) {
		value = value * 10 + (*text - '0');
	}
	return value;
}

/* Maps the events, if this is the process to record. */
static void arm(void)
{
	const char *name = getenv(RECORD_FILE);
	const char *pid = getenv(RECORD_PID);
	struct stat status;
	if (name == NULL || pid == NULL || read_number(pid) != getpid()) {
		return;
	}
	int file = open(name, O_RDWR | O_CLOEXEC);
	if (file < 0) {
		return;
	}
	void *at = MAP_FAILED;
	if (fstat(file, &status) == 0) {
		at = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, file, 0);
	}
	close(file);
	void *flag = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || flag == MAP_FAILED ||
	    madvise(flag, 4096, MADV_WIPEONFORK) != 0) {
		return;
	}
	memory = at;
	if (memory->magic != RECORD_MAGIC) {
		return;
	}
	memory->first =
		memory->next < memory->room ? memory->next : memory->room;
	memory->starts++;
	armed = flag;
	*armed = 1;
}

static void get_ready(void)
{
	int error = errno;
	*(void **)&real.malloc = look_up("malloc");
	*(void **)&real.free = look_up("free");
	*(void **)&real.calloc = look_up("calloc");
	*(void **)&real.realloc = look_up("realloc");
	*(void **)&real.memalign = look_up("memalign");
	*(void **)&real.aligned_alloc = look_up("aligned_alloc");
	*(void **)&real.posix_memalign = look_up("posix_memalign");
	*(void **)&real.valloc = look_up("valloc");
	*(void **)&real.pvalloc = look_up("pvalloc");
	arm();
	errno = error;
}

/* False: this call is made by the looking up itself. */
static bool is_ready(void)
{
	if (__atomic_load_n(&readiness, __ATOMIC_ACQUIRE) == READY) {
		return true;
	}
	if (looking_up) {
		return false;
	}
	uint32_t expected = UNREADY;
	if (__atomic_compare_exchange_n(&readiness, &expected, LOOKING_UP,
					false, __ATOMIC_ACQUIRE,
					__ATOMIC_ACQUIRE)) {
		looking_up = true;
		get_ready();
		looking_up = false;
		__atomic_store_n(&readiness, READY, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(&readiness, __ATOMIC_ACQUIRE) != READY) {
		sched_yield();
	}
	return true;
}

/* A program that never allocates is recorded too, as one that does not. */
__attribute__((constructor)) static void start(void)
{
	is_ready();
}

/* Notes an event. Returns its number. */
static uint32_t note(enum record_kind kind, const void *address, size_t size,
		     uint32_t begun)
{
	if (armed == NULL || *armed == 0) {
		return 0;
	}
	uint32_t room = memory->room;
	if (__atomic_load_n(&memory->next, __ATOMIC_RELAXED) >= room) {
		return room;
	}
	uint32_t number =
		__atomic_fetch_add(&memory->next, 1, __ATOMIC_SEQ_CST);
	if (number >= room) {
		return room;
	}
	struct record_event *event = &memory->events[number];
	event->address = (uintptr_t)address;
	event->size_bytes = size;
	event->begun = begun;
	__atomic_store_n(&event->kind, (uint32_t)kind, __ATOMIC_RELEASE);
	return number;
}

static void *noted(void *block, size_t size)
{
	if (block != NULL) {
		note(RECORD_ALLOC, block, size, 0);
	}
	return block;
}

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t size)
{
	return is_ready() ? noted(real.malloc(size), size) : early_alloc(size);
}

EXPORT void free(void *block)
{
	if (block == NULL || is_early(block) || !is_ready()) {
		return;
	}
	note(RECORD_FREE, block, 0, 0);
	real.free(block);
}

EXPORT void *calloc(size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (!is_ready()) {
		return early_alloc(bytes);
	}
	return noted(real.calloc(count, size), bytes);
}

/* A block from before the real functions were there moves over to them. */
static void *move_early(const void *block, size_t size)
{
	size_t old;
	memcpy(&old, (const unsigned char *)block - ALIGN, sizeof(old));
	void *moved = malloc(size);
	if (moved != NULL) {
		memcpy(moved, block, old < size ? old : size);
	}
	return moved;
}

EXPORT void *realloc(void *block, size_t size)
{
	if (block == NULL || !is_ready()) {
		return malloc(size);
	}
	if (is_early(block)) {
		return move_early(block, size);
	}
	if (size == 0) {
		/* The library frees, and so it is noted. */
		note(RECORD_FREE, block, 0, 0);
		return noted(real.realloc(block, 0), 0);
	}
	uint32_t begun = note(RECORD_RESIZE, block, size, 0);
	void *moved = real.realloc(block, size);
	note(RECORD_RESIZED, moved, size, begun);
	return moved;
}

EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, bytes);
}

EXPORT void *memalign(size_t align, size_t size)
{
	return is_ready() ? noted(real.memalign(align, size), size) : NULL;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	return is_ready() ? noted(real.aligned_alloc(align, size), size) : NULL;
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
	if (!is_ready()) {
		return ENOMEM;
	}
	int error = real.posix_memalign(out, align, size);
	if (error == 0) {
		noted(*out, size);
	}
	return error;
}

EXPORT void *valloc(size_t size)
{
	return is_ready() ? noted(real.valloc(size), size) : NULL;
}

EXPORT void *pvalloc(size_t size)
{
	return is_ready() ? noted(real.pvalloc(size), size) : NULL;
}

/* SPDX-License-Identifier: MIT */
/* Where malloc's memory is: one range of addresses, and which pages it has. */

/*
 * A KERNEL'S MEMORY IN A PROCESS
 *
 *	base / 16    base                frames_size                size
 *	| shadow |   |  physical memory  |  windows of large blocks | unit map |
 *
 * These are two reservations (MAP_NORESERVE), of which the system supplies a
 * page when it is first touched. The first part is what the frame floor takes
 * for physical memory, address 0 at `base`: its metadata, slabs, descriptors.
 * The second are arenas of addresses for blocks above LOAM_KMALLOC_SLAB_MAX,
 * as a kernel's vmalloc window is, with the system in the place of the page
 * tables. The shadow has the slab floor's byte for 16 bytes of frames, each at
 * the address it is for, divided by 16: far below all that the system places
 * by itself. Where that happens to be taken another base is asked for.
 *
 * What has no page costs nothing, so the reservation is large: 64 GiB of
 * frames and, for each window of large blocks, four times the machine's memory.
 * Under RLIMIT_AS it is three quarters of what is left, half for frames and
 * half for a single window; where the system refuses, half as much is tried
 * until it does not.
 *
 * WHAT MAY HAVE PAGES
 *
 * The unit map has a bit for each 64 KiB, set when any of it is handed out. It
 * says that fresh memory reads as zeros, so calloc need not clear it; and it
 * says what can be given back: units that lie in free blocks of the buddy or
 * free ranges of the arena, and have their bit set. Pages stay where they are
 * when a block is freed, since the next block wants them and a page fault
 * costs more than the block. They are given back (MADV_DONTNEED) when they
 * were idle: slow paths look at the clock now and then, and once a second half
 * of what is free goes if it is much, compared with what is in use.
 */
#include "heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>
#include <loam/bits.h>

#define UNIT_SHIFT 16u
#define UNIT_SIZE ((size_t)1 << UNIT_SHIFT)
#define FRAMES_MOST ((size_t)64 << 30)
#define CHUNK ((size_t)LOAM_MIB(4))
#define SIZE_LEAST ((size_t)LOAM_MIB(16))

/* Bases to try when the system's own choice has no room for the shadow. */
#define RESERVE_TRIES 6u
#define RESERVE_FIRST ((uint64_t)1 << 42)

LOAM_STATIC_ASSERT(sizeof(uintptr_t) == 8,
		   "a sixteenth of any address is free in a large space only");

struct malloc_heap malloc_heap;
size_t loam_malloc_direct;
size_t loam_malloc_granules;
unsigned char *loam_malloc_shadow;

static uint64_t *unit_map;
static size_t units_used; /* bits set */

/* Parts of base's range that a core dump has: a bit for each 2^dump_shift. */
#define DUMP_PARTS 4096u
#define DUMP_SHIFT_LEAST 26u
static uint64_t dump_map[DUMP_PARTS / 64];
static unsigned dump_shift;

/* What bring-up needs and nobody afterwards. */
static struct {
	struct loam_mem_range ranges[4];
	struct loam_memblock_region regions[8];
	struct loam_memmap map;
	struct loam_memblock memblock;
} bring_up;

/* -------- the seam -------- */

void *loam_host_phys_to_virt(loam_phys_t phys)
{
	return phys < malloc_heap.frames_size ? malloc_heap.base + (size_t)phys
					      : NULL;
}

unsigned loam_host_cpu(void)
{
	return loam_malloc_cpu;
}

/* Leaves errno as it is: free() reports too. */
static void print_line(const char *text)
{
	int saved = errno;
	char line[300];
	size_t length = strnlen(text, sizeof(line) - 1);
	memcpy(line, text, length);
	line[length++] = '\n';
	/* Not write(): at that a thread may be cancelled, within malloc. */
	(void)syscall(SYS_write, STDERR_FILENO, line, length);
	errno = saved;
}

void loam_host_log(enum loam_log_level level, const char *text)
{
	print_line(text);
	if (level == LOAM_LOG_ERROR && malloc_heap.refuse_bad) {
		abort();
	}
}

_Noreturn void loam_host_panic(const char *message)
{
	print_line(message);
	abort();
}

/* -------- units -------- */

static size_t unit_of(const void *at)
{
	return (size_t)((const unsigned char *)at - malloc_heap.base) >>
	       UNIT_SHIFT;
}

/*
 * The system looks at every page of what it is to dump, whether it is there or
 * not: for this many addresses that is a quarter of a minute, and the file
 * seems to be as large. So what is in use is dumped, and what lies near.
 */
static void dump_too(const void *at, size_t size)
{
	uintptr_t base = (uintptr_t)malloc_heap.base;
	size_t part = ((uintptr_t)at - base) >> dump_shift;
	size_t last = ((uintptr_t)at - base + size - 1) >> dump_shift;
	for (; part <= last; part++) {
		uint64_t bit = (uint64_t)1 << part % 64;
		if ((__atomic_load_n(&dump_map[part / 64], __ATOMIC_RELAXED) &
		     bit) != 0) {
			continue;
		}
		__atomic_fetch_or(&dump_map[part / 64], bit, __ATOMIC_RELAXED);
		uintptr_t start = base + (part << dump_shift);
		uintptr_t end = start + ((size_t)1 << dump_shift);
		uintptr_t limit = base + malloc_heap.size;
		(void)madvise((void *)start,
			      (end < limit ? end : limit) - start, MADV_DODUMP);
	}
}

bool malloc_memory_use(const void *at, size_t size)
{
	size_t unit = unit_of(at);
	size_t last = unit_of((const unsigned char *)at + size - 1);
	size_t fresh = 0;
	size_t count = last - unit + 1;
	while (unit <= last) {
		unsigned from = unit % 64;
		unsigned bits = (unsigned)(last - unit + 1 < 64u - from
						   ? last - unit + 1
						   : 64u - from);
		uint64_t mask = (~(uint64_t)0 >> (64 - bits)) << from;
		uint64_t *word = &unit_map[unit / 64];
		uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
		if ((old & mask) != mask) {
			old = __atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
			fresh += (unsigned)__builtin_popcountll(mask & ~old);
		}
		unit += bits;
	}
	if (fresh != 0) {
		dump_too(at, size);
		__atomic_fetch_add(&units_used, fresh, __ATOMIC_RELAXED);
	}
	return fresh == count;
}

size_t malloc_memory_resident(void)
{
	return __atomic_load_n(&units_used, __ATOMIC_RELAXED) << UNIT_SHIFT;
}

/* The slab floor is about to use what this page of the shadow covers. */
static int back_shadow(void *ctx, void *page, loam_flags_t flags)
{
	(void)ctx;
	(void)flags;
	size_t at = (size_t)((uint8_t *)page - malloc_heap.slabs.shadow)
		    << LOAM_SHADOW_SHIFT;
	malloc_memory_use(malloc_heap.base + at, UNIT_SIZE);
	return 0;
}

/*
 * Locking what a process has brings in all of it, addresses that are only
 * reserved too: more than the machine has. So what is in memory is locked now,
 * and the rest when it comes, which is what a program means that asks for it.
 */
MALLOC_EXPORT int mlockall(int flags)
{
	return (int)syscall(SYS_mlockall, flags | MCL_ONFAULT);
}

/* -------- giving pages back -------- */

struct purge {
	size_t budget; /* bytes still to be given back */
	size_t done;
};

/* Gives back the units [unit, end), all of them marked. */
static void purge_units(struct purge *purge, size_t unit, size_t end)
{
	size_t size = (end - unit) << UNIT_SHIFT;
	if (madvise(malloc_heap.base + (unit << UNIT_SHIFT), size,
		    MADV_DONTNEED) != 0) {
		return;
	}
	for (size_t i = unit; i < end; i++) {
		__atomic_fetch_and(&unit_map[i / 64],
				   ~((uint64_t)1 << (i % 64)),
				   __ATOMIC_RELAXED);
	}
	__atomic_fetch_sub(&units_used, end - unit, __ATOMIC_RELAXED);
	purge->done += size;
	purge->budget -= size < purge->budget ? size : purge->budget;
}

/* Marked units within free memory. Nobody can take it meanwhile. */
static int purge_free(struct purge *purge, uintptr_t start, size_t size)
{
	uintptr_t base = (uintptr_t)malloc_heap.base;
	size_t unit = (start - base + UNIT_SIZE - 1) >> UNIT_SHIFT;
	size_t end = (start - base + size) >> UNIT_SHIFT;
	while (unit < end && purge->budget != 0) {
		uint64_t word = unit_map[unit / 64] >> (unit % 64);
		if (word == 0) {
			unit = (unit / 64 + 1) * 64;
			continue;
		}
		unit += (unsigned)__builtin_ctzll(word);
		size_t stop = unit;
		while (stop < end && (unit_map[stop / 64] >> (stop % 64) & 1)) {
			stop++;
		}
		if (stop > unit) {
			purge_units(purge, unit, stop);
		}
		unit = stop;
	}
	return purge->budget == 0;
}

static int purge_range(void *arg, uintptr_t start, size_t size, bool free,
		       uintptr_t tag)
{
	(void)tag;
	return free ? purge_free(arg, start, size) : 0;
}

static int purge_block(void *arg, loam_pfn_t pfn, unsigned order)
{
	const unsigned char *at = malloc_heap.base + loam_pfn_to_phys(pfn);
	return purge_free(arg, (uintptr_t)at, (size_t)LOAM_PAGE_SIZE << order);
}

/* Bytes that blocks and metadata use, and that cannot be given back. */
static size_t bytes_in_use(void)
{
	struct loam_zone_stats stats;
	loam_frame_zone_stats(&malloc_heap.frames, LOAM_ZONE_NORMAL, &stats);
	return ((size_t)(stats.managed - stats.free) << LOAM_PAGE_SHIFT) +
	       malloc_large_used();
}

static size_t purge_bytes(size_t budget)
{
	struct purge purge = { .budget = budget };
	malloc_large_walk(purge_range, &purge);
	if (purge.budget != 0) {
		(void)loam_frame_walk_free(&malloc_heap.frames,
					   UNIT_SHIFT - LOAM_PAGE_SHIFT,
					   purge_block, &purge);
	}
	return purge.done;
}

size_t malloc_memory_purge(bool part)
{
	size_t resident = malloc_memory_resident();
	size_t used = bytes_in_use();
	size_t idle = resident > used ? resident - used : 0;
	return purge_bytes(part ? idle / 2 : SIZE_MAX);
}

#define IDLE_LEAST ((size_t)LOAM_MIB(8))

static uint64_t milliseconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* True once a second, for one of the threads. */
static bool second_has_passed(void)
{
	static uint64_t last;
	uint64_t now = milliseconds_now();
	uint64_t then = __atomic_load_n(&last, __ATOMIC_RELAXED);
	return now - then >= 1000 &&
	       __atomic_compare_exchange_n(&last, &then, now, false,
					   __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED) &&
	       then != 0;
}

void malloc_memory_look(void)
{
	if (!second_has_passed()) {
		return;
	}
	int saved = errno;
	size_t resident = malloc_memory_resident();
	size_t used = bytes_in_use();
	if (resident > used && resident - used > IDLE_LEAST + used / 8) {
		(void)purge_bytes((resident - used) / 2);
	}
	errno = saved;
}

/* -------- bring-up -------- */

/* Address space that this process has already, in bytes. */
static size_t address_space_used(void)
{
	char text[64] = "";
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/statm",
			      O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		long length = syscall(SYS_read, fd, text, sizeof(text) - 1);
		(void)syscall(SYS_close, fd);
		text[length > 0 ? length : 0] = '\0';
	}
	return (size_t)strtoul(text, NULL, 10) << LOAM_PAGE_SHIFT;
}

/* The most that may be reserved under RLIMIT_AS; SIZE_MAX: no limit. */
static size_t address_space_left(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_AS, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY) {
		return SIZE_MAX;
	}
	size_t used = address_space_used();
	return limit.rlim_cur > used ? (size_t)limit.rlim_cur - used : 0;
}

/* Addresses near `hint`, or anywhere. */
static unsigned char *reserve_at(uintptr_t hint, size_t size, int flags)
{
	void *at = mmap((void *)hint, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1,
			0);
	return at == MAP_FAILED ? NULL : at;
}

/*
 * Reserves frames_size, the windows and the unit map in one, and the shadow at
 * a sixteenth of their address; false: refused.
 */
static bool reserve_near(uintptr_t hint, size_t frames_size, size_t window_size,
			 unsigned windows)
{
	size_t size = frames_size + window_size * windows;
	size_t shadow_size = frames_size >> LOAM_SHADOW_SHIFT;
	size_t map_size = loam_size_round_up((size >> UNIT_SHIFT) / 8 + 8,
					     LOAM_PAGE_SIZE);
	size_t all = size + map_size + CHUNK;
	unsigned char *at = reserve_at(hint, all, 0);
	if (at == NULL) {
		return false;
	}
	unsigned char *base =
		at + ((CHUNK - ((uintptr_t)at & (CHUNK - 1))) & (CHUNK - 1));
	uintptr_t shadow = (uintptr_t)base >> LOAM_SHADOW_SHIFT;
	unsigned char *got =
		reserve_at(shadow, shadow_size, MAP_FIXED_NOREPLACE);
	if ((uintptr_t)got != shadow) {
		/* A system older than the flag took it for a hint. */
		if (got != NULL) {
			munmap(got, shadow_size);
		}
		munmap(at, all);
		return false;
	}
	malloc_heap.base = base;
	malloc_heap.frames_size = frames_size;
	malloc_heap.size = size;
	malloc_heap.window_size = window_size;
	malloc_heap.windows = windows;
	dump_shift = DUMP_SHIFT_LEAST;
	while (size >> dump_shift >= DUMP_PARTS) {
		dump_shift++;
	}
	(void)madvise(at, all, MADV_DONTDUMP);
	(void)madvise(got, shadow_size, MADV_DONTDUMP);
	unit_map = (uint64_t *)(void *)(base + size);
	return true;
}

/* Where the system likes, or else in places that little else is in. */
static bool reserve(size_t frames_size, size_t window_size, unsigned windows)
{
	uintptr_t hint = 0;
	for (unsigned i = 0; i < RESERVE_TRIES; i++) {
		if (reserve_near(hint, frames_size, window_size, windows)) {
			return true;
		}
		hint = (uintptr_t)RESERVE_FIRST << i;
	}
	return false;
}

static bool reserve_most(void)
{
	struct sysinfo info;
	size_t memory = (size_t)LOAM_GIB(1);
	if (sysinfo(&info) == 0) {
		memory = (size_t)(info.totalram + info.totalswap) *
			 info.mem_unit;
	}
	malloc_heap.most = memory;
	size_t frames = FRAMES_MOST;
	size_t window = loam_size_round_up(memory * 4, (size_t)1 << 30);
	size_t left = address_space_left();
	if (left == SIZE_MAX && reserve(frames, window, MALLOC_WINDOWS)) {
		return true;
	}
	if (left / 8 * 3 < frames) {
		frames = left / 8 * 3 / CHUNK * CHUNK;
	}
	if (left / 8 * 3 < window) {
		window = left / 8 * 3 / CHUNK * CHUNK;
	}
	while (frames >= SIZE_LEAST / 4 && window >= SIZE_LEAST / 4) {
		if (reserve(frames, window, 1)) {
			return true;
		}
		frames = frames / 2 / CHUNK * CHUNK;
		window = window / 2 / CHUNK * CHUNK;
	}
	return false;
}

static bool floors_init(void)
{
	loam_phys_t size = malloc_heap.frames_size;
	struct loam_slab_shadow shadow = {
		.bytes = (uint8_t *)((uintptr_t)malloc_heap.base >>
				     LOAM_SHADOW_SHIFT),
		.covered = size,
		.back = back_shadow,
	};
	loam_malloc_direct = (uintptr_t)malloc_heap.base;
	loam_malloc_granules = (size_t)size >> LOAM_SHADOW_SHIFT;
	loam_malloc_shadow = shadow.bytes;
	loam_memmap_init(&bring_up.map, bring_up.ranges, 4);
	loam_memblock_init(&bring_up.memblock, bring_up.regions, 8);
	return loam_memmap_add(&bring_up.map, 0, size, LOAM_MEM_USABLE) == 0 &&
	       loam_memmap_normalise(&bring_up.map) == 0 &&
	       loam_memblock_adopt(&bring_up.memblock, &bring_up.map) == 0 &&
	       loam_memblock_reserve(&bring_up.memblock, 0, LOAM_PAGE_SIZE,
				     LOAM_RESERVED_FRAME_ZERO) == 0 &&
	       loam_frame_adopt(&malloc_heap.frames, &bring_up.memblock, 0,
				size, size) == 0 &&
	       loam_slab_init(&malloc_heap.slabs, &malloc_heap.frames,
			      &shadow) == 0 &&
	       loam_kmalloc_init(&malloc_heap.kmalloc, &malloc_heap.slabs,
				 NULL) == 0 &&
	       malloc_large_init();
}

bool malloc_memory_init(void)
{
	const char *option = getenv("LOAM_MALLOC");
	malloc_heap.refuse_bad = option != NULL && strcmp(option, "abort") == 0;
	return reserve_most() && floors_init();
}

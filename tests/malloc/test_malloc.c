/* SPDX-License-Identifier: MIT */
/* libloam-malloc through its C entry points. LD_PRELOAD chooses the malloc. */

/*
 * TAP on standard output. `test_malloc limited` is what the test of RLIMIT_AS
 * runs itself as. Reports are caught on standard error.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned tests;
static unsigned failures;

static void result(bool ok, const char *title)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++tests, title);
	fflush(stdout);
	failures += !ok;
}

#define NEED(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("# %s:%d: %s\n", __FILE__, __LINE__,            \
			       #condition);                                    \
			return false;                                          \
		}                                                              \
	} while (0)

/* Sizes that no block can have, hidden from the compiler's warnings. */
static volatile size_t huge = SIZE_MAX;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long size = 0;
	unsigned long resident = 0;
	if (file != NULL) {
		if (fscanf(file, "%lu %lu", &size, &resident) != 2) {
			resident = 0;
		}
		fclose(file);
	}
	return resident * 4;
}

/* -------- reports -------- */

static int report_pipe[2];
static int report_saved;

static void report_begin(void)
{
	if (pipe(report_pipe) != 0) {
		exit(2);
	}
	report_saved = dup(STDERR_FILENO);
	dup2(report_pipe[1], STDERR_FILENO);
}

/* True if what was written since contains the words. */
static bool report_has(const char *words)
{
	char text[2000];
	dup2(report_saved, STDERR_FILENO);
	close(report_saved);
	close(report_pipe[1]);
	ssize_t length = read(report_pipe[0], text, sizeof(text) - 1);
	close(report_pipe[0]);
	text[length > 0 ? length : 0] = '\0';
	if (strstr(text, words) == NULL) {
		printf("# no '%s' in: %s\n", words, text);
		return false;
	}
	return true;
}

/* -------- single calls -------- */

static bool test_is_loam(void)
{
	Dl_info info;
	NEED(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
	NEED(strstr(info.dli_fname, "libloam-malloc") != NULL);
	return true;
}

static bool test_sizes(void)
{
	for (size_t size = 0; size < 70000; size += size / 50 + 1) {
		unsigned char *block = malloc(size);
		NEED(block != NULL && (uintptr_t)block % 16 == 0);
		NEED(malloc_usable_size(block) >= size);
		memset(block, 0xa5, malloc_usable_size(block));
		free(block);
	}
	return true;
}

static bool test_zero(void)
{
	void *a = malloc(0);
	void *b = malloc(0);
	NEED(a != NULL && b != NULL && a != b);
	free(a);
	free(b);
	a = calloc(0, 5);
	NEED(a != NULL);
	NEED(realloc(a, 0) == NULL);
	a = realloc(NULL, 0);
	NEED(a != NULL);
	free(a);
	free(NULL);
	NEED(malloc_usable_size(NULL) == 0);
	return true;
}

static bool fails_with(void *block, int error)
{
	int seen = errno;
	errno = 0;
	NEED(block == NULL);
	NEED(seen == error);
	return true;
}

static bool test_huge(void)
{
	void *volatile keep = malloc(100);
	errno = 0;
	NEED(fails_with(malloc(huge), ENOMEM));
	NEED(fails_with(malloc(huge / 2), ENOMEM));
	NEED(fails_with(malloc(huge / 2 + 1), ENOMEM));
	NEED(fails_with(calloc(huge / 2, 3), ENOMEM));
	NEED(fails_with(calloc(1, huge - 4096), ENOMEM));
	NEED(fails_with(realloc(keep, huge), ENOMEM));
	NEED(fails_with(realloc(keep, huge / 2), ENOMEM));
	NEED(fails_with(reallocarray(keep, huge / 8, 16), ENOMEM));
	NEED(fails_with(memalign(64, huge - 10), ENOMEM));
	NEED(fails_with(aligned_alloc(4096, huge - 4095), ENOMEM));
	NEED(fails_with(valloc(huge), ENOMEM));
	NEED(fails_with(pvalloc(huge), ENOMEM));
	void *volatile large = malloc(100000);
	NEED(fails_with(realloc(large, huge / 4), ENOMEM));
	memset(large, 1, 100000);
	free(large);
	free(keep);
	return true;
}

static bool test_errno(void)
{
	errno = 77;
	void *block = malloc(100);
	void *large = malloc(1000000);
	NEED(errno == 77);
	free(large);
	free(block);
	NEED(errno == 77);
	void *out = &out;
	NEED(posix_memalign(&out, 24, 8) == EINVAL && out == &out);
	NEED(posix_memalign(&out, 4, 8) == EINVAL && out == &out);
	NEED(posix_memalign(&out, 0, 8) == EINVAL && out == &out);
	NEED(posix_memalign(&out, 64, huge - 100) == ENOMEM && out == &out);
	NEED(errno == 77);
	NEED(fails_with(aligned_alloc((size_t)huge % 24 + 9, 100), EINVAL));
	NEED(fails_with(memalign(huge, 100), EINVAL));
	/* Nor does a report, if there is nowhere to write it. */
	block = malloc(100);
	int saved = dup(STDERR_FILENO);
	close(STDERR_FILENO);
	free(block);
	errno = 77;
	free(block);
	int seen = errno;
	dup2(saved, STDERR_FILENO);
	close(saved);
	NEED(seen == 77);
	return true;
}

/* The C library of today declares none of them. */
static bool test_sized(void)
{
	void (*sized)(void *, size_t) = NULL;
	void (*aligned)(void *, size_t, size_t) = NULL;
	*(void **)&sized = dlsym(RTLD_DEFAULT, "free_sized");
	*(void **)&aligned = dlsym(RTLD_DEFAULT, "free_aligned_sized");
	NEED(sized != NULL && aligned != NULL);
	size_t used = mallinfo2().uordblks;
	for (unsigned i = 0; i < 1000; i++) {
		sized(malloc(100000), 100000);
		aligned(aligned_alloc(256, 200000), 256, 200000);
		sized(malloc(50), 50);
	}
	sized(NULL, 0);
	NEED(mallinfo2().uordblks < used + 100000);
	return true;
}

static bool test_alignment(void)
{
	for (size_t align = 8; align <= (size_t)1 << 22; align *= 2) {
		for (size_t size = 1; size < 3 * align + 100;
		     size += size + align / 3 + 1) {
			void *out = NULL;
			NEED(posix_memalign(&out, align, size) == 0);
			NEED(out != NULL && (uintptr_t)out % align == 0);
			NEED(malloc_usable_size(out) >= size);
			((char *)out)[size - 1] = 1;
			void *other = aligned_alloc(align, size);
			NEED(other != NULL && (uintptr_t)other % align == 0);
			void *third = memalign(align, size);
			NEED(third != NULL && (uintptr_t)third % align == 0);
			free(out);
			out = realloc(other, size * 2);
			NEED(out != NULL);
			free(third);
			free(out);
		}
	}
	void *page = valloc(10);
	NEED((uintptr_t)page % 4096 == 0);
	void *pages = pvalloc(4097);
	NEED((uintptr_t)pages % 4096 == 0 && malloc_usable_size(pages) >= 8192);
	free(page);
	free(pages);
	return true;
}

static bool all_are(const unsigned char *block, size_t size, unsigned value)
{
	for (size_t i = 0; i < size; i++) {
		if (block[i] != value) {
			return false;
		}
	}
	return true;
}

static bool test_calloc(void)
{
	static const size_t sizes[] = { 1,    16,    100,   1000,   4096,
					9000, 32768, 40000, 300000, 5000000 };
	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		for (unsigned round = 0; round < 20; round++) {
			unsigned char *block = calloc(1, sizes[n]);
			NEED(block != NULL && all_are(block, sizes[n], 0));
			memset(block, 0xff, malloc_usable_size(block));
			free(block);
		}
	}
	return true;
}

static bool test_realloc(void)
{
	uint64_t seed = 5;
	for (unsigned round = 0; round < 300; round++) {
		size_t size = 1;
		unsigned char *block = malloc(size);
		block[0] = (unsigned char)round;
		for (unsigned step = 0; step < 12; step++) {
			unsigned bits = 1 + (unsigned)(next(&seed) % 19);
			size_t to = next(&seed) % ((size_t)1 << bits) + 1;
			block = realloc(block, to);
			NEED(block != NULL && malloc_usable_size(block) >= to);
			NEED(all_are(block, to < size ? to : size,
				     round & 0xff));
			memset(block, (int)round, to);
			size = to;
		}
		free(block);
	}
	return true;
}

/* Growing moves pages, not bytes, and keeps what is in them. */
static bool test_mremap(void)
{
	size_t size = 1u << 20;
	unsigned char *block = malloc(size);
	unsigned char *walls[8];
	memset(block, 1, size);
	for (unsigned i = 0; i < 8; i++) {
		walls[i] = malloc(200000); /* so that it cannot grow in place */
		memset(walls[i], 0x77, 200000);
		size_t more = size + size / 2;
		block = realloc(block, more);
		NEED(block != NULL);
		NEED(block[0] == 1 && block[size - 1] == i + 1);
		memset(block + size, (int)i + 2, more - size);
		size = more;
	}
	for (unsigned i = 0; i < 8; i++) {
		NEED(all_are(walls[i], 200000, 0x77));
		free(walls[i]);
	}
	unsigned char *small = realloc(block, 300000);
	NEED(small == block && malloc_usable_size(small) < 400000);
	free(small);
	return true;
}

/* -------- a model -------- */

#define MODEL_BLOCKS 3000u

static bool test_model(void)
{
	static struct {
		unsigned char *at;
		size_t size;
		unsigned mark;
	} blocks[MODEL_BLOCKS];
	uint64_t seed = 12345;
	memset(blocks, 0, sizeof(blocks));
	for (unsigned step = 0; step < 60000; step++) {
		unsigned n = (unsigned)(next(&seed) % MODEL_BLOCKS);
		if (blocks[n].at != NULL) {
			NEED(all_are(blocks[n].at, blocks[n].size,
				     blocks[n].mark));
			free(blocks[n].at);
			blocks[n].at = NULL;
			continue;
		}
		unsigned bits = (unsigned)(next(&seed) % 15);
		blocks[n].size = next(&seed) % ((size_t)2 << bits) + 1;
		blocks[n].mark = step & 0xff;
		blocks[n].at = malloc(blocks[n].size);
		NEED(blocks[n].at != NULL);
		memset(blocks[n].at, (int)blocks[n].mark, blocks[n].size);
	}
	for (unsigned n = 0; n < MODEL_BLOCKS; n++) {
		free(blocks[n].at);
		blocks[n].at = NULL;
	}
	return true;
}

/* -------- misuse -------- */

static bool bad_free(void *block, const char *words)
{
	report_begin();
	free(block);
	return report_has(words);
}

static bool test_misuse(void)
{
	char local[64];
	char *volatile small = malloc(100);
	char *volatile large = malloc(1000000);
	NEED(bad_free(small + 16, "interior free of"));
	NEED(bad_free(small + 1, "free of"));
	NEED(bad_free(large + 4096, "byte 4096 of a large block"));
	NEED(bad_free(local + 16 - (uintptr_t)local % 16, "bad free of"));
	NEED(bad_free((void *)(uintptr_t)0x1230, "bad free of"));
	memset(small, 1, 100);
	memset(large, 1, 1000000);
	free(small);
	free(large);
	NEED(bad_free(small, "double free of"));
	NEED(bad_free(large, "bad free of"));
	report_begin();
	NEED(realloc(small, 10) == NULL && errno == EINVAL);
	NEED(report_has("realloc of"));
	report_begin();
	NEED(malloc_usable_size(large) == 0);
	NEED(report_has("malloc_usable_size of"));
	/* Nothing of it did harm. */
	char *again = malloc(100);
	char *other = malloc(100);
	NEED(again != NULL && other != NULL && again != other);
	free(again);
	free(other);
	return true;
}

/* -------- threads -------- */

struct box {
	pthread_mutex_t lock;
	void *blocks[64];
	bool stop;
};
static struct box box = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Puts blocks into the box and frees what others put there. */
static void *exchange(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg * 77 + 1;
	for (unsigned i = 0; i < 100000; i++) {
		size_t size = 1 + next(&seed) % (i % 100 == 0 ? 100000 : 500);
		size_t *block = malloc(size < 16 ? 16 : size);
		block[0] = size;
		block[1] = size ^ 0x5555;
		unsigned n = (unsigned)(next(&seed) % 64);
		pthread_mutex_lock(&box.lock);
		size_t *old = box.blocks[n];
		box.blocks[n] = block;
		pthread_mutex_unlock(&box.lock);
		if (old != NULL && old[1] != (old[0] ^ 0x5555)) {
			return (void *)1;
		}
		free(old);
	}
	return NULL;
}

static bool test_exchange(void)
{
	pthread_t threads[6];
	for (uintptr_t i = 0; i < 6; i++) {
		NEED(pthread_create(&threads[i], NULL, exchange, (void *)i) ==
		     0);
	}
	bool ok = true;
	for (unsigned i = 0; i < 6; i++) {
		void *bad;
		pthread_join(threads[i], &bad);
		ok = ok && bad == NULL;
	}
	for (unsigned n = 0; n < 64; n++) {
		free(box.blocks[n]);
		box.blocks[n] = NULL;
	}
	NEED(ok);
	return true;
}

static void *brief(void *arg)
{
	void *blocks[100];
	for (unsigned i = 0; i < 100; i++) {
		blocks[i] = malloc(16 + i * 20);
		memset(blocks[i], 1, 16 + i * 20);
	}
	for (unsigned i = 0; i < 100; i++) {
		free(blocks[i]);
	}
	free(arg);
	return malloc(40);
}

static bool run_brief(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		pthread_t thread;
		void *back;
		NEED(pthread_create(&thread, NULL, brief, malloc(50)) == 0);
		pthread_join(thread, &back);
		free(back);
	}
	return true;
}

/* -------- threads that wait for each other part -------- */

#define PART_THREADS 4u
#define PART_SLOTS 64u

static struct {
	size_t *blocks[PART_SLOTS]; /* exchanged atomically */
	uintptr_t lowest;
	uintptr_t highest;
	bool stop;
} part;

static bool part_is_wide(void)
{
	/* A window alone is four times as large as the machine's memory. */
	size_t memory =
		(size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t low = __atomic_load_n(&part.lowest, __ATOMIC_RELAXED);
	uintptr_t high = __atomic_load_n(&part.highest, __ATOMIC_RELAXED);
	return high > low && high - low > memory * 2;
}

static void part_note(uintptr_t at)
{
	if (at < __atomic_load_n(&part.lowest, __ATOMIC_RELAXED)) {
		__atomic_store_n(&part.lowest, at, __ATOMIC_RELAXED);
	}
	if (at > __atomic_load_n(&part.highest, __ATOMIC_RELAXED)) {
		__atomic_store_n(&part.highest, at, __ATOMIC_RELAXED);
	}
}

/* Large blocks and nothing else, freed by whichever thread finds them. */
static void *part_run(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg * 77 + 1;
	while (!__atomic_load_n(&part.stop, __ATOMIC_RELAXED)) {
		size_t size = 40000 + next(&seed) % 200000;
		size_t *block = malloc(size);
		if (block == NULL) {
			return (void *)1;
		}
		part_note((uintptr_t)block);
		block[0] = size;
		block[size / sizeof(size_t) - 1] = size ^ 0x5555;
		block = __atomic_exchange_n(
			&part.blocks[next(&seed) % PART_SLOTS], block,
			__ATOMIC_ACQ_REL);
		if (block != NULL && block[block[0] / sizeof(size_t) - 1] !=
					     (block[0] ^ 0x5555)) {
			return (void *)1;
		}
		free(block);
	}
	return NULL;
}

/* A child has what all windows had, and can go on with it. */
static bool part_fork(void)
{
	pid_t child = fork();
	if (child == 0) {
		for (unsigned n = 0; n < PART_SLOTS; n++) {
			free(part.blocks[n]);
		}
		void *block = malloc(300000);
		free(block);
		_exit(block == NULL);
	}
	int status;
	NEED(child > 0 && waitpid(child, &status, 0) == child);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return true;
}

static bool test_part(void)
{
	pthread_t threads[PART_THREADS];
	size_t used = mallinfo2().hblkhd;
	bool ok = true;
	part.lowest = UINTPTR_MAX;
	for (uintptr_t i = 0; i < PART_THREADS; i++) {
		NEED(pthread_create(&threads[i], NULL, part_run, (void *)i) ==
		     0);
	}
	for (unsigned i = 0; i < 3000 && !part_is_wide(); i++) {
		usleep(10000);
	}
	for (unsigned i = 0; i < 5; i++) {
		ok = ok && part_fork();
	}
	__atomic_store_n(&part.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < PART_THREADS; i++) {
		void *bad;
		pthread_join(threads[i], &bad);
		ok = ok && bad == NULL;
	}
	NEED(ok);
	NEED(part_is_wide() || sysconf(_SC_NPROCESSORS_ONLN) == 1);
	for (unsigned n = 0; n < PART_SLOTS; n++) {
		free(part.blocks[n]);
	}
	NEED(mallinfo2().hblkhd == used);
	return true;
}

static bool test_brief_threads(void)
{
	NEED(run_brief(100));
	size_t before = resident_kib();
	NEED(run_brief(1000));
	NEED(resident_kib() < before + 512);
	return true;
}

/* Threads of three groups, one after the other, that all stay alive. */
#define GROUP_BLOCKS 20000u

static void *group_blocks[GROUP_BLOCKS];
static pthread_barrier_t group_ready;
static pthread_barrier_t group_end;

static void *group_thread(void *arg)
{
	for (unsigned i = 0; i < GROUP_BLOCKS; i++) {
		size_t size = 16 + i % 64 * 16;
		group_blocks[i] = malloc(size);
		memset(group_blocks[i], 1, size);
	}
	pthread_barrier_wait(&group_ready);
	pthread_barrier_wait(&group_end);
	return arg;
}

static bool test_groups(void)
{
	pthread_t threads[3];
	size_t first = 0;
	(void)malloc_trim(0);
	pthread_barrier_init(&group_ready, NULL, 2);
	pthread_barrier_init(&group_end, NULL, 4);
	for (unsigned t = 0; t < 3; t++) {
		NEED(pthread_create(&threads[t], NULL, group_thread, NULL) ==
		     0);
		pthread_barrier_wait(&group_ready);
		for (unsigned i = 0; i < GROUP_BLOCKS; i++) {
			free(group_blocks[i]);
		}
		first = t == 0 ? resident_kib() : first;
	}
	NEED(resident_kib() < first + 4096);
	pthread_barrier_wait(&group_end);
	for (unsigned t = 0; t < 3; t++) {
		pthread_join(threads[t], NULL);
	}
	pthread_barrier_destroy(&group_ready);
	pthread_barrier_destroy(&group_end);
	return true;
}

/* Thread-local data whose destructor frees, after the layer is gone. */
static pthread_key_t late_key;

static void late(void *arg)
{
	free(arg);
	void *block = malloc(100);
	memset(block, 1, 100);
	free(block);
}

static void *late_thread(void *arg)
{
	pthread_setspecific(late_key, malloc(200));
	return arg;
}

static bool test_late_free(void)
{
	NEED(pthread_key_create(&late_key, late) == 0);
	for (unsigned i = 0; i < 200; i++) {
		pthread_t thread;
		NEED(pthread_create(&thread, NULL, late_thread, NULL) == 0);
		pthread_join(thread, NULL);
	}
	return true;
}

/* More threads at once than have a layer each. */
#define CROWD 2200u
static pthread_barrier_t crowd_barrier;

static void *crowd_thread(void *arg)
{
	void *block = malloc(100);
	memset(block, 1, 100);
	pthread_barrier_wait(&crowd_barrier);
	free(block);
	block = malloc(60);
	free(block);
	return arg;
}

static bool test_crowd(void)
{
	static pthread_t threads[CROWD];
	pthread_attr_t attr;
	unsigned made = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_barrier_init(&crowd_barrier, NULL, CROWD);
	while (made < CROWD &&
	       pthread_create(&threads[made], &attr, crowd_thread, NULL) == 0) {
		made++;
	}
	if (made < CROWD) {
		printf("# only %u threads can be made here\n", made);
		_exit(0);
	}
	for (unsigned i = 0; i < made; i++) {
		pthread_join(threads[i], NULL);
	}
	return true;
}

static void *churn(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg + 99;
	while (!__atomic_load_n(&box.stop, __ATOMIC_RELAXED)) {
		void *a = malloc(next(&seed) % 3000);
		void *b = malloc(next(&seed) % 100000);
		free(a);
		free(b);
	}
	return NULL;
}

static int fork_work(void)
{
	uint64_t seed = 3;
	for (unsigned i = 0; i < 3000; i++) {
		size_t size = next(&seed) % 40000 + 1;
		unsigned char *block = malloc(size);
		if (block == NULL) {
			return 1;
		}
		block[0] = block[size - 1] = 1;
		block = realloc(block, size + 100);
		free(block);
	}
	pthread_t thread;
	return pthread_create(&thread, NULL, brief, NULL) != 0 ||
	       pthread_join(thread, NULL) != 0;
}

static bool test_fork(void)
{
	pthread_t threads[3];
	bool ok = true;
	box.stop = false;
	for (uintptr_t i = 0; i < 3; i++) {
		NEED(pthread_create(&threads[i], NULL, churn, (void *)i) == 0);
	}
	for (unsigned i = 0; i < 60 && ok; i++) {
		pid_t child = fork();
		if (child == 0) {
			alarm(30);
			_exit(fork_work());
		}
		int status;
		ok = waitpid(child, &status, 0) == child && status == 0;
	}
	__atomic_store_n(&box.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
	}
	NEED(ok);
	return true;
}

/* -------- giving back -------- */

static void fill(void **blocks, unsigned count, size_t size)
{
	for (unsigned i = 0; i < count; i++) {
		blocks[i] = malloc(size);
		memset(blocks[i], 1, size);
	}
}

static bool test_trim(void)
{
	static void *small[50000];
	static void *large[20];
	size_t before = resident_kib();
	fill(small, 50000, 1000);
	fill(large, 20, 4u << 20);
	NEED(resident_kib() > before + 110000);
	struct mallinfo2 info = mallinfo2();
	NEED(info.uordblks >= 50000u * 1000 + (20u << 22));
	for (unsigned i = 0; i < 50000; i++) {
		free(small[i]);
	}
	for (unsigned i = 0; i < 20; i++) {
		free(large[i]);
	}
	NEED(malloc_trim(0) == 1);
	NEED(resident_kib() < before + 4096);
	NEED(mallinfo2().uordblks < info.uordblks - (100u << 20));
	return true;
}

/* 64 blocks of each size, one size after the other: 19 MiB in all. */
static bool test_settle(void)
{
	static void *blocks[64];
	(void)malloc_trim(0);
	size_t before = resident_kib();
	for (size_t size = 16; size <= 32768; size += (size + 7) / 8) {
		fill(blocks, 64, size);
		for (unsigned i = 0; i < 64; i++) {
			free(blocks[i]);
		}
	}
	NEED(resident_kib() < before + 6u * 1024);
	return true;
}

static bool test_idle(void)
{
	static void *large[30];
	size_t before = resident_kib();
	fill(large, 30, 4u << 20);
	for (unsigned i = 0; i < 30; i++) {
		free(large[i]);
	}
	for (unsigned second = 0; second < 5; second++) {
		struct timespec pause = { .tv_sec = 1, .tv_nsec = 20000000 };
		nanosleep(&pause, NULL);
		for (unsigned i = 0; i < 200; i++) {
			free(malloc(50000));
		}
	}
	NEED(resident_kib() < before + 30000);
	return true;
}

/* -------- out of memory -------- */

static int limited(void)
{
	static void *blocks[100000];
	static const size_t sizes[] = { 100000, 3000, 100 };
	for (unsigned round = 0; round < 3; round++) {
		unsigned count = 0;
		errno = 0;
		while (count < 100000 &&
		       (blocks[count] = malloc(sizes[round])) != NULL) {
			((char *)blocks[count])[0] = 1;
			count++;
		}
		if (count < 100000 && errno != ENOMEM) {
			return 1;
		}
		if (count < 100 || (sizes[round] >= 3000 && count == 100000)) {
			return 2;
		}
		while (count > 0) {
			free(blocks[--count]);
		}
	}
	return 0;
}

static bool test_limit(char **argv)
{
	pid_t child = fork();
	if (child == 0) {
		struct rlimit limit = { 200u << 20, 200u << 20 };
		setrlimit(RLIMIT_AS, &limit);
		execl(argv[0], argv[0], "limited", (char *)NULL);
		_exit(127);
	}
	int status;
	NEED(waitpid(child, &status, 0) == child);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return true;
}

/* -------- memory that stays in -------- */

/* Without Loam's own mlockall() this would take all the machine has. */
static bool test_lock(void)
{
	Dl_info info;
	NEED(dladdr(dlsym(RTLD_DEFAULT, "mlockall"), &info) != 0);
	NEED(strstr(info.dli_fname, "libloam-malloc") != NULL);
	pid_t child = fork();
	if (child == 0) {
		size_t before = resident_kib();
		if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
			/* Whoever has a limit is above it. */
			_exit(errno != ENOMEM && errno != EPERM);
		}
		char *block = malloc(1000000);
		memset(block, 1, 1000000);
		_exit(block == NULL || resident_kib() > before + 64 * 1024);
	}
	int status;
	NEED(child > 0 && waitpid(child, &status, 0) == child);
	NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	NEED(mlockall(1 << 20) == -1 && errno == EINVAL);
	return true;
}

/* -------- what a core dump has -------- */

/*
 * Adds up the writable memory that would be dumped, and says whether that of
 * an address would.
 */
static bool dump_has(const void *address, size_t *bytes)
{
	char line[512];
	unsigned long start = 0;
	unsigned long end = 0;
	char rights[8] = "";
	bool has = false;
	FILE *file = fopen("/proc/self/smaps", "r");
	*bytes = 0;
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		unsigned long from;
		unsigned long to;
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3) {
			start = from;
			end = to;
		} else if (strncmp(line, "VmFlags:", 8) == 0 &&
			   strstr(line, " dd") == NULL &&
			   strstr(line, " wr") != NULL) {
			*bytes += end - start;
			has = has || ((uintptr_t)address >= start &&
				      (uintptr_t)address < end);
		}
	}
	if (file != NULL) {
		fclose(file);
	}
	return has;
}

static bool test_dump(void)
{
	size_t bytes;
	char *small = malloc(100);
	char *large = malloc(1000000);
	char *huge_block = malloc((size_t)400 << 20);
	NEED(small != NULL && large != NULL && huge_block != NULL);
	NEED(dump_has(small, &bytes));
	NEED(bytes < (size_t)8 << 30);
	NEED(dump_has(large, &bytes) && dump_has(large + 999999, &bytes));
	NEED(dump_has(huge_block, &bytes) &&
	     dump_has(huge_block + ((size_t)400 << 20) - 1, &bytes));
	free(huge_block);
	free(large);
	free(small);
	return true;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "limited") == 0) {
		return limited();
	}
	result(test_is_loam(), "the malloc of this process is Loam's");
	result(test_sizes(), "every size is aligned and has usable bytes");
	result(test_zero(), "size 0 is a block of its own; NULL is free");
	result(test_huge(), "sizes too large fail with ENOMEM, blocks keep");
	result(test_errno(), "errno is set on failure and else kept");
	result(test_sized(), "C23's free_sized and free_aligned_sized free");
	result(test_alignment(), "every alignment up to 4 MiB is kept");
	result(test_calloc(), "calloc's memory reads as zeros");
	result(test_realloc(), "realloc keeps what fits both sizes");
	result(test_mremap(),
	       "a large block grows by its pages, shrinks there");
	result(test_model(), "60,000 random calls: blocks keep their bytes");
	result(test_misuse(), "bad frees are reported, and do no harm");
	result(test_exchange(), "six threads free each other's blocks");
	result(test_part(), "threads with large blocks part, and fork");
	result(test_brief_threads(), "a thousand threads leave nothing behind");
	result(test_groups(), "what one thread's kind left serves others");
	result(test_late_free(), "destructors free after their thread's end");
	result(test_crowd(), "more threads than layers");
	result(test_fork(), "fork among threads: the child allocates");
	result(test_dump(),
	       "a core dump has what is in use, not all addresses");
	result(test_lock(), "mlockall locks what is there, not all addresses");
	result(test_trim(), "malloc_trim gives all back, mallinfo2 sees it");
	result(test_settle(), "sizes no longer used make room for others");
	result(test_idle(), "memory that is idle goes back by itself");
	result(test_limit(argv),
	       "RLIMIT_AS: ENOMEM, and on with what is freed");
	printf("1..%u\n", tests);
	return failures != 0;
}

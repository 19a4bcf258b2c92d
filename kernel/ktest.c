/* SPDX-License-Identifier: MIT */
/* Runs the kernel's tests and prints what came of them, as TAP. */

#include <loam/bits.h>

#include "cmdline.h"
#include "cpu.h"
#include "cpus.h"
#include "ktest.h"

#define KTEST_LOG_BYTES 4096u

/*
 * An identity map of 4 GiB in pages of 4 KiB has a thousand tables, others have
 * a tenth of that. To check each of their entries takes most of a test's time,
 * so that is done after every eighth test, and after the last.
 */
#define KTEST_MANY_TABLES 512u
#define KTEST_RARELY 8u

/* From kernel.ld. */
extern const struct ktest kernel_tests_start[];
extern const struct ktest kernel_tests_end[];

enum ktest_end { KTEST_RUNNING, KTEST_FAILED, KTEST_SKIPPED };

static struct {
	struct trap_context context; /* where a test that ends goes */
	unsigned long misuse_expected;
	unsigned planned;
	unsigned check_every; /* so many tests */
	const char *skipped;
	char log[KTEST_LOG_BYTES];
} ktest;

_Noreturn void ktest_fail(const char *file, int line, const char *text)
{
	kprintf("#   %s:%d: %s\n", file, line, text);
	trap_jump(&ktest.context, KTEST_FAILED);
}

_Noreturn void ktest_skip(const char *why)
{
	ktest.skipped = why;
	trap_jump(&ktest.context, KTEST_SKIPPED);
}

void ktest_expect_misuse(unsigned long count)
{
	ktest.misuse_expected += count;
}

uint64_t ktest_free_frames(void)
{
	struct loam_heap_stats heap = { .live_bytes = 0 };
	struct loam_kspace_stats kspace;

	task_settle();
	cpus_drain();
	loam_kspace_stats(&kernel.kspace, &kspace);
	uint64_t frames = loam_frame_free_count(&kernel.frames) +
			  kernel.shadow.real_pages + kspace.table_reserve +
			  loam_pt_count_tables(&kernel.pt);
	if (loam_kmalloc_heap_stats(&kernel.kmalloc, &heap)) {
		frames += kernel.heap_window.mapped_pages;
		frames -= loam_pages_of(heap.live_bytes);
	}
	return frames;
}

bool ktest_long(void)
{
	char value[8];

	return cmdline_option(kernel.info.cmdline, "long", value,
			      sizeof(value));
}

bool ktest_on_slabs(void)
{
	return kernel.choice.heap == LOAM_BOOT_SLAB;
}

static bool text_contains(const char *text, const char *word)
{
	size_t length = loam_strlen(word);

	for (size_t left = loam_strlen(text); left >= length; left--) {
		if (memcmp(text, word, length) == 0) {
			return true;
		}
		text++;
	}
	return false;
}

bool ktest_log_contains(const char *text)
{
	return text_contains(ktest.log, text);
}

void ktest_log_clear(void)
{
	console_log_begin(ktest.log, sizeof(ktest.log));
}

uint32_t ktest_random(uint32_t *state)
{
	uint32_t x = *state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	*state = x;
	return x;
}

LOAM_NOINLINE void ktest_overflow_stack(void *arg)
{
	volatile char room[512];

	room[0] = 1;
	if (room[0] == 1) {
		ktest_overflow_stack(arg);
	}
	/* Used after the call, so that the call does not become a jump. */
	room[1] = room[0];
}

/* Runs one test to its end, whichever that is. */
static enum ktest_end ktest_run_one(const struct ktest *test)
{
	int end = trap_save(&ktest.context);

	if (end == 0) {
		test->run();
	}
	/* As it found them, wherever it ended. */
	cpu_sti();
	return (enum ktest_end)end;
}

/* What must hold after every test, whatever it did. */
static bool ktest_aftermath(unsigned long misuse_before, bool check)
{
	unsigned long reports = loam_misuse_count() - misuse_before;

	if (reports != ktest.misuse_expected) {
		kprintf("#   %lu reports of misuse, %lu were expected\n",
			reports, ktest.misuse_expected);
		return false;
	}
	/* Nobody else may be in a floor meanwhile. */
	task_settle();
	if (check && loam_boot_check(&kernel) != 0) {
		kprintf("#   a floor's check() failed%s\n",
			ktest.check_every > 1 ? ", since the last one" : "");
		return false;
	}
	return true;
}

/* True if it passed or was skipped. */
static bool ktest_report(const struct ktest *test, unsigned number)
{
	unsigned long misuse_before = loam_misuse_count();

	ktest.misuse_expected = 0;
	ktest_log_clear();
	enum ktest_end end = ktest_run_one(test);
	console_log_end();
	if (end == KTEST_SKIPPED) {
		kprintf("ok %u - %s # SKIP %s\n", number, test->title,
			ktest.skipped);
		return true;
	}
	bool check = number % ktest.check_every == 0 || number == ktest.planned;
	bool passed =
		end == KTEST_RUNNING && ktest_aftermath(misuse_before, check);
	kprintf("%sok %u - %s\n", passed ? "" : "not ", number, test->title);
	return passed;
}

static unsigned ktest_family_n; /* the test of the family that runs */

static void ktest_family_run(void)
{
	ktest_heaps.run(ktest_family_n);
}

/* The tests of the family, numbered from `number` + 1 on. Those that failed. */
static unsigned ktest_run_family(unsigned count, unsigned number)
{
	unsigned failed = 0;

	for (unsigned n = 0; n < count; n++) {
		char title[128];
		const struct ktest test = { ktest_heaps.title(n, title,
							      sizeof(title)),
					    ktest_family_run };
		ktest_family_n = n;
		failed += !ktest_report(&test, ++number);
	}
	return failed;
}

int ktest_run(const char *word)
{
	const struct ktest *test;
	unsigned planned = 0;
	unsigned number = 0;
	unsigned failed = 0;
	unsigned family =
		loam_streq(word, ktest_heaps.word) ? ktest_heaps.count() : 0;

	for (test = kernel_tests_start; test < kernel_tests_end; test++) {
		planned += text_contains(test->title, word);
	}
	planned += family;
	ktest.planned = planned;
	ktest.check_every = loam_pt_count_tables(&kernel.pt) > KTEST_MANY_TABLES
				    ? KTEST_RARELY
				    : 1;
	kprintf("TAP version 13\n1..%u\n", planned);
	for (test = kernel_tests_start; test < kernel_tests_end; test++) {
		if (text_contains(test->title, word)) {
			failed += !ktest_report(test, ++number);
		}
	}
	failed += ktest_run_family(family, number);
	kprintf("# %u tests, %u failed\n", planned, failed);
	if (planned == 0) {
		kprintf("# no test has \"%s\" in its title\n", word);
	}
	return planned > 0 && failed == 0 ? 0 : -LOAM_EFAULT;
}

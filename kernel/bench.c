/* SPDX-License-Identifier: MIT */
/* Measures the kernel's allocators on themselves. */

/*
 * Each row is the median of BENCH_SAMPLES windows between two readings of the
 * time-stamp counter, with interrupts off, after one window that is thrown
 * away and fills the per-CPU layers. A window holds the operation once, or, for
 * the rows per object, BENCH_BULK times. What an empty window costs is
 * a row too, and is not subtracted from the others.
 */

#include <loam/mem.h>

#include "bench.h"
#include "console.h"
#include "cpu.h"
#include "fpu.h"
#include "kernel.h"

#define BENCH_SAMPLES 101u
#define BENCH_BULK 1000u

static struct {
	uint32_t samples[BENCH_SAMPLES];
	void **objects; /* BENCH_BULK of them */
	struct loam_cache *cache;
	void *page;
	unsigned failed; /* operations that got no memory */
} bench;

static uint32_t bench_median(void)
{
	uint32_t *s = bench.samples;

	for (unsigned i = 1; i < BENCH_SAMPLES; i++) {
		uint32_t value = s[i];
		unsigned at = i;
		for (; at > 0 && s[at - 1] > value; at--) {
			s[at] = s[at - 1];
		}
		s[at] = value;
	}
	return s[BENCH_SAMPLES / 2];
}

static void bench_row(const char *operation, uint32_t value)
{
	kprintf("bench: %-47s | %8u\n", operation, (unsigned)value);
}

/* Measures `statement` and prints its row. */
#define BENCH(operation, statement)                                            \
	do {                                                                   \
		statement;                                                     \
		for (unsigned sample = 0; sample < BENCH_SAMPLES; sample++) {  \
			uint64_t start = cpu_rdtsc();                          \
			statement;                                             \
			uint64_t end = cpu_rdtsc();                            \
			bench.samples[sample] = (uint32_t)(end - start);       \
		}                                                              \
		bench_row(operation, bench_median());                          \
	} while (0)

static LOAM_ALWAYS_INLINE void bench_kmalloc_pair(size_t size_bytes)
{
	void *block = kmalloc(size_bytes);
	bench.failed += block == NULL;
	kfree(block);
}

static LOAM_ALWAYS_INLINE void bench_single_frame_pair(void)
{
	loam_pfn_t pfn = frame_alloc();
	if (pfn == LOAM_PFN_NONE) {
		bench.failed++;
		return;
	}
	frame_free(pfn);
}

static LOAM_ALWAYS_INLINE void bench_frame_pair(unsigned order)
{
	loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, order, 0);
	if (pfn == LOAM_PFN_NONE) {
		bench.failed++;
		return;
	}
	loam_frame_free(&kernel.frames, pfn, order);
}

static LOAM_ALWAYS_INLINE void bench_cache_pair(void)
{
	void *object = cache_alloc(bench.cache);
	bench.failed += object == NULL;
	cache_free(bench.cache, object);
}

static LOAM_ALWAYS_INLINE void bench_vmalloc_pair(void)
{
	void *block = vmalloc(LOAM_KIB(64));
	bench.failed += block == NULL;
	vfree(block);
}

/* BENCH_BULK objects of one size, then back in reverse order. */
static void bench_bulk(const char *alloc_row, const char *free_row,
		       size_t size_bytes)
{
	uint32_t freed[BENCH_SAMPLES];

	for (unsigned sample = 0; sample < BENCH_SAMPLES; sample++) {
		uint64_t start = cpu_rdtsc();
		for (unsigned i = 0; i < BENCH_BULK; i++) {
			bench.objects[i] = kmalloc(size_bytes);
		}
		uint64_t middle = cpu_rdtsc();
		bench.failed += bench.objects[BENCH_BULK - 1] == NULL;
		uint64_t again = cpu_rdtsc();
		for (unsigned i = BENCH_BULK; i > 0; i--) {
			kfree(bench.objects[i - 1]);
		}
		uint64_t end = cpu_rdtsc();
		bench.samples[sample] = (uint32_t)(middle - start) / BENCH_BULK;
		freed[sample] = (uint32_t)(end - again) / BENCH_BULK;
	}
	bench_row(alloc_row, bench_median());
	memcpy(bench.samples, freed, sizeof(freed));
	bench_row(free_row, bench_median());
}

static void bench_kmalloc(void)
{
	BENCH("empty window", (void)0);
	BENCH("kmalloc + kfree, 16 bytes, pair", bench_kmalloc_pair(16));
	BENCH("kmalloc + kfree, 256 bytes, pair", bench_kmalloc_pair(256));
	BENCH("kmalloc + kfree, 4096 bytes, pair", bench_kmalloc_pair(4096));
	BENCH("kmalloc + kfree, 65536 bytes, pair", bench_kmalloc_pair(65536));
	bench_bulk("1000 x kmalloc, per object, 64 bytes",
		   "1000 x kfree in reverse, per object, 64 bytes", 64);
	bench_bulk("1000 x kmalloc, per object, 1024 bytes",
		   "1000 x kfree in reverse, per object, 1024 bytes", 1024);
}

static void bench_pages(void)
{
	BENCH("cache alloc + free, 64 bytes, pair", bench_cache_pair());
	BENCH("frame alloc + free, order 0, pair", bench_single_frame_pair());
	if (loam_frame_order_max(&kernel.frames) > 0) {
		BENCH("frame alloc + free, order 3, pair", bench_frame_pair(3));
		BENCH("frame alloc + free, order 9, pair", bench_frame_pair(9));
	}
	BENCH("vmalloc + vfree, 64 KiB, pair", bench_vmalloc_pair());
	/* As a program's page is. */
	BENCH("clearing one 4 KiB page", fpu_clear_page(bench.page));
}

int bench_run(void)
{
	if (!cpu_features.tsc) {
		kprintf("this CPU has no time-stamp counter\n");
		return -LOAM_ENOENT;
	}
	bench.failed = 0;
	bench.objects = kmalloc(BENCH_BULK * sizeof(*bench.objects));
	bench.page = kmalloc(LOAM_PAGE_SIZE);
	bench.cache = loam_cache_create(&kernel.slabs, "bench-64", 64, 0,
					LOAM_CACHE_NO_MERGE, NULL);
	if (bench.objects != NULL && bench.page != NULL &&
	    bench.cache != NULL) {
		uintptr_t eflags = cpu_read_eflags();
		cpu_cli();
		bench_kmalloc();
		bench_pages();
		cpu_write_eflags(eflags);
	} else {
		bench.failed++;
	}
	if (bench.cache != NULL) {
		loam_cache_destroy(&kernel.slabs, bench.cache);
	}
	kfree(bench.page);
	kfree(bench.objects);
	if (bench.failed > 0) {
		kprintf("%u operations got no memory: the rows above do not "
			"count\n",
			bench.failed);
		return -LOAM_ENOMEM;
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* A module that measures Linux's allocators as kernel/bench.c does Loam's. */

/*
 * Each row is the median of BENCH_SAMPLES windows between two readings of the
 * time-stamp counter, after one window that is thrown away and fills the
 * per-CPU layers. A window holds the operation once, or, for the rows per
 * object, BENCH_BULK times. Interrupts are off, but for vmalloc, which may
 * sleep. What an empty window costs is a row, and is not subtracted.
 *
 * Memory is asked for with GFP_ATOMIC, as code with interrupts off must; the
 * path that finds memory at once is the same as GFP_KERNEL's without the
 * question whether somebody else should run.
 *
 * The licence stays MIT's, which permits what the GPL asks for: Linux is told
 * "Dual MIT/GPL", since it lends some of its functions to such modules only.
 */

#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#define BENCH_SAMPLES 101u
#define BENCH_BULK 1000u

static struct {
	u32 samples[BENCH_SAMPLES];
	u32 freed[BENCH_SAMPLES];
	void **objects; /* BENCH_BULK of them */
	struct kmem_cache *cache;
	void *page;
	unsigned int failed; /* operations that got no memory */
} bench;

static int bench_compare(const void *a, const void *b)
{
	u32 x = *(const u32 *)a;
	u32 y = *(const u32 *)b;

	return (x > y) - (x < y);
}

/* Sorts the samples. A warning is what `loglevel=5` lets through. */
static void bench_row(const char *operation, u32 *samples)
{
	sort(samples, BENCH_SAMPLES, sizeof(*samples), bench_compare, NULL);
	pr_warn("bench: %-47s | %8u\n", operation, samples[BENCH_SAMPLES / 2]);
}

/* Measures `statement` and prints its row. */
#define BENCH(operation, statement)                                            \
	do {                                                                   \
		statement;                                                     \
		for (unsigned int n = 0; n < BENCH_SAMPLES; n++) {             \
			u64 start = rdtsc();                                   \
			statement;                                             \
			u64 end = rdtsc();                                     \
			bench.samples[n] = (u32)(end - start);                 \
		}                                                              \
		bench_row(operation, bench.samples);                           \
	} while (0)

static __always_inline void bench_kmalloc_pair(size_t size)
{
	void *block = kmalloc(size, GFP_ATOMIC);

	bench.failed += !block;
	kfree(block);
}

static __always_inline void bench_cache_pair(void)
{
	void *object = kmem_cache_alloc(bench.cache, GFP_ATOMIC);

	if (!object) {
		bench.failed++;
		return;
	}
	kmem_cache_free(bench.cache, object);
}

static __always_inline void bench_frame_pair(unsigned int order)
{
	struct page *page = alloc_pages(GFP_ATOMIC, order);

	if (!page) {
		bench.failed++;
		return;
	}
	__free_pages(page, order);
}

static __always_inline void bench_vmalloc_pair(void)
{
	void *block = vmalloc(SZ_64K);

	bench.failed += !block;
	vfree(block);
}

/* BENCH_BULK objects of one size, then back in reverse order. */
static void bench_bulk(const char *alloc_row, const char *free_row, size_t size)
{
	for (unsigned int n = 0; n < BENCH_SAMPLES; n++) {
		u64 start = rdtsc();
		for (unsigned int i = 0; i < BENCH_BULK; i++) {
			bench.objects[i] = kmalloc(size, GFP_ATOMIC);
		}
		u64 middle = rdtsc();
		bench.failed += !bench.objects[BENCH_BULK - 1];
		u64 again = rdtsc();
		for (unsigned int i = BENCH_BULK; i > 0; i--) {
			kfree(bench.objects[i - 1]);
		}
		u64 end = rdtsc();
		bench.samples[n] = (u32)(middle - start) / BENCH_BULK;
		bench.freed[n] = (u32)(end - again) / BENCH_BULK;
	}
	bench_row(alloc_row, bench.samples);
	bench_row(free_row, bench.freed);
}

static void bench_slabs(void)
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
	BENCH("cache alloc + free, 64 bytes, pair", bench_cache_pair());
}

static void bench_pages(void)
{
	BENCH("frame alloc + free, order 0, pair", bench_frame_pair(0));
	BENCH("frame alloc + free, order 3, pair", bench_frame_pair(3));
	BENCH("frame alloc + free, order 9, pair", bench_frame_pair(9));
	BENCH("clearing one 4 KiB page", clear_page(bench.page));
}

static void bench_all(void)
{
	unsigned long flags;

	local_irq_save(flags);
	bench_slabs();
	bench_pages();
	local_irq_restore(flags);
	BENCH("vmalloc + vfree, 64 KiB, pair", bench_vmalloc_pair());
}

static int __init bench_init(void)
{
	bench.objects =
		kmalloc_array(BENCH_BULK, sizeof(*bench.objects), GFP_KERNEL);
	bench.page = (void *)__get_free_page(GFP_KERNEL);
	bench.cache = kmem_cache_create("loam-bench-64", 64, 0, 0, NULL);
	if (bench.objects && bench.page && bench.cache) {
		bench_all();
	} else {
		bench.failed++;
	}
	kmem_cache_destroy(bench.cache);
	free_page((unsigned long)bench.page);
	kfree(bench.objects);
	if (bench.failed > 0) {
		pr_warn("loam_bench: %u operations got no memory: the rows "
			"above do not count\n",
			bench.failed);
		return -ENOMEM;
	}
	return 0;
}

static void __exit bench_exit(void)
{
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("Instructions of Linux's memory management");
MODULE_LICENSE("Dual MIT/GPL");

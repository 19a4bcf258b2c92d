/* SPDX-License-Identifier: MIT */
/* kmalloc over every policy: sizes, resizing, misuse, exhaustion, model. */
#include <loam/kmalloc.h>

#include "fixture.h"
#include "heap_fixture.h"

static struct fixture machine;
static struct loam_slabs slabs;
static struct loam_kmalloc km;

/* -------- what is behind the door -------- */

struct policy {
	const struct loam_heap_ops *ops; /* NULL: slabs */
	enum loam_heap_fit fit;
	bool list_frames; /* pages=xv6 */
};

static const struct policy slab_policy = { .ops = NULL };
static const struct policy *policy = &slab_policy;
static struct owner owner;
static struct loam_heap_owner heap_owner;
static struct loam_heap heap;

#define HEAP_PAGES 12288u /* 48 MiB */

/* A shadow for the slabs that needs no run of frames: pages=xv6 has none. */
static uint8_t shadow_bytes[LOAM_MIB(64) >> LOAM_SHADOW_SHIFT];

static void start_slabs(loam_phys_t memory)
{
	const struct loam_slab_shadow shadow = {
		.bytes = shadow_bytes,
		.covered = memory,
	};
	EXPECT(memory <= LOAM_MIB(64));
	memset(shadow_bytes, 0, sizeof(shadow_bytes));
	EXPECT(loam_frame_list_begin(&machine.frames, LOAM_MIB(4)) > 0);
	EXPECT(loam_frame_list_rest(&machine.frames) >= 0);
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, &shadow), 0);
}

static void start_heap(loam_phys_t memory)
{
	size_t pages = (size_t)(memory >> LOAM_PAGE_SHIFT);
	pages = pages < HEAP_PAGES ? pages : HEAP_PAGES;
	if (owner.window != NULL) {
		owner_fini(&owner);
	}
	owner_init(&owner, pages);
	heap_owner = owner_calls(&owner);
	const struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = pages * LOAM_PAGE_SIZE,
		.owner = &heap_owner,
		.fit = policy->fit,
	};
	EXPECT_EQ(loam_heap_create(&heap, policy->ops, &config), 0);
	const struct loam_kmalloc_heap_config use = {
		.heap = &heap,
	};
	EXPECT_EQ(loam_kmalloc_use_heap(&km, &use), 0);
	EXPECT_EQ(loam_kmalloc_use_heap(&km, &use), -LOAM_EINVAL);
}

static void start(loam_phys_t memory)
{
	fixture_frames(&machine, memory);
	if (policy->list_frames) {
		start_slabs(memory);
	} else {
		EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
	}
	EXPECT_EQ(loam_kmalloc_init(&km, &slabs, NULL), 0);
	if (policy->ops != NULL) {
		start_heap(memory);
	}
}

/* Largest size that the policy can serve without a window of addresses. */
static size_t most(void)
{
	return policy->list_frames ? LOAM_PAGE_SIZE : LOAM_KMALLOC_MAX;
}

static void run_with(const struct policy *with, void (*test)(void))
{
	policy = with;
	test();
	policy = &slab_policy;
}

#define POLICY_CASE(name, title, label, ...)                                   \
	TEST(name##_##label, title " (" #label ")")                            \
	{                                                                      \
		static const struct policy with = { __VA_ARGS__ };             \
		run_with(&with, each_##name);                                  \
	}

#define HEAP_CASE(name, title, label, design, how)                             \
	POLICY_CASE(name, title, label, .ops = &loam_heap_##design,            \
		    .fit = (how))

/* A test of the contract, once for each policy (X.1). */
#define EACH(name, title)                                                      \
	static void each_##name(void);                                         \
	POLICY_CASE(name, title, slab, .ops = NULL)                            \
	POLICY_CASE(name, title, xv6, .list_frames = true)                     \
	HEAP_CASE(name, title, bestfit, bestfit, LOAM_HEAP_FIRST_FIT)          \
	HEAP_CASE(name, title, list, list, LOAM_HEAP_FIRST_FIT)                \
	HEAP_CASE(name, title, list_next, list, LOAM_HEAP_NEXT_FIT)            \
	HEAP_CASE(name, title, list_best, list, LOAM_HEAP_BEST_FIT)            \
	HEAP_CASE(name, title, tlsf, tlsf, LOAM_HEAP_FIRST_FIT)                \
	HEAP_CASE(name, title, block, block, LOAM_HEAP_FIRST_FIT)              \
	HEAP_CASE(name, title, buddy, buddy, LOAM_HEAP_FIRST_FIT)              \
	HEAP_CASE(name, title, pages, pages, LOAM_HEAP_FIRST_FIT)              \
	static void each_##name(void)

static void check(void)
{
	EXPECT_EQ(loam_kmalloc_check(&km), 0);
	EXPECT_EQ(loam_slab_check(&slabs), 0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

/* Bytes in callers' hands. */
static uint64_t live_bytes(void)
{
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&km, &stats);
	return stats.slab_bytes + stats.heap_bytes + stats.large_bytes;
}

TEST(sizes, "S4.32 each size fits, is aligned, and wastes at most a quarter")
{
	start(LOAM_MIB(64));
	for (size_t size = 1; size <= LOAM_KMALLOC_SLAB_MAX; size++) {
		unsigned char *block = loam_kmalloc(&km, size, 0);
		EXPECT(block != NULL);
		EXPECT_EQ((uintptr_t)block % 16, 0);
		size_t usable = loam_ksize(&km, block);
		EXPECT(usable >= size);
		EXPECT(size < 64 || (usable - size) * 4 <= usable);
		block[0] = 1;
		block[usable - 1] = 1;
		loam_kfree(&km, block);
	}
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(powers, "S4.32 powers of two are aligned to themselves, up to a page")
{
	start(LOAM_MIB(64));
	for (size_t size = 16; size <= LOAM_MIB(4); size *= 2) {
		size_t align = size < 4096 ? size : 4096;
		for (unsigned i = 0; i < 3; i++) {
			char *block = loam_kmalloc(&km, size, 0);
			EXPECT(block != NULL);
			EXPECT_EQ((uintptr_t)block % align, 0);
		}
	}
	check();
}

EACH(edges, "X.1 S4.27 sizes 0 and near SIZE_MAX give NULL")
{
	start(LOAM_MIB(16));
	static const size_t bad[] = {
		0,           LOAM_KMALLOC_MAX + 1, 0x80000000u,  0xfffff000u,
		0xfffffff8u, SIZE_MAX - 4096,      SIZE_MAX - 8, SIZE_MAX - 1,
		SIZE_MAX,
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT(loam_kmalloc(&km, bad[i], 0) == NULL);
		EXPECT(loam_kzalloc(&km, bad[i], 0) == NULL);
		EXPECT(loam_kmalloc_aligned(&km, bad[i], 64, 0) == NULL);
		EXPECT(loam_kcalloc(&km, bad[i], 1, 0) == NULL);
	}
	EXPECT(loam_kcalloc(&km, SIZE_MAX / 2, 3, 0) == NULL);
	EXPECT(loam_kcalloc(&km, 0, 8, 0) == NULL);
	char *block = loam_kmalloc(&km, 100, 0);
	memset(block, 7, 100);
	EXPECT(loam_krealloc(&km, block, SIZE_MAX, 0) == NULL);
	EXPECT_EQ(block[99], 7); /* the old block is kept */
	loam_kfree(&km, block);
	loam_kfree(&km, NULL);
	EXPECT_EQ(loam_ksize(&km, NULL), 0);
	EXPECT_EQ(live_bytes(), 0);
	EXPECT(!hosted_log_contains("loam:"));
	check();
}

EACH(bad_align, "S4.32 kmalloc_aligned honours or refuses every alignment")
{
	start(LOAM_MIB(64));
	for (size_t align = 1; align <= LOAM_MIB(4); align *= 2) {
		static const size_t sizes[] = { 1, 100, 5000, 70000 };
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
			if (sizes[i] > most() || align > most()) {
				continue;
			}
			void *block =
				loam_kmalloc_aligned(&km, sizes[i], align, 0);
			EXPECT(block != NULL);
			EXPECT_EQ((uintptr_t)block % align, 0);
			EXPECT(loam_ksize(&km, block) >= sizes[i]);
			loam_kfree(&km, block);
		}
		EXPECT(align < 4 ||
		       loam_kmalloc_aligned(&km, 8, align - 1, 0) == NULL);
	}
	EXPECT(loam_kmalloc_aligned(&km, 8, 0, 0) == NULL);
	EXPECT(loam_kmalloc_aligned(&km, 8, LOAM_MIB(8), 0) == NULL);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

static bool all_zero(const unsigned char *block, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (block[i] != 0) {
			return false;
		}
	}
	return true;
}

EACH(zeroed, "X.1 S3.20 kzalloc clears the whole block, reused or not")
{
	start(LOAM_MIB(64));
	for (size_t size = 1; size < 40000 && size <= most();
	     size = size * 3 + 1) {
		unsigned char *block = loam_kmalloc(&km, size, 0);
		memset(block, 0xff, loam_ksize(&km, block));
		loam_kfree(&km, block);
		block = loam_kzalloc(&km, size, 0);
		EXPECT(all_zero(block, loam_ksize(&km, block)));
		memset(block, 0xff, size);
		loam_kfree(&km, block);
		block = loam_kcalloc(&km, size, 1, 0);
		EXPECT(all_zero(block, size));
		loam_kfree(&km, block);
	}
	check();
}

EACH(dma, "S4.32 LOAM_DMA gives low, contiguous memory of any size")
{
	start(LOAM_MIB(64));
	static const size_t sizes[] = { 1, 512, 8192, 65536, 270000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes) && sizes[i] <= most();
	     i++) {
		unsigned char *block = loam_kmalloc(&km, sizes[i], LOAM_DMA);
		EXPECT(block != NULL);
		EXPECT((size_t)(block - hosted_memory.direct) + sizes[i] <=
		       LOAM_MIB(16));
		loam_kfree(&km, block);
	}
	check();
}

EACH(realloc_moves, "krealloc keeps contents growing and shrinking")
{
	start(LOAM_MIB(64));
	unsigned char *block = loam_krealloc(&km, NULL, 1, 0);
	block[0] = 0;
	size_t size = 1;
	uint64_t random = 77;
	for (unsigned step = 0; step < 3000; step++) {
		size_t next = 1 + (size_t)(hosted_random(&random) >> 40) %
					  (step % 10 == 0 ? 270000 : 9000);
		next = next < most() ? next : most();
		block = loam_krealloc(&km, block, next, 0);
		EXPECT(block != NULL);
		size_t kept = size < next ? size : next;
		for (size_t i = 0; i < kept; i += i < 64 ? 1 : 97) {
			EXPECT_EQ(block[i], (unsigned char)i);
		}
		for (size_t i = 0; i < next; i++) {
			block[i] = (unsigned char)i;
		}
		size = next;
	}
	EXPECT(loam_krealloc(&km, block, 0, 0) == NULL);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(realloc_stays, "krealloc makes a large block larger where it lies")
{
	start(LOAM_MIB(64));
	struct loam_kmalloc_stats stats;
	unsigned stayed = 0;
	unsigned char *block = loam_kmalloc(&km, 65536, 0);
	memset(block, 0x5c, 65536);
	for (size_t size = 131072; size <= LOAM_MIB(4); size *= 2) {
		size_t at = (size_t)(block - hosted_memory.direct);
		memset(hosted_memory.direct + at, 0x5c, size / 2);
		unsigned char *now =
			loam_krealloc(&km, block, size - 1, LOAM_ZERO);
		EXPECT(now != NULL);
		/* It starts at a multiple of what it becomes, or moves. */
		EXPECT(at % size == 0 || now != block);
		stayed += now == block;
		EXPECT_EQ(now[0], 0x5c);
		EXPECT_EQ(now[size / 2 - 1], 0x5c);
		EXPECT_EQ(now[size / 2], 0);
		EXPECT_EQ(now[size - 1], 0);
		EXPECT_EQ(loam_ksize(&km, now), size);
		loam_kmalloc_stats(&km, &stats);
		EXPECT_EQ(stats.large_blocks, 1);
		EXPECT_EQ(stats.large_bytes, size);
		check();
		block = now;
	}
	EXPECT(stayed >= 3);
	/* Not over what is used: a wall behind its first half. */
	loam_kfree(&km, block);
	block = loam_kmalloc(&km, 65536, 0);
	unsigned char *wall = loam_kmalloc(&km, 65536, 0);
	EXPECT(wall == block + 65536);
	unsigned char *moved = loam_krealloc(&km, block, 131072, 0);
	EXPECT(moved != NULL && moved != block);
	loam_kfree(&km, wall);
	loam_kfree(&km, moved);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

EACH(realloc_fails, "krealloc keeps the old block when memory runs out")
{
	start(LOAM_MIB(8));
	unsigned char *block = loam_kmalloc(&km, 4000, 0);
	memset(block, 0x5c, 4000);
	EXPECT(loam_krealloc(&km, block, LOAM_MIB(8), 0) == NULL);
	EXPECT_EQ(block[3999], 0x5c);
	loam_kmalloc_fail_nth(&km, 1);
	EXPECT(loam_krealloc(&km, block, 100000, 0) == NULL);
	EXPECT_EQ(block[3999], 0x5c);
	loam_kmalloc_fail_nth(&km, 1);
	EXPECT(loam_krealloc(&km, block, 10, 0) == block); /* shrinks */
	loam_kmalloc_fail_nth(&km, 0);
	loam_kfree(&km, block);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

/* -------- misuse -------- */

static bool kmalloc_is_heaps(const void *block)
{
	return policy->ops != NULL &&
	       (uintptr_t)block - (uintptr_t)heap.start < heap.size_bytes;
}

static void bad_free(void *block, const char *message)
{
	uint64_t before = live_bytes();
	uint64_t free_before = loam_frame_free_count(&machine.frames);
	hosted_log_clear();
	loam_kfree(&km, block);
	EXPECT_LOG(message);
	EXPECT_LOG("called from");
	EXPECT_EQ(live_bytes(), before);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), free_before);
	EXPECT_EQ(loam_ksize(&km, block), 0);
	EXPECT(loam_krealloc(&km, block, 10, 0) == NULL);
	check();
}

EACH(misuse_double, "misuse: double frees of every kind of block")
{
	static const size_t sizes[] = { 8, 100, 8192, 20000, 65536, 300000 };
	start(LOAM_MIB(32));
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes) && sizes[i] <= most();
	     i++) {
		char *block = loam_kmalloc(&km, sizes[i], 0);
		loam_kfree(&km, block);
		/* A classic heap says it in its own words. */
		bool heaps = kmalloc_is_heaps(block);
		bad_free(block, heaps ? ": free of" : "double free of");
	}
}

TEST(misuse_interior, "misuse: interior pointers of every kind of block")
{
	static const size_t sizes[] = { 8, 100, 8192, 20000, 65536, 300000 };
	start(LOAM_MIB(32));
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		char *block = loam_kmalloc(&km, sizes[i], 0);
		bad_free(block + 1, "interior free of");
		bad_free(block + sizes[i] / 2, "interior free of");
		bad_free(block + sizes[i] - 1, "interior free of");
		if (sizes[i] > 8192) {
			bad_free(block + 4096, "interior free of");
		}
		loam_kfree(&km, block);
	}
	EXPECT_EQ(live_bytes(), 0);
}

TEST(misuse_foreign, "misuse: frames of others, free frames, no memory")
{
	start(LOAM_MIB(32));
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 2,
					  LOAM_OWNED_BY(LOAM_OWNER_STACK));
	char *page = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	bad_free(page, "foreign free of");
	EXPECT_LOG("stack, in a block of 4 frames");
	bad_free(page + 4096, "foreign free of");
	bad_free(&km, "wild free of");
	bad_free((void *)(uintptr_t)16, "wild free of");
	bad_free((void *)UINTPTR_MAX, "wild free of");
}

TEST(misuse_referenced, "misuse: a block whose frames somebody still holds")
{
	start(LOAM_MIB(32));
	char *block = loam_kmalloc(&km, 65536, 0);
	loam_pfn_t pfn =
		loam_phys_to_pfn((loam_phys_t)(block - (char *)slabs.direct));
	uint64_t before = live_bytes();
	loam_frame_get(&machine.frames, pfn);
	hosted_log_clear();
	loam_kfree(&km, block);
	EXPECT_LOG("early free of");
	EXPECT_EQ(live_bytes(), before);
	loam_frame_put(&machine.frames, pfn);
	loam_kfree(&km, block);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(realloc_dma, "krealloc moves a block to where LOAM_DMA wants it")
{
	start(LOAM_MIB(64));
	unsigned char *block = loam_kmalloc(&km, 3000, 0);
	EXPECT((size_t)(block - hosted_memory.direct) > LOAM_MIB(16));
	block[2999] = 0x77;
	block = loam_krealloc(&km, block, 3000, LOAM_DMA);
	EXPECT((size_t)(block - hosted_memory.direct) < LOAM_MIB(16));
	EXPECT_EQ(block[2999], 0x77);
	EXPECT(loam_krealloc(&km, block, 3000, LOAM_DMA) == block);
	loam_kfree(&km, block);
	check();
}

TEST(check_sizes, "check() sees a class that is too small for its sizes")
{
	start(LOAM_MIB(16));
	uint8_t right = km.class_of[LOAM_KMALLOC_SLAB_MAX / 16];
	km.class_of[LOAM_KMALLOC_SLAB_MAX / 16] = km.class_of[1];
	EXPECT_EQ(loam_kmalloc_check(&km), -LOAM_EFAULT);
	km.class_of[LOAM_KMALLOC_SLAB_MAX / 16] = right;
	check();
}

/* -------- running out -------- */

EACH(exhaustion, "S4.27 X.9 exhaustion at each size is NULL and recovered")
{
	static const size_t sizes[] = { 16, 700, 4096, 10000, 65536 };
	start(LOAM_MIB(4));
	static void *block[270000];
	unsigned rounds = 0;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes) && sizes[i] <= most();
	     i++) {
		size_t count = 0;
		rounds++;
		while (count < 270000) {
			block[count] = loam_kmalloc(&km, sizes[i], 0);
			if (block[count] == NULL) {
				break;
			}
			count++;
		}
		bool pages = policy->ops == &loam_heap_block ||
			     policy->ops == &loam_heap_buddy ||
			     policy->ops == &loam_heap_pages;
		EXPECT(pages || count * sizes[i] > LOAM_MIB(1));
		EXPECT(count > 10);
		EXPECT(count < 270000);
		while (count > 0) {
			loam_kfree(&km, block[--count]);
		}
		EXPECT_EQ(live_bytes(), 0);
		loam_kmalloc_shrink(&km);
	}
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&km, &stats);
	EXPECT_EQ(stats.failed, rounds);
	check();
}

EACH(nth_frame, "S4.27 failing the nth frame of any size rolls back")
{
	static const size_t sizes[] = { 30, 3000, 8192, 9000, 65536 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes) && sizes[i] <= most();
	     i++) {
		for (unsigned nth = 1;; nth++) {
			start(LOAM_MIB(16));
			loam_frame_fail_nth(&machine.frames, nth);
			void *block = loam_kmalloc(&km, sizes[i], 0);
			uint64_t counted =
				loam_frame_fail_nth(&machine.frames, 0);
			check();
			EXPECT_EQ(live_bytes() == 0, block == NULL);
			loam_kfree(&km, block);
			EXPECT_EQ(live_bytes(), 0);
			if (counted < nth) {
				break;
			}
		}
	}
}

TEST(init_fails, "S4.27 kmalloc_init undoes itself when memory runs out")
{
	for (unsigned nth = 1;; nth++) {
		fixture_frames(&machine, LOAM_MIB(16));
		EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
		uint64_t before = loam_frame_free_count(&machine.frames);
		loam_frame_fail_nth(&machine.frames, nth);
		int error = loam_kmalloc_init(&km, &slabs, NULL);
		loam_frame_fail_nth(&machine.frames, 0);
		if (error == 0) {
			EXPECT(nth > 2);
			break;
		}
		EXPECT_EQ(error, -LOAM_ENOMEM);
		EXPECT_EQ(loam_frame_free_count(&machine.frames), before);
		EXPECT_EQ(loam_slab_check(&slabs), 0);
	}
}

EACH(fail_nth, "fault injection fails exactly the nth call")
{
	start(LOAM_MIB(16));
	loam_kmalloc_fail_nth(&km, 3);
	void *a = loam_kmalloc(&km, 10, 0);
	void *b = loam_kmalloc(&km, most() < 20000 ? most() : 20000, 0);
	EXPECT(a != NULL && b != NULL);
	EXPECT(loam_kmalloc(&km, 10, 0) == NULL);
	EXPECT(loam_kmalloc(&km, 10, 0) != NULL);
	EXPECT_EQ(loam_kmalloc_fail_nth(&km, 0), 3);
	check();
}

/* -------- a model -------- */

#define MODEL_LIVE 300u

EACH(model, "X.1 X.5 X.9 random operations agree with a model")
{
	static struct {
		unsigned char *block;
		size_t size;
		unsigned char fill;
	} item[MODEL_LIVE];
	uint64_t random = 4711;
	start(LOAM_MIB(64));
	unsigned count = 0;
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t r = hosted_random(&random);
		unsigned kind = (unsigned)r % 16;
		if (count < MODEL_LIVE && (kind < 7 || count == 0)) {
			/* Log-uniform from 1 to 64 KiB. */
			unsigned bits =
				(unsigned)(r >> 8) % (most() > 65536 ? 17 : 13);
			size_t size = 1 + (size_t)(r >> 16) % (1u << bits);
			unsigned char *block =
				kind == 0 ? loam_kzalloc(&km, size, 0)
					  : loam_kmalloc(&km, size, 0);
			EXPECT(block != NULL);
			EXPECT(kind != 0 || all_zero(block, size));
			item[count].block = block;
			item[count].size = size;
			item[count].fill = (unsigned char)(r >> 40);
			memset(block, item[count].fill, size);
			count++;
		} else {
			unsigned n = (unsigned)(r >> 8) % count;
			unsigned char *block = item[n].block;
			EXPECT_EQ(block[0], item[n].fill);
			EXPECT_EQ(block[item[n].size - 1], item[n].fill);
			EXPECT_EQ(block[item[n].size / 2], item[n].fill);
			if (kind == 15) {
				size_t size = 1 + (size_t)(r >> 16) % 20000;
				size = size < most() ? size : most();
				block = loam_krealloc(&km, block, size, 0);
				EXPECT(block != NULL);
				EXPECT_EQ(block[0], item[n].fill);
				memset(block, item[n].fill, size);
				item[n].block = block;
				item[n].size = size;
			} else {
				loam_kfree(&km, block);
				item[n] = item[--count];
			}
		}
		if (step % 128 == 0) {
			check();
		}
		if (step % 5003 == 0) {
			loam_kmalloc_shrink(&km);
		}
	}
	while (count > 0) {
		loam_kfree(&km, item[--count].block);
	}
	EXPECT_EQ(live_bytes(), 0);
	check();
}

/* -------- what only a classic heap has -------- */

#define ON_HEAP(design)                                                        \
	static const struct policy with = { .ops = &loam_heap_##design };      \
	policy = &with;                                                        \
	start(LOAM_MIB(32));                                                   \
	policy = &slab_policy

TEST(heap_and_slabs, "X.1 with a heap, objects of caches and DMA blocks too")
{
	ON_HEAP(bestfit);
	char *block = loam_kmalloc(&km, 100, 0);
	EXPECT((size_t)(block - (char *)heap.start) < heap.size_bytes);
	struct loam_cache *cache =
		loam_cache_create(&slabs, "objects", 100, 0, 0, NULL);
	void *object = loam_cache_alloc(&slabs, cache, 0);
	EXPECT(object != NULL);
	EXPECT_EQ(loam_ksize(&km, object), 100);
	loam_kfree(&km, object);
	EXPECT_EQ(loam_cache_destroy(&slabs, cache), 0);
	char *low = loam_krealloc(&km, block, 100, LOAM_DMA);
	EXPECT((size_t)(low - (char *)hosted_memory.direct) < LOAM_MIB(16));
	EXPECT_EQ(heap.live_blocks, 0);
	loam_kfree(&km, low);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(heap_stays, "X.1 blocks from before the heap was picked are freed as ever")
{
	fixture_frames(&machine, LOAM_MIB(32));
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
	EXPECT_EQ(loam_kmalloc_init(&km, &slabs, NULL), 0);
	char *small = loam_kmalloc(&km, 100, 0);
	char *large = loam_kmalloc(&km, 65536, 0);
	static const struct policy with = { .ops = &loam_heap_tlsf };
	policy = &with;
	start_heap(LOAM_MIB(16));
	policy = &slab_policy;
	small[99] = 7;
	small = loam_krealloc(&km, small, 5000, 0); /* into the heap */
	EXPECT_EQ(small[99], 7);
	EXPECT_EQ(heap.live_blocks, 1);
	loam_kfree(&km, small);
	loam_kfree(&km, large);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(heap_most, "S2.13 sizes above a page go past a heap of pages")
{
	ON_HEAP(pages);
	void *page = loam_kmalloc(&km, LOAM_PAGE_SIZE, 0);
	EXPECT_EQ(heap.live_blocks, 1);
	void *more = loam_kmalloc(&km, LOAM_PAGE_SIZE + 1, 0);
	void *large = loam_kmalloc(&km, 100000, 0);
	EXPECT(page != NULL && more != NULL && large != NULL);
	EXPECT_EQ(heap.live_blocks, 1);
	page = loam_krealloc(&km, page, 20000, 0);
	EXPECT_EQ(heap.live_blocks, 0);
	page = loam_krealloc(&km, page, 20, 0);
	EXPECT_EQ(heap.live_blocks, 1);
	loam_kfree(&km, page);
	loam_kfree(&km, more);
	loam_kfree(&km, large);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(heap_shifted, "S0.22 aligned blocks in a heap: sized, resized, freed")
{
	ON_HEAP(list);
	char *plain = loam_kmalloc(&km, 40, 0);
	for (size_t align = 32; align <= LOAM_KIB(64); align *= 2) {
		unsigned char *block =
			loam_kmalloc_aligned(&km, 300, align, LOAM_ZERO);
		EXPECT(block != NULL && (uintptr_t)block % align == 0);
		EXPECT(all_zero(block, loam_ksize(&km, block)));
		memset(block, 0x42, 300);
		block = loam_krealloc(&km, block, 290, 0);
		EXPECT_EQ(block[289], 0x42);
		memset(block, 0x42, 300);
		block = loam_krealloc(&km, block, 3000, LOAM_ZERO);
		EXPECT_EQ(block[299], 0x42);
		EXPECT_EQ(block[2999], 0);
		loam_kfree(&km, block);
		EXPECT_EQ(km.heap_shifted, 0);
	}
	EXPECT_EQ(loam_ksize(&km, plain) >= 40, 1);
	EXPECT_EQ(heap.live_blocks, 1);
	loam_kfree(&km, plain);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(heap_shift_misuse, "S0.32 misuse: aligned blocks of a heap freed wrongly")
{
	ON_HEAP(tlsf);
	char *other = loam_kmalloc_aligned(&km, 64, 4096, 0);
	char *block = loam_kmalloc_aligned(&km, 500, 1024, 0);
	char *end = loam_kmalloc(&km, 64, 0);
	bad_free(block + 32, ": free of");
	bad_free(block - 16, ": free of");
	/* A record that was copied elsewhere is none. */
	memcpy(block + 96, block - 16, 16);
	bad_free(block + 112, ": free of");
	loam_kfree(&km, block);
	bad_free(block, ": free of"); /* a second time: the record is gone */
	EXPECT_EQ(km.heap_shifted, 1);
	loam_kfree(&km, other);
	loam_kfree(&km, end);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

TEST(heap_no_page,
     "S0.32 misuse: an aligned address in a page that is not there")
{
	ON_HEAP(bestfit);
	bad_free((char *)heap.start + LOAM_MIB(8), ": free of");
	bad_free(heap.start, ": free of");
	bad_free(heap.start + 8, ": free of");
}

TEST(heap_describe, "X.9 an address in a heap is described by its block")
{
	char what[160];
	ON_HEAP(bestfit);
	char *first = loam_kmalloc(&km, 100, 0);
	char *second = loam_kmalloc(&km, 100, 0);
	loam_kmalloc_describe(&km, first, what, sizeof(what));
	EXPECT(strstr(what, "live block of ") == what);
	loam_kmalloc_describe(&km, first + 1, what, sizeof(what));
	EXPECT(strstr(what, "inside live block of ") == what);
	loam_kmalloc_describe(&km, second - 1, what, sizeof(what));
	EXPECT(strstr(what, "header of live block") == what);
	loam_kfree(&km, first);
	loam_kmalloc_describe(&km, first, what, sizeof(what));
	EXPECT(strstr(what, "free block of ") == what);
	EXPECT(strstr(what, "of the bestfit heap") != NULL);
	loam_kmalloc_describe(&km, heap.start + LOAM_MIB(8), what,
			      sizeof(what));
	EXPECT(strstr(what, "no block of the bestfit heap") == what);
}

TEST(heap_check, "X.5 check() sees a heap whose header was written over")
{
	ON_HEAP(list);
	char *first = loam_kmalloc(&km, 64, 0);
	char *second = loam_kmalloc(&km, 64, 0);
	check();
	unsigned char saved[16];
	memcpy(saved, second - 16, 16);
	memset(first + 64, 0xEE, (size_t)(second - first) - 64);
	EXPECT_EQ(loam_kmalloc_check(&km), -LOAM_EFAULT);
	memcpy(second - 16, saved, 16);
	check();
}

TEST(heap_lock, "X.8 one lock around each call, and none is left")
{
	ON_HEAP(bestfit);
	unsigned long before = hosted_locks_taken;
	void *block = loam_kmalloc(&km, 64, 0);
	EXPECT_EQ(hosted_locks_taken, before + 1);
	loam_kfree(&km, block);
	EXPECT_EQ(loam_lock_ranks(), 0);
	EXPECT(!loam_lock_held(&km.heap_lock) || !LOAM_DEBUG);
}

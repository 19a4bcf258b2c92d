/* SPDX-License-Identifier: MIT */
/* kmalloc over slabs and frames: sizes, resizing, misuse, exhaustion, model. */
#include <loam/kmalloc.h>

#include "fixture.h"

static struct fixture machine;
static struct loam_slabs slabs;
static struct loam_kmalloc km;

static void start(loam_phys_t memory)
{
	fixture_frames(&machine, memory);
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
	EXPECT_EQ(loam_kmalloc_init(&km, &slabs, NULL), 0);
}

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
	return stats.slab_bytes + stats.large_bytes;
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

TEST(edges, "S4.27 sizes 0 and near SIZE_MAX give NULL")
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

TEST(bad_align, "S4.32 kmalloc_aligned honours or refuses every alignment")
{
	start(LOAM_MIB(64));
	for (size_t align = 1; align <= LOAM_MIB(4); align *= 2) {
		static const size_t sizes[] = { 1, 100, 5000, 70000 };
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
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

TEST(zeroed, "S3.20 kzalloc clears the whole block, reused or not")
{
	start(LOAM_MIB(64));
	for (size_t size = 1; size < 40000; size = size * 3 + 1) {
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

TEST(dma, "S4.32 LOAM_DMA gives low, contiguous memory of any size")
{
	start(LOAM_MIB(64));
	static const size_t sizes[] = { 1, 512, 8192, 65536, 270000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		unsigned char *block = loam_kmalloc(&km, sizes[i], LOAM_DMA);
		EXPECT(block != NULL);
		EXPECT((size_t)(block - hosted_memory.direct) + sizes[i] <=
		       LOAM_MIB(16));
		loam_kfree(&km, block);
	}
	check();
}

TEST(realloc_moves, "krealloc keeps contents growing and shrinking")
{
	start(LOAM_MIB(64));
	unsigned char *block = loam_krealloc(&km, NULL, 1, 0);
	block[0] = 0;
	size_t size = 1;
	uint64_t random = 77;
	for (unsigned step = 0; step < 3000; step++) {
		size_t next = 1 + (size_t)(hosted_random(&random) >> 40) %
					  (step % 10 == 0 ? 270000 : 9000);
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

TEST(realloc_fails, "krealloc keeps the old block when memory runs out")
{
	start(LOAM_MIB(8));
	unsigned char *block = loam_kmalloc(&km, 5000, 0);
	memset(block, 0x5c, 5000);
	EXPECT(loam_krealloc(&km, block, LOAM_MIB(8), 0) == NULL);
	EXPECT_EQ(block[4999], 0x5c);
	loam_kmalloc_fail_nth(&km, 1);
	EXPECT(loam_krealloc(&km, block, 100000, 0) == NULL);
	EXPECT_EQ(block[4999], 0x5c);
	loam_kmalloc_fail_nth(&km, 1);
	EXPECT(loam_krealloc(&km, block, 10, 0) == block); /* shrinks */
	loam_kmalloc_fail_nth(&km, 0);
	loam_kfree(&km, block);
	EXPECT_EQ(live_bytes(), 0);
	check();
}

/* -------- misuse -------- */

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

TEST(misuse_double, "misuse: double frees of every kind of block")
{
	static const size_t sizes[] = { 8, 100, 8192, 20000, 65536, 300000 };
	start(LOAM_MIB(32));
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		char *block = loam_kmalloc(&km, sizes[i], 0);
		loam_kfree(&km, block);
		bad_free(block, "double free of");
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

TEST(exhaustion, "S4.27 X.9 exhaustion at each size is NULL and recovered")
{
	static const size_t sizes[] = { 16, 700, 4096, 10000, 65536 };
	start(LOAM_MIB(4));
	static void *block[270000];
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		size_t count = 0;
		while (count < 270000) {
			block[count] = loam_kmalloc(&km, sizes[i], 0);
			if (block[count] == NULL) {
				break;
			}
			count++;
		}
		EXPECT(count * sizes[i] > LOAM_MIB(2));
		EXPECT(count < 270000);
		while (count > 0) {
			loam_kfree(&km, block[--count]);
		}
		EXPECT_EQ(live_bytes(), 0);
		loam_kmalloc_shrink(&km);
	}
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&km, &stats);
	EXPECT_EQ(stats.failed, LOAM_ARRAY_SIZE(sizes));
	check();
}

TEST(nth_frame, "S4.27 failing the nth frame of any size rolls back")
{
	static const size_t sizes[] = { 30, 3000, 8192, 9000, 65536 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
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

TEST(fail_nth, "fault injection fails exactly the nth call")
{
	start(LOAM_MIB(16));
	loam_kmalloc_fail_nth(&km, 3);
	void *a = loam_kmalloc(&km, 10, 0);
	void *b = loam_kmalloc(&km, 20000, 0);
	EXPECT(a != NULL && b != NULL);
	EXPECT(loam_kmalloc(&km, 10, 0) == NULL);
	EXPECT(loam_kmalloc(&km, 10, 0) != NULL);
	EXPECT_EQ(loam_kmalloc_fail_nth(&km, 0), 3);
	check();
}

/* -------- a model -------- */

#define MODEL_LIVE 300u

TEST(model, "X.5 X.9 random operations agree with a model")
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
			unsigned bits = (unsigned)(r >> 8) % 17;
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

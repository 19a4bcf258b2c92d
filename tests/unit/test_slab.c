/* SPDX-License-Identifier: MIT */
/* Slab caches: layout, layers, debugging, misuse, exhaustion, a model. */
#include <loam/slab.h>

#include "fixture.h"

static struct fixture machine;
static struct loam_slabs slabs;

static void start(loam_phys_t memory)
{
	fixture_frames(&machine, memory);
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
}

static struct loam_cache *make(size_t size, size_t align, uint32_t flags)
{
	struct loam_cache *cache =
		loam_cache_create(&slabs, "test", size, align, flags, NULL);
	EXPECT(cache != NULL);
	return cache;
}

static struct loam_cache_stats stats_of(struct loam_cache *cache)
{
	struct loam_cache_stats stats;
	loam_cache_stats(&slabs, cache, &stats);
	return stats;
}

static void check(void)
{
	EXPECT_EQ(loam_slab_check(&slabs), 0);
}

TEST(alignment, "S4.32 objects of 1 to 8192 bytes are aligned and apart")
{
	start(LOAM_MIB(32));
	for (size_t size = 1; size <= 8192; size += size < 300 ? 1 : 509) {
		struct loam_cache *cache = make(size, 0, LOAM_CACHE_NO_MERGE);
		unsigned char *object[40];
		size_t align = 16;
		for (unsigned i = 0; i < 40; i++) {
			object[i] = loam_cache_alloc(&slabs, cache, 0);
			EXPECT(object[i] != NULL);
			EXPECT_EQ((uintptr_t)object[i] % align, 0);
			memset(object[i], (int)i + 1, size);
		}
		for (unsigned i = 0; i < 40; i++) {
			EXPECT_EQ(object[i][0], i + 1);
			EXPECT_EQ(object[i][size - 1], i + 1);
			loam_cache_free(&slabs, cache, object[i]);
		}
		EXPECT_EQ(loam_cache_destroy(&slabs, cache), 0);
	}
	check();
	EXPECT(!hosted_log_contains("loam:"));
}

TEST(natural, "S4.32 alignments up to a page hold for each object")
{
	start(LOAM_MIB(32));
	for (size_t align = 8; align <= 4096; align *= 2) {
		struct loam_cache *cache = make(24, align, LOAM_CACHE_NO_MERGE);
		for (unsigned i = 0; i < 50; i++) {
			void *object = loam_cache_alloc(&slabs, cache, 0);
			EXPECT_EQ((uintptr_t)object % align, 0);
		}
	}
	check();
}

TEST(lists, "S4.32 slabs move between the lists, empty ones go back")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(512, 0, LOAM_CACHE_NO_MAGAZINE);
	uint64_t before = loam_frame_free_count(&machine.frames);
	void *object[64];
	for (unsigned i = 0; i < 64; i++) {
		object[i] = loam_cache_alloc(&slabs, cache, 0);
		check();
	}
	struct loam_cache_stats stats = stats_of(cache);
	EXPECT_EQ(stats.live, 64);
	EXPECT_EQ(stats.slabs, 64 / stats.objects_per_slab);
	EXPECT_EQ(stats.free, 0);
	for (unsigned i = 0; i < 64; i++) {
		loam_cache_free(&slabs, cache, object[i]);
		check();
	}
	EXPECT(loam_cache_shrink(&slabs, cache) > 0);
	EXPECT_EQ(stats_of(cache).slabs, 0);
	/* What is left is the descriptors' page. */
	EXPECT(loam_frame_free_count(&machine.frames) + 1 >= before);
}

TEST(order, "S4.32 a refill hands objects out in address order")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(64, 0, LOAM_CACHE_NO_MERGE);
	char *last = loam_cache_alloc(&slabs, cache, 0);
	for (unsigned i = 0; i < 29; i++) {
		char *next = loam_cache_alloc(&slabs, cache, 0);
		EXPECT(next == last + 64);
		last = next;
	}
}

TEST(lifo, "S4.32 the object freed last is handed out next")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(100, 0, LOAM_CACHE_NO_MERGE);
	void *a = loam_cache_alloc(&slabs, cache, 0);
	void *b = loam_cache_alloc(&slabs, cache, 0);
	loam_cache_free(&slabs, cache, a);
	loam_cache_free(&slabs, cache, b);
	EXPECT(loam_cache_alloc(&slabs, cache, 0) == b);
	EXPECT(loam_cache_alloc(&slabs, cache, 0) == a);
}

TEST(arguments, "S4.32 bad arguments of a cache are refused")
{
	start(LOAM_MIB(16));
	EXPECT(loam_cache_create(&slabs, "x", 0, 0, 0, NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, NULL, 8, 0, 0, NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, "x", LOAM_SLAB_MAX_OBJECT + 1, 0, 0,
				 NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, "x", SIZE_MAX, 0, 0, NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, "x", 8, 3, 0, NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, "x", 8, 8192, 0, NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, "x", 8, 0, 0x8000, NULL) == NULL);
	EXPECT(loam_cache_create(&slabs, "x", LOAM_SLAB_MAX_OBJECT, 0, 0,
				 NULL) != NULL);
}

TEST(too_many, "S4.32 one cache too many is refused, and a place reused")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache[LOAM_CACHE_MAX];
	for (unsigned i = 1; i < LOAM_CACHE_MAX; i++) {
		cache[i] = make(32, 0, LOAM_CACHE_NO_MERGE);
	}
	EXPECT(loam_cache_create(&slabs, "x", 8, 0, LOAM_CACHE_NO_MERGE,
				 NULL) == NULL);
	EXPECT_EQ(loam_cache_destroy(&slabs, cache[7]), 0);
	cache[7] = make(48, 0, LOAM_CACHE_NO_MERGE);
	EXPECT_EQ(loam_cache_index(cache[7]), 7);
	check();
}

TEST(merge, "S4.32 like caches share one, unlike ones do not")
{
	start(LOAM_MIB(16));
	struct loam_cache *a = make(40, 0, 0);
	EXPECT(make(40, 0, 0) == a);
	EXPECT(make(40, 64, 0) != a);
	EXPECT(make(40, 0, LOAM_CACHE_NO_MERGE) != a);
	EXPECT(make(40, 0, LOAM_CACHE_POISON) != a);
	EXPECT(make(48, 0, 0) != a);
	void *object = loam_cache_alloc(&slabs, a, 0);
	EXPECT_EQ(loam_cache_destroy(&slabs, a), 0); /* one user is left */
	loam_cache_free(&slabs, a, object);
	EXPECT_EQ(loam_cache_destroy(&slabs, a), 0);
	check();
}

static unsigned constructed;
static void construct(void *object)
{
	constructed++;
	memset(object, 0x42, 56);
}

TEST(constructor, "S4.32 constructors run once an object, state survives")
{
	start(LOAM_MIB(16));
	constructed = 0;
	struct loam_cache *cache =
		loam_cache_create(&slabs, "built", 56, 0, 0, construct);
	unsigned char *object = loam_cache_alloc(&slabs, cache, 0);
	unsigned made = constructed;
	EXPECT_EQ(made, stats_of(cache).objects_per_slab);
	EXPECT_EQ(object[0], 0x42);
	object[55] = 7;
	loam_cache_free(&slabs, cache, object);
	EXPECT(loam_cache_alloc(&slabs, cache, 0) == object);
	EXPECT_EQ(object[55], 7);
	EXPECT_EQ(constructed, made);
	EXPECT(loam_cache_alloc(&slabs, cache, LOAM_ZERO) == NULL);
	EXPECT_LOG("cannot give zeroed objects");
}

TEST(flags, "S4.32 zeroed and DMA objects")
{
	start(LOAM_MIB(64));
	struct loam_cache *cache = make(200, 0, LOAM_CACHE_NO_MERGE);
	unsigned char *object = loam_cache_alloc(&slabs, cache, 0);
	memset(object, 0xff, 200);
	loam_cache_free(&slabs, cache, object);
	EXPECT(loam_cache_alloc(&slabs, cache, LOAM_ZERO) == object);
	for (unsigned i = 0; i < 200; i++) {
		EXPECT_EQ(object[i], 0);
	}
	EXPECT(loam_cache_alloc(&slabs, cache, LOAM_DMA) == NULL);
	EXPECT_LOG("cannot give DMA objects");
	struct loam_cache *dma = make(200, 0, LOAM_CACHE_DMA);
	unsigned char *low = loam_cache_alloc(&slabs, dma, LOAM_DMA);
	EXPECT(low != NULL);
	EXPECT((size_t)(low - hosted_memory.direct) < LOAM_MIB(16));
	check();
}

/* -------- misuse: reported, and nothing changed -------- */

static struct loam_cache *victim;
static void *live;
static struct loam_cache_stats stats_before;

static void misuse_start(uint32_t flags)
{
	start(LOAM_MIB(16));
	victim = make(96, 0, LOAM_CACHE_NO_MERGE | flags);
	live = loam_cache_alloc(&slabs, victim, 0);
	stats_before = stats_of(victim);
	hosted_log_clear();
}

static void misuse_end(const char *message)
{
	EXPECT_LOG(message);
	EXPECT_LOG("called from");
	struct loam_cache_stats now = stats_of(victim);
	EXPECT_EQ(now.slabs, stats_before.slabs);
	EXPECT_EQ(now.live, stats_before.live);
	EXPECT_EQ(now.cached, stats_before.cached);
	EXPECT_EQ(now.free, stats_before.free);
	EXPECT_EQ(now.failed, stats_before.failed);
	check();
	EXPECT_EQ(loam_slab_size(&slabs, live), 96);
}

TEST(double_free, "misuse: a double free is reported, in a magazine or not")
{
	for (unsigned i = 0; i < 2; i++) {
		misuse_start(i == 0 ? 0 : LOAM_CACHE_NO_MAGAZINE);
		void *object = loam_cache_alloc(&slabs, victim, 0);
		loam_cache_free(&slabs, victim, object);
		stats_before = stats_of(victim);
		loam_cache_free(&slabs, victim, object);
		misuse_end("double free of");
	}
}

TEST(late_double_free, "misuse: a double free shows after use after free")
{
	misuse_start(0);
	unsigned char *object = loam_cache_alloc(&slabs, victim, 0);
	loam_cache_free(&slabs, victim, object);
	memset(object, 0x11, 96);
	stats_before = stats_of(victim);
	loam_cache_free(&slabs, victim, object);
	misuse_end("double free of");
}

TEST(interior, "misuse: every interior pointer is reported")
{
	misuse_start(0);
	for (unsigned i = 1; i < 96; i++) {
		hosted_log_clear();
		loam_cache_free(&slabs, victim, (char *)live + i);
		misuse_end("interior free of");
	}
}

TEST(tail, "misuse: the rest at the end of a slab is no object")
{
	misuse_start(0);
	struct loam_slab *slab = loam_slab_of(&slabs, live);
	char *past = (char *)slab->base + (size_t)slab->objects * slab->stride;
	EXPECT(past < (char *)slab->base + (4096u << slab->order));
	loam_cache_free(&slabs, victim, past);
	misuse_end("past the last object");
}

TEST(foreign, "misuse: frames that are not a slab's are reported")
{
	misuse_start(0);
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
	loam_cache_free(&slabs, victim,
			loam_host_phys_to_virt(loam_pfn_to_phys(pfn)));
	misuse_end("foreign free of");
}

TEST(wild, "misuse: addresses outside all memory are reported")
{
	misuse_start(0);
	static char elsewhere[32];
	loam_cache_free(&slabs, victim, elsewhere);
	misuse_end("wild free of");
	hosted_log_clear();
	loam_cache_free(&slabs, victim, (void *)(uintptr_t)64);
	misuse_end("wild free of");
	hosted_log_clear();
	loam_cache_free(&slabs, victim, (void *)(UINTPTR_MAX - 63));
	misuse_end("wild free of");
}

TEST(inlined, "misuse: what is inlined at the call reports the same")
{
	misuse_start(0);
	struct loam_cache *other = make(96, 0, LOAM_CACHE_NO_MERGE);
	void *object = loam_cache_alloc_fast(&slabs, other);
	EXPECT_EQ(loam_slab_size(&slabs, object), 96);
	loam_cache_free_fast(&slabs, victim, object);
	misuse_end("to the wrong cache");
	loam_cache_free_fast(&slabs, other, object);
	EXPECT_EQ(loam_slab_size(&slabs, object), 0);
	hosted_log_clear();
	loam_cache_free_fast(&slabs, other, object);
	EXPECT_LOG("double free");
	hosted_log_clear();
	loam_cache_free_fast(&slabs, victim, (char *)live + 16);
	misuse_end("interior free of");
	hosted_log_clear();
	loam_cache_free_fast(&slabs, victim, NULL);
	EXPECT(!hosted_log_contains("free"));
}

TEST(wrong_cache, "misuse: an object of another cache is reported")
{
	misuse_start(0);
	struct loam_cache *other = make(96, 0, LOAM_CACHE_NO_MERGE);
	void *object = loam_cache_alloc(&slabs, other, 0);
	loam_cache_free(&slabs, victim, object);
	misuse_end("to the wrong cache");
	EXPECT_EQ(loam_slab_size(&slabs, object), 96);
}

TEST(free_null, "misuse: freeing NULL does nothing")
{
	misuse_start(0);
	unsigned long before = loam_misuse_count();
	loam_cache_free(&slabs, victim, NULL);
	EXPECT_EQ(loam_misuse_count(), before);
}

TEST(destroy_busy, "misuse: a cache with live objects is kept")
{
	misuse_start(0);
	EXPECT_EQ(loam_cache_destroy(&slabs, victim), -LOAM_EBUSY);
	EXPECT_LOG("with 1 objects still allocated");
	loam_cache_free(&slabs, victim, live);
	EXPECT_EQ(loam_cache_destroy(&slabs, victim), 0);
	check();
}

/* -------- debugging flags -------- */

TEST(overrun, "debug: a write past the object is found on free")
{
	misuse_start(LOAM_CACHE_DEBUG);
	((char *)live)[96] = 1;
	loam_cache_free(&slabs, victim, live);
	EXPECT_LOG("overrun: byte 96 of the object");
	EXPECT_EQ(loam_slab_size(&slabs, live), 96); /* not freed */
	EXPECT_EQ(loam_slab_check(&slabs), -LOAM_EFAULT);
}

TEST(underrun, "debug: a write before the object is found on free")
{
	misuse_start(LOAM_CACHE_RED_ZONE);
	((char *)live)[-1] = 1;
	loam_cache_free(&slabs, victim, live);
	EXPECT_LOG("overrun: byte -1 of the object");
}

TEST(use_after_free, "debug: a write to a free object is found on alloc")
{
	misuse_start(LOAM_CACHE_POISON | LOAM_CACHE_CALLER);
	loam_cache_free(&slabs, victim, live);
	((char *)live)[10] = 1;
	EXPECT_EQ(loam_slab_check(&slabs), -LOAM_EFAULT);
	EXPECT(loam_cache_alloc(&slabs, victim, 0) == live);
	EXPECT_LOG("use after free: byte 10 of the free object");
	check();
}

static int count_callers(void *arg, void *object, const void *caller)
{
	(void)object;
	*(unsigned *)arg += caller != NULL;
	return 0;
}

TEST(callers, "S2.23 live objects can be walked, with who allocated them")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(40, 0, LOAM_CACHE_CALLER);
	void *object[300];
	for (unsigned i = 0; i < 300; i++) {
		object[i] = loam_cache_alloc(&slabs, cache, 0);
	}
	for (unsigned i = 0; i < 300; i += 3) {
		loam_cache_free(&slabs, cache, object[i]);
	}
	unsigned count = 0;
	EXPECT_EQ(loam_cache_walk(&slabs, cache, count_callers, &count), 0);
	EXPECT_EQ(count, 200);
}

TEST(corruption, "check() sees a shadow and a free count that lie")
{
	misuse_start(0);
	struct loam_slab *slab = loam_slab_of(&slabs, live);
	uint8_t *shadow = &slabs.shadow[loam_slab_granule(&slabs, live)];
	*shadow = 0;
	EXPECT_EQ(loam_slab_check(&slabs), -LOAM_EFAULT);
	*shadow = (uint8_t)slab->cache_index;
	check();
	shadow[1] = 1; /* not the start of an object */
	EXPECT_EQ(loam_slab_check(&slabs), -LOAM_EFAULT);
	shadow[1] = 0;
	slab->free++;
	EXPECT_EQ(loam_slab_check(&slabs), -LOAM_EFAULT);
	slab->free--;
	check();
}

/* -------- running out -------- */

TEST(exhaustion, "S4.32 X.9 exhaustion is NULL, counted, and recovered from")
{
	start(LOAM_MIB(4));
	struct loam_cache *cache = make(1000, 0, LOAM_CACHE_NO_MERGE);
	static void *object[8192];
	unsigned count = 0;
	while (count < 8192) {
		object[count] = loam_cache_alloc(&slabs, cache, 0);
		if (object[count] == NULL) {
			break;
		}
		count++;
	}
	EXPECT(count > 2500 && count < 4300);
	EXPECT_EQ(stats_of(cache).failed, 1);
	check();
	for (unsigned i = 0; i < count; i++) {
		loam_cache_free(&slabs, cache, object[i]);
	}
	check();
	EXPECT_EQ(stats_of(cache).live, 0);
	EXPECT(loam_cache_shrink(&slabs, cache) > 0);
	EXPECT_EQ(stats_of(cache).slabs, 0);
	EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
}

TEST(nth_failure, "S4.32 failing the nth frame leaves everything as before")
{
	for (uint32_t flags = 0; flags <= LOAM_CACHE_NO_MAGAZINE;
	     flags += LOAM_CACHE_NO_MAGAZINE) {
		for (unsigned nth = 1;; nth++) {
			start(LOAM_MIB(16));
			struct loam_cache *cache =
				make(300, 0, LOAM_CACHE_NO_MERGE | flags);
			uint64_t before =
				loam_frame_free_count(&machine.frames);
			loam_frame_fail_nth(&machine.frames, nth);
			void *object = loam_cache_alloc(&slabs, cache, 0);
			uint64_t used = loam_frame_fail_nth(&machine.frames, 0);
			check();
			if (object == NULL) {
				EXPECT_EQ(stats_of(cache).live, 0);
				EXPECT_EQ(stats_of(cache).slabs, 0);
				object = loam_cache_alloc(&slabs, cache, 0);
				EXPECT(object != NULL);
			}
			loam_cache_free(&slabs, cache, object);
			loam_cache_shrink(&slabs, cache);
			EXPECT_EQ(loam_cache_destroy(&slabs, cache), 0);
			/* At most the CPU's layer stays, two frames. */
			EXPECT(loam_frame_free_count(&machine.frames) + 4 >=
			       before);
			if (used < nth) {
				EXPECT(nth > 1);
				break;
			}
		}
	}
}

/* -------- growing -------- */

#define MANY 4096u
static void *many[MANY];

TEST(growing,
     "S4.32 a cache that has much takes larger slabs, a quarter at most")
{
	start(LOAM_MIB(32));
	struct loam_cache *cache = make(1024, 0, LOAM_CACHE_NO_MERGE);
	uint64_t before = loam_frame_free_count(&machine.frames);
	uint64_t slabs_before = 0;
	uint64_t most = 0;
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = loam_cache_alloc(&slabs, cache, 0);
		EXPECT(many[i] != NULL);
		uint64_t count = stats_of(cache).slabs;
		if (count == slabs_before) {
			continue;
		}
		EXPECT_EQ(count, slabs_before + 1);
		slabs_before = count;
		uint64_t used = before - loam_frame_free_count(&machine.frames);
		/* Four objects a frame; descriptors and magazines: two more. */
		EXPECT(used <= i / 4 + i / 16 + 2 + 2);
		most = used;
		check();
	}
	/* Slabs of two frames would be 512; of eight 128. */
	EXPECT(slabs_before < 150);
	EXPECT_EQ(stats_of(cache).live, MANY);
	EXPECT(most >= MANY / 4);
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = memset(many[i], (int)i, 1024);
	}
	for (unsigned i = 0; i < MANY; i++) {
		EXPECT_EQ(*((unsigned char *)many[i] + 1023), i & 255u);
		loam_cache_free(&slabs, cache, many[i]);
	}
	check();
	loam_cache_shrink(&slabs, cache);
	EXPECT_EQ(stats_of(cache).slabs, 0);
	/* It is small again, so it begins with small slabs. */
	uint64_t small = loam_frame_free_count(&machine.frames);
	EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
	EXPECT(small - loam_frame_free_count(&machine.frames) <= 4);
	check();
}

TEST(growing_fails, "S4.32 X.9 no larger slab is to be had: one as before")
{
	start(LOAM_MIB(32));
	struct loam_cache *cache = make(1024, 0, LOAM_CACHE_NO_MAGAZINE);
	for (unsigned i = 0; i < 512; i++) {
		EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
	}
	while (stats_of(cache).free != 0) {
		EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
	}
	/* The first request is for eight frames, the next for two. */
	const unsigned gets[] = { 32, 8 };
	for (unsigned fails = 0; fails < LOAM_ARRAY_SIZE(gets); fails++) {
		loam_frame_fail_nth(&machine.frames, fails);
		EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
		loam_frame_fail_nth(&machine.frames, 0);
		EXPECT_EQ(stats_of(cache).free + 1, gets[fails]);
		check();
		while (stats_of(cache).free != 0) {
			EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
		}
	}
}

TEST(growing_broken, "S4.32 X.9 a cache grows into memory in small pieces")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(1024, 0, LOAM_CACHE_NO_MERGE);
	static loam_pfn_t frames[4096];
	unsigned count = 0;
	EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
	for (;; count++) {
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		EXPECT(count < LOAM_ARRAY_SIZE(frames));
		frames[count] = pfn;
	}
	/* Every second frame comes free, so there is no block of two. */
	uint64_t pieces = 0;
	for (unsigned i = 0; i < count; i++) {
		if (frames[i] % 2 == 0) {
			loam_frame_free(&machine.frames, frames[i], 0);
			pieces++;
		}
	}
	uint64_t objects = 0;
	while (loam_cache_alloc(&slabs, cache, 0) != NULL) {
		objects++;
	}
	/* Of each piece four objects, but for descriptors and magazines. */
	EXPECT(objects > (pieces - pieces / 32) * 4);
	check();
}

TEST(busy, "X.8 an interrupt inside the layer goes to the slabs")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(64, 0, LOAM_CACHE_NO_MERGE);
	void *a = loam_cache_alloc(&slabs, cache, 0);
	void **top = slabs.cpu[0].top[1];
	slabs.cpu[0].busy = 1; /* as if a() had been interrupted */
	void *b = loam_cache_alloc(&slabs, cache, LOAM_NOSLEEP);
	EXPECT(b != NULL && b != a);
	loam_cache_free(&slabs, cache, a);
	EXPECT(slabs.cpu[0].top[1] == top);
	slabs.cpu[0].busy = 0;
	loam_cache_free(&slabs, cache, b);
	EXPECT(slabs.cpu[0].top[1] == top + 1);
	check();
}

TEST(busy_storm, "X.8 many interrupts inside the layer do not grow the cache")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(64, 0, LOAM_CACHE_NO_MERGE);
	void *first = loam_cache_alloc(&slabs, cache, 0);
	slabs.cpu[0].busy = 1;
	for (unsigned i = 0; i < 200; i++) {
		void *object = loam_cache_alloc(&slabs, cache, LOAM_NOSLEEP);
		EXPECT(object != NULL);
		loam_cache_free(&slabs, cache, object);
	}
	slabs.cpu[0].busy = 0;
	EXPECT_EQ(stats_of(cache).slabs, 1);
	loam_cache_free(&slabs, cache, first);
	check();
}

TEST(destroy_beside_busy, "a cache goes while other CPUs use other caches")
{
	start(LOAM_MIB(16));
	struct loam_cache *cache = make(64, 0, LOAM_CACHE_NO_MERGE);
	hosted_cpu = 1;
	void *object = loam_cache_alloc(&slabs, cache, 0);
	loam_cache_free(&slabs, cache, object);
	hosted_cpu = 0;
	slabs.cpu[1].busy = 1; /* in another cache just now */
	EXPECT_EQ(loam_cache_destroy(&slabs, cache), 0);
	EXPECT_EQ(slabs.cpu[1].busy, 1);
	slabs.cpu[1].busy = 0;
	EXPECT(!hosted_log_contains("loam:"));
	check();
}

TEST(no_such_cpu, "misuse: draining a CPU that there is not")
{
	start(LOAM_MIB(16));
	loam_slab_drain_cpu(&slabs, LOAM_MAX_CPUS);
	EXPECT_LOG("there is no CPU");
}

/* -------- a model -------- */

#define MODEL_CACHES 5u
#define MODEL_LIVE 400u

TEST(cpu_elsewhere, "X.8 a CPU's layer lies where the host says, or nowhere")
{
	static struct loam_slab_cpu own;
	start(LOAM_MIB(32));
	struct loam_cache *cache =
		loam_cache_create(&slabs, "elsewhere", 64, 16, 0, NULL);
	hosted_cpu = 3;
	loam_slab_cpu_stop(&slabs, 3);
	/* Without a layer each call works on the slabs. */
	void *bare = loam_cache_alloc(&slabs, cache, 0);
	EXPECT(bare != NULL && slabs.cpus[3] == NULL);
	loam_cache_free(&slabs, cache, bare);
	EXPECT_EQ(loam_slab_check(&slabs), 0);
	loam_slab_cpu_start(&slabs, 3, &own, 0);
	EXPECT(slabs.cpus[3] == &own);
	void *object = loam_cache_alloc(&slabs, cache, 0);
	EXPECT(object != NULL && own.cold[loam_cache_index(cache)].loaded);
	EXPECT_EQ(loam_slab_check(&slabs), 0);
	loam_cache_free(&slabs, cache, object);
	loam_slab_cpu_stop(&slabs, 3);
	EXPECT(own.cold[loam_cache_index(cache)].loaded == NULL);
	loam_slab_cpu_start(&slabs, 3, &slabs.cpu[3], 0);
	hosted_cpu = 0;
	loam_slab_lock_all(&slabs);
	loam_slab_unlock_all(&slabs);
	EXPECT_EQ(loam_cache_destroy(&slabs, cache), 0);
	EXPECT_EQ(loam_slab_check(&slabs), 0);
}

TEST(cpu_stops, "X.8 what a CPU had in its magazines another gets whole")
{
	static void *objects[200];
	struct loam_cache_stats stats;
	start(LOAM_MIB(32));
	struct loam_cache *cache = make(64, 0, LOAM_CACHE_NO_MERGE);
	hosted_cpu = 3;
	for (unsigned i = 0; i < 200; i++) {
		objects[i] = loam_cache_alloc(&slabs, cache, 0);
	}
	for (unsigned i = 0; i < 200; i++) {
		loam_cache_free(&slabs, cache, objects[i]);
	}
	loam_cache_stats(&slabs, cache, &stats);
	uint64_t cached = stats.cached;
	loam_slab_cpu_stop(&slabs, 3);
	check();
	loam_cache_stats(&slabs, cache, &stats);
	EXPECT(stats.cached > 0 && stats.cached <= cached);
	EXPECT_EQ(stats.live, 0);
	/* All that is in the depot comes before anything of a slab. */
	hosted_cpu = 0;
	for (uint64_t free = stats.free; stats.cached > 0;) {
		EXPECT(loam_cache_alloc(&slabs, cache, 0) != NULL);
		loam_cache_stats(&slabs, cache, &stats);
		EXPECT_EQ(stats.free, free);
	}
	hosted_cpu = 3;
	loam_slab_cpu_start(&slabs, 3, &slabs.cpu[3], 0);
	hosted_cpu = 0;
	check();
}

TEST(model, "S4.32 X.5 random operations agree with a model")
{
	static const size_t sizes[MODEL_CACHES] = { 8, 24, 100, 1000, 5000 };
	static struct {
		unsigned char *object;
		unsigned cache;
		unsigned char fill;
	} item[MODEL_LIVE];
	uint64_t random = 0x9e3779b97f4a7c15u;
	start(LOAM_MIB(16));
	struct loam_cache *cache[MODEL_CACHES];
	for (unsigned i = 0; i < MODEL_CACHES; i++) {
		uint32_t flags = i == 2 ? LOAM_CACHE_DEBUG : 0;
		cache[i] = make(sizes[i], 0, flags | LOAM_CACHE_NO_MERGE);
	}
	unsigned count = 0;
	for (unsigned step = 0; step < 20000; step++) {
		uint64_t r = hosted_random(&random);
		if (step % 997 == 0) {
			loam_slab_shrink_all(&slabs);
		}
		/* Phases of growth and of decline. */
		bool grow = (step / 3000) % 2 == 0 ? r % 8 < 5 : r % 8 < 3;
		if (count < MODEL_LIVE && (grow || count == 0)) {
			unsigned n = (unsigned)(r >> 8) % MODEL_CACHES;
			item[count].object =
				loam_cache_alloc(&slabs, cache[n], 0);
			EXPECT(item[count].object != NULL);
			item[count].cache = n;
			item[count].fill = (unsigned char)(r >> 24);
			memset(item[count].object, item[count].fill, sizes[n]);
			count++;
		} else {
			unsigned n = (unsigned)(r >> 8) % count;
			size_t size = sizes[item[n].cache];
			EXPECT_EQ(item[n].object[0], item[n].fill);
			EXPECT_EQ(item[n].object[size - 1], item[n].fill);
			EXPECT_EQ(loam_slab_size(&slabs, item[n].object), size);
			loam_cache_free(&slabs, cache[item[n].cache],
					item[n].object);
			item[n] = item[--count];
		}
		if (step % 64 == 0) {
			check();
		}
	}
	uint64_t live_count = 0;
	for (unsigned i = 0; i < MODEL_CACHES; i++) {
		live_count += stats_of(cache[i]).live;
	}
	EXPECT_EQ(live_count, count);
	check();
}

/* SPDX-License-Identifier: MIT */
/* An owner of heaps with real pages: what is not mapped faults when touched. */
#ifndef LOAM_TEST_HEAP_FIXTURE_H
#define LOAM_TEST_HEAP_FIXTURE_H

#include <sys/mman.h>

#include <loam/bits.h>
#include <loam/heap.h>
#include <loam/mem.h>

#include "test.h"

#define OWNER_PAGES_MAX 16384u

struct owner {
	unsigned char *window;
	size_t pages;
	uint8_t mapped[OWNER_PAGES_MAX];
	size_t mapped_now;
	size_t map_calls;
	size_t pages_mapped;
	size_t unmap_calls;
	size_t pages_unmapped;
	size_t pages_left; /* that map_pages will still find */
	int prepare_error;
	char trace[64]; /* p, m and u, in the order of the calls */
};

static inline void owner_trace(struct owner *owner, char what)
{
	size_t length = strlen(owner->trace);
	if (length + 1 < sizeof(owner->trace)) {
		owner->trace[length] = what;
	}
}

static inline int owner_prepare(void *context, void *start, size_t size)
{
	struct owner *owner = context;
	owner_trace(owner, 'p');
	EXPECT(start == owner->window);
	EXPECT_EQ(size, owner->pages * LOAM_PAGE_SIZE);
	return owner->prepare_error;
}

/* The index of the first page, once the range has been found to be right. */
static inline size_t owner_first(const struct owner *owner, const void *start,
				 size_t count)
{
	size_t offset = (size_t)((const unsigned char *)start - owner->window);
	EXPECT_EQ(offset % LOAM_PAGE_SIZE, 0);
	EXPECT(count > 0);
	EXPECT(offset / LOAM_PAGE_SIZE < owner->pages);
	EXPECT(count <= owner->pages - offset / LOAM_PAGE_SIZE);
	return offset / LOAM_PAGE_SIZE;
}

static inline size_t owner_map(void *context, void *start, size_t count)
{
	struct owner *owner = context;
	size_t first = owner_first(owner, start, count);
	owner_trace(owner, 'm');
	owner->map_calls++;
	count = count < owner->pages_left ? count : owner->pages_left;
	owner->pages_left -= count;
	for (size_t i = 0; i < count; i++) {
		EXPECT_EQ(owner->mapped[first + i], 0);
		owner->mapped[first + i] = 1;
	}
	owner->mapped_now += count;
	owner->pages_mapped += count;
	if (count > 0) {
		EXPECT_EQ(mprotect(start, count * LOAM_PAGE_SIZE,
				   PROT_READ | PROT_WRITE),
			  0);
		for (size_t i = 0; i < count; i++) {
			memset((char *)start + i * LOAM_PAGE_SIZE, 0xa5, 64);
		}
	}
	return count;
}

static inline void owner_unmap(void *context, void *start, size_t count)
{
	struct owner *owner = context;
	size_t first = owner_first(owner, start, count);
	owner_trace(owner, 'u');
	owner->unmap_calls++;
	for (size_t i = 0; i < count; i++) {
		EXPECT_EQ(owner->mapped[first + i], 1);
		owner->mapped[first + i] = 0;
	}
	owner->mapped_now -= count;
	owner->pages_unmapped += count;
	owner->pages_left += count;
	EXPECT_EQ(mprotect(start, count * LOAM_PAGE_SIZE, PROT_NONE), 0);
}

/* A window of `pages` pages, none of them there, with a guard on both sides. */
static inline void owner_init(struct owner *owner, size_t pages)
{
	EXPECT(pages <= OWNER_PAGES_MAX);
	memset(owner, 0, sizeof(*owner));
	void *at = mmap(NULL, (pages + 2) * LOAM_PAGE_SIZE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EXPECT(at != MAP_FAILED);
	owner->window = (unsigned char *)at + LOAM_PAGE_SIZE;
	owner->pages = pages;
	owner->pages_left = pages;
}

static inline void owner_fini(struct owner *owner)
{
	munmap(owner->window - LOAM_PAGE_SIZE,
	       (owner->pages + 2) * LOAM_PAGE_SIZE);
}

static inline struct loam_heap_owner owner_calls(struct owner *owner)
{
	return (struct loam_heap_owner){
		.prepare = owner_prepare,
		.map_pages = owner_map,
		.unmap_pages = owner_unmap,
		.context = owner,
	};
}

/* What a heap and its owner had; see heap_expect_unchanged(). */
struct heap_picture {
	struct loam_heap heap;
	size_t mapped_now;
	uint64_t sum; /* over the description of every block */
};

static inline uint64_t heap_sum(const struct loam_heap *heap)
{
	uint64_t sum = 0;
	struct loam_heap_block block = { .address = NULL };
	while (loam_heap_walk(heap, &block)) {
		sum = (sum + (uintptr_t)block.address) * 0x9e3779b97f4a7c15ull;
		sum = (sum ^ block.size_bytes) * 31 + block.state;
	}
	return sum;
}

static inline struct heap_picture heap_picture(const struct loam_heap *heap,
					       const struct owner *owner)
{
	return (struct heap_picture){ *heap, owner->mapped_now,
				      heap_sum(heap) };
}

/* Nothing has changed but, perhaps, the number of failures. */
static inline void heap_expect_unchanged(const struct heap_picture *before,
					 const struct loam_heap *heap,
					 const struct owner *owner)
{
	struct loam_heap now = *heap;
	now.failed = before->heap.failed;
	now.peak_mapped_pages = before->heap.peak_mapped_pages;
	EXPECT_EQ(memcmp(&now, &before->heap, sizeof(now)), 0);
	EXPECT_EQ(owner->mapped_now, before->mapped_now);
	EXPECT_EQ(heap_sum(heap), before->sum);
}

#endif

/* SPDX-License-Identifier: MIT */
/* The seeds' names: a program that includes nothing else of Loam. */
#include <loam/compat.h>

#include "test.h"

/*
 * The harness is the one thing beside the header. The machine has simulated
 * memory, all of it directly mapped, at whatever address the system gave.
 */

#define MIB ((size_t)1 << 20)
#define BLOCKS 64u

static struct loam_compat *const compat = &loam_compat_state;

/* What a BIOS says of a machine of `mib` MiB. */
static void machine(unsigned mib, loam_phys_t kernel_start,
		    loam_phys_t kernel_end)
{
	const MemoryMapEntry entries[] = {
		{ 0, 0x9fc00, 1, 1 },
		{ 0x9fc00, 0x400, 2, 1 },
		{ 0xf0000, 0x10000, 2, 1 },
		{ MIB, (mib - 1) * MIB, 1, 1 },
		/* A hole at 24 MiB, said by an entry that overlaps. */
		{ 24 * MIB, 4096, 2, 1 },
		/* Bases above 4 GiB are not cut to 32 bits. */
		{ (1ull << 32) + 200 * MIB, 64 * MIB, 1, 1 },
	};
	memset(compat, 0, sizeof(*compat));
	hosted_memory_create(mib * MIB, mib * MIB);
	EXPECT_EQ(loam_compat_memory(compat, entries,
				     sizeof(entries) / sizeof(entries[0]),
				     kernel_start, kernel_end),
		  0);
}

static unsigned char *virt(loam_phys_t phys)
{
	return hosted_memory.direct + phys;
}

/* A heap of BLOCKS blocks from a physical address on, with its table. */
static HEAP_BLOCK_TABLE_ENTRY entries_room[BLOCKS + 64];
static heap_table_t table;
static heap_t heap;

static int make(loam_phys_t at, size_t size)
{
	memset(entries_room, 0xee, sizeof(entries_room));
	table.entries = entries_room + 32;
	table.total = size / VANA_HEAP_BLOCK_SIZE;
	return create_heap(&heap, &table, virt(at), size);
}

#define SIZE (BLOCKS * (size_t)VANA_HEAP_BLOCK_SIZE)

/* ------------------------------------------------------- types and names */

LOAM_STATIC_ASSERT(VANA_HEAP_SIZE_BYTES == 104857600, "S3.10");
LOAM_STATIC_ASSERT(VANA_HEAP_BLOCK_SIZE == 4096, "S3.10");
LOAM_STATIC_ASSERT(VANA_HEAP_ADDRESS == 0x01000000, "S3.10");
LOAM_STATIC_ASSERT(VANA_HEAP_TABLE_ADDRESS == 0x00007E00, "S3.10");
LOAM_STATIC_ASSERT(VANA_PROGRAM_VIRTUAL_ADDRESS == 0x400000, "S3.10");
LOAM_STATIC_ASSERT(VANA_USER_PROGRAM_STACK_SIZE == 1024 * 16, "S3.10");
LOAM_STATIC_ASSERT(VANA_PROGRAM_VIRTUAL_STACK_ADDRESS_START == 0x3FF000,
		   "S3.10");
LOAM_STATIC_ASSERT(HEAP_START_ADDR == 0xD0000000u, "S0.3");
LOAM_STATIC_ASSERT(HEAP_START_ADDR + HEAP_LIMIT_BYTES == 0xD0400000u, "S0.3");
LOAM_STATIC_ASSERT(KERNEL_BASE == 0xC0000000, "S4.3");
LOAM_STATIC_ASSERT(PHYS_TO_VIRT(0x100000) == 0xC0100000, "S4.3");
LOAM_STATIC_ASSERT(VIRT_TO_PHYS(0xC0100000) == 0x100000, "S4.3");
LOAM_STATIC_ASSERT(HEAP_BLOCK_TABLE_ENTRY_TAKEN == 0x01, "S1.20");
LOAM_STATIC_ASSERT(HEAP_BLOCK_HAS_NEXT == 0x80, "S1.20");
LOAM_STATIC_ASSERT(HEAP_BLOCK_IS_FIRST == 0x40, "S1.20");

TEST(constants, "S0.3 S3.10 S4.3 the configuration's constants")
{
	/* Above, when this was compiled. */
	EXPECT_EQ(VANA_HEAP_SIZE_BYTES / VANA_HEAP_BLOCK_SIZE, 25600);
}

TEST(entry, "S1.2 a memory map entry is what the BIOS writes")
{
	EXPECT_EQ(sizeof(MemoryMapEntry), 24);
	EXPECT_EQ(offsetof(MemoryMapEntry, base), 0);
	EXPECT_EQ(offsetof(MemoryMapEntry, length), 8);
	EXPECT_EQ(offsetof(MemoryMapEntry, type), 16);
	EXPECT_EQ(offsetof(MemoryMapEntry, attributes), 20);
}

TEST(signatures, "S1.4 S1.5 S1.6 S3.11 S3.13 the types and signatures")
{
	int (*create)(heap_t *, heap_table_t *, void *, size_t) = create_heap;
	int (*create_by_end)(struct heap *, void *, void *,
			     struct heap_table *) = heap_create;
	void *(*alloc)(heap_t *, size_t) = heap_malloc;
	void (*release)(heap_t *, void *) = heap_free;
	void (*init)(void) = kheap_init;
	void *(*kernel_alloc)(size_t) = kmalloc;
	void *(*kernel_zalloc)(size_t) = kzalloc;
	void (*kernel_free)(void *) = kfree;
	char *(*page_alloc)(void) = kalloc;
	void (*first)(void *, void *) = kinit1;
	void (*second)(void *, void *) = kinit2;
	void *(*temp)(size_t) = kalloc_temp;
	EXPECT(create && create_by_end && alloc && release && init);
	EXPECT(kernel_alloc && kernel_zalloc && kernel_free && page_alloc);
	EXPECT(first && second && temp);
	struct heap_table one = { entries_room, 3 };
	struct heap other = { .saddr = NULL, .table = &one };
	heap_t *same = &other;
	EXPECT_EQ(same->table->total, 3);
	EXPECT_EQ(sizeof(HEAP_BLOCK_TABLE_ENTRY), 1);
	EXPECT_EQ(sizeof(one.entries[0]), 1);
}

TEST(buddy_fields, "S4.12 S4.13 S4.14 the buddy's state has the fields asked")
{
	static buddy_t buddy;
	struct buddy_node *frames = buddy.frames;
	EXPECT(frames == NULL);
	EXPECT_EQ(offsetof(buddy_t, base), 0);
	EXPECT(offsetof(buddy_t, size) > offsetof(buddy_t, base));
	EXPECT(offsetof(buddy_t, free_lists) > offsetof(buddy_t, size));
	EXPECT(offsetof(buddy_t, map) > offsetof(buddy_t, free_lists));
	EXPECT(offsetof(buddy_t, map_size) > offsetof(buddy_t, map));
	EXPECT(offsetof(buddy_t, max_order) > offsetof(buddy_t, map_size));
	EXPECT_EQ(sizeof(buddy.free_lists) / sizeof(buddy.free_lists[0]),
		  MAX_ORDER + 1);
}

TEST(headers, "S2.5 S2.21 S4.22 the nodes and headers have the fields asked")
{
	node_t last = { .size = 5, .next = NULL };
	node_t node = { .size = 16, .next = &last };
	struct run run = { .next = NULL };
	EXPECT_EQ(node.next->size, 5);
	EXPECT(run.next == NULL);
	EXPECT_EQ(sizeof(struct run), sizeof(void *));
	EXPECT_EQ(offsetof(block_header_t, size), 0);
	EXPECT_EQ(offsetof(block_header_t, magic), sizeof(size_t));
}

/* ------------------------------------------------------- memory.c */

/* The library's own, under whatever name they have here. */
TEST(memory_functions, "S3.35 memset, memcmp and memcpy do what C says")
{
	static unsigned char ours[4300];
	static unsigned char theirs[4300];
	for (size_t size = 0; size <= 4097; size += size < 70 ? 1 : 67) {
		memset(ours, 0xaa, sizeof(ours));
		memset(theirs, 0xaa, sizeof(theirs));
		EXPECT(LOAM_MEMORY_NAME(memset)(ours + 3, 0x1f5, size) ==
		       ours + 3);
		memset(theirs + 3, 0x1f5, size);
		EXPECT(memcmp(ours, theirs, sizeof(ours)) == 0);
		for (size_t i = 0; i < size; i++) {
			theirs[i] = (unsigned char)(i * 7);
		}
		EXPECT(LOAM_MEMORY_NAME(memcpy)(ours + 1, theirs, size) ==
		       ours + 1);
		EXPECT(LOAM_MEMORY_NAME(memcmp)(ours + 1, theirs, size) == 0);
		EXPECT(size == 0 || memcmp(ours + 1, theirs, size) == 0);
	}
	const unsigned char low[2] = { 1, 0x7f };
	const unsigned char high[2] = { 1, 0x80 };
	EXPECT(LOAM_MEMORY_NAME(memcmp)(low, high, 2) < 0);
	EXPECT(LOAM_MEMORY_NAME(memcmp)(high, low, 2) > 0);
	EXPECT(LOAM_MEMORY_NAME(memcmp)(high, low, 1) == 0);
}

/* ------------------------------------------------------- create_heap */

TEST(created, "S1.7 S1.8 S3.14 a new heap has its start, and all blocks free")
{
	machine(128, 0, 0);
	EXPECT_EQ(make(16 * MIB, SIZE), 0);
	EXPECT(heap.saddr == virt(16 * MIB));
	EXPECT(heap.table == &table);
	for (size_t i = 0; i < sizeof(entries_room); i++) {
		bool inside = i >= 32 && i < 32 + BLOCKS;
		EXPECT_EQ(entries_room[i], inside ? 0 : 0xee);
	}
	hosted_memory_destroy();
}

/* Refused with the number, and heap and table as they were. */
static void expect_refused(heap_t *at, heap_table_t *with, void *start,
			   size_t size)
{
	static heap_t heap_before;
	static HEAP_BLOCK_TABLE_ENTRY entries_before[sizeof(entries_room)];
	heap_table_t table_before = table;
	memcpy(&heap_before, &heap, sizeof(heap));
	memcpy(entries_before, entries_room, sizeof(entries_room));
	EXPECT(create_heap(at, with, start, size) == -EINVARG);
	uintptr_t end = (uintptr_t)start + size;
	/* What wraps has no end to speak of. */
	EXPECT(end < (uintptr_t)start ||
	       heap_create(at, start, (void *)end, with) == -EINVARG);
	EXPECT(memcmp(&heap_before, &heap, sizeof(heap)) == 0);
	EXPECT(memcmp(&table_before, &table, sizeof(table)) == 0);
	EXPECT(memcmp(entries_before, entries_room, sizeof(entries_room)) == 0);
}

/* The same of the address and size alone, with a table that would fit. */
static void expect_range_refused(loam_phys_t at, size_t size)
{
	table.total = size / VANA_HEAP_BLOCK_SIZE;
	expect_refused(&heap, &table, virt(at), size);
}

static void prepare(void)
{
	memset(&heap, 0x5a, sizeof(heap));
	memset(entries_room, 0xee, sizeof(entries_room));
	table.entries = entries_room + 32;
	table.total = BLOCKS;
}

TEST(arguments, "S1.11 S1.12 S1.13 wrong arguments: -EINVARG, nothing changes")
{
	machine(128, 0, 0);
	prepare();
	unsigned char *at = virt(16 * MIB);
	EXPECT(EINVARG > 0);
	expect_refused(NULL, &table, at, SIZE);
	expect_refused(&heap, NULL, at, SIZE);
	expect_refused(&heap, &table, NULL, SIZE);
	expect_refused(&heap, &table, at, 0);
	table.total = BLOCKS - 1;
	expect_refused(&heap, &table, at, SIZE);
	table.total = BLOCKS + 1;
	expect_refused(&heap, &table, at, SIZE);
	table.total = BLOCKS;
	table.entries = NULL;
	expect_refused(&heap, &table, at, SIZE);
	hosted_memory_destroy();
}

TEST(unaligned, "S1.10 S1.11 S3.14 start and end are aligned to blocks")
{
	machine(128, 0, 0);
	prepare();
	expect_refused(&heap, &table, virt(16 * MIB) + 1, SIZE);
	expect_refused(&heap, &table, virt(16 * MIB) + 16, SIZE);
	expect_refused(&heap, &table, virt(16 * MIB) + 2048, SIZE);
	expect_refused(&heap, &table, virt(16 * MIB), SIZE + 1);
	expect_refused(&heap, &table, virt(16 * MIB), SIZE - 1);
	/* An end below the start. */
	EXPECT(heap_create(&heap, virt(16 * MIB), virt(16 * MIB) - 4096,
			   &table) == -EINVARG);
	EXPECT(heap_create(&heap, virt(16 * MIB), virt(16 * MIB), &table) ==
	       -EINVARG);
	hosted_memory_destroy();
}

TEST(wrapping, "S1.15 ranges that wrap are refused, large bases not cut")
{
	machine(128, 0, 0);
	prepare();
	table.total = (size_t)-1 / VANA_HEAP_BLOCK_SIZE;
	expect_refused(&heap, &table, virt(16 * MIB), (size_t)0 - 4096);
	table.total = BLOCKS;
	expect_refused(&heap, &table, (void *)((uintptr_t)0 - 4096), SIZE);
	/* Usable is 4 GiB + 200 MiB, which is not 200 MiB. */
	expect_range_refused(200 * MIB, SIZE);
	hosted_memory_destroy();
}

TEST(not_memory, "S1.9 S1.16 S3.36 a heap lies in usable memory, all of it")
{
	machine(128, 0, 0);
	prepare();
	/* Reserved, unsaid, beyond the end, and across each of these edges. */
	expect_range_refused(0xf0000, 0x10000);
	expect_range_refused(0xa0000, 0x10000);
	expect_range_refused(0x9f000, 4096);
	expect_range_refused(128 * MIB, SIZE);
	expect_range_refused(128 * MIB - 4096, SIZE);
	/* A reserved entry wins over a usable one that it overlaps. */
	expect_range_refused(24 * MIB, 4096);
	expect_range_refused(24 * MIB - SIZE / 2, SIZE);
	EXPECT_EQ(make(24 * MIB + 4096, SIZE), 0);
	EXPECT_EQ(make(24 * MIB - SIZE, SIZE), 0);
	hosted_memory_destroy();
}

TEST(kernel_overlap, "S1.14 a heap avoids the kernel, and may touch it")
{
	machine(128, 17 * MIB, 18 * MIB);
	prepare();
	expect_range_refused(17 * MIB - SIZE + 4096, SIZE);
	expect_range_refused(18 * MIB - 4096, SIZE);
	expect_range_refused(17 * MIB + SIZE, SIZE);
	expect_range_refused(17 * MIB, MIB);
	expect_range_refused(16 * MIB, 4 * MIB);
	EXPECT_EQ(make(17 * MIB - SIZE, SIZE), 0);
	EXPECT_EQ(make(18 * MIB, SIZE), 0);
	hosted_memory_destroy();
}

TEST(no_layout, "S1.9 without a layout a heap is judged by itself alone")
{
	static _Alignas(4096) unsigned char room[SIZE];
	memset(compat, 0, sizeof(*compat));
	prepare();
	EXPECT_EQ(create_heap(&heap, &table, room, SIZE), 0);
	EXPECT(heap_malloc(&heap, 1) == room);
}

/* ------------------------------------------------------- malloc and free */

TEST(runs_of_blocks, "S1.17 S1.18 S1.19 S3.15 whole blocks, the lowest run")
{
	machine(128, 0, 0);
	EXPECT_EQ(make(16 * MIB, SIZE), 0);
	unsigned char *first = virt(16 * MIB);
	EXPECT(heap_malloc(&heap, 1) == first);
	EXPECT(heap_malloc(&heap, 4096) == first + 4096);
	EXPECT(heap_malloc(&heap, 4097) == first + 2 * 4096);
	EXPECT(heap_malloc(&heap, 3 * 4096) == first + 4 * 4096);
	EXPECT_EQ(table.entries[0], 0x41);
	EXPECT_EQ(table.entries[2], 0xc1);
	EXPECT_EQ(table.entries[3], 0x01);
	EXPECT_EQ(table.entries[4], 0xc1);
	EXPECT_EQ(table.entries[5], 0x81);
	EXPECT_EQ(table.entries[6], 0x01);
	EXPECT_EQ(table.entries[7], 0);
	heap_free(&heap, first + 2 * 4096);
	EXPECT_EQ(table.entries[2] | table.entries[3], 0);
	EXPECT(heap_malloc(&heap, 9000) == first + 7 * 4096);
	EXPECT(heap_malloc(&heap, 8192) == first + 2 * 4096);
	EXPECT(heap_malloc(&heap, 0) == NULL);
	EXPECT(heap_malloc(&heap, (size_t)-1) == NULL);
	EXPECT(heap_malloc(&heap, (size_t)0xfffff001u) == NULL);
	EXPECT(heap_malloc(&heap, SIZE) == NULL);
	hosted_memory_destroy();
}

TEST(two_steps, "S3.15 S3.16 heap_get_start_block, heap_mark_blocks_taken")
{
	machine(128, 0, 0);
	EXPECT_EQ(make(16 * MIB, 8 * 4096), 0);
	EXPECT_EQ(heap_get_start_block(&heap, 6), 0);
	heap_mark_blocks_taken(&heap, 0, 6);
	EXPECT_EQ(table.entries[0], 0xc1);
	EXPECT_EQ(table.entries[4], 0x81);
	EXPECT_EQ(table.entries[5], 0x01);
	EXPECT_EQ(heap_get_start_block(&heap, 2), 6);
	EXPECT_EQ(heap_get_start_block(&heap, 1), 6);
	/* The tail is short. */
	EXPECT(heap_get_start_block(&heap, 4) == -LOAM_ENOMEM);
	EXPECT(heap_get_start_block(&heap, 0) == -LOAM_ENOMEM);
	EXPECT(heap_get_start_block(&heap, 0xffffffffu) == -LOAM_ENOMEM);
	static const int wrong[][2] = { { 5, 2 },  { 0, 1 }, { 7, 2 }, { 8, 1 },
					{ -1, 1 }, { 6, 0 }, { 6, -1 } };
	for (unsigned i = 0; i < 7; i++) {
		HEAP_BLOCK_TABLE_ENTRY before[sizeof(entries_room)];
		unsigned long reports = loam_misuse_count();
		memcpy(before, entries_room, sizeof(before));
		heap_mark_blocks_taken(&heap, wrong[i][0], wrong[i][1]);
		EXPECT_EQ(loam_misuse_count(), reports + 1);
		EXPECT_LOG("heap_mark_blocks_taken: ");
		EXPECT(memcmp(before, entries_room, sizeof(before)) == 0);
	}
	heap_free(&heap, virt(16 * MIB));
	EXPECT_EQ(heap_get_start_block(&heap, 8), 0);
	hosted_memory_destroy();
}

TEST(bad_frees, "S1.24 S1.25 S3.17 S3.19 heap_free looks at its pointer")
{
	machine(128, 0, 0);
	EXPECT_EQ(make(16 * MIB, SIZE), 0);
	unsigned char *at = heap_malloc(&heap, 3 * 4096);
	unsigned char *other = heap_malloc(&heap, 4096);
	void *wrong[] = { at - 4096,     at + SIZE,     at + SIZE + 4096,
			  at + 1,        at + 16,       at + 4096,
			  at + 2 * 4096, at + 4 * 4096, other + 8 };
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		HEAP_BLOCK_TABLE_ENTRY before[sizeof(entries_room)];
		unsigned long reports = loam_misuse_count();
		memcpy(before, entries_room, sizeof(before));
		heap_free(&heap, wrong[i]);
		EXPECT_EQ(loam_misuse_count(), reports + 1);
		EXPECT(memcmp(before, entries_room, sizeof(before)) == 0);
	}
	heap_free(&heap, NULL);
	heap_free(&heap, at);
	EXPECT_EQ(table.entries[0] | table.entries[1] | table.entries[2], 0);
	EXPECT_EQ(table.entries[3], 0x41);
	unsigned long reports = loam_misuse_count();
	heap_free(&heap, at);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT(heap_malloc(&heap, 3 * 4096) == at);
	hosted_memory_destroy();
}

/* ------------------------------------------------------- kheap_init */

TEST(before_init, "S1.29 S1.32 kmalloc before kheap_init gives NULL")
{
	memset(compat, 0, sizeof(*compat));
	EXPECT(kmalloc(100) == NULL);
	EXPECT(kzalloc(100) == NULL);
	EXPECT_EQ(ksize((void *)16), 0);
	kfree(NULL);
	unsigned long reports = loam_misuse_count();
	kfree((void *)0x5000);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("there is no heap");
}

TEST(kernel_heap,
     "S1.1 S1.26 S1.28 S3.11 S3.20 kheap_init's heap behind kmalloc")
{
	machine(128, MIB, 2 * MIB);
	/* The hole would lie in the configured range. */
	compat->has_memory = false;
	const MemoryMapEntry whole[] = { { 0, 0x9fc00, 1, 1 },
					 { MIB, 127 * MIB, 1, 1 } };
	EXPECT_EQ(loam_compat_memory(compat, whole, 2, MIB, 2 * MIB), 0);
	kheap_init();
	EXPECT(compat->kernel_heap.saddr == virt(VANA_HEAP_ADDRESS));
	EXPECT(compat->kernel_heap_table.entries ==
	       virt(VANA_HEAP_TABLE_ADDRESS));
	EXPECT_EQ(compat->kernel_heap_table.total, 25600);
	unsigned char *first = kmalloc(5000);
	EXPECT(first == virt(VANA_HEAP_ADDRESS));
	EXPECT_EQ(ksize(first), 8192);
	EXPECT_EQ(*virt(VANA_HEAP_TABLE_ADDRESS), 0xc1);
	memset(first, 0xff, 5000);
	kfree(first);
	EXPECT_EQ(*virt(VANA_HEAP_TABLE_ADDRESS), 0);
	unsigned char *zeros = kzalloc(5000);
	EXPECT(zeros == first);
	for (unsigned i = 0; i < 5000; i++) {
		EXPECT_EQ(zeros[i], 0);
	}
	/* All 25,600 blocks can be had, and no more. */
	unsigned char *all = kmalloc(VANA_HEAP_SIZE_BYTES - 8192);
	EXPECT(all == first + 8192);
	EXPECT(kmalloc(1) == NULL);
	kfree(all);
	kfree(zeros);
	hosted_memory_destroy();
}

TEST(no_room, "S1.27 S3.36 kheap_init without the memory says so, and goes on")
{
	static const unsigned sizes[] = { 8, 32, 64, 115 };
	for (unsigned i = 0; i < 4; i++) {
		machine(sizes[i], MIB, 2 * MIB);
		hosted_log_clear();
		kheap_init();
		EXPECT_LOG("Failed to create heap");
		EXPECT(kmalloc(100) == NULL);
		hosted_memory_destroy();
	}
	/* Enough memory, but the map has a hole in the range. */
	machine(128, MIB, 2 * MIB);
	hosted_log_clear();
	kheap_init();
	EXPECT_LOG("Failed to create heap");
	hosted_memory_destroy();
	/* The kernel lies where the table would. */
	machine(128, 0x8000, 0x9000);
	hosted_log_clear();
	kheap_init();
	EXPECT_LOG("Failed to create heap");
	EXPECT(kmalloc(100) == NULL);
	hosted_memory_destroy();
}

/* ------------------------------------------------------- seed 002 */

TEST(page_list, "S2.6 S2.8 S2.10 S2.11 kinit1, kalloc, kinit2: highest first")
{
	machine(16, MIB, 2 * MIB);
	unsigned long locks = hosted_locks_taken;
	EXPECT(kalloc() == NULL);
	kinit1(virt(2 * MIB) + 100, virt(4 * MIB));
	EXPECT_EQ(compat->runs.free_pages, 511);
	EXPECT((unsigned char *)kalloc() == virt(4 * MIB) - 4096);
	EXPECT((unsigned char *)kalloc() == virt(4 * MIB) - 2 * 4096);
	EXPECT_EQ(hosted_locks_taken, locks);
	kinit2(virt(4 * MIB), virt(16 * MIB));
	EXPECT_EQ(compat->runs.free_pages, 509 + 12 * 256);
	char *page = kalloc();
	EXPECT((unsigned char *)page == virt(16 * MIB) - 4096);
	EXPECT(hosted_locks_taken > locks);
	memset(page, 0xee, 4096);
	kfree(page);
	EXPECT_EQ(page[8], 1);
	EXPECT(kalloc() == page);
	EXPECT_EQ(loam_runs_check(&compat->runs), 0);
	hosted_memory_destroy();
}

TEST(page_misuse, "S2.15 S2.20 a wrong free of a page panics, as in xv6")
{
	machine(16, MIB, 2 * MIB);
	kinit1(virt(2 * MIB), virt(4 * MIB));
	char *page = kalloc();
	EXPECT_PANIC(kfree(page + 1), "misaligned");
	kfree(page);
	EXPECT_PANIC(kfree(page), "already free");
	/* Outside of it and of any heap, it is nobody's. */
	unsigned long reports = loam_misuse_count();
	kfree(virt(MIB));
	kfree(virt(4 * MIB));
	EXPECT_EQ(loam_misuse_count(), reports + 2);
	/* Again, or in the wrong order. */
	kinit1(virt(2 * MIB), virt(4 * MIB));
	EXPECT_LOG("a second one");
	kinit2(virt(4 * MIB), virt(8 * MIB));
	kinit2(virt(4 * MIB), virt(8 * MIB));
	EXPECT_EQ(loam_misuse_count(), reports + 4);
	memset(compat, 0, sizeof(*compat));
	kinit2(virt(4 * MIB), virt(8 * MIB));
	EXPECT_LOG("there was no kinit1");
	kinit1(virt(4 * MIB), virt(4 * MIB));
	EXPECT_LOG("not such a range");
	EXPECT(kalloc() == NULL);
	hosted_memory_destroy();
}

TEST(temporary, "S2.2 S2.3 kalloc_temp is for boot, and refused afterwards")
{
	machine(16, MIB, 2 * MIB);
	unsigned char *first = kalloc_temp(100);
	unsigned char *second = kalloc_temp(5000);
	EXPECT(first == virt(2 * MIB));
	EXPECT(second == first + 112);
	EXPECT(kalloc_temp(0) == NULL);
	EXPECT(kalloc_temp(64 * MIB) == NULL);
	kinit1(virt(3 * MIB), virt(4 * MIB));
	EXPECT(kalloc_temp(16) != NULL);
	kinit2(virt(4 * MIB), virt(16 * MIB));
	unsigned long reports = loam_misuse_count();
	EXPECT(kalloc_temp(100) == NULL);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("kalloc_temp after kinit2");
	hosted_memory_destroy();
}

/* ------------------------------------------------------- all at once */

TEST(both_frees, "S1.28 S2.1 kfree tells blocks of the heap from pages")
{
	static _Alignas(4096) unsigned char room[SIZE];
	machine(16, MIB, 2 * MIB);
	kinit1(virt(2 * MIB), virt(4 * MIB));
	struct loam_heap best;
	const struct loam_heap_config config = { .start = room,
						 .size_bytes = sizeof(room) };
	EXPECT_EQ(loam_heap_create(&best, &loam_heap_tlsf, &config), 0);
	loam_compat_use_heap(compat, &best);
	char *page = kalloc();
	char *block = kmalloc(100);
	EXPECT(page != NULL && block != NULL);
	EXPECT_EQ(compat->runs.free_pages, 511);
	kfree(block);
	EXPECT_EQ(best.live_blocks, 0);
	EXPECT_EQ(compat->runs.free_pages, 511);
	kfree(page);
	EXPECT_EQ(compat->runs.free_pages, 512);
	unsigned long reports = loam_misuse_count();
	kfree(block);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("heap tlsf: free of 0x");
	loam_compat_use_heap(compat, NULL);
	hosted_memory_destroy();
}

/* SPDX-License-Identifier: MIT */
/* A program over the seeds' names: includes the compatibility header alone. */
#include <loam/compat.h>

/*
 * What a kernel of one of the documents would be: it supplies the two functions
 * that Loam asks of its host, and uses the bare names. tests/checks/ builds it
 * freestanding with both compilers for both widths, and runs it. main returns
 * the line of the first thing that is not as it should be, or 0.
 */

#define MEMORY_BYTES (128u * 1024 * 1024)
#define MIB (1024u * 1024)

static _Alignas(4096) unsigned char memory[MEMORY_BYTES];

void *loam_host_phys_to_virt(loam_phys_t phys)
{
	return phys < MEMORY_BYTES ? memory + phys : NULL;
}

_Noreturn void loam_host_panic(const char *message)
{
	(void)message;
	__builtin_trap();
}

#define MUST(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			return __LINE__;                                       \
		}                                                              \
	} while (0)

static int block_heap(void)
{
	static HEAP_BLOCK_TABLE_ENTRY entries[16];
	heap_table_t table = { .entries = entries, .total = 16 };
	heap_t heap;
	struct heap *same = &heap;
	unsigned char *start = memory + 8 * MIB;
	MUST(create_heap(&heap, &table, start + 1, 65536) == -EINVARG);
	MUST(create_heap(&heap, &table, start, 65536) == 0);
	MUST(heap_malloc(&heap, 5000) == start);
	MUST(entries[0] == (HEAP_BLOCK_TABLE_ENTRY_TAKEN | HEAP_BLOCK_IS_FIRST |
			    HEAP_BLOCK_HAS_NEXT));
	heap_free(&heap, start);
	MUST(entries[0] == HEAP_BLOCK_TABLE_ENTRY_FREE);
	MUST(heap_create(same, start, start + 65536, &table) == 0);
	MUST(heap_get_start_block(same, 3) == 0);
	heap_mark_blocks_taken(same, 0, 3);
	MUST(heap_get_start_block(same, 3) == 3);
	MUST(heap_get_start_block(same, 14) < 0);
	return 0;
}

static int kernel_heap(void)
{
	MUST(kmalloc(1) == NULL);
	kheap_init();
	unsigned char *block = kmalloc(10000);
	MUST(block == memory + VANA_HEAP_ADDRESS);
	MUST(memory[VANA_HEAP_TABLE_ADDRESS] == 0xc1);
	MUST(ksize(block) == 3 * VANA_HEAP_BLOCK_SIZE);
	memset(block, 0x55, 10000);
	unsigned char *copy = kzalloc(10000);
	MUST(copy != NULL && copy[0] == 0 && copy[9999] == 0);
	memcpy(copy, block, 10000);
	MUST(memcmp(copy, block, 10000) == 0);
	kfree(block);
	kfree(copy);
	kfree(NULL);
	MUST(memory[VANA_HEAP_TABLE_ADDRESS] == 0);
	return 0;
}

static int page_list(void)
{
	unsigned char *early = kalloc_temp(100);
	MUST(early == memory + 2 * MIB);
	kinit1(memory + 3 * MIB, memory + 4 * MIB);
	char *page = kalloc();
	MUST((unsigned char *)page == memory + 4 * MIB - 4096);
	kinit2(memory + 4 * MIB, memory + 8 * MIB);
	kfree(page);
	struct run *run = (struct run *)(void *)page;
	MUST((unsigned char *)run->next == memory + 8 * MIB - 4096);
	MUST(kalloc() == page && page[8] == 1);
	return 0;
}

static int types(void)
{
	static buddy_t buddy;
	node_t node = { .size = (int)sizeof(node_t), .next = NULL };
	block_header_t header = { .size = 100, .magic = 0 };
	MUST(buddy.base == 0 && buddy.size == 0 && buddy.map_size == 0);
	MUST(buddy.map == NULL && buddy.max_order == 0);
	MUST(sizeof(buddy.free_lists) / sizeof(buddy.free_lists[0]) ==
	     MAX_ORDER + 1);
	MUST(node.next == NULL && header.size == 100);
	MUST(PHYS_TO_VIRT(VIRT_TO_PHYS(0xC0100000)) == 0xC0100000);
	MUST(KERNEL_BASE == 0xC0000000);
	MUST(HEAP_START_ADDR == 0xD0000000);
	return 0;
}

int main(void)
{
	const MemoryMapEntry map[] = {
		{ .base = 0, .length = 0x9fc00, .type = 1, .attributes = 1 },
		{ .base = MIB,
		  .length = MEMORY_BYTES - MIB,
		  .type = 1,
		  .attributes = 1 },
	};
	int line = types();
	if (line == 0 &&
	    loam_compat_memory(&loam_compat_state, map, 2, MIB, 2 * MIB) != 0) {
		line = __LINE__;
	}
	line = line != 0 ? line : block_heap();
	line = line != 0 ? line : kernel_heap();
	line = line != 0 ? line : page_list();
	return line == 0 ? 0 : 1 + line % 255;
}

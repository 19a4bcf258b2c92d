/* SPDX-License-Identifier: MIT */
/* What is behind the seeds' bare names: types, the instance, functions. */
#ifndef LOAM_COMPAT_CORE_H
#define LOAM_COMPAT_CORE_H

#include <loam/boot.h>
#include <loam/heap.h>
#include <loam/mem.h>

/*
 * For <loam/compat.h>, which is what programs include. Names that a kernel's
 * own headers have, and give another value, are there and not here: the library
 * is compiled with such a kernel's configuration.
 */

/* ------------------------------------------------------- the configuration */

#define VANA_HEAP_SIZE_BYTES 104857600
#define VANA_HEAP_BLOCK_SIZE 4096
#define VANA_HEAP_ADDRESS 0x01000000
#define VANA_HEAP_TABLE_ADDRESS 0x00007E00
#define VANA_PROGRAM_VIRTUAL_ADDRESS 0x400000
#define VANA_USER_PROGRAM_STACK_SIZE (1024 * 16)
#define VANA_PROGRAM_VIRTUAL_STACK_ADDRESS_START 0x3FF000

/* The window of the heap that grows like sbrk(). */
#define HEAP_START_ADDR 0xD0000000u
#define HEAP_LIMIT_BYTES 0x00400000u

/* What a failed validation returns, negated. */
#define EINVARG LOAM_EINVAL

/* ------------------------------------------------------- types */

/* A segment of memory as INT 15h, EAX=E820h writes it: 24 bytes. */
typedef struct loam_memmap_entry MemoryMapEntry;

/* One byte for each block of VANA_HEAP_BLOCK_SIZE bytes. */
typedef unsigned char HEAP_BLOCK_TABLE_ENTRY;

#define HEAP_BLOCK_TABLE_ENTRY_TAKEN LOAM_HEAP_BLOCK_TAKEN
#define HEAP_BLOCK_TABLE_ENTRY_FREE 0x00u
#define HEAP_BLOCK_IS_FIRST LOAM_HEAP_BLOCK_IS_FIRST
#define HEAP_BLOCK_HAS_NEXT LOAM_HEAP_BLOCK_HAS_NEXT

typedef struct heap_table {
	HEAP_BLOCK_TABLE_ENTRY *entries;
	size_t total;
} heap_table_t;

typedef struct heap {
	void *saddr; /* of block 0 */
	struct heap_table *table;
	struct loam_heap blocks; /* Loam's instance; private */
} heap_t;

/* What a free page of the list begins with. */
struct run {
	struct run *next;
};

/* The header of a variable-size list's block, as its document has it. */
typedef struct __node_t {
	int size;
	struct __node_t *next;
} node_t;

/* What stands before a block of the buddy heap. */
typedef struct block_header {
	size_t size;
	uint32_t magic;
} block_header_t;

LOAM_STATIC_ASSERT(sizeof(MemoryMapEntry) == 24, "as the BIOS writes it");
LOAM_STATIC_ASSERT(sizeof(struct run) == sizeof(struct loam_run), "the same");
LOAM_STATIC_ASSERT(sizeof(block_header_t) == sizeof(struct loam_heap_header),
		   "the same");
LOAM_STATIC_ASSERT(VANA_HEAP_BLOCK_SIZE == LOAM_HEAP_BLOCK_SIZE, "one core");

/* ------------------------------------------------------- the one instance */

#define LOAM_COMPAT_RANGES 128u  /* of the memory map */
#define LOAM_COMPAT_REGIONS 64u  /* that kalloc_temp() may know of */
#define LOAM_COMPAT_PAGES 65536u /* whose double free kfree() finds: 256 MiB */

struct loam_compat {
	struct heap kernel_heap; /* kheap_init()'s */
	struct heap_table kernel_heap_table;
	struct loam_heap *heap; /* behind kmalloc(), or NULL */
	struct loam_runs runs;  /* behind kalloc() */
	bool has_runs;
	bool has_memory;
	struct loam_memmap map;
	struct loam_memblock memblock;
	loam_phys_t kernel_start; /* no heap overlaps [start, end) */
	loam_phys_t kernel_end;
	struct loam_mem_range ranges[LOAM_COMPAT_RANGES];
	struct loam_memblock_region regions[LOAM_COMPAT_REGIONS];
	uint32_t free_map[LOAM_RUNS_MAP_WORDS(LOAM_COMPAT_PAGES)];
};

/*
 * Says what memory there is and where the kernel lies in it (physical; start ==
 * end: nowhere). From then on heaps are refused that are not wholly in usable
 * memory or overlap the kernel, and kalloc_temp() works. Until then the layout
 * is unknown, and a heap is refused for what it is alone. Call it once.
 * -LOAM_EINVAL, nothing changed: nothing of it is usable, or the kernel's range
 * is reversed. O(count log count).
 */
int loam_compat_memory(struct loam_compat *compat,
		       const MemoryMapEntry *entries, size_t count,
		       loam_phys_t kernel_start, loam_phys_t kernel_end);

/* Puts a heap of any design behind kmalloc(), or, with NULL, none. */
static inline void loam_compat_use_heap(struct loam_compat *compat,
					struct loam_heap *heap)
{
	compat->heap = heap;
}

/* ------------------------------------------------------- functions */

/* What the names below are. `compat` has the layout, and kmalloc()'s heap. */
int loam_compat_create_heap(const struct loam_compat *compat, heap_t *heap,
			    heap_table_t *table, void *start,
			    size_t size_bytes);
int loam_compat_heap_create(const struct loam_compat *compat, heap_t *heap,
			    void *start, void *end, heap_table_t *table);
int loam_compat_start_block(heap_t *heap, uint32_t count_blocks);
void loam_compat_mark_taken(heap_t *heap, int first, int count_blocks);
void loam_compat_heap_free(heap_t *heap, void *block);
void loam_compat_kheap_init(struct loam_compat *compat);
void loam_compat_kfree(struct loam_compat *compat, void *block);
void loam_compat_kinit1(struct loam_compat *compat, void *start, void *end);
void loam_compat_kinit2(struct loam_compat *compat, void *start, void *end);
void *loam_compat_kalloc_temp(struct loam_compat *compat, size_t size_bytes);

#endif

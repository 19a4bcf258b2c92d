/* SPDX-License-Identifier: MIT */
/* The block heap: one byte of state for each 4 KiB, first fit. */
#include "heap_int.h"

/*
 * A table of blocks
 * =================
 *
 *   table   | c1 | 81 | 01 | 41 | 00 | 00 | c1 | 01 | 00 ...
 *   blocks  |<- 3 blocks ->| 1  |  free   |<-  2  ->| free
 *
 * The range is cut into blocks of 4 KiB, and a table has a byte for each. A
 * request is rounded up to whole blocks and gets the first run of free ones
 * that is long enough. In the table, a byte of a free block is 0; of a taken
 * one it has TAKEN (01), HAS_NEXT (80) unless it is the last of its run, and
 * IS_FIRST (40) if it is the first. There is nothing else: no header, so that
 * a block is a page, aligned as one, and nothing its user writes can harm the
 * heap; and no size, which is told by walking the run.
 *
 * The table is the caller's, or takes the first pages of the range. With an
 * owner, the blocks up to the highest that was taken are mapped; when the
 * highest run is freed, and 16 blocks or more behind the then highest are
 * mapped in vain, all of those are returned.
 *
 * Three things make the scan fast without changing what it finds. It begins at
 * the lowest block that may be free. The table is read a word at a time. And a
 * bitmap with a bit for each group of 64 blocks (or more, for ranges above
 * 256 MiB: 1024 bits have to do) tells which groups certainly have no free
 * block, by a clear bit. Free sets bits; a scan that finds nothing in a group
 * clears its bit, so that each group is scanned in vain at most once for each
 * time it was freed into.
 *
 * Cost: alloc of one block reads, but for that, 32 words of bitmap and 64
 * bytes of table at most. A run of n > 1 blocks may have to pass over all
 * shorter runs: O(total / word size). Free and usable O(n), eight bytes at a
 * time. A request of s bytes wastes 4096 - s mod 4096; first fit needs at
 * most about M log2 n for M bytes of live memory, the largest of them n
 * blocks (Robson 1977).
 *
 * Sources: the table and its flags are those of the classic teaching kernels;
 * first fit, Knuth, TAOCP 1, 2.5; zero bytes in a word, Warren, Hacker's
 * Delight, 6-1.
 *
 * Invariants, all verified by check:
 *
 *   - a taken run begins with IS_FIRST, all of its bytes but the last have
 *     HAS_NEXT, and it ends within the table; other bytes are 0;
 *   - top is the end of the highest run, and top <= mapped <= total;
 *   - the bit of each group with a free block is set, and none below low is
 *     free;
 *   - the mapped pages are the table's, if it is ours, and those up to mapped.
 */

#define BLOCK_TAKEN LOAM_HEAP_BLOCK_TAKEN
#define BLOCK_FIRST LOAM_HEAP_BLOCK_IS_FIRST
#define BLOCK_NEXT LOAM_HEAP_BLOCK_HAS_NEXT
#define BLOCK_SIZE ((size_t)LOAM_HEAP_BLOCK_SIZE)
LOAM_STATIC_ASSERT(LOAM_HEAP_BLOCK_SIZE == LOAM_PAGE_SIZE,
		   "blocks are mapped one by one");

#define BLOCK_GROUP_SHIFT_MIN 6u

#define BLOCK_WORD sizeof(unsigned long)
#define BLOCK_ONES (~0ul / 255) /* each byte is 1 */

/* ------------------------------------------------------- scanning bytes */

static inline unsigned long block_word(const uint8_t *from)
{
	unsigned long word;
	__builtin_memcpy(&word, from, sizeof(word));
	return word;
}

LOAM_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
		   "a word's lowest byte is its first");

/* The first index in [from, to) with a byte of 0, or to. */
static inline size_t block_scan_free(const uint8_t *table, size_t from,
				     size_t to)
{
	while (to - from >= BLOCK_WORD) {
		unsigned long word = block_word(table + from);
		/* The lowest bit is right; what is above may be a borrow's. */
		unsigned long zeros =
			(word - BLOCK_ONES) & ~word & (BLOCK_ONES << 7);
		if (zeros != 0) {
			return from + loam_lowest_bit(zeros) / 8;
		}
		from += BLOCK_WORD;
	}
	while (from < to && table[from] != 0) {
		from++;
	}
	return from;
}

/* The first index in [from, to) with a byte that is not `value`, or to. */
static size_t block_scan_other(const uint8_t *table, size_t from, size_t to,
			       uint8_t value)
{
	while (to - from >= BLOCK_WORD &&
	       block_word(table + from) == BLOCK_ONES * value) {
		from += BLOCK_WORD;
	}
	while (from < to && table[from] == value) {
		from++;
	}
	return from;
}

/* The end of the last byte before `to` that is not 0, or 0. */
static size_t block_scan_back(const uint8_t *table, size_t to)
{
	while (to >= BLOCK_WORD && block_word(table + to - BLOCK_WORD) == 0) {
		to -= BLOCK_WORD;
	}
	while (to > 0 && table[to - 1] == 0) {
		to--;
	}
	return to;
}

/* ------------------------------------------------------- finding room */

static inline size_t block_groups(const struct loam_heap_blocks *blocks)
{
	return ((blocks->total - 1) >> blocks->group_shift) + 1;
}

/* The first free block at or after `from`, or total. */
static size_t block_find_free(struct loam_heap_blocks *blocks, size_t from)
{
	size_t groups = block_groups(blocks);
	while (from < blocks->total) {
		size_t group = from >> blocks->group_shift;
		size_t next =
			loam_bitmap_find(blocks->maybe_free, groups, group);
		if (next == groups) {
			return blocks->total;
		}
		size_t begin = next << blocks->group_shift;
		size_t end = (next + 1) << blocks->group_shift;
		from = next > group ? begin : from;
		end = end < blocks->total ? end : blocks->total;
		size_t at = block_scan_free(blocks->table, from, end);
		if (at < end) {
			return at;
		}
		if (from == begin) {
			loam_bitmap_clear(blocks->maybe_free, next);
		}
		from = end;
	}
	return blocks->total;
}

/* The first of the lowest `count` free blocks in a row, or total. */
static inline size_t block_find_run(struct loam_heap_blocks *blocks,
				    size_t count)
{
	size_t at = blocks->low;
	/* Mostly it is the one that was freed last below all others. */
	if (at == blocks->total || blocks->table[at] != 0) {
		at = block_find_free(blocks, at);
		blocks->low = at;
	}
	if (LOAM_LIKELY(count == 1)) {
		return at;
	}
	while (at < blocks->total && count <= blocks->total - at) {
		size_t end =
			block_scan_other(blocks->table, at + 1, at + count, 0);
		if (end == at + count) {
			return at;
		}
		at = block_find_free(blocks, end);
	}
	return blocks->total;
}

/* ------------------------------------------------------- runs */

/* Makes blocks up to `end` memory, which they may be. */
static inline bool block_reach(struct loam_heap *heap, size_t end)
{
	struct loam_heap_blocks *blocks = &heap->block;
	if (end <= blocks->mapped) {
		return true;
	}
	if (!loam_heap_map(heap, blocks->first + blocks->mapped * BLOCK_SIZE,
			   end - blocks->mapped)) {
		return false;
	}
	blocks->mapped = end;
	return true;
}

/* Marks [from, to) as the rest of a run, `first` on its first block. */
static inline void block_mark(struct loam_heap_blocks *blocks, size_t from,
			      size_t to, uint8_t first)
{
	if (LOAM_UNLIKELY(to - from > 1)) {
		memset(blocks->table + from, BLOCK_TAKEN | BLOCK_NEXT,
		       to - from);
	}
	blocks->table[to - 1] = BLOCK_TAKEN;
	blocks->table[from] |= first;
	if (to > blocks->top) {
		blocks->top = to;
	}
}

/* All from `from` on is free: returns pages if many are mapped in vain. */
static LOAM_NOINLINE void block_lower_top(struct loam_heap *heap, size_t from)
{
	struct loam_heap_blocks *blocks = &heap->block;
	blocks->top = block_scan_back(blocks->table, from);
	if (blocks->mapped - blocks->top >= HEAP_SLACK_PAGES) {
		loam_heap_unmap(heap, blocks->first + blocks->top * BLOCK_SIZE,
				blocks->mapped - blocks->top);
		blocks->mapped = blocks->top;
	}
}

/* Frees [from, to), which the table says is taken. */
static inline void block_clear(struct loam_heap *heap, size_t from, size_t to)
{
	struct loam_heap_blocks *blocks = &heap->block;
	blocks->low = from < blocks->low ? from : blocks->low;
	size_t first_group = from >> blocks->group_shift;
	size_t last_group = (to - 1) >> blocks->group_shift;
	blocks->table[from] = 0;
	loam_bitmap_set(blocks->maybe_free, first_group);
	if (LOAM_UNLIKELY(to - from > 1)) {
		memset(blocks->table + from, 0, to - from);
		loam_bitmap_set_range(blocks->maybe_free, first_group,
				      last_group - first_group + 1);
	}
	if (LOAM_UNLIKELY(to == blocks->top)) {
		block_lower_top(heap, from);
	}
}

/* The end of the run that begins at `at`, or 0: no sound run begins there. */
static inline size_t block_run_end(const struct loam_heap_blocks *blocks,
				   size_t at)
{
	const uint8_t *table = blocks->table;
	if (table[at] == (BLOCK_TAKEN | BLOCK_FIRST)) {
		return at + 1;
	}
	if (table[at] != (BLOCK_TAKEN | BLOCK_FIRST | BLOCK_NEXT)) {
		return 0;
	}
	size_t last = block_scan_other(table, at + 1, blocks->total,
				       BLOCK_TAKEN | BLOCK_NEXT);
	return last < blocks->total && table[last] == BLOCK_TAKEN ? last + 1
								  : 0;
}

/* The run that address is the first byte of; false, reported, if none is. */
static inline bool block_find(const struct loam_heap *heap, const void *address,
			      const char *verb, const void *caller, size_t *at,
			      size_t *end)
{
	const struct loam_heap_blocks *blocks = &heap->block;
	uintptr_t offset = (uintptr_t)address - (uintptr_t)blocks->first;
	if (offset < blocks->top * BLOCK_SIZE && offset % BLOCK_SIZE == 0) {
		size_t index = offset / BLOCK_SIZE;
		size_t run_end = block_run_end(blocks, index);
		if (run_end != 0) {
			*at = index;
			*end = run_end;
			return true;
		}
	}
	loam_heap_misuse(heap, caller, verb, address);
	return false;
}

/* ------------------------------------------------------- operations */

/* Finds a place for the table; false if the range or the table does not do. */
static bool block_lay_out(struct loam_heap *heap,
			  const struct loam_heap_config *config,
			  size_t *own_pages)
{
	struct loam_heap_blocks *blocks = &heap->block;
	size_t pages = heap->size_bytes >> LOAM_PAGE_SHIFT;
	*own_pages = 0;
	if (config->table == NULL) {
		*own_pages = loam_pages_of(pages);
		if (*own_pages >= pages) {
			return false;
		}
		blocks->table = heap->start;
	} else {
		uintptr_t offset =
			(uintptr_t)config->table - (uintptr_t)heap->start;
		if (config->table_entries != pages ||
		    offset < heap->size_bytes ||
		    offset > (uintptr_t)0 - pages) {
			return false;
		}
		blocks->table = config->table;
	}
	blocks->total = pages - *own_pages;
	blocks->first = heap->start + *own_pages * LOAM_PAGE_SIZE;
	return true;
}

static int block_create(struct loam_heap *heap,
			const struct loam_heap_config *config)
{
	struct loam_heap_blocks *blocks = &heap->block;
	size_t own_pages;
	if (!block_lay_out(heap, config, &own_pages)) {
		return -LOAM_EINVAL;
	}
	/* One block is had at once: who cannot give that cannot give any. */
	if (!loam_heap_map(heap, heap->start, own_pages + 1)) {
		return -LOAM_ENOMEM;
	}
	blocks->mapped = 1;
	blocks->group_shift = BLOCK_GROUP_SHIFT_MIN;
	while (block_groups(blocks) > LOAM_HEAP_GROUPS) {
		blocks->group_shift++;
	}
	memset(blocks->table, 0, blocks->total);
	loam_bitmap_set_range(blocks->maybe_free, 0, block_groups(blocks));
	return 0;
}

static void block_destroy(struct loam_heap *heap)
{
	loam_heap_unmap(heap, heap->start, heap->mapped_pages);
}

/* Makes [at, at + count), which are free, one live block. */
static inline bool block_take(struct loam_heap *heap, size_t at, size_t count)
{
	if (!block_reach(heap, at + count)) {
		return false;
	}
	block_mark(&heap->block, at, at + count, BLOCK_FIRST);
	if (at == heap->block.low) {
		heap->block.low = at + count;
	}
	heap_count_alloc(heap, count * BLOCK_SIZE);
	return true;
}

static void *block_alloc(struct loam_heap *heap, size_t size_bytes)
{
	struct loam_heap_blocks *blocks = &heap->block;
	if (size_bytes == 0) {
		return NULL;
	}
	size_t at = blocks->total;
	size_t count = 0;
	if (heap_can_hold(heap, size_bytes)) {
		count = loam_pages_of(size_bytes);
		at = block_find_run(blocks, count);
	}
	if (at == blocks->total || !block_take(heap, at, count)) {
		heap->failed++;
		return NULL;
	}
	return blocks->first + at * BLOCK_SIZE;
}

size_t loam_heap_block_find(struct loam_heap *heap, size_t count_blocks)
{
	struct loam_heap_blocks *blocks = &heap->block;
	size_t at = blocks->total;
	if (count_blocks - 1 < blocks->total) {
		at = block_find_run(blocks, count_blocks);
	}
	return at < blocks->total ? at : (size_t)-1;
}

bool loam_heap_block_take(struct loam_heap *heap, size_t first,
			  size_t count_blocks)
{
	const struct loam_heap_blocks *blocks = &heap->block;
	return first < blocks->total && count_blocks - 1 < blocks->total &&
	       count_blocks <= blocks->total - first &&
	       block_scan_other(blocks->table, first, first + count_blocks,
				0) == first + count_blocks &&
	       block_take(heap, first, count_blocks);
}

static void block_free(struct loam_heap *heap, void *address,
		       const void *caller)
{
	size_t at;
	size_t end;
	if (address != NULL &&
	    block_find(heap, address, "free", caller, &at, &end)) {
		heap_count_free(heap, (end - at) * BLOCK_SIZE);
		block_clear(heap, at, end);
	}
}

/* Takes the blocks [end, new_end) into the run that ends at `end`. */
static bool block_extend(struct loam_heap *heap, size_t end, size_t new_end)
{
	struct loam_heap_blocks *blocks = &heap->block;
	if (new_end > blocks->total ||
	    block_scan_other(blocks->table, end, new_end, 0) != new_end ||
	    !block_reach(heap, new_end)) {
		return false;
	}
	blocks->table[end - 1] |= BLOCK_NEXT;
	block_mark(blocks, end, new_end, 0);
	return true;
}

static void *block_resize(struct loam_heap *heap, void *address,
			  size_t size_bytes, const void *caller)
{
	size_t at;
	size_t end;
	if (address == NULL) {
		return block_alloc(heap, size_bytes);
	}
	if (size_bytes == 0) {
		block_free(heap, address, caller);
		return NULL;
	}
	if (!block_find(heap, address, "resize", caller, &at, &end)) {
		return NULL;
	}
	if (!heap_can_hold(heap, size_bytes)) {
		heap->failed++;
		return NULL;
	}
	size_t new_end = at + loam_pages_of(size_bytes);
	if (new_end < end) {
		heap->block.table[new_end - 1] &= (uint8_t)~BLOCK_NEXT;
		block_clear(heap, new_end, end);
	} else if (new_end > end && !block_extend(heap, end, new_end)) {
		void *moved = block_alloc(heap, size_bytes);
		if (moved != NULL) {
			memcpy(moved, address, (end - at) * BLOCK_SIZE);
			block_free(heap, address, caller);
		}
		return moved;
	}
	heap->live_bytes -= (end - at) * BLOCK_SIZE;
	heap_grew(heap, (new_end - at) * BLOCK_SIZE);
	return address;
}

static size_t block_usable(const struct loam_heap *heap, const void *address,
			   const void *caller)
{
	size_t at;
	size_t end;
	if (!block_find(heap, address, "usable", caller, &at, &end)) {
		return 0;
	}
	return (end - at) * BLOCK_SIZE;
}

static bool block_walk(const struct loam_heap *heap,
		       struct loam_heap_block *out)
{
	const struct loam_heap_blocks *blocks = &heap->block;
	size_t at = 0;
	if (out->address != NULL) {
		at = (size_t)(out->address - blocks->first) / BLOCK_SIZE +
		     out->size_bytes / BLOCK_SIZE;
		if (out->state == LOAM_HEAP_BROKEN) {
			return false;
		}
	}
	if (at >= blocks->mapped) {
		return false;
	}
	size_t end;
	enum loam_heap_state state;
	if (blocks->table[at] == 0) {
		state = LOAM_HEAP_FREE;
		end = block_scan_other(blocks->table, at, blocks->mapped, 0);
	} else {
		end = block_run_end(blocks, at);
		state = end != 0 ? LOAM_HEAP_LIVE : LOAM_HEAP_BROKEN;
		end = end != 0 ? end : at;
	}
	*out = (struct loam_heap_block){
		.address = blocks->first + at * BLOCK_SIZE,
		.size_bytes = (end - at) * BLOCK_SIZE,
		.state = state,
	};
	return true;
}

static int block_check(const struct loam_heap *heap)
{
	const struct loam_heap_blocks *blocks = &heap->block;
	size_t own = (size_t)(blocks->first - heap->start) >> LOAM_PAGE_SHIFT;
	LOAM_CHECK(blocks->top <= blocks->mapped);
	LOAM_CHECK(blocks->mapped <= blocks->total);
	LOAM_CHECK(own + blocks->mapped == heap->mapped_pages);
	for (size_t at = 0; at < blocks->total;) {
		if (blocks->table[at] == 0) {
			LOAM_CHECK(loam_bitmap_test(blocks->maybe_free,
						    at >> blocks->group_shift));
			LOAM_CHECK(at >= blocks->low);
			at++;
			continue;
		}
		size_t end = block_run_end(blocks, at);
		if (end == 0) {
			loam_log(LOAM_LOG_ERROR,
				 "check: heap block: entry %zu is 0x%02x", at,
				 blocks->table[at]);
			return -LOAM_EFAULT;
		}
		at = end;
	}
	LOAM_CHECK(blocks->top ==
		   block_scan_back(blocks->table, blocks->total));
	return loam_heap_check_counters(heap);
}

const struct loam_heap_ops loam_heap_block = {
	.name = "block",
	.max_bytes = (size_t)-1,
	.align_bytes = LOAM_HEAP_BLOCK_SIZE,
	.create = block_create,
	.alloc = block_alloc,
	.free = block_free,
	.resize = block_resize,
	.usable = block_usable,
	.walk = block_walk,
	.check = block_check,
	.destroy = block_destroy,
};

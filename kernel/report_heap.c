/* SPDX-License-Identifier: MIT */
/* The heap behind kmalloc: figures, a picture in characters, its blocks. */

#include <loam/bits.h>
#include <loam/mem.h>

#include "cmdline.h"
#include "console.h"
#include "heaps.h"
#include "kernel.h"
#include "report.h"

#define PICTURE_COLUMNS 64u
#define PICTURE_ROWS 12u
#define PICTURE_CELLS (PICTURE_COLUMNS * PICTURE_ROWS)
#define WALK_ROWS 40u

typedef unsigned long long ull;

/* What lies in each cell of the picture, in bytes. */
static struct {
	uintptr_t base;
	uintptr_t end; /* of the last block */
	size_t cell_bytes;
	uint32_t live[PICTURE_CELLS];
	uint32_t unused[PICTURE_CELLS];
} picture;

static int picture_find_end(void *arg, const struct loam_heap_block *block)
{
	(void)arg;
	picture.end = (uintptr_t)block->address + block->size_bytes;
	return 0;
}

/* Spreads a block over the cells that it lies in. */
static int picture_add(void *arg, const struct loam_heap_block *block)
{
	uint32_t *bytes =
		block->state == LOAM_HEAP_LIVE ? picture.live : picture.unused;
	size_t at = (uintptr_t)block->address - picture.base;
	size_t end = at + block->size_bytes;

	(void)arg;
	while (at < end) {
		size_t cell = at / picture.cell_bytes;
		size_t stop = (cell + 1) * picture.cell_bytes;
		stop = stop < end ? stop : end;
		bytes[cell < PICTURE_CELLS ? cell : PICTURE_CELLS - 1] +=
			(uint32_t)(stop - at);
		at = stop;
	}
	return 0;
}

static char picture_character(size_t cell)
{
	size_t live = picture.live[cell];

	if (live >= picture.cell_bytes - picture.cell_bytes / 8) {
		return '#';
	}
	if (live > picture.cell_bytes / 2) {
		return 'O';
	}
	if (live > 0) {
		return 'o';
	}
	return picture.unused[cell] > 0 ? '.' : '=';
}

/* The smallest power of two of bytes a cell that shows all of the heap. */
static void picture_gather(void)
{
	memset(&picture, 0, sizeof(picture));
	picture.base = (uintptr_t)kernel.heap.start;
	picture.end = picture.base;
	loam_kmalloc_heap_walk(&kernel.kmalloc, picture_find_end, NULL);
	picture.cell_bytes = 64;
	while (picture.cell_bytes * PICTURE_CELLS <
	       picture.end - picture.base) {
		picture.cell_bytes *= 2;
	}
	loam_kmalloc_heap_walk(&kernel.kmalloc, picture_add, NULL);
}

static void print_picture(void)
{
	char size[16];

	picture_gather();
	size_t used = picture.end - picture.base;
	size_t cells = (used + picture.cell_bytes - 1) / picture.cell_bytes;
	kprintf("  each character is %s: # live, O more than half, o some, "
		". free, = tables, headers\n",
		loam_format_size(size, picture.cell_bytes));
	for (size_t cell = 0; cell < cells;) {
		char row[PICTURE_COLUMNS + 1];
		unsigned column = 0;
		uintptr_t at = picture.base + cell * picture.cell_bytes;
		for (; column < PICTURE_COLUMNS && cell < cells; column++) {
			row[column] = picture_character(cell++);
		}
		row[column] = '\0';
		kprintf("  0x%08zx  %s\n", (size_t)at, row);
	}
}

static void print_frames(void)
{
	static const char *const consumers[] = { "page tables", "processes",
						 "kernel stacks", "heaps" };
	static const enum loam_owner owners[] = { LOAM_OWNER_TABLE,
						  LOAM_OWNER_USER,
						  LOAM_OWNER_STACK,
						  LOAM_OWNER_HEAP };
	uint64_t counts[LOAM_OWNER_COUNT];

	loam_frame_count_owners(&kernel.frames, counts);
	kprintf("frames: by %s", kernel.choice.list_frames
					 ? "the list through the free ones"
					 : "the buddy");
	if (kernel.choice.list_frames) {
		kprintf(" (%llu in the first step, %llu in the second)",
			(ull)kernel.list_first, (ull)kernel.list_rest);
	}
	kprintf("\n ");
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(owners); i++) {
		kprintf(" %s %llu%s", consumers[i], (ull)counts[owners[i]],
			i + 1 < LOAM_ARRAY_SIZE(owners) ? "," : "\n");
	}
}

void report_heap(void)
{
	struct loam_kmalloc_stats door;
	struct loam_heap_stats s;
	char a[16];
	char b[16];
	char c[16];

	loam_kmalloc_stats(&kernel.kmalloc, &door);
	kprintf("kmalloc: %s\n", heaps_name(&kernel.choice));
	if (!loam_kmalloc_heap_stats(&kernel.kmalloc, &s)) {
		kprintf("  live %s in slabs (see slabs), %s in %llu large "
			"blocks; %llu requests failed\n",
			loam_format_size(a, door.slab_bytes),
			loam_format_size(b, door.large_bytes),
			(ull)door.large_blocks, (ull)door.failed);
		print_frames();
		return;
	}
	kprintf("  range 0x%08zx, at most %s, of which %s are memory (most "
		"ever %s)\n",
		(size_t)(uintptr_t)kernel.heap.start,
		loam_format_size(a, kernel.heap.size_bytes),
		loam_format_size(b, s.mapped_bytes),
		loam_format_size(c, s.peak_mapped_bytes));
	kprintf("  live  %6zu blocks, %s (most ever %s)\n", s.live_blocks,
		loam_format_size(a, s.live_bytes),
		loam_format_size(b, s.peak_live_bytes));
	kprintf("  free  %6zu blocks, %s, the largest %s\n", s.free_blocks,
		loam_format_size(a, s.free_bytes),
		loam_format_size(b, s.largest_free_bytes));
	kprintf("  %llu allocations, %llu frees, %llu refused; past the heap "
		"%s in %llu large blocks\n",
		(ull)s.allocs, (ull)s.frees, (ull)s.failed,
		loam_format_size(a, door.large_bytes), (ull)door.large_blocks);
	print_picture();
	print_frames();
}

/* How far `heap walk` has come. */
struct walk_rows {
	uint64_t shown;
	uint64_t most;
	uint64_t blocks;
};

static int print_block(void *arg, const struct loam_heap_block *block)
{
	static const char *const states[] = {
		[LOAM_HEAP_LIVE] = "live",
		[LOAM_HEAP_FREE] = "free",
		[LOAM_HEAP_BROKEN] = "BROKEN",
	};
	struct walk_rows *rows = arg;

	rows->blocks++;
	if (rows->shown < rows->most || block->state == LOAM_HEAP_BROKEN) {
		rows->shown++;
		kprintf("  0x%08zx  %10zu  %6zu  %s\n",
			(size_t)(uintptr_t)block->address, block->size_bytes,
			block->header_bytes, states[block->state]);
	}
	return 0;
}

int report_heap_walk(const char *argument)
{
	struct walk_rows rows = { .most = WALK_ROWS };

	if (argument[0] != '\0' && !cmdline_number(argument, &rows.most)) {
		kprintf("heap walk [ROWS], not \"%s\"\n", argument);
		return -LOAM_EINVAL;
	}
	if (kernel.choice.heap == LOAM_BOOT_SLAB) {
		kprintf("the slabs are no list of blocks; see slabs\n");
		return 0;
	}
	kprintf("  address          bytes  header  state\n");
	loam_kmalloc_heap_walk(&kernel.kmalloc, print_block, &rows);
	kprintf("  %llu blocks, %llu shown\n", (ull)rows.blocks,
		(ull)rows.shown);
	return 0;
}

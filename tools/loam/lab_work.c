/* SPDX-License-Identifier: MIT */
/* Workloads: a growing list of operations, and the slots of live blocks. */
#include "lab_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *lab_grow(void *memory, size_t count, size_t size_bytes)
{
	size_t bytes;
	void *larger = NULL;
	if (!__builtin_mul_overflow(count, size_bytes, &bytes)) {
		larger = realloc(memory, bytes != 0 ? bytes : 1);
	}
	if (larger == NULL) {
		fputs("loam lab: out of memory\n", stderr);
		exit(1);
	}
	return larger;
}

void lab_work_init(struct lab_work *work)
{
	memset(work, 0, sizeof(*work));
}

void lab_work_fini(struct lab_work *work)
{
	free(work->ops);
	free(work->sizes);
	free(work->spare);
	memset(work, 0, sizeof(*work));
}

static void work_add(struct lab_work *work, enum lab_kind kind, uint32_t slot,
		     uint32_t size_bytes)
{
	if (work->count == work->capacity) {
		work->capacity = work->capacity * 2 + 1024;
		work->ops = lab_grow(work->ops, work->capacity,
				     sizeof(work->ops[0]));
	}
	work->ops[work->count++] = (struct lab_op){
		.slot_kind = slot * 4 + (uint32_t)kind,
		.size = size_bytes,
	};
}

/* The slot's block had one size and now has another; 0 is no block. */
static void work_set_size(struct lab_work *work, uint32_t slot,
			  uint32_t size_bytes)
{
	work->live_bytes += size_bytes;
	work->live_bytes -= work->sizes[slot];
	work->live_blocks += size_bytes != 0;
	work->live_blocks -= work->sizes[slot] != 0;
	work->sizes[slot] = size_bytes;
	if (size_bytes > work->largest) {
		work->largest = size_bytes;
	}
	if (work->live_bytes >= work->peak_live_bytes) {
		work->peak_live_bytes = work->live_bytes;
		work->peak_at = work->count - 1;
	}
	if (work->live_blocks > work->peak_live_blocks) {
		work->peak_live_blocks = work->live_blocks;
	}
}

/* A slot without a block. */
static uint32_t work_take_slot(struct lab_work *work)
{
	if (work->spare_count > 0) {
		return work->spare[--work->spare_count];
	}
	if (work->slots == LAB_SLOTS_MAX) {
		return LAB_NO_SLOT;
	}
	if (work->slots == work->slots_room) {
		work->slots_room = work->slots_room * 2 + 1024;
		work->sizes = lab_grow(work->sizes, work->slots_room,
				       sizeof(work->sizes[0]));
		work->spare = lab_grow(work->spare, work->slots_room,
				       sizeof(work->spare[0]));
	}
	work->sizes[work->slots] = 0;
	return work->slots++;
}

uint32_t lab_work_alloc(struct lab_work *work, uint32_t size_bytes)
{
	uint32_t slot = work_take_slot(work);
	if (slot != LAB_NO_SLOT) {
		work_add(work, LAB_ALLOC, slot, size_bytes);
		work_set_size(work, slot, size_bytes);
		work->allocs++;
	}
	return slot;
}

void lab_work_free(struct lab_work *work, uint32_t slot)
{
	work_add(work, LAB_FREE, slot, 0);
	work_set_size(work, slot, 0);
	work->spare[work->spare_count++] = slot;
	work->frees++;
}

void lab_work_resize(struct lab_work *work, uint32_t slot, uint32_t size_bytes)
{
	work_add(work, LAB_RESIZE, slot, size_bytes);
	work_set_size(work, slot, size_bytes);
	work->resizes++;
}

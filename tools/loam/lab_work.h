/* SPDX-License-Identifier: MIT */
/* A workload of the laboratory: operations in order, and what they sum to. */
#ifndef LOAM_LAB_WORK_H
#define LOAM_LAB_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_kind { LAB_ALLOC, LAB_FREE, LAB_RESIZE };

/*
 * One operation, in 8 bytes. A slot is a place for the address of a live block;
 * it is used again once the block is free, so there are only as many as blocks
 * are live at once.
 */
struct lab_op {
	uint32_t slot_kind; /* slot * 4 + enum lab_kind */
	uint32_t size;      /* asked for; 0 for LAB_FREE */
};

#define LAB_SLOTS_MAX ((uint32_t)1 << 30)
#define LAB_NO_SLOT UINT32_MAX

static inline uint32_t lab_slot(struct lab_op op)
{
	return op.slot_kind >> 2;
}

static inline enum lab_kind lab_kind(struct lab_op op)
{
	return (enum lab_kind)(op.slot_kind & 3);
}

struct lab_work {
	struct lab_op *ops;
	size_t count;
	size_t capacity;
	size_t timed_from; /* operations before this one only prepare */
	/* What they amount to, kept as they are added. */
	size_t allocs;
	size_t frees;
	size_t resizes;
	uint64_t live_bytes; /* asked for and not freed */
	uint64_t peak_live_bytes;
	size_t peak_at; /* the last operation after which they peak */
	size_t live_blocks;
	size_t peak_live_blocks;
	uint32_t largest;
	/* Slots. */
	uint32_t slots;      /* that were ever used */
	uint32_t slots_room; /* of the two arrays */
	uint32_t *sizes;     /* of each slot's block; 0: it has none */
	uint32_t *spare;     /* a stack of slots without a block */
	uint32_t spare_count;
};

/* realloc() that ends the tool, with a word, where there is no memory. */
void *lab_grow(void *memory, size_t count, size_t size_bytes);

void lab_work_init(struct lab_work *work);
void lab_work_fini(struct lab_work *work);

/* A block of size_bytes, not 0. Its slot, or LAB_NO_SLOT: too many are live. */
uint32_t lab_work_alloc(struct lab_work *work, uint32_t size_bytes);

/* The slot's block, which is live, is freed, or gets another size, not 0. */
void lab_work_free(struct lab_work *work, uint32_t slot);
void lab_work_resize(struct lab_work *work, uint32_t slot, uint32_t size_bytes);

#endif

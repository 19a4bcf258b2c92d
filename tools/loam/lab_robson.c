/* SPDX-License-Identifier: MIT */
/* Robson's adversary: who sees a heap's addresses can make it fragment. */
#include <stdlib.h>

#include "lab_generate.h"
#include "lab_run.h"

/*
 * Robson's worst case
 * ===================
 *
 * No heap that does not move blocks can do with less than about
 * M (log2 n / 2 + 1) bytes for M live bytes in blocks of 1 to n units: this
 * program forces it to. It allocates blocks of powers of two, first M bytes
 * of the smallest. In step k, with blocks of 2^k units next, it chooses an
 * offset f below 2^k, which is the last step's or that plus 2^(k-1), and frees
 * every block that has no unit at a place congruent to f modulo 2^k. What stays
 * has such a place in every stretch of 2^k units, so none of the next size fits
 * between; then it allocates as many of these as M permits. Of the two offsets
 * it takes the one that leaves less behind in each stretch it blocks.
 *
 * A unit is the smallest power of two that holds the plan's smallest size and
 * the heap's header; a request is made so that with its header it fills its
 * units. M is the plan's objects times a unit.
 *
 * Source: Robson, Bounds for some functions concerning dynamic storage
 * allocation, JACM 21 (3), 1974, and its retelling by Cohen and Petrank,
 * Limitations of partial compaction, PLDI 2013.
 */

#define UNIT_MIN 64u

struct block {
	void *address;
	uint64_t start; /* of the header, in units of the window */
	uint64_t units;
	uint32_t slot;
};

struct adversary {
	struct lab_subject *subject;
	size_t unit;
	size_t header;
	uint64_t budget; /* M, in units */
	uint64_t live;   /* units */
	struct block *blocks;
	size_t count;
	size_t room;
};

/* A place congruent to f modulo step lies in the block. */
static bool occupies(const struct block *block, uint64_t f, uint64_t step)
{
	uint64_t before = (block->start - f) & (step - 1);
	return before == 0 || step - before < block->units;
}

/* One more block of so many units. False: the heap has none. */
static bool take(struct adversary *adversary, uint64_t units)
{
	struct lab_subject *subject = adversary->subject;
	size_t size = (size_t)units * adversary->unit - adversary->header;
	void *address =
		subject->heap.design->kind->alloc(subject->heap.state, size);
	uint32_t slot = lab_work_alloc(&subject->own, (uint32_t)size);
	if (address == NULL || slot == LAB_NO_SLOT) {
		return false;
	}
	if (adversary->count == adversary->room) {
		adversary->room = adversary->room * 2 + 1024;
		adversary->blocks = lab_grow(adversary->blocks, adversary->room,
					     sizeof(adversary->blocks[0]));
	}
	uintptr_t place = (uintptr_t)address - adversary->header -
			  (uintptr_t)subject->heap.window;
	adversary->blocks[adversary->count++] = (struct block){
		.address = address,
		.start = place / adversary->unit,
		.units = units,
		.slot = slot,
	};
	adversary->live += units;
	return true;
}

/* What an offset is worth: the room that the blocks it keeps will spoil. */
static uint64_t worth(const struct adversary *adversary, uint64_t f,
		      uint64_t step)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < adversary->count; i++) {
		if (occupies(&adversary->blocks[i], f, step)) {
			sum += step - adversary->blocks[i].units;
		}
	}
	return sum;
}

static void free_others(struct adversary *adversary, uint64_t f, uint64_t step)
{
	struct lab_subject *subject = adversary->subject;
	size_t kept = 0;
	for (size_t i = 0; i < adversary->count; i++) {
		struct block block = adversary->blocks[i];
		if (occupies(&block, f, step)) {
			adversary->blocks[kept++] = block;
			continue;
		}
		subject->heap.design->kind->free(subject->heap.state,
						 block.address);
		lab_work_free(&subject->own, block.slot);
		adversary->live -= block.units;
	}
	adversary->count = kept;
}

static void fill_up(struct adversary *adversary, uint64_t units)
{
	bool good = true;
	while (good && adversary->live + units <= adversary->budget) {
		good = take(adversary, units);
	}
}

/* What is in front of a block of this heap. */
static size_t probe_header(struct lab_subject *subject)
{
	const struct lab_kind_ops *kind = subject->heap.design->kind;
	void *block = kind->alloc(subject->heap.state, 64);
	size_t header = 0;
	if (block != NULL) {
		header = kind->header(&subject->heap, block);
		kind->free(subject->heap.state, block);
	}
	return header;
}

void lab_robson(struct lab_subject *subject, const struct lab_plan *plan)
{
	const struct lab_kind_ops *kind = subject->heap.design->kind;
	lab_work_init(&subject->own);
	subject->work = &subject->own;
	if (!kind->open(&subject->heap)) {
		subject->why_not = "it does not start over this window";
		return;
	}
	struct adversary adversary = {
		.subject = subject,
		.unit = UNIT_MIN,
		.header = probe_header(subject),
		.budget = plan->objects,
	};
	while (adversary.unit < plan->min + adversary.header) {
		adversary.unit *= 2;
	}
	fill_up(&adversary, 1);
	uint64_t f = 0;
	for (uint64_t step = 2; step * adversary.unit <= plan->max; step *= 2) {
		if (worth(&adversary, f + step / 2, step) >
		    worth(&adversary, f, step)) {
			f += step / 2;
		}
		free_others(&adversary, f, step);
		fill_up(&adversary, step);
	}
	for (size_t i = 0; i < adversary.count; i++) {
		kind->free(subject->heap.state, adversary.blocks[i].address);
	}
	free(adversary.blocks);
	kind->close(&subject->heap);
}

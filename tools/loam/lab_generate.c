/* SPDX-License-Identifier: MIT */
/* The generators: sizes by distribution, lifetimes by pattern. */
#include "lab_generate.h"

#include <stdlib.h>

#include "platform.h"

/*
 * Sizes and lifetimes
 * ===================
 *
 * The first three differ in their sizes. They fill the heap with so many
 * objects, and then free one at random and allocate another so many times;
 * only these pairs are timed. The others have log-uniform sizes and differ in
 * who is freed when. Everything is done in integers, so that a seed means the
 * same operations with every compiler and library.
 */

/* A draw of sizes. */
struct draw {
	uint64_t state; /* of the generator */
	uint32_t min;
	uint32_t max;
	uint32_t log_min; /* log2, in 1/65536 */
	uint32_t log_max;
	uint32_t (*size)(struct draw *draw);
};

/* One of [0, count), count not 0. */
static size_t draw_below(struct draw *draw, size_t count)
{
	uint64_t random = hosted_random(&draw->state) >> 11;
	return (size_t)(random % count);
}

/*
 * 2^(log/65536), rounded down: a factor 2^(2^-k) for each bit of the fraction.
 * They are in 1/2^32, from 2^(1/2) on; log is below 32 * 65536.
 */
static uint32_t exp2_fixed(uint32_t log)
{
	static const uint64_t roots[16] = {
		6074000999u, 5107605667u, 4683695047u, 4485121743u,
		4389014833u, 4341736423u, 4318288543u, 4306612133u,
		4300785773u, 4297875550u, 4296421177u, 4295694174u,
		4295330720u, 4295149004u, 4295058149u, 4295012722u,
	};
	uint64_t value = UINT64_C(1) << 31;
	for (unsigned k = 0; k < 16; k++) {
		if ((log >> (15 - k) & 1) != 0) {
			value = value * (roots[k] >> 1) >> 31;
		}
	}
	return (uint32_t)(value >> (31 - (log >> 16)));
}

/* The largest log whose power, rounded down, is at most value, not 0. */
static uint32_t log2_fixed(uint32_t value)
{
	uint32_t log = 0;
	for (uint32_t bit = (uint32_t)1 << 20; bit != 0; bit >>= 1) {
		if (exp2_fixed(log | bit) <= value) {
			log |= bit;
		}
	}
	return log;
}

static uint32_t size_uniform(struct draw *draw)
{
	return draw->min +
	       (uint32_t)draw_below(draw, (size_t)draw->max - draw->min + 1);
}

static uint32_t size_log_uniform(struct draw *draw)
{
	size_t span = (size_t)draw->log_max - draw->log_min + 1;
	uint32_t log = draw->log_min + (uint32_t)draw_below(draw, span);
	uint32_t size = exp2_fixed(log);
	size = size < draw->min ? draw->min : size;
	return size > draw->max ? draw->max : size;
}

/* Nine of ten are within twice the smallest, one from half the largest on. */
static uint32_t size_bimodal(struct draw *draw)
{
	struct draw part = *draw;
	if (draw_below(&part, 10) != 0) {
		part.max =
			draw->max / 2 < draw->min ? draw->max : draw->min * 2;
		part.max = part.max < draw->max ? part.max : draw->max;
	} else {
		part.min =
			draw->max / 2 > draw->min ? draw->max / 2 : draw->min;
	}
	uint32_t size = size_uniform(&part);
	draw->state = part.state;
	return size;
}

static struct draw make_draw(const struct lab_plan *plan,
			     uint32_t (*size)(struct draw *draw))
{
	struct draw draw = {
		.state = plan->seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
		.min = plan->min,
		.max = plan->max,
		.log_min = plan->min > 1 ? log2_fixed(plan->min - 1) + 1 : 0,
		.log_max = log2_fixed(plan->max),
		.size = size,
	};
	/* Large sizes have gaps: there may be none in the range. */
	draw.log_max =
		draw.log_max < draw.log_min ? draw.log_min : draw.log_max;
	draw.state = draw.state != 0 ? draw.state : 1;
	for (unsigned i = 0; i < 8; i++) {
		(void)hosted_random(&draw.state);
	}
	return draw;
}

/* So many objects in an array of slots, to be given to free(). */
static uint32_t *fill(struct lab_work *work, const struct lab_plan *plan,
		      struct draw *draw)
{
	uint32_t *slots = lab_grow(NULL, plan->objects, sizeof(slots[0]));
	for (size_t i = 0; i < plan->objects; i++) {
		slots[i] = lab_work_alloc(work, draw->size(draw));
	}
	work->timed_from = work->count;
	return slots;
}

static void churn(struct lab_work *work, const struct lab_plan *plan,
		  uint32_t (*size)(struct draw *draw))
{
	struct draw draw = make_draw(plan, size);
	uint32_t *slots = fill(work, plan, &draw);
	for (size_t i = 0; i < plan->pairs; i++) {
		size_t victim = draw_below(&draw, plan->objects);
		lab_work_free(work, slots[victim]);
		slots[victim] = lab_work_alloc(work, draw.size(&draw));
	}
	free(slots);
}

static void make_log_uniform(struct lab_work *work, const struct lab_plan *plan)
{
	churn(work, plan, size_log_uniform);
}

static void make_uniform(struct lab_work *work, const struct lab_plan *plan)
{
	churn(work, plan, size_uniform);
}

static void make_bimodal(struct lab_work *work, const struct lab_plan *plan)
{
	churn(work, plan, size_bimodal);
}

/* Frees all but every eighth object, in random order. Returns how many stay. */
static size_t end_phase(struct lab_work *work, struct draw *draw,
			uint32_t *slots, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = draw_below(draw, i);
		uint32_t slot = slots[i - 1];
		slots[i - 1] = slots[other];
		slots[other] = slot;
	}
	size_t keep = count / 8;
	for (size_t i = keep; i < count; i++) {
		lab_work_free(work, slots[i]);
	}
	return keep;
}

/*
 * A program that does one thing after another: each phase fills up with sizes
 * of its own band, an eighth of the whole on a logarithmic scale, and leaves
 * an eighth of its objects behind.
 */
static void make_phases(struct lab_work *work, const struct lab_plan *plan)
{
	struct draw draw = make_draw(plan, size_log_uniform);
	uint32_t band = (draw.log_max - draw.log_min) / 8;
	uint32_t log_min = draw.log_min;
	uint32_t *slots = lab_grow(NULL, plan->objects, sizeof(slots[0]));
	size_t left = plan->pairs;
	size_t live = 0;
	for (uint32_t phase = 0; left > 0; phase++) {
		draw.log_min = log_min + band * (phase * 5 % 8);
		draw.log_max = draw.log_min + band;
		for (; live < plan->objects && left > 0; left--) {
			slots[live++] = lab_work_alloc(work, draw.size(&draw));
		}
		live = end_phase(work, &draw, slots, live);
	}
	free(slots);
}

/* A random walk of a stack's height: who came last goes first. */
static void make_stack(struct lab_work *work, const struct lab_plan *plan)
{
	struct draw draw = make_draw(plan, size_log_uniform);
	uint32_t *slots = lab_grow(NULL, plan->objects, sizeof(slots[0]));
	size_t height = 0;
	for (size_t left = plan->pairs * 2; left > 0;) {
		bool push = height == 0 || draw_below(&draw, 2) != 0;
		size_t steps = 1 + draw_below(&draw, plan->objects / 4 + 1);
		for (; steps > 0 && left > 0; steps--, left--) {
			if (push && height < plan->objects) {
				slots[height++] =
					lab_work_alloc(work, draw.size(&draw));
			} else if (!push && height > 0) {
				lab_work_free(work, slots[--height]);
			}
		}
	}
	free(slots);
}

/* Who came first goes first. */
static void make_queue(struct lab_work *work, const struct lab_plan *plan)
{
	struct draw draw = make_draw(plan, size_log_uniform);
	uint32_t *slots = fill(work, plan, &draw);
	size_t first = 0;
	for (size_t i = 0; i < plan->pairs; i++) {
		lab_work_free(work, slots[first]);
		slots[first] = lab_work_alloc(work, draw.size(&draw));
		first = first + 1 < plan->objects ? first + 1 : 0;
	}
	free(slots);
}

/*
 * Of sixteen operations two resize; the others allocate and free, with a
 * preference that brings the number of objects back to what is wished.
 */
static void make_random(struct lab_work *work, const struct lab_plan *plan)
{
	struct draw draw = make_draw(plan, size_log_uniform);
	uint32_t *slots = lab_grow(NULL, plan->objects * 2, sizeof(slots[0]));
	size_t live = 0;
	for (size_t i = 0; i < plan->pairs * 2; i++) {
		size_t what = draw_below(&draw, 16);
		size_t one = live > 0 ? draw_below(&draw, live) : 0;
		bool few = live < plan->objects;
		if (what < 2 && live > 0) {
			lab_work_resize(work, slots[one], draw.size(&draw));
		} else if (live == 0 || what < (few ? 12u : 6u)) {
			slots[live++] = lab_work_alloc(work, draw.size(&draw));
		} else {
			lab_work_free(work, slots[one]);
			slots[one] = slots[--live];
		}
		if (live == plan->objects * 2) {
			lab_work_free(work, slots[--live]);
		}
	}
	free(slots);
}

const struct lab_generator lab_generators[] = {
	{ "loguniform",
	  "objects of all magnitudes alike; one at random is replaced",
	  make_log_uniform },
	{ "uniform", "objects of all sizes alike; one at random is replaced",
	  make_uniform },
	{ "bimodal", "nine of ten are small, one is large; likewise",
	  make_bimodal },
	{ "phases", "one band of sizes after another; each leaves some behind",
	  make_phases },
	{ "stack", "who came last goes first, in runs up and down",
	  make_stack },
	{ "queue", "who came first goes first", make_queue },
	{ "random", "allocations, frees and resizes at random", make_random },
	{ "robson",
	  "Robson's worst case, made for each heap from its own addresses",
	  NULL },
	{ NULL, NULL, NULL },
};

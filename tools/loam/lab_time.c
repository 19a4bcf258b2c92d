/* SPDX-License-Identifier: MIT */
/* The passes that look at time: in rounds, and each operation alone. */
#include <stdlib.h>
#include <string.h>

#include "lab_clock.h"
#include "lab_run.h"

/*
 * How time is taken
 * =================
 *
 * Rounds. In each round every heap does the workload once, or so often that
 * ROUND_NS have passed, one heap after the other and each time another one
 * first. A heap that does nothing takes part, and what it takes, which is the
 * loop's own time, is taken off the others'. What a heap takes is divided by
 * what TLSF takes in the same round, and the median of these ratios is what
 * the table says: a machine that is slower for a while is so for both.
 *
 * The worst operation. Each operation is timed by itself, in as many passes,
 * and has the least of its times: an interrupt hits another one each time, but
 * work that an operation must do it does every time. The dearest is the worst.
 */

#define ROUND_NS UINT64_C(20000000)
#define SLICE_OPS 65536u
#define ROUNDS_MAX 101u
#define LEAST_PASSES 3u /* of single operations */

struct total {
	uint64_t ns;
	uint64_t instructions;
	uint64_t ops;
};

/* Does the operations [from, to). */
static void replay(const struct lab_heap *heap, const struct lab_op *ops,
		   size_t from, size_t to, void **blocks)
{
	const struct lab_kind_ops *kind = heap->design->kind;
	void *state = heap->state;
	for (size_t i = from; i < to; i++) {
		struct lab_op op = ops[i];
		void **place = &blocks[lab_slot(op)];
		if (lab_kind(op) == LAB_FREE) {
			kind->free(state, *place);
			*place = NULL;
		} else if (lab_kind(op) == LAB_ALLOC) {
			*place = kind->alloc(state, op.size);
		} else {
			void *block = kind->resize(state, *place, op.size);
			*place = block != NULL ? block : *place;
		}
	}
}

/* Frees what is left, and takes the heap away. */
static void clean_up(const struct lab_subject *subject, void **blocks)
{
	struct lab_heap heap = subject->heap;
	const struct lab_kind_ops *kind = heap.design->kind;
	for (uint32_t i = 0; i < subject->work->slots; i++) {
		kind->free(heap.state, blocks[i]);
		blocks[i] = NULL;
	}
	kind->close(&heap);
}

/* All of the workload once; adds what the timed part takes. */
static void run_once(struct lab_subject *subject, void **blocks,
		     struct total *total)
{
	const struct lab_work *work = subject->work;
	if (!subject->heap.design->kind->open(&subject->heap)) {
		return;
	}
	replay(&subject->heap, work->ops, 0, work->timed_from, blocks);
	for (size_t at = work->timed_from; at < work->count;) {
		size_t end = work->count - at > SLICE_OPS ? at + SLICE_OPS
							  : work->count;
		uint64_t start = lab_cpu_ns();
		lab_instructions_start();
		replay(&subject->heap, work->ops, at, end, blocks);
		lab_instructions_stop();
		total->ns += lab_cpu_ns() - start;
		at = end;
	}
	total->instructions += lab_instructions_read();
	total->ops += work->count - work->timed_from;
	clean_up(subject, blocks);
}

static struct total run_round(struct lab_subject *subject, void **blocks)
{
	struct total total = { 0, 0, 0 };
	unsigned tries = 0;
	while (total.ns < ROUND_NS && tries++ < 1000) {
		run_once(subject, blocks, &total);
	}
	total.ops = total.ops != 0 ? total.ops : 1;
	return total;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return count % 2 != 0 ? values[count / 2]
			      : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* One operation alone, in ticks. */
static uint64_t time_one(const struct lab_subject *subject, size_t i,
			 void **blocks)
{
	uint64_t start = lab_ticks();
	replay(&subject->heap, subject->work->ops, i, i + 1, blocks);
	return lab_ticks() - start;
}

/* A pass over each operation alone; the least ticks of each are kept. */
static void run_single(struct lab_subject *subject, void **blocks,
		       uint32_t *least)
{
	const struct lab_work *work = subject->work;
	if (!subject->heap.design->kind->open(&subject->heap)) {
		return;
	}
	replay(&subject->heap, work->ops, 0, work->timed_from, blocks);
	for (size_t i = work->timed_from; i < work->count; i++) {
		uint64_t ticks = time_one(subject, i, blocks);
		if (ticks < least[i]) {
			least[i] = (uint32_t)ticks;
		}
	}
	clean_up(subject, blocks);
}

/* What looking costs, in ticks, and how many ticks are a nanosecond. */
static double tick_cost;
static double ticks_a_ns;

static void calibrate(void)
{
	uint64_t least = UINT64_MAX;
	uint64_t ns = lab_wall_ns();
	uint64_t first = lab_ticks();
	uint64_t last = first;
	while (lab_wall_ns() - ns < 5000000) {
		last = lab_ticks();
		uint64_t cost = lab_ticks() - last;
		least = cost < least ? cost : least;
	}
	ns = lab_wall_ns() - ns;
	tick_cost = (double)least;
	ticks_a_ns = (double)(lab_ticks() - first) / (double)ns;
}

static void measure_worst(struct lab_subject *subject, void **blocks,
			  unsigned rounds, lab_progress_fn progress)
{
	const struct lab_work *work = subject->work;
	uint32_t *least = lab_grow(NULL, work->count, sizeof(least[0]));
	memset(least, 0xff, work->count * sizeof(least[0]));
	rounds = rounds < LEAST_PASSES ? LEAST_PASSES : rounds;
	for (unsigned i = 0; i < rounds; i++) {
		progress("each operation", subject->heap.design->name,
			 (double)i / rounds);
		run_single(subject, blocks, least);
	}
	subject->time.worst_op = work->timed_from;
	for (size_t i = work->timed_from; i < work->count; i++) {
		if (least[i] > least[subject->time.worst_op]) {
			subject->time.worst_op = i;
		}
	}
	double ticks = (double)least[subject->time.worst_op] - tick_cost;
	subject->time.worst_ns = ticks > 0 ? ticks / ticks_a_ns : 0;
	free(least);
}

/* What the rounds gave: a row for each subject, the last one for the loop. */
struct rounds {
	double *ns;
	double *instructions;
	unsigned count;
};

static void conclude(struct lab_subject *subject, const struct rounds *rounds,
		     size_t row, size_t loop, size_t tlsf)
{
	double ratios[ROUNDS_MAX];
	double ns[ROUNDS_MAX];
	double instructions[ROUNDS_MAX];
	for (unsigned i = 0; i < rounds->count; i++) {
		double own = rounds->ns[loop * ROUNDS_MAX + i];
		double base = rounds->ns[tlsf * ROUNDS_MAX + i] - own;
		ns[i] = rounds->ns[row * ROUNDS_MAX + i] - own;
		ratios[i] = base > 0 ? ns[i] / base : 0;
		instructions[i] = rounds->instructions[row * ROUNDS_MAX + i] -
				  rounds->instructions[loop * ROUNDS_MAX + i];
	}
	subject->time.ns = median(ns, rounds->count);
	subject->time.ratio = median(ratios, rounds->count);
	subject->time.instructions = median(instructions, rounds->count);
}

void lab_measure_time(struct lab_subject *subjects, size_t count,
		      unsigned rounds, lab_progress_fn progress)
{
	size_t tlsf = 0;
	uint32_t slots = 1;
	struct rounds all = {
		.ns = lab_grow(NULL, (count + 1) * ROUNDS_MAX, sizeof(double)),
		.instructions = lab_grow(NULL, (count + 1) * ROUNDS_MAX,
					 sizeof(double)),
		.count = rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX,
	};
	for (size_t i = 0; i < count; i++) {
		if (subjects[i].heap.design->ops == &loam_heap_tlsf) {
			tlsf = i;
		}
		if (subjects[i].work->slots > slots) {
			slots = subjects[i].work->slots;
		}
	}
	struct lab_subject loop = {
		.heap = { .design = &lab_nothing, .state = &loop },
		.work = subjects[tlsf].work,
	};
	void **blocks = lab_grow(NULL, slots, sizeof(blocks[0]));
	memset(blocks, 0, slots * sizeof(blocks[0]));
	lab_instructions_open();
	calibrate();
	for (unsigned round = 0; round < all.count; round++) {
		for (size_t i = 0; i <= count; i++) {
			size_t row = (i + round) % (count + 1);
			struct lab_subject *subject =
				row < count ? &subjects[row] : &loop;
			if (subject->why_not != NULL) {
				continue;
			}
			progress("time", subject->heap.design->name,
				 (double)round / all.count);
			struct total total = run_round(subject, blocks);
			double ops = (double)total.ops;
			all.ns[row * ROUNDS_MAX + round] =
				(double)total.ns / ops;
			all.instructions[row * ROUNDS_MAX + round] =
				(double)total.instructions / ops;
		}
	}
	lab_instructions_close();
	for (size_t i = 0; i < count; i++) {
		if (subjects[i].why_not == NULL) {
			conclude(&subjects[i], &all, i, count, tlsf);
			measure_worst(&subjects[i], blocks, all.count,
				      progress);
		}
	}
	free(blocks);
	free(all.ns);
	free(all.instructions);
}

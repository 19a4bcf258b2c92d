/* SPDX-License-Identifier: MIT */
/* Samples of a workload, and which blocks there are at them. */
#include <stdlib.h>
#include <string.h>

#include "lab_run.h"

/* The operation after which the sample is taken. */
static size_t sample_op(const struct lab_work *work, size_t samples, size_t i)
{
	double place = (double)(i + 1) * (double)work->count / (double)samples;
	return (size_t)place - 1;
}

/* What is behind a slot while births are looked for. */
struct cradle {
	size_t born;
	size_t samples; /* before it was born */
	uint32_t asked; /* 0: nothing is there */
};

struct nursery {
	struct lab_births *births;
	size_t room;
};

static void add(struct nursery *nursery, const struct cradle *cradle,
		size_t died)
{
	struct lab_births *births = nursery->births;
	if (births->count == nursery->room) {
		nursery->room = nursery->room * 2 + 1024;
		births->born = lab_grow(births->born, nursery->room,
					sizeof(births->born[0]));
		births->died = lab_grow(births->died, nursery->room,
					sizeof(births->died[0]));
		births->asked = lab_grow(births->asked, nursery->room,
					 sizeof(births->asked[0]));
	}
	births->born[births->count] = cradle->born;
	births->died[births->count] = died;
	births->asked[births->count++] = cradle->asked;
}

/* They are found in the order of their ends; this is by birth. */
static void sort(struct lab_births *births, size_t ops)
{
	size_t *place = lab_grow(NULL, ops, sizeof(place[0]));
	struct lab_births sorted = {
		.count = 0,
		.born = lab_grow(NULL, births->count, sizeof(size_t)),
		.died = lab_grow(NULL, births->count, sizeof(size_t)),
		.asked = lab_grow(NULL, births->count, sizeof(uint32_t)),
	};
	memset(place, 0xff, ops * sizeof(place[0]));
	for (size_t i = 0; i < births->count; i++) {
		place[births->born[i]] = i;
	}
	for (size_t op = 0; op < ops; op++) {
		if (place[op] != SIZE_MAX) {
			size_t i = place[op];
			sorted.born[sorted.count] = op;
			sorted.died[sorted.count] = births->died[i];
			sorted.asked[sorted.count++] = births->asked[i];
		}
	}
	free(place);
	lab_births_free(births);
	*births = sorted;
}

void lab_births_make(struct lab_births *births, const struct lab_work *work,
		     size_t samples)
{
	struct nursery nursery = { births, 0 };
	struct cradle *cradles =
		lab_grow(NULL, work->slots, sizeof(cradles[0]));
	size_t before = 0; /* samples before this operation */
	memset(cradles, 0, work->slots * sizeof(cradles[0]));
	memset(births, 0, sizeof(*births));
	for (size_t i = 0; i < work->count; i++) {
		struct lab_op op = work->ops[i];
		struct cradle *cradle = &cradles[lab_slot(op)];
		if (cradle->asked != 0 && cradle->samples != before) {
			add(&nursery, cradle, i);
		}
		*cradle = (struct cradle){ i, before, op.size };
		before += before < samples &&
			  i == sample_op(work, samples, before);
	}
	for (uint32_t i = 0; i < work->slots; i++) {
		if (cradles[i].asked != 0) {
			add(&nursery, &cradles[i], SIZE_MAX);
		}
	}
	free(cradles);
	sort(births, work->count);
}

void lab_births_free(struct lab_births *births)
{
	free(births->born);
	free(births->died);
	free(births->asked);
	memset(births, 0, sizeof(*births));
}

void lab_history_make(struct lab_history *history, const struct lab_work *work,
		      size_t samples, const struct lab_births *births)
{
	history->samples = lab_grow(NULL, samples, sizeof(history->samples[0]));
	memset(history->samples, 0, samples * sizeof(history->samples[0]));
	history->sample_count = samples;
	for (size_t i = 0; i < samples; i++) {
		history->samples[i].op = sample_op(work, samples, i);
	}
	history->births = births;
	if (births == NULL) {
		return;
	}
	history->addresses =
		lab_grow(NULL, births->count, sizeof(history->addresses[0]));
	history->usable =
		lab_grow(NULL, births->count, sizeof(history->usable[0]));
	for (size_t i = 0; i < births->count; i++) {
		history->addresses[i] = LAB_NOWHERE;
		history->usable[i] = 0;
	}
}

void lab_history_free(struct lab_history *history)
{
	free(history->samples);
	free(history->runs);
	free(history->addresses);
	free(history->usable);
	free(history->late);
	lab_births_free(&history->own);
	memset(history, 0, sizeof(*history));
}

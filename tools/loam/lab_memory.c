/* SPDX-License-Identifier: MIT */
/* The pass that looks at memory, and at whether blocks keep what is in them. */
#include <stdlib.h>
#include <string.h>

#include "lab_run.h"

#define PROGRESS_EVERY 8192u

/* What is behind a slot. */
struct place {
	unsigned char *block; /* NULL: nothing */
	uint64_t stamp;
	size_t usable;
	size_t birth; /* in the history, or SIZE_MAX */
	uint32_t asked;
};

struct pass {
	struct lab_subject *subject;
	const struct lab_kind_ops *kind;
	struct place *places;
	struct lab_sample now;
	size_t next_sample;
	size_t next_birth;
};

/* How much of each end of a block is stamped. */
static size_t stamped_bytes(const struct place *place)
{
	return place->asked < 8 ? place->asked : 8;
}

/* Both ends of a block say whose it is, the last bytes only of a long one. */
static void stamp(struct place *place, uint64_t value)
{
	size_t bytes = stamped_bytes(place);
	place->stamp = value * UINT64_C(0x9e3779b97f4a7c15);
	memcpy(place->block, &place->stamp, bytes);
	if (place->asked >= 16) {
		memcpy(place->block + place->asked - 8, &place->stamp, 8);
	}
}

static bool is_stamped(const struct place *place)
{
	size_t bytes = stamped_bytes(place);
	return memcmp(place->block, &place->stamp, bytes) == 0 &&
	       (place->asked < 16 ||
		memcmp(place->block + place->asked - 8, &place->stamp, 8) == 0);
}

static void account(struct pass *pass, const struct place *place, bool born)
{
	uint64_t sign = born ? 1 : UINT64_MAX;
	pass->now.asked += sign * place->asked;
	pass->now.usable += sign * place->usable;
	pass->now.blocks += (size_t)sign;
}

/* The birth that this operation is, or SIZE_MAX: none that is shown. */
static size_t birth_of(struct pass *pass, size_t op)
{
	const struct lab_births *births = pass->subject->history.births;
	if (births == NULL) {
		return SIZE_MAX;
	}
	while (pass->next_birth < births->count &&
	       births->born[pass->next_birth] < op) {
		pass->next_birth++;
	}
	bool shown = pass->next_birth < births->count &&
		     births->born[pass->next_birth] == op;
	return shown ? pass->next_birth : SIZE_MAX;
}

/* A block is there, at an address that alloc or resize returned. */
static void settle(struct pass *pass, struct place *place, void *block,
		   uint32_t asked, size_t op)
{
	struct lab_memory *memory = &pass->subject->memory;
	place->block = block;
	place->asked = asked;
	place->usable = pass->kind->usable(&pass->subject->heap, block);
	place->birth = birth_of(pass, op);
	memory->corrupted += place->usable < asked;
	memory->corrupted += (uintptr_t)block % (2 * sizeof(void *)) != 0;
	stamp(place, op + 1);
	account(pass, place, true);
	if (place->birth != SIZE_MAX) {
		struct lab_subject *subject = pass->subject;
		subject->history.addresses[place->birth] =
			(uintptr_t)block - (uintptr_t)subject->heap.window;
		subject->history.usable[place->birth] = place->usable;
	}
}

/* The block is no longer there: late, if that is not when it should end. */
static void unsettle(struct pass *pass, struct place *place, size_t op)
{
	struct lab_history *history = &pass->subject->history;
	account(pass, place, false);
	place->block = NULL;
	if (place->birth == SIZE_MAX ||
	    history->births->died[place->birth] == op) {
		return;
	}
	if (history->late_count == history->late_room) {
		history->late_room = history->late_room * 2 + 64;
		history->late = lab_grow(history->late, history->late_room,
					 sizeof(history->late[0]));
	}
	history->late[history->late_count++] =
		(struct lab_late){ place->birth, op };
}

static void do_alloc(struct pass *pass, struct place *place, struct lab_op op,
		     size_t number)
{
	struct lab_subject *subject = pass->subject;
	void *block = pass->kind->alloc(subject->heap.state, op.size);
	if (block == NULL) {
		subject->memory.failed++;
		return;
	}
	settle(pass, place, block, op.size, number);
}

static void do_free(struct pass *pass, struct place *place, size_t number)
{
	struct lab_subject *subject = pass->subject;
	if (place->block == NULL) {
		return;
	}
	subject->memory.corrupted += !is_stamped(place);
	unsigned char *block = place->block;
	unsettle(pass, place, number);
	pass->kind->free(subject->heap.state, block);
}

static void do_resize(struct pass *pass, struct place *place, struct lab_op op,
		      size_t number)
{
	struct lab_subject *subject = pass->subject;
	if (place->block == NULL) {
		do_alloc(pass, place, op, number);
		return;
	}
	subject->memory.corrupted += !is_stamped(place);
	unsigned char *block =
		pass->kind->resize(subject->heap.state, place->block, op.size);
	if (block == NULL) {
		subject->memory.failed++;
		return;
	}
	size_t kept = place->asked < op.size ? place->asked : op.size;
	subject->memory.corrupted +=
		memcmp(block, &place->stamp, kept < 8 ? kept : 8) != 0;
	unsettle(pass, place, number);
	settle(pass, place, block, op.size, number);
}

static void add_run(void *context, size_t start, size_t size_bytes)
{
	struct lab_history *history = context;
	if (history->run_count == history->run_room) {
		history->run_room = history->run_room * 2 + 1024;
		history->runs = lab_grow(history->runs, history->run_room,
					 sizeof(history->runs[0]));
	}
	history->runs[history->run_count++] =
		(struct lab_pages){ start, size_bytes };
}

/* Fills a sample with what there is now. */
static void take(struct pass *pass, struct lab_sample *sample, size_t op)
{
	const struct lab_heap *heap = &pass->subject->heap;
	*sample = pass->now;
	sample->op = op;
	sample->header = sample->blocks * pass->subject->memory.header;
	sample->mapped = pass->kind->mapped(heap);
}

/* The samples that are due after this operation; several may be. */
static void take_samples(struct pass *pass, size_t op)
{
	struct lab_history *history = &pass->subject->history;
	while (pass->next_sample < history->sample_count &&
	       history->samples[pass->next_sample].op == op) {
		struct lab_sample *sample =
			&history->samples[pass->next_sample++];
		take(pass, sample, op);
		sample->first_run = history->run_count;
		if (history->births != NULL) {
			pass->kind->runs(&pass->subject->heap, add_run,
					 history);
		}
		sample->run_count = history->run_count - sample->first_run;
	}
}

static bool check(const struct pass *pass)
{
	return pass->kind->check == NULL ||
	       pass->kind->check(&pass->subject->heap);
}

static void look_at_peak(struct pass *pass, size_t op)
{
	struct lab_memory *memory = &pass->subject->memory;
	take(pass, &memory->peak, op);
	if (pass->kind->largest_free != NULL) {
		memory->largest_free =
			pass->kind->largest_free(&pass->subject->heap);
	}
	memory->sound = check(pass) && memory->sound;
}

static void step(struct pass *pass, size_t number)
{
	struct lab_subject *subject = pass->subject;
	struct lab_memory *memory = &subject->memory;
	struct lab_op op = subject->work->ops[number];
	struct place *place = &pass->places[lab_slot(op)];
	switch (lab_kind(op)) {
	case LAB_ALLOC:
		do_alloc(pass, place, op, number);
		break;
	case LAB_FREE:
		do_free(pass, place, number);
		break;
	case LAB_RESIZE:
		do_resize(pass, place, op, number);
		break;
	}
	if (memory->header == UINT32_MAX && place->block != NULL) {
		memory->header = (unsigned)pass->kind->header(&subject->heap,
							      place->block);
	}
	if (pass->kind->peak_mapped == NULL) {
		size_t mapped = pass->kind->mapped(&subject->heap);
		memory->peak_mapped = mapped > memory->peak_mapped
					      ? mapped
					      : memory->peak_mapped;
	}
	take_samples(pass, number);
	if (number == subject->work->peak_at) {
		look_at_peak(pass, number);
	}
}

/* Frees what the workload leaves, so that the last check sees it all gone. */
static void clean_up(struct pass *pass)
{
	for (uint32_t i = 0; i < pass->subject->work->slots; i++) {
		struct place *place = &pass->places[i];
		if (place->block != NULL) {
			pass->subject->memory.corrupted += !is_stamped(place);
			unsigned char *block = place->block;
			unsettle(pass, place, SIZE_MAX);
			pass->kind->free(pass->subject->heap.state, block);
		}
	}
}

void lab_measure_memory(struct lab_subject *subject, lab_progress_fn progress)
{
	const struct lab_work *work = subject->work;
	struct pass pass = {
		.subject = subject,
		.kind = subject->heap.design->kind,
		.places = lab_grow(NULL, work->slots, sizeof(struct place)),
	};
	for (uint32_t i = 0; i < work->slots; i++) {
		pass.places[i] = (struct place){ .block = NULL };
	}
	subject->memory = (struct lab_memory){
		.sound = true,
		.header = UINT32_MAX,
	};
	if (pass.kind->reset != NULL) {
		pass.kind->reset(&subject->heap);
	}
	if (!pass.kind->open(&subject->heap)) {
		subject->why_not = "it does not start over this window";
		free(pass.places);
		return;
	}
	for (size_t i = 0; i < work->count; i++) {
		step(&pass, i);
		if (i % PROGRESS_EVERY == 0) {
			progress("memory", subject->heap.design->name,
				 (double)i / (double)work->count);
		}
	}
	clean_up(&pass);
	subject->memory.sound = check(&pass) && subject->memory.sound;
	if (pass.kind->peak_mapped != NULL) {
		subject->memory.peak_mapped =
			pass.kind->peak_mapped(&subject->heap);
	}
	pass.kind->close(&subject->heap);
	free(pass.places);
}

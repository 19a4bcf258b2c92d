/* SPDX-License-Identifier: MIT */
/* The laboratory's parts: traces, generators, samples and births. */
#include "lab_generate.h"
#include "lab_run.h"
#include "lab_trace.h"
#include "test.h"

struct complaints {
	size_t count;
	size_t last_line;
	char last[160];
};

static void complain(void *context, size_t line, const char *what)
{
	struct complaints *complaints = context;
	complaints->count++;
	complaints->last_line = line;
	snprintf(complaints->last, sizeof(complaints->last), "%s", what);
}

static struct complaints parse(struct lab_work *work, const char *text)
{
	struct complaints complaints = { 0, 0, "" };
	lab_work_init(work);
	EXPECT_EQ(lab_trace_parse(work, text, strlen(text), complain,
				  &complaints),
		  complaints.count);
	return complaints;
}

static void expect_op(const struct lab_work *work, size_t i, enum lab_kind kind,
		      uint32_t slot, uint32_t size)
{
	EXPECT(i < work->count);
	EXPECT_EQ(lab_kind(work->ops[i]), kind);
	EXPECT_EQ(lab_slot(work->ops[i]), slot);
	EXPECT_EQ(work->ops[i].size, size);
}

TEST(trace, "a trace becomes operations, its IDs slots that are used again")
{
	struct lab_work work;
	struct complaints said =
		parse(&work, "a 18446744073709551615 10\na 0 20 # two\n"
			     "\n\tr 0  4294967295\r\nf 18446744073709551615\n"
			     "a 5 30\nf 0\nf 5");
	EXPECT_EQ(said.count, 0);
	EXPECT_EQ(work.count, 7);
	expect_op(&work, 0, LAB_ALLOC, 0, 10);
	expect_op(&work, 1, LAB_ALLOC, 1, 20);
	expect_op(&work, 2, LAB_RESIZE, 1, UINT32_MAX);
	expect_op(&work, 3, LAB_FREE, 0, 0);
	expect_op(&work, 4, LAB_ALLOC, 0, 30);
	expect_op(&work, 5, LAB_FREE, 1, 0);
	expect_op(&work, 6, LAB_FREE, 0, 0);
	EXPECT_EQ(work.slots, 2);
	EXPECT_EQ(work.allocs, 3);
	EXPECT_EQ(work.frees, 3);
	EXPECT_EQ(work.resizes, 1);
	EXPECT_EQ(work.peak_live_bytes, UINT64_C(30) + UINT32_MAX);
	EXPECT_EQ(work.peak_at, 4);
	EXPECT_EQ(work.live_bytes, 0);
	EXPECT_EQ(work.live_blocks, 0);
	EXPECT_EQ(work.largest, UINT32_MAX);
	lab_work_fini(&work);
}

TEST(trace_bad, "a wrong line is reported, and only that line is lost")
{
	static const struct {
		const char *line;
		const char *what;
	} bad[] = {
		{ "x 1 2", "an operation is a, f or r, not: \"x\"" },
		{ "aa 1 2", "an operation is a, f or r, not: \"aa\"" },
		{ "a", "there is no ID" },
		{ "a 2", "there is no size" },
		{ "a 2 0", "the size is 0" },
		{ "a 2 1 1", "there is more behind the size: \"1\"" },
		{ "a 18446744073709551616 1",
		  "the ID needs more than 64 bits: \"18446744073709551616\"" },
		{ "a 1 5", "block 1 is live, from line 1 on" },
		{ "f 2", "block 2 is not live" },
		{ "f 1 1", "there is more behind the ID: \"1\"" },
		{ "r 2 5", "block 2 is not live" },
		{ "r 1 x", "the size is not a number: \"x\"" },
		{ "\x01 1", "an operation is a, f or r, not: \"?\"" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lab_work work;
		char text[160];
		snprintf(text, sizeof(text), "a 1 10\n%s\nf 1\n", bad[i].line);
		struct complaints said = parse(&work, text);
		EXPECT_EQ(said.count, 1);
		EXPECT_EQ(said.last_line, 2);
		EXPECT(strcmp(said.last, bad[i].what) == 0);
		EXPECT_EQ(work.count, 2);
		EXPECT_EQ(work.live_blocks, 0);
		lab_work_fini(&work);
	}
}

#define MODEL_IDS 700u

/* Writes a line in which each ID is as it is in the model; or is not. */
static int model_line(char *to, size_t room, uint64_t *state, uint32_t *sizes,
		      size_t *bad)
{
	static const uint64_t spread = UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hosted_random(state) % MODEL_IDS);
	uint32_t size = (uint32_t)(hosted_random(state) % 5000) + 1;
	unsigned long long id = i * spread;
	char kind = "afr"[hosted_random(state) % 3];
	*bad += (kind == 'a') == (sizes[i] != 0);
	if (kind == 'f') {
		sizes[i] = 0;
		return snprintf(to, room, "f %llu\n", id);
	}
	if ((kind == 'a') == (sizes[i] == 0)) {
		sizes[i] = size;
	}
	return snprintf(to, room, "%c %llu %u\n", kind, id, size);
}

TEST(trace_model, "random lines agree with a naive table of what is live")
{
	enum { LINES = 20000, LINE_BYTES = 40 };
	static uint32_t sizes[MODEL_IDS];
	uint64_t state = 11;
	size_t bad = 0;
	size_t used = 0;
	char *text = malloc(LINES * LINE_BYTES);
	EXPECT(text != NULL);
	for (unsigned i = 0; i < LINES; i++) {
		used += (size_t)model_line(text + used, LINE_BYTES, &state,
					   sizes, &bad);
	}
	struct lab_work work;
	struct complaints said = parse(&work, text);
	EXPECT(bad > 1000);
	EXPECT_EQ(said.count, bad);
	EXPECT_EQ(work.count, LINES - bad);
	uint64_t live = 0;
	size_t blocks = 0;
	for (unsigned i = 0; i < MODEL_IDS; i++) {
		live += sizes[i];
		blocks += sizes[i] != 0;
	}
	EXPECT_EQ(work.live_bytes, live);
	EXPECT_EQ(work.live_blocks, blocks);
	EXPECT_EQ(work.allocs - work.frees, blocks);
	lab_work_fini(&work);
	free(text);
}

/* -------- generators -------- */

/* Every operation is about a slot that is as it must be. Counts sizes. */
static void expect_sound(const struct lab_work *work,
			 const struct lab_plan *plan, size_t octaves[32])
{
	uint32_t *sizes = calloc(work->slots + 1, sizeof(*sizes));
	size_t live = 0;
	EXPECT(sizes != NULL);
	for (size_t i = 0; i < work->count; i++) {
		struct lab_op op = work->ops[i];
		uint32_t *size = &sizes[lab_slot(op)];
		EXPECT(lab_slot(op) < work->slots);
		EXPECT_EQ(lab_kind(op) == LAB_ALLOC, *size == 0);
		live += lab_kind(op) == LAB_ALLOC;
		live -= lab_kind(op) == LAB_FREE;
		*size = op.size;
		if (lab_kind(op) != LAB_FREE) {
			EXPECT(op.size >= plan->min && op.size <= plan->max);
			octaves[31 - __builtin_clz(op.size)]++;
		}
	}
	EXPECT_EQ(live, work->live_blocks);
	EXPECT(work->peak_live_blocks <= plan->objects * 2);
	EXPECT(work->timed_from < work->count);
	free(sizes);
}

static void expect_same(const struct lab_work *a, const struct lab_work *b,
			bool same)
{
	bool equal = a->count == b->count &&
		     memcmp(a->ops, b->ops, a->count * sizeof(a->ops[0])) == 0;
	EXPECT_EQ(equal, same);
}

TEST(generators, "every generator keeps to its sizes, its count, its seed")
{
	for (const struct lab_generator *g = lab_generators; g->name != NULL;
	     g++) {
		struct lab_plan plan = { 500, 4000, 24, 3000, 9 };
		struct lab_work work[3];
		size_t octaves[32] = { 0 };
		if (g->generate == NULL) {
			continue;
		}
		for (unsigned i = 0; i < 3; i++) {
			plan.seed = i == 2 ? 10 : 9;
			lab_work_init(&work[i]);
			g->generate(&work[i], &plan);
		}
		expect_sound(&work[0], &plan, octaves);
		EXPECT(work[0].count >= plan.pairs);
		expect_same(&work[0], &work[1], true);
		expect_same(&work[0], &work[2], false);
		for (unsigned i = 0; i < 3; i++) {
			lab_work_fini(&work[i]);
		}
	}
}

TEST(generators_small, "one object, one size, one pair: no generator minds")
{
	static const struct lab_plan plans[] = {
		{ 1, 1, 1, 1, 0 },
		{ 1, 50, 7, 7, 3 },
		{ 3, 50, 1, 2, UINT64_MAX },
		{ 2, 50, UINT32_MAX / 2, UINT32_MAX / 2, 1 },
	};
	for (const struct lab_generator *g = lab_generators; g->name != NULL;
	     g++) {
		for (unsigned i = 0; i < 4 && g->generate != NULL; i++) {
			struct lab_work work;
			size_t octaves[32] = { 0 };
			lab_work_init(&work);
			g->generate(&work, &plans[i]);
			expect_sound(&work, &plans[i], octaves);
			lab_work_fini(&work);
		}
	}
}

TEST(distributions, "log-uniform sizes fill each octave alike, uniform do not")
{
	const struct lab_plan plan = { 1000, 79000, 16, 4095, 4 };
	struct lab_work work;
	size_t log_uniform[32] = { 0 };
	size_t uniform[32] = { 0 };
	lab_work_init(&work);
	lab_generators[0].generate(&work, &plan);
	expect_sound(&work, &plan, log_uniform);
	lab_work_fini(&work);
	lab_work_init(&work);
	lab_generators[1].generate(&work, &plan);
	expect_sound(&work, &plan, uniform);
	lab_work_fini(&work);
	/* 80,000 in eight octaves: within five standard deviations. */
	for (unsigned i = 4; i < 12; i++) {
		EXPECT(log_uniform[i] > 9500 && log_uniform[i] < 10500);
	}
	EXPECT(uniform[11] > 39000 && uniform[11] < 41500);
	EXPECT(uniform[10] > 19000 && uniform[10] < 21000);
}

TEST(orders, "queues are first in, first out; stacks last in, first out")
{
	const struct lab_plan plan = { 50, 400, 16, 64, 4 };
	size_t stack[128];
	size_t height = 0;
	struct lab_work work;
	lab_work_init(&work);
	lab_generators[5].generate(&work, &plan);
	EXPECT(strcmp(lab_generators[5].name, "queue") == 0);
	size_t frees = 0;
	for (size_t i = 0; i < work.count; i++) {
		if (lab_kind(work.ops[i]) == LAB_FREE) {
			EXPECT_EQ(lab_slot(work.ops[i]), frees % plan.objects);
			frees++;
		}
	}
	EXPECT_EQ(frees, plan.pairs);
	lab_work_fini(&work);
	lab_work_init(&work);
	lab_generators[4].generate(&work, &plan);
	EXPECT(strcmp(lab_generators[4].name, "stack") == 0);
	for (size_t i = 0; i < work.count; i++) {
		if (lab_kind(work.ops[i]) == LAB_FREE) {
			EXPECT_EQ(lab_slot(work.ops[i]), stack[--height]);
		} else {
			stack[height++] = lab_slot(work.ops[i]);
		}
	}
	lab_work_fini(&work);
}

/* -------- samples and births -------- */

TEST(births, "births are what is live at a sample, as a naive look finds")
{
	const struct lab_plan plan = { 60, 500, 16, 400, 3 };
	struct lab_work work;
	lab_work_init(&work);
	lab_generators[6].generate(&work, &plan);
	for (size_t samples = 1; samples <= work.count;
	     samples = samples * 3 + 1) {
		struct lab_births births;
		struct lab_history history = { .samples = NULL };
		lab_births_make(&births, &work, samples);
		lab_history_make(&history, &work, samples, &births);
		EXPECT_EQ(history.samples[samples - 1].op, work.count - 1);
		size_t next = 0;
		for (size_t i = 0; i < work.count; i++) {
			if (lab_kind(work.ops[i]) == LAB_FREE) {
				continue;
			}
			size_t end = i + 1;
			while (end < work.count &&
			       lab_slot(work.ops[end]) !=
				       lab_slot(work.ops[i])) {
				end++;
			}
			bool seen = false;
			for (size_t s = 0; s < samples; s++) {
				size_t op = history.samples[s].op;
				seen = seen || (op >= i && op < end);
			}
			if (seen) {
				EXPECT(next < births.count);
				EXPECT_EQ(births.born[next], i);
				EXPECT_EQ(births.died[next],
					  end == work.count ? SIZE_MAX : end);
				EXPECT_EQ(births.asked[next++],
					  work.ops[i].size);
			}
		}
		EXPECT_EQ(next, births.count);
		lab_history_free(&history);
		lab_births_free(&births);
	}
	lab_work_fini(&work);
}

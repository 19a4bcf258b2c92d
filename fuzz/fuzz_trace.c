/* SPDX-License-Identifier: MIT */
/* Fuzzes the parser of traces: what it lets through can be replayed. */
#include <stdlib.h>
#include <string.h>

#include "../tools/loam/lab_trace.h"

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

struct reports {
	size_t count;
	size_t line;  /* of the last one */
	size_t lines; /* of the text */
};

static void report(void *context, size_t line, const char *what)
{
	struct reports *reports = context;
	require(line > reports->line && line <= reports->lines);
	require(what[0] != '\0' && strchr(what, '\n') == NULL);
	reports->line = line;
	reports->count++;
}

/* Every operation is about a block that is, or is not, live as it must be. */
static void require_sound(const struct lab_work *work)
{
	uint32_t *sizes = calloc(work->slots + (size_t)1, sizeof(*sizes));
	uint64_t live = 0;
	uint64_t peak = 0;
	require(sizes != NULL);
	for (size_t i = 0; i < work->count; i++) {
		struct lab_op op = work->ops[i];
		require(lab_slot(op) < work->slots);
		uint32_t *size = &sizes[lab_slot(op)];
		require((lab_kind(op) == LAB_ALLOC) == (*size == 0));
		require((lab_kind(op) == LAB_FREE) == (op.size == 0));
		live = live - *size + op.size;
		*size = op.size;
		peak = live > peak ? live : peak;
	}
	require(live == work->live_bytes);
	require(peak == work->peak_live_bytes);
	require(work->allocs + work->frees + work->resizes == work->count);
	free(sizes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_work work;
	struct reports reports = { 0, 0, 1 };
	for (size_t i = 0; i < size; i++) {
		reports.lines += data[i] == '\n';
	}
	lab_work_init(&work);
	size_t bad = lab_trace_parse(&work, (const char *)data, size, report,
				     &reports);
	require(bad == reports.count);
	require(bad + work.count <= reports.lines);
	require_sound(&work);
	lab_work_fini(&work);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* The laboratory's table, and its JSON. */
#include <inttypes.h>
#include <string.h>

#include <loam/mem.h>

#include "json.h"
#include "lab.h"

double lab_internal(const struct lab_memory *memory)
{
	double given = (double)(memory->peak.usable + memory->peak.header);
	return given > 0 ? 1 - (double)memory->peak.asked / given : 0;
}

double lab_external(const struct lab_memory *memory)
{
	double mapped = (double)memory->peak.mapped;
	double given = (double)(memory->peak.usable + memory->peak.header);
	if (memory->peak.mapped == 0) {
		return -1;
	}
	return given < mapped ? 1 - given / mapped : 0;
}

double lab_overhead(const struct lab_subject *subject)
{
	uint64_t live = subject->work->peak_live_bytes;
	return live != 0 ? (double)subject->memory.peak_mapped / (double)live
			 : 0;
}

/* -------- the table -------- */

static void print_number(FILE *to, int width, const char *format, double value,
			 bool known)
{
	char text[32];
	snprintf(text, sizeof(text), format, value);
	fprintf(to, " %*s", width, known ? text : "-");
}

static void print_row(FILE *to, const struct lab_subject *subject)
{
	const struct lab_memory *memory = &subject->memory;
	const struct lab_time *time = &subject->time;
	double external = lab_external(memory);
	fprintf(to, "%-12s", subject->heap.design->name);
	if (subject->why_not != NULL) {
		fprintf(to, "  not run: %s\n", subject->why_not);
		return;
	}
	print_number(to, 10, "%.1f", time->ns, true);
	print_number(to, 8, "%.2f", time->ratio, time->ratio > 0);
	print_number(to, 11, "%.0f", time->worst_ns, true);
	print_number(to, 9, "%.1f", time->instructions, time->instructions > 0);
	print_number(to, 8, "%.3f", lab_overhead(subject),
		     memory->peak_mapped != 0);
	print_number(to, 8, "%.1f%%", lab_internal(memory) * 100, true);
	print_number(to, 8, "%.1f%%", external * 100, external >= 0);
	fprintf(to, " %8" PRIu64 "%s%s\n", memory->failed,
		memory->corrupted != 0 ? "  BLOCKS WERE WRITTEN OVER" : "",
		memory->sound ? "" : "  ITS CHECK FAILED");
}

static void print_workload(FILE *to, const struct lab_report *report)
{
	const struct lab_work *work = report->subjects[0].work;
	char size[16];
	fprintf(to, "%s: %s\n", report->workload, report->summary);
	if (!report->adaptive) {
		fprintf(to,
			"%zu operations (%zu a, %zu f, %zu r), %zu timed; "
			"at most %zu blocks,",
			work->count, work->allocs, work->frees, work->resizes,
			work->count - work->timed_from, work->peak_live_blocks);
		fprintf(to, " %s live",
			loam_format_size(size, work->peak_live_bytes));
	} else {
		fprintf(to, "at most %zu units live", report->plan.objects);
	}
	if (!report->is_trace) {
		fprintf(to, "; sizes %" PRIu32 " to %" PRIu32, report->plan.min,
			report->plan.max);
		fprintf(to, "; seed %" PRIu64, report->plan.seed);
	}
	fprintf(to, "; window %s\n\n",
		loam_format_size(size, report->window_bytes));
}

static const char legend[] =
	"\n"
	"ns/op     processor time of an operation, median of the rounds\n"
	"/tlsf     the same over TLSF's in the same round, median\n"
	"worst ns  the dearest operation, the least of its rounds\n"
	"instr/op  instructions in user mode; -: the machine does not say\n"
	"peak      peak of its pages over the peak of the bytes asked for\n"
	"internal  of live blocks and headers, what was not asked for\n"
	"external  of its pages, what no live block has; both at the peak of "
	"the\n"
	"          bytes asked for\n"
	"failed    requests that got no memory\n";

void lab_print_table(FILE *to, const struct lab_report *report)
{
	print_workload(to, report);
	fprintf(to, "%-12s %10s %8s %11s %9s %8s %8s %8s %8s\n", "heap",
		"ns/op", "/tlsf", "worst ns", "instr/op", "peak", "internal",
		"external", "failed");
	for (size_t i = 0; i < report->count; i++) {
		print_row(to, &report->subjects[i]);
	}
	fputs(legend, to);
}

/* -------- JSON -------- */

static void json_sample(FILE *to, const struct lab_sample *sample)
{
	fprintf(to,
		"{\"op\": %zu, \"asked\": %" PRIu64 ", \"usable\": %" PRIu64
		", \"header\": %" PRIu64 ", \"mapped\": %" PRIu64
		", \"blocks\": %zu",
		sample->op, sample->asked, sample->usable, sample->header,
		sample->mapped, sample->blocks);
}

static void json_work(FILE *to, const struct lab_work *work)
{
	fprintf(to,
		"{\"operations\": %zu, \"timed\": %zu, \"allocs\": %zu, "
		"\"frees\": %zu, \"resizes\": %zu, ",
		work->count, work->count - work->timed_from, work->allocs,
		work->frees, work->resizes);
	fprintf(to,
		"\"peak_live_bytes\": %" PRIu64 ", \"peak_at\": %zu, "
		"\"peak_live_blocks\": %zu, \"largest\": %" PRIu32 "}",
		work->peak_live_bytes, work->peak_at, work->peak_live_blocks,
		work->largest);
}

static void json_time(FILE *to, const struct lab_time *time)
{
	fprintf(to,
		"{\"ns\": %.3f, \"ratio\": %.4f, \"worst_ns\": %.0f, "
		"\"worst_op\": %zu, ",
		time->ns, time->ratio, time->worst_ns, time->worst_op);
	if (time->instructions > 0) {
		fprintf(to, "\"instructions\": %.2f}", time->instructions);
	} else {
		fputs("\"instructions\": null}", to);
	}
}

static void json_memory(FILE *to, const struct lab_subject *subject)
{
	const struct lab_memory *memory = &subject->memory;
	fputs("{\"peak\": ", to);
	json_sample(to, &memory->peak);
	fprintf(to,
		"}, \"peak_mapped\": %" PRIu64 ", \"overhead\": %.5f, "
		"\"internal\": %.5f, \"external\": %.5f, ",
		memory->peak_mapped, lab_overhead(subject),
		lab_internal(memory), lab_external(memory));
	fprintf(to,
		"\"largest_free\": %" PRIu64 ", \"header\": %u, "
		"\"failed\": %" PRIu64 ", \"corrupted\": %" PRIu64
		", \"sound\": %s}",
		memory->largest_free, memory->header, memory->failed,
		memory->corrupted, memory->sound ? "true" : "false");
}

/* Each sample with its runs of pages, as start and size one after another. */
static void json_samples(FILE *to, const struct lab_history *history)
{
	for (size_t i = 0; i < history->sample_count; i++) {
		const struct lab_sample *sample = &history->samples[i];
		fputs(i == 0 ? "\n      " : ",\n      ", to);
		json_sample(to, sample);
		fputs(", \"pages\": [", to);
		for (size_t k = 0; k < sample->run_count; k++) {
			const struct lab_pages *run =
				&history->runs[sample->first_run + k];
			fprintf(to, "%s%" PRIu64 ",%" PRIu64, k == 0 ? "" : ",",
				run->start, run->size_bytes);
		}
		fputs("]}", to);
	}
}

/* Columns of numbers. A life is in operations; -1 is one without end. */
static void json_births(FILE *to, const struct lab_births *births)
{
	size_t last = 0;
	fputs("{\"born_after\": [", to);
	for (size_t i = 0; i < births->count; i++) {
		fprintf(to, "%s%zu", i == 0 ? "" : ",", births->born[i] - last);
		last = births->born[i];
	}
	fputs("],\n    \"life\": [", to);
	for (size_t i = 0; i < births->count; i++) {
		fputs(i == 0 ? "" : ",", to);
		if (births->died[i] == SIZE_MAX) {
			fputs("-1", to);
		} else {
			fprintf(to, "%zu", births->died[i] - births->born[i]);
		}
	}
	fputs("],\n    \"asked\": [", to);
	for (size_t i = 0; i < births->count; i++) {
		fprintf(to, "%s%" PRIu32, i == 0 ? "" : ",", births->asked[i]);
	}
	fputs("]}", to);
}

/* Where each birth is: in units of 16 bytes, -1 where memory had run out. */
static void json_blocks(FILE *to, const struct lab_history *history)
{
	const struct lab_births *births = history->births;
	size_t count = births != NULL ? births->count : 0;
	fputs("{\"unit\": [", to);
	for (size_t i = 0; i < count; i++) {
		fputs(i == 0 ? "" : ",", to);
		if (history->addresses[i] == LAB_NOWHERE) {
			fputs("-1", to);
		} else {
			fprintf(to, "%" PRIu64, history->addresses[i] / 16);
		}
	}
	fputs("],\n       \"waste\": [", to);
	for (size_t i = 0; i < count; i++) {
		uint64_t usable = history->usable[i];
		uint64_t waste = usable > births->asked[i]
					 ? usable - births->asked[i]
					 : 0;
		fprintf(to, "%s%" PRIu64, i == 0 ? "" : ",", waste);
	}
	fputs("],\n       \"late\": [", to);
	for (size_t i = 0; i < history->late_count; i++) {
		const struct lab_late *late = &history->late[i];
		fprintf(to, "%s[%zu,", i == 0 ? "" : ",", late->birth);
		if (late->died == SIZE_MAX) {
			fputs("-1]", to);
		} else {
			fprintf(to, "%zu]", late->died);
		}
	}
	fputs("]}", to);
}

static void json_subject(FILE *to, const struct lab_subject *subject)
{
	fputs("{\"name\": ", to);
	json_string(to, subject->heap.design->name);
	fputs(", \"summary\": ", to);
	json_string(to, subject->heap.design->summary);
	if (subject->why_not != NULL) {
		fputs(", \"not_run\": ", to);
		json_string(to, subject->why_not);
		fputc('}', to);
		return;
	}
	fputs(",\n     \"work\": ", to);
	json_work(to, subject->work);
	fputs(",\n     \"time\": ", to);
	json_time(to, &subject->time);
	fputs(",\n     \"memory\": ", to);
	json_memory(to, subject);
	fputs(",\n     \"samples\": [", to);
	json_samples(to, &subject->history);
	fputs("],\n     \"blocks\": ", to);
	json_blocks(to, &subject->history);
	if (subject->history.births == &subject->history.own) {
		fputs(",\n     \"births\": ", to);
		json_births(to, &subject->history.own);
	}
	fputc('}', to);
}

static void json_settings(FILE *to, const struct lab_report *report)
{
	fputs("  \"workload\": ", to);
	json_string(to, report->workload);
	fputs(",\n  \"summary\": ", to);
	json_string(to, report->summary);
	fprintf(to, ",\n  \"trace\": %s, \"adaptive\": %s, \"bad_lines\": %zu",
		report->is_trace ? "true" : "false",
		report->adaptive ? "true" : "false", report->bad_lines);
	if (!report->is_trace) {
		fprintf(to,
			",\n  \"objects\": %zu, \"pairs\": %zu, "
			"\"min\": %" PRIu32 ", \"max\": %" PRIu32
			", \"seed\": %" PRIu64,
			report->plan.objects, report->plan.pairs,
			report->plan.min, report->plan.max, report->plan.seed);
	}
	fprintf(to, ",\n  \"rounds\": %u, \"window_bytes\": %zu,\n",
		report->rounds, report->window_bytes);
}

void lab_print_json(FILE *to, const struct lab_report *report)
{
	fputs("{\n", to);
	json_settings(to, report);
	fputs("  \"births\": ", to);
	json_births(to, &report->births);
	fputs(",\n  \"heaps\": [", to);
	for (size_t i = 0; i < report->count; i++) {
		fputs(i == 0 ? "\n    " : ",\n    ", to);
		json_subject(to, &report->subjects[i]);
	}
	fputs("\n  ]\n}\n", to);
}

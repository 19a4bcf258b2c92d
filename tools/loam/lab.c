/* SPDX-License-Identifier: MIT */
/* loam lab: one workload over any set of heaps, and a table of how they did. */
#include "lab.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <loam/bits.h>

#include "input.h"
#include "lab_clock.h"
#include "lab_trace.h"
#include "loam.h"
#include "platform.h"

#define SAMPLES_DEFAULT 100u
/* Half of the addresses, with several windows, is all that 32 bits have. */
#define WINDOW_MAX (SIZE_MAX > UINT32_MAX ? LOAM_GIB(4) : LOAM_MIB(128))
#define RECORDS_DEFAULT 1500000u

/* The command line. */
struct options {
	const char *heaps; /* a list with commas; NULL: all */
	const char *trace;
	const char *workload;
	const char *json;
	const char *html;
	const char *write;
	struct lab_plan plan;
	unsigned rounds;
	size_t window_bytes; /* 0: as large as it seems to need */
	size_t samples;
	size_t records;
	bool list;
	bool help;
	bool shaped; /* an option was given that a trace has no use for */
};

/* -------- progress -------- */

/* Only where somebody looks, and not more often than can be read. */
static void progress(const char *what, const char *heap, double part)
{
	static uint64_t last;
	uint64_t now = lab_wall_ns();
	if (!isatty(STDERR_FILENO) || now - last < 100000000) {
		return;
	}
	last = now;
	fprintf(stderr, "\r\033[K%s: %s, %.0f %%", what, heap, part * 100);
	fflush(stderr);
}

static void progress_end(void)
{
	if (isatty(STDERR_FILENO)) {
		fputs("\r\033[K", stderr);
	}
}

/* -------- options -------- */

/* A decimal number up to `most`, with K, M or G behind it where it is bytes. */
static bool read_number(const char *text, uint64_t most, bool bytes,
			const char **end, uint64_t *out)
{
	uint64_t value = 0;
	const char *at = text;
	for (; isdigit((unsigned char)*at); at++) {
		unsigned digit = (unsigned)(*at - '0');
		if (value > (most - digit) / 10) {
			return false;
		}
		value = value * 10 + digit;
	}
	const char *units = "KMG";
	const char *unit = bytes && *at != '\0' ? strchr(units, *at) : NULL;
	unsigned shift = unit != NULL ? 10u * (unsigned)(unit - units + 1) : 0;
	if (at == text || value > most >> shift) {
		return false;
	}
	*end = at + (unit != NULL);
	*out = value << shift;
	return true;
}

static bool bad_value(const char *option, const char *value, const char *wants)
{
	fprintf(stderr, "loam lab: %s is %s, not \"%s\"\n", option, wants,
		value);
	return false;
}

static bool set_count(const char *option, const char *value, size_t most,
		      size_t *out)
{
	uint64_t number;
	const char *end;
	if (!read_number(value, most, false, &end, &number) || *end != '\0' ||
	    number == 0) {
		char wants[64];
		snprintf(wants, sizeof(wants), "a number from 1 to %zu", most);
		return bad_value(option, value, wants);
	}
	*out = (size_t)number;
	return true;
}

static bool set_sizes(const char *value, struct lab_plan *plan)
{
	uint64_t min;
	uint64_t max;
	const char *end;
	if (!read_number(value, UINT32_MAX / 2, true, &end, &min) ||
	    *end != '-' ||
	    !read_number(end + 1, UINT32_MAX / 2, true, &end, &max) ||
	    *end != '\0' || min == 0 || max < min) {
		return bad_value("--size", value,
				 "the smallest and the largest, like 16-4096");
	}
	plan->min = (uint32_t)min;
	plan->max = (uint32_t)max;
	return true;
}

static bool set_window(const char *value, size_t *out)
{
	uint64_t bytes;
	const char *end;
	if (!read_number(value, WINDOW_MAX, true, &end, &bytes) ||
	    *end != '\0' || bytes < LOAM_MIB(1)) {
		char wants[64];
		snprintf(wants, sizeof(wants),
			 "a size from 1M to %uM, like 64M",
			 (unsigned)(WINDOW_MAX >> 20));
		return bad_value("--window", value, wants);
	}
	*out = (size_t)loam_round_up(bytes, LOAM_MIB(4));
	return true;
}

static bool set_seed(const char *value, uint64_t *out)
{
	const char *end;
	if (!read_number(value, UINT64_MAX - 9, false, &end, out) ||
	    *end != '\0') {
		return bad_value("--seed", value, "a number of 64 bits");
	}
	return true;
}

static bool set_option(struct options *options, const char *name,
		       const char *value)
{
	struct lab_plan *plan = &options->plan;
	size_t rounds;
	if (strcmp(name, "--heaps") == 0) {
		options->heaps = value;
	} else if (strcmp(name, "--workload") == 0) {
		options->workload = value;
	} else if (strcmp(name, "--json") == 0) {
		options->json = value;
	} else if (strcmp(name, "--html") == 0) {
		options->html = value;
	} else if (strcmp(name, "--write") == 0) {
		options->write = value;
	} else if (strcmp(name, "--window") == 0) {
		return set_window(value, &options->window_bytes);
	} else if (strcmp(name, "--samples") == 0) {
		return set_count(name, value, 10000, &options->samples);
	} else if (strcmp(name, "--blocks") == 0) {
		return set_count(name, value, 100000000, &options->records);
	} else if (strcmp(name, "--rounds") == 0) {
		if (!set_count(name, value, 100, &rounds)) {
			return false;
		}
		options->rounds = (unsigned)rounds;
	} else {
		options->shaped = true;
		if (strcmp(name, "--size") == 0) {
			return set_sizes(value, plan);
		}
		if (strcmp(name, "--seed") == 0) {
			return set_seed(value, &plan->seed);
		}
		if (strcmp(name, "--objects") == 0) {
			return set_count(name, value, 10000000, &plan->objects);
		}
		return set_count(name, value, 100000000, &plan->pairs);
	}
	return true;
}

static bool is_option(const char *name)
{
	static const char *const names[] = {
		"--heaps",  "--workload", "--json",   "--html",   "--write",
		"--window", "--samples",  "--blocks", "--rounds", "--size",
		"--seed",   "--objects",  "--pairs",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

static bool parse_options(struct options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i];
		if (strcmp(name, "--list") == 0) {
			options->list = true;
		} else if (strcmp(name, "--help") == 0) {
			options->help = true;
		} else if (name[0] != '-' || name[1] == '\0') {
			if (options->trace != NULL) {
				fprintf(stderr,
					"loam lab: one trace at a time, not "
					"\"%s\" and \"%s\"\n",
					options->trace, name);
				return false;
			}
			options->trace = name;
		} else if (!is_option(name)) {
			fprintf(stderr, "loam lab: there is no option \"%s\"\n",
				name);
			return false;
		} else if (i + 1 == argc) {
			fprintf(stderr, "loam lab: %s needs a value\n", name);
			return false;
		} else if (!set_option(options, name, argv[++i])) {
			return false;
		}
	}
	if (options->trace != NULL &&
	    (options->workload != NULL || options->shaped)) {
		fprintf(stderr,
			"loam lab: a trace has its own workload, sizes, counts "
			"and no seed\n");
		return false;
	}
	return true;
}

/* -------- what takes part -------- */

static const struct lab_design *find_design(const char *name, size_t length)
{
	for (const struct lab_design *design = lab_designs;
	     design->name != NULL; design++) {
		if (strlen(design->name) == length &&
		    memcmp(design->name, name, length) == 0) {
			return design;
		}
	}
	return NULL;
}

static bool is_chosen(const struct lab_report *report,
		      const struct lab_design *design)
{
	for (size_t i = 0; i < report->count; i++) {
		if (report->subjects[i].heap.design == design) {
			return true;
		}
	}
	return false;
}

static void choose(struct lab_report *report, const struct lab_design *design)
{
	if (!is_chosen(report, design) && report->count < LAB_SUBJECTS_MAX) {
		report->subjects[report->count++].heap.design = design;
	}
}

/* The heaps of a list, or all; and TLSF, which the others are measured by. */
static bool choose_heaps(struct lab_report *report, const char *list)
{
	if (list == NULL) {
		for (size_t i = 0; lab_designs[i].name != NULL; i++) {
			choose(report, &lab_designs[i]);
		}
		return true;
	}
	while (*list != '\0') {
		size_t length = strcspn(list, ",");
		const struct lab_design *design = find_design(list, length);
		if (design == NULL) {
			fprintf(stderr,
				"loam lab: there is no heap \"%.*s\"; --list "
				"says which there are\n",
				(int)length, list);
			return false;
		}
		choose(report, design);
		list += length + (list[length] == ',');
	}
	choose(report, find_design("tlsf", 4));
	return true;
}

static const struct lab_generator *find_generator(const char *name)
{
	const struct lab_generator *generator = lab_generators;
	while (name != NULL && generator->name != NULL &&
	       strcmp(generator->name, name) != 0) {
		generator++;
	}
	return generator->name != NULL ? generator : NULL;
}

static const char usage[] =
	"usage: loam lab [OPTIONS] [TRACE]\n"
	"\n"
	"Runs one workload over heaps: the trace, or one that is generated.\n"
	"A trace has lines \"a ID SIZE\", \"f ID\" and \"r ID SIZE\" and may "
	"be packed\n"
	"with xz, zstd or gzip.\n"
	"\n"
	"  --heaps LIST      these, with commas; tlsf always takes part\n"
	"  --workload NAME   which generator (loguniform)\n"
	"  --objects N       live at once (20000)\n"
	"  --pairs N         of a free and an allocation (100000)\n"
	"  --size MIN-MAX    bytes (16-4096)\n"
	"  --seed N          another one gives another order (1)\n"
	"  --rounds N        of which the median counts (5)\n"
	"  --window SIZE     addresses of each heap; as many as seem needed\n"
	"  --write FILE      the generated workload as a trace\n"
	"  --json FILE       everything, with the heaps' history; - for here\n"
	"  --html FILE       a page that shows it\n"
	"  --samples N       points of the history (100)\n"
	"  --blocks N        blocks it may show, all heaps together (1500000)\n"
	"  --list            names the heaps and the workloads\n";

static void print_list(void)
{
	printf("heaps:\n");
	for (const struct lab_design *d = lab_designs; d->name != NULL; d++) {
		printf("  %-12s %s\n", d->name, d->summary);
	}
	printf("workloads:\n");
	for (const struct lab_generator *g = lab_generators; g->name != NULL;
	     g++) {
		printf("  %-12s %s\n", g->name, g->summary);
	}
}

/* -------- the workload -------- */

static void report_line(void *context, size_t line, const char *what)
{
	fprintf(stderr, "%s:%zu: %s\n", (const char *)context, line, what);
}

static bool read_trace(const char *name, struct lab_work *work, size_t *bad)
{
	size_t size;
	const char *why;
	char *text = input_read_packed(name, &size, &why);
	if (text == NULL) {
		fprintf(stderr, "%s: %s\n", name, why);
		return false;
	}
	*bad = lab_trace_parse(work, text, size, report_line,
			       (void *)(uintptr_t)name);
	free(text);
	if (work->count == 0) {
		fprintf(stderr, "%s: there is no operation in it\n", name);
		return false;
	}
	return true;
}

/* Enough for heaps that take pages for each block, and for fragmentation. */
static size_t guess_window(uint64_t live_bytes, size_t live_blocks)
{
	uint64_t bytes = live_bytes * 4 + (uint64_t)live_blocks * 12288;
	bytes = loam_round_up(bytes, LOAM_MIB(4));
	bytes = bytes < LOAM_MIB(64) ? LOAM_MIB(64) : bytes;
	return (size_t)(bytes < WINDOW_MAX ? bytes : WINDOW_MAX);
}

static bool write_trace(const char *name, const struct lab_work *work)
{
	FILE *to = fopen(name, "w");
	if (to != NULL) {
		lab_trace_write(to, work);
	}
	if (to == NULL || (ferror(to) | fclose(to)) != 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return false;
	}
	return true;
}

/* -------- samples -------- */

/* As many samples as the blocks that they show have room for. */
static size_t make_births(struct lab_births *births,
			  const struct lab_work *work, size_t samples,
			  size_t most)
{
	samples = samples < work->count ? samples : work->count;
	lab_births_make(births, work, samples);
	while (samples > 1 && births->count > most) {
		samples = samples * 3 / 4;
		lab_births_free(births);
		lab_births_make(births, work, samples);
	}
	return samples;
}

/* The histories of all: of one workload, or of each its own. */
static void prepare_histories(struct lab_report *report,
			      const struct options *options)
{
	const struct lab_work *work = report->subjects[0].work;
	size_t most = options->records / report->count;
	size_t samples = 0;
	if (!report->adaptive) {
		samples = make_births(&report->births, work, options->samples,
				      most);
	}
	for (size_t i = 0; i < report->count; i++) {
		struct lab_subject *subject = &report->subjects[i];
		struct lab_history *history = &subject->history;
		const struct lab_births *births = &report->births;
		if (report->adaptive && subject->why_not == NULL) {
			samples = make_births(&history->own, subject->work,
					      options->samples, most);
			births = &history->own;
		}
		lab_history_make(history, subject->work, samples, births);
	}
}

/* -------- the run -------- */

static void set_up(struct lab_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		struct lab_subject *subject = &report->subjects[i];
		const char *why = NULL;
		if (!subject->heap.design->kind->setup(
			    &subject->heap, report->window_bytes, &why)) {
			subject->why_not = why;
		}
	}
}

static void run(struct lab_report *report, const struct options *options,
		const struct lab_work *work)
{
	bool records = options->json != NULL || options->html != NULL;
	for (size_t i = 0; i < report->count; i++) {
		struct lab_subject *subject = &report->subjects[i];
		subject->work = work;
		if (!report->adaptive || subject->why_not != NULL) {
			continue;
		}
		if (subject->heap.design->kind->reset != NULL) {
			subject->why_not = "the adversary wants a heap that "
					   "has the same addresses again";
			continue;
		}
		lab_robson(subject, &report->plan);
	}
	if (records) {
		prepare_histories(report, options);
	}
	for (size_t i = 0; i < report->count; i++) {
		if (report->subjects[i].why_not == NULL) {
			lab_measure_memory(&report->subjects[i], progress);
		}
	}
	lab_measure_time(report->subjects, report->count, report->rounds,
			 progress);
	progress_end();
}

typedef void (*print_fn)(FILE *to, const struct lab_report *report);

static bool print_to(const char *name, print_fn print,
		     const struct lab_report *report)
{
	FILE *to = strcmp(name, "-") == 0 ? stdout : fopen(name, "w");
	if (to != NULL) {
		print(to, report);
	}
	if (to == NULL || fflush(to) != 0 || ferror(to) != 0 ||
	    (to != stdout && fclose(to) != 0)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return false;
	}
	return true;
}

static int conclude(const struct lab_report *report,
		    const struct options *options)
{
	bool good = true;
	lab_print_table(stdout, report);
	if (options->json != NULL) {
		good = print_to(options->json, lab_print_json, report);
	}
	if (options->html != NULL) {
		good = print_to(options->html, lab_print_html, report) && good;
	}
	for (size_t i = 0; i < report->count; i++) {
		const struct lab_subject *subject = &report->subjects[i];
		good = good && (subject->why_not != NULL ||
				(subject->memory.corrupted == 0 &&
				 subject->memory.sound));
	}
	return good && report->bad_lines == 0 ? TOOL_OK : TOOL_FAILED;
}

static void fini(struct lab_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		struct lab_subject *subject = &report->subjects[i];
		lab_work_fini(&subject->own);
		lab_history_free(&subject->history);
	}
	lab_births_free(&report->births);
}

static int run_lab(const struct options *options)
{
	static struct lab_subject subjects[LAB_SUBJECTS_MAX];
	const struct lab_generator *generator =
		find_generator(options->workload);
	struct lab_report report = {
		.plan = options->plan,
		.rounds = options->rounds,
		.subjects = subjects,
	};
	if (generator == NULL) {
		fprintf(stderr,
			"loam lab: there is no workload \"%s\"; --list says "
			"which there are\n",
			options->workload);
		return TOOL_USAGE;
	}
	if (!choose_heaps(&report, options->heaps)) {
		return TOOL_USAGE;
	}
	report.is_trace = options->trace != NULL;
	report.workload = report.is_trace ? options->trace : generator->name;
	report.summary = report.is_trace ? "a trace" : generator->summary;
	report.adaptive = !report.is_trace && generator->generate == NULL;
	struct lab_work work;
	lab_work_init(&work);
	int status = TOOL_FAILED;
	if (!report.is_trace && !report.adaptive) {
		generator->generate(&work, &options->plan);
	}
	if (!report.is_trace ||
	    read_trace(options->trace, &work, &report.bad_lines)) {
		report.window_bytes = options->window_bytes;
		if (report.window_bytes == 0 && report.adaptive) {
			report.window_bytes = guess_window(
				(uint64_t)options->plan.objects *
					(options->plan.min + 192) * 8,
				options->plan.objects);
		} else if (report.window_bytes == 0) {
			report.window_bytes = guess_window(
				work.peak_live_bytes, work.peak_live_blocks);
		}
		if (options->write == NULL ||
		    write_trace(options->write, &work)) {
			set_up(&report);
			run(&report, options, &work);
			status = conclude(&report, options);
		}
	}
	fini(&report);
	lab_work_fini(&work);
	return status;
}

int tool_lab(int argc, char **argv)
{
	struct options options = {
		.plan = {
			.objects = 20000,
			.pairs = 100000,
			.min = 16,
			.max = 4096,
			.seed = 1,
		},
		.rounds = 5,
		.samples = SAMPLES_DEFAULT,
		.records = RECORDS_DEFAULT,
	};
	if (!parse_options(&options, argc, argv)) {
		return TOOL_USAGE;
	}
	if (options.help) {
		fputs(usage, stdout);
		return TOOL_OK;
	}
	if (options.list) {
		print_list();
		return TOOL_OK;
	}
	hosted_log_echo = true;
	return run_lab(&options);
}

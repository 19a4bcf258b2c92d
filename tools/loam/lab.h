/* SPDX-License-Identifier: MIT */
/* What the parts of the laboratory's front know of each other. */
#ifndef LOAM_LAB_H
#define LOAM_LAB_H

#include <stdio.h>

#include "lab_generate.h"
#include "lab_run.h"

#define LAB_SUBJECTS_MAX 32u

/* A run: what was asked for, and what came out. */
struct lab_report {
	const char *workload; /* a generator's name, or the trace's file */
	const char *summary;
	bool is_trace;
	bool adaptive; /* each heap has a workload of its own */
	struct lab_plan plan;
	unsigned rounds;
	size_t window_bytes;
	size_t bad_lines;
	struct lab_subject *subjects;
	size_t count;
	struct lab_births births; /* of the one workload */
};

/* The table, and what its columns mean. */
void lab_print_table(FILE *to, const struct lab_report *report);

/* All of it as one JSON object. */
void lab_print_json(FILE *to, const struct lab_report *report);

/* One page that shows the JSON. */
void lab_print_html(FILE *to, const struct lab_report *report);

/* Shares, from 0 to 1, at the peak; negative: not known. */
double lab_internal(const struct lab_memory *memory);
double lab_external(const struct lab_memory *memory);

/* Peak of the pages over the peak of what was asked for; 0: not known. */
double lab_overhead(const struct lab_subject *subject);

#endif

/* SPDX-License-Identifier: MIT */
/* Traces: workloads as text, one operation a line. */
#ifndef LOAM_LAB_TRACE_H
#define LOAM_LAB_TRACE_H

#include <stdio.h>

#include "lab_work.h"

/*
 * The text form
 * -------------
 *
 *	# a comment, to the end of the line
 *	a 17 100	block 17 is allocated, with 100 bytes
 *	r 17 250	it gets another size
 *	f 17		it is freed
 *
 * A block's ID is any decimal number of 64 bits, and free for another block
 * once this one is freed. Sizes are decimal, from 1 to 2^32 - 1. Blanks
 * separate the words; empty lines mean nothing.
 */

/* Is told of each bad line: its number, from 1, and what is wrong with it. */
typedef void (*lab_trace_report)(void *context, size_t line, const char *what);

/*
 * Adds what the text says to *work. A line that is wrong is reported and left
 * out, and all others count. Returns how many were left out.
 */
size_t lab_trace_parse(struct lab_work *work, const char *text, size_t size,
		       lab_trace_report report, void *context);

/* Writes a workload as such a text. The IDs are its slots. */
void lab_trace_write(FILE *to, const struct lab_work *work);

#endif

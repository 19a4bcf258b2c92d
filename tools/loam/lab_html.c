/* SPDX-License-Identifier: MIT */
/* The laboratory's page: one file with its style, its script and its data. */
#include "lab.h"
#include "lab_page.h"

void lab_print_html(FILE *to, const struct lab_report *report)
{
	fwrite(lab_page_head, 1, lab_page_head_bytes, to);
	lab_print_json(to, report);
	fwrite(lab_page_tail, 1, lab_page_tail_bytes, to);
}

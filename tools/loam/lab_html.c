/* SPDX-License-Identifier: MIT */
/* The laboratory's page: the JSON, and the script that shows it. */
#include "lab.h"

void lab_print_html(FILE *to, const struct lab_report *report)
{
	lab_print_json(to, report);
}

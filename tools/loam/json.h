/* SPDX-License-Identifier: MIT */
/* What the subcommands need to write JSON. */
#ifndef LOAM_TOOL_JSON_H
#define LOAM_TOOL_JSON_H

#include <stdio.h>

/*
 * A string with its quotes. Bytes that are not ASCII are left as they are:
 * UTF-8. "<" is escaped, so that the text can stand in a page's script.
 */
void json_string(FILE *to, const char *text);

#endif

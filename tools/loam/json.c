/* SPDX-License-Identifier: MIT */
/* JSON strings. */
#include "json.h"

void json_string(FILE *to, const char *text)
{
	putc('"', to);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			fprintf(to, "\\%c", c);
		} else if (c < ' ' || c == '<' || c == 0x7f) {
			fprintf(to, "\\u%04x", c);
		} else {
			putc(c, to);
		}
	}
	putc('"', to);
}

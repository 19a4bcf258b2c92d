/* SPDX-License-Identifier: MIT */
/* Text to the console, one call of write for each. */
#ifndef USER_STDIO_H
#define USER_STDIO_H

#include <loam/mem.h>

int printf(const char *format, ...) LOAM_PRINTF(1, 2);
int puts(const char *text);

#define snprintf loam_snprintf

#endif

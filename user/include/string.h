/* SPDX-License-Identifier: MIT */
/* Bytes and strings; memset and its kin are Loam's. */
#ifndef USER_STRING_H
#define USER_STRING_H

#include <loam/mem.h>

#define strlen loam_strlen

int strcmp(const char *a, const char *b);

#endif

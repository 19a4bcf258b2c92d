/* SPDX-License-Identifier: MIT */
/* The laboratory's page, made from tools/page by scripts/mkpage. */
#ifndef LOAM_LAB_PAGE_H
#define LOAM_LAB_PAGE_H

#include <stddef.h>

/* What stands before the data, and after it. */
extern const unsigned char lab_page_head[];
extern const size_t lab_page_head_bytes;
extern const unsigned char lab_page_tail[];
extern const size_t lab_page_tail_bytes;

#endif

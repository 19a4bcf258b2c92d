/* SPDX-License-Identifier: MIT */
/* malloc by two-level segregated fit. */

#include "malloc_heap.h"

MALLOC_HEAP(tlsf);

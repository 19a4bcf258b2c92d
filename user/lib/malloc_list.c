/* SPDX-License-Identifier: MIT */
/* malloc by the address-ordered free list. */

#include "malloc_heap.h"

MALLOC_HEAP(list);

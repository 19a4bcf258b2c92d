/* SPDX-License-Identifier: MIT */
/* malloc by the block table. */

#include "malloc_heap.h"

MALLOC_HEAP(block);

/* SPDX-License-Identifier: MIT */
/* malloc by best fit over a break. */

#include "malloc_heap.h"

MALLOC_HEAP(bestfit);

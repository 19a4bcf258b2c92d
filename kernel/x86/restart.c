/* SPDX-License-Identifier: MIT */
/* Sends interrupted code back to the start of its sequence: see restart.h. */

#include "restart.h"

/* From kernel.ld. */
extern const struct restart restarts_start[];
extern const struct restart restarts_end[];

void restart_interrupted(uintptr_t *pc)
{
	for (const struct restart *at = restarts_start; at < restarts_end;
	     at++) {
		/* Before the first, nothing is done yet. */
		if (*pc - at->first - 1 < at->commit - at->first) {
			*pc = at->undo;
			return;
		}
	}
}

/* SPDX-License-Identifier: MIT */
/* Generators of workloads, repeatable from a seed on every machine. */
#ifndef LOAM_LAB_GENERATE_H
#define LOAM_LAB_GENERATE_H

#include "lab_work.h"

struct lab_plan {
	size_t objects; /* live at once, about */
	size_t pairs;   /* of a free and an allocation, or as much */
	uint32_t min;   /* bytes of the smallest block, at least 1 */
	uint32_t max;   /* and of the largest, at least min */
	uint64_t seed;
};

struct lab_generator {
	const char *name;
	const char *summary;
	/* NULL: each heap gets its own, which looks at its addresses. */
	void (*generate)(struct lab_work *work, const struct lab_plan *plan);
};

/* All there are; the last one has no name. The first is the default. */
extern const struct lab_generator lab_generators[];

#endif

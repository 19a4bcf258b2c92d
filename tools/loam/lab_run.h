/* SPDX-License-Identifier: MIT */
/* Runs a workload over heaps: how much time it takes, how much memory. */
#ifndef LOAM_LAB_RUN_H
#define LOAM_LAB_RUN_H

#include "lab_heaps.h"
#include "lab_work.h"

/* One point of a heap's history: what there is after an operation. */
struct lab_sample {
	size_t op;
	uint64_t asked;   /* bytes of live blocks, as asked for */
	uint64_t usable;  /* as given */
	uint64_t header;  /* in front of them */
	uint64_t mapped;  /* what the heap has from its owner */
	size_t blocks;    /* live */
	size_t first_run; /* its runs of pages, in lab_history.runs */
	size_t run_count;
};

struct lab_pages {
	uint64_t start; /* in the window */
	uint64_t size_bytes;
};

/* A block that was live at some sample, from one address on. */
struct lab_record {
	uint64_t address; /* in the window */
	uint64_t usable;
	uint32_t asked;
	size_t born; /* the operations that made it, and took it away; */
	size_t died; /* SIZE_MAX: it is live at the end */
};

struct lab_history {
	struct lab_sample *samples;
	size_t sample_count;
	struct lab_pages *runs;
	size_t run_count;
	size_t run_room;
	struct lab_record *records; /* by address of birth; or none */
	size_t record_count;
	size_t record_room;
};

/* Memory, at the last operation where the asked-for bytes peak. */
struct lab_memory {
	struct lab_sample peak;
	uint64_t largest_free; /* 0: the heap does not tell */
	uint64_t peak_mapped;  /* of the whole run; 0: likewise */
	uint64_t failed;       /* requests that got NULL */
	uint64_t corrupted;    /* blocks found written over, or misaligned */
	bool sound;            /* the heap's own check, at the peak and after */
	unsigned header;
};

/* Time, of the timed operations. The loop's own is taken off. */
struct lab_time {
	double ns;       /* an operation, median of the rounds */
	double ratio;    /* to TLSF in the same round, median */
	double worst_ns; /* the dearest one, least of its rounds */
	size_t worst_op;
	double instructions; /* an operation; 0: not counted */
};

/* One heap's part of a run. */
struct lab_subject {
	struct lab_heap heap;
	const struct lab_work *work;
	struct lab_work own; /* what work points to, if it is made for it */
	const char *why_not; /* it does not take part; or NULL */
	struct lab_memory memory;
	struct lab_history history;
	struct lab_time time;
};

/* Told now and then how far a run is. */
typedef void (*lab_progress_fn)(const char *what, const char *heap,
				double part);

/*
 * The pass that looks at memory: every block is stamped and looked at again,
 * and samples are taken after the operations that history->samples names.
 * With keep_records every block that is live at one of them is recorded.
 */
void lab_measure_memory(struct lab_subject *subject, bool keep_records,
			lab_progress_fn progress);

/* The passes that look at time. One of the subjects should be TLSF's. */
void lab_measure_time(struct lab_subject *subjects, size_t count,
		      unsigned rounds, lab_progress_fn progress);

/* Makes Robson's worst case for the subject's heap, in subject->own. */
struct lab_plan;
void lab_robson(struct lab_subject *subject, const struct lab_plan *plan);

#endif

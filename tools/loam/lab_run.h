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

/*
 * Blocks that are live at some sample, by birth: an allocation, or a resize,
 * which is the end of one block and the birth of another. The same for every
 * heap that has the workload.
 */
struct lab_births {
	size_t count;
	size_t *born; /* the operation, rising */
	size_t *died; /* likewise, of its end; SIZE_MAX: there is none */
	uint32_t *asked;
};

#define LAB_NOWHERE UINT64_MAX

/* A block that outlives its end, since the resize that was it failed. */
struct lab_late {
	size_t birth;
	size_t died;
};

/* What a heap had and where, at the samples. */
struct lab_history {
	struct lab_sample *samples;
	size_t sample_count;
	struct lab_pages *runs;
	size_t run_count;
	size_t run_room;
	const struct lab_births *births; /* or NULL: only samples are kept */
	struct lab_births own;           /* if the workload is the heap's own */
	uint64_t *addresses; /* of each birth, in the window; LAB_NOWHERE */
	uint64_t *usable;    /* bytes of it */
	struct lab_late *late;
	size_t late_count;
	size_t late_room;
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
 * So many samples of a workload, evenly spread, the last operation among them,
 * and the blocks that are live at one of them.
 */
void lab_births_make(struct lab_births *births, const struct lab_work *work,
		     size_t samples);
void lab_births_free(struct lab_births *births);

/* Makes room for them in the history. births may be NULL. */
void lab_history_make(struct lab_history *history, const struct lab_work *work,
		      size_t samples, const struct lab_births *births);
void lab_history_free(struct lab_history *history);

/*
 * The pass that looks at memory: every block is stamped and looked at again,
 * and the history is filled in.
 */
void lab_measure_memory(struct lab_subject *subject, lab_progress_fn progress);

/* The passes that look at time. One of the subjects should be TLSF's. */
void lab_measure_time(struct lab_subject *subjects, size_t count,
		      unsigned rounds, lab_progress_fn progress);

/* Makes Robson's worst case for the subject's heap, in subject->own. */
struct lab_plan;
void lab_robson(struct lab_subject *subject, const struct lab_plan *plan);

#endif

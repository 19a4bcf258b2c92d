/* SPDX-License-Identifier: MIT */
/* The heaps that the laboratory compares, behind one interface. */
#ifndef LOAM_LAB_HEAPS_H
#define LOAM_LAB_HEAPS_H

#include <stdbool.h>

#include <loam/heap.h>

struct lab_design;

/* One heap under test, over a window of addresses of its own. */
struct lab_heap {
	const struct lab_design *design;
	unsigned char *window; /* addresses are shown relative to it */
	size_t window_bytes;
	void *state; /* the kind's */
};

/* Called with each run of pages that the heap has: offset in the window. */
typedef void (*lab_run_fn)(void *context, size_t start, size_t size_bytes);

/*
 * A kind of heap: how the laboratory gets at it. setup() is called once and
 * false says, in *why, what is missing; then open() and close() make an empty
 * heap and take it away, as often as wished, over the same memory: what was
 * touched once costs no page fault when it is used again.
 */
struct lab_kind_ops {
	bool (*setup)(struct lab_heap *heap, size_t window_bytes,
		      const char **why);
	/*
	 * Or NULL. Gives back what an earlier heap left, before memory counts;
	 * addresses are then not the same from one open() to the next.
	 */
	void (*reset)(struct lab_heap *heap);
	bool (*open)(struct lab_heap *heap);
	void *(*alloc)(void *state, size_t size_bytes);
	void (*free)(void *state, void *block);
	void *(*resize)(void *state, void *block, size_t size_bytes);
	size_t (*usable)(const struct lab_heap *heap, void *block);
	/* Bytes in front of a live block that are its own. */
	size_t (*header)(const struct lab_heap *heap, void *block);
	/* Bytes the heap has from its owner now; 0: it does not tell. */
	size_t (*mapped)(const struct lab_heap *heap);
	/* The most since open(), where the heap itself counts; or NULL. */
	size_t (*peak_mapped)(const struct lab_heap *heap);
	/* The largest block that could be had without asking the owner. */
	size_t (*largest_free)(const struct lab_heap *heap);
	void (*runs)(const struct lab_heap *heap, lab_run_fn run,
		     void *context);
	/* True if the heap finds itself in order. */
	bool (*check)(const struct lab_heap *heap);
	void (*close)(struct lab_heap *heap);
};

struct lab_design {
	const char *name;
	const char *summary;
	const struct lab_kind_ops *kind;
	const struct loam_heap_ops *ops; /* of the heap floor's designs */
	enum loam_heap_fit fit;          /* the list heap's */
};

/* All there are; the last one has no name. */
extern const struct lab_design lab_designs[];

/* A heap that does nothing: what it takes is the laboratory's own time. */
extern const struct lab_design lab_nothing;

/*
 * Memory for a window, not yet real, at a multiple of 4 MiB, and of large pages
 * if the system can give them to all heaps. NULL: there is none.
 */
unsigned char *lab_window(size_t size_bytes);

/* What is real memory between the two gets large pages, where it fills them. */
void lab_make_large(void *start, void *end);

extern const struct lab_kind_ops lab_kind_kmalloc;
extern const struct lab_kind_ops lab_kind_malloc;

#endif

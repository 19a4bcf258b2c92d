/* SPDX-License-Identifier: MIT */
/* What the recorder in a program and `loam record` share: memory of events. */
#ifndef LOAM_RECORD_EVENTS_H
#define LOAM_RECORD_EVENTS_H

#include <stdint.h>

/* The environment: whose memory file to map, and which process may. */
#define RECORD_FILE "LOAM_RECORD_FILE"
#define RECORD_PID "LOAM_RECORD_PID"

#define RECORD_MAGIC UINT64_C(0x6c6f616d2d726563)

enum record_kind {
	RECORD_NONE,   /* begun and not written: the program ended just there */
	RECORD_ALLOC,  /* address, size */
	RECORD_FREE,   /* address */
	RECORD_RESIZE, /* address: from here on nobody has it */
	RECORD_RESIZED, /* address (0: it failed), size, and which RESIZE */
};

/*
 * Events are numbered by one counter. A free takes its number before the block
 * goes back, an allocation takes its own after the block is there; so the
 * numbers tell an order in which no two live blocks have one address, however
 * many threads there are. A resize takes one on either side.
 */
struct record_event {
	uint64_t address;
	uint64_t size_bytes;
	uint32_t begun; /* RESIZED: the number of its RESIZE */
	uint32_t kind;  /* written last */
};

struct record_memory {
	uint64_t magic;
	uint32_t room; /* events that fit */
	uint32_t next; /* number of the next one; room or more: some are lost */
	uint32_t
		first; /* of this image: what is before is of one before exec */
	uint32_t starts; /* images that recorded */
	struct record_event events[];
};

#endif

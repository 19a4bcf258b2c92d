/* SPDX-License-Identifier: MIT */
/* Page frames: descriptors, zones, the buddy system, per-CPU frames. */
#ifndef LOAM_FRAME_H
#define LOAM_FRAME_H

#include <loam/acpi.h>
#include <loam/buddy.h>
#include <loam/heap_runs.h>
#include <loam/memblock.h>

enum loam_zone_id {
	LOAM_ZONE_DMA,    /* below 16 MiB */
	LOAM_ZONE_NORMAL, /* directly mapped */
	LOAM_ZONE_HIGH,   /* reached through temporary maps only */
	LOAM_ZONE_COUNT
};

struct loam_frames; /* defined at the end: the caller embeds it */

/*
 * An area is a span of memory of one node, with zones of its own, whose parts
 * are not far from each other: see areas.c. Most machines have one.
 */
#define LOAM_FRAME_ZONES (LOAM_FRAME_AREAS * LOAM_ZONE_COUNT)
#define LOAM_FRAME_NODES (LOAM_FRAME_AREAS > 1 ? LOAM_TOPOLOGY_NODES : 1u)

/* Statistics of one zone, in frames. */
struct loam_zone_stats {
	const char *name;
	loam_pfn_t first;
	loam_pfn_t end;
	uint64_t managed;   /* all that it owns */
	uint64_t free;      /* in the buddy, untouched, and cached */
	uint64_t untouched; /* of free: never handed out */
	uint64_t cached;    /* of free: single frames out of the buddy */
	uint64_t free_blocks[LOAM_ORDER_COUNT];
	uint64_t largest_free; /* frames; touched blocks, or an untouched run */
	uint64_t peak_used; /* most ever outside the buddy, cached ones too */
	uint64_t failed;    /* requests that preferred it and found nothing */
};

/*
 * Bytes of metadata for frames [0, end_pfn), 12.4 for each: what
 * loam_frame_adopt() will take from memblock, plus 8 for each free range.
 */
loam_phys_t loam_frame_metadata_bytes(uint64_t end_pfn);

/*
 * Takes every free frame of memblock, and seals it. Metadata comes from
 * memblock (LOAM_RESERVED_METADATA) and must be directly mapped when this is
 * called: it is placed within [0, direct_end).
 *   dma_end, direct_end  where the zones end (multiples of 4 MiB)
 *   reach_end            frames at or above are left out and counted
 * Cost: O(ranges), not O(memory): untouched memory costs nothing until it is
 * first handed out (4 MiB at a time).
 * Metadata lies as low as there is room at or above dma_end, else below it,
 * and ends at the highest usable frame that can be reached.
 * -LOAM_ENOMEM: no room for metadata; nothing has been taken.
 * -LOAM_EINVAL: a zone's end is not a multiple of 4 MiB, or dma_end lies above
 * direct_end. -LOAM_EPERM: memblock is sealed.
 */
int loam_frame_adopt(struct loam_frames *frames, struct loam_memblock *memblock,
		     loam_phys_t dma_end, loam_phys_t direct_end,
		     loam_phys_t reach_end);

/*
 * The same for a machine whose memory belongs to several nodes: topology says
 * what is whose and how far nodes are from each other, and is not needed any
 * more afterwards; NULL: one node has all. What it says nothing of is node 0's.
 * Where the memory of nodes is more mixed than LOAM_FRAME_AREAS can tell, the
 * rest counts as one node's, logged. Every CPU is node 0's until
 * loam_frame_set_cpu_node().
 */
int loam_frame_adopt_nodes(struct loam_frames *frames,
			   struct loam_memblock *memblock, loam_phys_t dma_end,
			   loam_phys_t direct_end, loam_phys_t reach_end,
			   const struct loam_topology *topology);

/*
 * From here on the CPU's requests are served from the node's memory first, then
 * from others' by distance: each kind of memory in this order. What it keeps is
 * given back. A node may have no memory: the nearest is the CPU's home. The CPU
 * must not be in the frame floor meanwhile: call it before the CPU starts, or
 * on it. -LOAM_EINVAL: no such CPU or node.
 */
int loam_frame_set_cpu_node(struct loam_frames *frames, unsigned cpu,
			    unsigned node);

/*
 * Hands over more frames later: reclaimed boot data and the like. The frames
 * must lie below the adopted end, in no zone's hands: else -LOAM_EINVAL,
 * logged, and none is taken. count 0 does nothing.
 * Cost: O(count) to look at each.
 */
int loam_frame_add(struct loam_frames *frames, loam_pfn_t first,
		   uint64_t count);

/*
 * pages=xv6: from here on directly mapped memory is handed out by a list
 * threaded through the free frames (seed 002), in place of buddy and stacks;
 * high memory stays as it is. The frames below first_end (a multiple of 4 MiB)
 * go onto the list now, and nothing else of that memory can be had until
 * loam_frame_list_rest(): first_end must reach for all page tables that
 * bring-up makes, and be mapped (kinit1, kinit2 of the seed). To be called
 * before anything was allocated: -LOAM_EPERM; -LOAM_EINVAL: first_end.
 * Only order 0 can be had from then on, and of loam_frame_alloc_range() a
 * single frame whose limit takes in the whole zone. Returns the frames on the
 * list. Cost: O(frames); the first 64 bytes of each are written.
 */
long loam_frame_list_begin(struct loam_frames *frames, loam_phys_t first_end);

/* The second step: all of it must be directly mapped now. Frames added. */
long loam_frame_list_rest(struct loam_frames *frames);

/* How many areas there are, and which node's memory one is. */
static inline unsigned loam_frame_area_count(const struct loam_frames *frames);
static inline unsigned loam_frame_area_node(const struct loam_frames *frames,
					    unsigned area);

/*
 * The largest order that directly mapped memory can give at all: for who would
 * like larger blocks, or can do with single frames.
 */
static inline unsigned loam_frame_order_max(const struct loam_frames *frames);

/*
 * A block of 2^order frames, aligned to its size (physically), or
 * LOAM_PFN_NONE. flags: LOAM_ZERO clears it (high frames too, through
 * frames->clear_frame), LOAM_DMA, LOAM_HIGH say where it may lie: without
 * either it is directly mapped; LOAM_HIGH prefers high, then normal, then DMA
 * memory. Of several nodes the calling CPU's comes first, then the nearest.
 * LOAM_NOSLEEP: no reclaim. LOAM_OWNED_BY() labels it. The head's
 * reference count is 1. LOAM_PFN_NONE too for an order over LOAM_ORDER_MAX.
 * What the calling CPU caches is drained before a request fails; what others
 * cache is out of reach. LOAM_AT_HAND: a request that does without, if there is
 * no such block: nothing is drained or reclaimed for it, and it does not count
 * as failed.
 * Context: any, interrupts too. Cost: orders 0 to 3 and 9 from the CPU's
 * stacks O(1), else O(LOAM_ORDER_MAX - order). Source: Knuth, TAOCP 1, 2.5;
 * stacks after Bonwick and Adams 2001.
 */
loam_pfn_t loam_frame_alloc(struct loam_frames *frames, unsigned order,
			    loam_flags_t flags);

/*
 * Makes a block larger where it lies, if the memory behind it is free, up to
 * the next multiple of its new size, and not cached by a CPU; contents of what
 * it gets are undefined. False: it is not (or fault injection says so), and
 * nothing has changed; false and reported: pfn is not the head of a used block
 * of this order with one reference. Its owner stays. larger > order.
 * Context: any. Cost: O(larger - order).
 */
bool loam_frame_extend(struct loam_frames *frames, loam_pfn_t pfn,
		       unsigned order, unsigned larger);

/*
 * Gives a block back. Anything but the head of a used block of this order
 * with one reference is reported (address, what it is, caller) and ignored.
 */
void loam_frame_free(struct loam_frames *frames, loam_pfn_t pfn,
		     unsigned order);

/*
 * Takes and drops a reference; the last put frees the block. pfn must be the
 * head of a used block: else reported and ignored. refs: 0 if it is none.
 * No lock, but for every 16384th reference beyond 32768.
 */
void loam_frame_get(struct loam_frames *frames, loam_pfn_t pfn);
void loam_frame_put(struct loam_frames *frames, loam_pfn_t pfn);
uint32_t loam_frame_refs(const struct loam_frames *frames, loam_pfn_t pfn);

/*
 * count consecutive frames, any number, the first a multiple of align_frames
 * (a power of two), all below limit (physical, exclusive; 0: none), not
 * crossing a multiple of boundary bytes (a power of two; 0: none): what old
 * DMA controllers need (64 KiB). What is left over of the blocks used goes
 * back. Each frame is its own block of order 0 afterwards;
 * loam_frame_free_range() frees them. LOAM_PFN_NONE: none, or bad arguments.
 * count 0, align_frames or boundary no power of two: LOAM_PFN_NONE.
 * Cost: as a block of the next power of two where one will do, otherwise
 * O(blocks) of the zone: any run of free frames that fits is found.
 */
loam_pfn_t loam_frame_alloc_range(struct loam_frames *frames, size_t count,
				  size_t align_frames, loam_phys_t limit,
				  loam_phys_t boundary, loam_flags_t flags);
void loam_frame_free_range(struct loam_frames *frames, loam_pfn_t pfn,
			   size_t count);

/*
 * count frames of order 0, in any order in memory, into pfns; all or nothing.
 * -LOAM_ENOMEM.
 */
int loam_frame_alloc_bulk(struct loam_frames *frames, size_t count,
			  loam_pfn_t *pfns, loam_flags_t flags);
void loam_frame_free_bulk(struct loam_frames *frames, size_t count,
			  const loam_pfn_t *pfns);

/*
 * Breaks a used block of `order` with one reference into 2^order used blocks
 * of order 0. Anything else is reported and ignored.
 */
void loam_frame_split(struct loam_frames *frames, loam_pfn_t pfn,
		      unsigned order);

/*
 * Gives what the calling CPU's stacks hold to the buddy, and all loose frames;
 * or what those of `cpu` hold, which then are loose, and go on to the buddy
 * where 2 MiB of them are together. Another CPU must not be in the frame floor
 * meanwhile: it is offline, or stopped. O(frames).
 */
void loam_frame_drain(struct loam_frames *frames);
void loam_frame_drain_cpu(struct loam_frames *frames, unsigned cpu);

/*
 * Called once, without locks, when an allocation that may sleep finds
 * nothing; returns true if it freed something and a second try is worth it.
 */
typedef bool (*loam_reclaim_fn)(void *arg);
void loam_frame_set_reclaim(struct loam_frames *frames, loam_reclaim_fn fn,
			    void *arg);

/*
 * Clears a frame that is not directly mapped, for LOAM_ZERO. Without one,
 * LOAM_ZERO excludes high memory.
 */
typedef void (*loam_clear_fn)(void *arg, loam_pfn_t pfn);
void loam_frame_set_clear(struct loam_frames *frames, loam_clear_fn fn,
			  void *arg);

/*
 * Fault injection: the nth allocation of a block from now on fails, once
 * (n = 1: the next); 0 turns it off. Returns how many were counted since the
 * last call; none are while it is off. A bulk of n frames counts as n, a range
 * as one. While it is on, every allocation takes the slow path.
 */
uint64_t loam_frame_fail_nth(struct loam_frames *frames, uint64_t nth);

/* What a frame is, for people and for checks of who owns what. */
struct loam_frame_info {
	loam_pfn_t head; /* first frame of its block */
	unsigned order;
	uint32_t state; /* LOAM_TAG_FREE, _USED, _CACHED, _SLAB, 0 */
	enum loam_owner owner;
	enum loam_zone_id zone;
	uint32_t refs;
	bool untouched;
};

/*
 * 0, or -LOAM_ENOENT: no zone manages this frame. O(order), for untouched
 * frames O(ranges). Context: any that may take a zone's lock.
 */
int loam_frame_info(struct loam_frames *frames, loam_pfn_t pfn,
		    struct loam_frame_info *out);

/*
 * A snapshot of one zone of one area, under its lock; what CPUs hold may move
 * meanwhile.
 */
void loam_frame_area_stats(struct loam_frames *frames, unsigned area,
			   enum loam_zone_id zone, struct loam_zone_stats *out);

/* The sum over all areas; first and end are those of the whole. */
void loam_frame_zone_stats(struct loam_frames *frames, enum loam_zone_id zone,
			   struct loam_zone_stats *out);

/* Free frames of all zones, cached ones included. */
uint64_t loam_frame_free_count(struct loam_frames *frames);

/* Frames per owner, by a walk over all touched heads. O(touched frames). */
void loam_frame_count_owners(struct loam_frames *frames,
			     uint64_t counts[LOAM_OWNER_COUNT]);

/*
 * Calls visit for every free block of at least this order that the buddies
 * hold, under the zone's lock: visit may not call the frame floor. Stops at
 * non-zero and returns it. For hosts that can give memory back to whoever
 * lent it. O(such blocks).
 */
int loam_frame_walk_free(struct loam_frames *frames, unsigned order,
			 int (*visit)(void *arg, loam_pfn_t pfn,
				      unsigned order),
			 void *arg);

/*
 * 0, or -LOAM_EFAULT (logged). Takes each zone's lock. O(touched frames).
 * No other CPU may allocate or free meanwhile: stacks have no lock.
 */
int loam_frame_check(struct loam_frames *frames);

/* -------- for the slab floor, which looks tags up in its fast path -------- */

/*
 * tags[pfn] may be read without a lock for pfn < *tag_end: below it every tag
 * is initialised. It only grows, and covers directly mapped zones only.
 */
struct loam_frame_tags {
	uint32_t *tags;
	volatile loam_pfn_t end; /* of the first area */
};

/*
 * The tag of a frame at or above tags.end, if it is one that may be read: areas
 * beyond the first have ends of their own; else 0. O(areas).
 */
uint32_t loam_frame_tag_beyond(const struct loam_frames *frames, size_t pfn);

/* The tags of the instance. The answer is constant once adopted. */
struct loam_frame_tags *loam_frame_tags(struct loam_frames *frames);

/*
 * Labels the 2^order frames of a used block as a slab's (tag must have
 * LOAM_TAG_SLAB), or, with tag 0, back to a used block of its old owner.
 * Any other block, order or tag is reported and ignored.
 */
void loam_frame_set_tags(struct loam_frames *frames, loam_pfn_t pfn,
			 unsigned order, uint32_t tag);

/* -------- for those who keep a word beside their frames -------- */

/* The word of the owner of a used block, beside its head. */
static inline uint32_t *loam_frame_word(struct loam_frames *frames,
					loam_pfn_t head);

/* -------- the instance -------- */

#define LOAM_STACK_FRAMES 128u /* single frames a CPU keeps */
#define LOAM_STACK_BATCH 64u   /* ... and moves at once */
#define LOAM_STASH_BLOCKS 8u   /* blocks of each other cached order */
#define LOAM_STASH_ORDER 9u    /* the large one, 2 MiB */
#define LOAM_STASH_COUNT 4u    /* orders 1, 2, 3 and LOAM_STASH_ORDER */
#define LOAM_FRAME_LOCALS 2u   /* directly mapped memory, and high */
#define LOAM_TRACT_BUCKETS (LOAM_TRACT_FRAMES / 32u + 1u)

struct loam_frame_stash {
	uint32_t count;
	loam_pfn_t blocks[LOAM_STASH_BLOCKS];
};

struct loam_frame_stack {
	uint32_t count;
	loam_pfn_t frames[LOAM_STACK_FRAMES];
};

/*
 * What one CPU keeps of one zone. `home` takes frames of tracts that are to
 * become whole: they are on their way back and not handed out again.
 */
struct loam_frame_local {
	struct loam_frame_stack stack;
	struct loam_frame_stack home;
	uint32_t gathered; /* frees since both were emptied */
	struct loam_frame_stash stashes[LOAM_STASH_COUNT];
};

/*
 * Frames of a home zone that are touched. Below stack_end, which is end, or 0
 * while the zone gathers, all that are freed go straight onto the stack.
 */
struct loam_frame_window {
	loam_pfn_t first;
	loam_pfn_t end;
	loam_pfn_t stack_end;
};

/*
 * One CPU's frames. busy is set while the CPU is in here, so that its own
 * interrupts go past it; nobody else writes any of it. The padding keeps
 * neighbours off each other's cache lines wherever the instance lies.
 */
struct loam_frame_cpu {
	uint32_t busy;
	struct loam_frame_window window;
	uintptr_t quiet;                 /* of loam_cpu_quiet(), while busy */
	uint8_t home[LOAM_FRAME_LOCALS]; /* zones that the locals serve */
	uint8_t node;
	struct loam_frame_local locals[LOAM_FRAME_LOCALS];
	unsigned char padding[64];
};

/* Frames not yet handed to the buddy: [first, end). */
struct loam_frame_run {
	loam_pfn_t first;
	loam_pfn_t end;
};

/*
 * A tract: 2 MiB of frames. The loose ones among them are free, single, and
 * with no CPU; loose_map has their bits. A tract that has any is on the list of
 * its bucket, by how many of its frames are free in all. Z of its zone.
 */
struct loam_tract {
	uint32_t next; /* tracts of the bucket, or LOAM_PFN_NONE */
	uint32_t prev;
	uint16_t loose;
	uint16_t bucket;
};

/*
 * One zone. Keys: C constant after adopt; Z under lock; R written under lock,
 * read by anyone.
 */
struct loam_zone {
	struct loam_lock lock;
	const char *name;       /* C */
	loam_pfn_t first;       /* C: whole chunks */
	loam_pfn_t end;         /* C */
	uint8_t number;         /* C: its index in zones[] */
	uint8_t id;             /* C: enum loam_zone_id */
	unsigned local;         /* C: which of a CPU's, or LOAM_FRAME_LOCALS */
	loam_pfn_t touched_end; /* R: metadata below is initialised */
	loam_pfn_t managed;     /* R */
	loam_pfn_t untouched;   /* Z: frames in runs[] */
	loam_pfn_t peak_used;   /* Z */
	uint64_t failed;        /* Z */
	struct loam_frame_run *runs; /* Z: sorted, at or above touched_end */
	uint32_t run_next;           /* Z: the first not used up */
	uint32_t run_count;          /* Z */
	uint32_t run_capacity;       /* C */
	struct loam_buddy buddy;     /* Z */
	loam_pfn_t loose;            /* Z: frames, of all tracts */
	unsigned loose_order;        /* C: of blocks that become loose */
	uint32_t loose_buckets;      /* Z: bit b: tract_lists[b] has one */
	uint32_t tract_lists[LOAM_TRACT_BUCKETS];  /* Z */
	uint32_t tract_counts[LOAM_TRACT_BUCKETS]; /* Z: on each list */
	uint32_t tract_count;                      /* Z: on all */
	bool listed;           /* C after loam_frame_list_begin() */
	struct loam_runs list; /* Z: in place of the buddy, if listed */
};

/* [first, end), whole chunks. */
struct loam_frame_area {
	loam_pfn_t first;
	loam_pfn_t end;
	uint8_t node;
};

/* The instance. Keys as above; F under `lock`. */
struct loam_frames {
	struct loam_frame_tags tags;
	uint32_t fault_armed; /* R */
	/* With one area, what is every CPU's: see loam_frame_window_of(). */
	struct loam_frame_window window; /* R */
	uint8_t home[LOAM_FRAME_LOCALS]; /* C */
	bool has_high;                   /* R: memory beyond the direct map */
	/* A frame goes home if more of its tract are free than this. */
	uint32_t home_above[LOAM_FRAME_ZONES]; /* R */
	uint16_t *tract_free;           /* C: R of its zone: frames free */
	struct loam_tract *tracts;      /* C */
	uint32_t *loose_map;            /* C: a bit for each frame */
	struct loam_frame *descriptors; /* C */
	loam_pfn_t end;                 /* C: of all zones, whole chunks */
	loam_pfn_t usable_end;          /* C: past the highest usable frame */
	loam_pfn_t dma_end;             /* C: of all DMA zones */
	struct loam_lock lock;
	uint64_t fault_nth;   /* F */
	uint64_t fault_count; /* F */
	loam_reclaim_fn reclaim;
	void *reclaim_arg;
	loam_clear_fn clear;
	void *clear_arg;
	uint64_t unreachable;    /* C: free frames at or above reach_end */
	uint64_t metadata_bytes; /* C */
	unsigned order_max;      /* C after loam_frame_list_begin() */
	bool list_whole;         /* F: loam_frame_list_rest() was called */
	unsigned area_count;     /* C */
	struct loam_frame_area areas[LOAM_FRAME_AREAS]; /* C */
	/* C: areas by distance from each node */
	uint8_t near[LOAM_FRAME_NODES][LOAM_FRAME_AREAS];
	unsigned node_count;                      /* C */
	struct loam_zone zones[LOAM_FRAME_ZONES]; /* of area 0, 1, ... */
	/* C: blocks in a stash at most; 0 on machines too small for it */
	uint32_t stash_limit[LOAM_FRAME_LOCALS][LOAM_STASH_COUNT];
	unsigned char padding[64];
	struct loam_frame_cpu cpus[LOAM_MAX_CPUS];
};

static inline uint32_t *loam_frame_word(struct loam_frames *frames,
					loam_pfn_t head)
{
	return &frames->descriptors[head].used.owner_word;
}

static inline unsigned loam_frame_area_count(const struct loam_frames *frames)
{
	return frames->area_count;
}

static inline unsigned loam_frame_area_node(const struct loam_frames *frames,
					    unsigned area)
{
	return frames->areas[area].node;
}

static inline unsigned loam_frame_order_max(const struct loam_frames *frames)
{
	return frames->order_max;
}

/* "slab", "page table": for printing. */
const char *loam_owner_name(enum loam_owner owner);

#endif

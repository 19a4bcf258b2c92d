/* SPDX-License-Identifier: MIT */
/* What the files of the kspace floor share: descriptors, tags, tables. */
#ifndef LOAM_KSPACE_INT_H
#define LOAM_KSPACE_INT_H

#include <loam/assert.h>
#include <loam/bits.h>
#include <loam/kspace.h>
#include <loam/mem.h>

/* The most descriptors that one operation can need: see arena.c. */
#define LOAM_ARENA_RESERVE 2u

/* What a descriptor is. Spare ones hold no range. */
enum loam_arena_state {
	LOAM_ARENA_SPARE = 0x5a,
	LOAM_ARENA_FREE,
	LOAM_ARENA_USED,
};

/* One range of an arena. Links by state, so that the two never coexist. */
struct loam_arena_range {
	union {
		struct loam_tree_node by_size; /* free */
		struct loam_arena_range *next; /* used: bucket; spare: stack */
	};
	struct loam_list order; /* free and used */
	uintptr_t start;
	size_t size;
	uintptr_t tag; /* used */
	enum loam_arena_state state;
};

/* A page from ops: this head, then descriptors up to its end. */
struct loam_arena_page {
	struct loam_arena_page *next;
};

LOAM_STATIC_ASSERT(sizeof(struct loam_arena_page) %
				   _Alignof(struct loam_arena_range) ==
			   0,
		   "descriptors follow the head");

#define LOAM_ARENA_PER_PAGE                                                    \
	((LOAM_PAGE_SIZE - sizeof(struct loam_arena_page)) /                   \
	 sizeof(struct loam_arena_range))

static inline struct loam_arena_range *arena_range_of_link(
	const struct loam_list *link)
{
	uintptr_t address = (uintptr_t)link;
	return (struct loam_arena_range *)(address -
					   offsetof(struct loam_arena_range,
						    order));
}

static inline struct loam_arena_range *arena_range_of_node(
	const struct loam_tree_node *node)
{
	uintptr_t address = (uintptr_t)node;
	return (struct loam_arena_range *)(address -
					   offsetof(struct loam_arena_range,
						    by_size));
}

/* Puts a descriptor that holds no range back. Under the arena's lock. */
static inline void arena_spare_push(struct loam_arena *arena,
				    struct loam_arena_range *range)
{
	range->state = LOAM_ARENA_SPARE;
	range->next = arena->spare;
	arena->spare = range;
	arena->spare_count++;
}

/* Takes one; the caller has seen that there is one. */
static inline struct loam_arena_range *arena_spare_pop(struct loam_arena *arena)
{
	struct loam_arena_range *range = arena->spare;
	LOAM_ASSERT(range != NULL && range->state == LOAM_ARENA_SPARE);
	arena->spare = range->next;
	arena->spare_count--;
	return range;
}

/* Puts a range that is in no structure but `order` into the tree. */
static inline void arena_free_insert(struct loam_arena *arena,
				     struct loam_arena_range *range)
{
	range->state = LOAM_ARENA_FREE;
	int error = loam_tree_insert(&arena->free_ranges, &range->by_size);
	LOAM_VERIFY(error == 0);
}

/* Negative, 0 or positive as a's (size, start) is below, at or above b's. */
static inline int arena_range_compare(const struct loam_arena_range *a,
				      const struct loam_arena_range *b)
{
	if (a->size != b->size) {
		return a->size < b->size ? -1 : 1;
	}
	return (a->start > b->start) - (a->start < b->start);
}

/* A page of ops': remembered for fini, cut into spare descriptors. */
void loam_arena_page_add(struct loam_arena *arena, void *page);

/*
 * Where the used range that starts at `start` hangs. Multiplication by
 * 2^32 / golden ratio spreads consecutive quanta (Knuth, TAOCP 3, 6.4).
 */
static inline struct loam_arena_range **arena_bucket(
	const struct loam_arena *arena, uintptr_t start)
{
	uint32_t quanta = (uint32_t)(start >> arena->quantum_shift);
	uint32_t hash = quanta * 2654435769u;
	return &arena->buckets[hash >> (32u - arena->bucket_bits)];
}

/* The used range that starts at `start`, or NULL. Under the arena's lock. */
static inline struct loam_arena_range *arena_lookup_locked(
	const struct loam_arena *arena, uintptr_t start)
{
	struct loam_arena_range *range = *arena_bucket(arena, start);
	while (range != NULL && range->start != start) {
		range = range->next;
	}
	return range;
}

/* -------- kspace -------- */

/*
 * The tag of a range in the window: its kind, and above it a word that
 * depends on the kind. VMALLOC: the first page's frame. DEVICE: the offset of
 * the caller's first byte in its page. 28 bits hold the number of every frame
 * that a 32-bit MMU can map.
 */
#define KSPACE_KIND_BITS 4u
#define KSPACE_KIND_MASK 15u

static inline uintptr_t kspace_tag(enum loam_range_kind kind, uintptr_t word)
{
	return (uintptr_t)kind | word << KSPACE_KIND_BITS;
}

static inline enum loam_range_kind kspace_tag_kind(uintptr_t tag)
{
	return (enum loam_range_kind)(tag & KSPACE_KIND_MASK);
}

static inline uintptr_t kspace_tag_word(uintptr_t tag)
{
	return tag >> KSPACE_KIND_BITS;
}

/* Protection of what kspace maps: the same in every address space. */
#define KSPACE_PROT                                                            \
	(LOAM_PROT_READ | LOAM_PROT_WRITE | (loam_prot_t)LOAM_PROT_GLOBAL)

/* Fills the reserve of table frames, as far as that is possible. No locks. */
void loam_kspace_fill_reserve(struct loam_kspace *kspace, loam_flags_t flags);

/* The same where it mostly is full. */
static inline void loam_kspace_top_up(struct loam_kspace *kspace,
				      loam_flags_t flags)
{
	if (LOAM_UNLIKELY(kspace->reserve_count <
			  kspace->config.table_reserve)) {
		loam_kspace_fill_reserve(kspace, flags);
	}
}

/* A page for descriptors, directly mapped, or NULL. */
void *loam_kspace_alloc_page(struct loam_kspace *kspace, loam_flags_t flags);

/* Empties all slots, and notes where their entries are: tables are there. */
void loam_kspace_temp_init(struct loam_kspace *kspace);

/* Clears a high frame through a temporary map: a loam_clear_fn. */
void loam_kspace_clear_frame(void *arg, loam_pfn_t pfn);

/*
 * Counters of a CPU's temporary maps: written by that CPU, read by any. The
 * order matters only between the CPU and its own interrupts.
 */
static inline uint32_t kspace_temp_load(const uint32_t *counter)
{
	uint32_t value = __atomic_load_n(counter, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return value;
}

static inline void kspace_temp_store(uint32_t *counter, uint32_t value)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Where a CPU's nth temporary map is. */
static inline uintptr_t kspace_slot(const struct loam_kspace *kspace,
				    unsigned cpu, unsigned slot)
{
	size_t page = (size_t)cpu * LOAM_TEMP_SLOTS + slot;
	return kspace->config.temp_base + page * LOAM_PAGE_SIZE;
}

#endif

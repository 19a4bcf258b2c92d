/* SPDX-License-Identifier: MIT */
/* Page frames: the essay, allocation and freeing. */

/*
 * PAGE FRAMES
 *
 * This floor owns every frame of physical memory that nobody reserved, and
 * hands out blocks of 2^order frames. It knows three zones: DMA memory, other
 * directly mapped memory (normal), and high memory, which has no address in
 * the kernel. A request names the best zone it can use and falls back to the
 * ones below: high, normal, DMA.
 *
 * On machines of several nodes, or with holes of many gigabytes, memory is in
 * several areas, each with a set of zones, and a request looks at the nearest
 * first (areas.c). What follows is true of each.
 *
 * WHERE A FRAME IS
 *
 *	     untouched --touch--> buddy <----> loose <----> CPU's stack
 *	                            ^    order 0              ^
 *	                            |                         |
 *	                            |  other orders, DMA,     | orders 0-3, 9
 *	                            v  busy CPU               v
 *	                          users <---------------------+
 *
 * Untouched memory is a sorted array of runs for each zone, as memblock left
 * them: bring-up costs what there are ranges. When the buddy has nothing that
 * fits, the next chunk (4 MiB) in address order is touched: its metadata is
 * cleared and what is free in it enters the buddy (zone.c). So whether
 * metadata can be read is one comparison with the zone's touched_end.
 *
 * The buddy (buddy.c) splits and merges. Each zone has one, and its base is a
 * multiple of a chunk: a block's physical alignment is its size.
 *
 * CPUs keep single frames in a stack and blocks of orders 1, 2, 3 and 9 in
 * small stashes (percpu.c): page tables and slabs want the small ones, large
 * pages the others. Of single frames they take LOAM_STACK_BATCH at a time, not
 * from the buddy but from the loose ones (tract.c), which are bits in the map
 * of their 2 MiB; the fullest 2 MiB are used first, so that others get free.
 *
 * All of this but the metadata can be replaced by the list that seed 002 has,
 * threaded through the free frames of directly mapped memory (list.c).
 *
 * METADATA
 *
 * For each frame a descriptor (8 bytes) and a tag (4), in two dense arrays,
 * and three bits of maps, for each 2 MiB another 14 bytes: 12.4 bytes a frame,
 * 0.3 % of memory. All are indexed by frame number; holes have theirs too, and
 * cost address space until memory beyond them is touched. The tag says all
 * there is to say about a used block with one reference: the fast path of free
 * reads it, compares, and never opens the descriptor. Further references are
 * counted in the tag itself; past 32767 half of them move to the descriptor
 * (refs.c).
 *
 * LOCKING
 *
 * Each zone has a lock, for its buddy and its runs. What a CPU keeps has none:
 * only that CPU uses it, and a busy flag sends its own interrupts past it to
 * the zone; or, with LOAM_CPU_RESTARTS, a fast path that was interrupted starts
 * again, and the slow ones keep interrupts out. References change by
 * compare-and-swap. frames->lock protects fault injection, spilled references
 * and loam_frame_add(), and is taken before a zone's.
 *
 * WHAT IS CHECKED
 *
 * A free is believed if the tag says: head of a used block, of this order, one
 * reference. Anything else is reported with what the frame is (report.c) and
 * changes nothing; a second free finds FREE or CACHED. Two CPUs that free the
 * same block in the same instant can both pass: closing that gap would put an
 * atomic exchange on every free.
 *
 * Invariants, all of them verified by loam_frame_check() (check.c):
 *  - every frame below touched_end is in at most one block, and every other
 *    tag is 0; the frames in blocks are those managed and not untouched;
 *  - FREE heads are exactly the blocks on the free lists and the bits set in
 *    the maps, and no two free buddies lie side by side;
 *  - CACHED heads are exactly the blocks in CPUs' stacks and stashes, and loose
 *    frames, whose bits and tracts' counts agree (tract.c);
 *  - runs are sorted, disjoint, at or above touched_end, and add up.
 *
 * COST
 *
 * Order 0 from the stack is about 25 instructions to allocate and 30 to free
 * on i386, orders 1 to 3 and 9 twice that. A refill or a drain takes the lock
 * once. Other orders: one bit scan, and
 * a list operation for each order split or merged. Nothing walks memory but
 * loam_frame_alloc_range() when no single block will do, and the checks.
 *
 * WHAT FAILS
 *
 * Allocation, with LOAM_PFN_NONE, when no zone it may use has a block. Before
 * that the CPU drains what it keeps and tries again, and then asks the reclaim
 * callback, once, unless LOAM_NOSLEEP. What other CPUs keep is out of reach: at
 * most twice LOAM_STACK_FRAMES frames, and 1/32 of the zone for each stash.
 */
#include "frame_int.h"

/* Flags that the fast path does not serve. */
#define FRAME_SLOW_FLAGS (LOAM_ZERO | LOAM_DMA | LOAM_HIGH)

bool loam_frame_fault(struct loam_frames *frames)
{
	if (LOAM_LIKELY(frames->fault_armed == 0)) {
		return false;
	}
	loam_lock(&frames->lock);
	frames->fault_count++;
	bool fires = frames->fault_count == frames->fault_nth;
	loam_unlock(&frames->lock);
	return fires;
}

unsigned loam_frame_first_zone(const struct loam_frames *frames,
			       loam_flags_t flags)
{
	if ((flags & LOAM_DMA) != 0) {
		return LOAM_ZONE_DMA;
	}
	if ((flags & LOAM_HIGH) != 0 &&
	    ((flags & LOAM_ZERO) == 0 || frames->clear != NULL)) {
		return LOAM_ZONE_HIGH;
	}
	return LOAM_ZONE_NORMAL;
}

void loam_frame_clear(struct loam_frames *frames, loam_pfn_t pfn,
		      loam_pfn_t count)
{
	for (loam_pfn_t i = 0; i < count; i++) {
		void *page = loam_host_phys_to_virt(loam_pfn_to_phys(pfn + i));
		if (page != NULL) {
			memset(page, 0, LOAM_PAGE_SIZE);
		} else {
			LOAM_VERIFY(frames->clear != NULL);
			frames->clear(frames->clear_arg, pfn + i);
		}
	}
}

bool loam_frame_make_room(struct loam_frames *frames, loam_flags_t flags,
			  unsigned step)
{
	if (step == 0) {
		return loam_frame_local_drain(frames, true);
	}
	return (flags & LOAM_NOSLEEP) == 0 && frames->reclaim != NULL &&
	       frames->reclaim(frames->reclaim_arg);
}

void loam_frame_count_failure(struct loam_frames *frames, unsigned zone)
{
	struct loam_zone *preferred = frame_near_zone(frames, zone);
	loam_lock(&preferred->lock);
	preferred->failed++;
	loam_unlock(&preferred->lock);
}

/* A block of the zone: the CPU's, or the buddy's. */
static loam_pfn_t alloc_from_zone(struct loam_frames *frames,
				  struct loam_zone *zone, unsigned order,
				  uint32_t tag)
{
	loam_pfn_t pfn = loam_frame_local_alloc(frames, zone, order, tag);
	if (pfn == LOAM_PFN_NONE) {
		loam_lock(&zone->lock);
		pfn = loam_frame_zone_alloc_locked(frames, zone, order, tag);
		loam_unlock(&zone->lock);
	}
	return pfn;
}

static loam_pfn_t alloc_attempt(struct loam_frames *frames, unsigned first,
				unsigned order, uint32_t tag)
{
	loam_pfn_t pfn = LOAM_PFN_NONE;
	unsigned node = frame_node(frames);
	unsigned step = 0;
	while (pfn == LOAM_PFN_NONE) {
		struct loam_zone *zone =
			frame_next_zone(frames, node, first, &step);
		if (zone == NULL) {
			break;
		}
		pfn = alloc_from_zone(frames, zone, order, tag);
	}
	return pfn;
}

/*
 * A block of order 1 or more from the CPU's stash of directly mapped memory,
 * if it has one: without looking at zones. LOAM_PFN_NONE: the slow path.
 */
static loam_pfn_t alloc_stashed(struct loam_frames *frames, unsigned order,
				loam_flags_t flags)
{
	unsigned index = frame_stash_index(order);
	if (index == LOAM_STASH_COUNT ||
	    ((flags & FRAME_SLOW_FLAGS) | frames->fault_armed) != 0) {
		return LOAM_PFN_NONE;
	}
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	struct loam_frame_stash *stash = &cpu->locals[0].stashes[index];
	loam_pfn_t pfn = LOAM_PFN_NONE;
	if (loam_frame_cpu_try(cpu)) {
		uint32_t count = loam_frame_count_load(&stash->count);
		if (count != 0) {
			pfn = stash->blocks[count - 1];
			loam_frame_count_store(&stash->count, count - 1);
			loam_tag_store(&frames->tags.tags[pfn],
				       frame_used_tag(order, flags));
		}
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return pfn;
}

/* Everything but the fast paths. */
static LOAM_NOINLINE loam_pfn_t alloc_slow(struct loam_frames *frames,
					   unsigned order, loam_flags_t flags)
{
	if (order > LOAM_ORDER_MAX) {
		return LOAM_PFN_NONE;
	}
	loam_pfn_t pfn = alloc_stashed(frames, order, flags);
	if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
		return pfn;
	}
	unsigned first = loam_frame_first_zone(frames, flags);
	uint32_t tag = frame_used_tag(order, flags);
	bool wish = (flags & LOAM_AT_HAND) != 0;
	unsigned steps = wish ? 0 : FRAME_ROOM_STEPS;
	if (!loam_frame_fault(frames)) {
		pfn = alloc_attempt(frames, first, order, tag);
		for (unsigned step = 0; pfn == LOAM_PFN_NONE && step < steps;
		     step++) {
			if (loam_frame_make_room(frames, flags, step)) {
				pfn = alloc_attempt(frames, first, order, tag);
			}
		}
	}
	if (pfn == LOAM_PFN_NONE) {
		if (!wish) {
			loam_frame_count_failure(frames, first);
		}
	} else if ((flags & LOAM_ZERO) != 0) {
		loam_frame_clear(frames, pfn, 1u << order);
	}
	return pfn;
}

loam_pfn_t loam_frame_alloc(struct loam_frames *frames, unsigned order,
			    loam_flags_t flags)
{
	if (LOAM_LIKELY((order | (flags & FRAME_SLOW_FLAGS)) == 0)) {
		loam_pfn_t pfn = loam_frame_pop(frames, flags);
		if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
			return pfn;
		}
	}
	return alloc_slow(frames, order, flags);
}

bool loam_frame_extend(struct loam_frames *frames, loam_pfn_t pfn,
		       unsigned order, unsigned larger)
{
	if (!loam_frame_verify_used(frames, "extension", pfn, order,
				    LOAM_CALLER())) {
		return false;
	}
	struct loam_zone *zone = frame_zone_of(frames, pfn);
	if (larger <= order || larger > LOAM_ORDER_MAX || zone->listed ||
	    loam_frame_fault(frames)) {
		return false;
	}
	uint32_t tag = loam_tag_load(&zone->buddy.tags[pfn - zone->first]);
	tag = (tag & ~LOAM_TAG_ORDER_MASK) | larger;
	loam_lock(&zone->lock);
	bool extended =
		loam_buddy_extend(&zone->buddy, pfn, order, larger, tag);
	if (extended) {
		frame_zone_note_peak_locked(zone);
	}
	loam_unlock(&zone->lock);
	return extended;
}

void loam_frame_free_verified(struct loam_frames *frames, loam_pfn_t pfn,
			      unsigned order)
{
	struct loam_zone *zone = frame_zone_of(frames, pfn);
	if (!loam_frame_local_free(frames, zone, pfn, order)) {
		loam_lock(&zone->lock);
		loam_frame_zone_free_locked(zone, pfn, order);
		loam_unlock(&zone->lock);
	}
}

/* The counterpart of alloc_stashed(). False: the slow path. */
static bool free_stashed(struct loam_frames *frames, loam_pfn_t pfn,
			 unsigned order)
{
	unsigned index = frame_stash_index(order);
	if (index == LOAM_STASH_COUNT) {
		return false;
	}
	bool done = false;
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	struct loam_frame_stash *stash = &cpu->locals[0].stashes[index];
	if (loam_frame_is_plain(frames, cpu, pfn, order) &&
	    loam_frame_cpu_try(cpu)) {
		uint32_t count = loam_frame_count_load(&stash->count);
		if (count < frames->stash_limit[0][index]) {
			loam_tag_store(&frames->tags.tags[pfn],
				       LOAM_TAG_CACHED | order);
			stash->blocks[count] = pfn;
			loam_frame_count_store(&stash->count, count + 1);
			done = true;
		}
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return done;
}

static LOAM_NOINLINE void free_slow(struct loam_frames *frames, loam_pfn_t pfn,
				    unsigned order, const void *caller)
{
	bool done = order == 0 ? loam_frame_push_gathering(frames, pfn)
			       : free_stashed(frames, pfn, order);
	if (!done &&
	    loam_frame_verify_used(frames, "free", pfn, order, caller)) {
		loam_frame_free_verified(frames, pfn, order);
	}
}

/* Called last, so that it is jumped to and sees loam_frame_free()'s caller. */
static LOAM_NOINLINE void free_tail(struct loam_frames *frames, loam_pfn_t pfn,
				    unsigned order)
{
	free_slow(frames, pfn, order, LOAM_CALLER());
}

void loam_frame_free(struct loam_frames *frames, loam_pfn_t pfn, unsigned order)
{
	if (LOAM_LIKELY(order == 0) &&
	    LOAM_LIKELY(loam_frame_push(frames, pfn))) {
		return;
	}
	free_tail(frames, pfn, order);
}

/* As many single frames as the zones have; returns how many. */
static size_t bulk_attempt(struct loam_frames *frames, unsigned first,
			   size_t count, loam_pfn_t *pfns, uint32_t tag)
{
	size_t done = 0;
	unsigned node = frame_node(frames);
	unsigned step = 0;
	while (done < count) {
		struct loam_zone *zone =
			frame_next_zone(frames, node, first, &step);
		if (zone == NULL) {
			break;
		}
		done += loam_frame_local_alloc_bulk(frames, zone, count - done,
						    pfns + done, tag);
		if (done == count) {
			break;
		}
		loam_lock(&zone->lock);
		while (done < count) {
			loam_pfn_t pfn = loam_frame_zone_alloc_locked(
				frames, zone, 0, tag);
			if (pfn == LOAM_PFN_NONE) {
				break;
			}
			pfns[done++] = pfn;
		}
		loam_unlock(&zone->lock);
	}
	return done;
}

/* One by one, each counted and each able to fail: under fault injection. */
static size_t bulk_injected(struct loam_frames *frames, size_t count,
			    loam_pfn_t *pfns, loam_flags_t flags)
{
	size_t done = 0;
	while (done < count) {
		pfns[done] = loam_frame_alloc(frames, 0, flags);
		if (pfns[done] == LOAM_PFN_NONE) {
			break;
		}
		done++;
	}
	return done;
}

/* As above, all at once; clears what it got. */
static size_t bulk_alloc(struct loam_frames *frames, size_t count,
			 loam_pfn_t *pfns, loam_flags_t flags)
{
	unsigned first = loam_frame_first_zone(frames, flags);
	uint32_t tag = frame_used_tag(0, flags);
	size_t done = bulk_attempt(frames, first, count, pfns, tag);
	for (unsigned step = 0; done < count && step < FRAME_ROOM_STEPS;
	     step++) {
		if (loam_frame_make_room(frames, flags, step)) {
			done += bulk_attempt(frames, first, count - done,
					     pfns + done, tag);
		}
	}
	if (done < count) {
		loam_frame_count_failure(frames, first);
	} else if ((flags & LOAM_ZERO) != 0) {
		for (size_t i = 0; i < count; i++) {
			loam_frame_clear(frames, pfns[i], 1);
		}
	}
	return done;
}

int loam_frame_alloc_bulk(struct loam_frames *frames, size_t count,
			  loam_pfn_t *pfns, loam_flags_t flags)
{
	if (LOAM_LIKELY(((flags & FRAME_SLOW_FLAGS) | frames->fault_armed) ==
			0) &&
	    LOAM_LIKELY(loam_frame_pop_run(frames, count, pfns,
					   frame_used_tag(0, flags)))) {
		return 0;
	}
	size_t done = frames->fault_armed != 0
			      ? bulk_injected(frames, count, pfns, flags)
			      : bulk_alloc(frames, count, pfns, flags);
	if (done < count) {
		loam_frame_free_bulk(frames, done, pfns);
		return -LOAM_ENOMEM;
	}
	return 0;
}

/*
 * Puts as many of the frames as are plain, of one of the CPU's home zones, onto
 * its stacks, up to the first that is not or finds no room; busy is set. While
 * memory gathers, each frame is asked which stack it goes to.
 */
static size_t bulk_push(struct loam_frames *frames, struct loam_frame_cpu *cpu,
			size_t count, const loam_pfn_t *pfns)
{
	size_t most = frame_gathers(frames, cpu) ? 1 : count;
	size_t done = 0;
	while (done < count) {
		loam_pfn_t pfn = pfns[done];
		unsigned local = 0;
		const struct loam_frame_window *window =
			loam_frame_window_of(frames, cpu);
		loam_pfn_t first = window->first;
		loam_pfn_t end = LOAM_LOAD_HINT(&window->end);
		if (pfn < first || pfn >= end) {
			const struct loam_zone *high =
				&frames->zones[loam_frame_home_of(frames, cpu,
								  1)];
			local = 1;
			first = high->first;
			end = frame_touched_end(high);
		}
		if (pfn < first || pfn >= end) {
			break;
		}
		struct loam_frame_stack *stack = &cpu->locals[local].stack;
		if (LOAM_UNLIKELY(most == 1)) {
			stack = loam_frame_stack_for(frames, cpu, local, pfn);
		}
		size_t left = count - done;
		size_t pushed = loam_frame_stack_give_run(
			frames, stack, first, end - first,
			left < most ? left : most, pfns + done);
		if (pushed == 0) {
			break;
		}
		done += pushed;
	}
	return done;
}

void loam_frame_free_bulk(struct loam_frames *frames, size_t count,
			  const loam_pfn_t *pfns)
{
	const void *caller = LOAM_CALLER();
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	size_t i = 0;
	while (i < count) {
		if (loam_frame_cpu_try(cpu)) {
			i += bulk_push(frames, cpu, count - i, pfns + i);
			loam_frame_cpu_done(cpu);
		}
		if (i < count) {
			free_slow(frames, pfns[i], 0, caller);
			i++;
		}
	}
	loam_cpu_leave(number);
}

void loam_frame_set_reclaim(struct loam_frames *frames, loam_reclaim_fn fn,
			    void *arg)
{
	frames->reclaim = fn;
	frames->reclaim_arg = arg;
}

void loam_frame_set_clear(struct loam_frames *frames, loam_clear_fn fn,
			  void *arg)
{
	frames->clear = fn;
	frames->clear_arg = arg;
}

uint64_t loam_frame_fail_nth(struct loam_frames *frames, uint64_t nth)
{
	loam_lock(&frames->lock);
	uint64_t counted = frames->fault_count;
	frames->fault_count = 0;
	frames->fault_nth = nth;
	frames->fault_armed = nth != 0;
	loam_unlock(&frames->lock);
	return counted;
}

/* SPDX-License-Identifier: MIT */
/* The fast paths of single frames, for inlining. */
#ifndef LOAM_FRAME_FAST_H
#define LOAM_FRAME_FAST_H

/*
 * Part of the frame floor, which inlines them in loam_frame_alloc() and
 * loam_frame_free(). A kernel that compiles its own page allocation around
 * them has the addresses of its one instance as constants.
 */
#include <loam/frame.h>

/*
 * Enters and leaves one CPU's frames. False: this CPU is in there already and
 * was interrupted; the caller goes to the zone. An interrupt that comes
 * between the test and the store is over, with busy 0 again, before the store:
 * so plain accesses in program order are all it takes. Where fast paths are
 * restarted, and look at no flag, interrupts stay out instead.
 */
static LOAM_ALWAYS_INLINE bool loam_frame_cpu_try(struct loam_frame_cpu *cpu)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (LOAM_UNLIKELY(cpu->busy != 0)) {
		return false;
	}
	if (LOAM_CPU_RESTARTS) {
		uintptr_t state = loam_cpu_quiet();
		cpu->quiet = state;
	}
	cpu->busy = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
}

static LOAM_ALWAYS_INLINE void loam_frame_cpu_done(struct loam_frame_cpu *cpu)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (LOAM_CPU_RESTARTS) {
		uintptr_t state = cpu->quiet;
		cpu->busy = 0;
		loam_cpu_unquiet(state);
	} else {
		cpu->busy = 0;
	}
}

/* Counts are read by other CPUs for statistics, so each access is whole. */
static LOAM_ALWAYS_INLINE uint32_t loam_frame_count_load(const uint32_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static LOAM_ALWAYS_INLINE void loam_frame_count_store(uint32_t *count,
						      uint32_t value)
{
	__atomic_store_n(count, value, __ATOMIC_RELAXED);
}

/* True if some memory lies outside the direct map. A hint without a lock. */
static LOAM_ALWAYS_INLINE bool loam_frame_has_high(
	const struct loam_frames *frames)
{
	return __atomic_load_n(&frames->has_high, __ATOMIC_RELAXED);
}

/* The topmost frame of the CPU's stack; LOAM_PFN_NONE: none, or it is busy. */
static LOAM_ALWAYS_INLINE uintptr_t loam_frame_take(struct loam_frame_cpu *cpu)
{
	if (LOAM_CPU_RESTARTS) {
		return LOAM_FRAME_TAKE(cpu);
	}
	loam_pfn_t pfn = LOAM_PFN_NONE;
	struct loam_frame_stack *stack = &cpu->locals[0].stack;
	if (LOAM_LIKELY(loam_frame_cpu_try(cpu))) {
		/* Signed: one subtraction makes the index and the test. */
		int32_t top = (int32_t)loam_frame_count_load(&stack->count) - 1;
		if (LOAM_LIKELY(top >= 0)) {
			pfn = stack->frames[top];
			loam_frame_count_store(&stack->count, (uint32_t)top);
		}
		loam_frame_cpu_done(cpu);
	}
	return pfn;
}

/*
 * A single directly mapped frame from this CPU's stack, as a used block of
 * order 0 labelled by LOAM_OWNED_BY() in flags; LOAM_PFN_NONE: the slow path
 * must. Other flags are not looked at.
 */
static LOAM_ALWAYS_INLINE loam_pfn_t loam_frame_pop(struct loam_frames *frames,
						    loam_flags_t flags)
{
	/* A word: a register that is an index as it is. */
	uintptr_t pfn = LOAM_PFN_NONE;
	unsigned number = loam_cpu_enter();
	/* 0 or 1; compared with 1 it is an operand, and not loaded first. */
	if (LOAM_LIKELY(frames->fault_armed != 1)) {
		pfn = loam_frame_take(LOAM_FRAME_CPU(frames, number));
	}
	loam_cpu_leave(number);
	if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
		/* It is the caller's already. */
		loam_tag_store(&frames->tags.tags[pfn],
			       LOAM_TAG_USED | (flags & LOAM_TAG_OWNER_MASK));
	}
	return (loam_pfn_t)pfn;
}

/* True if it is the tag of a used block of this order, one reference. */
static LOAM_ALWAYS_INLINE bool loam_frame_is_plain_tag(uint32_t tag,
						       unsigned order)
{
	return (tag & ~LOAM_TAG_OWNER_MASK) == (LOAM_TAG_USED | order);
}

/* True if the frame has such a tag. */
static LOAM_ALWAYS_INLINE bool loam_frame_tag_is_plain(
	const struct loam_frames *frames, loam_pfn_t pfn, unsigned order)
{
	return loam_frame_is_plain_tag(loam_tag_load(&frames->tags.tags[pfn]),
				       order);
}

/* Directly mapped frames that the CPU's stacks take. */
static LOAM_ALWAYS_INLINE const struct loam_frame_window *loam_frame_window_of(
	const struct loam_frames *frames, const struct loam_frame_cpu *cpu)
{
	return LOAM_FRAME_AREAS > 1 ? &cpu->window : &frames->window;
}

/* The number of the zone that one of the CPU's locals serves. */
static LOAM_ALWAYS_INLINE unsigned loam_frame_home_of(
	const struct loam_frames *frames, const struct loam_frame_cpu *cpu,
	unsigned local)
{
	return LOAM_FRAME_AREAS > 1 ? cpu->home[local] : frames->home[local];
}

/*
 * True if the block is a directly mapped one that the CPU's stacks take, and
 * its tag is right. The window's end is read before the tag; it only grows,
 * after the tags below it were cleared.
 */
static LOAM_ALWAYS_INLINE bool loam_frame_is_plain(
	const struct loam_frames *frames, const struct loam_frame_cpu *cpu,
	loam_pfn_t pfn, unsigned order)
{
	const struct loam_frame_window *window =
		loam_frame_window_of(frames, cpu);
	return pfn < LOAM_LOAD_HINT(&window->end) && pfn >= window->first &&
	       loam_frame_tag_is_plain(frames, pfn, order);
}

/* Puts a plain frame onto a CPU's stack; busy is set. False: it is full. */
static LOAM_ALWAYS_INLINE bool loam_frame_push_claimed(
	struct loam_frames *frames, struct loam_frame_stack *stack,
	loam_pfn_t pfn)
{
	uint32_t count = loam_frame_count_load(&stack->count);
	if (LOAM_UNLIKELY(count == LOAM_STACK_FRAMES)) {
		return false;
	}
	loam_tag_store(&frames->tags.tags[pfn], LOAM_TAG_CACHED);
	stack->frames[count] = pfn;
	loam_frame_count_store(&stack->count, count + 1);
	return true;
}

/*
 * While memory gathers, a CPU empties its stacks once in so many frees: what
 * lies at their bottom may be all that keeps tracts from being whole.
 */
#define LOAM_GATHER_FREES 1024u

/*
 * The stack of a CPU that a freed frame goes to while memory gathers: its tract
 * may be one that is to become whole. index: which of its locals.
 */
static LOAM_ALWAYS_INLINE struct loam_frame_stack *loam_frame_stack_for(
	const struct loam_frames *frames, struct loam_frame_cpu *cpu,
	unsigned index, loam_pfn_t pfn)
{
	struct loam_frame_local *local = &cpu->locals[index];
	unsigned is_free = loam_tract_free_load(
		&frames->tract_free[pfn >> LOAM_TRACT_ORDER]);
	unsigned zone = loam_frame_home_of(frames, cpu, index);
	uint32_t above =
		__atomic_load_n(&frames->home_above[zone], __ATOMIC_RELAXED);
	return is_free > above ? &local->home : &local->stack;
}

/*
 * The same as loam_frame_push() while memory gathers (percpu.c). False too if
 * it does not.
 */
bool loam_frame_push_gathering(struct loam_frames *frames, loam_pfn_t pfn);

/*
 * Puts single frames back, used blocks with one reference each, as long as they
 * go onto this CPU's stacks, which are entered once for all of them. Returns
 * how many that were: pfns[that] is no such block, or of another zone, or finds
 * no room, and loam_frame_free() or loam_frame_put() knows what to do about it.
 * Context: any. Cost: a dozen instructions each.
 */
size_t loam_frame_push_run(struct loam_frames *frames, const loam_pfn_t *pfns,
			   size_t count);

/*
 * For who holds a reference to a block, and so knows that it is one: what
 * loam_frame_refs() and loam_frame_put() find out first is not asked here. True
 * if nobody else holds any; nobody can come to, then.
 */
static LOAM_ALWAYS_INLINE bool loam_frame_is_sole(
	const struct loam_frames *frames, loam_pfn_t pfn)
{
	uint32_t tag = loam_tag_load(&frames->tags.tags[pfn]);
	return (tag & ~(LOAM_TAG_OWNER_MASK | LOAM_TAG_ORDER_MASK)) ==
	       LOAM_TAG_USED;
}

/*
 * Drops that reference if there are others. False, and nothing changed: it may
 * be the last, and loam_frame_put() knows.
 */
static LOAM_ALWAYS_INLINE bool loam_frame_put_shared(struct loam_frames *frames,
						     loam_pfn_t pfn)
{
	uint32_t *tag = &frames->tags.tags[pfn];
	uint32_t old = loam_tag_load(tag);
	return (old & (LOAM_TAG_SLAB | LOAM_TAG_STATE_MASK)) == LOAM_TAG_USED &&
	       (old & LOAM_TAG_REFS_MASK) != 0 &&
	       __atomic_compare_exchange_n(tag, &old, old - LOAM_TAG_REF_ONE,
					   false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

/* As loam_frame_push_claimed(), the CPU's own stack, busy not set. */
static LOAM_ALWAYS_INLINE bool loam_frame_give(struct loam_frames *frames,
					       struct loam_frame_cpu *cpu,
					       loam_pfn_t pfn)
{
	if (LOAM_CPU_RESTARTS) {
		return LOAM_FRAME_GIVE(cpu, pfn, &frames->tags.tags[pfn]);
	}
	bool given = false;
	if (LOAM_LIKELY(loam_frame_cpu_try(cpu))) {
		given = loam_frame_push_claimed(frames, &cpu->locals[0].stack,
						pfn);
		loam_frame_cpu_done(cpu);
	}
	return given;
}

/*
 * Puts a used block of order 0 onto this CPU's stack. False, and nothing
 * changed: it is not one, or the slow path must.
 */
static LOAM_ALWAYS_INLINE bool loam_frame_push(struct loam_frames *frames,
					       loam_pfn_t pfn)
{
	bool pushed = false;
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = LOAM_FRAME_CPU(frames, number);
	const struct loam_frame_window *window =
		loam_frame_window_of(frames, cpu);
	if (LOAM_LIKELY(pfn < LOAM_LOAD_HINT(&window->stack_end)) &&
	    LOAM_LIKELY(pfn >= window->first) &&
	    LOAM_LIKELY(loam_frame_tag_is_plain(frames, pfn, 0))) {
		pushed = loam_frame_give(frames, cpu, pfn);
	}
	loam_cpu_leave(number);
	return pushed;
}

#endif

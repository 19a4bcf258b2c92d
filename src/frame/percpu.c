/* SPDX-License-Identifier: MIT */
/* What each CPU keeps: stacks of single frames, stashes of larger blocks. */

/*
 * A CPU has, for directly mapped memory and for high memory, a stack of single
 * frames and small stashes of blocks of orders 1 to 3 and 9. A local serves
 * exactly one zone, so that its frames can be counted to it, and so that DMA
 * memory never drifts into general use through a stack.
 *
 * Refill takes a batch of loose frames (tract.c) and lays it onto the stack,
 * the lowest on top. Drain makes the bottom half loose, which has not been used
 * for longest. A frame of a tract that is to become whole goes onto a second
 * stack, `home`, from which nothing is allocated.
 *
 * Everything here runs with the CPU's busy flag set, which is taken before the
 * zone's lock.
 */
#include "frame_int.h"

/*
 * Fills an empty stack with up to a batch; what was taken first lies on top.
 * What is on its way home arrives. False: nothing left.
 */
static bool stack_refill(struct loam_frames *frames, struct loam_zone *zone,
			 struct loam_frame_local *local)
{
	struct loam_frame_stack *stack = &local->stack;
	uint32_t home = loam_frame_count_load(&local->home.count);
	loam_lock(&zone->lock);
	if (home != 0) {
		loam_frame_loose_put_locked(frames, zone, local->home.frames,
					    home);
		loam_frame_count_store(&local->home.count, 0);
	}
	uint32_t count = loam_frame_loose_take_locked(
		frames, zone, &stack->frames[LOAM_STACK_BATCH],
		LOAM_STACK_BATCH);
	frame_zone_note_peak_locked(zone);
	loam_unlock(&zone->lock);
	if (count < LOAM_STACK_BATCH) {
		memmove(stack->frames, &stack->frames[LOAM_STACK_BATCH - count],
			count * sizeof(loam_pfn_t));
	}
	loam_frame_count_store(&stack->count, count);
	return count != 0;
}

/* Gives the bottom `count` of a stack back. */
static void stack_drain(struct loam_frames *frames, struct loam_zone *zone,
			struct loam_frame_stack *stack, uint32_t count)
{
	uint32_t rest = loam_frame_count_load(&stack->count) - count;
	loam_lock(&zone->lock);
	loam_frame_loose_put_locked(frames, zone, stack->frames, count);
	loam_unlock(&zone->lock);
	memmove(stack->frames, &stack->frames[count],
		rest * sizeof(loam_pfn_t));
	loam_frame_count_store(&stack->count, rest);
}

/* As above, for blocks. */
static void stash_drain(struct loam_zone *zone, struct loam_frame_stash *stash,
			unsigned order, uint32_t count)
{
	uint32_t rest = loam_frame_count_load(&stash->count) - count;
	loam_lock(&zone->lock);
	for (uint32_t i = 0; i < count; i++) {
		loam_buddy_free(&zone->buddy, stash->blocks[i], order);
	}
	loam_unlock(&zone->lock);
	memmove(stash->blocks, &stash->blocks[count],
		rest * sizeof(loam_pfn_t));
	loam_frame_count_store(&stash->count, rest);
}

/* Fills an empty stash with half its limit, the lowest block on top. */
static bool stash_refill(struct loam_frames *frames, struct loam_zone *zone,
			 struct loam_frame_stash *stash, unsigned order)
{
	unsigned index = frame_stash_index(order);
	uint32_t wanted = (frames->stash_limit[zone->local][index] + 1) / 2;
	uint32_t count = 0;
	loam_lock(&zone->lock);
	while (count < wanted) {
		loam_pfn_t pfn = loam_frame_zone_alloc_locked(
			frames, zone, order, LOAM_TAG_CACHED | order);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		stash->blocks[count++] = pfn;
	}
	loam_unlock(&zone->lock);
	for (uint32_t i = 0; i < count / 2; i++) {
		loam_pfn_t swap = stash->blocks[i];
		stash->blocks[i] = stash->blocks[count - 1 - i];
		stash->blocks[count - 1 - i] = swap;
	}
	loam_frame_count_store(&stash->count, count);
	return count != 0;
}

/* A single frame of the local; busy is set. */
static loam_pfn_t stack_take(struct loam_frames *frames, struct loam_zone *zone,
			     struct loam_frame_local *local)
{
	struct loam_frame_stack *stack = &local->stack;
	if (loam_frame_count_load(&stack->count) == 0 &&
	    !stack_refill(frames, zone, local)) {
		return LOAM_PFN_NONE;
	}
	uint32_t count = loam_frame_count_load(&stack->count) - 1;
	loam_frame_count_store(&stack->count, count);
	return stack->frames[count];
}

/* A block of a stashed order; busy is set. */
static loam_pfn_t stash_take(struct loam_frames *frames, struct loam_zone *zone,
			     struct loam_frame_local *local, unsigned order)
{
	unsigned index = frame_stash_index(order);
	struct loam_frame_stash *stash = &local->stashes[index];
	uint32_t count = loam_frame_count_load(&stash->count);
	if (count == 0) {
		if (frames->stash_limit[zone->local][index] == 0 ||
		    !stash_refill(frames, zone, stash, order)) {
			return LOAM_PFN_NONE;
		}
		count = loam_frame_count_load(&stash->count);
	}
	loam_frame_count_store(&stash->count, count - 1);
	return stash->blocks[count - 1];
}

loam_pfn_t loam_frame_local_alloc(struct loam_frames *frames,
				  struct loam_zone *zone, unsigned order,
				  uint32_t tag)
{
	if (zone->local == LOAM_FRAME_LOCALS ||
	    (order != 0 && frame_stash_index(order) == LOAM_STASH_COUNT)) {
		return LOAM_PFN_NONE;
	}
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	struct loam_frame_local *local = &cpu->locals[zone->local];
	loam_pfn_t pfn = LOAM_PFN_NONE;
	if (loam_frame_home_of(frames, cpu, zone->local) == zone->number &&
	    loam_frame_cpu_try(cpu)) {
		pfn = order == 0 ? stack_take(frames, zone, local)
				 : stash_take(frames, zone, local, order);
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	if (pfn != LOAM_PFN_NONE) {
		loam_tag_store(&frames->tags.tags[pfn], tag);
	}
	return pfn;
}

/* Moves the top `count` of the stack out, the topmost first; busy is set. */
static void stack_take_many(struct loam_frames *frames,
			    struct loam_frame_stack *stack, uint32_t count,
			    loam_pfn_t *pfns, uint32_t tag)
{
	uint32_t rest = loam_frame_count_load(&stack->count) - count;
	const loam_pfn_t *from = &stack->frames[rest + count];
	uint32_t *tags = frames->tags.tags;
	for (const loam_pfn_t *end = pfns + count; pfns != end; pfns++) {
		loam_pfn_t pfn = *--from;
		loam_tag_store(&tags[pfn], tag);
		*pfns = pfn;
	}
	loam_frame_count_store(&stack->count, rest);
}

size_t loam_frame_local_alloc_bulk(struct loam_frames *frames,
				   struct loam_zone *zone, size_t count,
				   loam_pfn_t *pfns, uint32_t tag)
{
	if (zone->local == LOAM_FRAME_LOCALS) {
		return 0;
	}
	size_t done = 0;
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	struct loam_frame_local *local = &cpu->locals[zone->local];
	struct loam_frame_stack *stack = &local->stack;
	if (loam_frame_home_of(frames, cpu, zone->local) == zone->number &&
	    loam_frame_cpu_try(cpu)) {
		while (done < count) {
			uint32_t have = loam_frame_count_load(&stack->count);
			if (have == 0) {
				if (!stack_refill(frames, zone, local)) {
					break;
				}
				have = loam_frame_count_load(&stack->count);
			}
			uint32_t n = count - done < have
					     ? (uint32_t)(count - done)
					     : have;
			stack_take_many(frames, stack, n, pfns + done, tag);
			done += n;
		}
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return done;
}

bool loam_frame_pop_run(struct loam_frames *frames, size_t count,
			loam_pfn_t *pfns, uint32_t tag)
{
	bool popped = false;
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = LOAM_FRAME_CPU(frames, number);
	struct loam_frame_stack *stack = &cpu->locals[0].stack;
	if (loam_frame_cpu_try(cpu)) {
		popped = count <= loam_frame_count_load(&stack->count);
		if (popped) {
			stack_take_many(frames, stack, (uint32_t)count, pfns,
					tag);
		}
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return popped;
}

size_t loam_frame_stack_give_run(struct loam_frames *frames,
				 struct loam_frame_stack *stack,
				 loam_pfn_t first, loam_pfn_t size,
				 size_t count, const loam_pfn_t *pfns)
{
	uint32_t top = loam_frame_count_load(&stack->count);
	size_t room = LOAM_STACK_FRAMES - top;
	loam_pfn_t *to = &stack->frames[top];
	uint32_t *tags = frames->tags.tags + first;
	size_t done = 0;
	/* Or the sum is made anew in each round. */
	LOAM_COMPILER_HIDE(tags);
	count = count < room ? count : room;
	for (; done != count; done++) {
		loam_pfn_t offset = pfns[done] - first;
		if (offset >= size ||
		    !loam_frame_is_plain_tag(loam_tag_load(&tags[offset]), 0)) {
			break;
		}
		loam_tag_store(&tags[offset], LOAM_TAG_CACHED);
		to[done] = offset + first;
	}
	loam_frame_count_store(&stack->count, top + (uint32_t)done);
	return done;
}

/* Empties a stack; busy is set. True if it held anything. */
static bool stack_drain_all(struct loam_frames *frames, struct loam_zone *zone,
			    struct loam_frame_stack *stack)
{
	uint32_t count = loam_frame_count_load(&stack->count);
	if (count != 0) {
		stack_drain(frames, zone, stack, count);
	}
	return count != 0;
}

/* True if frames that go straight onto the CPU's stack would not be right. */
static bool cpu_gathers(const struct loam_frames *frames,
			const struct loam_frame_cpu *cpu)
{
	return LOAM_LOAD_HINT(&loam_frame_window_of(frames, cpu)->stack_end) ==
	       0;
}

/*
 * Where a plain frame goes while memory gathers; busy is set. NULL: the CPU's
 * stacks are to be emptied first.
 */
static struct loam_frame_stack *gathering_stack(
	const struct loam_frames *frames, struct loam_frame_cpu *cpu,
	loam_pfn_t pfn)
{
	struct loam_frame_local *local = &cpu->locals[0];
	local->gathered++;
	return local->gathered < LOAM_GATHER_FREES
		       ? loam_frame_stack_for(frames, cpu, 0, pfn)
		       : NULL;
}

bool loam_frame_push_gathering(struct loam_frames *frames, loam_pfn_t pfn)
{
	bool pushed = false;
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	if (cpu_gathers(frames, cpu) &&
	    loam_frame_is_plain(frames, cpu, pfn, 0) &&
	    loam_frame_cpu_try(cpu)) {
		struct loam_frame_stack *stack =
			gathering_stack(frames, cpu, pfn);
		pushed = stack != NULL &&
			 loam_frame_push_claimed(frames, stack, pfn);
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return pushed;
}

/* loam_frame_push_run() while memory gathers; busy is set. */
static size_t gathering_push_run(struct loam_frames *frames,
				 struct loam_frame_cpu *cpu,
				 const loam_pfn_t *pfns, size_t count)
{
	size_t done = 0;
	while (done < count &&
	       loam_frame_is_plain(frames, cpu, pfns[done], 0)) {
		struct loam_frame_stack *stack =
			gathering_stack(frames, cpu, pfns[done]);
		if (stack == NULL ||
		    !loam_frame_push_claimed(frames, stack, pfns[done])) {
			break;
		}
		done++;
	}
	return done;
}

size_t loam_frame_push_run(struct loam_frames *frames, const loam_pfn_t *pfns,
			   size_t count)
{
	size_t done = 0;
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = LOAM_FRAME_CPU(frames, number);
	if (loam_frame_cpu_try(cpu)) {
		if (LOAM_UNLIKELY(cpu_gathers(frames, cpu))) {
			done = gathering_push_run(frames, cpu, pfns, count);
		} else {
			const struct loam_frame_window *window =
				loam_frame_window_of(frames, cpu);
			loam_pfn_t first = window->first;
			loam_pfn_t end = LOAM_LOAD_HINT(&window->end);
			/* There is none where a list has all the frames. */
			if (first < end) {
				done = loam_frame_stack_give_run(
					frames, &cpu->locals[0].stack, first,
					end - first, count, pfns);
			}
		}
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return done;
}

/* busy is set. */
static void stack_put(struct loam_frames *frames, struct loam_zone *zone,
		      struct loam_frame_cpu *cpu, loam_pfn_t pfn)
{
	struct loam_frame_local *local = &cpu->locals[zone->local];
	if (local->gathered >= LOAM_GATHER_FREES) {
		local->gathered = 0;
		(void)stack_drain_all(frames, zone, &local->stack);
		(void)stack_drain_all(frames, zone, &local->home);
	}
	struct loam_frame_stack *stack =
		loam_frame_stack_for(frames, cpu, zone->local, pfn);
	if (loam_frame_count_load(&stack->count) == LOAM_STACK_FRAMES) {
		stack_drain(frames, zone, stack, LOAM_STACK_BATCH);
	}
	uint32_t count = loam_frame_count_load(&stack->count);
	stack->frames[count] = pfn;
	loam_frame_count_store(&stack->count, count + 1);
}

/* busy is set, the limit is not 0. */
static void stash_put(struct loam_frames *frames, struct loam_zone *zone,
		      struct loam_frame_local *local, loam_pfn_t pfn,
		      unsigned order)
{
	unsigned index = frame_stash_index(order);
	struct loam_frame_stash *stash = &local->stashes[index];
	uint32_t limit = frames->stash_limit[zone->local][index];
	if (loam_frame_count_load(&stash->count) >= limit) {
		stash_drain(zone, stash, order, (limit + 1) / 2);
	}
	uint32_t count = loam_frame_count_load(&stash->count);
	stash->blocks[count] = pfn;
	loam_frame_count_store(&stash->count, count + 1);
}

bool loam_frame_local_free(struct loam_frames *frames, struct loam_zone *zone,
			   loam_pfn_t pfn, unsigned order)
{
	if (zone->local == LOAM_FRAME_LOCALS) {
		return false;
	}
	unsigned index = frame_stash_index(order);
	if (order != 0 && (index == LOAM_STASH_COUNT ||
			   frames->stash_limit[zone->local][index] == 0)) {
		return false;
	}
	unsigned number = loam_cpu_enter();
	struct loam_frame_cpu *cpu = &frames->cpus[number];
	struct loam_frame_local *local = &cpu->locals[zone->local];
	bool done =
		loam_frame_home_of(frames, cpu, zone->local) == zone->number &&
		loam_frame_cpu_try(cpu);
	if (done) {
		loam_tag_store(&frames->tags.tags[pfn],
			       LOAM_TAG_CACHED | order);
		if (order == 0) {
			stack_put(frames, zone, cpu, pfn);
		} else {
			stash_put(frames, zone, local, pfn, order);
		}
		loam_frame_cpu_done(cpu);
	}
	loam_cpu_leave(number);
	return done;
}

/* Empties one CPU's local; busy is set. True if it held anything. */
static bool local_drain(struct loam_frames *frames, struct loam_zone *zone,
			struct loam_frame_local *local)
{
	bool any = stack_drain_all(frames, zone, &local->stack);
	any = stack_drain_all(frames, zone, &local->home) || any;
	for (unsigned i = 0; i < LOAM_STASH_COUNT; i++) {
		struct loam_frame_stash *stash = &local->stashes[i];
		uint32_t count = loam_frame_count_load(&stash->count);
		if (count != 0) {
			stash_drain(zone, stash, frame_stash_order(i), count);
			any = true;
		}
	}
	return any;
}

/*
 * Empties one CPU, and gives tracts that are whole then, or everything loose,
 * to the buddy. False too if the CPU was interrupted in here.
 */
static bool cpu_drain(struct loam_frames *frames, struct loam_frame_cpu *cpu,
		      bool all)
{
	bool any = false;
	if (!loam_frame_cpu_try(cpu)) {
		return false;
	}
	for (unsigned local = 0; local < LOAM_FRAME_LOCALS; local++) {
		struct loam_zone *zone =
			&frames->zones[loam_frame_home_of(frames, cpu, local)];
		if (zone->local != LOAM_FRAME_LOCALS) {
			any = local_drain(frames, zone, &cpu->locals[local]) ||
			      any;
		}
	}
	for (unsigned z = 0; z < frame_zone_count(frames); z++) {
		struct loam_zone *zone = &frames->zones[z];
		if (zone->local != LOAM_FRAME_LOCALS) {
			any = loam_frame_loose_flush(frames, zone, all) || any;
		}
	}
	loam_frame_cpu_done(cpu);
	return any;
}

bool loam_frame_local_drain(struct loam_frames *frames, bool all)
{
	unsigned number = loam_cpu_enter();
	bool any = cpu_drain(frames, &frames->cpus[number], all);
	loam_cpu_leave(number);
	return any;
}

loam_pfn_t loam_frame_local_count(const struct loam_frames *frames,
				  const struct loam_zone *zone)
{
	loam_pfn_t total = (loam_pfn_t)zone->list.free_pages;
	if (zone->local == LOAM_FRAME_LOCALS) {
		return total;
	}
	total += zone->loose;
	for (unsigned i = 0; i < LOAM_MAX_CPUS; i++) {
		const struct loam_frame_cpu *cpu = &frames->cpus[i];
		const struct loam_frame_local *local =
			&cpu->locals[zone->local];
		if (loam_frame_home_of(frames, cpu, zone->local) !=
		    zone->number) {
			continue;
		}
		total += loam_frame_count_load(&local->stack.count) +
			 loam_frame_count_load(&local->home.count);
		for (unsigned s = 0; s < LOAM_STASH_COUNT; s++) {
			total += loam_frame_count_load(&local->stashes[s].count)
				 << frame_stash_order(s);
		}
	}
	return total;
}

void loam_frame_drain(struct loam_frames *frames)
{
	(void)loam_frame_local_drain(frames, true);
}

void loam_frame_drain_cpu(struct loam_frames *frames, unsigned cpu)
{
	if (cpu >= LOAM_MAX_CPUS) {
		loam_misuse(LOAM_CALLER(), "drain of frames of CPU %u of %u",
			    cpu, LOAM_MAX_CPUS);
		return;
	}
	(void)cpu_drain(frames, &frames->cpus[cpu], false);
}

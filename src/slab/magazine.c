/* SPDX-License-Identifier: MIT */
/* The per-CPU layer: magazines, and the depot through which CPUs swap them. */

/*
 * models/magazine.pml has these steps for two CPUs and an interrupt, in every
 * order.
 */
#include "slab_int.h"

/* -------- a CPU's structure -------- */

/* The stack of a CPU that has no magazine: empty and full at once. */
static void stack_reset(struct loam_slabs *slabs, struct loam_slab_cpu *cpu,
			unsigned code)
{
	cpu->top[code] = &slabs->nothing[1];
	cpu->limit[code] = &slabs->nothing[1];
}

void loam_slab_cpu_start(struct loam_slabs *slabs, unsigned id,
			 struct loam_slab_cpu *cpu, unsigned group)
{
	LOAM_ASSERT(id < LOAM_MAX_CPUS && group < LOAM_SLAB_GROUPS);
	/* Code 0 has no magazine, ever: else this one was started before. */
	if (cpu->top[0] != &slabs->nothing[1]) {
		memset(cpu, 0, sizeof(*cpu));
		for (unsigned code = 0; code < LOAM_SLAB_CODES; code++) {
			stack_reset(slabs, cpu, code);
		}
	}
	cpu->base = group * LOAM_CACHE_MAX;
	cpu->cold = slabs->cold[id];
	slabs->cpus[id] = cpu;
}

/* The code at which the CPU allocates from the cache. */
static unsigned cpu_code(const struct loam_cache *cache,
			 const struct loam_slab_cpu *cpu)
{
	return cpu->base + cache->head.index;
}

static unsigned code_group(unsigned code)
{
	return code / LOAM_CACHE_MAX;
}

/*
 * Makes the layer the caller's until cpu_unclaim(). False: it is in use by
 * what this call interrupted, or there is none. Interrupts whose fast paths
 * look at no flag are kept out.
 */
static bool cpu_claim(struct loam_slab_cpu *cpu)
{
	LOAM_COMPILER_BARRIER();
	if (cpu == NULL || cpu->busy != 0) {
		return false;
	}
	uintptr_t state = loam_cpu_quiet();
	cpu->busy = 1;
	cpu->quiet = state;
	LOAM_COMPILER_BARRIER();
	return true;
}

static void cpu_unclaim(struct loam_slab_cpu *cpu)
{
	LOAM_COMPILER_BARRIER();
	uintptr_t state = cpu->quiet;
	cpu->busy = 0;
	loam_cpu_unquiet(state);
}

/* -------- magazines -------- */

static size_t magazine_bytes(unsigned capacity)
{
	return sizeof(struct loam_magazine) + (capacity + 1u) * sizeof(void *);
}

static struct loam_magazine *magazine_new(struct loam_cache *cache)
{
	struct loam_magazine *magazine = loam_slab_meta_alloc(
		cache->slabs, magazine_bytes(cache->capacity), LOAM_NOSLEEP);
	if (magazine != NULL) {
		magazine->capacity = cache->capacity;
	}
	return magazine;
}

static void magazine_delete(struct loam_cache *cache,
			    struct loam_magazine *magazine)
{
	loam_slab_meta_free(cache->slabs, magazine,
			    magazine_bytes(magazine->capacity));
}

/* Takes the loaded magazine out of the fast paths' reach. */
static struct loam_magazine *magazine_unload(struct loam_cache *cache,
					     struct loam_slab_cpu *cpu,
					     unsigned code)
{
	struct loam_cache_cpu *cold = &cpu->cold[code];
	struct loam_magazine *magazine = cold->loaded;
	if (magazine != NULL) {
		magazine->count =
			(uint32_t)(cpu->top[code] - magazine->slots - 1);
	}
	cold->loaded = NULL;
	LOAM_COMPILER_BARRIER();
	stack_reset(cache->slabs, cpu, code);
	return magazine;
}

static void magazine_load(struct loam_slab_cpu *cpu, unsigned code,
			  struct loam_magazine *magazine)
{
	cpu->top[code] = magazine->slots + 1 + magazine->count;
	cpu->limit[code] = magazine->slots + 1 + magazine->capacity;
	/* Last: a host's fork may copy the layer at any point. */
	LOAM_COMPILER_BARRIER();
	cpu->cold[code].loaded = magazine;
}

/* Objects in the magazine that the CPU's stack is. */
static uint32_t magazine_loaded_count(const struct loam_slab_cpu *cpu,
				      unsigned code)
{
	const struct loam_magazine *loaded = cpu->cold[code].loaded;
	return loaded == NULL ? 0
			      : (uint32_t)(cpu->top[code] - loaded->slots - 1);
}

/* -------- the depot -------- */

/*
 * Heads and counts change under the depot's lock, but are looked at without it
 * by those who only want to know whether it is worth taking: so each store is
 * whole.
 */
static struct loam_magazine *depot_pop(struct loam_magazine **list,
				       uint32_t *count)
{
	struct loam_magazine *magazine = *list;
	if (magazine != NULL) {
		__atomic_store_n(list, magazine->next, __ATOMIC_RELAXED);
		__atomic_store_n(count, *count - 1, __ATOMIC_RELAXED);
	}
	return magazine;
}

static void depot_push(struct loam_magazine **list, uint32_t *count,
		       struct loam_magazine *magazine)
{
	magazine->next = *list;
	__atomic_store_n(list, magazine, __ATOMIC_RELAXED);
	__atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
}

/* A full magazine of this group, or NULL; without a lock if there is none. */
static struct loam_magazine *depot_take_full(struct loam_cache *cache,
					     unsigned group)
{
	if (__atomic_load_n(&cache->full[group], __ATOMIC_RELAXED) == NULL) {
		return NULL;
	}
	loam_lock(&cache->depot_lock);
	struct loam_magazine *full =
		depot_pop(&cache->full[group], &cache->full_count);
	loam_unlock(&cache->depot_lock);
	return full;
}

/* What no CPU of another group has come for is better used than a new slab. */
static struct loam_magazine *depot_take_other(struct loam_cache *cache,
					      unsigned group)
{
	struct loam_magazine *full = NULL;
	for (unsigned g = 0; g < LOAM_SLAB_GROUPS && full == NULL; g++) {
		full = g == group ? NULL : depot_take_full(cache, g);
	}
	return full;
}

static void depot_give_empty(struct loam_cache *cache,
			     struct loam_magazine *empty)
{
	loam_lock(&cache->depot_lock);
	depot_push(&cache->empty, &cache->empty_count, empty);
	loam_unlock(&cache->depot_lock);
}

static struct loam_magazine *depot_take_empty(struct loam_cache *cache)
{
	loam_lock(&cache->depot_lock);
	struct loam_magazine *empty =
		depot_pop(&cache->empty, &cache->empty_count);
	loam_unlock(&cache->depot_lock);
	return empty != NULL ? empty : magazine_new(cache);
}

static void depot_give_full(struct loam_cache *cache, unsigned group,
			    struct loam_magazine *full)
{
	loam_lock(&cache->depot_lock);
	depot_push(&cache->full[group], &cache->full_count, full);
	loam_unlock(&cache->depot_lock);
}

/* A full magazine beyond what the depot may keep, or NULL. */
static struct loam_magazine *depot_take_surplus(struct loam_cache *cache,
						unsigned group)
{
	struct loam_magazine *full = NULL;
	if (__atomic_load_n(&cache->full_count, __ATOMIC_RELAXED) <=
	    cache->depot_keep) {
		return NULL;
	}
	loam_lock(&cache->depot_lock);
	if (cache->full_count > cache->depot_keep) {
		full = depot_pop(&cache->full[group], &cache->full_count);
	}
	loam_unlock(&cache->depot_lock);
	return full;
}

/* -------- back to the slabs -------- */

static void magazine_empty(struct loam_cache *cache,
			   struct loam_magazine *magazine,
			   struct loam_list *surplus)
{
	loam_lock(&cache->lock);
	loam_slab_put_locked(cache, &magazine->slots[1], magazine->count,
			     surplus);
	loam_unlock(&cache->lock);
	magazine->count = 0;
}

/* An empty magazine that no CPU wants: two of them are kept. */
static void magazine_retire(struct loam_cache *cache,
			    struct loam_magazine *magazine)
{
	loam_lock(&cache->depot_lock);
	bool keep = cache->empty_count < 2;
	if (keep) {
		depot_push(&cache->empty, &cache->empty_count, magazine);
	}
	loam_unlock(&cache->depot_lock);
	if (!keep) {
		magazine_delete(cache, magazine);
	}
}

static void magazine_return(struct loam_cache *cache,
			    struct loam_magazine *magazine)
{
	struct loam_list surplus;
	loam_list_init(&surplus);
	magazine_empty(cache, magazine, &surplus);
	loam_slab_release(cache, &surplus);
	magazine_retire(cache, magazine);
}

static void depot_trim(struct loam_cache *cache, unsigned group)
{
	struct loam_magazine *magazine = depot_take_surplus(cache, group);
	if (magazine != NULL) {
		magazine_return(cache, magazine);
	}
}

/* -------- the slow paths of alloc and free -------- */

/* Notes that the cache is in use: what it keeps stays when slabs settle. */
static void note_asked(struct loam_cache *cache)
{
	if (LOAM_SLAB_SETTLE_BYTES != 0 &&
	    __atomic_load_n(&cache->asked, __ATOMIC_RELAXED) == 0) {
		__atomic_store_n(&cache->asked, 1, __ATOMIC_RELAXED);
	}
}

/*
 * Fills an empty magazine of the CPU's from its slabs. The first time it is
 * filled by half: many caches are used a little and no more.
 */
static void magazine_refill(struct loam_cache *cache, struct loam_slab_cpu *cpu,
			    unsigned id)
{
	unsigned code = cpu_code(cache, cpu);
	struct loam_magazine *magazine = magazine_unload(cache, cpu, code);
	bool first = magazine == NULL;
	if (magazine == NULL) {
		magazine = depot_take_empty(cache);
	}
	if (magazine == NULL) {
		return;
	}
	loam_lock(&cache->lock);
	magazine->count = loam_slab_take_locked(
		cache, id, magazine->slots + 1,
		first ? (magazine->capacity + 1u) / 2 : magazine->capacity);
	loam_unlock(&cache->lock);
	magazine_load(cpu, code, magazine);
}

/* Puts a magazine with objects under the CPU's stack, if any is to be had. */
static void magazine_exchange_empty(struct loam_cache *cache,
				    struct loam_slab_cpu *cpu, unsigned id)
{
	unsigned code = cpu_code(cache, cpu);
	struct loam_cache_cpu *cold = &cpu->cold[code];
	if (cold->previous != NULL && cold->previous->count != 0) {
		struct loam_magazine *full = cold->previous;
		cold->previous = magazine_unload(cache, cpu, code);
		magazine_load(cpu, code, full);
		return;
	}
	struct loam_magazine *full = depot_take_full(cache, code_group(code));
	if (full == NULL) {
		magazine_refill(cache, cpu, id);
		if (cpu->top[code][-1] != NULL) {
			return;
		}
		full = depot_take_other(cache, code_group(code));
	}
	if (full == NULL) {
		return;
	}
	struct loam_magazine *empty = magazine_unload(cache, cpu, code);
	magazine_load(cpu, code, full);
	if (empty != NULL) {
		depot_give_empty(cache, empty);
	}
}

void *loam_slab_magazine_alloc(struct loam_cache *cache, bool *direct)
{
	*direct = true;
	if (cache->capacity == 0) {
		return NULL;
	}
	void *object = NULL;
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = cache->slabs->cpus[id];
	if (cpu_claim(cpu)) {
		unsigned code = cpu_code(cache, cpu);
		note_asked(cache);
		if (cpu->top[code][-1] == NULL) {
			magazine_exchange_empty(cache, cpu, id);
		}
		object = cpu->top[code][-1];
		if (object != NULL) {
			*slab_shadow(cache->slabs, object) = (uint8_t)code;
			cpu->top[code]--;
		}
		*direct = cpu->cold[code].loaded == NULL;
		cpu_unclaim(cpu);
	}
	loam_cpu_leave(id);
	return object;
}

/* Puts an empty magazine under the CPU's stack; false: none to be had. */
static bool magazine_exchange_full(struct loam_cache *cache,
				   struct loam_slab_cpu *cpu, unsigned code)
{
	struct loam_cache_cpu *cold = &cpu->cold[code];
	struct loam_magazine *empty = cold->previous;
	if (empty == NULL || empty->count != 0) {
		empty = depot_take_empty(cache);
		if (empty == NULL) {
			return false;
		}
		if (cold->previous != NULL) {
			depot_give_full(cache, code_group(code),
					cold->previous);
		}
	}
	cold->previous = magazine_unload(cache, cpu, code);
	magazine_load(cpu, code, empty);
	if (code != cpu_code(cache, cpu) && cold->previous != NULL) {
		/* Others wait for it; this CPU never allocates from it. */
		depot_give_full(cache, code_group(code), cold->previous);
		cold->previous = NULL;
	}
	return true;
}

bool loam_slab_magazine_free(struct loam_cache *cache, void *object)
{
	if (cache->capacity == 0) {
		return false;
	}
	bool pushed = false;
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = cache->slabs->cpus[id];
	unsigned code = *slab_shadow(cache->slabs, object);
	if (cpu_claim(cpu)) {
		note_asked(cache);
		if (cpu->top[code] != cpu->limit[code] ||
		    magazine_exchange_full(cache, cpu, code)) {
			*slab_shadow(cache->slabs, object) = 0;
			*cpu->top[code]++ = object;
			pushed = true;
		}
		cpu_unclaim(cpu);
	}
	loam_cpu_leave(id);
	depot_trim(cache, code_group(code));
	return pushed;
}

/* -------- draining and counting -------- */

bool loam_slab_magazine_holds(const struct loam_slabs *slabs, unsigned id,
			      unsigned cache_index)
{
	const struct loam_slab_cpu *cpu = slabs->cpus[id];
	bool holds = false;
	for (unsigned code = cache_index; cpu != NULL && code < LOAM_SLAB_CODES;
	     code += LOAM_CACHE_MAX) {
		const struct loam_cache_cpu *cold = &cpu->cold[code];
		holds = holds || cold->loaded != NULL ||
			cold->previous != NULL || cold->active != NULL;
	}
	return holds;
}

/* Magazines of one cache that a CPU can hold. */
#define HELD_MAX (2u * LOAM_SLAB_GROUPS)

/* What a CPU holds of a cache: its magazines, and its active slab. */
static void magazine_take_cpu(struct loam_cache *cache,
			      struct loam_slab_cpu *cpu,
			      struct loam_magazine *held[HELD_MAX])
{
	for (unsigned group = 0; group < LOAM_SLAB_GROUPS; group++) {
		unsigned code = group * LOAM_CACHE_MAX + cache->head.index;
		struct loam_cache_cpu *cold = &cpu->cold[code];
		held[2 * group] = magazine_unload(cache, cpu, code);
		held[2 * group + 1] = cold->previous;
		cold->previous = NULL;
	}
	struct loam_cache_cpu *cold = &cpu->cold[cpu_code(cache, cpu)];
	if (cold->active == NULL) {
		return;
	}
	loam_lock(&cache->lock);
	if (cold->active != NULL) {
		cold->active->active = 0;
		cold->active = NULL;
	}
	loam_unlock(&cache->lock);
}

static void magazine_give_held(struct loam_cache *cache,
			       struct loam_magazine *held[HELD_MAX],
			       struct loam_list *surplus)
{
	for (unsigned i = 0; i < HELD_MAX; i++) {
		if (held[i] != NULL) {
			magazine_empty(cache, held[i], surplus);
			magazine_delete(cache, held[i]);
		}
	}
}

void loam_slab_magazine_drain_own(struct loam_cache *cache, unsigned id,
				  struct loam_list *surplus)
{
	struct loam_magazine *held[HELD_MAX];
	struct loam_slab_cpu *cpu = cache->slabs->cpus[id];
	if (cpu_claim(cpu)) {
		magazine_take_cpu(cache, cpu, held);
		cpu_unclaim(cpu);
		magazine_give_held(cache, held, surplus);
	}
}

/* The CPU's busy flag is of all caches, and not ours to look at. */
void loam_slab_magazine_drain_cpu(struct loam_cache *cache, unsigned id,
				  struct loam_list *surplus)
{
	struct loam_magazine *held[HELD_MAX];
	if (cache->slabs->cpus[id] != NULL) {
		magazine_take_cpu(cache, cache->slabs->cpus[id], held);
		magazine_give_held(cache, held, surplus);
	}
}

/* A magazine of a CPU that stops: one with little in it is not worth a swap. */
static void magazine_hand_over(struct loam_cache *cache,
			       struct loam_magazine *magazine, unsigned group)
{
	if (magazine->count == 0) {
		magazine_retire(cache, magazine);
	} else if (magazine->count < magazine->capacity / 4) {
		magazine_return(cache, magazine);
	} else {
		depot_give_full(cache, group, magazine);
		depot_trim(cache, group);
	}
}

void loam_slab_magazine_hand_over(struct loam_cache *cache, unsigned id)
{
	struct loam_magazine *held[HELD_MAX];
	magazine_take_cpu(cache, cache->slabs->cpus[id], held);
	for (unsigned i = 0; i < HELD_MAX; i++) {
		if (held[i] != NULL) {
			magazine_hand_over(cache, held[i], i / 2);
		}
	}
}

void loam_slab_magazine_drain_depot(struct loam_cache *cache,
				    struct loam_list *surplus)
{
	struct loam_magazine *magazine;
	do {
		magazine = NULL;
		loam_lock(&cache->depot_lock);
		for (unsigned group = 0;
		     group < LOAM_SLAB_GROUPS && magazine == NULL; group++) {
			magazine = depot_pop(&cache->full[group],
					     &cache->full_count);
		}
		if (magazine == NULL) {
			magazine =
				depot_pop(&cache->empty, &cache->empty_count);
		}
		loam_unlock(&cache->depot_lock);
		if (magazine != NULL) {
			magazine_empty(cache, magazine, surplus);
			magazine_delete(cache, magazine);
		}
	} while (magazine != NULL);
}

static uint64_t magazine_count_cpu(const struct loam_cache *cache,
				   const struct loam_slab_cpu *cpu)
{
	uint64_t count = 0;
	for (unsigned group = 0; group < LOAM_SLAB_GROUPS; group++) {
		unsigned code = group * LOAM_CACHE_MAX + cache->head.index;
		const struct loam_magazine *previous = cpu->cold[code].previous;
		count += magazine_loaded_count(cpu, code);
		count += previous != NULL ? previous->count : 0;
	}
	return count;
}

uint64_t loam_slab_magazine_count(struct loam_cache *cache)
{
	uint64_t count = 0;
	for (unsigned id = 0; id < LOAM_MAX_CPUS; id++) {
		if (cache->slabs->cpus[id] != NULL) {
			count += magazine_count_cpu(cache,
						    cache->slabs->cpus[id]);
		}
	}
	loam_lock(&cache->depot_lock);
	for (unsigned group = 0; group < LOAM_SLAB_GROUPS; group++) {
		for (const struct loam_magazine *full = cache->full[group];
		     full != NULL; full = full->next) {
			count += full->count;
		}
	}
	loam_unlock(&cache->depot_lock);
	return count;
}

/* Every slot holds an object of this cache that is neither live nor free. */
static int magazine_check_slots(struct loam_cache *cache,
				const struct loam_magazine *magazine,
				uint32_t count)
{
	LOAM_CHECK(count <= magazine->capacity);
	LOAM_CHECK(magazine->slots[0] == NULL);
	for (uint32_t i = 1; i <= count; i++) {
		const void *object = magazine->slots[i];
		const struct loam_slab *slab =
			loam_slab_of(cache->slabs, object);
		LOAM_CHECK(slab != NULL &&
			   slab->cache_index == cache->head.index);
		unsigned index = slab_index(slab, object);
		LOAM_CHECK(object == slab_object(cache, slab, index));
		LOAM_CHECK(*slab_shadow(cache->slabs, object) == 0);
		LOAM_CHECK(!loam_bitmap_test(slab->free_map, index));
	}
	return 0;
}

static int magazine_check_cpu(struct loam_cache *cache,
			      const struct loam_slab_cpu *cpu)
{
	for (unsigned group = 0; group < LOAM_SLAB_GROUPS; group++) {
		unsigned code = group * LOAM_CACHE_MAX + cache->head.index;
		const struct loam_cache_cpu *cold = &cpu->cold[code];
		int error = 0;
		if (cold->loaded != NULL) {
			error = magazine_check_slots(
				cache, cold->loaded,
				magazine_loaded_count(cpu, code));
		}
		if (error == 0 && cold->previous != NULL) {
			error = magazine_check_slots(cache, cold->previous,
						     cold->previous->count);
		}
		if (error != 0) {
			return error;
		}
	}
	return 0;
}

static int magazine_check_depot_locked(struct loam_cache *cache)
{
	uint32_t count = 0;
	for (unsigned group = 0; group < LOAM_SLAB_GROUPS; group++) {
		for (const struct loam_magazine *full = cache->full[group];
		     full != NULL; full = full->next) {
			LOAM_CHECK(count++ < cache->full_count);
			int error =
				magazine_check_slots(cache, full, full->count);
			if (error != 0) {
				return error;
			}
		}
	}
	LOAM_CHECK(count == cache->full_count);
	return 0;
}

int loam_slab_magazine_check(struct loam_cache *cache)
{
	int error = 0;
	for (unsigned id = 0; id < LOAM_MAX_CPUS && error == 0; id++) {
		const struct loam_slab_cpu *cpu = cache->slabs->cpus[id];
		if (cpu != NULL && cpu->busy == 0) {
			error = magazine_check_cpu(cache, cpu);
		}
	}
	loam_lock(&cache->depot_lock);
	if (error == 0) {
		error = magazine_check_depot_locked(cache);
	}
	loam_unlock(&cache->depot_lock);
	return error;
}

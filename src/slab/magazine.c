/* SPDX-License-Identifier: MIT */
/* The per-CPU layer: magazines, and the depot through which CPUs swap them. */
#include "slab_int.h"

/* -------- a CPU's structure -------- */

/* The stack of a CPU that has no magazine: empty and full at once. */
static void stack_reset(struct loam_slabs *slabs, struct loam_slot_stack *stack)
{
	stack->top = &slabs->nothing[1];
	stack->limit = &slabs->nothing[1];
}

void loam_slab_cpu_reset(struct loam_slabs *slabs, struct loam_slab_cpu *cpu)
{
	for (unsigned i = 0; i < LOAM_CACHE_MAX; i++) {
		stack_reset(slabs, &cpu->stack[i]);
	}
}

/*
 * Makes the layer the caller's until cpu_unclaim(). False: it is in use by
 * what this call interrupted.
 */
static bool cpu_claim(struct loam_slab_cpu *cpu)
{
	LOAM_COMPILER_BARRIER();
	if (cpu->busy != 0) {
		return false;
	}
	cpu->busy = 1;
	LOAM_COMPILER_BARRIER();
	return true;
}

static void cpu_unclaim(struct loam_slab_cpu *cpu)
{
	LOAM_COMPILER_BARRIER();
	cpu->busy = 0;
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
					     struct loam_slab_cpu *cpu)
{
	struct loam_slot_stack *stack = &cpu->stack[cache->index];
	struct loam_cache_cpu *cold = &cpu->cold[cache->index];
	struct loam_magazine *magazine = cold->loaded;
	if (magazine != NULL) {
		magazine->count = (uint32_t)(stack->top - magazine->slots - 1);
	}
	cold->loaded = NULL;
	stack_reset(cache->slabs, stack);
	return magazine;
}

static void magazine_load(struct loam_cache *cache, struct loam_slab_cpu *cpu,
			  struct loam_magazine *magazine)
{
	struct loam_slot_stack *stack = &cpu->stack[cache->index];
	cpu->cold[cache->index].loaded = magazine;
	stack->top = magazine->slots + 1 + magazine->count;
	stack->limit = magazine->slots + 1 + magazine->capacity;
}

/* -------- the depot -------- */

static struct loam_magazine *depot_pop(struct loam_magazine **list,
				       uint32_t *count)
{
	struct loam_magazine *magazine = *list;
	if (magazine != NULL) {
		*list = magazine->next;
		(*count)--;
	}
	return magazine;
}

static void depot_push(struct loam_magazine **list, uint32_t *count,
		       struct loam_magazine *magazine)
{
	magazine->next = *list;
	*list = magazine;
	(*count)++;
}

/* Gives an empty magazine (or NULL) for a full one; NULL: there is none. */
static struct loam_magazine *depot_swap_for_full(struct loam_cache *cache,
						 struct loam_magazine *empty)
{
	loam_lock(&cache->depot_lock);
	struct loam_magazine *full =
		depot_pop(&cache->full, &cache->full_count);
	if (full != NULL && empty != NULL) {
		depot_push(&cache->empty, &cache->empty_count, empty);
	}
	loam_unlock(&cache->depot_lock);
	return full;
}

static struct loam_magazine *depot_take_empty(struct loam_cache *cache)
{
	loam_lock(&cache->depot_lock);
	struct loam_magazine *empty =
		depot_pop(&cache->empty, &cache->empty_count);
	loam_unlock(&cache->depot_lock);
	return empty != NULL ? empty : magazine_new(cache);
}

static void depot_give_full(struct loam_cache *cache,
			    struct loam_magazine *full)
{
	loam_lock(&cache->depot_lock);
	depot_push(&cache->full, &cache->full_count, full);
	loam_unlock(&cache->depot_lock);
}

/* A full magazine beyond what the depot may keep, or NULL. */
static struct loam_magazine *depot_take_surplus(struct loam_cache *cache)
{
	struct loam_magazine *full = NULL;
	size_t each = (size_t)cache->capacity * cache->stride;
	loam_lock(&cache->depot_lock);
	if (cache->full_count > 2 &&
	    cache->full_count * each > DEPOT_KEEP_BYTES) {
		full = depot_pop(&cache->full, &cache->full_count);
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
	for (uint32_t i = 1; i <= magazine->count; i++) {
		loam_slab_put_locked(cache, magazine->slots[i], surplus);
	}
	loam_unlock(&cache->lock);
	magazine->count = 0;
}

static void depot_trim(struct loam_cache *cache)
{
	struct loam_magazine *magazine = depot_take_surplus(cache);
	if (magazine == NULL) {
		return;
	}
	struct loam_list surplus;
	loam_list_init(&surplus);
	magazine_empty(cache, magazine, &surplus);
	loam_slab_release(cache, &surplus);
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

/* -------- the slow paths of alloc and free -------- */

/* Fills an empty magazine of the CPU's from its slabs. */
static void magazine_refill(struct loam_cache *cache, struct loam_slab_cpu *cpu,
			    unsigned id)
{
	struct loam_magazine *magazine = magazine_unload(cache, cpu);
	if (magazine == NULL) {
		magazine = depot_take_empty(cache);
	}
	if (magazine == NULL) {
		return;
	}
	loam_lock(&cache->lock);
	magazine->count = loam_slab_take_locked(cache, id, magazine->slots + 1,
						(magazine->capacity + 1u) / 2);
	loam_unlock(&cache->lock);
	magazine_load(cache, cpu, magazine);
}

/* Puts a magazine with objects under the CPU's stack, if any is to be had. */
static void magazine_exchange_empty(struct loam_cache *cache,
				    struct loam_slab_cpu *cpu, unsigned id)
{
	struct loam_cache_cpu *cold = &cpu->cold[cache->index];
	if (cold->previous != NULL && cold->previous->count != 0) {
		struct loam_magazine *full = cold->previous;
		cold->previous = magazine_unload(cache, cpu);
		magazine_load(cache, cpu, full);
		return;
	}
	struct loam_magazine *full = depot_swap_for_full(cache, NULL);
	if (full == NULL) {
		magazine_refill(cache, cpu, id);
		return;
	}
	struct loam_magazine *empty = magazine_unload(cache, cpu);
	magazine_load(cache, cpu, full);
	if (empty == NULL) {
		return;
	}
	loam_lock(&cache->depot_lock);
	depot_push(&cache->empty, &cache->empty_count, empty);
	loam_unlock(&cache->depot_lock);
}

void *loam_slab_magazine_alloc(struct loam_cache *cache, bool *direct)
{
	*direct = true;
	if (cache->capacity == 0) {
		return NULL;
	}
	void *object = NULL;
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = &cache->slabs->cpu[id];
	if (cpu_claim(cpu)) {
		struct loam_slot_stack *stack = &cpu->stack[cache->index];
		if (stack->top[-1] == NULL) {
			magazine_exchange_empty(cache, cpu, id);
		}
		object = stack->top[-1];
		if (object != NULL) {
			*slab_shadow(cache->slabs, object) =
				(uint8_t)cache->index;
			stack->top--;
		}
		*direct = cpu->cold[cache->index].loaded == NULL;
		cpu_unclaim(cpu);
	}
	loam_cpu_leave(id);
	return object;
}

/* Puts an empty magazine under the CPU's stack; false: none to be had. */
static bool magazine_exchange_full(struct loam_cache *cache,
				   struct loam_slab_cpu *cpu)
{
	struct loam_cache_cpu *cold = &cpu->cold[cache->index];
	struct loam_magazine *empty = cold->previous;
	if (empty == NULL || empty->count != 0) {
		empty = depot_take_empty(cache);
		if (empty == NULL) {
			return false;
		}
		if (cold->previous != NULL) {
			depot_give_full(cache, cold->previous);
		}
	}
	cold->previous = magazine_unload(cache, cpu);
	magazine_load(cache, cpu, empty);
	return true;
}

bool loam_slab_magazine_free(struct loam_cache *cache, void *object)
{
	if (cache->capacity == 0) {
		return false;
	}
	bool pushed = false;
	unsigned id = loam_cpu_enter();
	struct loam_slab_cpu *cpu = &cache->slabs->cpu[id];
	if (cpu_claim(cpu)) {
		struct loam_slot_stack *stack = &cpu->stack[cache->index];
		if (stack->top != stack->limit ||
		    magazine_exchange_full(cache, cpu)) {
			*slab_shadow(cache->slabs, object) = 0;
			*stack->top++ = object;
			pushed = true;
		}
		cpu_unclaim(cpu);
	}
	loam_cpu_leave(id);
	depot_trim(cache);
	return pushed;
}

/* -------- draining and counting -------- */

/* What a CPU holds of a cache: two magazines at most, and its active slab. */
static void magazine_take_cpu(struct loam_cache *cache,
			      struct loam_slab_cpu *cpu,
			      struct loam_magazine *held[2])
{
	struct loam_cache_cpu *cold = &cpu->cold[cache->index];
	held[0] = magazine_unload(cache, cpu);
	held[1] = cold->previous;
	cold->previous = NULL;
	loam_lock(&cache->lock);
	if (cold->active != NULL) {
		cold->active->active = 0;
		cold->active = NULL;
	}
	loam_unlock(&cache->lock);
}

static void magazine_give_held(struct loam_cache *cache,
			       struct loam_magazine *held[2],
			       struct loam_list *surplus)
{
	for (unsigned i = 0; i < 2; i++) {
		if (held[i] != NULL) {
			magazine_empty(cache, held[i], surplus);
			magazine_delete(cache, held[i]);
		}
	}
}

void loam_slab_magazine_drain_own(struct loam_cache *cache, unsigned id,
				  struct loam_list *surplus)
{
	struct loam_magazine *held[2];
	struct loam_slab_cpu *cpu = &cache->slabs->cpu[id];
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
	struct loam_magazine *held[2];
	magazine_take_cpu(cache, &cache->slabs->cpu[id], held);
	magazine_give_held(cache, held, surplus);
}

void loam_slab_magazine_drain_depot(struct loam_cache *cache,
				    struct loam_list *surplus)
{
	loam_lock(&cache->depot_lock);
	struct loam_magazine *full = cache->full;
	struct loam_magazine *empty = cache->empty;
	cache->full = NULL;
	cache->empty = NULL;
	cache->full_count = 0;
	cache->empty_count = 0;
	loam_unlock(&cache->depot_lock);
	while (full != NULL) {
		struct loam_magazine *next = full->next;
		magazine_empty(cache, full, surplus);
		magazine_delete(cache, full);
		full = next;
	}
	while (empty != NULL) {
		struct loam_magazine *next = empty->next;
		magazine_delete(cache, empty);
		empty = next;
	}
}

uint64_t loam_slab_magazine_count(struct loam_cache *cache)
{
	struct loam_slabs *slabs = cache->slabs;
	uint64_t count = 0;
	for (unsigned id = 0; id < LOAM_MAX_CPUS; id++) {
		struct loam_slab_cpu *cpu = &slabs->cpu[id];
		struct loam_cache_cpu *cold = &cpu->cold[cache->index];
		if (cold->loaded != NULL) {
			count += (uint64_t)(cpu->stack[cache->index].top -
					    cold->loaded->slots - 1);
		}
		if (cold->previous != NULL) {
			count += cold->previous->count;
		}
	}
	loam_lock(&cache->depot_lock);
	for (struct loam_magazine *full = cache->full; full != NULL;
	     full = full->next) {
		count += full->count;
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
		LOAM_CHECK(slab != NULL && slab->cache_index == cache->index);
		unsigned index = slab_index(slab, object);
		LOAM_CHECK(object == slab_object(cache, slab, index));
		LOAM_CHECK(*slab_shadow(cache->slabs, object) == 0);
		LOAM_CHECK(!loam_bitmap_test(slab->free_map, index));
	}
	return 0;
}

int loam_slab_magazine_check(struct loam_cache *cache)
{
	struct loam_slabs *slabs = cache->slabs;
	int error = 0;
	for (unsigned id = 0; id < LOAM_MAX_CPUS && error == 0; id++) {
		struct loam_slab_cpu *cpu = &slabs->cpu[id];
		if (cpu->busy != 0) {
			continue;
		}
		struct loam_cache_cpu *cold = &cpu->cold[cache->index];
		if (cold->loaded != NULL) {
			error = magazine_check_slots(
				cache, cold->loaded,
				(uint32_t)(cpu->stack[cache->index].top -
					   cold->loaded->slots - 1));
		}
		if (error == 0 && cold->previous != NULL) {
			error = magazine_check_slots(cache, cold->previous,
						     cold->previous->count);
		}
	}
	loam_lock(&cache->depot_lock);
	for (struct loam_magazine *full = cache->full;
	     full != NULL && error == 0; full = full->next) {
		error = magazine_check_slots(cache, full, full->count);
	}
	loam_unlock(&cache->depot_lock);
	return error;
}

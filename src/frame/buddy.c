/* SPDX-License-Identifier: MIT */
/* The binary buddy: free lists by order, merging by one bit of a tree. */

/*
 * Every free block is on the list of its order, its bit in the map is set and
 * its head's tag says FREE and the order; nothing else has any of the three.
 * Allocation takes the smallest list that has something (one bit scan) and
 * halves the block, keeping the low half, so that consecutive allocations from
 * fresh memory go upwards. Free asks for one bit at each order. Two free
 * buddies are never left side by side.
 *
 * Functions below count frames from buddy->base (`at`); lists hold frame
 * numbers. Source: Knowlton, CACM 8(10), 1965; Knuth, TAOCP 1, 2.5.
 */
#include <loam/bits.h>
#include <loam/buddy.h>

/* The bit of the block at `at`: see the picture in the header. */
static inline size_t buddy_bit(loam_pfn_t at, unsigned order)
{
	size_t chunk = at >> LOAM_ORDER_MAX;
	size_t frame = at & (LOAM_CHUNK_FRAMES - 1);
	return chunk * 2 * LOAM_CHUNK_FRAMES +
	       ((LOAM_CHUNK_FRAMES + frame) >> order);
}

/* Counts a block that came, or with `sign` -1 went, to its tracts. */
static inline void buddy_count(struct loam_buddy *buddy, loam_pfn_t at,
			       unsigned order, int sign)
{
	buddy->free_blocks[order] += (loam_pfn_t)sign;
	if (buddy->tract_free == NULL) {
		return;
	}
	uint16_t *count = &buddy->tract_free[at >> LOAM_TRACT_ORDER];
	if (order <= LOAM_TRACT_ORDER) {
		loam_tract_free_add(count, sign * (1 << order));
	} else {
		loam_tract_free_add(&count[0], sign * (int)LOAM_TRACT_FRAMES);
		loam_tract_free_add(&count[1], sign * (int)LOAM_TRACT_FRAMES);
	}
}

static void buddy_insert(struct loam_buddy *buddy, loam_pfn_t at,
			 unsigned order)
{
	loam_pfn_t pfn = buddy->base + at;
	loam_pfn_t next = buddy->free_lists[order];
	buddy->frames[at].free.next = next;
	buddy->frames[at].free.prev = LOAM_PFN_NONE;
	if (next != LOAM_PFN_NONE) {
		buddy->frames[next - buddy->base].free.prev = pfn;
	}
	buddy->free_lists[order] = pfn;
	buddy_count(buddy, at, order, 1);
	buddy->nonempty |= 1u << order;
	loam_bitmap_set(buddy->map, buddy_bit(at, order));
	loam_tag_store(&buddy->tags[at], LOAM_TAG_FREE | order);
}

/* Leaves the tag: the caller knows what becomes of the block. */
static void buddy_remove(struct loam_buddy *buddy, loam_pfn_t at,
			 unsigned order)
{
	LOAM_ASSERT(loam_tag_load(&buddy->tags[at]) == (LOAM_TAG_FREE | order));
	loam_pfn_t next = buddy->frames[at].free.next;
	loam_pfn_t prev = buddy->frames[at].free.prev;
	if (next != LOAM_PFN_NONE) {
		buddy->frames[next - buddy->base].free.prev = prev;
	}
	if (prev != LOAM_PFN_NONE) {
		buddy->frames[prev - buddy->base].free.next = next;
	} else {
		buddy->free_lists[order] = next;
		if (next == LOAM_PFN_NONE) {
			buddy->nonempty &= ~(1u << order);
		}
	}
	buddy_count(buddy, at, order, -1);
	loam_bitmap_clear(buddy->map, buddy_bit(at, order));
}

/* The largest order at which [at, at + count) can begin with a block. */
static unsigned buddy_fit(const struct loam_buddy *buddy, loam_pfn_t at,
			  loam_pfn_t count)
{
	unsigned order = loam_log2_floor(count);
	if (at != 0 && loam_lowest_bit(at) < order) {
		order = loam_lowest_bit(at);
	}
	return order < buddy->max_order ? order : buddy->max_order;
}

/* Frees a run that is in nobody's hands, as the largest blocks that fit. */
static void buddy_free_run(struct loam_buddy *buddy, loam_pfn_t first,
			   loam_pfn_t count)
{
	while (count > 0) {
		unsigned order = buddy_fit(buddy, first - buddy->base, count);
		loam_buddy_free(buddy, first, order);
		first += 1u << order;
		count -= 1u << order;
	}
}

/* Walks one list: links, tags, bits, place; each block must be unmerged. */
static int buddy_check_list(const struct loam_buddy *buddy, unsigned order,
			    loam_pfn_t size)
{
	loam_pfn_t prev = LOAM_PFN_NONE;
	loam_pfn_t count = 0;
	for (loam_pfn_t pfn = buddy->free_lists[order]; pfn != LOAM_PFN_NONE;
	     pfn = buddy->frames[pfn - buddy->base].free.next) {
		loam_pfn_t at = pfn - buddy->base;
		LOAM_CHECK(count < buddy->free_blocks[order]);
		LOAM_CHECK(pfn >= buddy->base && at < size);
		LOAM_CHECK(size - at >= 1u << order);
		LOAM_CHECK(loam_is_aligned(at, (uint64_t)1 << order));
		LOAM_CHECK(buddy->frames[at].free.prev == prev);
		LOAM_CHECK(loam_tag_load(&buddy->tags[at]) ==
			   (LOAM_TAG_FREE | order));
		LOAM_CHECK(loam_bitmap_test(buddy->map, buddy_bit(at, order)));
		LOAM_CHECK(order == buddy->max_order ||
			   !loam_bitmap_test(
				   buddy->map,
				   buddy_bit(at ^ (1u << order), order)));
		prev = pfn;
		count++;
	}
	LOAM_CHECK(count == buddy->free_blocks[order]);
	LOAM_CHECK(((buddy->nonempty >> order) & 1u) == (count != 0));
	return 0;
}

/* Nothing is set in the map but what the lists hold. */
static int buddy_check_map(const struct loam_buddy *buddy, loam_pfn_t size,
			   size_t blocks)
{
	size_t set = 0;
	size_t bytes = loam_buddy_map_bytes(size);
	LOAM_CHECK(bytes <= buddy->map_size);
	for (size_t i = 0; i < bytes / sizeof(uint32_t); i++) {
		uint32_t word = buddy->map[i];
		if (i % LOAM_CHUNK_MAP_WORDS == 0) {
			word &= ~1u;
		}
		while (word != 0) {
			word &= word - 1;
			set++;
		}
	}
	LOAM_CHECK(set == blocks);
	return 0;
}

void loam_buddy_init(struct loam_buddy *buddy, loam_pfn_t base, loam_pfn_t size,
		     unsigned max_order, uint32_t *map,
		     struct loam_frame *frames, uint32_t *tags)
{
	LOAM_ASSERT(max_order <= LOAM_ORDER_MAX);
	*buddy = (struct loam_buddy){
		.base = base,
		.size = size,
		.map = map,
		.map_size = loam_buddy_map_bytes(size),
		.max_order = max_order,
		.frames = frames,
		.tags = tags,
	};
	for (unsigned order = 0; order < LOAM_ORDER_COUNT; order++) {
		buddy->free_lists[order] = LOAM_PFN_NONE;
	}
}

void loam_buddy_add(struct loam_buddy *buddy, loam_pfn_t first,
		    loam_pfn_t count)
{
	if (count == 0) {
		return;
	}
	loam_pfn_t at = first - buddy->base;
	LOAM_ASSERT(at < buddy->size && count <= buddy->size - at);
	loam_pfn_t last = at + count - 1;
	for (loam_pfn_t chunk = at >> LOAM_ORDER_MAX;
	     chunk <= last >> LOAM_ORDER_MAX; chunk++) {
		buddy->map[(size_t)chunk * LOAM_CHUNK_MAP_WORDS] |= 1u;
	}
	buddy_free_run(buddy, first, count);
}

loam_pfn_t loam_buddy_alloc(struct loam_buddy *buddy, unsigned order,
			    uint32_t tag)
{
	uint32_t fitting = buddy->nonempty & ~((1u << order) - 1u);
	if (fitting == 0) {
		return LOAM_PFN_NONE;
	}
	unsigned from = loam_lowest_bit(fitting);
	loam_pfn_t pfn = buddy->free_lists[from];
	loam_pfn_t at = pfn - buddy->base;
	buddy_remove(buddy, at, from);
	while (from > order) {
		from--;
		buddy_insert(buddy, at + (1u << from), from);
	}
	buddy->free_frames -= 1u << order;
	loam_tag_store(&buddy->tags[at], tag);
	return pfn;
}

void loam_buddy_free(struct loam_buddy *buddy, loam_pfn_t pfn, unsigned order)
{
	loam_pfn_t at = pfn - buddy->base;
	buddy->free_frames += 1u << order;
	loam_tag_store(&buddy->tags[at], 0);
	while (order < buddy->max_order) {
		loam_pfn_t other = at ^ (1u << order);
		if (!loam_bitmap_test(buddy->map, buddy_bit(other, order))) {
			break;
		}
		buddy_remove(buddy, other, order);
		loam_tag_store(&buddy->tags[other], 0);
		at &= other;
		order++;
	}
	buddy_insert(buddy, at, order);
}

bool loam_buddy_extend(struct loam_buddy *buddy, loam_pfn_t pfn, unsigned order,
		       unsigned larger, uint32_t tag)
{
	loam_pfn_t at = pfn - buddy->base;
	if (larger > buddy->max_order || (at & ((1u << larger) - 1u)) != 0) {
		return false;
	}
	for (unsigned k = order; k < larger; k++) {
		if (!loam_bitmap_test(buddy->map,
				      buddy_bit(at + (1u << k), k))) {
			return false;
		}
	}
	for (unsigned k = order; k < larger; k++) {
		buddy_remove(buddy, at + (1u << k), k);
		loam_tag_store(&buddy->tags[at + (1u << k)], 0);
		buddy->free_frames -= 1u << k;
	}
	loam_tag_store(&buddy->tags[at], tag);
	return true;
}

void loam_buddy_carve(struct loam_buddy *buddy, loam_pfn_t first,
		      loam_pfn_t count, uint32_t tag)
{
	loam_pfn_t end = first + count;
	loam_pfn_t pfn = first;
	while (pfn < end) {
		loam_pfn_t head = LOAM_PFN_NONE;
		unsigned order = 0;
		bool found = loam_buddy_find(buddy, pfn, &head, &order);
		LOAM_VERIFY(found && loam_buddy_is_free(buddy, head, order));
		loam_pfn_t block_end = head + (1u << order);
		loam_pfn_t stop = block_end < end ? block_end : end;
		buddy_remove(buddy, head - buddy->base, order);
		buddy->free_frames -= 1u << order;
		loam_tag_store(&buddy->tags[head - buddy->base], 0);
		for (loam_pfn_t i = pfn; i < stop; i++) {
			loam_tag_store(&buddy->tags[i - buddy->base], tag);
		}
		buddy_free_run(buddy, head, pfn - head);
		buddy_free_run(buddy, stop, block_end - stop);
		pfn = stop;
	}
}

bool loam_buddy_is_free(const struct loam_buddy *buddy, loam_pfn_t pfn,
			unsigned order)
{
	return loam_bitmap_test(buddy->map,
				buddy_bit(pfn - buddy->base, order));
}

/*
 * The first tag found on the way up decides: a block that began further down
 * and reached pfn would have that frame inside it, with tag 0.
 */
bool loam_buddy_find(const struct loam_buddy *buddy, loam_pfn_t pfn,
		     loam_pfn_t *head, unsigned *order)
{
	loam_pfn_t at = pfn - buddy->base;
	for (unsigned k = 0; k <= buddy->max_order; k++) {
		at &= ~((1u << k) - 1u);
		uint32_t tag = loam_tag_load(&buddy->tags[at]);
		if (tag == 0) {
			continue;
		}
		if ((tag & LOAM_TAG_SLAB) != 0 ||
		    (tag & LOAM_TAG_ORDER_MASK) < k) {
			return false;
		}
		*head = buddy->base + at;
		*order = tag & LOAM_TAG_ORDER_MASK;
		return true;
	}
	return false;
}

bool loam_buddy_has_chunk(const struct loam_buddy *buddy, loam_pfn_t pfn)
{
	size_t chunk = (pfn - buddy->base) >> LOAM_ORDER_MAX;
	return (buddy->map[chunk * LOAM_CHUNK_MAP_WORDS] & 1u) != 0;
}

int loam_buddy_check(const struct loam_buddy *buddy, loam_pfn_t size)
{
	uint64_t frames = 0;
	size_t blocks = 0;
	LOAM_CHECK(size <= buddy->size);
	for (unsigned order = 0; order <= buddy->max_order; order++) {
		int error = buddy_check_list(buddy, order, size);
		if (error != 0) {
			return error;
		}
		frames += (uint64_t)buddy->free_blocks[order] << order;
		blocks += buddy->free_blocks[order];
	}
	for (unsigned order = buddy->max_order + 1; order <= LOAM_ORDER_MAX;
	     order++) {
		LOAM_CHECK(buddy->free_lists[order] == LOAM_PFN_NONE);
	}
	LOAM_CHECK(frames == buddy->free_frames);
	return buddy_check_map(buddy, size, blocks);
}

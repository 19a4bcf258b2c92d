/* SPDX-License-Identifier: MIT */
/* What a frame is: for reports of misuse, for owners' tables, for people. */
#include "frame_int.h"

const char *loam_owner_name(enum loam_owner owner)
{
	static const char *const names[LOAM_OWNER_COUNT] = {
		"unnamed", "page table", "slab", "metadata", "kmalloc",
		"vmalloc", "heap",       "user", "stack",
	};
	return (unsigned)owner < LOAM_OWNER_COUNT ? names[owner] : "unknown";
}

/* True if an untouched run has pfn. The zone's lock is held. */
static bool zone_run_has(const struct loam_zone *zone, loam_pfn_t pfn)
{
	for (uint32_t i = zone->run_next; i < zone->run_count; i++) {
		if (pfn >= zone->runs[i].first && pfn < zone->runs[i].end) {
			return true;
		}
	}
	return false;
}

static enum loam_owner tag_owner(uint32_t tag)
{
	uint32_t owner = (tag & LOAM_TAG_OWNER_MASK) >> LOAM_TAG_OWNER_SHIFT;
	return owner < LOAM_OWNER_COUNT ? (enum loam_owner)owner
					: LOAM_OWNER_NONE;
}

/*
 * The head and order of the slab that pfn, labelled with `tag`, lies in: the
 * head keeps its old tag in its descriptor, all others keep 0 there.
 */
static bool slab_find(const struct loam_frames *frames,
		      const struct loam_zone *zone, loam_pfn_t pfn,
		      uint32_t tag, struct loam_frame_info *info)
{
	for (unsigned k = 0; k <= LOAM_ORDER_MAX; k++) {
		loam_pfn_t head = pfn & ~((1u << k) - 1u);
		uint32_t old = frames->descriptors[head].used.refs;
		if (head < zone->first ||
		    loam_tag_load(&frames->tags.tags[head]) != tag) {
			return false;
		}
		if (old != 0) {
			info->head = head;
			info->order = old & LOAM_TAG_ORDER_MASK;
			info->owner = tag_owner(old);
			return true;
		}
	}
	return false;
}

/* Fills info in for a frame below touched_end. False: the zone lacks it. */
static bool touched_info_locked(const struct loam_frames *frames,
				const struct loam_zone *zone, loam_pfn_t pfn,
				struct loam_frame_info *info)
{
	uint32_t tag = loam_tag_load(&frames->tags.tags[pfn]);
	info->refs = 1;
	if ((tag & LOAM_TAG_SLAB) != 0) {
		info->state = LOAM_TAG_SLAB;
		return slab_find(frames, zone, pfn, tag, info);
	}
	if (!loam_buddy_find(&zone->buddy, pfn, &info->head, &info->order)) {
		return false;
	}
	tag = loam_tag_load(&frames->tags.tags[info->head]);
	info->state = tag & LOAM_TAG_STATE_MASK;
	info->owner = tag_owner(tag);
	info->refs = loam_frame_refs(frames, info->head);
	return true;
}

int loam_frame_info(struct loam_frames *frames, loam_pfn_t pfn,
		    struct loam_frame_info *out)
{
	struct loam_frame_info info = { .head = pfn };
	struct loam_zone *zone = frame_zone_of(frames, pfn);
	if (zone == NULL) {
		return -LOAM_ENOENT;
	}
	info.zone = (enum loam_zone_id)zone->id;
	loam_lock(&zone->lock);
	info.untouched = pfn >= zone->touched_end;
	bool found = info.untouched
			     ? zone_run_has(zone, pfn)
			     : touched_info_locked(frames, zone, pfn, &info);
	loam_unlock(&zone->lock);
	if (!found) {
		return -LOAM_ENOENT;
	}
	*out = info;
	return 0;
}

/* Why this is no used block of that order, or NULL: written to text. */
static const char *frame_reason(struct loam_frames *frames, loam_pfn_t pfn,
				unsigned order, char *text, size_t size)
{
	struct loam_frame_info info;
	if (pfn >= frames->end) {
		return "beyond memory";
	}
	if (loam_frame_info(frames, pfn, &info) != 0) {
		return "a hole or reserved, no zone has it";
	}
	if (info.untouched) {
		return "free, never handed out";
	}
	if (info.state == LOAM_TAG_FREE || info.state == LOAM_TAG_CACHED) {
		return "free already";
	}
	if (info.state == LOAM_TAG_SLAB) {
		return "a slab's";
	}
	if (info.head != pfn) {
		loam_snprintf(text, size,
			      "inside the block of order %u at 0x%llx (%s)",
			      info.order,
			      (unsigned long long)loam_pfn_to_phys(info.head),
			      loam_owner_name(info.owner));
		return text;
	}
	if (info.order != order) {
		loam_snprintf(text, size, "a block of order %u (%s)",
			      info.order, loam_owner_name(info.owner));
		return text;
	}
	loam_snprintf(text, size, "in use with %u references (%s)", info.refs,
		      loam_owner_name(info.owner));
	return text;
}

/* The tag of a frame, or 0 where there is none. */
static uint32_t frame_tag(struct loam_frames *frames, loam_pfn_t pfn)
{
	const struct loam_zone *zone = frame_zone_of(frames, pfn);
	if (zone == NULL || pfn >= frame_touched_end(zone)) {
		return 0;
	}
	return loam_tag_load(&frames->tags.tags[pfn]);
}

bool loam_frame_verify_used(struct loam_frames *frames, const char *verb,
			    loam_pfn_t pfn, unsigned order, const void *caller)
{
	char text[96];
	const unsigned long long phys = loam_pfn_to_phys(pfn);
	if (order > LOAM_ORDER_MAX) {
		loam_misuse(caller,
			    "%s of frame 0x%llx, order %u: no such order", verb,
			    phys, order);
		return false;
	}
	uint32_t tag = frame_tag(frames, pfn);
	if ((tag & ~LOAM_TAG_OWNER_MASK) == (LOAM_TAG_USED | order)) {
		return true;
	}
	if (!loam_is_aligned(pfn, (uint64_t)1 << order)) {
		loam_misuse(caller, "%s of frame 0x%llx, order %u: misaligned",
			    verb, phys, order);
		return false;
	}
	loam_misuse(caller, "%s of frame 0x%llx, order %u: it is %s", verb,
		    phys, order,
		    frame_reason(frames, pfn, order, text, sizeof(text)));
	return false;
}

bool loam_frame_verify_head(struct loam_frames *frames, const char *verb,
			    loam_pfn_t pfn, const void *caller)
{
	char text[96];
	uint32_t tag = frame_tag(frames, pfn);
	if ((tag & LOAM_TAG_SLAB) == 0 &&
	    (tag & LOAM_TAG_STATE_MASK) == LOAM_TAG_USED) {
		return true;
	}
	loam_misuse(caller, "%s of frame 0x%llx: it is %s", verb,
		    (unsigned long long)loam_pfn_to_phys(pfn),
		    frame_reason(frames, pfn, 0, text, sizeof(text)));
	return false;
}

/* The free blocks of one order. */
static int walk_list_locked(const struct loam_buddy *buddy, unsigned order,
			    int (*visit)(void *arg, loam_pfn_t pfn,
					 unsigned order),
			    void *arg)
{
	int result = 0;
	for (loam_pfn_t pfn = buddy->free_lists[order];
	     pfn != LOAM_PFN_NONE && result == 0;
	     pfn = buddy->frames[pfn - buddy->base].free.next) {
		result = visit(arg, pfn, order);
	}
	return result;
}

int loam_frame_walk_free(struct loam_frames *frames, unsigned order,
			 int (*visit)(void *arg, loam_pfn_t pfn,
				      unsigned order),
			 void *arg)
{
	int result = 0;
	for (unsigned z = 0; z < frame_zone_count(frames) && result == 0; z++) {
		struct loam_zone *zone = &frames->zones[z];
		loam_lock(&zone->lock);
		for (unsigned k = order; k <= LOAM_ORDER_MAX && result == 0;
		     k++) {
			result = walk_list_locked(&zone->buddy, k, visit, arg);
		}
		loam_unlock(&zone->lock);
	}
	return result;
}

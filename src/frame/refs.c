/* SPDX-License-Identifier: MIT */
/* References to blocks, and the labels of slabs. */

/*
 * A used block's tag holds its references less one in 15 bits. Getting and
 * putting one is a compare-and-swap of the tag: it cannot be mixed up with a
 * free, which needs the field at 0. When the field is full, REF_SPILL of them
 * move to the descriptor and LOAM_TAG_REFS_MORE is set; when it is empty and
 * the bit is set, they move back. So a block mapped a million times (the zero
 * page) takes the lock once in REF_SPILL references.
 */
#include "frame_int.h"

#define REF_SPILL 0x4000u
#define REF_SPILL_TAG (REF_SPILL * LOAM_TAG_REF_ONE)
LOAM_STATIC_ASSERT(REF_SPILL_TAG < LOAM_TAG_REFS_MASK, "a spill leaves room");

static bool tag_replace(uint32_t *tag, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(tag, &from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Moves references from a full tag to the descriptor. */
static void refs_spill(struct loam_frames *frames, loam_pfn_t pfn)
{
	uint32_t *tag = &frames->tags.tags[pfn];
	uint32_t *rest = &frames->descriptors[pfn].used.refs;
	loam_lock(&frames->lock);
	uint32_t old = loam_tag_load(tag);
	if ((old & LOAM_TAG_REFS_MASK) == LOAM_TAG_REFS_MASK &&
	    tag_replace(tag, old, (old - REF_SPILL_TAG) | LOAM_TAG_REFS_MORE)) {
		if ((old & LOAM_TAG_REFS_MORE) == 0) {
			*rest = 0;
		}
		LOAM_VERIFY(*rest <= UINT32_MAX - 2 * REF_SPILL);
		*rest += REF_SPILL;
	}
	loam_unlock(&frames->lock);
}

/* Moves references back to an empty tag. */
static void refs_refill(struct loam_frames *frames, loam_pfn_t pfn)
{
	uint32_t *tag = &frames->tags.tags[pfn];
	uint32_t *rest = &frames->descriptors[pfn].used.refs;
	loam_lock(&frames->lock);
	uint32_t old = loam_tag_load(tag);
	if ((old & LOAM_TAG_REFS_MASK) == 0 &&
	    (old & LOAM_TAG_REFS_MORE) != 0) {
		uint32_t next = old + REF_SPILL_TAG;
		if (*rest == REF_SPILL) {
			next &= ~LOAM_TAG_REFS_MORE;
		}
		if (tag_replace(tag, old, next)) {
			*rest -= REF_SPILL;
		}
	}
	loam_unlock(&frames->lock);
}

void loam_frame_get(struct loam_frames *frames, loam_pfn_t pfn)
{
	if (!loam_frame_verify_head(frames, "get", pfn, LOAM_CALLER())) {
		return;
	}
	uint32_t *tag = &frames->tags.tags[pfn];
	for (;;) {
		uint32_t old = loam_tag_load(tag);
		if ((old & LOAM_TAG_REFS_MASK) == LOAM_TAG_REFS_MASK) {
			refs_spill(frames, pfn);
		} else if (tag_replace(tag, old, old + LOAM_TAG_REF_ONE)) {
			return;
		}
	}
}

void loam_frame_put(struct loam_frames *frames, loam_pfn_t pfn)
{
	const void *caller = LOAM_CALLER();
	if (!loam_frame_verify_head(frames, "put", pfn, caller)) {
		return;
	}
	uint32_t *tag = &frames->tags.tags[pfn];
	for (;;) {
		/* Whoever puts last sees what the others did before theirs. */
		uint32_t old = __atomic_load_n(tag, __ATOMIC_ACQUIRE);
		if ((old & LOAM_TAG_REFS_MASK) != 0) {
			if (tag_replace(tag, old, old - LOAM_TAG_REF_ONE)) {
				return;
			}
		} else if ((old & LOAM_TAG_REFS_MORE) != 0) {
			refs_refill(frames, pfn);
		} else {
			break;
		}
	}
	unsigned order = loam_tag_load(tag) & LOAM_TAG_ORDER_MASK;
	if (loam_frame_verify_used(frames, "put", pfn, order, caller)) {
		loam_frame_free_verified(frames, pfn, order);
	}
}

uint32_t loam_frame_refs(const struct loam_frames *frames, loam_pfn_t pfn)
{
	const struct loam_zone *zone = frame_zone_find(frames, pfn);
	if (zone == NULL || pfn >= frame_touched_end(zone)) {
		return 0;
	}
	uint32_t tag = loam_tag_load(&frames->tags.tags[pfn]);
	if ((tag & LOAM_TAG_SLAB) != 0 ||
	    (tag & LOAM_TAG_STATE_MASK) != LOAM_TAG_USED) {
		return 0;
	}
	uint32_t refs = (tag & LOAM_TAG_REFS_MASK) / LOAM_TAG_REF_ONE + 1;
	if ((tag & LOAM_TAG_REFS_MORE) != 0) {
		refs += frames->descriptors[pfn].used.refs;
	}
	return refs;
}

void loam_frame_split(struct loam_frames *frames, loam_pfn_t pfn,
		      unsigned order)
{
	if (!loam_frame_verify_used(frames, "split", pfn, order,
				    LOAM_CALLER())) {
		return;
	}
	uint32_t *tag = &frames->tags.tags[pfn];
	uint32_t single = loam_tag_load(tag) & ~LOAM_TAG_ORDER_MASK;
	for (uint32_t i = 0; i < 1u << order; i++) {
		loam_tag_store(&tag[i], single);
	}
}

struct loam_frame_tags *loam_frame_tags(struct loam_frames *frames)
{
	return &frames->tags;
}

/* Back from a slab: only the head's tag was ever anything but a label. */
static void tags_restore(struct loam_frames *frames, loam_pfn_t pfn,
			 unsigned order, const void *caller)
{
	uint32_t *tag = &frames->tags.tags[pfn];
	struct loam_frame_info info;
	if (order > LOAM_ORDER_MAX ||
	    loam_frame_info(frames, pfn, &info) != 0 ||
	    info.state != LOAM_TAG_SLAB || info.head != pfn ||
	    info.order != order) {
		loam_misuse(caller,
			    "end of slab of frame 0x%llx, order %u: it is none",
			    (unsigned long long)loam_pfn_to_phys(pfn), order);
		return;
	}
	for (uint32_t i = 1; i < 1u << order; i++) {
		loam_tag_store(&tag[i], 0);
	}
	loam_tag_store(tag, frames->descriptors[pfn].used.refs);
}

void loam_frame_set_tags(struct loam_frames *frames, loam_pfn_t pfn,
			 unsigned order, uint32_t tag)
{
	const void *caller = LOAM_CALLER();
	if (tag == 0) {
		tags_restore(frames, pfn, order, caller);
		return;
	}
	if ((tag & LOAM_TAG_SLAB) == 0) {
		loam_misuse(caller, "slab of frame 0x%llx with tag 0x%x",
			    (unsigned long long)loam_pfn_to_phys(pfn), tag);
		return;
	}
	if (!loam_frame_verify_used(frames, "slab", pfn, order, caller)) {
		return;
	}
	struct loam_frame *frame = &frames->descriptors[pfn];
	frame->used.refs = loam_tag_load(&frames->tags.tags[pfn]);
	for (uint32_t i = 1; i < 1u << order; i++) {
		frame[i].used.refs = 0;
	}
	for (uint32_t i = 0; i < 1u << order; i++) {
		loam_tag_store(&frames->tags.tags[pfn + i], tag);
	}
}

/* SPDX-License-Identifier: MIT */
/* Ranges of the main window: vmalloc, vmap and maps of physical ranges. */

#include <loam/frame_fast.h>
#include <loam/pt_leaf.h>

#include "kspace_int.h"

/* Frames taken and mapped at once: what fits a stack without a thought. */
#define KSPACE_BATCH 16u

/* Pages handled in one hold of the lock. */
#define KSPACE_CHUNK 64u

/* The counter of mapped pages that a range counts in. */
enum kspace_count { KSPACE_OWN, KSPACE_FOREIGN };

static void count_locked(struct loam_kspace *kspace, enum kspace_count which,
			 size_t pages)
{
	LOAM_ASSERT(loam_lock_held(&kspace->lock));
	if (which == KSPACE_OWN) {
		kspace->own_pages += pages;
	} else {
		kspace->foreign_pages += pages;
	}
}

static size_t chunk_of(size_t pages, size_t most)
{
	return pages < most ? pages : most;
}

/* -------- ranges -------- */

/* Takes addresses for so many pages and the guard page behind them. */
static bool range_take(struct loam_kspace *kspace, size_t pages, size_t align,
		       loam_flags_t flags, uintptr_t *start)
{
	if (pages == 0 || pages >= SIZE_MAX >> LOAM_PAGE_SHIFT) {
		return false;
	}
	size_t size = (pages + 1) << LOAM_PAGE_SHIFT;
	uintptr_t tag = kspace_tag(LOAM_RANGE_RESERVED, 0);
	loam_kspace_top_up(kspace, flags);
	int error = loam_arena_alloc(&kspace->window, size, align, tag, start);
	if (error == -LOAM_ENOMEM && (flags & LOAM_NOSLEEP) == 0) {
		void *page = loam_kspace_alloc_page(kspace, flags);
		if (page != NULL) {
			loam_arena_donate(&kspace->window, page);
			error = loam_arena_alloc(&kspace->window, size, align,
						 tag, start);
		}
	}
	return error == 0;
}

/* Gives back addresses where nothing is mapped any more. */
static void range_give(struct loam_kspace *kspace, uintptr_t start)
{
	int error = loam_arena_free(&kspace->window, start, NULL);
	LOAM_VERIFY(error == 0);
}

/* All pages are mapped: the range becomes what it is. Cannot fail. */
static void range_publish(struct loam_kspace *kspace, uintptr_t start,
			  enum loam_range_kind kind, uintptr_t word)
{
	size_t size;
	uintptr_t old;
	int error = loam_arena_retag(&kspace->window, start, UINTPTR_MAX,
				     kspace_tag(LOAM_RANGE_RESERVED, 0),
				     kspace_tag(kind, word), &size, &old);
	LOAM_VERIFY(error == 0);
}

/*
 * The reverse, for the range at `start` whose tag, masked, is `tag`: only one
 * caller gets it, and from here on the range is his. Its mapped pages, or 0 if
 * there is none; *word as it was published.
 */
static size_t range_claim(struct loam_kspace *kspace, uintptr_t start,
			  uintptr_t mask, uintptr_t tag, uintptr_t *word)
{
	size_t size;
	uintptr_t old;
	if (loam_arena_retag(&kspace->window, start, mask, tag,
			     kspace_tag(LOAM_RANGE_RESERVED, 0), &size,
			     &old) != 0) {
		return 0;
	}
	*word = kspace_tag_word(old);
	return (size >> LOAM_PAGE_SHIFT) - 1;
}

static LOAM_NOINLINE void range_report(struct loam_kspace *kspace,
				       const void *caller, const char *verb,
				       const void *address)
{
	char what[160];
	loam_kspace_describe(kspace, (uintptr_t)address, what, sizeof(what));
	loam_misuse(caller, "%s of %p: %s", verb, address, what);
}

/* -------- mapping -------- */

/* Remembers the table that covers the address, if there is one. */
static LOAM_NOINLINE void leaf_note_locked(struct loam_kspace *kspace,
					   uintptr_t at)
{
	struct loam_pt_leaf leaf;
	if (loam_pt_leaf_find(kspace->pt, at, &leaf)) {
		kspace->leaf = leaf.entries;
		kspace->leaf_size = (size_t)loam_pt_leaf_count(kspace->pt)
				    << LOAM_PAGE_SHIFT;
		kspace->leaf_start =
			at - ((size_t)leaf.index << LOAM_PAGE_SHIFT);
	}
}

/*
 * True if the table that was used last covers all of count pages; *index: of
 * the first one's entry. Ranges mostly come and go in one and the same.
 */
static LOAM_ALWAYS_INLINE bool leaf_covers_locked(
	const struct loam_kspace *kspace, uintptr_t at, size_t count,
	unsigned *index)
{
	uintptr_t offset = at - kspace->leaf_start;
	*index = (unsigned)(offset >> LOAM_PAGE_SHIFT);
	return offset < kspace->leaf_size &&
	       count << LOAM_PAGE_SHIFT <= kspace->leaf_size - offset;
}

/* The same as pages_map() for fresh frames, whose entries are all alike. */
static int pages_map_own(struct loam_kspace *kspace, uintptr_t at,
			 const loam_pfn_t *pfns, size_t count)
{
	unsigned index;
	int error = 0;
	loam_kspace_top_up(kspace, LOAM_NOSLEEP);
	loam_lock(&kspace->lock);
	if (leaf_covers_locked(kspace, at, count, &index)) {
		if (!loam_pt_leaf_map(kspace->pt, kspace->leaf, index, pfns,
				      count, kspace->leaf_bits)) {
			error = -LOAM_EEXIST;
		}
	} else {
		error = loam_pt_map_frames(kspace->pt, at, pfns, count,
					   KSPACE_PROT);
		leaf_note_locked(kspace, at);
	}
	if (error == 0) {
		count_locked(kspace, KSPACE_OWN, count);
	}
	loam_unlock(&kspace->lock);
	return error;
}

/* Maps frames at consecutive pages; on failure none. */
static int pages_map(struct loam_kspace *kspace, uintptr_t at,
		     const loam_pfn_t *pfns, size_t count, loam_prot_t prot)
{
	loam_kspace_top_up(kspace, LOAM_NOSLEEP);
	loam_lock(&kspace->lock);
	int error = loam_pt_map_frames(kspace->pt, at, pfns, count, prot);
	if (error == 0) {
		count_locked(kspace, KSPACE_FOREIGN, count);
	}
	loam_unlock(&kspace->lock);
	return error;
}

/* The same for consecutive frames from phys on. */
static int pages_map_phys(struct loam_kspace *kspace, uintptr_t at,
			  loam_phys_t phys, size_t count, loam_prot_t prot)
{
	loam_lock(&kspace->lock);
	int error = loam_pt_map(kspace->pt, at, phys, count << LOAM_PAGE_SHIFT,
				prot, false);
	if (error == 0) {
		count_locked(kspace, KSPACE_FOREIGN, count);
	}
	loam_unlock(&kspace->lock);
	return error;
}

/* Unmaps pages that are all mapped, and flushes them once, at the end. */
static void pages_unmap(struct loam_kspace *kspace, uintptr_t start,
			size_t count, enum kspace_count which)
{
	if (count == 0) {
		return;
	}
	uintptr_t at = start;
	for (size_t left = count; left != 0;) {
		size_t n = chunk_of(left, KSPACE_CHUNK);
		loam_lock(&kspace->lock);
		unsigned index;
		long found;
		if (leaf_covers_locked(kspace, at, n, &index)) {
			found = (long)loam_pt_leaf_clear(
				kspace->pt, kspace->leaf, index, n);
		} else {
			found = loam_pt_unmap_noflush(kspace->pt, at,
						      n << LOAM_PAGE_SHIFT);
		}
		count_locked(kspace, which, 0 - n);
		loam_unlock(&kspace->lock);
		LOAM_VERIFY(found == (long)n);
		at += n << LOAM_PAGE_SHIFT;
		left -= n;
	}
	loam_pt_flush(kspace->pt, start, count << LOAM_PAGE_SHIFT);
}

/* -------- vmalloc -------- */

/*
 * Frames in the order of their pages: `first`, then what each one's owner's
 * word says. `link` is where the next one's number goes.
 */
struct frame_chain {
	loam_pfn_t first;
	loam_pfn_t *link;
	size_t count;
};

static void chain_append(struct loam_frames *frames, struct frame_chain *chain,
			 const loam_pfn_t *pfns, size_t count)
{
	loam_pfn_t *link = chain->link;
	/* Loaded once: a store might change it, for all the compiler knows. */
	struct loam_frame *descriptors = frames->descriptors;
	for (const loam_pfn_t *end = pfns + count; pfns != end; pfns++) {
		*link = *pfns;
		link = &descriptors[*pfns].used.owner_word;
	}
	chain->link = link;
	chain->count += count;
}

/* Gives count frames back. A frame's word is read before the frame is gone. */
static void chain_free(struct loam_frames *frames, loam_pfn_t next,
		       size_t count)
{
	loam_pfn_t pfns[KSPACE_BATCH];
	loam_pfn_t end = frames->end;
	const struct loam_frame *descriptors = frames->descriptors;
	while (count != 0) {
		size_t n = chunk_of(count, KSPACE_BATCH);
		for (size_t i = 0; i < n; i++) {
			LOAM_VERIFY(next < end);
			pfns[i] = next;
			next = descriptors[next].used.owner_word;
		}
		size_t done = loam_frame_push_run(frames, pfns, n);
		if (done < n) {
			loam_frame_free_bulk(frames, n - done, pfns + done);
		}
		count -= n;
	}
}

/* Puts fresh frames behind all pages. False: some are there, in the chain. */
static bool vmalloc_fill(struct loam_kspace *kspace, uintptr_t start,
			 size_t pages, loam_flags_t flags,
			 struct frame_chain *chain)
{
	loam_pfn_t pfns[KSPACE_BATCH];
	while (chain->count < pages) {
		size_t n = chunk_of(pages - chain->count, KSPACE_BATCH);
		uintptr_t at = start + (chain->count << LOAM_PAGE_SHIFT);
		if (loam_frame_alloc_bulk(kspace->frames, n, pfns, flags) !=
		    0) {
			return false;
		}
		if (pages_map_own(kspace, at, pfns, n) != 0) {
			loam_frame_free_bulk(kspace->frames, n, pfns);
			return false;
		}
		chain_append(kspace->frames, chain, pfns, n);
	}
	*chain->link = LOAM_PFN_NONE;
	return true;
}

/* What the frame floor is asked for on behalf of vmalloc's caller. */
static loam_flags_t vmalloc_flags(const struct loam_kspace *kspace,
				  loam_flags_t flags)
{
	if (!loam_frame_has_high(kspace->frames)) {
		/* Frames come the shortest way. */
		flags &= ~(loam_flags_t)LOAM_HIGH;
	} else if ((flags & LOAM_DMA) == 0) {
		flags |= LOAM_HIGH;
	}
	if (LOAM_OWNER_OF(flags) == LOAM_OWNER_NONE) {
		flags |= LOAM_OWNED_BY(LOAM_OWNER_VMALLOC);
	}
	return flags;
}

void *loam_kspace_vmalloc(struct loam_kspace *kspace, size_t size_bytes,
			  size_t align, loam_flags_t flags)
{
	/* Rounded up without wrapping; 0 stays 0. */
	size_t pages = (size_bytes >> LOAM_PAGE_SHIFT) +
		       ((size_bytes & LOAM_PAGE_MASK) != 0 ? 1u : 0u);
	uintptr_t start;
	if (!range_take(kspace, pages, align, flags, &start)) {
		return NULL;
	}
	struct frame_chain chain = { .link = &chain.first };
	if (!vmalloc_fill(kspace, start, pages, vmalloc_flags(kspace, flags),
			  &chain)) {
		pages_unmap(kspace, start, chain.count, KSPACE_OWN);
		chain_free(kspace->frames, chain.first, chain.count);
		range_give(kspace, start);
		return NULL;
	}
	enum loam_range_kind kind = LOAM_RANGE_VMALLOC;
	if (LOAM_OWNER_OF(flags) == LOAM_OWNER_KMALLOC) {
		kind = LOAM_RANGE_KMALLOC;
	}
	range_publish(kspace, start, kind, chain.first);
	return (void *)start;
}

/* Frees what vmalloc made as this kind; false: no such range starts here. */
static bool vmalloc_free(struct loam_kspace *kspace, void *start,
			 enum loam_range_kind kind)
{
	uintptr_t at = (uintptr_t)start;
	uintptr_t first;
	size_t pages = range_claim(kspace, at, KSPACE_KIND_MASK,
				   (uintptr_t)kind, &first);
	if (LOAM_UNLIKELY(pages == 0)) {
		return false;
	}
	pages_unmap(kspace, at, pages, KSPACE_OWN);
	chain_free(kspace->frames, (loam_pfn_t)first, pages);
	range_give(kspace, at);
	return true;
}

static size_t vmalloc_size(struct loam_kspace *kspace, const void *start,
			   enum loam_range_kind kind)
{
	size_t size;
	uintptr_t tag;
	if (loam_arena_find_exact(&kspace->window, (uintptr_t)start, &size,
				  &tag) != 0 ||
	    kspace_tag_kind(tag) != kind) {
		return 0;
	}
	return size - LOAM_PAGE_SIZE;
}

void loam_kspace_vfree(struct loam_kspace *kspace, void *start)
{
	if (start != NULL && !vmalloc_free(kspace, start, LOAM_RANGE_VMALLOC)) {
		range_report(kspace, LOAM_CALLER(), "vfree", start);
	}
}

size_t loam_kspace_vsize(struct loam_kspace *kspace, const void *start)
{
	return vmalloc_size(kspace, start, LOAM_RANGE_VMALLOC);
}

bool loam_kspace_free_kmalloc(struct loam_kspace *kspace, void *start)
{
	return vmalloc_free(kspace, start, LOAM_RANGE_KMALLOC);
}

size_t loam_kspace_size_kmalloc(struct loam_kspace *kspace, const void *start)
{
	return vmalloc_size(kspace, start, LOAM_RANGE_KMALLOC);
}

bool loam_kspace_in_kmalloc(struct loam_kspace *kspace, const void *address)
{
	uintptr_t start;
	size_t size;
	uintptr_t tag;
	return loam_arena_find(&kspace->window, (uintptr_t)address, &start,
			       &size, &tag) == 0 &&
	       kspace_tag_kind(tag) == LOAM_RANGE_KMALLOC;
}

/* -------- vmap -------- */

static bool pfns_valid(const loam_pfn_t *pfns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (pfns[i] == LOAM_PFN_NONE) {
			return false;
		}
	}
	return pfns != NULL;
}

void *loam_kspace_vmap(struct loam_kspace *kspace, const loam_pfn_t *pfns,
		       size_t count, loam_prot_t prot)
{
	uintptr_t start;
	if ((prot & LOAM_PROT_USER) != 0 || pfns == NULL ||
	    !pfns_valid(pfns, count) ||
	    !range_take(kspace, count, 0, 0, &start)) {
		return NULL;
	}
	for (size_t done = 0; done < count;) {
		size_t n = chunk_of(count - done, KSPACE_CHUNK);
		uintptr_t at = start + (done << LOAM_PAGE_SHIFT);
		if (pages_map(kspace, at, pfns + done, n,
			      prot | LOAM_PROT_GLOBAL) != 0) {
			pages_unmap(kspace, start, done, KSPACE_FOREIGN);
			range_give(kspace, start);
			return NULL;
		}
		done += n;
	}
	range_publish(kspace, start, LOAM_RANGE_VMAP, 0);
	return (void *)start;
}

void loam_kspace_vunmap(struct loam_kspace *kspace, void *start)
{
	if (start == NULL) {
		return;
	}
	uintptr_t at = (uintptr_t)start;
	uintptr_t word;
	size_t pages = range_claim(kspace, at, KSPACE_KIND_MASK,
				   LOAM_RANGE_VMAP, &word);
	if (LOAM_UNLIKELY(pages == 0)) {
		range_report(kspace, LOAM_CALLER(), "vunmap", start);
		return;
	}
	pages_unmap(kspace, at, pages, KSPACE_FOREIGN);
	range_give(kspace, at);
}

/* -------- physical ranges -------- */

/* Pages that [phys, phys + size) touches; 0 if it is empty or wraps. */
static size_t phys_pages(loam_phys_t phys, size_t size_bytes)
{
	loam_phys_t last;
	if (size_bytes == 0 ||
	    __builtin_add_overflow(phys, (loam_phys_t)(size_bytes - 1),
				   &last)) {
		return 0;
	}
	loam_phys_t pages =
		(last >> LOAM_PAGE_SHIFT) - (phys >> LOAM_PAGE_SHIFT) + 1;
	return (size_t)pages;
}

void *loam_kspace_map_phys(struct loam_kspace *kspace, loam_phys_t phys,
			   size_t size_bytes, loam_prot_t prot)
{
	size_t pages = phys_pages(phys, size_bytes);
	uintptr_t offset = (uintptr_t)(phys & LOAM_PAGE_MASK);
	uintptr_t start;
	if ((prot & LOAM_PROT_USER) != 0 ||
	    !range_take(kspace, pages, 0, 0, &start)) {
		return NULL;
	}
	for (size_t done = 0; done < pages;) {
		size_t n = chunk_of(pages - done, KSPACE_CHUNK);
		uintptr_t distance = done << LOAM_PAGE_SHIFT;
		if (pages_map_phys(kspace, start + distance,
				   phys - offset + distance, n,
				   prot | LOAM_PROT_GLOBAL) != 0) {
			pages_unmap(kspace, start, done, KSPACE_FOREIGN);
			range_give(kspace, start);
			return NULL;
		}
		done += n;
	}
	range_publish(kspace, start, LOAM_RANGE_DEVICE, offset);
	return (void *)(start + offset);
}

void loam_kspace_unmap_phys(struct loam_kspace *kspace, void *start)
{
	if (start == NULL) {
		return;
	}
	/* Only the address that was returned has the right offset. */
	uintptr_t offset = (uintptr_t)start & LOAM_PAGE_MASK;
	uintptr_t at = (uintptr_t)start - offset;
	uintptr_t word;
	size_t pages =
		range_claim(kspace, at, UINTPTR_MAX,
			    kspace_tag(LOAM_RANGE_DEVICE, offset), &word);
	if (LOAM_UNLIKELY(pages == 0)) {
		range_report(kspace, LOAM_CALLER(), "unmap_phys", start);
		return;
	}
	pages_unmap(kspace, at, pages, KSPACE_FOREIGN);
	range_give(kspace, at);
}

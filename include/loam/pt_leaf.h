/* SPDX-License-Identifier: MIT */
/* Tables of level 0 as things: shared among spaces, changed entry by entry. */
#ifndef LOAM_PT_LEAF_H
#define LOAM_PT_LEAF_H

#include <loam/compiler.h>
#include <loam/pt.h>

/*
 * For owners of many address spaces, who share tables of level 0 between them
 * (copy-on-write of page tables) and change single entries in tight loops.
 * The owner sets pt->lends, has tables that are always within reach (the
 * pointer of table_virt stays valid), and maps no large pages where it uses
 * this. A table that the owner shares is forbidden writing by the entry above
 * it, in every space; no function of pt.h that changes mappings may then be
 * used on it. Locking and flushing are the owner's, except where stated.
 */
struct loam_pt_leaf {
	void *entries;        /* the table of level 0 */
	void *above;          /* the table of level 1 that leads to it */
	loam_phys_t table;    /* physical, of entries */
	unsigned above_index; /* in above */
	unsigned index;       /* in entries, of the address asked for */
};

/* The table that covers virt; false: there is none. O(levels). */
bool loam_pt_leaf_find(const struct loam_pt *pt, uintptr_t virt,
		       struct loam_pt_leaf *leaf);

/*
 * The same, made if it is missing and open to the user. -LOAM_ENOMEM: nothing
 * has changed. Flushes if the CPU may keep what was changed above.
 */
int loam_pt_leaf_make(struct loam_pt *pt, uintptr_t virt,
		      struct loam_pt_leaf *leaf);

/*
 * Puts a table of the owner's where virt has none, not writable, and makes the
 * tables above it. -LOAM_ENOMEM, -LOAM_EEXIST.
 */
int loam_pt_leaf_attach(struct loam_pt *pt, uintptr_t virt, loam_phys_t table);

/* Takes it out, and hands it to the owner. Flush before it is used anew. */
void loam_pt_leaf_detach(struct loam_pt *pt, const struct loam_pt_leaf *leaf);

/* Puts another table in its place, writable. Flush as above. */
void loam_pt_leaf_replace(struct loam_pt *pt, struct loam_pt_leaf *leaf,
			  loam_phys_t table);

/* Whether the entry above permits writing; and changes that. */
static inline bool loam_pt_leaf_writable(const struct loam_pt *pt,
					 const struct loam_pt_leaf *leaf);
void loam_pt_leaf_set_writable(struct loam_pt *pt,
			       const struct loam_pt_leaf *leaf, bool writable);

/*
 * Maps frames by count entries of the table, from index on, which is within it;
 * bits: loam_pt_leaf_encode() of address 0. False, and nothing changed: one of
 * them is not absent. Entries can hold the frames' addresses. O(count).
 */
bool loam_pt_leaf_map(struct loam_pt *pt, void *entries, unsigned index,
		      const loam_pfn_t *pfns, size_t count, uint64_t bits);

/* Makes such entries absent; returns how many were not. Does not flush. */
size_t loam_pt_leaf_clear(struct loam_pt *pt, void *entries, unsigned index,
			  size_t count);

/* Entries of a table, and the address behind the one of virt; 0: the top. */
unsigned loam_pt_leaf_count(const struct loam_pt *pt);
static inline uintptr_t loam_pt_leaf_end(const struct loam_pt *pt,
					 uintptr_t virt);

/* An entry that maps a frame. prot 0: present, but not for the user. */
uint64_t loam_pt_leaf_encode(const struct loam_pt *pt, loam_phys_t phys,
			     loam_prot_t prot);

/* An entry of 8 bytes; what follows holds for it too. */
static LOAM_ALWAYS_INLINE uint64_t loam_pt_leaf_load_wide(const void *entries,
							  unsigned index)
{
	if (sizeof(uintptr_t) == 8) {
		return __atomic_load_n((const uint64_t *)entries + index,
				       __ATOMIC_RELAXED);
	}
	const uint32_t *half = (const uint32_t *)entries + 2 * (size_t)index;
	return __atomic_load_n(&half[0], __ATOMIC_RELAXED) |
	       (uint64_t)__atomic_load_n(&half[1], __ATOMIC_RELAXED) << 32;
}

/*
 * One entry. The CPU, and spaces that share the table, read it meanwhile: so
 * each access is whole, but for loads of 8 bytes on a 32-bit CPU, which are
 * two: who may meet a store there has the lock that the store is under.
 */
static LOAM_ALWAYS_INLINE uint64_t loam_pt_leaf_load(const struct loam_pt *pt,
						     const void *entries,
						     unsigned index)
{
	if (pt->geometry->entry_bytes == 4) {
		return __atomic_load_n((const uint32_t *)entries + index,
				       __ATOMIC_RELAXED);
	}
	return loam_pt_leaf_load_wide(entries, index);
}

/*
 * Where no register has 8 bytes: how halves are stored is the pt floor's. In
 * one step for who looks, as the MMU does, at all 8 bytes at once.
 */
void loam_pt_leaf_store_halves(void *entries, unsigned index, uint64_t entry);

/* The same on any machine. */
static LOAM_ALWAYS_INLINE void loam_pt_leaf_store_wide(void *entries,
						       unsigned index,
						       uint64_t entry)
{
	if (sizeof(uintptr_t) == 8) {
		__atomic_store_n((uint64_t *)entries + index, entry,
				 __ATOMIC_RELAXED);
		return;
	}
	loam_pt_leaf_store_halves(entries, index, entry);
}

/* Empties it: absent with the first store, so that two will do. */
static LOAM_ALWAYS_INLINE void loam_pt_leaf_clear_wide(void *entries,
						       unsigned index)
{
	if (sizeof(uintptr_t) == 8) {
		__atomic_store_n((uint64_t *)entries + index, 0,
				 __ATOMIC_RELAXED);
		return;
	}
	uint32_t *half = (uint32_t *)entries + 2 * (size_t)index;
	__atomic_store_n(&half[0], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&half[1], 0, __ATOMIC_RELEASE);
}

static LOAM_ALWAYS_INLINE void loam_pt_leaf_store(const struct loam_pt *pt,
						  void *entries, unsigned index,
						  uint64_t entry)
{
	if (pt->geometry->entry_bytes == 4) {
		__atomic_store_n((uint32_t *)entries + index, (uint32_t)entry,
				 __ATOMIC_RELAXED);
		return;
	}
	loam_pt_leaf_store_wide(entries, index, entry);
}

/*
 * Takes the writable bit out of an entry that others may be reading, without a
 * lock: what the CPU notes in it meanwhile stays. Several may do it for the
 * same entry at the same time.
 */
static LOAM_ALWAYS_INLINE void loam_pt_leaf_forbid_write(
	const struct loam_pt *pt, void *entries, unsigned index)
{
	uint64_t bit = pt->geometry->writable;
	if (sizeof(uintptr_t) == 8) {
		if (pt->geometry->entry_bytes == 8) {
			uint64_t *entry = (uint64_t *)entries + index;
			__atomic_fetch_and(entry, ~bit, __ATOMIC_RELAXED);
			return;
		}
	}
	/* The permission bits are in the half that comes first. */
	uint32_t *half = (uint32_t *)entries;
	half += index * (size_t)(pt->geometry->entry_bytes / sizeof(*half));
	__atomic_fetch_and(half, (uint32_t)~bit, __ATOMIC_RELAXED);
}

static inline bool loam_pt_leaf_writable(const struct loam_pt *pt,
					 const struct loam_pt_leaf *leaf)
{
	uint64_t entry = loam_pt_leaf_load(pt, leaf->above, leaf->above_index);
	return ((uint32_t)entry & (uint32_t)pt->geometry->writable) != 0;
}

static inline uintptr_t loam_pt_leaf_end(const struct loam_pt *pt,
					 uintptr_t virt)
{
	unsigned bits = pt->geometry->index_bits[0] + LOAM_PAGE_SHIFT;
	uintptr_t mask = ((uintptr_t)1 << bits) - 1;
	return ((virt - pt->bias) | mask) + 1 + pt->bias;
}

#endif

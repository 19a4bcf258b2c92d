/* SPDX-License-Identifier: MIT */
/* The emulated page walk, and the model of a TLB in an array. */

/*
 * Written from the manual (Intel SDM volume 3A, chapter 4), without the
 * library's help, and naive on purpose: it is what the library is compared
 * with. Only the numbers of the geometry are common to both.
 */
#include "emu.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct emu emu = { .root = LOAM_PHYS_NONE };

/* One walk, entry by entry. */
struct walk {
	unsigned count;
	unsigned level[LOAM_PT_MAX_LEVELS];
	unsigned index[LOAM_PT_MAX_LEVELS];
	loam_phys_t at[LOAM_PT_MAX_LEVELS]; /* where the entry is */
	uint64_t entry[LOAM_PT_MAX_LEVELS];
	uint64_t
		offset_mask; /* address bits that the page does not translate */
};

static bool memory_read(loam_phys_t at, void *to, size_t size)
{
	if (at >= hosted_memory.size) {
		return false;
	}
	if (at < hosted_memory.direct_size) {
		memcpy(to, hosted_memory.direct + at, size);
		return true;
	}
	return pread(hosted_memory.fd, to, size, (off_t)at) == (ssize_t)size;
}

static void memory_write(loam_phys_t at, const void *from, size_t size)
{
	if (at < hosted_memory.direct_size) {
		memcpy(hosted_memory.direct + at, from, size);
	} else if (pwrite(hosted_memory.fd, from, size, (off_t)at) !=
		   (ssize_t)size) {
		loam_host_panic("emu: cannot write an entry");
	}
}

static bool entry_read(loam_phys_t at, uint64_t *entry)
{
	*entry = 0; /* little-endian: the low half of it is read */
	return memory_read(at, entry, emu.geometry->entry_bytes);
}

static bool is_canonical(uint64_t address)
{
	unsigned bits = emu.geometry->virt_bits;
	uint64_t top = address >> (bits - 1);
	return bits <= 32 ? address >> bits == 0
			  : top == 0 || top == UINT64_MAX >> (bits - 1);
}

static bool is_bare(unsigned level)
{
	return (emu.geometry->bare_levels >> level & 1u) != 0;
}

/* Bits that make the CPU raise a fault with the reserved flag. */
static bool has_reserved_bits(unsigned level, uint64_t entry, bool large,
			      uint64_t offset_mask)
{
	const struct loam_pt_geometry *g = emu.geometry;
	uint64_t known = g->phys_mask | 0xfff | g->no_execute;
	if (is_bare(level)) {
		known = g->phys_mask | g->present | g->write_through |
			g->uncached | 0xe00;
	}
	if (level > 0 && !large) {
		known &= ~g->large; /* where the CPU knows the bit at all */
	}
	if (large) {
		/* Between the attribute bit 12 and the address. */
		known &= ~(offset_mask & ~(uint64_t)0x1fff);
	}
	return (entry & ~known) != 0;
}

static enum emu_fault walk_tables(uint64_t address, struct walk *walk)
{
	const struct loam_pt_geometry *g = emu.geometry;
	memset(walk, 0, sizeof(*walk));
	if (emu.root == LOAM_PHYS_NONE) {
		return EMU_NOT_PRESENT;
	}
	if (!is_canonical(address)) {
		return EMU_NOT_CANONICAL;
	}
	unsigned shift = 12;
	for (unsigned level = 0; level < g->levels; level++) {
		shift += g->index_bits[level];
	}
	loam_phys_t table = emu.root;
	for (unsigned level = g->levels - 1u;; level--) {
		unsigned n = walk->count;
		shift -= g->index_bits[level];
		unsigned index = (unsigned)(address >> shift) &
				 ((1u << g->index_bits[level]) - 1);
		uint64_t entry;
		walk->at[n] = table + index * g->entry_bytes;
		if (!entry_read(walk->at[n], &entry)) {
			return EMU_BUS;
		}
		if (n == 0 && is_bare(level)) {
			entry = emu.root_entries[index];
		}
		walk->level[n] = level;
		walk->index[n] = index;
		walk->entry[n] = entry;
		walk->offset_mask = ((uint64_t)1 << shift) - 1;
		walk->count++;
		if ((entry & g->present) == 0) {
			return EMU_NOT_PRESENT;
		}
		bool large = level > 0 && (entry & g->large) != 0 &&
			     (g->large_levels >> level & 1u) != 0;
		if (has_reserved_bits(level, entry, large, walk->offset_mask)) {
			return EMU_RESERVED;
		}
		if (level == 0 || large) {
			return EMU_NO_FAULT;
		}
		table = entry & g->phys_mask;
	}
}

/* Sets bits in an entry that the walk went through. */
static void walk_note(const struct walk *walk, unsigned n, uint64_t bits)
{
	uint64_t entry = walk->entry[n] | bits;
	if (entry != walk->entry[n]) {
		memory_write(walk->at[n], &entry, emu.geometry->entry_bytes);
	}
}

bool emu_permits(const struct emu_translation *translation, unsigned access)
{
	return ((access & EMU_WRITE) == 0 || translation->writable) &&
	       ((access & EMU_USER) == 0 || translation->user) &&
	       ((access & EMU_FETCH) == 0 || translation->fetch);
}

enum emu_fault emu_walk(uint64_t address, unsigned access,
			struct emu_translation *out)
{
	const struct loam_pt_geometry *g = emu.geometry;
	struct walk walk;
	enum emu_fault fault = walk_tables(address, &walk);
	if (fault != EMU_NO_FAULT) {
		return fault;
	}
	uint64_t last = walk.entry[walk.count - 1];
	uint64_t inner = walk.offset_mask & ~(uint64_t)LOAM_PAGE_MASK;
	struct emu_translation found = {
		.phys = (last & g->phys_mask & ~walk.offset_mask) |
			(address & inner),
		.writable = true,
		.user = true,
		.fetch = true,
		.dirty = (last & g->dirty) != 0 || (access & EMU_WRITE) != 0,
		.global = (last & g->global) != 0,
	};
	for (unsigned n = 0; n < walk.count; n++) {
		if (!is_bare(walk.level[n])) {
			found.writable &= (walk.entry[n] & g->writable) != 0;
			found.user &= (walk.entry[n] & g->user) != 0;
			found.fetch &= (walk.entry[n] & g->no_execute) == 0;
		}
	}
	if (!emu_permits(&found, access)) {
		return EMU_PROTECTION;
	}
	if (found.phys >= hosted_memory.size) {
		return EMU_BUS;
	}
	for (unsigned n = 0; n < walk.count; n++) {
		if (!is_bare(walk.level[n])) {
			bool dirty = n == walk.count - 1 &&
				     (access & EMU_WRITE) != 0;
			walk_note(&walk, n,
				  g->accessed | (dirty ? g->dirty : 0));
		}
	}
	*out = found;
	return EMU_NO_FAULT;
}

const char *emu_fault_name(enum emu_fault kind)
{
	static const char *const names[] = {
		"no fault",     "not present",   "protection",
		"reserved bit", "not canonical", "no memory there",
	};
	return names[kind];
}

int emu_describe_walk(char *to, size_t size, uint64_t address)
{
	struct walk walk;
	enum emu_fault fault = walk_tables(address, &walk);
	int length = 0;
	for (unsigned n = 0; n < walk.count && (size_t)length < size; n++) {
		length += snprintf(to + length, size - (size_t)length,
				   " [%u] 0x%" PRIx64, walk.index[n],
				   walk.entry[n]);
	}
	if ((size_t)length < size) {
		length += snprintf(to + length, size - (size_t)length, " %s",
				   emu_fault_name(fault));
	}
	return length;
}

/* -------- the model's TLB -------- */

/* Direct-mapped; large enough that tests seldom lose a stale translation. */
#define MODEL_ENTRIES 4096u

static struct {
	bool valid;
	uint64_t page;
	struct emu_translation translation;
} model[MODEL_ENTRIES];

static unsigned model_index(uint64_t page)
{
	uint64_t mixed = page ^ page >> 12 ^ page >> 24 ^ page >> 36;
	return (unsigned)(mixed & (MODEL_ENTRIES - 1));
}

void emu_model_flush_page(uint64_t address)
{
	uint64_t page = address >> LOAM_PAGE_SHIFT;
	unsigned i = model_index(page);
	if (model[i].page == page) {
		model[i].valid = false;
	}
}

void emu_model_flush_all(bool global_too)
{
	for (unsigned i = 0; i < MODEL_ENTRIES; i++) {
		if (global_too || !model[i].translation.global) {
			model[i].valid = false;
		}
	}
}

static enum emu_fault model_fault(enum emu_fault kind, uint64_t address,
				  unsigned access)
{
	emu.faults++;
	emu.fault_kind = kind;
	emu.fault_address = address;
	emu.fault_access = access;
	return kind;
}

enum emu_fault emu_translate(uint64_t address, unsigned access,
			     loam_phys_t *phys)
{
	uint64_t page = address >> LOAM_PAGE_SHIFT;
	unsigned i = model_index(page);
	struct emu_translation *cached = &model[i].translation;
	bool hit = model[i].valid && model[i].page == page;
	if (hit && !emu_permits(cached, access)) {
		model[i].valid = false;
		return model_fault(EMU_PROTECTION, address, access);
	}
	if (!hit || ((access & EMU_WRITE) != 0 && !cached->dirty)) {
		model[i].valid = false;
		struct emu_translation found;
		enum emu_fault fault = emu_walk(address, access, &found);
		if (fault != EMU_NO_FAULT) {
			return model_fault(fault, address, access);
		}
		emu.fills++;
		model[i].valid = true;
		model[i].page = page;
		*cached = found;
	}
	*phys = cached->phys + (address & LOAM_PAGE_MASK);
	return EMU_NO_FAULT;
}

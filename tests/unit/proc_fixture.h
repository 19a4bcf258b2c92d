/* SPDX-License-Identifier: MIT */
/* A machine with address spaces, whose user accesses an emulated MMU makes. */
#ifndef LOAM_TEST_PROC_FIXTURE_H
#define LOAM_TEST_PROC_FIXTURE_H

#include <loam/proc.h>
#include <loam/pt_leaf.h>

#include "emu.h"
#include "fixture.h"

#define PAGE ((uintptr_t)LOAM_PAGE_SIZE)
#define MEMORY LOAM_MIB(24)
#define USER_BASE ((uintptr_t)0x10000)
#define USER_END ((uintptr_t)0xb0000000)
#define MAP_BASE ((uintptr_t)0x20000000)
#define MAP_END ((uintptr_t)0xa0000000)
#define RW (LOAM_PROT_READ | LOAM_PROT_WRITE)
#define FIXED LOAM_REGION_FIXED

struct proc_machine {
	struct fixture base;
	struct loam_pt kernel_pt;
	struct loam_slabs slabs;
	struct loam_kmalloc kmalloc;
	struct loam_procs procs;
	struct loam_procs_config config;
	struct loam_proc *loaded;
	uint64_t free_at_start;
	struct loam_proc *victim; /* of the last out_of_memory */
	bool victim_gives;        /* what that answers */
};

/* Static, since the frames have the stacks of all CPUs in them. */
static struct proc_machine machine;

static const struct loam_pt_geometry *const proc_geometries[] = {
	&loam_pt_i386, &loam_pt_i386_pae, &loam_pt_x86_64
};
/* 64-bit geometries need a 64-bit host. */
#define PROC_GEOMETRIES (sizeof(uintptr_t) == 8 ? 3u : 2u)

static loam_phys_t kernel_alloc_table(void *ctx)
{
	loam_pfn_t pfn = loam_frame_alloc(
		ctx, 0, LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_TABLE));
	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

static void kernel_free_table(void *ctx, loam_phys_t table)
{
	loam_frame_free(ctx, loam_phys_to_pfn(table), 0);
}

static void *kernel_table_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static const struct loam_pt_ops kernel_pt_ops = {
	.alloc_table = kernel_alloc_table,
	.free_table = kernel_free_table,
	.table_virt = kernel_table_virt,
};

static bool machine_out_of_memory(void *ctx, struct loam_proc *victim)
{
	struct proc_machine *self = ctx;
	self->victim = victim;
	return self->victim_gives;
}

static bool machine_reclaim(void *arg)
{
	return loam_slab_shrink_all(arg) != 0;
}

/* The kernel's part of the address space, with 1 MiB mapped in it. */
static inline void machine_kernel(const struct loam_pt_geometry *geometry)
{
	uintptr_t base = 0xc0000000u;
	size_t size = LOAM_MIB(64);
	if (geometry->virt_bits > 32) {
		base = (uintptr_t)0 -
		       ((uintptr_t)1 << (geometry->virt_bits - 2));
		size = LOAM_MIB(2);
	}
	EXPECT_EQ(loam_pt_init(&machine.kernel_pt, geometry, &kernel_pt_ops,
			       &emu_tlb_ops, &machine.base.frames),
		  0);
	EXPECT_EQ(loam_pt_populate(&machine.kernel_pt, base, size), 0);
	EXPECT_EQ(loam_pt_map(&machine.kernel_pt, base, 0, LOAM_MIB(1),
			      LOAM_PROT_WRITE, false),
		  0);
	machine.config.kernel_base = base;
	machine.config.kernel_size = size;
}

static inline void proc_start(const struct loam_pt_geometry *geometry,
			      loam_phys_t memory)
{
	memset(&machine, 0, sizeof(machine));
	emu_init_model(memory, memory, geometry);
	fixture_frames(&machine.base, memory);
	struct loam_frames *frames = &machine.base.frames;
	EXPECT_EQ(loam_slab_init(&machine.slabs, frames, NULL), 0);
	EXPECT_EQ(loam_kmalloc_init(&machine.kmalloc, &machine.slabs, NULL), 0);
	loam_frame_set_reclaim(frames, machine_reclaim, &machine.slabs);
	machine_kernel(geometry);
	machine.config.kmalloc = &machine.kmalloc;
	machine.config.frames = frames;
	machine.config.kernel_pt = &machine.kernel_pt;
	machine.config.user_base = USER_BASE;
	machine.config.user_end = USER_END;
	machine.config.map_base = MAP_BASE;
	machine.config.map_end = MAP_END;
	machine.config.out_of_memory = machine_out_of_memory;
	machine.config.ctx = &machine;
	loam_slab_shrink_all(&machine.slabs);
	machine.free_at_start = loam_frame_free_count(frames);
	EXPECT_EQ(loam_procs_init(&machine.procs, &machine.config), 0);
	hosted_log_clear();
}

/* Everything that is not in use is free again. */
static inline void expect_no_leak(uint64_t still_used)
{
	loam_slab_shrink_all(&machine.slabs);
	EXPECT_EQ(loam_frame_free_count(&machine.base.frames) + still_used,
		  machine.free_at_start);
}

static inline void proc_check_all(void)
{
	EXPECT_EQ(loam_procs_check(&machine.procs), 0);
}

static inline void proc_end(void)
{
	struct loam_kmalloc_stats stats;
	loam_procs_fini(&machine.procs);
	loam_kmalloc_stats(&machine.kmalloc, &stats);
	EXPECT_EQ(stats.slab_bytes + stats.large_bytes, 0);
	expect_no_leak(0);
	EXPECT_EQ(loam_frame_check(&machine.base.frames), 0);
	emu_fini();
}

static inline void load(struct loam_proc *proc)
{
	if (machine.loaded == proc) {
		return;
	}
	if (machine.loaded != NULL) {
		loam_proc_leave(machine.loaded);
	}
	machine.loaded = proc;
	if (proc != NULL) {
		loam_proc_enter(proc);
		emu_switch_root(NULL, loam_proc_root(proc));
	} else {
		emu_switch_root(NULL, machine.kernel_pt.root);
	}
}

/* Makes an access as the process would; faults are served. */
static inline enum loam_faulted touch(struct loam_proc *proc, uintptr_t address,
				      bool write, loam_phys_t *phys)
{
	load(proc);
	for (unsigned i = 0; i < 8; i++) {
		unsigned access = EMU_USER | (write ? EMU_WRITE : 0);
		if (emu_translate(address, access, phys) == EMU_NO_FAULT) {
			return LOAM_FAULTED_OK;
		}
		enum loam_faulted result = loam_proc_fault(
			proc, address,
			LOAM_ACCESS_USER | (write ? LOAM_ACCESS_WRITE : 0));
		if (result != LOAM_FAULTED_OK) {
			return result;
		}
	}
	test_fail(__FILE__, __LINE__, "an access that faults for ever");
}

static inline void poke(struct loam_proc *proc, uintptr_t address,
			uint32_t value)
{
	loam_phys_t phys;
	EXPECT_EQ(touch(proc, address, true, &phys), LOAM_FAULTED_OK);
	memcpy(hosted_memory.direct + phys, &value, sizeof(value));
}

static inline uint32_t peek(struct loam_proc *proc, uintptr_t address)
{
	loam_phys_t phys;
	uint32_t value;
	EXPECT_EQ(touch(proc, address, false, &phys), LOAM_FAULTED_OK);
	memcpy(&value, hosted_memory.direct + phys, sizeof(value));
	return value;
}

static inline enum loam_faulted try_access(struct loam_proc *proc,
					   uintptr_t address, bool write)
{
	loam_phys_t phys;
	return touch(proc, address, write, &phys);
}

static inline void expect_bad(struct loam_proc *proc, uintptr_t address,
			      bool write)
{
	EXPECT_EQ(try_access(proc, address, write), LOAM_FAULTED_BAD);
}

/* An anonymous region at a place, or wherever (0). */
static inline uintptr_t map_anon(struct loam_proc *proc, uintptr_t start,
				 size_t pages, loam_prot_t prot, uint32_t flags)
{
	struct loam_map_request request = {
		.start = start,
		.size = pages * PAGE,
		.prot = prot,
		.flags = flags | (start != 0 ? FIXED : 0),
		.kind = LOAM_REGION_ANONYMOUS,
	};
	uintptr_t at = 0;
	EXPECT_EQ(loam_proc_map(proc, &request, &at), 0);
	EXPECT(start == 0 || at == start);
	return at;
}

static inline struct loam_proc_stats stats_of(struct loam_proc *proc)
{
	struct loam_proc_stats stats;
	loam_proc_stats(proc, &stats);
	return stats;
}

static inline void destroy(struct loam_proc *proc)
{
	if (machine.loaded == proc) {
		load(NULL);
	}
	loam_proc_destroy(proc);
}

/* A pager over an array of frames of its own. */
#define PAGER_PAGES 64u

struct test_pager {
	struct loam_pager pager;
	loam_pfn_t pfns[PAGER_PAGES];
	unsigned regions;
	unsigned asked;
	unsigned fail_with; /* error of get_page, as a positive number */
	void (*while_asked)(void);
};

static struct test_pager pager;

static loam_pfn_t test_pager_make(uint64_t offset)
{
	uint64_t index = offset >> LOAM_PAGE_SHIFT;
	if (index >= PAGER_PAGES) {
		return LOAM_PFN_NONE;
	}
	if (pager.pfns[index] == LOAM_PFN_NONE) {
		loam_pfn_t pfn =
			loam_frame_alloc(&machine.base.frames, 0, LOAM_NOSLEEP);
		if (pfn == LOAM_PFN_NONE) {
			return pfn;
		}
		uint32_t *words = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
		for (unsigned i = 0; i < 1024; i++) {
			words[i] = (uint32_t)(0xf11e0000u + index);
		}
		pager.pfns[index] = pfn;
	}
	loam_frame_get(&machine.base.frames, pager.pfns[index]);
	return pager.pfns[index];
}

static loam_pfn_t test_pager_get_page(struct loam_pager *self, uint64_t offset,
				      int *error)
{
	EXPECT(self == &pager.pager);
	pager.asked++;
	if (pager.while_asked != NULL) {
		pager.while_asked();
	}
	if (pager.fail_with != 0) {
		*error = -(int)pager.fail_with;
		return LOAM_PFN_NONE;
	}
	loam_pfn_t pfn = test_pager_make(offset);
	if (pfn == LOAM_PFN_NONE && offset < PAGER_PAGES * PAGE) {
		*error = -LOAM_ENOMEM;
	}
	return pfn;
}

static loam_pfn_t test_pager_peek_page(struct loam_pager *self, uint64_t offset)
{
	uint64_t index = offset >> LOAM_PAGE_SHIFT;
	(void)self;
	return index < PAGER_PAGES && pager.pfns[index] != LOAM_PFN_NONE
		       ? test_pager_make(offset)
		       : LOAM_PFN_NONE;
}

static void test_pager_get(struct loam_pager *self)
{
	(void)self;
	pager.regions++;
}

static void test_pager_put(struct loam_pager *self)
{
	(void)self;
	EXPECT(pager.regions > 0);
	pager.regions--;
}

static size_t test_pager_reclaim(struct loam_pager *self)
{
	size_t freed = 0;
	(void)self;
	for (unsigned i = 0; i < PAGER_PAGES; i++) {
		if (pager.pfns[i] != LOAM_PFN_NONE &&
		    loam_frame_refs(&machine.base.frames, pager.pfns[i]) == 1) {
			loam_frame_put(&machine.base.frames, pager.pfns[i]);
			pager.pfns[i] = LOAM_PFN_NONE;
			freed++;
		}
	}
	return freed;
}

static const struct loam_pager_ops test_pager_ops = {
	.get_page = test_pager_get_page,
	.peek_page = test_pager_peek_page,
	.get = test_pager_get,
	.put = test_pager_put,
	.reclaim = test_pager_reclaim,
};

static inline void pager_start(void)
{
	memset(&pager, 0, sizeof(pager));
	pager.pager.ops = &test_pager_ops;
	for (unsigned i = 0; i < PAGER_PAGES; i++) {
		pager.pfns[i] = LOAM_PFN_NONE;
	}
	loam_procs_add_pager(&machine.procs, &pager.pager);
}

static inline void pager_end(void)
{
	EXPECT_EQ(pager.regions, 0);
	loam_procs_remove_pager(&machine.procs, &pager.pager);
	(void)test_pager_reclaim(&pager.pager);
	for (unsigned i = 0; i < PAGER_PAGES; i++) {
		EXPECT_EQ(pager.pfns[i], LOAM_PFN_NONE);
	}
}

static inline int map_pager(struct loam_proc *proc, uintptr_t start,
			    size_t pages, uint64_t offset, loam_prot_t prot)
{
	struct loam_map_request request = {
		.start = start,
		.size = pages * PAGE,
		.prot = prot,
		.flags = FIXED,
		.kind = LOAM_REGION_PAGER,
		.offset = offset,
		.pager = &pager.pager,
	};
	uintptr_t at;
	return loam_proc_map(proc, &request, &at);
}

#endif

/* SPDX-License-Identifier: MIT */
/* Step 6 of bring-up: the permanent page tables, with exact knowledge. */
#include "boot_int.h"

/*
 * What is mapped: of the first direct_size bytes, the adapter window and
 * everything that the map calls memory of some kind (usable, ACPI, NVS), page
 * by page rounded outwards; nothing else, so that a stray access to a hole
 * or a device faults instead of doing something.  The kernel's segments lie
 * inside and have their own protection; a segment of size 0 is a guard page.
 *
 * Large pages appear by themselves wherever 4 MiB are alike.
 */

/* -------- table frames before the kernel's address space is there -------- */

struct early_tables {
	struct loam_frames *frames;
	loam_phys_t early_end;
};

static loam_phys_t early_alloc_table(void *ctx)
{
	struct early_tables *early = ctx;
	loam_flags_t flags =
		LOAM_ZERO | LOAM_NOSLEEP | LOAM_OWNED_BY(LOAM_OWNER_TABLE);
	/* Low addresses: the temporary map must reach it. */
	loam_pfn_t pfn = loam_frame_alloc_range(early->frames, 1, 1,
						early->early_end, 0, flags);
	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

static void early_free_table(void *ctx, loam_phys_t table)
{
	struct early_tables *early = ctx;
	loam_frame_free(early->frames, loam_phys_to_pfn(table), 0);
}

static void *early_table_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static const struct loam_pt_ops early_ops = {
	.alloc_table = early_alloc_table,
	.free_table = early_free_table,
	.table_virt = early_table_virt,
};

/* -------- the direct map -------- */

loam_prot_t loam_boot_direct_prot(const struct loam_kernel *kernel)
{
	loam_prot_t prot = LOAM_PROT_READ | LOAM_PROT_WRITE;
	if (kernel->pt.geometry->global != 0) {
		prot |= LOAM_PROT_GLOBAL;
	}
	return prot;
}

/* Maps physical [start, end) where the direct map puts it. */
static int map_piece(struct loam_kernel *kernel, loam_phys_t start,
		     loam_phys_t end, loam_prot_t prot)
{
	if (start >= end) {
		return 0;
	}
	return loam_pt_map(&kernel->pt,
			   kernel->layout.direct_base + (uintptr_t)start, start,
			   (size_t)(end - start), prot, true);
}

/* Maps physical [start, end) with the kernel's segments in it cut out. */
static int map_run(struct loam_kernel *kernel,
		   const struct loam_boot_machine *machine, loam_phys_t start,
		   loam_phys_t end)
{
	loam_prot_t plain = loam_boot_direct_prot(kernel);
	for (unsigned i = 0; i < machine->segment_count; i++) {
		const struct loam_boot_segment *segment = &machine->segments[i];
		loam_phys_t first = segment->virt - kernel->layout.direct_base;
		bool guard = segment->size == 0;
		loam_phys_t last =
			first +
			(guard ? LOAM_PAGE_SIZE
			       : loam_round_up(segment->size, LOAM_PAGE_SIZE));
		if (last <= start || first >= end) {
			continue;
		}
		int error = map_piece(kernel, start, first, plain);
		if (error == 0 && !guard) {
			loam_prot_t prot =
				segment->prot | (plain & LOAM_PROT_GLOBAL);
			error = map_piece(kernel, first > start ? first : start,
					  last < end ? last : end, prot);
		}
		if (error != 0) {
			return error;
		}
		start = last;
	}
	return map_piece(kernel, start, end, plain);
}

static bool is_memory(uint32_t type)
{
	return type == LOAM_MEM_USABLE || type == LOAM_MEM_ACPI_DATA ||
	       type == LOAM_MEM_ACPI_NVS;
}

static int map_direct(struct loam_kernel *kernel,
		      const struct loam_boot_machine *machine)
{
	const struct loam_memmap *map = &kernel->memmap;
	loam_phys_t limit = kernel->layout.direct_size;
	/* The first MiB as a whole: the BIOS's tables and the VGA text. */
	loam_phys_t done = 0;
	loam_phys_t run_end = limit < LOAM_MIB(1) ? limit : LOAM_MIB(1);
	for (uint32_t i = 0; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		if (!is_memory(range->type) || range->base >= limit) {
			continue;
		}
		loam_phys_t base = loam_round_down(range->base, LOAM_PAGE_SIZE);
		loam_phys_t end = range->base + range->size;
		end = end > limit ? limit : loam_round_up(end, LOAM_PAGE_SIZE);
		if (base > run_end) {
			int error = map_run(kernel, machine, done, run_end);
			if (error != 0) {
				return error;
			}
			done = base;
		}
		run_end = end > run_end ? end : run_end;
	}
	return map_run(kernel, machine, done, run_end);
}

int loam_boot_tables(struct loam_kernel *kernel,
		     const struct loam_boot_machine *machine, const char **why)
{
	static const char too_little[] = "too little memory for page tables";
	const struct loam_boot_layout *layout = &kernel->layout;
	const struct loam_kspace_config *kspace = &layout->kspace;
	struct early_tables early = { &kernel->frames, machine->early_end };
	struct loam_pt *pt = &kernel->pt;
	int error = loam_pt_init(pt, machine->geometry, &early_ops,
				 machine->tlb, &early);
	if (error != 0) {
		*why = too_little;
		return error;
	}
	pt->policy = machine->tlb_policy;
	pt->bias = machine->bias;
	error = map_direct(kernel, machine);
	if (error == 0 && layout->heap_size != 0) {
		error = loam_pt_populate(pt, layout->heap_base,
					 layout->heap_size);
	}
	if (error == 0) {
		error = loam_pt_populate(pt, kspace->window_base,
					 kspace->window_size);
	}
	if (error == 0) {
		error = loam_pt_populate(pt, layout->shadow_base,
					 layout->shadow_size);
	}
	if (error == 0) {
		error = loam_pt_populate(pt, kspace->temp_base,
					 kspace->temp_size);
	}
	if (error != 0) {
		*why = too_little;
		return error;
	}
	machine->switch_root(machine->ctx, pt->root);
	pt->live = true;
	/* From here on table frames come through the kernel's address space. */
	pt->ops = &loam_kspace_pt_ops;
	pt->ctx = &kernel->kspace;
	return 0;
}

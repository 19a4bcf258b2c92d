/* SPDX-License-Identifier: MIT */
/* Step 6 of bring-up: the permanent page tables, with exact knowledge. */
#include "boot_int.h"

/*
 * The direct map as direct.c plans it, and a table behind every page of every
 * window, so that all address spaces can share them.
 */

/* -------- table frames before the kernel's address space is there -------- */

struct early_tables {
	struct loam_frames *frames;
	loam_phys_t early_end;
};

static loam_phys_t early_alloc_table(void *ctx)
{
	struct early_tables *early = ctx;
	struct loam_frames *frames = early->frames;
	loam_flags_t flags = LOAM_NOSLEEP | LOAM_OWNED_BY(LOAM_OWNER_TABLE);
	/*
	 * The temporary map must reach it. Memory is handed out from its low
	 * end, so that is what comes; only if not, a place is looked for.
	 */
	loam_pfn_t pfn = loam_frame_alloc(frames, 0, flags);
	if (pfn != LOAM_PFN_NONE && loam_pfn_to_phys(pfn) >= early->early_end) {
		loam_frame_free(frames, pfn, 0);
		pfn = loam_frame_alloc_range(frames, 1, 1, early->early_end, 0,
					     flags);
	}
	if (pfn == LOAM_PFN_NONE) {
		return LOAM_PHYS_NONE;
	}
	loam_phys_t table = loam_pfn_to_phys(pfn);
	memset(loam_host_phys_to_virt(table), 0, LOAM_PAGE_SIZE);
	return table;
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

/* Maps the image where it was linked, if the direct map is elsewhere. */
static int map_image(struct loam_kernel *kernel,
		     const struct loam_boot_machine *machine)
{
	loam_prot_t global = loam_boot_direct_prot(kernel) & LOAM_PROT_GLOBAL;
	if (kernel->layout.image_base == 0) {
		return 0;
	}
	int error = 0;
	for (unsigned i = 0; i < machine->segment_count && error == 0; i++) {
		const struct loam_boot_segment *segment = &machine->segments[i];
		if (segment->size != 0) {
			error = loam_pt_map(
				&kernel->pt, segment->virt,
				loam_boot_segment_phys(&kernel->layout,
						       segment),
				(size_t)loam_round_up(segment->size,
						      LOAM_PAGE_SIZE),
				segment->prot | global, true);
		}
	}
	return error;
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
	error = loam_boot_map_direct(kernel, machine);
	if (error == 0) {
		error = map_image(kernel, machine);
	}
	if (error == 0 && layout->heap_size != 0) {
		error = loam_pt_populate(pt, layout->heap_base,
					 layout->heap_size);
	}
	if (error == 0) {
		error = loam_pt_populate_level(pt, kspace->window_base,
					       kspace->window_size,
					       kspace->table_level);
	}
	if (error == 0) {
		error = loam_pt_populate_level(pt, layout->shadow_base,
					       layout->shadow_size,
					       kspace->table_level);
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
	pt->live = 1;
	/* From here on table frames come through the kernel's address space. */
	pt->ops = &loam_kspace_pt_ops;
	pt->ctx = &kernel->kspace;
	return 0;
}

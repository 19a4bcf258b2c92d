/* SPDX-License-Identifier: MIT */
/* The direct map: what is mapped at each physical address, and how. */
#include "boot_int.h"

/*
 * What is mapped below direct_size: the adapter window and everything that
 * the map calls memory of some kind (usable, ACPI, NVS), page by page, rounded
 * outwards; nothing else, so that a stray access to a hole or a device faults
 * instead of doing something. A layout with a map_end has everything mapped
 * below that, what is not memory without caching, except where a window of
 * the kernel's has the addresses.
 *
 * The kernel's segments lie inside and have their own protection; a segment
 * of size 0 is a guard page. Those of an image that was linked outside of the
 * direct map are mapped there, and here a second time with the same protection
 * but for execution: nothing is both writable and executable through any
 * address. What processes replace is not global.
 *
 * The plan is made up of pieces: from a given address, all that bears on it is
 * asked how it is to be mapped and how far that goes. Neighbours that are alike
 * become one run, so large pages appear by themselves wherever 4 MiB are alike.
 */

/*
 * The most that is mapped at once: a size_t holds it on any machine. Steps end
 * at multiples of it, so that they divide no large page.
 */
#define DIRECT_MOST LOAM_GIB(1)

struct direct_piece {
	loam_phys_t end;
	loam_prot_t prot;
	bool mapped;
};

struct direct_plan {
	const struct loam_kernel *kernel;
	const struct loam_boot_machine *machine;
	loam_phys_t limit;
	uint32_t range; /* of the memory map: earlier ones are behind us */
};

loam_phys_t loam_boot_segment_phys(const struct loam_boot_layout *layout,
				   const struct loam_boot_segment *segment)
{
	return segment->virt - (layout->image_base != 0 ? layout->image_base
							: layout->direct_base);
}

loam_prot_t loam_boot_direct_prot(const struct loam_kernel *kernel)
{
	loam_prot_t prot = LOAM_PROT_READ | LOAM_PROT_WRITE;
	if (kernel->pt.geometry->global != 0) {
		prot |= LOAM_PROT_GLOBAL;
	}
	return prot;
}

static bool is_memory(uint32_t type)
{
	return type == LOAM_MEM_USABLE || type == LOAM_MEM_ACPI_DATA ||
	       type == LOAM_MEM_ACPI_NVS;
}

/*
 * True if [start, start + size) holds `at`. The piece ends where that changes.
 */
static bool piece_meets(struct direct_piece *piece, loam_phys_t at,
			loam_phys_t start, loam_phys_t size)
{
	loam_phys_t border = start;
	if (start <= at) {
		if (at - start >= size) {
			return false;
		}
		border = start + size;
	}
	if (size != 0 && border < piece->end) {
		piece->end = border;
	}
	return start <= at;
}

/* The same for addresses of this layout. */
static bool piece_meets_virt(const struct loam_kernel *kernel,
			     struct direct_piece *piece, loam_phys_t at,
			     uintptr_t base, loam_phys_t size)
{
	return piece_meets(piece, at,
			   (uintptr_t)(base - kernel->layout.direct_base),
			   size);
}

/* Memory by the map, or the first MiB: the BIOS's tables and the VGA text. */
static bool piece_is_memory(struct direct_plan *plan,
			    struct direct_piece *piece, loam_phys_t at)
{
	const struct loam_memmap *map = &plan->kernel->memmap;
	bool memory = piece_meets(piece, at, 0, LOAM_MIB(1));
	for (uint32_t i = plan->range; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		loam_phys_t base = loam_round_down(range->base, LOAM_PAGE_SIZE);
		if (base >= piece->end) {
			break;
		}
		loam_phys_t size =
			range->size < plan->limit ? range->size : plan->limit;
		size = loam_round_up(size + (range->base - base),
				     LOAM_PAGE_SIZE);
		if (base <= at && at - base >= size) {
			plan->range += plan->range == i;
		} else if (is_memory(range->type)) {
			memory |= piece_meets(piece, at, base, size);
		}
	}
	return memory;
}

/* How the kernel's segments want it; where there is none, nothing changes. */
static void piece_ask_segments(const struct direct_plan *plan,
			       struct direct_piece *piece, loam_phys_t at)
{
	const struct loam_boot_machine *machine = plan->machine;
	const struct loam_boot_layout *layout = &plan->kernel->layout;
	for (unsigned i = 0; i < machine->segment_count; i++) {
		const struct loam_boot_segment *segment = &machine->segments[i];
		bool guard = segment->size == 0;
		loam_phys_t size = loam_round_up(guard ? 1 : segment->size,
						 LOAM_PAGE_SIZE);
		loam_phys_t phys = loam_boot_segment_phys(layout, segment);
		if (piece_meets(piece, at, phys, size)) {
			/* An image that lies elsewhere runs there. */
			loam_prot_t taken =
				layout->image_base != 0 ? LOAM_PROT_EXEC : 0;
			piece->mapped = !guard;
			piece->prot = (segment->prot & ~taken) |
				      (piece->prot & LOAM_PROT_GLOBAL);
		}
	}
}

/* Windows have their addresses to themselves; the user's are not global. */
static void piece_ask_layout(const struct direct_plan *plan,
			     struct direct_piece *piece, loam_phys_t at)
{
	const struct loam_kernel *kernel = plan->kernel;
	const struct loam_boot_layout *layout = &kernel->layout;
	const struct loam_kspace_config *kspace = &layout->kspace;
	const struct {
		uintptr_t base;
		size_t size;
	} windows[] = {
		{ layout->heap_base, layout->heap_size },
		{ kspace->window_base, kspace->window_size },
		{ layout->shadow_base, layout->shadow_size },
		{ kspace->temp_base, kspace->temp_size },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(windows); i++) {
		if (piece_meets_virt(kernel, piece, at, windows[i].base,
				     windows[i].size)) {
			piece->mapped = false;
		}
	}
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user = &layout->user[i];
		if (piece_meets_virt(kernel, piece, at, user->base,
				     user->size)) {
			piece->prot &= ~LOAM_PROT_GLOBAL;
		}
	}
}

static struct direct_piece plan_piece(struct direct_plan *plan, loam_phys_t at)
{
	struct direct_piece piece = {
		.end = plan->limit,
		.prot = loam_boot_direct_prot(plan->kernel),
		.mapped = true,
	};
	if (!piece_is_memory(plan, &piece, at)) {
		piece.mapped = plan->kernel->layout.map_end != 0;
		piece.prot |= LOAM_PROT_UNCACHED;
	}
	piece_ask_segments(plan, &piece, at);
	piece_ask_layout(plan, &piece, at);
	return piece;
}

/* The piece from `at`, with all that follow it and are alike. */
static struct direct_piece plan_run(struct direct_plan *plan, loam_phys_t at)
{
	struct direct_piece run = plan_piece(plan, at);
	while (run.end < plan->limit) {
		struct direct_piece next = plan_piece(plan, run.end);
		if (next.mapped != run.mapped ||
		    (run.mapped && next.prot != run.prot)) {
			break;
		}
		run.end = next.end;
	}
	return run;
}

/* Maps [at, end) of the plan, which has been left behind: in steps. */
static int map_run(struct loam_kernel *kernel, loam_phys_t at, loam_phys_t end,
		   loam_prot_t prot)
{
	int error = 0;
	while (at < end && error == 0) {
		loam_phys_t size = DIRECT_MOST - (at & (DIRECT_MOST - 1));
		size = end - at < size ? end - at : size;
		error = loam_pt_map(&kernel->pt,
				    kernel->layout.direct_base + (uintptr_t)at,
				    at, (size_t)size, prot, true);
		at += size;
	}
	return error;
}

int loam_boot_map_direct(struct loam_kernel *kernel,
			 const struct loam_boot_machine *machine)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	struct direct_plan plan = {
		.kernel = kernel,
		.machine = machine,
		.limit = layout->map_end != 0 ? layout->map_end
					      : layout->direct_size,
	};
	loam_phys_t at = 0;
	while (at < plan.limit) {
		struct direct_piece run = plan_run(&plan, at);
		int error =
			run.mapped ? map_run(kernel, at, run.end, run.prot) : 0;
		if (error != 0) {
			return error;
		}
		at = run.end;
	}
	return 0;
}

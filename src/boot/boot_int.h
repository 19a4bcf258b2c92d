/* SPDX-License-Identifier: MIT */
/* What the files of the boot floor share. */
#ifndef LOAM_BOOT_INT_H
#define LOAM_BOOT_INT_H

#include <loam/bits.h>
#include <loam/boot.h>
#include <loam/mem.h>

/* tables.c: step 6. The permanent page tables, live on return. */
int loam_boot_tables(struct loam_kernel *kernel,
		     const struct loam_boot_machine *machine, const char **why);

/* direct.c: the direct map and all that is in it, into the permanent tables. */
int loam_boot_map_direct(struct loam_kernel *kernel,
			 const struct loam_boot_machine *machine);

/*
 * heap.c: the heap behind kmalloc. Step 3 makes room for its window in the
 * layout, step 4 sets physical memory aside, step 7 puts it behind the door.
 * What cannot be is logged, and the slabs stay: only a lack of memory for
 * page tables fails, in step 6.
 */
void loam_boot_heap_scale(struct loam_kernel *kernel, uint64_t ram_bytes);
int loam_boot_heap_reserve(struct loam_kernel *kernel);
void loam_boot_heap_create(struct loam_kernel *kernel);

/* Where in memory a segment lies. */
loam_phys_t loam_boot_segment_phys(const struct loam_boot_layout *layout,
				   const struct loam_boot_segment *segment);

/* The protection of plain memory in the direct map. */
loam_prot_t loam_boot_direct_prot(const struct loam_kernel *kernel);

/*
 * user.c: cuts the user's ranges over the direct map to a share of `ram`
 * bytes, reserves what they hide, and moves modules out of there.
 */
void loam_boot_scale_user(struct loam_kernel *kernel, uint64_t ram);
int loam_boot_reserve_user(struct loam_kernel *kernel);
bool loam_boot_module_hidden(const struct loam_boot_layout *layout,
			     const struct loam_boot_range *range);
int loam_boot_move_modules(struct loam_kernel *kernel,
			   const struct loam_boot_machine *machine);

/* Reserves what of [base, base + size) nobody has reserved yet. */
int loam_boot_reserve_rest(struct loam_memblock *memblock, loam_phys_t base,
			   loam_phys_t size, enum loam_reservation owner);

#endif

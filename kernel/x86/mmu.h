/* SPDX-License-Identifier: MIT */
/* The x86 MMU under the page-table floor: flushing, the root register. */
#ifndef KERNEL_X86_MMU_H
#define KERNEL_X86_MMU_H

#include <loam/pt.h>

/* Flushes one page by invlpg, or everything by CR3 or CR4.PGE. */
extern const struct loam_tlb_ops mmu_tlb_ops;

/* For the 386, which has no invlpg. */
extern const struct loam_tlb_ops mmu_tlb_ops_386;

/*
 * Gets the temporary tables ready for what the command line asks of the
 * permanent ones: before anything asks for the geometry.
 */
void mmu_prepare(const char *cmdline);

/* The size of the pages that the temporary tables use, for people. */
const char *mmu_early_pages(void);

/*
 * Before the permanent tables: shows memory that the temporary ones do not, in
 * the place of what was shown so before. *bytes is how far that goes. NULL: it
 * cannot be shown. mmu_early_maps(): whether there is any that can.
 */
void *mmu_early_map(loam_phys_t phys, size_t *bytes);
bool mmu_early_maps(void);

/* Physical addresses below this can be mapped. */
loam_phys_t mmu_reach_end(void);

/* The geometry of the permanent tables on this CPU. */
const struct loam_pt_geometry *mmu_geometry(void);

/* tlb=auto, invlpg or cr3; anything else is reported and taken as auto. */
enum loam_tlb_policy mmu_policy(const char *cmdline);

/* Loads the root table, lets global pages be global. */
void mmu_switch_root(void *ctx, loam_phys_t root);

/* Loads another address space's root table, the kernel half being the same. */
void mmu_load_root(loam_phys_t root);

#endif

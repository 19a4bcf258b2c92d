/* SPDX-License-Identifier: MIT */
/* Tables of what there is and who owns it, within 80 columns. */
#ifndef KERNEL_REPORT_H
#define KERNEL_REPORT_H

#include <loam/types.h>

/* All of these print on the console and change nothing. */

void report_firmware_map(void); /* what the firmware said */
void report_memory_map(void);   /* normalised */
void report_owners(void);       /* of every physical range */
void report_zones(void);
void report_slabs(void);
void report_heap(void);   /* what is behind kmalloc, with a picture of it */
void report_ranges(void); /* of the kernel's address space */
void report_cost(void);   /* of bring-up, in memory and instructions */

/* Where an identity-mapped kernel has other things than what lies there. */
void report_identity(void);

/* The heap's blocks, argument of them or 40. 0, or -LOAM_EINVAL. */
int report_heap_walk(const char *argument);

/* The page tables' walk for an address, entry by entry. */
void report_walk(uintptr_t virt);

/* The same in other tables than the kernel's: a process's. */
struct loam_pt;
void report_walk_of(const struct loam_pt *pt, uintptr_t virt);

/* Every run of mapped pages of one protection. */
void report_mappings(void);

/* Who owns a physical address; and a kernel address, if it is one. */
void report_owner(uint64_t address);

/* Puts what lies at a kernel address in words. to has at least 96 bytes. */
const char *report_describe(char to[96], uintptr_t virt);

#endif

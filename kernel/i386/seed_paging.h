/* SPDX-License-Identifier: MIT */
/* The instance of seed 003's paging, and the kernel's own directory in it. */
#ifndef KERNEL_I386_SEED_PAGING_H
#define KERNEL_I386_SEED_PAGING_H

#include <loam/compat_paging.h>

/*
 * The directory bring-up made, as a chunk: for paging_switch() back to it and
 * for paging_get_physical_address(). Its tables are the page-table floor's.
 */
extern struct paging_4gb_chunk seed_kernel_chunk;

/* Makes the above true: call it first, with that directory loaded. */
void seed_paging_init(void);

#endif

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

/* The protection of plain memory in the direct map. */
loam_prot_t loam_boot_direct_prot(const struct loam_kernel *kernel);

#endif

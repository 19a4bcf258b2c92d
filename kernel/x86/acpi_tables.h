/* SPDX-License-Identifier: MIT */
/* The firmware's ACPI tables, read through the kernel's address space. */
#ifndef KERNEL_X86_ACPI_TABLES_H
#define KERNEL_X86_ACPI_TABLES_H

#include <loam/acpi.h>

/*
 * As below, while the temporary page tables are loaded. NULL also where these
 * cannot show all of memory; then the other one tries again.
 */
const struct loam_topology *acpi_tables_early(void *ctx);

/*
 * What the tables say of CPUs and memory nodes, read at the first call. NULL:
 * there are no tables, or none with a CPU. Until the boot information and the
 * init segments are given back; needs the kernel's address space.
 */
const struct loam_topology *acpi_tables_topology(void);

#endif

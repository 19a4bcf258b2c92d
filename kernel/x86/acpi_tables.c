/* SPDX-License-Identifier: MIT */
/* The firmware's ACPI tables, read through the kernel's address space. */

/*
 * They lie in memory that is not ours and perhaps not mapped, so each part that
 * is read is mapped for it: a window of 64 KiB, which stays until something
 * outside of it is wanted.
 */

#include <loam/bits.h>
#include <loam/mem.h>

#include "../kernel.h"
#include "../machine.h"
#include "acpi_tables.h"
#include "layout.h"

#define ACPI_WINDOW_BYTES 65536u

KERNEL_INIT_BSS static struct loam_topology acpi_topology;
KERNEL_INIT_BSS static struct loam_acpi acpi_list;

static struct {
	loam_phys_t phys;
	unsigned char *at; /* NULL: nothing is mapped */
	bool read;         /* the topology holds */
	bool failed;
} acpi;

static void acpi_unmap(void)
{
	if (acpi.at != NULL) {
		loam_kspace_unmap_phys(&kernel.kspace, acpi.at);
		acpi.at = NULL;
	}
}

/* Two windows' worth, so that nothing lies across an end. */
static bool acpi_map(loam_phys_t phys)
{
	loam_phys_t base = loam_round_down(phys, ACPI_WINDOW_BYTES);

	if (acpi.at != NULL && acpi.phys == base) {
		return true;
	}
	acpi_unmap();
	acpi.phys = base;
	acpi.at = loam_kspace_map_phys(&kernel.kspace, base,
				       2 * ACPI_WINDOW_BYTES, LOAM_PROT_READ);
	return acpi.at != NULL;
}

static bool acpi_copy(void *ctx, loam_phys_t phys, void *to, size_t size_bytes)
{
	(void)ctx;
	if (phys >= machine_layout.reach_end || !acpi_map(phys)) {
		return false;
	}
	memcpy(to, acpi.at + (size_t)(phys - acpi.phys), size_bytes);
	return true;
}

const struct loam_topology *acpi_tables_topology(void)
{
	const struct loam_acpi_source source = { .read = acpi_copy };

	if (acpi.read || acpi.failed) {
		return acpi.read ? &acpi_topology : NULL;
	}
	acpi.failed = true;
	loam_phys_t root = kernel.info.acpi_root;
	if (root == 0) {
		root = loam_acpi_find_root(&source);
	}
	if (root != LOAM_PHYS_NONE &&
	    loam_acpi_open(&acpi_list, &source, root) == 0) {
		loam_topology_init(&acpi_topology);
		acpi.read = loam_topology_read(&acpi_topology, &acpi_list) == 0;
	}
	acpi_unmap();
	return acpi.read ? &acpi_topology : NULL;
}

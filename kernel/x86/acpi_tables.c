/* SPDX-License-Identifier: MIT */
/* The firmware's ACPI tables, read before there are frames, or later. */

/*
 * They lie in memory that is not ours and perhaps not mapped. Whose memory is
 * whose has to be known before there are page frames: then what the temporary
 * tables do not show is shown by an entry of theirs. Where they cannot, each
 * part that is read is mapped by the kernel's address space later: a window of
 * 64 KiB, which stays until something outside of it is wanted.
 */

#include <loam/bits.h>
#include <loam/mem.h>

#include "../kernel.h"
#include "../machine.h"
#include "acpi_tables.h"
#include "layout.h"
#include "mmu.h"

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

/* Where phys can be read by now, and how many bytes from there on; or NULL. */
static const unsigned char *acpi_early_at(loam_phys_t phys, size_t *bytes)
{
	*bytes = LOAM_PAGE_SIZE - (size_t)(phys & LOAM_PAGE_MASK);
	const unsigned char *at = loam_host_phys_to_virt(phys);

	return at != NULL ? at : mmu_early_map(phys, bytes);
}

static bool acpi_copy_early(void *ctx, loam_phys_t phys, void *to,
			    size_t size_bytes)
{
	unsigned char *out = to;
	(void)ctx;

	while (size_bytes != 0) {
		size_t part;
		const unsigned char *at = acpi_early_at(phys, &part);
		if (at == NULL) {
			return false;
		}
		part = part < size_bytes ? part : size_bytes;
		memcpy(out, at, part);
		out += part;
		phys += part;
		size_bytes -= part;
	}
	return true;
}

/* True, and acpi_topology holds. */
static bool acpi_read(const struct loam_acpi_source *source)
{
	loam_phys_t root = kernel.info.acpi_root;

	if (root == 0) {
		root = loam_acpi_find_root(source);
	}
	if (root == LOAM_PHYS_NONE ||
	    loam_acpi_open(&acpi_list, source, root) != 0) {
		return false;
	}
	loam_topology_init(&acpi_topology);
	return loam_topology_read(&acpi_topology, &acpi_list) == 0;
}

const struct loam_topology *acpi_tables_early(void *ctx)
{
	const struct loam_acpi_source source = { .read = acpi_copy_early };

	(void)ctx;
	if (mmu_early_maps()) {
		acpi.read = acpi_read(&source);
		acpi.failed = !acpi.read;
	}
	return acpi.read ? &acpi_topology : NULL;
}

const struct loam_topology *acpi_tables_topology(void)
{
	const struct loam_acpi_source source = { .read = acpi_copy };

	if (!acpi.read && !acpi.failed) {
		acpi.read = acpi_read(&source);
		acpi.failed = !acpi.read;
		acpi_unmap();
	}
	return acpi.read ? &acpi_topology : NULL;
}

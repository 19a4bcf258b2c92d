/* SPDX-License-Identifier: MIT */
/* The SLIT: how far the nodes are from each other. */
#include "acpi_int.h"

/*
 * A square matrix of bytes over proximity domains: 10 on the diagonal, more
 * elsewhere, 255 for no way at all. ACPI 6.5, 5.2.17. A way that is longer in
 * one direction than in the other is a machine's right.
 */
#define SLIT_MATRIX 44u
#define SLIT_DOMAINS_MAX 1000u /* its square fits LOAM_ACPI_TABLE_MAX */

static bool slit_is_possible(uint8_t distance, bool same)
{
	return same ? distance == LOAM_DISTANCE_LOCAL
		    : distance > LOAM_DISTANCE_LOCAL;
}

/* Copies the rows and columns of our nodes; false: one cannot be. */
static bool slit_copy(const struct loam_topology *topology,
		      const struct loam_acpi *acpi,
		      const struct loam_acpi_table *table, uint32_t domains,
		      uint8_t to[LOAM_TOPOLOGY_NODES][LOAM_TOPOLOGY_NODES])
{
	for (uint32_t row = 0; row < topology->node_count; row++) {
		for (uint32_t column = 0; column < topology->node_count;
		     column++) {
			uint32_t from = topology->domain[row];
			uint32_t into = topology->domain[column];
			uint8_t *distance = &to[row][column];
			if (from >= domains || into >= domains ||
			    !acpi_read(acpi,
				       table->phys + SLIT_MATRIX +
					       from * domains + into,
				       distance, 1) ||
			    !slit_is_possible(*distance, row == column)) {
				return false;
			}
		}
	}
	return true;
}

void loam_acpi_read_slit(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table)
{
	uint8_t distance[LOAM_TOPOLOGY_NODES][LOAM_TOPOLOGY_NODES];
	unsigned char fields[8];
	uint64_t domains = 0;
	if (table->length >= SLIT_MATRIX &&
	    acpi_read(acpi, table->phys + ACPI_HEADER, fields,
		      sizeof(fields))) {
		domains = acpi_64(fields);
	}
	memcpy(distance, topology->distance, sizeof(distance));
	if (domains == 0 || domains > SLIT_DOMAINS_MAX ||
	    table->length - SLIT_MATRIX < domains * domains ||
	    !slit_copy(topology, acpi, table, (uint32_t)domains, distance)) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: SLIT for %llu domains in %u bytes: not used",
			 acpi_hex(domains), (unsigned)table->length);
		return;
	}
	memcpy(topology->distance, distance, sizeof(distance));
}

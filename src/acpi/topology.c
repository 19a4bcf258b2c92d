/* SPDX-License-Identifier: MIT */
/* The machine in a kernel's own numbers, out of three tables. */
#include "acpi_int.h"

void loam_topology_init(struct loam_topology *topology)
{
	memset(topology, 0, sizeof(*topology));
	topology->cpu_count = 1;
	topology->cpus[0].enabled = true;
	topology->node_count = 1;
	for (unsigned from = 0; from < LOAM_TOPOLOGY_NODES; from++) {
		for (unsigned to = 0; to < LOAM_TOPOLOGY_NODES; to++) {
			topology->distance[from][to] =
				from == to ? LOAM_DISTANCE_LOCAL
					   : LOAM_DISTANCE_REMOTE;
		}
	}
}

static bool topology_has_cpu(const struct loam_topology *topology)
{
	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		if (topology->cpus[i].enabled) {
			return true;
		}
	}
	return false;
}

int loam_topology_read(struct loam_topology *topology,
		       const struct loam_acpi *acpi)
{
	const struct loam_acpi_table *madt = loam_acpi_find(acpi, "APIC");
	const struct loam_acpi_table *srat = loam_acpi_find(acpi, "SRAT");
	const struct loam_acpi_table *slit = loam_acpi_find(acpi, "SLIT");
	int error = 0;

	loam_topology_init(topology);
	if (madt != NULL) {
		topology->cpu_count = 0;
		loam_acpi_read_madt(topology, acpi, madt);
	}
	if (madt == NULL || !topology_has_cpu(topology)) {
		loam_log(LOAM_LOG_WARNING, "acpi: no CPU that can be started:"
					   " only this one is used");
		topology->cpu_count = 1;
		topology->cpus[0] = (struct loam_topology_cpu){
			.enabled = true,
		};
		error = -LOAM_ENOENT;
	}
	if (srat != NULL) {
		loam_acpi_read_srat(topology, acpi, srat);
	}
	if (slit != NULL) {
		loam_acpi_read_slit(topology, acpi, slit);
	}
	return error;
}

uint8_t loam_topology_node_of(const struct loam_topology *topology,
			      loam_phys_t phys)
{
	for (uint32_t i = 0; i < topology->range_count; i++) {
		const struct loam_topology_range *range = &topology->ranges[i];
		if (phys - range->base < range->size) {
			return range->node;
		}
	}
	return 0;
}

static int topology_check_cpus(const struct loam_topology *topology)
{
	LOAM_CHECK(topology->cpu_count >= 1);
	LOAM_CHECK(topology->cpu_count <= LOAM_TOPOLOGY_CPUS);
	LOAM_CHECK(topology_has_cpu(topology));
	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		LOAM_CHECK(topology->cpus[i].node < topology->node_count);
		for (uint32_t j = 0; j < i; j++) {
			LOAM_CHECK(topology->cpus[i].apic_id !=
				   topology->cpus[j].apic_id);
		}
	}
	return 0;
}

static int topology_check_nodes(const struct loam_topology *topology)
{
	LOAM_CHECK(topology->node_count >= 1);
	LOAM_CHECK(topology->node_count <= LOAM_TOPOLOGY_NODES);
	for (uint32_t i = 0; i < topology->node_count; i++) {
		LOAM_CHECK(i == 0 ||
			   topology->domain[i - 1] < topology->domain[i]);
		for (uint32_t j = 0; j < topology->node_count; j++) {
			uint8_t distance = topology->distance[i][j];
			LOAM_CHECK(i == j ? distance == LOAM_DISTANCE_LOCAL
					  : distance > LOAM_DISTANCE_LOCAL);
		}
	}
	return 0;
}

static int topology_check_ranges(const struct loam_topology *topology)
{
	LOAM_CHECK(topology->range_count <= LOAM_TOPOLOGY_RANGES);
	for (uint32_t i = 0; i < topology->range_count; i++) {
		const struct loam_topology_range *range = &topology->ranges[i];
		LOAM_CHECK(range->size != 0);
		LOAM_CHECK(range->base + range->size >= range->base);
		LOAM_CHECK(range->node < topology->node_count);
		LOAM_CHECK(i == 0 ||
			   range[-1].base + range[-1].size <= range->base);
	}
	return 0;
}

int loam_topology_check(const struct loam_topology *topology)
{
	int error = topology_check_nodes(topology);
	if (error == 0) {
		error = topology_check_cpus(topology);
	}
	if (error == 0) {
		error = topology_check_ranges(topology);
	}
	LOAM_CHECK(topology->io_apic_count <= LOAM_TOPOLOGY_IO_APICS);
	LOAM_CHECK(topology->override_count <= LOAM_TOPOLOGY_OVERRIDES);
	return error;
}

/* SPDX-License-Identifier: MIT */
/* The SRAT: which memory is near which CPUs. */
#include "acpi_int.h"

/*
 * Memory and CPUs name a proximity domain, a number of the firmware's choice;
 * those that have memory or a CPU become nodes, numbered from 0 by ascending
 * domain. The table is taken whole or not at all: a kernel that believed half
 * of it would put memory on the wrong node, which is worse than having one.
 * ACPI 6.5, 5.2.16.
 */
#define SRAT_FIRST 48u
#define SRAT_CPU 0u
#define SRAT_MEMORY 1u
#define SRAT_X2APIC 2u

#define SRAT_ENABLED 1u
#define SRAT_HOTPLUG 2u
#define SRAT_PERSISTENT 4u

/* One affinity, whatever kind of entry said it. */
struct srat_fact {
	uint32_t domain;
	uint32_t apic_id; /* of a CPU */
	loam_phys_t base; /* of memory */
	loam_phys_t size;
	bool is_memory;
	bool hotplug;
};

/* Reads an entry that counts; false: it does not. */
static bool srat_decode(const struct loam_acpi_table *table,
			const struct acpi_entry *entry, struct srat_fact *fact)
{
	const unsigned char *at = entry->bytes;
	*fact = (struct srat_fact){ .domain = 0 };
	switch (entry->type) {
	case SRAT_CPU:
		if (!loam_acpi_long_enough(table, entry, 16)) {
			return false;
		}
		/* The domain's upper three bytes came with revision 2. */
		fact->domain = at[2];
		if (table->revision >= 2) {
			fact->domain |= (acpi_32(at + 8) & 0xffffff00u);
		}
		fact->apic_id = at[3];
		return (acpi_32(at + 4) & SRAT_ENABLED) != 0;
	case SRAT_X2APIC:
		if (!loam_acpi_long_enough(table, entry, 24)) {
			return false;
		}
		fact->domain = acpi_32(at + 4);
		fact->apic_id = acpi_32(at + 8);
		return (acpi_32(at + 12) & SRAT_ENABLED) != 0;
	case SRAT_MEMORY:
		if (!loam_acpi_long_enough(table, entry, 40)) {
			return false;
		}
		fact->domain = acpi_32(at + 2);
		if (table->revision < 2) {
			fact->domain &= 0xffu;
		}
		fact->base = acpi_64(at + 8);
		fact->size = acpi_64(at + 16);
		fact->is_memory = true;
		fact->hotplug = (acpi_32(at + 28) & SRAT_HOTPLUG) != 0;
		return (acpi_32(at + 28) & (SRAT_ENABLED | SRAT_PERSISTENT)) ==
			       SRAT_ENABLED &&
		       fact->size != 0;
	default:
		return false;
	}
}

/* -------- nodes -------- */

/* Where the domain is, or would be inserted. */
static uint32_t srat_place(const struct loam_topology *topology,
			   uint32_t domain)
{
	uint32_t at = 0;
	while (at < topology->node_count && topology->domain[at] < domain) {
		at++;
	}
	return at;
}

static bool srat_add_domain(struct loam_topology *topology, uint32_t domain)
{
	uint32_t at = srat_place(topology, domain);
	if (at < topology->node_count && topology->domain[at] == domain) {
		return true;
	}
	if (topology->node_count == LOAM_TOPOLOGY_NODES) {
		loam_log(LOAM_LOG_WARNING, "acpi: SRAT: more than %u nodes",
			 LOAM_TOPOLOGY_NODES);
		return false;
	}
	memmove(&topology->domain[at + 1], &topology->domain[at],
		(topology->node_count - at) * sizeof(topology->domain[0]));
	topology->domain[at] = domain;
	topology->node_count++;
	return true;
}

/* -------- memory -------- */

static bool srat_add_range(struct loam_topology *topology,
			   const struct srat_fact *fact)
{
	struct loam_topology_range *ranges = topology->ranges;
	uint32_t count = topology->range_count;
	loam_phys_t end = fact->base + fact->size;
	if (count == LOAM_TOPOLOGY_RANGES || end < fact->base) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: SRAT: memory at 0x%llx of 0x%llx bytes %s",
			 acpi_hex(fact->base), acpi_hex(fact->size),
			 end < fact->base ? "wraps" : "is one range too many");
		return false;
	}
	uint32_t at = 0;
	while (at < count && ranges[at].base < fact->base) {
		at++;
	}
	bool before = at > 0 &&
		      ranges[at - 1].base + ranges[at - 1].size > fact->base;
	if (before || (at < count && ranges[at].base < end)) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: SRAT: memory at 0x%llx is claimed twice",
			 acpi_hex(fact->base));
		return false;
	}
	memmove(&ranges[at + 1], &ranges[at], (count - at) * sizeof(ranges[0]));
	ranges[at] = (struct loam_topology_range){
		.base = fact->base,
		.size = fact->size,
		.node = (uint8_t)srat_place(topology, fact->domain),
		.hotplug = fact->hotplug,
	};
	topology->range_count++;
	return true;
}

static void srat_place_cpu(struct loam_topology *topology,
			   const struct srat_fact *fact)
{
	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		if (topology->cpus[i].apic_id == fact->apic_id) {
			topology->cpus[i].node =
				(uint8_t)srat_place(topology, fact->domain);
		}
	}
}

/* -------- the table -------- */

/* First all domains, so that nodes have their numbers; then what is theirs. */
static bool srat_domains(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table)
{
	struct acpi_entry entry = { .offset = 0 };
	struct srat_fact fact;
	while (loam_acpi_next(acpi, table, SRAT_FIRST, &entry)) {
		if (srat_decode(table, &entry, &fact) &&
		    !srat_add_domain(topology, fact.domain)) {
			return false;
		}
	}
	return true;
}

static bool srat_facts(struct loam_topology *topology,
		       const struct loam_acpi *acpi,
		       const struct loam_acpi_table *table)
{
	struct acpi_entry entry = { .offset = 0 };
	struct srat_fact fact;
	while (loam_acpi_next(acpi, table, SRAT_FIRST, &entry)) {
		if (!srat_decode(table, &entry, &fact)) {
			continue;
		}
		if (!fact.is_memory) {
			srat_place_cpu(topology, &fact);
		} else if (!srat_add_range(topology, &fact)) {
			return false;
		}
	}
	return topology->range_count != 0;
}

/* Back to a machine with one node. */
static void srat_forget(struct loam_topology *topology)
{
	topology->node_count = 1;
	topology->domain[0] = 0;
	topology->range_count = 0;
	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		topology->cpus[i].node = 0;
	}
}

void loam_acpi_read_srat(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table)
{
	topology->node_count = 0;
	if (table->length < SRAT_FIRST ||
	    !srat_domains(topology, acpi, table) ||
	    !srat_facts(topology, acpi, table)) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: SRAT: not used, all memory is one node's");
		srat_forget(topology);
	}
}

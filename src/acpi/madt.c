/* SPDX-License-Identifier: MIT */
/* The MADT: which CPUs there are, and who delivers interrupts to them. */
#include "acpi_int.h"

/*
 * Entries of several types in any order. A CPU is a local APIC (type 0) or,
 * with a number above 254, a local x2APIC (type 9); firmware may list one both
 * ways, and lists CPUs that are not there with the enabled bit clear. ACPI 6.5,
 * 5.2.12.
 */
#define MADT_FIRST 44u
#define MADT_LOCAL_APIC 0u
#define MADT_IO_APIC 1u
#define MADT_OVERRIDE 2u
#define MADT_ADDRESS 5u
#define MADT_X2APIC 9u

#define MADT_PCAT 1u    /* of the table's flags: there are 8259s */
#define MADT_ENABLED 1u /* of a CPU's flags */
#define MADT_CAPABLE 2u /* it can be plugged in */

#define MADT_ALL_APICS 255u /* not a CPU: addresses all of them */
#define MADT_ALL_X2APICS 0xffffffffu

static bool madt_full(uint32_t count, uint32_t capacity, const char *what)
{
	if (count < capacity) {
		return false;
	}
	loam_log(LOAM_LOG_WARNING,
		 "acpi: APIC: more than %u %s: one is ignored",
		 (unsigned)capacity, what);
	return true;
}

static void madt_add_cpu(struct loam_topology *topology, uint32_t apic_id,
			 uint32_t uid, uint32_t flags)
{
	if ((flags & (MADT_ENABLED | MADT_CAPABLE)) == 0) {
		return; /* a socket that has none */
	}
	bool enabled = (flags & MADT_ENABLED) != 0;
	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		struct loam_topology_cpu *cpu = &topology->cpus[i];
		if (cpu->apic_id == apic_id) {
			cpu->enabled = cpu->enabled || enabled;
			return;
		}
	}
	if (madt_full(topology->cpu_count, LOAM_TOPOLOGY_CPUS, "CPUs")) {
		return;
	}
	topology->cpus[topology->cpu_count++] = (struct loam_topology_cpu){
		.apic_id = apic_id,
		.uid = uid,
		.enabled = enabled,
	};
}

static void madt_add_io_apic(struct loam_topology *topology,
			     const unsigned char *at)
{
	if (madt_full(topology->io_apic_count, LOAM_TOPOLOGY_IO_APICS,
		      "I/O APICs")) {
		return;
	}
	topology->io_apics[topology->io_apic_count++] =
		(struct loam_topology_io_apic){
			.id = at[2],
			.phys = acpi_32(at + 4),
			.first_interrupt = acpi_32(at + 8),
		};
}

static void madt_add_override(struct loam_topology *topology,
			      const unsigned char *at)
{
	if (madt_full(topology->override_count, LOAM_TOPOLOGY_OVERRIDES,
		      "interrupt overrides")) {
		return;
	}
	topology->overrides[topology->override_count++] =
		(struct loam_topology_override){
			.source = at[3],
			.interrupt = acpi_32(at + 4),
			.flags = (uint16_t)acpi_16(at + 8),
		};
}

static void madt_entry(struct loam_topology *topology,
		       const struct loam_acpi_table *table,
		       const struct acpi_entry *entry)
{
	const unsigned char *at = entry->bytes;
	switch (entry->type) {
	case MADT_LOCAL_APIC:
		if (loam_acpi_long_enough(table, entry, 8) &&
		    at[3] != MADT_ALL_APICS) {
			madt_add_cpu(topology, at[3], at[2], acpi_32(at + 4));
		}
		break;
	case MADT_X2APIC:
		if (loam_acpi_long_enough(table, entry, 16) &&
		    acpi_32(at + 4) != MADT_ALL_X2APICS) {
			madt_add_cpu(topology, acpi_32(at + 4),
				     acpi_32(at + 12), acpi_32(at + 8));
		}
		break;
	case MADT_IO_APIC:
		if (loam_acpi_long_enough(table, entry, 12)) {
			madt_add_io_apic(topology, at);
		}
		break;
	case MADT_OVERRIDE:
		if (loam_acpi_long_enough(table, entry, 10)) {
			madt_add_override(topology, at);
		}
		break;
	case MADT_ADDRESS:
		if (loam_acpi_long_enough(table, entry, 12) &&
		    acpi_64(at + 4) != 0) {
			topology->local_apic = acpi_64(at + 4);
		}
		break;
	default: /* non-maskable interrupts, other machines: not for us */
		break;
	}
}

void loam_acpi_read_madt(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table)
{
	unsigned char fields[8];
	if (table->length < MADT_FIRST ||
	    !acpi_read(acpi, table->phys + ACPI_HEADER, fields,
		       sizeof(fields))) {
		loam_log(LOAM_LOG_WARNING, "acpi: APIC of %u bytes: ignored",
			 (unsigned)table->length);
		return;
	}
	topology->local_apic = acpi_32(fields);
	topology->legacy_pics = (acpi_32(fields + 4) & MADT_PCAT) != 0;
	struct acpi_entry entry = { .offset = 0 };
	while (loam_acpi_next(acpi, table, MADT_FIRST, &entry)) {
		madt_entry(topology, table, &entry);
	}
}

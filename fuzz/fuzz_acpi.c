/* SPDX-License-Identifier: MIT */
/* Fuzzes ACPI tables: their lists, their entries, and what is made of them. */
#include <stdlib.h>
#include <string.h>

#include "acpi_machine.h"
#include "platform.h"

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The input is tables, one behind the other: a byte that picks the signature
 * and the revision, two bytes for the length of the body, the body. They are
 * put into memory with right checksums, since no input would ever have those
 * by chance, or, where the first byte says so, with wrong ones.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const signatures[] = { "APIC", "SRAT", "SLIT",
						  "FACP" };
	static struct acpi_machine machine;
	static struct loam_acpi acpi;
	static struct loam_topology topology;
	const struct loam_acpi_source source = { acpi_machine_read, &machine };
	memset(&machine, 0, sizeof(machine));
	hosted_log_clear();
	acpi_list(&machine);
	while (size >= 3 && machine.tables < 8) {
		size_t body = data[1] | (size_t)data[2] << 8;
		if (body > size - 3) {
			body = size - 3;
		}
		if (body > ACPI_TABLE_STEP - 36) {
			body = ACPI_TABLE_STEP - 36;
		}
		unsigned char *at =
			acpi_add(&machine, signatures[data[0] & 3],
				 data[0] >> 2 & 3, data + 3, (uint32_t)body);
		at[4] = (unsigned char)(at[4] ^ ((data[0] & 0x40) >> 3));
		if ((data[0] & 0xc0) == 0x40) {
			acpi_seal(at, 36 + body, 9);
		}
		at[9] = (unsigned char)(at[9] ^ ((data[0] & 0xc0) == 0xc0));
		data += 3 + body;
		size -= 3 + body;
	}
	require(loam_acpi_find_root(&source) == ACPI_RSDP);
	require(loam_acpi_open(&acpi, &source, ACPI_RSDP) == 0);
	require(acpi.count <= LOAM_ACPI_TABLES);
	(void)loam_topology_read(&topology, &acpi);
	require(loam_topology_check(&topology) == 0);
	for (unsigned i = 0; i < topology.range_count; i++) {
		require(loam_topology_node_of(&topology,
					      topology.ranges[i].base) ==
			topology.ranges[i].node);
	}
	return 0;
}

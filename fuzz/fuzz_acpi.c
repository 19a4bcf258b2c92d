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

/* One record of the input, with what follows its head. */
struct record {
	uint8_t head;
	const uint8_t *body;
	size_t size;
};

static bool next_record(const uint8_t **data, size_t *size,
			struct record *record)
{
	if (*size < 3) {
		return false;
	}
	size_t body = (*data)[1] | (size_t)(*data)[2] << 8;
	if (body > *size - 3) {
		body = *size - 3;
	}
	*record = (struct record){ (*data)[0], *data + 3, body };
	*data += 3 + body;
	*size -= 3 + body;
	return true;
}

#define HEAD_PATCH 0x30u /* these bits: no table, but a patch */
#define HEAD_SEAL 0x40u

/* A table with a right checksum, or, where its head says so, a wrong one. */
static void add_table(struct acpi_machine *machine, const struct record *record)
{
	static const char *const signatures[] = { "APIC", "SRAT", "SLIT",
						  "FACP" };
	size_t body = record->size;
	if (body > ACPI_TABLE_STEP - 36) {
		body = ACPI_TABLE_STEP - 36;
	}
	unsigned char *at =
		acpi_add(machine, signatures[record->head & 3],
			 record->head >> 2 & 3, record->body, (uint32_t)body);
	at[4] = (unsigned char)(at[4] ^ ((record->head & 0x40) >> 3));
	if ((record->head & 0xc0) == 0x40) {
		acpi_seal(at, 36 + body, 9);
	}
	at[9] = (unsigned char)(at[9] ^ ((record->head & 0xc0) == 0xc0));
}

/*
 * Bytes in the place of others, from an offset of one byte on: in the root
 * pointer, either list, or the first table; then, or not, the checksums are
 * made right again. So lists name themselves, each other, and what is none.
 */
static void patch(struct acpi_machine *machine, const struct record *record)
{
	static const uint32_t targets[] = { ACPI_RSDP, ACPI_RSDT, ACPI_XSDT,
					    ACPI_FIRST_TABLE };
	unsigned char *at = machine->memory + targets[record->head & 3];
	if (record->size == 0) {
		return;
	}
	memcpy(at + record->body[0], record->body + 1, record->size - 1);
	if ((record->head & HEAD_SEAL) == 0) {
		return;
	}
	if ((record->head & 3) == 0) {
		acpi_seal(at, 20, 8);
		acpi_seal(at, 36, 32);
		return;
	}
	size_t length = at[4] | (size_t)at[5] << 8;
	if (length >= 36 && length <= ACPI_TABLE_STEP) {
		acpi_seal(at, length, 9);
	}
}

/* Every table is readable, is there once, and sums up to nothing. */
static void require_tables(const struct acpi_machine *machine,
			   const struct loam_acpi *acpi)
{
	require(acpi->count <= LOAM_ACPI_TABLES);
	for (unsigned i = 0; i < acpi->count; i++) {
		const struct loam_acpi_table *table = &acpi->tables[i];
		uint8_t sum = 0;
		require(table->length >= 36 &&
			table->phys <= ACPI_MEMORY - table->length);
		for (uint32_t at = 0; at < table->length; at++) {
			sum = (uint8_t)(sum +
					machine->memory[table->phys + at]);
		}
		require(sum == 0);
		for (unsigned j = 0; j < i; j++) {
			require(acpi->tables[j].phys != table->phys);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The input is records, one behind the other: a byte that says what it is, two
 * bytes for the length of the body, the body. Most are tables, whose signature
 * and revision the byte picks. They are put into memory with right checksums,
 * since no input would ever have those by chance. Patches follow the last one.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acpi_machine machine;
	static struct loam_acpi acpi;
	static struct loam_topology topology;
	const struct loam_acpi_source source = { acpi_machine_read, &machine };
	struct record record;
	bool patched = false;
	memset(&machine, 0, sizeof(machine));
	hosted_log_clear();
	acpi_list(&machine);
	while (machine.tables < 8 && next_record(&data, &size, &record)) {
		if ((record.head & HEAD_PATCH) == HEAD_PATCH) {
			patched = true;
			patch(&machine, &record);
		} else if (!patched) {
			add_table(&machine, &record);
		}
	}
	loam_phys_t root = loam_acpi_find_root(&source);
	require(patched || root == ACPI_RSDP);
	int error = loam_acpi_open(&acpi, &source, ACPI_RSDP);
	require(patched || error == 0);
	require_tables(&machine, &acpi);
	(void)loam_topology_read(&topology, &acpi);
	require(loam_topology_check(&topology) == 0);
	for (unsigned i = 0; i < topology.range_count; i++) {
		require(loam_topology_node_of(&topology,
					      topology.ranges[i].base) ==
			topology.ranges[i].node);
	}
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* What the files of the acpi floor share: fields, and entries of a table. */
#ifndef LOAM_ACPI_INT_H
#define LOAM_ACPI_INT_H

#include <loam/acpi.h>
#include <loam/assert.h>
#include <loam/mem.h>

#define ACPI_HEADER 36u /* bytes of every table but the root pointer */

/* Fields lie at any alignment, the lowest byte first. */
static inline uint32_t acpi_16(const unsigned char *at)
{
	return at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t acpi_32(const unsigned char *at)
{
	return acpi_16(at) | acpi_16(at + 2) << 16;
}

static inline uint64_t acpi_64(const unsigned char *at)
{
	return acpi_32(at) | (uint64_t)acpi_32(at + 4) << 32;
}

/* An address as an argument of %llx on 32 and 64 bits. */
static inline unsigned long long acpi_hex(uint64_t n)
{
	return n;
}

static inline bool acpi_read(const struct loam_acpi *acpi, loam_phys_t phys,
			     void *to, size_t size_bytes)
{
	return acpi->source.read(acpi->source.ctx, phys, to, size_bytes);
}

/*
 * An entry of the MADT or the SRAT: a type, a length, and bytes. Longer ones
 * than any we know of are cut to what we know.
 */
#define ACPI_ENTRY_BYTES 40u

struct acpi_entry {
	uint32_t offset; /* in its table; 0 starts a walk */
	uint8_t type;
	uint8_t length;
	unsigned char bytes[ACPI_ENTRY_BYTES]; /* type and length included */
};

/*
 * acpi.c: steps to the next entry of a table whose entries begin at `first`.
 * False behind the last one, and where a length leads out of the table or
 * nowhere, which is logged.
 */
bool loam_acpi_next(const struct loam_acpi *acpi,
		    const struct loam_acpi_table *table, uint32_t first,
		    struct acpi_entry *entry);

/* acpi.c: true if the entry has at least `bytes`; else logs that it has not. */
bool loam_acpi_long_enough(const struct loam_acpi_table *table,
			   const struct acpi_entry *entry, uint32_t bytes);

/* madt.c: CPUs and interrupt controllers. */
void loam_acpi_read_madt(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table);

/* srat.c: nodes, their memory and whose CPUs are whose, all or nothing. */
void loam_acpi_read_srat(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table);

/* slit.c: distances between the nodes that the SRAT named, all or nothing. */
void loam_acpi_read_slit(struct loam_topology *topology,
			 const struct loam_acpi *acpi,
			 const struct loam_acpi_table *table);

#endif

/* SPDX-License-Identifier: MIT */
/* Finding ACPI tables, and believing only those that are whole. */
#include "acpi_int.h"

/*
 * From the root pointer to a table
 * ================================
 *
 * root pointer "RSD PTR "   found by a scan, or handed over by a loader
 *	  +- XSDT                 a list of 64-bit addresses (ACPI 2.0)
 *	  |    or RSDT            a list of 32-bit ones
 *	  +----- FACP, APIC (the MADT), SRAT, SLIT, ...
 *
 * Every table begins with the same header: signature, length, revision and a
 * byte that makes the sum of all its bytes 0 modulo 256. Firmware gets each of
 * these wrong somewhere, and a hostile guest's firmware on purpose, so:
 *
 *   - lengths are limited before anything is summed: the largest loop is a
 *     table of LOAM_ACPI_TABLE_MAX bytes, times LOAM_ACPI_TABLES;
 *   - a table is listed once, whatever leads to it, and lists are not followed
 *     from within lists: there are no cycles to walk;
 *   - bytes are copied before they are looked at, so a table cannot change
 *     between the check and the use of one entry; between the sum and the use
 *     it could, and then an entry is still judged by itself.
 *
 * Nothing here fails for want of memory, for none is allocated.
 *
 * Source: Advanced Configuration and Power Interface Specification 6.5, 5.2.
 */

#define RSDP_BYTES 20u   /* of ACPI 1.0, with a sum of its own */
#define RSDP_BYTES_2 36u /* since ACPI 2.0 */
#define EBDA_SEGMENT 0x40eu
#define BIOS_AREA 0xe0000u
#define BIOS_AREA_END 0x100000u
#define RSDP_STEP 16u
#define SCAN_BYTES 256u /* the most that a source is asked for */

#define CHUNK 64u /* bytes that are summed at a time; divides a page */

static uint8_t acpi_sum(const unsigned char *bytes, size_t count)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		sum = (uint8_t)(sum + bytes[i]);
	}
	return sum;
}

/* -------- the root pointer -------- */

/* True if the bytes are a root pointer, as far as ACPI 1.0 defined it. */
static bool acpi_is_root(const unsigned char bytes[RSDP_BYTES])
{
	return memcmp(bytes, "RSD PTR ", 8) == 0 &&
	       acpi_sum(bytes, RSDP_BYTES) == 0;
}

/* The first root pointer that begins in bytes[0..count), or count. */
static size_t acpi_scan_block(const unsigned char *bytes, size_t count)
{
	size_t at = 0;
	while (at + RSDP_BYTES <= count &&
	       (bytes[at] != 'R' || !acpi_is_root(bytes + at))) {
		at += RSDP_STEP;
	}
	return at + RSDP_BYTES <= count ? at : count;
}

/*
 * Looks at all multiples of 16, of which most have nothing: so as many bytes
 * are read at once as may be, and single ones only where that fails.
 */
static loam_phys_t acpi_scan(const struct loam_acpi_source *source,
			     loam_phys_t from, loam_phys_t end)
{
	unsigned char bytes[SCAN_BYTES];
	loam_phys_t at = from;
	while (at + RSDP_BYTES <= end) {
		size_t count =
			end - at < SCAN_BYTES ? (size_t)(end - at) : SCAN_BYTES;
		size_t step = SCAN_BYTES - RSDP_STEP;
		if (!source->read(source->ctx, at, bytes, count)) {
			count = RSDP_BYTES;
			step = RSDP_STEP;
			if (!source->read(source->ctx, at, bytes, count)) {
				at += step;
				continue;
			}
		}
		size_t found = acpi_scan_block(bytes, count);
		if (found != count) {
			return at + found;
		}
		at += step;
	}
	return LOAM_PHYS_NONE;
}

loam_phys_t loam_acpi_find_root(const struct loam_acpi_source *source)
{
	unsigned char segment[2];
	loam_phys_t found = LOAM_PHYS_NONE;
	if (source->read(source->ctx, EBDA_SEGMENT, segment, sizeof(segment))) {
		loam_phys_t ebda = (loam_phys_t)acpi_16(segment) << 4;
		if (ebda != 0) {
			found = acpi_scan(source, ebda, ebda + 1024);
		}
	}
	if (found == LOAM_PHYS_NONE) {
		found = acpi_scan(source, BIOS_AREA, BIOS_AREA_END);
	}
	return found;
}

/* -------- tables -------- */

static bool acpi_table_sums_up(const struct loam_acpi *acpi,
			       const struct loam_acpi_table *table)
{
	unsigned char bytes[CHUNK];
	uint8_t sum = 0;
	for (uint32_t done = 0; done < table->length; done += CHUNK) {
		uint32_t count = table->length - done;
		if (count > CHUNK) {
			count = CHUNK;
		}
		if (!acpi_read(acpi, table->phys + done, bytes, count)) {
			return false;
		}
		sum = (uint8_t)(sum + acpi_sum(bytes, count));
	}
	return sum == 0;
}

/* A signature from anywhere, made printable. */
static void acpi_copy_signature(char to[5], const unsigned char *from)
{
	for (unsigned i = 0; i < 4; i++) {
		to[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
	}
	to[4] = '\0';
}

/* Describes the table at phys. Logs why, and returns false, if it is none. */
static bool acpi_look(const struct loam_acpi *acpi, loam_phys_t phys,
		      struct loam_acpi_table *table)
{
	unsigned char header[ACPI_HEADER];
	if (phys == 0 || phys > LOAM_PHYS_NONE - LOAM_ACPI_TABLE_MAX ||
	    !acpi_read(acpi, phys, header, sizeof(header))) {
		loam_log(LOAM_LOG_WARNING, "acpi: no table at 0x%llx: ignored",
			 acpi_hex(phys));
		return false;
	}
	acpi_copy_signature(table->signature, header);
	table->phys = phys;
	table->length = acpi_32(header + 4);
	table->revision = header[8];
	if (table->length < ACPI_HEADER ||
	    table->length > LOAM_ACPI_TABLE_MAX) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: table %s at 0x%llx says it has %u bytes:"
			 " ignored",
			 table->signature, acpi_hex(phys),
			 (unsigned)table->length);
		return false;
	}
	if (!acpi_table_sums_up(acpi, table)) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: table %s at 0x%llx of %u bytes has a wrong"
			 " checksum: ignored",
			 table->signature, acpi_hex(phys),
			 (unsigned)table->length);
		return false;
	}
	return true;
}

static bool acpi_is_listed(const struct loam_acpi *acpi, loam_phys_t phys)
{
	for (uint32_t i = 0; i < acpi->count; i++) {
		if (acpi->tables[i].phys == phys) {
			return true;
		}
	}
	return false;
}

static void acpi_add(struct loam_acpi *acpi, loam_phys_t phys)
{
	struct loam_acpi_table table;
	if (acpi_is_listed(acpi, phys)) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: the table at 0x%llx is listed twice",
			 acpi_hex(phys));
		return;
	}
	if (!acpi_look(acpi, phys, &table)) {
		acpi->broken++;
		return;
	}
	acpi->tables[acpi->count++] = table;
}

/* Adds what a list has, whose entries are of entry_bytes. */
static void acpi_add_list(struct loam_acpi *acpi,
			  const struct loam_acpi_table *list,
			  uint32_t entry_bytes)
{
	uint32_t entries = (list->length - ACPI_HEADER) / entry_bytes;
	for (uint32_t i = 0; i < entries; i++) {
		unsigned char entry[8] = { 0 };
		if (acpi->count == LOAM_ACPI_TABLES ||
		    acpi->broken == LOAM_ACPI_TABLES) {
			loam_log(LOAM_LOG_WARNING,
				 "acpi: %s at 0x%llx lists %u tables; those"
				 " from number %u on are ignored",
				 list->signature, acpi_hex(list->phys),
				 (unsigned)entries, (unsigned)i);
			return;
		}
		if (!acpi_read(acpi, list->phys + ACPI_HEADER + i * entry_bytes,
			       entry, entry_bytes)) {
			acpi->broken++;
			continue;
		}
		acpi_add(acpi, acpi_64(entry));
	}
}

/* True if phys leads to a list with this signature, whose tables are added. */
static bool acpi_try_list(struct loam_acpi *acpi, loam_phys_t phys,
			  const char *signature, uint32_t entry_bytes)
{
	struct loam_acpi_table list;
	if (phys == 0 || !acpi_look(acpi, phys, &list)) {
		return false;
	}
	if (!loam_streq(list.signature, signature)) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: the table at 0x%llx is %s where %s is due",
			 acpi_hex(phys), list.signature, signature);
		return false;
	}
	acpi_add_list(acpi, &list, entry_bytes);
	return true;
}

/* The address of the XSDT, or 0: the pointer is an old or a broken one. */
static loam_phys_t acpi_xsdt_of(const struct loam_acpi *acpi, loam_phys_t rsdp,
				uint8_t revision)
{
	unsigned char bytes[RSDP_BYTES_2];
	if (revision < 2 || !acpi_read(acpi, rsdp, bytes, sizeof(bytes)) ||
	    acpi_32(bytes + 20) < RSDP_BYTES_2 ||
	    acpi_sum(bytes, sizeof(bytes)) != 0) {
		return 0;
	}
	return acpi_64(bytes + 24);
}

int loam_acpi_open(struct loam_acpi *acpi,
		   const struct loam_acpi_source *source, loam_phys_t rsdp)
{
	unsigned char root[RSDP_BYTES];
	acpi->source = *source;
	acpi->count = 0;
	acpi->broken = 0;
	if (rsdp > LOAM_PHYS_NONE - RSDP_BYTES_2 ||
	    !acpi_read(acpi, rsdp, root, sizeof(root)) || !acpi_is_root(root)) {
		loam_log(LOAM_LOG_WARNING, "acpi: no root pointer at 0x%llx",
			 acpi_hex(rsdp));
		return -LOAM_EINVAL;
	}
	if (acpi_try_list(acpi, acpi_xsdt_of(acpi, rsdp, root[15]), "XSDT",
			  8) ||
	    acpi_try_list(acpi, acpi_32(root + 16), "RSDT", 4)) {
		return 0;
	}
	loam_log(LOAM_LOG_WARNING,
		 "acpi: the root pointer at 0x%llx leads to no sound list of"
		 " tables",
		 acpi_hex(rsdp));
	return -LOAM_EINVAL;
}

const struct loam_acpi_table *loam_acpi_find(const struct loam_acpi *acpi,
					     const char *signature)
{
	for (uint32_t i = 0; i < acpi->count; i++) {
		if (loam_streq(acpi->tables[i].signature, signature)) {
			return &acpi->tables[i];
		}
	}
	return NULL;
}

/* -------- entries -------- */

bool loam_acpi_next(const struct loam_acpi *acpi,
		    const struct loam_acpi_table *table, uint32_t first,
		    struct acpi_entry *entry)
{
	uint32_t at =
		entry->offset == 0 ? first : entry->offset + entry->length;
	if (at >= table->length) {
		return false;
	}
	uint32_t left = table->length - at;
	unsigned char head[2] = { 0, 0 };
	if (left >= 2 && !acpi_read(acpi, table->phys + at, head, 2)) {
		left = 0;
	}
	if (left < 2 || head[1] < 2 || head[1] > left) {
		loam_log(LOAM_LOG_WARNING,
			 "acpi: %s: the entry at offset %u says it has %u of"
			 " the %u bytes left: the rest is ignored",
			 table->signature, (unsigned)at, head[1],
			 (unsigned)left);
		return false;
	}
	entry->offset = at;
	entry->type = head[0];
	entry->length = head[1];
	memset(entry->bytes, 0, sizeof(entry->bytes));
	size_t bytes = head[1] < ACPI_ENTRY_BYTES ? head[1] : ACPI_ENTRY_BYTES;
	return acpi_read(acpi, table->phys + at, entry->bytes, bytes);
}

bool loam_acpi_long_enough(const struct loam_acpi_table *table,
			   const struct acpi_entry *entry, uint32_t bytes)
{
	if (entry->length >= bytes) {
		return true;
	}
	loam_log(LOAM_LOG_WARNING,
		 "acpi: %s: the entry of type %u at offset %u has %u bytes"
		 " where %u are due: ignored",
		 table->signature, entry->type, (unsigned)entry->offset,
		 entry->length, (unsigned)bytes);
	return false;
}

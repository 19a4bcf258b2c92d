/* SPDX-License-Identifier: MIT */
/* Physical memory with ACPI tables in it, for tests and the fuzzer. */
#ifndef LOAM_ACPI_MACHINE_H
#define LOAM_ACPI_MACHINE_H

#include <string.h>

#include <loam/acpi.h>

#define ACPI_MEMORY 0x200000u
#define ACPI_RSDP 0xf5a40u
#define ACPI_RSDT 0x101000u
#define ACPI_XSDT 0x102000u
#define ACPI_FIRST_TABLE 0x110000u
#define ACPI_TABLE_STEP 0x8000u

/* 2 MiB from address 0 on; reads at fail_at fail, 0: none does. */
struct acpi_machine {
	unsigned char memory[ACPI_MEMORY];
	loam_phys_t fail_at;
	unsigned tables; /* added so far */
};

static inline bool acpi_machine_read(void *ctx, loam_phys_t phys, void *to,
				     size_t size_bytes)
{
	struct acpi_machine *machine = ctx;
	if (size_bytes > 256 || phys > ACPI_MEMORY ||
	    size_bytes > ACPI_MEMORY - phys ||
	    (machine->fail_at != 0 && phys <= machine->fail_at &&
	     machine->fail_at < phys + size_bytes)) {
		return false;
	}
	memcpy(to, machine->memory + phys, size_bytes);
	return true;
}

static inline void acpi_put(unsigned char *to, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		to[i] = (unsigned char)(value >> (8 * i));
	}
}

/* Sets the byte at `at` so that all `bytes` from start on sum up to 0. */
static inline void acpi_seal(unsigned char *start, size_t bytes, size_t at)
{
	unsigned sum = 0;
	start[at] = 0;
	for (size_t i = 0; i < bytes; i++) {
		sum += start[i];
	}
	start[at] = (unsigned char)(0u - sum);
}

/* A header in front of what is there, sealed. */
static inline void acpi_head(unsigned char *at, const char *signature,
			     uint32_t length, unsigned revision)
{
	memcpy(at, signature, 4);
	acpi_put(at + 4, length, 4);
	at[8] = (unsigned char)revision;
	acpi_seal(at, length, 9);
}

/* Points both lists at the tables added so far, and the root at the lists. */
static inline void acpi_list(struct acpi_machine *machine)
{
	unsigned char *rsdt = machine->memory + ACPI_RSDT;
	unsigned char *xsdt = machine->memory + ACPI_XSDT;
	unsigned char *root = machine->memory + ACPI_RSDP;
	for (unsigned i = 0; i < machine->tables; i++) {
		uint32_t phys = ACPI_FIRST_TABLE + i * ACPI_TABLE_STEP;
		acpi_put(rsdt + 36 + 4 * i, phys, 4);
		acpi_put(xsdt + 36 + 8 * i, phys, 8);
	}
	acpi_head(rsdt, "RSDT", 36 + 4 * machine->tables, 1);
	acpi_head(xsdt, "XSDT", 36 + 8 * machine->tables, 1);
	memcpy(root, "RSD PTR ", 8);
	root[15] = 2;
	acpi_put(root + 16, ACPI_RSDT, 4);
	acpi_put(root + 20, 36, 4);
	acpi_put(root + 24, ACPI_XSDT, 8);
	acpi_seal(root, 20, 8);
	acpi_seal(root, 36, 32);
}

/* Adds a table whose body (behind its header) is given. Returns its place. */
static inline unsigned char *acpi_add(struct acpi_machine *machine,
				      const char *signature, unsigned revision,
				      const void *body, uint32_t body_bytes)
{
	unsigned char *at = machine->memory + ACPI_FIRST_TABLE +
			    machine->tables++ * ACPI_TABLE_STEP;
	if (body_bytes != 0) {
		memcpy(at + 36, body, body_bytes);
	}
	acpi_head(at, signature, 36 + body_bytes, revision);
	acpi_list(machine);
	return at;
}

#endif

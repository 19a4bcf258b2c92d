/* SPDX-License-Identifier: MIT */
/* What ACPI tables say of CPUs and memory nodes: MADT, SRAT and SLIT. */
#ifndef LOAM_ACPI_H
#define LOAM_ACPI_H

#include <loam/types.h>

/*
 * Firmware describes a PC's CPUs, interrupt controllers and memory nodes in
 * tables anywhere in physical memory (ACPI 6.5, chapter 5). They are read by
 * copying through a callback, since a kernel may have no direct map where they
 * are; nothing in them is believed before it was checked, and nothing is
 * written. No locks: each function works on its arguments alone.
 */

/* How physical memory is read. */
struct loam_acpi_source {
	/*
	 * Copies size_bytes (at most 256) from phys on, at any alignment;
	 * false: there is no such memory, or it cannot be reached.
	 */
	bool (*read)(void *ctx, loam_phys_t phys, void *to, size_t size_bytes);
	void *ctx;
};

/* A table whose length and checksum are right. */
struct loam_acpi_table {
	char signature[5]; /* four characters and an end mark */
	uint8_t revision;
	uint32_t length; /* with its header of 36 bytes */
	loam_phys_t phys;
};

#define LOAM_ACPI_TABLES 64u           /* more are dropped, with a word */
#define LOAM_ACPI_TABLE_MAX (1u << 20) /* bytes: a longer one is broken */

/* The list of tables of one machine. Open; its fields are for reading. */
struct loam_acpi {
	struct loam_acpi_source source;
	uint32_t count;
	uint32_t broken; /* tables that are left out, each with a log line */
	struct loam_acpi_table tables[LOAM_ACPI_TABLES];
};

/*
 * Looks for the root pointer where a BIOS puts it: the first KiB of the
 * extended BIOS data area, then 0xE0000 to 0xFFFFF, at multiples of 16. UEFI
 * and Multiboot 2 hand it over instead. Returns its address, or LOAM_PHYS_NONE.
 * Cost: some 560 reads of 256 bytes.
 */
loam_phys_t loam_acpi_find_root(const struct loam_acpi_source *source);

/*
 * Lists the tables that the root pointer at rsdp leads to, by way of the XSDT
 * where there is a sound one, else the RSDT. A table that is unreadable, too
 * short or long, or whose checksum is wrong is logged and left out; so is one
 * that was listed before, which ends cycles. 0, or -LOAM_EINVAL (logged): no
 * sound root pointer, or no sound list. No table is listed then.
 * Cost: O(bytes of all tables), for the checksums.
 */
int loam_acpi_open(struct loam_acpi *acpi,
		   const struct loam_acpi_source *source, loam_phys_t rsdp);

/* The first table with this signature, or NULL. O(tables). */
const struct loam_acpi_table *loam_acpi_find(const struct loam_acpi *acpi,
					     const char *signature);

/* ---------------------------------------------------------- what they say */

#define LOAM_TOPOLOGY_CPUS 256u
#define LOAM_TOPOLOGY_IO_APICS 16u
#define LOAM_TOPOLOGY_OVERRIDES 24u
#define LOAM_TOPOLOGY_NODES 16u
#define LOAM_TOPOLOGY_RANGES 64u

/* Distances as in the SLIT: 10 is local, 255 out of reach. */
#define LOAM_DISTANCE_LOCAL 10u
#define LOAM_DISTANCE_REMOTE 20u
#define LOAM_DISTANCE_NONE 255u

struct loam_topology_cpu {
	uint32_t apic_id;
	uint32_t uid; /* the firmware's own number */
	uint8_t node; /* index of its memory node */
	bool enabled; /* can be started now; else it may be plugged in */
};

struct loam_topology_io_apic {
	loam_phys_t phys;
	uint32_t first_interrupt; /* global number of its input 0 */
	uint8_t id;
};

/* ISA interrupt `source` arrives as global interrupt `interrupt`. */
struct loam_topology_override {
	uint32_t interrupt;
	uint16_t flags; /* bits 0-1 polarity, 2-3 trigger mode */
	uint8_t source;
};

struct loam_topology_range {
	loam_phys_t base;
	loam_phys_t size;
	uint8_t node;
	bool hotplug; /* memory may come here later: none need be there now */
};

/* What a kernel wants to know, in its own numbers. */
struct loam_topology {
	loam_phys_t local_apic; /* 0: no MADT was found */
	bool legacy_pics;       /* the two 8259 are there and must be masked */
	uint32_t cpu_count;
	struct loam_topology_cpu cpus[LOAM_TOPOLOGY_CPUS];
	uint32_t io_apic_count;
	struct loam_topology_io_apic io_apics[LOAM_TOPOLOGY_IO_APICS];
	uint32_t override_count;
	struct loam_topology_override overrides[LOAM_TOPOLOGY_OVERRIDES];
	/* Nodes by ascending proximity domain; at least one. */
	uint32_t node_count;
	uint32_t domain[LOAM_TOPOLOGY_NODES];
	uint8_t distance[LOAM_TOPOLOGY_NODES][LOAM_TOPOLOGY_NODES];
	/* By ascending base, disjoint. None: all memory is node 0's. */
	uint32_t range_count;
	struct loam_topology_range ranges[LOAM_TOPOLOGY_RANGES];
};

/*
 * A machine of which nothing is known: one CPU, one node that has all memory.
 */
void loam_topology_init(struct loam_topology *topology);

/*
 * Fills *topology from the MADT, SRAT and SLIT among the tables. An entry that
 * cannot be is logged with its offset and skipped, and what follows it is still
 * read as long as lengths lead on. A CPU listed twice counts once. More than
 * there is room for is dropped and logged. Memory that two nodes claim, or a
 * SRAT without memory, makes the machine one of a single node; a SLIT of
 * another size or with impossible distances counts for nothing: then 10 and 20
 * hold.
 * Returns 0, or -LOAM_ENOENT: no MADT, or one without a CPU that can be
 * started; the CPU that runs this is then the only one in *topology.
 * Cost: O(entries^2) at most, over a few hundred.
 */
int loam_topology_read(struct loam_topology *topology,
		       const struct loam_acpi *acpi);

/* The node whose memory phys is; 0 where nothing was said. O(ranges). */
uint8_t loam_topology_node_of(const struct loam_topology *topology,
			      loam_phys_t phys);

/* 0, or -LOAM_EFAULT (logged): what the comments above say, does not hold. */
int loam_topology_check(const struct loam_topology *topology);

#endif

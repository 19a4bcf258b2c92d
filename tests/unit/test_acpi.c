/* SPDX-License-Identifier: MIT */
/* ACPI tables: sound ones, each way in which one can be broken, topology. */
#include "test.h"

#include "acpi_machine.h"

static struct acpi_machine machine;
static struct loam_acpi acpi;
static struct loam_topology topology;

static const struct loam_acpi_source source = { acpi_machine_read, &machine };

static void begin(void)
{
	memset(&machine, 0, sizeof(machine));
	acpi_list(&machine);
}

/* A body that is written entry by entry. */
struct body {
	unsigned char bytes[8192];
	uint32_t length;
};

static unsigned char *body_entry(struct body *body, unsigned type,
				 unsigned length)
{
	unsigned char *at = body->bytes + body->length;
	at[0] = (unsigned char)type;
	at[1] = (unsigned char)length;
	body->length += length;
	return at;
}

static void madt_begin(struct body *body)
{
	memset(body, 0, sizeof(*body));
	acpi_put(body->bytes, 0xfee00000u, 4);
	acpi_put(body->bytes + 4, 1, 4);
	body->length = 8;
}

static void madt_cpu(struct body *body, unsigned apic_id, unsigned flags)
{
	unsigned char *at = body_entry(body, 0, 8);
	at[2] = (unsigned char)(apic_id + 100);
	at[3] = (unsigned char)apic_id;
	acpi_put(at + 4, flags, 4);
}

static void madt_x2apic(struct body *body, uint32_t apic_id, unsigned flags)
{
	unsigned char *at = body_entry(body, 9, 16);
	acpi_put(at + 4, apic_id, 4);
	acpi_put(at + 8, flags, 4);
	acpi_put(at + 12, apic_id + 1000, 4);
}

static void srat_begin(struct body *body)
{
	memset(body, 0, sizeof(*body));
	body->bytes[0] = 1;
	body->length = 12;
}

static void srat_memory(struct body *body, uint32_t domain, uint64_t base,
			uint64_t size, unsigned flags)
{
	unsigned char *at = body_entry(body, 1, 40);
	acpi_put(at + 2, domain, 4);
	acpi_put(at + 8, base, 8);
	acpi_put(at + 16, size, 8);
	acpi_put(at + 28, flags, 4);
}

static void srat_cpu(struct body *body, uint32_t domain, unsigned apic_id)
{
	unsigned char *at = body_entry(body, 0, 16);
	at[2] = (unsigned char)domain;
	at[3] = (unsigned char)apic_id;
	acpi_put(at + 4, 1, 4);
	acpi_put(at + 9, domain >> 8, 3);
}

static void add_body(const char *signature, unsigned revision,
		     const struct body *body)
{
	acpi_add(&machine, signature, revision, body->bytes, body->length);
}

static int read_machine(void)
{
	hosted_log_clear();
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	int error = loam_topology_read(&topology, &acpi);
	EXPECT_EQ(loam_topology_check(&topology), 0);
	return error;
}

/* Four CPUs, the last of them only to be plugged in. */
static void add_four_cpus(void)
{
	struct body body;
	madt_begin(&body);
	madt_cpu(&body, 0, 1);
	madt_cpu(&body, 2, 1);
	madt_cpu(&body, 4, 1);
	madt_cpu(&body, 6, 2);
	add_body("APIC", 3, &body);
}

/* -------- the root pointer -------- */

TEST(scan, "the root pointer is found in the BIOS area and in the EBDA")
{
	begin();
	EXPECT_EQ(loam_acpi_find_root(&source), ACPI_RSDP);
	memcpy(machine.memory + 0x9fc10, machine.memory + ACPI_RSDP, 36);
	acpi_put(machine.memory + 0x40e, 0x9fc0, 2);
	EXPECT_EQ(loam_acpi_find_root(&source), 0x9fc10);
	/* At an address that is no multiple of 16 it is none. */
	memset(machine.memory + 0x9fc10, 0, 36);
	memmove(machine.memory + 0xe0008, machine.memory + ACPI_RSDP, 36);
	memset(machine.memory + ACPI_RSDP, 0, 36);
	EXPECT_EQ(loam_acpi_find_root(&source), LOAM_PHYS_NONE);
	/* The last place there is. */
	memcpy(machine.memory + 0xfffe0, machine.memory + 0xe0008, 20);
	EXPECT_EQ(loam_acpi_find_root(&source), 0xfffe0);
	machine.memory[0xfffe0 + 10] ^= 1;
	EXPECT_EQ(loam_acpi_find_root(&source), LOAM_PHYS_NONE);
}

TEST(bad_root, "a root pointer that is none is refused with its address")
{
	static const loam_phys_t places[] = { 0, 0x123450, ACPI_MEMORY - 8,
					      LOAM_PHYS_NONE };
	begin();
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(places); i++) {
		hosted_log_clear();
		EXPECT_EQ(loam_acpi_open(&acpi, &source, places[i]),
			  -LOAM_EINVAL);
		EXPECT_LOG("acpi: no root pointer at 0x");
		EXPECT_EQ(acpi.count, 0);
	}
}

TEST(lists, "the XSDT is preferred, and the RSDT serves where it is broken")
{
	begin();
	acpi_add(&machine, "FACP", 4, "x", 1);
	acpi_add(&machine, "APIC", 3, "x", 1);
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, 2);
	EXPECT_EQ(acpi.broken, 0);
	EXPECT(loam_acpi_find(&acpi, "SRAT") == NULL);
	const struct loam_acpi_table *table = loam_acpi_find(&acpi, "APIC");
	EXPECT(table == &acpi.tables[1]);
	EXPECT_EQ(table->phys, ACPI_FIRST_TABLE + ACPI_TABLE_STEP);
	EXPECT_EQ(table->length, 37);
	EXPECT_EQ(table->revision, 3);

	machine.memory[ACPI_XSDT + 20] ^= 1;
	hosted_log_clear();
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_LOG("table XSDT at 0x102000 of 52 bytes has a wrong checksum");
	EXPECT_EQ(acpi.count, 2);

	memcpy(machine.memory + ACPI_RSDT, "BAD!", 4);
	acpi_seal(machine.memory + ACPI_RSDT, 44, 9);
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), -LOAM_EINVAL);
	EXPECT_LOG("table at 0x101000 is BAD! where RSDT is due");
	EXPECT_LOG("leads to no sound list of tables");
	EXPECT_EQ(acpi.count, 0);
}

TEST(old_root, "a root pointer of ACPI 1.0 leads to the RSDT alone")
{
	begin();
	acpi_add(&machine, "APIC", 1, "x", 1);
	unsigned char *root = machine.memory + ACPI_RSDP;
	memset(machine.memory + ACPI_XSDT, 0xee, 64);
	root[15] = 0;
	acpi_seal(root, 20, 8);
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, 1);
	/* Of revision 2, but with a wrong sum over all 36 bytes: likewise. */
	root[15] = 2;
	acpi_seal(root, 20, 8);
	root[33] ^= 1;
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, 1);
}

/* -------- tables -------- */

TEST(broken_tables, "a broken table is named and left out, the others stay")
{
	begin();
	unsigned char *first = acpi_add(&machine, "AAAA", 1, "abc", 3);
	unsigned char *second = acpi_add(&machine, "BBBB", 1, "abc", 3);
	unsigned char *third = acpi_add(&machine, "CC\1C", 1, "abc", 3);
	acpi_add(&machine, "DDDD", 1, "abc", 3);
	first[36] ^= 0x80;
	acpi_put(second + 4, 35, 4);
	acpi_put(third + 4, LOAM_ACPI_TABLE_MAX + 1, 4);
	hosted_log_clear();
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_LOG("table AAAA at 0x110000 of 39 bytes has a wrong checksum");
	EXPECT_LOG("table BBBB at 0x118000 says it has 35 bytes");
	EXPECT_LOG("table CC?C at 0x120000 says it has 1048577 bytes");
	EXPECT_EQ(acpi.broken, 3);
	EXPECT_EQ(acpi.count, 1);
	EXPECT(loam_acpi_find(&acpi, "DDDD") != NULL);
}

TEST(unreadable, "a table that cannot be read through to its end is left out")
{
	struct body body;
	begin();
	memset(&body, 7, sizeof(body));
	body.length = 5000;
	add_body("LONG", 1, &body);
	acpi_add(&machine, "NEXT", 1, "abc", 3);
	for (loam_phys_t at = 0; at < 5036; at += 100) {
		machine.fail_at = ACPI_FIRST_TABLE + at;
		EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
		EXPECT_EQ(acpi.count, 1);
		EXPECT_EQ(acpi.broken, 1);
	}
	machine.fail_at = 0;
	/* One that says it goes on past the end of memory. */
	acpi_put(machine.memory + ACPI_XSDT + 36, ACPI_MEMORY - 40, 8);
	acpi_seal(machine.memory + ACPI_XSDT, 52, 9);
	memcpy(machine.memory + ACPI_MEMORY - 40, "PAST", 4);
	acpi_put(machine.memory + ACPI_MEMORY - 36, 100, 4);
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, 1);
	EXPECT_EQ(acpi.broken, 1);
}

TEST(cycles, "a list that names itself, or a table twice, ends all the same")
{
	begin();
	for (unsigned i = 0; i < 4; i++) {
		acpi_add(&machine, "AAAA", 1, "abc", 3);
	}
	unsigned char *xsdt = machine.memory + ACPI_XSDT;
	acpi_put(xsdt + 36, ACPI_XSDT, 8);
	acpi_put(xsdt + 44, ACPI_FIRST_TABLE, 8);
	acpi_put(xsdt + 52, ACPI_FIRST_TABLE, 8);
	acpi_put(xsdt + 60, 0, 8);
	acpi_seal(xsdt, 68, 9);
	hosted_log_clear();
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, 2);
	EXPECT_LOG("the table at 0x110000 is listed twice");
	EXPECT_LOG("no table at 0x0: ignored");
}

TEST(many, "more tables than there is room for are dropped with a word")
{
	begin();
	acpi_add(&machine, "AAAA", 1, "abc", 3);
	unsigned char *xsdt = machine.memory + ACPI_XSDT;
	for (unsigned i = 0; i < 100; i++) {
		unsigned char *at = machine.memory + 0x180000 + 64 * i;
		acpi_head(at, "MANY", 36, 1);
		acpi_put(xsdt + 36 + 8 * i, 0x180000 + 64 * i, 8);
	}
	acpi_head(xsdt, "XSDT", 36 + 800, 1);
	hosted_log_clear();
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, LOAM_ACPI_TABLES);
	EXPECT_LOG("XSDT at 0x102000 lists 100 tables; those from number 64");
}

/* -------- CPUs -------- */

TEST(madt, "the MADT's CPUs, I/O APICs and overrides are what it says")
{
	struct body body;
	begin();
	madt_begin(&body);
	madt_cpu(&body, 0, 1);
	madt_cpu(&body, 1, 0); /* an empty socket */
	madt_cpu(&body, 3, 2);
	madt_x2apic(&body, 300, 1);
	madt_x2apic(&body, 3, 1); /* listed both ways */
	madt_cpu(&body, 255, 1);  /* all of them, so none */
	madt_x2apic(&body, 0xffffffffu, 1);
	unsigned char *io = body_entry(&body, 1, 12);
	io[2] = 9;
	acpi_put(io + 4, 0xfec00000u, 4);
	acpi_put(io + 8, 24, 4);
	unsigned char *irq = body_entry(&body, 2, 10);
	irq[3] = 9;
	acpi_put(irq + 4, 20, 4);
	acpi_put(irq + 8, 13, 2);
	body_entry(&body, 4, 6);
	body_entry(&body, 200, 2);
	acpi_put(body_entry(&body, 5, 12) + 4, 0x123456000ull, 8);
	add_body("APIC", 3, &body);
	EXPECT_EQ(read_machine(), 0);
	EXPECT_EQ(topology.local_apic, 0x123456000ull);
	EXPECT(topology.legacy_pics);
	EXPECT_EQ(topology.cpu_count, 3);
	EXPECT_EQ(topology.cpus[0].apic_id, 0);
	EXPECT_EQ(topology.cpus[0].uid, 100);
	EXPECT(topology.cpus[0].enabled);
	EXPECT_EQ(topology.cpus[1].apic_id, 3);
	EXPECT(topology.cpus[1].enabled);
	EXPECT_EQ(topology.cpus[2].apic_id, 300);
	EXPECT_EQ(topology.cpus[2].uid, 1300);
	EXPECT_EQ(topology.io_apic_count, 1);
	EXPECT_EQ(topology.io_apics[0].id, 9);
	EXPECT_EQ(topology.io_apics[0].phys, 0xfec00000u);
	EXPECT_EQ(topology.io_apics[0].first_interrupt, 24);
	EXPECT_EQ(topology.override_count, 1);
	EXPECT_EQ(topology.overrides[0].source, 9);
	EXPECT_EQ(topology.overrides[0].interrupt, 20);
	EXPECT_EQ(topology.overrides[0].flags, 13);
}

TEST(no_cpu, "without a MADT, or a CPU in it, this CPU is all there is")
{
	struct body body;
	begin();
	EXPECT_EQ(read_machine(), -LOAM_ENOENT);
	EXPECT_EQ(topology.cpu_count, 1);
	EXPECT_EQ(topology.local_apic, 0);
	EXPECT_LOG("no CPU that can be started");
	madt_begin(&body);
	madt_cpu(&body, 5, 2);
	add_body("APIC", 3, &body);
	EXPECT_EQ(read_machine(), -LOAM_ENOENT);
	EXPECT_EQ(topology.cpu_count, 1);
	EXPECT_EQ(topology.local_apic, 0xfee00000u);
	begin();
	acpi_add(&machine, "APIC", 3, "1234567", 7);
	EXPECT_EQ(read_machine(), -LOAM_ENOENT);
	EXPECT_LOG("acpi: APIC of 43 bytes: ignored");
}

TEST(bad_lengths, "entries that end nowhere are reported where they are")
{
	static const struct {
		unsigned char length;
		const char *text;
	} cases[] = {
		{ 0, "offset 52 says it has 0 of the 8 bytes left" },
		{ 1, "offset 52 says it has 1 of the 8 bytes left" },
		{ 9, "offset 52 says it has 9 of the 8 bytes left" },
		{ 255, "offset 52 says it has 255 of the 8 bytes left" },
		{ 7, "entry of type 0 at offset 52 has 7 bytes where 8 are" },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		struct body body;
		begin();
		madt_begin(&body);
		madt_cpu(&body, 0, 1);
		madt_cpu(&body, 1, 1);
		body.bytes[17] = cases[i].length;
		add_body("APIC", 3, &body);
		EXPECT_EQ(read_machine(), 0);
		EXPECT_EQ(topology.cpu_count, 1);
		EXPECT_LOG(cases[i].text);
	}
}

TEST(too_many_cpus, "CPUs past the most that there can be are dropped")
{
	struct body body;
	begin();
	madt_begin(&body);
	for (unsigned i = 0; i < LOAM_TOPOLOGY_CPUS + 3; i++) {
		madt_x2apic(&body, i, 1);
	}
	add_body("APIC", 3, &body);
	EXPECT_EQ(read_machine(), 0);
	EXPECT_EQ(topology.cpu_count, LOAM_TOPOLOGY_CPUS);
	EXPECT_LOG("more than 256 CPUs: one is ignored");
}

/* -------- nodes -------- */

TEST(srat, "nodes are numbered by domain, and have their memory and CPUs")
{
	struct body body;
	begin();
	add_four_cpus();
	srat_begin(&body);
	srat_cpu(&body, 0x1234, 4);
	srat_cpu(&body, 1, 2);
	srat_memory(&body, 0x1234, 0x80000000u, 0x40000000u, 1);
	srat_memory(&body, 1, 0, 0x80000000u, 1);
	srat_memory(&body, 1, 0x100000000u, 0x1000, 3);
	srat_memory(&body, 77, 0x200000000u, 0x1000, 0); /* disabled */
	srat_memory(&body, 78, 0x300000000u, 0, 1);      /* empty */
	srat_memory(&body, 79, 0x400000000u, 0x1000, 5); /* persistent */
	add_body("SRAT", 3, &body);
	EXPECT_EQ(read_machine(), 0);
	EXPECT_EQ(topology.node_count, 2);
	EXPECT_EQ(topology.domain[0], 1);
	EXPECT_EQ(topology.domain[1], 0x1234);
	EXPECT_EQ(topology.cpus[0].node, 0);
	EXPECT_EQ(topology.cpus[1].node, 0);
	EXPECT_EQ(topology.cpus[2].node, 1);
	EXPECT_EQ(topology.range_count, 3);
	EXPECT_EQ(topology.ranges[0].base, 0);
	EXPECT_EQ(topology.ranges[1].base, 0x80000000u);
	EXPECT_EQ(topology.ranges[1].node, 1);
	EXPECT(topology.ranges[2].hotplug);
	EXPECT_EQ(loam_topology_node_of(&topology, 0x7fffffffu), 0);
	EXPECT_EQ(loam_topology_node_of(&topology, 0x80000000u), 1);
	EXPECT_EQ(loam_topology_node_of(&topology, 0xbfffffffu), 1);
	EXPECT_EQ(loam_topology_node_of(&topology, 0xc0000000u), 0);
	EXPECT_EQ(topology.distance[0][1], LOAM_DISTANCE_REMOTE);
}

TEST(old_srat, "of a SRAT of revision 1 a domain is its low byte")
{
	struct body body;
	begin();
	add_four_cpus();
	srat_begin(&body);
	srat_cpu(&body, 0xabcd02, 2);
	srat_memory(&body, 0xabcd02, 0, 0x1000, 1);
	add_body("SRAT", 1, &body);
	EXPECT_EQ(read_machine(), 0);
	EXPECT_EQ(topology.node_count, 1);
	EXPECT_EQ(topology.domain[0], 2);
}

static void expect_one_node(const struct body *body, const char *text)
{
	begin();
	add_four_cpus();
	add_body("SRAT", 3, body);
	EXPECT_EQ(read_machine(), 0);
	EXPECT_EQ(topology.node_count, 1);
	EXPECT_EQ(topology.range_count, 0);
	EXPECT_EQ(topology.cpus[2].node, 0);
	EXPECT_LOG(text);
	EXPECT_LOG("SRAT: not used, all memory is one node's");
}

TEST(bad_srat, "a SRAT that contradicts itself leaves one node")
{
	struct body body;
	srat_begin(&body);
	srat_cpu(&body, 3, 4);
	srat_memory(&body, 1, 0, 0x2000, 1);
	srat_memory(&body, 3, 0x1fff, 0x2000, 1);
	expect_one_node(&body, "memory at 0x1fff is claimed twice");

	srat_begin(&body);
	srat_memory(&body, 3, 0x1000, 0x2000, 1);
	srat_memory(&body, 1, 0, 0x1001, 1);
	expect_one_node(&body, "memory at 0x0 is claimed twice");

	srat_begin(&body);
	srat_memory(&body, 1, (uint64_t)-0x1000, 0x1001, 1);
	expect_one_node(&body, "of 0x1001 bytes wraps");

	srat_begin(&body);
	for (unsigned i = 0; i <= LOAM_TOPOLOGY_NODES; i++) {
		srat_memory(&body, i, i * 0x1000, 0x1000, 1);
	}
	expect_one_node(&body, "SRAT: more than 16 nodes");

	srat_begin(&body);
	for (unsigned i = 0; i <= LOAM_TOPOLOGY_RANGES; i++) {
		srat_memory(&body, i % 3, i * 0x1000, 0x1000, 1);
	}
	expect_one_node(&body, "is one range too many");

	srat_begin(&body);
	srat_cpu(&body, 1, 4);
	expect_one_node(&body, "not used");

	srat_begin(&body);
	body.length = 11;
	expect_one_node(&body, "not used");
}

/* Two nodes of the domains 0 and 2. */
static void add_two_nodes(void)
{
	struct body body;
	add_four_cpus();
	srat_begin(&body);
	srat_memory(&body, 0, 0, 0x1000, 1);
	srat_memory(&body, 2, 0x1000, 0x1000, 1);
	add_body("SRAT", 3, &body);
}

TEST(slit, "distances are those of the domains, one way and the other")
{
	static const unsigned char matrix[] = { 3,   0,  0,  0, 0, 0, 0, 0, /**/
						10,  99, 17,                /**/
						99,  10, 99,                /**/
						255, 99, 10 };
	begin();
	add_two_nodes();
	acpi_add(&machine, "SLIT", 1, matrix, sizeof(matrix));
	EXPECT_EQ(read_machine(), 0);
	EXPECT_EQ(topology.distance[0][1], 17);
	EXPECT_EQ(topology.distance[1][0], LOAM_DISTANCE_NONE);
	EXPECT_EQ(topology.distance[0][0], LOAM_DISTANCE_LOCAL);
}

TEST(bad_slit, "an impossible SLIT counts for nothing")
{
	static const struct {
		unsigned char matrix[17];
		unsigned length;
	} cases[] = {
		{ { 3, 0, 0, 0, 0, 0, 0, 0, 10, 9, 9, 9, 10, 9, 17, 9, 10 },
		  16 }, /* a byte short */
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 10, 9, 17, 9, 10, 9, 17, 9, 10 },
		  17 },
		{ { 0, 0, 0, 0, 0, 0, 0, 1, 10, 9, 17, 9, 10, 9, 17, 9, 10 },
		  17 }, /* its square wraps */
		{ { 3, 0, 0, 0, 0, 0, 0, 0, 11, 9, 17, 9, 10, 9, 17, 9, 10 },
		  17 }, /* a node that is far from itself */
		{ { 3, 0, 0, 0, 0, 0, 0, 0, 10, 9, 10, 9, 10, 9, 17, 9, 10 },
		  17 }, /* another that is not */
		{ { 2, 0, 0, 0, 0, 0, 0, 0, 10, 17, 17, 10, 0, 0, 0, 0, 0 },
		  17 }, /* no domain 2 */
		{ { 3 }, 3 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		begin();
		add_two_nodes();
		acpi_add(&machine, "SLIT", 1, cases[i].matrix, cases[i].length);
		EXPECT_EQ(read_machine(), 0);
		EXPECT_LOG("acpi: SLIT for ");
		EXPECT_EQ(topology.distance[0][1], LOAM_DISTANCE_REMOTE);
		EXPECT_EQ(topology.distance[1][0], LOAM_DISTANCE_REMOTE);
	}
}

TEST(failing_reads, "a read that fails at any byte leaves a sound topology")
{
	struct body body;
	begin();
	add_two_nodes();
	memset(&body, 0, sizeof(body));
	body.bytes[0] = 3;
	memset(body.bytes + 8, 20, 9);
	body.bytes[8] = body.bytes[12] = body.bytes[16] = 10;
	body.length = 17;
	add_body("SLIT", 1, &body);
	EXPECT_EQ(loam_acpi_open(&acpi, &source, ACPI_RSDP), 0);
	EXPECT_EQ(acpi.count, 3);
	for (unsigned table = 0; table < 3; table++) {
		loam_phys_t start = ACPI_FIRST_TABLE + table * ACPI_TABLE_STEP;
		for (unsigned at = 0; at < acpi.tables[table].length; at++) {
			machine.fail_at = start + at;
			(void)loam_topology_read(&topology, &acpi);
			EXPECT_EQ(loam_topology_check(&topology), 0);
		}
	}
	machine.fail_at = 0;
}

TEST(check, "the check finds each kind of contradiction")
{
	loam_topology_init(&topology);
	EXPECT_EQ(loam_topology_check(&topology), 0);
	topology.cpus[0].node = 1;
	EXPECT_EQ(loam_topology_check(&topology), -LOAM_EFAULT);
	loam_topology_init(&topology);
	topology.cpus[0].enabled = false;
	EXPECT_EQ(loam_topology_check(&topology), -LOAM_EFAULT);
	loam_topology_init(&topology);
	topology.cpu_count = 2;
	EXPECT_EQ(loam_topology_check(&topology), -LOAM_EFAULT);
	loam_topology_init(&topology);
	topology.distance[0][0] = 11;
	EXPECT_EQ(loam_topology_check(&topology), -LOAM_EFAULT);
	loam_topology_init(&topology);
	topology.range_count = 1;
	EXPECT_EQ(loam_topology_check(&topology), -LOAM_EFAULT);
	loam_topology_init(&topology);
	topology.io_apic_count = LOAM_TOPOLOGY_IO_APICS + 1;
	EXPECT_EQ(loam_topology_check(&topology), -LOAM_EFAULT);
}

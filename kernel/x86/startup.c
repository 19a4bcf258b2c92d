/* SPDX-License-Identifier: MIT */
/* How a PC's other CPUs are found and brought into the kernel. */

/*
 * The firmware's MADT tells which CPUs there are. Each sleeps until it is sent
 * INIT, which resets it, and then a startup interrupt with the number of a page
 * below 1 MiB, where it begins in real mode: trampoline.asm, a copy of which is
 * put there. It takes the control registers that CPU 0 has, and page tables in
 * which that page lies at its physical address as well as the kernel at its
 * own; from there it jumps to startup_arrive() on the stack it was given.
 *
 * The tables are those of an address space without a program. They come from
 * the first 16 MiB: a CPU in protected mode has 32 bits for their root.
 *
 * The startup interrupt is sent twice, as Intel's manual has it: old CPUs miss
 * the first one. The second finds others running, which ignore it.
 *
 * Source: Intel MultiProcessor Specification 1.4, appendix B.
 */

#include <loam/acpi.h>
#include <loam/bits.h>
#include <loam/mem.h>

#include "../cmdline.h"
#include "../cpus.h"
#include "../kernel.h"
#include "../machine.h"
#include "acpi_tables.h"
#include "cpu.h"
#include "lapic.h"
#include "layout.h"
#include "mmu.h"
#include "startup.h"

#define STARTUP_LOWEST 0x10000u /* below lie tables and boot code */
#define STARTUP_HIGHEST 0x9F000u
#define STARTUP_INIT_US 10000u
#define STARTUP_AGAIN_US 200u

#define MSR_EFER 0xC0000080u
#define EFER_LMA 0x400u /* read-only: set by the CPU */

/* What the trampoline finds behind its code; it knows the order. */
struct startup_data {
	uint32_t cr0, cr3, cr4, efer, has_efer;
	uint32_t unused;
	uint64_t stack_end;
	uint64_t entry;
	uint64_t cpu;
};

extern const char trampoline_start[];
extern const char trampoline_end[];
extern const char trampoline_data[]; /* a struct startup_data, within */

/* Jumps and descriptors with an address of their own, to be moved. */
extern const uint16_t trampoline_fixups[];
extern const uint16_t trampoline_fixups_end[];

static loam_phys_t startup_page;
static unsigned char *startup_code; /* the page, mapped */
static struct loam_pt startup_pt;
static uint32_t startup_dead; /* APIC id of one that is to fail, for tests */

/* -------- the page -------- */

static bool startup_overlaps(loam_phys_t page, loam_phys_t base,
			     loam_phys_t size)
{
	return base < page + LOAM_PAGE_SIZE && page < base + size;
}

/* True if the firmware gives the page as memory, and nothing is there. */
static bool startup_page_is_free(const struct loam_boot_info *info,
				 loam_phys_t page)
{
	bool usable = false;

	for (uint32_t i = 0; i < info->entry_count; i++) {
		const struct loam_memmap_entry *entry = &info->entries[i];
		if (entry->type != LOAM_MEM_USABLE) {
			if (startup_overlaps(page, entry->base,
					     entry->length)) {
				return false;
			}
		} else if (entry->base <= page &&
			   entry->length >=
				   page - entry->base + LOAM_PAGE_SIZE) {
			usable = true;
		}
	}
	for (uint32_t i = 0; i < info->reserved_count && usable; i++) {
		usable = !startup_overlaps(page, info->reserved[i].base,
					   info->reserved[i].size);
	}
	return usable;
}

void startup_reserve(struct loam_boot_info *info)
{
	for (loam_phys_t page = STARTUP_HIGHEST; page >= STARTUP_LOWEST;
	     page -= LOAM_PAGE_SIZE) {
		if (info->reserved_count < LOAM_BOOT_MAX_RESERVED &&
		    startup_page_is_free(info, page)) {
			info->reserved[info->reserved_count++] =
				(struct loam_boot_range){
					.base = page,
					.size = LOAM_PAGE_SIZE,
					.owner = LOAM_RESERVED_KERNEL_TEXT,
					.name = "where CPUs start",
				};
			startup_page = page;
			return;
		}
	}
}

/* -------- the tables it starts with -------- */

static loam_phys_t startup_alloc_table(void *ctx)
{
	(void)ctx;
	loam_pfn_t pfn = loam_frame_alloc(
		&kernel.frames, 0,
		LOAM_DMA | LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_TABLE));

	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

static void startup_free_table(void *ctx, loam_phys_t table)
{
	(void)ctx;
	loam_frame_free(&kernel.frames, loam_phys_to_pfn(table), 0);
}

static void *startup_table_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static const struct loam_pt_ops startup_pt_ops = {
	.alloc_table = startup_alloc_table,
	.free_table = startup_free_table,
	.table_virt = startup_table_virt,
};

static int startup_make_tables(void)
{
	int error = loam_pt_init(&startup_pt, mmu_geometry(), &startup_pt_ops,
				 NULL, NULL);
	if (error != 0) {
		return error;
	}
	error = loam_boot_share_kernel(&kernel, &startup_pt);
	struct loam_pt_mapping there;
	if (error == 0 &&
	    loam_pt_query(&startup_pt, (uintptr_t)startup_page, &there) == 0) {
		/* An identity map has it; never to be executed, perhaps. */
		error = (there.prot & LOAM_PROT_EXEC) != 0 ? 0 : -LOAM_EPERM;
	} else if (error == 0) {
		error = loam_pt_map(&startup_pt, (uintptr_t)startup_page,
				    startup_page, LOAM_PAGE_SIZE,
				    LOAM_PROT_READ | LOAM_PROT_WRITE |
					    LOAM_PROT_EXEC,
				    false);
	}
	if (error != 0) {
		loam_pt_fini(&startup_pt);
	}
	return error;
}

/* -------- the code -------- */

static struct startup_data *startup_data(void)
{
	return (struct startup_data *)(void *)(startup_code +
					       (trampoline_data -
						trampoline_start));
}

/* What this CPU runs with is what the others are to have. */
static void startup_fill(void)
{
	struct startup_data *data = startup_data();
	bool efer = cpu_features.nx || sizeof(void *) == 8;

	memcpy(startup_code, trampoline_start,
	       (size_t)(trampoline_end - trampoline_start));
	for (const uint16_t *fixup = trampoline_fixups;
	     fixup < trampoline_fixups_end; fixup++) {
		uint32_t address;
		memcpy(&address, startup_code + *fixup, sizeof(address));
		address += (uint32_t)startup_page;
		memcpy(startup_code + *fixup, &address, sizeof(address));
	}
	*data = (struct startup_data){
		.cr0 = (uint32_t)(cpu_read_cr0() & ~(uintptr_t)CPU_CR0_TS),
		.cr3 = (uint32_t)startup_pt.root,
		.cr4 = (uint32_t)(cpu_features.cpuid ? cpu_read_cr4() : 0),
		.efer = efer ? (uint32_t)cpu_read_msr(MSR_EFER) & ~EFER_LMA : 0,
		.has_efer = efer,
	};
}

/* Where the trampoline jumps: still in the tables it started with. */
_Noreturn static void LOAM_CDECL startup_arrive(struct cpu *cpu)
{
	cpu_write_cr3((uintptr_t)kernel.pt.root);
	cpus_arrive(cpu);
}

/* -------- finding and sending -------- */

static unsigned startup_list(const struct loam_topology *topology,
			     uint32_t *ids, unsigned most)
{
	uint32_t self = lapic_id();
	unsigned count = 1;

	ids[0] = self;
	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		const struct loam_topology_cpu *cpu = &topology->cpus[i];
		if (!cpu->enabled || cpu->apic_id == self) {
			continue;
		}
		if (count == most || cpu->apic_id > 254) {
			loam_host_log(LOAM_LOG_WARNING,
				      "cpus: more than this kernel can use");
			break;
		}
		ids[count++] = cpu->apic_id;
	}
	return count;
}

static unsigned startup_enabled(const struct loam_topology *topology)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < topology->cpu_count; i++) {
		count += topology->cpus[i].enabled;
	}
	return count;
}

/* Everything but the CPUs themselves. NULL, or what is missing. */
static const char *startup_prepare(const struct loam_topology *topology)
{
	char value[16];
	uint64_t number;

	if (cmdline_option(kernel.info.cmdline, "cpus_dead", value,
			   sizeof(value)) &&
	    cmdline_number(value, &number)) {
		startup_dead = (uint32_t)number;
	}
	if (startup_page == 0) {
		return "no page below 640 KiB to start them in";
	}
	if (!lapic_init(topology->local_apic)) {
		return "no local interrupt controller";
	}
	startup_code = loam_kspace_map_phys(&kernel.kspace, startup_page,
					    LOAM_PAGE_SIZE,
					    LOAM_PROT_READ | LOAM_PROT_WRITE);
	if (startup_code == NULL || startup_make_tables() != 0) {
		return "no memory for tables to start them with";
	}
	startup_fill();
	return NULL;
}

unsigned startup_begin(uint32_t *ids, unsigned most)
{
	const struct loam_topology *topology = acpi_tables_topology();

	if (topology == NULL || startup_enabled(topology) < 2) {
		return 1;
	}
	const char *why = startup_prepare(topology);
	if (why != NULL) {
		char line[96];
		loam_snprintf(line, sizeof(line), "cpus: one alone, %s", why);
		loam_host_log(LOAM_LOG_WARNING, line);
		return 1;
	}
	return startup_list(topology, ids, most);
}

unsigned startup_node(uint32_t apic_id)
{
	const struct loam_topology *topology = acpi_tables_topology();

	for (uint32_t i = 0; topology != NULL && i < topology->cpu_count; i++) {
		if (topology->cpus[i].apic_id == apic_id) {
			return topology->cpus[i].node;
		}
	}
	return 0;
}

void startup_send(struct cpu *cpu, char *stack_end)
{
	struct startup_data *data = startup_data();
	unsigned page = (unsigned)(startup_page >> LOAM_PAGE_SHIFT);
	uintptr_t flags = cpu_read_eflags();

	data->stack_end = (uintptr_t)stack_end;
	data->entry = (uintptr_t)startup_arrive;
	data->cpu = (uintptr_t)cpu;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (cpu->number == startup_dead) {
		return;
	}
	cpu_cli();
	lapic_send_init(cpu->apic_id);
	lapic_wait_us(STARTUP_INIT_US);
	lapic_send_startup(cpu->apic_id, page);
	lapic_wait_us(STARTUP_AGAIN_US);
	if (cpu->state == CPU_ABSENT) {
		lapic_send_startup(cpu->apic_id, page);
	}
	cpu_write_eflags(flags);
}

/* The tables stay: one that comes late still needs them. */
void startup_end(void)
{
	loam_kspace_unmap_phys(&kernel.kspace, startup_code);
	startup_code = NULL;
}

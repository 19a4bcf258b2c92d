/* SPDX-License-Identifier: MIT */
/* Which geometry the page tables have on this CPU, and how they are loaded. */

/*
 * Four levels are what every CPU has. With levels=5 on the command line there
 * are five; the kernel's addresses stay what they are, the topmost of a larger
 * space. Five can only be turned on with paging off, so the temporary tables
 * get them first (entry.asm), and loading the permanent ones is the same for
 * both.
 */

#include <loam/mem.h>

#include "../cmdline.h"
#include "../console.h"
#include "../trap.h"
#include "cpu.h"
#include "layout.h"
#include "mmu.h"

void boot_five_levels(void); /* entry.asm */

extern bool usercopy_smap; /* usercopy.asm: user pages have to be opened */

static struct loam_pt_geometry paging_geometry;

static bool mmu_wants_five(const char *cmdline)
{
	char value[16];

	if (!cmdline_option(cmdline, "levels", value, sizeof(value)) ||
	    loam_streq(value, "4")) {
		return false;
	}
	if (!loam_streq(value, "5")) {
		kprintf("warning: levels=%s: not 4 or 5, using 4\n", value);
		return false;
	}
	if (!cpu_features.la57) {
		kprintf("warning: levels=5: this CPU has four levels of page "
			"tables\n");
		return false;
	}
	return true;
}

void mmu_prepare(const char *cmdline)
{
	bool five = mmu_wants_five(cmdline);

	paging_geometry = five ? loam_pt_x86_64_la57 : loam_pt_x86_64;
	if (!cpu_features.nx) {
		paging_geometry.no_execute = 0;
	}
	if (!cpu_features.page1gb) {
		paging_geometry.large_levels = 0x02;
	}
	if (five) {
		boot_five_levels();
		/* The descriptor tables are the boot code's now. */
		trap_init();
	}
}

const char *mmu_early_pages(void)
{
	return cpu_features.page1gb ? "1 GiB" : "2 MiB";
}

/* The temporary tables show all that firmware keeps its tables in. */
void *mmu_early_map(loam_phys_t phys, size_t *bytes)
{
	(void)phys;
	(void)bytes;
	return NULL;
}

bool mmu_early_maps(void)
{
	return true;
}

loam_phys_t mmu_reach_end(void)
{
	loam_phys_t end = (loam_phys_t)1 << cpu_features.phys_bits;

	return end < KERNEL_DIRECT_SIZE ? end : KERNEL_DIRECT_SIZE;
}

const struct loam_pt_geometry *mmu_geometry(void)
{
	return &paging_geometry;
}

void mmu_load_root(loam_phys_t root)
{
	cpu_write_cr3((uintptr_t)root);
}

void mmu_switch_root(void *ctx, loam_phys_t root)
{
	uintptr_t cr4 = cpu_read_cr4();

	(void)ctx;
	cpu_write_cr3((uintptr_t)root);
	cr4 |= cpu_features.pge ? CPU_CR4_PGE : 0;
	cr4 |= cpu_features.smep ? CPU_CR4_SMEP : 0;
	cr4 |= cpu_features.smap ? CPU_CR4_SMAP : 0;
	cpu_write_cr4(cr4);
	usercopy_smap = cpu_features.smap;
}

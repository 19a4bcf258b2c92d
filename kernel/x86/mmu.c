/* SPDX-License-Identifier: MIT */
/* Forgets stale translations. */

/*
 * The 386 can only forget everything, by writing CR3. From the 486 on invlpg
 * forgets one page. Pages marked global survive a write of CR3 where CR4.PGE
 * is set; they go when that bit is cleared and set again.
 */

#include <loam/mem.h>

#include "../cmdline.h"
#include "../console.h"
#include "cpu.h"
#include "mmu.h"

static void mmu_flush_page(void *ctx, uintptr_t virt)
{
	(void)ctx;
	cpu_invlpg(virt);
}

static void mmu_flush_pages(void *ctx, uintptr_t virt, size_t count)
{
	(void)ctx;
	for (; count != 0; count--) {
		cpu_invlpg(virt);
		virt += LOAM_PAGE_SIZE;
	}
}

/*
 * It is the change of CR4.PGE that forgets. Whoever is preempted between the
 * two would leave it clear, and another task's flush would change nothing.
 */
static void mmu_flush_all(void *ctx)
{
	(void)ctx;
	if (cpu_features.pge) {
		uintptr_t eflags = cpu_read_eflags();
		cpu_cli();
		uintptr_t cr4 = cpu_read_cr4();
		cpu_write_cr4(cr4 & ~CPU_CR4_PGE);
		cpu_write_cr4(cr4);
		cpu_write_eflags(eflags);
	} else {
		cpu_write_cr3(cpu_read_cr3());
	}
}

const struct loam_tlb_ops mmu_tlb_ops = {
	.flush_page = mmu_flush_page,
	.flush_pages = mmu_flush_pages,
	.flush_all = mmu_flush_all,
};

const struct loam_tlb_ops mmu_tlb_ops_386 = {
	.flush_all = mmu_flush_all,
};

enum loam_tlb_policy mmu_policy(const char *cmdline)
{
	char value[16];

	if (!cmdline_option(cmdline, "tlb", value, sizeof(value)) ||
	    loam_streq(value, "auto")) {
		return LOAM_TLB_AUTO;
	}
	if (loam_streq(value, "cr3")) {
		return LOAM_TLB_CR3;
	}
	if (loam_streq(value, "invlpg") && cpu_features.invlpg) {
		return LOAM_TLB_INVLPG;
	}
	kprintf("warning: tlb=%s: %s, using auto\n", value,
		loam_streq(value, "invlpg") ? "this CPU has no invlpg"
					    : "not auto, invlpg or cr3");
	return LOAM_TLB_AUTO;
}

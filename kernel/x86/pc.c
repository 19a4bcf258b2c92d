/* SPDX-License-Identifier: MIT */
/* Describes the PC to bring-up, and turns it off. */

#include <loam/mem.h>

#include "../cmdline.h"
#include "../console.h"
#include "../machine.h"
#include "acpi_tables.h"
#include "cpu.h"
#include "layout.h"
#include "machine_stack.h"
#include "mmu.h"
#include "trap.h"

#define VIDEO_PHYS 0xB8000u
#define DEBUG_EXIT_PORT 0xF4u
#define KEYBOARD_COMMAND 0x64u
#define KEYBOARD_RESET 0xFEu

#define MOST_SEGMENTS 16u

static struct loam_boot_segment segments[MOST_SEGMENTS];
const struct loam_boot_segment *machine_segments = segments;
unsigned machine_segment_count;

static void machine_add_segment(const char *name, const char *start,
				const char *end, loam_prot_t prot,
				enum loam_reservation owner)
{
	LOAM_VERIFY(machine_segment_count < MOST_SEGMENTS);
	segments[machine_segment_count++] = (struct loam_boot_segment){
		.name = name,
		.virt = (uintptr_t)start,
		.size = (size_t)(end - start),
		.prot = prot,
		.owner = (uint32_t)owner,
	};
}

static void machine_add_segments(void)
{
	const loam_prot_t r = LOAM_PROT_READ;
	const loam_prot_t rw = LOAM_PROT_READ | LOAM_PROT_WRITE;
	const loam_prot_t rx = LOAM_PROT_READ | LOAM_PROT_EXEC;

	machine_segment_count = 0;
	machine_add_segment("init", image_start, init_end, rw | LOAM_PROT_EXEC,
			    LOAM_RESERVED_KERNEL_INIT);
	machine_add_segment("text", text_start, text_end, rx,
			    LOAM_RESERVED_KERNEL_TEXT);
	machine_add_segment("read-only data", rodata_start, rodata_end, r,
			    LOAM_RESERVED_KERNEL_DATA);
	machine_add_segment("data", data_start, data_end, rw,
			    LOAM_RESERVED_KERNEL_DATA);
	for (unsigned i = 0; i < machine_stack_count; i++) {
		const struct machine_stack *stack = &machine_stacks[i];
		machine_add_segment("stack guard", stack->guard, stack->guard,
				    0, LOAM_RESERVED_KERNEL_DATA);
		machine_add_segment(stack->name, stack->bottom, stack->top, rw,
				    LOAM_RESERVED_KERNEL_DATA);
	}
	machine_add_segment("init data", init_bss_start, init_bss_end, rw,
			    LOAM_RESERVED_KERNEL_INIT);
}

uint64_t machine_clock(void *ctx)
{
	(void)ctx;
	return cpu_features.tsc ? cpu_rdtsc() : 0;
}

/* From here on all of the direct map's range is what phys_to_virt answers. */
static void machine_switch_root(void *ctx, loam_phys_t root)
{
	mmu_switch_root(ctx, root);
	machine_direct_end = KERNEL_DIRECT_SIZE;
}

static void machine_step(void *ctx, unsigned number, const char *text)
{
	(void)ctx;
	kprintf("[%u] %s\n", number, text);
}

/* slab=debug: every cache poisons, has red zones and knows its callers. */
static uint32_t machine_slab_flags(const char *cmdline)
{
	char value[16];

	if (!cmdline_option(cmdline, "slab", value, sizeof(value))) {
		return 0;
	}
	if (!loam_streq(value, "debug")) {
		kprintf("warning: slab=%s: only debug is known\n", value);
		return 0;
	}
	return LOAM_CACHE_DEBUG;
}

void machine_describe(struct loam_boot_machine *machine, const char *cmdline)
{
	mmu_prepare(cmdline);
	machine_add_segments();
	machine_layout.reach_end = mmu_reach_end();
	*machine = (struct loam_boot_machine){
		.layout = &machine_layout,
		.geometry = mmu_geometry(),
		.tlb = cpu_features.invlpg ? &mmu_tlb_ops : &mmu_tlb_ops_386,
		.tlb_policy = mmu_policy(cmdline),
		.slab_flags = machine_slab_flags(cmdline),
		.segments = segments,
		.segment_count = machine_segment_count,
		.early_end = boot_early_end,
		.topology = acpi_tables_early,
		.switch_root = machine_switch_root,
		.step = machine_step,
		.clock = cpu_features.tsc ? machine_clock : NULL,
	};
}

volatile uint16_t *machine_video(void)
{
	return (volatile uint16_t *)PHYS_TO_VIRT(VIDEO_PHYS);
}

_Noreturn void machine_exit(bool success)
{
	cpu_cli();
	console_drain();
	cpu_out8(DEBUG_EXIT_PORT, success ? 0x10 : 0x11);
	kprintf("the machine can be turned off now\n");
	for (;;) {
		cpu_hlt();
	}
}

_Noreturn void machine_reboot(void)
{
	static const struct {
		uint16_t limit;
		uint16_t base[sizeof(uintptr_t) / 2];
	} nothing;

	cpu_cli();
	console_drain();
	cpu_out8(KEYBOARD_COMMAND, KEYBOARD_RESET);
	for (unsigned i = 0; i < 1000000; i++) {
		cpu_pause();
	}
	/* No keyboard controller: an exception without a table does it too. */
	__asm__ volatile("lidt %0\n\tint3" : : "m"(nothing.limit));
	for (;;) {
		cpu_hlt();
	}
}

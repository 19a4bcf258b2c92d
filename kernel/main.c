/* SPDX-License-Identifier: MIT */
/* The reference kernel: brings memory up, shows it, and takes commands. */

/*
 * The order is seed 004's, and each step is printed as it is done:
 *
 *	[1] temporary page directory		ARCH/entry.asm
 *	[2] kernel where it was linked		ARCH/entry.asm
 *	[3] memory map parsed			loam_boot()
 *	[4] memblock
 *	[5] buddy: page frames
 *	[6] permanent page directory
 *	[7] kmalloc
 *	[8] allocate
 *
 * Then what only bring-up needed is given back, and unless the command line has
 * `quiet`, what there is now is printed. After that cmd="a; b" runs commands
 * and turns the machine off, `interactive` starts a shell on the serial port,
 * and without either the machine is turned off. Interrupts stay off but for
 * input and tests.
 */

#include <loam/mem.h>

#include "arch.h"
#include "bootinfo.h"
#include "cmdline.h"
#include "console.h"
#include "cpus.h"
#include "heaps.h"
#include "fpu.h"
#include "kernel.h"
#include "mmu.h"
#include "programs.h"
#include "report.h"
#include "shell.h"
#include "spaces.h"
#include "startup.h"
#include "task.h"

#define MAIN_ENTRIES 2048u /* of the firmware's; more are dropped with a word */
#define MAIN_RANGES 4096u  /* most that 2048 entries normalise to */

struct loam_kernel kernel;

static struct loam_boot_machine main_machine;

/* Until the reclaim; loam_boot() moves both to permanent memory. */
KERNEL_INIT_BSS static struct loam_memmap_entry main_entries[MAIN_ENTRIES];
KERNEL_INIT_BSS static struct loam_mem_range main_ranges[MAIN_RANGES];

KERNEL_INIT_TEXT static void main_begin(void)
{
	cpus_begin();
	machine_direct_end = boot_early_end;
	cpu_detect();
	kernel.step_clock[2] = machine_clock(NULL);
	console_init(machine_video());
	kprintf("Loam, reference kernel for %s, on %s\n", KERNEL_ARCH_NAME,
		cpu_features.cpuid ? cpu_features.vendor
				   : "a CPU without CPUID");
	kprintf("[1] temporary page directory: first %u MiB, pages of %s\n",
		(unsigned)(boot_early_end >> 20), mmu_early_pages());
	kprintf("[2] %s: kernel at %p, entry in C at %p\n",
		machine_is_identity() ? "identity" : "higher half",
		(void *)image_start, (void *)(uintptr_t)kmain);
	irq_init();
}

_Noreturn static void main_give_up(const char *why)
{
	kprintf("cannot bring memory up: %s\n", why);
	machine_exit(false);
}

KERNEL_INIT_TEXT static void main_bring_up(uint32_t magic, uint32_t info_phys)
{
	const char *why = "no reason given";

	kernel.info.entries = main_entries;
	kernel.info.entry_capacity = MAIN_ENTRIES;
	if (bootinfo_read(&kernel.info, magic, info_phys, &why) != 0) {
		main_give_up(why);
	}
	startup_reserve(&kernel.info);
	machine_describe(&main_machine, kernel.info.cmdline);
	heaps_choose(&main_machine.choice, kernel.info.cmdline);
	if (loam_boot(&kernel, &main_machine, main_ranges, MAIN_RANGES, &why) !=
	    0) {
		main_give_up(why);
	}
}

static void main_report(void)
{
	report_firmware_map();
	report_memory_map();
	report_owners();
	report_zones();
	report_slabs();
	report_ranges();
	report_cost();
}

/* Blocks of several sizes: where each comes from, and back they go. */
static bool main_demonstrate(void)
{
	static const size_t sizes[] = { 24,    100,    1000,    4096,
					20000, 100000, 1000000, 3000000 };
	void *blocks[LOAM_ARRAY_SIZE(sizes)];
	char text[96];

	loam_slab_shrink_all(&kernel.slabs);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	size_t shadow = kernel.shadow.real_pages;
	kprintf("\nkmalloc\n    asked   usable  address     where\n");
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		blocks[i] = kmalloc(sizes[i]);
		if (blocks[i] == NULL) {
			kprintf("  %7zu  no memory\n", sizes[i]);
			continue;
		}
		memset(blocks[i], 0x5A, sizes[i]);
		kprintf("  %7zu  %7zu  %p  %s\n", sizes[i], ksize(blocks[i]),
			blocks[i], report_describe(text, (uintptr_t)blocks[i]));
	}
	uint64_t during = loam_frame_free_count(&kernel.frames);
	for (unsigned i = LOAM_ARRAY_SIZE(sizes); i > 0; i--) {
		kfree(blocks[i - 1]);
	}
	loam_slab_shrink_all(&kernel.slabs);
	kprintf("free frames: %llu before, %llu meanwhile, %llu after; %zu "
		"more "
		"for the shadow\n",
		(unsigned long long)before, (unsigned long long)during,
		(unsigned long long)loam_frame_free_count(&kernel.frames),
		kernel.shadow.real_pages - shadow);
	int error = loam_boot_check(&kernel);
	kprintf("check: %s\n", error == 0 ? "every floor is well" : "FAILED");
	return error == 0;
}

_Noreturn void kmain(uint32_t magic, uint32_t info_phys)
{
	char commands[LOAM_BOOT_CMDLINE];
	const char *cmdline = kernel.info.cmdline;

	main_begin();
	main_bring_up(magic, info_phys);
	if (task_init() != 0) {
		main_give_up("no memory for tasks");
	}
	fpu_init();
	if (spaces_init() != 0) {
		main_give_up("no memory for processes");
	}
	programs_init();
	cpu_sti();
	cpus_start();
	size_t frames = loam_boot_reclaim(&kernel);
	kprintf("given back: %zu frames that only bring-up needed\n", frames);
	if (machine_is_identity()) {
		report_identity();
	}
	bool well = true;
	if (!cmdline_option(cmdline, "quiet", commands, sizeof(commands))) {
		main_report();
		well = main_demonstrate();
	}
	if (cmdline_option(cmdline, "cmd", commands, sizeof(commands))) {
		well = shell_run(commands) && well;
		machine_exit(well);
	}
	if (cmdline_option(cmdline, "interactive", commands,
			   sizeof(commands)) &&
	    console_has_input()) {
		shell_loop();
	}
	machine_exit(well);
}

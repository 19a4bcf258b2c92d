/* SPDX-License-Identifier: MIT */
/* What the kernel's common part asks of the machine it runs on. */
#ifndef KERNEL_MACHINE_H
#define KERNEL_MACHINE_H

#include <loam/boot.h>

/* The parts of the image, each with its own protection. */
extern const struct loam_boot_segment *machine_segments;
extern unsigned machine_segment_count;

/* Complete once the machine is described. */
extern struct loam_boot_layout machine_layout;

/* True if every address is its physical one, but in the kernel's windows. */
static inline bool machine_is_identity(void)
{
	return machine_layout.map_end != 0 && machine_layout.direct_base == 0;
}

/* Memory the temporary map shows, and what was mapped since. */
extern loam_phys_t machine_direct_end;

/*
 * Fills in what bring-up needs to know of this machine. cmdline: tlb= picks
 * how translations are flushed, slab=debug turns on the slabs' checks.
 */
void machine_describe(struct loam_boot_machine *machine, const char *cmdline);

/* Instructions or ticks so far; 0 where the CPU does not count. */
uint64_t machine_clock(void *ctx);

/* Where the screen's memory is, in the temporary map and the permanent one. */
volatile uint16_t *machine_video(void);

/*
 * Ends the machine with what it was all about. Under QEMU with isa-debug-exit
 * at 0xF4 the emulator's exit status is 33 for success and 35 for failure;
 * elsewhere the CPU sleeps. Drains the console first.
 */
_Noreturn void machine_exit(bool success);

_Noreturn void machine_reboot(void);

/* A panic goes here instead of stopping, for tests; NULL: it stops. */
struct trap_context;
extern struct trap_context *machine_panic_context;
extern char machine_panic_text[256];

#endif

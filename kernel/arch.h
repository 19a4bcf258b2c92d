/* SPDX-License-Identifier: MIT */
/* All that the kernel's common part asks of an architecture. */
#ifndef KERNEL_ARCH_H
#define KERNEL_ARCH_H

/*
 * kernel/ runs on any of them, kernel/x86/ is what PCs have in common, and
 * kernel/ARCH/ has what is left: its headers and those of kernel/x86/ are
 * found by name alone. Another architecture supplies
 *
 * cpu.h		struct cpu_features cpu_features and cpu_detect();
 *			cpu_read_eflags(), cpu_write_eflags(), cpu_cli() and
 *			cpu_sti() about interrupts; cpu_rdtsc(), cpu_pause()
 * layout.h		KERNEL_*: where everything lies; VIRT_TO_PHYS() and
 *			PHYS_TO_VIRT(); the bounds that its kernel.ld sets;
 *			KERNEL_INIT_TEXT, KERNEL_INIT_BSS
 * trap_frame.h		struct trap_frame and struct trap_context, what the
 *			entry code saves, with TRAP_FRAME_PC(), _FLAGS(), _FP()
 * loam_kernel_config.h	the library's configuration
 * mmu.h			the geometry of its page tables, flushing
 * serial.h, video.h	where the console's text goes
 *
 * and the functions that these declare:
 *
 * machine.h		description for bring-up, clock, end, panics
 * trap.h		exceptions, interrupt lines, a timer
 *
 * The linker script puts .ktests and .ksyms between the bounds that ktest.c
 * and symbols.h name. The entry code calls kmain().
 */
#include "cpu.h"
#include "layout.h"
#include "machine.h"
#include "trap.h"

/* Entered on the boot stack, with what the boot loader left; stays. */
_Noreturn void kmain(uint32_t magic, uint32_t info_phys);

#endif

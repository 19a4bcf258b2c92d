/* SPDX-License-Identifier: MIT */
/* How a PC's other CPUs are found and brought into the kernel. */
#ifndef KERNEL_X86_STARTUP_H
#define KERNEL_X86_STARTUP_H

#include <loam/boot.h>

struct cpu;

/* The stacks of one, by where they begin. */
struct cpu_stacks {
	char *main;
	char *fault;
};

/*
 * Before bring-up: sets a page below 640 KiB aside in info, where CPUs begin in
 * real mode. It is usable memory by the firmware's map, and nobody else's.
 */
void startup_reserve(struct loam_boot_info *info);

/*
 * Reads the firmware's tables and readies the interrupt controller of this CPU.
 * Fills ids[] with APIC ids of CPUs that can be started, this one first, and
 * returns their number: 1 where there is but this one, or anything is missing,
 * which is then logged. Until the boot information is given back.
 */
unsigned startup_begin(uint32_t *ids, unsigned most);

/* The memory node of a CPU; 0 where nothing was said. In the same time. */
unsigned startup_node(uint32_t apic_id);

/*
 * Sends one on its way to cpus_arrive(), on a stack that ends there. One after
 * the other: the next may be sent when this one has arrived or was given up.
 */
void startup_send(struct cpu *cpu, char *stack_end);

/* After the last. */
void startup_end(void);

#endif

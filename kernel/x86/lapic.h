/* SPDX-License-Identifier: MIT */
/* The interrupt controller that each CPU has for itself, and its timer. */
#ifndef KERNEL_X86_LAPIC_H
#define KERNEL_X86_LAPIC_H

#include <loam/types.h>

/* Interrupts of a CPU's own, as local_dispatch() is told them. */
enum lapic_interrupt {
	LAPIC_TIMER,
	LAPIC_RESCHEDULE,
	LAPIC_SHOOTDOWN,
	LAPIC_CALL,
	LAPIC_SPURIOUS = 15, /* vector 63: low bits as old ones want them */
};

/*
 * Maps the registers, which lie at phys, and readies this CPU's: lines of the
 * old controllers still arrive here, if it is CPU 0. Finds the timer's speed
 * against that of the machine (10 ms). False, with a reason logged: there is
 * none, or none that can be used; nothing has changed.
 */
bool lapic_init(loam_phys_t phys);

/* The same for a CPU that was started. */
void lapic_init_cpu(void);

/* True once lapic_init() has succeeded: there may be several CPUs. */
bool lapic_is_used(void);

uint32_t lapic_id(void);

/* This CPU's timer: TASK_HZ interrupts a second, or none. */
void lapic_timer(bool on);

/* Ticks of the timer's clock a second. */
uint32_t lapic_timer_hz(void);

/* Interrupts another CPU. Interrupts are off. */
void lapic_send(uint32_t apic_id, enum lapic_interrupt interrupt);

/* Stops all other CPUs in what they do, interrupts off or not. */
void lapic_send_nmi_to_others(void);

/* The two ways of starting a CPU: at page << 12, in real mode. */
void lapic_send_init(uint32_t apic_id);
void lapic_send_startup(uint32_t apic_id, unsigned page);

/* Waits by the machine's timer, about so long; at most 50 ms. */
void lapic_wait_us(unsigned microseconds);

#endif

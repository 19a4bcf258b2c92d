/* SPDX-License-Identifier: MIT */
/* One CPU reports a fault, and all others stop and are reported too. */

/*
 * The others are stopped by a non-maskable interrupt, so that one that waits
 * for a lock or holds one with interrupts off stops as well: what it was doing
 * is often the other half of the fault. Each leaves the frame of what was
 * interrupted and sleeps for ever; the one that reports reads its stack.
 */

#include "arch.h"
#include "console.h"
#include "cpus.h"
#include "lapic.h"
#include "spin.h"
#include "stop.h"
#include "symbols.h"

#define STOP_WAIT_MS 500u

static unsigned stop_reporter; /* CPU + 1, or 0 */

_Noreturn static void stop_here(void)
{
	for (;;) {
		cpu_cli();
		cpu_hlt();
	}
}

/* Takes the machine. False: another CPU has it. */
static bool stop_claim(void)
{
	unsigned self = (unsigned)cpu_number() + 1;
	unsigned nobody = 0;

	if (__atomic_compare_exchange_n(&stop_reporter, &nobody, self, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		return true;
	}
	if (nobody == self) {
		kprintf("\nanother fault while reporting one: stopping\n");
		machine_exit(false);
	}
	return false;
}

void stop_begin(void)
{
	cpu_cli();
	if (!stop_claim()) {
		/* The interrupt that is under way finds this one here. */
		stop_here();
	}
	uint32_t others = cpus_others();
	if (others == 0) {
		return;
	}
	lapic_send_nmi_to_others();
	for (unsigned ms = 0; ms < STOP_WAIT_MS && others != 0; ms++) {
		uint32_t rest = others;
		struct cpu *cpu;
		while (cpus_next(&rest, &cpu)) {
			if (cpu->stopped != NULL) {
				others &= ~(1u << cpu->number);
			}
		}
		lapic_wait_us(1000);
	}
	console_take_over();
}

void trap_nmi(const struct trap_frame *frame)
{
	if (__atomic_load_n(&stop_reporter, __ATOMIC_SEQ_CST) == 0) {
		/* Nobody's wish: the hardware has something to say. */
		exception_handle(frame);
	}
	cpu_this()->stopped = frame;
	stop_here();
}

static void stop_report_one(const struct cpu *cpu)
{
	const struct trap_frame *frame = cpu->stopped;
	const struct task *task = cpu->local.running;
	char name[64];

	kprintf("CPU %u: ", cpu->number);
	if (frame == NULL) {
		kprintf("does not answer; its task is \"%s\"\n", task->name);
	} else if (trap_from_user(frame)) {
		kprintf("in program \"%s\" at %p\n", task->name,
			(void *)TRAP_FRAME_PC(frame));
	} else if (task == cpu->idle) {
		kprintf("idle, at %s\n",
			symbol_format(name, TRAP_FRAME_PC(frame)));
	} else {
		kprintf("in task \"%s\"\n", task->name);
		exception_trace_of(task, TRAP_FRAME_PC(frame),
				   exception_stack_of(frame),
				   TRAP_FRAME_FP(frame));
	}
	spin_report(cpu);
}

void stop_report(void)
{
	uint32_t others = cpus_others();
	struct cpu *cpu;

	spin_report(cpu_this());
	while (cpus_next(&others, &cpu)) {
		stop_report_one(cpu);
	}
}

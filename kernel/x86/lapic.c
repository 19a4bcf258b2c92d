/* SPDX-License-Identifier: MIT */
/* The interrupt controller that each CPU has for itself, and its timer. */

/*
 * Every CPU reaches its own controller at the same address. Interrupts of
 * devices still come through the two old ones (pic.c), whose output is wired to
 * CPU 0: its LINT0 passes them through. So the controllers here have three
 * uses: CPUs interrupt each other, each has a timer, and they start each other.
 *
 * The command register takes one command at a time and says when it is on its
 * way. It is used with interrupts off, so that an interrupt cannot come between
 * its two halves.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume
 * 3A, chapter 11.
 */

#include <loam/kspace.h>

#include "../cpus.h"
#include "../kernel.h"
#include "../machine.h"
#include "cpu.h"
#include "lapic.h"

#define CPUID_APIC 0x00000200u /* of EDX with EAX = 1 */
#define MSR_APIC_BASE 0x1Bu
#define APIC_BASE_X2APIC 0x00000400u /* registers are MSRs: not for us */
#define APIC_BASE_ENABLED 0x00000800u
#define LAPIC_BYTES 0x400u

/* Registers, by their offset. */
#define LAPIC_ID 0x020u
#define LAPIC_TASK_PRIORITY 0x080u
#define LAPIC_EOI 0x0B0u
#define LAPIC_SVR 0x0F0u
#define LAPIC_ERROR 0x280u
#define LAPIC_COMMAND 0x300u
#define LAPIC_COMMAND_TO 0x310u
#define LAPIC_LVT_TIMER 0x320u
#define LAPIC_LVT_LINT0 0x350u
#define LAPIC_LVT_LINT1 0x360u
#define LAPIC_LVT_ERROR 0x370u
#define LAPIC_TIMER_START 0x380u
#define LAPIC_TIMER_NOW 0x390u
#define LAPIC_TIMER_DIVIDE 0x3E0u

#define LAPIC_SVR_ENABLED 0x100u
#define LAPIC_LVT_MASKED 0x10000u
#define LAPIC_LVT_PERIODIC 0x20000u
#define LAPIC_MODE_NMI 0x400u
#define LAPIC_MODE_INIT 0x500u
#define LAPIC_MODE_STARTUP 0x600u
#define LAPIC_MODE_EXTERNAL 0x700u
#define LAPIC_COMMAND_BUSY 0x1000u
#define LAPIC_COMMAND_ASSERT 0x4000u
#define LAPIC_COMMAND_LEVEL 0x8000u
#define LAPIC_TO_OTHERS 0xC0000u
#define LAPIC_DIVIDE_BY_16 3u

/* The machine's timer, channel 2: its gate and output are bits of a port. */
#define PIT_CHANNEL_2 0x42u
#define PIT_COMMAND 0x43u
#define PIT_2_ONE_SHOT 0xB0u
#define PIT_HZ 1193182u
#define PIT_GATE_PORT 0x61u
#define PIT_GATE 1u
#define PIT_SPEAKER 2u
#define PIT_OUTPUT 0x20u

#define LAPIC_WAIT_STEPS 200u /* between two looks at the time */
#define LAPIC_CALIBRATION_US 10000u

static volatile uint32_t *lapic_registers;
static uint32_t lapic_hz;

static uint32_t lapic_read(unsigned at)
{
	return lapic_registers[at / 4];
}

static void lapic_write(unsigned at, uint32_t value)
{
	lapic_registers[at / 4] = value;
}

bool lapic_is_used(void)
{
	return lapic_hz != 0;
}

uint32_t lapic_id(void)
{
	return lapic_read(LAPIC_ID) >> 24;
}

uint32_t lapic_timer_hz(void)
{
	return lapic_hz;
}

/* -------- this CPU's -------- */

static uint32_t lapic_vector(enum lapic_interrupt interrupt)
{
	return TRAP_COUNT + TRAP_LINES + (uint32_t)interrupt;
}

void lapic_init_cpu(void)
{
	bool first = cpu_number() == 0;

	lapic_write(LAPIC_TASK_PRIORITY, 0);
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT0,
		    first ? LAPIC_MODE_EXTERNAL : LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, first ? LAPIC_MODE_NMI : LAPIC_LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_TIMER_DIVIDE, LAPIC_DIVIDE_BY_16);
	lapic_write(LAPIC_SVR,
		    LAPIC_SVR_ENABLED | lapic_vector(LAPIC_SPURIOUS));
}

void lapic_timer(bool on)
{
	lapic_write(LAPIC_LVT_TIMER,
		    on ? LAPIC_LVT_PERIODIC | lapic_vector(LAPIC_TIMER)
		       : LAPIC_LVT_MASKED);
	lapic_write(LAPIC_TIMER_START, on ? lapic_hz / TASK_HZ : 0);
}

void local_dispatch(unsigned number)
{
	struct cpu *cpu = cpu_this();

	if (number == LAPIC_SPURIOUS) {
		return;
	}
	cpus_awake();
	/* First: what follows may switch to another task. */
	lapic_write(LAPIC_EOI, 0);
	switch (number) {
	case LAPIC_TIMER:
		task_tick();
		break;
	case LAPIC_RESCHEDULE:
		cpu->counters.reschedules++;
		break;
	case LAPIC_SHOOTDOWN:
		cpus_serve();
		break;
	case LAPIC_CALL:
		cpus_answer();
		break;
	default:
		break;
	}
}

/* -------- commands to others; interrupts are off -------- */

static void lapic_command(uint32_t apic_id, uint32_t command)
{
	lapic_write(LAPIC_COMMAND_TO, apic_id << 24);
	lapic_write(LAPIC_COMMAND, command);
	while ((lapic_read(LAPIC_COMMAND) & LAPIC_COMMAND_BUSY) != 0) {
		cpu_pause();
	}
}

void lapic_send(uint32_t apic_id, enum lapic_interrupt interrupt)
{
	lapic_command(apic_id, LAPIC_COMMAND_ASSERT | lapic_vector(interrupt));
}

void lapic_send_nmi_to_others(void)
{
	lapic_command(0,
		      LAPIC_TO_OTHERS | LAPIC_COMMAND_ASSERT | LAPIC_MODE_NMI);
}

void lapic_send_init(uint32_t apic_id)
{
	lapic_command(apic_id, LAPIC_MODE_INIT | LAPIC_COMMAND_LEVEL |
				       LAPIC_COMMAND_ASSERT);
	lapic_wait_us(100);
	lapic_command(apic_id, LAPIC_MODE_INIT | LAPIC_COMMAND_LEVEL);
}

void lapic_send_startup(uint32_t apic_id, unsigned page)
{
	lapic_command(apic_id,
		      LAPIC_MODE_STARTUP | LAPIC_COMMAND_ASSERT | page);
}

/* -------- time -------- */

void lapic_wait_us(unsigned microseconds)
{
	uint32_t count = microseconds * (PIT_HZ / 10000) / 100 + 1;
	uint8_t gate = cpu_in8(PIT_GATE_PORT) & (uint8_t)~PIT_SPEAKER;

	if (count > UINT16_MAX) {
		count = UINT16_MAX;
	}
	cpu_out8(PIT_GATE_PORT, (uint8_t)(gate & ~PIT_GATE));
	cpu_out8(PIT_COMMAND, PIT_2_ONE_SHOT);
	cpu_out8(PIT_CHANNEL_2, (uint8_t)count);
	cpu_out8(PIT_CHANNEL_2, (uint8_t)(count >> 8));
	cpu_out8(PIT_GATE_PORT, (uint8_t)(gate | PIT_GATE));
	/*
	 * A machine without the timer reads ones, and does not wait. A read
	 * takes an emulator that counts instructions longer than hundreds of
	 * them, of which there are a thousand in a microsecond.
	 */
	while ((cpu_in8(PIT_GATE_PORT) & PIT_OUTPUT) == 0) {
		for (unsigned i = 0; i < LAPIC_WAIT_STEPS; i++) {
			__asm__ volatile("");
		}
		cpu_pause();
	}
}

static uint32_t lapic_measure(void)
{
	lapic_write(LAPIC_TIMER_START, UINT32_MAX);
	lapic_wait_us(LAPIC_CALIBRATION_US);
	uint32_t left = lapic_read(LAPIC_TIMER_NOW);
	lapic_write(LAPIC_TIMER_START, 0);
	return (UINT32_MAX - left) * (1000000u / LAPIC_CALIBRATION_US);
}

static const char *lapic_unusable(void)
{
	uint32_t id[4] = { 0 };

	if (cpu_features.cpuid) {
		cpu_cpuid(1, id);
	}
	if ((id[3] & CPUID_APIC) == 0) {
		return "this CPU has none";
	}
	uint64_t base = cpu_read_msr(MSR_APIC_BASE);
	if ((base & APIC_BASE_ENABLED) == 0) {
		return "the firmware has turned it off";
	}
	return (base & APIC_BASE_X2APIC) != 0
		       ? "the firmware has put it into x2APIC mode"
		       : NULL;
}

bool lapic_init(loam_phys_t phys)
{
	const char *why = lapic_unusable();

	if (why == NULL) {
		lapic_registers = loam_kspace_map_phys(
			&kernel.kspace, phys, LAPIC_BYTES,
			LOAM_PROT_READ | LOAM_PROT_WRITE | LOAM_PROT_UNCACHED);
		why = lapic_registers == NULL ? "no memory" : NULL;
	}
	if (why != NULL) {
		loam_host_log(LOAM_LOG_WARNING, why);
		return false;
	}
	uintptr_t flags = cpu_read_eflags();
	cpu_cli();
	lapic_init_cpu();
	uint32_t hz = lapic_measure();
	cpu_write_eflags(flags);
	/* One that stands still would leave every program running for ever. */
	if (hz / TASK_HZ == 0) {
		loam_host_log(LOAM_LOG_WARNING, "its timer stands still");
		return false;
	}
	lapic_hz = hz;
	return true;
}

/* SPDX-License-Identifier: MIT */
/* The PC's two 8259 interrupt controllers, and its 8254 timer. */

#include <loam/lock.h>

#include "../cpus.h"
#include "cpu.h"
#include "trap.h"

#define PIC_MASTER 0x20u
#define PIC_SLAVE 0xA0u
#define PIC_CASCADE_LINE 2u
#define PIC_ICW1_INIT 0x11u
#define PIC_ICW4_8086 0x01u
#define PIC_END_OF_INTERRUPT 0x20u
#define PIC_READ_IN_SERVICE 0x0Bu

#define PIT_CHANNEL_0 0x40u
#define PIT_COMMAND 0x43u
#define PIT_RATE_GENERATOR 0x34u
#define PIT_HZ 1193182u

static void (*volatile irq_handlers[TRAP_LINES])(void);
/* Of the controllers' masks. The lowest rank: nothing is taken under it. */
static struct loam_lock irq_lock =
	LOAM_LOCK_INIT("interrupt lines", LOAM_RANK_MEMBLOCK);

static void irq_mask(unsigned line, bool masked)
{
	uint16_t port = (line < 8 ? PIC_MASTER : PIC_SLAVE) + 1;
	uint8_t bit = (uint8_t)(1u << (line & 7u));

	loam_lock(&irq_lock);
	uint8_t mask = cpu_in8(port);
	cpu_out8(port, (uint8_t)(masked ? mask | bit : mask & ~bit));
	loam_unlock(&irq_lock);
}

void irq_init(void)
{
	static const uint16_t ports[2] = { PIC_MASTER, PIC_SLAVE };

	for (unsigned i = 0; i < 2; i++) {
		cpu_out8(ports[i], PIC_ICW1_INIT);
		cpu_out8(ports[i] + 1, (uint8_t)(TRAP_COUNT + 8 * i));
		cpu_out8(ports[i] + 1,
			 i == 0 ? 1u << PIC_CASCADE_LINE : PIC_CASCADE_LINE);
		cpu_out8(ports[i] + 1, PIC_ICW4_8086);
		cpu_out8(ports[i] + 1, 0xFF);
	}
	irq_mask(PIC_CASCADE_LINE, false);
}

void irq_set(unsigned line, void (*handler)(void))
{
	if (handler == NULL) {
		irq_mask(line, true);
	}
	irq_handlers[line] = handler;
	if (handler != NULL) {
		irq_mask(line, false);
	}
}

void irq_set_timer(unsigned hz)
{
	unsigned divisor = PIT_HZ / hz;

	cpu_out8(PIT_COMMAND, PIT_RATE_GENERATOR);
	cpu_out8(PIT_CHANNEL_0, (uint8_t)divisor);
	cpu_out8(PIT_CHANNEL_0, (uint8_t)(divisor >> 8));
}

/* A line that is not in service after all: noise, which wants no answer. */
static bool irq_is_spurious(unsigned line)
{
	uint16_t port = line < 8 ? PIC_MASTER : PIC_SLAVE;

	if ((line & 7u) != 7) {
		return false;
	}
	cpu_out8(port, PIC_READ_IN_SERVICE);
	return (cpu_in8(port) & 0x80u) == 0;
}

void irq_dispatch(unsigned line)
{
	cpus_awake();
	bool spurious = irq_is_spurious(line);
	void (*handler)(void) = irq_handlers[line];

	if (!spurious && handler != NULL) {
		handler();
	}
	if (line >= 8) {
		if (!spurious) {
			cpu_out8(PIC_SLAVE, PIC_END_OF_INTERRUPT);
		}
		cpu_out8(PIC_MASTER, PIC_END_OF_INTERRUPT);
	} else if (!spurious) {
		cpu_out8(PIC_MASTER, PIC_END_OF_INTERRUPT);
	}
}

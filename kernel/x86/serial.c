/* SPDX-License-Identifier: MIT */
/* The PC's first serial port, a 16550. */

/*
 * Nothing waits for ever: a port that does not empty within SERIAL_PATIENCE
 * looks counts as stuck, so that a machine without one, or with a dead one,
 * boots all the same. A stuck port is looked at once for each character, and
 * works again when it has room: whoever reads at the other end may be slow.
 * Output is polled, for it must work in exception handlers; input sleeps until
 * the port's interrupt.
 */

#include "../task.h"
#include "cpu.h"
#include "serial.h"
#include "trap.h"

#define SERIAL_PORT 0x3F8u
#define SERIAL_LINE 4u /* interrupt line */
#define SERIAL_DATA (SERIAL_PORT + 0)
#define SERIAL_INTERRUPTS (SERIAL_PORT + 1)
#define SERIAL_FIFO (SERIAL_PORT + 2)
#define SERIAL_FORMAT (SERIAL_PORT + 3)
#define SERIAL_MODEM (SERIAL_PORT + 4)
#define SERIAL_STATUS (SERIAL_PORT + 5)
#define SERIAL_SCRATCH (SERIAL_PORT + 7)

#define SERIAL_FORMAT_8N1 0x03u
#define SERIAL_FORMAT_DIVISOR 0x80u
#define SERIAL_FIFO_CLEAR 0xC7u
#define SERIAL_MODEM_ON 0x0Bu /* DTR, RTS, and OUT2: interrupts reach us */
#define SERIAL_STATUS_INPUT 0x01u
#define SERIAL_STATUS_ROOM 0x20u
#define SERIAL_STATUS_IDLE 0x40u

/*
 * At 115200 baud a character takes 87 us; a look takes about 1 us, and much
 * less in an emulator, whose reader may be kept waiting by the host.
 */
#define SERIAL_PATIENCE 4000000u

static bool serial_works;
static bool serial_stuck;

static bool serial_wait(uint8_t status)
{
	for (unsigned i = 0; i < SERIAL_PATIENCE; i++) {
		if ((cpu_in8(SERIAL_STATUS) & status) != 0) {
			return true;
		}
		cpu_pause();
	}
	return false;
}

bool serial_init(void)
{
	serial_works = false;
	cpu_out8(SERIAL_SCRATCH, 0x5A);
	if (cpu_in8(SERIAL_SCRATCH) != 0x5A) {
		return false;
	}
	cpu_out8(SERIAL_INTERRUPTS, 0);
	cpu_out8(SERIAL_FORMAT, SERIAL_FORMAT_DIVISOR);
	cpu_out8(SERIAL_DATA, 1); /* divisor 1: 115200 baud */
	cpu_out8(SERIAL_INTERRUPTS, 0);
	cpu_out8(SERIAL_FORMAT, SERIAL_FORMAT_8N1);
	cpu_out8(SERIAL_FIFO, SERIAL_FIFO_CLEAR);
	cpu_out8(SERIAL_MODEM, SERIAL_MODEM_ON);
	serial_works = true;
	return true;
}

void serial_put(char c)
{
	if (!serial_works) {
		return;
	}
	bool room = serial_stuck
			    ? (cpu_in8(SERIAL_STATUS) & SERIAL_STATUS_ROOM) != 0
			    : serial_wait(SERIAL_STATUS_ROOM);
	serial_stuck = !room;
	if (room) {
		cpu_out8(SERIAL_DATA, (uint8_t)c);
	}
}

void serial_drain(void)
{
	if (serial_works) {
		serial_wait(SERIAL_STATUS_IDLE);
	}
}

bool serial_has_input(void)
{
	return serial_works;
}

static void serial_interrupt(void)
{
	task_wake(&serial_works);
}

char serial_get(void)
{
	irq_set(SERIAL_LINE, serial_interrupt);
	cpu_out8(SERIAL_INTERRUPTS, 1);
	uintptr_t state = task_lock();
	while ((cpu_in8(SERIAL_STATUS) & SERIAL_STATUS_INPUT) == 0) {
		task_sleep(&serial_works, TASK_FOREVER);
	}
	task_unlock(state);
	char c = (char)cpu_in8(SERIAL_DATA);
	cpu_out8(SERIAL_INTERRUPTS, 0);
	irq_set(SERIAL_LINE, NULL);
	return c;
}

/* SPDX-License-Identifier: MIT */
/* The PC's first serial port: COM1, 115200 8n1. */
#ifndef KERNEL_X86_SERIAL_H
#define KERNEL_X86_SERIAL_H

#include <stdbool.h>

/* Sets the port up; false: there is none, and what is put goes nowhere. */
bool serial_init(void);

/* Sends one character. A port that takes none for a while is given up. */
void serial_put(char c);

/* Waits until the port has sent all it was given, or a while. */
void serial_drain(void);

/* True if there is a port that works. */
bool serial_has_input(void);

/* The next character; waits, with the CPU asleep. */
char serial_get(void);

#endif

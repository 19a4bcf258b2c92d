/* SPDX-License-Identifier: MIT */
/* The console: text to the serial port and the screen, keys from the port. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <loam/assert.h>

/*
 * Finds the serial port (COM1, 115200 8n1) and clears the screen, whose
 * memory, 32 KiB of text, is at `video` (NULL: no screen).
 */
void console_init(volatile uint16_t *video);

/* Prints one line at most (500 characters are kept), \n included if given. */
void kprintf(const char *format, ...) LOAM_PRINTF(1, 2);

void console_put(const char *text, size_t length);

/* Nobody is waited for any more: all other CPUs have stopped. */
void console_take_over(void);

/* Waits until the serial port has sent all it was given, or a while. */
void console_drain(void);

/* The next character from the serial port; waits, with the CPU asleep. */
char console_get(void);

/* True if there is a serial port at all. */
bool console_has_input(void);

/*
 * From here on what the library logs is also kept in to, terminated, until
 * console_log_end(). Lines that find no more room are cut. For tests.
 */
void console_log_begin(char *to, size_t size_bytes);
void console_log_end(void);

/* Prints one line of the library's log. */
void console_log(enum loam_log_level level, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/* The console: a 16550 serial port and a screen of 80 by 25 characters. */

/*
 * Nothing here allocates and nothing waits for ever: a serial port that does
 * not empty within SERIAL_PATIENCE looks is given up, so that a machine
 * without one, or with a dead one, boots all the same. Output is polled, for
 * it must work in exception handlers; input sleeps until the port's interrupt.
 */

#include <loam/mem.h>

#include "console.h"
#include "i386/cpu.h"
#include "i386/trap.h"

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

/* At 115200 baud a character takes 87 us; a look takes about 1 us. */
#define SERIAL_PATIENCE 20000u

#define VIDEO_COLUMNS 80u
#define VIDEO_ROWS 25u
#define VIDEO_MEMORY_ROWS 204u /* that 32 KiB hold */
#define VIDEO_BLANK 0x0720u    /* a space, grey on black */
#define VIDEO_INDEX 0x3D4u
#define VIDEO_DATA 0x3D5u
#define VIDEO_CURSOR 0x0Au
#define VIDEO_CURSOR_OFF 0x20u
#define VIDEO_START_HIGH 0x0Cu
#define VIDEO_START_LOW 0x0Du

static struct {
	bool serial;
	volatile uint16_t *video;
	unsigned column; /* of the next character */
	unsigned rows;   /* begun so far; the last one is written to */
	bool row_ended;
	char *log;
	size_t log_left;
} console;

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

static bool serial_init(void)
{
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
	return true;
}

static void serial_put(char c)
{
	if (!console.serial) {
		return;
	}
	if (!serial_wait(SERIAL_STATUS_ROOM)) {
		console.serial = false;
		return;
	}
	cpu_out8(SERIAL_DATA, (uint8_t)c);
}

/* Tells the screen which row of its memory is the topmost one. */
static void video_show_from(unsigned row)
{
	unsigned cell = row * VIDEO_COLUMNS;

	cpu_out8(VIDEO_INDEX, VIDEO_START_HIGH);
	cpu_out8(VIDEO_DATA, (uint8_t)(cell >> 8));
	cpu_out8(VIDEO_INDEX, VIDEO_START_LOW);
	cpu_out8(VIDEO_DATA, (uint8_t)cell);
}

/* Cell by cell, for the screen is volatile and memmove would not do. */
static void video_copy_rows(unsigned to, unsigned from, unsigned rows)
{
	volatile uint16_t *cells = console.video;

	for (unsigned i = 0; i < rows * VIDEO_COLUMNS; i++) {
		cells[to * VIDEO_COLUMNS + i] = cells[from * VIDEO_COLUMNS + i];
	}
}

static void video_blank_rows(unsigned first, unsigned rows)
{
	volatile uint16_t *cells = console.video + first * VIDEO_COLUMNS;

	for (unsigned i = 0; i < rows * VIDEO_COLUMNS; i++) {
		cells[i] = VIDEO_BLANK;
	}
}

/*
 * Begins a row below the last one. The memory holds eight screens, so most of
 * the time scrolling is a change of the topmost row and nothing is copied.
 */
static void video_add_row(void)
{
	if (console.rows == VIDEO_MEMORY_ROWS) {
		video_copy_rows(0, console.rows - (VIDEO_ROWS - 1),
				VIDEO_ROWS - 1);
		console.rows = VIDEO_ROWS - 1;
	}
	video_blank_rows(console.rows, 1);
	console.rows++;
	video_show_from(console.rows > VIDEO_ROWS ? console.rows - VIDEO_ROWS
						  : 0);
	console.column = 0;
	console.row_ended = false;
}

/* A row begins with its first character, so that none is wasted at the end. */
static void video_put(char c)
{
	if (console.video == NULL || c == '\r') {
		return;
	}
	if (c == '\b') {
		console.column -= console.column > 0 ? 1 : 0;
		return;
	}
	if (console.row_ended || console.column == VIDEO_COLUMNS) {
		video_add_row();
	}
	if (c == '\n') {
		console.row_ended = true;
		return;
	}
	unsigned cell = (console.rows - 1) * VIDEO_COLUMNS + console.column++;
	console.video[cell] = (uint16_t)((VIDEO_BLANK & 0xFF00u) | (uint8_t)c);
}

static void video_init(volatile uint16_t *video)
{
	console.video = video;
	console.rows = 0;
	console.row_ended = true;
	if (video == NULL) {
		return;
	}
	video_blank_rows(0, VIDEO_ROWS);
	cpu_out8(VIDEO_INDEX, VIDEO_CURSOR);
	cpu_out8(VIDEO_DATA, VIDEO_CURSOR_OFF);
}

void console_init(volatile uint16_t *video)
{
	console.serial = serial_init();
	video_init(video);
}

void console_put(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n') {
			serial_put('\r');
		}
		serial_put(text[i]);
		video_put(text[i]);
	}
}

void kprintf(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	int length = loam_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length < 0) {
		return;
	}
	if ((size_t)length >= sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	console_put(line, (size_t)length);
}

void console_drain(void)
{
	if (console.serial) {
		serial_wait(SERIAL_STATUS_IDLE);
	}
}

bool console_has_input(void)
{
	return console.serial;
}

/* The interrupt does its work by ending the sleep. */
static void serial_interrupt(void)
{
}

char console_get(void)
{
	irq_set(SERIAL_LINE, serial_interrupt);
	cpu_out8(SERIAL_INTERRUPTS, 1);
	while ((cpu_in8(SERIAL_STATUS) & SERIAL_STATUS_INPUT) == 0) {
		cpu_wait_interrupt();
	}
	char c = (char)cpu_in8(SERIAL_DATA);
	cpu_out8(SERIAL_INTERRUPTS, 0);
	irq_set(SERIAL_LINE, NULL);
	return c;
}

void console_log_begin(char *to, size_t size_bytes)
{
	to[0] = '\0';
	console.log = to;
	console.log_left = size_bytes;
}

void console_log_end(void)
{
	console.log = NULL;
}

void console_log(enum loam_log_level level, const char *text)
{
	static const char *const prefix[] = { "error: ", "warning: ", "" };
	/* Between the lines of a test's output a comment does no harm. */
	const char *mark = console.log != NULL ? "#   " : "";

	if (console.log != NULL) {
		int length = loam_snprintf(console.log, console.log_left,
					   "%s%s\n", prefix[level], text);
		size_t kept = (size_t)length < console.log_left
				      ? (size_t)length
				      : console.log_left - 1;
		console.log += kept;
		console.log_left -= kept;
	}
	kprintf("%s%s%s\n", mark, prefix[level], text);
}

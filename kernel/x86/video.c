/* SPDX-License-Identifier: MIT */
/* The PC's text screen of 80 by 25 characters. */

#include "cpu.h"
#include "video.h"

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
	volatile uint16_t *cells;
	unsigned column; /* of the next character */
	unsigned rows;   /* begun so far; the last one is written to */
	bool row_ended;
} video;

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
	volatile uint16_t *cells = video.cells;

	for (unsigned i = 0; i < rows * VIDEO_COLUMNS; i++) {
		cells[to * VIDEO_COLUMNS + i] = cells[from * VIDEO_COLUMNS + i];
	}
}

static void video_blank_rows(unsigned first, unsigned rows)
{
	volatile uint16_t *cells = video.cells + first * VIDEO_COLUMNS;

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
	if (video.rows == VIDEO_MEMORY_ROWS) {
		video_copy_rows(0, video.rows - (VIDEO_ROWS - 1),
				VIDEO_ROWS - 1);
		video.rows = VIDEO_ROWS - 1;
	}
	video_blank_rows(video.rows, 1);
	video.rows++;
	video_show_from(video.rows > VIDEO_ROWS ? video.rows - VIDEO_ROWS : 0);
	video.column = 0;
	video.row_ended = false;
}

/* A row begins with its first character, so that none is wasted at the end. */
void video_put(char c)
{
	if (video.cells == NULL || c == '\r') {
		return;
	}
	if (c == '\b') {
		video.column -= video.column > 0 ? 1 : 0;
		return;
	}
	if (video.row_ended || video.column == VIDEO_COLUMNS) {
		video_add_row();
	}
	if (c == '\n') {
		video.row_ended = true;
		return;
	}
	unsigned cell = (video.rows - 1) * VIDEO_COLUMNS + video.column++;
	video.cells[cell] = (uint16_t)((VIDEO_BLANK & 0xFF00u) | (uint8_t)c);
}

void video_init(volatile uint16_t *cells)
{
	video.cells = cells;
	video.rows = 0;
	video.row_ended = true;
	if (cells == NULL) {
		return;
	}
	video_blank_rows(0, VIDEO_ROWS);
	cpu_out8(VIDEO_INDEX, VIDEO_CURSOR);
	cpu_out8(VIDEO_DATA, VIDEO_CURSOR_OFF);
}

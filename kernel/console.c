/* SPDX-License-Identifier: MIT */
/* The console: text to the serial port and the screen, keys from the port. */

/* Nothing here allocates, for it must work in exception handlers. */

#include <loam/mem.h>

#include "console.h"
#include "cpu.h"
#include "cpus.h"
#include "serial.h"
#include "video.h"

static struct {
	char *log;
	size_t log_left;
	unsigned holder; /* CPU + 1 that prints, 0: nobody */
	bool taken_over; /* all others have stopped: nobody is waited for */
} console;

void console_init(volatile uint16_t *video)
{
	serial_init();
	video_init(video);
}

/*
 * Waits until no other CPU prints. False: this one does so already, in what an
 * interrupt or a fault has interrupted, and is not to wait for itself.
 */
static bool console_enter(void)
{
	unsigned self = (unsigned)cpu_number() + 1;

	for (;;) {
		unsigned nobody = 0;
		if (console.taken_over ||
		    __atomic_load_n(&console.holder, __ATOMIC_RELAXED) ==
			    self) {
			return false;
		}
		if (__atomic_compare_exchange_n(&console.holder, &nobody, self,
						false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED)) {
			return true;
		}
		cpus_serve();
		cpu_pause();
	}
}

void console_take_over(void)
{
	console.taken_over = true;
}

void console_put(const char *text, size_t length)
{
	/* Lines of several tasks and CPUs stay whole. */
	task_keep();
	bool mine = console_enter();
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n') {
			serial_put('\r');
		}
		serial_put(text[i]);
		video_put(text[i]);
	}
	if (mine) {
		__atomic_store_n(&console.holder, 0, __ATOMIC_RELEASE);
	}
	task_unkeep();
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
	serial_drain();
}

bool console_has_input(void)
{
	return serial_has_input();
}

char console_get(void)
{
	return serial_get();
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

/* SPDX-License-Identifier: MIT */
/* Panics, log lines and reports of misuse, formatted on the stack. */
#include <loam/assert.h>
#include <loam/mem.h>

/*
 * Three ways to say that something is wrong, by whose fault it is:
 *
 *   loam_log()     input or the machine is not as it should be; handled.
 *   loam_misuse()  a caller's bug, found before anything was changed. It is
 *                  reported with the caller's address and counted, and the
 *                  operation does nothing. A kernel lives on with it, a test
 *                  compares the count.
 *   loam_panic()   our own structures contradict each other. There is nothing
 *                  right left to do.
 *
 * All of them may run under any lock, in an interrupt, and in a machine whose
 * memory has run out: they allocate nothing, take no lock and keep the line on
 * the stack. What does not fit the line is cut.
 */

#define REPORT_LINE 256u

/* Room behind a report's text for ", called from " and a pointer. */
#define REPORT_CALLER_FORMAT ", called from %p"
#define REPORT_CALLER_ROOM (sizeof(", called from 0x") - 1 + 2 * sizeof(void *))

static unsigned long report_misuse_count;

_Noreturn void loam_panic(const char *format, ...)
{
	char line[REPORT_LINE];
	va_list args;
	va_start(args, format);
	(void)loam_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	loam_host_panic(line);
}

void loam_log(enum loam_log_level level, const char *format, ...)
{
	char line[REPORT_LINE];
	va_list args;
	va_start(args, format);
	(void)loam_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	loam_host_log(level, line);
}

void loam_misuse(const void *caller, const char *format, ...)
{
	char line[REPORT_LINE];
	size_t used = (size_t)loam_snprintf(line, sizeof(line), "loam: ");
	va_list args;
	va_start(args, format);
	(void)loam_vsnprintf(line + used,
			     sizeof(line) - REPORT_CALLER_ROOM - used, format,
			     args);
	va_end(args);
	used = loam_strlen(line);
	(void)loam_snprintf(line + used, sizeof(line) - used,
			    REPORT_CALLER_FORMAT, caller);
	__atomic_fetch_add(&report_misuse_count, 1, __ATOMIC_RELAXED);
	loam_host_log(LOAM_LOG_ERROR, line);
}

unsigned long loam_misuse_count(void)
{
	return __atomic_load_n(&report_misuse_count, __ATOMIC_RELAXED);
}

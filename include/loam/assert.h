/* SPDX-License-Identifier: MIT */
/* Three grades of assertion, logging, and reports of misuse. */
#ifndef LOAM_ASSERT_H
#define LOAM_ASSERT_H

#include <stdarg.h>

#include <loam/compiler.h>
#include <loam/host.h>

/*
 * Formats one line (as loam_snprintf, at most 255 characters) and panics.
 * Context: any, locks may be held. Takes about 300 bytes of stack, as the next
 * two do.
 */
_Noreturn void loam_panic(const char *format, ...) LOAM_PRINTF(1, 2);

/*
 * Formats one line (at most 255 characters; the rest is cut) and gives it to
 * loam_host_log(). Context: any, locks may be held; does not allocate.
 */
void loam_log(enum loam_log_level level, const char *format, ...)
	LOAM_PRINTF(2, 3);

/*
 * Reports a caller's bug that was found before anything was changed: a wild,
 * interior, foreign, misaligned or double free, corruption beside an object.
 * One line at LOAM_LOG_ERROR, "loam: " + text + ", called from " + caller,
 * and counts it. A text too long for the line is cut, the caller never is.
 * The operation then returns without effect.
 * Context: any; no lock of the caller's needs to be dropped.
 */
void loam_misuse(const void *caller, const char *format, ...) LOAM_PRINTF(2, 3);

/*
 * How many reports there have been since start, by all instances together: the
 * one variable that Loam shares between instances. Atomic; any context.
 */
unsigned long loam_misuse_count(void);

/* Always on: corruption after which nothing can be trusted. */
#define LOAM_VERIFY(condition)                                                 \
	do {                                                                   \
		if (LOAM_UNLIKELY(!(condition))) {                             \
			loam_panic("%s:%d: %s", __FILE__, __LINE__,            \
				   #condition);                                \
		}                                                              \
	} while (0)

/* Debug builds: a condition we have a proof of. */
#if LOAM_DEBUG
#define LOAM_ASSERT(condition) LOAM_VERIFY(condition)
#else
#define LOAM_ASSERT(condition) ((void)sizeof(!(condition)))
#endif

/* Slow debug builds: a condition that takes a walk to establish. */
#if LOAM_DEBUG_SLOW
#define LOAM_ASSERT_SLOW(condition) LOAM_VERIFY(condition)
#else
#define LOAM_ASSERT_SLOW(condition) ((void)sizeof(!(condition)))
#endif

/*
 * One step of a floor's check(): logs what does not hold and returns
 * -LOAM_EFAULT from the enclosing function.
 */
#define LOAM_CHECK(condition)                                                  \
	do {                                                                   \
		if (LOAM_UNLIKELY(!(condition))) {                             \
			loam_log(LOAM_LOG_ERROR, "check: %s:%d: %s", __FILE__, \
				 __LINE__, #condition);                        \
			return -LOAM_EFAULT;                                   \
		}                                                              \
	} while (0)

#endif

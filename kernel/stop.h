/* SPDX-License-Identifier: MIT */
/* One CPU reports a fault, and all others stop and are reported too. */
#ifndef KERNEL_STOP_H
#define KERNEL_STOP_H

#include <stdbool.h>

/*
 * Before a report: interrupts off, and the others stopped, whatever they do.
 * Where two begin at the same time one goes on and the other is stopped. On a
 * CPU that is reporting already it ends the machine.
 */
void stop_begin(void);

/* After it: what each of the others was doing, and locks in debug builds. */
void stop_report(void);

#endif

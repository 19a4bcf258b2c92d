/* SPDX-License-Identifier: MIT */
/* Commands: from the command line of the kernel, or typed. */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

#include <loam/types.h>

/*
 * Runs commands separated by semicolons. False if any of them failed or does
 * not exist; the others are run all the same.
 */
bool shell_run(const char *commands);

/* Reads and runs commands from the serial port until poweroff. */
_Noreturn void shell_loop(void);

#endif

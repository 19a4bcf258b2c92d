/* SPDX-License-Identifier: MIT */
/* The shell's commands about processes. */
#ifndef KERNEL_SHELL_PROCESS_H
#define KERNEL_SHELL_PROCESS_H

/* Each as struct shell_command's run: 0, or a negative errno. */
int shell_run_program(const char *argument);
int shell_ps(const char *argument);
int shell_kill(const char *argument);

#endif

/* SPDX-License-Identifier: MIT */
/* The shell's commands about processes. */
#ifndef KERNEL_SHELL_PROCESS_H
#define KERNEL_SHELL_PROCESS_H

/* Each as struct shell_command's run: 0, or a negative errno. */
int shell_run_program(const char *argument);
int shell_ps(const char *argument);
int shell_kill(const char *argument);
int shell_maps(const char *argument);
int shell_process_pt(const char *argument); /* PID ADDR */
int shell_meminfo(const char *argument);
int shell_faults(const char *argument);

#endif

/* SPDX-License-Identifier: MIT */
/* Starts, shows and ends processes from the kernel's shell. */

#include <loam/mem.h>

#include "cmdline.h"
#include "console.h"
#include "kernel.h"
#include "process.h"
#include "programs.h"
#include "shell_process.h"

/* Splits words at blanks into arguments. True: the last word is "&". */
static int run_split(struct process_arguments *to, const char *line,
		     bool *background)
{
	char word[ABI_ARGUMENT_BYTES];
	int error = 0;

	*background = false;
	while (error == 0 && *line != '\0') {
		size_t length = 0;
		while (*line != '\0' && *line != ' ') {
			if (length + 1 < sizeof(word)) {
				word[length++] = *line;
			}
			line++;
		}
		while (*line == ' ') {
			line++;
		}
		word[length] = '\0';
		if (loam_streq(word, "&") && *line == '\0') {
			*background = true;
			break;
		}
		error = process_add_argument(to, word);
	}
	return error;
}

static const char *end_name(uint32_t status)
{
	switch (status) {
	case ABI_END_KILL:
		return "killed";
	case ABI_END_FAULT:
		return "killed: a bad address";
	case ABI_END_TRAP:
		return "killed: an exception";
	case ABI_END_MEMORY:
		return "killed: out of memory";
	default:
		return "?";
	}
}

static int run_wait(int pid, const char *name)
{
	uint32_t status = process_join(pid);

	if ((status & ABI_STATUS_KILLED) != 0) {
		kprintf("[%d] %s: %s\n", pid, name, end_name(status));
		return -LOAM_EFAULT;
	}
	if (status != 0) {
		kprintf("[%d] %s: exit %u\n", pid, name, (unsigned)status);
	}
	return status == 0 ? 0 : -LOAM_EINVAL;
}

int shell_run_program(const char *argument)
{
	struct process_arguments *arguments = kzalloc(sizeof(*arguments));
	bool background = false;

	if (arguments == NULL) {
		kprintf("no memory\n");
		return -LOAM_ENOMEM;
	}
	int error = run_split(arguments, argument, &background);
	if (error == 0 && arguments->count == 0) {
		kprintf(programs_exist() ? "run PROG [args] [&]; there are\n"
					 : "no programs were loaded\n");
		programs_list();
		kfree(arguments);
		return programs_exist() ? 0 : -LOAM_ENOENT;
	}
	int pid = error != 0 ? error
			     : process_spawn(arguments->text, arguments, NULL,
					     !background);
	char name[PROCESS_NAME];
	loam_snprintf(name, sizeof(name), "%s", arguments->text);
	kfree(arguments);
	if (pid < 0) {
		kprintf("%s: %s\n", name,
			pid == -LOAM_ENOENT   ? "no such program"
			: pid == -LOAM_EAGAIN ? "too many processes"
			: pid == -LOAM_ENOMEM ? "no memory"
			: pid == -ABI_E2BIG   ? "too many arguments"
					      : "cannot be run");
		return pid;
	}
	if (background) {
		kprintf("[%d] %s\n", pid, name);
		return 0;
	}
	return run_wait(pid, name);
}

static const char *task_state_name(const struct task *task)
{
	switch (task->state) {
	case TASK_READY:
		return task == task_current() ? "running" : "ready";
	case TASK_SLEEPING:
		return "sleeping";
	case TASK_ENDED:
		return "ended";
	case TASK_DEAD:
		return "dead";
	}
	return "?";
}

static int ps_row(void *arg, struct task *task)
{
	const struct process *process = task->process;

	(void)arg;
	kprintf("%5d %6d  %-8s %8llu  %s\n", process != NULL ? process->pid : 0,
		process != NULL && process->parent != NULL
			? process->parent->pid
			: 0,
		task_state_name(task), (unsigned long long)task->ticks,
		task->name);
	return 0;
}

int shell_ps(const char *argument)
{
	struct process_stats processes;
	struct task_stats tasks;

	(void)argument;
	kprintf("  PID PARENT  STATE       TICKS  NAME\n");
	task_each(ps_row, NULL);
	process_stats(&processes);
	task_stats(&tasks);
	kprintf("%llu started, %llu forked; %llu ended by themselves, %llu "
		"killed\n",
		(unsigned long long)processes.started,
		(unsigned long long)processes.forked,
		(unsigned long long)processes.ended[0],
		(unsigned long long)(processes.ended[1] + processes.ended[2] +
				     processes.ended[3] + processes.ended[4]));
	kprintf("%llu switches, %llu by the timer (%llu of these in the "
		"kernel), %llu loads of page tables\n",
		(unsigned long long)tasks.switches,
		(unsigned long long)tasks.preemptions,
		(unsigned long long)tasks.in_kernel,
		(unsigned long long)tasks.root_loads);
	return 0;
}

/* A pid, or a complaint. */
static int shell_pid(const char *argument, int *pid)
{
	uint64_t number;

	if (!cmdline_number(argument, &number) || number > INT32_MAX) {
		kprintf("\"%s\" is no process: ps shows them\n", argument);
		return -LOAM_EINVAL;
	}
	*pid = (int)number;
	return 0;
}

int shell_kill(const char *argument)
{
	int pid;
	int error = shell_pid(argument, &pid);

	if (error == 0) {
		error = process_kill(pid, ABI_END_KILL);
		if (error != 0) {
			kprintf("there is no process %d\n", pid);
		}
	}
	return error;
}

/* SPDX-License-Identifier: MIT */
/* Starts, shows and ends processes from the kernel's shell. */

#include <loam/bits.h>
#include <loam/mem.h>

#include "cmdline.h"
#include "console.h"
#include "images.h"
#include "kernel.h"
#include "process.h"
#include "programs.h"
#include "report.h"
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

/* -------- one process's memory -------- */

/* A region in the notation of /proc/PID/maps; there are no files, so 0 0. */
static int maps_row(void *arg, const struct loam_region_info *r)
{
	(void)arg;
	kprintf("%08zx-%08zx %c%c%c%c %08llx 00:00 0%*s%s\n", (size_t)r->start,
		(size_t)(r->start + r->size),
		(r->prot & LOAM_PROT_READ) != 0 ? 'r' : '-',
		(r->prot & LOAM_PROT_WRITE) != 0 ? 'w' : '-',
		(r->prot & LOAM_PROT_EXEC) != 0 ? 'x' : '-',
		r->kind == LOAM_REGION_SHARED ? 's' : 'p',
		(unsigned long long)(r->kind == LOAM_REGION_PAGER ? r->offset
								  : 0),
		26, "",
		r->name != NULL                        ? r->name
		: (r->flags & LOAM_REGION_HEAP) != 0   ? "[heap]"
		: (r->flags & LOAM_REGION_MALLOC) != 0 ? "[malloc]"
						       : "");
	return 0;
}

static int maps_of(void *arg, struct process *process)
{
	return loam_proc_walk(&process->space, maps_row, arg);
}

int shell_maps(const char *argument)
{
	int pid;
	int error = shell_pid(argument, &pid);

	if (error == 0) {
		error = process_use(pid, maps_of, NULL);
		if (error == -ABI_ESRCH) {
			kprintf("there is no process %d\n", pid);
		}
	}
	return error;
}

static int walk_of(void *arg, struct process *process)
{
	const uintptr_t *address = arg;

	report_walk_of(&process->space.pt, *address);
	return 0;
}

int shell_process_pt(const char *argument)
{
	char word[16];
	size_t length = 0;
	uint64_t number;
	int pid;

	while (*argument != ' ' && *argument != '\0') {
		if (length + 1 < sizeof(word)) {
			word[length++] = *argument;
		}
		argument++;
	}
	word[length] = '\0';
	while (*argument == ' ') {
		argument++;
	}
	if (shell_pid(word, &pid) != 0) {
		return -LOAM_EINVAL;
	}
	if (!cmdline_number(argument, &number) || number > UINTPTR_MAX) {
		kprintf("\"%s\" is no address\n", argument);
		return -LOAM_EINVAL;
	}
	uintptr_t address = (uintptr_t)number;
	int error = process_use(pid, walk_of, &address);
	if (error != 0) {
		kprintf("there is no process %d\n", pid);
	}
	return error;
}

/* -------- all memory -------- */

static void meminfo_row(const char *name, uint64_t frames)
{
	kprintf("%-14s %10llu kB\n", name, (unsigned long long)frames * 4);
}

/* All frames in the map that may be used, whoever has them. */
static uint64_t meminfo_usable(void)
{
	uint64_t frames = 0;

	for (uint32_t i = 0; i < kernel.memmap.count; i++) {
		const struct loam_mem_range *range = &kernel.memmap.ranges[i];
		if (range->type == LOAM_MEM_USABLE) {
			frames += (range->base + range->size) / LOAM_PAGE_SIZE -
				  loam_round_up(range->base, LOAM_PAGE_SIZE) /
					  LOAM_PAGE_SIZE;
		}
	}
	return frames;
}

int shell_meminfo(const char *argument)
{
	static const char *const names[LOAM_OWNER_COUNT] = {
		[LOAM_OWNER_NONE] = "Other:",
		[LOAM_OWNER_TABLE] = "PageTables:",
		[LOAM_OWNER_SLAB] = "Slab:",
		[LOAM_OWNER_META] = "SlabMeta:",
		[LOAM_OWNER_KMALLOC] = "Kmalloc:",
		[LOAM_OWNER_VMALLOC] = "VmallocUsed:",
		[LOAM_OWNER_HEAP] = "Heap:",
		[LOAM_OWNER_USER] = "AnonPages:",
		[LOAM_OWNER_STACK] = "KernelStack:",
	};
	uint64_t counts[LOAM_OWNER_COUNT];
	uint64_t managed = 0;

	(void)argument;
	/* Nobody allocates between the counts. */
	uintptr_t state = task_lock();
	uint64_t free = loam_frame_free_count(&kernel.frames);
	uint64_t cached = images_frames();
	loam_frame_count_owners(&kernel.frames, counts);
	for (unsigned i = 0; i < LOAM_ZONE_COUNT; i++) {
		struct loam_zone_stats zone;
		loam_frame_zone_stats(&kernel.frames, (enum loam_zone_id)i,
				      &zone);
		managed += zone.managed;
	}
	task_unlock(state);
	uint64_t total = meminfo_usable();
	uint64_t sum = free + cached + total - managed;
	counts[LOAM_OWNER_USER] -= cached;
	meminfo_row("MemTotal:", total);
	meminfo_row("MemFree:", free);
	meminfo_row("Cached:", cached);
	for (unsigned i = 0; i < LOAM_OWNER_COUNT; i++) {
		if (names[i] != NULL) {
			meminfo_row(names[i], counts[i]);
		}
		sum += counts[i];
	}
	/* The kernel's image, the frames' metadata, modules, firmware. */
	meminfo_row("Reserved:", total - managed);
	if (sum != total) {
		kprintf("the sum of all but the first is %llu kB\n",
			(unsigned long long)sum * 4);
		return -LOAM_EFAULT;
	}
	return 0;
}

int shell_faults(const char *argument)
{
	struct loam_procs_stats stats;

	(void)argument;
	loam_procs_stats(&spaces, &stats);
	for (unsigned i = 0; i < LOAM_FAULT_KINDS; i++) {
		kprintf("  %-22s %10llu\n",
			loam_fault_kind_name((enum loam_fault_kind)i),
			(unsigned long long)stats.faults[i]);
	}
	kprintf("%u spaces, %llu frames reclaimed, %llu ended for want of "
		"memory\n",
		(unsigned)stats.count, (unsigned long long)stats.reclaimed,
		(unsigned long long)stats.out_of_memory);
	return 0;
}

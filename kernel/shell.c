/* SPDX-License-Identifier: MIT */
/* The kernel's few commands. */

#include <loam/mem.h>

#include "arch.h"
#include "bench.h"
#include "cmdline.h"
#include "console.h"
#include "cpus.h"
#include "crash.h"
#include "kernel.h"
#include "ktest.h"
#include "process.h"
#include "programs.h"
#include "report.h"
#include "shell.h"
#include "shell_process.h"
#include "stress.h"

#define SHELL_LINE 128u
#define SHELL_CONTROL_C 3
#define SHELL_CONTROL_U 21
#define SHELL_BACKSPACE 8
#define SHELL_DELETE 127

struct shell_command {
	const char *name;
	const char *arguments;
	const char *help;
	/* argument: the rest of the line, "" if none. 0, or it failed. */
	int (*run)(const char *argument);
};

static bool shell_all_well = true; /* so far; decides poweroff's status */

static int shell_map(const char *argument)
{
	(void)argument;
	report_firmware_map();
	report_memory_map();
	report_owners();
	return 0;
}

static int shell_zones(const char *argument)
{
	(void)argument;
	report_zones();
	return 0;
}

static int shell_slabs(const char *argument)
{
	(void)argument;
	report_slabs();
	return 0;
}

/* The word that text begins with, and what follows it. */
static bool shell_word(const char *text, const char *word, const char **rest)
{
	size_t length = loam_strlen(word);

	if (loam_strlen(text) < length || memcmp(text, word, length) != 0 ||
	    (text[length] != ' ' && text[length] != '\0')) {
		return false;
	}
	for (text += length; *text == ' '; text++) {
	}
	*rest = text;
	return true;
}

static int shell_heap(const char *argument)
{
	const char *rest;

	if (argument[0] == '\0') {
		report_heap();
		return 0;
	}
	if (shell_word(argument, "walk", &rest)) {
		return report_heap_walk(rest);
	}
	if (loam_streq(argument, "check")) {
		int error = loam_kmalloc_check(&kernel.kmalloc);
		kprintf("heap check: %s\n",
			error == 0 ? "every invariant holds" : "FAILED");
		return error;
	}
	kprintf("heap, heap walk [ROWS] or heap check\n");
	return -LOAM_EINVAL;
}

static int shell_ranges(const char *argument)
{
	(void)argument;
	report_ranges();
	return 0;
}

static int shell_cost(const char *argument)
{
	(void)argument;
	report_cost();
	return 0;
}

/* An address within the kernel's reach, or a complaint. */
static bool shell_address(const char *argument, uint64_t limit, uint64_t *out)
{
	if (!cmdline_number(argument, out)) {
		kprintf("\"%s\" is not a number (1234, 0x1f, 64K)\n", argument);
		return false;
	}
	if (*out > limit) {
		kprintf("%s is more than 0x%llx\n", argument,
			(unsigned long long)limit);
		return false;
	}
	return true;
}

static int shell_owner(const char *argument)
{
	uint64_t address;

	if (!shell_address(argument, UINT64_MAX, &address)) {
		return -LOAM_EINVAL;
	}
	report_owner(address);
	return 0;
}

/* True if there is a second word. */
static bool shell_has_words(const char *argument)
{
	while (*argument != '\0' && *argument != ' ') {
		argument++;
	}
	return *argument == ' ';
}

static int shell_pt(const char *argument)
{
	uint64_t address;

	if (argument[0] == '\0') {
		report_mappings();
		return 0;
	}
	if (shell_has_words(argument)) {
		return shell_process_pt(argument);
	}
	if (!shell_address(argument, UINTPTR_MAX, &address)) {
		return -LOAM_EINVAL;
	}
	report_walk((uintptr_t)address);
	return 0;
}

static int shell_alloc(const char *argument)
{
	uint64_t size_bytes;
	char text[96];

	if (!shell_address(argument, SIZE_MAX, &size_bytes)) {
		return -LOAM_EINVAL;
	}
	void *block = kmalloc((size_t)size_bytes);
	if (block == NULL) {
		kprintf("no memory for %s bytes\n", argument);
		return -LOAM_ENOMEM;
	}
	kprintf("%p: %zu bytes usable, %s\n", block, ksize(block),
		report_describe(text, (uintptr_t)block));
	return 0;
}

static int shell_free(const char *argument)
{
	unsigned long reports = loam_misuse_count();
	uint64_t address;

	if (!shell_address(argument, UINTPTR_MAX, &address)) {
		return -LOAM_EINVAL;
	}
	kfree((void *)(uintptr_t)address);
	return loam_misuse_count() == reports ? 0 : -LOAM_EFAULT;
}

static int shell_check(const char *argument)
{
	(void)argument;
	task_settle();
	int error = loam_boot_check(&kernel);
	if (error == 0) {
		error = process_check();
	}
	kprintf("check: %s\n", error == 0 ? "every floor is well" : "FAILED");
	return error;
}

static int shell_test(const char *argument)
{
	return ktest_run(argument);
}

static int shell_bench(const char *argument)
{
	if (loam_streq(argument, "cpus")) {
		return bench_run_cpus();
	}
	int error = bench_run();

	/* What programs see, they measure themselves. */
	return error == 0 && programs_exist() ? shell_run_program("bench")
					      : error;
}

static int shell_cpus(const char *argument)
{
	(void)argument;
	cpus_report();
	return 0;
}

static int shell_stress(const char *argument)
{
	uint64_t seconds;

	if (!shell_address(argument, 86400, &seconds)) {
		return -LOAM_EINVAL;
	}
	return stress_run((unsigned)seconds);
}

/* cpu offline N, cpu online N */
static int shell_cpu(const char *argument)
{
	const char *rest;
	uint64_t number;
	bool off = shell_word(argument, "offline", &rest);

	if ((!off && !shell_word(argument, "online", &rest)) ||
	    !cmdline_number(rest, &number) || number >= CPUS_MOST) {
		kprintf("cpu offline N or cpu online N\n");
		return -LOAM_EINVAL;
	}
	int error = off ? cpus_offline((unsigned)number)
			: cpus_bring_online((unsigned)number);
	kprintf("cpu %u: %s\n", (unsigned)number,
		error == 0 ? off ? "offline, its caches given back" : "online"
		: error == -LOAM_ENOENT ? "there is no such CPU"
		: error == -LOAM_EBUSY  ? "it is needed"
					: "it is so already");
	return error;
}

static int shell_poweroff(const char *argument)
{
	(void)argument;
	machine_exit(shell_all_well);
}

static int shell_reboot(const char *argument)
{
	(void)argument;
	machine_reboot();
}

static int shell_help(const char *argument);

static const struct shell_command shell_commands[] = {
	{ "help", "", "this list", shell_help },
	{ "map", "", "physical memory: firmware, normalised, owners",
	  shell_map },
	{ "owner", "ADDR", "who owns a physical or kernel address",
	  shell_owner },
	{ "zones", "", "page frames: zones, free blocks by order",
	  shell_zones },
	{ "slabs", "", "slab caches that hold memory", shell_slabs },
	{ "heap", "[WHAT]", "what is behind kmalloc; walk, check", shell_heap },
	{ "ranges", "", "the kernel's address map", shell_ranges },
	{ "pt", "[ADDR]", "the walk for an address; all mappings; PID ADDR",
	  shell_pt },
	{ "cost", "", "what bring-up cost", shell_cost },
	{ "alloc", "SIZE", "kmalloc", shell_alloc },
	{ "free", "ADDR", "kfree", shell_free },
	{ "run", "PROG", "a program; with arguments; & leaves it running",
	  shell_run_program },
	{ "ps", "", "tasks and processes", shell_ps },
	{ "kill", "PID", "ends a process", shell_kill },
	{ "maps", "PID", "regions of a process, as in /proc/PID/maps",
	  shell_maps },
	{ "meminfo", "", "where all memory is, as in /proc/meminfo",
	  shell_meminfo },
	{ "faults", "", "page faults of processes, by kind", shell_faults },
	{ "cpus", "", "CPUs: state, ticks, interrupts, what they run",
	  shell_cpus },
	{ "cpu", "WHAT N", "offline or online CPU N", shell_cpu },
	{ "stress", "SECONDS", "storms on all CPUs, every byte examined",
	  shell_stress },
	{ "check", "", "every floor's check()", shell_check },
	{ "test", "[WORD]", "tests; those with WORD; heaps: a suite on all",
	  shell_test },
	{ "bench", "[cpus]", "instructions of each operation; by all CPUs",
	  shell_bench },
	{ "crash", "KIND", "fail, to see what it looks like", crash },
	{ "reboot", "", "start again", shell_reboot },
	{ "poweroff", "", "turn the machine off", shell_poweroff },
};

static int shell_help(const char *argument)
{
	(void)argument;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(shell_commands); i++) {
		const struct shell_command *c = &shell_commands[i];
		kprintf("  %-9s %-7s %s\n", c->name, c->arguments, c->help);
	}
	return 0;
}

/* One command with its argument; the line is changed. */
static int shell_command(char *line)
{
	while (*line == ' ') {
		line++;
	}
	size_t end = loam_strlen(line);
	while (end > 0 && line[end - 1] == ' ') {
		line[--end] = '\0';
	}
	if (*line == '\0') {
		return 0;
	}
	char *argument = line;
	while (*argument != '\0' && *argument != ' ') {
		argument++;
	}
	while (*argument == ' ') {
		*argument++ = '\0';
	}
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(shell_commands); i++) {
		if (loam_streq(line, shell_commands[i].name)) {
			return shell_commands[i].run(argument);
		}
	}
	kprintf("no command \"%s\"; try help\n", line);
	return -LOAM_ENOENT;
}

bool shell_run(const char *commands)
{
	char line[SHELL_LINE];
	bool well = true;

	while (*commands != '\0') {
		size_t length = 0;
		for (; *commands != '\0' && *commands != ';'; commands++) {
			if (length + 1 < sizeof(line)) {
				line[length++] = *commands;
			}
		}
		commands += *commands == ';' ? 1 : 0;
		line[length] = '\0';
		if (shell_command(line) != 0) {
			well = false;
		}
		shell_all_well = shell_all_well && well;
	}
	return well;
}

static void shell_erase(size_t *length, size_t count)
{
	for (; count > 0 && *length > 0; count--) {
		console_put("\b \b", 3);
		(*length)--;
	}
}

/* Reads a line with echo; backspace, control-U and control-C edit it. */
static void shell_read(char line[SHELL_LINE])
{
	size_t length = 0;

	for (;;) {
		char c = console_get();
		if (c == '\r' || c == '\n') {
			break;
		}
		if (c == SHELL_BACKSPACE || c == SHELL_DELETE) {
			shell_erase(&length, 1);
		} else if (c == SHELL_CONTROL_U || c == SHELL_CONTROL_C) {
			shell_erase(&length, length);
		} else if (c >= ' ' && c < SHELL_DELETE &&
			   length + 1 < SHELL_LINE) {
			line[length++] = c;
			console_put(&c, 1);
		}
	}
	line[length] = '\0';
	console_put("\n", 1);
}

_Noreturn void shell_loop(void)
{
	char line[SHELL_LINE];

	for (;;) {
		kprintf("loam> ");
		shell_read(line);
		shell_run(line);
		/* What was typed wrong must not count against the kernel. */
		shell_all_well = true;
	}
}

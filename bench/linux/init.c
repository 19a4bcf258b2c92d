/* SPDX-License-Identifier: MIT */
/* The first process under Linux: module, bench, and the end of the machine. */

/*
 * The initramfs holds this as /init, the module, and user/programs/bench.c as
 * /bench: Loam's own program, linked with calls.c in the place of Loam's calls.
 * Large pages are forbidden to it: rows are of pages of 4 KiB, as the same rows
 * of Loam's are.
 */

#include <machine.h>
#include <stdio.h>
#include <unistd.h>

#define MODULE "/loam_bench.ko"
#define PROGRAM "/bench"

#define PR_SET_THP_DISABLE 41
#define TCSBRK 0x5409u

/* QEMU's exit device, and what is written to it: see scripts/run. */
#define EXIT_PORT 0xF4u
#define EXIT_PORT_BYTES 4u
#define EXIT_SUCCESS 0x10u
#define EXIT_FAILURE 0x11u

struct uname_names {
	char system[65];
	char node[65];
	char release[65];
	char version[65];
	char machine[65];
	char domain[65];
};

/* Which Linux this is, for the table. */
static int show_version(void)
{
	static struct uname_names names;

	if (linux_call(LINUX_UNAME, (uintptr_t)&names, 0, 0, 0) != 0) {
		return -1;
	}
	printf("linux: %s, %s\n", names.release, names.version);
	return 0;
}

/* The module measures when it is loaded; an error is its word for failure. */
static int load_module(void)
{
	long file = linux_call(LINUX_OPEN, (uintptr_t)MODULE, 0, 0, 0);
	long error = file < 0 ? file
			      : linux_call(LINUX_FINIT_MODULE, (uintptr_t)file,
					   (uintptr_t) "", 0, 0);

	if (error < 0) {
		printf("init: " MODULE ": error %d\n", (int)-error);
	}
	return error < 0 ? -1 : 0;
}

static int run_program(void)
{
	char name[] = PROGRAM;
	char *const argv[] = { name, NULL };
	int status = -1;
	int pid = fork();

	if (pid == 0) {
		linux_call(LINUX_EXECVE, (uintptr_t)name, (uintptr_t)argv,
			   (uintptr_t)&argv[1], 0);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status) != pid || status != 0) {
		printf("init: " PROGRAM ": status 0x%x\n", (unsigned)status);
		return -1;
	}
	return 0;
}

/* Ends QEMU, once the serial port has sent what it was given. */
static void end_machine(uint32_t status)
{
	linux_call(LINUX_IOCTL, 1, TCSBRK, 1, 0);
	if (linux_call(LINUX_IOPERM, EXIT_PORT, EXIT_PORT_BYTES, 1, 0) == 0) {
		__asm__ volatile("outl %0, %w1"
				 :
				 : "a"(status), "Nd"(EXIT_PORT));
	}
}

/* Should it come back from here, the kernel panics for want of a process. */
int main(void)
{
	bool well = linux_call(LINUX_PRCTL, PR_SET_THP_DISABLE, 1, 0, 0) == 0;

	well = show_version() == 0 && well;
	well = load_module() == 0 && well;
	well = run_program() == 0 && well;
	end_machine(well ? EXIT_SUCCESS : EXIT_FAILURE);
	return 1;
}

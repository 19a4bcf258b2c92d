/* SPDX-License-Identifier: MIT */
/* loam: the command-line tool; finds the subcommand and runs it. */
#include "loam.h"

#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "map", "FILE [--json]",
	  "normalise a memory map: rows of \"base length type\", or a Linux "
	  "boot log",
	  tool_map },
	{ "lab", "[OPTIONS] [TRACE]",
	  "run a workload over the heaps and compare them; lab --help says how",
	  tool_lab },
	{ "record", "-o FILE -- PROGRAM ARGUMENTS",
	  "run a program and write what it allocates and frees as a trace",
	  tool_record },
};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: loam COMMAND ARGUMENTS\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		fprintf(to, "  loam %s %s\n      %s\n", commands[i].name,
			commands[i].arguments, commands[i].summary);
	}
	fprintf(to, "\nFILE may be - for standard input.\n");
}

/* Output that could not be written, to a full disk say, is a failure. */
static int finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("loam: standard output");
		return TOOL_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return TOOL_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return finish(TOOL_OK);
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0) {
			return finish(commands[i].run(argc - 1, argv + 1));
		}
	}
	fprintf(stderr, "loam: there is no command \"%s\"\n", argv[1]);
	print_usage(stderr);
	return TOOL_USAGE;
}

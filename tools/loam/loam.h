/* SPDX-License-Identifier: MIT */
/* The subcommands of the loam tool. */
#ifndef LOAM_TOOL_H
#define LOAM_TOOL_H

/* What a subcommand returns: the exit status of the tool. */
enum tool_status {
	TOOL_OK,
	TOOL_FAILED, /* the input is wrong, or could not be read */
	TOOL_USAGE,  /* the command line is wrong */
};

/* Each gets the arguments from its own name on, as main() does. */
int tool_map(int argc, char **argv);
int tool_lab(int argc, char **argv);
int tool_record(int argc, char **argv); /* or the program's status */

#endif

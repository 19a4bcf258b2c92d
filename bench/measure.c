/* SPDX-License-Identifier: MIT */
/* Runs a command and prints what it cost: build/bench/measure FILE CMD... */

/*
 * One line into FILE: seconds of user and system time, of wall-clock time, and
 * the peak of resident memory in KiB, of the command and what it waited for.
 * A program of its own because a process starts with the peak of the one it
 * was forked from: this one is small. The exit status is the command's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: measure FILE CMD...\n", stderr);
		return 2;
	}
	double began = now();
	pid_t child = fork();
	if (child == 0) {
		const char *preload = getenv("MEASURE_PRELOAD");
		if (preload != NULL && *preload != '\0') {
			setenv("LD_PRELOAD", preload, 1);
		}
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	int status;
	struct rusage usage;
	if (child < 0 || wait4(child, &status, 0, &usage) != child) {
		perror("measure");
		return 2;
	}
	FILE *file = fopen(argv[1], "w");
	if (file == NULL) {
		perror(argv[1]);
		return 2;
	}
	fprintf(file, "%.6f %.6f %.6f %ld\n", seconds(usage.ru_utime),
		seconds(usage.ru_stime), now() - began, usage.ru_maxrss);
	fclose(file);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

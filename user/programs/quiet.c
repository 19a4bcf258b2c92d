/* SPDX-License-Identifier: MIT */
/* Says nothing: quiet [crash | forks COUNT]. For tests that run it often. */

#include <check.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "crash") == 0) {
		abort();
	}
	unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	static unsigned char memory[16 * 4096];
	memset(memory, 1, sizeof(memory));
	for (unsigned i = 0; i < count; i++) {
		int pid = fork();
		int status;
		CHECK(pid >= 0);
		if (pid == 0) {
			memory[i * 4096 % sizeof(memory)] = 2;
			_exit(i % 100 == 99 ? 0 : (int)(i % 7));
		}
		memory[(i + 1) * 4096 % sizeof(memory)] = 1;
		CHECK(waitpid(pid, &status) == pid);
		CHECK(status == (i % 100 == 99 ? 0 : (int)(i % 7)));
		for (unsigned at = 0; at < sizeof(memory); at += 4096) {
			CHECK(memory[at] == 1);
		}
	}
	return 0;
}

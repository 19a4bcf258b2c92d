/* SPDX-License-Identifier: MIT */
/* Forks until the kernel says that it is enough, and cleans up. */

#include <check.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned most = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
	unsigned count = 0;
	int pid = 1;

	while (count < most && (pid = fork()) > 0) {
		count++;
	}
	if (pid == 0) {
		/* The children stay until the whole tree is killed off. */
		for (;;) {
			sleep_ms(1000);
		}
	}
	CHECK(count == most || errno == EAGAIN || errno == ENOMEM);
	/* Their pids follow ours, in turn. */
	unsigned killed = 0;
	for (int child = getpid() + 1; killed < count; child++) {
		if (kill(child) == 0) {
			killed++;
		}
		CHECK(child < getpid() + 100000);
	}
	for (unsigned i = 0; i < count; i++) {
		int status;
		CHECK(wait(&status) > 0 && status == ABI_END_KILL);
	}
	printf("forkbomb: %u children, all gone\n", count);
	return 0;
}

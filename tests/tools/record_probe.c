/* SPDX-License-Identifier: MIT */
/* A program whose allocations are known: for the test of the recorder. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4u
#define ROUNDS 500u
#define SMALL_ROUNDS 20000u

/* What malloc is called in the library itself: the recorder does not see it. */
extern void *__libc_malloc(size_t size);

/* Each size occurs once: it names its block. A multiple of 64. */
static size_t size_of(unsigned thread, unsigned round)
{
	return ((size_t)thread + 1) * 131072 + (size_t)round * 64;
}

static void *mailbox[THREADS];

/* Sends a block to the next thread, and frees what that one had not fetched. */
static void send_on(unsigned thread, void *block)
{
	void **box = &mailbox[(thread + 1) % THREADS];
	free(__atomic_exchange_n(box, block, __ATOMIC_ACQ_REL));
}

static void fetch(unsigned thread)
{
	free(__atomic_exchange_n(&mailbox[thread], NULL, __ATOMIC_ACQ_REL));
}

static void *make(unsigned round, size_t size)
{
	void *block = NULL;
	switch (round % 5) {
	case 0:
		return malloc(size);
	case 1:
		return calloc(size / 64, 64);
	case 2:
		return posix_memalign(&block, 64, size) == 0 ? block : NULL;
	case 3:
		return aligned_alloc(64, size);
	default:
		return memalign(64, size);
	}
}

static void *work(void *argument)
{
	unsigned thread = (unsigned)(uintptr_t)argument;
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t size = size_of(thread, round);
		char *block = make(round, size);
		if (block == NULL) {
			abort();
		}
		block[0] = 1;
		if (round % 4 == 0) {
			block = realloc(block, size + 1);
		}
		if (round % 3 == 0) {
			send_on(thread, block);
		} else {
			free(block);
		}
		fetch(thread);
	}
	/* Small blocks: an address is at once another thread's again. */
	for (unsigned round = 0; round < SMALL_ROUNDS; round++) {
		void *block = malloc(40);
		if (round % 2 == 0) {
			send_on(thread, block);
		} else {
			free(realloc(block, 56));
		}
		fetch(thread);
	}
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, work,
				   (void *)(uintptr_t)i) != 0) {
			abort();
		}
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		fetch(i);
	}
}

/* A child allocates as well, and must leave no trace. */
static void run_child(void)
{
	pid_t child = fork();
	if (child == 0) {
		void *volatile block = malloc(999999);
		free(block);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void run_odd_calls(void)
{
	volatile size_t huge = SIZE_MAX / 2;
	void *volatile block = malloc(0);
	free(block);
	free(NULL);
	block = malloc(huge);
	free(block);
	block = malloc(777777);
	if (realloc(block, huge) != NULL) {
		abort();
	}
	free(block);
	block = __libc_malloc(888888);
	free(block);
	block = realloc(NULL, 666666);
	block = reallocarray(block, 3, 222223);
	free(block);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "kill") == 0) {
		void *volatile block = malloc(555555);
		(void)block;
		raise(SIGKILL);
	}
	if (strcmp(what, "status") == 0) {
		return 7;
	}
	run_odd_calls();
	run_child();
	run_threads();
	return 0;
}

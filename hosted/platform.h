/* SPDX-License-Identifier: MIT */
/* The hosted platform: the seam for tests, with simulated physical memory. */
#ifndef LOAM_HOSTED_PLATFORM_H
#define LOAM_HOSTED_PLATFORM_H

#include <setjmp.h>

#include <loam/host.h>

/*
 * Physical memory of the machine under test: a sparse memory file, so that a
 * machine of 768 GiB costs what is touched. [0, direct_size) is directly
 * mapped, one contiguous host range; the rest is reached through page tables.
 */
struct hosted_memory {
	int fd;
	loam_phys_t size;
	loam_phys_t direct_size;
	unsigned char *direct; /* host address of physical 0 */
};

/* Creates it and makes it what loam_host_phys_to_virt() answers from. */
void hosted_memory_create(loam_phys_t size, loam_phys_t direct_size);

/* As above, with the direct map at a host address chosen by the caller. */
void hosted_memory_create_at(loam_phys_t size, loam_phys_t direct_size,
			     void *direct);
void hosted_memory_destroy(void);
extern struct hosted_memory hosted_memory;

/* Which CPU the calling thread is. Starts as 0. */
extern _Thread_local unsigned hosted_cpu;

/* Every line that loam_host_log() got since the last clear, newest last. */
void hosted_log_clear(void);
bool hosted_log_contains(const char *text);
const char *hosted_log_text(void);
/* Echo lines to standard error as they come (default off). */
extern bool hosted_log_echo;

/*
 * Runs the statement and tells whether it panicked; the message is then in
 * hosted_panic_message. Locks that were taken before the panic and not given
 * back stay taken, though the CPU's record forgets them: throw the instance
 * away afterwards. The thread is the CPU again that it was. Each thread catches
 * its own panics only; one that is not expected ends the program.
 */
#define HOSTED_PANICS(statement)                                               \
	(hosted_panic_expect(),                                                \
	 setjmp(hosted_panic_jump) == 0                                        \
		 ? ((statement), hosted_panic_seen(false))                     \
		 : hosted_panic_seen(true))
extern _Thread_local jmp_buf hosted_panic_jump;
extern _Thread_local char hosted_panic_message[256];

/* The two ends of HOSTED_PANICS(); the second one returns `panicked`. */
void hosted_panic_expect(void);
bool hosted_panic_seen(bool panicked);

/* Set by a program of one thread: its locks need no atomic operations. */
extern bool hosted_alone;

/*
 * Counters of the seam, for tests of who called what: locks taken, and calls
 * of loam_host_tlb_shootdown(). All threads together.
 */
extern unsigned long hosted_locks_taken;
extern unsigned long hosted_shootdowns;

/* A small repeatable generator (xorshift64*); state must not be 0. */
uint64_t hosted_random(uint64_t *state);

#endif

/* SPDX-License-Identifier: MIT */
/* Everything at once on every CPU, for as long as is asked. */

/*
 * Each CPU has three tasks that are bound to it.
 *
 * One storms the allocators. It takes a block of kmalloc's, or a block of
 * frames, fills every byte with a mark of its own, and exchanges it for what
 * lies in a box that any CPU may use; that, often another CPU's, it examines to
 * the last byte and frees. So most is freed elsewhere than it was taken.
 *
 * The other lives in an address space that all share. On CPU 0 it maps, unmaps
 * and protects single pages; on the others it reads and writes them, through
 * the copy that tells of faults. Each page has a count that is odd while it is
 * being changed. Where the count was even, and the same before and after an
 * access, the access must have done exactly what the page's state permits: a
 * translation that a CPU has kept too long shows at once.
 *
 * The third one runs a program that forks, again and again, but on no more CPUs
 * than there can be processes for. Parents and children write to memory that
 * they share, and look whether what they read is their own; where each of them
 * runs is left to chance.
 */

#include <loam/mem.h>

#include "arch.h"
#include "console.h"
#include "cpus.h"
#include "kernel.h"
#include "ktest.h"
#include "process.h"
#include "programs.h"
#include "spaces.h"
#include "stress.h"

#define STRESS_BOXES 64u
#define STRESS_PAGES 32u
#define STRESS_FORKERS 8u /* programs of 20 processes each */
#define STRESS_BASE KERNEL_USER_SPACE_BASE

/* By the machine: copies, or -LOAM_EFAULT. */
int usercopy_bytes(void *to, const void *from, size_t size_bytes);

/* The start of every block; the rest of its bytes are `mark`. */
struct stress_head {
	uint32_t size_bytes;
	uint32_t order; /* of frames; STRESS_KMALLOC: a block of kmalloc's */
	uint32_t mark;
};

#define STRESS_KMALLOC 99u

enum stress_state { STRESS_GONE, STRESS_READABLE, STRESS_WRITABLE };

struct stress_page {
	uint32_t count; /* odd: being changed */
	enum stress_state state;
};

static struct {
	bool stop;
	uint32_t running; /* tasks */
	void *boxes[STRESS_BOXES];
	struct loam_proc space;
	struct stress_page pages[STRESS_PAGES];
	uint32_t wrong_bytes;
	uint32_t wrong_faults;
	uint32_t exchanged;
	uint32_t changed;
	uint32_t accessed;
	uint32_t refused; /* accesses that faulted, as they had to */
	uint32_t forkers; /* programs that forked */
	uint32_t failed;  /* of these */
} stress;

static void stress_add(uint32_t *counter, uint32_t value)
{
	(void)__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

static bool stress_stopped(void)
{
	return __atomic_load_n(&stress.stop, __ATOMIC_RELAXED);
}

/* -------- blocks and frames -------- */

static void *stress_take(uint32_t random, uint32_t mark)
{
	struct stress_head head = { .order = STRESS_KMALLOC, .mark = mark };
	unsigned char *block;

	if (random % 4 == 0) {
		head.order = random >> 8 & 3u;
		head.size_bytes = (uint32_t)LOAM_PAGE_SIZE << head.order;
		loam_pfn_t pfn =
			loam_frame_alloc(&kernel.frames, head.order, 0);
		block = pfn == LOAM_PFN_NONE
				? NULL
				: loam_host_phys_to_virt((loam_phys_t)pfn
							 << LOAM_PAGE_SHIFT);
	} else {
		head.size_bytes = sizeof(head) + (random >> 8) % 1500;
		block = kmalloc(head.size_bytes);
	}
	if (block != NULL) {
		memset(block, (int)mark, head.size_bytes);
		memcpy(block, &head, sizeof(head));
	}
	return block;
}

static void stress_give_back(unsigned char *block)
{
	struct stress_head head;
	uint32_t wrong = 0;

	memcpy(&head, block, sizeof(head));
	for (uint32_t i = sizeof(head); i < head.size_bytes; i++) {
		wrong += block[i] != (unsigned char)head.mark;
	}
	stress_add(&stress.wrong_bytes, wrong);
	/* Whoever has it now and should not, shows. */
	memset(block, 0xEE, head.size_bytes);
	if (head.order == STRESS_KMALLOC) {
		kfree(block);
		return;
	}
	loam_phys_t phys = VIRT_TO_PHYS((uintptr_t)block);
	loam_frame_free(&kernel.frames, (loam_pfn_t)(phys >> LOAM_PAGE_SHIFT),
			head.order);
}

static void stress_exchange(uint32_t *random)
{
	void *block = stress_take(ktest_random(random),
				  (uint32_t)cpu_number() * 16 + 1);
	void **box = &stress.boxes[ktest_random(random) % STRESS_BOXES];

	block = __atomic_exchange_n(box, block, __ATOMIC_ACQ_REL);
	if (block != NULL) {
		stress_give_back(block);
	}
	stress_add(&stress.exchanged, 1);
}

static void stress_allocate_run(void *argument)
{
	uint32_t random = 0x5EED + (uint32_t)(uintptr_t)argument;

	while (!stress_stopped()) {
		stress_exchange(&random);
	}
	stress_add(&stress.running, UINT32_MAX);
	task_end();
}

/* -------- an address space -------- */

static uintptr_t stress_address(const struct stress_page *page)
{
	return STRESS_BASE + (uintptr_t)(page - stress.pages) * LOAM_PAGE_SIZE;
}

/* Into another state, by whatever call leads there. */
static int stress_change(struct stress_page *page, enum stress_state state)
{
	uintptr_t start = stress_address(page);
	const struct loam_map_request request = {
		.start = start,
		.size = LOAM_PAGE_SIZE,
		.prot = state == STRESS_WRITABLE
				? LOAM_PROT_READ | LOAM_PROT_WRITE
				: LOAM_PROT_READ,
		.flags = LOAM_REGION_FIXED | LOAM_REGION_POPULATE,
		.kind = LOAM_REGION_ANONYMOUS,
	};

	if (state == STRESS_GONE) {
		return loam_proc_unmap(&stress.space, start, LOAM_PAGE_SIZE);
	}
	return page->state == STRESS_GONE
		       ? loam_proc_map(&stress.space, &request, &start)
		       : loam_proc_protect(&stress.space, start, LOAM_PAGE_SIZE,
					   request.prot);
}

static void stress_change_run(void *argument)
{
	uint32_t random = 0xC4A6E;

	(void)argument;
	while (!stress_stopped()) {
		struct stress_page *page =
			&stress.pages[ktest_random(&random) % STRESS_PAGES];
		enum stress_state state = ktest_random(&random) % 3;
		(void)__atomic_fetch_add(&page->count, 1, __ATOMIC_SEQ_CST);
		if (stress_change(page, state) == 0) {
			page->state = state;
			stress.changed++;
		}
		(void)__atomic_fetch_add(&page->count, 1, __ATOMIC_SEQ_CST);
	}
	task_leave_space();
	stress_add(&stress.running, UINT32_MAX);
	task_end();
}

static void stress_access(struct stress_page *page, bool write)
{
	void *address = (void *)stress_address(page);
	uint32_t word = 0;
	uint32_t count = __atomic_load_n(&page->count, __ATOMIC_SEQ_CST);
	enum stress_state state = page->state;
	bool worked = write ? usercopy_bytes(address, &word, 4) == 0
			    : usercopy_bytes(&word, address, 4) == 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((count & 1) != 0 ||
	    __atomic_load_n(&page->count, __ATOMIC_SEQ_CST) != count) {
		return;
	}
	bool may = state == STRESS_WRITABLE ||
		   (state == STRESS_READABLE && !write);
	stress_add(&stress.accessed, 1);
	stress_add(&stress.refused, !worked);
	stress_add(&stress.wrong_faults, worked != may || word != 0);
}

static void stress_access_run(void *argument)
{
	uint32_t random = 0xACCE55 + (uint32_t)(uintptr_t)argument;

	while (!stress_stopped()) {
		uint32_t r = ktest_random(&random);
		stress_access(&stress.pages[r % STRESS_PAGES],
			      (r & 0x100u) != 0);
	}
	task_leave_space();
	stress_add(&stress.running, UINT32_MAX);
	task_end();
}

/* -------- programs -------- */

/* One from its start to its end, its children included. True: all was well. */
static bool stress_fork_once(struct process_arguments *arguments)
{
	int pid = process_spawn("forks", arguments, NULL, true);

	return pid > 0 && process_join(pid) == 0;
}

static void stress_fork_run(void *argument)
{
	static const char *const words[] = { "forks", "3", "3", "quiet" };
	struct process_arguments *arguments = kzalloc(sizeof(*arguments));

	(void)argument;
	for (unsigned i = 0; arguments != NULL && i < LOAM_ARRAY_SIZE(words);
	     i++) {
		(void)process_add_argument(arguments, words[i]);
	}
	while (arguments != NULL && !stress_stopped()) {
		bool well = stress_fork_once(arguments);
		stress_add(&stress.forkers, 1);
		stress_add(&stress.failed, !well);
	}
	kfree(arguments);
	stress_add(&stress.running, UINT32_MAX);
	task_end();
}

/* -------- all of it -------- */

static void stress_release(struct task *task)
{
	kfree(task);
}

static int stress_start(struct cpu *cpu, struct loam_proc *space,
			void (*run)(void *argument))
{
	struct task *task = kzalloc(sizeof(*task));

	if (task == NULL) {
		return -LOAM_ENOMEM;
	}
	task->name = "stress";
	task->space = space;
	task->release = stress_release;
	if (task_prepare(task, run, (void *)(uintptr_t)cpu->number) != 0) {
		kfree(task);
		return -LOAM_ENOMEM;
	}
	stress_add(&stress.running, 1);
	task_bind(task, cpu);
	task_ready(task);
	return 0;
}

static int stress_start_all(void)
{
	uint32_t online = cpus_online();
	struct cpu *cpu;
	int error = 0;

	while (error == 0 && cpus_next(&online, &cpu)) {
		error = stress_start(cpu, NULL, stress_allocate_run);
		if (error == 0) {
			error = stress_start(cpu, &stress.space,
					     cpu->number == 0
						     ? stress_change_run
						     : stress_access_run);
		}
		if (error == 0 && programs_exist() &&
		    cpu->number < STRESS_FORKERS) {
			error = stress_start(cpu, NULL, stress_fork_run);
		}
	}
	return error;
}

static void stress_end(void)
{
	__atomic_store_n(&stress.stop, true, __ATOMIC_RELAXED);
	while (__atomic_load_n(&stress.running, __ATOMIC_RELAXED) != 0) {
		task_sleep(&stress, task_now() + 1);
	}
	task_settle();
	for (unsigned i = 0; i < STRESS_BOXES; i++) {
		if (stress.boxes[i] != NULL) {
			stress_give_back(stress.boxes[i]);
		}
	}
	loam_proc_destroy(&stress.space);
}

int stress_run(unsigned seconds)
{
	memset(&stress, 0, sizeof(stress));
	int error = loam_proc_create(&spaces, &stress.space, "stress");
	if (error != 0) {
		return error;
	}
	error = stress_start_all();
	if (error == 0) {
		task_sleep(&stress, task_now() + seconds * TASK_HZ);
	}
	stress_end();
	kprintf("stress: %u blocks exchanged, %u bytes wrong\n",
		stress.exchanged, stress.wrong_bytes);
	kprintf("stress: %u changes of pages, %u accesses, %u of them refused, "
		"%u wrongly done or refused\n",
		stress.changed, stress.accessed, stress.refused,
		stress.wrong_faults);
	kprintf("stress: %u programs forked, %u of them failed\n",
		stress.forkers, stress.failed);
	if (error == 0 &&
	    (stress.wrong_bytes | stress.wrong_faults | stress.failed) != 0) {
		error = -LOAM_EFAULT;
	}
	return error;
}

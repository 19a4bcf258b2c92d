/* SPDX-License-Identifier: MIT */
/* Processes as their programs see them, and what is left when they are gone. */

#include "cpus.h"
#include "layout.h"
#include "ktest.h"
#include "process.h"
#include "run.h"

static void need_long(void)
{
	if (!ktest_long()) {
		ktest_skip("takes long: the command line has not `long`");
	}
}

/* -------- programs, one by one -------- */

KTEST(process_hello, "S3.8 S3.7 a program runs, gets its arguments, and ends")
{
	run_expect("hello", 0);
	run_expect("hello two words", 0);
	run_expect("exit 3", 3);
	run_expect("exit 0", 0);
	run_expect("exit", 255);
	run_expect("exit 3 4", 255);
	/* Its low byte is what a status has room for. */
	run_expect("exit 258", 2);
}

KTEST(process_none, "a program that does not exist is not started")
{
	EXPECT_EQ(run_start("nothing-of-this-name", true), -LOAM_ENOENT);
}

KTEST(process_malloc, "S3.21 S3.22 S3.23 S3.24 S3.26 S3.27 calls 4 and 5")
{
	if (kernel.choice.heap == LOAM_BOOT_PAGES &&
	    kernel.choice.heap_limit < LOAM_MIB(8)) {
		ktest_skip("1024 regions are 1024 pages of heap=pages: 4 MiB");
	}
	run_expect("blocks", 0);
}

KTEST(process_malloc_apart, "S3.25 S4.33 processes do not share what they have")
{
	need_long();
	/* Blocks of one lie where those of the other do, and are its own. */
	int first = run_start("blocks 4000", true);
	int second = run_start("blocks 4000", true);

	EXPECT(first > 0 && second > 0);
	EXPECT_EQ(process_join(first), 0);
	EXPECT_EQ(process_join(second), 0);
	/* And where another has had one, a new process has nothing. */
	EXPECT_EQ(run_program("peek 0x40000000"), ABI_END_FAULT);
}

KTEST(process_sbrk, "S4.33 the break: growth, shrinking, edges, obstacles")
{
	run_expect("sbrk", 0);
}

KTEST(process_maps, "S4.34 maps: edges, splits, protection, lazy and shared")
{
	need_long();
	run_expect("maps", 0);
}

KTEST(process_storms, "S4.33 every heap of the library as a program's malloc")
{
	need_long();
	run_expect("storm tlsf 6000", 0);
	run_expect("storm list 6000", 0);
	run_expect("storm bestfit 6000", 0);
	run_expect("storm block 3000", 0);
	run_expect("storm slab 6000", 0);
}

KTEST(process_forks, "S4.34 S3.29 a tree of forks: each sees its own memory")
{
	need_long();
	run_expect("forks 3 3", 0);
}

KTEST(process_stack, "S3.9 S4.34 the stack grows to 0x3FB000 and no further")
{
	run_expect("stack", 0);
	run_expect("stack over", ABI_END_FAULT);
}

KTEST(process_fpu, "registers of floating point and SSE are a program's own")
{
	need_long();
	run_expect("fpu 60", 0);
	int first = run_start("fpu 100", true);
	int second = run_start("fpu 100", true);
	EXPECT(first > 0 && second > 0);
	EXPECT_EQ(process_join(first), 0);
	EXPECT_EQ(process_join(second), 0);
}

KTEST(process_bomb, "forks end where the kernel says, and all are buried")
{
	need_long();
	run_expect("forkbomb 60", 0);
}

KTEST(process_null, "S4.34 a null pointer kills the program, not the kernel")
{
	run_expect("null", ABI_END_FAULT);
}

KTEST(process_read_only, "S4.34 S4.30 what is not to be written is not written")
{
	run_expect("peek 0x400000 write", ABI_END_FAULT);
	run_expect_peek((uintptr_t)text_start, " write", ABI_END_FAULT);
	run_expect_peek((uintptr_t)text_start, " run", ABI_END_FAULT);
}

KTEST(process_heap_window, "S0.34 ring 3 does not read the kernel's heap")
{
	run_expect_peek(KERNEL_HEAP_BASE, "", ABI_END_FAULT);
	run_expect_peek(KERNEL_HEAP_BASE + 0x1000, "", ABI_END_FAULT);
	run_expect_peek(KERNEL_HEAP_BASE + 0x1000, " write", ABI_END_FAULT);
}

KTEST(process_traps, "S3.28 an exception in ring 3 ends the program alone")
{
	static const char *const kinds[] = {
		"trap divide", "trap opcode",  "trap halt",  "trap port",
		"trap cli",    "trap gate",    "trap fault", "trap debug",
		"trap break",  "trap segment", "trap cr3",
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kinds); i++) {
		run_expect(kinds[i], ABI_END_TRAP);
	}
}

KTEST(process_fuzz, "S3.28 calls with any arguments at all")
{
	need_long();
	run_expect("fuzz 20 1", 0);
}

/* -------- leaks -------- */

KTEST(process_spawns, "S3.29 1000 programs leave every counter where it was")
{
	need_long();
	struct run_counters before;

	EXPECT_EQ(run_program("quiet"), 0);
	run_count(&before);
	for (unsigned i = 0; i < 1000; i++) {
		/* Some of them are killed. */
		EXPECT_EQ(run_program(i % 10 != 0 ? "quiet" : "quiet crash"),
			  i % 10 != 0 ? 0 : ABI_END_TRAP);
	}
	run_expect_same(&before);
}

KTEST(process_thousand_forks, "S3.29 1000 forks leave every counter, too")
{
	need_long();
	run_expect("quiet forks 1000", 0);
}

/* -------- memory runs out -------- */

KTEST(process_hog, "S4.34 who has most ends when memory does; others live")
{
	need_long();
	uint64_t frames = loam_frame_free_count(&kernel.frames);
	struct run_counters before;

	if (frames > LOAM_MIB(512) / LOAM_PAGE_SIZE) {
		ktest_skip("there is too much memory to use it up");
	}
	EXPECT_EQ(run_program("peek 0x400000"), 0);
	run_count(&before);
	int bystander = run_start("spin", true);
	EXPECT(bystander > 0);
	EXPECT_EQ(run_program("hog"), ABI_END_MEMORY);
	/* Alive, and has to be told. */
	EXPECT_EQ(process_kill(bystander, ABI_END_KILL), 0);
	EXPECT_EQ(process_join(bystander), ABI_END_KILL);
	EXPECT_EQ(run_program("blocks 200"), 0);
	run_expect_same(&before);
}

/* -------- tasks -------- */

#define HAMMER_BLOCKS 64u

static struct hammer {
	uint32_t state;
	volatile uint32_t steps;
	uint32_t broken; /* blocks that somebody else wrote to */
	uint32_t failed;
} hammers[2];
static volatile bool hammer_stop;

/* One block: fresh, or checked and freed. */
static void hammer_step(struct hammer *hammer, uint32_t **blocks,
			uint32_t *sizes)
{
	uint32_t at = ktest_random(&hammer->state) % HAMMER_BLOCKS;

	if (blocks[at] != NULL) {
		for (uint32_t i = 0; i < sizes[at]; i++) {
			hammer->broken += blocks[at][i] !=
					  (uint32_t)(uintptr_t)(blocks + at);
		}
		kfree(blocks[at]);
		blocks[at] = NULL;
		return;
	}
	sizes[at] = ktest_random(&hammer->state) % 600 + 1;
	blocks[at] = kmalloc(sizes[at] * sizeof(uint32_t));
	if (blocks[at] == NULL) {
		hammer->failed++;
		return;
	}
	for (uint32_t i = 0; i < sizes[at]; i++) {
		blocks[at][i] = (uint32_t)(uintptr_t)(blocks + at);
	}
}

static void hammer_run(void *argument)
{
	struct hammer *hammer = argument;
	uint32_t *blocks[HAMMER_BLOCKS] = { NULL };
	uint32_t sizes[HAMMER_BLOCKS];

	while (!hammer_stop) {
		hammer_step(hammer, blocks, sizes);
		hammer->steps++;
	}
	for (unsigned i = 0; i < HAMMER_BLOCKS; i++) {
		kfree(blocks[i]);
	}
	task_wake(hammer);
	task_end();
}

/* True once both tasks got far, and were preempted in the kernel that often. */
static bool hammered(uint64_t in_kernel)
{
	struct task_stats stats;

	task_stats(&stats);
	return stats.in_kernel > in_kernel && hammers[0].steps > 100 &&
	       hammers[1].steps > 100;
}

KTEST(task_hammer, "S0.20 two tasks, preempted in the kernel, hammer the heap")
{
	struct run_counters before;
	struct task_stats first;
	struct task_stats last;
	struct cpu *cpu = cpu_this();

	run_count(&before);
	hammer_stop = false;
	task_stats(&first);
	for (unsigned i = 0; i < 2; i++) {
		hammers[i] = (struct hammer){ .state = i + 1 };
		/* On one CPU, so that they get into each other's way. */
		EXPECT(task_create_on(cpu, "hammer", hammer_run, &hammers[i]) !=
		       NULL);
	}
	/* By the timer, in the midst of kmalloc and kfree or close to it. */
	uint64_t enough = first.in_kernel + (ktest_long() ? 80 : 20);
	uint64_t end = task_now() + 10 * TASK_HZ;
	while (!hammered(enough) && task_now() < end) {
		task_sleep(&before, task_now() + 5);
	}
	bool well = hammered(enough);
	hammer_stop = true;
	while (task_stats(&last), last.count > first.count) {
		task_sleep(&before, task_now() + 1);
	}
	EXPECT(well);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT_EQ(hammers[i].broken, 0);
		EXPECT_EQ(hammers[i].failed, 0);
	}
	EXPECT_EQ(task_check(), 0);
	run_expect_same(&before);
}

/* Two processes at the kernel's heap, through calls 4 and 5, preempted. */
KTEST(process_hammer, "S0.20 S1.28 two processes at the kernel's heap at once")
{
	need_long();
	struct run_counters before;

	EXPECT_EQ(run_program("blocks 10"), 0);
	run_count(&before);
	int first = run_start("blocks 6000", true);
	int second = run_start("blocks 6000", true);
	EXPECT(first > 0 && second > 0);
	for (unsigned i = 0; i < 200; i++) {
		void *block = kmalloc(i * 50 + 1);
		EXPECT(block != NULL);
		task_yield();
		kfree(block);
	}
	EXPECT_EQ(process_join(first), 0);
	EXPECT_EQ(process_join(second), 0);
	run_expect_same(&before);
}

KTEST(task_fair, "the timer gives each of more programs than CPUs its turn")
{
	need_long();
	int pids[LOAM_MAX_CPUS + 2];
	unsigned count = 2;
	struct task_stats first;
	struct task_stats last;

	for (uint32_t mask = cpus_online(); mask != 0; mask &= mask - 1) {
		count++;
	}
	task_stats(&first);
	for (unsigned i = 0; i < count; i++) {
		pids[i] = run_start("spin", true);
		EXPECT(pids[i] > 0);
	}
	task_sleep(pids, task_now() + 60);
	for (unsigned i = 0; i < count; i++) {
		EXPECT_EQ(process_kill(pids[i], ABI_END_KILL), 0);
	}
	task_stats(&last);
	for (unsigned i = 0; i < count; i++) {
		EXPECT_EQ(process_join(pids[i]), ABI_END_KILL);
	}
	EXPECT(last.preemptions > first.preemptions + 40);
	/* Page tables are loaded only for those who need others. */
	EXPECT(last.root_loads - first.root_loads <=
	       last.switches - first.switches);
}

static void overflow_run(void *argument)
{
	struct trap_report *report = argument;

	if (!trap_expect(ktest_overflow_stack, NULL, report)) {
		report->vector = 0;
	}
	task_end();
}

KTEST(task_guard, "S4.19 a kernel stack has a guard, as the boot stack does")
{
	struct trap_report report = { .vector = 99 };
	struct task_stats stats;

	task_stats(&stats);
	unsigned count_before = stats.count;
	EXPECT(task_create("overflow", overflow_run, &report) != NULL);
	while (task_stats(&stats), stats.count > count_before) {
		task_sleep(&report, task_now() + 1);
	}
	EXPECT_EQ(report.vector, TRAP_DOUBLE_FAULT);
}

static void nap_run(void *argument)
{
	volatile uint32_t *woken = argument;

	*woken = 1 + task_sleep(argument, TASK_FOREVER);
	task_end();
}

KTEST(task_wakes, "a task sleeps until it is woken, or until its time")
{
	volatile uint32_t woken = 0;
	uint64_t begin = task_now();

	EXPECT(task_create("nap", nap_run, (void *)(uintptr_t)&woken) != NULL);
	EXPECT(!task_sleep(&begin, begin + 5));
	EXPECT(task_now() >= begin + 5);
	EXPECT_EQ(woken, 0);
	task_wake((const void *)(uintptr_t)&woken);
	for (unsigned i = 0; i < 100 && woken == 0; i++) {
		/* On another CPU, perhaps. */
		task_sleep(&begin, task_now() + 1);
	}
	EXPECT_EQ(woken, 2);
}

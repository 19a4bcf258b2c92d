/* SPDX-License-Identifier: MIT */
/* Processes as their programs see them, and what is left when they are gone. */

#include "cmdline.h"
#include "images.h"
#include "ktest.h"
#include "process.h"
#include "programs.h"

/* What a program that forks a little needs, and its kernel. */
#define LEAST_FRAMES (LOAM_MIB(8) / LOAM_PAGE_SIZE)

/* The tests that take seconds are run where the command line has `long`. */
static void need_long(void)
{
	char value[8];

	if (!cmdline_option(kernel.info.cmdline, "long", value,
			    sizeof(value))) {
		ktest_skip("takes long: the command line has not `long`");
	}
}

/* Starts a program with the words of a line; its pid, or an error. */
static int start(const char *line, bool joined)
{
	char word[64];

	if (!programs_exist()) {
		ktest_skip("no programs were loaded");
	}
	if (loam_frame_free_count(&kernel.frames) < LEAST_FRAMES) {
		ktest_skip("there is too little memory for programs");
	}
	struct process_arguments *arguments = kzalloc(sizeof(*arguments));
	EXPECT(arguments != NULL);
	while (*line != '\0') {
		size_t length = 0;
		while (*line != '\0' && *line != ' ') {
			EXPECT(length + 1 < sizeof(word));
			word[length++] = *line++;
		}
		word[length] = '\0';
		line += *line == ' ' ? 1 : 0;
		EXPECT_EQ(process_add_argument(arguments, word), 0);
	}
	int pid = process_spawn(arguments->text, arguments, NULL, joined);
	kfree(arguments);
	return pid;
}

/* Runs it to its end and returns its status. */
static uint32_t run(const char *line)
{
	int pid = start(line, true);

	if (pid == -LOAM_ENOMEM) {
		ktest_skip("not enough memory for the program");
	}
	EXPECT(pid > 0);
	return process_join(pid);
}

/* -------- everything that can leak -------- */

struct counters {
	uint64_t frames;
	uint64_t slab_bytes;
	uint64_t heap_bytes;
	uint64_t large_bytes;
	uint64_t vmalloc_pages;
	uint64_t ranges;
	uint64_t owners[LOAM_OWNER_COUNT];
	uint32_t tasks;
	uint32_t processes;
	uint32_t spaces;
};

static void count(struct counters *out)
{
	struct loam_kmalloc_stats kmalloc_stats;
	struct loam_kspace_stats kspace_stats;
	struct process_stats processes;
	struct loam_procs_stats procs;
	struct task_stats tasks;

	memset(out, 0, sizeof(*out));
	images_shrink();
	out->frames = ktest_free_frames();
	loam_kmalloc_stats(&kernel.kmalloc, &kmalloc_stats);
	loam_kspace_stats(&kernel.kspace, &kspace_stats);
	process_stats(&processes);
	loam_procs_stats(&spaces, &procs);
	task_stats(&tasks);
	out->slab_bytes = kmalloc_stats.slab_bytes;
	out->heap_bytes = kmalloc_stats.heap_bytes;
	out->large_bytes = kmalloc_stats.large_bytes;
	out->vmalloc_pages = kspace_stats.own_pages;
	out->ranges = kspace_stats.window.ranges_used;
	loam_frame_count_owners(&kernel.frames, out->owners);
	/* What the slabs' shadow took, it keeps. */
	out->owners[LOAM_OWNER_META] = 0;
	out->owners[LOAM_OWNER_SLAB] = 0;
	/* Where a heap's last block lies says how far it has shrunk. */
	out->owners[LOAM_OWNER_HEAP] = 0;
	out->owners[LOAM_OWNER_NONE] = 0;
	out->tasks = tasks.count;
	out->processes = processes.count;
	out->spaces = procs.count;
}

static void expect_same(const struct counters *before)
{
	struct counters after;

	count(&after);
	EXPECT_EQ(after.tasks, before->tasks);
	EXPECT_EQ(after.processes, before->processes);
	EXPECT_EQ(after.spaces, before->spaces);
	EXPECT_EQ(after.ranges, before->ranges);
	EXPECT_EQ(after.vmalloc_pages, before->vmalloc_pages);
	EXPECT_EQ(after.slab_bytes, before->slab_bytes);
	EXPECT_EQ(after.heap_bytes, before->heap_bytes);
	EXPECT_EQ(after.large_bytes, before->large_bytes);
	for (unsigned i = 0; i < LOAM_OWNER_COUNT; i++) {
		EXPECT_EQ(after.owners[i], before->owners[i]);
	}
	EXPECT_EQ(after.frames, before->frames);
	EXPECT_EQ(process_check(), 0);
}

/*
 * Runs a program that must end with this status, twice: the first time for
 * what is taken once and kept, the second to see that nothing else is.
 */
static void expect_run(const char *line, uint32_t status)
{
	struct counters before;

	EXPECT_EQ(run(line), status);
	count(&before);
	EXPECT_EQ(run(line), status);
	expect_same(&before);
}

/* -------- programs, one by one -------- */

KTEST(process_hello, "S3.8 S3.7 a program runs, gets its arguments, and ends")
{
	expect_run("hello", 0);
	expect_run("hello two words", 3);
}

KTEST(process_none, "a program that does not exist is not started")
{
	EXPECT_EQ(start("nothing-of-this-name", true), -LOAM_ENOENT);
}

KTEST(process_malloc, "S3.21 S3.22 S3.23 S3.24 S3.26 S3.27 calls 4 and 5")
{
	if (kernel.choice.heap == LOAM_BOOT_PAGES &&
	    kernel.choice.heap_limit < LOAM_MIB(8)) {
		ktest_skip("1024 regions are 1024 pages of heap=pages: 4 MiB");
	}
	expect_run("blocks", 0);
}

KTEST(process_malloc_apart, "S3.25 S4.33 processes do not share what they have")
{
	need_long();
	/* Blocks of one lie where those of the other do, and are its own. */
	int first = start("blocks 4000", true);
	int second = start("blocks 4000", true);

	EXPECT(first > 0 && second > 0);
	EXPECT_EQ(process_join(first), 0);
	EXPECT_EQ(process_join(second), 0);
	/* And where another has had one, a new process has nothing. */
	EXPECT_EQ(run("peek 0x40000000"), ABI_END_FAULT);
}

KTEST(process_sbrk, "S4.33 the break: growth, shrinking, edges, obstacles")
{
	expect_run("sbrk", 0);
}

KTEST(process_maps, "S4.34 maps: edges, splits, protection, lazy and shared")
{
	need_long();
	expect_run("maps", 0);
}

KTEST(process_storms, "S4.33 every heap of the library as a program's malloc")
{
	need_long();
	expect_run("storm tlsf 6000", 0);
	expect_run("storm list 6000", 0);
	expect_run("storm bestfit 6000", 0);
	expect_run("storm block 3000", 0);
	expect_run("storm slab 6000", 0);
}

KTEST(process_forks, "S4.34 S3.29 a tree of forks: each sees its own memory")
{
	need_long();
	expect_run("forks 3 3", 0);
}

KTEST(process_stack, "S3.9 S4.34 the stack grows to 0x3FB000 and no further")
{
	expect_run("stack", 0);
	expect_run("stack over", ABI_END_FAULT);
}

KTEST(process_fpu, "registers of floating point and SSE are a program's own")
{
	need_long();
	expect_run("fpu 60", 0);
	int first = start("fpu 100", true);
	int second = start("fpu 100", true);
	EXPECT(first > 0 && second > 0);
	EXPECT_EQ(process_join(first), 0);
	EXPECT_EQ(process_join(second), 0);
}

KTEST(process_bomb, "forks end where the kernel says, and all are buried")
{
	need_long();
	expect_run("forkbomb 60", 0);
}

KTEST(process_null, "S4.34 a null pointer kills the program, not the kernel")
{
	expect_run("null", ABI_END_FAULT);
}

KTEST(process_read_only, "S4.34 S4.30 what is not to be written is not written")
{
	expect_run("peek 0x400000 write", ABI_END_FAULT);
	expect_run("peek 0xC0100000 write", ABI_END_FAULT);
	expect_run("peek 0xC0100000 run", ABI_END_FAULT);
}

KTEST(process_heap_window, "S0.34 ring 3 does not read the kernel's heap")
{
	expect_run("peek 0xD0000000", ABI_END_FAULT);
	expect_run("peek 0xD0001000", ABI_END_FAULT);
	expect_run("peek 0xD0001000 write", ABI_END_FAULT);
}

KTEST(process_traps, "S3.28 an exception in ring 3 ends the program alone")
{
	static const char *const kinds[] = {
		"trap divide", "trap opcode",  "trap halt",  "trap port",
		"trap cli",    "trap gate",    "trap fault", "trap debug",
		"trap break",  "trap segment", "trap cr3",
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kinds); i++) {
		expect_run(kinds[i], ABI_END_TRAP);
	}
}

KTEST(process_fuzz, "S3.28 calls with any arguments at all")
{
	need_long();
	expect_run("fuzz 20 1", 0);
}

/* -------- leaks -------- */

KTEST(process_spawns, "S3.29 1000 programs leave every counter where it was")
{
	need_long();
	struct counters before;

	EXPECT_EQ(run("quiet"), 0);
	count(&before);
	for (unsigned i = 0; i < 1000; i++) {
		/* Some of them are killed. */
		EXPECT_EQ(run(i % 10 != 0 ? "quiet" : "quiet crash"),
			  i % 10 != 0 ? 0 : ABI_END_TRAP);
	}
	expect_same(&before);
}

KTEST(process_thousand_forks, "S3.29 1000 forks leave every counter, too")
{
	need_long();
	expect_run("quiet forks 1000", 0);
}

/* -------- memory runs out -------- */

KTEST(process_hog, "S4.34 who has most ends when memory does; others live")
{
	need_long();
	uint64_t frames = loam_frame_free_count(&kernel.frames);
	struct counters before;

	if (frames > LOAM_MIB(512) / LOAM_PAGE_SIZE) {
		ktest_skip("there is too much memory to use it up");
	}
	EXPECT_EQ(run("peek 0x400000"), 0);
	count(&before);
	int bystander = start("spin", true);
	EXPECT(bystander > 0);
	EXPECT_EQ(run("hog"), ABI_END_MEMORY);
	/* Alive, and has to be told. */
	EXPECT_EQ(process_kill(bystander, ABI_END_KILL), 0);
	EXPECT_EQ(process_join(bystander), ABI_END_KILL);
	EXPECT_EQ(run("blocks 200"), 0);
	expect_same(&before);
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
			hammer->broken +=
				blocks[at][i] != (uintptr_t)(blocks + at);
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

KTEST(task_hammer, "S0.20 two tasks, preempted in the kernel, hammer the heap")
{
	struct counters before;
	struct task_stats first;
	struct task_stats last;

	count(&before);
	hammer_stop = false;
	task_stats(&first);
	for (unsigned i = 0; i < 2; i++) {
		hammers[i] = (struct hammer){ .state = i + 1 };
		EXPECT(task_create("hammer", hammer_run, &hammers[i]) != NULL);
	}
	task_sleep(&before, task_now() + 100);
	task_stats(&last);
	uint32_t steps[2] = { hammers[0].steps, hammers[1].steps };
	hammer_stop = true;
	while (task_stats(&last), last.count > first.count) {
		task_sleep(&before, task_now() + 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(steps[i] > 100);
		EXPECT_EQ(hammers[i].broken, 0);
		EXPECT_EQ(hammers[i].failed, 0);
	}
	/* By the timer, in the midst of kmalloc and kfree or close to it. */
	EXPECT(last.in_kernel > first.in_kernel + 50);
	EXPECT_EQ(task_check(), 0);
	expect_same(&before);
}

/* Two processes at the kernel's heap, through calls 4 and 5, preempted. */
KTEST(process_hammer, "S0.20 S1.28 two processes at the kernel's heap at once")
{
	need_long();
	struct counters before;

	EXPECT_EQ(run("blocks 10"), 0);
	count(&before);
	int first = start("blocks 6000", true);
	int second = start("blocks 6000", true);
	EXPECT(first > 0 && second > 0);
	for (unsigned i = 0; i < 200; i++) {
		void *block = kmalloc(i * 50 + 1);
		EXPECT(block != NULL);
		task_yield();
		kfree(block);
	}
	EXPECT_EQ(process_join(first), 0);
	EXPECT_EQ(process_join(second), 0);
	expect_same(&before);
}

KTEST(task_fair, "the timer gives each of three programs its turn")
{
	need_long();
	int pids[3];
	struct task_stats first;
	struct task_stats last;

	task_stats(&first);
	for (unsigned i = 0; i < 3; i++) {
		pids[i] = start("spin", true);
		EXPECT(pids[i] > 0);
	}
	task_sleep(pids, task_now() + 60);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(process_kill(pids[i], ABI_END_KILL), 0);
	}
	task_stats(&last);
	for (unsigned i = 0; i < 3; i++) {
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
	task_yield();
	EXPECT_EQ(woken, 2);
}

/* SPDX-License-Identifier: MIT */
/* Interrupts at every single instruction of the fast paths. */

#include "cpu.h"
#include "ktest.h"
#include "restart.h"
#include "task.h"

/*
 * Each operation runs once for each of its instructions, in single steps. After
 * that one, what an interrupt does is done: interrupted code is sent back
 * where it has to be, and the handler uses the same stacks, in one of several
 * ways. Then the operation ends, and what it has to show for it is looked at.
 */
#define STEP_MOST 4000u /* instructions of an operation, a slow one too */
#define STEP_STORM 150u /* objects or frames: more than a stack holds */
#define STEP_SIZE 64u   /* bytes of an object */
#define STEP_KEPT 600u  /* what handlers have kept */

static struct {
	unsigned count; /* instructions so far */
	unsigned at;    /* after which the handler runs */
	unsigned back;  /* times it found a sequence */
	void (*handler)(void);
	void *objects[STEP_KEPT];
	loam_pfn_t frames[STEP_KEPT];
	unsigned object_count;
	unsigned frame_count;
	void *object;   /* the operation's own */
	loam_pfn_t pfn; /* likewise */
} step;

static void step_handle(struct trap_frame *frame)
{
	/* A slow path keeps interrupts out: none comes there. */
	if ((TRAP_FRAME_FLAGS(frame) & CPU_LOCAL_INTERRUPTS) == 0 ||
	    ++step.count != step.at) {
		return;
	}
	uintptr_t pc = TRAP_FRAME_PC(frame);
	restart_interrupted(&pc);
	step.back += pc != TRAP_FRAME_PC(frame);
	TRAP_FRAME_PC(frame) = pc;
	step.handler();
}

/* -------- what interrupts do -------- */

static void keep_objects(unsigned count)
{
	for (unsigned i = 0; i < count && step.object_count < STEP_KEPT; i++) {
		step.objects[step.object_count] = kmalloc(STEP_SIZE);
		step.object_count += step.objects[step.object_count] != NULL;
	}
}

static void keep_frames(unsigned count)
{
	for (unsigned i = 0; i < count && step.frame_count < STEP_KEPT; i++) {
		step.frames[step.frame_count] = frame_alloc();
		step.frame_count +=
			step.frames[step.frame_count] != LOAM_PFN_NONE;
	}
}

static void drop_objects(unsigned count)
{
	while (count-- > 0 && step.object_count > 0) {
		kfree(step.objects[--step.object_count]);
	}
}

static void drop_frames(unsigned count)
{
	while (count-- > 0 && step.frame_count > 0) {
		frame_free(step.frames[--step.frame_count]);
	}
}

static void interrupt_takes(void)
{
	keep_objects(1);
	keep_frames(1);
}

static void interrupt_gives(void)
{
	drop_objects(1);
	drop_frames(1);
}

/* What is on top changes, and how many there are does not. */
static void interrupt_turns(void)
{
	keep_objects(2);
	keep_frames(2);
	unsigned objects = step.object_count;
	unsigned frames = step.frame_count;
	if (objects >= 2 && frames >= 2) {
		kfree(step.objects[objects - 2]);
		kfree(step.objects[objects - 1]);
		frame_free(step.frames[frames - 2]);
		frame_free(step.frames[frames - 1]);
		step.object_count -= 2;
		step.frame_count -= 2;
	}
}

/* The stacks get empty: other magazines, other frames. */
static void interrupt_empties(void)
{
	keep_objects(STEP_STORM);
	keep_frames(STEP_STORM);
}

/* Nothing more fits onto the stacks: what is interrupted finds no room. */
static void interrupt_fills(void)
{
	const struct loam_slab_cpu *slabs = cpu_slabs();
	const uint32_t *count = &cpu_frames()->locals[0].stack.count;
	unsigned code = kernel.kmalloc.class_of[STEP_SIZE / 16];

	while (slabs->top[code] != slabs->limit[code] &&
	       step.object_count > 0) {
		drop_objects(1);
	}
	while (*count != LOAM_STACK_FRAMES && step.frame_count > 0) {
		drop_frames(1);
	}
}

/* -------- what they interrupt -------- */

static void op_kmalloc(void)
{
	step.object = kmalloc(STEP_SIZE);
}

static void op_kfree(void)
{
	kfree(step.object);
}

static void op_frame_alloc(void)
{
	step.pfn = frame_alloc();
}

static void op_frame_free(void)
{
	frame_free(step.pfn);
}

/* Runs it with an interrupt after its nth instruction. False: it has fewer. */
static bool step_through(void (*op)(void), unsigned n, void (*handler)(void))
{
	uintptr_t flags = cpu_read_eflags();

	step.count = 0;
	step.at = n;
	step.handler = handler;
	trap_stepper = step_handle;
	cpu_write_eflags(flags | CPU_LOCAL_INTERRUPTS | CPU_EFLAGS_TF);
	op();
	cpu_write_eflags(cpu_read_eflags() & ~(uintptr_t)CPU_EFLAGS_TF);
	trap_stepper = NULL;
	cpu_write_eflags(flags);
	return step.count >= n;
}

/* The object and the frame are live, and nobody else's. */
static void expect_own(void)
{
	EXPECT(step.object != NULL && step.pfn != LOAM_PFN_NONE);
	EXPECT(ksize(step.object) >= STEP_SIZE);
	for (unsigned i = 0; i < step.object_count; i++) {
		EXPECT(step.objects[i] != step.object);
	}
	for (unsigned i = 0; i < step.frame_count; i++) {
		EXPECT(step.frames[i] != step.pfn);
	}
	struct loam_frame_info info;
	EXPECT_EQ(loam_frame_info(&kernel.frames, step.pfn, &info), 0);
	EXPECT_EQ(info.state, LOAM_TAG_USED);
}

/* Everything, with an interrupt of this kind after each nth instruction. */
static void step_all(void (*handler)(void))
{
	bool any = true;

	for (unsigned n = 1; any && n < STEP_MOST; n++) {
		/* As many kept as leave room for either direction. */
		drop_objects(STEP_KEPT);
		drop_frames(STEP_KEPT);
		keep_objects(STEP_KEPT / 2);
		keep_frames(STEP_KEPT / 2);
		any = step_through(op_kmalloc, n, handler);
		any = step_through(op_frame_alloc, n, handler) || any;
		expect_own();
		/* Stacks that a handler has filled have room again. */
		keep_objects(2);
		any = step_through(op_kfree, n, handler) || any;
		keep_frames(2);
		any = step_through(op_frame_free, n, handler) || any;
		EXPECT_EQ(loam_slab_check(&kernel.slabs), 0);
	}
	EXPECT(!any);
}

static void step_with(void (*handler)(void))
{
	uint64_t before = ktest_free_frames();

	if (!ktest_on_slabs() || loam_frame_order_max(&kernel.frames) == 0) {
		ktest_skip("kmalloc or the frames have other fast paths");
	}
	step.object_count = 0;
	step.frame_count = 0;
	step.back = 0;
	task_keep();
	step_all(handler);
	drop_objects(STEP_KEPT);
	drop_frames(STEP_KEPT);
	task_unkeep();
	/* All but the first instruction of four sequences of four or more. */
	EXPECT(step.back >= 4 * 3);
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(restart_take, "X.8 an interrupt that allocates, after each instruction")
{
	step_with(interrupt_takes);
}

KTEST(restart_give, "X.8 an interrupt that frees, after each instruction")
{
	step_with(interrupt_gives);
}

KTEST(restart_turn, "X.8 an interrupt that exchanges what is on top")
{
	step_with(interrupt_turns);
}

KTEST(restart_empty, "X.8 an interrupt that empties the CPU's stacks")
{
	step_with(interrupt_empties);
}

KTEST(restart_fill, "X.8 an interrupt that fills the CPU's stacks")
{
	step_with(interrupt_fills);
}

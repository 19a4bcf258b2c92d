/* SPDX-License-Identifier: MIT */
/* Reports an exception: what, where, registers, the walk, how it came there. */

#include "../console.h"
#include "../kernel.h"
#include "../machine.h"
#include "../report.h"
#include "../stop.h"
#include "../symbols.h"
#include "../task.h"
#include "cpu.h"
#include "layout.h"
#include "trap.h"

#define TRACE_MOST 24u /* lines */
#define TRACE_DIGITS (2 * (int)sizeof(uintptr_t))

/* Of the last exception that was expected. */
static struct trap_report exception_report;

static const char *const exception_names[TRAP_COUNT] = {
	"divide error",
	"debug",
	"non-maskable interrupt",
	"breakpoint",
	"overflow",
	"bound range exceeded",
	"invalid opcode",
	"no coprocessor",
	"double fault",
	"coprocessor segment overrun",
	"invalid task state",
	"segment not present",
	"stack fault",
	"general protection",
	"page fault",
	"reserved",
	"floating-point error",
	"alignment check",
	"machine check",
	"floating-point exception",
};

const char *exception_name(uint32_t vector)
{
	return vector < TRAP_COUNT && exception_names[vector] != NULL
		       ? exception_names[vector]
		       : "reserved";
}

/* True if a call instruction ends just before this address. */
static bool trace_is_return(uintptr_t address)
{
	const uint8_t *code = (const uint8_t *)address;

	if (address < (uintptr_t)image_start + 8 ||
	    address >= (uintptr_t)text_end) {
		return false;
	}
	/* E8 offset; FF /2 with a register, or with 8 or 32 bits of offset. */
	return code[-5] == 0xE8 ||
	       (code[-2] == 0xFF && (code[-1] & 0x38u) == 0x10) ||
	       (code[-3] == 0xFF && (code[-2] & 0x38u) == 0x10) ||
	       (code[-6] == 0xFF && (code[-5] & 0x38u) == 0x10) ||
	       (code[-7] == 0xFF && (code[-6] & 0x38u) == 0x10);
}

/*
 * The kernel keeps frame pointers, the library does not. So every word of the
 * stack that can be a return address is shown, and those that the chain of
 * frame pointers does not confirm are marked: they may be left from before.
 */
void exception_trace_of(const struct task *task, uintptr_t pc, uintptr_t sp,
			uintptr_t fp)
{
	uintptr_t bottom;
	uintptr_t top;
	unsigned lines = 0;
	char name[64];

	kprintf("stack trace (? : perhaps):\n");
	kprintf("    %0*zx  %s\n", TRACE_DIGITS, pc, symbol_format(name, pc));
	task_stack_of(task, &bottom, &top);
	if (sp < bottom && bottom - sp <= LOAM_PAGE_SIZE) {
		sp = bottom; /* it overflowed */
	}
	if (sp < bottom || sp >= top) {
		kprintf("    sp %p is not in this stack\n", (void *)sp);
		return;
	}
	sp &= ~(sizeof(uintptr_t) - 1);
	for (; sp < top; sp += sizeof(uintptr_t)) {
		uintptr_t word = *(const uintptr_t *)sp;
		bool sure = sp == fp + sizeof(uintptr_t);
		if (sure) {
			fp = *(const uintptr_t *)fp;
		}
		if (!trace_is_return(word)) {
			continue;
		}
		if (lines++ == TRACE_MOST) {
			kprintf("    ...\n");
			return;
		}
		kprintf("  %c %0*zx  %s\n", sure ? ' ' : '?', TRACE_DIGITS,
			word,
			sure ? symbol_format_return(name, word)
			     : symbol_format(name, word));
	}
}

void exception_trace(uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
	exception_trace_of(task_current(), pc, sp, fp);
}

void exception_print_access(uintptr_t address, uint32_t error)
{
	const char *action = "reading";

	if ((error & TRAP_PF_FETCH) != 0) {
		action = "executing";
	} else if ((error & TRAP_PF_WRITE) != 0) {
		action = "writing";
	}
	kprintf("%s %p: %s, from %s mode%s\n", action, (void *)address,
		(error & TRAP_PF_PRESENT) != 0 ? "the page forbids it"
					       : "no page there",
		(error & TRAP_PF_USER) != 0 ? "user" : "kernel",
		(error & TRAP_PF_RESERVED) != 0 ? ", a reserved bit is set"
						: "");
}

void exception_print_page_fault(uint32_t error)
{
	const struct loam_proc *space = task_current()->space;
	uintptr_t address = cpu_read_cr2();

	exception_print_access(address, error);
	if (address < KERNEL_USER_END && space != NULL) {
		if ((error & (TRAP_PF_PRESENT | TRAP_PF_USER)) ==
		    TRAP_PF_PRESENT) {
			kprintf("it is a program's, which the kernel may "
				"neither touch nor execute\n");
		}
		report_walk_of(&space->pt, address);
		return;
	}
	report_walk(address);
}

void exception_print_overflow(uintptr_t sp)
{
	uintptr_t bottom;
	uintptr_t top;

	task_stack(&bottom, &top);
	if (sp - (bottom - LOAM_PAGE_SIZE) <= LOAM_PAGE_SIZE) {
		bool boot = bottom == (uintptr_t)boot_stack_bottom;
		kprintf("the %s stack%s%s (%u bytes) overflowed into its guard "
			"page\n",
			boot ? "boot" : "kernel", boot ? "" : " of ",
			boot ? "" : task_current()->name,
			(unsigned)(top - bottom));
	}
}

_Noreturn static void exception_panic(const struct trap_frame *frame)
{
	uintptr_t pc = TRAP_FRAME_PC(frame);
	uintptr_t sp = exception_stack_of(frame);
	unsigned vector = (unsigned)frame->vector;
	uint32_t error = (uint32_t)frame->error;
	char name[64];

	stop_begin();
	kprintf("\nexception %u, %s, error code 0x%x\n", vector,
		exception_name(vector), error);
	kprintf("at %p %s\n", (void *)pc, symbol_format(name, pc));
	if (vector == TRAP_PAGE_FAULT) {
		exception_print_page_fault(error);
	}
	if (vector == TRAP_DOUBLE_FAULT) {
		exception_print_overflow(sp);
	}
	exception_print_registers(frame, sp);
	exception_trace(pc, sp, TRAP_FRAME_FP(frame));
	stop_report();
	machine_exit(false);
}

struct trap_context *exception_expected(uint32_t vector, uint32_t error,
					uintptr_t pc)
{
	struct task *task = task_current();
	struct trap_context *context = task->expecting;

	if (context != NULL) {
		exception_report.vector = vector;
		exception_report.error = error;
		exception_report.address = cpu_read_cr2();
		exception_report.pc = pc;
		task->expecting = NULL;
	}
	return context;
}

void (*trap_stepper)(struct trap_frame *frame);

_Noreturn void exception_handle(const struct trap_frame *frame)
{
	struct trap_context *context = exception_expected(
		(uint32_t)frame->vector, (uint32_t)frame->error,
		TRAP_FRAME_PC(frame));

	if (context == NULL) {
		exception_panic(frame);
	}
	trap_jump(context, 1);
}

bool trap_expect(void (*fn)(void *arg), void *arg, struct trap_report *out)
{
	struct trap_context context;

	if (trap_save(&context) != 0) {
		*out = exception_report;
		return true;
	}
	task_current()->expecting = &context;
	fn(arg);
	task_current()->expecting = NULL;
	return false;
}

/* SPDX-License-Identifier: MIT */
/* Ring 3 of the i386: first registers, new stacks, calls by int 0x80. */

#include <loam/mem.h>

#include "../cpus.h"
#include "../process.h"
#include "../task.h"
#include "../usercopy.h"
#include "cpu.h"
#include "gdt.h"
#include "trap.h"

void trap_user_start(struct trap_frame *frame, uintptr_t entry, uintptr_t stack)
{
	memset(frame, 0, sizeof(*frame));
	frame->ds = GDT_USER_DATA;
	frame->es = GDT_USER_DATA;
	frame->fs = GDT_USER_DATA;
	frame->gs = GDT_USER_DATA;
	frame->eip = (uint32_t)entry;
	frame->cs = GDT_USER_CODE;
	frame->eflags = CPU_EFLAGS_IF | 2u; /* bit 1 always reads as 1 */
	frame->user_esp = (uint32_t)stack;
	frame->user_ss = GDT_USER_DATA;
}

/* What trap_switch() pops. */
struct switch_frame {
	uint32_t edi, esi, ebx, ebp, eip;
};

void *trap_prepare(void *stack_end, void (*entry)(void *argument),
		   void *argument)
{
	/* Above stay the registers of ring 3, where trap_leave() takes them. */
	unsigned char *end = stack_end;
	struct switch_frame *frame =
		(void *)(end - sizeof(struct trap_frame) - sizeof(*frame));

	*frame = (struct switch_frame){
		.esi = (uintptr_t)argument,
		.ebx = (uintptr_t)entry,
		.eip = (uintptr_t)trap_thread_entry,
	};
	return frame;
}

void trap_set_stack(void *stack_end)
{
	cpu_this()->gdt.kernel.esp0 = (uintptr_t)stack_end;
}

int trap_call_arguments(const struct trap_frame *frame, uintptr_t *to,
			size_t count)
{
	return usercopy_arguments(to, frame->user_esp, count);
}

void trap_syscall(struct trap_frame *frame)
{
	cpu_sti();
	process_call(frame);
	cpu_cli();
	process_to_user();
}

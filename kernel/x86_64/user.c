/* SPDX-License-Identifier: MIT */
/* Ring 3 of the x86-64: first registers, new stacks, calls by syscall. */

/*
 * syscall does not change the stack: it loads the segments that MSR_STAR names,
 * clears the flags in MSR_FMASK and jumps. The entry code finds the kernel's
 * stack through GS; interrupts are off until it is on it.
 *
 * There is no code of 32 bits in ring 3: the selector that STAR has to leave
 * for it leads to no descriptor. So nobody arrives by MSR_CSTAR, which is where
 * AMD's CPUs take a syscall of such code.
 */

#include <loam/mem.h>

#include "../cpus.h"
#include "../process.h"
#include "../task.h"
#include "cpu.h"
#include "gdt.h"
#include "trap.h"

#define MSR_EFER 0xC0000080u
#define MSR_STAR 0xC0000081u
#define MSR_LSTAR 0xC0000082u
#define MSR_FMASK 0xC0000084u
#define EFER_SCE 1u

/* Cleared at an entry: IF, DF, TF, NT, AC, the I/O privilege. */
#define SYSCALL_FLAGS 0x47700u

void trap_init_syscall(void)
{
	/* sysret adds 16 to its base for the code, 8 for the stack. */
	uint64_t star = (uint64_t)(GDT_USER_CODE_32 | 3u) << 48 |
			(uint64_t)GDT_CODE << 32;

	cpu_write_msr(MSR_STAR, star);
	cpu_write_msr(MSR_LSTAR, (uintptr_t)trap_entry_syscall);
	cpu_write_msr(MSR_FMASK, SYSCALL_FLAGS);
	cpu_write_msr(MSR_EFER, cpu_read_msr(MSR_EFER) | EFER_SCE);
}

void trap_user_start(struct trap_frame *frame, uintptr_t entry, uintptr_t stack)
{
	memset(frame, 0, sizeof(*frame));
	frame->rip = entry;
	frame->cs = GDT_USER_CODE | 3u;
	frame->rflags = CPU_EFLAGS_IF | 2u; /* bit 1 always reads as 1 */
	frame->rsp = stack;
	frame->ss = GDT_USER_DATA | 3u;
}

/* What trap_switch() pops. */
struct switch_frame {
	uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

void *trap_prepare(void *stack_end, void (*entry)(void *argument),
		   void *argument)
{
	/* Above stay the registers of ring 3, where trap_leave() takes them. */
	unsigned char *end = stack_end;
	struct switch_frame *frame =
		(void *)(end - sizeof(struct trap_frame) - sizeof(*frame));

	*frame = (struct switch_frame){
		.r12 = (uintptr_t)argument,
		.rbx = (uintptr_t)entry,
		.rip = (uintptr_t)trap_thread_entry,
	};
	return frame;
}

void trap_set_stack(void *stack_end)
{
	cpu_this()->local.kernel_stack = (uintptr_t)stack_end;
	gdt_set_kernel_stack((uintptr_t)stack_end);
}

int trap_call_arguments(const struct trap_frame *frame, uintptr_t *to,
			size_t count)
{
	const uintptr_t arguments[] = { frame->rdi, frame->rsi, frame->rdx,
					frame->r10 };

	memcpy(to, arguments, count * sizeof(to[0]));
	return 0;
}

void trap_syscall(struct trap_frame *frame)
{
	cpu_sti();
	process_call(frame);
	cpu_cli();
	process_to_user();
}

/* SPDX-License-Identifier: MIT */
/* Faults and exceptions of processes: resolved, or the end of one. */

#include <loam/mem.h>

#include "console.h"
#include "process.h"

static unsigned fault_access(uint32_t error)
{
	return ((error & TRAP_PF_WRITE) != 0 ? LOAM_ACCESS_WRITE : 0) |
	       ((error & TRAP_PF_FETCH) != 0 ? LOAM_ACCESS_EXEC : 0) |
	       ((error & TRAP_PF_USER) != 0 ? LOAM_ACCESS_USER : 0) |
	       ((error & TRAP_PF_PRESENT) != 0 ? LOAM_ACCESS_PRESENT : 0);
}

/*
 * When memory has run out, somebody has been told to end: others run until it
 * has, unless it is this one.
 */
bool process_fault(uintptr_t address, uint32_t error)
{
	struct process *process = process_current();
	unsigned access = fault_access(error);

	if (process == NULL) {
		/* A kernel thread that lives in a space. */
		struct loam_proc *space = task_current()->space;
		return space != NULL &&
		       loam_proc_fault(space, address, access) ==
			       LOAM_FAULTED_OK;
	}
	if (process->ended) {
		return false;
	}
	for (;;) {
		switch (loam_proc_fault(&process->space, address, access)) {
		case LOAM_FAULTED_OK:
			return true;
		case LOAM_FAULTED_BAD:
			return false;
		case LOAM_FAULTED_MEMORY:
			process_end(process, ABI_END_MEMORY);
			return false;
		case LOAM_FAULTED_RETRY:
			break;
		}
		if (process->ending != 0) {
			return false;
		}
		task_yield();
	}
}

_Noreturn void process_exception(const struct trap_frame *frame,
				 uintptr_t address)
{
	struct process *process = process_current();
	uint32_t vector = (uint32_t)frame->vector;
	enum abi_end how = ABI_END_TRAP;

	/* Nothing of its own doing: it was told to end meanwhile. */
	if (process->ending != 0) {
		process_exit(process->ending);
	}
	task_keep();
	kprintf("[%d] %s killed: %s", process->pid, process->name,
		exception_name(vector));
	if (vector == TRAP_PAGE_FAULT) {
		how = ABI_END_FAULT;
		kprintf(", ");
		exception_print_access(address, (uint32_t)frame->error);
	} else {
		kprintf(", error code 0x%x\n", (unsigned)frame->error);
	}
	trap_print_user(frame);
	task_unkeep();
	process_exit(how);
}

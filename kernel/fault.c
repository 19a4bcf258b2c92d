/* SPDX-License-Identifier: MIT */
/* Faults and exceptions of processes: resolved, or the end of one. */

#include <loam/mem.h>

#include "console.h"
#include "process.h"

bool process_fault(uintptr_t address, uint32_t error)
{
	struct process *process = process_current();

	if (process == NULL) {
		return false;
	}
	return space_fault(&process->space, address, error) == 0;
}

_Noreturn void process_exception(const struct trap_frame *frame,
				 uintptr_t address)
{
	struct process *process = process_current();
	uint32_t vector = (uint32_t)frame->vector;
	enum abi_end how = ABI_END_TRAP;

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

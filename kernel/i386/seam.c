/* SPDX-License-Identifier: MIT */
/* The seam: what the library asks of this kernel. */

#include <loam/host.h>
#include <loam/mem.h>

#include "../console.h"
#include "../machine.h"
#include "cpu.h"
#include "layout.h"
#include "trap.h"

loam_phys_t machine_direct_end;
struct trap_context *machine_panic_context;
char machine_panic_text[256];

_Noreturn void loam_host_panic(const char *message)
{
	struct trap_context *context = machine_panic_context;

	if (context != NULL) {
		machine_panic_context = NULL;
		loam_snprintf(machine_panic_text, sizeof(machine_panic_text),
			      "%s", message);
		trap_jump(context, 1);
	}
	cpu_cli();
	kprintf("\npanic: %s\n", message);
	exception_trace((uintptr_t)__builtin_return_address(0),
			(uintptr_t)__builtin_frame_address(0) + 8,
			*(uint32_t *)__builtin_frame_address(0));
	machine_exit(false);
}

void *loam_host_phys_to_virt(loam_phys_t phys)
{
	if (phys >= machine_direct_end) {
		return NULL;
	}
	return (void *)PHYS_TO_VIRT((uintptr_t)phys);
}

/*
 * One CPU: to keep its interrupts out is to hold the lock. word[0] tells that
 * it is held, so that a second taking, which would spin for ever on a machine
 * of several CPUs, is found on this one too.
 */
void loam_host_lock(struct loam_host_lock *lock)
{
	uint32_t eflags = cpu_read_eflags();

	cpu_cli();
	if (LOAM_UNLIKELY(lock->word[0] != 0)) {
		loam_host_panic("a host lock is taken twice");
	}
	lock->word[0] = 1;
	lock->word[1] = eflags;
}

void loam_host_unlock(struct loam_host_lock *lock)
{
	uint32_t eflags = lock->word[1];

	lock->word[0] = 0;
	if ((eflags & CPU_EFLAGS_IF) != 0) {
		cpu_sti();
	}
}

void loam_host_log(enum loam_log_level level, const char *text)
{
	console_log(level, text);
}

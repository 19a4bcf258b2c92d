/* SPDX-License-Identifier: MIT */
/* The seam: what the library asks of this kernel. */

#include <loam/host.h>
#include <loam/mem.h>

#include "../console.h"
#include "../machine.h"
#include "../stop.h"
#include "../symbols.h"
#include "cpu.h"
#include "layout.h"
#include "trap.h"

#define SEAM_DIGITS (2 * sizeof(uintptr_t)) /* of an address in hexadecimal */

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
	stop_begin();
	kprintf("\npanic: %s\n", message);
	/* Within the call, for what is behind it may be another function. */
	exception_trace((uintptr_t)__builtin_return_address(0) - 1,
			(uintptr_t)__builtin_frame_address(0) +
				2 * sizeof(uintptr_t),
			*(uintptr_t *)__builtin_frame_address(0));
	stop_report();
	machine_exit(false);
}

void *loam_host_phys_to_virt(loam_phys_t phys)
{
	if (phys >= machine_direct_end) {
		return NULL;
	}
	return (void *)PHYS_TO_VIRT((uintptr_t)phys);
}

unsigned loam_host_cpu(void)
{
	return (unsigned)cpu_number();
}

/* The address that the text ends with, "0x" and all its digits, or 0. */
static uintptr_t seam_last_address(const char *text)
{
	size_t length = loam_strlen(text);
	if (length < SEAM_DIGITS + 2 || text[length - SEAM_DIGITS - 2] != '0' ||
	    text[length - SEAM_DIGITS - 1] != 'x') {
		return 0;
	}
	uintptr_t address = 0;
	for (size_t i = length - SEAM_DIGITS; i < length; i++) {
		char c = text[i];
		unsigned digit = c >= 'a' ? (unsigned)(c - 'a') + 10
					  : (unsigned)(c - '0');
		address = address << 4 | digit;
	}
	return address;
}

/* Reports end with the address of a caller, whose name is what people read. */
void loam_host_log(enum loam_log_level level, const char *text)
{
	uintptr_t address = seam_last_address(text);
	uintptr_t offset;
	if (address != 0 && symbol_find(address, &offset) != NULL) {
		char name[64];
		char line[384];
		loam_snprintf(line, sizeof(line), "%s (%s)", text,
			      symbol_format(name, address));
		console_log(level, line);
		return;
	}
	console_log(level, text);
}

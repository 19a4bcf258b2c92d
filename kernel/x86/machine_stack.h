/* SPDX-License-Identifier: MIT */
/* The stacks that are part of the image. */
#ifndef KERNEL_X86_MACHINE_STACK_H
#define KERNEL_X86_MACHINE_STACK_H

/* [bottom, top), above a page that will be unmapped. */
struct machine_stack {
	const char *name;
	const char *guard;
	const char *bottom;
	const char *top;
};

/* By ascending address. */
extern const struct machine_stack machine_stacks[];
extern const unsigned machine_stack_count;

#endif

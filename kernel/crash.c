/* SPDX-License-Identifier: MIT */
/* Bugs of the kernel's own, made to order, to see what they look like. */

#include <loam/mem.h>

#include "arch.h"
#include "console.h"
#include "crash.h"
#include "kernel.h"
#include "ktest.h"
#include "mmu.h"
#include "spaces.h"
#include "task.h"

/* A pointer that is wild: nothing is mapped there. */
static int crash_write(void)
{
	*(volatile uint32_t *)(uintptr_t)boot_stack_guard = 1;
	return 0;
}

static int crash_opcode(void)
{
	__asm__ volatile("ud2");
	return 0;
}

static int crash_stack(void)
{
	ktest_overflow_stack(NULL);
	return 0;
}

static void crash_task_run(void *argument)
{
	ktest_overflow_stack(argument);
	task_end();
}

/* The stack of another task than the one that began on the boot stack. */
static int crash_task(void)
{
	if (task_create("deep", crash_task_run, NULL) == NULL) {
		kprintf("no memory\n");
		return -LOAM_ENOMEM;
	}
	task_sleep(crash_task, TASK_FOREVER);
	return 0;
}

static int crash_panic(void)
{
	loam_panic("as was asked for");
}

/*
 * A pointer of a program's, used as it is: it leads to memory that is there,
 * and that the kernel is not to touch.
 */
static int crash_user(void)
{
	static struct loam_proc space;
	const struct loam_map_request request = {
		.start = KERNEL_USER_SPACE_BASE,
		.size = LOAM_PAGE_SIZE,
		.prot = LOAM_PROT_READ | LOAM_PROT_WRITE,
		.flags = LOAM_REGION_FIXED | LOAM_REGION_POPULATE,
		.kind = LOAM_REGION_ANONYMOUS,
	};
	uintptr_t start;
	int error = loam_proc_create(&spaces, &space, "crash");

	if (error != 0) {
		kprintf("no memory\n");
		return error;
	}
	error = loam_proc_map(&space, &request, &start);
	if (error == 0) {
		uintptr_t root = cpu_read_cr3();
		uintptr_t state = task_lock();
		task_current()->space = &space;
		mmu_load_root(loam_proc_root(&space));
		*(volatile uint32_t *)start = 1;
		mmu_load_root(root);
		task_current()->space = NULL;
		task_unlock(state);
		kprintf("this CPU lets the kernel touch programs' memory\n");
		error = -LOAM_EINVAL;
	}
	loam_proc_destroy(&space);
	return error;
}

int crash(const char *kind)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} kinds[] = {
		{ "write", crash_write }, { "opcode", crash_opcode },
		{ "stack", crash_stack }, { "task", crash_task },
		{ "panic", crash_panic }, { "user", crash_user },
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kinds); i++) {
		if (loam_streq(kinds[i].name, kind)) {
			return kinds[i].run();
		}
	}
	kprintf("crash");
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kinds); i++) {
		kprintf("%s%s",
			i == 0                           ? " "
			: i + 1 < LOAM_ARRAY_SIZE(kinds) ? ", "
							 : " or ",
			kinds[i].name);
	}
	kprintf("\n");
	return -LOAM_EINVAL;
}

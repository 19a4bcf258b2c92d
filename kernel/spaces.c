/* SPDX-License-Identifier: MIT */
/* Sets the address spaces' floor up, and ends who has most when memory does. */

#include <loam/mem.h>

#include "arch.h"
#include "cmdline.h"
#include "fpu.h"
#include "kernel.h"
#include "mmu.h"
#include "process.h"
#include "spaces.h"

struct loam_procs spaces;
bool spaces_malloc_lazy;

bool spaces_is_user(uintptr_t start, size_t size_bytes)
{
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user =
			&kernel.layout.user[i];
		size_t offset = start - user->base;
		if (offset < user->size && size_bytes <= user->size - offset) {
			return true;
		}
	}
	return false;
}

uintptr_t spaces_program_end(void)
{
	const struct loam_boot_user_range *user = &kernel.layout.user[1];

	return user->base + user->size;
}

/* The victim ends itself, at once if it runs or sleeps, else when it does. */
static bool spaces_out_of_memory(void *ctx, struct loam_proc *victim)
{
	struct process *process = victim->owner;

	(void)ctx;
	victim->ending = true;
	process_end(process, ABI_END_MEMORY);
	return true;
}

/*
 * The kernel's part of every space. Where no page of the kernel's lies among
 * the user's it is whole tables, all of them shared, and copied from the first
 * space entry by entry; otherwise, in the identity map, looked for each time.
 */
static struct loam_pt spaces_model;

static int spaces_share_kernel(void *ctx, struct loam_pt *pt)
{
	(void)ctx;
	return machine_is_identity() ? loam_boot_share_kernel(&kernel, pt)
				     : loam_pt_share_like(pt, &spaces_model);
}

static int spaces_make_model(void)
{
	int error = loam_pt_init(&spaces_model, mmu_geometry(),
				 &loam_kspace_pt_ops, NULL, &kernel.kspace);

	return error != 0 ? error
			  : loam_boot_share_kernel(&kernel, &spaces_model);
}

int spaces_init(void)
{
	char value[16];

	spaces_malloc_lazy = cmdline_option(kernel.info.cmdline, "malloc",
					    value, sizeof(value)) &&
			     loam_streq(value, "lazy");
	const struct loam_procs_config config = {
		.kmalloc = &kernel.kmalloc,
		.frames = &kernel.frames,
		.kspace = &kernel.kspace,
		.kernel_pt = &kernel.pt,
		.share_kernel = spaces_share_kernel,
		.user_base = KERNEL_USER_STACK_BASE,
		.user_end = KERNEL_USER_SPACE_BASE + KERNEL_USER_SPACE_SIZE,
		.map_base = SPACES_HEAP_END,
		.map_end = KERNEL_USER_SPACE_BASE + KERNEL_USER_SPACE_SIZE,
		.clear_page = fpu_clear_page,
		.copy_page = fpu_copy_page,
		.out_of_memory = spaces_out_of_memory,
	};
	int error = spaces_make_model();
	return error != 0 ? error : loam_procs_init(&spaces, &config);
}

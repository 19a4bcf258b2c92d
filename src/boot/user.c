/* SPDX-License-Identifier: MIT */
/* Memory that processes hide from the kernel, where they lie over its map. */
#include "boot_int.h"

/*
 * In a layout whose direct map begins at address 0 the user's pages lie where
 * the kernel would find physical memory. While a process's tables are loaded
 * the kernel cannot use that memory by its address, so nobody may have
 * anything in it: it is reserved before anything is allocated. What a loader
 * has put there is moved if it is still wanted (modules), and left to be
 * overwritten if it has been copied (boot information).
 */

/* Ranges that hide memory are not cut to less than this. */
#define USER_LEAST LOAM_MIB(1)

/* Where a user range lies in the direct map: its size, 0 if it does not. */
static loam_phys_t user_hidden(const struct loam_boot_layout *layout,
			       const struct loam_boot_user_range *user,
			       loam_phys_t *base)
{
	*base = (uintptr_t)(user->base - layout->direct_base);
	return *base < layout->direct_size ? user->size : 0;
}

void loam_boot_scale_user(struct loam_kernel *kernel, uint64_t ram)
{
	struct loam_boot_layout *layout = &kernel->layout;
	uint64_t share = loam_round_up(ram / 8, LOAM_PAGE_SIZE);
	share = share > USER_LEAST ? share : USER_LEAST;
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		struct loam_boot_user_range *user = &layout->user[i];
		loam_phys_t base;
		if (user_hidden(layout, user, &base) > share) {
			user->size = (size_t)share;
		}
	}
}

int loam_boot_reserve_user(struct loam_kernel *kernel)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	int error = 0;
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES && error == 0; i++) {
		loam_phys_t base;
		loam_phys_t size = user_hidden(layout, &layout->user[i], &base);
		if (size != 0) {
			error = loam_memblock_reserve(&kernel->memblock, base,
						      size, LOAM_RESERVED_USER);
		}
	}
	return error;
}

bool loam_boot_module_hidden(const struct loam_boot_layout *layout,
			     const struct loam_boot_range *range)
{
	if (range->owner != LOAM_RESERVED_MODULE) {
		return false;
	}
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		loam_phys_t base;
		loam_phys_t size = user_hidden(layout, &layout->user[i], &base);
		if (size != 0 && range->base < base + size &&
		    base < range->base + range->size) {
			return true;
		}
	}
	return false;
}

static int module_move(struct loam_kernel *kernel,
		       const struct loam_boot_machine *machine,
		       struct loam_boot_range *range)
{
	const void *from = loam_host_phys_to_virt(range->base);
	const void *last =
		loam_host_phys_to_virt(range->base + range->size - 1);
	if (from == NULL || last == NULL) {
		loam_log(LOAM_LOG_ERROR,
			 "module at 0x%llx: hidden by the user's addresses, "
			 "and too far up to be moved",
			 (unsigned long long)range->base);
		return -LOAM_EINVAL;
	}
	loam_phys_t to = loam_memblock_alloc(
		&kernel->memblock, loam_round_up(range->size, LOAM_PAGE_SIZE),
		LOAM_PAGE_SIZE, 0, machine->early_end, LOAM_TOP_DOWN,
		LOAM_RESERVED_MODULE);
	if (to == LOAM_PHYS_NONE) {
		return -LOAM_ENOMEM;
	}
	memcpy(loam_host_phys_to_virt(to), from, (size_t)range->size);
	range->base = to;
	return 0;
}

int loam_boot_move_modules(struct loam_kernel *kernel,
			   const struct loam_boot_machine *machine)
{
	struct loam_boot_info *info = &kernel->info;
	int error = 0;
	for (uint32_t i = 0; i < info->reserved_count && error == 0; i++) {
		struct loam_boot_range *range = &info->reserved[i];
		if (loam_boot_module_hidden(&kernel->layout, range)) {
			error = module_move(kernel, machine, range);
		}
	}
	return error;
}

/* -------- the kernel's part of a process -------- */

static int share_visit(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		       loam_prot_t prot, size_t page_size)
{
	return loam_pt_map(arg, virt, phys, size, prot,
			   page_size > LOAM_PAGE_SIZE);
}

/*
 * Copies what the kernel has in [first, last] and no user range covers. That
 * does not change any more: a copy stays as good as the original.
 */
static int share_copy(const struct loam_kernel *kernel, struct loam_pt *pt,
		      uintptr_t first, uintptr_t last)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES && first <= last; i++) {
		const struct loam_boot_user_range *user = &layout->user[i];
		if (user->size == 0 || user->base > last ||
		    first > user->base + (user->size - 1)) {
			continue;
		}
		if (user->base > first) {
			int error =
				loam_pt_visit(&kernel->pt, first,
					      user->base - 1, share_visit, pt);
			if (error != 0) {
				return error;
			}
		}
		if (last <= user->base + (user->size - 1)) {
			return 0;
		}
		first = user->base + user->size;
	}
	return loam_pt_visit(&kernel->pt, first, last, share_visit, pt);
}

static bool is_users(const struct loam_boot_layout *layout, uintptr_t first,
		     uintptr_t last)
{
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user = &layout->user[i];
		if (user->size != 0 && user->base <= last &&
		    first <= user->base + (user->size - 1)) {
			return true;
		}
	}
	return false;
}

int loam_boot_share_kernel(const struct loam_kernel *kernel, struct loam_pt *pt)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	unsigned root = geometry->levels - 1u;
	unsigned bits = geometry->index_bits[root];
	size_t span = (size_t)LOAM_PAGE_SIZE << geometry->span_shift[root];
	uintptr_t virt = pt->bias;
	for (unsigned i = 0; i < 1u << bits; i++) {
		uintptr_t last = virt + (span - 1);
		int error;
		if (is_users(&kernel->layout, virt, last)) {
			error = share_copy(kernel, pt, virt, last);
		} else {
			error = loam_pt_share(pt, &kernel->pt, virt, span);
			error = error == -LOAM_ENOENT ? 0 : error;
		}
		if (error != 0) {
			return error;
		}
		virt += span;
		/* Addresses of 64 bits repeat their top bit. */
		if (i + 1 == 1u << (bits - 1) &&
		    geometry->virt_bits < 8 * sizeof(virt) &&
		    geometry->virt_bits > 32) {
			virt = (uintptr_t)0 - ((uintptr_t)span << (bits - 1)) +
			       pt->bias;
		}
	}
	return 0;
}

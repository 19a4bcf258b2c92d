/* SPDX-License-Identifier: MIT */
/* Address spaces of processes: the program and its stack, filled at once. */

#include <loam/bits.h>
#include <loam/mem.h>

#include "abi.h"
#include "arch.h"
#include "kernel.h"
#include "mmu.h"
#include "space.h"

int space_create(struct space *space)
{
	int error = loam_pt_init(&space->pt, mmu_geometry(),
				 &loam_kspace_pt_ops, NULL, &kernel.kspace);
	if (error == 0) {
		error = loam_boot_share_kernel(&kernel, &space->pt);
		if (error != 0) {
			loam_pt_fini(&space->pt);
		}
	}
	return error;
}

static int space_free_run(void *arg, uintptr_t virt, size_t size,
			  loam_phys_t phys, loam_prot_t prot, size_t page_size)
{
	(void)arg;
	(void)virt;
	(void)prot;
	(void)page_size;
	for (size_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
		frame_free(loam_phys_to_pfn(phys + at));
	}
	return 0;
}

void space_destroy(struct space *space)
{
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user =
			&kernel.layout.user[i];
		loam_pt_visit(&space->pt, user->base,
			      user->base + (user->size - 1), space_free_run,
			      NULL);
	}
	loam_pt_fini(&space->pt);
}

int space_fork(struct space *child, struct space *parent)
{
	(void)child;
	(void)parent;
	return -LOAM_ENOMEM;
}

loam_phys_t space_root(const struct space *space)
{
	return space->pt.root;
}

uintptr_t space_program_end(void)
{
	const struct loam_boot_user_range *user = &kernel.layout.user[1];

	return user->base + user->size;
}

/* A zeroed page at virt; where the kernel reaches it, or NULL. */
static unsigned char *space_add_page(struct space *space, uintptr_t virt,
				     loam_prot_t prot)
{
	loam_pfn_t pfn = loam_frame_alloc(
		&kernel.frames, 0, LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_USER));
	if (pfn == LOAM_PFN_NONE) {
		return NULL;
	}
	if (loam_pt_map(&space->pt, virt, loam_pfn_to_phys(pfn), LOAM_PAGE_SIZE,
			prot | LOAM_PROT_READ | LOAM_PROT_USER, false) != 0) {
		frame_free(pfn);
		return NULL;
	}
	return loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
}

int space_map_segment(struct space *space, const struct elf_segment *s,
		      const unsigned char *bytes)
{
	loam_prot_t prot = (s->write ? LOAM_PROT_WRITE : 0) |
			   (s->exec ? LOAM_PROT_EXEC : 0);
	size_t done = 0;

	for (size_t at = 0; at < s->size; at += LOAM_PAGE_SIZE) {
		unsigned char *page = space_add_page(space, s->virt + at, prot);
		if (page == NULL) {
			return -LOAM_ENOMEM;
		}
		size_t skip = at == 0 ? s->skip : 0;
		size_t part = s->file_bytes - done < LOAM_PAGE_SIZE - skip
				      ? s->file_bytes - done
				      : LOAM_PAGE_SIZE - skip;
		memcpy(page + skip, bytes + s->offset + done, part);
		done += part;
	}
	return 0;
}

int space_map_stack(struct space *space, uintptr_t base, size_t size)
{
	for (size_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
		if (space_add_page(space, base + at, LOAM_PROT_WRITE) == NULL) {
			return -LOAM_ENOMEM;
		}
	}
	return 0;
}

int space_fault(struct space *space, uintptr_t address, uint32_t error)
{
	(void)space;
	(void)address;
	(void)error;
	return -LOAM_EFAULT;
}

/* SPDX-License-Identifier: MIT */
/* The kernel's access to user memory, which cannot fault. */
#include "proc_int.h"

/*
 * A page is looked up in the tables with the rights that the process has, and
 * copied through the direct map or a temporary map under the space's lock, so
 * that it cannot go meanwhile. What is not there yet is brought as by a fault,
 * and looked up anew.
 */

/* True, and the frame, if the process itself could make the access now. */
static bool copy_look(struct loam_proc *proc, uintptr_t page, bool write,
		      loam_pfn_t *pfn)
{
	const struct loam_pt_geometry *geometry = proc->pt.geometry;
	const struct loam_region *region = loam_region_holding(proc, page);
	struct loam_pt_leaf leaf;
	if (region == NULL || !loam_pt_leaf_find(&proc->pt, page, &leaf)) {
		return false;
	}
	uint64_t entry = loam_pt_leaf_load(&proc->pt, leaf.entries, leaf.index);
	uint64_t needed = geometry->present | geometry->user;
	if (write) {
		needed |= geometry->writable;
	}
	if ((entry & needed) != needed ||
	    (write && !loam_pt_leaf_writable(&proc->pt, &leaf))) {
		return false;
	}
	*pfn = proc_entry_pfn(proc, entry);
	return true;
}

/* The part of a copy that is in one page. */
struct copy_part {
	uintptr_t at; /* user address */
	size_t bytes; /* up to the end of the page at most */
	void *to;     /* kernel memory, one of the two */
	const void *from;
};

/* 1: copied. 0: not there. -LOAM_ENOMEM: no way to reach the frame. */
static int copy_try(struct loam_proc *proc, const struct copy_part *part)
{
	bool write = part->to == NULL;
	uintptr_t page = part->at & ~(uintptr_t)LOAM_PAGE_MASK;
	loam_pfn_t pfn;
	if (!copy_look(proc, page, write, &pfn)) {
		return 0;
	}
	unsigned char *frame = loam_proc_page_open(proc->procs, pfn);
	if (frame == NULL) {
		return -LOAM_ENOMEM;
	}
	unsigned char *at = frame + (part->at & LOAM_PAGE_MASK);
	if (write) {
		memcpy(at, part->from, part->bytes);
	} else {
		memcpy(part->to, at, part->bytes);
	}
	loam_proc_page_close(proc->procs, frame);
	return 1;
}

static int copy_part(struct loam_proc *proc, const struct copy_part *part)
{
	unsigned access = part->to == NULL ? LOAM_ACCESS_WRITE : 0;
	for (;;) {
		loam_lock(&proc->lock);
		int done = copy_try(proc, part);
		loam_unlock(&proc->lock);
		if (done != 0) {
			return done < 0 ? done : 0;
		}
		switch (loam_proc_fault(proc, part->at, access)) {
		case LOAM_FAULTED_OK:
			break;
		case LOAM_FAULTED_BAD:
			return -LOAM_EFAULT;
		case LOAM_FAULTED_RETRY:
		case LOAM_FAULTED_MEMORY:
		default:
			return -LOAM_ENOMEM;
		}
	}
}

/* Bytes from an address to the end of its page, at most left. */
static size_t copy_in_page(uintptr_t at, size_t left)
{
	size_t rest = LOAM_PAGE_SIZE - (at & LOAM_PAGE_MASK);
	return rest < left ? rest : left;
}

/* True if all bytes may be user memory. */
static bool copy_is_user(const struct loam_proc *proc, uintptr_t at,
			 size_t size_bytes)
{
	const struct loam_procs_config *config = &proc->procs->config;
	return at >= config->user_base && at <= config->user_end &&
	       size_bytes <= config->user_end - at;
}

int loam_proc_copy_in(struct loam_proc *proc, void *to, uintptr_t from,
		      size_t size_bytes)
{
	if (size_bytes != 0 && !copy_is_user(proc, from, size_bytes)) {
		return -LOAM_EFAULT;
	}
	size_t done = 0;
	while (done < size_bytes) {
		struct copy_part part = {
			.at = from + done,
			.bytes = copy_in_page(from + done, size_bytes - done),
			.to = (unsigned char *)to + done,
		};
		int error = copy_part(proc, &part);
		if (error != 0) {
			return error;
		}
		done += part.bytes;
	}
	return 0;
}

int loam_proc_copy_out(struct loam_proc *proc, uintptr_t to, const void *from,
		       size_t size_bytes)
{
	if (size_bytes != 0 && !copy_is_user(proc, to, size_bytes)) {
		return -LOAM_EFAULT;
	}
	size_t done = 0;
	while (done < size_bytes) {
		struct copy_part part = {
			.at = to + done,
			.bytes = copy_in_page(to + done, size_bytes - done),
			.from = (const unsigned char *)from + done,
		};
		int error = copy_part(proc, &part);
		if (error != 0) {
			return error;
		}
		done += part.bytes;
	}
	return 0;
}

long loam_proc_copy_string(struct loam_proc *proc, char *to, uintptr_t from,
			   size_t size_bytes)
{
	size_t done = 0;
	while (done < size_bytes) {
		size_t bytes = copy_in_page(from + done, size_bytes - done);
		if (!copy_is_user(proc, from + done, 1)) {
			to[done] = '\0';
			return -LOAM_EFAULT;
		}
		struct copy_part part = {
			.at = from + done,
			.bytes = bytes,
			.to = to + done,
		};
		int error = copy_part(proc, &part);
		if (error != 0) {
			to[done] = '\0';
			return error;
		}
		for (size_t i = done; i < done + bytes; i++) {
			if (to[i] == '\0') {
				return (long)i;
			}
		}
		done += bytes;
	}
	if (size_bytes > 0) {
		to[size_bytes - 1] = '\0';
	}
	return -LOAM_ERANGE;
}

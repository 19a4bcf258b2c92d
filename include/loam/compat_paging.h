/* SPDX-License-Identifier: MIT */
/* Seed 003's paging by its own names: 4 GB directories of 4 KiB pages. */
#ifndef LOAM_COMPAT_PAGING_H
#define LOAM_COMPAT_PAGING_H

#include <loam/compiler.h>
#include <loam/pt.h>

/*
 * Two layers. Functions loam_paging_*() work on an instance, as the rest of
 * the library does. Behind them, the seed's bare names work on the one instance
 * that the program defines:
 *
 *	struct loam_paging loam_compat_paging;
 *
 * The CPU's part, paging_load_directory() and enable_paging(), is assembly of
 * the program's. See src/compat/paging.c for how it works and why.
 */

/* Bits of an entry, as the i386 has them. Flags may be any of these. */
#define PAGING_IS_PRESENT 0x01u
#define PAGING_IS_WRITEABLE 0x02u
#define PAGING_ACCESS_FROM_ALL 0x04u
#define PAGING_WRITE_THROUGH 0x08u
#define PAGING_CACHE_DISABLED 0x10u
#define PAGING_FLAGS_ALL 0x1fu

#define PAGING_TOTAL_ENTRIES_PER_TABLE 1024u
#define PAGING_PAGE_SIZE 4096u

/* A whole address space: its directory, where the kernel reads and writes. */
struct paging_4gb_chunk {
	uint32_t *directory_entry;
};

/* What the program provides. */
struct loam_paging_ops {
	/*
	 * kzalloc and kfree. Blocks of 4096 bytes must lie at a multiple of
	 * 4096, in physically contiguous memory below 4 GiB that
	 * loam_host_phys_to_virt() knows: slab, buddy and block heaps do.
	 */
	void *(*zalloc)(void *ctx, size_t size_bytes);
	void (*free)(void *ctx, void *block);
	/* The physical address of memory from zalloc. */
	loam_phys_t (*phys)(void *ctx, const void *block);
	/* Loads the root register: paging_load_directory(). */
	void (*load_directory)(void *ctx, uint32_t directory_phys);
	/* How translations are flushed. */
	const struct loam_tlb_ops *tlb;
};

/*
 * One instance: a CPU and the directory it runs on. Not locked; the seed calls
 * it with interrupts off. Zero but for ops and ctx to begin with.
 */
struct loam_paging {
	const struct loam_paging_ops *ops;
	void *ctx;
	uint32_t *current; /* what the last switch installed, or NULL */
	struct loam_tlb_stats stats;
};

/*
 * S3.2: 1024 tables in which the entry of page n is n * 4096 | flags, and a
 * directory whose entries are table | flags | PAGING_IS_WRITEABLE. Takes 1026
 * blocks: the directory, the tables, the chunk. The caller owns it; give it
 * back with loam_paging_free_4gb().
 * NULL: no memory, nothing is left behind (S3.4); flags that are not among
 * PAGING_FLAGS_ALL, or an allocator whose blocks do not serve as tables, which
 * is logged. Cost: a million entries are written.
 */
struct paging_4gb_chunk *loam_paging_new_4gb(struct loam_paging *paging,
					     uint8_t flags);

/*
 * Gives all of it back. NULL does nothing. The directory in use, and a chunk
 * that has none (it was freed), are reported and left alone.
 */
void loam_paging_free_4gb(struct loam_paging *paging,
			  struct paging_4gb_chunk *chunk);

/*
 * S3.5: loads the chunk's directory and remembers it. A chunk without one is
 * reported, and nothing changes. The caller's code, stack and the chunk must be
 * mapped by the new directory where they are.
 */
void loam_paging_switch(struct loam_paging *paging,
			const struct paging_4gb_chunk *chunk);

/*
 * S3.30: maps count pages from virt to frames from phys, replacing whatever
 * was there; flags without PAGING_IS_PRESENT unmap. directory: NULL for the
 * one in use. Present entries that change are flushed if the directory is in
 * use (S3.33), page by page up to LOAM_TLB_FULL_THRESHOLD.
 * -LOAM_EINVAL: virt or phys not at a multiple of 4096, past 4 GiB, unknown
 * flags, no directory; -LOAM_ENOENT: no table there; -LOAM_EPERM: a large page
 * there, which is the page-table floor's. Nothing has changed then. count 0
 * does nothing. Cost: O(count).
 */
int loam_paging_map(struct loam_paging *paging, uint32_t *directory,
		    uintptr_t virt, loam_phys_t phys, size_t count,
		    uint32_t flags);

/*
 * S3.32: where virt, any address, leads. directory as above; large pages are
 * understood. 0 and *phys, or -LOAM_ENOENT: not present; -LOAM_EINVAL: virt is
 * past 4 GiB, or there is no directory. O(1).
 */
int loam_paging_translate(const struct loam_paging *paging,
			  const uint32_t *directory, uintptr_t virt,
			  loam_phys_t *phys);

/*
 * 0, or -LOAM_EFAULT (logged): a directory of loam_paging_new_4gb() leads to
 * 1024 different tables, each with flags of this floor. Compares every pair:
 * half a million.
 */
int loam_paging_check(const struct loam_paging *paging,
		      const struct paging_4gb_chunk *chunk);

/* -------- the seed's names -------- */

extern struct loam_paging loam_compat_paging; /* the program's */

/*
 * S3.6, in the program's assembly, arguments on the stack: CR3 gets the
 * directory's physical address; CR0 gets its paging bit.
 */
LOAM_CDECL void paging_load_directory(uint32_t *directory_phys);
LOAM_CDECL void enable_paging(void);

/* As loam_paging_new_4gb(), with the same contract. */
static inline struct paging_4gb_chunk *paging_new_4gb(uint8_t flags)
{
	return loam_paging_new_4gb(&loam_compat_paging, flags);
}

/* As loam_paging_free_4gb(). */
static inline void paging_free_4gb(struct paging_4gb_chunk *chunk)
{
	loam_paging_free_4gb(&loam_compat_paging, chunk);
}

/* As loam_paging_switch(). */
static inline void paging_switch(struct paging_4gb_chunk *chunk)
{
	loam_paging_switch(&loam_compat_paging, chunk);
}

/* Pages as loam_paging_map(), of the chunk, or with NULL of the current one. */
static inline int paging_map_range(struct paging_4gb_chunk *chunk, void *virt,
				   void *phys, size_t count, uint32_t flags)
{
	return loam_paging_map(&loam_compat_paging,
			       chunk != NULL ? chunk->directory_entry : NULL,
			       (uintptr_t)virt, (uintptr_t)phys, count, flags);
}

/* One page. */
static inline int paging_map(struct paging_4gb_chunk *chunk, void *virt,
			     void *phys, uint32_t flags)
{
	return paging_map_range(chunk, virt, phys, 1, flags);
}

/*
 * Where virt leads in the directory, or with NULL in the current one. NULL if
 * nowhere; frame 0, which nobody is given, starts with the same number, and
 * loam_paging_translate() tells them apart.
 */
static inline void *paging_get_physical_address(uint32_t *directory, void *virt)
{
	loam_phys_t phys;
	int error = loam_paging_translate(&loam_compat_paging, directory,
					  (uintptr_t)virt, &phys);
	return error == 0 ? (void *)(uintptr_t)phys : NULL;
}

/* S3.31: the page boundary at or above; NULL where there is none above. */
static inline void *paging_align_address(void *address)
{
	uintptr_t aligned;
	return loam_pt_align_up((uintptr_t)address, &aligned) ? (void *)aligned
							      : NULL;
}

/* S3.31: the page boundary at or below. */
static inline void *paging_align_to_lower_page(void *address)
{
	return (void *)loam_pt_align_down((uintptr_t)address);
}

#endif

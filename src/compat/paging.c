/* SPDX-License-Identifier: MIT */
/* Seed 003's paging: whole directories of 4 GB, every page in a table. */

/*
 * The third seed document keeps an address space as a chunk: one directory
 * whose 1024 entries all lead to tables, which map each page of the 4 GiB to
 * itself to begin with. Nothing is ever missing, so mapping a page is writing
 * one entry, and cannot fail for want of memory. The price is 4 MiB and 4 KiB
 * a chunk; address spaces that share tables are the proc floor's, and the
 * kernel's own directory is the pt floor's.
 *
 *	chunk            directory                  tables
 *	+-----------+    +-----------------+        +--------------+
 *	| directory-+--->| table|flags|W  -+------->| 0x000|flags  |
 *	+-----------+    | table|flags|W   |        | 0x1000|flags |
 *	                 :                 :        :              :
 *
 * Why it is not made of a struct loam_pt: there an entry that is not present
 * is 0 and a directory's entries carry no caching bits, invariants that the
 * seed's directories do not keep. Its entries are the caller's flags, bit for
 * bit, in both levels, present or not: a page that was unmapped with flags 0
 * still has its address in the entry. What remains is two loads and a store.
 *
 * Directories are read and written where the kernel sees them, through
 * loam_host_phys_to_virt(), so all of it works in a kernel that is not
 * identity-mapped too; only loading such a directory takes one that is.
 *
 * The instance remembers which directory was loaded last. A change of an entry
 * that was present there is flushed, by the page or, past a threshold, all at
 * once; an entry that was not present is in no TLB.
 *
 * Locking: none, the caller's. Cost: see the contracts. What fails is found
 * before anything changes.
 */

#include <loam/assert.h>
#include <loam/compat_paging.h>
#include <loam/mem.h>

#define TABLE_ENTRIES PAGING_TOTAL_ENTRIES_PER_TABLE
#define TABLE_BYTES (TABLE_ENTRIES * sizeof(uint32_t))
#define ENTRY_ADDRESS 0xfffff000u
#define ENTRY_LARGE 0x80u /* in a directory: maps 4 MiB by itself */
#define LARGE_ADDRESS 0xffc00000u
#define LAST_PAGE 0xfffffu

LOAM_STATIC_ASSERT(TABLE_BYTES == PAGING_PAGE_SIZE, "a table fills a frame");

/* -------- entries -------- */

/* The table behind a directory entry, where the kernel can touch it. */
static uint32_t *paging_table(uint32_t entry)
{
	return loam_host_phys_to_virt(entry & ENTRY_ADDRESS);
}

static bool paging_is_large(uint32_t entry)
{
	uint32_t both = PAGING_IS_PRESENT | ENTRY_LARGE;
	return (entry & both) == both;
}

/* The directory that NULL stands for. */
static uint32_t *paging_or_current(const struct loam_paging *paging,
				   uint32_t *directory)
{
	return directory != NULL ? directory : paging->current;
}

/* -------- new and free -------- */

/* A block that can be a table: NULL if there is none. */
static uint32_t *paging_zalloc_table(struct loam_paging *paging, uint32_t *phys)
{
	const struct loam_paging_ops *ops = paging->ops;
	uint32_t *table = ops->zalloc(paging->ctx, TABLE_BYTES);
	if (table == NULL) {
		return NULL;
	}
	loam_phys_t at = ops->phys(paging->ctx, table);
	if ((at & LOAM_PAGE_MASK) != 0 || at > ENTRY_ADDRESS ||
	    loam_host_phys_to_virt(at) != table) {
		loam_log(LOAM_LOG_ERROR,
			 "paging: a block at 0x%llx cannot be a page table: "
			 "this allocator does not serve here",
			 (unsigned long long)at);
		ops->free(paging->ctx, table);
		return NULL;
	}
	*phys = (uint32_t)at;
	return table;
}

/* Frees the tables of the first count entries, and the directory. */
static void paging_free_tables(struct loam_paging *paging, uint32_t *directory,
			       unsigned count)
{
	const struct loam_paging_ops *ops = paging->ops;
	while (count > 0) {
		count--;
		ops->free(paging->ctx, paging_table(directory[count]));
	}
	ops->free(paging->ctx, directory);
}

static bool paging_fill(struct loam_paging *paging, uint32_t *directory,
			uint32_t flags)
{
	uint32_t address = 0;
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		uint32_t phys;
		uint32_t *table = paging_zalloc_table(paging, &phys);
		if (table == NULL) {
			paging_free_tables(paging, directory, i);
			return false;
		}
		for (unsigned page = 0; page < TABLE_ENTRIES; page++) {
			table[page] = address | flags;
			address += PAGING_PAGE_SIZE;
		}
		directory[i] = phys | flags | PAGING_IS_WRITEABLE;
	}
	return true;
}

struct paging_4gb_chunk *loam_paging_new_4gb(struct loam_paging *paging,
					     uint8_t flags)
{
	uint32_t phys;
	if ((flags & ~PAGING_FLAGS_ALL) != 0) {
		loam_log(LOAM_LOG_ERROR, "paging: no such flags: 0x%x", flags);
		return NULL;
	}
	uint32_t *directory = paging_zalloc_table(paging, &phys);
	if (directory == NULL || !paging_fill(paging, directory, flags)) {
		return NULL;
	}
	struct paging_4gb_chunk *chunk =
		paging->ops->zalloc(paging->ctx, sizeof(*chunk));
	if (chunk == NULL) {
		paging_free_tables(paging, directory, TABLE_ENTRIES);
		return NULL;
	}
	chunk->directory_entry = directory;
	return chunk;
}

void loam_paging_free_4gb(struct loam_paging *paging,
			  struct paging_4gb_chunk *chunk)
{
	if (chunk == NULL) {
		return;
	}
	uint32_t *directory = chunk->directory_entry;
	if (directory == NULL || directory == paging->current) {
		loam_misuse(LOAM_CALLER(), "paging: free of chunk %p: %s",
			    (void *)chunk,
			    directory == NULL ? "it has no directory"
					      : "its directory is in use");
		return;
	}
	chunk->directory_entry = NULL;
	paging_free_tables(paging, directory, TABLE_ENTRIES);
	paging->ops->free(paging->ctx, chunk);
}

void loam_paging_switch(struct loam_paging *paging,
			const struct paging_4gb_chunk *chunk)
{
	if (chunk == NULL || chunk->directory_entry == NULL) {
		loam_misuse(LOAM_CALLER(),
			    "paging: switch to a chunk without a directory");
		return;
	}
	const struct loam_paging_ops *ops = paging->ops;
	loam_phys_t phys = ops->phys(paging->ctx, chunk->directory_entry);
	LOAM_VERIFY((phys & LOAM_PAGE_MASK) == 0 && phys <= ENTRY_ADDRESS);
	paging->current = chunk->directory_entry;
	ops->load_directory(paging->ctx, (uint32_t)phys);
}

/* -------- map and translate -------- */

/* The entry of a page, or an error. */
static int paging_find(const uint32_t *directory, uint32_t page,
		       uint32_t **entry)
{
	uint32_t leads = directory[page / TABLE_ENTRIES];
	if (paging_is_large(leads)) {
		return -LOAM_EPERM;
	}
	uint32_t *table = leads != 0 ? paging_table(leads) : NULL;
	if (table == NULL) {
		return -LOAM_ENOENT;
	}
	*entry = &table[page % TABLE_ENTRIES];
	return 0;
}

/* Whether every page of the range has an entry. */
static int paging_find_all(const uint32_t *directory, uint32_t page,
			   size_t count)
{
	uint32_t last = page + (uint32_t)(count - 1);
	for (uint32_t i = page / TABLE_ENTRIES; i <= last / TABLE_ENTRIES;
	     i++) {
		uint32_t *entry;
		int error = paging_find(directory, i * TABLE_ENTRIES, &entry);
		if (error != 0) {
			return error;
		}
	}
	return 0;
}

static void paging_flush(struct loam_paging *paging, uintptr_t virt,
			 size_t count)
{
	const struct loam_tlb_ops *tlb = paging->ops->tlb;
	if (tlb->flush_page == NULL || count > LOAM_TLB_FULL_THRESHOLD) {
		paging->stats.full++;
		tlb->flush_all(paging->ctx);
		return;
	}
	paging->stats.pages += count;
	for (; count > 0; count--) {
		tlb->flush_page(paging->ctx, virt);
		virt += PAGING_PAGE_SIZE;
	}
}

/* Whole pages from `address` on, none past 4 GiB. */
static bool paging_in_reach(uint64_t address, size_t count)
{
	uint64_t first = address / PAGING_PAGE_SIZE;
	return (address & LOAM_PAGE_MASK) == 0 && first <= LAST_PAGE &&
	       count <= LAST_PAGE + 1 - first;
}

int loam_paging_map(struct loam_paging *paging, uint32_t *directory,
		    uintptr_t virt, loam_phys_t phys, size_t count,
		    uint32_t flags)
{
	directory = paging_or_current(paging, directory);
	if (directory == NULL || (flags & ~PAGING_FLAGS_ALL) != 0 ||
	    !paging_in_reach(virt, count) || !paging_in_reach(phys, count)) {
		return -LOAM_EINVAL;
	}
	if (count == 0) {
		return 0;
	}
	uint32_t page = (uint32_t)(virt / PAGING_PAGE_SIZE);
	int error = paging_find_all(directory, page, count);
	if (error != 0) {
		return error;
	}
	uint32_t value = (uint32_t)phys | flags;
	size_t stale = 0;
	for (size_t i = 0; i < count; i++) {
		uint32_t *entry;
		error = paging_find(directory, page + (uint32_t)i, &entry);
		LOAM_VERIFY(error == 0);
		stale += (*entry & PAGING_IS_PRESENT) != 0;
		*(volatile uint32_t *)entry = value;
		value += PAGING_PAGE_SIZE;
	}
	if (directory == paging->current && stale != 0) {
		paging_flush(paging, virt, count);
	}
	paging->stats.not_needed += count - stale;
	return 0;
}

int loam_paging_translate(const struct loam_paging *paging,
			  const uint32_t *directory, uintptr_t virt,
			  loam_phys_t *phys)
{
	const uint32_t *root = directory != NULL ? directory : paging->current;
	if (root == NULL || (uint64_t)virt / PAGING_PAGE_SIZE > LAST_PAGE) {
		return -LOAM_EINVAL;
	}
	uint32_t address = (uint32_t)virt;
	uint32_t page = address / PAGING_PAGE_SIZE;
	uint32_t leads = root[page / TABLE_ENTRIES];
	if (paging_is_large(leads)) {
		*phys = (leads & LARGE_ADDRESS) | (address & ~LARGE_ADDRESS);
		return 0;
	}
	const uint32_t *table =
		(leads & PAGING_IS_PRESENT) != 0 ? paging_table(leads) : NULL;
	if (table == NULL ||
	    (table[page % TABLE_ENTRIES] & PAGING_IS_PRESENT) == 0) {
		return -LOAM_ENOENT;
	}
	*phys = (table[page % TABLE_ENTRIES] & ENTRY_ADDRESS) |
		(address & ~ENTRY_ADDRESS);
	return 0;
}

/* -------- check -------- */

int loam_paging_check(const struct loam_paging *paging,
		      const struct paging_4gb_chunk *chunk)
{
	const uint32_t *directory = chunk->directory_entry;
	(void)paging;
	LOAM_CHECK(directory != NULL);
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		uint32_t allowed = ENTRY_ADDRESS | PAGING_FLAGS_ALL | 0x20u;
		LOAM_CHECK((directory[i] & ~allowed) == 0);
		LOAM_CHECK((directory[i] & PAGING_IS_WRITEABLE) != 0);
		LOAM_CHECK(paging_table(directory[i]) != NULL);
		LOAM_CHECK(paging_table(directory[i]) != directory);
		for (unsigned j = 0; j < i; j++) {
			LOAM_CHECK(((directory[i] ^ directory[j]) &
				    ENTRY_ADDRESS) != 0);
		}
	}
	return 0;
}

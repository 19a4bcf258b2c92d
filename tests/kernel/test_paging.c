/* SPDX-License-Identifier: MIT */
/* The permanent page tables: what is mapped, what faults, what is flushed. */

#include <loam/bits.h>

#include "cpu.h"
#include "layout.h"
#include "ktest.h"
#include "machine.h"

static void touch_read(void *at)
{
	(void)*(volatile const unsigned char *)at;
}

/* Writes back what is there, so that a write that works changes nothing. */
static void touch_write(void *at)
{
	volatile unsigned char *byte = at;
	*byte = *byte;
}

static void expect_fault(void (*touch)(void *at), const void *at,
			 uint32_t error)
{
	struct trap_report report;

	EXPECT(trap_expect(touch, (void *)(uintptr_t)at, &report));
	EXPECT_EQ(report.vector, TRAP_PAGE_FAULT);
	EXPECT_EQ(report.address, (uintptr_t)at);
	EXPECT_EQ(report.error, error);
}

KTEST(paging_identity_gone, "S4.2 nothing is mapped below the kernel")
{
	struct loam_pt_mapping mapping;

	if (machine_is_identity()) {
		ktest_skip("in this layout the kernel is not above anything");
	}
	expect_fault(touch_read, (void *)(uintptr_t)KERNEL_LOAD, 0);
	expect_fault(touch_write, (void *)(uintptr_t)0x1000, 0);
	expect_fault(touch_read, NULL, 0);
	EXPECT_EQ(loam_pt_query(&kernel.pt, KERNEL_LOAD, &mapping),
		  -LOAM_ENOENT);
}

KTEST(paging_read_only, "S4.19 text and read-only data cannot be written")
{
	EXPECT((cpu_read_cr0() & CPU_CR0_WP) != 0);
	expect_fault(touch_write, text_start, TRAP_PF_PRESENT | TRAP_PF_WRITE);
	expect_fault(touch_write, rodata_start,
		     TRAP_PF_PRESENT | TRAP_PF_WRITE);
	touch_write(data_start);
}

/* Calls what is there: a return, and nothing else. */
static void touch_execute(void *at)
{
	void (*function)(void) = (void (*)(void))(uintptr_t)at;
	function();
}

KTEST(paging_no_execute, "S4.19 where the CPU can forbid it, data is not run")
{
	if (kernel.pt.geometry->no_execute == 0) {
		ktest_skip("this CPU, or this kernel, has no such bit");
	}
	unsigned char *pages[] = { kmalloc(64), vmalloc(64),
				   (unsigned char *)data_start };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(pages); i++) {
		EXPECT(pages[i] != NULL);
		unsigned char before = *pages[i];
		*pages[i] = 0xC3; /* ret */
		expect_fault(touch_execute, pages[i],
			     TRAP_PF_PRESENT | TRAP_PF_FETCH);
		*pages[i] = before;
	}
	kfree(pages[0]);
	vfree(pages[1]);
}

KTEST(paging_stack_guard, "S4.19 the page below the boot stack is not there")
{
	expect_fault(touch_read, boot_stack_guard, 0);
	expect_fault(touch_write, boot_stack_guard + LOAM_PAGE_MASK, 0);
	touch_read(boot_stack_bottom);
}

KTEST(paging_stack_overflow, "S4.19 a stack overflow arrives as a double fault")
{
	struct trap_report report;

	/* Twice: the fault task must be ready again. */
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(trap_expect(ktest_overflow_stack, NULL, &report));
		EXPECT_EQ(report.vector, TRAP_DOUBLE_FAULT);
		EXPECT(report.address - (uintptr_t)boot_stack_guard <
		       LOAM_PAGE_SIZE);
	}
}

/* -------- the whole map against the plan -------- */

/* The protection the plan gives to a page of the direct map; 0: none. */
static loam_prot_t plan_direct(loam_phys_t phys)
{
	uintptr_t virt = KERNEL_IMAGE_BASE + (uintptr_t)phys;

	for (unsigned i = 0; i < machine_segment_count; i++) {
		const struct loam_boot_segment *s = &machine_segments[i];
		size_t size = s->size != 0 ? s->size : LOAM_PAGE_SIZE;
		if (virt - s->virt < size &&
		    s->owner != LOAM_RESERVED_KERNEL_INIT) {
			return s->prot;
		}
	}
	if (phys < LOAM_MIB(1)) {
		return LOAM_PROT_READ | LOAM_PROT_WRITE;
	}
	for (uint32_t i = 0; i < kernel.memmap.count; i++) {
		const struct loam_mem_range *range = &kernel.memmap.ranges[i];
		bool memory = range->type == LOAM_MEM_USABLE ||
			      range->type == LOAM_MEM_ACPI_DATA ||
			      range->type == LOAM_MEM_ACPI_NVS;
		if (memory && range->base < phys + LOAM_PAGE_SIZE &&
		    phys < range->base + range->size) {
			return LOAM_PROT_READ | LOAM_PROT_WRITE;
		}
	}
	return machine_is_identity()
		       ? LOAM_PROT_READ | LOAM_PROT_WRITE | LOAM_PROT_UNCACHED
		       : 0;
}

/* Where the map of this machine ends in the direct map, and a bit more. */
static loam_phys_t plan_end(void)
{
	const struct loam_mem_range *last =
		&kernel.memmap.ranges[kernel.memmap.count - 1];
	loam_phys_t end = last->base + last->size + LOAM_MIB(4);
	loam_phys_t most = KERNEL_DIRECT_SIZE;

	return end < most ? end : most;
}

/*
 * The page to look at after this one. Beyond 1 GiB that is the 17th, so that
 * each is met sometimes, or the 4099th where nothing is to be, but no range of
 * the map is passed over.
 */
static loam_phys_t plan_next(loam_phys_t phys, bool planned)
{
	loam_phys_t next = phys + (planned ? 17 : 4099) * LOAM_PAGE_SIZE;

	if (phys < LOAM_GIB(1)) {
		return phys + LOAM_PAGE_SIZE;
	}
	for (uint32_t i = 0; i < kernel.memmap.count; i++) {
		loam_phys_t base = loam_round_up(kernel.memmap.ranges[i].base,
						 LOAM_PAGE_SIZE);
		if (base > phys && base < next) {
			next = base;
		}
	}
	return next;
}

KTEST(paging_direct_map, "S4.19 the direct map is the plan, page by page")
{
	const loam_prot_t looked_at =
		LOAM_PROT_WRITE | LOAM_PROT_USER | LOAM_PROT_UNCACHED;
	loam_phys_t end = plan_end();
	loam_prot_t planned;

	for (loam_phys_t phys = 0; phys < end;
	     phys = plan_next(phys, planned != 0)) {
		uintptr_t virt = PHYS_TO_VIRT((uintptr_t)phys);
		struct loam_pt_mapping mapping;
		int error = loam_pt_query(&kernel.pt, virt, &mapping);
		planned = plan_direct(phys);
		if (planned == 0) {
			EXPECT_EQ(error, -LOAM_ENOENT);
			continue;
		}
		EXPECT_EQ(error, 0);
		EXPECT_EQ(mapping.phys, phys);
		EXPECT_EQ(mapping.prot & looked_at, planned & looked_at);
	}
}

static int window_is_free(void *arg, uintptr_t start, size_t size,
			  enum loam_range_kind kind)
{
	uintptr_t virt = *(uintptr_t *)arg;
	return virt - start < size && kind == LOAM_RANGE_FREE;
}

static int visit_windows(void *arg, uintptr_t virt, size_t size,
			 loam_phys_t phys, loam_prot_t prot, size_t page_size)
{
	(void)prot;
	(void)page_size;
	unsigned *runs = arg;
	uintptr_t last = virt + size - LOAM_PAGE_SIZE;
	(*runs)++;
	if (virt < kernel.layout.direct_base) {
		return 1;
	}
	if (machine_is_identity() && phys == virt) {
		return 0;
	}
	if (virt - KERNEL_BASE < KERNEL_DIRECT_SIZE) {
		return 0;
	}
	if (KERNEL_IMAGE_BASE != KERNEL_BASE && virt >= (uintptr_t)init_end) {
		return last < (uintptr_t)init_bss_start ? 0 : 6;
	}
	if (virt - KERNEL_SHADOW_BASE < KERNEL_SHADOW_SIZE) {
		return 0;
	}
	const struct loam_page_window *heap = &kernel.heap_window;
	if (heap->size != 0 && virt - heap->base < heap->size) {
		return last - heap->base < heap->size ? 0 : 6;
	}
	if (virt - KERNEL_WINDOW_BASE >= KERNEL_WINDOW_SIZE) {
		/* No other heap is open, no temporary map is held. */
		return 3;
	}
	return loam_kspace_walk(&kernel.kspace, window_is_free, &virt) ||
			       loam_kspace_walk(&kernel.kspace, window_is_free,
						&last)
		       ? 4
		       : 0;
}

KTEST(paging_windows, "S4.19 outside the direct map only ranges are mapped")
{
	/* Memory may happen to go on across them, so that a run would too. */
	static const uintptr_t borders[] = {
		KERNEL_BASE + KERNEL_DIRECT_SIZE,
		KERNEL_HEAP_BASE,
		KERNEL_HEAP_BASE + KERNEL_HEAP_SIZE,
		KERNEL_WINDOW_BASE,
		KERNEL_WINDOW_BASE + KERNEL_WINDOW_SIZE,
		KERNEL_SHADOW_BASE + KERNEL_SHADOW_SIZE,
		KERNEL_TEMP_BASE,
		KERNEL_USER_END,
		KERNEL_SPACE_BASE,
	};
	const uintptr_t space_base = KERNEL_SPACE_BASE;
	unsigned runs = 0;
	void *block = vmalloc(LOAM_KIB(64));
	uintptr_t at = 0;

	EXPECT(block != NULL);
	do {
		/* The nearest border above, or the end of all addresses. */
		uintptr_t last = UINTPTR_MAX;
		for (unsigned i = 0; i < LOAM_ARRAY_SIZE(borders); i++) {
			uintptr_t border = borders[i] - 1;
			last = border >= at && border < last ? border : last;
		}
		if (at < KERNEL_USER_END || at >= space_base) {
			EXPECT_EQ(loam_pt_visit(&kernel.pt, at, last,
						visit_windows, &runs),
				  0);
		}
		at = last + 1;
	} while (at != 0);
	EXPECT(runs > 2);
	vfree(block);
}

/* Bytes that one entry of this level covers. */
static uintptr_t entry_span(unsigned level)
{
	return (uintptr_t)LOAM_PAGE_SIZE
	       << kernel.pt.geometry->span_shift[level];
}

static int visit_supervisor(void *arg, uintptr_t virt, size_t size,
			    loam_phys_t phys, loam_prot_t prot,
			    size_t page_size)
{
	(void)arg;
	(void)virt;
	(void)size;
	(void)phys;
	(void)page_size;
	return (prot & LOAM_PROT_USER) != 0;
}

KTEST(paging_supervisor, "S4.30 no mapping of the kernel's is the user's too")
{
	EXPECT_EQ(loam_pt_visit(&kernel.pt, 0, KERNEL_USER_END - 1,
				visit_supervisor, NULL),
		  0);
	EXPECT_EQ(loam_pt_visit(&kernel.pt, KERNEL_SPACE_BASE, UINTPTR_MAX,
				visit_supervisor, NULL),
		  0);
	/* Nor may a page become so by its entry in the root alone. */
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	uintptr_t span = entry_span(kernel.pt.geometry->levels - 1u);
	uintptr_t last = UINTPTR_MAX - (span - 1);
	for (uintptr_t at = machine_is_identity() ? 0 : KERNEL_SPACE_BASE;;
	     at += span) {
		loam_pt_walk(&kernel.pt, at, steps);
		EXPECT_EQ(steps[0].entry & kernel.pt.geometry->user, 0);
		if (at >= last) {
			return;
		}
	}
}

/* -------- LAYOUT=identity -------- */

static bool in_window(uintptr_t virt)
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;

	return virt - kspace->window_base < kspace->window_size ||
	       virt - kspace->temp_base < kspace->temp_size ||
	       virt - layout->shadow_base < layout->shadow_size ||
	       virt - layout->heap_base < layout->heap_size;
}

static void expect_identity(uintptr_t page)
{
	struct loam_pt_mapping mapping;
	int error = loam_pt_query(&kernel.pt, page, &mapping);

	if (in_window(page) || page == (uintptr_t)boot_stack_guard) {
		EXPECT(error != 0 || mapping.phys != page);
		return;
	}
	EXPECT_EQ(error, 0);
	EXPECT_EQ(mapping.phys, page);
}

KTEST(paging_identity, "S3.1 every address of 4 GiB is its physical one")
{
	uint32_t state = 0x10a3;

	if (!machine_is_identity()) {
		ktest_skip("this layout is not identity-mapped");
	}
	EXPECT((cpu_read_cr0() & CPU_CR0_PG) != 0);
	expect_identity(0);
	expect_identity(0xB8000u);
	expect_identity(0xFFFFF000u);
	for (unsigned i = 0; i < 1000; i++) {
		expect_identity(ktest_random(&state) & ~LOAM_PAGE_MASK);
	}
	/* The borders of the exceptions, and that these are nowhere else. */
	EXPECT(!in_window(KERNEL_WINDOW_BASE - 1));
	EXPECT(!in_window(KERNEL_HEAP_BASE + KERNEL_HEAP_SIZE));
	for (uintptr_t page = KERNEL_WINDOW_BASE;
	     page < KERNEL_HEAP_BASE + KERNEL_HEAP_SIZE;
	     page += LOAM_PAGE_SIZE) {
		expect_identity(page);
	}
}

/* Beyond 64 MiB every 17th page, and beyond 4 GiB one in each GiB. */
static uint64_t user_next(uint64_t at)
{
	if (at < LOAM_MIB(64)) {
		return at + LOAM_PAGE_SIZE;
	}
	return at + (at < LOAM_GIB(4) ? 17 * LOAM_PAGE_SIZE
				      : LOAM_GIB(1) + LOAM_PAGE_SIZE);
}

KTEST(paging_user_ranges, "S3.7 X.4 nobody has memory that a process hides")
{
	const struct loam_boot_layout *layout = &kernel.layout;

	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user = &layout->user[i];
		for (uint64_t at = 0; at < user->size; at = user_next(at)) {
			uintptr_t page = user->base + (uintptr_t)at;
			uintptr_t phys = VIRT_TO_PHYS(page);
			struct loam_pt_mapping mapping;
			if (loam_pt_query(&kernel.pt, page, &mapping) == 0) {
				EXPECT_EQ(mapping.prot & LOAM_PROT_GLOBAL, 0);
			}
			if (phys < KERNEL_DIRECT_SIZE) {
				EXPECT_EQ(loam_memblock_owner(&kernel.memblock,
							      phys),
					  LOAM_RESERVED_USER);
			} else {
				EXPECT(loam_host_phys_to_virt(page) !=
				       (void *)page);
			}
		}
	}
}

/* Every table of `level` and above that the range has need of is there. */
static void expect_tables(uintptr_t base, size_t size, unsigned level)
{
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	uintptr_t span = entry_span(level + 1);
	uintptr_t end = base + (size - 1);

	for (uintptr_t at = base; at - base <= end - base; at += span) {
		EXPECT(loam_pt_walk(&kernel.pt, at, steps) >=
		       kernel.pt.geometry->levels - level);
		if (end - at < span) {
			return;
		}
	}
}

KTEST(paging_tables_exist, "S0.10 S2.19 every table of the windows is there")
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;

	expect_tables(layout->heap_base, layout->heap_size, 0);
	expect_tables(kspace->window_base, kspace->window_size,
		      kspace->table_level);
	expect_tables(layout->shadow_base, layout->shadow_size,
		      kspace->table_level);
	expect_tables(kspace->temp_base, kspace->temp_size, 0);
}

KTEST(paging_growth, "S0.10 growing in the window leaves the directory alone")
{
	const uintptr_t *root = loam_host_phys_to_virt(kernel.pt.root);
	static uintptr_t before[LOAM_PAGE_SIZE / sizeof(uintptr_t)];
	size_t tables = loam_pt_count_tables(&kernel.pt);
	void *blocks[8];

	memcpy(before, root, sizeof(before));
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(blocks); i++) {
		blocks[i] = vmalloc(LOAM_KIB(20) << i);
	}
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(blocks); i++) {
		vfree(blocks[i]);
	}
	/* The CPU sets the accessed bit of an entry when it uses it. */
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(before); i++) {
		EXPECT_EQ((before[i] ^ root[i]) & ~kernel.pt.geometry->accessed,
			  0);
	}
	if (kernel.layout.kspace.table_level == 0) {
		EXPECT_EQ(loam_pt_count_tables(&kernel.pt), tables);
	}
}

/* -------- a second address space, for its cost -------- */

/* From below 16 MiB: an entry of 32 bits holds the address. */
static loam_phys_t scratch_alloc(void *ctx)
{
	(void)ctx;
	loam_pfn_t pfn = loam_frame_alloc(
		&kernel.frames, 0,
		LOAM_ZERO | LOAM_DMA | LOAM_OWNED_BY(LOAM_OWNER_TABLE));
	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

static void scratch_free(void *ctx, loam_phys_t table)
{
	(void)ctx;
	loam_frame_free(&kernel.frames, loam_phys_to_pfn(table), 0);
}

static void *scratch_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

static const struct loam_pt_ops scratch_ops = {
	.alloc_table = scratch_alloc,
	.free_table = scratch_free,
	.table_virt = scratch_virt,
};

KTEST(paging_cost, "S2.12 mapping n MiB takes ceil(n / 4) tables and a root")
{
	static const unsigned sizes_mib[] = { 1, 4, 5, 64 };
	uint64_t before = loam_frame_free_count(&kernel.frames);

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes_mib); i++) {
		unsigned mib = sizes_mib[i];
		struct loam_pt pt = { 0 };
		EXPECT_EQ(loam_pt_init(&pt, &loam_pt_i386, &scratch_ops,
				       &(struct loam_tlb_ops){ 0 }, NULL),
			  0);
		EXPECT_EQ(loam_pt_map(&pt, 0x40000000, 0, LOAM_MIB(mib),
				      LOAM_PROT_READ, false),
			  0);
		EXPECT_EQ(before - loam_frame_free_count(&kernel.frames),
			  (mib + 3) / 4 + 1);
		EXPECT_EQ(loam_pt_check(&pt), 0);
		loam_pt_fini(&pt);
		EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	}
}

/* -------- flushing -------- */

/* Has a page show one frame, then another, and looks whether it does. */
static void flush_rounds(const loam_pfn_t pfns[2])
{
	loam_prot_t prot = LOAM_PROT_READ | LOAM_PROT_WRITE;
	void *first = loam_kspace_vmap(&kernel.kspace, &pfns[0], 1, prot);

	for (unsigned round = 0; round < 8; round++) {
		volatile uint32_t *word = first;
		EXPECT(word != NULL);
		EXPECT_EQ(*word, pfns[round & 1u]);
		loam_kspace_vunmap(&kernel.kspace, first);
		expect_fault(touch_read, first, 0);
		void *next = loam_kspace_vmap(&kernel.kspace,
					      &pfns[(round + 1) & 1u], 1, prot);
		EXPECT_EQ((uintptr_t)next, (uintptr_t)first);
	}
	loam_kspace_vunmap(&kernel.kspace, first);
}

static void flush_with_policy(enum loam_tlb_policy policy)
{
	enum loam_tlb_policy kept = kernel.pt.policy;
	loam_pfn_t pfns[2];

	EXPECT_EQ(loam_frame_alloc_bulk(&kernel.frames, 2, pfns, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t *page =
			loam_host_phys_to_virt(loam_pfn_to_phys(pfns[i]));
		page[0] = pfns[i];
	}
	kernel.pt.policy = policy;
	flush_rounds(pfns);
	kernel.pt.policy = kept;
	loam_frame_free_bulk(&kernel.frames, 2, pfns);
}

KTEST(paging_flush_cr3, "S4.20 S3.33 X.6 tlb=cr3 flushes all, nothing is stale")
{
	struct loam_tlb_stats before = kernel.pt.stats;

	flush_with_policy(LOAM_TLB_CR3);
	EXPECT_EQ(kernel.pt.stats.full - before.full, 9);
	EXPECT_EQ(kernel.pt.stats.pages, before.pages);
	EXPECT(kernel.pt.stats.not_needed > before.not_needed);
}

KTEST(paging_flush_invlpg, "S4.20 S3.33 X.6 tlb=invlpg flushes single pages")
{
	struct loam_tlb_stats before = kernel.pt.stats;

	if (!cpu_features.invlpg) {
		ktest_skip("this CPU has no invlpg");
	}
	flush_with_policy(LOAM_TLB_INVLPG);
	EXPECT_EQ(kernel.pt.stats.full, before.full);
	EXPECT(kernel.pt.stats.pages - before.pages >= 9);
	EXPECT(kernel.pt.stats.not_needed > before.not_needed);
}

KTEST(paging_flush_auto, "S4.20 X.6 tlb=auto flushes all past the threshold")
{
	struct loam_tlb_stats before;
	enum loam_tlb_policy kept = kernel.pt.policy;

	if (!cpu_features.invlpg) {
		ktest_skip("this CPU has no invlpg");
	}
	kernel.pt.policy = LOAM_TLB_AUTO;
	void *small = vmalloc(LOAM_PAGE_SIZE * 2);
	void *large = vmalloc(LOAM_PAGE_SIZE * (LOAM_TLB_FULL_THRESHOLD + 8));
	before = kernel.pt.stats;
	vfree(small);
	uint64_t pages = kernel.pt.stats.pages - before.pages;
	uint64_t full = kernel.pt.stats.full - before.full;
	vfree(large);
	kernel.pt.policy = kept;
	EXPECT(large != NULL && small != NULL);
	EXPECT_EQ(full, 0);
	EXPECT_EQ(pages, 2);
	EXPECT_EQ(kernel.pt.stats.full - before.full, 1);
}

KTEST(paging_device, "device ranges keep their offset and leave no trace")
{
	/* The BIOS's reset vector, at the end of the first MiB. */
	const unsigned char *at = loam_kspace_map_phys(&kernel.kspace, 0xFFFF5,
						       8, LOAM_PROT_READ);
	const unsigned char *direct =
		(const unsigned char *)PHYS_TO_VIRT(0xFFFF5u);

	EXPECT(at != NULL);
	EXPECT_EQ((uintptr_t)at & LOAM_PAGE_MASK, 0xFF5);
	EXPECT_EQ(memcmp(at, direct, 8), 0);
	loam_kspace_unmap_phys(&kernel.kspace, (void *)(uintptr_t)at);
	expect_fault(touch_read, at, 0);
}

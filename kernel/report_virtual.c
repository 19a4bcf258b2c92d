/* SPDX-License-Identifier: MIT */
/* Tables of the kernel's address space, and what a single address is. */

#include <loam/bits.h>
#include <loam/mem.h>

#include "console.h"
#include "kernel.h"
#include "layout.h"
#include "machine.h"
#include "report.h"

typedef unsigned long long ull;

/* Columns of an address as %p prints it. */
#define VIRTUAL_WIDTH (2 + 2 * (int)sizeof(uintptr_t))

static const char *const range_kinds[] = {
	[LOAM_RANGE_FREE] = "free",         [LOAM_RANGE_VMALLOC] = "vmalloc",
	[LOAM_RANGE_VMAP] = "vmap",         [LOAM_RANGE_DEVICE] = "device",
	[LOAM_RANGE_RESERVED] = "reserved", [LOAM_RANGE_KMALLOC] = "kmalloc",
};

static const char *const owner_names[LOAM_OWNER_COUNT] = {
	[LOAM_OWNER_NONE] = "nobody in particular",
	[LOAM_OWNER_TABLE] = "page table",
	[LOAM_OWNER_SLAB] = "slab",
	[LOAM_OWNER_META] = "metadata",
	[LOAM_OWNER_KMALLOC] = "kmalloc",
	[LOAM_OWNER_VMALLOC] = "vmalloc",
	[LOAM_OWNER_HEAP] = "heap",
	[LOAM_OWNER_USER] = "user",
	[LOAM_OWNER_STACK] = "stack",
};

/* "rwxu gc": what a mapping allows, and how. */
static const char *prot_text(char to[8], loam_prot_t prot)
{
	to[0] = (prot & LOAM_PROT_READ) != 0 ? 'r' : '-';
	to[1] = (prot & LOAM_PROT_WRITE) != 0 ? 'w' : '-';
	to[2] = (prot & LOAM_PROT_EXEC) != 0 ? 'x' : '-';
	to[3] = (prot & LOAM_PROT_USER) != 0 ? 'u' : '-';
	to[4] = (prot & LOAM_PROT_GLOBAL) != 0 ? 'g' : '-';
	to[5] = (prot & LOAM_PROT_UNCACHED) != 0 ? 'n' : '-';
	to[6] = '\0';
	return to;
}

static void print_virtual_row(uintptr_t start, size_t size, const char *prot,
			      const char *what)
{
	char text[16];

	kprintf("  %p  %p  %10s  %-6s  %s\n", (void *)start,
		(void *)(start + size - 1), loam_format_size(text, size), prot,
		what);
}

static int print_range(void *arg, uintptr_t start, size_t size,
		       enum loam_range_kind kind)
{
	(void)arg;
	print_virtual_row(start, size, "", range_kinds[kind]);
	return 0;
}

/* What the user has at each of the layout's ranges. */
static const char *report_user_range(unsigned index)
{
	static const char *const names[LOAM_BOOT_USER_RANGES] = {
		"a process's stack",
		"a process's program",
		"a process's brk and maps",
	};
	return names[index];
}

void report_identity(void)
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;
	const struct {
		uintptr_t base;
		size_t size;
		const char *name;
	} windows[] = {
		{ kspace->window_base, kspace->window_size, "vmalloc" },
		{ layout->shadow_base, layout->shadow_size, "slabs' shadow" },
		{ kspace->temp_base, kspace->temp_size, "temporary maps" },
		{ layout->heap_base, layout->heap_size, "heaps" },
	};

	kprintf("identity: every address is its physical one, but for\n");
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(windows); i++) {
		if (windows[i].size != 0) {
			kprintf("  0x%08zx-0x%08zx %s\n",
				(size_t)windows[i].base,
				(size_t)(windows[i].base + windows[i].size - 1),
				windows[i].name);
		}
	}
}

static void report_segments(void)
{
	char prot[8];

	for (unsigned i = 0; i < machine_segment_count; i++) {
		const struct loam_boot_segment *s = &machine_segments[i];
		size_t size = s->size != 0 ? s->size : LOAM_PAGE_SIZE;
		print_virtual_row(s->virt, size,
				  s->owner == LOAM_RESERVED_KERNEL_INIT
					  ? "(gone)"
					  : prot_text(prot, s->prot),
				  s->name);
	}
}

void report_ranges(void)
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;

	kprintf("\nkernel address map\n");
	kprintf("  %-*s  %-*s  %10s  access  use\n", VIRTUAL_WIDTH, "first",
		VIRTUAL_WIDTH, "last", "size");
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user = &layout->user[i];
		print_virtual_row(user->base, user->size, "",
				  report_user_range(i));
	}
	print_virtual_row(layout->direct_base, layout->direct_size, "rw----",
			  KERNEL_IMAGE_BASE == KERNEL_BASE
				  ? "direct map; in it, the kernel:"
				  : "direct map");
	if (KERNEL_IMAGE_BASE == KERNEL_BASE) {
		report_segments();
	}
	print_virtual_row(layout->heap_base, layout->heap_size, "",
			  "windows of classic heaps");
	print_virtual_row(kspace->window_base, kspace->window_size, "",
			  "main window; in it:");
	loam_kspace_walk(&kernel.kspace, print_range, NULL);
	print_virtual_row(layout->shadow_base, layout->shadow_size, "",
			  "shadow of the slabs' objects");
	print_virtual_row(kspace->temp_base, kspace->temp_size, "",
			  "temporary maps");
	if (layout->map_end != 0) {
		report_identity();
	}
	if (KERNEL_IMAGE_BASE != KERNEL_BASE) {
		report_segments();
	}
	kprintf("access: r read, w write, x execute, u user, g global, n not "
		"cached\n");
	kprintf("translations: %llu changes needed no flush, %llu pages and "
		"%llu times all flushed\n",
		(ull)kernel.pt.stats.not_needed, (ull)kernel.pt.stats.pages,
		(ull)kernel.pt.stats.full);
}

/* A row that may still grow: pages that show one frame over and over. */
struct mapping_row {
	uintptr_t virt;
	size_t size;
	loam_phys_t phys;
	loam_prot_t prot;
	size_t page_size;
	bool repeated;
};

static void print_mapping(const struct mapping_row *row)
{
	char text[8];
	char bytes[16];
	char page[16];

	if (row->size == 0) {
		return;
	}
	kprintf("  %p  %p  %10s  %-6s  0x%010llx  %s%s\n", (void *)row->virt,
		(void *)(row->virt + row->size - 1),
		loam_format_size(bytes, row->size), prot_text(text, row->prot),
		(ull)row->phys, loam_format_size(page, row->page_size),
		row->repeated ? ", all one frame" : "");
}

static int gather_mapping(void *arg, uintptr_t virt, size_t size,
			  loam_phys_t phys, loam_prot_t prot, size_t page_size)
{
	struct mapping_row *row = arg;

	if (size == LOAM_PAGE_SIZE && row->size != 0 &&
	    row->virt + row->size == virt && row->phys == phys &&
	    row->prot == prot &&
	    (row->repeated || row->size == LOAM_PAGE_SIZE)) {
		row->size += size;
		row->repeated = true;
		return 0;
	}
	print_mapping(row);
	*row = (struct mapping_row){ virt, size, phys, prot, page_size, false };
	return 0;
}

void report_mappings(void)
{
	kprintf("  %-*s  %-*s  %10s  access  %-12s  pages\n", VIRTUAL_WIDTH,
		"first", VIRTUAL_WIDTH, "last", "size", "physical");
	struct mapping_row row = { .size = 0 };
	loam_pt_visit(&kernel.pt, 0, KERNEL_USER_END - 1, gather_mapping, &row);
	loam_pt_visit(&kernel.pt, KERNEL_SPACE_BASE, UINTPTR_MAX,
		      gather_mapping, &row);
	print_mapping(&row);
}

static const char *entry_flags(char to[40], uint64_t entry)
{
	const struct loam_pt_geometry *g = kernel.pt.geometry;
	const struct {
		uint64_t bit;
		const char *name;
	} flags[] = {
		{ g->writable, " write" },        { g->user, " user" },
		{ g->write_through, " through" }, { g->uncached, " uncached" },
		{ g->accessed, " accessed" },     { g->dirty, " dirty" },
		{ g->large, " large" },           { g->global, " global" },
		{ g->no_execute, " nx" },
	};
	size_t length = 0;

	to[0] = '\0';
	if ((entry & g->present) == 0) {
		return " not present";
	}
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(flags); i++) {
		if ((entry & flags[i].bit) != 0 && length < 39) {
			length += (size_t)loam_snprintf(
				to + length, 40 - length, "%s", flags[i].name);
		}
	}
	return to;
}

static void describe_frame(char to[96], loam_phys_t phys)
{
	struct loam_frame_info info;
	enum loam_reservation owner;

	owner = loam_memblock_owner(&kernel.memblock, phys);
	if (owner != LOAM_RESERVED_NONE) {
		loam_snprintf(to, 96, "%s", loam_reservation_name(owner));
		return;
	}
	if (phys >= kernel.layout.reach_end ||
	    loam_frame_info(&kernel.frames, loam_phys_to_pfn(phys), &info) !=
		    0) {
		loam_snprintf(to, 96, "no page frame");
		return;
	}
	if (info.state == LOAM_TAG_USED || info.state == LOAM_TAG_SLAB) {
		loam_snprintf(to, 96, "used by %s, block of 2^%u at 0x%08llx",
			      info.state == LOAM_TAG_SLAB
				      ? owner_names[LOAM_OWNER_SLAB]
				      : owner_names[info.owner],
			      info.order, (ull)loam_pfn_to_phys(info.head));
		return;
	}
	loam_snprintf(to, 96, "free%s",
		      info.untouched                  ? ", never used"
		      : kernel.choice.list_frames     ? ", on the list"
		      : info.state == LOAM_TAG_CACHED ? ", in a CPU's stack"
						      : "");
}

/* What lies behind a page of a process: its frame. */
static const char *describe_page(char to[96], loam_phys_t phys)
{
	describe_frame(to, phys);
	return to;
}

void report_walk_of(const struct loam_pt *pt, uintptr_t virt)
{
	struct loam_pt_step steps[LOAM_PT_MAX_LEVELS];
	struct loam_pt_mapping mapping;
	char text[96];
	char flags[40];

	kprintf("walk of %p\n", (void *)virt);
	unsigned count = loam_pt_walk(pt, virt, steps);
	for (unsigned i = 0; i < count; i++) {
		kprintf("  level %u  table 0x%08llx  entry %4u  0x%08llx%s\n",
			steps[i].level, (ull)steps[i].table,
			(unsigned)steps[i].index, (ull)steps[i].entry,
			entry_flags(flags, steps[i].entry));
	}
	if (loam_pt_query(pt, virt, &mapping) != 0) {
		kprintf("  not mapped: %s\n", report_describe(text, virt));
	} else {
		kprintf("  physical 0x%08llx, %s\n", (ull)mapping.phys,
			(mapping.prot & LOAM_PROT_USER) != 0
				? describe_page(text, mapping.phys)
				: report_describe(text, virt));
	}
}

void report_walk(uintptr_t virt)
{
	if (kernel.pt.ops == NULL || !kernel.pt.live) {
		kprintf("walk of %p: the temporary directory is in use\n",
			(void *)virt);
		return;
	}
	report_walk_of(&kernel.pt, virt);
}

/* The range of the main window that holds an address. */
struct range_search {
	uintptr_t address;
	uintptr_t start;
	size_t size;
	enum loam_range_kind kind;
};

static int range_match(void *arg, uintptr_t start, size_t size,
		       enum loam_range_kind kind)
{
	struct range_search *search = arg;

	if (search->address - start >= size) {
		return 0;
	}
	search->start = start;
	search->size = size;
	search->kind = kind;
	return 1;
}

static void describe_window(char to[96], uintptr_t virt)
{
	struct range_search search = { .address = virt };

	if (loam_kspace_walk(&kernel.kspace, range_match, &search) == 0) {
		loam_snprintf(to, 96, "main window");
		return;
	}
	loam_snprintf(to, 96, "%s range of %zu KiB at %p",
		      range_kinds[search.kind], search.size >> 10,
		      (void *)search.start);
}

/* True if a process has its own pages there. */
static bool describe_user(char to[96], uintptr_t virt)
{
	const struct loam_boot_layout *layout = &kernel.layout;

	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		if (virt - layout->user[i].base < layout->user[i].size) {
			loam_snprintf(to, 96, "%s", report_user_range(i));
			return true;
		}
	}
	return false;
}

const char *report_describe(char to[96], uintptr_t virt)
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;

	for (unsigned i = 0; i < machine_segment_count; i++) {
		const struct loam_boot_segment *s = &machine_segments[i];
		size_t size = s->size != 0 ? s->size : LOAM_PAGE_SIZE;
		if (virt - s->virt < size &&
		    s->owner != LOAM_RESERVED_KERNEL_INIT) {
			loam_snprintf(to, 96, "kernel %s", s->name);
			return to;
		}
	}
	if (loam_slab_describe(&kernel.slabs, (const void *)virt, to, 96)) {
		return to;
	}
	if (kernel.choice.heap != LOAM_BOOT_SLAB &&
	    virt - (uintptr_t)kernel.heap.start < kernel.heap.size_bytes) {
		loam_kmalloc_describe(&kernel.kmalloc, (const void *)virt, to,
				      96);
		return to;
	}
	if (virt - layout->heap_base < layout->heap_size) {
		return "windows of classic heaps";
	} else if (virt - kspace->window_base < kspace->window_size) {
		describe_window(to, virt);
	} else if (virt - layout->shadow_base < layout->shadow_size) {
		return "shadow of the slabs' objects";
	} else if (virt - kspace->temp_base < kspace->temp_size) {
		return "temporary maps";
	} else if (describe_user(to, virt)) {
		return to;
	} else if (virt - layout->direct_base <
		   (layout->map_end != 0 ? layout->map_end
					 : layout->direct_size)) {
		describe_frame(to, virt - layout->direct_base);
	} else {
		return "nothing's addresses";
	}
	return to;
}

void report_owner(uint64_t address)
{
	struct loam_pt_mapping mapping;
	char text[96];

	describe_frame(text, address);
	kprintf("physical 0x%08llx: %s in the map; %s\n", (ull)address,
		loam_memmap_type_name(
			loam_memmap_type_at(&kernel.memmap, address)),
		text);
	if (address < kernel.layout.direct_base || address > UINTPTR_MAX) {
		return;
	}
	int error = loam_pt_query(&kernel.pt, (uintptr_t)address, &mapping);
	if (error == 0 && mapping.phys == address) {
		return; /* in the identity map they are one and the same */
	}
	kprintf("virtual  0x%08llx: %s", (ull)address,
		report_describe(text, (uintptr_t)address));
	if (error == 0) {
		describe_frame(text, mapping.phys);
		kprintf("; physical 0x%08llx, %s\n", (ull)mapping.phys, text);
	} else {
		kprintf("; not mapped\n");
	}
}

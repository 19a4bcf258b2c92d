/* SPDX-License-Identifier: MIT */
/* Bring-up: the floors, one after the other, on whatever machine this is. */

/*
 * The order is that of the fourth seed document, and each step owns the memory
 * until it hands all of it to the next:
 *
 *   1, 2  temporary page tables, higher half      the machine's own code
 *   3     the firmware's entries -> normalised map
 *   4     the map -> memblock, which first sets aside what is taken: frame 0,
 *         the adapter window, the kernel, what the loader left
 *   5     memblock -> page frames (memblock is sealed)
 *   6     frames -> permanent page tables: the direct map with the kernel's
 *         segments cut out of it by their own protection, and empty tables for
 *         every window, so that all address spaces can share them
 *   7     frames and page tables -> kernel address space, slabs, kmalloc
 *   8     the first allocation
 *
 * Until step 6 is done only physical memory below the machine's early_end can
 * be touched, so everything allocated until then lies below it.
 *
 * This file knows no CPU: what differs between machines is in the
 * loam_boot_machine it is given, and the hosted tests give it an emulated one.
 *
 * Nothing here panics for lack of memory: the caller gets a sentence.
 */
#include "boot_int.h"

/* Addresses that PC firmware and adapters own whatever the map says. */
#define ADAPTERS_BASE 0xA0000u
#define ADAPTERS_SIZE 0x60000u

/*
 * pages=xv6: frames that the first step has at least, beside the tables of a
 * map of everything in small pages, and where it ends.
 */
#define BOOT_LIST_LEAST 256u
#define BOOT_LIST_STEP LOAM_MIB(4)

static void boot_step(struct loam_kernel *kernel,
		      const struct loam_boot_machine *machine,
		      enum loam_boot_step step, const char *text)
{
	if (machine->clock != NULL) {
		kernel->step_clock[step] = machine->clock(machine->ctx);
	}
	machine->step(machine->ctx, step, text);
}

/* -------- step 3: the map -------- */

static int boot_map(struct loam_kernel *kernel,
		    const struct loam_boot_machine *machine,
		    struct loam_mem_range *ranges, uint32_t range_capacity,
		    const char **why)
{
	struct loam_boot_info *info = &kernel->info;
	struct loam_memmap *map = &kernel->memmap;
	loam_memmap_init(map, ranges, range_capacity);
	/* What is wrong with single entries is logged; the rest is used. */
	(void)loam_memmap_add_e820(map, info->entries, info->entry_count,
				   sizeof(info->entries[0]), NULL);
	(void)loam_memmap_normalise(map);
	if (loam_memmap_usable_frames(map) == 0) {
		*why = info->entry_count == 0
			       ? "the firmware gave no memory map"
			       : "the firmware's map has no usable memory";
		return -LOAM_ENOMEM;
	}
	char size[16];
	char text[96];
	loam_format_size(size, loam_memmap_usable_frames(map)
				       << LOAM_PAGE_SHIFT);
	loam_snprintf(text, sizeof(text), "map parsed: %u entries, %s usable",
		      info->entry_count, size);
	boot_step(kernel, machine, LOAM_BOOT_MAP, text);
	return 0;
}

/*
 * Windows of addresses cost page tables, 1 KiB a MiB on i386, so they are cut
 * to what the memory there is could ever fill: a machine of 5 MiB must not
 * spend a sixth of it on tables for 500 MiB of addresses.
 */
static void boot_scale_windows(struct loam_kernel *kernel)
{
	struct loam_boot_layout *layout = &kernel->layout;
	uint64_t ram = loam_memmap_usable_frames(&kernel->memmap)
		       << LOAM_PAGE_SHIFT;
	uint64_t extra = ram < LOAM_MIB(16)    ? LOAM_MIB(16)
			 : ram > LOAM_MIB(128) ? LOAM_MIB(128)
					       : ram;
	uint64_t window = loam_round_up(ram + extra, LOAM_MIB(4));
	/* Where tables come with what is mapped, addresses cost nothing. */
	if (layout->kspace.table_level == 0 &&
	    window < layout->kspace.window_size) {
		layout->kspace.window_size = (size_t)window;
	}
	loam_boot_heap_scale(kernel, ram);
	loam_boot_scale_user(kernel, ram);
	/* One byte of shadow for 16 of the directly mapped memory there is. */
	uint64_t covered = loam_memmap_max_usable_pfn(&kernel->memmap)
			   << LOAM_PAGE_SHIFT;
	covered = covered < layout->direct_size ? covered : layout->direct_size;
	/* A window of large pages ends with a whole one. */
	uint64_t shadow = loam_round_up(
		covered >> LOAM_SHADOW_SHIFT,
		layout->kspace.table_level == 0 ? LOAM_PAGE_SIZE : LOAM_MIB(2));
	LOAM_VERIFY(shadow <= layout->shadow_size);
	layout->shadow_size = (size_t)shadow;
}

/* -------- step 4: memblock -------- */

/*
 * Reserves what of [base, base + size) nobody has reserved yet: loader data
 * may share a frame with the kernel's image or with other loader data.
 */
int loam_boot_reserve_rest(struct loam_memblock *memblock, loam_phys_t base,
			   loam_phys_t size, enum loam_reservation owner)
{
	loam_phys_t end;
	if (size == 0 || __builtin_add_overflow(base, size, &end) ||
	    end > LOAM_PHYS_NONE - LOAM_PAGE_MASK) {
		return size == 0 ? 0 : -LOAM_EINVAL;
	}
	end = loam_round_up(end, LOAM_PAGE_SIZE);
	loam_phys_t at = loam_round_down(base, LOAM_PAGE_SIZE);
	while (at < end) {
		loam_phys_t run = at;
		while (run < end && loam_memblock_owner(memblock, run) ==
					    LOAM_RESERVED_NONE) {
			run += LOAM_PAGE_SIZE;
		}
		if (run > at) {
			int error = loam_memblock_reserve(memblock, at,
							  run - at, owner);
			if (error != 0) {
				return error;
			}
		}
		at = run + LOAM_PAGE_SIZE;
	}
	return 0;
}

static int reserve_all(struct loam_kernel *kernel,
		       const struct loam_boot_machine *machine)
{
	struct loam_memblock *memblock = &kernel->memblock;
	int error = loam_memblock_reserve(memblock, 0, LOAM_PAGE_SIZE,
					  LOAM_RESERVED_FRAME_ZERO);
	if (error == 0) {
		error = loam_memblock_reserve(memblock, ADAPTERS_BASE,
					      ADAPTERS_SIZE,
					      LOAM_RESERVED_FIRMWARE);
	}
	for (unsigned i = 0; i < machine->segment_count && error == 0; i++) {
		const struct loam_boot_segment *segment = &machine->segments[i];
		loam_phys_t phys =
			loam_boot_segment_phys(machine->layout, segment);
		/* A guard page has a frame too, which must not be used. */
		size_t size =
			segment->size != 0 ? segment->size : LOAM_PAGE_SIZE;
		error = loam_memblock_reserve(
			memblock, phys, size,
			(enum loam_reservation)segment->owner);
	}
	if (error == 0) {
		error = loam_boot_reserve_user(kernel);
	}
	for (uint32_t i = 0; i < kernel->info.reserved_count && error == 0;
	     i++) {
		const struct loam_boot_range *range = &kernel->info.reserved[i];
		/* One that is moved is given back with what boot needed. */
		uint32_t owner = loam_boot_module_hidden(&kernel->layout, range)
					 ? LOAM_RESERVED_BOOT_INFO
					 : range->owner;
		error = loam_boot_reserve_rest(memblock, range->base,
					       range->size,
					       (enum loam_reservation)owner);
	}
	if (error == 0) {
		error = loam_boot_heap_reserve(kernel);
	}
	return error == 0 ? loam_boot_move_modules(kernel, machine) : error;
}

/* Permanent memory for `bytes`, and a copy of `from` in it. */
static void *keep_copy(struct loam_kernel *kernel,
		       const struct loam_boot_machine *machine,
		       const void *from, size_t bytes)
{
	loam_phys_t phys = loam_memblock_alloc(
		&kernel->memblock, bytes, sizeof(uint64_t), 0,
		machine->early_end, LOAM_BOTTOM_UP, LOAM_RESERVED_MEMBLOCK);
	if (phys == LOAM_PHYS_NONE) {
		return NULL;
	}
	return memcpy(loam_host_phys_to_virt(phys), from, bytes);
}

/* The map and the firmware's entries move out of reclaimable storage. */
static int keep_maps(struct loam_kernel *kernel,
		     const struct loam_boot_machine *machine)
{
	struct loam_memmap *map = &kernel->memmap;
	struct loam_boot_info *info = &kernel->info;
	/* The least that a map may have is what the copy has at least. */
	uint32_t capacity = map->count < 4 ? 4 : map->count;
	void *ranges = keep_copy(kernel, machine, map->ranges,
				 capacity * sizeof(map->ranges[0]));
	if (ranges == NULL) {
		return -LOAM_ENOMEM;
	}
	map->ranges = ranges;
	map->capacity = capacity;
	if (info->entry_count == 0) {
		return 0;
	}
	void *entries = keep_copy(kernel, machine, info->entries,
				  info->entry_count * sizeof(info->entries[0]));
	if (entries == NULL) {
		return -LOAM_ENOMEM;
	}
	info->entries = entries;
	info->entry_capacity = info->entry_count;
	return 0;
}

static int boot_memblock(struct loam_kernel *kernel,
			 const struct loam_boot_machine *machine,
			 const char **why)
{
	struct loam_memblock *memblock = &kernel->memblock;
	loam_memblock_init(memblock, kernel->regions, LOAM_BOOT_REGIONS);
	int error = loam_memblock_adopt(memblock, &kernel->memmap);
	if (error == 0) {
		error = reserve_all(kernel, machine);
	}
	if (error == 0) {
		error = keep_maps(kernel, machine);
	}
	if (error != 0) {
		*why = error == -LOAM_ENOMEM
			       ? "too little memory for the boot allocator"
			       : "what must be reserved collides: see the log";
		return error;
	}
	char size[16];
	char text[96];
	loam_format_size(size, loam_memblock_free_bytes(memblock));
	loam_snprintf(text, sizeof(text), "memblock: %s free, %u reservations",
		      size, memblock->count);
	boot_step(kernel, machine, LOAM_BOOT_MEMBLOCK, text);
	return 0;
}

/* -------- step 5: frames -------- */

/*
 * pages=xv6, kinit1: the first 4 MiB, which bring-up makes its page tables of
 * (S2.10); more, if loader data has filled them.
 */
static void boot_list_begin(struct loam_kernel *kernel,
			    const struct loam_boot_machine *machine, char *text,
			    size_t text_bytes)
{
	const struct loam_memblock *memblock = &kernel->memblock;
	loam_phys_t end = 0;
	uint64_t room = 0;
	uint64_t least = BOOT_LIST_LEAST;
	if (machine->geometry->large_levels == 0) {
		unsigned shift =
			LOAM_PAGE_SHIFT + machine->geometry->index_bits[0];
		least += kernel->layout.map_end >> shift;
	}
	while (room < least && end < machine->early_end) {
		uint64_t pfn = 0;
		uint64_t count = 0;
		end += BOOT_LIST_STEP;
		room = 0;
		while (loam_memblock_next_free(memblock, &pfn, &count) &&
		       pfn < end >> LOAM_PAGE_SHIFT) {
			uint64_t left = (end >> LOAM_PAGE_SHIFT) - pfn;
			room += count < left ? count : left;
			pfn += count;
		}
	}
	long first = loam_frame_list_begin(&kernel->frames, end);
	LOAM_VERIFY(first >= 0);
	kernel->list_first = (uint64_t)first;
	loam_snprintf(text, text_bytes,
		      "page list: %ld frames of the first %llu MiB", first,
		      (unsigned long long)end >> 20);
}

/* kinit2: the rest. Says what cannot be had from here on. */
static void boot_list_rest(struct loam_kernel *kernel)
{
	kernel->list_rest = (uint64_t)loam_frame_list_rest(&kernel->frames);
	loam_log(LOAM_LOG_INFO,
		 "page list: %llu frames more; single frames only, so slabs "
		 "have one each, and blocks of more than a page lie in the "
		 "vmalloc window; high memory stays with the buddy",
		 (unsigned long long)kernel->list_rest);
}

/* The largest free run of the memory that can be touched by now, in bytes. */
static size_t boot_largest_run(const struct loam_kernel *kernel,
			       const struct loam_boot_machine *machine)
{
	uint64_t limit = machine->early_end >> LOAM_PAGE_SHIFT;
	uint64_t largest = 0;
	uint64_t pfn = 0;
	uint64_t count = 0;
	while (loam_memblock_next_free(&kernel->memblock, &pfn, &count) &&
	       pfn < limit) {
		uint64_t run = count < limit - pfn ? count : limit - pfn;
		largest = run > largest ? run : largest;
		pfn += count;
	}
	return (size_t)(largest << LOAM_PAGE_SHIFT);
}

/*
 * Frames need descriptors, and all of these must lie where the kernel has its
 * own memory. On i386 with PAE there may be far more of the former than fits
 * into the latter; and a map may have its last frame anywhere. What the
 * descriptors of 7/8 of that memory cannot tell of is left out.
 */
static void boot_cut_reach(struct loam_kernel *kernel,
			   const struct loam_boot_machine *machine)
{
	struct loam_boot_layout *layout = &kernel->layout;
	const loam_phys_t chunk = (loam_phys_t)LOAM_CHUNK_FRAMES
				  << LOAM_PAGE_SHIFT;
	size_t most = boot_largest_run(kernel, machine) / 8 * 7;
	loam_phys_t reach =
		(loam_phys_t)(most / (size_t)loam_frame_metadata_bytes(1)) *
		chunk;
	loam_phys_t end = loam_memmap_max_usable_pfn(&kernel->memmap)
			  << LOAM_PAGE_SHIFT;
	if (reach >= machine->early_end && reach < layout->reach_end &&
	    reach < end) {
		layout->reach_end = reach;
		loam_log(LOAM_LOG_WARNING,
			 "memory from 0x%llx on is not used: there is no room "
			 "for the descriptors of its frames",
			 (unsigned long long)reach);
	}
	uint64_t pfn = 0;
	uint64_t count = 0;
	uint64_t reach_pfn = layout->reach_end >> LOAM_PAGE_SHIFT;
	while (loam_memmap_next_usable(&kernel->memmap, &pfn, &count)) {
		uint64_t last = pfn + count;
		if (last > reach_pfn) {
			uint64_t first = pfn > reach_pfn ? pfn : reach_pfn;
			kernel->unreachable_bytes += (last - first)
						     << LOAM_PAGE_SHIFT;
		}
		pfn = last;
	}
}

static int boot_frames(struct loam_kernel *kernel,
		       const struct loam_boot_machine *machine,
		       const char **why)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	boot_cut_reach(kernel, machine);
	loam_phys_t before = kernel->memblock.allocated_bytes;
	const struct loam_topology *topology =
		machine->topology != NULL ? machine->topology(machine->ctx)
					  : NULL;
	int error = loam_frame_adopt_nodes(&kernel->frames, &kernel->memblock,
					   layout->dma_end, layout->direct_size,
					   layout->reach_end, topology);
	if (error != 0) {
		*why = "too little memory for the page frame descriptors";
		return error;
	}
	kernel->metadata_bytes = kernel->memblock.allocated_bytes - before;
	char size[16];
	char text[96];
	loam_format_size(size, kernel->metadata_bytes);
	loam_snprintf(
		text, sizeof(text), "buddy: %llu free frames, %s of metadata",
		(unsigned long long)loam_frame_free_count(&kernel->frames),
		size);
	if (kernel->choice.list_frames) {
		boot_list_begin(kernel, machine, text, sizeof(text));
	}
	boot_step(kernel, machine, LOAM_BOOT_BUDDY, text);
	return 0;
}

/* -------- steps 7 and 8 -------- */

static bool boot_reclaim_frames(void *arg)
{
	struct loam_kernel *kernel = arg;
	return loam_slab_shrink_all(&kernel->slabs) != 0;
}

static int boot_slabs(struct loam_kernel *kernel)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	int error =
		loam_zero_window_init(&kernel->shadow, &kernel->kspace,
				      layout->shadow_base, layout->shadow_size);
	if (error != 0) {
		return error;
	}
	struct loam_slab_shadow shadow = {
		.bytes = (uint8_t *)layout->shadow_base,
		.covered = (loam_phys_t)layout->shadow_size
			   << LOAM_SHADOW_SHIFT,
		.back = loam_zero_window_back,
		.ctx = &kernel->shadow,
	};
	return loam_slab_init(&kernel->slabs, &kernel->frames, &shadow);
}

static int boot_kmalloc(struct loam_kernel *kernel,
			const struct loam_boot_machine *machine,
			const char **why)
{
	int error = loam_kspace_init(&kernel->kspace, &kernel->pt,
				     &kernel->frames, &kernel->layout.kspace);
	if (error == 0) {
		error = boot_slabs(kernel);
	}
	if (error == 0) {
		loam_slab_set_default_flags(&kernel->slabs,
					    machine->slab_flags);
		error = loam_kmalloc_init(&kernel->kmalloc, &kernel->slabs,
					  &kernel->kspace);
	}
	if (error != 0) {
		*why = "too little memory for the kernel's allocators";
		return error;
	}
	loam_frame_set_reclaim(&kernel->frames, boot_reclaim_frames, kernel);
	loam_boot_heap_create(kernel);
	char text[96] = "kmalloc: slab caches and vmalloc window ready";
	if (kernel->choice.heap != LOAM_BOOT_SLAB) {
		char size[16];
		loam_snprintf(text, sizeof(text),
			      "kmalloc: %s heap at %p, at most %s",
			      kernel->heap.ops->name,
			      (void *)kernel->heap.start,
			      loam_format_size(size, kernel->heap.size_bytes));
	}
	boot_step(kernel, machine, LOAM_BOOT_KMALLOC, text);
	return 0;
}

static int boot_allocate(struct loam_kernel *kernel,
			 const struct loam_boot_machine *machine,
			 const char **why)
{
	uint64_t *block = loam_kzalloc(&kernel->kmalloc, 64, 0);
	if (block == NULL || block[7] != 0) {
		*why = "too little memory for a first allocation";
		return -LOAM_ENOMEM;
	}
	char text[96];
	loam_snprintf(text, sizeof(text),
		      "allocate: the first 64 bytes are at %p", (void *)block);
	loam_kfree(&kernel->kmalloc, block);
	kernel->up = true;
	boot_step(kernel, machine, LOAM_BOOT_ALLOCATE, text);
	return 0;
}

int loam_boot(struct loam_kernel *kernel,
	      const struct loam_boot_machine *machine,
	      struct loam_mem_range *ranges, uint32_t range_capacity,
	      const char **why)
{
	kernel->layout = *machine->layout;
	kernel->choice = machine->choice;
	int error = boot_map(kernel, machine, ranges, range_capacity, why);
	if (error == 0) {
		boot_scale_windows(kernel);
		error = boot_memblock(kernel, machine, why);
	}
	if (error == 0) {
		error = boot_frames(kernel, machine, why);
	}
	if (error == 0) {
		error = loam_boot_tables(kernel, machine, why);
	}
	if (error == 0) {
		char text[96];
		loam_snprintf(text, sizeof(text),
			      "permanent page directory: %zu tables, %s pages",
			      loam_pt_count_tables(&kernel->pt),
			      machine->geometry->large_levels != 0 ? "large"
								   : "4 KiB");
		boot_step(kernel, machine, LOAM_BOOT_PERMANENT, text);
		if (kernel->choice.list_frames) {
			boot_list_rest(kernel);
		}
		error = boot_kmalloc(kernel, machine, why);
	}
	if (error == 0) {
		error = boot_allocate(kernel, machine, why);
	}
	return error;
}

/* -------- afterwards -------- */

static bool is_reclaimable(uint32_t owner)
{
	return owner == LOAM_RESERVED_KERNEL_INIT ||
	       owner == LOAM_RESERVED_BOOT_INFO;
}

/* Hands the usable frames of one reservation over. */
static size_t reclaim_region(struct loam_kernel *kernel, loam_phys_t base,
			     loam_phys_t size, enum loam_reservation owner)
{
	if (loam_memblock_release(&kernel->memblock, base, size, owner) != 0) {
		return 0;
	}
	uint64_t end = (base + size) >> LOAM_PAGE_SHIFT;
	uint64_t pfn = base >> LOAM_PAGE_SHIFT;
	uint64_t count = 0;
	size_t freed = 0;
	while (loam_memmap_next_usable(&kernel->memmap, &pfn, &count) &&
	       pfn < end) {
		if (count > end - pfn) {
			count = end - pfn;
		}
		if (loam_frame_add(&kernel->frames, (loam_pfn_t)pfn, count) ==
		    0) {
			freed += (size_t)count;
		}
		pfn += count;
	}
	return freed;
}

/*
 * The kernel's init pages become plain memory of the direct map, and nothing
 * at all where the image was linked, if that is elsewhere.
 */
static int reclaim_protect(struct loam_kernel *kernel,
			   const struct loam_memblock_region *region)
{
	const struct loam_boot_layout *layout = &kernel->layout;
	uintptr_t virt = layout->direct_base + (uintptr_t)region->base;
	loam_lock(&kernel->kspace.lock);
	int error = loam_pt_protect(&kernel->pt, virt, (size_t)region->size,
				    loam_boot_direct_prot(kernel));
	if (error == 0 && layout->image_base != 0) {
		long pages = loam_pt_unmap(&kernel->pt,
					   layout->image_base +
						   (uintptr_t)region->base,
					   (size_t)region->size);
		error = pages < 0 ? (int)pages : 0;
	}
	loam_unlock(&kernel->kspace.lock);
	return error;
}

size_t loam_boot_reclaim(struct loam_kernel *kernel)
{
	struct loam_memblock *memblock = &kernel->memblock;
	size_t freed = 0;
	uint32_t i = 0;
	while (i < memblock->count) {
		struct loam_memblock_region region = memblock->regions[i];
		if (!is_reclaimable(region.owner) ||
		    region.base + region.size > kernel->layout.reach_end) {
			i++;
			continue;
		}
		if (region.owner == LOAM_RESERVED_KERNEL_INIT &&
		    reclaim_protect(kernel, &region) != 0) {
			i++;
			continue;
		}
		uint32_t before = memblock->count;
		freed += reclaim_region(kernel, region.base, region.size,
					(enum loam_reservation)region.owner);
		/* A region that could not be released is left behind. */
		i += memblock->count == before;
	}
	return freed;
}

int loam_boot_check(struct loam_kernel *kernel)
{
	int error = loam_memmap_check(&kernel->memmap);
	if (error == 0) {
		error = loam_memblock_check(&kernel->memblock);
	}
	if (error == 0) {
		error = loam_frame_check(&kernel->frames);
	}
	if (error == 0) {
		error = loam_kspace_check(&kernel->kspace);
	}
	if (error == 0) {
		error = loam_zero_window_check(&kernel->shadow);
	}
	if (error == 0) {
		error = loam_slab_check(&kernel->slabs);
	}
	if (error == 0) {
		error = loam_kmalloc_check(&kernel->kmalloc);
	}
	return error;
}

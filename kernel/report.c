/* SPDX-License-Identifier: MIT */
/* Tables of physical memory: the maps, the owners, zones, slabs, the cost. */

#include <loam/bits.h>
#include <loam/mem.h>

#include "console.h"
#include "cpus.h"
#include "kernel.h"
#include "report.h"

typedef unsigned long long ull;

static void print_range_row(uint64_t base, uint64_t last, uint64_t size)
{
	char text[16];
	kprintf("  0x%010llx  0x%010llx  %11s  ", (ull)base, (ull)last,
		loam_format_size(text, size));
}

void report_firmware_map(void)
{
	const struct loam_boot_info *info = &kernel.info;

	kprintf("\nfirmware map: %u entries, %s, by way of %s (%s)\n",
		(unsigned)info->entry_count, info->source, info->path,
		info->loader[0] != '\0' ? info->loader : "unnamed loader");
	kprintf("  base          length               size  type\n");
	for (uint32_t i = 0; i < info->entry_count; i++) {
		const struct loam_memmap_entry *entry = &info->entries[i];
		char text[16];
		kprintf("  0x%010llx  0x%010llx  %11s  %u %s\n",
			(ull)entry->base, (ull)entry->length,
			loam_format_size(text, entry->length),
			(unsigned)entry->type,
			loam_memmap_type_name(entry->type));
	}
}

void report_memory_map(void)
{
	const struct loam_memmap *map = &kernel.memmap;
	uint64_t frames = loam_memmap_usable_frames(map);
	char text[16];

	kprintf("\nmemory map: %u ranges\n", (unsigned)map->count);
	kprintf("  first         last                 size  type\n");
	for (uint32_t i = 0; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		print_range_row(range->base, range->base + range->size - 1,
				range->size);
		kprintf("%s\n", loam_memmap_type_name(range->type));
	}
	kprintf("usable: %llu frames, %s; highest frame 0x%llx\n", (ull)frames,
		loam_format_size(text, frames << LOAM_PAGE_SHIFT),
		(ull)loam_memmap_max_usable_pfn(map) - 1);
	if (kernel.unreachable_bytes > 0) {
		kprintf("not reachable%s: %s\n",
			kernel.pt.geometry->entry_bytes == 4 ? " without PAE"
							     : "",
			loam_format_size(text, kernel.unreachable_bytes));
	}
}

/* A run of physical addresses that has one owner. */
struct owner_run {
	uint64_t end;
	const char *name;
	bool reserved;
};

/* Narrows run to the reservation at `at`, or to the next one's start. */
static void owner_clip_to_reservation(struct owner_run *run, uint64_t at)
{
	const struct loam_memblock *memblock = &kernel.memblock;

	for (uint32_t i = 0; i < memblock->count; i++) {
		const struct loam_memblock_region *region =
			&memblock->regions[i];
		uint64_t end = region->base + region->size;
		if (end <= at) {
			continue;
		}
		run->reserved = region->base <= at;
		uint64_t limit = run->reserved ? end : region->base;
		run->end = limit < run->end ? limit : run->end;
		if (run->reserved) {
			run->name = loam_reservation_name(region->owner);
		}
		return;
	}
}

/* Usable and not reserved: whole frames are the zones', edges are nobody's. */
static void owner_clip_to_frames(struct owner_run *run, uint64_t at)
{
	uint64_t first = loam_round_up(at, LOAM_PAGE_SIZE);
	uint64_t end = loam_round_down(run->end, LOAM_PAGE_SIZE);
	struct loam_frame_info info;

	if (first > at) {
		run->end = first < run->end ? first : run->end;
		run->name = "- (part of a frame)";
		return;
	}
	if (end == at) {
		run->name = "- (part of a frame)";
		return;
	}
	run->end = end;
	run->name = loam_frame_info(&kernel.frames, loam_phys_to_pfn(at),
				    &info) == 0
			    ? "page frames"
			    : "- (not reachable)";
	if (at < kernel.layout.reach_end &&
	    run->end > kernel.layout.reach_end) {
		run->end = kernel.layout.reach_end;
	}
}

/* Who owns the addresses from `at` within one range of the map, and how far. */
static struct owner_run owner_run_at(const struct loam_mem_range *range,
				     uint64_t at)
{
	struct owner_run run = {
		.end = range->base + range->size,
		.name = loam_memmap_type_name(range->type),
	};

	owner_clip_to_reservation(&run, at);
	if (!run.reserved && range->type == LOAM_MEM_USABLE) {
		owner_clip_to_frames(&run, at);
	}
	return run;
}

/* The owners within one range; of a gap in the map, reservations only. */
static void print_owner_runs(const struct loam_mem_range *range)
{
	uint64_t at = range->base;

	while (at - range->base < range->size) {
		struct owner_run run = owner_run_at(range, at);
		if (range->type != LOAM_MEM_NONE || run.reserved) {
			print_range_row(at, run.end - 1, run.end - at);
			kprintf("%s\n", run.name);
		}
		at = run.end;
	}
}

static void print_modules(void)
{
	for (uint32_t i = 0; i < kernel.info.reserved_count; i++) {
		const struct loam_boot_range *range = &kernel.info.reserved[i];
		if (range->owner == LOAM_RESERVED_MODULE) {
			kprintf("module 0x%08llx, %llu bytes: %s\n",
				(ull)range->base, (ull)range->size,
				range->name);
		}
	}
}

void report_owners(void)
{
	const struct loam_memmap *map = &kernel.memmap;
	struct loam_mem_range gap = { .type = LOAM_MEM_NONE };

	kprintf("\nowners of physical memory\n");
	kprintf("  first         last                 size  owner\n");
	for (uint32_t i = 0; i < map->count; i++) {
		const struct loam_mem_range *range = &map->ranges[i];
		gap.size = range->base - gap.base;
		print_owner_runs(&gap);
		print_owner_runs(range);
		gap.base = range->base + range->size;
	}
	print_modules();
}

static void print_zone(const struct loam_zone_stats *s)
{
	kprintf("  %-7s 0x%06x  0x%06x  %8llu  %8llu  %6llu  %9llu  %9llu\n",
		s->name, (unsigned)s->first, (unsigned)s->end, (ull)s->managed,
		(ull)s->free, (ull)s->cached, (ull)s->untouched,
		(ull)s->peak_used);
}

/* The zones of one area; empty ones only of a machine that has no other. */
static void print_area(unsigned area)
{
	bool alone = loam_frame_area_count(&kernel.frames) == 1;
	struct loam_zone_stats stats;

	for (unsigned i = 0; i < LOAM_ZONE_COUNT; i++) {
		loam_frame_area_stats(&kernel.frames, area,
				      (enum loam_zone_id)i, &stats);
		if (alone || stats.first != stats.end) {
			print_zone(&stats);
		}
	}
}

/* Which nodes there are, how far from each other, and whose CPUs are whose. */
static void print_nodes(void)
{
	const struct loam_frames *frames = &kernel.frames;

	for (unsigned node = 0; node < frames->node_count; node++) {
		kprintf("  node %u: cpus", node);
		for (unsigned i = 0; i < cpus_count; i++) {
			if (cpus[i].node == node) {
				kprintf(" %u", i);
			}
		}
		kprintf("; memory of nodes");
		for (unsigned i = 0; i < frames->area_count; i++) {
			kprintf(" %u", loam_frame_area_node(
					       frames, frames->near[node][i]));
		}
		kprintf(", in this order\n");
	}
}

void report_zones(void)
{
	unsigned areas = loam_frame_area_count(&kernel.frames);

	kprintf("\nzones, in frames\n");
	kprintf("  zone    first     end        managed      free  cached  "
		"untouched  peak used\n");
	for (unsigned area = 0; area < areas; area++) {
		if (areas > 1) {
			kprintf("  of node %u\n",
				loam_frame_area_node(&kernel.frames, area));
		}
		print_area(area);
	}
	if (kernel.frames.node_count > 1) {
		print_nodes();
	}
	kprintf("  free blocks by order (2^order frames)\n  zone   ");
	for (unsigned order = 0; order < LOAM_ORDER_COUNT; order++) {
		kprintf("%6u", order);
	}
	kprintf("\n");
	for (unsigned i = 0; i < LOAM_ZONE_COUNT; i++) {
		struct loam_zone_stats stats;
		loam_frame_zone_stats(&kernel.frames, (enum loam_zone_id)i,
				      &stats);
		kprintf("  %-7s", stats.name);
		for (unsigned order = 0; order < LOAM_ORDER_COUNT; order++) {
			kprintf("%6llu", (ull)stats.free_blocks[order]);
		}
		kprintf("\n");
	}
}

void report_slabs(void)
{
	struct loam_cache *cache;
	unsigned unused = 0;

	kprintf("\nslab caches\n");
	kprintf("  name                 bytes  stride  order  objects  slabs"
		"    live  cached    free\n");
	for (unsigned n = 0;
	     (cache = loam_slab_cache(&kernel.slabs, n)) != NULL; n++) {
		struct loam_cache_stats s;
		loam_cache_stats(&kernel.slabs, cache, &s);
		if (s.slabs == 0) {
			unused++;
			continue;
		}
		kprintf("  %-19s %6zu  %6zu  %5u  %7u  %5llu  %6llu  %6llu  "
			"%6llu\n",
			s.name, s.object_bytes, s.stride_bytes, s.slab_order,
			s.objects_per_slab, (ull)s.slabs, (ull)s.live,
			(ull)s.cached, (ull)s.free);
	}
	kprintf("  %u more caches hold no memory\n", unused);
}

static void report_cost_steps(void)
{
	static const char *const names[9] = {
		[3] = "memory map",        [4] = "memblock",
		[5] = "page frames",       [6] = "permanent page directory",
		[7] = "slabs and kmalloc", [8] = "first allocation",
	};
	uint64_t first = kernel.step_clock[2];

	if (first == 0) {
		kprintf("  this CPU has no time-stamp counter\n");
		return;
	}
	for (unsigned i = 3; i <= 8; i++) {
		kprintf("  [%u] %-26s %12llu\n", i, names[i],
			(ull)(kernel.step_clock[i] - kernel.step_clock[i - 1]));
	}
	kprintf("  all of them                    %12llu\n",
		(ull)(kernel.step_clock[8] - first));
}

void report_cost(void)
{
	uint64_t frames = loam_memmap_usable_frames(&kernel.memmap) -
			  (kernel.unreachable_bytes >> LOAM_PAGE_SHIFT);
	uint64_t kept = kernel.metadata_bytes >> LOAM_PAGE_SHIFT;
	char text[16];

	kprintf("\ncost of bring-up\n");
	kprintf("  memory for frames' metadata    %12s",
		loam_format_size(text, kernel.metadata_bytes));
	/* In tenths of a percent, by 32 bits: a thousand times 4 Mi fits. */
	while (frames >= 0x400000) {
		frames >>= 1;
		kept >>= 1;
	}
	if (frames > 0) {
		uint32_t share = (uint32_t)kept * 1000u / (uint32_t)frames;
		kprintf(", %u.%u %% of memory", (unsigned)share / 10,
			(unsigned)share % 10);
	}
	kprintf("\n  page tables                    %12s\n",
		loam_format_size(text,
				 (uint64_t)loam_pt_count_tables(&kernel.pt)
					 << LOAM_PAGE_SHIFT));
	kprintf("  free now                       %12s\n",
		loam_format_size(text, loam_frame_free_count(&kernel.frames)
					       << LOAM_PAGE_SHIFT));
	kprintf("instructions (ticks of the time-stamp counter) of each "
		"step\n");
	report_cost_steps();
}

/* SPDX-License-Identifier: MIT */
/* Bring-up: wires the floors together in the order of seed 004. */
#ifndef LOAM_BOOT_H
#define LOAM_BOOT_H

#include <loam/kmalloc.h>
#include <loam/zero_window.h>

#define LOAM_BOOT_MAX_RESERVED 64u
#define LOAM_BOOT_CMDLINE 512u
#define LOAM_BOOT_REGIONS 96u

/*
 * The steps of seed 004, as they are numbered on the console. The machine has
 * done the first two when it calls loam_boot().
 */
enum loam_boot_step {
	LOAM_BOOT_TEMPORARY = 1,
	LOAM_BOOT_HIGHER_HALF,
	LOAM_BOOT_MAP,
	LOAM_BOOT_MEMBLOCK,
	LOAM_BOOT_BUDDY,
	LOAM_BOOT_PERMANENT,
	LOAM_BOOT_KMALLOC,
	LOAM_BOOT_ALLOCATE,
	LOAM_BOOT_STEPS = LOAM_BOOT_ALLOCATE,
};

/* Loader data that must survive until the floors are up. */
struct loam_boot_range {
	loam_phys_t base;
	loam_phys_t size;
	uint32_t owner; /* enum loam_reservation */
	char name[32];  /* of a module: its command line, cut */
};

/*
 * What any boot path delivers, copied into the kernel's own memory before
 * anything of the loader's can be overwritten (X.2).
 */
struct loam_boot_info {
	const char *path;   /* "bios", "multiboot", "emulated" */
	const char *source; /* "E820", "E801", "88h", "Multiboot map" */
	char loader[64];
	char cmdline[LOAM_BOOT_CMDLINE];
	loam_phys_t acpi_root; /* ACPI's root pointer; 0: to be looked for */
	uint32_t entry_count;  /* raw firmware entries, for printing */
	uint32_t entry_capacity;
	struct loam_memmap_entry *entries;
	uint32_t reserved_count;
	struct loam_boot_range reserved[LOAM_BOOT_MAX_RESERVED];
};

/* Addresses that belong to the user in every process. */
struct loam_boot_user_range {
	uintptr_t base;
	size_t size; /* 0: there is none */
};

#define LOAM_BOOT_USER_RANGES 3u

/* Which virtual and physical ranges the machine's kernel uses. */
struct loam_boot_layout {
	uintptr_t direct_base; /* virtual address of physical 0 */
	/*
	 * The same as the image was linked, where that is another one: its
	 * segments are mapped there, and a second time, never executable, in
	 * the direct map. 0: the image lies in the direct map.
	 */
	uintptr_t image_base;
	size_t direct_size; /* most that may be directly used */
	/*
	 * 0: of [0, direct_size), memory is mapped. Otherwise all of [0,
	 * map_end) is mapped at direct_base, be it memory or not, but for the
	 * windows below.
	 */
	loam_phys_t map_end;
	loam_phys_t dma_end; /* 16 MiB */
	/*
	 * Physical addresses the MMU reaches. Bring-up lowers it where there is
	 * no room for the descriptors of so many frames.
	 */
	loam_phys_t reach_end;
	struct loam_kspace_config kspace;
	/* of the slab floor's shadow: at least direct_size / 16 */
	uintptr_t shadow_base;
	size_t shadow_size;
	/* windows whose page tables must exist early: heaps (0: none) */
	uintptr_t heap_base;
	size_t heap_size;
	size_t heap_limit; /* what a heap that grows from heap_base may have */
	size_t heap_buddy; /* from heap_base to the buddy heap's window */
	loam_phys_t block_base; /* the block heap's fixed physical range */
	loam_phys_t block_size;
	loam_phys_t block_table; /* one byte for each 4 KiB of it */
	/*
	 * By ascending address. In the kernel's own tables nothing of these is
	 * global. Where one lies over the first direct_size bytes of the direct
	 * map, a process hides memory from the kernel: it is reserved.
	 */
	struct loam_boot_user_range user[LOAM_BOOT_USER_RANGES];
};

/* A part of the kernel image with its own protection. */
struct loam_boot_segment {
	const char *name;
	uintptr_t virt;
	size_t size; /* 0 with prot 0: an unmapped guard page at virt */
	loam_prot_t prot;
	uint32_t owner; /* enum loam_reservation */
};

/* What is behind kmalloc (X.1). */
enum loam_boot_heap {
	LOAM_BOOT_SLAB,
	LOAM_BOOT_BESTFIT,
	LOAM_BOOT_BLOCK,
	LOAM_BOOT_LIST,
	LOAM_BOOT_TLSF,
	LOAM_BOOT_BUDDY_HEAP,
	LOAM_BOOT_PAGES,
	LOAM_BOOT_HEAPS
};

/* Which systems a kernel runs on: all zero is slabs over the buddy. */
struct loam_boot_choice {
	enum loam_boot_heap heap;
	enum loam_heap_fit fit; /* of LOAM_BOOT_LIST */
	size_t heap_limit;      /* 0: the layout's; pages: a quarter of RAM */
	bool list_frames;       /* frames by the list through the free ones */
};

/* The machine under bring-up: what it is made of and how it is told. */
struct loam_boot_machine {
	const struct loam_boot_layout *layout;
	const struct loam_pt_geometry *geometry;
	const struct loam_tlb_ops *tlb;
	enum loam_tlb_policy tlb_policy;
	uintptr_t bias;      /* of the page tables: 0 but under emulation */
	uint32_t slab_flags; /* LOAM_CACHE_*: debugging of all caches */
	struct loam_boot_choice choice;
	const struct loam_boot_segment *segments; /* by ascending address */
	unsigned segment_count;
	/*
	 * Physical memory below this may be touched through the direct map
	 * before the permanent page tables are there: all that bring-up
	 * itself allocates lies below it.
	 */
	loam_phys_t early_end;
	/*
	 * What the firmware says of memory nodes, or NULL if nothing: called
	 * once, before memory is handed to the frames. May be NULL itself.
	 */
	const struct loam_topology *(*topology)(void *ctx);
	/* Loads the permanent root table. */
	void (*switch_root)(void *ctx, loam_phys_t root);
	/* Called as each step of seed 004 is done: number, what it did. */
	void (*step)(void *ctx, unsigned number, const char *text);
	/* Instructions or ticks so far, for the cost table; may be NULL. */
	uint64_t (*clock)(void *ctx);
	void *ctx;
};

/* The one kernel: every floor's instance. */
struct loam_kernel {
	struct loam_boot_info info;
	struct loam_memmap memmap;
	struct loam_memblock memblock;
	struct loam_frames frames;
	struct loam_pt pt;
	struct loam_kspace kspace;
	struct loam_zero_window shadow;
	struct loam_slabs slabs;
	struct loam_kmalloc kmalloc;
	struct loam_boot_layout layout; /* windows cut to the memory there is */
	/* What is in force: slabs, if the heap that was chosen cannot be. */
	struct loam_boot_choice choice;
	struct loam_heap heap;
	struct loam_heap_owner heap_owner;
	struct loam_page_window heap_window;
	loam_phys_t
		block_wanted;    /* size of the block heap, before it was cut */
	loam_phys_t block_table; /* LOAM_PHYS_NONE: within the block heap */
	/* Frames that the list got in its two steps. */
	uint64_t list_first;
	uint64_t list_rest;
	struct loam_memblock_region regions[LOAM_BOOT_REGIONS];
	/* What bring-up cost. */
	uint64_t metadata_bytes;
	uint64_t unreachable_bytes;               /* usable, beyond reach_end */
	uint64_t step_clock[LOAM_BOOT_STEPS + 1]; /* when each was done */
	bool up;
};

/*
 * Steps 3 to 8 of seed 004 over info: parses and normalises the map, memblock
 * with every reservation, frames, permanent page tables, kspace, slabs,
 * kmalloc, first allocation. ranges is storage for the normalised map; it is
 * copied to permanent memory on the way.
 * On failure returns a negative errno with a sentence in *why; nothing needs
 * undoing since the machine cannot go on.
 * Cost: O(entries log entries + directly mapped pages / large page).
 */
int loam_boot(struct loam_kernel *kernel,
	      const struct loam_boot_machine *machine,
	      struct loam_mem_range *ranges, uint32_t range_capacity,
	      const char **why);

/*
 * Frees what only bring-up needed: init segments, which become plain writable
 * memory, and boot info. Returns the frames freed. Call it once, from memory
 * that is not being freed.
 */
size_t loam_boot_reclaim(struct loam_kernel *kernel);

/*
 * Where a second heap of this kernel could go, beside the one behind kmalloc:
 * the windows of heaps that are not in use, with all page tables made. Returns
 * the base, and the bytes in *size.
 */
uintptr_t loam_boot_spare_window(const struct loam_kernel *kernel,
				 size_t *size);

/* "slab", "bestfit", ...: as the kernel's command line has it. */
const char *loam_boot_heap_name(enum loam_boot_heap heap);

/*
 * Gives a process's tables, empty so far, the kernel's part: all that the
 * kernel has mapped outside the user's ranges. Tables are shared where they
 * are the kernel's alone and stay so, and copied where a user range begins or
 * ends within them. Same geometry and bias as the kernel's. -LOAM_ENOMEM: what
 * has been done so far goes with loam_pt_fini(). Call it after the reclaim.
 * Cost: O(root entries), and O(pages) of the tables that are copied.
 */
int loam_boot_share_kernel(const struct loam_kernel *kernel,
			   struct loam_pt *pt);

/* Every floor's check(), lowest first; the first error. */
int loam_boot_check(struct loam_kernel *kernel);

#endif

/* SPDX-License-Identifier: MIT */
/* Bring-up of emulated machines, from the firmware's map to kmalloc. */
#include <unistd.h>

#include <loam/bits.h>

#include "boot_machine.h"

static void check(void)
{
	if (loam_boot_check(&kernel) != 0) {
		fprintf(stderr, "%s", hosted_log_text());
		test_fail(__FILE__, __LINE__, "every floor is sound");
	}
}

/* kmalloc of all kinds works and gives everything back. */
static void exercise(void)
{
	static const size_t sizes[] = {
		1, 100, 4096, 8192, 20000, 65536, 200000
	};
	unsigned char *block[LOAM_ARRAY_SIZE(sizes)];
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		block[i] = loam_kmalloc(&kernel.kmalloc, sizes[i], 0);
		EXPECT(block[i] != NULL);
		memset(block[i], (int)i + 1, sizes[i]);
	}
	check();
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(block[i][0], i + 1);
		EXPECT_EQ(block[i][sizes[i] - 1], i + 1);
		loam_kfree(&kernel.kmalloc, block[i]);
	}
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&kernel.kmalloc, &stats);
	EXPECT_EQ(stats.slab_bytes + stats.large_bytes, 0);
	check();
}

TEST(sizes, "S4.31 S4.1 machines of 5 to 5000 MiB come up in eight steps")
{
	static const unsigned mib[] = { 5,   8,   12,   16,   64,
					128, 512, 3000, 3584, 5000 };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(mib); i++) {
		boot_pc(mib[i]);
		exercise();
		/* Frames and what describes them: 0.6 % of memory. */
		uint64_t bytes = (uint64_t)mib[i] << 20;
		EXPECT(kernel.metadata_bytes * 1000 <= bytes * 6);
	}
	EXPECT(kernel.unreachable_bytes == ((uint64_t)5000 << 20) - 0xC0000000);
}

TEST(no_pse, "S4.31 a CPU without 4 MiB pages comes up too")
{
	boot_prepare(LOAM_MIB(128), &loam_pt_i386);
	boot_machine.tlb = &emu_tlb_ops_386;
	boot_pc_map(LOAM_MIB(128));
	EXPECT_EQ(boot_now(), 0);
	exercise();
}

TEST(pae, "S4.31 with PAE all of 5000 MiB is used, with no-execute or without")
{
	struct loam_pt_geometry geometry = loam_pt_i386_pae;
	for (unsigned i = 0; i < 4; i++) {
		geometry.no_execute =
			(i & 1) != 0 ? loam_pt_i386_pae.no_execute : 0;
		uint64_t bytes = (uint64_t)(i < 2 ? 5000 : 64) << 20;
		boot_prepare(bytes, &geometry);
		boot_layout.reach_end = LOAM_GIB(64);
		boot_pc_map(bytes);
		EXPECT_EQ(boot_now(), 0);
		EXPECT_EQ(kernel.unreachable_bytes, 0);
		EXPECT(loam_frame_free_count(&kernel.frames) > bytes / 4200);
		exercise();
	}
}

TEST(reach, "S4.27 memory whose descriptors find no room is left out, and told")
{
	struct loam_frame_info info;
	for (unsigned i = 0; i < 2; i++) {
		loam_phys_t far = i == 0 ? LOAM_GIB(4096) : LOAM_GIB(16);
		boot_prepare(far + LOAM_MIB(64), &loam_pt_i386_pae);
		boot_layout.reach_end = (loam_phys_t)1 << 52;
		boot_pc_map(LOAM_MIB(64));
		boot_entry(far, LOAM_MIB(64), LOAM_MEM_USABLE);
		hosted_log_clear();
		EXPECT_EQ(boot_now(), 0);
		/* 16 GiB take 48 MiB, for which 57 are there. */
		EXPECT_EQ(hosted_log_contains("is not used"), i == 0);
		EXPECT_EQ(kernel.unreachable_bytes, i == 0 ? LOAM_MIB(64) : 0);
		EXPECT_EQ(loam_frame_info(&kernel.frames, loam_phys_to_pfn(far),
					  &info),
			  i == 0 ? -LOAM_ENOENT : 0);
		EXPECT(i == 0 || info.untouched);
		exercise();
		loam_boot_reclaim(&kernel);
		exercise();
	}
}

static struct loam_topology boot_topology;

static const struct loam_topology *boot_find_topology(void *ctx)
{
	(void)ctx;
	return &boot_topology;
}

TEST(nodes, "X.4 the machine's nodes reach the frames; CPUs have their own")
{
	memset(&boot_topology, 0, sizeof(boot_topology));
	boot_topology.node_count = 2;
	boot_topology.range_count = 1;
	boot_topology.ranges[0] = (struct loam_topology_range){
		.base = LOAM_MIB(64), .size = LOAM_MIB(64), .node = 1
	};
	boot_topology.distance[0][0] = LOAM_DISTANCE_LOCAL;
	boot_topology.distance[1][1] = LOAM_DISTANCE_LOCAL;
	boot_topology.distance[0][1] = LOAM_DISTANCE_REMOTE;
	boot_topology.distance[1][0] = LOAM_DISTANCE_REMOTE;
	boot_prepare(LOAM_MIB(128), &loam_pt_i386_pse);
	boot_machine.topology = boot_find_topology;
	boot_pc_map(LOAM_MIB(128));
	EXPECT_EQ(boot_now(), 0);
	EXPECT_EQ(loam_frame_area_count(&kernel.frames), 2);
	EXPECT_EQ(loam_frame_set_cpu_node(&kernel.frames, 1, 1), 0);
	hosted_cpu = 1;
	loam_pfn_t pfn = loam_frame_alloc(&kernel.frames, 0, 0);
	EXPECT(loam_pfn_to_phys(pfn) >= LOAM_MIB(64));
	loam_frame_free(&kernel.frames, pfn, 0);
	exercise();
	hosted_cpu = 0;
	exercise();
}

/* A descriptor as UEFI has it, into the firmware's entries. */
static void boot_descriptor(uint32_t type, uint64_t base, uint64_t pages,
			    uint64_t attributes)
{
	const uint64_t descriptor[5] = { type, base, 0, pages, attributes };
	EXPECT(kernel.info.entry_count < BOOT_ENTRIES);
	EXPECT_EQ(
		loam_memmap_efi_entry(descriptor, sizeof(descriptor),
				      &boot_entries[kernel.info.entry_count++]),
		0);
}

TEST(uefi, "S4.31 X.3 machines with 300 UEFI descriptors of odd types come up")
{
	static const uint32_t odd[] = { 0,  5,  6,           8,          9,
					10, 11, 12,          13,         14,
					15, 16, 0x70000001u, 0xffffffffu };
	uint64_t random = 300;
	for (unsigned machine = 0; machine < 20; machine++) {
		boot_prepare(LOAM_MIB(128), &loam_pt_i386_pse);
		/* The image and some memory behind it; the rest is anything. */
		boot_descriptor(7, 0, 0x9f, 8);
		boot_descriptor(2, LOAM_MIB(1), LOAM_MIB(15) >> 12, 8);
		uint64_t page = LOAM_MIB(16) >> 12;
		while (kernel.info.entry_count < 300) {
			uint64_t pages = hosted_random(&random) % 180;
			bool usable = hosted_random(&random) % 2 == 0;
			uint32_t type = odd[hosted_random(&random) %
					    LOAM_ARRAY_SIZE(odd)];
			/* Empty ones, and some over what came before. */
			uint64_t back = hosted_random(&random) % 8 == 0;
			boot_descriptor(usable ? 1 + type % 4 : type,
					(page - back) << 12, pages, 8);
			page += pages;
		}
		/* As long as there are addresses, and where there are none. */
		boot_descriptor(0xffffffffu, LOAM_GIB(8), UINT64_MAX, 8);
		boot_descriptor(11, UINT64_MAX - 4095, 7, 0);
		EXPECT_EQ(boot_now(), 0);
		uint64_t pfn = 0;
		uint64_t count = 0;
		uint64_t usable = loam_memmap_usable_frames(&kernel.memmap);
		while (loam_memmap_next_usable(&kernel.memmap, &pfn, &count)) {
			pfn += count;
		}
		EXPECT(loam_frame_free_count(&kernel.frames) < usable);
		EXPECT_EQ(pfn, loam_memmap_max_usable_pfn(&kernel.memmap));
		exercise();
		loam_boot_reclaim(&kernel);
		exercise();
	}
}

TEST(too_small, "S4.27 too little memory is a sentence, never a fault")
{
	unsigned came_up = 0;
	unsigned gave_up = 0;
	for (unsigned kib = 4; kib < 5 * 1024; kib += kib < 256 ? 4 : 64) {
		boot_prepare(LOAM_MIB(8), &loam_pt_i386_pse);
		boot_entry(0, LOAM_KIB(kib), LOAM_MEM_USABLE);
		if (boot_now() == 0) {
			check();
			came_up++;
		} else {
			EXPECT(boot_why != NULL && strlen(boot_why) > 10);
			gave_up++;
		}
	}
	fprintf(stderr, "# %u came up, %u gave up\n", came_up, gave_up);
	EXPECT(came_up > 70 && gave_up > 10);
}

TEST(no_map, "S4.5 no map, and a map without memory, end with a sentence")
{
	boot_prepare(LOAM_MIB(8), &loam_pt_i386_pse);
	EXPECT_EQ(boot_now(), -LOAM_ENOMEM);
	EXPECT(strstr(boot_why, "no memory map") != NULL);
	boot_entry(0, LOAM_MIB(8), LOAM_MEM_RESERVED);
	EXPECT_EQ(boot_now(), -LOAM_ENOMEM);
	EXPECT(strstr(boot_why, "no usable memory") != NULL);
}

TEST(nth_frame, "failing each frame of bring-up gives an error, no panic")
{
	for (unsigned nth = 1;; nth++) {
		boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
		boot_pc_map(LOAM_MIB(64));
		boot_fail_frame = nth;
		int error = boot_now();
		uint64_t counted = loam_frame_fail_nth(&kernel.frames, 0);
		if (error != 0) {
			EXPECT_EQ(error, -LOAM_ENOMEM);
			EXPECT(strstr(boot_why, "too little memory") != NULL);
			EXPECT_EQ(loam_frame_check(&kernel.frames), 0);
		}
		if (counted < nth) {
			EXPECT_EQ(error, 0);
			EXPECT(nth > 20);
			break;
		}
	}
}

/* -------- the permanent page tables -------- */

static char *direct(uint64_t phys)
{
	return (char *)boot_virt(0xC0000000u + phys);
}

TEST(plan, "S4.19 what is mapped is memory, each segment by its protection")
{
	boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
	boot_entry(0, 0xa0000, LOAM_MEM_USABLE);
	boot_entry(0x100000, 0x1f00000, LOAM_MEM_USABLE);
	boot_entry(0x2000000, 0x1000, LOAM_MEM_ACPI_DATA);
	boot_entry(0x2100000, 0x1000, LOAM_MEM_RESERVED);
	boot_entry(0x2200800, 0x100000, LOAM_MEM_ACPI_NVS);
	EXPECT_EQ(boot_now(), 0);
	struct loam_pt_mapping mapping;
	static const struct {
		uint32_t phys;
		loam_prot_t prot; /* 0: not mapped */
	} plan[] = {
		{ 0, LOAM_PROT_WRITE },
		{ 0xb8000, LOAM_PROT_WRITE },
		{ 0x100000, LOAM_PROT_READ },
		{ 0x108000, LOAM_PROT_READ },
		{ 0x10a000, LOAM_PROT_WRITE },
		{ 0x10f000, 0 },
		{ 0x110000, LOAM_PROT_WRITE },
		{ 0x1fff000, LOAM_PROT_WRITE },
		{ 0x2000000, LOAM_PROT_WRITE },
		{ 0x2001000, 0 },
		{ 0x2100000, 0 },
		{ 0x2200000, LOAM_PROT_WRITE },
		{ 0x2300000, LOAM_PROT_WRITE },
		{ 0x2301000, 0 },
		{ 0x3000000, 0 },
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(plan); i++) {
		int error = loam_pt_query(
			&kernel.pt, (uintptr_t)direct(plan[i].phys), &mapping);
		EXPECT_EQ(error == 0, plan[i].prot != 0);
		if (error == 0) {
			EXPECT_EQ(mapping.phys, plan[i].phys);
			EXPECT_EQ(mapping.prot & LOAM_PROT_WRITE,
				  plan[i].prot & LOAM_PROT_WRITE);
			EXPECT_EQ(mapping.prot & LOAM_PROT_USER, 0);
		}
	}
	/* Large pages where 4 MiB are alike. */
	EXPECT_EQ(loam_pt_query(&kernel.pt, (uintptr_t)direct(LOAM_MIB(8)),
				&mapping),
		  0);
	EXPECT_EQ(mapping.page_size, LOAM_MIB(4));
}

TEST(windows, "S0.10 tables of every window are there before it is used")
{
	boot_pc(64);
	size_t tables = loam_pt_count_tables(&kernel.pt);
	const struct loam_boot_layout *layout = &kernel.layout;
	EXPECT_EQ(loam_pt_tables_needed(&kernel.pt, layout->kspace.window_base,
					layout->kspace.window_size),
		  0);
	EXPECT_EQ(loam_pt_tables_needed(&kernel.pt, layout->heap_base,
					layout->heap_size),
		  0);
	void *block = loam_kspace_vmalloc(&kernel.kspace, LOAM_MIB(20), 0, 0);
	EXPECT(block != NULL);
	EXPECT_EQ(loam_pt_count_tables(&kernel.pt), tables);
	loam_kspace_vfree(&kernel.kspace, block);
	check();
}

static int no_user(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		   loam_prot_t prot, size_t page_size)
{
	(void)arg;
	(void)virt;
	(void)size;
	(void)phys;
	(void)page_size;
	return (prot & LOAM_PROT_USER) != 0;
}

TEST(supervisor, "S4.30 no mapping of the kernel's is the user's")
{
	boot_pc(64);
	EXPECT_EQ(loam_pt_visit(&kernel.pt, boot_virt(0xC0000000u),
				boot_virt(0xFFFFFFFFu), no_user, NULL),
		  0);
}

/* -------- reservations and reclaim -------- */

TEST(reserved, "X.2 X.4 loader data is kept until it is given back")
{
	boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
	boot_pc_map(LOAM_MIB(64));
	struct loam_boot_range *range = kernel.info.reserved;
	/* Boot info in the image's last frame and past it; two modules. */
	range[0] = (struct loam_boot_range){ 0x133f00, 0x1200,
					     LOAM_RESERVED_BOOT_INFO, "info" };
	range[1] = (struct loam_boot_range){ 0x200000, 0x2345,
					     LOAM_RESERVED_MODULE, "one" };
	range[2] = (struct loam_boot_range){ 0x202345, 0x1000,
					     LOAM_RESERVED_MODULE, "two" };
	kernel.info.reserved_count = 3;
	EXPECT_EQ(boot_now(), 0);
	struct loam_memblock *memblock = &kernel.memblock;
	EXPECT_EQ(loam_memblock_owner(memblock, 0x133000),
		  LOAM_RESERVED_KERNEL_INIT);
	EXPECT_EQ(loam_memblock_owner(memblock, 0x134000),
		  LOAM_RESERVED_BOOT_INFO);
	EXPECT_EQ(loam_memblock_owner(memblock, 0x203000),
		  LOAM_RESERVED_MODULE);
	EXPECT_EQ(loam_memblock_owner(memblock, 0x204000), LOAM_RESERVED_NONE);
	/* The frame behind the guard page is nobody's: it is not mapped. */
	EXPECT_EQ(loam_memblock_owner(memblock, 0x10f000),
		  LOAM_RESERVED_KERNEL_DATA);
	struct loam_frame_info info;
	EXPECT_EQ(loam_frame_info(&kernel.frames, 0x202, &info), -LOAM_ENOENT);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	size_t freed = loam_boot_reclaim(&kernel);
	EXPECT_EQ(freed, 0x20 + 2);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before + freed);
	EXPECT_EQ(loam_memblock_owner(memblock, 0x134000), LOAM_RESERVED_NONE);
	EXPECT_EQ(loam_memblock_owner(memblock, 0x200000),
		  LOAM_RESERVED_MODULE);
	EXPECT_EQ(loam_boot_reclaim(&kernel), 0);
	exercise();
}

/* -------- a map of everything, and what processes hide of it -------- */

/*
 * A layout like the identity-mapped kernel's, in the 1 GiB that the emulated
 * machine has: 64 MiB used directly, all else mapped but for the windows.
 */
static void boot_prepare_all(unsigned mib)
{
	boot_prepare((loam_phys_t)mib << 20, &loam_pt_i386_pse);
	boot_pc_map((uint64_t)mib << 20);
	boot_layout.direct_size = LOAM_MIB(64);
	boot_layout.map_end = LOAM_GIB(1);
	boot_layout.user[0] =
		(struct loam_boot_user_range){ boot_virt(0xC03FB000u), 0x4000 };
	boot_layout.user[1] =
		(struct loam_boot_user_range){ boot_virt(0xC0400000u),
					       LOAM_MIB(4) };
	boot_layout.user[2] =
		(struct loam_boot_user_range){ boot_virt(0xC4000000u),
					       LOAM_MIB(64) };
}

static bool in_window(uintptr_t virt)
{
	const struct loam_boot_layout *layout = &kernel.layout;
	const struct loam_kspace_config *kspace = &layout->kspace;
	return virt - layout->heap_base < layout->heap_size ||
	       virt - kspace->window_base < kspace->window_size ||
	       virt - kspace->temp_base < kspace->temp_size ||
	       virt - layout->shadow_base < layout->shadow_size;
}

static bool in_user(uintptr_t virt)
{
	for (unsigned i = 0; i < LOAM_BOOT_USER_RANGES; i++) {
		const struct loam_boot_user_range *user =
			&kernel.layout.user[i];
		if (virt - user->base < user->size) {
			return true;
		}
	}
	return false;
}

TEST(map_all, "S3.1 S3.7 all is mapped to itself but the windows' addresses")
{
	boot_prepare_all(128);
	EXPECT_EQ(boot_now(), 0);
	unsigned windows = 0;
	unsigned uncached = 0;
	for (loam_phys_t at = 0; at < LOAM_GIB(1); at += LOAM_PAGE_SIZE) {
		uintptr_t virt = (uintptr_t)direct(at);
		struct loam_pt_mapping mapping;
		int error = loam_pt_query(&kernel.pt, virt, &mapping);
		if (at == 0x10f000 || in_window(virt)) {
			EXPECT(error != 0 || mapping.phys != at);
			windows++;
			continue;
		}
		EXPECT_EQ(error, 0);
		EXPECT_EQ(mapping.phys, at);
		bool memory = at < 0x7fe0000;
		bool cached = (mapping.prot & LOAM_PROT_UNCACHED) == 0;
		bool global = (mapping.prot & LOAM_PROT_GLOBAL) != 0;
		EXPECT_EQ(cached, memory);
		EXPECT_EQ(global, !in_user(virt));
		EXPECT_EQ(mapping.prot & LOAM_PROT_USER, 0);
		uncached += !cached;
	}
	EXPECT(windows > 10000 && uncached > 10000);
	exercise();
	loam_boot_reclaim(&kernel);
	exercise();
}

TEST(hidden, "S3.7 X.4 frames that processes hide are reserved, in proportion")
{
	static const struct {
		unsigned mib;
		unsigned hidden_kib;
	} machines[] = { { 6, 1024 }, { 16, 2046 }, { 128, 4096 } };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(machines); i++) {
		boot_prepare_all(machines[i].mib);
		EXPECT_EQ(boot_now(), 0);
		size_t bytes = kernel.layout.user[1].size;
		EXPECT(bytes >> 10 >= machines[i].hidden_kib - 64);
		EXPECT(bytes >> 10 <= machines[i].hidden_kib);
		EXPECT_EQ(kernel.layout.user[0].size, 0x4000);
		EXPECT_EQ(kernel.layout.user[2].size, LOAM_MIB(64));
		for (loam_phys_t at = 0; at < LOAM_MIB(64);
		     at += LOAM_PAGE_SIZE) {
			bool reserved =
				loam_memblock_owner(&kernel.memblock, at) ==
				LOAM_RESERVED_USER;
			EXPECT_EQ(reserved, in_user((uintptr_t)direct(at)));
		}
		exercise();
	}
}

/* -------- the kernel's part of a process -------- */

static void expect_kernel_part(const struct loam_pt *pt)
{
	for (loam_phys_t at = 0; at < LOAM_GIB(1); at += LOAM_PAGE_SIZE) {
		uintptr_t virt = (uintptr_t)direct(at);
		struct loam_pt_mapping own;
		struct loam_pt_mapping kernels;
		int error = loam_pt_query(pt, virt, &own);
		int expected = loam_pt_query(&kernel.pt, virt, &kernels);
		if (in_user(virt)) {
			EXPECT_EQ(error, -LOAM_ENOENT);
			continue;
		}
		EXPECT_EQ(error, expected);
		if (error == 0) {
			EXPECT_EQ(own.phys, kernels.phys);
			EXPECT_EQ(own.prot, kernels.prot);
		}
	}
	EXPECT_EQ(loam_pt_check(pt), 0);
}

static void share_in(bool all)
{
	struct loam_pt pt;
	if (all) {
		boot_prepare_all(16);
	} else {
		boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
		boot_pc_map(LOAM_MIB(64));
	}
	/* Every table comes straight from the frames. */
	boot_layout.kspace.table_reserve = 0;
	EXPECT_EQ(boot_now(), 0);
	loam_boot_reclaim(&kernel);
	uint64_t before = loam_frame_free_count(&kernel.frames);
	for (unsigned nth = 1;; nth++) {
		loam_frame_fail_nth(&kernel.frames, nth);
		int error =
			loam_pt_init(&pt, boot_machine.geometry,
				     &loam_kspace_pt_ops, NULL, &kernel.kspace);
		if (error == 0) {
			pt.bias = kernel.pt.bias;
			error = loam_boot_share_kernel(&kernel, &pt);
			if (error != 0) {
				loam_pt_fini(&pt);
			}
		}
		uint64_t counted = loam_frame_fail_nth(&kernel.frames, 0);
		if (error == 0) {
			EXPECT(counted < nth && nth > (all ? 3 : 1));
			break;
		}
		EXPECT_EQ(error, -LOAM_ENOMEM);
		EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	}
	expect_kernel_part(&pt);
	/* What the kernel maps from now on is there too. */
	char *block = loam_kspace_vmalloc(&kernel.kspace, 4096, 0, 0);
	struct loam_pt_mapping mapping;
	EXPECT(block != NULL);
	EXPECT_EQ(loam_pt_query(&pt, (uintptr_t)block, &mapping), 0);
	loam_kspace_vfree(&kernel.kspace, block);
	EXPECT_EQ(loam_pt_query(&pt, (uintptr_t)block, &mapping), -LOAM_ENOENT);
	if (all) {
		/* The user's pages in a table with the kernel's. */
		uintptr_t stack = kernel.layout.user[0].base;
		EXPECT_EQ(loam_pt_map(&pt, stack, 0x900000, 0x4000,
				      LOAM_PROT_WRITE | LOAM_PROT_USER, false),
			  0);
		EXPECT_EQ(loam_pt_check(&pt), 0);
		EXPECT_EQ(loam_pt_unmap(&pt, stack, 0x4000), 4);
		expect_kernel_part(&pt);
	}
	loam_pt_fini(&pt);
	EXPECT_EQ(loam_frame_free_count(&kernel.frames), before);
	check();
}

TEST(share, "S3.7 S0.12 a process has the kernel's part, tables and all")
{
	share_in(true);
	share_in(false);
}

static void module_fill(loam_phys_t base, size_t size, unsigned char salt)
{
	unsigned char *at = loam_host_phys_to_virt(base);
	for (size_t i = 0; i < size; i++) {
		at[i] = (unsigned char)(i * 7 + salt);
	}
}

static bool module_is(const struct loam_boot_range *range, unsigned char salt)
{
	const unsigned char *at = loam_host_phys_to_virt(range->base);
	size_t i = 0;
	while (i < range->size && at[i] == (unsigned char)(i * 7 + salt)) {
		i++;
	}
	return i == range->size;
}

TEST(modules_move, "S3.37 X.2 X.4 modules in the user's window are moved away")
{
	boot_prepare_all(64);
	struct loam_boot_range *range = kernel.info.reserved;
	/* Across the lower end, within, across the upper end, and beside. */
	range[0] = (struct loam_boot_range){ 0x300000, 0x180001,
					     LOAM_RESERVED_MODULE, "low" };
	range[1] = (struct loam_boot_range){ 0x500000, 0x2345,
					     LOAM_RESERVED_MODULE, "in" };
	range[2] = (struct loam_boot_range){ 0x7ff000, 0x3000,
					     LOAM_RESERVED_MODULE, "high" };
	range[3] = (struct loam_boot_range){ 0x900000, 0x1000,
					     LOAM_RESERVED_MODULE, "beside" };
	range[4] = (struct loam_boot_range){ 0x600000, 0x1000,
					     LOAM_RESERVED_BOOT_INFO, "info" };
	kernel.info.reserved_count = 5;
	for (unsigned i = 0; i < 4; i++) {
		module_fill(range[i].base, (size_t)range[i].size,
			    (unsigned char)(i * 31));
	}
	EXPECT_EQ(boot_now(), 0);
	size_t freed = loam_boot_reclaim(&kernel);
	/* The image's init, and the modules' old places but for the window. */
	EXPECT_EQ(freed, 0x20 + (0x3fb - 0x300) + 1 + 2);
	exercise();
	for (unsigned i = 0; i < 4; i++) {
		EXPECT(module_is(&range[i], (unsigned char)(i * 31)));
		for (loam_phys_t at = 0; at < range[i].size;
		     at += LOAM_PAGE_SIZE) {
			loam_phys_t phys = range[i].base + at;
			EXPECT_EQ(loam_memblock_owner(&kernel.memblock, phys),
				  LOAM_RESERVED_MODULE);
			EXPECT(!in_user((uintptr_t)direct(phys)));
		}
	}
	EXPECT_EQ(range[3].base, 0x900000);
	EXPECT_EQ(loam_memblock_owner(&kernel.memblock, 0x600000),
		  LOAM_RESERVED_USER);
}

TEST(modules_too_large, "S3.37 S4.27 no room to move a module: a sentence")
{
	boot_prepare_all(8);
	kernel.info.reserved[0] =
		(struct loam_boot_range){ 0x300000, 0x400000,
					  LOAM_RESERVED_MODULE, "large" };
	kernel.info.reserved_count = 1;
	EXPECT_EQ(boot_now(), -LOAM_ENOMEM);
	EXPECT(strstr(boot_why, "too little memory") != NULL);
}

TEST(bad_range, "X.4 loader data that wraps or has no owner is an error")
{
	boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
	boot_pc_map(LOAM_MIB(64));
	kernel.info.reserved[0] =
		(struct loam_boot_range){ UINT64_MAX - 5, 100,
					  LOAM_RESERVED_MODULE, "wraps" };
	kernel.info.reserved_count = 1;
	EXPECT(boot_now() != 0);
	EXPECT(boot_why != NULL);
}

/* -------- kmalloc above a real address space -------- */

TEST(large, "S4.21 S4.27 large blocks: failing each frame rolls back")
{
	static const size_t sizes[] = { 20000, 65536, 600000 };
	boot_pc(64);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		for (unsigned nth = 1;; nth++) {
			loam_frame_drain(&kernel.frames);
			uint64_t before = loam_frame_free_count(&kernel.frames);
			loam_frame_fail_nth(&kernel.frames, nth);
			void *block = loam_kmalloc(&kernel.kmalloc, sizes[i],
						   LOAM_NOSLEEP);
			uint64_t counted =
				loam_frame_fail_nth(&kernel.frames, 0);
			if (block == NULL) {
				EXPECT_EQ(loam_frame_free_count(&kernel.frames),
					  before);
			}
			loam_kfree(&kernel.kmalloc, block);
			check();
			if (counted < nth) {
				EXPECT(block != NULL);
				break;
			}
		}
	}
}

TEST(vmalloc_misuse, "misuse: bad frees of blocks in the vmalloc window")
{
	boot_pc(64);
	/* Five pages fit no block of the buddy within a quarter. */
	char *block = loam_kmalloc(&kernel.kmalloc, 5 * 4096, 0);
	EXPECT((uintptr_t)block >= boot_virt(0xE0000000u));
	EXPECT_EQ(loam_ksize(&kernel.kmalloc, block), 5 * 4096);
	hosted_log_clear();
	loam_kfree(&kernel.kmalloc, block + 4096);
	EXPECT_LOG("interior free of");
	EXPECT_LOG("inside a kmalloc range of 5 pages");
	EXPECT_LOG("called from");
	EXPECT_EQ(loam_ksize(&kernel.kmalloc, block), 5 * 4096);
	/* What kmalloc made is not vfree's, nor the other way round. */
	hosted_log_clear();
	loam_kspace_vfree(&kernel.kspace, block);
	EXPECT_LOG("vfree of");
	void *other = loam_kspace_vmalloc(&kernel.kspace, 8192, 0,
					  LOAM_OWNED_BY(LOAM_OWNER_STACK));
	hosted_log_clear();
	loam_kfree(&kernel.kmalloc, other);
	EXPECT_LOG("wild free of");
	EXPECT_LOG("the start of a vmalloc range");
	EXPECT_EQ(loam_kspace_vsize(&kernel.kspace, other), 8192);
	loam_kspace_vfree(&kernel.kspace, other);
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&kernel.kmalloc, &stats);
	EXPECT_EQ(stats.large_blocks, 1);
	loam_kfree(&kernel.kmalloc, block);
	hosted_log_clear();
	loam_kfree(&kernel.kmalloc, block);
	EXPECT_LOG("wild free of");
	EXPECT(EMU_FAULTS(*(volatile char *)block));
	check();
}

TEST(high, "S4.31 memory above the direct map is used for large blocks")
{
	boot_pc(512);
	struct loam_zone_stats stats;
	loam_frame_zone_stats(&kernel.frames, LOAM_ZONE_HIGH, &stats);
	EXPECT(stats.managed > 60000);
	static void *block[700];
	unsigned count = 0;
	/* More than the 256 MiB that are directly mapped. */
	while (count < 500) {
		block[count] = loam_kzalloc(&kernel.kmalloc, 700 * 1024, 0);
		if (block[count] == NULL) {
			break;
		}
		memset(block[count], (int)count, 4096);
		count++;
	}
	EXPECT(count > 400);
	for (unsigned i = 0; i < count; i++) {
		EXPECT_EQ(*(unsigned char *)block[i], i & 0xff);
		loam_kfree(&kernel.kmalloc, block[i]);
	}
	check();
}

TEST(shadow, "S4.32 the shadow is real only where slabs are")
{
	boot_pc(256);
	size_t real = kernel.shadow.real_pages;
	EXPECT(real < 8);
	static void *block[4096];
	for (unsigned i = 0; i < 4096; i++) {
		block[i] = loam_kmalloc(&kernel.kmalloc, 256, 0);
	}
	/* 1 MiB of objects: 16 pages of shadow and what was begun. */
	EXPECT(kernel.shadow.real_pages - real <= 18);
	for (unsigned i = 0; i < 4096; i++) {
		loam_kfree(&kernel.kmalloc, block[i]);
	}
	/* Anywhere else it reads as zero and cannot be written. */
	uint8_t *shadow = kernel.slabs.shadow;
	EXPECT_EQ(shadow[LOAM_MIB(200) / 16], 0);
	EXPECT(EMU_FAULTS(*(volatile uint8_t *)&shadow[LOAM_MIB(200) / 16] =
				  1));
	check();
}

static unsigned long shadow_faults;
static void (*real_flush_page)(void *ctx, uintptr_t virt);

/* The moment at which an old translation of the shadow is forgotten. */
static void watch_flush_page(void *ctx, uintptr_t virt)
{
	real_flush_page(ctx, virt);
	if (virt >= kernel.shadow.base &&
	    virt - kernel.shadow.base < kernel.shadow.size) {
		shadow_faults += LOAM_DEBUG &&
				 !loam_lock_held(&kernel.kspace.lock) &&
				 kernel.shadow.flushing == 0;
	}
}

TEST(shadow_flush, "X.6 X.8 no interrupt meets a stale shadow page")
{
	boot_prepare(LOAM_MIB(64), &loam_pt_i386_pse);
	boot_pc_map(LOAM_MIB(64));
	struct loam_tlb_ops ops = emu_tlb_ops;
	real_flush_page = ops.flush_page;
	ops.flush_page = watch_flush_page;
	boot_machine.tlb = &ops;
	EXPECT_EQ(boot_now(), 0);
	shadow_faults = 0;
	size_t real = kernel.shadow.real_pages;
	static void *block[2000];
	for (unsigned i = 0; i < 2000; i++) {
		block[i] = loam_kmalloc(&kernel.kmalloc, 256, 0);
	}
	EXPECT(kernel.shadow.real_pages > real);
	EXPECT_EQ(shadow_faults, 0);
	EXPECT_EQ(kernel.shadow.flushing, 0);
	for (unsigned i = 0; i < 2000; i++) {
		loam_kfree(&kernel.kmalloc, block[i]);
	}
	check();
}

TEST(pressure, "S4.32 slabs are shrunk when frames run out")
{
	boot_pc(8);
	static void *block[16384];
	unsigned count = 0;
	while (count < 16384) {
		block[count] = loam_kmalloc(&kernel.kmalloc, 512, 0);
		if (block[count] == NULL) {
			break;
		}
		count++;
	}
	EXPECT(count > 5000 && count < 16384);
	while (count > 0) {
		loam_kfree(&kernel.kmalloc, block[--count]);
	}
	/* Caches hold some of it; a large block needs most of it. */
	loam_pfn_t pfn[512];
	unsigned got = 0;
	while (got < 512 && (pfn[got] = loam_frame_alloc(&kernel.frames, 0,
							 0)) != LOAM_PFN_NONE) {
		got++;
	}
	EXPECT(got > 400);
	while (got > 0) {
		loam_frame_free(&kernel.frames, pfn[--got], 0);
	}
	exercise();
}

/* -------- real machines -------- */

/* Rows "base length type", hexadecimal; # begins a comment. */
static uint64_t load_map(const char *path)
{
	char line[256];
	uint64_t end = 0;
	FILE *file = fopen(path, "r");
	EXPECT(file != NULL);
	while (fgets(line, sizeof(line), file) != NULL) {
		unsigned long long base;
		unsigned long long length;
		unsigned type;
		if (sscanf(line, "%llx %llx %u", &base, &length, &type) == 3 &&
		    line[0] != '#') {
			boot_entry(base, length, type);
			if (type == LOAM_MEM_USABLE && base + length > end) {
				end = base + length;
			}
		}
	}
	fclose(file);
	return end;
}

static void boot_real(const char *path)
{
	boot_prepare(LOAM_GIB(64), &loam_pt_i386_pse);
	uint64_t end = load_map(path);
	hosted_log_clear();
	int error = boot_now();
	if (error != 0) {
		fprintf(stderr, "# %s: %s\n", path, boot_why);
		/* Only a machine without 5 MiB may be too small. */
		EXPECT(end < LOAM_MIB(5));
		return;
	}
	exercise();
	EXPECT(loam_boot_reclaim(&kernel) > 0);
	check();
}

TEST(real, "S4.31 X.3 machines with real firmware maps come up to kmalloc")
{
	static const char *const names[] = {
#include "memmap_names.h"
	};
	const char *shared = getenv("LOAM_MEMMAPS");
	unsigned count = 0;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(names); i++) {
		char path[512];
		snprintf(path, sizeof(path), "tests/data/memmaps/%s", names[i]);
		if (access(path, R_OK) != 0) {
			snprintf(path, sizeof(path), "%s/%s",
				 shared ? shared : "../shared/memmaps",
				 names[i]);
		}
		if (access(path, R_OK) == 0) {
			boot_real(path);
			count++;
		}
	}
	fprintf(stderr, "# %u real maps\n", count);
	EXPECT(count >= 6);
}

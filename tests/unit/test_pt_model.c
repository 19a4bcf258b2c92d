/* SPDX-License-Identifier: MIT */
/* Page tables against an array: random operations, every geometry. */
#include "pt_fixture.h"

/*
 * The oracle is one array element per page of a few islands of the address
 * space. After each step the tables are checked, and pages around the change
 * and elsewhere are looked at in two ways: by loam_pt_query(), and by accesses
 * of the emulated CPU, whose TLB still has whatever was not flushed.
 */

#define MIB4 LOAM_MIB(4)
#define RW (LOAM_PROT_READ | LOAM_PROT_WRITE)
#define ISLANDS 3u
#define ISLAND_PAGES 4096u /* 16 MiB: parts of up to five tables */
#define STEPS 400u

struct expected {
	bool mapped;
	loam_phys_t phys;
	loam_prot_t prot;
};

static struct pt_fixture fixture;
static struct loam_pt *const pt = &fixture.pt;
static uintptr_t island_base[ISLANDS];
static struct expected oracle[ISLANDS][ISLAND_PAGES];
static uint64_t seed;

/* What an operation is about. */
struct target {
	unsigned island;
	size_t first;
	size_t count;
};

static size_t random_below(size_t limit)
{
	return (size_t)(hosted_random(&seed) >> 16) % limit;
}

static uintptr_t virt_of(unsigned island, size_t page)
{
	return island_base[island] + page * LOAM_PAGE_SIZE;
}

/* Small ranges most of the time; large ones with round ends often. */
static struct target random_target(void)
{
	struct target target;
	target.island = (unsigned)random_below(ISLANDS);
	target.first = random_below(ISLAND_PAGES);
	size_t most = ISLAND_PAGES - target.first;
	switch (random_below(4)) {
	case 0:
		target.first &= ~(size_t)511;
		most = ISLAND_PAGES - target.first;
		target.count = 512 * (1 + random_below(5));
		break;
	case 1:
		target.count = 1 + random_below(2000);
		break;
	default:
		target.count = 1 + random_below(40);
		break;
	}
	if (target.count > most) {
		target.count = most;
	}
	return target;
}

static loam_prot_t random_prot(void)
{
	return (loam_prot_t)random_below(LOAM_PROT_ALL + 1);
}

/* Frames below 4 GiB; with the same alignment as the page, half the time. */
static loam_phys_t random_phys(const struct target *target)
{
	loam_phys_t phys = LOAM_MIB(16) +
			   (loam_phys_t)random_below(400000) * LOAM_PAGE_SIZE;
	if (random_below(2) == 0) {
		phys &= ~(loam_phys_t)(MIB4 - 1);
		phys += virt_of(target->island, target->first) & (MIB4 - 1);
	}
	return phys;
}

/* -------- comparing -------- */

static loam_prot_t granted(loam_prot_t prot)
{
	const struct loam_pt_geometry *g = pt->geometry;
	prot |= LOAM_PROT_READ;
	prot |= g->no_execute == 0 ? LOAM_PROT_EXEC : 0;
	return g->global == 0 ? prot & ~LOAM_PROT_GLOBAL : prot;
}

static uint64_t emulated(uintptr_t virt)
{
	return (uint64_t)(virt - pt->bias);
}

/* One access by the emulated CPU does what the oracle says. */
static void compare_access(uintptr_t virt, const struct expected *page,
			   unsigned access)
{
	loam_prot_t prot = granted(page->prot);
	bool allowed =
		((access & EMU_WRITE) == 0 || (prot & LOAM_PROT_WRITE) != 0) &&
		((access & EMU_USER) == 0 || (prot & LOAM_PROT_USER) != 0) &&
		((access & EMU_FETCH) == 0 || (prot & LOAM_PROT_EXEC) != 0);
	loam_phys_t phys = 0;
	enum emu_fault fault = emu_translate(emulated(virt), access, &phys);
	if (!page->mapped) {
		EXPECT_EQ(fault, EMU_NOT_PRESENT);
	} else if (!allowed) {
		EXPECT_EQ(fault, EMU_PROTECTION);
	} else {
		EXPECT_EQ(fault, EMU_NO_FAULT);
		EXPECT_EQ(phys, page->phys);
	}
}

static void compare_page(unsigned island, size_t number)
{
	const struct expected *page = &oracle[island][number];
	uintptr_t virt = virt_of(island, number);
	struct loam_pt_mapping mapping;
	int result = loam_pt_query(pt, virt, &mapping);
	EXPECT_EQ(result, page->mapped ? 0 : -LOAM_ENOENT);
	if (page->mapped) {
		EXPECT_EQ(mapping.phys, page->phys);
		EXPECT_EQ(mapping.prot, granted(page->prot));
	}
	compare_access(virt, page, (unsigned)random_below(8));
	/* Leaves most translations cached. */
	compare_access(virt, page, 0);
}

/* Pages in the target and beside it, and some anywhere. */
static void compare(const struct target *target)
{
	for (unsigned i = 0; i < 40; i++) {
		size_t page = target->first + random_below(target->count);
		compare_page(target->island, page);
		compare_page((unsigned)random_below(ISLANDS),
			     random_below(ISLAND_PAGES));
	}
	size_t last = target->first + target->count - 1;
	compare_page(target->island, target->first);
	compare_page(target->island, last);
	if (target->first > 0) {
		compare_page(target->island, target->first - 1);
	}
	if (last + 1 < ISLAND_PAGES) {
		compare_page(target->island, last + 1);
	}
}

static int count_run(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		     loam_prot_t prot, size_t page_size)
{
	size_t *pages = arg;
	for (size_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
		unsigned island = 0;
		while ((virt + at - island_base[island]) / LOAM_PAGE_SIZE >=
		       ISLAND_PAGES) {
			island++;
			EXPECT(island < ISLANDS);
		}
		const struct expected *page =
			&oracle[island][(virt + at - island_base[island]) /
					LOAM_PAGE_SIZE];
		EXPECT(page->mapped);
		EXPECT_EQ(page->phys, phys + at);
		EXPECT_EQ(granted(page->prot), prot);
	}
	EXPECT(size % page_size == 0 || page_size > LOAM_PAGE_SIZE);
	*pages += size / LOAM_PAGE_SIZE;
	return 0;
}

/* Every page, by visit: exactly the mapped ones, in the islands. */
static void compare_all(void)
{
	size_t mapped = 0;
	size_t visited = 0;
	for (unsigned island = 0; island < ISLANDS; island++) {
		for (size_t page = 0; page < ISLAND_PAGES; page++) {
			mapped += oracle[island][page].mapped;
		}
		EXPECT_EQ(loam_pt_visit(pt, virt_of(island, 0),
					virt_of(island, ISLAND_PAGES) - 1,
					count_run, &visited),
			  0);
	}
	EXPECT_EQ(visited, mapped);
}

/* -------- operations -------- */

static size_t oracle_mapped(const struct target *target)
{
	size_t mapped = 0;
	for (size_t i = 0; i < target->count; i++) {
		mapped += oracle[target->island][target->first + i].mapped;
	}
	return mapped;
}

enum operation {
	MAP,
	MAP_FRAMES,
	REMAP,
	UNMAP,
	UNMAP_GATHERED,
	PROTECT,
	POPULATE,
	OPERATIONS
};

static void oracle_apply(enum operation operation, const struct target *target,
			 loam_phys_t phys, const loam_pfn_t *pfns,
			 loam_prot_t prot)
{
	for (size_t i = 0; i < target->count; i++) {
		struct expected *page =
			&oracle[target->island][target->first + i];
		loam_phys_t at = phys + (loam_phys_t)i * LOAM_PAGE_SIZE;
		switch (operation) {
		case MAP_FRAMES:
			at = (loam_phys_t)pfns[i] << LOAM_PAGE_SHIFT;
			*page = (struct expected){ true, at, prot };
			break;
		case MAP:
		case REMAP:
			*page = (struct expected){ true, at, prot };
			break;
		case UNMAP:
		case UNMAP_GATHERED:
			page->mapped = false;
			break;
		case PROTECT:
			page->prot = prot;
			break;
		case POPULATE:
		case OPERATIONS:
		default:
			break;
		}
	}
}

static long run(enum operation operation, const struct target *target,
		loam_phys_t phys, const loam_pfn_t *pfns, loam_prot_t prot)
{
	uintptr_t virt = virt_of(target->island, target->first);
	size_t size = target->count * LOAM_PAGE_SIZE;
	switch (operation) {
	case MAP:
		return loam_pt_map(pt, virt, phys, size, prot,
				   random_below(4) != 0);
	case MAP_FRAMES:
		return loam_pt_map_frames(pt, virt, pfns, target->count, prot);
	case REMAP:
		return loam_pt_remap(pt, virt, phys, prot);
	case UNMAP:
		return loam_pt_unmap(pt, virt, size);
	case UNMAP_GATHERED: {
		long pages = loam_pt_unmap_noflush(pt, virt, size);
		loam_pt_flush(pt, virt, size);
		return pages;
	}
	case PROTECT:
		return loam_pt_protect(pt, virt, size, prot);
	case POPULATE:
	case OPERATIONS:
	default:
		return loam_pt_populate(pt, virt, size);
	}
}

static void step(void)
{
	static loam_pfn_t pfns[ISLAND_PAGES];
	struct target target = random_target();
	enum operation operation = (enum operation)random_below(OPERATIONS);
	if (operation == REMAP) {
		target.count = 1;
	}
	loam_prot_t prot = random_prot();
	loam_phys_t phys = random_phys(&target);
	for (size_t i = 0; i < target.count; i++) {
		pfns[i] = (loam_pfn_t)(4096 + random_below(500000));
	}
	size_t mapped = oracle_mapped(&target);
	long expected = 0;
	if (operation == UNMAP || operation == UNMAP_GATHERED) {
		expected = (long)mapped;
	} else if ((operation == MAP || operation == MAP_FRAMES) &&
		   mapped != 0) {
		expected = -LOAM_EEXIST;
	}
	size_t tables = fixture.in_use;
	size_t needed =
		loam_pt_tables_needed(pt, virt_of(target.island, target.first),
				      target.count * LOAM_PAGE_SIZE);
	fixture.fail_nth = random_below(4) == 0 ? 1 + random_below(3) : 0;
	long result = run(operation, &target, phys, pfns, prot);
	if (result == -LOAM_ENOMEM) {
		EXPECT_EQ(fixture.in_use, tables);
	} else {
		EXPECT_EQ(result, expected);
	}
	if (result >= 0) {
		oracle_apply(operation, &target, phys, pfns, prot);
	}
	if (result >= 0 && (operation == POPULATE || operation == MAP_FRAMES)) {
		EXPECT_EQ(fixture.in_use, tables + needed);
	}
	fixture.fail_nth = 0;
	fixture_check(&fixture);
	compare(&target);
}

/*
 * Islands at a round place, at one that is not, and at the very top: of 32
 * bits, or, where pointers reach it, of the 64-bit address space.
 */
static void place_islands(uintptr_t bias)
{
	uint64_t top = pt->geometry->virt_bits > sizeof(uintptr_t) * 8 ||
				       pt->geometry->virt_bits == 32
			       ? UINT64_C(1) << 32
			       : 0;
	size_t size = ISLAND_PAGES * LOAM_PAGE_SIZE;
	pt->bias = bias;
	emu.bias = bias;
	island_base[0] = bias + (uintptr_t)0x40000000u - 2 * MIB4;
	island_base[1] = bias + (uintptr_t)0xD0155000u;
	island_base[2] = bias + (uintptr_t)(top - size);
	memset(oracle, 0, sizeof(oracle));
}

static void run_model(const struct loam_pt_geometry *geometry,
		      enum loam_tlb_policy policy, uintptr_t bias, bool strict)
{
	fixture_start(&fixture, geometry);
	pt->policy = policy;
	place_islands(bias);
	unsigned steps = STEPS;
	if (strict) {
		fixture_be_strict(&fixture);
		steps /= 4; /* each look at a table takes two system calls */
	}
	for (unsigned i = 0; i < steps; i++) {
		step();
	}
	compare_all();
	for (unsigned island = 0; island < ISLANDS; island++) {
		struct target all = { island, 0, ISLAND_PAGES };
		EXPECT_EQ(loam_pt_unmap(pt, virt_of(island, 0),
					ISLAND_PAGES * LOAM_PAGE_SIZE),
			  (long)oracle_mapped(&all));
		oracle_apply(UNMAP, &all, 0, NULL, 0);
		compare(&all);
	}
	fixture_end(&fixture);
}

TEST(i386, "S3.33 X.6 random operations equal the array: i386")
{
	seed = 1;
	run_model(&loam_pt_i386, LOAM_TLB_AUTO, 0, false);
	run_model(&loam_pt_i386, LOAM_TLB_CR3, 0, true);
}

TEST(i386_pse, "S3.33 X.6 random operations equal the array: 4 MiB pages")
{
	seed = 2;
	run_model(&loam_pt_i386_pse, LOAM_TLB_AUTO, 0, true);
	run_model(&loam_pt_i386_pse, LOAM_TLB_INVLPG, 0, false);
	run_model(&loam_pt_i386_pse, LOAM_TLB_AUTO,
		  (uintptr_t)0xA5C00000u << (sizeof(uintptr_t) * 4 - 16),
		  false);
}

TEST(pae, "S3.33 X.6 random operations equal the array: PAE")
{
	seed = 3;
	run_model(&loam_pt_i386_pae, LOAM_TLB_AUTO, 0, true);
	run_model(&loam_pt_i386_pae, LOAM_TLB_AUTO, 0, false);
}

TEST(x86_64, "S3.33 X.6 random operations equal the array: x86-64")
{
	seed = 4;
	run_model(&loam_pt_x86_64, LOAM_TLB_AUTO, 0, false);
	run_model(&loam_pt_x86_64, LOAM_TLB_INVLPG, 0, true);
}

TEST(la57, "S3.33 X.6 random operations equal the array: five levels")
{
	seed = 5;
	run_model(&loam_pt_x86_64_la57, LOAM_TLB_AUTO, 0, false);
}

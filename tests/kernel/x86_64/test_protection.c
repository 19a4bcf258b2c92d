/* SPDX-License-Identifier: MIT */
/* What this CPU keeps the kernel from: SMEP, SMAP, no-execute, read-only. */

#include <loam/bits.h>

#include "arch.h"
#include "ktest.h"
#include "mmu.h"
#include "spaces.h"
#include "task.h"
#include "usercopy.h"

/* By the machine, between usercopy_begin and usercopy_end. */
int usercopy_bytes(void *to, const void *from, size_t size_bytes);

#define CODE_RETURN 0xC3u

static void touch_read(void *at)
{
	(void)*(volatile const unsigned char *)at;
}

static void touch_write(void *at)
{
	*(volatile unsigned char *)at = CODE_RETURN;
}

static void touch_run(void *at)
{
	((void (*)(void))(uintptr_t)at)();
}

/* -------- programs' pages -------- */

/* Three pages of a program's, in a space that is loaded for the test. */
enum page { PAGE_ALL, PAGE_READ, PAGE_NONE, PAGES };

static struct {
	struct loam_proc space;
	unsigned char *pages[PAGES];
	uintptr_t root;
	uintptr_t state;
} user;

static unsigned char *user_map(loam_prot_t prot)
{
	const struct loam_map_request request = {
		.size = LOAM_PAGE_SIZE,
		.prot = prot,
		.flags = LOAM_REGION_POPULATE | LOAM_REGION_GUARD,
		.kind = LOAM_REGION_ANONYMOUS,
	};
	uintptr_t start;

	EXPECT_EQ(loam_proc_map(&user.space, &request, &start), 0);
	return (unsigned char *)start;
}

/* From here to user_end() nobody else runs, and nothing is expected. */
static void user_begin(void)
{
	const loam_prot_t all =
		LOAM_PROT_READ | LOAM_PROT_WRITE | LOAM_PROT_EXEC;
	const unsigned char code = CODE_RETURN;

	EXPECT_EQ(loam_proc_create(&spaces, &user.space, "test"), 0);
	user.pages[PAGE_ALL] = user_map(all);
	user.pages[PAGE_READ] = user_map(all);
	user.pages[PAGE_NONE] = user_map(all);
	for (unsigned i = 0; i < PAGES; i++) {
		EXPECT_EQ(loam_proc_copy_out(&user.space,
					     (uintptr_t)user.pages[i], &code,
					     1),
			  0);
	}
	EXPECT_EQ(loam_proc_protect(&user.space,
				    (uintptr_t)user.pages[PAGE_READ],
				    LOAM_PAGE_SIZE, LOAM_PROT_READ),
		  0);
	EXPECT_EQ(loam_proc_protect(&user.space,
				    (uintptr_t)user.pages[PAGE_NONE],
				    LOAM_PAGE_SIZE, 0),
		  0);
	user.root = cpu_read_cr3();
	user.state = task_lock();
	loam_proc_enter(&user.space);
	mmu_load_root(loam_proc_root(&user.space));
}

static void user_end(void)
{
	mmu_load_root(user.root);
	loam_proc_leave(&user.space);
	task_unlock(user.state);
	loam_proc_destroy(&user.space);
}

/* What touching it comes to: 0 for nothing, or 1 and the error code above. */
static uint32_t user_touch(void (*touch)(void *at), enum page page)
{
	struct trap_report report;

	if (!trap_expect(touch, user.pages[page], &report)) {
		return 0;
	}
	bool right = report.vector == TRAP_PAGE_FAULT &&
		     report.address == (uintptr_t)user.pages[page];
	return right ? 1 | report.error << 1 : UINT32_MAX;
}

KTEST(protect_user,
      "S4.30 the kernel neither touches nor runs a program's page")
{
	uint32_t seen[3];
	uint64_t before = ktest_free_frames();

	user_begin();
	seen[0] = user_touch(touch_read, PAGE_ALL);
	seen[1] = user_touch(touch_write, PAGE_ALL);
	seen[2] = user_touch(touch_run, PAGE_ALL);
	user_end();
	if (!cpu_features.smap && !cpu_features.smep) {
		EXPECT(seen[0] == 0 && seen[1] == 0 && seen[2] == 0);
		ktest_skip("this CPU has neither SMAP nor SMEP");
	}
	if (cpu_features.smap) {
		EXPECT_EQ(seen[0], 1 | TRAP_PF_PRESENT << 1);
		EXPECT_EQ(seen[1], 1 | (TRAP_PF_PRESENT | TRAP_PF_WRITE) << 1);
	}
	if (cpu_features.smep) {
		EXPECT_EQ(seen[2], 1 | (TRAP_PF_PRESENT | TRAP_PF_FETCH) << 1);
	}
	EXPECT_EQ(ktest_free_frames(), before);
}

KTEST(protect_copies,
      "S4.30 copies get through, with the program's rights alone")
{
	unsigned char bytes[40];
	unsigned char back[40];
	int errors[4];
	uintptr_t flags[2];
	uint32_t after;

	for (unsigned i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (unsigned char)(i + 1);
	}
	memset(back, 0, sizeof(back));
	user_begin();
	errors[0] = usercopy_bytes(user.pages[PAGE_ALL] + 3, bytes, 39);
	errors[1] = usercopy_bytes(back, user.pages[PAGE_ALL] + 3, 39);
	flags[0] = cpu_read_eflags();
	/* Read-only for the kernel too; and not there at all. */
	errors[2] = usercopy_bytes(user.pages[PAGE_READ], bytes, 8);
	errors[3] =
		usercopy_bytes(back, user.pages[PAGE_ALL] + LOAM_PAGE_SIZE, 8);
	flags[1] = cpu_read_eflags();
	after = user_touch(touch_read, PAGE_ALL);
	user_end();
	EXPECT_EQ(errors[0], 0);
	EXPECT_EQ(errors[1], 0);
	EXPECT(memcmp(back, bytes, 39) == 0 && back[39] == 0);
	EXPECT_EQ(errors[2], -LOAM_EFAULT);
	EXPECT_EQ(errors[3], -LOAM_EFAULT);
	/* The door is shut again, whichever way the copy ended. */
	EXPECT_EQ((flags[0] | flags[1]) & CPU_EFLAGS_AC, 0);
	EXPECT_EQ(after != 0, cpu_features.smap);
}

KTEST(protect_user_rights, "S4.30 a read-only page is so for the kernel too")
{
	uint32_t seen;

	user_begin();
	if (cpu_features.smap) {
		__asm__ volatile("stac");
	}
	seen = user_touch(touch_write, PAGE_READ);
	if (cpu_features.smap) {
		__asm__ volatile("clac");
	}
	user_end();
	EXPECT_EQ(seen, 1 | (TRAP_PF_PRESENT | TRAP_PF_WRITE) << 1);
}

/* -------- the kernel's own pages -------- */

KTEST(protect_bits, "the CPU's protections are on as far as it has them")
{
	uintptr_t cr4 = cpu_read_cr4();

	EXPECT((cpu_read_cr0() & CPU_CR0_WP) != 0);
	EXPECT_EQ((cr4 & CPU_CR4_SMEP) != 0, cpu_features.smep);
	EXPECT_EQ((cr4 & CPU_CR4_SMAP) != 0, cpu_features.smap);
	EXPECT_EQ((cr4 & CPU_CR4_PGE) != 0, cpu_features.pge);
	EXPECT_EQ(kernel.pt.geometry->no_execute != 0, cpu_features.nx);
}

static void expect_no_run(const void *at)
{
	struct trap_report report;

	EXPECT(trap_expect(touch_run, (void *)(uintptr_t)at, &report));
	EXPECT_EQ(report.vector, TRAP_PAGE_FAULT);
	EXPECT_EQ(report.address, (uintptr_t)at);
	EXPECT_EQ(report.error, TRAP_PF_PRESENT | TRAP_PF_FETCH);
}

KTEST(protect_execute, "only text is executed: no data, no heap, no stack")
{
	static unsigned char data[] = { CODE_RETURN };
	static const unsigned char constant[] = { CODE_RETURN };
	unsigned char local[] = { CODE_RETURN };
	unsigned char *block = kmalloc(64);
	unsigned char *range = vmalloc(LOAM_PAGE_SIZE);

	EXPECT(block != NULL && range != NULL);
	block[0] = CODE_RETURN;
	range[0] = CODE_RETURN;
	if (!cpu_features.nx) {
		touch_run(block);
		kfree(block);
		vfree(range);
		ktest_skip("this CPU executes every page");
	}
	expect_no_run(data);
	expect_no_run(constant);
	expect_no_run(local);
	expect_no_run(block);
	expect_no_run(range);
	/* Text has a second address, in the direct map. */
	expect_no_run(
		(void *)PHYS_TO_VIRT(VIRT_TO_PHYS((uintptr_t)text_start)));
	kfree(block);
	vfree(range);
}

/* -------- all of the map -------- */

struct rights {
	uintptr_t executable; /* bytes */
	unsigned both;        /* runs that can be written and executed */
	unsigned local;       /* runs that are not global */
	unsigned users;
	uintptr_t outside; /* an executable page that is not text, or 0 */
};

static int visit_rights(void *arg, uintptr_t virt, size_t size,
			loam_phys_t phys, loam_prot_t prot, size_t page_size)
{
	struct rights *rights = arg;
	bool write = (prot & LOAM_PROT_WRITE) != 0;
	bool exec = (prot & LOAM_PROT_EXEC) != 0;

	(void)phys;
	(void)page_size;
	rights->both += write && exec;
	rights->local += (prot & LOAM_PROT_GLOBAL) == 0;
	rights->users += (prot & LOAM_PROT_USER) != 0;
	if (exec) {
		rights->executable += size;
		if (virt < (uintptr_t)text_start ||
		    virt + size > (uintptr_t)text_end) {
			rights->outside = virt;
		}
	}
	return 0;
}

KTEST(protect_map, "S4.19 no page is written and executed, all are global")
{
	struct rights rights = { 0 };

	EXPECT_EQ(loam_pt_visit(&kernel.pt, KERNEL_SPACE_BASE, UINTPTR_MAX,
				visit_rights, &rights),
		  0);
	EXPECT_EQ(rights.users, 0);
	EXPECT_EQ(rights.local, 0);
	if (!cpu_features.nx) {
		ktest_skip("this CPU executes every page");
	}
	EXPECT_EQ(rights.both, 0);
	EXPECT_EQ(rights.outside, 0);
	EXPECT_EQ(rights.executable,
		  (uintptr_t)text_end - (uintptr_t)text_start);
}

static int visit_large(void *arg, uintptr_t virt, size_t size, loam_phys_t phys,
		       loam_prot_t prot, size_t page_size)
{
	uint64_t *bytes = arg;
	unsigned level = page_size == LOAM_GIB(1)   ? 2
			 : page_size == LOAM_MIB(2) ? 1
						    : 0;

	(void)virt;
	(void)phys;
	(void)prot;
	bytes[level] += size;
	return 0;
}

/* Whole units of a size in the usable ranges of the map. */
static uint64_t whole_units(uint64_t unit)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < kernel.memmap.count; i++) {
		const struct loam_mem_range *range = &kernel.memmap.ranges[i];
		uint64_t first = loam_round_up(range->base, unit);
		uint64_t end = (range->base + range->size) / unit * unit;
		if (range->type == LOAM_MEM_USABLE && first < end) {
			bytes += end - first;
		}
	}
	return bytes;
}

KTEST(protect_sizes,
      "the direct map is in pages as large as CPU and memory have")
{
	uint64_t bytes[3] = { 0, 0, 0 };
	uint64_t most = whole_units(LOAM_GIB(1));

	EXPECT_EQ(loam_pt_visit(&kernel.pt, KERNEL_BASE,
				KERNEL_BASE + (KERNEL_DIRECT_SIZE - 1),
				visit_large, bytes),
		  0);
	/* Kernel text and guards are in the first of 2 MiB pages. */
	EXPECT(bytes[1] + bytes[2] + LOAM_MIB(4) >= whole_units(LOAM_MIB(2)));
	if (!cpu_features.page1gb) {
		EXPECT_EQ(bytes[2], 0);
		ktest_skip("this CPU has no pages of 1 GiB");
	}
	EXPECT(bytes[2] >= most);
	EXPECT(bytes[2] % LOAM_GIB(1) == 0);
}

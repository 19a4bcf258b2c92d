/* SPDX-License-Identifier: MIT */
/* Random operations on several address spaces, against a naive model. */
#include "proc_fixture.h"

/*
 * The model knows of each page of a small window of each space whether it is
 * mapped, with which rights, and the number in its first word; pages of the
 * shared object are known by their place in it. After each step a few pages are
 * read through the emulated MMU, whose TLB remembers what it is not told to
 * forget, and the floor checks itself.
 */
#define SPACES 4u
#define WINDOW_PAGES 96u
#define SHARED_PAGES 16u
/* The window lies across a boundary between two page tables of any geometry. */
#define WINDOW ((uintptr_t)0x20400000 - 48 * PAGE)

struct model_page {
	bool mapped;
	bool writable;
	bool readable;
	int shared; /* page of the object, or -1 */
	uint32_t value;
};

struct model_space {
	bool live;
	struct loam_proc proc;
	struct model_page pages[WINDOW_PAGES];
};

static struct model_space spaces[SPACES];
static uint32_t shared_values[SHARED_PAGES];
static struct loam_shared *object;
static uint64_t state;
static uint32_t stamp;

static unsigned pick(unsigned n)
{
	return (unsigned)(hosted_random(&state) % n);
}

static uintptr_t address_of(unsigned page)
{
	return WINDOW + page * PAGE;
}

static struct model_space *some_space(void)
{
	unsigned first = pick(SPACES);
	for (unsigned i = 0; i < SPACES; i++) {
		struct model_space *space = &spaces[(first + i) % SPACES];
		if (space->live) {
			return space;
		}
	}
	return NULL;
}

static uint32_t model_value(const struct model_page *page)
{
	return page->shared >= 0 ? shared_values[page->shared] : page->value;
}

static void model_store(struct model_page *page, uint32_t value)
{
	if (page->shared >= 0) {
		shared_values[page->shared] = value;
	} else {
		page->value = value;
	}
}

/* Reads or writes one page as the process would. */
static void step_access(struct model_space *space, unsigned at, bool write)
{
	struct model_page *page = &space->pages[at];
	bool allowed =
		page->mapped && (write ? page->writable : page->readable);
	if (!allowed) {
		expect_bad(&space->proc, address_of(at), write);
	} else if (write) {
		poke(&space->proc, address_of(at), ++stamp);
		model_store(page, stamp);
	} else {
		EXPECT_EQ(peek(&space->proc, address_of(at)),
			  model_value(page));
	}
}

/* The kernel's copies see the same, with the same rights. */
static void step_copy(struct model_space *space, unsigned at, bool write)
{
	struct model_page *page = &space->pages[at];
	uint32_t value = ++stamp;
	bool allowed =
		page->mapped && (write ? page->writable : page->readable);
	int error = write ? loam_proc_copy_out(&space->proc, address_of(at),
					       &value, sizeof(value))
			  : loam_proc_copy_in(&space->proc, &value,
					      address_of(at), sizeof(value));
	EXPECT_EQ(error, allowed ? 0 : -LOAM_EFAULT);
	if (allowed && write) {
		model_store(page, value);
	} else if (allowed) {
		EXPECT_EQ(value, model_value(page));
	}
}

static void model_set(struct model_space *space, unsigned at, unsigned count,
		      const struct model_page *page)
{
	for (unsigned i = 0; i < count; i++) {
		space->pages[at + i] = *page;
		if (page->shared >= 0) {
			space->pages[at + i].shared = page->shared + (int)i;
		}
	}
}

static void step_map(struct model_space *space, unsigned at, unsigned count)
{
	bool shared = pick(4) == 0 && count <= SHARED_PAGES;
	bool writable = pick(3) != 0;
	unsigned offset = shared ? pick(SHARED_PAGES - count + 1) : 0;
	struct loam_map_request request = {
		.start = address_of(at),
		.size = count * PAGE,
		.prot = writable ? RW : LOAM_PROT_READ,
		.flags = FIXED | (pick(8) == 0 ? LOAM_REGION_POPULATE : 0),
		.kind = shared ? LOAM_REGION_SHARED : LOAM_REGION_ANONYMOUS,
		.offset = offset * PAGE,
		.shared = shared ? object : NULL,
	};
	uintptr_t start;
	EXPECT_EQ(loam_proc_map(&space->proc, &request, &start), 0);
	model_set(space, at, count,
		  &(struct model_page){
			  .mapped = true,
			  .readable = true,
			  .writable = writable,
			  .shared = shared ? (int)offset : -1,
		  });
}

static void step_unmap(struct model_space *space, unsigned at, unsigned count)
{
	EXPECT_EQ(loam_proc_unmap(&space->proc, address_of(at), count * PAGE),
		  0);
	model_set(space, at, count, &(struct model_page){ .shared = -1 });
}

static bool model_is_mapped(const struct model_space *space, unsigned at,
			    unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!space->pages[at + i].mapped) {
			return false;
		}
	}
	return true;
}

static void step_protect(struct model_space *space, unsigned at, unsigned count)
{
	static const loam_prot_t prots[] = { 0, LOAM_PROT_READ, RW, RW };
	loam_prot_t prot = prots[pick(4)];
	int error = loam_proc_protect(&space->proc, address_of(at),
				      count * PAGE, prot);
	if (!model_is_mapped(space, at, count)) {
		EXPECT_EQ(error, -LOAM_ENOMEM);
		return;
	}
	EXPECT_EQ(error, 0);
	for (unsigned i = 0; i < count; i++) {
		space->pages[at + i].readable = prot != 0;
		space->pages[at + i].writable = prot == RW;
	}
}

static void step_dont_need(struct model_space *space, unsigned at,
			   unsigned count)
{
	int error = loam_proc_advise(&space->proc, address_of(at), count * PAGE,
				     LOAM_ADVISE_DONT_NEED);
	if (!model_is_mapped(space, at, count)) {
		EXPECT_EQ(error, -LOAM_ENOMEM);
		return;
	}
	EXPECT_EQ(error, 0);
	for (unsigned i = 0; i < count; i++) {
		space->pages[at + i].value = 0;
	}
}

/* Grows part of a region in place, where that is possible. */
static void step_remap(struct model_space *space, unsigned at, unsigned count)
{
	uintptr_t out;
	unsigned most = WINDOW_PAGES - at - count;
	unsigned more = pick(4);
	more = more < most ? more : most;
	uintptr_t start = address_of(at);
	int error = loam_proc_remap(&space->proc, start, count * PAGE,
				    (count + more) * PAGE, 0, &out);
	if (error == 0 && more > 0) {
		/* It grew where it is: so there was room. */
		EXPECT(model_is_mapped(space, at, count));
		for (unsigned i = 0; i < more; i++) {
			struct model_page *page = &space->pages[at + count + i];
			EXPECT(!page->mapped);
			*page = space->pages[at + count - 1];
			page->value = 0;
			page->shared += page->shared >= 0 ? (int)i + 1 : 0;
		}
	} else if (error != 0) {
		EXPECT(error == -LOAM_EFAULT || error == -LOAM_ENOMEM ||
		       error == -LOAM_EINVAL);
	}
}

static void step_fork(struct model_space *space)
{
	for (unsigned i = 0; i < SPACES; i++) {
		if (!spaces[i].live) {
			EXPECT_EQ(loam_proc_fork(&space->proc, &spaces[i].proc,
						 "child"),
				  0);
			spaces[i].live = true;
			memcpy(spaces[i].pages, space->pages,
			       sizeof(space->pages));
			return;
		}
	}
}

static void step_end(struct model_space *space)
{
	unsigned live = 0;
	for (unsigned i = 0; i < SPACES; i++) {
		live += spaces[i].live;
	}
	if (live > 1) {
		destroy(&space->proc);
		space->live = false;
	}
}

static void step(void)
{
	struct model_space *space = some_space();
	unsigned at = pick(WINDOW_PAGES);
	unsigned most = WINDOW_PAGES - at;
	unsigned count = 1 + pick(most < 20 ? most : 20);
	switch (pick(24)) {
	case 0:
	case 1:
		step_map(space, at, count);
		break;
	case 2:
		step_unmap(space, at, count);
		break;
	case 3:
		step_protect(space, at, count);
		break;
	case 4:
		step_dont_need(space, at, count);
		break;
	case 5:
		step_remap(space, at, count);
		break;
	case 6:
		step_fork(space);
		break;
	case 7:
		step_end(space);
		break;
	case 8:
		step_copy(space, at, true);
		break;
	case 9:
		step_copy(space, at, false);
		break;
	default:
		step_access(space, at, pick(2) != 0);
		break;
	}
}

static void run_model(const struct loam_pt_geometry *geometry, unsigned steps,
		      uint64_t seed)
{
	proc_start(geometry, MEMORY);
	memset(spaces, 0, sizeof(spaces));
	memset(shared_values, 0, sizeof(shared_values));
	state = seed;
	object = loam_shared_create(&machine.procs, SHARED_PAGES);
	EXPECT(object != NULL);
	EXPECT_EQ(loam_proc_create(&machine.procs, &spaces[0].proc, "first"),
		  0);
	spaces[0].live = true;
	model_set(&spaces[0], 0, WINDOW_PAGES,
		  &(struct model_page){ .shared = -1 });
	for (unsigned i = 0; i < steps; i++) {
		step();
		if (i % 16 == 0) {
			proc_check_all();
		}
	}
	for (unsigned i = 0; i < SPACES; i++) {
		for (unsigned at = 0; spaces[i].live && at < WINDOW_PAGES;
		     at++) {
			step_access(&spaces[i], at, false);
		}
	}
	for (unsigned i = 0; i < SPACES; i++) {
		if (spaces[i].live) {
			destroy(&spaces[i].proc);
		}
	}
	loam_shared_put(object);
	proc_end();
}

TEST(i386, "S4.33 S4.34 X.6 random operations in several spaces on i386")
{
	run_model(&loam_pt_i386, 60000, 1);
	run_model(&loam_pt_i386_pse, 20000, 2);
}

TEST(pae, "S4.33 S4.34 X.6 random operations in several spaces under PAE")
{
	run_model(&loam_pt_i386_pae, 60000, 3);
}

TEST(x86_64, "S4.33 S4.34 X.6 random operations in several spaces on x86-64")
{
	if (PROC_GEOMETRIES < 3) {
		test_skip("needs a 64-bit host");
	}
	run_model(&loam_pt_x86_64, 60000, 4);
	run_model(&loam_pt_x86_64_la57, 20000, 5);
}

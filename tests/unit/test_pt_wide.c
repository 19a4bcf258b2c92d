/* SPDX-License-Identifier: MIT */
/* Entries of 8 bytes, looked at after every instruction that changes them. */
#include <loam/pt_leaf.h>
#include <signal.h>

#include "test.h"

#include "pt_fixture.h"

/*
 * An interrupt may come between any two instructions, and use what is mapped;
 * and another CPU's MMU sees an entry as the stores leave it, one after the
 * other. So the CPU is told to trap after each instruction, and the signal that
 * this becomes looks at the entry.
 */
#define TRAP_FLAG 0x100

static struct {
	volatile uint64_t *entry;
	uint64_t values[4]; /* all that may be seen, but for what is absent */
	unsigned looks;
	unsigned absent;
	unsigned strange;
} watch;

static void watch_look(int number)
{
	(void)number;
	uint64_t seen = *watch.entry;
	bool known = false;
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(watch.values); i++) {
		known |= watch.values[i] == seen;
	}
	watch.looks++;
	watch.absent += (seen & loam_pt_i386_pae.present) == 0;
	watch.strange += (seen & loam_pt_i386_pae.present) != 0 && !known;
}

/* The flags are pushed below what a function may have below its stack. */
static LOAM_ALWAYS_INLINE void watch_begin(void)
{
#ifdef __i386__
	__asm__ volatile("pushfl\n\torl %0, (%%esp)\n\tpopfl"
			 :
			 : "i"(TRAP_FLAG)
			 : "memory", "cc");
#else
	__asm__ volatile("subq $128, %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\t"
			 "popfq\n\taddq $128, %%rsp"
			 :
			 : "i"(TRAP_FLAG)
			 : "memory", "cc");
#endif
}

static LOAM_ALWAYS_INLINE void watch_end(void)
{
#ifdef __i386__
	__asm__ volatile("pushfl\n\tandl %0, (%%esp)\n\tpopfl"
			 :
			 : "i"(~TRAP_FLAG)
			 : "memory", "cc");
#else
	__asm__ volatile("subq $128, %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\t"
			 "popfq\n\taddq $128, %%rsp"
			 :
			 : "i"(~TRAP_FLAG)
			 : "memory", "cc");
#endif
}

static struct pt_fixture one;

#define AT ((uintptr_t)0x400000)
#define RW (LOAM_PROT_READ | (loam_prot_t)LOAM_PROT_WRITE)

/* Frames whose numbers differ in both halves of an entry. */
static const loam_phys_t frames[2] = { 0x123456000, 0x6789ab000 };

/* One page of PAE is mapped, and its entry is watched. */
static void watch_start(struct loam_pt_leaf *leaf)
{
	struct sigaction action = { .sa_handler = watch_look };
	EXPECT_EQ(sigaction(SIGTRAP, &action, NULL), 0);
	fixture_start(&one, &loam_pt_i386_pae);
	EXPECT_EQ(
		loam_pt_map(&one.pt, AT, frames[0], LOAM_PAGE_SIZE, RW, false),
		0);
	EXPECT(loam_pt_leaf_find(&one.pt, AT, leaf));
	memset(&watch, 0, sizeof(watch));
	watch.entry = (uint64_t *)leaf->entries + leaf->index;
	/* 0 and 1, 2 and 3: another frame; 0 and 2, 1 and 3: another use. */
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(watch.values); i++) {
		watch.values[i] = loam_pt_leaf_encode(
			&one.pt, frames[i & 1],
			i < 2 ? RW : LOAM_PROT_READ | LOAM_PROT_EXEC);
	}
}

static void watch_stop(void)
{
	EXPECT(watch.looks > 2);
	EXPECT_EQ(watch.strange, 0);
	fixture_end(&one);
}

TEST(replace, "S4.20 a present entry becomes any other in a single step")
{
	struct loam_pt_leaf leaf;
	watch_start(&leaf);
	for (unsigned from = 0; from < 4; from++) {
		for (unsigned to = 0; to < 4; to++) {
			loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index,
					   watch.values[from]);
			watch_begin();
			loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index,
					   watch.values[to]);
			watch_end();
			EXPECT_EQ(*watch.entry, watch.values[to]);
		}
	}
	EXPECT_EQ(watch.absent, 0);
	watch_stop();
}

TEST(remap, "S4.20 a page that gets another frame is there all the time")
{
	struct loam_pt_leaf leaf;
	int error[3];
	watch_start(&leaf);
	watch_begin();
	error[0] = loam_pt_remap(&one.pt, AT, frames[1], RW);
	error[1] = loam_pt_protect(&one.pt, AT, LOAM_PAGE_SIZE,
				   LOAM_PROT_READ | LOAM_PROT_EXEC);
	error[2] = loam_pt_remap(&one.pt, AT, frames[0], RW);
	watch_end();
	EXPECT_EQ(error[0], 0);
	EXPECT_EQ(error[1], 0);
	EXPECT_EQ(error[2], 0);
	EXPECT_EQ(*watch.entry, watch.values[0]);
	EXPECT_EQ(watch.absent, 0);
	watch_stop();
}

TEST(absent, "S4.20 pages come and go without half an entry in between")
{
	struct loam_pt_leaf leaf;
	watch_start(&leaf);
	watch_begin();
	long pages = loam_pt_unmap(&one.pt, AT, LOAM_PAGE_SIZE);
	int error =
		loam_pt_map(&one.pt, AT, frames[1], LOAM_PAGE_SIZE, RW, false);
	loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index, 0);
	loam_pt_leaf_store(&one.pt, leaf.entries, leaf.index, watch.values[2]);
	watch_end();
	EXPECT_EQ(pages, 1);
	EXPECT_EQ(error, 0);
	EXPECT(watch.absent != 0);
	EXPECT_EQ(*watch.entry, watch.values[2]);
	watch_stop();
}

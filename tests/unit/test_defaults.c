/* SPDX-License-Identifier: MIT */
/* The seam's defaults, which the hosted platform's functions replace. */

/*
 * The source itself, with functions under other names than the platform's.
 * Its types keep theirs, which no parenthesis follows.
 */
#define loam_host_lock(x) default_lock(x)
#define loam_host_unlock(x) default_unlock(x)
#define loam_host_cpu(x) default_cpu(x)
#define loam_host_tlb_shootdown(x, y, z) default_tlb_shootdown(x, y, z)
#define loam_host_log(x, y) default_log(x, y)
#include "../../src/host/defaults.c"
#undef loam_host_lock
#undef loam_host_unlock
#undef loam_host_cpu
#undef loam_host_tlb_shootdown
#undef loam_host_log

#include "test.h"

TEST(lock, "X.8 the default lock is none: no words change, taking it nests")
{
	struct loam_host_lock lock = { { 0, 0x1234 } };
	default_lock(&lock);
	default_lock(&lock);
	default_unlock(&lock);
	default_unlock(&lock);
	EXPECT_EQ(lock.word[0], 0);
	EXPECT_EQ(lock.word[1], 0x1234);
}

TEST(cpu, "the default CPU is 0, whoever asks")
{
	hosted_cpu = 3;
	EXPECT_EQ(default_cpu(), 0);
}

TEST(quiet,
     "the default log discards, the default shootdown has nobody to tell")
{
	unsigned long before = hosted_shootdowns;
	default_log(LOAM_LOG_ERROR, "nobody sees this");
	default_tlb_shootdown(0x1000, 0, 0);
	EXPECT(!hosted_log_contains("nobody"));
	EXPECT_EQ(hosted_shootdowns, before);
}

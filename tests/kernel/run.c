/* SPDX-License-Identifier: MIT */
/* Runs programs for tests, and counts what they leave. */

#include "images.h"
#include "ktest.h"
#include "process.h"
#include "programs.h"
#include "run.h"

/* What a program that forks a little needs, and its kernel. */
#define LEAST_FRAMES (LOAM_MIB(8) / LOAM_PAGE_SIZE)

int run_start(const char *line, bool joined)
{
	char word[64];

	if (!programs_exist()) {
		ktest_skip("no programs were loaded");
	}
	if (loam_frame_free_count(&kernel.frames) < LEAST_FRAMES) {
		ktest_skip("there is too little memory for programs");
	}
	struct process_arguments *arguments = kzalloc(sizeof(*arguments));
	EXPECT(arguments != NULL);
	while (*line != '\0') {
		size_t length = 0;
		while (*line != '\0' && *line != ' ') {
			EXPECT(length + 1 < sizeof(word));
			word[length++] = *line++;
		}
		word[length] = '\0';
		line += *line == ' ' ? 1 : 0;
		EXPECT_EQ(process_add_argument(arguments, word), 0);
	}
	int pid = process_spawn(arguments->text, arguments, NULL, joined);
	kfree(arguments);
	return pid;
}

uint32_t run_program(const char *line)
{
	int pid = run_start(line, true);

	if (pid == -LOAM_ENOMEM) {
		ktest_skip("not enough memory for the program");
	}
	EXPECT(pid > 0);
	return process_join(pid);
}

void run_count(struct run_counters *out)
{
	struct loam_kmalloc_stats kmalloc_stats;
	struct loam_kspace_stats kspace_stats;
	struct process_stats processes;
	struct loam_procs_stats procs;
	struct task_stats tasks;

	memset(out, 0, sizeof(*out));
	task_settle();
	images_shrink();
	out->frames = ktest_free_frames();
	loam_kmalloc_stats(&kernel.kmalloc, &kmalloc_stats);
	loam_kspace_stats(&kernel.kspace, &kspace_stats);
	process_stats(&processes);
	loam_procs_stats(&spaces, &procs);
	task_stats(&tasks);
	out->slab_bytes = kmalloc_stats.slab_bytes;
	out->heap_bytes = kmalloc_stats.heap_bytes;
	out->large_bytes = kmalloc_stats.large_bytes;
	out->vmalloc_pages = kspace_stats.own_pages;
	out->ranges = kspace_stats.window.ranges_used;
	loam_frame_count_owners(&kernel.frames, out->owners);
	/* What the slabs' shadow took, it keeps. */
	out->owners[LOAM_OWNER_META] = 0;
	out->owners[LOAM_OWNER_SLAB] = 0;
	/* Where a heap's last block lies says how far it has shrunk. */
	out->owners[LOAM_OWNER_HEAP] = 0;
	out->owners[LOAM_OWNER_NONE] = 0;
	out->tasks = tasks.count;
	out->processes = processes.count;
	out->spaces = procs.count;
}

void run_expect_same(const struct run_counters *before)
{
	struct run_counters after;

	run_count(&after);
	EXPECT_EQ(after.tasks, before->tasks);
	EXPECT_EQ(after.processes, before->processes);
	EXPECT_EQ(after.spaces, before->spaces);
	EXPECT_EQ(after.ranges, before->ranges);
	EXPECT_EQ(after.vmalloc_pages, before->vmalloc_pages);
	EXPECT_EQ(after.slab_bytes, before->slab_bytes);
	EXPECT_EQ(after.heap_bytes, before->heap_bytes);
	EXPECT_EQ(after.large_bytes, before->large_bytes);
	for (unsigned i = 0; i < LOAM_OWNER_COUNT; i++) {
		EXPECT_EQ(after.owners[i], before->owners[i]);
	}
	EXPECT_EQ(after.frames, before->frames);
	EXPECT_EQ(process_check(), 0);
}

void run_expect(const char *line, uint32_t status)
{
	struct run_counters before;

	EXPECT_EQ(run_program(line), status);
	run_count(&before);
	EXPECT_EQ(run_program(line), status);
	run_expect_same(&before);
}

void run_expect_peek(uintptr_t address, const char *how, uint32_t status)
{
	char line[64];

	loam_snprintf(line, sizeof(line), "peek %p%s", (void *)address, how);
	run_expect(line, status);
}

/* SPDX-License-Identifier: MIT */
/* A plugin for QEMU: which cache lines are written by more than one CPU. */

/*
 * The guest calls one function when a window begins and another one when it
 * ends, on each CPU that takes part. Every store that such a CPU makes between
 * the two is noted: of a line of 64 bytes, which CPUs wrote to it. When the
 * last CPU has ended its window, a row goes to the file:
 *
 *	LINES SHARED [ADDRESS:BY...]
 *
 * the number of lines written, of lines written by more than one CPU, and where
 * the first of these are, with the address of the last instruction that wrote.
 *
 *	qemu-system-i386 ... -plugin lines.so,begin=0xc010,end=0xc020,out=FILE
 *
 * It needs an emulator that runs one CPU at a time (-icount, or
 * -accel tcg,thread=single), since it takes no lock. The address is a virtual
 * one, which is the same on all CPUs in a kernel.
 *
 * QEMU's header for plugins comes with its sources alone, so what is used of
 * it, version 1 of the interface, is declared here.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { QEMU_PLUGIN_CB_NO_REGS = 0, QEMU_PLUGIN_MEM_W = 2 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(
	const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(
	uint64_t id, void (*callback)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*callback)(unsigned cpu,
							     void *argument),
					    int registers, void *argument);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*callback)(unsigned cpu,
						       uint32_t info,
						       uint64_t virt,
						       void *argument),
				      int registers, int which, void *argument);

bool qemu_plugin_mem_is_store(uint32_t info);

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

#define LINE_SHIFT 6u
#define TABLE_SIZE 65536u /* lines that a window may write; a power of two */
#define SHOWN 16u

struct line {
	uint64_t number; /* of the address, shifted */
	uint64_t cpus;   /* bit n: CPU n wrote to it; 0: a free place */
	uint64_t by;     /* where the last store to it is in the code */
};

static struct {
	uint64_t begin;
	uint64_t end;
	FILE *out;
	uint64_t inside; /* bit n: CPU n is in the window */
	bool full;
	struct line table[TABLE_SIZE];
} lines;

static void window_begin(unsigned cpu, void *argument)
{
	(void)argument;
	lines.inside |= UINT64_C(1) << cpu;
}

static bool line_is_shared(const struct line *line)
{
	return (line->cpus & (line->cpus - 1)) != 0;
}

static void window_print(void)
{
	unsigned written = 0;
	unsigned shared = 0;

	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		written += lines.table[i].cpus != 0;
		shared += line_is_shared(&lines.table[i]);
	}
	if (lines.full) {
		fprintf(lines.out, "too many\n");
	} else {
		fprintf(lines.out, "%u %u", written, shared);
		unsigned shown = 0;
		for (unsigned i = 0; i < TABLE_SIZE && shown < SHOWN; i++) {
			if (line_is_shared(&lines.table[i])) {
				fprintf(lines.out, " 0x%" PRIx64 ":0x%" PRIx64,
					lines.table[i].number << LINE_SHIFT,
					lines.table[i].by);
				shown++;
			}
		}
		fprintf(lines.out, "\n");
	}
	fflush(lines.out);
}

static void window_end(unsigned cpu, void *argument)
{
	uint64_t bit = UINT64_C(1) << cpu;

	(void)argument;
	if ((lines.inside & bit) == 0) {
		return;
	}
	lines.inside &= ~bit;
	if (lines.inside == 0) {
		window_print();
		lines.full = false;
		memset(lines.table, 0, sizeof(lines.table));
	}
}

/* Its place in the table, or the free one where it would be. NULL: full. */
static struct line *line_find(uint64_t number)
{
	uint64_t at = number * UINT64_C(0x9E3779B97F4A7C15) >> 48;

	for (unsigned i = 0; i < TABLE_SIZE; i++) {
		struct line *line = &lines.table[(at + i) % TABLE_SIZE];
		if (line->cpus == 0 || line->number == number) {
			return line;
		}
	}
	return NULL;
}

static void store(unsigned cpu, uint32_t info, uint64_t virt, void *argument)
{
	uint64_t bit = UINT64_C(1) << cpu;

	/* Some loads come too, although only stores are asked for. */
	if ((lines.inside & bit) == 0 || !qemu_plugin_mem_is_store(info)) {
		return;
	}
	struct line *line = line_find(virt >> LINE_SHIFT);
	if (line == NULL) {
		lines.full = true;
		return;
	}
	line->number = virt >> LINE_SHIFT;
	line->cpus |= bit;
	line->by = (uintptr_t)argument;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);
		if (at == lines.begin || at == lines.end) {
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn,
				at == lines.begin ? window_begin : window_end,
				QEMU_PLUGIN_CB_NO_REGS, NULL);
		}
		qemu_plugin_register_vcpu_mem_cb(
			insn, store, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W,
			(void *)(uintptr_t)at);
	}
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id,
							       const void *info,
							       int argc,
							       char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "begin=", 6) == 0) {
			lines.begin = strtoull(argv[i] + 6, NULL, 0);
		} else if (strncmp(argv[i], "end=", 4) == 0) {
			lines.end = strtoull(argv[i] + 4, NULL, 0);
		} else if (strncmp(argv[i], "out=", 4) == 0) {
			lines.out = fopen(argv[i] + 4, "w");
		}
	}
	if (lines.begin == 0 || lines.end == 0 || lines.out == NULL) {
		fprintf(stderr, "lines: begin=, end= and out= are needed\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}

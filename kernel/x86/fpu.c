/* SPDX-License-Identifier: MIT */
/* Keeps floating-point and SSE registers of programs apart, lazily. */

/*
 * A CPU's registers belong to the task that used them last, its owner. While
 * another one runs, CR0.TS makes its first use trap; the handler saves them for
 * the owner and loads those of the task that runs. So a program that does
 * without never pays, and one that is alone with them pays once.
 *
 * Where a task may go on on another CPU, its registers are saved when it makes
 * way after having used them. They still count as loaded here, until another
 * CPU has loaded them (task->fpu_cpu).
 *
 * A task's area is made at its first use, and what it finds then is the state
 * after FNINIT with all SSE registers zero: nothing of anybody else's.
 *
 * The kernel uses general registers only, but for two loops over pages, which
 * borrow XMM0 to XMM3 and put them back; nothing is preempted in between.
 */

#include <loam/mem.h>

#include "../cpus.h"
#include "../kernel.h"
#include "../task.h"
#include "cpu.h"
#include "fpu.h"

#define FPU_AREA_BYTES 512u /* FXSAVE's; FNSAVE needs 108 */
#define FPU_CONTROL 0x037Fu /* after FNINIT: every exception masked */
#define FPU_MXCSR 0x1F80u
#define FPU_MXCSR_AT 24u

/* In fpu.asm. Both borrow registers that the caller has made accessible. */
void fpu_clear_page_sse2(void *page);
void fpu_copy_page_sse2(void *to, const void *from);

static struct {
	bool present;
	bool fxsr;
	bool sse2;
	unsigned char fresh[FPU_AREA_BYTES]; /* what a first use finds */
} fpu;

static void fpu_set_trapping(struct cpu *cpu, bool on)
{
	if (on == cpu->fpu_trapping) {
		return;
	}
	cpu->fpu_trapping = on;
	if (on) {
		cpu_write_cr0(cpu_read_cr0() | CPU_CR0_TS);
	} else {
		__asm__ volatile("clts" : : : "memory");
	}
}

/* The registers stay as they are. */
static void fpu_save(unsigned char *area)
{
	if (fpu.fxsr) {
		__asm__ volatile("fxsave (%0)" : : "r"(area) : "memory");
	} else {
		__asm__ volatile("fnsave (%0)\n\t"
				 "frstor (%0)"
				 :
				 : "r"(area)
				 : "memory");
	}
}

static void fpu_load(const unsigned char *area)
{
	if (fpu.fxsr) {
		__asm__ volatile("fxrstor (%0)" : : "r"(area) : "memory");
	} else {
		__asm__ volatile("frstor (%0)" : : "r"(area) : "memory");
	}
}

/* A coprocessor answers FNINIT with an empty status word. */
static bool fpu_is_present(void)
{
	uint16_t status = 0xFFFF;

	__asm__ volatile("fninit\n\tfnstsw %0" : "+m"(status));
	return status == 0;
}

void fpu_init_cpu(void)
{
	struct cpu *cpu = cpu_this();

	cpu_write_cr0((cpu_read_cr0() & ~(uintptr_t)(CPU_CR0_EM | CPU_CR0_TS)) |
		      CPU_CR0_MP | CPU_CR0_NE);
	if (fpu.fxsr) {
		cpu_write_cr4(cpu_read_cr4() | CPU_CR4_OSFXSR |
			      CPU_CR4_OSXMMEXCPT);
	}
	if (fpu.present) {
		__asm__ volatile("fninit");
	}
	cpu->fpu_owner = NULL;
	cpu->fpu_trapping = false;
	fpu_set_trapping(cpu, true);
}

void fpu_init(void)
{
	uint32_t id[4] = { 0 };

	if (cpu_features.cpuid) {
		cpu_cpuid(1, id);
	}
	cpu_write_cr0((cpu_read_cr0() & ~(uintptr_t)(CPU_CR0_EM | CPU_CR0_TS)) |
		      CPU_CR0_MP | CPU_CR0_NE);
	fpu.present = fpu_is_present();
	fpu.fxsr = fpu.present && (id[3] & CPU_CPUID_FXSR) != 0;
	fpu.sse2 = fpu.fxsr && (id[3] & CPU_CPUID_SSE2) != 0;
	if (fpu.fxsr) {
		const uint16_t control = FPU_CONTROL;
		const uint32_t mxcsr = FPU_MXCSR;
		memcpy(fpu.fresh, &control, sizeof(control));
		memcpy(fpu.fresh + FPU_MXCSR_AT, &mxcsr, sizeof(mxcsr));
	} else if (fpu.present) {
		fpu_save(fpu.fresh);
	}
	fpu_init_cpu();
}

/* True if what is in the CPU's registers is the task's. */
static bool fpu_holds(const struct cpu *cpu, const struct task *task)
{
	return cpu->fpu_owner == task && task->fpu_cpu == cpu;
}

void fpu_switch(struct task *from, struct task *next)
{
	struct cpu *cpu = cpu_this();

	if (cpus_count > 1 && !cpu->fpu_trapping && fpu_holds(cpu, from)) {
		fpu_save(from->fpu);
	}
	fpu_set_trapping(cpu, !fpu_holds(cpu, next));
}

bool fpu_trap(void)
{
	struct task *task = task_current();

	if (!fpu.present) {
		return false;
	}
	if (task->fpu == NULL) {
		task->fpu = kmalloc(FPU_AREA_BYTES);
		if (task->fpu == NULL) {
			return false;
		}
		memcpy(task->fpu, fpu.fresh, FPU_AREA_BYTES);
	}
	struct cpu *cpu = cpu_this();
	fpu_set_trapping(cpu, false);
	if (!fpu_holds(cpu, task)) {
		if (cpus_count == 1 && cpu->fpu_owner != NULL) {
			fpu_save(cpu->fpu_owner->fpu);
		}
		cpu->fpu_owner = task;
		task->fpu_cpu = cpu;
		fpu_load(task->fpu);
	}
	return true;
}

int fpu_fork(struct task *child)
{
	struct task *task = task_current();

	if (task->fpu == NULL) {
		return 0;
	}
	child->fpu = kmalloc(FPU_AREA_BYTES);
	if (child->fpu == NULL) {
		return -LOAM_ENOMEM;
	}
	uintptr_t state = task_lock();
	if (fpu_holds(cpu_this(), task)) {
		/* It runs, so its registers do not trap. */
		fpu_save(task->fpu);
	}
	memcpy(child->fpu, task->fpu, FPU_AREA_BYTES);
	task_unlock(state);
	return 0;
}

void fpu_forget(struct task *task)
{
	for (unsigned i = 0; i < cpus_count; i++) {
		struct cpu *cpu = &cpus[i];
		if (cpu->fpu_owner == task) {
			cpu->fpu_owner = NULL;
		}
		if (cpu == cpu_this() && cpu->fpu_owner == NULL) {
			fpu_set_trapping(cpu, true);
		}
	}
	kfree(task->fpu);
	task->fpu = NULL;
}

/* -------- the kernel's loan -------- */

/* True if the registers were trapping, which the end restores. */
static bool fpu_borrow(void)
{
	task_keep();
	struct cpu *cpu = cpu_this();
	bool trapping = cpu->fpu_trapping;
	fpu_set_trapping(cpu, false);
	return trapping;
}

static void fpu_give_back(bool trapping)
{
	fpu_set_trapping(cpu_this(), trapping);
	task_unkeep();
}

void fpu_clear_page(void *page)
{
	if (!fpu.sse2) {
		memset(page, 0, LOAM_PAGE_SIZE);
		return;
	}
	bool trapping = fpu_borrow();
	fpu_clear_page_sse2(page);
	fpu_give_back(trapping);
}

void fpu_copy_page(void *to, const void *from)
{
	if (!fpu.sse2) {
		memcpy(to, from, LOAM_PAGE_SIZE);
		return;
	}
	bool trapping = fpu_borrow();
	fpu_copy_page_sse2(to, from);
	fpu_give_back(trapping);
}

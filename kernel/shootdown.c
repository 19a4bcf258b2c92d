/* SPDX-License-Identifier: MIT */
/* Has other CPUs forget translations, by interrupts as few as may be. */

/*
 * A CPU that has changed page tables calls loam_host_tlb_shootdown() and goes
 * on when no other CPU can use what was there before. It asks those that have
 * the tables loaded, all of them if they are the kernel's.
 *
 * Each CPU has one request, for it waits until that is done: what to forget,
 * and a bit for each CPU that has not. It fills it in, sets the bits, and
 * interrupts those CPUs; each clears its bit when it has forgotten. No lock is
 * involved, so that none can be waited for.
 *
 * Batching. `signalled` says that an interrupt is on its way to a CPU; who asks
 * meanwhile does not send another. The CPU clears it before it looks at the
 * requests of all others, so what is asked after that look comes with an
 * interrupt of its own. It does all it finds at once: a single request by
 * pages where they are few, several by forgetting everything.
 *
 * Waiting. Who waits, here or for a lock, has interrupts off and is perhaps
 * waited for: it serves requests in its loop (cpus_serve()). So two CPUs that
 * ask each other, or one that asks while the other wants its lock, both go on.
 *
 * Lazy CPUs. A CPU that runs a kernel thread, or nothing, has the tables of
 * whoever ran before still loaded. When one of these changes, it leaves them
 * for the kernel's instead of forgetting piece by piece, and is not asked
 * again. It must be told once: it might follow a stale entry on its own account
 * into what is no table any more.
 *
 * Sleeping CPUs. An idle CPU waits for an interrupt in the kernel's own tables,
 * and does nothing by itself. It is not woken: `stale` has it forget everything
 * when it wakes, before it touches anything that may have been unmapped. Who
 * sets `stale` looks again whether it still sleeps, and if not asks it as any
 * other; the CPU, when it wakes, clears `asleep` and then looks at `stale`.
 *
 * Who has what loaded is read without a lock. A CPU writes `loading` and then
 * loads the root; who asks has changed the tables and then reads it; a full
 * barrier on both sides. So either the CPU is seen, or it loads the root when
 * the change can be seen.
 *
 * models/shootdown.pml has requests, merged and single, and sleeping CPUs, in
 * every order of their steps; not those who wait for each other, nor lazy ones.
 */

#include <loam/host.h>
#include <loam/pt.h>

#include "cpus.h"
#include "cpu.h"
#include "kernel.h"
#include "lapic.h"
#include "mmu.h"

static bool shootdown_concerns(const struct cpu *cpu, loam_phys_t root)
{
	return root == kernel.pt.root || cpu->root == root ||
	       cpu->loading == root;
}

/* The calling CPU's part of a request, interrupts off. */
static void shootdown_do(struct cpu *cpu, const struct cpu_shootdown *request)
{
	size_t pages = request->size >> LOAM_PAGE_SHIFT;
	const struct loam_tlb_ops *tlb = kernel.pt.tlb;

	if (!shootdown_concerns(cpu, request->root)) {
		return;
	}
	if (request->root != kernel.pt.root && task_drop_lazy_space()) {
		cpu->counters.left++;
		return;
	}
	if (pages == 0 || pages > LOAM_TLB_FULL_THRESHOLD ||
	    tlb->flush_pages == NULL || kernel.pt.policy == LOAM_TLB_CR3) {
		cpu->counters.full++;
		tlb->flush_all(kernel.pt.ctx);
		return;
	}
	cpu->counters.pages += pages;
	tlb->flush_pages(kernel.pt.ctx, request->virt, pages);
}

/* Interrupts are off. */
static void shootdown_serve(struct cpu *cpu)
{
	uint32_t bit = 1u << cpu->number;
	uint32_t found = 0;

	(void)__atomic_exchange_n(&cpu->shootdown.signalled, 0,
				  __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < cpus_count; i++) {
		uint32_t waiting = __atomic_load_n(&cpus[i].shootdown.waiting,
						   __ATOMIC_ACQUIRE);
		if ((waiting & bit) != 0) {
			found |= 1u << i;
		}
	}
	if (found == 0) {
		return;
	}
	if ((found & (found - 1)) == 0) {
		shootdown_do(cpu, &cpus[__builtin_ctz(found)].shootdown);
	} else {
		(void)task_drop_lazy_space();
		cpu->counters.full++;
		kernel.pt.tlb->flush_all(kernel.pt.ctx);
	}
	struct cpu *from;
	while (cpus_next(&found, &from)) {
		cpu->counters.served++;
		(void)__atomic_fetch_and(&from->shootdown.waiting, ~bit,
					 __ATOMIC_ACQ_REL);
	}
}

void cpus_serve(void)
{
	struct cpu *cpu = cpu_this();

	if (__atomic_load_n(&cpu->shootdown.signalled, __ATOMIC_RELAXED) != 0) {
		shootdown_serve(cpu);
	}
}

void cpus_flush_all(void)
{
	kernel.pt.tlb->flush_all(kernel.pt.ctx);
}

void cpus_sleep(void)
{
	struct cpu *cpu = cpu_this();

	if (cpus_count > 1) {
		(void)task_drop_lazy_space();
		__atomic_store_n(&cpu->asleep, 1, __ATOMIC_SEQ_CST);
		/* Asked before that: an interrupt is under way, and wakes. */
	}
	cpu_wait_interrupt();
	cpus_awake();
}

void cpus_awake(void)
{
	struct cpu *cpu = cpu_this();

	if (LOAM_LIKELY(cpu->asleep == 0)) {
		return;
	}
	(void)__atomic_exchange_n(&cpu->asleep, 0, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&cpu->stale, 0, __ATOMIC_SEQ_CST) != 0) {
		cpus_flush_all();
	}
}

/* True if the CPU sleeps, and will forget everything when it wakes. */
static bool shootdown_spare(struct cpu *cpu)
{
	if (__atomic_load_n(&cpu->asleep, __ATOMIC_SEQ_CST) == 0) {
		return false;
	}
	__atomic_store_n(&cpu->stale, 1, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&cpu->asleep, __ATOMIC_SEQ_CST) != 0;
}

static uint32_t shootdown_targets(struct cpu *self, loam_phys_t root)
{
	uint32_t others = cpus_others();
	uint32_t targets = 0;
	struct cpu *cpu;

	while (cpus_next(&others, &cpu)) {
		if (!shootdown_concerns(cpu, root)) {
			continue;
		}
		if (root == kernel.pt.root && shootdown_spare(cpu)) {
			self->counters.spared++;
		} else {
			targets |= 1u << cpu->number;
		}
	}
	return targets;
}

static void shootdown_ask(struct cpu *cpu, uint32_t targets)
{
	uint32_t rest = targets;
	struct cpu *to;

	cpu->counters.requests++;
	__atomic_store_n(&cpu->shootdown.waiting, targets, __ATOMIC_SEQ_CST);
	while (cpus_next(&rest, &to)) {
		if (__atomic_exchange_n(&to->shootdown.signalled, 1,
					__ATOMIC_SEQ_CST) == 0) {
			cpu->counters.interrupts++;
			lapic_send(to->apic_id, LAPIC_SHOOTDOWN);
		} else {
			cpu->counters.joined++;
		}
	}
	while (__atomic_load_n(&cpu->shootdown.waiting, __ATOMIC_ACQUIRE) !=
	       0) {
		cpus_serve();
		cpu_pause();
	}
}

void loam_host_tlb_shootdown(loam_phys_t root, uintptr_t virt, size_t size)
{
	if (cpus_count == 1) {
		return;
	}
	uintptr_t flags = cpu_read_eflags();
	cpu_cli();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	struct cpu *cpu = cpu_this();
	uint32_t targets = shootdown_targets(cpu, root);
	if (targets != 0) {
		cpu->shootdown.root = root;
		cpu->shootdown.virt = virt;
		cpu->shootdown.size = size;
		shootdown_ask(cpu, targets);
	}
	cpu_write_eflags(flags);
}

/* To forget all of a space is, for who has it without need, to leave it. */
void cpus_forget_root(loam_phys_t root)
{
	loam_host_tlb_shootdown(root, 0, 0);
}

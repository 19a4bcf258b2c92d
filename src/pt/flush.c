/* SPDX-License-Identifier: MIT */
/* Forgetting stale translations, by the policy of the address space (X.6). */

/*
 * The i386 can only reload CR3, which drops every translation; the 486 and
 * all after it have INVLPG for one page. Single flushes cost the CPU some
 * hundred cycles each, a full one costs little by itself but a miss for each
 * page that is used afterwards, so that past a few dozen pages the full one
 * is cheaper. Seed 004 asks for the i386 way; it stays, as a policy that any
 * CPU can be told to use.
 */

#include "pt_int.h"

static bool flush_by_page(const struct loam_pt *pt, size_t pages)
{
	if (pages == 0 || pt->tlb->flush_page == NULL) {
		return false;
	}
	switch (pt->policy) {
	case LOAM_TLB_INVLPG:
		return true;
	case LOAM_TLB_CR3:
		return false;
	case LOAM_TLB_AUTO:
	default:
		return pages <= LOAM_TLB_FULL_THRESHOLD;
	}
}

/*
 * True if a CPU may have the tables loaded. Another one may be about to: it
 * counts itself before it does, so either it is seen here, or it sees what has
 * been changed.
 */
static bool flush_is_needed(const struct loam_pt *pt)
{
	if (LOAM_MAX_CPUS > 1) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	}
	return __atomic_load_n(&pt->live, __ATOMIC_RELAXED) != 0;
}

static void flush_count(size_t *counter, size_t value)
{
	(void)__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

/* On this CPU, which is known to need it. */
static LOAM_NOINLINE void flush_here(struct loam_pt *pt, uintptr_t virt,
				     size_t size)
{
	LOAM_ASSERT(pt->tlb != NULL);
	LOAM_ASSERT(((virt | size) & LOAM_PAGE_MASK) == 0);
	size_t pages = size >> LOAM_PAGE_SHIFT;
	if (!flush_by_page(pt, pages)) {
		flush_count(&pt->stats.full, 1);
		pt->tlb->flush_all(pt->ctx);
	} else if (pt->tlb->flush_pages != NULL) {
		flush_count(&pt->stats.pages, pages);
		pt->tlb->flush_pages(pt->ctx, virt, pages);
	} else {
		void (*flush_page)(void *, uintptr_t) = pt->tlb->flush_page;
		void *ctx = pt->ctx;
		uintptr_t at = virt;
		flush_count(&pt->stats.pages, pages);
		for (; pages != 0; pages--) {
			flush_page(ctx, at);
			at += LOAM_PAGE_SIZE;
		}
	}
}

void loam_pt_flush_local(struct loam_pt *pt, uintptr_t virt, size_t size)
{
	if (flush_is_needed(pt)) {
		flush_here(pt, virt, size);
	}
}

void loam_pt_flush_private(const struct loam_pt *pt, uintptr_t virt)
{
	if (!pt->live) {
		return;
	}
	if (flush_by_page(pt, 1)) {
		pt->tlb->flush_page(pt->ctx, virt);
	} else {
		pt->tlb->flush_all(pt->ctx);
	}
}

void loam_pt_flush(struct loam_pt *pt, uintptr_t virt, size_t size)
{
	if (!flush_is_needed(pt)) {
		return;
	}
	if (size == LOAM_PAGE_SIZE && flush_by_page(pt, 1)) {
		/* What most page faults need. */
		flush_count(&pt->stats.pages, 1);
		pt->tlb->flush_page(pt->ctx, virt);
	} else {
		flush_here(pt, virt, size);
	}
	flush_count(&pt->stats.shootdowns, 1);
	loam_host_tlb_shootdown(pt->root, virt, size);
}

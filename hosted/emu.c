/* SPDX-License-Identifier: MIT */
/* The emulated machine: its window of host addresses, faults and flushes. */
#include "emu.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

_Thread_local sigjmp_buf emu_fault_jump;
_Thread_local bool emu_fault_expected;

#define WINDOW_PAGES (EMU_WINDOW_BYTES / LOAM_PAGE_SIZE)
#define NO_PAGE UINT32_MAX

/*
 * The pages of the window that are mapped, in the order of their filling.
 * Slots are used round and round: the one that comes next is the oldest.
 */
static struct slot {
	uint32_t page; /* of the window, or NO_PAGE */
	bool writable;
	bool global;
} slots[EMU_TLB_PAGES];
static uint16_t slot_of[WINDOW_PAGES]; /* slot + 1, or 0 */
static unsigned next_slot;
static unsigned cached_pages;

static bool handler_installed;
static struct sigaction other_action; /* whose faults are not in the window */

/* Guards all of this: several threads may fault, and flush, at a time. */
static struct loam_host_lock tlb_lock;

/* Not loam_host_lock(): that counts, and tests look at the count. */
static void lock(void)
{
	while (__atomic_exchange_n(&tlb_lock.word[0], 1, __ATOMIC_ACQUIRE)) {
		sched_yield();
	}
}

static void unlock(void)
{
	__atomic_store_n(&tlb_lock.word[0], 0, __ATOMIC_RELEASE);
}

static _Noreturn void die(const char *what)
{
	perror(what);
	abort();
}

static void *window_at(uint32_t page)
{
	return emu.window + (size_t)page * LOAM_PAGE_SIZE;
}

/* Takes the translations of a part of the window away from the host. */
static void window_close(uint32_t page, size_t count)
{
	void *at = mmap(window_at(page), count * LOAM_PAGE_SIZE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
			-1, 0);
	if (at == MAP_FAILED) {
		die("emu: flush");
	}
}

/* -------- the cached pages -------- */

static void tlb_forget(struct slot *slot)
{
	slot_of[slot->page] = 0;
	slot->page = NO_PAGE;
	cached_pages--;
}

static void tlb_drop(struct slot *slot)
{
	window_close(slot->page, 1);
	tlb_forget(slot);
}

/* The slot of a page, or NULL. */
static struct slot *tlb_find(uint32_t page)
{
	unsigned number = slot_of[page];
	return number != 0 ? &slots[number - 1] : NULL;
}

static void tlb_fill(uint32_t page, const struct emu_translation *found)
{
	bool write_now = found->writable && found->dirty;
	struct slot *slot = &slots[next_slot];
	if (slot->page != NO_PAGE) {
		tlb_drop(slot);
	}
	void *at = mmap(window_at(page), LOAM_PAGE_SIZE,
			PROT_READ | (write_now ? PROT_WRITE : 0),
			MAP_SHARED | MAP_FIXED, hosted_memory.fd,
			(off_t)found->phys);
	if (at == MAP_FAILED) {
		die("emu: fill");
	}
	slot->page = page;
	slot->writable = found->writable;
	slot->global = found->global;
	slot_of[page] = (uint16_t)(next_slot + 1);
	next_slot = (next_slot + 1) % EMU_TLB_PAGES;
	cached_pages++;
	emu.fills++;
}

static void tlb_flush_all(bool global_too)
{
	/* With many, one call to the host for all. */
	bool whole = global_too && cached_pages > 64;
	for (unsigned i = 0; cached_pages != 0 && i < EMU_TLB_PAGES; i++) {
		if (slots[i].page == NO_PAGE ||
		    (slots[i].global && !global_too)) {
			continue;
		}
		if (whole) {
			tlb_forget(&slots[i]);
		} else {
			tlb_drop(&slots[i]);
		}
	}
	if (whole) {
		size_t direct = (size_t)hosted_memory.direct_size;
		uint32_t first = (uint32_t)((direct + LOAM_PAGE_MASK) >>
					    LOAM_PAGE_SHIFT);
		window_close(first, WINDOW_PAGES - first);
	}
}

unsigned emu_cached_pages(void)
{
	return cached_pages;
}

/* -------- faults -------- */

static bool in_window(const void *host)
{
	return emu.window != NULL &&
	       (uintptr_t)host - (uintptr_t)emu.window < EMU_WINDOW_BYTES;
}

void *emu_host(uint64_t address)
{
	return emu.window + (size_t)(address - emu.window_base);
}

uint64_t emu_address(const void *host)
{
	return emu.window_base + ((uintptr_t)host - (uintptr_t)emu.window);
}

/* Returns to the test that expects the fault, or ends the program. */
static _Noreturn void raise_fault(enum emu_fault kind, const void *host,
				  unsigned access)
{
	emu.faults++;
	emu.fault_address = emu_address(host);
	emu.fault_access = access;
	emu.fault_kind = kind;
	unlock();
	if (emu_fault_expected) {
		siglongjmp(emu_fault_jump, 1);
	}
	char text[256];
	int length =
		snprintf(text, sizeof(text),
			 "emulated page fault: %s 0x%" PRIx64 ": %s; walk now:",
			 (access & EMU_WRITE) != 0 ? "write to" : "read of",
			 emu.fault_address, emu_fault_name(kind));
	emu_describe_walk(text + length, sizeof(text) - (size_t)length,
			  emu.fault_address);
	loam_host_panic(text);
}

/* The page walker: fills the page in, or raises the fault. */
static void window_fault(const void *host, unsigned access)
{
	uint32_t page = (uint32_t)(((uintptr_t)host - (uintptr_t)emu.window) /
				   LOAM_PAGE_SIZE);
	lock();
	struct slot *slot = tlb_find(page);
	if (slot != NULL) {
		bool permitted = (access & EMU_WRITE) == 0 || slot->writable;
		tlb_drop(slot);
		if (!permitted) {
			raise_fault(EMU_PROTECTION, host, access);
		}
	}
	struct emu_translation found;
	enum emu_fault fault = emu_walk(emu_address(host), access, &found);
	if (fault != EMU_NO_FAULT) {
		raise_fault(fault, host, access);
	}
	tlb_fill(page, &found);
	unlock();
}

/* Faults elsewhere are the program's own: whoever was there before has them. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	if ((other_action.sa_flags & SA_SIGINFO) != 0) {
		other_action.sa_sigaction(number, info, context);
		return;
	}
	sigaction(number, &other_action, NULL);
}

static void handle_signal(int number, siginfo_t *info, void *context)
{
	int saved = errno;
	const ucontext_t *user = context;
	if (in_window(info->si_addr)) {
		/* Bit 1 of the page fault's error code: a write. */
		bool write = (user->uc_mcontext.gregs[REG_ERR] & 2) != 0;
		window_fault(info->si_addr, write ? EMU_WRITE : 0);
	} else {
		pass_on(number, info, context);
	}
	errno = saved;
}

/* -------- the CPU's instructions -------- */

static void flush_page(void *ctx, uintptr_t virt)
{
	(void)ctx;
	lock();
	emu.flushed_pages++;
	emu_model_flush_page(virt - emu.bias);
	if (in_window((const void *)virt)) {
		uint32_t page = (uint32_t)((virt - (uintptr_t)emu.window) /
					   LOAM_PAGE_SIZE);
		struct slot *slot = tlb_find(page);
		if (slot != NULL) {
			tlb_drop(slot);
		}
	}
	unlock();
}

/* The CPU reads a bare root once; from then on it uses its copy. */
static void load_root_entries(void)
{
	const struct loam_pt_geometry *g = emu.geometry;
	if ((g->bare_levels >> (g->levels - 1) & 1u) == 0 ||
	    emu.root == LOAM_PHYS_NONE) {
		return;
	}
	if (emu.root + sizeof(emu.root_entries) > hosted_memory.direct_size) {
		loam_host_panic("emu: the root is not directly mapped");
	}
	memcpy(emu.root_entries, hosted_memory.direct + emu.root,
	       sizeof(emu.root_entries));
}

static void flush_all(void *ctx)
{
	(void)ctx;
	lock();
	emu.flushed_all++;
	emu_model_flush_all(true);
	tlb_flush_all(true);
	load_root_entries();
	unlock();
}

const struct loam_tlb_ops emu_tlb_ops = {
	.flush_page = flush_page,
	.flush_all = flush_all,
};

const struct loam_tlb_ops emu_tlb_ops_386 = {
	.flush_all = flush_all,
};

void emu_switch_root(void *ctx, loam_phys_t root)
{
	(void)ctx;
	lock();
	emu.root = root;
	emu_model_flush_all(false);
	tlb_flush_all(false);
	load_root_entries();
	unlock();
}

/* -------- the machine -------- */

/* Reserves the window at a host address as round as a large page. */
static unsigned char *window_reserve(void)
{
	size_t align = sizeof(void *) == 8 ? EMU_WINDOW_BYTES : LOAM_MIB(4);
	size_t size = EMU_WINDOW_BYTES + align;
	unsigned char *all =
		mmap(NULL, size, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED) {
		die("emu: window");
	}
	size_t before = (align - ((uintptr_t)all & (align - 1))) & (align - 1);
	size_t after = align - before;
	if (before != 0) {
		munmap(all, before);
	}
	if (after != 0) {
		munmap(all + before + EMU_WINDOW_BYTES, after);
	}
	return all + before;
}

static void machine_start(const struct loam_pt_geometry *geometry)
{
	emu = (struct emu){ .geometry = geometry, .root = LOAM_PHYS_NONE };
	for (unsigned i = 0; i < EMU_TLB_PAGES; i++) {
		slots[i].page = NO_PAGE;
	}
	memset(slot_of, 0, sizeof(slot_of));
	next_slot = 0;
	cached_pages = 0;
	emu_model_flush_all(true);
}

void emu_init_model(loam_phys_t memory_size, loam_phys_t direct_size,
		    const struct loam_pt_geometry *geometry)
{
	emu_fini();
	machine_start(geometry);
	hosted_memory_create(memory_size, direct_size);
}

void emu_init(loam_phys_t memory_size, loam_phys_t direct_size,
	      const struct loam_pt_geometry *geometry)
{
	emu_fini();
	if (direct_size >= EMU_WINDOW_BYTES) {
		loam_host_panic("emu: the direct map does not fit the window");
	}
	if (geometry->virt_bits > sizeof(uintptr_t) * 8) {
		loam_host_panic("emu: the geometry needs a 64-bit host");
	}
	machine_start(geometry);
	emu.window = window_reserve();
	emu.window_base = geometry->virt_bits <= 32
				  ? ((uint64_t)1 << geometry->virt_bits) -
					    EMU_WINDOW_BYTES
				  : 0 - (uint64_t)EMU_WINDOW_BYTES;
	emu.bias = (uintptr_t)emu.window - (uintptr_t)emu.window_base;
	hosted_memory_create_at(memory_size, direct_size, emu.window);
	struct sigaction action = { .sa_sigaction = handle_signal };
	/* SA_NODEFER: a test may leave the handler by a jump. */
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGSEGV, &action, &other_action) != 0) {
		die("emu: SIGSEGV");
	}
	handler_installed = true;
}

void emu_fini(void)
{
	if (handler_installed) {
		sigaction(SIGSEGV, &other_action, NULL);
		handler_installed = false;
	}
	if (emu.geometry != NULL) {
		bool ours = emu.window == NULL ||
			    hosted_memory.direct == emu.window;
		if (ours) {
			hosted_memory_destroy();
		}
		if (emu.window != NULL) {
			munmap(emu.window, EMU_WINDOW_BYTES);
		}
	}
	emu = (struct emu){ .root = LOAM_PHYS_NONE };
}

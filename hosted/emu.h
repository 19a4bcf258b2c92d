/* SPDX-License-Identifier: MIT */
/* An emulated MMU: tables in simulated memory, and a TLB that is not told. */
#ifndef LOAM_HOSTED_EMU_H
#define LOAM_HOSTED_EMU_H

#include <setjmp.h>

#include <loam/pt.h>

#include "platform.h"

/*
 * One emulated machine at a time. It translates in two ways, by the same page
 * walk, which shares no code with the library's:
 *
 * The window. 1 GiB of host addresses stands for the top 1 GiB of the emulated
 * address space, where the kernel is (0xC0000000 and up in 32 bits). Its start
 * is the direct map, always there. Everything else is inaccessible to the host
 * until it is touched; then the handler of SIGSEGV walks the emulated tables
 * and maps the frame, out of the memory file, with the rights the entries
 * give. The page stays so until it is flushed, as in a TLB, whatever becomes
 * of the entries: a flush that is missing is seen by whoever uses the address.
 *
 *	emulated   0xC0000000                                      4 GiB
 *	           | direct map | PROT_NONE, filled page by page ... |
 *	host       emu.window                          + EMU_WINDOW_BYTES
 *
 * The model. emu_translate() answers for any address of any geometry, as a
 * CPU in either mode would, with a TLB of its own in an array.
 *
 * As on a CPU: absent entries are never cached; a write through a translation
 * that is not marked dirty walks again and sets the bit; a translation that
 * does not permit the access faults even if the entry by now would, and is
 * then forgotten; PAE's four root entries are read when the root is loaded.
 */

#define EMU_WINDOW_BYTES ((size_t)1 << 30)

/* Most pages of the window cached at once; the oldest make room. */
#define EMU_TLB_PAGES 8192u

/* What an access is; 0 is a read by the kernel. */
#define EMU_WRITE 1u
#define EMU_USER 2u
#define EMU_FETCH 4u

enum emu_fault {
	EMU_NO_FAULT,
	EMU_NOT_PRESENT,
	EMU_PROTECTION,
	EMU_RESERVED,      /* a bit that must be 0 is set in an entry */
	EMU_NOT_CANONICAL, /* no address of this geometry */
	EMU_BUS,           /* there is no memory at the physical address */
};

struct emu {
	const struct loam_pt_geometry *geometry; /* NULL: no machine */
	loam_phys_t root;         /* LOAM_PHYS_NONE until one is loaded */
	uint64_t root_entries[4]; /* the CPU's copy, where the root is bare */
	unsigned char *window;    /* host address, or NULL */
	uint64_t window_base;     /* emulated address */
	uintptr_t bias;           /* for loam_pt.bias */
	/* counters */
	unsigned long fills;  /* translations cached */
	unsigned long faults; /* emulated page faults */
	unsigned long flushed_pages;
	unsigned long flushed_all;
	/* the last fault */
	uint64_t fault_address; /* emulated */
	unsigned fault_access;
	enum emu_fault fault_kind;
};
extern struct emu emu;

/*
 * A machine with memory_size of physical memory of which direct_size (less
 * than the window) is directly mapped, with a window and without a root.
 * Replaces the machine before it. 64-bit geometries need a 64-bit host.
 */
void emu_init(loam_phys_t memory_size, loam_phys_t direct_size,
	      const struct loam_pt_geometry *geometry);

/* The same without a window, for emu_translate() only; bias is 0. */
void emu_init_model(loam_phys_t memory_size, loam_phys_t direct_size,
		    const struct loam_pt_geometry *geometry);
void emu_fini(void);

/*
 * The flush instructions of the emulated CPU. The context is not used: it is
 * the page tables' owner's. The second has no flush of one page (i386).
 */
extern const struct loam_tlb_ops emu_tlb_ops;
extern const struct loam_tlb_ops emu_tlb_ops_386;

/* Loads a root (CR3): all but global translations are forgotten. */
void emu_switch_root(void *ctx, loam_phys_t root);

/* The host address that stands for an emulated one, and the way back. */
void *emu_host(uint64_t address);
uint64_t emu_address(const void *host);

/* One access as the CPU makes it; *phys only on EMU_NO_FAULT. */
enum emu_fault emu_translate(uint64_t address, unsigned access,
			     loam_phys_t *phys);

/* How many translations of the window are cached now. */
unsigned emu_cached_pages(void);

/* For people: "not present" and so on. */
const char *emu_fault_name(enum emu_fault kind);

/*
 * Runs the statement and tells whether it made an emulated page fault, which
 * is then described in emu. A fault that nobody expects is a panic, with the
 * walk in its message. Locks held at the fault stay held.
 */
extern _Thread_local sigjmp_buf emu_fault_jump;
extern _Thread_local bool emu_fault_expected;
#define EMU_FAULTS(statement)                                                  \
	(emu_fault_expected = true,                                            \
	 sigsetjmp(emu_fault_jump, 1) == 0                                     \
		 ? ((void)(statement), emu_fault_expected = false, false)      \
		 : (emu_fault_expected = false, true))

/* -------- between emu.c and emu_mmu.c -------- */

/* What a walk finds, and a TLB keeps, of one page. */
struct emu_translation {
	loam_phys_t phys;
	bool writable;
	bool user;
	bool fetch;
	bool dirty;
	bool global;
};

/*
 * Walks the tables, and sets accessed and dirty bits if the access is
 * permitted. Tables are read through the memory file where they are not
 * directly mapped.
 */
enum emu_fault emu_walk(uint64_t address, unsigned access,
			struct emu_translation *out);

/* Whether the translation permits the access. */
bool emu_permits(const struct emu_translation *translation, unsigned access);

/* One line about the walk for an address; returns its length. */
int emu_describe_walk(char *to, size_t size, uint64_t address);

/* The model's TLB. */
void emu_model_flush_page(uint64_t address);
void emu_model_flush_all(bool global_too);

#endif

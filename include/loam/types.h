/* SPDX-License-Identifier: MIT */
/* The scalar types, units and error numbers every floor shares. */
#ifndef LOAM_TYPES_H
#define LOAM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <loam/config.h>

/*
 * Physical addresses are integers of 64 bits everywhere, on i386 too; kernel
 * virtual addresses are pointers.  The two can therefore not be mixed up.
 * A frame is physical memory, a page is virtual memory, both of 4 KiB.
 */
typedef uint64_t loam_phys_t;

/* The number of a frame: physical address / 4096. 32 bits reach 16 TiB. */
typedef uint32_t loam_pfn_t;

#define LOAM_PHYS_NONE ((loam_phys_t)-1)
#define LOAM_PFN_NONE ((loam_pfn_t)-1)

#define LOAM_PAGE_SHIFT 12u
#define LOAM_PAGE_SIZE 4096u
#define LOAM_PAGE_MASK 4095u

#define LOAM_KIB(n) ((n)*1024u)
#define LOAM_MIB(n) ((n)*1024u * 1024u)
#define LOAM_GIB(n) ((uint64_t)(n) << 30)

#define LOAM_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Actions return 0 or one of these, negated. The numbers are Linux's. */
enum loam_errno {
	LOAM_EPERM = 1,
	LOAM_ENOENT = 2,
	LOAM_EAGAIN = 11,
	LOAM_ENOMEM = 12,
	LOAM_EFAULT = 14,
	LOAM_EBUSY = 16,
	LOAM_EEXIST = 17,
	LOAM_EINVAL = 22,
	LOAM_ENOSPC = 28,
	LOAM_ERANGE = 34,
	LOAM_EOVERFLOW = 75,
};

/*
 * What an allocation asks for. Every floor honours the bits that concern it
 * and hands all of them down.
 */
typedef uint32_t loam_flags_t;

#define LOAM_ZERO 0x01u    /* the memory reads as zeros */
#define LOAM_NOSLEEP 0x02u /* interrupt context: no reclaim, reserves may go */
#define LOAM_DMA 0x04u     /* below 16 MiB physical (old ISA bus masters) */
#define LOAM_HIGH 0x08u    /* may lie outside the direct map */
#define LOAM_AT_HAND 0x10u /* a wish: what is free now, or nothing */
#define LOAM_FLAGS_ALL 0x1fu

/* Who a frame belongs to: carried in the flags, kept in the frame's tag. */
enum loam_owner {
	LOAM_OWNER_NONE,    /* not said: a caller of the frame floor */
	LOAM_OWNER_TABLE,   /* a page table */
	LOAM_OWNER_SLAB,    /* objects of a slab */
	LOAM_OWNER_META,    /* descriptors of slabs and ranges */
	LOAM_OWNER_KMALLOC, /* a large kmalloc block */
	LOAM_OWNER_VMALLOC, /* behind a vmalloc range */
	LOAM_OWNER_HEAP,    /* a classic heap's window */
	LOAM_OWNER_USER,    /* memory of a process */
	LOAM_OWNER_STACK,   /* a kernel stack */
	LOAM_OWNER_COUNT
};

#define LOAM_OWNER_SHIFT 8u
#define LOAM_OWNED_BY(owner) ((loam_flags_t)(owner) << LOAM_OWNER_SHIFT)
#define LOAM_OWNER_OF(flags) (((flags) >> LOAM_OWNER_SHIFT) & 0xfu)

#endif

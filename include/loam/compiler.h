/* SPDX-License-Identifier: MIT */
/* What gcc and clang offer beyond C17, under names of our own. */
#ifndef LOAM_COMPILER_H
#define LOAM_COMPILER_H

#include <stdbool.h>
#include <stdint.h>

#define LOAM_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#define LOAM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LOAM_LIKELY(x) __builtin_expect(!!(x), 1)
#define LOAM_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define LOAM_NOINLINE __attribute__((noinline))
#define LOAM_ALWAYS_INLINE inline __attribute__((always_inline))

/* Arguments on the stack and nowhere else, whatever the flags say: assembly. */
#ifdef __i386__
#define LOAM_CDECL __attribute__((cdecl, regparm(0)))
#else
#define LOAM_CDECL
#endif

/* A definition that gives way to another one of the same name. */
#define LOAM_WEAK __attribute__((weak))

/* The return address of the function it is written in: who called us. */
#define LOAM_CALLER() __builtin_return_address(0)

/*
 * Makes the compiler take all memory for changed here. It emits nothing. In
 * the body of a loop, it also keeps the compiler from replacing the loop with
 * a call to memset, memcpy or strlen, which that loop may be the body of.
 */
#define LOAM_COMPILER_BARRIER() __asm__ volatile("" ::: "memory")

/*
 * Reads a word that others may write meanwhile, whichever value it gets. On the
 * x86 a plain load does, which can be an operand; a sanitizer is told so.
 */
#if defined(__has_feature)
#define LOAM_HAS_FEATURE(name) __has_feature(name)
#else
#define LOAM_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || LOAM_HAS_FEATURE(thread_sanitizer) ||      \
	!(defined(__i386__) || defined(__x86_64__))
#define LOAM_LOAD_HINT(at) __atomic_load_n(at, __ATOMIC_RELAXED)
#else
#define LOAM_LOAD_HINT(at) (*(at))
#endif

/*
 * Stores 8 bytes, a multiple of 8 away from 0, in one step: who reads them all
 * at once sees the old ones or the new ones. On i386 this takes the Pentium's
 * cmpxchg8b, which a compiler for older CPUs does not know of.
 */
static inline void loam_store_wide(uint64_t *at, uint64_t value)
{
#ifdef __i386__
	uint64_t old = *(volatile uint64_t *)at;
	bool stored;
	do {
		__asm__ volatile("lock cmpxchg8b %1"
				 : "=@ccz"(stored), "+m"(*at), "+A"(old)
				 : "b"((uint32_t)value),
				   "c"((uint32_t)(value >> 32))
				 : "memory");
	} while (!stored);
#else
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
#endif
}

/*
 * The same, and what the compiler knows of an integer variable is gone: what it
 * computed from it, such as an address, is computed anew, in an operand and
 * not in a register that it would have to keep. Emits nothing. One that has
 * bytes of its own, on i386.
 */
#define LOAM_COMPILER_HIDE(variable)                                           \
	__asm__ volatile("" : "+q"(variable) : : "memory")

/*
 * Has the compiler compute a word where a function's result is returned: it
 * tends to move it there last. Emits nothing, or that move.
 */
#ifdef __x86_64__
#define LOAM_COMPILER_RESULT(variable) __asm__("" : "+a"(variable))
#else
#define LOAM_COMPILER_RESULT(variable) ((void)0)
#endif

#endif

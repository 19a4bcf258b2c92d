/* SPDX-License-Identifier: MIT */
/* C++ new and delete, by the names the compiler gives them. */

/*
 * C, so that a C program needs no C++ library. What C++ has to do when memory
 * runs out, calling the new-handler and throwing std::bad_alloc, is in the
 * C++ library of the program, if it has one; without one there is nobody who
 * could catch, and the program ends. This file is compiled with -fexceptions,
 * so that the exception passes through.
 */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>

typedef void (*new_handler)(void);

/* std::get_new_handler() and std::__throw_bad_alloc(). */
__attribute__((weak)) new_handler _ZSt15get_new_handlerv(void);
__attribute__((weak, noreturn)) void _ZSt17__throw_bad_allocv(void);

/* std::nothrow_t and std::align_val_t */
struct nothrow;
typedef size_t align_val;

void *malloc(size_t size);

static void *new_once(size_t size, align_val align)
{
	return align == 0 ? malloc(size)
			  : malloc_aligned(size, align, LOAM_CALLER());
}

/* As the standard has it: a handler frees something, throws, or is none. */
static LOAM_NOINLINE void *new_retry(size_t size, align_val align, bool throws)
{
	void *block = NULL;
	while (block == NULL) {
		new_handler handler = _ZSt15get_new_handlerv != NULL
					      ? _ZSt15get_new_handlerv()
					      : NULL;
		if (handler == NULL) {
			break;
		}
		handler();
		block = new_once(size, align);
	}
	if (block == NULL && throws) {
		if (_ZSt17__throw_bad_allocv != NULL) {
			_ZSt17__throw_bad_allocv();
		}
		loam_host_panic("loam: new: out of memory");
	}
	return block;
}

static LOAM_ALWAYS_INLINE void *new_any(size_t size, align_val align,
					bool throws)
{
	void *block = align == 0 ? malloc_fast(size) : NULL;
	if (LOAM_LIKELY(block != NULL)) {
		return block;
	}
	block = new_once(size, align);
	return LOAM_LIKELY(block != NULL) ? block
					  : new_retry(size, align, throws);
}

#define NEW(name, arguments, align, throws)                                    \
	MALLOC_EXPORT void *name arguments;                                    \
	void *name arguments                                                   \
	{                                                                      \
		return new_any(size, align, throws);                           \
	}

NEW(_Znwm, (size_t size), 0, true)
NEW(_Znam, (size_t size), 0, true)
NEW(_ZnwmSt11align_val_t, (size_t size, align_val align), align, true)
NEW(_ZnamSt11align_val_t, (size_t size, align_val align), align, true)

/* The last argument is std::nothrow, which says all by being there. */
#define NEW_NOTHROW(name, arguments, align)                                    \
	MALLOC_EXPORT void *name arguments;                                    \
	void *name arguments                                                   \
	{                                                                      \
		(void)tag;                                                     \
		return new_any(size, align, false);                            \
	}

NEW_NOTHROW(_ZnwmRKSt9nothrow_t, (size_t size, const struct nothrow *tag), 0)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, (size_t size, const struct nothrow *tag), 0)
NEW_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t,
	    (size_t size, align_val align, const struct nothrow *tag), align)
NEW_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t,
	    (size_t size, align_val align, const struct nothrow *tag), align)

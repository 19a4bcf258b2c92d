/* SPDX-License-Identifier: MIT */
/* Pops and pushes on the CPU's own stacks, which an interrupt starts again. */
#ifndef KERNEL_X86_RESTART_H
#define KERNEL_X86_RESTART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The library's fast paths take from stacks of the CPU that runs them, and give
 * to them, and what interrupts them may do the same. Neither a lock nor a flag
 * keeps it out: each is a sequence of a few instructions of which only the last
 * changes the stack. An interrupt that finds the CPU behind the start of the
 * first and not yet behind the last sends it back to the first, before it does
 * anything else (restart_interrupted()). What a sequence has changed elsewhere
 * by then is changed back first, at its `undo`. A task that is preempted in one
 * begins it anew as well, whatever others have done on this CPU meanwhile.
 *
 * The idea: Bershad, Redell and Ellis, "Fast Mutual Exclusion for
 * Uniprocessors" (ASPLOS 1992).
 *
 * Wherever the compiler puts one of these, it enters its addresses into the
 * section .restarts. Exceptions are no interrupts: nothing here raises one, and
 * those that come at any instruction (debug exceptions, non-maskable
 * interrupts, machine checks) use none of these stacks.
 *
 * Slow paths, which do more than one instruction can, keep interrupts out by
 * loam_cpu_quiet().
 */
struct restart {
	uintptr_t first;  /* instruction of the sequence */
	uintptr_t commit; /* its last */
	uintptr_t undo;   /* where to go: first, or what leads there */
};

/*
 * If the code that an interrupt found at *pc was in a sequence, it goes on at
 * the undo. O(sequences in the kernel), some dozens. Context: the entry of an
 * interrupt that came in ring 0.
 */
void restart_interrupted(uintptr_t *pc);

#ifdef __x86_64__
#define RESTART_SEGMENT "%%gs"
#define RESTART_BYTES "8"
#define RESTART_ADD "addq"
#define RESTART_SUB "subq"
#define RESTART_ADDRESS ".quad"
#define RESTART_INDEX "%q"
#else
#define RESTART_SEGMENT "%%fs"
#define RESTART_BYTES "4"
#define RESTART_ADD "addl"
#define RESTART_SUB "subl"
#define RESTART_ADDRESS ".long"
#define RESTART_INDEX "%k"
#endif

/* Word number `code` of the tops, and of the limits. */
#define RESTART_CODE "(,%[code]," RESTART_BYTES ")"
#define RESTART_TOP RESTART_SEGMENT ":%c[tops]" RESTART_CODE
#define RESTART_LIMIT RESTART_SEGMENT ":%c[limits]" RESTART_CODE

/* The place of frame number `top`. */
#define RESTART_FRAME "%c[frames](%[base]," RESTART_INDEX "[top],4)"

/* Behind a sequence: 1 is its first instruction, 2 its last. */
#define RESTART_ENTRY(undo)                                                    \
	"\n\t.pushsection .restarts, \"a\"\n\t" RESTART_ADDRESS                \
	" 1b, 2b, " undo "\n\t.popsection"

/* The same for one that has an instruction to change back what it did. */
#define RESTART_UNDO(instruction)                                              \
	"\n\t.pushsection .text.restart, \"ax\"\n3:\t" instruction             \
	"\n\tjmp 1b\n\t.popsection" RESTART_ENTRY("3b")

#define RESTART_INLINE static inline __attribute__((always_inline))

/*
 * Takes an object off the stack whose top is word `code` at `tops` behind the
 * segment's base. NULL: it has none.
 */
RESTART_INLINE void *restart_take_object(const size_t tops, uintptr_t code)
{
	void **top;
	void *object;

	__asm__ volatile goto("1:\tmov " RESTART_TOP ", %[top]\n\t"
			      "mov -" RESTART_BYTES "(%[top]), %[object]\n\t"
			      "test %[object], %[object]\n\t"
			      "je %l[none]\n"
			      "2:\t" RESTART_SUB " $" RESTART_BYTES
			      ", " RESTART_TOP RESTART_ENTRY("1b")
			      : [top] "=&r"(top), [object] "=&a"(object)
			      : [tops] "i"(tops), [code] "r"(code)
			      : "memory", "cc"
			      : none);
	if (object == NULL) {
		__builtin_unreachable();
	}
	return object;
none:
	return NULL;
}

/*
 * Puts an object onto such a stack and 0 in the place of the code, which its
 * byte of the shadow is. False, and nothing changed: top is limit.
 */
RESTART_INLINE bool restart_give_object(const size_t tops, const size_t limits,
					uintptr_t code, void *object,
					uint8_t *shadow)
{
	void **top;

	__asm__ volatile goto(
		"1:\tmov " RESTART_TOP ", %[top]\n\t"
		"cmp " RESTART_LIMIT ", %[top]\n\t"
		"je %l[full]\n\t"
		"movb $0, %[shadow]\n\t"
		"mov %[object], (%[top])\n"
		"2:\t" RESTART_ADD " $" RESTART_BYTES
		", " RESTART_TOP RESTART_UNDO("movb %b[code], %[shadow]")
		: [top] "=&r"(top)
		: [tops] "i"(tops), [limits] "i"(limits), [code] "q"(code),
		  [object] "r"(object), [shadow] "m"(*shadow)
		: "memory", "cc"
		: full);
	return true;
full:
	return false;
}

/*
 * Takes the last of an array of frames, which lies `frames` bytes behind
 * `base`, and how many there are by `count`. `none`, above all others: it is
 * empty.
 */
RESTART_INLINE uintptr_t restart_take_frame(void *base, const size_t count,
					    const size_t frames, uint32_t none)
{
	uint32_t top;
	uintptr_t frame;

	__asm__ volatile goto(
		"1:\tmovl %c[count](%[base]), %[top]\n\t"
		"subl $1, %[top]\n\t"
		"jc %l[empty]\n\t"
		"movl " RESTART_FRAME ", %k[frame]\n"
		"2:\tmovl %[top], %c[count](%[base])" RESTART_ENTRY("1b")
		: [top] "=&r"(top), [frame] "=&r"(frame)
		: [base] "r"(base), [count] "i"(count), [frames] "i"(frames)
		: "memory", "cc"
		: empty);
	if (frame >= none) {
		__builtin_unreachable();
	}
	return frame;
empty:
	return none;
}

/*
 * Puts a frame onto such an array of at most `most`, and `given` in the place
 * of its tag. False: it is full, and the tag is as it was; or `used`, all that
 * the slow path needs to know, if an interrupt came in between.
 */
RESTART_INLINE bool restart_give_frame(void *base, const size_t count,
				       const size_t frames, const uint32_t most,
				       uint32_t frame, uint32_t *tag,
				       const uint32_t used,
				       const uint32_t given)
{
	uint32_t top;

	__asm__ volatile goto(
		"1:\tmovl %c[count](%[base]), %[top]\n\t"
		"cmpl %[most], %[top]\n\t"
		"je %l[full]\n\t"
		"movl %[given], %[tag]\n\t"
		"movl %[frame], " RESTART_FRAME "\n"
		"2:\tincl %c[count](%[base])" RESTART_UNDO(
			"movl %[used], %[tag]")
		: [top] "=&r"(top)
		: [base] "r"(base), [count] "i"(count), [frames] "i"(frames),
		  [most] "i"(most), [frame] "r"(frame), [tag] "m"(*tag),
		  [used] "i"(used), [given] "i"(given)
		: "memory", "cc"
		: full);
	return true;
full:
	return false;
}

#endif

/* SPDX-License-Identifier: MIT */
/* The x86's own instructions as inline functions, and what this CPU has. */
#ifndef KERNEL_X86_CPU_H
#define KERNEL_X86_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define CPU_EFLAGS_TF 0x00000100u /* an exception after each instruction */
#define CPU_EFLAGS_IF 0x00000200u /* interrupts are let in */
#define CPU_EFLAGS_AC 0x00040000u /* can be set from the 486 on */
#define CPU_EFLAGS_ID 0x00200000u /* can be set where there is CPUID */

#define CPU_CR0_MP 0x00000002u /* WAIT traps with TS too */
#define CPU_CR0_EM 0x00000004u /* there is no coprocessor */
#define CPU_CR0_TS 0x00000008u /* its next use traps */
#define CPU_CR0_NE 0x00000020u /* its errors are exceptions */
#define CPU_CR0_WP 0x00010000u /* read-only holds for the kernel too */
#define CPU_CR0_PG 0x80000000u
#define CPU_CR4_PSE 0x00000010u
#define CPU_CR4_PAE 0x00000020u
#define CPU_CR4_PGE 0x00000080u
#define CPU_CR4_OSFXSR 0x00000200u     /* SSE may be used */
#define CPU_CR4_OSXMMEXCPT 0x00000400u /* ... and its errors are exceptions */
#define CPU_CR4_SMEP 0x00100000u       /* the kernel executes no user page */
#define CPU_CR4_SMAP 0x00200000u /* nor touches one, unless EFLAGS.AC says so */

/* The register of extended features, and that no-execute holds. */
#define CPU_MSR_EFER 0xC0000080u
#define CPU_EFER_NXE 0x00000800u

/* Bits of EDX after CPUID with EAX = 1. */
#define CPU_CPUID_PSE 0x00000008u
#define CPU_CPUID_TSC 0x00000010u
#define CPU_CPUID_PAE 0x00000040u
#define CPU_CPUID_PGE 0x00002000u
#define CPU_CPUID_PSE36 0x00020000u
#define CPU_CPUID_FXSR 0x01000000u
#define CPU_CPUID_SSE2 0x04000000u
/* Of EBX and ECX with EAX = 7. */
#define CPU_CPUID_SMEP 0x00000080u
#define CPU_CPUID_SMAP 0x00100000u
#define CPU_CPUID_LA57 0x00010000u
/* Of EDX with EAX = 0x80000001. */
#define CPU_CPUID_NX 0x00100000u
#define CPU_CPUID_PAGE1GB 0x04000000u

/* What this CPU has. All false until cpu_detect(). */
struct cpu_features {
	char vendor[13]; /* "" without CPUID */
	bool cpuid;
	bool invlpg; /* every CPU but the 386 */
	bool pse;    /* pages of 4 MiB */
	bool pge;    /* global pages */
	bool tsc;    /* a time-stamp counter */
	bool pae;    /* entries of 64 bits, pages of 2 MiB */
	bool nx;     /* no-execute */
	bool page1gb;
	bool smep;
	bool smap;
	bool la57;         /* five levels of tables */
	uint8_t phys_bits; /* of a physical address */
};
extern struct cpu_features cpu_features;

/* Fills cpu_features. Once, before anything reads them. */
void cpu_detect(void);

static inline uintptr_t cpu_read_cr0(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static inline void cpu_write_cr0(uintptr_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline uintptr_t cpu_read_cr2(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline uintptr_t cpu_read_cr3(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static inline void cpu_write_cr3(uintptr_t value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

/* CR4 exists only where CPUID does. */
static inline uintptr_t cpu_read_cr4(void)
{
	uintptr_t value;
	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static inline void cpu_write_cr4(uintptr_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline void cpu_invlpg(uintptr_t virt)
{
	__asm__ volatile("invlpg (%0)" : : "r"(virt) : "memory");
}

static inline uintptr_t cpu_read_eflags(void)
{
	uintptr_t value;
	__asm__ volatile("pushf\n\tpop %0" : "=r"(value) : : "memory");
	return value;
}

static inline void cpu_write_eflags(uintptr_t value)
{
	__asm__ volatile("push %0\n\tpopf" : : "r"(value) : "memory", "cc");
}

static inline void cpu_cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void cpu_sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void cpu_hlt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

/*
 * Sleeps until an interrupt has been taken, and keeps further ones out. No
 * interrupt can slip in between: sti takes effect after the next instruction.
 */
static inline void cpu_wait_interrupt(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static inline void cpu_pause(void)
{
	__asm__ volatile("rep; nop" : : : "memory");
}

/* Only where cpu_features.tsc is set. */
static inline uint64_t cpu_rdtsc(void)
{
	uint32_t low;
	uint32_t high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void cpu_cpuid(uint32_t leaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]),
			   "=d"(out[3])
			 : "a"(leaf), "c"(0));
}

/* Model-specific registers, where cpu_features says that there are any. */
static inline uint64_t cpu_read_msr(uint32_t number)
{
	uint32_t low;
	uint32_t high;
	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	return (uint64_t)high << 32 | low;
}

static inline void cpu_write_msr(uint32_t number, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(number), "a"((uint32_t)value),
			   "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline void cpu_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t cpu_in8(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

#endif

/* SPDX-License-Identifier: MIT */
/* What only an x86-64 has between ring 3 and the kernel, at its edges. */

/*
 * syscall and sysret do part of what an interrupt does, and the program has the
 * rest in its hands: flags, segments, the stack pointer, and where it calls
 * from. None of it may reach the kernel, and a call gives all of it back.
 */

#include <check.h>
#include <machine.h>
#include <string.h>
#include <unistd.h>

#define PAGE 4096u
#define RWX (PROT_READ | PROT_WRITE | PROT_EXEC)

#define FLAG_CF 0x1u
#define FLAG_TF 0x100u
#define FLAG_DF 0x400u
#define FLAG_NT 0x4000u
#define FLAG_AC 0x40000u

#define USER_CODE_32 0x1Bu
#define USER_DATA 0x23u

/* With neither four nor five levels of page tables. */
#define NO_ADDRESS 0x4000000000000000u

/* All that a call keeps: RBX, RBP, RSI, RDI, RDX, R8 to R10, R12 to R15. */
#define REGISTERS 12u

/* In calls.asm. Calls with these values, and stores what it finds then. */
long edges_call(uint32_t number, uint64_t registers[REGISTERS]);

static void check_registers(void)
{
	uint64_t registers[REGISTERS];

	for (unsigned i = 0; i < REGISTERS; i++) {
		registers[i] = 0x0123456789ABCDEFu * (i + 1);
	}
	CHECK(edges_call(ABI_GETPID, registers) == getpid());
	/* That another program has the CPU in between is no difference. */
	CHECK(edges_call(ABI_YIELD, registers) == 0);
	for (unsigned i = 0; i < REGISTERS; i++) {
		CHECK(registers[i] == 0x0123456789ABCDEFu * (i + 1));
	}
}

/* The flags after a call that was made with these. */
static uint64_t flags_after(uint32_t number, uint64_t flags)
{
	uint64_t after;

	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushq %2\n\t"
			 "popfq\n\t"
			 "syscall\n\t"
			 "pushfq\n\t"
			 "popq %0\n\t"
			 "pushq $2\n\t"
			 "popfq\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 : "=&b"(after), "+a"(number)
			 : "r"(flags)
			 : "rcx", "r11", "memory", "cc");
	return after;
}

static void check_flags(void)
{
	static const uint64_t flags[] = { 0,       FLAG_CF, FLAG_DF,
					  FLAG_NT, FLAG_AC, FLAG_DF | FLAG_AC };
	const uint64_t seen = FLAG_CF | FLAG_DF | FLAG_NT | FLAG_AC;

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(flags); i++) {
		CHECK((flags_after(ABI_GETPID, flags[i]) & seen) == flags[i]);
		CHECK((flags_after(ABI_YIELD, flags[i]) & seen) == flags[i]);
	}
}

/* GS is the kernel's way to its own data: not with a program's selector. */
static void check_segments(void)
{
	static const uint16_t selectors[] = { 0, 3, USER_DATA, 0 };

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(selectors); i++) {
		__asm__ volatile("movw %0, %%gs\n\t"
				 "movw %0, %%fs"
				 :
				 : "r"(selectors[i]));
		CHECK(getpid() > 0);
		yield();
		for (volatile unsigned turn = 0; turn < 200000; turn++) {
		}
	}
}

/* -------- what ends a program, each in a child of its own -------- */

static void step_into_call(void)
{
	flags_after(ABI_GETPID, FLAG_TF);
}

static void code_32(void)
{
	static const struct {
		uint32_t offset;
		uint16_t selector;
	} target = { ABI_PROGRAM_BASE, USER_CODE_32 };

	__asm__ volatile("ljmpl *%0" : : "m"(target));
}

/* A far return, which emulators may read from the stack as ring 0 would. */
static void far_return(void)
{
	__asm__ volatile("pushq %0\n\t"
			 "pushq $0x400000\n\t"
			 "lretq"
			 :
			 : "r"((uint64_t)USER_CODE_32));
}

static void data_segment(void)
{
	/* The kernel's, for a stack of ring 3. */
	__asm__ volatile("movw %0, %%ss" : : "r"((uint16_t)0x10));
}

static void interrupt_call(void)
{
	__asm__ volatile("int $0x80" : : "a"(ABI_GETPID));
}

static void enter_call(void)
{
	__asm__ volatile("sysenter");
}

static void swap(void)
{
	__asm__ volatile("swapgs");
}

static void write_msr(void)
{
	/* Where a syscall goes to. */
	__asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xC0000082u));
}

static void write_gs(void)
{
	/* wrgsbase %rax: to an address that looks like the kernel's. */
	__asm__ volatile(".byte 0xF3, 0x48, 0x0F, 0xAE, 0xD8"
			 :
			 : "a"(0xFFFF800000000000u));
}

static void go_nowhere(void)
{
	__asm__ volatile("jmp *%0" : : "r"(NO_ADDRESS));
}

static void read_nowhere(void)
{
	(void)*(volatile char *)NO_ADDRESS;
}

static void push_nowhere(void)
{
	__asm__ volatile("movq %0, %%rsp\n\t"
			 "pushq $0"
			 :
			 : "r"(NO_ADDRESS));
}

static const struct {
	void (*run)(void);
	int status; /* 0: any that says that it was killed */
} ends[] = {
	{ far_return, 0 },
	{ step_into_call, ABI_END_TRAP },
	{ code_32, ABI_END_TRAP },
	{ data_segment, ABI_END_TRAP },
	{ interrupt_call, ABI_END_TRAP },
	{ enter_call, ABI_END_TRAP },
	{ swap, ABI_END_TRAP },
	{ write_msr, ABI_END_TRAP },
	{ write_gs, ABI_END_TRAP },
	{ go_nowhere, ABI_END_TRAP },
	{ read_nowhere, ABI_END_TRAP },
	{ push_nowhere, ABI_END_TRAP },
};

static int status_of(void (*run)(void))
{
	int status = 0;
	int pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		run();
		_exit(0);
	}
	CHECK(waitpid(pid, &status) == pid);
	return status;
}

static void check_ends(void)
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(ends); i++) {
		int status = status_of(ends[i].run);
		if (status != ends[i].status &&
		    (ends[i].status != 0 || status < ABI_END_FAULT)) {
			printf("edges: number %u ended with 0x%x\n", i,
			       (unsigned)status);
			exit(1);
		}
	}
}

/* -------- the end of the address space -------- */

static unsigned char *last;

static void call_at_the_end(void)
{
	__asm__ volatile("jmp *%0" : : "r"(last + PAGE - 2), "a"(ABI_GETPID));
}

/*
 * A call in the last two bytes there are goes on behind them, where no memory
 * can be, but an address is.
 */
static void check_end(void)
{
	CHECK_ERRNO(mmap((void *)ABI_SPACE_END, PAGE, RWX, MAP_FIXED), EINVAL);
	CHECK_ERRNO(
		mmap((void *)(ABI_SPACE_END - PAGE), 2 * PAGE, RWX, MAP_FIXED),
		EINVAL);
	last = mmap((void *)(ABI_SPACE_END - PAGE), PAGE, RWX, MAP_FIXED);
	CHECK(last == (unsigned char *)(ABI_SPACE_END - PAGE));
	memcpy(last + PAGE - 2, "\x0F\x05", 2);
	CHECK(status_of(call_at_the_end) == ABI_END_FAULT);
	CHECK(munmap(last, PAGE) == 0);
}

/* Far above what 32 bits reach, and far apart: tables of every level. */
static void check_high(void)
{
	static const uintptr_t places[] = { 0x100000000u, 0x8000000000u,
					    0x123456789000u, 0x7FFFFFFF0000u };

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(places); i++) {
		volatile uintptr_t *at =
			mmap((void *)places[i], PAGE, PROT_READ | PROT_WRITE,
			     MAP_FIXED);
		CHECK((uintptr_t)at == places[i]);
		*at = places[i];
	}
	int pid = fork();
	CHECK(pid >= 0);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(places); i++) {
		CHECK(*(volatile uintptr_t *)places[i] == places[i]);
		*(volatile uintptr_t *)places[i] = (uintptr_t)getpid();
		CHECK(*(volatile uintptr_t *)places[i] == (uintptr_t)getpid());
		CHECK(munmap((void *)places[i], PAGE) == 0);
	}
	if (pid == 0) {
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status) == pid && status == 0);
}

int main(void)
{
	check_registers();
	check_flags();
	check_segments();
	check_ends();
	check_end();
	check_high();
	puts("edges: all well");
	return 0;
}

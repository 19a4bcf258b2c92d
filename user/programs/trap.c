/* SPDX-License-Identifier: MIT */
/* Raises an exception: trap divide, opcode, halt, port, gate, debug, break. */

#include <machine.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void divide(void)
{
	__asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
}

static void opcode(void)
{
	__asm__ volatile("ud2");
}

/* Only the kernel may. */
static void halt(void)
{
	__asm__ volatile("hlt");
}

static void port(void)
{
	__asm__ volatile("outb %%al, $0xF4" : : "a"(0x10));
}

static void interrupts(void)
{
	__asm__ volatile("cli");
}

/* A vector of the kernel's: not to be called. */
static void gate(void)
{
	__asm__ volatile("int $0x21");
}

static void fault(void)
{
	__asm__ volatile("int $14");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void segment(void)
{
	/* The kernel's data segment, from ring 3. */
	__asm__ volatile("mov %0, %%ds" : : "r"(0x10));
}

static void directory(void)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"((uintptr_t)0));
}

static const struct {
	const char *name;
	void (*run)(void);
} traps[] = {
	{ "divide", divide },    { "opcode", opcode },
	{ "halt", halt },        { "port", port },
	{ "cli", interrupts },   { "gate", gate },
	{ "fault", fault },      { "debug", machine_single_step },
	{ "break", breakpoint }, { "segment", segment },
	{ "cr3", directory },
};

int main(int argc, char **argv)
{
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(traps); i++) {
		if (argc > 1 && strcmp(traps[i].name, argv[1]) == 0) {
			traps[i].run();
			printf("trap: %s did not end this program\n", argv[1]);
			return 1;
		}
	}
	puts("trap KIND");
	return 2;
}

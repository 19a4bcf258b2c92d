/* SPDX-License-Identifier: MIT */
/* Keeps values in floating-point registers while others run: fpu [ROUNDS]. */

/*
 * Parent and child each hold a sum of their own in the registers of the 387,
 * and of SSE2 if there are any, and must find it as it was. A program that has
 * just started finds zeros and nothing of anybody's.
 */

#include <check.h>
#include <machine.h>
#include <unistd.h>

static void check_fresh(int sse2)
{
	uint32_t xmm[4] = { 1, 1, 1, 1 };
	uint16_t control;
	uint16_t status;

	if (sse2) {
		__asm__ volatile("movups %%xmm5, %0" : "=m"(xmm));
		CHECK((xmm[0] | xmm[1] | xmm[2] | xmm[3]) == 0);
	}
	__asm__ volatile("fnstcw %0\n\tfnstsw %1"
			 : "=m"(control), "=m"(status));
	CHECK(control == 0x37F && status == 0);
}

/* Sets registers, lets others run in both ways, and looks again. */
static void check_round(uint32_t seed, int sse2)
{
	const uint32_t in[4] = { seed, seed + 1, ~seed, seed * 3 };
	uint32_t out[4] = { 0, 0, 0, 0 };
	double value = (double)seed;
	double back;

	if (sse2) {
		__asm__ volatile("movups %0, %%xmm5" : : "m"(in));
	}
	__asm__ volatile("fldl %0" : : "m"(value));
	for (volatile uint32_t i = 0; i < 20000; i++) {
	}
	yield();
	__asm__ volatile("fstpl %0" : "=m"(back));
	if (sse2) {
		__asm__ volatile("movups %%xmm5, %0" : "=m"(out));
		CHECK(out[0] == in[0] && out[1] == in[1] && out[2] == in[2] &&
		      out[3] == in[3]);
	}
	CHECK(back == value);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 300;
	int sse2 = machine_has_sse2();

	check_fresh(sse2);
	/* A child begins with the registers of its parent. */
	double kept = 2.5;
	double seen = 0;
	__asm__ volatile("fldl %0" : : "m"(kept));
	int pid = fork();
	CHECK(pid >= 0);
	__asm__ volatile("fstpl %0" : "=m"(seen));
	CHECK(seen == kept);
	for (unsigned i = 0; i < rounds; i++) {
		check_round((uint32_t)getpid() * 1000 + i, sse2);
	}
	if (pid == 0) {
		return 0;
	}
	int status;
	CHECK(waitpid(pid, &status) == pid && status == 0);
	puts("fpu: every register in its place");
	return 0;
}

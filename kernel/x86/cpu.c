/* SPDX-License-Identifier: MIT */
/* Finds out what this CPU has, from the 386 on. */

#include <loam/mem.h>

#include "cpu.h"

struct cpu_features cpu_features;

/* True if software can change this bit of EFLAGS. */
static bool cpu_flag_toggles(uintptr_t flag)
{
	uintptr_t before = cpu_read_eflags();
	cpu_write_eflags(before ^ flag);
	uintptr_t after = cpu_read_eflags();
	cpu_write_eflags(before);
	return ((before ^ after) & flag) != 0;
}

/* What leaf 7 and the extended leaves tell, if there are any. */
static void cpu_detect_new(void)
{
	uint32_t id[4];

	cpu_cpuid(0, id);
	if (id[0] >= 7) {
		cpu_cpuid(7, id);
		cpu_features.smep = (id[1] & CPU_CPUID_SMEP) != 0;
		cpu_features.smap = (id[1] & CPU_CPUID_SMAP) != 0;
		cpu_features.la57 = (id[2] & CPU_CPUID_LA57) != 0;
	}
	cpu_cpuid(0x80000000u, id);
	uint32_t last = id[0];
	if (last >= 0x80000001u && last < 0x80010000u) {
		cpu_cpuid(0x80000001u, id);
		cpu_features.nx = (id[3] & CPU_CPUID_NX) != 0;
		cpu_features.page1gb = (id[3] & CPU_CPUID_PAGE1GB) != 0;
	}
	if (last >= 0x80000008u && last < 0x80010000u) {
		cpu_cpuid(0x80000008u, id);
		cpu_features.phys_bits = (uint8_t)id[0];
	}
}

void cpu_detect(void)
{
	uint32_t id[4];

	cpu_features.phys_bits = 32;
	cpu_features.invlpg = cpu_flag_toggles(CPU_EFLAGS_AC);
	cpu_features.cpuid = cpu_flag_toggles(CPU_EFLAGS_ID);
	if (!cpu_features.cpuid) {
		return;
	}
	cpu_cpuid(0, id);
	memcpy(cpu_features.vendor, &id[1], 4);
	memcpy(cpu_features.vendor + 4, &id[3], 4);
	memcpy(cpu_features.vendor + 8, &id[2], 4);
	cpu_cpuid(1, id);
	cpu_features.pse = (id[3] & CPU_CPUID_PSE) != 0;
	cpu_features.pae = (id[3] & CPU_CPUID_PAE) != 0;
	cpu_features.pge = (id[3] & CPU_CPUID_PGE) != 0;
	cpu_features.tsc = (id[3] & CPU_CPUID_TSC) != 0;
	/*
	 * Where no leaf tells, PAE stands for 36 bits by the manual. QEMU
	 * before 8.1 takes 32 and faults unless there is PSE-36 too, which all
	 * but the first Pentium Pros have.
	 */
	if (cpu_features.pae && (id[3] & CPU_CPUID_PSE36) != 0) {
		cpu_features.phys_bits = 36;
	}
	cpu_detect_new();
}

/* SPDX-License-Identifier: MIT */
/* Fuzzes what boot loaders leave in memory, and the kernel's command line. */
#include <stdlib.h>
#include <string.h>

#include "../kernel/bootinfo.h"
#include "../kernel/cmdline.h"
#include "../kernel/x86/bios_info.h"
#include "../kernel/multiboot.h"
#include "platform.h"

#define MEMORY_BYTES 65536u
#define MOST_ENTRIES 256u /* fewer than the longest seed has */

static void require(bool condition)
{
	if (!condition) {
		abort();
	}
}

static bool is_terminated(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

/* Every option the kernel asks for, and a number from each value. */
static void read_options(const char *cmdline)
{
	static const char *const names[] = { "cmd", "tlb", "slab", "quiet",
					     "" };
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(names); i++) {
		char value[24];
		uint64_t number;
		if (cmdline_option(cmdline, names[i], value, sizeof(value))) {
			require(is_terminated(value, sizeof(value)));
			(void)cmdline_number(value, &number);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The first byte picks the protocol, the next two where the information
 * begins; the rest is memory from 4 KiB on.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loam_memmap_entry entries[MOST_ENTRIES];
	static struct loam_boot_info info;
	if (size < 3 || size > MEMORY_BYTES - 4096u) {
		return 0;
	}
	if (hosted_memory.fd < 0) {
		hosted_memory_create(MEMORY_BYTES, MEMORY_BYTES);
	}
	memset(hosted_memory.direct, 0, MEMORY_BYTES);
	memcpy(hosted_memory.direct + 4096, data + 3, size - 3);
	memset(&info, 0xa5, sizeof(info));
	info.entries = entries;
	info.entry_capacity = MOST_ENTRIES;
	uint32_t magic = (data[0] & 2) != 0   ? MULTIBOOT2_MAGIC
			 : (data[0] & 1) != 0 ? MULTIBOOT_MAGIC
					      : BIOS_INFO_MAGIC;
	uint32_t phys = 4096u + data[1] + 256u * data[2];
	const char *why = NULL;
	hosted_log_clear();
	if (bootinfo_read(&info, magic, phys, &why) == 0) {
		require(info.entry_count <= MOST_ENTRIES);
		require(info.reserved_count <= LOAM_BOOT_MAX_RESERVED);
		for (uint32_t i = 0; i < info.reserved_count; i++) {
			require(is_terminated(info.reserved[i].name,
					      sizeof(info.reserved[i].name)));
		}
	} else {
		require(why != NULL);
	}
	require(is_terminated(info.cmdline, sizeof(info.cmdline)));
	require(is_terminated(info.loader, sizeof(info.loader)));
	read_options(info.cmdline);
	char text[256];
	size_t length = size - 3 < sizeof(text) ? size - 3 : sizeof(text) - 1;
	memcpy(text, data + 3, length);
	text[length] = 0;
	read_options(text);
	return 0;
}

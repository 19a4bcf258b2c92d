/* SPDX-License-Identifier: MIT */
/* A kernel of its own that uses Loam: from the loader's map to kmalloc. */

#include <loam/kmalloc.h>
#include <loam/mem.h>

/* All that this kernel is made of; Loam has no globals of its own. */
static struct loam_memmap map;
static struct loam_memblock memblock;
static struct loam_frames frames;
static struct loam_slabs slabs;
static struct loam_kmalloc kmalloc;
static struct loam_mem_range ranges[128];
static struct loam_memblock_region reserved[64];

/* From kernel.ld. */
extern char image_start[], image_end[];

void kernel_main(const uint32_t *multiboot_info);

/* A Multiboot 1 header that asks for the memory map, and the entry. */
__asm__(".section .head, \"ax\"\n"
	".long 0x1BADB002, 2, -(0x1BADB002 + 2)\n"
	".global start\n"
	"start: movl $stack_top, %esp\n"
	"	pushl %ebx\n"
	"	call kernel_main\n"
	".bss\n"
	".balign 16\n"
	"	.skip 16384\n"
	"stack_top:\n"
	".text\n");

static void out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text)
{
	for (; *text != '\0'; text++) {
		out(0x3f8, (uint8_t)*text);
	}
	out(0x3f8, '\n');
}

/* Ends the emulator with 2 * status + 1; elsewhere, halts. */
static _Noreturn void stop(uint8_t status)
{
	out(0xf4, status);
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

/* What Loam must be given: a way to give up, ... */
_Noreturn void loam_host_panic(const char *message)
{
	print(message);
	stop(1);
}

/* ... and the way to memory. Without paging, that is its address. */
void *loam_host_phys_to_virt(loam_phys_t phys)
{
	return phys < LOAM_GIB(4) ? (void *)(uintptr_t)phys : NULL;
}

/* What it may be given: somewhere to say what is wrong. */
void loam_host_log(enum loam_log_level level, const char *text)
{
	(void)level;
	print(text);
}

/* The floors, from the ground up. Each can be the last one. */
static int memory_init(const uint32_t *multiboot_info)
{
	const void *mmap = (const void *)multiboot_info[12];
	size_t mmap_bytes = multiboot_info[11];
	loam_phys_t image = (uintptr_t)image_start;
	int error;

	loam_memmap_init(&map, ranges, LOAM_ARRAY_SIZE(ranges));
	/* Entries that are bad are reported; the good ones are there. */
	(void)loam_memmap_add_multiboot1(&map, mmap, mmap_bytes);
	error = loam_memmap_normalise(&map);
	if (error != 0) {
		return error;
	}
	loam_memblock_init(&memblock, reserved, LOAM_ARRAY_SIZE(reserved));
	error = loam_memblock_adopt(&memblock, &map);
	if (error != 0) {
		return error;
	}
	error = loam_memblock_reserve(&memblock, 0, LOAM_MIB(1),
				      LOAM_RESERVED_FIRMWARE);
	if (error != 0) {
		return error;
	}
	error = loam_memblock_reserve(&memblock, image,
				      (uintptr_t)image_end - image,
				      LOAM_RESERVED_KERNEL_DATA);
	if (error != 0) {
		return error;
	}
	error = loam_frame_adopt(&frames, &memblock, LOAM_MIB(16), LOAM_GIB(4),
				 LOAM_GIB(4));
	if (error != 0) {
		return error;
	}
	error = loam_slab_init(&slabs, &frames, NULL);
	if (error != 0) {
		return error;
	}
	return loam_kmalloc_init(&kmalloc, &slabs, NULL);
}

void kernel_main(const uint32_t *multiboot_info)
{
	if (memory_init(multiboot_info) != 0) {
		print("no memory");
		stop(1);
	}
	char *greeting = loam_kmalloc(&kmalloc, 32, 0);
	void *large = loam_kzalloc(&kmalloc, LOAM_MIB(1), 0);
	if (greeting == NULL || large == NULL) {
		print("out of memory");
		stop(1);
	}
	memcpy(greeting, "hello from kmalloc", 19);
	print(greeting);
	loam_kfree(&kmalloc, large);
	loam_kfree(&kmalloc, greeting);
	/* A mistake, which is found, reported and not obeyed. */
	loam_kfree(&kmalloc, greeting);
	stop(loam_kmalloc_check(&kmalloc) == 0 ? 0x10 : 1);
}

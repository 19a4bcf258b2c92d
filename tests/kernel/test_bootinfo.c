/* SPDX-License-Identifier: MIT */
/* The readers of boot information and the command line, on made-up input. */

#include "bootinfo.h"
#include "cmdline.h"
#include "x86/bios_info.h"
#include "layout.h"
#include "machine.h"
#include "ktest.h"
#include "multiboot.h"

/* A loader's memory, in the kernel's image so that it has an address. */
static struct {
	struct multiboot_info multiboot;
	struct bios_info bios;
	unsigned char map[256];
	uint8_t replies[8];
	struct multiboot_module modules[2];
	char text[64];
	unsigned char tags[256]; /* of Multiboot 2 */
	uint32_t tag_bytes;
} loader;

static struct loam_boot_info info;
static struct loam_memmap_entry entries[4];
static const char *why;

static uint32_t phys_of(const void *at)
{
	return (uint32_t)VIRT_TO_PHYS((uintptr_t)at);
}

static void loader_reset(void)
{
	memset(&loader, 0, sizeof(loader));
	memset(&info, 0, sizeof(info));
	info.entries = entries;
	info.entry_capacity = LOAM_ARRAY_SIZE(entries);
	why = NULL;
}

/* Appends one Multiboot entry whose size field is `size`. */
static void loader_add(uint32_t size, uint64_t base, uint64_t length,
		       uint32_t type)
{
	unsigned char *at = loader.map + loader.multiboot.mmap_length;

	memcpy(at, &size, 4);
	memcpy(at + 4, &base, 8);
	memcpy(at + 12, &length, 8);
	memcpy(at + 20, &type, 4);
	loader.multiboot.mmap_length += size + 4;
	loader.multiboot.mmap_addr = phys_of(loader.map);
	loader.multiboot.flags |= MULTIBOOT_HAS_MAP;
}

/* Reads with as much in reach as the temporary tables of the i386 show. */
static int read_within(uint32_t magic, uint32_t phys)
{
	loam_phys_t end = machine_direct_end;

	machine_direct_end = LOAM_MIB(256);
	int error = bootinfo_read(&info, magic, phys, &why);
	machine_direct_end = end;
	return error;
}

static int loader_read(void)
{
	return read_within(MULTIBOOT_MAGIC, phys_of(&loader.multiboot));
}

KTEST(bootinfo_magic, "S4.5 an unknown magic number is refused in words")
{
	loader_reset();
	EXPECT_EQ(bootinfo_read(&info, 0x12345678, 0x1000, &why), -LOAM_EINVAL);
	EXPECT(why != NULL);
	EXPECT_LOG("0x12345678");
	EXPECT_LOG("0x2badb002");
}

KTEST(bootinfo_no_map, "S4.5 a loader without any map is refused in words")
{
	loader_reset();
	EXPECT_EQ(loader_read(), -LOAM_ENOENT);
	EXPECT(why != NULL);
}

KTEST(bootinfo_sizes, "S4.5 without a map mem_lower and mem_upper serve")
{
	loader_reset();
	loader.multiboot.flags = MULTIBOOT_HAS_MEMORY;
	loader.multiboot.mem_lower = 639;
	loader.multiboot.mem_upper = 7 * 1024;
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.entry_count, 2);
	EXPECT_EQ(entries[0].length, 639 * 1024);
	EXPECT_EQ(entries[1].base, LOAM_MIB(1));
	EXPECT_EQ(entries[1].length, LOAM_MIB(7));
}

KTEST(bootinfo_stride, "S4.5 the map is walked by each entry's own size")
{
	loader_reset();
	loader_add(20, 0, 0x9F000, 1);
	loader_add(28, 0x100000, 0x700000, 1);
	loader_add(24, 0xFFFC0000u, 0x40000, 2);
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.entry_count, 3);
	EXPECT_EQ(entries[1].base, 0x100000);
	EXPECT_EQ(entries[2].base, 0xFFFC0000u);
	EXPECT_EQ(entries[2].type, 2);
	EXPECT_EQ(entries[2].attributes, 1);
}

KTEST(bootinfo_malformed, "S4.5 a malformed entry is named, the rest is used")
{
	loader_reset();
	loader_add(20, 0, 0x9F000, 1);
	loader_add(16, 0x100000, 0x700000, 1);
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.entry_count, 1);
	EXPECT_LOG("entry 1 at offset 24");

	loader_reset();
	loader_add(20, 0, 0x9F000, 1);
	loader_add(20, 0x100000, 0x700000, 1);
	loader.multiboot.mmap_length -= 4;
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.entry_count, 1);

	loader_reset();
	loader_add(20, 0, 0x9F000, 1);
	const uint32_t huge = 0xFFFFFFFFu;
	memcpy(loader.map + 24, &huge, 4);
	loader.multiboot.mmap_length = 48;
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.entry_count, 1);
}

KTEST(bootinfo_overflow, "S4.5 too many entries: none that forbids is lost")
{
	loader_reset();
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(entries); i++) {
		loader_add(20, i << 20, 1u << 20, LOAM_MEM_USABLE);
	}
	loader_add(20, 0x100000, 0x1000, LOAM_MEM_RESERVED);
	loader_add(20, 0x800000, 0x1000, LOAM_MEM_USABLE);
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.entry_count, LOAM_ARRAY_SIZE(entries));
	EXPECT_EQ(entries[3].type, LOAM_MEM_RESERVED);
	EXPECT_EQ(entries[2].type, LOAM_MEM_USABLE);
	EXPECT_LOG("2 were dropped");
}

/* -------- Multiboot 2 -------- */

static void tags_word(uint32_t word)
{
	memcpy(loader.tags + loader.tag_bytes, &word, sizeof(word));
	loader.tag_bytes += (uint32_t)sizeof(word);
}

/* A tag of words; what is there begins with the size of all. */
static void tags_add(uint32_t type, const uint32_t *words, unsigned count)
{
	if (loader.tag_bytes == 0) {
		tags_word(0);
		tags_word(0);
	}
	loader.tag_bytes = (loader.tag_bytes + 7) & ~7u;
	tags_word(type);
	tags_word(8 + 4 * count);
	for (unsigned i = 0; i < count; i++) {
		tags_word(words[i]);
	}
	memcpy(loader.tags, &loader.tag_bytes, sizeof(loader.tag_bytes));
}

static int tags_read(void)
{
	return read_within(MULTIBOOT2_MAGIC, phys_of(loader.tags));
}

KTEST(bootinfo_tags,
      "S4.5 X.2 Multiboot 2: tags of every kind the kernel reads")
{
	const uint32_t text[] = { 0x74656971, 0 }; /* "qiet" */
	const uint32_t module[] = { 0x200000, 0x200001, 0x6E, 0 };
	const uint32_t map[] = { 24, 0, 0, 0, 0x9F000, 0, 1, 0 };

	loader_reset();
	tags_add(MULTIBOOT2_CMDLINE, text, 2);
	tags_add(99, text, 1);
	tags_add(MULTIBOOT2_MODULE, module, 3);
	tags_add(MULTIBOOT2_MAP, map, 8);
	tags_add(MULTIBOOT2_END, NULL, 0);
	EXPECT_EQ(tags_read(), 0);
	EXPECT(loam_streq(info.cmdline, "qiet"));
	EXPECT_EQ(info.reserved_count, 1);
	EXPECT(loam_streq(info.reserved[0].name, "n"));
	EXPECT_EQ(info.entry_count, 1);
	EXPECT_EQ(entries[0].length, 0x9F000);
	EXPECT(loam_streq(info.source, "Multiboot 2 map"));
}

KTEST(bootinfo_efi, "S4.5 Multiboot 2: UEFI's own map comes first")
{
	const uint32_t map[] = { 24, 0, 0, 0, 0x9F000, 0, 1, 0 };
	const uint32_t efi[] = { 48, 1, 7, 0, 0x100000, 0, 0,
				 0,  2, 0, 8, 0,        0, 0 };
	const uint32_t bad[] = { 39, 1, 7, 0, 0x100000, 0 };

	loader_reset();
	tags_add(MULTIBOOT2_MAP, map, 8);
	tags_add(MULTIBOOT2_EFI_MAP, efi, 14);
	EXPECT_EQ(tags_read(), 0);
	EXPECT(loam_streq(info.source, "UEFI map"));
	EXPECT_EQ(info.entry_count, 1);
	EXPECT_EQ(entries[0].base, 0x100000);
	EXPECT_EQ(entries[0].length, 0x2000);
	EXPECT_EQ(entries[0].type, LOAM_MEM_USABLE);
	/* One that cannot be leaves the other. */
	loader_reset();
	tags_add(MULTIBOOT2_EFI_MAP, bad, 6);
	tags_add(MULTIBOOT2_MAP, map, 8);
	EXPECT_EQ(tags_read(), 0);
	EXPECT_LOG("40 are the least");
	EXPECT(loam_streq(info.source, "Multiboot 2 map"));
}

/* -------- a UEFI map as some firmware has it -------- */

#define EFI_DESCRIPTORS 300u
#define EFI_STEP 48u
#define EFI_PAGES 512u /* that they are about, each with one bit */
#define EFI_WRITE_BACK 8u

/*
 * What a page is must not depend on the order of descriptors: it is usable if
 * one says so and none says otherwise.
 */
static unsigned char efi_map[8 + 16 + EFI_DESCRIPTORS * EFI_STEP];

struct efi_tale {
	struct loam_memmap_entry entries[EFI_DESCRIPTORS];
	struct loam_mem_range ranges[2 * EFI_DESCRIPTORS];
	bool usable[EFI_PAGES];
	bool forbidden[EFI_PAGES];
};

/* UEFI's types that are memory once the firmware has handed over. */
static bool efi_is_usable(uint32_t type, uint32_t attributes)
{
	return attributes == EFI_WRITE_BACK &&
	       ((type >= 1 && type <= 4) || type == 7);
}

static void efi_tell(struct efi_tale *tale)
{
	const uint32_t head[] = { sizeof(efi_map),    0,
				  MULTIBOOT2_EFI_MAP, sizeof(efi_map) - 8,
				  EFI_STEP,           1 };
	uint32_t state = 1;

	memcpy(efi_map, head, sizeof(head));
	for (unsigned i = 0; i < EFI_DESCRIPTORS; i++) {
		state = state * 1664525u + 1013904223u;
		/* Types that are, that are not, and some of a vendor's. */
		uint32_t type =
			i % 5 == 0 ? 0x80000000u + i : (state >> 8) % 20;
		uint32_t first = (state >> 16) % (EFI_PAGES - 4);
		uint32_t pages = (state >> 28) % 4;
		uint32_t attributes = i % 7 == 0 ? 1 : EFI_WRITE_BACK;
		const uint32_t words[EFI_STEP / 4] = {
			type,  i, first << LOAM_PAGE_SHIFT,
			0,     0, 0,
			pages, 0, attributes,
			0,     i, i
		};
		memcpy(efi_map + sizeof(head) + i * EFI_STEP, words, EFI_STEP);
		for (uint32_t page = first; page < first + pages; page++) {
			bool usable = efi_is_usable(type, attributes);
			tale->usable[page] |= usable;
			tale->forbidden[page] |= !usable;
		}
	}
}

KTEST(bootinfo_efi_many,
      "X.3 Multiboot 2: 300 descriptors of UEFI's, many of odd types")
{
	struct efi_tale *tale = kzalloc(sizeof(*tale));
	struct loam_memmap map;

	EXPECT(tale != NULL);
	efi_tell(tale);
	loader_reset();
	info.entries = tale->entries;
	info.entry_capacity = EFI_DESCRIPTORS;
	EXPECT_EQ(read_within(MULTIBOOT2_MAGIC, phys_of(efi_map)), 0);
	EXPECT_EQ(info.entry_count, EFI_DESCRIPTORS);
	loam_memmap_init(&map, tale->ranges, LOAM_ARRAY_SIZE(tale->ranges));
	EXPECT_EQ(loam_memmap_add_e820(&map, info.entries, info.entry_count,
				       sizeof(*info.entries), NULL),
		  0);
	EXPECT_EQ(loam_memmap_normalise(&map), 0);
	EXPECT_EQ(loam_memmap_check(&map), 0);
	for (uint32_t page = 0; page < EFI_PAGES; page++) {
		uint32_t type = loam_memmap_type_at(
			&map, (loam_phys_t)page << LOAM_PAGE_SHIFT);
		EXPECT_EQ(type == LOAM_MEM_USABLE,
			  tale->usable[page] && !tale->forbidden[page]);
	}
	kfree(tale);
}

KTEST(bootinfo_bad_tags,
      "S4.5 Multiboot 2: a tag that does not fit ends the walk")
{
	const uint32_t sizes[] = { 639, 7 * 1024 };

	loader_reset();
	tags_add(MULTIBOOT2_SIZES, sizes, 2);
	tags_add(MULTIBOOT2_CMDLINE, sizes, 2);
	uint32_t wrong = 1000;
	memcpy(loader.tags + 28, &wrong, sizeof(wrong));
	EXPECT_EQ(tags_read(), 0);
	EXPECT_LOG("claims 1000 bytes");
	EXPECT_EQ(info.cmdline[0], '\0');
	EXPECT_EQ(info.entry_count, 2);
	wrong = 0;
	memcpy(loader.tags + 28, &wrong, sizeof(wrong));
	EXPECT_EQ(tags_read(), 0);
	EXPECT_LOG("claims 0 bytes");
	/* None of memory, and none at all. */
	loader_reset();
	tags_add(MULTIBOOT2_END, NULL, 0);
	EXPECT_EQ(tags_read(), -LOAM_ENOENT);
	EXPECT_EQ(read_within(MULTIBOOT2_MAGIC, 0xFFFFFFF0u), -LOAM_EFAULT);
}

KTEST(bootinfo_reach, "S4.5 structures out of reach are refused, not read")
{
	loader_reset();
	EXPECT_EQ(read_within(MULTIBOOT_MAGIC, 0xFFFFFFF0u), -LOAM_EFAULT);
	EXPECT_EQ(read_within(MULTIBOOT_MAGIC, 0xE0000000u), -LOAM_EFAULT);
	loader_add(20, 0, 0x9F000, 1);
	loader.multiboot.mmap_addr = 0xFFFFFFF0u;
	EXPECT_EQ(loader_read(), -LOAM_ENOENT);
	EXPECT_LOG("out of reach");
	loader.multiboot.flags |= MULTIBOOT_HAS_MODULES;
	loader.multiboot.mods_count = 0xFFFFFFFFu;
	loader.multiboot.mods_addr = 0xFFFFFFF0u;
	EXPECT_EQ(loader_read(), -LOAM_ENOENT);
	EXPECT_EQ(info.reserved_count, 0);
}

KTEST(bootinfo_modules, "X.2 modules are kept with their names, bad ones named")
{
	loader_reset();
	loader_add(20, 0, 0x9F000, 1);
	loam_snprintf(loader.text, sizeof(loader.text), "initrd root=1");
	loader.multiboot.flags |= MULTIBOOT_HAS_MODULES;
	loader.multiboot.mods_count = 2;
	loader.multiboot.mods_addr = phys_of(loader.modules);
	loader.modules[0].start = 0x200000;
	loader.modules[0].end = 0x200001;
	loader.modules[0].string = phys_of(loader.text);
	loader.modules[1].start = 0x300000;
	loader.modules[1].end = 0x2FFFFF;
	EXPECT_EQ(loader_read(), 0);
	EXPECT_EQ(info.reserved_count, 1);
	EXPECT_EQ(info.reserved[0].base, 0x200000);
	EXPECT_EQ(info.reserved[0].size, 1);
	EXPECT_EQ(info.reserved[0].owner, LOAM_RESERVED_MODULE);
	EXPECT(loam_streq(info.reserved[0].name, "initrd root=1"));
	EXPECT_LOG("module 1 is empty");
}

/* One 24-byte reply of the BIOS, of which `bytes` count. */
static void bios_add(uint64_t base, uint64_t length, uint32_t type,
		     uint32_t attributes, uint8_t bytes)
{
	const struct loam_memmap_entry entry = { base, length, type,
						 attributes };
	memcpy(loader.map + loader.bios.entry_count * sizeof(entry), &entry,
	       sizeof(entry));
	loader.replies[loader.bios.entry_count++] = bytes;
}

static void bios_reset(uint32_t method)
{
	loader_reset();
	loader.bios.magic = BIOS_INFO_MAGIC;
	loader.bios.size_bytes = sizeof(loader.bios);
	loader.bios.method = method;
	loader.bios.entries = phys_of(loader.map);
	loader.bios.reply_bytes = phys_of(loader.replies);
	loader.bios.cmdline = phys_of(loader.text);
	loam_snprintf(loader.text, sizeof(loader.text), "quiet");
}

static int bios_read(void)
{
	return read_within(BIOS_INFO_MAGIC, phys_of(&loader.bios));
}

KTEST(bootinfo_e820, "S1.31 replies of 20 and 24 bytes, shorter ones left out")
{
	bios_reset(BIOS_MAP_E820);
	bios_add(0, 0x9F000, 1, 0xDEAD, 20);
	bios_add(0x100000, 0x100000, 1, 0, 24);
	bios_add(0x200000, 0x100000, 1, 1, 16);
	bios_add(0x300000, 0x100000, 1, 1, 24);
	EXPECT_EQ(bios_read(), 0);
	EXPECT_EQ(info.entry_count, 3);
	EXPECT_EQ(entries[0].attributes, 1);
	EXPECT_EQ(entries[1].attributes, 0);
	EXPECT_EQ(entries[2].base, 0x300000);
	EXPECT_LOG("reply 2 has 16 bytes");
	EXPECT(loam_streq(info.cmdline, "quiet"));
	EXPECT(loam_streq(info.source, "E820"));
}

KTEST(bootinfo_e801, "S1.31 E801h and 88h serve where there is no E820h")
{
	bios_reset(BIOS_MAP_E801);
	loader.bios.low_kib = 639;
	loader.bios.e801_kib = 15 * 1024;
	loader.bios.e801_units = 48 * 16;
	EXPECT_EQ(bios_read(), 0);
	EXPECT_EQ(info.entry_count, 3);
	EXPECT_EQ(entries[1].length, LOAM_MIB(15));
	EXPECT_EQ(entries[2].base, LOAM_MIB(16));
	EXPECT_EQ(entries[2].length, LOAM_MIB(48));

	bios_reset(BIOS_MAP_88);
	loader.bios.low_kib = 640;
	loader.bios.kib_88 = 4096;
	EXPECT_EQ(bios_read(), 0);
	EXPECT_EQ(info.entry_count, 2);
	EXPECT_EQ(entries[1].length, LOAM_MIB(4));
}

KTEST(bootinfo_bios_bad, "S1.31 a damaged boot disk block is refused in words")
{
	bios_reset(BIOS_MAP_NONE);
	EXPECT_EQ(bios_read(), -LOAM_ENOENT);
	loader.bios.magic = 0;
	EXPECT_EQ(bios_read(), -LOAM_EINVAL);
	EXPECT(why != NULL);
}

KTEST(cmdline_options, "command line: words, quotes, the last one counts")
{
	const char *line =
		"/loam tlb=cr3  cmd=\"a; b\" \"x=1 2\" quiet tlb=auto";
	char value[16];

	EXPECT(cmdline_option(line, "cmd", value, sizeof(value)));
	EXPECT(loam_streq(value, "a; b"));
	EXPECT(cmdline_option(line, "x", value, sizeof(value)));
	EXPECT(loam_streq(value, "1 2"));
	EXPECT(cmdline_option(line, "tlb", value, sizeof(value)));
	EXPECT(loam_streq(value, "auto"));
	EXPECT(cmdline_option(line, "quiet", value, sizeof(value)));
	EXPECT(loam_streq(value, ""));
	EXPECT(!cmdline_option(line, "cm", value, sizeof(value)));
	EXPECT(!cmdline_option(line, "quiets", value, sizeof(value)));
	EXPECT(cmdline_option("n=123456789", "n", value, 4));
	EXPECT(loam_streq(value, "123"));
}

KTEST(cmdline_numbers, "command line: numbers, suffixes, what is none")
{
	uint64_t n = 7;

	EXPECT(cmdline_number("0x1F", &n) && n == 31);
	EXPECT(cmdline_number("64K", &n) && n == 65536);
	EXPECT(cmdline_number("0xffffffffffffffff", &n) && n == UINT64_MAX);
	n = 7;
	EXPECT(!cmdline_number("", &n));
	EXPECT(!cmdline_number("0x", &n));
	EXPECT(!cmdline_number("12q", &n));
	EXPECT(!cmdline_number("0x10000000000000000", &n));
	EXPECT(!cmdline_number("18446744073709551615K", &n));
	EXPECT(!cmdline_number("-1", &n));
	EXPECT_EQ(n, 7);
}

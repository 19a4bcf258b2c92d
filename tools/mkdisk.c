/* SPDX-License-Identifier: MIT */
/* Writes a BIOS boot disk: boot sector, stage two, kernel and modules. */

/*
 * usage: mkdisk -o DISK --stage1 FILE --stage2 FILE --kernel ELF
 *               [--cmdline TEXT] [--module FILE[:ARGUMENTS]]... [--magic N]
 *
 * The disk's layout and the label that stage two reads are described in
 * kernel/bios/layout.inc. Everything that can be known to be wrong before the
 * machine is switched on is refused here, with a sentence: a boot loader has
 * neither the room nor the screen for it. What is left for stage two is what
 * depends on the machine. --magic is for tests: what the kernel finds in EAX.
 *
 * The disk is a whole number of cylinders of 16 heads and 63 sectors, the
 * geometry that BIOSes make up for a disk of this size, and holds a partition
 * table with one active entry, without which some of them do not boot it.
 * Nothing is written until all is checked.
 */

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512u
#define HEADS 16u
#define SECTORS_PER_TRACK 63u
#define CYLINDER_BYTES (HEADS * SECTORS_PER_TRACK * SECTOR_BYTES)
#define DISK_MIN_BYTES (1u << 20)
#define DISK_MAX_BYTES (1u << 30) /* the kernel and modules go below 4 GiB */
#define FILE_ALIGN 4096u

#define LABEL_LBA 1u
#define LABEL_BYTES 4096u
#define LABEL_MODULE_MAX 32u
#define LABEL_VERSION 1u
#define STAGE2_MAX_BYTES (64u * SECTOR_BYTES)
#define HANDOVER_MAGIC 0x4D414F4Cu /* BIOS_INFO_MAGIC */

#define PARTITIONS_AT 446u
#define PARTITION_ACTIVE 0x80u
#define PARTITION_TYPE 0xDAu /* "non-FS data": for nobody to mount */

#define KERNEL_LOWEST 0x100000u
#define KERNEL_HEAD_BYTES 4096u /* stage two looks for headers no further */

/* One file of the label's table, as stage two reads it. */
struct disk_module {
	uint32_t lba;
	uint32_t size_bytes;
	uint32_t string; /* offset in the label */
	uint32_t reserved;
};

/* The label: kernel/bios/layout.inc has the same offsets. */
struct disk_label {
	char magic[8]; /* "LOAMBOOT" */
	uint32_t version;
	uint32_t checksum; /* makes the sum of all words 0 */
	uint32_t stage2_sectors;
	uint32_t handover;
	uint32_t disk_sectors;
	uint32_t kernel_lba;
	uint32_t kernel_bytes;
	uint32_t module_count;
	uint32_t reserved[6];
	struct disk_module modules[LABEL_MODULE_MAX];
	char cmdline[512];
	char strings[LABEL_BYTES - 0x440];
};

_Static_assert(offsetof(struct disk_label, handover) == 0x14, "LABEL_HANDOVER");
_Static_assert(offsetof(struct disk_label, modules) == 0x40, "LABEL_MODULES");
_Static_assert(offsetof(struct disk_label, cmdline) == 0x240, "LABEL_CMDLINE");
_Static_assert(offsetof(struct disk_label, strings) == 0x440, "LABEL_STRINGS");
_Static_assert(sizeof(struct disk_label) == LABEL_BYTES, "LABEL_BYTES");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the label is little endian");

struct file {
	char *path;
	unsigned char *bytes;
	uint32_t size;
};

struct options {
	const char *output;
	const char *stage1;
	const char *stage2;
	const char *kernel;
	const char *cmdline;
	const char *modules[LABEL_MODULE_MAX];
	uint32_t module_count;
	uint32_t magic;
};

/* Prints "mkdisk: " and a sentence, and ends the program. */
__attribute__((format(printf, 1, 2), noreturn)) static void refuse(
	const char *format, ...)
{
	va_list arguments;

	fputs("mkdisk: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* Reads a whole file, which must not be empty. */
static struct file file_read(const char *path)
{
	struct file file = { .path = strdup(path) };
	FILE *stream = fopen(path, "rb");

	if (file.path == NULL) {
		refuse("no memory");
	}
	if (stream == NULL) {
		refuse("%s: %s", path, strerror(errno));
	}
	if (fseek(stream, 0, SEEK_END) != 0) {
		refuse("%s: %s", path, strerror(errno));
	}
	long size = ftell(stream);
	if (size < 0) {
		refuse("%s: %s", path, strerror(errno));
	}
	if (size == 0) {
		refuse("%s: the file is empty", path);
	}
	if (size > (long)DISK_MAX_BYTES) {
		refuse("%s: %ld bytes are more than a boot disk may have", path,
		       size);
	}
	rewind(stream);
	file.size = (uint32_t)size;
	file.bytes = malloc(file.size);
	if (file.bytes == NULL) {
		refuse("%s: no memory for %ld bytes", path, size);
	}
	if (fread(file.bytes, 1, file.size, stream) != file.size) {
		refuse("%s: it cannot be read as a whole", path);
	}
	fclose(stream);
	return file;
}

static void file_free(struct file *file)
{
	free(file->path);
	free(file->bytes);
}

static void check_stage1(const struct file *file)
{
	if (file->size != SECTOR_BYTES) {
		refuse("%s: a boot sector has 512 bytes, not %u", file->path,
		       (unsigned)file->size);
	}
	if (file->bytes[510] != 0x55 || file->bytes[511] != 0xAA) {
		refuse("%s: not a boot sector, it does not end in 55 AA",
		       file->path);
	}
	for (unsigned i = PARTITIONS_AT; i < 510; i++) {
		if (file->bytes[i] != 0) {
			refuse("%s: there is code at byte %u, where the "
			       "partition table goes",
			       file->path, i);
		}
	}
}

static void check_stage2(const struct file *file)
{
	const struct disk_label *label = (const void *)file->bytes;

	if (file->size <= LABEL_BYTES ||
	    memcmp(label->magic, "LOAMBOOT", sizeof(label->magic)) != 0) {
		refuse("%s: not stage two of a Loam boot disk", file->path);
	}
	if (label->version != LABEL_VERSION) {
		refuse("%s: its label has version %u, this program writes %u",
		       file->path, (unsigned)label->version, LABEL_VERSION);
	}
	if (file->size % SECTOR_BYTES != 0 || file->size > STAGE2_MAX_BYTES) {
		refuse("%s: stage two must be whole sectors, %u bytes at most",
		       file->path, STAGE2_MAX_BYTES);
	}
}

/* The same rules that stage two goes by, and that segments do not overlap. */
static void check_segment(const struct file *file, const Elf32_Phdr *segments,
			  unsigned n)
{
	const Elf32_Phdr *segment = &segments[n];
	uint64_t start = segment->p_paddr;
	uint64_t end = start + segment->p_memsz;

	if (segment->p_filesz > segment->p_memsz) {
		refuse("%s: segment %u has more bytes in the file than in "
		       "memory",
		       file->path, n);
	}
	if ((uint64_t)segment->p_offset + segment->p_filesz > file->size) {
		refuse("%s: segment %u ends at byte %llu of a file of %u",
		       file->path, n,
		       (unsigned long long)segment->p_offset +
			       segment->p_filesz,
		       (unsigned)file->size);
	}
	if (start < KERNEL_LOWEST || end > UINT32_MAX) {
		refuse("%s: segment %u goes to 0x%llx-0x%llx, which is not "
		       "between 1 MiB and 4 GiB",
		       file->path, n, (unsigned long long)start,
		       (unsigned long long)end - 1);
	}
	for (unsigned i = 0; i < n; i++) {
		const Elf32_Phdr *other = &segments[i];
		if (other->p_type == PT_LOAD &&
		    start < (uint64_t)other->p_paddr + other->p_memsz &&
		    other->p_paddr < end) {
			refuse("%s: segments %u and %u overlap in physical "
			       "memory",
			       file->path, i, n);
		}
	}
}

static void check_kernel(const struct file *file)
{
	Elf32_Ehdr header;
	bool entry_seen = false;

	if (file->size < sizeof(header) ||
	    memcmp(file->bytes, ELFMAG, SELFMAG) != 0) {
		refuse("%s: not an ELF file", file->path);
	}
	memcpy(&header, file->bytes, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS32 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_386 || header.e_type != ET_EXEC) {
		refuse("%s: not a 32-bit x86 executable", file->path);
	}
	uint64_t headers_end = (uint64_t)header.e_phoff +
			       (uint64_t)header.e_phnum * sizeof(Elf32_Phdr);
	if (header.e_phentsize != sizeof(Elf32_Phdr) ||
	    headers_end > KERNEL_HEAD_BYTES || headers_end > file->size) {
		refuse("%s: its program headers are not within its first %u "
		       "bytes",
		       file->path, KERNEL_HEAD_BYTES);
	}
	if (header.e_phoff % _Alignof(Elf32_Phdr) != 0) {
		refuse("%s: its program headers are misaligned", file->path);
	}
	const Elf32_Phdr *segments =
		(const void *)(file->bytes + header.e_phoff);
	for (unsigned n = 0; n < header.e_phnum; n++) {
		if (segments[n].p_type != PT_LOAD || segments[n].p_memsz == 0) {
			continue;
		}
		check_segment(file, segments, n);
		entry_seen =
			entry_seen || header.e_entry - segments[n].p_paddr <
					      segments[n].p_memsz;
	}
	if (!entry_seen) {
		refuse("%s: its entry, physical address 0x%x, is in none of "
		       "its segments",
		       file->path, (unsigned)header.e_entry);
	}
}

/* Puts a module's name and arguments, as "name arguments", into the label. */
static uint32_t label_add_string(struct disk_label *label, size_t *used,
				 const char *path, const char *arguments)
{
	const char *name = strrchr(path, '/');
	size_t room = sizeof(label->strings) - *used;
	uint32_t offset =
		(uint32_t)(offsetof(struct disk_label, strings) + *used);

	name = name != NULL ? name + 1 : path;
	int length = snprintf(label->strings + *used, room, "%s%s%s", name,
			      *arguments != '\0' ? " " : "", arguments);
	if (length < 0 || (size_t)length >= room) {
		refuse("%s: the names and arguments of all modules have more "
		       "than %zu characters",
		       path, sizeof(label->strings));
	}
	*used += (size_t)length + 1;
	return offset;
}

/* Splits FILE:ARGUMENTS at the first colon and reads the file. */
static struct file module_read(const char *text, const char **arguments)
{
	const char *colon = strchr(text, ':');
	size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
	char *path = strndup(text, length);

	if (path == NULL) {
		refuse("no memory");
	}
	*arguments = colon != NULL ? colon + 1 : "";
	struct file file = file_read(path);
	free(path);
	return file;
}

/* Where the next file goes: *at, which moves behind it. */
static uint32_t disk_place(uint64_t *at, const struct file *file)
{
	uint64_t start = (*at + FILE_ALIGN - 1) / FILE_ALIGN * FILE_ALIGN;

	*at = start + file->size;
	if (*at > DISK_MAX_BYTES) {
		refuse("%s: the disk would have more than %u MiB", file->path,
		       DISK_MAX_BYTES >> 20);
	}
	return (uint32_t)(start / SECTOR_BYTES);
}

/* Writes a sector's cylinder, head and sector the way a partition has them. */
static void put_chs(unsigned char *to, uint32_t lba)
{
	uint32_t cylinder = lba / (HEADS * SECTORS_PER_TRACK);
	uint32_t head = lba / SECTORS_PER_TRACK % HEADS;
	uint32_t sector = lba % SECTORS_PER_TRACK + 1;

	if (cylinder > 1023) { /* as far as it goes: "look at the LBA" */
		cylinder = 1023;
		head = HEADS - 1;
		sector = SECTORS_PER_TRACK;
	}
	to[0] = (unsigned char)head;
	to[1] = (unsigned char)(sector | (cylinder >> 2 & 0xC0));
	to[2] = (unsigned char)cylinder;
}

/* One active partition from the label to the disk's end. */
static void put_partition(unsigned char *boot_sector, uint32_t disk_sectors)
{
	unsigned char *entry = boot_sector + PARTITIONS_AT;
	uint32_t first = LABEL_LBA;
	uint32_t count = disk_sectors - LABEL_LBA;

	entry[0] = PARTITION_ACTIVE;
	put_chs(entry + 1, first);
	entry[4] = PARTITION_TYPE;
	put_chs(entry + 5, disk_sectors - 1);
	memcpy(entry + 8, &first, sizeof(first));
	memcpy(entry + 12, &count, sizeof(count));
}

static void label_seal(struct disk_label *label)
{
	uint32_t words[LABEL_BYTES / sizeof(uint32_t)];
	uint32_t sum = 0;

	label->checksum = 0;
	memcpy(words, label, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		sum += words[i];
	}
	label->checksum = 0u - sum;
}

static void disk_write(const char *path, const unsigned char *disk, size_t size)
{
	FILE *stream = fopen(path, "wb");

	if (stream == NULL) {
		refuse("%s: %s", path, strerror(errno));
	}
	bool written = fwrite(disk, 1, size, stream) == size;
	int error = errno;
	if (fclose(stream) != 0) {
		written = false;
		error = errno;
	}
	if (!written) {
		remove(path);
		refuse("%s: %s", path, strerror(error));
	}
}

static void make_disk(const struct options *options)
{
	struct file stage1 = file_read(options->stage1);
	struct file stage2 = file_read(options->stage2);
	struct file kernel = file_read(options->kernel);
	struct file modules[LABEL_MODULE_MAX];
	uint64_t end = (uint64_t)LABEL_LBA * SECTOR_BYTES + stage2.size;
	size_t strings_used = 0;

	check_stage1(&stage1);
	check_stage2(&stage2);
	check_kernel(&kernel);

	struct disk_label *label = (void *)stage2.bytes;
	memset(label->cmdline, 0, sizeof(label->cmdline));
	if (strlen(options->cmdline) >= sizeof(label->cmdline)) {
		refuse("the command line has %zu characters, %zu are possible",
		       strlen(options->cmdline), sizeof(label->cmdline) - 1);
	}
	memcpy(label->cmdline, options->cmdline, strlen(options->cmdline));
	label->handover = options->magic;
	label->stage2_sectors = stage2.size / SECTOR_BYTES;
	label->kernel_lba = disk_place(&end, &kernel);
	label->kernel_bytes = kernel.size;
	label->module_count = options->module_count;
	for (uint32_t i = 0; i < options->module_count; i++) {
		struct disk_module *module = &label->modules[i];
		const char *arguments;
		modules[i] = module_read(options->modules[i], &arguments);
		module->lba = disk_place(&end, &modules[i]);
		module->size_bytes = modules[i].size;
		module->string = label_add_string(label, &strings_used,
						  modules[i].path, arguments);
	}

	size_t size = end < DISK_MIN_BYTES ? DISK_MIN_BYTES : (size_t)end;
	size = (size + CYLINDER_BYTES - 1) / CYLINDER_BYTES * CYLINDER_BYTES;
	label->disk_sectors = (uint32_t)(size / SECTOR_BYTES);
	label_seal(label);
	put_partition(stage1.bytes, label->disk_sectors);

	unsigned char *disk = calloc(1, size);
	if (disk == NULL) {
		refuse("no memory for a disk of %zu bytes", size);
	}
	memcpy(disk, stage1.bytes, stage1.size);
	memcpy(disk + LABEL_LBA * SECTOR_BYTES, stage2.bytes, stage2.size);
	memcpy(disk + (size_t)label->kernel_lba * SECTOR_BYTES, kernel.bytes,
	       kernel.size);
	for (uint32_t i = 0; i < options->module_count; i++) {
		memcpy(disk + (size_t)label->modules[i].lba * SECTOR_BYTES,
		       modules[i].bytes, modules[i].size);
		file_free(&modules[i]);
	}
	disk_write(options->output, disk, size);
	free(disk);
	file_free(&stage1);
	file_free(&stage2);
	file_free(&kernel);
}

static void usage(FILE *stream)
{
	fputs("usage: mkdisk -o DISK --stage1 FILE --stage2 FILE --kernel ELF\n"
	      "              [--cmdline TEXT] [--module FILE[:ARGUMENTS]]...\n"
	      "              [--magic N]\n"
	      "Writes a disk that a PC's BIOS boots the kernel from.\n",
	      stream);
}

static uint32_t parse_magic(const char *text)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 0);
	if (errno != 0 || end == text || *end != '\0' || value > UINT32_MAX) {
		refuse("--magic %s: not a number of 32 bits", text);
	}
	return (uint32_t)value;
}

static void parse_option(struct options *options, const char *name,
			 const char *value)
{
	if (strcmp(name, "-o") == 0) {
		options->output = value;
	} else if (strcmp(name, "--stage1") == 0) {
		options->stage1 = value;
	} else if (strcmp(name, "--stage2") == 0) {
		options->stage2 = value;
	} else if (strcmp(name, "--kernel") == 0) {
		options->kernel = value;
	} else if (strcmp(name, "--cmdline") == 0) {
		options->cmdline = value;
	} else if (strcmp(name, "--magic") == 0) {
		options->magic = parse_magic(value);
	} else if (strcmp(name, "--module") == 0) {
		if (options->module_count == LABEL_MODULE_MAX) {
			refuse("more than %u modules", LABEL_MODULE_MAX);
		}
		options->modules[options->module_count++] = value;
	} else {
		usage(stderr);
		refuse("no option %s", name);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .cmdline = "", .magic = HANDOVER_MAGIC };

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc) {
			usage(stderr);
			refuse("%s needs a value", argv[i]);
		}
		parse_option(&options, argv[i], argv[i + 1]);
	}
	if (options.output == NULL || options.stage1 == NULL ||
	    options.stage2 == NULL || options.kernel == NULL) {
		usage(stderr);
		refuse("-o, --stage1, --stage2 and --kernel are needed");
	}
	make_disk(&options);
	return 0;
}

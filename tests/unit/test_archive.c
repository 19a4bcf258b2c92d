/* SPDX-License-Identifier: MIT */
/* The reader of tar archives: finds files, and stops at what is unsound. */

#include "../../kernel/archive.h"
#include "test.h"

#define BLOCK 512u
#define BYTES (8 * BLOCK)

static unsigned char archive[BYTES];

static void seal(unsigned char *header)
{
	unsigned sum = 0;
	char text[9];

	memset(header + 148, ' ', 8);
	for (unsigned i = 0; i < BLOCK; i++) {
		sum += header[i];
	}
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(header + 148, text, 7);
}

static void put_file(size_t at, const char *name, size_t size, char type)
{
	unsigned char *header = archive + at;
	char text[13];

	memset(header, 0, BLOCK);
	memcpy(header, name, strlen(name));
	snprintf(text, sizeof(text), "%011zo", size);
	memcpy(header + 124, text, 12);
	header[156] = (unsigned char)type;
	memcpy(header + 257, "ustar\00000", 8);
	seal(header);
}

/* a: 5 bytes, a directory, b: 512 bytes, c: empty. */
static void make_archive(void)
{
	memset(archive, 0, sizeof(archive));
	put_file(0, "./a", 5, '0');
	memcpy(archive + BLOCK, "hello", 5);
	put_file(2 * BLOCK, "dir/", 0, '5');
	put_file(3 * BLOCK, "b", BLOCK, '0');
	memset(archive + 4 * BLOCK, 'b', BLOCK);
	put_file(5 * BLOCK, "c", 0, '\0');
}

/* How many files a copy of exactly that many bytes has. */
static unsigned count_files(size_t size_bytes)
{
	unsigned char *copy = malloc(size_bytes == 0 ? 1 : size_bytes);
	struct archive_file file;
	unsigned count = 0;
	size_t at = 0;

	EXPECT(copy != NULL);
	memcpy(copy, archive, size_bytes);
	while (archive_next(copy, size_bytes, &at, &file)) {
		EXPECT(file.bytes >= copy &&
		       file.bytes + file.size <= copy + size_bytes);
		EXPECT(strlen(file.name) < ARCHIVE_NAME);
		EXPECT(at <= size_bytes);
		count++;
	}
	free(copy);
	return count;
}

TEST(archive_find, "a file is found by its name, with its bytes")
{
	struct archive_file file;

	make_archive();
	EXPECT(archive_is(archive, BYTES));
	EXPECT_EQ(count_files(BYTES), 3);
	EXPECT(archive_find(archive, BYTES, "a", &file));
	EXPECT_EQ(file.size, 5);
	EXPECT(memcmp(file.bytes, "hello", 5) == 0);
	EXPECT(archive_find(archive, BYTES, "b", &file));
	EXPECT_EQ(file.size, BLOCK);
	EXPECT_EQ(file.bytes[BLOCK - 1], 'b');
	EXPECT(archive_find(archive, BYTES, "c", &file));
	EXPECT_EQ(file.size, 0);
	EXPECT(!archive_find(archive, BYTES, "dir/", &file));
	EXPECT(!archive_find(archive, BYTES, "d", &file));
}

TEST(archive_long, "a name may fill its field")
{
	struct archive_file file;
	char name[101];

	make_archive();
	memset(name, 'n', 100);
	name[100] = '\0';
	put_file(0, name, 5, '0');
	EXPECT(archive_find(archive, BYTES, name, &file));
}

TEST(archive_cut, "S3.28 an archive cut anywhere has the files that are whole")
{
	make_archive();
	for (size_t size = 0; size <= BYTES; size++) {
		unsigned whole = size < BLOCK + 5   ? 0u
				 : size < 5 * BLOCK ? 1u
				 : size < 6 * BLOCK ? 2u
						    : 3u;
		EXPECT_EQ(count_files(size), whole);
	}
}

TEST(archive_bad, "S3.28 wrong sums, sizes and magic end the walk")
{
	make_archive();
	archive[3 * BLOCK]++;
	EXPECT_EQ(count_files(BYTES), 1);
	make_archive();
	memcpy(archive + 124, "77777777777", 11);
	seal(archive);
	EXPECT_EQ(count_files(BYTES), 0);
	make_archive();
	archive[124] = '8';
	seal(archive);
	EXPECT_EQ(count_files(BYTES), 0);
	make_archive();
	memset(archive + 124, ' ', 12);
	seal(archive);
	EXPECT_EQ(count_files(BYTES), 0);
	make_archive();
	archive[257] = 'U';
	seal(archive);
	EXPECT(!archive_is(archive, BYTES));
	EXPECT_EQ(count_files(BYTES), 0);
}

TEST(archive_any_size, "S3.28 a header that claims any size at all")
{
	make_archive();
	for (size_t size = 0; size < 20000; size += 7) {
		put_file(0, "a", size, '0');
		unsigned count = count_files(BYTES);
		EXPECT(size <= BYTES - BLOCK ? count >= 1 : count == 0);
	}
}

/* SPDX-License-Identifier: MIT */
/* The block heap: its table byte by byte, first fit, runs, large ranges. */
#include "heap_fixture.h"

#define BLOCK LOAM_HEAP_BLOCK_SIZE
#define TOTAL 300u /* several groups, and not a multiple of anything */
#define CANARY 0xc5u

static struct owner owner;
static struct loam_heap_owner calls;
static struct loam_heap heap;
static const struct loam_heap_blocks *const blocks = &heap.block;

/* The table with canaries on both sides. */
#define TABLE_MAX 262144u
static uint8_t table_room[TABLE_MAX + 128];
static uint8_t *const table = table_room + 64;

static struct loam_heap_config start_config(size_t total)
{
	owner_init(&owner, total);
	calls = owner_calls(&owner);
	memset(table_room, CANARY, sizeof(table_room));
	return (struct loam_heap_config){
		.start = owner.window,
		.size_bytes = total * BLOCK,
		.owner = &calls,
		.table = table,
		.table_entries = total,
	};
}

static void start(size_t total)
{
	struct loam_heap_config config = start_config(total);
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_block, &config), 0);
}

static void expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&heap), 0);
	for (unsigned i = 1; i <= 64; i++) {
		EXPECT_EQ(table[-(ptrdiff_t)i], CANARY);
		EXPECT_EQ(table[blocks->total + i - 1], CANARY);
	}
}

static void finish(void)
{
	expect_sound();
	loam_heap_destroy(&heap);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

/* Takes a run of `count` blocks; its index. */
static size_t take(size_t count)
{
	unsigned char *at = loam_heap_alloc(&heap, count * BLOCK);
	EXPECT(at != NULL);
	return (size_t)(at - blocks->first) / BLOCK;
}

static void *at_block(size_t index)
{
	return blocks->first + index * BLOCK;
}

static void give(size_t index)
{
	loam_heap_free(&heap, at_block(index));
}

static void expect_table(const uint8_t *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		EXPECT_EQ(table[i], entries[i]);
	}
}

TEST(constants, "S1.20 S3.10 S3.13 an entry is a byte, with the seeds' values")
{
	EXPECT_EQ(sizeof(blocks->table[0]), 1);
	EXPECT_EQ(LOAM_HEAP_BLOCK_TAKEN, 0x01);
	EXPECT_EQ(LOAM_HEAP_BLOCK_IS_FIRST, 0x40);
	EXPECT_EQ(LOAM_HEAP_BLOCK_HAS_NEXT, 0x80);
	EXPECT_EQ(LOAM_HEAP_BLOCK_SIZE, 4096);
}

TEST(creation,
     "S1.7 S1.8 S3.14 creation clears the table's entries and no other")
{
	start(TOTAL);
	for (size_t i = 0; i < TOTAL; i++) {
		EXPECT_EQ(table[i], 0);
	}
	EXPECT(blocks->first == owner.window);
	EXPECT_EQ(blocks->total, TOTAL);
	finish();
}

TEST(bad_table,
     "S1.12 S1.13 a table that does not fit is refused and untouched")
{
	struct loam_heap_config config = start_config(TOTAL);
	calls.prepare = NULL;
	const size_t size = config.size_bytes;
	const struct {
		size_t size_bytes;
		uint8_t *table;
		size_t entries;
	} bad[] = {
		{ size, table, TOTAL - 1 },
		{ size, table, TOTAL + 1 },
		{ size, table, 0 },
		{ size, owner.window, TOTAL },
		{ size, owner.window + size - 1, TOTAL },
		{ size, owner.window - 1, TOTAL },
		/* A page for the table, and none for a block. */
		{ BLOCK, NULL, 0 },
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		config.size_bytes = bad[i].size_bytes;
		config.table = bad[i].table;
		config.table_entries = bad[i].entries;
		EXPECT_EQ(loam_heap_create(&heap, &loam_heap_block, &config),
			  -LOAM_EINVAL);
		for (size_t at = 0; at < sizeof(table_room); at++) {
			EXPECT_EQ(table_room[at], CANARY);
		}
	}
	EXPECT_EQ(owner.map_calls, 0);
	owner_fini(&owner);
}

TEST(own_table, "a table of its own takes the first pages of the range")
{
	owner_init(&owner, 5000);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = 5000 * LOAM_PAGE_SIZE,
		.owner = &calls,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_block, &config), 0);
	EXPECT(blocks->table == owner.window);
	EXPECT(blocks->first == owner.window + 2 * BLOCK);
	EXPECT_EQ(blocks->total, 4998);
	unsigned char *all = loam_heap_alloc(&heap, 4998 * (size_t)BLOCK);
	EXPECT(all == blocks->first);
	EXPECT_EQ(owner.mapped_now, 5000);
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	EXPECT_EQ(loam_heap_check(&heap), 0);
	loam_heap_free(&heap, all);
	EXPECT_EQ(owner.mapped_now, 2);
	EXPECT_EQ(loam_heap_check(&heap), 0);
	loam_heap_destroy(&heap);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

TEST(flags, "S1.20 S3.15 one block is 41, a run is c1 81 ... 01")
{
	start(TOTAL);
	EXPECT_EQ(take(1), 0);
	EXPECT_EQ(take(2), 1);
	EXPECT_EQ(take(5), 3);
	EXPECT_EQ(take(1), 8);
	const uint8_t entries[] = { 0x41, 0xc1, 0x01, 0xc1, 0x81,
				    0x81, 0x81, 0x01, 0x41, 0 };
	expect_table(entries, LOAM_ARRAY_SIZE(entries));
	finish();
}

TEST(rounding, "S1.18 S3.15 sizes are rounded up to blocks")
{
	start(TOTAL);
	const struct {
		size_t size;
		size_t count;
	} cases[] = { { 1, 1 },
		      { 4095, 1 },
		      { 4096, 1 },
		      { 4097, 2 },
		      { 8192, 2 },
		      { 8193, 3 },
		      { TOTAL * BLOCK, TOTAL } };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		void *at = loam_heap_alloc(&heap, cases[i].size);
		EXPECT(at == owner.window);
		EXPECT_EQ(loam_heap_usable(&heap, at), cases[i].count * BLOCK);
		EXPECT_EQ(blocks->top, cases[i].count);
		loam_heap_free(&heap, at);
		expect_sound();
	}
	finish();
}

TEST(first_fit, "S1.19 S3.15 the lowest run that is long enough is taken")
{
	start(TOTAL);
	/* Holes of 1, 3 and 2 blocks at 1, 3 and 7. */
	EXPECT_EQ(take(1), 0);
	EXPECT_EQ(take(1), 1);
	EXPECT_EQ(take(1), 2);
	EXPECT_EQ(take(3), 3);
	EXPECT_EQ(take(1), 6);
	EXPECT_EQ(take(2), 7);
	EXPECT_EQ(take(1), 9);
	give(1);
	give(3);
	give(7);
	EXPECT_EQ(take(2), 3);
	EXPECT_EQ(take(2), 7);
	EXPECT_EQ(take(2), 10);
	EXPECT_EQ(take(1), 1);
	EXPECT_EQ(take(1), 5);
	EXPECT_EQ(take(1), 12);
	finish();
}

TEST(tail, "S1.21 S3.16 a run at the end that is too short is not taken")
{
	start(8);
	EXPECT_EQ(take(6), 0);
	EXPECT(loam_heap_alloc(&heap, 4 * BLOCK) == NULL);
	EXPECT(loam_heap_alloc(&heap, 3 * BLOCK) == NULL);
	const uint8_t entries[] = { 0xc1, 0x81, 0x81, 0x81, 0x81, 0x01, 0, 0 };
	expect_table(entries, 8);
	expect_sound();
	EXPECT_EQ(take(2), 6);
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	finish();
}

TEST(chain_end, "S1.24 S3.17 free clears the whole run and not the next one")
{
	start(TOTAL);
	EXPECT_EQ(take(3), 0);
	EXPECT_EQ(take(3), 3);
	EXPECT_EQ(take(3), 6);
	give(3);
	const uint8_t entries[] = {
		0xc1, 0x81, 0x01, 0, 0, 0, 0xc1, 0x81, 0x01
	};
	expect_table(entries, 9);
	EXPECT_EQ(take(3), 3);
	finish();
}

TEST(long_runs, "S1.24 runs of every length up to the table are freed whole")
{
	start(TOTAL);
	for (size_t count = 1; count < TOTAL; count++) {
		EXPECT_EQ(take(1), 0);
		EXPECT_EQ(take(count), 1);
		EXPECT_EQ(loam_heap_usable(&heap, at_block(1)), count * BLOCK);
		give(1);
		EXPECT_EQ(blocks->top, 1);
		give(0);
		expect_sound();
	}
	finish();
}

static void expect_refused(void *address, const char *text)
{
	static uint8_t before[sizeof(table_room)];
	memcpy(before, table_room, sizeof(table_room));
	unsigned long reports = loam_misuse_count();
	hosted_log_clear();
	loam_heap_free(&heap, address);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG(text);
	EXPECT_EQ(memcmp(before, table_room, sizeof(table_room)), 0);
}

TEST(bad_free, "S1.25 S3.19 no wrong address changes an entry")
{
	start(TOTAL);
	EXPECT_EQ(take(3), 0);
	EXPECT_EQ(take(1), 3);
	EXPECT_EQ(take(2), 4);
	expect_refused(owner.window - BLOCK, "outside the heap");
	expect_refused(owner.window - 1, "outside the heap");
	expect_refused(owner.window + TOTAL * BLOCK, "outside the heap");
	expect_refused(at_block(1), "inside the live block");
	expect_refused(at_block(2), "inside the live block");
	expect_refused((char *)at_block(3) + 1, "misaligned");
	expect_refused((char *)at_block(3) + 2048, "inside the live block");
	give(3);
	expect_refused(at_block(3), "already free");
	expect_refused(at_block(6), "in no block");
	expect_refused(at_block(TOTAL - 1), "in no block");
	finish();
}

TEST(bad_entries, "S1.25 S0.33 entries that cannot be are reported, not obeyed")
{
	start(TOTAL);
	EXPECT_EQ(take(3), 0);
	EXPECT_EQ(take(1), 3);
	const struct {
		size_t at;
		uint8_t entry;
		const char *text;
	} cases[] = {
		{ 0, 0x80, "its header is corrupt" },
		{ 0, 0x81, "its header is corrupt" },
		{ 0, 0x01, "its header is corrupt" },
		{ 0, 0xff, "its header is corrupt" },
		{ 1, 0x00, "its header is corrupt" },
		{ 1, 0x80, "its header is corrupt" },
		{ 1, 0xc1, "its header is corrupt" },
		{ 2, 0x41, "its header is corrupt" },
		{ 2, 0x81, "its header is corrupt" },
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		uint8_t was = table[cases[i].at];
		table[cases[i].at] = cases[i].entry;
		expect_refused(at_block(0), cases[i].text);
		EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
		EXPECT_LOG("check: heap block: entry 0 is 0x");
		table[cases[i].at] = was;
		expect_sound();
	}
	/* A run that goes on to the end of the table. */
	memset(table, 0x81, TOTAL);
	table[0] = 0xc1;
	expect_refused(at_block(0), "its header is corrupt");
	owner_fini(&owner);
}

TEST(slack, "pages behind the highest run are returned, 16 or more at once")
{
	start(TOTAL);
	EXPECT_EQ(take(1), 0);
	EXPECT_EQ(take(10), 1);
	EXPECT_EQ(take(30), 11);
	EXPECT_EQ(owner.mapped_now, 41);
	give(1);
	EXPECT_EQ(owner.mapped_now, 41);
	give(11);
	EXPECT_EQ(owner.mapped_now, 1);
	EXPECT_EQ(take(10), 1);
	EXPECT_EQ(owner.map_calls, 4);
	give(1);
	EXPECT_EQ(owner.mapped_now, 11);
	EXPECT_EQ(take(10), 1);
	EXPECT_EQ(owner.map_calls, 4);
	finish();
}

/* ------------------------------------------------------- the model */

/* First fit by the simplest means: an owner's number for each block. */
static unsigned model[TOTAL];

static size_t model_take(size_t count, unsigned number)
{
	for (size_t at = 0; at + count <= TOTAL; at++) {
		size_t free_here = 0;
		while (free_here < count && model[at + free_here] == 0) {
			free_here++;
		}
		if (free_here == count) {
			for (size_t i = at; i < at + count; i++) {
				model[i] = number;
			}
			return at;
		}
	}
	return TOTAL;
}

/* What the table must say of block i. */
static uint8_t model_entry(size_t i)
{
	if (model[i] == 0) {
		return 0;
	}
	uint8_t entry = 0x01;
	if (i == 0 || model[i - 1] != model[i]) {
		entry |= 0x40;
	}
	if (i + 1 < TOTAL && model[i + 1] == model[i]) {
		entry |= 0x80;
	}
	return entry;
}

TEST(oracle, "S1.17 S1.19 S3.15 random runs lie where the oracle puts them")
{
	uint64_t random = 0xb10c;
	start(TOTAL);
	memset(model, 0, sizeof(model));
	for (unsigned step = 1; step < 30000; step++) {
		size_t at = (size_t)hosted_random(&random) % TOTAL;
		if (model[at] != 0) {
			unsigned number = model[at];
			while (at > 0 && model[at - 1] == number) {
				at--;
			}
			give(at);
			for (; at < TOTAL && model[at] == number; at++) {
				model[at] = 0;
			}
		} else {
			size_t most = step % 1024 < 512 ? 2 : 40;
			size_t count =
				1 + (size_t)hosted_random(&random) % most;
			size_t expected = model_take(count, step);
			unsigned char *got =
				loam_heap_alloc(&heap, count * BLOCK);
			EXPECT(expected == TOTAL ? got == NULL
						 : got == at_block(expected));
		}
		for (size_t i = 0; i < TOTAL; i++) {
			EXPECT_EQ(table[i], model_entry(i));
		}
		if (step % 8 == 0) {
			expect_sound();
		}
	}
	finish();
}

/* No owner: all is memory, which this heap never touches. */
TEST(large_range, "S3.15 a range of 1 GiB, with groups of more than 64 blocks")
{
	const size_t total = TABLE_MAX;
	unsigned char *base = (unsigned char *)(uintptr_t)0x80000000u;
	memset(table_room, CANARY, sizeof(table_room));
	struct loam_heap_config config = {
		.start = base,
		.size_bytes = total * BLOCK,
		.table = table,
		.table_entries = total,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_block, &config), 0);
	EXPECT_EQ(blocks->group_shift, 8);
	for (size_t i = 0; i < total; i++) {
		EXPECT(loam_heap_alloc(&heap, 1) == base + i * BLOCK);
	}
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	expect_sound();
	uint64_t random = 0x1a26e;
	for (unsigned step = 0; step < 2000; step++) {
		size_t low = (size_t)hosted_random(&random) % (total - 4);
		size_t high = low + 1 + (size_t)hosted_random(&random) % 3;
		loam_heap_free(&heap, base + high * BLOCK);
		loam_heap_free(&heap, base + low * BLOCK);
		EXPECT(loam_heap_alloc(&heap, 1) == base + low * BLOCK);
		EXPECT(loam_heap_alloc(&heap, 1) == base + high * BLOCK);
	}
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	for (size_t i = total; i-- > 0;) {
		loam_heap_free(&heap, base + i * BLOCK);
	}
	EXPECT_EQ(blocks->top, 0);
	EXPECT(loam_heap_alloc(&heap, total * BLOCK) == base);
	EXPECT_EQ(table[total - 1], 0x01);
	expect_sound();
	EXPECT_EQ(loam_heap_usable(&heap, base), total * BLOCK);
	loam_heap_destroy(&heap);
}

/* SPDX-License-Identifier: MIT */
/* The circular list against an array. */
#include <loam/list.h>

#include "test.h"

struct member {
	int before;
	struct loam_list link;
	unsigned number;
};

#define MEMBERS 40u
static struct member members[MEMBERS];

/* The list holds exactly these members, forwards and backwards. */
static void expect_members(struct loam_list *list, const unsigned *numbers,
			   size_t count)
{
	struct loam_list *cursor;
	size_t i = 0;
	LOAM_LIST_EACH(cursor, list)
	{
		EXPECT(i < count);
		EXPECT_EQ(LOAM_CONTAINER(cursor, struct member, link)->number,
			  numbers[i]);
		EXPECT(cursor->next->prev == cursor);
		EXPECT(cursor->prev->next == cursor);
		i++;
	}
	EXPECT_EQ(i, count);
	EXPECT_EQ(loam_list_empty(list), count == 0);
}

TEST(model, "list: random insertions and removals agree with an array")
{
	struct loam_list list;
	unsigned order[MEMBERS];
	bool in[MEMBERS] = { false };
	size_t count = 0;
	uint64_t seed = 0x115;
	loam_list_init(&list);
	for (unsigned i = 0; i < MEMBERS; i++) {
		members[i].number = i;
	}
	for (unsigned step = 0; step < 5000; step++) {
		uint64_t random = hosted_random(&seed);
		unsigned number = (unsigned)(random % MEMBERS);
		struct loam_list *link = &members[number].link;
		size_t at = 0;
		if (in[number]) {
			while (order[at] != number) {
				at++;
			}
			count--;
			memmove(order + at, order + at + 1,
				(count - at) * sizeof(order[0]));
			loam_list_remove(link);
			EXPECT(loam_list_empty(link));
			in[number] = false;
		} else {
			at = (size_t)((random >> 32) % (count + 1));
			memmove(order + at + 1, order + at,
				(count - at) * sizeof(order[0]));
			order[at] = number;
			if (at == count) {
				loam_list_insert_tail(&list, link);
			} else if (at == 0) {
				loam_list_insert(&list, link);
			} else {
				loam_list_insert(&members[order[at - 1]].link,
						 link);
			}
			count++;
			in[number] = true;
		}
		expect_members(&list, order, count);
	}
}

TEST(empty, "list: an empty list is walked without a step")
{
	struct loam_list list;
	struct loam_list *cursor;
	loam_list_init(&list);
	EXPECT(loam_list_empty(&list));
	LOAM_LIST_EACH(cursor, &list)
	{
		test_fail(__FILE__, __LINE__, "no member");
	}
}

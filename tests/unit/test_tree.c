/* SPDX-License-Identifier: MIT */
/* The AVL tree against a sorted array, with summaries, balance and damage. */
#include <loam/list.h>
#include <loam/tree.h>

#include "test.h"

/* A summary that is right only if every node of the subtree is in it. */
struct item {
	struct loam_tree_node node;
	uint32_t key;
	uint32_t weight;
	uint64_t total; /* of the weights in the subtree */
	uint32_t nodes;
	uint32_t height;
	uint32_t first; /* the smallest key in the subtree */
};

static struct item *item_of(const struct loam_tree_node *node)
{
	return (struct item *)((uintptr_t)node - offsetof(struct item, node));
}

static int item_compare(const struct loam_tree_node *a,
			const struct loam_tree_node *b)
{
	uint32_t left = item_of(a)->key;
	uint32_t right = item_of(b)->key;
	return (left > right) - (left < right);
}

static unsigned long updates;

static void item_update(struct loam_tree_node *node)
{
	struct item *item = item_of(node);
	uint32_t height = 0;
	updates++;
	item->total = item->weight;
	item->nodes = 1;
	item->first = item->key;
	for (int side = 0; side < 2; side++) {
		if (node->child[side] == NULL) {
			continue;
		}
		const struct item *child = item_of(node->child[side]);
		item->total += child->total;
		item->nodes += child->nodes;
		height = child->height > height ? child->height : height;
		if (side == 0) {
			item->first = child->first;
		}
	}
	item->height = height + 1;
}

/*
 * Every node's summary equals what its children's say, by induction what the
 * whole subtree says; and the shape is what loam_tree_check() proves.
 */
static void expect_sound(const struct loam_tree *tree)
{
	EXPECT_EQ(loam_tree_check(tree), 0);
	for (const struct loam_tree_node *node = loam_tree_first(tree);
	     node != NULL && tree->update != NULL;
	     node = loam_tree_next(node)) {
		struct item copy = *item_of(node);
		item_update(&copy.node);
		EXPECT_EQ(copy.total, item_of(node)->total);
		EXPECT_EQ(copy.nodes, item_of(node)->nodes);
		EXPECT_EQ(copy.height, item_of(node)->height);
		EXPECT_EQ(copy.first, item_of(node)->first);
	}
}

#define ITEMS 200u
static struct item items[ITEMS];

/* The naive oracle: which keys are in, by index. */
static bool present[ITEMS];

static void items_reset(struct loam_tree *tree, bool summaries)
{
	memset(present, 0, sizeof(present));
	for (uint32_t i = 0; i < ITEMS; i++) {
		/* Garbage, since a node out of a tree may hold anything. */
		memset(&items[i], 0xa5, sizeof(items[i]));
		items[i].key = i * 10;
		items[i].weight = i * i + 1;
	}
	loam_tree_init(tree, item_compare, summaries ? item_update : NULL);
}

static struct loam_tree_node *oracle_le(uint32_t key)
{
	struct loam_tree_node *best = NULL;
	for (uint32_t i = 0; i < ITEMS && items[i].key <= key; i++) {
		best = present[i] ? &items[i].node : best;
	}
	return best;
}

/* A walk in each direction meets exactly what the oracle holds, in order. */
static void expect_walks(const struct loam_tree *tree)
{
	const struct loam_tree_node *up = loam_tree_first(tree);
	for (uint32_t i = 0; i < ITEMS; i++) {
		if (present[i]) {
			EXPECT(up == &items[i].node);
			up = loam_tree_next(up);
		}
	}
	EXPECT(up == NULL);
	const struct loam_tree_node *down = loam_tree_last(tree);
	for (uint32_t i = ITEMS; i-- > 0;) {
		if (present[i]) {
			EXPECT(down == &items[i].node);
			down = loam_tree_prev(down);
		}
	}
	EXPECT(down == NULL);
}

static void expect_finds(const struct loam_tree *tree, uint32_t key)
{
	struct item probe = { .key = key };
	uint32_t index = key / 10;
	bool in = key % 10 == 0 && index < ITEMS && present[index];
	EXPECT(loam_tree_find(tree, &probe.node) ==
	       (in ? &items[index].node : NULL));
	EXPECT(loam_tree_find_le(tree, &probe.node) == oracle_le(key));
}

static void random_steps(bool summaries, unsigned steps, uint64_t seed)
{
	struct loam_tree tree;
	size_t count = 0;
	items_reset(&tree, summaries);
	for (unsigned step = 0; step < steps; step++) {
		uint64_t random = hosted_random(&seed);
		uint32_t i = (uint32_t)(random % ITEMS);
		/* Phases of mostly inserting and of mostly removing. */
		bool insert = (random >> 32) % 8 < ((step / 512) % 2 ? 2 : 6);
		if (insert && present[i]) {
			struct item again = { .key = items[i].key };
			EXPECT_EQ(loam_tree_insert(&tree, &again.node),
				  -LOAM_EEXIST);
		} else if (insert) {
			/* By a search, or behind the one that is known. */
			if ((random >> 36) % 2 == 0) {
				EXPECT_EQ(
					loam_tree_insert(&tree, &items[i].node),
					0);
			} else {
				loam_tree_insert_after(&tree, &items[i].node,
						       oracle_le(items[i].key));
			}
			present[i] = true;
			count++;
		} else if (present[i]) {
			loam_tree_remove(&tree, &items[i].node);
			present[i] = false;
			count--;
		}
		EXPECT_EQ(tree.count, count);
		expect_sound(&tree);
		expect_finds(&tree, (uint32_t)((random >> 40) % 2010));
		if (step % 64 == 0) {
			expect_walks(&tree);
		}
	}
}

TEST(model, "tree: random changes agree with a sorted array")
{
	random_steps(true, 6000, 0x5eed1);
}

TEST(model_plain, "tree: random changes without summaries")
{
	random_steps(false, 6000, 0x5eed2);
}

TEST(empty, "tree: an empty tree finds nothing and is sound")
{
	struct loam_tree tree;
	struct item probe = { .key = 1 };
	loam_tree_init(&tree, item_compare, NULL);
	EXPECT(loam_tree_first(&tree) == NULL);
	EXPECT(loam_tree_last(&tree) == NULL);
	EXPECT(loam_tree_find(&tree, &probe.node) == NULL);
	EXPECT(loam_tree_find_le(&tree, &probe.node) == NULL);
	EXPECT_EQ(loam_tree_check(&tree), 0);
}

/*
 * Every order of insertion of 6 keys followed by every single removal: all
 * rotations, single and double, at the root and below it.
 */
TEST(orders, "tree: every insertion order of 6 keys, every removal")
{
	struct loam_tree tree;
	for (unsigned order = 0; order < 720; order++) {
		for (unsigned out = 0; out < 6; out++) {
			unsigned pick[6] = { 0, 1, 2, 3, 4, 5 };
			unsigned code = order;
			items_reset(&tree, true);
			for (unsigned i = 6; i > 0; i--) {
				unsigned at = code % i;
				unsigned key = pick[at];
				code /= i;
				pick[at] = pick[i - 1];
				EXPECT_EQ(loam_tree_insert(&tree,
							   &items[key].node),
					  0);
				expect_sound(&tree);
			}
			loam_tree_remove(&tree, &items[out].node);
			expect_sound(&tree);
			EXPECT_EQ(tree.count, 5);
		}
	}
}

TEST(after, "tree: behind a node, or in front of all, without a search")
{
	static const uint32_t order[] = { 4, 0, 2, 3, 1, 5 };
	struct loam_tree tree;
	items_reset(&tree, true);
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(order); i++) {
		struct item *item = &items[order[i]];
		updates = 0;
		loam_tree_insert_after(&tree, &item->node,
				       oracle_le(item->key));
		present[order[i]] = true;
		EXPECT(updates > 0);
		expect_sound(&tree);
		expect_walks(&tree);
	}
}

TEST(after_wrong, "tree: an insertion in a wrong place panics (debug)")
{
	struct loam_tree tree;
	NEEDS_DEBUG();
	items_reset(&tree, true);
	EXPECT_EQ(loam_tree_insert(&tree, &items[5].node), 0);
	EXPECT_EQ(loam_tree_insert(&tree, &items[7].node), 0);
	EXPECT_PANIC(
		loam_tree_insert_after(&tree, &items[3].node, &items[5].node),
		"compare(before, node) < 0");
	EXPECT_PANIC(
		loam_tree_insert_after(&tree, &items[8].node, &items[5].node),
		"compare(node, parent) < 0");
	EXPECT_EQ(tree.count, 2);
}

TEST(duplicate, "tree: an equal is refused and nothing changes")
{
	struct loam_tree tree;
	items_reset(&tree, true);
	for (uint32_t i = 0; i < 50; i++) {
		EXPECT_EQ(loam_tree_insert(&tree, &items[i].node), 0);
	}
	struct item again;
	memset(&again, 0x5a, sizeof(again));
	again.key = items[20].key;
	struct item copy = again;
	struct loam_tree before = tree;
	updates = 0;
	EXPECT_EQ(loam_tree_insert(&tree, &again.node), -LOAM_EEXIST);
	EXPECT_EQ(memcmp(&again, &copy, sizeof(copy)), 0);
	EXPECT_EQ(memcmp(&tree, &before, sizeof(tree)), 0);
	EXPECT_EQ(updates, 0);
	expect_sound(&tree);
}

TEST(removed, "tree: a removed node is all zero and may come back")
{
	struct loam_tree tree;
	static const struct loam_tree_node zero;
	items_reset(&tree, true);
	for (uint32_t i = 0; i < 50; i++) {
		EXPECT_EQ(loam_tree_insert(&tree, &items[i].node), 0);
	}
	for (uint32_t i = 0; i < 50; i++) {
		loam_tree_remove(&tree, &items[i].node);
		EXPECT_EQ(memcmp(&items[i].node, &zero, sizeof(zero)), 0);
		expect_sound(&tree);
		EXPECT_EQ(loam_tree_insert(&tree, &items[i].node), 0);
	}
	EXPECT_EQ(tree.count, 50);
}

TEST(foreign, "tree: removing a node that is in no tree panics (debug)")
{
	struct loam_tree tree;
	struct item lone = { .key = 3 };
	NEEDS_DEBUG();
	items_reset(&tree, false);
	EXPECT_PANIC(loam_tree_remove(&tree, &lone.node), "count > 0");
	EXPECT_EQ(loam_tree_insert(&tree, &items[0].node), 0);
	EXPECT_PANIC(loam_tree_remove(&tree, &lone.node), "root == node");
	EXPECT_EQ(tree.count, 1);
}

TEST(height, "tree: height stays within 1.44 log2(n + 2)")
{
	enum { MANY = 16384 };
	static struct item many[MANY];
	struct loam_tree tree;
	loam_tree_init(&tree, item_compare, item_update);
	for (uint32_t i = 0; i < MANY; i++) {
		many[i].key = i;
		EXPECT_EQ(loam_tree_insert(&tree, &many[i].node), 0);
	}
	/* Ascending insertion fills the tree perfectly: 14 levels and one. */
	EXPECT_EQ(item_of(tree.root)->height, 15);
	/* What remains after removals is as sparse as removals can make it. */
	for (uint32_t i = 0; i < MANY; i++) {
		if (i % 4 != 1) {
			loam_tree_remove(&tree, &many[i].node);
		}
	}
	EXPECT_EQ(tree.count, MANY / 4);
	EXPECT(item_of(tree.root)->height <= 17); /* 1.44 * 12.0 */
	expect_sound(&tree);
}

TEST(cost, "tree: a change updates one path, and two nodes a rotation")
{
	struct loam_tree tree;
	items_reset(&tree, true);
	for (uint32_t i = 0; i < ITEMS; i++) {
		updates = 0;
		EXPECT_EQ(loam_tree_insert(&tree, &items[i].node), 0);
		EXPECT(updates <= item_of(tree.root)->height + 4);
	}
	for (uint32_t i = 0; i < ITEMS - 1; i++) {
		updates = 0;
		uint32_t height = item_of(tree.root)->height;
		loam_tree_remove(&tree, &items[i].node);
		EXPECT(updates <= 4 * height);
	}
}

TEST(updated, "tree: a node's changed data reaches the root's summary")
{
	struct loam_tree tree;
	items_reset(&tree, true);
	for (uint32_t i = 0; i < ITEMS; i++) {
		EXPECT_EQ(loam_tree_insert(&tree, &items[i].node), 0);
	}
	uint64_t before = item_of(tree.root)->total;
	items[77].weight += 1000;
	loam_tree_updated(&tree, &items[77].node);
	EXPECT_EQ(item_of(tree.root)->total, before + 1000);
	expect_sound(&tree);
	tree.update = NULL;
	updates = 0;
	loam_tree_updated(&tree, &items[77].node);
	EXPECT_EQ(updates, 0);
}

/* A tree of 15 keys, perfectly balanced, for damage. */
static void make_perfect(struct loam_tree *tree)
{
	items_reset(tree, false);
	for (uint32_t i = 0; i < 15; i++) {
		EXPECT_EQ(loam_tree_insert(tree, &items[i].node), 0);
	}
	EXPECT_EQ(loam_tree_check(tree), 0);
}

TEST(damage, "tree: check finds each kind of damage")
{
	struct loam_tree tree;

	make_perfect(&tree);
	tree.count++;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
	EXPECT_LOG("count == tree->count");

	make_perfect(&tree);
	items[3].node.balance = 1;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
	EXPECT_LOG("node->balance == height");

	make_perfect(&tree);
	items[3].node.balance = 2;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
	EXPECT_LOG("node->balance <= 1");

	make_perfect(&tree);
	items[4].key = 61;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
	EXPECT_LOG("compare(node, next) < 0");

	make_perfect(&tree);
	items[4].node.parent = &items[9].node;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
	EXPECT_LOG("->parent == node");

	make_perfect(&tree);
	tree.root->parent = &items[0].node;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
	EXPECT_LOG("node->parent == NULL");

	/* A link back up, which would make a walk go round for ever. */
	make_perfect(&tree);
	items[0].node.child[0] = tree.root;
	EXPECT_EQ(loam_tree_check(&tree), -LOAM_EFAULT);
}

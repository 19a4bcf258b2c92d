/* SPDX-License-Identifier: MIT */
/* The AVL tree: insertion, removal, search and walks without recursion. */
#include <loam/assert.h>
#include <loam/tree.h>

/*
 * An AVL tree is a binary search tree in which the heights of the two subtrees
 * of every node differ by at most one (Adelson-Velsky and Landis 1962; Knuth,
 * TAOCP 3, 6.2.3). A node keeps the difference, right minus left, as `balance`.
 * The nodes live in the structures they order, so nothing is allocated and
 * nothing can fail but the insertion of an equal. A node that is in no tree may
 * hold anything; one that was removed is all zero.
 *
 * Both changes work downwards first and then repair the way back up along the
 * parent links:
 *
 *   insertion  hangs the node below a leaf and climbs while the subtree it
 *              comes from has grown by one level. A node that leaned to the
 *              other side is even now, and the growth ends there. A node that
 *              was even leans, and the growth goes on. A node that leaned to
 *              this side already is rotated, which takes the level off again.
 *
 *   removal    of a node with two children puts its successor, which has no
 *              left child, in its place. What really leaves is then a node
 *              with at most one child, and the climb follows the shrinking:
 *              it ends where an even node starts to lean, and goes on through
 *              rotations, except for one whose lower child was even.
 *
 * A rotation turns the edge between a node and its child:
 *
 *	      n                c
 *	     / \              / \
 *	    A   c     <->    n   C
 *	       / \          / \
 *	      B   C        A   B
 *
 * Where the child leans the other way, its own inner child is turned up first,
 * and then once more: the double rotation.
 *
 * Summaries. `update` computes a node's summary from its own data and its
 * children's summaries, so it must be called for a node after its children's
 * are right. A climb calls it for every node on the way to the root, also where
 * the heights are settled; a rotation calls it for the two nodes it turns, the
 * lower one first. A tree without `update` stops where the heights do.
 *
 * Cost. A search, an insertion and a removal visit one path; an insertion does
 * at most one rotation, single or double, a removal one a level. A key equal to
 * one in the tree is found by `compare` alone, never by address.
 *
 * Locking: none, the owner's lock protects the tree and all its nodes.
 */

/* The sides of a node, as indices of child[]. */
enum tree_side { TREE_LEFT, TREE_RIGHT };

/*
 * More levels than any tree has: 1.44 log2(n + 2) of a memory filled with
 * nodes is 85 where addresses have 64 bits.
 */
#define TREE_LEVELS 96

/* What a level more on this side adds to the balance. */
static int32_t tree_lean(unsigned side)
{
	return side == TREE_RIGHT ? 1 : -1;
}

/* Which child of parent node is. */
static unsigned tree_side_of(const struct loam_tree_node *parent,
			     const struct loam_tree_node *node)
{
	return parent->child[TREE_RIGHT] == node ? TREE_RIGHT : TREE_LEFT;
}

static void tree_update(const struct loam_tree *tree,
			struct loam_tree_node *node)
{
	if (tree->update != NULL) {
		tree->update(node);
	}
}

/* Puts node, which may be NULL, where old hangs below parent (NULL: root). */
static void tree_replace(struct loam_tree *tree, struct loam_tree_node *parent,
			 const struct loam_tree_node *old,
			 struct loam_tree_node *node)
{
	if (parent == NULL) {
		tree->root = node;
	} else {
		parent->child[tree_side_of(parent, old)] = node;
	}
	if (node != NULL) {
		node->parent = parent;
	}
}

/* Hangs node, which may be NULL, on one side of parent. */
static void tree_hang(struct loam_tree_node *parent, unsigned side,
		      struct loam_tree_node *node)
{
	parent->child[side] = node;
	if (node != NULL) {
		node->parent = parent;
	}
}

/*
 * Turns node's child on `side` up into node's place. Leaves the balances,
 * which depend on why it was done, to the caller.
 */
static void tree_turn(struct loam_tree *tree, struct loam_tree_node *node,
		      unsigned side)
{
	struct loam_tree_node *up = node->child[side];
	tree_replace(tree, node->parent, node, up);
	tree_hang(node, side, up->child[!side]);
	tree_hang(up, !side, node);
	tree_update(tree, node);
	tree_update(tree, up);
}

/*
 * Makes the subtree of node, whose `side` is two levels too high, an AVL tree
 * again and returns its new top. Its height is one less than it was, unless
 * the top's balance is not 0 afterwards.
 */
static struct loam_tree_node *tree_rotate(struct loam_tree *tree,
					  struct loam_tree_node *node,
					  unsigned side)
{
	struct loam_tree_node *high = node->child[side];
	int32_t lean = tree_lean(side);
	if (high->balance != -lean) {
		/* Even only after a removal on the other side. */
		tree_turn(tree, node, side);
		node->balance = high->balance == 0 ? lean : 0;
		high->balance = high->balance == 0 ? -lean : 0;
		return high;
	}
	struct loam_tree_node *top = high->child[!side];
	tree_turn(tree, high, !side);
	tree_turn(tree, node, side);
	node->balance = top->balance == lean ? -lean : 0;
	high->balance = top->balance == -lean ? lean : 0;
	top->balance = 0;
	return top;
}

/*
 * Climbs from node, whose subtree is one level higher than before, which its
 * ancestors do not know yet.
 */
static void tree_grown(struct loam_tree *tree, struct loam_tree_node *node)
{
	bool grown = true;
	tree_update(tree, node);
	while (node->parent != NULL && (grown || tree->update != NULL)) {
		struct loam_tree_node *parent = node->parent;
		unsigned side = tree_side_of(parent, node);
		if (grown && parent->balance == tree_lean(side)) {
			node = tree_rotate(tree, parent, side);
			grown = false;
			continue;
		}
		if (grown) {
			parent->balance += tree_lean(side);
			grown = parent->balance != 0;
		}
		tree_update(tree, parent);
		node = parent;
	}
}

/*
 * Climbs from node (NULL: the tree is empty), which lost a level on `side`
 * and does not know it yet.
 */
static void tree_shrunk(struct loam_tree *tree, struct loam_tree_node *node,
			unsigned side)
{
	bool shrunk = true;
	while (node != NULL && (shrunk || tree->update != NULL)) {
		if (shrunk && node->balance == tree_lean(!side)) {
			node = tree_rotate(tree, node, !side);
			shrunk = node->balance == 0;
		} else {
			if (shrunk) {
				node->balance -= tree_lean(side);
				shrunk = node->balance == 0;
			}
			tree_update(tree, node);
		}
		if (node->parent != NULL) {
			side = tree_side_of(node->parent, node);
		}
		node = node->parent;
	}
}

/* The outermost node of a subtree on one side; NULL if it is empty. */
static struct loam_tree_node *tree_outermost(struct loam_tree_node *node,
					     unsigned side)
{
	while (node != NULL && node->child[side] != NULL) {
		node = node->child[side];
	}
	return node;
}

/* The neighbour of node in order on one side, or NULL. */
static struct loam_tree_node *tree_neighbour(const struct loam_tree_node *node,
					     unsigned side)
{
	if (node->child[side] != NULL) {
		return tree_outermost(node->child[side], !side);
	}
	struct loam_tree_node *parent = node->parent;
	while (parent != NULL && parent->child[side] == node) {
		node = parent;
		parent = parent->parent;
	}
	return parent;
}

/*
 * Takes out a node with two children: its successor takes its place. The
 * successor has no left child, and its right one takes its place in turn.
 */
static void tree_remove_inner(struct loam_tree *tree,
			      struct loam_tree_node *node)
{
	struct loam_tree_node *right = node->child[TREE_RIGHT];
	struct loam_tree_node *successor = tree_outermost(right, TREE_LEFT);
	struct loam_tree_node *shrunk = successor;
	unsigned side = TREE_RIGHT;
	if (successor != right) {
		shrunk = successor->parent;
		side = TREE_LEFT;
		tree_hang(shrunk, TREE_LEFT, successor->child[TREE_RIGHT]);
		tree_hang(successor, TREE_RIGHT, right);
	}
	tree_hang(successor, TREE_LEFT, node->child[TREE_LEFT]);
	successor->balance = node->balance;
	tree_replace(tree, node->parent, node, successor);
	tree_shrunk(tree, shrunk, side);
}

/* Takes out a node with at most one child, which takes its place. */
static void tree_remove_outer(struct loam_tree *tree,
			      struct loam_tree_node *node)
{
	struct loam_tree_node *parent = node->parent;
	struct loam_tree_node *child = node->child[TREE_LEFT];
	unsigned side = parent == NULL ? TREE_LEFT : tree_side_of(parent, node);
	if (child == NULL) {
		child = node->child[TREE_RIGHT];
	}
	tree_replace(tree, parent, node, child);
	tree_shrunk(tree, parent, side);
}

void loam_tree_init(struct loam_tree *tree,
		    int (*compare)(const struct loam_tree_node *,
				   const struct loam_tree_node *),
		    void (*update)(struct loam_tree_node *))
{
	*tree = (struct loam_tree){ .compare = compare, .update = update };
}

/* Puts a node where none is, below parent (NULL: the tree is empty). */
static void tree_hang_new(struct loam_tree *tree, struct loam_tree_node *node,
			  struct loam_tree_node *parent, unsigned side)
{
	*node = (struct loam_tree_node){ .parent = parent };
	if (parent == NULL) {
		tree->root = node;
	} else {
		parent->child[side] = node;
	}
	tree->count++;
	tree_grown(tree, node);
}

int loam_tree_insert(struct loam_tree *tree, struct loam_tree_node *node)
{
	struct loam_tree_node *parent = NULL;
	struct loam_tree_node *at = tree->root;
	unsigned side = TREE_LEFT;
	while (at != NULL) {
		int order = tree->compare(node, at);
		if (order == 0) {
			return -LOAM_EEXIST;
		}
		parent = at;
		side = order > 0 ? TREE_RIGHT : TREE_LEFT;
		at = at->child[side];
	}
	tree_hang_new(tree, node, parent, side);
	return 0;
}

/* Below before, if it has no right subtree; else below the first of that. */
void loam_tree_insert_after(struct loam_tree *tree, struct loam_tree_node *node,
			    struct loam_tree_node *before)
{
	struct loam_tree_node *parent = before;
	unsigned side = TREE_RIGHT;
	if (before == NULL || before->child[TREE_RIGHT] != NULL) {
		parent = tree_outermost(
			before == NULL ? tree->root : before->child[TREE_RIGHT],
			TREE_LEFT);
		side = TREE_LEFT;
	}
	LOAM_ASSERT(before == NULL || tree->compare(before, node) < 0);
	LOAM_ASSERT(parent == NULL || side == TREE_RIGHT ||
		    tree->compare(node, parent) < 0);
	tree_hang_new(tree, node, parent, side);
}

void loam_tree_remove(struct loam_tree *tree, struct loam_tree_node *node)
{
	LOAM_ASSERT(tree->count > 0);
	LOAM_ASSERT(node->parent != NULL || tree->root == node);
	if (node->child[TREE_LEFT] != NULL && node->child[TREE_RIGHT] != NULL) {
		tree_remove_inner(tree, node);
	} else {
		tree_remove_outer(tree, node);
	}
	tree->count--;
	*node = (struct loam_tree_node){ .parent = NULL };
}

void loam_tree_updated(struct loam_tree *tree, struct loam_tree_node *node)
{
	while (node != NULL && tree->update != NULL) {
		tree->update(node);
		node = node->parent;
	}
}

struct loam_tree_node *loam_tree_find(const struct loam_tree *tree,
				      const struct loam_tree_node *key)
{
	struct loam_tree_node *at = tree->root;
	while (at != NULL) {
		int order = tree->compare(key, at);
		if (order == 0) {
			return at;
		}
		at = at->child[order > 0 ? TREE_RIGHT : TREE_LEFT];
	}
	return NULL;
}

struct loam_tree_node *loam_tree_find_le(const struct loam_tree *tree,
					 const struct loam_tree_node *key)
{
	struct loam_tree_node *at = tree->root;
	struct loam_tree_node *best = NULL;
	while (at != NULL) {
		int order = tree->compare(key, at);
		if (order == 0) {
			return at;
		}
		if (order > 0) {
			best = at;
		}
		at = at->child[order > 0 ? TREE_RIGHT : TREE_LEFT];
	}
	return best;
}

struct loam_tree_node *loam_tree_first(const struct loam_tree *tree)
{
	return tree_outermost(tree->root, TREE_LEFT);
}

struct loam_tree_node *loam_tree_last(const struct loam_tree *tree)
{
	return tree_outermost(tree->root, TREE_RIGHT);
}

struct loam_tree_node *loam_tree_next(const struct loam_tree_node *node)
{
	return tree_neighbour(node, TREE_RIGHT);
}

struct loam_tree_node *loam_tree_prev(const struct loam_tree_node *node)
{
	return tree_neighbour(node, TREE_LEFT);
}

/*
 * One node whose subtrees are checked already and have these heights. The
 * neighbour that `compare` is asked about is the next in order, so that all
 * nodes together prove the whole order.
 */
static int tree_check_node(const struct loam_tree *tree,
			   const struct loam_tree_node *node,
			   const uint8_t height[2])
{
	const struct loam_tree_node *next = tree_neighbour(node, TREE_RIGHT);
	LOAM_CHECK(node->balance >= -1 && node->balance <= 1);
	LOAM_CHECK(node->balance == height[TREE_RIGHT] - height[TREE_LEFT]);
	LOAM_CHECK(next == NULL || tree->compare(node, next) < 0);
	return 0;
}

/*
 * Walks all nodes in post-order with the two heights below each level of the
 * current path in an array. A child's parent link is proved before the walk
 * goes down to it, so no link leads it astray or round in circles.
 */
int loam_tree_check(const struct loam_tree *tree)
{
	uint8_t height[TREE_LEVELS][2];
	const struct loam_tree_node *node = tree->root;
	unsigned level = 0;
	unsigned side = TREE_LEFT;
	size_t count = 0;
	LOAM_CHECK(node == NULL || node->parent == NULL);
	while (node != NULL) {
		if (side <= TREE_RIGHT && node->child[side] != NULL) {
			LOAM_CHECK(node->child[side]->parent == node);
			LOAM_CHECK(level + 1 < TREE_LEVELS);
			node = node->child[side];
			level++;
			side = TREE_LEFT;
			continue;
		}
		if (side <= TREE_RIGHT) {
			height[level][side] = 0;
			side++;
			continue;
		}
		if (tree_check_node(tree, node, height[level]) != 0) {
			return -LOAM_EFAULT;
		}
		count++;
		uint8_t left = height[level][TREE_LEFT];
		uint8_t right = height[level][TREE_RIGHT];
		if (node->parent != NULL) {
			side = tree_side_of(node->parent, node);
			level--;
			height[level][side] =
				(uint8_t)(1 + (left > right ? left : right));
			side++;
		}
		node = node->parent;
	}
	LOAM_CHECK(count == tree->count);
	return 0;
}

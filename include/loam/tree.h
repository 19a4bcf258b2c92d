/* SPDX-License-Identifier: MIT */
/* A balanced search tree whose nodes live in the members. */
#ifndef LOAM_TREE_H
#define LOAM_TREE_H

#include <loam/types.h>

/*
 * An AVL tree (Adelson-Velsky and Landis 1962) with parent links, without
 * recursion. Height is at most 1.44 log2(n + 2), so every operation below is
 * O(log n); first, next and prev are O(1) amortised over a walk.
 * No locking: the owner's lock protects the tree and its nodes. Nothing here
 * allocates.
 *
 * A node may also carry a summary of its subtree (the largest gap, say) that
 * the tree keeps right through `update`.
 */
struct loam_tree_node {
	struct loam_tree_node *parent;
	struct loam_tree_node *child[2]; /* left: smaller, right: larger */
	int32_t balance;                 /* height of right minus left */
};

struct loam_tree {
	struct loam_tree_node *root;
	size_t count;
	/* Orders two nodes: negative, 0 or positive as a <, =, > b. */
	int (*compare)(const struct loam_tree_node *a,
		       const struct loam_tree_node *b);
	/* Recomputes node's summary from its children's, or NULL. */
	void (*update)(struct loam_tree_node *node);
};

/*
 * Makes an empty tree. compare and update (or NULL) are called by the
 * functions below, in the same context, and must not change the tree.
 */
void loam_tree_init(struct loam_tree *tree,
		    int (*compare)(const struct loam_tree_node *,
				   const struct loam_tree_node *),
		    void (*update)(struct loam_tree_node *));

/*
 * Inserts node, whatever its links hold; -LOAM_EEXIST, and nothing changed, if
 * its equal is there. The node belongs to the tree until it is removed.
 */
int loam_tree_insert(struct loam_tree *tree, struct loam_tree_node *node);

/*
 * Inserts node directly behind `before`, which is in the tree, or in front of
 * all for NULL, without a search: the caller knows that it belongs there.
 */
void loam_tree_insert_after(struct loam_tree *tree, struct loam_tree_node *node,
			    struct loam_tree_node *before);

/* Removes node, which must be in the tree. Its links are all zero then. */
void loam_tree_remove(struct loam_tree *tree, struct loam_tree_node *node);

/* Recomputes the summaries from node up after its own key data changed. */
void loam_tree_updated(struct loam_tree *tree, struct loam_tree_node *node);

/* The node equal to key, or NULL. key need not be in the tree. */
struct loam_tree_node *loam_tree_find(const struct loam_tree *tree,
				      const struct loam_tree_node *key);

/* The largest node <= key, or NULL. */
struct loam_tree_node *loam_tree_find_le(const struct loam_tree *tree,
					 const struct loam_tree_node *key);

/* The smallest and the largest node; NULL if the tree is empty. O(log n). */
struct loam_tree_node *loam_tree_first(const struct loam_tree *tree);
struct loam_tree_node *loam_tree_last(const struct loam_tree *tree);

/* The next larger and the next smaller node; NULL at the end. */
struct loam_tree_node *loam_tree_next(const struct loam_tree_node *node);
struct loam_tree_node *loam_tree_prev(const struct loam_tree_node *node);

/*
 * 0, or -LOAM_EFAULT, logged, when order, balance, links or count are wrong.
 * Summaries are the owner's to check. O(n), with 200 bytes of stack.
 */
int loam_tree_check(const struct loam_tree *tree);

#endif

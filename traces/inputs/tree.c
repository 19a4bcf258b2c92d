/* SPDX-License-Identifier: MIT */
/* Something for a compiler to chew: a search tree, a sort, and text. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct node *left;
	struct node *right;
	unsigned long key;
	unsigned count;
	char name[24];
};

static struct node *insert(struct node *node, unsigned long key)
{
	if (node == NULL) {
		node = calloc(1, sizeof(*node));
		if (node != NULL) {
			node->key = key;
			snprintf(node->name, sizeof(node->name), "n%lx", key);
		}
	} else if (key < node->key) {
		node->left = insert(node->left, key);
	} else if (key > node->key) {
		node->right = insert(node->right, key);
	}
	if (node != NULL) {
		node->count++;
	}
	return node;
}

static unsigned height(const struct node *node)
{
	if (node == NULL) {
		return 0;
	}
	unsigned left = height(node->left);
	unsigned right = height(node->right);
	return 1 + (left > right ? left : right);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t words(char *text, char **out, size_t most)
{
	size_t count = 0;
	while (*text != '\0' && count < most) {
		while (isspace((unsigned char)*text)) {
			text++;
		}
		out[count++] = text;
		while (*text != '\0' && !isspace((unsigned char)*text)) {
			text++;
		}
		if (*text != '\0') {
			*text++ = '\0';
		}
	}
	return count;
}

static double matrix(double a[8][8], double b[8][8])
{
	double c[8][8] = { { 0 } };
	double trace = 0;
	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 8; j++) {
			for (int k = 0; k < 8; k++) {
				c[i][j] += a[i][k] * b[k][j];
			}
		}
		trace += c[i][i];
	}
	return trace;
}

int main(void)
{
	char text[] = "the quick brown fox jumps over the lazy dog";
	char *list[16];
	double a[8][8];
	double b[8][8];
	struct node *root = NULL;
	unsigned long key = 1;
	for (int i = 0; i < 1000; i++) {
		key = key * 6364136223846793005ul + 1442695040888963407ul;
		root = insert(root, key >> 40);
	}
	size_t count = words(text, list, 16);
	qsort(list, count, sizeof(list[0]), compare);
	for (int i = 0; i < 64; i++) {
		a[i / 8][i % 8] = i;
		b[i / 8][i % 8] = 64 - i;
	}
	printf("%u %s %g\n", height(root), list[0], matrix(a, b));
	return 0;
}

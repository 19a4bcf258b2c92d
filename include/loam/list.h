/* SPDX-License-Identifier: MIT */
/* A circular doubly linked list whose links live in the members. */
#ifndef LOAM_LIST_H
#define LOAM_LIST_H

#include <loam/types.h>

struct loam_list {
	struct loam_list *next;
	struct loam_list *prev;
};

/* The structure that holds `member`, which `link` points at. */
#define LOAM_CONTAINER(link, type, member)                                     \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void loam_list_init(struct loam_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool loam_list_empty(const struct loam_list *list)
{
	return list->next == list;
}

/* Inserts link after position; a list head as position means at the front. */
static inline void loam_list_insert(struct loam_list *position,
				    struct loam_list *link)
{
	link->next = position->next;
	link->prev = position;
	position->next->prev = link;
	position->next = link;
}

/* Inserts link at the end of the list. */
static inline void loam_list_insert_tail(struct loam_list *list,
					 struct loam_list *link)
{
	loam_list_insert(list->prev, link);
}

/* Takes link out of its list and leaves it as an empty list of its own. */
static inline void loam_list_remove(struct loam_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	loam_list_init(link);
}

#define LOAM_LIST_EACH(cursor, list)                                           \
	for ((cursor) = (list)->next; (cursor) != (list);                      \
	     (cursor) = (cursor)->next)

#endif

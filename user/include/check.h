/* SPDX-License-Identifier: MIT */
/* What test programs share: a condition that must hold, or the program ends. */
#ifndef USER_CHECK_H
#define USER_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                       \
	do {                                                                   \
		if (!(condition)) {                                            \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                               \
		}                                                              \
	} while (0)

/* The call fails with this errno. */
#define CHECK_ERRNO(call, error)                                               \
	do {                                                                   \
		errno = 0;                                                     \
		CHECK((long)(call) == -1);                                     \
		CHECK(errno == (error));                                       \
	} while (0)

#endif

/* SPDX-License-Identifier: MIT */
/* Reads files: whole, and through the program that unpacks them. */
#include "input.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What packed files begin with. */
static const struct packing {
	const char *program;
	const char *missing;
	const char *failed;
	size_t mark_bytes;
	unsigned char mark[6];
} packings[] = {
	{ "xz",
	  "it is packed, and the program xz is not there",
	  "xz cannot unpack it",
	  6,
	  { 0xfd, '7', 'z', 'X', 'Z', 0 } },
	{ "zstd",
	  "it is packed, and the program zstd is not there",
	  "zstd cannot unpack it",
	  4,
	  { 0x28, 0xb5, 0x2f, 0xfd } },
	{ "gzip",
	  "it is packed, and the program gzip is not there",
	  "gzip cannot unpack it",
	  2,
	  { 0x1f, 0x8b } },
};

/* Everything up to the end. NULL: errno says why. */
static char *read_stream(FILE *from, size_t *size)
{
	char *text = NULL;
	size_t capacity = 0;
	size_t used = 0;
	bool good = true;
	errno = 0;
	while (good && !feof(from)) {
		if (used == capacity) {
			capacity = capacity * 2 + 65536;
			char *larger = realloc(text, capacity);
			if (larger == NULL) {
				good = false;
				break;
			}
			text = larger;
		}
		errno = 0;
		used += fread(text + used, 1, capacity - used, from);
		good = !ferror(from);
	}
	if (!good) {
		int error = errno;
		free(text);
		errno = error != 0 ? error : EIO;
		return NULL;
	}
	*size = used;
	return text;
}

char *input_read(const char *name, size_t *size)
{
	FILE *from = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
	if (from == NULL) {
		return NULL;
	}
	char *text = read_stream(from, size);
	int error = errno;
	if (from != stdin) {
		fclose(from);
	}
	errno = error;
	return text;
}

static const struct packing *find_packing(const char *text, size_t size)
{
	for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
		const struct packing *packing = &packings[i];
		if (size >= packing->mark_bytes &&
		    memcmp(text, packing->mark, packing->mark_bytes) == 0) {
			return packing;
		}
	}
	return NULL;
}

/* Starts "PROGRAM -dc" between two files. Returns its number, 0: not there. */
static pid_t start_unpacking(const char *program, int from, int to)
{
	char *const arguments[] = { (char *)(uintptr_t)program, "-dcq", NULL };
	posix_spawn_file_actions_t actions;
	if (posix_spawn_file_actions_init(&actions) != 0) {
		return 0;
	}
	pid_t child = 0;
	if (posix_spawn_file_actions_adddup2(&actions, from, 0) != 0 ||
	    posix_spawn_file_actions_adddup2(&actions, to, 1) != 0 ||
	    posix_spawnp(&child, program, &actions, NULL, arguments, environ) !=
		    0) {
		child = 0;
	}
	posix_spawn_file_actions_destroy(&actions);
	return child;
}

/* What the program makes of the packed bytes; both are temporary files. */
static char *unpack(const struct packing *packing, const char *packed,
		    size_t packed_size, size_t *size, const char **why)
{
	FILE *from = tmpfile();
	FILE *to = tmpfile();
	char *text = NULL;
	*why = "there is no room for temporary files";
	if (from != NULL && to != NULL &&
	    fwrite(packed, 1, packed_size, from) == packed_size &&
	    fflush(from) == 0 && fseek(from, 0, SEEK_SET) == 0) {
		int status = -1;
		pid_t child = start_unpacking(packing->program, fileno(from),
					      fileno(to));
		bool ended = child != 0 && waitpid(child, &status, 0) == child;
		*why = child == 0 ? packing->missing : packing->failed;
		if (ended && status == 0 && fseek(to, 0, SEEK_SET) == 0) {
			text = read_stream(to, size);
			*why = "out of memory";
		}
	}
	if (from != NULL) {
		fclose(from);
	}
	if (to != NULL) {
		fclose(to);
	}
	return text;
}

char *input_read_packed(const char *name, size_t *size, const char **why)
{
	char *text = input_read(name, size);
	if (text == NULL) {
		*why = strerror(errno);
		return NULL;
	}
	const struct packing *packing = find_packing(text, *size);
	if (packing == NULL) {
		return text;
	}
	char *unpacked = unpack(packing, text, *size, size, why);
	free(text);
	return unpacked;
}

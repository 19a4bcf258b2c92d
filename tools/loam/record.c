/* SPDX-License-Identifier: MIT */
/* loam record: runs a program and writes down what it allocates and frees. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../record/events.h"
#include "lab_trace.h"
#include "loam.h"

#define LIBRARY "loam-record.so"

/* As many events as there is room for; what is not used costs nothing. */
#define EVENTS_MOST (UINT32_C(1) << 29)
#define EVENTS_LEAST (UINT32_C(1) << 20)

/* -------- from events to a workload -------- */

/* A live block: open addressing by address, as in the parser of traces. */
struct entry {
	uint64_t address; /* 0: the entry is empty */
	uint32_t slot;
};

/* A block that is between RESIZE and RESIZED. */
struct parked {
	uint32_t begun;
	uint32_t slot; /* LAB_NO_SLOT: it was not known */
	uint64_t address;
};

struct story {
	struct lab_work *work;
	struct entry *entries;
	size_t room;
	size_t used;
	struct parked *parked;
	size_t parked_count;
	size_t parked_room;
	size_t unknown; /* frees of what was not seen to be allocated */
	size_t stale;   /* blocks whose free was not seen */
	size_t huge;    /* sizes that do not fit */
	size_t torn;    /* events that were begun and not written */
};

static size_t story_home(const struct story *story, uint64_t address)
{
	uint64_t mixed = (address >> 4) * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)(mixed >> 32) & (story->room - 1);
}

static struct entry *story_find(const struct story *story, uint64_t address)
{
	size_t at = story_home(story, address);
	while (story->entries[at].address != 0 &&
	       story->entries[at].address != address) {
		at = (at + 1) & (story->room - 1);
	}
	return &story->entries[at];
}

static void story_make_room(struct story *story)
{
	if ((story->used + 1) * 2 <= story->room) {
		return;
	}
	struct entry *old = story->entries;
	size_t old_room = story->room;
	story->room = old_room != 0 ? old_room * 2 : 4096;
	story->entries = lab_grow(NULL, story->room, sizeof(story->entries[0]));
	memset(story->entries, 0, story->room * sizeof(story->entries[0]));
	for (size_t i = 0; i < old_room; i++) {
		if (old[i].address != 0) {
			*story_find(story, old[i].address) = old[i];
		}
	}
	free(old);
}

static void story_take_out(struct story *story, struct entry *entry)
{
	size_t mask = story->room - 1;
	size_t gap = (size_t)(entry - story->entries);
	for (size_t at = (gap + 1) & mask; story->entries[at].address != 0;
	     at = (at + 1) & mask) {
		size_t from = story_home(story, story->entries[at].address);
		if (((at - from) & mask) >= ((at - gap) & mask)) {
			story->entries[gap] = story->entries[at];
			gap = at;
		}
	}
	story->entries[gap].address = 0;
	story->used--;
}

/* A size as a trace has it: C programs allocate nothing, traces one byte. */
static uint32_t story_size(struct story *story, uint64_t size_bytes)
{
	if (size_bytes > UINT32_MAX) {
		story->huge++;
		return UINT32_MAX;
	}
	return size_bytes != 0 ? (uint32_t)size_bytes : 1;
}

/* The slot's block has this address from now on. */
static void story_put(struct story *story, uint64_t address, uint32_t slot)
{
	story_make_room(story);
	struct entry *entry = story_find(story, address);
	if (entry->address != 0) {
		story->stale++;
		lab_work_free(story->work, entry->slot);
	} else {
		story->used++;
	}
	*entry = (struct entry){ .address = address, .slot = slot };
}

/* Whose block it was, which has no address now; LAB_NO_SLOT: nobody's. */
static uint32_t story_drop(struct story *story, uint64_t address)
{
	story_make_room(story);
	struct entry *entry = story_find(story, address);
	if (entry->address == 0) {
		story->unknown++;
		return LAB_NO_SLOT;
	}
	uint32_t slot = entry->slot;
	story_take_out(story, entry);
	return slot;
}

static void story_alloc(struct story *story, const struct record_event *event)
{
	uint32_t size = story_size(story, event->size_bytes);
	uint32_t slot = lab_work_alloc(story->work, size);
	if (slot != LAB_NO_SLOT) {
		story_put(story, event->address, slot);
	}
}

static void story_park(struct story *story, uint32_t number,
		       const struct record_event *event)
{
	if (story->parked_count == story->parked_room) {
		story->parked_room = story->parked_room * 2 + 64;
		story->parked = lab_grow(story->parked, story->parked_room,
					 sizeof(story->parked[0]));
	}
	story->parked[story->parked_count++] = (struct parked){
		.begun = number,
		.slot = story_drop(story, event->address),
		.address = event->address,
	};
}

static void story_resized(struct story *story, const struct record_event *event)
{
	size_t at = 0;
	while (at < story->parked_count &&
	       story->parked[at].begun != event->begun) {
		at++;
	}
	if (at == story->parked_count) {
		return;
	}
	struct parked parked = story->parked[at];
	story->parked[at] = story->parked[--story->parked_count];
	if (event->address == 0) {
		if (parked.slot != LAB_NO_SLOT) {
			story_put(story, parked.address, parked.slot);
		}
	} else if (parked.slot == LAB_NO_SLOT) {
		story_alloc(story, event);
	} else {
		lab_work_resize(story->work, parked.slot,
				story_size(story, event->size_bytes));
		story_put(story, event->address, parked.slot);
	}
}

static void story_event(struct story *story, uint32_t number,
			const struct record_event *event)
{
	uint32_t slot;
	switch (event->kind) {
	case RECORD_ALLOC:
		story_alloc(story, event);
		break;
	case RECORD_FREE:
		slot = story_drop(story, event->address);
		if (slot != LAB_NO_SLOT) {
			lab_work_free(story->work, slot);
		}
		break;
	case RECORD_RESIZE:
		story_park(story, number, event);
		break;
	case RECORD_RESIZED:
		story_resized(story, event);
		break;
	default:
		story->torn++;
		break;
	}
}

/* -------- the program -------- */

/* Memory that the program will map by name. NULL: errno says why. */
static struct record_memory *make_memory(int *file)
{
	*file = memfd_create("loam-record", MFD_CLOEXEC);
	for (uint32_t room = EVENTS_MOST; *file >= 0 && room >= EVENTS_LEAST;
	     room /= 2) {
		size_t bytes = sizeof(struct record_memory) +
			       (size_t)room * sizeof(struct record_event);
		if (ftruncate(*file, (off_t)bytes) != 0) {
			continue;
		}
		struct record_memory *memory =
			mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_NORESERVE, *file, 0);
		if (memory != MAP_FAILED) {
			memory->magic = RECORD_MAGIC;
			memory->room = room;
			return memory;
		}
	}
	return NULL;
}

/* The recorder lies beside the tool. False: it does not. */
static bool find_library(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size);
	if (length <= 0 || (size_t)length >= size) {
		return false;
	}
	path[length] = '\0';
	char *name = strrchr(path, '/');
	size_t left = size - (size_t)(name + 1 - path);
	if (left < sizeof(LIBRARY)) {
		return false;
	}
	memcpy(name + 1, LIBRARY, sizeof(LIBRARY));
	return access(path, R_OK) == 0;
}

/* In the child: the recorder comes first, before what else is preloaded. */
static void run_program(const char *library, int file, char **program)
{
	char value[8192];
	const char *others = getenv("LD_PRELOAD");
	snprintf(value, sizeof(value), "%s%s%s", library,
		 others != NULL ? ":" : "", others != NULL ? others : "");
	setenv("LD_PRELOAD", value, 1);
	snprintf(value, sizeof(value), "/proc/%ld/fd/%d", (long)getppid(),
		 file);
	setenv(RECORD_FILE, value, 1);
	snprintf(value, sizeof(value), "%ld", (long)getpid());
	setenv(RECORD_PID, value, 1);
	execvp(program[0], program);
	fprintf(stderr, "loam record: %s: %s\n", program[0], strerror(errno));
	_exit(127);
}

static void write_header(FILE *to, char **program, const struct lab_work *work)
{
	fputs("# recorded from:", to);
	for (; *program != NULL; program++) {
		putc(' ', to);
		for (const char *at = *program; *at != '\0'; at++) {
			putc(*at >= ' ' && *at <= '~' ? *at : '?', to);
		}
	}
	fprintf(to,
		"\n# %zu a, %zu f, %zu r; at most %zu blocks and %" PRIu64
		" bytes live\n",
		work->allocs, work->frees, work->resizes,
		work->peak_live_blocks, work->peak_live_bytes);
}

/* What is worth a word beside the trace. */
static void tell(const struct story *story, const struct record_memory *memory,
		 const char *name)
{
	fprintf(stderr, "loam record: %zu operations in %s\n",
		story->work->count, name);
	const struct {
		size_t count;
		const char *what;
	} notes[] = {
		{ story->unknown, "frees of blocks that it had not seen" },
		{ story->stale, "blocks whose free it did not see" },
		{ story->huge, "sizes of 4 GiB and more, cut" },
		{ story->torn, "calls under way when the program ended" },
		{ memory->next >= memory->room, "end of the room for events: "
						"what came later is missing" },
		{ memory->starts > 1 ? memory->starts - 1 : 0,
		  "programs before this one in the process, left out" },
	};
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		if (notes[i].count != 0) {
			fprintf(stderr, "loam record: %zu %s\n", notes[i].count,
				notes[i].what);
		}
	}
}

/* Writes the trace. False, and said: it could not. */
static bool write_story(const struct record_memory *memory, const char *name,
			FILE *to, char **program)
{
	struct lab_work work;
	struct story story = { .work = &work };
	uint32_t end =
		memory->next < memory->room ? memory->next : memory->room;
	lab_work_init(&work);
	for (uint32_t i = memory->first; i < end; i++) {
		story_event(&story, i, &memory->events[i]);
	}
	write_header(to, program, &work);
	lab_trace_write(to, &work);
	bool good = fflush(to) == 0 && ferror(to) == 0;
	if (!good) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
	} else {
		tell(&story, memory, name);
	}
	free(story.entries);
	free(story.parked);
	lab_work_fini(&work);
	return good;
}

static int record(const char *name, FILE *to, char **program)
{
	char library[4096];
	int file;
	int status = 0;
	if (!find_library(library, sizeof(library))) {
		fprintf(stderr, "loam record: there is no %s beside the tool\n",
			LIBRARY);
		return TOOL_FAILED;
	}
	struct record_memory *memory = make_memory(&file);
	if (memory == NULL) {
		fprintf(stderr, "loam record: no memory for events: %s\n",
			strerror(errno));
		return TOOL_FAILED;
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		run_program(library, file, program);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("loam record");
		return TOOL_FAILED;
	}
	bool started = !WIFEXITED(status) || WEXITSTATUS(status) != 127;
	if (memory->starts == 0) {
		if (started) {
			fprintf(stderr,
				"loam record: nothing was recorded: the "
				"program is static, privileged, or of another "
				"word size\n");
		}
		return started ? TOOL_FAILED : 127;
	}
	if (!write_story(memory, name, to, program)) {
		return TOOL_FAILED;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

int tool_record(int argc, char **argv)
{
	const char *name = NULL;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
			name = argv[++i];
			continue;
		}
		fprintf(stderr, "loam record: unexpected \"%s\"\n", argv[i]);
		return TOOL_USAGE;
	}
	if (name == NULL || i >= argc) {
		fprintf(stderr,
			"usage: loam record -o FILE -- PROGRAM ARGUMENTS\n");
		return TOOL_USAGE;
	}
	FILE *to = fopen(name, "w");
	if (to == NULL) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return TOOL_FAILED;
	}
	int status = record(name, to, argv + i);
	if (fclose(to) != 0) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return TOOL_FAILED;
	}
	return status;
}

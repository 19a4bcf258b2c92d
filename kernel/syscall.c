/* SPDX-License-Identifier: MIT */
/* The calls of programs: arguments from the user's stack, results to EAX. */

/*
 * Each call is a function of the process and its arguments, which have been
 * copied from the user's stack before: what the program changes there meanwhile
 * matters to nobody. Pointers among them are used by usercopy_in() and its kin
 * alone, addresses and sizes are judged by the floor below.
 */

#include <loam/mem.h>

#include "abi.h"
#include "console.h"
#include "kernel.h"
#include "process.h"
#include "usercopy.h"

#define CALL_ARGUMENTS_MOST 4u
#define CALL_WRITE_PIECE 256u
#define CALL_NAME_BYTES 128u
#define CALL_PROTS (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC)

struct call {
	long (*run)(struct process *process, const uintptr_t *arguments);
	uint32_t arguments;
};

static long call_exit(struct process *process, const uintptr_t *a)
{
	(void)process;
	process_exit(a[0] & 0xFFu);
}

static long call_write(struct process *process, const uintptr_t *a)
{
	char piece[CALL_WRITE_PIECE];
	uintptr_t length = a[1];
	uintptr_t done = 0;

	if (length > INT32_MAX) {
		return -LOAM_EINVAL;
	}
	while (done < length && process->ending == 0) {
		size_t part = length - done < sizeof(piece) ? length - done
							    : sizeof(piece);
		if (usercopy_in(piece, a[0] + done, part) != 0) {
			return done > 0 ? (long)done : -LOAM_EFAULT;
		}
		console_put(piece, part);
		done += part;
	}
	return (long)done;
}

static long call_getpid(struct process *process, const uintptr_t *a)
{
	(void)a;
	return process->pid;
}

static long call_getppid(struct process *process, const uintptr_t *a)
{
	(void)a;
	uintptr_t state = task_lock();
	int pid = process->parent != NULL ? process->parent->pid : 0;
	task_unlock(state);
	return pid;
}

/* Reads argv, a NULL-terminated array of strings. */
static int call_read_arguments(struct process_arguments *to, uintptr_t argv)
{
	char *text = kmalloc(ABI_ARGUMENT_BYTES);
	int error = text == NULL ? -LOAM_ENOMEM : 0;

	while (error == 0) {
		uintptr_t string;
		error = usercopy_in(&string, argv, sizeof(string));
		if (error != 0 || string == 0) {
			break;
		}
		long length = usercopy_string(text, string, ABI_ARGUMENT_BYTES);
		error = length == -LOAM_ERANGE ? -ABI_E2BIG
			: length < 0           ? (int)length
					       : process_add_argument(to, text);
		if (argv > UINTPTR_MAX - sizeof(string)) {
			error = -LOAM_EFAULT;
		}
		argv += sizeof(string);
	}
	kfree(text);
	return error;
}

/* The name comes first; argv[0], if there is one, is what the program sees. */
static long call_spawn(struct process *process, const uintptr_t *a)
{
	struct process_arguments *arguments = kzalloc(sizeof(*arguments));
	char name[CALL_NAME_BYTES];

	if (arguments == NULL) {
		return -LOAM_ENOMEM;
	}
	long result = usercopy_string(name, a[0], sizeof(name));
	if (result >= 0) {
		result = a[1] == 0 ? 0 : call_read_arguments(arguments, a[1]);
	}
	if (result == 0 && arguments->count == 0) {
		result = process_add_argument(arguments, name);
	}
	if (result == 0) {
		result = process_spawn(name, arguments, process, false);
	}
	kfree(arguments);
	return result;
}

static long call_fork(struct process *process, const uintptr_t *a)
{
	(void)process;
	(void)a;
	return process_fork();
}

static long call_wait(struct process *process, const uintptr_t *a)
{
	uint32_t status = 0;

	(void)process;
	/* Before a child is buried, so that its status is not lost. */
	if (a[1] != 0 && usercopy_out(a[1], &status, sizeof(status)) != 0) {
		return -LOAM_EFAULT;
	}
	long pid = process_wait((int)a[0], &status);
	if (pid > 0 && a[1] != 0 &&
	    usercopy_out(a[1], &status, sizeof(status)) != 0) {
		return -LOAM_EFAULT;
	}
	return pid;
}

static long call_sleep(struct process *process, const uintptr_t *a)
{
	uint64_t end = task_now() + 1 + a[0] / (1000 / ABI_HZ) +
		       (a[0] % (1000 / ABI_HZ) != 0 ? 1 : 0);

	while (process->ending == 0 && task_now() < end) {
		task_sleep(&process->space, end);
	}
	return process->ending != 0 ? -ABI_EINTR : 0;
}

static long call_kill(struct process *process, const uintptr_t *a)
{
	(void)process;
	return process_kill((int)a[0], ABI_END_KILL);
}

static long call_yield(struct process *process, const uintptr_t *a)
{
	(void)process;
	(void)a;
	task_yield();
	return 0;
}

static long call_ticks(struct process *process, const uintptr_t *a)
{
	(void)process;
	(void)a;
	return (long)(task_now() & INT32_MAX);
}

/* -------- memory -------- */

LOAM_STATIC_ASSERT(ABI_PROT_READ == LOAM_PROT_READ &&
			   ABI_PROT_WRITE == LOAM_PROT_WRITE &&
			   ABI_PROT_EXEC == LOAM_PROT_EXEC,
		   "protections are the library's");

/* A size in whole pages, at least as large; false for 0 and what wraps. */
static bool call_pages(uintptr_t size, size_t *out)
{
	*out = ((size_t)size + LOAM_PAGE_MASK) & ~(size_t)LOAM_PAGE_MASK;
	return size != 0 && *out >= size;
}

/*
 * The range that a call is about: whole pages of the user's from a page bound
 * on. 0, or -LOAM_EINVAL.
 */
static int call_range(uintptr_t start, uintptr_t size, size_t *pages)
{
	if ((start & LOAM_PAGE_MASK) != 0 || !call_pages(size, pages) ||
	    !spaces_is_user(start, *pages)) {
		return -LOAM_EINVAL;
	}
	return 0;
}

static long call_malloc(struct process *process, const uintptr_t *a)
{
	return (long)loam_proc_malloc(&process->space, a[0],
				      spaces_malloc_lazy);
}

static long call_free(struct process *process, const uintptr_t *a)
{
	loam_proc_free(&process->space, a[0]);
	return 0;
}

static long call_brk(struct process *process, const uintptr_t *a)
{
	uintptr_t end;
	int error = loam_proc_brk(&process->space, a[0], &end);

	return error != 0 ? error : (long)end;
}

static long call_mmap_shared(struct process *process,
			     struct loam_map_request *request, uintptr_t *start)
{
	struct loam_shared *shared =
		loam_shared_create(&spaces, request->size / LOAM_PAGE_SIZE);

	if (shared == NULL) {
		return -LOAM_ENOMEM;
	}
	request->kind = LOAM_REGION_SHARED;
	request->shared = shared;
	int error = loam_proc_map(&process->space, request, start);
	/* The region has a reference of its own. */
	loam_shared_put(shared);
	return error;
}

static long call_mmap(struct process *process, const uintptr_t *a)
{
	const uint32_t known =
		ABI_MAP_SHARED | ABI_MAP_FIXED | ABI_MAP_POPULATE;
	struct loam_map_request request = {
		.prot = (loam_prot_t)a[2],
		.kind = LOAM_REGION_ANONYMOUS,
	};
	bool fixed = (a[3] & ABI_MAP_FIXED) != 0;
	/* Most have no wish, and need not be told that 0 is none. */
	bool there = (a[0] != 0 || fixed) &&
		     call_range(a[0], a[1], &request.size) == 0;
	uintptr_t start;

	if (!call_pages(a[1], &request.size) || (a[2] & ~CALL_PROTS) != 0 ||
	    (a[3] & ~known) != 0 || (fixed && !there)) {
		return -LOAM_EINVAL;
	}
	request.flags =
		(fixed ? LOAM_REGION_FIXED : 0) |
		((a[3] & ABI_MAP_POPULATE) != 0 ? LOAM_REGION_POPULATE : 0);
	request.start = there ? a[0] : 0;
	long error = (a[3] & ABI_MAP_SHARED) != 0
			     ? call_mmap_shared(process, &request, &start)
			     : loam_proc_map(&process->space, &request, &start);
	return error != 0 ? error : (long)start;
}

static long call_munmap(struct process *process, const uintptr_t *a)
{
	size_t size;
	int error = call_range(a[0], a[1], &size);

	return error != 0 ? error
			  : loam_proc_unmap(&process->space, a[0], size);
}

static long call_mprotect(struct process *process, const uintptr_t *a)
{
	size_t size;
	int error = call_range(a[0], a[1], &size);

	if (error == 0 && (a[2] & ~CALL_PROTS) != 0) {
		error = -LOAM_EINVAL;
	}
	return error != 0 ? error
			  : loam_proc_protect(&process->space, a[0], size,
					      (loam_prot_t)a[2]);
}

static long call_mremap(struct process *process, const uintptr_t *a)
{
	uintptr_t start;
	size_t size;
	size_t new_size;
	int error = call_range(a[0], a[1], &size);

	if (error == 0 && (!call_pages(a[2], &new_size) ||
			   (a[3] & ~ABI_REMAP_MAYMOVE) != 0)) {
		error = -LOAM_EINVAL;
	}
	if (error == 0) {
		error = loam_proc_remap(&process->space, a[0], size, new_size,
					(a[3] & ABI_REMAP_MAYMOVE) != 0
						? LOAM_REMAP_MAY_MOVE
						: 0,
					&start);
	}
	return error != 0 ? error : (long)start;
}

static long call_madvise(struct process *process, const uintptr_t *a)
{
	size_t size;
	int error = call_range(a[0], a[1], &size);

	if (error == 0 && a[2] != ABI_ADVISE_DONTNEED &&
	    a[2] != ABI_ADVISE_WILLNEED) {
		error = -LOAM_EINVAL;
	}
	return error != 0 ? error
			  : loam_proc_advise(&process->space, a[0], size,
					     a[2] == ABI_ADVISE_WILLNEED
						     ? LOAM_ADVISE_WILL_NEED
						     : LOAM_ADVISE_DONT_NEED);
}

static long call_meminfo(struct process *process, const uintptr_t *a)
{
	struct loam_proc_stats stats;
	struct abi_meminfo info = { 0 };

	loam_proc_stats(&process->space, &stats);
	for (unsigned i = 0; i < LOAM_ZONE_COUNT; i++) {
		struct loam_zone_stats zone;
		loam_frame_zone_stats(&kernel.frames, (enum loam_zone_id)i,
				      &zone);
		info.total_pages += (uint32_t)zone.managed;
		info.free_pages += (uint32_t)zone.free;
	}
	info.resident_pages = (uint32_t)stats.resident_frames;
	info.mapped_pages = (uint32_t)(stats.address_bytes >> LOAM_PAGE_SHIFT);
	info.table_pages = (uint32_t)stats.tables;
	for (unsigned i = 0; i < LOAM_FAULT_KINDS; i++) {
		info.faults += (uint32_t)stats.faults[i];
	}
	return usercopy_out(a[0], &info, sizeof(info));
}

static const struct call calls[ABI_CALL_COUNT] = {
	[ABI_EXIT] = { call_exit, 1 },
	[ABI_WRITE] = { call_write, 2 },
	[ABI_GETPID] = { call_getpid, 0 },
	[ABI_MALLOC] = { call_malloc, 1 },
	[ABI_FREE] = { call_free, 1 },
	[ABI_SPAWN] = { call_spawn, 2 },
	[ABI_FORK] = { call_fork, 0 },
	[ABI_WAIT] = { call_wait, 2 },
	[ABI_BRK] = { call_brk, 1 },
	[ABI_MMAP] = { call_mmap, 4 },
	[ABI_MUNMAP] = { call_munmap, 2 },
	[ABI_MPROTECT] = { call_mprotect, 3 },
	[ABI_MREMAP] = { call_mremap, 4 },
	[ABI_SLEEP] = { call_sleep, 1 },
	[ABI_MEMINFO] = { call_meminfo, 1 },
	[ABI_KILL] = { call_kill, 1 },
	[ABI_YIELD] = { call_yield, 0 },
	[ABI_MADVISE] = { call_madvise, 3 },
	[ABI_GETPPID] = { call_getppid, 0 },
	[ABI_TICKS] = { call_ticks, 0 },
};

/* Runs it, or does not: no such call, or no arguments to be had. */
static long call_run(struct process *process, const struct trap_frame *frame)
{
	uintptr_t arguments[CALL_ARGUMENTS_MOST];
	uintptr_t number = trap_call_number(frame);

	if (number >= ABI_CALL_COUNT || calls[number].run == NULL) {
		return -ABI_ENOSYS;
	}
	const struct call *call = &calls[number];
	if (call->arguments != 0 &&
	    trap_call_arguments(frame, arguments, call->arguments) != 0) {
		/* What malloc returns is an address. */
		return number == ABI_MALLOC ? 0 : -LOAM_EFAULT;
	}
	return call->run(process, arguments);
}

void process_call(struct trap_frame *frame)
{
	trap_set_result(frame, call_run(process_current(), frame));
}

/* SPDX-License-Identifier: MIT */
/* The calls of programs: what each of them does. */

/*
 * Each call is a function of the process and its arguments, which have been
 * copied from the user before: what the program changes there meanwhile
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

struct call {
	long (*run)(struct process *process, const uintptr_t *arguments);
	uint32_t arguments;
};

static long call_exit(struct process *process, const uintptr_t *a)
{
	(void)process;
	process_exit((uint32_t)a[0] & 0xFFu);
}

static long call_write(struct process *process, const uintptr_t *a)
{
	char piece[CALL_WRITE_PIECE];
	size_t length = a[1];
	size_t done = 0;

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
		error = length == -LOAM_EINVAL ? -ABI_E2BIG
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

static const struct call calls[ABI_CALL_COUNT] = {
	[ABI_EXIT] = { call_exit, 1 },     [ABI_WRITE] = { call_write, 2 },
	[ABI_GETPID] = { call_getpid, 0 }, [ABI_SPAWN] = { call_spawn, 2 },
	[ABI_FORK] = { call_fork, 0 },     [ABI_WAIT] = { call_wait, 2 },
	[ABI_SLEEP] = { call_sleep, 1 },   [ABI_KILL] = { call_kill, 1 },
	[ABI_YIELD] = { call_yield, 0 },   [ABI_GETPPID] = { call_getppid, 0 },
	[ABI_TICKS] = { call_ticks, 0 },
};

void process_call(struct trap_frame *frame)
{
	uintptr_t arguments[CALL_ARGUMENTS_MOST];
	uintptr_t number = trap_call_number(frame);
	struct process *process = process_current();
	long result = -ABI_ENOSYS;

	if (number < ABI_CALL_COUNT && calls[number].run != NULL) {
		const struct call *call = &calls[number];
		result = trap_call_arguments(frame, arguments, call->arguments);
		if (result == 0) {
			result = call->run(process, arguments);
		}
	}
	trap_set_result(frame, result);
}

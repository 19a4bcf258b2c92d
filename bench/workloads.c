/* SPDX-License-Identifier: MIT */
/* Workloads for malloc, one a run: build/bench/workloads NAME [SCALE]. */

/*
 * Each follows a pattern that is known from the literature on allocators, and
 * is written anew. They use nothing but malloc and its kin, so that LD_PRELOAD
 * decides what is measured, write to what they allocate, and print a sum that
 * must be the same whatever the allocator.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long scale = 100; /* percent */

static unsigned long scaled(unsigned long count)
{
	return count * scale / 100 + 1;
}

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static unsigned pick(uint64_t *state, unsigned below)
{
	return (unsigned)((next(state) >> 32) * below >> 32);
}

/* A size whose logarithm is evenly spread over [2^low, 2^high). */
static size_t pick_size(uint64_t *state, unsigned low, unsigned high)
{
	unsigned exponent = low + pick(state, high - low);
	size_t base = (size_t)1 << exponent;
	return base + pick(state, (unsigned)base);
}

static void *must(void *block)
{
	if (block == NULL) {
		fputs("out of memory\n", stderr);
		exit(1);
	}
	return block;
}

/* Allocates and marks both ends. */
static unsigned char *take(size_t size, unsigned mark)
{
	unsigned char *block = must(malloc(size));
	block[0] = (unsigned char)mark;
	block[size - 1] = (unsigned char)mark;
	return block;
}

static void run_threads(unsigned count, void *(*body)(void *), void *args,
			size_t arg_size)
{
	pthread_t threads[16];
	for (unsigned i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, body,
				   (char *)args + i * arg_size) != 0) {
			exit(1);
		}
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
	}
}

/* -------- a server: objects outlive the thread that made them -------- */

#define SERVER_SLOTS 2000u

struct server {
	unsigned char *slots[SERVER_SLOTS];
	uint64_t seed;
	unsigned long requests;
	unsigned rounds;
	uint64_t sum;
};

static void *server_round(void *arg)
{
	struct server *server = arg;
	for (unsigned long i = 0; i < server->requests; i++) {
		unsigned n = pick(&server->seed, SERVER_SLOTS);
		if (server->slots[n] != NULL) {
			server->sum += server->slots[n][0];
			free(server->slots[n]);
		}
		server->slots[n] =
			take(8 + pick(&server->seed, 1000), (unsigned)i & 63);
	}
	return NULL;
}

/* Each round is a new thread, which inherits what the last one left. */
static void *server_rounds(void *arg)
{
	struct server *server = arg;
	for (unsigned i = 0; i < server->rounds; i++) {
		run_threads(1, server_round, server, sizeof(*server));
	}
	return NULL;
}

static uint64_t run_server(unsigned threads)
{
	struct server *servers = must(calloc(threads, sizeof(*servers)));
	uint64_t sum = 0;
	for (unsigned t = 0; t < threads; t++) {
		servers[t].seed = 88172645463325252u + t;
		servers[t].rounds = 20;
		servers[t].requests = scaled(300000);
	}
	run_threads(threads, server_rounds, servers, sizeof(*servers));
	for (unsigned t = 0; t < threads; t++) {
		sum += servers[t].sum;
	}
	return sum;
}

static uint64_t server1(void)
{
	return run_server(1);
}

static uint64_t server2(void)
{
	return run_server(2);
}

/* -------- a producer and a consumer -------- */

#define QUEUE_BATCHES 16u
#define QUEUE_BATCH 256u

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *batches[QUEUE_BATCHES][QUEUE_BATCH];
	unsigned long put;
	unsigned long got;
	unsigned long end;
	uint64_t sum;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER,
	    .changed = PTHREAD_COND_INITIALIZER };

static void produce(void)
{
	uint64_t seed = 4101842887655102017u;
	for (unsigned long n = 0; n < queue.end; n++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.put - queue.got == QUEUE_BATCHES) {
			pthread_cond_wait(&queue.changed, &queue.lock);
		}
		pthread_mutex_unlock(&queue.lock);
		void **batch = queue.batches[n % QUEUE_BATCHES];
		for (unsigned i = 0; i < QUEUE_BATCH; i++) {
			batch[i] = take(pick_size(&seed, 4, 9), i & 63);
		}
		pthread_mutex_lock(&queue.lock);
		queue.put++;
		pthread_cond_signal(&queue.changed);
		pthread_mutex_unlock(&queue.lock);
	}
}

static void consume(void)
{
	for (unsigned long n = 0; n < queue.end; n++) {
		pthread_mutex_lock(&queue.lock);
		while (queue.put == n) {
			pthread_cond_wait(&queue.changed, &queue.lock);
		}
		pthread_mutex_unlock(&queue.lock);
		void **batch = queue.batches[n % QUEUE_BATCHES];
		for (unsigned i = 0; i < QUEUE_BATCH; i++) {
			queue.sum += *(unsigned char *)batch[i];
			free(batch[i]);
		}
		pthread_mutex_lock(&queue.lock);
		queue.got++;
		pthread_cond_signal(&queue.changed);
		pthread_mutex_unlock(&queue.lock);
	}
}

static void *queue_side(void *arg)
{
	if (*(int *)arg == 0) {
		produce();
	} else {
		consume();
	}
	return NULL;
}

static uint64_t producer(void)
{
	int sides[2] = { 0, 1 };
	queue.end = scaled(20000);
	run_threads(2, queue_side, sides, sizeof(int));
	return queue.sum;
}

/* -------- false sharing -------- */

struct sharer {
	unsigned char *first; /* passive: made by the main thread */
	unsigned long rounds;
	uint64_t sum;
};

static void *share(void *arg)
{
	struct sharer *sharer = arg;
	free(sharer->first);
	for (unsigned long i = 0; i < sharer->rounds; i++) {
		volatile unsigned char *block = must(malloc(8));
		for (unsigned k = 0; k < 100; k++) {
			block[k % 8] = (unsigned char)(block[k % 8] + k);
		}
		block[0] = 1;
		sharer->sum += block[0];
		free((void *)(uintptr_t)block);
	}
	return NULL;
}

static uint64_t run_share(int passive)
{
	struct sharer sharers[2] = { { 0 }, { 0 } };
	for (unsigned t = 0; t < 2; t++) {
		sharers[t].first = passive ? take(8, t) : NULL;
		sharers[t].rounds = scaled(1500000);
	}
	run_threads(2, share, sharers, sizeof(sharers[0]));
	return sharers[0].sum + sharers[1].sum;
}

static uint64_t passive(void)
{
	return run_share(1);
}

static uint64_t active(void)
{
	return run_share(0);
}

/* -------- sizes, one after the other -------- */

#define SWEEP_LIVE 64u

static uint64_t sweep(void)
{
	unsigned char *live[SWEEP_LIVE];
	uint64_t sum = 0;
	for (unsigned long round = 0; round < scaled(24); round++) {
		for (size_t size = 1; size < 70000; size += size / 64 + 1) {
			for (unsigned i = 0; i < SWEEP_LIVE; i++) {
				live[i] = take(size, i);
			}
			for (unsigned i = 0; i < SWEEP_LIVE; i++) {
				sum += live[(i * 7) % SWEEP_LIVE][0];
				free(live[(i * 7) % SWEEP_LIVE]);
			}
		}
	}
	return sum;
}

/* -------- storms: phases that fill memory and let go of most of it -------- */

#define STORM_BLOCKS 60000u

struct storm {
	unsigned char **blocks;
	uint64_t seed;
	unsigned long phases;
	uint64_t sum;
};

static void storm_phase(struct storm *storm, unsigned low, unsigned high)
{
	for (unsigned i = 0; i < STORM_BLOCKS; i++) {
		if (storm->blocks[i] == NULL) {
			storm->blocks[i] = take(
				pick_size(&storm->seed, low, high), i & 63);
		}
	}
	for (unsigned i = 0; i < STORM_BLOCKS; i++) {
		if (pick(&storm->seed, 10) != 0) {
			storm->sum += storm->blocks[i][0];
			free(storm->blocks[i]);
			storm->blocks[i] = NULL;
		}
	}
}

static void *storm_run(void *arg)
{
	struct storm *storm = arg;
	storm->blocks = must(calloc(STORM_BLOCKS, sizeof(*storm->blocks)));
	for (unsigned long p = 0; p < storm->phases; p++) {
		unsigned low = 4 + (unsigned)(p % 4);
		storm_phase(storm, low, low + 4);
	}
	for (unsigned i = 0; i < STORM_BLOCKS; i++) {
		free(storm->blocks[i]);
	}
	free(storm->blocks);
	return NULL;
}

static uint64_t run_storm(unsigned threads)
{
	struct storm storms[2] = { { 0 }, { 0 } };
	for (unsigned t = 0; t < threads; t++) {
		storms[t].seed = 2463534242u + t;
		storms[t].phases = scaled(60);
	}
	run_threads(threads, storm_run, storms, sizeof(storms[0]));
	return storms[0].sum + storms[1].sum;
}

static uint64_t storm1(void)
{
	return run_storm(1);
}

static uint64_t storm2(void)
{
	return run_storm(2);
}

/* -------- large blocks -------- */

#define LARGE_LIVE 20u

static uint64_t large(void)
{
	unsigned char *live[LARGE_LIVE] = { NULL };
	uint64_t seed = 521288629u;
	uint64_t sum = 0;
	for (unsigned long i = 0; i < scaled(1500); i++) {
		unsigned n = pick(&seed, LARGE_LIVE);
		free(live[n]);
		size_t size = ((size_t)5 << 20) + pick(&seed, 20u << 20);
		live[n] = take(size, n);
		for (size_t at = 0; at < size; at += 4096) {
			live[n][at] = (unsigned char)i;
		}
		sum += live[n][0];
	}
	for (unsigned n = 0; n < LARGE_LIVE; n++) {
		free(live[n]);
	}
	return sum;
}

/* Buffers that grow: the other way to large blocks. */
static uint64_t growth(void)
{
	uint64_t seed = 362436069u;
	uint64_t sum = 0;
	for (unsigned long i = 0; i < scaled(400); i++) {
		size_t end = pick_size(&seed, 16, 24);
		size_t size = 64;
		unsigned char *block = take(size, 1);
		while (size < end) {
			size_t more = size + size / 2;
			block = must(realloc(block, more));
			memset(block + size, (int)(i & 63), more - size);
			size = more;
		}
		sum += block[size / 2];
		free(block);
	}
	return sum;
}

/* -------- trees -------- */

struct node {
	struct node *left;
	struct node *right;
	unsigned long value;
};

static struct node *tree_build(unsigned depth)
{
	struct node *node = must(malloc(sizeof(*node)));
	node->value = depth;
	node->left = depth == 0 ? NULL : tree_build(depth - 1);
	node->right = depth == 0 ? NULL : tree_build(depth - 1);
	return node;
}

static uint64_t tree_free(struct node *node)
{
	uint64_t sum = node->value;
	if (node->left != NULL) {
		sum += tree_free(node->left) + tree_free(node->right);
	}
	free(node);
	return sum;
}

static uint64_t trees(void)
{
	struct node *keep = tree_build(18);
	uint64_t sum = 0;
	for (unsigned long i = 0; i < scaled(8); i++) {
		for (unsigned depth = 4; depth <= 18; depth += 2) {
			for (unsigned n = 0; n < 1u << (18 - depth); n++) {
				sum += tree_free(tree_build(depth));
			}
		}
	}
	return sum + tree_free(keep);
}

/* -------- strings -------- */

#define STRING_SLOTS 40000u

static uint64_t strings(void)
{
	char **slots = must(calloc(STRING_SLOTS, sizeof(*slots)));
	uint64_t seed = 123456789u;
	uint64_t sum = 0;
	for (unsigned long i = 0; i < scaled(6000000); i++) {
		unsigned n = pick(&seed, STRING_SLOTS);
		if (slots[n] == NULL) {
			slots[n] = must(malloc(1 + pick(&seed, 40)));
			slots[n][0] = '\0';
		} else if (pick(&seed, 4) == 0) {
			size_t size = 2 + pick(&seed, 400);
			slots[n] = must(realloc(slots[n], size));
			slots[n][1] = 'x';
		} else {
			sum += (unsigned char)slots[n][0];
			free(slots[n]);
			slots[n] = NULL;
		}
	}
	for (unsigned n = 0; n < STRING_SLOTS; n++) {
		free(slots[n]);
	}
	free(slots);
	return sum;
}

/* -------- numbers: many short-lived small objects, last in first out ------ */

static uint64_t numbers(void)
{
	uint64_t seed = 686871u;
	uint64_t sum = 0;
	for (unsigned long i = 0; i < scaled(5000000); i++) {
		unsigned char *a = take(16 + pick(&seed, 32), i & 63);
		unsigned char *b = take(16 + pick(&seed, 32), i & 31);
		unsigned char *c = take(32 + pick(&seed, 64), i & 15);
		sum += (unsigned)a[0] + b[0] + c[0];
		free(b);
		free(a);
		free(c);
	}
	return sum;
}

/* -------- churn: a steady state of mixed sizes -------- */

#define CHURN_LIVE 20000u

static uint64_t run_churn(size_t above, unsigned range, unsigned long steps)
{
	unsigned char **live = must(calloc(CHURN_LIVE, sizeof(*live)));
	uint64_t seed = 1099511628211u;
	uint64_t sum = 0;
	for (unsigned long i = 0; i < steps; i++) {
		unsigned n = pick(&seed, CHURN_LIVE);
		if (live[n] != NULL) {
			sum += live[n][0];
			free(live[n]);
		}
		live[n] = take(above + pick(&seed, range), i & 63);
	}
	for (unsigned n = 0; n < CHURN_LIVE; n++) {
		free(live[n]);
	}
	free(live);
	return sum;
}

static uint64_t churn(void)
{
	return run_churn(16, 1008, scaled(10000000));
}

static uint64_t churn_wide(void)
{
	return run_churn(16, 16000, scaled(3000000));
}

/* -------- threads that come and go -------- */

static void *brief(void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	void *blocks[200];
	for (unsigned i = 0; i < 200; i++) {
		blocks[i] = take(pick_size(&seed, 4, 10), i & 63);
	}
	for (unsigned i = 0; i < 200; i++) {
		free(blocks[i]);
	}
	return NULL;
}

static uint64_t threads(void)
{
	uint64_t seeds[2] = { 7, 11 };
	for (unsigned long i = 0; i < scaled(4000); i++) {
		run_threads(2, brief, seeds, sizeof(seeds[0]));
	}
	return seeds[0] + seeds[1];
}

/* -------- for counting the instructions of malloc and free -------- */

/*
 * Two loops, each around malloc and free and around two functions that do
 * nothing, in STUB_INSTRUCTIONS together (bench.py): the difference is what
 * malloc and free execute, without calls and loop.
 */
static unsigned char stub_block[1024];

static __attribute__((noinline)) void *stub_get(size_t size)
{
	(void)size;
	return stub_block; /* lea, ret */
}

static __attribute__((noinline)) void stub_put(void *block)
{
	(void)block; /* ret */
}

typedef void *(*get_function)(size_t);
typedef void (*put_function)(void *);

/* Takes and gives back one size, again and again. */
static uint64_t count_pairs(get_function get, put_function put)
{
	unsigned long done = 0;
	while (done < scaled(1000000)) {
		put(get(64));
		done++;
	}
	return done;
}

/* Sizes of 16 to 1023 bytes, in random order. */
static uint64_t count_mixed(get_function get, put_function put)
{
	static void *live[2000];
	uint64_t seed = 1099511628211u;
	unsigned long done = 0;
	for (unsigned n = 0; n < 2000; n++) {
		live[n] = get(16 + pick(&seed, 1008));
	}
	while (done < scaled(1000000)) {
		unsigned n = pick(&seed, 2000);
		put(live[n]);
		live[n] = get(16 + pick(&seed, 1008));
		done++;
	}
	return done;
}

/* The compiler does not know which functions these are. */
static get_function volatile any_get;
static put_function volatile any_put;

static uint64_t count(int mixed, get_function get, put_function put)
{
	any_get = get;
	any_put = put;
	get = any_get;
	put = any_put;
	return mixed ? count_mixed(get, put) : count_pairs(get, put);
}

static uint64_t pairs(void)
{
	return count(0, malloc, free);
}

static uint64_t pairs_stub(void)
{
	return count(0, stub_get, stub_put);
}

static uint64_t mixed(void)
{
	return count(1, malloc, free);
}

static uint64_t mixed_stub(void)
{
	return count(1, stub_get, stub_put);
}

static const struct {
	const char *name;
	uint64_t (*run)(void);
} workloads[] = {
	{ "server1", server1 },       { "server2", server2 },
	{ "producer", producer },     { "passive", passive },
	{ "active", active },         { "sweep", sweep },
	{ "storm1", storm1 },         { "storm2", storm2 },
	{ "large", large },           { "growth", growth },
	{ "trees", trees },           { "strings", strings },
	{ "numbers", numbers },       { "churn", churn },
	{ "churn-wide", churn_wide }, { "threads", threads },
	{ "pairs", pairs },           { "pairs-stub", pairs_stub },
	{ "mixed", mixed },           { "mixed-stub", mixed_stub },
};

int main(int argc, char **argv)
{
	size_t count = sizeof(workloads) / sizeof(workloads[0]);
	if (argc > 2) {
		scale = strtoul(argv[2], NULL, 10);
	}
	for (size_t i = 0; i < count; i++) {
		if (argc > 1 && strcmp(argv[1], workloads[i].name) == 0) {
			printf("%llu\n",
			       (unsigned long long)workloads[i].run());
			return 0;
		}
	}
	for (size_t i = 0; i < count; i++) {
		puts(workloads[i].name);
	}
	return 1;
}

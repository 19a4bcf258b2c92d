#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs real programs on libloam-malloc, and compares what they say with what
# they say without it.
#
# usage: tests/malloc/real_programs.sh LIBRARY
#
# TAP on standard output. Anything the library reports (loam: ...) is a failure.
set -u
library=$(readlink -f "$1")
scripts=$(cd "$(dirname "$0")/../../scripts" && pwd)
. "$scripts/tap.sh"
scratch=$(mktemp -d) || exit 2
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$scratch"' EXIT
cd "$scratch" || exit 2

# same TITLE COMMAND...: the same output and status with and without.
same() {
	local title=$1
	shift
	"$@" >plain.out 2>plain.err </dev/null
	local plain=$?
	LD_PRELOAD=$library "$@" >loam.out 2>loam.err </dev/null
	local loam=$?
	{
		[ "$plain" -eq "$loam" ] || echo "status $plain, with Loam $loam"
		cmp plain.out loam.out
		grep -a -m5 'loam: ' loam.err
		[ "$loam" -eq 0 ] || tail -n 5 loam.err
	} >difference 2>&1
	tap "$title" "$(cat difference)"
}

cat >work.py <<'END'
import collections, hashlib, json, random, re, threading, zlib
random.seed(1)
rows = [{"id": i, "name": "n%d" % (i * 7919 % 10007), "tags": [i % 7] * 5} for i in range(20000)]
text = json.dumps(rows)
again = json.loads(text)
count = collections.Counter(r["name"][:3] for r in again)
words = re.findall(r"n\d+", text)
def work(out, n):
    out += [len(zlib.compress(text[i:i + 50000].encode())) for i in range(n, len(text), 400000)]
outs = [[] for _ in range(4)]
threads = [threading.Thread(target=work, args=(o, n)) for n, o in enumerate(outs)]
[t.start() for t in threads]; [t.join() for t in threads]
print(hashlib.sha256(text.encode()).hexdigest(), sorted(count.items()), len(words), outs)
END
cat >work.lua <<'END'
local parts, sum = {}, 0
for i = 1, 200000 do
	parts[#parts + 1] = { name = "k" .. (i * 7919 % 1009), value = i }
	if #parts > 5000 then parts = {} end
	sum = sum + #parts
end
local text = {}
for i = 1, 30000 do text[i] = string.rep(tostring(i), i % 20) end
print(sum, #table.concat(text), collectgarbage("count") > 0)
END
cat >work.sql <<'END'
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<60000)
INSERT INTO t SELECT x, hex(x*7919), x/3.0 FROM n;
CREATE INDEX i ON t(b);
SELECT count(*), sum(length(b)), max(c) FROM t;
SELECT substr(b,1,2) AS p, count(*) FROM t GROUP BY p ORDER BY p;
DELETE FROM t WHERE a%3=0;
SELECT count(*) FROM t a JOIN t b ON a.b=b.b;
PRAGMA integrity_check;
END
cat >work.cc <<'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() {
	std::map<std::string, std::vector<int>> m;
	for (int i = 0; i < 1000; i++) m[std::to_string(i % 37)].push_back(i);
	std::regex r("[0-9]+(a|b)*");
	for (auto &e : m) std::cout << e.first << std::regex_match(e.first, r) << '\n';
}
END

LD_PRELOAD=$library grep -c libloam-malloc /proc/self/maps >loaded
tap "the library is in the programs that follow" \
	"$([ "$(cat loaded)" -gt 0 ] || echo "it is not loaded")"

same "python3, its own arenas and four threads" python3 work.py
same "python3, malloc for everything" env PYTHONMALLOC=malloc PYTHONHASHSEED=1 \
	python3 work.py
same "lua5.4" lua5.4 work.lua
same "sqlite3" sqlite3 :memory: ".read work.sql"
same "gcc -O2" gcc -O2 -S -o - "$scripts/../src/frame/buddy.c" \
	-I "$scripts/../include" -ffreestanding -std=c17
same "g++ -O2" g++ -O2 -S -o - work.cc

LD_PRELOAD=$library stress-ng --malloc 2 --malloc-ops 4000 --malloc-bytes 64M \
	--malloc-pthreads 2 --verify --metrics-brief >stress.out 2>&1
status=$?
tap "stress-ng's malloc stressor, verifying" "$(
	[ "$status" -eq 0 ] || { echo "status $status"; cat stress.out; }
	grep -a 'loam: ' stress.out
)"

# Where the shadow would lie is taken before malloc is called for the first
# time: a library that is begun before the others takes all of it.
cat >occupy.c <<'END'
#include <stdlib.h>
#include <sys/mman.h>
#define AT ((char *)0x70000000000)
#define SIZE 0x10000000000
__attribute__((constructor)) static void occupy(void)
{
	if (mmap(AT, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			MAP_FIXED_NOREPLACE, -1, 0) != AT) {
		_Exit(3);
	}
}
END
cat >place.c <<'END'
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void)
{
	char *small = malloc(100), *large = malloc(1000000);
	memset(small, 1, 100);
	memset(large, 1, 1000000);
	puts((uintptr_t)small >> 44 < 7 ? "elsewhere" : "the usual place");
	free(large);
	free(small);
	return 0;
}
END
gcc -shared -fPIC -o occupy.so occupy.c && gcc -o place place.c
LD_PRELOAD=$library ./place >place.out 2>&1
LD_PRELOAD="$library $scratch/occupy.so" ./place >moved.out 2>&1
tap "the place of the shadow is taken" "$(
	[ "$(cat place.out)" = "the usual place" ] || cat place.out
	[ "$(cat moved.out)" = elsewhere ] || cat moved.out
)"

# redis: a server on a socket of its own, one round of its benchmark.
LD_PRELOAD=$library redis-server --port 0 --unixsocket "$scratch/redis" --save '' \
	--appendonly no --io-threads 2 >redis.log 2>&1 &
server=$!
for _ in $(seq 100); do
	redis-cli -s redis ping >pong 2>/dev/null && break
	sleep 0.1
done
redis-benchmark -s redis -q -n 4000 -r 4000 -d 100 \
	-t set,get,lpush,lpop,sadd,hset,zadd,lrange_100,mset >bench.out 2>&1
status=$?
redis-cli -s redis eval "for i=1,20000 do redis.call('set','k'..i,string.rep('x',i%300)) end
	return redis.call('strlen','k299')" 0 >eval.out 2>&1
redis-cli -s redis memory purge >purge.out 2>&1
redis-cli -s redis dbsize >dbsize.out 2>&1
redis-cli -s redis shutdown nosave 2>/dev/null
wait "$server"
ended=$?
server=
tap "redis-server under redis-benchmark" "$(
	[ "$status" -eq 0 ] || { echo "benchmark: $status"; cat bench.out; }
	[ "$ended" -eq 0 ] || { echo "server: $ended"; tail -n 20 redis.log; }
	[ "$(cat eval.out)" = 299 ] || cat eval.out
	grep -a 'loam: ' redis.log
)"

tap_end

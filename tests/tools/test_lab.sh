#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests loam lab: its figures, its traces, and what it says of bad input.
# usage: tests/tools/test_lab.sh LOAM (TAP on standard output)
set -u
loam=${1:?usage: test_lab.sh path of the loam tool}
cd "$(dirname "$0")/../.." || exit 2
. scripts/tap.sh
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
small="--objects 300 --pairs 1500 --rounds 1"

# lab ARGUMENTS: runs it; leaves status, $tmp/out and $tmp/err.
lab()
{
	"$loam" lab "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
}

# expect CONDITION WORDS...: nothing if the test's words are true, or the words.
expect()
{
	[ "$@" ] || echo "not so: $* ($(tail -n 3 "$tmp/err"))"
}

# json FILE... CODE: runs Python on the objects a, b, ... of the files.
json()
{
	python3 - "$@" 2>&1 <<'END'
import json, sys
names = sys.argv[1:-1]
for letter, name in zip("abc", names):
	globals()[letter] = json.load(open(name))
def heap(o, name):
	return next(h for h in o["heaps"] if h["name"] == name)
exec(sys.argv[-1])
END
}

# -------- the table

"$loam" lab --list >"$tmp/list"
heaps=$(sed -n '/^heaps:/,/^workloads:/s/^  \([a-z:]*\) .*/\1/p' "$tmp/list")
workloads=$(sed -n '/^workloads:/,$s/^  \([a-z]*\) .*/\1/p' "$tmp/list")
tap "the heaps and workloads are listed" "$(
	expect "$(echo "$heaps" | wc -l)" -ge 9)$(
	expect "$(echo "$workloads" | wc -l)" -eq 8)"
for workload in $workloads; do
	lab $small --workload "$workload"
	tap "$workload: a row for each heap, and nothing is amiss" "$(
		expect "$status" -eq 0)$(cat "$tmp/err")$(
		for heap in $heaps; do
			grep -qE "^$heap .*([0-9]|not run)" "$tmp/out" ||
				echo "no row for $heap"
		done)"
done
lab $small --heaps list:next,bestfit
tap "only the heaps that are asked for, and TLSF" "$(
	expect "$(sed -n '/^heap /,/^$/p' "$tmp/out" | awk '{ print $1 }' |
		tr '\n' ' ')" = "heap list:next bestfit tlsf  ")"

# -------- figures

printf 'a 1 100\na 2 200\nr 1 50\nf 2\na 3 5000\nf 1\n' >"$tmp/few"
lab --json "$tmp/a" --samples 6 "$tmp/few"
tap "a trace of six lines is counted, sampled and shown as it is" "$(
	expect "$status" -eq 0
	json "$tmp/a" '
w = heap(a, "tlsf")["work"]
assert (w["operations"], w["allocs"], w["frees"], w["resizes"]) == (6, 3, 2, 1), w
assert (w["peak_live_bytes"], w["peak_at"], w["peak_live_blocks"]) == (5050, 4, 2), w
births = a["births"]
assert births["born_after"] == [0, 1, 1, 2], births
assert births["life"] == [2, 2, 3, -1] and births["asked"] == [100, 200, 50, 5000]
for h in a["heaps"]:
	if h["name"] == "pages":
		# It has no block of 5000 bytes, and says so.
		assert h["memory"]["failed"] == 1, h["memory"]
		assert h["blocks"]["unit"][3] == -1
		continue
	s = [x["asked"] for x in h["samples"]]
	assert s == [100, 300, 250, 50, 5050, 5000], (h["name"], s)
	assert h["memory"]["failed"] == 0')"
lab --json "$tmp/a" $small
tap "what the blocks have, their headers and what is free make up the pages" "$(
	json "$tmp/a" '
for h in a["heaps"]:
	for s in h["samples"]:
		assert s["asked"] <= s["usable"], (h["name"], s)
		if h["name"] != "glibc":
			assert s["usable"] + s["header"] <= s["mapped"], (h["name"], s)
			if h["name"] != "slab":
				assert sum(s["pages"][1::2]) == s["mapped"], (h["name"], s)
	m = h["memory"]
	assert m["peak_mapped"] == 0 or m["peak_mapped"] >= m["peak"]["mapped"]
	assert m["sound"] and m["corrupted"] == 0')"
tap "no two live blocks share a byte, in any heap, at any sample" "$(
	json "$tmp/a" '
born, at = [], 0
for d in a["births"]["born_after"]:
	at += d
	born.append(at)
asked, life = a["births"]["asked"], a["births"]["life"]
for h in a["heaps"]:
	unit, waste = h["blocks"]["unit"], h["blocks"]["waste"]
	for s in h["samples"][::10]:
		live = sorted((unit[i] * 16, unit[i] * 16 + asked[i] + waste[i])
			for i in range(len(born)) if born[i] <= s["op"]
			and (life[i] < 0 or born[i] + life[i] > s["op"]))
		assert len(live) == s["blocks"], (h["name"], len(live), s["blocks"])
		for (x, end), (y, _) in zip(live, live[1:]):
			assert end <= y, (h["name"], x, end, y)')"
lab --workload robson --objects 3000 --rounds 1 --heaps list:first,bestfit \
	--json "$tmp/a"
tap "but for the library's malloc, whose addresses change, none is left out" "$(
	"$loam" lab $small --workload robson | grep 'not run' | grep -v '^glibc ')"
tap "Robson's adversary makes every one of them take three times the bytes" "$(
	json "$tmp/a" '
for h in a["heaps"]:
	assert h["memory"]["overhead"] > 3, (h["name"], h["memory"]["overhead"])
	assert h["memory"]["overhead"] < 6')"
lab --window 4M --objects 3000 --pairs 3000 --rounds 1 --json "$tmp/a"
tap "too small a window: failures are counted, and every heap stays sound" "$(
	expect "$status" -eq 0
	json "$tmp/a" '
assert heap(a, "block")["memory"]["failed"] > 1000
assert heap(a, "tlsf")["memory"]["failed"] == 0')"

# -------- traces

lab $small --workload random --seed 5 --write "$tmp/trace" --json "$tmp/a"
lab --rounds 1 --json "$tmp/b" "$tmp/trace" --window 64M
tap "a workload that is written and read again gives the same figures" "$(
	expect "$status" -eq 0
	json "$tmp/a" "$tmp/b" '
assert a["births"] == b["births"]
for h in a["heaps"]:
	if h["name"] != "glibc":
		other = heap(b, h["name"])
		for key in ("memory", "samples", "blocks"):
			assert h[key] == other[key], (h["name"], key)')"
lab $small --workload random --seed 5 --write "$tmp/again" --heaps tlsf
lab $small --workload random --seed 6 --write "$tmp/other" --heaps tlsf
tap "a seed says which operations" "$(
	cmp "$tmp/trace" "$tmp/again" 2>&1
	cmp -s "$tmp/trace" "$tmp/other" && echo "seeds 5 and 6 are alike")"
for packer in xz zstd gzip; do
	command -v $packer >/dev/null || continue
	$packer -c -q <"$tmp/trace" >"$tmp/packed"
	lab --rounds 1 --heaps tlsf "$tmp/packed"
	tap "a trace packed with $packer" "$(expect "$status" -eq 0)$(
		expect "$(sed -n 2p "$tmp/out" | cut -d' ' -f1)" -eq 3000)"
done
head -c 300 "$tmp/packed" >"$tmp/cut"
lab "$tmp/cut"
tap "a packed trace that was cut off" "$(expect "$status" -eq 1)$(
	expect "$(grep -c 'cannot unpack it' "$tmp/err")" -eq 1)"
"$loam" lab --rounds 1 --heaps tlsf - <"$tmp/trace" >"$tmp/out" 2>"$tmp/err"
tap "a trace from standard input" "$(expect $? -eq 0)"

cat >"$tmp/bad" <<'END'
# a comment, and an empty line

a 1 100 # comment
b 1 100
a
a x 100
a 2
a 2 0
a 2 -5
a 2 4294967296
a 2 99999999999999999999
a 1 50
a 2 30 40
f 3
f
f 1 1
r 9 10
r 1
alloc 5 5
	a	7   80
r 1 250
f 1
f 1
END
lab "$tmp/bad" --rounds 1
cat >"$tmp/wanted" <<END
$tmp/bad:4: an operation is a, f or r, not: "b"
$tmp/bad:5: there is no ID
$tmp/bad:6: the ID is not a number: "x"
$tmp/bad:7: there is no size
$tmp/bad:8: the size is 0
$tmp/bad:9: the size is not a number: "-5"
$tmp/bad:10: the size needs more than 32 bits: "4294967296"
$tmp/bad:11: the size needs more than 64 bits: "99999999999999999999"
$tmp/bad:12: block 1 is live, from line 3 on
$tmp/bad:13: there is more behind the size: "40"
$tmp/bad:14: block 3 is not live
$tmp/bad:15: there is no ID
$tmp/bad:16: there is more behind the ID: "1"
$tmp/bad:17: block 9 is not live
$tmp/bad:18: there is no size
$tmp/bad:19: an operation is a, f or r, not: "alloc"
$tmp/bad:23: block 1 is not live
END
tap "each broken line is named with its reason" \
	"$(diff "$tmp/wanted" "$tmp/err")"
tap "the others count, the table is there, and the status tells" "$(
	expect "$status" -eq 1)$(
	expect "$(sed -n 2p "$tmp/out" | cut -d" " -f1-8)" = \
		"4 operations (2 a, 1 f, 1 r),")$(
	expect "$(grep -c '^tlsf .*[0-9]' "$tmp/out")" -eq 1)"

count=0
for trace in traces/*.trace.xz; do
	count=$((count + 1))
	lab --rounds 1 --heaps bestfit,slab --json "$tmp/a" --samples 10 "$trace"
	tap "$trace: every line is good, every heap holds it" "$(
		expect "$status" -eq 0)$(cat "$tmp/err")$(
		json "$tmp/a" '
for h in a["heaps"]:
	assert h["memory"]["failed"] == 0 and h["work"]["operations"] > 30000')"
done
tap "six traces are shipped, in less than 3 MB" "$(expect "$count" -eq 6)$(
	expect "$(cat traces/*.xz | wc -c)" -lt 3000000)"

# -------- for people and for machines

tap "without a terminal nothing is said of progress" "$(cat "$tmp/err")"
if command -v script >/dev/null; then
	script -qec "$loam lab --objects 2000 --pairs 20000 --heaps list:best" \
		"$tmp/typescript" >/dev/null 2>&1 </dev/null
	tap "on a terminal it is" "$(
		expect "$(grep -c 'list:best, [0-9]* %' "$tmp/typescript")" -ge 1)"
fi
if [ -w /dev/full ]; then
	"$loam" lab $small --heaps tlsf --json /dev/full >/dev/null 2>"$tmp/err"
	tap "a file that cannot be written is a failure" "$(expect $? -eq 1)$(
		expect "$(grep -c '/dev/full: No space' "$tmp/err")" -eq 1)"
fi
lab --help
tap "help" "$(expect "$status" -eq 0)$(
	expect "$(grep -c '^  --workload NAME' "$tmp/out")" -eq 1)"

# bad STATUS TEXT ARGUMENTS...: refused with this status and message.
bad()
{
	wanted=$1 text=$2
	shift 2
	lab "$@"
	tap "refused: lab $*" "$(expect "$status" -eq "$wanted")$(
		expect "$(grep -cF -- "$text" "$tmp/err")" -eq 1)$(
		expect ! -s "$tmp/out")"
}
bad 2 'there is no option "--frob"' --frob
bad 2 '--seed needs a value' --seed
bad 2 'there is no heap "frob"' --heaps tlsf,frob
bad 2 'there is no workload "frob"' --workload frob
bad 2 '--size is the smallest and the largest, like 16-4096, not "9-5"' --size 9-5
bad 2 '--size is the smallest and the largest, like 16-4096, not "0-5"' --size 0-5
bad 2 '--size is the smallest and the largest, like 16-4096, not "16"' --size 16
bad 2 '--objects is a number from 1 to 10000000, not "0"' --objects 0
bad 2 '--objects is a number from 1 to 10000000, not "1x"' --objects 1x
bad 2 '--rounds is a number from 1 to 100, not "101"' --rounds 101
bad 2 '--window is a size from 1M to' --window 5
bad 2 '--seed is a number of 64 bits, not "99999999999999999999"' \
	--seed 99999999999999999999
bad 2 'one trace at a time' one two
bad 2 'a trace has its own workload' --pairs 5 "$tmp/few"
bad 1 'No such file or directory' "$tmp/none"
bad 1 'Is a directory' "$tmp"
bad 1 'there is no operation in it' /dev/null
tap_end

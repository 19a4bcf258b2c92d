#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-recursion.sh finds direct, mutual and indirect recursion.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-recursion.sh

put include/loam/types.h <<-C
	static inline int twice(int n) { return 2 * n; }
C
put src/base/good.c <<-C
	#include <loam/types.h>
	static int leaf(int n) { return n; }
	int loam_good(int n) { return n ? leaf(n) + leaf(n + 1) : twice(n); }
C
put src/slab/slab.c <<-C
	int loam_good(int n);
	static int step(int n) { return loam_good(n); }
	static int (*const steps[])(int) = { step };
	int loam_walk(int (*visit)(int), int n) { return visit(n) + steps[n](n); }
C
passes "a library without recursion is accepted" "$check" "$tree"

put src/base/bad.c <<-C
	int loam_bad(int n) { return n ? n * loam_bad(n - 1) : 1; }
C
rejects "a function that calls itself" "loam_bad -> loam_bad" "$check" "$tree"

put src/base/bad.c <<-C
	static int even(int n);
	static int odd(int n) { return n ? even(n - 1) : 0; }
	static int even(int n) { return n ? odd(n - 1) : 1; }
	int loam_bad(int n) { return odd(n); }
C
rejects "static functions that call each other" "even -> src/base/bad.c:odd" \
	"$check" "$tree"

put src/base/bad.c <<-C
	int loam_worse(int n);
	int loam_bad(int n) { return n ? loam_worse(n - 1) : 0; }
C
put src/slab/bad.c <<-C
	int loam_bad(int n);
	int loam_worse(int n) { return n ? loam_bad(n - 1) : 0; }
C
rejects "a cycle across two files" "loam_worse -> loam_bad" "$check" "$tree"
rm "$tree/src/slab/bad.c"

put src/base/bad.c <<-C
	struct ops { int (*call)(int); };
	int loam_bad(const struct ops *ops, int n);
	static int back(int n);
	static const struct ops table = { back };
	int loam_bad(const struct ops *ops, int n) { return ops->call(n); }
	static int back(int n) { return n ? loam_bad(&table, n - 1) : 0; }
	int loam_start(int n) { return back(n); }
C
rejects "a cycle through a table of functions" "loam_bad -> src/base/bad.c:back" \
	"$check" "$tree"

put scripts/indirect-calls <<-C
	# what is behind the table
	loam_bad: host
C
passes "a claim that the pointer leads out of the library is taken" \
	"$check" "$tree"

put scripts/indirect-calls <<-C
	loam_bad: back
	never back loam_bad
C
passes "a call that is said to close no cycle is taken out" "$check" "$tree"

put scripts/indirect-calls <<-C
	loam_bad: host
	never loam_good loam_bad
C
rejects "a claim about a call that is not there" \
	"loam_good does not call loam_bad" "$check" "$tree"

put scripts/indirect-calls <<-C
	loam_bad: back loam_good
C
rejects "a claim that names the function on the cycle" \
	"loam_bad -> src/base/bad.c:back" "$check" "$tree"

put scripts/indirect-calls <<-C
	loam_bad: host
	loam_gone: host
C
rejects "a claim about a function that is gone" "loam_gone" "$check" "$tree"

put scripts/indirect-calls <<-C
	loam_bad: loam_nobody
C
rejects "a claim whose target is gone" "loam_nobody" "$check" "$tree"

put scripts/indirect-calls <<-C
	loam_bad: host
	loam_good: host
C
rejects "a claim about a function without calls through pointers" \
	"loam_good" "$check" "$tree"
rm "$tree/scripts/indirect-calls"

put src/base/bad.c <<-C
	this is not C
C
rejects "a source that does not compile" "src/base/bad.c" "$check" "$tree"
tap_end

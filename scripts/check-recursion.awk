# SPDX-License-Identifier: MIT
# Finds cycles in a call graph; see check-recursion.sh.
#
# Reads lines of these kinds:
#   claim CALLER: TARGET...       all that a function reaches through pointers;
#                                 names are bare or FILE.c:NAME, `host` is
#                                 anything outside the library
#   claim never CALLER CALLEE     this call closes no cycle
#   address SOURCE SYMBOL         a function's address is taken
#   edge SOURCE ..., node ...     as gcc writes them
# Prints `cycle FROM -> TO` for each call on a cycle or between two, `note ...`
# for each function that calls through pointers without a claim, `claim ...` for
# claims about what is not there.

function add_edge(from, to)
{
	if (!((from, to) in edge)) {
		edge[from, to] = 1
		callers[to] = callers[to] " " from
		callees[from] = callees[from] " " to
		out_degree[from]++
		in_degree[to]++
	}
}

# A function's name without the file that gcc puts before static ones.
function bare(node)
{
	sub(/.*:/, "", node)
	return node
}

# Adds what a claim says that a function reaches.
function add_claimed(from, name,    list, n, i)
{
	if (name == "host") {
		return
	}
	if (!(name in named)) {
		print "claim " bare(from) ": no function " name
	}
	n = split(named[name], list, " ")
	for (i = 1; i <= n; i++) {
		add_edge(from, list[i])
	}
}

# The text between the quotes that follow key.
function field(key,    text)
{
	text = $0
	if (!sub(".*" key ": \"", "", text)) {
		return ""
	}
	sub(/".*/, "", text)
	return text
}

# Removes nodes without outgoing (or incoming) edges until there are none.
function prune(degree, next_degree, neighbours, others,
	       queue, head, tail, node, list, n, i)
{
	head = tail = 0
	for (node in nodes) {
		if (!(node in gone) && degree[node] + 0 == 0) {
			gone[node] = 1
			queue[tail++] = node
		}
	}
	while (head < tail) {
		node = queue[head++]
		n = split(neighbours[node], list, " ")
		for (i = 1; i <= n; i++) {
			if (!(list[i] in gone) && --degree[list[i]] == 0) {
				gone[list[i]] = 1
				queue[tail++] = list[i]
			}
		}
		n = split(others[node], list, " ")
		for (i = 1; i <= n; i++) {
			next_degree[list[i]]--
		}
	}
}

$1 == "claim" && $2 == "never" {
	never[$3, $4] = 1
	next
}

$1 == "claim" && NF > 1 {
	caller = $2
	sub(/:$/, "", caller)
	claimed[caller] = ""
	for (i = 3; i <= NF; i++) {
		claimed[caller] = claimed[caller] " " $i
	}
}

$1 == "node" {
	node = field("title")
	nodes[node] = 1
	named[bare(node)] = named[bare(node)] " " node
	path = node
	if (sub(/.*\//, "", path)) {
		named[path] = node
	}
}

$1 == "edge" {
	from = field("sourcename")
	to = field("targetname")
	if (to == "__indirect_call") {
		indirect[from] = 1
	} else if ((bare(from), bare(to)) in never) {
		cut[bare(from), bare(to)] = 1
	} else {
		add_edge(from, to)
	}
}

$1 == "address" {
	symbol = $3
	# A static function is named by its section; it may not be one.
	if (sub(/^\.text\./, "", symbol)) {
		symbol = $2 ":" symbol
	}
	taken[symbol] = 1
}

END {
	delete nodes["__indirect_call"]
	for (caller in claimed) {
		if (!(caller in named)) {
			print "claim " caller ": no such function"
		}
	}
	for (from in indirect) {
		if (bare(from) in claimed) {
			n = split(claimed[bare(from)], targets, " ")
			for (i = 1; i <= n; i++) {
				add_claimed(from, targets[i])
			}
			continue
		}
		print "note " from " may call any function whose address is taken"
		for (to in taken) {
			if (to in nodes) {
				add_edge(from, to)
			}
		}
	}
	for (caller in claimed) {
		n = split(named[caller], list, " ")
		found = n == 0
		for (i = 1; i <= n; i++) {
			found = found || (list[i] in indirect)
		}
		if (!found) {
			print "claim " caller ": calls nothing through a pointer"
		}
	}
	for (pair in never) {
		if (!(pair in cut)) {
			split(pair, ends, SUBSEP)
			print "claim " ends[1] " does not call " ends[2]
		}
	}
	# Callees outside the library call nothing back.
	prune(out_degree, in_degree, callers, callees)
	prune(in_degree, out_degree, callees, callers)
	for (pair in edge) {
		split(pair, ends, SUBSEP)
		if (!(ends[1] in gone) && !(ends[2] in gone)) {
			print "cycle " ends[1] " -> " ends[2]
		}
	}
}

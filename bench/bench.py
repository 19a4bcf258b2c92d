#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Measures Loam against other allocators: a table, JSON, an HTML page.
"""What main() says on --help.

usage: bench/bench.py [--runs N] [--only NAME,...] [--no-frames] [--no-heaps]

Runs are interleaved: each workload once on every allocator, then again, and the
medians are compared. CPU time is user and system time. Memory is the peak of
resident memory. Machines drift, so only ratios within one session mean much.
"""

import argparse
import html
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
OURS = "loam"
PEERS = {
	"glibc": "",
	"jemalloc": "libjemalloc.so.2",
	"mimalloc": "libmimalloc.so.2",
	"tcmalloc": "libtcmalloc_minimal.so.4",
	OURS: os.path.join(BUILD, "libloam-malloc.so"),
}
WORKLOADS = ["server1", "server2", "producer", "passive", "active", "sweep", "storm1",
			 "storm2", "large", "growth", "trees", "strings", "numbers", "churn",
			 "churn-wide", "threads"]
PYTHON = """
import json
rows = [{"id": i, "name": str(i) * 3, "tags": [i] * 8} for i in range(60000)]
print(len(json.dumps(json.loads(json.dumps(rows)))))
"""
LUA = """
local sum, keep = 0, {}
for i = 1, 3000000 do keep[i % 5000] = { i, tostring(i) }; sum = sum + #keep end
print(sum)
"""
SQL = """
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<200000)
INSERT INTO t SELECT x, hex(x*7919) FROM n;
CREATE INDEX i ON t(b);
SELECT substr(b,1,3) AS p, count(*), max(a) FROM t GROUP BY p ORDER BY p;
"""


def commands(scratch):
	"""Every workload as (name, command)."""
	for name in WORKLOADS:
		yield name, [os.path.join(BUILD, "bench", "workloads"), name]
	texts = {"work.py": PYTHON, "work.lua": LUA, "work.sql": SQL}
	for name, text in texts.items():
		with open(os.path.join(scratch, name), "w") as file:
			file.write(text)
	yield "python3", ["env", "PYTHONMALLOC=malloc", sys.executable,
					  os.path.join(scratch, "work.py")]
	yield "lua5.4", ["lua5.4", os.path.join(scratch, "work.lua")]
	yield "sqlite3", ["sqlite3", ":memory:", ".read " + os.path.join(scratch, "work.sql")]
	yield "gcc -O2", ["gcc", "-O2", "-std=c17", "-ffreestanding", "-I", ROOT + "/include",
					  "-S", "-o", "/dev/null", ROOT + "/src/heap/list.c"]


def library(name):
	path = PEERS[name]
	if not path or os.path.isabs(path):
		return path
	for line in subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True,
							   text=True).stdout.splitlines():
		if line.strip().startswith(path + " "):
			return line.split("=> ")[1]
	sys.exit("bench: %s is not installed" % path)


def measure(command, preload, scratch):
	"""CPU seconds and peak KiB of one run, and what it printed."""
	file = os.path.join(scratch, "cost")
	run = subprocess.run([os.path.join(BUILD, "bench", "measure"), file] + command,
						 env=dict(os.environ, MEASURE_PRELOAD=preload),
						 capture_output=True)
	if run.returncode != 0:
		sys.exit("bench: %s failed with %s: %s" % (command, preload, run.stderr.decode()))
	with open(file) as lines:
		user, system, _, peak = map(float, lines.read().split())
	return user + system, peak, run.stdout


def measure_all(runs, only, libraries, scratch):
	rows = []
	for name, command in commands(scratch):
		if only and name not in only:
			continue
		seen = {peer: [] for peer in libraries}
		outputs = set()
		for _ in range(runs):
			for peer, preload in libraries.items():
				cpu, peak, output = measure(command, preload, scratch)
				seen[peer].append((cpu, peak))
				outputs.add(output)
		if len(outputs) != 1:
			sys.exit("bench: %s prints different things on different allocators" % name)
		rows.append({"name": name, "peers": {
			peer: {"cpu_s": statistics.median(c for c, _ in values),
				   "peak_kib": statistics.median(p for _, p in values)}
			for peer, values in seen.items()}})
		print_row(rows[-1])
	return rows


def print_row(row):
	cells = ["%8.3f s %7.1f MiB" % (p["cpu_s"], p["peak_kib"] / 1024)
			 for p in row["peers"].values()]
	best = min(p["cpu_s"] for peer, p in row["peers"].items() if peer != OURS)
	print("%-11s %s   %.2f of the best, memory %.2f of glibc" % (
		row["name"], " ".join(cells), row["peers"][OURS]["cpu_s"] / max(best, 1e-3),
		ratio(row, OURS, "peak_kib")), flush=True)


def ratio(row, peer, key, base="glibc"):
	return max(row["peers"][peer][key], 1e-3) / max(row["peers"][base][key], 1e-3)


def geometric(values):
	values = list(values)
	return math.exp(sum(map(math.log, values)) / len(values))


def summary(rows):
	means = {peer: {key: geometric(ratio(row, peer, key) for row in rows)
					for key in ("cpu_s", "peak_kib")} for peer in PEERS}
	best = min((peer for peer in PEERS if peer != OURS), key=lambda p: means[p]["cpu_s"])
	behind = {}
	for row in rows:
		least = min(row["peers"][p]["cpu_s"] for p in PEERS if p != OURS)
		if row["peers"][OURS]["cpu_s"] > least * 1.05:
			behind[row["name"]] = row["peers"][OURS]["cpu_s"] / least
	ours = means[OURS]
	return {"to_glibc": means, "best_peer": best,
			"cpu_to_best_peer": ours["cpu_s"] / means[best]["cpu_s"],
			"memory_to_glibc": ours["peak_kib"],
			"cpu_times_memory": ours["cpu_s"] * ours["peak_kib"],
			"more_than_5_percent_behind_the_best": behind}


# What the two functions of workloads.c that stand for malloc and free execute.
STUB_INSTRUCTIONS = 3


def instructions(libraries, scratch):
	"""Instructions of a malloc and a free together, by callgrind: those that
	they execute, without the caller's. Of 64 bytes, and in mixed churn."""
	def collected(workload, preload):
		run = subprocess.run(
			["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
			 os.path.join(BUILD, "bench", "workloads"), workload],
			env=dict(os.environ, LD_PRELOAD=preload), capture_output=True, text=True)
		for line in run.stderr.splitlines():
			if "Collected" in line:
				return int(line.split(":")[1].split()[0]), int(run.stdout)
		sys.exit("bench: valgrind says nothing: " + run.stderr)

	def of(workload, preload):
		stub, _ = collected(workload + "-stub", preload)
		ours, pairs = collected(workload, preload)
		return (ours - stub) / pairs + STUB_INSTRUCTIONS
	return {workload: {peer: of(workload, preload) for peer, preload in libraries.items()}
			for workload in ("pairs", "mixed")}


def lines_of(program):
	run = subprocess.run([os.path.join(BUILD, "bench", program)], capture_output=True,
						 text=True, check=True)
	return [line.split("|") for line in run.stdout.splitlines()]


def frames():
	return [{"allocator": a, "operation": what, "order": int(order), "threads": int(threads),
			 "gib": int(gib), "value": float(value)}
			for a, what, order, threads, gib, value in lines_of("frames")]


TRACES = ["lua", "sqlite3", "python3", "jq", "clang", "redis"]


def heaps(scratch):
	"""The classic heaps by the laboratory: times TLSF's, and peak over live bytes,
	on its reference workload and on recorded programs."""
	def run(*arguments):
		name = os.path.join(scratch, "lab.json")
		lab = [os.path.join(BUILD, "loam"), "lab", "--json", name]
		subprocess.run(lab + ["--samples", "1", "--rounds", "7", *arguments],
					   check=True, stdout=subprocess.DEVNULL)
		with open(name) as file:
			return {heap["name"]: {
				"ns": heap["time"]["ns"],
				"to_tlsf": heap["time"]["ratio"],
				"peak": heap["memory"]["overhead"],
			} for heap in json.load(file)["heaps"] if "not_run" not in heap}
	results = {"reference": run()}
	for trace in TRACES:
		results[trace] = run(os.path.join(ROOT, "traces", trace + ".trace.xz"))
	return results


def print_heaps(results):
	print("classic heaps, times TLSF's (laboratory):")
	print("%-12s" % "" + " ".join("%9s" % name for name in results))
	for heap in results["reference"]:
		values = [row.get(heap, {}).get("to_tlsf") for row in results.values()]
		print("%-12s" % heap + " ".join("%9.2f" % v if v else "%9s" % "-" for v in values))


def print_frames(row, rows):
	"""Order 0 against the list: as it is, and without what the loop alone takes."""
	def other(name):
		same = ("operation", "order", "threads", "gib")
		return next((r["value"] for r in rows if r["allocator"] == name and
			all(r[key] == row[key] for key in same)), None)
	text = ("%(allocator)-7s %(operation)-28s order %(order)d, %(threads)d thread(s), "
		"%(gib)2d GiB: %(value)8.2f" % row)
	base, loop = other("list"), other("loop")
	if row["allocator"] == OURS and base and loop is not None:
		row["to_list"] = row["value"] / base
		row["to_list_net"] = max(row["value"] - loop, 0) / max(base - loop, 0.1)
		text += "   %.2f of the list, %.2f without the loop" % (
			row["to_list"], row["to_list_net"])
	print(text)


def page(results):
	"""One self-contained page: the tables, and bars drawn by uPlot."""
	uplot = os.path.join(ROOT, "third_party", "uplot")
	with open(os.path.join(uplot, "uPlot.iife.min.js")) as file:
		script = file.read()
	with open(os.path.join(uplot, "uPlot.min.css")) as file:
		style = file.read()
	with open(os.path.join(ROOT, "bench", "page.html")) as file:
		text = file.read()
	data = json.dumps(results).replace("</", "<\\/")
	return (text.replace("@STYLE@", style).replace("@SCRIPT@", script)
			.replace("@DATA@", data)
			.replace("@MACHINE@", html.escape(results["machine"])))


def machine():
	with open("/proc/cpuinfo") as file:
		models = [line.split(":")[1].strip() for line in file
			if line.startswith("model name")]
	return "%s, %d CPUs, Linux %s" % (models[0] if models else "?", len(models),
									  os.uname().release)


def main():
	parser = argparse.ArgumentParser()
	parser.add_argument("--runs", type=int, default=3)
	parser.add_argument("--only", default="")
	parser.add_argument("--no-frames", action="store_true")
	parser.add_argument("--no-heaps", action="store_true")
	options = parser.parse_args()
	libraries = {peer: library(peer) for peer in PEERS}
	results = {"machine": machine(), "runs": options.runs, "peers": list(PEERS)}
	print(results["machine"])
	print("%-11s %s" % ("", " ".join("%-22s" % peer for peer in PEERS)))
	with tempfile.TemporaryDirectory() as scratch:
		results["workloads"] = measure_all(
			options.runs, [n for n in options.only.split(",") if n], libraries, scratch)
		results["summary"] = summary(results["workloads"])
		results["instructions"] = instructions(libraries, scratch)
		if not options.no_heaps:
			results["heaps"] = heaps(scratch)
			print_heaps(results["heaps"])
	if not options.no_frames:
		results["frames"] = frames()
		results["arena"] = {name: {"ns": float(ns), "footprint": float(footprint)}
			for name, ns, footprint in lines_of("arena")}
		for row in results["frames"]:
			print_frames(row, results["frames"])
		print("arena of 64 MiB:", json.dumps(results["arena"]))
	print("to glibc:", json.dumps(results["summary"]["to_glibc"], indent=1))
	for key in ("best_peer", "cpu_to_best_peer", "memory_to_glibc", "cpu_times_memory",
				"more_than_5_percent_behind_the_best"):
		print(key + ":", json.dumps(results["summary"][key]))
	for workload, counts in results["instructions"].items():
		print("instructions of malloc and free, %s:" % workload, json.dumps(counts))
	with open(os.path.join(BUILD, "bench.json"), "w") as file:
		json.dump(results, file, indent=1)
	with open(os.path.join(BUILD, "bench.html"), "w") as file:
		file.write(page(results))
	print("build/bench.json and build/bench.html are written")


main()

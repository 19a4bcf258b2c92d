#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Joins what Linux and Loam printed of themselves into one table.
"""Joins the rows of three boots.

usage: join.py --rows ROWS [--json FILE] STOCK TUNED LOAM

STOCK, TUNED and LOAM are the serial output of the boots, in which a line `bench:
OPERATION | NUMBER` is a row. Exit status 1, with a line on standard error for each
cause, if a row of ROWS is missing or there twice, a line is no row, a row is none
of ROWS, or Loam's figure is more than ROWS allows to that of the tuned Linux.
"""

import argparse
import json
import re
import sys

BOOTS = ("stock", "tuned", "loam")
ROW = re.compile(r"bench: +([^| ][^|]*?) +\| +(\d+)$")
# What cannot be anything else; not what a name ends in, as a module's may.
BEGIN = re.compile(r"(?<!\w)bench:")
TITLE = re.compile(r"linux: (\S+), (.+)$")


def read_expected(path):
	"""The rows there are to be, in order: (name, recorded, at most)."""
	expected = []
	with open(path) as file:
		for line in file:
			if line.strip() and not line.startswith("#"):
				fields = [field.strip() for field in line.split("|")]
				recorded = int(fields[1]) if len(fields) > 1 else None
				most = float(fields[2]) if len(fields) > 2 else None
				expected.append((fields[0], recorded, most))
	return expected


def read_boot(boot, path, names, errors):
	"""What a boot printed: its rows by name, and which Linux it was, if one."""
	rows = {}
	title = None
	with open(path, errors="replace") as file:
		for number, line in enumerate(file, 1):
			line = line.rstrip()
			title = title or TITLE.match(line)
			# A row that something was printed into does not begin the line.
			if not BEGIN.search(line):
				continue
			row = ROW.match(line)
			where = "%s: line %d" % (boot, number)
			if row is None:
				errors.append("%s is no row: %s" % (where, line))
			elif row.group(1) not in names:
				errors.append("%s: nobody expects '%s'" % (where, row.group(1)))
			elif row.group(1) in rows:
				errors.append("%s: '%s' again" % (where, row.group(1)))
			else:
				rows[row.group(1)] = int(row.group(2))
	for name in names:
		if name not in rows:
			errors.append("%s: no row '%s'" % (boot, name))
	return rows, title


def ratio(loam, linux):
	if loam is None or not linux:
		return None
	return round(loam / linux, 4)


def join(expected, boots, errors):
	"""One dictionary a row; None is what a boot did not say."""
	table = []
	for name, recorded, most in expected:
		row = {"op": name, "recorded_small": recorded, "at_most_to_tuned": most}
		for boot in BOOTS:
			row[boot] = boots[boot].get(name)
		row["to_stock"] = ratio(row["loam"], row["stock"])
		row["to_tuned"] = ratio(row["loam"], row["tuned"])
		row["to_recorded_small"] = ratio(row["loam"], recorded)
		if most is not None and (row["to_tuned"] or 0) > most:
			errors.append("'%s': %.3f of the tuned Linux's, %.3f is the most"
						  % (name, row["to_tuned"], most))
		table.append(row)
	return table


def show(title, table):
	def figure(value):
		return "none" if value is None else "%d" % value

	def share(value):
		return "-" if value is None else "%.3f" % value

	print("Instructions, Loam and %s on x86-64" % title)
	print("%-50s %9s %9s %9s %9s %9s %9s %9s" % (
		"", "Linux", "Linux", "", "Loam to", "Loam to", "Linux", "Loam to"))
	print("%-50s %9s %9s %9s %9s %9s %9s %9s" % (
		"operation", "stock", "tuned", "Loam", "stock", "tuned", "small*", "small*"))
	for row in table:
		small = row["recorded_small"]
		print("%-50s %9s %9s %9s %9s %9s %9s %9s" % (
			row["op"], figure(row["stock"]), figure(row["tuned"]), figure(row["loam"]),
			share(row["to_stock"]), share(row["to_tuned"]),
			"-" if small is None else small, share(row["to_recorded_small"])))
	print("* on record, of a Linux built from source without hardening, control groups,")
	print("  tracing and NUMA: not measured in this run")


def main():
	parser = argparse.ArgumentParser()
	parser.add_argument("--rows", required=True)
	parser.add_argument("--json")
	parser.add_argument("logs", nargs=3, metavar="LOG")
	options = parser.parse_args()
	expected = read_expected(options.rows)
	names = [name for name, _, _ in expected]
	errors = []
	boots = {}
	title = None
	for boot, path in zip(BOOTS, options.logs):
		boots[boot], found = read_boot(boot, path, names, errors)
		title = title or found
	title = "Linux %s (%s)" % title.groups() if title else "a Linux without a name"
	table = join(expected, boots, errors)
	show(title, table)
	if options.json:
		with open(options.json, "w") as file:
			json.dump({"linux": title, "rows": table}, file, indent=1)
			file.write("\n")
	for error in errors:
		print("join: " + error, file=sys.stderr)
	return 1 if errors else 0


sys.exit(main())

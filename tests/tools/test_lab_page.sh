#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests the page of loam lab --html in a browser, against the JSON behind it.
# usage: tests/tools/test_lab_page.sh LOAM (TAP on standard output)
set -u
loam=${1:?usage: test_lab_page.sh path of the loam tool}
cd "$(dirname "$0")/../.." || exit 2
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# The page is the same whatever the tool was compiled with: once is enough.
case $loam in
build/loam | */build/loam) ;;
*)
	echo "ok 1 - the page # SKIP it is tried with build/loam"
	echo "1..1"
	exit 0
	;;
esac
"$loam" lab --html "$tmp/page.html" --json "$tmp/data.json" --objects 400 \
	--pairs 2500 --rounds 1 --samples 40 >"$tmp/out" || {
	echo "not ok 1 - a page is written"
	echo "1..1"
	exit 1
}
python3 tests/tools/page_test.py "$tmp/page.html" "$tmp/data.json" "$tmp"

#!/bin/sh
# SPDX-License-Identifier: MIT
# Copies the pinned package's files here, and says whether they were the same.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$scratch"
(cd "$scratch" && npm ci --ignore-scripts --no-audit --no-fund >&2)
changed=0
for file in LICENSE dist/uPlot.iife.min.js dist/uPlot.min.css; do
	kept="$here/${file#dist/}"
	cmp -s "$scratch/node_modules/uplot/$file" "$kept" && continue
	cp "$scratch/node_modules/uplot/$file" "$kept"
	echo "changed: ${kept#"$here"/}"
	changed=1
done
[ "$changed" -eq 1 ] || echo "the files are those of the pinned package"

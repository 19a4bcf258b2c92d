# SPDX-License-Identifier: MIT
# For the tests of the static checks: small trees, good and bad; to be sourced.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/scripts/tap.sh"
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT

# put PATH: writes standard input, with one tab less in front of each line, to a
# file of the tree.
put() {
	mkdir -p "$(dirname "$tree/$1")"
	sed 's/^	//' >"$tree/$1"
}

# passes TITLE COMMAND...: the check accepts the tree.
passes() {
	title=$1
	shift
	if output=$("$@" 2>&1); then
		tap "$title" ""
	else
		tap "$title" "$output"
	fi
}

# rejects TITLE TEXT COMMAND...: the check fails, and a line it prints about
# what is wrong contains TEXT.
rejects() {
	title=$1
	text=$2
	shift 2
	if output=$("$@" 2>&1); then
		tap "$title" "accepted:
$output"
	elif printf '%s\n' "$output" | grep '^#' | grep -qF -- "$text"; then
		tap "$title" ""
	else
		tap "$title" "not found in its output: $text
$output"
	fi
}

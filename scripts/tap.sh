# SPDX-License-Identifier: MIT
# TAP for the scripts that check something; to be sourced.

tap_count=0
tap_failed=0

# tap TITLE TEXT: one test, which passes if TEXT (what is wrong) is empty.
tap() {
	tap_count=$((tap_count + 1))
	if [ -z "$2" ]; then
		echo "ok $tap_count - $1"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

# The plan, and the exit status of the script.
tap_end() {
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ] && [ "$tap_count" -gt 0 ]
	exit
}

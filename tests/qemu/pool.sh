# SPDX-License-Identifier: MIT
# Jobs that run a few at a time and speak TAP together; to be sourced.
#
# A job is a function that calls verdict and skip. What it prints besides is shown
# when one of its tests fails, and only then. WORK is a directory for the jobs.

job_names=()

# queue NAME FUNCTION [ARGUMENT...]: a job for pool_run. Its files go to
# WORK/NAME.*, and how long it took, in seconds, to WORK/NAME.time.
queue() {
	job_names+=("$1")
	printf '%q ' "${@:2}" >"$WORK/$1.command"
}

# verdict TITLE TEXT: one test, which passes if TEXT (what is wrong) is empty.
verdict() {
	if [ -z "$2" ]; then
		printf 'ok %s\n' "$1" >>"$WORK/$job.results"
	else
		printf 'not ok %s\n' "$1" >>"$WORK/$job.results"
		printf '%s\n' "$2" | sed 's/^/# /' >>"$WORK/$job.results"
	fi
}

# skip TITLE WHY: a test that cannot be done here.
skip() {
	printf 'ok %s # SKIP %s\n' "$1" "$2" >>"$WORK/$job.results"
}

# holds TEXT PATTERN: says what is missing if no line matches the extended
# regular expression.
holds() {
	printf '%s\n' "$1" | grep -Eq -e "$2" || echo "no line matches: $2"
}

job_run() {
	local began=$EPOCHREALTIME
	job=$1
	: >"$WORK/$job.results"
	eval "$(cat "$WORK/$job.command")" >"$WORK/$job.output" 2>&1
	local status=$?
	[ "$status" -eq 0 ] ||
		verdict "job $job" "it ended with status $status"
	[ -s "$WORK/$job.results" ] || verdict "job $job" "it tested nothing"
	awk -v a="$began" -v b="$EPOCHREALTIME" \
		'BEGIN { printf "%.1f\n", b - a }' >"$WORK/$job.time"
}

# pool_run COUNT: runs all jobs, COUNT at a time, and prints what came of them in
# the order of the queue, as TAP. False if anything failed.
pool_run() {
	local name running=0 number=0 bad=0 line
	for name in "${job_names[@]}"; do
		if [ "$running" -ge "$1" ]; then
			wait -n
			running=$((running - 1))
		fi
		job_run "$name" &
		running=$((running + 1))
	done
	wait
	for name in "${job_names[@]}"; do
		while IFS= read -r line; do
			case $line in
			"ok "*) number=$((number + 1)) ;;
			"not ok "*)
				number=$((number + 1))
				bad=$((bad + 1))
				;;
			*)
				printf '%s\n' "$line"
				continue
				;;
			esac
			printf '%sok %d - %s\n' "${line%%ok *}" "$number" \
				"${line#*ok }"
		done <"$WORK/$name.results"
		if grep -q '^not ok' "$WORK/$name.results"; then
			echo "# $name printed:"
			sed 's/^/#   /' "$WORK/$name.output"
		fi
	done
	echo "1..$number"
	[ "$bad" -eq 0 ] && [ "$number" -gt 0 ]
}

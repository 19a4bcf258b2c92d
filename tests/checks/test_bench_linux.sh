#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that bench-linux names every boot and row that is not as it has to be.
. "$(dirname "$0")/lib.sh"

# says TITLE STATUS TEXT COMMAND...: ends with STATUS and says TEXT.
says() {
	title=$1
	status=$2
	text=$3
	shift 3
	output=$("$@" 2>&1)
	found=$?
	if [ "$found" -ne "$status" ]; then
		tap "$title" "exit status $found: $output"
	elif printf '%s\n' "$output" | grep -qF -- "$text"; then
		tap "$title" ""
	else
		tap "$title" "not found in its output: $text
$output"
	fi
}

# ---------------------------------------------------------------- the rows

# What a boot prints, other lines among them, ends of lines as on a serial port.
log() {
	printf 'linux: 6.1.0, #1 SMP\r\n'
	printf 'loam_bench: loading out-of-tree module taints kernel.\r\n'
	printf 'bench: %-47s | %8u\r\n' "one pair" "$1" "a longer one, 4 KiB" "$2"
}

# join: what it makes of the logs, as they are after a line was changed.
join() {
	"$top/bench/linux/join.py" --rows "$tree/rows" --json "$tree/out.json" \
		"$tree/stock" "$tree/tuned" "$tree/loam"
}

# with LOG SCRIPT: join, one log being edited by sed, then put back.
with() {
	cp "$tree/$1" "$tree/kept"
	sed -i "$2" "$tree/$1"
	join
	status=$?
	mv "$tree/kept" "$tree/$1"
	return "$status"
}

put rows <<'END'
	# A comment.
	one pair | 300 | 0.5
	a longer one, 4 KiB
END
log 400 1000 >"$tree/stock"
log 200 500 >"$tree/tuned"
log 100 50 >"$tree/loam"

says "rows are joined by name, with the ratios" 0 \
	"one pair 400 200 100 0.250 0.500 300 0.333" \
	sh -c "'$top/bench/linux/join.py' --rows '$tree/rows' '$tree/stock' \
		'$tree/tuned' '$tree/loam' | tr -s ' '"
says "JSON has them too" 0 "6.1.0 (#1 SMP): 0.5 None" sh -c "
	'$top/bench/linux/join.py' --rows '$tree/rows' --json '$tree/out.json' \
		'$tree/stock' '$tree/tuned' '$tree/loam' >/dev/null &&
	python3 -c 'import json, sys
result = json.load(open(sys.argv[1]))
print(result[\"linux\"] + \":\", result[\"rows\"][0][\"to_tuned\"],
	result[\"rows\"][1][\"recorded_small\"])' '$tree/out.json'"
says "a row that one boot lacks is named" 1 \
	"join: tuned: no row 'a longer one, 4 KiB'" with tuned /longer/d
says "and shown as lacking" 1 "none" with loam /longer/d
says "so is one of a boot without any" 1 "join: loam: no row 'one pair'" \
	with loam d
says "a row without its number" 1 \
	"join: stock: line 3 is no row: bench: one pair" with stock 's/|  *400//'
says "one whose number is none" 1 "join: loam: line 3 is no row" \
	with loam 's/100/1x0/'
says "one with something before it" 1 "join: stock: line 4 is no row" \
	with stock 's/^bench: a/[   12.5] &/'
says "two that ran together" 1 "join: stock: line 3 is no row" \
	with stock '3{s/\r//;N;s/\n//;}'
says "one that is there twice" 1 "join: tuned: line 4: 'one pair' again" \
	with tuned 3p
says "one that nobody expects" 1 "join: loam: line 4: nobody expects 'a long" \
	with loam 's/longer/long/'
says "one of more than the tuned Linux's share" 1 \
	"join: 'one pair': 0.505 of the tuned Linux's, 0.500 is the most" \
	with loam 's/100/101/'
says "a log that is not there" 1 "No such file" \
	"$top/bench/linux/join.py" --rows "$tree/rows" "$tree/stock" \
	"$tree/tuned" "$tree/none"

# ---------------------------------------------------------------- the boots

# Packages that are there, a build of nothing, and an emulator that prints a log
# and ends as it is told: 33 is a guest's word for success, see scripts/run.
linux=$tree/linux
mkdir -p "$linux/tree/boot" "$linux/tree/usr/src/linux-headers-6.1" \
	"$linux/initramfs"
touch "$linux/tree/boot/vmlinuz-6.1" "$linux/initramfs/init" \
	"$linux/initramfs/bench"
put linux/tree/usr/src/linux-headers-6.1/Makefile <<'END'
	modules:
		@touch $(M)/loam_bench.ko
END
printf '\177ELF\002' >"$tree/kernel"
put qemu <<'END'
	#!/bin/sh
	case " $* " in
	*init_on_alloc*) name=tuned ;;
	*vmlinuz*) name=stock ;;
	*) name=loam ;;
	esac
	[ "$name" != "$HANGS" ] || exec sleep 60
	sed 's/\r//' "$LOGS/$name"
	[ "$name" != "$PANICS" ] || { echo "Kernel panic: no memory" && exit 0; }
	exit 33
END
chmod +x "$tree/qemu"
# The real rows, for they are what it joins.
sed -n '/^[^#]/{s/ *|.*//;p}' "$top/bench/linux/rows" >"$tree/names"
for name in stock tuned loam; do
	while read -r row; do
		printf 'bench: %-47s | %8u\n' "$row" \
			"$([ $name = loam ] && echo 10 || echo 1000)"
	done <"$tree/names" >"$tree/$name"
done

boots() {
	env QEMU="$tree/qemu" LOGS="$tree" TIMEOUT=3 PANICS= HANGS= "$@" \
		"$top/scripts/bench-linux" "$tree/kernel" "" "$linux"
}

says "three boots are joined" 0 "1000      1000        10     0.010" boots
says "a panic is named, with its last line" 1 \
	"the guest faulted and was reset; last line was: Kernel panic: no memory" \
	boots PANICS=stock
says "and the boot it was in" 1 "the boot of tuned failed" boots PANICS=tuned
says "so is a hang" 1 "the guest hung: no end within 3 seconds" boots HANGS=loam
says "rows of one are looked for in what it printed" 1 \
	"join: stock: no row 'empty window'" boots LOGS="$tree/nowhere"
: >"$linux/tree/usr/src/linux-headers-6.1/Makefile"
says "a module that does not build is an error" 1 \
	"the module does not build" boots
tap_end

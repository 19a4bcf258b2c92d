#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests that loam map gives right figures, reads every notation, names errors.
# usage: tests/tools/test_map.sh LOAM (TAP on standard output)
set -u
loam=${1:?usage: test_map.sh path of the loam tool}
root=$(cd "$(dirname "$0")/../.." && pwd)
shared=${LOAM_MEMMAPS:-$root/../shared/memmaps}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
number=0
failed=0

# ok STATUS TITLE: reports one test.
ok()
{
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		failed=$((failed + 1))
		echo "not ok $number - $2"
	fi
}

# run ARGUMENTS: runs the tool; leaves out, err and status.
run()
{
	"$loam" map "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	out=$(cat "$tmp/out")
	err=$(cat "$tmp/err")
}

# figures TITLE FRAMES PFN: the last run succeeded and ended with these lines.
figures()
{
	local last
	last=$(tail -n 2 "$tmp/out")
	[ "$status" -eq 0 ] &&
		[ "$last" = "usable_frames: $2
max_usable_pfn: $3" ]
	local result=$?
	[ $result -eq 0 ] || printf '# %s\n' "$status" "$last" "$err"
	ok $result "$1"
}

# refused TITLE EXPECTED: the last run failed with exactly this message.
refused()
{
	[ "$status" -eq 1 ] && [ "$err" = "$2" ] && [ -z "$out" ]
	local result=$?
	[ $result -eq 0 ] || printf '# %s\n' "$status" "$err"
	ok $result "$1"
}

# usage TITLE ARGUMENTS: exit status 2 and something on standard error.
usage()
{
	local title=$1
	shift
	"$loam" "$@" >"$tmp/out" 2>"$tmp/err"
	[ $? -eq 2 ] && [ ! -s "$tmp/out" ] && [ -s "$tmp/err" ]
	ok $? "$title"
}

names=('?' usable reserved 'ACPI data' 'ACPI NVS' unusable '?' \
	'persistent (type 7)')

# to_log NOTATION <map >log: rows of small enough numbers as Linux prints them.
to_log()
{
	local base length type name end
	while read -r base length type; do
		case $base in '#'*) continue ;; esac
		name="type $type"
		if [ "$type" -ge 1 ] && [ "$type" -le 7 ] &&
			[ "$type" -ne 6 ]; then
			name=${names[$type]}
		fi
		end=$((base + length))
		case $1 in
		size)
			printf ' BIOS-e820: %016x @ %016x (%s)\n' \
				$((length)) $((base)) "$name"
			;;
		end)
			printf '<6> BIOS-e820: %016x - %016x (%s)\r\n' \
				$((base)) $end "$name"
			;;
		mem)
			printf '[    0.000000] BIOS-e820: '
			printf '[mem 0x%016x-0x%016x] %s\n' \
				$((base)) $((end - 1)) "$name"
			;;
		new)
			case $name in
			usable) name='System RAM' ;;
			reserved) name='device reserved' ;;
			esac
			printf 'Jan 01 00:00:00 pc kernel: BIOS-e820: '
			printf '[mem 0x%016x-0x%016x]  %s\n' \
				$((base)) $((end - 1)) "$name"
			;;
		esac
	done
}

# check_map FILE: the file's own figures, from rows and from each notation.
check_map()
{
	local name frames pfn notation
	name=$(basename "$1" .map)
	frames=$(sed -n 's/^# usable_frames: //p' "$1")
	pfn=$(sed -n 's/^# max_usable_pfn: //p' "$1")
	run "$1"
	figures "S4.4 $name as rows" "$frames" "$pfn"
	for notation in size end mem new; do
		{
			echo '[    0.000000] Linux version 5.4.0'
			echo 'BIOS-provided physical RAM map:'
			to_log "$notation" <"$1"
			echo 'modified: [mem 0x0-0xffffffff] usable'
			echo ' user: 0000000000000000 - ffffffff (usable)'
			echo 'Memory: 4 of 5 k available'
		} >"$tmp/log"
		run "$tmp/log"
		figures "S4.4 $name as a log, notation $notation" \
			"$frames" "$pfn"
	done
}

count=0
for file in "$root"/tests/data/memmaps/*.map; do
	[ -f "$file" ] || continue
	count=$((count + 1))
	check_map "$file"
done
[ "$count" -ge 6 ]
ok $? "the project's own maps are there ($count)"

count=0
for file in "$shared"/*.map; do
	[ -f "$file" ] || continue
	count=$((count + 1))
	check_map "$file"
done
if [ "$count" -eq 0 ]; then
	echo "# SKIP: there are no maps in $shared"
fi
[ "$count" -gt 0 ] || [ -z "${LOAM_MEMMAPS:-}" ]
ok $? "the maps of LOAM_MEMMAPS are there, if it is set ($count)"

# Every name of a type, in each place where Linux printed it.
cat >"$tmp/log" <<'END'
[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x00000000000fffff] usable
[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000001fffff] reserved
[    0.000000] BIOS-e820: [mem 0x0000000000200000-0x00000000002fffff] ACPI data
[    0.000000] BIOS-e820: [mem 0x0000000000300000-0x00000000003fffff] ACPI NVS
[    0.000000] BIOS-e820: [mem 0x0000000000400000-0x00000000004fffff] unusable
[    0.000000] BIOS-e820: [mem 0x0000000000500000-0x00000000005fffff] persistent (type 7)
[    0.000000] BIOS-e820: [mem 0x0000000000600000-0x00000000006fffff] persistent (type 12)
[    0.000000] BIOS-e820: [mem 0x0000000000700000-0x00000000007fffff] soft reserved
[    0.000000] BIOS-e820: [mem 0x0000000000800000-0x00000000008fffff] type 20
[    0.000000] BIOS-e820: [mem 0x0000000000900000-0x00000000009fffff]  1   MB device reserved
[    0.000000] BIOS-e820: [gap 0x0000000000a00000-0x0000000000afffff]
[    0.000000] BIOS-e820: [gap 0x0000000000b00000-0x0000000000bfffff]    1   MB ...
[    0.000000] BIOS-e820: [mem 0x0000000000c00000-0x0000000000cfffff]    1.0 MB kernel usable RAM
[    0.000000] BIOS-e820: [mem 0x0000000000d00000-0x0000000000dfffff]  System RAM
 BIOS-e820: 0000000000e00000 - 0000000000f00000 type 20
 BIOS-e820: 0000000000f00000 - 0000000001000000 (unusable)
END
run "$tmp/log"
figures "every name of a type that Linux prints" 768 3584
expected="usable reserved ACPI data ACPI NVS unusable persistent reserved\
 usable reserved unusable"
got=$(sed -n 's/^0x[0-9a-f]*  0x[0-9a-f]* *[0-9.]* [KMG]*iB  //p' "$tmp/out" |
	tr '\n' ' ')
[ "$got" = "$expected " ]
ok $? "the types of that log, in order"

printf ' BIOS-e801: 0 - 9f000 (usable)\n BIOS-88: 100000 - 850000 (usable)\n' \
	>"$tmp/log"
run "$tmp/log"
figures "the marks of the older BIOS calls" 2031 2128

printf '# not BIOS-e820: a row file\n0 1000 1' >"$tmp/rows"
run "$tmp/rows"
figures "a comment is no log; the last line needs no newline" 1 1
printf '\t 0X1000 0x1000 0x1 # type in hexadecimal\r\n\n\n' >"$tmp/rows"
run - <"$tmp/rows"
figures "standard input, blanks, and a carriage return" 1 2
printf '0 2000 1\n1000 1000 20\n' >"$tmp/rows"
run "$tmp/rows"
figures "an unknown type is reserved" 1 1
case $err in
*"entry 1 (0x1000-0x1fff) has unknown type 20: reserved"*) ok 0 "and it is said" ;;
*) ok 1 "and it is said" ;;
esac
printf '0 0 1\n' >"$tmp/rows"
run "$tmp/rows"
figures "nothing usable is not an error" 0 0
printf '0 ffffffffffffffff 1\nffffffffffffffff ffffffffffffffff 1\n' \
	>"$tmp/rows"
run "$tmp/rows"
figures "the whole of 64 bits" 4503599627370495 4503599627370495

# bad TITLE TEXT LINE MESSAGE: the text is refused in that line.
bad()
{
	printf '%b' "$2" >"$tmp/bad"
	run "$tmp/bad"
	refused "$1" "$tmp/bad:$3: $4"
}
bad "a row of two columns" '0 1000 1\n0x1000 0x1000\n' 2 \
	'a row has a base, a length and a type, not: "0x1000 0x1000"'
bad "a row of four columns" '0 1000 1 extra\n' 1 \
	'there is more behind the type: "extra"'
bad "a base that is no number" '# 1\n\n0 1 1\n0xzz 1 1\n' 4 \
	'the base is not a number: "0xzz"'
bad "a length with a tail" '0 12g4 1\n' 1 \
	'the length is not a hexadecimal number: "12g4"'
bad "a negative base" '-1 1 1\n' 1 'the base is not a number: "-1"'
bad "a base of 65 bits" '10000000000000000 1 1\n' 1 \
	'the base needs more than 64 bits: "10000000000000000"'
bad "a type of 33 bits" '0 1 4294967296\n' 1 \
	'the type needs more than 32 bits: "4294967296"'
bad "a type that is no number" '0 1 usable\n' 1 \
	'the type is not a number: "usable"'
bad "bytes that cannot be printed" '0 1 \x01\xff\n' 1 \
	'the type is not a number: "??"'
bad "a zero byte" '0 1 1\x00\n' 1 'the type is not a number: "1?"'
bad "a log entry without an end" \
	'ok\nBIOS-e820: [mem 0x1000-] usable\n' 2 \
	'the last address of the entry cannot be read: "[mem 0x1000-] usable"'
bad "a log entry that was cut" 'BIOS-e820: [mem 0x0-0x1fff\n' 1 \
	'the last address of the entry cannot be read: "[mem 0x0-0x1fff"'
bad "a log entry that ends before it begins" \
	'BIOS-e820: [mem 0x5000-0x1fff] usable\n' 1 \
	'the entry ends before it begins: "[mem 0x5000-0x1fff] usable"'
bad "the same in the old notation" \
	'BIOS-e820: 5000 - 2000 (usable)\n' 1 \
	'the entry ends before it begins: "5000 - 2000 (usable)"'
bad "a log entry of an unheard-of type" \
	'BIOS-e820: [mem 0x0-0xfff] splendid\n' 1 \
	'the type of the entry is not known: "[mem 0x0-0xfff] splendid"'
bad "a log entry without a separator" 'BIOS-e820: 0 1000 (usable)\n' 1 \
	'there is no "-" or "@" between the numbers: "0 1000 (usable)"'

for text in '' '\n\n' '# only a comment\n'; do
	printf '%b' "$text" >"$tmp/bad"
	run "$tmp/bad"
	refused "a file without entries" \
		"$tmp/bad: there is no entry of a memory map"
done
run "$tmp/none"
refused "a file that is not there" "$tmp/none: No such file or directory"
run "$tmp"
refused "a directory" "$tmp: Is a directory"

usage "no command"
usage "an unknown command" frob
usage "no file" map
usage "two files" map a b
usage "an unknown option" map --frob a
"$loam" --help | grep -q '^  loam map FILE'
ok $? "help"
if [ -w /dev/full ]; then
	printf '0 1000 1\n' | "$loam" map - >/dev/full 2>"$tmp/err"
	[ $? -eq 1 ] && grep -q 'standard output' "$tmp/err"
	ok $? "output that cannot be written is a failure"
fi

# JSON: the same figures, and quoting. A validator is used where there is one.
cp "$root/tests/data/memmaps/R01.map" "$tmp/a \"b\".map"
run "$tmp/a \"b\".map" --json
[ "$status" -eq 0 ] &&
	grep -q '"usable_frames": 16287,$' "$tmp/out" &&
	grep -q '"max_usable_pfn": 16384$' "$tmp/out" &&
	grep -q '"overlapping": 1,' "$tmp/out" &&
	grep -q 'a \\"b\\".map",$' "$tmp/out" &&
	grep -q '{"base": 1048576, "size": 66060288, "type": "usable"' "$tmp/out"
ok $? "JSON has the figures, and a quoted file name"
if command -v python3 >/dev/null 2>&1; then
	python3 -c 'import json, sys
o = json.load(sys.stdin)
assert o["usable_frames"] == sum(z["frames"] for z in o["zones"])
assert len(o["ranges"]) == 4 and o["stats"]["entries"] == 5' <"$tmp/out"
	ok $? "JSON is valid, its zones add up"
fi

echo "1..$number"
[ "$failed" -eq 0 ]

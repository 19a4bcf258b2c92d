# SPDX-License-Identifier: MIT
# Judges `FILE:LINE:#include ...` lines by the floors; see check-floors.sh.

# limits.h is not among them: gcc's own goes on to that of the C library, which
# a system for cross-compiling need not have.
BEGIN {
	FS = ":"
	split("stdarg.h stdbool.h stddef.h stdint.h stdalign.h stdnoreturn.h",
	      names, " ")
	for (i in names) {
		freestanding[names[i]] = 1
	}
}

# The floor a file lies on, or "".
function floor_of_file(path,    parts)
{
	split(path, parts, "/")
	if (parts[1] == "src") {
		return parts[2] in floor_rank ? parts[2] : ""
	}
	sub(/^include\/loam\//, "", path)
	sub(/\.h$/, "", path)
	return floor_of(path)
}

$3 == "directory" || $3 == "header" {
	if (floor_of_file($1) == "") {
		print "place " $1 " is not named in scripts/floors.awk"
	}
	next
}

{
	place = $1 ":" $2 ": "
	own = floor_of_file($1)
	name = substr($0, length($1 ":" $2 ":") + 1)
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
	sub(/[ \t]*(\/[*\/].*)?$/, "", name)
}

name ~ /^<loam\/.*>$/ {
	header = substr(name, 7, length(name) - 9)
	floor = floor_of(header)
	if (floor == "" || own == "" || !floor_sees(own, floor)) {
		print "order " place own " includes " name
	}
	next
}

name ~ /^".*"$/ {
	header = substr(name, 2, length(name) - 2)
	directory = $1
	sub(/[^\/]*$/, "", directory)
	beside = directory header
	if ($1 !~ /^src\// || header ~ /\// || (getline line < beside) < 0) {
		print "private " place name
	}
	close(beside)
	next
}

name ~ /^<.*>$/ {
	if (!(substr(name, 2, length(name) - 2) in freestanding)) {
		print "system " place name
	}
	next
}

# The one place where the host's own configuration comes in.
!(name == "LOAM_CONFIG_FILE" && $1 == "include/loam/config.h") {
	print "system " place name
}

# SPDX-License-Identifier: MIT
# One rule of the house style over C files and others; see check-style.sh.

function report(text)
{
	print FILENAME ":" FNR ": " text
}

# The line without comments and strings; state is kept in in_comment.
function code_of(line,    out, at)
{
	gsub(/\\./, "", line)
	gsub(/"[^"]*"/, "\"\"", line)
	out = ""
	while (line != "") {
		if (in_comment) {
			at = index(line, "*/")
			if (at == 0) {
				return out
			}
			line = substr(line, at + 2)
			in_comment = 0
			continue
		}
		at = index(line, "/*")
		if (at == 0) {
			out = out line
			break
		}
		out = out substr(line, 1, at - 1)
		line = substr(line, at + 2)
		in_comment = 1
	}
	sub(/\/\/.*/, "", out)
	return out
}

FNR == 1 {
	in_comment = 0
	depth = 0
	commented = 0
	prototype = ""
}

{
	code = code_of($0)
}

# ---------------------------------------------------------------- heads

rule == "head_c" && FNR == 1 && $0 != "/* SPDX-License-Identifier: MIT */" {
	report("not the licence")
}

# A sentence, which may go on in the next line.
rule == "head_c" && FNR == 2 && !/^\/\* [A-Za-z0-9`].*(\. \*\/|[^\/])$/ {
	report("not a sentence of purpose")
}

# Makefiles, awk, assembly and linker scripts, each with its own comment.
rule == "head_other" && FNR == 1 &&
!/^(#|;|\/\*) SPDX-License-Identifier: MIT( \*\/)?$/ {
	report("not the licence")
}

rule == "head_other" && FNR == 2 && !/^(#|;|\/\*) .*[A-Za-z].*$/ {
	report("not a sentence of purpose")
}

rule == "head_script" && FNR == 2 && !/^# SPDX-License-Identifier: MIT$/ {
	report("not the licence")
}

rule == "head_script" && FNR == 3 && !/^# [A-Z].*/ {
	report("not a sentence of purpose")
}

# ---------------------------------------------------------------- lines

rule == "blanks" && /[ \t]$/ {
	report("blank at the end of the line")
}

rule == "blanks" && FILENAME !~ /\.md$/ && /^(\t* +\t|        )/ {
	report("spaces where a tab belongs")
}

# goto( is that of an assembler statement, which jumps to a label of ours.
rule == "goto" && code ~ /(^|[^A-Za-z0-9_])goto[^A-Za-z0-9_(]/ {
	report("goto")
}

rule == "alloca" && code ~ /(^|[^A-Za-z0-9_])(__builtin_)?alloca *\(/ {
	report("alloca")
}

rule == "foreign" && /(^|[^A-Za-z_.])(\/work|\/tmp|\/root|\/home)\// {
	report("names a place outside the project")
}

# Guards of headers are the lines after the head.
rule == "if" && code ~ /^[ \t]*#[ \t]*(if|elif|ifdef|ifndef)/ &&
!(FILENAME ~ /\.h$/ && code ~ /#ifndef [A-Z0-9_]+_H$/) &&
FILENAME !~ /^include\/loam\/(config|assert|compiler|arch[a-z0-9_]*)\.h$/ &&
FILENAME !~ /^src\/(arch\/|base\/words\.h$)/ {
	report("#if outside configuration, assertions and arch")
}

# A member `type name : number;` in a struct; not a label, not `?:`.
rule == "bitfield" &&
code ~ /^[ \t]+[a-z_][a-z_0-9 ]* +[a-z_][a-z_0-9]* *: *[0-9]+ *[,;]/ {
	report("bit-field")
}

# ---------------------------------------------------------------- contracts

# A paragraph is what stands between blank lines at file scope. One that holds
# a prototype holds a comment before it.
rule == "contract" {
	if ($0 ~ /^[ \t]*$/ && depth == 0 && !in_comment) {
		commented = 0
		next
	}
	if ($0 ~ /\/\*/) {
		commented = 1
	}
	if (depth == 0 && code ~ /^[A-Za-z_].*[a-z_0-9]\(/ &&
	    code !~ /^(static|typedef|LOAM_STATIC_ASSERT|struct [a-z_]+ \{)/) {
		prototype = code
		where = commented
	}
	opened = gsub(/\{/, "{", code)
	closed = gsub(/\}/, "}", code)
	depth += opened - closed
	if (opened > 0) {
		prototype = ""
	}
	if (prototype != "" && code ~ /;[ \t]*$/) {
		if (!where) {
			report("no contract: " prototype)
		}
		prototype = ""
	}
}

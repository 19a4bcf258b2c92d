# SPDX-License-Identifier: MIT
# Turns `nm -n kernel` into the C source of the kernel's symbol table.

# Functions only: text comes before the table in memory, so that linking the
# table in moves none of them. Of several names for one address the first is
# kept. Left out are the bounds that kernel.ld defines and the assembler's local
# labels.

BEGIN {
	last = ""
	print "/* SPDX-License-Identifier: MIT */"
	print "/* Made by scripts/mksyms.awk: the names of the kernel's functions. */"
	print ""
	print "#include \"symbols.h\""
	print ""
	print "extern const struct kernel_symbol kernel_symbols[];"
	print "const struct kernel_symbol kernel_symbols[]"
	print "\t__attribute__((section(\".ksyms\"), used)) = {"
}

$2 !~ /^[tTwW]$/ || $1 == last { next }
$3 ~ /^(image|init|text|rodata)_(start|end)$/ { next }
$3 !~ /^[A-Za-z_][A-Za-z0-9_.]*$/ { next }

{
	printf "\t\t{ (uintptr_t)0x%su, \"%s\" },\n", $1, $3
	last = $1
}

END {
	print "\t};"
}

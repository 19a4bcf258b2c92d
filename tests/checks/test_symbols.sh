#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-symbols.sh finds calls and names that must not be.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-symbols.sh
GCC=${GCC:-gcc}

# library [FLAGS...]: compiles src/ of the tree as the library is.
library() {
	rm -rf "$tree/out"
	for source in "$tree"/src/*/*.c; do
		object=$tree/out/${source#"$tree"/}
		mkdir -p "$(dirname "$object")"
		$GCC -m32 -march=i486 -ffreestanding -fno-pie -O1 "$@" \
			-c "$source" -o "${object%.c}.o" || exit 2
	done
	ar rcs "$tree/out/libloam.a" "$tree"/out/src/*/*.o
}

put src/base/base.c <<-C
	void loam_host_panic(const char *text);
	void loam_log(const char *text);
	__attribute__((weak)) void *memset(void *to, int c, unsigned long n)
	{ return n ? to : (void *)(long)c; }
	__attribute__((weak)) void loam_host_log(void) {}
	void loam_log(const char *text) { loam_host_panic(text); }
C
put src/slab/slab.c <<-C
	void loam_log(const char *text);
	void loam_slab(void) { loam_log("slab"); }
C
library
passes "a library in order is accepted" "$check" "$tree/out/libloam.a"

put src/slab/bad.c <<-C
	int puts(const char *text);
	void loam_bad(void) { puts("bad"); }
C
library
rejects "a function of the C library" "puts" "$check" "$tree/out/libloam.a"

put src/slab/bad.c <<-C
	unsigned long long loam_bad(unsigned long long a, unsigned long long b)
	{ return a / b; }
C
library
rejects "a division of 64 bits on i386" "__udivdi3" \
	"$check" "$tree/out/libloam.a"

put src/slab/bad.c <<-C
	void bad_name(void) {}
C
library
rejects "a global name without the prefix" "bad_name" \
	"$check" "$tree/out/libloam.a"

put src/slab/bad.c <<-C
	void *memcpy(void *to, const void *from, unsigned long n)
	{ return n ? to : (void *)from; }
C
library
rejects "memcpy that a host cannot override" "memcpy" \
	"$check" "$tree/out/libloam.a"

put src/slab/bad.c <<-C
	static int counter;
	int loam_bad(void) { return counter++; }
C
library
rejects "a mutable global" "counter" "$check" "$tree/out/libloam.a"
rm "$tree/src/slab/bad.c"

put src/base/bad.c <<-C
	void loam_slab(void);
	void loam_bad(void) { loam_slab(); }
C
library
rejects "a call into a floor above" "base/bad.o uses loam_slab" \
	"$check" "$tree/out/libloam.a"

put src/base/bad.c <<-C
	void loam_log(const char *text) { (void)text; }
C
library
rejects "objects that do not link together" "multiple definition" \
	"$check" "$tree/out/libloam.a"
tap_end

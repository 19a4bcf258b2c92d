#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-style.sh finds each offence against the house style.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-style.sh

# source PATH: a C file with a proper head and standard input for a body.
source_file() {
	{
		echo "/* SPDX-License-Identifier: MIT */"
		echo "/* A file for a test. */"
		cat
	} | put "$1"
}

good_header() {
	source_file include/loam/good.h <<'C'
	#ifndef LOAM_GOOD_H
	#define LOAM_GOOD_H

	/* Does good; no goto, no alloca(n). */
	void loam_good(struct loam_thing *thing,
		       int count);

	/* A pair. */
	int loam_pair_a(void);
	int loam_pair_b(void);

	static inline int loam_inline(void)
	{
		return loam_pair_a();
	}

	#endif
C
}

good_header
source_file src/base/good.c <<'C'
	struct thing {
		unsigned wide;
	};

	static const char *text = "goto #if /* no comment";

	int loam_label(int n)
	{
		switch (n) {
		case 1:
			return n ? 2 : 3;
		default:
			return 0;
		}
	}

	int loam_jump(int n)
	{
		__asm__ volatile goto("jmp %l[out]" : : : : out);
		n++;
	out:
		return n;
	}
C
put mk/good.mk <<'C'
	# SPDX-License-Identifier: MIT
	# A makefile.
C
put scripts/good <<'C'
	#!/bin/sh
	# SPDX-License-Identifier: MIT
	# A script.
C
passes "a tree in style is accepted" "$check" "$tree"

put src/base/bad.c <<'C'
	/* Some other licence. */
	/* A file for a test. */
C
rejects "a missing licence" "src/base/bad.c:1: not the licence" "$check" "$tree"

put src/base/bad.c <<'C'
	/* SPDX-License-Identifier: MIT */
	#include <loam/types.h>
C
rejects "a missing purpose" "src/base/bad.c:2: not a sentence" "$check" "$tree"

long=$(printf '%074d' 0)
source_file src/base/bad.c <<C
	int a$long;
	int b0$long;
C
rejects "a line of 81 columns" "src/base/bad.c:4: 81" "$check" "$tree"

printf '/* SPDX-License-Identifier: MIT */\n/* A file. */\nint a; \n' |
	put src/base/bad.c
rejects "a blank at the end of a line" "src/base/bad.c:3: blank" \
	"$check" "$tree"

printf '/* SPDX-License-Identifier: MIT */\n/* A file. */\n%8sint a;\n' '' |
	put src/base/bad.c
rejects "spaces instead of a tab" "src/base/bad.c:3: spaces" "$check" "$tree"

source_file src/base/bad.c <<'C'
	void loam_bad(void)
	{
	out: /* comment */ goto out;
	}
C
rejects "goto" "src/base/bad.c:5: goto" "$check" "$tree"

source_file src/base/bad.c <<'C'
	#ifdef __i386__
	#endif
C
rejects "#ifdef in the library" "src/base/bad.c:3: #if" "$check" "$tree"

source_file src/base/bad.c <<'C'
	void loam_bad(int n)
	{
		use(__builtin_alloca(n));
	}
C
rejects "alloca" "src/base/bad.c:5: alloca" "$check" "$tree"

source_file src/base/bad.c <<'C'
	struct entry {
		unsigned present : 1;
	};
C
rejects "a bit-field" "src/base/bad.c:4: bit-field" "$check" "$tree"

home=/home
source_file src/base/bad.c <<C
	static const char *path = "$home/somebody/file";
C
rejects "a place outside the project" "src/base/bad.c:3: names a place" \
	"$check" "$tree"
rm "$tree/src/base/bad.c"

put scripts/bad <<'C'
	#!/bin/sh
	set -u
C
rejects "a script without a licence" "scripts/bad:2" "$check" "$tree"
rm "$tree/scripts/bad"

put mk/bad.mk <<'C'
	all:
C
rejects "a makefile without a licence" "mk/bad.mk:1" "$check" "$tree"
rm "$tree/mk/bad.mk"

source_file include/loam/good.h <<'C'
	/* A pair of which one has a contract. */
	int loam_pair_a(void);

	int loam_pair_b(int with,
			int more);
C
rejects "a prototype without a contract" "loam_pair_b" "$check" "$tree"

source_file include/loam/good.h <<'C'

	int loam_pair_b(int with);
	/* A comment that comes too late. */
C
rejects "a contract below its prototype" "loam_pair_b" "$check" "$tree"
good_header
passes "the tree is in style again" "$check" "$tree"
tap_end

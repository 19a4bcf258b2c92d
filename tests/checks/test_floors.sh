#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-floors.sh finds each way of breaking the order of floors.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-floors.sh

put include/loam/types.h <<-C
	#include <stdint.h>
C
put include/loam/frame.h <<-C
	#include <loam/types.h>
C
put include/loam/slab.h <<-C
	#include <loam/frame.h>
C
put src/frame/frame.c <<-C
	#include <loam/frame.h>
	#include "frame_int.h"
C
put src/frame/frame_int.h <<-C
	#include <loam/types.h> /* units */
C
passes "a tree in order is accepted" "$check" "$tree"

put src/frame/bad.c <<-C
	#include <loam/slab.h>
C
rejects "a header of a higher floor" "src/frame/bad.c:1: frame includes" \
	"$check" "$tree"

put src/frame/bad.c <<-C
	 # include <loam/slab_struct.h>
C
rejects "a second header of a higher floor, oddly spaced" \
	"src/frame/bad.c:1: frame includes" "$check" "$tree"

put src/frame/bad.c <<-C
	#include "../slab/slab_int.h"
C
put src/slab/slab_int.h </dev/null
rejects "a private header of another floor" "src/frame/bad.c:1" \
	"$check" "$tree"

put src/frame/bad.c <<-C
	#include "missing.h"
C
rejects "a private header that is not beside its user" "src/frame/bad.c:1" \
	"$check" "$tree"

put src/frame/bad.c <<-C
	#include <string.h>
C
rejects "a header of the C library" "<string.h>" "$check" "$tree"
rm "$tree/src/frame/bad.c"

put include/loam/frame.h <<-C
	#include "../../src/frame/frame_int.h"
C
rejects "a public header that sees a private one" "include/loam/frame.h:1" \
	"$check" "$tree"

put include/loam/frame.h <<-C
	#include <loam/kmalloc.h>
C
rejects "a public header that sees a higher one" "frame includes" \
	"$check" "$tree"

put include/loam/frame.h <<-C
	#include LOAM_CONFIG_FILE
C
rejects "an include by macro outside config.h" "LOAM_CONFIG_FILE" \
	"$check" "$tree"

put include/loam/frame.h </dev/null
put include/loam/novel.h </dev/null
rejects "a public header of no floor" "include/loam/novel.h" "$check" "$tree"
rm "$tree/include/loam/novel.h"

put src/novel/novel.c </dev/null
rejects "a directory that is no floor" "src/novel" "$check" "$tree"
rm -r "$tree/src/novel"

put src/memblock/memblock.c <<-C
	#include <loam/pt.h>
C
rejects "floors of one rank do not see each other" "memblock includes" \
	"$check" "$tree"
rm -r "$tree/src/memblock"
passes "the tree is in order again" "$check" "$tree"
tap_end

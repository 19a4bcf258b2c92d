# SPDX-License-Identifier: MIT
# Loam's build. `make help` lists what there is; mk/ holds how it is done.

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# What a user may set on the command line.
MEM ?= 128M
BOOT ?= multiboot
SMP ?= 1
LAYOUT ?= higher
NUMA ?= 1
PAE ?= 0
CMD ?=
DEBUG ?= 0
GDB ?= 0
ARCH ?= i386
PREFIX ?= /usr/local
DESTDIR ?=
CONFIG ?=
FUZZ_SECONDS ?= 600
ROUNDS ?= 20
SUITES ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
V ?= 0

# The kernel and the tests say which compiler they want; CC is the library's.
GCC ?= gcc
CLANG ?= $(shell command -v clang-14 || echo clang)
ifeq ($(origin CC),default)
CC := $(GCC)
endif

# Quiet unless V=1: one line a command.
Q := $(if $(filter 1,$(V)),,@)
say = @$(if $(filter 1,$(V)),:,printf '  %-6s %s\n' $(1) $(2))

# How many jobs a target that calls make again may use: what the user said
# with -j, otherwise JOBS.
MAKE_JOBS = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

include mk/common.mk
include mk/library.mk
include mk/kernel.mk
include mk/user.mk
include mk/hosted.mk
include mk/malloc.mk
include mk/linux.mk

.PHONY: help
help:
	@sed -n 's/^## \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

## Loam: the memory layer of a kernel, a kernel to run it, and its tests.
##
##   make run            boot the kernel in QEMU, with a shell on the serial port
##     MEM=128M            size of its memory
##     BOOT=multiboot      or bios (our own boot disk), or grub (an ISO), or uefi
##                         (the same by UEFI firmware; ARCH=x86_64)
##     ARCH=i386           or x86_64: four levels of page tables, or five with
##                         APPEND=levels=5
##     SMP=1               its CPUs, at most 16
##     NUMA=1              memory nodes, among which memory and CPUs are shared out
##     LAYOUT=higher       the kernel at 0xC0100000; or identity: at 1 MiB, every
##                         address of 4 GiB being its physical one
##     PAE=1               three levels of page tables: all memory above 4 GiB, and
##                         no-execute where the CPU has it (ARCH=i386)
##     HEAP=slab           what is behind kmalloc: slab, bestfit, block, list,
##                         list:next, list:best, tlsf, buddy or pages
##     PAGES=buddy         who hands out page frames; or xv6: a list through them
##     TLB=auto            how translations are flushed; or invlpg, cr3
##     CMD="test; zones"   run these commands, then power off; the exit status
##                         says whether all went well
##     DEBUG=1             assertions on, optimised for stepping through
##     GDB=1               wait for a debugger on port 1234
##   make test           everything: unit tests in five builds, tools, fuzzers,
##                       static checks, the kernel with every pair of layout, boot
##                       path, size, heap, CPU, ... (tests/qemu/matrix*)
##     SUITES="unit check" only these of: check example unit
##                         tools malloc fuzz debug boot
##   make quick          the unit tests in one build, and the static checks
##   make check          the static checks alone
##   make fuzz           every fuzzer for FUZZ_SECONDS=600, at most JOBS at once
##   make coverage       lines and branches of src/ the unit tests reach
##   make soak           the kernel's tests on the same pairs, ROUNDS=20 times in a
##                       row
##   make malloc         build/libloam-malloc.so, malloc for LD_PRELOAD
##   make heap-figures   measure the heaps for docs/heaps.md, and draw its pictures
##   make bench          that and the frames against others, on two idle cores:
##                       a table, build/bench.json and build/bench.html
##   make bench-kernel   instructions per operation, also by 8 CPUs at once, and
##                       what bring-up costs
##   make bench-linux    the same of Debian's own Linux in the same machine, beside
##                       Loam's for x86-64, and the ratios; the packages are unpacked
##                       into build/bench-linux, not installed
##   make lib            build/libloam.a for another kernel: ARCH=i386 or x86_64,
##                       CC=gcc or clang, CONFIG=your_config.h, LIB_CFLAGS=...
##   make install        the library and its headers to PREFIX=/usr/local
##   make kernel         build/kernel-i386.elf alone (LAYOUT=identity:
##                       build/kernel-i386-identity.elf; PAE=1:
##                       build/kernel-i386-pae.elf; ARCH=x86_64:
##                       build/kernel-x86_64.elf)
##   make format         clang-format over every C file
##   make clean          remove build/
##
## V=1 shows the commands. JOBS=n sets how many run at once. On Debian and its
## derivatives run, test and the like first install what they lack.

# ---------------------------------------------------------------- running

.PHONY: run kernel
run:
	@scripts/deps.sh run $(filter grub uefi,$(BOOT))
	@$(MAKE_JOBS) kernel programs
	@scripts/run KERNEL='$(KERNEL)' BOOT='$(BOOT)' MEM='$(MEM)' NUMA='$(NUMA)' \
		MODULES='$(PROGRAMS)' \
		SMP='$(SMP)' CMD=$(call quote,$(CMD)) GDB='$(GDB)'

kernel: $(KERNEL) $(BOOT_PARTS)
	@:

.PHONY: soak
soak:
	@scripts/deps.sh test
	@$(MAKE_JOBS) kernel programs
	@$(MAKE_JOBS) LAYOUT=identity kernel
	@$(MAKE_JOBS) PAE=1 kernel
	@$(MAKE_JOBS) PAE=1 LAYOUT=identity kernel
	@scripts/soak '$(KERNEL)' build '$(ROUNDS)'

.PHONY: bench-kernel
bench-kernel:
	@scripts/deps.sh run
	@$(MAKE_JOBS) kernel programs build/qemu-lines.so
	@scripts/bench-kernel '$(KERNEL)' build/bench-kernel.json '$(PROGRAMS)' \
		build/qemu-lines.so

.PHONY: bench-linux
bench-linux:
	@scripts/deps.sh linux
	@$(MAKE_JOBS) ARCH=x86_64 LAYOUT=higher PAE=0 kernel programs linux-programs
	@scripts/bench-linux build/kernel-x86_64.elf build/programs-x86_64.tar \
		build/bench-linux

.PHONY: heap-figures
heap-figures:
	@scripts/deps.sh tools
	@$(MAKE_JOBS) build/loam
	@python3 tools/page/figures.py build/loam

# ---------------------------------------------------------------- testing

.PHONY: test test-programs quick check check-programs fuzz fuzz-programs
.PHONY: coverage
test:
	@scripts/deps.sh test
	@$(MAKE_JOBS) test-programs
	@$(MAKE_JOBS) LAYOUT=identity kernel
	@$(MAKE_JOBS) PAE=1 LAYOUT=higher kernel
	@$(MAKE_JOBS) PAE=1 LAYOUT=identity kernel
	@$(MAKE_JOBS) ARCH=x86_64 LAYOUT=higher kernel programs
	@$(MAKE_JOBS) DEBUG=1 kernel
	@$(MAKE_JOBS) ARCH=x86_64 LAYOUT=higher PAE=0 DEBUG=1 kernel
	@JOBS='$(JOBS)' VARIANTS='$(VARIANTS)' KERNEL='$(KERNEL)' \
		scripts/run-tests $(SUITES)

quick:
	@scripts/deps.sh check
	@$(MAKE_JOBS) unit-gcc64 unit-threads check-programs
	@JOBS='$(JOBS)' VARIANTS=gcc64 scripts/run-tests unit check

check:
	@scripts/deps.sh check
	@$(MAKE_JOBS) check-programs
	@JOBS='$(JOBS)' scripts/run-tests check

fuzz:
	@scripts/deps.sh fuzz
	@$(MAKE_JOBS) fuzz-programs
	@JOBS='$(JOBS)' FUZZ_SECONDS='$(FUZZ_SECONDS)' scripts/run-tests fuzz

coverage:
	@scripts/deps.sh coverage
	@$(MAKE_JOBS) unit-coverage
	@scripts/coverage build/coverage $(UNIT_TESTS)

test-programs: $(VARIANTS:%=unit-%) tools fuzz-programs check-programs kernel
test-programs: example unit-threads malloc-programs programs build/qemu-lines.so
	@:
check-programs: $(LIBRARY_CHECKS)
	@:
fuzz-programs: $(FUZZERS)
	@:

# ---------------------------------------------------------------- the rest

.PHONY: format clean
format:
	@scripts/deps.sh format
	@scripts/check-format.sh --fix

clean:
	rm -rf build

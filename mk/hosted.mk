# SPDX-License-Identifier: MIT
# The hosted build: unit tests in several variants, tools, fuzzers, the example.

UNIT_TESTS := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ_TESTS := $(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/fuzz_*.c)))
COMMON_TESTS := $(sort $(wildcard tests/common/*.c))
HOSTED_SOURCES := $(sort $(wildcard hosted/*.c))
TOOL_SOURCES := $(sort $(wildcard tools/loam/*.c)) build/page/lab_page.c
# What a unit test of the laboratory needs of it.
LAB_PARTS := $(patsubst %,tools/loam/lab_%.c,generate history trace work)
PAGE_SOURCES := $(wildcard tools/page/page.*) $(wildcard third_party/uplot/*)

# Files of 64 bits on 32-bit hosts too: simulated memory may be large.
HOSTED_CFLAGS := $(BASE_CFLAGS) -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 -Ihosted \
	-Itests/unit -Itests/common -Itools/loam -DLOAM_CONFIG_FILE='"loam_config.h"' -pthread -g

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
DEBUG_ON := -O1 -fno-omit-frame-pointer -DLOAM_DEBUG=1 -DLOAM_DEBUG_SLOW=1

# gcc cannot see that what a test expects to panic changes no local variable.
GCC_HOSTED := $(GCC) -Wno-clobbered

# The variants: sanitizers and assertions on for both widths and compilers, and
# the code as a user would build it, without either.
VARIANTS := gcc64 gcc32 clang64 clang32 release
VARIANT_gcc64 := $(GCC_HOSTED) -m64 $(DEBUG_ON) $(SANITIZE)
VARIANT_gcc32 := $(GCC_HOSTED) -m32 $(DEBUG_ON) $(SANITIZE)
VARIANT_clang64 := $(CLANG) -m64 $(DEBUG_ON) $(SANITIZE)
VARIANT_clang32 := $(CLANG) -m32 $(DEBUG_ON) $(SANITIZE)
# A kernel has no vector registers either.
VARIANT_release := $(GCC_HOSTED) -m64 -O2 -DNDEBUG -fno-tree-vectorize
# The laboratory measures heaps on one CPU that nothing interrupts: none of the
# designs keeps other CPUs or interrupts out, so the slabs need not either.
VARIANT_lab := $(VARIANT_release) -DLOAM_MAX_CPUS=1 -DLOAM_CPU_INTERRUPTS=0 \
	-DLOAM_SLAB_TOP_STORED=1
VARIANT_tsan := $(CLANG) -m64 $(DEBUG_ON) -fsanitize=thread
VARIANT_coverage := $(GCC_HOSTED) -m64 -O0 --coverage -DLOAM_DEBUG=1
VARIANT_fuzz := $(CLANG) -m64 $(DEBUG_ON) $(SANITIZE) -fsanitize=fuzzer-no-link

# $(call objects,variant,sources)
objects = $(2:%.c=build/$(1)/%.o)

# What of the kernel reads files that may hold anything.
KERNEL_PARSERS := kernel/elf.c kernel/archive.c

# What every program of a variant is linked with.
common_objects = $(call objects,$(1),$(HOSTED_SOURCES) $(LIBRARY_SOURCES) \
	$(KERNEL_PARSERS))

# $(call link,flags): a program of all prerequisites.
define link
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(1) -pthread $^ -o $@
endef

# $(call hosted_variant,variant): objects, unit tests and the tool.
define hosted_variant
build/$(1)/%.o: %.c $$(MAKEFILES_READ)
	$$(call compile,$$(VARIANT_$(1)) $$(HOSTED_CFLAGS))

$$(UNIT_TESTS:%=build/$(1)/%): build/$(1)/%: build/$(1)/tests/unit/%.o \
		build/$(1)/tests/unit/test.o \
		$$(call objects,$(1),$(COMMON_TESTS)) \
		$$(call common_objects,$(1))
	$$(call link,$$(VARIANT_$(1)))

build/$(1)/test_lab: $$(call objects,$(1),$$(LAB_PARTS))

build/$(1)/loam: $$(call objects,$(1),$$(TOOL_SOURCES)) \
		$$(call common_objects,$(1))
	$$(call link,$$(VARIANT_$(1)))

.PHONY: unit-$(1)
unit-$(1): $$(UNIT_TESTS:%=build/$(1)/%)
	@:

.SECONDARY: $$(call objects,$(1),$$(UNIT_TESTS:%=tests/unit/%.c))
$$(call include_deps,$$(call objects,$(1),$$(UNIT_TESTS:%=tests/unit/%.c) \
	tests/unit/test.c $$(COMMON_TESTS) $$(HOSTED_SOURCES) $$(LIBRARY_SOURCES) \
	$$(TOOL_SOURCES)))
endef
$(foreach variant,$(VARIANTS) lab tsan coverage fuzz,$(eval \
	$(call hosted_variant,$(variant))))

# Those that run threads are tried for data races too.
.PHONY: unit-threads
unit-threads: $(patsubst %,build/tsan/%,$(filter %_threads,$(UNIT_TESTS)))
	@:

# ------------------------------------------------ the tool

# build/loam is the one for use; the other has the sanitizers, for its tests.
.PHONY: tools
tools: build/loam build/gcc64/loam build/gcc64/loam-record.so build/record-probe

build/loam: build/lab/loam build/loam-record.so
	$(call say,COPY,$@)
	$(Q)cp $< $@

# The page of `loam lab --html`, plotting library and all, is in the tool.
build/page/lab_page.c: scripts/mkpage $(PAGE_SOURCES) $(MAKEFILES_READ)
	$(call say,PAGE,$@)
	@mkdir -p $(@D)
	$(Q)scripts/mkpage tools/page/page.html >$@

# What `loam record` puts into other programs; it looks for it beside itself.
RECORD_CFLAGS := $(BASE_CFLAGS) -D_GNU_SOURCE= -D_FILE_OFFSET_BITS=64 -O2 -g \
	-fPIC -fvisibility=hidden -fno-builtin -pthread

build/record/preload.o: tools/record/preload.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(RECORD_CFLAGS))

build/loam-record.so build/gcc64/loam-record.so: build/record/preload.o
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(GCC) -shared -pthread $^ -ldl -o $@

# A program with known allocations, for the recorder's test.
build/record-probe: tests/tools/record_probe.c $(MAKEFILES_READ)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(GCC) $(BASE_CFLAGS) -D_GNU_SOURCE= -O1 -g -fno-builtin -pthread -MMD -MP \
		$< -o $@

-include build/record/preload.d build/record-probe.d

# ------------------------------------------------ the emulator's plugin

build/qemu-lines.so: tools/qemu/lines.c $(MAKEFILES_READ)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(GCC) $(BASE_CFLAGS) -O2 -g -fPIC -fvisibility=hidden -shared -MMD -MP \
		$< -o $@

-include build/qemu-lines.d

# ------------------------------------------------ fuzzers

FUZZERS := $(FUZZ_TESTS:%=build/fuzz/%)

# The parsers of the tool are fuzzed as well.
FUZZ_KERNEL := $(wildcard kernel/bootinfo*.c) kernel/cmdline.c
FUZZ_OBJECTS := $(call common_objects,fuzz) $(call objects,fuzz,$(FUZZ_KERNEL)) \
	$(call objects,fuzz,$(filter-out %/main.c,$(TOOL_SOURCES)))

$(FUZZERS): build/fuzz/%: build/fuzz/fuzz/%.o $(FUZZ_OBJECTS)
	$(call link,$(VARIANT_fuzz) -fsanitize=fuzzer)

.SECONDARY: $(call objects,fuzz,$(FUZZ_TESTS:%=fuzz/%.c))
$(call include_deps,$(call objects,fuzz,$(FUZZ_TESTS:%=fuzz/%.c)))

# ------------------------------------------------ the example of the README

# A kernel that links the library as any other would: the archive, the public
# headers, its own flags.
EXAMPLE_CFLAGS := $(BASE_CFLAGS) -m32 -march=i486 -mgeneral-regs-only \
	-ffreestanding -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -O2

.PHONY: example
example: build/example/minimal.elf

build/example/minimal.o: examples/minimal/kernel.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(EXAMPLE_CFLAGS))

build/example/minimal.elf: build/example/minimal.o examples/minimal/kernel.ld \
		build/check/i386-gcc/libloam.a
	$(call say,LINK,$@)
	$(Q)ld -m elf_i386 -nostdlib -z max-page-size=4096 \
		-T examples/minimal/kernel.ld $< \
		build/check/i386-gcc/libloam.a -o $@

-include build/example/minimal.d

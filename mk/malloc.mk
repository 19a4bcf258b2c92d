# SPDX-License-Identifier: MIT
# build/libloam-malloc.so: the library as a replacement of malloc.

MALLOC_SOURCES := $(sort $(wildcard hosted/malloc/*.c))

# Whatever of the library is not used is left out by the linker. The rest is
# memory of every process: so what allocation does not go through is compiled
# small, and only what exceptions pass through has tables for them.
MALLOC_CFLAGS := $(BASE_CFLAGS) -D_GNU_SOURCE= -Ihosted/malloc \
	-DLOAM_CONFIG_FILE='"loam_malloc_config.h"' -DNDEBUG -g -fPIC \
	-fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition \
	-fno-plt -fno-builtin-malloc -fno-stack-protector -pthread \
	-ffunction-sections -fdata-sections
MALLOC_OBJECTS := $(call objects,malloc,$(MALLOC_SOURCES) $(LIBRARY_SOURCES))

MALLOC_FAST := $(filter hosted/malloc/% src/slab/% src/kspace/arena.c \
	src/frame/buddy.c src/frame/frame.c src/frame/percpu.c src/frame/tract.c, \
	$(MALLOC_SOURCES) $(LIBRARY_SOURCES))
MALLOC_OPTIMISE := -Os
MALLOC_UNWIND := -fno-asynchronous-unwind-tables
$(call objects,malloc,$(MALLOC_FAST)): MALLOC_OPTIMISE := -O2
build/malloc/hosted/malloc/new.o: MALLOC_UNWIND := -fexceptions

build/malloc/%.o: %.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(MALLOC_CFLAGS) $(MALLOC_OPTIMISE) $(MALLOC_UNWIND))

build/libloam-malloc.so: $(MALLOC_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(GCC) -shared -Wl,-Bsymbolic -Wl,-z,now -Wl,-z,defs \
		-Wl,-z,pack-relative-relocs -Wl,--gc-sections -Wl,-soname,$(@F) -pthread $^ -o $@

.PHONY: malloc
malloc: build/libloam-malloc.so

$(call include_deps,$(MALLOC_OBJECTS))

# ------------------------------------------------ its tests

MALLOC_TESTS := build/malloc/test_malloc build/malloc/test_new
MALLOC_TEST_FLAGS := -Wall -Wextra -Werror -D_GNU_SOURCE -fno-builtin -O1 -g \
	-pthread
GXX ?= $(patsubst %gcc,%g++,$(GCC))

build/malloc/test_malloc: tests/malloc/test_malloc.c $(MAKEFILES_READ)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(GCC) -std=c17 $(MALLOC_TEST_FLAGS) $< -o $@

build/malloc/test_new: tests/malloc/test_new.cc $(MAKEFILES_READ)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(GXX) -std=c++17 $(MALLOC_TEST_FLAGS) $< -o $@

.PHONY: malloc-programs
malloc-programs: build/libloam-malloc.so $(MALLOC_TESTS)
	@:
# ------------------------------------------------ benchmarks

BENCH_PROGRAMS := build/bench/workloads build/bench/measure \
	build/bench/frames build/bench/arena
BENCH_CFLAGS := $(BASE_CFLAGS) -D_GNU_SOURCE -O2 -g -fno-builtin -pthread

build/bench/workloads build/bench/measure: build/bench/%: bench/%.c \
		$(MAKEFILES_READ)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(GCC) $(BENCH_CFLAGS) $< -o $@

build/bench/frames: build/release/bench/frames.o \
		$(call common_objects,release)
	$(call link,$(VARIANT_release))

# As the laboratory: one heap on one CPU.
build/bench/arena: build/lab/bench/arena.o $(call common_objects,lab)
	$(call link,$(VARIANT_lab))

$(call include_deps,$(call objects,release,bench/frames.c) \
	$(call objects,lab,bench/arena.c))

.PHONY: bench
bench:
	@scripts/deps.sh bench
	@$(MAKE_JOBS) build/libloam-malloc.so build/loam $(BENCH_PROGRAMS)
	@bench/bench.py

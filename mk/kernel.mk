# SPDX-License-Identifier: MIT
# The reference kernel, and what the boot disk is made of.

# ARCH=i386 or x86_64: kernel/ is what all have in common, kernel/x86/ what
# PCs of either width have, kernel/$(ARCH)/ the rest; kernel/arch.h tells what
# an architecture has to have.
# LAYOUT: which addresses it uses, kernel/$(ARCH)/layout_$(LAYOUT).h, and where it
# is linked, above its place in memory.
KERNEL_BASE_i386_higher := 0xC0000000
KERNEL_BASE_i386_identity := 0
KERNEL_BASE_x86_64_higher := 0xffffffff80000000
KERNEL_BASE = $(or $(KERNEL_BASE_$(ARCH)_$(LAYOUT)),$(error no LAYOUT=$(LAYOUT) \
	for $(ARCH)))

# PAE=1: an i386 kernel with three levels of tables, in a file of its own.
ifneq ($(filter-out 0,$(PAE)),)
$(if $(filter i386,$(ARCH)),,$(error PAE=$(PAE) is for ARCH=i386))
endif

KERNEL_NAME := kernel-$(ARCH)$(if $(filter 1,$(PAE)),-pae)$(if $(filter \
	identity,$(LAYOUT)),-identity)$(if $(filter 1,$(DEBUG)),-debug)
KERNEL := build/$(KERNEL_NAME).elf
KERNEL_DIR := build/$(KERNEL_NAME)

KERNEL_SOURCES := $(sort $(wildcard kernel/*.c kernel/x86/*.c \
	kernel/$(ARCH)/*.c tests/kernel/*.c tests/kernel/$(ARCH)/*.c \
	tests/common/heap_suite*.c))
KERNEL_ASM := $(sort $(wildcard kernel/$(ARCH)/*.asm))
# Seed 003's directories have two levels.
ifeq ($(PAE),1)
KERNEL_SOURCES := $(filter-out %/seed_paging.c %/test_seed_paging.c, \
	$(KERNEL_SOURCES))
KERNEL_ASM := $(filter-out %/seed_paging.asm,$(KERNEL_ASM))
endif
KERNEL_LD := kernel/$(ARCH)/kernel.ld

# Arguments in registers: the kernel calls nobody it was not compiled with.
KERNEL_ARCH_i386 := -m32 -march=i486 -mtune=generic \
	-mpreferred-stack-boundary=2 -mregparm=3
KERNEL_NASM_i386 := elf32
KERNEL_LD_i386 := elf_i386

# Linked into the last 2 GiB; an interrupt would write over a red zone.
KERNEL_ARCH_x86_64 := -m64 -mtune=generic -mcmodel=kernel -mno-red-zone
KERNEL_NASM_x86_64 := elf64
KERNEL_LD_x86_64 := elf_x86_64

KERNEL_CFLAGS := $(BASE_CFLAGS) $(KERNEL_ARCH_$(ARCH)) -ffreestanding \
	-fno-pie -mgeneral-regs-only -fno-stack-protector \
	-fno-asynchronous-unwind-tables -Ikernel -Ikernel/$(ARCH) -Ikernel/x86 -Itests/common \
	-DLOAM_CONFIG_FILE='"loam_kernel_config.h"' \
	-DKERNEL_LAYOUT_FILE='"layout_$(LAYOUT).h"' -DKERNEL_PAE=$(if $(filter \
	1,$(PAE)),1,0) \
	$(if $(filter 1,$(DEBUG)),-O1 -g -fno-omit-frame-pointer \
		-foptimize-sibling-calls -DLOAM_DEBUG=1,-O2)

# A stack trace follows frame pointers, so the kernel's own files keep theirs;
# the library's hot paths do without, and so do kmalloc and kfree, which jump
# to it, so that its reports name their callers. Debug builds keep all of them.
KERNEL_OWN_CFLAGS := -fno-omit-frame-pointer -fno-optimize-sibling-calls
KERNEL_HOT := $(KERNEL_DIR)/kernel/alloc.o $(KERNEL_DIR)/kernel/x86/spin.o

KERNEL_LIBRARY_OBJECTS := $(LIBRARY_SOURCES:%.c=$(KERNEL_DIR)/%.o)
KERNEL_OWN_OBJECTS := $(KERNEL_SOURCES:%.c=$(KERNEL_DIR)/%.o)
KERNEL_ASM_OBJECTS := $(KERNEL_ASM:%.asm=$(KERNEL_DIR)/%.asm.o)
KERNEL_OBJECTS := $(KERNEL_ASM_OBJECTS) $(KERNEL_OWN_OBJECTS) \
	$(KERNEL_LIBRARY_OBJECTS)
KERNEL_LINK = ld -m $(KERNEL_LD_$(ARCH)) -nostdlib -z max-page-size=4096 \
	--no-warn-rwx-segments --defsym kernel_base=$(KERNEL_BASE) -T $(KERNEL_LD)

$(KERNEL_LIBRARY_OBJECTS): $(KERNEL_DIR)/%.o: %.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(KERNEL_CFLAGS))

$(KERNEL_OWN_OBJECTS): $(KERNEL_DIR)/%.o: %.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(KERNEL_CFLAGS) \
		$(if $(filter $@,$(KERNEL_HOT)),,$(KERNEL_OWN_CFLAGS)))

$(KERNEL_ASM_OBJECTS): $(KERNEL_DIR)/%.asm.o: %.asm $(MAKEFILES_READ)
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)nasm -f $(KERNEL_NASM_$(ARCH)) -w+error -Ikernel/$(ARCH)/ \
		-DKERNEL_BASE=$(KERNEL_BASE) -DKERNEL_PAE=$(if $(filter \
		1,$(PAE)),1,0) -MD $(@:.o=.d) -MP $< -o $@

# Two links: the first tells where every function is, the second holds a table
# of that for stack traces. The linker script puts text before the table, so
# that what the first says is true of the second; this is checked.
$(KERNEL_DIR)/pass1.elf: $(KERNEL_OBJECTS) $(KERNEL_LD)
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) $(KERNEL_OBJECTS) -o $@

$(KERNEL_DIR)/symbols.c: $(KERNEL_DIR)/pass1.elf scripts/mksyms.awk
	$(call say,SYMS,$@)
	$(Q)nm -n $< | awk -f scripts/mksyms.awk >$@

$(KERNEL_DIR)/symbols.o: $(KERNEL_DIR)/symbols.c
	$(call compile,$(GCC) $(KERNEL_CFLAGS))

$(KERNEL): $(KERNEL_OBJECTS) $(KERNEL_DIR)/symbols.o
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) $^ -o $@
	$(Q)for elf in $(KERNEL_DIR)/pass1.elf $@; do \
		nm $$elf | grep -i ' t ' | cksum; \
	done | uniq | wc -l | grep -qx 1 || \
		{ echo "$@: functions moved between the links" >&2; exit 1; }

$(call include_deps,$(KERNEL_OBJECTS))

# ------------------------------------------------ the boot disk

BOOT_PARTS := build/boot/stage1.bin build/boot/stage2.bin build/mkdisk

build/boot/%.bin: kernel/bios/%.asm $(MAKEFILES_READ)
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)nasm -f bin -w+error -Ikernel/bios/ -MD $@.d -MP $< -o $@

build/mkdisk: tools/mkdisk.c $(MAKEFILES_READ)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(GCC) $(BASE_CFLAGS) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O1 -g \
		-Ikernel/bios -MMD -MP $< -o $@

-include build/boot/stage1.bin.d build/boot/stage2.bin.d build/mkdisk.d

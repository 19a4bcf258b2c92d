# SPDX-License-Identifier: MIT
# User programs: a small library, one ELF file for each, one archive of all.

# The same sources for each ARCH, and user/$(ARCH)/ for how a program begins and
# calls, with programs that only it has.
USER_NAME := user$(if $(filter x86_64,$(ARCH)),-x86_64)
USER_DIR := build/$(USER_NAME)
USER_PROGRAM_SOURCES := $(sort $(wildcard user/programs/*.c \
	user/$(ARCH)/programs/*.c))
USER_PROGRAMS := $(sort $(basename $(notdir $(USER_PROGRAM_SOURCES))))
USER_LIB_SOURCES := $(sort $(wildcard user/lib/*.c))
# What of the library a program may use: formatted text and heaps; and for a
# malloc by slabs the floors from the memory map to kmalloc.
USER_FLOORS := host base heap memmap memblock frame pt kspace slab kmalloc
USER_LOAM_SOURCES := $(sort $(foreach floor,$(USER_FLOORS),$(wildcard src/$(floor)/*.c)))

USER_ARCH_i386 := -m32 -march=i486
USER_NASM_i386 := elf32
USER_LD_i386 := elf_i386
USER_ARCH_x86_64 := -m64
USER_NASM_x86_64 := elf64
USER_LD_x86_64 := elf_x86_64

USER_CFLAGS := $(BASE_CFLAGS) $(USER_ARCH_$(ARCH)) -mtune=generic -ffreestanding \
	-fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections -Os -Iuser/include -Iuser/$(ARCH) \
	-DLOAM_CONFIG_FILE='"$(CURDIR)/user/user_config.h"'

USER_C_OBJECTS := $(USER_LIB_SOURCES:%.c=$(USER_DIR)/%.o) \
	$(USER_LOAM_SOURCES:%.c=$(USER_DIR)/%.o)
USER_ASM_OBJECTS := $(patsubst %.asm,$(USER_DIR)/%.asm.o,$(sort \
	$(wildcard user/$(ARCH)/*.asm)))
USER_CRT0 := $(USER_DIR)/user/$(ARCH)/crt0.asm.o
USER_LIB_OBJECTS := $(USER_C_OBJECTS) $(filter-out $(USER_CRT0),$(USER_ASM_OBJECTS))
USER_PROGRAM_OBJECTS := $(USER_PROGRAM_SOURCES:%.c=$(USER_DIR)/%.o)
USER_ELFS := $(USER_PROGRAMS:%=$(USER_DIR)/bin/%)
PROGRAMS := build/programs$(USER_NAME:user%=%).tar

$(USER_C_OBJECTS) $(USER_PROGRAM_OBJECTS): $(USER_DIR)/%.o: %.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(USER_CFLAGS))

$(USER_ASM_OBJECTS): $(USER_DIR)/%.asm.o: %.asm $(MAKEFILES_READ)
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)nasm -f $(USER_NASM_$(ARCH)) -w+error -MD $(@:.o=.d) -MP $< -o $@

$(USER_DIR)/libuser.a: $(USER_LIB_OBJECTS)
	$(call archive)

# No program may want anything that is neither its own nor in the library.
define user_program
$(USER_DIR)/bin/$(basename $(notdir $(1))): $(USER_DIR)/$(1:.c=.o) \
		$(USER_CRT0) $(USER_DIR)/libuser.a user/user.ld
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)ld -m $(USER_LD_$(ARCH)) -nostdlib -z max-page-size=4096 --gc-sections \
		-s -T user/user.ld $$(filter %.o %.a,$$^) -o $$@
endef
$(foreach source,$(USER_PROGRAM_SOURCES),$(eval $(call user_program,$(source))))

# The same bytes whoever makes it, and whenever.
$(PROGRAMS): $(USER_ELFS)
	$(call say,TAR,$@)
	$(Q)tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 \
		--numeric-owner --mode=0755 -C $(USER_DIR)/bin -cf $@ $(USER_PROGRAMS)

.PHONY: programs
programs: $(PROGRAMS)
	@:

$(call include_deps,$(USER_LIB_OBJECTS) $(USER_PROGRAM_OBJECTS) $(USER_CRT0))

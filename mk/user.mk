# SPDX-License-Identifier: MIT
# User programs: a small library, one ELF file for each, one archive of all.

USER_DIR := build/user
USER_PROGRAMS := $(patsubst user/programs/%.c,%,$(sort $(wildcard user/programs/*.c)))
USER_LIB_SOURCES := $(sort $(wildcard user/lib/*.c))
# What of the library a program may use: formatted text and heaps; and for a
# malloc by slabs the floors from the memory map to kmalloc.
USER_FLOORS := host base heap memmap memblock frame pt kspace slab kmalloc
USER_LOAM_SOURCES := $(sort $(foreach floor,$(USER_FLOORS),$(wildcard src/$(floor)/*.c)))

USER_CFLAGS := $(BASE_CFLAGS) -m32 -march=i486 -mtune=generic -ffreestanding \
	-fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
	-ffunction-sections -fdata-sections -Os -Iuser/include \
	-DLOAM_CONFIG_FILE='"$(CURDIR)/user/user_config.h"'

USER_LIB_OBJECTS := $(USER_LIB_SOURCES:%.c=$(USER_DIR)/%.o) \
	$(USER_LOAM_SOURCES:%.c=$(USER_DIR)/%.o)
USER_PROGRAM_OBJECTS := $(USER_PROGRAMS:%=$(USER_DIR)/user/programs/%.o)
USER_ELFS := $(USER_PROGRAMS:%=$(USER_DIR)/bin/%)
PROGRAMS := build/programs.tar

$(USER_LIB_OBJECTS) $(USER_PROGRAM_OBJECTS): $(USER_DIR)/%.o: %.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(USER_CFLAGS))

$(USER_DIR)/crt0.o: user/lib/crt0.asm $(MAKEFILES_READ)
	$(call say,NASM,$@)
	@mkdir -p $(@D)
	$(Q)nasm -f elf32 -w+error -MD $(@:.o=.d) -MP $< -o $@

$(USER_DIR)/libuser.a: $(USER_LIB_OBJECTS)
	$(call archive)

# No program may want anything that is neither its own nor in the library.
$(USER_ELFS): $(USER_DIR)/bin/%: $(USER_DIR)/user/programs/%.o $(USER_DIR)/crt0.o \
		$(USER_DIR)/libuser.a user/user.ld
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)ld -m elf_i386 -nostdlib -z max-page-size=4096 --gc-sections -s \
		-T user/user.ld $(filter %.o %.a,$^) -o $@

# The same bytes whoever makes it, and whenever.
$(PROGRAMS): $(USER_ELFS)
	$(call say,TAR,$@)
	$(Q)tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 \
		--numeric-owner --mode=0755 -C $(USER_DIR)/bin -cf $@ $(USER_PROGRAMS)

.PHONY: programs
programs: $(PROGRAMS)
	@:

$(call include_deps,$(USER_LIB_OBJECTS) $(USER_PROGRAM_OBJECTS))

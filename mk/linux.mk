# SPDX-License-Identifier: MIT
# What Linux is measured with: its first process, and our bench as its program.

# The very program that measures Loam's calls, faults and forks, with the calls
# of bench/linux/ in the place of Loam's. The module is built by Linux's own
# build, see scripts/bench-linux. These are for ARCH=x86_64.
LINUX_DIR := build/bench-linux
LINUX_OBJECTS := $(LINUX_DIR)/init.o $(LINUX_DIR)/bench.o $(LINUX_DIR)/calls.o
LINUX_PROGRAMS := $(LINUX_DIR)/initramfs/init $(LINUX_DIR)/initramfs/bench
# Its <machine.h> stands before that of user/x86_64/.
LINUX_CFLAGS = -Ibench/linux $(USER_CFLAGS)

$(LINUX_DIR)/init.o $(LINUX_DIR)/calls.o: $(LINUX_DIR)/%.o: bench/linux/%.c \
		$(MAKEFILES_READ)
	$(call compile,$(GCC) $(LINUX_CFLAGS))

$(LINUX_DIR)/bench.o: user/programs/bench.c $(MAKEFILES_READ)
	$(call compile,$(GCC) $(LINUX_CFLAGS))

$(LINUX_PROGRAMS): $(LINUX_DIR)/initramfs/%: $(LINUX_DIR)/%.o \
		$(LINUX_DIR)/calls.o $(USER_CRT0) $(USER_DIR)/libuser.a user/user.ld
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)ld -m $(USER_LD_$(ARCH)) -nostdlib -z max-page-size=4096 --gc-sections \
		-s -T user/user.ld $(filter %.o %.a,$^) -o $@

.PHONY: linux-programs
linux-programs: $(LINUX_PROGRAMS)
	@:

$(call include_deps,$(LINUX_OBJECTS))

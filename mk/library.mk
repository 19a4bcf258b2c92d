# SPDX-License-Identifier: MIT
# The library as another kernel links it: freestanding, one archive.

# Flags of each architecture. Kernel code keeps to general registers, and an
# x86-64 kernel has no red zone: an interrupt would write over it.
LIBRARY_ARCH_i386 := -m32 -march=i486 -mgeneral-regs-only
LIBRARY_ARCH_x86_64 := -m64 -mgeneral-regs-only -mno-red-zone
LIBRARY_CFLAGS := $(BASE_CFLAGS) -ffreestanding -fno-pie -O2 \
	-fno-stack-protector -fno-asynchronous-unwind-tables
LIB_CFLAGS ?=

# A host's own configuration header, see include/loam/config.h.
CONFIG_CFLAGS := $(if $(CONFIG),-DLOAM_CONFIG_FILE='"$(abspath $(CONFIG))"')

# ------------------------------------------------ build/libloam.a, for a user

LIB_DIR := build/lib
LIB_OBJECTS := $(LIBRARY_SOURCES:%.c=$(LIB_DIR)/%.o)
LIB_COMMAND := $(CC) $(LIBRARY_CFLAGS) $(LIBRARY_ARCH_$(ARCH)) \
	$(CONFIG_CFLAGS) $(LIB_CFLAGS)

.PHONY: lib FORCE
lib: build/libloam.a

# Built anew when the command that compiles it is another one.
$(LIB_DIR)/command: FORCE
	$(if $(LIBRARY_ARCH_$(ARCH)),,$(error ARCH is i386 or x86_64))
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(LIB_COMMAND)) | cmp -s - $@ || \
		printf '%s\n' $(call quote,$(LIB_COMMAND)) >$@

$(LIB_OBJECTS): $(LIB_DIR)/%.o: %.c $(LIB_DIR)/command $(MAKEFILES_READ)
	$(call compile,$(LIB_COMMAND))

build/libloam.a: $(LIB_OBJECTS)
	$(call archive)

$(call include_deps,$(LIB_OBJECTS))

# ------------------------------------------------ make install

INCLUDEDIR := $(PREFIX)/include
LIBDIR := $(PREFIX)/lib

.PHONY: install
install: lib
	install -d $(DESTDIR)$(INCLUDEDIR)/loam $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 include/loam/*.h $(DESTDIR)$(INCLUDEDIR)/loam
	$(if $(CONFIG),install -m 644 $(CONFIG) \
		$(DESTDIR)$(INCLUDEDIR)/loam/host_config.h)
	install -m 644 build/libloam.a $(DESTDIR)$(LIBDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@CONFIG@|$(if \
		$(CONFIG),-DLOAM_CONFIG_FILE=\\"loam/host_config.h\\")|' \
		mk/loam.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/loam.pc

# ------------------------------------------------ for the static checks

# Each architecture with each compiler: build/check/i386-gcc/libloam.a, ...
LIBRARY_CHECKS := $(foreach arch,i386 x86_64,$(foreach \
	compiler,gcc clang,build/check/$(arch)-$(compiler)/libloam.a))

CHECK_CC_gcc := $(GCC)
CHECK_CC_clang := $(CLANG)

# $(call library_check,arch,compiler)
define library_check
build/check/$(1)-$(2)/%.o: %.c $$(MAKEFILES_READ)
	$$(call compile,$$(CHECK_CC_$(2)),$$(LIBRARY_CFLAGS) $$(LIBRARY_ARCH_$(1)))

build/check/$(1)-$(2)/libloam.a: \
		$$(LIBRARY_SOURCES:%.c=build/check/$(1)-$(2)/%.o)
	$$(call archive)

$$(call include_deps,$$(LIBRARY_SOURCES:%.c=build/check/$(1)-$(2)/%.o))
endef
$(foreach arch,i386 x86_64,$(foreach compiler,gcc clang,$(eval \
	$(call library_check,$(arch),$(compiler)))))

# SPDX-License-Identifier: MIT
# What every build shares: the sources of the library and the warnings.

# One directory of src/ is one floor; all of them together are the library.
LIBRARY_SOURCES := $(sort $(wildcard src/*/*.c))

WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wundef -Wcast-qual \
	-Wmissing-prototypes -Wstrict-prototypes -Wvla -Werror

BASE_CFLAGS := -std=c17 $(WARNINGS) -Iinclude

# Objects depend on the makefiles too, so a change of flags rebuilds.
MAKEFILES_READ := Makefile $(wildcard mk/*.mk)

# $(call compile,compiler,flags): one object, with its dependency file.
define compile
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(1) $(2) -MMD -MP -c $< -o $@
endef

# $(call archive): an archive of all prerequisites that are objects.
define archive
	$(call say,AR,$@)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)
endef

# $(call quote,text): text as one word of the shell.
quote = '$(subst ','\'',$(1))'

# Dependency files of objects: $(call include_deps,objects)
include_deps = $(eval -include $(1:.o=.d))

/* SPDX-License-Identifier: MIT */
/* The reference kernel's configuration of the library: one CPU so far. */
#ifndef LOAM_KERNEL_CONFIG_H
#define LOAM_KERNEL_CONFIG_H

/* Per-CPU arrays have one element: a machine of 5 MiB counts its pages. */
#define LOAM_MAX_CPUS 1

/* Where the layout has them, for the slabs' fast paths: no loads. */
#include KERNEL_LAYOUT_FILE
#define LOAM_SLAB_DIRECT(slabs) ((void)(slabs), (uintptr_t)KERNEL_BASE)
#define LOAM_SLAB_SHADOW(slabs) ((void)(slabs), (uint8_t *)KERNEL_SHADOW_BASE)

#endif

/* SPDX-License-Identifier: MIT */
/* The reference kernel's configuration of the library. */
#ifndef LOAM_KERNEL_CONFIG_H
#define LOAM_KERNEL_CONFIG_H

#include "cpu_local.h"

/* Where the layout has them, for the slabs' fast paths: no loads. */
#include KERNEL_LAYOUT_FILE

/* Nodes are few where 32-bit kernels run, and the image is to be small. */
#define LOAM_FRAME_AREAS 4u

#define LOAM_SLAB_DIRECT(slabs) ((void)(slabs), (uintptr_t)KERNEL_BASE)
#define LOAM_SLAB_SHADOW(slabs) ((void)(slabs), (uint8_t *)KERNEL_SHADOW_BASE)

#endif

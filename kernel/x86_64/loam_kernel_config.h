/* SPDX-License-Identifier: MIT */
/* The reference kernel's configuration of the library. */
#ifndef LOAM_KERNEL_CONFIG_H
#define LOAM_KERNEL_CONFIG_H

#include "cpu_local.h"

/* Eight nodes, each in two pieces. */
#define LOAM_FRAME_AREAS 16u

/* layout.h's, for the slabs' fast paths: no loads to find them. */
#define KERNEL_CONFIG_DIRECT 0xffff800000000000u
#define KERNEL_CONFIG_SHADOW 0xfffff80000000000u
#define LOAM_SLAB_DIRECT(slabs) ((void)(slabs), (uintptr_t)KERNEL_CONFIG_DIRECT)
#define LOAM_SLAB_SHADOW(slabs) ((void)(slabs), (uint8_t *)KERNEL_CONFIG_SHADOW)
/* The one is the other shifted right by four bits; so it is for each byte. */
#define LOAM_SLAB_SHADOW_AT(slabs, object)                                     \
	((void)(slabs), (uint8_t *)((intptr_t)(object) >> 4))

#endif

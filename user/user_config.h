/* SPDX-License-Identifier: MIT */
/* The library's configuration in a user program: one thread. */
#ifndef USER_CONFIG_H
#define USER_CONFIG_H

#define LOAM_MAX_CPUS 1
#define LOAM_FRAME_AREAS 1u

#endif

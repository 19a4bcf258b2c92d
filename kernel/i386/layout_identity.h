/* SPDX-License-Identifier: MIT */
/* LAYOUT=identity: every address is its physical address, as in seed 003. */
#ifndef KERNEL_I386_LAYOUT_IDENTITY_H
#define KERNEL_I386_LAYOUT_IDENTITY_H

/*
 * The kernel runs where it was loaded, at 1 MiB, and its directory maps all
 * of the 4 GiB to themselves: memory as it is, and what is not memory without
 * caching, since that is where devices are.
 *
 *	0x00000000  identity: memory the kernel uses directly        256 MiB
 *	  0x00100000  the kernel
 *	  0x003FB000  the user's stack, 16 KiB      ) in a process these
 *	  0x00400000  the user's program, <= 4 MiB  ) are the user's pages
 *	0x10000000  identity; in a process, the user's: brk, maps    2.75 GiB
 *	0xC0000000  vmalloc, vmap, device maps                       224 MiB
 *	0xCE000000  the slabs' shadow of the direct map              16 MiB
 *	0xCF000000  temporary maps                                   4 MiB
 *	0xD0000000  windows of the classic heaps                     256 MiB
 *	0xE0000000  identity: firmware, devices                      512 MiB
 *
 * Exceptions. Four windows show other memory than that of their addresses.
 * They lie between 3 and 3.5 GiB, where few PCs have memory and none has
 * devices; each is cut to what the memory of the machine could fill, and what
 * was cut off is mapped to itself again. The kernel prints them at start.
 *
 * A process's directory starts as a copy of this map, so the kernel goes on
 * unchanged when it is entered. The user's ranges are taken out of the copy,
 * and a page of the user's hides the memory of the same address from the
 * kernel for as long as that directory is loaded. Three rules make that
 * harmless:
 *
 *   - Below 256 MiB, where the kernel reads and writes by physical address,
 *     what the user hides is reserved ("user window" in the table of owners)
 *     and never handed out. Loader data found there is moved. The program's
 *     range costs memory therefore, and is cut to an eighth of what there is.
 *   - Above, the kernel touches no memory by its address in any directory: as
 *     in the other layout it uses temporary maps, whose window no process has.
 *     So nothing needs to be reserved for brk and maps, however large.
 *   - The user's ranges are not global in the kernel's directory, or what the
 *     CPU remembers of the kernel's map would outlive the change to a process.
 *
 * Nothing in this map has the user bit: ring 3 sees its own pages and no
 * others. Unlike in the other layout, the kernel can read address 0.
 */
#define KERNEL_IDENTITY 1
#define KERNEL_BASE 0x00000000u
#define KERNEL_DIRECT_SIZE 0x10000000u
#define KERNEL_MAP_END 0x100000000ull
#define KERNEL_WINDOW_BASE 0xC0000000u
#define KERNEL_WINDOW_SIZE 0x0E000000u
#define KERNEL_SHADOW_BASE 0xCE000000u
#define KERNEL_SHADOW_SIZE 0x01000000u
#define KERNEL_TEMP_BASE 0xCF000000u
#define KERNEL_TEMP_SIZE 0x00400000u
#define KERNEL_HEAP_BASE 0xD0000000u
#define KERNEL_HEAP_SIZE 0x10000000u
#define KERNEL_HEAP_BUDDY 0x08000000u /* the buddy heap's window within it */

#define KERNEL_USER_PROGRAM_SIZE 0x00400000u

#endif

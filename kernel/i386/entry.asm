; SPDX-License-Identifier: MIT
; Steps 1 and 2 of bring-up: a temporary page directory, then the higher half.

; Both boot paths arrive here in 32-bit protected mode with flat segments,
; paging off, interrupts off, EAX telling which path it was and EBX the physical
; address of what it left for us. The temporary directory shows the start of
; physical memory twice, at 0 (where this code runs) and at KERNEL_BASE (where
; the kernel was linked; given by the Makefile, and 0 too in LAYOUT=identity):
; 256 MiB of it in pages of 4 MiB where the CPU has them, else 64 MiB through
; tables of small pages. It is replaced in step 6.

MULTIBOOT_MAGIC		equ 0x1BADB002
MULTIBOOT_FLAGS		equ 3		; modules on pages, memory map wanted

PAGE_PRESENT_WRITE	equ 3
PAGE_LARGE		equ 0x80
LARGE_COUNT		equ 64		; x 4 MiB = 256 MiB
TABLE_COUNT		equ 16		; x 4 MiB = 64 MiB
EFLAGS_ID		equ 1 << 21
CPUID_PSE		equ 1 << 3
CR4_PSE			equ 1 << 4
CR0_PAGING		equ 0x80010000	; paging on, read-only holds in ring 0
STACK_BYTES		equ 16384

%define PHYS(symbol) ((symbol) - KERNEL_BASE)

extern kmain

section .boot progbits alloc exec nowrite align=16

multiboot_header:
	dd MULTIBOOT_MAGIC
	dd MULTIBOOT_FLAGS
	dd -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

global kernel_entry
kernel_entry:
	cli
	cld
	mov esp, PHYS(boot_stack_top)
	mov esi, eax			; CPUID takes EAX to EDX
	mov ebp, ebx

	; CPUID is there if bit 21 of EFLAGS can be changed.
	pushfd
	pop eax
	mov ecx, eax
	xor eax, EFLAGS_ID
	push eax
	popfd
	pushfd
	pop eax
	xor eax, ecx
	test eax, EFLAGS_ID
	jz .small_pages
	mov eax, 1
	cpuid
	test edx, CPUID_PSE
	jz .small_pages

	mov eax, cr4
	or eax, CR4_PSE
	mov cr4, eax
	mov edi, PHYS(boot_directory)
	mov eax, PAGE_PRESENT_WRITE | PAGE_LARGE
	mov edx, 4 << 20
	mov ecx, LARGE_COUNT
	jmp .directory

.small_pages:
	mov edi, PHYS(boot_tables)
	mov eax, PAGE_PRESENT_WRITE
	mov ecx, TABLE_COUNT * 1024
.table_entry:
	stosd
	add eax, 4096
	dec ecx
	jnz .table_entry
	mov edi, PHYS(boot_directory)
	mov eax, PHYS(boot_tables) + PAGE_PRESENT_WRITE
	mov edx, 4096
	mov ecx, TABLE_COUNT

	; ECX entries from EAX in steps of EDX, at 0 and at KERNEL_BASE.
.directory:
	mov ebx, ecx
	shl ebx, 22
	mov [PHYS(boot_early_end)], ebx
.directory_entry:
	mov [edi], eax
	mov [edi + (KERNEL_BASE >> 22) * 4], eax
	add eax, edx
	add edi, 4
	dec ecx
	jnz .directory_entry

	mov eax, PHYS(boot_directory)
	mov cr3, eax
	mov eax, cr0
	or eax, CR0_PAGING
	mov cr0, eax
	mov eax, linked_address
	jmp eax

section .init.text progbits alloc exec nowrite align=16

linked_address:
	mov esp, boot_stack_top
	mov eax, esi			; kmain(magic, info)
	mov edx, ebp
	xor ebp, ebp			; where a stack trace ends
	push ebp			; no return address: kmain stays
	jmp kmain

section .data

; How much physical memory the temporary directory shows.
global boot_early_end
boot_early_end:
	dd 0

section .stack nobits alloc noexec write align=4096

global boot_stack_guard
global boot_stack_bottom
global boot_stack_top
boot_stack_guard:
	resb 4096
boot_stack_bottom:
	resb STACK_BYTES
boot_stack_top:

section .init.bss nobits alloc noexec write align=4096

boot_directory:
	resb 4096
boot_tables:
	resb 4096 * TABLE_COUNT

section .note.GNU-stack noalloc noexec nowrite progbits

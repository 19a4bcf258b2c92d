; SPDX-License-Identifier: MIT
; Steps 1 and 2 of bring-up: a temporary page directory, then the higher half.

; Both boot paths arrive here in 32-bit protected mode with flat segments,
; paging off, interrupts off, EAX telling which path it was and EBX the physical
; address of what it left for us. The temporary directory shows the start of
; physical memory twice, at 0 (where this code runs) and at KERNEL_BASE (where
; the kernel was linked; given by the Makefile, and 0 too in LAYOUT=identity):
; 256 MiB of it in pages of 4 MiB where the CPU has them, else 64 MiB through
; tables of small pages. With PAE=1 it is 256 MiB in pages of 2 MiB, and a CPU
; without PAE is told so. It is replaced in step 6.

MULTIBOOT_MAGIC		equ 0x1BADB002
MULTIBOOT_FLAGS		equ 3		; modules on pages, memory map wanted

PAGE_PRESENT		equ 1
PAGE_PRESENT_WRITE	equ 3
PAGE_LARGE		equ 0x80
EARLY_BYTES		equ 256 << 20
LARGE_COUNT		equ EARLY_BYTES >> 22
PAE_LARGE_COUNT		equ EARLY_BYTES >> 21
TABLE_COUNT		equ 16		; x 4 MiB = 64 MiB
EFLAGS_ID		equ 1 << 21
CPUID_PSE		equ 1 << 3
CPUID_PAE		equ 1 << 6
CR4_PSE			equ 1 << 4
CR4_PAE			equ 1 << 5
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
%if KERNEL_PAE
	jz no_pae
	mov eax, 1
	cpuid
	test edx, CPUID_PAE
	jz no_pae

	; One directory of large pages, in the root at 0 and at KERNEL_BASE: the
	; root's entries have no permissions.
	mov edi, PHYS(boot_tables)
	mov eax, PAGE_PRESENT_WRITE | PAGE_LARGE
	mov ecx, PAE_LARGE_COUNT
.large_page:
	mov [edi], eax
	mov dword [edi + 4], 0
	add eax, 2 << 20
	add edi, 8
	dec ecx
	jnz .large_page
	mov eax, PHYS(boot_tables) + PAGE_PRESENT
	mov [PHYS(boot_directory)], eax
	mov [PHYS(boot_directory) + (KERNEL_BASE >> 30) * 8], eax
	mov dword [PHYS(boot_early_end)], EARLY_BYTES
	mov eax, cr4
	or eax, CR4_PAE
	mov cr4, eax
%else
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
%endif

	mov eax, PHYS(boot_directory)
	mov cr3, eax
	mov eax, cr0
	or eax, CR0_PAGING
	mov cr0, eax
	mov eax, linked_address
	jmp eax

%if KERNEL_PAE

SERIAL_DATA		equ 0x3F8
SERIAL_STATUS		equ 0x3FD
SERIAL_READY		equ 0x20	; takes another byte
SERIAL_EMPTY		equ 0x40	; has sent the last one
SERIAL_PATIENCE		equ 20000	; a port that is not there is not waited for
SCREEN			equ 0xB8000
SCREEN_GREY		equ 0x07
DEBUG_EXIT_PORT		equ 0xF4
DEBUG_EXIT_FAILURE	equ 0x11

; Says why there is nothing to see, on the serial port and the screen, and ends
; the emulator with the status of a failure.
no_pae:
	mov esi, no_pae_text
	mov edi, SCREEN
	mov ah, SCREEN_GREY
.next:
	lodsb
	test al, al
	jz .end
	stosw
	mov bl, al
	mov ecx, SERIAL_PATIENCE
.wait:
	mov edx, SERIAL_STATUS
	in al, dx
	test al, SERIAL_READY
	loopz .wait
	mov al, bl
	mov edx, SERIAL_DATA
	out dx, al
	jmp .next
.end:
	mov edx, SERIAL_STATUS
	mov ecx, SERIAL_PATIENCE
.drain:
	in al, dx
	test al, SERIAL_EMPTY
	loopz .drain
	mov edx, DEBUG_EXIT_PORT
	mov al, DEBUG_EXIT_FAILURE
	out dx, al
.halt:
	hlt
	jmp .halt

no_pae_text:
	db "boot: this CPU has no PAE, which this kernel was built for (PAE=1)", 10, 0

%endif

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

global boot_directory
global boot_tables
boot_directory:
	resb 4096
boot_tables:
	resb 4096 * TABLE_COUNT

section .note.GNU-stack noalloc noexec nowrite progbits

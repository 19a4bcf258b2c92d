; SPDX-License-Identifier: MIT
; Steps 1 and 2 of bring-up: temporary page tables, then the higher half.

; Every boot path arrives here in 32-bit protected mode with flat segments,
; paging off, interrupts off, EAX telling which path it was and EBX the physical
; address of what it left for us. The temporary tables show the start of
; physical memory three times: at 0 (where this code runs), at
; 0xffff800000000000 (the direct map) and, 2 GiB of it, at 0xffffffff80000000
; (where the kernel was linked). It is 512 GiB where the CPU has pages of
; 1 GiB, else 4 GiB in pages of 2 MiB. They are replaced in step 6.

bits 32

DIRECT_SLOT		equ 256		; of the root table: 0xffff800000000000

MULTIBOOT_MAGIC		equ 0x1BADB002
MULTIBOOT_FLAGS		equ 0x00010003	; pages, memory map, addresses follow
MULTIBOOT2_MAGIC	equ 0xE85250D6

TABLE			equ 3		; present, writable
LARGE			equ 0x83	; and a large page
ENTRIES			equ 512
PAGE_2M			equ 1 << 21
FEW_GIB			equ 4		; without pages of 1 GiB

EFLAGS_ID		equ 1 << 21
CPUID_EXT_NX		equ 1 << 20
CPUID_EXT_PAGE1GB	equ 1 << 26
CPUID_EXT_LM		equ 1 << 29
CR0_PAGING		equ 0x80010000	; paging on, read-only holds in ring 0
CR4_PAE			equ 1 << 5
CR4_LA57		equ 1 << 12
MSR_EFER		equ 0xC0000080
EFER_LME		equ 1 << 8
EFER_NXE		equ 1 << 11

CODE64			equ 0x08
DATA			equ 0x10
CODE32			equ 0x18
STACK_BYTES		equ 16384
FAULT_STACK_BYTES	equ 8192

SERIAL_DATA		equ 0x3F8
SERIAL_STATUS		equ 0x3FD
DEBUG_EXIT_PORT		equ 0xF4

%define PHYS(symbol) ((symbol) - KERNEL_BASE)

extern kmain
extern image_load_end
extern image_bss_end

section .boot progbits alloc exec nowrite align=16

; The file's bytes go to memory as they are: see kernel.ld.
multiboot_header:
	dd MULTIBOOT_MAGIC
	dd MULTIBOOT_FLAGS
	dd -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
	dd multiboot_header		; where this header goes
	dd multiboot_header		; where the file is loaded from here on
	dd image_load_end
	dd image_bss_end
	dd kernel_entry

align 8
multiboot2_header:
	dd MULTIBOOT2_MAGIC
	dd 0				; i386: enter in 32-bit protected mode
	dd multiboot2_end - multiboot2_header
	dd 0x100000000 - (MULTIBOOT2_MAGIC + (multiboot2_end - multiboot2_header))
	; The ELF file's entry is a physical address and serves; modules shall
	; lie on pages.
	dw 6, 0
	dd 8
	dw 0, 0
	dd 8
multiboot2_end:

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
	jz no_long_mode
	mov eax, 0x80000000
	cpuid
	cmp eax, 0x80000001
	jb no_long_mode
	mov eax, 0x80000001
	cpuid
	test edx, CPUID_EXT_LM
	jz no_long_mode
	mov edi, edx			; extended features

	; The root: low, direct map, image. The first two share a table.
	mov eax, PHYS(boot_gibs) + TABLE
	mov [PHYS(boot_root)], eax
	mov [PHYS(boot_root) + DIRECT_SLOT * 8], eax
	mov eax, PHYS(boot_image_gibs) + TABLE
	mov [PHYS(boot_root) + (ENTRIES - 1) * 8], eax
	test edi, CPUID_EXT_PAGE1GB
	jz .pages_2m

	; 512 entries of 1 GiB; the image shows the first two.
	xor ecx, ecx
.gib:
	mov eax, ecx
	shl eax, 30
	or eax, LARGE
	mov [PHYS(boot_gibs) + ecx * 8], eax
	mov eax, ecx
	shr eax, 2
	mov [PHYS(boot_gibs) + ecx * 8 + 4], eax
	inc ecx
	cmp ecx, ENTRIES
	jb .gib
	mov dword [PHYS(boot_image_gibs) + (ENTRIES - 2) * 8], LARGE
	mov dword [PHYS(boot_image_gibs) + (ENTRIES - 1) * 8], (1 << 30) | LARGE
	mov dword [PHYS(boot_early_end) + 4], ENTRIES >> 2
	jmp .enable

.pages_2m:
	mov eax, LARGE
	xor ecx, ecx
.page_2m:
	mov [PHYS(boot_pages) + ecx * 8], eax
	add eax, PAGE_2M
	inc ecx
	cmp ecx, FEW_GIB * ENTRIES
	jb .page_2m
	mov eax, PHYS(boot_pages) + TABLE
	xor ecx, ecx
.table_2m:
	mov [PHYS(boot_gibs) + ecx * 8], eax
	add eax, 4096
	inc ecx
	cmp ecx, FEW_GIB
	jb .table_2m
	mov dword [PHYS(boot_image_gibs) + (ENTRIES - 2) * 8], \
		PHYS(boot_pages) + TABLE
	mov dword [PHYS(boot_image_gibs) + (ENTRIES - 1) * 8], \
		PHYS(boot_pages) + 4096 + TABLE
	mov dword [PHYS(boot_early_end) + 4], FEW_GIB >> 2

.enable:
	mov eax, CR4_PAE		; and nothing that firmware has left
	mov cr4, eax
	mov eax, PHYS(boot_root)
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	test edi, CPUID_EXT_NX
	jz .no_nx
	or eax, EFER_NXE
.no_nx:
	wrmsr
	mov eax, cr0
	or eax, CR0_PAGING
	mov cr0, eax
	lgdt [boot_gdt_pointer]
	jmp CODE64:long_mode

; Says why there is nothing to see, on the serial port and the screen, and ends
; the emulator with the status of a failure.
no_long_mode:
	mov esi, no_long_mode_text
	mov edi, 0xB8000
	mov ah, 0x07
.next:
	lodsb
	test al, al
	jz .end
	stosw
	mov bl, al
	mov ecx, 20000			; a port that is not there is not waited for
.wait:
	mov edx, SERIAL_STATUS
	in al, dx
	test al, 0x20
	loopz .wait
	mov al, bl
	mov edx, SERIAL_DATA
	out dx, al
	jmp .next
.end:
	mov edx, SERIAL_STATUS
	mov ecx, 20000
.drain:
	in al, dx
	test al, 0x40
	loopz .drain
	mov edx, DEBUG_EXIT_PORT
	mov al, 0x11
	out dx, al
.halt:
	hlt
	jmp .halt

no_long_mode_text:
	db "boot: this CPU has no long mode, which the x86-64 kernel needs", 10, 0

align 8
boot_gdt:
	dq 0
	dq 0x00AF9A000000FFFF		; code, 64 bits
	dq 0x00CF92000000FFFF		; data
	dq 0x00CF9A000000FFFF		; code, 32 bits
boot_gdt_end:
boot_gdt_pointer:
	dw boot_gdt_end - boot_gdt - 1
	dd boot_gdt
	dd 0

; Paging goes off and on with five levels; in 32-bit code, on the identity map,
; and with EDI, the root of five levels, as the only register that matters.
paging_off:
	mov eax, cr0
	and eax, 0x7FFFFFFF
	mov cr0, eax
	mov eax, cr4
	or eax, CR4_LA57
	mov cr4, eax
	mov cr3, edi
	mov eax, cr0
	or eax, 0x80000000
	mov cr0, eax
	jmp CODE64:paging_on

bits 64

long_mode:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov rax, higher_half
	jmp rax

; boot_five_levels jumps here and on through the far pointer.
to_paging_off:
	lgdt [boot_gdt_pointer]
	jmp far dword [paging_off_pointer]
paging_off_pointer:
	dd paging_off
	dw CODE32

paging_on:
	mov rax, five_levels_on
	jmp rax

section .init.text progbits alloc exec nowrite align=16

higher_half:
	mov rsp, boot_stack_top
	mov edi, esi			; kmain(magic, info)
	mov esi, ebp
	xor ebp, ebp			; where a stack trace ends
	push rbp
	push rbp			; no return address: kmain stays
	jmp kmain

; void boot_five_levels(void): the temporary tables get a fifth level, in which
; they are the first and the last entry. Only before step 6, and without
; interrupts: the descriptor table that this leaves is the boot code's.
global boot_five_levels
boot_five_levels:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov rax, PHYS(boot_root) + TABLE
	mov [rel boot_root_5], rax
	mov [rel boot_root_5 + (ENTRIES - 1) * 8], rax
	mov edi, PHYS(boot_root_5)
	mov rbx, rsp			; 32-bit code keeps but the low halves
	mov [rel boot_saved_stack], rbx
	mov eax, to_paging_off
	jmp rax
five_levels_on:
	mov eax, DATA
	mov ss, eax
	mov rsp, [rel boot_saved_stack]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .data

; How much physical memory the temporary tables show.
global boot_early_end
boot_early_end:
	dq 0

section .stack nobits alloc noexec write align=4096

%macro stack 2
global %1_guard
global %1_bottom
global %1_top
%1_guard:
	resb 4096
%1_bottom:
	resb %2
%1_top:
%endmacro

stack boot_stack, STACK_BYTES
stack fault_stack, FAULT_STACK_BYTES
stack nmi_stack, FAULT_STACK_BYTES
stack debug_stack, FAULT_STACK_BYTES

section .init.bss nobits alloc noexec write align=4096

boot_root:
	resb 4096
boot_root_5:
	resb 4096
boot_gibs:
	resb 4096
boot_image_gibs:
	resb 4096
boot_pages:
	resb 4096 * FEW_GIB
boot_saved_stack:
	resq 1

section .note.GNU-stack noalloc noexec nowrite progbits

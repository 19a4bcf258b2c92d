; SPDX-License-Identifier: MIT
; Where another CPU begins: from real mode into the kernel (x86/startup.c).

; This is copied to a page below 640 KiB and entered there at its first byte,
; with CS being the page's number times 256. Addresses in it count from 0; those
; that the CPU uses as they are get the page's own added, which is what the
; list of fixups is for.

CR0_PROTECTED	equ 1
MSR_EFER	equ 0xC0000080
CODE		equ 8
DATA		equ 16

; Offsets in struct startup_data.
DATA_CR0	equ 0
DATA_CR3	equ 4
DATA_CR4	equ 8
DATA_EFER	equ 12
DATA_HAS_EFER	equ 16
DATA_STACK	equ 24
DATA_ENTRY	equ 32
DATA_CPU	equ 40
DATA_BYTES	equ 48

%define AT(symbol) ((symbol) - trampoline_start)

section .rodata

global trampoline_start
global trampoline_end
global trampoline_data
global trampoline_fixups
global trampoline_fixups_end

	align 16
trampoline_start:
bits 16
	cli
	cld
	mov ax, cs
	mov ds, ax
	o32 lgdt [AT(gdt_pointer)]
	mov eax, cr0
	or al, CR0_PROTECTED
	mov cr0, eax
	jmp dword CODE:AT(protected)
far_end:

bits 32
protected:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov ebx, AT(trampoline_data)
data_end:
	cmp dword [ebx + DATA_HAS_EFER], 0
	je .no_efer
	mov ecx, MSR_EFER
	xor edx, edx
	mov eax, [ebx + DATA_EFER]
	wrmsr
.no_efer:
	mov eax, [ebx + DATA_CR4]
	test eax, eax			; a CPU that has none takes no 0 either
	jz .no_cr4
	mov cr4, eax
.no_cr4:
	mov eax, [ebx + DATA_CR3]
	mov cr3, eax
	mov eax, [ebx + DATA_CR0]
	mov cr0, eax
	mov esp, [ebx + DATA_STACK]
	xor ebp, ebp			; where a stack trace ends
	push dword [ebx + DATA_CPU]
	push ebp			; no return address
	jmp [ebx + DATA_ENTRY]

	align 8
gdt:
	dq 0
	dq 0x00CF9A000000FFFF		; code
	dq 0x00CF92000000FFFF		; data
gdt_end:
gdt_pointer:
	dw gdt_end - gdt - 1
gdt_address:
	dd AT(gdt)

	align 8
trampoline_data:
	times DATA_BYTES db 0
trampoline_end:

; Places of 32 bits that hold an address.
	align 2
trampoline_fixups:
	dw AT(far_end) - 6		; the offset, before the selector
	dw AT(data_end) - 4
	dw AT(gdt_address)
trampoline_fixups_end:

section .note.GNU-stack noalloc noexec nowrite progbits

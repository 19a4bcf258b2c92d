; SPDX-License-Identifier: MIT
; Seed 003's two routines that touch the CPU: the root register, and paging on.

; Both are called from C with their argument on the stack, whatever else the
; kernel is compiled with, and keep every register but EAX.

CR0_PAGING	equ 0x80000000

section .text progbits alloc exec nowrite align=16

; void paging_load_directory(uint32_t *directory_phys)
global paging_load_directory
paging_load_directory:
	push ebp
	mov ebp, esp
	mov eax, [ebp + 8]
	mov cr3, eax
	pop ebp
	ret

; void enable_paging(void)
global enable_paging
enable_paging:
	push ebp
	mov ebp, esp
	mov eax, cr0
	or eax, CR0_PAGING
	mov cr0, eax
	pop ebp
	ret

section .note.GNU-stack noalloc noexec nowrite progbits

; SPDX-License-Identifier: MIT
; The one place where the kernel touches what a program's pointers lead to.

EFAULT		equ 14

section .text

global usercopy_begin
global usercopy_end
global usercopy_failed

; int usercopy_bytes(void *to, const void *from, size_t size_bytes)
	align 16
global usercopy_bytes
usercopy_bytes:
	push esi
	push edi
	mov edi, eax
	mov esi, edx
	mov edx, ecx
	shr ecx, 2
usercopy_begin:
	rep movsd
	mov ecx, edx
	and ecx, 3
	rep movsb
usercopy_end:
	xor eax, eax
	pop edi
	pop esi
	ret
usercopy_failed:
	mov eax, -EFAULT
	pop edi
	pop esi
	ret

section .note.GNU-stack noalloc noexec nowrite progbits

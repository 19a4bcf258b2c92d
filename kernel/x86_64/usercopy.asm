; SPDX-License-Identifier: MIT
; The one place where the kernel touches what a program's pointers lead to.

; Where the CPU keeps the kernel from user pages (SMAP), EFLAGS.AC lets it in
; for as long as this takes; usercopy_smap tells.

bits 64
default rel

EFAULT		equ 14

section .text

global usercopy_begin
global usercopy_end
global usercopy_failed

; int usercopy_bytes(void *to, const void *from, size_t size_bytes)
	align 16
global usercopy_bytes
usercopy_bytes:
	cmp byte [usercopy_smap], 0
	je .open
	stac
.open:
	mov rcx, rdx
	shr rcx, 3
usercopy_begin:
	rep movsq
	mov ecx, edx
	and ecx, 7
	rep movsb
usercopy_end:
	xor eax, eax
	jmp usercopy_close
usercopy_failed:
	mov eax, -EFAULT
usercopy_close:
	cmp byte [usercopy_smap], 0
	je .closed
	clac
.closed:
	ret

section .bss

global usercopy_smap
usercopy_smap:
	resb 1

section .note.GNU-stack noalloc noexec nowrite progbits

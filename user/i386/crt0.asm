; SPDX-License-Identifier: MIT
; Where a program starts: argc is at ESP, argv behind it.

extern main
extern exit

section .text

global _start
_start:
	xor ebp, ebp			; where a stack trace ends
	mov eax, [esp]
	mov edx, [esp + 4]
	sub esp, 8			; ESP is a multiple of 16 at the call
	push edx
	push eax
	call main
	push eax
	call exit
	ud2

section .note.GNU-stack noalloc noexec nowrite progbits

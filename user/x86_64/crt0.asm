; SPDX-License-Identifier: MIT
; Where a program starts: argc is at RSP, argv behind it.

bits 64

extern main
extern exit

section .text

global _start
_start:
	xor ebp, ebp			; where a stack trace ends
	mov rdi, [rsp]
	mov rsi, [rsp + 8]
	call main			; RSP is a multiple of 16
	mov edi, eax
	call exit
	ud2

section .note.GNU-stack noalloc noexec nowrite progbits

; SPDX-License-Identifier: MIT
; A call with a value in every register that calls keep, for a test of it.

bits 64

section .text

; long edges_call(uint32_t number, uint64_t registers[12])
global edges_call
edges_call:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rsi
	mov eax, edi
	mov rbx, [rsi]
	mov rbp, [rsi + 8]
	mov rdi, [rsi + 24]
	mov rdx, [rsi + 32]
	mov r8, [rsi + 40]
	mov r9, [rsi + 48]
	mov r10, [rsi + 56]
	mov r12, [rsi + 64]
	mov r13, [rsi + 72]
	mov r14, [rsi + 80]
	mov r15, [rsi + 88]
	mov rsi, [rsi + 16]
	syscall
	xchg rsi, [rsp]
	mov [rsi], rbx
	mov [rsi + 8], rbp
	mov [rsi + 24], rdi
	mov [rsi + 32], rdx
	mov [rsi + 40], r8
	mov [rsi + 48], r9
	mov [rsi + 56], r10
	mov [rsi + 64], r12
	mov [rsi + 72], r13
	mov [rsi + 80], r14
	mov [rsi + 88], r15
	pop rdx
	mov [rsi + 16], rdx
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .note.GNU-stack noalloc noexec nowrite progbits

; SPDX-License-Identifier: MIT
; Whole pages through SSE2, leaving every register as it was.

PAGE		equ 4096
CLEAR_STEP	equ 512			; bytes a round
COPY_STEP	equ 512

bits 64

section .text

; void fpu_clear_page_sse2(void *page)
	align 16
global fpu_clear_page_sse2
fpu_clear_page_sse2:
	sub rsp, 16
	movups [rsp], xmm0
	pxor xmm0, xmm0
	mov ecx, PAGE / CLEAR_STEP
.round:
%assign at 0
%rep CLEAR_STEP / 16
	movaps [rdi + at], xmm0
%assign at at + 16
%endrep
	add rdi, CLEAR_STEP
	dec ecx
	jnz .round
	movups xmm0, [rsp]
	add rsp, 16
	ret

; void fpu_copy_page_sse2(void *to, const void *from)
	align 16
global fpu_copy_page_sse2
fpu_copy_page_sse2:
	sub rsp, 64
	movups [rsp], xmm0
	movups [rsp + 16], xmm1
	movups [rsp + 32], xmm2
	movups [rsp + 48], xmm3
	mov ecx, PAGE / COPY_STEP
.round:
%assign at 0
%rep COPY_STEP / 64
	movaps xmm0, [rsi + at]
	movaps xmm1, [rsi + at + 16]
	movaps xmm2, [rsi + at + 32]
	movaps xmm3, [rsi + at + 48]
	movaps [rdi + at], xmm0
	movaps [rdi + at + 16], xmm1
	movaps [rdi + at + 32], xmm2
	movaps [rdi + at + 48], xmm3
%assign at at + 64
%endrep
	add rdi, COPY_STEP
	add rsi, COPY_STEP
	dec ecx
	jnz .round
	movups xmm0, [rsp]
	movups xmm1, [rsp + 16]
	movups xmm2, [rsp + 32]
	movups xmm3, [rsp + 48]
	add rsp, 64
	ret

section .note.GNU-stack noalloc noexec nowrite progbits

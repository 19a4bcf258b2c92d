; SPDX-License-Identifier: MIT
; Whole pages through SSE2, leaving every register as it was.

PAGE		equ 4096
CLEAR_STEP	equ 512			; bytes a round
COPY_STEP	equ 512

section .text

; void fpu_clear_page_sse2(void *page)
	align 16
global fpu_clear_page_sse2
fpu_clear_page_sse2:
	sub esp, 16
	movups [esp], xmm0
	pxor xmm0, xmm0
	mov ecx, PAGE / CLEAR_STEP
.round:
%assign at 0
%rep CLEAR_STEP / 16
	movaps [eax + at], xmm0
%assign at at + 16
%endrep
	add eax, CLEAR_STEP
	dec ecx
	jnz .round
	movups xmm0, [esp]
	add esp, 16
	ret

; void fpu_copy_page_sse2(void *to, const void *from)
	align 16
global fpu_copy_page_sse2
fpu_copy_page_sse2:
	sub esp, 64
	movups [esp], xmm0
	movups [esp + 16], xmm1
	movups [esp + 32], xmm2
	movups [esp + 48], xmm3
	mov ecx, PAGE / COPY_STEP
.round:
%assign at 0
%rep COPY_STEP / 64
	movaps xmm0, [edx + at]
	movaps xmm1, [edx + at + 16]
	movaps xmm2, [edx + at + 32]
	movaps xmm3, [edx + at + 48]
	movaps [eax + at], xmm0
	movaps [eax + at + 16], xmm1
	movaps [eax + at + 32], xmm2
	movaps [eax + at + 48], xmm3
%assign at at + 64
%endrep
	add eax, COPY_STEP
	add edx, COPY_STEP
	dec ecx
	jnz .round
	movups xmm0, [esp]
	movups xmm1, [esp + 16]
	movups xmm2, [esp + 32]
	movups xmm3, [esp + 48]
	add esp, 64
	ret

section .note.GNU-stack noalloc noexec nowrite progbits

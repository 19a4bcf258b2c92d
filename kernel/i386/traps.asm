; SPDX-License-Identifier: MIT
; Entry points of exceptions and interrupts, and a place to come back to.

; Each vector leaves the same frame (struct trap_frame): the CPU pushes an
; error code for some exceptions, for all others we push a 0 in its place.

TRAP_COUNT	equ 32
TRAP_LINES	equ 16
; Vectors for which the CPU pushes an error code: 8, 10 to 14, 17.
ERROR_CODES	equ (1 << 8) | (0x1F << 10) | (1 << 17)

extern trap_dispatch
extern trap_double_fault

section .text

%assign vector 0
%rep TRAP_COUNT + TRAP_LINES
trap_entry_%[vector]:
%if vector >= TRAP_COUNT || (ERROR_CODES & (1 << vector)) == 0
	push dword 0
%endif
	push dword vector
	jmp trap_common
%assign vector vector + 1
%endrep

trap_common:
	pushad
	cld
	mov eax, esp
	call trap_dispatch		; trap_dispatch(frame)
	popad
	add esp, 8			; vector, error code
	iretd

; The task of double faults. It is entered with an error code on its own
; stack, and when trap_double_fault() returns it gives the CPU back to the task
; that failed, with the registers found in its state. Each further double
; fault goes on after the iretd, where the CPU saved the place.
global trap_fault_task
trap_fault_task:
	add esp, 4
	call trap_double_fault
	iretd
	jmp trap_fault_task

; int trap_save(struct trap_context *context)
global trap_save
trap_save:
	mov [eax], ebx
	mov [eax + 4], esi
	mov [eax + 8], edi
	mov [eax + 12], ebp
	lea ecx, [esp + 4]		; as after our return
	mov [eax + 16], ecx
	mov ecx, [esp]
	mov [eax + 20], ecx
	pushfd
	pop dword [eax + 24]
	xor eax, eax
	ret

; void trap_jump(struct trap_context *context, int value)
global trap_jump
trap_jump:
	mov ebx, [eax]
	mov esi, [eax + 4]
	mov edi, [eax + 8]
	mov ebp, [eax + 12]
	mov esp, [eax + 16]
	push dword [eax + 24]
	popfd
	mov ecx, [eax + 20]
	mov eax, edx
	jmp ecx

section .rodata

global trap_vectors
trap_vectors:
%assign vector 0
%rep TRAP_COUNT + TRAP_LINES
	dd trap_entry_%[vector]
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits

; SPDX-License-Identifier: MIT
; Entry points of exceptions, interrupts and calls, and places to come back to.

; Each vector leaves the same frame (struct trap_frame): the CPU pushes an
; error code for some exceptions, for all others we push a 0 in its place. From
; ring 3 the CPU has pushed the user's stack first, and the segment registers are
; the user's: they are saved, and DS and ES made the kernel's, and FS the CPU's.

TRAP_COUNT	equ 32
TRAP_LINES	equ 16
TRAP_LOCALS	equ 16
; Vectors for which the CPU pushes an error code: 8, 10 to 14, 17.
ERROR_CODES	equ (1 << 8) | (0x1F << 10) | (1 << 17)
TRAP_SYSCALL	equ 0x80
GDT_DATA	equ 0x10
GDT_LOCAL	equ 0x38

extern trap_dispatch
extern trap_syscall
extern trap_double_fault
extern trap_thread_begin

section .text

%assign vector 0
%rep TRAP_COUNT + TRAP_LINES + TRAP_LOCALS
trap_entry_%[vector]:
%if vector >= TRAP_COUNT || (ERROR_CODES & (1 << vector)) == 0
	push dword 0
%endif
	push dword vector
	jmp trap_common
%assign vector vector + 1
%endrep

%macro save_registers 0
	pushad
	push ds
	push es
	push fs
	push gs
	mov edx, GDT_DATA
	mov ds, edx
	mov es, edx
	mov edx, GDT_LOCAL
	mov fs, edx
	cld
	mov eax, esp			; the frame
%endmacro

	align 16
trap_common:
	save_registers
	call trap_dispatch		; trap_dispatch(frame)
trap_return:
	pop gs
	pop fs
	pop es
	pop ds
	popad
	add esp, 8			; vector, error code
	iretd

; int 0x80 of ring 3.
	align 16
global trap_entry_syscall
trap_entry_syscall:
	push dword 0
	push dword TRAP_SYSCALL
	save_registers
	call trap_syscall		; trap_syscall(frame)
	jmp trap_return

; _Noreturn void trap_leave(struct trap_frame *frame): with what it holds.
global trap_leave
trap_leave:
	mov esp, eax
	jmp trap_return

; void trap_switch(void **from, void *to): another stack, and whoever slept on it.
global trap_switch
trap_switch:
	push ebp
	push ebx
	push esi
	push edi
	mov [eax], esp
	mov esp, edx
	pop edi
	pop esi
	pop ebx
	pop ebp
	ret

; Where the first switch to a new stack returns to: EBX and ESI are what
; trap_prepare() put there.
global trap_thread_entry
trap_thread_entry:
	mov eax, ebx
	mov edx, esi
	xor ebp, ebp			; where a stack trace ends
	push ebp
	jmp trap_thread_begin		; trap_thread_begin(entry, argument)

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
%rep TRAP_COUNT + TRAP_LINES + TRAP_LOCALS
	dd trap_entry_%[vector]
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits

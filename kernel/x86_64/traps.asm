; SPDX-License-Identifier: MIT
; Entry points of exceptions, interrupts and calls, and places to come back to.

; Each vector leaves the same frame (struct trap_frame): the CPU pushes an
; error code for some exceptions, for all others we push a 0 in its place. It
; aligns the stack first, so that the frame ends on a multiple of 16.
;
; In the kernel GS leads to struct cpu_local, in ring 3 it is the program's: who
; comes from ring 3 swaps the two, and so does who goes there. Exceptions that can
; come at any instruction may find the kernel before or after such a swap, and
; with the program's stack, next to syscall and sysret. They have stacks of their
; own, and look at the base of GS itself.

bits 64
default rel

TRAP_COUNT	equ 32
TRAP_LINES	equ 16
TRAP_LOCALS	equ 16
; Vectors for which the CPU pushes an error code: 8, 10 to 14, 17, 21, 29, 30.
ERROR_CODES	equ (1 << 8) | (0x1F << 10) | (1 << 17) | (1 << 21) | (3 << 29)

TRAP_SYSCALL	equ 0x80		; the vector that the frame of a call has
GDT_USER_DATA	equ 0x20
GDT_USER_CODE	equ 0x28
EFLAGS_TF	equ 1 << 8
EFLAGS_RF	equ 1 << 16

MSR_GS_BASE	equ 0xC0000101

; Offsets in struct cpu_local.
CPU_KERNEL_RSP	equ 5 * 8
CPU_SCRATCH	equ 6 * 8

; Offsets in struct trap_frame, and in it before the registers are saved.
ENTRY_CS	equ 3 * 8
FRAME_R10	equ 5 * 8		; R9, R8, RDI and RSI follow
FRAME_RDX	equ 12 * 8
FRAME_RAX	equ 14 * 8
FRAME_RIP	equ 17 * 8
FRAME_RFLAGS	equ 19 * 8
FRAME_RSP	equ 20 * 8

extern trap_dispatch
extern trap_syscall
extern trap_thread_begin
extern usercopy_smap

section .text

%assign vector 0
%rep TRAP_COUNT + TRAP_LINES + TRAP_LOCALS
trap_entry_%[vector]:
%if vector >= TRAP_COUNT || (ERROR_CODES & (1 << vector)) == 0
	push 0
%endif
	push vector
%if vector == 8
	jmp trap_anywhere
%elif vector == 1 || vector == 2 || vector == 18
	jmp trap_anytime
%else
	jmp trap_common
%endif
%assign vector vector + 1
%endrep

%macro save_registers 0
	push rax
	push rcx
	push rdx
	push rbx
	push rbp
	push rsi
	push rdi
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
	mov rdi, rsp			; the frame
%endmacro

; usercopy.asm may have been interrupted, or a program have set AC.
%macro close_user_pages 0
	cmp byte [usercopy_smap], 0
	je %%closed
	clac
%%closed:
%endmacro

%macro restore_registers 0
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rdi
	pop rsi
	pop rbp
	pop rbx
	pop rdx
	pop rcx
	pop rax
	add rsp, 16			; vector, error code
%endmacro

	align 16
trap_common:
	test byte [rsp + ENTRY_CS], 3
	jz trap_entered
	swapgs
trap_entered:
	save_registers
	cld
	close_user_pages
	call trap_dispatch		; trap_dispatch(frame)
trap_return:
	restore_registers
	test byte [rsp + 8], 3		; of CS
	jz .kernel
	swapgs
.kernel:
	iretq

; Debug exceptions, NMIs and machine checks, on stacks of their own. From ring 3
; the task's stack is free, and whoever handles them may sleep on it.
	align 16
trap_anytime:
	test byte [rsp + ENTRY_CS], 3
	jz trap_anywhere
	swapgs
	mov [gs:CPU_SCRATCH], rdi
	mov rdi, rsp
	mov rsp, [gs:CPU_KERNEL_RSP]
%assign at 6 * 8
%rep 7
	push qword [rdi + at]
%assign at at - 8
%endrep
	mov rdi, [gs:CPU_SCRATCH]
	jmp trap_entered

; The same from anywhere in ring 0, and double faults: GS may be either. The
; kernel's base is a negative number, and a program cannot have one.
trap_anywhere:
	save_registers
	cld
	close_user_pages
	mov ecx, MSR_GS_BASE
	rdmsr
	xor ebx, ebx
	test edx, edx
	js .kernel
	swapgs
	inc ebx
.kernel:
	call trap_dispatch		; RDI is the frame still
	test ebx, ebx
	jz .back
	swapgs
.back:
	restore_registers
	iretq

; syscall of ring 3: the CPU has put RIP into RCX and RFLAGS into R11, masked
; the flags, and left the stack pointer to us. The frame is that of a trap.
;
; Known traps. Interrupts are off until the frame is whole (MSR_FMASK); so is
; single-stepping, which would raise its exception here, in ring 0. sysret with an
; address that is not canonical faults in ring 0 on the user's stack, so what no
; program can have goes back by iretq; what programs may map ends a page before
; addresses do, so that no syscall is the last instruction there is. sysret
; restores neither TF nor RF as iretq does.
	align 16
global trap_entry_syscall
trap_entry_syscall:
	swapgs
	mov [gs:CPU_SCRATCH], rsp
	mov rsp, [gs:CPU_KERNEL_RSP]
	push GDT_USER_DATA | 3
	push qword [gs:CPU_SCRATCH]
	push r11
	push GDT_USER_CODE | 3
	push rcx
	push 0
	push TRAP_SYSCALL
	save_registers
	call trap_syscall		; trap_syscall(frame)
	mov rcx, [rsp + FRAME_RIP]
	mov rdx, rcx
	shr rdx, 47
	jnz trap_return
	mov r11, [rsp + FRAME_RFLAGS]
	test r11d, EFLAGS_TF | EFLAGS_RF
	jnz trap_return
	; What a call in C keeps is as it was: RBX, RBP, R12 to R15.
	mov r10, [rsp + FRAME_R10]
	mov r9, [rsp + FRAME_R10 + 8]
	mov r8, [rsp + FRAME_R10 + 16]
	mov rdi, [rsp + FRAME_R10 + 24]
	mov rsi, [rsp + FRAME_R10 + 32]
	mov rdx, [rsp + FRAME_RDX]
	mov rax, [rsp + FRAME_RAX]
	mov rsp, [rsp + FRAME_RSP]
	swapgs
	o64 sysret

; _Noreturn void trap_leave(struct trap_frame *frame): with what it holds.
global trap_leave
trap_leave:
	mov rsp, rdi
	jmp trap_return

; void trap_switch(void **from, void *to): another stack, and whoever slept on it.
global trap_switch
trap_switch:
	push rbp
	push rbx
	push r12
	push r13
	push r14
	push r15
	mov [rdi], rsp
	mov rsp, rsi
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbx
	pop rbp
	ret

; Where the first switch to a new stack returns to: RBX and R12 are what
; trap_prepare() put there.
global trap_thread_entry
trap_thread_entry:
	mov rdi, rbx
	mov rsi, r12
	xor ebp, ebp			; where a stack trace ends
	push rbp
	jmp trap_thread_begin		; trap_thread_begin(entry, argument)

; int trap_save(struct trap_context *context)
global trap_save
trap_save:
	mov [rdi], rbx
	mov [rdi + 8], rbp
	mov [rdi + 16], r12
	mov [rdi + 24], r13
	mov [rdi + 32], r14
	mov [rdi + 40], r15
	lea rcx, [rsp + 8]		; as after our return
	mov [rdi + 48], rcx
	mov rcx, [rsp]
	mov [rdi + 56], rcx
	pushfq
	pop qword [rdi + 64]
	xor eax, eax
	ret

; void trap_jump(struct trap_context *context, int value)
global trap_jump
trap_jump:
	mov rbx, [rdi]
	mov rbp, [rdi + 8]
	mov r12, [rdi + 16]
	mov r13, [rdi + 24]
	mov r14, [rdi + 32]
	mov r15, [rdi + 40]
	mov rsp, [rdi + 48]
	push qword [rdi + 64]
	popfq
	mov eax, esi
	jmp [rdi + 56]

section .rodata

global trap_vectors
trap_vectors:
%assign vector 0
%rep TRAP_COUNT + TRAP_LINES + TRAP_LOCALS
	dq trap_entry_%[vector]
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits

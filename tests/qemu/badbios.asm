; SPDX-License-Identifier: MIT
; A BIOS with a fault: an option ROM that hooks INT 15h and INT 13h.
;
; The boot disk must cope with firmware that QEMU's is not. This makes one of it,
; for `qemu-system-i386 -option-rom`; each fault is one definition:
;
;	NO_E820		function not there
;	NO_E801		nor this one
;	NO_88		nor this one
;	E801_AX_BX	tells in AX and BX alone, CX = DX = 0
;	E820_20		replies of 20 bytes, the rest not written
;	E820_SMAP=n	the nth reply is not signed
;	E820_CARRY_END	the end is carry, after a last entry with EBX not 0
;	E820_COUNT=n	n entries: 0 to 640 KiB, 1 MiB to 64 MiB, then reserved
;			single pages from 1 GiB up
;	E820_CIRCLE	after the last entry comes the first again, for ever
;	E820_STUCK	the last entry comes for ever
;	E820_CLOBBER	every register that is not a result comes back changed
;	NO_EXTENSIONS	INT 13h has none: cylinder, head and sector only
;	ONE_SECTOR	reads of more than one sector fail
;	BAD_SECTOR=n	reads that take in sector n fail with error 04h
;
; Any E820 fault replaces the machine's map by the one of E820_COUNT (2 if not
; given).

	cpu 386
	bits 16
	org 0

%ifndef E820_COUNT
%define E820_COUNT 2
%else
%define OWN_MAP
%endif
%ifdef E820_20
%define OWN_MAP
%endif
%ifdef E820_SMAP
%define OWN_MAP
%else
%define E820_SMAP 0
%endif
%ifdef E820_CARRY_END
%define OWN_MAP
%endif
%ifdef E820_CIRCLE
%define OWN_MAP
%endif
%ifdef E820_STUCK
%define OWN_MAP
%endif
%ifdef E820_CLOBBER
%define OWN_MAP
%endif

ROM_BYTES	equ 2048

	db 0x55, 0xAA, ROM_BYTES / 512
	jmp short init
	db 0				; byte 5: makes the sum 0, put in later

; A ROM may write to itself until this returns.
init:
	pushad
	push ds
	xor ax, ax
	mov ds, ax
	mov eax, [0x15 * 4]
	mov [cs:old_15], eax
	mov eax, [0x13 * 4]
	mov [cs:old_13], eax
	mov ax, cs
	mov word [0x15 * 4], hook_15
	mov [0x15 * 4 + 2], ax
	mov word [0x13 * 4], hook_13
	mov [0x13 * 4 + 2], ax
	pop ds
	popad
	retf

old_15:	dd 0
old_13:	dd 0

; Returns from the interrupt with carry set or clear.
iret_carry:
	push bp
	mov bp, sp
	or byte [bp + 6], 1
	pop bp
	iret
iret_good:
	push bp
	mov bp, sp
	and byte [bp + 6], 0xFE
	pop bp
	iret

not_there:
	mov ah, 0x86
	jmp iret_carry

hook_15:
%ifdef NO_E820
	cmp ax, 0xE820
	je not_there
%endif
%ifdef NO_E801
	cmp ax, 0xE801
	je not_there
%endif
%ifdef NO_88
	cmp ah, 0x88
	je not_there
%endif
%ifdef E801_AX_BX
	cmp ax, 0xE801
	jne .not_e801
	mov ax, 15 << 10		; KiB
	mov bx, 48 << 4			; 64 KiB
	xor cx, cx
	xor dx, dx
	jmp iret_good
.not_e801:
%endif
%ifdef OWN_MAP
	cmp ax, 0xE820
	je e820
%endif
	jmp far [cs:old_15]

; EBX is the index of the entry; ES:DI the place.
e820:
%ifdef E820_CIRCLE
	cmp ebx, E820_COUNT
	jb .in_map
	xor ebx, ebx
.in_map:
%endif
%ifdef E820_CARRY_END
	cmp ebx, E820_COUNT
	jae not_there
%endif
	mov dword [es:di + 4], 0
	mov dword [es:di + 12], 0
	mov dword [es:di + 16], 1
	test ebx, ebx
	jnz .not_first
	mov dword [es:di], 0
	mov dword [es:di + 8], 0xA0000
	jmp .filled
.not_first:
	cmp ebx, 1
	jne .not_second
	mov dword [es:di], 0x100000
	mov dword [es:di + 8], 0x3F00000
	jmp .filled
.not_second:
	mov eax, ebx
	shl eax, 13
	add eax, 0x40000000
	mov [es:di], eax
	mov dword [es:di + 8], 0x1000
	mov dword [es:di + 16], 2
.filled:
%ifdef E820_20
	mov ecx, 20
%else
	mov dword [es:di + 20], 1
	mov ecx, 24
%endif
	mov eax, 0x534D4150
	inc ebx
%if E820_SMAP > 0
	cmp ebx, E820_SMAP
	jne .signed
	xor eax, eax
.signed:
%endif
%ifdef E820_CLOBBER
	mov edx, 0xDEADBEEF
	mov esi, edx
	mov edi, edx
	mov ebp, edx
	mov ds, dx
	mov es, dx
	mov fs, dx
	mov gs, dx
	std
%endif
%ifdef E820_STUCK
	cmp ebx, E820_COUNT
	jb iret_good
	mov ebx, E820_COUNT - 1
	jmp iret_good
%endif
%ifdef E820_CIRCLE
	jmp iret_good
%endif
%ifdef E820_CARRY_END
	jmp iret_good
%endif
	cmp ebx, E820_COUNT
	jb iret_good
	xor ebx, ebx
	jmp iret_good

hook_13:
%ifdef NO_EXTENSIONS
	cmp ah, 0x41
	jb .has
	cmp ah, 0x49
	ja .has
	mov ah, 1
	jmp iret_carry
.has:
%endif
	cmp ah, 0x42
	jne .pass
%ifdef ONE_SECTOR
	cmp word [si + 2], 1
	ja .fail
%endif
%ifdef BAD_SECTOR
	push eax
	mov eax, BAD_SECTOR
	sub eax, [si + 8]
	jb .elsewhere
	cmp eax, 0xFFFF
	ja .elsewhere
	cmp ax, [si + 2]
	jae .elsewhere
	pop eax
	jmp .fail
.elsewhere:
	pop eax
%endif
.pass:
	jmp far [cs:old_13]
.fail:
	mov ah, 4
	jmp iret_carry

	times ROM_BYTES - ($ - $$) db 0

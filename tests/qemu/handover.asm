; SPDX-License-Identifier: MIT
; A kernel that only says what it was given: it tests the boot disk alone.
;
; An ELF32 file made by nasm -f bin, so that no linker decides its shape: two
; segments at odd file offsets, one of them longer than the loader's buffer, with
; a bss behind it. Prints one `name value` a line on COM1, in hexadecimal without
; leading zeros, and ends QEMU with success if its own bytes arrived whole.
;
; -DLOAD=address moves it; -DENTRY_OFF=bytes misplaces the entry; -DFATE= makes it
; end otherwise: 1 reports failure, 2 hangs, 3 is reset by a triple fault.

	cpu 386
	bits 32

%ifndef LOAD
%define LOAD 0x100000
%endif
%ifndef FATE
%define FATE 0
%endif
%ifndef ENTRY_OFF
%define ENTRY_OFF 0
%endif

DATA_BYTES	equ 100003		; three buffers and a bit, no multiple
BSS_BYTES	equ 70001
DATA		equ LOAD + 0x10000
BSS		equ DATA + DATA_BYTES
STACK_TOP	equ 0x80000		; low memory that the loader leaves alone

	section .text start=0 vstart=0
	db 0x7F, "ELF", 1, 1, 1
	times 9 db 0
	dw 2, 3				; executable, 80386
	dd 1, start + ENTRY_OFF, headers, 0, 0
	dw 52, 32, (headers_end - headers) / 32, 0, 0, 0
headers:
	dd 4, 0, 0, 0, 0, 0, 0, 0	; a note: not to be loaded
	dd 1, text_at, start, start, text_bytes, text_bytes, 5, 1
	dd 1, data_at, DATA, DATA, DATA_BYTES, DATA_BYTES + BSS_BYTES, 6, 1
	dd 1, 0, 16, 16, 0, 0, 6, 1	; takes no memory: not to be refused
headers_end:
	times 333 db 0xEE		; so that nothing is sector-aligned
text_at	equ $ - $$

	section .code follows=.text vstart=LOAD align=1
start:
	mov [stack_given], esp
	mov esp, STACK_TOP
	cld
	mov ebp, ebx			; EBP = the information
	call print_text
	db "eax ", 0
	call print_hex_line
	call print_text
	db "ebx ", 0
	mov eax, ebx
	call print_hex_line
	call print_text
	db "stack ", 0
	mov eax, [stack_given]
	call print_hex_line

	call check_whole
	call print_fields
	call print_entries
	call print_modules
	call check_registers

	mov al, 0x11
	cmp byte [failures], 0
	jne .exit
%if FATE == 1
	jmp .exit
%elif FATE == 2
	cli
	hlt
%elif FATE == 3
	lidt [no_table]
	int3
%endif
	mov al, 0x10
.exit:
	mov dx, 0xF4
	out dx, al
.halt:
	hlt
	jmp .halt

; Byte i of the data is i * 7 + i / 256; the bss is 0.
check_whole:
	xor ecx, ecx
.data:
	imul eax, ecx, 7
	mov edx, ecx
	shr edx, 8
	add eax, edx
	cmp al, [DATA + ecx]
	jne .bad
	inc ecx
	cmp ecx, DATA_BYTES
	jb .data
	mov edi, BSS
	mov ecx, BSS_BYTES
	xor eax, eax
	repe scasb
	jne .bad
	call print_text
	db "image whole", 10, 0
	ret
.bad:
	inc byte [failures]
	call print_text
	db "image damaged at ", 0
	mov eax, ecx
	jmp print_hex_line

; Flat segments, protected mode without paging, interrupts off.
check_registers:
	pushfd
	pop eax
	test eax, 0x200
	jnz .bad
	mov eax, cr0
	and eax, 0x80000001
	cmp eax, 1
	jne .bad
	mov ax, ds
	lsl ecx, eax
	jnz .bad
	cmp ecx, -1
	jne .bad
	mov ax, cs
	lsl ecx, eax
	jnz .bad
	cmp ecx, -1
	jne .bad
	call print_text
	db "registers right", 10, 0
	ret
.bad:
	inc byte [failures]
	call print_text
	db "registers wrong", 10, 0
	ret

%macro field 2
	call print_text
	db %1, " ", 0
	mov eax, [ebp + %2]
	call print_hex_line
%endmacro

print_fields:
	field "magic", 0
	field "size", 4
	field "method", 8
	field "entries", 12
	field "truncated", 24
	field "low_kib", 28
	field "e801_kib", 32
	field "e801_units", 36
	field "kib_88", 40
	field "boot_drive", 48
	field "info_start", 52
	field "info_end", 56
	field "modules", 60
	call print_text
	db "cmdline ", 0
	mov esi, [ebp + 44]
	call print_string
	jmp print_line_end

; entry base length type attributes bytes
print_entries:
	xor ebx, ebx
.next:
	cmp ebx, [ebp + 12]
	jae .done
	call print_text
	db "entry ", 0
	imul esi, ebx, 24
	add esi, [ebp + 16]
	mov eax, [esi + 4]
	call print_hex
	mov al, "_"
	call print_char
	mov eax, [esi]
	call print_hex
	mov al, " "
	call print_char
	mov eax, [esi + 12]
	call print_hex
	mov al, "_"
	call print_char
	mov eax, [esi + 8]
	call print_hex
	mov al, " "
	call print_char
	mov eax, [esi + 16]
	call print_hex
	mov al, " "
	call print_char
	mov eax, [esi + 20]
	call print_hex
	mov al, " "
	call print_char
	mov eax, [ebp + 20]
	movzx eax, byte [eax + ebx]
	call print_hex_line
	inc ebx
	jmp .next
.done:
	ret

; module start size sum string: the sum of its bytes.
print_modules:
	xor ebx, ebx
.next:
	cmp ebx, [ebp + 60]
	jae .done
	call print_text
	db "module ", 0
	imul edi, ebx, 12
	add edi, [ebp + 64]
	mov eax, [edi]
	call print_hex
	mov al, " "
	call print_char
	mov esi, [edi]
	mov ecx, [edi + 4]
	sub ecx, esi
	mov eax, ecx
	call print_hex
	xor edx, edx
	xor eax, eax
.sum:
	lodsb
	add edx, eax
	loop .sum
	mov al, " "
	call print_char
	mov eax, edx
	call print_hex
	mov al, " "
	call print_char
	mov esi, [edi + 8]
	call print_string
	call print_line_end
	inc ebx
	jmp .next
.done:
	ret

; Prints the text behind the call. Keeps all registers.
print_text:
	xchg esi, [esp]
	call print_string
	xchg esi, [esp]
	ret

; Prints the text at ESI; ESI behind its zero.
print_string:
	push eax
.next:
	lodsb
	test al, al
	jz .done
	call print_char
	jmp .next
.done:
	pop eax
	ret

print_hex_line:
	call print_hex
print_line_end:
	push eax
	mov al, 10
	call print_char
	pop eax
	ret

; Prints EAX. Keeps all registers.
print_hex:
	pushad
	mov edx, eax
	mov cl, 32
.skip:
	sub cl, 4
	jz .digits
	mov eax, edx
	shr eax, cl
	jz .skip
.digits:
	mov eax, edx
	shr eax, cl
	and al, 15
	add al, "0"
	cmp al, "9"
	jbe .put
	add al, "a" - "9" - 1
.put:
	call print_char
	sub cl, 4
	jns .digits
	popad
	ret

; Prints AL. Keeps all registers.
print_char:
	push edx
	push eax
	mov dx, 0x3FD
.wait:
	in al, dx
	test al, 0x20
	jz .wait
	pop eax
	mov dx, 0x3F8
	out dx, al
	pop edx
	ret

failures:	dd 0
stack_given:	dd 0
no_table:	times 6 db 0

text_bytes	equ data_begin - start
data_begin:
data_at		equ text_at + text_bytes

	section .data follows=.code vstart=DATA align=1
%assign i 0
%rep DATA_BYTES
	db (i * 7 + i / 256) & 0xFF
%assign i i + 1
%endrep

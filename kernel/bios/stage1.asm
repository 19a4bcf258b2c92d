; SPDX-License-Identifier: MIT
; The boot sector: reads stage two from the sectors behind it and enters it.
;
; The BIOS loads these 512 bytes to 0x7C00, in real mode, with the drive's
; number in DL and nothing else to rely on. Stage two is read one sector at a
; time, by the INT 13h extensions where the drive has them and by cylinder, head
; and sector where not: that is slow and small, and it is at most 64 sectors.
;
; Whatever goes wrong ends with a sentence on the screen and on COM1.
;
; Register contract with stage two: CS:IP = STAGE2_SEGMENT:STAGE2_ENTRY,
; DL = the drive, CLD, interrupts on. Segments and stack are its own affair.

	cpu 386
	bits 16
	org 0x7C00

%include "layout.inc"

READ_ATTEMPTS	equ 3
STACK		equ STAGE1_BASE - 16	; grows down; a few variables are above
PARTITIONS	equ 446

start:
	cli
	xor ax, ax
	mov ds, ax
	mov ss, ax
	mov sp, STACK
	sti
	cld
	jmp 0:.normalised		; some BIOSes come in as 07C0:0000
.normalised:
	mov [drive], dl

	mov dx, COM1 + 3		; 115200 baud, 8 bits, no parity
	mov al, 0x80
	out dx, al
	mov dl, (COM1 & 0xFF)
	mov al, 1
	out dx, al
	inc dx
	dec ax
	out dx, al
	mov dl, (COM1 & 0xFF) + 3
	mov al, 3
	out dx, al

	; Has the drive the extensions? BX is turned round if it does, and CL
	; bit 0 says that packets (AH=42h) work.
	mov ah, 0x41
	mov bx, 0x55AA
	mov dl, [drive]
	int 0x13
	jc .geometry
	cmp bx, 0xAA55
	jne .geometry
	test cl, 1
	jnz .read
.geometry:
	mov byte [packet.size], 0	; says: by cylinder, head and sector
	mov ah, 8
	mov dl, [drive]
	xor di, di			; ES:DI = 0:0, for BIOSes with a bug
	mov es, di
	int 0x13
	jc disk_error
	and cl, 0x3F
	mov [sectors_per_track], cl
	inc dh				; the highest head; 255 heads at most
	mov [heads], dh

.read:
	; The first sector of the label says how many there are.
	call read_sector
	mov es, [packet.segment]
	cmp dword [es:LABEL_MAGIC], LABEL_MAGIC_LOW
	jne no_stage2
	mov cx, [es:LABEL_STAGE2_SECTORS]
	cmp cx, STAGE2_MAX_SECTORS
	ja no_stage2
	dec cx
.more:
	inc word [packet.lba]
	add word [packet.segment], SECTOR_BYTES >> 4
	call read_sector
	loop .more

	mov dl, [drive]
	jmp STAGE2_SEGMENT:STAGE2_ENTRY

; Reads sector packet.lba to packet.segment:0, or does not return.
; Clobbers: AX, BX, DX, SI, ES. Keeps CX.
read_sector:
	push cx
	mov cx, READ_ATTEMPTS
.attempt:
	push cx
	mov dl, [drive]
	cmp byte [packet.size], 0
	je .chs
	mov si, packet
	mov byte [packet.count], 1	; a BIOS may have written 0 to it
	mov ah, 0x42
	jmp .call
.chs:
	mov ax, [packet.lba]
	div byte [sectors_per_track]	; AL = track, AH = sector from 0
	mov cl, ah
	inc cx
	xor ah, ah
	div byte [heads]		; AL = cylinder, AH = head
	mov ch, al
	mov dh, ah
	mov es, [packet.segment]
	xor bx, bx
	mov ax, 0x0201
.call:
	int 0x13
	pop cx
	jnc .done
	push ax
	xor ax, ax			; reset the drive, then once more
	mov dl, [drive]
	int 0x13
	pop ax
	loop .attempt
	jmp disk_error
.done:
	pop cx
	ret

; AH = INT 13h's error, packet.lba = the sector (below 100).
disk_error:
	mov bx, error_digits
	mov al, ah
	shr al, 4
	call .hex
	mov al, ah
	and al, 0x0F
	call .hex
	mov al, [packet.lba]
	aam				; AH = tens, AL = ones
	add ax, "00"
	xchg al, ah
	mov [sector_digits], ax
	mov si, disk_text
	jmp fail
; Stores AL (0 to 15) as a hexadecimal digit at BX++.
.hex:
	cmp al, 10
	sbb al, 0x69			; the classic: 0..15 to "0".."F"
	das
	mov [bx], al
	inc bx
	ret

no_stage2:
	mov si, no_stage2_text

; Prints "boot: " and the text at SI on screen and COM1, and stops.
fail:
	push si
	mov si, prefix_text
	call print
	pop si
	call print
	mov si, halted_text
	call print
.halt:
	cli
	hlt
	jmp .halt

; Prints the zero-terminated text at SI. Clobbers AX, BX, CX, DX, SI.
print:
	lodsb
	test al, al
	jz .done
	mov dx, COM1 + 5
	xor cx, cx			; a port that is not there never becomes
.wait:					; ready; do not wait for ever
	push ax
	in al, dx
	test al, 0x20
	pop ax
	loopz .wait
	mov dl, (COM1 & 0xFF)
	out dx, al
	mov bx, 7
	mov ah, 0x0E
	int 0x10
	jmp print
.done:
	ret

packet:					; of AH=42h
.size:		db 16
		db 0
.count:		dw 1
.offset:	dw 0
.segment:	dw STAGE2_SEGMENT
.lba:		dq STAGE2_LBA

prefix_text:	db "boot: ", 0
disk_text:	db "the disk cannot be read (INT 13h error "
error_digits:	db "00h at sector "
sector_digits:	db "00)", 0
no_stage2_text:	db "no stage two", 0
halted_text:	db 13, 10, "boot: halted", 13, 10, 0

drive:			equ STACK
sectors_per_track:	equ STACK + 1
heads:			equ STACK + 2

%if $ - $$ > PARTITIONS
%error "the boot sector's code runs into the partition table"
%endif
	; The partition table: tools/mkdisk.c writes it.
	times 510 - ($ - $$) db 0
	dw 0xAA55

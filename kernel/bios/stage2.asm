; SPDX-License-Identifier: MIT
; Stage two of the boot disk: from the boot sector to the kernel's first byte.
;
; What it does, in this order:
;
;   1. checks that the disk's label is whole, and that there is low memory for it
;   2. enables address line 20                                       a20.inc
;   3. collects the memory map: E820h, else E801h, else 88h          e820.inc
;   4. checks the kernel's ELF32 file and loads its segments         elf.inc
;   5. loads the modules on page bounds above the kernel             module.inc
;   6. fills struct bios_info (kernel/i386/bios_info.h), enters flat protected
;      mode and jumps to the kernel                                  handover.inc
;
; with console.inc to speak, disk.inc to read sectors, ram.inc to ask the map
; whether an address is memory, and high.inc to reach beyond 1 MiB. The map is
; there before the first byte is loaded, so nothing is ever written where the
; BIOS did not say that there is memory.
;
; The kernel is entered with
;
;	EAX	BIOS_INFO_MAGIC ("LOAM"; whatever the disk's label says)
;	EBX	physical address of struct bios_info
;	EIP	the entry of the ELF header, a physical address as for Multiboot
;	CS	flat code, DS ES FS GS SS flat data, all 0 to 4 GiB
;	ESP	the end of stage two's stack, usable until the kernel has its own
;	CR0	PE on, PG off; A20 on; interrupts off; direction flag clear
;
; Everything runs in real mode with CS = DS = SS = STAGE2_SEGMENT, so that an
; offset here plus STAGE2_BASE is a physical address; ES is the same except
; where a routine says otherwise, FS and GS belong to whoever sets them. Protected
; mode is entered for a copy and left again: no reliance on segment limits that
; survive ("unreal" mode), which BIOSes are free to reset at every call.
;
; Every routine states what goes in and out and what it clobbers; what is not
; named is kept. Errors do not return: they print a sentence and halt.

	cpu 386
	bits 16
	org 0

%include "layout.inc"

; The label as assembled: empty. tools/mkdisk.c knows stage two by it, and fills
; in the rest.
label:
	dd LABEL_MAGIC_LOW, LABEL_MAGIC_HIGH
	dd LABEL_VERSION_NOW
	times STAGE2_ENTRY - ($ - $$) db 0

; In: DL = the boot drive.
entry:
	cli
	mov ax, cs
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, STACK_TOP
	sti
	cld
	mov [boot_drive], dl

	call console_init
	call label_check
	call low_memory_check
	call a20_enable
	call map_collect
	call disk_init
	call elf_load
	call modules_load
	jmp handover

; Refuses a label that mkdisk did not write, or that was damaged since.
; Clobbers: EAX, CX, SI.
label_check:
	cmp dword [label + LABEL_VERSION], LABEL_VERSION_NOW
	jne .bad
	xor eax, eax
	mov si, label
	mov cx, LABEL_BYTES / 4
.sum:
	add eax, [si]
	add si, 4
	loop .sum
	test eax, eax
	jnz .bad
	cmp dword [label + LABEL_MODULE_COUNT], LABEL_MODULE_MAX
	ja .bad
	ret
.bad:
	mov si, .text
	jmp fail
.text:	db "the disk's label is damaged", 0

; Asks INT 12h for the memory below 640 KiB, and refuses too little of it.
; Out: [low_kib]. Clobbers: EAX, SI.
low_memory_check:
	int 0x12
	movzx eax, ax
	mov [low_kib], eax
	cmp eax, LOW_END >> 10
	jb .bad
	ret
.bad:
	mov [message_args], eax
	mov dword [message_args + 4], LOW_END >> 10
	mov si, .text
	jmp fail
.text:	db "only ", MSG_DEC, " KiB of low memory, ", MSG_DEC, " are needed", 0

%include "console.inc"
%include "a20.inc"
%include "e820.inc"
%include "ram.inc"
%include "disk.inc"
%include "high.inc"
%include "elf.inc"
%include "module.inc"
%include "handover.inc"

	align 4
boot_drive:	dd 0
low_kib:	dd 0

%if $ - $$ > STAGE2_MAX_SECTORS * SECTOR_BYTES
%error "stage two runs into its stack"
%endif
	align SECTOR_BYTES, db 0

/*
 * switch_aarch64.S — context_switch() for the Procedure Call Standard for the Arm 64-bit Architecture.
 *
 * A suspended stack holds, from its stack pointer upwards: x19-x28, x29 and x30, d8-d15, fpcr; 176 bytes in all.
 * x30 is where to go on. context_make() in switch.c lays out the first such frame.
 */
	.text
	.p2align 4
	.globl context_switch
	.hidden context_switch
	.type context_switch, %function
context_switch:
	.cfi_startproc
	hint #34 /* bti c */
	sub sp, sp, #176
	.cfi_adjust_cfa_offset 176
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mrs x9, fpcr
	str x9, [sp, #160]
	mov x10, sp
	str x10, [x0]
	ldr x10, [x1]
	mov sp, x10
	ldr x11, [sp, #160]
	cmp x9, x11
	b.eq 1f
	msr fpcr, x11 /* dear, and seldom needed */
1:
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	.cfi_restore x29
	.cfi_restore x30
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #176
	.cfi_adjust_cfa_offset -176
	ret
	.cfi_endproc
	.size context_switch, . - context_switch

/* The first frame of a stack: entry in x19, its argument in x20. Backtraces end here. */
	.p2align 4
	.globl context_start
	.hidden context_start
	.type context_start, %function
context_start:
	.cfi_startproc
	.cfi_undefined x30
	hint #36 /* bti j */
	mov x29, xzr
	mov x30, xzr
	mov x0, x20
	blr x19
	brk #0
	.cfi_endproc
	.size context_start, . - context_start

	.section .note.GNU-stack, "", %progbits

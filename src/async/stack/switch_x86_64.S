/*
 * switch_x86_64.S — context_switch() for the System V ABI of x86-64.
 *
 * A suspended stack holds, from its stack pointer upwards: mxcsr and the x87 control word (8 bytes), r15 r14 r13 r12
 * rbx rbp, and the address to go on at. context_make() in switch.c lays out the first such frame.
 * The object isn't marked for shadow stacks (SHSTK): a process that has this code in it runs without them.
 */
	.text
	.p2align 4
	.globl context_switch
	.hidden context_switch
	.type context_switch, @function
context_switch:
	.cfi_startproc
	endbr64
	pushq %rbp
	.cfi_adjust_cfa_offset 8
	pushq %rbx
	.cfi_adjust_cfa_offset 8
	pushq %r12
	.cfi_adjust_cfa_offset 8
	pushq %r13
	.cfi_adjust_cfa_offset 8
	pushq %r14
	.cfi_adjust_cfa_offset 8
	pushq %r15
	.cfi_adjust_cfa_offset 8
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr (%rsp)
	fnstcw 4(%rsp)
	.cfi_rel_offset %r15, 8
	.cfi_rel_offset %r14, 16
	.cfi_rel_offset %r13, 24
	.cfi_rel_offset %r12, 32
	.cfi_rel_offset %rbx, 40
	.cfi_rel_offset %rbp, 48
	movq %rsp, (%rdi)
	movq (%rsi), %rsp
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	popq %r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq %r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq %r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq %r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq %rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq %rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	/* A jump, not a return: the return predictor has the other stack's caller on top. */
	popq %rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	jmpq *%rcx
	.cfi_endproc
	.size context_switch, . - context_switch

/* The first frame of a stack: entry in r12, its argument in r13. Backtraces end here. */
	.p2align 4
	.globl context_start
	.hidden context_start
	.type context_start, @function
context_start:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	xorl %ebp, %ebp
	movq %r13, %rdi
	callq *%r12
	ud2
	.cfi_endproc
	.size context_start, . - context_start

/* Branch targets are marked (IBT); shadow stacks aren't claimed. */
	.section .note.gnu.property, "a"
	.p2align 3
	.long 4
	.long 16
	.long 5
	.asciz "GNU"
	.long 0xc0000002
	.long 4
	.long 1
	.long 0

	.section .note.GNU-stack, "", @progbits

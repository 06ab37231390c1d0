/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vdso_return.S - the way back of a redirected call
 *
 * A call whose timeout is taken from elsewhere (redirect.h) is made here and
 * not where the program made it: one register is not the program's, and must
 * be when the program goes on. The entry is chosen by that register, which
 * points into a slot (struct redirect_slot). Only rcx and r11 are free after
 * a system call; rcx is the address where the program goes on, as it would be.
 *
 * Where the call has written a time of the host's (what is left of a sleep), it
 * is the guest kernel's to translate: it is asked to, by VCLOCK_FINISH.
 *
 * The slot is given back last but one, when nothing of it is needed any more:
 * a signal handler that comes then may use it.
 *
 * The unwinding tables say how to get from each instruction to the program:
 * a thread of glibc that is cancelled here runs its clean-up handlers.
 */
#define RETURN	-64
#define BUSY	-72
#define FINISH	-71
#define RDI	-56
#define RSI	-48
#define RDX	-40
#define R10	-32
#define R8	-24

/* The return address (DWARF register 16) is in the slot that a register points
 * to: DW_CFA_val_expression { DW_OP_breg<n> RETURN; DW_OP_deref }. */
#define RETURN_IN(n) .cfi_escape 0x16, 16, 3, 0x70 + n, 0x40, 0x06
/* The return address is in rcx: DW_CFA_register. */
#define RETURN_RCX .cfi_escape 0x09, 16, 2

	.section .text.return, "ax", @progbits
	.globl back_rdi, back_rsi, back_rdx, back_r10, back_r8
	.hidden back_rdi, back_rsi, back_rdx, back_r10, back_r8
	.cfi_startproc
	.cfi_def_cfa %rsp, 0

	RETURN_IN(5)
back_rdi:
	syscall
	mov	%rdi, %r11
	jmp	1f
	RETURN_IN(4)
back_rsi:
	syscall
	mov	%rsi, %r11
	jmp	1f
	RETURN_IN(1)
back_rdx:
	syscall
	mov	%rdx, %r11
	jmp	1f
	RETURN_IN(10)
back_r10:
	syscall
	mov	%r10, %r11
	jmp	1f
	RETURN_IN(8)
back_r8:
	syscall
	mov	%r8, %r11
	RETURN_IN(11)
1:	cmpb	$0, FINISH(%r11)
	jne	3f
2:	mov	RDI(%r11), %rdi
	mov	RSI(%r11), %rsi
	mov	RDX(%r11), %rdx
	mov	R10(%r11), %r10
	mov	R8(%r11), %r8
	mov	RETURN(%r11), %rcx
	RETURN_RCX
	movb	$0, BUSY(%r11)
	jmp	*%rcx
	/* clock_gettime(CLOCK_REALTIME, NULL, VCLOCK_FINISH, result, slot): returns result */
	RETURN_IN(11)
3:	mov	%r11, %r8
	RETURN_IN(8)
	mov	%rax, %r10
	xor	%edi, %edi
	xor	%esi, %esi
	movabs	$0x687369666e697277, %rdx
	mov	$228, %eax
	syscall
	mov	%r8, %r11
	jmp	2b
	.cfi_endproc

	.section .note.GNU-stack, "", @progbits

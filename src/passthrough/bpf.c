/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf.c - an interpreter for seccomp's classic BPF
 *
 * Covers what the kernel lets a seccomp filter use. bpf_check() is the only
 * guard: after it bpf_run() can neither loop nor read out of bounds.
 */
#include "passthrough/bpf.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool check_jump(unsigned pc, uint32_t offset, unsigned len)
{
	return offset < len - pc - 1;
}

static bool check_insn(const struct sock_filter *f, unsigned pc, unsigned len)
{
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return f->k % 4 == 0 && f->k < sizeof(struct seccomp_data);
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return f->k < BPF_MEMWORDS;
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
		return true;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return f->k < 32;
	case BPF_JMP | BPF_JA:
		return check_jump(pc, f->k, len);
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return check_jump(pc, f->jt, len) && check_jump(pc, f->jf, len);
	default:
		return false;
	}
}

int bpf_check(const struct sock_filter *insn, unsigned len)
{
	if (len == 0)
		return -EINVAL;
	if (len > BPF_MAXINSNS)
		return -E2BIG;
	for (unsigned pc = 0; pc < len; pc++)
		if (!check_insn(&insn[pc], pc, len))
			return -EINVAL;
	/* Jumps only go forward, so every path reaches the last instruction or a return. */
	return BPF_CLASS(insn[len - 1].code) == BPF_RET ? 0 : -EINVAL;
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << b;
	case BPF_RSH:
		return a >> b;
	default:
		return -a;
	}
}

static bool compare(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return a & b;
	}
}

struct bpf_result bpf_run(const struct sock_filter *insn, const struct seccomp_data *data)
{
	struct bpf_result ret = { 0 };
	uint32_t mem[BPF_MEMWORDS] = { 0 };
	uint32_t a = 0, x = 0;

	for (const struct sock_filter *f = insn;; f++) {
		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&a, (const char *)data + f->k, sizeof(a));
			ret.loaded |= 1u << (f->k / 4);
			break;
		case BPF_LD | BPF_IMM:
			a = f->k;
			break;
		case BPF_LDX | BPF_IMM:
			x = f->k;
			break;
		case BPF_LD | BPF_W | BPF_LEN:
			a = sizeof(*data);
			break;
		case BPF_LDX | BPF_W | BPF_LEN:
			x = sizeof(*data);
			break;
		case BPF_LD | BPF_MEM:
			a = mem[f->k];
			break;
		case BPF_LDX | BPF_MEM:
			x = mem[f->k];
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_STX:
			mem[f->k] = x;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_MISC | BPF_TXA:
			a = x;
			break;
		case BPF_RET | BPF_K:
			ret.action = f->k;
			return ret;
		case BPF_RET | BPF_A:
			ret.action = a;
			return ret;
		case BPF_JMP | BPF_JA:
			f += f->k;
			break;
		/* The two that nearly every step is, without a call. */
		case BPF_JMP | BPF_JEQ | BPF_K:
			f += a == f->k ? f->jt : f->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			f += a >= f->k ? f->jt : f->jf;
			break;
		default:
			if (BPF_CLASS(f->code) == BPF_ALU)
				a = alu(f->code, a, BPF_SRC(f->code) == BPF_X ? x : f->k);
			else if (compare(f->code, a, BPF_SRC(f->code) == BPF_X ? x : f->k))
				f += f->jt;
			else
				f += f->jf;
		}
	}
}

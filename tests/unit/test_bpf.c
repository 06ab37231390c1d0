/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_bpf.c - the BPF interpreter: each instruction, and what bpf_check() refuses
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "kernel/util.h"
#include "passthrough/bpf.h"

static const struct seccomp_data data = {
	.nr = 39,
	.arch = 0xc000003e,
	.instruction_pointer = 0x1122334455667788,
	.args = { 0xdeadbeef00000001, 2, 3, 4, 5, 6 },
};

#define RUN(...)                                                                                   \
	({                                                                                         \
		const struct sock_filter run_insn[] = { __VA_ARGS__ };                             \
		assert_int_equal(bpf_check(run_insn, ARRAY_SIZE(run_insn)), 0);                    \
		bpf_run(run_insn, &data);                                                          \
	})
#define REFUSED(...)                                                                               \
	({                                                                                         \
		const struct sock_filter run_insn[] = { __VA_ARGS__ };                             \
		assert_int_equal(bpf_check(run_insn, ARRAY_SIZE(run_insn)), -EINVAL);              \
	})

#define RET(k) BPF_STMT(BPF_RET | BPF_K, k)
#define RET_A BPF_STMT(BPF_RET | BPF_A, 0)
#define LD(k) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, k)
#define IMM(k) BPF_STMT(BPF_LD | BPF_IMM, k)
#define X(k) BPF_STMT(BPF_LDX | BPF_IMM, k)

static void test_load(void **state)
{
	struct bpf_result r;

	r = RUN(LD(0), RET_A);
	assert_int_equal(r.action, 39);
	assert_int_equal(r.loaded, BPF_WORD(nr));
	r = RUN(LD(4), RET_A);
	assert_int_equal(r.action, 0xc000003e);
	assert_int_equal(r.loaded, BPF_WORD(arch));
	assert_int_equal(RUN(LD(8), RET_A).action, 0x55667788);
	assert_int_equal(RUN(LD(12), RET_A).action, 0x11223344);
	assert_int_equal(RUN(LD(16), RET_A).action, 1);
	assert_int_equal(RUN(LD(20), RET_A).action, 0xdeadbeef);
	assert_int_equal(RUN(LD(56), RET_A).action, 6);
	assert_int_equal(RUN(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RET_A).action, 64);
	assert_int_equal(RUN(IMM(7), RET_A).loaded, 0);
}

static void test_alu(void **state)
{
	static const struct {
		uint16_t op;
		uint32_t a, b, result;
	} alu[] = {
		{ BPF_ADD, 0xffffffff, 2, 1 },	{ BPF_SUB, 1, 2, 0xffffffff },
		{ BPF_AND, 0xff0f, 0x0ff0, 0x0f00 }, { BPF_OR, 0xf0, 0x0f, 0xff },
		{ BPF_XOR, 0xff, 0x0f, 0xf0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(alu); i++) {
		assert_int_equal(RUN(IMM(alu[i].a),
				     BPF_STMT(BPF_ALU | alu[i].op | BPF_K, alu[i].b), RET_A).action,
				 alu[i].result);
		assert_int_equal(RUN(IMM(alu[i].a), X(alu[i].b),
				     BPF_STMT(BPF_ALU | alu[i].op | BPF_X, 0), RET_A).action,
				 alu[i].result);
	}
	assert_int_equal(RUN(IMM(1), BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 31), RET_A).action,
			 0x80000000);
	assert_int_equal(RUN(IMM(8), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 3), RET_A).action, 1);
	assert_int_equal(RUN(IMM(1), BPF_STMT(BPF_ALU | BPF_NEG, 0), RET_A).action, 0xffffffff);
}

static void test_jump(void **state)
{
	static const struct {
		uint16_t op;
		uint32_t a, b;
		bool taken;
	} jump[] = {
		{ BPF_JEQ, 5, 5, true },  { BPF_JEQ, 5, 6, false },
		{ BPF_JGT, 6, 5, true },  { BPF_JGT, 5, 5, false },
		{ BPF_JGT, 0xffffffff, 1, true },
		{ BPF_JGE, 5, 5, true },  { BPF_JGE, 4, 5, false },
		{ BPF_JSET, 6, 2, true }, { BPF_JSET, 4, 3, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(jump); i++) {
		assert_int_equal(RUN(IMM(jump[i].a),
				     BPF_JUMP(BPF_JMP | jump[i].op | BPF_K, jump[i].b, 1, 0), RET(0),
				     RET(1)).action, jump[i].taken);
		assert_int_equal(RUN(IMM(jump[i].a), X(jump[i].b),
				     BPF_JUMP(BPF_JMP | jump[i].op | BPF_X, 0, 1, 0), RET(0),
				     RET(1)).action, jump[i].taken);
	}
	assert_int_equal(RUN(BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0), RET(1)).action, 1);
}

static void test_memory(void **state)
{
	assert_int_equal(RUN(IMM(9), BPF_STMT(BPF_ST, 15), IMM(0),
			     BPF_STMT(BPF_LD | BPF_MEM, 15), RET_A).action, 9);
	assert_int_equal(RUN(X(9), BPF_STMT(BPF_STX, 0), X(0), BPF_STMT(BPF_LDX | BPF_MEM, 0),
			     BPF_STMT(BPF_MISC | BPF_TXA, 0), RET_A).action, 9);
	assert_int_equal(RUN(IMM(9), BPF_STMT(BPF_MISC | BPF_TAX, 0), IMM(1),
			     BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0), RET_A).action, 10);
}

static void test_check(void **state)
{
	static const struct sock_filter long_program[BPF_MAXINSNS + 1];

	assert_int_equal(bpf_check(NULL, 0), -EINVAL);
	assert_int_equal(bpf_check(long_program, BPF_MAXINSNS + 1), -E2BIG);
	REFUSED(LD(0));							/* runs off the end */
	REFUSED(LD(2), RET(0));						/* not aligned */
	REFUSED(LD(64), RET(0));					/* behind the data */
	REFUSED(LD(0xfffffffc), RET(0));
	REFUSED(BPF_STMT(BPF_JMP | BPF_JA, 1), RET(0));			/* jump outside */
	REFUSED(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), RET(0));	/* jump back */
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RET(0));
	REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RET(0));
	REFUSED(BPF_STMT(BPF_ST, BPF_MEMWORDS), RET(0));
	REFUSED(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RET(0));	/* not in seccomp */
	REFUSED(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RET(0));
	REFUSED(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), RET(0));
	REFUSED(BPF_STMT(0xffff, 0), RET(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load), cmocka_unit_test(test_alu), cmocka_unit_test(test_jump),
		cmocka_unit_test(test_memory), cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests_name("bpf", tests, NULL, NULL);
}

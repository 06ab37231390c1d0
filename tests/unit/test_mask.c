/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mask.c - the seccomp program: against the table, against damage, and on the host
 *
 * Includes mask.c to reach the verification.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../src/passthrough/mask.c"
#include "policy_text.h"

#define BASE "[policy]\ninherit = base\n[syscalls]\n"

struct made {
	struct policy *policy;
	struct lanes *lanes;
	struct mask mask;
};

static void make(struct made *m, struct policy *p)
{
	struct policy_error err;

	m->policy = p;
	if (lanes_build(p, &m->lanes, &err) < 0 || mask_compile(m->lanes, &m->mask, &err) < 0)
		fail_msg("%s", err.text);
}

static void unmake(struct made *m)
{
	mask_free(&m->mask);
	lanes_free(m->lanes);
	policy_free(m->policy);
}

static uint32_t run(const struct made *m, int nr, const uint64_t arg[6])
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };

	for (int i = 0; i < 6; i++)
		d.args[i] = arg[i];
	return bpf_run(m->mask.insn, &d).action;
}

static void test_shipped(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(shipped_names); i++) {
		struct made m;

		make(&m, shipped(shipped_names[i]));
		assert_true(m.mask.listens);
		assert_true(m.mask.len < 1000);
		unmake(&m);
	}
}

/* What was built with weir is what is made and verified here. */
static void test_shipped_masks(void **state)
{
	static struct program p;

	for (size_t i = 0; i < ARRAY_SIZE(shipped_names); i++) {
		const struct shipped_mask *m;
		struct made made;

		make(&made, shipped(shipped_names[i]));
		m = made.lanes->shipped;
		assert_non_null(m);
		assert_int_equal(made.mask.len, m->len);
		assert_memory_equal(made.mask.insn, m->insn, m->len * sizeof(*m->insn));
		assert_int_equal(build(made.lanes, &p, &(struct policy_error){}), 0);
		assert_int_equal(p.len, m->len);
		assert_memory_equal(p.insn, m->insn, p.len * sizeof(*p.insn));
		unmake(&made);
	}
}

/* A difference in any lane, errno, test or default is another table. */
static void test_not_shipped(void **state)
{
	static const char *const text[] = {
		"acct = kill", "acct = deny EXDEV", "default = deny EXDEV",
		"flock = deny ENOSYS if cmd == 77", "socket = deny EPERM if domain == 77",
	};
	char all[200];

	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		struct made made;

		snprintf(all, sizeof(all), "[policy]\ninherit = hosting\n[syscalls]\n%s\n", text[i]);
		make(&made, loaded(all));
		assert_null(made.lanes->shipped);
		unmake(&made);
	}
	for (size_t i = 0; i < 2; i++) {
		struct made made;

		/* Where it was written is no difference. */
		make(&made, loaded(i ? "[policy]\ninherit = hosting\n[guest]\nmemory = 1G\n" :
				       "[policy]\ninherit = hosting\n"));
		assert_non_null(made.lanes->shipped);
		unmake(&made);
	}
}

static void test_no_listener(void **state)
{
	struct made m;

	make(&m, loaded("[sched]\nplacement = off\n[syscalls]\n@known = pass\n"));
	assert_false(m.mask.listens);
	unmake(&m);
}

/* Every operator and width, with values on and beside the edges. */
static void test_operators(void **state)
{
	static const char *const ops[] = { "==", "!=", "<", "<=", ">", ">=" };
	static const char *const args[] = { "fd", "offset" };
	static const char *const values[] = { "1", "0x7fffffff", "0x80000000", "0xfffffffe",
					      "0x100000000", "0x1ffffffff", "0xfffffffffffffffe" };
	char text[200];

	for (size_t a = 0; a < ARRAY_SIZE(args); a++)
		for (size_t o = 0; o < ARRAY_SIZE(ops); o++)
			for (size_t v = 0; v < (a ? 7 : 4); v++) {
				struct made m;

				snprintf(text, sizeof(text), BASE "lseek = kill if %s %s %s\n",
					 args[a], ops[o], values[v]);
				make(&m, loaded(text));
				unmake(&m);
			}
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"	/* the tests are templates */

/* Random rules; verification is in mask_compile(), random arguments are on top. */
static void test_random(void **state)
{
	static const char *const tests[] = {
		"fd == %u", "offset != %u", "whence < %u", "fd in (1 %u 0xffffffff)",
		"offset > %u", "offset &0xffff00000000== 0x%x00000000", "fd &0xff0== 0x%x0",
		"whence >= %u", "offset in (%u 0x100000001 0x8000000000000000)", "offset <= %u",
	};
	static const char *const lanes[] = { "pass", "trap", "deny EIO", "deny EPERM", "kill" };
	unsigned seed = 7;

	for (int round = 0; round < 150; round++) {
		char text[2000] = BASE "lseek = pass\n";
		size_t len = strlen(text);
		struct made m;

		for (int i = rand_r(&seed) % 5; i >= 0; i--) {
			len += snprintf(text + len, sizeof(text) - len, "lseek = %s if ",
					lanes[rand_r(&seed) % ARRAY_SIZE(lanes)]);
			for (int k = rand_r(&seed) % 2, first = 1; k >= 0; k--, first = 0) {
				len += snprintf(text + len, sizeof(text) - len, first ? "" : " and ");
				len += snprintf(text + len, sizeof(text) - len,
						tests[rand_r(&seed) % ARRAY_SIZE(tests)],
						2 + rand_r(&seed) % 8);
			}
			/* No two rules alike. */
			len += snprintf(text + len, sizeof(text) - len, " and whence != %d\n", 100 + i);
		}
		make(&m, loaded(text));
		for (int i = 0; i < 2000; i++) {
			uint64_t arg[6] = { rand_r(&seed) % 12, rand_r(&seed) % 12,
					    rand_r(&seed) % 12 };

			for (int k = 0; k < 3; k++)
				if (rand_r(&seed) % 2)
					arg[k] |= (uint64_t)(rand_r(&seed) % 12) << 32;
			assert_int_equal(run(&m, 8, arg),
					 frame_action(lanes_lookup(m.lanes, AUDIT_ARCH_X86_64, 8, arg)));
		}
		unmake(&m);
	}
}

/* Long jumps: a chain longer than a jump's 255. */
static void test_long_chain(void **state)
{
	char text[8192] = BASE "lseek = pass\n";
	size_t len = strlen(text);
	struct made m;

	for (int i = 0; i < 60; i++) {
		len += snprintf(text + len, sizeof(text) - len, "lseek = deny if offset in (");
		for (int k = 0; k < 8; k++)
			len += snprintf(text + len, sizeof(text) - len, "%d%09d ", i + 1, k);
		len += snprintf(text + len, sizeof(text) - len, ")\n");
	}
	make(&m, loaded(text));
	assert_true(m.mask.len > 1500);
	assert_int_equal(run(&m, 8, (uint64_t[6]){ 0, 60000000007, 0 }), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(run(&m, 8, (uint64_t[6]){ 0, 60000000008, 0 }), SECCOMP_RET_ALLOW);
	unmake(&m);
}

static void test_too_much(void **state)
{
	struct policy *p = loaded(BASE "mmap = deny if addr in (1 3 5 7 9 11 13 15 17 19 21 23 25 27)\n"
				  " and length in (1 3 5 7 9 11 13 15 17 19 21 23 25 27)\n"
				  " and prot in (1 3 5 7 9 11 13 15 17 19 21 23 25 27)\n"
				  " and flags in (1 3 5 7 9 11 13 15 17 19 21 23 25 27)\n"
				  " and offset in (1 3 5 7 9 11 13 15 17 19 21 23 25 27)\n");
	struct policy_error err;
	struct lanes *l;
	struct mask m;

	assert_int_equal(lanes_build(p, &l, &err), 0);
	assert_int_equal(mask_compile(l, &m, &err), -E2BIG);
	assert_non_null(strstr(err.text, "too many tests on the arguments of mmap"));
	lanes_free(l);
	policy_free(p);
}

/* A program whose answer is changed anywhere must not pass verification. */
static void test_damage(void **state)
{
	struct program *p = malloc(sizeof(*p));
	struct policy_error err;
	unsigned tried = 0;
	struct made m;

	/* With ENOSYS for unknown calls, -1 as x32 would be no difference. */
	make(&m, loaded("[policy]\ninherit = hosting\n[syscalls]\ndefault = deny EPERM\n"));
	p->len = m.mask.len;
	memcpy(p->insn, m.mask.insn, m.mask.len * sizeof(*p->insn));
	assert_int_equal(verify(m.lanes, p, &err), 0);
	for (unsigned i = 0; i < p->len; i++) {
		struct sock_filter *f = &p->insn[i], was = *f;

		if (f->code == (BPF_RET | BPF_K)) {
			f->k = SECCOMP_RET_LOG;
		} else if (f->code == (BPF_JMP | BPF_JEQ | BPF_K)) {
			f->jt = was.jf;
			f->jf = was.jt;
		} else if (f->code == (BPF_ALU | BPF_AND | BPF_K)) {
			f->k = ~f->k;
		} else {
			continue;
		}
		tried++;
		if (verify(m.lanes, p, &err) == 0)
			fail_msg("damage at instruction %u is not found", i);
		*f = was;
	}
	assert_true(tried > 200);
	unmake(&m);
	free(p);
}

/* On the host: what the program does to real calls. */
static int under_mask(void *arg)
{
	struct made *m = arg;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	if (mask_load(&m->mask) != -ENODATA)
		return 2;
	if (syscall(SYS_getppid) <= 0)
		return 3;
	if (syscall(SYS_acct, 0) != -1 || errno != EXDEV)
		return 4;
	if (syscall(999) != -1 || errno != ENOSYS)
		return 5;
	if (syscall(SYS_ioctl, -1, 0xdeadbeef00005412, 0) != -1 || errno != ENOTTY)
		return 6;
	if (syscall(SYS_ioctl, -1, 0x5413, 0) != -1 || errno != EBADF)
		return 7;
	return 0;
}

static int with_listener(void *arg)
{
	struct made *m = arg;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return mask_load(&m->mask) > 2 ? 0 : 1;
}

static int in_child(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		syscall(SYS_exit_group, fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The kernel's own reading of a program, once when it is loaded, to see which
 * numbers it always allows: kernel/seccomp.c, seccomp_is_const_allow(). Those
 * it then lets pass without running the program. */
static bool constant_for_the_kernel(const struct mask *m, uint32_t nr)
{
	uint32_t a = 0;

	for (unsigned pc = 0; pc < m->len; pc++) {
		const struct sock_filter *f = &m->insn[pc];
		bool yes;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (f->k == offsetof(struct seccomp_data, nr))
				a = nr;
			else if (f->k == offsetof(struct seccomp_data, arch))
				a = AUDIT_ARCH_X86_64;
			else
				return false;
			continue;
		case BPF_RET | BPF_K:
			return f->k == SECCOMP_RET_ALLOW;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = a & f->k;
			break;
		default:
			return false;
		}
		pc += yes ? f->jt : f->jf;
	}
	return false;
}

static void test_passing_costs_no_program(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(shipped_names); i++) {
		unsigned pass = 0;
		struct made m;

		make(&m, shipped(shipped_names[i]));
		for (int nr = 0; nr < LANES_MAX_NR; nr++) {
			const struct lane_rule *r = lanes_constant_rule(m.lanes, nr);
			bool passes = r && r->lane == LANE_PASS;

			if (constant_for_the_kernel(&m.mask, nr) != passes)
				fail_msg("%s: %s", shipped_names[i], syscall_name(nr));
			pass += passes;
		}
		assert_true(pass > 0);
		unmake(&m);
	}
}

static void test_host(void **state)
{
	struct made m;

	make(&m, loaded("[sched]\nplacement = off\n[syscalls]\n@known = pass\n"
			"acct = deny EXDEV\n@io-uring = deny\n"
			"ioctl = deny ENOTTY if cmd == TIOCSTI\n"));
	assert_int_equal(in_child(under_mask, &m), 0);
	unmake(&m);
	make(&m, loaded("[syscalls]\n@known = pass\nacct = trap\n"));
	assert_int_equal(in_child(with_listener, &m), 0);
	unmake(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shipped), cmocka_unit_test(test_shipped_masks), cmocka_unit_test(test_not_shipped),
		cmocka_unit_test(test_no_listener),
		cmocka_unit_test(test_operators), cmocka_unit_test(test_random),
		cmocka_unit_test(test_long_chain), cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_passing_costs_no_program),
		cmocka_unit_test(test_host),
	};

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}

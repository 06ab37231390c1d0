/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_write.c - rules as lines of a policy, for what makes policies
 *
 * A value is written as the constant it is for that argument, if there is one;
 * what is written is read again as the same rule.
 */
#include "passthrough/policy/policy_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/policy_impl.h"

/* Beginnings of the constants that are values of an argument. */
static const struct {
	const char *call, *arg;
	const char *prefix[3];
} constant_args[] = {
	{ "socket", "domain", { "AF_" } },
	{ "socket", "type", { "SOCK_" } },
	{ "socketpair", "domain", { "AF_" } },
	{ "socketpair", "type", { "SOCK_" } },
	{ "setsockopt", "level", { "SOL_" } },
	{ "getsockopt", "level", { "SOL_" } },
	{ "ioctl", "cmd", { "TIOC", "TC", "FIO" } },
	{ "fcntl", "cmd", { "F_" } },
	{ "prctl", "option", { "PR_SET_", "PR_GET_", "PR_" } },
	{ "arch_prctl", "code", { "ARCH_" } },
	{ "futex", "op", { "FUTEX_W", "FUTEX_CMP", "FUTEX_" } },
	{ "ptrace", "request", { "PTRACE_" } },
	{ "prlimit64", "resource", { "RLIMIT_" } },
	{ "getrlimit", "resource", { "RLIMIT_" } },
	{ "setrlimit", "resource", { "RLIMIT_" } },
	{ "unshare", "flags", { "CLONE_" } },
	{ "mknod", "mode", { "S_IF" } },
	{ "mknodat", "mode", { "S_IF" } },
};

uint64_t width_mask(unsigned width)
{
	return width == 64 ? UINT64_MAX : BIT(width) - 1;
}

static const char *constant_of(const char *call, const char *arg, uint64_t value)
{
	const char *name = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(constant_args); i++) {
		if (!streq(constant_args[i].call, call) || !streq(constant_args[i].arg, arg))
			continue;
		for (unsigned k = 0; k < 3 && !name && constant_args[i].prefix[k]; k++)
			name = policy_constant_name(constant_args[i].prefix[k], value);
	}
	return name;
}

static void write_value(FILE *f, int nr, const char *arg, uint64_t value)
{
	const char *name = constant_of(syscall_name(nr), arg, value);

	if (name)
		fputs(name, f);
	else
		fprintf(f, value < 10 ? "%" PRIu64 : "%#" PRIx64, value);
}

static void write_test(FILE *f, int nr, const struct policy_test *t)
{
	static const char *const op[] = {
		[TEST_EQ] = " == ", [TEST_NE] = " != ", [TEST_LT] = " < ", [TEST_LE] = " <= ",
		[TEST_GT] = " > ",  [TEST_GE] = " >= ", [TEST_IN] = " in (",
	};
	struct call_arg arg;

	if (call_arg_at(nr, t->arg, &arg) < 0)
		snprintf(arg.name, sizeof(arg.name), "arg%u", t->arg);
	fputs(arg.name, f);
	if (t->op == TEST_MASKED_EQ)
		fprintf(f, " &%#" PRIx64 "== ", t->mask);
	else
		fputs(op[t->op], f);
	for (unsigned i = 0; i < t->nvalues; i++) {
		fputs(i ? " " : "", f);
		write_value(f, nr, arg.name, t->value[i]);
	}
	fputs(t->op == TEST_IN ? ")" : "", f);
}

void policy_write_rule(FILE *f, const char *name, enum lane lane, int err,
		       const struct policy_test *test, unsigned ntests)
{
	const char *error = policy_errno_name(err);
	cleanup_free char *text = NULL;
	size_t size;
	FILE *m = open_memstream(&text, &size);

	if (!m)
		return;
	fprintf(m, "%s%s%s", lane_str[lane], lane == LANE_DENY && error ? " " : "",
		lane == LANE_DENY && error ? error : "");
	for (unsigned i = 0; i < ntests; i++) {
		fputs(i ? " and " : " if ", m);
		write_test(m, syscall_number(name), &test[i]);
	}
	fclose(m);
	fprintf(f, "%s = ", name);
	if (text)
		policy_show_text(text, f);
	fputc('\n', f);
}

void policy_write_call(FILE *f, const struct lanes *l, int nr)
{
	for (unsigned i = l->first[nr + 1]; i > l->first[nr]; i--) {
		const struct lane_rule *r = &l->rule[i - 1];

		policy_write_rule(f, syscall_name(nr), r->lane, r->err, r->rule->test,
				  r->rule->ntests);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_learnt.c - learning, merging, cubes, and OCI profiles there and back
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/socket.h>

#include "kernel/util.h"
#include "passthrough/edges.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/cube.h"
#include "passthrough/policy/groups.h"
#include "passthrough/policy/oci.h"
#include "passthrough/policy/policy_learnt.h"
#include "policy_text.h"

static struct lanes *built(const struct policy *p)
{
	struct policy_error err;
	struct lanes *l = NULL;

	if (lanes_build(p, &l, &err) < 0)
		fail_msg("%s", err.text);
	return l;
}

static struct policy *from_text(const char *file, const char *text)
{
	struct policy_error err;
	struct policy *p = NULL;

	if (policy_load_text(file, text, strlen(text), &p, &err) < 0)
		fail_msg("%s\n%s", err.text, text);
	return p;
}

static char *written(const struct learnt *l)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	learnt_write(l, "base", f);
	fclose(f);
	return text;
}

/* Values of a call by the names of its arguments' order in the key. */
static void add(struct learnt *l, const char *call, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t value[RECORDER_PARTS] = { a, b, c };

	learnt_add(l, syscall_number(call), value);
}

static void fill(struct learnt *l, int order)
{
	for (int i = 0; i < 3; i++)
		switch ((i + order) % 3) {
		case 0:
			add(l, "socket", AF_UNIX, 0, SOCK_STREAM);
			add(l, "socket", AF_INET, 6, SOCK_STREAM | SOCK_CLOEXEC);
			add(l, "socket", AF_PACKET, 0, SOCK_RAW);
			add(l, "bpf", 0, 0, 0);
			break;
		case 1:
			add(l, "mount", 0, 0, 0);
			add(l, "unshare", CLONE_NEWNS, 0, 0);
			add(l, "unshare", CLONE_NEWUSER, 0, 0);
			break;
		case 2:
			for (unsigned k = 0; k < 40; k++)
				add(l, "ioctl", 0x5400 + (k * 7 + order) % 40, 0, 0);
			add(l, "fsync", 0, 0, 0);
			add(l, "fdatasync", 0, 0, 0);
			for (const char *s = "msync sync sync_file_range syncfs"; *s;) {
				char name[20];

				snprintf(name, sizeof(name), "%.*s", (int)strcspn(s, " "), s);
				add(l, name, 0, 0, 0);
				s += strcspn(s, " ");
				s += *s == ' ';
			}
		}
}

static void test_learn(void **state)
{
	struct policy *base = shipped("base");
	struct lanes *lanes = built(base);
	struct learnt *l;
	char *text;

	assert_int_equal(learnt_create(lanes, &l), 0);
	fill(l, 0);
	text = written(l);
	assert_non_null(strstr(text, "\nsocket = pass if domain == AF_INET and protocol == 6 and type &0xf== SOCK_STREAM\n"));
	assert_non_null(strstr(text, "\nmount = trap\n"));
	assert_non_null(strstr(text, "\nunshare = pass if flags == CLONE_NEWNS\n"));
	assert_non_null(strstr(text, "\nunshare = deny EPERM if flags == CLONE_NEWUSER\n"));
	assert_non_null(strstr(text, "\nbpf = deny EPERM\n"));
	assert_non_null(strstr(text, "\n@sync = pass\n"));
	assert_null(strstr(text, "\nfsync = "));
	/* More commands than a reader would want to see: the policy's own rules. */
	assert_non_null(strstr(text, "\nioctl = pass\nioctl = deny EPERM if cmd in (TIOCSTI"));
	assert_null(strstr(text, "bpf = pass"));
	free(text);
	learnt_destroy(l);
	lanes_free(lanes);
	policy_free(base);
}

static void test_order_does_not_matter(void **state)
{
	struct policy *base = shipped("base");
	struct lanes *lanes = built(base);
	char *first = NULL;

	for (int order = 0; order < 3; order++) {
		struct learnt *l;
		char *text;

		assert_int_equal(learnt_create(lanes, &l), 0);
		fill(l, order);
		text = written(l);
		if (first)
			assert_string_equal(text, first);
		else
			first = strdup(text);
		free(text);
		learnt_destroy(l);
	}
	free(first);
	lanes_free(lanes);
	policy_free(base);
}

static void test_merge_is_a_fixed_point(void **state)
{
	struct policy *base = shipped("base"), *p;
	struct lanes *lanes = built(base), *old;
	struct policy_error err;
	struct learnt *l, *again;
	char *text, *merged;

	assert_int_equal(learnt_create(lanes, &l), 0);
	fill(l, 0);
	text = written(l);
	p = from_text("first.policy", text);
	old = built(p);
	assert_int_equal(learnt_create(lanes, &again), 0);
	if (learnt_merge(again, old, "first.policy", &err) < 0)
		fail_msg("%s", err.text);
	merged = written(again);
	assert_string_equal(merged, text);
	free(text);
	free(merged);
	learnt_destroy(l);
	learnt_destroy(again);
	lanes_free(old);
	lanes_free(lanes);
	policy_free(p);
	policy_free(base);
}

static void test_merge_refuses_other_lines(void **state)
{
	struct policy *base = shipped("base"), *p;
	struct lanes *lanes = built(base), *old;
	struct policy_error err;
	struct learnt *l;

	p = from_text("hand.policy", "[policy]\ninherit = base\n[syscalls]\nioctl = pass if cmd < 7\n");
	old = built(p);
	assert_int_equal(learnt_create(lanes, &l), 0);
	assert_int_equal(learnt_merge(l, old, "hand.policy", &err), -EINVAL);
	assert_non_null(strstr(err.text, "hand.policy:4: not a line that weir policy learn writes"));
	learnt_destroy(l);
	lanes_free(old);
	lanes_free(lanes);
	policy_free(p);
	policy_free(base);
}

/* Is a set of arguments in a set of cubes? */
static unsigned cubes_with(const struct cubes *s, const uint64_t arg[6])
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++) {
		bool in = true;

		for (unsigned k = 0; k < 6; k++)
			in &= (arg[k] & s->c[i].mask[k]) == s->c[i].value[k];
		n += in;
	}
	return n;
}

static void test_cubes(void **state)
{
	static const struct policy_test tests[] = {
		{ .arg = 1, .width = 32, .op = TEST_EQ, .value = { 7 }, .nvalues = 1 },
		{ .arg = 1, .width = 32, .op = TEST_NE, .value = { 7 }, .nvalues = 1 },
		{ .arg = 1, .width = 32, .op = TEST_LT, .value = { 12 }, .nvalues = 1 },
		{ .arg = 1, .width = 32, .op = TEST_LE, .value = { 12 }, .nvalues = 1 },
		{ .arg = 1, .width = 64, .op = TEST_GT, .value = { 0x100000001 }, .nvalues = 1 },
		{ .arg = 1, .width = 16, .op = TEST_GE, .value = { 0xfff0 }, .nvalues = 1 },
		{ .arg = 1, .width = 32, .op = TEST_MASKED_EQ, .mask = 0xf0, .value = { 0x30 }, .nvalues = 1 },
		{ .arg = 1, .width = 32, .op = TEST_IN, .value = { 1, 5, 9 }, .nvalues = 3 },
	};
	struct cubes *s = calloc(1, sizeof(*s)), *rest = calloc(1, sizeof(*rest));
	struct edges *e = calloc(1, sizeof(*e));

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct policy_rule rule = { .test = &tests[i], .ntests = 1 };

		cubes_of_rule(s, &tests[i], 1);
		cubes_all(rest);
		for (unsigned k = 0; k < s->n; k++)
			cubes_subtract(rest, &s->c[k]);
		assert_false(s->overflow || rest->overflow);
		edges_init(e);
		edges_add(e, 1, &tests[i]);
		do {
			uint64_t arg[6] = { 1, edges_value(e, 1), 3 };
			bool holds = policy_rule_holds(&rule, arg);

			assert_int_equal(cubes_with(s, arg), holds);
			assert_int_equal(cubes_with(rest, arg), !holds);
		} while (edges_next(e));
	}
	free(s);
	free(rest);
	free(e);
}

/* Does a profile's reader say the same as a table, on all that either tests? What the
 * guest kernel does cannot be in a profile. */
static void compare_edges(const struct lanes *a, const struct lanes *b, int nr, struct edges *e)
{
	edges_init(e);
	for (unsigned i = a->first[nr]; i < a->first[nr + 1]; i++)
		for (unsigned k = 0; k < a->rule[i].rule->ntests; k++)
			edges_add(e, a->rule[i].rule->test[k].arg, &a->rule[i].rule->test[k]);
	do {
		uint64_t arg[6];
		const struct lane_rule *ra, *rb;

		for (unsigned i = 0; i < 6; i++)
			arg[i] = edges_value(e, i);
		ra = lanes_lookup(a, AUDIT_ARCH_X86_64, nr, arg);
		rb = lanes_lookup(b, AUDIT_ARCH_X86_64, nr, arg);
		if (lane_passes(ra->lane) != lane_passes(rb->lane))
			fail_msg("%s(%#lx, %#lx, %#lx): %s, then %s", syscall_name(nr), arg[0], arg[1],
				 arg[2], lane_str[ra->lane], lane_str[rb->lane]);
	} while (edges_next(e));
}

static void test_oci_round_trip(void **state)
{
	static const char *const names[] = { "base", "hosting", "jail", "build" };
	struct edges *e = calloc(1, sizeof(*e));

	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		struct policy *p = shipped(names[n]), *back;
		struct lanes *l = built(p), *lb;
		struct oci_profile profile;
		char *json, *notes, *text;
		struct policy_error err;

		if (oci_export(l, &json, &notes, &err) < 0 ||
		    oci_read("p.json", json, strlen(json), p->caps, &profile, &err) < 0 ||
		    oci_import("p.json", &profile, l, names[n], &text, &err) < 0)
			fail_msg("%s: %s", names[n], err.text);
		back = from_text("back.policy", text);
		lb = built(back);
		for (int nr = 0; nr < LANES_MAX_NR; nr++)
			if (call_known(nr))
				compare_edges(l, lb, nr, e);
		oci_free(&profile);
		free(json);
		free(notes);
		free(text);
		lanes_free(l);
		lanes_free(lb);
		policy_free(p);
		policy_free(back);
	}
	free(e);
}

static struct lanes *imported(const char *json, uint64_t caps, struct policy **ret)
{
	struct policy *base = shipped("base");
	struct lanes *l = built(base), *ret_lanes;
	struct oci_profile profile;
	struct policy_error err;
	char *text = NULL;

	if (oci_read("p.json", json, strlen(json), caps, &profile, &err) < 0 ||
	    oci_import("p.json", &profile, l, "base", &text, &err) < 0)
		fail_msg("%s", err.text);
	*ret = from_text("p.policy", text);
	ret_lanes = built(*ret);
	oci_free(&profile);
	free(text);
	lanes_free(l);
	policy_free(base);
	return ret_lanes;
}

#define NEEDED "{\"names\":[\"execve\",\"exit\",\"exit_group\",\"rt_sigreturn\"],\"action\":\"SCMP_ACT_ALLOW\"}"
#define PROFILE(entries) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" NEEDED "," entries "]}"
#define ENTRY(names, action, more) "{\"names\":[" names "],\"action\":\"SCMP_ACT_" action "\"" more "}"

static void expect(const char *json, const char *call, uint64_t a0, uint64_t a1, const char *lane, int e)
{
	const uint64_t arg[6] = { a0, a1 };
	struct policy *p;
	struct lanes *l = imported(json, 0, &p);
	const struct lane_rule *r = lanes_lookup(l, AUDIT_ARCH_X86_64, syscall_number(call), arg);

	if (strcmp(lane_str[r->lane], lane) || r->err != e)
		fail_msg("%s: %s %d, not %s %d", call, lane_str[r->lane], r->err, lane, e);
	lanes_free(l);
	policy_free(p);
}

static void test_oci_import(void **state)
{
	/* Rule 10 and the guest kernel's calls stay. */
	expect(PROFILE(ENTRY("\"bpf\"", "ALLOW", "")), "bpf", 0, 0, "deny", EPERM);
	expect(PROFILE(ENTRY("\"mount\"", "ALLOW", "")), "mount", 0, 0, "trap", 0);
	expect(PROFILE(ENTRY("\"io_uring_setup\"", "ALLOW", "")), "io_uring_setup", 0, 0, "deny", ENOSYS);
	expect(PROFILE(ENTRY("\"socket\"", "ALLOW", "")), "socket", AF_ALG, 5, "deny", EAFNOSUPPORT);
	expect(PROFILE(ENTRY("\"socket\"", "ALLOW", "")), "socket", AF_UNIX, 1, "pass", 0);
	/* The default, and an errno of an entry. */
	expect(PROFILE(ENTRY("\"read\"", "ALLOW", "")), "write", 0, 0, "deny", EPERM);
	expect(PROFILE(ENTRY("\"read\"", "ERRNO", ",\"errnoRet\":5")), "read", 0, 0, "deny", EIO);
	expect(PROFILE(ENTRY("\"read\"", "LOG", "")), "read", 0, 0, "watch", 0);
	expect(PROFILE(ENTRY("\"read\"", "KILL", "")), "read", 0, 0, "kill", 0);
	/* Two conditions on one argument are alternatives, on two are joined. */
#define EQ(i, v) "{\"index\":" #i ",\"value\":" #v ",\"op\":\"SCMP_CMP_EQ\"}"
	expect(PROFILE(ENTRY("\"prctl\"", "ALLOW", ",\"args\":[" EQ(0, 15) "," EQ(0, 16) "]")), "prctl", 16, 0, "pass", 0);
	expect(PROFILE(ENTRY("\"fcntl\"", "ALLOW", ",\"args\":[" EQ(0, 1) "," EQ(1, 3) "]")), "fcntl", 1, 4, "deny", EPERM);
	expect(PROFILE(ENTRY("\"fcntl\"", "ALLOW", ",\"args\":[" EQ(0, 1) "," EQ(1, 3) "]")), "fcntl", 1, 3, "pass", 0);
	/* The stricter entry holds. */
	expect(PROFILE(ENTRY("\"read\"", "ALLOW", "") "," ENTRY("\"read\"", "ERRNO", ",\"args\":[" EQ(0, 7) "]")), "read", 7, 0, "deny", EPERM);
	expect(PROFILE(ENTRY("\"read\"", "ALLOW", "") "," ENTRY("\"read\"", "ERRNO", "")), "read", 0, 0, "deny", EPERM);
	/* Without the capability. */
	expect(PROFILE(ENTRY("\"chroot\"", "ALLOW", ",\"includes\":{\"caps\":[\"CAP_SYS_CHROOT\"]}")), "chroot", 0, 0, "deny", EPERM);
	expect(PROFILE(ENTRY("\"chroot\"", "ALLOW", ",\"excludes\":{\"caps\":[\"CAP_SYS_CHROOT\"]}")), "chroot", 0, 0, "pass", 0);
	expect(PROFILE(ENTRY("\"read\"", "ALLOW", ",\"includes\":{\"minKernel\":\"4.8\"}")), "read", 0, 0, "pass", 0);
	expect(PROFILE(ENTRY("\"read\"", "ALLOW", ",\"includes\":{\"minKernel\":\"99.1\"}")), "read", 0, 0, "deny", EPERM);
	/* A list of what is denied: what does the same is denied with it. */
	expect("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" ENTRY("\"chmod\"", "ERRNO", "") "]}", "fchmodat", 0, 0, "deny", EPERM);
	expect("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" ENTRY("\"chmod\"", "ERRNO", "") "]}", "read", 0, 0, "pass", 0);
	expect("{\"linux\":{\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"}}}", "read", 0, 0, "pass", 0);
}

static void test_oci_errors(void **state)
{
	static const struct {
		const char *json, *why;
	} bad[] = {
		{ "{", "p.json: $: line 1" },
		{ "[]", "$: is no object" },
		{ "{}", "$.defaultAction: no action" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultAction\":\"SCMP_ACT_ALLOW\"}", "duplicate" },
		{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "$.defaultAction: SCMP_ACT_NOTIFY wants an agent" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"surprise\":1}", "$: unknown key surprise" },
		{ "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_ARM\"]}", "$.architectures: SCMP_ARCH_X86_64 is not" },
		{ "{\"linux\":{}}", "$.linux.seccomp: is no object" },
		{ PROFILE(ENTRY("\"read\"", "TRACE", "")), "$.syscalls[1].action: SCMP_ACT_TRACE wants a tracer" },
		{ PROFILE(ENTRY("\"read\"", "TRAP", "")), "$.syscalls[1].action: SCMP_ACT_TRAP would send SIGSYS" },
		{ PROFILE(ENTRY("", "ALLOW", "")), "$.syscalls[1].names: no system call" },
		{ PROFILE(ENTRY("\"re ad\"", "ALLOW", "")), "$.syscalls[1].names: re ad is no name" },
		{ PROFILE(ENTRY("\"read\"", "ERRNO", ",\"errnoRet\":4095")), "$.syscalls[1].errnoRet: no errno" },
		{ PROFILE(ENTRY("\"read\"", "ALLOW", ",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]")), "$.syscalls[1].args[0].index: no argument" },
		{ PROFILE(ENTRY("\"read\"", "ALLOW", ",\"args\":[{\"index\":0,\"op\":\"EQ\"}]")), "$.syscalls[1].args[0].op: unknown comparison" },
		{ PROFILE(ENTRY("\"ioctl\"", "ALLOW", ",\"args\":[{\"index\":2,\"op\":\"SCMP_CMP_EQ\"}]")), "$.syscalls[1].args[0].index: argument 2 of ioctl" },
		{ PROFILE(ENTRY("\"read\"", "ALLOW", ",\"args\":[{\"index\":0,\"value\":4294967296,\"op\":\"SCMP_CMP_EQ\"}]")), "args[0].value: 0x100000000 does not fit" },
		{ PROFILE(ENTRY("\"read\"", "ALLOW", ",\"includes\":{\"minKernel\":\"new\"}")), "$.syscalls[1].includes: minKernel new is no version" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct oci_profile p;
		struct policy_error err;

		assert_int_equal(oci_read("p.json", bad[i].json, strlen(bad[i].json), 0, &p, &err), -EINVAL);
		if (!strstr(err.text, bad[i].why))
			fail_msg("'%s' is not in '%s'", bad[i].why, err.text);
		assert_null(strchr(err.text, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learn),
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_merge_is_a_fixed_point),
		cmocka_unit_test(test_merge_refuses_other_lines),
		cmocka_unit_test(test_cubes),
		cmocka_unit_test(test_oci_round_trip),
		cmocka_unit_test(test_oci_import),
		cmocka_unit_test(test_oci_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

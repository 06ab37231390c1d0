/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lanes.c - the lane table, groups and arguments, the family check
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>

#include "kernel/util.h"
#include "passthrough/lanes_impl.h"
#include "passthrough/policy/groups.h"
#include "policy_text.h"

#define BASE "[policy]\ninherit = base\n[syscalls]\n"
#define ARCH AUDIT_ARCH_X86_64

static struct lanes *built(const struct policy *p)
{
	struct policy_error err;
	struct lanes *l = NULL;

	if (lanes_build(p, &l, &err) < 0)
		fail_msg("%s", err.text);
	return l;
}

/* The lane of one call under a text: "pass", "deny" ... and its errno. */
static const char *lane_of(const char *text, const char *call, const uint64_t arg[6], int *ret_err)
{
	struct policy *p = loaded(text);
	struct lanes *l = built(p);
	const struct lane_rule *r = lanes_lookup(l, ARCH, syscall_number(call), arg);
	const char *ret = lane_str[r->lane];

	if (ret_err)
		*ret_err = r->err;
	lanes_free(l);
	policy_free(p);
	return ret;
}

#define LANE(text, call, ...) lane_of(text, call, (uint64_t[6]){ __VA_ARGS__ }, NULL)

static void not_built(const char *text, const char *why)
{
	struct policy *p = loaded(text);
	struct policy_error err;
	struct lanes *l;

	assert_int_equal(lanes_build(p, &l, &err), -EINVAL);
	if (!strstr(err.text, why))
		fail_msg("'%s' is not in '%s'", why, err.text);
	policy_free(p);
}

static void test_total(void **state)
{
	static const uint32_t arches[] = { ARCH, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0, ~0u };
	const uint64_t arg[6] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };

	for (size_t n = 0; n < ARRAY_SIZE(shipped_names); n++) {
		struct policy *p = shipped(shipped_names[n]);
		struct lanes *l = built(p);

		for (size_t a = 0; a < ARRAY_SIZE(arches); a++)
			for (int64_t nr = INT32_MIN; nr <= INT32_MAX;
			     nr += nr >= -2000 && nr < 2000 ? 1 : 999) {
				const struct lane_rule *r = lanes_lookup(l, arches[a], nr, arg);

				assert_non_null(r);
				assert_ptr_equal(r, lanes_rule(l, r->id));
				if (arches[a] != ARCH) {
					assert_int_equal(r->lane, LANE_DENY);
					assert_int_equal(r->err, ENOSYS);
				}
			}
		assert_null(lanes_rule(l, lanes_count(l)));
		lanes_free(l);
		policy_free(p);
	}
}

static void test_x32(void **state)
{
	const uint64_t arg[6] = { 0 };
	struct policy *p = loaded(BASE "default = kill\n");
	struct lanes *l = built(p);

	assert_int_equal(lanes_lookup(l, ARCH, 39, arg)->lane, LANE_PASS);
	assert_int_equal(lanes_lookup(l, ARCH, 39 | 0x40000000, arg)->lane, LANE_DENY);
	assert_int_equal(lanes_lookup(l, ARCH, 600, arg)->lane, LANE_KILL);
	assert_int_equal(lanes_lookup(l, ARCH, -1, arg)->lane, LANE_KILL);
	assert_int_equal(lanes_lookup(l, AUDIT_ARCH_I386, 20, arg)->lane, LANE_DENY);
	lanes_free(l);
	policy_free(p);
}

static void test_order(void **state)
{
	int err;

	/* The newest first, from the newest unconditional one on. */
	assert_string_equal(LANE(BASE "acct = pass\nacct = kill if name == 1\n", "acct", 1), "kill");
	assert_string_equal(LANE(BASE "acct = pass\nacct = kill if name == 1\n", "acct", 2), "pass");
	assert_string_equal(LANE(BASE "close = kill if fd < 5\nclose = deny if fd < 3\n", "close", 1),
			    "deny");
	assert_string_equal(LANE(BASE "close = deny if fd < 3\nclose = kill if fd < 5\n", "close", 1),
			    "kill");
	assert_string_equal(LANE(BASE "@basic-io = watch\nread = pass\n", "read"), "pass");
	assert_string_equal(LANE(BASE "read = pass\n@basic-io = watch\n", "read"), "watch");
	assert_string_equal(lane_of(BASE "acct = deny EMFILE\n", "acct", (uint64_t[6]){ 0 }, &err),
			    "deny");
	assert_int_equal(err, EMFILE);
}

static void test_widths(void **state)
{
	const char *text = BASE "close = kill if fd == 3\nlseek = kill if offset == 3\n"
				"mknod = kill if mode == 1\nmknodat = kill if mode == 1\n";

	assert_string_equal(LANE(text, "close", 0xdeadbeef00000003), "kill");
	assert_string_equal(LANE(text, "lseek", 0, 0xdeadbeef00000003), "pass");
	assert_string_equal(LANE(text, "lseek", 0, 3), "kill");
	assert_string_equal(LANE(text, "mknod", 0, 0xdead0001), "kill");
	assert_string_equal(LANE(text, "mknod", 0, 0xdead0101), "pass");
}

static void test_hosting(void **state)
{
	const char *text = "[policy]\ninherit = hosting\n";
	static const char *const refused_calls[] = {
		"io_uring_setup", "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key",
		"kexec_load", "init_module", "finit_module", "open_by_handle_at", "clone3", "fsopen",
		"open_tree", "move_mount", "iopl", "modify_ldt", "memfd_secret", "setns", "acct",
	};
	static const char *const trapped_calls[] = {
		"mount", "umount2", "pivot_root", "sethostname", "setdomainname", "reboot", "swapon",
		"swapoff", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "syslog",
		"sysinfo",
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused_calls); i++)
		assert_string_equal(LANE(text, refused_calls[i]), "deny");
	for (size_t i = 0; i < ARRAY_SIZE(trapped_calls); i++)
		assert_string_equal(LANE(text, trapped_calls[i]), "trap");
	assert_string_equal(LANE(text, "socket", 1, 1, 0), "pass");
	assert_string_equal(LANE(text, "socket", 2, 1, 6), "pass");
	assert_string_equal(LANE(text, "socket", 2, 10, 6), "deny");	/* SOCK_PACKET */
	assert_string_equal(LANE(text, "socket", 2, 1, 132), "deny");	/* SCTP */
	assert_string_equal(LANE(text, "socket", 16, 3, 0), "pass");	/* NETLINK_ROUTE */
	assert_string_equal(LANE(text, "socket", 16, 3, 12), "deny");
	assert_string_equal(LANE(text, "socket", 38, 5, 0), "deny");	/* AF_ALG */
	assert_string_equal(LANE(text, "socket", 38 | 1ull << 32, 5, 0), "deny");
	assert_string_equal(LANE(text, "clone", 0x11), "pass");
	assert_string_equal(LANE(text, "clone", 0x10000011), "deny");
	assert_string_equal(LANE(text, "clone", 0x20000), "pass");
	assert_string_equal(LANE(text, "unshare", 0x10000000), "deny");
	assert_string_equal(LANE(text, "futex", 0, 11), "deny");
	assert_string_equal(LANE(text, "futex", 0, 12 | 128 | 256), "deny");
	assert_string_equal(LANE(text, "futex", 0, 12 | 128 | 0xdeadbeef00000000), "deny");
	assert_string_equal(LANE(text, "futex", 0, 9 | 128), "pass");
	assert_string_equal(LANE(text, "setsockopt", 0, 6, 31), "deny");
	assert_string_equal(LANE(text, "setsockopt", 0, 6, 1), "pass");
	assert_string_equal(LANE(text, "mknodat", 0, 0, 0020644), "trap");
	assert_string_equal(LANE(text, "mknodat", 0, 0, 0060644), "trap");
	assert_string_equal(LANE(text, "mknodat", 0, 0, 0010644), "pass");
	assert_string_equal(LANE(text, "seccomp", 1, 8), "deny");
	assert_string_equal(LANE(text, "seccomp", 1, 1), "pass");
	assert_string_equal(LANE(text, "personality", 0x40000), "pass");
	assert_string_equal(LANE(text, "personality", 0x400000), "deny");
	assert_string_equal(LANE(text, "arch_prctl", 0x2003), "deny");
}

/* all-trap stops what hosting lets pass, and refuses what hosting refuses. */
static void test_all_trap(void **state)
{
	struct policy *ph = shipped("hosting"), *pa = shipped("all-trap");
	struct lanes *h = built(ph), *a = built(pa);
	const uint64_t values[] = { 0, 1, 2, 8, 10, 11, 16, 22, 0x5412, 0x10000000, 0020000, ~0ull };

	for (int nr = 0; nr < LANES_MAX_NR; nr++)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			for (size_t k = 0; k < ARRAY_SIZE(values); k++) {
				const uint64_t arg[6] = { values[i], values[k], values[k], 0, 0, 0 };
				const struct lane_rule *rh = lanes_lookup(h, ARCH, nr, arg);
				const struct lane_rule *ra = lanes_lookup(a, ARCH, nr, arg);

				if (rh->lane == LANE_DENY && nr != syscall_number("seccomp")) {
					assert_int_equal(ra->lane, LANE_DENY);
					assert_int_equal(ra->err, rh->err);
				} else if (ra->lane == LANE_PASS) {
					assert_string_equal(syscall_name(nr), "restart_syscall");
				} else {
					assert_true(ra->lane == LANE_TRAP || ra->lane == LANE_WATCH);
				}
			}
	lanes_free(h);
	lanes_free(a);
	policy_free(ph);
	policy_free(pa);
}

static void test_families(void **state)
{
	not_built(BASE "openat = trap\n", "does the same");
	not_built(BASE "mount = trap\nmove_mount = pass\n", "move_mount passes");
	not_built(BASE "clone3 = pass\n", "clone3 passes");
	not_built(BASE "clone3 = watch\n", "clone3 passes");
	not_built(BASE "unshare = pass if flags &CLONE_NEWUSER== CLONE_NEWUSER\n", "unshare passes");
	not_built(BASE "socketpair = pass if domain == AF_TIPC\n", "socketpair passes");
	not_built(BASE "setrlimit = trap if resource == RLIMIT_NPROC\n", "prlimit64");
	/* The same test on the twin is enough. */
	assert_string_equal(LANE(BASE "setrlimit = trap if resource == RLIMIT_NPROC\n"
				      "prlimit64 = trap if resource == RLIMIT_NPROC\n",
				 "prlimit64", 0, 6), "trap");
	/* A hidden call is no restriction, nor is the default. */
	assert_string_equal(LANE(BASE "openat = deny ENOSYS\n", "openat"), "deny");
	assert_string_equal(LANE(BASE "default = deny EPERM\n", "open"), "pass");
}

static void test_names(void **state)
{
	int nr;

	assert_int_equal(syscall_number("read"), 0);
	assert_int_equal(syscall_number("file_setattr"), 469);
	assert_int_equal(syscall_number("nonsense"), -ENOENT);
	assert_string_equal(syscall_name(2000), "syscall_2000");
	assert_string_equal(syscall_name(-1), "syscall_-1");
	for (nr = 0; nr < CALL_MAX_NR; nr++) {
		char *theirs = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

		if (theirs && call_known(nr))
			assert_string_equal(theirs, syscall_name(nr));
		else if (theirs)
			fail_msg("%d is %s to libseccomp and unknown to weir", nr, theirs);
		if (call_known(nr))
			assert_int_equal(syscall_number(syscall_name(nr)), nr);
		free(theirs);
	}
}

static void test_groups(void **state)
{
	struct call_set known, set;

	call_group_expand(call_group_find("@known"), &known);
	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		assert_int_equal(call_set_has(&known, nr), call_known(nr));
	for (unsigned i = 0; call_group_at(i); i++) {
		unsigned n = 0;

		call_group_expand(call_group_at(i), &set);
		for (int nr = 0; nr < CALL_MAX_NR; nr++) {
			assert_true(!call_set_has(&set, nr) || call_known(nr));
			n += call_set_has(&set, nr);
		}
		assert_true(n > 0);
		assert_true(strlen(call_group_at(i)->what) > 0);
	}
	assert_null(call_group_find("@nonsense"));
	call_group_expand(call_group_find("@system-service"), &set);
	assert_true(call_set_has(&set, syscall_number("read")));
	assert_false(call_set_has(&set, syscall_number("mount")));
}

static void test_arguments(void **state)
{
	struct call_arg arg;

	assert_int_equal(call_arg_find(16, "cmd", &arg), 0);
	assert_int_equal(arg.index, 1);
	assert_int_equal(arg.width, 32);
	assert_int_equal(call_arg_find(16, "arg2", &arg), 0);
	assert_int_equal(arg.width, 0);
	assert_int_equal(call_arg_find(16, "arg6", &arg), -ENOENT);
	assert_int_equal(call_arg_find(56, "flags", &arg), 0);
	assert_int_equal(arg.width, 32);
	assert_int_equal(call_arg_find(272, "flags", &arg), 0);
	assert_int_equal(arg.width, 64);
	assert_int_equal(call_arg_find(133, "mode", &arg), 0);
	assert_int_equal(arg.width, 16);
	for (int nr = 0; nr < CALL_MAX_NR; nr++)
		for (unsigned i = 0; call_arg_at(nr, i, &arg) == 0; i++) {
			struct call_arg again;

			assert_true(i < 6);
			assert_int_equal(call_arg_find(nr, arg.name, &again), 0);
			assert_int_equal(again.index, i);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_total), cmocka_unit_test(test_x32),
		cmocka_unit_test(test_order), cmocka_unit_test(test_widths),
		cmocka_unit_test(test_hosting), cmocka_unit_test(test_all_trap),
		cmocka_unit_test(test_families), cmocka_unit_test(test_names),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_arguments),
	};

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_policy.c - the policy loader: values, limits, inheritance, --set
 *
 * What it says to broken files is tested in tests/policy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/capability.h>

#include "kernel/util.h"
#include "passthrough/lanes.h"
#include "passthrough/policy/policy_impl.h"
#include "policy_text.h"

static void test_defaults(void **state)
{
	struct policy *p = loaded("");

	assert_string_equal(p->init, "/sbin/init");
	assert_null(p->hostname);
	assert_null(p->description);
	assert_int_equal(p->vcpus, 0);
	assert_int_equal(p->memory, 0);
	assert_int_equal(p->caps, 0);
	assert_int_equal(p->default_lane, LANE_DENY);
	assert_int_equal(p->default_err, ENOSYS);
	assert_int_equal(p->nrules, 0);
	assert_int_equal(p->ns[POLICY_NS_USER].mode, NS_MODE_NEW);
	assert_int_equal(p->ns[POLICY_NS_TIME].mode, NS_MODE_HOST);
	assert_string_equal(p->vcpus_pos.file, "(built in)");
	policy_free(p);
}

static void test_guest(void **state)
{
	struct policy *p = loaded("[guest]\ninit = /bin/sh\nhostname = a.b-c\nvcpus = 3\n"
				  "memory = 512M\nwritable = overlay\nkernel_release = 6.1-x\n"
				  "cwd = /tmp\nenv.A = 1 = 2\nenv.B =\n");

	assert_string_equal(p->init, "/bin/sh");
	assert_string_equal(p->hostname, "a.b-c");
	assert_int_equal(p->vcpus, 3);
	assert_int_equal(p->vcpus_pos.line, 4);
	assert_int_equal(p->memory, 512 << 20);
	assert_int_equal(p->writable, WRITABLE_OVERLAY);
	assert_string_equal(p->kernel_release, "6.1-x");
	assert_string_equal(p->cwd, "/tmp");
	assert_string_equal(p->env[0], "A=1 = 2");
	assert_string_equal(p->env[1], "B=");
	assert_null(p->env[2]);
	policy_free(p);
}

static void test_ids(void **state)
{
	struct policy *p = loaded("[ids]\nuid = 0 100000 65536 , 65536 1000 1\ngid = single\n");

	assert_int_equal(p->uid.mode, IDS_RANGE);
	assert_int_equal(p->uid.nextents, 2);
	assert_int_equal(p->uid.extent[1].guest, 65536);
	assert_int_equal(p->uid.extent[1].host, 1000);
	assert_int_equal(p->uid.extent[1].count, 1);
	assert_int_equal(p->gid.mode, IDS_SINGLE);
	policy_free(p);
	p = loaded("[ids]\nuid = 0 0 4294967295\n");
	assert_int_equal(p->uid.extent[0].count, UINT32_MAX);
	policy_free(p);
	refused("[ids]\nuid = 0 0 4294967296\n", "ids have 32 bits");
	refused("[ids]\nuid = 1 0 4294967295\n", "beyond the last id");
	refused("[ids]\nuid = 0 99999999999999999999999 1\n", "write auto");
	refused("[ids]\nuid = 0 1 1,\n", "write auto");
	refused("[ids]\nuid = 0 1 1 5 5 5\n", "comma");
}

static void test_caps(void **state)
{
	static const struct {
		const char *text;
		uint64_t caps;
	} cases[] = {
		{ "keep = chown CAP_KILL", BIT(CAP_CHOWN) | BIT(CAP_KILL) },
		{ "keep = none", 0 },
		{ "keep = all", BIT(CAP_LAST_CAP + 1) - 1 },
		{ "keep = all\ndrop = all", 0 },
		{ "keep = chown, kill\ndrop = cap_kill", BIT(CAP_CHOWN) },
		{ "drop = kill\nkeep = +kill +chown", BIT(CAP_CHOWN) | BIT(CAP_KILL) },
	};
	char text[200];
	struct policy *p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "[caps]\n%s\n", cases[i].text);
		p = loaded(text);
		assert_int_equal(p->caps, cases[i].caps);
		policy_free(p);
	}
	/* Later policies adjust what earlier ones kept. */
	p = loaded("[policy]\ninherit = jail\n[caps]\nkeep = +net_raw\ndrop = kill\n");
	assert_true(p->caps & BIT(CAP_NET_RAW));
	assert_true(p->caps & BIT(CAP_CHOWN));
	assert_false(p->caps & BIT(CAP_KILL));
	assert_true(p->no_new_privs);
	policy_free(p);
}

static void test_time(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{ "+3d", 259200000000000 }, { "-2h", -7200000000000 }, { "+90s", 90000000000 },
		{ "+1h30m", 5400000000000 }, { "+5ms3us1ns", 5003001 }, { "+0s", 0 },
		{ "host", 0 }, { "+1w", 604800000000000 },
	};
	char text[100];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy *p;

		snprintf(text, sizeof(text), "[namespaces]\ntime = new\n[time]\nboottime = %s\n",
			 cases[i].text);
		p = loaded(text);
		assert_int_equal(p->boottime_offset_ns, cases[i].ns);
		policy_free(p);
	}
	refused("[time]\nmonotonic = +\n", "write host");
	refused("[time]\nmonotonic = +3\n", "write host");
	refused("[time]\nmonotonic = +3d2\n", "write host");
	refused("[time]\nmonotonic = +99999999999999999999d\n", "write host");
}

static void test_inherit(void **state)
{
	struct policy *p = loaded("[policy]\ninherit = hosting\n[guest]\ninit = /x\n");

	assert_string_equal(p->init, "/x");
	assert_int_equal(p->console, CONSOLE_AUTO);
	assert_null(p->description);
	assert_true(str_starts(p->name, "policy-of-a-test-"));
	assert_true(p->nrules > 300);
	policy_free(p);
}

static const struct policy_rule *last_rule(const struct policy *p, const char *call)
{
	const struct policy_rule *ret = NULL;

	for (size_t i = 0; i < p->nrules; i++)
		if (p->rule[i].nr == syscall_number(call))
			ret = &p->rule[i];
	assert_non_null(ret);
	return ret;
}

static void test_set(void **state)
{
	char *const set[] = { "guest.hostname=h", "guest.env.A=b=c", "syscalls.acct = pass",
			      "guest.vcpus=2", "guest.vcpus=4" };
	struct policy_error err;
	struct policy *p;

	assert_int_equal(policy_load("base", set, ARRAY_SIZE(set), &p, &err), 0);
	assert_string_equal(p->hostname, "h");
	assert_string_equal(p->env[0], "A=b=c");
	assert_int_equal(p->vcpus, 4);
	assert_string_equal(p->vcpus_pos.file, "--set");
	assert_int_equal(last_rule(p, "acct")->lane, LANE_PASS);
	assert_string_equal(last_rule(p, "acct")->pos.file, "--set");
	policy_free(p);
}

static void test_tests(void **state)
{
	struct policy *p = loaded("[syscalls]\nioctl = deny EIO if fd == -1 and cmd in (TIOCSTI, 1|2)\n"
				  "mknod = trap if mode &S_IFMT== S_IFCHR\n"
				  "lseek = kill if offset >= -1\n");
	const struct policy_rule *r = p->rule;

	assert_int_equal(r[0].nr, 16);
	assert_int_equal(r[0].lane, LANE_DENY);
	assert_int_equal(r[0].err, EIO);
	assert_int_equal(r[0].ntests, 2);
	assert_int_equal(r[0].test[0].value[0], UINT32_MAX);
	assert_int_equal(r[0].test[1].op, TEST_IN);
	assert_int_equal(r[0].test[1].nvalues, 2);
	assert_int_equal(r[0].test[1].value[1], 3);
	assert_int_equal(r[0].pos.line, 2);
	assert_int_equal(r[1].test[0].width, 16);
	assert_int_equal(r[1].test[0].mask, 0170000);
	assert_int_equal(r[2].test[0].value[0], UINT64_MAX);
	policy_free(p);
}

static void test_uname(void **state)
{
	struct policy *p = loaded("[policy]\ninherit = base\n[guest]\nkernel_release = 5\n");
	const struct policy_rule *r = last_rule(p, "uname");

	assert_int_equal(r->lane, LANE_FIX);
	assert_int_equal(r->pos.line, 4);
	policy_free(p);
}

static enum lane lane_of_affinity(const char *text)
{
	struct policy *p = loaded(text);
	enum lane lane = last_rule(p, "sched_setaffinity")->lane;

	policy_free(p);
	return lane;
}

/* The guest's CPUs have numbers that the host does not know. */
static void test_affinity(void **state)
{
	assert_int_equal(lane_of_affinity("[policy]\ninherit = base\n"), LANE_FIX);
	assert_int_equal(lane_of_affinity("[policy]\ninherit = base\n[sched]\nplacement = off\n"),
			 LANE_PASS);
	assert_int_equal(lane_of_affinity("[policy]\ninherit = base\n[guest]\nvcpus = 1\n"
					  "[sched]\nplacement = off\n"), LANE_FIX);
	assert_int_equal(lane_of_affinity("[syscalls]\nsched_setaffinity = watch\n"), LANE_FIX);
	assert_int_equal(lane_of_affinity("[syscalls]\nsched_setaffinity = trap\n"
					  "sched_setaffinity = pass if pid == 0\n"), LANE_FIX);
	assert_int_equal(lane_of_affinity("[syscalls]\nsched_setaffinity = kill\n"), LANE_KILL);
}

static void test_constants(void **state)
{
	uint64_t v;

	assert_int_equal(policy_constant("AF_UNIX", &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(policy_constant("TIOCSTI", &v), 0);
	assert_int_equal(v, 0x5412);
	assert_int_equal(policy_constant("", &v), -EINVAL);
	for (int e = 1; e < 134; e++) {
		const char *name = policy_errno_name(e);
		int back;

		if (!name)
			continue;
		assert_int_equal(policy_parse_errno(name, &back), 0);
		assert_int_equal(back, e);
	}
}

/* Whatever is done to a good text, the loader says yes or one line. */
static void test_damaged(void **state)
{
	static const char good[] = "[policy]\ninherit = base\n[guest]\nhostname = a\n[syscalls]\n"
				   "socket = pass if domain in (AF_UNIX AF_INET) and type &0xf== 1\n"
				   " and protocol < 3\nacct = deny EACCES\n[ids]\nuid = 0 1 2, 3 4 5\n";
	static const char bytes[] = "\0\n\t []=();&|<>!@#\xff\x80" "0-A,x";
	unsigned seed = 1;

	for (int i = 0; i < 3000; i++) {
		struct policy_error err = { "" };
		struct policy *p;
		char text[sizeof(good)];
		size_t len = sizeof(good) - 1;

		memcpy(text, good, sizeof(good));
		for (int k = rand_r(&seed) % 4; k >= 0; k--) {
			size_t at = rand_r(&seed) % len;

			if (rand_r(&seed) % 3 == 0)
				memmove(text + at, text + at + 1, --len - at);
			else
				text[at] = bytes[rand_r(&seed) % (sizeof(bytes) - 1)];
		}
		if (load_text(text, len, &p, &err) == 0)
			policy_free(p);
		else
			assert_true(err.text[0] && !strchr(err.text, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_guest),
		cmocka_unit_test(test_ids), cmocka_unit_test(test_caps),
		cmocka_unit_test(test_time), cmocka_unit_test(test_inherit),
		cmocka_unit_test(test_set), cmocka_unit_test(test_tests),
		cmocka_unit_test(test_uname), cmocka_unit_test(test_affinity), cmocka_unit_test(test_constants),
		cmocka_unit_test(test_damaged),
	};

	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

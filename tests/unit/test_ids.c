/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ids.c - id maps: the list of a policy, subordinate ranges, the choice
 *
 * Includes ids.c to reach how a user's name is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/ns/ids.c"

static void test_parse(void **state)
{
	struct id_map m;

	assert_int_equal(ids_parse("0 100000 65536", &m), 0);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.e[0].outer, 100000);
	assert_int_equal(ids_parse("  0 1000 1\t1 100000 65535 ", &m), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.e[1].inner, 1);
	assert_int_equal(ids_parse("0 0 4294967295", &m), 0);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"", " ", "0", "0 1", "0 1 0", "0 1 2 3", "a 1 1", "0 -1 1", "0 1 1x", "0 1 1 ,",
		"0 4294967295 1", "1 0 4294967295", "0 0 99999999999999999999",
		"0 10 5 3 100 5",	/* guest ids twice */
		"0 10 5 10 12 5",	/* host ids twice */
	};
	struct id_map m;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(ids_parse(bad[i], &m), -EINVAL);
}

static void test_parse_too_many(void **state)
{
	char text[64 * 40] = "";
	struct id_map m;
	size_t len = 0;

	for (int i = 0; i <= ID_EXTENTS_MAX; i++)
		len += snprintf(text + len, sizeof(text) - len, "%d %d 1 ", i * 2, i * 2);
	assert_int_equal(ids_parse(text, &m), -E2BIG);
}

static void test_translate(void **state)
{
	struct id_map m;

	assert_int_equal(ids_parse("0 1000 1 1 100000 65536", &m), 0);
	assert_int_equal(ids_to_outer(&m, 0), 1000);
	assert_int_equal(ids_to_outer(&m, 65536), 165535);
	assert_int_equal(ids_to_outer(&m, 65537), -1);
	assert_int_equal(ids_to_inner(&m, 1000), 0);
	assert_int_equal(ids_to_inner(&m, 100000), 1);
	assert_int_equal(ids_to_inner(&m, 99999), -1);
	assert_int_equal(ids_to_inner(&m, 0), -1);
}

static struct id_map ranges_of(const char *text, const char *user, uid_t uid)
{
	char path[] = "/tmp/weir-test-subid-XXXXXX";
	struct id_map m = {};
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	ids_read_ranges(path, user, uid, &m);
	unlink(path);
	return m;
}

static void test_ranges(void **state)
{
	struct id_map m = ranges_of("# comment\n"
				    "other:1:1000\n"
				    "ann:100000:65536\n"
				    "annabel:7:7\n"
				    "1000:300000:10\n"
				    "ann:400000:5", "ann", 1000);

	assert_int_equal(m.n, 3);
	assert_int_equal(m.e[0].inner, 0);
	assert_int_equal(m.e[0].outer, 100000);
	assert_int_equal(m.e[1].inner, 65536);
	assert_int_equal(m.e[1].outer, 300000);
	assert_int_equal(m.e[2].inner, 65546);
	assert_int_equal(m.e[2].count, 5);
}

static void test_ranges_malformed(void **state)
{
	struct id_map m = ranges_of("ann\n"
				    "ann:\n"
				    "ann:1\n"
				    "ann:x:5\n"
				    "ann:5:x\n"
				    "ann:5:0\n"
				    "ann:-5:5\n"
				    "ann:4294967295:1\n"
				    "ann:1:4294967295\n"
				    "ann:5:5:5\n"
				    "::\n"
				    "ann:200000:10\n"
				    "ann:200005:10\n", "ann", 1000);

	assert_int_equal(m.n, 1);
	assert_int_equal(m.e[0].outer, 200000);
	m = ranges_of("", "ann", 1000);
	assert_int_equal(m.n, 0);
	m = (struct id_map){};
	ids_read_ranges("/nonexistent/subuid", "ann", 1000, &m);
	assert_int_equal(m.n, 0);
}

static struct id_choice choose(struct id_request *rq)
{
	struct ns_error err = {};
	struct id_choice c;

	assert_int_equal(ids_choose(rq, &c, &err), 0);
	return c;
}

/* A user that has no line in /etc/subuid on any machine. */
#define NOBODYS_UID 3999999999u

static void test_single(void **state)
{
	struct id_request rq = { .caller = NOBODYS_UID, .caller_gid = 77, .name = "g" };
	struct id_choice c = choose(&rq);

	assert_int_equal(c.how, IDS_HOW_SINGLE);
	assert_int_equal(c.kernel_uid.e[0].outer, NOBODYS_UID);
	assert_int_equal(c.kernel_gid.e[0].outer, 77);
	assert_int_equal(c.guest_uid.e[0].outer, 0);
	assert_int_equal(c.guest_uid.e[0].count, 1);
	assert_true(c.deny_setgroups);
	assert_false(c.identity_risk);
	assert_non_null(strstr(c.reason, "single"));
}

static void test_masked_helpers(void **state)
{
	struct id_request rq = { .caller = NOBODYS_UID, .caller_gid = 77, .name = "g" };
	struct id_choice c;

	setenv("WEIR_TEST_MASK", "overlay,newuidmap", 1);
	c = choose(&rq);
	unsetenv("WEIR_TEST_MASK");
	assert_int_equal(c.how, IDS_HOW_SINGLE);
	assert_non_null(strstr(c.reason, "newuidmap"));
}

static void test_explicit_user(void **state)
{
	struct id_request rq = { .caller = NOBODYS_UID, .caller_gid = 77, .name = "g",
				 .want_uid = ID_WANT_EXPLICIT, .want_gid = ID_WANT_EXPLICIT };
	struct ns_error err = {};
	struct id_choice c;

	ids_parse("5 3999999999 1", &rq.uid);
	ids_parse("0 77 1", &rq.gid);
	c = choose(&rq);
	assert_int_equal(c.guest_uid.e[0].inner, 5);
	assert_int_equal(c.guest_uid.e[0].outer, 0);
	ids_parse("0 1 1", &rq.uid);
	assert_int_equal(ids_choose(&rq, &c, &err), -EPERM);
	assert_non_null(strstr(err.text, "uid = 0 1 1"));
	assert_non_null(strstr(err.text, "/etc/subuid"));
}

static void test_root(void **state)
{
	struct id_request rq = { .name = "a" };
	struct id_choice a, b;

	setenv("WEIR_TEST_MASK", "subuid", 1);
	a = choose(&rq);
	rq.name = "b";
	b = choose(&rq);
	unsetenv("WEIR_TEST_MASK");
	assert_int_equal(a.kernel_uid.n, 0);
	assert_int_equal(a.guest_uid.n, 1);
	assert_int_equal(a.guest_uid.e[0].count, ID_GUEST_RANGE);
	assert_int_equal(a.guest_uid.e[0].outer % ID_GUEST_RANGE, 0);
	assert_true(a.guest_uid.e[0].outer >= 524288);
	assert_true(a.guest_uid.e[0].outer + ID_GUEST_RANGE - 1 <= 1879048191);
	assert_int_not_equal(a.guest_uid.e[0].outer, b.guest_uid.e[0].outer);
	assert_int_equal(a.guest_uid.e[0].outer, a.guest_gid.e[0].outer);
	assert_false(a.identity_risk);
}

static void test_root_identity(void **state)
{
	struct id_request rq = { .name = "a", .want_uid = ID_WANT_EXPLICIT,
				 .want_gid = ID_WANT_EXPLICIT };
	struct id_choice c;

	ids_parse("0 0 65536", &rq.uid);
	ids_parse("0 100000 65536", &rq.gid);
	c = choose(&rq);
	assert_true(c.identity_risk);
	assert_int_equal(c.how, IDS_HOW_RANGE);
	ids_parse("0 100000 65536", &rq.uid);
	c = choose(&rq);
	assert_false(c.identity_risk);
	rq.uid.n = 0;
	assert_int_equal(ids_choose(&rq, &c, NULL), -EINVAL);
}

static void test_user_name(void **state)
{
	char name[64];

	user_name(0, name, sizeof(name));
	assert_string_equal(name, "root");
	user_name_by_getent(0, name, sizeof(name));
	assert_string_equal(name, "root");
	user_name(4000000001, name, sizeof(name));
	assert_string_equal(name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_too_many), cmocka_unit_test(test_translate),
		cmocka_unit_test(test_ranges), cmocka_unit_test(test_ranges_malformed),
		cmocka_unit_test(test_single), cmocka_unit_test(test_masked_helpers),
		cmocka_unit_test(test_explicit_user), cmocka_unit_test(test_root),
		cmocka_unit_test(test_root_identity), cmocka_unit_test(test_user_name),
	};

	return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}

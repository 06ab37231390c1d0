/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_inet.c - addresses: read, written, compared
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/util.h"
#include "passthrough/inet.h"

static struct inet_prefix parsed(const char *s)
{
	struct inet_prefix a;

	assert_int_equal(inet_parse(s, &a), 0);
	return a;
}

static void texts_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *shown;
		bool bits;
	} good[] = {
		{ "10.0.0.2", "10.0.0.2", false }, { "10.0.0.2", "10.0.0.2/32", true },
		{ "10.0.0.2/24", "10.0.0.2/24", true }, { "10.0.0.2/24", "10.0.0.2", false },
		{ "0.0.0.0/0", "0.0.0.0/0", true }, { "FD00:0::2/64", "fd00::2/64", true },
		{ "::/0", "::/0", true }, { "fe80::1", "fe80::1/128", true },
	};
	static const char *const bad[] = {
		"", "/", "10", "10.0.0", "10.0.0.256", "10.0.0.2/", "10.0.0.2/33", "10.0.0.2/-1", "10.0.0.2/08",
		"10.0.0.2/24x", "10.0.0.2 ", " 10.0.0.2", "fd00::2/129", "fd00::g", "fe80::1%eth0", "1::2::3",
		"10.0.0.2/4294967320", "0123456789012345678901234567890123456789012345678901234567890123456789",
	};
	char buf[INET_TEXT_SIZE];
	struct inet_prefix a = { .family = 77 };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct inet_prefix g = parsed(good[i].text);

		assert_string_equal(inet_text(&g, good[i].bits, buf), good[i].shown);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(inet_parse(bad[i], &a), -EINVAL);
	assert_int_equal(a.family, 77);
}

static void networks_hold_addresses(void **state)
{
	static const struct {
		const char *net, *address;
		bool holds;
	} pair[] = {
		{ "10.0.0.2/24", "10.0.0.255", true }, { "10.0.0.2/24", "10.0.1.2", false },
		{ "10.0.0.2/23", "10.0.1.2", true }, { "10.0.0.2/31", "10.0.0.3", true },
		{ "10.0.0.2/31", "10.0.0.1", false }, { "10.0.0.2/32", "10.0.0.2", true },
		{ "10.0.0.2/32", "10.0.0.3", false }, { "10.0.0.2/1", "127.0.0.1", true },
		{ "10.0.0.2/1", "128.0.0.1", false }, { "fd00::2/64", "fd00::ffff:1", true },
		{ "fd00::2/65", "fd00::8000:0:0:1", false }, { "fd00::2/128", "fd00::2", true },
		{ "10.0.0.2/1", "fd00::2", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pair); i++) {
		struct inet_prefix net = parsed(pair[i].net), a = parsed(pair[i].address);

		assert_int_equal(inet_holds(&net, &a), pair[i].holds);
	}
}

static void addresses_of_hosts(void **state)
{
	static const char *const many[] = { "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.255.255.255", "::", "ff02::1" };
	static const char *const one[] = { "10.0.0.2", "223.255.255.255", "240.0.0.1", "::1", "fe80::1", "febf::1" };

	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		struct inet_prefix a = parsed(many[i]);

		assert_false(inet_of_host(&a));
	}
	for (size_t i = 0; i < ARRAY_SIZE(one); i++) {
		struct inet_prefix a = parsed(one[i]);

		assert_true(inet_of_host(&a));
		assert_int_equal(inet_link_local(&a), i >= 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_read_and_written),
		cmocka_unit_test(networks_hold_addresses),
		cmocka_unit_test(addresses_of_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

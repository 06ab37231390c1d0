/* SPDX-License-Identifier: Apache-2.0 */
/* test_vcpu.c - the guest's CPU numbers and the host's behind them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/sched/vcpu.h"
#include "passthrough/hostcall.h"

static struct vcpus v;
static const int may[] = { 2, 3, 6, 9 };

static void choose(unsigned want, unsigned a, unsigned b, unsigned c, unsigned d)
{
	unsigned used[] = { a, b, c, d };

	vcpus_choose(&v, want, may, used, 4);
}

static void test_all(void **state)
{
	choose(0, 5, 4, 3, 2);
	assert_int_equal(v.n, 4);
	assert_int_equal(v.nhost, 4);
	assert_false(v.limited);
	for (int i = 0; i < 4; i++)
		assert_int_equal(vcpu_host(&v, i), may[i]);
}

static void test_fewer_go_where_others_are_not(void **state)
{
	choose(1, 1, 1, 0, 1);
	assert_true(v.limited);
	assert_int_equal(vcpu_host(&v, 0), 6);
	choose(2, 3, 0, 2, 1);
	assert_int_equal(vcpu_host(&v, 0), 3);
	assert_int_equal(vcpu_host(&v, 1), 9);
	assert_true(host_cpus_has(&v.all, 3) && host_cpus_has(&v.all, 9));
	assert_false(host_cpus_has(&v.all, 2) || host_cpus_has(&v.all, 6));
	choose(2, 0, 0, 0, 0);
	assert_int_equal(vcpu_host(&v, 0), 2);
	assert_int_equal(vcpu_host(&v, 1), 3);
}

static void test_more_share(void **state)
{
	choose(10, 0, 0, 0, 0);
	assert_int_equal(v.n, 10);
	assert_int_equal(v.nhost, 4);
	assert_false(v.limited);
	assert_int_equal(vcpu_host(&v, 4), 2);
	assert_int_equal(vcpu_host(&v, 7), 9);
	/* A name stays while it fits. */
	assert_int_equal(vcpu_name(&v, 6, 6), 6);
	assert_int_equal(vcpu_name(&v, 6, 9), 3);
	assert_int_equal(vcpu_name(&v, 99, 3), 1);
	/* Not one of ours: as before. */
	assert_int_equal(vcpu_name(&v, 6, 0), 6);
}

static void test_sets(void **state)
{
	struct host_cpus host;
	cpu_set_t set, back;

	choose(10, 0, 0, 0, 0);
	CPU_ZERO(&set);
	CPU_SET(1, &set);
	CPU_SET(6, &set);
	CPU_SET(500, &set);
	assert_true(vcpus_to_host(&v, &set, sizeof(set), &host));
	for (int cpu = 0; cpu < 16; cpu++)
		assert_int_equal(host_cpus_has(&host, cpu), cpu == 3 || cpu == 6);
	vcpus_from_host(&v, &host, &back, sizeof(back));
	for (int i = 0; i < 16; i++)
		assert_int_equal(!!CPU_ISSET(i, &back), i < 10 && (i % 4 == 1 || i % 4 == 2));
	CPU_ZERO(&set);
	CPU_SET(10, &set);
	assert_false(vcpus_to_host(&v, &set, sizeof(set), &host));
}

/* What a guest leaves in its directory keeps the next from its CPUs. */
static void test_guests_beside_each_other(void **state)
{
	char dir[] = "/tmp/weir-vcpu-XXXXXX";
	int guests, own[2], chosen[2];

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	assert_non_null(mkdtemp(dir));
	guests = host_open(dir, O_RDONLY | O_DIRECTORY, 0);
	for (int i = 0; i < 2; i++) {
		char name[] = { 'a' + i, '\0' };

		assert_int_equal(mkdirat(guests, name, 0700), 0);
		own[i] = host_openat(guests, name, O_RDONLY | O_DIRECTORY, 0);
		assert_int_equal(vcpus_init(&v, 1, guests, own[i]), 0);
		assert_int_equal(v.n, 1);
		chosen[i] = vcpu_host(&v, 0);
	}
	assert_int_not_equal(chosen[0], chosen[1]);
	/* Nonsense in the file of another is no harm. */
	assert_int_equal(unlinkat(own[0], "cpus", 0), 0);
	assert_int_equal(symlinkat("/dev/zero", own[0], "cpus"), 0);
	assert_int_equal(vcpus_init(&v, 1, guests, own[1]), 0);
	for (int i = 0; i < 2; i++) {
		char name[] = { 'a' + i, '\0' };

		unlinkat(own[i], "cpus", 0);
		close(own[i]);
		unlinkat(guests, name, AT_REMOVEDIR);
	}
	close(guests);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_fewer_go_where_others_are_not),
		cmocka_unit_test(test_more_share),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_guests_beside_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

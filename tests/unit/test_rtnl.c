/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_rtnl.c - who is heard by a socket that asks the host about its network
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "ns/rtnl.h"

enum { SKIPPED = 77 };

/* Who may send a message to another socket is who may change the network. */
static void enter_network(void)
{
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		_exit(SKIPPED);
}

static void __attribute__((noreturn)) another_answers(void)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	socklen_t size = sizeof(to);
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} lie = { .head = { .nlmsg_len = sizeof(lie), .nlmsg_type = NLMSG_ERROR }, .error = { .error = -EXDEV } };
	struct rtnl_link_stats64 stats;
	int asks, other, lo;

	enter_network();
	asks = rtnl_open();
	other = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	lo = if_nametoindex("lo");
	CHECK(asks >= 0 && other >= 0 && lo > 0);
	CHECK(rtnl_link_stats(asks, lo, &stats) == 0);
	CHECK(getsockname(asks, (struct sockaddr *)&to, &size) == 0 && to.nl_pid != 0);
	CHECK(sendto(other, &lie, sizeof(lie), 0, (struct sockaddr *)&to, sizeof(to)) < 0 && errno == ECONNREFUSED);
	CHECK(rtnl_link_up(asks, lo, NULL) == 0);
	CHECK(rtnl_link_stats(asks, lo, &stats) == 0);
	_exit(0);
}

static void only_the_host_answers(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		another_answers();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_host_answers),
	};

	return cmocka_run_group_tests_name("rtnl", tests, NULL, NULL);
}

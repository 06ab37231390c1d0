/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_control.c - requests to the control socket
 *
 * The guest kernel's handlers themselves, for a guest that runs but has no agent, no
 * console and no processes. Whatever the request, there is an answer that is JSON, or
 * the client is closed; a signal to an exec'ed process has none.
 */
#include <jansson.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "fuzz.h"
#include "../../src/kernel/control.c"
#include "kernel/sched.h"

static struct kernel k;
static struct guest_config cfg;

static void set_up(void)
{
	struct ns_error ns_err = {};
	struct policy_error err;
	struct policy *policy = NULL;
	struct lanes *lanes = NULL;

	MUST(policy_load_shipped("hosting", &policy, &err) == 0 && lanes_build(policy, &lanes, &err) == 0);
	MUST(log_init() == 0 && event_init(&k.ev) == 0);
	cfg = (struct guest_config){ .policy = policy, .lanes = lanes, .name = "fuzz", .monitor = -1 };
	k.cfg = &cfg;
	k.agent = (struct agent){ .sock = -1, .pid = -1, .pidfd = -1, .ns = { -1, -1, -1 } };
	k.userns_fd = k.init_pidfd = -1;
	k.counter = calloc(lanes_count(lanes), sizeof(*k.counter));
	k.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k.timer_src.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	MUST(sched_init(&k, &ns_err) == 0 && freeze_init(&k) == 0);
	MUST(k.counter && k.wake >= 0 && k.timer_src.fd >= 0);
}

static void read_answer(int sock)
{
	static char buf[1 << 20];
	int fds[HOST_MAX_FDS];
	ssize_t n = host_recv(sock, buf, sizeof(buf), fds);
	json_t *answer = n > 0 ? json_loadb(buf, n, 0, NULL) : NULL;

	MUST(n <= 0 || json_is_object(answer));
	json_decref(answer);
	for (int i = 0; i < HOST_MAX_FDS; i++)
		cleanup_fd_p(&fds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int sv[2] = { -1, -1 };
	struct client c = { .kernel = &k };
	int fds[HOST_MAX_FDS] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	json_t *msg = json_loadb((const char *)data, size, 0, NULL);
	const char *op = json_string_value(json_object_get(msg, "op"));

	if (sv[0] < 0) {
		MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0);
		set_up();
	}
	/* Not pause: it would make groups on the host. */
	if (json_is_object(msg) && !(op && streq(op, "pause"))) {
		for (int i = 0; i < 3; i++)
			fds[i] = dup(0);
		c.src.fd = sv[0];
		k.state = GUEST_RUNNING;
		atomic_store(&k.ending, END_NOT);
		handle_message(&k, &c, msg, fds);
		read_answer(sv[1]);
		for (int i = 0; i < 3; i++)
			cleanup_fd_p(&fds[i]);
	}
	json_decref(msg);
	return 0;
}

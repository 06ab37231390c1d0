/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mconsole_serve.c - a guest's management console, the monitor's part
 *
 * uml_mconsole(1) sends from an abstract address, which belongs to a network namespace:
 * the monitor's is the host's, the guest kernel's is not.
 */
#include "mconsole_serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define SEND_PATIENCE_S 5	/* for a client that does not read what it asked for */

int mconsole_create(struct mconsole *m, int dir)
{
	cleanup_fd int fd = host_result(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = SEND_PATIENCE_S };
	const int on = 1;
	int ret;

	if (fd < 0)
		return fd;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/mconsole", dir);
	/* The file gets the socket's mode, unix(7). */
	ret = host_result(fchmod(fd, 0600));
	if (ret == 0)
		ret = host_result(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	if (ret == 0)
		ret = host_result(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
	if (ret == 0)
		ret = host_result(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	if (ret == 0)
		m->sock = take_fd(&fd);
	return ret;
}

/* Return: its index, or -1. */
static int find_worker(const struct mconsole *m, pid_t pid)
{
	for (size_t i = 0; i < ARRAY_SIZE(m->worker); i++)
		if (m->worker[i].pid == pid)
			return i;
	return -1;
}

short mconsole_events(const struct mconsole *m)
{
	return find_worker(m, 0) >= 0 ? POLLIN : 0;
}

/* Who sent it, as the host says; descriptors that come along find no room and are closed. */
static bool is_owner(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	struct ucred cred;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
	    c->cmsg_len != CMSG_LEN(sizeof(cred)))
		return false;
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	return cred.uid == getuid();
}

static ssize_t receive(int sock, struct mconsole_client *from, void *buf, size_t size, bool *ret_owner)
{
	char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { buf, size };
	struct msghdr msg = {
		.msg_name = &from->address, .msg_namelen = sizeof(from->address),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t n = host_result(recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC));

	from->sock = sock;
	from->len = msg.msg_namelen;
	*ret_owner = n >= 0 && is_owner(&msg);
	return n;
}

/* A line that is there already, without waiting for who does not read. */
static void say(const struct mconsole_client *to, const char *text, unsigned err)
{
	struct mconsole_reply r;

	mconsole_fragment(&r, text, strlen(text), err);
	host_result(sendto(to->sock, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL,
			   (const struct sockaddr *)&to->address, to->len));
}

void mconsole_reaped(struct mconsole *m, pid_t pid, int status)
{
	int i = find_worker(m, pid);

	if (i < 0)
		return;
	m->worker[i].pid = 0;
	if (WIFSIGNALED(status))
		say(&m->worker[i].client, "what does it was killed", 1);
}

/*
 * A worker begins.
 *
 * Should:
 *  - end with the monitor
 *  - have nothing of the monitor's but the socket to answer on: its locks say that the
 *    guest lives
 */
static void become_worker(struct mconsole_client *to, pid_t monitor)
{
	sigset_t none;

	prctl(PR_SET_NAME, "weir-mconsole");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != monitor)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	to->sock = host_result(dup3(to->sock, 3, O_CLOEXEC)) < 0 ? to->sock : 3;
	host_call(SYS_close_range, 4, ~0u, 0);
}

static void start_worker(struct mconsole *m, struct mconsole_client *to, const char *guest,
			 const struct mconsole_plan *plan)
{
	pid_t monitor = getpid();
	long pid = host_result(fork());
	int i = find_worker(m, 0);

	if (pid == 0) {
		become_worker(to, monitor);
		mconsole_answer(to, guest, plan);
		_exit(0);
	}
	if (pid < 0)
		say(to, strerror(-pid), 1);
	else if (i >= 0)
		m->worker[i] = (struct mconsole_worker){ pid, *to };
}

static void interrupt_init(const struct mconsole_client *to, int kernel)
{
	const unsigned char sig = SIGINT;
	int ret = host_send(kernel, &sig, 1, NULL, 0);

	say(to, ret < 0 ? strerror(-ret) : "", ret < 0);
}

void mconsole_serve(struct mconsole *m, const char *guest, int kernel)
{
	char buf[sizeof(struct mconsole_request)], command[MCONSOLE_DATA];
	struct mconsole_client from = {};
	struct mconsole_plan plan;
	const char *why;
	bool owner;
	ssize_t n = receive(m->sock, &from, buf, sizeof(buf), &owner);
	int ret;

	if (n < 0)
		return;
	/* Longer than the buffer: MSG_TRUNC said how long. */
	ret = mconsole_parse(buf, n, command, &why);
	if (!owner) {
		say(&from, "only the owner of the guest may ask", 1);
	} else if (ret == -EPROTO) {
		host_result(sendto(m->sock, MCONSOLE_OLD_CLIENT, strlen(MCONSOLE_OLD_CLIENT), MSG_DONTWAIT | MSG_NOSIGNAL,
				   (struct sockaddr *)&from.address, from.len));
	} else if (ret < 0) {
		say(&from, why, 1);
	} else {
		mconsole_plan(command, guest, &plan);
		if (plan.how == MCONSOLE_INTERRUPT)
			interrupt_init(&from, kernel);
		else
			start_worker(m, &from, guest, &plan);
	}
}

void mconsole_close(struct mconsole *m)
{
	char buf[sizeof(struct mconsole_request)];
	struct mconsole_client from = {};
	bool owner;

	if (m->sock < 0)
		return;
	/* First of all: nobody sends any more what nobody would read. */
	shutdown(m->sock, SHUT_RD);
	while (receive(m->sock, &from, buf, sizeof(buf), &owner) >= 0)
		say(&from, "the guest has ended", 1);
	cleanup_fd_p(&m->sock);
	m->sock = -1;
}

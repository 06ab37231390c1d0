/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mconsole_answer.c - a management console's worker: one request done and answered
 *
 * The client waits for ever, so there is always an answer: what does it is another
 * process, whose output is read until it ends, is too much, or takes too long.
 */
#include "mconsole_serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define OUTPUT_BYTES (256 * 1024)
#define PATIENCE_NS (60 * NSEC_PER_SEC)
#define END_PATIENCE_MS 1000	/* from SIGTERM, which weir exec passes on, to SIGKILL */

struct output {
	char text[OUTPUT_BYTES];
	size_t len;
	bool cut, late;
};

void mconsole_reply(const struct mconsole_client *c, const char *text, size_t len, unsigned err)
{
	struct mconsole_reply r;

	do {
		size_t n = mconsole_fragment(&r, text, len, err);

		if (host_result(sendto(c->sock, &r, sizeof(r), MSG_NOSIGNAL,
				       (const struct sockaddr *)&c->address, c->len)) < 0)
			return;
		text += n;
		len -= n;
	} while (r.more);
}

/* The process that does it: stdout and stderr are the answer. */
static void perform(const char *guest, const struct mconsole_plan *plan, int out, pid_t worker)
{
	const char *argv[MCONSOLE_MAX_ARGS + 1] = { "weir" };
	int ret = 1;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != worker)
		_exit(1);
	host_null_stdio(0, 0);
	if (dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(1);
	switch (plan->how) {
	case MCONSOLE_WEIR:
		memcpy(argv + 1, plan->argv, sizeof(plan->argv));
		execv("/proc/self/exe", (char *const *)argv);
		break;
	case MCONSOLE_CONTROL:
		ret = mconsole_control(guest, plan);
		break;
	case MCONSOLE_FACT:
		ret = mconsole_fact(guest, plan);
		break;
	case MCONSOLE_SAY:
	case MCONSOLE_REFUSE:
	case MCONSOLE_INTERRUPT:
		break;
	}
	fflush(NULL);
	_exit(ret);
}

/* Return: false at the end of it. */
static bool drain(struct output *o, int fd)
{
	while (o->len < sizeof(o->text)) {
		long n = host_result(read(fd, o->text + o->len, sizeof(o->text) - o->len));

		if (n == -EAGAIN)
			return true;
		if (n <= 0)
			return false;
		o->len += n;
	}
	o->cut = true;
	return false;
}

/* Until the process has ended: what it left behind may hold the pipe for ever. */
static void collect(struct output *o, int fd, int process)
{
	uint64_t end = host_now() + PATIENCE_NS;
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = process, .events = POLLIN } };

	while (!p[1].revents && !o->cut) {
		uint64_t now = host_now();

		o->late = now >= end;
		if (o->late)
			break;
		if (poll(p, 2, (end - now) / 1000000 + 1) <= 0)
			continue;
		if (p[0].revents && !drain(o, fd))
			p[0].fd = -1;
	}
	drain(o, fd);
	if (p[1].revents)
		return;
	host_pidfd_kill(process, SIGTERM);
	if (poll(&p[1], 1, END_PATIENCE_MS) <= 0)
		host_pidfd_kill(process, SIGKILL);
}

/* Return: the exit status, 1 for whoever has none. */
static unsigned run(const char *guest, const struct mconsole_plan *plan, struct output *o)
{
	cleanup_fd int process = -1;
	pid_t worker = getpid();
	int p[2], status = -1;
	long pid;

	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0)
		return 1;
	host_result(fcntl(p[1], F_SETFL, 0));	/* the writer may wait */
	pid = host_result(fork());
	if (pid == 0)
		perform(guest, plan, p[1], worker);
	close(p[1]);
	process = pid < 0 ? (int)pid : host_pidfd_open(pid, 0);
	if (process >= 0)
		collect(o, p[0], process);
	close(p[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* A byte that a terminal may be sent; those of UTF-8 are. */
static char printable(unsigned char c)
{
	if (c >= ' ' && c != 0x7f)
		return c;
	return c == '\n' || c == '\t' ? c : c ? '?' : ' ';
}

/* As a client can print it: no control characters, which may be the guest's, and no
 * newline at the end, which it adds itself. */
static const char *polish(struct output *o, size_t *ret_len)
{
	const char *text = o->text;

	for (size_t i = 0; i < o->len; i++)
		o->text[i] = printable(o->text[i]);
	while (o->len && o->text[o->len - 1] == '\n')
		o->len--;
	*ret_len = o->len;
	if (o->len > 6 && memcmp(text, "weir: ", 6) == 0) {
		text += 6;
		*ret_len -= 6;
	}
	return text;
}

static void answer_output(const struct mconsole_client *c, const char *guest, const struct mconsole_plan *plan,
			  struct output *o)
{
	unsigned err = run(guest, plan, o);
	const char *text;
	size_t len;

	text = polish(o, &len);
	if (o->late) {
		text = "no answer within a minute";
		len = strlen(text);
	} else if (err == 0 && len == 0) {
		text = plan->how == MCONSOLE_WEIR ? plan->text : "";
		len = strlen(text);
	}
	mconsole_reply(c, text, len, err ?: o->cut || o->late);
}

void mconsole_answer(const struct mconsole_client *c, const char *guest, const struct mconsole_plan *plan)
{
	static struct output o;	/* too large for a stack; a worker does one thing */

	switch (plan->how) {
	case MCONSOLE_SAY:
	case MCONSOLE_REFUSE:
		mconsole_reply(c, plan->text, strlen(plan->text), plan->how == MCONSOLE_REFUSE);
		break;
	case MCONSOLE_CONTROL:
		/* Its guest may end before the client could hear of it. */
		mconsole_reply(c, "", 0, 0);
		run(guest, plan, &o);
		break;
	case MCONSOLE_WEIR:
	case MCONSOLE_FACT:
	case MCONSOLE_INTERRUPT:
		answer_output(c, guest, plan, &o);
		break;
	}
}

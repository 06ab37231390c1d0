/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - the control socket: weir's other commands talk to a guest
 *
 * One SOCK_SEQPACKET connection per command. A message is a JSON object:
 *
 *   {"op":"stats"}                           -> {"ok":true} and a memfd with JSON
 *   {"op":"log"}, {"op":"log","what":"console"}  -> ... a memfd with text
 *   {"op":"log","note":TEXT}                 -> {"ok":true}: lines for the log
 *   {"op":"uname"}                           -> ... "Linux NODE RELEASE VERSION MACHINE"
 *   {"op":"stop","patience_ms":N}, {"op":"kill"}, {"op":"reboot"}  -> {"ok":true}
 *   {"op":"pause","patience_ms":N}           -> {"ok":true} once all is frozen
 *   {"op":"resume"}                          -> {"ok":true}
 *   {"op":"exec","argv":[],"env":[],"cwd":"","tty":[0,1,2]} with stdio
 *                                            -> {"ok":true}, the pty's master
 *   {"signal":N}                             to the exec'ed process
 *   {"op":"time","action":"show","value":N}  -> {"ok":true} and a memfd with JSON; time_control.c
 *   {"op":"mem","action":"show|brief|plug|unplug|release|lend","bytes":N,"type":"clean|dirty|any",
 *    "deadline_ms":N}                        -> {"ok":true} and a memfd with JSON; memory_work.c
 *   {"op":"disk","action":"add|remove","index":N, ...} with the files  -> {"ok":true}; guest_disks.c
 *   {"op":"console"}                         -> {"ok":true} and the pty's master
 *   {"op":"check"}                           -> posture.c's object, and our user namespace
 *
 * Errors: {"error":"WHY"}. An exec'ed process's end: {"status":N}. Only
 * the guest's owner may connect, and the socket lies in a directory of mode
 * 0700; the guest cannot reach it.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "drivers/console.h"
#include "drivers/disk.h"
#include "kernel/cleanup.h"
#include "kernel/freeze.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/machine/machine.h"
#include "kernel/memory/memory.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define CONTROL_MESSAGE (192 * 1024)	/* bytes of one message */
#define CONTROL_MAX_CLIENTS 64
#define NOTE_LINE 200	/* bytes of a line that somebody else writes to the log */

struct client {
	struct event_source src;
	struct kernel *kernel;
	struct guest_process *process;	/* exec: whose status it waits for */
	bool has_console;
	struct client *next;
};

static void client_free(struct event_source *src)
{
	struct client *c = (struct client *)src;
	struct client **pp;

	for (pp = &c->kernel->clients; *pp; pp = &(*pp)->next) {
		if (*pp == c) {
			*pp = c->next;
			break;
		}
	}
	close(src->fd);
	free(c);
}

static void client_close(struct kernel *k, struct client *c)
{
	if (c->has_console)
		console_return(k->console, &k->ev);
	c->has_console = false;
	process_forget_client(k, c);
	freeze_forget_client(k, c);
	memory_forget_client(k, c);
	event_remove(&k->ev, &c->src);
}

/* @msg is freed. NULL, as json_pack() returns for a text that is no UTF-8: whoever waits
 * for an answer gets one all the same. */
static int reply(struct client *c, json_t *msg, int fd)
{
	static const char none[] = "{\"error\":\"the answer cannot be had as JSON\"}";
	cleanup_free char *text = json_dumps(msg, JSON_COMPACT);
	int ret = text ? host_send(c->src.fd, text, strlen(text), &fd, fd >= 0) :
			 host_send(c->src.fd, none, strlen(none), NULL, 0);

	json_decref(msg);
	return ret;
}

static int reply_error(struct client *c, const char *text)
{
	return reply(c, json_pack("{s:s}", "error", text), -1);
}

static int reply_ok(struct client *c, int fd)
{
	return reply(c, json_pack("{s:b}", "ok", 1), fd);
}

static int reply_text(struct client *c, const char *text, size_t len)
{
	cleanup_fd int fd = host_result(memfd_create("weir-reply", MFD_CLOEXEC));

	if (fd < 0)
		return reply_error(c, strerror(-fd));
	host_write(fd, text, len);
	host_result(lseek(fd, 0, SEEK_SET));
	return reply_ok(c, fd);
}

static int op_stats(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	json_t *stats = stats_json(k);
	cleanup_free char *text = stats ? json_dumps(stats, JSON_INDENT(2)) : NULL;

	json_decref(stats);
	return text ? reply_text(c, text, strlen(text)) : reply_error(c, "out of memory");
}

static int op_time(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	struct ns_error err = {};
	json_t *answer = time_control(k, msg, &err);
	cleanup_free char *text = answer ? json_dumps(answer, JSON_INDENT(2)) : NULL;

	json_decref(answer);
	return text ? reply_text(c, text, strlen(text)) : reply_error(c, err.text);
}

static int op_mem(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	struct ns_error err = {};

	return memory_request(k, msg, c, &err) < 0 ? reply_error(c, err.text) : 0;
}

static int op_disk(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	struct disk_error err = {};
	int ret = guest_disks_request(k, msg, fds, &err);

	if (ret == 0)
		return reply_ok(c, -1);
	return reply(c, json_pack("{s:s, s:b}", "error", err.text, "again", ret == -EAGAIN), -1);
}

void client_memory_ended(struct kernel *k, struct client *c, const char *text, size_t len)
{
	reply_text(c, text, len);
}

/* A text of somebody else's, as lines of the log; what cannot be printed is not. */
static void log_note(const char *text)
{
	char line[NOTE_LINE];

	while (*text) {
		size_t len = MIN(strcspn(text, "\n"), sizeof(line) - 1);

		for (size_t i = 0; i < len; i++)
			line[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
		line[len] = '\0';
		if (len)
			log_info("mconsole: %s", line);
		text += len + (text[len] == '\n');
	}
}

static int op_log(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	const char *note = json_string_value(json_object_get(msg, "note"));
	const char *what = json_string_value(json_object_get(msg, "what"));
	size_t size = 512 * 1024, used = 0;
	cleanup_free char *buf = malloc(size);
	struct log_entry e;
	uint64_t cursor = 0;

	if (!buf)
		return reply_error(c, "out of memory");
	if (note) {
		log_note(note);
		return reply_ok(c, -1);
	}
	if (what && streq(what, "console")) {
		if (!k->console)
			return reply_error(c, "this guest has no console");
		used = console_text(k->console, buf, size);
	} else {
		while (size - used > LOG_LINE + 64 && log_read(&cursor, &e)) {
			used += log_format(&e, buf + used, size - used);
			buf[used++] = '\n';
		}
	}
	return reply_text(c, buf, used);
}

/* As the guest's own uname(2) has it: we are in its UTS namespace. */
static int op_uname(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	char text[sizeof(struct utsname)];
	struct utsname u;
	int ret = host_result(uname(&u));

	if (ret < 0)
		return reply_error(c, strerror(-ret));
	machine_release(k, &u);
	snprintf(text, sizeof(text), "%s %s %s %s %s", u.sysname, u.nodename, u.release, u.version, u.machine);
	/* A name of the guest's may be anything, JSON has UTF-8 only. */
	return reply_text(c, text, strlen(text));
}

static int op_stop(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	json_int_t patience = json_integer_value(json_object_get(msg, "patience_ms"));

	guest_stop(k, MIN(MAX(patience, 0), 86400000));
	return reply_ok(c, -1);
}

static int op_kill(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	log_info("kill: asked for by weir kill");
	guest_end(k, END_KILLED);
	return reply_ok(c, -1);
}

static int op_reboot(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	log_info("reboot: asked for by weir reboot");
	guest_end(k, END_RESTART);
	return reply_ok(c, -1);
}

static int op_pause(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	json_int_t patience = json_integer_value(json_object_get(msg, "patience_ms"));
	int ret;

	if (k->state == GUEST_PAUSED)
		return reply_ok(c, -1);
	if (k->state != GUEST_RUNNING)
		return reply_error(c, "the guest is not running");
	ret = freeze_start(k, MIN(MAX(patience, 0), 86400000), c);
	if (ret == -EBUSY)
		return reply_error(c, "another weir pause is at work");
	return ret < 0 ? reply_error(c, strerror(-ret)) : 0;
}

void client_pause_ended(struct kernel *k, struct client *c, const char *error)
{
	if (error)
		reply_error(c, error);
	else
		reply_ok(c, -1);
}

static int op_resume(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	freeze_end(k);
	return reply_ok(c, -1);
}

static int op_console(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	int ret;

	if (!k->console)
		return reply_error(c, "this guest has none (con0 = null)");
	ret = console_lend(k->console, &k->ev);
	if (ret < 0)
		return reply_error(c, "in use by another terminal");
	c->has_console = true;
	return reply_ok(c, console_master(k->console));
}

/* A JSON array of strings as a NULL-terminated vector; the strings stay the
 * array's. */
static char **string_vector(json_t *array)
{
	size_t n = json_array_size(array);
	char **v = calloc(n + 1, sizeof(*v));

	for (size_t i = 0; v && i < n; i++) {
		v[i] = (char *)json_string_value(json_array_get(array, i));
		if (!v[i]) {
			free(v);
			return NULL;
		}
	}
	return v;
}

static int exec_stdio(struct kernel *k, json_t *tty, const int *fds, struct spawn_request *rq,
		      int pty[2])
{
	size_t ntty = json_array_size(tty);
	int ret = ntty ? agent_pty(&k->agent, false, &pty[0], &pty[1]) : 0;

	if (ret < 0)
		return ret;
	if (ntty)
		console_size(pty[0], fds);
	for (int i = 0; i < 3; i++)
		rq->stdio[i] = fds[i];
	for (size_t i = 0; i < ntty; i++) {
		json_int_t n = json_integer_value(json_array_get(tty, i));

		if (n < 0 || n > 2)
			return -EINVAL;
		rq->stdio[n] = pty[1];
		rq->flags |= SPAWN_TTY(n) | SPAWN_SESSION;
	}
	return 0;
}

static int op_exec(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	cleanup_free char **argv = string_vector(json_object_get(msg, "argv"));
	cleanup_free char **envp = string_vector(json_object_get(msg, "env"));
	struct spawn_request rq = {
		.argv = argv,
		.envp = envp,
		.cwd = json_string_value(json_object_get(msg, "cwd")),
		.program = -1,
	};
	struct ns_error err = {};
	int pty[2] = { -1, -1 }, ret;

	if (!argv || !argv[0] || !envp || fds[2] < 0)
		return reply_error(c, "a command and three descriptors are needed");
	if (k->state == GUEST_PAUSED)
		return reply_error(c, "the guest is paused; weir resume lets it run again");
	if (k->state != GUEST_RUNNING)
		return reply_error(c, "the guest is not running");
	ret = exec_stdio(k, json_object_get(msg, "tty"), fds, &rq, pty);
	if (ret == 0)
		ret = process_start(k, &rq, c, &c->process, &err);
	else
		snprintf(err.text, sizeof(err.text), "pty: %s", strerror(-ret));
	if (ret < 0) {
		int status = ret == -ENOENT ? 127 : 126;

		reply(c, json_pack("{s:s, s:i}", "error", err.text, "status", status), -1);
	} else {
		ret = reply_ok(c, pty[0]);
	}
	cleanup_fd_p(&pty[0]);
	cleanup_fd_p(&pty[1]);
	return ret < 0 ? 0 : ret;
}

void client_process_ended(struct kernel *k, struct client *c, int status)
{
	c->process = NULL;
	reply(c, json_pack("{s:i}", "status", status), -1);
}

static int op_check(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	json_t *posture = k->state == GUEST_BOOTING ? NULL : posture_json(k);
	cleanup_fd int userns = host_open("/proc/self/ns/user", O_RDONLY, 0);

	if (userns < 0 || !posture) {
		json_decref(posture);
		return reply_error(c, userns < 0 ? strerror(-userns) : "the guest is starting");
	}
	return reply(c, posture, userns);
}

static const struct control_op {
	const char *name;
	int (*handler)(struct kernel *k, struct client *c, json_t *msg, int *fds);
} control_ops[] = {
	{ "stats", op_stats },
	{ "time", op_time },
	{ "mem", op_mem },
	{ "disk", op_disk },
	{ "log", op_log },
	{ "uname", op_uname },
	{ "stop", op_stop },
	{ "kill", op_kill },
	{ "reboot", op_reboot },
	{ "pause", op_pause },
	{ "resume", op_resume },
	{ "exec", op_exec },
	{ "console", op_console },
	{ "check", op_check },
};

static void handle_message(struct kernel *k, struct client *c, json_t *msg, int *fds)
{
	const char *op = json_string_value(json_object_get(msg, "op"));
	json_t *sig = json_object_get(msg, "signal");

	if (json_is_integer(sig) && c->process && c->process->pid) {
		host_pidfd_kill(c->process->pidfd, json_integer_value(sig));
		return;
	}
	for (size_t i = 0; op && i < ARRAY_SIZE(control_ops); i++) {
		if (streq(op, control_ops[i].name)) {
			control_ops[i].handler(k, c, msg, fds);
			return;
		}
	}
	reply_error(c, "unknown request (is this weir older than the command?)");
}

static void on_client(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct client *c = (struct client *)src;
	static char buf[CONTROL_MESSAGE];
	int fds[HOST_MAX_FDS];
	ssize_t n = host_recv(src->fd, buf, sizeof(buf), fds);
	json_t *msg;

	if (n <= 0) {
		client_close(k, c);
		return;
	}
	msg = json_loadb(buf, n, 0, NULL);
	if (json_is_object(msg))
		handle_message(k, c, msg, fds);
	else
		client_close(k, c);
	json_decref(msg);
	for (int i = 0; i < HOST_MAX_FDS; i++)
		cleanup_fd_p(&fds[i]);
}

/* The peer as our user namespace sees it: 0 is whoever started the guest. */
static bool is_owner(int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == 0;
}

static unsigned count_clients(const struct kernel *k)
{
	unsigned n = 0;

	for (const struct client *c = k->clients; c; c = c->next)
		n++;
	return n;
}

static void on_connect(struct kernel *k, struct event_source *src, uint32_t events)
{
	int fd = host_result(accept4(src->fd, NULL, NULL, SOCK_CLOEXEC));
	struct client *c;

	if (fd < 0)
		return;
	c = is_owner(fd) && count_clients(k) < CONTROL_MAX_CLIENTS ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->kernel = k;
	c->src = (struct event_source){
		.fd = fd, .name = "client", .handler = on_client, .release = client_free,
	};
	c->next = k->clients;
	k->clients = c;
	event_add(&k->ev, &c->src, EPOLLIN);
}

int control_init(struct kernel *k, struct ns_error *err)
{
	int ret = freeze_init(k);

	k->control_src = (struct event_source){
		.fd = k->cfg->control, .name = "control", .handler = on_connect,
	};
	return ret < 0 ? ret : event_add(&k->ev, &k->control_src, EPOLLIN);
}

void control_exit(struct kernel *k)
{
	for (struct client *c = k->clients; c; c = c->next)
		client_close(k, c);
	freeze_exit(k);
}

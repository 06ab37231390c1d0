/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostproc.c - what the host's /proc says of a guest's threads
 */
#include "kernel/hostproc.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/children.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define FLAG_EXITING 4u		/* PF_EXITING, include/linux/sched.h */

int hostproc_parse_stat(char *text, struct hostproc_stat *ret)
{
	unsigned long long utime, stime, cutime, cstime, start;
	uint64_t tick = NSEC_PER_SEC / sysconf(_SC_CLK_TCK);
	char *name, *rest;
	unsigned flags;

	/* The name may contain anything, ')' too. */
	name = strchr(text, '(');
	rest = strrchr(text, ')');
	if (!name || !rest || rest < name)
		return -ESRCH;
	*rest = '\0';
	*ret = (struct hostproc_stat){};
	snprintf(ret->comm, sizeof(ret->comm), "%s", name + 1);
	if (sscanf(rest + 1, " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %llu %llu %*d %*d "
		   "%*d %*d %llu %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d",
		   &ret->state, &ret->ppid, &flags, &utime, &stime, &cutime, &cstime, &start,
		   &ret->cpu) != 9)
		return -ESRCH;
	ret->start = start;
	ret->exiting = flags & FLAG_EXITING;
	ret->run_ns = (utime + stime) * tick;
	ret->child_ns = (cutime + cstime) * tick;
	return 0;
}

int hostproc_stat(pid_t tid, struct hostproc_stat *ret)
{
	char path[32], text[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	n = host_read_file(AT_FDCWD, path, text, sizeof(text));
	return n < 0 ? n : hostproc_parse_stat(text, ret);
}

int hostproc_slices(pid_t tid, struct hostproc_slices *ret)
{
	char path[40], text[128], *pos;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", tid);
	n = host_read_file(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return n;
	ret->run_ns = strtoull(text, &pos, 10);
	ret->wait_ns = strtoull(pos, &pos, 10);
	ret->n = strtoull(pos, NULL, 10);
	return 0;
}

static const char *field(const char *status, const char *name)
{
	const char *p = strstr(status, name);

	return p ? p + strlen(name) : "";
}

/* The last of a line of numbers: the innermost namespace's. */
static pid_t innermost(const char *line)
{
	size_t len = strcspn(line, "\n");

	while (len > 0 && line[len - 1] != '\t' && line[len - 1] != ' ')
		len--;
	return strtol(line + len, NULL, 10);
}

void hostproc_parse_status(const char *text, struct hostproc_status *ret)
{
	char *end;

	*ret = (struct hostproc_status){
		.pid = strtol(field(text, "\nTgid:"), NULL, 10),
		.guest_tid = innermost(field(text, "\nNSpid:")),
		.guest_pid = innermost(field(text, "\nNStgid:")),
		.voluntary = strtoull(field(text, "\nvoluntary_ctxt_switches:"), NULL, 10),
		.involuntary = strtoull(field(text, "\nnonvoluntary_ctxt_switches:"), NULL, 10),
	};
	ret->state = *field(text, "\nState:\t");
	ret->tracer = strtol(field(text, "\nTracerPid:"), NULL, 10);
	ret->fd_size = strtoul(field(text, "\nFDSize:"), NULL, 10);
	strtoul(field(text, "\nUid:"), &end, 10);
	ret->uid = *end ? strtoul(end, NULL, 10) : 0;
}

int hostproc_status(pid_t tid, struct hostproc_status *ret)
{
	char path[32], text[16384];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	n = host_read_file(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return n;
	hostproc_parse_status(text, ret);
	return 0;
}

pid_t hostproc_last_pid(void)
{
	char text[128], *last;

	if (host_read_file(AT_FDCWD, "/proc/loadavg", text, sizeof(text)) < 0)
		return 0;
	last = strrchr(text, ' ');
	return last ? strtol(last, NULL, 10) : 0;
}

int hostproc_call(pid_t tid, struct hostproc_call *ret)
{
	char path[40], text[256], *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	n = host_read_file(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return n == -EACCES ? -EPERM : n;
	/* "running", or "-1 SP PC" outside of any call */
	ret->nr = strtol(text, &end, 10);
	if (end == text || ret->nr < 0)
		return -EAGAIN;
	for (int i = 0; i < 6; i++)
		ret->arg[i] = strtoull(end, &end, 16);
	return 0;
}

bool hostproc_rests(pid_t tid)
{
	char path[40], text[256];

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	return host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0 || !str_starts(text, "running");
}

/* ---- the walk ----------------------------------------------------------- */

/* Processes still to be visited. */
struct stack {
	pid_t *pid;
	size_t n, size;
};

static int push(struct stack *s, pid_t pid)
{
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		pid_t *p = realloc(s->pid, size * sizeof(*p));

		if (!p)
			return -ENOMEM;
		s->pid = p;
		s->size = size;
	}
	s->pid[s->n++] = pid;
	return 0;
}

struct walk {
	struct stack todo;
	struct children children;
	void (*visit)(void *ctx, pid_t pid, pid_t tid);
	void *ctx;
};

static int push_child(void *walk, pid_t pid)
{
	struct walk *w = walk;

	return push(&w->todo, pid);
}

static int visit_threads(struct walk *w, DIR *task, pid_t pid)
{
	struct dirent *e;
	int ret = 0;

	while (ret == 0 && (e = readdir(task))) {
		pid_t tid = atoi(e->d_name);

		if (tid <= 0)
			continue;
		w->visit(w->ctx, pid, tid);
		ret = children_of(&w->children, dirfd(task), pid, tid, push_child, w);
		if (ret == -ENOENT || ret == -ESRCH)
			ret = 0;	/* it has ended */
	}
	return ret;
}

static int visit_process(struct walk *w, pid_t pid)
{
	char path[32];
	DIR *task;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	task = opendir(path);
	if (task) {
		ret = visit_threads(w, task, pid);
		closedir(task);
	}
	return ret;
}

int hostproc_walk(const pid_t *root, unsigned nroots,
		  void (*visit)(void *ctx, pid_t pid, pid_t tid), void *ctx)
{
	struct walk w = { .visit = visit, .ctx = ctx };
	int ret = children_begin(&w.children);

	for (unsigned i = 0; i < nroots && ret == 0; i++)
		ret = push(&w.todo, root[i]);
	while (ret == 0 && w.todo.n > 0)
		ret = visit_process(&w, w.todo.pid[--w.todo.n]);
	free(w.todo.pid);
	children_end(&w.children);
	return ret;
}

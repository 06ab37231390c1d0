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

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

#define FLAG_EXITING 4u		/* PF_EXITING, include/linux/sched.h */
#define CHILDREN_BYTES (1024 * 1024)

int hostproc_parse_stat(char *text, struct hostproc_stat *ret)
{
	unsigned long long utime, stime, start;
	long long cutime, cstime;
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
	if (sscanf(rest + 1, " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d "
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
	strtoull(pos, &pos, 10);	/* how long it waited for a CPU */
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

static int each_number(const char *path, int (*one)(void *ctx, pid_t n), void *ctx)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int ret = 0;

	while (d && ret == 0 && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			ret = one(ctx, strtol(e->d_name, NULL, 10));
	if (d)
		closedir(d);
	return ret;
}

struct walk {
	struct stack todo;
	struct stack all;	/* without the children files: pid, parent, pid, parent ... */
	char *children;		/* buffer; NULL: the host has no such files */
	pid_t pid;		/* of whose threads we are at */
	void (*visit)(void *ctx, pid_t pid, pid_t tid);
	void *ctx;
};

static int push_children(struct walk *w, pid_t tid)
{
	char path[64], *pos, *end;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", w->pid, tid);
	n = host_read_file(AT_FDCWD, path, w->children, CHILDREN_BYTES);
	if (n < 0)
		return 0;	/* it has ended */
	for (pos = w->children;; pos = end) {
		long child = strtol(pos, &end, 10);

		if (end == pos)
			return 0;
		if (push(&w->todo, child) < 0)
			return -ENOMEM;
	}
}

static int visit_thread(void *ctx, pid_t tid)
{
	struct walk *w = ctx;

	w->visit(w->ctx, w->pid, tid);
	return w->children ? push_children(w, tid) : 0;
}

static int note_parent(void *ctx, pid_t pid)
{
	struct walk *w = ctx;
	struct hostproc_stat st;
	int ret;

	if (hostproc_stat(pid, &st) < 0)
		return 0;
	ret = push(&w->all, pid);
	return ret < 0 ? ret : push(&w->all, st.ppid);
}

static int push_by_parent(struct walk *w)
{
	for (size_t i = 0; i < w->all.n; i += 2)
		if (w->all.pid[i + 1] == w->pid && push(&w->todo, w->all.pid[i]) < 0)
			return -ENOMEM;
	return 0;
}

static bool have_children_files(void)
{
	char path[64];

	if (host_feature_masked("procchildren"))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	return access(path, R_OK) == 0;
}

static int visit_processes(struct walk *w)
{
	int ret = w->children ? 0 : each_number("/proc", note_parent, w);

	while (ret == 0 && w->todo.n > 0) {
		char path[32];

		w->pid = w->todo.pid[--w->todo.n];
		snprintf(path, sizeof(path), "/proc/%d/task", w->pid);
		ret = each_number(path, visit_thread, w);
		if (ret == 0 && !w->children)
			ret = push_by_parent(w);
	}
	return ret;
}

int hostproc_walk(const pid_t *root, unsigned nroots,
		  void (*visit)(void *ctx, pid_t pid, pid_t tid), void *ctx)
{
	struct walk w = { .visit = visit, .ctx = ctx };
	int ret = 0;

	if (have_children_files()) {
		w.children = malloc(CHILDREN_BYTES);
		if (!w.children)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < nroots && ret == 0; i++)
		ret = push(&w.todo, root[i]);
	if (ret == 0)
		ret = visit_processes(&w);
	free(w.todo.pid);
	free(w.all.pid);
	free(w.children);
	return ret;
}

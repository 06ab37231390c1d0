/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children.c - who is whose child, in the host's /proc
 */
#include "kernel/children.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

static bool host_has_lists(void)
{
	char path[64];

	if (host_feature_masked("procchildren"))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	return access(path, R_OK) == 0;
}

/* ---- without lists ------------------------------------------------------------ */

static int note(struct children *c, pid_t pid, pid_t parent)
{
	if (c->n == c->size) {
		size_t size = c->size ? 2 * c->size : 256;
		struct kinship *more = realloc(c->all, size * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->all = more;
		c->size = size;
	}
	c->all[c->n++] = (struct kinship){ pid, parent };
	return 0;
}

static int note_all(struct children *c)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int ret = 0;

	while (d && ret == 0 && (e = readdir(d))) {
		struct hostproc_stat st;
		pid_t pid = atoi(e->d_name);

		if (pid > 0 && hostproc_stat(pid, &st) == 0)
			ret = note(c, pid, st.ppid);
	}
	if (d)
		closedir(d);
	return ret;
}

static int tell_by_parent(const struct children *c, pid_t parent,
			  int (*one)(void *ctx, pid_t child), void *ctx)
{
	int ret = 0;

	for (size_t i = 0; ret >= 0 && i < c->n; i++)
		if (c->all[i].parent == parent)
			ret = one(ctx, c->all[i].pid);
	return ret < 0 ? ret : 0;
}

/* ---- with lists ---------------------------------------------------------------- */

static int tell_list(int task, pid_t tid, int (*one)(void *ctx, pid_t child), void *ctx)
{
	cleanup_free char *word = NULL;
	char file[32];
	size_t size = 0;
	int fd, ret = 0;
	FILE *f;

	snprintf(file, sizeof(file), "%d/children", (int)tid);
	fd = host_openat(task, file, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	while (ret >= 0 && getdelim(&word, &size, ' ', f) > 0)
		if (atoi(word) > 0)
			ret = one(ctx, atoi(word));
	fclose(f);
	return ret < 0 ? ret : 0;
}

int children_begin(struct children *c)
{
	*c = (struct children){ .listed = host_has_lists() };
	return c->listed ? 0 : note_all(c);
}

void children_end(struct children *c)
{
	free(c->all);
	*c = (struct children){ 0 };
}

int children_of(const struct children *c, int task, pid_t pid, pid_t tid,
		int (*one)(void *ctx, pid_t child), void *ctx)
{
	if (c->listed)
		return tell_list(task, tid, one, ctx);
	return tid == pid ? tell_by_parent(c, pid, one, ctx) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guestids.c - a guest whose users and owners the guest kernel keeps
 */
#include "kernel/ids/guestids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* Where records that no file takes are kept: by the root's directory, in the user's
 * state directory (XDG base directory specification). */
static int open_log(const struct kernel *k)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char dir[4000], path[4096];
	struct stat st;
	int fd, err;

	if (!k->cfg->root || stat(k->cfg->root, &st) < 0)
		return -ENOENT;
	if (!k->cfg->rootless)
		snprintf(dir, sizeof(dir), "/var/lib/weir/owners");
	else if (state && state[0] == '/')
		snprintf(dir, sizeof(dir), "%.3900s/weir/owners", state);
	else if (home && home[0] == '/')
		snprintf(dir, sizeof(dir), "%.3900s/.local/state/weir/owners", home);
	else
		return -ENOENT;
	err = host_mkdir_p(dir, 0700);
	if (err < 0)
		return err;
	snprintf(path, sizeof(path), "%s/%llx-%llx", dir, (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	fd = host_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	/* Two guests of one directory: the second does not keep what it adds. */
	if (fd >= 0 && host_result(flock(fd, LOCK_EX | LOCK_NB)) < 0) {
		close(fd);
		return -EBUSY;
	}
	return fd;
}

static bool root_is_kept(const struct kernel *k)
{
	enum policy_writable w = k->cfg->policy->writable;

	return k->cfg->root && (w == WRITABLE_YES || w == WRITABLE_AUTO);
}

int guestids_init(struct kernel *k, struct ns_error *err)
{
	struct guest_ids *ids;
	int log = -1, ret;

	if (!policy_keeps_ids(k->cfg->policy))
		return 0;
	ret = idcred_probe();
	if (ret < 0)
		return ns_fail(err, ret, "ids: RLIMIT_LOCKS is limited here, which carries the "
			       "guest's credentials; ulimit -x unlimited, or [ids] uid = auto");
	if (root_is_kept(k)) {
		log = open_log(k);
		if (log < 0)
			log_warn("ids: owners of links, sockets and devices end with the guest: no "
				 "list of them can be kept: %s", strerror(-log));
	}
	ids = calloc(1, sizeof(*ids));
	if (ids) {
		ids->creds = idcred_create(k->cfg->policy->caps);
		ids->owners = idowner_open(MAX(log, -1));
	}
	k->ids = ids;
	if (!ids || !ids->creds || !ids->owners)
		return -ENOMEM;
	log_info("ids: users, groups and owners of files are kept by the guest kernel over one "
		 "host id: fidelity, no isolation between users of the guest");
	return 0;
}

void guestids_exit(struct kernel *k)
{
	if (!k->ids || k->state == GUEST_DEAD)
		return;
	idcred_destroy(k->ids->creds);
	idowner_close(k->ids->owners);
	free(k->ids);
	k->ids = NULL;
}

int guestids_caller(struct kernel *k, const struct call *c, struct idcred *ret)
{
	return idcred_get(k->ids->creds, c->tid, ret);
}

static pid_t last_number(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	pid_t last = -ESRCH;
	char *end;

	for (p = p ? p + strlen(name) : ""; *p && *p != '\n'; p = end) {
		long v = strtol(p, &end, 10);

		if (end == p)
			break;
		last = v;
	}
	return last;
}

pid_t guestids_guest_pid(pid_t host_tid, pid_t *ret_tid)
{
	char path[64], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", host_tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	if (ret_tid)
		*ret_tid = last_number(text, "\nNSpid:");
	return last_number(text, "\nNStgid:");
}

mode_t guestids_umask(const struct call *c)
{
	char path[64], text[8192], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", c->tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return 022;
	line = strstr(text, "\nUmask:");
	return line ? strtoul(line + strlen("\nUmask:"), NULL, 8) & 0777 : 022;
}

int guestids_of_pid(struct kernel *k, const struct call *c, pid_t pid, struct idcred *ret)
{
	pid_t host = pid ? sched_host_tid(k, pid) : c->tid;

	return host < 0 ? host : idcred_get(k->ids->creds, host, ret);
}

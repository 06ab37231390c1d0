/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_task.c - one guest user and another's tasks: signals, and who is at the other
 * end of a socket
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

/* ---- signals, kill(2) ------------------------------------------------------ */

static bool may_signal(struct kernel *k, const struct idcred *cred, pid_t from, pid_t to, int sig)
{
	struct idcred target;

	if (idcred_get(k->ids->creds, to, &target) < 0)
		return true;	/* gone: the host says so */
	if (cred->uid[ID_EFFECTIVE] == target.uid[ID_SAVED] ||
	    cred->uid[ID_EFFECTIVE] == target.uid[ID_REAL] ||
	    cred->uid[ID_REAL] == target.uid[ID_SAVED] ||
	    cred->uid[ID_REAL] == target.uid[ID_REAL])
		return true;
	return sig == SIGCONT && getsid(from) == getsid(to);
}

/* To one task, by the guest's number. */
static long to_one(struct kernel *k, struct call *c, pid_t pid, int sig, const struct idcred *cred)
{
	pid_t host = sched_host_tid(k, pid);

	if (host > 0 && !may_signal(k, cred, c->tid, host, sig))
		return -EPERM;
	return ids_continue(c);
}

/* Group and session of a process of the guest, as its own /proc tells; 0: gone. */
static pid_t group_in(int proc, const char *pid)
{
	char path[64], text[1024], *p;
	int group = 0;

	snprintf(path, sizeof(path), "%.32s/stat", pid);
	if (host_read_file(proc, path, text, sizeof(text)) < 0)
		return 0;
	p = strrchr(text, ')');
	if (!p || sscanf(p + 1, " %*c %*d %d", &group) != 1)
		return 0;
	return group;
}

/* To many, kill(2): those that the caller may signal; @group 0: all but init and
 * the caller. The signals are ours, and so come from nobody of the guest. */
static long to_many(struct kernel *k, struct call *c, pid_t group, int sig,
		    const struct idcred *cred)
{
	pid_t self = guestids_guest_pid(c->tid, NULL);
	bool found = false, sent = false;
	cleanup_fd int proc = -1;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/root/proc", c->tid);
	proc = host_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (proc < 0)
		return proc;
	dir = fdopendir(proc);
	if (!dir)
		return -ENOMEM;
	proc = -1;
	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		pid_t pid = atoi(e->d_name), host;

		if (pid <= 0 || (group && group_in(dirfd(dir), e->d_name) != group) ||
		    (!group && (pid == 1 || pid == self)))
			continue;
		host = sched_host_tid(k, pid);
		if (host <= 0)
			continue;
		found = true;
		if (!may_signal(k, cred, c->tid, host, sig) || !call_valid(c))
			continue;
		if (host_result(kill(host, sig)) == 0)
			sent = true;
	}
	closedir(dir);
	if (sent)
		return 0;
	return found ? -EPERM : -ESRCH;
}

/* May the caller signal whom it likes? Then @ret is its credentials otherwise. */
static int restricted(struct kernel *k, struct call *c, struct idcred *ret)
{
	int err;

	if (idcred_is_initial(c->tid))
		return 0;
	err = guestids_caller(k, c, ret);
	if (err < 0)
		return err;
	return !idcred_capable(ret, CAP_KILL);
}

long ids_kill(struct kernel *k, struct call *c)
{
	int pid = arg_int(c, 0), sig = arg_int(c, 1), err;
	struct idcred cred;

	err = restricted(k, c, &cred);
	if (err <= 0)
		return err < 0 ? err : ids_continue(c);
	if (pid > 0)
		return to_one(k, c, pid, sig, &cred);
	/* Its own group, in most cases of one user's. */
	if (pid == 0 || pid == INT32_MIN)
		return ids_continue(c);
	return to_many(k, c, pid == -1 ? 0 : -pid, sig, &cred);
}

static long signal_to(struct kernel *k, struct call *c, pid_t pid, int sig)
{
	struct idcred cred;
	int err = restricted(k, c, &cred);

	if (err <= 0)
		return err < 0 ? err : ids_continue(c);
	return to_one(k, c, pid, sig, &cred);
}

long ids_tkill(struct kernel *k, struct call *c)
{
	return signal_to(k, c, arg_int(c, 0), arg_int(c, 1));
}

long ids_tgkill(struct kernel *k, struct call *c)
{
	return signal_to(k, c, arg_int(c, 1), arg_int(c, 2));
}

long ids_rt_sigqueueinfo(struct kernel *k, struct call *c)
{
	return signal_to(k, c, arg_int(c, 0), arg_int(c, 1));
}

long ids_rt_tgsigqueueinfo(struct kernel *k, struct call *c)
{
	return signal_to(k, c, arg_int(c, 1), arg_int(c, 2));
}

/* pidfd_send_signal(pidfd, sig, info, flags): whose it is, its fdinfo tells. */
long ids_pidfd_send_signal(struct kernel *k, struct call *c)
{
	struct idcred cred;
	char path[64], text[1024], *line;
	int err = restricted(k, c, &cred);

	if (err <= 0)
		return err < 0 ? err : ids_continue(c);
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", c->tid, arg_int(c, 0));
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -EBADF;
	line = strstr(text, "Pid:");
	if (line && atoi(line + 4) > 0 &&
	    !may_signal(k, &cred, c->tid, atoi(line + 4), arg_int(c, 1)))
		return -EPERM;
	return ids_continue(c);
}

/* ---- SO_PEERCRED, unix(7) -------------------------------------------------- */

static pid_t process_of(pid_t tid)
{
	char path[64], text[8192], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	line = strstr(text, "\nTgid:");
	return line ? atoi(line + strlen("\nTgid:")) : -ESRCH;
}

static int peer_of(const struct call *c, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);
	cleanup_fd int pidfd = -1, sock = -1;
	pid_t tgid = process_of(c->tid);

	if (tgid < 0)
		return tgid;
	pidfd = host_pidfd_open(tgid, 0);
	if (pidfd < 0)
		return pidfd;
	sock = host_pidfd_getfd(pidfd, arg_int(c, 0));
	if (sock < 0)
		return sock;
	return host_result(getsockopt(sock, SOL_SOCKET, SO_PEERCRED, ret, &len));
}

/* The peer as it is now: what it was when it connected, nobody has written down. */
long ids_getsockopt(struct kernel *k, struct call *c)
{
	struct ucred peer = {};
	struct idcred cred;
	socklen_t len;
	int err;

	if (arg_int(c, 1) != SOL_SOCKET || arg_int(c, 2) != SO_PEERCRED)
		return ids_continue(c);
	err = arg_copy_in(c, 4, &len, sizeof(len));
	if (err == 0 && (int)len < 0)
		err = -EINVAL;
	if (err == 0)
		err = peer_of(c, &peer);
	if (err < 0)
		return err;
	if (peer.pid > 0) {
		if (idcred_get(k->ids->creds, peer.pid, &cred) == 0) {
			peer.uid = cred.uid[ID_EFFECTIVE];
			peer.gid = cred.gid[ID_EFFECTIVE];
		}
		peer.pid = MAX(guestids_guest_pid(peer.pid, NULL), 0);
	}
	len = MIN(len, (socklen_t)sizeof(peer));
	err = arg_copy_out(c, 3, &peer, len);
	return err < 0 ? err : arg_copy_out(c, 4, &len, sizeof(len));
}

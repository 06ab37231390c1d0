/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act.c - one system call done as a guest task would do it
 *
 * The order of taking on a task's being matters: namespace, root and directory
 * while we still hold every capability over the guest, ids next, capabilities
 * last. A call that the guest kernel grants beyond the task's own rights (the
 * bind of a device in place of mknod) keeps CAP_SYS_ADMIN for that one step.
 */
#include "ns/act.h"

#include <errno.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/view.h"
#include "passthrough/hostcall.h"

enum { FD_REPLY, FD_ROOT, FD_CWD, FD_MNTNS, FD_GIVEN };

static void __attribute__((noreturn))
finish(int reply, long result, const void *data, size_t len, const int *fd)
{
	static char buf[sizeof(struct act_result) + AGENT_MAX_DATA];
	struct act_result *r = (struct act_result *)buf;

	r->result = result;
	len = MIN(len, (size_t)AGENT_MAX_DATA);
	if (len)
		memcpy(r->data, data, len);
	host_send(reply, r, sizeof(*r) + len, fd, fd ? 1 : 0);
	_exit(0);
}

static int take_place(const int *fds)
{
	int ret = 0;

	if (fds[FD_MNTNS] >= 0)
		ret = host_call(SYS_setns, fds[FD_MNTNS], CLONE_NEWNS);
	if (ret == 0)
		ret = host_result(fchdir(fds[FD_ROOT]));
	if (ret == 0)
		ret = host_result(chroot("."));
	if (ret == 0)
		ret = host_result(fchdir(fds[FD_CWD]));
	return ret;
}

static int take_ids(const struct act_cred *c)
{
	gid_t group[AGENT_MAX_GROUPS];
	unsigned n = MIN(c->ngroups, (unsigned)AGENT_MAX_GROUPS);
	int ret;

	for (unsigned i = 0; i < n; i++)
		group[i] = c->group[i];
	/* EPERM: a single id, where setgroups is denied; the list is empty then. */
	ret = host_result(setgroups(n, group));
	if (ret < 0 && ret != -EPERM)
		return ret;
	prctl(PR_SET_KEEPCAPS, 1);
	ret = host_call(SYS_setresgid, c->rgid, c->egid, c->sgid);
	if (ret == 0)
		ret = host_call(SYS_setresuid, c->ruid, c->euid, c->suid);
	if (ret < 0)
		return ret;
	setfsgid(c->fsgid);
	setfsuid(c->fsuid);
	umask(c->umask);
	return 0;
}

/* What we have permitted stays so: one more step may need to raise it again. */
static int take_caps(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	int ret = host_call(SYS_capget, &h, d);

	if (ret < 0)
		return ret;
	for (int i = 0; i < 2; i++) {
		d[i].effective = d[i].permitted & caps >> (32 * i);
		d[i].inheritable = 0;
	}
	return host_call(SYS_capset, &h, d);
}

/* Turn the wire's chunks into pointers of ours. False: the sizes lie. */
static bool place_arguments(const struct act_wire *w, uint32_t size, uint64_t arg[6])
{
	size_t room = size < sizeof(*w) ? 0 : size - sizeof(*w), used = 0;

	if (size < sizeof(*w))
		return false;
	for (int i = 0; i < 6; i++) {
		arg[i] = w->arg[i];
		if (w->len[i] == ACT_NO_POINTER)
			continue;
		if (w->len[i] > room - used)
			return false;
		arg[i] = (uint64_t)(uintptr_t)(w->data + used);
		used = MIN(used + ((w->len[i] + 7) & ~7u), room);
	}
	return true;
}

static long mount_tree(uint64_t path, int tree)
{
	return host_call(SYS_move_mount, tree, "", AT_FDCWD, (const char *)(uintptr_t)path,
			 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS);
}

/* Attach a clone of the guest's own /proc or /sys at the path of argument 1. */
static long mount_kept(const uint64_t arg[6], const struct root_kept *kept)
{
	cleanup_fd int tree = root_clone_kept(kept, arg[0]);

	return tree < 0 ? tree : mount_tree(arg[1], tree);
}

/* mknod of a device that the guest has: a file with the device bound over it.
 * Arguments: 0 path, 1 mode, 2 the device's index. The file is made with the
 * task's rights; the bind is beyond them. */
static long make_device(const uint64_t arg[6], const struct root_kept *kept)
{
	const char *path = (const char *)(uintptr_t)arg[0];
	cleanup_fd int tree = -1, file = -1;
	long ret;

	ret = host_call(SYS_mknod, path, S_IFREG | (arg[1] & 07777), 0);
	if (ret < 0)
		return ret;
	file = host_open(path, O_PATH | O_NOFOLLOW, 0);
	ret = file < 0 ? file : take_caps(UINT64_MAX);
	if (ret == 0)
		ret = tree = root_clone_device(kept, arg[2]);
	if (ret >= 0)
		ret = host_call(SYS_move_mount, tree, "", file, "",
				MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
	if (ret < 0)
		unlink(path);
	return ret;
}

/* A disk of the guest's, and nothing else, past the page cache: 0 path, 1 flags, 2 gets
 * its inode. */
static long open_disk(const uint64_t arg[6], const struct root_kept *kept)
{
	cleanup_fd int fd = host_open((const char *)(uintptr_t)arg[0], arg[1] | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st, disks;
	int ret = fd < 0 ? fd : host_result(fstat(fd, &st));

	if (ret == 0)
		ret = host_result(fstatat(kept->disks, "", &disks, AT_EMPTY_PATH));
	if (ret < 0)
		return ret;
	if (st.st_dev != disks.st_dev || !S_ISREG(st.st_mode))
		return -ENOTBLK;
	ret = host_result(fcntl(fd, F_SETFL, O_DIRECT));
	if (ret < 0)
		return ret;
	memcpy((void *)(uintptr_t)arg[2], &st.st_ino, sizeof(st.st_ino));
	return take_fd(&fd);
}

static long call(int nr, const uint64_t given[6])
{
	uint64_t arg[6];
	int ret;

	memcpy(arg, given, sizeof(arg));
	ret = view_guard(nr, arg);
	if (ret < 0)
		return ret;
	if (nr == SYS_umount2)
		return view_umount(arg);
	return host_call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static long perform(const struct act_wire *w, const uint64_t arg[6], const struct root_kept *kept,
		    int given)
{
	switch (w->kind) {
	case ACT_MOUNT_KEPT:
		return mount_kept(arg, kept);
	case ACT_MKNOD:
		return make_device(arg, kept);
	case ACT_OPEN_DISK:
		return open_disk(arg, kept);
	case ACT_MOUNT_TREE:
		return mount_tree(arg[0], given);
	default:
		return call(w->nr, arg);
	}
}

void act_perform(const struct act_wire *w, uint32_t size, int *fds, int pidns,
		 const struct root_kept *kept)
{
	uint64_t arg[6];
	long ret;
	int fd;

	signal(SIGCHLD, SIG_DFL);
	if (!place_arguments(w, size, arg) || fds[FD_CWD] < 0)
		finish(fds[FD_REPLY], -EINVAL, NULL, 0, NULL);
	if (w->kind == ACT_CALL_PID) {
		/* A pid means something only inside: one more fork leads there. */
		ret = host_call(SYS_setns, pidns, CLONE_NEWPID);
		ret = ret < 0 ? ret : host_result(fork());
		if (ret < 0)
			finish(fds[FD_REPLY], ret, NULL, 0, NULL);
		if (ret > 0) {
			close(fds[FD_REPLY]);
			waitpid(ret, NULL, 0);
			_exit(0);
		}
	}
	ret = take_place(fds);
	if (ret == 0)
		ret = take_ids(&w->cred);
	if (ret == 0)
		ret = take_caps(w->cred.caps);
	if (ret == 0)
		ret = perform(w, arg, kept, fds[FD_GIVEN]);
	if (ret < 0 || w->out_arg < 0)
		finish(fds[FD_REPLY], ret, NULL, 0, NULL);
	fd = ret;
	finish(fds[FD_REPLY], ret, (void *)(uintptr_t)arg[w->out_arg], w->len[w->out_arg],
	       w->kind == ACT_OPEN_DISK ? &fd : NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounter.c - file systems of ours that a guest mounts while it runs
 *
 * The host wants /dev/fuse opened and the file system made in the user namespace in
 * which it is mounted. The agent leaves the host's files before the guest runs; so
 * this process is forked from it earlier, and keeps of the host that device alone.
 *
 * It ends with the guest kernel's end of its socket, and each that it forked with it.
 */
#include "ns/mounter.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/mount.h"
#include "ns/rights.h"
#include "passthrough/hostcall.h"

enum { FD_REPLY, FD_DISK };

/* ---- one mount -------------------------------------------------------------- */

static int mount_fuse(const struct mount_request *rq, int device, char *why, size_t size)
{
	char fd[16], subtype[sizeof(rq->type)], source[sizeof(rq->source)];
	const char *const options[] = {
		"source", source, "fd", fd, "rootmode", "40755", "user_id", "0", "group_id", "0",
		"allow_other", "", "default_permissions", "", "subtype", subtype,
		"max_read", "1048576", rq->readonly ? "ro" : NULL, "", NULL,
	};

	snprintf(fd, sizeof(fd), "%d", device);
	snprintf(subtype, sizeof(subtype), "%.7s", rq->type);
	snprintf(source, sizeof(source), "%.63s", rq->source);
	/* Over who is host root the host would have the nodes in it be its own devices. */
	return mount_new("fuse", rq->attrs | MOUNT_ATTR_NODEV, options, why, size);
}

/* Uid 0 of the guest, as the agent. With setgroups denied the list stays. */
static int take_ids(void)
{
	setgroups(0, NULL);
	return rights_take_root();
}

/* Whatever it is at: it ends with the mounter, which ends with the guest kernel. Other
 * ids make the host forget that, so they are taken before. */
static int die_with_mounter(int mounter)
{
	int ret = host_result(prctl(PR_SET_PDEATHSIG, SIGKILL));

	return ret == 0 && getppid() != mounter ? -ESRCH : ret;
}

/* Before anything is read: who is to be killed if it hangs. */
static int introduce(int reply)
{
	struct mount_reply r = { .result = 0 };
	cleanup_fd int pidfd = host_pidfd_open(getpid(), 0);

	return pidfd < 0 ? pidfd : host_send(reply, &r, sizeof(r), &pidfd, 1);
}

/* The file system, read, and its mount. */
static int prepare(const struct mounter_fs *ops, const struct mount_request *rq, int disk, int mounter,
		   void **fs, int *ret_device, struct mount_reply *r)
{
	cleanup_fd int device = host_open("/fuse", O_RDWR, 0);
	int ret = device < 0 ? device : take_ids();

	if (ret < 0) {
		snprintf(r->text, sizeof(r->text), "/dev/fuse: %s", strerror(-ret));
		return ret;
	}
	ret = die_with_mounter(mounter);
	if (ret < 0)
		return ret;
	ret = ops->open(rq, disk, fs, r->text, sizeof(r->text));
	if (ret < 0)
		return ret;
	ret = mount_fuse(rq, device, r->text, sizeof(r->text));
	if (ret >= 0)
		*ret_device = take_fd(&device);
	else
		ops->close(*fs);
	return ret;
}

static void __attribute__((noreturn)) serve(const struct mounter_fs *ops, const struct mount_request *rq,
					    int mounter, int fds[HOST_MAX_FDS])
{
	struct mount_reply r = { .result = 0 };
	int device = -1, mount, ret;
	void *fs;

	prctl(PR_SET_NAME, "weir-blockfs");
	if (introduce(fds[FD_REPLY]) < 0)
		_exit(1);
	mount = prepare(ops, rq, fds[FD_DISK], mounter, &fs, &device, &r);
	r.result = MIN(mount, 0);
	ret = mount < 0 ? 0 : ops->confine();
	if (ret < 0) {
		r.result = ret;
		snprintf(r.text, sizeof(r.text), "it cannot give up its rights: %s", strerror(-ret));
	}
	ret = host_send(fds[FD_REPLY], &r, sizeof(r), &mount, r.result == 0);
	if (mount < 0)
		_exit(1);
	/* Mounted by the kernel or not: that it no longer is says the device. */
	close(mount);
	if (ret == 0 && r.result == 0)
		ops->serve(fs, device, fds[FD_REPLY]);
	ops->close(fs);
	_exit(0);
}

/* ---- the mounter ------------------------------------------------------------- */

/* The ids that can open the device are none of the guest's, and make no files. */
static int make_file(int root)
{
	int pid = host_result(fork()), status = 0;

	if (pid == 0) {
		cleanup_fd int file = take_ids() < 0 ? -1 : host_openat(root, "fuse", O_CREAT | O_WRONLY, 0600);

		_exit(file < 0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return pid < 0 ? pid : status ? -EACCES : 0;
}

/* A root of /fuse alone. */
static int make_root(const char *place)
{
	const char *const options[] = { "mode", "0755", "uid", "0", "gid", "0", NULL };
	cleanup_fd int device = -1, root = -1;
	int ret = host_result(unshare(CLONE_NEWNS));

	if (ret == 0)
		ret = host_result(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	if (ret == 0)
		ret = device = mount_clone(AT_FDCWD, "/dev/fuse", false);
	if (ret >= 0)
		ret = root = mount_new("tmpfs", MOUNT_ATTR_NOSUID, options, NULL, 0);
	if (ret >= 0)
		ret = make_file(root);
	if (ret >= 0)
		ret = mount_attach(root, AT_FDCWD, place);
	if (ret >= 0)
		ret = mount_attach(device, root, "fuse");
	if (ret >= 0)
		ret = host_result(fchdir(root));
	if (ret >= 0)
		ret = host_call(SYS_pivot_root, ".", ".");
	if (ret >= 0)
		ret = host_result(umount2(".", MNT_DETACH));
	if (ret >= 0)
		ret = host_result(chdir("/"));
	return ret;
}

/* The socket is descriptor 3, and nothing else is open. */
static int keep_socket(int sock)
{
	int ret = sock == 3 ? 0 : host_result(dup3(sock, 3, O_CLOEXEC));

	host_null_stdio(0, 2);
	return ret < 0 ? ret : host_call(SYS_close_range, 4, ~0u, 0);
}

static void __attribute__((noreturn)) run(const struct mounter_fs *ops, const char *place, int sock)
{
	struct mount_request rq;
	int fds[HOST_MAX_FDS], self = getpid(), ret;

	prctl(PR_SET_NAME, "weir-mounter");
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	ret = keep_socket(sock);
	sock = 3;
	if (ret == 0)
		ret = make_root(place);
	if (ret < 0)
		log_warn("mounter: its root: %s; the guest cannot mount disks", strerror(-ret));
	/* Those that serve reap themselves. */
	signal(SIGCHLD, SIG_IGN);
	while (ret >= 0 && host_recv(sock, &rq, sizeof(rq), fds) == sizeof(rq)) {
		if (fds[FD_DISK] >= 0 && host_result(fork()) == 0) {
			close(sock);
			serve(ops, &rq, self, fds);
		}
		for (int i = 0; i < HOST_MAX_FDS; i++)
			cleanup_fd_p(&fds[i]);
	}
	_exit(0);
}

int mounter_fork(const struct mounter_fs *fs, const char *place, int sock)
{
	int pid = host_result(fork());

	if (pid == 0)
		run(fs, place, sock);
	return MIN(pid, 0);
}

/* ---- the guest kernel's side --------------------------------------------------- */

int mounter_mount(int sock, const struct mount_request *rq, int disk)
{
	int sv[2], ret = host_result(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));

	if (ret < 0)
		return ret;
	ret = host_send(sock, rq, sizeof(*rq), (int[]){ sv[1], disk }, 2);
	close(sv[1]);
	if (ret == 0)
		return sv[0];
	close(sv[0]);
	return ret;
}

int mounter_reply(int control, struct mount_reply *r)
{
	int fds[HOST_MAX_FDS];
	ssize_t n = host_recv(control, r, sizeof(*r), fds);

	r->text[sizeof(r->text) - 1] = '\0';
	if (n == sizeof(*r) && r->result == 0 && fds[0] >= 0)
		return fds[0];
	if (n == sizeof(*r))
		return MIN(r->result, -1);
	snprintf(r->text, sizeof(r->text), "the process that reads the disk has died");
	return -EIO;
}

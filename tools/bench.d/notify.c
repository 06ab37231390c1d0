// SPDX-License-Identifier: Apache-2.0
/*
 * notify.c - the bare round trip of a seccomp user notification: the floor under every trapped call
 *
 * One process makes a call, another receives the notification and answers it at once, looking at
 * nothing. Its flags are those a careful supervisor uses: WAIT_KILLABLE_RECV, and SYNC_WAKE_UP
 * where the host has it. Both run on the CPU the caller pinned them to, if it did. Two processes
 * and not two threads: a guest kernel has an address space of its own, and the switch to it is part
 * of the price.
 *
 * notify-work is the same loop with the host calls without which no one can do sethostname for
 * another process: may the caller do it, what does its pointer lead to, is it still the caller, and
 * then the call, on the copy. It is the floor under doing this call and not just answering it.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "micro.h"

/* Newer than the headers of the oldest host (5.19 and 6.6). */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#endif

#define LAST_CALL 0xfeedUL /* first argument of the call that ends the loop */
#define NAME_MAX_LEN 64	   /* __NEW_UTS_LEN */

/* Shared with the process that makes the calls. */
struct caller {
	long n;
	int listener; /* or -errno */
	int64_t ns;
	bool work;
	char name[NAME_MAX_LEN + 1];
};

static int filter_install(void)
{
	struct sock_filter prog[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sethostname, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog fprog = { .len = sizeof(prog) / sizeof(prog[0]), .filter = prog };
	unsigned long flags =
		SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			     &fprog);
	return fd < 0 ? -errno : (int)fd;
}

/* sethostname for the caller: 0 or -errno, as the answer takes it. */
static int do_call(int listener, const struct seccomp_notif *req)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, (int)req->pid };
	struct __user_cap_data_struct caps[2];
	char name[NAME_MAX_LEN];
	struct iovec local = { name, req->data.args[1] };
	struct iovec remote = { (void *)req->data.args[0], req->data.args[1] };
	uint64_t id = req->id;

	if (syscall(SYS_capget, &head, caps) < 0)
		return -errno;
	if (!(caps[0].effective >> CAP_SYS_ADMIN & 1))
		return -EPERM;
	if (remote.iov_len > sizeof(name))
		return -EINVAL;
	if (process_vm_readv((pid_t)req->pid, &local, 1, &remote, 1, 0) != (ssize_t)local.iov_len)
		return -EFAULT;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0)
		return -errno;
	return sethostname(name, local.iov_len) < 0 ? -errno : 0;
}

/* Answers everything until the last call, with 0 or by doing it; -errno if the listener breaks or
 * a call cannot be done. */
static int supervise(int listener, bool work)
{
	struct seccomp_notif req;
	struct seccomp_notif_resp resp;

	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	do {
		memset(&req, 0, sizeof(req));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req) < 0)
			return -errno;
		memset(&resp, 0, sizeof(resp));
		resp.id = req.id;
		if (work && req.data.args[0] != LAST_CALL) {
			resp.error = do_call(listener, &req);
			if (resp.error)
				return resp.error;
		}
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
			return -errno;
	} while (req.data.args[0] != LAST_CALL);
	return 0;
}

static void make_calls(struct caller *c, int ready)
{
	const char *name = c->work ? c->name : NULL;
	size_t len = name ? strlen(name) : 0;
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	c->listener = filter_install();
	if (write(ready, &byte, 1) != 1 || c->listener < 0)
		_exit(1);
	syscall(SYS_sethostname, name, len);
	c->ns = TIMED(c->n, syscall(SYS_sethostname, name, len));
	syscall(SYS_sethostname, LAST_CALL, 0);
	_exit(0);
}

static int64_t measure(long n, bool work)
{
	struct caller *c =
		mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2], ret;
	int64_t ns;
	char byte;
	long pid;

	if (c == MAP_FAILED || pipe(ready) < 0)
		return -errno;
	c->n = n;
	c->work = work;
	gethostname(c->name, sizeof(c->name) - 1);
	/* Sharing the fd table saves passing the listener over a socket. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		return -errno;
	if (pid == 0)
		make_calls(c, ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return -EPIPE;
	ret = c->listener < 0 ? c->listener : supervise(c->listener, work);
	if (ret < 0)
		kill((pid_t)pid, SIGKILL);
	waitpid((pid_t)pid, NULL, 0);
	if (c->listener >= 0)
		close(c->listener);
	close(ready[0]);
	close(ready[1]);
	ns = c->ns;
	munmap(c, sizeof(*c));
	return ret < 0 ? ret : ns;
}

int64_t run_notify(long n)
{
	return measure(n, false);
}

/* The name that is set is not the host's. */
int setup_notify_work(void)
{
	int own_user = geteuid() ? CLONE_NEWUSER : 0;

	return unshare(CLONE_NEWUTS | own_user) < 0 ? -errno : 0;
}

int64_t run_notify_work(long n)
{
	return measure(n, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids_make.c - new directories, links, nodes and sockets of guest users
 *
 * What guest root makes is root's without a record: the host makes it. For another
 * user, and in a directory that gives its group on, the guest kernel makes it, in the directory that it found, and writes down
 * the owner before the call returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kernel/cleanup.h"
#include "kernel/ids/guestids.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

void ids_new_owner(const struct idwalk *w, const struct idcred *cred, mode_t mode,
		   struct idowner *ret)
{
	bool inherits = w->dir_own.bits & S_ISGID;

	*ret = (struct idowner){
		.uid = cred->uid[ID_FS],
		.gid = inherits ? w->dir_own.gid : cred->gid[ID_FS],
		.bits = mode & IDOWNER_BITS,
	};
	if (S_ISDIR(mode) && inherits)
		ret->bits |= S_ISGID;
	/* inode(7): not of a group that one is not in */
	if (!S_ISDIR(mode) && !idcred_in_group(cred, ret->gid) && !idcred_capable(cred, CAP_FSETID))
		ret->bits &= ~(uint32_t)S_ISGID;
}

/* The new name in the directory gets its mode and owner. */
static int own_new(struct kernel *k, const struct idwalk *w, const struct idcred *cred, mode_t mode)
{
	cleanup_fd int fd = host_openat(w->dir, w->name, O_PATH | O_NOFOLLOW, 0);
	struct idowner own;
	struct stat st;
	char link[32];
	int err;

	if (fd < 0)
		return fd;
	err = host_result(fstat(fd, &st));
	if (err == 0 && !S_ISLNK(mode)) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		err = host_result(chmod(link, mode & 01777));
	}
	ids_new_owner(w, cred, mode, &own);
	return err < 0 ? err : idowner_set(k->ids->owners, fd, &st, &own);
}

/* What is made: by its type, with a host call in the directory found. */
struct making {
	mode_t mode;		/* type and permissions; the umask is taken off */
	const char *target;	/* of a link */
	int sock;		/* to be bound */
};

/* A socket's address is its name in the directory where we are: getsockname(2) shows it
 * so. Each thread of the door has a directory of its own for that. */
static int bind_in(int dir, const char *name, int sock)
{
	static __thread bool alone;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int err = alone ? 0 : host_result(unshare(CLONE_FS));

	if (err < 0)
		return err;
	alone = true;
	if (strlen(name) >= sizeof(a.sun_path))
		return -EINVAL;
	memcpy(a.sun_path, name, strlen(name) + 1);
	err = host_result(fchdir(dir));
	if (err == 0)
		err = host_result(bind(sock, (struct sockaddr *)&a,
				       offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1));
	host_result(chdir("/"));
	return err;
}

static int make_node(const struct idwalk *w, const struct making *m)
{
	switch (m->mode & S_IFMT) {
	case S_IFDIR:
		return host_result(mkdirat(w->dir, w->name, 0700));
	case S_IFLNK:
		return host_result(symlinkat(m->target, w->dir, w->name));
	case S_IFSOCK:
		if (m->sock >= 0)
			return bind_in(w->dir, w->name, m->sock);
		/* fall through */
	default:
		return host_result(mknodat(w->dir, w->name, (m->mode & S_IFMT) | 0600, 0));
	}
}

static long make(struct kernel *k, struct call *c, int dirfd, const char *path,
		 const struct idcred *cred, struct making *m)
{
	struct idwalk w;
	int err = idwalk_open(k, c, dirfd, path, IDWALK_LAST, cred, &w);

	if (err == 0 && (w.fd >= 0 || w.dir < 0))
		err = m->sock >= 0 ? -EADDRINUSE : -EEXIST;
	if (err == 0 && w.slash && !S_ISDIR(m->mode))
		err = -ENOENT;
	/* What root makes is root's without a record, if the directory has no say in it. */
	if (err == 0 && idcred_is_initial(c->tid) && !(w.dir_own.bits & S_ISGID))
		err = 1;
	if (err == 0)
		err = idwalk_may_add(&w, cred);
	if (err == 0 && !S_ISLNK(m->mode))
		m->mode &= ~guestids_umask(c);
	if (err == 0 && !call_valid(c))
		err = -ESRCH;
	if (err == 0)
		err = make_node(&w, m);
	if (err == 0)
		err = own_new(k, &w, cred, m->mode);
	idwalk_close(&w);
	return err;
}

/* A call that makes something of one path: @dirfd_arg -1 for the working directory. */
static long make_by(struct kernel *k, struct call *c, int dirfd_arg, int path_arg,
		    struct making *m)
{
	cleanup_free char *path = malloc(PATH_MAX);
	struct idcred cred;
	long ret;

	ret = path ? arg_string_in(c, path_arg, path, PATH_MAX) : -ENOMEM;
	if (ret >= 0)
		ret = guestids_caller(k, c, &cred);
	if (ret < 0)
		return ret;
	ret = make(k, c, dirfd_arg < 0 ? AT_FDCWD : arg_int(c, dirfd_arg), path, &cred, m);
	if (S_ISDIR(m->mode) || S_ISLNK(m->mode))
		idreach_forget(&k->ids->reach);
	/* Root may try anything: the host knows best why it fails. */
	return ret != 0 && idcred_is_initial(c->tid) ? ids_continue(c) : ret;
}

long ids_mkdir(struct kernel *k, struct call *c)
{
	struct making m = { .mode = S_IFDIR | (arg_u32(c, 1) & 01777), .sock = -1 };

	return make_by(k, c, -1, 0, &m);
}

long ids_mkdirat(struct kernel *k, struct call *c)
{
	struct making m = { .mode = S_IFDIR | (arg_u32(c, 2) & 01777), .sock = -1 };

	return make_by(k, c, 0, 1, &m);
}

static long make_link(struct kernel *k, struct call *c, int dirfd_arg, int path_arg)
{
	cleanup_free char *target = NULL;
	struct making m = { .mode = S_IFLNK | 0777, .sock = -1 };
	ssize_t n;

	m.target = target = malloc(PATH_MAX);
	n = target ? arg_string_in(c, 0, target, PATH_MAX) : -ENOMEM;
	return n < 0 ? n : make_by(k, c, dirfd_arg, path_arg, &m);
}

long ids_symlink(struct kernel *k, struct call *c)
{
	return make_link(k, c, -1, 1);
}

long ids_symlinkat(struct kernel *k, struct call *c)
{
	return make_link(k, c, 1, 2);
}

static long make_special(struct kernel *k, struct call *c, int dirfd_arg, uint32_t mode,
			 uint64_t dev, long (*devices)(struct kernel *k, struct call *c))
{
	struct making m = { .mode = mode & (S_IFMT | 07777), .sock = -1 };

	if (!(mode & S_IFMT))
		m.mode |= S_IFREG;
	if (S_ISBLK(m.mode) || S_ISCHR(m.mode))
		return devices(k, c);
	if (S_ISDIR(m.mode) || S_ISLNK(m.mode))
		return S_ISDIR(m.mode) ? -EPERM : -EINVAL;
	return make_by(k, c, dirfd_arg, dirfd_arg + 1, &m);
}

long ids_mknod(struct kernel *k, struct call *c)
{
	return make_special(k, c, -1, arg_u32(c, 1), arg_u32(c, 2), sys_mknod);
}

long ids_mknodat(struct kernel *k, struct call *c)
{
	return make_special(k, c, 0, arg_u32(c, 2), arg_u32(c, 3), sys_mknodat);
}

/* The caller's socket, as a descriptor of ours. */
static int take_socket(const struct call *c)
{
	char path[64], text[8192], *line;
	cleanup_fd int pidfd = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", c->tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	line = strstr(text, "\nTgid:");
	pidfd = host_pidfd_open(line ? atoi(line + strlen("\nTgid:")) : c->tid, 0);
	return pidfd < 0 ? pidfd : host_pidfd_getfd(pidfd, arg_int(c, 0));
}

/* From which port on anybody may bind, ip(7): of the guest's network namespace, ours. */
static unsigned first_free_port(void)
{
	char text[16];

	if (host_read_file(AT_FDCWD, "/proc/sys/net/ipv4/ip_unprivileged_port_start", text,
			   sizeof(text)) <= 0)
		return IPPORT_RESERVED;
	return strtoul(text, NULL, 10);
}

/* To the host, all users of the guest have the rights of its root. */
static long bind_port(struct call *c, unsigned port, const struct idcred *cred)
{
	cleanup_fd int sock = -1;
	socklen_t len = sizeof(int);
	int protocol = 0;

	if (!port || idcred_capable(cred, CAP_NET_BIND_SERVICE) || port >= first_free_port())
		return ids_continue(c);
	sock = take_socket(c);
	if (sock < 0)
		return sock;
	/* Those of pings are identifiers, icmp(7). */
	if (host_result(getsockopt(sock, SOL_SOCKET, SO_PROTOCOL, &protocol, &len)) == 0 &&
	    (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6))
		return ids_continue(c);
	return -EACCES;
}

/* Names and low ports; the rest is the host's. */
long ids_bind(struct kernel *k, struct call *c)
{
	uint32_t len = arg_u32(c, 2);
	struct making m = { .mode = S_IFSOCK | 0777 };
	union {
		struct sockaddr_un un;
		struct sockaddr_in in;	/* the port of in6 is at the same place */
	} a = {};
	cleanup_fd int sock = -1;
	struct idcred cred;
	long ret;

	if (idcred_is_initial(c->tid) || len <= offsetof(struct sockaddr_un, sun_path) ||
	    len > sizeof(a))
		return ids_continue(c);
	ret = arg_copy_in(c, 1, &a, len);
	if (ret < 0)
		return ret;
	ret = guestids_caller(k, c, &cred);
	if (ret < 0)
		return ret;
	if (len >= sizeof(a.in) && (a.in.sin_family == AF_INET || a.in.sin_family == AF_INET6))
		return bind_port(c, ntohs(a.in.sin_port), &cred);
	if (a.un.sun_family != AF_UNIX || a.un.sun_path[0] == '\0')
		return ids_continue(c);
	if (memchr(a.un.sun_path, '\0', sizeof(a.un.sun_path)) == NULL)
		return -EINVAL;
	m.sock = sock = take_socket(c);
	if (sock < 0)
		return sock;
	ret = make(k, c, AT_FDCWD, a.un.sun_path, &cred, &m);
	return ret == 1 ? ids_continue(c) : ret;
}

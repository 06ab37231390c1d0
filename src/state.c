/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - the directories of running guests
 *
 * Making and sweeping are done under one lock of the base directory, so that
 * no sweep meets a directory that is just being made.
 */
#include "state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "ns/cgroup.h"
#include "passthrough/hostcall.h"

static void base_path(char *buf, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uid_t uid = getuid();

	/* Root of a user namespace is not root of /run. */
	if (uid == 0 && access("/run", W_OK) == 0)
		snprintf(buf, size, "/run/weir");
	else if (runtime && runtime[0] == '/')
		snprintf(buf, size, "%s/weir", runtime);
	else
		snprintf(buf, size, "/tmp/weir-%u", uid);
}

/* A directory of ours that nobody else can write to. */
static int open_base(char *path, size_t size, bool create)
{
	cleanup_fd int fd = -1;
	struct stat st;
	int ret;

	base_path(path, size);
	if (create) {
		ret = host_result(mkdir(path, 0700));
		if (ret < 0 && ret != -EEXIST)
			return ret;
	}
	fd = host_open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077))
		return -EPERM;
	return take_fd(&fd);
}

/* A lock of a directory itself, on a description of its own. */
static int lock_directory(int dir)
{
	int fd = host_openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

bool state_valid_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= 64 || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	return true;
}

static void remove_files(int base, int dir, const char *name)
{
	static const char *const files[] = { "control", "mconsole", "cgroup", "cpus" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(dir, files[i], 0);
	unlinkat(base, name, AT_REMOVEDIR);
}

static void destroy_cgroup(int dir)
{
	char text[4096];

	if (host_read_file(dir, "cgroup", text, sizeof(text)) > 0)
		cgroup_destroy_described(text);
}

void state_end_groups(const struct state *s)
{
	destroy_cgroup(s->dir);
}

/* base lock held. True if the guest was dead and is gone now. */
static bool sweep(int base, const char *name)
{
	cleanup_fd int dir = host_openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return false;
	destroy_cgroup(dir);
	remove_files(base, dir, name);
	return true;
}

static int choose_name(int base, char *name, size_t size)
{
	for (int i = 1; i < 100000; i++) {
		snprintf(name, size, "guest%d", i);
		if (host_result(mkdirat(base, name, 0700)) == 0)
			return 0;
		if (sweep(base, name))
			i--;
	}
	return -EEXIST;
}

static int claim_name(int base, const char *name)
{
	int ret = host_result(mkdirat(base, name, 0700));

	if (ret == -EEXIST && sweep(base, name))
		ret = host_result(mkdirat(base, name, 0700));
	return ret;
}

/* A path to a socket of any directory, short enough for sun_path. */
static struct sockaddr_un control_address(int dir)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/control", dir);
	return a;
}

static int listen_control(int dir)
{
	cleanup_fd int fd = host_result(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	struct sockaddr_un a = control_address(dir);
	int ret;

	if (fd < 0)
		return fd;
	ret = host_result(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	if (ret == 0)
		ret = host_result(listen(fd, 16));
	return ret < 0 ? ret : take_fd(&fd);
}

static int fill(int base, struct state *s)
{
	s->dir = host_openat(base, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (s->dir < 0)
		return s->dir;
	s->lock = lock_directory(s->dir);
	if (s->lock < 0)
		return s->lock;
	s->control = listen_control(s->dir);
	return MIN(s->control, 0);
}

int state_create(const char *name, struct state *ret, char *err, size_t errsize)
{
	struct state s = { .dir = -1, .lock = -1, .control = -1 };
	char path[2048];
	cleanup_fd int base = open_base(path, sizeof(path), true);
	cleanup_fd int lock = base < 0 ? -1 : lock_directory(base);
	int r = base < 0 ? base : MIN(lock, 0);

	if (r == 0) {
		snprintf(s.name, sizeof(s.name), "%s", name ? name : "");
		r = name ? claim_name(base, name) : choose_name(base, s.name, sizeof(s.name));
	}
	if (r == 0) {
		snprintf(s.path, sizeof(s.path), "%s/%s", path, s.name);
		r = fill(base, &s);
		if (r < 0)
			state_remove(&s);
	}
	if (r == -EEXIST)
		snprintf(err, errsize, "guest %s: already running; choose another name with -n",
			 s.name);
	else if (r == -EPERM && base < 0)
		snprintf(err, errsize, "%s: not a directory of yours with mode 0700", path);
	else if (r < 0)
		snprintf(err, errsize, "%s: %s; XDG_RUNTIME_DIR must name a directory you can "
				       "write to", path, strerror(-r));
	if (r == 0)
		*ret = s;
	return r;
}

void state_remove(struct state *s)
{
	char path[2048];
	cleanup_fd int base = open_base(path, sizeof(path), false);
	cleanup_fd int lock = base < 0 ? -1 : lock_directory(base);

	if (base >= 0 && s->dir >= 0) {
		destroy_cgroup(s->dir);
		remove_files(base, s->dir, s->name);
	} else if (base >= 0) {
		unlinkat(base, s->name, AT_REMOVEDIR);
	}
	cleanup_fd_p(&s->control);
	cleanup_fd_p(&s->lock);
	cleanup_fd_p(&s->dir);
	s->control = s->lock = s->dir = -1;
}

static int connect_to(const char *name)
{
	char path[2048];
	cleanup_fd int base = open_base(path, sizeof(path), false);
	cleanup_fd int dir = -1, fd = -1;
	struct sockaddr_un a;
	int ret;

	if (base < 0)
		return base;
	dir = host_openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0)
		return dir;
	fd = host_result(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return fd;
	a = control_address(dir);
	ret = host_result(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	if (ret == -ECONNREFUSED)
		ret = -ENOENT;
	return ret < 0 ? ret : take_fd(&fd);
}

int state_connect(const char *name)
{
	return state_valid_name(name) ? connect_to(name) : -ENOENT;
}

int state_connect_broker(void)
{
	return connect_to(STATE_BROKER);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **state_list(void)
{
	char path[2048];
	cleanup_fd int base = open_base(path, sizeof(path), false);
	cleanup_fd int lock = base < 0 ? -1 : lock_directory(base);
	char **list = calloc(1, sizeof(*list));
	size_t n = 0;
	DIR *d = base < 0 ? NULL : fdopendir(dup(base));

	for (struct dirent *e = d ? readdir(d) : NULL; e && list; e = readdir(d)) {
		char **more;

		if (streq(e->d_name, STATE_BROKER))
			sweep(base, e->d_name);
		if (!state_valid_name(e->d_name) || sweep(base, e->d_name))
			continue;
		more = realloc(list, (n + 2) * sizeof(*list));
		if (!more)
			break;
		list = more;
		list[n++] = strdup(e->d_name);
		list[n] = NULL;
	}
	if (d)
		closedir(d);
	if (n)
		qsort(list, n, sizeof(*list), by_name);
	return list;
}

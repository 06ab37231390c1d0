/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posture_proc.c - tasks, mounts and descriptors as the host's /proc has them
 *
 * Formats: proc_pid_status(5), proc_pid_mountinfo(5), proc_pid_fdinfo(5),
 * ioctl_ns(2). A guest chooses the names in them, never the numbers.
 */
#include "posture.h"

#include <dirent.h>
#include <errno.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define STATUS_BYTES 16384
#define NS_DEPTH 33		/* the host nests no deeper: pid_namespaces(7) */

const char *const capset_name[NUM_CAPSETS] = {
	"inheritable", "permitted", "effective", "bounding", "ambient",
};

/* ---- numbers ------------------------------------------------------------ */

int number_add(struct number_set *s, uint64_t v)
{
	if (number_in(s, v))
		return 0;
	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 64;
		uint64_t *more = realloc(s->v, size * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->v = more;
		s->size = size;
	}
	s->v[s->n++] = v;
	return 0;
}

bool number_in(const struct number_set *s, uint64_t v)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i] == v)
			return true;
	return false;
}

void number_free(struct number_set *s)
{
	free(s->v);
	*s = (struct number_set){};
}

int posture_list(const char *dir, struct number_set *ret)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return host_result(-1);
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
			r = number_add(ret, strtoull(e->d_name, NULL, 10));
	closedir(d);
	return r;
}

/* ---- a task ------------------------------------------------------------- */

/* The value of a line, NULL if there is none. The name of the program comes first
 * in the file, and the host escapes a newline in it. */
static const char *field(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? at + strlen(name) : NULL;
}

static int number_field(const char *status, const char *name)
{
	const char *at = field(status, name);

	return at ? atoi(at) : -1;
}

static uint64_t hex_field(const char *status, const char *name)
{
	const char *at = field(status, name);

	return at ? strtoull(at, NULL, 16) : UINT64_MAX;
}

/* The last of a line of numbers: the innermost namespace's. */
static pid_t innermost(const char *line)
{
	long last = 0;
	char *end;

	while (line && *line && *line != '\n') {
		long n = strtol(line, &end, 10);

		if (end == line)
			break;
		last = n;
		line = end + strspn(end, " \t");
	}
	return last;
}

static uint64_t ns_inode(pid_t pid, pid_t tid, enum ns_kind kind)
{
	char path[80];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/%s", pid, tid, ns_name(kind));
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

int posture_read_task(pid_t pid, pid_t tid, struct posture_task *ret)
{
	static const char *const sets[NUM_CAPSETS] = {
		"\nCapInh:", "\nCapPrm:", "\nCapEff:", "\nCapBnd:", "\nCapAmb:",
	};
	cleanup_free char *text = malloc(STATUS_BYTES);
	char path[64];
	ssize_t n;

	if (!text)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	n = host_read_file(AT_FDCWD, path, text, STATUS_BYTES);
	if (n < 0)
		return n;
	*ret = (struct posture_task){
		.pid = pid, .tid = tid,
		.ppid = number_field(text, "\nPPid:"),
		.guest_tid = innermost(field(text, "\nNSpid:")),
		.no_new_privs = number_field(text, "\nNoNewPrivs:"),
		.seccomp = number_field(text, "\nSeccomp:"),
		.filters = number_field(text, "\nSeccomp_filters:"),
	};
	sscanf(text, "Name:\t%15[^\n]", ret->comm);
	sscanf(field(text, "\nState:") ?: "", " %c", &ret->state);
	for (int i = 0; i < NUM_CAPSETS; i++)
		ret->caps[i] = hex_field(text, sets[i]);
	for (int i = 0; i < NUM_NS; i++)
		ret->ns[i] = ns_inode(pid, tid, i);
	return 0;
}

bool posture_ns_below(const char *path, uint64_t inode)
{
	cleanup_fd int fd = host_open(path, O_RDONLY, 0);

	for (int i = 0; fd >= 0 && i < NS_DEPTH; i++) {
		struct stat st;
		int parent;

		if (fstat(fd, &st) < 0)
			return false;
		if (st.st_ino == inode)
			return true;
		parent = host_result(ioctl(fd, NS_GET_PARENT));
		close(fd);
		fd = MAX(parent, -1);
	}
	return false;
}

/* ---- mounts ------------------------------------------------------------- */

/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS [shared:N] [master:N] ... - TYPE ..." */
static int mount_line(const char *line, struct number_set *ids, struct number_set *peers,
		      bool *ret_root_ro)
{
	char point[4096], options[256];
	unsigned long long id;
	const char *end = strstr(line, " - ");
	int at = 0, ret;

	if (sscanf(line, "%llu %*u %*s %*s %4095s %255s%n", &id, point, options, &at) != 3 || !end)
		return 0;
	ret = number_add(ids, id);
	if (ret_root_ro && streq(point, "/"))
		*ret_root_ro = str_starts(options, "ro") && (!options[2] || options[2] == ',');
	for (const char *p = line + at; ret == 0 && peers && p < end; p++) {
		unsigned long long group;

		if (sscanf(p, " shared:%llu", &group) == 1 || sscanf(p, " master:%llu", &group) == 1)
			ret = number_add(peers, group);
		p += strcspn(p + 1, " ");
	}
	return ret;
}

int posture_mounts(pid_t pid, struct number_set *ids, struct number_set *peers, bool *ret_root_ro)
{
	cleanup_free char *line = NULL;
	char path[64];
	size_t size = 0;
	int ret = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	f = fopen(path, "re");
	if (!f)
		return host_result(-1);
	while (ret == 0 && getline(&line, &size, f) > 0)
		ret = mount_line(line, ids, peers, ret_root_ro);
	fclose(f);
	return ret;
}

/* ---- files -------------------------------------------------------------- */

static void read_fdinfo(const char *path, struct posture_file *ret)
{
	char text[4096], name[128], *at;
	int dir = strlen(path) - strlen(strrchr(path, '/'));

	/* Of .../fd/N: .../fdinfo/N */
	snprintf(name, sizeof(name), "%.*sinfo%s", dir, path, path + dir);
	if (host_read_file(AT_FDCWD, name, text, sizeof(text)) <= 0)
		return;
	at = strstr(text, "mnt_id:");
	if (at)
		ret->mount = strtoll(at + 7, NULL, 10);
	at = strstr(text, "\nPid:");
	if (at && (str_starts(ret->link, "anon_inode:[pidfd]") || str_starts(ret->link, "pidfd:")))
		ret->pidfd = strtoll(at + 5, NULL, 10);
}

int posture_file(const char *path, struct posture_file *ret)
{
	cleanup_fd int fd = -1;
	struct stat st;
	ssize_t n;

	*ret = (struct posture_file){ .mount = -1 };
	n = host_result(readlink(path, ret->link, sizeof(ret->link) - 1));
	if (n < 0)
		return n;
	n = host_result(stat(path, &st));
	if (n < 0)
		return n;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	/* A descriptor has its own words; another link is opened for them. */
	if (strstr(path, "/fd/")) {
		read_fdinfo(path, ret);
	} else {
		char own[64];

		fd = host_open(path, O_PATH, 0);
		snprintf(own, sizeof(own), "/proc/self/fd/%d", fd);
		if (fd >= 0)
			read_fdinfo(own, ret);
	}
	return 0;
}

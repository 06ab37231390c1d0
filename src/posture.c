/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posture.c - what a guest is, beside what it should be
 *
 * A process belongs to the guest if its pid namespace is the guest's or lies
 * below it, or if it descends from the guest's init. Each of its threads is
 * judged by the table checks[]; weir's own processes are judged by less.
 */
#include "posture_impl.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define EXIT_LOOKS 50		/* at a task that ends, until it has */
#define EXIT_LOOK_US 10000

/* ---- rights ------------------------------------------------------------ */

static void check_caps(struct posture *p, const struct posture_task *t)
{
	/* In a user namespace of the guest's own making they reach no further. */
	if (t->ns[NS_USER] == p->first.ns[NS_USER])
		posture_judge_caps(p, t, p->caps);
}

static void check_privs(struct posture *p, const struct posture_task *t)
{
	if (posture_true(p, "no_new_privs") && t->no_new_privs == 0)
		posture_found(p, t, "no_new_privs", "not set, and the policy says no_new_privs = yes");
}

static void check_filters(struct posture *p, const struct posture_task *t)
{
	posture_judge_filters(p, t, 1);
}

/* ---- namespaces --------------------------------------------------------- */

/* A namespace of the guest's own making belongs to its user namespace. */
static bool is_nested(const struct posture *p, const struct posture_task *t, enum ns_kind kind)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/ns/%s", t->pid, t->tid, ns_name(kind));
	if (kind == NS_PID)
		return posture_ns_below(path, p->first.ns[NS_PID]);
	if (kind == NS_USER)
		return posture_ns_below(path, p->first.ns[NS_USER]);
	return t->ns[kind] != p->us.ns[kind];
}

/* A task that ends has given back its namespaces and files. */
static bool has_ended(const struct posture_task *t)
{
	struct posture_task now;

	return posture_read_task(t->pid, t->tid, &now) < 0 || now.state == 'Z' || now.state == 'X';
}

static void check_namespaces(struct posture *p, const struct posture_task *t)
{
	json_t *all = json_object_get(p->want, "namespaces");

	for (int i = 0; i < NUM_NS; i++) {
		bool nested = json_is_true(json_object_get(json_array_get(all, i), "nested"));
		const char *mode = posture_ns_mode(p, i);
		uint64_t want = streq(mode, "host") ? p->us.ns[i] : p->first.ns[i];

		/* What the host has no such kind of is 0 for all. */
		if (t->ns[i] == want || (!t->ns[i] && has_ended(t)))
			continue;
		if (!t->ns[i])
			posture_found(p, t, "namespace", "%s: cannot be read", ns_name(i));
		else if (!nested || !is_nested(p, t, i))
			posture_found(p, t, "namespace", "%s: %s, and the policy says %s", ns_name(i),
			      t->ns[i] == p->us.ns[i] ? "the host's" : "not the guest's",
			      mode);
	}
}

/* Init itself: new means not the host's. */
static void check_init(struct posture *p)
{
	for (int i = 0; i < NUM_NS; i++)
		if (streq(posture_ns_mode(p, i), "new") && p->first.ns[i] == p->us.ns[i])
			posture_found(p, &p->first, "namespace",
				      "%s: the host's, and the policy says new", ns_name(i));
}

static bool of_guest(const struct posture *p, const struct posture_task *t)
{
	char path[64];

	if (t->pid == p->init || t->ns[NS_PID] == p->first.ns[NS_PID] ||
	    number_in(&p->guest, t->ppid))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", t->pid);
	return t->ns[NS_PID] && t->ns[NS_PID] != p->us.ns[NS_PID] &&
	       posture_ns_below(path, p->first.ns[NS_PID]);
}

/* ---- files -------------------------------------------------------------- */

static bool was_given(const struct posture *p, const struct posture_file *f)
{
	json_t *all = json_object_get(p->want, "given");

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *one = json_array_get(all, i);

		if ((uint64_t)json_integer_value(json_array_get(one, 0)) == f->dev &&
		    (uint64_t)json_integer_value(json_array_get(one, 1)) == f->ino)
			return true;
	}
	return false;
}

/* What has no place in a tree of files, by how the host names it. */
static bool judge_nameless(struct posture *p, const struct posture_task *t, int fd,
			   const struct posture_file *f)
{
	unsigned long long ino;
	struct posture_task held;

	if (sscanf(f->link, "socket:[%llu]", &ino) == 1) {
		if (number_in(&p->sockets, ino))
			posture_found(p, t, "descriptor", "%d: %s is a socket of weir's", fd, f->link);
		return true;
	}
	if (str_starts(f->link, "anon_inode:seccomp notify")) {
		posture_found(p, t, "descriptor", "%d: a listener of seccomp", fd);
		return true;
	}
	if (f->pidfd) {
		/* What the guest has started since is no stranger. */
		if (f->pidfd > 0 && !number_in(&p->guest, f->pidfd) &&
		    posture_read_task(f->pidfd, f->pidfd, &held) == 0 && !of_guest(p, &held))
			posture_found(p, t, "descriptor", "%d: holds process %lld, which is not the guest's",
			      fd, (long long)f->pidfd);
		return true;
	}
	for (int i = 0; i < NUM_NS; i++) {
		char link[64];

		snprintf(link, sizeof(link), "%s:[%llu]", ns_name(i),
			 (unsigned long long)p->us.ns[i]);
		if (streq(f->link, link) && p->first.ns[i] != p->us.ns[i])
			posture_found(p, t, "descriptor", "%d: %s is a namespace of the host's", fd,
			      f->link);
	}
	return f->link[0] != '/' || str_starts(f->link, "/memfd:");
}

static void judge_descriptor(struct posture *p, const struct posture_task *t, int fd,
			     const char *path)
{
	struct posture_file f;

	if (posture_file(path, &f) < 0 || was_given(p, &f) || judge_nameless(p, t, fd, &f))
		return;
	if (f.mount >= 0 && !number_in(&p->mounts, f.mount))
		posture_found(p, t, "descriptor", "%d: %s lies beneath no mount of the guest's", fd, f.link);
}

/* Threads that share a table are looked at once. */
static bool shares_files(const struct posture_task *t)
{
	return t->tid != t->pid && host_call(SYS_kcmp, t->pid, t->tid, 2 /* KCMP_FILES */, 0, 0) == 0;
}

/* On its way out a task has no memory any more: what /proc has of it is host root's
 * then, and may not be read by who may read all else. That is soon over. */
static int list_descriptors(const struct posture_task *t, struct number_set *ret_fds)
{
	char path[80];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd", t->pid, t->tid);
	for (int i = 0; i < EXIT_LOOKS; i++) {
		ret = posture_list(path, ret_fds);
		if (ret != -EACCES || has_ended(t))
			break;
		usleep(EXIT_LOOK_US);
	}
	return ret;
}

static void check_descriptors(struct posture *p, const struct posture_task *t)
{
	struct number_set fds = {};
	char path[80];
	int ret;

	if (shares_files(t))
		return;
	ret = list_descriptors(t, &fds);
	if (ret < 0 && !has_ended(t))
		posture_found(p, t, "descriptor", "cannot be listed: %s", strerror(-ret));
	for (size_t i = 0; i < fds.n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%d", t->pid, t->tid,
			 (int)fds.v[i]);
		judge_descriptor(p, t, fds.v[i], path);
	}
	number_free(&fds);
}

static void check_places(struct posture *p, const struct posture_task *t)
{
	static const char *const places[] = { "cwd", "root" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct posture_file f;
		char path[80];

		snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", t->pid, t->tid, places[i]);
		if (posture_file(path, &f) == 0 && !number_in(&p->mounts, f.mount))
			posture_found(p, t, places[i], "lies beneath no mount of the guest's");
	}
}

static void (*const checks[])(struct posture *p, const struct posture_task *t) = {
	check_caps, check_privs, check_filters, check_namespaces, check_descriptors, check_places,
};

/* ---- mounts ------------------------------------------------------------- */

static void check_mounts(struct posture *p)
{
	bool ro = false;

	posture_mounts(p->init, &p->mounts, &p->peers, &ro);
	if (posture_true(p, "read_only") && !ro)
		posture_found(p, &p->first, "mount", "/ can be written to, and the policy says writable = no");
	for (size_t i = 0; i < p->peers.n; i++)
		if (number_in(&p->host_peers, p->peers.v[i]))
			posture_found(p, &p->first, "mount", "one propagates to or from the host: peer group %llu",
			      (unsigned long long)p->peers.v[i]);
}

/* Of what the guest's tasks have unshared. */
static void add_nested_mounts(struct posture *p)
{
	for (size_t i = 0; i < p->guest.n; i++) {
		struct posture_task t;

		if (posture_read_task(p->guest.v[i], p->guest.v[i], &t) == 0 && t.ns[NS_MNT] &&
		    t.ns[NS_MNT] != p->first.ns[NS_MNT] && t.ns[NS_MNT] != p->us.ns[NS_MNT])
			posture_mounts(t.pid, &p->mounts, &p->peers, NULL);
	}
}

/* ---- who ---------------------------------------------------------------- */

/* In the guest's user namespace but not in its pid namespace there is the agent,
 * and what it forks. */
static void judge_stranger(struct posture *p, const struct posture_task *t)
{
	if (t->ns[NS_USER] == p->first.ns[NS_USER] && t->ns[NS_USER] != p->us.ns[NS_USER] &&
	    t->pid != p->agent && t->ppid != p->agent && t->ppid != p->kernel &&
	    t->pid != p->kernel && !of_guest(p, t))
		posture_found(p, t, "stranger", "is in the guest's user namespace, but not one of its processes");
}

/* Parents before their children, mostly: by number. What is new by the second
 * walk is the child of one that was met. */
static int find_guest(struct posture *p)
{
	size_t before;

	do {
		struct number_set all = {};
		int ret = posture_list("/proc", &all);

		before = p->guest.n;
		for (size_t i = 0; ret == 0 && i < all.n; i++) {
			struct posture_task t;

			if (number_in(&p->guest, all.v[i]) ||
			    posture_read_task(all.v[i], all.v[i], &t) < 0)
				continue;
			if (of_guest(p, &t))
				ret = number_add(&p->guest, t.pid);
		}
		number_free(&all);
		if (ret < 0)
			return ret;
	} while (p->guest.n != before);
	return 0;
}

static int judge_strangers(struct posture *p)
{
	struct number_set all = {};
	struct posture_task t;
	int ret = posture_list("/proc", &all);

	for (size_t i = 0; i < all.n; i++)
		if (!number_in(&p->guest, all.v[i]) && posture_read_task(all.v[i], all.v[i], &t) == 0)
			judge_stranger(p, &t);
	number_free(&all);
	return ret;
}

static void judge_guest(struct posture *p)
{
	for (size_t i = 0; i < p->guest.n; i++) {
		struct number_set threads = {};
		struct posture_task t;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/task", (int)p->guest.v[i]);
		posture_list(path, &threads);
		for (size_t k = 0; k < threads.n; k++) {
			if (posture_read_task(p->guest.v[i], threads.v[k], &t) < 0 ||
			    t.state == 'Z' || t.state == 'X')
				continue;
			p->tasks++;
			for (size_t c = 0; c < ARRAY_SIZE(checks); c++)
				checks[c](p, &t);
		}
		number_free(&threads);
	}
}

/* ---- all of it ---------------------------------------------------------- */

static int join(int userns, const struct posture_task *us)
{
	struct stat st;

	if (userns < 0 || fstat(userns, &st) < 0)
		return -EINVAL;
	return st.st_ino == us->ns[NS_USER] ? 0 : host_call(SYS_setns, userns, CLONE_NEWUSER);
}

static int look(struct posture *p, int userns)
{
	struct number_set ignored = {};
	int ret = posture_read_task(getpid(), getpid(), &p->us);

	if (ret == 0)
		ret = posture_mounts(getpid(), &ignored, &p->host_peers, NULL);
	number_free(&ignored);
	if (ret == 0)
		ret = join(userns, &p->us);
	if (ret == 0)
		ret = posture_read_task(p->init, p->init, &p->first);
	if (ret == 0)
		ret = find_guest(p);
	if (ret < 0)
		return ret;
	check_init(p);
	check_mounts(p);
	add_nested_mounts(p);
	judge_guest(p);
	posture_judge_own(p);
	return judge_strangers(p);
}

int posture_check(json_t *want, int userns, json_t **ret)
{
	struct posture p = { .want = want, .findings = json_array() };
	json_t *sockets = json_object_get(want, "sockets");
	int r = 0;

	p.init = posture_number(&p, "init");
	p.kernel = posture_number(&p, "kernel");
	p.agent = posture_number(&p, "agent");
	p.monitor = posture_number(&p, "monitor");
	p.caps = posture_caps(&p, "caps");
	for (size_t i = 0; r == 0 && i < json_array_size(sockets); i++)
		r = number_add(&p.sockets, json_integer_value(json_array_get(sockets, i)));
	if (r == 0)
		r = p.init ? look(&p, userns) : -ESRCH;
	if (r == 0)
		*ret = json_pack("{s:i, s:O}", "tasks", (int)p.tasks, "findings", p.findings);
	json_decref(p.findings);
	number_free(&p.guest);
	number_free(&p.mounts);
	number_free(&p.peers);
	number_free(&p.host_peers);
	number_free(&p.sockets);
	return r;
}

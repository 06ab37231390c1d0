/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.c - which ids a guest has
 *
 * For an ordinary user the kernel map is made of the caller's own id and the
 * ranges that /etc/subuid and /etc/subgid give; the guest map is the identity
 * over it, so an id has one number in the guest kernel and in the guest. Ids
 * that the policy lists by hand are host ids and are turned into ids of the
 * kernel map here.
 *
 * Root gives each guest 65536 ids that are nobody else's: from root's own line
 * in /etc/subuid, else picked by the guest's name from the part of the id
 * space where container managers pick theirs.
 */
#include "ns/ids.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "ns/feature.h"
#include "passthrough/hostcall.h"

/* systemd's range for containers: 8 blocks above the users, up to half the space */
#define AUTO_FIRST 524288u
#define AUTO_LAST 1879048191u

struct id_owner {
	const char *file; /* /etc/subuid */
	const char *what; /* "uid" */
	uid_t caller;
	uint32_t self; /* the caller's own id of this kind */
	char user[64];
};

int64_t ids_to_outer(const struct id_map *map, uint32_t inner)
{
	for (unsigned i = 0; i < map->n; i++)
		if (inner - map->e[i].inner < map->e[i].count && inner >= map->e[i].inner)
			return (int64_t)map->e[i].outer + (inner - map->e[i].inner);
	return -1;
}

int64_t ids_to_inner(const struct id_map *map, uint32_t outer)
{
	for (unsigned i = 0; i < map->n; i++)
		if (outer - map->e[i].outer < map->e[i].count && outer >= map->e[i].outer)
			return (int64_t)map->e[i].inner + (outer - map->e[i].outer);
	return -1;
}

/* Neighbours are not joined: the host wants each extent of a guest map within
 * one extent of the map outside. */
static int map_add(struct id_map *map, uint32_t inner, uint32_t outer, uint32_t count)
{
	if (map->n == ID_EXTENTS_MAX)
		return -E2BIG;
	map->e[map->n++] = (struct id_extent){ inner, outer, count };
	return 0;
}

static uint32_t map_total(const struct id_map *map)
{
	uint32_t total = 0;

	for (unsigned i = 0; i < map->n; i++)
		total += map->e[i].count;
	return total;
}

/* A decimal number up to @max that ends at @end; -1 if it is none. */
static int64_t parse_id(const char **text, char end, uint64_t max)
{
	const char *p = *text;
	uint64_t v = 0;

	if (*p < '0' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (*p - '0');
		if (v > max)
			return -1;
	}
	if (*p != end && !(end == ' ' && *p == '\t') && !(end == ' ' && *p == '\0'))
		return -1;
	while (*p && (*p == end || (end == ' ' && *p == '\t')))
		p++;
	*text = p;
	return v;
}

static bool extent_overlaps(const struct id_extent *a, const struct id_extent *b)
{
	return (a->inner < b->inner + b->count && b->inner < a->inner + a->count) ||
	       (a->outer < b->outer + b->count && b->outer < a->outer + a->count);
}

int ids_parse(const char *text, struct id_map *ret)
{
	struct id_map map = {};

	while (*text == ' ' || *text == '\t')
		text++;
	while (*text) {
		int64_t inner = parse_id(&text, ' ', UINT32_MAX - 1);
		int64_t outer = inner < 0 ? -1 : parse_id(&text, ' ', UINT32_MAX - 1);
		int64_t count = outer < 0 ? -1 : parse_id(&text, ' ', UINT32_MAX);

		/* (uid_t)-1 is no id: a range may not reach it */
		if (count <= 0 || inner + count > UINT32_MAX || outer + count > UINT32_MAX)
			return -EINVAL;
		if (map.n == ID_EXTENTS_MAX)
			return -E2BIG;
		map.e[map.n] = (struct id_extent){ inner, outer, count };
		for (unsigned i = 0; i < map.n; i++)
			if (extent_overlaps(&map.e[i], &map.e[map.n]))
				return -EINVAL;
		map.n++;
	}
	if (!map.n)
		return -EINVAL;
	*ret = map;
	return 0;
}

/* The login name by the host's name services, in a program of its own: their
 * modules can neither be linked static nor are they as cheap as what we do. */
static void user_name_by_getent(uid_t uid, char *buf, size_t size)
{
	char number[16], *argv[] = { (char *)"getent", (char *)"passwd", number, NULL };

	snprintf(number, sizeof(number), "%u", uid);
	if (host_run_output(argv, buf, size) != 0)
		buf[0] = '\0';
	buf[strcspn(buf, ":")] = '\0';
}

static void user_name(uid_t uid, char *buf, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *pw = NULL;

	while (f && (pw = fgetpwent(f)) && pw->pw_uid != uid)
		;
	if (pw)
		snprintf(buf, size, "%s", pw->pw_name);
	else
		user_name_by_getent(uid, buf, size);
	if (f)
		fclose(f);
}

static bool subid_owner_matches(const struct id_owner *who, const char *line, size_t len)
{
	char number[16];

	if (who->user[0] && strlen(who->user) == len && strncmp(line, who->user, len) == 0)
		return true;
	snprintf(number, sizeof(number), "%u", who->caller);
	return strlen(number) == len && strncmp(line, number, len) == 0;
}

/* One line "user:start:count". Adds to @map behind what it has. */
static void subid_line(const struct id_owner *who, const char *line, unsigned nr,
		       struct id_map *map)
{
	const char *p = strchr(line, ':');
	struct id_extent e = { .inner = map_total(map) };
	int64_t start, count;

	if (line[0] == '#' || line[0] == '\0')
		return;
	if (!p) {
		log_warn("ids: %s:%u: ignored, not user:start:count", who->file, nr);
		return;
	}
	if (!subid_owner_matches(who, line, p - line))
		return;
	p++;
	start = parse_id(&p, ':', UINT32_MAX - 1);
	count = start < 0 ? -1 : parse_id(&p, '\0', UINT32_MAX);
	if (count <= 0 || start + count > UINT32_MAX ||
	    (uint64_t)e.inner + count > UINT32_MAX) {
		log_warn("ids: %s:%u: ignored, no range of ids", who->file, nr);
		return;
	}
	e.outer = start;
	e.count = count;
	for (unsigned i = 0; i < map->n; i++) {
		if (extent_overlaps(&map->e[i], &e)) {
			log_warn("ids: %s:%u: ignored, it overlaps an id the map has", who->file,
				 nr);
			return;
		}
	}
	if (map_add(map, e.inner, e.outer, e.count) < 0)
		log_warn("ids: %s:%u: ignored, more than %d ranges", who->file, nr,
			 ID_EXTENTS_MAX);
}

/* The caller's subordinate ids, behind what @map has already. An absent file
 * is no error: then there are none. */
static void subid_read(const struct id_owner *who, struct id_map *map)
{
	cleanup_free char *line = NULL;
	size_t size = 0;
	unsigned nr = 0;
	FILE *f;

	if (host_feature_masked("subuid"))
		return;
	f = fopen(who->file, "re");
	if (!f)
		return;
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		subid_line(who, line, ++nr, map);
	}
	fclose(f);
}

void ids_read_ranges(const char *file, const char *user, uid_t uid, struct id_map *map)
{
	struct id_owner who = { .file = file, .caller = uid };

	snprintf(who.user, sizeof(who.user), "%s", user);
	subid_read(&who, map);
}

static bool helper_present(const char *name)
{
	const char *path = getenv("PATH");
	char file[4096];

	if (host_feature_masked("newuidmap"))
		return false;
	if (!path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, name);
		if (n && host_result(access(file, X_OK)) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

/* FNV-1a: spreads names that differ in one character. */
static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; name && *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ (h >> 16);
}

bool ids_own_all(void)
{
	unsigned inner, outer, count;
	char buf[1024];

	if (host_read_file(AT_FDCWD, "/proc/self/uid_map", buf, sizeof(buf)) < 0 ||
	    sscanf(buf, "%u %u %u", &inner, &outer, &count) != 3)
		return true;
	return inner == 0 && count == UINT32_MAX;
}

/* The ids of the namespace weir itself was started in, as an identity map. */
static int own_ids(const char *file, struct id_map *map)
{
	char path[32], buf[4096], *line, *save;

	snprintf(path, sizeof(path), "/proc/self/%s_map", file);
	if (host_read_file(AT_FDCWD, path, buf, sizeof(buf)) < 0)
		return -EIO;
	for (line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned inner, outer, count;

		if (sscanf(line, "%u %u %u", &inner, &outer, &count) == 3 &&
		    map_add(map, inner, inner, count) < 0)
			return -E2BIG;
	}
	return map->n ? 0 : -EIO;
}

static int choose_auto_root(const struct id_owner *who, const char *name, struct id_map *guest,
			    char *reason, size_t size)
{
	struct id_map sub = {};
	uint32_t slots, start;

	if (!ids_own_all()) {
		snprintf(reason, size, "root of a user namespace: all ids it has");
		return own_ids(who->what, guest);
	}
	subid_read(who, &sub);
	for (unsigned i = 0; i < sub.n; i++) {
		slots = sub.e[i].count / ID_GUEST_RANGE;
		if (!slots)
			continue;
		start = sub.e[i].outer + name_hash(name) % slots * ID_GUEST_RANGE;
		snprintf(reason, size, "root, from %s", who->file);
		return map_add(guest, 0, start, ID_GUEST_RANGE);
	}
	slots = (AUTO_LAST + 1 - AUTO_FIRST) / ID_GUEST_RANGE;
	start = AUTO_FIRST + name_hash(name) % slots * ID_GUEST_RANGE;
	snprintf(reason, size, "root, range %u picked by the guest's name", start);
	return map_add(guest, 0, start, ID_GUEST_RANGE);
}

/* Every host id that the caller may use, numbered from 0 on. */
static void choose_kernel_map(const struct id_owner *who, struct id_map *kernel, char *reason,
			      size_t size)
{
	const char *helper = streq(who->what, "uid") ? "newuidmap" : "newgidmap";

	map_add(kernel, 0, who->self, 1);
	if (!helper_present(helper)) {
		snprintf(reason, size, "single id: %s is not installed (package uidmap)", helper);
		return;
	}
	subid_read(who, kernel);
	if (map_total(kernel) == 1)
		snprintf(reason, size, "single id: no range for user %s in %s",
			 who->user[0] ? who->user : "without a name", who->file);
	else
		snprintf(reason, size, "%u ids, the caller's and those of %s", map_total(kernel),
			 who->file);
}

/* Turn "guest host count" into "guest kernel count", cut where ranges end. */
static int choose_explicit(const struct id_owner *who, const struct id_map *want,
			   const struct id_map *kernel, struct id_map *guest,
			   struct ns_error *err)
{
	for (unsigned i = 0; i < want->n; i++) {
		const struct id_extent *w = &want->e[i];

		for (uint32_t done = 0, step; done < w->count; done += step) {
			uint32_t host = w->outer + done;
			unsigned k = 0;

			while (k < kernel->n && !(host >= kernel->e[k].outer &&
						  host - kernel->e[k].outer < kernel->e[k].count))
				k++;
			if (k == kernel->n)
				return ns_fail(err, -EPERM,
					       "ids: %s = %u %u %u: host id %u is neither yours nor "
					       "in a range of %s in %s",
					       who->what, w->inner, w->outer, w->count, host,
					       who->user, who->file);
			step = MIN(w->count - done,
				   kernel->e[k].count - (host - kernel->e[k].outer));
			if (map_add(guest, w->inner + done,
				    kernel->e[k].inner + (host - kernel->e[k].outer), step) < 0)
				return ns_fail(err, -E2BIG, "ids: %s: more than %d extents",
					       who->what, ID_EXTENTS_MAX);
		}
	}
	return 0;
}

/* Every id of @kernel as itself. An extent for each of the kernel map's: the
 * host refuses one that crosses a border of the parent's map. */
static int map_identity(struct id_map *ret, const struct id_map *kernel)
{
	for (unsigned i = 0; i < kernel->n; i++) {
		int r = map_add(ret, kernel->e[i].inner, kernel->e[i].inner, kernel->e[i].count);

		if (r < 0)
			return r;
	}
	return 0;
}

/* One kind of id: the kernel map and the guest map. */
static int choose_kind(const struct id_owner *who, enum id_want want, const struct id_map *list,
		       const char *name, struct id_map *kernel, struct id_map *guest,
		       char *reason, size_t size, struct ns_error *err)
{
	bool root = who->caller == 0;

	if (want == ID_WANT_EXPLICIT && !list->n)
		return ns_fail(err, -EINVAL, "ids: %s: no ids listed", who->what);
	if (root && want == ID_WANT_AUTO)
		return choose_auto_root(who, name, guest, reason, size);
	if (root && want == ID_WANT_EXPLICIT) {
		snprintf(reason, size, "as the policy lists them");
		*guest = *list;
		return 0;
	}
	if (want == ID_WANT_SINGLE) {
		snprintf(reason, size, "single id: the policy says so");
		if (!root)
			map_add(kernel, 0, who->self, 1);
		return map_add(guest, 0, root ? who->self : 0, 1);
	}
	choose_kernel_map(who, kernel, reason, size);
	if (want == ID_WANT_EXPLICIT)
		return choose_explicit(who, list, kernel, guest, err);
	return map_identity(guest, kernel);
}

int ids_choose(const struct id_request *req, struct id_choice *ret, struct ns_error *err)
{
	struct id_owner uid = { .file = "/etc/subuid", .what = "uid", .caller = req->caller,
				.self = req->caller };
	struct id_owner gid = { .file = "/etc/subgid", .what = "gid", .caller = req->caller,
				.self = req->caller_gid };
	struct id_choice c = {};
	char gid_reason[sizeof(c.reason)] = "";
	int r;

	user_name(req->caller, uid.user, sizeof(uid.user));
	memcpy(gid.user, uid.user, sizeof(gid.user));
	r = choose_kind(&uid, req->want_uid, &req->uid, req->name, &c.kernel_uid, &c.guest_uid,
			c.reason, sizeof(c.reason), err);
	if (r == 0)
		r = choose_kind(&gid, req->want_gid, &req->gid, req->name, &c.kernel_gid,
				&c.guest_gid, gid_reason, sizeof(gid_reason), err);
	if (r < 0)
		return r;
	if (map_total(&c.guest_uid) == 1 || map_total(&c.guest_gid) == 1)
		c.how = IDS_HOW_SINGLE;
	if (c.how == IDS_HOW_SINGLE && map_total(&c.guest_uid) != 1)
		memcpy(c.reason, gid_reason, sizeof(c.reason));
	/* Without newgidmap the host takes a group map only from a process that
	 * has given up setgroups(2). */
	c.deny_setgroups = map_total(req->caller ? &c.kernel_gid : &c.guest_gid) == 1;
	if (req->caller == 0)
		c.identity_risk = ids_to_inner(&c.guest_uid, 0) >= 0 ||
				  ids_to_inner(&c.guest_gid, 0) >= 0;
	log_info("ids: %s", c.reason);
	*ret = c;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idowner.c - owners of files that the guest kernel keeps itself
 *
 * The log of the list is records of one size, each put behind the last by one
 * pwrite(2), the last of a file counting. A guest kernel that is killed loses none:
 * what pwrite(2) took is the host's. A record that was not taken whole (a full disk)
 * is no record, and the next takes its place. The log is read at the start, and
 * written anew if most of it is outdated; what is no record, as after a crash of the
 * host, ends it.
 */
#include "kernel/ids/idowner.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define OVERFLOW_ID 65534u	/* an owner that the host does not tell us: root, in most cases */
#define BUCKETS 4096
#define CACHED 2048
#define RECORD_MAGIC 0x77656972u
#define MAX_RECORDS 1000000
#define SLACK 1024	/* outdated records that are no reason to write the log anew */

struct record {
	uint32_t magic, bits;
	uint64_t dev, ino, birth_ns;
	uint32_t uid, gid;
};

struct entry {
	struct record r;
	struct entry *next;
};

/* What an attribute said, as long as the file's time of change is the same: writing
 * one sets it. Only we write ours, and what we write is put in here at once. */
struct cached {
	uint64_t dev, ino;
	struct timespec changed;
	struct idowner own;
};

struct idowner_list {
	pthread_mutex_t lock;
	struct cached cache[CACHED];
	int log;
	off_t end;		/* of the log: behind its last record */
	unsigned n;
	struct entry *bucket[BUCKETS];
};

static struct entry **find(struct idowner_list *l, const struct record *key)
{
	struct entry **at = &l->bucket[(key->ino ^ key->ino >> 12 ^ key->dev) % BUCKETS];

	while (*at && ((*at)->r.ino != key->ino || (*at)->r.dev != key->dev ||
		       (*at)->r.birth_ns != key->birth_ns))
		at = &(*at)->next;
	return at;
}

static int keep(struct idowner_list *l, const struct record *r)
{
	struct entry **at = find(l, r);

	if (!*at) {
		if (l->n == MAX_RECORDS)
			return -ENOSPC;
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return -ENOMEM;
		l->n++;
	}
	(*at)->r = *r;
	return 0;
}

static int put(struct idowner_list *l, const struct record *r, off_t at)
{
	ssize_t n = host_result(pwrite(l->log, r, sizeof(*r), at));

	if (n < 0)
		return n;
	return n == sizeof(*r) ? 0 : -ENOSPC;
}

/* What counts of the list, from @at on. Return: 0, and the end in @ret. */
static int put_all(struct idowner_list *l, off_t at, off_t *ret)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct entry *e = l->bucket[i]; e; e = e->next, at += sizeof(e->r)) {
			int err = put(l, &e->r, at);

			if (err < 0)
				return err;
		}
	*ret = at;
	return 0;
}

/* Only what counts, in place of the old: first behind it, then over it. Killed at any
 * moment, the end of the log says it all. It must be more than half outdated. */
static void rewrite(struct idowner_list *l)
{
	off_t end;

	if (put_all(l, l->end, &end) < 0) {
		host_result(ftruncate(l->log, l->end));
		return;
	}
	l->end = end;
	if (host_result(fdatasync(l->log)) == 0 && put_all(l, 0, &end) == 0 &&
	    host_result(ftruncate(l->log, end)) == 0)
		l->end = end;
}

struct idowner_list *idowner_open(int log)
{
	struct idowner_list *l = calloc(1, sizeof(*l));
	unsigned total = 0;
	struct record r;

	if (!l) {
		if (log >= 0)
			close(log);
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->log = log;
	while (log >= 0 && host_read(log, &r, sizeof(r)) == sizeof(r) && r.magic == RECORD_MAGIC &&
	       keep(l, &r) == 0)
		total++;
	l->end = (off_t)total * sizeof(r);
	if (log >= 0)
		host_result(ftruncate(log, l->end));
	if (total > 2 * l->n + SLACK)
		rewrite(l);
	return l;
}

void idowner_close(struct idowner_list *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		while (l->bucket[i]) {
			struct entry *e = l->bucket[i];

			l->bucket[i] = e->next;
			free(e);
		}
	}
	if (l->log >= 0)
		close(l->log);
	free(l);
}

/* ---- one file ---------------------------------------------------------- */

static bool takes_attributes(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);	/* xattr(7), user. */
}

/* An O_PATH descriptor has no attributes of its own; its link in /proc has. */
static void link_of(int fd, char buf[32])
{
	snprintf(buf, 32, "/proc/self/fd/%d", fd);
}

static void key_of(int fd, const struct stat *st, struct record *ret)
{
	struct statx x = {};

	*ret = (struct record){ .magic = RECORD_MAGIC, .dev = st->st_dev, .ino = st->st_ino };
	if (host_call(SYS_statx, fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BTIME, &x) == 0 &&
	    (x.stx_mask & STATX_BTIME))
		ret->birth_ns = x.stx_btime.tv_sec * NSEC_PER_SEC + x.stx_btime.tv_nsec;
}

static bool from_list(struct idowner_list *l, int fd, const struct stat *st, struct idowner *ret)
{
	struct record key;
	struct entry *e;

	if (!l->n)
		return false;
	key_of(fd, st, &key);
	pthread_mutex_lock(&l->lock);
	e = *find(l, &key);
	if (e)
		*ret = (struct idowner){ e->r.uid, e->r.gid, e->r.bits };
	pthread_mutex_unlock(&l->lock);
	return e;
}

static struct cached *cache_slot(struct idowner_list *l, const struct stat *st)
{
	return &l->cache[(st->st_ino ^ st->st_ino >> 11 ^ st->st_dev) % CACHED];
}

static bool from_cache(struct idowner_list *l, const struct stat *st, struct idowner *ret)
{
	const struct cached *c = cache_slot(l, st);
	bool hit;

	pthread_mutex_lock(&l->lock);
	hit = c->ino == st->st_ino && c->dev == st->st_dev &&
	      c->changed.tv_sec == st->st_ctim.tv_sec && c->changed.tv_nsec == st->st_ctim.tv_nsec;
	if (hit)
		*ret = c->own;
	pthread_mutex_unlock(&l->lock);
	return hit;
}

/* Times of change may be as coarse as a tick: what has just changed may change again
 * without a sign of it. */
static bool changed_lately(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now.tv_sec - st->st_ctim.tv_sec < 2;
}

static void to_cache(struct idowner_list *l, const struct stat *st, const struct idowner *own)
{
	if (changed_lately(st))
		return;
	pthread_mutex_lock(&l->lock);
	*cache_slot(l, st) = (struct cached){ st->st_dev, st->st_ino, st->st_ctim, *own };
	pthread_mutex_unlock(&l->lock);
}

static void forget_cached(struct idowner_list *l, const struct stat *st)
{
	pthread_mutex_lock(&l->lock);
	cache_slot(l, st)->ino = 0;
	pthread_mutex_unlock(&l->lock);
}

/* Return: false if the file has no record of that kind. */
static bool from_attribute(int fd, const struct stat *st, struct idowner *ret)
{
	char link[32], text[64];
	ssize_t n;

	if (!takes_attributes(st))
		return false;
	link_of(fd, link);
	n = host_result(getxattr(link, IDOWNER_XATTR, text, sizeof(text) - 1));
	if (n <= 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%u:%u:%o", &ret->uid, &ret->gid, &ret->bits) != 3)
		return false;
	ret->bits &= IDOWNER_BITS;
	return true;
}

static void without_record(const struct stat *st, struct idowner *ret)
{
	*ret = (struct idowner){
		.uid = st->st_uid == OVERFLOW_ID ? 0 : st->st_uid,
		.gid = st->st_gid == OVERFLOW_ID ? 0 : st->st_gid,
		.bits = st->st_mode & IDOWNER_BITS,
	};
}

void idowner_get(struct idowner_list *l, int fd, const struct stat *st, struct idowner *ret)
{
	if (from_cache(l, st, ret))
		return;
	if (!from_attribute(fd, st, ret) && !from_list(l, fd, st, ret))
		without_record(st, ret);
	if (takes_attributes(st))
		to_cache(l, st, ret);
}

static int to_list(struct idowner_list *l, int fd, const struct stat *st, const struct idowner *o)
{
	struct record r;
	int err;

	key_of(fd, st, &r);
	r.uid = o->uid;
	r.gid = o->gid;
	r.bits = o->bits;
	pthread_mutex_lock(&l->lock);
	err = keep(l, &r);
	if (err == 0 && l->log >= 0)
		err = put(l, &r, l->end);
	if (err == 0)
		l->end += sizeof(r);
	pthread_mutex_unlock(&l->lock);
	return err;
}

int idowner_set(struct idowner_list *l, int fd, const struct stat *st, const struct idowner *o)
{
	char link[32], text[64];
	int err = -EOPNOTSUPP;

	forget_cached(l, st);
	if (takes_attributes(st)) {
		link_of(fd, link);
		snprintf(text, sizeof(text), "%u:%u:%o", o->uid, o->gid, o->bits & IDOWNER_BITS);
		err = host_result(setxattr(link, IDOWNER_XATTR, text, strlen(text), 0));
	}
	/* The host takes none for this file: it has no place, or an owner unknown here. */
	if (err == -EOPNOTSUPP || err == -EPERM || err == -EACCES || err == -EOVERFLOW ||
	    err == -ENOSPC || err == -EINVAL)
		err = to_list(l, fd, st, o);
	return err;
}

void idowner_show(const struct idowner *o, uint32_t *uid, uint32_t *gid, mode_t *mode)
{
	*uid = o->uid;
	*gid = o->gid;
	*mode = (*mode & ~IDOWNER_BITS) | o->bits;
}

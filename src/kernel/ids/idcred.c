/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idcred.c - credentials that the guest kernel keeps itself
 *
 * The table only grows, and holds each set once: a number read from a task is
 * valid for as long as the guest lives, and what forks need not tell us.
 *
 * An exec that changes credentials is not ours to do and may fail. Its number stands
 * for "these, if the program is another one by now, else those": the place of the
 * program's stack and code tells, which an exec draws anew.
 */
#include "kernel/ids/idcred.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define BUCKETS 1024
#define INITIAL RLIM_INFINITY	/* the number of what guest root starts with */

/* What tells one run of a program from the next in the same process. */
struct image {
	uint64_t start_code, start_stack, arg_start, dev, ino;
};

struct set {
	struct idcred cred;
	bool at_exec;
	rlim_t before;		/* at_exec: the number that held, and the program */
	struct image image;
	uint32_t next;		/* of the bucket; number + 1, 0 ends it */
};

struct idcred_table {
	pthread_mutex_t lock;
	struct idcred initial;
	uint32_t bucket[BUCKETS];
	struct set *set[IDCRED_MAX_SETS];
	uint32_t n;
};

struct idcred_table *idcred_create(uint64_t caps)
{
	struct idcred_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->initial.permitted = t->initial.effective = t->initial.bounding = caps;
	return t;
}

void idcred_destroy(struct idcred_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		free(t->set[i]);
	free(t);
}

static int number_read(pid_t tid, rlim_t *ret)
{
	struct rlimit l;
	int err = host_result(prlimit(tid, RLIMIT_LOCKS, NULL, &l));

	if (err == 0)
		*ret = l.rlim_cur;
	return err;
}

/* The hard limit stays: to raise it again would need a right that we lack. */
static int number_write(pid_t tid, rlim_t number)
{
	struct rlimit l;
	int err = host_result(prlimit(tid, RLIMIT_LOCKS, NULL, &l));

	if (err < 0)
		return err;
	l.rlim_cur = MIN(number, l.rlim_max);
	return host_result(prlimit(tid, RLIMIT_LOCKS, &l, NULL));
}

int idcred_probe(void)
{
	struct rlimit l;
	int err = host_result(getrlimit(RLIMIT_LOCKS, &l));

	if (err < 0)
		return err;
	return l.rlim_cur == RLIM_INFINITY && l.rlim_max == RLIM_INFINITY ? 0 : -EOPNOTSUPP;
}

bool idcred_is_initial(pid_t tid)
{
	rlim_t number;

	return number_read(tid, &number) == 0 && number == INITIAL;
}

/* Fields of /proc/TID/stat, proc(5): 26 startcode, 28 startstack, 48 arg_start. */
static int image_read(pid_t tid, struct image *ret)
{
	char path[64], text[2048], *pos;
	struct stat st;

	*ret = (struct image){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	pos = strrchr(text, ')');
	if (!pos || strlen(pos) < 4)
		return -ESRCH;
	pos += 3;
	for (int field = 4; field <= 48; field++) {
		uint64_t v = strtoull(pos, &pos, 10);

		if (field == 26)
			ret->start_code = v;
		else if (field == 28)
			ret->start_stack = v;
		else if (field == 48)
			ret->arg_start = v;
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	if (host_result(stat(path, &st)) == 0) {
		ret->dev = st.st_dev;
		ret->ino = st.st_ino;
	}
	return 0;
}

/* What a number stands for; the lock is held. */
static const struct idcred *look_up(struct idcred_table *t, pid_t tid, rlim_t *number)
{
	while (*number < t->n) {
		const struct set *s = t->set[*number];
		struct image now;

		if (!s->at_exec)
			return &s->cred;
		if (image_read(tid, &now) < 0 || memcmp(&now, &s->image, sizeof(now)) != 0)
			return &s->cred;
		*number = s->before;
	}
	return &t->initial;
}

int idcred_get(struct idcred_table *t, pid_t tid, struct idcred *ret)
{
	rlim_t number;
	int err = number_read(tid, &number);

	if (err < 0)
		return err;
	pthread_mutex_lock(&t->lock);
	*ret = *look_up(t, tid, &number);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static uint32_t hash(const struct idcred *c)
{
	const uint32_t *p = (const uint32_t *)c;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(*c) / sizeof(*p); i++)
		h = (h ^ p[i]) * 16777619u;
	return h % BUCKETS;
}

static int add(struct idcred_table *t, const struct set *s, rlim_t *ret)
{
	struct set *copy;

	if (t->n == IDCRED_MAX_SETS)
		return -EAGAIN;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *s;
	*ret = t->n;
	t->set[t->n++] = copy;
	return 0;
}

static int intern(struct idcred_table *t, const struct idcred *cred, rlim_t *ret)
{
	struct set new = { .cred = *cred };
	uint32_t h = hash(cred);
	int err;

	if (memcmp(cred, &t->initial, sizeof(*cred)) == 0) {
		*ret = INITIAL;
		return 0;
	}
	for (uint32_t at = t->bucket[h]; at; at = t->set[at - 1]->next) {
		if (memcmp(&t->set[at - 1]->cred, cred, sizeof(*cred)) == 0) {
			*ret = at - 1;
			return 0;
		}
	}
	new.next = t->bucket[h];
	err = add(t, &new, ret);
	if (err == 0)
		t->bucket[h] = *ret + 1;
	return err;
}

int idcred_set(struct idcred_table *t, pid_t tid, const struct idcred *cred)
{
	rlim_t number;
	int err;

	pthread_mutex_lock(&t->lock);
	err = intern(t, cred, &number);
	pthread_mutex_unlock(&t->lock);
	return err < 0 ? err : number_write(tid, number);
}

int idcred_set_at_exec(struct idcred_table *t, pid_t tid, const struct idcred *cred)
{
	struct set s = { .cred = *cred, .at_exec = true };
	rlim_t number;
	int err = number_read(tid, &s.before);

	if (err == 0)
		err = image_read(tid, &s.image);
	if (err < 0)
		return err;
	pthread_mutex_lock(&t->lock);
	look_up(t, tid, &s.before);
	/* The same program may have tried the same before. */
	for (number = t->n; number-- > 0 && t->n - number < 64;) {
		const struct set *o = t->set[number];

		if (o->at_exec && o->before == s.before &&
		    memcmp(&o->image, &s.image, sizeof(s.image)) == 0 &&
		    memcmp(&o->cred, cred, sizeof(*cred)) == 0)
			break;
	}
	if (number >= t->n || t->n - number >= 64)
		err = add(t, &s, &number);
	pthread_mutex_unlock(&t->lock);
	return err < 0 ? err : number_write(tid, number);
}

bool idcred_in_group(const struct idcred *c, uint32_t gid)
{
	if (c->gid[ID_FS] == gid)
		return true;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->group[i] == gid)
			return true;
	return false;
}

bool idcred_may(const struct idcred *c, uint32_t owner, uint32_t group, mode_t mode, int want)
{
	unsigned have = mode & 7;

	if (c->uid[ID_FS] == owner)
		have = mode >> 6 & 7;
	else if (idcred_in_group(c, group))
		have = mode >> 3 & 7;
	if ((want & ~have) == 0)
		return true;
	if (S_ISDIR(mode)) {
		if (idcred_capable(c, CAP_DAC_OVERRIDE))
			return true;
		return !(want & W_OK) && idcred_capable(c, CAP_DAC_READ_SEARCH);
	}
	if (want == R_OK && idcred_capable(c, CAP_DAC_READ_SEARCH))
		return true;
	return (!(want & X_OK) || (mode & 0111)) && idcred_capable(c, CAP_DAC_OVERRIDE);
}

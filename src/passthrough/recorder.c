/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.c - which calls a guest made, and with which arguments
 *
 * The guest decides what comes in here, so all has a bound: combinations of
 * one call beyond the first few go into one record, and when the table is
 * full calls are only counted as lost.
 */
#include "passthrough/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/trap.h"

#define RECORDS 8192
#define MAX_REFUSED 256	/* combinations with task names of one refused call */

struct recorder {
	struct record_key key[LANES_MAX_NR];	/* constant once the guest runs */

	pthread_mutex_t lock;			/* all below */
	uint16_t passed[LANES_MAX_NR], refused[LANES_MAX_NR];
	unsigned n;
	uint64_t lost;
	uint16_t slot[2 * RECORDS];		/* index of a record plus one; 0: free */
	struct record record[RECORDS];
};

int recorder_create(struct recorder **ret)
{
	struct recorder *r = mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attr;

	if (r == MAP_FAILED)
		return -ENOMEM;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&r->lock, &attr);
	pthread_mutexattr_destroy(&attr);
	*ret = r;
	return 0;
}

void recorder_destroy(struct recorder *r)
{
	if (r)
		munmap(r, sizeof(*r));
}

void recorder_tell_apart(struct recorder *r, int nr, const struct record_key *key)
{
	r->key[nr] = *key;
}

static bool has_key(int nr)
{
	return nr >= 0 && nr < LANES_MAX_NR;
}

/* FNV-1a over what tells two records apart. */
static unsigned hash(const struct record *rec)
{
	const unsigned char *p = (const unsigned char *)rec;
	uint32_t h = 0x811c9dc5;

	for (size_t i = 0; i < offsetof(struct record, count); i++)
		h = (h ^ p[i]) * 0x01000193;
	return h % (2 * RECORDS);
}

/* The record that is like this one; with @add it is made if there is room. */
static struct record *find(struct recorder *r, const struct record *like, bool add)
{
	unsigned i;

	for (i = hash(like); r->slot[i]; i = (i + 1) % (2 * RECORDS))
		if (!memcmp(&r->record[r->slot[i] - 1], like, offsetof(struct record, count)))
			return &r->record[r->slot[i] - 1];
	if (!add || r->n == RECORDS)
		return NULL;
	memcpy(&r->record[r->n], like, sizeof(*like));
	r->slot[i] = ++r->n;
	return &r->record[r->n - 1];
}

static void count(struct recorder *r, struct record *like, bool refused)
{
	struct record *rec = find(r, like, false);
	uint16_t *seen = NULL;

	if (!rec && has_key(like->nr)) {
		seen = refused ? &r->refused[like->nr] : &r->passed[like->nr];
		like->many = *seen >= (refused ? MAX_REFUSED : RECORDER_FEW);
		if (like->many)
			memset(like->value, 0, sizeof(like->value));
		else
			(*seen)++;
	}
	if (!rec)
		rec = find(r, like, true);
	if (rec)
		rec->count++;
	else
		r->lost++;
}

static void read_name(pid_t tid, char *comm, size_t size)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	if (host_read_file(AT_FDCWD, path, comm, size) < 0)
		memset(comm, 0, size);
	comm[strcspn(comm, "\n")] = '\0';
}

void recorder_note(struct recorder *r, const struct call *c)
{
	bool refused = c->rule->lane == LANE_DENY || c->rule->lane == LANE_KILL;
	struct record rec;
	char comm[32] = "";

	/* Records are compared byte by byte, padding and all. */
	memset(&rec, 0, sizeof(rec));
	rec.rule = c->rule->id;
	rec.nr = c->nr;
	for (unsigned i = 0; has_key(c->nr) && i < r->key[c->nr].n; i++)
		rec.value[i] = c->arg[r->key[c->nr].part[i].arg] & r->key[c->nr].part[i].mask;
	if (refused)
		read_name(c->tid, comm, sizeof(comm));
	memcpy(rec.comm, comm, strnlen(comm, sizeof(rec.comm) - 1));
	pthread_mutex_lock(&r->lock);
	count(r, &rec, refused);
	pthread_mutex_unlock(&r->lock);
}

const struct record *recorder_at(const struct recorder *r, unsigned i)
{
	return i < r->n ? &r->record[i] : NULL;
}

uint64_t recorder_lost(const struct recorder *r)
{
	return r->lost;
}

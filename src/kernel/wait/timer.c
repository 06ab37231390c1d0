/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - timers of the guest that are set to a time of its clocks
 *
 * A timerfd is an open file: a descriptor of ours on it sets it. A POSIX timer
 * and ITIMER_REAL are the process's own: the call is redirected, and to set it
 * again one of the process's threads makes it once more.
 *
 * What is remembered is a guess: a timer can be closed, deleted or, where that
 * call does not stop, set anew. So each is asked what it is set to before it is
 * set again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cleanup.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "kernel/wait/timer_impl.h"
#include "passthrough/hostcall.h"

#define MAX_TIMERS 16384	/* more are not set again */
#define SET_NS 2000000	/* REALTIME jumped: it was set, not tuned */
#define STATUS_BYTES 4096
#define FAR_NS (INT64_MAX / 2)	/* 146 years: as good as never */
#define AS_SET_NS 20000	/* what a timer says is left is right to a microsecond */

/* A call that sets a timer may be on its way still: it is looked for again. */
#define YOUNG_NS 100000000
#define YOUNG_PAUSE_NS 1000000

int timer_proc_number(const char *path, const char *name, int base, long *ret)
{
	char text[STATUS_BYTES];
	const char *at;

	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -ESRCH;
	at = strstr(text, name);
	if (!at)
		return -ENOENT;
	*ret = strtol(at + strlen(name), NULL, base);
	return 0;
}

/* ---- the table ---------------------------------------------------------- */

static struct timer **bucket_of(struct timers *t, pid_t tgid, int id)
{
	return &t->bucket[((unsigned)tgid * 31 + (unsigned)id) % TIMER_BUCKETS];
}

/* All below: lock held. */
static struct timer **find(struct timers *t, enum timer_kind kind, pid_t tgid, int id)
{
	struct timer **pp = bucket_of(t, tgid, id);

	while (*pp && ((*pp)->tgid != tgid || (*pp)->kind != kind || (*pp)->id != id))
		pp = &(*pp)->next;
	return pp;
}

static void drop(struct timers *t, struct timer **pp)
{
	struct timer *p = *pp;

	*pp = p->next;
	openfile_put(p->file);
	free(p);
	t->count--;
}

static bool is_dead(const struct timer *p)
{
	return p->file ? !openfile_is_open(p->file) : host_call(SYS_kill, p->tgid, 0) == -ESRCH;
}

static void forget_dead(struct timers *t)
{
	for (unsigned i = 0; i < TIMER_BUCKETS; i++)
		for (struct timer **pp = &t->bucket[i]; *pp;)
			if (is_dead(*pp))
				drop(t, pp);
			else
				pp = &(*pp)->next;
}

static struct timer *add(struct timers *t, pid_t tgid, int id)
{
	struct timer **pp = bucket_of(t, tgid, id), *p;

	if (t->count >= MAX_TIMERS)
		forget_dead(t);
	p = t->count < MAX_TIMERS ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->next = *pp;
	*pp = p;
	t->count++;
	return p;
}

/* The number of this file is another's now, but somebody has it still. */
static bool has_moved(const struct timer *p, const struct timer *by)
{
	return p->file && by->file && p->file != by->file && openfile_is_open(p->file);
}

/* Lock held. */
static void put(struct timer *p, const struct timer *what)
{
	struct timer *next = p->next;

	openfile_get(what->file);
	openfile_put(p->file);
	*p = *what;
	p->next = next;
}

void timer_remember(struct kernel *k, struct timer *what)
{
	struct timers *t = k->time->timers;
	struct timer **pp, *p;

	pthread_mutex_lock(&t->lock);
	pp = find(t, what->kind, what->tgid, what->id);
	p = *pp;
	if (p && has_moved(p, what)) {
		p->tgid = 0;	/* in whatever bucket: it is found by its file */
		p = NULL;
	}
	p = p ?: add(t, what->tgid, what->id);
	what->since_ns = host_now();
	if (p)
		put(p, what);
	pthread_mutex_unlock(&t->lock);
}

bool timer_recall(struct kernel *k, enum timer_kind kind, pid_t tgid, int id, struct timer *ret)
{
	struct timers *t = k->time->timers;
	struct timer *p;

	pthread_mutex_lock(&t->lock);
	p = *find(t, kind, tgid, id);
	if (p) {
		*ret = *p;
		openfile_get(ret->file);
	}
	pthread_mutex_unlock(&t->lock);
	return p;
}

/* The entry that this is a copy of, if it is not another's by now. Lock held. */
static struct timer **original_of(struct timers *t, const struct timer *copy)
{
	static struct timer *none;
	struct timer **pp = find(t, copy->kind, copy->tgid, copy->id);

	return *pp && (!copy->since_ns || (*pp)->since_ns == copy->since_ns) ? pp : &none;
}

bool timer_is_current(struct kernel *k, const struct timer *copy)
{
	struct timers *t = k->time->timers;
	bool ret;

	pthread_mutex_lock(&t->lock);
	ret = *original_of(t, copy);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

bool timer_update(struct kernel *k, const struct timer *copy)
{
	struct timers *t = k->time->timers;
	struct timer *p;

	pthread_mutex_lock(&t->lock);
	p = *original_of(t, copy);
	if (p)
		put(p, copy);
	pthread_mutex_unlock(&t->lock);
	return p;
}

void timer_forget(struct kernel *k, const struct timer *copy)
{
	struct timers *t = k->time->timers;
	struct timer **pp;

	pthread_mutex_lock(&t->lock);
	pp = original_of(t, copy);
	if (*pp)
		drop(t, pp);
	pthread_mutex_unlock(&t->lock);
}

/* Lock held. */
static void drop_file(struct timers *t, const struct openfile *file)
{
	for (unsigned i = 0; i < TIMER_BUCKETS; i++)
		for (struct timer **pp = &t->bucket[i]; *pp;)
			if ((*pp)->file == file)
				drop(t, pp);
			else
				pp = &(*pp)->next;
}

void timer_move(struct kernel *k, struct timer *timer, pid_t tgid, int fd)
{
	struct timers *t = k->time->timers;

	pthread_mutex_lock(&t->lock);
	drop_file(t, timer->file);
	pthread_mutex_unlock(&t->lock);
	timer->tgid = tgid;
	timer->id = fd;
	timer_remember(k, timer);
}

/* It may be that the program's call has not got so far yet. A timerfd we set ourselves. */
static bool is_young(const struct timer *t)
{
	return t->kind != TIMER_FD && host_now() - t->since_ns < YOUNG_NS;
}

/* A copy of all, as setting takes its time: each with a reference. Lock not held. */
static struct timer *copy_all(struct timers *t, bool young, unsigned *ret_n)
{
	struct timer *all;

	*ret_n = 0;
	pthread_mutex_lock(&t->lock);
	if (!young)
		forget_dead(t);
	all = calloc(t->count ? t->count : 1, sizeof(*all));
	for (unsigned i = 0; i < TIMER_BUCKETS && all; i++)
		for (struct timer *p = t->bucket[i]; p; p = p->next) {
			if (young && !is_young(p))
				continue;
			all[*ret_n] = *p;
			openfile_get(all[(*ret_n)++].file);
		}
	pthread_mutex_unlock(&t->lock);
	return all;
}

/* ---- what a timer is set to --------------------------------------------- */

bool timer_is_valid(const struct itimerspec *it)
{
	return it->it_value.tv_sec >= 0 && it->it_value.tv_nsec >= 0 &&
	       it->it_value.tv_nsec < (long)NSEC_PER_SEC && it->it_interval.tv_sec >= 0 &&
	       it->it_interval.tv_nsec >= 0 && it->it_interval.tv_nsec < (long)NSEC_PER_SEC;
}

void timer_make_absolute(struct kernel *k, struct timer *t)
{
	struct timespec now;
	int64_t ns;

	/* What is longer than all time is as long, as for the host. */
	t->at.it_value = timespec_of(timespec_ns(&t->at.it_value));
	t->at.it_interval = timespec_of(timespec_ns(&t->at.it_interval));
	if ((t->flags & TIMER_ABSTIME) || timekeeper_read(k->time, t->clock, &now) < 0)
		return;
	/* A clock that is set does not move what was set to a span. */
	t->after = true;
	timekeeper_read(k->time, t->clock == CLOCK_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now);
	if (__builtin_add_overflow(timespec_ns(&now), timespec_ns(&t->at.it_value), &ns))
		ns = INT64_MAX;
	t->at.it_value = timespec_of(ns);
}

/* Alarm clocks read what the others do. */
static clockid_t host_clock_of(const struct timer *t)
{
	return t->clock == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME :
	       t->clock == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : t->clock;
}

/* The clock of the guest's that it->at is of. */
static clockid_t guest_clock_of(const struct timer *t)
{
	if (!t->after)
		return t->clock;
	return t->clock == CLOCK_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_MONOTONIC;
}

/* Does the guest's clock stand still? Then no time of the host's is one of the guest's. */
static bool stands_still(struct kernel *k)
{
	return timekeeper_span(k->time, NSEC_PER_SEC) == UINT64_MAX;
}

/* @n periods later; INT64_MAX if that is never. */
static int64_t later(int64_t ns, int64_t n, int64_t every)
{
	int64_t by;

	return __builtin_mul_overflow(n, every, &by) || __builtin_add_overflow(ns, by, &ns) ? INT64_MAX : ns;
}

/* It rings now, and next when the clock makes a leap to there. */
static void go_on_still(struct kernel *k, struct timer *t)
{
	int64_t every = timespec_ns(&t->at.it_interval), at = timespec_ns(&t->at.it_value), now_ns;
	struct timespec now;

	timekeeper_read(k->time, guest_clock_of(t), &now);
	now_ns = timespec_ns(&now);
	if (at > now_ns)
		return;
	t->at.it_value = timespec_of(later(at, (now_ns - at) / every + 1, every));
	t->host = timespec_of(INT64_MAX);
}

int timer_to_host(struct kernel *k, struct timer *t, struct itimerspec *ret, uint64_t *changes)
{
	/* The host's clock that it runs by is the one of the same name. */
	struct deadline d = { .clock = guest_clock_of(t), .host = host_clock_of(t), .at = t->at.it_value };
	int err;

	ret->it_interval = deadline_span(k, &t->at.it_interval);
	err = deadline_to_host(k, &d, &ret->it_value, changes);
	t->host = ret->it_value;
	t->host_interval = ret->it_interval;
	if (err == 0 && !is_zero(&t->at.it_interval) && stands_still(k))
		go_on_still(k, t);
	return err;
}

/* In ns of the guest's; UINT64_MAX: it does not ring any more. */
static uint64_t left_of(struct kernel *k, const struct timer *t, const uint64_t now_ns[NUM_VCLOCKS])
{
	clockid_t clock = guest_clock_of(t);
	uint64_t now = now_ns[vclock_of_id(clock == CLOCK_TAI ? CLOCK_REALTIME : clock)];
	uint64_t at = timespec_ns(&t->at.it_value), every = timespec_ns(&t->at.it_interval);

	if (clock == CLOCK_TAI)
		now += k->time->timex.tai * NSEC_PER_SEC;
	if (at > now)
		return at - now;
	return every ? every - (now - at) % every : UINT64_MAX;
}

bool timer_left(struct kernel *k, const struct timer *t, struct itimerspec *ret)
{
	uint64_t now[NUM_VCLOCKS], left;
	struct timer known;

	*ret = (struct itimerspec){};
	if (!timer_recall(k, t->kind, t->tgid, t->id, &known))
		return false;
	timekeeper_now(k->time, now);
	left = left_of(k, &known, now);
	openfile_put(known.file);
	if (left != UINT64_MAX)
		*ret = (struct itimerspec){ known.at.it_interval, timespec_of(left) };
	return true;
}

void timer_in_guest_time(struct kernel *k, struct itimerspec *it)
{
	struct timespec *part[] = { &it->it_value, &it->it_interval };

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		bool any = !is_zero(part[i]);
		int64_t ns = timekeeper_guest_span(k->time, timespec_ns(part[i]));

		/* 0 would say that it is disarmed. */
		ns = MAX(ns, any);
		*part[i] = timespec_of(ns);
	}
}

/* ---- what it is set to now ----------------------------------------------- */

int64_t timer_host_now(struct kernel *k, const struct timer *t)
{
	return timekeeper_host_clock(k->time, host_clock_of(t));
}

/* It is to ring next at about this time of the host's. Return: when it should. */
static int64_t go_on(struct timer *t, int64_t next)
{
	int64_t every = timespec_ns(&t->at.it_interval), host = timespec_ns(&t->host_interval), rang, ns;

	if (!every || !host)
		return timespec_ns(&t->host);
	rang = MAX((next - timespec_ns(&t->host) + host / 2) / host, 0);
	t->at.it_value = timespec_of(later(timespec_ns(&t->at.it_value), rang, every));
	ns = later(timespec_ns(&t->host), rang, host);
	t->host = timespec_of(ns);
	return ns;
}

bool timer_is_as_set(struct timer *t, int64_t before, int64_t behind, const struct timespec *left)
{
	int64_t ns = timespec_ns(left), first, last, want;

	if (__builtin_add_overflow(before, ns, &first) || first > FAR_NS)
		return timespec_ns(&t->host) > FAR_NS;
	last = behind + ns;
	want = go_on(t, first / 2 + last / 2);
	/* An ITIMER_REAL begins when its call is made; there is none that does not stop. */
	return t->kind == TIMER_ITIMER || (want >= first - AS_SET_NS && want <= last + AS_SET_NS);
}

/* ---- time travel --------------------------------------------------------- */

/* The first that somebody hears. Lock held. */
static struct timer *first_of(struct kernel *k, const uint64_t now_ns[NUM_VCLOCKS], uint64_t *ret_left)
{
	struct timers *t = k->time->timers;
	struct timer *first = NULL;

	*ret_left = UINT64_MAX;
	for (unsigned i = 0; i < TIMER_BUCKETS && t->count; i++)
		for (struct timer *p = t->bucket[i]; p; p = p->next)
			if (p->kind == TIMER_POSIX && !p->silent && left_of(k, p, now_ns) < *ret_left) {
				first = p;
				*ret_left = left_of(k, p, now_ns);
			}
	return first;
}

bool timers_next(struct kernel *k, const uint64_t now_ns[NUM_VCLOCKS], uint64_t *ret_left_ns)
{
	struct timers *t = k->time->timers;
	struct timer *p;
	clockid_t clock;
	bool silent;

	pthread_mutex_lock(&t->lock);
	/* A deletion, and an exec, are not told of. */
	while ((p = first_of(k, now_ns, ret_left_ns)) && timer_posix_look(p->tgid, p->id, &clock, &silent) < 0)
		drop(t, find(t, p->kind, p->tgid, p->id));
	pthread_mutex_unlock(&t->lock);
	return p;
}

/* ---- changes ------------------------------------------------------------ */

/* Has REALTIME been set since the last look? It is a different distance from
 * MONOTONIC then; what it is tuned by from one change to the next is less. */
static bool clock_was_set(struct kernel *k)
{
	struct timers *t = k->time->timers;
	int64_t was = t->distance, is;
	struct timespec real, mono;

	timekeeper_read(k->time, CLOCK_REALTIME, &real);
	timekeeper_read(k->time, CLOCK_MONOTONIC, &mono);
	is = timespec_ns(&real) - timespec_ns(&mono);
	t->distance = is;
	return is < was - SET_NS || is > was + SET_NS;
}

void timers_rearm(struct kernel *k, bool young)
{
	struct timespec pause = { .tv_nsec = YOUNG_PAUSE_NS };
	struct timer_fds *fds = timer_fds_new();
	bool was_set = !young && clock_was_set(k), again = false;
	struct timer *all;
	unsigned n;

	all = copy_all(k->time->timers, young, &n);
	for (unsigned i = 0; i < n; i++) {
		if (all[i].kind == TIMER_FD)
			timer_rearm_fd(k, &all[i], was_set, fds);
		else
			again |= !timer_rearm_process(k, &all[i]) && is_young(&all[i]);
		openfile_put(all[i].file);
	}
	free(all);
	timer_fds_free(fds);
	if (again) {
		nanosleep(&pause, NULL);
		deadlines_timers_young(k);
	}
}

int timers_init(struct kernel *k)
{
	struct timers *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->setting, NULL);
	k->time->timers = t;
	clock_was_set(k);
	return 0;
}

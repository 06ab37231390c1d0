/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timekeeper.c - the guest's clocks: kept, published, and put into its images
 */
#include "kernel/time/timekeeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "passthrough/hostcall.h"

#define TICK_MIN_NS 20000000	/* of the host's, between seconds of a fast guest */

/* ---- changes ------------------------------------------------------------ */

/*
 * A reader that still sees the page even has read the host's clock before ours
 * is read: the exchange is seen everywhere before it returns. So what it makes
 * of it by the old map is no later than the point where the new one begins.
 */
static struct time_host change_begin(struct timekeeper *t)
{
	_Atomic uint32_t *seq = (_Atomic uint32_t *)&t->page->seq;

	atomic_exchange(seq, t->page->seq + 1);
	return timekeeper_host(t);
}

static void arm_tick(struct timekeeper *t);

/* The page shows the new clocks. */
static void publish(struct timekeeper *t)
{
	_Atomic uint32_t *seq = (_Atomic uint32_t *)&t->page->seq;

	memcpy(t->page->map, t->model.map, sizeof(t->page->map));
	t->page->tai_sec = t->timex.tai;
	atomic_store(seq, t->page->seq + 1);
	t->changes++;
	arm_tick(t);
}

static void change_end(struct kernel *k)
{
	struct timekeeper *t = k->time;

	publish(t);
	if (t->changed)
		t->changed(k);
}

static struct time_host lock_and_change(struct timekeeper *t)
{
	pthread_mutex_lock(&t->lock);
	return change_begin(t);
}

static void publish_and_unlock(struct kernel *k)
{
	change_end(k);
	pthread_mutex_unlock(&k->time->lock);
}

/* Readers go on, and nobody needs to be told. */
static void change_none(struct timekeeper *t)
{
	atomic_store((_Atomic uint32_t *)&t->page->seq, t->page->seq + 1);
}

static int64_t second_of(const struct timekeeper *t, const struct time_host *h)
{
	return time_model_read(&t->model, VCLOCK_REALTIME, h) / NSEC_PER_SEC;
}

/* Whatever has become due since the last look. Lock held. */
static void catch_up(struct kernel *k)
{
	struct timekeeper *t = k->time;
	struct time_host h = timekeeper_host(t);
	int64_t tune;
	int step;

	if (second_of(t, &h) <= t->timex.second)
		return;
	step = timex_second(&t->timex, second_of(t, &h));
	tune = timex_tune(&t->timex);
	if (!step && tune == t->model.tune)
		return;
	h = change_begin(t);
	time_model_tune(&t->model, &h, tune);
	if (step) {
		int64_t ns = time_model_read(&t->model, VCLOCK_REALTIME, &h);

		time_model_set(&t->model, &h, ns + step * (int64_t)NSEC_PER_SEC);
		log_info("time: a leap second was %s", step < 0 ? "inserted" : "left out");
	}
	change_end(k);
}

/* For the next second of the guest's, if there is anything to do then. */
static void arm_tick(struct timekeeper *t)
{
	struct itimerspec it = {};
	struct time_host h;
	uint64_t left, span;

	if (timex_active(&t->timex)) {
		h = timekeeper_host(t);
		left = NSEC_PER_SEC - time_model_read(&t->model, VCLOCK_REALTIME, &h) % NSEC_PER_SEC;
		span = time_model_span(&t->model, left);
		if (span != UINT64_MAX) {
			span = MAX(span, TICK_MIN_NS);
			it.it_value.tv_sec = span / NSEC_PER_SEC;
			it.it_value.tv_nsec = span % NSEC_PER_SEC;
		}
	}
	timerfd_settime(t->tick.fd, 0, &it, NULL);
}

static void on_tick(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct timekeeper *t = k->time;
	uint64_t n;

	if (host_result(read(src->fd, &n, sizeof(n))) < 0)
		return;
	pthread_mutex_lock(&t->lock);
	catch_up(k);
	arm_tick(t);
	pthread_mutex_unlock(&t->lock);
}

/* A clock that was set has nothing left to be made up. */
static void forget_phase(struct timekeeper *t, const struct time_host *h)
{
	timex_clear(&t->timex, second_of(t, h));
	time_model_tune(&t->model, h, timex_tune(&t->timex));
}

int timekeeper_set(struct kernel *k, int64_t ns)
{
	struct timekeeper *t = k->time;
	struct time_host h;
	int ret;

	pthread_mutex_lock(&t->lock);
	h = change_begin(t);
	ret = time_model_set(&t->model, &h, ns);
	if (ret == 0)
		forget_phase(t, &h);
	change_end(k);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

int timekeeper_follow(struct kernel *k, int64_t offset_ns)
{
	struct timekeeper *t = k->time;
	struct time_host h;
	int ret;

	pthread_mutex_lock(&t->lock);
	h = change_begin(t);
	/* The tuning first: the host's clock is followed as it is. */
	timex_init(&t->timex, second_of(t, &h), t->timex.tai);
	time_model_tune(&t->model, &h, 0);
	ret = time_model_follow(&t->model, &h, offset_ns);
	t->timex.second = second_of(t, &h);
	change_end(k);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

void timekeeper_rate(struct kernel *k, uint64_t rate)
{
	struct timekeeper *t = k->time;
	struct time_host h = lock_and_change(t);

	time_model_rate(&t->model, &h, rate);
	publish_and_unlock(k);
}

void timekeeper_freeze(struct kernel *k, bool frozen)
{
	struct timekeeper *t = k->time;
	struct time_host h = lock_and_change(t);

	time_model_freeze(&t->model, &h, frozen);
	publish_and_unlock(k);
}

int timekeeper_leap(struct kernel *k, uint64_t monotonic_ns, bool (*still)(void *ctx), void *ctx,
		    uint64_t *ret_ns)
{
	struct timekeeper *t = k->time;
	struct time_host h;
	uint64_t now;
	int ret = -EAGAIN;

	*ret_ns = 0;
	pthread_mutex_lock(&t->lock);
	/* From here on who reads a clock waits, and wakes up in the time after. */
	change_begin(t);
	if (still(ctx)) {
		h = timekeeper_host(t);
		now = time_model_read(&t->model, VCLOCK_MONOTONIC, &h);
		if (monotonic_ns > now)
			*ret_ns = monotonic_ns - now;
		ret = time_model_leap(&t->model, &h, *ret_ns);
		if (ret < 0)
			*ret_ns = 0;
	}
	/* Who waits is the traveller's to see to (travel.h). */
	if (*ret_ns)
		publish(t);
	else
		change_none(t);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

/* ADJ_SETOFFSET: by how much, in ns. */
static bool offset_of(const struct timex *tx, int64_t *ret)
{
	int64_t part = tx->modes & ADJ_NANO ? tx->time.tv_usec : tx->time.tv_usec * 1000;

	return !__builtin_mul_overflow((int64_t)tx->time.tv_sec, (int64_t)NSEC_PER_SEC, ret) &&
	       !__builtin_add_overflow(*ret, part, ret);
}

/* Lock held. Return: 0 or -EINVAL, and then nothing has changed. */
static int adjust(struct kernel *k, struct timex *tx)
{
	struct timekeeper *t = k->time;
	int64_t by = 0, ns;
	struct time_host h;
	int ret = 0;

	if ((tx->modes & ADJ_SETOFFSET) && !offset_of(tx, &by))
		return -EINVAL;
	h = change_begin(t);
	if (tx->modes & ADJ_SETOFFSET) {
		ns = time_model_read(&t->model, VCLOCK_REALTIME, &h);
		ret = __builtin_add_overflow(ns, by, &ns) ? -EINVAL :
							    time_model_set(&t->model, &h, ns);
	}
	if (ret == 0 && (tx->modes & ADJ_SETOFFSET))
		forget_phase(t, &h);
	if (ret == 0) {
		timex_change(&t->timex, tx);
		time_model_tune(&t->model, &h, timex_tune(&t->timex));
	}
	change_end(k);
	return ret;
}

int timekeeper_adjust(struct kernel *k, struct timex *tx, bool may)
{
	struct timekeeper *t = k->time;
	struct time_host h;
	int ret = timex_check(tx, may);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&t->lock);
	catch_up(k);
	/* A reading, adjtime(3)'s too, changes nothing. */
	if (tx->modes == 0 || tx->modes == ADJ_OFFSET_SS_READ)
		timex_change(&t->timex, tx);
	else
		ret = adjust(k, tx);
	if (ret == 0) {
		h = timekeeper_host(t);
		timex_report(&t->timex, time_model_read(&t->model, VCLOCK_REALTIME, &h), tx);
		ret = timex_result(&t->timex);
	}
	pthread_mutex_unlock(&t->lock);
	return ret;
}

/* ---- boot --------------------------------------------------------------- */

static int host_tai(void)
{
	struct timex tx = {};

	return host_call(SYS_clock_adjtime, CLOCK_REALTIME, &tx) < 0 ? 0 : tx.tai;
}

static int make_clocks(struct kernel *k, struct ns_error *err)
{
	const struct policy *p = k->cfg->policy;
	struct timekeeper *t = k->time;
	struct time_host h;
	int ret;

	t->settable = p->clock.settable;
	if (p->ns[POLICY_NS_TIME].mode == NS_MODE_NEW) {
		t->monotonic_offset_ns = p->monotonic_offset_ns;
		t->boottime_offset_ns = p->boottime_offset_ns;
	}
	h = change_begin(t);
	ret = time_model_init(&t->model, &p->clock, &h);
	if (ret < 0)
		return ns_fail(err, ret, "%s:%d: time.realtime: the guest's clock would begin before "
			       "1970, before the guest was up, or after 2231; write a time between",
			       p->clock.realtime_pos.file, p->clock.realtime_pos.line);
	timex_init(&t->timex, second_of(t, &h), host_tai());
	change_end(k);
	return 0;
}

static void log_clocks(const struct kernel *k)
{
	struct timekeeper *t = k->time;
	struct timespec now;
	struct tm tm;
	char date[32];

	timekeeper_read(t, CLOCK_REALTIME, &now);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now.tv_sec, &tm));
	log_info("time: %s, rate %llu.%09llu%s%s", date,
		 (unsigned long long)(t->model.rate / POLICY_RATE_ONE),
		 (unsigned long long)(t->model.rate % POLICY_RATE_ONE),
		 t->model.frozen ? ", frozen" : "", t->settable ? ", settable" : "");
}

int timekeeper_init(struct kernel *k, struct ns_error *err)
{
	struct timekeeper *t;
	int ret;

	if (!policy_clock_on(&k->cfg->policy->clock))
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->page_fd = -1;
	t->tick = (struct event_source){
		.fd = host_result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
		.name = "time",
		.handler = on_tick,
	};
	k->time = t;
	if (t->tick.fd < 0)
		return t->tick.fd;
	ret = time_image_page(t);
	if (ret == 0)
		ret = make_clocks(k, err);
	if (ret == 0)
		ret = time_image_prepare(t, err);
	if (ret == 0)
		ret = event_add(&k->ev, &t->tick, EPOLLIN);
	if (ret == 0)
		ret = deadlines_init(k);
	if (ret == 0)
		log_clocks(k);
	return ret;
}

/* The doors may still be answering: what they use stays until the process ends. */
void timekeeper_exit(struct kernel *k)
{
	struct timekeeper *t = k->time;

	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	cleanup_fd_p(&t->tick.fd);
	t->tick.fd = -1;
	pthread_mutex_unlock(&t->lock);
	log_info("time: of the guest's waits %llu were over at once, %llu redirected, %llu changed in "
		 "place; %llu moved when the clocks changed",
		 (unsigned long long)atomic_load(&t->count.at_once),
		 (unsigned long long)atomic_load(&t->count.redirected),
		 (unsigned long long)atomic_load(&t->count.in_place),
		 (unsigned long long)atomic_load(&t->count.moved));
	log_info("time: of the guest's images %llu read their clocks in the vDSO, %llu had stubs there, "
		 "%llu were left; %llu readings by a call",
		 (unsigned long long)atomic_load(&t->count.changed),
		 (unsigned long long)atomic_load(&t->count.stubbed),
		 (unsigned long long)atomic_load(&t->count.left),
		 (unsigned long long)atomic_load(&t->count.trapped));
}

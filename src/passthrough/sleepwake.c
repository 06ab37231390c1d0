/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake.c - the observer of a guest's tasks
 *
 * Each task that is attached has one event for each CPU; what it forks inherits
 * them, and all events of a CPU write into the ring of that CPU
 * (sleepwake_ring.c). The observer is a thread that reads the rings:
 *
 *   ACTIVE  It drains again and again. How soon is decided by what the last
 *           drain found: DELAY_BUSY while much happens, else when some news are
 *           to be expected, but at most after twice the time of the last wait,
 *           and DELAY_MAX.
 *   ASLEEP  Nothing was written for QUIET and nothing runs. No timer: only a
 *           ring that fills up to its watermark ends this, or kick(). A few
 *           records may then lie in the rings until somebody drains.
 *
 * Where the rings hold whatever may come until then, the observer waits for the
 * time alone: a wake-up by a ring costs the observed CPU, and each end of a task
 * is one.
 *
 * The descriptor of an event hangs up when its task and all that inherited from
 * it have ended; then it is closed. To ask for that eats the ring's news of its
 * watermark, so the observer does it, and drains afterwards.
 */
#include "passthrough/sleepwake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/sleepwake_impl.h"

#define OBSERVER_STACK (256 * 1024)
#define OBSERVER_SLICE 100000	/* ns, the shortest that there is */

#define NSEC_PER_MSEC UINT64_C(1000000)
#define DELAY_MIN NSEC_PER_MSEC
#define DELAY_BUSY (10 * NSEC_PER_MSEC)
#define DELAY_MAX (200 * NSEC_PER_MSEC)
#define DELAY_FOREVER UINT64_MAX
#define QUIET (250 * NSEC_PER_MSEC)	/* without a record, until the observer sleeps */
#define REAP_DELAY (100 * NSEC_PER_MSEC)
#define NEWS_WANTED 16		/* records for which a drain is worth its while */
#define PEAK_RATE 16		/* bytes per us that two tasks write that only wake each other */

/* The events of one sleepwake_attach(), one descriptor for each ring. */
struct attachment {
	struct attachment *next;
	int fd[];
};

struct sleepwake {
	struct sleepwake_config cfg;
	struct rings rings;	/* made and unmade by the observer; read by drains */
	_Atomic bool stopping;
	_Atomic bool resting;	/* without rings */
	_Atomic bool asleep;
	_Atomic uint64_t active_ns;	/* when there last was a record or an attach */
	_Atomic uint64_t wakeups;

	pthread_mutex_t attach_lock;
	struct attachment *attachments;

	pthread_mutex_t lock;	/* one drain at a time, and the fields below */
	uint64_t drained_ns;	/* when the last drain was */
	uint64_t reap_ns;	/* close events of the ended then; 0: none has ended */

	/* the observer's own */
	pthread_t thread;
	int kick;		/* eventfd: ends its sleep */
	struct pollfd *poll;	/* kick, then the rings */

	/* for sleepwake_open() and sleepwake_resume() to wait for */
	pthread_cond_t started;
	int start_result;	/* 1: not yet known */
};

/* ---- attaching ------------------------------------------------------------ */

static void attachment_free(struct attachment *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(a->fd[i]);
	free(a);
}

/* End the observer's sleep, of whatever kind. */
static void wake_observer(struct sleepwake *sw)
{
	uint64_t one = 1;

	host_write(sw->kick, &one, sizeof(one));
}

/* The same, if it sleeps until there is news. active_ns has been set before. */
static void kick(struct sleepwake *sw)
{
	if (atomic_exchange(&sw->asleep, false))
		wake_observer(sw);
}

int sleepwake_attach(struct sleepwake *sw, pid_t tid)
{
	unsigned n = sw->rings.n;
	struct attachment *a = malloc(sizeof(*a) + n * sizeof(a->fd[0]));

	if (!a)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		int fd = ring_attach(&sw->rings.ring[i], tid);

		if (fd < 0) {
			attachment_free(a, i);
			return fd;
		}
		a->fd[i] = fd;
	}
	pthread_mutex_lock(&sw->attach_lock);
	a->next = sw->attachments;
	sw->attachments = a;
	pthread_mutex_unlock(&sw->attach_lock);
	atomic_store(&sw->active_ns, host_now());
	kick(sw);
	return 0;
}

void sleepwake_detach(struct sleepwake *sw)
{
	struct attachment *a;

	pthread_mutex_lock(&sw->attach_lock);
	while ((a = sw->attachments) != NULL) {
		sw->attachments = a->next;
		attachment_free(a, sw->rings.n);
	}
	pthread_mutex_unlock(&sw->attach_lock);
}

/* Close the events of tasks that have ended and have left no heirs. */
static void reap(struct sleepwake *sw)
{
	struct attachment **pa = &sw->attachments, *a;

	pthread_mutex_lock(&sw->attach_lock);
	while ((a = *pa) != NULL) {
		struct pollfd p = { .fd = a->fd[0] };

		if (poll(&p, 1, 0) == 1 && (p.revents & POLLHUP)) {
			*pa = a->next;
			attachment_free(a, sw->rings.n);
		} else {
			pa = &a->next;
		}
	}
	pthread_mutex_unlock(&sw->attach_lock);
}

/* ---- draining --------------------------------------------------------------- */

/* What a drain found, and in how long a time that has come together. */
struct yield {
	struct drained d;
	uint64_t elapsed;
	bool rest;	/* nothing, no guest task runs, and nothing is left to be done */
};

static struct yield drain(struct sleepwake *sw)
{
	struct yield y;
	uint64_t now;

	pthread_mutex_lock(&sw->lock);
	rings_drain(&sw->rings, &sw->cfg, &y.d);
	now = host_now();
	if (y.d.records)
		atomic_store(&sw->active_ns, now);
	if (y.d.ended && !sw->reap_ns)
		sw->reap_ns = now + REAP_DELAY;
	y.elapsed = now - sw->drained_ns;
	y.rest = !y.d.records && !sw->reap_ns && !rings_busy(&sw->rings);
	sw->drained_ns = now;
	if (sw->cfg.drained)
		sw->cfg.drained(sw->cfg.ctx, now, y.d.records);
	pthread_mutex_unlock(&sw->lock);
	return y;
}

void sleepwake_drain(struct sleepwake *sw)
{
	if (drain(sw).d.records)
		kick(sw);
}

unsigned sleepwake_cpus(const struct sleepwake *sw)
{
	return sw->rings.n;
}

uint64_t sleepwake_wakeups(const struct sleepwake *sw)
{
	return atomic_load(&sw->wakeups);
}

/* ---- the observer ------------------------------------------------------------- */

static bool quiet(const struct sleepwake *sw)
{
	return host_now() - atomic_load(&sw->active_ns) >= QUIET;
}

/* Has the time come to close events? Lock not held. */
static bool reap_due(struct sleepwake *sw)
{
	bool due;

	pthread_mutex_lock(&sw->lock);
	due = sw->reap_ns && host_now() >= sw->reap_ns;
	if (due)
		sw->reap_ns = 0;
	pthread_mutex_unlock(&sw->lock);
	return due;
}

/* How long may we leave the rings alone, after what the last drain found? */
static uint64_t next_delay(const struct sleepwake *sw, uint64_t last, const struct yield *y)
{
	uint64_t half = sw->rings.ring[0].size / 2, delay = MIN(last * 2, DELAY_MAX);

	if (y->rest && quiet(sw))
		return DELAY_FOREVER;
	if (y->d.news)
		delay = MIN(delay, MAX(y->elapsed * NEWS_WANTED / y->d.news, DELAY_BUSY));
	if (y->d.most)
		delay = MIN(delay, y->elapsed / 1000 * half / y->d.most * 1000);
	return MAX(delay, DELAY_MIN);
}

static void wait_for_time(struct sleepwake *sw, uint64_t delay)
{
	struct timespec ts = { .tv_nsec = delay };
	uint64_t room = sw->rings.ring[0].size / 4 * 3;
	bool blind = delay / 1000 * PEAK_RATE < room;

	ppoll(sw->poll, blind ? 1 : sw->rings.n + 1, &ts, NULL);
}

static void wait_for_news(struct sleepwake *sw)
{
	uint64_t n;

	atomic_store(&sw->asleep, true);
	/* Watermarks that were passed before the last drain are no news. What has
	 * been written since then, or an attach, is. */
	poll(sw->poll, sw->rings.n + 1, 0);
	if (!rings_pending(&sw->rings) && quiet(sw) && !atomic_load(&sw->stopping))
		poll(sw->poll, sw->rings.n + 1, -1);
	if (!atomic_exchange(&sw->asleep, false))
		host_read(sw->kick, &n, sizeof(n));
}

static int observer_init(struct sleepwake *sw)
{
	unsigned n;
	int ret = rings_open(&sw->rings, host_call(SYS_gettid), &sw->cfg);

	if (ret < 0)
		return ret;
	n = sw->rings.n;
	free(sw->poll);
	sw->poll = calloc(n + 1, sizeof(*sw->poll));
	if (!sw->poll)
		return -ENOMEM;
	sw->poll[0] = (struct pollfd){ .fd = sw->kick, .events = POLLIN };
	for (unsigned i = 0; i < n; i++)
		sw->poll[i + 1] = (struct pollfd){ .fd = sw->rings.ring[i].fd, .events = POLLIN };
	sw->drained_ns = host_now();
	atomic_store(&sw->active_ns, sw->drained_ns);
	return 0;
}

static void tell_started(struct sleepwake *sw, int result)
{
	sw->start_result = result;
	pthread_cond_signal(&sw->started);
}

/* Lock held. */
static bool come_back(struct sleepwake *sw)
{
	int ret = observer_init(sw);

	if (ret < 0) {
		rings_close(&sw->rings);
		atomic_store(&sw->resting, true);
	}
	tell_started(sw, ret);
	return ret == 0;
}

/* Without rings: until sleepwake_resume() has new ones, or the end. */
static void stay_away(struct sleepwake *sw)
{
	bool back = false;	/* told under the lock: resting may change behind it */

	pthread_mutex_lock(&sw->lock);
	rings_close(&sw->rings);
	tell_started(sw, 0);
	pthread_mutex_unlock(&sw->lock);
	while (!back && !atomic_load(&sw->stopping)) {
		uint64_t n;

		host_read(sw->kick, &n, sizeof(n));
		pthread_mutex_lock(&sw->lock);
		if (!atomic_load(&sw->resting))
			back = come_back(sw);
		pthread_mutex_unlock(&sw->lock);
	}
}

static void observe(struct sleepwake *sw)
{
	uint64_t delay = DELAY_MIN;

	while (!atomic_load(&sw->stopping)) {
		struct yield y;

		if (atomic_load(&sw->resting)) {
			stay_away(sw);
			delay = DELAY_MIN;
			continue;
		}
		if (delay == DELAY_FOREVER) {
			wait_for_news(sw);
			delay = DELAY_MIN / 2;
		} else {
			wait_for_time(sw, delay);
		}
		atomic_fetch_add(&sw->wakeups, 1);
		if (reap_due(sw))
			reap(sw);
		y = drain(sw);
		delay = next_delay(sw, delay, &y);
	}
}

/*
 * Never to preempt what is observed, but to be the next when a CPU's slice ends,
 * however many wait: that is what a short slice of one's own does (Linux 6.12;
 * others take no notice). Without either we only disturb or lose more.
 */
static void observer_sched(void)
{
	const struct {	/* struct sched_attr, its first version; see sched_setattr(2) */
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = { .size = sizeof(attr), .policy = SCHED_BATCH, .runtime = OBSERVER_SLICE };

	host_call(SYS_sched_setattr, 0, &attr, 0);
}

static void *observer_thread(void *arg)
{
	struct sleepwake *sw = arg;
	int ret;

	prctl(PR_SET_NAME, "sleepwake");
	observer_sched();
	ret = observer_init(sw);
	pthread_mutex_lock(&sw->lock);
	tell_started(sw, ret);
	pthread_mutex_unlock(&sw->lock);
	if (ret == 0)
		observe(sw);
	return NULL;
}

/* Return: 0 with an observer that runs, or why it cannot. */
static int observer_start(struct sleepwake *sw)
{
	int ret = host_thread(&sw->thread, OBSERVER_STACK, observer_thread, sw);

	if (ret < 0)
		return ret;
	pthread_mutex_lock(&sw->lock);
	while (sw->start_result == 1)
		pthread_cond_wait(&sw->started, &sw->lock);
	pthread_mutex_unlock(&sw->lock);
	if (sw->start_result < 0)
		pthread_join(sw->thread, NULL);
	return sw->start_result;
}

/* The observer has nobody to wait for but us. */
static int change_rest(struct sleepwake *sw, bool resting)
{
	int ret;

	pthread_mutex_lock(&sw->lock);
	sw->start_result = 1;
	atomic_store(&sw->resting, resting);
	wake_observer(sw);
	while (sw->start_result == 1)
		pthread_cond_wait(&sw->started, &sw->lock);
	ret = sw->start_result;
	pthread_mutex_unlock(&sw->lock);
	return ret;
}

void sleepwake_rest(struct sleepwake *sw)
{
	change_rest(sw, true);
}

int sleepwake_resume(struct sleepwake *sw)
{
	return change_rest(sw, false);
}

static void destroy(struct sleepwake *sw)
{
	sleepwake_detach(sw);
	rings_close(&sw->rings);
	free(sw->poll);
	if (sw->kick >= 0)
		close(sw->kick);
	pthread_cond_destroy(&sw->started);
	pthread_mutex_destroy(&sw->attach_lock);
	pthread_mutex_destroy(&sw->lock);
	free(sw);
}

int sleepwake_open(const struct sleepwake_config *cfg, struct sleepwake **ret)
{
	struct sleepwake *sw = calloc(1, sizeof(*sw));
	int err;

	if (!sw)
		return -ENOMEM;
	sw->cfg = *cfg;
	sw->start_result = 1;
	pthread_mutex_init(&sw->attach_lock, NULL);
	pthread_mutex_init(&sw->lock, NULL);
	pthread_cond_init(&sw->started, NULL);
	sw->kick = host_result(eventfd(0, EFD_CLOEXEC));
	err = sw->kick < 0 ? sw->kick : observer_start(sw);
	if (err < 0) {
		destroy(sw);
		return err;
	}
	log_info("sleepwake: %u rings of %llu KiB", sw->rings.n,
		 (unsigned long long)sw->rings.ring[0].size >> 10);
	*ret = sw;
	return 0;
}

void sleepwake_close(struct sleepwake *sw)
{
	if (!sw)
		return;
	atomic_store(&sw->stopping, true);
	wake_observer(sw);
	pthread_join(sw->thread, NULL);
	destroy(sw);
}

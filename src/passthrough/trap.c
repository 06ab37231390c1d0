/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap.c - the trap door: where stopped calls are answered
 *
 * Notifications are made with WAIT_KILLABLE_RECV: from RECV on only a fatal
 * signal takes the caller away, so no call is done twice. A caller that dies
 * makes the reply fail with ENOENT, and that is all.
 *
 * Threads. A receiver is a thread that is in RECV, or answers and will soon be
 * back there. d->receivers counts them, d->wanted says how many there shall be:
 * one, or up to one for each CPU while callers queue up. A thread whose call is
 * slow stops being a receiver, and another takes its place; when it is done it
 * becomes one again if one is wanted, else it is parked for the next time.
 */
#include "passthrough/trap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"
#include "passthrough/recorder.h"
#include "passthrough/trap_impl.h"

#define DOOR_STACK (128 * 1024)
#define DOOR_STOP_SIGNAL SIGUSR1	/* interrupts RECV of a thread that shall end */

/* Linux 6.6; not in Debian 12's headers. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

static int listener_ioctl(const struct door *d, unsigned long request, void *arg)
{
	return host_result(ioctl(d->cfg.listener, request, arg));
}

bool call_valid(const struct call *c)
{
	uint64_t id = c->id;

	return listener_ioctl(c->door, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* Return: 0, or the negative errno that the host answered with. -ENOENT: the
 * caller is gone. */
static int send_fd(const struct call *c)
{
	struct seccomp_notif_addfd add = {
		.id = c->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = c->fd,
		.newfd_flags = c->fd_cloexec ? O_CLOEXEC : 0,
	};
	int ret = listener_ioctl(c->door, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	close(c->fd);
	return ret < 0 ? ret : 0;
}

static int send_value(const struct call *c, long value)
{
	struct seccomp_notif_resp resp = { .id = c->id };

	if (c->reply == REPLY_CONTINUE)
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (value < 0)
		resp.error = value;
	else
		resp.val = value;
	return listener_ioctl(c->door, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

int call_answer(struct call *c, long value)
{
	value = send_value(c, value);
	c->reply = REPLY_SENT;
	return value;
}

static void answer(struct call *c, long value)
{
	int ret;

	if (c->reply == REPLY_SENT)
		return;
	if (c->reply != REPLY_FD) {
		send_value(c, value);
		return;
	}
	ret = send_fd(c);
	if (ret == 0 || ret == -ENOENT)
		return;
	/* The task's table is full, or its limit: the call fails with that. */
	c->reply = REPLY_VALUE;
	send_value(c, ret);
}

/* What the filter would have done, to a caller that is surely the one that called. */
static void kill_caller(const struct call *c)
{
	cleanup_fd int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", c->tid);
	fd = host_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0 && call_valid(c))
		host_pidfd_kill(fd, SIGKILL);
}

/* Calls that pass, are denied or kill come here only when all calls are observed. */
static long answer_of(const struct door *d, struct call *c)
{
	switch (c->rule->lane) {
	case LANE_PASS:
	case LANE_WATCH:
		return call_continue(c, "watch is for study: the policy passes the call");
	case LANE_DENY:
		return -c->rule->err;
	case LANE_KILL:
		kill_caller(c);
		return -EPERM;
	default:
		return d->cfg.handler(d->cfg.ctx, c);
	}
}

/* Return: has the thread given up its place as a receiver? */
static bool serve(struct door *d, const struct seccomp_notif *n)
{
	struct call c = {
		.door = d,
		.id = n->id,
		.tid = n->pid,
		.nr = n->data.nr,
		.ip = n->data.instruction_pointer,
	};
	uint64_t start = host_now();
	long value = 0;

	memcpy(c.arg, n->data.args, sizeof(c.arg));
	c.rule = lanes_lookup(d->cfg.lanes, n->data.arch, c.nr, c.arg);
	if (d->cfg.recorder)
		recorder_note(d->cfg.recorder, &c);
	/* pid 0: a task outside our pid namespace, which no guest task is. */
	value = c.tid ? answer_of(d, &c) : -ENOSYS;
	if (!c.slow)
		atomic_fetch_add_explicit(&d->handled, 1, memory_order_relaxed);
	answer(&c, value);
	trap_count(&d->cfg.counter[c.rule->id], host_now() - start,
		   c.reply == REPLY_VALUE && value < 0);
	return c.slow;
}

/* ---- threads ----------------------------------------------------------- */

static void *door_thread(void *arg);

/* d->lock held */
static int start_thread(struct door *d)
{
	pthread_t *thread = &d->thread[d->nthreads];
	int ret;

	if (d->nthreads == DOOR_MAX_THREADS)
		return -EAGAIN;
	ret = host_thread(thread, DOOR_STACK, door_thread, d);
	if (ret < 0)
		return ret;
	pthread_detach(*thread);
	d->nthreads++;
	return 0;
}

/* Become a receiver if one is wanted. */
static bool claim(struct door *d)
{
	int n = atomic_load(&d->receivers);

	while (n < atomic_load(&d->wanted))
		if (atomic_compare_exchange_weak(&d->receivers, &n, n + 1))
			return true;
	return false;
}

/* A receiver is missing: wake a parked thread or start one. */
void door_fill_place(struct door *d)
{
	pthread_mutex_lock(&d->lock);
	if (atomic_load(&d->stopping) || atomic_load(&d->receivers) >= atomic_load(&d->wanted))
		;
	else if (d->nparked)
		pthread_cond_signal(&d->unpark);
	else
		start_thread(d); /* without a place the next caller waits its turn */
	pthread_mutex_unlock(&d->lock);
}

/* The calling thread leaves the door; lock held, and released. */
static void leave(struct door *d)
{
	for (unsigned i = 0; i < d->nthreads; i++) {
		if (pthread_equal(d->thread[i], pthread_self())) {
			d->thread[i] = d->thread[--d->nthreads];
			break;
		}
	}
	pthread_cond_signal(&d->ended);
	pthread_mutex_unlock(&d->lock);
}

/* Not a receiver: wait to be one. Return: false if the thread shall end. */
static bool park(struct door *d)
{
	bool parked = false, claimed = false;

	pthread_mutex_lock(&d->lock);
	while (!atomic_load(&d->stopping) && !(claimed = claim(d))) {
		if (!parked && d->nparked >= DOOR_MAX_PARKED)
			break;
		d->nparked += !parked;
		parked = true;
		pthread_cond_wait(&d->unpark, &d->lock);
	}
	d->nparked -= parked;
	if (claimed)
		pthread_mutex_unlock(&d->lock);
	else
		leave(d);
	return claimed;
}

void call_slow(struct call *c)
{
	if (c->slow)
		return;
	c->slow = true;
	atomic_fetch_add_explicit(&c->door->handled, 1, memory_order_relaxed);
	atomic_fetch_sub(&c->door->receivers, 1);
	door_fill_place(c->door);
}

/* Return: 0 with a notification, -ENOENT for "try again", else the end. */
static int receive(struct door *d, struct seccomp_notif *n)
{
	int ret;

	memset(n, 0, sizeof(*n));	/* the host refuses anything else */
	ret = listener_ioctl(d, SECCOMP_IOCTL_NOTIF_RECV, n);
	if (ret == -EINTR)
		return -ENOENT;
	if (ret == -ENOENT) {
		/* A caller that died early, or (newer hosts) nobody left. */
		struct pollfd p = { .fd = d->cfg.listener };

		return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) ? -EPIPE : -ENOENT;
	}
	return ret;
}

/* Counted by all receivers; a lost turn matters to nobody. */
static void note_received(struct door *d, pid_t tid)
{
	atomic_fetch_add_explicit(&d->serial, 1, memory_order_relaxed);
	if (atomic_load_explicit(&d->last_tid, memory_order_relaxed) == tid)
		return;
	atomic_store_explicit(&d->last_tid, tid, memory_order_relaxed);
	atomic_fetch_add_explicit(&d->turns, 1, memory_order_relaxed);
}

/* A receiver, until its place is given up. */
static void *door_thread(void *arg)
{
	struct door *d = arg;
	struct seccomp_notif n;
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, DOOR_STOP_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL);
	while (park(d)) {
		bool receiver = true;

		while (receiver && !atomic_load(&d->stopping)) {
			int ret = receive(d, &n);

			if (ret == 0) {
				note_received(d, n.pid);
				trap_watchdog_wake();
				receiver = !serve(d, &n);
			} else if (ret != -ENOENT) {
				atomic_store(&d->stopping, true);
			}
			/* One too many, after a rush is over. */
			if (receiver && atomic_load(&d->receivers) > atomic_load(&d->wanted)) {
				atomic_fetch_sub(&d->receivers, 1);
				receiver = false;
			}
		}
		if (receiver)
			atomic_fetch_sub(&d->receivers, 1);
	}
	return NULL;
}

/* ---- the door ----------------------------------------------------------- */

static void stop_signal(int sig)
{
}

int door_open(const struct door_config *cfg, struct door **ret)
{
	struct sigaction sa = { .sa_handler = stop_signal };
	struct door *d = calloc(1, sizeof(*d));
	int err;

	if (!d) {
		close(cfg->listener);
		return -ENOMEM;
	}
	d->cfg = *cfg;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->ended, NULL);
	sigaction(DOOR_STOP_SIGNAL, &sa, NULL);
	d->sync_wakeup = host_result(ioctl(cfg->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
					   SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)) == 0;
	atomic_store(&d->wanted, 1);
	pthread_cond_init(&d->unpark, NULL);
	pthread_mutex_lock(&d->lock);
	err = start_thread(d);
	pthread_mutex_unlock(&d->lock);
	if (err == 0)
		err = trap_watchdog_add(d);
	*ret = d;
	if (err < 0) {
		door_close(d);
		*ret = NULL;
	}
	return err;
}

void door_close(struct door *d)
{
	struct timespec ts;

	if (!d)
		return;
	trap_watchdog_remove(d);
	atomic_store(&d->stopping, true);
	pthread_mutex_lock(&d->lock);
	while (d->nthreads) {
		pthread_cond_broadcast(&d->unpark);
		/* Again and again: a thread may be just about to enter RECV. */
		for (unsigned i = 0; i < d->nthreads; i++)
			pthread_kill(d->thread[i], DOOR_STOP_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 2000000;
		if (ts.tv_nsec >= (long)NSEC_PER_SEC) {
			ts.tv_nsec -= NSEC_PER_SEC;
			ts.tv_sec++;
		}
		pthread_cond_timedwait(&d->ended, &d->lock, &ts);
	}
	pthread_mutex_unlock(&d->lock);
	close(d->cfg.listener);
	pthread_cond_destroy(&d->ended);
	pthread_cond_destroy(&d->unpark);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

int door_listener(const struct door *d)
{
	return d->cfg.listener;
}

bool door_sync_wakeup(const struct door *d)
{
	return d->sync_wakeup;
}

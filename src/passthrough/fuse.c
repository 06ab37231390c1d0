/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse.c - the FUSE transport
 *
 * libfuse's session without its loops: they know nothing of where their callers
 * run. The host wakes either side wherever a CPU is idle, and waking an idle
 * CPU costs ten times what an answer does. So while one task asks again and
 * again, another thread answers in place of the usual one: bound to the task's
 * CPU, and SCHED_IDLE, which makes the host take the CPU that it runs on for a
 * free one, and leave the task there. As that thread may starve on a busy CPU,
 * and an ordinary user's can never be anything better again, the usual one is
 * back after HOT_NS without a request, and with the first that comes late or
 * from somebody else.
 *
 *   far    waits for requests           near  waits for its turn
 *          sees one task ask in a row ------> binds itself, waits for requests
 *          looks every HOT_NS <-------------- somebody else asks, or nobody
 */
#define FUSE_USE_VERSION 314
#include "passthrough/fuse.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define FUSE_MAX_THREADS 16
#define READ_BATCH 64
#define HOT_NS 4000000		/* without a request, and far is back */
#define HOT_STREAK 3		/* requests of one task in a row, and near begins */
#define SOON_NS 500000		/* what "in a row" means */
#define NEAR_NS 20000		/* a task on near's CPU is back sooner */

struct fuse_server {
	struct fuse_session *session;
	struct fuse_server_config cfg;
	pthread_t thread[FUSE_MAX_THREADS];	/* one: far */
	unsigned nthreads;
	struct fuse_buf buf;			/* of fuse_server_read() */

	/* With one thread that follows its callers: */
	bool follows;
	pthread_mutex_t turn;		/* held for each request: there is one at a time */
	cpu_set_t all;			/* where we may run */
	pid_t tid;			/* who asked last */
	unsigned streak;
	_Atomic uint64_t answered_ns;

	pthread_mutex_t lock;		/* of what follows; after turn */
	pthread_cond_t change;		/* of near or end */
	pthread_t near_thread;
	bool has_near;			/* it was started */
	bool near;			/* it is near's turn to wait for requests */
	int cpu;			/* where near belongs */
	bool end;
};

/* ---- who answers ------------------------------------------------------- */

static void *serve_near(void *server);

static void set_near(struct fuse_server *s, bool near, int cpu)
{
	pthread_mutex_lock(&s->lock);
	if (near && !s->has_near)
		near = s->has_near = pthread_create(&s->near_thread, NULL, serve_near, s) == 0;
	s->near = near;
	if (near)
		s->cpu = cpu;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
}

/* A request of @tid has come. */
static void follow(struct fuse_server *s, pid_t tid)
{
	uint64_t gap = host_now() - atomic_load(&s->answered_ns);
	int cpu;

	if (tid != s->tid || gap > SOON_NS) {
		if (s->streak >= HOT_STREAK)
			set_near(s, false, -1);
		s->tid = tid;
		s->streak = 0;
		return;
	}
	if (++s->streak < HOT_STREAK || gap < NEAR_NS)
		return;
	cpu = s->cfg.cpu_of(s->cfg.ctx, tid);
	if (cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET(cpu, &s->all))
		set_near(s, true, cpu);
}

/* Far's side: until it is its turn. */
static void await_far(struct fuse_server *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->near && !s->end) {
		struct timespec until = timespec_of(host_now() + HOT_NS);

		if (pthread_cond_timedwait(&s->change, &s->lock, &until) &&
		    host_now() - atomic_load(&s->answered_ns) > HOT_NS)
			s->near = false;
	}
	pthread_mutex_unlock(&s->lock);
}

/* Near's side. Return: the CPU to be on, -1 at the end. */
static int await_near(struct fuse_server *s)
{
	int cpu;

	pthread_mutex_lock(&s->lock);
	while (!s->near && !s->end)
		pthread_cond_wait(&s->change, &s->lock);
	cpu = s->end ? -1 : s->cpu;
	pthread_mutex_unlock(&s->lock);
	return cpu;
}

/* ---- requests ---------------------------------------------------------- */

static int receive(struct fuse_server *s, struct fuse_buf *buf)
{
	int ret, old;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	ret = fuse_session_receive_buf(s->session, buf);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	return ret;
}

/* RELEASE comes from the host on nobody's behalf. */
static pid_t asker(const struct fuse_buf *buf)
{
	const struct fuse_in_header *h = buf->mem;

	if (buf->size < sizeof(*h) || (buf->flags & FUSE_BUF_IS_FD) || h->opcode == FUSE_RELEASE)
		return 0;
	return h->pid;
}

static void answer(struct fuse_server *s, struct fuse_buf *buf)
{
	if (!s->follows) {
		fuse_session_process_buf(s->session, buf);
		return;
	}
	pthread_mutex_lock(&s->turn);
	if (asker(buf))
		follow(s, asker(buf));
	fuse_session_process_buf(s->session, buf);
	atomic_store(&s->answered_ns, host_now());
	pthread_mutex_unlock(&s->turn);
}

/* Receive one request and answer it. Return: false when there will be no more:
 * the file system was unmounted with the guest's mount namespace. */
static bool serve_one(struct fuse_server *s, struct fuse_buf *buf)
{
	int ret = receive(s, buf);

	if (ret == -EINTR || ret == -EAGAIN)
		return true;
	if (ret <= 0)
		return false;
	answer(s, buf);
	return true;
}

static void free_buf(void *buf)
{
	free(((struct fuse_buf *)buf)->mem);
}

static void *serve(void *server)
{
	struct fuse_server *s = server;
	struct fuse_buf buf = {};
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_cleanup_push(free_buf, &buf);
	do {
		if (s->follows)
			await_far(s);
	} while (!fuse_session_exited(s->session) && serve_one(s, &buf));
	pthread_cleanup_pop(1);
	return NULL;
}

static void serve_bound(struct fuse_server *s, struct fuse_buf *buf)
{
	int bound = -1, cpu;

	do {
		cpu = await_near(s);
		if (cpu >= 0 && cpu != bound) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(cpu, &set);
			host_result(sched_setaffinity(0, sizeof(set), &set));
			bound = cpu;
		}
	} while (cpu >= 0 && serve_one(s, buf));
}

static void *serve_near(void *server)
{
	const struct sched_param idle = {};
	struct fuse_buf buf = {};
	int old;

	pthread_setname_np(pthread_self(), "weir-fuse-near");
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	host_result(sched_setscheduler(0, SCHED_IDLE, &idle));
	pthread_cleanup_push(free_buf, &buf);
	serve_bound(server, &buf);
	pthread_cleanup_pop(1);
	return NULL;
}

bool fuse_server_read(struct fuse_server *s)
{
	/* Some, not all: the caller's other events have their turn. */
	for (int i = 0; i < READ_BATCH && !fuse_session_exited(s->session); i++) {
		int ret = fuse_session_receive_buf(s->session, &s->buf);

		if (ret == -EAGAIN)
			return true;
		if (ret == -EINTR)
			continue;
		if (ret <= 0)
			return false;
		fuse_session_process_buf(s->session, &s->buf);
	}
	return !fuse_session_exited(s->session);
}

int fuse_server_fd(const struct fuse_server *s)
{
	return fuse_session_fd(s->session);
}

int fuse_server_store(struct fuse_server *s, uint64_t ino, const void *data, size_t len)
{
	struct fuse_bufvec vec = FUSE_BUFVEC_INIT(len);

	vec.buf[0].mem = (void *)data;
	return fuse_lowlevel_notify_store(s->session, ino, 0, &vec, 0);
}

/* ---- start and stop ---------------------------------------------------- */

static void __attribute__((format(printf, 2, 0)))
log_library(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[LOG_LINE];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("fuse: %s", text);
}

static int open_session(struct fuse_server *s)
{
	char *argv[] = { (char *)"weir", NULL }, path[32];
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	fuse_set_log_func(log_library);
	s->session = fuse_session_new(&args, s->cfg.ops, s->cfg.ops_size, s->cfg.ctx);
	fuse_opt_free_args(&args);
	if (!s->session)
		return -ENOMEM;
	/* The library's way to be given a device that is mounted. */
	snprintf(path, sizeof(path), "/dev/fd/%d", s->cfg.device);
	return fuse_session_mount(s->session, path) == 0 ? 0 : -EIO;
}

static void locks_init(struct fuse_server *s)
{
	pthread_mutex_init(&s->turn, NULL);
	pthread_mutex_init(&s->lock, NULL);
	host_cond_init(&s->change);
}

static int start_threads(struct fuse_server *s, unsigned n)
{
	s->follows = n == 1 && s->cfg.cpu_of &&
		     host_result(sched_getaffinity(0, sizeof(s->all), &s->all)) >= 0;
	for (; s->nthreads < n; s->nthreads++) {
		int ret = pthread_create(&s->thread[s->nthreads], NULL, serve, s);

		if (ret)
			return -ret;
		pthread_setname_np(s->thread[s->nthreads], "weir-fuse");
	}
	return 0;
}

int fuse_server_start(const struct fuse_server_config *cfg, struct fuse_server **ret_s)
{
	struct fuse_server *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		close(cfg->device);
		return -ENOMEM;
	}
	s->cfg = *cfg;
	ret = open_session(s);
	if (ret < 0) {
		close(cfg->device);
		if (s->session)
			fuse_session_destroy(s->session);
		free(s);
		return ret;
	}
	locks_init(s);
	if (cfg->threads == 0)
		host_result(fcntl(fuse_session_fd(s->session), F_SETFL, O_NONBLOCK));
	*ret_s = s;
	ret = start_threads(s, MIN(cfg->threads, (unsigned)FUSE_MAX_THREADS));
	if (ret < 0) {
		*ret_s = NULL;
		fuse_server_stop(s);
	}
	return ret;
}

static void end_thread(pthread_t t)
{
	pthread_cancel(t);	/* in receive(), or at its next */
	pthread_join(t, NULL);
}

void fuse_server_stop(struct fuse_server *s)
{
	if (!s)
		return;
	fuse_session_exit(s->session);
	pthread_mutex_lock(&s->lock);
	s->end = true;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nthreads; i++)
		end_thread(s->thread[i]);
	if (s->has_near)
		end_thread(s->near_thread);
	free(s->buf.mem);
	/* Closes the device. */
	fuse_session_destroy(s->session);
	pthread_cond_destroy(&s->change);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->turn);
	free(s);
}

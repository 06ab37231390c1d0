/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_work.c - weir mem: a guest's memory plugged, unplugged, released
 *
 * The host asks with an amount, a type and a deadline (the 2002 paper, section
 * 6); the guest kernel has what it can taken back, in small steps until the
 * deadline, and answers what it got, why that is not all, and what more would
 * cost. A signal ends the step that is under way at the deadline.
 *
 * "Hard" memory is never touched: what processes have written to memory of
 * their own, tmpfs, the host kernel's. With the floor it is what stays.
 */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/kernel.h"
#include "kernel/log.h"
#include "kernel/machine/machine.h"
#include "kernel/memory/memory_impl.h"
#include "kernel/sched.h"
#include "kernel/util.h"
#include "mmu/merge.h"
#include "passthrough/hostcall.h"

#define STEP_BYTES (UINT64_C(8) << 20)	/* taken back at once */
#define LEAST_STEP (UINT64_C(1) << 20)
#define SLACK_PART 16			/* of what is hard: room for what comes next */
#define SLACK_LEAST (UINT64_C(4) << 20)
#define MAX_DEADLINE_MS 600000

const char *const memory_type_str[MEMORY_NUM_TYPES] = {
	[MEMORY_ANY] = "any",
	[MEMORY_CLEAN] = "clean",
	[MEMORY_DIRTY] = "dirty",
};

/* ---- what there is ---------------------------------------------------------- */

void memory_kinds(struct memory *m, struct memory_kinds *ret)
{
	struct machine_memory stat;
	char text[8192] = "";
	uint64_t cache, used;

	if (m->strict) {
		used = strict_used(m->strict);
		*ret = (struct memory_kinds){ .used = used, .hard = used };
		return;
	}
	used = cgroup_memory_used(&m->kernel->cgroup);
	cgroup_memory_stat(&m->kernel->cgroup, text, sizeof(text));
	machine_memory_stat(text, UINT64_MAX, used, &stat);
	cache = stat.active_file + stat.inactive_file;
	cache = MIN(cache, used);
	ret->used = used;
	ret->dirty = MIN(stat.dirty + stat.writeback, cache);
	ret->clean = cache - ret->dirty;
	ret->hard = used - cache;
}

/* ---- the worker --------------------------------------------------------------- */

static bool give_up(const struct memory *m)
{
	return atomic_load(&m->cancel) || host_now() >= m->work.deadline_ns;
}

/* What must stay of the guest: no less than the floor, no less than cannot be had,
 * with some room, so that the guest's next page is not its last. */
static uint64_t least_limit(struct memory *m)
{
	struct memory_kinds have;

	memory_kinds(m, &have);
	if (!m->strict)
		have.hard += MAX(have.hard / SLACK_PART, SLACK_LEAST);
	return (MAX(m->floor, have.hard) + 4095) & ~UINT64_C(4095);
}

static void plug(struct memory *m)
{
	struct memory_work *w = &m->work;

	memory_take_back(m);
	if (memory_set_limit(m, atomic_load(&m->limit) + w->bytes, false) == 0)
		w->got_bytes = w->bytes;
	else
		w->why = "refused";
}

static void shrink(struct memory *m, uint64_t target, bool soft)
{
	struct memory_work *w = &m->work;
	uint64_t limit = atomic_load(&m->limit), step = STEP_BYTES;

	while (limit > target && !w->why) {
		uint64_t least = least_limit(m);
		uint64_t next = MAX(MAX(target, least), limit - MIN(limit, step));
		int ret;

		if (next >= limit) {
			w->why = "floor";
			break;
		}
		ret = give_up(m) ? -EINTR : memory_set_limit(m, next, soft);
		if (ret == 0) {
			w->got_bytes += limit - next;
			limit = next;
		} else if (ret == -EBUSY && step > LEAST_STEP) {
			step /= 2;
		} else {
			w->why = ret == -ECANCELED ? "needed" :
				 ret == -EINTR || give_up(m) ? "deadline" : "nothing left";
		}
	}
}

static void unplug(struct memory *m)
{
	uint64_t limit;

	memory_take_back(m);
	limit = atomic_load(&m->limit);
	shrink(m, m->work.bytes < limit ? limit - m->work.bytes : 0, false);
}

/* To so much in all, more or less than now. What is got is what changes. */
static void lend(struct memory *m)
{
	struct memory_work *w = &m->work;
	uint64_t whole = atomic_load(&m->whole), limit = atomic_load(&m->limit);
	uint64_t target = MIN(w->bytes, whole);

	if (target < limit) {
		atomic_store(&m->lent, true);
		shrink(m, target, true);
	} else if (target > limit) {
		if (memory_set_limit(m, target, true) == 0)
			w->got_bytes = target - limit;
		else
			w->why = "refused";
	}
	/* Nothing was got: nothing is lent. */
	if (atomic_load(&m->limit) >= atomic_load(&m->whole))
		memory_take_back(m);
}

/* How much of it may go: what is of the type, down to the floor. */
static uint64_t releasable(struct memory *m, const struct memory_kinds *have)
{
	uint64_t kind = m->work.type == MEMORY_CLEAN ? have->clean : have->clean + have->dirty;

	return MIN(kind, have->used > m->floor ? have->used - m->floor : 0);
}

static void release(struct memory *m)
{
	struct memory_work *w = &m->work;
	struct memory_kinds before, now;
	uint64_t step = STEP_BYTES;

	memory_kinds(m, &before);
	for (now = before; !w->why;) {
		uint64_t gone = before.used > now.used ? before.used - now.used : 0;
		uint64_t left = releasable(m, &now);
		int ret;

		w->got_bytes = gone;
		if (gone >= w->bytes)
			break;
		if (left < LEAST_STEP) {
			w->why = now.used <= m->floor + LEAST_STEP ? "floor" : "nothing left";
			break;
		}
		ret = give_up(m) ? -EINTR :
				   cgroup_memory_reclaim(&m->kernel->cgroup,
							 MIN(MIN(step, left), w->bytes - gone));
		memory_kinds(m, &now);
		if (ret == -EAGAIN && step > LEAST_STEP)
			step /= 2;
		else if (ret < 0)
			w->why = ret == -EINTR ? "deadline" : ret == -EAGAIN ? "nothing left" : "refused";
	}
	atomic_fetch_add(&m->released, w->got_bytes);
}

/* ---- the answer ---------------------------------------------------------------- */

struct sizes {
	uint64_t pss, shared, unique, merged;
};

/* "Name:   N kB" lines of /proc/PID/smaps_rollup, proc_pid_smaps(5). */
static uint64_t rollup_bytes(const char *text, const char *name)
{
	const char *line = strstr(text, name);

	return line ? strtoull(line + strlen(name), NULL, 10) << 10 : 0;
}

static void add_sizes(const struct usage_process *p, struct sizes *sum)
{
	char path[64], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)p->tid);
	if (host_read_file(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	sum->pss += rollup_bytes(text, "\nPss:");
	sum->shared += rollup_bytes(text, "\nShared_Clean:") + rollup_bytes(text, "\nShared_Dirty:");
	sum->unique += rollup_bytes(text, "\nPrivate_Clean:") +
		       rollup_bytes(text, "\nPrivate_Dirty:");
	sum->merged += merge_bytes(p->pid);
}

static json_t *sizes_json(struct memory *m)
{
	struct usage u = {};
	struct sizes sum = {};

	memory_count(m->kernel, &u);
	for (unsigned i = 0; i < u.n; i++)
		add_sizes(&u.process[i], &sum);
	usage_clear(&u);
	return json_pack("{s:I, s:I, s:I, s:I}", "proportional_bytes", (json_int_t)sum.pss,
			 "shared_bytes", (json_int_t)sum.shared, "unique_bytes",
			 (json_int_t)sum.unique, "merged_bytes", (json_int_t)sum.merged);
}

/* What we keep for the guest ourselves, beside its limit. */
static json_t *physmem_json(const struct physmem *p)
{
	json_t *areas = json_array();

	for (unsigned i = 0; i < p->n; i++)
		json_array_append_new(areas, json_pack("{s:s, s:I, s:I}", "name", p->area[i].name, "bytes",
						       (json_int_t)p->area[i].bytes, "resident_bytes",
						       (json_int_t)physmem_resident(&p->area[i])));
	return areas;
}

static json_t *work_json(const struct memory_work *w)
{
	return json_pack("{s:I, s:I, s:s?, s:I}", "asked_bytes", (json_int_t)w->bytes, "got_bytes",
			 (json_int_t)w->got_bytes, "why", w->why, "took_ns", (json_int_t)w->took_ns);
}

/* What more would cost: clean memory has to be read again, dirty be written first. */
static json_t *more_json(struct memory *m)
{
	struct memory_kinds have;

	memory_kinds(m, &have);
	return json_pack("{s:I, s:I, s:I}", "clean_bytes", (json_int_t)have.clean, "dirty_bytes",
			 (json_int_t)have.dirty, "hard_bytes", (json_int_t)have.hard);
}

/* What a broker goes by: how much the guest counts, and how busy it is. */
static void add_brief(struct memory *m, json_t *j)
{
	struct sched_vcpu *vcpu = calloc(SCHED_MAX_VCPUS, sizeof(*vcpu));
	struct sched_view v;

	json_object_set_new(j, "whole_bytes", json_integer(atomic_load(&m->whole)));
	json_object_set_new(j, "weight", json_integer(m->kernel->cfg->policy->mem.weight));
	if (!vcpu)
		return;
	sched_look(m->kernel, &v, vcpu);
	json_object_set_new(j, "now_ns", json_integer(v.now_ns));
	json_object_set_new(j, "idle_ns", json_integer(v.idle_ns));
	free(vcpu);
}

static char *answer(struct memory *m)
{
	json_t *j = memory_stats(m->kernel);
	char *text;

	json_object_set_new(j, "more", more_json(m));
	if (m->work.action == MEMORY_SHOW) {
		json_object_set_new(j, "processes", sizes_json(m));
		json_object_set_new(j, "physmem", physmem_json(&m->kernel->physmem));
	} else if (m->work.action == MEMORY_BRIEF) {
		add_brief(m, j);
	} else {
		json_object_set_new(j, "work", work_json(&m->work));
	}
	text = json_dumps(j, JSON_INDENT(2));
	json_decref(j);
	return text;
}

/* ---- the thread ------------------------------------------------------------------ */

static void interrupted(int sig)
{
}

/* SIGURG at the deadline, and every 10 ms from then on: one may come just before
 * the call that it is to end. */
static int arm_deadline(const struct memory *m, timer_t *ret)
{
	struct sigevent to_us = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG };
	struct itimerspec when = {
		.it_value = { m->work.deadline_ns / NSEC_PER_SEC, m->work.deadline_ns % NSEC_PER_SEC },
		.it_interval = { .tv_nsec = 10000000 },
	};
	struct sigaction sa = { .sa_handler = interrupted };
	sigset_t set;
	int err;

	to_us._sigev_un._tid = gettid();
	sigaction(SIGURG, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	err = host_result(timer_create(CLOCK_MONOTONIC, &to_us, ret));
	return err < 0 ? err : host_result(timer_settime(*ret, TIMER_ABSTIME, &when, NULL));
}

static void *work_thread(void *arg)
{
	static void (*const run[MEMORY_NUM_ACTIONS])(struct memory *m) = {
		[MEMORY_PLUG] = plug, [MEMORY_UNPLUG] = unplug, [MEMORY_RELEASE] = release,
		[MEMORY_LEND] = lend,
	};
	struct memory *m = arg;
	uint64_t start = host_now(), one = 1;
	timer_t timer;

	if (run[m->work.action]) {
		bool armed = arm_deadline(m, &timer) == 0;

		run[m->work.action](m);
		if (armed)
			timer_delete(timer);
	}
	m->work.took_ns = host_now() - start;
	if (m->work.answered)
		m->answer = answer(m);
	host_write(m->done.fd, &one, sizeof(one));
	return NULL;
}

/* ---- the event loop's side -------------------------------------------------------- */

static void join(struct memory *m)
{
	pthread_join(m->thread, NULL);
	m->working = false;
}

static void log_work(const struct memory *m)
{
	static const char *const words[MEMORY_NUM_ACTIONS] = {
		[MEMORY_PLUG] = "plugged", [MEMORY_UNPLUG] = "unplugged", [MEMORY_RELEASE] = "released",
	};
	const struct memory_work *w = &m->work;

	if (!words[w->action])
		return;
	log_info("memory: %s %llu of %llukB in %llu us%s%s%s; the guest has %llukB", words[w->action],
		 (unsigned long long)w->got_bytes >> 10, (unsigned long long)w->bytes >> 10,
		 (unsigned long long)w->took_ns / 1000, w->why ? " (" : "", w->why ?: "",
		 w->why ? ")" : "", (unsigned long long)atomic_load(&m->limit) >> 10);
}

static void on_done(struct kernel *k, struct event_source *src, uint32_t events)
{
	struct memory *m = k->memory;
	cleanup_free char *text = NULL;
	uint64_t n;

	host_read(src->fd, &n, sizeof(n));
	join(m);
	log_work(m);
	text = take_ptr(m->answer);
	if (m->client)
		client_memory_ended(k, m->client, text ?: "{}", text ? strlen(text) : 2);
	m->client = NULL;
}

int memory_work_start(struct memory *m, const struct memory_work *work, struct client *client)
{
	int ret;

	if (m->working)
		return -EBUSY;
	m->work = *work;
	m->work.answered = client;
	m->client = client;
	ret = -pthread_create(&m->thread, NULL, work_thread, m);
	m->working = ret == 0;
	if (ret < 0)
		m->client = NULL;
	return ret;
}

static int find_word(const char *word, const char *const *words, int n)
{
	for (int i = 0; word && i < n; i++)
		if (streq(word, words[i]))
			return i;
	return -1;
}

static bool changes(enum memory_action action)
{
	return action != MEMORY_SHOW && action != MEMORY_BRIEF;
}

/* What cannot be, said before anything is begun. */
static int check(const struct memory *m, const struct memory_work *w, struct ns_error *err)
{
	uint64_t limit = atomic_load(&m->limit);

	if (!changes(w->action))
		return 0;
	if (!limit)
		return ns_fail(err, -EINVAL, "the guest has no limit of its own; start it with --set "
			       "guest.memory=512M, or another size");
	if (w->action == MEMORY_RELEASE && m->strict)
		return ns_fail(err, -EOPNOTSUPP, "a guest with a strict budget has nothing to release: its "
			       "page cache is the host's; unplug takes what is not promised");
	if (w->action == MEMORY_PLUG && m->strict && atomic_load(&m->whole) + w->bytes > m->boot_limit)
		return ns_fail(err, -EINVAL, "a guest with a strict budget cannot have more than the %lluM "
			       "it began with", (unsigned long long)m->boot_limit >> 20);
	if (w->action == MEMORY_PLUG && !machine_own_limit(limit + w->bytes))
		return ns_fail(err, -EINVAL, "the host has no more than that itself");
	return 0;
}

int memory_request(struct kernel *k, json_t *msg, struct client *client, struct ns_error *err)
{
	static const char *const actions[] = {
		[MEMORY_SHOW] = "show", [MEMORY_BRIEF] = "brief", [MEMORY_PLUG] = "plug", [MEMORY_UNPLUG] = "unplug",
		[MEMORY_RELEASE] = "release", [MEMORY_LEND] = "lend",
	};
	const char *type = json_string_value(json_object_get(msg, "type"));
	int action = find_word(json_string_value(json_object_get(msg, "action")), actions,
			       MEMORY_NUM_ACTIONS);
	int kind = find_word(type ?: "any", memory_type_str, MEMORY_NUM_TYPES);
	json_int_t bytes = json_integer_value(json_object_get(msg, "bytes"));
	json_int_t ms = json_integer_value(json_object_get(msg, "deadline_ms"));
	struct memory_work w = {
		.action = action, .type = kind, .bytes = bytes & ~UINT64_C(4095),
		.deadline_ns = host_now() + MIN(MAX(ms, 0), MAX_DEADLINE_MS) * UINT64_C(1000000),
	};
	int ret;

	if (!k->memory)
		return ns_fail(err, -EAGAIN, "mem: the guest is starting");
	if (action < 0 || kind < 0 || (changes(action) && (bytes < 4096 || bytes >= INT64_MAX / 2)))
		return ns_fail(err, -EINVAL, "unknown request");
	ret = check(k->memory, &w, err);
	if (ret == 0) {
		ret = memory_work_start(k->memory, &w, client);
		if (ret < 0)
			ns_fail(err, ret, "%s", ret == -EBUSY ? "another weir mem is at work" : strerror(-ret));
	}
	return ret;
}

void memory_forget_client(struct kernel *k, struct client *c)
{
	if (k->memory && k->memory->client == c)
		k->memory->client = NULL;
}

int memory_work_init(struct memory *m)
{
	int fd = host_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

	m->done = (struct event_source){ .fd = fd, .name = "memory", .handler = on_done };
	return fd < 0 ? fd : event_add(&m->kernel->ev, &m->done, EPOLLIN);
}

void memory_work_exit(struct memory *m)
{
	if (m->working) {
		atomic_store(&m->cancel, true);
		pthread_kill(m->thread, SIGURG);
		join(m);
	}
	free(m->answer);
	cleanup_fd_p(&m->done.fd);
}

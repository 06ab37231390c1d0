/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake_ring.c - rings of perf records, read in order of time
 *
 * A ring belongs to a CPU. It hangs on an event of the observer's own thread
 * that counts nothing, and the events of all guest tasks on that CPU write into
 * it: a ring that hung on a guest task's event would go with the task.
 *
 * Order. A drain first takes the time, then looks how far each ring has been
 * written, and delivers no record that is younger than that time. So whatever
 * led to a delivered record, on whichever CPU, has been delivered before it: a
 * task's sleep before its next run elsewhere, a fork before the child's run.
 * Younger records wait in the ring for the next drain. A record whose CPU was
 * stopped between stamping and publishing it may come one drain late; it gets
 * the time of its predecessor then, so that time never goes back.
 */
#include "passthrough/sleepwake_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define RING_MAX (256 << 10)	/* bytes: 10,000 records. Two tasks that do nothing but wake each
				 * other write as many in 17 ms; the observer drains after half of
				 * that. It is the largest part of what an idle guest costs */
#define RING_SCARCE (128 << 10)	/* where all guests of a user share perf_event_mlock_kb */
#define RING_TOTAL (2 << 20)	/* that all rings of a guest may take together */
#define RING_MIN_PAGES 2
#define RING_WATERMARK (32 << 10)	/* bytes that wake an observer that sleeps; a wake-up costs
					 * the host 6 us on the CPU that is observed */
#define RING_MAX_CPUS 8192	/* the largest NR_CPUS that a host can have */
#define RING_FREE_STEP 4096	/* bytes read until the host may write over them */

/* ---- reading a ring ------------------------------------------------------ */

static const char *ring_data(const struct ring *r)
{
	return (const char *)r->page + r->page->data_offset;
}

/*
 * Tell the host that it may write over what was read. Had it run out of room
 * before, then something may be lost: it says so with its next record only,
 * which may never be.
 */
static void ring_free(struct ring *r)
{
	uint64_t head = __atomic_load_n(&r->page->data_head, __ATOMIC_RELAXED);

	if (head - r->page->data_tail + RECORD_MAX > r->size)
		r->suspect = true;
	__atomic_store_n(&r->page->data_tail, r->tail, __ATOMIC_RELEASE);
}

/* What lies between tail and head makes no sense: pass over it. */
static void ring_discard(struct ring *r)
{
	r->tail = r->head;
	r->suspect = true;
}

/* The record at the tail, in one piece. Return: NULL if there is none. */
static const struct perf_event_header *ring_peek(struct ring *r, char buf[RECORD_MAX])
{
	uint64_t at = r->tail & (r->size - 1);
	const struct perf_event_header *h = (const void *)(ring_data(r) + at);
	uint64_t size;

	if (r->tail == r->head)
		return NULL;
	size = h->size;
	if (size < sizeof(*h) || size % sizeof(uint64_t) || size > r->head - r->tail ||
	    size > RECORD_MAX) {
		ring_discard(r);
		return NULL;
	}
	if (at + size <= r->size)
		return h;
	memcpy(buf, h, r->size - at);
	memcpy(buf + (r->size - at), ring_data(r), size - (r->size - at));
	return (const void *)buf;
}

/* Have the oldest record up to @until in r->next. Return: is there one? */
static bool ring_next(struct ring *r, uint64_t until)
{
	_Alignas(uint64_t) char buf[RECORD_MAX];
	const struct perf_event_header *h;

	while (!r->waiting && (h = ring_peek(r, buf)) != NULL) {
		uint64_t size = h->size;

		r->waiting = record_read(h, r->cpu, &r->next);
		if (r->waiting && r->next.ns > until) {
			r->waiting = false;
			r->head = r->tail;
			break;
		}
		r->tail += size;
		if (r->tail % RING_FREE_STEP < size)
			ring_free(r);
	}
	return r->waiting;
}

/* See what is to be read in this drain. */
static void ring_begin(struct ring *r, struct drained *d)
{
	r->suspect = false;
	r->tail = r->page->data_tail;
	r->head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);
	d->most = MAX(d->most, r->head - r->tail);
	if (r->head - r->tail > r->size)
		ring_discard(r);
}

/* ---- all rings ------------------------------------------------------------ */

static void note(struct ring *r, const struct sleepwake_record *rec, struct drained *d)
{
	bool end = rec->kind == SLEEPWAKE_EXIT;

	if (rec->kind == SLEEPWAKE_RUN || rec->kind == SLEEPWAKE_PREEMPT)
		r->ready = rec->tid;
	else if (r->ready == rec->tid && (rec->kind == SLEEPWAKE_SLEEP || end))
		r->ready = 0;
	d->records++;
	d->news += rec->kind != SLEEPWAKE_RUN && rec->kind != SLEEPWAKE_PREEMPT;
	d->ended |= end || rec->kind == SLEEPWAKE_LOST;
}

static void deliver(struct rings *rs, struct ring *r, const struct sleepwake_config *cfg,
		    struct drained *d)
{
	r->waiting = false;
	r->next.ns = rs->now = MAX(r->next.ns, rs->now);
	note(r, &r->next, d);
	cfg->record(cfg->ctx, &r->next);
}

/*
 * The ring with the oldest record, and how long it is that: up to the oldest
 * record of the others.
 */
static struct ring *oldest(struct rings *rs, uint64_t until, uint64_t *ret_limit)
{
	struct ring *found = NULL;

	*ret_limit = until;
	for (unsigned i = 0; i < rs->n; i++) {
		struct ring *r = &rs->ring[i];

		if (!ring_next(r, until))
			continue;
		if (!found || r->next.ns < found->next.ns) {
			if (found)
				*ret_limit = found->next.ns;
			found = r;
		} else {
			*ret_limit = MIN(*ret_limit, r->next.ns);
		}
	}
	return found;
}

/* Say that records of @r are missing, though not how many. */
static void deliver_suspicion(struct rings *rs, struct ring *r, uint64_t now,
			      const struct sleepwake_config *cfg, struct drained *d)
{
	r->next = (struct sleepwake_record){
		.kind = SLEEPWAKE_LOST,
		.cpu = r->cpu,
		.ns = now,
	};
	deliver(rs, r, cfg, d);
}

void rings_drain(struct rings *rs, const struct sleepwake_config *cfg, struct drained *ret)
{
	uint64_t now = host_now(), limit;
	struct drained d = { 0 };
	struct ring *r;

	for (unsigned i = 0; i < rs->n; i++)
		ring_begin(&rs->ring[i], &d);
	while ((r = oldest(rs, now, &limit)) != NULL)
		do {
			deliver(rs, r, cfg, &d);
		} while (ring_next(r, now) && r->next.ns <= limit);
	for (unsigned i = 0; i < rs->n; i++) {
		ring_free(&rs->ring[i]);
		if (rs->ring[i].suspect)
			deliver_suspicion(rs, &rs->ring[i], now, cfg, &d);
	}
	*ret = d;
}

bool rings_pending(const struct rings *rs)
{
	for (unsigned i = 0; i < rs->n; i++) {
		const struct perf_event_mmap_page *page = rs->ring[i].page;

		if (__atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE) !=
		    __atomic_load_n(&page->data_tail, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

/*
 * Does a task run, or wait for a CPU? One that was preempted may have gone to
 * sleep on another CPU, one that said that it ends may have run once more after
 * that, and records may have been lost: its state is what counts.
 */
static bool task_ready(pid_t tid)
{
	char path[32], text[1024], *state;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	len = host_read_file(AT_FDCWD, path, text, sizeof(text));
	state = len > 0 ? strrchr(text, ')') : NULL;	/* a name may contain anything */
	return state && strlen(state) > 2 && state[2] == 'R';
}

bool rings_busy(struct rings *rs)
{
	bool busy = false;

	for (unsigned i = 0; i < rs->n; i++) {
		struct ring *r = &rs->ring[i];

		if (r->ready && !task_ready(r->ready))
			r->ready = 0;
		busy |= r->ready != 0;
	}
	return busy;
}

/* ---- making them ----------------------------------------------------------- */

static void event_attr(struct perf_event_attr *a)
{
	*a = (struct perf_event_attr){
		.size = sizeof(*a),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = RECORD_SAMPLE_TYPE,
		.sample_id_all = 1,
		.exclude_kernel = 1,	/* what an ordinary user may ask for */
		.exclude_hv = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
}

static int event_open(const struct perf_event_attr *a, pid_t tid, uint32_t cpu, int out)
{
	unsigned long flags = PERF_FLAG_FD_CLOEXEC;

	if (out >= 0)
		flags |= PERF_FLAG_FD_OUTPUT | PERF_FLAG_FD_NO_GROUP;
	return host_call(SYS_perf_event_open, a, tid, (int)cpu, out, flags);
}

int ring_attach(const struct ring *r, pid_t tid)
{
	struct perf_event_attr a;

	event_attr(&a);
	a.inherit = 1;
	a.context_switch = 1;
	a.task = 1;
	a.comm = 1;
	a.comm_exec = 1;
	return event_open(&a, tid, r->cpu, r->fd);
}

/* One ring of @bytes. What was made of it is undone by ring_close(). */
static int ring_open(struct ring *r, pid_t owner, size_t page_size, size_t bytes)
{
	struct perf_event_attr a;
	void *map;

	event_attr(&a);
	a.disabled = 1;
	a.watermark = 1;
	a.wakeup_watermark = MIN(RING_WATERMARK, bytes / 2);
	r->fd = event_open(&a, owner, r->cpu, -1);
	if (r->fd < 0)
		return r->fd;
	map = mmap(NULL, page_size + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (map == MAP_FAILED)
		return host_result(-1);
	r->page = map;
	r->size = bytes;
	return 0;
}

static void ring_close(struct ring *r, size_t page_size)
{
	if (r->page)
		munmap(r->page, page_size + r->size);
	if (r->fd >= 0)
		close(r->fd);
	r->page = NULL;
	r->fd = -1;
}

/* Return: 0, or why not all of them could be made; then there is none. */
static int rings_try(struct rings *rs, pid_t owner, size_t bytes)
{
	for (unsigned i = 0; i < rs->n; i++) {
		int ret = ring_open(&rs->ring[i], owner, rs->page_size, bytes);

		if (ret < 0) {
			for (unsigned k = 0; k <= i; k++)
				ring_close(&rs->ring[k], rs->page_size);
			return ret;
		}
	}
	return 0;
}

/* The next number in a list like "0-3,8,10-11". Return: false at its end. */
static bool list_next(const char **list, uint32_t *first, uint32_t *last)
{
	char *end;

	if (**list < '0' || **list > '9')
		return false;
	*first = *last = strtoul(*list, &end, 10);
	if (*end == '-')
		*last = strtoul(end + 1, &end, 10);
	*list = *end == ',' ? end + 1 : end;
	return *last >= *first && *last < RING_MAX_CPUS;
}

static int rings_chosen(struct rings *rs, const int *cpu, unsigned n)
{
	rs->ring = calloc(n, sizeof(*rs->ring));
	if (!rs->ring)
		return -ENOMEM;
	for (; rs->n < n; rs->n++)
		rs->ring[rs->n] = (struct ring){ .fd = -1, .cpu = cpu[rs->n] };
	return 0;
}

/*
 * One ring for each CPU that the host has, online or not: a CPU may be taken
 * on line later, and a running task cannot be given an event for it without
 * missing what its children do.
 */
static int rings_present(struct rings *rs)
{
	char text[4096];
	const char *list = text;
	uint32_t first, last;
	ssize_t len = host_read_file(AT_FDCWD, "/sys/devices/system/cpu/present", text, sizeof(text));

	if (len < 0)
		snprintf(text, sizeof(text), "0-%ld", MAX(sysconf(_SC_NPROCESSORS_CONF), 1) - 1);
	while (list_next(&list, &first, &last)) {
		struct ring *more = realloc(rs->ring, (rs->n + last - first + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		rs->ring = more;
		for (; first <= last; first++)
			rs->ring[rs->n++] = (struct ring){ .fd = -1, .cpu = first };
	}
	return rs->n ? 0 : -ENODEV;
}

/* How many bytes each ring should have. */
static size_t rings_bytes(const struct rings *rs)
{
	size_t bytes = MIN(RING_MAX, RING_TOTAL / rs->n);
	struct rlimit lock;

	/* Beyond perf_event_mlock_kb for each CPU and user, the host takes it from
	 * what each guest kernel may lock. */
	if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur / rs->n < bytes + rs->page_size)
		bytes = MIN(bytes, RING_SCARCE);
	return bytes;
}

int rings_open(struct rings *rs, pid_t owner, const struct sleepwake_config *cfg)
{
	size_t bytes = cfg->ring_bytes;
	int ret;

	*rs = (struct rings){ .page_size = sysconf(_SC_PAGESIZE) };
	ret = cfg->ncpus ? rings_chosen(rs, cfg->cpu, cfg->ncpus) : rings_present(rs);
	if (ret < 0)
		return ret;
	if (!bytes)
		bytes = rings_bytes(rs);
	bytes = MAX(bytes, RING_MIN_PAGES * rs->page_size);
	while (bytes & (bytes - 1))
		bytes &= bytes - 1;
	do {
		ret = rings_try(rs, owner, bytes);
		bytes /= 2;
	} while ((ret == -EPERM || ret == -ENOMEM) && bytes >= RING_MIN_PAGES * rs->page_size);
	return ret;
}

void rings_close(struct rings *rs)
{
	for (unsigned i = 0; i < rs->n; i++)
		ring_close(&rs->ring[i], rs->page_size);
	free(rs->ring);
	*rs = (struct rings){ 0 };
}

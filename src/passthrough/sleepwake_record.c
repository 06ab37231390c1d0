/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake_record.c - the host's records as what the handler is told
 *
 * Formats: perf_event_open(2), "MMAP layout". With task, comm, context_switch
 * and sample_id_all the host writes no others.
 */
#include "passthrough/sleepwake_impl.h"

#include <string.h>

#include "kernel/util.h"

/* At the end of each record: sample_id_all with RECORD_SAMPLE_TYPE. */
struct sample_id {
	uint32_t pid, tid;
	uint64_t time;
};

/* PERF_RECORD_FORK, PERF_RECORD_EXIT */
struct record_task {
	struct perf_event_header h;
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};

/* PERF_RECORD_COMM; the name is filled up with NULs to 8 bytes */
struct record_comm {
	struct perf_event_header h;
	uint32_t pid, tid;
	char comm[];
};

struct record_lost {
	struct perf_event_header h;
	uint64_t id, lost;
};

/* PERF_RECORD_LOST_SAMPLES has no id */
struct record_lost_samples {
	struct perf_event_header h;
	uint64_t lost;
};

static void read_task(const void *data, struct sleepwake_record *r)
{
	const struct record_task *t = data;

	r->kind = t->h.type == PERF_RECORD_FORK ? SLEEPWAKE_FORK : SLEEPWAKE_EXIT;
	r->pid = t->pid;
	r->tid = t->tid;
	if (r->kind == SLEEPWAKE_FORK) {
		r->ppid = t->ppid;
		r->ptid = t->ptid;
	}
}

static void read_comm(const void *data, struct sleepwake_record *r)
{
	const struct record_comm *c = data;
	size_t len = c->h.size - sizeof(*c) - sizeof(struct sample_id);

	r->kind = c->h.misc & PERF_RECORD_MISC_COMM_EXEC ? SLEEPWAKE_EXEC : SLEEPWAKE_COMM;
	r->pid = c->pid;
	r->tid = c->tid;
	memcpy(r->comm, c->comm, MIN(len, sizeof(r->comm) - 1));
}

static void read_switch(const void *data, struct sleepwake_record *r)
{
	const struct perf_event_header *h = data;

	if (!(h->misc & PERF_RECORD_MISC_SWITCH_OUT))
		r->kind = SLEEPWAKE_RUN;
	else if (h->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT)
		r->kind = SLEEPWAKE_PREEMPT;
	else
		r->kind = SLEEPWAKE_SLEEP;
}

static void read_lost(const void *data, struct sleepwake_record *r)
{
	r->kind = SLEEPWAKE_LOST;
	r->lost = ((const struct record_lost *)data)->lost;
}

static void read_lost_samples(const void *data, struct sleepwake_record *r)
{
	r->kind = SLEEPWAKE_LOST;
	r->lost = ((const struct record_lost_samples *)data)->lost;
}

static const struct record_format {
	size_t size;	/* without the sample_id */
	void (*read)(const void *data, struct sleepwake_record *r);
} formats[] = {
	[PERF_RECORD_LOST] = { sizeof(struct record_lost), read_lost },
	[PERF_RECORD_COMM] = { sizeof(struct record_comm), read_comm },
	[PERF_RECORD_EXIT] = { sizeof(struct record_task), read_task },
	[PERF_RECORD_FORK] = { sizeof(struct record_task), read_task },
	[PERF_RECORD_LOST_SAMPLES] = { sizeof(struct record_lost_samples), read_lost_samples },
	[PERF_RECORD_SWITCH] = { sizeof(struct perf_event_header), read_switch },
};

bool record_read(const struct perf_event_header *h, uint32_t cpu, struct sleepwake_record *ret)
{
	const struct record_format *f = &formats[MIN(h->type, ARRAY_SIZE(formats) - 1)];
	struct sample_id id;

	if (h->type >= ARRAY_SIZE(formats) || !f->read || h->size < f->size + sizeof(id))
		return false;
	memcpy(&id, (const char *)h + h->size - sizeof(id), sizeof(id));
	*ret = (struct sleepwake_record){
		.cpu = cpu,
		.ns = id.time,
		.pid = id.pid,
		.tid = id.tid,
	};
	f->read(h, ret);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleepwake_impl.h - the rings of the observer, and what it asks of them
 *
 * Only sleepwake.c, sleepwake_ring.c and sleepwake_record.c include this.
 */
#ifndef WEIR_PASSTHROUGH_SLEEPWAKE_IMPL_H
#define WEIR_PASSTHROUGH_SLEEPWAKE_IMPL_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "passthrough/sleepwake.h"

/* What each record ends with, and what none is larger than. */
#define RECORD_SAMPLE_TYPE (PERF_SAMPLE_TID | PERF_SAMPLE_TIME)
#define RECORD_MAX 256

/* Return: false for a record that we know nothing of. */
bool record_read(const struct perf_event_header *h, uint32_t cpu, struct sleepwake_record *ret);

/* The ring of one CPU: perf_event_open(2), "MMAP layout". */
struct ring {
	int fd;		/* its owner: an event of the observer's thread, never enabled */
	uint32_t cpu;
	struct perf_event_mmap_page *page;
	uint64_t size;	/* bytes of data behind the page; a power of two */

	/* of the drain that is going on */
	uint64_t head, tail;	/* what there is to read, and how far we have read */
	bool waiting;		/* next holds a record that has not been delivered */
	bool suspect;		/* records were lost, or may have been */
	struct sleepwake_record next;

	pid_t ready;	/* the guest task that last ran there, if it did not go to sleep, or 0 */
};

struct rings {
	struct ring *ring;
	unsigned n;
	size_t page_size;
	uint64_t now;	/* time of the last record delivered */
};

/* What a drain found. */
struct drained {
	unsigned records;
	unsigned news;	/* those of them that are not a task's being preempted */
	uint64_t most;	/* bytes in the fullest ring */
	bool ended;	/* a task ended, or may have: records were lost */
};

/**
 * rings_open() - Make a ring for each CPU
 * @owner: the thread that the rings live as long as
 * @cfg: which CPUs, and how many bytes each; less if the host lets us have no more
 *
 * Return: 0 or why the host refused; rings_close() is right after either.
 */
int rings_open(struct rings *rs, pid_t owner, const struct sleepwake_config *cfg);
void rings_close(struct rings *rs);

/* An event of @tid that tells @r's ring of it and of all that it will make.
 * Return: its descriptor. */
int ring_attach(const struct ring *r, pid_t tid);

/* Deliver all records up to now. */
void rings_drain(struct rings *rs, const struct sleepwake_config *cfg, struct drained *ret);

/* Is there anything to drain? Any thread may ask. */
bool rings_pending(const struct rings *rs);

/* Does a guest task run or wait for a CPU? To be asked when a drain found nothing. */
bool rings_busy(struct rings *rs);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c - the kernel log of one guest
 *
 * Writers take a slot by adding to head; no lock, since a writer may be a
 * process that is killed in the middle. seq says which turn of the ring a slot
 * holds, and is 0 while a writer is in it: a reader that sees another turn
 * before or after its copy passes the record over.
 */
#include "kernel/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define LOG_SLOTS 1024	/* power of two */

struct log_slot {
	_Atomic uint64_t seq;	/* index + 1 of the record it holds */
	struct log_entry entry;
};

static struct log_ring {
	_Atomic uint64_t head;
	uint64_t start_ns;
	struct log_slot slot[LOG_SLOTS];
} *ring;

static int verbose;

int log_init(void)
{
	void *p = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		return host_result(-1);
	ring = p;
	ring->start_ns = host_now();
	return 0;
}

uint64_t log_start(void)
{
	return ring ? ring->start_ns : host_now();
}

void log_set_verbose(int on)
{
	verbose = on;
}

static void write_stderr(const char *text, int len, int crlf)
{
	char line[LOG_LINE + 40];
	int n = snprintf(line, sizeof(line), "%.*s%s\n", len, text, crlf ? "\r" : "");

	host_write(2, line, MIN((size_t)n, sizeof(line) - 1));
}

static void append(const struct log_entry *e)
{
	uint64_t index = atomic_fetch_add(&ring->head, 1);
	struct log_slot *s = &ring->slot[index % LOG_SLOTS];

	atomic_store(&s->seq, 0);
	s->entry = *e;
	atomic_store(&s->seq, index + 1);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	struct log_entry e = { .level = level };
	char line[LOG_LINE + 32];
	va_list ap;
	int n;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	if (!ring) {
		if (level <= LOG_LVL_WARN)
			write_stderr(e.text, strlen(e.text), 0);
		return;
	}
	e.time_ns = host_now() - ring->start_ns;
	append(&e);
	if (verbose && level < LOG_LVL_DEBUG) {
		n = log_format(&e, line, sizeof(line));
		write_stderr(line, n, isatty(2));
	}
}

int log_read(uint64_t *cursor, struct log_entry *ret)
{
	uint64_t head = ring ? atomic_load(&ring->head) : 0;

	if (head > LOG_SLOTS && *cursor < head - LOG_SLOTS)
		*cursor = head - LOG_SLOTS;
	for (; *cursor < head; ++*cursor) {
		struct log_slot *s = &ring->slot[*cursor % LOG_SLOTS];

		if (atomic_load(&s->seq) != *cursor + 1)
			continue;
		*ret = s->entry;
		if (atomic_load(&s->seq) != *cursor + 1)
			continue;
		++*cursor;
		return 1;
	}
	return 0;
}

int log_format(const struct log_entry *e, char *buf, size_t size)
{
	uint64_t us = e->time_ns / 1000;

	return snprintf(buf, size, "[%5llu.%06llu] %s", (unsigned long long)(us / 1000000),
			(unsigned long long)(us % 1000000), e->text);
}

uint64_t log_end(void)
{
	return ring ? atomic_load(&ring->head) : 0;
}

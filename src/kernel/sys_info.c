/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_info.c - sysinfo and syslog: the guest's machine and the guest's log
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/machine/machine.h"
#include "kernel/syscall.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define LOAD_ONE 65536	/* a load of 1 in sysinfo(2): SI_LOAD_SHIFT, linux/sysinfo.h */

/* In the host's unit, which fits whatever it has. */
static void show_memory(const struct machine_memory *m, struct sysinfo *si)
{
	uint64_t unit = si->mem_unit;

	si->totalram = m->total / unit;
	si->freeram = m->free / unit;
	si->sharedram = m->shared / unit;
	si->bufferram = si->totalhigh = si->freehigh = 0;
	si->totalswap = m->swap_total / unit;
	si->freeswap = m->swap_free / unit;
}

long sys_sysinfo(struct kernel *k, struct call *c)
{
	unsigned needs = MACHINE_TIME | MACHINE_SCHED;
	cleanup_free struct machine_facts *f = malloc(sizeof(*f));
	struct sysinfo si;
	int ret = f ? host_result(sysinfo(&si)) : -ENOMEM;

	/* Without a limit the host's numbers are the guest's. */
	if (ret == 0 && machine_own_memory(k))
		needs |= MACHINE_MEMORY;
	if (ret == 0)
		ret = machine_look(k, needs, f);
	if (ret < 0)
		return ret;
	si.uptime = (f->uptime_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC;	/* up, as the host does */
	si.procs = f->sched.tasks;
	for (int i = 0; i < 3; i++)
		si.loads[i] = f->sched.load[i] * LOAD_ONE;
	if (needs & MACHINE_MEMORY)
		show_memory(&f->memory, &si);
	return arg_copy_out(c, 0, &si, sizeof(si));
}

/* syslog(2) commands, kernel/printk's names */
enum {
	SYSLOG_CLOSE, SYSLOG_OPEN, SYSLOG_READ, SYSLOG_READ_ALL, SYSLOG_READ_CLEAR, SYSLOG_CLEAR,
	SYSLOG_CONSOLE_OFF, SYSLOG_CONSOLE_ON, SYSLOG_CONSOLE_LEVEL, SYSLOG_SIZE_UNREAD,
	SYSLOG_SIZE_BUFFER,
};

#define SYSLOG_BYTES (256 * 1024)	/* what we say our buffer holds */

/* Readers of this guest: where "clear" and "read" have come to. */
static pthread_mutex_t syslog_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t cleared, read_up_to;

/* Stamped as a kernel stamps its log, by the time since the guest's boot: what
 * dmesg -T makes dates of. `weir log` counts from the start of the guest kernel. */
static size_t render(const struct kernel *k, uint64_t *cursor, char *buf, size_t size)
{
	struct log_entry e;
	size_t used = 0;
	uint64_t next = *cursor;

	while (log_read(&next, &e)) {
		char line[LOG_LINE + 40];
		int level = e.level;
		size_t n;

		e.time_ns = machine_uptime_at(k, log_start() + e.time_ns);
		line[0] = '<';
		line[1] = '0' + level;
		line[2] = '>';
		n = 3 + log_format(&e, line + 3, sizeof(line) - 4);
		line[n++] = '\n';
		if (used + n > size)
			break;
		memcpy(buf + used, line, n);
		used += n;
		*cursor = next;
	}
	return used;
}

/* READ_ALL gives the newest text that fits. */
static long read_all(const struct kernel *k, struct call *c, size_t want, bool clear)
{
	cleanup_free char *buf = malloc(SYSLOG_BYTES);
	uint64_t cursor;
	size_t n, skip;
	int ret;

	if (!buf)
		return -ENOMEM;
	pthread_mutex_lock(&syslog_lock);
	cursor = cleared;
	n = render(k, &cursor, buf, SYSLOG_BYTES);
	if (clear)
		cleared = cursor;
	pthread_mutex_unlock(&syslog_lock);
	skip = n > want ? n - want : 0;
	while (skip > 0 && skip < n && buf[skip - 1] != '\n')
		skip++;
	ret = arg_copy_out(c, 1, buf + skip, n - skip);
	return ret < 0 ? ret : (long)(n - skip);
}

/* Waits for a line, as syslog(2) says; the door has other threads. */
static long read_some(const struct kernel *k, struct call *c, size_t want)
{
	cleanup_free char *buf = malloc(MIN(want, (size_t)SYSLOG_BYTES));
	struct timespec nap = { .tv_nsec = 100000000 };
	size_t n;
	int ret;

	if (!buf)
		return -ENOMEM;
	for (;;) {
		pthread_mutex_lock(&syslog_lock);
		n = render(k, &read_up_to, buf, MIN(want, (size_t)SYSLOG_BYTES));
		pthread_mutex_unlock(&syslog_lock);
		if (n || want <= LOG_LINE || !call_valid(c))
			break;
		call_slow(c);
		nanosleep(&nap, NULL);
	}
	ret = arg_copy_out(c, 1, buf, n);
	return ret < 0 ? ret : (long)n;
}

long sys_syslog(struct kernel *k, struct call *c)
{
	int type = arg_int(c, 0), len = arg_int(c, 2);
	bool buffer = type == SYSLOG_READ || type == SYSLOG_READ_ALL || type == SYSLOG_READ_CLEAR;

	if (type < SYSLOG_CLOSE || type > SYSLOG_SIZE_BUFFER)
		return -EINVAL;
	if (type != SYSLOG_READ_ALL && type != SYSLOG_SIZE_BUFFER &&
	    !(caller_capable(k, c, CAP_SYSLOG) && call_valid(c)))
		return -EPERM;
	if (buffer && (!c->arg[1] || len < 0))
		return -EINVAL;
	if (buffer && len == 0)
		return 0;
	switch (type) {
	case SYSLOG_READ:
		return read_some(k, c, len);
	case SYSLOG_READ_ALL:
		return read_all(k, c, len, false);
	case SYSLOG_READ_CLEAR:
		return read_all(k, c, len, true);
	case SYSLOG_CLEAR:
		pthread_mutex_lock(&syslog_lock);
		cleared = log_end();
		pthread_mutex_unlock(&syslog_lock);
		return 0;
	case SYSLOG_CONSOLE_LEVEL:
		return len < 1 || len > 8 ? -EINVAL : 0;
	case SYSLOG_SIZE_UNREAD:
		return (log_end() - read_up_to) * LOG_LINE;
	case SYSLOG_SIZE_BUFFER:
		return SYSLOG_BYTES;
	default:
		return 0;
	}
}

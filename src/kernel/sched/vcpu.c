/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu.c - the guest's CPUs by number, and the host CPUs behind them
 */
#include "kernel/sched/vcpu.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "kernel/cleanup.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define CPUS_FILE "cpus"
#define CPUS_TEXT (SCHED_MAX_VCPUS * 5 + 1)	/* bytes: "8191 " for each */

int host_cpus_of(pid_t tid, struct host_cpus *ret)
{
	long n;

	memset(ret, 0, sizeof(*ret));
	n = host_call(SYS_sched_getaffinity, tid, sizeof(*ret), ret);
	return MIN(n, 0);
}

int host_cpus_set(pid_t tid, const struct host_cpus *set)
{
	return host_call(SYS_sched_setaffinity, tid, sizeof(*set), set);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void index_hosts(struct vcpus *v)
{
	qsort(v->host, v->nhost, sizeof(v->host[0]), by_number);
	memset(v->of_host, -1, sizeof(v->of_host));
	memset(&v->all, 0, sizeof(v->all));
	for (unsigned i = 0; i < v->nhost; i++) {
		v->of_host[v->host[i]] = i;
		host_cpus_add(&v->all, v->host[i]);
	}
}

void vcpus_choose(struct vcpus *v, unsigned want, const int *may, const unsigned *used,
		  unsigned nmay)
{
	cleanup_free bool *taken = calloc(nmay, sizeof(*taken));

	v->n = MIN(want ? want : nmay, (unsigned)SCHED_MAX_VCPUS);
	v->limited = v->n < nmay;
	v->nhost = 0;
	for (unsigned i = 0; i < MIN(v->n, nmay); i++) {
		unsigned best = nmay;

		for (unsigned k = 0; k < nmay; k++)
			if ((!taken || !taken[k]) && (best == nmay || used[k] < used[best]))
				best = k;
		if (taken)
			taken[best] = true;
		v->host[v->nhost++] = may[taken ? best : i];
	}
	index_hosts(v);
}

/* Each guest's file names the host CPUs that it is held on. */
static void count_guest(int guests, const char *name, unsigned *used)
{
	cleanup_fd int dir = host_openat(guests, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	char text[CPUS_TEXT], *pos = text, *end;

	if (dir < 0 || host_read_file(dir, CPUS_FILE, text, sizeof(text)) < 0)
		return;
	for (;; pos = end) {
		long cpu = strtol(pos, &end, 10);

		if (end == pos)
			return;
		if (cpu >= 0 && cpu < HOST_MAX_CPUS)
			used[cpu]++;
	}
}

static void count_guests(int guests, unsigned *used)
{
	int fd = host_openat(guests, ".", O_RDONLY | O_DIRECTORY, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			count_guest(guests, e->d_name, used);
	if (d)
		closedir(d);
}

static void leave_word(const struct vcpus *v, int own)
{
	cleanup_fd int fd = host_openat(own, CPUS_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char text[CPUS_TEXT];
	size_t len = 0;

	for (unsigned i = 0; i < v->nhost; i++)
		len += snprintf(text + len, sizeof(text) - len, "%d ", v->host[i]);
	if (fd >= 0)
		host_write(fd, text, len);
}

int vcpus_init(struct vcpus *v, unsigned want, int guests, int own)
{
	cleanup_free unsigned *used = calloc(HOST_MAX_CPUS, sizeof(*used));
	cleanup_free int *may = calloc(HOST_MAX_CPUS, sizeof(*may));
	cleanup_fd int lock = -1;
	struct host_cpus mine;
	unsigned n = 0;
	int ret;

	if (!used || !may)
		return -ENOMEM;
	ret = host_cpus_of(0, &mine);
	if (ret < 0)
		return ret;
	for (int cpu = 0; cpu < HOST_MAX_CPUS; cpu++)
		if (host_cpus_has(&mine, cpu))
			may[n++] = cpu;
	if (!want || want >= n || guests < 0) {
		vcpus_choose(v, want, may, used, n);
		return 0;
	}
	/* Two that start at once shall not choose the same. */
	lock = host_openat(guests, ".", O_RDONLY | O_DIRECTORY, 0);
	if (lock >= 0)
		flock(lock, LOCK_EX);
	count_guests(guests, used);
	for (unsigned i = 0; i < n; i++)
		used[i] = used[may[i]];		/* may[i] >= i */
	vcpus_choose(v, want, may, used, n);
	if (own >= 0)
		leave_word(v, own);
	return 0;
}

unsigned vcpu_name(const struct vcpus *v, unsigned before, int host_cpu)
{
	int i = host_cpu >= 0 && host_cpu < HOST_MAX_CPUS ? v->of_host[host_cpu] : -1;

	if (i < 0)
		return before < v->n ? before : 0;
	return before < v->n && before % v->nhost == (unsigned)i ? before : (unsigned)i;
}

bool vcpus_to_host(const struct vcpus *v, const cpu_set_t *set, size_t size,
		   struct host_cpus *ret)
{
	bool any = false;

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < v->n; i++) {
		if (!CPU_ISSET_S(i, size, set))
			continue;
		host_cpus_add(ret, vcpu_host(v, i));
		any = true;
	}
	return any;
}

void vcpus_from_host(const struct vcpus *v, const struct host_cpus *set, cpu_set_t *ret,
		     size_t size)
{
	CPU_ZERO_S(size, ret);
	for (unsigned i = 0; i < v->n; i++)
		if (host_cpus_has(set, vcpu_host(v, i)))
			CPU_SET_S(i, size, ret);
}

cpu_set_t *cpus_copy(const cpu_set_t *set)
{
	cpu_set_t *copy = set ? malloc(sizeof(*copy)) : NULL;

	if (copy)
		*copy = *set;
	return copy;
}

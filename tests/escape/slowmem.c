/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slowmem.c - memory that never comes, as the argument of trapped calls
 *
 * A page of the file on standard input is mapped and given to trapped calls by many
 * threads; its bytes do not come until the runner lets them. Meanwhile the calls of other tasks are
 * answered, and the guest can end.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "../guest/t.h"

#define THREADS 8

static char *page;
static _Atomic int begun;

static void *stuck(void *arg)
{
	begun++;
	switch ((long)arg % 4) {
	case 0:
		return (void *)(long)sethostname(page, 5);
	case 1:
		return (void *)(long)mknod(page, S_IFCHR | 0600, 0x103);
	case 2:
		return (void *)(long)mount("none", page, "tmpfs", 0, NULL);
	default:
		return (void *)syscall(SYS_pivot_root, page, page);
	}
}

int main(void)
{
	pthread_t t;

	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0);
	if (page == MAP_FAILED) {
		printf("SKIP it cannot be mapped: %s\n", t_errno(errno));
		return 77;
	}
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t, NULL, stuck, (void *)i);
	while (begun < THREADS)
		sched_yield();
	/* Each waits for one that is stuck, or is answered beside it. */
	for (int i = 0; i < 200; i++)
		if (sethostname("answered", 8) == -1)
			failed("call %d beside them: %s", i, t_errno(errno));
	check("calls of others are answered", !t_failed);
	_exit(t_failed);
}

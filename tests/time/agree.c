/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agree.c - processes that read a clock never disagree, however it is changed
 *
 *	agree CHANGES [outside]
 *
 * Each reader notes the latest time that anybody has read, then reads for
 * itself: an earlier time is a disagreement. Some readers read by the system
 * call, some are forked anew all the time, so that they are being forked when a
 * change is made. The changes are made here (REALTIME is set ahead, and its
 * frequency changed), or, with "outside", by whoever started this program, who
 * changes the rate of all clocks and says when it is done by a line on stdin.
 * Changes never set a clock back.
 */
#include <sys/timex.h>

#include "../guest/t.h"

#define READERS 4

static struct shared {
	_Atomic uint64_t latest[2];
	_Atomic uint64_t back, readings, worst;
	_Atomic int stop;
} *shared;

static const clockid_t ids[2] = { CLOCK_REALTIME, CLOCK_MONOTONIC };

static void observe(int which, int raw)
{
	uint64_t before = __atomic_load_n(&shared->latest[which], __ATOMIC_SEQ_CST), now;
	struct timespec ts;

	if (raw)
		syscall(SYS_clock_gettime, ids[which], &ts);
	else
		clock_gettime(ids[which], &ts);
	now = ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
	shared->readings++;
	if (now < before) {
		shared->back++;
		if (before - now > shared->worst)
			shared->worst = before - now;
	}
	while (now > before)
		if (__atomic_compare_exchange_n(&shared->latest[which], &before, now, 0,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			break;
}

static void reader(int n)
{
	while (!shared->stop) {
		if (n == 1 && fork() == 0) {
			for (int i = 0; i < 20; i++)
				observe(i & 1, 0);
			_exit(0);
		}
		while (n == 1 && waitpid(-1, NULL, 0) == -1 && errno == EINTR)
			;
		for (int i = 0; i < 10; i++)
			observe(i & 1, n == 2);
	}
	_exit(0);
}

/* Ahead by a little, or a little faster or slower. */
static void change(int i)
{
	struct timex tx = { .modes = ADJ_FREQUENCY, .freq = (i % 5 - 2) * (200L << 16) };
	struct timespec ts;

	if (i % 2) {
		if (adjtimex(&tx) == -1)
			failed("adjtimex: %s", t_errno(errno));
		return;
	}
	tx = (struct timex){ .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { 0, 1000 + i } };
	if (i % 4 == 0) {
		if (adjtimex(&tx) == -1)
			failed("adjtimex ahead: %s", t_errno(errno));
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec++;
	if (clock_settime(CLOCK_REALTIME, &ts))
		failed("clock_settime: %s", t_errno(errno));
}

int main(int argc, char **argv)
{
	int changes = argc > 1 ? atoi(argv[1]) : 500;
	struct timespec nap = { .tv_nsec = 1000000 };
	pid_t pid[READERS];
	char c;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < READERS; i++) {
		pid[i] = need("fork", fork());
		if (pid[i] == 0)
			reader(i);
	}
	if (argc > 2) {
		dprintf(1, "reading\n");
		while (read(0, &c, 1) == 1 && c != '\n')
			;
	}
	for (int i = 0; argc <= 2 && i < changes; i++) {
		change(i);
		nanosleep(&nap, NULL);
	}
	shared->stop = 1;
	for (int i = 0; i < READERS; i++)
		waitpid(pid[i], NULL, 0);
	dprintf(1, "readings %llu\n", (unsigned long long)shared->readings);
	if (shared->back)
		failed("%llu readings went back, by up to %llu ns", (unsigned long long)shared->back,
		       (unsigned long long)shared->worst);
	check("enough readings", shared->readings > 1000);
	return t_failed;
}

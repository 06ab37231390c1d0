/* SPDX-License-Identifier: Apache-2.0 */
/* time.c - clocks go forward and agree; sleeps, timers and alarms are on time */
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "t.h"

static volatile sig_atomic_t ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

int main(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
					    CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_REALTIME_COARSE,
					    CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID };
	struct timespec ts, in20ms = { .tv_nsec = 20000000 };
	struct itimerspec every = { { 0, 5000000 }, { 0, 5000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct timeval tv;
	struct tms tms;
	uint64_t before;
	timer_t timer;

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		uint64_t a, b;

		say("clock_gettime", clock_gettime(clocks[i], &ts));
		a = now_ns(clocks[i]);
		b = now_ns(clocks[i]);
		check("it goes forward", b >= a);
		say("clock_getres", clock_getres(clocks[i], &ts));
	}
	say("unknown clock", clock_gettime(99, &ts));
	gettimeofday(&tv, NULL);
	check("gettimeofday agrees", llabs((long long)tv.tv_sec -
					   (long long)(now_ns(CLOCK_REALTIME) / 1000000000)) <= 1);
	check("time agrees", llabs((long long)time(NULL) -
				   (long long)(now_ns(CLOCK_REALTIME) / 1000000000)) <= 1);
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
	check("the call and the vDSO agree",
	      now_ns(CLOCK_REALTIME) - (ts.tv_sec * 1000000000ull + ts.tv_nsec) < 1000000000);
	before = now_ns(CLOCK_MONOTONIC);
	say("nanosleep", nanosleep(&in20ms, NULL));
	check("it took its time", now_ns(CLOCK_MONOTONIC) - before >= 20000000);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec -= 10;
	say("sleep until the past, real time",
	    clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) ? -1 : 0);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec = (ts.tv_nsec + 20000000) % 1000000000;
	say("sleep until a monotonic time",
	    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ? -1 : 0);
	signal(SIGALRM, on_tick);
	say("timer_create", timer_create(CLOCK_MONOTONIC, &ev, &timer));
	say("timer_settime", timer_settime(timer, 0, &every, NULL));
	while (ticks < 3)
		pause();
	say("timer_delete", timer_delete(timer));
	check("times", times(&tms) != (clock_t)-1);
	check("uptime is no less than the monotonic clock",
	      now_ns(CLOCK_BOOTTIME) + 1000000 >= now_ns(CLOCK_MONOTONIC));
	return t_failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* clock_set.c - setting the clock is refused, and the clock is not set */
#include <sys/time.h>
#include <sys/timex.h>

#include "t.h"

int main(void)
{
	struct timespec ts = { .tv_sec = 1000000000 };
	struct timeval tv = { .tv_sec = 1000000000 };
	struct timezone tz = { .tz_minuteswest = 60 };
	struct timex tx = { 0 };
	uint64_t before = now_ns(CLOCK_REALTIME);
	int state;

	say("clock_settime REALTIME", clock_settime(CLOCK_REALTIME, &ts));
	say("clock_settime MONOTONIC", clock_settime(CLOCK_MONOTONIC, &ts));
	say("clock_settime TAI", clock_settime(CLOCK_TAI, &ts));
	say("settimeofday", settimeofday(&tv, NULL));
	say("settimeofday, zone", syscall(SYS_settimeofday, NULL, &tz));
	state = adjtimex(&tx);
	say("adjtimex reads", state);
	check("a state that exists", state <= 5);
	tx.modes = ADJ_TICK;
	tx.tick = 10001;
	say("adjtimex sets the tick", adjtimex(&tx));
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { .tv_sec = 5 } };
	say("clock_adjtime moves the clock", clock_adjtime(CLOCK_REALTIME, &tx));
	tx = (struct timex){ 0 };
	say("clock_adjtime reads", clock_adjtime(CLOCK_REALTIME, &tx));
	check("the clock was not moved",
	      now_ns(CLOCK_REALTIME) - before < UINT64_C(60000000000));
	return t_failed;
}

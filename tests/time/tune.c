/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tune.c - adjtimex and its kin on a clock of the guest's own
 *
 * As ntpd, chrony and adjtime(3) use them. REALTIME is measured against
 * MONOTONIC, which none of this moves.
 */
#include <sys/time.h>
#include <sys/timex.h>

#include "../guest/t.h"

/* REALTIME less MONOTONIC: of many readings the one in which least time passed. */
static int64_t difference(void)
{
	int64_t best = INT64_MAX, ret = 0;

	for (int i = 0; i < 50; i++) {
		int64_t a = now_ns(CLOCK_MONOTONIC), r = now_ns(CLOCK_REALTIME);
		int64_t b = now_ns(CLOCK_MONOTONIC);

		if (b - a < best) {
			best = b - a;
			ret = r - (a + b) / 2;
		}
	}
	return ret;
}

static void nap(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* ns in a second that REALTIME gains. */
static double gain(void)
{
	int64_t d = difference(), t = now_ns(CLOCK_MONOTONIC);

	nap(500);
	d = difference() - d;
	return d * 1e9 / (now_ns(CLOCK_MONOTONIC) - t);
}

static bool near(double is, double want, double error)
{
	if (is < want - error || is > want + error)
		failed("%.0f is not %.0f", is, want);
	return is >= want - error && is <= want + error;
}

static void a_fresh_clock(void)
{
	struct timex tx = { 0 };

	check("state", adjtimex(&tx) == TIME_ERROR);
	check("status", tx.status == STA_UNSYNC);
	check("tick", tx.tick == 10000);
	check("freq", tx.freq == 0);
	check("tolerance", tx.tolerance == 32768000);
	check("time", llabs((long long)tx.time.tv_sec -
			    (long long)(now_ns(CLOCK_REALTIME) / 1000000000)) <= 1);
	check("no gain", near(gain(), 0, 2000));
}

static void frequency(void)
{
	struct timex tx = { .modes = ADJ_FREQUENCY, .freq = 400L << 16 };

	check("set the frequency", adjtimex(&tx) >= 0);
	check("freq is read", tx.freq == 400L << 16);
	check("400 ppm faster", near(gain(), 400000, 4000));
	tx.freq = -400L * 65536;
	check("set it again", adjtimex(&tx) >= 0);
	check("400 ppm slower", near(gain(), -400000, 4000));
	tx = (struct timex){ .modes = ADJ_FREQUENCY | ADJ_TICK, .tick = 10100 };
	check("set the tick", adjtimex(&tx) >= 0);
	check("one percent faster", near(gain(), 10000000, 20000));
	tx.tick = 10000;
	check("set it back", adjtimex(&tx) >= 0);
	check("as before", near(gain(), 0, 2000));
	tx.tick = 12000;
	say("a tick too long", adjtimex(&tx));
}

static void set_offset(void)
{
	struct timex tx = { .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { 5, 500000000 } };
	int64_t before = difference();

	check("move it", clock_adjtime(CLOCK_REALTIME, &tx) >= 0);
	check("by 5.5 s", near(difference() - before, 5.5e9, 100000));
	tx = (struct timex){ .modes = ADJ_SETOFFSET, .time = { -6, 500000 } };
	check("move it back", clock_adjtime(CLOCK_REALTIME, &tx) >= 0);
	check("by 5.5 s, back", near(difference() - before, 0, 100000));
	tx.time.tv_usec = 1000000;
	say("too many microseconds", clock_adjtime(CLOCK_REALTIME, &tx));
	tx.modes = 0;
	say("clock_adjtime of MONOTONIC", clock_adjtime(CLOCK_MONOTONIC, &tx));
	say("clock_adjtime of no clock", clock_adjtime(99, &tx));
}

/* 700 us: 500 in the first whole second, the rest in the next. */
static void single_shot(void)
{
	struct timeval delta = { 0, 700 }, old = { 9, 9 };
	int64_t before = difference();

	check("adjtime", adjtime(&delta, &old) == 0);
	check("nothing was left from before", old.tv_sec == 0 && old.tv_usec == 0);
	for (int i = 0; i < 60 && difference() - before < 690000; i++)
		nap(100);
	nap(1100);
	check("700 us are made up", near(difference() - before, 700000, 60000));
	check("ask what is left", adjtime(NULL, &old) == 0);
	check("nothing", old.tv_sec == 0 && old.tv_usec == 0);
}

/* As ntpd does it. */
static void phase_locked(void)
{
	struct timex tx = { .modes = ADJ_OFFSET | ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_MAXERROR |
				     ADJ_ESTERROR,
			    .status = STA_PLL | STA_FREQHOLD, .offset = 2000000, .maxerror = 1000 };
	int64_t before = difference();

	check("give an offset", adjtimex(&tx) == TIME_OK);
	check("nanoseconds", tx.status & STA_NANO);
	for (int i = 0; i < 80 && difference() - before < 1000000; i++)
		nap(100);
	check("half of it is made up", difference() - before >= 1000000);
	check("not all at once", difference() - before < 2000100);
	tx = (struct timex){ 0 };
	adjtimex(&tx);
	check("the rest is still there", tx.offset > 0 && tx.offset < 2000000);
	tx = (struct timex){ .modes = ADJ_STATUS | ADJ_MICRO, .status = 0 };
	adjtimex(&tx);
}

static void set_clock(void)
{
	struct timespec ts = { .tv_sec = INT64_C(4000000000) };
	struct timeval tv = { .tv_sec = 1 };
	struct timezone tz = { .tz_minuteswest = -60 }, got = { 0 };

	say("clock_settime", clock_settime(CLOCK_REALTIME, &ts));
	check("it is set", now_ns(CLOCK_REALTIME) / 1000000000 - 4000000000 < 5);
	check("for time(2) as well", time(NULL) - 4000000000 < 5);
	tv.tv_sec = 5000000000;
	say("settimeofday", settimeofday(&tv, NULL));
	check("it is set again", now_ns(CLOCK_REALTIME) / 1000000000 - 5000000000 < 5);
	tv.tv_sec = 1;
	say("before the guest was up", settimeofday(&tv, NULL));
	tv.tv_sec = -1;
	say("before 1970", settimeofday(&tv, NULL));
	ts.tv_sec = INT64_MAX;
	say("after all time", clock_settime(CLOCK_REALTIME, &ts));
	ts = (struct timespec){ 4000000000, 1000000000 };
	say("too many nanoseconds", clock_settime(CLOCK_REALTIME, &ts));
	say("MONOTONIC", clock_settime(CLOCK_MONOTONIC, &ts));
	say("a bad pointer", syscall(SYS_clock_settime, CLOCK_REALTIME, 8));
	say("time zone", syscall(SYS_settimeofday, NULL, &tz));
	syscall(SYS_gettimeofday, NULL, &got);
	check("the zone is kept", got.tz_minuteswest == -60);
	check("and nothing else moved", now_ns(CLOCK_REALTIME) / 1000000000 - 5000000000 < 5);
	tz.tz_minuteswest = 1000;
	say("a zone that is none", syscall(SYS_settimeofday, NULL, &tz));
}

/* What anybody may, and what not. */
static void as_nobody(void)
{
	struct timespec ts = { .tv_sec = 4000000000 };
	struct timex tx = { 0 };

	need("setresuid", setresuid(1000, 1000, 1000));
	say("nobody sets", clock_settime(CLOCK_REALTIME, &ts));
	check("nobody reads", adjtimex(&tx) >= 0);
	tx.modes = ADJ_FREQUENCY;
	say("nobody tunes", adjtimex(&tx));
	tx.modes = ADJ_OFFSET_SS_READ;
	check("nobody asks what is left", adjtimex(&tx) >= 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "refused")) {
		struct timespec ts = { .tv_sec = 4000000000 };
		struct timex tx = { .modes = ADJ_TICK, .tick = 10001 };

		say("clock_settime", clock_settime(CLOCK_REALTIME, &ts));
		say("adjtimex", adjtimex(&tx));
		return 0;
	}
	a_fresh_clock();
	frequency();
	set_offset();
	single_shot();
	phase_locked();
	set_clock();
	if (other_id() >= 0)
		say_status("nobody", child_status(as_nobody));
	return t_failed;
}

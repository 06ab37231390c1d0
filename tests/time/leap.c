/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leap.c - a leap second at the coming midnight: UTC stands back, TAI goes on
 *
 *	leap insert | delete
 */
#include <sys/timex.h>

#include "../guest/t.h"

#define DAY 86400

int main(int argc, char **argv)
{
	bool insert = argc > 1 && !strcmp(argv[1], "insert");
	struct timex tx = { .modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_TAI | ADJ_NANO,
			    .status = STA_PLL | (insert ? STA_INS : STA_DEL), .constant = 37 };
	struct timespec nap = { .tv_nsec = 200000 };
	int64_t utc, tai, last = 0, midnight, stepped = 0, tai_last = 0;
	int state;

	need("adjtimex", adjtimex(&tx));
	midnight = (now_ns(CLOCK_REALTIME) / 1000000000 / DAY + 1) * DAY;
	for (int i = 0; i < 20000 && !stepped; i++) {
		utc = now_ns(CLOCK_REALTIME);
		tai = now_ns(CLOCK_TAI);
		/* The offset of the one to the other changes when UTC is stepped. */
		if (last && (utc - last < 0) != (tai - tai_last < 0))
			stepped = utc;
		if (last && utc - last > 900000000 && tai - tai_last < 900000000)
			stepped = utc;
		if (tai < tai_last)
			failed("TAI goes back by %lld ns", (long long)(tai_last - tai));
		last = utc;
		tai_last = tai;
		nanosleep(&nap, NULL);
	}
	tx = (struct timex){ 0 };
	state = adjtimex(&tx);
	check("UTC was stepped", stepped != 0);
	check("at midnight", llabs((long long)(stepped / 1000000000 - midnight)) <= 1);
	check("TAI - UTC", tx.tai == (insert ? 38 : 36));
	check("the state says so", state == (insert ? TIME_OOP : TIME_WAIT) || state == TIME_WAIT);
	fact("state", "%d", state == TIME_OOP ? TIME_WAIT : state);
	return t_failed;
}

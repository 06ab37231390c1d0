/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timex.c - the discipline of the guest's clock: adjtimex(2)
 */
#include "kernel/time/timex.h"

#include <errno.h>

#include "kernel/util.h"
#include "passthrough/vdso_clock.h"

/* include/linux/timex.h of Linux, in its units */
#define SHIFT_PLL 2		/* the loop's gain */
#define SHIFT_FLL 2
#define MAX_CONSTANT 10
#define MIN_FLL_SEC 256		/* between offsets, for the frequency-locked loop */
#define MAX_PLL_SEC 2048
#define MAX_PHASE_NS 500000000
#define MAX_FREQ (500L << 16)	/* ppm, scaled */
#define PHASE_LIMIT_US 16000000
#define MAX_FREQ_PPM 500
#define MAX_ADJUST_US 500	/* a second, by adjtime(3) */
#define TICK_US 10000		/* USER_HZ is 100 */
#define TICK_MIN (900000 / 100)
#define TICK_MAX (1100000 / 100)
#define MAX_TAI 100000
#define READ_ONLY_STATUS (STA_PPSSIGNAL | STA_PPSJITTER | STA_PPSWANDER | STA_PPSERROR |	\
			  STA_CLOCKERR | STA_NANO | STA_MODE | STA_CLK)
#define ADJ_ADJTIME 0x8000	/* of the single shot's bits, the one no other mode has */
#define ADJ_READONLY 0x2000
#define NO_LEAP INT64_MAX
#define DAY 86400

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return MAX(min, MIN(v, max));
}

/* Towards zero, unlike >> of a negative number. */
static int64_t shift_right(int64_t v, unsigned n)
{
	return v < 0 ? -(-v >> n) : v >> n;
}

void timex_clear(struct timex_state *s, int64_t second)
{
	s->adjust = s->offset = s->slew = 0;
	s->status |= STA_UNSYNC;
	s->maxerror = s->esterror = PHASE_LIMIT_US;
	s->second = second;
	s->next_leap = NO_LEAP;
}

void timex_init(struct timex_state *s, int64_t second, int tai)
{
	*s = (struct timex_state){ .state = TIME_OK, .constant = 2, .tick = TICK_US, .tai = tai };
	s->reference = second;
	timex_clear(s, second);
}

int timex_check(const struct timex *tx, bool may)
{
	unsigned modes = tx->modes;

	if (modes & ADJ_ADJTIME) {
		if (!(modes & ADJ_OFFSET))
			return -EINVAL;
		if (!(modes & ADJ_READONLY) && !may)
			return -EPERM;
	} else {
		if (modes && !may)
			return -EPERM;
		if ((modes & ADJ_TICK) && (tx->tick < TICK_MIN || tx->tick > TICK_MAX))
			return -EINVAL;
	}
	if (modes & ADJ_SETOFFSET) {
		if (!may)
			return -EPERM;
		/* Borrowed from the seconds, so never negative. */
		if (tx->time.tv_usec < 0 ||
		    (uint64_t)tx->time.tv_usec >= (modes & ADJ_NANO ? NSEC_PER_SEC : 1000000))
			return -EINVAL;
	}
	return 0;
}

static void change_status(struct timex_state *s, int status)
{
	if ((s->status & STA_PLL) && !(status & STA_PLL)) {
		s->state = TIME_OK;
		s->status = STA_UNSYNC;
		s->next_leap = NO_LEAP;
	}
	/* The loop begins here: no frequency from before it. */
	if (!(s->status & STA_PLL) && (status & STA_PLL))
		s->reference = s->second;
	s->status = (s->status & READ_ONLY_STATUS) | (status & ~READ_ONLY_STATUS);
}

/* A measured offset: the phase is made up from now on, and tells of the frequency. */
static void feed_offset(struct timex_state *s, int64_t offset)
{
	int64_t secs, freq_ns = 0, freq;

	if (!(s->status & STA_PLL))
		return;
	if (!(s->status & STA_NANO))
		offset = clamp(offset, -1000000, 1000000) * 1000;
	offset = clamp(offset, -MAX_PHASE_NS, MAX_PHASE_NS);
	secs = s->status & STA_FREQHOLD ? 0 : MAX(s->second - s->reference, 0);
	s->reference = s->second;
	s->status &= ~STA_MODE;
	if (secs >= MIN_FLL_SEC && ((s->status & STA_FLL) || secs > MAX_PLL_SEC)) {
		s->status |= STA_MODE;
		freq_ns = shift_right(offset, SHIFT_FLL) * 65536 / secs;
	}
	/* More time than the loop's own says no more about the frequency. */
	secs = MIN(secs, INT64_C(1) << (SHIFT_PLL + 1 + s->constant));
	freq_ns += shift_right(offset * secs * 65536, 2 * (SHIFT_PLL + 2 + s->constant));
	/* a ppm is 1000 ns a second */
	freq = s->freq + freq_ns / 1000;
	s->freq = clamp(freq, -MAX_FREQ, MAX_FREQ);
	s->offset = offset;
}

static void change_modes(struct timex_state *s, const struct timex *tx)
{
	unsigned modes = tx->modes;

	if (modes & ADJ_STATUS)
		change_status(s, tx->status);
	if (modes & ADJ_NANO)
		s->status |= STA_NANO;
	if (modes & ADJ_MICRO)
		s->status &= ~STA_NANO;
	if (modes & ADJ_FREQUENCY)
		s->freq = clamp(tx->freq, -MAX_FREQ, MAX_FREQ);
	if (modes & ADJ_MAXERROR)
		s->maxerror = clamp(tx->maxerror, 0, PHASE_LIMIT_US);
	if (modes & ADJ_ESTERROR)
		s->esterror = clamp(tx->esterror, 0, PHASE_LIMIT_US);
	if (modes & ADJ_TIMECONST) {
		s->constant = clamp(tx->constant, 0, MAX_CONSTANT);
		if (!(s->status & STA_NANO))
			s->constant = MIN(s->constant + 4, MAX_CONSTANT);
	}
	if ((modes & ADJ_TAI) && tx->constant >= 0 && tx->constant <= MAX_TAI)
		s->tai = tx->constant;
	if (modes & ADJ_OFFSET)
		feed_offset(s, tx->offset);
	if (modes & ADJ_TICK)
		s->tick = tx->tick;
}

void timex_change(struct timex_state *s, struct timex *tx)
{
	if (tx->modes & ADJ_ADJTIME) {
		int64_t before = s->adjust;

		if (!(tx->modes & ADJ_READONLY))
			s->adjust = tx->offset;
		tx->offset = before;
		return;
	}
	change_modes(s, tx);
	tx->offset = s->status & STA_NANO ? s->offset : s->offset / 1000;
}

int timex_result(const struct timex_state *s)
{
	return s->status & (STA_UNSYNC | STA_CLOCKERR) ? TIME_ERROR : s->state;
}

void timex_report(const struct timex_state *s, uint64_t ns, struct timex *tx)
{
	tx->freq = s->freq;
	tx->maxerror = s->maxerror;
	tx->esterror = s->esterror;
	tx->status = s->status;
	tx->constant = s->constant;
	tx->precision = 1;
	tx->tolerance = MAX_FREQ;
	tx->tick = s->tick;
	tx->tai = s->tai;
	tx->time.tv_sec = ns / NSEC_PER_SEC;
	tx->time.tv_usec = ns % NSEC_PER_SEC;
	if (!(s->status & STA_NANO))
		tx->time.tv_usec /= 1000;
	/* There is no pulse-per-second signal. */
	tx->ppsfreq = tx->jitter = tx->stabil = tx->jitcnt = 0;
	tx->calcnt = tx->errcnt = tx->stbcnt = tx->shift = 0;
}

/* ---- seconds ------------------------------------------------------------ */

/* Midnight of UTC that follows, or the second before it, where one is left out. */
static int64_t leap_after(int64_t second, bool insert)
{
	return (second / DAY + 1) * DAY - !insert;
}

/* Return: by how much to step UTC. */
static int leap_second(struct timex_state *s)
{
	switch (s->state) {
	case TIME_OK:
		if (s->status & STA_INS)
			s->state = TIME_INS;
		else if (s->status & STA_DEL)
			s->state = TIME_DEL;
		if (s->state != TIME_OK)
			s->next_leap = leap_after(s->second, s->state == TIME_INS);
		return 0;
	case TIME_INS:
		if (!(s->status & STA_INS)) {
			s->next_leap = NO_LEAP;
			s->state = TIME_OK;
		} else if (s->second >= s->next_leap) {
			s->next_leap = NO_LEAP;
			s->state = TIME_OOP;
			s->tai++;
			return -1;
		}
		return 0;
	case TIME_DEL:
		if (!(s->status & STA_DEL)) {
			s->next_leap = NO_LEAP;
			s->state = TIME_OK;
		} else if (s->second >= s->next_leap) {
			s->next_leap = NO_LEAP;
			s->state = TIME_WAIT;
			s->tai--;
			return 1;
		}
		return 0;
	case TIME_OOP:
		s->state = TIME_WAIT;
		return 0;
	default:
		if (!(s->status & (STA_INS | STA_DEL)))
			s->state = TIME_OK;
		return 0;
	}
}

/* What of the phase and of the single shot is made up in the second that begins. */
static void next_slew(struct timex_state *s)
{
	int64_t phase = shift_right(s->offset, SHIFT_PLL + s->constant);
	int64_t shot = clamp(s->adjust, -MAX_ADJUST_US, MAX_ADJUST_US);

	s->offset -= phase;
	/* Below this the loop would never end. */
	if (phase == 0)
		s->offset = 0;
	s->adjust -= shot;
	s->slew = phase + shot * 1000;
}

int timex_second(struct timex_state *s, int64_t second)
{
	int64_t n = second - s->second;
	int step;

	if (n <= 0)
		return 0;
	s->second = second;
	/* The error grows by what the frequency may be off. */
	s->maxerror += MIN(n, PHASE_LIMIT_US) * MAX_FREQ_PPM;
	if (s->maxerror > PHASE_LIMIT_US) {
		s->maxerror = PHASE_LIMIT_US;
		s->status |= STA_UNSYNC;
	}
	step = leap_second(s);
	s->second += step;
	next_slew(s);
	return step;
}

bool timex_active(const struct timex_state *s)
{
	return s->offset || s->adjust || s->slew || s->state != TIME_OK ||
	       (s->status & (STA_INS | STA_DEL));
}

/* ns in a second as parts of VCLOCK_ONE */
static int64_t parts(__int128 ns)
{
	return ns * (int64_t)VCLOCK_ONE / (int64_t)NSEC_PER_SEC;
}

int64_t timex_tune(const struct timex_state *s)
{
	int64_t freq = (__int128)s->freq * (int64_t)VCLOCK_ONE / (INT64_C(1000000) << 16);

	/* A tick that is a microsecond longer, a hundred times a second. */
	return freq + parts((s->tick - TICK_US) * INT64_C(100000)) + parts(s->slew);
}

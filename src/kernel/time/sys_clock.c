/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sys_clock.c - readings of a clock that come by a call, and fresh images
 *
 * Most readings never come here: image.h, vdso_clock.h. What does: raw system
 * calls, the vsyscall page, a vDSO that makes the calls itself, readings while
 * the clocks are being changed, and the first ones of an image, which asks for
 * the page. They get the answer that a reading without a call would give.
 *
 * The vDSO of a fresh image is changed in its first brk(0), which is ld.so's
 * and static glibc's before either looks for the functions there, or when it
 * sets its thread pointer, which musl and Go do before they look.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "kernel/log.h"
#include "kernel/syscall.h"
#include "kernel/time/timekeeper.h"
#include "kernel/util.h"
#include "kernel/wait/deadline.h"
#include "passthrough/hostcall.h"

/* Newer than Debian 12's headers' asm/prctl.h in part. */
#define MAP_VDSO_FIRST 0x2001	/* ARCH_MAP_VDSO_X32 */
#define MAP_VDSO_LAST 0x2003	/* ARCH_MAP_VDSO_64 */

static bool still_waits(const void *ctx)
{
	return call_valid(ctx);
}

static struct image_caller caller_of(const struct call *c)
{
	return (struct image_caller){ .tid = c->tid, .valid = still_waits, .ctx = c };
}

/* Eight bytes that a changed vDSO has and an original has not. */
static uint32_t mark_at(const struct image *im)
{
	return im->how == IMAGE_READS ? im->head : im->gettime;
}

/* Is the vDSO at @base a changed one? Cheaper than to open anything. */
static bool is_changed(const struct image *im, const struct call *c, uint64_t base)
{
	uint64_t is;

	return copy_from_guest(c->tid, &is, uaddr(base + mark_at(im)), sizeof(is)) == 0 &&
	       memcmp(&is, im->changed + mark_at(im), sizeof(is)) == 0;
}

/* Thread id and page number of the vDSO in one word: 22 and 35 bits. */
static uint64_t seen_word(pid_t tid, uint64_t base)
{
	return base >> 12 << 24 | (uint32_t)tid;
}

static bool was_seen(struct timekeeper *t, const struct call *c)
{
	uint64_t word = atomic_load(&t->seen[c->tid % TIME_IMAGES]);
	uint64_t base = word >> 24 << 12;

	return word == seen_word(c->tid, base) && base && is_changed(&t->image, c, base);
}

/* The first is logged, by its host id; the others are counted. */
static void note_left(struct timekeeper *t, const struct call *c, int why)
{
	if (atomic_fetch_add(&t->count.left, 1) == 0)
		log_warn("time: the vDSO of task %d could not be changed (%s): it may read the host's "
			 "clock", c->tid, why == -ESTALE ? "it is not the host's" : strerror(-why));
}

/* The caller may be in an image that has just been exec'ed. */
static void fresh_image(struct kernel *k, struct call *c)
{
	struct timekeeper *t = k->time;
	struct image_caller who = caller_of(c);
	uint64_t base;
	int ret;

	who.ip = c->ip;
	who.guess = t ? &t->guess : NULL;
	if (!t || !t->image.size || was_seen(t, c))
		return;
	ret = image_change(&t->image, &who, &base);
	if (ret >= 0)
		atomic_store(&t->seen[c->tid % TIME_IMAGES], seen_word(c->tid, base));
	if (ret > 0)
		atomic_fetch_add(t->image.how == IMAGE_READS ? &t->count.changed : &t->count.stubbed, 1);
	/* Once an image: glibc calls brk(0) twice, and each libc this. */
	if (ret < 0 && ret != -ESRCH && c->nr == SYS_arch_prctl)
		note_left(t, c, ret);
}

long sys_brk(struct kernel *k, struct call *c)
{
	long same = charge_break(k, c);

	if (same)
		return same;
	if (c->arg[0] == 0)
		fresh_image(k, c);
	return call_continue(c, "the break is the task's own memory; it stops only to show a fresh image");
}

long sys_arch_prctl(struct kernel *k, struct call *c)
{
	int code = arg_int(c, 0);

	if (code >= MAP_VDSO_FIRST && code <= MAP_VDSO_LAST)
		return -EPERM;
	if (code == ARCH_SET_FS)
		fresh_image(k, c);
	return call_continue(c, "the registers of the task's own; it stops only to show a fresh image");
}

/* ---- the page ----------------------------------------------------------- */

static long give_page(struct timekeeper *t, struct call *c)
{
	int fd = host_result(fcntl(t->page_fd, F_DUPFD_CLOEXEC, 0));

	return fd < 0 ? fd : call_fd(c, fd, true);
}

/* The address or, for a mapping that failed, an errno. */
static long note_page(struct timekeeper *t, struct call *c)
{
	struct image_caller who = caller_of(c);
	bool mapped = c->arg[1] < (uint64_t)-4095 && c->arg[1] % 4096 == 0 && c->arg[1];
	uint64_t at = mapped ? c->arg[1] : VCLOCK_PAGE_NEVER;
	int ret = image_tell(&t->image, &who, c->arg[3], at);

	if (ret < 0)
		return -EFAULT;
	atomic_fetch_add(mapped ? &t->count.mapped : &t->count.refused, 1);
	return 0;
}

/* ---- readings ----------------------------------------------------------- */

/* Does the host's own code of a changed vDSO ask? It does where the host's clock
 * source cannot be read without a call; what it gets, our code maps. */
static bool is_host_part(struct timekeeper *t, const struct call *c)
{
	uint64_t base;

	return t->image.how == IMAGE_READS && image_original_call(&t->image, c->ip, &base) &&
	       is_changed(&t->image, c, base);
}

long sys_clock_gettime(struct kernel *k, struct call *c)
{
	struct timekeeper *t = k->time;
	struct timespec ts;

	if (!t)
		return call_continue(c, "the clocks are the host's");
	if (c->arg[2] == VCLOCK_ASK && !c->arg[1] && t->image.how == IMAGE_READS)
		return give_page(t, c);
	if (c->arg[2] == VCLOCK_TELL && t->image.how == IMAGE_READS)
		return note_page(t, c);
	if (c->arg[2] == VCLOCK_FINISH && !c->arg[1])
		return deadline_finish(k, c);
	if (is_host_part(t, c))
		return call_continue(c, "the host's part of a reading that goes on in the vDSO");
	if (timekeeper_read(t, arg_int(c, 0), &ts) < 0)
		return call_continue(c, "a clock of the task's own or none at all");
	atomic_fetch_add(&t->count.trapped, 1);
	if (arg_copy_out(c, 1, &ts, sizeof(ts)) == 0)
		return 0;
	return call_continue(c, "memory that we may not write, or nobody: the host says EFAULT or, "
				"to an image that is closed to us, its own time");
}

long sys_gettimeofday(struct kernel *k, struct call *c)
{
	struct timekeeper *t = k->time;
	struct timezone tz = {};
	struct timespec ts;
	struct timeval tv;

	if (!t)
		return call_continue(c, "the clocks are the host's");
	timekeeper_read(t, CLOCK_REALTIME, &ts);
	timekeeper_zone(t, &tz, NULL);
	tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
	atomic_fetch_add(&t->count.trapped, 1);
	if ((!c->arg[0] || arg_copy_out(c, 0, &tv, sizeof(tv)) == 0) &&
	    (!c->arg[1] || arg_copy_out(c, 1, &tz, sizeof(tz)) == 0))
		return 0;
	return call_continue(c, "memory that we may not write, or nobody: the host says EFAULT or, "
				"to an image that is closed to us, its own time");
}

long sys_time(struct kernel *k, struct call *c)
{
	struct timekeeper *t = k->time;
	struct timespec ts;

	if (!t)
		return call_continue(c, "the clocks are the host's");
	timekeeper_read(t, CLOCK_REALTIME_COARSE, &ts);
	atomic_fetch_add(&t->count.trapped, 1);
	if (!c->arg[0] || arg_copy_out(c, 0, &ts.tv_sec, sizeof(ts.tv_sec)) == 0)
		return ts.tv_sec;
	return call_continue(c, "memory that we may not write, or nobody: the host says EFAULT or, "
				"to an image that is closed to us, its own time");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_server.c - the process that serves a file system of a disk, as the guest
 * kernel has it
 */
#include "kernel/mount_server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/disks.h"
#include "kernel/cleanup.h"
#include "kernel/log.h"
#include "kernel/util.h"
#include "passthrough/hostcall.h"

#define IDLE_PATIENCE (10 * NSEC_PER_SEC)	/* while the disk is asked for nothing */
#define LEAVE_PATIENCE (1 * NSEC_PER_SEC)	/* the same, of one that nobody should have mounted */
#define PATIENCE (60 * NSEC_PER_SEC)		/* in all */
#define DEATH_PATIENCE 10000		/* ms, until a killed one has closed its files */
#define LOOK_EVERY 100			/* ms */

/* What was asked of the disk; *@busy: something is under way. */
static uint64_t disk_requests(const struct mount_server *s, bool *busy)
{
	struct disk_view v = { .count.inflight = 0 };
	uint64_t n = 0;

	if (disks_view(s->disks, ubd_ino_disk(s->disk), 0, &v))
		for (unsigned i = 0; i < UBD_NUM_OPS; i++)
			n += v.count.ios[i];
	*busy = v.count.inflight > 0;
	return n;
}

/* Until it says something, or its socket is closed. 0, -ETIMEDOUT, or -EINTR. */
static int await(const struct mount_server *s, uint64_t since, uint64_t idle, bool mounting)
{
	struct pollfd p = { .fd = s->control, .events = POLLIN };
	uint64_t active = host_now(), last = 0, now;
	bool busy;

	while (host_result(poll(&p, 1, LOOK_EVERY)) <= 0) {
		uint64_t n = disk_requests(s, &busy);

		now = host_now();
		if (n != last || busy)
			active = now;
		last = n;
		if (mounting && atomic_load(s->hurry))
			return -EINTR;
		if (now - active > idle || now - since > PATIENCE)
			return -ETIMEDOUT;
	}
	return 0;
}

static void release(struct mount_server *s)
{
	cleanup_fd_p(&s->control);
	cleanup_fd_p(&s->pidfd);
}

/* Returns when its end of the socket is closed: then so is the disk. */
static void kill_server(struct mount_server *s)
{
	struct pollfd p = { .fd = s->control };

	if (s->pidfd < 0)
		return;
	host_pidfd_kill(s->pidfd, SIGKILL);
	poll(&p, 1, DEATH_PATIENCE);
}

static void kill_stuck(struct mount_server *s)
{
	log_warn("mount: %s: the process that serves it does not answer and is killed; e2fsck may be needed",
		 s->source);
	kill_server(s);
}

/* The two messages of a start: who it is, and what became of it. */
static int take_reply(struct mount_server *s, struct mount_reply *why)
{
	int ret = await(s, host_now(), IDLE_PATIENCE, true);

	*why = (struct mount_reply){ .result = ret };
	if (ret == 0)
		return mounter_reply(s->control, why);
	if (ret == -ETIMEDOUT)
		snprintf(why->text, sizeof(why->text), "the process that reads the disk does not answer: killed");
	else
		snprintf(why->text, sizeof(why->text), "the guest ends");
	kill_server(s);
	return ret;
}

int mount_server_start(struct mount_server *s, int mounter, const struct mount_request *rq, int disk,
		       struct mount_reply *why)
{
	int ret;

	*why = (struct mount_reply){ .text = "the mounter has ended" };
	s->pidfd = -1;
	s->control = mounter_mount(mounter, rq, disk);
	if (s->control < 0)
		return s->control;
	ret = s->pidfd = take_reply(s, why);
	if (ret >= 0)
		ret = take_reply(s, why);
	if (ret < 0)
		release(s);
	return ret;
}

/* A byte that it sends. Return: 1, 0 if it has ended, or -ETIMEDOUT. */
static int take_byte(struct mount_server *s, uint64_t since, uint64_t idle, unsigned char *ret_byte)
{
	int ret;

	do {
		ret = await(s, since, idle, false);
		if (ret < 0)
			return ret;
		ret = host_result(recv(s->control, ret_byte, 1, MSG_DONTWAIT));
	} while (ret == -EAGAIN);
	return ret == 1;
}

/* Return: 1 it is mounted, 0 it has ended, or -ETIMEDOUT. */
static int ask(struct mount_server *s)
{
	unsigned char byte = ++s->asked;
	uint64_t since = host_now();
	int ret;

	/* No room: it has not answered for long, and is waited for as well. */
	ret = host_result(send(s->control, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	if (ret < 0 && ret != -EAGAIN)
		return 0;
	do
		ret = take_byte(s, since, IDLE_PATIENCE, &byte);
	while (ret == 1 && byte != s->asked);
	return ret;
}

bool mount_server_mounted(struct mount_server *s)
{
	int ret = ask(s);

	if (ret == 1)
		return true;
	if (ret == 0)
		log_info("mount: %s is unmounted", s->source);
	else
		kill_stuck(s);
	release(s);
	return false;
}

bool mount_server_left(struct mount_server *s, uint64_t since)
{
	unsigned char byte;
	int ret;

	do
		ret = take_byte(s, since, LEAVE_PATIENCE, &byte);
	while (ret == 1);
	if (ret == 0)
		release(s);
	return ret == 0;
}

void mount_server_end(struct mount_server *s)
{
	shutdown(s->control, SHUT_WR);
}

void mount_server_wait(struct mount_server *s, uint64_t since)
{
	unsigned char byte;
	int ret;

	do
		ret = take_byte(s, since, IDLE_PATIENCE, &byte);
	while (ret == 1);
	if (ret == -ETIMEDOUT)
		kill_stuck(s);
	release(s);
}

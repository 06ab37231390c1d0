/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_disk.h - a host disk that answers in any order, fails, and loses power
 *
 * Requests wait until fake_step() answers one of them, which one is random. All
 * that happens has a time, so that it can be told afterwards what a disk with a
 * write cache may have kept at each moment: what a sync covers, and of the rest
 * any sectors.
 */
#ifndef WEIR_TESTS_FAKE_DISK_H
#define WEIR_TESTS_FAKE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/aio.h"

#define FAKE_NEVER UINT32_MAX

/* A write or a hole, or a sync, as it was asked for. */
struct fake_op {
	enum aio_op op;
	int fd;
	uint64_t offset, len;
	char *data;		/* AIO_WRITE */
	uint32_t begun, ended;	/* FAKE_NEVER: it waits */
	bool good;
	struct aio_request *rq;
};

struct fake_disk {
	struct aio aio;
	struct fake_op *op;
	unsigned n, room;
	unsigned *waiting, nwaiting, waiting_room;
	uint32_t now;
	unsigned seed;
	/* Return: 0, or the error that this request gets; NULL: none. */
	int (*inject)(struct fake_disk *f, const struct fake_op *op);
	unsigned limit;		/* for inject() */
};

void fake_init(struct fake_disk *f, unsigned seed);
void fake_exit(struct fake_disk *f);

/* Answer one. Return: false if none waits. */
bool fake_step(struct fake_disk *f);

unsigned fake_random(struct fake_disk *f, unsigned below);

/* Make @fd, which is as it was at the beginning, what the disk of @of may hold if
 * power fails after @time. */
void fake_cut(struct fake_disk *f, uint32_t time, int of, int fd);

#endif

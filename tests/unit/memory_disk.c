/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_disk.c - a disk in memory that remembers what was written, and loses power
 *
 * The linker gives it the calls that write: see meson.build.
 */
#include "memory_disk.h"

#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/util.h"

static struct memory_disk *logged;	/* the only one at a time */

/* ---- what is written ---------------------------------------------------- */

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static void add_op(const void *data, size_t len, uint64_t offset)
{
	struct memory_disk *d = logged;
	struct disk_op *o;

	if (d->n == d->room) {
		d->room = MAX(2 * d->room, 1024u);
		d->op = realloc(d->op, d->room * sizeof(*d->op));
		must(d->op, "the log");
	}
	o = &d->op[d->n++];
	*o = (struct disk_op){ .offset = offset, .len = len, .data = len ? malloc(len) : NULL };
	if (len)
		memcpy(o->data, data, len);
}

ssize_t __real_pwrite64(int fd, const void *data, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

ssize_t __wrap_pwrite64(int fd, const void *data, size_t len, off_t offset)
{
	if (logged && fd == logged->fd)
		add_op(data, len, offset);
	return __real_pwrite64(fd, data, len, offset);
}

int __wrap_fdatasync(int fd)
{
	if (logged && fd == logged->fd)
		add_op(NULL, 0, 0);
	return __real_fdatasync(fd);
}

int __real_io_submit(io_context_t ctx, long n, struct iocb **one);
int __wrap_io_submit(io_context_t ctx, long n, struct iocb **one);

/* What is under way when power fails may be there, as any other write. */
int __wrap_io_submit(io_context_t ctx, long n, struct iocb **one)
{
	for (long i = 0; i < n; i++)
		if (logged && one[i]->aio_fildes == logged->fd && one[i]->aio_lio_opcode == IO_CMD_PWRITE)
			add_op(one[i]->u.c.buf, one[i]->u.c.nbytes, one[i]->u.c.offset);
	return __real_io_submit(ctx, n, one);
}

/* ---- disks --------------------------------------------------------------- */

int memory_disk_copy(int fd)
{
	int ret = memfd_create("disk", MFD_CLOEXEC);
	struct stat st;
	off_t at = 0;

	must(ret >= 0 && fstat(fd, &st) == 0 && ftruncate(ret, st.st_size) == 0, "a disk");
	while (at < st.st_size) {
		/* What is a hole stays one. */
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		must(lseek(ret, data, SEEK_SET) == data, "a disk");
		for (at = data; at < hole;)
			must(sendfile(ret, fd, &at, hole - at) > 0, "a disk");
	}
	return ret;
}

/* Run a program of e2fsprogs' with the disk as its last argument. Return: its status, or -1. */
static int run(int fd, const char *program, const char *const options[], char *text, size_t size)
{
	const char *argv[32] = { program };
	char path[32], full[64];
	int out = memfd_create("output", MFD_CLOEXEC), status = 0, n = 1;
	ssize_t len;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(full, sizeof(full), "/sbin/%s", program);
	for (int i = 0; options[i]; i++)
		argv[n++] = options[i];
	argv[n] = path;
	pid = fork();
	if (pid == 0) {
		fcntl(fd, F_SETFD, 0);
		dup2(out, 1);
		dup2(out, 2);
		execv(full, (char **)argv);
		_exit(127);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid, program);
	len = pread(out, text, size - 1, 0);
	text[MAX(len, 0)] = '\0';
	close(out);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	return status == 127 ? -1 : status;
}

bool memory_disk_make(struct memory_disk *d, uint64_t size, const char *const options[])
{
	const char *argv[24] = { "-q", "-F" };
	char text[1000];
	int n = 2, status;

	*d = (struct memory_disk){ .before = -1 };
	d->fd = memfd_create("disk", MFD_CLOEXEC);
	must(d->fd >= 0 && ftruncate(d->fd, size) == 0, "a disk");
	for (int i = 0; options[i]; i++)
		argv[n++] = options[i];
	status = run(d->fd, "mke2fs", argv, text, sizeof(text));
	if (status > 0)
		fprintf(stderr, "%s", text);
	must(status <= 0, "mke2fs");
	if (status < 0) {
		close(d->fd);
		return false;
	}
	memory_disk_mark(d);
	logged = d;
	return true;
}

static void forget(struct memory_disk *d)
{
	for (unsigned i = 0; i < d->n; i++)
		free(d->op[i].data);
	d->n = 0;
	if (d->before >= 0)
		close(d->before);
	d->before = -1;
}

void memory_disk_mark(struct memory_disk *d)
{
	forget(d);
	d->before = memory_disk_copy(d->fd);
}

void memory_disk_free(struct memory_disk *d)
{
	logged = NULL;
	forget(d);
	free(d->op);
	close(d->fd);
}

/* ---- cuts ---------------------------------------------------------------- */

static void put(int fd, const struct disk_op *o, size_t skip, size_t len)
{
	must(__real_pwrite64(fd, o->data + skip, len, o->offset + skip) == (ssize_t)len, "a disk");
}

int memory_disk_cut(const struct memory_disk *d, unsigned n, size_t unit, unsigned seed)
{
	int fd = memory_disk_copy(d->before);
	unsigned flushed = 0;

	for (unsigned i = 0; i < n; i++)
		if (!d->op[i].len)
			flushed = i;
	for (unsigned i = 0; i < n; i++) {
		const struct disk_op *o = &d->op[i];

		if (i < flushed || !seed) {
			put(fd, o, 0, o->len);
			continue;
		}
		for (size_t at = 0; at < o->len; at += unit)
			if (rand_r(&seed) & 0x10000)
				put(fd, o, at, MIN(unit, o->len - at));
	}
	return fd;
}

int memory_disk_e2fsck(int fd, const char *option, char *text, size_t size)
{
	const char *const options[] = { option, NULL };

	return run(fd, "e2fsck", options, text, size);
}

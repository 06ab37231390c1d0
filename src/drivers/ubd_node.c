/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_node.c - block devices as the guest sees them: files of a FUSE file system
 *
 * Reads and buffered pages are the host's page cache, as with any block device;
 * writes go through it to the device, so that a write behind the end is refused
 * when it is made. O_DIRECT goes past it, many requests at a time. A request is
 * answered when the device is done with it, in any order.
 */
#include "drivers/ubd_node.h"

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_FUSE

#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "drivers/ubd_ioctl.h"
#include "drivers/ubd_node_impl.h"
#include "kernel/util.h"
#include "mmu/uaccess.h"
#include "passthrough/fuse.h"
#include "passthrough/hostcall.h"

#define MAX_IO UBD_NODE_MAX_IO
#define MIN_BUFFER 4096u	/* a page; each size is twice the one before */
#define NUM_SIZES 10		/* up to 2 MiB: a request that begins within a sector */

/* Free memory for requests, by size: a list through its first bytes. */
struct buffers {
	void *free[NUM_SIZES];
};

struct job {
	struct ubd_request rq;	/* first */
	struct ubd_nodes *s;
	struct ubd_node *node;
	fuse_req_t req;
	enum ubd_op op;		/* what it was asked for as */
	uint64_t begun_ns;
	unsigned size;		/* of its buffer */
	size_t skip, len;	/* bytes: before those asked for, and those */
	char *data;		/* a write within sectors: what is to be written */
};

/* ---- memory ------------------------------------------------------------ */

static void *get_buffer(struct ubd_nodes *s, size_t len, unsigned *ret_size)
{
	struct buffers *b = s->buffers;
	unsigned i = 0;
	void *p;

	while (i < NUM_SIZES - 1 && ((size_t)MIN_BUFFER << i) < len)
		i++;
	*ret_size = i;
	p = b->free[i];
	if (p)
		memcpy(&b->free[i], p, sizeof(p));
	else
		p = aligned_alloc(MIN_BUFFER, (size_t)MIN_BUFFER << i);
	return p;
}

static void put_buffer(struct ubd_nodes *s, void *p, unsigned i)
{
	struct buffers *b = s->buffers;

	memcpy(p, &b->free[i], sizeof(p));
	b->free[i] = p;
}

/* ---- counters ---------------------------------------------------------- */

static void count_begin(struct ubd_counters *c, uint64_t now)
{
	if (c->inflight++ == 0)
		c->since_ns = now;
}

static void count_end(struct ubd_counters *c, enum ubd_op op, uint64_t bytes, uint64_t begun, uint64_t now)
{
	c->ios[op]++;
	c->bytes[op] += bytes;
	c->ns[op] += now - begun;
	if (--c->inflight == 0)
		c->busy_ns += now - c->since_ns;
}

/* What a partition was asked for, its disk was. */
static void begin_counting(struct job *j)
{
	j->begun_ns = host_now();
	count_begin(&j->node->count, j->begun_ns);
	if (j->node->whole != j->node)
		count_begin(&j->node->whole->count, j->begun_ns);
}

static void end_counting(const struct job *j)
{
	uint64_t now = host_now(), bytes = j->op == UBD_DISCARD ? j->rq.len : j->len;

	count_end(&j->node->count, j->op, bytes, j->begun_ns, now);
	if (j->node->whole != j->node)
		count_end(&j->node->whole->count, j->op, bytes, j->begun_ns, now);
}

/* ---- requests ---------------------------------------------------------- */

static void end_job(struct job *j)
{
	end_counting(j);
	if (j->rq.buf)
		put_buffer(j->s, j->rq.buf, j->size);
	free(j->data);
	free(j);
}

/* ---- reading and writing ----------------------------------------------- */

/* Return: NULL if it was refused. */
static struct job *begin(fuse_req_t req, fuse_ino_t ino, enum ubd_op op)
{
	struct ubd_node *n = ubd_node_of(req, ino);
	struct job *j = n ? calloc(1, sizeof(*j)) : NULL;

	if (!j) {
		fuse_reply_err(req, n ? ENOMEM : ENXIO);
		return NULL;
	}
	j->s = fuse_req_userdata(req);
	j->node = n;
	j->req = req;
	j->op = j->rq.op = op;
	if (op == UBD_WRITE || op == UBD_DISCARD) {
		n->writes++;
		n->whole->all_writes++;
	}
	begin_counting(j);
	return j;
}

/* The sectors that have bytes @off to @off + @len of the node, and a buffer. */
static int place(struct job *j, uint64_t off, size_t len)
{
	uint64_t end = (off + len + COW_SECTOR - 1) / COW_SECTOR * COW_SECTOR;

	j->skip = off % COW_SECTOR;
	j->len = len;
	j->rq.offset = j->node->start + off - j->skip;
	j->rq.len = end - (off - j->skip);
	j->rq.buf = get_buffer(j->s, j->rq.len, &j->size);
	return j->rq.buf ? 0 : -ENOMEM;
}

static void fail(struct job *j, int ret)
{
	fuse_reply_err(j->req, -ret);
	end_job(j);
}

static void read_done(struct ubd_request *rq, int ret)
{
	struct job *j = (struct job *)rq;

	if (ret < 0)
		fuse_reply_err(j->req, -ret);
	else
		fuse_reply_buf(j->req, (char *)rq->buf + j->skip, j->len);
	end_job(j);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct job *j = begin(req, ino, UBD_READ);
	int ret;

	if (!j)
		return;
	/* As block devices have it. What the host cuts where a page of the buffer ends is
	 * none of it if the buffer lies at a multiple of 512, as with those. */
	if (fi->flags & O_DIRECT && (off | size) % COW_SECTOR) {
		fail(j, -EINVAL);
		return;
	}
	if ((uint64_t)off >= j->node->size) {
		fuse_reply_buf(req, NULL, 0);
		end_job(j);
		return;
	}
	ret = place(j, off, MIN(MIN(size, MAX_IO), j->node->size - off));
	if (ret < 0) {
		fail(j, ret);
		return;
	}
	j->rq.done = read_done;
	ubd_submit(j->node->u, &j->rq);
}

static void write_done(struct ubd_request *rq, int ret)
{
	struct job *j = (struct job *)rq;

	if (ret < 0)
		fuse_reply_err(j->req, -ret);
	else
		fuse_reply_write(j->req, j->len);
	end_job(j);
}

/* The sectors around what is to be written were read. */
static void modify_done(struct ubd_request *rq, int ret)
{
	struct job *j = (struct job *)rq;

	if (ret < 0) {
		fail(j, ret);
		return;
	}
	memcpy((char *)rq->buf + j->skip, j->data, j->len);
	rq->op = UBD_WRITE;
	rq->done = write_done;
	ubd_submit(j->node->u, rq);
}

static int begin_write(struct job *j, const char *buf, size_t size, uint64_t off, bool direct)
{
	bool whole = (off | size) % COW_SECTOR == 0;
	int ret;

	if (off >= j->node->size)
		return -ENOSPC;
	if (direct && !whole)
		return -EINVAL;
	ret = place(j, off, MIN(size, j->node->size - off));
	if (ret < 0)
		return ret;
	j->rq.done = write_done;
	if (whole) {
		memcpy(j->rq.buf, buf, j->len);
	} else {
		/* The host has the file locked: nobody else writes to these sectors. */
		j->data = malloc(j->len);
		if (!j->data)
			return -ENOMEM;
		memcpy(j->data, buf, j->len);
		j->rq.op = UBD_READ;
		j->rq.done = modify_done;
	}
	ubd_submit(j->node->u, &j->rq);
	return 0;
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct job *j = begin(req, ino, UBD_WRITE);
	int ret = j ? begin_write(j, buf, size, off, fi->flags & O_DIRECT) : 0;

	if (ret < 0)
		fail(j, ret);
}

/* ---- flush, discard, ioctl --------------------------------------------- */

static void plain_done(struct ubd_request *rq, int ret)
{
	fail((struct job *)rq, ret);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct job *j = begin(req, ino, UBD_FLUSH);

	if (!j)
		return;
	j->rq.done = plain_done;
	ubd_submit(j->node->u, &j->rq);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	const struct ubd_node *n = ubd_node_of(req, ino);
	struct job *j;

	/* As block devices: a hole, or zeros, of whole sectors. */
	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) &&
	    mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE) && mode != FALLOC_FL_ZERO_RANGE) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if (!n || (off | len) % COW_SECTOR || (uint64_t)off >= n->size) {
		fuse_reply_err(req, n ? EINVAL : ENXIO);
		return;
	}
	j = begin(req, ino, UBD_DISCARD);
	if (!j)
		return;
	j->rq.offset = n->start + off;
	j->rq.len = MIN((uint64_t)len, n->size - off);
	j->rq.done = plain_done;
	ubd_submit(n->u, &j->rq);
}

static void ioctl_done(struct ubd_request *rq, int ret)
{
	struct job *j = (struct job *)rq;

	if (ret < 0)
		fuse_reply_err(j->req, -ret);
	else
		fuse_reply_ioctl(j->req, 0, NULL, 0);
	end_job(j);
}

static void begin_ioctl(fuse_req_t req, fuse_ino_t ino, const struct ubd_ioctl *r)
{
	struct job *j = begin(req, ino, r->op);

	if (!j)
		return;
	j->rq.offset = r->offset;
	j->rq.len = r->range;
	j->rq.done = ioctl_done;
	ubd_submit(j->node->u, &j->rq);
}

/* The file system's numbers: 0 is the guest's root. */
static bool is_root(fuse_req_t req)
{
	return fuse_req_ctx(req)->uid == 0;
}

static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
		     unsigned flags, const void *in, size_t in_len, size_t out_len)
{
	const struct ubd_node *n = ubd_node_of(req, ino);
	struct ubd_nodes *s = fuse_req_userdata(req);
	pid_t tid = fuse_req_ctx(req)->pid;
	struct ubd_ioctl r = { .ret = -ENOTTY };

	if (n && !(flags & FUSE_IOCTL_COMPAT))
		ubd_ioctl(n, cmd, tid, (uintptr_t)arg, &r);
	if (r.ret == 0 && r.request && r.op == UBD_DISCARD && (fi->fh & O_ACCMODE) == O_RDONLY)
		r.ret = -EBADF;
	if (r.ret == 0 && r.request) {
		begin_ioctl(req, ino, &r);
		return;
	}
	if (r.ret == 0 && r.change.what != UBD_CHANGE_NONE)
		r.ret = is_root(req) ? s->change(s->ctx, n->disk, &r.change) : -EACCES;
	/* The host copies what the number says, the rest is ours to do. */
	if (r.ret == 0 && r.len && _IOC_SIZE(cmd) != r.len)
		r.ret = copy_to_guest(tid, uaddr((uintptr_t)arg), &r.out, r.len);
	if (r.ret < 0)
		fuse_reply_err(req, -r.ret);
	else
		fuse_reply_ioctl(req, 0, &r.out, _IOC_SIZE(cmd) == r.len ? r.len : 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = ubd_dir_init,
	.lookup = ubd_dir_lookup,
	.getattr = ubd_dir_getattr,
	.setattr = ubd_dir_setattr,
	.readdir = ubd_dir_readdir,
	.open = ubd_dir_open,
	.flush = ubd_dir_flush,
	.release = ubd_dir_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.ioctl = op_ioctl,
};

int ubd_nodes_open(struct ubd_nodes *s, int device)
{
	const struct fuse_server_config cfg = {
		.device = device, .ops = &ops, .ops_size = sizeof(ops), .ctx = s,
	};

	s->buffers = calloc(1, sizeof(struct buffers));
	if (!s->buffers) {
		close(device);
		return -ENOMEM;
	}
	return fuse_server_start(&cfg, &s->server);
}

void ubd_nodes_close(struct ubd_nodes *s)
{
	struct buffers *b = s->buffers;

	fuse_server_stop(s->server);
	s->server = NULL;
	for (unsigned i = 0; b && i < NUM_SIZES; i++)
		while (b->free[i]) {
			void *p = b->free[i];

			memcpy(&b->free[i], p, sizeof(p));
			free(p);
		}
	free(b);
	s->buffers = NULL;
}

#else

int ubd_nodes_open(struct ubd_nodes *s, int device)
{
	close(device);
	return -ENOSYS;
}

void ubd_nodes_close(struct ubd_nodes *s)
{
}

#endif

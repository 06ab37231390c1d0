/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubd_dir.c - names and attributes of block devices, and who has one open
 *
 * Nodes come and go: names are asked for each time, and a node that was made anew
 * has an inode of its own, so that nothing that the host remembers of the old one
 * is taken for the new one's.
 *
 * A disk and its partitions have a page cache each. As with any block device it
 * belongs to those who have the node open; who opens it first may have what is
 * there still, if nobody has written to the disk through another node since.
 */
#include "drivers/ubd_node.h"

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/util.h"

/* ---- the table --------------------------------------------------------- */

struct ubd_node *ubd_nodes_add(struct ubd_nodes *s, const struct ubd_node *as)
{
	struct ubd_node *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	*n = *as;
	n->whole = n->part ? s->node[n->disk][0] : n;
	n->ino = ubd_ino(++s->generation, n->disk, n->part);
	s->node[n->disk][n->part] = n;
	return n;
}

void ubd_nodes_remove(struct ubd_nodes *s, struct ubd_node *n)
{
	if (!n)
		return;
	s->node[n->disk][n->part] = NULL;
	free(n);
}

bool ubd_node_busy(const struct ubd_node *n)
{
	return n && (n->opens > 0 || n->count.inflight > 0);
}

#if HAVE_FUSE

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>

#include "drivers/ubd_node_impl.h"
#include "kernel/cleanup.h"

#define FOREVER (365.0 * 86400)	/* seconds */
#define MAX_BACKGROUND 1024
#define SLOTS (UBD_MAX_DISKS * UBD_MAX_NODES)

static struct ubd_nodes *nodes_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct ubd_node *ubd_node_of(fuse_req_t req, fuse_ino_t ino)
{
	unsigned disk = ubd_ino_disk(ino), part = ubd_ino_part(ino);
	struct ubd_node *n = disk < UBD_MAX_DISKS && part < UBD_MAX_NODES ? nodes_of(req)->node[disk][part] :
									      NULL;

	return n && n->ino == ino ? n : NULL;
}

static struct ubd_node *at_slot(const struct ubd_nodes *s, unsigned slot)
{
	return s->node[slot / UBD_MAX_NODES][slot % UBD_MAX_NODES];
}

/* Return: 0, or -ESTALE for a node that is gone. */
static int attributes(fuse_req_t req, fuse_ino_t ino, struct stat *st)
{
	const struct ubd_node *n = ubd_node_of(req, ino);

	*st = (struct stat){ .st_ino = ino, .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
	if (!n)
		return ino == FUSE_ROOT_ID ? 0 : -ESTALE;
	st->st_mode = S_IFREG | n->mode;
	st->st_nlink = 1;
	st->st_uid = n->uid;
	st->st_gid = n->gid;
	st->st_size = n->size;
	st->st_blocks = n->size / 512;
	st->st_blksize = 4096;
	return 0;
}

void ubd_dir_init(void *nodes, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS);
	conn->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
			FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = UBD_NODE_MAX_IO;
	conn->max_readahead = UBD_NODE_MAX_IO;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
}

void ubd_dir_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = FOREVER };
	const struct ubd_nodes *s = nodes_of(req);

	for (unsigned i = 0; parent == FUSE_ROOT_ID && i < SLOTS; i++) {
		const struct ubd_node *n = at_slot(s, i);

		if (!n || !streq(n->name, name))
			continue;
		e.ino = n->ino;
		attributes(req, e.ino, &e.attr);
		fuse_reply_entry(req, &e);
		return;
	}
	fuse_reply_err(req, ENOENT);
}

void ubd_dir_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	if (attributes(req, ino, &st) < 0)
		fuse_reply_err(req, ESTALE);
	else
		fuse_reply_attr(req, &st, FOREVER);
}

/* Who may is the host's to say (default_permissions). A device has one size:
 * O_TRUNC leaves it, as everywhere, and truncate(2) of an open one fails. */
void ubd_dir_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set, struct fuse_file_info *fi)
{
	struct ubd_node *n = ubd_node_of(req, ino);

	if (!n || ((set & FUSE_SET_ATTR_SIZE) && fi)) {
		fuse_reply_err(req, n ? EINVAL : EPERM);
		return;
	}
	if (set & FUSE_SET_ATTR_MODE)
		n->mode = attr->st_mode & 07777;
	if (set & FUSE_SET_ATTR_UID)
		n->uid = attr->st_uid;
	if (set & FUSE_SET_ATTR_GID)
		n->gid = attr->st_gid;
	ubd_dir_getattr(req, ino, NULL);
}

/* The @off-th entry or the next one there is: its name. Return: what follows it, 0 at the end. */
static off_t next_entry(const struct ubd_nodes *s, off_t off, const char **name, struct stat *st)
{
	*st = (struct stat){ .st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR };
	if (off < 2) {
		*name = off == 0 ? "." : "..";
		return off + 1;
	}
	for (; off - 2 < (off_t)SLOTS; off++) {
		const struct ubd_node *n = at_slot(s, off - 2);

		if (!n)
			continue;
		*st = (struct stat){ .st_ino = n->ino, .st_mode = S_IFREG };
		*name = n->name;
		return off + 1;
	}
	return 0;
}

void ubd_dir_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, struct fuse_file_info *fi)
{
	cleanup_free char *buf = malloc(size);
	const char *name;
	size_t used = 0;
	struct stat st;

	while (buf && (off = next_entry(nodes_of(req), off, &name, &st)) > 0) {
		size_t n = fuse_add_direntry(req, buf + used, size - used, name, &st, off);

		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

/* ---- open and close ---------------------------------------------------- */

static uint64_t foreign_writes(const struct ubd_node *n)
{
	return n->whole->all_writes - n->writes;
}

void ubd_dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ubd_node *n = ubd_node_of(req, ino);
	uint64_t foreign;

	if (!n || (n->readonly && (fi->flags & O_ACCMODE) != O_RDONLY)) {
		fuse_reply_err(req, n ? EROFS : ino == FUSE_ROOT_ID ? EISDIR : ENXIO);
		return;
	}
	foreign = foreign_writes(n);
	fi->keep_cache = n->opens > 0 || n->foreign_seen == foreign;
	fi->fh = fi->flags;
	/* Below zero: the caller was killed meanwhile, no RELEASE will come. */
	if (fuse_reply_open(req, fi) == 0 && n->opens++ == 0)
		n->foreign_seen = foreign;
}

/* A table that was written is read again when nobody else has the disk open, which
 * elsewhere udev(7) sees to. */
static void reread(struct ubd_nodes *s, struct ubd_node *n, unsigned opens)
{
	static const struct ubd_change change = { .what = UBD_CHANGE_REREAD };

	if (n->part != 0 || n->opens != opens || n->writes == n->writes_read)
		return;
	n->writes_read = n->writes;
	s->change(s->ctx, n->disk, &change);
}

/* close(2) waits for this, and not for the release: so partitions are there when it
 * returns. */
void ubd_dir_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ubd_node *n = ubd_node_of(req, ino);

	if (n)
		reread(nodes_of(req), n, 1);
	fuse_reply_err(req, 0);
}

void ubd_dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ubd_node *n = ubd_node_of(req, ino);

	if (n && n->opens > 0) {
		n->opens--;
		reread(nodes_of(req), n, 0);
	}
	fuse_reply_err(req, 0);
}

#endif

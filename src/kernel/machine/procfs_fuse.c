/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs_fuse.c - the files of proc_files.h over FUSE
 *
 * An open file has the text of its last read from the beginning: who reads on
 * gets the rest of the same text, who goes back to the beginning a new one, as
 * with the host's own files. Names and attributes never change, so the host
 * asks for each once.
 *
 * That is a request for each read, and one more at the end of the text. Files
 * that are read most are kept (proc_node.pad): whoever opens one that nobody has
 * open gets its text of this moment with the answer, in the host's page cache,
 * and reads without us. What may then be old, KEPT_AGE at most, is what somebody
 * reads again who has kept it open: its attributes last no longer, the host asks
 * for them, and a new time in them makes it drop its page. As it is not said
 * whether such a reader is at the end of the text or back at its beginning, a new
 * text has the length of the old one. Whoever comes second reads the slow way.
 */
#include "config.h"
#include "kernel/machine/procfs.h"

#include <errno.h>
#include <unistd.h>

#if HAVE_FUSE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/hostproc.h"
#include "kernel/machine/block_fuse.h"
#include "kernel/machine/proc_files.h"
#include "kernel/util.h"
#include "passthrough/fuse.h"
#include "passthrough/hostcall.h"

#define FOREVER (365.0 * 86400)	/* seconds */
#define KEPT_AGE_NS 5000000
#define KEPT_AGE (KEPT_AGE_NS / 1e9)	/* seconds */
#define KEPT_SPARE 16	/* bytes by which the next texts may be longer */
#define CPU_SHIFT 16		/* an inode: CPU, then index in proc_nodes[] + 1 */

/* No lock: requests are answered one at a time. */
struct opened {
	struct text text;
	bool read;		/* from the beginning: the next time is a new one */
	struct kept *kept;	/* it is read through the host's page cache */
};

/* A file whose text the host keeps, for one that has it open. */
struct kept {
	struct text text;
	uint64_t made_ns;
	bool open;
	unsigned changes;	/* of the text since it was opened; nanoseconds of the file's time */
};

static struct kept *kept;	/* by index in proc_nodes[] */
static struct fuse_server *server;

static struct kernel *kernel_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static fuse_ino_t inode(unsigned index, unsigned cpu)
{
	return ((fuse_ino_t)cpu << CPU_SHIFT) | (index + 1);
}

static unsigned index_of(fuse_ino_t ino)
{
	return (ino & ((1u << CPU_SHIFT) - 1)) - 1;
}

static unsigned cpu_of(fuse_ino_t ino)
{
	return ino >> CPU_SHIFT;
}

/* Block devices come and go: block_fuse.c has them. */
static bool is_block(fuse_ino_t ino)
{
	return ino >= BLOCK_INO || proc_nodes[index_of(ino)].kind >= PROC_BLOCK_TREE;
}

static const struct block_view *block_of(fuse_req_t req, fuse_ino_t ino, struct block_view *v)
{
	*v = (struct block_view){ .kernel = kernel_of(req), .ino = ino };
	if (ino >= BLOCK_INO)
		v->dir.ino = ino;
	else
		v->dir.kind = proc_nodes[index_of(ino)].kind;
	return v;
}

static struct timespec born;	/* of all files: when we began to serve them */

static bool is_kept(fuse_ino_t ino)
{
	return ino < BLOCK_INO && proc_nodes[index_of(ino)].pad;
}

/* Seconds for which the host may believe them. */
static double attributes(struct kernel *k, fuse_ino_t ino, struct stat *st)
{
	enum proc_kind kind = proc_nodes[index_of(ino)].kind;

	/* No size, as in /proc: it is known when it is read. */
	*st = (struct stat){
		.st_ino = ino,
		.st_mode = kind == PROC_FILE || kind == PROC_HIDDEN ? S_IFREG | 0444 : S_IFDIR | 0555,
		.st_nlink = kind == PROC_FILE || kind == PROC_HIDDEN ? 1 : 2,
		.st_atim = born,
		.st_mtim = born,
		.st_ctim = born,
	};
	if (!is_kept(ino))
		return FOREVER;
	st->st_size = kept[index_of(ino)].text.len;
	st->st_mtim.tv_nsec = kept[index_of(ino)].changes % NSEC_PER_SEC;
	return KEPT_AGE;
}

static void entry(struct kernel *k, fuse_ino_t ino, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){ .ino = ino, .entry_timeout = FOREVER };
	e->attr_timeout = attributes(k, ino, &e->attr);
	if (is_block(ino))
		e->attr_timeout = 0;	/* its names change */
}

/* The @n-th name of a directory. Return: its inode, 0 behind the last. */
static fuse_ino_t child(struct kernel *k, fuse_ino_t dir, unsigned n,
			char name[PROC_NAME_SIZE])
{
	for (unsigned i = PROC_ROOT + 1; i < proc_nnodes; i++) {
		const struct proc_node *node = &proc_nodes[i];
		unsigned many = proc_node_per_cpu(node) ? sched_nvcpus(k) : 1;

		if (node->parent != index_of(dir))
			continue;
		if (n >= many) {
			n -= many;
			continue;
		}
		proc_node_name(node, n, name);
		return inode(i, proc_node_per_cpu(node) ? n : cpu_of(dir));
	}
	return 0;
}

/* ---- texts ----------------------------------------------------------------- */

static int make_text(struct kernel *k, fuse_ino_t ino, struct text *t)
{
	static struct machine_facts *facts;	/* kept */

	if (ino >= BLOCK_INO)
		return block_text(k, ino, t);
	if (!facts)
		facts = malloc(sizeof(*facts));
	return facts ? proc_node_text(k, facts, index_of(ino), cpu_of(ino), t) : -ENOMEM;
}

/* Return: false if it stays as it is. */
static bool kept_make(struct kernel *k, fuse_ino_t ino)
{
	struct kept *f = &kept[index_of(ino)];
	size_t len = f->text.len;

	if (make_text(k, ino, &f->text) < 0)
		return false;
	proc_nodes[index_of(ino)].pad(&f->text, f->text.len > len ? f->text.len + KEPT_SPARE : len);
	f->made_ns = host_now();
	return text_ok(&f->text);
}

/* Return: NULL if it cannot be kept for this reader. As nobody else has it open
 * through the page cache, nobody reads the page. */
static struct kept *kept_open(struct kernel *k, fuse_ino_t ino)
{
	struct kept *f = &kept[index_of(ino)];

	if (f->open || !kept_make(k, ino) ||
	    fuse_server_store(server, ino, f->text.buf, f->text.len) < 0)
		return NULL;
	f->open = true;
	return f;
}

/* The host asks whether what it has is still right. */
static void kept_renew(struct kernel *k, fuse_ino_t ino)
{
	struct kept *f = &kept[index_of(ino)];

	if (f->open && host_now() - f->made_ns > KEPT_AGE_NS && kept_make(k, ino))
		f->changes++;
}

/* ---- operations ------------------------------------------------------------ */

static void op_init(void *kernel, struct fuse_conn_info *conn)
{
	/* All names with their attributes at once; requests in memory. */
	conn->want &= ~(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_SPLICE_READ |
			FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *wanted)
{
	struct fuse_entry_param e;
	char name[PROC_NAME_SIZE];
	struct block_view v;
	fuse_ino_t ino;

	if (is_block(parent)) {
		block_fuse_lookup(req, block_of(req, parent, &v), wanted);
		return;
	}
	for (unsigned n = 0; (ino = child(kernel_of(req), parent, n, name)) != 0; n++) {
		if (!streq(name, wanted))
			continue;
		entry(kernel_of(req), ino, &e);
		fuse_reply_entry(req, &e);
		return;
	}
	fuse_reply_err(req, ENOENT);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct block_view v;
	struct stat st;
	double valid;

	if (is_block(ino)) {
		block_fuse_getattr(req, block_of(req, ino, &v));
		return;
	}
	if (is_kept(ino))
		kept_renew(kernel_of(req), ino);
	valid = attributes(kernel_of(req), ino, &st);
	fuse_reply_attr(req, &st, valid);
}

static size_t add_name(fuse_req_t req, char *buf, size_t room, bool plus, const char *name,
		       fuse_ino_t ino, off_t next)
{
	struct fuse_entry_param e;

	entry(kernel_of(req), ino, &e);
	return plus ? fuse_add_direntry_plus(req, buf, room, name, &e, next) :
		      fuse_add_direntry(req, buf, room, name, &e.attr, next);
}

static void list(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off, bool plus)
{
	cleanup_free char *buf = NULL;
	struct block_view v;
	size_t used = 0;

	if (is_block(dir)) {
		block_fuse_readdir(req, block_of(req, dir, &v), size, off, plus);
		return;
	}
	buf = malloc(size);
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (;; off++) {
		char name[PROC_NAME_SIZE];
		fuse_ino_t ino = dir;
		size_t n;

		if (off < 2)
			snprintf(name, sizeof(name), "%s", off ? ".." : ".");
		else
			ino = child(kernel_of(req), dir, off - 2, name);
		if (!ino)
			break;
		n = add_name(req, buf + used, size - used, plus, name, ino, off + 1);
		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void op_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	list(req, dir, size, off, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t dir, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	list(req, dir, size, off, true);
}

/* ENOSYS: the host need not ask again. */
static void op_opendir(fuse_req_t req, fuse_ino_t dir, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void free_opened(struct opened *o)
{
	if (!o)
		return;
	if (o->kept)
		o->kept->open = false;
	text_free(&o->text);
	free(o);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct block_view v;

	if (is_block(ino))
		block_fuse_readlink(req, block_of(req, ino, &v));
	else
		fuse_reply_err(req, EINVAL);
}

/* What a new reader gets, as far as it is made now. A device may have gone. */
static int open_text(struct kernel *k, fuse_ino_t ino, struct opened *o)
{
	int ret = 0;

	if (is_kept(ino))
		o->kept = kept_open(k, ino);
	else if (ino >= BLOCK_INO)
		ret = make_text(k, ino, &o->text);
	o->read = ino >= BLOCK_INO && ret == 0;
	return ret;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct opened *o;
	int ret;

	if (ino < BLOCK_INO && proc_nodes[index_of(ino)].kind != PROC_FILE) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	o = calloc(1, sizeof(*o));
	ret = o ? open_text(kernel_of(req), ino, o) : -ENOMEM;
	if (ret < 0) {
		fuse_reply_err(req, -ret);
		free_opened(o);
		return;
	}
	fi->fh = (uintptr_t)o;
	fi->direct_io = !o->kept;
	fi->keep_cache = o->kept != NULL;
	if (fuse_reply_open(req, fi) < 0)
		/* The caller was killed meanwhile: no RELEASE will come. */
		free_opened(o);
}

static void reply_part(fuse_req_t req, const struct text *t, size_t size, off_t off)
{
	if ((size_t)off >= t->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, t->buf + off, MIN(size, t->len - off));
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct opened *o = (struct opened *)(uintptr_t)fi->fh;
	int ret = 0;

	if (o->kept) {
		reply_part(req, &o->kept->text, size, off);
		return;
	}
	if (off == 0 || !o->read)
		ret = make_text(kernel_of(req), ino, &o->text);
	o->read = ret == 0;
	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		reply_part(req, &o->text, size, off);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
	free_opened((struct opened *)(uintptr_t)fi->fh);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.readlink = op_readlink,
	.open = op_open,
	.read = op_read,
	.release = op_release,
};

/* Field 39 of /proc/TID/stat, proc_pid_stat(5). */
static int host_cpu_of(void *kernel, pid_t tid)
{
	struct hostproc_stat st;

	return hostproc_stat(tid, &st) < 0 ? -1 : st.cpu;
}

int procfs_fuse_start(struct kernel *k, int fd, struct fuse_server **ret)
{
	const struct fuse_server_config cfg = {
		.device = fd,
		.ops = &ops,
		.ops_size = sizeof(ops),
		.ctx = k,
		.threads = 1,
		.cpu_of = host_cpu_of,
	};

	int err;

	clock_gettime(CLOCK_REALTIME, &born);
	kept = calloc(proc_nnodes, sizeof(*kept));
	if (!kept) {
		close(fd);
		return -ENOMEM;
	}
	err = fuse_server_start(&cfg, &server);
	*ret = server;
	return err;
}

#else

int procfs_fuse_start(struct kernel *k, int fd, struct fuse_server **ret)
{
	close(fd);
	return -ENOSYS;
}

#endif

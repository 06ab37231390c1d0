/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_fuse.c - the directories of block_files.h over FUSE, a part of procfs_fuse.c's
 *
 * Nothing of them is kept by the host: what they show comes and goes. A directory is
 * of another time whenever it is asked for, or the host would keep its names.
 */
#include "config.h"

#if HAVE_FUSE

#include "kernel/machine/block_fuse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "kernel/cleanup.h"
#include "kernel/machine/text.h"
#include "kernel/util.h"

static void attributes(mode_t mode, fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){ .st_ino = ino, .st_mode = mode, .st_nlink = S_ISDIR(mode) ? 2 : 1 };
	clock_gettime(CLOCK_REALTIME, &st->st_mtim);
	st->st_ctim = st->st_mtim;
	if (S_ISREG(mode))
		st->st_size = 4096;	/* as all files of sysfs */
}

static bool entry(struct kernel *k, fuse_ino_t ino, struct fuse_entry_param *e)
{
	mode_t mode = block_mode(k, ino);

	*e = (struct fuse_entry_param){ .ino = ino };
	attributes(mode, ino, &e->attr);
	return mode != 0;
}

void block_fuse_lookup(fuse_req_t req, const struct block_view *v, const char *wanted)
{
	struct fuse_entry_param e;
	char name[BLOCK_NAME];
	unsigned at = 0;
	fuse_ino_t ino;

	while ((ino = block_next(v->kernel, &v->dir, &at, name)) != 0) {
		if (!streq(name, wanted) || !entry(v->kernel, ino, &e))
			continue;
		fuse_reply_entry(req, &e);
		return;
	}
	fuse_reply_err(req, ENOENT);
}

void block_fuse_getattr(fuse_req_t req, const struct block_view *v)
{
	mode_t mode = v->dir.ino ? block_mode(v->kernel, v->ino) : S_IFDIR | 0755;
	struct stat st;

	attributes(mode, v->ino, &st);
	if (mode)
		fuse_reply_attr(req, &st, 0);
	else
		fuse_reply_err(req, ESTALE);
}

void block_fuse_readdir(fuse_req_t req, const struct block_view *v, size_t size, off_t off, bool plus)
{
	cleanup_free char *buf = malloc(size);
	unsigned at = off > 2 ? off - 2 : 0;
	size_t used = 0;

	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (;;) {
		struct fuse_entry_param e = { 0 };
		char name[BLOCK_NAME] = ".";
		size_t n;

		if (off < 2) {
			strcpy(name, off ? ".." : ".");
			attributes(S_IFDIR | 0755, v->ino, &e.attr);
			off++;
		} else {
			fuse_ino_t ino = block_next(v->kernel, &v->dir, &at, name);

			if (!ino)
				break;
			off = at + 2;
			if (!entry(v->kernel, ino, &e))
				continue;
		}
		n = plus ? fuse_add_direntry_plus(req, buf + used, size - used, name, &e, off) :
			   fuse_add_direntry(req, buf + used, size - used, name, &e.attr, off);
		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

void block_fuse_readlink(fuse_req_t req, const struct block_view *v)
{
	struct text t = {};
	int ret = block_text(v->kernel, v->ino, &t);

	if (ret < 0)
		fuse_reply_err(req, -ret);
	else
		fuse_reply_readlink(req, t.buf);
	text_free(&t);
}

#endif
